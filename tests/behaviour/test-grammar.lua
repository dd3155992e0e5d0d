-- SPDX-License-Identifier: MIT
-- The rules of the event grammar that no row of the table shows: when handlers start, when flushed
-- comes, in which order states and events run, and that no connection starves another.

local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Grammar"
local HOST = "127.0.0.1"

function cases.no_handler_runs_inside_a_call_of_the_user()
  local echo, silent = support.peer "echo", support.peer "count"
  local inside
  local function outside() lu.assertFalse(inside) end
  local function call(f, ...)
    inside = true
    local first = f(...)
    inside = false
    return first
  end
  local session, log = support.record {
    flushed = true,
    on_success = function(cheap)
      outside()
      call(cheap.send, cheap, "one")
      call(cheap.input_filter, cheap, "line")
      call(cheap.unread, cheap, "put back\r\n")
      call(cheap.timeout, cheap, 5)
      call(cheap.pause, cheap)
      call(cheap.resume, cheap)
    end,
    on_input = function(cheap)
      outside()
      call(cheap.send, cheap, "two")
      call(cheap.shutdown, cheap)
    end,
    on_flushed = outside, on_failure = outside, on_error = outside, on_timeout = outside,
    on_disconnected = outside,
  }
  inside = false
  session:connect(HOST, echo:port())
  local cheap = session:connect(HOST, silent:port())
  call(cheap.fail, cheap, "at once")
  cheap = session:connect(HOST, silent:port())
  call(cheap.shutdown, cheap)
  cheap = session:connect(HOST, silent:port())
  call(cheap.reset, cheap)
  support.run()
  log:check_grammar()
  lu.assertEquals(#log.ids, 4)
end

function cases.shutdown_elsewhere_ends_from_the_loop()
  local silent = support.peer "count"
  local session, log = support.record()
  local cheap = session:connect(HOST, silent:port())
  support.when(function() return log:count "success" == 1 end, function()
    cheap:shutdown()
    lu.assertEquals(log:count "disconnected", 0)
  end)
  support.run()
  lu.assertEquals(log[#log], "disconnected shutdown")
end

function cases.flushed_is_owed_from_the_first_byte_taken()
  local silent = support.peer "count"
  local session, log = support.record {
    flushed = true,
    on_success = function(cheap)
      if cheap.talks then cheap:send "x" else cheap:send("") end
      support.after(0.1, function() cheap:shutdown() end)
    end,
  }
  local _, talker = session:connect({ talks = true }, HOST, silent:port())
  local stream, stream_log = support.record {
    filter = "stream", flushed = true,
    on_success = function(cheap)
      lu.assertEquals(cheap:send "", true)
      support.after(0.1, function() cheap:shutdown() end)
    end,
  }
  stream:connect(HOST, silent:port())
  support.run()
  lu.assertEquals(log.of[talker].codes, "ISlD")
  lu.assertEquals(stream_log:list(), { "initialize", "success", "disconnected shutdown" })
end

function cases.flushed_still_comes_after_shutdown()
  local log = support.meet("count", {
    flushed = true,
    on_success = function(cheap)
      cheap:send "x"
      cheap:shutdown()
    end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "flushed", "disconnected shutdown" })
end

function cases.flushed_never_comes_after_an_error_or_a_timeout()
  local frozen = support.peer("freeze", { rcvbuf = 4096 })
  local resetter = support.peer("recv 100k; rst", { rcvbuf = 4096 })
  local session, log = support.record {
    filter = "stream", flushed = true, deadline = 0.3,
    on_success = function(cheap) cheap:send(("x"):rep(9 * 1048576)) end,
  }
  local _, slow = session:connect(HOST, frozen:port())
  local _, reset = session:connect(HOST, resetter:port())
  support.run()
  lu.assertEquals(log.of[slow].codes, "ISTD")
  lu.assertEquals(log.of[reset].codes, "ISED")
end

function cases.flushed_for_what_was_sent_before_success()
  local log = support.meet("count", {
    flushed = true,
    on_initialize = function(cheap) cheap:send "early" end,
    on_flushed = function(cheap) cheap:shutdown() end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "flushed", "disconnected shutdown" })
end

function cases.what_a_flushed_handler_sends_before_it_shuts_down_is_flushed_too()
  local log, sink = support.meet("recv all", {
    flushed = true,
    on_success = function(cheap) cheap:send "one" end,
    on_flushed = function(cheap)
      if cheap:phase() == "open" then
        cheap:send "two"
        cheap:shutdown()
      end
    end,
  })
  lu.assertEquals(log:list(),
    { "initialize", "success", "flushed", "flushed", "disconnected shutdown" })
  lu.assertEquals(support.ending(sink, 1), "eof")
  lu.assertEquals(sink:connection(1).content, "one\r\ntwo\r\n")
end

-- 32 MiB to a peer that stops reading when less than the low mark is left: what the kernel holds is
-- less than 8 MiB, so something is queued then.
local function flushed_at(high_mark, answer)
  local slow = support.peer("wait read; recv 24m; wait rest; count", { rcvbuf = 4096 })
  local queued = {}
  local session = support.session {
    filter = "stream", high_mark = high_mark, low_mark = 8 * 1048576,
    on_success = function(cheap)
      lu.assertEquals({ cheap:send(("x"):rep(32 * 1048576)) }, answer)
      slow:go "read"
      support.when(function() return slow:report().received == 24 * 1048576 end, function()
        support.after(0.1, function() slow:go "rest" end)
      end)
    end,
    on_flushed = function(cheap)
      queued[#queued + 1] = cheap:queued()
      if cheap:queued() == 0 then cheap:shutdown() end
    end,
  }
  session:connect(HOST, slow:port())
  support.run(20)
  return queued
end

function cases.flushed_comes_once_more_at_the_low_mark_after_full()
  local queued = flushed_at(16 * 1048576, { true, "full" })
  lu.assertEquals(#queued, 2)
  support.within(queued[1], 1, 8 * 1048576, "queued at the low mark")
  lu.assertEquals(queued[2], 0)
end

function cases.flushed_comes_only_at_the_end_when_nothing_was_full()
  lu.assertEquals(flushed_at(48 * 1048576, { true }), { 0 })
end

function cases.a_flushed_after_each_batch_of_sends()
  local log = support.meet("echo", {
    flushed = true,
    on_success = function(cheap) cheap:send "1" end,
    on_input = function(cheap, record)
      if record == "3" then cheap:shutdown() else cheap:send(tostring(record + 1)) end
    end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "flushed", "input 1", "flushed",
    "input 2", "flushed", "input 3", "disconnected shutdown" })
end

function cases.yielded_states_run_before_the_next_record_and_theirs_in_the_next_turn()
  local lines = support.peer 'send "one\\r\\ntwo\\r\\n"; wait never'
  local order = {}
  local function note(text) order[#order + 1] = text end
  local session
  session = support.session {
    inline_states = {
      first = function(s, record)
        note("first " .. record)
        s:yield("second", record)
      end,
      leave = function(_, cheap) cheap:shutdown() end,
      second = function(_, record) note("second " .. record) end,
      other = function(_, record) note("other " .. record) end,
    },
    on_input = function(cheap, record)
      note(record)
      session:yield("first", record)
      session:yield("other", record)
      if record == "two" then cheap:delay("leave", 0.05) end
    end,
  }
  session:connect(HOST, lines:port())
  support.after(0.3, function() session:die() end)
  support.run()
  lu.assertEquals({ order[1], order[2], order[3] }, { "one", "first one", "other one" })
  local at = {}
  for i, text in ipairs(order) do at[text] = i end
  lu.assertEquals(at["first two"], at["two"] + 1)
  lu.assertEquals(at["other two"], at["two"] + 2)
  lu.assertTrue(at["second one"] > at["other one"])
  lu.assertTrue(at["second two"] > at["other two"])
end

function cases.each_connection_is_served_before_any_is_served_twice()
  local big = support.peer 'wait go; sendn 100k "b"; mark sent; blast 4m; count'
  local small = support.peer 'wait go; send "small\\r\\n"; mark sent; count'
  local before_small, turns = 0, 0
  local session, log
  session, log = support.record {
    short = true, input_filter = "stream",
    on_input = function(cheap, bytes)
      if cheap.small then
        cheap:shutdown()
      elseif log:count "disconnected" == 0 then
        turns = turns + 1
        before_small = before_small + #bytes
      end
      if cheap:session().heap.stop then cheap:shutdown() end
    end,
    on_disconnected = function(cheap)
      if cheap.small then cheap:session().heap.stop = true end
    end,
  }
  session:connect(HOST, big:port())
  session:connect({ small = true }, HOST, small:port())
  support.when(function() return log:count "success" == 2 end, function()
    -- Both have data waiting when the loop looks again.
    big:go "go"
    lu.assertTrue(big:await "sent")
    small:go "go"
    lu.assertTrue(small:await "sent")
  end)
  support.run(20)
  lu.assertTrue(turns > 0)
  support.within(before_small, 0, 2 * 262144, "bytes of one before another was served")
end

function cases.a_run_inside_run_is_an_error()
  local message
  local log = support.meet("close", {
    on_success = function()
      local ok
      ok, message = pcall(tcpmulti.run)
      lu.assertFalse(ok)
    end,
  })
  lu.assertIsString(message)
  lu.assertEquals(log[#log], "disconnected eof")
end

function cases.stop_closes_nothing_and_run_goes_on()
  local echo = support.peer "echo"
  local session, log = support.record {
    on_success = function() tcpmulti.stop() end,
    on_input = function(cheap) cheap:shutdown() end,
  }
  local cheap = session:connect(HOST, echo:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success" })
  lu.assertEquals(cheap:phase(), "open")
  lu.assertEquals(cheap:send "later", true)
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "input later", "disconnected shutdown" })
end

function cases.a_state_that_yields_itself_does_not_stop_the_world()
  local echo = support.peer "echo"
  local spins = 0
  local session, log
  session, log = support.record {
    on_success = function(cheap) cheap:send "still served" end,
    on_input = function(cheap) cheap:shutdown() end,
    on_disconnected = function(cheap) cheap:session().heap.done = true end,
    inline_states = {
      spin = function(s)
        spins = spins + 1
        if not s.heap.done then s:yield "spin" end
      end,
    },
  }
  session:yield "spin"
  session:connect(HOST, echo:port())
  support.run()
  lu.assertTrue(spins > 1)
  lu.assertEquals(log[#log], "disconnected shutdown")
end

function cases.an_alarm_of_no_time_that_sets_itself_does_not_stop_the_world()
  local echo = support.peer "echo"
  local session, log
  session, log = support.record {
    on_success = function(cheap) cheap:send "still served" end,
    on_input = function(cheap) cheap:shutdown() end,
    on_disconnected = function(cheap) cheap:session().heap.done = true end,
    inline_states = { spin = function(s) if not s.heap.done then s:delay("spin", 0) end end },
  }
  session:delay("spin", 0)
  session:connect(HOST, echo:port())
  support.run()
  lu.assertEquals(log[#log], "disconnected shutdown")
end

support.main(cases)
