-- SPDX-License-Identifier: MIT
-- What the driver of the benchmark promises, apart from figures: a run whose client has not done
-- its work does not count, ratios are taken by pairs, what was measured is not measured again.
--   test-driver.lua DIRECTORY_OF_BENCH_PROGRAMS
local directory = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = directory .. "/?.lua;" .. package.path

local lu = require "luaunit"
local suite = require "cases"

local budgets = require "driver.budgets"
local everyone = require "competitors"
local workloads = require "workloads"
local counts = require "driver.counts"
local json = require "driver.json"
local plan = require "driver.plan"
local process = require "driver.process"
local report = require "driver.report"
local results_page = require "driver.results"
local rounds_file = require "driver.rounds"
local statistics = require "driver.statistics"

local cases = suite.cases "Driver"

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
  paths = {
    programs = arg[1],
    runner = arg[1] .. "/../../lua/tcpmulti-lua",
    made = arg[1],
    clients = directory .. "/clients",
  },
}

local function succeeds(command)
  return os.execute(command .. " >/dev/null 2>&1") == 0
end

-- Competitors that know TLS and are installed, ready to run; not the floor, not ours.
local function foreign_clients()
  local list = {}
  for _, competitor in ipairs(everyone) do
    local needs = { competitor.needs, competitor.needs_tls }
    local fits = competitor.tls and not competitor.only_where_named
    if fits and needs[1] and succeeds(table.concat(needs, " && ")) then
      local build = competitor.build and competitor.build(SETTING.paths)
      assert(not build or os.execute(build) == 0, build)
      list[#list + 1] = competitor
    end
  end
  return list
end

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

function cases.a_client_that_has_done_its_work_counts_and_its_cost_is_time_per_operation()
  local figures = assert(plan.measure(SETTING, WORKLOAD, claiming(1000, 64000, 0)))
  lu.assertEquals(figures.cost, 2000)
end

function cases.a_client_that_did_too_little_received_too_little_or_met_errors_does_not_count()
  for _, competitor in ipairs { claiming(999, 64000, 0), claiming(1000, 63999, 0) } do
    lu.assertEquals(plan.measure(SETTING, WORKLOAD, competitor), nil)
  end
  lu.assertEquals(plan.measure(SETTING, WORKLOAD, claiming(1000, 64000, 1)), nil)
end

function cases.handshakes_resume_where_the_workload_says_so_and_only_there()
  local function measure(resumed, resume)
    local claim = claiming(1000, 64000, 0)
    local command = claim.command
    claim.command = function()
      local words = command()
      words[3] = words[3]:gsub('"errors"', '"resumed":' .. resumed .. ',"errors"')
      return words
    end
    local workload = setmetatable({ resume = resume }, { __index = WORKLOAD })
    return plan.measure(SETTING, workload, claim) ~= nil
  end
  lu.assertEquals({ measure(0), measure(1) }, { true, false })
  lu.assertEquals({ measure(990, true), measure(989, true) }, { true, false })
end

function cases.a_client_that_says_nothing_does_not_count()
  local silent = {
    command = function()
      return { "false" }
    end,
  }
  lu.assertEquals(plan.measure(SETTING, WORKLOAD, silent), nil)
end

function cases.what_a_library_does_is_compared_on_one_release_only()
  local of_library, plain = { of_library = true }, {}
  lu.assertEquals(#budgets.kinds_on("12", of_library), 3)
  lu.assertEquals({ #budgets.kinds_on("13", of_library), #budgets.kinds_on("13", plain) }, { 0, 2 })
end

function cases.where_the_peer_sets_the_pace_system_calls_are_no_budget()
  lu.assertEquals(budgets.kinds_on("12", { paced = true }), { "instructions", "allocations" })
end

function cases.connects_to_numbers_to_new_names_and_to_a_known_name_are_a_work_too()
  for _, workload in ipairs(counts.WORKLOADS) do
    if workload.programs and plan.is_built(SETTING, workload) then
      local small = setmetatable({ operations = { full = 200 } }, { __index = workload })
      local figures, message = plan.measure(SETTING, small, { name = "tcpmulti-c" })
      lu.assertEquals(message, nil)
      lu.assertEquals({ figures.operations, figures.errors }, { 200, 0 })
    end
  end
end

function cases.floor_libuv_and_ours_do_the_work_of_every_kind()
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
end

local TLS = { tls = true, work = "pingpong", server = "echo" }

-- A little of each kind of work that all know.
local function small_works(tls)
  local works_of_all = {
    { work = "storm", server = "echo", connections = 10, all = 50 },
    { work = "pingpong", server = "echo", connections = 10, all = 500 },
    { work = "idle", server = "hold", connections = 10, memory = true },
    { work = "bulk", server = "bulk", connections = 2, all = 3000000 },
  }
  for _, workload in ipairs(works_of_all) do
    workload.tls, workload.name, workload.scale = tls, workload.work, 1
    workload.operations = { full = workload.all }
  end
  return works_of_all
end

local function measure_small(client, work, server, connections, all, resume)
  assert(plan.measure(SETTING, {
    tls = true,
    name = work,
    work = work,
    server = server,
    connections = connections,
    operations = { full = all },
    resume = resume,
    scale = 1,
  }, client))
end

-- "bench-tls-floor" and ours, if the library has TLS.
local function tls_clients()
  local list = {}
  for _, name in ipairs(plan.is_built(SETTING, TLS) and { "tls-floor", "tcpmulti" } or {}) do
    list[#list + 1] = {
      name = name,
      command = function(paths)
        return { paths.programs .. "/bench-" .. name }
      end,
    }
  end
  return list
end

function cases.the_floor_and_ours_do_the_work_of_every_kind_under_tls()
  for _, client in ipairs(tls_clients()) do
    for _, workload in ipairs(small_works(true)) do
      assert(plan.measure(SETTING, workload, client))
    end
  end
end

function cases.the_floor_and_ours_send_in_bulk_and_resume_sessions_under_tls()
  for _, client in ipairs(tls_clients()) do
    measure_small(client, "upload", "take", 2, 3000000)
    measure_small(client, "storm", "echo", 4, 50, true)
    measure_small(client, "storm", "echo-1.2", 4, 50, true)
  end
end

function cases.competitors_do_the_work_of_every_kind_under_tls()
  for _, client in ipairs(plan.is_built(SETTING, TLS) and foreign_clients() or {}) do
    for _, workload in ipairs(small_works(true)) do
      assert(plan.measure(SETTING, workload, client))
    end
  end
end

function cases.competitors_do_the_work_of_every_kind_without_tls()
  local lines = { name = "lines", work = "lines", server = "lines", connections = 2, scale = 1 }
  lines.operations = { full = 50000 }
  for _, client in ipairs(foreign_clients()) do
    for _, workload in ipairs(small_works()) do
      assert(plan.measure(SETTING, workload, client))
    end
    assert(plan.measure(SETTING, lines, client))
  end
end

-- A workload with little to do.
local function small(workload, connections, operations)
  return setmetatable({
    connections = math.min(workload.connections, connections),
    operations = { full = operations },
  }, { __index = workload })
end

local function each_of_tasks(visit)
  for _, workload in ipairs(workloads) do
    if workload.tasks then
      visit(small(workload, 10, 2000))
    end
  end
end

local function take_part_in(workload)
  local list = {}
  for _, competitor in ipairs(everyone) do
    local installed = not competitor.needs or succeeds(competitor.needs)
    if installed and plan.takes_part(workload, competitor) then
      list[#list + 1] = competitor
    end
  end
  return list
end

function cases.Y123_tasks_and_all_beside_them_do_the_work_of_tasks()
  local clients, built = 0, {}
  each_of_tasks(function(workload)
    for _, client in ipairs(take_part_in(workload)) do
      if client.build and not built[client.name] then
        assert(os.execute(client.build(SETTING.paths)) == 0)
        built[client.name] = true
      end
      local figures, message = plan.measure(SETTING, workload, client)
      lu.assertEquals(message, nil)
      assert(figures.operations > 0)
      clients = clients + 1
    end
  end)
  assert(clients >= 25, clients)
end

function cases.Y123_tasks_have_limits_and_goals_beside_handlers()
  local by = {}
  each_of_tasks(function(workload)
    local aim = workload.aims and workload.aims["tcpmulti-co"]
    if aim then
      assert(aim.goal < aim.must)
      by[aim.by or "nobody"] = (by[aim.by or "nobody"] or 0) + 1
    end
  end)
  lu.assertEquals(by, { ["tcpmulti-lua"] = 6, nobody = 2 })
end

function cases.jobs_and_all_beside_them_read_the_banner_of_each_host()
  local clients = 0
  for _, workload in ipairs(workloads) do
    for _, client in ipairs(workload.work == "banner" and take_part_in(workload) or {}) do
      local figures, message = plan.measure(SETTING, small(workload, 10, 400), client)
      lu.assertEquals(message, nil)
      assert(figures.operations > 0 and figures.operations <= 400)
      clients = clients + 1
    end
  end
  assert(clients >= 2, clients)
end

function cases.the_floor_ours_and_wrk_get_answers_over_https()
  local workload = { tls = true, work = "http", server = "http", connections = 5, scale = 1 }
  workload.name, workload.operations = "tls-http", { full = 500 }
  local clients = tls_clients()
  for _, competitor in ipairs(everyone) do
    if clients[1] and competitor.name == "wrk" and succeeds(competitor.needs) then
      clients[#clients + 1] = competitor
    end
  end
  for _, client in ipairs(clients) do
    local figures = assert(plan.measure(SETTING, workload, client))
    assert(figures.operations == 500 or client.by_time and figures.operations > 0)
  end
end

function cases.a_client_that_works_by_time_counts_with_what_it_did_if_the_bytes_fit_it()
  local by_time, short, none = claiming(7, 448, 0), claiming(7, 447, 0), claiming(0, 0, 0)
  by_time.by_time, short.by_time, none.by_time = true, true, true
  lu.assertEquals(assert(plan.measure(SETTING, WORKLOAD, by_time)).operations, 7)
  lu.assertEquals(plan.measure(SETTING, WORKLOAD, short), nil)
  lu.assertEquals(plan.measure(SETTING, WORKLOAD, none), nil)
end

function cases.a_client_under_tls_that_trusts_another_root_has_no_figures()
  local root, other = os.tmpname(), os.tmpname()
  local server = { SETTING.paths.programs .. "/bench-tls-server", "echo" }
  local function measure(path, ...)
    return process.measure(SETTING.cores, { server[1], server[2], path }, { ... })
  end
  local function measure_client(client, trusted)
    local words = client.command(SETTING.paths, TLS)
    for _, word in ipairs { "work=pingpong", "connections=1", "operations=1", "tls=" .. trusted } do
      words[#words + 1] = word
    end
    return measure(root, unpack(words))
  end
  local clients = tls_clients()
  for _, client in ipairs(clients[1] and foreign_clients() or {}) do
    clients[#clients + 1] = client
  end
  for _, client in ipairs(clients) do
    lu.assertEquals(measure(other, "true"), nil)
    local figures, message = measure_client(client, other)
    assert(figures == nil or figures.errors > 0 and figures.operations == 0, message)
    lu.assertEquals(measure_client(client, root).operations, 1)
  end
  os.remove(root)
  os.remove(other)
end

function cases.programs_that_were_not_built_are_known_by_their_absence()
  local nowhere = { paths = { programs = "/nowhere" } }
  lu.assertEquals(plan.is_built(nowhere, WORKLOAD), true)
  lu.assertEquals(plan.is_built(nowhere, TLS), false)
end

function cases.medians_and_ratios_by_pairs()
  lu.assertEquals(statistics.median { 3, 1, 2 }, 2)
  lu.assertEquals(statistics.median { 4, 1, 2, 3 }, 2.5)
  local ratios = statistics.ratios({ 2, 9, 8 }, { 1, 3, [4] = 1 })
  table.sort(ratios)
  lu.assertEquals(#ratios, 2)
  lu.assertEquals(ratios[1], 2)
  lu.assertEquals(ratios[2], 3)
end

function cases.json_comes_back_as_it_was_written()
  local object = json.decode(json.encode { name = "a b", count = 4294967296, share = 0.25 })
  lu.assertEquals(object.name, "a b")
  lu.assertEquals(object.count, 4294967296)
  lu.assertEquals(object.share, 0.25)
  lu.assertEquals(json.decode '{"name":"cut', nil)
  lu.assertEquals(json.encode { text = 'a "b"\n', list = { 1, 2 } },
    [[{"list":[1,2],"text":"a \"b\"\n"}]])
end

function cases.a_resumed_run_knows_what_was_measured_and_only_that()
  local path = os.tmpname()
  local first = rounds_file.open(path, false)
  first:add { workload = "w", competitor = "c", round = 1, cost = 5 }
  first.file:write '{"workload":"w","competitor":"c","round":2,"co'
  first:close()
  local resumed = rounds_file.open(path, true)
  lu.assertEquals(resumed:known("w", "c", 1), true)
  lu.assertEquals(resumed:known("w", "c", 2), false)
  resumed:add { workload = "w", competitor = "c", round = 2, cost = 7 }
  resumed:close()
  local again = rounds_file.open(path, true)
  lu.assertEquals(again.done.w.c[1].cost, 5)
  lu.assertEquals(again.done.w.c[2].cost, 7)
  again:close()
  local fresh = rounds_file.open(path, false)
  lu.assertEquals(fresh:known("w", "c", 1), false)
  fresh:close()
  os.remove(path)
end

function cases.the_report_says_which_side_was_saturated()
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
  lu.assertEquals(busy(0.95, 0.5), "client")
  lu.assertEquals(busy(0.5, 0.95), "server")
  lu.assertEquals(busy(0.5, 0.5), "neither")
end

function cases.allocations_are_counted_by_their_callers_once_each()
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
  lu.assertEquals(found.allocations, 9)
  lu.assertEquals(found.instructions, 123456)
end

function cases.system_calls_are_read_from_the_columns_of_strace()
  local calls = counts.read_strace [[
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000600           3       200           sendto
 40.00    0.000400           3       130        10 read
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000           3       330        10 total
]]
  lu.assertEquals(calls.sendto, 200)
  lu.assertEquals(calls.read, 130)
  lu.assertEquals(calls.total, nil)
end

function cases.budgets_allow_2_more_instructions_and_not_one_more_of_anything_else()
  local function counted(instructions, allocations, system_calls)
    return { instructions = instructions, allocations = allocations, system_calls = system_calls }
  end
  local kinds = budgets.kinds_on(budgets.RELEASE, {})
  local path = os.tmpname()
  local entries = {}
  budgets.renew(entries, "w", "c", counted(1000, 0.0001, 12), kinds, "2026-01-01", "the first")
  budgets.write(path, entries)
  entries = budgets.read(path)
  lu.assertEquals(#entries, 3)
  local function kept(release, client, ...)
    return (budgets.compare(entries, "w", client, counted(...), budgets.kinds_on(release, {})))
  end
  lu.assertEquals(kept("12", "c", 1019, 0, 12.09), true)
  lu.assertEquals(kept("12", "c", 1021, 0, 12), false)
  for _, release in ipairs { "12", "13", "" } do
    lu.assertEquals(kept(release, "c", 1000, 0.01, 12), false)
    lu.assertEquals(kept(release, "c", 1000, 0, 13), false)
    lu.assertEquals(kept(release, "other", 1, 0, 1), false)
  end
  lu.assertEquals(kept("13", "c", 1101, 0, 12), true)
  budgets.renew(entries, "w", "c", counted(1010, 0, 9), kinds, "2026-02-02", "fewer calls")
  lu.assertEquals(entries[1].budget, 1000)
  lu.assertEquals(entries[1].date, "2026-01-01")
  lu.assertEquals(entries[3].budget, 9)
  lu.assertEquals(entries[3].reason, "fewer calls")
  os.remove(path)
end

function cases.a_competitor_is_left_out_where_it_has_no_client_and_of_too_many_connections()
  local slow = { name = "slow", most_connections = 10 }
  lu.assertEquals(plan.takes_part(WORKLOAD, slow), true)
  lu.assertEquals(plan.takes_part({ connections = 11 }, slow), false)
  lu.assertEquals(plan.takes_part({ connections = 1, only = { fast = true } }, slow), false)
  local special = { name = "fast", only_where_named = true }
  lu.assertEquals(plan.takes_part(WORKLOAD, special), false)
  lu.assertEquals(plan.takes_part({ connections = 1, only = { fast = true } }, special), true)
end

function cases.under_tls_a_competitor_takes_part_that_has_a_client_for_it_and_does_its_own_share()
  local plain, secure = { name = "plain", share = 0.1 }, { name = "secure", share = 0.1, tls = 0.5 }
  local workload = setmetatable({ tls = true }, { __index = WORKLOAD })
  lu.assertEquals(plan.takes_part(workload, plain), false)
  lu.assertEquals(plan.takes_part(workload, secure), true)
  lu.assertEquals({ plan.share(WORKLOAD, secure), plan.share(workload, secure) }, { 0.1, 0.5 })
  lu.assertEquals(plan.share(workload, { tls = true }), 1)
  local done = claiming(500, 32000, 0)
  done.tls = 0.5
  assert(not plan.is_built(SETTING, TLS) or plan.measure(SETTING, workload, done))
end

function cases.a_goal_is_reached_its_limit_kept_or_missed()
  lu.assertEquals(report.verdict { found = 1.1, goal = 1.1, must = 1.2 }, "reached")
  lu.assertEquals(report.verdict { found = 1.11, goal = 1.1, must = 1.2 }, "kept")
  lu.assertEquals(report.verdict { found = 1.21, goal = 1.1, must = 1.2 }, "missed")
end

function cases.memory_is_compared_by_what_it_is_above_the_floor()
  local function rounds(cost)
    return { { cost = cost, operations = 1 } }
  end
  local competitors = { { name = "floor", title = "floor" }, { name = "ours", title = "ours" } }
  local aims = { ours = { kind = "above", must = 1024, goal = 512 } }
  local workload = { name = "w", memory = true, connections = 1, unit = "bytes", aims = aims }
  local done = { w = { floor = rounds(24000), ours = rounds(24900) } }
  local results = report.summarize({ workload }, competitors, done)
  lu.assertEquals(results[1].rows[2].aim.found, 900)
  lu.assertEquals(report.verdict(results[1].rows[2].aim), "kept")
  done.w.floor = nil
  lu.assertEquals(report.summarize({ workload }, competitors, done)[1].rows[1].aim, nil)
end

function cases.of_memory_that_of_Lua_alone_can_be_compared()
  local function rounds(cost, lua_bytes)
    return { { cost = cost, lua_bytes = lua_bytes, operations = 1 } }
  end
  local competitors = { { name = "plain", title = "handlers" }, { name = "co", title = "tasks" } }
  local aim = { kind = "above", of = "lua_bytes", by = "plain", must = 150, goal = 50 }
  local workload = { name = "w", title = "w", memory = true, connections = 10, unit = "bytes",
    aims = { co = aim } }
  local done = { w = { plain = rounds(500, 2000), co = rounds(900, 3000) } }
  local row = report.summarize({ workload }, competitors, done)[1].rows[2]
  lu.assertEquals(row.aim.found, 100)
  lu.assertEquals(report.beside_text(row, "bytes"), "100 bytes of Lua's above handlers")
end

function cases.tasks_are_compared_with_handlers_by_ratio_and_by_difference()
  local competitors = { { name = "floor", title = "floor" } }
  competitors[2] = { name = "plain", title = "handlers" }
  competitors[3] = { name = "co", title = "tasks" }
  local function rounds(...)
    local list = {}
    for round, cost in ipairs { ... } do
      list[round] = { cost = cost, operations = 1, cpu_user_s = 1, cpu_system_s = 1, wall_s = 2 }
      list[round].server_busy = 0
    end
    return list
  end
  local function summarize(kind)
    local aims = { co = { kind = kind, by = "plain", must = 5, goal = 1.2 } }
    local workload = { name = "w", title = "w", connections = 1, unit = "µs", aims = aims }
    local done = { w = { floor = rounds(1, 1, 1), plain = rounds(2, 4, 2), co = rounds(3, 5, 6) } }
    return report.summarize({ workload }, competitors, done)
  end
  local function page(results)
    local data = { size = "full", results = results, wheel = {}, counts = {}, facts = {} }
    return results_page.render(data)
  end
  local results = summarize "ratio"
  lu.assertEquals(results[1].rows[3].aim.found, 1.5)
  lu.assertStrContains(page(results), "| w | tasks / handlers | 1.50 | 1.20 | 5.00 | limit kept |")
  lu.assertStrContains(page(results), "**1.50 (1.25-3.00) of handlers**")
  results = summarize "above"
  lu.assertEquals(results[1].rows[3].aim.found, 3)
  lu.assertStrContains(page(results), "| tasks - handlers | 3.00 µs | 1.20 µs | 5.00 µs |")
  lu.assertStrContains(page(results), "**3.00 µs above handlers**")
end

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

function cases.the_page_of_results_shows_each_figure_beside_its_goal()
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
end

function cases.the_table_of_the_readme_is_renewed_between_its_markers_and_nothing_else()
  local before = "# Top\n<!-- written by tests/bench/run: begin -->"
  local after = "<!-- written by tests/bench/run: end -->\nbelow\n"
  local summary = results_page.summary(sample_data())
  local once = results_page.insert(before .. "\n\nold\n\n" .. after, summary)
  lu.assertEquals(once, before .. "\n\n" .. summary .. "\n" .. after)
  lu.assertEquals(results_page.insert(once, summary), once)
  lu.assertEquals(results_page.insert("# no markers", summary), nil)
  lu.assertStrContains(summary, "| small, ")
end

function cases.a_detail_is_on_the_page_of_results_but_not_in_the_readme()
  local data = sample_data()
  data.results[1].detail = true
  lu.assertStrContains(results_page.render(data), "### small")
  lu.assertNotStrContains(results_page.summary(data), "| small, ")
end

suite.main(cases, function(_, body) body() end)
