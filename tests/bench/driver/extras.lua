-- SPDX-License-Identifier: MIT
-- What is measured without a server or without time: the timing wheel alone, and the counts per
-- operation. Both become rounds of workloads of their own, so that a resumed run knows them.
local counts = require "driver.counts"
local json = require "driver.json"
local plan = require "driver.plan"

local M = {}

M.WHEEL_COUNTS = { 1000, 3162, 10000, 31623, 100000, 316228, 1000000 }
M.COUNTED = { ["floor"] = true, ["libuv"] = true, ["tcpmulti-c"] = true, ["tcpmulti-lua"] = true }

local function run_wheel(setting, arguments)
  local pin = setting.cores and "taskset -c " .. setting.cores.client .. " " or ""
  local pipe = io.popen(("%s'%s/bench-wheel' %s"):format(pin, setting.paths.programs, arguments))
  local figures = json.decode(pipe:read "*l")
  pipe:close()
  return figures or error("no figures from bench-wheel " .. arguments, 0)
end

local function measure_wheel(setting, rounds, name, arguments, key)
  if rounds:known(name, "wheel", 1) then
    return
  end
  local figures = run_wheel(setting, arguments)
  figures.workload, figures.competitor, figures.round = name, "wheel", 1
  figures.cost = figures[key]
  rounds:add(figures)
  io.stderr:write(("%-18s %.4g\n"):format(name, figures.cost))
end

function M.measure_wheel(setting, rounds)
  for _, count in ipairs(M.WHEEL_COUNTS) do
    measure_wheel(setting, rounds, "wheel-" .. count, ("%.0f"):format(count), "arm_ns")
  end
  measure_wheel(setting, rounds, "wheel-late", "late 1000000", "late_ms")
end

-- The largest first; those that hardly ever come are left out.
local function describe_calls(calls)
  local names = {}
  for name, value in pairs(calls) do
    if value >= 0.05 then
      names[#names + 1] = name
    end
  end
  table.sort(names, function(a, b)
    return calls[a] > calls[b] or calls[a] == calls[b] and a < b
  end)
  for i, name in ipairs(names) do
    names[i] = ("%s %.1f"):format(name, calls[name])
  end
  return names[1] and table.concat(names, "; ") or "fewer than 0.05"
end

local function count_once(setting, rounds, workload, competitor)
  local name = "count-" .. workload.name
  if rounds:known(name, competitor.name, 1) then
    return
  end
  local size = setting.size
  local good, found = pcall(counts.count, setting, workload, competitor)
  setting.size, setting.prefix = size, nil
  if not good then
    io.stderr:write("FAILED: ", found, "\n")
    return
  end
  rounds:add {
    workload = name,
    competitor = competitor.name,
    round = 1,
    cost = found.instructions,
    allocations = found.allocations,
    system_calls = found.system_calls,
    calls = describe_calls(found.calls),
  }
  io.stderr:write(
    ("%-18s %-12s %.0f instructions\n"):format(name, competitor.name, found.instructions)
  )
end

-- Nothing without valgrind and strace.
function M.measure_counts(setting, rounds, competitors)
  local missing = counts.missing()
  if missing then
    print(missing .. " is not installed: instructions and system calls are not counted")
    return
  end
  for _, workload in ipairs(counts.WORKLOADS) do
    for _, competitor in ipairs(competitors) do
      local possible = plan.takes_part(workload, competitor) and plan.is_built(setting, workload)
      if M.COUNTED[competitor.name] and possible then
        count_once(setting, rounds, workload, competitor)
      end
    end
  end
end

-- Of all wheels measured: { { count =, arm_ns =, cancel_ns = }... } and how late at most, or nil.
function M.wheel_results(done)
  local list = {}
  for _, count in ipairs(M.WHEEL_COUNTS) do
    local rounds = done["wheel-" .. count]
    list[#list + 1] = rounds and rounds.wheel[1]
  end
  return list, done["wheel-late"] and done["wheel-late"].wheel[1].late_ms
end

-- { { workload =, competitor =, title =, cost =, allocations =, system_calls =, calls = }... }
function M.count_results(done, competitors)
  local list = {}
  for _, workload in ipairs(counts.WORKLOADS) do
    for _, competitor in ipairs(competitors) do
      local rounds = done["count-" .. workload.name]
      local figures = rounds and rounds[competitor.name] and rounds[competitor.name][1]
      if figures then
        figures.title = competitor.title
        list[#list + 1] = figures
      end
    end
  end
  return list
end

return M
