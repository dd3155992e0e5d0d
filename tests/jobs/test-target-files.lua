-- SPDX-License-Identifier: MIT
-- tcpmulti.targets: files of targets, line by line, and lines of pipes. What is malformed is named
-- by file and line, and costs nothing but itself.
local lu = require "luaunit"
local support = require "jobs.support"
local targets = require "tcpmulti.targets"

local cases = support.cases "TargetFiles"

local function plan_of(text, options)
  local plan
  support.with_file(text, function(path)
    plan = assert(targets.plan({ { path = path } }, options))
    for _, one in ipairs(plan.malformed) do lu.assertEquals(one.source, path) end
  end)
  return plan
end

-- The lines of the malformed ones, joined.
local function lines_of(plan)
  local numbers = {}
  for i, one in ipairs(plan.malformed) do numbers[i] = one.line end
  return table.concat(numbers, " ")
end

function cases.J10_numbers_of_malformed_lines()
  local plan = plan_of("10.0.0.1:22\n# comment\n\nnonsense here\r\n10.0.0.2:22 # why\r\n\r\n"
    .. "  10.0.0.3:22\t\n10.0.0.4:22\r\n10.0.0.5\n#\n 10.0.0.300:1\nhost.example:22\n10.0.0.6:0")
  lu.assertEquals(plan.total, 5)
  lu.assertEquals(lines_of(plan), "4 9 11 13")
  lu.assertEquals(plan.malformed[1].text, "nonsense here")
  lu.assertEquals(plan.malformed[3].text, "10.0.0.300:1")
end

function cases.J10_without_a_line_end_at_the_end()
  for _, ending in ipairs { "", "\n", "\r\n", "\r", "\n\n" } do
    local plan = plan_of("10.0.0.1:1\n10.0.0.2:2" .. ending)
    lu.assertEquals({ plan.total, plan.malformed_count }, { 2, 0 })
  end
end

-- One line of many: a name, an address, or one that is malformed.
local function nth_line(i)
  if i % 997 == 0 then return "bad line " .. i end
  return i % 3 == 0 and ("h%d.example:1"):format(i) or ("10.0.%d.1:7"):format(i % 256)
end

function cases.J10_lines_cut_anywhere_by_blocks()
  local parts = {}
  for i = 1, 30000 do parts[i] = nth_line(i) end
  local plan = plan_of(table.concat(parts, "\n"))
  lu.assertEquals(plan.malformed_count, 30)
  for i, one in ipairs(plan.malformed) do
    lu.assertEquals({ one.line, one.text }, { i * 997, "bad line " .. i * 997 })
  end
  lu.assertEquals(plan.total + plan.duplicates, 30000 - 30)
end

function cases.J11_a_hundred_malformed_lines_are_kept_all_are_counted()
  local plan = plan_of(("x y\n"):rep(150) .. ("z"):rep(5000) .. "!\n10.0.0.1:1\n")
  lu.assertEquals({ plan.malformed_count, #plan.malformed, plan.total }, { 151, 100, 1 })
  lu.assertEquals(plan.malformed[100].line, 100)
end

function cases.J11_a_line_without_end_is_malformed_and_passed_over()
  for _, tail in ipairs { "\n10.0.0.2:1\n\nbad one\n", "" } do
    local plan = plan_of("10.0.0.1:1\n" .. ("a"):rep(3 * 2 ^ 20) .. tail)
    lu.assertEquals(lines_of(plan), tail == "" and "2" or "2 5")
    lu.assertEquals(plan.total, tail == "" and 1 or 2)
    lu.assertEquals(#plan.malformed[1].text, 256)
  end
end

function cases.J11_any_byte_in_any_line()
  local bytes = {}
  for i = 1, 20000 do bytes[i] = string.char(math.random(0, 255)) end
  local plan = plan_of(table.concat(bytes), { ports = "1" })
  lu.assertTrue(plan.malformed_count > 0)
end

function cases.J12_files_that_cannot_be_read()
  for path, expected in pairs { ["/nonexistent"] = "ENOENT", ["/"] = "EISDIR",
    ["/proc/self/mem"] = "EIO" } do
    local none, message, errname = targets.plan { { path = path } }
    lu.assertNil(none)
    lu.assertStrContains(message, path .. ": ")
    lu.assertEquals(errname, expected)
    none, message = targets.plan({}, { exclude = { path } })
    lu.assertNil(none)
    lu.assertStrContains(message, path .. ": ")
  end
end

function cases.J23_an_empty_file_is_a_plan_of_nothing()
  local plan = plan_of "# nothing\n\n"
  lu.assertEquals({ plan.total, plan.hosts, plan.malformed_count }, { 0, 0, 0 })
  lu.assertNil(plan:walker(0, 1):next())
  lu.assertEquals(plan:walker(2, 3).total, 0)
  lu.assertEquals({ plan:walker(0, 1):skip(0) }, { false, "elsewhere" })
end

-- ---- pipes ----

local function stream(options) return assert(targets.stream(options)) end

local function keys(list)
  local all = {}
  for i, one in ipairs(list) do all[i] = ("%s %s:%d"):format(one.number, one.host, one.port) end
  return table.concat(all, ", ")
end

function cases.J15_lines_of_a_pipe()
  local one = stream { ports = "22", exclude = { "10.0.0.2", "bad.example" } }
  lu.assertEquals(keys(one:line("10.0.0.1", 1)), "1 10.0.0.1:22")
  lu.assertEquals(keys(one:line("10.0.0.0/30:1,7\r", 2)), "2.1 10.0.0.0:1, 2.2 10.0.0.0:7, "
    .. "2.3 10.0.0.1:1, 2.4 10.0.0.1:7, 2.5 10.0.0.3:1, 2.6 10.0.0.3:7")
  lu.assertEquals(one:line("# comment", 3), {})
  lu.assertEquals(one:line("", 4), {})
  lu.assertEquals(one:line("Bad.example", 5), {})
  lu.assertEquals({ one:line("x y", 6) }, { nil, "neither an address nor a name" })
  lu.assertEquals(keys(one:line("  Good.example:80 # why", 7)), "7 good.example:80")
  lu.assertEquals(keys(one:line("0.1.2.3", 8)), "")
  lu.assertEquals(one.excluded, 4)
  lu.assertEquals(one:line("[2001:db8:1:2::3]:80", 9)[1].network, "2001:db8:1::/48")
  lu.assertEquals(one:line("10.1.2.3", 9)[1].network, "10.1.2.0/24")
  lu.assertStrContains(one:denied()[2], "10.0.0.2/32")
end

function cases.J15_a_line_of_a_pipe_has_a_limit()
  local one = stream { ports = "1-65535" }
  lu.assertEquals(#one:line("10.0.0.1", 1), 65535)
  for _, text in ipairs { "10.0.0.0/31", "10.0.0.0/8:1", "[::/0]:1" } do
    local none, message = one:line(text, 1)
    lu.assertNil(none)
    lu.assertStrContains(message, "at most 65536 targets")
  end
end

function cases.J15_options_of_streams()
  lu.assertNil((targets.stream { ports = "x" }))
  lu.assertEquals(select(3, targets.stream { exclude = { "/nonexistent" } }), "ENOENT")
  lu.assertErrorMsgContains("process j of J", targets.stream, { process = 2, processes = 2 })
  local ids = {}
  for _, options in ipairs { {}, { ports = "1" }, { ports = "2" }, { seed = "x" },
    { exclude = { "10.0.0.1" } }, { reserved = true } } do
    local id = stream(options).id
    lu.assertEquals(#id, 16)
    lu.assertNil(ids[id])
    ids[id] = true
    lu.assertEquals(stream(options).id, id)
  end
end

function cases.J15_a_line_belongs_to_one_process()
  local parts, owners = {}, {}
  for j = 0, 4 do parts[j] = stream { ports = "1", process = j, processes = 5 } end
  for i = 1, 500 do
    local text = i % 2 == 0 and "h" .. i or ("10.0.%d.%d"):format(i % 3, i % 256)
    local owner
    for j = 0, 4 do
      if #parts[j]:line(text, i) > 0 then
        lu.assertNil(owner)
        owner = j
      end
    end
    lu.assertNotNil(owner)
    owners[owner] = (owners[owner] or 0) + 1
  end
  for j = 0, 4 do lu.assertTrue(owners[j] > 50) end
end

function cases.J16_a_stream_keeps_nothing_of_its_lines()
  local one = stream { ports = "22,80" }
  local bytes = support.cost(function()
    for i = 1, 100000 do
      local list = one:line(("10.%d.%d.%d:%d,%d"):format(i % 256, math.floor(i / 256) % 256, i % 7,
        1 + i % 99, 200 + i % 777), i)
      assert(#list == 2)
    end
  end)
  lu.assertTrue(bytes < 262144, bytes)
end

support.main(cases)
