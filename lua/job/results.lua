-- SPDX-License-Identifier: MIT
-- Result lines: one JSON object for each target, with its fields in a fixed order, so that equal
-- results are equal bytes. The lines are the only truth: from them it is known which targets are
-- done, and every figure of a summary.
local json = require "tcpmulti.json"
local parse = require "tcpmulti.results.parse"
local sink = require "tcpmulti.results.sink"
local concat, floor = table.concat, math.floor
local format, match, sub = string.format, string.match, string.sub
local encode, field, quote = json.encode, json.field, json.quote

local results = {}

-- Steps of an attempt, in the order in which a line has them.
results.phases = { "queue", "resolve", "connect", "proxy", "tls", "first_byte", "total" }

-- The time of a line: whole milliseconds, like those that are written.
local function milliseconds(seconds) return floor(seconds * 1000 + 0.5) end

function results.round(seconds) return milliseconds(seconds) / 1000 end

-- One field that is a text. name: a plain one.
local function text_field(name, value)
  local text = quote(value)
  return text and '"' .. name .. '":' .. text or field(name, value)
end

local function error_text(problem)
  local timer = problem.timer and ',"timer":"' .. problem.timer .. '"' or ""
  return ',"error":{' .. text_field("op", problem.op) .. "," .. text_field("name", problem.name)
    .. "," .. text_field("text", problem.text) .. timer
    .. (problem["local"] and ',"local":true}' or "}")
end

local function all_times(us)
  local texts = {}
  for _, phase in ipairs(results.phases) do
    if us[phase] then texts[#texts + 1] = format('"%s":%d', phase, us[phase]) end
  end
  return concat(texts, ",")
end

-- Most targets have no names, proxies and TLS, and are told without a loop, which LuaJIT compiles
-- together with all around it.
local function times_text(us)
  local queue, connect, first_byte, total = us.queue, us.connect, us.first_byte, us.total
  local is_plain = queue and connect and total and not (us.resolve or us.proxy or us.tls)
  if not is_plain then return all_times(us) end
  if not first_byte then
    return format('"queue":%d,"connect":%d,"total":%d', queue, connect, total)
  end
  return format('"queue":%d,"connect":%d,"first_byte":%d,"total":%d', queue, connect, first_byte,
    total)
end

local LINE = '{"key":"%s",%s,"port":%d%s%s,"ok":%s,"end":"%s"%s,"attempts":%d,"time":%d.%03d,'
  .. '"us":{%s},"in":%d,"out":%d%s}\n'

-- Gives the fields host and addr.
local function names_of(record)
  local host, addr = record.host, record.addr
  local host_field = text_field("host", host)
  if not addr then return host_field, "" end
  if addr == host then return host_field, ',"addr' .. sub(host_field, #'"host"') end
  return host_field, "," .. text_field("addr", addr)
end

local function has_fields(data) return data ~= nil and next(data) ~= nil end

-- record: the fields of the line, as a table. Raises if the data cannot be written.
function results.line(record)
  local id, problem, data = record.id, record.error, record.data
  local host, addr = names_of(record)
  local time = milliseconds(record.time)
  return format(LINE, record.key, host, record.port, addr,
    id ~= nil and "," .. field("id", id) or "",
    record.ok and "true" or "false", record["end"],
    problem and error_text(problem) or "",
    record.attempts, floor(time / 1000), time % 1000, times_text(record.us), record["in"],
    record.out, has_fields(data) and ',"data":' .. encode(data) or "")
end

-- An id may be an object too, but none with an "ok" before an "end", as keys are sorted.
local JUDGED = '"ok":(%l+),"end":".-"attempts":%d+,"time":([%d.]+),"us":{'

local function judge(line)
  local ok, time = match(line, JUDGED)
  return ok == "true", tonumber(time) or math.huge
end

function results.is_ok(line) return (judge(line)) end

-- Gives the line of a target that stays, of two: a success before a failure, then the earlier, then
-- the lesser bytes. That is a total order, so merging is commutative, associative and idempotent.
function results.better(a, b)
  local a_ok, a_time = judge(a)
  local b_ok, b_time = judge(b)
  if a_ok ~= b_ok then return a_ok and a or b end
  if a_time ~= b_time then return a_time < b_time and a or b end
  return a <= b and a or b
end

results.open, results.parse = sink.open, parse

return results
