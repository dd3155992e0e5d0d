-- SPDX-License-Identifier: MIT
-- Cancelling: of tasks, by deadlines, and by the end of a session.

local co = require "tcpmulti.co"
local dialogue = require "behaviour.dialogue"
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "CoCancelling"
local try, HOST = co.try, dialogue.HOST

-- ---- every kind of wait ----

-- Cancels a task that waits in f; it has to end at once. kind: as status tells the wait.
local function cancel_in(kind, f)
  local one = co.spawn(f)
  dialogue.wait_for(function() return select(2, one:status()) == kind end)
  local began = tcpmulti.now()
  lu.assertEquals(one:cancel "enough", true)
  lu.assertEquals({ one:join(5) }, { nil, "enough", "ECANCELED" })
  lu.assertTrue(tcpmulti.now() - began < 3)
  lu.assertEquals(one:status(), "cancelled")
end

function cases.Y85_sleep_and_join()
  dialogue.run(function()
    cancel_in("sleep", function() co.sleep(60) end)
    local joined = co.daemon(function() co.sleep(60) end)
    cancel_in("join", function() joined:join() end)
    cancel_in("join", function() joined:join(60) end)
    lu.assertEquals({ joined:status() }, { "waiting", "sleep" })
  end)
end

function cases.Y85_receive_expect_records()
  dialogue.run(function()
    local cheap, echo = dialogue.open "recv line; send \"later\\n\"; recv all"
    cancel_in("receive", function() cheap:receive() end)
    cancel_in("receive", function() cheap:receive(100, 60) end)
    cancel_in("receive", function() cheap:receive "all" end)
    cancel_in("receive", function() cheap:expect("x", 60) end)
    cancel_in("receive", function() for _ in cheap:records() do lu.fail "a record" end end)
    cheap:send "go"
    lu.assertEquals(cheap:receive(), "later")
    lu.assertEquals(echo:report().accepted, 1)
  end)
end

function cases.Y85_write_and_close()
  dialogue.run({ filter = "stream", high_mark = 65536 }, function()
    local cheap, slow = dialogue.open("wait go; count", { rcvbuf = 4096 })
    cancel_in("write", function()
      while true do try(cheap:write(("x"):rep(1000000))) end
    end)
    lu.assertEquals(cheap:phase(), "open")
    cancel_in("close", function() cheap:close() end)
    lu.assertEquals(cheap:phase(), "shutting")
    slow:go "go"
    lu.assertEquals({ cheap:close() }, { true })
  end)
end

function cases.Y85_open_leaves_no_attempt()
  local _, log = dialogue.run(function(session)
    local port = support.blackhole()
    cancel_in("open", function() co.open(HOST, port) end)
    cancel_in("open", function() session:open(HOST, port) end)
    dialogue.wait_for(function() return session:count() == 0 end)
    lu.assertEquals({ session:count() }, { 0, 0 })
  end)
  lu.assertEquals(log:count "disconnected shutdown", 2)
end

function cases.Y85_queues_and_semaphores()
  dialogue.run(function()
    local full, empty, taken = co.queue(1), co.queue(), co.semaphore(0)
    full:put "first"
    cancel_in("queue:put", function() full:put "second" end)
    cancel_in("queue:get", function() empty:get() end)
    cancel_in("queue:get", function() for _ in empty:values() do lu.fail "a value" end end)
    cancel_in("semaphore", function() taken:acquire(60) end)
    cancel_in("semaphore", function() taken:with(error) end)
    lu.assertEquals({ full:get(), full:count() }, { "first", 0 })
    empty:put "for nobody before"
    lu.assertEquals({ empty:count(), empty:get() }, { 1, "for nobody before" })
    taken:release()
    lu.assertEquals({ taken:acquire(0) }, { true })
    lu.assertEquals({ taken:acquire(0) }, { nil, "none is free", "ETIME" })
  end)
end

function cases.Y85_await_and_signal()
  dialogue.run(function(session)
    local stopped, later = 0, nil
    cancel_in("callback", function()
      co.await(function(done)
        later = done
        return function() stopped = stopped + 1 end
      end)
    end)
    lu.assertEquals(stopped, 1)
    lu.assertEquals(later "too late", false)
    cancel_in("callback", function() co.await(function() end, 60) end)
    cancel_in("callback", function() co.signal "WINCH" end)
    lu.assertEquals(dialogue.count_tasks(session), 1)
  end)
end

function cases.Y85_scopes_and_those_of_many()
  dialogue.run(function(session)
    local function wait() co.sleep(60) end
    cancel_in("sleep", function() co.scope(wait) end)
    cancel_in("sleep", function() co.deadline(50, wait) end)
    cancel_in("children", function() co.all { wait, wait } end)
    cancel_in("children", function() co.any { wait, wait } end)
    cancel_in("children", function() co.each({ 1, 2, 3 }, 2, wait) end)
    cancel_in("children", function() co.scope(co.spawn, wait) end)
    cancel_in("sleep", function() co.retry({}, wait) end)
    cancel_in("sleep", function()
      co.retry({ min = 1000, max = 1000 }, function() return nil, "no", "EPROTO" end)
    end)
    lu.assertEquals(dialogue.count_tasks(session), 1)
  end)
end

function cases.Y85_a_task_that_has_not_started()
  dialogue.run(function()
    local one = co.spawn(function()
      co.sleep(0)
      lu.fail "it has waited"
    end)
    one:cancel "enough"
    lu.assertEquals({ one:join(5) }, { nil, "enough", "ECANCELED" })
  end)
end

-- ---- what cancelling does and leaves alone ----

function cases.Y86_it_is_raised_at_each_further_wait()
  dialogue.run(function()
    local cheap = dialogue.open "discard"
    local errors = {}
    local one = co.spawn(function()
      local function note(f, ...) errors[#errors + 1] = tostring(select(2, pcall(f, ...))) end
      note(co.sleep, 60)
      note(co.sleep, 0)
      note(cheap.receive, cheap)
      note(co.scope, co.sleep, 0)
      note(co.queue().get, co.queue())
      note(co.spawn, error)
    end)
    co.sleep(0)
    one:cancel "over"
    one:join()
    lu.assertEquals(#errors, 6)
    for i, message in ipairs(errors) do
      lu.assertEquals(message, "cancelled: over", "wait " .. i)
    end
  end)
end

function cases.Y86_children_are_cancelled_too_and_the_rest_is_not()
  dialogue.run(function(session)
    local child, grandchild, beside
    local one = session:spawn(function()
      child = co.spawn(function()
        grandchild = co.spawn(function() co.sleep(60) end)
        co.sleep(60)
      end)
      co.sleep(60)
    end)
    beside = co.daemon(function() co.sleep(60) end)
    dialogue.wait_for(function() return grandchild and grandchild:status() == "waiting" end)
    one:cancel()
    lu.assertEquals({ one:join(5) }, { nil, "by task:cancel", "ECANCELED" })
    lu.assertEquals({ child:status() }, { "cancelled" })
    lu.assertEquals({ grandchild:status() }, { "cancelled" })
    lu.assertEquals({ beside:status() }, { "waiting", "sleep" })
  end)
end

function cases.Y87_a_cancelled_receive_has_taken_nothing()
  dialogue.run(function()
    local cheap, lines = dialogue.open [[
      send "one\ntw"; mark half; wait go; send "o\nthree\n"; recv all]]
    lu.assertEquals(cheap:receive(), "one")
    for _, what in ipairs { "line", 50, "all" } do
      cancel_in("receive", function() cheap:receive(what) end)
    end
    cancel_in("receive", function() cheap:expect "never" end)
    lines:go "go"
    lu.assertEquals({ cheap:receive(), cheap:receive() }, { "two", "three" })
  end)
end

function cases.Y87_nor_has_a_search_of_a_stream()
  dialogue.run({ filter = "stream" }, function()
    local cheap, prompt = dialogue.open [[send "lo"; wait go; send "gin: more"; recv all]]
    local one = co.spawn(function() cheap:expect "login: " end)
    dialogue.wait_for(function() return cheap:received() == 2 end)
    one:cancel()
    one:join()
    prompt:go "go"
    lu.assertEquals({ cheap:expect "login: ", cheap:receive(4) }, { "login: ", "more" })
  end)
end

function cases.Y87_what_has_been_fulfilled_is_not_undone()
  dialogue.run(function()
    local queue, gate, got = co.queue(), co.semaphore(0), nil
    local one = co.spawn(function() got = queue:get() end)
    local two = co.spawn(function()
      gate:acquire()
      got = got .. " and a place"
    end)
    co.sleep(0)
    queue:put "value"
    gate:release()
    one:cancel()
    two:cancel()
    lu.assertEquals({ one:join() }, {})
    lu.assertEquals({ two:join() }, {})
    lu.assertEquals(got, "value and a place")
    lu.assertEquals({ one:status(), two:status() }, { "done", "done" })
  end)
end

-- ---- shield ----

function cases.Y88_a_goodbye_and_its_answer_after_a_cancel()
  dialogue.run(function()
    local said, after, ended
    local one = co.spawn(function()
      local cheap, server = dialogue.open [[recv line; send "221 bye\n"; recv all]]
      ended = server
      pcall(co.sleep, 60)
      said = co.shield(5, function()
        cheap:send "QUIT"
        return (cheap:expect "^221 (.*)")
      end)
      after = select(2, pcall(co.sleep, 0))
      co.sleep(60)
    end)
    dialogue.wait_for(function() return ended and one:status() == "waiting" end)
    dialogue.wait_for(function() return select(2, one:status()) == "sleep" end)
    one:cancel()
    lu.assertEquals({ one:join() }, { nil, "by task:cancel", "ECANCELED" })
    lu.assertEquals(said, "bye")
    lu.assertEquals(tostring(after), "cancelled: by task:cancel")
    lu.assertEquals(ended:connection(1).content, "QUIT\r\n")
  end)
end

function cases.Y88_a_cancellation_waits_until_the_shield_is_left()
  dialogue.run(function()
    local steps = {}
    local one = co.spawn(function()
      co.shield(5, function()
        steps[1] = co.sleep(0.01)
        steps[2] = co.scope(co.sleep, 0.01)
      end)
      steps[3] = tostring(select(2, pcall(co.sleep, 60)))
    end)
    co.sleep(0)
    one:cancel()
    one:join()
    lu.assertEquals(steps, { true, true, "cancelled: by task:cancel" })
  end)
end

function cases.Y89_the_time_of_a_shield_is_over()
  dialogue.run(function()
    local result, further
    local one = co.spawn(function()
      pcall(co.sleep, 60)
      result = { co.shield(0.03, function()
        further = not pcall(co.sleep, 60) and not pcall(co.sleep, 0)
        co.sleep(60)
      end) }
    end)
    co.sleep(0)
    local began = tcpmulti.now()
    one:cancel()
    one:join()
    lu.assertEquals(result, { nil, "timed out", "ETIME" })
    lu.assertEquals(further, true)
    support.at(tcpmulti.now() - began, 0.03)
  end)
  dialogue.raises("shield: only in a task", co.shield, 1, function() end)
end

-- ---- deadline ----

function cases.Y90_of_nested_deadlines_the_outer_one_wins()
  dialogue.run(function()
    local inner
    local began = tcpmulti.now()
    lu.assertEquals({ co.deadline(0.03, function()
      inner = { co.deadline(30, co.sleep, 60) }
      return "never"
    end) }, { nil, "timed out", "ETIME" })
    lu.assertNil(inner)
    support.at(tcpmulti.now() - began, 0.03)
    lu.assertEquals({ co.deadline(30, function()
      inner = { co.deadline(0.03, co.sleep, 60) }
      return "went on", nil, co.sleep(0)
    end) }, { "went on", nil, true })
    lu.assertEquals(inner, { nil, "timed out", "ETIME" })
  end)
end

function cases.Y90_when_both_are_over_the_outer_one_decides()
  dialogue.run(function()
    local inner
    lu.assertEquals({ co.deadline(0.01, function()
      inner = { co.deadline(0.01, function()
        support.after(0, function() -- both go off while the loop is busy
          local ends = tcpmulti.now() + 0.05
          while tcpmulti.now() < ends do end
        end)
        co.sleep(60)
      end) }
      co.sleep(0)
      return "never"
    end) }, { nil, "timed out", "ETIME" })
    lu.assertNil(inner)
  end)
end

function cases.Y90_results_and_errors_pass_a_deadline()
  dialogue.run(function()
    lu.assertEquals({ co.deadline(30, function(...) return ... end, 1, nil, 3) }, { 1, nil, 3 })
    dialogue.raises("boom", co.deadline, 30, error, "boom")
    dialogue.raises("deadline: a number of seconds and a function expected", co.deadline)
    dialogue.raises("deadline: ", co.deadline, -1, function() end)
    local begun = tcpmulti.now()
    lu.assertEquals({ co.deadline(0.02, function() -- children are cancelled as well
      co.spawn(function() co.sleep(60) end)
    end) }, { nil, "timed out", "ETIME" })
    support.at(tcpmulti.now() - begun, 0.02)
  end)
end

function cases.Y91_its_connections_are_reset()
  local silent
  local _, log = dialogue.run(function(session)
    lu.assertEquals({ co.deadline(0.03, function()
      local cheap
      cheap, silent = dialogue.open "discard"
      cheap:receive()
    end) }, { nil, "timed out", "ETIME" })
    dialogue.wait_for(function() return session:count() == 0 end)
  end)
  lu.assertEquals(log:count "disconnected", 1)
  lu.assertEquals(support.ending(silent, 1), "reset")
end

function cases.Y92_cancel_after_the_end()
  dialogue.run(function()
    local one = co.spawn(function() return 1 end)
    one:join()
    lu.assertEquals({ one:cancel() }, { nil, "the task has ended", "ESRCH" })
    lu.assertEquals({ one:join() }, { 1 })
    lu.assertEquals(one:status(), "done")
  end)
end

-- ---- die ----

function cases.Y93_die_cancels_waits_and_flushes_connections()
  local main, beside, of_other, server
  local session, log = support.record()
  local other = support.session()
  local one = session:spawn(function()
    local cheap
    cheap, server = dialogue.open "wait go; recv all"
    other:spawn(function() of_other = { cheap:receive() } end)
    co.sleep(0)
    cheap:send "flushed"
    main = select(2, pcall(co.sleep, 60))
    beside = select(2, pcall(co.sleep, 60))
    error(main, 0)
  end)
  support.when(function() return select(2, one:status()) == "sleep" and server end, function()
    session:die()
    server:go "go"
  end)
  support.run()
  lu.assertEquals(tostring(main), "cancelled: session is dying")
  lu.assertIs(beside, main)
  lu.assertEquals(one:status(), "cancelled")
  lu.assertEquals(support.ending(server, 1), "eof")
  lu.assertEquals(server:connection(1).content, "flushed\r\n")
  lu.assertEquals(log:list(), { "initialize", "disconnected die" })
  lu.assertEquals(of_other, { nil, "session is dying", "ESHUTDOWN", "" })
end

function cases.Y93_stop_runs_after_the_last_task()
  local steps = {}
  local session
  session = support.session {
    inline_states = { _stop = function() steps[#steps + 1] = "_stop" end },
  }
  session:spawn(function()
    pcall(co.sleep, 60)
    steps[#steps + 1] = "told"
    local ok = pcall(co.shield, 60, co.sleep, 60) -- a session that has stopped waits no more
    steps[#steps + 1] = ok and "shielded" or "broken"
  end)
  support.after(0.01, function() session:die() end)
  support.run()
  lu.assertEquals(steps, { "told", "broken", "_stop" })
end

-- Each wait is broken, and the next one begins in a new shield. The coroutine is collected.
function cases.Y93_a_task_that_never_stops_waiting_is_dropped()
  local waits, dropped = 0, setmetatable({}, { __mode = "v" })
  local session, began = support.record(), tcpmulti.now()
  dropped[1] = session:spawn(function()
    while true do
      pcall(co.shield, 60, co.sleep, 0.2)
      waits = waits + 1
    end
  end)
  support.when(function() return waits == 0 and dropped[1]:status() == "waiting" end,
    function() session:die() end)
  support.run()
  support.at(tcpmulti.now() - began, 0)
  lu.assertTrue(waits > 1 and waits < 100)
  collectgarbage()
  collectgarbage()
  lu.assertNil(dropped[1])
  local beside = support.record()
  beside:spawn(co.sleep, 0.3)
  support.run()
end

function cases.Y95_tasks_are_told_at_die_before_the_flush_has_ended()
  local told_in, server, cause
  local session, log = support.record { filter = "stream", shutdown_timeout = 30 }
  local one = session:spawn(function()
    local cheap
    cheap, server = dialogue.open("wait go; count", { rcvbuf = 4096 })
    cheap:send(("x"):rep(8000000))
    cause = select(2, pcall(co.sleep, 60))
    told_in = cheap:phase()
    server:go "go"
    error(cause, 0)
  end)
  support.when(function() return select(2, one:status()) == "sleep" and server end,
    function() session:die() end)
  support.run()
  lu.assertEquals(tostring(cause), "cancelled: session is dying")
  lu.assertEquals(told_in, "shutting")
  lu.assertEquals(log:list(), { "initialize", "disconnected die" })
  support.ending(server, 1)
  lu.assertEquals(server:report().received, 8000000)
end

support.main(cases)
