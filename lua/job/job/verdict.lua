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

-- Called in on_disconnected. now: a time of the monotonic clock. Fields of the result: exception,
-- the text of an error in the script, or nil; outcome, that of the target's task (tasks.lua), or
-- nil; us, the times of a result line.
function verdict.ending(cheap, target, reason, now)
  local op, _, message, errname, timer = cheap:cause()
  local queue, resolve, connect, proxy, tls, first_byte = cheap:times()
  queue = queue or 0
  target.queue = target.queue or target.queued + queue
  return {
    reason = reason,
    op = op,
    message = message,
    errname = errname,
    timer = timers[timer] or timer,
    exception = target.exception,
    outcome = target.outcome,
    received = cheap:received(),
    sent = cheap:sent(),
    us = {
      queue = micro(target.queue),
      resolve = needed(resolve),
      connect = micro(connect),
      proxy = needed(proxy),
      tls = needed(tls),
      first_byte = micro(first_byte),
      total = micro(max(now - target.begun - queue, 0)),
    },
  }
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

-- plan_id: of the plan or stream that the target is from.
function verdict.record(plan_id, target, ending, ok, problem, data)
  return {
    key = plan_id .. ":" .. target.number,
    host = target.host,
    port = target.port,
    addr = target.addr,
    id = target.input and target.input.id,
    ok = ok,
    ["end"] = word_of(ending),
    error = problem,
    attempts = target.attempts,
    time = system.time(),
    us = ending.us,
    ["in"] = ending.received,
    out = ending.sent,
    data = data,
  }
end

return verdict
