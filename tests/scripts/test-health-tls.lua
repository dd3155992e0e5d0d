-- SPDX-License-Identifier: MIT
-- health.lua and certificates: they are verified, and good for so many days.
local lu = require "luaunit"
local authority = require "authority"
local harness = require "scripts.harness"
local servers = require "scripts.servers"

local cases = harness.cases "HealthTls"
local tests = authority.new() -- all cases trust this authority

local function check(text, ...)
  local folder = harness.directory()
  harness.write_file(folder .. "/root.pem", tests:root())
  harness.write_file(folder .. "/list", text)
  return harness.script("health.lua", { "--ca", folder .. "/root.pem", folder .. "/list", ... })
end

local function nginx(options)
  return "127.0.0.1:" .. servers.nginx({ ["index.html"] = "hello" }, { tests:issue(options) })
end

function cases.a_certificate_is_good_for_so_many_days()
  local place = nginx { names = "ip:127.0.0.1", ends = 20 * 86400 + 3600 }
  local run = check(place .. " days 20\n")
  lu.assertEquals({ run.code, run.errors() }, { 0, "" })
  run = check(place .. " days 21\n")
  lu.assertEquals(run.output(), "FAILED " .. place
    .. " days 21 (the certificate has 20 days left)\n")
  lu.assertEquals(run.code, 3)
end

function cases.a_bad_certificate_is_told()
  local place = nginx { names = "dns:other.example", ends = 20 * 86400 }
  local run = check(place .. " tls\n")
  lu.assertStrContains(run.output(), "(tls: host mismatch")
  lu.assertEquals(run.code, 3)
end

function cases.a_dialogue_by_tls()
  local place = nginx { names = "ip:127.0.0.1", ends = 20 * 86400 }
  local run = check(place .. [[ tls send "HEAD / HTTP/1.0\r\n\r\n" expect "200 OK" in 10s]])
  lu.assertEquals({ run.code, run.errors() }, { 0, "" })
end

function cases.authorities_that_cannot_be_read_exit_status_2()
  local folder = harness.directory()
  harness.write_file(folder .. "/list", "127.0.0.1:9 tls")
  local run = harness.script("health.lua", { "--ca", "/no/such", folder .. "/list" })
  lu.assertEquals(run.code, 2)
  lu.assertStrContains(run.errors(), "/no/such: No such file")
end

harness.main(cases)
