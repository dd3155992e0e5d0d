-- SPDX-License-Identifier: MIT
-- What a connection costs in system calls: a number is never looked up, and a name with one address
-- costs no call more on its TCP socket.
local lu = require "luaunit"
local support = require "names.support"

local cases = support.cases "SystemCalls"
local server = support.server()

-- Connects to the address under strace; the peer closes. Gives the list of calls on the TCP socket,
-- and all text of strace.
local function trace(address, port)
  local path = os.tmpname()
  support.finally(function() os.remove(path) end)
  support.script("session { on_success = function() end }:connect(address, port) tcpmulti.run()",
    { address = address, port = port }, support.strace("trace=%network,%desc,%file", path))
  local calls, fd, text = {}, nil, {}
  for line in io.lines(path) do
    text[#text + 1] = line
    local call, rest = line:match "^%d+%s+([%w_]+)%((.*)$"
    if call == "socket" and rest:find "^AF_INET6?, SOCK_STREAM" then fd = rest:match "= (%d+)$" end
    local first = rest and rest:match "^(%d+)"
    local added = rest and rest:match "^%d+, EPOLL_CTL_%u+, (%d+),"
    if fd and (first == fd or added == fd or call == "socket") then calls[#calls + 1] = call end
    if fd and call == "close" and first == fd then fd = nil end
  end
  return calls, table.concat(text, "\n")
end

function cases.N01_numbers_are_not_looked_up()
  local link = support.command "ip -6 -o address show dev eth0 scope link":match "fe80:[%x:]+"
  local port = support.peer("close", { address = "::" }):port()
  for _, address in ipairs { "127.0.0.1", "::1", "[::1]", link .. "%eth0" } do
    local calls, text = trace(address, port)
    lu.assertEquals(calls,
      { "socket", "connect", "epoll_ctl", "getsockname", "recvfrom", "close" }, address)
    lu.assertNil(text:find("htons(53)", 1, true), address)
    lu.assertNil(text:find("/etc/resolv.conf", 1, true), address)
    lu.assertNil(text:find("/etc/hosts", 1, true), address)
  end
  lu.assertEquals(server:count(), 0)
end

function cases.N02_a_name_costs_no_call_more_on_its_socket()
  local port = support.peer("close"):port()
  local number = trace("127.0.0.1", port)
  local name, text = trace(support.name "a-1", port)
  lu.assertEquals(name, number)
  local _, sockets = text:gsub("socket%(AF_INET6?, SOCK_STREAM", "")
  lu.assertEquals(sockets, 1)
end

support.main(cases)
