-- SPDX-License-Identifier: MIT
-- A summary as text for a terminal.
local threshold = require "tcpmulti.summary.threshold"
local units = require "tcpmulti.units"
local count_of, format = units.count_of, string.format

local text = {}

local MAX_KINDS = 10
local COLUMNS = "  %-10s %9s %9s %9s %9s %9s %9s"

-- Reasons why a run has ended early, in words.
local reasons = {
  signal = "by a signal",
  max_time = "by --max-time",
  output = "because the output could not be written",
  worker = "because a worker ended",
  parts = "because parts are missing",
  exceptions = "because of errors in the script",
}

local function add(lines, ...) lines[#lines + 1] = format(...) end

-- "8 targets in 4.00 s": how many have finished, and in what time; those of an earlier run apart.
function text.finished(summary, extra)
  local seconds, before = extra.seconds or summary:seconds(), extra.before or 0
  local all, count = count_of(summary.done, text.noun(summary)), summary.done - before
  if before > 0 and count == 0 then return all .. ", all done before", 0, 0 end
  if before > 0 then all = format("%s, %.0f done before and %.0f", all, before, count) end
  return format("%s in %.2f s", all, seconds), count, seconds
end

local function add_head(lines, summary, extra)
  local finished, count, seconds = text.finished(summary, extra)
  local rate = seconds > 0 and format(", %.0f/s", count / seconds) or ""
  add(lines, "%s%s: %.0f ok, %.0f failed", finished, rate, summary.ok, summary.failed)
  for _, line in ipairs(text.of_load(summary)) do add(lines, "  %s", line) end
  if extra.partial then add(lines, "  %s", text.cut_short(summary, extra)) end
  local notes = text.notes(extra)
  if notes ~= "" then add(lines, "  %s", notes) end
end

-- The noun for that which a summary counts.
function text.noun(summary) return summary.load and "request" or "target" end

local CLOSED = { "as fast as answers came: a slow server slows the requests too,",
  "so that an overload does not show" }

-- Lines about a load: an empty list if it is none.
function text.of_load(summary)
  local load = summary.load
  if not load then return {} end
  if load.wanted == 0 then
    return { format("answered well %.5g/s, %.0f unfinished,", load.reached, load.unfinished),
      unpack(CLOSED) }
  end
  return { format("wanted %.5g/s, answered well %.5g/s: %.0f dropped, %.0f unfinished", load.wanted,
    load.reached, load.dropped, load.unfinished) }
end

-- How a run ended early.
function text.cut_short(summary, extra)
  local left = extra.total and format(", %.0f not done", extra.total - summary.done) or ""
  local cut = summary.load and "" or format(": %.0f cut", extra.cut or 0)
  return format("cut short %s%s%s", reasons[extra.reason] or tostring(extra.reason), cut, left)
end

-- Counts of all that was left out, or went wrong beside the targets, or "".
function text.notes(extra)
  local targets, notes = extra.targets or {}, {}
  local function note(count, noun, words)
    if count and count > 0 then notes[#notes + 1] = count_of(count, noun) .. (words or "") end
  end

  note(extra.retries, "further attempt")
  note(targets.excluded, "target", " excluded")
  note(targets.duplicates, "duplicate", " left out")
  note(targets.malformed, "malformed line")
  note(extra.exceptions, "error", " in the script")
  return table.concat(notes, ", ")
end

local function add_errors(lines, summary)
  local kinds = summary:kinds()
  for i, kind in ipairs(kinds) do
    if i > MAX_KINDS then
      add(lines, "           and %s", count_of(#kinds - MAX_KINDS, "further kind"))
      return
    end
    add(lines, "  %7.0f  %s", summary.errors[kind], kind)
  end
end

local function add_times(lines, summary)
  local has_head = false
  for _, phase in ipairs(threshold.phases) do
    local values = summary.us[phase]
    if values and values.count > 0 then
      if not has_head then
        add(lines, COLUMNS, "", "least", "median", "90 %", "99 %", "99.9 %", "longest")
        has_head = true
      end
      local function at(percentile) return units.show_time(values:percentile(percentile)) end
      add(lines, COLUMNS, phase, at(0), at(50), at(90), at(99), at(99.9), at(100))
    end
  end
end

local function add_thresholds(lines, thresholds)
  for _, one in ipairs(thresholds or {}) do
    local found = threshold.show(one.fail_if, one.value)
    add(lines, "  %s: %s (%s)", one.failed and "FAILED" or "passed", one.fail_if, found)
  end
end

-- Without a newline at the end.
function text.of(summary, extra)
  local lines = {}
  add_head(lines, summary, extra)
  add_errors(lines, summary)
  add_times(lines, summary)
  add_thresholds(lines, extra.thresholds)
  return table.concat(lines, "\n")
end

return text
