-- SPDX-License-Identifier: MIT
-- A job over a network, as a user runs it: cut by Ctrl-C, completed by the same command with
-- --resume, and complete after that.
local harness = require "scripts.harness"
local json = require "cjson"
local lu = require "luaunit"
local uv = require "luv"

local cases = harness.cases "JobResumed"
local runner = arg[1]

local HOSTS = 4096 -- of 127.0.0.0/20
local TARGETS = 2 * HOSTS

local function read_file(path)
  local file = io.open(path, "rb")
  local text = file and file:read "*a" or ""
  if file then file:close() end
  return text
end

local function count_lines(path) return select(2, read_file(path):gsub("\n", "")) end

-- Two ports of all addresses: one has a banner, nobody listens on the other.
local function two_ports()
  local asked = { count = 0 }
  local open = harness.listen("0.0.0.0", nil, function(client)
    asked.count = asked.count + 1
    client:write "220 ready\r\n"
    client:read_start(function(_, bytes)
      if not bytes and not client:is_closing() then client:close() end
    end)
  end)
  local closed = uv.new_tcp() -- bound, and not listening: nobody else gets the port
  assert(closed:bind("0.0.0.0", 0))
  return open, closed:getsockname().port, asked, closed
end

local function check_lines(path, open)
  local keys, count, good = {}, 0, 0
  for line in read_file(path):gmatch "[^\n]+" do
    local record = json.decode(line)
    assert(not keys[record.key], "twice: " .. record.key)
    keys[record.key], count = true, count + 1
    lu.assertEquals(record.ok, record.port == open, line)
    if record.ok then
      good = good + 1
      lu.assertEquals(record.data.banner, "220 ready\r\n")
    end
  end
  lu.assertEquals({ count, good }, { TARGETS, HOSTS })
end

local function check_page(path, ...)
  local page = read_file(path)
  for _, words in ipairs { ... } do lu.assertStrContains(page, words) end
  lu.assertEquals(harness.run("xmllint", { "--noout", path }).code, 0)
end

function cases.J66_G27_a_network_cut_by_ctrl_c_and_completed_by_the_same_command()
  local open, closed, asked, socket = two_ports()
  local folder = harness.directory()
  local output, page = folder .. "/out.jsonl", folder .. "/out.html"
  local command = { "-m", "banner", "-p", open .. "," .. closed, "127.0.0.0/20", "-o", output,
    "--fail-if", "p99(connect) > 1s", "--report", page, "-r", "2k/s" }
  local first = harness.start(runner, command)
  harness.wait_until(30, "lines", function() return count_lines(output) > 1500 end)
  first.kill "sigint"
  harness.finish(first)
  lu.assertEquals({ first.code, first.signal }, { 75, 0 }, first.errors())
  lu.assertStrContains(first.errors(), "the same command with --resume goes on")
  local done = count_lines(output)
  assert(done > 1500 and done < TARGETS, done)
  check_page(page, "Incomplete: cut short by a signal", done .. " targets in ")

  command[#command + 1] = "--resume"
  local second = harness.run(runner, command)
  lu.assertEquals(second.code, 0, second.errors())
  lu.assertStrContains(second.errors(), ("resumed: %d of %d are done"):format(done, TARGETS))
  lu.assertStrContains(second.errors(), "passed: p99(connect) > 1s")
  check_lines(output, open)
  check_page(page, ("%d targets, %d done before and %d in "):format(TARGETS, done, TARGETS - done),
    HOSTS .. " ok, " .. HOSTS .. " failed",
    "Passed: none of the conditions for failure holds")

  local before = asked.count
  local third = harness.run(runner, command)
  lu.assertEquals(third.code, 0, third.errors())
  lu.assertEquals(asked.count, before, "G27: a complete job makes no connection")
  check_lines(output, open)
  socket:close()
end

function cases.J66_what_is_open_may_end_and_all_that_ended_is_counted()
  local folder = harness.directory()
  local output, figures = folder .. "/out.jsonl", folder .. "/summary"
  local slow = harness.listen("0.0.0.0", nil, function(client)
    local timer = uv.new_timer()
    timer:start(400, 0, function()
      if not client:is_closing() then client:write "220 ready\r\n" end
      timer:close()
    end)
  end)
  local begun = uv.hrtime()
  local job = harness.start(runner, { "-m", "banner", "-p", slow, "127.0.0.0/22", "-o", output,
    "-r", "500/s", "--grace", "5s", "--summary", figures })
  harness.wait(1000)
  job.kill "sigint"
  local told = uv.hrtime()
  harness.finish(job)
  lu.assertEquals({ job.code, job.signal }, { 75, 0 }, job.errors())
  assert((uv.hrtime() - told) / 1e9 < 5 + 0.5 and (uv.hrtime() - begun) / 1e9 > 1.2)
  local summary = json.decode(read_file(figures))
  lu.assertEquals({ summary.partial, summary.reason, summary.cut }, { true, "signal", 0 })
  lu.assertEquals(summary.done, count_lines(output))
  lu.assertEquals(summary.attempts, summary.done)
  assert(summary.done > 100 and summary.done < 1024, summary.done)
  for line in read_file(output):gmatch "[^\n]+" do lu.assertTrue(json.decode(line).ok, line) end
end

harness.main(cases, 120)
