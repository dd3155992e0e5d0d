-- SPDX-License-Identifier: MIT
-- Latencies in buckets, laid out like an HdrHistogram of three digits: whole microseconds; values
-- below 2,048 have a bucket each, each doubling above has 1,024, up to 2^36 - 1. So a percentile is
-- at most 1/1024 too high. Histograms add up exactly: the sum of parts is that of the whole,
-- whatever the parts are.
local bit = require "bit"
local ffi = require "ffi"
local ceil, floor, huge, max, min = math.ceil, math.floor, math.huge, math.max, math.min

local histogram = {}
local Histogram = {}
Histogram.__index = Histogram

local HALF = 1024 -- buckets of each doubling
local LARGEST = 2 ^ 36 - 1 -- 19 hours
local LENGTH = 27 * HALF -- buckets in all
local FIRST_LENGTH = 4096 -- buckets; a histogram grows with its values
local MAX_WHOLE = 2 ^ 53
local ROUNDING = 1 - 2 ^ -50 -- 99.9 % of 1,000 values are 999, not a little more

-- ---- layout ----

local as_double = ffi.new "union { double number; uint32_t words[2]; }"
local HIGH_WORD = ffi.abi "le" and 1 or 0
local widths = ffi.new "double[27]" -- widths[n]: that of a bucket of the n-th doubling
for doubling = 0, 26 do widths[doubling] = 2 ^ doubling end

-- Without a branch: LuaJIT makes machine code of its own for each way through the values of a line.
local function index_of(value)
  as_double.number = value
  local exponent = bit.rshift(as_double.words[HIGH_WORD], 20) - 1023
  local doubling = max(0, exponent - 10)
  return doubling * HALF + floor(value / widths[doubling])
end

local function lowest_of(index)
  local doubling = max(0, floor(index / HALF) - 1)
  return (index - doubling * HALF) * widths[doubling]
end

local function highest_of(index) return lowest_of(index + 1) - 1 end

-- ---- values ----

function histogram.new()
  return setmetatable({ buckets = ffi.new("double[?]", FIRST_LENGTH), length = FIRST_LENGTH,
    count = 0, sum = 0, min = huge, max = -huge, overflow = 0 }, Histogram)
end

local function grow(self, index)
  local length = min(LENGTH, max(index + 1, self.length * 2))
  local buckets = ffi.new("double[?]", length)
  ffi.copy(buckets, self.buckets, self.length * ffi.sizeof "double")
  self.buckets, self.length = buckets, length
end

local function is_whole(value, least, most)
  return type(value) == "number" and value >= least and value <= most and value % 1 == 0
end

-- Records a value in microseconds, rounded to whole ones. A negative value is 0; a value above the
-- largest counts as the largest, and as overflow.
function Histogram:record(us, times)
  times = times or 1
  local value = floor(us + 0.5)
  if value ~= value then error("histogram: a number expected, not NaN", 2) end
  if times ~= 1 and not is_whole(times, 0, MAX_WHOLE) then
    error("histogram: times must be a whole number", 2)
  end
  if times == 0 then return end
  if value > LARGEST then
    value, self.overflow = LARGEST, self.overflow + times
  end
  value = max(0, value)
  local index = index_of(value)
  if index >= self.length then grow(self, index) end
  self.buckets[index] = self.buckets[index] + times
  self.count, self.sum = self.count + times, self.sum + value * times
  self.min, self.max = min(self.min, value), max(self.max, value)
end

-- Adds what another histogram has. Gives itself.
function Histogram:merge(other)
  if other.length > self.length then grow(self, other.length - 1) end
  for index = 0, other.length - 1 do
    self.buckets[index] = self.buckets[index] + other.buckets[index]
  end
  self.count, self.sum = self.count + other.count, self.sum + other.sum
  self.min, self.max = min(self.min, other.min), max(self.max, other.max)
  self.overflow = self.overflow + other.overflow
  return self
end

-- The value that at least p percent of the values do not exceed; nil: there are no values.
function Histogram:percentile(p)
  if type(p) ~= "number" or not (p >= 0 and p <= 100) then
    error("histogram: a percentile is a number from 0 to 100", 2)
  end
  if self.count == 0 then return nil end
  if p == 0 then return self.min end
  local wanted, seen = max(1, ceil(p / 100 * self.count * ROUNDING)), 0
  for index = 0, self.length - 1 do
    seen = seen + self.buckets[index]
    if seen >= wanted then return min(highest_of(index), self.max) end
  end
  return self.max
end

-- nil: there are no values.
function Histogram:mean() return self.count > 0 and self.sum / self.count or nil end

-- ---- as data ----

-- A table for JSON. runs: pairs of a gap, the empty buckets since the last pair, and a count.
function Histogram:encode()
  local data = { unit = "us", digits = 3, count = self.count, sum = self.sum,
    overflow = self.overflow }
  if self.count == 0 then return data end
  data.min, data.max, data.runs = self.min, self.max, {}
  local runs, following = data.runs, 0
  for index = 0, self.length - 1 do
    if self.buckets[index] ~= 0 then
      runs[#runs + 1] = index - following
      runs[#runs + 1] = self.buckets[index]
      following = index + 1
    end
  end
  return data
end

-- Fills the buckets from pairs. Gives the sum of their counts, the first bucket that is filled and
-- the last one; nil: the pairs cannot be.
local function fill(self, runs)
  local count, first, index = 0, nil, -1
  for i = 1, #runs, 2 do
    if not is_whole(runs[i], 0, LENGTH) or not is_whole(runs[i + 1], 1, MAX_WHOLE) then
      return nil
    end
    index = index + 1 + runs[i]
    if index >= LENGTH then return nil end
    if index >= self.length then grow(self, index) end
    self.buckets[index] = runs[i + 1]
    count, first = count + runs[i + 1], first or index
  end
  return count, first, index
end

local function are_whole(data, ...)
  for i = 1, select("#", ...) do
    if not is_whole(data[select(i, ...)], 0, MAX_WHOLE) then return false end
  end
  return true
end

local function read(self, data)
  if not are_whole(data, "count", "sum", "overflow") then
    return "a counter is not a whole number"
  end
  local count, first, last = fill(self, type(data.runs) == "table" and data.runs or {})
  if not count then return "its runs are damaged" end
  if count ~= data.count then return "its counts do not add up" end
  if count == 0 then return (data.sum > 0 or data.overflow > 0) and "it has no values" or nil end
  if not are_whole(data, "min", "max") or data.max > LARGEST or data.min > data.max
    or index_of(data.min) ~= first or index_of(data.max) ~= last then
    return "its least or greatest value is in another bucket"
  end
  if data.sum < data.min * count or data.sum > data.max * count then return "its sum cannot be" end
  if data.overflow > self.buckets[last] or data.overflow > 0 and data.max < LARGEST then
    return "its overflow cannot be"
  end
  self.min, self.max = data.min, data.max
end

-- The histogram that encode has written; nil, message, "EINVAL".
function histogram.decode(data)
  if type(data) ~= "table" or data.unit ~= "us" or data.digits ~= 3 then
    return nil, "not a histogram of microseconds with 3 digits", "EINVAL"
  end
  local self = histogram.new()
  local problem = read(self, data)
  if problem then return nil, "a damaged histogram: " .. problem, "EINVAL" end
  self.count, self.sum, self.overflow = data.count, data.sum, data.overflow
  return self
end

return histogram
