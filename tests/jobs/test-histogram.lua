-- SPDX-License-Identifier: MIT
-- tcpmulti.histogram: the layout of its buckets, percentiles against sorted lists, exact sums, and
-- data that comes from elsewhere.
local histogram = require "tcpmulti.histogram"
local lu = require "luaunit"
local support = require "jobs.support"

local cases = support.cases "Histogram"

local LARGEST = 2 ^ 36 - 1

-- The bucket of a value as the contract describes it: its first and its last value.
local function bucket_of(value)
  local width = 1
  while value >= 2048 * width do width = width * 2 end
  local first = math.floor(value / width) * width
  return first, first + width - 1
end

local function index_of(value)
  local one = histogram.new()
  one:record(value)
  return one:encode().runs[1]
end

function cases.J53_buckets_follow_each_other_up_to_the_largest_value()
  local value, index = 0, 0
  while value <= LARGEST do
    local first, last = bucket_of(value)
    if value < 6000 or math.random() < 0.05 or last > LARGEST - 2 ^ 27 then
      lu.assertEquals(first, value)
      lu.assertEquals(index_of(first), index)
      lu.assertEquals(index_of(last), index)
    end
    value, index = last + 1, index + 1
  end
  lu.assertEquals(value, 2 ^ 36)
  lu.assertEquals(index, 27 * 1024)
end

function cases.J53_values_that_are_none()
  local one = histogram.new()
  one:record(-1)
  lu.assertEquals({ one.count, one.min, one.max, one.overflow }, { 1, 0, 0, 0 })
  lu.assertErrorMsgContains("NaN", one.record, one, 0 / 0)
  one:record(10 ^ 12)
  one:record(math.huge, 2)
  lu.assertEquals({ one.count, one.max, one.overflow }, { 4, LARGEST, 3 })
  one:record(LARGEST)
  lu.assertEquals(one.overflow, 3)
  lu.assertErrorMsgContains("whole", one.record, one, 1, 0.5)
  lu.assertErrorMsgContains("0 to 100", one.percentile, one, 101)
  one:record(1, 0)
  lu.assertEquals(one.count, 5)
end

function cases.J53_an_empty_one()
  local one = histogram.new()
  lu.assertNil(one:percentile(50))
  lu.assertNil(one:mean())
  lu.assertEquals(one:encode(), { unit = "us", digits = 3, count = 0, sum = 0, overflow = 0 })
  lu.assertEquals(histogram.decode(one:encode()):encode(), one:encode())
end

-- Random values, in microseconds, from fractions of one to an hour.
local function random_values(count)
  local values = {}
  for i = 1, count do values[i] = math.floor(math.exp(math.random() * 22)) end
  return values
end

local function new_of(values, first, last)
  local one = histogram.new()
  for i = first or 1, last or #values do one:record(values[i]) end
  return one
end

function cases.J54_percentiles_are_at_most_a_1024th_too_high()
  for _ = 1, 100 do
    local values = random_values(math.random(1, 1500))
    local one = new_of(values)
    table.sort(values)
    for _, p in ipairs { 0, 0.1, 1, 25, 50, 90, 99, 99.9, 99.99, 100 } do
      local rank = math.max(1, math.ceil(p * #values / 100 - 1e-9))
      local exact, found = values[rank], one:percentile(p)
      lu.assertTrue(found >= exact and found <= exact * (1 + 1 / 1024) and found <= one.max,
        ("p%g of %d: %.0f, not %.0f"):format(p, #values, found, exact))
    end
    lu.assertEquals({ one.min, one.max }, { values[1], values[#values] })
  end
end

function cases.J54_the_sum_of_parts_is_the_whole()
  for _ = 1, 200 do
    local values = random_values(math.random(1, 600))
    local forth, back, parts, from = histogram.new(), histogram.new(), {}, 1
    while from <= #values do
      local last = math.min(#values, from + math.random(0, 200))
      parts[#parts + 1], from = new_of(values, from, last), last + 1
    end
    for i = 1, #parts do forth:merge(parts[i]) end
    for i = #parts, 1, -1 do lu.assertIs(back:merge(histogram.decode(parts[i]:encode())), back) end
    local whole = new_of(values):encode()
    lu.assertEquals(forth:encode(), whole)
    lu.assertEquals(back:encode(), whole)
    local mean = forth:mean()
    lu.assertAlmostEquals(mean, whole.sum / #values, 1e-9 * mean)
  end
end

function cases.J54_a_value_many_times_is_that_value_again_and_again()
  local one, other = histogram.new(), histogram.new()
  one:record(70000, 1000)
  for _ = 1, 1000 do other:record(70000) end
  lu.assertEquals(one:encode(), other:encode())
end

-- ---- data from elsewhere ----

local function assert_damaged(change)
  local data = new_of({ 5, 5, 3000, 10 ^ 12 }):encode()
  lu.assertTrue(histogram.decode(data) ~= nil)
  change(data)
  local none, message, errname = histogram.decode(data)
  lu.assertNil(none)
  lu.assertStrContains(message, "histogram")
  lu.assertEquals(errname, "EINVAL")
end

function cases.damaged_data_is_refused()
  for _, data in ipairs { 1, "x", false, {}, { unit = "us" }, { unit = "ms", digits = 3 } } do
    lu.assertNil((histogram.decode(data)))
  end
  lu.assertNil((histogram.decode(nil)))
  for name, values in pairs {
    count = { 3, 5, -4, 4.5, "4", false }, sum = { 0, 2 ^ 60, -1, 0 / 0 },
    overflow = { 2, -1, 0.5, false }, min = { 0, 6, 4, "5" }, max = { 5, 10 ^ 12, 2 ^ 36 - 2 ^ 30 },
    runs = { false, {}, { 5, 2 } }, unit = { "ms" }, digits = { 2 },
  } do
    for _, value in ipairs(values) do assert_damaged(function(data) data[name] = value end) end
  end
  for i = 1, 6 do
    for _, value in ipairs { -1, 0.5, 10 ^ 9, "1", 0 / 0 } do
      assert_damaged(function(data) data.runs[i] = value end)
    end
  end
  assert_damaged(function(data) data.runs[7] = 0 end)
end

support.main(cases)
