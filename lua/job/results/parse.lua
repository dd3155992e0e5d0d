-- SPDX-License-Identifier: MIT
-- Result lines, read back: a line that was damaged, or that another program wrote, is none. Without
-- pairs, which LuaJIT does not compile: of many lines each is read.
local json = require "tcpmulti.json"
local match = string.match
local huge = math.huge

local parse = {}

local function is_number(value) return type(value) == "number" and value >= 0 and value < huge end

local function is_time(value) return value == nil or is_number(value) end

local function are_times(us)
  return type(us) == "table" and is_time(us.queue) and is_time(us.resolve) and is_time(us.connect)
    and is_time(us.proxy) and is_time(us.tls) and is_time(us.first_byte) and is_time(us.total)
end

local function is_problem(value)
  return value == nil or type(value) == "table" and type(value.op) == "string"
    and type(value.name) == "string"
end

-- Whether the fields are there that every line has.
local function has_fields(record)
  return type(record.host or record.host_b64) == "string" and is_number(record.port)
    and type(record.ok) == "boolean" and type(record["end"]) == "string"
    and is_number(record.attempts) and is_number(record.time) and are_times(record.us)
    and is_number(record["in"]) and is_number(record.out) and is_problem(record.error)
end

-- Gives the record of a line that begins and ends like one; nil: it is none.
function parse.record(line)
  local record = json.decode(line)
  return record and has_fields(record) and record or nil
end

-- line: with its end or without. Gives the record, its plan, and the number of its target, both as
-- texts; nil: no result line. The number is like "12", or like "12.1" where the targets came by a
-- pipe.
function parse.line(line)
  local plan, number = match(line, '^{"key":"(%x+):(%d+%.?%d*)",.*}\n?$')
  local record = plan and parse.record(line)
  if record then return record, plan, number end
end

return parse
