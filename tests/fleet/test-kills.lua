-- SPDX-License-Identifier: MIT
-- Jobs that are killed at random moments and gone on with: each target has one line at the end, and
-- the figures are those of a job that nobody has killed. The long form kills ten times as often.
local lu = require "luaunit"
local support = require "fleet.support"

local cases = support.cases "Kills"
local facts, read, words = support.facts, support.read, support.words

local FACTOR = os.getenv "TCPM_LONG" == "1" and 10 or 1
local KILLS, KILLS_OF_WORKERS = 50 * FACTOR, 20 * FACTOR
local HOSTS = 1024

local seed = tonumber(os.getenv "TCPM_SEED") or os.time()
math.randomseed(seed)
print("# TCPM_SEED=" .. seed)

-- A power cut or a full disk may leave a part of a line.
local function tear(path)
  local text = read(path)
  if #text < 400 or math.random() > 0.3 then return end
  support.write_file(path, text:sub(1, #text - math.random(300)))
end

-- Runs a job until it is done, and kills it as often as may be on the way. Gives the number of
-- kills.
local function run_through(list, path, most)
  local kills = 0
  while true do
    local job = support.start(list)
    if kills < most then
      support.wait(math.random(50, 500))
      if not job.done then
        job.kill "sigkill"
        kills = kills + 1
      end
    end
    support.finish(job)
    if job.code == 0 and job.signal == 0 then return kills, job end
    lu.assertEquals(job.signal, 9)
    lu.assertNotStrContains(job.errors(), "traceback")
    tear(path)
  end
end

-- Jobs one after the other, until so many were killed.
local function kill_jobs(count, ...)
  local port, path, kills = support.peer(), support.directory() .. "/out", 0
  while kills < count do
    os.remove(path)
    local network = ("127.%d.%d.0/22"):format(math.random(60, 99), math.random(0, 63) * 4)
    local list = words(network, port, "-r", "1500/s", "-o", path, "--resume", "-q", ...)
    kills = kills + run_through(list, path, math.min(8, count - kills))
    local found = facts(read(path))
    lu.assertEquals({ found.count, found.double, found.torn }, { HOSTS, 0, false })
  end
end

function cases.G23_killed_jobs_go_on_where_their_lines_end() kill_jobs(KILLS) end

function cases.G23_killed_jobs_with_workers_go_on_too() kill_jobs(KILLS_OF_WORKERS, "-w", 2) end

-- The counters that do not depend on when a target was asked.
local function counters(path)
  local text, list = read(path), {}
  for _, name in ipairs { "done", "ok", "failed", "attempts", "in", "out", "cut", "retries" } do
    list[name] = tonumber(text:match('"' .. name .. '":(%d+)'))
  end
  return list
end

function cases.G32_the_figures_are_those_of_an_uninterrupted_job()
  local port, path = support.peer(), support.directory() .. "/out"
  local list = words("127.59.0.0/22", port, "-r", 1000, "-o", path, "--resume", "-q", "--summary",
    path .. ".json")
  lu.assertEquals((run_through(list, path, 5)), 5)
  local whole = support.directory() .. "/whole"
  lu.assertEquals(support.run(words("127.59.0.0/22", port, "-r", 0, "-o", whole, "--summary",
    whole .. ".json")).code, 0)
  lu.assertEquals(counters(path .. ".json"), counters(whole .. ".json"))
  lu.assertEquals(facts(read(path)).keys, facts(read(whole)).keys)
end

function cases.G27_a_complete_file_needs_no_connection()
  local port, path = support.peer(), support.directory() .. "/out"
  local list = words("127.59.1.0/26", port, "-o", path, "--resume")
  lu.assertEquals(support.run(list).code, 0)
  local before = read(path)
  local again = support.harness.run("strace", { "-f", "-e", "trace=connect", "-o", path .. ".calls",
    support.runner, unpack(list) })
  lu.assertEquals(again.code, 0, again.errors())
  lu.assertNotStrContains(read(path .. ".calls"), "sin_port")
  lu.assertEquals(read(path), before)
end

function cases.G25_a_torn_line_is_said_and_its_target_asked_again()
  local port, path = support.peer(), support.directory() .. "/out"
  local list = words("127.59.2.0/26", port, "-o", path, "--resume", "-w", 2)
  lu.assertEquals(support.run(list).code, 0)
  support.write_file(path, (read(path):sub(1, -20)))
  local again = support.run(list)
  lu.assertEquals(again.code, 0, again.errors())
  lu.assertStrContains(again.errors(), "a torn line was cut off")
  lu.assertEquals({ facts(read(path)).count, facts(read(path)).double }, { 64, 0 })
end

function cases.G26_a_damaged_line_is_asked_again()
  local port, path = support.peer(), support.directory() .. "/out"
  local list = words("127.59.3.0/26", port, "-o", path, "--resume", "-w", 2)
  lu.assertEquals(support.run(list).code, 0)
  local text = read(path):gsub('"attempts":', '"attempts"?', 1)
  support.write_file(path, text)
  local again = support.run(list)
  lu.assertEquals(again.code, 0, again.errors())
  lu.assertStrContains(again.errors(), "out:1: damaged; its target is asked again")
  local merged = path .. ".merged"
  local merge = support.run { "-m", "merge", "-q", "-o", merged, "--expect", 64, path }
  lu.assertEquals(merge.code, 0, merge.errors())
  lu.assertStrContains(merge.errors(), "left out: 1 damaged line\n")
  lu.assertEquals(facts(read(merged)).count, 64)
end

support.main(cases, 500 * FACTOR)
