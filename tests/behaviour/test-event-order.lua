-- SPDX-License-Identifier: MIT
-- BEHAVIOUR E1-E20: which events come, and in which order.

local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "EventOrder"
local HOST = "127.0.0.1"
local LINES5 = 'send "line1\\r\\nline2\\r\\nline3\\r\\nline4\\r\\nline5\\r\\n"; count'

function cases.E1_initialize_runs_inside_connect()
  local closer = support.peer "close"
  local inside, args
  local session, log = support.record {
    on_initialize = function(_, ...)
      lu.assertTrue(inside)
      args = { n = select("#", ...), ... }
    end,
  }
  inside = true
  session:connect(HOST, closer:port(), "127.0.0.1", 1)
  inside = false
  lu.assertEquals(log:list(), { "initialize" })
  lu.assertEquals(args, { n = 4, HOST, closer:port(), "127.0.0.1", 1 })
  inside = true
  session:connect(HOST, closer:port())
  lu.assertEquals({ args[1], args[2], args[3] }, { HOST, closer:port() })
  support.run()
  log:check_grammar()
end

function cases.E2_a_bind_error_comes_after_connect_has_returned()
  local closer = support.peer "close"
  local inside
  local session, log = support.record { on_failure = function() lu.assertFalse(inside) end }
  inside = true
  session:connect(HOST, closer:port(), "203.0.113.9")
  inside = false
  lu.assertEquals(log:list(), { "initialize" })
  support.run()
  lu.assertEquals(log:list(),
    { "initialize", "failure bind EADDRNOTAVAIL", "disconnected failure" })
end

function cases.E2_an_error_that_the_kernel_reports_at_once_comes_later_too()
  local inside
  local session, log = support.record { on_failure = function() lu.assertFalse(inside) end }
  inside = true
  lu.assertIsTable(session:connect("224.0.0.1", 9))
  inside = false
  lu.assertEquals(log:list(), { "initialize" })
  support.run()
  lu.assertEquals(log:list(),
    { "initialize", "failure connect ENETUNREACH", "disconnected failure" })
end

function cases.E3_tcpmulti_connect_initializes_too()
  local closer = support.peer "close"
  local returned
  local session, log = support.record {
    inline_states = {
      go = function()
        returned = { tcpmulti.connect { RemoteAddress = HOST, RemotePort = closer:port() } }
      end,
    },
  }
  session:yield "go"
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "error read EOF", "disconnected eof" })
  lu.assertIsTable(returned[1])
  lu.assertEquals(returned[2], log.ids[1])
end

function cases.E4_a_closing_server_is_error_then_disconnected()
  local closer = support.peer "close"
  local seen
  local session, log = support.record { on_error = function(_, ...) seen = { ... } end }
  local _, id = session:connect(HOST, closer:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "error read EOF", "disconnected eof" })
  lu.assertEquals(seen, { "read", 0, "EOF", id, "EOF" })
end

function cases.E5_data_before_the_fin_is_delivered_first()
  local log = support.meet('more "hello\\r\\n"; send "bye-partial"; close')
  lu.assertEquals(log:list(),
    { "initialize", "success", "input hello", "error read EOF", "disconnected eof" })
end

function cases.E6_data_before_a_reset_is_delivered_first()
  local seen
  local log = support.meet('send "one\\r\\ntwo\\r\\nthr"; rst',
    { on_error = function(_, ...) seen = { ... } end })
  lu.assertEquals(log:list(), {
    "initialize", "success", "input one", "input two", "error read ECONNRESET",
    "disconnected error",
  })
  lu.assertEquals(seen[2], 104)
end

function cases.E7_a_blackhole_is_a_connect_timeout()
  local session, log = support.record { ConnectTimeout = 2 }
  session:connect(HOST, support.blackhole())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "timeout connect", "disconnected timeout" })
  support.at(log:time "timeout", 2)
end

function cases.E8_shutdown_in_a_record_ends_the_records()
  local log = support.meet(LINES5, {
    on_input = function(cheap, record) if record == "line2" then cheap:shutdown() end end,
  })
  lu.assertEquals(log:list(),
    { "initialize", "success", "input line1", "input line2", "disconnected shutdown" })
end

function cases.E9_yielded_shutdown_runs_before_the_next_record()
  local lines = support.peer(LINES5)
  local session, log
  session, log = support.record {
    on_input = function(_, _, id) session:yield("shutdown", id) end,
  }
  session:connect(HOST, lines:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "input line1", "disconnected shutdown" })
end

function cases.E10_shutdown_in_success_leaves_no_input()
  local log = support.meet(LINES5, { on_success = function(cheap) cheap:shutdown() end })
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
end

-- E11: each ending event, with a shutdown inside of it, called and yielded.
local endings = {
  failure = { "initialize", "failure connect ECONNREFUSED", "disconnected failure" },
  error = { "initialize", "success", "error read EOF", "disconnected eof" },
  timeout = { "initialize", "timeout connect", "disconnected timeout" },
  disconnected = { "initialize", "success", "error read EOF", "disconnected eof" },
}
for _, event in ipairs { "failure", "error", "timeout", "disconnected" } do
  local expected = endings[event]
  for _, how in ipairs { "direct", "yielded" } do
    cases[("E11_%s_shutdown_in_%s_changes_nothing"):format(how, event)] = function()
      local port = event == "failure" and support.refused()
        or event == "timeout" and support.blackhole() or support.peer("close"):port()
      local answer
      local session, log
      session, log = support.record {
        connect_timeout = 0.1,
        ["on_" .. event] = function(cheap)
          if how == "direct" then
            answer = { cheap:shutdown() }
          else
            session:yield("shutdown", cheap:id())
          end
        end,
      }
      session:connect(HOST, port)
      support.run()
      lu.assertEquals(log:list(), expected)
      if how == "direct" then
        lu.assertNil(answer[1])
        lu.assertEquals(answer[3], event == "disconnected" and "ESTALE" or "ESHUTDOWN")
      end
    end
  end
end

-- E12 to E14: shutdown in initialize, where the address is good and where it fails at once.
for _, how in ipairs { "direct", "yielded" } do
  for _, bind in ipairs { "good", "bad" } do
    local row = how == "yielded" and "E14" or bind == "good" and "E12" or "E13"
    cases[("%s_%s_shutdown_in_initialize_with_a_%s_address"):format(row, how, bind)] = function()
      local silent = support.peer "count"
      local session, log
      session, log = support.record {
        on_initialize = function(cheap)
          if how == "direct" then
            lu.assertTrue(cheap:shutdown())
          else
            session:yield("shutdown", cheap:id())
          end
        end,
      }
      session:connect(HOST, silent:port(), bind == "bad" and "203.0.113.9" or nil)
      support.run()
      local list = log:list()
      lu.assertEquals(list[1], "initialize")
      if how == "direct" then
        lu.assertEquals(list, { "initialize", "disconnected shutdown" })
      end
      lu.assertEquals(log:count "disconnected", 1)
      log:check_grammar()
    end
  end
end

function cases.E15_disconnected_gets_cheap_id_and_reason()
  local silent, closer = support.peer "count", support.peer "close"
  local resetter = support.peer 'send "x"; rst'
  local reasons = {}
  local function check(cheap, ...)
    lu.assertEquals(select("#", ...), 2)
    local id, reason = ...
    lu.assertEquals(cheap:id(), id)
    reasons[reason] = (reasons[reason] or 0) + 1
  end
  local session = support.session {
    connect_timeout = 0.1,
    on_success = function(cheap) if cheap.leave then cheap:shutdown() end end,
    on_disconnected = check,
  }
  local dying = support.session { on_success = function(cheap) cheap:session():die() end,
    on_disconnected = check }
  session:connect(HOST, support.refused())
  session:connect(HOST, support.blackhole())
  session:connect(HOST, closer:port())
  session:connect(HOST, resetter:port())
  session:connect({ leave = true }, HOST, silent:port())
  dying:connect(HOST, silent:port())
  support.run()
  lu.assertEquals(reasons,
    { failure = 1, timeout = 1, eof = 1, error = 1, shutdown = 1, die = 1 })
end

function cases.E16_a_thousand_connections_of_random_fate()
  local fates = support.swarm("fate", 4)
  local refused = support.refused()
  local random = 42
  local function chance(n)
    random = (random * 16807) % 2147483647
    return random % n == 0
  end
  local session, log
  local function meddle(cheap)
    if chance(5) then cheap:send("some text") end
    if chance(6) then cheap:shutdown() end
    if chance(7) then session:yield("shutdown", cheap:id()) end
    if chance(9) then cheap:reset() end
    if chance(11) then cheap:fail("bad luck") end
    if chance(13) then cheap:timeout(0.05) end
  end
  session, log = support.record {
    short = true, flushed = true,
    input_timeout = 0.3, max_connections = 200,
    on_initialize = meddle, on_success = meddle, on_input = meddle, on_flushed = meddle,
    on_failure = meddle, on_error = meddle, on_timeout = meddle, on_disconnected = meddle,
  }
  for i = 1, 1000 do
    session:connect("127.0.0." .. i % 4 + 1, chance(10) and refused or fates:port())
  end
  support.run(30)
  lu.assertEquals(#log.ids, 1000)
  log:check_grammar()
end

function cases.E17_yield_is_fifo_and_call_is_immediate()
  local order = {}
  support.session {
    inline_states = {
      _start = function(s) s:yield "go" end,
      go = function(s)
        s:yield("note", 1)
        s:yield("note", 2)
        s:yield("note", 3)
        local value = s:call("note", 0)
        order[#order + 1] = value
        order[#order + 1] = "end of go"
      end,
      note = function(_, n)
        order[#order + 1] = n
        return "value " .. n
      end,
    },
  }
  support.run()
  lu.assertEquals(order, { 0, "value 0", "end of go", 1, 2, 3 })
end

function cases.E18_input_never_comes_inside_success()
  local echo = support.peer "echo"
  local inside
  local session, log = support.record {
    on_success = function(cheap)
      inside = true
      cheap:send "quick"
      lu.assertTrue(echo:accepted(1))
      for _ = 1, 1000 do cheap:pending() end
      inside = false
    end,
    on_input = function(cheap)
      lu.assertFalse(inside)
      cheap:shutdown()
    end,
  }
  session:connect(HOST, echo:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "input quick", "disconnected shutdown" })
end

function cases.E19_flushed_fires_once_when_the_queue_is_empty()
  local slow = support.peer("wait go; count", { rcvbuf = 4096 })
  local left = {}
  local session, log = support.record {
    flushed = true, filter = "stream",
    on_success = function(cheap)
      for _ = 1, 80 do cheap:send(("x"):rep(131072)) end
      lu.assertTrue(cheap:queued() > 0)
      slow:go "go"
    end,
    on_flushed = function(cheap)
      left[#left + 1] = cheap:queued()
      if cheap:queued() == 0 then cheap:shutdown() end
    end,
  }
  session:connect(HOST, slow:port())
  support.run(30)
  -- One for the empty queue; before it one on falling to the low mark, because a send said "full",
  -- unless the kernel took the rest at once.
  if #left == 2 then support.within(table.remove(left, 1), 1, 65536, "queued") end
  lu.assertEquals(left, { 0 })
  lu.assertEquals(log[#log], "disconnected shutdown")
  lu.assertEquals(support.ending(slow, 1), "eof")
  lu.assertEquals(slow:report().received, 80 * 131072)
end

function cases.E19_flushed_fires_once_for_many_small_sends()
  local inside
  local log = support.meet("count", {
    flushed = true,
    on_success = function(cheap)
      inside = true
      for i = 1, 50 do cheap:send("line " .. i) end
      inside = false
    end,
    on_flushed = function(cheap)
      lu.assertFalse(inside)
      support.after(0.1, function() cheap:shutdown() end)
    end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "flushed", "disconnected shutdown" })
end

function cases.E20_leftovers_of_a_filter_switch_come_after_the_handler()
  local burst = support.peer 'send "one\\r\\ntwo\\r\\nthree\\r\\n"; count'
  local inside, records = false, {}
  local session = support.session {
    on_input = function(cheap, record)
      lu.assertFalse(inside)
      inside = true
      records[#records + 1] = record
      if record == "one" then cheap:input_filter("block", { block_size = 5 }) end
      if #records == 3 then cheap:shutdown() end
      inside = false
    end,
  }
  session:connect(HOST, burst:port())
  support.run()
  lu.assertEquals(records, { "one", "two\r\n", "three" })
end

support.main(cases)
