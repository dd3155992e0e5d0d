-- SPDX-License-Identifier: MIT
-- Names and lines of JSON, as they were written. All names stand in one array of bytes, so that one
-- takes little more than its length. While targets are read, a hash table tells the double ones.
local ffi = require "ffi"

local fnv = require "tcpmulti.targets.fnv"
local named_hosts = require "tcpmulti.targets.named_hosts"
local slots = require "tcpmulti.targets.slots"
local vector = require "tcpmulti.targets.vector"

local names = {}
local Names = {}
Names.__index = Names

-- ---- hashing and comparing, while the arrays are vectors ----

local function text_hash(self, n)
  local ends = self.ends.data
  return fnv.bytes(fnv.START, self.bytes.data, ends[n], ends[n + 1])
end

local function has_same_text(self, a, b)
  local ends, bytes = self.ends.data, self.bytes.data
  local first, other, length = ends[a], ends[b], ends[a + 1] - ends[a]
  if length ~= ends[b + 1] - other then return false end
  for i = 0, length - 1 do
    if bytes[first + i] ~= bytes[other + i] then return false end
  end
  return true
end

local function whole_hash(self, n)
  return fnv.text(fnv.word(text_hash(self, n), self.sets.data[n]), self.lines[n] or "")
end

local function is_same(self, a, b)
  return self.sets.data[a] == self.sets.data[b] and self.lines[a] == self.lines[b]
    and has_same_text(self, a, b)
end

-- ---- adding ----

-- keep: equal names are kept.
function names.new(keep)
  local ends = vector.new "double" -- where the name before ends
  ends:push(0)
  local self = setmetatable({ bytes = vector.new "uint8_t", ends = ends,
    sets = vector.new "uint32_t", lines = {}, count = 0 }, Names)
  self.known = not keep and slots.new(self, whole_hash, is_same) or nil
  return self
end

local function add_bytes(bytes, text)
  local at = bytes.count
  bytes:grow(#text)
  ffi.copy(bytes.data + at, text, #text)
end

local function drop_last(self)
  local n = self.count
  self.bytes.count, self.ends.count, self.sets.count = self.ends.data[n], n + 1, n
  self.lines[n] = nil
end

-- line: the line of JSON that has the name, or nil. False: it is there already.
function Names:add(text, set, line)
  local n = self.count
  add_bytes(self.bytes, text)
  self.ends:push(self.bytes.count)
  self.sets:push(set)
  self.lines[n] = line
  if self.known and self.known:add(n) then
    drop_last(self)
    return false
  end
  self.count = n + 1
  return true
end

-- Nothing is added any more. sets: those of ports.sets. Gives the rectangles of the names, by the
-- number of ports of their hosts.
function Names:close(sets)
  self.known = nil
  local by_ports = named_hosts.rectangles(self, sets, slots.new(self, text_hash, has_same_text))
  self.bytes, self.ends, self.sets = self.bytes:trimmed(), self.ends:trimmed(), self.sets:trimmed()
  return by_ports
end

-- ---- asking, after close ----

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

return names
