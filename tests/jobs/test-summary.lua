-- SPDX-License-Identifier: MIT
-- Summaries are folds over result lines; thresholds speak about their figures.
local json = require "tcpmulti.json"
local lu = require "luaunit"
local results = require "tcpmulti.results"
local support = require "jobs.support"
local summary = require "tcpmulti.summary"

local cases = support.cases "Summary"

local kinds = {
  { op = "read", name = "ETIMEDOUT", text = "Connection timed out", timer = "idle" },
  { op = "connect", name = "ECONNREFUSED", text = "Connection refused" },
  { op = "fail", name = "EPROTO", text = "no banner" },
}

-- seconds: over how long a time the records are spread.
local function random_record(seconds)
  local ok = math.random(4) > 1
  return { key = "131b1a2d3f09dc74:" .. math.random(1e9), host = "h", port = 1, ok = ok,
    ["end"] = ok and "shutdown" or "error", error = not ok and kinds[math.random(#kinds)] or nil,
    attempts = math.random(3), time = 1795934863 + math.random() * (seconds or 5),
    us = { queue = math.random(0, 10), connect = math.random(0, 1000) ^ 2,
      total = math.random(0, 2 ^ 31), tls = math.random(2) == 1 and 77 or nil },
    ["in"] = math.random(0, 1000), out = math.random(0, 9) }
end

local function random_records(count, seconds)
  local records = {}
  for i = 1, count do records[i] = random_record(seconds) end
  return records
end

local function fold(records)
  local sum = summary.new()
  for _, record in ipairs(records) do sum:add(record) end
  return sum
end

-- Equal summaries are equal bytes.
local function text_of(sum) return json.encode(sum:encode()) end

local function shuffle(list)
  for i = #list, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
end

-- Merges summaries two by two, at random, until one is left.
local function merge_all(sums)
  while #sums > 1 do
    local one = table.remove(sums, math.random(#sums))
    local other = math.random(#sums)
    sums[other] = sums[other]:merge(one)
  end
  return sums[1]
end

function cases.J56_G36_a_summary_is_the_fold_of_its_lines_in_any_order_and_grouping()
  for _ = 1, 40 do
    local records = random_records(math.random(1, 60))
    local whole = text_of(fold(records))
    shuffle(records)
    local sums = {}
    for i = 1, math.random(8) do sums[i] = summary.new() end
    for _, record in ipairs(records) do
      sums[math.random(#sums)]:add(json.decode(results.line(record)))
    end
    for i, sum in ipairs(sums) do
      if math.random(2) == 1 then
        sums[i] = assert(summary.decode(json.decode(json.encode(sum:encode()))))
      end
    end
    lu.assertEquals(text_of(merge_all(sums)), whole)
  end
end

function cases.J56_the_series_of_a_long_run_is_the_same_in_any_grouping()
  local records = random_records(9000, 40000)
  local sum = fold(records)
  lu.assertTrue(sum.entries <= 3600 and sum.entries > 1200, sum.entries)
  local parts = { summary.new(), summary.new(), summary.new() }
  for i = #records, 1, -1 do parts[i % 3 + 1]:add(records[i]) end
  parts[2] = assert(summary.decode(json.decode(text_of(parts[2]))))
  lu.assertEquals(text_of(merge_all(parts)), text_of(sum))
  local few = random_records(10, 5)
  local one, other = fold(few):merge(sum), assert(summary.decode(sum:encode())):merge(fold(few))
  lu.assertEquals(text_of(one), text_of(other))
  lu.assertEquals(one.step, sum.step)
  local finished = 0
  for _, entry in ipairs(sum:encode().series) do finished = finished + entry[2] end
  lu.assertEquals(finished, 9000)
end

function cases.J56_an_empty_summary_comes_back_too()
  lu.assertEquals(text_of(assert(summary.decode(json.decode(text_of(summary.new()))))),
    text_of(summary.new()))
  lu.assertEquals(summary.new():seconds(), 0)
end

function cases.J41_every_line_is_counted_once_with_its_kind()
  local sum = fold(random_records(1000))
  local failed = 0
  for _, count in pairs(sum.errors) do failed = failed + count end
  lu.assertEquals(sum.ok + sum.failed, 1000)
  lu.assertEquals(sum.done, 1000)
  lu.assertEquals(failed, sum.failed)
  local sum_of_end = summary.new()
  local record = random_record()
  record.ok, record.error, record["end"] = false, nil, "eof"
  sum_of_end:add(record)
  lu.assertEquals(sum_of_end.errors, { eof = 1 })
end

function cases.G38_the_rate_is_that_of_the_seconds_in_which_something_finished()
  local function part(start)
    local sum = summary.new()
    for i = 0, 999 do
      local record = random_record()
      record.time = start + i / 100
      sum:add(record)
    end
    return sum
  end
  lu.assertAlmostEquals(part(1795934863):rate(), 100, 2)
  lu.assertAlmostEquals(part(1795934863):merge(part(1795938463)):rate(), 100, 2)
end

for name, change in pairs {
  version = function(one) one.version = 2 end,
  done = function(one) one.done = nil end,
  failed = function(one) one.failed = -1 end,
  errors = function(one) one.errors = { x = "1" } end,
  series = function(one) one.series = { { 1, 2 } } end,
  first = function(one) one.first = nil end,
  us = function(one) one.us.connect.count = one.us.connect.count + 1 end,
} do
  cases["what is no summary is refused, by " .. name] = function()
    local encoded = json.decode(text_of(fold(random_records(20))))
    change(encoded)
    local sum, message, errname = summary.decode(encoded)
    lu.assertEquals({ sum, errname }, { nil, "EINVAL" })
    lu.assertStrContains(message, name)
  end
end

-- ---- thresholds ----

-- 8 targets in 4 s: 6 ok; connect 1 to 8 ms; three kinds of bytes.
local function known_summary()
  local sum = summary.new()
  for i = 1, 8 do
    local problem = i > 6 and kinds[i - 6] or nil
    sum:add { key = "a:" .. i, ok = i <= 6, ["end"] = problem and "error" or "shutdown",
      error = problem, attempts = 1, time = 1795934860 + i / 2, us = { connect = i * 1000 },
      ["in"] = 0, out = 0 }
  end
  return sum
end

for number, row in ipairs {
  { "done == 8", true, 8 },
  { "done != 8", false, 8 },
  { "ok < 6", false, 6 },
  { "ok <= 6", true, 6 },
  { "failed>=2", true, 2 },
  { "failed > 2k", false, 2 },
  { "error_rate > 24.9%", true, 0.25 },
  { "error_rate > 0.25", false, 0.25 },
  { "rate >= 2/s", true, 8 / 3.5 },
  { "rate < 137/m", false, 8 / 3.5 },
  { "rate < 138/m", true, 8 / 3.5 },
  { "errors(ETIMEDOUT) > 0", true, 1 },
  { "errors(connect) == 1", true, 1 },
  { "errors(read ETIMEDOUT) == 1", true, 1 },
  { "errors(E) == 2", true, 2 },
  { "errors(nothing) > 0", false, 0 },
  { "min(connect) == 1ms", true, 0.001 },
  { "max(connect) > 0.008", false, 0.008 },
  { "max(connect) == 8000us", true, 0.008 },
  { "mean(connect) == 4.5ms", true, 0.0045 },
  { "median(connect) < 5ms", true, 0.004001 },
  { "p50(connect) < 5ms", true, 0.004001 },
  { "p99.9 (connect) >= 8ms", true, 0.008 },
  { "  p0(connect)  <  1s  ", true, 0.001 },
  { "p100(connect) > 1m", false, 0.008 },
  { "p99(tls) > 0s", false, nil },
  { "p99(response) >= 0", false, nil },
  { "dropped == 0", false, nil },
} do
  cases["J57_the threshold " .. number .. " " .. row[1] .. " is checked"] = function()
    local threshold = assert(summary.threshold(row[1]))
    lu.assertEquals(threshold.text, row[1])
    local hit, value = threshold.check(known_summary())
    lu.assertEquals(hit, row[2])
    if row[3] then lu.assertAlmostEquals(value, row[3], 1e-12) else lu.assertNil(value) end
  end
end

for number, row in ipairs {
  { "", "expected METRIC OPERATOR VALUE" },
  { "done", "expected METRIC OPERATOR VALUE" },
  { "done = 3", "expected METRIC OPERATOR VALUE" },
  { "done => 3", "expected METRIC OPERATOR VALUE" },
  { "done > ", "expected a whole number" },
  { "done > 3ms", "expected a whole number" },
  { "done > 1.5", "expected a whole number" },
  { "dona > 1", "'dona' is no metric (did you mean 'done'?): done ok" },
  { "p99(conect) > 1s", "'conect' is no phase (did you mean 'connect'?): queue resolve connect" },
  { "p99(connect) > 5%", "expected a time like 500ms" },
  { "p101(connect) > 1s", "is no metric of a phase" },
  { "p(connect) > 1s", "is no metric of a phase" },
  { "medin(connect) > 1s", "did you mean 'median'" },
  { "p99 > 1s", "needs a phase or a text in brackets" },
  { "error_rate > 5ms", "expected a share like 5%" },
  { "rate > fast", "expected a rate like 5k/s" },
} do
  cases["J57_the threshold " .. number .. " " .. row[1] .. " is refused"] = function()
    local threshold, message, errname = summary.threshold(row[1])
    lu.assertEquals({ threshold, errname }, { nil, "EINVAL" })
    lu.assertStrContains(message, row[2])
  end
end

-- ---- text ----

function cases.J57_the_text_tells_figures_and_thresholds()
  local text = known_summary():text { seconds = 4, partial = true, reason = "signal", cut = 3,
    total = 20, targets = { malformed = 2 }, thresholds = {
      { fail_if = "p99(connect) > 1ms", value = 0.008, failed = true },
      { fail_if = "error_rate > 50%", value = 0.25, failed = false },
      { fail_if = "rate < 1", value = 615.3840737, failed = false },
      { fail_if = "p99(tls) > 1ms", failed = false } } }
  for _, part in ipairs { "8 targets in 4.00 s, 2/s: 6 ok, 2 failed",
    "cut short by a signal: 3 cut, 12 not done", "2 malformed lines", "1  connect ECONNREFUSED",
    "1.00 ms   4.00 ms", "FAILED: p99(connect) > 1ms (8.00 ms)",
    "passed: error_rate > 50% (25 %)", "passed: rate < 1 (615.4)",
    "passed: p99(tls) > 1ms (no values)" } do
    lu.assertStrContains(text, part)
  end
  for line in text:gmatch "[^\n]+" do lu.assertTrue(#line <= 80, line) end
end

local function loaded(dropped, duration)
  local sum = summary.new()
  sum:count(1795934863.25, 100, 1)
  sum:count_error "status 503"
  sum:histogram("response"):record(1500)
  sum.load = { wanted = 50, reached = 49.5, dropped = dropped, unfinished = 1, duration = duration,
    warm_up = 1 }
  return sum
end

function cases.loads_that_ran_side_by_side_add_up()
  local sum = loaded(3, 4):merge(assert(summary.decode(loaded(2, 5):encode())))
  lu.assertEquals(sum.load, { wanted = 100, reached = 99, dropped = 5, unfinished = 2, duration = 5,
    warm_up = 1 })
  lu.assertEquals({ sum.done, sum.ok, sum.failed, sum.us.response.count }, { 200, 198, 2, 2 })
  local hit, value = summary.threshold("dropped > 4").check(sum)
  lu.assertEquals({ hit, value }, { true, 5 })
  lu.assertEquals(text_of(summary.new():merge(loaded(1, 1))), text_of(loaded(1, 1)))
  lu.assertNil(summary.new():merge(summary.new()).load)
end

function cases.a_summary_with_a_wrong_load_is_none()
  for _, wrong in ipairs { "x", {}, { wanted = -1 } } do
    local encoded = loaded(1, 1):encode()
    if type(wrong) == "table" and next(wrong) then
      encoded.load.wanted = wrong.wanted
    else
      encoded.load = wrong
    end
    local found, message = summary.decode(encoded)
    lu.assertNil(found)
    lu.assertStrContains(message, "'load' is missing or wrong")
  end
end

function cases.the_text_of_a_load_speaks_of_requests()
  local text = loaded(3, 2):text { seconds = 2 }
  lu.assertStrContains(text, "100 requests in 2.00 s, 50/s: 99 ok, 1 failed\n"
    .. "  wanted 50/s, answered well 49.5/s: 3 dropped, 1 unfinished\n")
  local closed = loaded(0, 2)
  closed.load.wanted = 0
  lu.assertStrContains(closed:text(), "as fast as answers came")
  for line in closed:text():gmatch "[^\n]+" do lu.assertTrue(#line <= 80, line) end
end

function cases.what_was_done_before_is_in_no_rate()
  local text = known_summary():text { seconds = 2, before = 6 }
  lu.assertStrContains(text, "8 targets, 6 done before and 2 in 2.00 s, 1/s: 6 ok, 2 failed\n")
  text = known_summary():text { seconds = 0.01, before = 8 }
  lu.assertStrContains(text, "8 targets, all done before: 6 ok, 2 failed\n")
end

function cases.the_text_of_nothing_is_a_line_of_zeros()
  lu.assertEquals(summary.new():text(), "0 targets in 0.00 s: 0 ok, 0 failed")
end

support.main(cases)
