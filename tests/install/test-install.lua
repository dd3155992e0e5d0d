-- SPDX-License-Identifier: MIT
-- meson install into an empty directory, and what a user then builds on it with pkg-config.
-- usage: test-install.lua BUILD-DIRECTORY
local lu = require "luaunit"
local harness = require "scripts.harness"

local cases = harness.cases "Install"

local build, source = arg[1], os.getenv "TCPM_SOURCE" .. "/tests/install/"
local root = build .. "/tests/install/tree"

-- Runs a shell command in which $root is the tree and $source this folder; its standard output.
local function shell(command, what)
  local words = { "root='" .. root .. "' source='" .. source .. "'", command }
  local run = harness.run("sh", { "-c", table.concat(words, "\n") })
  lu.assertEquals(run.code, 0, ("%s: %s\n%s"):format(what or command, run.output(), run.errors()))
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
  lu.assertEquals(run.errors(), "", "standard error")
  lu.assertEquals(run.code, 0, "exit status")
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

function cases.everything_is_installed()
  shell [[rm -rf "$root"]]
  shell(("DESTDIR='%s' meson install -C '%s' --no-rebuild --quiet"):format(root, build))
  -- What an installation without DESTDIR would have written.
  shell [[find "$root" -name '*.pc' -exec sed -i "s|^prefix=|prefix=$root|" {} +]]
  local installed = shell [[cd "$root" && find . -type f -o -type l]]
  for _, name in ipairs { "bin/tcpmulti-lua", "libtcpmulti.so", "libtcpmulti.so.0", "libtcpmulti.a",
    "include/tcpmulti.h", "include/tcpmulti_lua.h", "pkgconfig/tcpmulti.pc", "libtcpmulti-lua.so",
    "pkgconfig/tcpmulti-lua.pc", "pkgconfig/tcpmulti-static.pc",
    "share/licenses/tcpmulti/LICENSE", "local/lib/lua/5.1/tcpmulti.so", "tcpmulti.lua" } do
    lu.assertStrContains(installed, "/" .. name .. "\n")
  end
end

function cases.c_with_the_shared_library_by_pkg_config_cflags_libs()
  lu.assertEquals(try(compile("client", "cc",
    "$source/client.c " .. flags "--cflags --libs tcpmulti")), client_output)
end

function cases.cxx_with_the_shared_library()
  lu.assertEquals(try(compile("client-cpp", "c++ -x c++",
    "$source/client.c -x none " .. flags "--cflags --libs tcpmulti")), client_output)
end

function cases.c_with_the_static_library()
  local libs = flags("--static --cflags --libs tcpmulti"):gsub("%-ltcpmulti", "-l:libtcpmulti.a")
  local program = compile("client-static", "cc", "$source/client.c " .. libs)
  assert(not shell(("ldd '%s'"):format(program)):find("libtcpmulti", 1, true))
  lu.assertEquals(try(program), client_output)
end

function cases.c_with_everything_linked_statically_by_pkg_config_tcpmulti_static()
  local libs = flags "--cflags --libs tcpmulti-static"
  local program = compile("client-all", "cc", "$source/client.c " .. libs)
  local needed = shell(("ldd '%s'"):format(program))
  assert(not needed:find "tcpmulti" and not needed:find "libuv", needed)
  lu.assertEquals(try_alone(program), client_output)
end

-- What libidn2 calls has its archive in a package that libidn2-dev does not bring.
function cases.c_with_everything_linked_statically_the_c_library_too()
  local libs = flags "--cflags --libs tcpmulti-static"
  lu.skipIf(libs:find "%-lidn2" and not libs:find "%-lunistring", "no libunistring-dev")
  local program = compile("client-static-all", "cc -static", "$source/client.c " .. libs)
  lu.assertEquals(try_alone(program), client_output)
end

function cases.a_prefix_of_its_own_by_rpath()
  lu.assertEquals(try_alone(compile("client-rpath", "cc", "$source/client.c "
    .. flags "--cflags --libs tcpmulti" .. " -Wl,-rpath," .. libraries())), client_output)
end

function cases.the_headers_alone_as_strict_c11_and_as_cxx17()
  local strict = "-pedantic-errors -Wconversion -Wshadow -c $source/header.c -DWITH_LUA "
    .. flags "--cflags tcpmulti"
  for _, compiler in ipairs { "cc -std=c11 -x c", "c++ -std=c++17 -x c++" } do
    compile("header.o", compiler, strict)
  end
end

function cases.a_host_with_its_own_lua_state_by_pkg_config_tcpmulti_lua()
  lu.assertEquals(try(compile("host", "cc",
    "$source/host.c " .. flags "--cflags --libs tcpmulti-lua")),
    "input\thello\ndisconnected\tshutdown\n")
end

function cases.the_installed_runner_has_each_script_by_its_name()
  local runner, sources = [["$(find "$root" -name tcpmulti-lua)"]], "$TCPM_SOURCE/scripts/"
  local known = shell(runner .. " -m no-such-script 2>&1 || true"):match "there are ([^\n]*)"
  lu.assertEquals(known,
    (shell("cd " .. sources .. " && ls *.lua"):gsub("%.lua\n", ", "):gsub(", $", "")))
  lu.assertEquals(shell(runner .. " --peer echo -m echo"),
    "30 connections, 6000 bytes: 30 came back as sent, 0 did not\n")
end

-- The jobs among the scripts, from the tree in which they are built and from the installed one.
function cases.jobs_run_by_their_names()
  local port = harness.line_server("127.0.0.1", "220 ready\r\n", function() return nil end)
  local address = harness.address()
  local installed = [["$(find "$root" -name tcpmulti-lua)"]]
  for _, runner in ipairs { build .. "/lua/tcpmulti-lua", installed } do
    local function job(words) return shell(runner .. " -m " .. words) end
    lu.assertStrContains(job(("banner -q -f text -p %d 127.0.0.1"):format(port)), "220 ready")
    lu.assertEquals(job(("portscan -q -p %d,9 127.0.0.1"):format(port)),
      ("127.0.0.1 %d\n"):format(port))
    for _, name in ipairs { "banner", "http_head", "portscan", "smtp_probe", "tls_expiry" } do
      local plan = job(name .. " --dry-run -p 9 " .. address)
      lu.assertStrContains(plan, "  " .. address .. " port 9\n")
      lu.assertStrContains(job(name .. " --help"), "usage: " .. name .. ".lua [OPTION...]")
    end
    local lines = root .. "/lines"
    shell(("rm -f '%s'"):format(lines))
    job(("banner -q -p %d 127.0.0.1 -o '%s'"):format(port, lines))
    lu.assertStrContains(job(("report '%s'"):format(lines)), "1 target in ")
    shell(("echo '127.0.0.1:%d expect ready' >'%s'"):format(port, lines))
    lu.assertStrContains(job(("health '%s'"):format(lines)), "ok     127.0.0.1:" .. port)
  end
end

function cases.the_manual_page_is_installed()
  lu.skipIf(not io.open(build .. "/lua/tcpmulti-lua.1"), "no scdoc")
  local page = shell [[cat "$(find "$root" -path '*/man/man1/tcpmulti-lua.1')"]]
  lu.assertStrContains(page, "OPTIONS OF JOBS")
end

function cases.the_installed_runner_and_module()
  local text = [[local tcpmulti = require "tcpmulti" print(type(tcpmulti.run))]]
  local runner = [["$(find "$root" -name tcpmulti-lua)" -e '%s']]
  lu.assertEquals(shell(runner:format(text)), "function\n")
  lu.assertEquals(shell(([[
    module=$(find "$root" -name tcpmulti.so)
    LUA_CPATH="${module%%/*}/?.so" luajit -e '%s']]):format(text)), "function\n")
end

-- A project with this one as its subproject. Its libraries are what the parent asks for by name;
-- its tests and programs are not built.
function cases.a_subproject_by_dependency_tcpmulti_fallback_tcpmulti()
  local parent = build .. "/tests/install/parent"
  shell(([[rm -rf '%s'; mkdir -p '%s/subprojects' && cd '%s'
    cp "$source/parent/meson.build" "$source"/*.c .
    ln -s "$TCPM_SOURCE" subprojects/tcpmulti
    meson setup --force-fallback-for=tcpmulti,tcpmulti-lua build >setup.log
    ninja -C build client host >ninja.log]]):format(parent, parent, parent), "the parent")
  lu.assertEquals(try_alone(parent .. "/build/client"), client_output)
  lu.assertEquals(try_alone(parent .. "/build/host"), "input\thello\ndisconnected\tshutdown\n")
  lu.assertEquals(shell(("meson introspect --tests '%s/build'"):format(parent)):match "%S+", "[]")
  local targets = shell(("ninja -C '%s/build' -t targets all"):format(parent))
  lu.assertStrContains(targets, "libtcpmulti.so")
  for _, name in ipairs { "%f[%w]tests/", "%f[%w]scripts/", "lua/tcpmulti%-lua[:.]",
    "lua/tcpmulti%.so" } do
    assert(not targets:find(name), name)
  end
end

-- The first example of a language in the README, as a file.
local function example(language, name)
  local file = assert(io.open(os.getenv "TCPM_SOURCE" .. "/README.md"))
  local text = file:read "*a":match("\n```" .. language .. "\n(.-\n)```\n")
  file:close()
  assert(text, "the README has no example in " .. language)
  harness.write_file(root .. "/" .. name, text)
  return root .. "/" .. name, text
end

function cases.the_readmes_c_example_25_lines()
  local path, text = example("c", "hello.c")
  local lines = select(2, text:gsub("\n", ""))
  assert(lines <= 30, lines)
  local program = compile("hello", "cc", path .. " " .. flags "--cflags --libs tcpmulti libuv")
  local output = try(program)
  lu.assertStrContains(output, "hello came back as it was sent\n")
  lu.assertStrContains(output, "hello: shutdown")
end

function cases.the_readmes_lua_example_12_lines()
  local path, text = example("lua", "hello.lua")
  local lines = select(2, text:gsub("\n[^\n]", ""))
  assert(lines <= 14, lines)
  local output = shell([["$(find "$root" -name tcpmulti-lua)" --peer echo ]] .. path)
  local seen = 0
  for line in output:gmatch "[^\n]+" do
    assert(line:match "^hello from connection %d+$", line)
    seen = seen + 1
  end
  lu.assertEquals(seen, 32, "lines")
end

harness.main(cases, 150) -- one case compiles everything
