-- SPDX-License-Identifier: MIT
-- When the requests of a load are to start, and the queue in which they wait.
local lu = require "luaunit"
local ring = require "tcpmulti.job.load.ring"
local schedule = require "tcpmulti.job.load.schedule"
local support = require "jobs.support"

local cases = support.cases "LoadSchedule"

-- The times of so many arrivals.
local function times_of(plan, count)
  local times = {}
  for i = 1, count do
    times[i] = plan.time
    assert(plan:take(plan.time))
  end
  return times
end

function cases.J70_even_arrivals_have_equal_gaps_and_no_drift()
  local times = times_of(schedule.new(3, "even"), 3000001)
  for _, i in ipairs { 1, 2, 3, 3000001 } do
    lu.assertAlmostEquals(times[i], (i - 1) / 3, 1e-9)
  end
end

function cases.an_arrival_is_taken_at_its_time_and_not_before()
  local plan = schedule.new(1000, "even")
  lu.assertEquals(plan:take(0), 0)
  lu.assertNil(plan:take(0.0009))
  lu.assertEquals(plan:take(0.0011), 0.001)
  local taken = 0
  while plan:take(1) do taken = taken + 1 end
  assert(taken >= 998 and taken <= 1000, taken)
end

function cases.G39_even_arrivals_of_processes_interleave()
  local all = {}
  for process = 0, 3 do
    for _, time in ipairs(times_of(schedule.new(10, "even", nil, process, 4), 100)) do
      all[#all + 1] = time
    end
  end
  table.sort(all)
  for i = 1, #all do lu.assertAlmostEquals(all[i], (i - 1) / 40, 1e-9) end
end

local CELLS, COUNT = 20, 100000

-- How far the gaps are from the exponential distribution: chi squared over cells that are equally
-- likely, as a number of standard deviations.
local function deviation(times, rate)
  local counts, expected = {}, (#times - 1) / CELLS
  for cell = 1, CELLS do counts[cell] = 0 end
  for i = 2, #times do
    local share = 1 - math.exp(-rate * (times[i] - times[i - 1]))
    local cell = math.min(CELLS, math.floor(share * CELLS) + 1)
    counts[cell] = counts[cell] + 1
  end
  local sum = 0
  for cell = 1, CELLS do sum = sum + (counts[cell] - expected) ^ 2 / expected end
  return (sum - (CELLS - 1)) / math.sqrt(2 * (CELLS - 1))
end

function cases.J71_gaps_of_Poisson_arrivals_are_exponential()
  for _, seed in ipairs { "one", "two", "three" } do
    local times = times_of(schedule.new(50, "poisson", seed), COUNT)
    lu.assertAlmostEquals(deviation(times, 50), 0, 4, "z of seed " .. seed)
    lu.assertAlmostEquals(times[COUNT] * 50 / COUNT, 1, 0.02)
  end
  local even = times_of(schedule.new(50, "even"), COUNT)
  assert(deviation(even, 50) > 100, "even gaps must not pass for exponential ones")
end

function cases.J71_the_same_seed_gives_the_same_arrivals()
  local first = times_of(schedule.new(50, "poisson", "a", 1, 2), 100)
  lu.assertEquals(times_of(schedule.new(50, "poisson", "a", 1, 2), 100), first)
  for _, other in ipairs { { "b", 1, 2 }, { "a", 0, 2 }, { nil, 1, 2 } } do
    local times = times_of(schedule.new(50, "poisson", unpack(other, 1, 3)), 100)
    lu.assertNotEquals(times, first)
  end
end

function cases.a_ring_is_a_queue_that_grows()
  local queue, plain = ring.new(), {}
  local pushed = 0
  for _ = 1, 20000 do
    if math.random() < 0.52 then
      pushed = pushed + 1
      queue:push(pushed)
      plain[#plain + 1] = pushed
    else
      lu.assertEquals(queue:first(), plain[1])
      lu.assertEquals(queue:pop(), table.remove(plain, 1))
    end
    lu.assertEquals(queue.count, #plain)
  end
end

support.main(cases)
