-- SPDX-License-Identifier: MIT
-- What supervising costs: stand-ins for workers write as fast as none of ours would.
local lu = require "luaunit"
local crew = require "tcpmulti.job.crew"
local messages = require "tcpmulti.job.messages"
local output = require "tcpmulti.job.output"
local results = require "tcpmulti.results"
local summary = require "tcpmulti.summary"
local support = require "jobs.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Supervisor"

local WORKERS, SECONDS, RATE = 4, 3, 20000
local PLAN = "131b1a2d3f09dc74"
local SHARE = 0.25 -- of a core

-- A job whose workers are stand-ins.
local function new_job(path)
  local job = { worker = { 0, WORKERS }, part = { 1, 1 }, source = { id = PLAN }, spec = {},
    options = { format = "jsonl", only = "all" }, messages = messages.new "test",
    total = summary.new(), control = tcpmulti.create {} }
  job.sink = assert(results.open(path, { now = tcpmulti.now, overwrite = true }))
  job.output = output.new(job, job.sink, job.control)
  function job.count_exceptions(_, count) job.exceptions = count end
  function job.go_on() job.connections.more() end
  function job.stop(_, reason) error(reason) end
  function job.on_output_failure() error(job.output.failure) end
  function job.finish() job.control:die() end
  local stand_in = os.getenv "TCPM_SOURCE" .. "/tests/fleet/stand-in.lua"
  job.connections = crew.new(job, { arg[-1] or "/proc/self/exe", stand_in, SECONDS })
  return job
end

-- Seconds of the processor to read so many lines and to write them, with a key each: the least that
-- anybody would take, for how fast this machine is just now.
local function time_of_floor(path)
  local start, out = os.clock(), assert(io.open("/dev/null", "w"))
  local keys = {}
  for line in io.lines(path) do
    keys[#keys + 1] = line:sub(1, 40)
    if #keys == 4000 then keys = {} end
    out:write(line, "\n")
  end
  out:close()
  return os.clock() - start
end

function cases.G18_eighty_thousand_lines_a_second_are_a_quarter_of_a_core()
  local path = os.tmpname()
  local job, start, most, first = new_job(path), os.clock(), 0, nil
  job.control:every(function()
    collectgarbage()
    local used = collectgarbage "count"
    first = first or job.total.done > 0 and used
    most = math.max(most, used)
  end, 0.5)
  job.connections:start()
  tcpmulti.run()
  job.output:close()
  local seconds = os.clock() - start
  local floor = time_of_floor(path)
  os.remove(path)
  local count = WORKERS * RATE * SECONDS
  print(("# %.2f us a line, %.0f %% of a core; floor %.2f us; %.0f to %.0f KiB"):format(
    seconds / count * 1e6, seconds / SECONDS * 100, floor / count * 1e6, first, most))
  lu.assertEquals({ job.sink.written, job.total.done }, { count, count })
  lu.assertTrue(most < first + 8192, most)
  lu.assertTrue(seconds / SECONDS < math.max(SHARE, 4 * floor / SECONDS), seconds)
end

support.main(cases)
