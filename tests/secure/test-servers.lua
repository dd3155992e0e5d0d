-- SPDX-License-Identifier: MIT
-- Real servers of TLS of Debian that are not made with OpenSSL.
local lu = require "luaunit"
local proxies = require "proxies.support"
local support = require "behaviour.support"
local tls = require "secure.support"

local cases = support.cases "Servers"

-- gnutls-serv with these priorities, as an echo of lines.
local function gnutls_serv(priority)
  local port, directory = proxies.free_port(), proxies.directory()
  local pair = tls.server "good"
  proxies.write(directory .. "/chain.pem", pair.chain)
  proxies.write(directory .. "/key.pem", pair.key)
  proxies.start(port, ("gnutls-serv --echo --port %d --x509certfile %s/chain.pem "
    .. "--x509keyfile %s/key.pem --priority %s"):format(port, directory, directory, priority))
  return port
end

local function meet(port, options)
  local session, log = support.record {
    tls = tls.client(options),
    connect_timeout = 10,
    on_success = function(cheap) cheap:send "hello" end,
    on_input = function(cheap) cheap:shutdown() end,
  }
  session:connect("127.0.0.1", port)
  support.run(20)
  return table.concat(log:list(), ", ")
end

local GOOD = "initialize, success, input hello, disconnected shutdown"

function cases.T36_a_server_without_RFC_5746()
  local old = gnutls_serv "NORMAL:-VERS-TLS1.3:%DISABLE_SAFE_RENEGOTIATION"
  lu.assertEquals(meet(old), "initialize, failure tls ETLS, disconnected failure")
  lu.assertEquals(meet(old, { legacy = true }), GOOD)
end

function cases.a_server_made_with_GnuTLS()
  lu.assertEquals(meet(gnutls_serv "NORMAL"), GOOD)
  lu.assertEquals(meet(gnutls_serv "NORMAL:-VERS-TLS1.3"), GOOD)
end

support.main(cases)
