-- SPDX-License-Identifier: MIT
-- redis_ping.lua: many connections to a Redis server, pipelined commands on each, every reply
-- checked. Replies are read by switching filters: a line says what follows, "$5" a block of 5.
--
-- usage: tcpmulti-lua scripts/redis_ping.lua HOST [PORT [CONNECTIONS [COMMANDS]]] (6379 50 100)
--
--   1000 connections at once, 100000 replies as expected in 0.93 s, 0 connections failed
local tcpmulti = require "tcpmulti"

local host, port = arg[1], arg[2] or 6379
local connections, commands = tonumber(arg[3] or 50), tonumber(arg[4] or 100)
if not (host and connections and commands) or connections < 1 or commands < 1 or arg[5] then
  io.stderr:write("usage: redis_ping.lua HOST [PORT [CONNECTIONS [COMMANDS]]]\n")
  os.exit(2)
end

local line = tcpmulti.filters.line { literal = "\r\n" }
local most, finished, checked, failed, started = 0, 0, 0, 0, tcpmulti.now()

local function command(...) -- as the protocol wants it: an array of strings with their lengths
  local out = { ("*%d\r\n"):format(select("#", ...)) }
  for i, word in ipairs { ... } do out[i + 1] = ("$%d\r\n%s\r\n"):format(#word, word) end
  return table.concat(out)
end

local function send_commands(cheap) -- and note the reply that each must get
  local out, replies = {}, {}
  for i = 1, commands, 3 do
    local text = ("%d\r\n%d"):format(cheap:id(), i)
    out[i], replies[i] = command("ECHO", text), text
    out[i + 1], replies[i + 1] = command("PING"), "+PONG"
    out[i + 2], replies[i + 2] = command("EXISTS", "tcpmulti:" .. text), ":0"
  end
  cheap.replies, cheap.next = replies, 1
  cheap:send(table.concat(out, "", 1, commands))
end

local function take_reply(cheap, reply)
  if reply ~= cheap.replies[cheap.next] then
    return cheap:fail(("reply %d is %s"):format(cheap.next, tcpmulti.escape(reply)))
  end
  checked, cheap.next = checked + 1, cheap.next + 1
  if cheap.next <= commands then return end
  finished = finished + 1 -- all stay open to the end, unless others wait for a place
  if cheap:session():stats().waiting > 0 then cheap:shutdown() end
  if finished + failed >= connections then cheap:session():die() end
end

local session = tcpmulti.create {
  input_filter = line, output_filter = "stream",
  on_success = function(cheap)
    send_commands(cheap)
    most = math.max(most, cheap:session():stats().open)
  end,
  on_input = function(cheap, record)
    local length = tonumber(record:match("^%$(%d+)$"))
    if cheap.in_block then
      cheap.in_block = false
      cheap:input_filter(line)
      take_reply(cheap, record:sub(1, -3))
    elseif length then
      cheap.in_block = true
      cheap:input_filter("block", { block_size = length + 2 }) -- the text and a CR LF
    else
      take_reply(cheap, record)
    end
  end,
  on_disconnected = function(cheap, id, reason)
    if reason == "die" or reason == "shutdown" then return end
    failed = failed + 1
    io.stderr:write(("connection %d: %s: %s\n"):format(id, reason, select(3, cheap:cause()) or ""))
    if finished + failed >= connections then cheap:session():die() end
  end,
}
for _ = 1, connections do session:connect(host, port) end
tcpmulti.run()
print(("%d connections at once, %d replies as expected in %.2f s, %d connections failed"):format(
  most, checked, tcpmulti.now() - started, failed))
if failed > 0 then os.exit(1) end
