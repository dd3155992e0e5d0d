-- SPDX-License-Identifier: MIT
-- Filters written in Lua, as scripts would write them, for the tests of filters.
local own = {}

-- MQTT's packets: a byte of type, a varint of length, the body; records are tables.
local mqtt = {}
mqtt.__index = mqtt

function own.mqtt() return setmetatable({ buffer = "" }, mqtt) end
function mqtt.clone() return own.mqtt() end
function mqtt:feed(bytes) self.buffer = self.buffer .. bytes end
function mqtt:pending() return self.buffer end

function mqtt:get_one()
  local length, shift, at = 0, 1, 2
  repeat
    local byte = self.buffer:byte(at)
    if not byte then return nil end
    if at > 5 then return nil, "malformed remaining length" end
    length = length + byte % 128 * shift
    shift, at = shift * 128, at + 1
  until byte < 128
  if #self.buffer < at - 1 + length then return nil end
  local packet = { type = math.floor(self.buffer:byte(1) / 16),
    body = self.buffer:sub(at, at - 1 + length) }
  self.buffer = self.buffer:sub(at + length)
  return packet
end

function mqtt.put(_, packet)
  if packet.type > 15 then return nil, "no such packet type" end
  local length, bytes = #packet.body, { string.char(packet.type * 16) }
  repeat
    local byte = length % 128
    length = math.floor(length / 128)
    bytes[#bytes + 1] = string.char(length > 0 and byte + 128 or byte)
  until length == 0
  return table.concat(bytes) .. packet.body
end

-- A stream filter whose methods can be replaced.
function own.stream(overrides)
  local filter = {}
  local function new()
    local one = { held = "" }
    function one.clone() return new() end
    function one:feed(bytes) self.held = self.held .. bytes end
    function one:get_one()
      if self.held == "" then return nil end
      local bytes = self.held
      self.held = ""
      return bytes
    end
    function one:pending() return self.held end
    function one.put(_, record) return record end
    for name, method in pairs(overrides) do one[name] = method end
    return one
  end
  for name, method in pairs(new()) do filter[name] = method end
  return filter
end

return own
