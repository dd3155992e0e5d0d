-- SPDX-License-Identifier: MIT
-- Loads as programs, against redis-server, which is stopped for a while, and against nginx.
local harness = require "scripts.harness"
local json = require "cjson"
local lu = require "luaunit"
local servers = require "scripts.servers"
local uv = require "luv"

local cases = harness.cases "LoadProgram"
local runner = arg[1]

local function start(script, words)
  return harness.start(runner, { "-m", script, "--progress", "none", unpack(words) })
end

local function run(script, words) return harness.finish(start(script, words)) end

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function counted(load)
  local ok, failed = load.errors():match ": (%d+) ok, (%d+) failed\n"
  return tonumber(ok), tonumber(failed)
end

-- A summary and the path that it is read from.
local function with_figures(words)
  local path = harness.directory() .. "/figures"
  words[#words + 1], words[#words + 2] = "--summary", path
  return words, function() return json.decode(read_file(path)) end
end

local UNITS = { us = 1e-6, ms = 1e-3, s = 1 }

-- Seconds of a phase in the table of times: median and 99th percentile.
local function times_of(load, phase)
  local row = load.errors():match("\n  " .. phase .. " ([^\n]*)")
  local times = {}
  for number, unit in row:gmatch "([%d.]+) (%a+)" do times[#times + 1] = number * UNITS[unit] end
  return times[2], times[4]
end

-- ---- a line protocol ----

function cases.J72_a_server_that_stands_still_shows_in_the_response_and_not_in_the_service()
  local port, server = servers.redis()
  local load = start("load", { "127.0.0.1:" .. port, "-r", "5k/s", "-d", "4s", "--send", "PING",
    "--expect", "+PONG", "--fail-if", "p99(response) > 300ms", "--fail-if",
    "median(service) > 50ms" })
  harness.wait(2500)
  server.kill "sigstop"
  harness.wait(500)
  server.kill "sigcont"
  harness.finish(load)
  local response, slow_response = times_of(load, "response")
  local service, slow_service = times_of(load, "service")
  assert(slow_response >= 0.4, load.errors())
  assert(service < 0.05 and slow_service < 0.4 and response < 0.3, load.errors())
  local ok, failed = counted(load)
  lu.assertAlmostEquals(ok, 20000, 2)
  lu.assertEquals(failed, 0)
  lu.assertStrContains(load.errors(), ": 0 dropped, 0 unfinished\n")
  lu.assertStrContains(load.errors(), "FAILED: p99(response) > 300ms")
  lu.assertStrContains(load.errors(), "passed: median(service) > 50ms")
  lu.assertEquals(load.code, 3)
end

function cases.J77_redis_answers_pipelines_of_sixteen()
  local load = run("load", { "127.0.0.1:" .. servers.redis(), "-r", 0, "-d", "500ms", "-c", 4,
    "--pipeline", 16, "--expect", "+PONG" })
  local ok, failed = counted(load)
  assert(ok > 1000 and failed == 0, load.errors())
  lu.assertEquals(load.code, 0)
end

-- What redis_ping.lua does, without a script of its own.
function cases.J82_redis_ping_is_a_load()
  local port = servers.redis()
  local load = run("load", { "127.0.0.1:" .. port, "-c", 200, "-r", "2k/s", "-d", "1s",
    "--send", "PING", "--expect", "+PONG" })
  local ok, failed = counted(load)
  lu.assertEquals({ load.code, failed }, { 0, 0 }, load.errors())
  local told = harness.run("redis-cli", { "-p", port, "INFO", "ALL" }).output()
  local pings = tonumber(told:match "\ncmdstat_ping:calls=(%d+)")
  local clients = tonumber(told:match "\ntotal_connections_received:(%d+)")
  assert(ok > 1500 and pings >= ok, told)
  assert(clients >= 200, told)
end

function cases.an_answer_that_is_not_expected_is_a_failure_of_its_kind()
  local load = run("load", { "127.0.0.1:" .. servers.redis(), "-r", "200/s", "-d", "500ms",
    "--warm-up", 0, "--send", "NONSENSE", "--expect", "+", "--fail-if", "error_rate > 1%" })
  lu.assertEquals({ counted(load) }, { 0, 100 })
  lu.assertStrContains(load.errors(), "answer -ERR unknown command")
  lu.assertEquals(load.code, 3)
end

function cases.a_signal_ends_a_load_in_order()
  local words, figures = with_figures { "127.0.0.1:" .. servers.redis(), "-d", "1h" }
  local load = start("load", words)
  harness.wait(1500)
  load.kill "sigint"
  harness.finish(load)
  lu.assertEquals(load.signal, 2)
  lu.assertStrContains(load.errors(), "cut short by a signal")
  local told = figures()
  lu.assertEquals({ told.partial, told.reason, told.failed }, { true, "signal", 0 })
  assert(told.ok >= 200 and told.load.wanted == 1000, load.errors())
end

function cases.J68_a_second_signal_ends_a_load_at_once()
  local port = harness.listen("127.0.0.1", nil, function() end) -- never answers
  local load = start("load", { "127.0.0.1:" .. port, "-c", 300, "-r", "100/s", "--warm-up", 0, "-d",
    "1h", "--progress", "json" })
  harness.wait_until(10, "requests", function() return load.errors():find '"open":300' end)
  harness.wait(200)
  load.kill "sigint"
  harness.wait_until(10, "the message", function() return load.errors():find "stopping" end)
  harness.wait(100)
  load.kill "sigint"
  local begun = uv.hrtime()
  harness.finish(load)
  lu.assertEquals(load.signal, 2)
  assert((uv.hrtime() - begun) / 1e9 < 0.3 + 0.5)
  lu.assertNotStrContains(load.errors(), "traceback")
end

function cases.where_nobody_listens_connections_are_not_called_too_few()
  local load = run("load", { "127.0.0.1:1", "-r", "100/s", "-d", "200ms", "--warm-up", 0,
    "--max-backlog", "50ms" })
  lu.assertEquals(load.code, 0)
  lu.assertStrContains(load.errors(), "20 dropped: no connection was established\n")
  lu.assertStrContains(load.errors(), "connect ECONNREFUSED")
end

function cases.a_dry_run_says_what_would_be_done()
  local load = run("load", { "127.0.0.1:1", "-r", "5k/s", "-d", "10s", "--dry-run" })
  lu.assertEquals(load.output(), "5000 requests a second, measured for 10 s after 1 s, over 50 "
    .. "connections to 127.0.0.1 port 1\n")
  lu.assertEquals({ load.code, load.errors() }, { 0, "" })
end

function cases.help_has_the_options_of_loads_and_no_others()
  local help = run("load", { "--help" }).output()
  for _, option in ipairs { "--duration", "--warm-up", "--arrivals", "--max-backlog", "--pipeline",
    "--send", "--expect", "--fail-if" } do
    lu.assertStrContains(help, option)
  end
  for _, option in ipairs { "--resume", "--retries", "--per-host", "--output" } do
    lu.assertNotStrContains(help, option)
  end
end

function cases.a_report_speaks_of_requests()
  local path = harness.directory() .. "/report.html"
  local load = run("load", { "127.0.0.1:" .. servers.redis(), "-r", "500/s", "-d", "300ms",
    "--warm-up", 0, "--report", path })
  lu.assertEquals(load.code, 0, load.errors())
  local text = read_file(path)
  lu.assertStrContains(text, "150 requests in 0.30 s")
  lu.assertStrContains(text, "<h2>Requests per second</h2>")
  lu.assertStrContains(text, "wanted 500/s")
  lu.assertNotStrContains(text, "target")
end

-- ---- HTTP ----

local function certificate()
  local directory = harness.directory()
  local made = harness.run("openssl", { "req", "-x509", "-newkey", "ec", "-pkeyopt",
    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=load.test", "-keyout",
    directory .. "/key", "-out", directory .. "/chain" })
  lu.assertEquals(made.code, 0, made.errors())
  return { read_file(directory .. "/chain"), read_file(directory .. "/key") }
end

for name, has_tls in pairs { plain = false, by_TLS = true } do
  cases["nginx_gets_the_rate_over_connections_that_are_kept_" .. name] = function()
    local port = servers.nginx({ ["a.txt"] = ("x"):rep(1000) }, has_tls and certificate() or nil)
    local words, figures = with_figures { "127.0.0.1:" .. port, "-r", "500/s", "-d", "1s",
      "--warm-up", "200ms", "-c", 5, "--path", "/a.txt" }
    if has_tls then words[#words + 1], words[#words + 2] = "--tls", "--insecure" end
    local load = run("load_http", words)
    lu.assertEquals({ counted(load) }, { 500, 0 }, load.errors())
    lu.assertEquals(load.code, 0)
    local told = figures()
    lu.assertEquals({ told.attempts, told.us.connect.count }, { 5, 5 })
    lu.assertEquals(told.us.tls and told.us.tls.count or 0, has_tls and 5 or 0)
    assert(told["in"] > 600 * 1000)
  end
end

function cases.statuses_of_failure_are_counted()
  local port = servers.nginx { ["a.txt"] = "x" }
  local load = run("load_http", { "127.0.0.1:" .. port, "-r", "100/s", "-d", "200ms", "--warm-up",
    0, "--path", "/b.txt" })
  lu.assertEquals({ counted(load) }, { 0, 20 })
  lu.assertStrContains(load.errors(), "20  status 404\n")
end

harness.main(cases)
