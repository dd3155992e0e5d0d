-- SPDX-License-Identifier: MIT
-- The PROXY header (row P31): its bytes, that it goes with the first bytes of the script's, and
-- that real servers read it.
local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"
local proxies = require "proxies.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "ProxyHeader"
local has_tls = not (os.getenv "TCPMULTI_WITHOUT" or ""):find "OpenSSL"
local tls = has_tls and require "secure.support"

local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"
local LOCAL = SIGNATURE .. "\32\0\0\0"

local function packed(port) return string.char(math.floor(port / 256), port % 256) end

-- The header of a connection from 127.0.0.1 or ::1 to itself.
local function header(version, is_inet6, from, to)
  local family, address = is_inet6 and 6 or 4, is_inet6 and "::1" or "127.0.0.1"
  if version == 1 then
    return ("PROXY TCP%d %s %s %d %d\r\n"):format(family, address, address, from, to)
  end
  local bytes = is_inet6 and ("\0"):rep(15) .. "\1" or "\127\0\0\1"
  return SIGNATURE .. "\33" .. (is_inet6 and "\33\0\36" or "\17\0\12") .. bytes .. bytes
    .. packed(from) .. packed(to)
end

-- Connects directly with a header, sends by `send`, and gives what has come, and from which port.
local function meet(version, options, program, how)
  how = how or {}
  local target = support.peer(program or "recv all", how)
  local given = { send_proxy = version,
    on_success = function(cheap)
      cheap:send "hello"
      cheap:shutdown()
    end }
  for key, value in pairs(options or {}) do given[key] = value end
  local log = proxies.reach(how.address or "127.0.0.1", target:port(), given)
  support.ending(target, 1)
  local seen = target:connection(1)
  return seen.content, seen.port, target:port(), log
end

for version = 1, 2 do
  for address, is_inet6 in pairs { ["127.0.0.1"] = false, ["::1"] = true } do
    local name = ("%d_%s"):format(version, is_inet6 and "inet6" or "inet")
    cases["P31_the_bytes_of_version_" .. name] = function()
      local content, from, to, log = meet(version, nil, nil, { address = address })
      lu.assertEquals(content, header(version, is_inet6, from, to) .. "hello\r\n")
      lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
    end
  end
end

-- Nothing of it has come before the script sends, which takes its time.
function cases.P31_the_header_waits_for_the_first_bytes()
  local target, early = support.peer "recv 1; mark first; recv all", nil
  proxies.reach("127.0.0.1", target:port(), { send_proxy = 1,
    on_success = function(cheap)
      peer.block(0.05)
      early = target:marks "first"
      cheap:send "hello"
      cheap:shutdown()
    end })
  lu.assertEquals(early, 0)
  support.ending(target, 1)
  lu.assertStrContains(target:connection(1).content, "\r\nhello\r\n")
end

function cases.P31_it_leaves_when_nothing_is_sent()
  local target = support.peer "recvuntil \"\\r\\n\"; mark header; recv all"
  local came
  local log = proxies.reach("127.0.0.1", target:port(), { send_proxy = 1,
    on_success = function(cheap)
      local began = tcpmulti.now()
      support.when(function() return target:marks "header" > 0 end, function()
        came = tcpmulti.now() - began
        cheap:shutdown()
      end)
    end })
  lu.assertEquals(log[#log], "disconnected shutdown")
  lu.assertTrue(came < 0.15, came) -- the kernel alone would wait for 200 ms
end

function cases.P31_not_a_part_of_what_is_counted()
  local sent
  local content = meet(2, { on_disconnected = function(cheap) sent = cheap:sent() end })
  lu.assertEquals(sent, 7)
  lu.assertEquals(#content, 28 + 7)
end

function cases.P31_a_connect_has_another_version_or_none()
  for option, begin in pairs { [2] = SIGNATURE, [false] = "hello\r\n" } do
    local target = support.peer "recv all"
    proxies.reach("127.0.0.1", target:port(), { send_proxy = 1,
      on_success = function(cheap)
        cheap:send "hello"
        cheap:shutdown()
      end }, { send_proxy = option })
    support.ending(target, 1)
    lu.assertEquals(target:connection(1).content:sub(1, #begin), begin)
  end
end

function cases.P31_behind_a_proxy_the_origin_is_unknown()
  for version, unknown in ipairs { "PROXY UNKNOWN\r\n", LOCAL } do
    local one = support.peer(proxies.socks("target.test", 7, "recv all"))
    local log = proxies.reach("target.test", 7, { send_proxy = version,
      proxy = proxies.url("socks5h", one),
      on_success = function(cheap)
        cheap:send "hello"
        cheap:shutdown()
      end })
    lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
    support.ending(one, 1)
    lu.assertEquals(one:connection(1).content:sub(-#unknown - 7), unknown .. "hello\r\n")
  end
end

---------------------------------------------------------------- real servers

local function get(port, options)
  local given = { filter = "stream", connect_timeout = 5,
    on_success = function(cheap)
      cheap:send "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    end }
  for key, value in pairs(options) do given[key] = value end
  local log = proxies.reach("127.0.0.1", port, given)
  return table.concat(log:records()), log
end

local function nginx(listen, more)
  local port, directory = proxies.free_port(), proxies.directory()
  local file = proxies.write(directory .. "/nginx.conf", ([[
    daemon off; master_process off; worker_processes 1;
    pid nginx.pid; error_log stderr warn;
    events { worker_connections 64; }
    http {
      access_log off; client_body_temp_path body; proxy_temp_path proxy;
      fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
      server {
        listen 127.0.0.1:%d %s; %s
        location / { return 200 "from $proxy_protocol_addr:$proxy_protocol_port\n"; }
      }
    }]]):format(port, listen, more and more(directory) or ""))
  proxies.start(port, ("nginx -p %s -c %s -e stderr"):format(directory, file))
  return port
end

function cases.P31_nginx_reads_it()
  local port = nginx "proxy_protocol"
  for version = 1, 2 do
    local text = get(port, { send_proxy = version })
    lu.assertStrContains(text, "from 127.0.0.1:")
    text = get(port, { send_proxy = version, proxy = proxies.url("socks5", proxies.microsocks()) })
    lu.assertStrContains(text, "HTTP/1.1 200 OK")
  end
end

function cases.P31_haproxy_reads_it()
  local port, directory = proxies.free_port(), proxies.directory()
  local file = proxies.write(directory .. "/haproxy.cfg", ([[
global
  maxconn 50
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend f
  bind 127.0.0.1:%d accept-proxy
  http-request return status 200 content-type text/plain lf-string "from %%[src] to %%[dst_port]"
]]):format(port))
  proxies.start(port, "haproxy -db -f " .. file)
  for version = 1, 2 do
    local text = get(port, { send_proxy = version })
    lu.assertStrContains(text, "from 127.0.0.1 to " .. port)
    text = get(port, { send_proxy = version, proxy = proxies.url("http", proxies.tinyproxy()) })
    lu.assertStrContains(text, "200 OK")
  end
end

if has_tls then
  function cases.P31_the_header_goes_before_tls()
    local port = nginx("ssl proxy_protocol", function(directory)
      local chain, key = tls.authority:named "good"
      return ("ssl_certificate %s; ssl_certificate_key %s;"):format(
        proxies.write(directory .. "/chain.pem", chain),
        proxies.write(directory .. "/key.pem", key))
    end)
    for version = 1, 2 do
      lu.assertStrContains(get(port, { send_proxy = version, tls = tls.client() }),
        "from 127.0.0.1:")
      lu.assertStrContains(get(port, { send_proxy = version, tls = tls.client(),
        proxy = proxies.url("socks5", proxies.microsocks()) }), "HTTP/1.1 200 OK")
    end
  end
end

support.main(cases)
