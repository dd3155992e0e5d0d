-- SPDX-License-Identifier: MIT
-- Result lines: one JSON object for each target, with its fields in a fixed order, so that equal
-- results are equal bytes. The lines are the only truth: from them it is known which targets are
-- done, and every figure of a summary.
local json = require "tcpmulti.json"
local open_line = require "tcpmulti.results.line"
local parse = require "tcpmulti.results.parse"
local sink = require "tcpmulti.results.sink"
local floor = math.floor
local format, match = string.format, string.match

local results = {}

-- Steps of an attempt, in the order in which a line has them.
results.phases = { "queue", "resolve", "connect", "proxy", "tls", "first_byte", "total" }

-- The time of a line: whole milliseconds, like those that are written.
local function milliseconds(seconds) return floor(seconds * 1000 + 0.5) end

function results.round(seconds) return milliseconds(seconds) / 1000 end

local write_line = open_line(json.null, json.empty_array, format)

-- record: the fields of the line, as a table. Raises if the data cannot be written.
function results.line(record)
  local us = record.us
  return write_line(record.key, record.host, record.port, record.addr, record.id, record.ok,
    record["end"], record.error, record.attempts, milliseconds(record.time), record["in"],
    record.out, record.data, us.queue, us.resolve, us.connect, us.proxy, us.tls, us.first_byte,
    us.total)
end

-- An id may be an object too, but none with an "ok" before an "end", as keys are sorted.
local JUDGED = '"ok":(%l+),"end":".-"attempts":%d+,"time":([%d.]+),"us":{'

local function judge(line)
  local ok, time = match(line, JUDGED)
  return ok == "true", tonumber(time) or math.huge
end

function results.is_ok(line) return (judge(line)) end

-- Gives the line of a target that stays, of two: a success before a failure, then the earlier, then
-- the lesser bytes. That is a total order, so merging is commutative, associative and idempotent.
function results.better(a, b)
  local a_ok, a_time = judge(a)
  local b_ok, b_time = judge(b)
  if a_ok ~= b_ok then return a_ok and a or b end
  if a_time ~= b_time then return a_time < b_time and a or b end
  return a <= b and a or b
end

results.open, results.parse = sink.open, parse.line

return results
