-- SPDX-License-Identifier: MIT
-- Tasks and scopes: how they begin and end, and where their errors go.

local co = require "tcpmulti.co"
local dialogue = require "behaviour.dialogue"
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "CoTasks"
local try = co.try
local SILENT = "discard"

-- A list of texts, and the function that appends one.
local function notes()
  local list = {}
  return list, function(text) list[#list + 1] = text end
end

-- ---- begin ----

function cases.Y65_spawn_starts_from_the_loop_not_inside_the_call()
  local session, list, note = support.session(), notes()
  local first = session:spawn(function(a, b)
    note("first " .. a .. b)
    co.spawn(note, "child")
    session:spawn(note, "other")
    co.daemon(note, "daemon")
    note "first goes on"
    co.sleep(0)
    note "first has waited"
  end, 1, 2)
  note "spawned"
  lu.assertEquals(first:status(), "ready")
  support.run()
  lu.assertEquals(list, { "spawned", "first 12", "first goes on", "child", "other", "daemon",
    "first has waited" })
end

function cases.Y65_a_session_that_is_dying_starts_none()
  local session = support.session()
  session:die()
  lu.assertEquals({ session:spawn(error) }, { nil, "session is dying", "ESHUTDOWN" })
  support.run()
end

function cases.Y65_spawn_and_daemon_are_for_tasks()
  for _, name in ipairs { "spawn", "daemon", "scope" } do
    dialogue.raises(name .. ": only in a task", co[name], function() end)
    dialogue.raises(name .. ": a function expected, not ", co[name], 5)
  end
end

function cases.Y66_before_the_next_record_of_the_running_handlers_connection()
  local list, note = notes()
  local log = support.meet([[send "a\nb\nc\n"; recv all]], {
    on_input = function(cheap, record)
      note("input " .. record)
      cheap:session():spawn(note, "task " .. record)
      note "handler ends"
      if record == "c" then cheap:shutdown() end
    end,
  })
  lu.assertEquals(log:count "input", 3)
  lu.assertEquals(list, { "input a", "handler ends", "task a", "input b", "handler ends",
    "task b", "input c", "handler ends", "task c" })
end

-- ---- end ----

function cases.Y67_a_task_that_returns_shuts_its_connection_down()
  local ended
  local _, log = dialogue.run(function()
    co.spawn(function()
      local cheap, silent = dialogue.open(SILENT)
      cheap:send "all of this"
      ended = silent
    end):join()
  end)
  lu.assertEquals(support.ending(ended, 1), "eof")
  lu.assertEquals(ended:report().received, 13)
  lu.assertEquals(log:list(), { "initialize", "disconnected shutdown" })
end

function cases.Y68_a_task_that_raises_resets_its_connection()
  local heard, ended
  local _, log = dialogue.run({
    on_exception = function(_, message) heard = message end,
  }, function(session)
    local one = session:spawn(function()
      ended = select(2, dialogue.open(SILENT))
      error "boom"
    end)
    dialogue.wait_for(function() return heard end)
    lu.assertEquals(one:status(), "failed")
  end)
  lu.assertEquals(support.ending(ended, 1), "reset")
  lu.assertStrContains(heard, "boom")
  lu.assertEquals(log:list(), { "initialize", "disconnected shutdown" })
end

function cases.Y68_a_connection_that_shuts_down_already_is_left_alone()
  local ended, heard
  dialogue.run({ on_exception = function() heard = true end }, function(session)
    session:spawn(function()
      local cheap, silent = dialogue.open(SILENT)
      ended = silent
      cheap:send "goodbye"
      cheap:shutdown()
      error "boom"
    end)
    dialogue.wait_for(function() return heard end)
  end)
  lu.assertEquals(support.ending(ended, 1), "eof")
  lu.assertEquals(ended:report().received, 9)
end

function cases.Y69_a_scope_ends_what_began_in_it_and_nothing_else()
  dialogue.run(function(session)
    local outer = dialogue.open "echo"
    local first, second, third
    local results = { co.scope(function(...)
      first, second, third = dialogue.open(SILENT), dialogue.open(SILENT), dialogue.open(SILENT)
      lu.assertEquals({ session:count() }, { 4, 0 })
      return ...
    end, 1, nil, "three") }
    lu.assertEquals(results, { 1, nil, "three" })
    for _, cheap in ipairs { first, second, third } do
      lu.assertNotEquals(cheap:phase(), "open")
    end
    dialogue.wait_for(function() return session:count() == 1 end)
    outer:send "x"
    lu.assertEquals(outer:receive(), "x")
  end)
end

function cases.Y69_scopes_in_scopes_end_from_within()
  local _, log = dialogue.run(function(session)
    co.scope(function()
      local middle = dialogue.open "echo"
      local ok, err = pcall(co.scope, function()
        dialogue.open(SILENT)
        error("inner", 0)
      end)
      lu.assertFalse(ok)
      lu.assertStrContains(err, "inner")
      dialogue.wait_for(function() return session:count() == 1 end)
      middle:send "y"
      lu.assertEquals(middle:receive(), "y")
    end)
  end)
  lu.assertEquals(log:list(), { "initialize", "initialize", "disconnected shutdown",
    "disconnected shutdown" })
end

function cases.Y70_a_scope_waits_for_its_children()
  dialogue.run(function(session)
    local ended = 0
    local function grandchild()
      co.sleep(0.02)
      ended = ended + 1
    end
    co.scope(function()
      for _ = 1, 5 do
        co.spawn(function()
          co.spawn(grandchild)
          co.sleep(0.01)
          ended = ended + 1
        end)
      end
    end)
    lu.assertEquals(ended, 10)
    lu.assertEquals(dialogue.count_tasks(session), 1)
  end)
end

function cases.Y70_a_task_waits_for_its_children()
  local ended = 0
  dialogue.run(function()
    local parent = co.spawn(function()
      co.spawn(function()
        co.sleep(0.03)
        ended = ended + 1
      end)
      return "returned"
    end)
    lu.assertEquals(parent:join(), "returned")
    lu.assertEquals(ended, 1)
  end)
end

function cases.Y71_a_daemon_is_cancelled_when_its_parent_returns()
  dialogue.run(function(session)
    local turns, over = 0, nil
    co.scope(function()
      co.daemon(function()
        local ok, err = pcall(function()
          while true do
            co.sleep(0)
            turns = turns + 1
          end
        end)
        over = not ok and err
        error(err, 0)
      end)
      dialogue.wait_for(function() return turns >= 3 end)
      lu.assertNil(over)
    end)
    lu.assertEquals(tostring(over), "cancelled: its parent has ended")
    lu.assertEquals(dialogue.count_tasks(session), 1)
  end)
end

function cases.Y72_a_daemon_serves_a_cancelled_scopes_goodbye()
  dialogue.run(function()
    local served, over, answer = 0, nil, nil
    local one = co.spawn(function()
      local requests = co.queue()
      co.daemon(function()
        for reply in requests:values() do
          served = served + 1
          reply:put "done"
        end
      end)
      over = select(2, pcall(co.sleep, 9))
      answer = co.shield(1, function()
        local reply = co.queue()
        requests:put(reply)
        return reply:get()
      end)
    end)
    co.sleep(0)
    one:cancel()
    one:join()
    lu.assertEquals(tostring(over), "cancelled: by task:cancel")
    lu.assertEquals({ served, answer }, { 1, "done" })
  end)
end

-- ---- results ----

function cases.Y76_join_gives_results_a_failure_as_a_result_and_raises_an_error()
  local heard = 0
  dialogue.run({ on_exception = function() heard = heard + 1 end }, function(session)
    local good = session:spawn(function() return 1, nil, 3, nil end)
    local failing = session:spawn(function()
      co.sleep(0.01)
      try(nil, "no", "EPROTO")
    end)
    local raising = session:spawn(function()
      co.sleep(0.01)
      error "bang"
    end)
    local joiners = {}
    for i = 1, 3 do
      joiners[i] = co.spawn(function()
        dialogue.raises("bang", raising.join, raising)
        return failing:join()
      end)
    end
    for round = 1, 2 do -- the second one is after the end
      lu.assertEquals(select("#", good:join()), 4)
      lu.assertEquals({ good:join() }, { 1, nil, 3 })
      lu.assertEquals({ failing:join() }, { nil, "no", "EPROTO" }, "round " .. round)
      lu.assertStrContains(dialogue.raises("bang", raising.join, raising), "traceback")
    end
    for _, joiner in ipairs(joiners) do
      lu.assertEquals({ joiner:join() }, { nil, "no", "EPROTO" })
    end
  end)
  lu.assertEquals(heard, 0)
end

function cases.Y76_the_time_of_a_join_is_over()
  dialogue.run(function()
    local one = co.spawn(function()
      co.sleep(0.05)
      return "late"
    end)
    lu.assertEquals({ one:join(0.005) }, { nil, "it goes on", "ETIME" })
    lu.assertEquals(one:join(5), "late")
    dialogue.raises("join: a task cannot wait for itself", function() co.current():join() end)
  end)
end

function cases.Y77_pcall_across_waits()
  dialogue.run(function()
    local cheap, lines = dialogue.open [[
      send "one\n"; wait two; send "two\n"; wait three; send "three\n"; recv all]]
    local ok, first, second = pcall(function()
      local record = cheap:receive()
      lines:go "two"
      co.sleep(0.01)
      return record, cheap:receive()
    end)
    lu.assertEquals({ ok, first, second }, { true, "one", "two" })
    lu.assertFalse((pcall(function()
      lines:go "three"
      lu.assertEquals(cheap:receive(), "three")
      error "after a wait"
    end)))
    local steps = {}
    for record in (function()
      co.sleep(0)
      return #steps < 3 and #steps + 1 or nil
    end) do steps[record] = true end
    lu.assertEquals(#steps, 3)
  end)
end

function cases.Y82_after_run_no_task_is_left()
  local session, stopped = support.session(), false
  local one = session:spawn(function()
    co.spawn(function() co.sleep(0.02) end)
    co.daemon(function() co.sleep(60) end)
  end)
  session:spawn(function()
    co.sleep(0.01)
    stopped = one:status()
  end)
  lu.assertEquals(dialogue.count_tasks(session), 2)
  support.run()
  lu.assertEquals(stopped, "waiting")
  lu.assertEquals(one:status(), "done")
  lu.assertEquals(dialogue.count_tasks(session), 0)
end

function cases.Y82_co_run_gives_the_results_of_the_main_task()
  local output, status = dialogue.script [[
    print(co.run(s, function(...) co.sleep(0) return ..., nil, 4 end, 1))
    print(co.run(tcpmulti.create {}, function() co.current():cancel "enough" co.sleep(0) end))
    print(co.run(tcpmulti.create { on_exception = function(_, m) print(m) end }, function()
      try(nil, "no", "EPROTO")
    end))
    print(co.run(s, error))]]
  local lines = {}
  for line in output:gmatch "[^\n]+" do lines[#lines + 1] = line end
  lu.assertEquals(status, 0)
  lu.assertEquals(lines[1], "1\tnil\t4")
  lu.assertEquals(lines[2], "nil\tenough\tECANCELED")
  lu.assertStrMatches(lines[3], ".*:%d+: no %(EPROTO%)")
  lu.assertEquals(lines[4], "nil\tno\tEPROTO")
  lu.assertEquals(lines[5], "nil\tsession is dying\tESHUTDOWN")
  lu.assertEquals(#lines, 5)
end

-- Coroutines of tasks that have ended are kept, to be used again; nothing of the task is.
function cases.Y82_a_task_that_has_ended_does_not_keep_its_session()
  local stopped, gone = false, setmetatable({}, { __mode = "k" })
  do
    local session = tcpmulti.create { inline_states = { _stop = function() stopped = true end } }
    session:spawn(function(...) co.sleep(select("#", ...) / 1e6) end, session, {})
    session:delay(function() end, 0.005)
    gone[session] = true
  end
  support.after(0.02, function() -- sessions in nobody's reach stop, if the collector finds them
    collectgarbage()
    support.after(0.001, function()
      lu.assertTrue(stopped)
      collectgarbage()
      lu.assertNil(next(gone))
    end)
  end)
  support.run()
  lu.assertTrue(stopped)
end

function cases.Y83_after_stop_and_run_again_tasks_go_on()
  local session, log = support.record()
  local cheap, lines, record
  local one = session:spawn(function()
    cheap, lines = dialogue.open [[wait go; send "later\n"; recv all]]
    support.after(0, tcpmulti.stop)
    record = cheap:receive()
  end)
  support.run()
  lu.assertEquals({ one:status() }, { "waiting", "receive" })
  lu.assertNil(record)
  lines:go "go"
  support.run()
  lu.assertEquals(record, "later")
  lu.assertEquals(one:status(), "done")
  lu.assertEquals(log:list(), { "initialize", "disconnected shutdown" })
end

function cases.Y84_status_traceback_and_the_tasks_of_a_session()
  dialogue.run(function(session)
    local jobs = co.queue(1, "jobs")
    local function fetch()
      local job = jobs:get()
      return job
    end
    local one = co.spawn(fetch)
    lu.assertEquals({ one:status() }, { "ready" })
    co.sleep(0)
    lu.assertEquals({ one:status() }, { "waiting", "queue:get" })
    lu.assertStrMatches(one:traceback(), ".*in function 'get'\n\t.*test%-co%-tasks%.lua:%d+: in .*")
    local seen = {}
    for task in session:tasks() do seen[task] = true end
    lu.assertEquals(seen, { [one] = true, [co.current()] = true })
    lu.assertEquals(co.current():status(), "running")
    jobs:put "job"
    lu.assertEquals({ one:status() }, { "ready" })
    lu.assertEquals(one:join(), "job")
    lu.assertEquals({ one:status() }, { "done" })
    lu.assertEquals(one:traceback(), "")
    lu.assertEquals(dialogue.count_tasks(session), 1)
    local failing = session:spawn(function() try(nil, "no") end)
    failing:join()
    lu.assertEquals(failing:status(), "failed")
  end)
  lu.assertNil(co.current())
end

support.main(cases)
