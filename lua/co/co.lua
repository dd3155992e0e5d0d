-- SPDX-License-Identifier: MIT
-- The module tcpmulti.co: dialogues that read from top to bottom. The parts in this folder are
-- loaded, in their order, when a script requires the module; each gets the table shared, the module
-- tcpmulti and the table of this module. What one part has for the others stands in shared.co.
--
-- This part: errors. A failure is what the world did wrong, raised by try; a cancellation is what
-- the waits of a cancelled task raise. Both are tables, and neither is a fault of the script.
local shared, tcpmulti, co = ...
local format = string.format

local inner = {}
shared.co = inner

local Failure, Cancelled = {}, {} -- metatables

function Failure:__tostring()
  return format("%s%s (%s)", self.where, self.message, self.errname or "no errname")
end

function Cancelled:__tostring() return "cancelled: " .. self.message end

-- where: "file:line: " or ""
function inner.failure(message, errname, partial, where)
  return setmetatable({
    message = message,
    errname = errname,
    partial = partial,
    where = where or "",
  }, Failure)
end

function inner.cancellation(message, errname)
  return setmetatable({ message = message, errname = errname or "ECANCELED" }, Cancelled)
end

function inner.is_failure(err) return getmetatable(err) == Failure end

function inner.is_cancellation(err) return getmetatable(err) == Cancelled end

local function line_of(level)
  local info = debug.getinfo(level + 1, "Sl")
  if not info or info.currentline <= 0 then return "" end
  return format("%s:%d: ", info.short_src, info.currentline)
end

-- Gives its arguments back, or raises nil, message, errname as a failure.
function co.try(value, message, errname, ...)
  if value ~= nil then return value, message, errname, ... end
  if message ~= nil and type(message) ~= "string" then
    error("try: nil and a message expected, not nil and " .. shared.describe(message), 2)
  end
  error(inner.failure(message or "no result", errname, (...), line_of(2)), 0)
end

-- nil, message, errname of an error that is a failure or a cancellation; else nothing.
function co.failure(err)
  if inner.is_failure(err) or inner.is_cancellation(err) then
    return nil, err.message, err.errname
  end
end

-- Whether an error needs no traceback: failures and cancellations are none of the script's faults,
-- and one traceback is enough.
local function is_traced(err)
  return inner.is_failure(err) or inner.is_cancellation(err)
    or type(err) == "string" and string.find(err, "\nstack traceback:\n", 1, true) ~= nil
end

-- For xpcall: an error with its traceback.
function inner.add_traceback(err)
  if is_traced(err) then return err end
  return debug.traceback(tostring(err), 2)
end

-- An error that has ended a coroutine, with that one's traceback.
function inner.add_traceback_of(thread, err)
  if is_traced(err) then return err end
  return debug.traceback(thread, tostring(err))
end

-- The results of pcall, a failure among them as nil, message, errname, partial. Raises other
-- errors.
function inner.as_result(ok, ...)
  if ok then return ... end
  local err = (...)
  if not inner.is_failure(err) then error(err, 0) end
  return nil, err.message, err.errname, err.partial
end

-- The first of two errors, with the other one appended. Of two failures the result is one, too.
function inner.join_errors(first, err)
  local text, more = tostring(first), tostring(err)
  if string.find(text, more, 1, true) then return first end
  local both = inner.is_failure(first) and inner.is_failure(err)
  if not both then return text .. "\nalso: " .. more end
  local message = first.message .. "\nalso: " .. more
  return inner.failure(message, first.errname, first.partial, first.where)
end

function inner.pack(...) return { n = select("#", ...), ... } end

-- Runs f(…), and gives failures as results.
function inner.protected(f, ...) return inner.as_result(xpcall(f, inner.add_traceback, ...)) end

function inner.check_function(f, name)
  if type(f) == "function" then return end
  error(format("%s: a function expected, not %s", name, shared.describe(f)), 3)
end

-- Seconds as the last argument of a wait, which may be nil. level: of the script's line.
function inner.check_seconds(seconds, name, level)
  if seconds == nil or shared.check.milliseconds(seconds) then return end
  error(format("%s: %s", name, shared.check.wrong_time(seconds)), level + 1)
end

-- A limit in bytes, which may be nil. level: of the script's line.
function inner.check_length(length, name, level)
  if length == nil or type(length) == "number" and length >= 1 then return end
  error(format("%s: a number of bytes, 1 or more, expected, not %s", name,
    shared.describe(length)), level + 1)
end

-- A function of the library that was called by pcall complains without a place.
local function is_placed(err)
  return type(err) ~= "string" or string.find(err, "^[^\n]-:%d+: ") ~= nil
end

local function settle(level, ok, ...)
  if ok then return ... end
  local err = (...)
  error(err, is_placed(err) and 0 or level + 1)
end

-- Raises what a function of the library has complained about, as from the caller's own line.
function inner.complain(err) error(err, is_placed(err) and 0 or 2) end

-- f(…), whose complaints about arguments are raised at that level: 2 is the caller of the function
-- that calls this one.
function inner.raising(level, f, ...) return settle(level, pcall(f, ...)) end

function co.protect(f)
  inner.check_function(f, "protect")
  return function(...) return inner.protected(f, ...) end
end

-- A name that somebody else has given, as messages show it.
function inner.show(name) return tcpmulti.escape(tostring(name)) end
