-- SPDX-License-Identifier: MIT
-- BEHAVIOUR T16-T21: timeouts when handlers are slow, when we only send, when a flush stands still,
-- and a thousand at once; and the deadline, which no input moves.

local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "TimeoutsAndLoad"
local HOST = "127.0.0.1"

function cases.T16_data_that_waits_beats_the_input_timeout()
  local log = support.meet('send "one\\r\\n"; sleep 200; send "two\\r\\n"; count', {
    input_timeout = 1,
    on_input = function(cheap, record)
      if record == "one" then peer.block(2) else cheap:shutdown() end
    end,
  })
  lu.assertEquals(log:list(),
    { "initialize", "success", "input one", "input two", "disconnected shutdown" })
end

-- libuv looks at its timers before it polls again after such a handler.
function cases.T16_a_finished_connect_beats_the_connect_timeout()
  local echo = support.peer "echo"
  local talker = support.peer 'send "go\\r\\n"; count'
  local session, log
  session, log = support.record {
    connect_timeout = 0.3,
    on_input = function(cheap)
      session:connect({ second = true }, HOST, echo:port())
      peer.block(1)
      cheap:shutdown()
    end,
    on_success = function(cheap) if cheap.second then cheap:shutdown() end end,
  }
  session:connect(HOST, talker:port())
  support.run()
  log:check_grammar()
  lu.assertEquals(log:count "timeout", 0)
  lu.assertEquals(log:count "success", 2)
  lu.assertEquals(log:count "disconnected shutdown", 2)
end

function cases.T17_a_timeout_armed_after_a_long_handler_is_not_early()
  local closer, blackhole = support.peer "close", support.blackhole()
  local since
  local session, log
  session, log = support.record {
    on_success = function()
      peer.block(2)
      since = tcpmulti.now()
      session:connect { remote_address = HOST, remote_port = blackhole, connect_timeout = 1 }
    end,
  }
  session:connect(HOST, closer:port())
  support.run()
  support.at(log:time "timeout" + log.start - since, 1)
end

function cases.T17_an_alarm_and_an_input_timeout_after_a_long_handler_are_not_early()
  local silent = support.peer 'send "go\\r\\n"; count'
  local since, alarm
  local session, log
  session, log = support.record {
    on_input = function(cheap)
      peer.block(0.5)
      since = tcpmulti.now()
      cheap:timeout(0.4)
      session:delay("ring", 0.3)
    end,
    inline_states = { ring = function() alarm = tcpmulti.now() end },
  }
  session:connect(HOST, silent:port())
  support.run()
  support.at(alarm - since, 0.3)
  support.at(log:time "timeout" + log.start - since, 0.4)
end

function cases.T18_the_deprecated_timeout_is_the_connect_timeout()
  local session, log = support.record { timeout = 1 }
  session:connect(HOST, support.blackhole())
  support.run()
  support.at(log:time "timeout connect", 1)
end

function cases.T18_connect_timeout_wins_over_the_deprecated_one()
  local session, log = support.record { Timeout = 0.3, ConnectTimeout = 1 }
  session:connect(HOST, support.blackhole())
  support.run()
  support.at(log:time "timeout connect", 1)
end

function cases.T19_sending_does_not_restart_the_input_timeout()
  local silent = support.peer "count"
  local session, log
  session, log = support.record {
    input_timeout = 1,
    on_success = function(cheap) cheap:delay("chatter", 0.22) end,
    inline_states = {
      chatter = function(_, cheap)
        cheap:send "still here"
        cheap:delay("chatter", 0.22)
      end,
    },
  }
  session:connect(HOST, silent:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "timeout input", "disconnected timeout" })
  support.at(log:time "timeout" - log:time "success", 1)
  lu.assertEquals(support.ending(silent, 1), "eof")
  support.within(silent:report().received, 3 * 12, 4 * 12, "bytes")
end

function cases.T20_a_flush_that_stands_still_is_cut_by_the_shutdown_timeout()
  local lost, queued
  local log, frozen = support.meet("wait look; count", {
    filter = "stream", shutdown_timeout = 1,
    on_success = function(cheap)
      cheap:send(("x"):rep(16 * 1048576))
      lu.assertTrue(cheap:shutdown())
    end,
    on_timeout = function(cheap) queued = cheap:queued() end,
    on_disconnected = function(cheap) lost = cheap:queued() end,
  }, { rcvbuf = 4096 })
  lu.assertEquals(log:list(),
    { "initialize", "success", "timeout shutdown", "disconnected timeout" })
  support.at(log:time "timeout" - log:time "success", 1, 1.2)
  lu.assertTrue(queued > 0)
  lu.assertEquals(lost, queued)
  frozen:go "look"
  lu.assertEquals(support.ending(frozen, 1), "reset")
end

function cases.T20_a_flush_that_goes_on_is_not_cut()
  local log, slow = support.meet("loop 12; recv 600k; sleep 150; end; count", {
    filter = "stream", shutdown_timeout = 0.8,
    on_success = function(cheap)
      cheap:send(("x"):rep(9 * 1048576))
      cheap:shutdown()
    end,
  }, { seconds = 20, rcvbuf = 65536 })
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  lu.assertTrue(log:time "disconnected" > 1)
  lu.assertEquals(support.ending(slow, 1), "eof")
  lu.assertEquals(slow:report().received, 9 * 1048576)
end

function cases.T21_a_thousand_blackholes_time_out_on_time()
  local session, log = support.record { connect_timeout = 1 }
  local blackhole = support.blackhole()
  for _ = 1, 1000 do session:connect(HOST, blackhole) end
  support.run()
  lu.assertEquals(log:count "timeout connect", 1000)
  log:check_grammar()
  for i = 1, 1000 do
    local at = log:time("timeout", i)
    support.within(at, 0.98, 2, "timeout")
    if i == 1 then support.within(at, 0.98, 1.4, "the first timeout") end
  end
end

function cases.T_the_deadline_is_not_moved_by_input()
  local log = support.meet('loop 0; send "line\\r\\n"; sleep 50; end',
    { short = true, deadline = 0.7, input_timeout = 0.4 })
  support.at(log:time "timeout deadline", 0.7)
  lu.assertEquals(log[#log], "disconnected timeout")
  support.within(log:count "input", 5, 15, "inputs")
end

function cases.T_the_deadline_of_one_connection_and_from_a_handler()
  local silent = support.peer "count"
  local session, log = support.record {
    on_success = function(cheap)
      if cheap.late then
        lu.assertEquals(cheap:deadline(), 0)
        lu.assertTrue(cheap:deadline(0.6))
        support.within(cheap:deadline(), 0.4, 0.6, "deadline")
      end
    end,
    on_timeout = function(cheap, _, timer)
      lu.assertEquals(timer, "deadline")
      cheap.at = tcpmulti.now()
    end,
  }
  local a = session:connect { remote_address = HOST, remote_port = silent:port(), deadline = 0.3 }
  local b = session:connect({ late = true }, HOST, silent:port())
  local c = session:connect {
    remote_address = HOST, remote_port = support.blackhole(), deadline = 0.2,
  }
  support.run()
  support.at(a.at - log.start, 0.3)
  support.at(b.at - log.start, 0.6)
  support.at(c.at - log.start, 0.2)
end

function cases.T_the_deadline_covers_the_shutdown_phase()
  local log = support.meet("freeze", {
    filter = "stream", shutdown_timeout = 30, deadline = 0.5,
    on_success = function(cheap)
      cheap:send(("x"):rep(16 * 1048576))
      cheap:shutdown()
    end,
  }, { rcvbuf = 4096 })
  lu.assertEquals(log:list(),
    { "initialize", "success", "timeout deadline", "disconnected timeout" })
  support.at(log:time "timeout", 0.5)
end

function cases.T_a_timeout_ends_the_connection_whatever_its_handler_does()
  local answers
  local log = support.meet("count", {
    input_timeout = 0.1,
    on_timeout = function(cheap)
      answers = { { cheap:timeout(5) }, { cheap:send "more" }, { cheap:deadline(0) } }
    end,
  })
  for _, answer in ipairs(answers) do lu.assertEquals(answer[3], "ESHUTDOWN") end
  lu.assertEquals(log:list(), { "initialize", "success", "timeout input", "disconnected timeout" })
end

support.main(cases)
