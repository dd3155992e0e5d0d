-- SPDX-License-Identifier: MIT
-- tcpmulti-lua -m NAME: the scripts that come with the program, in a build tree and installed.
local lu = require "luaunit"
local uv = require "luv"
local harness = require "scripts.harness"
local support = require "runner.support"
local expect, run = support.expect, support.run

local cases = harness.cases "NamedScripts"

local source = os.getenv "TCPM_SOURCE"
local folder = uv.fs_realpath(source .. "/scripts")

-- A build tree may lie elsewhere: then there are no scripts beside it.
local function skip_elsewhere()
  local beside = support.runner:match "^(.*)/[^/]*/lua/[^/]*$"
  lu.skipIf(beside ~= uv.fs_realpath(source), "the build tree is not in the source")
end

-- The names of the scripts in the source, sorted, in one line.
local function names_of_source()
  local names = {}
  for entry in uv.fs_scandir_next, uv.fs_scandir(folder) do
    names[#names + 1] = entry:match "^(.*)%.lua$"
  end
  table.sort(names)
  return table.concat(names, ", ")
end

-- Prints arg and ... and ends the program, in front of the script.
local show = [[
  local words = {}
  for i = -9, 9 do if arg[i] then words[#words + 1] = i .. "=" .. arg[i] end end
  print(table.concat(words, " "), #arg, ...)]]

function cases.a_build_tree_has_the_scripts_of_the_source()
  skip_elsewhere()
  expect(run { "--peer", "echo", "-m", "echo" }, 0,
    "30 connections, 6000 bytes: 30 came back as sent, 0 did not\n", "")
  local told = run { "-e", show .. " os.exit()", "-m", "echo", "a" }
  expect(told, 0, nil, "")
  lu.assertStrContains(told.output(), "-1=-m 0=" .. folder .. "/echo.lua 1=a\t1")
end

function cases.an_unknown_name_exit_2_and_the_names_there_are()
  skip_elsewhere()
  local names = names_of_source()
  lu.assertStrContains(names, "demo, echo")
  for _, name in ipairs { "bannr", "", "../scripts/echo", "/etc/passwd", "echo.lua", "-" } do
    local refused = run { "-m", name }
    local what = name == "" and "-m knows no script" or "-m knows no script " .. name
    expect(refused, 2, "", what .. "; there are " .. names .. "\n")
    lu.assertStrContains(refused.errors(), "usage: tcpmulti-lua")
  end
  expect(run { "-m" }, 2, "", "-m; expected a name behind it; there are " .. names)
  expect(run { "-M", "echo" }, 2, "", "unknown option -M; did you mean -m?")
end

-- A tree as meson installs it, with these scripts; returns the path of its program.
local function install(scripts)
  local root = uv.fs_realpath(harness.directory())
  local data = "/share/tcpmulti"
  for _, path in ipairs { "/bin", "/share", data, scripts and data .. "/scripts" } do
    assert(uv.fs_mkdir(root .. path, 493))
  end
  assert(uv.fs_copyfile(support.runner, root .. "/bin/tcpmulti-lua"))
  for name, text in pairs(scripts or {}) do
    harness.write_file(("%s%s/scripts/%s"):format(root, data, name), text)
  end
  return root .. "/bin/tcpmulti-lua", root
end

function cases.an_installed_program_has_the_scripts_among_its_data_arg_as_for_any_script()
  local program, root = install { ["show.lua"] = show }
  local path = root .. "/share/tcpmulti/scripts/show.lua"
  local function told(...) return harness.run(program, { ... }) end
  expect(told("-m", "show", "a", "-x"), 0,
    ("-2=%s -1=-m 0=%s 1=a 2=-x\t2\ta\t-x\n"):format(program, path), "")
  expect(told("-mshow"), 0, ("-1=%s 0=%s\t0\n"):format(program, path), "")
  expect(told("-e", "x=1", "-m", "show", "--", "--"), 0,
    ("-4=%s -3=-e -2=x=1 -1=-m 0=%s 1=--\t1\t--\n"):format(program, path), "")
end

function cases.a_link_to_the_program_finds_the_scripts_and_these_find_modules_beside_them()
  local program, root = install { ["show.lua"] = "print(require 'beside')",
    ["beside.lua"] = "return 'found'" }
  assert(uv.fs_symlink(program, root .. "/linked"))
  expect(harness.run(root .. "/linked", { "-m", "show" }), 0, "found\n", "")
end

function cases.scripts_that_raise_or_do_not_parse_exit_1_with_file_and_line()
  local program, root = install { ["raise.lua"] = "\nerror 'wrong'", ["broken.lua"] = "x = = 1" }
  local path = root .. "/share/tcpmulti/scripts/"
  expect(harness.run(program, { "-m", "raise" }), 1, "", path .. "raise.lua:2: wrong")
  expect(harness.run(program, { "-m", "broken" }), 1, "", path .. "broken.lua:1: ")
end

function cases.only_names_that_end_in_lua_are_named()
  local program = install { ["one.lua"] = "", ["two.lua"] = "", [".lua"] = "", ["README"] = "",
    ["old.lua.orig"] = "" }
  expect(harness.run(program, { "-m", "three" }), 2, "",
    "-m knows no script three; there are one, two\n")
end

function cases.names_that_do_not_fit_into_the_message_are_cut()
  local scripts = {}
  for i = 1, 60 do scripts[("x"):rep(200) .. i .. ".lua"] = "" end
  local refused = harness.run(install(scripts), { "-m", ("y"):rep(5000) })
  expect(refused, 2, "", "-m knows no script yyyy")
  assert(#refused.errors() < 4096, #refused.errors())
end

function cases.no_scripts_at_all_exit_2_and_what_to_do()
  expect(harness.run(install(), { "-m", "show" }), 2, "",
    "-m knows no script show; the scripts are not installed: give the file")
  expect(harness.run(install {}, { "-m", "show" }), 2, "",
    "-m knows no script show; there are none")
end

harness.main(cases, 30)
