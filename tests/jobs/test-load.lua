-- SPDX-License-Identifier: MIT
-- Loads inside of the program under test, against peers of the test.
local lu = require "luaunit"
local job = require "tcpmulti.job"
local summary = require "tcpmulti.summary"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"
local whole = require "jobs.whole"

local cases = support.cases "Load"

local ECHO = 'loop 0; recv line; send "x\\n"; end'

-- The table of a load whose requests and answers are lines. changes: further fields.
local function lines(changes)
  local spec = {
    filter = "line",
    load = { request = "ping" },
    on_input = function(cheap, line) job.reply(cheap, line == "x", "not x") end,
  }
  for name, value in pairs(changes or {}) do spec[name] = value end
  return spec
end

local function swarm() return "127.0.0.1:" .. support.swarm("echo", 1):port() end

local function echoed()
  return lines { on_input = function(cheap) job.reply(cheap) end }
end

-- A percentile of a phase, in seconds.
local function percentile(result, phase, p)
  return result.summary.us[phase]:percentile(p) / 1e6
end

local MOST_RUNS = 60

-- Runs until check(result) is true, several times where other processes disturb.
local function in_some_run(run, check)
  local result
  for _ = 1, MOST_RUNS do
    result = run()
    if check(result) then return result end
  end
  lu.fail("not once as it should be: " .. result.errors)
end

local function arrivals_of(figures)
  return figures.done + figures.load.dropped + figures.load.unfinished
end

-- ---- what is measured ----

function cases.J70_all_arrivals_of_the_time_that_is_measured_and_no_others()
  local peer = support.swarm("echo", 1)
  local result = whole.load(echoed(), "127.0.0.1:" .. peer:port(), "-r", "2k/s", "-d", "4s",
    "--warm-up", "500ms", "-c", 20)
  local figures = result.figures
  lu.assertEquals(result.status, 0, result.errors)
  support.within(arrivals_of(figures), 7998, 8002, "arrivals measured")
  lu.assertEquals(figures.us.response.count, figures.ok)
  lu.assertEquals(figures.us.service.count, figures.ok)
  support.within(figures.us.late.count, 3999, 4001, "ticks measured")
  lu.assertEquals({ figures.load.wanted, figures.load.duration, figures.load.warm_up },
    { 2000, 4, 0.5 })
  assert(peer:stats().received >= 9000 * 6 - 100, "the warm-up sends requests too")
end

function cases.J73_what_one_connection_does_not_manage_is_dropped_and_counted()
  local result = whole.load(lines(), whole.target 'loop 0; recv line; sleep 10; send "x\\n"; end',
    "-r", "1k/s", "-d", "1s", "--warm-up", "0", "-c", 1, "--max-backlog", "200ms")
  local load = result.figures.load
  support.within(load.dropped, 600, 1000, "dropped")
  lu.assertEquals(arrivals_of(result.figures), 1000)
  support.within(percentile(result, "response", 100), 0.15, 0.6, "the longest response")
  local _, count = result.errors:gsub("%d+ dropped: 1 connections were not enough", "")
  lu.assertEquals(count, 1, result.errors)
end

function cases.J73_what_is_not_answered_within_the_grace_is_unfinished()
  local result = whole.load(lines(), whole.target "freeze", "-r", "100/s", "-d", "300ms",
    "--warm-up", "0", "-c", 3, "--max-backlog", "10s", "--grace", "200ms")
  lu.assertEquals({ result.figures.done, result.figures.load.unfinished }, { 0, 30 })
  lu.assertStrContains(result.errors, "not one request was answered well")
end

function cases.a_request_without_an_answer_fails_after_its_time()
  local result = whole.load(lines(), whole.target "freeze", "-r", "100/s", "-d", "500ms",
    "--warm-up", "0", "-c", 100, "--idle-timeout", "200ms")
  lu.assertEquals(result.figures.failed, 50)
  lu.assertEquals(result.figures.errors, { ["fail ETIMEDOUT"] = 50 })
end

function cases.bad_answers_are_counted_by_kind_and_have_no_latency()
  local result = whole.load(lines(), whole.target [[loop 0
    recv line; send "x\n"; recv line; send "y\n"; end]], "-r", "1k/s", "-d", "500ms", "--warm-up",
    "0", "-c", 1)
  local figures = result.figures
  lu.assertEquals(figures.ok + figures.failed, 500)
  support.within(figures.failed, 200, 300, "bad ones")
  lu.assertEquals(figures.errors, { ["not x"] = figures.failed })
  lu.assertEquals(figures.us.service.count, figures.ok)
end

-- ---- what the latencies say ----

function cases.J74_on_an_idle_server_response_and_service_are_near_each_other()
  in_some_run(function()
    return whole.load(echoed(), swarm(), "-r", "2k/s", "-d", "100ms", "--warm-up", "50ms")
  end, function(result)
    return percentile(result, "response", 50) - percentile(result, "service", 50) <= 150e-6
      and percentile(result, "late", 99) <= 500e-6
  end)
end

function cases.J75_the_load_says_so_when_it_was_late_itself()
  local answers = 0
  local function block(cheap)
    answers = answers + 1
    local start = tcpmulti.now()
    while answers == 500 and tcpmulti.now() < start + 0.05 do end
    job.reply(cheap)
  end
  local result = whole.load(lines { on_input = block }, swarm(), "-r", "1k/s", "-d", "1s",
    "--warm-up", "0")
  support.within(percentile(result, "late", 100), 0.045, 1, "the latest tick")
  lu.assertStrContains(result.errors, "this machine was late itself: 1 % of its ticks by ")
  assert(percentile(result, "response", 100) >= 0.045, "lateness is in the responses")
end

function cases.J78_as_fast_as_answers_come_and_what_that_hides()
  local result = whole.load(lines(), whole.target 'loop 0; recv line; sleep 5; send "x\\n"; end',
    "-r", 0, "-d", "500ms", "--warm-up", "100ms", "-c", 4)
  support.within(result.figures.done, 40, 400, "four connections, 5 ms for each")
  lu.assertEquals({ result.figures.load.wanted, result.figures.load.dropped }, { 0, 0 })
  lu.assertEquals(result.figures.us.response, result.figures.us.service)
  lu.assertStrContains(result.errors, "as fast as answers came: a slow server slows the requests")
end

-- ---- connections ----

function cases.J76_connections_that_end_are_opened_again_and_the_rate_is_kept()
  local program = 'loop 99; recv line; send "x\\n"; end; recv line; close'
  local result = whole.load(lines(), whole.target(program), "-r", "2k/s", "-d", "2s", "--warm-up",
    "0", "-c", 20)
  local figures = result.figures
  lu.assertEquals(arrivals_of(figures), 4000)
  lu.assertEquals(figures.load.dropped, 0)
  support.within(figures.failed, 10, 80, "the hundredth of each connection")
  lu.assertEquals(figures.errors, { ["read EOF"] = figures.failed })
  support.within(figures.attempts - 20, 10, 80, "opened again")
  lu.assertStrContains(result.errors, "connections ended and were opened again: ")
end

function cases.J76_a_server_that_is_not_there_is_told()
  local result = whole.load(lines(), "127.0.0.1:" .. support.refused(), "-r", "100/s", "-d",
    "300ms", "--warm-up", "0", "-c", 2, "--max-backlog", "100ms", "--fail-if", "dropped > 0")
  lu.assertEquals(result.status, 3)
  lu.assertEquals(result.figures.load.dropped, 30)
  lu.assertStrContains(result.errors, "connect ECONNREFUSED")
  lu.assertStrContains(result.errors, "not one request was answered well")
end

-- Requests and their answers are the numbers 1, 2, 3 … of their connection.
local function numbered(problems)
  return {
    filter = "line",
    load = {
      request = function(cheap)
        cheap.sent_so_far = (cheap.sent_so_far or 0) + 1
        return tostring(cheap.sent_so_far)
      end,
    },
    on_input = function(cheap, line)
      cheap.answered = (cheap.answered or 0) + 1
      if line ~= tostring(cheap.answered) then problems[#problems + 1] = line end
      cheap.under_way = math.max(cheap.under_way or 0, cheap.sent_so_far - cheap.answered + 1)
      problems.most = math.max(problems.most or 0, cheap.under_way)
      job.reply(cheap)
    end,
  }
end

for rate, words in pairs { at_a_rate = { "-r", "20k/s" }, as_fast_as_it_goes = { "-r", "0" } } do
  cases["J77_pipelined_answers_match_their_requests_in_order_" .. rate] = function()
    local problems = {}
    local result = whole.load(numbered(problems), swarm(), "-d", "500ms", "--warm-up", "0", "-c",
      2, "--pipeline", 16, unpack(words))
    lu.assertEquals(#problems, 0, problems[1])
    assert(result.figures.ok > 1000, result.errors)
    lu.assertEquals({ result.figures.failed, result.status }, { 0, 0 })
    if rate == "as_fast_as_it_goes" then lu.assertEquals(problems.most, 16) end
  end
end

-- The handler is busy with each answer for 20 ms; the answers are here long before.
local function busy(later)
  return lines { on_input = function(cheap)
    local start = tcpmulti.now()
    while tcpmulti.now() < start + 0.02 do end
    if not later then return job.reply(cheap) end
    cheap:delay(function() job.reply(cheap) end, 0)
  end }
end

function cases.J74_answers_came_when_they_were_read_and_not_when_they_were_handled()
  for _, width in ipairs { 1, 4 } do
    in_some_run(function()
      return whole.load(busy(), swarm(), "-r", "0", "-d", "200ms", "--warm-up", "0", "-c", 1,
        "--pipeline", width)
    end, function(result)
      return result.figures.ok >= width and percentile(result, "service", 100) < 0.02
    end)
  end
end

function cases.J77_answers_may_be_told_later()
  local result = whole.load(busy(true), swarm(), "-r", "0", "-d", "300ms", "--warm-up", "0", "-c",
    1, "--pipeline", 4)
  lu.assertEquals({ result.figures.failed, result.figures.load.unfinished }, { 0, 0 })
  assert(result.figures.ok >= 4, result.errors)
  assert(percentile(result, "service", 0) >= 0.02, "nobody knew before that it was the answer")
end

function cases.J77_requests_for_the_answers_of_one_read_leave_together()
  local counts = {}
  local spec = numbered {}
  spec.on_success = function(cheap) cheap.batches = 0 end
  spec.on_batch = function(cheap)
    cheap.batches = cheap.batches + 1
    counts[cheap.batches] = cheap.sent_so_far
  end
  local result = whole.load(spec, whole.target('loop 0; recv line; recv line; recv line; '
    .. 'send "0\\n0\\n0\\n"; end'), "-r", "0", "-d", "200ms", "--warm-up", "0", "-c", 1,
    "--pipeline", 3)
  assert(result.figures.ok > 9, result.errors)
  lu.assertEquals({ counts[1], counts[2], counts[3] }, { 6, 9, 12 })
end

function cases.J77_a_pipeline_may_be_long()
  local result = whole.load(echoed(), swarm(), "-r", "0", "-d", "200ms", "--warm-up", "0", "-c", 1,
    "--pipeline", 20000)
  lu.assertEquals({ result.figures.failed, result.status }, { 0, 0 }, result.errors)
  assert(result.figures.ok >= 20000, result.errors)
end

function cases.J77_an_answer_too_many_fails_its_connection()
  -- Only one request: the second answer is none to a request that waited for the first one.
  local result = whole.load(lines(), whole.target 'recv line; send "x\\nx\\n"; freeze', "-r",
    "4/s", "-d", "200ms", "--warm-up", "0", "-c", 1, "--grace", "100ms")
  lu.assertStrMatches(result.errors, ".*opened again: %d+ fail EPROTO.*")
end

function cases.a_script_may_greet_before_the_first_request()
  local first = {}
  local spec = {
    filter = "line",
    load = { request = "ping", waits = true },
    on_input = function(cheap, line)
      if line == "hello" then return job.ready(cheap) end
      first[#first + 1] = line
      job.reply(cheap)
    end,
  }
  local result = whole.load(spec, whole.target('sleep 100; send "hello\\n"; ' .. ECHO), "-r",
    "100/s", "-d", "300ms", "--warm-up", "0", "-c", 2)
  lu.assertEquals({ result.figures.ok, result.figures.failed, first[1] }, { 30, 0, "x" })
  assert(percentile(result, "response", 100) >= 0.08, "the greeting is waited for")
  assert(percentile(result, "service", 100) < 0.08, "and is no service")
end

function cases.a_connection_that_the_script_shuts_down_fails_no_request()
  local function shut_down(cheap)
    cheap.answers = (cheap.answers or 0) + 1
    if cheap.answers == 20 then cheap:shutdown() end
    job.reply(cheap)
  end
  for _, rate in ipairs { "1k/s", "0" } do
    local result = whole.load(lines { on_input = shut_down }, swarm(), "-r", rate, "-d", "500ms",
      "--warm-up", "0", "-c", 10)
    lu.assertEquals({ result.figures.failed, result.figures.load.unfinished }, { 0, 0 })
    assert(result.figures.ok >= (rate == "0" and 200 or 500), result.errors)
    lu.assertStrContains(result.errors, "opened again: ")
  end
end

function cases.a_request_that_cannot_be_sent_is_told()
  local spec = { filter = "http", load = { request = function() return { path = "" } end },
    on_input = function(cheap) job.reply(cheap) end }
  local result = whole.load(spec, swarm(), "-r", "100/s", "-d", "200ms", "--warm-up", "0", "-c", 2,
    "--max-backlog", "50ms", "--grace", "100ms")
  lu.assertStrContains(result.errors, "a request was refused: path: ")
  lu.assertEquals({ result.figures.done, result.figures.load.dropped }, { 0, 20 })
end

function cases.G39_parts_of_a_load_have_their_share_and_add_up()
  local target, whole_load, answered = swarm(), nil, 0
  for part = 1, 4 do
    local result = whole.load(echoed(), target, "-r", "8k/s", "-d", "250ms", "--warm-up", "0", "-c",
      40, "--shard", part .. "/4")
    local figures = result.figures
    support.within(arrivals_of(figures), 499, 501, "arrivals of a part")
    lu.assertEquals({ figures.load.wanted, figures.attempts, figures.part },
      { 2000, 10, part .. "/4" })
    answered = answered + figures.ok
    local decoded = assert(summary.decode(figures))
    whole_load = whole_load and whole_load:merge(decoded) or decoded
  end
  lu.assertEquals({ whole_load.load.wanted, whole_load.ok, whole_load.us.response.count },
    { 8000, answered, answered })
end

function cases.connections_are_spread_over_all_targets()
  local one, two = support.swarm("echo", 1), support.swarm("echo", 1)
  local result = whole.load(echoed(), "127.0.0.1:" .. one:port(), "127.0.0.1:" .. two:port(), "-r",
    "1k/s", "-d", "300ms", "--warm-up", "0", "-c", 10)
  lu.assertEquals(result.figures.ok, 300)
  lu.assertEquals({ one:stats().accepted, two:stats().accepted }, { 5, 5 })
  support.within(one:stats().received / two:stats().received, 0.8, 1.25, "requests of each")
end

-- ---- errors of scripts, and of who calls ----

function cases.an_error_in_a_handler_fails_its_connection_and_is_told()
  local result = whole.load(lines { on_input = function() error "broken" end }, swarm(), "-r",
    "100/s", "-d", "200ms", "--warm-up", "0", "-c", 5, "--max-exceptions", 3)
  lu.assertEquals(result.status, 1)
  lu.assertStrContains(result.errors, "test-load.lua:")
  lu.assertEquals(result.figures.exceptions, 3)
  lu.assertEquals(result.figures.reason, "exceptions")
end

function cases.an_error_in_the_end_of_a_connection_is_told_to_the_script_too()
  local told = {}
  local spec = echoed()
  spec.on_disconnected = function() error "at the end" end
  spec.on_exception = function(_, message) told[#told + 1] = message:match "at the end" end
  local result = whole.load(spec, whole.target('recv line; send "x\\n"; close'), "-r", "20/s",
    "-d", "200ms", "--warm-up", "0", "-c", 1)
  assert(#told >= 1, "the script has heard of it")
  lu.assertStrContains(result.errors, "at the end")
  lu.assertStrContains(result.errors, "opened again: ")
end

function cases.an_error_in_the_function_of_requests_is_told()
  local spec = lines { load = { request = function() error "no request" end } }
  local result = whole.load(spec, swarm(), "-r", "100/s", "-d", "200ms", "--warm-up", "0", "-c", 5,
    "--grace", "100ms")
  lu.assertEquals({ result.status, result.figures.done }, { 1, 0 })
  lu.assertEquals(result.figures.load.unfinished + result.figures.load.dropped, 20)
  lu.assertStrContains(result.errors, "no request")
end

function cases.reply_wants_a_connection_of_a_load()
  local _, message = pcall(job.reply, {})
  lu.assertStrContains(message, "this is no connection of a load")
end

for name, row in pairs {
  request = { { load = {}, on_input = print }, "must have a function" },
  on_input = { { load = { request = "x" } }, "needs on_input" },
  result = { { load = { request = "x" }, on_input = print, result = print }, "exclude" },
} do
  cases["what_a_table_of_a_load_must_not_be_" .. name] = function()
    local good, message = pcall(job.run, row[1], { "127.0.0.1:1" })
    lu.assertFalse(good)
    lu.assertStrContains(message, row[2])
  end
end

for words, text in pairs {
  ["127.0.0.1:1 -d 0"] = "--duration",
  ["127.0.0.1"] = "no port",
  [""] = "which server",
  ["127.0.0.1:1 --resume"] = "unknown option",
  ["127.0.0.1:1 --fail-if p99(respone)>1s"] = "respone",
} do
  cases["usage_" .. words:gsub("%W+", "_")] = function()
    local list = {}
    for word in words:gmatch "%S+" do list[#list + 1] = word end
    local result = whole.go(lines(), list)
    lu.assertEquals(result.status, 2)
    lu.assertStrContains(result.errors, text)
  end
end

support.main(cases)
