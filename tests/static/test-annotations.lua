-- SPDX-License-Identifier: MIT
-- The annotations (lua/types/tcpmulti.lua) are the reference: they name every function, method,
-- filter and option that the module has, and nothing that it has not.
-- usage: test-annotations.lua MODULE.SO
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

-- The keys of a table in a source: what the module accepts.
local function keys_of(path, name)
  local block, names = check.read(path):match(name .. " = (%b{})"), {}
  for key in block:gmatch "\n  ([%a_]+) =" do names[key] = true end
  return names
end

local function options(name)
  local names = keys_of("lua/create.lua", "local " .. name)
  -- Handlers are added to both tables from the list of events and on_batch; on_exception to the
  -- first only.
  local events = check.read "core/include/tcpmulti.h":match "#define TCPM_EVENTS%(X%)(.-)\n\n"
  for event in events:gmatch "X%(%u+, (%l+)%)" do names["on_" .. event] = true end
  names.on_batch = true
  names.on_exception = name == "session_options" or nil
  return names
end

check.case("options of create and connect", function(found, looked)
  compare(found, looked, "option", fields "tcpmulti.CreateOptions", options "session_options")
  compare(found, looked, "option", fields "tcpmulti.ConnectOptions", options "connect_options")
end)

check.case("options of dns, and what it tells", function(found, looked)
  compare(found, looked, "option", fields "tcpmulti.DnsOptions",
    keys_of("lua/names.lua", "shared.dns_options"))
  compare(found, looked, "field", fields "tcpmulti.DnsStats", keys(tcpmulti.dns()))
end)

check.case("options of filters", function(found, looked)
  local source = check.read "lua/filters.lua"
  for _, name in ipairs { "line", "block", "netstring", "resp", "reply", "dot", "http" } do
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

-- Loaded last: it adds methods to sessions and cheaps.
local CO = "lua/types/tcpmulti.co.lua"

-- The methods that have come with the module.
local function added(before, after)
  local names = {}
  for name in pairs(after) do names[name] = not before[name] or nil end
  return names
end

check.case("tcpmulti.co", function(found, looked)
  local shared_by_cheaps
  local session = tcpmulti.create { on_initialize = function(cheap)
    shared_by_cheaps = getmetatable(cheap).__index
  end }
  session:connect("127.0.0.1", 1):shutdown()
  local of_cheaps, of_sessions = keys(shared_by_cheaps), keys(getmetatable(session).__index)
  local co = require "tcpmulti.co"
  types, text = CO, check.read(CO)
  local again = {} -- methods of cheaps that are functions of the module too
  for name in text:gmatch "co%.([%a_]+)[^\n=]-= Cheap" do again[name] = true end
  for list in text:gmatch "\n(co%.[^\n]-) = Cheap" do
    for name in list:gmatch "co%.([%a_]+)" do again[name] = true end
  end
  compare(found, looked, "function", merge(annotated "function co%.([%a_]+)%(", again), keys(co))
  compare(found, looked, "method", annotated "function Cheap:([%a_]+)%(",
    added(of_cheaps, keys(shared_by_cheaps)))
  compare(found, looked, "method", annotated "function Session:([%a_]+)%(",
    added(of_sessions, keys(getmetatable(session).__index)))
  compare(found, looked, "method", annotated "function Semaphore:([%a_]+)%(",
    keys(getmetatable(co.semaphore(1)).__index))
  compare(found, looked, "method", annotated "function Queue:([%a_]+)%(",
    keys(getmetatable(co.queue()).__index))
end)

-- The classes of the modules of jobs, each with an object of it.
local function classes(name)
  local module = require("tcpmulti." .. name)
  if name == "histogram" then return { Histogram = module.new() } end
  if name == "limits" then
    return { Bucket = module.bucket(1), Caps = module.caps(1), Heap = module.heap() }
  end
  if name == "permutation" then return { Permutation = module.new(1, 0, 0) } end
  if name == "progress" then return { Progress = module.new { mode = "none" } } end
  if name == "results" then return { Sink = module.open() } end
  if name == "summary" then return { Summary = module.new() } end
  if name == "targets" then
    local plan = module.plan { { words = { "127.0.0.1:1" } } }
    return { Plan = plan, Walker = plan:walker(0, 1), Stream = module.stream() }
  end
  return {}
end

for _, path in ipairs(check.files("lua/job -maxdepth 1", ".lua")) do
  local name = path:match "([^/]+)%.lua$"
  check.case("tcpmulti." .. name, function(found, looked)
    types = ("lua/types/tcpmulti.%s.lua"):format(name)
    text = check.read(types)
    local documented = merge(annotated("function " .. name .. "%.([%w_]+)%("),
      annotated("\n" .. name .. "%.([%a_]+) ="))
    compare(found, looked, "function", documented, keys(require("tcpmulti." .. name)))
    for class, object in pairs(classes(name)) do
      compare(found, looked, class, annotated("function " .. class .. ":([%a_]+)%("),
        keys(getmetatable(object).__index))
    end
  end)
end

check.case("the files are Lua", function(found, looked)
  for _, path in ipairs(check.files("lua/types", ".lua")) do
    looked()
    local chunk, message = loadfile(check.root .. "/" .. path)
    if not chunk then found("%s", message) end
  end
end)

check.main()
