-- SPDX-License-Identifier: MIT
-- Jobs as programs: what comes in, what goes out, and how they end.
local harness = require "scripts.harness"
local lu = require "luaunit"
local uv = require "luv"

local cases = harness.cases "JobProgram"
local runner = arg[1]
local source = os.getenv "TCPM_SOURCE" .. "/tests/jobs/scripts/"

local BANNER = "banner=220 ready"

-- Words of the runner for a script of this folder. peer: mode of the practice peer, or nil.
local function words_of(script, peer, args)
  local words = peer and { "--peer", peer } or {}
  words[#words + 1] = source .. script .. ".lua"
  for _, word in ipairs(args) do words[#words + 1] = word end
  return words
end

local function start(script, peer, args, options)
  return harness.start(runner, words_of(script, peer, args), options)
end

local function run(script, peer, args, options)
  return harness.finish(start(script, peer, args, options))
end

local function quoted(words)
  local list = {}
  for i, word in ipairs(words) do list[i] = "'" .. word:gsub("'", "'\\''") .. "'" end
  return table.concat(list, " ")
end

-- The job inside of a command of bash, where JOB stands for it.
local function bash(command, script, peer, args)
  local job = quoted { runner, unpack(words_of(script, peer, args)) }
  return harness.run("bash", { "-c", (command:gsub("JOB", function() return job end)) })
end

local function lines_of(text)
  local list = {}
  for line in text:gmatch "([^\n]*)\n" do list[#list + 1] = line end
  return list
end

local function count_of(text, pattern) return select(2, text:gsub(pattern, "")) end

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function write_temporary(text)
  local path = harness.directory() .. "/file"
  harness.write_file(path, text)
  return path
end

local function assert_whole(text)
  for _, line in ipairs(lines_of(text)) do lu.assertStrMatches(line, '{"key":".*}') end
  lu.assertEquals(text == "" and "\n" or text:sub(-1), "\n")
end

local ALL = "127.0.0.1-127.0.0.32"

-- ---- what comes in ----

function cases.a_job_is_done()
  local job = run("banner", BANNER, { ALL })
  lu.assertEquals(job.code, 0)
  assert_whole(job.output())
  lu.assertEquals(count_of(job.output(), '"data":{"banner":"220 ready\\r\\n"}'), 32)
  lu.assertStrContains(job.errors(), "32 targets")
end

function cases.J4_a_host_without_a_port_is_malformed()
  local job = run("banner", nil, { "127.0.0.1" })
  lu.assertEquals(job.code, 4)
  lu.assertStrContains(job.errors(), "argument:1: 127.0.0.1: no port, and no --ports")
end

function cases.J4_a_file_in_the_place_of_a_target_is_told_where_it_belongs()
  local path = write_temporary "127.0.0.1\n"
  local job = run("banner", nil, { path })
  lu.assertEquals(job.code, 4)
  lu.assertStrContains(job.errors(), "; a file of targets is given by --targets\n")
end

function cases.J6_what_is_excluded_is_not_connected_to()
  local job = run("banner", BANNER, { "127.0.0.1-3", "named.test", "-q", "-x", "127.0.0.2", "-x",
    "named.test" })
  lu.assertEquals(job.code, 0)
  lu.assertEquals(count_of(job.output(), '"host":"127.0.0.[13]"'), 2)
  lu.assertEquals(count_of(job.output(), '"host":"127.0.0.2"'), 0)
end

function cases.J8_more_targets_than_numbers()
  local job = run("banner", nil, { "[::/1]:80", "-x", "/dev/null" })
  lu.assertEquals(job.code, 2)
  lu.assertStrContains(job.errors(), "more than 9007199254740991")
end

function cases.J9_many_public_addresses_want_an_exclusion()
  local words = { "8.0.0.0/15", "-p", "80", "--dry-run" }
  lu.assertEquals(run("banner", nil, words).code, 2)
  words[5], words[6] = "-x", "/dev/null"
  lu.assertEquals(run("banner", nil, words).code, 0)
end

for name, row in pairs {
  ["a port that is none"] = { { "127.0.0.1", "-p", "22,no-such" },
    "banner.lua: --ports: 'no-such' is neither a port nor a service\n" },
  ["authorities without TLS"] = { { "127.0.0.1:1", "--ca", "/dev/null" },
    "banner.lua: --ca: no certificate is looked at without --tls\n" },
  ["certificates that nobody looks at"] = { { "127.0.0.1:1", "--insecure" },
    "banner.lua: --insecure: no certificate is looked at without --tls\n" },
} do
  cases["J63_" .. name .. " end it before it begins"] = function()
    local job = run("banner", nil, row[1])
    lu.assertEquals({ job.code, job.output(), job.errors() }, { 2, "", row[2] })
  end
end

-- It may be set once for all jobs of a machine.
function cases.authorities_in_the_environment_are_for_jobs_with_TLS()
  local job = bash("TCPMULTI_CA=/dev/null TCPMULTI_INSECURE=1 JOB", "banner", BANNER, { ALL, "-q" })
  lu.assertEquals({ job.code, #lines_of(job.output()) }, { 0, 32 })
end

function cases.J11_malformed_lines_are_named_and_the_rest_is_done()
  local text = { "127.0.0.1" }
  for i = 1, 12 do text[#text + 1] = "bad line " .. i end
  local path = write_temporary(table.concat(text, "\n") .. "\n")
  local job = run("banner", BANNER, { "-t", path })
  lu.assertEquals(job.code, 4)
  lu.assertEquals(#lines_of(job.output()), 1)
  lu.assertStrContains(job.errors(), path .. ":2: bad line 1: ")
  lu.assertEquals(count_of(job.errors(), ": bad line %d+: "), 10)
  lu.assertStrContains(job.errors(), "2 more malformed lines")
  local strict = run("banner", BANNER, { "-t", path, "--strict" })
  lu.assertEquals({ strict.code, strict.output() }, { 2, "" })
end

for name, words in pairs {
  ["a file of targets that is not there"] = { "-t", "/nonexistent/list" },
  ["a folder"] = { "-t", "/" },
  ["a folder of the output that is not there"] = { "127.0.0.1:1", "-o", "/nonexistent/out" },
  ["a folder of the summary that is not there"] = { "127.0.0.1:1", "--summary", "/nonexistent/s" },
  ["a folder of the report that is not there"] = { "127.0.0.1:1", "--report", "/nonexistent/r" },
} do
  cases["J12_" .. name] = function()
    local job = run("banner", nil, words)
    lu.assertEquals({ job.code, job.output() }, { 2, "" })
    lu.assertStrContains(job.errors(), words[#words])
  end
end

function cases.J14_a_name_twice_is_asked_once()
  local words = { "a.invalid:1", "A.invalid:1", "-q" }
  lu.assertEquals(#lines_of(run("banner", nil, words).output()), 1)
  words[4] = "--keep-duplicates"
  local lines = lines_of(run("banner", nil, words).output())
  lu.assertEquals(#lines, 2)
  lu.assertNotEquals(lines[1]:match '"key":"(.-)"', lines[2]:match '"key":"(.-)"')
end

function cases.J15_a_file_as_standard_input_is_a_file()
  local path = write_temporary "127.0.0.1:1\n127.0.0.2:1\n"
  local named = run("banner", nil, { "-t", path, "-q" })
  local fed = bash("JOB < " .. path, "banner", nil, { "-q" })
  local function keys(job)
    local list = {}
    for _, line in ipairs(lines_of(job.output())) do list[#list + 1] = line:match '"key":"(.-)"' end
    table.sort(list)
    return list
  end
  lu.assertEquals(#keys(named), 2)
  lu.assertEquals(keys(named), keys(fed))
end

function cases.J15_a_pipe_is_used_before_its_end()
  local job = bash("(echo 127.0.0.1; sleep 1.5; echo 127.0.0.2) | JOB", "banner", BANNER, { "-q" })
  local times = {}
  for _, line in ipairs(lines_of(job.output())) do
    times[#times + 1] = tonumber(line:match '"time":([%d.]+)')
  end
  lu.assertEquals(#times, 2)
  lu.assertTrue(times[2] - times[1] > 1, times[2] - times[1])
end

for _, words in ipairs { { "--resume", "-o", "/nonexistent" }, { "--order", "random" },
  { "--strict" } } do
  cases["J17_a_pipe_with_" .. words[1]] = function()
    local job = bash("echo 127.0.0.1 | JOB", "banner", BANNER, words)
    lu.assertEquals(job.code, 2)
    lu.assertStrContains(job.errors(), "standard input is a pipe; save it to a file")
  end
end

function cases.J23_no_targets()
  local empty = run("banner", nil, { "-t", "/dev/null" })
  lu.assertEquals({ empty.code, empty.output() }, { 0, "" })
  lu.assertStrContains(empty.errors(), "0 targets")
  local job = harness.run("script", { "-q", "-e", "-c",
    quoted { runner, source .. "banner.lua" }, "/dev/null" })
  lu.assertEquals(job.code, 2)
  lu.assertStrContains(job.output(), "which targets?")
end

function cases.J24_a_dry_run_shows_the_plan()
  local job = run("banner", nil, { "127.0.0.0/24", "-p", "1-10", "--dry-run" })
  lu.assertEquals(job.code, 0)
  local lines = lines_of(job.output())
  lu.assertStrMatches(lines[1], "plan %x+: 2560 targets, 0 duplicates, 0 excluded, 0 malformed; "
    .. "part 1 of 1: 2560")
  lu.assertEquals(#lines, 6)
  for i = 2, 6 do lu.assertStrMatches(lines[i], "  127%.0%.0%.%d+ port %d+") end
end

function cases.J39_a_listener_whose_queue_was_full_answers_the_second_syn()
  local port, close, accept_all = harness.full_listener "127.0.0.1"
  local job = harness.start(runner, { "-m", "portscan", "-q", "-f", "jsonl", "-p", port,
    "--connect-timeout", "10s", "127.0.0.1" })
  harness.wait(300)
  accept_all()
  harness.finish(job)
  close()
  local connect = tonumber(job.output():match '"connect":(%d+)')
  lu.assertTrue(connect >= 1000000 and connect < 1100000 + 200000, job.output())
end

-- ---- what goes out ----

function cases.J46_an_error_of_the_script_is_that_of_its_target()
  local job = run("failing", BANNER, { "127.0.0.1-16", "--at", "%.4" })
  lu.assertEquals(job.code, 1)
  lu.assertEquals(#lines_of(job.output()), 16)
  lu.assertEquals(count_of(job.output(), '"ok":true'), 15)
  lu.assertEquals(count_of(job.output(), '"error":{"op":"script","name":"ESCRIPT"'), 1)
  lu.assertStrContains(job.errors(), "failing.lua:10: a fault\nstack traceback:")
end

function cases.J46_after_so_many_errors_the_job_stops()
  local job = run("failing", BANNER, { ALL, "-c", "1", "--max-exceptions", "5", "-q" })
  lu.assertEquals({ job.code, #lines_of(job.output()) }, { 1, 5 })
  lu.assertEquals(count_of(job.errors(), "stack traceback"), 1)
end

function cases.J47_a_line_is_seen_soon()
  local job = start("banner", BANNER, { ALL, "-r", "2/s", "-q" })
  local late = 0
  for n = 1, 3 do
    harness.wait_until(10, "a line", function() return #lines_of(job.output()) >= n end)
    local seconds, microseconds = uv.gettimeofday()
    local time = tonumber(lines_of(job.output())[n]:match '"time":([%d.]+)')
    late = math.max(late, seconds + microseconds / 1e6 - time)
  end
  lu.assertTrue(late <= 0.25 + 0.15, late)
end

function cases.J48_a_slow_reader_gets_all_lines()
  local job = bash("JOB | (sleep 1.5; cat)", "banner", "discard", { ALL, "--idle-timeout", "300ms",
    "-q" })
  local lines = lines_of(job.output())
  lu.assertEquals(#lines, 32)
  for _, line in ipairs(lines) do
    lu.assertTrue(tonumber(line:match '"total":(%d+)') < 700000, line)
  end
end

function cases.J49_a_reader_that_goes_ends_the_job_quietly()
  local job = bash("JOB | head -3 >/dev/null; echo ${PIPESTATUS[0]}", "banner", BANNER,
    { ALL, "-r", "20/s", "--progress", "none" })
  lu.assertEquals({ job.output(), job.errors() }, { "141\n", "" })
end

function cases.J50_an_output_that_cannot_be_written()
  local job = run("banner", BANNER, { ALL, "-o", "/dev/full" })
  lu.assertEquals(job.code, 74)
  lu.assertStrContains(job.errors(), "No space left on device; 0 whole lines are written\n")
end

-- The attempts are repeated all the same: somebody may be about to add the address.
for name, words in pairs { one = {}, workers = { "-w", 2, "127.0.0.2:1" } } do
  cases["a_local_address_that_is_none_of_this_machine_is_told_by_" .. name] = function()
    local job = run("banner", nil, { "127.0.0.1:1", "--source", "192.0.2.1", "--max-time", "500ms",
      "--grace", 0, unpack(words) })
    lu.assertEquals(job.code, 75)
    lu.assertEquals(count_of(job.errors(), "a local address that %-%-source gives is none of this "
      .. "machine %(EADDRNOTAVAIL%)"), 1)
    lu.assertStrContains(job.errors(), "banner.lua: 0 targets done, and not all\n")
  end
end

function cases.J51_results_are_not_thrown_away_by_accident()
  local path = write_temporary ""
  lu.assertEquals(run("banner", BANNER, { "127.0.0.1", "-o", path }).code, 0)
  local again = run("banner", BANNER, { "127.0.0.1", "-o", path })
  lu.assertEquals(again.code, 2)
  lu.assertStrContains(again.errors(), "give --resume or --overwrite")
  lu.assertEquals(run("banner", BANNER, { "127.0.0.2", "-o", path, "--overwrite" }).code, 0)
  lu.assertEquals(count_of(read_file(path), '"host":"127.0.0.2"'), 1)
  lu.assertEquals(#lines_of(read_file(path)), 1)
end

function cases.J51_two_processes_do_not_write_one_file()
  local path = write_temporary ""
  local first = start("banner", "discard", { "127.0.0.1", "-o", path, "--idle-timeout", "3s" })
  harness.wait(300)
  local second = run("banner", "discard", { "127.0.0.1", "-o", path, "--resume" })
  lu.assertEquals(second.code, 75)
  lu.assertStrContains(second.errors(), "another process")
  first.kill "sigkill"
end

function cases.J52_text_is_harmless()
  local job = run("banner", "banner=\\x1b[31m red", { "127.0.0.1-2", "127.0.0.1:1", "-q", "-f",
    "text" })
  local lines = lines_of(job.output())
  table.sort(lines)
  lu.assertEquals(lines[1], "127.0.0.1 \\u001B[31m red\\u000D\\u000A")
  lu.assertEquals(#lines, 2)
end

function cases.J52_only_some_have_a_line_and_all_count()
  local job = run("banner", BANNER, { "127.0.0.1-2", "127.0.0.1:1", "--only", "failed",
    "--progress", "none" })
  lu.assertEquals(count_of(job.output(), '"ok":false'), 1)
  lu.assertEquals(#lines_of(job.output()), 1)
  lu.assertStrContains(job.errors(), "3 targets")
end

function cases.J52_ports_that_accept_have_a_line()
  local address = harness.address()
  local port = harness.listen(address)
  local job = harness.script("portscan.lua", { address, "-p", port .. ",1-20", "-q" })
  lu.assertEquals({ job.code, job.output() }, { 0, address .. " " .. port .. "\n" })
end

function cases.J57_a_threshold_that_holds()
  local directory = harness.directory()
  local job = run("banner", BANNER, { "127.0.0.1", "127.0.0.1:1", "--fail-if", "error_rate > 10%",
    "--fail-if", "p99(connect) > 10s", "--summary", directory .. "/s",
    "--report", directory .. "/r" })
  lu.assertEquals(job.code, 3)
  lu.assertStrContains(job.errors(), "FAILED: error_rate > 10% (50 %)")
  lu.assertStrContains(read_file(directory .. "/s"), '"failed":true')
  lu.assertStrContains(read_file(directory .. "/r"), "error_rate &gt; 10%")
end

function cases.J57_a_threshold_that_is_misspelt()
  local job = run("banner", BANNER, { "127.0.0.1", "--fail-if", "p99(conect) > 1ms" })
  lu.assertEquals({ job.code, job.output() }, { 2, "" })
  lu.assertStrContains(job.errors(), "'conect' is no phase (did you mean 'connect'?)")
end

function cases.J59_quiet_says_nothing()
  lu.assertEquals(run("banner", BANNER, { "127.0.0.1", "-q" }).errors(), "")
end

function cases.J59_progress_on_a_terminal_is_one_line()
  local job = harness.run("script", { "-q", "-e", "-c",
    quoted { runner, unpack(words_of("banner", BANNER, { ALL, "-r", "40/s", "-o", "/dev/null" })) },
    "/dev/null" })
  lu.assertStrContains(job.output(), "\r\27[K")
  lu.assertStrMatches(job.output(), ".* of 32, .*")
end

function cases.J63_a_wrong_option_is_told()
  local job = run("banner", BANNER, { "--concurency", "5", "127.0.0.1" })
  lu.assertEquals(job.code, 2)
  lu.assertStrContains(job.errors(), "--concurrency")
end

function cases.a_wrong_proxy_is_told_with_its_option()
  local job = run("banner", BANNER, { "127.0.0.1", "--proxy", "nonsense" })
  lu.assertEquals(job.code, 2)
  lu.assertStrMatches(job.errors(), "banner.lua: %-%-proxy: .*\n")
end

function cases.a_trace_shows_each_phase()
  local path = harness.directory() .. "/trace"
  lu.assertEquals(run("banner", BANNER, { "127.0.0.1", "--trace", path, "-q" }).code, 0)
  local text = read_file(path)
  lu.assertStrMatches(text, ".* 127%.0%.0%.1 port %d+: waiting\n.*")
  lu.assertStrMatches(text, ".* at 127%.0%.0%.1: %l+ %-> open\n.*")
  lu.assertStrMatches(text, ".*%-> closed, shutdown\n")
end

-- ---- how it ends ----

local SLOW = { ALL, "-r", "20/s" }

local function slow(...)
  local words = { unpack(SLOW) }
  for _, word in ipairs { ... } do words[#words + 1] = word end
  return words
end

local function wait_for_lines(read, count)
  harness.wait_until(20, "lines", function() return #lines_of(read()) >= count end)
end

function cases.J66_a_signal_stops_a_job_that_can_be_resumed()
  local path = harness.directory() .. "/out"
  local job = start("banner", BANNER, slow("-o", path, "--resume"))
  wait_for_lines(function()
    local file = io.open(path)
    local text = file and file:read "*a" or ""
    if file then file:close() end
    return text
  end, 4)
  job.kill "sigint"
  harness.finish(job)
  lu.assertEquals({ job.code, job.signal }, { 75, 0 })
  local text = read_file(path)
  assert_whole(text)
  local count = #lines_of(text)
  lu.assertTrue(count >= 4 and count < 32, count)
  lu.assertStrContains(job.errors(), "cut short by a signal")
  lu.assertStrContains(job.errors(), "the same command with --resume goes on")
  local port = text:match '"port":(%d+)'
  local rest = run("banner", BANNER, { ALL, "-p", port, "-o", path, "--resume" })
  lu.assertEquals({ rest.code, #lines_of(read_file(path)) }, { 0, 32 })
end

for _, row in ipairs { { "sigterm", 15 }, { "sigint", 2 }, { "sighup", 1 } } do
  cases["J66_without_a_file_the_job_dies_by_" .. row[1]] = function()
    local job = start("banner", BANNER, SLOW)
    wait_for_lines(job.output, 2)
    job.kill(row[1])
    harness.finish(job)
    lu.assertEquals(job.signal, row[2])
    assert_whole(job.output())
  end
end

function cases.J66_a_signal_that_is_ignored_stays_ignored()
  local job = bash("trap '' HUP; JOB & sleep 0.7; kill -HUP $!; wait $!", "banner", BANNER,
    { "127.0.0.1-16", "-r", "16/s", "-q" })
  lu.assertEquals({ job.code, #lines_of(job.output()) }, { 0, 16 })
end

function cases.J67_what_is_open_beyond_the_grace_is_cut()
  local path = harness.directory() .. "/out"
  local job = start("banner", "discard", { ALL, "-o", path, "--grace", "300ms", "--progress",
    "json" })
  harness.wait_until(20, "open connections", function() return job.errors():find '"open":32' end)
  local begun = uv.hrtime()
  job.kill "sigterm"
  harness.finish(job)
  lu.assertEquals(job.code, 75)
  lu.assertTrue((uv.hrtime() - begun) / 1e9 < 0.3 + 1)
  lu.assertStrContains(job.errors(), "32 cut")
  lu.assertEquals(read_file(path), "")
end

for _, row in ipairs { { "sigint", 2 }, { "sigterm", 15 } } do
  cases["J68_a_second_" .. row[1] .. "_ends_at_once"] = function()
    local job = start("banner", "discard", { ALL, "-o", harness.directory() .. "/out", "--progress",
      "json" })
    harness.wait_until(20, "open connections", function() return job.errors():find '"open":32' end)
    job.kill "sigint"
    harness.wait_until(10, "the message", function() return job.errors():find "stopping" end)
    harness.wait(100)
    job.kill(row[1])
    local begun = uv.hrtime()
    harness.finish(job)
    lu.assertEquals(job.signal, row[2])
    lu.assertTrue((uv.hrtime() - begun) / 1e9 < 0.3 + 0.5)
  end
end

function cases.J68_a_time_for_all_stops_it_in_order()
  local directory = harness.directory()
  local job = run("banner", BANNER, slow("--max-time", "500ms", "-o", directory .. "/out",
    "--summary", directory .. "/summary"))
  lu.assertEquals(job.code, 75)
  lu.assertStrContains(read_file(directory .. "/summary"), '"reason":"max_time"')
  lu.assertEquals(run("banner", BANNER, slow("--max-time", "500ms", "-q")).code, 75)
end

harness.main(cases)
