-- SPDX-License-Identifier: MIT
-- http_head.lua: the status line and the headers of web servers (HTTP/1.1, HEAD).
--
-- usage: tcpmulti-lua scripts/http_head.lua [http://]HOST[:PORT][/PATH] ...
--
--   $ tcpmulti-lua scripts/http_head.lua 127.0.0.1:8080/index.html
--   127.0.0.1:8080/index.html: HTTP/1.1 200 OK
--     Server: nginx/1.22.1
--     Content-Length: 615
local tcpmulti = require "tcpmulti"

local function usage(message)
  io.stderr:write("http_head.lua: ", tcpmulti.escape(message), "\n",
    "usage: tcpmulti-lua scripts/http_head.lua [http://]HOST[:PORT][/PATH] ...\n")
  os.exit(2)
end

local failed = 0

local session = tcpmulti.create {
  filter = { "line", ends = "lf", output_literal = "\r\n", max_length = 8192 },
  connect_timeout = 10, deadline = 30, max_connections = 500,
  on_success = function(cheap)
    cheap:send(
      ("HEAD %s HTTP/1.1"):format(cheap.path),
      "Host: " .. cheap.host,
      "User-Agent: tcpmulti",
      "Connection: close",
      "")
  end,
  on_input = function(cheap, line)
    if not cheap.lines then
      local status = line:match("^HTTP/1%.%d (%d%d%d)")
      if not status then return cheap:fail("not an HTTP reply") end
      cheap.lines, cheap.interim = {}, status:sub(1, 1) == "1"
    end
    if line ~= "" then
      cheap.lines[#cheap.lines + 1] = tcpmulti.escape(line)
    elseif cheap.interim then -- 100 Continue and the like: the reply proper follows
      cheap.lines = nil
    else
      cheap.complete = true
      cheap:shutdown()
    end
  end,
  on_disconnected = function(cheap, _, reason)
    if cheap.complete then
      print(cheap.url .. ": " .. table.concat(cheap.lines, "\n  "))
    elseif reason ~= "die" then
      local op, _, message = cheap:cause()
      failed = failed + 1
      print(("%s: %s: %s"):format(cheap.url, reason, op and op .. ": " .. message or "no reply"))
    end
  end,
}

for _, url in ipairs(arg) do
  if url:match("^https:") then usage(url .. ": TLS is not supported") end
  local host, path = url:gsub("^http://", ""):match("^([^/]+)(.*)$")
  if not host or path:find("[%c ]") then usage(url .. ": not an address") end
  local name, port = host:match("^(.-):?(%d*)$")
  if host:match("%]$") then name, port = host, "" end -- [::1] without a port
  local heap = { url = tcpmulti.escape(url), host = host, path = path == "" and "/" or path }
  local good, why = pcall(session.connect, session, heap, name, port == "" and 80 or tonumber(port))
  if not good then usage(url .. ": " .. why) end
end
if not arg[1] then usage("which server?") end
tcpmulti.run()
if failed > 0 then os.exit(1) end
