-- SPDX-License-Identifier: MIT
-- Values of a command line, and thresholds: the first byte chooses the reader of the other bytes.
-- An accepted value can be used, and a refusal is in plain words.
local kinds, units = require "tcpmulti.cli.kinds", require "tcpmulti.units"
local summary = require "tcpmulti.summary"
local sum = summary.new()
for i = 1, 20 do
  sum:add { ok = i < 15, attempts = 1, time = i, us = { connect = i * 1000 },
    error = i >= 15 and { op = 'read', name = 'ETIMEDOUT' } or nil,
    ['end'] = 'eof', ['in'] = 0, out = 0 }
end

local function check(ok, what) if not ok then error(what, 2) end end
local readers = { units.count, units.size, units.time, units.rate, units.share }
local function plain(text)
  local digits, rest = text:match "^(%d+%.?%d*)(.*)$"
  return digits and not digits:find "%.$" and #rest <= 3 and tonumber(digits)
end

local function number(reader, text)
  local value, expected = reader(text)
  local digits = plain(text)
  if not value then
    check(expected:find " like ", text)
    return
  end
  check(digits, "a number was read from " .. text)
  check(value >= 0 and value < math.huge, text)
  check((value == 0) == (digits == 0) or digits < 1e-5, text)
  units.show_time(value)
  units.show_count(value)
  if value < 1e9 then units.show_duration(value) end
end

local names = { "workers", "shard", "clock", "retry_on", "flag", "list", "text" }
local choice = kinds.of { "x", "--x", { "random", "sequential" } }
local function kind(which, text)
  local reader = which == 0 and choice or kinds[names[which]]
  local value, expected = reader.read(text)
  if value == nil then
    check(type(expected) == "string" and not expected:find "%c", text)
  else
    check(type(kinds.show(value)) == "string", text)
  end
end

local function threshold(text)
  local parsed, message, errname = summary.threshold(text)
  if not parsed then
    check(errname == "EINVAL" and not message:find "%c" and #message < 400, message)
    return
  end
  local hit, value = parsed.check(sum)
  check(type(hit) == "boolean" and (value == nil or value >= 0), text)
  check(value ~= nil or not hit, "a hit without a value: " .. text)
  local _, again = summary.threshold(parsed.text).check(sum)
  check(again == value, text)
end

return function(input)
  local which, text = (input:byte() or 0) % 16, input:sub(2)
  if which < 5 then return number(readers[which + 1], text) end
  if which < 13 then return kind(which - 5, text) end
  threshold(text)
end
