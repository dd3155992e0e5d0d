-- SPDX-License-Identifier: MIT
-- What scripts decide themselves: addresses that stand for targets (resolve), addresses that no
-- connection may go to (deny), and who looks up names (dns).
local lu = require "luaunit"
local support = require "names.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Policy"
local server = support.server()

---------------------------------------------------------------- resolve

-- Connects to a host and port with these overrides: where it arrived, and how often anything was
-- asked meanwhile.
local function override(host, port, resolve)
  local before = server:count()
  local log = support.look(host, { resolve = resolve }, { port = port })
  lu.assertEquals(log:count "success", 1, log.messages[1])
  return log.reached[1], server:count() - before
end

function cases.N56_a_host_and_port()
  local port = support.peer("close", { address = "127.0.0.9" }):port()
  local host = support.name "nx"
  local address, asked = override(host, 80, { [host .. ":80"] = "127.0.0.9:" .. port })
  lu.assertEquals({ address, asked }, { "127.0.0.9", 0 })
end

function cases.N56_all_ports_of_a_host()
  local port = support.peer("close", { address = "127.0.0.9" }):port()
  local host = support.name "nx"
  local address, asked = override(host, port, { [host .. ":*"] = "127.0.0.9" })
  lu.assertEquals({ address, asked }, { "127.0.0.9", 0 })
end

function cases.N56_a_port_of_all_hosts()
  local port = support.peer("close", { address = "127.0.0.9" }):port()
  local address, asked = override(support.name "nx", 80, { ["*:80"] = "127.0.0.9:" .. port })
  lu.assertEquals({ address, asked }, { "127.0.0.9", 0 })
end

function cases.N56_the_most_exact_one_counts()
  local port = support.peer("close", { address = "127.0.0.9" }):port()
  local host = support.name "nx"
  local address = override(host, port, {
    [host .. ":" .. port] = "127.0.0.9:" .. port,
    [host .. ":*"] = "127.0.0.8",
    ["*:" .. port] = "127.0.0.7:" .. port,
  })
  lu.assertEquals(address, "127.0.0.9")
end

function cases.N56_capitals_and_the_last_dot_do_not_matter()
  local port = support.peer("close", { address = "127.0.0.9" }):port()
  local host = support.name "nx"
  lu.assertEquals(override(host:upper() .. ".", port, { [host .. ":*"] = "127.0.0.9" }),
    "127.0.0.9")
end

function cases.N56_to_ipv6_and_of_numbers()
  local port = support.peer("close", { address = "2001:db8::9" }):port()
  lu.assertEquals(override("192.0.2.77", 80, { ["192.0.2.77:80"] = "[2001:db8::9]:" .. port }),
    "2001:db8::9")
end

function cases.N56_an_override_is_never_kept()
  local port = support.peer("close", { address = "127.0.0.9" }):port()
  local host = support.name "nx"
  override(host, port, { [host .. ":*"] = "127.0.0.9" })
  support.failed(support.look(host), "resolve ENOTFOUND")
end

function cases.N56_other_ports_are_looked_up()
  local host = support.name "a-1"
  local log = support.look(host, { resolve = { [host .. ":1"] = "127.0.0.9:1" } })
  support.reached(log, "127.0.0.1")
  lu.assertEquals(server:count(host, "A"), 1)
end

function cases.N56_a_connect_has_overrides_of_its_own()
  local port = support.peer("close", { address = "127.0.0.9" }):port()
  local host = support.name "nx"
  local session, log = support.record { resolve = { [host .. ":*"] = "127.0.0.8" } }
  session:connect {
    remote_address = host, remote_port = port, resolve = { [host .. ":*"] = "127.0.0.9" },
  }
  support.run()
  support.reached(log, "127.0.0.9")
end

function cases.N56_what_cannot_be_read_raises()
  for _, resolve in ipairs {
    { ["host"] = "127.0.0.1:1" }, { ["host:80"] = "other:1" }, { ["host:80"] = "127.0.0.1:99999" },
    { ["host:x"] = "127.0.0.1:1" }, { ["host:80"] = "127.0.0.1\nhost:81=127.0.0.1" }, "host:80",
  } do
    lu.assertErrorMsgContains("resolve", function() support.session { resolve = resolve } end)
  end
end

---------------------------------------------------------------- deny

-- 32 bits, as two groups of an IPv6 address.
local function groups(address)
  local a, b, c, d = address:match "(%d+)%.(%d+)%.(%d+)%.(%d+)"
  return ("%x:%x"):format(a * 256 + b, c * 256 + d)
end

function cases.N57_private_addresses_in_each_form()
  for _, four in ipairs {
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
  } do
    local inner = groups(four)
    for _, address in ipairs {
      four, "::ffff:" .. inner, "::ffff:0:" .. inner, "64:ff9b::" .. inner,
      "2002:" .. inner .. "::1",
    } do
      local name = support.name(support.labels { address })
      local log = support.look({ address, name }, { deny = { "private" } }, { port = 9 })
      lu.assertEquals(log:count "failure resolve EPOLICY", 2, address)
    end
  end
  for _, six in ipairs { "fc00::1", "fdff::1" } do
    local log = support.look({ six, support.name(support.labels { six }) },
      { deny = { "private" } }, { port = 9 })
    lu.assertEquals(log:count "failure resolve EPOLICY", 2, six)
  end
end

function cases.N57_the_text_names_what_was_denied()
  local name = support.name(support.labels { "10.0.0.1", "192.168.1.2" })
  local log = support.look(name, { deny = { "private" } })
  support.failed(log, "resolve EPOLICY")
  lu.assertStrContains(log.messages[1], "10.0.0.1")
  lu.assertStrContains(log.messages[1], "192.168.1.2")
end

function cases.N57_what_is_not_denied_is_reached()
  support.reached(support.look(support.name "a-1", { deny = { "private", "10.0.0.0/8" } }),
    "127.0.0.1")
  support.reached(support.look("127.0.0.1", { deny = { "private" } }), "127.0.0.1")
end

function cases.N57_networks_and_the_other_classes()
  for deny, address in pairs {
    loopback = "127.0.0.1", ["127.0.0.0/8"] = "127.9.9.9", linklocal = "169.254.1.1",
    multicast = "224.0.0.1", unspecified = "0.0.0.0", ["2001:db8::/32"] = "2001:db8::1",
    reserved = "240.0.0.1",
  } do
    local log = support.look({ address, support.name(support.labels { address }) },
      { deny = { deny } }, { port = 9 })
    lu.assertEquals(log:count "failure resolve EPOLICY", 2, deny)
  end
end

function cases.N57_an_override_is_checked_too()
  local host = support.name "nx"
  local log = support.look(host, {
    deny = { "loopback" }, resolve = { [host .. ":*"] = "127.0.0.1" },
  })
  support.failed(log, "resolve EPOLICY")
end

function cases.N57_what_cannot_be_read_raises()
  for _, deny in ipairs { { "publik" }, { "10.0.0.0/33" }, { "10.0.0" }, { "" }, { 7 }, 7 } do
    lu.assertErrorMsgContains("deny", function() support.session { deny = deny } end)
  end
end

function cases.N58_each_look_up_is_checked()
  local port = support.peer("close", { address = "192.0.2.1" }):port()
  support.peer("close", { port = port })
  local name = support.name("first-v4-192-0-2-1", "later-v4-127-0-0-1", "ttl-0")
  local options = { deny = { "loopback" } }
  support.dns { ttl = 0 } -- getaddrinfo tells no time to keep an answer for
  support.reached(support.look(name, options, { port = port }), "192.0.2.1")
  support.failed(support.look(name, options, { port = port }), "resolve EPOLICY")
end

function cases.N59_a_denied_address_among_others_is_left_out()
  local port = support.peer("close", { address = "192.0.2.1" }):port()
  support.peer("close", { port = port })
  local session, log = support.record { deny = { "loopback" } }
  session:connect(support.name(support.labels { "127.0.0.1", "192.0.2.1" }), port)
  local stats
  support.when(function() return #log == 4 end, function() stats = session:stats() end)
  support.run()
  support.reached(log, "192.0.2.1")
  lu.assertEquals(stats.denied, 1)
end

-- A proxy that resolves would hide the address from deny. Until there are proxies each proxy
-- raises.
function cases.N60_deny_with_a_proxy_that_resolves_raises()
  lu.assertErrorMsgContains("proxy", function()
    support.session { deny = { "private" }, proxy = "socks5h://127.0.0.1:1080" }
  end)
end

---------------------------------------------------------------- dns

-- The build says what it was made without (tests/meson.build).
local without = os.getenv "TCPMULTI_WITHOUT" or ""

function cases.N64_without_c_ares_the_system_looks_up()
  if without:find "c-ares" then
    lu.assertErrorMsgContains("c-ares", function() support.session { dns = "ares" } end)
    lu.assertErrorMsgContains("EOPNOTSUPP", function() support.session { dns = "ares" } end)
  else
    support.reached(support.look(support.name "a-1", { dns = "ares" }), "127.0.0.1")
  end
  support.reached(support.look(support.name "a-1", { dns = "auto" }), "127.0.0.1")
end

function cases.dns_system_asks_through_the_c_library()
  local name = support.name "a-1"
  support.reached(support.look(name, { dns = "system" }), "127.0.0.1")
  lu.assertEquals(server:count(name, "A"), 1)
  support.failed(support.look(support.name "nx", { dns = "system" }), "resolve ENOTFOUND")
end

function cases.dns_options_that_cannot_be_used_raise()
  for name, value in pairs {
    servers = { "name.test" }, timeout = -1, tries = 0, ttl = -1, concurrency = 0, cache = 0, x = 1,
  } do
    lu.assertErrorMsgContains(name, function() tcpmulti.dns { [name] = value } end)
  end
end

support.main(cases)
