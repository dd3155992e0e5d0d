-- SPDX-License-Identifier: MIT
-- Ours as a whole job: what work=banner of tcpmulti.lua does in a bare session, with a plan,
-- limits, a result line for each target and all figures, as a user of tcpmulti.job would write it.
-- The rate and the cap by network, which would be waited for, are left out. Run by
-- tests/bench/run:
--   tcpmulti-lua tcpmulti_job.lua work=banner port=7 connections=500 operations=20000
local job = require "tcpmulti.job"
local measure = dofile((arg[0]:gsub("[^/]*$", "")) .. "measure.lua")

local wanted = measure.job(arg)
local figures = measure.figures()
local output = os.tmpname()

local spec = {
  on_success = function(cheap)
    cheap.banner = ""
  end,
  on_input = function(cheap, bytes)
    cheap.banner = (cheap.banner .. bytes):sub(1, measure.BANNER)
    if cheap.banner:find("\n", 1, true) or #cheap.banner == measure.BANNER then
      cheap:shutdown()
    end
  end,
  result = function(cheap)
    return { banner = cheap.banner }
  end,
}
local words = {
  measure.host(1) .. "-" .. measure.host(wanted.operations),
  "-p", tostring(wanted.port), "-c", tostring(wanted.connections),
  "-r", "0", "--per-network", "0",
  "-o", output, "--overwrite", "-q",
}

-- The lines that tell a success.
local function count_lines()
  local count = 0
  for line in io.lines(output) do
    if line:find('"ok":true,"end":"shutdown"', 1, true) then
      count = count + 1
    end
  end
  os.remove(output)
  return count
end

measure.begin(figures)
local status, summary = job.run(spec, words)
measure.finish(figures)
assert(status == 0)
figures.operations, figures.errors, figures.bytes = summary.done, summary.failed, summary["in"]
assert(count_lines() == summary.ok)
measure.report(figures)
