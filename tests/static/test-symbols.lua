-- SPDX-License-Identifier: MIT
-- What the libraries export is what the headers declare, and nothing else; and they keep no state
-- of their own: no variables at file level.
-- usage: test-symbols.lua BUILD LIBTCPMULTI.SO LIBTCPMULTI.A
--   [LIBTCPMULTI-LUA.SO MODULE.SO BINDING.A]
--   BUILD: "assertions", or "release" for one without them
local check = require "static.check"

local build, shared, archive, host_library, module, binding = unpack(arg)

-- The functions that a header declares with TCPM_API.
local function declared(path)
  local names = {}
  local text = check.read(path):gsub("/%*.-%*/", ""):gsub("#define[^\n]*", "")
  for declaration in text:gmatch "TCPM_API([^;]*);" do
    names[#names + 1] = declaration:match "([%a_][%w_]*)%s*%("
  end
  return names
end

local function exported(library)
  local names = {}
  for _, line in ipairs(check.output(("nm -D --defined-only '%s'"):format(library))) do
    local kind, name = line:match "^%x+ (%a) ([%w_]+)"
    if kind and kind ~= "A" then names[name] = kind end
  end
  return names
end

local function compare(found, looked, library, expected)
  local names = exported(library)
  for _, name in ipairs(expected) do
    looked()
    if names[name] ~= "T" then found("%s: %s is not exported as a function", library, name) end
    names[name] = nil
  end
  for name, kind in pairs(names) do found("%s: exports %s (%s)", library, name, kind) end
end

check.case("libtcpmulti exports the functions of tcpmulti.h", function(found, looked)
  compare(found, looked, shared, declared "core/include/tcpmulti.h")
end)

local function find_variables(found, looked, library)
  for _, line in ipairs(check.output(("objdump -t '%s'"):format(library))) do
    local section, name = line:match "^%x+ .......%s(%S+)%s+%x+%s+(.*)$"
    if section and line:match "^%x+ ......O" then
      looked()
      -- .data.rel.ro: const, but for the addresses in it.
      local constant = section:match "^%.rodata" or section:match "^%.data%.rel%.ro"
      if not constant then found("%s: variable %s in %s", library, name, section) end
    end
  end
end

check.case("libtcpmulti has no variables", function(found, looked)
  find_variables(found, looked, archive)
end)

if build == "release" then
  check.case("a release build neither prints nor aborts", function(found, looked)
    local banned = { abort = true, __assert_fail = true, tcpm__assert_fail = true, stderr = true,
      stdout = true, exit = true, _exit = true }
    for _, line in ipairs(check.output(("nm '%s'"):format(archive))) do
      local name = line:match "^%s*%x*%s+%a ([%w_]+)"
      if name then looked() end
      if banned[name] then found("%s", line) end
    end
  end)
end

check.case("libtcpmulti needs no Lua", function(found, looked)
  for _, line in ipairs(check.output(("nm -D --undefined-only '%s'"):format(shared))) do
    looked()
    if line:match "%f[%w_]lua" then found("%s", line) end
  end
end)

if host_library then
  check.case("libtcpmulti-lua exports the functions of tcpmulti_lua.h", function(found, looked)
    compare(found, looked, host_library, declared "lua/include/tcpmulti_lua.h")
  end)

  check.case("the module exports its functions for require", function(found, looked)
    local expected = { "luaopen_tcpmulti", "luaopen_tcpmulti_co" }
    for _, path in ipairs(check.files("lua/job", ".lua")) do
      local name = path:match "^lua/job/(.*)%.lua$":gsub("/", "_")
      expected[#expected + 1] = "luaopen_tcpmulti_" .. name
    end
    compare(found, looked, module, expected)
  end)

  check.case("the module is not linked to LuaJIT: a host has its own", function(found, looked)
    for _, line in ipairs(check.output(("readelf -d '%s'"):format(module))) do
      if line:match "NEEDED" then
        looked()
        if line:match "lua" or line:match "libtcpmulti" then found("%s", line) end
      end
    end
  end)

  check.case("the binding has no variables", function(found, looked)
    find_variables(found, looked, binding)
  end)
end

check.main()
