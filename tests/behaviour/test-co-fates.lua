-- SPDX-License-Identifier: MIT
-- Tasks of random fates: each opens a connection to one of many peers and does what comes to its
-- mind, while others cancel it. At the end no connection, task or place is left.

local co = require "tcpmulti.co"
local dialogue = require "behaviour.dialogue"
local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"

local cases = support.cases "CoFates"
local HOST = dialogue.HOST
local TASKS, STEPS = 2000, 50 -- operations of a task, at most twice as many
if support.sanitized() then TASKS = 200 end

-- ---- chance, the same in each run ----

local draw -- draw(n): 1 to n

local function chance_of(seed)
  local bytes, at = peer.prng(seed, 65536), 0
  local turn = 0
  return function(n)
    at = at + 2
    if at > #bytes then
      turn, at = turn + 1, 2
      bytes = peer.prng(seed + turn * 1000, 65536)
    end
    local high, low = bytes:byte(at - 1, at)
    return (high * 256 + low) % n + 1
  end
end

local function soon() return draw(100) / 20000 end -- seconds

-- ---- what a task does with its connection ----

local gate = co.semaphore(5, "gate")
local box = co.queue(3, "box")
local bugs -- raised on purpose

local function rarely(n, f)
  return function(cheap)
    if draw(n) == 1 then return f(cheap) end
    return true
  end
end

local steps = {
  function(cheap) return cheap:receive(nil, soon()) end,
  function(cheap) return cheap:send("one", "two") end,
  function(cheap) return cheap:write("child\r\n") end,
  rarely(8, function(cheap) return cheap:write(("x"):rep(300000)) end),
  rarely(30, function(cheap) return cheap:shutdown "output" end),
  rarely(40, function(cheap) return cheap:close(soon()) end),
  rarely(40, function(cheap) return cheap:fail "on purpose" end),
  rarely(40, function(cheap) return cheap:reset() end),
  function(cheap)
    cheap:pause()
    cheap:resume()
    return true
  end,
  rarely(60, function()
    bugs = bugs + 1
    error "on purpose"
  end),
  rarely(5, function() return co.sleep(soon()) end),
  function() return co.sleep(0) end,
  function(cheap)
    local child = co.spawn(co.protect(function() return cheap:write "by a child" end))
    return child:join(soon())
  end,
  rarely(4, function(cheap)
    co.daemon(function()
      cheap:write "by a daemon"
      co.sleep(60)
    end)
    return true
  end),
  function() return co.deadline(soon(), co.sleep, soon()) end,
  function(cheap) return co.deadline(soon(), cheap.receive, cheap) end,
  function() return co.shield(soon(), co.sleep, soon()) end,
  function()
    return co.any {
      function()
        co.sleep(soon())
        return 1
      end,
      function() co.sleep(soon()) end,
    }
  end,
  function(cheap)
    return co.all { function() return cheap:write "a" end, function() return co.sleep(0) end }
  end,
  rarely(3, function(cheap)
    if pcall(co.release, cheap) then return co.adopt(cheap) end
    return true
  end),
  function() return gate:acquire(0) and (gate:release() or true) end,
  function() return gate:with(co.sleep, draw(2) == 1 and 0 or soon()) end,
  function() return box:put(1, soon()) end,
  function() return box:get(soon()) end,
  function() return co.await(function(done) co.spawn(done, 1) end, soon()) end,
  function() return (pcall(co.sleep, soon())) end, -- goes on after a cancellation
}

local function live(port, count)
  local cheap, message, errname = co.open(HOST, port)
  if not cheap then return nil, message, errname end
  for _ = 1, draw(STEPS * 2) do
    count()
    steps[draw(#steps)](cheap)
    if not cheap:session() and draw(10) == 1 then break end -- some use what has ended
  end
  return true
end

-- ---- the run ----

local PROGRAMS = {
  "echo", "count", "discard", "close", "rst", "freeze",
  [[send "a\nb\n"; recv line; send "c\nrest"; close]],
  [[send "a\nb\n"; recv line; rst]],
  [[blast 200000; recv all]],
  [[recv line; send "x\n"; shutwr; recv all]],
  [[dribble "some lines\nof text\n" 500; recv all]],
}

local function ports()
  local list = { support.refused() }
  for i, program in ipairs(PROGRAMS) do
    list[i + 1] = support.peer(program, { keep = 1 }):port()
  end
  return list
end

-- A life in a task of its own, which others may cancel; a target of each.
local function in_a_task(targets, begun, count)
  return function(number)
    local one = co.spawn(co.protect(live), targets[draw(#targets)], count)
    begun[#begun + 1] = one
    if draw(3) == 1 then one.name = "fate " .. number end
    return one:join()
  end
end

local OVER = { done = true, failed = true, cancelled = true } -- states

local function cancel_some(begun)
  while true do
    co.sleep(0.001)
    local one = begun[draw(math.max(#begun, 1))]
    if one and draw(2) == 1 then one:cancel "chance" end
    for i = #begun, 1, -1 do
      if OVER[begun[i]:status()] then table.remove(begun, i) end
    end
  end
end

local function run_fates(seed)
  draw, bugs = chance_of(seed), 0
  local heard, done, ends = 0, 0, 0
  local begun, numbers = {}, {}
  for i = 1, TASKS do numbers[i] = i end
  local ended = false
  local session = support.session {
    input_timeout = 2,
    deadline = 4,
    high_mark = 100000,
    low_mark = 10000,
    max_connections = 60,
    on_exception = function(_, message)
      lu.assertStrContains(message, "on purpose")
      heard = heard + 1
    end,
    on_input = function() end, -- of those that are released
    on_disconnected = function() ends = ends + 1 end,
  }
  session:spawn(function()
    local targets = ports()
    co.scope(function()
      co.daemon(cancel_some, begun)
      local good, bad = co.each(numbers, 100,
        in_a_task(targets, begun, function() done = done + 1 end))
      lu.assertEquals(good + bad, TASKS)
    end)
    dialogue.wait_for(function() return session:count() == 0 end)
    lu.assertEquals(dialogue.count_tasks(session), 1)
    ended = true
  end)
  support.run(100)
  lu.assertTrue(ended)
  lu.assertEquals(dialogue.count_tasks(session), 0)
  return done, heard, ends
end

for seed = 1, 2 do
  cases["Y120_random_fates_leave_nothing_with_seed_" .. seed] = function()
    local done, heard, ends = run_fates(seed)
    lu.assertTrue(done > TASKS * 10, done)
    lu.assertTrue(heard > 0 and heard <= bugs, heard)
    lu.assertTrue(ends > TASKS / 2, ends)
    for _ = 1, 5 do -- no place was lost
      lu.assertTrue(gate.count > 0)
      gate.count = gate.count - 1
    end
    lu.assertEquals({ gate.count, #gate.waiting, #box.getters, #box.putters }, { 0, 0, 0, 0 })
    gate.count = 5
  end
end

support.main(cases)
