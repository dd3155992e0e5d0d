-- SPDX-License-Identifier: MIT
-- Sessions beyond their connections: named states, what is queued for them, aliases, signals and
-- standard input. The core runs tasks; the names are kept here. Alarms: alarms.lua.
--
-- A task is a table: state, and the arguments from 1 to n.
local shared, tcpmulti = ...
local check = shared.check
local format, gsub = string.format, string.gsub

local PRIVATE = {} -- a session keeps what only the library needs under this key, nobody else's
shared.PRIVATE = PRIVATE
local BUILT_IN = { connect = true, send = true, shutdown = true, die = true }

local methods = shared.session_methods
local session_metatable = { __index = methods }
shared.session_metatable = session_metatable

local count_of = methods.count

function session_metatable.__tostring(session)
  local private = type(session) == "table" and session[PRIVATE]
  if not private then return "tcpmulti session (none)" end
  local name = private.alias and check.escape(private.alias) or format("%.0f", private.number)
  local count = count_of(session)
  return format("tcpmulti session %s (%s, %.0f connection%s)", name, shared.state(session), count,
    count == 1 and "" or "s")
end

-- A session's fields are the script's own, but for those that only create reads.
function session_metatable.__newindex(session, key, value)
  local problem = shared.misplaced(key, value)
  if problem then error("session." .. problem, 2) end
  rawset(session, key, value)
end

-- ---- reading the states that create is given ----

-- Adds states from pairs of an object and { event, … } or { event = method }. The state is a
-- function that looks the method up when it is called.
local function add_pairs(what, list, states, ignored, with_object)
  local count = 0
  for _ in pairs(list) do count = count + 1 end
  if count % 2 ~= 0 or count ~= #list then
    return nil, what .. " must hold pairs of a table and its events: { object, { 'event' } }"
  end
  for i = 1, #list, 2 do
    local object, events = list[i], list[i + 1]
    if type(object) ~= "table" and type(object) ~= "userdata" or type(events) ~= "table" then
      return nil, format("%s: entry %d must be an object and a table of events", what, i)
    end
    for key, method in pairs(events) do
      local event = type(key) == "number" and method or key
      if type(event) ~= "string" or type(method) ~= "string" then
        return nil, format("%s: entry %d: events and methods are strings", what, i)
      end
      if type(object[method]) ~= "function" then
        return nil, format("%s: there is no method %s for event %s", what, check.describe(method),
          check.describe(event))
      end
      if BUILT_IN[event] then
        ignored[event] = true
      elseif with_object then
        states[event] = function(session, ...) return object[method](object, session, ...) end
      else
        states[event] = function(session, ...) return object[method](session, ...) end
      end
    end
  end
  return true
end

local function add_inline(list, states, ignored)
  for name, handler in pairs(list) do
    if type(name) ~= "string" then
      return nil, "tcpmulti.create: inline_states: states have names, like { ready = f }; "
        .. check.describe(handler) .. " has none"
    end
    if type(handler) ~= "function" then
      return nil, format("tcpmulti.create: inline_states: %s must be a function, not %s",
        check.describe(name), check.describe(handler))
    end
    if BUILT_IN[name] then
      ignored[name] = true
    else
      states[name] = handler
    end
  end
  return true
end

local function warn_ignored(ignored)
  local names = {}
  for name in pairs(ignored) do names[#names + 1] = name end
  if #names == 0 then return end
  table.sort(names)
  shared.warn(format("states named %s are built in; those given to create are ignored",
    table.concat(names, ", ")))
end

-- Returns a table of functions by name, each called f(session, …). Where a name is given twice, an
-- inline state wins over an object's, and that over a package's.
function shared.read_states(options)
  local states, ignored = {}, {}
  local ok, message = add_pairs("tcpmulti.create: package_states", options.package_states or {},
    states, ignored, false)
  if ok then
    ok, message = add_pairs("tcpmulti.create: object_states", options.object_states or {}, states,
      ignored, true)
  end
  if ok then ok, message = add_inline(options.inline_states or {}, states, ignored) end
  if not ok then return nil, message end
  for name in pairs(BUILT_IN) do states[name] = methods[name] end
  warn_ignored(ignored)
  return states
end

-- ---- running states ----

local function name_of(state)
  return check.escape(type(state) == "string" and state or tostring(state))
end

-- The session in warnings, as in the trace of its connections: its number, and its alias.
local function label(private)
  local alias = private.alias and format(" (%s)", check.escape(private.alias)) or ""
  return format("session %.0f%s", private.number, alias)
end

shared.session_label = label

local function run(session, private, state, ...)
  if private.trace then
    shared.warn(format("%s: state %s", label(private), name_of(state)))
  end
  local handler = type(state) == "function" and state or private.states[state]
  if handler then return handler(session, ...) end
  local default = private.states._default
  if default then return default(session, state, { ... }) end
  if private.warn then
    shared.warn(format("%s: there is no state named '%s'", label(private), name_of(state)))
  end
  return nil, format("no state named '%s'", name_of(state)), "ESRCH"
end

-- subject: the connection of an alarm, or when a beat was due, or nil.
function shared.dispatch(session, task, subject, ticks)
  local private = session[PRIVATE]
  if ticks then
    task.due = subject
    return run(session, private, task.state, subject, ticks, unpack(task, 1, task.n))
  end
  if task.alarm then shared.forget_alarm(private, task) end
  if subject then return run(session, private, task.state, subject, unpack(task, 1, task.n)) end
  return run(session, private, task.state, unpack(task, 1, task.n))
end

function shared.stopped(session, tally)
  local private = session[PRIVATE]
  private.tally = tally
  if private.trace then shared.warn(format("%s: state _stop", label(private))) end
  local stop = private.states._stop
  if stop then stop(session) end
end

function shared.input_line(session, task, line, ...)
  return run(session, session[PRIVATE], task.state, line, ...)
end

local function check_session(session, name)
  if getmetatable(session) ~= session_metatable or not session[PRIVATE] then
    error(format("%s: session expected (a dot instead of a colon?), not %s", name,
      check.describe(session)), 3)
  end
end

-- The message about a state that the session does not have. nil: there is nothing to complain
-- about, since the session has _default or the option default, or it has ended and answers that.
local function missing_state(session, state)
  local private = session[PRIVATE]
  if private.states._default or private.warn or shared.state(session) ~= "live" then return nil end
  local nearest = check.nearest(state, private.states)
  return format("there is no state named '%s'%s", name_of(state),
    nearest and check.hint(name_of(nearest))
      or "; states are given to tcpmulti.create, as inline_states")
end

local function check_state(state, name)
  if type(state) ~= "string" and type(state) ~= "function" then
    error(format("%s: the state must be a name or a function, not %s", name,
      check.describe(state)), 3)
  end
end

local function is_known(session, state)
  return type(state) == "function" or session[PRIVATE].states[state] ~= nil
end

-- Raises unless the session has the state. The last check of a call that names one.
local function check_known(session, state, name)
  if is_known(session, state) then return end
  local problem = missing_state(session, state)
  if problem then error(format("%s: %s", name, problem), 3) end
end

-- For alarms.lua; they raise at the line that has called the caller.
shared.state_checks = {
  session = check_session,
  state = check_state,
  known = check_known,
  is_known = is_known,
  name_of = name_of,
}

local function post(session, state, ...)
  return shared.post(session, { state = state, n = select("#", ...), ... })
end

local function call(session, state, ...)
  return shared.as(session, run, session, session[PRIVATE], state, ...)
end

function methods.yield(session, state, ...)
  check_session(session, "yield")
  check_state(state, "yield")
  check_known(session, state, "yield")
  return post(session, state, ...)
end

function methods.call(session, state, ...)
  check_session(session, "call")
  check_state(state, "call")
  check_known(session, state, "call")
  return call(session, state, ...)
end

-- Answers in _stop and after it too: most scripts ask when everything is over.
function methods.tally(session)
  check_session(session, "tally")
  local tally = shared.tally(session) or session[PRIVATE].tally
  if not tally then return nil, "session has stopped", "ESHUTDOWN" end
  return tally
end

-- ---- aliases ----

local aliases = setmetatable({}, { __mode = "v" })

-- The session that has this alias; a dying session has lost its aliases.
function shared.find_alias(name)
  local session = aliases[name]
  return session and shared.state(session) == "live" and session or nil
end

-- The field session.alias is for reading only: writing to it changes nothing.
function shared.set_alias(session, name)
  if shared.find_alias(name) ~= session then shared.hold(session) end
  aliases[name] = session
  session[PRIVATE].alias = name
  shared.call_it(session, check.escape(name))
  rawset(session, "alias", name)
end

local function find_session(destination)
  if getmetatable(destination) == session_metatable and destination[PRIVATE] then
    return destination
  end
  return type(destination) == "string" and shared.find_alias(destination) or nil
end

local function no_session(destination)
  if type(destination) == "table" then
    return nil, "no session: an alias or a session expected, not " .. check.describe(destination),
      "ESRCH"
  end
  return nil, format("no session %s", check.describe(destination)), "ESRCH"
end

-- The other session may be another script's: an unknown state is a result, not an error.
function tcpmulti.post(destination, state, ...)
  if destination == tcpmulti then error(check.colon "post", 2) end
  check_state(state, "post")
  local session = find_session(destination)
  if not session then return no_session(destination) end
  local missing = not is_known(session, state) and missing_state(session, state)
  if missing then return nil, missing, "ESRCH" end
  return post(session, state, ...)
end

function tcpmulti.call(destination, state, ...)
  if destination == tcpmulti then error(check.colon "call", 2) end
  check_state(state, "call")
  local session = find_session(destination)
  if not session then return no_session(destination) end
  check_known(session, state, "call")
  return call(session, state, ...)
end

local function over(session)
  local state = shared.state(session)
  if state == "live" then return false end
  return true, state == "dying" and "session is dying" or "session has stopped"
end

function methods.alias_set(session, name)
  check_session(session, "alias_set")
  local alias, expected = check.name(name)
  if not alias then error("alias_set: the alias must be " .. expected, 2) end
  local ended, why = over(session)
  if ended then return nil, why, "ESHUTDOWN" end
  local owner = shared.find_alias(name)
  if owner and owner ~= session then
    return nil, format("alias %s is taken", check.describe(name)), "EEXIST"
  end
  shared.set_alias(session, name)
  return true
end

function methods.alias_remove(session, name)
  check_session(session, "alias_remove")
  local ended, why = over(session)
  if ended then return nil, why, "ESHUTDOWN" end
  if shared.find_alias(name) ~= session then
    return nil, format("the session has no alias %s", check.describe(name)), "ESRCH"
  end
  aliases[name] = nil
  shared.release(session)
  local private = session[PRIVATE]
  if private.alias == name then
    private.alias = nil
    shared.call_it(session, nil)
    session.alias = nil
  end
  return true
end

-- ---- signals and standard input ----

local signals = shared.signals()

function methods.sig(session, name, state)
  check_session(session, "sig")
  if type(name) ~= "string" then
    error("sig: the signal must be a name like 'INT', not " .. check.describe(name), 2)
  end
  local short = gsub(name, "^SIG", "")
  if not signals[short] then error("sig: " .. check.unknown_signal(name, signals), 2) end
  if state == nil then return shared.sig(session, short) end
  check_state(state, "sig")
  check_known(session, state, "sig")
  return shared.sig(session, short, { state = state, n = 1, short })
end

local positive = check.whole(1)

function methods.stdin(session, state, max_length)
  check_session(session, "stdin")
  if state then check_state(state, "stdin") end
  if max_length ~= nil and not positive(max_length) then
    error("stdin: max_length must be a whole number, 1 or more, not "
      .. check.describe(max_length), 2)
  end
  if state then check_known(session, state, "stdin") end
  return shared.stdin(session, state and { state = state } or state, max_length)
end

-- ---- cheaps ----

-- The metatable of cheaps under options.assert: a field that would hide a method is an error.
shared.strict_metatable = {
  __index = shared.cheap_methods,
  __tostring = shared.cheap_tostring,
  __newindex = function(cheap, key, value)
    if shared.cheap_methods[key] ~= nil then
      error(format("field '%s' hides a method of the connection", key), 2)
    end
    local problem = type(value) == "function" and shared.misplaced(key, value)
    if problem then error("cheap." .. problem, 2) end
    rawset(cheap, key, value)
  end,
}

for perl, name in pairs(shared.aliases.methods) do
  shared.cheap_methods[perl] = shared.cheap_methods[name]
  tcpmulti[perl] = shared.cheap_methods[name]
end

-- These module functions take any connection of this Lua state.
tcpmulti.send = shared.cheap_methods.send
tcpmulti.shutdown = shared.cheap_methods.shutdown
