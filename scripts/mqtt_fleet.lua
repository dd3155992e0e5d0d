-- SPDX-License-Identifier: MIT
-- mqtt_fleet.lua: devices that publish to an MQTT broker (3.1.1, QoS 0), keep their connections
-- alive by pings, and connect again, after a growing random pause, when these break.
--
-- usage: tcpmulti-lua scripts/mqtt_fleet.lua HOST [PORT [DEVICES [SECONDS]]]   (1883 10 10)
--
--   device 3: connect: Connection refused; again in 0.07 s
--   10 devices: 20 connections, 190 messages published, 90 pings answered
local tcpmulti, co = require "tcpmulti", require "tcpmulti.co"
local try = co.try

local host, port = (arg[1] or ""):match "^[^-].*", arg[2] or 1883
local devices, seconds = tonumber(arg[3] or 10), tonumber(arg[4] or 10)
if not (host and devices and seconds) or devices < 1 or seconds <= 0 or arg[5] then
  io.stderr:write("usage: mqtt_fleet.lua HOST [PORT [DEVICES [SECONDS]]]\n")
  os.exit(2)
end
local connections, published, answered = 0, 0, 0

local function text(s) return string.char(math.floor(#s / 256), #s % 256) .. s end
local function packet(kind, body) return string.char(kind, #body) .. body end -- short ones

local function be_device(n)
  local cheap = try(co.open(host, port))
  cheap:send(packet(0x10, text "MQTT" .. "\4\2" .. "\0\3" .. text("device" .. n))) -- 3: keep alive
  local code = try(cheap:receive(nil, 5)):byte(4)
  try(code == 0 or nil, "CONNACK " .. tostring(code), "EPROTO")
  connections = connections + 1
  co.every(0.5, function() cheap:send(packet(0xc0, "")) end)
  co.every(0.25, function()
    cheap:send(packet(0x30, text("fleet/" .. n) .. "hello"))
    published = published + 1
  end)
  for record in cheap:records(nil, 3) do -- each ping is answered, so silence is an error
    if record:byte(1) == 0xd0 then answered = answered + 1 end
  end
  return nil, "closed by the broker", "EOF"
end

local session = tcpmulti.create { connect_timeout = 5, output_filter = "stream",
  input_filter = { "block", length = "varint", offset = 1, header = true, max_length = 65536 } }
co.run(session, co.deadline, seconds, function()
  for n = 1, devices do
    co.spawn(co.retry, { min = 0.1, max = 5, on_retry = function(pause, message)
      print(("device %d: %s; again in %.2f s"):format(n, tcpmulti.escape(message), pause))
    end }, function() return be_device(n) end)
  end
end)
print(("%d devices: %d connections, %d messages published, %d pings answered"):format(devices,
  connections, published, answered))
