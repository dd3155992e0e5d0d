-- SPDX-License-Identifier: MIT
-- Reads the targets of a plan or of a stream: lines with targets and lines of JSON become entries
-- with a set of ports. What is none is malformed: it is counted, and the first of them are kept.
local find, format, sub = string.find, string.format, string.sub

local written = require "tcpmulti.targets.written"

local reading = {}
local Reading = {}
Reading.__index = Reading

local MOST_KEPT = 100 -- malformed lines
local SHOWN = 256 -- bytes of one
local NO_PORT = "no port, and no --ports"

-- sets: those of ports.sets. default: the set of targets without ports, or nil.
function reading.new(sets, default)
  return setmetatable({ sets = sets, default = default, malformed = {}, count = 0 }, Reading)
end

function Reading:reject(source, line, text, message)
  self.count = self.count + 1
  if self.count > MOST_KEPT then return end
  self.malformed[self.count] = { source = source, line = line, text = sub(text, 1, SHOWN),
    message = message }
end

-- The target that a line of JSON names, as it would be written; nil, message.
local function target_of(text)
  local object, message = require "tcpmulti.json".decode(text)
  if type(object) ~= "table" then return nil, format("not JSON: %s", message or "no object") end
  if type(object.target) == "string" then return object.target end
  if type(object.host) ~= "string" then return nil, "neither 'target' nor 'host' is a text" end
  local kind = type(object.port)
  local host = find(object.host, ":", 1, true) and "[" .. object.host .. "]" or object.host
  if kind == "number" then return format("%s:%.14g", host, object.port) end
  if kind == "string" then return host .. ":" .. object.port end
  if kind ~= "nil" then return nil, "'port' is neither a number nor a text" end
  return host
end

-- An entry of written.parse that names one host, since it stands in a line of JSON, as a name.
local function single(entry)
  if entry.name then return entry end
  for i, word in ipairs(entry.first) do
    if entry.last[i] ~= word then return nil, "a line of JSON names one host" end
  end
  entry.name = entry.family.text(entry.first)
  return entry
end

-- A line -> an entry of written.parse with its set of ports, and, from JSON, with its name and its
-- line; nil, message.
function Reading:parse(text)
  local target, entry, message = text, nil, nil
  local line = sub(text, 1, 1) == "{" and text or nil
  if line then target, message = target_of(line) end
  if target then entry, message = written.parse(target) end
  if entry and line then entry, message = single(entry) end
  if not entry then return nil, message end
  entry.set = entry.ranges and self.sets:add(entry.ranges) or self.default
  if not entry.set then return nil, NO_PORT end
  entry.line = line
  return entry
end

reading.NO_PORT = NO_PORT

return reading
