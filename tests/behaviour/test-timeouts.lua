-- SPDX-License-Identifier: MIT
-- BEHAVIOUR T1-T15: the timeouts of a connection, from create, from connect and by cheap:timeout.

local lu = require "luaunit"
local support = require "behaviour.support"

local cases = support.cases "Timeouts"
local HOST = "127.0.0.1"
local DRIPLINES = 'loop 5; send "line\\r\\n"; sleep 500; end; count'

function cases.T1_a_silent_server_is_an_input_timeout()
  local silent = support.peer "count"
  local seen
  local session, log = support.record {
    InputTimeout = 3,
    on_timeout = function(...) seen = { n = select("#", ...), ... } end,
  }
  local cheap, id = session:connect(HOST, silent:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "timeout input", "disconnected timeout" })
  support.at(log:time "timeout" - log:time "success", 3)
  lu.assertEquals(seen.n, 3)
  lu.assertIs(seen[1], cheap)
  lu.assertEquals({ seen[2], seen[3] }, { id, "input" })
  lu.assertEquals(support.ending(silent, 1), "eof")
end

function cases.T2_the_input_timeout_runs_from_the_last_input()
  local log, lines = support.meet(DRIPLINES, { input_timeout = 1 })
  lu.assertEquals(log:list(), {
    "initialize", "success", "input line", "input line", "input line", "input line", "input line",
    "timeout input", "disconnected timeout",
  })
  support.at(log:time "timeout" - log:time("input", 5), 1)
  lu.assertEquals(support.ending(lines, 1), "eof")
end

function cases.T3_every_byte_restarts_the_input_timeout()
  local log = support.meet('loop 10; send "x"; sleep 250; end; close', { input_timeout = 1 })
  lu.assertEquals(log:list(), { "initialize", "success", "error read EOF", "disconnected eof" })
  support.at(log:time "error", 2.5)
end

function cases.T4_zero_is_no_timeout()
  local silent, blackhole = support.peer "count", support.blackhole()
  local never, never_log = support.record { connect_timeout = 0, input_timeout = 0 }
  local once, once_log = support.record { ConnectTimeout = 1, InputTimeout = 0 }
  never:connect(HOST, silent:port())
  never:connect(HOST, blackhole)
  once:connect(HOST, blackhole)
  support.after(5, function()
    lu.assertEquals(never_log:list(), { "initialize", "initialize", "success" })
    never:die()
  end)
  support.run(12)
  lu.assertEquals(once_log:list(), { "initialize", "timeout connect", "disconnected timeout" })
  support.at(once_log:time "timeout", 1)
  lu.assertEquals(never_log:count "timeout", 0)
end

function cases.T5_fractions_of_a_second_count()
  local session, log = support.record { connect_timeout = 0.5 }
  session:connect(HOST, support.blackhole())
  support.run()
  support.at(log:time "timeout", 0.5)
end

function cases.T6_impossible_times_are_refused_at_create()
  for _, key in ipairs { "connect_timeout", "input_timeout", "shutdown_timeout", "deadline",
    "timeout", "ConnectTimeout" } do
    for _, value in ipairs { -1, -0.001, 0 / 0, 1 / 0, "5", true, {} } do
      local ok, message = pcall(support.session, { [key] = value })
      lu.assertFalse(ok, key .. " = " .. tostring(value))
      lu.assertStrContains(message, key)
    end
  end
end

function cases.T7_the_connect_timeout_of_one_connection()
  local session, log = support.record { connect_timeout = 30 }
  session:connect { RemoteAddress = HOST, RemotePort = support.blackhole(), ConnectTimeout = 1 }
  support.run()
  lu.assertEquals(log:list(), { "initialize", "timeout connect", "disconnected timeout" })
  support.at(log:time "timeout", 1)
end

function cases.T8_the_input_timeout_of_one_connection()
  local silent = support.peer "count"
  local session, log = support.record { input_timeout = 2 }
  session:connect { remote_address = HOST, remote_port = silent:port(), input_timeout = 1 }
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "timeout input", "disconnected timeout" })
  support.at(log:time "timeout" - log:time "success", 1)
end

function cases.T9_timeout_in_initialize_is_the_connect_timeout()
  local session, log = support.record { on_initialize = function(cheap) cheap:timeout(1) end }
  session:connect(HOST, support.blackhole())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "timeout connect", "disconnected timeout" })
  support.at(log:time "timeout", 1)
end

function cases.T10_timeout_in_success_is_the_input_timeout()
  local log = support.meet("count", { on_success = function(cheap) cheap:timeout(1) end })
  lu.assertEquals(log:list(), { "initialize", "success", "timeout input", "disconnected timeout" })
  support.at(log:time "timeout" - log:time "success", 1)
end

function cases.T10_timeout_in_success_is_restarted_by_input()
  local log = support.meet(DRIPLINES, { on_success = function(cheap) cheap:timeout(1) end })
  lu.assertEquals(log:count "input", 5)
  support.at(log:time "timeout" - log:time("input", 5), 1)
end

function cases.T11_timeout_0_in_initialize_leaves_the_input_timeout()
  local silent = support.peer "count"
  local blackhole = support.blackhole()
  local session, log
  session, log = support.record {
    connect_timeout = 0.5, input_timeout = 1,
    on_initialize = function(cheap) cheap:timeout(0) end,
    on_timeout = function() session:die() end,
  }
  session:connect(HOST, silent:port())
  session:connect(HOST, blackhole)
  support.run()
  lu.assertEquals(log:list(), {
    "initialize", "initialize", "success", "timeout input", "disconnected timeout",
    "disconnected die",
  })
  support.at(log:time "timeout" - log:time "success", 1)
end

function cases.T12_timeout_0_in_success_is_never()
  local log = support.meet("count", {
    input_timeout = 0.3,
    on_success = function(cheap)
      cheap:timeout(0)
      lu.assertEquals(cheap:timeout(), 0)
      support.after(1, function() cheap:shutdown() end)
    end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
end

function cases.T13_reading_the_timeout_leaves_it_alone()
  local values = {}
  local log = support.meet("count", {
    connect_timeout = 7, input_timeout = 1,
    on_initialize = function(cheap) values[1] = cheap:timeout() end,
    on_success = function(cheap)
      values[2] = cheap:timeout()
      support.after(0.5, function() values[3] = cheap:timeout() end)
    end,
  })
  lu.assertEquals(values, { 7, 1, 1 })
  support.at(log:time "timeout" - log:time "success", 1)
end

function cases.T14_timeout_in_disconnected_is_stale()
  local closer = support.peer "close"
  local answer
  local session, log = support.record {
    on_disconnected = function(cheap) answer = { cheap:timeout(0.3) } end,
  }
  session:connect(HOST, closer:port())
  local took = support.run()
  lu.assertEquals(answer, { nil, "no such connection", "ESTALE" })
  support.after(0.6, function() end)
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "error read EOF", "disconnected eof" })
  support.within(took, 0, 0.5, "run")
end

function cases.T15_timeout_set_from_another_session_fires_in_the_owner()
  local silent = support.peer "count"
  local closer = support.peer "close"
  local owner, log = support.record()
  local kept = owner:connect(HOST, silent:port())
  local since
  local other = support.session {
    on_disconnected = function()
      lu.assertEquals(kept:timeout(0.5), true)
      since = log.start and require "tcpmulti".now()
    end,
  }
  support.when(function() return log:count "success" == 1 end,
    function() other:connect(HOST, closer:port()) end)
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "timeout input", "disconnected timeout" })
  support.at(log:time "timeout" + log.start - since, 0.5)
end

support.main(cases)
