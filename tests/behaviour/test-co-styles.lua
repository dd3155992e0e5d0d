-- SPDX-License-Identifier: MIT
-- Handlers and tasks side by side: adopt, release, and what comes to handlers all the same.

local co = require "tcpmulti.co"
local dialogue = require "behaviour.dialogue"
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "CoStyles"
local open, try, HOST = dialogue.open, co.try, dialogue.HOST

function cases.Y113_adopted_in_the_middle_of_a_stream_no_record_is_lost()
  local seen, got = {}, {}
  local one = support.peer 'send "1\\n2\\n3\\n4\\n"; send "5\\n6\\n"; close'
  local session = support.session {
    on_input = function(cheap, line)
      seen[#seen + 1] = line
      if line ~= "2" then return end
      cheap:session():spawn(function()
        lu.assertIs(co.adopt(cheap), cheap)
        for record in cheap:records() do got[#got + 1] = record end
      end)
    end,
  }
  session:connect(HOST, one:port())
  support.run()
  lu.assertEquals(table.concat(seen) .. table.concat(got), "123456")
  lu.assertEquals(seen[2], "2")
  lu.assertTrue(#got > 0)
end

function cases.Y114_adopted_before_it_is_open()
  dialogue.run(function(session)
    local cheap = session:connect(HOST, support.peer("echo"):port())
    lu.assertIs(try(co.adopt(cheap)), cheap)
    cheap:send "early"
    lu.assertEquals(cheap:receive(), "early")
    cheap = session:connect(HOST, support.refused())
    try(co.adopt(cheap))
    local record, message, errname = cheap:receive()
    lu.assertEquals({ record, message, errname },
      { nil, "connect: Connection refused", "ECONNREFUSED" })
    lu.assertEquals(select(3, co.adopt(cheap)), "ECONNREFUSED")
  end)
end

function cases.Y114_a_connection_whose_heap_was_a_tasks_cheap_is_adopted_anew()
  dialogue.run(function(session)
    local before = open "echo"
    before.number = 7
    before:close()
    local cheap = session:connect(before, HOST, support.peer("echo"):port())
    lu.assertEquals(cheap.number, 7)
    dialogue.raises("belongs to its handlers", cheap.receive, cheap)
    lu.assertIs(try(co.adopt(cheap)), cheap)
    cheap:send "x"
    lu.assertEquals(cheap:receive(), "x")
    lu.assertEquals(select(3, before:receive()), "ESHUTDOWN")
  end)
end

function cases.Y115_released_the_handlers_go_on_at_the_next_record()
  local seen, ended = {}, nil
  local session = support.session {
    on_input = function(_, line) seen[#seen + 1] = line end,
    on_disconnected = function(_, _, reason) ended = reason end,
  }
  session:spawn(function()
    local cheap = open 'send "1\\n2:ab,3\\n4\\n"; send "5\\n"; close'
    lu.assertEquals(cheap:receive(), "1")
    lu.assertEquals(cheap:receive "netstring", "ab")
    lu.assertEquals({ co.release(cheap) }, { true })
    dialogue.raises("belongs to its handlers", cheap.receive, cheap)
  end)
  support.run()
  lu.assertEquals(seen, { "3", "4", "5" })
  lu.assertEquals(ended, "eof")
end

function cases.Y116_release_while_somebody_waits_raises()
  dialogue.run(function()
    local cheap = open "count"
    local task = co.spawn(function() cheap:receive() end)
    task.name = "first"
    co.sleep(0)
    dialogue.raises("busy: task 'first' waits to receive", co.release, cheap)
    task:cancel()
    task:join()
    lu.assertEquals({ co.release(cheap) }, { true })
    cheap:reset()
  end)
end

function cases.Y117_on_disconnected_comes_once_and_before_the_task_is_told()
  local reasons, order = {}, {}
  dialogue.run({
    on_disconnected = function(_, _, reason)
      reasons[#reasons + 1], order[#order + 1] = reason, "handler"
    end,
  }, function()
    lu.assertEquals(open('send "x"; close'):receive "all", "x")
    order[#order + 1] = "task"
    co.scope(open, "count")
    pcall(co.scope, function()
      open "count"
      error "x"
    end)
    dialogue.wait_for(function() return #reasons == 3 end)
  end)
  lu.assertEquals(reasons, { "eof", "shutdown", "shutdown" })
  lu.assertEquals({ order[1], order[2] }, { "handler", "task" })
end

function cases.Y118_the_option_assert_covers_the_new_methods()
  dialogue.run({ options = { assert = true } }, function()
    local cheap = open "echo"
    for _, name in ipairs { "receive", "expect", "records", "write", "close" } do
      dialogue.raises("hides a method", function() cheap[name] = 1 end)
    end
    cheap.lines = 7
    cheap:send "x"
    lu.assertEquals({ cheap:receive(), cheap.lines }, { "x", 7 })
  end)
end

function cases.Y119_a_task_with_connections_of_two_sessions()
  dialogue.run(function(session)
    local other, echo = support.session { filter = "stream" }, support.peer "echo"
    local one, two = try(other:open(HOST, echo:port())), try(co.open(HOST, echo:port()))
    lu.assertIs(one:session(), other)
    lu.assertIs(two:session(), session)
    one:send "ab"
    two:send "line"
    lu.assertEquals({ two:receive(), one:receive() }, { "line", "ab" })
    lu.assertEquals({ one:close(), two:close() }, { true, true })
  end)
end

-- What a task may do with its connection in Y120.
local function some() return math.random() * 0.02 end
local operations = {
  function(c) c:receive(nil, some()) end,
  function(c) c:receive(math.random(1, 200), some()) end,
  function(c) c:receive("netstring", some()) end,
  function(c) c:receive({ "all", max_length = 50000 }, some()) end,
  function(c) c:expect { "%w+", reject = "zzz", timeout = some(), max_length = 2000 } end,
  function(c) c:write(("x"):rep(math.random(3) == 1 and 300000 or 10)) end,
  function(c) c:send("PING", "x") end,
  function() co.sleep(some()) end,
  function(c) c:filter(math.random(2) == 1 and "line" or "stream") end,
  function(c) c:unread "unread\r\n" end,
  function(c) c:shutdown "output" end,
  function(c)
    c:pause()
    c:resume()
  end,
  function(c) if math.random(8) == 1 then c:close(some()) end end,
  function() if math.random(20) == 1 then error "on purpose" end end,
  function(c) if math.random(10) == 1 then c:fail "on purpose" end end,
  function(c) co.spawn(co.protect(function() c:write "child" end)):join(some()) end,
  function(c)
    co.daemon(function()
      c:write "daemon"
      co.sleep(1)
    end)
  end,
  function() co.deadline(some(), co.sleep, some()) end,
  function(c) if math.random(10) == 1 and pcall(co.release, c) then co.adopt(c) end end,
}

function cases.Y120_two_thousand_random_fates_leave_nothing()
  local fates, live, gate = support.swarm("fate", 1, 1024), 0, co.semaphore(50)
  local opened, ended, tasks = 0, 0, {}
  math.randomseed(20)
  local function fate()
    live = live + 1
    local ok, err = pcall(co.scope, function()
      local cheap = gate:with(function() return (co.open(HOST, fates:port())) end)
      for _ = 1, cheap and math.random(1, 12) or 0 do
        operations[math.random(#operations)](cheap)
      end
    end)
    live = live - 1
    if not ok then error(err, 0) end
  end
  local session = dialogue.run({
    high_mark = 100000, low_mark = 10000, input_timeout = 2, deadline = 4,
    on_input = function() end,
    on_initialize = function() opened = opened + 1 end,
    on_disconnected = function() ended = ended + 1 end,
    on_exception = function(_, message) lu.assertStrContains(message, "on purpose") end,
  }, function(session)
    co.daemon(function()
      while true do
        co.sleep(0.002)
        local task = next(tasks)
        if task then
          tasks[task] = nil
          if math.random(4) == 1 then task:cancel() end
        end
      end
    end)
    co.each(function() return opened < 2000 and 1 or nil end, 100, function()
      local task = session:spawn(fate)
      tasks[task] = true
      pcall(task.join, task)
      tasks[task] = nil
      return true
    end)
    lu.assertEquals({ live, gate.count, #gate.waiting }, { 0, 50, 0 })
    lu.assertEquals(dialogue.count_tasks(session), 2)
  end, 60)
  lu.assertTrue(opened >= 2000)
  lu.assertEquals(ended, opened)
  lu.assertEquals(dialogue.count_tasks(session), 0)
end

function cases.Y121_connect_in_a_task_goes_to_the_tasks_session()
  dialogue.run(function(session)
    local other, silent = support.session {}, support.peer "count"
    other:spawn(function()
      local cheap = tcpmulti.connect { remote_address = HOST, remote_port = silent:port() }
      lu.assertIs(cheap:session(), other)
      cheap:reset()
    end):join()
    co.sleep(0)
    local cheap = tcpmulti.connect { remote_address = HOST, remote_port = silent:port() }
    lu.assertIs(cheap:session(), session)
    try(co.adopt(cheap))
  end)
end

support.main(cases)
