-- SPDX-License-Identifier: MIT
-- Targets: texts that name hosts and ports, read one by one, as a plan or as a stream. The folder
-- targets/ has the parts.
local plan = require "tcpmulti.targets.plan"
local ports = require "tcpmulti.targets.ports"
local stream = require "tcpmulti.targets.stream"
local written = require "tcpmulti.targets.written"

local targets = {}

local function check_text(text, name)
  if type(text) ~= "string" then error(string.format("targets.%s: a text expected", name), 3) end
end

function targets.ports(text)
  check_text(text, "ports")
  local ranges, message = ports.parse(text)
  if not ranges then return nil, message, "EINVAL" end
  return ports.list(ranges)
end

function targets.parse(text)
  check_text(text, "parse")
  local entry, message = written.parse(text)
  if not entry then return nil, message, "EINVAL" end
  local list = entry.ranges and ports.list(entry.ranges)
  if entry.name then return { name = entry.name, ports = list } end
  local family = entry.family
  return { family = family.number, first = family.text(entry.first), last = family.text(entry.last),
    ports = list }
end

function targets.plan(sources, options) return plan.new(sources, options or {}) end

function targets.stream(options) return stream.new(options or {}) end

return targets
