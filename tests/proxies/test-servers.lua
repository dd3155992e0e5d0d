-- SPDX-License-Identifier: MIT
-- Connections through real proxies of Debian, and PROXY headers to real servers (rows P01, P02, P04
-- to P07, P24, P29 to P31). danted is not in Debian 13; test-scripted.lua has its habits.
local lu = require "luaunit"
local support = require "behaviour.support"
local proxies = require "proxies.support"

local cases = support.cases "Servers"

-- A target that greets, and sends back the first line it gets.
local GREETS = 'send "hello\\n"; recvuntil "\\n"; send "good\\n"; close'

-- One connection to the target through these proxies, with a line each way.
local function assert_through(urls, host, addr, options)
  local target = support.peer(GREETS)
  local given = { proxy = urls, on_success = function(cheap) cheap:send "line" end }
  for key, value in pairs(options or {}) do given[key] = value end
  local log = proxies.reach(host, target:port(), given)
  lu.assertEquals(log:list(), { "initialize", "success", "input hello", "input good",
    "error read EOF", "disconnected eof" }, log.told.message)
  lu.assertEquals({ log.told.addr, log.told.port }, { addr or host, target:port() })
  lu.assertEquals(log.told.peer, "127.0.0.1")
  lu.assertEquals(log.told.peer_port, tonumber((type(urls) == "table" and urls[1] or urls)
    :match ":(%d+)$"))
  lu.assertStrContains(target:connection(1).content, "line")
end

function cases.P01_microsocks()
  local port = proxies.microsocks()
  assert_through(proxies.url("socks5", port), "127.0.0.1")
  assert_through(proxies.url("socks5h", port), "localhost")
  assert_through(proxies.url("socks5", port), "localhost", "127.0.0.1")
end

function cases.P02_microsocks_with_credentials()
  local port = proxies.microsocks "-u user -P pass"
  assert_through(proxies.url("socks5", port, "user:pass"), "127.0.0.1")
  for _, credentials in ipairs { "user:wrong", false } do
    local log = proxies.reach("127.0.0.1", 7,
      { proxy = proxies.url("socks5", port, credentials) })
    lu.assertEquals(log[2], "failure proxy EPROXYAUTH", log.told.message)
  end
end

function cases.P04_tinyproxy()
  local port = proxies.tinyproxy()
  assert_through(proxies.url("http", port), "127.0.0.1")
  assert_through(proxies.url("http", port), "localhost")
  local log = proxies.reach("127.0.0.1", support.refused(), { proxy = proxies.url("http", port) })
  lu.assertEquals(log[2], "failure proxy EPROXY")
  lu.assertStrContains(log.told.message, "500 Unable to connect")
end

function cases.P05_tinyproxy_with_basic()
  local port = proxies.tinyproxy "BasicAuth user pass"
  assert_through(proxies.url("http", port, "user:pass"), "127.0.0.1")
  for _, credentials in ipairs { "user:wrong", false } do
    local log = proxies.reach("127.0.0.1", 7, { proxy = proxies.url("http", port, credentials) })
    lu.assertEquals(log[2], "failure proxy EPROXYAUTH", log.told.message)
  end
end

function cases.P07_microsocks_says_that_the_target_refuses()
  local port = proxies.microsocks()
  local log = proxies.reach("127.0.0.1", support.refused(),
    { proxy = proxies.url("socks5", port) })
  lu.assertEquals(log[2], "failure proxy ECONNREFUSED", log.told.message)
end

function cases.P24_chains_of_real_proxies()
  local socks, http = proxies.microsocks(), proxies.tinyproxy()
  local socks_url, http_url = proxies.url("socks5", socks), proxies.url("http", http)
  assert_through({ proxies.url("socks5h", socks), http_url }, "localhost")
  assert_through({ http_url, socks_url }, "localhost", "127.0.0.1")
  assert_through({ socks_url, http_url, socks_url }, "127.0.0.1")
end

support.main(cases)
