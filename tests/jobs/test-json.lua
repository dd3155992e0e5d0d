-- SPDX-License-Identifier: MIT
-- JSON of result lines: what is written comes back from cjson without the loss of a byte, and does
-- nothing to a terminal.
local cjson = require "cjson"
local json = require "tcpmulti.json"
local lu = require "luaunit"
local support = require "jobs.support"

local cases = support.cases "Json"

local function assert_harmless(text)
  lu.assertNil(text:find "%c", text)
  lu.assertNil(text:find "\194[\128-\159]", text)
  lu.assertTrue(json.is_utf8(text))
end

local alphabets = {
  function() return string.char(math.random(0, 255)) end,
  function() return string.char(math.random(32, 126)) end,
  function() return string.char(math.random(0, 31)) end,
  function() return "\194" .. string.char(math.random(128, 191)) end,
  function() return "\226\130" .. string.char(math.random(128, 191)) end,
  function() return "\240\159\152" .. string.char(math.random(128, 191)) end,
  function() return ({ '"', "\\", "/", "\127", "\27[31m", "<", "\194\155" })[math.random(7)] end,
}

local function random_bytes(most)
  local parts, kind = {}, math.random(#alphabets + 1)
  for i = 1, math.random(0, most) do
    parts[i] = alphabets[kind > #alphabets and math.random(#alphabets) or kind]()
  end
  return table.concat(parts)
end

-- Whether bytes are UTF-8, by the grammar of RFC 3629 as patterns.
local function is_utf8_by_patterns(bytes)
  local tail = "[\128-\191]"
  local forms = { "[%z\1-\127]", "[\194-\223]" .. tail, "\224[\160-\191]" .. tail,
    "[\225-\236\238\239]" .. tail .. tail, "\237[\128-\159]" .. tail,
    "\240[\144-\191]" .. tail .. tail, "[\241-\243]" .. tail .. tail .. tail,
    "\244[\128-\143]" .. tail .. tail }
  local at = 1
  while at <= #bytes do
    local stop
    for _, form in ipairs(forms) do
      stop = stop or select(2, bytes:find("^" .. form, at))
    end
    if not stop then return false end
    at = stop + 1
  end
  return true
end

function cases.J43_3000_random_byte_strings_come_back_equal()
  local as_text, as_base64 = 0, 0
  for _ = 1, 3000 do
    local bytes = random_bytes(60)
    local text = json.encode { x = bytes }
    assert_harmless(text)
    local back = cjson.decode(text)
    lu.assertEquals(json.is_utf8(bytes), is_utf8_by_patterns(bytes))
    if is_utf8_by_patterns(bytes) then
      as_text = as_text + 1
      lu.assertEquals(back, { x = bytes })
    else
      as_base64 = as_base64 + 1
      lu.assertEquals({ x = json.unbase64(back.x_b64) }, { x = bytes })
    end
  end
  lu.assertTrue(as_text > 500 and as_base64 > 500)
end

local function nested(levels)
  local value = {}
  for _ = 2, levels do value = { value } end
  return value
end

for _, row in ipairs {
  { "an empty table", {}, "{}" },
  { "an empty list", json.empty_array, "[]" },
  { "null", { json.null }, "[null]" },
  { "nil", nil, "null" },
  { "a list", { 1, "two", true, false }, '[1,"two",true,false]' },
  { "keys in order", { b = 1, a = 2, c = 3 }, '{"a":2,"b":1,"c":3}' },
  { "holes", { 1, nil, 3 }, '{"1":1,"3":3}' },
  { "a list with fields", { 1, x = 2 }, '{"1":1,"x":2}' },
  { "a binary key", { ["\255"] = 1 }, '{"b64:/w==":1}' },
  { "a key like an encoded one", { ["b64:x"] = 1 }, '{"b64:YjY0Ong=":1}' },
  { "binary in a field", { x = "\255\0" }, '{"x_b64":"/wA="}' },
  { "binary in a list", { "a", "\255" }, '["a",{"b64":"/w=="}]' },
  { "binary alone", "\255", '{"b64":"/w=="}' },
  { "not a number", { 0 / 0, math.huge, -math.huge }, "[null,null,null]" },
  { "whole numbers", { 2 ^ 53, -2 ^ 53, 0, -1 }, "[9007199254740992,-9007199254740992,0,-1]" },
  { "larger ones", { 2 ^ 53 * 2 }, "[1.8014398509482e+16]" },
  { "fractions", { 0.1, -1.5, 1 / 3 }, "[0.1,-1.5,0.33333333333333]" },
  { "controls", "\0\t\n\27\127\194\128\194\159", '"\\u0000\\t\\n\\u001b\\u007f\\u0080\\u009f"' },
  { "quotes", '"\\/', '"\\"\\\\/"' },
  { "a long text", ('\n"'):rep(1000), '"' .. ('\\n\\"'):rep(1000) .. '"' },
  { "1,024 bytes to escape", ("\1"):rep(1024), '"' .. ("\\u0001"):rep(1024) .. '"' },
  { "16 levels", nested(16), ("["):rep(15) .. "{}" .. ("]"):rep(15) },
} do
  cases["J44_" .. row[1] .. " is written so"] = function()
    lu.assertEquals(json.encode(row[2]), row[3])
  end
end

local loop = {}
loop.again = loop
for _, row in ipairs {
  { "17 levels", nested(17), "more than 16 tables in each other" },
  { "a cycle", loop, "or one that contains itself" },
  { "a function", { f = print }, "a function cannot be written %(field f%)" },
  { "userdata", { u = io.stdout }, "a userdata cannot be written %(field u%)" },
  { "a thread", { coroutine.create(print) }, "a thread cannot be written %(field 1%)" },
  { "a key that is a table", { [{}] = 1 }, "a key must be a string or a number, not a table" },
  { "cdata", { c = 1LL }, "a cdata cannot be written" },
} do
  cases["J44_" .. row[1] .. " is refused"] = function()
    lu.assertErrorMsgMatches("json: .*" .. row[3] .. ".*", json.encode, row[2])
  end
end

function cases.keys_that_want_one_name_lose_nothing()
  local object = { [1] = "number", ["1"] = "text", ["1_b64"] = "suffix" }
  local text = json.encode(object)
  lu.assertEquals(cjson.decode(text), { ["1"] = "number", ["b64:MQ=="] = "text",
    ["1_b64"] = "suffix" })
  text = json.encode { x = "\255", x_b64 = "plain" }
  lu.assertEquals(cjson.decode(text), { x_b64 = "/w==", ["b64:" .. json.base64 "x_b64"] = "plain" })
  text = json.encode { [1] = "\255", ["1"] = "\254", ["1_b64"] = "\253" }
  local names = 0
  for _ in pairs(cjson.decode(text)) do names = names + 1 end
  lu.assertEquals(names, 3)
end

-- ---- against cjson ----

local random_table

local function random_value(depth)
  local kind = math.random(depth > 0 and 7 or 5)
  if kind == 1 then return "!" .. random_bytes(12) end -- never valid base64
  if kind == 2 then return math.random(-1000, 1000) / 8 end
  if kind == 3 then return math.random(2) == 1 end
  if kind == 4 then return math.random(0, 2 ^ 31) * 2 ^ 20 end
  if kind == 5 then return json.null end
  return random_table(depth - 1, kind == 6)
end

function random_table(depth, is_list)
  local value = {}
  for i = 1, math.random(1, 4) do
    value[is_list and i or "!" .. random_bytes(4)] = random_value(depth)
  end
  return value
end

-- What the reader gives, as it was before.
local function restore(value)
  if value == cjson.null then return json.null end
  if type(value) ~= "table" then return value end
  if value.b64 and next(value, "b64") == nil then return json.unbase64(value.b64) end
  local restored = {}
  for name, inner in pairs(value) do
    local stem = type(name) == "string" and name:match "^(.*)_b64$"
    local bytes = stem and type(inner) == "string" and json.unbase64(inner)
    if bytes then name, inner = stem, bytes else inner = restore(inner) end
    local key = type(name) == "string" and name:match "^b64:(.*)$"
    restored[key and json.unbase64(key) or name] = inner
  end
  return restored
end

function cases.random_tables_come_back_equal()
  for _ = 1, 1000 do
    local value = random_table(4, math.random(2) == 1)
    local text = json.encode(value)
    assert_harmless(text)
    lu.assertEquals(restore(cjson.decode(text)), value)
    lu.assertEquals(json.encode(value), text)
  end
end

-- ---- base64, reading ----

function cases.base64_by_the_examples_of_RFC_4648()
  for bytes, text in pairs { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==",
    fooba = "Zm9vYmE=", foobar = "Zm9vYmFy" } do
    lu.assertEquals(json.base64(bytes), text)
    lu.assertEquals(json.unbase64(text), bytes)
  end
end

function cases.base64_of_all_bytes_comes_back()
  local bytes = {}
  for i = 0, 255 do bytes[i + 1] = string.char(i) end
  local all = table.concat(bytes)
  for length = 0, 256 do
    lu.assertEquals(json.unbase64(json.base64(all:sub(1, length))), all:sub(1, length))
  end
end

function cases.base64_that_is_none_is_refused()
  for _, text in ipairs { "Zg=", "Zg", "Z", "Zg===", "Z!==", "=Zg=", "Zm9v\n", "====" } do
    local bytes, message, errname = json.unbase64(text)
    lu.assertEquals({ bytes, errname }, { nil, "EINVAL" })
    lu.assertStrContains(message, "base64")
  end
end

function cases.decode_gives_null_as_the_module_has_it()
  local value = json.decode '{"a":null,"b":[null,1],"c":"null"}'
  lu.assertTrue(value.a == json.null and value.b[1] == json.null)
  lu.assertEquals(value.c, "null")
  lu.assertTrue(json.decode "null" == json.null)
  lu.assertEquals(json.encode(value), '{"a":null,"b":[null,1],"c":"null"}')
end

function cases.decode_tells_what_is_wrong()
  for _, text in ipairs { "", "{", "nul", "NaN", "[1,]", '{"a":Infinity}', "0x10" } do
    local value, message, errname = json.decode(text)
    lu.assertEquals({ value, errname }, { nil, "EINVAL" }, text)
    lu.assertIsString(message)
  end
end

-- A module that is loaded anew, while no package can be found.
function cases.a_missing_package_is_named()
  local path, cpath = package.path, package.cpath
  local safe = package.loaded["cjson.safe"]
  package.path, package.cpath, package.loaded["cjson.safe"] = "", "", nil
  package.loaded["tcpmulti.json"] = nil
  local value, message, errname = require "tcpmulti.json".decode "{}"
  package.path, package.cpath, package.loaded["cjson.safe"] = path, cpath, safe
  package.loaded["tcpmulti.json"] = json
  lu.assertEquals({ value, message, errname },
    { nil, "the package lua-cjson is needed", "EOPNOTSUPP" })
end

support.main(cases)
