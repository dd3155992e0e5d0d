-- SPDX-License-Identifier: MIT
-- The table "What works when": each call in each phase of a connection and in each handler of its
-- end. Nothing ever raises because a connection has ended.

local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "WhatWorksWhen"
local HOST = "127.0.0.1"

local STALE = { nil, "no such connection", "ESTALE" }
local SHUTTING = { nil, "shutting down", "ESHUTDOWN" }
local NIL = {}

local function never() error "its connection has ended" end

-- Calls that change something; each with the columns open, shutting, late (in on_disconnected and
-- later). In open it is the phases before success as well, where nothing else is said.
local calls = {
  { "send", function(c) return c:send "x" end },
  { "fail", function(c) return c:fail "no" end },
  { "timeout(n)", function(c) return c:timeout(5) end },
  { "deadline(n)", function(c) return c:deadline(5) end },
  { "filter", function(c) return c:filter "line" end },
  { "input_filter", function(c) return c:input_filter "line" end },
  { "output_filter", function(c) return c:output_filter "line" end },
  { "unread", function(c) return c:unread "" end },
  { "pause", function(c) return c:pause() end },
  { "resume", function(c) return c:resume() end },
  { "delay", function(c) return c:delay(never, 60) end },
  { "shutdown", function(c) return c:shutdown() end },
  { 'shutdown("output")', function(c) return c:shutdown "output" end },
}

local getters = { "phase", "session", "pending", "queued", "received", "sent", "timeout",
  "deadline" }

local function assert_names(cheap, id, port)
  lu.assertEquals({ cheap:id(), cheap:addr(), cheap:port() }, { id, HOST, port })
end

local function assert_getters(cheap, phase, session)
  lu.assertEquals(cheap:phase(), phase)
  lu.assertIs(cheap:session(), session)
  lu.assertIsString(cheap:pending())
  lu.assertIsNumber(cheap:queued())
  lu.assertIsNumber(cheap:received())
  lu.assertIsNumber(cheap:sent())
  lu.assertIsNumber(cheap:timeout())
  lu.assertIsNumber(cheap:deadline())
end

-- All calls give the same answer; in their order, so one that ends the connection stands last.
local function assert_all(cheap, expected, except)
  for _, call in ipairs(calls) do
    if not (except and except[call[1]]) then
      lu.assertEquals({ call[2](cheap) }, expected, call[1])
    end
  end
end

-- Before success everything works; cancel by the way it is asked for.
local function before_success(phase, cancel, ending)
  local session, log = support.record { max_connections = 1 }
  local port = support.blackhole()
  local cheap, id = session:connect(HOST, port)
  if phase == "waiting" then
    cheap, id = session:connect(HOST, port)
  end
  support.after(0.05, function()
    assert_names(cheap, id, port)
    assert_getters(cheap, phase, session)
    lu.assertEquals({ cheap:peer() }, NIL)
    lu.assertEquals({ cheap:sock() }, NIL)
    lu.assertEquals({ cheap:cause() }, NIL)
    lu.assertEquals(cheap:send "early", true)
    lu.assertEquals(cheap:queued(), 7)
    lu.assertEquals(cheap:timeout(9), true)
    lu.assertEquals(cheap:timeout(), 9)
    lu.assertEquals(cheap:deadline(8), true)
    for _, call in ipairs { "filter", "input_filter", "output_filter" } do
      lu.assertEquals(cheap[call](cheap, "line"), true)
    end
    lu.assertEquals(cheap:pause(), true)
    lu.assertEquals(cheap:resume(), true)
    lu.assertEquals(cheap:unread "put\n", true)
    lu.assertTrue(not not cheap:delay(never, 60))
    lu.assertEquals({ cancel(cheap) }, { true })
    support.after(0.05, function()
      for _, one in support.connections(session) do one:reset() end
    end)
  end)
  support.run()
  log:check_grammar()
  local events = {}
  for i, event in ipairs(log.of[id]) do events[i] = event end
  lu.assertEquals(events, ending)
  return cheap
end

for _, phase in ipairs { "waiting", "connecting" } do
  cases["everything_works_while_" .. phase .. "_and_shutdown_cancels"] = function()
    before_success(phase, function(c) return c:shutdown() end,
      { "initialize", "disconnected shutdown" })
  end
  cases["everything_works_while_" .. phase .. "_and_reset_cancels"] = function()
    before_success(phase, function(c) return c:reset() end,
      { "initialize", "disconnected shutdown" })
  end
  cases["everything_works_while_" .. phase .. "_and_fail_is_a_failure"] = function()
    before_success(phase, function(c) return c:fail("not wanted", "ETIMEDOUT") end,
      { "initialize", "failure fail ETIMEDOUT", "disconnected failure" })
  end
end

function cases.everything_works_while_open()
  local silent = support.peer "count"
  local session, log
  session, log = support.record {
    deadline = 50, input_timeout = 40,
    on_success = function(cheap, _, addr, port, _, id)
      assert_names(cheap, id, silent:port())
      assert_getters(cheap, "open", session)
      lu.assertEquals({ cheap:peer() }, { addr, port })
      lu.assertEquals((cheap:sock()), HOST)
      lu.assertEquals({ cheap:cause() }, NIL)
      lu.assertEquals(cheap:timeout(), 40)
      support.within(cheap:deadline(), 45, 50, "deadline")
      for i = 3, 10 do lu.assertEquals(calls[i][2](cheap), true, calls[i][1]) end
      lu.assertEquals(cheap:timeout(), 5)
      lu.assertTrue(not not cheap:delay(never, 60))
      lu.assertEquals({ cheap:send "x" }, { true })
      lu.assertEquals({ cheap:shutdown() }, { true })
    end,
  }
  session:connect(HOST, silent:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  lu.assertEquals(support.ending(silent, 1), "eof")
end

function cases.in_the_shutdown_phase_only_its_timers_and_reset_work()
  local frozen = support.peer("freeze", { rcvbuf = 4096 })
  local session, log
  session, log = support.record {
    filter = "stream", shutdown_timeout = 33,
    on_success = function(cheap, _, addr, port, _, id)
      cheap:send(("x"):rep(9 * 1048576))
      lu.assertEquals({ cheap:shutdown() }, { true })
      assert_all(cheap, SHUTTING, { ["timeout(n)"] = true, ["deadline(n)"] = true })
      assert_names(cheap, id, frozen:port())
      assert_getters(cheap, "shutting", session)
      lu.assertEquals({ cheap:peer() }, { addr, port })
      lu.assertEquals((cheap:sock()), HOST)
      lu.assertEquals(cheap:timeout(), 33)
      lu.assertEquals(cheap:timeout(20), true)
      lu.assertEquals(cheap:timeout(), 20)
      lu.assertEquals(cheap:deadline(20), true)
      lu.assertEquals({ cheap:reset() }, { true })
    end,
  }
  session:connect(HOST, frozen:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
end

-- In the handlers of an ending, and in on_disconnected after it.
local endings = {
  failure = { { "initialize", "failure connect ECONNREFUSED", "disconnected failure" },
    function() return support.refused() end },
  error = { { "initialize", "success", "error read EOF", "disconnected eof" },
    function() return support.peer("close"):port() end },
  timeout = { { "initialize", "success", "timeout input", "disconnected timeout" },
    function() return support.peer("count"):port() end },
}
for _, event in ipairs { "failure", "error", "timeout" } do
  local expected, make_port = endings[event][1], endings[event][2]
  cases["in_on_" .. event .. "_nothing_can_be_changed"] = function()
    local port = make_port()
    local cause, session, log
    session, log = support.record {
      input_timeout = 0.1,
      ["on_" .. event] = function(cheap)
        assert_all(cheap, SHUTTING)
        assert_getters(cheap, "shutting", session)
        assert_names(cheap, cheap[0], port)
        if event ~= "failure" then
          lu.assertEquals({ cheap:peer() }, { HOST, port })
          lu.assertEquals((cheap:sock()), HOST)
        end
        cause = { cheap:cause() }
        lu.assertEquals(#cause, event == "timeout" and 5 or 4)
        lu.assertEquals(cause[5], event == "timeout" and "input" or nil)
      end,
      on_disconnected = function(cheap)
        assert_all(cheap, STALE)
        lu.assertEquals({ cheap:reset() }, STALE)
        assert_getters(cheap, "closed", session)
        assert_names(cheap, cheap[0], port)
        lu.assertEquals({ cheap:peer() }, NIL)
        lu.assertEquals({ cheap:sock() }, NIL)
        lu.assertEquals({ cheap:cause() }, cause)
      end,
    }
    local cheap = session:connect(HOST, port)
    support.run()
    lu.assertEquals(log:list(), expected)
    assert_all(cheap, STALE)
    for _, getter in ipairs(getters) do lu.assertEquals({ cheap[getter](cheap) }, STALE) end
    for _, getter in ipairs { "peer", "sock", "cause" } do
      lu.assertEquals({ cheap[getter](cheap) }, STALE)
    end
    lu.assertEquals({ cheap:reset() }, STALE)
    assert_names(cheap, cheap[0], port)
  end
end

function cases.reset_in_an_ending_handler_is_legal_and_changes_no_event()
  local session, log = support.record {
    on_error = function(cheap) lu.assertEquals({ cheap:reset() }, { true }) end,
  }
  session:connect(HOST, support.peer("close"):port())
  support.run()
  lu.assertEquals(log:count "disconnected", 1)
  lu.assertEquals(log:count "error", 1)
end

function cases.cause_tells_the_first_error()
  local seen
  local session = support.session {
    on_disconnected = function(cheap) seen = { cheap:cause() } end,
  }
  session:connect(HOST, support.refused())
  support.run()
  lu.assertEquals({ seen[1], seen[2], seen[4] }, { "connect", 111, "ECONNREFUSED" })
  session = support.session {
    on_success = function(cheap) cheap:fail("bad greeting", "EPROTO") end,
    on_disconnected = function(cheap) seen = { cheap:cause() } end,
  }
  session:connect(HOST, support.peer("count"):port())
  support.run()
  lu.assertEquals({ seen[1], seen[3], seen[4] }, { "fail", "bad greeting", "EPROTO" })
end

function cases.misuse_raises_and_changes_nothing()
  local log = support.meet("echo", {
    on_success = function(cheap)
      for _, bad in ipairs { -1, 0 / 0, 1 / 0, "5", {}, true } do
        lu.assertFalse(pcall(cheap.timeout, cheap, bad))
        lu.assertFalse(pcall(cheap.deadline, cheap, bad))
        if bad ~= -1 then lu.assertFalse(pcall(cheap.delay, cheap, "state", bad)) end
      end
      lu.assertFalse(pcall(cheap.fail, cheap, "text", "ENOSUCHTHING"))
      lu.assertFalse(pcall(cheap.fail, cheap, {}))
      lu.assertFalse(pcall(cheap.shutdown, cheap, "input"))
      lu.assertFalse(pcall(cheap.unread, cheap, {}))
      lu.assertFalse(pcall(tcpmulti.timeout, 5))
      lu.assertFalse(pcall(tcpmulti.id, {}))
      cheap:send "alive"
    end,
    on_input = function(cheap) cheap:shutdown() end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "input alive", "disconnected shutdown" })
end

support.main(cases)
