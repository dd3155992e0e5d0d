-- SPDX-License-Identifier: MIT
-- redis_pubsub.lua: a subscriber and a publisher for each of many channels of a Redis server. When
-- all subscribers listen, each publisher sends a pipeline: a message, and commands to be checked.
--
-- usage: tcpmulti-lua scripts/redis_pubsub.lua HOST [PORT [CHANNELS [COMMANDS]]]   (6379 50 100)
--
--   50 channels: 50 messages came, 5000 replies as expected, in 0.05 s
local tcpmulti, co = require "tcpmulti", require "tcpmulti.co"
local try = co.try

local host, port = (arg[1] or ""):match "^[^-].*", arg[2] or 6379
local channels, commands = tonumber(arg[3] or 50), tonumber(arg[4] or 100)
if not (host and channels and commands) or channels < 1 or commands < 1 or arg[5] then
  io.stderr:write("usage: redis_pubsub.lua HOST [PORT [CHANNELS [COMMANDS]]]\n")
  os.exit(2)
end
local messages, replies, listening = 0, 0, co.semaphore(0, "all listen")

local function expect(cheap, wanted) -- the next reply; of a list, its elements in one line
  local reply = try(cheap:receive())
  local text = type(reply) == "table" and reply[1] and table.concat(reply, " ") or tostring(reply)
  try(text == wanted or nil, ("the reply is %s, not %s"):format(text, wanted), "EPROTO")
end

local function subscribe(n)
  local cheap = try(co.open(host, port))
  cheap:send { "SUBSCRIBE", "channel" .. n }
  expect(cheap, ("subscribe channel%d 1"):format(n))
  listening:release()
  expect(cheap, ("message channel%d hello %d"):format(n, n))
  messages = messages + 1
end

local function publish(n)
  local cheap = try(co.open(host, port))
  cheap:send { "PUBLISH", "channel" .. n, "hello " .. n }
  for i = 1, commands do cheap:send { "ECHO", i } end
  expect(cheap, "1") -- one connection has got the message
  for i = 1, commands do expect(cheap, tostring(i)) end
  replies = replies + commands
end

local session, started = tcpmulti.create { filter = "resp", cork = true }, tcpmulti.now()
local good, message = co.run(session, co.protect(co.scope), function()
  for n = 1, channels do co.spawn(subscribe, n) end
  for _ = 1, channels do listening:acquire() end
  for n = 1, channels do co.spawn(publish, n) end
  return true
end)
print(("%d channels: %d messages came, %d replies as expected, in %.2f s"):format(
  channels, messages, replies, tcpmulti.now() - started))
if not good then error(tcpmulti.escape(message), 0) end
