-- SPDX-License-Identifier: MIT
-- Where errors and failures of tasks go, and what is told of tasks that wait for ever.

local co = require "tcpmulti.co"
local dialogue = require "behaviour.dialogue"
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "CoTaskErrors"
local try, HOST = co.try, dialogue.HOST

local function fail_here() error "boom" end

-- ---- of children ----

function cases.Y73_a_childs_error_breaks_its_parents_wait_and_its_siblings()
  dialogue.run(function(session)
    local sibling, parent, began
    local ok, err = pcall(co.scope, function()
      co.spawn(function()
        sibling = select(2, pcall(co.sleep, 9))
        error(sibling, 0)
      end)
      co.spawn(function()
        co.sleep(0)
        began = tcpmulti.now()
        fail_here()
      end)
      parent = select(2, pcall(co.sleep, 9))
      error(parent, 0)
    end)
    lu.assertTrue(tcpmulti.now() - began < 3)
    lu.assertFalse(ok)
    lu.assertStrMatches(err, ".*%-task%-errors%.lua:%d+: boom\nstack traceback:.*fail_here.*")
    lu.assertEquals(parent, err)
    lu.assertEquals(tostring(sibling), "cancelled: another task has failed")
    lu.assertEquals(dialogue.count_tasks(session), 1)
    lu.assertEquals(co.sleep(0), true) -- outside of the scope all is well
  end)
end

function cases.Y74_two_errors_are_both_in_the_message()
  dialogue.run(function()
    local ok, err = pcall(co.scope, function()
      co.spawn(function() error "the first" end)
      co.spawn(function() error "the second" end)
      co.sleep(9)
    end)
    lu.assertFalse(ok)
    lu.assertStrMatches(err, ".*: the first\n.*\nalso: .*: the second\n.*")
  end)
end

function cases.Y74_the_error_of_its_own_function_and_that_of_a_child()
  dialogue.run(function()
    local ok, err = pcall(co.scope, function()
      co.spawn(function()
        pcall(co.sleep, 9)
        error "while it was cancelled"
      end)
      co.sleep(0)
      error "the first"
    end)
    lu.assertFalse(ok)
    lu.assertStrMatches(err, ".*: the first\n.*\nalso: .*: while it was cancelled\n.*")
    ok, err = pcall(co.scope, function()
      co.spawn(function() error "the first" end)
      pcall(co.sleep, 9)
      error "behind it"
    end)
    lu.assertFalse(ok)
    lu.assertStrMatches(err, ".*: the first\n.*\nalso: .*: behind it\n.*")
  end)
end

function cases.Y74_two_failures_are_one_and_an_error_beside_a_failure_stays_an_error()
  dialogue.run(function()
    local function scope(second)
      return function()
        co.spawn(function() try(nil, "one", "EPROTO") end)
        co.spawn(second)
        co.sleep(9)
      end
    end
    local result = { co.protect(co.scope)(scope(function() try(nil, "two", "EOF") end)) }
    lu.assertStrMatches(result[2], "one\nalso: .*: two %(EOF%)")
    lu.assertEquals(result[3], "EPROTO")
    local text = dialogue.raises("one (EPROTO)", co.protect(co.scope), scope(fail_here))
    lu.assertStrMatches(text, ".*\nalso: .*: boom\nstack traceback:.*")
  end)
end

function cases.Y74_an_error_that_passes_many_scopes_has_one_traceback()
  dialogue.run(function()
    local text = dialogue.raises("boom", co.scope, co.scope, function()
      local ok, err = pcall(co.deadline, 9, co.scope, function()
        co.spawn(fail_here)
        co.sleep(9)
      end)
      lu.assertFalse(ok)
      error(err, 0)
    end)
    lu.assertEquals(select(2, text:gsub("stack traceback:", "")), 1)
    lu.assertEquals(select(2, text:gsub("boom", "")), 1)
  end)
end

function cases.Y75_a_failure_in_a_child_is_its_parents_failure()
  dialogue.run(function()
    local port, inner = support.refused(), nil
    local scope = co.protect(co.scope)
    lu.assertEquals({ scope(function()
      co.spawn(function() try(co.open(HOST, port)) end)
      inner = { co.protect(co.sleep)(9) }
      co.sleep(9)
    end) }, { nil, "connect: Connection refused", "ECONNREFUSED" })
    lu.assertEquals(inner, { nil, "connect: Connection refused", "ECONNREFUSED" })
  end)
end

-- ---- of tasks without a parent ----

function cases.Y78_an_error_of_a_root_task_is_told_to_on_exception()
  local heard = {}
  dialogue.run({
    on_exception = function(...) heard[#heard + 1] = { ... } end,
  }, function(session)
    local beside = dialogue.open "echo"
    session:spawn(function()
      local cheap = dialogue.open "discard"
      cheap.mine = true
      fail_here()
    end)
    session:spawn(function() fail_here() end)
    dialogue.wait_for(function() return heard[2] end)
    beside:send "still here"
    lu.assertEquals(beside:receive(), "still here")
    lu.assertIs(heard[1][1], session)
  end)
  lu.assertEquals(#heard, 2)
  table.sort(heard, function(one) return one[3] == nil end)
  lu.assertStrMatches(heard[2][2], ".*errors%.lua:%d+: boom\nstack traceback:.*fail_here.*")
  lu.assertTrue(heard[2][3].mine)
  lu.assertNil(heard[1][3])
end

-- A hook raises before receive goes on with the record that has come.
function cases.Y78_a_hooks_error_in_a_wait_is_that_of_the_task_that_waits()
  local heard = {}
  dialogue.run({
    on_exception = function(...) heard[#heard + 1] = { ... } end,
  }, function(session)
    local cheap, one = dialogue.open 'wait go; send "x\\n"'
    local victim
    victim = session:spawn(function()
      co.adopt(cheap)
      local thread = coroutine.running()
      debug.sethook(function()
        if coroutine.running() == thread and victim:status() ~= "running" then error "hooked" end
      end, "", 1)
      cheap:receive()
    end)
    victim.name = "victim"
    dialogue.wait_for(function() return victim:status() == "waiting" end)
    one:go "go"
    dialogue.wait_for(function() return heard[1] end)
    debug.sethook()
    lu.assertEquals(victim:status(), "failed")
    lu.assertNil(cheap:phase())
  end)
  lu.assertEquals(#heard, 1)
  lu.assertStrContains(heard[1][2], "hooked")
end

function cases.Y79_without_on_exception_run_raises()
  local session = support.session()
  session:spawn(function() fail_here() end)
  session:spawn(function() co.sleep(60) end)
  local message = dialogue.raises("boom", support.run)
  lu.assertStrContains(message, "traceback")
end

function cases.Y79_the_exit_status_is_1()
  local output, status = dialogue.script [[
    co.run(s, function()
      s:spawn(function() error "bang" end)
      co.sleep(60)
    end)
    print "never"]]
  lu.assertEquals(status, 1)
  lu.assertStrContains(output, "bang\nstack traceback:")
  lu.assertNotStrContains(output, "never")
end

function cases.Y79_the_error_of_the_main_task_is_raised_by_co_run()
  local output, status = dialogue.script [[
    print(pcall(co.run, s, function() error "bang" end))]]
  lu.assertStrMatches(output, "false\t.*bang\nstack traceback:.*")
  lu.assertEquals(status, 0)
end

function cases.Y80_a_failure_that_nobody_takes_is_an_error()
  local session = support.session()
  local port = support.refused()
  session:spawn(function() try(co.open(HOST, port)) end)
  dialogue.raises("connect: Connection refused (ECONNREFUSED)", support.run)
  local output, status = dialogue.script [[
    co.run(s, function() try(co.open("127.0.0.1", refused)) end)
    print "never"]]
  lu.assertEquals(status, 1)
  lu.assertStrMatches(output, ".*%.?[%w/_]+:%d+: connect: Connection refused %(ECONNREFUSED%)\n.*")
  lu.assertNotStrContains(output, "never")
end

function cases.Y81_tasks_that_wait_for_what_cannot_come_are_named()
  local heard = {}
  local session = support.session { on_exception = function(_, m) heard[#heard + 1] = m end }
  local over
  local one = session:spawn(function()
    over = select(2, pcall(function() co.queue(1, "jobs"):get() end))
    error(over, 0)
  end)
  one.name = "a"
  session:spawn(function() one:join() end)
  support.run()
  lu.assertEquals(heard,
    { "deadlock: a task waits for join 'a', task 'a' waits for queue:get 'jobs'" })
  lu.assertStrContains(tostring(over), "cancelled: ")
  lu.assertEquals(one:status(), "cancelled")
end

function cases.Y81_without_on_exception_it_is_fatal()
  local output, status = dialogue.script [[
    co.run(s, function() co.scope(function() co.semaphore(0, "gate"):acquire() end) end)
    print "never"]]
  lu.assertEquals(status, 1)
  lu.assertStrContains(output, "deadlock: task 'main' waits for semaphore 'gate'")
  lu.assertNotStrContains(output, "never")
end

support.main(cases)
