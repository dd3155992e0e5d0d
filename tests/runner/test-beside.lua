-- SPDX-License-Identifier: MIT
-- require in a script: modules beside the script, and the packages that lua/README.md names.
local lu = require "luaunit"
local harness = require "scripts.harness"
local support = require "runner.support"
local expect = support.expect

local cases = harness.cases "Beside"

-- A directory with a script, and modules beside it.
local function project(text)
  local path = support.script(text, "main.lua")
  local directory = path:match "^(.*)/"
  harness.run("mkdir", { directory .. "/parts", directory .. "/other" })
  harness.write_file(directory .. "/mymodule.lua", "return 'my module ' .. ...")
  harness.write_file(directory .. "/parts/init.lua", "return 'parts of ' .. ...")
  harness.write_file(directory .. "/parts/one.lua", "return 'one of ' .. ...")
  return directory, path
end

local require_all = [[
  print(require "mymodule", require "parts", require "parts.one")
  print(package.path:find(%q, 1, true))]]
local all = "my module mymodule\tparts of parts\tone of parts.one\n"

function cases.a_module_beside_the_script_is_found_from_wherever_it_is_started()
  local directory, path = project ""
  local front = ("%s/?.lua;%s/?/init.lua;"):format(directory, directory)
  harness.write_file(path, require_all:format(front))
  expect(support.run({ path }, { cwd = "/" }), 0, all .. ("1\t%d\n"):format(#front), "")
end

function cases.a_script_that_is_named_without_a_directory_or_by_a_relative_one()
  local directory = project(require_all:format("./?.lua;./?/init.lua;"))
  expect(support.run({ "main.lua" }, { cwd = directory }), 0, all .. "1\t21\n", "")
  local run = support.run({ "../main.lua" }, { cwd = directory .. "/other" })
  expect(run, 0, nil, "")
  lu.assertStrContains(run.output(), all)
end

function cases.a_script_behind_a_link_finds_its_own_modules()
  local directory = project(require_all:format "in no path")
  harness.run("ln", { "-s", "../main.lua", directory .. "/other/tool" })
  expect(support.run({ directory .. "/other/tool" }, { cwd = "/" }), 0, all .. "nil\n", "")
end

function cases.what_lies_beside_comes_before_lua_path_and_the_built_in_before_both()
  local directory, path = project [[
    print(require "mymodule", require "elsewhere", type(require "tcpmulti".create))]]
  harness.write_file(directory .. "/tcpmulti.lua", "error 'never'")
  harness.write_file(directory .. "/other/mymodule.lua", "error 'never'")
  harness.write_file(directory .. "/other/elsewhere.lua", "return 'else'")
  local run = harness.run("env", { ("LUA_PATH=%s/other/?.lua"):format(directory), support.runner,
    path })
  expect(run, 0, "my module mymodule\telse\tfunction\n", "")
end

function cases.a_chunk_before_the_script_finds_them_too()
  local _, path = project "print 'script'"
  expect(support.run({ "-e", "print(require 'mymodule')", path }, { cwd = "/" }), 0,
    "my module mymodule\nscript\n", "")
end

function cases.from_standard_input_and_option_e_what_lies_in_the_current_directory_as_luajit()
  local directory = project ""
  local text = "print(require 'mymodule', package.path)"
  local paths = harness.run("luajit", { "-e", "print(package.path)" }, { cwd = directory })
  local expected = "my module mymodule\t" .. paths.output()
  if paths.output():sub(1, 8) ~= "./?.lua;" then -- LUA_PATH may be without it
    expected, text = "my module mymodule\n", "package.path = './?.lua' print(require 'mymodule')"
  end
  expect(support.run({ "-" }, { cwd = directory, stdin = text }), 0, expected, "")
  expect(support.run({ "-e", text }, { cwd = directory }), 0, expected, "")
end

function cases.a_module_that_is_not_there_all_places_are_named()
  local directory, path = project "require 'no.such'"
  local run = support.run { path }
  expect(run, 1, "", directory .. "/no/such.lua'")
  lu.assertStrContains(run.errors(), directory .. "/no/such/init.lua'")
end

-- ---- the lines of lua/README.md ----

local readme = assert(io.open(os.getenv("TCPM_SOURCE") .. "/lua/README.md")):read "*a"
local section = readme:match "\n### Modules\n(.-)\n### "
local count = 0
local row = "\n| (%w[^|\n]-) | ([^|\n]+) | `([^|\n]+)` | `([^|\n]+)` |"
for what, package, line, prints in section:gmatch(row) do
  count = count + 1
  cases["the README's line: " .. what] = function()
    local module = line:match 'require "([%w.]+)"'
    local optional = package:find "from Debian 13 on"
    if optional and harness.run("luajit", { "-e", "require '" .. module .. "'" }).code ~= 0 then
      return
    end
    expect(support.chunk(line), 0, prints:gsub(" ", "\t") .. "\n", "")
  end
end
function cases.the_readme_has_such_lines() lu.assertEquals(count, 4) end

harness.main(cases, 30)
