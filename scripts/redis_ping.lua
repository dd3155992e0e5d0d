-- SPDX-License-Identifier: MIT
-- redis_ping.lua: many connections to a Redis server, with pipelined commands on each; checks every
-- reply. Each connection is a task; those that are done stay open to the end, as the session's.
--
-- usage: tcpmulti-lua scripts/redis_ping.lua HOST [PORT [CONNECTIONS [COMMANDS]]] (6379 50 100)
--
--   1000 connections at once, 100000 replies as expected in 0.93 s, 0 connections failed
local tcpmulti, co = require "tcpmulti", require "tcpmulti.co"

local host, port = (arg[1] or ""):match "^[^-].*", arg[2] or 6379
local connections, commands = tonumber(arg[3] or 50), tonumber(arg[4] or 100)
if not (host and connections and commands) or connections < 1 or commands < 1 or arg[5] then
  io.stderr:write("usage: redis_ping.lua HOST [PORT [CONNECTIONS [COMMANDS]]]\n")
  os.exit(2)
end
local most, checked, failed, started = 0, 0, 0, tcpmulti.now()

local function command(cheap, n) -- the n-th one, and the reply that it must get
  local text = ("%d\r\n%d"):format(cheap:id(), n)
  if n % 3 == 1 then return { "ECHO", text }, text end
  if n % 3 == 2 then return { "PING" }, "PONG" end
  return { "EXISTS", "tcpmulti:" .. text }, 0
end

local function ping()
  local cheap = co.try(co.open(host, port))
  local session = cheap:session()
  most = math.max(most, session:stats().open)
  for n = 1, commands do cheap:send((command(cheap, n))) end
  for n = 1, commands do
    local reply, _, expected = co.try(cheap:receive()), command(cheap, n)
    if reply ~= expected then
      return cheap:fail(("reply %d is %s"):format(n, tcpmulti.escape(tostring(reply))))
    end
    checked = checked + 1
  end
  if session:stats().waiting == 0 then co.release(cheap) end -- else others wait for its place
end

local session = tcpmulti.create {
  filter = "resp", cork = true,
  on_disconnected = function(cheap, id, reason)
    if reason == "die" or reason == "shutdown" then return end
    failed = failed + 1
    io.stderr:write(("connection %d: %s: %s\n"):format(id, reason, select(3, cheap:cause()) or ""))
  end,
}
co.run(session, function()
  co.scope(function() for _ = 1, connections do co.spawn(co.protect(ping)) end end)
  session:die()
end)
print(("%d connections at once, %d replies as expected in %.2f s, %d connections failed"):format(
  most, checked, tcpmulti.now() - started, failed))
if failed > 0 then os.exit(1) end
