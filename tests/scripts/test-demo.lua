-- SPDX-License-Identifier: MIT
-- demo.lua: what it opens, counts and reports, on a terminal and without one.
local lu = require "luaunit"
local harness = require "scripts.harness"
local uv = require "luv"

local cases = harness.cases "Demo"

local function check_summary(text, connections, lines)
  lu.assertStrContains(text, connections .. " connections open at once\n")
  lu.assertStrContains(text, "  failed       nothing\n")
  local seconds, rate = text:match("connecting   ([%d.]+) s: (%d+) connections per second\n")
  assert(tonumber(rate) > 0, text)
  assert(math.abs(rate * seconds - connections) <= connections * 0.6 + rate * 0.005, text)
  seconds, rate = text:match("exchanging   ([%d.]+) s: (%d+) messages per second\n")
  local messages = connections * lines
  assert(math.abs(rate * seconds - messages) <= messages * 0.6 + rate * 0.005, text)
  local before = 0
  for _, share in ipairs { "latency      50 %% ", ", 90 %% ", ", 99 %% ", ", longest " } do
    local milliseconds = tonumber((text:match(share .. "([%d.]+) ms")))
    assert(milliseconds and milliseconds >= before and milliseconds < 60000, text)
    before = milliseconds
  end
  assert(before > 0, text)
  assert(tonumber((text:match("memory       ([%d.-]+) KiB per connection"))), text)
end

function cases.ten_thousand_connections_are_open_at_once_and_each_exchanges_its_lines()
  local demo = harness.script("demo.lua", { 10000, 3 }, { peer = "echo" })
  lu.assertEquals(demo.errors(), "", "standard error")
  check_summary(demo.output(), 10000, 3)
  lu.assertEquals(demo.code, 0, "exit status")
  local memory = tonumber((demo.output():match("memory       ([%d.-]+) KiB")))
  assert(memory > 0.1 and memory < 4, demo.output())
end

function cases.the_number_of_connections_and_of_lines_are_arguments()
  local demo = harness.script("demo.lua", { 200, 5 }, { peer = "echo" })
  check_summary(demo.output(), 200, 5)
  lu.assertEquals(demo.code, 0, "exit status")
end

function cases.on_a_terminal_there_is_a_progress_line_and_it_is_gone_in_the_end()
  local demo = harness.script_on_terminal("demo.lua", { 500, 400 }, { peer = "echo" })
  lu.assertEquals(demo.code, 0, "exit status")
  lu.assertStrContains(demo.output(), "\r\27[K500 open, ")
  lu.assertStrContains(demo.output(), "\r\27[K500 connections open at once")
end

function cases.a_lower_file_limit_as_many_as_possible_at_once_the_others_afterwards()
  local limited = { "--nofile=100:100", arg[1], "--peer", "echo" }
  limited[5], limited[6], limited[7] = os.getenv("TCPM_SOURCE") .. "/scripts/demo.lua", 200, 2
  local demo = harness.run("prlimit", limited)
  lu.assertEquals(demo.errors(), "", "standard error")
  lu.assertEquals(demo.code, 0, "exit status")
  local most = tonumber((demo.output():match("^(%d+) connections open at once")))
  assert(most > 10 and most < 100, demo.output())
  lu.assertStrContains(demo.output(), "failed       nothing")
end

function cases.a_peer_that_sends_other_lines_counted_named_exit_status_1()
  local demo = harness.script("demo.lua", { 20, 2 }, { peer = "chargen" })
  lu.assertEquals(demo.code, 1, "exit status")
  lu.assertStrContains(demo.output(), "failed       20: error EPROTO")
end

function cases.without_the_practice_peer_or_with_bad_numbers_the_usage_exit_status_2()
  for _, words in ipairs { { "10", "none" }, { "0" }, { "1", "2", "3" }, { "many" } } do
    local demo = harness.script("demo.lua", words, { peer = "echo" })
    lu.assertEquals(demo.code, 2, "exit status")
    lu.assertStrContains(demo.errors(), "usage: tcpmulti-lua --peer echo scripts/demo.lua")
  end
  local demo = harness.script("demo.lua")
  lu.assertEquals(demo.code, 2, "exit status")
  lu.assertStrContains(demo.errors(), "usage: ")
end

-- Starts the demo with more lines than it will ever send, interrupts it when it has so many
-- descriptors, and waits for its end and for that of its practice peer.
local function interrupt(descriptors)
  local words = { "--peer", "echo", os.getenv("TCPM_SOURCE") .. "/scripts/demo.lua" }
  words[4], words[5] = 100, 1000000
  local demo = harness.start(arg[1], words)
  local peer = harness.wait_until(10, "the practice peer", function()
    local children = io.open(("/proc/%d/task/%d/children"):format(demo.pid or 0, demo.pid or 0))
    local pid = children and tonumber(children:read("*l") or "")
    if children then children:close() end
    return pid
  end)
  harness.wait_until(10, descriptors .. " descriptors", function()
    local open, reader = 0, uv.fs_scandir(("/proc/%d/fd"):format(demo.pid))
    while reader and uv.fs_scandir_next(reader) do open = open + 1 end
    return open >= descriptors
  end)
  demo.kill("sigint")
  harness.finish(demo)
  local status = demo.signal == 2 and 130 or demo.code -- as a shell sees it
  lu.assertEquals(status, 130, "exit status " .. demo.errors())
  local function gone() return not uv.fs_stat("/proc/" .. peer) end
  harness.wait_until(10, "the end of the practice peer", gone)
  return demo
end

function cases.an_interrupt_ends_it_and_the_practice_peer_with_it()
  local demo = interrupt(100)
  lu.assertStrContains(demo.output(), "connections open at once\n")
  lu.assertStrContains(demo.output(), "  failed       nothing\n")
end

function cases.an_interrupt_before_anything_is_open_ends_it_too() interrupt(3) end

harness.main(cases, 90)
