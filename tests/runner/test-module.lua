-- SPDX-License-Identifier: MIT
-- require "tcpmulti" in a plain luajit, by package.cpath: the same module without the runner.
local harness = require "scripts.harness"
local support = require "runner.support"
local expect = support.expect

local folder = arg[1]:match "^(.*/)"

local function luajit(text)
  local path = support.script(("package.cpath = %q\n"):format(folder .. "?.so") .. text)
  return harness.run("luajit", { path })
end

harness.case("it loads, and makes nothing global", function()
  expect(luajit [[
    local before = {}
    for name in pairs(_G) do before[name] = true end
    local tcpmulti = require "tcpmulti"
    for name in pairs(_G) do assert(before[name], name) end
    print(type(tcpmulti.create), type(tcpmulti.peer))]], 0, "function\tfunction\n", "")
end)

harness.case("what a script has made of its globals before does not reach it", function()
  expect(luajit [[
    local require, print, pcall = require, print, pcall
    local names, libraries = {}, { string, table, math, debug }
    for name in pairs(_G) do names[#names + 1] = name end
    local G, set_strings = _G, debug.setmetatable
    for _, library in ipairs(libraries) do
      for name in pairs(library) do library[name] = "mine" end
    end
    set_strings("", nil)
    for i = 1, #names do
      local name = names[i]
      if name ~= "tostring" then G[name] = "mine" end
    end
    local tcpmulti = require "tcpmulti"
    print(pcall(tcpmulti.create, { on_inptu = print }))
    local session = tcpmulti.create {
      inline_states = { go = function(s, a) print("go", a) s:delay("go", 5) s:delay("go") end } }
    session:yield("go", 7)
    tcpmulti.run()
    print(G.string, G.next, (pcall(function() return ("x").len end)))]], 0,
    "false\ttcpmulti.create: unknown option 'on_inptu' (did you mean 'on_input'?)\n" ..
    "go\t7\nmine\tmine\tfalse\n", "")
end)

harness.case("it connects, runs and ends", function()
  local function answer(line) return line .. "!\r\n" end
  local port = harness.line_server("127.0.0.1", "welcome\r\n", answer)
  expect(luajit(([[
    local tcpmulti = require "tcpmulti"
    local session = tcpmulti.create {
      on_input = function(cheap, line)
        print(line)
        if line == "welcome" then tcpmulti.send(cheap, "hello") else tcpmulti.shutdown(cheap) end
      end,
      on_disconnected = function(_, _, reason) print(reason) end }
    session:connect("127.0.0.1", %d)
    tcpmulti.run()
    print "behind"]]):format(port)), 0, "welcome\nhello!\nshutdown\nbehind\n", "")
end)

harness.case("run raises what a handler raises", function()
  expect(luajit [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) s:yield "go" end, go = function() error "from a state" end } }
    local good, message = pcall(tcpmulti.run)
    print(good, message:match "from a state", message:match "stack traceback")]], 0,
    "false\tfrom a state\tstack traceback\n", "")
end)

harness.case("a state that is closed in the middle of everything leaves quietly", function()
  local port = harness.line_server("127.0.0.1", "welcome\r\n", function(line) return line end)
  expect(luajit(([[
    local tcpmulti = require "tcpmulti"
    local session = tcpmulti.create {
      on_input = function() tcpmulti.stop() end,
      on_disconnected = function() print "never" end }
    for _ = 1, 10 do session:connect("127.0.0.1", %d) end
    session:delay(function() end, 3600)
    tcpmulti.run()
    tcpmulti.connect = nil
    print(session:count() > 0)]]):format(port)), 0, "true\n", "")
end)

harness.case("standard descriptors that are closed do no harm", function()
  local path = support.script(("package.cpath = %q\n"):format(folder .. "?.so") .. [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create {}:connect("127.0.0.1", 1)
    tcpmulti.run()]])
  for _, closed in ipairs { "<&-", "<&- >&-", "<&- >&- 2>&-" } do
    expect(harness.run("sh", { "-c", ("luajit '%s' %s"):format(path, closed) }), 0, "", "")
  end
end)

harness.main(30)
