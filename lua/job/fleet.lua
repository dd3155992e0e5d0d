-- SPDX-License-Identifier: MIT
-- From one process to many, on one machine and on many: which part of the work is ours, our part of
-- the limits, workers on this machine, and one file of all results. Nobody coordinates: each
-- process computes its share from numbers, so any engine that starts processes can carry a fleet.
local engines = require "tcpmulti.fleet.engines"
local merging = require "tcpmulti.fleet.merging"
local program = require "tcpmulti.fleet.program"
local supervisor = require "tcpmulti.fleet.supervisor"
local floor, format, max = math.floor, string.format, math.max

local fleet = { detect = engines.detect, merge = merging.merge, supervise = supervisor.supervise,
  main = program.main }

local function check_process(name, j, J)
  if type(j) ~= "number" or type(J) ~= "number" or not (j >= 0 and j < J) or j % 1 + J % 1 ~= 0 then
    error(format("fleet.%s: process j of J: 0 <= j < J, both whole", name), 3)
  end
end

-- The part of a whole number that process j of J has. All parts add up to the whole, and differ by
-- one at most.
function fleet.share(total, j, J)
  check_process("share", j, J)
  return floor(total / J) + (j < total % J and 1 or 0)
end

-- The limits of the whole fleet, divided for process j of J; nil, message. What is limited by host
-- stays as it is, since a host belongs to one process. rate_phase: the tokens that the process
-- begins with, so that the first attempts of all processes interleave.
function fleet.divide(options, j, J)
  check_process("divide", j, J)
  local divided = {}
  for name, value in pairs(options) do divided[name] = value end
  if options.concurrency < J then
    return nil, format("--concurrency %.0f is less than one for each of the %.0f processes",
      options.concurrency, J)
  end
  divided.concurrency = fleet.share(options.concurrency, j, J)
  divided.rate, divided.rate_phase = options.rate / J, 1 - j / J
  if options.per_network and options.per_network > 0 then
    divided.per_network = max(1, fleet.share(options.per_network, j, J))
  end
  return divided
end

return fleet
