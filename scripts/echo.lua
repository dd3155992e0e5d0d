-- SPDX-License-Identifier: MIT
-- echo.lua: 30 connections send 200 random bytes each and compare the answer with these bytes.
--
-- usage: tcpmulti-lua --peer echo scripts/echo.lua             with the practice peer
--        tcpmulti-lua scripts/echo.lua ADDRESS PORT            with an echo server of yours
--
--   30 connections, 6000 bytes: 30 came back as sent, 0 did not
local tcpmulti = require "tcpmulti"

local peer = type(tcpmulti.peer) == "table" and tcpmulti.peer or {}
local address, port = arg[1] or peer.addr, arg[2] or peer.port
local connections, length = 30, 200
if not (address and port) or arg[3] then
  io.stderr:write("usage: tcpmulti-lua [--peer echo] scripts/echo.lua [ADDRESS PORT]\n")
  os.exit(2)
end

local function random_bytes(n)
  local bytes = {}
  for i = 1, n do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

local same, failed, total = 0, 0, 0
math.randomseed(os.time())

local session = tcpmulti.create {
  filter = "stream",
  on_success = function(cheap)
    cheap.sent, cheap.received = random_bytes(length), ""
    cheap:send(cheap.sent)
  end,
  on_input = function(cheap, bytes)
    cheap.received, total = cheap.received .. bytes, total + #bytes
    if #cheap.received < length then return end
    if cheap.received ~= cheap.sent then return cheap:fail("not the bytes that were sent") end
    same = same + 1
    cheap:shutdown()
  end,
  on_disconnected = function(cheap, id, reason)
    if reason == "shutdown" or reason == "die" then return end
    failed = failed + 1
    io.stderr:write(("connection %d: %s: %s\n"):format(id, reason, select(3, cheap:cause())))
  end,
}
for _ = 1, connections do
  session:connect(address, port)
end
tcpmulti.run()

print(("%d connections, %d bytes: %d came back as sent, %d did not"):format(
  connections, total, same, connections - same))
if failed > 0 then os.exit(1) end
