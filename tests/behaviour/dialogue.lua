-- SPDX-License-Identifier: MIT
-- What the tests of tcpmulti.co share. A case is mostly the main task of a session of its own:
-- dialogue.run ends when the task has, and with it all that belongs to it; dialogue.open is a
-- connection of the running task to a scripted peer.
local co = require "tcpmulti.co"
local lu = require "luaunit"
local support = require "behaviour.support"

local dialogue = { HOST = "127.0.0.1" }

-- Runs f(session, log) as a task of a session with these options (support.record), and the loop,
-- for at most so many seconds. Errors of f are raised; f has to come to its end, and nothing may
-- be left of the session. Gives session, log.
function dialogue.run(options, f, seconds)
  if type(options) == "function" then options, f, seconds = {}, options, f end
  local session, log = support.record(options)
  local done = false
  local main = session:spawn(function()
    f(session, log)
    done = true
  end)
  main.name = "main"
  support.run(seconds)
  if not done then lu.fail("the task did not come to its end: " .. main:status()) end
  lu.assertEquals({ session:count() }, { 0, 0 })
  log:check_grammar()
  return session, log
end

-- Connects the running task to a new scripted peer. Gives the cheap and the peer.
function dialogue.open(program, peer_options)
  local one = support.peer(program, peer_options)
  return co.try(co.open(dialogue.HOST, one:port())), one
end

-- Waits in the running task until the condition holds.
function dialogue.wait_for(condition)
  while not condition() do co.sleep(0.002) end
end

-- Asserts that f(…) raises a message with this text, and none that has another place than "file:".
function dialogue.raises(text, f, ...)
  local ok, err = pcall(f, ...)
  lu.assertFalse(ok, "nothing was raised")
  lu.assertStrContains(tostring(err), text)
  return tostring(err)
end

-- How many tasks of the session live.
function dialogue.count_tasks(session)
  local count = 0
  for _ in session:tasks() do count = count + 1 end
  return count
end

-- Runs a script in a process of its own, in which s is a session and refused is a port without
-- listener; gives output and exit status.
function dialogue.script(text)
  return support.child("", ([[
    local tcpmulti, co = require "tcpmulti", require "tcpmulti.co"
    io.stdout:setvbuf "no"
    local refused, try = %d, co.try
    local s = tcpmulti.create {}
    %s]]):format(support.refused(), text))
end

return dialogue
