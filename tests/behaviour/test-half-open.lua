-- SPDX-License-Identifier: MIT
-- The end of the peer: on_eof, half_open, what counts as silence then, and what the end promises
-- of a flush.

local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "HalfOpen"
local HOST = "127.0.0.1"
local MIB = 1048576
local SHUTTING = { nil, "shutting down", "ESHUTDOWN" }

---------------------------------------------------------------- on_eof

function cases.on_eof_takes_the_place_of_the_error_eof()
  local causes = {}
  local log = support.meet('send "one\\r\\npart"; close', {
    on_eof = function(cheap, id)
      lu.assertEquals(id, cheap:id())
      lu.assertEquals(cheap:phase(), "shutting")
      lu.assertEquals(cheap:pending(), "part")
      lu.assertEquals({ cheap:send "x" }, SHUTTING)
      causes[1] = { cheap:cause() }
    end,
    on_disconnected = function(cheap) causes[2] = { cheap:cause() } end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "input one", "eof", "disconnected eof" })
  lu.assertEquals(causes[1], { "read", 0, causes[1][3], "EOF" })
  lu.assertEquals(causes[2], causes[1])
end

function cases.without_on_eof_the_end_is_an_error_as_ever()
  local cause
  local log = support.meet("close", {
    on_disconnected = function(cheap) cause = { cheap:cause() } end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "error read EOF", "disconnected eof" })
  lu.assertEquals({ cause[1], cause[2], cause[4] }, { "read", 0, "EOF" })
end

function cases.a_reset_is_an_error_also_with_on_eof()
  local log = support.meet('send "one\\r\\n"; rst', { eof = true })
  lu.assertEquals(log:list(),
    { "initialize", "success", "input one", "error read ECONNRESET", "disconnected error" })
end

function cases.an_error_raised_in_on_eof_is_an_exception_of_that_connection()
  local closer, message = support.peer "close", nil
  for _, half_open in ipairs { false, true } do
    local session, log = support.record {
      half_open = half_open,
      on_eof = function() error "no good end" end,
      on_exception = function(_, text) message = text end,
    }
    session:connect(HOST, closer:port())
    support.run()
    lu.assertEquals(log:list(), { "initialize", "success", "eof",
      half_open and "disconnected error" or "disconnected eof" })
    lu.assertStrContains(message, "no good end")
  end
end

function cases.pause_holds_the_eof_too()
  local log = support.meet("close", {
    half_open = true,
    on_success = function(cheap)
      cheap:pause()
      support.after(0.2, function() lu.assertEquals({ cheap:resume() }, { true }) end)
    end,
    on_eof = function(cheap) cheap:shutdown() end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "eof", "disconnected eof" })
  support.at(log:time "eof" - log:time "success", 0.2)
end

---------------------------------------------------------------- half_open

-- A session with half_open, and a peer that closes its side first and counts what comes then.
local function record_half(options)
  local half = support.peer(options.program or 'send "ask\\r\\n"; shutwr; count', options.peer)
  options.program, options.peer = nil, nil
  options.half_open = true
  options.on_eof = options.on_eof or function() end
  local session, log = support.record(options)
  local cheap = session:connect(HOST, half:port())
  return log, half, cheap
end

function cases.I08_after_the_peers_end_a_mebibyte_is_still_sent()
  local log, half = record_half {
    output_filter = "stream",
    on_eof = function(cheap)
      lu.assertEquals(cheap:phase(), "open")
      support.after(0.05, function()
        cheap:send(("x"):rep(MIB))
        lu.assertEquals({ cheap:shutdown() }, { true })
        lu.assertEquals(cheap:phase(), "shutting")
        lu.assertEquals({ cheap:shutdown() }, SHUTTING)
      end)
    end,
    on_disconnected = function(cheap)
      lu.assertEquals(cheap:sent(), MIB)
      lu.assertEquals(cheap:received(), 5)
      lu.assertEquals(cheap:queued(), 0)
    end,
  }
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "input ask", "eof", "disconnected eof" })
  lu.assertEquals(support.ending(half, 1), "eof")
  lu.assertEquals(half:connection(1).received, MIB)
end

function cases.after_on_eof_output_goes_on_and_input_is_over()
  local ran
  local log, half = record_half {
    on_eof = function(cheap)
      lu.assertEquals({ cheap:cause() }, { "read", 0, (select(3, cheap:cause())), "EOF" })
      for _, name in ipairs { "pause", "resume" } do
        lu.assertEquals({ cheap[name](cheap) }, SHUTTING, name)
      end
      lu.assertEquals({ cheap:unread "x" }, SHUTTING)
      lu.assertEquals({ cheap:filter "line" }, SHUTTING)
      lu.assertEquals({ cheap:input_filter "line" }, SHUTTING)
      lu.assertEquals({ cheap:output_filter "stream" }, { true })
      lu.assertEquals({ cheap:timeout(5) }, { true })
      lu.assertEquals(cheap:timeout(), 5)
      lu.assertEquals({ cheap:deadline(5) }, { true })
      lu.assertEquals({ cheap:send "answer" }, { true })
      lu.assertTrue(not not cheap:delay(function(_, c)
        ran = true
        c:shutdown()
      end, 0.05))
    end,
  }
  support.run()
  lu.assertTrue(ran)
  lu.assertEquals(log:list(), { "initialize", "success", "input ask", "eof", "disconnected eof" })
  lu.assertEquals(support.ending(half, 1), "eof")
  lu.assertEquals(half:connection(1).received, 6)
end

-- What ends it, and the reason.
local ways = {
  shutdown = { "eof", "eof", function(cheap) return cheap:shutdown() end },
  shutdown_of_the_output = { "eof", "eof", function(cheap) return cheap:shutdown "output" end },
  die = { "die", "eof", function(cheap) return cheap:session():die() end },
  reset = { "shutdown", "reset", function(cheap) return cheap:reset() end },
}
for name, way in pairs(ways) do
  cases[name .. "_ends_it_with_reason_" .. way[1]] = function()
    local log, half = record_half {
      on_eof = function(cheap)
        cheap:send "answer"
        support.after(0.05, function() lu.assertEquals({ way[3](cheap) }, { true }) end)
      end,
    }
    support.run()
    lu.assertEquals(log:list(),
      { "initialize", "success", "input ask", "eof", "disconnected " .. way[1] })
    lu.assertEquals(support.ending(half, 1), way[2])
  end
end

function cases.fail_ends_it_with_an_error()
  local log, half = record_half {
    on_eof = function(cheap) cheap:fail("too early", "EPROTO") end,
  }
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "input ask", "eof", "error fail EPROTO",
    "disconnected error" })
  lu.assertEquals(support.ending(half, 1), "reset")
end

function cases.with_the_output_shut_before_the_peers_end_is_the_end()
  local log = support.meet('recv all; send "bye\\r\\n"; close', {
    half_open = true, on_eof = function() end,
    on_success = function(cheap)
      cheap:send "hello"
      cheap:shutdown "output"
    end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "input bye", "eof", "disconnected eof" })
end

function cases.what_is_queued_at_the_peers_end_is_flushed_as_ever()
  local log, half = record_half {
    program = 'shutwr; sleep 100; count', peer = { rcvbuf = 4096 },
    filter = "stream", eof = true,
    on_success = function(cheap) cheap:send(("x"):rep(9 * MIB)) end,
    on_flushed = function(cheap)
      if cheap:queued() == 0 then cheap:shutdown() end
    end,
  }
  support.run()
  lu.assertEquals({ log[3], log[#log] }, { "eof", "disconnected eof" })
  lu.assertEquals(support.ending(half, 1), "eof")
  lu.assertEquals(half:connection(1).received, 9 * MIB)
end

function cases.a_reset_after_the_peers_end_is_an_error()
  local log, half
  log, half = record_half {
    program = 'shutwr; wait go; rst',
    on_eof = function() half:go "go" end,
  }
  support.run()
  lu.assertEquals(log:list(),
    { "initialize", "success", "eof", "error write ECONNRESET", "disconnected error" })
end

function cases.input_timeout_is_the_time_in_which_no_output_is_acknowledged()
  local log = record_half { input_timeout = 0.3, eof = true }
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "input ask", "eof", "timeout input",
    "disconnected timeout" })
  support.at(log:time "timeout" - log:time "eof", 0.3)
end

function cases.acknowledged_output_restarts_the_input_timeout()
  local log
  local function send_on(_, cheap, left)
    if left == 0 then return end
    lu.assertEquals(cheap:send "more", true)
    cheap:delay("send_on", 0.1, left - 1)
  end
  log = record_half {
    input_timeout = 0.4, inline_states = { send_on = send_on },
    on_eof = function(cheap) cheap:delay("send_on", 0.1, 8) end,
  }
  support.run()
  lu.assertEquals(log[#log], "disconnected timeout")
  support.at(log:time "timeout" - log:time "eof", 0.8 + 0.4, 0.8)
end

function cases.the_deadline_holds_after_the_peers_end()
  local log = record_half { input_timeout = 0, deadline = 0.3, eof = true }
  support.run()
  lu.assertEquals(log[#log - 1], "timeout deadline")
end

function cases.one_connection_may_differ_from_its_session()
  local half = support.peer 'shutwr; count'
  local session, log = support.record {
    half_open = true,
    on_eof = function(cheap)
      if cheap:phase() == "open" then
        cheap:send "open"
        cheap:shutdown()
      end
    end,
  }
  local function connect(half_open)
    return session:connect { remote_address = HOST, remote_port = half:port(),
      half_open = half_open }
  end
  connect(nil)
  connect(false)
  support.run()
  lu.assertEquals(log:count "disconnected eof", 2)
  for number = 1, 2 do support.ending(half, number) end
  lu.assertEquals(half:connection(1).received + half:connection(2).received, 6)
  session, log = support.record { eof = true }
  connect(true).open = true
  connect(nil)
  support.when(function() return log:count "disconnected eof" == 1 end, function()
    local open = 0
    for _, cheap in session:connections() do
      lu.assertTrue(cheap.open)
      open = open + 1
      cheap:shutdown()
    end
    lu.assertEquals(open, 1)
  end)
  support.run()
  lu.assertEquals(log:count "disconnected eof", 2)
end

function cases.half_open_without_on_eof_is_refused()
  local ok, message = pcall(tcpmulti.create, { half_open = true })
  lu.assertFalse(ok)
  lu.assertStrContains(message, "half_open needs on_eof")
  local session = support.session {}
  ok, message = pcall(session.connect, session,
    { remote_address = HOST, remote_port = 9, half_open = true })
  lu.assertFalse(ok)
  lu.assertStrContains(message, "half_open needs on_eof")
  lu.assertEquals((session:count()), 0)
end

function cases.half_open_with_an_on_eof_of_the_connection_alone()
  local half, told = support.peer "shutwr; count", 0
  local session, log = support.record()
  session:connect {
    remote_address = HOST, remote_port = half:port(), half_open = true,
    on_eof = function(cheap)
      told = told + 1
      lu.assertEquals(cheap:phase(), "open")
      cheap:shutdown()
    end,
  }
  support.run()
  lu.assertEquals(told, 1)
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected eof" })
end

---------------------------------------------------------------- what is silence

function cases.an_upload_that_progresses_is_no_silence()
  local log = support.meet('loop 12; recv 400000; sleep 100; end; count', {
    filter = "stream", input_timeout = 0.5, flushed = true,
    on_success = function(cheap) cheap:send(("x"):rep(8 * MIB)) end,
  }, { seconds = 20, rcvbuf = 4096 })
  lu.assertEquals({ log[#log - 2], log[#log - 1] }, { "flushed", "timeout input" })
  lu.assertTrue(log:time "timeout" - log:time "success" > 1.2)
  local flushed = log:time("flushed", log:count "flushed")
  support.within(log:time "timeout" - flushed, 0.3, 2, "silence after the upload")
end

function cases.an_upload_that_stands_still_is_silence()
  local log = support.meet("freeze", {
    filter = "stream", input_timeout = 0.4,
    on_success = function(cheap) cheap:send(("x"):rep(16 * MIB)) end,
  }, { rcvbuf = 4096 })
  lu.assertEquals(log:list(),
    { "initialize", "success", "timeout input", "disconnected timeout" })
  support.within(log:time "timeout" - log:time "success", 0.39, 1.6, "silence")
end

function cases.T19_sends_that_the_kernel_takes_at_once_are_no_sign_of_life()
  local function send_on(_, cheap)
    cheap:send "x"
    cheap:delay("send_on", 0.05)
  end
  local log = support.meet("count", {
    input_timeout = 0.4, inline_states = { send_on = send_on },
    on_success = function(cheap) cheap:delay("send_on", 0.05) end,
  })
  lu.assertEquals(log[#log - 1], "timeout input")
  support.at(log:time "timeout" - log:time "success", 0.4)
end

---------------------------------------------------------------- what is told of it

function cases.the_trace_has_the_address_and_at_the_end_reason_and_cause()
  local output, status = support.child("", [[
    local tcpmulti = require "tcpmulti"
    local s = tcpmulti.create { options = { trace = true }, connect_timeout = 5 }
    s:connect("::1", 1)
    s:connect("b\195\132\194\155.example", 1):shutdown()
    tcpmulti.run()
  ]])
  lu.assertEquals(status, 0)
  lu.assertStrContains(output, " to [::1]:1: initialize\n")
  lu.assertStrContains(output,
    " to [::1]:1: disconnected (failure), connect: ECONNREFUSED, Connection refused\n")
  lu.assertStrContains(output, " to b????.example:1: disconnected (failure), resolve: EBADNAME, ")
end

---------------------------------------------------------------- what was promised

-- The peer has closed its side and takes nothing: nothing of what the kernel has is acknowledged.
-- When it resets, the flush has not come to its end, whoever had asked for it.
local promises = {
  eof = function() end,
  shutdown = function(cheap) cheap:shutdown() end,
  die = function(cheap) cheap:session():die() end,
}
local function end_unacknowledged(half, act)
  local session, log
  session, log = support.record {
    filter = "stream", flushed = true,
    on_success = function(cheap) cheap:send(("x"):rep(100000)) end,
    on_flushed = function(cheap)
      lu.assertTrue(half:await "shut")
      act(cheap)
      support.after(0.2, function()
        lu.assertEquals(log:list(), { "initialize", "success", "flushed" })
        half:go "go"
      end)
    end,
  }
  session:connect(HOST, half:port())
  support.run()
  return log
end

for reason, act in pairs(promises) do
  cases["a_reset_before_the_acknowledgement_is_an_error_and_no_" .. reason] = function()
    local half = support.peer('shutwr; mark shut; wait go; rst', { rcvbuf = 4096 })
    local log = end_unacknowledged(half, act)
    log:check_grammar()
    lu.assertEquals(log[#log], "disconnected error")
    lu.assertStrContains(log[#log - 1], "ECONNRESET")
  end
  cases["when_all_is_acknowledged_it_ends_with_" .. reason] = function()
    local half = support.peer('shutwr; mark shut; wait go; count', { rcvbuf = 4096 })
    local log = end_unacknowledged(half, act)
    lu.assertEquals(log[#log], "disconnected " .. reason)
    lu.assertEquals(support.ending(half, 1), "eof")
    lu.assertEquals(half:connection(1).received, 100000)
  end
end

support.main(cases)
