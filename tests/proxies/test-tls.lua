-- SPDX-License-Identifier: MIT
-- TLS through proxies (rows P12, P29 and P30): the target is verified, whoever is between. A
-- scripted peer is the proxy and, behind its reply, the target; real proxies lead to a peer that
-- speaks TLS.
local lu = require "luaunit"
local support = require "behaviour.support"
local proxies = require "proxies.support"
local tls = require "secure.support"

local cases = support.cases "ProxiesTls"
local quote, url = proxies.quote, proxies.url

-- The events of a connection that has sent a line and got one.
local GOOD = { "initialize", "success", "input hello", "error read EOF", "disconnected eof" }

local function meet(scheme, program, host, options)
  local one = support.peer(program, { tls = tls.server "good" })
  local given = { proxy = url(scheme, one), tls = tls.client(),
    on_success = function(cheap) cheap:send "line" end }
  for key, value in pairs(options or {}) do given[key] = value end
  local log = proxies.reach(host or "peer.test", 7, given)
  return log, one
end

---------------------------------------------------------------- one program for both

function cases.P29_the_handshake_comes_behind_the_reply()
  for scheme, program in pairs {
    socks5h = proxies.socks("peer.test", 7, 'starttls; recv line; send "hello\\n"; close'),
    http = proxies.http(proxies.HTTP_GRANTED, 'starttls; recv line; send "hello\\n"; close'),
  } do
    local log, one = meet(scheme, program, nil, { tls = { ca = tls.root } })
    lu.assertEquals(log:list(), GOOD, log.told.message)
    lu.assertTrue(log.told.verified)
    lu.assertEquals(one:connection(1).tls.server_name, "peer.test")
    lu.assertEquals(log.told.addr, "peer.test")
  end
end

function cases.P29_the_name_of_the_target_is_verified_not_that_of_the_proxy()
  local log = meet("http", proxies.http(proxies.HTTP_GRANTED, "starttls; freeze"), "127.0.0.99",
    { tls = { ca = tls.root } })
  lu.assertEquals(log[2], "failure tls ECERT")
  lu.assertStrContains(log.told.message, "127.0.0.99")
end

-- These are no TLS: they go to TLS all the same, which refuses them; never to the script.
function cases.P12_bytes_behind_the_reply_go_to_tls()
  for scheme, program in pairs {
    socks5h = proxies.socks("peer.test", 7, "freeze", proxies.GRANTED .. "SSH-2.0-hello\r\n"),
    http = proxies.http(proxies.HTTP_GRANTED .. "SSH-2.0-hello\r\n", "freeze"),
  } do
    local log = meet(scheme, "plain; " .. program)
    lu.assertEquals(log:list(), { "initialize", "failure tls ETLS", "disconnected failure" })
  end
end

-- An alert in front of all else, whole in the segment of the reply: TLS has read it.
function cases.P12_an_alert_behind_the_reply_is_read_by_tls()
  local log = meet("http", "plain; " .. proxies.http(proxies.HTTP_GRANTED .. "\21\3\1\0\2\2\40",
    "freeze"))
  lu.assertEquals(log[2], "failure tls ETLS")
  lu.assertStrContains(log.told.message, "sent by the peer")
end

-- The first half of a record comes with the reply, the other half later.
function cases.P12_half_a_record_behind_the_reply_is_completed()
  local log = meet("http", "plain; " .. proxies.http(proxies.HTTP_GRANTED .. "\21\3\1",
    'sleep 30; sendhex 00020228; freeze'))
  lu.assertEquals(log[2], "failure tls ETLS")
  lu.assertStrContains(log.told.message, "sent by the peer")
end

function cases.P30_starttls_through_a_proxy()
  local log, one = meet("socks5h", proxies.socks("peer.test", 7,
    'send "220 go\\r\\n"; recv line; starttls; send "hello\\r\\n"; recv line; close'), nil, {
      tls = false,
      on_success = function() end,
      on_input = function(cheap, line)
        if line == "220 go" then
          cheap:send "STARTTLS"
          lu.assertEquals({ cheap:starttls(tls.client()) }, { true })
        end
      end,
      on_secure = function(cheap) cheap:send "secret" end,
    })
  lu.assertEquals(log:list(), { "initialize", "success", "input 220 go", "secure", "input hello",
    "error read EOF", "disconnected eof" }, log.told.message)
  lu.assertStrContains(one:connection(1).content, "STARTTLS\r\nsecret\r\n")
end

-- What came with the reply is plain text of the target; it is no record yet.
function cases.P30_bytes_behind_the_reply_are_an_injection_at_starttls()
  local log = meet("http", "plain; " .. proxies.http(proxies.HTTP_GRANTED .. "220 go\r\n250",
    "freeze"), nil, {
      tls = false,
      on_success = function() end,
      on_input = function(cheap) cheap:starttls(tls.client()) end,
    })
  lu.assertEquals(log:list(), { "initialize", "success", "input 220 go", "error tls EINJECTION",
    "disconnected error" })
end

---------------------------------------------------------------- real proxies

local function assert_through(urls)
  local target = support.peer('recv line; send "hello\\n"; close', { tls = tls.server "good" })
  local log = proxies.reach("localhost", target:port(), { proxy = urls, tls = tls.client(),
    on_success = function(cheap) cheap:send "line" end })
  lu.assertEquals(log:list(), GOOD, log.told.message)
  lu.assertTrue(log.told.verified)
  log = proxies.reach("localhost", target:port(), { proxy = urls,
    tls = tls.client { server_name = "other.test" } })
  lu.assertEquals(log[2], "failure tls ECERT")
  lu.assertStrContains(log.told.message, "other.test")
end

function cases.P29_through_real_proxies_and_chains()
  local socks, locked = proxies.microsocks(), proxies.microsocks "-u user -P pass"
  local http, basic = proxies.tinyproxy(), proxies.tinyproxy "BasicAuth user pass"
  assert_through(url("socks5", socks))
  assert_through(url("socks5h", locked, "user:pass"))
  assert_through(url("http", http))
  assert_through(url("http", basic, "user:pass"))
  assert_through { url("http", basic, "user:pass"), url("socks5", socks),
    url("socks5h", locked, "user:pass") }
end

---------------------------------------------------------------- times

function cases.the_steps_are_timed()
  local times
  local log = meet("http", 'recvuntil "\\r\\n\\r\\n"; sleep 100; send "'
    .. quote(proxies.HTTP_GRANTED) .. '"; sleep 50; starttls; recv line; send "hello\\n"; close',
    nil, { times = true, on_disconnected = function(cheap) times = { cheap:times() } end })
  lu.assertEquals(log:list(), GOOD)
  support.within(times[4], 0.08, 1, "proxy")
  support.within(times[5], 0.04, 1, "tls")
  support.within(times[7], 0.14, 3, "total")
end

support.main(cases)
