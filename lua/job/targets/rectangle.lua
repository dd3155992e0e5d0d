-- SPDX-License-Identifier: MIT
-- Hosts with the same number of ports, numbered one after the other: of each interval of addresses
-- its first one, how many hosts stand before it, and its set of ports. An interval of IPv4 takes 8
-- bytes, and 4 more where the sets differ.
local fnv = require "tcpmulti.targets.fnv"
local vector = require "tcpmulti.targets.vector"

local floor = math.floor

local rectangle = {}
local Rectangle = {}
Rectangle.__index = Rectangle

-- The rectangle of target number g in a list of them, and its index; nil: there is no such target.
function rectangle.find(list, g)
  if not (g >= 0 and g < list.total and g % 1 == 0) then return nil end
  local low, high = 1, #list
  while low < high do
    local middle = floor((low + high + 1) / 2)
    if list[middle].base <= g then low = middle else high = middle - 1 end
  end
  return list[low], low
end

-- ports: how many ports each host has.
function rectangle.new(family, ports)
  -- All addresses of IPv4 are fewer than 2^32, those in front of an interval too.
  local starts = vector.new(family.number == 4 and "uint32_t" or "double")
  return setmetatable({ family = family, ports = ports, hosts = 0, count = 0,
    words = vector.new "uint32_t", starts = starts, sets = vector.new "uint32_t" }, Rectangle)
end

-- Adds an interval whose first address stands in an array of words.
function Rectangle:add(data, at, count, set)
  for i = 0, self.family.words - 1 do self.words:push(data[at + i]) end
  self.starts:push(self.hosts)
  self.sets:push(set)
  self.uniform = self.count == 0 and set or self.uniform == set and set or nil
  self.count, self.hosts = self.count + 1, self.hosts + count
end

-- Adds the addresses that follow the last interval to it.
function Rectangle:extend(count) self.hosts = self.hosts + count end

-- Nothing is added any more.
function Rectangle:close()
  self.words, self.starts = self.words:trimmed(), self.starts:trimmed()
  self.sets = not self.uniform and self.sets:trimmed() or nil
end

-- The interval of a host, from 0 on, and the host's place in it.
local function find(self, host)
  local starts, low, high = self.starts, 0, self.count - 1
  while low < high do
    local middle = floor((low + high + 1) / 2)
    if starts[middle] <= host then low = middle else high = middle - 1 end
  end
  return low, host - starts[low]
end

-- Host number n, from 0 on, and one of its ports by an index -> its text, the key of its network,
-- its set, the index in that set.
function Rectangle:host(n, index)
  local at, offset = find(self, n)
  local text, network = self.family.host(self.words, at * self.family.words, offset)
  return text, network, self.uniform or self.sets[at], index
end

function Rectangle:hash(hash, sets)
  local width = self.family.words
  hash = fnv.number(fnv.number(fnv.word(hash, self.family.number), self.ports), self.count)
  for i = 0, self.count - 1 do
    for word = i * width, i * width + width - 1 do hash = fnv.word(hash, self.words[word]) end
    hash = fnv.number(hash, self.starts[i])
    if self.sets then hash = sets:hash(hash, self.sets[i]) end
  end
  if self.uniform then hash = sets:hash(hash, self.uniform) end
  return fnv.number(hash, self.hosts)
end

return rectangle
