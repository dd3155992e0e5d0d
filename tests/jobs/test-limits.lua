-- SPDX-License-Identifier: MIT
-- tcpmulti.limits in made-up time: what a bucket promises for every window, caps with their queues
-- against a plain model, a heap against a sorted list.
local limits = require "tcpmulti.limits"
local lu = require "luaunit"
local support = require "jobs.support"

local cases = support.cases "Limits"

-- Takes tokens whenever there is one, for so many seconds. Gives the times of all.
local function take_all(bucket, seconds)
  local now, times = 1000, {}
  while now < 1000 + seconds do
    local taken, wait = bucket:take(now)
    if taken then
      times[#times + 1] = now
    else
      lu.assertTrue(wait > 0)
      now = now + wait
    end
  end
  return times
end

local function assert_windows(times, rate, burst)
  for _, window in ipairs { 0.1, 0.5, 1 } do
    local first = 1
    for last = 1, #times do
      while times[last] - times[first] > window do first = first + 1 end
      local most = rate * window + burst + 1e-6
      lu.assertTrue(last - first + 1 <= most, ("%d in %g s"):format(last - first + 1, window))
    end
  end
end

function cases.J26_no_window_has_more_than_rate_and_burst()
  for _, rate in ipairs { 0.5, 7, 100, 3000, 1 / 3 } do
    local times = take_all(limits.bucket(rate), 20)
    local burst = math.max(1, rate / 100)
    assert_windows(times, rate, burst)
    lu.assertAlmostEquals(#times, rate * 20, burst + 1)
  end
end

function cases.J26_a_pause_is_worth_no_more_than_the_burst()
  local bucket = limits.bucket(1000)
  bucket:take(0)
  local count = 0
  while bucket:take(3600) do count = count + 1 end
  lu.assertEquals(count, 10)
end

function cases.J27_ten_a_minute_are_six_seconds_apart()
  local times = take_all(limits.bucket(10 / 60), 61)
  for i = 2, #times do lu.assertAlmostEquals(times[i] - times[i - 1], 6, 1e-6) end
  lu.assertEquals(#times, 11)
end

function cases.J27_rate_0_is_no_limit()
  local bucket = limits.bucket(0)
  for _ = 1, 1000 do lu.assertTrue(bucket:take(5)) end
end

function cases.the_phase_is_what_there_is_in_the_beginning()
  local bucket = limits.bucket(10, 1, 0.25)
  local taken, wait = bucket:take(50)
  lu.assertFalse(taken)
  lu.assertAlmostEquals(wait, 0.075, 1e-9)
  lu.assertTrue(bucket:take(50 + wait))
end

function cases.a_clock_that_goes_back_gives_nothing()
  local bucket = limits.bucket(1)
  lu.assertTrue(bucket:take(100))
  lu.assertFalse((bucket:take(50)))
  lu.assertFalse((bucket:take(100.5)))
  lu.assertTrue(bucket:take(101))
end

function cases.wrong_arguments_raise()
  for _, bad in ipairs { -1, 0 / 0, math.huge, "1" } do
    lu.assertErrorMsgContains("rate must be", limits.bucket, bad)
    lu.assertErrorMsgContains("limits.caps", limits.caps, bad == math.huge and -2 or bad)
  end
  lu.assertErrorMsgContains("burst must be", limits.bucket, 1, 0.5)
  lu.assertErrorMsgContains("phase must be", limits.bucket, 1, 1, -1)
end

-- ---- caps ----

function cases.J28_caps_against_a_plain_model()
  local caps = limits.caps(3)
  local active, queues, waiting = {}, {}, 0
  for step = 1, 20000 do
    local key = "host " .. math.random(5)
    active[key], queues[key] = active[key] or 0, queues[key] or {}
    lu.assertEquals(caps:has_room(key), active[key] < 3)
    if math.random() < 0.5 then
      if active[key] < 3 then
        caps:enter(key)
        active[key] = active[key] + 1
      else
        caps:wait(key, step)
        table.insert(queues[key], step)
        waiting = waiting + 1
      end
    elseif active[key] > 0 then
      local expected = table.remove(queues[key], 1)
      if expected then waiting = waiting - 1 end
      lu.assertEquals(caps:leave(key), expected)
      active[key] = active[key] - 1
    end
    lu.assertEquals(caps.waiting, waiting)
  end
end

function cases.a_key_that_is_not_used_costs_nothing()
  local caps = limits.caps(2)
  for i = 1, 1000 do
    caps:enter(i)
    caps:wait(i, "item")
    lu.assertEquals(caps:leave(i), "item")
  end
  lu.assertNil(next(caps.active))
  lu.assertNil(next(caps.queues))
end

function cases.a_cap_of_0_is_no_limit()
  local caps = limits.caps(0)
  for _ = 1, 100 do
    lu.assertTrue(caps:has_room "x")
    caps:enter "x"
  end
  lu.assertNil(caps:leave "x")
end

function cases.who_miscounts_is_told()
  local caps = limits.caps(1)
  lu.assertErrorMsgContains("nothing has entered", caps.leave, caps, "x")
  caps:enter "x"
  lu.assertErrorMsgContains("no room", caps.enter, caps, "x")
end

-- ---- heap ----

-- A list that is kept sorted; later ones of equal time stand behind.
local function insert(list, time)
  local at = #list + 1
  while at > 1 and list[at - 1] > time do at = at - 1 end
  table.insert(list, at, time)
end

function cases.a_heap_against_a_sorted_list()
  local heap, list = limits.heap(), {}
  for _ = 1, 20000 do
    if #list < 100 and math.random() < 0.6 then
      local time = math.random(1, 50)
      heap:push(time, { time })
      insert(list, time)
    else
      local time, item = heap:first()
      lu.assertEquals(time, list[1])
      lu.assertIs(heap:pop(), item)
      lu.assertEquals(item and item[1], table.remove(list, 1))
    end
    lu.assertEquals(heap.count, #list)
  end
end

support.main(cases)
