-- SPDX-License-Identifier: MIT
---@meta tcpmulti.summary
-- The reference of the module tcpmulti.summary: the figures of a run, a fold over its result lines.
-- Added in any order and merged in any grouping, equal lines give equal summaries.

---@class tcpmulti.summary
local summary = {}

---@return tcpmulti.summary.Summary
function summary.new() end

-- The summary that encode has written. nil, message, "EINVAL": it is none, or of another version.
---@param encoded any
---@return tcpmulti.summary.Summary? summary, string? message, string? errname
function summary.decode(encoded) end

-- A threshold, "METRIC OPERATOR VALUE". Operators: < <= > >= == !=. Metrics: done ok failed
-- error_rate rate dropped unfinished errors(TEXT), and min mean median max pN of a phase, as
-- p99(connect). check gives the figure too; nil: there are no values. nil, message, "EINVAL": the
-- text is no threshold.
---@param text string
---@return { text: string, check: fun(summary: tcpmulti.summary.Summary): boolean, number? }? threshold
---@return string? message, string? errname
function summary.threshold(text) end

---@class tcpmulti.summary.Summary
---@field done integer
---@field ok integer
---@field failed integer
---@field attempts integer
---@field errors table<string, integer> Failed targets, or requests, by kind, like "read ETIMEDOUT".
---@field us table<string, tcpmulti.histogram.Histogram> Times by phase.
---@field first? number The time of the earliest line.
---@field last? number
---@field load? tcpmulti.summary.Load
local Summary = {}

-- What a summary says of a load beside the requests that were answered. Those of two loads that ran
-- side by side add up.
---@class tcpmulti.summary.Load
---@field wanted number Requests in a second; 0: as fast as answers came.
---@field reached number Good answers in a second.
---@field dropped integer Requests that were never sent, because they had waited too long.
---@field unfinished integer Requests that were not answered in time.
---@field duration number Seconds that were measured.
---@field warm_up number Seconds before that.

-- Adds a record, or a line that was decoded.
---@param record tcpmulti.results.Record
function Summary:add(record) end

-- Counts requests, which have no lines: so many have finished at this time, in seconds since 1970,
-- and so many of them have failed.
---@param time number
---@param finished integer
---@param failed integer
function Summary:count(time, finished, failed) end

-- Counts an error of this kind.
---@param kind string
function Summary:count_error(kind) end

-- The times of a phase, to record into; made where there are none.
---@param phase string
---@return tcpmulti.histogram.Histogram
function Summary:histogram(phase) end

-- Adds another summary, and gives this one.
---@param other tcpmulti.summary.Summary
---@return tcpmulti.summary.Summary
function Summary:merge(other) end

-- Seconds in which anything finished, at most the time from the first line to the last.
---@return number
function Summary:seconds() end

-- Targets per second; nil: too few to tell.
---@return number?
function Summary:rate() end

-- The kinds of errors, the most frequent first.
---@return string[]
function Summary:kinds() end

-- A table for JSON. extra: further fields, of the run.
---@param extra? table
---@return table
function Summary:encode(extra) end

-- Lines for a terminal, without a newline at the end.
---@param extra? table As for encode.
---@return string
function Summary:text(extra) end

return summary
