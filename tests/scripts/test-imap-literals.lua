-- SPDX-License-Identifier: MIT
-- A filter of the script's own for the literals of IMAP (imap_fetch.lua), against dovecot.
local lu = require "luaunit"
local authority = require "authority"
local harness = require "scripts.harness"
local servers = require "scripts.servers"

local cases = harness.cases "ImapLiterals"
local tests = authority.new()
local example = os.getenv "TCPM_SOURCE" .. "/tests/scripts/imap_fetch.lua"
local PASSWORD = [[s{3}e"cr\et]] -- the server has to get this as a literal

function cases.a_message_that_looks_like_the_protocol_comes_back_a_wrong_password_is_told()
  local port = servers.dovecot("imap", { tests:named "good" }, PASSWORD)
  local body = "Subject: x\r\n\r\nbody {3}\r\n* 2 FETCH (\r\na5 OK no\r\n" .. ("z"):rep(100000)
    .. "\r\n"
  local told = harness.run(arg[1], { example, port, "joe", PASSWORD, body })
  lu.assertEquals(told.errors(), "", "standard error")
  local lines = {}
  for line in told.output():gmatch "[^\n]+" do lines[#lines + 1] = line end
  lu.assertEquals(#lines, 4, told.output():sub(1, 500))
  lu.assertStrMatches(lines[1], "%* 1 FETCH %(.*UID 1 .*BODY%[%] ")
  lu.assertEquals(lines[2], (body:gsub("\r\n", "\\u000D\\u000A")))
  lu.assertStrMatches(lines[3], ".*%)")
  lu.assertEquals(lines[4], "done")
  told = harness.run(arg[1], { example, port, "joe", "wrong", body })
  lu.assertStrMatches(told.output(), "a1 NO .*Authentication failed.*\n")
end

harness.main(cases)
