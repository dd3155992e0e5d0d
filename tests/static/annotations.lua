-- SPDX-License-Identifier: MIT
-- The annotations (lua/types/tcpmulti.lua) are the reference: they name every function, method,
-- filter and option that the module has, and nothing that it has not.
-- usage: annotations.lua MODULE.SO
local check = require "static.check"

package.cpath = arg[1]:match "^(.*/)" .. "?.so"
local tcpmulti = require "tcpmulti"

local types = "lua/types/tcpmulti.lua"
local text = check.read(types)

-- The names that a pattern finds in the annotations, as a set.
local function annotated(pattern)
  local names = {}
  for name in text:gmatch(pattern) do names[name] = true end
  return names
end

-- The fields of a class there.
local function fields(class)
  local names = {}
  local block = text:match("%-%-%-@class " .. class:gsub("%.", "%%.") .. "\n(.-)\n[^-]") or ""
  for name in block:gmatch "%-%-%-@field ([%w_]+)" do names[name] = true end
  return names
end

local function merge(a, b)
  for name in pairs(b) do a[name] = true end
  return a
end

local function keys(list)
  local names = {}
  for name in pairs(list) do
    if type(name) == "string" and name:sub(1, 2) ~= "__" then names[name] = true end
  end
  return names
end

local function compare(found, looked, what, documented, real)
  for name in pairs(documented) do
    looked()
    if not real[name] then found("%s: %s %s is not in the module", types, what, name) end
  end
  for name in pairs(real) do
    looked()
    if not documented[name] then found("%s: %s %s is not annotated", types, what, name) end
  end
end

check.case("functions of the module", function(found, looked)
  local documented = merge(annotated "function tcpmulti%.([%a_]+)%(",
    annotated "\ntcpmulti%.([%a_]+) =")
  compare(found, looked, "function", merge(documented, fields "tcpmulti"), keys(tcpmulti))
end)

check.case("methods of sessions", function(found, looked)
  local session = tcpmulti.create {}
  compare(found, looked, "method", annotated "function Session:([%a_]+)%(",
    keys(getmetatable(session).__index))
end)

check.case("methods of cheaps", function(found, looked)
  local methods
  local session = tcpmulti.create { on_initialize = function(cheap)
    methods = getmetatable(cheap).__index
    cheap:shutdown()
  end }
  session:connect("127.0.0.1", 1)
  compare(found, looked, "method", annotated "function Cheap:([%a_]+)%(", keys(methods))
end)

check.case("filters, and methods of filters", function(found, looked)
  compare(found, looked, "filter", annotated "function tcpmulti%.filters%.([%a_]+)%(",
    keys(tcpmulti.filters))
  compare(found, looked, "method", annotated "function Filter:([%a_]+)%(",
    keys(getmetatable(tcpmulti.filters.line():clone()).__index))
end)

-- The keys of a table in the source: what the module accepts.
local function options(name)
  local block = check.read "lua/create.lua":match("local " .. name .. " = (%b{})")
  local names = {}
  for key in block:gmatch "\n  ([%a_]+) =" do names[key] = true end
  return names
end

check.case("options of create and connect", function(found, looked)
  compare(found, looked, "option", fields "tcpmulti.CreateOptions", options "session_options")
  compare(found, looked, "option", fields "tcpmulti.ConnectOptions", options "connect_options")
end)

check.case("options of filters", function(found, looked)
  local source = check.read "lua/filters.lua"
  for _, name in ipairs { "line", "block", "netstring" } do
    local real = {}
    local block = source:match("kinds%." .. name .. " = {.-options = (%b{})")
    for key in block:sub(2):gsub("%b{}", ""):gmatch "([%a_]+) =" do real[key] = true end
    local documented = {}
    local types_of = text:match("%-%-%-@param options%?? (%b{})[^\n]*\n%-%-%-@return[^\n]*\n" ..
      "function tcpmulti%.filters%." .. name)
    for key in types_of:gmatch "([%a_]+)%??:" do documented[key] = true end
    compare(found, looked, name .. " option", documented, real)
  end
end)

check.case("the file is Lua", function(found, looked)
  looked()
  local chunk, message = loadfile(check.root .. "/" .. types)
  if not chunk then found("%s", message) end
end)

check.main()
