-- SPDX-License-Identifier: MIT
-- both_styles.lua: listens to many channels of a Redis server. To subscribe is a dialogue, which a
-- task holds; then it gives the connection to the session's handlers, and costs nothing more.
--
-- usage: tcpmulti-lua scripts/both_styles.lua HOST [PORT [CHANNELS]]                    (6379 10)
--
--   channel 3: hello
--   ...
--   10 listened, 10 messages
local tcpmulti, co = require "tcpmulti", require "tcpmulti.co"
local try, escape = co.try, tcpmulti.escape

local host, port, channels = (arg[1] or ""):match "^[^-].*", arg[2] or 6379, tonumber(arg[3] or 10)
if not (host and channels) or channels < 1 or arg[4] then
  io.stderr:write("usage: tcpmulti-lua scripts/both_styles.lua HOST [PORT [CHANNELS]]\n")
  os.exit(2)
end
local listening, messages = 0, 0

local session = tcpmulti.create {
  filter = "resp", input_timeout = 0,
  on_input = function(cheap, message) -- of a connection that was released
    messages = messages + 1
    print(("channel %d: %s"):format(cheap.number, escape(message[3])))
    if messages == channels then cheap:session():die() end
  end,
  on_disconnected = function(cheap, _, reason) -- of all
    local _, _, message = cheap:cause()
    if message then print(("channel %s: %s: %s"):format(cheap.number, reason, message)) end
  end,
}

local function subscribe(n)
  local cheap = try(co.open({ number = n }, host, port))
  cheap:send({ "PING" }, { "SUBSCRIBE", "channel" .. n })
  if try(cheap:receive(nil, 10)) ~= "PONG" then return cheap:fail("not a Redis server") end
  try(cheap:receive(nil, 10))
  listening = listening + 1
  try(co.release(cheap)) -- the connection outlives this task
end

local function publish()
  local cheap = try(co.open({ number = 0 }, host, port))
  for n = 1, channels do cheap:send { "PUBLISH", "channel" .. n, "hello" } end
  return cheap:close()
end

session:spawn(function()
  co.scope(function() for n = 1, channels do co.spawn(co.protect(subscribe), n) end end)
  if listening < channels or not co.protect(publish)() then session:die() end
end)
tcpmulti.run()
print(("%d listened, %d messages"):format(listening, messages))
if messages < channels then os.exit(1) end
