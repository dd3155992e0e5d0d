-- SPDX-License-Identifier: MIT
-- LuaJIT does not verify bytecode, so a damaged chunk crashes it: scripts are text, whatever loads
-- them, unless --allow-bytecode is given.
local lu = require "luaunit"
local harness = require "scripts.harness"
local support = require "runner.support"
local expect, run = support.expect, support.run

local cases = harness.cases "Bytecode"

local bytecode = string.dump(loadstring("print('compiled', ...)", "=compiled"))

local function write_bytecode(name) return support.script(bytecode, name or "compiled.lua") end

function cases.a_script_in_bytecode()
  local path = write_bytecode()
  expect(run { path }, 1, "", path .. ": this is LuaJIT bytecode, refused without --allow-bytecode")
  expect(run { "--allow-bytecode", path, "a" }, 0, "compiled\ta\n", "")
end

function cases.a_script_in_bytecode_on_standard_input()
  expect(run({ "-" }, { stdin = bytecode }), 1, "", "--allow-bytecode")
  expect(run({ "--allow-bytecode", "-" }, { stdin = bytecode }), 0, "compiled\n", "")
end

local loaders = {
  load = "assert(load(function() local b = bytes bytes = nil return b end))()",
  ["load of a string"] = "assert(load(bytes, 'name', 'bt', {print = print}))()",
  ["load with mode b"] = "assert(load(bytes, 'name', 'b'))()",
  loadstring = "assert(loadstring(bytes))()",
  loadfile = "assert(loadfile(path))()",
  ["loadfile with mode b"] = "assert(loadfile(path, 'b'))()",
  dofile = "dofile(path)",
  require = "package.path = path:match('^(.*/)') .. '?.lua' require 'compiled'",
  ["string.dump and back"] = "loadstring(string.dump(function() print 'compiled' end))()",
}

for name, chunk in pairs(loaders) do
  cases["bytecode by " .. name] = function()
    local text = "path = arg[1] local file = assert(io.open(path, 'rb')) bytes = file:read '*a' "
      .. "file:close() " .. chunk
    local script, path = support.script(text), write_bytecode()
    local refused = run { script, path }
    lu.assertEquals(refused.code, 1, "exit status, " .. refused.errors())
    lu.assertEquals(refused.output(), "", "standard output")
    local allowed = run { "--allow-bytecode", script, path }
    lu.assertEquals(allowed.code, 0, "exit status when allowed, " .. allowed.errors())
    lu.assertStrContains(allowed.output(), "compiled")
  end
end

function cases.text_is_loaded_as_ever()
  local path = support.script("return { answer = 42 }", "answer.lua")
  local text = [[
    package.path = arg[1]:match('^(.*/)') .. '?.lua'
    assert(require 'answer'.answer == 42)
    assert(dofile(arg[1]).answer == 42)
    assert(loadfile(arg[1])().answer == 42)
    assert(loadstring("return ...")(7) == 7)
    assert(load("return x", "name", "t", { x = 1 })() == 1)
    assert(select("#", load("return", "name", "t", nil)()) == 0)
    local parts = { "return ", "1 + ", "2" }
    assert(load(function() return table.remove(parts, 1) end)() == 3)
    local bad, message = load("x = = 1", "=chunk")
    assert(bad == nil and message:find("chunk:1:", 1, true), message)
    local missing, why = pcall(require, "no.such.module")
    assert(not missing and why:find("no/such/module.lua", 1, true), why)
    print "fine"]]
  expect(run { support.script(text), path }, 0, "fine\n", "")
end

harness.main(cases, 30)
