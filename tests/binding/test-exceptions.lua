-- SPDX-License-Identifier: MIT
-- Errors that scripts raise: in handlers, states, alarms and pull functions, of every type, with
-- on_exception and without.
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Exceptions"
local HOST = "127.0.0.1"

-- What run raises.
local function fatal()
  local ok, message = pcall(support.run)
  lu.assertFalse(ok)
  lu.assertIsString(message)
  return message
end

local raisers = {
  { "a string", function() error "plain text" end, "plain text" },
  { "a number", function() error(42) end, "42" },
  { "nil", function() error(nil) end, "a nil value" },
  { "false", function() error(false) end, "a boolean value" },
  { "a table", function() error {} end, "a table value" },
  { "a function", function() error(print) end, "a function value" },
  { "a coroutine", function() error(coroutine.create(print)) end, "a thread value" },
  { "cdata", function() error(require "ffi".new "int[1]") end, "cdata<int" },
  { "an object that describes itself", function()
    error(setmetatable({}, { __tostring = function() return "I am an error" end }))
  end, "I am an error" },
  { "one whose __tostring raises", function()
    error(setmetatable({}, { __tostring = error }))
  end, "a table value" },
  { "one whose __tostring gives no string", function()
    error(setmetatable({}, { __tostring = function() return {} end }))
  end, "a table value" },
  { "a stack overflow", function()
    local function deeper() return 1 + deeper() end
    deeper()
  end, "stack overflow" },
  { "a yield", function() coroutine.yield() end, "yield" },
}

for _, raiser in ipairs(raisers) do
  cases["R08_" .. raiser[1]:gsub("%W", "_") .. "_is_described_to_on_exception"] = function()
    local port = support.peer("echo"):port()
    local messages, reasons = {}, {}
    local session = support.session {
      on_success = raiser[2],
      on_error = function() error "there is no error event" end,
      on_disconnected = function(_, _, reason) reasons[#reasons + 1] = reason end,
      on_exception = function(s, message, cheap)
        lu.assertEquals(tostring(s):match "^tcpmulti session", "tcpmulti session")
        lu.assertEquals(cheap.tag, "T")
        messages[#messages + 1] = message
      end,
    }
    session:connect({ tag = "T" }, HOST, port)
    support.run()
    lu.assertEquals(#messages, 1)
    lu.assertStrContains(messages[1], raiser[3])
    if raiser[1] ~= "a stack overflow" then -- LuaJIT has no stack left for a message handler
      lu.assertStrContains(messages[1], "stack traceback")
    end
    lu.assertEquals(reasons, { "error" })
  end
end

local handlers = {
  on_initialize = "error", on_success = "error", on_input = "error", on_flushed = "error",
  on_failure = "failure", on_error = "eof", on_timeout = "timeout", on_disconnected = "eof",
}

for handler, reason in pairs(handlers) do
  cases["a_raise_in_" .. handler .. "_ends_its_connection_alone"] = function()
    local port = support.peer('send "one\\r\\n"; recv line; close'):port()
    local silent = support.peer("count"):port()
    local exceptions, reasons = 0, {}
    local options = {
      on_success = function(cheap) cheap:send "hello" end,
      on_disconnected = function(cheap, _, why) reasons[cheap.name] = why end,
      on_exception = function(_, message, cheap)
        exceptions = exceptions + 1
        lu.assertStrContains(message, "on purpose")
        lu.assertEquals(cheap.name, "bad")
      end,
    }
    local original = options[handler]
    options[handler] = function(cheap, ...)
      if original then original(cheap, ...) end
      if cheap.name == "bad" then error "on purpose" end
    end
    local session = support.session(options)
    local target, limit = port, nil
    if handler == "on_failure" then target = support.refused() end
    if handler == "on_timeout" then target, limit = silent, 0.1 end
    session:connect { remote_address = HOST, remote_port = target, input_timeout = limit,
      heap = { name = "bad" } }
    session:connect({ name = "good" }, HOST, port)
    support.run()
    lu.assertEquals(exceptions, 1)
    lu.assertEquals(reasons, { good = "eof", bad = reason })
  end
end

for _, where in ipairs { "on_initialize", "on_success", "on_disconnected" } do
  cases["without_on_exception_a_raise_in_" .. where .. "_is_fatal"] = function()
    local closer = support.peer 'close'
    local calls = 0
    local session, other
    session = support.session {
      [where] = function() error "on purpose" end,
      inline_states = { _stop = function() calls = calls + 1 end },
    }
    other = support.session { on_disconnected = function() calls = calls + 1 end }
    local cheap, id = session:connect(HOST, closer:port())
    other:connect(HOST, support.peer("count"):port())
    lu.assertIsTable(cheap)
    local message = fatal()
    lu.assertStrContains(message, "on purpose")
    lu.assertStrContains(message, "test-exceptions.lua")
    lu.assertStrContains(message, "stack traceback")
    lu.assertEquals(calls, 0)
    lu.assertEquals({ cheap:send "x" }, { nil, "no such connection", "ESTALE" })
    lu.assertIsNil(session:fetch(id))
    lu.assertEquals({ other:connect(HOST, 1) }, { nil, "session has stopped", "ESHUTDOWN" })
    local again, log = support.record()
    again:connect(HOST, closer:port())
    support.run()
    lu.assertEquals(log[#log], "disconnected eof")
  end
end

function cases.an_on_exception_that_raises_is_fatal_with_the_first_error()
  local session = support.session {
    on_success = function() error "the first" end,
    on_exception = function() error "the second" end,
  }
  session:connect(HOST, support.peer("echo"):port())
  local message = fatal()
  lu.assertStrContains(message, "the first")
  lu.assertNotStrContains(message, "the second")
end

function cases.an_error_in_a_state_or_alarm_closes_nothing()
  local messages = {}
  local session, log = support.record {
    on_success = function(cheap)
      cheap:session():yield("bad", "state")
      cheap:session():delay("bad", 0.01, "alarm")
      cheap:delay("bad", 0.02, "of the connection")
      cheap:session():delay("done", 0.05)
    end,
    on_exception = function(_, message, cheap)
      lu.assertIsNil(cheap)
      messages[#messages + 1] = message:match "raised by [%w ]+"
    end,
    inline_states = {
      bad = function(_, first, second)
        error("raised by " .. (type(first) == "string" and first or second))
      end,
      done = function(s) s:die() end,
    },
  }
  session:connect(HOST, support.peer("count"):port())
  support.run()
  lu.assertEquals(messages, { "raised by state", "raised by alarm", "raised by of the connection" })
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected die" })
end

function cases.an_error_in_stop_is_an_exception_of_the_session()
  local message
  support.session {
    inline_states = { _stop = function() error "in _stop" end },
    on_exception = function(_, text) message = text end,
  }
  support.run()
  lu.assertStrContains(message, "in _stop")
  support.session { inline_states = { _stop = function() error "in _stop" end } }
  lu.assertStrContains(fatal(), "in _stop")
end

function cases.a_raise_inside_call_reaches_the_caller()
  local session = support.session { inline_states = { bad = function() error "called" end } }
  local ok, message = pcall(session.call, session, "bad")
  lu.assertFalse(ok)
  lu.assertStrContains(message, "called")
  support.run()
end

function cases.the_owner_is_right_again_after_a_caught_raise()
  local seen = {}
  local inner = support.session { inline_states = { bad = function() error "x" end } }
  local outer, log = support.record {}
  outer:yield(function()
    pcall(inner.call, inner, "bad")
    seen[1] = tcpmulti.connect {
      remote_address = HOST, remote_port = support.peer("close"):port() }:session() == outer
  end)
  support.run()
  lu.assertEquals(seen, { true })
  lu.assertEquals(log[#log], "disconnected eof")
end

function cases.a_raise_in_a_pull_function_ends_it_and_is_the_sessions()
  local port = support.peer("close"):port()
  local message, calls = nil, 0
  local session, log = support.record { on_exception = function(_, text) message = text end }
  session:connect(function()
    calls = calls + 1
    if calls == 3 then error "no more targets" end
    return HOST, port
  end)
  support.run()
  lu.assertStrContains(message, "no more targets")
  lu.assertEquals(log:count "disconnected eof", 2)
end

function cases.arguments_of_a_wrong_type_are_the_raise_of_a_pull_function()
  for expected, target in pairs {
    ["port must be a number"] = { HOST, {} },
    ["address must be a string"] = { 5, 80 },
    ["unknown option 'x'"] = { { remote_address = HOST, remote_port = 80, x = 1 } },
    ["remote_port is missing"] = { { remote_address = HOST } },
    ["bind port must be a number"] = { "", 0, nil, true },
  } do
    local message
    local session, log = support.record { on_exception = function(_, text) message = text end }
    session:connect(function() return unpack(target, 1, table.maxn(target)) end)
    support.run()
    lu.assertStrContains(message, expected)
    lu.assertEquals(#log, 0)
  end
end

function cases.R09_exceptions_while_sessions_die_all_arrive()
  local exceptions, disconnects = 0, 0
  local port = support.peer("count"):port()
  local session
  session = support.session {
    on_success = function()
      if session:stats().open == 5 then session:die() end
    end,
    on_disconnected = function()
      disconnects = disconnects + 1
      error "every one"
    end,
    on_exception = function() exceptions = exceptions + 1 end,
  }
  for _ = 1, 5 do session:connect(HOST, port) end
  support.run()
  lu.assertEquals({ exceptions, disconnects }, { 5, 5 })
end

function cases.an_error_in_initialize_is_told_once_although_the_connection_goes_at_once()
  local told, reasons = 0, {}
  local session = support.session {
    on_initialize = function(cheap)
      cheap:reset()
      error "and now this"
    end,
    on_disconnected = function(_, _, reason) reasons[#reasons + 1] = reason end,
    on_exception = function(_, _, cheap)
      lu.assertIsTable(cheap)
      told = told + 1
    end,
  }
  local cheap, id = session:connect(HOST, support.peer("count"):port())
  lu.assertIsTable(cheap)
  lu.assertIsNumber(id)
  lu.assertEquals(told, 0)
  support.run()
  lu.assertEquals({ told, reasons }, { 1, { "error" } })
end

-- Functions whose names a traceback shows.
local function deep_inside() error("raised deep inside") end
local function half_way() deep_inside() return 1 end

local function check_traceback(message)
  lu.assertStrContains(message, "raised deep inside\nstack traceback:")
  lu.assertStrContains(message, "'deep_inside'")
  lu.assertEquals(select(2, message:gsub("stack traceback", "")), 1)
end

function cases.a_traceback_through_call_and_create_is_that_of_the_error()
  local other = support.session { alias = "other", inline_states = { go = half_way } }
  local ways = {
    function(session) session:call(half_way) end,
    function() other:call "go" end,
    function() tcpmulti.call("other", "go") end,
    function() tcpmulti.call(other, function() other:call(function() other:call "go" end) end) end,
    function() tcpmulti.create { inline_states = { _start = half_way } } end,
    function()
      tcpmulti.create { inline_states = { _start = function(s) s:call(half_way) end } }
    end,
    function()
      pcall(other.call, other, function() error "another, that is caught" end)
      other:call "go"
    end,
  }
  for _, way in ipairs(ways) do
    local message
    local session = support.session { on_exception = function(_, text) message = text end }
    session:yield(way)
    support.run()
    check_traceback(message)
    other = support.session { alias = "other", inline_states = { go = half_way } }
  end
end

function cases.after_an_error_was_caught_the_next_has_its_own_traceback()
  local message
  local session
  session = support.session { on_exception = function(_, text) message = text end }
  session:yield(function()
    pcall(session.call, session, half_way)
    error "raised later"
  end)
  support.run()
  lu.assertStrContains(message, "raised later\nstack traceback:")
  lu.assertNotStrContains(message, "deep_inside")
  session = support.session { on_exception = function(_, text) message = text end }
  session:yield(function()
    pcall(session.call, session, half_way)
    session.call() -- raises in the same function
  end)
  support.run()
  lu.assertStrContains(message, "session expected")
  lu.assertNotStrContains(message, "deep_inside")
end

function cases.the_value_that_is_raised_through_call_and_create_stays_what_it_is()
  local session = support.session {}
  local value = setmetatable({}, { __tostring = function() error "not to be asked" end })
  local function raise() error(value) end
  for _, way in ipairs {
    function() session:call(raise) end,
    function() tcpmulti.create { alias = "free", inline_states = { _start = raise } } end,
  } do
    local ok, raised = pcall(way)
    lu.assertFalse(ok)
    lu.assertIs(raised, value)
  end
  lu.assertTrue(session:alias_set "free")
end

function cases.a_traceback_in_the_main_chunk_is_that_of_the_error_too()
  for _, how in ipairs {
    "tcpmulti.create { inline_states = { _start = half_way } }",
    "tcpmulti.create { alias = 's', inline_states = { go = half_way } }:call 'go'",
    "tcpmulti.create { alias = 's', inline_states = { go = half_way } } tcpmulti.call('s', 'go')",
  } do
    local output, status = support.child("", [[
      local tcpmulti = require "tcpmulti"
      local function deep_inside() error("raised deep inside") end
      local function half_way() deep_inside() return 1 end
    ]] .. how)
    lu.assertEquals(status, 1)
    check_traceback(output)
  end
end

function cases.odd_messages_are_told_whole()
  local function told(raise)
    local message
    local session = support.session { on_exception = function(_, text) message = text end }
    session:yield(raise)
    support.run()
    lu.assertStrContains(message, "stack traceback")
    return message:match "^(.-)\nstack traceback"
  end
  lu.assertEquals(told(function() error("before\0behind", 0) end), "before\\0behind")
  lu.assertEquals(told(function() error(nil) end), "(error object is a nil value)")
  lu.assertEquals(told(function() error(true) end), "(error object is a boolean value)")
  lu.assertEquals(told(function() error(7, 0) end), "7")
  local metatable = {}
  local object = setmetatable({}, metatable)
  lu.assertEquals(told(function() error(object) end), "(error object is a table value)")
  metatable.__tostring = function() return "told by itself" end
  lu.assertEquals(told(function() error(object) end), "told by itself")
  metatable.__tostring = function() return {} end
  lu.assertEquals(told(function() error(object) end), "(error object is a table value)")
  metatable.__tostring = function() error("cannot tell", 0) end
  lu.assertEquals(told(function() error(object) end),
    "(error object is a table value, and its __tostring has raised: cannot tell)")
  metatable.__tostring = function() error({}, 0) end
  lu.assertEquals(told(function() error(object) end),
    "(error object is a table value, and its __tostring has raised: table)")
end

support.main(cases)
