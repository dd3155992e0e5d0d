-- SPDX-License-Identifier: MIT
-- JSON as far as the benchmark needs it: writes any table, reads one flat object in a line, which
-- is what clients print and what the file of rounds consists of.
local M = {}

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t" }

local function quote(text)
  return '"' .. text:gsub('["\\%c]', function(c)
    return ESCAPES[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local function number(value)
  if value ~= value or value == math.huge or value == -math.huge then
    return "null"
  end
  return value == math.floor(value) and ("%.0f"):format(value) or ("%.9g"):format(value)
end

local function sorted_keys(value)
  local keys = {}
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

-- A table with a value at 1 is an array. `indent` nil: all in one line.
function M.encode(value, indent)
  if type(value) ~= "table" then
    local write = { string = quote, number = number }
    return (write[type(value)] or tostring)(value)
  end
  local inner = indent and indent .. "  "
  local parts = {}
  if value[1] ~= nil then
    for i, item in ipairs(value) do
      parts[i] = M.encode(item, inner)
    end
  else
    for i, key in ipairs(sorted_keys(value)) do
      parts[i] = quote(key) .. ":" .. (indent and " " or "") .. M.encode(value[key], inner)
    end
  end
  local open, close = "{", "}"
  if value[1] ~= nil then
    open, close = "[", "]"
  end
  if not indent or #parts == 0 then
    return open .. table.concat(parts, ",") .. close
  end
  return open .. "\n" .. inner .. table.concat(parts, ",\n" .. inner) .. "\n" .. indent .. close
end

-- One line holding an object of numbers and plain strings, or nil.
function M.decode(line)
  local body = line and line:match "^%s*{(.*)}%s*$"
  if not body then
    return nil
  end
  local object = {}
  for key, value in body:gmatch '"([^"]+)":%s*("?[^",]*"?)' do
    object[key] = value:match '^"(.*)"$' or tonumber(value)
  end
  return object
end

return M
