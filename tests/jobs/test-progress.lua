-- SPDX-License-Identifier: MIT
-- Progress: what is told, how often, and what it costs.
local json = require "tcpmulti.json"
local lu = require "luaunit"
local progress = require "tcpmulti.progress"
local support = require "jobs.support"

local cases = support.cases "Progress"

local function recorder(mode, columns)
  local written = {}
  return progress.new { mode = mode, columns = columns,
    write = function(text) written[#written + 1] = text end }, written
end

local function state(done, total)
  return { done = done, total = total, ok = done - 3, failed = 3, open = 812,
    errors = { ["read ETIMEDOUT"] = 2, ["connect ECONNREFUSED"] = 1 } }
end

-- So many seconds at a constant rate, five updates a second.
local function run(one, seconds, rate, total)
  for beat = 0, seconds * 5 do one:update(1000 + beat / 5, state(10 + beat * rate / 5, total)) end
end

function cases.J59_a_terminal_gets_one_line_that_is_written_again()
  local one, written = recorder "line"
  run(one, 10, 2000, 42530)
  lu.assertEquals(#written, 51)
  for _, text in ipairs(written) do
    lu.assertEquals(text:sub(1, 4), "\r\27[K")
    lu.assertNil(text:find "\n")
  end
  lu.assertEquals(written[51]:sub(5),
    " 47 %, 20.0k of 42.5k, 2000/s, ETA 11s, 812 open, 3 failed (2 read ETIMEDOUT)")
  one:clear()
  lu.assertEquals(written[52], "\r\27[K")
  one:clear()
  lu.assertEquals(#written, 52)
end

function cases.J59_the_line_is_cut_at_the_width_of_the_terminal()
  local one, written = recorder("line", 40)
  run(one, 1, 2000, 42530)
  for _, text in ipairs(written) do lu.assertTrue(#text - 4 <= 39, text) end
  lu.assertEquals(#written[#written] - 4, 39)
end

function cases.J59_updates_that_come_too_soon_are_not_shown()
  local one, written = recorder "line"
  for i = 0, 1000 do one:update(i / 1000, state(i + 3, 2000)) end
  lu.assertTrue(#written >= 5 and #written <= 6, #written)
end

function cases.J59_a_log_gets_a_line_in_ten_seconds()
  local one, written = recorder "log"
  run(one, 35, 100, nil)
  lu.assertEquals(#written, 4)
  lu.assertEquals(written[2], "1.0k done, 100/s, 812 open, 3 failed (2 read ETIMEDOUT)\n")
end

function cases.J59_json_is_an_object_a_second()
  local one, written = recorder "json"
  run(one, 10, 100, 5000)
  lu.assertEquals(#written, 11)
  for _, text in ipairs(written) do
    lu.assertNotNil(text:find "^[^\n]*\n$")
    lu.assertIsTable(json.decode(text))
  end
  lu.assertEquals(json.decode(written[11]), { done = 1010, total = 5000, ok = 1007, failed = 3,
    open = 812, rate = 100, eta = 40,
    errors = { ["read ETIMEDOUT"] = 2, ["connect ECONNREFUSED"] = 1 } })
end

function cases.J59_none_writes_nothing()
  local one, written = recorder "none"
  run(one, 10, 100, 5000)
  one:clear()
  lu.assertEquals(#written, 0)
end

function cases.an_unknown_mode_is_an_error()
  lu.assertErrorMsgContains("line, log, json or none, not loud", progress.new, { mode = "loud" })
end

-- The time left that the last line tells, in seconds.
local function told(written) return json.decode(written[#written]).eta end

function cases.J60_the_time_left_is_right_within_a_fifth_after_ten_seconds()
  for _, rate in ipairs { 1, 7, 100, 20000 } do
    local one, written = recorder "json"
    run(one, 10, rate, 10 + rate * 100)
    lu.assertAlmostEquals(told(written), 90, 18)
  end
end

function cases.J60_the_time_left_follows_a_rate_that_changes()
  local one, written = recorder "json"
  local done = 0
  for second = 0, 60 do
    one:update(second, state(done, 100000))
    done = done + (second < 30 and 1000 or 100)
  end
  lu.assertAlmostEquals(told(written), (100000 - done) / 100, (100000 - done) / 100 * 0.5)
end

function cases.J60_an_unknown_total_gives_neither_percent_nor_time()
  local one, written = recorder "line"
  run(one, 10, 100, nil)
  lu.assertNil(table.concat(written):find "[%%]")
  lu.assertNil(table.concat(written):find "ETA")
  local object, lines = recorder "json"
  run(object, 10, 100, nil)
  lu.assertEquals({ json.decode(lines[11]).total, told(lines) }, {})
end

function cases.J60_what_was_done_before_is_not_part_of_the_rate()
  local one, written = recorder "json"
  for second = 0, 10 do one:update(second, state(1e6 + second * 10, 1e6 + 200)) end
  lu.assertEquals(told(written), 10)
end

function cases.J61_an_update_of_a_terminal_costs_less_than_a_thousandth_of_a_core()
  local one = progress.new { mode = "line", write = function() end }
  local some, began = state(5, 1e6), os.clock()
  for beat = 1, 20000 do
    some.done = beat * 7
    one:update(beat / 5, some)
  end
  local of_core = (os.clock() - began) / (20000 / 5)
  lu.assertTrue(of_core < 0.001, of_core)
end

support.main(cases)
