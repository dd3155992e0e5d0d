-- SPDX-License-Identifier: MIT
-- BEHAVIOUR C1-C9: the same promises for thousands of connections, with bounds on time and memory.
-- The figures are printed; the bounds leave room for a loaded machine and for sanitizers.

local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Scale"
local slow = support.sanitized()

-- The n-th of the 32 addresses on which a swarm listens.
local function address(n)
  return "127.0.0." .. n % 32 + 1
end

local function say(...)
  io.stdout:write("# ", string.format(...), "\n")
end

-- As many connections as this process may have, at most the number wanted.
local function possible(wanted)
  for line in io.lines "/proc/self/limits" do
    local soft = line:match "^Max open files%s+(%d+)"
    if soft then return math.min(wanted, tonumber(soft) - 200) end
  end
  return wanted
end

function cases.C1_a_thousand_concurrent_echoes()
  local swarm = support.swarm("echo", 32)
  local open, most = 0, 0
  local session, log
  session, log = support.record {
    short = true,
    on_success = function(cheap)
      open = open + 1
      most = math.max(most, open)
      if open == 1000 then
        for _, each in session:connections() do each:send "hello" end
      end
      lu.assertEquals(cheap:phase(), "open")
    end,
    on_input = function(cheap) cheap:shutdown() end,
  }
  for i = 1, 1000 do session:connect(address(i), swarm:port()) end
  support.run(30)
  lu.assertEquals(most, 1000)
  lu.assertEquals(log:count "success", 1000)
  lu.assertEquals(log:count "input", 1000)
  lu.assertEquals(log:count "disconnected shutdown", 1000)
  log:check_grammar()
  lu.assertEquals(swarm:stats().most, 1000)
  lu.assertEquals((session:count()) or 0, 0)
end

function cases.C2_ten_thousand_connections_at_once()
  local count = possible(slow and 3000 or 10000)
  lu.assertTrue(count > 1024)
  local swarm = support.swarm("echo", 32)
  support.run()
  collectgarbage()
  collectgarbage()
  local before, used = peer.resident(), nil
  local open, answered, ended = 0, 0, 0
  local session
  session = support.session {
    on_success = function()
      open = open + 1
      if open < count then return end
      collectgarbage()
      collectgarbage()
      used = peer.resident() - before
      for id in session:connections() do session:send(id, "all of you") end
    end,
    on_input = function(cheap, record)
      if record == "all of you" then answered = answered + 1 end
      if answered == count then session:die() end
      cheap.answered = true
    end,
    on_disconnected = function(cheap, _, reason)
      if reason == "die" and cheap.answered then ended = ended + 1 end
    end,
  }
  for i = 1, count do session:connect(address(i), swarm:port()) end
  support.run(60)
  lu.assertEquals({ open, answered, ended }, { count, count, count })
  lu.assertEquals(swarm:stats().most, count)
  say("%d connections at once, %d bytes each in user space", count, used / count)
  if not slow then support.within(used / count, 0, 1500, "bytes per connection") end
end

function cases.C3_two_thousand_connect_echo_close()
  local swarm = support.swarm("echo", 32)
  local ended = 0
  local session = support.session {
    on_success = function(cheap) cheap:send "one line" end,
    on_input = function(cheap) cheap:shutdown() end,
    on_disconnected = function() ended = ended + 1 end,
  }
  local start = tcpmulti.now()
  for i = 1, 2000 do session:connect(address(i), swarm:port()) end
  support.run(30)
  local took = tcpmulti.now() - start
  lu.assertEquals(ended, 2000)
  say("2000 connect, echo, close in %.3f s", took)
  support.within(took, 0, slow and 10 or 2.5, "seconds")
end

function cases.C4_a_port_scan_with_a_hundred_in_flight()
  local host, first, last = "127.0.0.77", 20000, 36300
  local wanted = {}
  for i = 1, 13 do
    local port, one = first + i * 1237
    repeat
      port = port + 1
      local ok, started = pcall(peer.start, "close", { address = host, port = port })
      one = ok and started
    until one
    support.finally(function() one:stop() end)
    wanted[port] = true
  end
  local found, flying, most = {}, 0, 0
  local session = support.session {
    max_connections = 100, connect_timeout = 20,
    on_success = function(cheap)
      found[cheap:port()] = true
      cheap:shutdown()
    end,
  }
  -- In flight is what is neither waiting nor over.
  local ports, port = 0, first - 1
  session:connect(function()
    local stats = session:stats()
    flying = stats.connecting + stats.open + stats.shutting
    most = math.max(most, flying)
    if port == last then return nil end
    port = port + 1
    ports = ports + 1
    return host, port
  end)
  local took = support.run(60)
  say("%d ports in %.3f s, at most %d in flight", ports, took, most)
  lu.assertEquals(ports, 16301)
  support.within(most, 50, 100, "in flight")
  for each in pairs(wanted) do lu.assertTrue(found[each], "port " .. each) end
  support.within(took, 0, slow and 40 or 15, "seconds")
end

-- CPU seconds of this thread per record while so many connections have their timeouts re-armed.
local function cost_per_input(count, rounds)
  local swarm = support.swarm("echo", 32)
  local open, inputs, start, cost = 0, 0, nil, nil
  local session
  session = support.session {
    on_success = function()
      open = open + 1
      if open < count then return end
      for _, cheap in session:connections() do cheap:send "ping" end
    end,
    on_input = function(cheap)
      inputs = inputs + 1
      if inputs == count then start = peer.cpu() end -- all memory has been touched once
      cheap:timeout(100)
      if inputs < count * rounds then
        cheap:send "pong"
      elseif not cost then
        cost = (peer.cpu() - start) / (inputs - count)
        for _, each in session:connections() do each:reset() end
      end
    end,
  }
  for i = 1, count do session:connect(address(i), swarm:port()) end
  support.run(120)
  return cost * 1e6
end

function cases.C5_the_cost_of_a_timer_does_not_grow_with_their_number()
  local many = possible(slow and 3000 or 10000)
  local few_us = math.min(cost_per_input(100, 300), cost_per_input(100, 300))
  local many_us = math.min(cost_per_input(many, 5), cost_per_input(many, 5))
  say("CPU per input: %.2f us with 100 connections, %.2f us with %d", few_us, many_us, many)
  -- Caches explain a factor of two or so; a linear queue would be a factor of a hundred.
  support.within(many_us / few_us, 0, 5, "ratio")
end

function cases.C6_a_firehose_does_not_starve_ping_pong()
  local hose, echo = support.swarm "firehose", support.swarm "echo"
  local drunk, latencies, finished = 0, {}, 0
  local pourer, drinker
  pourer = support.session {
    filter = "stream",
    on_input = function(_, bytes) drunk = drunk + #bytes end,
  }
  local function ping(cheap)
    cheap.at = tcpmulti.now()
    cheap:send "ping"
  end
  drinker = support.session {
    on_success = function(cheap)
      cheap.left = 50
      ping(cheap)
    end,
    on_input = function(cheap)
      latencies[#latencies + 1] = tcpmulti.now() - cheap.at
      cheap.left = cheap.left - 1
      if cheap.left > 0 then return ping(cheap) end
      finished = finished + 1
      if finished < 20 then return end
      drinker:die()
      pourer:die()
    end,
  }
  pourer:connect("127.0.0.1", hose:port())
  support.when(function() return drunk > 0 end, function()
    for _ = 1, 20 do drinker:connect("127.0.0.1", echo:port()) end
  end)
  support.run(60)
  table.sort(latencies)
  say("ping-pong beside a firehose of %d MiB: median %.2f ms, most %.2f ms", drunk / 2 ^ 20,
    latencies[500] * 1e3, latencies[1000] * 1e3)
  lu.assertEquals(#latencies, 1000)
  lu.assertTrue(drunk > 2 ^ 20)
  support.within(latencies[500], 0, slow and 0.1 or 0.03, "median")
  support.within(latencies[1000], 0, slow and 1.5 or 0.5, "most")
end

function cases.C7_a_hundred_thousand_connections_leave_nothing()
  local swarm = support.swarm("close", 32)
  local total = slow and 10000 or 100000
  local ended, wrong = 0, 0
  local before, descriptors, session
  support.run()
  session = support.session {
    max_connections = 500,
    on_disconnected = function(_, _, reason)
      ended = ended + 1
      if reason ~= "eof" then wrong = wrong + 1 end
      if ended == total / 10 then
        collectgarbage()
        collectgarbage()
        before = peer.resident()
      end
    end,
  }
  descriptors = peer.descriptors()
  local next_one = 0
  session:connect(function()
    next_one = next_one + 1
    if next_one > total then return nil end
    return address(next_one), swarm:port()
  end)
  local took = support.run(150)
  collectgarbage()
  collectgarbage()
  say("%d connections in %.1f s, resident memory grew by %d KiB", total, took,
    (peer.resident() - before) / 1024)
  lu.assertEquals({ ended, wrong }, { total, 0 })
  lu.assertEquals(peer.descriptors(), descriptors)
  if not slow then support.within(peer.resident() - before, -math.huge, 2 * 2 ^ 20, "growth") end
end

function cases.C7_ports_that_are_used_up_are_failures()
  local setup = 'echo "40000 40031" > /proc/sys/net/ipv4/ip_local_port_range'
  local output, status = support.child(support.namespace(false, setup), [[
    local tcpmulti, peer = require "tcpmulti", require "peer"
    local sink = peer.start("count", { port = 50000 })
    local success, failures = 0, {}
    local s
    local function look()
      if success + #failures == 40 then
        s:connect("127.0.0.2", 9)
        s:die()
      end
    end
    s = tcpmulti.create {
      on_success = function() success = success + 1 look() end,
      on_failure = function(_, op, errnum, _, _, errname)
        failures[#failures + 1] = op .. " " .. errnum .. " " .. errname
        look()
      end,
    }
    for _ = 1, 40 do s:connect("127.0.0.1", 50000) end
    tcpmulti.run()
    print(success, #failures, failures[1], failures[#failures])
    local later = 0
    local t = tcpmulti.create {
      on_success = function(cheap) later = later + 1 cheap:shutdown() end,
    }
    t:connect("127.0.0.1", 50000, "127.0.0.9")
    tcpmulti.run()
    print(later)
    sink:stop()
  ]])
  lu.skipIf(output:find "unshare failed", "no network namespaces here")
  lu.assertEquals(output,
    "32\t8\tconnect 99 EADDRNOTAVAIL\tconnect 99 EADDRNOTAVAIL\n1\n")
  lu.assertEquals(status, 0)
end

function cases.C8_a_server_killed_with_five_thousand_open()
  local count = possible(slow and 2000 or 5000)
  local swarm = support.swarm("discard", 32)
  local open, errors, disconnected = 0, 0, 0
  local session = support.session {
    on_success = function(cheap)
      open = open + 1
      cheap:send "hello"
      if open == count then swarm:kill() end
    end,
    on_error = function() errors = errors + 1 end,
    on_disconnected = function() disconnected = disconnected + 1 end,
  }
  for i = 1, count do session:connect(address(i), swarm:port()) end
  support.run(30)
  lu.assertEquals({ open, errors, disconnected }, { count, count, count })
end

-- What the kernel does with the rest is its own affair: it drops SYNs (a timeout of the connect),
-- or the last step of a handshake, of which only we then know (a timeout of the input). Each of
-- them gets its events all the same.
function cases.C9_a_burst_over_the_backlog_loses_no_event()
  local swarm = support.swarm("greet", 1, 5)
  local session, log = support.record {
    short = true, connect_timeout = 4, input_timeout = 4,
  }
  for _ = 1, 300 do session:connect("127.0.0.1", swarm:port()) end
  support.run(40)
  lu.assertEquals(#log.ids, 300)
  log:check_grammar()
  lu.assertEquals(log:count "disconnected", 300)
  lu.assertEquals(log:count "input" + log:count "disconnected timeout", 300)
  lu.assertEquals(log:count "success" + log:count "timeout connect", 300)
  lu.assertEquals(log:count "input", log:count "disconnected eof")
  say("300 connects to a backlog of 5: %d greeted, %d without an answer, %d without a greeting",
    log:count "disconnected eof", log:count "timeout connect", log:count "timeout input")
  lu.assertTrue(log:count "disconnected eof" >= 6)
end

support.main(cases)
