-- SPDX-License-Identifier: MIT
---@meta tcpmulti.histogram
-- The reference of the module tcpmulti.histogram: latencies in whole microseconds, in buckets. A
-- percentile is at most 1/1024 too high, and never above the greatest value. Histograms add up
-- exactly.

---@class tcpmulti.histogram
local histogram = {}

---@return tcpmulti.histogram.Histogram
function histogram.new() end

-- The histogram that encode has written. nil, message, "EINVAL": it is none, or it is damaged.
---@param data any
---@return tcpmulti.histogram.Histogram? histogram, string? message, string? errname
function histogram.decode(data) end

---@class tcpmulti.histogram.Histogram
---@field count integer
---@field sum integer
---@field min number Infinite without values.
---@field max number Minus infinite without values.
---@field overflow integer Values above 2^36 - 1, which are counted as this one.
local Histogram = {}

-- Records a value, rounded to whole microseconds; a negative one is 0. Raises for NaN.
---@param us number
---@param times? integer Default: 1.
function Histogram:record(us, times) end

-- Adds what another histogram has, and gives this one.
---@param other tcpmulti.histogram.Histogram
---@return tcpmulti.histogram.Histogram
function Histogram:merge(other) end

-- The value that p percent of the values do not exceed; nil: there are no values.
---@param p number From 0 to 100.
---@return integer? us
function Histogram:percentile(p) end

---@return number? us nil: there are no values.
function Histogram:mean() end

-- A table for JSON: unit, digits, count, sum, overflow, and with values min, max and runs.
---@return table
function Histogram:encode() end

return histogram
