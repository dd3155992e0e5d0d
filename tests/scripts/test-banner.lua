-- SPDX-License-Identifier: MIT
-- banner.lua against sshd and an SMTP server of Debian's, and against peers that try to harm.
local lu = require "luaunit"
local harness = require "scripts.harness"
local servers = require "scripts.servers"
local uv = require "luv"

local cases = harness.cases "Banner"

-- The lines for people.
local function run(words, options)
  return harness.script("banner.lua", { "-q", "-f", "text", unpack(words) }, options)
end

function cases.the_banner_of_sshd()
  local port = servers.sshd()
  local banner = run { "127.0.0.1:" .. port }
  lu.assertEquals(banner.errors(), "", "standard error")
  lu.assertEquals(banner.code, 0, "exit status")
  local from, version = banner.output():match("^(%S+) %d+ SSH%-2%.0%-(.*)\\u000D\\u000A\n$")
  lu.assertEquals(from, "127.0.0.1", "the target")
  assert(version:match("^OpenSSH_[%w. +~-]+$"), banner.output())
end

function cases.J82_the_banner_of_an_smtp_server_50_times_at_once()
  local port = servers.exim()
  local banner = run({ "-p", port, "--per-host", "0", "-r", "0", "--total-timeout", "30s" },
    { stdin = ("127.0.0.1\n"):rep(50) })
  lu.assertEquals(banner.code, 0, "exit status " .. banner.errors())
  local pattern = "127%.0%.0%.1 %d+ 220 mail%.example ESMTP Exim [^\n]*\\u000D\\u000A\n"
  local rest, greetings = banner.output():gsub(pattern, "")
  lu.assertEquals({ greetings, rest }, { 50, "" })
end

function cases.bytes_that_would_control_a_terminal_come_out_escaped()
  local all = {}
  for byte = 0, 255 do if byte ~= 10 then all[#all + 1] = string.char(byte) end end
  local evil = {
    "\27]0;owned\7\27[2J\r\n", table.concat(all) .. "\n", "\155\49\109\n", "a\"\\b\127\n",
  }
  local targets, expected, address = {}, {}, harness.address()
  for i, bytes in ipairs(evil) do
    local port = harness.listen(address, nil, function(client) client:write(bytes) end)
    targets[i], expected[i] = address .. ":" .. port, address .. " " .. port .. " "
  end
  local banner = run(targets)
  lu.assertEquals(banner.code, 0, "exit status " .. banner.errors())
  assert(not banner.output():find("[^ -~\n]"), banner.output())
  for _, line in ipairs {
    expected[1] .. "\\u001B]0;owned\\u0007\\u001B[2J\\u000D\\u000A\n",
    expected[2] .. "\\u0000\\u0001\\u0002", "\\u00FD\\u00FE\\u00FF",
    expected[3] .. "\\u009B1m\\u000A\n",
    expected[4] .. "a\\u0022\\u005Cb\\u007F\\u000A\n",
  } do
    lu.assertStrContains(banner.output(), line)
  end
  local lines = harness.script("banner.lua", { "-q", unpack(targets) })
  assert(not lines.output():find("[%z\1-\9\11-\31\127]"), lines.output())
end

function cases.targets_from_standard_input_a_pipe_a_file_one_a_line_500_of_them()
  local targets = {}
  local port = harness.listen("0.0.0.0", nil, function(client) client:write("hello\n") end)
  for i = 1, 500 do targets[i] = ("127.9.%d.%d"):format(math.floor(i / 250), i % 250 + 1) end
  local text = table.concat(targets, "\n") .. "\n\n"
  local from_pipe = run({ "-p", port }, { stdin = text })
  lu.assertEquals(from_pipe.errors(), "", "standard error")
  lu.assertEquals(from_pipe.code, 0, "exit status")
  local path = harness.directory() .. "/targets"
  harness.write_file(path, text:sub(1, -3)) -- the last line without its end
  local script = os.getenv("TCPM_SOURCE") .. "/scripts/banner.lua"
  local from_file = harness.run("sh", { "-c", 'exec "$1" "$2" -q -f text -p "$4" < "$3"', "sh",
    arg[1], script, path, port })
  lu.assertEquals(from_file.code, 0, "exit status " .. from_file.errors())
  for _, banner in ipairs { from_pipe, from_file } do
    local _, lines = banner.output():gsub("127[%d.]+ %d+ hello\\u000A\n", "")
    lu.assertEquals(lines, 500, "banners")
  end
end

-- Answers each query for an address of nNUMBER.test by 127.0.0.1 (A) or nothing (AAAA), and other
-- names by "there is none". Gives the server's address and port, and a count of its answers.
local function name_server()
  local socket, count = uv.new_udp(), { answers = 0 }
  assert(socket:bind("127.0.0.1", 0))
  socket:recv_start(function(_, query, from)
    if not query then return end
    local known = query:find("^n%d", 14) -- the first label, behind its length
    local has_address = known and query:sub(-3, -3) == "\1"
    local record = "\192\12\0\1\0\1\0\0\0\60\0\4\127\0\0\1"
    count.answers = count.answers + 1
    socket:send(query:sub(1, 2) .. "\129" .. (known and "\128" or "\131") .. "\0\1\0"
      .. (has_address and "\1" or "\0") .. "\0\0\0\0" .. query:sub(13)
      .. (has_address and record or ""), from.ip, from.port)
  end)
  return ("127.0.0.1:%d"):format(socket:getsockname().port), count, function() socket:close() end
end

function cases.ten_thousand_names_from_standard_input_and_their_figures()
  local server, count, close = name_server()
  local port = harness.listen("127.0.0.1", nil, function(client) client:write("hello\n") end)
  local lines = {}
  for i = 1, 10000 do lines[i] = ("%s%d.test:%d"):format(i % 100 == 0 and "no" or "n", i, port) end
  local banner = harness.run(arg[1], { "-e", ("require 'tcpmulti'.dns { servers = '%s' }"):format(
    server), "-m", "banner", "-f", "text", "-r", "0", "-c", "100", "--per-host", "0",
    "--total-timeout", "30s" }, { stdin = table.concat(lines, "\n") })
  close()
  lu.assertEquals(banner.code, 0, "exit status " .. banner.errors())
  local _, greetings = banner.output():gsub("n%d+%.test %d+ hello\\u000A\n", "")
  local _, unknown = banner.output():gsub("no%d+%.test %d+ %(resolve: [^\n]*\n", "")
  lu.assertEquals({ greetings, unknown }, { 9900, 100 })
  lu.assertStrContains(banner.errors(), ": 9900 ok, 100 failed\n")
  lu.assertStrContains(banner.errors(), "100  resolve ENOTFOUND\n")
  assert(count.answers >= 10000, count.answers)
end

function cases.peers_that_refuse_say_nothing_hang_up_stop_half_way_never_stop()
  local address = harness.address()
  local silent = harness.listen(address, nil, function() end)
  local hangs_up = harness.listen(address, nil)
  local half = harness.listen(address, nil, function(client) client:write("half a li") end)
  local long = harness.listen(address, nil, function(client) client:write(("x"):rep(1e6)) end)
  local targets, place = {}, {}
  for i, port in ipairs { 9, silent, hangs_up, half, long } do
    targets[i], place[i] = address .. ":" .. port, address .. " " .. port
  end
  local banner = run { "--total-timeout", "2s", unpack(targets) }
  lu.assertEquals(banner.code, 0, "exit status " .. banner.errors())
  for _, line in ipairs { place[1] .. " (connect: Connection refused (" .. address
    .. "))\n", place[2] .. " (read: Connection timed out)\n", place[3] .. "\n",
    place[4] .. " half a li (read: Connection timed out)\n",
    place[5] .. " " .. ("x"):rep(256) .. "\n" } do
    lu.assertStrContains(banner.output(), line)
  end
end

function cases.ipv6_in_brackets_a_service_name()
  local port = harness.listen("::1", nil, function(client) client:write("six\n") end)
  local address = harness.address()
  harness.listen(address, 8080, function(client) client:write("eighty\n") end)
  local banner = run { ("[::1]:%d"):format(port), address .. ":http-alt" }
  lu.assertEquals(banner.code, 0, "exit status " .. banner.errors())
  lu.assertStrContains(banner.output(), ("::1 %d six\\u000A\n"):format(port))
  lu.assertStrContains(banner.output(), address .. " 8080 eighty\\u000A\n")
end

function cases.a_bad_target_is_named_harmless_and_the_others_go_on_exit_status_4()
  local address = harness.address()
  local port = harness.listen(address, nil, function(client) client:write("hello\n") end)
  local good = ("%s:%d"):format(address, port)
  local lines = { "nonsense", "a\27[2Jb:22", "127.0.0.1:99999", ":25", good }
  local banner = run({}, { stdin = table.concat(lines, "\n") })
  lu.assertEquals(banner.code, 4, "exit status")
  lu.assertStrContains(banner.output(), " hello\\u000A\n")
  assert(not banner.errors():find("[^ -~\n]"), banner.errors())
  for number, text in ipairs { "nonsense", "a?[2Jb:22", "127.0.0.1:99999", ":25" } do
    lu.assertStrContains(banner.errors(), ("standard input:%d: %s: "):format(number, text))
  end
end

function cases.bad_options_exit_status_2()
  for _, words in ipairs { { "--total-timeout" }, { "--total-timeout", "x" }, { "-z" },
    { "-c", "0" }, { "-f", "xml" } } do
    local banner = harness.script("banner.lua", { "127.0.0.1:1", unpack(words) })
    lu.assertEquals(banner.code, 2, "exit status")
    lu.assertStrContains(banner.errors(), "usage: banner.lua [OPTION...] [TARGET...]")
  end
end

harness.main(cases)
