-- SPDX-License-Identifier: MIT
-- JSON on one line that loses no byte and does nothing to a terminal: a string that is not UTF-8
-- becomes the field NAME_b64 instead of NAME, control characters are escaped, and the keys of a
-- table are sorted, so that equal values are equal texts. Reading is lua-cjson's.
local bit, ffi, jit = require "bit", require "ffi", require "jit"
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local byte, find, format = string.byte, string.find, string.format
local gsub, sub = string.gsub, string.sub
local floor = math.floor

local json = {}

local MAX_DEPTH = 16
local MAX_WHOLE = 2 ^ 53
local HUGE = math.huge

local function sentinel(text)
  return setmetatable({}, { __tostring = function() return text end })
end

json.null = sentinel "null"
json.empty_array = sentinel "[]"

-- ---- bytes ----

local bytes_of = ffi.typeof "const uint8_t *"
local new_bytes = ffi.typeof "uint8_t[?]"

local digits = new_bytes(64)
ffi.copy(digits, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 64)
local NO_DIGIT = 64
local digit_values = new_bytes(256, NO_DIGIT)
for value = 0, 63 do digit_values[digits[value]] = value end
local PADDING, QUOTE = byte "=", byte '"'

function json.base64(bytes)
  local source, length = bytes_of(bytes), #bytes
  local text, at = new_bytes(floor((length + 2) / 3) * 4), 0
  for i = 0, length - 1, 3 do
    local second = i + 1 < length and source[i + 1] or 0
    local third = i + 2 < length and source[i + 2] or 0
    local word = bor(lshift(source[i], 16), lshift(second, 8), third)
    text[at] = digits[rshift(word, 18)]
    text[at + 1] = digits[band(rshift(word, 12), 63)]
    text[at + 2] = i + 1 < length and digits[band(rshift(word, 6), 63)] or PADDING
    text[at + 3] = i + 2 < length and digits[band(word, 63)] or PADDING
    at = at + 4
  end
  return ffi.string(text, at)
end

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

-- By the first byte of a character: how many bytes it has (0: no character begins so), and the
-- lowest and the highest second byte (RFC 3629).
local sizes, lowest, highest = new_bytes(256), new_bytes(256), new_bytes(256)
for _, row in ipairs {
  { 0x00, 0x7f, 1, 0, 0 }, { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf },
  { 0xe1, 0xec, 3, 0x80, 0xbf }, { 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf },
  { 0xf0, 0xf0, 4, 0x90, 0xbf }, { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
} do
  for first = row[1], row[2] do
    sizes[first], lowest[first], highest[first] = row[3], row[4], row[5]
  end
end

-- Whether bytes[i] begins a whole character.
local function is_character(bytes, i, size, length)
  local first = bytes[i]
  if size == 1 then return true end
  if size == 0 or i + size > length then return false end
  if bytes[i + 1] < lowest[first] or bytes[i + 1] > highest[first] then return false end
  return (size < 3 or band(bytes[i + 2], 0xc0) == 0x80)
    and (size < 4 or band(bytes[i + 3], 0xc0) == 0x80)
end

function json.is_utf8(text)
  local bytes, length, i = bytes_of(text), #text, 0
  while i < length do
    local size = sizes[bytes[i]]
    if not is_character(bytes, i, size, length) then return false end
    i = i + size
  end
  return true
end

-- ---- scalars ----

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
for code = 0, 127 do
  local character = string.char(code)
  if find(character, "%c") and not escapes[character] then
    escapes[character] = format("\\u%04x", code)
  end
end
local escapes_by_code = {}
for character, escape in pairs(escapes) do escapes_by_code[byte(character)] = escape end

local PLAIN, ESCAPED, HIGH = 0, 1, 2 -- marks of bytes: as they are, to be escaped, above 127
local marks = {}
for code = 0, 255 do
  marks[code] = code > 127 and HIGH or escapes[string.char(code)] and ESCAPED or PLAIN
end

local function marks_of(text)
  local all = 0
  for i = 1, #text do all = bor(all, marks[byte(text, i)]) end
  return all
end

local function escape_c1(character) return format("\\u%04x", byte(character)) end

-- A text with bytes above 127.
local function quote_high(text)
  if not json.is_utf8(text) then return nil end
  -- U+0080 to U+009F move the cursor of a terminal too.
  return '"' .. gsub(gsub(text, '[%c"\\]', escapes), "\194([\128-\159])", escape_c1) .. '"'
end

local SHORT = 1024 -- bytes
local LONGEST_ESCAPE = 6
local quoted = new_bytes(SHORT * LONGEST_ESCAPE + 2, byte '"')

-- The text in quotes; nil: it is not UTF-8. Copied byte by byte, since gsub takes five times as
-- long.
function json.quote(text)
  local length, at = #text, 1
  if length > SHORT then return quote_high(text) end
  for i = 1, length do
    local code = byte(text, i)
    local mark = marks[code]
    if mark == PLAIN then
      quoted[at], at = code, at + 1
    elseif mark == ESCAPED then
      local escape = escapes_by_code[code]
      ffi.copy(quoted + at, escape, #escape)
      at = at + #escape
    else
      return quote_high(text)
    end
  end
  quoted[at] = QUOTE
  return ffi.string(quoted, at + 1)
end
local quote = json.quote

local function encode_number(value)
  if value ~= value or value == HUGE or value == -HUGE then return "null" end
  if value == floor(value) and value >= -MAX_WHOLE and value <= MAX_WHOLE then
    return format("%d", value)
  end
  return format("%.14g", value)
end

-- ---- tables ----

local encode_value

-- The keys of a table, and how many there are. Not compiled, since LuaJIT compiles next into loops
-- which, in Debian 12's version, now and then see a wrong key.
local function keys_of(object)
  local keys, count, key = {}, 0, next(object)
  while key ~= nil do
    count = count + 1
    keys[count], key = key, next(object, key)
  end
  return keys, count
end
jit.off(keys_of)

local function name_of_key(key)
  if type(key) == "number" then return format(key == floor(key) and "%.0f" or "%.17g", key) end
  if type(key) ~= "string" then
    error(format("json: a key must be a string or a number, not a %s", type(key)), 0)
  end
  if sub(key, 1, 4) == "b64:" or marks_of(key) >= HIGH and not json.is_utf8(key) then
    return "b64:" .. json.base64(key)
  end
  return key
end

-- The name of a field, and its value as JSON.
local function encode_field(key, value, depth)
  local name = name_of_key(key)
  if type(value) ~= "string" then return name, encode_value(value, depth, name) end
  local text = quote(value)
  if text then return name, text end
  return name .. "_b64", '"' .. json.base64(value) .. '"'
end

local function name_of_field(key, value)
  local is_text = type(value) ~= "string" or json.is_utf8(value)
  return name_of_key(key) .. (is_text and "" or "_b64")
end

local function join(names, texts)
  if #names > 1 then table.sort(names) end
  for i, name in ipairs(names) do names[i] = quote(name) .. ":" .. texts[name] end
  return "{" .. table.concat(names, ",") .. "}"
end

-- The lowest rank decides between keys that want one name: a number is first, then a key to which
-- _b64 was added.
local function rank(key, name)
  if type(key) == "number" then return 0 end
  return key ~= name and 1 or 2
end

-- An object in which several keys want one name. All but one of them are written as b64:KEY.
local function encode_ambiguous(object, depth)
  local owners, names, texts, keys = {}, {}, {}, keys_of(object)
  for _, key in ipairs(keys) do
    local name = name_of_field(key, object[key])
    local owner = owners[name]
    if owner == nil or rank(key, name) < rank(owner, name) then owners[name] = key end
  end
  for _, key in ipairs(keys) do
    local name, text = encode_field(key, object[key], depth)
    if owners[name] ~= key then
      local suffix = name == key and "" or "_b64"
      name = "b64:" .. json.base64(key) .. suffix
    end
    names[#names + 1], texts[name] = name, text
  end
  return join(names, texts)
end

local function encode_object(object, depth, keys, count)
  if count == 1 then
    local name, text = encode_field(keys[1], object[keys[1]], depth)
    return "{" .. quote(name) .. ":" .. text .. "}"
  end
  local names, texts = {}, {}
  for i = 1, count do
    local name, text = encode_field(keys[i], object[keys[i]], depth)
    if texts[name] then return encode_ambiguous(object, depth) end
    names[i], texts[name] = name, text
  end
  return join(names, texts)
end

-- Whether a table with so many keys is a list. An empty table and one with holes are objects.
local function is_list(value, count)
  for i = 1, count do
    if value[i] == nil then return false end
  end
  return count > 0
end

local function encode_list(list, count, depth)
  local texts = {}
  for i = 1, count do texts[i] = encode_value(list[i], depth, i) end
  return "[" .. table.concat(texts, ",") .. "]"
end

local function encode_table(value, depth)
  if value == json.null then return "null" end
  if value == json.empty_array then return "[]" end
  if depth > MAX_DEPTH then
    error(format("json: more than %d tables in each other, or one that contains itself",
      MAX_DEPTH), 0)
  end
  local keys, count = keys_of(value)
  if is_list(value, count) then return encode_list(value, count, depth) end
  return encode_object(value, depth, keys, count)
end

-- name: the field, for messages.
function encode_value(value, depth, name)
  local kind = type(value)
  if kind == "string" then return quote(value) or '{"b64":"' .. json.base64(value) .. '"}' end
  if kind == "number" then return encode_number(value) end
  if kind == "table" then return encode_table(value, depth + 1) end
  if kind == "boolean" then return value and "true" or "false" end
  if kind == "nil" then return "null" end
  error(format("json: a %s cannot be written%s", kind, name and " (field " .. name .. ")" or ""), 0)
end

function json.encode(value) return encode_value(value, 0) end

-- One field of an object, "NAME":VALUE, with NAME_b64 for bytes that are not UTF-8.
function json.field(key, value)
  local name, text = encode_field(key, value, 0)
  return quote(name) .. ":" .. text
end

-- ---- reading ----

local function replace_null(value, null)
  if value == null then return json.null end
  if type(value) ~= "table" then return value end
  for _, key in ipairs(keys_of(value)) do value[key] = replace_null(value[key], null) end
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
