-- SPDX-License-Identifier: MIT
-- The figures of a run: counters, errors by kind, a histogram for each phase, a series by the
-- second. A summary is a fold over result lines: added in any order and merged in any grouping,
-- equal lines give equal summaries.
local histogram = require "tcpmulti.histogram"
local json = require "tcpmulti.json"
local results = require "tcpmulti.results"
local load = require "tcpmulti.summary.load"
local threshold = require "tcpmulti.summary.threshold"
local text = require "tcpmulti.summary.text"
local floor, format, max, min = math.floor, string.format, math.max, math.min

local summary = {}

local VERSION = 1
local MAX_SERIES = 3600

local Summary = {}
Summary.__index = Summary

-- The counters of a summary, by their names in a line and in the encoded form.
local counters = { "done", "ok", "failed", "attempts", "in", "out" }

-- Fields beside the counters. errors: counts by kind. us: histograms by phase. series: by second,
-- { finished, failed }. step: seconds that an entry of the series stands for, a power of two; it is
-- the least for which MAX_SERIES entries are enough, so it is the same in any order. entries: how
-- many there are. first, last: the times of the earliest and the latest line. load: of a load, see
-- summary/load.lua; else nil.
function summary.new()
  local self = setmetatable({ errors = {}, us = {}, series = {}, step = 1, entries = 0 }, Summary)
  for _, name in ipairs(counters) do self[name] = 0 end
  return self
end

-- ---- adding ----

local function histogram_of(self, phase)
  local found = self.us[phase]
  if not found then
    found = histogram.new()
    self.us[phase] = found
  end
  return found
end

local function add_to_series(self, second, finished, failed)
  local start = second - second % self.step
  local entry = self.series[start]
  if entry then
    entry[1], entry[2] = entry[1] + finished, entry[2] + failed
  else
    self.series[start] = { finished, failed }
    self.entries = self.entries + 1
  end
end

-- Joins entries until each stands for so many seconds, and there are few enough.
local function widen_series(self, step)
  while self.step < step or self.entries > MAX_SERIES do
    local series = self.series
    self.series, self.entries, self.step = {}, 0, max(self.step * 2, step)
    for second, entry in pairs(series) do add_to_series(self, second, entry[1], entry[2]) end
  end
end

local function extend(self, first, last)
  self.first = min(self.first or first, first)
  self.last = max(self.last or last, last)
end

local function add_error(self, record)
  local problem = record.error
  local kind = problem and problem.op .. " " .. problem.name or record["end"]
  self.errors[kind] = (self.errors[kind] or 0) + 1
end

local function add_time(self, phase, time)
  if time then histogram_of(self, phase):record(time) end
end

-- One after the other, since LuaJIT compiles a loop apart from all around it.
local function add_times(self, us)
  add_time(self, "queue", us.queue)
  add_time(self, "resolve", us.resolve)
  add_time(self, "connect", us.connect)
  add_time(self, "proxy", us.proxy)
  add_time(self, "tls", us.tls)
  add_time(self, "first_byte", us.first_byte)
  add_time(self, "total", us.total)
end

-- record: that of results.line, or a line decoded.
function Summary:add(record)
  local failed = record.ok and 0 or 1
  self.done, self.ok, self.failed = self.done + 1, self.ok + 1 - failed, self.failed + failed
  self.attempts = self.attempts + record.attempts
  self["in"], self.out = self["in"] + record["in"], self.out + record.out
  if failed == 1 then add_error(self, record) end
  add_times(self, record.us)
  local time = results.round(record.time)
  add_to_series(self, floor(time), 1, failed)
  if self.entries > MAX_SERIES then widen_series(self, self.step) end
  extend(self, time, time)
end

-- ---- what has no lines ----

-- The histogram of a phase, which is made where there is none.
Summary.histogram = histogram_of

-- An error of this kind.
function Summary:count_error(kind) self.errors[kind] = (self.errors[kind] or 0) + 1 end

-- So many have finished in the second of this time, in seconds since 1970, and so many of them have
-- failed.
function Summary:count(time, finished, failed)
  time = results.round(time)
  self.done, self.failed = self.done + finished, self.failed + failed
  self.ok = self.done - self.failed
  add_to_series(self, floor(time), finished, failed)
  if self.entries > MAX_SERIES then widen_series(self, self.step) end
  extend(self, time, time)
end

function Summary:merge(other)
  for _, name in ipairs(counters) do self[name] = self[name] + other[name] end
  for kind, count in pairs(other.errors) do
    self.errors[kind] = (self.errors[kind] or 0) + count
  end
  for phase, values in pairs(other.us) do histogram_of(self, phase):merge(values) end
  for second, entry in pairs(other.series) do add_to_series(self, second, entry[1], entry[2]) end
  widen_series(self, other.step)
  if other.first then extend(self, other.first, other.last) end
  self.load = load.merge(self.load, other.load)
  return self
end

-- ---- figures ----

-- Seconds in which anything finished, so that parts that ran at different times do not dilute a
-- rate; at most the time from the first to the last.
function Summary:seconds()
  if not self.first then return 0 end
  return min(self.entries * self.step, self.last - self.first)
end

-- Finished targets per second; nil: too few to tell.
function Summary:rate()
  local seconds = self:seconds()
  if seconds > 0 then return self.done / seconds end
end

-- The kinds of errors, the most frequent first.
function Summary:kinds()
  local kinds = {}
  for kind in pairs(self.errors) do kinds[#kinds + 1] = kind end
  table.sort(kinds, function(a, b)
    local more, less = self.errors[a], self.errors[b]
    if more == less then return a < b end
    return more > less
  end)
  return kinds
end

function Summary:text(extra) return text.of(self, extra or {}) end

-- ---- as a table for JSON ----

local function encode_series(self)
  local seconds = {}
  for second in pairs(self.series) do seconds[#seconds + 1] = second end
  table.sort(seconds)
  for i, second in ipairs(seconds) do
    seconds[i] = { second, self.series[second][1], self.series[second][2] }
  end
  return #seconds > 0 and seconds or json.empty_array
end

-- extra: further fields, of the run.
function Summary:encode(extra)
  local encoded, us = { version = VERSION }, {}
  for key, value in pairs(extra or {}) do encoded[key] = value end
  for _, name in ipairs(counters) do encoded[name] = self[name] end
  for phase, values in pairs(self.us) do us[phase] = values:encode() end
  encoded.errors, encoded.us, encoded.series = self.errors, us, encode_series(self)
  encoded.step = self.step > 1 and self.step or nil
  encoded.first, encoded.last = self.first, self.last
  encoded.load = self.load
  return encoded
end

local function is_count(value)
  return type(value) == "number" and value >= 0 and value == floor(value)
end

local function decode_series(self, series, step)
  if type(series) ~= "table" or not is_count(step) or step < 1 then return false end
  self.step = step
  for _, entry in ipairs(series) do
    if type(entry) ~= "table" or not (is_count(entry[1]) and is_count(entry[2])
      and is_count(entry[3])) then
      return false
    end
    add_to_series(self, entry[1], entry[2], entry[3])
  end
  widen_series(self, step)
  return true
end

-- Gives true, or nil and a message.
local function decode_histograms(self, us)
  for phase, encoded in pairs(us) do
    local values, message = histogram.decode(encoded)
    if not values then return nil, format("us.%s: %s", phase, message) end
    self.us[phase] = values
  end
  return true
end

-- Gives nil, or the name of a field that is missing or wrong.
local function decode_fields(self, encoded)
  for _, name in ipairs(counters) do
    if not is_count(encoded[name]) then return name end
    self[name] = encoded[name]
  end
  for _, name in ipairs { "errors", "us" } do
    if type(encoded[name]) ~= "table" then return name end
  end
  for kind, count in pairs(encoded.errors) do
    if not is_count(count) then return "errors" end
    self.errors[kind] = count
  end
  if not decode_series(self, encoded.series, encoded.step or 1) then return "series" end
  for _, name in ipairs { "first", "last" } do
    if type(encoded[name]) ~= (self.done > 0 and "number" or "nil") then return name end
    self[name] = encoded[name]
  end
  if not load.is_valid(encoded.load) then return "load" end
  self.load = load.merge(nil, encoded.load)
end

function summary.decode(encoded)
  local self = summary.new()
  if type(encoded) ~= "table" then return nil, "no summary: it is not an object", "EINVAL" end
  if encoded.version ~= VERSION then
    return nil, format("a summary of version %s; this program reads version %d",
      tostring(encoded.version), VERSION), "EINVAL"
  end
  local wrong = decode_fields(self, encoded)
  if wrong then return nil, format("no summary: '%s' is missing or wrong", wrong), "EINVAL" end
  local ok, message = decode_histograms(self, encoded.us)
  if not ok then return nil, message, "EINVAL" end
  return self
end

summary.threshold = threshold.parse

return summary
