-- SPDX-License-Identifier: MIT
-- The option --keylog of tcpmulti-lua: its lines are the secrets that the server, OpenSSL's own,
-- has too; and the environment has no say.
local lu = require "luaunit"
local harness = require "scripts.harness"
local support = require "runner.support"
local uv = require "luv"

local cases = harness.cases "Keylog"

-- Starts OpenSSL's server; its port, and the file to which it writes its secrets.
local function start_server(version)
  local port, _, directory = harness.server(function(port, directory)
    local made = harness.run("openssl", { "req", "-x509", "-newkey", "ec", "-pkeyopt",
      "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out",
      "chain.pem" }, { cwd = directory })
    lu.assertEquals(made.code, 0, made.errors())
    return "openssl", { "s_server", "-accept", "127.0.0.1:" .. port, "-cert", "chain.pem", "-key",
      "key.pem", "-" .. version, "-www", "-keylogfile", directory .. "/server" }
  end)
  return port, directory .. "/server"
end

-- A chunk that connects so often, one connection after the other.
local function client(port, count)
  return ([[
    local tcpmulti = require "tcpmulti"
    local port, left, session = %d, %d, nil
    session = tcpmulti.create {
      tls = { verify = false, resumption = false }, max_connections = 1,
      on_success = function(cheap) io.write "success " cheap:shutdown() end,
    }
    for _ = 1, left do session:connect("127.0.0.1", port) end]]):format(port, count)
end

-- The lines of a file, in alphabetical order; comments are none.
local function sorted_lines(path)
  local lines = {}
  for line in io.lines(path) do
    if not line:find "^#" then lines[#lines + 1] = line end
  end
  table.sort(lines)
  return lines
end

local function expect_same_secrets(version, each)
  local port, theirs = start_server(version)
  local ours = harness.directory() .. "/ours"
  support.expect(support.run { "--keylog", ours, "-e", client(port, 2) }, 0, "success success ", "")
  lu.assertEquals(#sorted_lines(ours), 2 * each, "lines")
  harness.wait_until(10, "the server's lines", function()
    return #sorted_lines(theirs) >= 2 * each
  end)
  lu.assertEquals(sorted_lines(ours), sorted_lines(theirs))
end

function cases.T78_the_lines_are_the_servers_secrets_of_tls_1_3()
  expect_same_secrets("tls1_3", 5)
end

function cases.T78_the_lines_are_the_servers_secrets_of_tls_1_2()
  expect_same_secrets("tls1_2", 1)
end

function cases.T78_sslkeylogfile_in_the_environment_is_not_looked_at()
  local port = start_server "tls1_3"
  local path = harness.directory() .. "/environment"
  local words = { "SSLKEYLOGFILE=" .. path, support.runner, "-e", client(port, 1) }
  support.expect(harness.run("env", words), 0, "success ", "")
  lu.assertNil(uv.fs_stat(path), "a file was made")
end

function cases.lines_are_appended_and_only_the_user_reads_a_new_file()
  local port = start_server "tls1_2"
  local path = harness.directory() .. "/keys"
  support.expect(support.run { "--keylog=" .. path, "-e", client(port, 1) }, 0, "success ", "")
  lu.assertEquals(uv.fs_stat(path).mode % 512, tonumber("600", 8), "mode")
  support.expect(support.run { "--keylog", path, "-e", client(port, 1) }, 0, "success ", "")
  lu.assertEquals(#sorted_lines(path), 2, "lines")
end

function cases.without_tls_the_file_stays_empty()
  local path = harness.directory() .. "/keys"
  support.expect(support.run { "--keylog", path, "--peer", "echo", "-e", [[
    local tcpmulti = require "tcpmulti"
    local session = tcpmulti.create { on_success = function(cheap) cheap:shutdown() end }
    session:connect(tcpmulti.peer.addr, tcpmulti.peer.port)]] }, 0, "", "")
  lu.assertEquals(uv.fs_stat(path).size, 0, "bytes")
end

function cases.a_file_that_cannot_be_opened_why_and_nothing_is_run()
  local path = harness.directory() .. "/none/keys"
  support.expect(support.run { "--keylog", path, "-e", "print 'ran'" }, 1, "",
    "tcpmulti-lua: --keylog " .. path .. ": No such file or directory")
  support.expect(support.run { "--keylog" }, 2, "", "--keylog; expected the name of a file")
end

function cases.a_full_disk_is_told_once_and_the_connections_stand()
  local port = start_server "tls1_3"
  local run = support.run { "--keylog", "/dev/full", "-e", client(port, 2) }
  support.expect(run, 0, "success success ",
    "tcpmulti-lua: --keylog /dev/full: No space left on device\n")
  lu.assertEquals(select(2, run.errors():gsub("\n", "")), 1, "lines " .. run.errors())
end

harness.main(cases, 30)
