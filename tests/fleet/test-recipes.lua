-- SPDX-License-Identifier: MIT
-- The recipes of scripts/fleet: those for GNU parallel and for a plain shell run, those for
-- Kubernetes and systemd are what these accept. Slurm has a test of its own.
local lu = require "luaunit"
local support = require "fleet.support"

local cases = support.cases "Recipes"
local facts, read = support.facts, support.read
local FOLDER = support.source .. "/scripts/fleet/"

-- The folder of a run, with its targets.
local function prepare(targets)
  local directory = support.directory()
  support.write_file(directory .. "/targets.txt", targets .. "\n")
  return directory
end

-- Runs a recipe there; variables: further ones of the environment.
local function run(directory, recipe, variables, ...)
  local list = { "-C", directory, "TCPMULTI=" .. support.runner, "SCRIPT=" .. support.banner }
  for name, value in pairs(variables) do list[#list + 1] = name .. "=" .. value end
  list[#list + 1] = FOLDER .. recipe
  for _, word in ipairs { ... } do list[#list + 1] = word end
  return support.harness.run("env", list)
end

local function assert_complete(directory, count)
  local found = facts(read(directory .. "/all.jsonl"))
  lu.assertEquals({ found.count, found.double, found.torn }, { count, 0, false })
end

local OPTIONS = { "--per-network", 0, "--idle-timeout", "200ms", "-r", 0 }

-- A program in the place of ours that fails once for part 3, before it has done anything.
local function failing(directory)
  local path = directory .. "/failing"
  support.write_file(path, ([[
#!/bin/sh
case "$*" in
*"--shard 3/4"*) [ -e failed ] || { touch failed; exit 75; } ;;
esac
exec '%s' "$@"
]]):format(support.runner))
  os.execute("chmod +x '" .. path .. "'")
  return path
end

function cases.G43_parallel_tries_a_part_that_fails_again()
  support.needs "parallel"
  local directory = prepare "127.80.0.0/24"
  local result = run(directory, "parallel.sh", { TCPMULTI = failing(directory) }, "-p",
    support.peer(), unpack(OPTIONS))
  lu.assertEquals(result.code, 0, result.errors())
  assert_complete(directory, 256)
  lu.assertStrContains(read(directory .. "/log"), "--shard 3/4")
end

function cases.G43_parallel_goes_on_with_those_that_failed()
  support.needs "parallel"
  local directory, port = prepare "127.81.0.0/24", support.peer()
  local variables = { TCPMULTI = failing(directory), RETRIES = 1 }
  local first = run(directory, "parallel.sh", variables, "-p", port, unpack(OPTIONS))
  lu.assertEquals(first.code, 1, first.errors())
  local before = read(directory .. "/part-1.jsonl")
  local second = run(directory, "parallel.sh", variables, "--resume-failed", "-p", port,
    unpack(OPTIONS))
  lu.assertEquals(second.code, 0, second.errors())
  lu.assertEquals(read(directory .. "/part-1.jsonl"), before)
  assert_complete(directory, 256)
end

function cases.a_plain_shell_runs_four_parts()
  local directory = prepare "127.82.0.0/24"
  local result = run(directory, "plain.sh", {}, "-p", support.peer(), unpack(OPTIONS))
  lu.assertEquals(result.code, 0, result.errors())
  assert_complete(directory, 256)
end

function cases.a_plain_shell_tells_the_worst_status()
  local directory = prepare "127.83.0.0/24"
  local result = run(directory, "plain.sh", { TCPMULTI = failing(directory) }, "-p", support.peer(),
    unpack(OPTIONS))
  lu.assertEquals(result.code, 75, result.errors())
end

function cases.a_plain_shell_passes_a_signal_on_and_the_same_command_goes_on()
  for _, signal in ipairs { "sigint", "sigterm" } do
    local directory, port = prepare "127.83.0.0/22", support.peer()
    local shell = support.harness.start("env", { "-C", directory, "TCPMULTI=" .. support.runner,
      "SCRIPT=" .. support.banner, FOLDER .. "plain.sh", "-p", port, "--per-network", 0,
      "-r", 500 })
    for i = 1, 4 do support.wait_for_lines(("%s/part-%d.jsonl"):format(directory, i), 10) end
    shell.kill(signal)
    support.finish(shell)
    lu.assertEquals(shell.code, 75, shell.errors())
    local found = facts(read(directory .. "/all.jsonl"))
    assert(found.count >= 40 and found.count < 1024, found.count)
    local again = run(directory, "plain.sh", {}, "-p", port, unpack(OPTIONS))
    lu.assertEquals(again.code, 0, again.errors())
    assert_complete(directory, 1024)
  end
end

-- ---- Kubernetes ----

-- The statuses of the rule with this action.
local function statuses(text, action)
  local list = text:match("action: " .. action .. "\n%s+onExitCodes:.-values: (%b[])")
  return list
end

function cases.G44_the_job_is_what_batch_v1_says()
  local check = support.harness.run("python3", { support.source .. "/tests/fleet/check-job",
    FOLDER .. "job.yaml", support.source .. "/tests/fleet/job.schema.json" })
  lu.assertEquals({ check.code, check.errors() }, { 0, "" })
  local text = read(FOLDER .. "job.yaml")
  lu.assertEquals(statuses(text, "Count"), "[75]")
  lu.assertEquals(statuses(text, "FailIndex"), "[1, 2, 3, 4, 74]")
  local completions = text:match "completions: (%d+)"
  lu.assertStrContains(text, "--shard auto/" .. completions)
end

function cases.G44_the_command_of_a_pod_does_a_part()
  local directory, text = prepare "127.84.0.0/24", read(FOLDER .. "job.yaml")
  local command = text:match "exec tcpmulti%-lua %-m banner (.-)\n*$":gsub("%s+", " ")
  command = command:gsub("/in/", directory .. "/"):gsub("/out/", directory .. "/")
  local script = ("exec '%s' '%s' %s -p %d --per-network 0 --idle-timeout 200ms"):format(
    support.runner, support.banner, command, support.peer())
  local pod = support.harness.run("env", { "JOB_COMPLETION_INDEX=3", "sh", "-c", script })
  lu.assertEquals(pod.code, 0, pod.errors())
  lu.assertEquals(facts(read(directory .. "/part-3.jsonl")).count, 32)
end

-- ---- systemd ----

function cases.G44_the_unit_is_what_systemd_says()
  support.needs "systemd-analyze"
  local directory, name = support.directory(), "tcpmulti@.service"
  local unit = read(FOLDER .. name)
  support.write_file(directory .. "/" .. name, (unit:gsub("/usr/bin/tcpmulti%-lua", "/bin/true")))
  support.write_file(directory .. "/tcpmulti@1.service", read(directory .. "/" .. name))
  local verify = support.harness.run("systemd-analyze", { "verify", "--man=no",
    directory .. "/tcpmulti@1.service" })
  lu.assertEquals({ verify.code, verify.errors() }, { 0, "" })
  lu.assertStrContains(unit, "RestartForceExitStatus=75")
  lu.assertStrContains(unit, "SuccessExitStatus=4")
  local grace, stop = unit:match "%-%-grace (%d+)s", unit:match "TimeoutStopSec=(%d+)"
  lu.assertTrue(tonumber(grace) < tonumber(stop))
end

-- ---- all ----

function cases.the_simulation_shows_balance_and_whole_hosts()
  local result = support.run { FOLDER .. "simulate.lua" }
  lu.assertEquals(result.code, 0, result.errors())
  local apart = result.output():match "([%d.]+) %% apart"
  lu.assertTrue(tonumber(apart) < 1, apart)
  lu.assertStrContains(result.output(), "1006632960 targets")
  lu.assertStrContains(result.output(), "10000 of 10000 hosts are whole")
end

function cases.recipes_are_clean_shell()
  support.needs "shellcheck"
  local check = support.harness.run("shellcheck", { "-s", "sh", FOLDER .. "array.sbatch",
    FOLDER .. "parallel.sh", FOLDER .. "plain.sh" })
  lu.assertEquals({ check.code, check.output() }, { 0, "" })
end

support.main(cases)
