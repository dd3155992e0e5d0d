-- SPDX-License-Identifier: MIT
-- os.exit(code, true), which closes the Lua state, from everywhere: the program ends at once with
-- that status, and no other handler runs.
local lu = require "luaunit"
local harness = require "scripts.harness"
local support = require "runner.support"
local uv = require "luv"

local cases = harness.cases "Exit"

local text = [[
local where, with_luv = arg[1], arg[2]
local tcpmulti = require "tcpmulti"
local left = false
local function leave(place)
  if left then print("still running: " .. place) end
  if place == where then
    left = true
    os.exit(7, true)
  end
end
local timer
if with_luv == "luv" then
  local uv = require "luv"
  timer = uv.new_timer()
  timer:start(1, 1, function() leave "luv timer" end)
  uv.new_tcp():connect(tcpmulti.peer.addr, tcpmulti.peer.port, function() leave "luv tcp" end)
end
local filter = { feed = function(self, bytes) self.bytes = bytes end,
  get_one = function(self)
    leave "get_one"
    local bytes = self.bytes
    self.bytes = nil
    return bytes
  end,
  put = function(_, record) leave "put" return record end,
  pending = function() leave "pending" return "" end }
function filter.clone()
  leave "clone"
  return setmetatable({}, { __index = filter })
end
local in_lua = ({ get_one = 1, put = 1, clone = 1, pending = 1 })[where]
local again = { timeout = 1, cheap_alarm = 1, deadline = 1 }
local s
s = tcpmulti.create {
  filter = in_lua and filter or nil,
  input_timeout = where == "timeout" and 0.05 or nil,
  on_initialize = function() leave "initialize" end,
  on_success = function(c)
    leave "success"
    c:send "x"
    c:send "y"
    c:delay(function() leave "cheap_alarm" end, 0.01)
  end,
  on_input = function(c)
    leave "input"
    s:yield(function() leave "yield" end)
    s:call(function() leave "call" end)
    coroutine.wrap(function() leave "coroutine" end)()
    if where == "pending" then c:filter "line" end
    if where == "exception" then error "x" end
    if where == "error" then c:fail "x" elseif not again[where] then c:shutdown() end
  end,
  on_flushed = function() leave "flushed" end,
  on_failure = function() leave "failure" end,
  on_error = function() leave "error" end,
  on_timeout = function() leave "timeout" end,
  on_disconnected = function() leave "disconnected" end,
  on_exception = function() leave "exception" end,
  inline_states = {
    _start = function() leave "start" end,
    _stop = function() leave "stop" end,
  },
}
tcpmulti.create { inline_states = { _stop = function() leave "another_stop" end } }:die()
if where == "stdin" then s:stdin(function() leave "stdin" end) end
if where == "pull" then s:connect(function() leave "pull" end) end
if where == "signal" then
  s:sig("USR1", function() leave "signal" end)
  os.execute "kill -USR1 $PPID"
end
s:delay(function() leave "alarm" end, 0.001)
s:every(function() leave "beat" end, 0.001)
s:delay(function() if timer then timer:stop() end s:die() end, 0.2)
for _ = 1, 3 do
  s:connect(tcpmulti.peer.addr, where == "failure" and 1 or tcpmulti.peer.port)
end
leave "main"
tcpmulti.run()
leave "after"
]]

local function leave(script, place, with_luv)
  local run = support.run({ "--peer", "echo", script, place, with_luv }, { stdin = "line\n" })
  lu.assertEquals(run.code, 7, ("exit status in %s: %s"):format(place, run.errors()))
  lu.assertEquals(run.output(), "", "standard output in " .. place)
  lu.assertEquals(run.errors(), "", "standard error in " .. place)
end

local places = { "main", "start", "initialize", "success", "input", "flushed", "failure", "error",
  "timeout", "disconnected", "exception", "yield", "call", "coroutine", "alarm", "cheap_alarm",
  "beat", "signal", "stdin", "pull", "put", "get_one", "clone", "pending", "stop", "another_stop",
  "after" }

function cases.os_exit_with_true_ends_the_program_from_everywhere()
  local script = support.script(text)
  for _, place in ipairs(places) do leave(script, place, "no") end
end

function cases.beside_luv_too_and_from_its_callbacks()
  uv.os_setenv("ASAN_OPTIONS", "detect_leaks=0") -- luv forgets what belongs to its handles
  local script = support.script(text)
  for _, place in ipairs(places) do
    if place ~= "after" and place ~= "stop" then leave(script, place, "luv") end
  end
  leave(script, "luv timer", "luv")
  leave(script, "luv tcp", "luv")
end

harness.main(cases, 60)
