-- SPDX-License-Identifier: MIT
-- BEHAVIOUR S1-S16: what was sent before a shutdown arrives, and what cannot be sent is said.

local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "SendFlushShutdown"
local HOST = "127.0.0.1"
local MIB = 1048576

function cases.S1_send_and_shutdown_in_one_handler()
  local log, sink = support.meet("recv all", {
    on_success = function(cheap)
      cheap:send "QUIT"
      cheap:shutdown()
    end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  lu.assertEquals(support.ending(sink, 1), "eof")
  lu.assertEquals(sink:connection(1).content, "QUIT\r\n")
end

function cases.S2_a_hundred_thousand_bytes_and_quit()
  local sink = support.peer("recv all", { keep = MIB })
  local bytes = peer.prng(2, 100000):gsub("[\r\n]", ".")
  local session = support.session {
    on_success = function(cheap)
      cheap:send(bytes)
      cheap:send "QUIT"
      cheap:shutdown()
    end,
  }
  session:connect(HOST, sink:port())
  support.run()
  lu.assertEquals(support.ending(sink, 1), "eof")
  lu.assertTrue(sink:connection(1).content == bytes .. "\r\nQUIT\r\n")
end

function cases.S3_twenty_megabytes_to_a_slow_reader()
  local bytes = peer.prng(3, 20 * MIB)
  local flushed_at
  local log, slow = support.meet("sleep 1000; count", {
    filter = "stream",
    on_success = function(cheap)
      cheap:send(bytes)
      cheap:delay("leave", 0.3)
    end,
    on_flushed = function(cheap) if cheap:queued() == 0 then flushed_at = tcpmulti.now() end end,
    inline_states = { leave = function(_, cheap) lu.assertTrue(cheap:shutdown()) end },
  }, { seconds = 40, rcvbuf = 4096 })
  lu.assertEquals(support.ending(slow, 1), "eof")
  lu.assertEquals(slow:connection(1).received, #bytes)
  lu.assertEquals(slow:connection(1).checksum, peer.checksum(bytes))
  lu.assertEquals(log[#log], "disconnected shutdown")
  lu.assertTrue(flushed_at <= log.start + log:time "disconnected")
end

function cases.S4_send_in_initialize_goes_first_and_in_order()
  local sink = support.peer "recv all"
  local session, log = support.record {
    on_initialize = function(cheap)
      lu.assertEquals(cheap:send "one", true)
      lu.assertEquals(cheap:send("two", "three"), true)
    end,
    on_success = function(cheap)
      cheap:send "four"
      cheap:shutdown()
    end,
  }
  local cheap = session:connect(HOST, sink:port())
  lu.assertEquals(cheap:send "after connect", true)
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  lu.assertEquals(support.ending(sink, 1), "eof")
  lu.assertEquals(sink:connection(1).content, "one\r\ntwo\r\nthree\r\nafter connect\r\nfour\r\n")
end

function cases.S4_send_before_success_on_a_slow_address()
  local hole = peer.start("", { blackhole = true })
  local port = hole:port()
  local sink
  local session, log = support.record {
    connect_timeout = 8,
    on_initialize = function(cheap) cheap:send("early", "bird") end,
    on_success = function(cheap) cheap:shutdown() end,
  }
  session:connect(HOST, port)
  -- Its SYN gets no answer; a second later it is sent again, to a port that listens now.
  support.after(0.1, function()
    hole:stop()
    sink = support.peer("recv all", { port = port })
  end)
  support.run(12)
  lu.assertEquals(log[#log] == "disconnected shutdown" or log[#log] == "disconnected failure", true)
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  lu.assertEquals(support.ending(sink, 1), "eof")
  lu.assertEquals(sink:connection(1).content, "early\r\nbird\r\n")
end

function cases.S4_send_before_a_refusal_is_dropped_with_the_failure()
  local queued = {}
  local session, log = support.record {
    on_initialize = function(cheap) cheap:send "never" end,
    on_failure = function(cheap) queued[1] = cheap:queued() end,
    on_disconnected = function(cheap) queued[2] = cheap:queued() end,
    on_flushed = function() lu.fail "flushed" end,
  }
  session:connect(HOST, support.refused())
  support.run()
  lu.assertEquals(log:list(),
    { "initialize", "failure connect ECONNREFUSED", "disconnected failure" })
  lu.assertEquals(queued, { 7, 7 })
end

function cases.S5_send_to_a_dead_id()
  local closer = support.peer "close"
  local session = support.session()
  local cheap, id = session:connect(HOST, closer:port())
  local other = support.session {
    inline_states = {
      look = function()
        lu.assertEquals({ session:send(id, "x") }, { nil, "no such connection", "ESTALE" })
        lu.assertEquals({ session:send(cheap, "x") }, { nil, "no such connection", "ESTALE" })
        lu.assertEquals({ tcpmulti.send(id, "x") }, { nil, "no such connection", "ESTALE" })
        lu.assertEquals({ cheap:send "x" }, { nil, "no such connection", "ESTALE" })
        session:die()
      end,
    },
  }
  support.when(function() return session:count() == 0 end, function() other:call "look" end)
  support.run()
end

function cases.S6_send_without_an_id_or_without_a_record()
  local echo = support.peer "echo"
  local session, log
  session, log = support.record {
    on_success = function(cheap, _, _, _, _, id)
      for _, bad in ipairs { {}, -1, 0, 1.5 } do
        local ok, message, errname = session:send(bad, "x")
        lu.assertNil(ok)
        lu.assertIsString(message)
        lu.assertEquals(errname, "ESTALE")
      end
      local expected = "connection heap or id expected (a dot instead of a colon?)"
      for _, bad in ipairs { "x", true, print } do
        lu.assertErrorMsgContains(expected, session.send, session, bad, "x")
        lu.assertErrorMsgContains(expected, cheap.send, bad)
      end
      lu.assertErrorMsgContains(expected, session.send, session, nil, "x")
      lu.assertErrorMsgContains(expected, tcpmulti.send, nil, "x")
      lu.assertEquals({ session:send(id) }, { nil, "nothing to send", "EINVAL" })
      lu.assertEquals({ cheap:send() }, { nil, "nothing to send", "EINVAL" })
      cheap:send "fine"
    end,
    on_input = function(cheap) cheap:shutdown() end,
  }
  session:connect(HOST, echo:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "input fine", "disconnected shutdown" })
  lu.assertEquals(echo:report().received, 6)
end

function cases.S7_a_second_shutdown_and_an_unknown_id()
  local silent = support.peer "count"
  local answers
  local session, log
  session, log = support.record {
    on_success = function(cheap, _, _, _, _, id)
      answers = { { cheap:shutdown() }, { cheap:shutdown() }, { session:shutdown(id) },
        { session:shutdown(id + 1) }, { tcpmulti.shutdown(123456) }, { cheap:shutdown "output" } }
    end,
  }
  session:connect(HOST, silent:port())
  support.run()
  local shutting = { nil, "shutting down", "ESHUTDOWN" }
  local stale = { nil, "no such connection", "ESTALE" }
  lu.assertEquals(answers, { { true }, shutting, shutting, stale, stale, shutting })
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
end

function cases.S8_shutdown_of_nil_raises()
  local session = support.session()
  local expected = "connection heap or id expected (a dot instead of a colon?)"
  lu.assertErrorMsgContains(expected, session.shutdown, session, nil)
  lu.assertErrorMsgContains(expected, session.shutdown, session, "x")
  lu.assertErrorMsgContains(expected, tcpmulti.shutdown, nil)
  lu.assertEquals({ session:shutdown {} }, { nil, "no such connection", "ESTALE" })
  support.run()
end

function cases.S9_a_yielded_shutdown_while_connecting_cancels()
  local silent = support.peer "count"
  local session, log
  session, log = support.record {
    on_initialize = function(cheap) cheap:send "never sent" end,
  }
  local _, id = session:connect(HOST, support.blackhole())
  session:yield("shutdown", id)
  support.run()
  lu.assertEquals(log:list(), { "initialize", "disconnected shutdown" })
  lu.assertEquals(silent:report().accepted, 0)
end

function cases.S9_a_direct_shutdown_while_connecting_sends_nothing()
  local silent = support.peer "count"
  local queued
  local session, log = support.record {
    on_disconnected = function(cheap) queued = cheap:queued() end,
  }
  local cheap = session:connect(HOST, silent:port())
  cheap:send "never"
  lu.assertTrue(cheap:shutdown())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "disconnected shutdown" })
  lu.assertEquals(queued, 7)
  lu.assertEquals(silent:report().received, 0)
end

function cases.S10_send_after_shutdown_is_refused_and_the_flush_goes_on()
  local slow = support.peer("wait go; count", { rcvbuf = 4096 })
  local session, log = support.record {
    filter = "stream",
    on_success = function(cheap)
      cheap:send(("x"):rep(9 * MIB))
      lu.assertTrue(cheap:shutdown())
      lu.assertEquals({ cheap:send "more" }, { nil, "shutting down", "ESHUTDOWN" })
      lu.assertEquals(cheap:phase(), "shutting")
      slow:go "go"
    end,
  }
  session:connect(HOST, slow:port())
  support.run(20)
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  lu.assertEquals(support.ending(slow, 1), "eof")
  lu.assertEquals(slow:report().received, 9 * MIB)
end

function cases.S11_a_reset_with_thirty_megabytes_in_flight()
  local log = support.meet("recv 100000; rst", {
    filter = "stream",
    on_success = function(cheap) cheap:send(("x"):rep(30 * MIB)) end,
  }, { seconds = 20, rcvbuf = 65536 })
  lu.assertEquals(log:count "error", 1)
  lu.assertEquals(log:count "disconnected error", 1)
  lu.assertEquals(#log, 4)
  lu.assertStrContains(log[3], "ECONNRESET")
end

function cases.S12_a_reset_during_the_flush_is_one_error_and_one_end()
  local log = support.meet("recv 100000; rst", {
    filter = "stream",
    on_success = function(cheap)
      cheap:send(("x"):rep(30 * MIB))
      cheap:shutdown()
    end,
  }, { seconds = 20, rcvbuf = 65536 })
  log:check_grammar()
  lu.assertEquals(log:count "disconnected", 1)
  lu.assertEquals(log[#log], "disconnected error")
  lu.assertEquals(log:count "error", 1)
end

function cases.S13_a_reply_to_a_half_closed_peer_arrives()
  local log, half = support.meet('more "request\\r\\n"; shutwr; recv all', {
    flushed = true,
    on_input = function(cheap, record) cheap:send("reply to " .. record) end,
  })
  lu.assertEquals(log:list(), {
    "initialize", "success", "input request", "flushed", "error read EOF", "disconnected eof",
  })
  lu.assertEquals(support.ending(half, 1), "eof")
  lu.assertEquals(half:connection(1).content, "reply to request\r\n")
end

function cases.S14_full_and_flushed_lead_a_hundred_megabytes_in_bounded_memory()
  local slow = support.peer("wait go; count", { rcvbuf = 262144 })
  local piece = ("m"):rep(MIB)
  local sent, most, lows, fulls = 0, 0, 0, 0
  local session
  local function fill(cheap)
    while sent < 100 do
      local ok, full = cheap:send(piece)
      lu.assertTrue(ok)
      sent = sent + 1
      most = math.max(most, cheap:queued())
      if full == "full" then
        fulls = fulls + 1
        lu.assertTrue(cheap:queued() > 4 * MIB)
        return
      end
      lu.assertNil(full)
    end
    cheap:shutdown()
  end
  session = support.session {
    filter = "stream", high_mark = 4 * MIB, low_mark = 65536,
    on_success = function(cheap)
      fill(cheap)
      slow:go "go"
    end,
    on_flushed = function(cheap)
      if cheap:queued() > 0 then
        lows = lows + 1
        lu.assertTrue(cheap:queued() <= 65536)
      end
      if cheap:phase() == "open" then fill(cheap) end
    end,
  }
  session:connect(HOST, slow:port())
  support.run(60)
  lu.assertEquals(support.ending(slow, 1), "eof")
  lu.assertEquals(slow:report().received, 100 * MIB)
  lu.assertTrue(fulls > 3)
  lu.assertTrue(most <= 6 * MIB)
end

function cases.S14_max_queued_bounds_a_caller_who_does_not_obey()
  local frozen = support.peer("freeze", { rcvbuf = 4096 })
  local piece = ("m"):rep(MIB)
  local taken, answer, queued = 0, nil, nil
  local session, log
  session, log = support.record {
    filter = "stream", max_queued = 8 * MIB,
    on_success = function(cheap)
      for _ = 1, 100 do
        local result = { cheap:send(piece) }
        if not result[1] then
          answer = result
          break
        end
        taken = taken + 1
      end
      queued = cheap:queued()
      lu.assertEquals({ cheap:send(piece) }, answer)
      lu.assertEquals(cheap:queued(), queued)
      cheap:reset()
    end,
  }
  session:connect(HOST, frozen:port())
  support.run()
  lu.assertEquals(answer[3], "ENOBUFS")
  lu.assertTrue(queued <= 8 * MIB)
  lu.assertTrue(taken >= 7)
  lu.assertEquals(log[#log], "disconnected shutdown")
end

function cases.S14_several_records_are_taken_all_or_none()
  local frozen = support.peer("freeze", { rcvbuf = 4096 })
  local session = support.session {
    filter = "stream", max_queued = 8 * MIB,
    on_success = function(cheap)
      while cheap:send(("m"):rep(MIB)) do end
      local queued = cheap:queued()
      lu.assertEquals(select(3, cheap:send("a", ("m"):rep(9 * MIB))), "ENOBUFS")
      lu.assertEquals(cheap:queued(), queued)
      cheap:reset()
    end,
  }
  session:connect(HOST, frozen:port())
  support.run()
end

function cases.S15_twenty_thousand_sends_in_one_handler_keep_their_order()
  local sink = support.peer "count"
  local expected = {}
  for i = 1, 20000 do expected[i] = "record " .. i .. "\r\n" end
  local session = support.session {
    on_success = function(cheap)
      for i = 1, 20000 do cheap:send("record " .. i) end
      cheap:shutdown()
    end,
  }
  session:connect(HOST, sink:port())
  support.run(20)
  lu.assertEquals(support.ending(sink, 1), "eof")
  lu.assertEquals(sink:connection(1).checksum, peer.checksum(table.concat(expected)))
end

function cases.S16_bytes_above_127_go_out_unchanged()
  local sink = support.peer "recv all"
  local bytes = {}
  for i = 128, 255 do bytes[#bytes + 1] = string.char(i) end
  local high = table.concat(bytes) .. "gr\195\188\195\159e"
  local session = support.session {
    on_success = function(cheap)
      cheap:send(high)
      cheap:shutdown()
    end,
  }
  session:connect(HOST, sink:port())
  support.run()
  lu.assertEquals(support.ending(sink, 1), "eof")
  lu.assertEquals(sink:connection(1).content, high .. "\r\n")
end

function cases.cork_holds_back_what_a_handler_sends_until_it_has_returned()
  local sink = support.peer("recv all", { keep = MIB })
  local queued, expected = nil, {}
  local session = support.session {
    cork = true,
    on_success = function(cheap)
      for i = 1, 1000 do
        expected[i] = ("%d\r\n"):format(i)
        lu.assertTrue(cheap:send(tostring(i)))
      end
      queued = cheap:queued()
    end,
    on_flushed = function(cheap)
      lu.assertEquals(cheap:queued(), 0)
      cheap:shutdown()
    end,
  }
  session:connect(HOST, sink:port())
  support.run()
  lu.assertEquals(support.ending(sink, 1), "eof")
  lu.assertEquals(queued, #table.concat(expected))
  lu.assertEquals(sink:connection(1).content, table.concat(expected))
end

support.main(cases)
