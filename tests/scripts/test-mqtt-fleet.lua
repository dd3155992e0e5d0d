-- SPDX-License-Identifier: MIT
-- mqtt_fleet.lua against mosquitto, which is killed once, and against servers that refuse.
local lu = require "luaunit"
local harness = require "scripts.harness"
local servers = require "scripts.servers"

local cases = harness.cases "MqttFleet"
local script = os.getenv "TCPM_SOURCE" .. "/scripts/mqtt_fleet.lua"

local function count(broker, pattern) return select(2, broker.errors():gsub(pattern, "")) end

-- Whether the broker has heard of each device.
local function knows_all(broker, devices)
  for n = 1, devices do
    if not broker.errors():find(("Received PUBLISH from device%d "):format(n)) then return false end
  end
  return true
end

function cases.devices_publish_and_ping_and_connect_again_when_the_broker_has_been_killed()
  local port, broker = servers.mosquitto()
  local fleet = harness.start(arg[1], { script, "127.0.0.1", port, 10, 60 })
  harness.wait_until(20, "all devices", function() return knows_all(broker, 10) end)
  harness.wait_until(20, "pings", function() return count(broker, "Sending PINGRESP") >= 10 end)
  broker.kill "sigkill"
  harness.finish(broker)
  local _, second = servers.mosquitto(port)
  harness.wait_until(20, "all devices again", function() return knows_all(second, 10) end)
  fleet.kill "sigint"
  harness.finish(fleet)
  lu.assertEquals(fleet.errors(), "", "standard error")
  for n = 1, 10 do
    lu.assertStrMatches(fleet.output(), (".*device %d: [^\n]+; again in 0%%.%%d+ s\n.*"):format(n))
  end
  local connections, published, answered = fleet.output():match(
    "\n10 devices: (%d+) connections, (%d+) messages published, (%d+) pings answered\n$")
  assert(tonumber(connections) >= 20, fleet.output())
  assert(tonumber(published) >= 20 and tonumber(answered) >= 10, fleet.output())
end

function cases.it_ends_when_its_time_is_over()
  local port, broker = servers.mosquitto()
  local fleet = harness.run(arg[1], { script, "127.0.0.1", port, 3, 0.6 })
  lu.assertEquals(fleet.errors(), "", "standard error")
  lu.assertEquals(fleet.code, 0, "exit status")
  lu.assertStrMatches(fleet.output(), "3 devices: 3 connections, %d+ messages published, .*\n")
  lu.assertEquals(count(broker, "New client connected from"), 3)
end

function cases.a_broker_that_refuses_or_is_not_there_is_asked_again()
  local address = harness.address()
  local port = harness.listen(address, nil, function(client)
    client:read_start(function(_, bytes)
      if bytes then client:write "\32\2\0\5" elseif not client:is_closing() then client:close() end
    end)
  end)
  local fleet = harness.run(arg[1], { script, address, port, 2, 0.5 })
  lu.assertEquals(fleet.code, 0, "exit status " .. fleet.errors())
  lu.assertStrContains(fleet.output(), "device 1: CONNACK 5; again in 0.")
  lu.assertStrContains(fleet.output(), "2 devices: 0 connections, 0 messages published")
  fleet = harness.run(arg[1], { script, address, 9, 2, 0.5 })
  lu.assertStrContains(fleet.output(), "device 2: connect: Connection refused; again in 0.")
end

function cases.bad_arguments_the_usage_exit_status_2()
  for _, words in ipairs { {}, { "a", "1", "x" }, { "a", "1", "0" }, { "a", "1", "1", "0" } } do
    local fleet = harness.script("mqtt_fleet.lua", words)
    lu.assertEquals(fleet.code, 2, "exit status")
    lu.assertStrContains(fleet.errors(), "usage: ")
  end
end

harness.main(cases)
