-- SPDX-License-Identifier: MIT
-- banner.lua: the first bytes that each target sends on its own, safe to print on a terminal.
--
-- usage: tcpmulti-lua scripts/banner.lua [-w SECONDS] [HOST:PORT ...]
--        Without targets they are read from standard input, one a line. Waits 5 s if not given.
--
--   $ echo "127.0.0.1:22 [::1]:25 127.0.0.1:80" | tr ' ' '\n' | tcpmulti-lua scripts/banner.lua
--   127.0.0.1:22 SSH-2.0-OpenSSH_9.2p1 Debian-2\u000D\u000A
--   [::1]:25 220 mail.example ESMTP\u000D\u000A
--   127.0.0.1:80 (connect: connection refused)
local tcpmulti = require "tcpmulti"
local most = 256 -- bytes of a banner

local wait = 5
if arg[1] == "-w" then wait = tonumber(arg[2]) end
if not wait or wait <= 0 or (arg[1] or ""):match("^%-[^w]") then
  io.stderr:write("usage: tcpmulti-lua scripts/banner.lua [-w SECONDS] [HOST:PORT ...]\n")
  os.exit(2)
end

local bad_targets = 0

local session = tcpmulti.create {
  filter = "stream", connect_timeout = wait, max_connections = 500,
  on_initialize = function(cheap) cheap.banner = "" end,
  on_success = function(cheap) cheap:deadline(wait) end,
  on_input = function(cheap, bytes)
    cheap.banner = (cheap.banner .. bytes):sub(1, most)
    if cheap.banner:find("\n", 1, true) or #cheap.banner == most then cheap:shutdown() end
  end,
  on_disconnected = function(cheap, _, reason)
    local op, _, message, name = cheap:cause()
    local said = tcpmulti.escape(cheap.banner)
    if reason == "failure" then
      said = ("(%s: %s)"):format(op, message)
    elseif reason == "error" then
      said = ("%s (%s: %s)"):format(said, op, message)
    elseif said == "" then
      said = name == "EOF" and "(closed without a word)" or "(no answer)"
    end
    print(tcpmulti.escape(cheap.target) .. " " .. said)
  end,
}

local function probe(target)
  local host, port = target:match("^%s*%[?([^%[%]]-)%]?:([%w-]+)%s*$")
  local good, message = false, "expected like mail.example:25 or [::1]:25"
  if host then good, message = pcall(session.connect, session, { target = target }, host, port) end
  if good then return end
  bad_targets = bad_targets + 1
  io.stderr:write("not a HOST:PORT: ", tcpmulti.escape(target .. ": " .. message), "\n")
end

local function next_line(_, line)
  if line and line:find("%S") then probe(line) end
end

local first = arg[1] == "-w" and 3 or 1
for i = first, #arg do probe(arg[i]) end
if not arg[first] then session:stdin(next_line) end
tcpmulti.run()
if bad_targets > 0 then os.exit(1) end
