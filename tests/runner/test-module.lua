-- SPDX-License-Identifier: MIT
-- require "tcpmulti" in a plain luajit, by package.cpath: the same module without the runner.
local harness = require "scripts.harness"
local support = require "runner.support"
local expect = support.expect

local cases = harness.cases "Module"

local folder = arg[1]:match "^(.*/)"

local function luajit(text)
  local path = support.script(("package.cpath = %q\n"):format(folder .. "?.so") .. text)
  return harness.run("luajit", { path })
end

function cases.it_loads_and_makes_nothing_global()
  expect(luajit [[
    local before = {}
    for name in pairs(_G) do before[name] = true end
    local tcpmulti = require "tcpmulti"
    for name in pairs(_G) do assert(before[name], name) end
    print(type(tcpmulti.create), type(tcpmulti.peer))]], 0, "function\tfunction\n", "")
end

function cases.what_a_script_has_made_of_its_globals_before_does_not_reach_it()
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
end

-- A module by itself: it opens no loop, and finds those that it needs.
function cases.modules_of_jobs_are_there_before_the_module_itself()
  expect(luajit [[
    -- The least of some counts: ls may see the end of the pipe that popen is about to close.
    local function descriptors()
      local least = math.huge
      for _ = 1, 5 do
        local pipe = io.popen "ls /proc/$PPID/fd | wc -l"
        least = math.min(least, pipe:read "*n")
        pipe:close()
      end
      return least
    end
    local before, names = descriptors(), {}
    for name in pairs(_G) do names[name] = true end
    local targets = require "tcpmulti.targets"
    print(assert(targets.plan { { words = { "127.0.0.0/30:1-2" } } }).total)
    print(require "tcpmulti.histogram".new().count, require "tcpmulti.targets" == targets)
    print(descriptors() - before, package.loaded.tcpmulti)
    for name in pairs(_G) do assert(names[name], name) end
    local tcpmulti = require "tcpmulti"
    print(type(tcpmulti.create), require "tcpmulti.targets" == targets)]], 0,
    "8\n0\ttrue\n0\tnil\nfunction\ttrue\n", "")
end

function cases.tasks_are_there_before_the_module_itself()
  expect(luajit [[
    local co = require "tcpmulti.co"
    print(type(co.run), type(require "tcpmulti".create), require "tcpmulti.co" == co)]], 0,
    "function\tfunction\ttrue\n", "")
end

function cases.Y124_tasks_run_in_a_plain_luajit()
  local function answer(line) return line .. "\r\n" end
  local port = harness.line_server("127.0.0.1", "welcome\r\n", answer)
  expect(luajit(([[
    local tcpmulti, co = require "tcpmulti", require "tcpmulti.co"
    local session = tcpmulti.create {}
    local function talk(word)
      local cheap = co.try(co.open("127.0.0.1", %d))
      co.try(cheap:expect { "^welcome", timeout = 20 })
      cheap:send(word)
      return (co.try(cheap:receive(nil, 20)))
    end
    print(co.run(session, function()
      co.sleep(0.001)
      return co.each({ "one", "two" }, 1, talk, print)
    end))
    print(co.run(session, print))
    print(pcall(co.run, tcpmulti.create {}, function() co.queue(1, "jobs"):get() end))]])
    :format(port)), 0, "one\tone\ntwo\ttwo\n2\t0\nnil\tsession is dying\tESHUTDOWN\n"
    .. "false\tdeadlock: task 'main' waits for queue:get 'jobs'\n", "")
end

function cases.it_connects_runs_and_ends()
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
end

function cases.run_raises_what_a_handler_raises()
  expect(luajit [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create { inline_states = {
      _start = function(s) s:yield "go" end, go = function() error "from a state" end } }
    local good, message = pcall(tcpmulti.run)
    print(good, message:match "from a state", message:match "stack traceback")]], 0,
    "false\tfrom a state\tstack traceback\n", "")
end

function cases.a_state_that_is_closed_in_the_middle_of_everything_leaves_quietly()
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
end

function cases.standard_descriptors_that_are_closed_do_no_harm()
  local path = support.script(("package.cpath = %q\n"):format(folder .. "?.so") .. [[
    local tcpmulti = require "tcpmulti"
    tcpmulti.create {}:connect("127.0.0.1", 1)
    tcpmulti.run()]])
  for _, closed in ipairs { "<&-", "<&- >&-", "<&- >&- 2>&-" } do
    expect(harness.run("sh", { "-c", ("luajit '%s' %s"):format(path, closed) }), 0, "", "")
  end
end

harness.main(cases, 30)
