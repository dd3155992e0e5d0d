-- SPDX-License-Identifier: MIT
-- banner.lua against sshd and an SMTP server of Debian's, and against peers that try to harm.
local harness = require "scripts.harness"
local servers = require "scripts.servers"

harness.case("the banner of sshd", function()
  local port = servers.sshd()
  local banner = harness.script("banner.lua", { "127.0.0.1:" .. port })
  harness.equal("", banner.errors(), "standard error")
  harness.equal(0, banner.code, "exit status")
  local from, version = banner.output():match("^(%S+) SSH%-2%.0%-(.*)\\u000D\\u000A\n$")
  harness.equal("127.0.0.1:" .. port, from, "the target")
  assert(version:match("^OpenSSH_[%w. +~-]+$"), banner.output())
end)

harness.case("the banner of an SMTP server, 50 times at once", function()
  local port = servers.exim()
  local targets = { "-w", "30" }
  for i = 3, 52 do targets[i] = "127.0.0.1:" .. port end
  local banner = harness.script("banner.lua", targets)
  harness.equal(0, banner.code, "exit status " .. banner.errors())
  local lines, greetings = 0, 0
  for line in banner.output():gmatch("[^\n]+") do
    lines = lines + 1
    local greeted = line:match(" 220 mail%.example ESMTP Exim .*\\u000D\\u000A$")
    if greeted then greetings = greetings + 1 end
  end
  harness.equal(50, lines, "lines")
  harness.equal(50, greetings, "greetings")
end)

harness.case("bytes that would control a terminal come out escaped", function()
  local all = {}
  for byte = 0, 255 do if byte ~= 10 then all[#all + 1] = string.char(byte) end end
  local evil = {
    "\27]0;owned\7\27[2J\r\n", table.concat(all) .. "\n", "\155\49\109\n", "a\"\\b\127\n",
  }
  local targets, address = {}, harness.address()
  for i, bytes in ipairs(evil) do
    local function serve(client) client:write(bytes) end
    targets[i] = address .. ":" .. harness.listen(address, nil, serve)
  end
  local banner = harness.script("banner.lua", targets)
  harness.equal(0, banner.code, "exit status " .. banner.errors())
  assert(not banner.output():find("[^ -~\n]"), banner.output())
  for _, line in ipairs {
    targets[1] .. " \\u001B]0;owned\\u0007\\u001B[2J\\u000D\\u000A\n",
    targets[2] .. " \\u0000\\u0001\\u0002", "\\u00FD\\u00FE\\u00FF",
    targets[3] .. " \\u009B1m\\u000A\n",
    targets[4] .. " a\\u0022\\u005Cb\\u007F\\u000A\n",
  } do
    harness.contains(banner.output(), line, "output")
  end
end)

harness.case("targets from standard input: a pipe, a file, one a line, 500 of them", function()
  local address, targets = harness.address(), {}
  local port = harness.listen(address, nil, function(client) client:write("hello\n") end)
  for i = 1, 500 do targets[i] = address .. ":" .. port end
  local text = table.concat(targets, "\n") .. "\n\n"
  local from_pipe = harness.script("banner.lua", {}, { stdin = text })
  harness.equal("", from_pipe.errors(), "standard error")
  harness.equal(0, from_pipe.code, "exit status")
  local path = harness.directory() .. "/targets"
  harness.write_file(path, text:sub(1, -3)) -- the last line without its end
  local script = os.getenv("TCPMULTI_SOURCE") .. "/scripts/banner.lua"
  local from_file = harness.run("sh", { "-c", 'exec "$1" "$2" < "$3"', "sh", arg[1], script, path })
  harness.equal(0, from_file.code, "exit status " .. from_file.errors())
  for _, banner in ipairs { from_pipe, from_file } do
    local _, lines = banner.output():gsub(" hello\\u000A\n", "")
    harness.equal(500, lines, "banners")
  end
end)

harness.case("peers that refuse, say nothing, hang up, stop half-way, never stop", function()
  local address = harness.address()
  local silent = harness.listen(address, nil, function() end)
  local hangs_up = harness.listen(address, nil)
  local half = harness.listen(address, nil, function(client) client:write("half a li") end)
  local long = harness.listen(address, nil, function(client) client:write(("x"):rep(1e6)) end)
  local targets = {}
  for i, port in ipairs { 9, silent, hangs_up, half, long } do
    targets[i] = address .. ":" .. port
  end
  table.insert(targets, 1, "-w")
  table.insert(targets, 2, "2")
  local banner = harness.script("banner.lua", targets)
  harness.equal(0, banner.code, "exit status " .. banner.errors())
  assert(banner.output():find(targets[3] .. " (connect: ", 1, true), banner.output())
  harness.contains(banner.output(), targets[4] .. " (no answer)\n", "output")
  harness.contains(banner.output(), targets[5] .. " (closed without a word)\n", "output")
  harness.contains(banner.output(), targets[6] .. " half a li\n", "output")
  harness.contains(banner.output(), targets[7] .. " " .. ("x"):rep(256) .. "\n", "output")
end)

harness.case("IPv6 in brackets, a service name", function()
  local port = harness.listen("::1", nil, function(client) client:write("six\n") end)
  local address = harness.address()
  harness.listen(address, 8080, function(client) client:write("eighty\n") end)
  local banner = harness.script("banner.lua", { ("[::1]:%d"):format(port), address .. ":http-alt" })
  harness.equal(0, banner.code, "exit status " .. banner.errors())
  harness.contains(banner.output(), ("[::1]:%d six\\u000A\n"):format(port), "output")
  harness.contains(banner.output(), address .. ":http-alt eighty\\u000A\n", "output")
end)

harness.case("a bad target is named, escaped, and the others go on; exit status 1", function()
  local address = harness.address()
  local port = harness.listen(address, nil, function(client) client:write("hello\n") end)
  local good = ("%s:%d"):format(address, port)
  local lines = { "nonsense", "a\27[2Jb:22", "127.0.0.1:99999", ":25", good }
  local banner = harness.script("banner.lua", {}, { stdin = table.concat(lines, "\n") })
  harness.equal(1, banner.code, "exit status")
  harness.contains(banner.output(), " hello\\u000A\n", "output")
  assert(not banner.errors():find("[^ -~\n]"), banner.errors())
  harness.contains(banner.errors(), "not a HOST:PORT: nonsense: ", "errors")
  harness.contains(banner.errors(), "not a HOST:PORT: a\\u001B[2Jb:22: ", "errors")
  harness.contains(banner.errors(), "not a HOST:PORT: 127.0.0.1:99999: ", "errors")
  harness.contains(banner.errors(), "not a HOST:PORT: :25: ", "errors")
end)

harness.case("bad options: the usage, exit status 2", function()
  for _, words in ipairs { { "-w" }, { "-w", "x" }, { "-w", "0", "a:1" }, { "-q" } } do
    local banner = harness.script("banner.lua", words)
    harness.equal(2, banner.code, "exit status")
    harness.contains(banner.errors(), "usage: ", "error")
  end
end)

harness.main()
