-- SPDX-License-Identifier: MIT
-- BEHAVIOUR I1-I7: an id names one connection, from connect to its last event, and never another.

local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Ids"
local HOST = "127.0.0.1"

local function assert_stale(...)
  lu.assertEquals({ ... }, { nil, "no such connection", "ESTALE" })
end

function cases.I1_the_id_is_the_same_in_every_event()
  local greeter = support.peer 'send "hello\\r\\n"; recv line; close'
  local ids = {}
  local function note(cheap, given)
    ids[#ids + 1] = cheap:ID()
    lu.assertEquals(cheap:id(), cheap:ID())
    if given then lu.assertEquals(given, cheap:id()) end
  end
  local session = support.session {
    on_initialize = function(cheap) note(cheap) end,
    on_success = function(cheap, _, _, _, old_id, id)
      note(cheap, old_id)
      note(cheap, id)
    end,
    on_input = function(cheap, _, id)
      note(cheap, id)
      cheap:send "bye"
    end,
    on_flushed = note,
    on_error = function(cheap, _, _, _, id) note(cheap, id) end,
    on_disconnected = note,
  }
  local cheap, id = session:connect(HOST, greeter:port())
  support.run()
  lu.assertEquals(#ids, 7)
  for _, one in ipairs(ids) do lu.assertEquals(one, id) end
  lu.assertEquals(cheap[0], id)
  lu.assertTrue(id > 0 and id < 2 ^ 53)
end

function cases.I2_an_id_from_initialize_serves_later()
  local echo = support.peer "echo"
  local session, log
  session, log = support.record {
    on_initialize = function(cheap)
      local id = cheap:id()
      support.after(0.3, function() lu.assertTrue(session:send(id, "delivered")) end)
    end,
    on_input = function(cheap) cheap:shutdown() end,
  }
  session:connect(HOST, echo:port())
  support.run()
  lu.assertEquals(log:list(),
    { "initialize", "success", "input delivered", "disconnected shutdown" })
end

function cases.I3_ids_are_unique_over_sessions_and_time()
  local closers = support.swarm("close", 8)
  local seen, count = {}, 0
  local function note(_, id)
    lu.assertNil(seen[id])
    seen[id] = true
    count = count + 1
  end
  local options = { max_connections = 200, on_disconnected = note }
  local a, b = support.session(options), support.session(options)
  for i = 1, 3000 do
    a:connect("127.0.0." .. i % 8 + 1, closers:port())
    b:connect("127.0.0." .. i % 8 + 1, closers:port())
  end
  support.run(30)
  lu.assertEquals(count, 6000)
end

function cases.I4_connect_and_call_connect_return_cheap_and_id()
  local closer = support.peer "close"
  local session, log = support.record()
  local cheap, id = session:connect(HOST, closer:port())
  lu.assertIsTable(cheap)
  lu.assertEquals(tcpmulti.id(cheap), id)
  cheap, id = session:call("connect", HOST, closer:port())
  lu.assertIsTable(cheap)
  lu.assertEquals(tcpmulti.id(cheap), id)
  support.run()
  lu.assertEquals(log.ids[2], id)
  log:check_grammar()
end

function cases.I5_fetch_finds_live_connections_of_its_session_only()
  local silent = support.peer "count"
  local other = support.session()
  local fetched
  local session
  session = support.session {
    on_success = function(cheap, _, _, _, _, id)
      lu.assertIs(session:fetch(id), cheap)
      lu.assertNil(other:fetch(id))
      for _, bad in ipairs { 0, -1, 1.5, id + 1, id + 2 ^ 21, 2 ^ 53, 0 / 0, 1 / 0, -1 / 0 } do
        lu.assertNil(session:fetch(bad))
      end
      cheap:shutdown()
    end,
    on_disconnected = function(cheap, id) fetched = session:fetch(id) == cheap end,
  }
  local _, id = session:connect(HOST, silent:port())
  lu.assertEquals(session:fetch(id), session:fetch(id))
  support.run()
  lu.assertIsBoolean(fetched)
  lu.assertNil(session:fetch(id))
end

function cases.I6_a_foreign_session_cannot_touch_a_connection()
  local echo = support.peer "echo"
  local a = support.session()
  local b, log = support.record {
    on_success = function(cheap, _, _, _, _, id)
      assert_stale(a:send(id, "x"))
      assert_stale(a:send(cheap, "x"))
      assert_stale(a:shutdown(id))
      assert_stale(a:shutdown(cheap))
      cheap:send "mine"
    end,
    on_input = function(cheap) cheap:shutdown() end,
  }
  b:connect(HOST, echo:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "input mine", "disconnected shutdown" })
  lu.assertEquals(echo:report().received, #"mine\r\n")
end

function cases.I7_a_cheap_is_accepted_where_an_id_is()
  local echo = support.peer "echo"
  local session, log
  session, log = support.record {
    on_success = function(cheap)
      lu.assertTrue(session:send(cheap, "one"))
      lu.assertTrue(tcpmulti.send(cheap, "two"))
      lu.assertTrue(session:call("send", cheap, "three"))
      lu.assertTrue(cheap:send("four"))
    end,
    on_input = function(cheap, record)
      if record == "four" then lu.assertTrue(session:shutdown(cheap)) end
    end,
  }
  session:connect(HOST, echo:port())
  support.run()
  lu.assertEquals(log:records(), { "one", "two", "three", "four" })
  lu.assertEquals(log[#log], "disconnected shutdown")
end

function cases.I_a_reused_slot_is_not_the_old_connection()
  local silent = support.peer "count"
  local session, log
  local old
  session, log = support.record {
    on_success = function(cheap, _, _, _, _, id)
      if not old then
        old = id
        cheap:shutdown()
      else
        assert_stale(session:send(old, "to nobody"))
        assert_stale(tcpmulti.send(old, "to nobody"))
        assert_stale(tcpmulti.shutdown(old))
        lu.assertNil(session:fetch(old))
        cheap:shutdown()
      end
    end,
    on_disconnected = function()
      if #log.ids < 300 then session:connect(HOST, silent:port()) end
    end,
  }
  session:connect(HOST, silent:port())
  support.run()
  lu.assertEquals(#log.ids, 300)
  lu.assertEquals(silent:report().received, 0)
end

support.main(cases)
