-- SPDX-License-Identifier: MIT
-- Errors raised by handlers, states and alarms: on_exception isolates them, without it they are
-- fatal; each handler in turn, and each kind of thing that Lua can raise.

local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Exceptions"
local HOST = "127.0.0.1"

-- For each handler: a peer that brings it about, and the events of the connection when it raises.
-- Where the connection had ended already, the reason stays what really ended it.
local handlers = {
  { "on_initialize", 'send "x\\r\\n"; close', { "initialize", "disconnected error" } },
  { "on_success", 'send "x\\r\\n"; count', { "initialize", "success", "disconnected error" } },
  { "on_input", 'send "x\\r\\n"; count',
    { "initialize", "success", "input x", "disconnected error" } },
  { "on_flushed", "count", { "initialize", "success", "flushed", "disconnected error" } },
  { "on_failure", false, { "initialize", "failure connect ECONNREFUSED", "disconnected failure" } },
  { "on_error", "close", { "initialize", "success", "error read EOF", "disconnected eof" } },
  { "on_timeout", "count", { "initialize", "success", "timeout input", "disconnected timeout" } },
  { "on_disconnected", "close",
    { "initialize", "success", "error read EOF", "disconnected eof" } },
}

local function options_for(handler, raise)
  local options = { input_timeout = 0.1 }
  if handler == "on_flushed" then
    options.flushed = true
    options.on_success = function(cheap) cheap:send "hello" end
  end
  options[handler] = function(cheap)
    if not cheap.bystander then raise() end
  end
  return options
end

local function port_of(program)
  return program and support.peer(program):port() or support.refused()
end

for _, each in ipairs(handlers) do
  local handler, program, expected = each[1], each[2], each[3]

  cases["a_raise_in_" .. handler .. "_is_told_once_and_ends_its_connection"] = function()
    local told = {}
    local inside = false
    local options = options_for(handler, function() error "on purpose" end)
    options.on_exception = function(session, message, cheap)
      lu.assertFalse(inside)
      told[#told + 1] = { session, message, cheap }
    end
    local session, log = support.record(options)
    inside = true
    local cheap, id = session:connect(HOST, port_of(program))
    inside = false
    local echo = support.peer 'send "fine\\r\\n"; close'
    local _, other = session:connect({ bystander = true }, HOST, echo:port())
    support.run()
    lu.assertEquals(#told, 1)
    lu.assertIs(told[1][1], session)
    lu.assertStrContains(told[1][2], "on purpose")
    lu.assertStrContains(told[1][2], "exceptions.lua")
    lu.assertIs(told[1][3], cheap)
    local events = {}
    for i, event in ipairs(log.of[id]) do events[i] = event end
    lu.assertEquals(events, expected)
    lu.assertStrMatches(log.of[other].codes, "ISl?nED")
  end

  cases["a_raise_in_" .. handler .. "_is_fatal_when_nobody_listens"] = function()
    local options = options_for(handler, function() error "on purpose" end)
    local session, log = support.record(options)
    local silent = support.peer "count"
    session:connect {
      heap = { bystander = true }, remote_address = HOST, remote_port = silent:port(),
      input_timeout = 0,
    }
    local elsewhere, other_log = support.record()
    elsewhere:connect(HOST, silent:port())
    session:connect(HOST, port_of(program))
    local ok, message = pcall(support.run)
    lu.assertFalse(ok)
    lu.assertStrContains(message, "on purpose")
    lu.assertStrContains(message, "exceptions.lua")
    lu.assertEquals(other_log:count "disconnected", 0)
    lu.assertTrue(log:count "disconnected" <= (handler == "on_disconnected" and 1 or 0))
    lu.assertEquals({ session:connect(HOST, silent:port()) },
      { nil, "session has stopped", "ESHUTDOWN" })
    local again, again_log = support.record()
    again:connect(HOST, support.peer("close"):port())
    support.run()
    lu.assertEquals(again_log[#again_log], "disconnected eof")
  end
end

-- FAULTS R08 and R10: what can be raised, and how it is described.
local raised = {
  { "a_string", function() error "text" end, "text" },
  { "nil", function() error(nil) end, "nil" },
  { "a_number", function() error(42) end, "42" },
  { "a_boolean", function() error(false) end, "boolean" },
  { "a_table", function() error {} end, "table" },
  { "a_function", function() error(print) end, "function" },
  { "a_table_with_tostring", function()
    error(setmetatable({}, { __tostring = function() return "described by itself" end }))
  end, "described by itself" },
  { "a_table_whose_tostring_raises", function()
    error(setmetatable({}, { __tostring = function() error "worse" end }))
  end, "table" },
  { "a_table_whose_tostring_gives_no_string", function()
    error(setmetatable({}, { __tostring = function() return 42 end }))
  end, "table" },
  { "a_stack_overflow", function()
    local function deeper() return 1 + deeper() end
    deeper()
  end, "stack overflow" },
  { "a_call_of_nil", function()
    local nothing = ({}).nothing
    nothing()
  end, "nil value" },
  { "a_yield_outside_of_a_coroutine", function() coroutine.yield(1) end, "yield" },
  { "a_string_with_control_bytes", function() error "bell \7 and \27[31m" end, "bell" },
}
for _, each in ipairs(raised) do
  cases["R08_" .. each[1] .. "_is_reported"] = function()
    local told = {}
    local session, log = support.record {
      on_success = each[2],
      on_exception = function(_, message) told[#told + 1] = message end,
    }
    session:connect(HOST, support.peer("count"):port())
    support.run()
    lu.assertEquals(#told, 1)
    lu.assertIsString(told[1])
    lu.assertStrContains(told[1], each[3])
    lu.assertEquals(log:list(), { "initialize", "success", "disconnected error" })
  end
end

function cases.a_raise_in_a_state_or_an_alarm_closes_nothing()
  local told = {}
  local echo = support.peer "echo"
  local session, log = support.record {
    on_exception = function(s, message, cheap)
      lu.assertNil(cheap)
      told[#told + 1] = message
      if #told == 2 then
        for _, one in s:connections() do one:send "alive" end
      end
    end,
    on_input = function(cheap) cheap:shutdown() end,
    inline_states = {
      bad = function() error "bad state" end,
      ring = function() error "bad alarm" end,
    },
  }
  session:connect(HOST, echo:port())
  support.when(function() return log:count "success" == 1 end, function()
    session:yield "bad"
    session:delay("ring", 0.05)
  end)
  support.run()
  lu.assertEquals(#told, 2)
  lu.assertStrContains(told[1], "bad state")
  lu.assertStrContains(told[2], "bad alarm")
  lu.assertEquals(log:list(), { "initialize", "success", "input alive", "disconnected shutdown" })
end

function cases.R16_die_inside_on_exception()
  local session, log
  session, log = support.record {
    on_success = function() error "enough" end,
    on_exception = function() session:die() end,
  }
  for _ = 1, 5 do session:connect(HOST, support.peer("count"):port()) end
  support.run()
  log:check_grammar()
  lu.assertEquals(log:count "disconnected", 5)
end

function cases.R13_collecting_all_the_time_frees_nothing_in_use()
  local echo = support.peer "echo"
  local finished = 0
  local function collect() collectgarbage() end
  local session, log = support.record {
    flushed = true, short = true,
    on_initialize = collect, on_flushed = collect, on_error = collect,
    on_success = function(cheap)
      collect()
      cheap.mine = { ("x"):rep(100) }
      cheap:send(cheap.mine[1])
      collect()
    end,
    on_input = function(cheap, record)
      collect()
      lu.assertEquals(cheap.mine[1], record)
      cheap:shutdown()
    end,
    on_disconnected = function(cheap)
      collect()
      lu.assertEquals(#cheap.mine[1], 100)
      finished = finished + 1
    end,
  }
  for _ = 1, 50 do session:connect({ filler = {} }, HOST, echo:port()) end
  support.run(30)
  lu.assertEquals(finished, 50)
  log:check_grammar()
end

function cases.R15_a_finalizer_may_call_the_library()
  local silent = support.peer "count"
  local answers = {}
  local session
  local function leave_garbage(cheap)
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = function()
      answers[#answers + 1] = select(3, cheap:send "too late") or "sent"
    end
  end
  session = support.session {
    on_success = function(cheap)
      leave_garbage(cheap)
      cheap:shutdown()
    end,
    on_disconnected = function() collectgarbage() collectgarbage() end,
  }
  session:connect(HOST, silent:port())
  support.run()
  collectgarbage()
  collectgarbage()
  lu.assertEquals(answers, { "ESTALE" })
end

function cases.R12_connections_of_a_dead_coroutine_live_on()
  local echo = support.peer "echo"
  local session, log = support.record {
    on_success = function(cheap)
      lu.assertNil((coroutine.running()))
      cheap:send "from the main state"
    end,
    on_input = function(cheap) cheap:shutdown() end,
  }
  local routine = coroutine.create(function()
    session:connect(HOST, echo:port())
    coroutine.yield()
  end)
  assert(coroutine.resume(routine))
  routine = nil -- luacheck: ignore
  collectgarbage()
  collectgarbage()
  support.run()
  lu.assertEquals(log[3], "input from the main state")
  lu.assertEquals(log[#log], "disconnected shutdown")
end

function cases.a_raise_in_start_is_a_raise_of_create()
  local ok, message = pcall(tcpmulti.create, {
    alias = "never", inline_states = { _start = function() error "cannot start" end },
  })
  lu.assertFalse(ok)
  lu.assertStrContains(message, "cannot start")
  lu.assertEquals(select(3, tcpmulti.post("never", "x")), "ESRCH")
  support.run()
end

support.main(cases)
