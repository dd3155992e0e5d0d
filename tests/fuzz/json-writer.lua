-- SPDX-License-Identifier: MIT
-- The writer of JSON, with cjson as its reader: a value that the input describes comes back, in one
-- line of UTF-8 without control characters.
local cjson, json = require "cjson", require "tcpmulti.json"
local bytes, at
local function take(count)
  local taken = bytes:sub(at, at + count - 1)
  at = at + count
  return taken
end

local function next_byte() return take(1):byte() or 0 end

-- Any double, but one NaN only: LuaJIT takes others, read as bytes, for values of other types.
local function any_double()
  local exponent, mantissa = next_byte() * 8 + next_byte() % 8 - 1074, 0
  for _ = 1, 6 do mantissa = mantissa * 256 + next_byte() end
  return (mantissa % 2 == 0 and mantissa or -mantissa) * 2 ^ exponent
end

local build
local function any_key()
  local kind = next_byte()
  if kind % 4 == 0 then return kind / 4 end
  if kind % 4 == 1 then return take(kind % 16) .. "_b64" end
  return take(kind % 16)
end

local function object(depth)
  local value = {}
  for _ = 1, next_byte() % 6 do value[any_key()] = build(depth) end
  return value
end

local function list(depth)
  local value = {}
  for i = 1, next_byte() % 6 do value[i] = build(depth) end
  return value
end

function build(depth)
  local kind = next_byte()
  if kind % 8 < 3 or depth == 0 then return take(math.floor(kind / 8)) end
  if kind % 8 == 3 then return kind > 127 end
  if kind % 8 == 4 then return kind - 100 end
  if kind % 8 == 5 then return any_double() end
  if kind % 8 == 6 then return list(depth - 1) end
  return object(depth - 1)
end

local function check(ok, what) if not ok then error(what, 2) end end
local same
local function same_string(value, got)
  if type(got) == "table" then
    check(not json.is_utf8(value) and json.unbase64(got.b64) == value, "bytes")
  else
    check(got == value, "text")
  end
end

local function same_number(value, got)
  if value ~= value or value == math.huge or value == -math.huge then
    check(got == cjson.null, "no number")
  elseif value == math.floor(value) and math.abs(value) <= 2 ^ 53 then
    check(got == value, "whole number")
  else
    check(math.abs(got - value) <= math.abs(value) * 1e-13, "number")
  end
end

-- A number goes before a text that wants its name.
local function field_of(got, key, value)
  local is_number = type(key) == "number"
  if is_number then key = ("%.17g"):format(key) end
  local suffix = type(value) == "string" and not json.is_utf8(value) and "_b64" or ""
  local name = "b64:" .. json.base64(key) .. suffix
  if is_number or got[name] == nil then name = key .. suffix end
  local field = got[name]
  got[name] = nil
  if suffix ~= "" then return json.unbase64(field) end
  return field
end

local function same_table(value, got)
  local count, is_list = 0, true
  for _ in pairs(value) do count = count + 1 end
  for i = 1, count do is_list = is_list and value[i] ~= nil end
  if is_list then
    for i = 1, count do same(value[i], got[i]) end
    check(#got == count, "length")
    return
  end
  for key, one in pairs(value) do
    same(one, field_of(got, key, one))
  end
  check(next(got) == nil, "more fields")
end

function same(value, got)
  if type(value) == "string" then return same_string(value, got) end
  if type(value) == "number" then return same_number(value, got) end
  if type(value) == "table" then return same_table(value, got) end
  check(value == got, "boolean")
end

return function(input)
  bytes, at = input, 1
  local value = build(6)
  local text = json.encode(value)
  check(not text:find '%c' and json.is_utf8(text), text)
  check(not text:find '\194[\128-\159]', text)
  same(value, cjson.decode(text))
  check(json.encode(value) == text, "not the same twice")
  check(json.unbase64(json.base64(input)) == input, "base64")
  local back = json.unbase64(input)
  check(not back or #json.base64(back) == #input, "base64 that is none")
end
