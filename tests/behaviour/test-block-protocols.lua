-- SPDX-License-Identifier: MIT
-- The table of protocols for the block filter in lua/README.md: real frames of each, in one piece
-- and byte by byte, by hand and over a connection.

local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "BlockProtocols"
local HOST = "127.0.0.1"

-- Frames as they are on the wire; "|" stands behind what is not part of the record.
local frames = {
  ["AMQP 0-9-1"] = {
    "01 0000 00000005 000a 000b 00 ce", -- a method: connection.start, cut short
    "08 0000 00000000 ce", -- a heartbeat
  },
  Bitcoin = {
    "f9beb4d9 76657261636b000000000000 00000000 5df6e0e2", -- verack
    "f9beb4d9 70696e670000000000000000 08000000 b1e80d5f 0102030405060708", -- ping
  },
  Cassandra = {
    "84 00 0001 02 00000000", -- ready
    "84 00 0002 08 00000004 00000001", -- a result: void
  },
  DNS = {
    -- the question for example.com, and a header alone
    "001d | 1234 0100 0001 0000 0000 0000 07 6578616d706c65 03 636f6d 00 0001 0001",
    "000c | 1234 8183 0000 0000 0000 0000",
  },
  ["HTTP/2"] = {
    "000000 | 04 01 00000000", -- the acknowledgement of settings
    "000008 | 06 00 00000000 0102030405060708", -- ping
  },
  Kafka = {
    "00000008 | 0000002a 00000000",
    "00000004 | 0000002b",
  },
  memcached = {
    -- the answers to get "Hello" and to noop (BinaryProtocolRevamped)
    "81 00 0000 04 00 0000 00000009 00000000 0000000000000001 deadbeef 576f726c64",
    "81 0a 0000 00 00 0000 00000000 00000000 0000000000000000",
  },
  Modbus = {
    "0001 0000 0006 11 03 006b 0003", -- read three registers
    "0001 0000 0009 11 03 06 ae41 5652 4340", -- their values
  },
  MongoDB = {
    "1a000000 | 01000000 00000000 dd070000 00000000 00 0500000000",
    "10000000 | 02000000 01000000 dd070000",
  },
  MQTT = {
    "20 02 00 00", -- connack
    "d0 00", -- pingresp
    "30 c801 0003 612f62" .. (" 78"):rep(195), -- publish: two bytes of length
  },
  MySQL = {
    "070000 | 02 00 00 00 02 00 00 00", -- ok
    "000000 | 03", -- an empty packet still has its number
    "050000 | 01 fe 00 00 02 00", -- eof
  },
  PostgreSQL = {
    "52 00000008 00000000", -- authentication ok
    "43 0000000d 53454c4543542031 00", -- command complete: SELECT 1
    "5a 00000005 49", -- ready for query
    "31 00000004", -- parse complete: nothing in it
  },
}

local function bytes_of(hex)
  return (hex:gsub("[ |]", ""):gsub("%x%x", function(byte)
    return string.char(tonumber(byte, 16))
  end))
end

-- The protocols of lua/README.md, with their options.
local function read_table()
  local directory = arg[0]:match "^(.*)/[^/]*$" or "."
  local options = {}
  for line in io.lines(directory .. "/../../lua/README.md") do
    local name, text = line:match "^| ([^|]+) | `(length = [^`]+)` |$"
    if name then options[name] = assert(loadstring("return { " .. text .. " }"))() end
  end
  return options
end

local protocols = read_table()

function cases.the_table_of_the_readme_is_the_one_of_this_test()
  for name in pairs(protocols) do lu.assertIsTable(frames[name], name) end
  for name in pairs(frames) do lu.assertIsTable(protocols[name], name) end
end

for name, list in pairs(frames) do
  local stream, records = "", {}
  for i, frame in ipairs(list) do
    stream = stream .. bytes_of(frame)
    records[i] = bytes_of(frame:match "|(.*)$" or frame)
  end

  cases["frames_of_" .. name .. "_by_hand"] = function()
    local filter = tcpmulti.filters.block(protocols[name])
    for step = 1, #stream do
      local one, got = filter:clone(), {}
      for at = 1, #stream, step do
        one:feed(stream:sub(at, at + step - 1))
        for record in function() return one:get_one() end do got[#got + 1] = record end
      end
      lu.assertEquals(got, records)
      lu.assertEquals(one:pending(), "")
    end
    local out, one = "", filter:clone()
    for _, record in ipairs(records) do out = out .. one:put(record) end
    lu.assertIsTrue(out == stream)
  end

  cases["frames_of_" .. name .. "_over_a_connection"] = function()
    local hex = stream:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
    local pieces = stream:gsub(".", function(c) return ("sendhex %02x; "):format(c:byte()) end)
    for _, program in ipairs { "sendhex " .. hex .. "; close", pieces .. "close" } do
      local spec = { "block" }
      for option, value in pairs(protocols[name]) do spec[option] = value end
      local session, log = support.record { filter = spec }
      session:connect(HOST, support.peer(program):port())
      support.run()
      lu.assertEquals(log:records(), records)
    end
  end
end

support.main(cases)
