-- SPDX-License-Identifier: MIT
-- A queue in a circular array, which takes no memory once it has been as long as it gets.
local ring = {}
local Ring = {}
Ring.__index = Ring

local FIRST_SIZE = 64

-- Fields. at: the place of the first entry. count: entries. size: places.
function ring.new()
  return setmetatable({ at = 1, count = 0, size = FIRST_SIZE }, Ring)
end

-- Twice as many places, the first entry at the first one.
local function grow(self)
  local size, entries = self.size, {}
  for i = 1, size do entries[i] = self[(self.at + i - 2) % size + 1] end
  for i = 1, size do self[i] = entries[i] end
  self.at, self.size = 1, size * 2
end

function Ring:push(entry)
  if self.count == self.size then grow(self) end
  local place = self.at + self.count
  if place > self.size then place = place - self.size end
  self[place] = entry
  self.count = self.count + 1
end

-- Without an entry: nil.
function Ring:first() return self.count > 0 and self[self.at] or nil end

-- Takes the first entry out. Without an entry: nil.
function Ring:pop()
  if self.count == 0 then return nil end
  local at = self.at
  local entry = self[at]
  self[at] = false
  self.at = at == self.size and 1 or at + 1
  self.count = self.count - 1
  return entry
end

return ring
