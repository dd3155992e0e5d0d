-- SPDX-License-Identifier: MIT
-- Histograms from elsewhere: none raises, and one that is accepted is written as it was read. The
-- input chooses values of a histogram, and changes what encode has made of them.
local histogram = require "tcpmulti.histogram"

local strange = { -1, 0.5, 2 ^ 53, 2 ^ 60, 0 / 0, math.huge, "5", false, {}, 0, 1, 2, 1024, 27648 }
local names = { "unit", "digits", "count", "sum", "overflow", "min", "max", "runs" }

local function is_equal(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not is_equal(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- Changes a field or an element of runs, by two bytes.
local function change(data, place, choice)
  local value = strange[choice % #strange + 1]
  local runs = data.runs
  if place % 2 == 0 or type(runs) ~= "table" then
    data[names[math.floor(place / 2) % #names + 1]] = value
  else
    runs[math.floor(place / 2) % (#runs + 1) + 1] = value
  end
end

return function(input)
  local one = histogram.new()
  for i = 3, #input do one:record((input:byte(i) % 64) ^ 7, 1 + i % 3) end
  local data = one:encode()
  assert(is_equal(assert(histogram.decode(data)):encode(), data), "it comes back")
  if #input < 2 then return end
  change(data, input:byte(1), input:byte(2))
  local other, message, errname = histogram.decode(data)
  if other then
    assert(other.count == 0 or is_equal(other:encode(), data), "what is accepted comes back")
    other:merge(one):percentile(99)
  else
    assert(type(message) == "string" and errname == "EINVAL")
  end
end
