-- SPDX-License-Identifier: MIT
-- Alarms and beats to parts of a millisecond, and run with a limit of time.
local lu = require "luaunit"
local luv = require "luv"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Alarms"
local HOST = "127.0.0.1"
local block, now = require "peer".block, tcpmulti.now

-- ---- delays ----

local LATE, ROUNDS, ALARMS = 0.0003, 15, 20

-- How late alarms are, in the median, that set(session, seconds, cheap) sets one after the other
-- for the state "ring". Never early.
local function lateness(set, port)
  local late, session, cheap, due = {}, nil, nil, nil
  local function set_next()
    local seconds = 0.0004 + #late * 0.000137
    due = now() + seconds
    lu.assertNotNil((set(session, seconds, cheap)))
  end
  session = support.session {
    on_success = function(c)
      cheap = c
      set_next()
    end,
    inline_states = { ring = function(s)
      late[#late + 1] = now() - due
      lu.assertTrue(late[#late] >= 0)
      if #late < ALARMS then set_next() else s:die() end
    end },
  }
  session:connect(HOST, port)
  support.run()
  lu.assertEquals(#late, ALARMS)
  table.sort(late)
  return late[ALARMS / 2]
end

-- A busy machine may take several rounds.
local function check_lateness(set)
  local port, median = support.peer("freeze"):port(), nil
  for _ = 1, ROUNDS do
    median = lateness(set, port)
    if median <= LATE then return end
  end
  lu.fail(("late by %.6f s in the median"):format(median))
end

function cases.delay_is_never_early_and_not_late()
  check_lateness(function(session, seconds) return session:delay("ring", seconds) end)
end

function cases.delay_set_is_never_early_and_not_late()
  check_lateness(function(session, seconds) return session:delay_set("ring", seconds) end)
end

-- The clock is read in microseconds.
function cases.alarm_set_is_never_early_and_not_late()
  check_lateness(function(session, seconds)
    local time, microseconds = luv.gettimeofday()
    return session:alarm_set("ring", time + microseconds / 1e6 + seconds + 2e-6)
  end)
end

function cases.delay_adjust_is_never_early_and_not_late()
  check_lateness(function(session, seconds)
    return session:delay_adjust(assert(session:delay_set("ring", 100)), seconds)
  end)
end

function cases.the_delay_of_a_connection_is_never_early_and_not_late()
  check_lateness(function(_, seconds, cheap) return cheap:delay("ring", seconds) end)
end

-- ---- beats ----

function cases.every_comes_at_multiples_without_drift()
  local session, number, before, first, last
  local calls, beats, arguments = 0, 0, nil
  session = support.session { inline_states = { beat = function(s, due, ticks, ...)
    arguments = { select("#", ...), ... }
    calls, beats = calls + 1, beats + ticks
    lu.assertTrue(ticks >= 1 and ticks == math.floor(ticks))
    lu.assertTrue(due <= now())
    first = first or due - (ticks - 1) * 0.002
    lu.assertAlmostEquals(due, first + (beats - 1) * 0.002, 1e-6)
    last = due
    if calls == 5 then block(0.011) end
    if calls == 20 then lu.assertEquals((s:alarm_remove(number)), "beat") end
  end } }
  before = now()
  number = assert(session:every("beat", 0.002, "one", nil, 3, nil))
  lu.assertIsNumber(number)
  support.run()
  lu.assertEquals(calls, 20)
  lu.assertTrue(beats >= 24) -- some were missed while it was blocked
  lu.assertTrue(first >= before + 0.002)
  lu.assertTrue(last <= now())
  lu.assertEquals(arguments, { 4, "one", nil, 3, nil })
end

-- Ticks of 1 ms for so many seconds; on_tick, if any, is called each time. Gives the number of
-- ticks that were told, of those that were due until the last call, and how late the latest of each
-- call was, sorted.
local function tick(seconds, on_tick)
  local start, last, ticks, late = nil, nil, 0, {}
  local session = support.session { inline_states = { tick = function(s, due, count)
    start, last = start or due - count * 0.001, due
    ticks, late[#late + 1] = ticks + count, now() - due
    if on_tick then on_tick() end
    if due >= start + seconds - 1e-6 then s:die() end
  end } }
  session:every("tick", 0.001)
  support.run()
  table.sort(late)
  return ticks, math.floor((last - start) / 0.001 + 0.5), late
end

function cases.J80_ticks_of_a_millisecond_are_all_told()
  local told, due = tick(3)
  lu.assertEquals(told, due)
  lu.assertTrue(told >= 3000)
  told, due = tick(1, function() block(0.0032) end) -- most are missed, and told by the next
  lu.assertEquals(told, due)
  lu.assertTrue(told >= 1000)
end

function cases.J80_ticks_of_a_millisecond_are_on_time()
  local tail
  for _ = 1, 100 do
    local _, _, late = tick(0.1)
    tail = late[math.floor(#late * 0.99)]
    if tail <= 0.00015 then return end
  end
  lu.fail(("99 %% of the ticks are late by up to %.6f s"):format(tail))
end

function cases.every_is_work_until_it_is_removed()
  local beats, number, left = 0, nil, nil
  local session = support.session {
    inline_states = {
      beat = function() beats = beats + 1 end,
      leave = function(s) left = { s:alarm_remove(number) } end,
    },
  }
  number = session:every("beat", 0.001, "a", 7)
  local before = now()
  session:delay("leave", 0.05)
  support.run()
  lu.assertTrue(now() - before >= 0.05)
  lu.assertTrue(beats >= 1)
  lu.assertEquals({ left[1], left[3], left[4] }, { "beat", "a", 7 })
  lu.assertAlmostEquals(left[2], os.time(), 60) -- when it would have been due
  lu.assertEquals({ session:alarm_remove(number) }, { nil, "no alarm " .. number, "ESRCH" })
end

function cases.every_is_among_the_alarms_but_is_not_moved()
  local session = support.session { inline_states = { beat = print, ring = print } }
  local number = session:every("beat", 3600, 1)
  session:delay_set("ring", 60, 2)
  session:every("beat", 30, 3)
  local ok, message, errname = session:delay_adjust(number, 1)
  lu.assertNil(ok)
  lu.assertEquals(errname, "EINVAL")
  lu.assertStrContains(message, "every")
  local removed = session:alarm_remove_all()
  lu.assertEquals({ #removed, removed[1][3], removed[2][3], removed[3][3] }, { 3, 3, 2, 1 })
  lu.assertEquals(session:alarm_remove_all(), {})
  support.run()
end

function cases.every_refuses_what_it_cannot_do()
  local session = support.session { inline_states = { beat = print } }
  for _, seconds in ipairs { 0, -1, 0.00009, 4294968, 1 / 0, -1 / 0, 0 / 0 } do
    lu.assertErrorMsgContains("every: the time must be a number of seconds from 0.0001 to 4294967",
      session.every, session, "beat", seconds)
  end
  for _, seconds in ipairs { "1", {}, true } do
    lu.assertErrorMsgContains("every: the time must be", session.every, session, "beat", seconds)
  end
  lu.assertErrorMsgContains("every: the time must be", session.every, session, "beat")
  lu.assertErrorMsgContains("the state must be a name or a function", session.every, session, 5, 1)
  lu.assertErrorMsgContains("did you mean 'beat'?", session.every, session, "baet", 1)
  lu.assertErrorMsgContains("session expected", session.every, {}, "beat", 1)
  for _, seconds in ipairs { 0.0001, 4294967 } do
    lu.assertIsNumber(session:every("beat", seconds))
  end
  session:die()
  lu.assertEquals({ session:every("beat", 1) }, { nil, "session is dying", "ESHUTDOWN" })
  support.run()
  lu.assertEquals({ session:every("beat", 1) }, { nil, "session has stopped", "ESHUTDOWN" })
end

function cases.every_takes_functions_and_default()
  local seen = {}
  local session = support.session { inline_states = { _default = function(s, name, arguments)
    seen[#seen + 1] = name
    lu.assertIsNumber(arguments[1])
    lu.assertEquals({ arguments[2], arguments[3] }, { 1, "x" })
    s:die()
  end } }
  session:every("nowhere", 0.01, "x")
  session:every(function(s, due, ticks)
    lu.assertEquals(s, session)
    lu.assertTrue(due <= now() and ticks >= 1)
    seen[#seen + 1] = "function"
  end, 0.002)
  support.run()
  lu.assertEquals(seen[1], "function")
  lu.assertEquals(seen[#seen], "nowhere")
end

function cases.a_beat_that_raises_is_an_exception_and_goes_on()
  local messages, beats = {}, 0
  local session
  session = support.session {
    on_exception = function(_, message, cheap) messages[#messages + 1] = { message, cheap } end,
    inline_states = { beat = function(s)
      beats = beats + 1
      if beats == 3 then s:die() end
      error "on purpose"
    end },
  }
  session:every("beat", 0.001)
  support.run()
  lu.assertEquals(beats, 3)
  lu.assertTrue(#messages >= 2)
  lu.assertStrContains(messages[1][1], "on purpose")
  lu.assertNil(messages[1][2])
end

-- ---- run with a limit ----

local function run_for(seconds)
  local start = now()
  local results = { tcpmulti.run { seconds = seconds } }
  return now() - start, results
end

function cases.run_for_a_while_ends_every_session_in_order()
  local log = {}
  local peer = support.peer "count"
  local function session(name, later)
    return tcpmulti.create {
      on_success = function(cheap) cheap:send(("x"):rep(100)) end,
      on_disconnected = function(_, _, reason) log[#log + 1] = name .. " " .. reason end,
      inline_states = { _stop = function()
        log[#log + 1] = name .. " stop"
        if later then later() end
      end },
    }
  end
  local one = session("one", function() session("late", function() session "later" end) end)
  local two = session "two"
  one:connect(HOST, peer:port())
  two:every(function() end, 0.01)
  local took, results = run_for(0.1)
  lu.assertTrue(took >= 0.1)
  lu.assertEquals(results, { true, "time" })
  local two_at = 1 -- the other's flush may take a turn
  while log[two_at] ~= "two stop" do two_at = two_at + 1 end
  table.remove(log, two_at)
  lu.assertEquals(log, { "one die", "one stop", "late stop", "later stop" })
  lu.assertEquals({ one:yield(print) }, { nil, "session has stopped", "ESHUTDOWN" })
  lu.assertTrue(peer:ended(1, 10))
  lu.assertEquals(peer:report().received, 102) -- flushed
end

function cases.run_for_a_while_is_run_when_the_work_has_gone()
  local session = support.session { inline_states = { ring = function() end } }
  session:delay("ring", 0.01)
  local took, results = run_for(100)
  lu.assertTrue(took < 50)
  lu.assertEquals(results, {})
  lu.assertEquals({ tcpmulti.run { seconds = 100 } }, {})
  lu.assertEquals({ tcpmulti.run {} }, {})
end

function cases.run_for_a_while_is_ended_by_stop()
  local session = support.session { inline_states = { ring = function() tcpmulti.stop() end } }
  session:delay("ring", 0.01)
  session:every(function() end, 1)
  local took, results = run_for(100)
  lu.assertTrue(took < 50)
  lu.assertEquals(results, {})
  lu.assertEquals(session:count(), 0)
  lu.assertEquals({ tcpmulti.run { seconds = 0 } }, { true, "time" }) -- it has been left alive
end

function cases.run_for_a_while_is_not_held_by_handles_of_luv()
  local timer = luv.new_timer()
  timer:start(100000, 0, function() end)
  local session = support.session {}
  local took, results = run_for(0.02)
  timer:close()
  lu.assertTrue(took >= 0.02 and took < 50)
  lu.assertEquals(results, { true, "time" })
  lu.assertEquals({ session:yield(print) }, { nil, "session has stopped", "ESHUTDOWN" })
  support.run()
end

function cases.run_for_a_while_raises_fatal_errors()
  local session = tcpmulti.create { inline_states = { ring = function() error "on purpose" end } }
  session:delay("ring", 0.01)
  lu.assertErrorMsgContains("on purpose", tcpmulti.run, { seconds = 100 })
  session = tcpmulti.create { inline_states = { _stop = function() error "at the end" end } }
  session:every(function() end, 1)
  lu.assertErrorMsgContains("at the end", tcpmulti.run, { seconds = 0.01 })
end

function cases.run_refuses_other_options()
  local session = support.session { inline_states = { ring = function() end } }
  session:delay("ring", 0)
  lu.assertErrorMsgContains("unknown option 'second' (did you mean 'seconds'?)", tcpmulti.run,
    { second = 5 })
  lu.assertErrorMsgContains("unknown option", tcpmulti.run, { 5 })
  for _, seconds in ipairs { -1, "5", true, 1 / 0, 0 / 0, 5e6 } do
    lu.assertErrorMsgContains("seconds must be a number of seconds from 0 to 4294967", tcpmulti.run,
      { seconds = seconds })
  end
  for _, options in ipairs { 5, "5", true } do
    lu.assertErrorMsgContains("tcpmulti.run: a table of options expected", tcpmulti.run, options)
  end
  lu.assertErrorMsgContains("a colon instead of a dot", tcpmulti.run, tcpmulti)
  lu.assertEquals({ pcall(tcpmulti.run, nil) }, { true })
end

support.main(cases)
