-- SPDX-License-Identifier: MIT
-- Names and lines of JSON, as they were written. All names stand in one array of bytes, so that one
-- takes little more than its length. While targets are read, a hash table tells the double ones.
local bit = require "bit"
local ffi = require "ffi"

local addresses = require "tcpmulti.targets.addresses"
local fnv = require "tcpmulti.targets.fnv"
local vector = require "tcpmulti.targets.vector"

local names = {}
local Names = {}
Names.__index = Names

local FIRST_SLOTS = 64

-- keep: equal names are kept.
function names.new(keep)
  local ends = vector.new "double" -- where the name before ends
  ends:push(0)
  return setmetatable({ bytes = vector.new "uint8_t", ends = ends, sets = vector.new "uint32_t",
    lines = {}, count = 0, slots = not keep and ffi.new("uint32_t[?]", FIRST_SLOTS) or nil,
    size = FIRST_SLOTS }, Names)
end

local function add_bytes(bytes, text)
  local at = bytes.count
  bytes:grow(#text)
  ffi.copy(bytes.data + at, text, #text)
end

local function hash_of(self, n)
  local ends = self.ends.data
  return fnv.word(fnv.bytes(fnv.START, self.bytes.data, ends[n], ends[n + 1]), self.sets.data[n])
end

local function is_equal(self, a, b)
  local ends, bytes = self.ends.data, self.bytes.data
  local first, other, length = ends[a], ends[b], ends[a + 1] - ends[a]
  if length ~= ends[b + 1] - other or self.sets.data[a] ~= self.sets.data[b] then return false end
  for i = 0, length - 1 do
    if bytes[first + i] ~= bytes[other + i] then return false end
  end
  return self.lines[a] == self.lines[b]
end

-- The slot of an equal name, or the free one for this name.
local function find_slot(self, n)
  local slots, mask = self.slots, self.size - 1
  local slot = tonumber(bit.band(hash_of(self, n), mask + 0ULL))
  while slots[slot] ~= 0 and not is_equal(self, slots[slot] - 1, n) do
    slot = bit.band(slot + 1, mask)
  end
  return slot
end

local function widen(self)
  self.size = self.size * 2
  self.slots = ffi.new("uint32_t[?]", self.size)
  for n = 0, self.count - 1 do self.slots[find_slot(self, n)] = n + 1 end
end

local function drop_last(self)
  local n = self.count
  self.bytes.count, self.ends.count, self.sets.count = self.ends.data[n], n + 1, n
  self.lines[n] = nil
  return false
end

-- line: the line of JSON that has the name, or nil. False: it is there already.
function Names:add(text, set, line)
  local n = self.count
  add_bytes(self.bytes, text)
  self.ends:push(self.bytes.count)
  self.sets:push(set)
  self.lines[n] = line
  if self.slots then
    local slot = find_slot(self, n)
    if self.slots[slot] ~= 0 then return drop_last(self) end
    self.slots[slot] = n + 1
    if (n + 1) * 2 > self.size then
      self.count = n + 1
      widen(self)
    end
  end
  self.count = n + 1
  return true
end

-- Nothing is added any more.
function Names:close()
  self.bytes, self.ends, self.sets = self.bytes:trimmed(), self.ends:trimmed(), self.sets:trimmed()
  self.slots = nil
end

function Names:hash(hash, n, sets)
  local first, last, line = self.ends[n], self.ends[n + 1], self.lines[n] or ""
  hash = fnv.bytes(fnv.word(hash, last - first), self.bytes, first, last)
  return sets:hash(fnv.text(fnv.word(hash, #line), line), self.sets[n])
end

-- Name number n, from 0 on -> its text, its set, its line of JSON.
function Names:get(n)
  local first = self.ends[n]
  return ffi.string(self.bytes + first, self.ends[n + 1] - first), self.sets[n], self.lines[n]
end

-- ---- rectangles of names ----

local Rectangle = {}
Rectangle.__index = Rectangle

-- All names are there already.
function Rectangle.close() end

-- Host number n, from 0 on -> its text, the key of its network, its set, its line of JSON.
function Rectangle:host(n)
  local text, set, line = self.names:get(self.places[n])
  local family, first = nil, nil
  if line then family, first = addresses.parse(text) end
  if not family then return text, text, set, line end
  local _, network = family.host(ffi.new("uint32_t[4]", first), 0, 0)
  return text, network, set, line
end

function Rectangle:hash(hash, sets)
  hash = fnv.number(fnv.text(hash, "names"), self.ports)
  for n = 0, self.hosts - 1 do
    hash = self.names:hash(hash, self.places[n], sets)
  end
  return hash
end

-- The names of each number of ports, in their order.
local function group(self, sets)
  local by_ports = {}
  for n = 0, self.count - 1 do
    local ports = sets:size(self.sets[n])
    local places = by_ports[ports]
    if not places then
      places = vector.new "uint32_t"
      by_ports[ports] = places
    end
    places:push(n)
  end
  return by_ports
end

-- The names as rectangles, by their number of ports.
function Names:rectangles(sets)
  local rectangles = {}
  for ports, places in pairs(group(self, sets)) do
    rectangles[ports] = setmetatable({ names = self, ports = ports, hosts = places.count,
      places = places:trimmed() }, Rectangle)
  end
  return rectangles
end

return names
