-- SPDX-License-Identifier: MIT
-- An array of numbers that grows at its end. data: the array; count: how many elements are used.
local ffi = require "ffi"
local max = math.max

local vector = {}
local Vector = {}
Vector.__index = Vector

local FIRST = 16 -- elements of a new array

function vector.new(ctype)
  local array = ffi.typeof(ctype .. "[?]")
  return setmetatable({ data = array(FIRST), count = 0, room = FIRST, array = array,
    size = ffi.sizeof(ctype) }, Vector)
end

-- A copy of the used elements, with room for so many.
local function copy(self, room)
  local data = self.array(room)
  ffi.copy(data, self.data, self.count * self.size)
  return data
end

-- Adds so many elements, which are to be set.
function Vector:grow(elements)
  local count = self.count + elements
  if count > self.room then
    local room = max(count, self.room * 2)
    self.data, self.room = copy(self, room), room
  end
  self.count = count
end

function Vector:push(value)
  local at = self.count
  self:grow(1)
  self.data[at] = value
end

-- The used elements, in an array that has no room for more.
function Vector:trimmed() return copy(self, self.count) end

return vector
