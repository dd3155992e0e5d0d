-- SPDX-License-Identifier: MIT
-- http_head.lua by TLS, against nginx and against peers with bad certificates: a server is
-- verified unless somebody says otherwise.
local lu = require "luaunit"
local authority = require "authority"
local harness = require "scripts.harness"
local peer = require "peer"
local servers = require "scripts.servers"

local cases = harness.cases "HttpsHead"
local tests = authority.new() -- all cases trust this authority

local function root()
  local path = harness.directory() .. "/root.pem"
  harness.write_file(path, tests:root())
  return path
end

local function run(words)
  return harness.script("http_head.lua", { "-q", "-f", "text", "--tls", unpack(words) })
end

function cases.nginx_by_name_and_by_number()
  local port = servers.nginx({ ["a.txt"] = "abc" }, { tests:named "good" })
  for _, host in ipairs { "localhost", "127.0.0.1" } do
    local place = host .. ":" .. port
    local head = run { "--ca", root(), place, "--path", "/a.txt" }
    lu.assertEquals(head.errors(), "", "standard error")
    lu.assertEquals(head.code, 0, "exit status")
    lu.assertEquals(head.output(), place .. "/a.txt 200 OK\n")
  end
end

function cases.a_URL_says_that_TLS_is_spoken()
  local place = "localhost:" .. servers.nginx({ ["a.txt"] = "abc" }, { tests:named "good" })
  local head = harness.script("http_head.lua", { "-q", "-f", "text", "--ca", root(),
    "https://" .. place .. "/a.txt", "https://" .. place })
  lu.assertEquals(head.errors(), "", "standard error")
  for _, line in ipairs { "/a.txt 200 OK\n", "/ 403 Forbidden\n" } do
    lu.assertStrContains(head.output(), place .. line)
  end
end

function cases.nobody_trusts_this_authority_but_those_who_say_so()
  local place = "127.0.0.1:" .. servers.nginx({ ["index.html"] = "x" }, { tests:named "good" })
  lu.assertStrContains(run { place }.output(), place .. ": unknown authority")
  lu.assertEquals(run { "--insecure", place }.output(), place .. "/ 200 OK\n")
end

function cases.a_bad_certificate_gets_no_request()
  for name, problem in pairs { expired = "expired", ["wrong-host"] = "host mismatch" } do
    local chain, key = tests:named(name)
    local server = peer.start("recv all", { tls = { chain = chain, key = key } })
    local place = "127.0.0.1:" .. server:port()
    local head = run { "--ca", root(), place }
    assert(server:ended(1))
    local seen = server:connection(1)
    server:stop()
    lu.assertStrContains(head.output(), place .. ": " .. problem)
    lu.assertEquals(seen.received, 0, "bytes of a request")
  end
end

function cases.a_head_that_is_cut_off_is_no_reply()
  local chain, key = tests:named "good"
  local server = peer.start([[recvuntil "\r\n\r\n"; send "HTTP/1.1 200 OK\r\nA: b\r\n"; fin]],
    { tls = { chain = chain, key = key } })
  local head = harness.script("http_head.lua", { "-q", "--tls", "--ca", root(),
    "localhost:" .. server:port() })
  server:stop()
  lu.assertStrContains(head.output(), '"ok":false')
  lu.assertStrContains(head.output(), '"error":{"op":"tls"')
end

function cases.an_authority_that_cannot_be_read_exit_status_2()
  local head = run { "--ca", "/no/such", "127.0.0.1:443" }
  lu.assertEquals(head.code, 2, "exit status")
  lu.assertStrContains(head.errors(), "/no/such: No such file")
end

harness.main(cases)
