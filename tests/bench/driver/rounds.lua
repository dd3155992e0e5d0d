-- SPDX-License-Identifier: MIT
-- The rounds measured so far. Each is appended to a file at once, one line of JSON, so that a run
-- that was cut off can be resumed; a line that was cut off is measured again.
local json = require "driver.json"

local Rounds = {}
Rounds.__index = Rounds

local M = {}

local function remember(self, figures)
  local workload = self.done[figures.workload] or {}
  self.done[figures.workload] = workload
  local competitor = workload[figures.competitor] or {}
  workload[figures.competitor] = competitor
  competitor[figures.round] = figures
end

local function load_rounds(self, path)
  local file = io.open(path)
  if not file then
    return
  end
  for line in file:lines() do
    local figures = json.decode(line)
    if figures and figures.cost and figures.round then
      remember(self, figures)
    end
  end
  file:close()
end

-- With `resume` what the file holds is known already, else it begins empty.
function M.open(path, resume)
  local self = setmetatable({ done = {} }, Rounds)
  if resume then
    load_rounds(self, path)
  end
  self.file = assert(io.open(path, resume and "a" or "w"))
  self.file:write "\n" -- ends a line that was cut off
  return self
end

function Rounds:known(workload, competitor, round)
  local rounds = self.done[workload] and self.done[workload][competitor]
  return rounds ~= nil and rounds[round] ~= nil
end

-- `figures` with workload, competitor and round.
function Rounds:add(figures)
  remember(self, figures)
  self.file:write(json.encode(figures), "\n")
  self.file:flush()
end

function Rounds:close()
  self.file:close()
end

return M
