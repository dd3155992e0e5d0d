-- SPDX-License-Identifier: MIT
-- A name with several addresses: they are tried in turn, IPv6 first, a new one when the last has
-- failed or has been under way for 250 ms, and the first that connects wins (RFC 8305). Nothing of
-- a race shows but its winner, or one failure with the account of all.
local lu = require "luaunit"
local peer = require "peer"
local support = require "names.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Races"
local server = support.server()

-- Nobody answers there; see names/enter.
local SILENT = "2001:db8::77"

local function silent(number) return ("2001:db8::7:%x"):format(number) end

-- A name of these addresses, in this order within each family.
local function name_of(...) return support.name(support.labels { ... }) end

-- How many sockets of this machine try to connect to a port.
local function trying(port)
  local count, place = 0, (":%04X"):format(port)
  for _, path in ipairs { "/proc/net/tcp", "/proc/net/tcp6" } do
    for line in io.lines(path) do
      local remote, state = line:match "^%s*%d+: %x+:%x+ %x+(:%x+) (%x%x) "
      if remote == place and state == "02" then count = count + 1 end
    end
  end
  return count
end

---------------------------------------------------------------- the order and its times

function cases.N43_a_silent_ipv6_address_and_a_good_ipv4_one()
  local port = support.peer("wait go; close"):port()
  local before, after
  local session, log = support.record {
    on_success = function(cheap)
      after = trying(port)
      cheap:reset()
    end,
  }
  session:connect(name_of(SILENT, "127.0.0.1"), port)
  support.after(0.15, function() before = trying(port) end)
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  lu.assertEquals(log.reached, { "127.0.0.1" })
  lu.assertEquals({ before, after }, { 1, 0 })
  support.at(log:time "success", 0.25, 1)
end

-- The attempt has been under way for a second when the address begins to be there.
function cases.N44_a_late_first_address_is_not_given_up()
  local late = "2001:db8::44"
  local refused = support.refused()
  support.finally(function()
    os.execute("ip address del " .. late .. "/64 dev eth0 2>/dev/null")
  end)
  local session, log = support.record()
  local function appear()
    support.command("ip address add %s/64 dev eth0 nodad", late)
    support.peer("close", { address = late, port = refused })
  end
  support.after(0.4, appear)
  session:connect(name_of(late, "127.0.0.1"), refused)
  support.run()
  support.reached(log, late)
  support.at(log:time "success", 0.9, 3)
end

local function first_of_both(labels, options)
  local port = support.peer("close"):port()
  support.peer("close", { address = "2001:db8::1", port = port })
  local name = support.name("aaaa-1", "a-1", unpack(labels))
  local session, log = support.record(options)
  session:connect(name, port)
  support.run()
  lu.assertEquals(#log.reached, 1)
  return log.reached[1], log:time "success"
end

function cases.N45_ipv6_that_is_known_soon_after_ipv4_comes_first()
  local address = first_of_both({ "6-delay-100" }, { resolution_delay = 2 })
  lu.assertEquals(address, "2001:db8::1")
end

function cases.N45_ipv6_that_is_known_later_is_not_waited_for()
  local address, at = first_of_both { "6-delay-1500" }
  lu.assertEquals(address, "127.0.0.1")
  support.at(at, 0.05, 1)
end

function cases.N45_ipv6_that_is_never_known_is_not_waited_for()
  local address, at = first_of_both { "6-silent" }
  lu.assertEquals(address, "127.0.0.1")
  support.at(at, 0.05, 1)
end

function cases.N45_ipv4_that_is_known_later_is_not_waited_for()
  local address, at = first_of_both { "4-delay-1500" }
  lu.assertEquals(address, "2001:db8::1")
  lu.assertTrue(at < 1.4, at)
end

function cases.N46_without_a_route_the_next_address_comes_at_once()
  local port = support.peer("close"):port()
  local session, log = support.record { attempt_delay = 5 }
  session:connect(name_of("2001:db8:1::1", "2001:db8:2::1", "127.0.0.1"), port)
  support.run()
  support.reached(log, "127.0.0.1")
  lu.assertTrue(log:time "success" < 2, log:time "success")
end

-- Takes all IPv6 addresses but ::1 away, until the case ends.
local function without_ipv6()
  support.finally(support.restore_ipv6)
  support.command "ip -6 address flush dev eth0; ip -6 address flush dev far"
end

function cases.N47_without_an_ipv6_address_ipv6_is_not_asked_for()
  without_ipv6()
  local name, other = support.name("a-1", "aaaa-1"), support.name("a-1", "aaaa-1")
  support.script([[
    session():connect(name, 1)
    session { domain = "inet6" }:connect(other, 1)
    tcpmulti.run()
  ]], { name = name, other = other })
  lu.assertEquals({ server:count(name, "A"), server:count(name, "AAAA") }, { 1, 0 })
  lu.assertEquals({ server:count(other, "A"), server:count(other, "AAAA") }, { 0, 1 })
end

-- So that a host with IPv6 alone finds those that have IPv4 alone: behind NAT64 they have both.
function cases.N47_without_an_ipv4_address_both_are_asked_for()
  support.finally(function() support.command "ip address add 192.0.2.1/24 dev eth0" end)
  support.command "ip address del 192.0.2.1/24 dev eth0"
  local name = support.name("a-1", "aaaa-1")
  support.script("session():connect(name, 1) tcpmulti.run()", { name = name })
  lu.assertEquals({ server:count(name, "A"), server:count(name, "AAAA") }, { 1, 1 })
end

function cases.N50_domain_says_which_family_is_asked_for()
  for domain, counts in pairs { inet = { 1, 0 }, inet6 = { 0, 1 } } do
    local name = support.name("a-1", "aaaa-1")
    support.look(name, { domain = domain })
    lu.assertEquals({ server:count(name, "A"), server:count(name, "AAAA") }, counts)
  end
end

---------------------------------------------------------------- many addresses

function cases.N48_63_refuse_and_one_is_good()
  local port = support.peer("close", { address = "127.0.0.64" }):port()
  local log, took = support.look(support.name "a-64", nil, { port = port })
  support.reached(log, "127.0.0.64")
  lu.assertTrue(took < 1, took)
end

function cases.N48_63_are_silent_and_one_is_good()
  local last = "2001:db8::140"
  support.finally(function() support.command("ip address del %s/64 dev eth0", last) end)
  support.command("ip address add %s/64 dev eth0 nodad", last)
  local port = support.peer("close", { address = last }):port()
  local most = 0
  local session, log = support.record()
  session:connect(support.name("aaaa-64", "from-256"), port)
  -- Few readings: each stops the loop, and with it the next attempt, while the kernel walks its
  -- table.
  for i = 1, 5 do
    support.after(i * 3, function() most = math.max(most, trying(port)) end)
  end
  support.run(40)
  support.reached(log, last)
  support.at(log:time "success", 15.75, 3)
  support.within(most, 32, 64, "sockets at once")
end

function cases.N49_each_address_fails_in_its_way()
  support.finally(function() support.command "ip route flush 203.0.113.0/24" end)
  support.command "ip route add unreachable 203.0.113.0/24"
  local port = support.refused()
  local list = {
    { addr = "2001:db8:1::1", port = port, errname = "ENETUNREACH" },
    { addr = "127.0.0.1", port = port, errname = "ECONNREFUSED" },
    { addr = "203.0.113.1", port = port, errname = "EHOSTUNREACH" },
    { addr = "198.51.100.1", port = port, errname = "ENETUNREACH" },
  }
  local addresses = {}
  for i, try in ipairs(list) do addresses[i] = try.addr end
  local log = support.look(name_of(unpack(addresses)), nil, { port = port })
  support.failed(log, "connect ECONNREFUSED")
  lu.assertEquals(log.tried, { list })
  for _, try in ipairs(list) do
    lu.assertStrContains(log.messages[1], try.addr)
  end
end

function cases.N49_the_last_code_that_tells_something_counts()
  support.finally(function() support.command "ip route flush 203.0.113.0/24" end)
  support.command "ip route add prohibit 203.0.113.0/24"
  local port = support.refused()
  support.failed(support.look(name_of("127.0.0.1", "203.0.113.1"), nil, { port = port }),
    "connect EACCES")
  support.failed(support.look(name_of("203.0.113.1", "127.0.0.1"), nil, { port = port }),
    "connect ECONNREFUSED")
  support.failed(support.look(name_of("198.51.100.1", "198.51.100.2"), nil, { port = port }),
    "connect ENETUNREACH")
end

function cases.N51_addresses_take_turns()
  local port = support.swarm("close", 4, 1024):port()
  local names = {}
  for i = 1, 400 do names[i] = "a-4.turns.test" end
  local log = support.look(names, { short = true }, { port = port })
  support.all_reached(log, 400)
  local counts = {}
  for _, address in ipairs(log.reached) do counts[address] = (counts[address] or 0) + 1 end
  lu.assertEquals(counts, {
    ["127.0.0.1"] = 100, ["127.0.0.2"] = 100, ["127.0.0.3"] = 100, ["127.0.0.4"] = 100,
  })
end

---------------------------------------------------------------- winners and losers

-- No packet arrives at the port, until the function that this returns is called.
local function block_port(port)
  local function unblock() os.execute "nft delete table inet races 2>/dev/null" end
  support.finally(unblock)
  support.command "nft add table inet races"
  support.command "nft 'add chain inet races input { type filter hook input priority 0; }'"
  support.command("nft add rule inet races input tcp dport %d drop", port)
  return unblock
end

-- Both attempts are under way and unanswered until a handler takes long; meanwhile both connect.
function cases.N52_two_connect_in_one_turn()
  local one = support.peer("send \"hello\\n\"; recv all", { address = "127.0.0.1" })
  local port = one:port()
  local two = support.peer("send \"hello\\n\"; recv all", { address = "127.0.0.2", port = port })
  local unblock = block_port(port)
  local ids = {}
  local session, log = support.record {
    on_initialize = function(cheap) ids[1] = tcpmulti.id(cheap) end,
    on_success = function(cheap) ids[2] = tcpmulti.id(cheap) end,
    on_input = function(cheap)
      ids[3] = tcpmulti.id(cheap)
      cheap:shutdown()
    end,
  }
  session:connect(name_of("127.0.0.1", "127.0.0.2"), port)
  support.after(0.6, function()
    unblock()
    peer.block(1.5)
  end)
  support.run()
  lu.assertEquals(log:list(),
    { "initialize", "success", "input hello", "disconnected shutdown" })
  lu.assertEquals(ids, { ids[1], ids[1], ids[1] })
  lu.assertTrue(one:ended(1))
  lu.assertTrue(two:ended(1))
end

function cases.N53_the_fifth_address_wins_and_is_like_any_other()
  local winner = "2001:db8::5"
  local program = "send \"hello\\n\"; recvuntil \"bye\"; wait go; rst"
  local one = support.peer(program, { address = winner })
  local session, log = support.record {
    on_input = function(cheap)
      cheap:send "bye"
      one:go "go"
    end,
  }
  session:connect(name_of(silent(1), silent(2), silent(3), silent(4), winner), one:port())
  support.run()
  lu.assertEquals(log:list(), {
    "initialize", "success", "input hello", "error read ECONNRESET", "disconnected error",
  })
  support.at(log:time "success", 1, 2)
  lu.assertEquals(trying(one:port()), 0)
end

-- Ten addresses are under way when it is all over: none of their sockets is left.
function cases.N52_nothing_is_left_of_a_race_that_was_ended()
  local port = support.refused()
  local before = peer.descriptors()
  local session, log = support.record { attempt_delay = 0.02 }
  local cheap = session:connect(support.name("aaaa-10", "from-256"), port)
  local under_way, left
  support.after(0.6, function()
    under_way = trying(port)
    cheap:reset()
    support.after(0, function() left = trying(port) end)
  end)
  support.run()
  lu.assertEquals(log:list(), { "initialize", "disconnected shutdown" })
  lu.assertEquals({ under_way, left }, { 10, 0 })
  lu.assertTrue(peer.descriptors() <= before + 2)
end

-- What cheap:tried() says while a race goes on, and after its end by the connect timeout.
function cases.N49_what_is_under_way_is_told_too()
  local seen
  local session, log = support.record {
    connect_timeout = 0.6,
    on_timeout = function(cheap) seen = cheap:tried() end,
  }
  session:connect(name_of(silent(1), silent(2)), 99)
  support.run()
  lu.assertEquals(log:list(), { "initialize", "timeout connect", "disconnected timeout" })
  lu.assertEquals(seen, { { addr = silent(1), port = 99 }, { addr = silent(2), port = 99 } })
end

---------------------------------------------------------------- times

-- The option times: each step takes at least as long as the servers make it.
function cases.times_tell_what_each_step_took()
  local one = support.peer("sleep 200; send \"hello\\n\"; close")
  local queue, resolve, connect, proxy, tls, first, total, before
  local session = support.record {
    times = true,
    on_initialize = function(cheap) before = { cheap:times() } end,
    on_disconnected = function(cheap)
      queue, resolve, connect, proxy, tls, first, total = cheap:times()
    end,
  }
  session:connect(support.name("a-1", "delay-300"), one:port())
  support.run()
  lu.assertEquals(before[2], nil)
  support.within(queue, 0, 0.3, "queue")
  support.within(resolve, 0.3, 2, "resolve")
  support.within(connect, 0, 1, "connect")
  support.within(first, 0.19, 2, "first byte")
  support.within(total, queue + resolve + connect + first - 0.001, 4, "total")
  lu.assertEquals({ proxy, tls }, { 0, 0 })
end

function cases.times_are_nil_without_the_option()
  local times
  local session = support.record { on_disconnected = function(cheap) times = { cheap:times() } end }
  session:connect("127.0.0.1", support.peer("close"):port())
  support.run()
  lu.assertEquals(times[1], nil)
end

support.main(cases)
