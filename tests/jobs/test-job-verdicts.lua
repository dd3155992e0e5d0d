-- SPDX-License-Identifier: MIT
-- What a job says of each target: how it ended, whether that is good, and with which times.
local json = require "tcpmulti.json"
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"
local whole = require "jobs.whole"

local cases = support.cases "JobVerdicts"

-- ---- how it ended ----

local function shutdown(cheap) cheap:shutdown() end

for _, row in ipairs {
  { "a shutdown is good", 'send "hi\\n"; recv all', { on_input = shutdown }, true, "shutdown" },
  { "a reset is good", 'send "hi\\n"; recv all', { on_input = function(cheap) cheap:reset() end },
    true, "shutdown" },
  { "the end by the peer is good", 'send "hi\\n"', {}, true, "eof" },
  { "the end by the peer may be an error", 'send "hi\\n"', { eof = "error" }, false, "eof", "read",
    "EOF" },
  { "a failed connect", "", {}, false, "failure", "connect", "ECONNREFUSED", { refuse = true } },
  { "a reset by the peer", 'send "hi\\n"; rst', {}, false, "error", "read", "ECONNRESET" },
  { "the script refuses what came", 'send "hi\\n"; recv all',
    { on_input = function(cheap) cheap:fail("not a banner", "EPROTO") end }, false, "error", "fail",
    "EPROTO" },
  { "result overrules a success", 'send "hi\\n"; recv all',
    { on_input = shutdown, result = function() return nil, false, "too short" end }, false,
    "shutdown", "fail", "EPROTO" },
  { "result overrules a failure", "", { result = function() return { port = "closed" }, true end },
    true, "failure", nil, nil, { refuse = true } },
} do
  local name, program, spec, ok, word, op, errname, how = unpack(row, 1, 8)
  cases["J45_" .. name] = function()
    local record = whole.one(spec, whole.target(program, how))
    lu.assertEquals({ record.ok, record["end"] }, { ok, word })
    local problem = record.error or {}
    lu.assertEquals({ problem.op, problem.name }, { op, errname })
    lu.assertEquals(record.attempts, 1)
  end
end

function cases.J45_data_are_kept_with_a_timeout()
  local record = whole.one({
    on_input = function(cheap, bytes) cheap.seen = (cheap.seen or "") .. bytes end,
    result = function(cheap, ok) return { seen = cheap.seen, ok = ok } end,
  }, "--idle-timeout", "200ms", whole.target 'send "hi\\n"; freeze')
  lu.assertEquals({ record.ok, record["end"], record.error.timer }, { false, "timeout", "idle" })
  lu.assertEquals(record.data, { seen = "hi\n", ok = false })
end

function cases.J45_the_text_of_an_overruling_is_told()
  local record = whole.one({ result = function() return nil, false, "no such thing" end },
    whole.target 'send "x"')
  lu.assertEquals(record.error.text, "no such thing")
end

function cases.J44_data_that_cannot_be_written_are_an_error_of_the_script()
  local record, result = whole.one({ result = function() return { print } end },
    whole.target 'send "x"')
  lu.assertEquals({ record.ok, record.error.name, record.data }, { false, "ESCRIPT" })
  lu.assertEquals(result.status, 1)
end

-- ---- the line ----

function cases.J42_fields_stand_in_their_order()
  local spec = { on_input = shutdown, result = function() return { a = 1 } end }
  local _, result = whole.one(spec, whole.target 'send "hi\\n"; recv all')
  lu.assertStrMatches(result.lines[1], '{"key":"%x+:0","host":"127.0.0.1","port":%d+,'
    .. '"addr":"127.0.0.1","ok":true,"end":"shutdown","attempts":1,"time":%d+%.%d%d%d,'
    .. '"us":{"queue":%d+,"connect":%d+,"first_byte":%d+,"total":%d+},"in":3,"out":0,'
    .. '"data":{"a":1}}\n')
end

function cases.J13_a_line_of_JSON_gives_its_id_and_its_fields()
  local host, port = whole.target('send "hi\\n"'):match "^(.*):(%d+)$"
  local path = os.tmpname()
  support.finally(function() os.remove(path) end)
  local file = io.open(path, "w")
  file:write(json.encode { host = host, port = tonumber(port), id = "x7", wanted = "hi" }, "\n")
  file:close()
  local record = whole.one({ result = function(cheap) return { cheap.target.input.wanted } end },
    "-t", path)
  lu.assertEquals({ record.id, record.data[1] }, { "x7", "hi" })
end

function cases.J41_every_target_has_one_line_whatever_happens()
  local port, path = support.swarm("fate", 1):port(), os.tmpname()
  support.finally(function() os.remove(path) end)
  local file = io.open(path, "w")
  for i = 1, 10000 do file:write("t", i, ".test\n") end
  file:close()
  local result = whole.run({
    resolve = { ["*:" .. port] = "127.0.0.1:" .. port },
    on_success = function(cheap) cheap:send "hello\n" end,
    on_input = function(cheap) if math.random() < 0.5 then cheap:shutdown() end end,
  }, "--idle-timeout", "300ms", "-p", port, "-t", path, unpack(whole.unlimited))
  lu.assertEquals(result.status, 0)
  local keys, ok = {}, 0
  for _, record in ipairs(result.records) do
    lu.assertNil(keys[record.key], record.key)
    keys[record.key] = true
    if record.ok then ok = ok + 1 end
  end
  local figures = result.figures
  lu.assertEquals(#result.records, 10000)
  lu.assertEquals({ figures.done, figures.ok, figures.failed }, { 10000, ok, 10000 - ok })
  lu.assertEquals(figures.partial, false)
  support.within(ok, 400, 4000, "good ones")
end

-- ---- times and sizes ----

for _, row in ipairs {
  { "connect", "connect", "--connect-timeout", "", { blackhole = true } },
  { "idle", "read", "--idle-timeout", "freeze" },
  { "total", nil, "--total-timeout", 'loop 0; send "x"; sleep 20; end' },
} do
  local timer, _, option, program, how = unpack(row, 1, 5)
  cases["J35_told_by_its_name_the_timeout " .. timer] = function()
    local record = whole.one({}, option, "200ms", whole.target(program, how))
    lu.assertEquals({ record.ok, record["end"], record.error.timer, record.error.name },
      { false, "timeout", timer, "ETIMEDOUT" })
    support.within(record.us.total, 199000, 400000, "total")
  end
end

function cases.J36_a_target_that_sends_too_much_is_cut_off()
  local swarm = support.swarm("firehose", 1)
  local record = whole.one({}, "--max-bytes", "1M", "127.0.0.1:" .. swarm:port())
  lu.assertEquals({ record.ok, record.error.op, record.error.name }, { false, "fail", "EMSGSIZE" })
  support.within(record["in"], 1048576, 1048576 + 1048576, "bytes")
end

function cases.J37_time_in_our_own_queue_is_no_time_of_the_target()
  local first, second = whole.target 'send "x"; recv all', whole.target 'send "x"; recv all'
  local result = whole.run({
    on_input = function(cheap) cheap:delay(function(_, late) late:shutdown() end, 0.3) end,
  }, "--per-host", "1", "--connect-timeout", "200ms", first, second)
  lu.assertEquals(#result.records, 2)
  local late = result.records[2]
  lu.assertTrue(late.us.queue >= 300000, late.us.queue)
  lu.assertTrue(late.us.connect < 100000, late.us.connect)
  lu.assertTrue(late.ok)
end

function cases.J38_the_first_byte_counts_and_not_the_first_record()
  local record = whole.one({ filter = "line", on_input = shutdown },
    whole.target 'send "a"; sleep 100; send "b\\n"; recv all')
  lu.assertTrue(record.us.first_byte < 20000 + 60000, record.us.first_byte)
  lu.assertTrue(record.us.total >= 100000, record.us.total)
end

-- ---- attempts ----

function cases.J32_silence_is_asked_again_and_has_one_line()
  local begun = {}
  local function note() begun[#begun + 1] = tcpmulti.now() end
  local record, result = whole.one({ on_initialize = note },
    "--connect-timeout", "100ms", "--retries", "3", "--retry-delay", "50ms",
    whole.target("", { blackhole = true }))
  lu.assertEquals({ #begun, record.attempts, record.error.timer }, { 4, 4, "connect" })
  lu.assertEquals(result.figures.retries, 3)
  for k = 1, 3 do
    support.within(begun[k + 1] - begun[k], 0.1 - 0.02, 0.1 + 0.05 * 2 ^ (k - 1) + 0.3, "pause")
  end
end

function cases.J33_a_refusal_is_repeated_only_where_that_is_asked_for()
  local target = whole.target("", { refuse = true })
  lu.assertEquals(whole.one({}, "--retries", "2", target).attempts, 1)
  local record = whole.one({}, "--retries", "2", "--retry-delay", "10ms", "--retry-on", "refused",
    target)
  lu.assertEquals(record.attempts, 3)
end

function cases.J33_nothing_is_repeated_behind_the_first_byte()
  local record = whole.one({}, "--retries", "2", whole.target 'send "x"; rst')
  lu.assertEquals({ record.attempts, record.error.name }, { 1, "ECONNRESET" })
end

-- ---- places ----

function cases.J25_never_more_at_once_than_were_asked_for()
  local swarm, open, most = support.swarm("discard", 1), 0, 0
  local port = swarm:port()
  local words = { "-c", "300", "-r", "0", "--per-host", "0", "--per-network", "0" }
  for i = 1, 900 do words[#words + 1] = ("t%d.test:%d"):format(i, port) end
  local result = whole.run({
    resolve = { ["*:" .. port] = "127.0.0.1:" .. port },
    on_success = function(cheap)
      open = open + 1
      most = math.max(most, open)
      cheap:delay(function(_, late) late:reset() end, 0.05)
    end,
    on_disconnected = function() open = open - 1 end,
  }, unpack(words))
  lu.assertEquals({ #result.records, most }, { 900, 300 })
end

function cases.J31_names_of_one_address_share_its_places()
  local open, most = 0, 0
  local port, words = support.swarm("discard", 1):port(), { "-r", "0", "--per-host", "4" }
  for i = 1, 50 do words[#words + 1] = ("t%d.test:%d"):format(i, port) end
  local result = whole.run({
    resolve = { ["*:" .. port] = "127.0.0.1:" .. port },
    on_success = function(cheap)
      open = open + 1
      most = math.max(most, open)
      cheap:delay(function(_, late) late:reset() end, 0.02)
    end,
    on_disconnected = function() open = open - 1 end,
  }, unpack(words))
  lu.assertEquals({ #result.records, result.figures.ok, most }, { 50, 50, 4 })
end

function cases.J26_attempts_keep_to_the_rate()
  local target, times = whole.target("", { refuse = true }), {}
  local port, words = target:match "%d+$", { "-r", "1k/s", "--per-host", "0", "--per-network", "0" }
  for i = 1, 1500 do words[#words + 1] = ("t%d.test:%s"):format(i, port) end
  whole.run({ resolve = { ["*:" .. port] = "127.0.0.1:" .. port },
    on_initialize = function() times[#times + 1] = tcpmulti.now() end }, unpack(words))
  lu.assertEquals(#times, 1500)
  for i = 511, #times do
    lu.assertTrue(times[i] - times[i - 510] >= 0.5 - 0.005, "half a second has more than 510")
  end
  support.within(times[#times] - times[1], 1.47, 2.2, "seconds for 1,500 at 1,000 a second")
end

-- ---- the script looks at the options ----

function cases.what_prepare_says_ends_the_job_before_it_begins()
  local peer = support.peer "recv all"
  local result = whole.go({ prepare = function(options) return "no " .. options.ports end },
    { "-p", peer:port(), "127.0.0.1" })
  lu.assertEquals(result.status, 2)
  lu.assertStrContains(result.errors, "no " .. peer:port() .. "\n")
  lu.assertEquals(peer:report().accepted, 0)
end

function cases.prepare_may_complete_the_options()
  local port = whole.target('send "hi\n"; recv all'):match "%d+$"
  local result = whole.run({ on_input = shutdown, prepare = function(options)
    options.ports = options.ports or port
  end }, "127.0.0.1")
  lu.assertEquals({ result.status, result.records[1].ok }, { 0, true })
end

support.main(cases)
