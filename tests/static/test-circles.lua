-- SPDX-License-Identifier: MIT
-- No circles: if a file of core/ or lua/ mentions a function of another one, called or in a table,
-- then no way of such mentions leads back. By hand, for some folders:
--   luajit tests/static/test-circles.lua core/connection
-- usage of the tests: test-circles.lua --objects LIBTCPMULTI.A BINDING.A
local here = arg[0]:match "^(.*)/static/[^/]*$" or ".."
package.path = here .. "/?.lua;" .. package.path
local check = require "static.check"
local code = require "static.code"

local archives = {}
if arg[1] == "--objects" then
  for i = 2, #arg do archives[#archives + 1] = arg[i] end
end
local is_by_hand = #arg > 0 and #archives == 0

-- ---- mentions, from the text ----

-- What a name brings with it that stands for code of a header, an inline function or a macro: the
-- words of its body.
local function expansions(folder)
  local bodies = {}
  for _, path in ipairs(check.files(folder, ".h")) do
    local lines = code.lines(path)
    for _, body in ipairs(code.functions(path)) do
      if body.first then bodies[body.name] = table.concat(lines, " ", body.first, body.last) end
    end
    local text = table.concat(lines, "\n"):gsub("\\\n", " ")
    for name, words in text:gmatch "#%s*define ([%a_][%w_]*)([^\n]*)" do bodies[name] = words end
  end
  return bodies
end

-- The words of a text and of what they stand for, as a set.
local function words_of(text, bodies, words)
  words = words or {}
  for word in text:gmatch "[%a_][%w_]*" do
    if not words[word] then
      words[word] = true
      if bodies[word] then words_of(bodies[word], bodies, words) end
    end
  end
  return words
end

-- In which file a function that others may call is defined; and constants that are extern.
local function definitions(paths)
  local owners = {}
  for _, path in ipairs(paths) do
    for _, body in ipairs(code.functions(path)) do
      local is_shared = body.first and not body.type:find "static" and body.name ~= "main"
      if is_shared then owners[body.name] = path end
    end
    for name in code.text(path):gmatch "\nconst [^\n=;]-([%a_][%w_]*) = " do
      owners[name] = path
    end
  end
  return owners
end

-- graph[a][b]: a name of b's that a mentions.
local function graph_of_text(folder)
  local paths, graph = check.files(folder, ".c"), {}
  local owners, bodies = definitions(paths), expansions(folder)
  for _, path in ipairs(paths) do
    graph[path] = {}
    for word in pairs(words_of(code.text(path), bodies)) do
      local owner = owners[word]
      if owner and owner ~= path then graph[path][owner] = word end
    end
  end
  return graph
end

-- ---- mentions, from the objects ----

-- The members of an archive of Meson's are named after the paths of their sources.
local function member_name(path, folder)
  return path:sub(#folder + 2):gsub("/", "_") .. ".o"
end

local function symbols(archive)
  local defined, wanted = {}, {}
  for _, line in ipairs(check.output(("nm -A '%s'"):format(archive))) do
    local member, kind, name = line:match ":([^:]+):%x* +(%a) ([%w_]+)$"
    if kind == "U" then
      wanted[#wanted + 1] = { member = member, name = name }
    elseif kind and kind:find "%u" then
      defined[name] = member
    end
  end
  return defined, wanted
end

local function graph_of_objects(folder)
  local graph, paths = {}, {}
  for _, path in ipairs(check.files(folder, ".c")) do
    paths[member_name(path, folder)] = path
    graph[path] = {}
  end
  for _, archive in ipairs(archives) do
    local defined, wanted = symbols(archive)
    for _, want in ipairs(wanted) do
      local from, to = paths[want.member], paths[defined[want.name]]
      if from and to and from ~= to then graph[from][to] = want.name end
    end
  end
  return graph
end

-- ---- circles ----

local function sorted_keys(list)
  local keys = {}
  for key in pairs(list) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- The shortest way from a file back to itself over files that are not yet done, or nil.
local function find_circle(graph, start, done)
  local before, queue, head = {}, { start }, 1
  while queue[head] do
    local path = queue[head]
    head = head + 1
    for _, other in ipairs(sorted_keys(graph[path])) do
      if other == start then
        local way = { start }
        while path do
          table.insert(way, 1, path)
          path = before[path]
        end
        return way
      end
      if not before[other] and not done[other] then
        before[other] = path
        queue[#queue + 1] = other
      end
    end
  end
end

local function describe(graph, way)
  local text = way[1]
  for i = 2, #way do
    text = ("%s -> %s (%s)"):format(text, way[i], graph[way[i - 1]][way[i]])
  end
  return text
end

local function is_below(path, folder) return path:sub(1, #folder) == folder end

-- Whether an argument names the file or a folder that it is in.
local function is_named(path)
  for _, folder in ipairs(arg) do
    if is_below(path, folder) then return true end
  end
  return false
end

-- Every file that is in a circle is reported with its shortest one, until that is undone.
local function report_circles(graph, found, looked)
  local done = {}
  for _, path in ipairs(sorted_keys(graph)) do
    looked()
    local way = not done[path] and find_circle(graph, path, done)
    if way and (not is_by_hand or is_named(path)) then
      found("%s", describe(graph, way))
    end
    done[path] = true
  end
end

for _, folder in ipairs { "core", "lua" } do
  check.case(folder .. ": the files mention each other in no circle", function(found, looked)
    report_circles(graph_of_text(folder), found, looked)
  end)
  if #archives > 0 then
    check.case(folder .. ": the objects need each other in no circle", function(found, looked)
      report_circles(graph_of_objects(folder), found, looked)
    end)
  end
end

-- ---- floors, and rooms of one floor ----

local floors = { base = 0, filter = 1, transport = 2, connection = 3, api = 4 }

check.case("core: a file mentions only its own layer and those below", function(found, looked)
  local graph = graph_of_text "core"
  for _, path in ipairs(sorted_keys(graph)) do
    looked()
    for other, name in pairs(graph[path]) do
      if floors[other:match "^core/(%w+)"] > floors[path:match "^core/(%w+)"] then
        found("%s mentions %s of %s", path, name, other)
      end
    end
  end
end)

check.case("lua: the binding mentions nothing of the runner", function(found, looked)
  local graph = graph_of_text "lua"
  for _, path in ipairs(sorted_keys(graph)) do
    looked()
    for other, name in pairs(graph[path]) do
      if is_below(other, "lua/runner/") and not is_below(path, "lua/runner/") then
        found("%s mentions %s of %s", path, name, other)
      end
    end
  end
end)

-- The headers of a folder whose files are divided into levels, lowest first: a file includes the
-- highest that it may, and defines what that one declares. In lua/ a file of any level may include
-- the highest header too, for its list of functions that Lua calls.
local levels = {
  ["core/connection"] = { "record.h", "flow.h", "life.h" },
  lua = { "binding.h", "lua_filter.h", "life.h", "functions.h" },
}

local function exists(path)
  local file = io.open(check.root .. "/" .. path)
  if file then file:close() end
  return file ~= nil
end

-- The headers of its folder that a file includes.
local function own_includes(path, folder)
  local list = {}
  for _, line in check.lines(path) do
    local name = line:match '^#%s*include ".-([^/"]+)"'
    if name and exists(folder .. "/" .. name) then list[#list + 1] = name end
  end
  return list
end

-- The highest level that a file includes, itself or through its headers; or 0.
local function level_of(path, folder)
  local highest = 0
  for _, name in ipairs(own_includes(path, folder)) do
    local level = level_of(folder .. "/" .. name, folder)
    for number, header in ipairs(levels[folder]) do
      if header == name then level = number end
    end
    highest = math.max(highest, level)
  end
  return highest
end

local function declared_levels(folder)
  local declared = {}
  for level, header in ipairs(levels[folder]) do
    local path = folder .. "/" .. header
    for _, head in ipairs(code.functions(path)) do declared[head.name] = level end
  end
  return declared
end

local function check_file(path, folder, declared, found)
  local own = level_of(path, folder)
  for _, body in ipairs(code.functions(path)) do
    local level = body.first and not body.type:find "static" and declared[body.name]
    local may_be_lower = own == #levels[folder] and folder == "lua"
    if level and level ~= own and not may_be_lower then
      found("%s:%d: %s is declared in %s, and the file includes %s", path, body.line, body.name,
        levels[folder][level], levels[folder][own] or "none of the levels")
    end
  end
end

local function check_levels(folder, found)
  for level, header in ipairs(levels[folder]) do
    local included = level_of(folder .. "/" .. header, folder)
    if included >= level then found("%s includes %s", header, levels[folder][included]) end
  end
  local declared = declared_levels(folder)
  for _, path in ipairs(check.files(folder, ".c")) do
    if path:match "^(.*)/" == folder then check_file(path, folder, declared, found) end
  end
end

for _, folder in ipairs { "core/connection", "lua" } do
  check.case(folder .. ": each file has its level, and mentions no higher", function(found, looked)
    looked()
    if exists(folder .. "/" .. levels[folder][#levels[folder]]) then check_levels(folder, found) end
  end)
end

check.main()
