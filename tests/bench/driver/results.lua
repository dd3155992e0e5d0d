-- SPDX-License-Identifier: MIT
-- Writes what was measured as RESULTS.md with its charts, and the main table into README.md between
-- its two markers. What it is given: results (driver/report.lua), wheel, late_ms and counts
-- (driver/extras.lua), facts (driver/facts.lua), size, and notes, the text of notes.md.
local chart = require "driver.chart"
local report = require "driver.report"

local M = {}

local INTRODUCTION = [[
# Results

Written by `tests/bench/run`; do not edit. What is measured and how: [README.md](README.md). What
was tried, and what it gave: the end of this page.

The figure to compare is the *client's CPU time per operation*, kernel included, and its ratio to
the floor, a hand-tuned edge-triggered epoll client in C: the median of the ratios of neighbouring
runs, with the least and the greatest. All clients do the same verified work with the same server.
]]

local LATE_GOAL_MS = 10

local function find(list, key, value)
  for _, entry in ipairs(list) do
    if entry[key] == value then
      return entry
    end
  end
  return nil
end

local function table_row(cells)
  return "| " .. table.concat(cells, " | ") .. " |"
end

local function add_table(lines, heads, rows)
  if #rows == 0 then
    return
  end
  lines[#lines + 1] = table_row(heads)
  lines[#lines + 1] = "|" .. ("---|"):rep(#heads)
  for _, row in ipairs(rows) do
    lines[#lines + 1] = table_row(row)
  end
  lines[#lines + 1] = ""
end

local function add_section(lines, title)
  lines[#lines + 1] = "## " .. title
  lines[#lines + 1] = ""
end

-- ---- goals ----

local VERDICTS = { reached = "goal reached", kept = "limit kept", missed = "**missed**" }

local function aim_row(title, through, aim, unit)
  local function show(value)
    return report.significant(value) .. unit
  end
  return {
    title,
    through,
    show(aim.found),
    show(aim.goal),
    show(aim.must),
    VERDICTS[report.verdict(aim)],
  }
end

-- From 1,000 to 19,000 connections a message may get dearer no more than the floor's does.
local function growth_rows(rows, results)
  local few = find(results, "workload", "pingpong-1000")
  local many = find(results, "workload", "pingpong-19000")
  for _, name in ipairs { "tcpmulti-c", "tcpmulti-lua" } do
    local ours_few = few and find(few.rows, "competitor", name)
    local ours_many = many and find(many.rows, "competitor", name)
    if ours_few and ours_many and ours_few.ratio and ours_many.ratio then
      local found = ours_many.ratio.median / ours_few.ratio.median
      local aim = { found = found, goal = 1, must = 1 }
      local title = "growth from 1000 to 19000 connections, by the floor's"
      rows[#rows + 1] = aim_row(title, ours_few.title, aim, "")
    end
  end
end

-- The unit of a figure, after it.
local AIM_UNITS = { ratio = "", cost = " %s", above = " %s above the floor" }
-- Of a figure that compares a row with another one than the floor: what joins their titles, unit.
local JOINTS = { ratio = " / ", above = " - " }
local UNITS_BY = { ratio = "", above = " %s" }

-- Whose aim it is, and the unit of its figures.
local function describe_aim(row, unit)
  local kind, by = row.aim.kind, row.aim.by
  if by then
    local of_lua = row.aim.of == "lua_bytes" and ", memory of Lua" or ""
    return row.title .. JOINTS[kind] .. by .. of_lua, UNITS_BY[kind]:format(unit)
  end
  return row.title, AIM_UNITS[kind]:format(unit)
end

local function aim_rows(data)
  local rows = {}
  for _, result in ipairs(data.results) do
    for _, row in ipairs(result.rows) do
      if row.aim then
        local through, unit = describe_aim(row, result.unit)
        rows[#rows + 1] = aim_row(result.workload, through, row.aim, unit)
      end
    end
  end
  growth_rows(rows, data.results)
  if data.late_ms then
    local aim = { found = data.late_ms, goal = LATE_GOAL_MS, must = LATE_GOAL_MS }
    rows[#rows + 1] = aim_row("wheel: 1000000 deadlines armed, late at most", "core", aim, " ms")
  end
  return rows
end

local function add_aims(lines, data)
  add_section(lines, "What is to be reached")
  lines[#lines + 1] = "A figure without a unit is a ratio, to the floor if there is no other title."
  lines[#lines + 1] = ""
  local heads = { "workload", "through", "found", "goal", "at most", "" }
  add_table(lines, heads, aim_rows(data))
end

-- ---- workloads ----

local function client_cell(row)
  local title = row.competitor:find "^tcpmulti" and "**" .. row.title .. "**" or row.title
  if row.share < 1 then
    title = ("%s (1/%.0f of the work)"):format(title, 1 / row.share)
  end
  return title
end

local function rate(value)
  for _, step in ipairs { { 1e9, " G" }, { 1e6, " M" }, { 1e3, " k" } } do
    if value >= step[1] then
      return ("%.3g%s"):format(value / step[1], step[2])
    end
  end
  return ("%.3g"):format(value)
end

local function describe_load(row)
  if row.p99_alone_us then
    return report.latency_text(row)
  elseif row.lua_bytes then
    return ("%.0f of these are Lua's"):format(row.lua_bytes)
  elseif row.saturated then
    local words = "client %.0f %% busy, %.0f %% of it in user space; server %.0f %%; saturated: %s"
    return words:format(
      row.client_busy * 100,
      row.user_share * 100,
      row.server_busy * 100,
      row.saturated
    )
  end
  return ""
end

local function remark(row, unit)
  local beside = report.beside_text(row, unit)
  return beside and ("**%s**; %s"):format(beside, describe_load(row)) or describe_load(row)
end

local function add_workload(lines, result)
  lines[#lines + 1] = "### " .. result.workload
  lines[#lines + 1] = ""
  lines[#lines + 1] = result.title .. "."
  lines[#lines + 1] = ""
  local rows = {}
  for i, row in ipairs(result.rows) do
    rows[i] = {
      client_cell(row),
      report.significant(row.cost.median),
      report.ratio_text(row.ratio),
      row.operations_per_s and rate(row.operations_per_s) or "-",
      ("%d"):format(row.rounds),
      remark(row, result.unit),
    }
  end
  add_table(lines, { "client", result.unit, "ratio", "operations/s", "rounds", "" }, rows)
end

-- ---- the wheel, the counts ----

local function add_wheel(lines, data)
  if #data.wheel == 0 then
    return
  end
  add_section(lines, "The timing wheel alone")
  lines[#lines + 1] = "![cost of a timer by the number of timers](wheel.svg)"
  lines[#lines + 1] = ""
  lines[#lines + 1] = [[
A timer picked at random among so many is armed anew for another random time, all of them are
cancelled in the order of their addresses. The work is the same for any number; what grows is how
often a timer and its neighbours are in no cache of the processor.
]]
  local rows = {}
  for i, point in ipairs(data.wheel) do
    rows[i] = {
      ("%.0f"):format(point.count),
      report.significant(point.arm_ns),
      report.significant(point.cancel_ns),
    }
  end
  add_table(lines, { "timers", "ns to arm", "ns to cancel" }, rows)
  if data.late_ms then
    local words =
      "With 1000000 deadlines armed, spread over 300 s, none fires more than %.1f ms late."
    lines[#lines + 1] = words:format(data.late_ms)
    lines[#lines + 1] = ""
  end
end

local function add_counts(lines, data)
  if #data.counts == 0 then
    return
  end
  add_section(lines, "Instructions, allocations and system calls")
  lines[#lines + 1] = [[
For each operation, in user space, libuv and Lua included: counted by callgrind and strace, so that
these hardly depend on the machine. `budgets.txt` keeps ours from growing.
]]
  local rows = {}
  for i, counted in ipairs(data.counts) do
    rows[i] = {
      (counted.workload:gsub("^count%-", "")),
      counted.title,
      ("%.0f"):format(counted.cost),
      ("%.2f"):format(math.abs(counted.allocations)),
      ("%.2f"):format(math.abs(counted.system_calls)),
      (counted.calls:gsub(";", ",")),
    }
  end
  local heads = { "work", "client", "instructions", "allocations", "system calls", "which" }
  add_table(lines, heads, rows)
end

local function add_facts(lines, data)
  add_section(lines, "Machine and versions")
  local rows = {}
  for i, fact in ipairs(data.facts) do
    rows[i] = { fact[1], fact[2] }
  end
  add_table(lines, { "", "" }, rows)
end

-- The whole page.
function M.render(data)
  local lines = { INTRODUCTION }
  if data.size ~= "full" then
    lines[#lines + 1] = "**This was a quick run: its figures are rough.**\n"
  end
  lines[#lines + 1] = "![ratios to the floor](ratios.svg)\n"
  add_aims(lines, data)
  add_section(lines, "Workloads")
  for _, result in ipairs(data.results) do
    add_workload(lines, result)
  end
  add_wheel(lines, data)
  add_counts(lines, data)
  add_facts(lines, data)
  lines[#lines + 1] = data.notes or ""
  return (table.concat(lines, "\n"):gsub("\n\n\n+", "\n\n"):gsub("%s*$", "\n"))
end

-- ---- the README ----

local SHOWN = { "floor", "libuv", "tcpmulti-c", "tcpmulti-lua", "tcpmulti-co", "luv", "cqueues",
  "node", "go", "wrk", "poe" }
local EMPHASIZED = { ["tcpmulti-lua"] = true, ["tcpmulti-co"] = true }

local function cost_cell(result, name)
  local row = find(result.rows, "competitor", name)
  if not row then
    return "-"
  end
  local cost = report.significant(row.cost.median)
  if row.ratio and name ~= "floor" then
    cost = ("%s [%.2f]"):format(cost, row.ratio.median)
  end
  return EMPHASIZED[name] and "**" .. cost .. "**" or cost
end

-- A line for each workload, costs with their ratios to the floor.
local function add_costs(lines, results)
  local heads, shown = { "" }, {}
  for _, name in ipairs(SHOWN) do
    for _, result in ipairs(results) do
      local row = find(result.rows, "competitor", name)
      if row then
        heads[#heads + 1] = row.title
        shown[#shown + 1] = name
        break
      end
    end
  end
  local rows = {}
  for i, result in ipairs(results) do
    rows[i] = { ("%s, %s"):format(result.workload, result.unit) }
    for _, name in ipairs(shown) do
      rows[i][#rows[i] + 1] = cost_cell(result, name)
    end
  end
  add_table(lines, heads, rows)
end

-- The main table. Workloads that only show a detail are left to the page.
function M.summary(data)
  local list, lines = {}, {}
  for _, result in ipairs(data.results) do
    list[#list + 1] = not result.detail and result or nil
  end
  add_costs(lines, list)
  return table.concat(lines, "\n")
end

local BEGIN = "<!-- written by tests/bench/run: begin -->"
local END = "<!-- written by tests/bench/run: end -->"

-- `readme` with `summary` between the markers, or nil when it has none.
function M.insert(readme, summary)
  local _, from = readme:find(BEGIN, 1, true)
  local to = readme:find(END, from or 1, true)
  if not from or not to then
    return nil
  end
  return readme:sub(1, from) .. "\n\n" .. summary .. "\n" .. readme:sub(to)
end

local function write_file(path, content)
  local file = assert(io.open(path, "w"))
  file:write(content)
  file:close()
end

function M.write(folder, data)
  write_file(folder .. "/RESULTS.md", M.render(data))
  write_file(folder .. "/ratios.svg", chart.ratios(data.results))
  if #data.wheel > 1 then
    write_file(folder .. "/wheel.svg", chart.wheel(data.wheel))
  end
end

-- Puts the main table into a README that has the markers.
function M.write_readme(path, data)
  local file = io.open(path)
  local readme = file and file:read "*a"
  if file then
    file:close()
  end
  local changed = readme and M.insert(readme, M.summary(data))
  if changed then
    write_file(path, changed)
  end
end

return M
