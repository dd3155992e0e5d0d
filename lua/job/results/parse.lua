-- SPDX-License-Identifier: MIT
-- Result lines, read back: a line that was damaged, or that another program wrote, is none.
local json = require "tcpmulti.json"
local match = string.match
local huge = math.huge

local function is_number(value) return type(value) == "number" and value >= 0 and value < huge end

-- The fields that every line has, with their types.
local types = { port = "number", ok = "boolean", ["end"] = "string",
  attempts = "number", time = "number", us = "table", ["in"] = "number", out = "number" }

local function has_fields(record)
  if type(record.host or record.host_b64) ~= "string" then return false end
  for name, kind in pairs(types) do
    local value = record[name]
    if type(value) ~= kind or kind == "number" and not is_number(value) then return false end
  end
  for _, time in pairs(record.us) do
    if not is_number(time) then return false end
  end
  local problem = record.error
  return problem == nil or type(problem) == "table" and type(problem.op) == "string"
    and type(problem.name) == "string"
end

-- line: with its end or without. Gives the record, its plan, and the number of its target, both as
-- texts; nil: no result line. The number is like "12", or like "12.1" where the targets came by a
-- pipe.
return function(line)
  local plan, number = match(line, '^{"key":"(%x+):(%d+%.?%d*)",.*}\n?$')
  local record = plan and json.decode(line)
  if record and has_fields(record) then return record, plan, number end
end
