-- SPDX-License-Identifier: MIT
-- What the driver of the benchmark promises, apart from figures: a run whose client has not done
-- its work does not count, ratios are taken by pairs, what was measured is not measured again.
--   test-driver.lua DIRECTORY_OF_BENCH_PROGRAMS
local directory = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = directory .. "/?.lua;" .. package.path

local budgets = require "driver.budgets"
local counts = require "driver.counts"
local json = require "driver.json"
local plan = require "driver.plan"
local process = require "driver.process"
local report = require "driver.report"
local results_page = require "driver.results"
local rounds_file = require "driver.rounds"
local statistics = require "driver.statistics"

local cases = {}

local function case(title, test)
  cases[#cases + 1] = { title = title, test = test }
end

local function equal(got, expected)
  if got ~= expected then
    error(("got %s, expected %s"):format(tostring(got), tostring(expected)), 2)
  end
end

local WORKLOAD = {
  name = "small",
  work = "pingpong",
  server = "echo",
  connections = 10,
  operations = { full = 1000 },
  scale = 1e6,
  unit = "µs",
}

local SETTING = {
  size = "full",
  cores = process.cores(),
  paths = { programs = arg[1], clients = directory .. "/clients" },
}

-- A competitor that only says what it has done.
local function claiming(operations, bytes, errors)
  local line = ('{"operations":%d,"bytes":%d,"errors":%d,"cpu_user_s":1,"cpu_system_s":1}'):format(
    operations,
    bytes,
    errors
  )
  return {
    name = "claiming",
    command = function()
      return { "sh", "-c", "echo '" .. line .. "'" }
    end,
  }
end

case("a client that has done its work counts, and its cost is time per operation", function()
  local figures = assert(plan.measure(SETTING, WORKLOAD, claiming(1000, 64000, 0)))
  equal(figures.cost, 2000)
end)

case("a client that did too little, received too little or met errors does not count", function()
  for _, competitor in ipairs { claiming(999, 64000, 0), claiming(1000, 63999, 0) } do
    equal(plan.measure(SETTING, WORKLOAD, competitor), nil)
  end
  equal(plan.measure(SETTING, WORKLOAD, claiming(1000, 64000, 1)), nil)
end)

case("a client that says nothing does not count", function()
  local silent = {
    command = function()
      return { "false" }
    end,
  }
  equal(plan.measure(SETTING, WORKLOAD, silent), nil)
end)

case("floor, libuv and ours do the work of every kind", function()
  local works = {
    { work = "storm", server = "echo", connections = 10, all = 200 },
    { work = "pingpong", server = "echo", connections = 10, all = 500 },
    { work = "idle", server = "hold", connections = 10, memory = true },
    { work = "bulk", server = "bulk", connections = 2, all = 3000000 },
    { work = "lines", server = "lines", connections = 2, all = 500000 },
    { work = "mixed", server = "mixed", connections = 20, all = 2000, window = 5 },
  }
  for _, competitor in ipairs { "bench-floor", "bench-libuv", "bench-tcpmulti" } do
    for _, workload in ipairs(works) do
      workload.name, workload.scale, workload.operations = workload.work, 1, { full = workload.all }
      local has_client = competitor ~= "bench-floor" or workload.work ~= "mixed"
      assert(not has_client or plan.measure(SETTING, workload, {
        name = competitor,
        command = function(paths)
          return { paths.programs .. "/" .. competitor }
        end,
      }))
    end
  end
end)

case("medians and ratios by pairs", function()
  equal(statistics.median { 3, 1, 2 }, 2)
  equal(statistics.median { 4, 1, 2, 3 }, 2.5)
  local ratios = statistics.ratios({ 2, 9, 8 }, { 1, 3, [4] = 1 })
  table.sort(ratios)
  equal(#ratios, 2)
  equal(ratios[1], 2)
  equal(ratios[2], 3)
end)

case("JSON comes back as it was written", function()
  local object = json.decode(json.encode { name = "a b", count = 4294967296, share = 0.25 })
  equal(object.name, "a b")
  equal(object.count, 4294967296)
  equal(object.share, 0.25)
  equal(json.decode '{"name":"cut', nil)
  equal(json.encode { text = 'a "b"\n', list = { 1, 2 } }, [[{"list":[1,2],"text":"a \"b\"\n"}]])
end)

case("a resumed run knows what was measured, and only that", function()
  local path = os.tmpname()
  local first = rounds_file.open(path, false)
  first:add { workload = "w", competitor = "c", round = 1, cost = 5 }
  first.file:write '{"workload":"w","competitor":"c","round":2,"co'
  first:close()
  local resumed = rounds_file.open(path, true)
  equal(resumed:known("w", "c", 1), true)
  equal(resumed:known("w", "c", 2), false)
  resumed:add { workload = "w", competitor = "c", round = 2, cost = 7 }
  resumed:close()
  local again = rounds_file.open(path, true)
  equal(again.done.w.c[1].cost, 5)
  equal(again.done.w.c[2].cost, 7)
  again:close()
  local fresh = rounds_file.open(path, false)
  equal(fresh:known("w", "c", 1), false)
  fresh:close()
  os.remove(path)
end)

case("the report says which side was saturated", function()
  local function busy(client, server)
    local round = {
      cost = 1,
      operations = 10,
      cpu_user_s = client / 2,
      cpu_system_s = client / 2,
      wall_s = 1,
      server_busy = server,
    }
    local competitors = { { name = "floor", title = "floor" } }
    local results = report.summarize({ WORKLOAD }, competitors, { small = { floor = { round } } })
    return results[1].rows[1].saturated
  end
  equal(busy(0.95, 0.5), "client")
  equal(busy(0.5, 0.95), "server")
  equal(busy(0.5, 0.5), "neither")
end)

case("allocations are counted by their callers, once each", function()
  local found = counts.read_callgrind [[
fn=(1) open_all
16 20
cfn=(2) realloc
calls=7 10
16 700
cfn=(3) memcpy
calls=9 10
16 90
fn=(2)
10 5
cfn=(4) malloc
calls=7 20
16 300
fn=(5) main
cfn=(4)
calls=2 20
16 8
totals: 123456
]]
  equal(found.allocations, 9)
  equal(found.instructions, 123456)
end)

case("system calls are read from the columns of strace", function()
  local calls = counts.read_strace [[
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000600           3       200           sendto
 40.00    0.000400           3       130        10 read
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000           3       330        10 total
]]
  equal(calls.sendto, 200)
  equal(calls.read, 130)
  equal(calls.total, nil)
end)

case("budgets allow 2 % more instructions, and not one more of anything else", function()
  local function counted(instructions, allocations, system_calls)
    return { instructions = instructions, allocations = allocations, system_calls = system_calls }
  end
  local path = os.tmpname()
  local entries = {}
  budgets.renew(entries, "w", "c", counted(1000, 0.0001, 12), "2026-01-01", "the first")
  budgets.write(path, entries)
  entries = budgets.read(path)
  equal(#entries, 3)
  local function kept(release, client, ...)
    return (budgets.compare(entries, "w", client, counted(...), budgets.kinds_on(release)))
  end
  equal(kept("12", "c", 1019, 0, 12.09), true)
  equal(kept("12", "c", 1021, 0, 12), false)
  for _, release in ipairs { "12", "13", "" } do
    equal(kept(release, "c", 1000, 0.01, 12), false)
    equal(kept(release, "c", 1000, 0, 13), false)
    equal(kept(release, "other", 1, 0, 1), false)
  end
  equal(kept("13", "c", 1101, 0, 12), true)
  budgets.renew(entries, "w", "c", counted(1010, 0, 9), "2026-02-02", "fewer calls")
  equal(entries[1].budget, 1000)
  equal(entries[1].date, "2026-01-01")
  equal(entries[3].budget, 9)
  equal(entries[3].reason, "fewer calls")
  os.remove(path)
end)

case("a competitor is left out where it has no client, and of too many connections", function()
  local slow = { name = "slow", most_connections = 10 }
  equal(plan.takes_part(WORKLOAD, slow), true)
  equal(plan.takes_part({ connections = 11 }, slow), false)
  equal(plan.takes_part({ connections = 1, only = { fast = true } }, slow), false)
end)

case("a goal is reached, its limit kept, or missed", function()
  equal(report.verdict { found = 1.1, goal = 1.1, must = 1.2 }, "reached")
  equal(report.verdict { found = 1.11, goal = 1.1, must = 1.2 }, "kept")
  equal(report.verdict { found = 1.21, goal = 1.1, must = 1.2 }, "missed")
end)

local function sample_data()
  local function rounds(cost)
    local figures = { operations = 10, wall_s = 1, server_busy = 0.5 }
    figures.cost, figures.cpu_user_s, figures.cpu_system_s = cost, 0.5, 0.5
    return { figures }
  end
  local competitors = { { name = "floor", title = "floor" } }
  competitors[2] = { name = "tcpmulti-lua", title = "ours" }
  WORKLOAD.aims = { ["tcpmulti-lua"] = { kind = "ratio", must = 1.4, goal = 1.2 } }
  WORKLOAD.title = "small work"
  local done = { small = { floor = rounds(2), ["tcpmulti-lua"] = rounds(3) } }
  return {
    size = "full",
    results = report.summarize({ WORKLOAD }, competitors, done),
    wheel = { { count = 1000, arm_ns = 8, cancel_ns = 2 } },
    late_ms = 5,
    counts = {},
    facts = { { "kernel", "6.1" } },
    notes = "## Tried",
  }
end

case("the page of results shows each figure beside its goal", function()
  local page = results_page.render(sample_data())
  local function shows(words)
    if not page:find(words, 1, true) then
      error(words .. " is not in\n" .. page, 2)
    end
  end
  shows "| small | ours | 1.50 | 1.20 | 1.40 | **missed** |"
  shows "| wheel: 1000000 deadlines armed, late at most | core | 5.00 ms | 10.0 ms | 10.0 ms |"
  shows "| **ours** | 3.00 | 1.50 (1.50-1.50) |"
  shows "| kernel | 6.1 |"
  shows "## Tried"
end)

case("the table of the README is renewed between its markers, and nothing else", function()
  local before = "# Top\n<!-- written by tests/bench/run: begin -->"
  local after = "<!-- written by tests/bench/run: end -->\nbelow\n"
  local summary = results_page.summary(sample_data())
  local once = results_page.insert(before .. "\n\nold\n\n" .. after, summary)
  equal(once, before .. "\n\n" .. summary .. "\n" .. after)
  equal(results_page.insert(once, summary), once)
  equal(results_page.insert("# no markers", summary), nil)
end)

local failed = false
print("1.." .. #cases)
for i, each in ipairs(cases) do
  local good, message = xpcall(each.test, debug.traceback)
  failed = failed or not good
  print(("%s %d - %s"):format(good and "ok" or "not ok", i, each.title))
  if not good then
    print("# " .. message:gsub("\n", "\n# "))
  end
end
os.exit(failed and 1 or 0)
