-- SPDX-License-Identifier: MIT
-- Parts and workers of a job, as programs: one output, one summary, crashes survived, signals.
local lu = require "luaunit"
local uv = require "luv"
local support = require "fleet.support"

local cases = support.cases "Workers"
local words, run, start, read, facts = support.words, support.run, support.start, support.read,
  support.facts

local function count_of(text, pattern) return select(2, text:gsub(pattern, "")) end

local function assert_complete(text, count)
  local found = facts(text)
  lu.assertEquals({ found.count, found.double, found.torn }, { count, 0, false })
end

local function out() return support.directory() .. "/out.jsonl" end

-- A job of this file's own.
local function write_job(text)
  local path = support.directory() .. "/job.lua"
  support.write_file(path, text)
  return path
end

-- ---- parts ----

function cases.G4_a_part_that_is_none_is_refused()
  for _, shard in ipairs { "0/4", "5/4", "1/0", "x" } do
    lu.assertEquals(run(words("127.0.0.1", 1, "--shard", shard)).code, 2)
  end
  local few = run(words("127.0.0.1-9", 1, "-c", 3, "-w", 4))
  lu.assertEquals(few.code, 2, few.errors())
  lu.assertStrContains(few.errors(), "--concurrency 3")
  lu.assertStrContains(few.errors(), "4 processes")
end

function cases.G5_parts_together_keep_the_rate()
  local port, jobs, times = support.peer(), {}, {}
  for i = 1, 4 do
    jobs[i] = start(words("127.30.0.0/21", port, "-r", "1k/s", "--shard", i .. "/4"))
  end
  for _, job in ipairs(jobs) do
    lu.assertEquals(support.finish(job).code, 0)
    for line in job.output():gmatch "[^\n]+" do
      local time, total = line:match '"time":([%d.]+).-"total":(%d+)'
      times[#times + 1] = time - total / 1e6
    end
  end
  lu.assertEquals(#times, 2048)
  table.sort(times)
  local first = 1
  for i, time in ipairs(times) do
    while times[first] < time - 1 do first = first + 1 end
    lu.assertTrue(i - first <= 1000 + 4 * 10 + 20, i - first)
  end
end

-- Looks 50 times a second how many connections of one address have been open for a while; those
-- that begin while another one ends do not mislead it. Gives a listener's function, and a function
-- that gives the most.
local function watch_hosts()
  local open, most, timer = {}, 0, uv.new_timer()
  timer:start(20, 20, function()
    local counts, now = {}, uv.hrtime()
    for client, seen in pairs(open) do
      if now - seen.time > 50e6 then counts[seen.ip] = (counts[seen.ip] or 0) + 1 end
      if client:is_closing() then open[client] = nil end
    end
    for _, count in pairs(counts) do most = math.max(most, count) end
  end)
  local function on_client(client)
    open[client] = { ip = client:getsockname().ip, time = uv.hrtime() }
    client:read_start(function(_, bytes)
      if bytes then return end
      open[client] = nil
      if not client:is_closing() then client:close() end
    end)
  end
  return on_client, function()
    timer:close()
    return most
  end
end

function cases.G6_a_host_has_its_limit_over_all_workers()
  local on_client, most = watch_hosts()
  local ports = {}
  for i = 1, 30 do ports[i] = support.listen("0.0.0.0", nil, on_client) end
  local job = run(words("127.31.0.1-20", table.concat(ports, ","), "--per-host", 3, "-w", 4, "-r",
    0))
  assert_complete(job.output(), 600)
  lu.assertEquals(most(), 3)
end

function cases.G7_fewer_hosts_than_processes()
  local job = run(words("127.0.0.1-2", support.peer(), "-w", 4))
  lu.assertEquals(job.code, 0, job.errors())
  assert_complete(job.output(), 2)
  lu.assertEquals(count_of(job.errors(), "fewer hosts %(2%) than processes %(4%)"), 1)
end

function cases.G8_an_index_without_a_count_ends_with_2()
  local job = support.finish(support.start_with({ JOB_COMPLETION_INDEX = "1" },
    words("127.0.0.1", 1, "--shard", "auto")))
  lu.assertEquals(job.code, 2, job.errors())
  lu.assertStrContains(job.errors(), "TCPMULTI_SHARDS")
end

function cases.G9_a_part_that_is_submitted_alone_stays_the_same_part()
  local environment = { SLURM_ARRAY_TASK_ID = "2", SLURM_ARRAY_TASK_COUNT = "1",
    SLURM_ARRAY_TASK_MIN = "2", SLURM_ARRAY_TASK_MAX = "2", SLURM_ARRAY_TASK_STEP = "1" }
  local job = support.finish(support.start_with(environment,
    words("127.0.0.0/24", 80, "--shard", "auto/4", "--dry-run")))
  lu.assertEquals(job.code, 0, job.errors())
  lu.assertStrContains(job.output(), "part 3 of 4")
end

function cases.G10_the_environment_counts_only_with_auto()
  local job = support.finish(support.start_with({ SLURM_ARRAY_TASK_ID = "2" },
    words("127.0.0.0/24", 80, "--dry-run")))
  lu.assertStrContains(job.output(), "part 1 of 1: 256")
  local lost = run(words("127.0.0.0/24", 80, "--shard", "auto"))
  lu.assertEquals(lost.code, 2, lost.errors())
  lu.assertStrContains(lost.errors(), "no engine")
end

function cases.G28_the_output_of_another_part_is_refused()
  local port, path = support.peer(), out()
  lu.assertEquals(run(words("127.32.0.0/26", port, "--shard", "1/3", "-o", path)).code, 0)
  local before = read(path)
  local other = run(words("127.32.0.0/26", port, "--shard", "2/3", "-o", path, "--resume"))
  lu.assertEquals(other.code, 2, other.errors())
  lu.assertStrContains(other.errors(), "part 1/3, and this is part 2/3")
  lu.assertEquals(read(path), before)
  lu.assertEquals(run(words("127.32.0.0/26", port, "--shard", "1/3", "-o", path, "--resume", "-c",
    7, "-r", "5k/s", "--connect-timeout", "1s")).code, 0)
end

function cases.G30_begun_as_one_finished_as_two()
  local port, path, directory = support.peer(), out(), support.directory()
  local job = start(words("127.33.0.0/23", port, "-r", 500, "-o", path, "--grace", "1s"))
  support.wait_for_lines(path, 50)
  job.kill "sigterm"
  lu.assertEquals(support.finish(job).code, 75)
  for i = 1, 2 do
    lu.assertEquals(run(words("127.33.0.0/23", port, "-r", 0, "--shard", i .. "/2", "-o",
      directory .. "/" .. i)).code, 0)
  end
  local merged = directory .. "/all"
  local merge = run { "-m", "merge", "-q", "--expect", 512, "-o", merged, path, directory .. "/1",
    directory .. "/2" }
  lu.assertEquals({ merge.code, merge.errors() }, { 0, "" })
  assert_complete(read(merged), 512)
end

function cases.G37_thresholds_of_a_part_are_recorded_and_hold_in_the_whole()
  local port, directory = support.peer(), support.directory()
  local files = {}
  for i = 1, 2 do
    files[i] = directory .. "/" .. i
    local job = run(words("127.34.0.0/26", port, "--shard", i .. "/2", "-o", files[i], "--fail-if",
      "failed > 0", "--summary", files[i] .. ".json"))
    lu.assertEquals(job.code, 0, job.errors())
    lu.assertStrContains(read(files[i] .. ".json"), '"fail_if":"failed > 0","failed":true')
  end
  lu.assertEquals(run({ "-m", "merge", "-q", "-o", directory .. "/all", "--fail-if", "failed > 0",
    files[1], files[2] }).code, 3)
  local figures = run { "-m", "merge", "-o", directory .. "/all", "--fail-if", "failed > 0",
    files[1] .. ".json", files[2] .. ".json" }
  lu.assertEquals(figures.code, 3, figures.errors())
  lu.assertStrContains(figures.errors(), "64 targets")
end

function cases.G35_a_part_that_is_missing_is_named_by_merge()
  local port, directory = support.peer(), support.directory()
  local files = {}
  for _, i in ipairs { 1, 3 } do
    files[#files + 1] = directory .. "/" .. i
    files[#files + 1] = directory .. "/" .. i .. ".json"
    run(words("127.35.0.0/25", port, "--shard", i .. "/3", "-o", files[#files - 1], "--summary",
      files[#files]))
  end
  local merge = run { "-m", "merge", "-q", "-o", directory .. "/all", "--expect", 128,
    unpack(files) }
  lu.assertEquals(merge.code, 75, merge.errors())
  lu.assertStrContains(merge.errors(), "of 128 targets are missing: look at part 2 of 3")
end

-- Starts two parts for one time. Gives the seconds between their first attempts.
local function begin_together(port)
  local jobs, begun, at = {}, {}, os.time() + 2
  for i = 1, 2 do
    jobs[i] = start(words("127.36.0.0/29", port, "-r", 0, "--shard", i .. "/2", "--start-at", at))
  end
  for i, job in ipairs(jobs) do
    support.finish(job)
    begun[i] = math.huge
    for line in job.output():gmatch "[^\n]+" do
      local time, total = line:match '"time":([%d.]+).-"total":(%d+)'
      begun[i] = math.min(begun[i], time - total / 1e6)
    end
    lu.assertTrue(begun[i] > at - 0.002, begun[i] - at) -- lines have whole milliseconds
  end
  return math.abs(begun[1] - begun[2])
end

-- The best of some tries: others may want the cores.
function cases.merge_never_replaces_a_device()
  local directory, path = support.directory(), out()
  support.write_file(path, "")
  assert(uv.fs_symlink("/dev/null", directory .. "/device"))
  local merge = run({ "-m", "merge", "-q", "-o", directory .. "/device", path })
  lu.assertEquals(merge.code, 0, merge.errors())
  lu.assertEquals(uv.fs_lstat(directory .. "/device").type, "link")
  lu.assertEquals(uv.fs_stat(directory .. "/device").type, "char")
end

function cases.G45_two_processes_begin_at_one_time()
  local port, apart = support.peer(), math.huge
  for _ = 1, 5 do
    if apart >= 0.02 then apart = math.min(apart, begin_together(port)) end
  end
  lu.assertTrue(apart < 0.02, apart)
  local late = run(words("127.36.0.1", port, "--start-at", os.time() - 5))
  lu.assertEquals(late.code, 0, late.errors())
  lu.assertStrContains(late.errors(), "the time of --start-at is over")
end

-- ---- workers ----

function cases.G11_three_workers_have_one_output_of_whole_lines()
  local path = out()
  local job = run(words("127.40.0.0/22", support.peer(), "-r", 0, "-w", 3, "-o", path,
    "--summary", path .. ".json"))
  lu.assertEquals(job.code, 0, job.errors())
  assert_complete(read(path), 1024)
  lu.assertStrContains(read(path .. ".json"), '"workers":3')
  lu.assertEquals(count_of(job.errors(), "1024 targets in "), 1)
end

function cases.G12_auto_is_one_in_a_cpuset_of_one()
  local path = out()
  local job = support.finish(support.harness.start("taskset", { "-c", 0, support.runner,
    unpack(words("127.40.1.0/28", support.peer(), "-w", "auto", "--summary", path)) }))
  lu.assertEquals(job.code, 0, job.errors())
  lu.assertStrContains(read(path), '"workers":1')
end

local function kill_one(job)
  local child = support.wait_until(10, "a worker", function()
    return support.children(job.pid)[1]
  end)
  uv.kill(child, "sigkill")
end

function cases.G13_workers_that_are_killed_are_started_again()
  local path = out()
  local job = start(words("127.41.0.0/21", support.peer(), "-r", "1k/s", "-w", 2, "-o", path))
  for i = 1, 3 do
    support.wait_for_lines(path, i * 250)
    kill_one(job)
  end
  support.finish(job)
  lu.assertEquals(job.code, 0, job.errors())
  lu.assertEquals(count_of(job.errors(), "ended by signal 9; started again"), 3)
  lu.assertStrContains(job.errors(), "2048 targets in ")
  assert_complete(read(path), 2048)
end

local CRASHING = [[
local job = require "tcpmulti.job"
local ffi = require "ffi"
ffi.cdef "int raise(int)"
job.main {
  on_input = function(cheap)
    if cheap.target.host:find "%.66$" then ffi.C.raise(11) end
    cheap:shutdown()
  end,
}
]]

function cases.G14_a_target_that_crashes_its_worker_costs_one_part()
  local path = out()
  local list = words("127.42.0.0/24", support.peer(), "-r", 0, "-w", 2, "-o", path, "-c", 4)
  list[1] = write_job(CRASHING)
  local job = run(list)
  lu.assertEquals(job.code, 75, job.errors())
  lu.assertStrContains(job.errors(), "its part is not complete")
  lu.assertEquals(count_of(job.errors(), "part is not complete"), 1)
  local found = facts(read(path))
  lu.assertEquals({ found.double, found.torn }, { 0, false })
  lu.assertTrue(found.count >= 128 and found.count < 256, found.count)
  lu.assertStrContains(job.errors(), "cut short because a worker ended")
end

function cases.G13_without_a_file_no_worker_is_started_again()
  local job = start(words("127.42.1.0/24", support.peer(), "-r", 200, "-w", 2))
  support.wait_until(10, "lines", function() return #job.output() > 0 end)
  kill_one(job)
  support.finish(job)
  lu.assertEquals(job.code, 75, job.errors())
  lu.assertStrContains(job.errors(), "its part is not complete")
  lu.assertEquals(facts(job.output()).double, 0)
end

function cases.G15_workers_end_when_their_supervisor_is_killed()
  local port, path = support.peer(), out()
  local list = words("127.43.0.0/22", port, "-r", 500, "-w", 3, "-o", path, "--resume")
  local job = start(list)
  support.wait_for_lines(path, 100)
  local workers = support.children(job.pid)
  lu.assertEquals(#workers, 3)
  job.kill "sigkill"
  support.finish(job)
  local killed = support.seconds()
  support.wait_until(5, "the end of all workers", function()
    for _, pid in ipairs(workers) do
      if support.is_running(pid) then return false end
    end
    return true
  end)
  lu.assertTrue(support.seconds() - killed < 1, support.seconds() - killed)
  list[#list + 1], list[#list + 2] = "-r", 0
  lu.assertEquals(run(list).code, 0)
  assert_complete(read(path), 1024)
end

local function is_over(pids)
  for _, pid in ipairs(pids) do
    if support.is_running(pid) then return false end
  end
  return true
end

function cases.G16_a_signal_lets_all_workers_stop_in_order()
  local path = out()
  local job = start(words("127.44.0.0/21", support.peer(), "-r", 500, "-w", 2, "-o", path,
    "--grace", "1s", "--summary", path .. ".json"))
  support.wait_for_lines(path, 100)
  local sent = support.seconds()
  job.kill "sigterm"
  support.finish(job)
  lu.assertEquals({ job.code, job.signal }, { 75, 0 })
  lu.assertTrue(support.seconds() - sent < 2, support.seconds() - sent)
  local found, summary = facts(read(path)), read(path .. ".json")
  lu.assertEquals({ found.double, found.torn }, { 0, false })
  lu.assertStrContains(summary, '"reason":"signal"')
  lu.assertStrContains(summary, ('"done":%d,'):format(found.count))
end

-- Starts a job in a process group of its own, and gives its number.
local function start_group(list)
  local job = support.harness.start("setsid", { support.runner, unpack(list) })
  return job
end

function cases.G16_a_signal_of_a_terminal_is_one_wish()
  local path = out()
  local job = start_group(words("127.45.0.0/21", support.peer(), "-r", 500, "-w", 2, "-o", path,
    "--grace", "2s"))
  support.wait_for_lines(path, 100)
  uv.kill(-job.pid, "sigint")
  support.finish(job)
  lu.assertEquals({ job.code, job.signal }, { 75, 0 })
  lu.assertEquals(count_of(job.errors(), "stopping within"), 1)
  lu.assertNotStrContains(job.errors(), "not complete")
  lu.assertEquals(facts(read(path)).torn, false)
end

function cases.G16_a_second_signal_ends_all_at_once()
  local path = out()
  local list = words("127.46.0.7-127", support.peer(), "-r", 0, "-w", 2, "-o", path, "--grace",
    "60s", "--idle-timeout", "60s")
  local job = start(list)
  support.wait_for_lines(path, 60)
  local workers = support.children(job.pid)
  job.kill "sigint"
  support.wait_until(5, "the message", function() return job.errors():find "stopping within" end)
  local sent = support.seconds()
  job.kill "sigint"
  support.finish(job)
  support.wait_until(5, "the end of all", function() return is_over(workers) end)
  lu.assertEquals(job.signal, 2)
  lu.assertTrue(support.seconds() - sent < 0.5 + 0.3, support.seconds() - sent)
end

local PRINTING = [[
local job = require "tcpmulti.job"
job.main {
  on_input = function(cheap)
    local last = cheap.target.host:match "%d+$"
    if last == "8" then error "a fault" end
    if last == "9" then print("seen", last) end
    if last == "10" then io.write "=no result\n#no status\n!no message\nplain\n" io.flush() end
    cheap:shutdown()
  end,
}
]]

function cases.G17_messages_figures_and_exceptions_of_workers_are_the_jobs()
  local path = out()
  local list = words("127.47.0.4-11", support.peer(), "-w", 2, "-o", path)
  list[1], list[#list + 1] = write_job(PRINTING:gsub('"=no result\\n#', '"#')), "--summary"
  list[#list + 1] = path .. ".json"
  local job = run(list)
  lu.assertEquals(job.code, 1, job.errors())
  assert_complete(read(path), 8)
  local errors = job.errors()
  lu.assertEquals(count_of(errors, "stack traceback"), 1)
  lu.assertStrContains(errors, "1 error in the script")
  lu.assertStrMatches(errors, ".*worker [12]: seen\t9\n.*")
  for _, line in ipairs { "#no status", "!no message", "plain" } do
    lu.assertStrMatches(errors, ".*worker [12]: " .. line .. "\n.*")
  end
  lu.assertStrContains(read(path .. ".json"), '"exceptions":1')
end

function cases.G17_a_job_with_workers_shows_one_progress_line()
  local list = words("127.48.0.0/24", support.peer(), "-w", 2, "-r", 60, "-o", "/dev/null")
  list[#list + 1], list[#list + 2] = "--progress", "json"
  local begun, shown = support.seconds(), 0
  local job = run(list)
  lu.assertEquals(job.code, 0, job.errors())
  for line in job.errors():gmatch "[^\n]+" do
    if line:find '^{"done"' then
      shown = shown + 1
      lu.assertStrContains(line, '"total":256')
    end
  end
  local seconds = support.seconds() - begun
  lu.assertTrue(shown >= 2 and shown <= seconds + 1, ("%d in %.1f s"):format(shown, seconds))
end

function cases.what_a_single_job_prints_goes_to_standard_error()
  local list = words("127.49.0.9", support.peer())
  list[1] = write_job(PRINTING)
  local job = run(list)
  assert_complete(job.output(), 1)
  lu.assertStrContains(job.errors(), "seen\t9\n")
end

function cases.only_and_text_are_the_supervisors()
  local port = support.peer()
  local failed = run(words("127.50.0.0/26", port, "-w", 2, "--only", "failed"))
  local whole = run(words("127.50.0.0/26", port))
  local count = 0
  for _, verdict in pairs(facts(whole.output()).verdicts) do
    count = count + (verdict:find "^false" and 1 or 0)
  end
  lu.assertEquals(facts(failed.output()).count, count)
  lu.assertTrue(count > 0 and count < 64)
  local text = run(words("127.50.0.0/28", port, "-w", 2, "-f", "text"))
  lu.assertEquals(count_of(text.output(), "127%.50%.0%.%d+ 220 ready"), 13)
end

function cases.G19_a_slow_reader_is_felt_by_the_workers()
  local command = ("'%s' '%s' 127.51.0.0/18 -p %d -r 0 --per-network 0 --per-host 0 -c 400 "
    .. "--idle-timeout 100ms -q -w 4 | (sleep 4; cat)"):format(support.runner, support.banner,
    support.peer())
  local job = support.harness.start("bash", { "-c", command })
  local most = 0
  support.wait(3500)
  for _, pid in ipairs(support.children(job.pid)) do
    for _, worker in ipairs(support.children(pid)) do
      local size = read(("/proc/%d/status"):format(worker)):match "VmRSS:%s+(%d+)"
      most = math.max(most, tonumber(size) or 0)
    end
    local size = read(("/proc/%d/status"):format(pid)):match "VmRSS:%s+(%d+)"
    most = math.max(most, tonumber(size) or 0)
  end
  lu.assertTrue(most > 1000 and most < 40000, most)
  support.finish(job)
  assert_complete(job.output(), 16384)
end

function cases.G20_lines_of_a_pipe_are_dealt_by_host()
  local lines, port = {}, support.peer()
  for i = 1, 300 do lines[i] = ("127.52.0.%d:%d"):format(i % 50 + 1, port) end
  lines[301], lines[302] = "not a target", "127.52.1.0/30:" .. port
  local directory = support.directory()
  local job = run(words("-", port, "-r", 0, "-w", 2, "--trace", directory .. "/trace"),
    { stdin = table.concat(lines, "\n") .. "\n" })
  lu.assertEquals(job.code, 4, job.errors())
  assert_complete(job.output(), 304)
  lu.assertStrContains(job.errors(), "standard input:301: not a target")
  local owners = {}
  for worker = 1, 2 do
    local count = 0
    for host in read(directory .. "/trace." .. worker):gmatch " (127%.52%.0%.%d+) port" do
      lu.assertTrue(owners[host] == nil or owners[host] == worker)
      owners[host] = worker
      count = count + 1
    end
    lu.assertTrue(count > 0)
  end
end

function cases.G20_a_part_of_a_pipe_has_its_own_lines()
  local lines, port, keys = {}, support.peer(), {}
  for i = 1, 100 do lines[i] = ("127.53.0.%d:%d"):format(i, port) end
  local text = table.concat(lines, "\n")
  for i = 1, 2 do
    local job = run(words("-", port, "-r", 0, "-w", i, "--shard", i .. "/2"), { stdin = text })
    for key in pairs(facts(job.output()).keys) do
      lu.assertNil(keys[key])
      keys[key] = true
    end
  end
  local count = 0
  for _ in pairs(keys) do count = count + 1 end
  lu.assertEquals(count, 100)
end

function cases.a_file_as_standard_input_is_read_by_each_worker()
  local path, port, lines = support.directory() .. "/list", support.peer(), {}
  for i = 1, 64 do lines[i] = "127.54.0." .. i end
  support.write_file(path, table.concat(lines, "\n"))
  local command = ("'%s' '%s' -p %d -r 0 -q -w 2 < '%s'"):format(support.runner, support.banner,
    port, path)
  local job = support.harness.run("bash", { "-c", command })
  assert_complete(job.output(), 64)
end

function cases.G21_workers_need_a_script_in_a_file()
  local job = run({ "-", "-w", 2, "127.0.0.1-9", "-p", 1 }, { stdin = read(support.banner) })
  lu.assertEquals({ job.code, job.output() }, { 2, "" })
  lu.assertStrContains(job.errors(), "the script must be a file")
end

local TWICE = [[
local job = require "tcpmulti.job"
local spec = { on_input = function(cheap) cheap:shutdown() end }
job.run(spec, { "127.0.0.1", "-p", "1", "-q" })
os.exit((job.run(spec, { "127.0.0.1-9", "-p", "1", "-w", "2" })))
]]

function cases.only_the_first_job_of_a_process_has_workers()
  local job = run { write_job(TWICE) }
  lu.assertEquals(job.code, 2, job.errors())
  lu.assertStrContains(job.errors(), "only the first job of a process can have workers")
end

function cases.targets_that_differ_between_workers_end_the_job()
  local list = words("127.55.0.0/24", support.peer(), "-w", 2, "-r", 0)
  list[1] = write_job [[
local job = require "tcpmulti.job"
job.main { seed = os.getenv "TCPMULTI_WORKER" or "none", on_input = function() end }
]]
  local job = run(list)
  lu.assertEquals({ job.code, job.output() }, { 75, "" })
  lu.assertStrContains(job.errors(), "has a file changed?")
end

local SPIN = [[
local uv = require "luv"
local begun, clock = uv.hrtime(), os.clock()
while uv.hrtime() - begun < 3e8 do end
print((os.clock() - clock) / 0.3)
]]

-- How many cores two busy processes get.
local function free_cores()
  local spinners, sum = {}, 0
  for i = 1, 2 do spinners[i] = support.harness.start("luajit", { "-e", SPIN }) end
  for _, spinner in ipairs(spinners) do
    sum = sum + tonumber((support.finish(spinner).output()))
  end
  return sum
end

-- Finished targets in a second of a job without a server: all ports refuse.
local function rate_of(workers, path)
  local job = run(words("127.90.0.0/16", 1, "-r", 0, "-c", 200, "-w", workers, "-o", path,
    "--overwrite", "--summary", path .. ".json"))
  lu.assertEquals(job.code, 0, job.errors())
  local summary = read(path .. ".json")
  return tonumber(summary:match '"done":(%d+)') / tonumber(summary:match '"seconds":([%d.e-]+)')
end

local function median(list)
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

function cases.G22_two_workers_do_half_as_much_again_as_one()
  local path, one, two = out(), {}, {}
  for i = 1, 5 do
    if free_cores() < 1.8 then lu.skip "there are no two free cores" end
    one[i], two[i] = rate_of(1, path), rate_of(2, path)
  end
  print(("# one %.0f/s, two %.0f/s"):format(median(one), median(two)))
  lu.assertTrue(median(two) >= 1.5 * median(one), median(two) / median(one))
end

-- A server of lines, whose times of requests are kept.
local function line_server()
  local times = {}
  local port = support.listen("0.0.0.0", nil, function(client)
    client:read_start(function(_, bytes)
      if not bytes then return client:is_closing() or client:close() end
      for _ in bytes:gmatch "\n" do
        times[#times + 1] = uv.hrtime() / 1e6
        client:write "+PONG\r\n"
      end
    end)
  end)
  return port, times
end

function cases.G39_a_load_in_four_parts_adds_up()
  local port, directory, jobs, files = line_server(), support.directory(), {}, {}
  local at = os.time() + 2
  for i = 1, 4 do
    files[i] = ("%s/%d.json"):format(directory, i)
    jobs[i] = start { "-m", "load", "127.0.0.1:" .. port, "--send", "PING", "--expect", "+PONG",
      "-r", "1k/s", "-c", 8, "-d", "2s", "--warm-up", "500ms", "--shard", i .. "/4", "--start-at",
      at, "--summary", files[i], "-q" }
  end
  local sum, counts = 0, 0
  for i, job in ipairs(jobs) do
    lu.assertEquals(support.finish(job).code, 0)
    local text = read(files[i])
    lu.assertAlmostEquals(tonumber(text:match '"wanted":([%d.]+)'), 250, 1)
    lu.assertAlmostEquals(tonumber(text:match '"done":(%d+)'), 500, 2)
    sum = sum + tonumber(text:match '"done":(%d+)')
    counts = counts + tonumber(text:match '"response":{"count":(%d+)' or 0)
  end
  local merged = directory .. "/all.json"
  local merge = run { "-m", "merge", "-o", directory .. "/all", "--summary", merged, unpack(files) }
  lu.assertEquals(merge.code, 0, merge.errors())
  local text = read(merged)
  lu.assertEquals(tonumber(text:match '"done":(%d+)'), sum)
  lu.assertEquals(tonumber(text:match '"wanted":([%d.]+)'), 1000)
  lu.assertEquals(tonumber(text:match '"response":{"count":(%d+)' or 0), counts)
  lu.assertStrContains(text, '"dropped":0')
  local half = run { "-m", "merge", "-o", directory .. "/half", files[1], files[3] }
  lu.assertEquals(half.code, 75)
  lu.assertStrContains(half.errors(), "merge: missing or cut short: part 2, 4 of 4\n")
end

function cases.a_load_with_workers_is_refused()
  local job = run { "-m", "load", "127.0.0.1:1", "--send", "x", "--expect", "y", "-w", 2 }
  lu.assertEquals(job.code, 2, job.errors())
  lu.assertStrContains(job.errors(), "a load is one process")
end

function cases.G29_begun_with_four_resumed_with_one_and_three()
  local port, path = support.peer(), out()
  local function go(workers, lines)
    local job = start(words("127.56.0.0/22", port, "-r", 1000, "-w", workers, "-o", path,
      "--resume", "--grace", "1s"))
    support.wait_for_lines(path, lines)
    job.kill "sigterm"
    return support.finish(job)
  end
  lu.assertEquals(go(4, 200).code, 75)
  lu.assertEquals(go(1, 500).code, 75)
  local last = run(words("127.56.0.0/22", port, "-r", 0, "-w", 3, "-o", path, "--resume"))
  lu.assertEquals(last.code, 0, last.errors())
  assert_complete(read(path), 1024)
  local again = support.harness.run("strace", { "-f", "-e", "trace=connect", "-o", path .. ".calls",
    support.runner, unpack(words("127.56.0.0/22", port, "-w", 2, "-o", path, "--resume")) })
  lu.assertEquals(again.code, 0, again.errors())
  lu.assertNotStrContains(read(path .. ".calls"), "sin_port")
end

support.main(cases)
