-- SPDX-License-Identifier: MIT
-- tcpmulti.child: programs beside the loop, by lines.
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Child"

local MOST = 16777216

-- Runs a shell command to its end. Gives its lines, and the arguments of on_end after the child.
local function shell(command, options)
  local lines, ending = {}, nil
  options = options or {}
  options[1], options[2], options[3] = "sh", "-c", command
  options.on_line = options.on_line or function(_, line) lines[#lines + 1] = line end
  options.on_end = function(_, ...)
    lu.assertNil(ending)
    ending = { ... }
  end
  assert(tcpmulti.child(options))
  tcpmulti.run()
  return lines, ending
end

function cases.J81_a_million_lines_come_whole_and_in_order()
  local count, wrong = 0, 0
  local _, ending = shell("seq 1000000; exit 3", { on_line = function(_, line)
    count = count + 1
    if line ~= ("%d"):format(count) then wrong = wrong + 1 end
  end })
  lu.assertEquals({ count, wrong, ending }, { 1000000, 0, { 3, 0 } })
end

function cases.J81_a_child_that_dies_in_mid_line()
  local lines, ending = shell "echo whole; printf torn; kill -9 $$"
  lu.assertEquals({ lines, ending }, { { "whole" }, { 0, 9, "torn" } })
end

function cases.J81_a_program_that_is_not_there()
  local child, message, errname = tcpmulti.child { "/nonexistent/program" }
  lu.assertEquals({ child, message, errname },
    { nil, "/nonexistent/program: No such file or directory", "ENOENT" })
end

function cases.J81_a_child_is_killed()
  local status, signal
  local child = tcpmulti.child { "sleep", 100, on_end = function(_, ...) status, signal = ... end }
  lu.assertTrue(child:kill())
  tcpmulti.run()
  lu.assertEquals({ status, signal }, { 0, 15 })
  lu.assertEquals({ child:kill "KILL" }, { nil, "the child has ended", "ESRCH" })
  lu.assertEquals({ child:send "more" }, { nil, "the child has ended", "ESRCH" })
end

function cases.J81_while_a_child_pauses_nothing_is_read()
  local session, lines, paused = support.session {}, 0, nil
  local child = tcpmulti.child { "seq", 1000000, on_line = function(child)
    lines = lines + 1
    if lines == 1 then child:pause() end
  end }
  session:delay(function()
    paused = lines
    child:resume()
    session:die()
  end, 0.2)
  tcpmulti.run()
  lu.assertTrue(paused >= 1 and paused < 100000, paused)
  lu.assertEquals(lines, 1000000)
end

function cases.J81_lines_go_in_and_out()
  local got = {}
  local child = tcpmulti.child { "cat", on_line = function(child, line)
    got[#got + 1] = line
    if #got == 3 then child:finish() end
  end }
  for _, line in ipairs { "a", "", ("b"):rep(100000) } do
    lu.assertTrue((child:send(line)))
  end
  lu.assertTrue(child:queued() >= 0)
  tcpmulti.run()
  lu.assertEquals(got, { "a", "", ("b"):rep(100000) })
end

function cases.what_a_child_does_not_read_waits()
  local child = tcpmulti.child { "sleep", 100 }
  local _, waiting = child:send(("x"):rep(4000000))
  lu.assertTrue(waiting > 1000000, waiting)
  lu.assertEquals(child:queued(), waiting)
  child:kill()
  tcpmulti.run()
  lu.assertEquals(child:queued(), 0)
end

function cases.the_environment_can_be_changed()
  local lines = shell("echo $OF_THIS_TEST; echo ${HOME-none}; echo ${PATH:+path}",
    { env = { OF_THIS_TEST = "is set", HOME = false } })
  lu.assertEquals(lines, { "is set", "none", "path" })
end

function cases.a_line_that_is_too_long_ends_the_child()
  local longest = 0
  local function on_line(_, line) longest = math.max(longest, #line) end
  local _, ending = shell("head -c 9000000 /dev/zero; echo", { on_line = on_line })
  lu.assertEquals({ longest, ending }, { 9000000, { 0, 0 } })
  _, ending = shell("exec cat /dev/zero", { on_line = on_line })
  lu.assertEquals(ending[2], 9)
  lu.assertTrue(#ending[3] > MOST)
end

for _, name in ipairs { "on_line", "on_end" } do
  cases["an_error_in_" .. name .. "_ends_the_loop"] = function()
    local ended = 0
    tcpmulti.child { "cat", on_end = function() ended = ended + 1 end }
    tcpmulti.child { "echo", "line", [name] = function() error "a fault" end }
    lu.assertErrorMsgContains("a fault", tcpmulti.run)
    lu.assertEquals(ended, 0)
    tcpmulti.run()
  end
end

function cases.a_child_keeps_the_loop_going_and_sessions_with_it()
  local session, is_live = support.session {}, nil
  tcpmulti.child { "sleep", 0.2, on_end = function()
    is_live = session:stats() ~= nil
  end }
  tcpmulti.run()
  lu.assertTrue(is_live)
  lu.assertNil((session:stats()))
end

function cases.an_environment_has_names()
  for _, env in ipairs { { "A=b" }, { [""] = "x" }, { ["A=b"] = "c" }, { A = 5 }, { A = "\0" } } do
    lu.assertErrorMsgContains("env must be a table like { NAME = 'value' }", tcpmulti.child,
      { "true", env = env })
  end
end

function cases.mistakes_are_told()
  lu.assertErrorMsgContains("child: a table expected, not", tcpmulti.child, "true")
  lu.assertErrorMsgContains("child: which program?", tcpmulti.child, {})
  lu.assertErrorMsgContains("child: word 2 must be a string without NUL", tcpmulti.child,
    { "echo", "a\0b" })
  lu.assertErrorMsgContains("(did you mean 'on_line'?)", tcpmulti.child,
    { "true", online = print })
  local child = tcpmulti.child { "true" }
  lu.assertErrorMsgContains("send: a line expected, without its end", child.send, child, "a\nb")
  lu.assertErrorMsgContains("send: a child expected", child.send, {}, "a")
  lu.assertErrorMsgContains("kill: unknown signal 'TEM' (did you mean 'TERM'?)", child.kill, child,
    "TEM")
  tcpmulti.run()
end

support.main(cases)
