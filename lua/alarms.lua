-- SPDX-License-Identifier: MIT
-- Alarms of sessions and of connections, and beats. The core runs their tasks; names, and what was
-- given with them, are kept here.
--
-- A task of an alarm is one of states.lua, and: alarm, its number; time, of the clock, at which it
-- is due; names, the table in which it stands under its state's name. A beat has no time, but
-- every, the seconds between two, and due, when the last one was, by tcpmulti.now().
local shared, tcpmulti = ...
local check, PRIVATE = shared.check, shared.PRIVATE
local format = string.format
local now = tcpmulti.now
local methods = shared.session_methods
local checks = shared.state_checks
local check_session, check_state, check_known = checks.session, checks.state, checks.known
local is_known, name_of = checks.is_known, checks.name_of

-- The task of an alarm is over: forgets its name and number.
local function forget(private, task)
  local names = task.names
  if names and names[task.state] == task then names[task.state] = nil end
  private.alarms[task.alarm] = nil
end

shared.forget_alarm = forget

local function check_delay(seconds, name)
  local ns = check.nanoseconds(seconds)
  if not ns then
    error(format("%s: %s", name, check.wrong_time(seconds)), 3)
  end
  return ns
end

-- Starts an alarm; gives its number, or nil, message, errname.
local function start(session, seconds, ns, task)
  task.alarm, task.time = 0, shared.time() + seconds
  return shared.delay(session, ns, task, session[PRIVATE].alarms)
end

-- Removes the alarm of a task. False: it has gone off, or has been dropped.
local function remove(session, task)
  forget(session[PRIVATE], task)
  return shared.remove(session, task.alarm)
end

-- Sets the alarm of a state among names, in place of an earlier one; ns nil: only removes that.
-- delay is shared.delay with a session as subject, or shared.cheap_delay with a cheap.
local function replace(session, names, delay, subject, alarms, ns, task)
  local earlier = names[task.state]
  local removed = earlier and remove(session, earlier)
  if not ns then
    if removed then return true end
    return nil, format("no alarm of state '%s'", name_of(task.state)), "ESRCH"
  end
  task.alarm, task.names = 0, names
  local number, message, errname = delay(subject, ns, task, alarms)
  if not number then return nil, message, errname end
  names[task.state] = task
  return true
end

function methods.delay(session, state, seconds, ...)
  check_session(session, "delay")
  check_state(state, "delay")
  local ns = seconds ~= nil and check_delay(seconds, "delay")
  check_known(session, state, "delay")
  local private = session[PRIVATE]
  return replace(session, private.names, shared.delay, session, private.alarms, ns,
    { state = state, n = select("#", ...), time = ns and shared.time() + seconds, ... })
end

function methods.delay_set(session, state, seconds, ...)
  check_session(session, "delay_set")
  check_state(state, "delay_set")
  local ns = check_delay(seconds, "delay_set")
  check_known(session, state, "delay_set")
  return start(session, seconds, ns, { state = state, n = select("#", ...), ... })
end

function methods.alarm_set(session, state, epoch, ...)
  check_session(session, "alarm_set")
  check_state(state, "alarm_set")
  local seconds = type(epoch) == "number" and epoch - shared.time() or epoch
  local ns = check.nanoseconds(seconds)
  if not ns then error("alarm_set: " .. check.wrong_epoch(epoch), 2) end
  check_known(session, state, "alarm_set")
  return start(session, seconds, ns, { state = state, n = select("#", ...), ... })
end

function methods.every(session, state, seconds, ...)
  check_session(session, "every")
  check_state(state, "every")
  local ns, expected = check.period(seconds)
  if not ns then
    error(format("every: the time must be %s, not %s", expected, check.describe(seconds)), 2)
  end
  check_known(session, state, "every")
  local task = { state = state, n = select("#", ...), every = seconds, due = now(), alarm = 0, ... }
  return shared.every(session, ns, task, session[PRIVATE].alarms)
end

local function no_alarm(number)
  return nil, format("no alarm %s", check.describe(number)), "ESRCH"
end

function methods.delay_adjust(session, number, seconds)
  check_session(session, "delay_adjust")
  local ns = check_delay(seconds, "delay_adjust")
  local task = number ~= nil and session[PRIVATE].alarms[number]
  if task and task.every then
    return nil, format("alarm %.0f is a beat of every, which is not moved", number), "EINVAL"
  end
  if not task or not shared.adjust(session, task.alarm, ns) then return no_alarm(number) end
  task.time = shared.time() + seconds
  return true
end

-- The clock's time at which it would have run next.
local function time_of(task)
  return task.every and shared.time() + task.due + task.every - now() or task.time
end

function methods.alarm_remove(session, number)
  check_session(session, "alarm_remove")
  local task = number ~= nil and session[PRIVATE].alarms[number]
  if not task or not remove(session, task) then return no_alarm(number) end
  return task.state, time_of(task), unpack(task, 1, task.n)
end

function methods.alarm_remove_all(session)
  check_session(session, "alarm_remove_all")
  local list, removed = {}, {}
  for _, task in pairs(session[PRIVATE].alarms) do list[#list + 1] = task end
  for _, task in ipairs(list) do task.time = time_of(task) end
  table.sort(list, function(a, b) return a.time < b.time end)
  for _, task in ipairs(list) do
    if remove(session, task) then
      removed[#removed + 1] = { task.state, task.time, unpack(task, 1, task.n) }
    end
  end
  return removed
end

-- Alarms of connections. The names of one are kept alive by its alarms only: [cheap] = names.
local names_of = setmetatable({}, { __mode = "kv" })

local session_of, phase_of = shared.cheap_methods.session, shared.cheap_methods.phase
local fetch = methods.fetch

local function check_cheap(cheap, name)
  if cheap == tcpmulti then error(check.colon(name), 3) end
  if type(cheap) ~= "table" or type(rawget(cheap, 0)) ~= "number" or rawget(cheap, 0) < 0 then
    error(format("%s: connection heap expected (a dot instead of a colon?), not %s; the %s of a "
      .. "session is session:%s(...)", name, check.describe(cheap), name, name), 3)
  end
end

local function cheap_delay(cheap, state, seconds, ...)
  check_cheap(cheap, "delay")
  check_state(state, "delay")
  local ns = seconds ~= nil and check_delay(seconds, "delay")
  local session, message, errname = session_of(cheap)
  if not session then return nil, message, errname end
  if not is_known(session, state) and phase_of(cheap) ~= "shutting" then
    check_known(session, state, "delay")
  end
  cheap = fetch(session, cheap)
  local names = names_of[cheap] or {}
  local ok
  ok, message, errname = replace(session, names, shared.cheap_delay, cheap, nil, ns,
    { state = state, n = select("#", ...), time = ns and shared.time() + seconds, ... })
  if not ok then return nil, message, errname end
  names_of[cheap] = names
  return true
end

shared.cheap_methods.delay = cheap_delay
tcpmulti.delay = cheap_delay
