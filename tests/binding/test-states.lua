-- SPDX-License-Identifier: MIT
-- States, alarms, aliases and signals, beyond what the behaviour table asks: results and arguments
-- of every call, alarms of connections, the running session, tracing.
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "States"
local HOST = "127.0.0.1"

function cases.yield_post_and_call_take_functions_and_names()
  local seen = {}
  local function note(name)
    return function(session, ...)
      seen[#seen + 1] = name .. ":" .. select("#", ...)
      return session.alias, ...
    end
  end
  local session = support.session { alias = "noted", inline_states = { named = note "named" } }
  lu.assertTrue(session:yield("named", 1, nil))
  lu.assertTrue(session:yield(note "function", 3))
  lu.assertTrue(tcpmulti.post("noted", "named", nil, nil, nil))
  lu.assertTrue(tcpmulti.post(session, note "posted"))
  lu.assertEquals({ session:call("named", 5, nil, 6) }, { "noted", 5, nil, 6 })
  lu.assertEquals({ tcpmulti.call("noted", "named") }, { "noted" })
  lu.assertEquals({ tcpmulti.call(session, note "called", "x") }, { "noted", "x" })
  support.run()
  lu.assertEquals(seen, { "named:3", "named:0", "called:1", "named:2", "function:1", "named:3",
    "posted:0" })
end

function cases.unknown_destinations_and_states_are_results()
  local session = support.session { alias = "here" }
  lu.assertEquals({ tcpmulti.post("nowhere", "x") }, { nil, "no session 'nowhere'", "ESRCH" })
  lu.assertEquals({ tcpmulti.call("nowhere", "x") }, { nil, "no session 'nowhere'", "ESRCH" })
  lu.assertEquals({ tcpmulti.post(5, "x") }, { nil, "no session 5", "ESRCH" })
  local ok, message, errname = tcpmulti.post("here", "nothing")
  lu.assertEquals({ ok, errname }, { nil, "ESRCH" })
  lu.assertStrContains(message, "there is no state named 'nothing'")
  support.run()
  lu.assertEquals({ tcpmulti.post("here", "x") }, { nil, "no session 'here'", "ESRCH" })
  lu.assertEquals({ session:yield "x" }, { nil, "session has stopped", "ESHUTDOWN" })
  lu.assertEquals({ session:call "x" }, { nil, "session has stopped", "ESHUTDOWN" })
  lu.assertEquals({ session:die() }, { nil, "session has stopped", "ESHUTDOWN" })
  lu.assertEquals({ session:send(5, "x") }, { nil, "session has stopped", "ESHUTDOWN" })
  lu.assertEquals({ session:stats() }, { nil, "session has stopped", "ESHUTDOWN" })
  lu.assertEquals({ session:count() }, { 0, 0 })
  lu.assertEquals({ session:alias_set "x" }, { nil, "session has stopped", "ESHUTDOWN" })
end

function cases.a_dying_session_says_so()
  local results = {}
  local session
  session = support.session {
    on_success = function()
      session:die()
      results.die = { session:die() }
      results.connect = { session:connect(HOST, 1) }
      results.pull = { session:connect(function() end) }
      results.yield = { session:yield "x" }
      results.delay = { session:delay("x", 1) }
      results.alias = { session:alias_set "x" }
      results.stdin = { session:stdin "x" }
      results.sig = { session:sig("USR1", "x") }
    end,
  }
  session:connect(HOST, support.peer("count"):port())
  support.run()
  for name, result in pairs(results) do
    lu.assertEquals(result, { nil, "session is dying", "ESHUTDOWN" }, name)
  end
end

function cases.N10_alarms_answer_as_in_poe()
  local fired = {}
  local session = support.session {
    inline_states = {
      ring = function(_, ...) fired[#fired + 1] = table.concat({ ... }, " ") end,
      idle = function() end,
    },
  }
  local now = os.time()
  lu.assertTrue(session:delay("ring", 0.01, "first"))
  lu.assertTrue(session:delay("ring", 0.02, "second"))
  local keep = session:delay_set("ring", 0.03, "third", "time")
  local gone = session:delay_set("ring", 10, "never", 7, nil)
  local absolute = session:alarm_set("ring", now - 100, "past")
  lu.assertIsNumber(absolute)
  local name, time, first, second, third = session:alarm_remove(gone)
  lu.assertEquals({ name, first, second, third }, { "ring", "never", 7 })
  lu.assertTrue(math.abs(time - now - 10) < 3)
  lu.assertEquals({ session:alarm_remove(gone) }, { nil, "no alarm " .. gone, "ESRCH" })
  lu.assertEquals({ session:alarm_remove(nil) }, { nil, "no alarm nil", "ESRCH" })
  lu.assertEquals({ session:delay_adjust(gone, 1) }, { nil, "no alarm " .. gone, "ESRCH" })
  lu.assertTrue(session:delay_adjust(keep, 0.05))
  lu.assertEquals({ session:delay "idle" }, { nil, "no alarm of state 'idle'", "ESRCH" })
  support.run()
  lu.assertEquals(fired, { "past", "second", "third time" })
  lu.assertEquals({ session:delay("ring", 1) }, { nil, "session has stopped", "ESHUTDOWN" })
end

function cases.N10_alarm_remove_all_gives_what_it_removed()
  local session = support.session { inline_states = { x = function() error "never" end } }
  session:delay("x", 20, "b")
  session:delay_set("x", 10, "a")
  local removed = session:alarm_remove_all()
  lu.assertEquals({ removed[1][1], removed[1][3], removed[2][3], #removed }, { "x", "a", "b", 2 })
  lu.assertEquals(session:alarm_remove_all(), {})
  support.run()
end

function cases.a_named_delay_may_be_set_again_in_its_own_state()
  local count = 0
  local session
  session = support.session { inline_states = { tick = function(s)
    count = count + 1
    if count < 3 then s:delay("tick", 0.001) end
  end } }
  session:delay("tick", 0)
  support.run()
  lu.assertEquals(count, 3)
end

function cases.alarms_of_a_connection_get_its_cheap_and_end_with_it()
  local fired = {}
  local session, log = support.record {
    on_success = function(cheap)
      lu.assertTrue(cheap:delay("ring", 0.001, "replaced"))
      lu.assertTrue(cheap:delay("ring", 0.1, "mine"))
      lu.assertTrue(cheap:delay("other", 0.001))
      lu.assertTrue(cheap:delay "other")
      lu.assertEquals({ cheap:delay "other" }, { nil, "no alarm of state 'other'", "ESRCH" })
      lu.assertTrue(tcpmulti.delay(cheap, "late", 60))
      cheap:session():delay("ring", 0.001, "the session's")
    end,
    inline_states = {
      ring = function(s, cheap, text)
        if type(cheap) == "string" then
          fired[#fired + 1] = cheap
          return
        end
        lu.assertIs(cheap:session(), s)
        fired[#fired + 1] = text
        cheap:shutdown()
      end,
      late = function() error "the connection is gone" end,
      other = function() error "was cleared" end,
    },
    on_disconnected = function(cheap)
      lu.assertEquals({ cheap:delay("ring", 1) }, { nil, "no such connection", "ESTALE" })
    end,
  }
  session:connect(HOST, support.peer("count"):port())
  local took = support.run()
  lu.assertTrue(took < 5)
  lu.assertEquals(fired, { "the session's", "mine" })
  lu.assertEquals(log[#log], "disconnected shutdown")
end

function cases.aliases_come_and_go()
  local one, two = support.session { alias = "one" }, support.session()
  lu.assertTrue(one:alias_set "also")
  lu.assertTrue(one:alias_set "also")
  lu.assertEquals({ two:alias_set "one" }, { nil, "alias 'one' is taken", "EEXIST" })
  lu.assertEquals({ two:alias_remove "one" }, { nil, "the session has no alias 'one'", "ESRCH" })
  lu.assertEquals(one.alias, "also")
  lu.assertTrue(one:alias_remove "one")
  lu.assertTrue(two:alias_set "one")
  lu.assertEquals(two.alias, "one")
  lu.assertTrue(two:alias_remove "one")
  lu.assertIsNil(two.alias)
  lu.assertErrorMsgContains("alias_set", two.alias_set, two, "")
  support.run()
end

function cases.F78_signals_are_states()
  local seen = {}
  local session
  session = support.session {
    inline_states = {
      got = function(s, name)
        seen[#seen + 1] = name
        if #seen == 2 then
          lu.assertTrue(s:sig("USR1", nil))
          s:die()
        else
          s:yield "again"
        end
      end,
      again = function() os.execute "kill -USR1 $PPID" end,
    },
  }
  lu.assertTrue(session:sig("SIGUSR1", "got"))
  session:delay("again", 0)
  session:delay(function() error "no signal has come" end, 10)
  support.run()
  lu.assertEquals(seen, { "USR1", "USR1" })
end

function cases.F30_the_running_session_is_the_innermost()
  local port = support.peer("close"):port()
  local function target() return { remote_address = HOST, remote_port = port } end
  lu.assertErrorMsgContains("no session is running", tcpmulti.connect, target())
  local inner, inner_log = support.record { inline_states = { go = function()
    return (tcpmulti.connect(target()))
  end } }
  local outer, outer_log = support.record { inline_states = { _start = function()
    lu.assertIsTable(inner:call "go")
    lu.assertIsTable((tcpmulti.connect(target())))
    lu.assertErrorMsgContains("one table of options", tcpmulti.connect, HOST, port)
  end } }
  support.run()
  lu.assertEquals(inner_log:count "disconnected eof", 1)
  lu.assertEquals(outer_log:count "disconnected eof", 1)
  lu.assertEquals({ outer:count() }, { 0, 0 })
end

function cases.F40_connect_send_shutdown_and_die_are_states()
  local port = support.peer("echo"):port()
  local session, log
  session, log = support.record {
    on_success = function(cheap, _, _, _, _, id)
      session:yield("send", id, "by state")
      lu.assertTrue(session:call("send", cheap, "by call"))
    end,
    on_input = function(_, record, id)
      if record == "by state" then
        session:yield("shutdown", id)
        session:yield "die"
      end
    end,
  }
  local cheap, id = session:call("connect", { tag = 1 }, HOST, port)
  lu.assertEquals({ cheap.tag, cheap:id() }, { 1, id })
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "input by call", "input by state",
    "disconnected shutdown" })
end

function cases.several_sessions_are_told_apart_after_many_have_gone()
  local first = support.session {}
  support.run()
  for _ = 1, 100 do
    local session = tcpmulti.create {}
    lu.assertEquals({ session:count() }, { 0, 0 })
    session:die()
  end
  support.run()
  lu.assertEquals({ first:yield "x" }, { nil, "session has stopped", "ESHUTDOWN" })
end

function cases.the_sessions_of_stop_are_started_and_ended_too()
  local order = {}
  local function chain(depth)
    tcpmulti.create { inline_states = { _stop = function()
      order[#order + 1] = depth
      if depth < 3 then chain(depth + 1) end
    end } }
  end
  chain(1)
  support.run()
  lu.assertEquals(order, { 1, 2, 3 })
end

function cases.connections_may_be_closed_while_they_are_listed()
  local port = support.peer("count"):port()
  local listed = 0
  local session, log
  session, log = support.record {
    on_success = function()
      if session:stats().open < 5 then return end
      for id, cheap in session:connections() do
        lu.assertEquals(cheap:id(), id)
        lu.assertIs(session:fetch(id), cheap)
        lu.assertIs(session:fetch(cheap), cheap)
        cheap:reset()
        listed = listed + 1
      end
    end,
  }
  for _ = 1, 5 do session:connect(HOST, port) end
  support.run()
  lu.assertEquals({ listed, log:count "disconnected shutdown" }, { 5, 5 })
end

function cases.now_and_escape()
  local before = tcpmulti.now()
  lu.assertTrue(tcpmulti.now() >= before)
  lu.assertEquals(tcpmulti.escape 'plain "text" \\ \n\27\0\255~\127',
    "plain \\u0022text\\u0022 \\u005C \\u000A\\u001B\\u0000\\u00FF~\\u007F")
  lu.assertEquals(tcpmulti.escape "", "")
  lu.assertErrorMsgContains("string expected", tcpmulti.escape, {})
  lu.assertIsString(tcpmulti.version)
end

function cases.run_is_refused_where_it_cannot_be()
  local messages = {}
  local session
  session = support.session {
    on_initialize = function()
      messages[#messages + 1] = select(2, pcall(tcpmulti.run))
    end,
    inline_states = { go = function()
      messages[#messages + 1] = select(2, pcall(tcpmulti.run))
      session:connect(HOST, 1)
    end },
  }
  session:connect(HOST, 1)
  session:yield "go"
  support.run()
  lu.assertEquals(#messages, 3)
  for _, message in ipairs(messages) do
    lu.assertStrContains(message, "not from inside a handler")
  end
  local ok, message = coroutine.resume(coroutine.create(tcpmulti.run))
  lu.assertFalse(ok)
  lu.assertStrContains(message, "not in a coroutine")
end

function cases.handlers_of_connects_in_a_coroutine_run_on_the_main_state()
  local where = {}
  local port = support.peer("echo"):port()
  local session = support.session {
    on_initialize = function() where[1] = coroutine.running() ~= nil end,
    on_success = function(cheap)
      where[2] = coroutine.running() == nil
      local worker = coroutine.create(function()
        lu.assertTrue(cheap:send "from a coroutine")
        coroutine.yield()
      end)
      lu.assertTrue(coroutine.resume(worker))
    end,
    on_input = function(cheap)
      where[3] = coroutine.running() == nil
      cheap:shutdown()
    end,
  }
  local worker = coroutine.create(function() session:connect(HOST, port) end)
  lu.assertTrue(coroutine.resume(worker))
  worker = nil
  collectgarbage()
  support.run()
  lu.assertIsNil(worker)
  lu.assertEquals(where, { true, true, true })
end

support.main(cases)
