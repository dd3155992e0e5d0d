-- SPDX-License-Identifier: MIT
-- BEHAVIOUR N1-N11: several sessions side by side, states, aliases and alarms.

local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Sessions"
local HOST = "127.0.0.1"

function cases.N1_each_session_sees_its_own_events_only()
  local echo = support.peer "echo"
  local function talk(text)
    local session, log = support.record {
      on_success = function(cheap) cheap:send(text) end,
      on_input = function(cheap) cheap:shutdown() end,
    }
    for _ = 1, 5 do session:connect(HOST, echo:port()) end
    return log
  end
  local a, b = talk "from a", talk "from b"
  support.run()
  for text, log in pairs { ["input from a"] = a, ["input from b"] = b } do
    lu.assertEquals(log:count(text), 5)
    lu.assertEquals(log:count "input", 5)
    lu.assertEquals(log:count "success", 5)
    lu.assertEquals(log:count "disconnected shutdown", 5)
    log:check_grammar()
  end
end

function cases.N2_die_touches_nothing_of_another_session()
  local silent, echo = support.peer "count", support.peer "echo"
  local rung = false
  local a = support.session { alias = "n2-a" }
  local b, log
  b, log = support.record {
    alias = "n2-b", input_timeout = 0.8,
    inline_states = { ring = function() rung = true end },
    on_input = function(cheap) cheap:shutdown() end,
  }
  a:connect(HOST, silent:port())
  b:connect(HOST, silent:port())
  local talker = b:connect(HOST, echo:port())
  b:delay("ring", 0.3)
  support.after(0.1, function()
    lu.assertTrue(a:die())
    lu.assertEquals(b.alias, "n2-b")
    lu.assertTrue(tcpmulti.post("n2-b", "send", talker, "hello"))
  end)
  support.run()
  lu.assertTrue(rung)
  lu.assertEquals(log:count "input hello", 1)
  lu.assertEquals(log:count "timeout input", 1)
  lu.assertEquals(log:count "disconnected die", 0)
end

function cases.N3_an_alias_that_is_taken_is_an_error()
  local first = support.session { alias = "taken" }
  local ok, message = pcall(tcpmulti.create, { alias = "taken" })
  lu.assertFalse(ok)
  lu.assertStrContains(message, "taken")
  local second = support.session()
  lu.assertEquals(select(3, second:alias_set "taken"), "EEXIST")
  lu.assertEquals(second:alias_set "mine", true)
  lu.assertEquals(second.alias, "mine")
  lu.assertEquals(select(3, first:alias_remove "mine"), "ESRCH")
  lu.assertEquals(second:alias_remove "mine", true)
  lu.assertEquals(select(3, tcpmulti.post("mine", "x")), "ESRCH")
  support.run()
  support.session { alias = "taken" }
  support.run()
end

function cases.N4_args_go_to_start()
  local seen
  local function start(...) seen = { n = select("#", ...), ... } end
  local session = support.session { args = { 1, 2, 3 }, inline_states = { _start = start } }
  lu.assertEquals(seen.n, 4)
  lu.assertIs(seen[1], session)
  lu.assertEquals({ seen[2], seen[3], seen[4] }, { 1, 2, 3 })
  session = support.session { inline_states = { _start = start } }
  lu.assertEquals(seen.n, 1)
  lu.assertIs(seen[1], session)
  support.run()
end

function cases.N4_start_has_its_alias_and_may_connect()
  local closer = support.peer "close"
  local alias
  local _, log = support.record {
    alias = "starter",
    inline_states = {
      _start = function(s)
        alias = s.alias
        s:connect(HOST, closer:port())
      end,
    },
  }
  lu.assertEquals(alias, "starter")
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "error read EOF", "disconnected eof" })
end

function cases.N5_the_built_in_states_cannot_be_replaced()
  local echo = support.peer "echo"
  local output, status = support.child("", [[
    local tcpmulti = require "tcpmulti"
    local function never() print "replaced" end
    local s
    s = tcpmulti.create {
      inline_states = { send = never, connect = never, shutdown = never, die = never,
        go = function(session) session:yield("connect", "127.0.0.1", tonumber(arg[1])) end },
      on_success = function(cheap) s:yield("send", cheap, "works") end,
      on_input = function(cheap, record) print(record) s:yield("shutdown", cheap) end,
      on_disconnected = function(_, _, reason) print(reason) s:yield "die" end,
    }
    s:yield "go"
    tcpmulti.run()
  ]], echo:port())
  lu.assertEquals(status, 0)
  lu.assertStrContains(output, "works\nshutdown\n")
  lu.assertNotStrContains(output, "replaced")
  for _, name in ipairs { "send", "connect", "shutdown", "die" } do
    lu.assertStrContains(output, name)
  end
end

function cases.N6_object_states_are_the_same_every_time()
  local echo = support.peer "echo"
  for _ = 1, 20 do
    local calls = {}
    local object
    object = {
      _start = function(self, s, argument)
        lu.assertIs(self, object)
        lu.assertIsTable(s.heap)
        calls[#calls + 1] = "start " .. argument
        s:yield("foo", 1)
      end,
      send = function() calls[#calls + 1] = "object's send" end,
      foo = function(self, s, n)
        lu.assertIs(self, object)
        calls[#calls + 1] = "foo " .. n
        s:connect(HOST, echo:port())
      end,
      renamed = function(_, _, n) calls[#calls + 1] = "renamed " .. n end,
    }
    local package = { bar = function(s, n)
      calls[#calls + 1] = "bar " .. n
      lu.assertIsTable(s.heap)
    end }
    support.session {
      args = { "x" },
      object_states = { object, { "_start", "send", "foo" }, object, { baz = "renamed" } },
      package_states = { package, { "bar" } },
      on_success = function(cheap)
        cheap:session():yield("send", cheap, "built in")
        cheap:session():yield("bar", 2)
        cheap:session():yield("baz", 3)
      end,
      on_input = function(cheap, record)
        calls[#calls + 1] = record
        cheap:shutdown()
      end,
    }
    support.run()
    lu.assertEquals(calls, { "start x", "foo 1", "bar 2", "renamed 3", "built in" })
  end
end

function cases.N7_child_is_no_crash()
  local session = support.session {
    inline_states = { _child = function() end, _parent = function() end },
  }
  session:yield "_child"
  support.run()
end

function cases.N8_default_gets_the_event_and_its_arguments()
  local seen = {}
  local session = support.session {
    inline_states = {
      _default = function(s, event, args)
        lu.assertIsTable(s.heap)
        seen[#seen + 1] = { event, #args, args[1], args[2] }
        return "answered"
      end,
    },
  }
  lu.assertEquals(session:call("nothing", 1, "two"), "answered")
  session:yield "nothing else"
  support.run()
  lu.assertEquals(seen, { { "nothing", 2, 1, "two" }, { "nothing else", 0 } })
end

function cases.N8_options_default_warns_and_trace_logs()
  local output, status = support.child("", [[
    local tcpmulti = require "tcpmulti"
    local s = tcpmulti.create {
      alias = "traced", options = { trace = true, default = true },
      inline_states = { known = function() end },
    }
    s:yield "known"
    s:yield "unheard_of"
    tcpmulti.run()
  ]])
  lu.assertEquals(status, 0)
  lu.assertStrContains(output, "(traced): state known")
  lu.assertStrContains(output, "there is no state named 'unheard_of'")
  output, status = support.child("", [[
    local tcpmulti = require "tcpmulti"
    local s = tcpmulti.create { inline_states = { known = function() end } }
    s:yield "known"
    tcpmulti.post(s, "unheard_of")
    tcpmulti.run()
  ]])
  lu.assertEquals({ output, status }, { "", 0 })
end

function cases.N9_connect_send_and_shutdown_by_alias_from_another_session()
  local echo = support.peer "echo"
  local a, log = support.record {
    alias = "n9",
    on_success = function(_, _, _, _, _, id)
      tcpmulti.post("n9-driver", "up", id)
    end,
    on_input = function(_, record, id) tcpmulti.post("n9-driver", "got", id, record) end,
  }
  local got
  local driver = support.session {
    alias = "n9-driver",
    inline_states = {
      up = function(_, id)
        lu.assertEquals(tcpmulti.post("n9", "send", id, "posted"), true)
        lu.assertEquals(tcpmulti.call("n9", "send", id, "called"), true)
      end,
      got = function(_, id, record)
        if record == "called" then got = "called" end
        if record == "posted" then
          lu.assertEquals(got, "called")
          lu.assertEquals(tcpmulti.call(a, "shutdown", id), true)
        end
      end,
    },
  }
  lu.assertEquals(driver.alias, "n9-driver")
  local cheap, id = tcpmulti.call("n9", "connect", HOST, echo:port())
  lu.assertEquals(tcpmulti.id(cheap), id)
  lu.assertEquals({ tcpmulti.call("nobody", "connect", HOST, 1) },
    { nil, select(2, tcpmulti.call("nobody", "connect", HOST, 1)), "ESRCH" })
  support.run()
  lu.assertEquals(log:list(),
    { "initialize", "success", "input called", "input posted", "disconnected shutdown" })
end

function cases.N10_alarms_are_replaced_cleared_adjusted_and_removed()
  local rung = {}
  local start = tcpmulti.now()
  local session
  session = support.session {
    inline_states = {
      ring = function(_, what) rung[#rung + 1] = { what, tcpmulti.now() - start } end,
    },
  }
  session:delay("ring", 0.05, "replaced")
  session:delay("ring", 0.15, "named")
  local removed = session:delay_set("ring", 0.1, "removed")
  local later = session:delay_set("ring", 0.02, "later")
  session:delay_set("ring", 0.1, "one")
  session:delay_set("ring", 0.1, "two")
  session:alarm_set("ring", os.time() - 5, "long due")
  session:delay_set("ring", -3, "negative")
  lu.assertTrue(not not session:alarm_remove(removed))
  lu.assertTrue(not not session:delay_adjust(later, 0.3))
  for _, bogus in ipairs { 0, -1, 123456789, 1.5 } do
    local ok, message, errname = session:alarm_remove(bogus)
    lu.assertNil(ok)
    lu.assertIsString(message)
    lu.assertIsString(errname)
    lu.assertNil((session:delay_adjust(bogus, 1)))
  end
  lu.assertNil((session:alarm_remove(removed)))
  support.run()
  local names = {}
  for i, one in ipairs(rung) do names[i] = one[1] end
  lu.assertEquals(names, { "long due", "negative", "one", "two", "named", "later" })
  support.at(rung[3][2], 0.1)
  support.at(rung[5][2], 0.15)
  support.at(rung[6][2], 0.3)
end

function cases.N10_delay_without_a_time_clears_and_alarm_remove_all_removes_all()
  local session = support.session { inline_states = { ring = function() lu.fail "rung" end } }
  session:delay("ring", 0.05)
  session:delay "ring"
  session:delay_set("ring", 0.1)
  session:delay("ring", 0.1)
  session:alarm_remove_all()
  support.within(support.run(), 0, 0.5, "run")
end

function cases.N10_alarms_of_another_session_are_not_mine()
  local rung = 0
  local owner = support.session { inline_states = { ring = function() rung = rung + 1 end } }
  local other = support.session()
  local alarm = owner:delay_set("ring", 0.1)
  lu.assertNil((other:alarm_remove(alarm)))
  lu.assertNil((other:delay_adjust(alarm, 9)))
  support.run()
  lu.assertEquals(rung, 1)
end

function cases.N10_a_delay_of_a_connection_ends_with_it()
  local silent = support.peer "count"
  local rung = {}
  local session
  session = support.session {
    on_success = function(cheap) cheap:delay("ring", 0.1, "own", 5) end,
    on_disconnected = function() rung[#rung + 1] = "ended" end,
    inline_states = {
      ring = function(s, cheap, what, number)
        lu.assertIs(s, session)
        lu.assertIs(cheap, session.heap.first)
        rung[#rung + 1] = what .. number
        cheap:delay("never", 0.1)
        cheap:delay("cleared", 0.05)
        cheap:delay "cleared"
        s:delay("never", 0.1, "the session's is another one")
        s:delay "never"
        support.after(0.05, function() cheap:shutdown() end)
      end,
      never = function() rung[#rung + 1] = "rung after the end" end,
      cleared = function() rung[#rung + 1] = "rung though cleared" end,
    },
  }
  session.heap.first = session:connect(HOST, silent:port())
  support.after(0.4, function() end)
  support.run()
  lu.assertEquals(rung, { "own5", "ended" })
end

function cases.N11_two_sessions_end_side_by_side()
  local closer = support.peer "close"
  local stopped = 0
  local function one()
    local session
    session = support.session {
      inline_states = { _stop = function() stopped = stopped + 1 end },
      on_disconnected = function() session:die() end,
    }
    session:connect(HOST, closer:port())
  end
  one()
  one()
  support.run()
  lu.assertEquals(stopped, 2)
end

function cases.N_states_may_be_functions()
  local order = {}
  local session = support.session()
  session:yield(function(s, n)
    order[#order + 1] = n
    s:delay(function() order[#order + 1] = "delayed" end, 0.05)
    local returned = s:call(function(_, x) return x * 2 end, 21)
    order[#order + 1] = returned
  end, 1)
  tcpmulti.post(session, function() order[#order + 1] = "posted" end)
  support.run()
  lu.assertEquals(order, { 1, 42, "posted", "delayed" })
end

support.main(cases)
