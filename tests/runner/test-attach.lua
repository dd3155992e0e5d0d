-- SPDX-License-Identifier: MIT
-- tcpmulti.attach: connections on luv's loop, in a plain luajit and in Neovim, which run it.
-- usage: luajit test-attach.lua RUNNER MODULE.SO OTHER_LUV.SO
local lu = require "luaunit"
local harness = require "scripts.harness"
local support = require "runner.support"
local expect = support.expect

local cases = harness.cases "Attach"

local function folder_of(path) return assert(require "luv".fs_realpath(path)):match "^(.*/)" end
local folder, other = folder_of(arg[2]), folder_of(arg[3])

-- What all scripts begin with: both modules, in either order of their require, and an echo server.
local HEAD = [[
local FIRST = %q
package.cpath = %q .. package.cpath
local uv = FIRST == "luv" and (NVIM and vim.loop or require "luv")
local tcpmulti = require "tcpmulti"
uv = uv or (NVIM and vim.loop or require "luv")
local server = uv.new_tcp()
server:bind("127.0.0.1", 0)
server:listen(128, function()
  local client = uv.new_tcp()
  server:accept(client)
  client:read_start(function(_, bytes)
    if bytes then client:write(bytes) else client:close() end
  end)
end)
local PORT = server:getsockname().port
-- luv crashes when the state is closed before the loop has closed what is closing.
local function close() server:close() uv.run() end
-- A connection that says hello, prints the answer and how it ended, and calls ended().
local function talk(ended)
  local session = tcpmulti.create {
    on_success = function(cheap) cheap:send "hello" end,
    on_input = function(cheap, line) print(line) cheap:shutdown() end,
    on_disconnected = function(_, _, reason) print(reason) ended() end,
  }
  session:connect("127.0.0.1", PORT)
  return session
end
]]

local function head(first) return HEAD:format(first, folder .. "?.so;" .. other .. "?.so;") end

-- The same for each order of require.
local function luajit(text, code, output, errors)
  for _, first in ipairs { "luv", "tcpmulti" } do
    local path = support.script(head(first) .. text)
    expect(harness.run("luajit", { path }), code, output, errors)
  end
end

function cases.connections_live_in_luvs_uv_run()
  luajit([[
    print(tcpmulti.attach(uv))
    talk(function() server:close() end)
    uv.run()
    print "behind"]], 0, "true\nhello\nshutdown\nbehind\n", "")
end

function cases.Y124_tasks_run_on_luvs_loop()
  luajit([[
    tcpmulti.attach(uv)
    local co = require "tcpmulti.co"
    local session = tcpmulti.create {}
    local timer = uv.new_timer()
    print(pcall(co.run, session, print))
    session:spawn(function()
      local cheap = co.try(co.open("127.0.0.1", PORT))
      cheap:send "hello"
      print((co.try(cheap:receive(nil, 20))))
      co.sleep(0.001)
      print(co.await(function(done) timer:start(1, 0, function() done "luv's" end) end, 20))
      print((select(3, cheap:receive(nil, 0.001))))
      print(co.all { a = function() return cheap:close() end }.a)
      timer:close()
      server:close()
    end)
    uv.run()
    print "behind"]], 0, "false\ttcpmulti.run: luv runs the loop\n"
    .. "hello\nluv's\nETIME\ntrue\nbehind\n", "")
end

function cases.idle_sessions_and_the_engine_do_not_hold_uv_run()
  luajit([[
    tcpmulti.attach(uv)
    local session = tcpmulti.create { alias = "idle" }
    close()
    print(session.alias)]], 0, "idle\n", "")
end

function cases.run_raises_stop_does_nothing_standard_input_stays_luvs()
  luajit([[
    tcpmulti.attach(uv)
    close()
    print(pcall(tcpmulti.run))
    print(pcall(tcpmulti.run, { seconds = 1 }))
    print(tcpmulti.stop())
    local session = tcpmulti.create { inline_states = { line = function() end } }
    print(session:stdin "line")]], 0,
    "false\ttcpmulti.run: luv runs the loop\nfalse\ttcpmulti.run: luv runs the loop\n\n" ..
    "nil\tstandard input belongs to luv\tEOPNOTSUPP\n", "")
end

function cases.once_and_before_the_first_session()
  luajit([[
    close()
    print(tcpmulti.attach(uv))
    print(pcall(tcpmulti.attach, uv))]], 0,
    "true\nfalse\ttcpmulti.attach: it is attached already\n", "")
  luajit([[
    close()
    tcpmulti.create {}
    print(pcall(tcpmulti.attach, uv))]], 0,
    "false\ttcpmulti.attach: only before the first session\n", "")
end

function cases.what_is_no_luv_is_refused_and_so_is_one_with_another_libuv()
  luajit([[
    close()
    print(pcall(tcpmulti.attach))
    print(pcall(tcpmulti.attach, {}))
    print(pcall(tcpmulti.attach, string))
    print(pcall(tcpmulti.attach, uv, "on_fatal"))
    print(pcall(tcpmulti.attach, require "other_luv"))
    print(coroutine.wrap(function() return pcall(tcpmulti.attach, uv) end)())
    print(tcpmulti.attach(uv))]], 0, table.concat({
    "false\ttcpmulti.attach: luv expected (require \"luv\", or vim.loop), not nil",
    "false\ttcpmulti.attach: luv expected (require \"luv\", or vim.loop), not a table",
    "false\ttcpmulti.attach: luv expected (require \"luv\", or vim.loop), not a table",
    "false\ttcpmulti.attach: on_fatal must be a function, not 'on_fatal'",
    "false\ttcpmulti.attach: luv uses another copy of libuv",
    "false\ttcpmulti.attach: not in a coroutine, handlers run on the main state",
    "true\n" }, "\n"), "")
end

function cases.a_fatal_error_ends_the_sessions_and_is_told_to_on_fatal()
  luajit([[
    tcpmulti.attach(uv, function(message)
      print(message:match "boom", message:match "traceback")
    end)
    local session = tcpmulti.create {
      on_success = function() error "boom" end,
      on_disconnected = function() print "never" end,
    }
    session:connect("127.0.0.1", PORT)
    local timer = uv.new_timer()
    timer:start(20, 20, function()
      if not session:connect("127.0.0.1", PORT) then uv.stop() end
    end)
    uv.run()
    print(session:connect("127.0.0.1", PORT))]], 0,
    "boom\ttraceback\nnil\tsession has stopped\tESHUTDOWN\n", "")
end

function cases.without_on_fatal_and_when_that_raises_standard_error_is_told()
  local text = [[
    tcpmulti.attach(uv%s)
    local session = tcpmulti.create { on_success = function() error "boom" end }
    session:connect("127.0.0.1", PORT)
    local timer = uv.new_timer()
    timer:start(200, 0, function() uv.stop() end)
    uv.run()]]
  luajit(text:format "", 0, "", "boom")
  luajit(text:format ", function() error 'and again' end", 0, "", "and again")
end

function cases.luv_walk_sees_luvs_handles_alone()
  luajit([[
    tcpmulti.attach(uv)
    local session = tcpmulti.create { alias = "there" }
    session:delay(function() end, 100)
    local seen = 0
    uv.walk(function(handle) seen = seen + 1 assert(handle == server) end)
    print(seen)]], 0, "1\n", "")
end

-- Connections in all phases, alarms, a beat, a signal, a name: left as they are.
local MUCH = [[
  local session = tcpmulti.create {
    alias = "much",
    on_failure = function(cheap) cheap.failed = true end, -- the name
    on_disconnected = function(cheap) if not cheap.failed then print "never" end end,
    inline_states = { _stop = function() print "never" end, state = function() end },
  }
  session:sig("USR1", "state")
  session:delay("state", 100)
  for _ = 1, 20 do session:connect("127.0.0.1", PORT) end
  session:connect("no-such-name.invalid", 80)
  local timer = uv.new_timer()
]]

function cases.the_lua_state_may_close_in_the_middle_of_everything()
  luajit([[tcpmulti.attach(uv)]] .. MUCH .. [[
    for _ = 1, 5 do uv.run "nowait" end
    print "end"]], 0, "end\n", "")
  luajit([[tcpmulti.attach(uv)]] .. MUCH .. [[
    timer:start(100, 0, function() uv.stop() end)
    uv.run()
    print "end"]], 0, "end\n", "")
end

function cases.os_exit_with_closing_works_in_a_state_and_in_a_callback_of_luvs()
  luajit([[tcpmulti.attach(uv)]] .. MUCH .. [[
    session:delay(function() os.exit(3, true) end, 0.05)
    uv.run()]], 3, "", "")
  luajit([[tcpmulti.attach(uv)]] .. MUCH .. [[
    timer:start(50, 0, function() os.exit(4) end)
    uv.run()]], 4, "", "")
end

function cases.in_neovim_the_editors_loop_runs_the_connections()
  local path = support.script("NVIM = true " .. head "luv" .. [[
    print(tcpmulti.attach(vim.loop))
    local done = false
    talk(function() done = true vim.schedule(function() print(vim.fn.has "nvim") end) end)
    vim.wait(20000, function() return done end)
    vim.wait(20)
    print(pcall(tcpmulti.run))
    talk(function() vim.schedule(function() vim.cmd "qall!" end) end)]])
  local run = harness.run("nvim", { "--headless", "-u", "NONE", "-i", "NONE", "-n",
    "-c", "luafile " .. path })
  lu.assertEquals(run.code, 0, "exit status")
  -- Neovim's print in a callback ends its lines as it likes.
  lu.assertEquals(((run.output() .. run.errors()):gsub("%s+", "")),
    "truehelloshutdown1falsetcpmulti.run:luvrunstheloophelloshutdown", "what was printed")
end

function cases.in_the_runner_it_changes_nothing()
  expect(support.run({ "-e", [[
    local tcpmulti, uv = require "tcpmulti", require "luv"
    print(tcpmulti.attach(uv), tcpmulti.attach(uv))
    tcpmulti.run()]] }), 0, "true\ttrue\n", "")
end

harness.main(cases, 60)
