-- SPDX-License-Identifier: MIT
-- Results and summaries of parts become one, in whatever order and however often.
local lu = require "luaunit"
local fleet = require "tcpmulti.fleet"
local json = require "tcpmulti.json"
local results = require "tcpmulti.results"
local summary = require "tcpmulti.summary"
local support = require "jobs.support"

local cases = support.cases "Merge"

local PLAN, OTHER = "131b1a2d3f09dc74", "0000000000000001"

-- A result line of target g; fields: to be changed.
local function line_of(g, fields)
  local record = { key = PLAN .. ":" .. g, host = "127.0.0.1", port = 7001, ok = true,
    ["end"] = "shutdown", attempts = 1, time = 1795934863 + g % 100 / 10,
    us = { queue = 1, connect = 100 + g % 977, total = 500 + g % 31013 }, ["in"] = 10, out = 0 }
  for name, value in pairs(fields or {}) do record[name] = value end
  if not record.ok then
    record["end"] = "failure"
    record.error = { op = "connect", name = "ECONNREFUSED", text = "Connection refused" }
  end
  return results.line(record)
end

-- Calls f with the paths of files with these texts, and removes the files.
local function with_files(texts, f)
  local paths = {}
  for i, text in ipairs(texts) do
    paths[i] = os.tmpname()
    local file = assert(io.open(paths[i], "wb"))
    file:write(text)
    file:close()
  end
  local good, message = xpcall(f, debug.traceback, paths)
  for _, path in ipairs(paths) do os.remove(path) end
  if not good then error(message, 0) end
end

-- Gives the lines, sorted, as a text, and the figures; nil, message, errname.
local function merge(texts, options)
  local lines, merged, message, errname = {}, nil, nil, nil
  with_files(texts, function(paths)
    merged, message, errname = fleet.merge(paths, function(line)
      lines[#lines + 1] = line
      return true
    end, options)
  end)
  if not merged then return nil, message, errname end
  table.sort(lines)
  return table.concat(lines), merged
end

-- Random files of targets, of which some are in several, and some twice in one.
local function random_texts()
  local texts = {}
  for i = 1, math.random(2, 4) do
    local lines = {}
    for _ = 1, math.random(0, 60) do
      local g = math.random(0, 40)
      lines[#lines + 1] = line_of(g, { ok = math.random(2) == 1, time = 1795934863 + math.random(3),
        out = math.random(0, 1) })
    end
    texts[i] = table.concat(lines)
  end
  return texts
end

function cases.G33_merging_commutes_and_groups_and_repeats()
  for _ = 1, 50 do
    local texts = random_texts()
    local whole = merge(texts)
    local backwards = {}
    for i, text in ipairs(texts) do backwards[#texts + 1 - i] = text end
    lu.assertEquals(merge(backwards), whole)
    local grouped = merge { texts[1], texts[2] }
    lu.assertEquals(merge { grouped, unpack(texts, 3) }, whole)
    texts[#texts + 1] = texts[1]
    lu.assertEquals(merge(texts), whole)
    lu.assertEquals(merge { whole, whole }, whole)
  end
end

function cases.G34_the_ok_line_stays_else_the_earlier()
  local failed, late = line_of(1, { ok = false }), line_of(1, { time = 1795934999 })
  local early = line_of(1, { time = 1795934800 })
  for _, row in ipairs { { { failed, late }, late }, { { late, early }, early },
    { { late .. failed, early }, early } } do
    local text, merged = merge(row[1])
    lu.assertEquals({ text, merged.lines }, { row[2], 1 })
  end
end

function cases.numbers_of_a_pipe_are_merged_too()
  local lines = line_of("12.1") .. line_of("12.2") .. line_of("12")
  local text, merged = merge { lines, line_of("12.1") }
  lu.assertEquals({ #text, merged.lines, merged.duplicates }, { #lines, 3, 1 })
end

function cases.G26_damaged_lines_are_left_out_and_named()
  local named = {}
  local good = line_of(1) .. line_of(2)
  local bad = '{"key":"' .. PLAN .. ':3","host":nonsense}\n'
  local text, merged = merge({ line_of(1) .. "garbage\n" .. bad .. line_of(2) .. '{"key":"13' },
    { on_damaged = function(_, number) named[#named + 1] = number end })
  table.sort(named)
  lu.assertEquals({ text, merged.lines, merged.damaged, named }, { good, 2, 3, { 2, 3, 5 } })
end

function cases.G26_a_good_line_beats_a_damaged_one_of_its_target()
  local bad = '{"key":"' .. PLAN .. ':1","host":nonsense}\n'
  for _, texts in ipairs { { bad, line_of(1) }, { line_of(1), bad }, { bad .. bad, line_of(1) } } do
    lu.assertEquals((merge(texts)), line_of(1))
  end
  local text, merged = merge { bad, bad }
  lu.assertEquals({ text, merged.lines }, { "", 0 })
end

function cases.G26_a_line_without_its_fields_is_damaged()
  local bad = '{"key":"' .. PLAN .. ':%d","a":1}\n'
  local named = {}
  local function name(_, number, line) named[#named + 1] = number .. line end
  local text, merged = merge({ bad:format(0) .. line_of(1) .. bad:format(1) .. bad:format(2),
    bad:format(0) }, { on_damaged = name })
  table.sort(named)
  lu.assertEquals({ text, merged.lines, merged.damaged }, { line_of(1), 1, 4 })
  lu.assertEquals(named, { "1" .. bad:format(0):sub(1, -2), "1" .. bad:format(0):sub(1, -2),
    "3" .. bad:format(1):sub(1, -2), "4" .. bad:format(2):sub(1, -2) })
  local alone = '{"key":"ab12:0","a":1}\n'
  text, merged = merge { alone }
  lu.assertEquals({ text, merged.lines, merged.damaged }, { "", 0, 1 })
end

function cases.lines_are_read_whole_wherever_a_block_ends()
  local texts = {}
  for g = 0, 999 do texts[g + 1] = (line_of(g)) end
  table.sort(texts) -- as merge gives them
  local all = table.concat(texts)
  for _, junk in ipairs { "", "x", ("y"):rep(65536), ("z"):rep(200000) } do
    local text, merged = merge { junk .. "\n" .. all:sub(1, -2) }
    lu.assertEquals(merged.damaged, 1)
    lu.assertTrue(text == all, #junk)
  end
end

function cases.G35_files_of_two_plans_are_refused()
  local other = line_of(1):gsub(PLAN, OTHER)
  local text, message, errname = merge { line_of(1), other }
  lu.assertNil(text)
  lu.assertEquals(errname, "EINVAL")
  lu.assertStrContains(message, PLAN)
  lu.assertStrContains(message, OTHER)
  lu.assertEquals(select(3, fleet.merge({ "/nonexistent/file" }, print)), "ENOENT")
end

function cases.G35_what_is_missing_is_counted()
  local _, merged = merge({ line_of(1) .. line_of(2) }, { expect = 5 })
  lu.assertEquals({ merged.expected, merged.missing }, { 5, 3 })
end

-- ---- figures ----

-- The summary of a part, as a job writes it. first, last: numbers of its targets.
local function part_text(part, first, last, total, start)
  local figures = summary.new()
  for g = first, last do
    figures:add(json.decode(line_of(g, { time = (start or 1795934863) + g % 10 })))
  end
  return json.encode(figures:encode { plan = PLAN, part = part, started = 1795934862,
    total = total, targets = { total = 4 * total } }) .. "\n", figures
end

function cases.G35_parts_that_are_missing_or_not_complete_are_named()
  local texts = { (part_text("1/4", 0, 99, 100)), (part_text("2/4", 100, 149, 100)),
    (part_text("4/4", 300, 399, 100)) }
  local _, merged = merge(texts)
  lu.assertEquals({ merged.expected, merged.missing, merged.missing_parts },
    { 400, 150, { 2, 3 } })
  lu.assertEquals(merged.summary.done, 250)
  texts[4] = part_text("2/4", 100, 199, 100)
  _, merged = merge(texts)
  lu.assertEquals({ merged.missing_parts, merged.twice, merged.summary.done },
    { { 3 }, { 2 }, 300 })
  texts[5] = texts[1]
  _, merged = merge(texts)
  lu.assertEquals({ merged.twice, merged.summary.done }, { { 2 }, 300 })
end

function cases.G35_summaries_tell_what_lines_should_be_there()
  local lines = {}
  for g = 0, 149 do lines[#lines + 1] = line_of(g) end
  local _, merged = merge { table.concat(lines), (part_text("1/4", 0, 99, 100)),
    (part_text("2/4", 100, 149, 100)) }
  lu.assertEquals({ merged.lines, merged.summary.done, merged.missing }, { 150, 150, 250 })
  lu.assertEquals(merged.missing_parts, { 2, 3, 4 })
end

function cases.G36_merged_figures_are_those_of_one_run()
  local texts, whole = {}, summary.new()
  for part = 1, 4 do
    texts[part] = part_text(part .. "/4", part * 1000, part * 1000 + 999, 1000)
    for g = part * 1000, part * 1000 + 999 do
      whole:add(json.decode(line_of(g, { time = 1795934863 + g % 10 })))
    end
  end
  local _, merged = merge(texts)
  lu.assertEquals(json.encode(merged.summary:encode()), json.encode(whole:encode()))
  for _, p in ipairs { 50, 90, 99, 99.9 } do
    lu.assertEquals(merged.summary.us.total:percentile(p), whole.us.total:percentile(p))
  end
end

function cases.G38_parts_that_ran_an_hour_apart_have_the_rate_of_their_seconds()
  local _, merged = merge { (part_text("1/2", 0, 999, 1000)),
    (part_text("2/2", 1000, 1999, 1000, 1795934863 + 3600)) }
  lu.assertAlmostEquals(merged.summary:rate(), 2000 / 20, 1)
end

function cases.summaries_of_other_plans_or_counts_are_refused()
  local one = part_text("1/4", 0, 9, 10)
  for _, wrong in ipairs { (one:gsub(PLAN, OTHER)), (one:gsub("1/4", "1/5")),
    (one:gsub('"part":"1/4"', '"part":"x"')), "{}\n" } do
    local text, _, errname = merge { one, wrong }
    lu.assertEquals({ text, errname }, { nil, "EINVAL" })
  end
  local text, _, errname = merge { one, (line_of(1):gsub(PLAN, OTHER)) }
  lu.assertEquals({ text, errname }, { nil, "EINVAL" })
end

-- ---- cost ----

-- Writes so many lines, and some of them once more. Gives the path.
local function write_lines(count, doubles)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  for g = 0, count - 1 do file:write((line_of(g))) end
  for g = 0, doubles - 1 do file:write((line_of(g * 7))) end
  file:close()
  return path
end

-- Seconds of the processor to decode each line of a file, which is the most of what merging has to
-- do.
local function time_to_decode(path)
  local start = os.clock()
  for line in io.lines(path) do json.decode(line) end
  return os.clock() - start
end

-- Merges a file. Gives the figures, the processor's seconds, and the KiB of memory that Lua has had
-- at most.
local function measure_merge(path)
  collectgarbage()
  collectgarbage()
  local count, most, before, start = 0, 0, collectgarbage "count", os.clock()
  local merged = assert(fleet.merge({ path }, function()
    count = count + 1
    if count % 100000 == 0 then
      collectgarbage()
      most = math.max(most, collectgarbage "count" - before)
    end
    return true
  end))
  lu.assertEquals(merged.lines, count)
  return merged, os.clock() - start, most
end

-- Decoding takes 3 s on the machine of the figures, so twice that are 6 s there.
function cases.G40_a_million_lines_take_a_bit_each()
  local COUNT, DOUBLES = os.getenv "TCPM_LONG" == "1" and 10000000 or 1000000, 1000
  local path = write_lines(COUNT, DOUBLES)
  local decoding = time_to_decode(path)
  local good, message = pcall(function()
    local merged, seconds, most = measure_merge(path)
    print(("# decoded in %.2f s, merged in %.2f s, %.0f KiB"):format(decoding, seconds, most))
    lu.assertEquals({ merged.lines, merged.duplicates }, { COUNT, DOUBLES })
    lu.assertTrue(seconds < 2 * decoding, seconds)
    lu.assertTrue(most < COUNT / 8 / 1024 + 700, most)
  end)
  os.remove(path)
  if not good then error(message, 0) end
end

support.main(cases)
