-- SPDX-License-Identifier: MIT
-- What is kept of answers, for how long, and who shares a look-up; look-ups that nobody waits for
-- any more.
local lu = require "luaunit"
local peer = require "peer"
local support = require "names.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Cache"
local server = support.server()

-- Connects to all names at each of these seconds; gives the log, and for each name the list of how
-- often it had been asked for, for IPv4, just before each time and in the end.
local function connect_at(seconds, names, options)
  local port = support.peer("close"):port()
  local session, log = support.record(options)
  local counts = {}
  for i = 1, #names do counts[i] = {} end
  local function count()
    for i, name in ipairs(names) do table.insert(counts[i], server:count(name, "A")) end
  end
  for _, second in ipairs(seconds) do
    support.after(second, function()
      count()
      for _, name in ipairs(names) do session:connect(name, port) end
    end)
  end
  support.run(30)
  count()
  log:check_grammar()
  return log, counts
end

function cases.N16_with_ttl_0_those_who_wait_share_and_the_next_one_asks()
  local name = support.name("ttl-0", "a-1", "delay-100")
  local port = support.peer("close"):port()
  support.all_reached(support.look({ name, name, name }, nil, { port = port }), 3)
  lu.assertEquals({ server:count(name, "A"), server:count(name, "AAAA") }, { 1, 1 })
  support.reached(support.look(name, nil, { port = port }), "127.0.0.1")
  lu.assertEquals(server:count(name, "A"), 2)
end

function cases.N17_the_longest_ttl_there_is_is_no_negative_one()
  local name = support.name("ttl-2147483647", "a-1")
  for _ = 1, 2 do support.reached(support.look(name), "127.0.0.1") end
  lu.assertEquals(server:count(name, "A"), 1)
end

-- The second connect follows at once, in the last event of the first.
function cases.N18_failures_are_kept_for_a_while()
  local names = { support.name "nx", support.name "nodata", support.name "servfail" }
  local again = {}
  local log, counts = connect_at({ 0, 1.4, 5.4 }, names, {
    on_disconnected = function(cheap)
      local name = cheap:addr()
      if again[name] then return end
      again[name] = true
      cheap:session():connect(name, 1)
    end,
  })
  lu.assertEquals(log:count "failure resolve", 12)
  lu.assertEquals(counts[1], { 0, 1, 1, 2 })
  lu.assertEquals(counts[2], { 0, 1, 1, 2 })
  local once = counts[3][2]
  lu.assertEquals(counts[3], { 0, once, 2 * once, 3 * once })
end

-- So many connections to one name at once: the log.
local function connect_often(name, number)
  local port = support.swarm("close", 1, 4096):port()
  local session, log = support.record { short = true }
  for _ = 1, number do session:connect(name, port) end
  support.run(60)
  log:check_grammar()
  lu.assertEquals(log:count "disconnected", number)
  lu.assertEquals({ server:count(name, "A"), server:count(name, "AAAA") }, { 1, 1 })
  return log
end

function cases.N19_10000_connections_to_a_name_ask_once()
  local log = connect_often(support.name("a-1", "delay-100"), 10000)
  lu.assertEquals(log:count "success", 10000)
end

function cases.N20_10000_connections_to_a_name_that_does_not_exist_ask_once()
  local log = connect_often(support.name("nx", "delay-100"), 10000)
  lu.assertEquals(log:count "failure resolve ENOTFOUND", 10000)
end

function cases.N21_a_ttl_of_ones_own_in_place_of_the_servers()
  support.dns { ttl = 2 }
  local names = { support.name("ttl-0", "a-1"), support.name("ttl-60", "a-1") }
  local log, counts = connect_at({ 0, 0.5, 2.6 }, names)
  support.all_reached(log, 6)
  lu.assertEquals(counts, { { 0, 1, 1, 2 }, { 0, 1, 1, 2 } })
end

function cases.N21_a_sticky_answer_stays()
  support.dns { ttl = "sticky" }
  local log, counts = connect_at({ 0, 1.2, 2.4 }, { support.name("ttl-1", "a-1") })
  support.all_reached(log, 3)
  lu.assertEquals(counts, { { 0, 1, 1, 1 } })
end

function cases.N21_with_a_ttl_of_0_each_look_up_asks()
  support.dns { ttl = 0 }
  local name = support.name("ttl-60", "a-1", "delay-100")
  for look = 1, 3 do
    support.all_reached(support.look { name, name }, 2)
    lu.assertEquals(server:count(name, "A"), look)
  end
end

-- Three connections wait for one answer and are ended, each in its way, by one state.
function cases.N40_ended_while_looking_up_and_the_late_answer_is_kept()
  local name = support.name("a-1", "delay-300")
  local port = support.peer("close"):port()
  local session, log = support.record()
  local dying, dead = support.record()
  local first, second = session:connect(name, port), session:connect(name, port)
  dying:connect(name, port)
  support.after(0.05, function()
    first:shutdown()
    second:reset()
    dying:die()
    support.after(0, function() -- the turn is over
      lu.assertEquals(log:list(), {
        "initialize", "initialize", "disconnected shutdown", "disconnected shutdown",
      })
      lu.assertEquals(dead:list(), { "initialize", "disconnected die" })
    end)
  end)
  local later, reached = support.record()
  support.after(0.6, function() later:connect(name, port) end)
  support.run()
  lu.assertEquals(#log, 4)
  lu.assertEquals(#dead, 2)
  support.reached(reached, "127.0.0.1")
  lu.assertEquals(server:count(name, "A"), 1)
end

-- A handler takes so long that the answers and the ends of the connect timeouts are found at once.
function cases.N42_answer_and_timeout_in_one_turn()
  local port = support.peer("close"):port()
  local session, log = support.record { connect_timeout = 0.2 }
  for _ = 1, 20 do session:connect(support.name("a-1", "delay-100"), port) end
  for _ = 1, 20 do session:connect(support.name("nx", "delay-100"), port) end
  support.after(0.02, function() peer.block(0.5) end)
  support.run()
  log:check_grammar()
  lu.assertEquals(log:count "disconnected", 40)
end

-- The answers of 200 names come after the end of the engine that asked.
function cases.N40_answers_after_the_end_of_the_engine()
  local text = support.script([[
    local s = session { on_failure = function() end }
    for i = 1, 200 do
      s:connect(("a-1.jitter-400.twice.c%d.test"):format(i), 1)
    end
    local ender = tcpmulti.create { inline_states = { over = function() tcpmulti.stop() end } }
    ender:delay_set("over", 0.15)
    tcpmulti.run()
    print "over"
  ]])
  lu.assertEquals(text, "over\n")
  lu.assertTrue(server:count() > 0)
end

function cases.stats_tell_hits_and_misses()
  local name = support.name "a-1"
  local before = tcpmulti.dns()
  support.look(name)
  local once = tcpmulti.dns()
  support.look { name, name }
  local twice = tcpmulti.dns()
  lu.assertTrue(once.misses > before.misses)
  lu.assertEquals({ once.hits, twice.misses }, { before.hits, once.misses })
  lu.assertTrue(twice.hits >= once.hits + 2)
  lu.assertEquals({ once.queries, twice.queries }, { before.queries + 2, before.queries + 2 })
  lu.assertEquals(twice.waiting, 0)
  lu.assertTrue(twice.window >= 16)
end

support.main(cases)
