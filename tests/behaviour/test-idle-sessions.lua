-- SPDX-License-Identifier: MIT
-- A session lives until die, until run ends for want of work, or until it has nothing to do and the
-- script cannot reach it any more. Compiled code keeps what it has seen, so the compiler is off.

local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

require("jit").off()

local cases = support.cases "IdleSessions"
local HOST = "127.0.0.1"

local function collect()
  collectgarbage()
  collectgarbage()
end

-- Runs the steps one after the other, each in a turn of its own, with a collection before it.
local function in_turns(...)
  local steps, at = { ... }, 0
  local driver
  driver = support.session {
    alias = "driver",
    inline_states = { step = function(s)
      at = at + 1
      if not steps[at] then return s:alias_remove "driver" end
      collect()
      steps[at]()
      s:delay("step", 0.002)
    end },
  }
  driver:yield "step"
  support.run()
  lu.assertEquals(at, #steps + 1)
end

-- A session that nobody reaches once this has returned; its ends are counted in seen.stopped.
local function lose(seen, options, use)
  options = options or {}
  options.inline_states = options.inline_states or {}
  seen.stopped = 0
  function options.inline_states._stop(session)
    seen.stopped = seen.stopped + 1
    seen.at_stop = { session:yield(function() end) }
    seen.is_session = tostring(session):find "tcpmulti session" ~= nil
  end
  local session = tcpmulti.create(options)
  if use then use(session) end
end

function cases.one_out_of_reach_stops_once_from_the_loop()
  local seen = {}
  lose(seen)
  local inside = true
  in_turns(function()
    collect()
    lu.assertEquals(seen.stopped, 0) -- not inside the collector
    inside = false
  end, function()
    lu.assertEquals(seen.stopped, 1)
    lu.assertTrue(seen.is_session)
    lu.assertEquals(seen.at_stop, { nil, "session has stopped", "ESHUTDOWN" })
  end, function() end)
  lu.assertEquals(seen.stopped, 1)
  lu.assertFalse(inside)
end

function cases.handlers_that_name_their_session_do_not_keep_it()
  local seen = {}
  do
    local session
    local function name() return session end
    session = tcpmulti.create {
      on_initialize = name, on_success = name, on_input = name, on_flushed = name,
      on_failure = name, on_error = name, on_timeout = name, on_disconnected = name,
      on_exception = name, heap = { name = name },
      filter = { "map", get = name },
      inline_states = { a = name, _stop = function() seen[1] = session end },
      object_states = { { b = name }, { "b" } },
    }
    session.own = session
  end
  in_turns(function() end, function() end, function()
    lu.assertNotNil(seen[1])
    lu.assertEquals({ seen[1]:call "a" }, { nil, "session has stopped", "ESHUTDOWN" })
  end)
end

function cases.one_that_the_script_reaches_stays()
  local seen, kept = {}, nil
  lose(seen, {}, function(session) kept = session end)
  in_turns(function() end, function() end, function()
    lu.assertEquals(seen.stopped, 0)
    lu.assertTrue(kept:yield(function() seen.ran = true end))
  end, function() lu.assertTrue(seen.ran) kept = nil end, function() end, function()
    lu.assertEquals(seen.stopped, 1)
  end)
end

function cases.a_name_keeps_it_until_it_is_taken_back()
  local seen = {}
  lose(seen, { alias = "first" }, function(s) s:alias_set "second" s:alias_set "second" end)
  in_turns(function() end, function()
    lu.assertEquals(seen.stopped, 0)
    lu.assertTrue(tcpmulti.call("second", function(s) return s:alias_remove "first" end))
  end, function() end, function()
    lu.assertEquals(seen.stopped, 0)
    lu.assertTrue(tcpmulti.call("second", function(s) return s:alias_remove "second" end))
  end, function() end, function()
    lu.assertEquals(seen.stopped, 1)
  end)
end

function cases.a_connection_keeps_it_until_disconnected_has_returned()
  local echo = support.peer("echo"):port()
  local seen, cheap = {}, nil
  lose(seen, {
    on_success = function(c) c:send "x" end,
    on_input = function() seen.input = true end,
    on_disconnected = function(c)
      collect()
      seen.disconnected = tostring(c:session())
    end,
  }, function(s) cheap = s:connect(HOST, echo) end)
  support.when(function() return seen.input end, function()
    collect()
    cheap:shutdown()
  end)
  support.when(function() collect() return seen.stopped == 1 end, function() seen.done = true end)
  support.run()
  lu.assertTrue(seen.done)
  lu.assertStrContains(seen.disconnected, "live")
end

function cases.alarms_and_queued_events_keep_it()
  local seen, alarm = {}, nil
  local weak = setmetatable({}, { __mode = "v" })
  lose(seen, { inline_states = { go = function(s) collect() seen.gone = s:count() end } },
    function(s)
      alarm = s:delay_set("go", 3600)
      s:yield "go"
      weak[1] = s
    end)
  in_turns(function() end, function()
    lu.assertEquals({ seen.gone, seen.stopped }, { 0, 0 })
    lu.assertTrue(weak[1]:delay_adjust(alarm, 0))
  end, function() end, function() end, function()
    lu.assertEquals(seen.stopped, 1)
    lu.assertNil(weak[1])
  end)
end

function cases.a_watched_signal_keeps_it()
  local seen = {}
  local weak = setmetatable({}, { __mode = "v" })
  lose(seen, {}, function(s) s:sig("USR1", function() end) weak[1] = s end)
  in_turns(function() end, function()
    lu.assertEquals(seen.stopped, 0)
    weak[1]:sig "USR1"
  end, function() end, function()
    lu.assertEquals(seen.stopped, 1)
  end)
end

function cases.a_beat_keeps_it()
  local seen, beats = {}, 0
  lose(seen, {}, function(s)
    local beat
    beat = s:every(function(session)
      collect()
      beats = beats + 1
      if beats == 3 then session:alarm_remove(beat) end
    end, 0.001)
  end)
  support.when(function() collect() return seen.stopped == 1 end, function() seen.beats = beats end)
  support.run()
  lu.assertEquals(seen.beats, 3)
end

function cases.a_pull_function_keeps_it_but_not_one_that_waits()
  local closer = support.peer("close"):port()
  local asked, waits, ends = {}, {}, {}
  local left = 600
  lose(asked, { max_connections = 2, on_disconnected = function() asked.ended = true end },
    function(s)
      s:connect(function()
        if left % 100 == 0 then collect() end
        left = left - 1
        if left >= 0 then return HOST, closer end
      end)
    end)
  lose(waits, {}, function(s) s:connect(function() return false end) end)
  lose(ends, {}, function(s) s:connect(function() return nil end) end)
  support.when(function() collect() return asked.stopped == 1 end, function()
    asked.left = left
    asked.waits, asked.ends = waits.stopped, ends.stopped
  end)
  support.run()
  lu.assertEquals({ asked.left, asked.waits, asked.ends }, { -1, 1, 1 })
end

function cases.a_waiting_pull_function_goes_on_when_the_script_can_reach_its_session()
  local closer = support.peer("close"):port()
  local targets = {}
  local session, log = support.record {}
  session:connect(function()
    local target = table.remove(targets)
    if target then return target, closer end
    return false
  end)
  local function more() targets[1] = HOST session:more() end
  in_turns(function() end, more, function() end, more, function() end)
  lu.assertEquals(log:count "disconnected eof", 2)
end

function cases.an_idle_session_does_everything_as_any_other()
  local echo = support.peer("echo"):port()
  local seen = {}
  local filter = { feed = function(self, bytes) self.bytes = bytes end,
    get_one = function(self) local b = self.bytes self.bytes = nil return b and "<" .. b .. ">" end,
    put = function(_, record) return record .. "!" end }
  function filter.clone() return setmetatable({}, { __index = filter }) end
  local session = support.session {
    filter = filter,
    on_success = function(cheap) cheap:send "x" end,
    on_input = function(cheap, record)
      seen[#seen + 1] = record
      lu.assertEquals(cheap:session(), seen.session)
      cheap:shutdown()
    end,
    on_exception = function(s, message, cheap)
      lu.assertEquals(s, seen.session)
      seen[#seen + 1] = message:match "raised [%w ]+" or message
      lu.assertNil(cheap)
    end,
    inline_states = {
      open = function()
        collect()
        return tcpmulti.connect { remote_address = HOST, remote_port = echo }
      end,
      bad = function() error "raised in a state" end,
    },
  }
  seen.session = session
  in_turns(function() lu.assertNotNil(session:call "open") end, function() end, function() end,
    function() session:yield "bad" end, function() end,
    function() lu.assertNotNil(session:connect(HOST, echo)) end, function() end)
  lu.assertEquals(seen, { "<x!>", "raised in a state", "<x!>", session = session })
end

function cases.what_its_stop_raises_is_an_exception_like_others()
  local messages = {}
  do
    tcpmulti.create {
      on_exception = function(_, message) messages[#messages + 1] = message end,
      inline_states = { _stop = function() error "raised in stop" end },
    }
  end
  in_turns(function() end, function() end, function() lu.assertEquals(#messages, 1) end)
  lu.assertStrContains(messages[1], "raised in stop")
  tcpmulti.create { inline_states = { _stop = function() error "fatal in stop" end } }
  local ok, message = pcall(in_turns, function() end, function() end, function() end)
  lu.assertFalse(ok)
  lu.assertStrContains(message, "fatal in stop")
end

function cases.one_whose_start_has_raised_stops_without_events()
  local seen = {}
  lu.assertFalse(pcall(lose, seen, { alias = "never",
    inline_states = { _start = function(s) s:yield "x" error "in start" end } }))
  in_turns(function() end, function() end)
  lu.assertEquals(seen.stopped, 0)
end

function cases.the_end_of_run_stops_each_once()
  local seen = {}
  lose(seen)
  collect()
  local other = {}
  lose(other)
  support.run()
  lu.assertEquals({ seen.stopped, other.stopped }, { 1, 1 })
  collect()
  support.run()
  lu.assertEquals({ seen.stopped, other.stopped }, { 1, 1 })
end

-- Those of sessions and of the module, with anything, as debug lets a script do.
function cases.finalizers_called_by_hand_do_no_harm()
  local output, status = support.child("", [[
    local tcpmulti = require "tcpmulti"
    local session = tcpmulti.create { inline_states = { _stop = function() print "stopped" end } }
    local found = {}
    local function find(list)
      for _, value in pairs(list) do
        if type(value) == "userdata" then found[#found + 1] = value end
      end
    end
    find(debug.getregistry())
    for _, value in pairs(session) do if type(value) == "table" then find(value) end end
    local values = { io.stdout, newproxy(true), tcpmulti.filters.line(), {}, 5, "x", false,
      tcpmulti.filters.line():clone() }
    local function each(visit)
      for _, value in ipairs(found) do
        local finalizer = (debug.getmetatable(value) or {}).__gc
        if finalizer then visit(finalizer, value) end
      end
    end
    each(function(finalizer, own)
      pcall(finalizer)
      for i = 1, #values do pcall(finalizer, values[i]) end
      for _, other in ipairs(found) do if other ~= own then pcall(finalizer, other) end end
    end)
    session:yield(function() print "alive" end)
    tcpmulti.run()
    each(function(finalizer, own) pcall(finalizer, own) pcall(finalizer, own) end)
    print(select(3, tcpmulti.create {}), #found >= 2)
  ]])
  lu.assertEquals(output, "alive\nstopped\nESHUTDOWN\ttrue\n")
  lu.assertEquals(status, 0)
end

function cases.closing_the_state_runs_no_stop()
  local run = support.child("", [[
    local tcpmulti = require "tcpmulti"
    local function stop() print "stopped" end
    for _ = 1, 100 do tcpmulti.create { inline_states = { _stop = stop } } end
    collectgarbage()
    collectgarbage()
    local last = tcpmulti.create { inline_states = { _stop = stop } }
    print((tostring(last):find("live", 1, true)))
    os.exit(0, true)
  ]])
  lu.assertStrMatches(run, "%d+\n")
end

local function resident()
  local file = assert(io.open "/proc/self/statm")
  local pages = tonumber(file:read "*a":match "^%d+ (%d+)")
  file:close()
  return pages * 4096
end

function cases.a_hundred_thousand_one_after_the_other_need_constant_memory()
  local closer = support.peer("close"):port()
  local total, made, stopped, sizes = support.sanitized() and 5000 or 100000, 0, 0, {}
  local function one()
    local session
    made = made + 1
    session = tcpmulti.create {
      on_success = function(cheap) cheap:send(tostring(session)) end,
      inline_states = { _stop = function() stopped = stopped + 1 end,
        next = function()
          if made % (total / 10) == 0 then
            collect()
            sizes[#sizes + 1] = resident()
          end
          if made < total then one() end
        end },
    }
    -- Few, as the peer, in this process, keeps half a KiB of each connection.
    if made % 200 == 0 then session:connect(HOST, closer) end
    session:yield "next"
  end
  one()
  support.run(60)
  lu.assertEquals({ made, stopped }, { total, total })
  if not support.sanitized() then
    lu.assertTrue(sizes[10] < sizes[2] + 2 ^ 20)
  end
end

-- A finalizer of the script runs where memory is asked for, in create too.
function cases.a_session_that_a_finalizer_makes_in_the_middle_of_create_is_another_one()
  local kept, numbers, inside, within = {}, {}, false, 0
  local function make()
    local session = tcpmulti.create {}
    lu.assertNil(numbers[session[0]])
    numbers[session[0]] = true
    return session
  end
  local function finalize()
    if not inside then return end
    within = within + 1
    kept[#kept + 1] = make()
  end
  local pause, multiplier = collectgarbage("setpause", 100), collectgarbage("setstepmul", 110)
  support.finally(function()
    collectgarbage("setpause", pause)
    collectgarbage("setstepmul", multiplier)
  end)
  for i = 1, 2000 do
    for _ = 1, 2 do getmetatable(newproxy(true)).__gc = finalize end
    inside = true
    make()
    inside = false
    if i % 500 == 0 then kept = {} end
  end
  lu.assertTrue(within > 100)
  support.run()
end

function cases.making_one_costs_the_same_however_many_there_are()
  local kept = {}
  local function make(count)
    collect()
    collectgarbage "stop"
    local start = os.clock()
    for _ = 1, count do kept[#kept + 1] = tcpmulti.create {} end
    local took = os.clock() - start
    collectgarbage "restart"
    return took
  end
  local many = support.sanitized() and 5000 or 50000
  local first = make(2000)
  make(many)
  local last = make(2000)
  kept = nil
  support.run(30)
  lu.assertTrue(last < first * 4 + 0.01, ("%g s, then %g s"):format(first, last))
end

support.main(cases)
