-- SPDX-License-Identifier: MIT
-- Many tasks at once, tasks that do something again and again, and what tasks wait for beside
-- connections.

local co = require "tcpmulti.co"
local dialogue = require "behaviour.dialogue"
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "CoMany"
local try, HOST = co.try, dialogue.HOST

-- ---- all, any ----

function cases.Y97_all_keeps_keys()
  dialogue.run(function(session)
    lu.assertEquals(try(co.all {
      a = function()
        co.sleep(0.01)
        return 1, "not this one"
      end,
      b = function() return false end,
      function() return "one" end,
      function() end,
    }), { "one", a = 1, b = false })
    lu.assertEquals(co.all {}, {})
    lu.assertEquals(dialogue.count_tasks(session), 1)
  end)
end

function cases.Y97_a_failure_cancels_the_rest()
  dialogue.run(function(session)
    local cancelled
    local began = tcpmulti.now()
    local function slow()
      cancelled = select(2, pcall(co.sleep, 60))
      error(cancelled, 0)
    end
    lu.assertEquals({ co.all { slow, function() try(nil, "no", "EPROTO", "part") end } },
      { nil, "no", "EPROTO", "part" })
    lu.assertStrContains(tostring(cancelled), "cancelled: ")
    lu.assertEquals({ co.all { slow, function() return nil, "as a result", "EOF" end } },
      { nil, "as a result", "EOF" })
    lu.assertStrContains(dialogue.raises("a bug", co.all, { slow, function() error "a bug" end }),
      "traceback")
    lu.assertEquals({ co.all({ slow }, 0.02) }, { nil, "timed out", "ETIME" })
    lu.assertTrue(tcpmulti.now() - began < 5)
    lu.assertEquals(dialogue.count_tasks(session), 1)
    dialogue.raises("all: a table of functions expected", co.all, { 1 })
  end)
end

function cases.Y97_a_crowd_does_not_hear_of_another()
  dialogue.run(function()
    local echo = support.peer "echo"
    local list = {}
    for i = 1, 30 do
      list["key " .. i] = function()
        local cheap = try(co.open(HOST, echo:port()))
        cheap:send("hello " .. i)
        return (try(cheap:receive()))
      end
    end
    local results = try(co.all(list))
    for i = 1, 30 do lu.assertEquals(results["key " .. i], "hello " .. i) end
  end)
end

function cases.Y98_any_gives_the_first_that_gives_something()
  dialogue.run(function(session)
    local cancelled
    local function slow()
      cancelled = select(2, pcall(co.sleep, 60))
      error(cancelled, 0)
    end
    lu.assertEquals({ co.any {
      slow,
      function() return nil, "x", "EPROTO" end,
      function() try(nil, "y", "EPROTO") end,
      function()
        co.sleep(0.01)
        return "fast", 2
      end,
    } }, { "fast", 2 })
    lu.assertStrContains(tostring(cancelled), "cancelled: ")
    lu.assertEquals(co.any { function() return false end }, false)
    lu.assertEquals(dialogue.count_tasks(session), 1)
  end)
end

function cases.Y98_any_of_which_none_gives_something()
  dialogue.run(function()
    lu.assertEquals({ co.any {
      function()
        co.sleep(0.01)
        return nil, "the last", "EPROTO"
      end,
      function() try(nil, "the first", "EOF") end,
    } }, { nil, "the last", "EPROTO" })
    lu.assertEquals({ co.any {} }, { nil, "nothing to do", "EINVAL" })
    lu.assertEquals({ co.any({ function() co.sleep(60) end }, 0.02) },
      { nil, "timed out", "ETIME" })
    dialogue.raises("a bug", co.any, { function() error "a bug" end, function() co.sleep(60) end })
  end)
end

-- ---- each ----

function cases.Y99_each_of_200_targets_20_at_once()
  dialogue.run(function(session)
    local echo, refused = support.peer "echo", support.refused()
    local most, open, targets, seen = 0, 0, {}, {}
    for i = 1, 200 do targets[i] = { number = i, port = i % 10 == 0 and refused or echo:port() } end
    local good, bad = co.each(targets, 20, function(target)
      lu.assertIs(co.current().name, target)
      open = open + 1
      most = math.max(most, open)
      local cheap, message, errname = co.open(HOST, target.port)
      if cheap then
        cheap:send("number " .. target.number)
        message = try(cheap:receive())
      end
      open = open - 1
      if not cheap then return nil, message, errname end
      return message, target.number
    end, function(target, ...) seen[target.number] = { ... } end)
    lu.assertEquals({ good, bad }, { 180, 20 })
    lu.assertEquals(most, 20)
    for i = 1, 200 do
      lu.assertEquals(seen[i], i % 10 > 0 and { "number " .. i, i }
        or { nil, "connect: Connection refused", "ECONNREFUSED" })
    end
    lu.assertEquals(dialogue.count_tasks(session), 1)
    lu.assertEquals({ co.each({}, 5, error) }, { 0, 0 })
  end)
end

function cases.Y99_each_target_has_a_scope_of_its_own()
  dialogue.run(function(session)
    local echo = support.peer "echo"
    local most = 0
    lu.assertEquals({ co.each({ 1, 2, 3, 4, 5, 6, 7, 8 }, 2, function()
      try(co.open(HOST, echo:port()))
      co.spawn(function() co.sleep(0.002) end)
      most = math.max(most, (session:count()))
      return nil, "seen", "EPROTO"
    end) }, { 0, 8 })
    lu.assertTrue(most <= 4, most) -- two of them may still be shutting down
  end)
end

function cases.Y100_a_bug_of_one_target_with_on_exception()
  local heard = {}
  dialogue.run({ on_exception = function(_, message) heard[#heard + 1] = message end }, function()
    local results = {}
    lu.assertEquals({ co.each({ 1, 2, 3, 4 }, 2, function(i)
      co.sleep(0)
      if i == 2 then error "a bug" end
      return i
    end, function(i, ...) results[i] = { ... } end) }, { 3, 1 })
    lu.assertEquals({ results[1], results[3], results[4] }, { { 1 }, { 3 }, { 4 } })
    lu.assertNil(results[2][1])
    lu.assertStrMatches(results[2][2], ".*%-many%.lua:%d+: a bug")
    lu.assertEquals(results[2][3], "ESCRIPT")
  end)
  lu.assertEquals(#heard, 1)
  lu.assertStrMatches(heard[1], ".*%-many%.lua:%d+: a bug\nstack traceback:.*")
end

function cases.Y101_a_bug_without_on_exception_is_raised_by_each()
  dialogue.run(function(session)
    local begun, cancelled = 0, nil
    local text = dialogue.raises("a bug", co.each, { 1, 2, 3, 4, 5 }, 2, function(i)
      begun = begun + 1
      if i == 2 then
        co.sleep(0)
        error "a bug"
      end
      cancelled = select(2, pcall(co.sleep, 60))
      error(cancelled, 0)
    end)
    lu.assertStrContains(text, "traceback")
    lu.assertEquals(begun, 2)
    lu.assertStrContains(tostring(cancelled), "cancelled: ")
    lu.assertEquals(dialogue.count_tasks(session), 1)
  end)
end

function cases.Y102_a_source_that_waits()
  dialogue.run(function()
    local queue, seen = co.queue(), {}
    co.spawn(function()
      for i = 1, 5 do
        co.sleep(0.002)
        queue:put(i)
      end
      dialogue.wait_for(function() return #seen == 5 end)
      queue:close()
    end)
    lu.assertEquals({ co.each(queue:values(), 3, function(i)
      seen[#seen + 1] = i
      return i
    end) }, { 5, 0 })
    lu.assertEquals(seen, { 1, 2, 3, 4, 5 })
    dialogue.raises("the source", co.each, function() error "the source" end, 2, print)
    lu.assertEquals({ co.deadline(0.02, co.each, co.queue():values(), 2, print) },
      { nil, "timed out", "ETIME" })
  end)
end

-- ---- retry, every ----

function cases.Y103_retry_waits_a_random_part_of_times_that_double()
  dialogue.run(function()
    local pauses, began = {}, tcpmulti.now()
    lu.assertEquals({ co.retry({
      min = 0.004,
      max = 0.016,
      on_retry = function(pause, message, errname, attempt)
        lu.assertEquals({ message, errname, attempt }, { "no", "EPROTO", #pauses + 1 })
        pauses[#pauses + 1] = pause
      end,
    }, function(attempt)
      if attempt < 8 then try(nil, "no", "EPROTO") end
      return "at last", attempt
    end) }, { "at last", 8 })
    local sum, different = 0, {}
    for i, pause in ipairs(pauses) do
      support.within(pause, 0, math.min(0.016, 0.004 * 2 ^ (i - 1)), "pause " .. i)
      sum, different[pause] = sum + pause, true
    end
    lu.assertEquals(#pauses, 7)
    lu.assertNotNil(next(different, next(different)))
    support.at(tcpmulti.now() - began, sum)
  end)
end

function cases.Y103_an_attempt_that_lasted_begins_again_at_min()
  dialogue.run(function()
    local pauses = {}
    co.retry({
      min = 0.001,
      max = 1000,
      healthy = 0.02,
      attempts = 40,
      on_retry = function(pause) pauses[#pauses + 1] = pause end,
    }, function(attempt)
      if attempt % 2 == 0 then co.sleep(0.02) end
      return nil, "no", "EPROTO"
    end)
    lu.assertEquals(#pauses, 39)
    for i, pause in ipairs(pauses) do support.within(pause, 0, 0.002, "pause " .. i) end
  end)
end

function cases.Y103_each_attempt_has_a_scope_of_its_own()
  dialogue.run(function()
    local welcome = support.peer "close; next; close; next; send \"welcome\\n\"; recv all"
    lu.assertEquals(try(co.retry({ min = 0.001 }, function()
      local cheap = try(co.open(HOST, welcome:port()))
      return (try(cheap:receive()))
    end)), "welcome")
    lu.assertEquals(welcome:report().accepted, 3)
    dialogue.raises("a bug", co.retry, {}, function() error "a bug" end)
  end)
end

function cases.Y104_retry_gives_up_after_so_many_attempts()
  dialogue.run(function()
    local port, count = support.refused(), 0
    lu.assertEquals({ co.retry({ attempts = 3, min = 0.001 }, function()
      count = count + 1
      return (try(co.open(HOST, port)))
    end) }, { nil, "connect: Connection refused", "ECONNREFUSED" })
    lu.assertEquals(count, 3)
    dialogue.raises("retry: attempts must be a number", co.retry, { attempts = "3" }, print)
    dialogue.raises("retry: unknown option", co.retry, { atempts = 3 }, print)
  end)
end

function cases.Y105_every_is_a_steady_beat_without_the_missed_ones()
  dialogue.run(function(session)
    local began, times = tcpmulti.now(), {}
    local beat = co.every(0.05, function(...)
      lu.assertEquals({ ... }, { "with", "these" })
      times[#times + 1] = tcpmulti.now() - began
      if #times == 2 then co.sleep(0.12) end -- two are missed
      return #times < 4
    end, "with", "these")
    beat:join()
    lu.assertEquals(#times, 4)
    local last
    for i, time in ipairs(times) do
      local number = math.floor(time / 0.05 + 0.02)
      lu.assertTrue(i == 1 or number > last, "a beat came twice")
      if i == 3 then lu.assertTrue(number >= last + 3, "a missed beat was made up for") end
      last = number
    end
    support.at(times[1], 0.05)
    lu.assertEquals(dialogue.count_tasks(session), 1)
    dialogue.raises("every: ", co.every, 0, print)
  end)
end

function cases.Y105_it_ends_with_its_scope()
  dialogue.run(function(session)
    local count = 0
    co.scope(function()
      co.every(0.001, function() count = count + 1 end)
      dialogue.wait_for(function() return count >= 3 end)
    end)
    lu.assertEquals(dialogue.count_tasks(session), 1)
  end)
end

-- ---- queues, semaphores ----

function cases.Y106_a_queue_is_bounded_and_can_be_closed()
  dialogue.run(function()
    local queue, out, most = co.queue(2), {}, 0
    local reader = co.spawn(function()
      for value in queue:values() do
        out[#out + 1] = value
        most = math.max(most, queue:count())
        co.sleep(0)
      end
    end)
    for i = 1, 50 do lu.assertEquals({ queue:put(i) }, { true }) end
    queue:close()
    reader:join()
    for i = 1, 50 do lu.assertEquals(out[i], i) end
    lu.assertEquals(most, 2)
    lu.assertEquals({ queue:put(1) }, { nil, "the queue is closed", "EPIPE" })
    lu.assertEquals({ queue:get() }, { nil, "the queue is closed", "EOF" })
    dialogue.raises("put: nil cannot be put", queue.put, queue)
  end)
end

function cases.Y106_what_is_in_a_closed_queue_can_be_taken()
  dialogue.run(function()
    local queue, told = co.queue(1), {}
    queue:put "last"
    local putter = co.spawn(function() told = { queue:put "refused" } end)
    co.sleep(0)
    queue:close()
    putter:join()
    lu.assertEquals(told, { nil, "the queue is closed", "EPIPE" })
    lu.assertEquals({ queue:get() }, { "last" })
    lu.assertEquals({ queue:get() }, { nil, "the queue is closed", "EOF" })
    local other = co.queue()
    local getter = co.spawn(function() told = { other:get() } end)
    co.sleep(0)
    other:close()
    getter:join()
    lu.assertEquals(told, { nil, "the queue is closed", "EOF" })
  end)
end

function cases.Y106_times_of_get_and_put()
  dialogue.run(function()
    local queue = co.queue(1)
    lu.assertEquals({ queue:get(0) }, { nil, "the queue is empty", "ETIME" })
    lu.assertEquals({ queue:get(0.01) }, { nil, "nothing for 0.01 s", "ETIME" })
    queue:put(1)
    lu.assertEquals({ queue:put(2, 0) }, { nil, "the queue is full", "ETIME" })
    lu.assertEquals({ queue:put(2, 0.01) }, { nil, "full for 0.01 s", "ETIME" })
    lu.assertEquals({ queue:get(), queue:count() }, { 1, 0 })
  end)
end

function cases.Y106_put_from_a_handler_never_waits()
  local puts = {}
  dialogue.run({
    on_input = function(cheap, record)
      puts[#puts + 1] = { cheap.queue:put(record) }
      if record == "three" then cheap:shutdown() end
    end,
  }, function(session)
    local lines = support.peer [[send "one\ntwo\nthree\n"; recv all]]
    local queue = co.queue(1)
    lu.assertTable(session:connect({ queue = queue }, HOST, lines:port()))
    lu.assertEquals(queue:get(), "one")
    dialogue.wait_for(function() return #puts == 3 end)
    lu.assertEquals(queue:get(), "two")
    lu.assertEquals(queue:count(), 0)
  end)
  lu.assertEquals(puts, { { true }, { true }, { nil, "the queue is full", "ETIME" } })
end

function cases.Y107_tasks_that_gave_up_left_no_place()
  dialogue.run(function()
    local semaphore = co.semaphore(1)
    semaphore:acquire()
    for _ = 1, 5 do
      lu.assertEquals({ semaphore:acquire(0.002) }, { nil, "none was free for 0.002 s", "ETIME" })
    end
    local order = {}
    for i = 1, 3 do
      co.spawn(function()
        semaphore:acquire()
        order[#order + 1] = i
        semaphore:release()
      end)
    end
    co.sleep(0)
    semaphore:release()
    dialogue.wait_for(function() return #order == 3 end)
    lu.assertEquals(order, { 1, 2, 3 })
    lu.assertEquals({ semaphore:acquire(0) }, { true })
    lu.assertEquals({ semaphore:acquire(0) }, { nil, "none is free", "ETIME" })
  end)
end

function cases.Y108_with_releases_when_its_function_raises()
  dialogue.run(function()
    local semaphore = co.semaphore(1)
    dialogue.raises("boom", semaphore.with, semaphore, function() error "boom" end)
    lu.assertEquals({ semaphore:with(function(...)
      lu.assertEquals({ semaphore:acquire(0) }, { nil, "none is free", "ETIME" })
      return ...
    end, 1, nil, 3) }, { 1, nil, 3 })
    lu.assertEquals({ co.deadline(0.01, semaphore.with, semaphore, function() co.sleep(60) end) },
      { nil, "timed out", "ETIME" })
    lu.assertEquals({ semaphore:acquire(0) }, { true })
  end)
end

-- ---- callbacks, signals ----

function cases.Y109_await_a_callback_that_comes_at_once_later_or_never()
  dialogue.run(function()
    lu.assertEquals({ co.await(function(done)
      lu.assertEquals(done(1, nil, 3), true)
      lu.assertEquals(done "twice", false)
    end) }, { 1, nil, 3 })
    local stopped, again = 0, nil
    local function stop() stopped = stopped + 1 end
    lu.assertEquals({ co.await(function(done)
      again = done
      support.after(0.01, function() done "later" end)
      return stop
    end) }, { "later" })
    lu.assertEquals({ stopped, again "twice" }, { 0, false })
    lu.assertEquals({ co.await(function(done)
      again = done
      return stop
    end, 0.01) }, { nil, "nothing for 0.01 s", "ETIME" })
    lu.assertEquals({ stopped, again "too late" }, { 1, false })
    dialogue.raises("begin", co.await, function() error "begin" end)
  end)
end

function cases.Y109_what_raises_in_the_stop_of_await_is_an_error_of_the_task_that_waits()
  dialogue.run({ on_exception = function() end }, function(session)
    local function wait()
      co.await(function() return function() error "in stop" end end)
    end
    local before, one = session:spawn(co.protect(co.sleep), 60), session:spawn(wait)
    local behind = session:spawn(co.protect(co.sleep), 60)
    co.sleep(0)
    lu.assertEquals({ one:cancel(), before:cancel(), behind:cancel() }, { true, true, true })
    dialogue.raises("in stop", one.join, one)
    lu.assertEquals({ before:join() }, { nil, "by task:cancel", "ECANCELED" })
    lu.assertEquals({ behind:join() }, { nil, "by task:cancel", "ECANCELED" })
  end)
end

function cases.Y110_the_next_signal()
  dialogue.run(function()
    local function raise() os.execute "kill -WINCH $PPID" end
    for _ = 1, 2 do
      support.after(0.005, raise)
      lu.assertEquals({ co.signal("WINCH", 5) }, { "WINCH" })
    end
    lu.assertEquals({ co.signal("WINCH", 0.01) }, { nil, "nothing for 0.01 s", "ETIME" })
    raise() -- nobody watches it any more
    co.sleep(0.01)
    lu.assertEquals({ co.signal("WINCH", 0.01) }, { nil, "nothing for 0.01 s", "ETIME" })
    dialogue.raises("signal", co.signal, "NOSUCH")
  end)
end

support.main(cases)
