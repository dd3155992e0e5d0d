-- SPDX-License-Identifier: MIT
-- The recipe for Slurm under Slurm itself: munged, slurmctld and slurmd of this test's own, with
-- ports, key and folders of their own, all on 127.0.0.1.
local lu = require "luaunit"
local uv = require "luv"
local support = require "fleet.support"

local cases = support.cases "Slurm"
local facts, read = support.facts, support.read

local COUNT, HOLD_SECONDS = 20000, 4
local CONF = [[
ClusterName=test
SlurmctldHost=%HOST(127.0.0.1)
SlurmctldPort=%CONTROL
SlurmdPort=%DAEMON
AuthType=auth/munge
AuthInfo=socket=%DIRECTORY/munge/socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=%DIRECTORY/state
SlurmdSpoolDir=%DIRECTORY/spool
SlurmctldPidFile=%DIRECTORY/slurmctld.pid
SlurmdPidFile=%DIRECTORY/slurmd.pid
SlurmctldLogFile=%DIRECTORY/slurmctld.log
SlurmdLogFile=%DIRECTORY/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=2,bf_interval=2
InactiveLimit=0
MinJobAge=300
KillWait=5
NodeName=%HOST NodeAddr=127.0.0.1 CPUs=8 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=%HOST Default=YES MaxTime=INFINITE State=UP
]]

-- ---- the daemons ----

-- munged refuses to run as root.
local function start_munge(directory)
  local folder = directory .. "/munge"
  local pipe = assert(io.open("/dev/urandom", "rb"))
  os.execute(("mkdir -m 755 '%s'"):format(folder))
  support.write_file(folder .. "/key", pipe:read(128))
  pipe:close()
  os.execute(("chmod 400 '%s/key' && chown -R munge:munge '%s'"):format(folder, folder))
  local process = support.harness.start("setpriv", { "--reuid", "munge", "--regid", "munge",
    "--clear-groups", "munged", "--foreground", "--force", "--key-file", folder .. "/key",
    "--socket", folder .. "/socket", "--pid-file", folder .. "/pid", "--seed-file",
    folder .. "/seed", "--log-file", folder .. "/log" })
  support.wait_until(20, "munged: " .. read(folder .. "/log"), function()
    return process.done or uv.fs_stat(folder .. "/socket")
  end)
  assert(not process.done, process.errors() .. read(folder .. "/log"))
end

-- Runs a command of Slurm's. Gives its output.
local function slurm(cluster, command, ...)
  local list = { "-C", cluster.directory, "env", "SLURM_CONF=" .. cluster.conf,
    "TCPMULTI=" .. support.runner, "TARGETS=" .. cluster.directory .. "/targets.txt",
    "SCRIPT=" .. support.banner, "OPTIONS=" .. (cluster.options or ""), command, ... }
  local process = support.harness.run("env", list)
  if process.code ~= 0 then error(command .. ": " .. process.errors(), 2) end
  return process.output()
end

local function start_cluster()
  local cluster = { directory = support.directory() }
  os.execute(("chmod 755 '%s' && mkdir '%s/state' '%s/spool'"):format(cluster.directory,
    cluster.directory, cluster.directory))
  cluster.conf = cluster.directory .. "/slurm.conf"
  local values = { HOST = uv.os_gethostname(), CONTROL = support.harness.free_port(),
    DAEMON = support.harness.free_port(),
    DIRECTORY = cluster.directory }
  support.write_file(cluster.conf, (CONF:gsub("%%(%u+)", values)))
  start_munge(cluster.directory)
  cluster.control = support.harness.start("slurmctld", { "-D", "-i", "-f", cluster.conf })
  cluster.daemon = support.harness.start("slurmd", { "-D", "-f", cluster.conf, "-N", values.HOST })
  local ok, state = pcall(support.wait_until, 40, "the node to be idle", function()
    local good, text = pcall(slurm, cluster, "sinfo", "-h", "-o", "%T")
    return good and text:find "idle"
  end)
  if not ok then
    error(state .. "\n" .. cluster.control.errors() .. read(cluster.directory .. "/slurmctld.log")
      .. read(cluster.directory .. "/slurmd.log"))
  end
  return cluster
end

-- ---- arrays ----

local function write_targets(cluster)
  support.write_file(cluster.directory .. "/targets.txt", "127.70.0.0-127.70.78.31\n")
end

-- Submits the recipe. Gives the number of the job.
local function submit(cluster, ...)
  local text = slurm(cluster, "sbatch", "--parsable", "--export=ALL", ...)
  return text:match "%d+"
end

local RECIPE = support.source .. "/scripts/fleet/array.sbatch"

-- Waits until a job has ended. Slurm holds back a task that is queued again for two minutes; here
-- it may begin after some seconds, when no credential of its earlier run counts any more.
local function wait_for(cluster, job)
  local since = {}
  support.wait_until(200, "job " .. job, function()
    support.wait(300)
    local queue = slurm(cluster, "squeue", "-h", "-r", "-o", "%i %T %r")
    for task in queue:gmatch "([%d_]+) PENDING BeginTime" do
      since[task] = since[task] or support.seconds()
      if support.seconds() - since[task] > HOLD_SECONDS then
        pcall(slurm, cluster, "scontrol", "update", "JobId=" .. task, "StartTime=now")
      end
    end
    return not queue:find("%f[%d]" .. job)
  end)
end

local function part(cluster, number)
  return ("%s/part-%d.jsonl"):format(cluster.directory, number)
end

-- All results, merged.
local function merge(cluster)
  local merged = cluster.directory .. "/all.jsonl"
  local process = support.run { "-m", "merge", "-q", "-o", merged, "--expect", COUNT,
    part(cluster, 0), part(cluster, 1), part(cluster, 2), part(cluster, 3) }
  lu.assertEquals({ process.code, process.errors() }, { 0, "" })
  return facts(read(merged))
end

local port, single

local function options(...)
  return table.concat({ "-p", port, "--per-network", 0, "--idle-timeout", "500ms", "-c", 400, ... },
    " ")
end

-- The results of one process alone.
local function run_alone(cluster)
  single = cluster.directory .. "/single.jsonl"
  local list = { support.banner, "-t", cluster.directory .. "/targets.txt", "-q", "-o", single }
  for word in options("-r", 0):gmatch "%S+" do list[#list + 1] = word end
  local process = support.run(list)
  lu.assertEquals({ process.code, process.errors() }, { 0, "" })
  return facts(read(single))
end

local function assert_same(found, whole)
  lu.assertEquals({ found.count, found.double, found.torn }, { COUNT, 0, false })
  local differ = 0
  for key, verdict in pairs(whole.verdicts) do
    if found.verdicts[key] ~= verdict then differ = differ + 1 end
  end
  lu.assertEquals(differ, 0)
end

function cases.G41_G42_an_array_is_one_run_whatever_happens_to_its_tasks()
  support.needs("munged", "slurmctld", "slurmd", "sbatch", "setpriv")
  if uv.getuid() ~= 0 then lu.skip "Slurm's daemons need root" end
  port = support.peer()
  local cluster = start_cluster()
  write_targets(cluster)
  local whole = run_alone(cluster)
  lu.assertEquals({ whole.count, whole.double }, { COUNT, 0 })

  cluster.options = options("-r", 0)
  wait_for(cluster, submit(cluster, RECIPE))
  assert_same(merge(cluster), whole)

  for number = 0, 3 do os.remove(part(cluster, number)) end
  cluster.options = options("-r", "4k/s")
  local job = submit(cluster, RECIPE)
  for number = 0, 3 do support.wait_for_lines(part(cluster, number), 300) end
  slurm(cluster, "scontrol", "requeue", job .. "_0")
  slurm(cluster, "scancel", "--batch", "--signal=TERM", job .. "_1")
  local pattern = cluster.directory .. "/targets.txt.*part-2.jsonl"
  local pid = support.harness.run("pgrep", { "-f", pattern }).output():match "%d+"
  uv.kill(tonumber(pid), "sigkill")
  wait_for(cluster, job)
  local again = submit(cluster, "--array=2", RECIPE)
  wait_for(cluster, again)
  assert_same(merge(cluster), whole)
  lu.assertStrContains(read(cluster.directory .. "/log-1.txt"), "stopping within 20 s")
  lu.assertStrContains(read(cluster.directory .. "/log-0.txt"), "resumed: ")
  lu.assertStrContains(read(cluster.directory .. "/log-1.txt"), "resumed: ")
  lu.assertStrContains(read(cluster.directory .. "/log-2.txt"), "resumed: ")
end

support.main(cases, 500)
