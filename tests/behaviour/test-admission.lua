-- SPDX-License-Identifier: MIT
-- Who may connect when: max_connections, connect_rate, the pull form, and the order of waiting.

local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Admission"
local HOST = "127.0.0.1"

function cases.max_connections_bounds_sockets_and_keeps_the_order()
  local echo = support.peer "echo"
  local open, most, order = 0, 0, {}
  local session, log
  session, log = support.record {
    short = true, max_connections = 7,
    on_success = function(cheap)
      order[#order + 1] = cheap.number
      open = open + 1
      most = math.max(most, open)
      cheap:send "hi"
    end,
    on_input = function(cheap) cheap:shutdown() end,
    on_disconnected = function() open = open - 1 end,
  }
  for i = 1, 100 do session:connect({ number = i }, HOST, echo:port()) end
  local live, waiting = session:count()
  lu.assertEquals(waiting, 93)
  lu.assertTrue(live == 7 or live == 100)
  lu.assertEquals(session:stats().waiting, 93)
  support.run()
  lu.assertTrue(most <= 7)
  log:check_grammar()
  lu.assertEquals(log:count "disconnected shutdown", 100)
  table.sort(order)
  for i = 1, 100 do lu.assertEquals(order[i], i) end
end

function cases.waiting_connects_start_first_come_first_served()
  local closer = support.peer "close"
  local order = {}
  local session = support.session {
    max_connections = 1,
    on_success = function(cheap) order[#order + 1] = cheap.number end,
  }
  for i = 1, 50 do session:connect({ number = i }, HOST, closer:port()) end
  support.run()
  for i = 1, 50 do lu.assertEquals(order[i], i) end
  lu.assertEquals(#order, 50)
end

function cases.a_session_at_its_limit_holds_up_no_other()
  local silent, closer = support.peer "count", support.peer "close"
  local full = support.session { max_connections = 1 }
  full:connect(HOST, silent:port())
  full:connect(HOST, silent:port())
  local other, log = support.record { on_disconnected = function() full:die() end }
  other:connect(HOST, closer:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "error read EOF", "disconnected eof" })
end

function cases.the_connect_timeout_starts_with_the_attempt()
  local silent = support.peer "count"
  local session, log
  session, log = support.record {
    max_connections = 1, connect_timeout = 0.3, input_timeout = 0,
    on_success = function(cheap)
      support.after(0.7, function() cheap:shutdown() end)
    end,
  }
  session:connect(HOST, silent:port())
  local waiter = session:connect(HOST, support.blackhole())
  support.after(0.5, function() lu.assertEquals(waiter:phase(), "waiting") end)
  support.run()
  lu.assertEquals(log:list(), { "initialize", "initialize", "success", "disconnected shutdown",
    "timeout connect", "disconnected timeout" })
  support.at(log:time "timeout" - log:time "disconnected shutdown", 0.3)
end

function cases.initialize_runs_at_once_for_those_who_wait()
  local silent = support.peer "count"
  local session, log = support.record { max_connections = 1 }
  for _ = 1, 3 do session:connect(HOST, silent:port()) end
  lu.assertEquals(log:list(), { "initialize", "initialize", "initialize" })
  session:die()
  support.run()
  lu.assertEquals(log:count "disconnected die", 3)
  log:check_grammar()
end

function cases.connect_rate_spreads_the_attempts()
  local closer = support.peer "close"
  local session, log = support.record { connect_rate = 50 }
  for _ = 1, 40 do session:connect(HOST, closer:port()) end
  support.run()
  lu.assertEquals(log:count "success", 40)
  -- The bucket holds a burst; the rest comes at 50 a second.
  support.within(log:time("success", 40), 0.6, 2, "the last success")
  local early = 0
  for i = 1, 40 do if log:time("success", i) < 0.2 then early = early + 1 end end
  support.within(early, 5, 18, "attempts in the first 0.2 s")
end

-- Sessions side by side, each with a rate: the time until its last attempt.
function cases.a_rate_is_what_it_says_fractions_too()
  local closer = support.peer "close"
  local rows = {
    { 0.1, 2, nil }, { 1, 2, 1.0 }, { 2.5, 4, 1.2 }, { 3, 4, 1.0 }, { 10, 13, 1.2 },
    { 33.3, 41, 1.2 }, { 1000, 501, 0.5 }, { 100000, 201, 0.002 },
  }
  for _, row in ipairs(rows) do
    local rate, count = row[1], row[2]
    row.times, row.began = {}, tcpmulti.now()
    row.session = support.session {
      connect_rate = rate,
      on_success = function() row.times[#row.times + 1] = tcpmulti.now() end,
    }
    for _ = 1, count do row.session:connect(HOST, closer:port()) end
  end
  rows[1].session:delay(function(s) s:die() end, 2)
  support.run()
  lu.assertEquals(#rows[1].times, 1)
  for i = 2, #rows do
    local rate, count, seconds, times = rows[i][1], rows[i][2], rows[i][3], rows[i].times
    lu.assertEquals(#times, count)
    support.within(times[count] - rows[i].began, seconds * 0.98 - 0.005, seconds + 0.3,
      count .. " attempts at " .. rate)
  end
end

function cases.the_pull_form_asks_only_when_there_is_a_place()
  local echo = support.peer "echo"
  local asked, open, most, ended = 0, 0, 0, 0
  local session
  session = support.session {
    max_connections = 10,
    on_initialize = function() open = open + 1 most = math.max(most, open) end,
    on_success = function(cheap) cheap:send "x" end,
    on_input = function(cheap) cheap:shutdown() end,
    on_disconnected = function() open = open - 1 ended = ended + 1 end,
  }
  lu.assertEquals(session:connect(function()
    asked = asked + 1
    if asked > 500 then return nil end
    if asked % 3 == 0 then return { number = asked }, HOST, echo:port() end
    if asked % 3 == 1 then return { remote_address = HOST, remote_port = echo:port() } end
    return HOST, echo:port()
  end), true)
  lu.assertEquals(asked, 0)
  lu.assertFalse(pcall(session.connect, session, function() end))
  support.run(20)
  lu.assertEquals({ asked, ended, open }, { 501, 500, 0 })
  lu.assertTrue(most <= 11)
end

function cases.the_pull_form_comes_after_those_who_wait()
  local closer = support.peer "close"
  local order = {}
  local session = support.session {
    max_connections = 1,
    on_success = function(cheap) order[#order + 1] = cheap.name end,
  }
  session:connect({ name = "first" }, HOST, closer:port())
  local pulled = 0
  session:connect(function()
    pulled = pulled + 1
    if pulled <= 2 then return { name = "pulled " .. pulled }, HOST, closer:port() end
  end)
  session:connect({ name = "second" }, HOST, closer:port())
  session:connect({ name = "third" }, HOST, closer:port())
  support.run()
  lu.assertEquals(order, { "first", "second", "third", "pulled 1", "pulled 2" })
end

function cases.a_second_pull_is_possible_when_the_first_has_ended()
  local closer = support.peer "close"
  local session, log
  local function two()
    local left = 2
    return function()
      left = left - 1
      if left >= 0 then return HOST, closer:port() end
      if not session.heap.again then
        session.heap.again = true
        session:yield "again"
      end
    end
  end
  session, log = support.record {
    inline_states = { again = function(s) lu.assertEquals(s:connect(two()), true) end },
  }
  session:connect(two())
  support.run()
  lu.assertEquals(log:count "disconnected eof", 4)
end

function cases.a_raise_in_the_pull_function_ends_it_and_is_an_exception()
  local closer = support.peer "close"
  local messages = {}
  local asked = 0
  local session, log = support.record {
    on_exception = function(_, message, cheap)
      messages[#messages + 1] = message
      lu.assertNil(cheap)
    end,
  }
  session:connect(function()
    asked = asked + 1
    if asked == 3 then error "no more targets" end
    return HOST, closer:port()
  end)
  support.run()
  lu.assertEquals(asked, 3)
  lu.assertEquals(#messages, 1)
  lu.assertStrContains(messages[1], "no more targets")
  lu.assertEquals(log:count "disconnected eof", 2)
end

-- Each with what initialize gets, and what the failure says.
local bad_targets = {
  { { "bad host", 80 }, "address must not contain control characters or spaces: 'bad host'" },
  { { "", 80 }, "address must have 1 to 253 bytes, not 0" },
  { { ("x"):rep(254), 80 }, "address must have 1 to 253 bytes, not 254" },
  { { "a\0b", 80 }, "address must not contain control characters" },
  { { "a\27b", 80 }, "address must not contain control characters" },
  { { HOST, 0 }, "port must be a whole number from 1 to 65535, not 0" },
  { { HOST, 65536 }, "port must be a whole number from 1 to 65535, not 65536" },
  { { HOST, 0.5 }, "port must be a whole number from 1 to 65535, not 0.5" },
  { { HOST, -1 }, "port must be a whole number" },
  { { HOST, "70000" }, "port must be a whole number from 1 to 65535, not 70000" },
  { { HOST, "no-such-service" }, "port must be a number or a known service" },
  { { HOST, "" }, "port must be the name of a service" },
  { { HOST, 80, "no address" }, "bind address must not contain control characters or spaces" },
  { { HOST, 80, "somewhere" },
    "bind address must be a numeric address, a list or a range, not 'somewhere'" },
  { { HOST, 80, nil, 65536 }, "bind port must be a whole number from 0 to 65535, not 65536" },
  { { HOST, 80, nil, "x" }, "bind port must be a number from 0 to 65535, not 'x'" },
}

local function pull_bad_targets(form, expect)
  local asked, initialized, failed = 0, {}, {}
  local session, log = support.record {
    on_initialize = function(_, ...) initialized[#initialized + 1] = { ... } end,
    on_failure = function(cheap, op, errnum, errstr, id, errname)
      lu.assertEquals({ op, errnum, errname, id }, { "resolve", 22, "EINVAL", cheap:id() })
      lu.assertEquals({ cheap:cause() }, { op, errnum, errstr, errname })
      failed[#failed + 1] = errstr
      local target = bad_targets[#failed][1]
      local port = tonumber(target[2])
      local good = port and port >= 1 and port <= 65535 and port % 1 == 0
      lu.assertEquals(cheap:port(), good and port or 0)
      if not target[1]:find "%z" then lu.assertEquals(cheap:addr(), target[1]) end
    end,
    on_disconnected = function(cheap, _, reason)
      lu.assertEquals(reason, "failure")
      lu.assertNil(cheap:peer())
    end,
  }
  session:connect(function()
    asked = asked + 1
    if bad_targets[asked] then return form(unpack(bad_targets[asked][1], 1, 4)) end
  end)
  support.run()
  lu.assertEquals(asked, #bad_targets + 1)
  lu.assertEquals(#failed, #bad_targets)
  log:check_grammar()
  for i, target in ipairs(bad_targets) do
    lu.assertEquals(initialized[i], target[1])
    lu.assertStrContains(failed[i], expect(target[2]))
  end
end

function cases.a_bad_target_of_the_pull_form_is_a_connection_that_fails()
  pull_bad_targets(function(...) return ... end, function(text) return text end)
end

function cases.a_bad_target_in_a_table_is_one_too()
  pull_bad_targets(function(addr, port, bind_addr, bind_port)
    return { remote_address = addr, remote_port = port, bind_address = bind_addr,
      bind_port = bind_port }
  end, function(text)
    return text:gsub("^address", "remote_address"):gsub("^port", "remote_port")
      :gsub("^bind ", "bind_"):gsub(" .*", "")
  end)
end

function cases.a_bad_target_may_end_otherwise_in_initialize()
  local port = support.peer("close"):port()
  local targets = { "", HOST, " ", HOST }
  local session, log = support.record {
    max_connections = 1,
    on_initialize = function(cheap, addr)
      cheap:send "never"
      if addr == "" then cheap:shutdown() end
      if addr == " " then cheap:fail("said first", "EPIPE") end
    end,
    on_failure = function(_, op, _, message)
      lu.assertEquals({ op, message }, { "fail", "said first" })
    end,
  }
  session:connect(function() return table.remove(targets, 1), port end)
  support.run()
  lu.assertEquals(log:count "disconnected shutdown", 1)
  lu.assertEquals(log:count "failure fail EPIPE", 1)
  lu.assertEquals(log:count "disconnected", 4)
end

function cases.J79_false_waits_for_the_end_of_a_connection()
  local closer = support.peer("close"):port()
  local asked, open, left = 0, 0, 20
  local session, log
  session, log = support.record {
    on_disconnected = function() open = open - 1 end,
  }
  session:connect(function()
    asked = asked + 1
    if left == 0 then return nil end
    if open == 2 then return false end
    open, left = open + 1, left - 1
    return HOST, closer
  end)
  support.run()
  lu.assertEquals(log:count "disconnected eof", 20)
  lu.assertTrue(asked <= 20 + 20 + 1)
end

function cases.J79_false_waits_for_more()
  local closer = support.peer("close"):port()
  local asked, targets = 0, {}
  local session, log = support.record {
    inline_states = {
      come = function(s)
        targets[1] = HOST
        lu.assertTrue(s:more())
        lu.assertTrue(s:more())
      end,
    },
  }
  lu.assertEquals({ session:more() }, { nil, "the session has no pull function", "ESRCH" })
  session:connect(function()
    asked = asked + 1
    local target = table.remove(targets)
    if target then return target, closer end
    return false
  end)
  session:delay("come", 0.01)
  support.run()
  lu.assertEquals(log:count "disconnected eof", 1)
  lu.assertTrue(asked >= 3 and asked <= 4)
  lu.assertEquals({ session:more() }, { nil, "session has stopped", "ESHUTDOWN" })
end

function cases.more_inside_the_pull_function_counts()
  local asked = 0
  local session
  session = support.session {}
  session:connect(function()
    asked = asked + 1
    if asked == 5 then return nil end
    session:more()
    return false
  end)
  support.run()
  lu.assertEquals(asked, 5)
  lu.assertEquals(session:more(), nil)
end

function cases.J79_false_alone_is_no_work()
  local asked = 0
  local session = support.session {}
  session:connect(function() asked = asked + 1 return false end)
  support.at(support.run(), 0, 0.5)
  lu.assertEquals(asked, 1)
end

function cases.die_ends_the_pull_and_those_who_wait()
  local silent = support.peer "count"
  local session, log
  local asked = 0
  session, log = support.record {
    max_connections = 2,
    on_success = function() session:die() end,
  }
  session:connect(function()
    asked = asked + 1
    return HOST, silent:port()
  end)
  support.run()
  lu.assertTrue(asked <= 3)
  lu.assertEquals(log:count "initialize", log:count "disconnected die")
  lu.assertEquals({ session:connect(HOST, silent:port()) },
    { nil, "session has stopped", "ESHUTDOWN" })
end

function cases.connect_while_dying_is_refused()
  local silent = support.peer "count"
  local answer
  local session, log
  session, log = support.record {
    on_success = function()
      session:die()
      answer = { session:connect(HOST, silent:port()) }
    end,
  }
  session:connect(HOST, silent:port())
  support.run()
  lu.assertEquals(answer, { nil, "session is dying", "ESHUTDOWN" })
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected die" })
end

support.main(cases)
