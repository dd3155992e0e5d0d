-- SPDX-License-Identifier: MIT
-- BEHAVIOUR L1-L19: how sessions and connections begin and end.

local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Lifecycle"
local HOST = "127.0.0.1"

function cases.L1_create_without_connections_starts_and_stops_once()
  local started, stopped = 0, 0
  tcpmulti.create {
    inline_states = {
      _start = function() started = started + 1 end,
      _stop = function() stopped = stopped + 1 end,
    },
  }
  lu.assertEquals(started, 1)
  local took = support.run()
  lu.assertEquals({ started, stopped }, { 1, 1 })
  support.within(took, 0, 0.4, "run")
end

function cases.L2_echo_then_shutdown_cancels_the_input_timer()
  local log, echo, took = support.meet("echo", {
    InputTimeout = 300,
    on_success = function(cheap) cheap:send "hi" end,
    on_input = function(cheap) cheap:shutdown() end,
  })
  lu.assertEquals(log:list(), { "initialize", "success", "input hi", "disconnected shutdown" })
  support.within(took, 0, 1, "run")
  lu.assertEquals(support.ending(echo, 1), "eof")
end

function cases.L3_refused_port_fails_then_disconnects()
  local seen
  local session, log = support.record {
    on_failure = function(_, ...) seen = { ... } end,
  }
  local cheap, id = session:connect(HOST, support.refused())
  lu.assertIsTable(cheap)
  support.run()
  lu.assertEquals(log:list(),
    { "initialize", "failure connect ECONNREFUSED", "disconnected failure" })
  lu.assertEquals(seen[1], "connect")
  lu.assertEquals(seen[2], 111)
  lu.assertIsString(seen[3])
  lu.assertEquals(seen[4], id)
  lu.assertEquals(seen[5], "ECONNREFUSED")
end

function cases.L4_thirty_connections_of_200_random_bytes()
  local echo = support.peer "echo"
  local finished = 0
  local session, log = support.record {
    filter = "stream",
    short = true,
    on_success = function(cheap)
      cheap.got = ""
      cheap:send(cheap.sent)
    end,
    on_input = function(cheap, bytes)
      cheap.got = cheap.got .. bytes
      if #cheap.got < 200 then return end
      lu.assertEquals(cheap.got, cheap.sent)
      finished = finished + 1
      if finished == 30 then cheap:session():die() end
    end,
  }
  for i = 1, 30 do
    session:connect({ sent = peer.prng(i, 200) }, HOST, echo:port())
  end
  support.run()
  lu.assertEquals(finished, 30)
  lu.assertEquals(log:count "success", 30)
  lu.assertEquals(log:count "disconnected die", 30)
  lu.assertEquals(log:count "error", 0)
  log:check_grammar()
end

function cases.L5_an_alias_alone_does_not_hold_run()
  local session = support.session { Alias = "alone" }
  lu.assertEquals(session.alias, "alone")
  support.within(support.run(), 0, 0.4, "run")
end

function cases.L6_post_connect_to_an_idle_session_by_alias()
  local closer = support.peer "close"
  local a, log = support.record { alias = "idle-a" }
  local b = support.session {
    inline_states = {
      go = function()
        lu.assertEquals(tcpmulti.post("idle-a", "connect", HOST, closer:port()), true)
        local ok, message, errname = tcpmulti.post("nobody", "connect", HOST, 1)
        lu.assertNil(ok)
        lu.assertIsString(message)
        lu.assertEquals(errname, "ESRCH")
      end,
    },
  }
  lu.assertEquals(a.alias, "idle-a")
  b:delay("go", 0.3)
  local took = support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "error read EOF", "disconnected eof" })
  support.at(took, 0.3)
end

function cases.L7_yielded_die_ends_silent_connections_and_the_session()
  local silent = support.peer "count"
  local stopped, open = 0, 0
  local session, log
  session, log = support.record {
    inline_states = { _stop = function() stopped = stopped + 1 end },
    on_success = function()
      open = open + 1
      if open == 2 then session:yield "die" end
    end,
  }
  session:connect(HOST, silent:port())
  session:connect(HOST, silent:port())
  local took = support.run()
  lu.assertEquals(log:count "disconnected die", 2)
  lu.assertEquals(stopped, 1)
  support.within(took, 0, 1, "run")
  lu.assertEquals(support.ending(silent, 1), "eof")
  lu.assertEquals(support.ending(silent, 2), "eof")
end

function cases.L8_die_cancels_a_connecting_connection()
  local session, log = support.record { connect_timeout = 0.5 }
  session:connect(HOST, support.blackhole())
  support.after(0.2, function() session:die() end)
  support.after(0.9, function() end)
  support.run()
  lu.assertEquals(log:list(), { "initialize", "disconnected die" })
  support.at(log:time "disconnected", 0.2)
end

function cases.L9_die_delivers_what_is_queued()
  local slow = support.peer("sleep 200; count", { rcvbuf = 4096 })
  local bytes = peer.prng(9, 1048576)
  local session, log
  session, log = support.record {
    filter = "stream",
    on_success = function(cheap)
      cheap:send(bytes)
      session:die()
    end,
  }
  session:connect(HOST, slow:port())
  support.run(20)
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected die" })
  lu.assertEquals(support.ending(slow, 1), "eof")
  lu.assertEquals(slow:connection(1).received, #bytes)
  lu.assertEquals(slow:connection(1).checksum, peer.checksum(bytes))
end

function cases.L10_disconnected_may_connect_again()
  local closer = support.peer "close"
  local again = 0
  local session, log
  session, log = support.record {
    on_disconnected = function()
      again = again + 1
      if again <= 3 then session:connect(HOST, closer:port()) end
    end,
  }
  session:connect(HOST, closer:port())
  support.run()
  local cycle = { "initialize", "success", "error read EOF", "disconnected eof" }
  lu.assertEquals(#log.ids, 4)
  for _, id in ipairs(log.ids) do
    log.of[id].codes = nil
    lu.assertEquals(log.of[id], cycle)
  end
end

function cases.L11_timeout_may_connect_elsewhere()
  local closer = support.peer "close"
  local session, log
  session, log = support.record {
    connect_timeout = 0.1,
    on_timeout = function() session:connect(HOST, closer:port()) end,
  }
  session:connect(HOST, support.blackhole())
  support.run()
  lu.assertEquals(log:list(), {
    "initialize", "timeout connect", "initialize", "disconnected timeout",
    "success", "error read EOF", "disconnected eof",
  })
end

function cases.L12_run_and_create_again_in_one_process()
  local echo = support.peer "echo"
  for _ = 1, 3 do
    local session, log = support.record {
      on_success = function(cheap) cheap:send "again" end,
      on_input = function(cheap) cheap:shutdown() end,
    }
    session:connect(HOST, echo:port())
    support.run()
    lu.assertEquals(log:list(), { "initialize", "success", "input again", "disconnected shutdown" })
    lu.assertEquals({ session:connect(HOST, echo:port()) },
      { nil, "session has stopped", "ESHUTDOWN" })
  end
end

function cases.L13_descriptors_return_to_the_baseline()
  local closers = support.swarm("close", 8)
  local refused = support.refused()
  support.run()
  local before = peer.descriptors()
  local ended = 0
  local session = support.session {
    max_connections = 300,
    on_disconnected = function() ended = ended + 1 end,
  }
  for i = 1, 6000 do session:connect("127.0.0." .. i % 8 + 1, closers:port()) end
  for _ = 1, 2000 do session:connect(HOST, refused) end
  support.run(60)
  lu.assertEquals(ended, 8000)
  lu.assertEquals(peer.descriptors(), before)
end

function cases.L14_sequential_connections_do_not_grow_the_process()
  local closers = support.swarm("close", 8)
  local left
  local session
  local function next_one()
    left = left - 1
    session:connect("127.0.0." .. left % 8 + 1, closers:port())
  end
  local function round(count)
    left = count
    session = support.session { on_disconnected = function() if left > 0 then next_one() end end }
    next_one()
    support.run(60)
    collectgarbage()
    collectgarbage()
    return peer.resident()
  end
  round(500)
  local before = round(500)
  local growth = round(4000) - before
  support.within(growth, -math.huge, support.sanitized() and 2 ^ 28 or 2 ^ 20, "growth in bytes")
end

function cases.L15_a_kept_cheap_does_not_hold_the_socket()
  local silent = support.peer "count"
  local session, log
  session, log = support.record {
    on_success = function(cheap)
      session.heap.kept = cheap
      cheap:shutdown()
    end,
  }
  session:connect(HOST, silent:port())
  support.within(support.run(), 0, 1, "run")
  lu.assertEquals(support.ending(silent, 1), "eof")
  support.after(0.1, function() end)
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
  lu.assertEquals(session.heap.kept:addr(), HOST)
end

function cases.L16_a_peer_that_closes_after_our_shutdown_is_harmless()
  local late = support.peer 'recv all; mark fin; wait go; send "late"; close'
  local session, log
  session, log = support.record {
    on_success = function(cheap)
      session.heap.kept = cheap
      cheap:shutdown()
    end,
  }
  session:connect(HOST, late:port())
  support.when(function() return late:marks "fin" == 1 end, function() late:go "go" end)
  support.after(0.2, function() end)
  support.run()
  lu.assertTrue(late:ended(1))
  lu.assertEquals(log:list(), { "initialize", "success", "disconnected shutdown" })
end

function cases.L17_no_handler_at_all()
  local greeter = support.peer 'send "hello\\r\\nbye-partial"; close'
  local session = support.session {}
  session:connect(HOST, greeter:port())
  session:connect(HOST, support.refused())
  support.run()
  lu.assertTrue(greeter:ended(1))
  lu.assertEquals(greeter:report().accepted, 1)
end

function cases.L18_a_signal_handler_shuts_down_everything()
  local silent = support.peer "count"
  local output, status = support.child("", [[
    local tcpmulti = require "tcpmulti"
    local open = 0
    local s
    s = tcpmulti.create {
      inline_states = {
        _stop = function() print "stopped" end,
        usr1 = function(session, name)
          print(name)
          for _, cheap in session:connections() do cheap:shutdown() end
        end,
      },
      on_success = function()
        open = open + 1
        if open == 2 then os.execute("kill -USR1 $PPID") end
      end,
      on_disconnected = function(_, _, reason) print(reason) end,
    }
    s:sig("USR1", "usr1")
    s:connect("127.0.0.1", tonumber(arg[1]))
    s:connect("127.0.0.1", tonumber(arg[1]))
    tcpmulti.run()
  ]], silent:port())
  lu.assertEquals(output, "USR1\nshutdown\nshutdown\nstopped\n")
  lu.assertEquals(status, 0)
  lu.assertEquals(support.ending(silent, 2), "eof")
end

function cases.L19_finished_connections_leave_nothing_behind()
  local closers = support.swarm("close", 8)
  local function registry_size()
    local count = 0
    for _ in pairs(debug.getregistry()) do count = count + 1 end
    return count
  end
  local alive = setmetatable({}, { __mode = "k" })
  local before, ended, live = registry_size(), 0, nil
  local session
  session = support.session {
    max_connections = 300,
    on_initialize = function(cheap) alive[cheap] = true end,
    on_disconnected = function()
      ended = ended + 1
      if ended == 10000 then
        session:delay("look", 0)
      end
    end,
    inline_states = { look = function(s) live = s:count() end },
  }
  local function connect_all() -- in a frame of its own, which would keep the last cheap alive
    for i = 1, 10000 do session:connect("127.0.0." .. i % 8 + 1, closers:port()) end
  end
  connect_all()
  support.run(60)
  collectgarbage()
  collectgarbage()
  lu.assertEquals(ended, 10000)
  lu.assertEquals(live, 0)
  lu.assertNil(next(alive))
  support.within(registry_size() - before, -100, 8, "registry growth")
end

support.main(cases)
