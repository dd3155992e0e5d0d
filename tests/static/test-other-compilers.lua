-- SPDX-License-Identifier: MIT
-- What compilers other than that of the build say about the library and the binding, and about the
-- tests: clang with all that it knows about signs, and both with 32-bit pointers.
-- usage: test-other-compilers.lua CLANG BUILD-DIRECTORY PARTS
--   PARTS: the C file of what is written in Lua, below the directory
local check = require "static.check"

local clang, parts = arg[1], arg[2] .. "/" .. arg[3]

-- With assertions, as that is what the release build does not compile, and all libraries.
local strict = "-fsyntax-only -std=c11 -D_GNU_SOURCE -DTCPM__ASSERTIONS -Werror -Wall -Wextra "
  .. "-Wconversion -Wshadow -Wformat=2 -Icore -Icore/include -Ilua -Ilua/include "
  .. "-DTCPM_HAVE_CARES -DCARES_NO_DEPRECATED -DTCPM_HAVE_IDN2 "
  .. "-DTCPM_HAVE_OPENSSL -DRUNNER_SCRIPTS='\"\"'"

-- The sample breaks rules on purpose, and is never compiled.
local function sources(...)
  local paths = {}
  for _, folder in ipairs { ... } do
    for _, path in ipairs(check.files(folder, ".c")) do
      if not path:find("static/sample/", 1, true) then paths[#paths + 1] = path end
    end
  end
  return paths
end

local function compile(compiler, paths, found, looked)
  local command = "cd '%s' && %s %s "
    .. "$(pkg-config --cflags libuv luajit cmocka libcares libidn2 openssl) "
    .. "'%s' 2>&1; echo $?"
  for _ = 1, #paths do looked() end
  local lines = check.output(command:format(check.root, compiler, strict,
    table.concat(paths, "' '")))
  if table.remove(lines) ~= "0" then found("%s: %s", compiler, table.concat(lines, "\n")) end
end

local function ours()
  local paths = sources("core", "lua")
  paths[#paths + 1] = parts
  return paths
end

check.case("clang has no warning, of signs neither", function(found, looked)
  compile(("'%s' -Wsign-conversion"):format(clang), ours(), found, looked)
end)

check.case("clang has no warning of the tests", function(found, looked)
  local options = " -Itests/capi -Itests/peer -Itests/layer -Itests/unit -Itests/names "
    .. "-Itests/fuzz -Itests/torture -Itests/bench -Itests/tls "
    .. "-DPUBLIC_HEADER='\"\"' -DVERSION='\"\"' -DFUZZ_SCRIPT='\"\"'"
  compile(("'%s'"):format(clang) .. options, sources "tests", found, looked)
end)

-- The headers of the 32-bit C library are there for this processor only. Those of the kernel are
-- the same for both, and lie where a 32-bit compiler does not look by itself.
if require "ffi".arch == "x64" then
  check.case("no warning with pointers of 32 bits", function(found, looked)
    local bits = " -m32 -idirafter /usr/include/x86_64-linux-gnu"
    compile("gcc" .. bits, ours(), found, looked)
    compile(("'%s' -Wsign-conversion"):format(clang) .. bits, ours(), found, looked)
  end)
end

check.main()
