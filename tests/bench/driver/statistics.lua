-- SPDX-License-Identifier: MIT
-- Medians and ratios by pairs. These machines drift by 15 % within minutes: a figure is compared
-- only with one taken in the same round, right beside it.
local M = {}

-- nil when there is nothing.
function M.median(values)
  if #values == 0 then
    return nil
  end
  local sorted = { unpack(values) }
  table.sort(sorted)
  local middle = #sorted / 2
  if #sorted % 2 == 1 then
    return sorted[middle + 0.5]
  end
  return (sorted[middle] + sorted[middle + 1]) / 2
end

-- Median, least and greatest, or nil when there is nothing.
function M.spread(values)
  if #values == 0 then
    return nil
  end
  return {
    median = M.median(values),
    min = math.min(unpack(values)),
    max = math.max(unpack(values)),
  }
end

-- Quotients of what both have, round by round.
function M.ratios(costs, floor_costs)
  local ratios = {}
  for round, cost in pairs(costs) do
    if floor_costs[round] and floor_costs[round] > 0 then
      ratios[#ratios + 1] = cost / floor_costs[round]
    end
  end
  return ratios
end

return M
