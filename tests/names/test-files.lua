-- SPDX-License-Identifier: MIT
-- The files that tell about names, resolv.conf and hosts: what is read, what is not, and that a
-- change is seen while an engine runs. Each case has an engine of its own, in a process of its own.
local lu = require "luaunit"
local support = require "names.support"

local cases = support.cases "Files"
local server = support.server()
local second = support.server { address = "127.0.0.2", number = 2 }

local RESOLV, HOSTS = "/etc/resolv.conf", "/etc/hosts"

-- What scripts use to write a file anew, as support.write does.
local WRITE = [[
  local function write(path, text)
    local file = assert(io.open(path .. ".script", "w"))
    file:write(text)
    file:close()
    assert(os.rename(path .. ".script", path))
  end
]]

-- Looks up the only name of a script; what stands in it is the case's.
local ONE = "session():connect(name, port) tcpmulti.run()"

---------------------------------------------------------------- resolv.conf

function cases.N23_a_new_resolv_conf_is_used_and_look_ups_under_way_finish()
  support.write(RESOLV, "nameserver 127.0.0.1\n")
  local under_way, later = support.name("a-1", "delay-1500"), support.name "a-1"
  local output = support.script(WRITE .. [[
    local s = session()
    s:connect(under_way, port)
    local go = tcpmulti.create {
      inline_states = {
        write = function() write("/etc/resolv.conf", "nameserver 127.0.0.2\n") end,
        later = function() s:connect(later, port) end,
      },
    }
    go:delay_set("write", 0.1)
    go:delay_set("later", 1.2)
    tcpmulti.run()
  ]], { under_way = under_way, later = later, port = support.peer("close"):port() })
  lu.assertItemsEquals({ output:match "([^\n]+)\n([^\n]+)\n" },
    { under_way .. " 127.0.0.1", later .. " 127.0.0.1" })
  lu.assertEquals({ server:count(under_way, "A"), second:count(under_way, "A") }, { 1, 0 })
  lu.assertEquals({ server:count(later, "A"), second:count(later, "A") }, { 0, 1 })
end

-- The address of the name server goes and comes again, and so do all devices.
function cases.N24_the_network_is_restarted_under_a_running_engine()
  local third = support.server { address = "192.0.2.1", number = 3 }
  support.finally(support.restore_ipv6)
  local output = support.script([[
    tcpmulti.dns { servers = { "192.0.2.1" }, timeout = 0.5 }
    local good, bad, done = 0, 0, 0
    local s
    s = session {
      on_success = function(cheap) good = good + 1 cheap:reset() end,
      on_failure = function(cheap, _, _, _, _, errname) bad = bad + 1 print(errname) end,
      on_disconnected = function() done = done + 1 end,
    }
    local function look(first, last)
      for i = first, last do s:connect(("a-1.restart%d.test"):format(i), port) end
    end
    local steps = tcpmulti.create {
      inline_states = {
        down = function()
          assert(os.execute "ip link set eth0 down; ip address del 192.0.2.1/24 dev eth0" == 0)
        end,
        up = function()
          assert(os.execute "ip address add 192.0.2.1/24 dev eth0; ip link set eth0 up" == 0)
          look(21, 60)
        end,
      },
    }
    look(1, 20)
    steps:delay_set("down", 0.3)
    steps:delay_set("up", 0.6)
    tcpmulti.run()
    print(good, bad, done)
  ]], { port = support.peer("close"):port() })
  lu.assertEquals(output, "60\t0\t60\n")
  lu.assertTrue(third:count() >= 120)
end

-- make: makes /etc/resolv.conf; afterwards it is a file again.
local function without_servers(make)
  support.finally(function()
    os.execute("rm -rf " .. RESOLV)
    support.write(RESOLV, "nameserver 127.0.0.1\n")
  end)
  support.command("rm -rf %s; " .. make, RESOLV, RESOLV)
  local name = support.name "a-1"
  local output = support.script(ONE, { name = name, port = support.peer("close"):port() })
  lu.assertEquals(output, name .. " 127.0.0.1\n")
  lu.assertEquals({ server:count(name, "A"), second:count(name) }, { 1, 0 })
end

function cases.N25_no_resolv_conf() without_servers "true %s" end
function cases.N25_an_empty_resolv_conf() without_servers ": > %s" end
function cases.N25_a_directory() without_servers "mkdir %s" end
function cases.N25_a_link_to_itself() without_servers "ln -s resolv.conf %s" end
-- Whoever runs this may read all files, but not the memory of address 0.
function cases.N25_a_file_that_cannot_be_read() without_servers "ln -s /proc/self/mem %s" end
function cases.N25_a_megabyte() without_servers "yes '# nameserver 127.0.0.2' | head -c 1M > %s" end
function cases.N25_zeros() without_servers "head -c 1M /dev/zero > %s" end

function cases.N26_a_server_with_a_scope_is_no_usable_one()
  support.write(RESOLV, "nameserver fe80::1%eth0\n")
  local name = support.name "a-1"
  local before = server:count()
  local output = support.script([[
    session {
      on_failure = function(_, op, _, message, _, errname) print(op, errname, message) end,
    }:connect(name, 1)
    tcpmulti.run()
  ]], { name = name })
  lu.assertStrContains(output, "resolve\tEADDRNOTAVAIL\t")
  lu.assertStrContains(output, "no usable name server")
  lu.assertEquals(server:count(), before)
end

---------------------------------------------------------------- hosts

-- A "~" stands for a tabulator.
local TABLE = ([[
# a comment 192.0.2.9 commented.test
127.0.0.3~three.test~alias.test # behind.test
  127.0.0.4 Four.TEST
127.0.0.5 both.test
2001:db8::5 both.test
127.0.0.6 many.test
127.0.0.7 many.test
300.0.0.1 wrong.test
127.0.0.8
nonsense
127.0.0.9 last.test]]):gsub("~", "\t")

-- Looks up a name while hosts has this text, and connects to it; a peer is at this address.
local function look_in_hosts(name, text, domain, address)
  support.write(HOSTS, text)
  local asked = server:count()
  local port = support.peer("close", { address = address }):port()
  local output = support.script(
    "session { domain = domain }:connect(name, port) tcpmulti.run()",
    { name = name, port = port, domain = domain or "inet" })
  lu.assertEquals(server:count(), asked)
  return output
end

function cases.N27_names_aliases_capitals_and_comments()
  for name, address in pairs {
    ["three.test"] = "127.0.0.3", ["alias.test"] = "127.0.0.3", ["ALIAS.test."] = "127.0.0.3",
    ["four.test"] = "127.0.0.4", ["both.test"] = "127.0.0.5", ["last.test"] = "127.0.0.9",
  } do
    lu.assertEquals(look_in_hosts(name, TABLE, nil, address), name .. " " .. address .. "\n")
  end
end

function cases.N27_both_families()
  lu.assertEquals(look_in_hosts("both.test", TABLE, "inet6", "2001:db8::5"),
    "both.test 2001:db8::5\n")
end

function cases.N27_all_addresses_of_a_name()
  lu.assertEquals(look_in_hosts("many.test", TABLE, nil, "127.0.0.7"), "many.test 127.0.0.7\n")
end

function cases.N27_a_name_that_is_not_there_is_asked_for()
  support.write(HOSTS, TABLE)
  for _, first in ipairs { "commented", "behind", "wrong", "nonsense" } do
    local name = first .. ".test"
    lu.assertEquals(support.script(ONE, { name = name, port = 1 }),
      name .. " resolve ENODATA\n")
    lu.assertEquals(server:count(name, "A"), 1)
  end
end

-- 1 MB of names: n1.hosts.test to n33000.hosts.test.
local function megabyte()
  local lines = {}
  for i = 1, 33000 do lines[i] = ("127.0.0.1 n%d.hosts.test h%d\n"):format(i, i) end
  return table.concat(lines)
end

-- CPU for each of 1,000 connects that are refused, the best of five: by number and by name.
local CPU = [[
  local peer = require "peer"
  local function cost(address)
    local best = math.huge
    for round = 1, 5 do
      local s = session { on_failure = function() end }
      local before = peer.cpu()
      for i = 1, 1000 do s:connect(address:format(round * 1000 + i), 1) end
      tcpmulti.run()
      best = math.min(best, (peer.cpu() - before) / 1000)
    end
    return best
  end
  local warm = cost "n1.hosts.test"
  local number = cost "127.0.0.1"
  print((cost "n%d.hosts.test" - number) * 1e6)
]]

function cases.N27_a_megabyte_of_names_is_quick()
  lu.skipIf(support.sanitized(), "times say nothing in this build")
  local text = megabyte()
  lu.assertTrue(#text > 2 ^ 20)
  support.write(HOSTS, text)
  local before = server:count()
  local us = tonumber(support.script(CPU))
  lu.assertTrue(us < 20, us)
  lu.assertEquals(server:count(), before)
end

function cases.N27_a_change_is_seen_within_a_second()
  support.write(HOSTS, "127.0.0.3 change.test\n")
  local port = 20001
  support.peer("close", { address = "127.0.0.3", port = port })
  support.peer("close", { address = "127.0.0.4", port = port })
  local output = support.script(WRITE .. [[
    local s = session()
    local go = tcpmulti.create {
      inline_states = {
        write = function() write("/etc/hosts", "127.0.0.4 change.test\n") end,
        go = function() s:connect("change.test", port) end,
      },
    }
    go:delay_set("write", 0.1)
    go:delay_set("go", 1.2)
    s:connect("change.test", port)
    tcpmulti.run()
  ]], { port = port })
  lu.assertEquals(output, "change.test 127.0.0.3\nchange.test 127.0.0.4\n")
end

function cases.N28_localhost_is_loopback_and_never_asked_for()
  for _, name in ipairs {
    "localhost", "localhost.", "a.localhost", "LOCALHOST", "b.a.LocalHost.",
  } do
    lu.assertEquals(look_in_hosts(name, "", "inet", "127.0.0.1"), name .. " 127.0.0.1\n")
    lu.assertEquals(look_in_hosts(name, "", "inet6", "::1"), name .. " ::1\n")
  end
end

function cases.N28_a_line_of_hosts_wins()
  lu.assertEquals(look_in_hosts("localhost", "127.0.0.9 localhost\n", "inet", "127.0.0.9"),
    "localhost 127.0.0.9\n")
  lu.assertEquals(look_in_hosts("a.localhost", "127.0.0.8 a.localhost\n", "inet", "127.0.0.8"),
    "a.localhost 127.0.0.8\n")
end

support.main(cases)
