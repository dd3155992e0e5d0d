-- SPDX-License-Identifier: MIT
-- With the option cork, many small sends in a row cost no more than hiredis takes for them: 1,000
-- connections with 16 commands under way each, CPU time for each answer, the two in turns.
-- usage: luajit test-pipeline.lua OURS HIREDIS
local lu = require "luaunit"
local harness = require "scripts.harness"
local servers = require "scripts.servers"

local cases = harness.cases "Pipeline"

local ROUNDS, ANSWERS = 5, 200000

local function median(list)
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

function cases.a_loop_of_sends_with_cork_is_at_least_as_fast_as_hiredis()
  local port = servers.redis { maxclients = 2000 }
  local costs = { {}, {} }
  for round = 1, ROUNDS do
    for turn = 1, 2 do
      local which = (round + turn) % 2 + 1
      local run = harness.run(arg[which], { port, ANSWERS })
      lu.assertEquals(run.code, 0, arg[which] .. " " .. run.errors())
      table.insert(costs[which], assert(tonumber(run.output())))
    end
  end
  local ours, hiredis = median(costs[1]), median(costs[2])
  print(("# ours %.0f ns, hiredis %.0f ns for each answer"):format(ours, hiredis))
  if ours > hiredis then error(("%.0f ns, hiredis %.0f ns"):format(ours, hiredis)) end
end

harness.main(cases, 120)
