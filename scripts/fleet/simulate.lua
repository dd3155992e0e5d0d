-- SPDX-License-Identifier: MIT
-- simulate.lua: how a plan divides over a fleet, without a connection: the balance of its parts,
-- whole hosts, and the time to plan.
--
-- usage: tcpmulti-lua scripts/fleet/simulate.lua [PROCESSES [TARGET...]]
--
--   $ tcpmulti-lua scripts/fleet/simulate.lua 1000 10.0.0.0/8:1-60
--   1006632960 targets of 16777216 hosts, planned in 0.8 ms
--   1000 processes: 1006620 to 1006680 targets each, 0.006 % apart
--   10000 of 10000 hosts are whole
local targets = require "tcpmulti.targets"

local SAMPLE = 10000

local processes = tonumber(arg[1] or 1000)
local words = { unpack(arg, 2) }
if #words == 0 then words[1] = "10.0.0.0/8:1-60" end

local start = os.clock()
local plan = assert(targets.plan({ { words = words } }, { exclude = {} }))
print(("%.0f targets of %.0f hosts, planned in %.1f ms"):format(plan.total, plan.hosts,
  (os.clock() - start) * 1e3))

local least, most, sum = math.huge, 0, 0
for j = 0, processes - 1 do
  local total = plan:walker(j, processes).total
  least, most, sum = math.min(least, total), math.max(most, total), sum + total
end
assert(sum == plan.total, "the parts do not add up")
print(("%d processes: %.0f to %.0f targets each, %.3f %% apart"):format(processes, least, most,
  (most - least) / most * 100))

-- A host is whole if one process owns all of its targets, which are numbered one after the other.
local function is_whole(walker, g)
  local host, owner = plan:target(g), walker:owner(g, processes)
  repeat
    g = g + 1
    if g < plan.total and plan:target(g) == host and walker:owner(g, processes) ~= owner then
      return false
    end
  until g >= plan.total or plan:target(g) ~= host
  return true
end

local walker, whole, hosts = plan:walker(0, 1), 0, math.min(SAMPLE, plan.hosts)
for _ = 1, hosts do
  if is_whole(walker, (walker:next())) then whole = whole + 1 end
end
print(("%d of %d hosts are whole"):format(whole, hosts))
