-- SPDX-License-Identifier: MIT
-- How an attempt has ended, what that says about its target, and the record of a result line.
local system = require "tcpmulti.job.system"
local floor, max = math.floor, math.max
local match = string.match

local verdict = {}

-- The names of timers in result lines, where they differ from those of cause().
local timers = { input = "idle", deadline = "total" }

-- ---- the end of an attempt ----

local function micro(seconds) return seconds and floor(seconds * 1e6 + 0.5) end

-- A step that a target does not need takes no time, and is not told.
local function needed(seconds) return seconds and seconds > 0 and micro(seconds) or nil end

-- A table for verdict.ending, with all its fields, since a table that grows is built again.
function verdict.new_ending()
  return { reason = false, op = false, message = false, errname = false, timer = false,
    exception = false, outcome = false, received = 0, sent = 0,
    us = { queue = 0, resolve = 0, connect = 0, proxy = 0, tls = 0, first_byte = 0, total = 0 } }
end

-- Called in on_disconnected. Fills the ending, and gives it. now: a time of the monotonic clock.
-- exception: the text of an error in the script, or nil; outcome: that of the target's task
-- (tasks.lua), or nil; us: the times of a result line.
function verdict.ending(ending, cheap, target, reason, now)
  local received, sent, queue, resolve, connect, proxy, tls, first_byte, _, op, _, message,
    errname, timer = cheap:figures()
  local us = ending.us
  queue = queue or 0
  target.queue = target.queue or target.queued + queue
  ending.reason, ending.op, ending.message, ending.errname = reason, op, message, errname
  ending.timer = timers[timer] or timer
  ending.exception, ending.outcome = target.exception, target.outcome
  ending.received, ending.sent = received, sent
  us.queue, us.resolve, us.connect = micro(target.queue), needed(resolve), micro(connect)
  us.proxy, us.tls, us.first_byte = needed(proxy), needed(tls), micro(first_byte)
  us.total = micro(max(now - target.begun - queue, 0))
  return ending
end

-- ---- the verdict ----

-- For xpcall: an error of the script, of any type, with its traceback.
function verdict.traceback(err) return debug.traceback(tostring(err), 2) end

-- An error of the script, as the error of a result line. text: with its traceback.
function verdict.script_error(text)
  return { op = "script", name = "ESCRIPT", text = match(text, "^[^\n]*") }
end

-- eof_is_error: the peer may not be the first to end. Gives ok, and the error if it is false.
function verdict.judge(ending, eof_is_error)
  local reason, outcome = ending.reason, ending.outcome
  if ending.exception then return false, verdict.script_error(ending.exception) end
  if outcome and outcome.failed then
    return false, { op = ending.op or "fail", name = outcome.errname or "EPROTO",
      text = outcome.message }
  end
  if outcome or reason == "shutdown" or reason == "eof" and not eof_is_error then return true end
  return false, { op = ending.op, name = ending.errname, text = ending.message,
    timer = ending.timer }
end

-- The verdict after the function result of the script has been heard. Gives ok and the error.
function verdict.overrule(ok, problem, said, message)
  if said == nil then return ok, problem end
  if said then return true, nil end
  if problem and not message then return false, problem end
  local text = tostring(message or "refused by the script")
  return false, { op = "fail", name = "EPROTO", text = text }
end

-- ---- the record ----

-- An attempt that a task has ended by a failure or an error did not end by a shutdown.
local function word_of(ending)
  local outcome = ending.outcome
  if ending.reason == "shutdown" and outcome and (outcome.failed or outcome.exception) then
    return "error"
  end
  return ending.reason
end

-- A table for verdict.record, with all its fields.
function verdict.new_record()
  return { key = "", host = "", port = 0, addr = "", id = false, ok = false, ["end"] = "",
    error = false, attempts = 0, time = 0, us = false, ["in"] = 0, out = 0, data = false }
end

-- Fills the record of a result line, and gives it.
function verdict.record(record, target, ending, ok, problem, data)
  record.key, record.host, record.port, record.addr = target.key, target.host, target.port,
    target.addr
  record.id = target.input and target.input.id
  record.ok, record["end"], record.error = ok, word_of(ending), problem
  record.attempts, record.time, record.us = target.attempts, system.time(), ending.us
  record["in"], record.out, record.data = ending.received, ending.sent, data
  return record
end

return verdict
