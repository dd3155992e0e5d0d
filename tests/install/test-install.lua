-- SPDX-License-Identifier: MIT
-- meson install into an empty directory, and what a user then builds on it with pkg-config.
-- usage: test-install.lua BUILD-DIRECTORY
local harness = require "scripts.harness"

local build, source = arg[1], os.getenv "TCPMULTI_SOURCE" .. "/tests/install/"
local root = build .. "/tests/install/tree"

-- Runs a shell command in which $root is the tree and $source this folder; its standard output.
local function shell(command, what)
  local words = { "root='" .. root .. "' source='" .. source .. "'", command }
  local run = harness.run("sh", { "-c", table.concat(words, "\n") })
  harness.equal(0, run.code, ("%s: %s\n%s"):format(what or command, run.output(), run.errors()))
  return run.output(), run.errors()
end

-- pkg-config's answer for a user who has the tree as it is.
local function flags(words)
  return (shell([[PKG_CONFIG_PATH="$(dirname "$(find "$root" -name tcpmulti.pc)")" pkg-config ]]
    .. words):gsub("\n", " "))
end

-- Compiles with the compiler and flags, and returns the program's path.
local function compile(name, compiler, rest)
  local program = root .. "/" .. name
  shell(("%s -Wall -Wextra -Werror -o '%s' %s"):format(compiler, program, rest), name)
  return program
end

-- Where the libraries are.
local function libraries()
  return (shell [[dirname "$(find "$root" -name libtcpmulti.so)"]]:gsub("\n", ""))
end

-- Runs a program against a peer that echoes lines.
local function try_alone(program)
  local port = harness.line_server("127.0.0.1", nil, function(line) return line .. "\r\n" end)
  local run = harness.run("env", { "-u", "LD_LIBRARY_PATH", program, "127.0.0.1", port })
  harness.equal("", run.errors(), "standard error")
  harness.equal(0, run.code, "exit status")
  return run.output()
end

-- The same for a program that does not know where the libraries are.
local function try(program)
  local wrapper = program .. "-wrapper"
  local text = "#!/bin/sh\nLD_LIBRARY_PATH='%s' exec '%s' \"$@\"\n"
  harness.write_file(wrapper, text:format(libraries(), program))
  shell(("chmod 755 '%s'"):format(wrapper))
  return try_alone(wrapper)
end

local client_output = "input hello\ndisconnected shutdown\nstopped\n"

harness.case("everything is installed", function()
  shell [[rm -rf "$root"]]
  shell(("DESTDIR='%s' meson install -C '%s' --no-rebuild --quiet"):format(root, build))
  -- What an installation without DESTDIR would have written.
  shell [[find "$root" -name '*.pc' -exec sed -i "s|^prefix=|prefix=$root|" {} +]]
  local installed = shell [[cd "$root" && find . -type f -o -type l]]
  for _, name in ipairs { "bin/tcpmulti-lua", "libtcpmulti.so", "libtcpmulti.so.0", "libtcpmulti.a",
    "include/tcpmulti.h", "include/tcpmulti_lua.h", "pkgconfig/tcpmulti.pc", "libtcpmulti-lua.so",
    "pkgconfig/tcpmulti-lua.pc", "pkgconfig/tcpmulti-static.pc",
    "share/licenses/tcpmulti/LICENSE", "local/lib/lua/5.1/tcpmulti.so", "tcpmulti.lua" } do
    harness.contains(installed, "/" .. name .. "\n")
  end
end)

harness.case("C with the shared library, by pkg-config --cflags --libs", function()
  harness.equal(client_output, try(compile("client", "cc",
    "$source/client.c " .. flags "--cflags --libs tcpmulti")))
end)

harness.case("C++ with the shared library", function()
  harness.equal(client_output, try(compile("client-cpp", "c++ -x c++",
    "$source/client.c -x none " .. flags "--cflags --libs tcpmulti")))
end)

harness.case("C with the static library", function()
  local libs = flags("--static --cflags --libs tcpmulti"):gsub("%-ltcpmulti", "-l:libtcpmulti.a")
  local program = compile("client-static", "cc", "$source/client.c " .. libs)
  assert(not shell(("ldd '%s'"):format(program)):find("libtcpmulti", 1, true))
  harness.equal(client_output, try(program))
end)

harness.case("C with everything linked statically, by pkg-config tcpmulti-static", function()
  local libs = flags "--cflags --libs tcpmulti-static"
  local program = compile("client-all", "cc", "$source/client.c " .. libs)
  local needed = shell(("ldd '%s'"):format(program))
  assert(not needed:find "tcpmulti" and not needed:find "libuv", needed)
  harness.equal(client_output, try_alone(program))
  program = compile("client-static-all", "cc -static", "$source/client.c " .. libs)
  harness.equal(client_output, try_alone(program))
end)

harness.case("a prefix of its own, by -rpath", function()
  harness.equal(client_output, try_alone(compile("client-rpath", "cc", "$source/client.c "
    .. flags "--cflags --libs tcpmulti" .. " -Wl,-rpath," .. libraries())))
end)

harness.case("the headers alone, as strict C11 and as C++17", function()
  local strict = "-pedantic-errors -Wconversion -Wshadow -c $source/header.c -DWITH_LUA "
    .. flags "--cflags tcpmulti"
  for _, compiler in ipairs { "cc -std=c11 -x c", "c++ -std=c++17 -x c++" } do
    compile("header.o", compiler, strict)
  end
end)

harness.case("a host with its own Lua state, by pkg-config tcpmulti-lua", function()
  harness.equal("input\thello\ndisconnected\tshutdown\n", try(compile("host", "cc",
    "$source/host.c " .. flags "--cflags --libs tcpmulti-lua")))
end)

harness.case("the installed runner and module", function()
  local text = [[local tcpmulti = require "tcpmulti" print(type(tcpmulti.run))]]
  local runner = [["$(find "$root" -name tcpmulti-lua)" -e '%s']]
  harness.equal("function\n", shell(runner:format(text)))
  harness.equal("function\n", shell(([[
    module=$(find "$root" -name tcpmulti.so)
    LUA_CPATH="${module%%/*}/?.so" luajit -e '%s']]):format(text)))
end)

-- A project with this one as its subproject. Its libraries are what the parent asks for by name;
-- its tests and programs are not built.
harness.case("a subproject, by dependency('tcpmulti', fallback: 'tcpmulti')", function()
  local parent = build .. "/tests/install/parent"
  shell(([[rm -rf '%s'; mkdir -p '%s/subprojects' && cd '%s'
    cp "$source/parent/meson.build" "$source"/*.c .
    ln -s "$TCPMULTI_SOURCE" subprojects/tcpmulti
    meson setup --force-fallback-for=tcpmulti,tcpmulti-lua build >setup.log
    ninja -C build client host >ninja.log]]):format(parent, parent, parent), "the parent")
  harness.equal(client_output, try_alone(parent .. "/build/client"))
  harness.equal("input\thello\ndisconnected\tshutdown\n", try_alone(parent .. "/build/host"))
  harness.equal("[]", shell(("meson introspect --tests '%s/build'"):format(parent)):match "%S+")
  local targets = shell(("ninja -C '%s/build' -t targets all"):format(parent))
  harness.contains(targets, "libtcpmulti.so")
  for _, name in ipairs { "tests/", "scripts/", "lua/tcpmulti%-lua[:.]", "lua/tcpmulti%.so" } do
    assert(not targets:find(name), name)
  end
end)

-- The only example of a language in the README, as a file.
local function example(language, name)
  local file = assert(io.open(os.getenv "TCPMULTI_SOURCE" .. "/README.md"))
  local text = file:read "*a":match("\n```" .. language .. "\n(.-\n)```\n")
  file:close()
  assert(text, "the README has no example in " .. language)
  harness.write_file(root .. "/" .. name, text)
  return root .. "/" .. name, text
end

harness.case("the README's C example, 25 lines", function()
  local path, text = example("c", "hello.c")
  local lines = select(2, text:gsub("\n", ""))
  assert(lines <= 30, lines)
  local program = compile("hello", "cc", path .. " " .. flags "--cflags --libs tcpmulti libuv")
  local output = try(program)
  harness.contains(output, "hello came back as it was sent\n")
  harness.contains(output, "hello: shutdown")
end)

harness.case("the README's Lua example, 12 lines", function()
  local path, text = example("lua", "hello.lua")
  local lines = select(2, text:gsub("\n[^\n]", ""))
  assert(lines <= 14, lines)
  local output = shell([["$(find "$root" -name tcpmulti-lua)" --peer echo ]] .. path)
  local seen = 0
  for line in output:gmatch "[^\n]+" do
    assert(line:match "^hello from connection %d+$", line)
    seen = seen + 1
  end
  harness.equal(32, seen, "lines")
end)

harness.main(60)
