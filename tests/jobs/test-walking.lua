-- SPDX-License-Identifier: MIT
-- tcpmulti.targets: any number of processes share a plan by arithmetic alone. Together they walk
-- each target once; a host belongs to one of them; what is done is passed over, whoever did it.
local lu = require "luaunit"
local support = require "jobs.support"
local targets = require "tcpmulti.targets"

local cases = support.cases "Walking"

-- A plan of all kinds of rectangles: IPv4, IPv6, names, with one port and with several. Names stand
-- on several lines, with other ports or as lines of JSON.
local function random_plan(order)
  local all = {}
  for i = 1, math.random(1, 12) do
    local ports = ("%d-%d"):format(1, math.random(1, 5))
    local kind = math.random(3)
    if kind == 1 then
      local first = math.random(0, 200)
      all[i] = ("10.0.0.%d-%d:%s"):format(first, first + math.random(0, 40), ports)
    elseif kind == 2 then
      all[i] = ("[2001:db8::%x/%d]:%s"):format(math.random(0, 255), math.random(122, 128), ports)
    elseif math.random() < 0.7 then
      all[i] = ("host-%d.example:%s"):format(math.random(4), ports)
    else
      all[i] = ('{"host":"host-%d.example","port":"%s","id":%d}'):format(math.random(4), ports, i)
    end
  end
  local plan = assert(targets.plan({ { words = all } }, { order = order, seed = math.random() }))
  lu.assertEquals(plan.malformed, {})
  return plan
end

local function random_order() return math.random() < 0.7 and "random" or "sequential" end

local function each(walker) return function() return walker:next() end end

-- ---- partition ----

function cases.processes_share_each_plan_exactly()
  for _ = 1, 200 do
    local plan, J = random_plan(random_order()), math.random(1, 12)
    local seen, owners, total = {}, {}, 0
    for j = 0, J - 1 do
      local walker, own = plan:walker(j, J), 0
      for g, place in each(walker) do
        lu.assertTrue(g >= 0 and g < plan.total and not seen[g], g)
        lu.assertTrue(place >= 0 and place < walker.total)
        seen[g], own = true, own + 1
        local host = plan:target(g)
        lu.assertEquals(owners[host] or j, j, host)
        owners[host] = j
      end
      lu.assertEquals(own, walker.total)
      total = total + own
    end
    lu.assertEquals(total, plan.total)
  end
end

function cases.places_are_numbered_without_gaps()
  for _ = 1, 30 do
    local plan, J = random_plan "random", math.random(1, 4)
    for j = 0, J - 1 do
      local walker, seen = plan:walker(j, J), {}
      for _, place in each(walker) do seen[place] = true end
      for place = 0, walker.total - 1 do lu.assertTrue(seen[place]) end
    end
  end
end

function cases.a_target_is_found_from_its_number_by_any_process()
  for _ = 1, 60 do
    local plan, J = random_plan(random_order()), math.random(1, 5)
    local finders, walkers = {}, {}
    for j = 0, J - 1 do finders[j], walkers[j] = plan:walker(j, J), plan:walker(j, J) end
    for j = 0, J - 1 do
      for g in each(walkers[j]) do
        for other = 0, J - 1 do
          if other ~= j then lu.assertEquals({ finders[other]:skip(g) }, { false, "elsewhere" }) end
        end
        lu.assertEquals({ finders[j]:skip(g) }, { true })
        lu.assertEquals({ finders[j]:skip(g) }, { false, "done" })
      end
      lu.assertEquals(finders[j].done, finders[j].total)
      lu.assertNil(finders[j]:next())
    end
  end
end

-- ---- going on ----

function cases.what_one_fleet_has_done_another_one_passes_over()
  for _ = 1, 100 do
    local plan = random_plan(random_order())
    local times, J = {}, math.random(1, 6)
    for j = 0, J - 1 do
      for g in each(plan:walker(j, J)) do
        if math.random() < 0.4 then times[g] = 1 end
      end
    end
    J = math.random(1, 6)
    for j = 0, J - 1 do
      local walker = plan:walker(j, J)
      for g in pairs(times) do walker:skip(g) end
      for g in each(walker) do times[g] = (times[g] or 0) + 1 end
    end
    for g = 0, plan.total - 1 do lu.assertEquals(times[g], 1) end
  end
end

function cases.what_is_finished_is_done()
  local plan = assert(targets.plan({ { words = { "10.0.0.0/24:1-3", "a:1", "[fd00::/124]:1" } } }))
  local walker, waiting = plan:walker(0, 2), {}
  for g, place in each(walker) do
    waiting[#waiting + 1] = { g, place }
    if #waiting > 50 then
      local one = table.remove(waiting, math.random(#waiting))
      walker:finish(one[2])
      walker:finish(one[2])
      lu.assertEquals({ walker:skip(one[1]) }, { false, "done" })
    end
  end
  lu.assertEquals(walker.done, walker.total - #waiting)
  for _, one in ipairs(waiting) do lu.assertEquals({ walker:skip(one[1]) }, { true }) end
  lu.assertEquals(walker.done, walker.total)
end

function cases.numbers_that_are_none_are_elsewhere()
  local walker = assert(targets.plan { { words = { "10.0.0.1:1-3" } } }):walker(0, 1)
  for _, g in ipairs { -1, 3, 0.5, 0 / 0, math.huge } do
    lu.assertEquals({ walker:skip(g) }, { false, "elsewhere" })
  end
end

-- ---- order ----

function cases.J22_targets_of_a_host_are_far_apart()
  for _ = 1, 40 do
    local ports, J = math.random(2, 9), math.random(1, 4)
    local text = ("10.0.0.0/%d:1-%d"):format(math.random(22, 24), ports)
    local plan = assert(targets.plan { { words = { text } } })
    for j = 0, J - 1 do
      local walker, last, at, seen = plan:walker(j, J), {}, 0, {}
      local own = walker.total / ports
      for g in each(walker) do
        local host, port = plan:target(g)
        lu.assertTrue(at - (last[host] or -own) >= own - 1)
        last[host], at = at, at + 1
        if at <= own then seen[port] = (seen[port] or 0) + 1 end
      end
      for _, count in pairs(seen) do lu.assertTrue(count < own) end
    end
  end
end

function cases.J22_in_a_round_ports_are_mixed()
  local plan = assert(targets.plan { { words = { "10.0.0.0/20:1-8" } } })
  local walker = plan:walker(0, 1)
  for _ = 1, 8 do
    local counts = {}
    for _ = 1, 4096 do
      local _, port = plan:target(walker:next())
      counts[port] = (counts[port] or 0) + 1
    end
    for port = 1, 8 do lu.assertAlmostEquals(counts[port], 512, 130) end
  end
end

function cases.sequential_is_in_order_one_port_of_each_host_in_a_round()
  local plan = assert(targets.plan({ { words = { "10.0.0.0/30:5,7" } } }, { order = "sequential" }))
  local list = {}
  for g in each(plan:walker(0, 1)) do
    local host, port = plan:target(g)
    list[#list + 1] = host:match "%d$" .. ":" .. port
  end
  lu.assertEquals(table.concat(list, " "), "0:5 1:5 2:5 3:5 0:7 1:7 2:7 3:7")
end

function cases.rectangles_are_mixed_in_proportion()
  local plan = assert(targets.plan { { words = { "10.0.0.0/22:1", "10.1.0.0/24:1,2" } } })
  local count, others = 0, 0
  for g in each(plan:walker(0, 1)) do
    count, others = count + 1, others + (plan:target(g):find("10.1", 1, true) and 1 or 0)
    lu.assertAlmostEquals(others, count / 3, 2)
  end
end

-- ---- cost ----

function cases.a_thousand_million_targets_take_no_memory()
  local plan = assert(targets.plan({ { words = { "10.0.0.0/8" } } }, { ports = "1-64" }))
  lu.assertEquals(plan.total, 2 ^ 30)
  local walker = plan:walker(3, 16)
  local places, at = {}, 0
  local function walk(count)
    for _ = 1, count do
      local g, place = walker:next()
      local host, port, input = plan:target(g)
      assert(host and port >= 1 and port <= 64 and not input)
      at = at % 1000 + 1 -- a thousand are on their way
      if places[at] then walker:finish(places[at]) end
      places[at] = place
    end
  end
  walk(40000)
  local bytes = support.cost(function() walk(300000) end)
  lu.assertTrue(bytes < 65536, bytes)
  lu.assertEquals(walker.done, 339000)
end

support.main(cases)
