-- SPDX-License-Identifier: MIT
-- Result lines: their form, which of two stays, where they are written, and how they are read back.
local ffi = require "ffi"
local json = require "tcpmulti.json"
local lu = require "luaunit"
local results = require "tcpmulti.results"
local support = require "jobs.support"
local summary = require "tcpmulti.summary"

ffi.cdef [[
  int pipe(int *ends);
  int dup(int fd);
  int dup2(int from, int to);
  int close(int fd);
  long read(int fd, void *bytes, unsigned long count);
]]
local C = ffi.C

local cases = support.cases "Results"

local PLAN = "131b1a2d3f09dc74"

-- A record as a job makes it; fields: what differs.
local function record(fields)
  local one = { key = PLAN .. ":45", host = "127.0.1.45", port = 7001, ok = true,
    ["end"] = "shutdown", attempts = 1, time = 1795934863.014,
    us = { queue = 0, connect = 420, total = 10691 }, ["in"] = 19, out = 0 }
  for name, value in pairs(fields or {}) do one[name] = value end
  return one
end

-- ---- the form ----

local HEAD = '{"key":"131b1a2d3f09dc74:45","host":"127.0.1.45","port":7001,'
local TAIL = '"attempts":1,"time":1795934863.014,"us":{"queue":0,"connect":420,"total":10691},'
  .. '"in":19,"out":0'

for _, row in ipairs {
  { "plain", {}, HEAD .. '"ok":true,"end":"shutdown",' .. TAIL .. "}\n" },
  { "with an address and an id", { addr = "127.0.1.45", id = 7 },
    HEAD .. '"addr":"127.0.1.45","id":7,"ok":true,"end":"shutdown",' .. TAIL .. "}\n" },
  { "of a timeout", { ok = false, ["end"] = "timeout", error = { op = "read", name = "ETIMEDOUT",
    text = "Connection timed out", timer = "idle" } }, HEAD .. '"ok":false,"end":"timeout","error":'
    .. '{"op":"read","name":"ETIMEDOUT","text":"Connection timed out","timer":"idle"},' .. TAIL
    .. "}\n" },
  { "of our own want", { ok = false, ["end"] = "failure", error = { op = "connect",
    name = "EADDRNOTAVAIL", text = "no port", ["local"] = true } }, HEAD .. '"ok":false,"end":'
    .. '"failure","error":{"op":"connect","name":"EADDRNOTAVAIL","text":"no port","local":true},'
    .. TAIL .. "}\n" },
  { "with data", { data = { banner = "\255\254\nm\r\n", code = 220 } }, HEAD
    .. '"ok":true,"end":"shutdown",' .. TAIL .. ',"data":{"banner_b64":"//4KbQ0K","code":220}}\n' },
  { "without fields in the data", { data = {} },
    HEAD .. '"ok":true,"end":"shutdown",' .. TAIL .. "}\n" },
  { "with all phases", { us = { total = 7, first_byte = 6, tls = 5, proxy = 4, connect = 3,
    resolve = 2, queue = 1 }, time = 1795934863 }, HEAD .. '"ok":true,"end":"shutdown",'
    .. '"attempts":1,"time":1795934863.000,"us":{"queue":1,"resolve":2,"connect":3,"proxy":4,'
    .. '"tls":5,"first_byte":6,"total":7},"in":19,"out":0}\n' },
  { "with a first byte", { us = { queue = 1, connect = 2, first_byte = 3, total = 4 } }, HEAD
    .. '"ok":true,"end":"shutdown","attempts":1,"time":1795934863.014,"us":{"queue":1,"connect":2,'
    .. '"first_byte":3,"total":4},"in":19,"out":0}\n' },
  { "of a connect that failed", { us = { queue = 1, total = 4 } }, HEAD
    .. '"ok":true,"end":"shutdown","attempts":1,"time":1795934863.014,'
    .. '"us":{"queue":1,"total":4},"in":19,"out":0}\n' },
  { "at the end of a second", { time = 1795934862.9996, addr = "::1" }, HEAD .. '"addr":"::1",'
    .. '"ok":true,"end":"shutdown",' .. TAIL:gsub("863.014", "863.000") .. "}\n" },
  { "with more bytes than 14 digits tell", { ["in"] = 123456789012345, out = 2 ^ 53 }, HEAD
    .. '"ok":true,"end":"shutdown",' .. TAIL:gsub('"in":.*', '"in":123456789012345,')
    .. '"out":9007199254740992}\n' },
  { "of a host that is not UTF-8", { host = "\255" }, '{"key":"131b1a2d3f09dc74:45","host_b64":'
    .. '"/w==","port":7001,"ok":true,"end":"shutdown",' .. TAIL .. "}\n" },
} do
  cases["J42_the line " .. row[1] .. " has its bytes"] = function()
    lu.assertEquals(results.line(record(row[2])), row[3])
    lu.assertIsTable(json.decode(row[3]))
  end
end

function cases.J42_a_line_that_is_read_gives_the_same_line()
  local line = results.line(record { ok = false, ["end"] = "error", addr = "::1", id = { "x", 1 },
    error = { op = "script", name = "ESCRIPT", text = "a.lua:1: \27[31m" },
    data = { a = "\255", b = { 1, 2, { c = true } } } })
  lu.assertEquals(results.line(json.decode(line)), line)
end

function cases.J43_random_texts_make_lines_without_control_characters()
  for _ = 1, 500 do
    local bytes = {}
    for i = 1, math.random(0, 40) do bytes[i] = string.char(math.random(0, 255)) end
    local text = table.concat(bytes)
    local line = results.line(record { host = text, id = text, ok = false, data = { [text] = text },
      error = { op = "fail", name = text, text = text } })
    lu.assertNil(line:sub(1, -2):find "%c", line)
    lu.assertNil(line:find "\194[\128-\159]", line)
    local back = json.decode(line)
    lu.assertEquals(back.host or json.unbase64(back.host_b64), text)
  end
end

-- ---- which line stays ----

local function random_line()
  return results.line(record {
    ok = math.random(2) == 1,
    time = 1795934863 + math.random(0, 2),
    id = math.random(3) == 1 and { ["end"] = "x", ok = true, time = 1 } or nil,
    error = math.random(2) == 1 and { op = "a", name = "B", text = '"ok":true,"end":"' } or nil,
    ["in"] = math.random(0, 2),
  })
end

function cases.G34_the_ok_one_stays_else_the_earlier_else_the_lesser()
  local good = results.line(record { time = 9 })
  local late = results.line(record { time = 10 })
  local bad = results.line(record { ok = false, time = 1 })
  local lesser = results.line(record { time = 9, ["in"] = 18 })
  lu.assertEquals(results.better(bad, good), good)
  lu.assertEquals(results.better(late, good), good)
  lu.assertEquals(results.better(good, lesser), lesser)
  lu.assertEquals(results.better(good, good), good)
end

function cases.G34_the_order_is_total()
  for _ = 1, 2000 do
    local a, b, c = random_line(), random_line(), random_line()
    lu.assertEquals(results.better(a, b), results.better(b, a))
    lu.assertEquals(results.better(results.better(a, b), c),
      results.better(a, results.better(b, c)))
  end
end

-- ---- files ----

local function temporary()
  local name = os.tmpname()
  os.remove(name)
  return name
end

local function content(name)
  local file = assert(io.open(name, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function put(name, text)
  local file = assert(io.open(name, "wb"))
  file:write(text)
  file:close()
end

-- Calls f(name) with the name of a file that is removed afterwards.
local function with_file(f)
  local name = temporary()
  local ok, err = pcall(f, name)
  os.remove(name)
  if not ok then error(err, 0) end
end

function cases.J12_an_output_in_a_missing_directory_is_told()
  local sink, message, errname = results.open("/nonexistent/out.jsonl")
  lu.assertEquals({ sink, message, errname },
    { nil, "/nonexistent/out.jsonl: No such file or directory", "ENOENT" })
  sink, message, errname = results.open("/")
  lu.assertEquals({ sink, message, errname }, { nil, "/: Is a directory", "EISDIR" })
end

function cases.J51_a_file_that_has_results_is_neither_lost_nor_mixed()
  with_file(function(name)
    put(name, "old\n")
    local sink, message, errname = results.open(name)
    lu.assertEquals({ sink, errname }, { nil, "EEXIST" })
    lu.assertStrContains(message, "give --resume or --overwrite")
    local open = assert(results.open(name, { resume = true }))
    open:write "new\n"
    lu.assertTrue(open:close(true))
    lu.assertEquals(content(name), "old\nnew\n")
    open = assert(results.open(name, { overwrite = true }))
    open:write "only\n"
    lu.assertTrue(open:close())
    lu.assertEquals(content(name), "only\n")
    lu.assertErrorMsgContains("not both", results.open, name, { resume = true, overwrite = true })
  end)
end

function cases.J51_a_second_writer_is_told()
  with_file(function(name)
    local first = assert(results.open(name))
    local second, message, errname = results.open(name, { overwrite = true })
    lu.assertEquals({ second, errname }, { nil, "EBUSY" })
    lu.assertStrContains(message, "another process is writing it")
    first:close()
    second = assert(results.open(name))
    second:close()
  end)
end

function cases.a_device_may_be_written_by_many()
  local first = assert(results.open("/dev/null"))
  local second = assert(results.open("/dev/null"))
  lu.assertTrue(first:close(true))
  lu.assertTrue(second:close(true))
end

function cases.J47_lines_are_written_in_time_or_when_there_are_many()
  with_file(function(name)
    local now = 100
    local sink = assert(results.open(name, { now = function() return now end }))
    lu.assertFalse(sink:due())
    lu.assertTrue(sink:write "one\n")
    now = 100.19
    lu.assertFalse(sink:due())
    now = 100.2
    lu.assertTrue(sink:due())
    lu.assertEquals(content(name), "")
    lu.assertTrue(sink:flush())
    lu.assertEquals(content(name), "one\n")
    lu.assertFalse(sink:due())
    local line = ("x"):rep(1023) .. "\n"
    for _ = 1, 63 do sink:write(line) end
    lu.assertEquals(#content(name), 4)
    sink:write(line)
    lu.assertEquals(#content(name), 4 + 65536)
    lu.assertEquals(sink.written, 65)
    sink:close()
  end)
end

function cases.a_sink_that_is_closed_twice_stays_closed()
  with_file(function(name)
    local sink = assert(results.open(name))
    sink:write "line\n"
    lu.assertTrue(sink:close(true))
    lu.assertTrue(sink:close(true))
    lu.assertEquals(content(name), "line\n")
  end)
end

function cases.J50_an_output_that_cannot_be_written_tells_why_again_and_again()
  local sink = assert(results.open "/dev/full")
  lu.assertTrue(sink:write "line\n")
  for _ = 1, 2 do
    local ok, message, errname = sink:flush()
    lu.assertEquals({ ok, message, errname },
      { nil, "/dev/full: No space left on device", "ENOSPC" })
  end
  lu.assertEquals({ sink:write "more\n" }, { nil, "/dev/full: No space left on device", "ENOSPC" })
  lu.assertNil((sink:close(true)))
  lu.assertEquals(sink.written, 0)
end

-- The script runs on a file system of 128 KiB: what it wrote, and the file's bytes, come back.
local FULL = [[
  local results = require "tcpmulti.results"
  local name = arg[1] .. "/out.jsonl"
  local sink, given = assert(results.open(name)), 0
  local ok, message, errname = true, nil, nil
  while ok do
    given = given + 1
    ok, message, errname = sink:write(given .. ("x"):rep(997) .. "\n")
  end
  sink:close(true)
  local file = io.open(name)
  local text = file:read "*a"
  file:close()
  local _, lines = text:gsub("\n", "")
  print(errname, message:match "[^:]*$", text:sub(-1) == "\n", lines == sink.written, lines > 60,
    lines < given)
]]

function cases.J50_a_full_file_system_leaves_whole_lines_only()
  local script, folder = temporary(), temporary()
  put(script, FULL)
  local runner = os.getenv "TCPMULTI_BUILD" .. "/lua/tcpmulti-lua"
  local inside = ("mkdir %s && mount -t tmpfs -o size=128k none %s && timeout 20 %s %s %s"):format(
    folder, folder, runner, script, folder)
  local pipe = assert(io.popen("own=-m; unshare $own true 2>/dev/null || own=-rm; unshare $own "
    .. "true 2>/dev/null || { echo 'unshare failed'; exit; }; unshare $own sh -c '" .. inside
    .. "' 2>&1"))
  local output = pipe:read "*a"
  pipe:close()
  os.remove(script)
  os.remove(folder)
  if output == "unshare failed\n" then lu.skip "no namespaces here" end
  lu.assertEquals(output, "ENOSPC\t No space left on device\ttrue\ttrue\ttrue\ttrue\n")
end

-- ---- standard output ----

-- Calls f(sink, read) while standard output is a pipe; read() gives what the reader finds there.
local function with_pipe(f)
  local ends, buffer = ffi.new "int[2]", ffi.new "char[65536]"
  io.stdout:flush()
  local saved = C.dup(1)
  assert(C.pipe(ends) == 0 and C.dup2(ends[1], 1) == 1)
  C.close(ends[1])
  local function read()
    local count = C.read(ends[0], buffer, 65536)
    return count > 0 and ffi.string(buffer, count) or ""
  end
  local ok, err = pcall(f, results.open("-", { now = function() return 0 end }), read)
  C.dup2(saved, 1)
  C.close(saved)
  C.close(ends[0])
  if not ok then error(err, 0) end
end

function cases.J48_a_reader_that_sleeps_blocks_nobody_and_loses_nothing()
  local written, seen = {}, {}
  with_pipe(function(sink, read)
    local count, told = 0, nil
    while not sink:full() do
      count = count + 1
      written[count] = ("%d "):format(count):rep(200) .. "\n"
      local ok, what = sink:write(written[count])
      assert(ok)
      told = told or what
    end
    lu.assertEquals(told, "full")
    lu.assertTrue(sink.waiting < 1048576 + 65536)
    repeat
      seen[#seen + 1] = read()
      local _, more = sink:flush()
    until not more
    lu.assertEquals(sink.written, count)
    lu.assertFalse(sink:full())
    lu.assertTrue(sink:write "last\n" and sink:close())
    repeat seen[#seen + 1] = read() until seen[#seen]:find "last\n$"
  end)
  lu.assertEquals(#table.concat(seen), #table.concat(written) + 5)
  lu.assertTrue(table.concat(seen) == table.concat(written) .. "last\n")
end

-- ---- reading back ----

local function lines_of(count, plan)
  local lines = {}
  for i = 1, count do lines[i] = results.line(record { key = (plan or PLAN) .. ":" .. i }) end
  return lines
end

-- What replay tells of a file with this text: its results, the numbers seen, and the text after it.
local function replay(text, plan, f)
  local got, numbers, after, damaged = nil, {}, nil, {}
  with_file(function(name)
    put(name, text)
    local sink = assert(results.open(name, { resume = true }))
    got = { sink:replay(plan or PLAN, f or function(number, one, line)
      numbers[#numbers + 1] = number
      lu.assertEquals(one.key, PLAN .. ":" .. number)
      lu.assertEquals(results.line(one), line .. "\n")
    end, function(number, line) damaged[#damaged + 1] = number .. ": " .. line end) }
    sink:close()
    after = content(name)
  end)
  return got, numbers, after, damaged
end

function cases.G25_a_torn_last_line_is_cut_off_wherever_it_is_torn()
  local text = table.concat(lines_of(3))
  local second = text:find "\n" + 1
  local third = text:find("\n", second) + 1
  for length = 0, #text do
    local whole = length == #text and 3 or length >= third - 1 and 2 or length >= second - 1 and 1
      or 0
    local kept = whole == 3 and text or text:sub(1, whole == 2 and third - 1 or whole == 1
      and second - 1 or 0)
    local got, numbers, after = replay(text:sub(1, length))
    lu.assertEquals(got, { whole, 0, length - #kept })
    lu.assertEquals(#numbers, whole)
    lu.assertEquals(after, kept)
  end
end

function cases.G25_lines_go_on_behind_what_was_cut_off()
  with_file(function(name)
    local lines = lines_of(2)
    put(name, lines[1] .. lines[2]:sub(1, 40))
    local sink = assert(results.open(name, { resume = true }))
    lu.assertEquals({ sink:replay(PLAN, function() end) }, { 1, 0, 40 })
    sink:write(lines[2])
    lu.assertTrue(sink:close(true))
    lu.assertEquals(content(name), table.concat(lines))
  end)
end

function cases.G26_damaged_lines_are_counted_and_named_and_stay()
  local lines = lines_of(4)
  lines[2] = lines[2]:gsub("port", "p\0rt", 1):gsub('"in":19', '"in":')
  lines[3] = "\n"
  local text = table.concat(lines)
  local got, numbers, after, damaged = replay(text)
  lu.assertEquals(got, { 2, 2, 0 })
  lu.assertEquals(numbers, { 1, 4 })
  lu.assertEquals(damaged, { "2: " .. lines[2]:sub(1, -2), "3: " })
  lu.assertEquals(after, text)
end

function cases.G26_a_line_without_its_fields_is_damaged()
  local line = lines_of(1)[1]
  for _, text in ipairs { line, line:sub(1, -2) } do -- with its end and without
    lu.assertEquals({ select(2, results.parse(text)) }, { line:match '"(%x+):(%d+)"' })
  end
  for _, change in ipairs { { '"host":"[^"]*",', "" }, { '"ok":%l+', '"ok":1' },
    { '"attempts":%d+', '"attempts":"1"' }, { '"time":[%d.]+', '"time":-1' },
    { '"total":%d+', '"total":{}' }, { '"us":{[^}]*}', '"us":3' }, { '"in":%d+,', "" },
    { '"end":"[^"]*"', '"end":null' }, { '"ok":', '"error":{"op":3},"ok":' } } do
    local changed, count = line:gsub(change[1], (change[2]:gsub("%%", "%%%%")), 1)
    lu.assertEquals(count, 1, change[1])
    lu.assertNil(results.parse(changed:sub(1, -2)), changed)
    lu.assertEquals(replay(changed)[2], 1, changed)
  end
end

function cases.G26_whatever_is_parsed_can_be_added_to_a_summary()
  local lines, good = lines_of(20), 0
  for round = 1, 20000 do
    local line = lines[round % 20 + 1]:sub(1, -2)
    for _ = 1, math.random(3) do
      local at = math.random(#line)
      local piece = lines[math.random(20)]:sub(math.random(200), math.random(200))
      line = line:sub(1, at - 1) .. (math.random(2) == 1 and "" or piece)
        .. line:sub(at + math.random(3))
    end
    local parsed = results.parse(line)
    if parsed then
      good = good + 1
      summary.new():add(parsed)
    end
  end
  lu.assertTrue(good > 10, good)
end

function cases.G28_results_of_another_plan_are_left_alone()
  local text = table.concat(lines_of(2)) .. "torn"
  local got, _, after = replay(text, "ffff1a2d3f09dc74")
  lu.assertEquals({ got[1], got[3] }, { nil, "EINVAL" })
  lu.assertStrContains(got[2], PLAN)
  lu.assertStrContains(got[2], "ffff1a2d3f09dc74")
  lu.assertEquals(after, text)
end

function cases.G28_the_caller_may_refuse_a_line()
  local text = table.concat(lines_of(2)) .. "torn"
  local got, _, after = replay(text, PLAN, function(number)
    return number == 2 and "target 2 is of another part" or nil
  end)
  lu.assertEquals({ got[1], got[3] }, { nil, "EINVAL" })
  lu.assertStrContains(got[2], ": target 2 is of another part")
  lu.assertEquals(after, text)
end

function cases.lines_longer_than_a_block_come_whole()
  local long = results.line(record { key = PLAN .. ":1", data = { x = ("y"):rep(3000000) } })
  local short = results.line(record { key = PLAN .. ":2" })
  local got, numbers = replay(short:gsub(":2", ":7") .. long .. short)
  lu.assertEquals(got, { 3, 0, 0 })
  lu.assertEquals(numbers, { 7, 1, 2 })
end

support.main(cases)
