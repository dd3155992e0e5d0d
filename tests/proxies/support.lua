-- SPDX-License-Identifier: MIT
-- What the tests of proxies share, beside behaviour/support.lua: programs of scripted proxies, a
-- connection through a route, and the real servers, each with a configuration of its own in a
-- directory that is removed afterwards. A server is a child of this process and ends with the case.
local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"

local proxies = {}

-- ---- scripted proxies ----

-- Bytes as the language of the peer writes them.
function proxies.quote(bytes)
  return (bytes:gsub(".", function(c) return ("\\x%02x"):format(c:byte()) end))
end

local quote = proxies.quote

-- The first bytes of a SOCKS dialogue, which are 3 without user and password.
proxies.GREETING = 'expect "\\x05\\x01\\x00"; send "\\x05\\x00"; '
-- The reply of a SOCKS proxy: all is well.
proxies.GRANTED = "\5\0\0\1\127\0\0\1\0\80"
proxies.HTTP_GRANTED = "HTTP/1.1 200 OK\r\n\r\n"

-- What a SOCKS proxy gets: the request for a name, or for four or sixteen bytes.
function proxies.request_for(host, port)
  local address = #host == 16 and "\4" .. host or "\3" .. string.char(#host) .. host
  if host:find "^%d+%.%d+%.%d+%.%d+$" then
    address = "\1" .. host:gsub("(%d+)%.?", function(n) return string.char(tonumber(n)) end)
  end
  return "\5\1\0" .. address .. string.char(math.floor(port / 256), port % 256)
end

-- A SOCKS proxy that expects this request, grants it and then does something.
function proxies.socks(host, port, after, reply)
  return ('%sexpect "%s"; send "%s"; %s'):format(proxies.GREETING,
    quote(proxies.request_for(host, port)), quote(reply or proxies.GRANTED), after or "")
end

-- A proxy of HTTP that reads a request, answers it and then does something.
function proxies.http(reply, after)
  return ('recvuntil "\\r\\n\\r\\n"; send "%s"; %s'):format(quote(reply), after or "")
end

function proxies.url(scheme, one, credentials)
  return ("%s://%s127.0.0.1:%d"):format(scheme, credentials and credentials .. "@" or "",
    type(one) == "number" and one or one:port())
end

-- ---- a connection ----

-- One connection to a target, with options of support.record: log, session, seconds. The failure's
-- message and what on_success and the methods tell are in log.told.
function proxies.reach(host, port, options, connect)
  local given, told = {}, {}
  for key, value in pairs(options) do given[key] = value end
  given.connect_timeout = given.connect_timeout or 5
  local on_success, on_failure = given.on_success, given.on_failure
  function given.on_success(cheap, fd, addr, target_port, ...)
    told.addr, told.port = addr, target_port
    told.peer, told.peer_port = cheap:peer()
    told.given = cheap:addr()
    told.problem = cheap:tls() and cheap:tls().problem
    told.verified = cheap:tls() and cheap:tls().verified
    if on_success then on_success(cheap, fd, addr, target_port, ...) end
  end
  function given.on_failure(cheap, op, ...)
    told.message = select(2, ...)
    told.tried = cheap:tried()
    if on_failure then on_failure(cheap, op, ...) end
  end
  local session, log = support.record(given)
  log.told = told
  connect = connect or {}
  connect.remote_address, connect.remote_port = host, port
  session:connect(connect)
  local seconds = support.run()
  log:check_grammar()
  return log, session, seconds
end

-- ---- real servers ----

local function is_listening(port)
  local wanted = (":%04X "):format(port)
  for line in io.lines "/proc/net/tcp" do
    local fields = {}
    for field in line:gmatch "%S+" do fields[#fields + 1] = field end
    if fields[4] == "0A" and (fields[2] .. " "):find(wanted, 1, true) then return true end
  end
  return false
end

proxies.free_port = support.free_port

local function read_file(path)
  local file = io.open(path)
  local text = file and file:read "*a" or ""
  if file then file:close() end
  return text
end

function proxies.directory()
  local pipe = assert(io.popen "mktemp -d")
  local path = pipe:read "*l"
  pipe:close()
  support.finally(function() os.execute("rm -rf " .. path) end)
  assert(os.execute("chmod 755 " .. path))
  return path
end

function proxies.write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end

-- Starts a server and waits until it listens. Gives a function that reads what it has written.
function proxies.start(port, command)
  local log = proxies.directory() .. "/log"
  local pipe = assert(io.popen(("echo $$; exec setpriv --pdeathsig KILL -- %s >%s 2>&1 </dev/null")
    :format(command, log)))
  local pid = pipe:read "*l"
  support.finally(function()
    os.execute("kill " .. pid .. " 2>/dev/null")
    pipe:close()
  end)
  for _ = 1, 200 do -- few readings: for each the kernel walks a large table
    if is_listening(port) then return function() return read_file(log) end end
    peer.block(0.05)
  end
  lu.fail(("does not listen: %s\n%s"):format(command, read_file(log)))
end

function proxies.microsocks(credentials)
  local port = proxies.free_port()
  proxies.start(port, ("microsocks -i 127.0.0.1 -p %d %s"):format(port, credentials or ""))
  return port
end

function proxies.tinyproxy(settings)
  local port, directory = proxies.free_port(), proxies.directory()
  local file = proxies.write(directory .. "/tinyproxy.conf", ("Port %d\nListen 127.0.0.1\n"
    .. "Timeout 60\nMaxClients 20\nAllow 127.0.0.0/8\n%s\n"):format(port, settings or ""))
  proxies.start(port, "tinyproxy -d -c " .. file)
  return port
end

return proxies
