-- SPDX-License-Identifier: MIT
-- What whole jobs cost: memory while a long pipe is read, and the processor's time of progress.
local harness = require "scripts.harness"
local lu = require "luaunit"

local cases = harness.cases "JobCosts"
local runner = arg[1]

local function read_file(path)
  local file = io.open(path)
  local text = file and file:read "*a" or ""
  if file then file:close() end
  return text
end

-- A banner job over the lines of a pipe, which a practice peer of this mode hears.
local function start(mode, lines, ...)
  local script = os.getenv "TCPM_SOURCE" .. "/tests/jobs/scripts/banner.lua"
  return harness.start(runner, { "--peer", mode, script, "--per-host", "0", "--per-network", "0",
    "--total-timeout", "100s", "--idle-timeout", "100s", ... }, { stdin = lines })
end

-- ---- memory ----

-- The most bytes that the process has had in memory so far; nil: it has ended.
local function most_memory(job)
  local text = job.pid and read_file(("/proc/%d/status"):format(job.pid)):match "VmHWM:%s*(%d+) kB"
  return text and tonumber(text) * 1024
end

-- The most memory until the end of the job.
local function memory_to_the_end(job)
  local most = 0
  harness.wait_until(100, "the end of the job", function()
    most = math.max(most, most_memory(job) or 0)
    return job.done
  end)
  return most
end

local function million(line_of)
  local lines = {}
  for i = 1, 1e6 do lines[i] = line_of(i) end
  return table.concat(lines, "\n") .. "\n"
end

local MOST = 8 * 1048576

function cases.J16_a_million_lines_through_a_pipe_leave_no_trace()
  local words = { "-c", "10", "-r", "0", "-x", "10.0.0.0/8", "-q", "-o", "/dev/null" }
  local function line_of(i)
    return i % 1000 == 0 and "127.0.0.1" or ("10.1.%d.%d"):format(i / 256 % 256, i % 256)
  end
  local few = {}
  for i = 1, 1000 do few[i] = line_of(1000 * i) end
  local short = start("banner=220 ready", table.concat(few, "\n"), unpack(words))
  local least = memory_to_the_end(short)
  local folder = harness.directory()
  words[#words + 1], words[#words + 2] = "--summary", folder .. "/summary"
  local long = start("banner=220 ready", million(line_of), unpack(words))
  local most = memory_to_the_end(long)
  lu.assertEquals({ short.code, long.code }, { 0, 0 }, long.errors())
  local figures = read_file(folder .. "/summary")
  lu.assertStrContains(figures, '"excluded":999000')
  lu.assertStrContains(figures, '"done":1000,')
  assert(least > 0 and most - least < MOST, ("%d and %d bytes"):format(least, most))
end

function cases.J16_lines_stay_in_the_pipe_until_they_are_used()
  local words = { "-c", "10", "-r", "20/s", "-q" }
  local function memory(lines)
    local job = start("banner=220 ready", lines, unpack(words))
    harness.wait_until(20, "results", function()
      return select(2, job.output():gsub("\n", "")) >= 15
    end)
    local most = most_memory(job)
    job.kill "sigkill"
    return most
  end
  local least = memory(("127.0.0.1\n"):rep(40))
  local most = memory(million(function() return "127.0.0.1" end))
  assert(most - least < MOST, ("%d and %d bytes"):format(least, most))
end

-- ---- progress ----

local CONNECTIONS, SECONDS = 2000, 9

-- Nanoseconds for which the process has run.
local function processor_time(job)
  return tonumber(read_file(("/proc/%d/schedstat"):format(job.pid)):match "^%d+")
end

local function count_files(job)
  local _, count = harness.run("ls", { ("/proc/%d/fd"):format(job.pid) }).output():gsub("\n", "")
  return count
end

function cases.J61_progress_costs_less_than_a_thousandth_of_a_core()
  lu.skipIf(read_file "/proc/self/schedstat" == "", "the kernel does not count nanoseconds")
  local jobs, before, costs = {}, {}, {}
  for i, mode in ipairs { "none", "line" } do
    jobs[i] = start("discard", ("127.0.0.1\n"):rep(CONNECTIONS), "-c", CONNECTIONS, "-r", "0",
      "--progress", mode)
    harness.wait_until(30, "connections", function()
      return count_files(jobs[i]) >= CONNECTIONS
    end)
  end
  harness.wait(500)
  for i, job in ipairs(jobs) do before[i] = processor_time(job) end
  harness.wait(1000 * SECONDS)
  for i, job in ipairs(jobs) do costs[i] = (processor_time(job) - before[i]) / 1e9 / SECONDS end
  local _, updates = jobs[2].errors():gsub("2%.0k open", "")
  assert(updates >= 4 * SECONDS, jobs[2].errors():sub(-200))
  assert(costs[2] - costs[1] < 0.001, ("%.5f of a core, and %.5f"):format(costs[1], costs[2]))
end

harness.main(cases, 120)
