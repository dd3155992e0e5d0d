-- SPDX-License-Identifier: MIT
-- Names and proxies (rows P20 and P25): who looks up what, with a name server that counts. In a
-- network and an /etc of its own, like the tests of names.
local lu = require "luaunit"
local names = require "names.support"
local proxies = require "proxies.support"
local support = require "behaviour.support"

local cases = support.cases "ProxyNames"
local server = names.server()

-- One connection to a host through a scripted proxy, with what was asked meanwhile.
local function meet(scheme, host, program, proxy_host, options)
  local one = support.peer(program, { address = "127.0.0.2" })
  local before = server:count()
  local given = { proxy = ("%s://%s:%d"):format(scheme, proxy_host or "127.0.0.2", one:port()) }
  for key, value in pairs(options or {}) do given[key] = value end
  local log = proxies.reach(host, 7, given)
  lu.assertEquals(one:report().failure, "")
  return log, server:count() - before, one
end

local GOOD = { "initialize", "success", "input hello", "error read EOF", "disconnected eof" }

function cases.P20_socks5_sends_the_number_that_we_have_found()
  for _, labels in ipairs { "v4-192-0-2-9", "aaaa-1.v4-192-0-2-9", "6-silent.v4-192-0-2-9",
    "v4-192-0-2-9.6-delay-300" } do
    local log, asked = meet("socks5", names.name(labels),
      proxies.socks("192.0.2.9", 7, 'send "hello\\n"'))
    lu.assertEquals(log:list(), GOOD, log.told.message)
    lu.assertEquals(log.told.addr, "192.0.2.9")
    lu.assertTrue(asked >= 1)
    lu.assertTrue(log:time "success" < 0.25) -- IPv6 addresses are not waited for
  end
end

function cases.P20_socks5_sends_ipv6_where_there_is_nothing_else()
  local bytes = "\32\1\13\184" .. ("\0"):rep(11) .. "\1"
  local log = meet("socks5", names.name "aaaa-1", proxies.socks(bytes, 7, 'send "hello\\n"'))
  lu.assertEquals(log:list(), GOOD, log.told.message)
  lu.assertEquals(log.told.addr, "2001:db8::1")
end

function cases.P20_nothing_is_asked_for_a_proxy_that_takes_names()
  local host = names.name "a-1"
  for scheme, program in pairs {
    socks5h = proxies.socks(host, 7, 'send "hello\\n"'),
    http = ('expect "CONNECT %s:7 HTTP/1.1\\r\\n"; '):format(host)
      .. proxies.http(proxies.HTTP_GRANTED .. "hello\n"),
  } do
    local log, asked = meet(scheme, host, program)
    lu.assertEquals(log:list(), GOOD, log.told.message)
    lu.assertEquals(asked, 0)
  end
end

function cases.P20_a_target_that_is_no_name_fails_before_connecting()
  for labels, failure in pairs { nx = "ENOTFOUND", servfail = "ESERVFAIL", nodata = "ENODATA" } do
    local log, _, one = meet("socks5", names.name(labels), "freeze")
    lu.assertEquals(log[2], "failure resolve " .. failure)
    lu.assertEquals(one:report().accepted, 0)
  end
end

-- The op is "resolve" in each case; whose name has failed is said in front.
function cases.P24_a_look_up_that_fails_says_whose_it_was()
  local bad, good = names.name "nx", names.name(names.labels { "127.0.0.2" })
  local one = support.peer("freeze", { address = "127.0.0.2" })
  local last = "http://" .. good .. ":8"
  for said, how in pairs {
    ["target " .. bad .. ": "] = { bad, { ("socks5://%s:%d"):format(good, one:port()) } },
    ["hop 1, http " .. bad .. ":3128: "] = { bad, { "http://" .. bad } },
    ["hop 1, socks5 " .. bad .. ":1: "] = { "192.0.2.1", { "socks5://" .. bad .. ":1", last } },
    ["hop 2, http " .. bad .. ":8: "] = { bad, { "socks5://" .. good, "http://" .. bad .. ":8" } },
    ["hop 3, socks5h " .. bad .. ":9: "] = { "192.0.2.1",
      { "socks5h://" .. good, "socks5://" .. good, "socks5h://" .. bad .. ":9" } },
  } do
    local log = proxies.reach(how[1], 7, { proxy = how[2] })
    lu.assertEquals(log[2], "failure resolve ENOTFOUND", said)
    lu.assertEquals(log.told.message:sub(1, #said), said)
  end
  lu.assertEquals(one:report().accepted, 0)
  local log = proxies.reach(bad, 7, {}) -- without proxies there is nothing to tell apart
  lu.assertNotStrContains(log.told.message, "target ")
end

function cases.P24_a_look_up_that_takes_too_long_says_whose_it_was()
  local silent, good = names.name "silent", names.name(names.labels { "127.0.0.2" })
  for said, how in pairs {
    ["target " .. silent .. ": "] = { silent, "socks5://" .. good },
    ["hop 1, http " .. silent .. ":3128: "] = { "target.test", "http://" .. silent },
  } do
    local cause
    local log = proxies.reach(how[1], 7, { proxy = how[2], connect_timeout = 0.3,
      on_timeout = function(cheap) cause = { cheap:cause() } end })
    lu.assertEquals(log[2], "timeout connect", said)
    lu.assertEquals(cause[1], "resolve", said)
    lu.assertStrContains(table.concat(cause, " "), said)
  end
end

function cases.P20_a_denied_address_among_others_is_left_out()
  local log = meet("socks5", names.name "v4-10-0-0-1.v4-192-0-2-9",
    proxies.socks("192.0.2.9", 7, 'send "hello\\n"'), nil, { deny = { "private" } })
  lu.assertEquals(log:list(), GOOD, log.told.message)
  log = meet("socks5", names.name "v4-10-0-0-1", "freeze", nil, { deny = { "private" } })
  lu.assertEquals(log[2], "failure resolve EPOLICY")
end

function cases.P25_the_addresses_of_a_proxy_are_raced()
  for _, labels in ipairs {
    names.labels { "127.0.0.9", "127.0.0.2" }, -- the first one refuses
    names.labels { "2001:db8::77", "127.0.0.2" }, -- the first one is silent
  } do
    local log, _, one = meet("http", "target.test",
      proxies.http(proxies.HTTP_GRANTED .. "hello\n"), names.name(labels))
    lu.assertEquals(log:list(), GOOD, log.told.message)
    lu.assertEquals({ log.told.peer, log.told.peer_port }, { "127.0.0.2", one:port() })
  end
end

function cases.P25_a_proxy_that_cannot_be_reached()
  local host = names.name(names.labels { "127.0.0.8", "127.0.0.9" })
  local log = proxies.reach("target.test", 7, { proxy = "http://" .. host .. ":1" })
  lu.assertEquals(log[2], "failure connect ECONNREFUSED")
  lu.assertStrContains(log.told.message, "hop 1, http " .. host .. ":1: ")
  lu.assertEquals(#log.told.tried, 2)
  lu.assertEquals(log.told.tried[1].port, 1)
  log = proxies.reach("target.test", 7, { proxy = "http://" .. names.name "nx" .. ":1" })
  lu.assertEquals(log[2], "failure resolve ENOTFOUND")
end

-- The other family is answered while the dialogue is under way, with an address that would connect:
-- no socket begins any more.
function cases.P25_a_late_answer_does_not_disturb_the_dialogue()
  local one = support.peer('recvuntil "\\r\\n\\r\\n"; sleep 700; send "'
    .. proxies.quote(proxies.HTTP_GRANTED .. "hello\n") .. '"; close', { address = "127.0.0.2" })
  local other = support.peer("freeze", { address = "::1", port = one:port() })
  local host = names.name(names.labels { "127.0.0.2", "::1" }, "6-delay-200")
  local log = proxies.reach("target.test", 7, { proxy = ("http://%s:%d"):format(host, one:port()) })
  lu.assertEquals(log:list(), GOOD, log.told.message)
  lu.assertEquals({ one:report().accepted, other:report().accepted }, { 1, 0 })
end

-- Both the proxy and what is told to it are looked up, each once for all connections.
function cases.P20_P24_names_all_along_a_chain()
  local second = names.name "v4-192-0-2-9"
  local program = proxies.socks("192.0.2.9", 8, proxies.http(proxies.HTTP_GRANTED .. "hello\n"))
  local one = support.peer(program, { address = "127.0.0.2" })
  local first = names.name(names.labels { "127.0.0.2" })
  local log = proxies.reach("target.test", 7, {
    proxy = { ("socks5://%s:%d"):format(first, one:port()), ("http://%s:8"):format(second) } })
  lu.assertEquals(log:list(), GOOD, log.told.message)
  lu.assertEquals(one:report().failure, "")
end

support.main(cases)
