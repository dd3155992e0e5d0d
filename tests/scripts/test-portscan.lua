-- SPDX-License-Identifier: MIT
-- portscan.lua against listeners that the test knows, on addresses of its own.
local lu = require "luaunit"
local harness = require "scripts.harness"
local uv = require "luv"

local cases = harness.cases "Portscan"

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

function cases.J82_all_65_535_ports_every_listener_is_found_and_nothing_else()
  local address, own = harness.address(), {}
  for _ = 1, 13 do own[harness.listen(address)] = true end
  local before = ports_of_others()
  local scan = harness.script("portscan.lua", { address, "-p", "1-65535", "-r", "0" })
  local after = ports_of_others()
  lu.assertEquals(scan.code, 0, "exit status " .. scan.errors())
  local found, count, strangers, missed = {}, 0, 0, 0
  for where, port in scan.output():gmatch("(%S+) (%d+)\n") do
    port = tonumber(port)
    lu.assertEquals(where, address, "address")
    assert(not found[port], "found twice: " .. port)
    if not (own[port] or before[port] or after[port]) then strangers = strangers + 1 end
    found[port], count = true, count + 1
  end
  -- Those who listen on all addresses come and go while the scan runs.
  assert(strangers < 50, strangers .. " ports are open and have no listener")
  for port in pairs(own) do assert(found[port], "not found: " .. port) end
  for port in pairs(before) do
    if after[port] and not found[port] then missed = missed + 1 end
  end
  -- One may have gone and come again meanwhile, or take no connection at the moment.
  assert(missed < 5, missed .. " listeners of others were not found")
  lu.assertStrContains(scan.errors(), ("%d ok, %d failed"):format(count, 65535 - count))
end

function cases.ranges_single_ports_service_names_with_commas()
  local address = harness.address()
  harness.listen(address, 8080)
  harness.listen(address, 20001)
  harness.listen(address, 20009)
  local scan = harness.script("portscan.lua", { address, "-p",
    "20000-20004,20009,http-alt,http,20010" })
  lu.assertEquals(scan.code, 0, "exit status " .. scan.errors())
  lu.assertEquals(sorted_lines(scan.output()),
    { address .. " 20001", address .. " 20009", address .. " 8080" })
  lu.assertStrContains(scan.errors(), "9 targets in ")
  lu.assertStrContains(scan.errors(), ": 3 ok, 6 failed\n        6  connect ECONNREFUSED\n")
end

function cases.many_hosts_as_arguments_or_from_standard_input()
  local hosts, expected = {}, {}
  for i = 1, 20 do hosts[i] = harness.address() end
  hosts[21] = "localhost"
  local port = harness.listen("0.0.0.0")
  for i, host in ipairs(hosts) do expected[i] = ("%s %d"):format(host, port) end
  for _, scan in ipairs {
    harness.script("portscan.lua", { "-p", port .. ",1", unpack(hosts) }),
    harness.script("portscan.lua", { "-p", port .. ",1" },
      { stdin = table.concat(hosts, "\n") .. "\n\n" }),
  } do
    lu.assertEquals(scan.code, 0, "exit status " .. scan.errors())
    lu.assertStrContains(scan.errors(), "42 targets in ")
    lu.assertStrContains(scan.errors(), "21 ok, 21 failed")
    for _, line in ipairs(expected) do lu.assertStrContains(scan.output(), line .. "\n") end
  end
end

function cases.a_host_from_standard_input_that_is_none_fails_alone()
  local address = harness.address()
  local port = harness.listen(address)
  local lines = { "a\27[2Jb", "http://x/", address }
  local scan = harness.script("portscan.lua", { "-p", port }, { stdin = table.concat(lines, "\n") })
  lu.assertEquals(scan.code, 4, "exit status " .. scan.errors())
  lu.assertEquals(scan.output(), ("%s %d\n"):format(address, port))
  lu.assertStrContains(scan.errors(), "standard input:1: a?[2Jb: ")
  lu.assertStrContains(scan.errors(), "standard input:2: http://x/: ")
end

function cases.ports_that_do_not_answer_take_their_time_and_are_not_open()
  local address = harness.address()
  local port, close = harness.full_listener(address)
  local open = harness.listen(address)
  local started = uv.hrtime()
  local scan = harness.script("portscan.lua", { "--connect-timeout", "500ms", address, "-p",
    port .. "," .. open })
  local seconds = (uv.hrtime() - started) / 1e9
  close()
  lu.assertEquals(scan.code, 0, "exit status " .. scan.errors())
  lu.assertEquals(scan.output(), ("%s %d\n"):format(address, open))
  lu.assertStrContains(scan.errors(), "1  connect ETIMEDOUT")
  assert(seconds >= 0.5, seconds)
end

function cases.what_cannot_be_is_named_exit_status_2()
  local wrong = {
    [{ "127.0.0.1", "-p", "0" }] = "'0'", [{ "127.0.0.1", "-p", "1-65536" }] = "65536",
    [{ "127.0.0.1", "-p", "9-3" }] = "9-3",
    [{ "127.0.0.1", "-p", "no-such-service" }] = "no-such-service",
    [{ "-c", "x", "127.0.0.1" }] = "--concurrency: 'x'",
    [{ "--connect-timeout" }] = "--connect-timeout",
  }
  for words, message in pairs(wrong) do
    local scan = harness.script("portscan.lua", words)
    lu.assertEquals(scan.code, 2, "exit status of " .. table.concat(words, " "))
    lu.assertStrContains(scan.errors(), message)
  end
end

harness.main(cases)
