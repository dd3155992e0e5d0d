-- SPDX-License-Identifier: MIT
-- demo.lua: what it opens, counts and reports, on a terminal and without one.
local harness = require "scripts.harness"
local uv = require "luv"

local function check_summary(text, connections, lines)
  harness.contains(text, connections .. " connections open at once\n", "summary")
  harness.contains(text, "  failed       nothing\n", "summary")
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

harness.case("10,000 connections are open at once and each exchanges its lines", function()
  local demo = harness.script("demo.lua", { 10000, 3 }, { peer = "echo" })
  harness.equal("", demo.errors(), "standard error")
  check_summary(demo.output(), 10000, 3)
  harness.equal(0, demo.code, "exit status")
  local memory = tonumber((demo.output():match("memory       ([%d.-]+) KiB")))
  assert(memory > 0.1 and memory < 4, demo.output())
end)

harness.case("the number of connections and of lines are arguments", function()
  local demo = harness.script("demo.lua", { 200, 5 }, { peer = "echo" })
  check_summary(demo.output(), 200, 5)
  harness.equal(0, demo.code, "exit status")
end)

harness.case("on a terminal there is a progress line, and it is gone in the end", function()
  local demo = harness.script_on_terminal("demo.lua", { 500, 400 }, { peer = "echo" })
  harness.equal(0, demo.code, "exit status")
  harness.contains(demo.output(), "\r\27[K500 open, ", "terminal")
  harness.contains(demo.output(), "\r\27[K500 connections open at once", "terminal")
end)

harness.case("a lower file limit: as many as possible at once, the others afterwards", function()
  local limited = { "--nofile=100:100", arg[1], "--peer", "echo" }
  limited[5], limited[6], limited[7] = os.getenv("TCPMULTI_SOURCE") .. "/scripts/demo.lua", 200, 2
  local demo = harness.run("prlimit", limited)
  harness.equal("", demo.errors(), "standard error")
  harness.equal(0, demo.code, "exit status")
  local most = tonumber((demo.output():match("^(%d+) connections open at once")))
  assert(most > 10 and most < 100, demo.output())
  harness.contains(demo.output(), "failed       nothing", "summary")
end)

harness.case("a peer that sends other lines: counted, named, exit status 1", function()
  local demo = harness.script("demo.lua", { 20, 2 }, { peer = "chargen" })
  harness.equal(1, demo.code, "exit status")
  harness.contains(demo.output(), "failed       20: error EPROTO", "summary")
end)

harness.case("without the practice peer, or with bad numbers: the usage, exit status 2", function()
  for _, words in ipairs { { "10", "none" }, { "0" }, { "1", "2", "3" }, { "many" } } do
    local demo = harness.script("demo.lua", words, { peer = "echo" })
    harness.equal(2, demo.code, "exit status")
    harness.contains(demo.errors(), "usage: tcpmulti-lua --peer echo scripts/demo.lua", "error")
  end
  local demo = harness.script("demo.lua")
  harness.equal(2, demo.code, "exit status")
  harness.contains(demo.errors(), "usage: ", "error")
end)

-- Starts the demo with more lines than it will ever send, interrupts it when it has so many
-- descriptors, and waits for its end and for that of its practice peer.
local function interrupt(descriptors)
  local words = { "--peer", "echo", os.getenv("TCPMULTI_SOURCE") .. "/scripts/demo.lua" }
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
  harness.equal(130, status, "exit status " .. demo.errors())
  local function gone() return not uv.fs_stat("/proc/" .. peer) end
  harness.wait_until(10, "the end of the practice peer", gone)
  return demo
end

harness.case("an interrupt ends it, and the practice peer with it", function()
  local demo = interrupt(100)
  harness.contains(demo.output(), "connections open at once\n", "summary")
  harness.contains(demo.output(), "  failed       nothing\n", "summary")
end)

harness.case("an interrupt before anything is open ends it too", function() interrupt(3) end)

harness.main(90)
