-- SPDX-License-Identifier: MIT
-- tls_expiry.lua against nginx, exim, dovecot, PostgreSQL and prosody, each with a certificate of
-- the test's own authority, and against peers with bad certificates or no TLS at all.
local lu = require "luaunit"
local authority = require "authority"
local harness = require "scripts.harness"
local peer = require "peer"
local servers = require "scripts.servers"

local cases = harness.cases "TlsExpiry"
local tests = authority.new() -- all cases trust this authority

local function run(words, options)
  local root = harness.directory() .. "/root.pem"
  harness.write_file(root, tests:root())
  local all = { "--ca", root, "--total-timeout", "20s", "-q" }
  for _, word in ipairs(words) do all[#all + 1] = word end
  return harness.script("tls_expiry.lua", all, options)
end

local function good()
  return { tests:issue { names = "dns:localhost ip:127.0.0.1", ends = 20 * 86400 + 3600 } }
end

-- The text that belongs to a target in the output.
local function line_of(run_result, target)
  for line in run_result.output():gmatch "[^\n]+" do
    local host, port, text = line:match "^(%S+) port (%d+): (.*)$"
    if host .. ":" .. port == target:gsub("[%[%]]", "") then return text end
  end
  error(("no line of %s in %q, %s"):format(target, run_result.output(), run_result.errors()))
end

local FINE = "20 days, ok, by CN=the intermediate, EC 256"

local function expect_fine(target, ...)
  local told = run { target, ... }
  lu.assertEquals(told.errors(), "", "standard error")
  lu.assertEquals(line_of(told, target), FINE)
  lu.assertEquals(told.code, 0, "exit status")
end

function cases.nginx_days_left_issuer_key()
  local port = servers.nginx({ ["index.html"] = "hello" }, good())
  expect_fine("127.0.0.1:" .. port)
  expect_fine("localhost:" .. port)
end

function cases.fewer_days_than_asked_for_exit_status_3()
  local target = "127.0.0.1:" .. servers.nginx({}, { tests:issue {
    names = "ip:127.0.0.1", key = "rsa", ends = 10 * 86400 + 3600 } })
  local told = run { target }
  lu.assertEquals(line_of(told, target), "10 days, expires soon, by CN=the intermediate, RSA 2048")
  lu.assertEquals(told.code, 3, "exit status")
  told = run { "--days", "10", target }
  lu.assertEquals(line_of(told, target), "10 days, ok, by CN=the intermediate, RSA 2048")
  lu.assertEquals(told.code, 0, "exit status")
end

function cases.T68_exim_by_starttls_smtp()
  expect_fine("127.0.0.1:" .. servers.exim(good()), "--starttls", "smtp")
end

function cases.T68_dovecot_by_starttls_imap()
  expect_fine("127.0.0.1:" .. servers.dovecot("imap", good()), "--starttls", "imap")
end

function cases.T68_dovecot_by_starttls_pop3()
  expect_fine("127.0.0.1:" .. servers.dovecot("pop3", good()), "--starttls", "pop3")
end

function cases.T68_postgresql_by_its_sslrequest()
  expect_fine("127.0.0.1:" .. servers.postgres(good()), "--starttls", "postgres")
end

function cases.T68_prosody_by_starttls_xmpp()
  expect_fine("localhost:" .. servers.prosody(good()), "--starttls", "xmpp")
end

function cases.every_problem_of_every_certificate_at_once()
  local expected = {
    good = "ok, by CN=the intermediate, EC 256",
    ["expired-wrong-host"] = "expired, host mismatch, by CN=the intermediate, EC 256",
    ["not-yet-valid"] = "not yet valid, by CN=the intermediate, EC 256",
    ["self-signed"] = "self-signed, by CN=a test, EC 256",
    ["unknown-authority"] = "unknown authority, by CN=an unknown intermediate, EC 256",
    ["rsa-1024"] = "weak key, by CN=the intermediate, RSA 1024",
    ["sha-1"] = "weak signature, by CN=the intermediate, EC 256",
    ["wrong-host"] = "host mismatch, by CN=the intermediate, EC 256",
    ["bad-purpose"] = "bad purpose, by CN=the intermediate, EC 256",
  }
  local peers, targets, of = {}, {}, {}
  for name in pairs(expected) do
    local chain, key = tests:named(name)
    local server = peer.start("recv all", { tls = { chain = chain, key = key } })
    peers[#peers + 1] = server
    targets[#targets + 1] = "127.0.0.1:" .. server:port()
    of[name] = targets[#targets]
  end
  local told = run(targets)
  for _, server in ipairs(peers) do server:stop() end
  lu.assertEquals(told.errors(), "", "standard error")
  for name, text in pairs(expected) do
    local days, rest = line_of(told, of[name]):match "^(%-?%d+) days, (.*)$"
    lu.assertEquals(rest, text, name)
    lu.assertEquals(tonumber(days) < 0, name == "expired-wrong-host", days)
  end
  lu.assertEquals(told.code, 3, "exit status")
end

function cases.an_ipv6_address_in_brackets()
  local chain, key = tests:named "good"
  local server = peer.start("recv all", { address = "::1", tls = { chain = chain, key = key } })
  local target = ("[::1]:%d"):format(server:port())
  local told = run { target }
  server:stop()
  lu.assertStrContains(line_of(told, target), " days, ok, by CN=the intermediate, EC 256")
  lu.assertEquals(told.code, 0, "exit status")
end

function cases.a_server_that_wants_a_certificate_of_ours_shows_its_own()
  local chain, key = unpack(good())
  local server = peer.start("recv all", { tls = { chain = chain, key = key, client = "required",
    client_root = tests:root(), max_version = 0x303 } })
  local target = "127.0.0.1:" .. server:port()
  local told = run { target }
  server:stop()
  lu.assertEquals(line_of(told, target), FINE)
end

function cases.targets_from_a_file_from_standard_input_and_as_arguments()
  local port = servers.nginx({}, good())
  local one, two = "127.0.0.1:" .. port, "localhost:" .. port
  local text = ("# servers\n\n  %s \n%s # by name"):format(one, two)
  local path = harness.directory() .. "/targets"
  harness.write_file(path, text)
  for _, told in ipairs { run { "-t", path }, run({}, { stdin = text }) } do
    lu.assertEquals(line_of(told, one), FINE)
    lu.assertEquals(line_of(told, two), FINE)
    lu.assertEquals(select(2, told.output():gsub("\n", "")), 2, told.output())
    lu.assertEquals(told.code, 0, "exit status")
  end
  local told = run { "-t", path, one }
  lu.assertEquals(select(2, told.output():gsub("\n", "")), 2, told.output())
end

-- What is told of a server that answers each line by a function, and the line that ends it.
local function told_of(protocol, greeting, answer)
  local target = "127.0.0.1:" .. harness.line_server("127.0.0.1", greeting, answer)
  local told = run { "--starttls", protocol, target }
  lu.assertEquals(told.code, 3, "exit status " .. told.errors())
  return line_of(told, target)
end

function cases.servers_that_refuse_their_words_exit_status_3()
  local function refuse(words) return function() return words end end
  lu.assertEquals(told_of("smtp", "220-a\r\n220 b\r\n", function(line)
    return line == "EHLO localhost" and "250-b\r\n250 SIZE\r\n" or "502 5.5.1 no\27[2J\r\n"
  end), "fail: no TLS here: 502 5.5.1 no?[2J")
  lu.assertEquals(told_of("smtp", "554 go away\r\n"), "fail: no TLS here: 554 go away")
  lu.assertEquals(told_of("imap", "* OK hi\r\n", refuse "* OK noise\r\na BAD unknown\r\n"),
    "fail: no TLS here: a BAD unknown")
  lu.assertEquals(told_of("pop3", "+OK hi\r\n", refuse "-ERR unknown\r\n"),
    "fail: no TLS here: -ERR unknown")
end

function cases.postgresql_without_tls_says_n_xmpp_without_tls_failure()
  local port = harness.listen("127.0.0.1", nil, function(client)
    client:read_start(function(_, bytes)
      if bytes == "\0\0\0\8\4\210\22\47" then client:write "N" end
    end)
  end)
  local told = run { "--starttls", "postgres", "127.0.0.1:" .. port }
  lu.assertEquals(line_of(told, "127.0.0.1:" .. port), "fail: no TLS here: N")
  port = harness.listen("127.0.0.1", nil, function(client)
    client:read_start(function(_, bytes)
      if not bytes then return end
      client:write(bytes:find "^<stream" and "<?xml version='1.0'?><stream:stream id='1'>"
        .. "<stream:features><mechanisms/></stream:features>"
        or "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    end)
  end)
  told = run { "--starttls", "xmpp", "127.0.0.1:" .. port }
  lu.assertStrContains(line_of(told, "127.0.0.1:" .. port), "fail: no TLS here: <failure ")
end

function cases.bytes_slipped_in_ahead_of_the_handshake()
  local text = told_of("smtp", "220 a\r\n", function(line)
    return line == "EHLO localhost" and "250 b\r\n" or "220 go\r\n250 slipped in\r\n"
  end)
  lu.assertStrContains(text, "tls: ")
  lu.assertStrContains(text, "plain")
end

function cases.nobody_there_silence_no_tls_no_target_a_line_each()
  local silent = "127.0.0.1:" .. harness.listen("127.0.0.1", nil, function() end)
  local plain = "127.0.0.1:"
    .. harness.line_server("127.0.0.1", nil, function() return "no\r\n" end)
  local nginx = "127.0.0.1:" .. servers.nginx({}, good())
  local told = run { "--total-timeout", "3s", "127.0.0.1:9", silent, plain, "no.invalid:1",
    "[::1]:9", nginx }
  lu.assertEquals(told.errors(), "", "standard error")
  lu.assertStrContains(line_of(told, "127.0.0.1:9"), "connect: Connection refused")
  lu.assertEquals(line_of(told, silent), "tls: Connection timed out")
  lu.assertStrContains(line_of(told, plain), "tls: ")
  lu.assertStrContains(line_of(told, "no.invalid:1"), "resolve: ")
  lu.assertStrContains(line_of(told, "[::1]:9"), "connect: Connection refused")
  lu.assertEquals(line_of(told, nginx), FINE)
  lu.assertEquals(told.code, 3, "exit status")
end

function cases.wrong_options_and_targets_before_the_first_connection_exit_status_2()
  local wrong = {
    [{ "--days", "x", "a" }] = "--days: 'x': expected a whole number",
    [{ "--what", "a" }] = "unknown option '--what'",
    [{ "--total-timeout", "soon", "a" }] = "--total-timeout: 'soon': expected a time",
    [{ "--starttls", "ftp", "a" }] = "--starttls: 'ftp': expected none, smtp, imap",
    [{ "-t", "/no/such" }] = "/no/such: No such file",
    [{ "--ca", "/no/such", "a" }] = "ca: /no/such: No such file",
    [{ "--strict", "a:b:c" }] = "a:b:c: ",
    [{ "--tls", "a" }] = "--tls: this script begins TLS itself\n",
  }
  for words, message in pairs(wrong) do
    local told = harness.script("tls_expiry.lua", words)
    lu.assertEquals(told.code, 2, "exit status of " .. table.concat(words, " "))
    lu.assertStrContains(told.errors(), "tls_expiry.lua: ")
    lu.assertStrContains(told.errors(), message)
  end
end

function cases.the_port_is_that_of_the_protocol_unless_somebody_names_one()
  local function dry(...)
    return harness.script("tls_expiry.lua", { "--dry-run", "a", ... }).output()
  end
  lu.assertStrContains(dry(), "  a port 443\n")
  lu.assertStrContains(dry("--starttls", "smtp"), "  a port 25\n")
  lu.assertStrContains(dry("--starttls", "smtp", "-p", "587"), "  a port 587\n")
end

harness.main(cases)
