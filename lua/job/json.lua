-- SPDX-License-Identifier: MIT
-- JSON on one line that loses no byte and does nothing to a terminal: a string that is not UTF-8
-- becomes the field NAME_b64 instead of NAME, control characters are escaped, and the keys of a
-- table are sorted, so that equal values are equal texts. Reading is lua-cjson's.
local bit, ffi, jit = require "bit", require "ffi", require "jit"
local open_writers = require "tcpmulti.json.writers"
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local byte, find = string.byte, string.find

local function sentinel(text)
  return setmetatable({}, { __tostring = function() return text end })
end

local null, empty_array = sentinel "null", sentinel "[]"

-- The functions that write: encode, field, quote, base64, is_utf8. They are in lua/json.c.
local json = open_writers(null, empty_array, string.format)

json.null, json.empty_array = null, empty_array

-- ---- base64 ----

local new_bytes = ffi.typeof "uint8_t[?]"

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local NO_DIGIT = 64
local digit_values = new_bytes(256, NO_DIGIT)
for value = 0, 63 do digit_values[byte(DIGITS, value + 1)] = value end

function json.unbase64(text)
  local padding = #text - (find(text, "=*$") - 1)
  local length = #text - padding
  local bytes, at, word, bits = new_bytes(length + 1), 0, 0, 0
  for i = 1, length do
    local value = digit_values[byte(text, i)]
    if value == NO_DIGIT then return nil, "a character that is not of base64", "EINVAL" end
    word, bits = band(bor(lshift(word, 6), value), 0xffff), bits + 6
    if bits >= 8 then
      bits = bits - 8
      bytes[at], at = band(rshift(word, bits), 255), at + 1
    end
  end
  if #text % 4 ~= 0 or padding > 2 then return nil, "base64 that was cut off", "EINVAL" end
  return ffi.string(bytes, at)
end

-- ---- reading ----

-- The keys of a table. Not compiled, since LuaJIT compiles next into loops which, in Debian 12's
-- version, now and then see a wrong key.
local function keys_of(object)
  local keys, count, key = {}, 0, next(object)
  while key ~= nil do
    count = count + 1
    keys[count], key = key, next(object, key)
  end
  return keys
end
jit.off(keys_of)

local function replace_null(value, sign)
  if value == sign then return null end
  if type(value) ~= "table" then return value end
  for _, key in ipairs(keys_of(value)) do value[key] = replace_null(value[key], sign) end
  return value
end

local reader

function json.decode(text)
  if not reader then
    local found, cjson = pcall(require, "cjson.safe")
    if not found then return nil, "the package lua-cjson is needed", "EOPNOTSUPP" end
    reader = cjson.new()
    reader.decode_invalid_numbers(false)
  end
  local value, message = reader.decode(text)
  if value == nil then return nil, message, "EINVAL" end
  if find(text, "null", 1, true) then return replace_null(value, reader.null) end
  return value
end

return json
