-- SPDX-License-Identifier: MIT
-- Whom TLS accepts, and what is told of the server: certificates that are good or wrong in one way,
-- names, versions, protocols, certificates of clients, sessions that are resumed.
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"
local tls = require "secure.support"

local cases = support.cases "Verify"
local HELLO = 'send "hi\\n"; recv all'

-- What cheap:tls() tells in the event in which the connection succeeds or fails, and the log.
local function see(how, options, program)
  local info
  local given = {
    on_success = function(cheap) info = cheap:tls() end,
    on_failure = function(cheap, _, _, message) info = cheap:tls() info.message = message end,
    on_input = function(cheap) cheap:send "bye" cheap:shutdown() end,
  }
  for key, value in pairs(options or {}) do given[key] = value end
  local log, one = tls.meet(program or HELLO, given, how)
  return info, log, one
end

local function refused(certificate, problem, part, how)
  how = how or {}
  how.certificate = certificate
  local info, log, one = see(how)
  lu.assertEquals(log:list(), { "initialize", "failure tls ECERT", "disconnected failure" })
  lu.assertEquals(info.problem, problem)
  lu.assertStrContains(info.message, problem)
  lu.assertStrContains(info.message, part)
  lu.assertFalse(info.verified)
  support.ending(one, 1)
  lu.assertEquals(one:connection(1).received, 0)
  lu.assertStrContains(one:connection(1).tls.reason, "alert")
  return info
end

function cases.T01_a_trusted_certificate()
  local info, log = see { certificate = "good" }
  lu.assertEquals(log:list(), { "initialize", "success", "input hi", "disconnected shutdown" })
  lu.assertTrue(info.verified)
  lu.assertNil(info.problem)
  lu.assertEquals(info.problems, {})
  lu.assertEquals(info.server_name, "peer.test")
  lu.assertEquals(#info.chain, 2)
  for _, certificate in ipairs(info.chain) do
    for _, field in ipairs { "subject", "issuer", "serial", "sha256", "key_type", "signature",
      "pem" } do
      lu.assertTrue(#certificate[field] > 0, field)
    end
    lu.assertTrue(certificate.not_before < os.time() and certificate.not_after > os.time())
    lu.assertEquals(#certificate.sha256, 64)
    lu.assertEquals(certificate.key_bits, 256)
    lu.assertStrContains(certificate.pem, "BEGIN CERTIFICATE")
  end
  lu.assertStrContains(info.chain[1].sans, "DNS:peer.test")
end

function cases.T02_T03_T04_T05_T06_T07_what_makes_a_certificate_bad()
  refused("self-signed", "self-signed", "CN=")
  refused("expired", "expired", "CN=")
  refused("not-yet-valid", "not yet valid", "CN=")
  refused("unknown-authority", "unknown authority", "CN=")
  refused("incomplete", "unknown authority", "CN=")
  refused("rsa-1024", "weak key", "CN=", { server = { ciphers = "ALL@SECLEVEL=0" } })
  refused("sha-1", "weak signature", "CN=", { server = { ciphers = "ALL@SECLEVEL=0" } })
  refused("bad-purpose", "bad purpose", "CN=")
end

function cases.T08_another_host_is_told_with_the_names()
  local info = refused("wrong-host", "host mismatch", "peer.test")
  lu.assertStrContains(info.message, "DNS:other.test")
end

function cases.T09_all_problems_are_told()
  local info = see { certificate = "expired-wrong-host" }
  lu.assertEquals(info.problems, { "expired", "host mismatch" })
end

function cases.T10_wildcards()
  local fits = { ["a.wild.test"] = true }
  for _, name in ipairs { "a.wild.test", "a.b.wild.test", "wild.test" } do
    local _, log = see { certificate = "wildcard", client = { server_name = name } }
    lu.assertEquals(log:count "success", fits[name] and 1 or 0, name)
  end
  for certificate, name in pairs { ["wildcard-part"] = "foo.wild.test",
    ["wildcard-all"] = "peer.test", ["wildcard-top"] = "peer.test",
    ["wildcard-middle"] = "a.b.test" } do
    local _, log = see { certificate = certificate, client = { server_name = name } }
    lu.assertEquals(log:count "failure tls ECERT", 1, certificate)
  end
end

function cases.T11_a_common_name_is_no_name()
  refused("name-alone", "host mismatch", "peer.test")
  refused("name-nul", "host mismatch", "peer.test")
end

function cases.T12_an_address_has_to_be_one_of_the_certificate()
  local none = { server_name = false }
  local function of(certificate)
    return see({ certificate = certificate }, { tls = { ca = tls.root } })
  end
  local info, log, one = of "ip"
  lu.assertEquals(log:count "success", 1)
  lu.assertEquals(info.server_name, "127.0.0.1")
  lu.assertEquals(one:connection(1).tls.server_name, "")
  lu.assertFalse(none.server_name)
  info, log = of "ip-as-name"
  lu.assertEquals(log:count "failure tls ECERT", 1)
  lu.assertEquals(info.problem, "host mismatch")
end

function cases.T13_a_dot_at_the_end_is_no_part_of_the_name()
  local info, log, one = see { client = { server_name = "peer.test." } }
  lu.assertEquals(log:count "success", 1)
  lu.assertEquals(info.server_name, "peer.test")
  lu.assertEquals(one:connection(1).tls.server_name, "peer.test")
end

function cases.T14_names_that_no_certificate_can_have_raise()
  for _, name in ipairs { "", ".peer.test", "[::1]", "a b" } do
    lu.assertErrorMsgContains("server_name", tcpmulti.tls, { server_name = name })
  end
end

function cases.T15_without_verification_all_is_told_the_same()
  for certificate, problem in pairs { ["self-signed"] = "self-signed", expired = "expired",
    ["wrong-host"] = "host mismatch", ["unknown-authority"] = "unknown authority" } do
    local info, log = see { certificate = certificate, client = { verify = false } }
    lu.assertEquals(log:count "success", 1, certificate)
    lu.assertFalse(info.verified)
    lu.assertEquals(info.problem, problem)
  end
end

function cases.T16_what_is_not_said_is_verified()
  local one = support.peer(HELLO, { tls = tls.server "self-signed" })
  local session, log = support.record { tls = tls.client { verify = false },
    on_input = function(cheap) cheap:send "bye" cheap:shutdown() end }
  session:connect("127.0.0.1", one:port())
  session:connect { remote_address = "127.0.0.1", remote_port = one:port(), tls = tls.client() }
  support.run()
  lu.assertEquals(log:count "success", 1)
  lu.assertEquals(log:count "failure tls ECERT", 1)
end

function cases.T17_a_fingerprint_counts_by_itself()
  local info = see()
  local print = info.chain[1].sha256
  local _, log = see { certificate = "good", client = { verify = false, fingerprint = print } }
  lu.assertEquals(log:count "success", 1)
  local other = (print:gsub("^.", function(digit) return digit == "0" and "1" or "0" end))
  info, log = see { certificate = "good", client = { verify = false, fingerprint = other } }
  lu.assertEquals(log:count "failure tls ECERT", 1)
  lu.assertEquals(info.problem, "fingerprint")
end

function cases.T18_the_chain_is_told_in_on_failure()
  local info = refused("expired", "expired", "CN=")
  lu.assertEquals(#info.chain, 2)
  lu.assertStrContains(info.chain[1].sans, "peer.test")
end

function cases.T34_T35_versions_and_ciphers_that_do_not_meet()
  local _, log = see { server = { min_version = 0x301, max_version = 0x302 } }
  lu.assertEquals(log:count "failure tls ETLS", 1)
  local info
  info, log = see { server = { min_version = 0x301, max_version = 0x301,
    ciphers = "ALL@SECLEVEL=0" }, client = { min_version = "1.0", legacy = true } }
  lu.assertEquals(log:count "success", 1)
  lu.assertEquals(info.version, "TLSv1")
  _, log = see { server = { max_version = 0x303, ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" },
    client = { max_version = "1.2", ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384" } }
  lu.assertEquals(log:count "failure tls ETLS", 1)
end

function cases.T37_protocols()
  local info = see { server = { alpn = "h2 http/1.1" }, client = { alpn = { "http/1.1" } } }
  lu.assertEquals(info.alpn, "http/1.1")
  local log
  info, log = see { server = { alpn = "h2" }, client = { alpn = { "spdy/1" } } }
  lu.assertNil(info.alpn)
  lu.assertEquals(log:count "success", 1)
  info = see { server = { alpn = "h2" } }
  lu.assertNil(info.alpn)
end

function cases.T38_a_certificate_of_the_client()
  local chain, key = tls.authority:named "client"
  local wants = { client = "required", client_root = tls.root }
  local _, log, one = see { server = wants, client = { cert = chain, key = key } }
  lu.assertEquals(log:count "success", 1)
  lu.assertStrContains(one:connection(1).tls.client, "the client")
  _, log = see { server = { client = "required", client_root = tls.root, max_version = 0x303 } }
  lu.assertEquals(log:list(), { "initialize", "failure tls ETLS", "disconnected failure" })
  _, log = see { server = wants }
  lu.assertEquals(log:list(),
    { "initialize", "success", "error tls ETLS", "disconnected error" })
end

function cases.T39_options_that_are_wrong_name_themselves()
  local chain, key = tls.authority:named "client"
  local _, other = tls.authority:named "good"
  for option, options in pairs {
    cert = { cert = "/nowhere/cert.pem", key = key },
    key = { cert = chain, key = other },
    ciphers = { ciphers = "no-such-cipher" },
    ca = { ca = "/nowhere/ca.pem" },
    fingerprint = { fingerprint = "abc" },
    alpn = { alpn = { "" } },
    min_version = { min_version = "2.0" },
    verify = { verify = "no" },
  } do
    lu.assertErrorMsgContains(option, tcpmulti.create, { tls = options })
  end
  lu.assertErrorMsgContains("unknown option", tcpmulti.create, { tls = { certificate = chain } })
  lu.assertErrorMsgContains("tls", tcpmulti.create, { tls = 5 })
end

-- Connects one after the other, each when the one before has ended; gives whether each resumed.
local function resumptions(one, targets)
  local resumed, number = {}, 0
  local session
  local function go_on()
    number = number + 1
    if targets[number] then session:connect(targets[number](one:port())) end
  end
  session = support.session {
    on_success = function(cheap) resumed[#resumed + 1] = cheap:tls().resumed end,
    on_input = function(cheap) cheap:send "bye" cheap:shutdown() end,
    on_failure = function(_, _, _, message) resumed[#resumed + 1] = message end,
    on_disconnected = function() support.after(0.01, go_on) end,
  }
  go_on()
  support.run()
  return resumed
end

local function target(spec)
  return function(port)
    return { remote_address = "127.0.0.1", remote_port = port, tls = spec }
  end
end

function cases.T40_T41_the_second_connection_to_a_server_is_resumed()
  for _, version in ipairs { "1.2", "1.3" } do
    local one = support.peer('send "hi\\n"; recv all', { tls = tls.server "good" })
    local spec = tcpmulti.tls(tls.client { max_version = version })
    local lax = tcpmulti.tls(tls.client { max_version = version, verify = false })
    local other = tcpmulti.tls(tls.client { max_version = version, server_name = "localhost" })
    local resumed = resumptions(one, { target(spec), target(spec), target(lax), target(other),
      target(spec) })
    lu.assertEquals(resumed, { false, true, false, false, true }, version)
  end
end

function cases.resumption_can_be_switched_off()
  local one = support.peer('send "hi\\n"; recv all', { tls = tls.server "good" })
  local spec = tcpmulti.tls(tls.client { resumption = false })
  lu.assertEquals(resumptions(one, { target(spec), target(spec) }), { false, false })
end

-- One connection that learns sessions, then so many at once; gives how many of them resumed.
local function resumed_at_once(program, options, count)
  local one = support.peer(program, { tls = tls.server("good", options) })
  local spec = tcpmulti.tls(tls.client { min_version = "1.3" })
  local resumed, first = 0, true
  local session
  session = support.session {
    tls = spec,
    on_success = function(cheap) if cheap:tls().resumed then resumed = resumed + 1 end end,
    on_input = function(cheap) cheap:send "bye" cheap:shutdown() end,
    on_disconnected = function()
      if not first then return end
      first = false
      for _ = 1, count do session:connect("127.0.0.1", one:port()) end
    end,
  }
  session:connect("127.0.0.1", one:port())
  support.run()
  return resumed
end

function cases.T42_a_ticket_of_TLS_1_3_is_offered_once()
  lu.assertEquals(resumed_at_once('send "hi\\n"; recv all', { tickets = 1 }, 2), 1)
end

function cases.T43_of_1000_tickets_four_are_kept()
  lu.assertEquals(resumed_at_once('tickets 1000; send "hi\\n"; recv all', nil, 8), 4)
end

support.main(cases)
