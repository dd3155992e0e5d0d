-- SPDX-License-Identifier: MIT
-- Thousands of handshakes: they take turns, hold up nothing that is open, and silent servers hold
-- up nobody.
local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"
local tls = require "secure.support"

local cases = support.cases "Crowds"
local HOST = "127.0.0.1"

local function percentile(values, part)
  table.sort(values)
  return values[math.max(1, math.ceil(#values * part))]
end

-- Sends "ping" again and again on a connection in plain text, and beats every 5 ms, until done()
-- says so. Gives the times of the round trips, and how late the beats were.
local function watch(done)
  local trips, late = {}, {}
  local session
  local function ping(cheap)
    cheap.at = tcpmulti.now()
    cheap:send "ping"
  end
  session = support.session {
    on_success = ping,
    on_input = function(cheap)
      trips[#trips + 1] = tcpmulti.now() - cheap.at
      if done() then cheap:reset() else ping(cheap) end
    end,
    inline_states = {
      beat = function(s)
        late[#late + 1] = tcpmulti.now() - s.heap.due
        s.heap.due = tcpmulti.now() + 0.005
        if not done() then s:delay_set("beat", 0.005) end
      end,
    },
  }
  session:connect(HOST, support.peer("echo"):port())
  session.heap.due = tcpmulti.now() + 0.005
  session:delay_set("beat", 0.005)
  return trips, late
end

-- The 90th percentiles of round trips and of late beats, beside so many handshakes.
local function disturb(servers, number)
  local ended = 0
  local trips, late = watch(function() return ended == number end)
  local session, log = support.record {
    short = true,
    tls = { verify = false, resumption = false },
    on_success = function(cheap) cheap:shutdown() end,
    on_disconnected = function() ended = ended + 1 end,
  }
  for i = 1, number do session:connect("127.0.0." .. 1 + i % 8, servers:port()) end
  support.run(60)
  lu.assertEquals(log:count "success", number)
  return percentile(trips, 0.9), percentile(late, 0.9)
end

-- A busy machine takes its time in some rounds, not in all.
function cases.T60_800_handshakes_beside_a_ping_pong()
  local servers = support.swarm("tls echo", 8, 1024)
  local number = support.sanitized() and 200 or 800
  local trip, late
  for _ = 1, 5 do
    trip, late = disturb(servers, number)
    if trip <= 0.012 and late <= 0.010 then break end
  end
  print(("# %d handshakes: p90 of pings %.1f ms, of late beats %.1f ms"):format(number, trip * 1e3,
    late * 1e3))
  support.within(trip, 0, support.limit(0.012), "seconds of a ping")
  support.within(late, 0, support.limit(0.010), "seconds late")
end

-- Shakes hands so many times; gives the seconds until all are done.
local function shake(servers, number, done)
  local good, began, took = 0, tcpmulti.now(), nil
  local session = support.session {
    tls = { verify = false, resumption = false },
    on_success = function(cheap)
      good = good + 1
      if good == number then
        took = tcpmulti.now() - began
        done()
      end
      cheap:reset()
    end,
  }
  for i = 1, number do session:connect("127.0.0." .. 1 + i % 8, servers:port()) end
  support.run(60)
  lu.assertEquals(good, number)
  return took
end

-- 2,000 servers are four times 512, each of which has a second: 4 s, and the handshakes themselves.
function cases.T61_2000_silent_servers_hold_up_nobody()
  local silent = support.swarm("discard", 8, 4096)
  local servers = support.swarm("tls echo", 8, 4096)
  local number = support.sanitized() and 200 or 1000
  local alone = shake(servers, number, function() end)
  local mute = support.session { tls = tls.client(), connect_timeout = 20 }
  for i = 1, 2 * number do mute:connect("127.0.0." .. 1 + i % 8, silent:port()) end
  local took = shake(servers, number, function() mute:die() end)
  print(("# %d handshakes: %.2f s; beside %d silent servers: %.2f s"):format(number, alone,
    2 * number, took))
  support.within(took, 0, 4 + math.max(1, 2 * alone), "seconds")
end

-- A server that only counts the bytes it gets knows how many handshakes are begun: their first
-- messages are alike.
function cases.T62_no_more_than_512_are_begun_within_a_second()
  local silent = support.swarm("discard", 8, 4096)
  local function hellos_of(session, number, seconds)
    for i = 1, number do session:connect("127.0.0." .. 1 + i % 8, silent:port()) end
    support.after(seconds, tcpmulti.stop)
    support.run(10)
    return silent:stats().received
  end
  local function create()
    return support.session { tls = { verify = false, resumption = false } }
  end
  local first, session = create(), create()
  local hello = hellos_of(first, 1, 0.3)
  lu.assertTrue(hello > 100)
  first:die()
  lu.assertEquals(hellos_of(session, 1600, 0.7), (1 + 512) * hello)
  local later = hellos_of(session, 0, 1) / hello - 1
  support.within(later, 513, 1024, "handshakes begun in two seconds")
  session:die()
  support.run(10)
end

function cases.T64_churn_leaves_no_memory_and_no_descriptors()
  lu.skipIf(support.sanitized(), "memory says nothing in this build")
  local servers = support.swarm("tls echo", 4, 1024)
  local function churn(total)
    local begun, session = 0, nil
    local function go_on()
      begun = begun + 1
      if begun <= total then session:connect("127.0.0." .. 1 + begun % 4, servers:port()) end
    end
    session = support.session {
      tls = { verify = false },
      on_success = function(cheap) cheap:send "hello" end,
      on_input = function(cheap) cheap:shutdown() end,
      on_disconnected = go_on,
    }
    for _ = 1, 50 do go_on() end
    support.run(90)
    session:die()
    support.run(5)
    collectgarbage()
    return peer.resident(), peer.descriptors()
  end
  local memory, descriptors = churn(2000)
  local later, left = churn(4000)
  support.within(later - memory, -math.huge, 4 * 1048576, "bytes more")
  lu.assertEquals(left, descriptors)
end

support.main(cases)
