-- What compilers other than that of the build say about the library and the binding: clang with all
-- that it knows about signs, and both with 32-bit pointers.
-- usage: compilers.lua CLANG BUILD-DIRECTORY PARTS
--   PARTS: the C file of what is written in Lua, below the directory
local check = require "static.check"

local clang, parts = arg[1], arg[2] .. "/" .. arg[3]

local strict = "-fsyntax-only -std=c11 -D_GNU_SOURCE -Werror -Wall -Wextra -Wconversion -Wshadow "
  .. "-Wformat=2 -Icore -Icore/include -Ilua -Ilua/include"

local function sources()
  local paths = { parts }
  for _, folder in ipairs { "core", "lua" } do
    for _, path in ipairs(check.files(folder, ".c")) do paths[#paths + 1] = path end
  end
  return paths
end

local function compile(compiler, found, looked)
  local command = "cd '%s' && %s %s $(pkg-config --cflags libuv luajit) '%s' 2>&1; echo $?"
  local paths = sources()
  for _ = 1, #paths do looked() end
  local lines = check.output(command:format(check.root, compiler, strict,
    table.concat(paths, "' '")))
  if table.remove(lines) ~= "0" then found("%s: %s", compiler, table.concat(lines, "\n")) end
end

check.case("clang has no warning, of signs neither", function(found, looked)
  compile(("'%s' -Wsign-conversion"):format(clang), found, looked)
end)

-- The headers of the 32-bit C library are there for this processor only.
if require "ffi".arch == "x64" then
  check.case("32-bit builds have no warning", function(found, looked)
    compile("gcc -m32", found, looked)
    compile(("'%s' -m32 -Wsign-conversion"):format(clang), found, looked)
  end)
end

check.main()
