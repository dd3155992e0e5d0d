-- SPDX-License-Identifier: MIT
-- When requests are to start, whether or not earlier ones have been answered: evenly spaced, or as
-- independent clients would send them (Poisson). Pure: times are seconds since the beginning. The
-- same seed gives the same arrivals.
local permutation = require "tcpmulti.permutation"
local fnv = require "tcpmulti.targets.fnv"
local log = math.log

local schedule = {}
local Schedule = {}
Schedule.__index = Schedule

local DRAWS = 2 ^ 32 -- random numbers before they come again

-- The two keys of the random numbers.
local function keys_of(seed, process)
  local text = string.format("arrivals of %d, seed %s", process, seed or "")
  return fnv.words(fnv.text(fnv.START, text))
end

-- rate: arrivals in a second, of this process alone. arrivals: "even" or "poisson". process: this
-- one, from 0 on, of so many processes, whose arrivals interleave; seed: a text, or nil.
function schedule.new(rate, arrivals, seed, process, processes)
  local self = setmetatable({ rate = rate, count = 0, time = 0 }, Schedule)
  if arrivals == "poisson" then
    self.draws = permutation.new(DRAWS, keys_of(seed, process or 0))
    self:advance()
  else
    self.phase = (process or 0) / (processes or 1)
    self.time = self.phase / rate
  end
  return self
end

-- On to the next arrival.
function Schedule:advance()
  local count = self.count
  if self.draws then
    self.time = self.time - log((self.draws:at(count % DRAWS) + 0.5) / DRAWS) / self.rate
    self.count = count + 1
  else
    self.count = count + 1
    self.time = (self.count + self.phase) / self.rate
  end
end

-- Takes an arrival of this time or earlier: gives its own time; nil: there is none.
function Schedule:take(time)
  local arrival = self.time
  if arrival > time then return nil end
  self:advance()
  return arrival
end

return schedule
