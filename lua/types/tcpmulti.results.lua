-- SPDX-License-Identifier: MIT
---@meta tcpmulti.results
-- The reference of the module tcpmulti.results: the result lines of a job, one for each target.

---@class tcpmulti.results
local results = {}

-- The steps of an attempt, in the order in which a line has them.
---@type string[]
results.phases = {}

-- A result, with the fields of its line.
---@class tcpmulti.results.Record
---@field key string "PLAN:NUMBER" of the target.
---@field host string
---@field port integer
---@field addr? string The numeric address, once connected.
---@field id? any That of the target's line.
---@field ok boolean
---@field end "shutdown"|"eof"|"failure"|"error"|"timeout"
---@field error? { op: string, name: string, text: string, timer?: string, local?: boolean }
---@field attempts integer
---@field time number The clock at the end, in seconds.
---@field us table<string, integer> Microseconds by phase, of the last attempt.
---@field in integer Bytes received.
---@field out integer Bytes sent.
---@field data? table

-- The line of a record, with its newline. Raises if the data cannot be written as JSON.
---@param record tcpmulti.results.Record
---@return string
function results.line(record) end

-- Reads a line, with its "\n" or without. nil: it is no result line, or a damaged one.
---@param line string
---@return tcpmulti.results.Record? record, string? plan_id, string? number
function results.parse(line) end

-- Whether the verdict of a line is good.
---@param line string
---@return boolean
function results.is_ok(line) end

-- Which of two lines of one target stays: the ok one, else the earlier, else the lesser bytes.
---@param a string
---@param b string
---@return string
function results.better(a, b) end

-- A time as lines have it, in whole milliseconds.
---@param seconds number
---@return number
function results.round(seconds) end

-- Opens a file that this process alone writes; nil or "-" is standard output. now gives the time
-- for due, in seconds. nil, message, "EEXIST": the file has results, and neither resume nor
-- overwrite is given; "EBUSY": another process writes it; or another error of the system.
---@param path? string
---@param options? { resume?: boolean, overwrite?: boolean, now?: fun(): number }
---@return tcpmulti.results.Sink? sink, string? message, string? errname
function results.open(path, options) end

---@class tcpmulti.results.Sink
---@field written integer Whole lines that are written.
local Sink = {}

-- Takes a line, and writes when there is enough. nil, message, "ENOSPC", "EIO" and so on: the
-- output cannot be written; a file ends with its last whole line then.
---@param line string
---@return true? ok, string? message, string? errname
function Sink:write(line) end

-- Writes what there is. "full": a slow reader has left something.
---@return true? ok, string? full_or_message, string? errname
function Sink:flush() end

-- Whether lines have waited for 0.2 s.
---@return boolean
function Sink:due() end

-- Whether more than 1 MiB waits, so that nothing more should be begun.
---@return boolean
function Sink:full() end

-- Writes what is left, however long the reader takes, and closes the file.
---@param sync? boolean The file is on the disk after that.
---@return true? ok, string? message, string? errname
function Sink:close(sync) end

-- Calls f for each whole line of the plan, and then cuts off a last line that is torn. f may give a
-- message: then the file is left as it is. on_damaged hears of damaged lines. nil, message,
-- "EINVAL": the file has results of another plan, or f has given the message.
---@param plan_id string
---@param f fun(number: integer, record: tcpmulti.results.Record, line: string): string?
---@param on_damaged? fun(number: integer, line: string)
---@return integer? lines, integer|string damaged_or_message, integer|string torn_bytes_or_errname
function Sink:replay(plan_id, f, on_damaged) end

return results
