-- SPDX-License-Identifier: MIT
-- Turns the rounds into figures: per workload and competitor the median cost, its ratio to the
-- floor by pairs, and which side was busy; prints them as a table.
local plan = require "driver.plan"
local statistics = require "driver.statistics"

local M = {}

-- A side that works nine tenths of the time is what holds the run back.
local BUSY = 0.9

local function column(rounds, key)
  local values = {}
  for _, figures in pairs(rounds) do
    values[#values + 1] = type(key) == "function" and key(figures) or figures[key]
  end
  return values
end

local function client_busy(figures)
  return (figures.cpu_user_s + figures.cpu_system_s) / figures.wall_s
end

local function saturated(client, server)
  if client >= BUSY then
    return "client"
  end
  return server >= BUSY and "server" or "neither"
end

local function costs_by_round(rounds)
  local costs = {}
  for round, figures in pairs(rounds or {}) do
    costs[round] = figures.cost
  end
  return costs
end

local function add_speed(row, rounds)
  row.user_share = statistics.median(column(rounds, function(figures)
    return figures.cpu_user_s / (figures.cpu_user_s + figures.cpu_system_s)
  end))
  row.operations_per_s = statistics.median(column(rounds, function(figures)
    return figures.operations / figures.wall_s
  end))
  row.client_busy = statistics.median(column(rounds, client_busy))
  row.server_busy = statistics.median(column(rounds, "server_busy"))
  row.saturated = saturated(row.client_busy, row.server_busy)
end

local LATENCIES = { "p50_alone_us", "p99_alone_us", "p50_beside_us", "p99_beside_us", "late_ms" }

-- What a mixed load tells besides its cost.
local function add_latencies(row, rounds)
  for _, name in ipairs(LATENCIES) do
    row[name] = statistics.median(column(rounds, name))
  end
end

-- The ratio of two competitors by pairs, or nil. Both are figures by round.
local function ratio_of(rounds, other_rounds)
  return statistics.spread(statistics.ratios(costs_by_round(rounds), costs_by_round(other_rounds)))
end

-- What a row has above another one: of cost, or of Lua's memory alone.
local function above(of, rounds, other_rounds, connections)
  local mine = statistics.median(column(rounds, of))
  local other = statistics.median(column(other_rounds or {}, of))
  return other and (mine - other) / (of == "lua_bytes" and connections or 1)
end

local function title_of(competitors, name)
  for _, competitor in ipairs(competitors) do
    if competitor.name == name then
      return competitor.title
    end
  end
  return nil
end

-- What ours has to reach at this workload, and what it did reach; beside the floor, or beside the
-- one that the aim names.
local function add_aim(row, workload, by_name, competitors)
  local aim = workload.aims[row.competitor]
  local rounds, other = by_name[row.competitor], by_name[aim.by or competitors[1].name]
  local ratio = ratio_of(rounds, other)
  local found
  if aim.kind == "above" then
    found = above(aim.of or "cost", rounds, other, workload.connections)
  elseif aim.kind == "ratio" then
    found = ratio and ratio.median
  else
    found = row.cost.median
  end
  if found then
    row.aim = { kind = aim.kind, must = aim.must, goal = aim.goal, found = found, ratio = ratio }
    row.aim.by, row.aim.of = aim.by and title_of(competitors, aim.by), aim.of
  end
end

-- One row, or nil when there is no round of it. `by_name`: of each competitor figures by round.
local function summarize(workload, competitor, by_name, competitors)
  local rounds = by_name[competitor.name]
  local spread = statistics.spread(column(rounds or {}, "cost"))
  if not spread then
    return nil
  end
  local row = {
    competitor = competitor.name,
    title = competitor.title,
    share = plan.share(workload, competitor),
    rounds = #column(rounds, "cost"),
    cost = spread,
    ratio = not workload.memory and ratio_of(rounds, by_name[competitors[1].name]) or nil,
  }
  if workload.memory then
    row.lua_bytes = column(rounds, "lua_bytes")[1]
    row.lua_bytes = row.lua_bytes and row.lua_bytes / workload.connections
  else
    add_speed(row, rounds)
    add_latencies(row, rounds)
  end
  if workload.aims and workload.aims[competitor.name] then
    add_aim(row, workload, by_name, competitors)
  end
  return row
end

-- `done[workload][competitor][round]`: figures. Workloads of which nothing is there are left out.
function M.summarize(workloads, competitors, done)
  local results = {}
  for _, workload in ipairs(workloads) do
    local by_name = done[workload.name] or {}
    local rows = {}
    for _, competitor in ipairs(competitors) do
      rows[#rows + 1] = summarize(workload, competitor, by_name, competitors)
    end
    if rows[1] then
      results[#results + 1] =
        {
          workload = workload.name,
          title = workload.title,
          unit = workload.unit,
          memory = workload.memory,
          detail = workload.detail,
          rows = rows,
        }
    end
  end
  return results
end

function M.significant(value)
  if value >= 100 then
    return ("%.0f"):format(value)
  end
  return (value >= 10 and "%.1f" or value >= 1 and "%.2f" or "%.3f"):format(value)
end

function M.ratio_text(ratio)
  if not ratio then
    return "-"
  end
  return ("%.2f (%.2f-%.2f)"):format(ratio.median, ratio.min, ratio.max)
end

-- Of a mixed load.
function M.latency_text(row)
  local text = ("p50 %.0f and p99 %.0f µs alone, %.0f and %.0f beside"):format(
    row.p50_alone_us,
    row.p99_alone_us,
    row.p50_beside_us,
    row.p99_beside_us
  )
  return row.late_ms and ("%s, alarms %.1f ms late"):format(text, row.late_ms) or text
end

-- How a row compares with the other one that its aim names; nil when it names none.
function M.beside_text(row, unit)
  if not (row.aim and row.aim.by) then
    return nil
  elseif row.aim.kind == "ratio" then
    return ("%s of %s"):format(M.ratio_text(row.aim.ratio), row.aim.by)
  end
  local of_lua = row.aim.of == "lua_bytes" and " of Lua's" or ""
  return ("%s %s%s above %s"):format(M.significant(row.aim.found), unit, of_lua, row.aim.by)
end

-- "reached" when the goal is, "kept" when what must be is, else "missed".
function M.verdict(aim)
  if aim.found <= aim.goal then
    return "reached"
  end
  return aim.found <= aim.must and "kept" or "missed"
end

-- "µ" is two bytes wide and one character, so the padding is counted by hand.
local function pad(text, width)
  local _, continuation_bytes = text:gsub("[\128-\191]", "")
  return text .. (" "):rep(width - #text + continuation_bytes)
end

local function print_row(row, unit, output)
  local part = row.share < 1 and (" (1/%g of the work)"):format(1 / row.share) or ""
  local title = "  " .. row.title .. part
  local text = pad(title, 48)
    .. pad(M.significant(row.cost.median) .. " " .. unit, 22)
    .. pad(M.ratio_text(row.ratio), 20)
  if row.p99_alone_us then
    text = text .. M.latency_text(row)
  elseif row.client_busy then
    text = text
      .. ("user %2.0f %%, client %3.0f %%, server %3.0f %% busy, saturated: %s"):format(
        row.user_share * 100,
        row.client_busy * 100,
        row.server_busy * 100,
        row.saturated
      )
  elseif row.lua_bytes then
    text = text .. ("of these %.0f Lua's"):format(row.lua_bytes)
  end
  local beside = M.beside_text(row, unit)
  text = beside and text .. "; " .. beside or text
  output:write(text:gsub("%s+$", ""), "\n")
end

function M.print(results, output)
  for _, result in ipairs(results) do
    output:write("\n", result.title, "\n")
    for _, row in ipairs(result.rows) do
      print_row(row, result.unit, output)
    end
  end
end

return M
