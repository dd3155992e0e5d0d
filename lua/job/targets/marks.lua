-- SPDX-License-Identifier: MIT
-- Which of the places 0 to size - 1 are done, a bit for each, in pages. A page exists while some of
-- its places are done and some are not; so where places are done in nearly their order, few pages
-- exist at any time, however many places there are.
local bit = require "bit"
local ffi = require "ffi"
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local min = math.min

local marks = {}
local Marks = {}
Marks.__index = Marks

local PAGE = 32768 -- places
local page_array = ffi.typeof "uint8_t[4096]"

-- low: all pages in front of this one are full.
function marks.new(size) return setmetatable({ size = size, low = 0, pages = {} }, Marks) end

function Marks:has(place)
  local at = place % PAGE
  local number = (place - at) / PAGE
  if number < self.low then return true end
  local page = self.pages[number]
  if not page then return false end
  return page == true or band(page.bits[rshift(at, 3)], lshift(1, band(at, 7))) ~= 0
end

-- A page that is full is kept as true until all in front of it are.
local function close_page(self, number)
  local pages = self.pages
  pages[number] = true
  while pages[self.low] == true do
    pages[self.low] = nil
    self.low = self.low + 1
  end
end

-- False: it is done already.
function Marks:add(place)
  if self:has(place) then return false end
  local at = place % PAGE
  local number = (place - at) / PAGE
  local page = self.pages[number]
  if not page then
    page = { bits = page_array(), left = min(PAGE, self.size - number * PAGE) }
    self.pages[number] = page
  end
  local index = rshift(at, 3)
  page.bits[index] = bor(page.bits[index], lshift(1, band(at, 7)))
  page.left = page.left - 1
  if page.left == 0 then close_page(self, number) end
  return true
end

return marks
