-- SPDX-License-Identifier: MIT
-- How connections end, beyond the table of behaviours: half a shutdown, pause, unread, fail, reset,
-- and that peers of every kind get each byte that a shutdown promised them.

local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"

local cases = support.cases "Endings"
local HOST = "127.0.0.1"
local MIB = 1048576

---------------------------------------------------------------- shutdown("output")

function cases.shutdown_output_keeps_the_input_to_its_end()
  local log, asker = support.meet('recv all; send "one\\r\\ntwo\\r\\n"; close', {
    on_success = function(cheap)
      cheap:send "question"
      lu.assertEquals({ cheap:shutdown "output" }, { true })
      lu.assertEquals(cheap:phase(), "open")
      lu.assertEquals({ cheap:send "more" }, { nil, "shutting down", "ESHUTDOWN" })
      lu.assertEquals({ cheap:shutdown "output" }, { nil, "shutting down", "ESHUTDOWN" })
      lu.assertEquals(cheap:filter "line", true)
      lu.assertEquals(cheap:timeout(5), true)
    end,
  })
  lu.assertEquals(log:list(),
    { "initialize", "success", "input one", "input two", "error read EOF", "disconnected eof" })
  lu.assertEquals(asker:connection(1).content, "question\r\n")
end

function cases.shutdown_output_before_success_sends_and_then_fins()
  local log, asker = support.meet('recv all; send "answer\\r\\n"; close', {
    on_initialize = function(cheap)
      cheap:send "early"
      lu.assertEquals({ cheap:shutdown "output" }, { true })
    end,
  })
  lu.assertEquals(log:list(),
    { "initialize", "success", "input answer", "error read EOF", "disconnected eof" })
  lu.assertEquals(asker:connection(1).content, "early\r\n")
end

function cases.shutdown_output_flushes_megabytes_before_the_fin()
  local bytes = peer.prng(1, 9 * MIB)
  local log, sink = support.meet("sleep 100; count; send \"done\\r\\n\"; close", {
    output_filter = "stream",
    on_success = function(cheap)
      cheap:send(bytes)
      cheap:shutdown "output"
    end,
  }, { seconds = 20, rcvbuf = 4096 })
  lu.assertEquals(log:list(),
    { "initialize", "success", "input done", "error read EOF", "disconnected eof" })
  lu.assertEquals(sink:connection(1).checksum, peer.checksum(bytes))
end

function cases.a_plain_shutdown_may_follow_shutdown_output()
  local log = support.meet('recv all; send "one\\r\\ntwo\\r\\n"; count', {
    on_success = function(cheap) cheap:shutdown "output" end,
    on_input = function(cheap) lu.assertEquals({ cheap:shutdown() }, { true }) end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "input one", "disconnected shutdown" })
end

function cases.after_shutdown_output_the_input_timeout_goes_on()
  local log = support.meet("recv all; wait never", {
    input_timeout = 0.3,
    on_success = function(cheap) cheap:shutdown "output" end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "timeout input", "disconnected timeout" })
  support.at(log:time "timeout", 0.3)
end

function cases.after_shutdown_output_a_reset_is_an_error()
  local log = support.meet('recv all; send "x\\r\\n"; rst', {
    on_success = function(cheap) cheap:shutdown "output" end,
  })
  lu.assertEquals(log:list(),
    { "initialize", "success", "input x", "error read ECONNRESET", "disconnected error" })
end

---------------------------------------------------------------- every byte that was promised

function cases.a_chatty_peer_gets_everything_and_its_chatter_is_dropped()
  local bytes = peer.prng(4, 9 * MIB)
  local log, chatty = support.meet("blast 4m; sleep 50; blast 4m; count", {
    filter = "stream", short = true,
    on_success = function(cheap)
      cheap:send(bytes)
      cheap:shutdown()
    end,
  }, { seconds = 20, rcvbuf = 65536 })
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  lu.assertEquals(support.ending(chatty, 1), "eof")
  lu.assertEquals(chatty:connection(1).sent, 8 * MIB)
  lu.assertEquals(chatty:connection(1).checksum, peer.checksum(bytes))
end

function cases.input_that_was_never_read_does_not_destroy_what_was_flushed()
  local chatty = support.peer 'send "unread\\r\\n"; mark sent; wait go; recv all'
  local session, log = support.record {
    on_success = function(cheap)
      lu.assertTrue(chatty:await "sent")
      cheap:send "QUIT"
      cheap:shutdown()
      chatty:go "go"
    end,
  }
  session:connect(HOST, chatty:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  lu.assertEquals(support.ending(chatty, 1), "eof")
  lu.assertEquals(chatty:connection(1).content, "QUIT\r\n")
end

function cases.a_slow_reader_that_talks_meanwhile_gets_everything()
  local slow = support.peer(
    'loop 40; recv 230k; send "still reading\\r\\n"; sleep 5; end; count', { rcvbuf = 32768 })
  local bytes = peer.prng(5, 9 * MIB)
  local session, log = support.record {
    filter = "stream", short = true,
    on_success = function(cheap)
      cheap:send(bytes)
      cheap:shutdown()
    end,
  }
  session:connect(HOST, slow:port())
  support.run(20)
  lu.assertEquals(log[#log], "disconnected shutdown")
  lu.assertEquals(support.ending(slow, 1), "eof")
  lu.assertEquals(slow:connection(1).received, #bytes)
end

function cases.a_half_closed_peer_gets_everything_that_was_queued()
  local half = support.peer('send "all of it\\r\\n"; shutwr; sleep 100; count', { rcvbuf = 4096 })
  local bytes = peer.prng(6, 9 * MIB)
  local phases = {}
  local session, log
  session, log = support.record {
    output_filter = "stream", flushed = true,
    on_input = function(cheap) cheap:send(bytes) end,
    on_flushed = function(cheap) phases[#phases + 1] = cheap:phase() end,
  }
  session:connect(HOST, half:port())
  support.run(20)
  lu.assertEquals(support.ending(half, 1), "eof")
  lu.assertEquals(half:connection(1).checksum, peer.checksum(bytes))
  lu.assertEquals(log[#log - 1], "error read EOF")
  lu.assertEquals(log[#log], "disconnected eof")
  lu.assertEquals(phases[#phases], "shutting")
end

function cases.a_fin_during_our_flush_is_no_error()
  local half = support.peer("mark up; wait go; shutwr; count", { rcvbuf = 4096 })
  local bytes = peer.prng(7, 9 * MIB)
  local session, log = support.record {
    filter = "stream",
    on_success = function(cheap)
      cheap:send(bytes)
      cheap:shutdown()
      half:go "go"
    end,
  }
  session:connect(HOST, half:port())
  support.run(20)
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  lu.assertEquals(support.ending(half, 1), "eof")
  lu.assertEquals(half:connection(1).checksum, peer.checksum(bytes))
end

function cases.a_half_closed_peer_that_never_reads_is_cut_by_the_shutdown_timeout()
  local log, half = support.meet('shutwr; wait look; count', {
    filter = "stream", shutdown_timeout = 0.4,
    on_success = function(cheap) cheap:send(("x"):rep(16 * MIB)) end,
  }, { rcvbuf = 4096 })
  lu.assertEquals(log:list(),
    { "initialize", "success", "timeout shutdown", "disconnected timeout" })
  half:go "look"
  lu.assertEquals(support.ending(half, 1), "reset")
end

function cases.a_write_error_while_a_half_closed_peer_is_served_takes_the_place_of_the_eof()
  local log = support.meet('shutwr; recv 100k; rst', {
    filter = "stream",
    on_success = function(cheap) cheap:send(("x"):rep(16 * MIB)) end,
  }, { rcvbuf = 4096 })
  log:check_grammar()
  lu.assertEquals(log[#log], "disconnected error")
  lu.assertEquals(log:count "error", 1)
  -- Linux says EPIPE to a reset where the peer had closed its side before.
  lu.assertStrMatches(log[#log - 1], "error write E%u+")
end

---------------------------------------------------------------- what the kernel hides

function cases.a_banner_before_an_immediate_reset_is_not_lost()
  local hasty = support.peer 'send "hello\\r\\n"; rst'
  local session, log = support.record()
  session:connect(HOST, hasty:port())
  lu.assertTrue(hasty:ended(1))
  support.run()
  lu.assertEquals(log:list(),
    { "initialize", "success", "input hello", "error read ECONNRESET", "disconnected error" })
end

function cases.a_busy_banner_is_read_though_our_write_met_the_reset()
  local busy = support.peer 'wait go; send "421 busy\\r\\n"; close_unread'
  local session, log
  session, log = support.record {
    on_success = function(cheap)
      cheap:send "EHLO"
      busy:go "go"
      lu.assertTrue(busy:ended(1))
      cheap:send "QUIT"
    end,
  }
  session:connect(HOST, busy:port())
  support.run()
  lu.assertEquals(log:list(),
    { "initialize", "success", "input 421 busy", "error " .. log[4]:match "^error (.*)$",
      "disconnected error" })
  lu.assertTrue(log[4]:find "ECONNRESET" ~= nil)
end

function cases.urgent_data_hides_nothing_behind_it()
  local log = support.meet('recv all; send "ab"; oob "!"; send "cd-THE-REST"; close', {
    filter = "stream",
    on_success = function(cheap) cheap:shutdown "output" end,
  })
  lu.assertEquals(table.concat(log:records()), "abcd-THE-REST")
  lu.assertEquals(log[#log], "disconnected eof")
end

function cases.three_hundred_thousand_bytes_before_a_reset_all_arrive()
  local length = 0
  local log = support.meet("prng 8 300000; rst", {
    filter = "stream", short = true,
    on_input = function(_, bytes) length = length + #bytes end,
  })
  lu.assertEquals(log[#log - 1], "error read ECONNRESET")
  lu.assertEquals(log[#log], "disconnected error")
  -- What the kernel had taken when the reset came is what can be read; nothing of it may be lost.
  lu.assertTrue(length > 0 and length <= 300000)
  lu.assertEquals(log:count "input" > 0, true)
end

---------------------------------------------------------------- pause, unread, fail, reset

function cases.pause_holds_records_and_the_end_behind_them()
  local log = support.meet('more "one\\r\\ntwo\\r\\n"; send "three\\r\\n"; close', {
    on_input = function(cheap, record)
      if record == "one" then
        cheap:pause()
        cheap:delay("go_on", 0.3)
      end
    end,
    inline_states = {
      go_on = function(_, cheap)
        lu.assertTrue(cheap:resume())
      end,
    },
  })
  lu.assertEquals(log:list(), { "initialize", "success", "input one", "input two", "input three",
    "error read EOF", "disconnected eof" })
  support.at(log:time "input two" - log:time "input one", 0.3)
end

function cases.pause_from_initialize_on()
  local log = support.meet('send "one\\r\\n"; close', {
    on_initialize = function(cheap) lu.assertEquals(cheap:pause(), true) end,
    on_success = function(cheap) support.after(0.2, function() cheap:resume() end) end,
  })
  lu.assertEquals(log:list(),
    { "initialize", "success", "input one", "error read EOF", "disconnected eof" })
  support.at(log:time "input", 0.2)
end

function cases.the_input_timeout_stands_still_while_paused()
  local log = support.meet("count", {
    input_timeout = 0.3,
    on_success = function(cheap)
      cheap:pause()
      support.after(0.8, function() cheap:resume() end)
    end,
  })
  lu.assertEquals(log[3], "timeout input")
  lu.assertTrue(log:time "timeout" > 0.8)
end

function cases.the_deadline_runs_while_paused()
  local log = support.meet("count", {
    deadline = 0.3, on_success = function(cheap) cheap:pause() end,
  })
  lu.assertEquals(log:list(),
    { "initialize", "success", "timeout deadline", "disconnected timeout" })
end

function cases.a_paused_reader_pushes_back_on_its_peer()
  local blaster = support.peer "blast 64m; mark sent; close"
  local length, most = 0, 0
  local session
  session = support.session {
    filter = "stream",
    on_input = function(cheap, bytes)
      length = length + #bytes
      if length == #bytes then
        cheap:pause()
        support.after(0.5, function()
          lu.assertEquals(blaster:marks "sent", 0)
          most = session:stats().held
          cheap:resume()
        end)
      end
    end,
  }
  session:connect(HOST, blaster:port())
  support.run(20)
  lu.assertEquals(length, 64 * MIB)
  support.within(most, 0, MIB, "bytes held while paused")
end

function cases.one_pause_and_resume_per_record_keeps_the_order()
  local lines = {}
  for i = 1, 500 do lines[i] = "line " .. i .. "\\n" end
  local log = support.meet('send "' .. table.concat(lines) .. '"; close', {
    on_input = function(cheap)
      cheap:pause()
      cheap:resume()
    end,
  })
  lu.assertEquals(#log:records(), 500)
  for i, record in ipairs(log:records()) do lu.assertEquals(record, "line " .. i) end
  lu.assertEquals(log[#log], "disconnected eof")
end

function cases.unread_goes_in_front_of_what_is_left()
  local log = support.meet('more "one\\r\\ntwo\\r\\n"; send "rest"; close', {
    on_input = function(cheap, record)
      if record == "one" then
        lu.assertEquals(cheap:unread "zero\r\nhalf and ", true)
        lu.assertStrContains(cheap:pending(), "zero\r\nhalf and two")
      end
    end,
  })
  lu.assertEquals(log:records(), { "one", "zero", "half and two" })
end

function cases.unread_alone_is_input_without_a_byte_from_the_peer()
  local log = support.meet("count", {
    on_success = function(cheap) cheap:unread "from nowhere\r\n" end,
    on_input = function(cheap) cheap:shutdown() end,
  })
  lu.assertEquals(log:list(),
    { "initialize", "success", "input from nowhere", "disconnected shutdown" })
end

function cases.fail_is_an_error_from_the_loop_and_a_reset_for_the_peer()
  local inside, seen
  local log, talker = support.meet('send "garbage\\r\\nmore\\r\\n"; count', {
    on_input = function(cheap)
      inside = true
      cheap:send "dropped?"
      lu.assertEquals({ cheap:fail("no \27[31msense", "EPROTO") }, { true })
      inside = false
    end,
    on_error = function(_, op, errnum, text, _, errname)
      lu.assertFalse(inside)
      seen = { op, errnum, errname }
      lu.assertStrContains(text, "sense")
      lu.assertNotStrContains(text, "\27")
    end,
  })
  lu.assertEquals(log:list(),
    { "initialize", "success", "input garbage", "error fail EPROTO", "disconnected error" })
  lu.assertEquals(seen, { "fail", 71, "EPROTO" })
  lu.assertEquals(support.ending(talker, 1), "reset")
end

function cases.a_message_of_fail_is_told_beyond_a_nul_byte()
  local text
  local session = support.record {
    on_failure = function(_, _, _, message) text = message end,
  }
  local cheap = session:connect(HOST, support.peer("count"):port())
  cheap:fail("one\0two")
  support.run()
  lu.assertEquals(text, "one\\0two")
end

function cases.fail_takes_names_of_the_library_and_eproto_by_default()
  for _, each in ipairs { { nil, "EPROTO" }, { "ETOOLONG", "ETOOLONG" }, { "EIO", "EIO" },
    { "ENOTFOUND", "ENOTFOUND" } } do
    local session, log = support.record {
      on_success = function(cheap) cheap:fail("why", each[1]) end,
    }
    session:connect(HOST, support.peer("count"):port())
    support.run()
    lu.assertEquals(log[3], "error fail " .. each[2])
  end
end

function cases.reset_drops_the_queue_and_is_a_reset_for_the_peer()
  local log, frozen = support.meet("wait look; count", {
    filter = "stream",
    on_success = function(cheap)
      cheap:send(("x"):rep(9 * MIB))
      lu.assertEquals({ cheap:reset() }, { true })
      lu.assertEquals(select(3, cheap:send "x"), "ESHUTDOWN")
    end,
  }, { rcvbuf = 4096 })
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  frozen:go "look"
  lu.assertEquals(support.ending(frozen, 1), "reset")
end

function cases.reset_after_shutdown_cuts_the_flush_short()
  local log, frozen, took = support.meet("wait look; count", {
    filter = "stream",
    on_success = function(cheap)
      cheap:send(("x"):rep(9 * MIB))
      cheap:shutdown()
      support.after(0.1, function() lu.assertEquals({ cheap:reset() }, { true }) end)
    end,
  }, { rcvbuf = 4096 })
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  support.within(took, 0.08, 1, "run")
  frozen:go "look"
  lu.assertEquals(support.ending(frozen, 1), "reset")
end

function cases.a_clean_shutdown_closes_without_waiting_for_the_peer()
  local log, _, took = support.meet("recv all; wait never", {
    on_success = function(cheap)
      cheap:send "bye"
      cheap:shutdown()
    end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  support.within(took, 0, 0.5, "run")
end

support.main(cases)
