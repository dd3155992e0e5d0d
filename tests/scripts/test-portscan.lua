-- SPDX-License-Identifier: MIT
-- portscan.lua against listeners that the test knows, on addresses of its own.
local harness = require "scripts.harness"
local uv = require "luv"

local function sorted_lines(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
  table.sort(lines)
  return lines
end

-- The ports on which somebody listens on all addresses: not ours, but found too.
local function ports_of_others()
  local ports = {}
  for _, path in ipairs { "/proc/net/tcp", "/proc/net/tcp6" } do
    for line in io.lines(path) do
      local port = line:match("^%s*%d+: 0+:(%x+) %x+:%x+ 0A ")
      if port then ports[tonumber(port, 16)] = true end
    end
  end
  return ports
end

harness.case("all 65,535 ports: every listener is found, and nothing else", function()
  local address, own = harness.address(), {}
  for _ = 1, 13 do own[harness.listen(address)] = true end
  local before = ports_of_others()
  local scan = harness.script("portscan.lua", { address, "1-65535" })
  local after = ports_of_others()
  harness.equal(0, scan.code, "exit status " .. scan.errors())
  harness.equal("", scan.errors(), "standard error")
  local list, summary = scan.output():match("^(.*\n)(65535 ports in [^\n]*)\n$")
  assert(summary, scan.output())
  local found, count, strangers = {}, 0, 0
  for where, port in list:gmatch("(%S+) (%d+)\n") do
    port = tonumber(port)
    harness.equal(address, where, "address")
    assert(not found[port], "found twice: " .. port)
    if not (own[port] or before[port] or after[port]) then strangers = strangers + 1 end
    found[port], count = true, count + 1
  end
  -- Those who listen on all addresses come and go while the scan runs.
  assert(strangers < 50, strangers .. " ports are open and have no listener")
  for port in pairs(own) do assert(found[port], "not found: " .. port) end
  for port in pairs(before) do assert(found[port] or not after[port], "not found: " .. port) end
  harness.contains(summary, ("%d open, %d ECONNREFUSED"):format(count, 65535 - count), "summary")
end)

harness.case("ranges, single ports, service names; with commas and as several arguments", function()
  local address = harness.address()
  harness.listen(address, 8080)
  harness.listen(address, 20001)
  harness.listen(address, 20009)
  local words = { address, "20000-20004,20009", "http-alt", "http,20010" }
  local scan = harness.script("portscan.lua", words)
  harness.equal(0, scan.code, "exit status " .. scan.errors())
  local lines = sorted_lines(scan.output())
  harness.equal(address .. " 20001", lines[1])
  harness.equal(address .. " 20009", lines[2])
  harness.equal(address .. " 8080", lines[3])
  assert(lines[4]:match("^9 ports in [%d.]+ s: 3 open, 6 ECONNREFUSED$"), lines[4])
end)

-- A listener whose queue is full does not answer: attempts last until their timeout. libuv takes
-- the first connection, the queue holds the second, and that is all it holds.
local function silent_port(address)
  local server, taken = uv.new_tcp(), false
  assert(server:bind(address, 0))
  assert(server:listen(0, function() taken = true end))
  local port = server:getsockname().port
  local fillers = { uv.new_tcp(), uv.new_tcp() }
  for _, filler in ipairs(fillers) do
    local failure = harness.await(function(go_on) filler:connect(address, port, go_on) end)
    assert(not failure, failure)
    harness.wait_until(5, "the first connection", function() return taken end)
  end
  return port, function()
    for _, filler in ipairs(fillers) do filler:close() end
    server:close()
  end
end

harness.case("-t bounds the attempts at once, -w the patience with each", function()
  local address = harness.address()
  local port, close = silent_port(address)
  local ports = { port }
  for i = 2, 12 do ports[i] = port end
  local started = uv.hrtime()
  local words = { "-t", 3, "-w", 0.5, address, table.concat(ports, ",") }
  local scan = harness.script("portscan.lua", words)
  local seconds = (uv.hrtime() - started) / 1e9
  close()
  harness.equal(0, scan.code, "exit status " .. scan.errors())
  harness.contains(scan.output(), "12 ports in ", "summary")
  harness.contains(scan.output(), ": 0 open, 12 no answer\n", "summary")
  assert(seconds >= 1.95, "12 attempts of 0.5 s, 3 at once, in " .. seconds .. " s") -- 4 x 0.5
end)

harness.case("localhost is a host too", function()
  local port = harness.listen("127.0.0.1")
  local scan = harness.script("portscan.lua", { "localhost", port })
  harness.equal(0, scan.code, "exit status " .. scan.errors())
  harness.contains(scan.output(), "localhost " .. port .. "\n", "open ports")
end)

harness.case("on a terminal there is a progress line", function()
  local address = harness.address()
  local port, close = silent_port(address)
  local words = { "-w", 1, address, ("%d,%d"):format(port, port) }
  local scan = harness.script_on_terminal("portscan.lua", words)
  close()
  harness.equal(0, scan.code, "exit status")
  harness.contains(scan.output(), "\r\27[K0 of 2 ports, 0 open, 2 at once", "terminal")
  assert(scan.output():match("\r\27%[K2 ports in [^\n]*\n$"), scan.output())
end)

harness.case("what cannot be: named, with the usage, exit status 2", function()
  local wrong = {
    [{}] = "which host?", [{ "127.0.0.1" }] = "which ports?",
    [{ "127.0.0.1", "0" }] = "0 is not a range", [{ "127.0.0.1", "1-65536" }] = "1-65536 is not",
    [{ "127.0.0.1", "9-3" }] = "9-3 is not",
    [{ "127.0.0.1", "no-such-service" }] = "no-such-service",
    [{ "-t", "x", "127.0.0.1", "1" }] = "-t needs", [{ "-w" }] = "-w needs",
    [{ "-w", "-1", "127.0.0.1", "1" }] = "-w needs",
  }
  for words, message in pairs(wrong) do
    local scan = harness.script("portscan.lua", words)
    harness.equal(2, scan.code, "exit status of " .. table.concat(words, " "))
    harness.contains(scan.errors(), message, "error")
    harness.contains(scan.errors(), "usage: tcpmulti-lua scripts/portscan.lua", "error")
  end
end)

harness.main()
