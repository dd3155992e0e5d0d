-- SPDX-License-Identifier: MIT
-- A hash table of numbers from 0 on, which stand for something that its owner can hash and compare.
-- A number takes 8 to 16 bytes.
local bit = require "bit"
local ffi = require "ffi"

local slots = {}
local Slots = {}
Slots.__index = Slots

local FIRST = 64 -- slots of a new table

-- hash_of(owner, n): a 64-bit number. equals(owner, a, b): whether two numbers stand for the same.
function slots.new(owner, hash_of, equals)
  return setmetatable({ owner = owner, hash_of = hash_of, equals = equals, count = 0, size = FIRST,
    data = ffi.new("uint32_t[?]", FIRST) }, Slots)
end

-- The slot of an equal number, or the free one for this number.
local function find(self, n)
  local data, mask = self.data, self.size - 1
  local slot = tonumber(bit.band(self.hash_of(self.owner, n), mask + 0ULL))
  while data[slot] ~= 0 and not self.equals(self.owner, data[slot] - 1, n) do
    slot = bit.band(slot + 1, mask)
  end
  return slot
end

local function widen(self)
  local old, size = self.data, self.size
  self.size, self.data = size * 2, ffi.new("uint32_t[?]", size * 2)
  for i = 0, size - 1 do
    if old[i] ~= 0 then self.data[find(self, old[i] - 1)] = old[i] end
  end
end

-- Gives the equal number that is there already, or nil: n has been added.
function Slots:add(n)
  local slot = find(self, n)
  if self.data[slot] ~= 0 then return self.data[slot] - 1 end
  self.data[slot], self.count = n + 1, self.count + 1
  if self.count * 2 > self.size then widen(self) end
end

return slots
