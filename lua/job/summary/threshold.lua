-- SPDX-License-Identifier: MIT
-- Thresholds: "METRIC OPERATOR VALUE" about the figures of a summary, like "p99(connect) > 200ms".
local results = require "tcpmulti.results"
local units = require "tcpmulti.units"
local format, match = string.format, string.match

local threshold = {}

-- Each gives the figure, or nil where there are no values.
local figures = {
  done = function(summary) return summary.done end,
  ok = function(summary) return summary.ok end,
  failed = function(summary) return summary.failed end,
  error_rate = function(summary)
    if summary.done > 0 then return summary.failed / summary.done end
  end,
  rate = function(summary) return summary:rate() end,
  dropped = function(summary) return summary.load and summary.load.dropped end,
  unfinished = function(summary) return summary.load and summary.load.unfinished end,
}

-- Readers of the values of figures; the others are counts.
local readers = { error_rate = units.share, rate = units.rate }

local percentiles = { min = 0, median = 50, max = 100 }
local figure_names = { "done", "ok", "failed", "error_rate", "rate", "dropped", "unfinished" }
local function_names = { "errors", "min", "mean", "median", "max", "p50", "p90", "p99" }

local comparisons = {
  ["<"] = function(a, b) return a < b end,
  ["<="] = function(a, b) return a <= b end,
  [">"] = function(a, b) return a > b end,
  [">="] = function(a, b) return a >= b end,
  ["=="] = function(a, b) return a == b end,
  ["!="] = function(a, b) return a ~= b end,
}

local phases = {}
for i, phase in ipairs(results.phases) do phases[i] = phase end
for _, phase in ipairs { "service", "response", "late" } do phases[#phases + 1] = phase end
local is_phase = {}
for _, phase in ipairs(phases) do is_phase[phase] = true end
-- All phases that a summary may have, those of load included.
threshold.phases = phases

local function unknown(word, what, known)
  return nil, format("%s is no %s%s: %s", units.shown(word), what, units.hint(word, known),
    table.concat(known, " "))
end

-- errors(TEXT): how many targets failed by a kind that has the text in it.
local function errors_with(text)
  return function(summary)
    local count = 0
    for kind, of_kind in pairs(summary.errors) do
      if string.find(kind, text, 1, true) then count = count + of_kind end
    end
    return count
  end
end

-- p99(connect), mean(total): a time of a phase, in seconds.
local function time_of(phase, percentile)
  return function(summary)
    local values = summary.us[phase]
    if not values or values.count == 0 then return nil end
    return (percentile and values:percentile(percentile) or values:mean()) / 1e6
  end
end

-- Gives a function that reads the figure, and the reader of its value; nil, message.
local function read_call(name, argument)
  if name == "errors" then return errors_with(argument), units.count end
  local percentile = percentiles[name] or tonumber((match(name, "^p(%d+%.?%d*)$")))
  if not percentile and name ~= "mean" or percentile and percentile > 100 then
    return unknown(name, "metric of a phase", function_names)
  end
  if not is_phase[argument] then return unknown(argument, "phase", phases) end
  return time_of(argument, percentile), units.time
end

local function read_metric(name, argument)
  if argument then return read_call(name, argument) end
  if figures[name] then return figures[name], readers[name] or units.count end
  if percentiles[name] or name == "mean" or name == "errors" or match(name, "^p%d") then
    return nil, format("%s needs a phase or a text in brackets, like p99(connect)",
      units.shown(name))
  end
  return unknown(name, "metric", figure_names)
end

local EXAMPLE = "expected METRIC OPERATOR VALUE, like 'p99(connect) > 200ms' or 'error_rate >= 1%'"

-- Gives name, argument or nil, operator, value; nil: the text has another form.
local function split(text)
  local name, argument, rest = match(text, "^%s*([%w_.]+)%s*(%b())%s*(.*)$")
  if not name then name, rest = match(text, "^%s*([%w_.]+)%s*(.*)$") end
  local operator, value = match(rest or "", "^([<>=!]+)%s*(.-)%s*$")
  if not comparisons[operator] then return nil end
  return name, argument and match(argument, "^%(%s*(.-)%s*%)$"), operator, value
end

-- Gives { text =, check = f(summary) -> hit, figure or nil }; nil, message, "EINVAL".
function threshold.parse(text)
  local name, argument, operator, value_text = split(text)
  if not name then return nil, format("%s: %s", units.shown(text), EXAMPLE), "EINVAL" end
  local figure, reader = read_metric(name, argument)
  if not figure then return nil, format("%s: %s", units.shown(text), reader), "EINVAL" end
  local value, expected = reader(value_text)
  if not value then
    return nil, format("%s: %s: expected %s", units.shown(text), units.shown(value_text),
      expected), "EINVAL"
  end
  local compare = comparisons[operator]
  local function check(summary)
    local found = figure(summary)
    return found ~= nil and compare(found, value), found
  end
  return { text = text, check = check, is_time = reader == units.time,
    is_share = reader == units.share }
end

-- A figure that a threshold has found, for people.
function threshold.show(text, found)
  local parsed = threshold.parse(text)
  if found == nil then return "no values" end
  if parsed and parsed.is_time then return units.show_time(found * 1e6) end
  if parsed and parsed.is_share then return format("%.3g %%", found * 100) end
  return format(found % 1 == 0 and "%.0f" or "%.4g", found)
end

return threshold
