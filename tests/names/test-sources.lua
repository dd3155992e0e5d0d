-- SPDX-License-Identifier: MIT
-- The local end of connections: one address, a list or a range, shared out evenly; pairs of source
-- and destination that have no port left; a port or a device of one's own.
local lu = require "luaunit"
local support = require "names.support"

local cases = support.cases "Sources"
support.server()

-- The ports that the kernel gives by itself in this network. Those above are for cases that use up
-- all ports: a port that a server of another case had is not given to clients for a minute.
local function set_ports(first, number)
  local file = assert(io.open("/proc/sys/net/ipv4/ip_local_port_range", "w"))
  file:write(("%d %d"):format(first, first + number - 1))
  file:close()
end

set_ports(20000, 20000)

---------------------------------------------------------------- sharing out

-- Opens so many connections at once: the list of their local addresses, in the order of connects,
-- how often each is used, and the cheaps.
local function open(session_options, number, address, port)
  local cheaps, sources, counts, opened = {}, {}, {}, 0
  local options = { input_timeout = 0 }
  for key, value in pairs(session_options) do options[key] = value end
  function options.on_success() opened = opened + 1 end
  local session, log = support.record(options)
  for i = 1, number do cheaps[i] = session:connect(address, port) end
  local function all_are_open() return opened + log:count "failure" == number end
  return { cheaps = cheaps, sources = sources, counts = counts, log = log, session = session,
    all_are_open = all_are_open }
end

-- Notes the sources of all connections, once they are open.
local function note(opened)
  for i, cheap in ipairs(opened.cheaps) do
    local source = cheap:sock()
    opened.sources[i] = source
    if source then opened.counts[source] = (opened.counts[source] or 0) + 1 end
  end
end

local function reset_all(opened)
  for _, cheap in ipairs(opened.cheaps) do cheap:reset() end
end

-- The same, until all are open; then they are reset. Gives the counts.
local function share_out(options, number, address, port)
  local opened = open(options, number, address, port)
  support.when(opened.all_are_open, function()
    note(opened)
    reset_all(opened)
  end)
  support.run(30)
  lu.assertEquals(opened.log:count "success", number, opened.log.messages[1])
  return opened.counts
end

local function size(counts)
  local number, most = 0, 0
  for _, count in pairs(counts) do number, most = number + 1, math.max(most, count) end
  return number, most
end

function cases.P34_a_list_is_shared_out_evenly()
  local port = support.swarm("discard", 1, 1024):port()
  local list = { "127.0.0.2", "127.0.0.3", "127.0.0.4" }
  lu.assertEquals(share_out({ bind_address = list, short = true }, 300, "127.0.0.1", port),
    { ["127.0.0.2"] = 100, ["127.0.0.3"] = 100, ["127.0.0.4"] = 100 })
end

function cases.P34_a_freed_source_is_used_first()
  local port = support.swarm("discard", 1, 1024):port()
  local list = { "127.0.0.2", "127.0.0.3", "127.0.0.4" }
  local opened = open({ bind_address = list }, 30, "127.0.0.1", port)
  local again = {}
  support.when(opened.all_are_open, function()
    note(opened)
    local freed = 0
    for i, cheap in ipairs(opened.cheaps) do
      if opened.sources[i] == "127.0.0.3" and freed < 5 then
        cheap:reset()
        freed = freed + 1
      end
    end
    support.after(0.05, function()
      for i = 1, 5 do again[i] = opened.session:connect("127.0.0.1", port) end
    end)
    support.when(function() return opened.log:count "success" == 35 end, function()
      for i, cheap in ipairs(again) do
        again[i] = cheap:sock()
        cheap:reset()
      end
      reset_all(opened)
    end)
  end)
  support.run()
  local three = "127.0.0.3"
  lu.assertEquals(again, { three, three, three, three, three })
end

function cases.P35_a_range_of_254_addresses()
  local port = support.swarm("discard", 1, 1024):port()
  local counts = share_out({ bind_address = "127.0.1.0/24", short = true }, 254, "127.0.0.1", port)
  lu.assertEquals({ size(counts) }, { 254, 1 })
  lu.assertNil(counts["127.0.1.0"])
  lu.assertNil(counts["127.0.1.255"])
end

function cases.P35_a_large_range_is_spread()
  local port = support.swarm("discard", 1, 1024):port()
  local counts = share_out({ bind_address = "127.1.0.0/16", short = true }, 1000, "127.0.0.1", port)
  local number, most = size(counts)
  lu.assertTrue(most <= 3, most)
  lu.assertTrue(number > 900, number)
  for address in pairs(counts) do lu.assertStrMatches(address, "127%.1%.%d+%.%d+") end
end

function cases.P35_an_ipv6_range_on_a_local_route()
  local route = "local 2001:db8:5::/64 dev lo"
  support.finally(function() support.command("ip -6 route del %s", route) end)
  support.command("ip -6 route add %s", route)
  local port = support.peer("recv all", { address = "2001:db8::1" }):port()
  local counts = share_out({ bind_address = "2001:db8:5::/64" }, 20, "2001:db8::1", port)
  lu.assertEquals({ size(counts) }, { 20, 1 })
  for address in pairs(counts) do lu.assertStrContains(address, "2001:db8:5:") end
end

function cases.P36_a_source_of_one_family_leaves_the_other_out()
  local port = support.peer("close"):port()
  support.peer("close", { address = "2001:db8::1", port = port })
  local name = support.name("a-1", "aaaa-1")
  support.reached(support.look(name, { bind_address = "127.0.0.2" }, { port = port }), "127.0.0.1")
  support.reached(support.look(name, { bind_address = "2001:db8::2" }, { port = port }),
    "2001:db8::1")
end

function cases.P36_no_address_is_of_the_family_of_the_source()
  support.failed(support.look(support.name "aaaa-1", { bind_address = "127.0.0.2" }),
    "bind EAFNOSUPPORT")
  support.failed(support.look("127.0.0.1", { bind_address = { "2001:db8::2", "::1" } }),
    "bind EAFNOSUPPORT")
end

function cases.P37_a_source_that_is_not_local_is_named()
  local log = support.look("192.0.2.77", { bind_address = { "192.0.2.99", "192.0.2.98" } })
  support.failed(log, "bind EADDRNOTAVAIL")
  lu.assertStrMatches(log.messages[1], ".*192%.0%.2%.9[89].*")
end

-- The local addresses of the sockets that try to connect to this port.
local function sources_of(port)
  local counts, place = {}, (":%04X"):format(port)
  for line in io.lines "/proc/net/tcp" do
    local source, remote, state = line:match "^%s*%d+: (%x+):%x+ %x+(:%x+) (%x%x) "
    if remote == place and state == "02" then counts[source] = (counts[source] or 0) + 1 end
  end
  return counts
end

function cases.P43_each_socket_of_a_race_counts()
  support.finally(function() support.command "ip address del 192.0.2.2/24 dev eth0" end)
  support.command "ip address add 192.0.2.2/24 dev eth0"
  local addresses, seen = {}, nil
  for i = 1, 4 do addresses[i] = "192.0.2." .. (70 + i) end
  local session, log = support.record {
    attempt_delay = 0.02, bind_address = { "192.0.2.1", "192.0.2.2" },
  }
  local cheap = session:connect(support.name(support.labels(addresses)), 4343)
  support.after(0.5, function()
    seen = sources_of(4343)
    cheap:reset()
  end)
  support.run()
  lu.assertEquals(log:list(), { "initialize", "disconnected shutdown" })
  lu.assertEquals(seen, { ["010200C0"] = 2, ["020200C0"] = 2 })
end

---------------------------------------------------------------- no port left

-- Leaves only these ports for the connections of a case, which nobody has used before; returns the
-- ports of two servers, which are others.
local function with_ports(first, number)
  local one, other = support.swarm("discard", 1, 2048), support.swarm("discard", 1, 2048)
  support.finally(function() set_ports(20000, 20000) end)
  set_ports(first, number)
  return one:port(), other:port()
end

-- Opens connections in an engine of its own until it is told enough; helpers of the scripts below.
local FILL = [[
  local opened, failed, last = 0, 0, nil
  local function fill(from, more)
    return session {
      bind_address = from,
      input_timeout = 0,
      on_success = function() opened = opened + 1 end,
      on_failure = function(_, op, _, message, _, errname)
        failed, last = failed + 1, op .. " " .. errname .. " " .. message
      end,
      on_disconnected = more,
    }
  end
  local function when(condition, f)
    local watch = tcpmulti.create {
      inline_states = {
        look = function(s) if condition() then f() else s:delay_set("look", 0.01) end end,
      },
    }
    watch:delay_set("look", 0)
  end
]]

function cases.P38_all_ports_of_each_pair_and_not_one_more()
  local port, other = with_ports(40000, 1000)
  local output = support.script(FILL .. [[
    local s = fill "127.0.0.2"
    for i = 1, 1000 do
      s:connect("127.0.0.1", port)
      s:connect("127.0.0.1", other)
    end
    when(function() return opened + failed == 2000 end, function()
      print(opened, failed)
      s:connect("127.0.0.1", port)
      when(function() return failed == 1 end, function()
        print(last)
        local second = fill { "127.0.0.2", "127.0.0.3" }
        second:connect("127.0.0.1", port)
        when(function() return opened + failed == 2002 end, function()
          print(opened, failed)
          tcpmulti.stop()
        end)
      end)
    end)
    tcpmulti.run()
  ]], { port = port, other = other })
  local first, text, second = output:match "^([^\n]*)\n([^\n]*)\n([^\n]*)\n$"
  lu.assertEquals(first, "2000\t0", output)
  lu.assertStrContains(text, "connect EADDRNOTAVAIL ")
  lu.assertStrContains(text, "no port left from 127.0.0.2 to 127.0.0.1")
  lu.assertEquals(second, "2001\t1")
end

function cases.P39_a_pair_without_ports_is_asked_once_a_second()
  local port = with_ports(42000, 100)
  local calls = os.tmpname()
  support.finally(function() os.remove(calls) end)
  local output = support.script(FILL .. [[
    local s = fill "127.0.0.2"
    for _ = 1, 100 do s:connect("127.0.0.1", port) end
    when(function() return opened == 100 end, function()
      print(opened)
      local start = tcpmulti.now()
      for _ = 1, 10000 do s:connect("127.0.0.1", port) end
      when(function() return failed == 10000 end, function()
        print(tcpmulti.now() - start)
        tcpmulti.stop()
      end)
    end)
    tcpmulti.run()
  ]], { port = port },
    support.strace("trace=connect", calls))
  local opened, seconds = output:match "^(%d+)\n([%d.]+)\n$"
  lu.assertEquals(opened, "100", output)
  local told = 0
  for line in io.lines(calls) do
    if line:find("EADDRNOTAVAIL", 1, true) then told = told + 1 end
  end
  lu.assertTrue(told >= 1)
  lu.assertTrue(told <= 2 + tonumber(seconds), told .. " calls in " .. seconds)
end

-- Three servers, as one has no descriptors for all; three clients for the same reason. Each client
-- holds its connections until all three have theirs.
local CLIENT = [[
  local number = 13400
  local s = fill { "127.0.0.2", "127.0.0.3" }
  for i = 1, number do s:connect("127.0.0.1", i % 2 == 0 and port or other) end
  local function lines()
    local count = 0
    for _ in io.lines(board) do count = count + 1 end
    return count
  end
  when(function() return opened + failed == number end, function()
    local file = assert(io.open(board, "a"))
    file:write(opened, "\n")
    file:close()
    when(function() return lines() == 3 end, function() tcpmulti.stop() end)
  end)
  tcpmulti.run()
  print(opened, last)
]]

function cases.P33_40200_connections_from_two_sources()
  lu.skipIf(support.sanitized(), "too much for this build")
  local servers, board = {}, os.tmpname()
  support.finally(function() os.remove(board) end)
  for i = 1, 3 do servers[i] = support.swarm("discard", 1, 4096):port() end
  local outputs = support.scripts(FILL .. CLIENT, {
    { board = board, port = servers[1], other = servers[2] },
    { board = board, port = servers[2], other = servers[3] },
    { board = board, port = servers[3], other = servers[1] },
  })
  for _, output in ipairs(outputs) do lu.assertEquals(output, "13400\tnil\n") end
end

---------------------------------------------------------------- a port, a device

function cases.P41_a_port_of_ones_own()
  local port = support.peer("recv all"):port()
  support.peer("close", { address = "127.0.0.2", port = 3998 })
  local calls = os.tmpname()
  support.finally(function() os.remove(calls) end)
  local output = support.script([[
    local function target(bind_port)
      return { remote_address = "127.0.0.1", remote_port = port,
        bind_address = "127.0.0.2", bind_port = bind_port }
    end
    local s = session {
      on_success = function(cheap)
        print(cheap:sock())
        cheap:session():connect(target(3998))
      end,
      on_failure = function(_, op, _, _, _, errname)
        print(op, errname)
        tcpmulti.stop()
      end,
    }
    s:connect(target(3999))
    tcpmulti.run()
  ]], { port = port }, support.strace("trace=setsockopt,bind", calls))
  lu.assertEquals(output, "127.0.0.2\t3999\nbind\tEADDRINUSE\n")
  local text = support.read(calls)
  lu.assertStrContains(text, "sin_port=htons(3999)")
  lu.assertNotStrContains(text, "IP_BIND_ADDRESS_NO_PORT")
end

function cases.P41_any_port_is_shared_between_destinations()
  local calls = os.tmpname()
  support.finally(function() os.remove(calls) end)
  support.script([[
    session { bind_address = "127.0.0.2" }:connect("127.0.0.1", port)
    tcpmulti.run()
  ]], { port = support.peer("close"):port() }, support.strace("trace=setsockopt", calls))
  lu.assertStrContains(support.read(calls), "IP_BIND_ADDRESS_NO_PORT")
end

-- A kernel that does not know the option loses nothing but ports. The call before it is another.
function cases.P41_a_kernel_without_the_option_is_no_error()
  local port = support.peer("close"):port()
  local calls = os.tmpname()
  support.finally(function() os.remove(calls) end)
  local output = support.script([[
    session { bind_address = "127.0.0.2" }:connect("127.0.0.1", port)
    tcpmulti.run()
  ]], { port = port }, support.strace("inject=setsockopt:error=ENOPROTOOPT:when=2", calls))
  lu.assertStrMatches(support.read(calls), ".*IP_BIND_ADDRESS_NO_PORT[^\n]*ENOPROTOOPT.*")
  lu.assertEquals(output, "127.0.0.1 127.0.0.1\n")
end

function cases.P42_a_device()
  support.reached(support.look("127.0.0.1", { bind_device = "lo" }), "127.0.0.1")
  support.reached(support.look(support.name "a-1", { bind_device = "lo" }), "127.0.0.1")
  support.failed(support.look("127.0.0.1", { bind_device = "nosuch0" }), "socket ENODEV")
end

function cases.P42_a_device_of_another_network_is_not_reached()
  local session, log = support.record { bind_device = "far", connect_timeout = 0.3 }
  session:connect("192.0.2.1", support.peer("close", { address = "192.0.2.1" }):port())
  support.run()
  lu.assertEquals(log:count "success", 0)
end

function cases.P42_a_device_that_is_not_permitted()
  local output = support.script([[
    session { bind_device = "lo" }:connect("127.0.0.1", 9)
    tcpmulti.run()
  ]], {}, support.strace "inject=setsockopt:error=EPERM")
  lu.assertEquals(output, "127.0.0.1 socket EPERM\n")
end

function cases.P42_a_device_name_that_is_none_raises()
  for _, device in ipairs { ("x"):rep(16), 7 } do
    lu.assertErrorMsgContains("bind_device", function()
      support.session { bind_device = device }
    end)
  end
end

support.main(cases)
