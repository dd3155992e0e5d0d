-- SPDX-License-Identifier: MIT
-- BEHAVIOUR H1-H10: the connection's heap table and the session's.

local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Heap"
local HOST = "127.0.0.1"

function cases.H1_a_heap_given_to_connect_is_there_from_the_start()
  local closer = support.peer "close"
  local tags = {}
  local function note(cheap) tags[#tags + 1] = cheap.tag end
  local session = support.session {
    on_initialize = note, on_success = note, on_error = note, on_disconnected = note,
  }
  session:connect({ tag = "T1" }, HOST, closer:port())
  support.run()
  lu.assertEquals(tags, { "T1", "T1", "T1", "T1" })
end

function cases.H2_one_table_serves_many_connects()
  local closer = support.peer "close"
  local nested = {}
  local heap = { tag = "shared", nested = nested }
  local cheaps = {}
  local session = support.session {
    on_success = function(cheap, _, _, _, _, id) cheap.own = id end,
    on_disconnected = function(cheap, id)
      lu.assertEquals(cheap.own, id)
      lu.assertEquals(cheap.tag, "shared")
      lu.assertIs(cheap.nested, nested)
      cheaps[cheap] = true
    end,
  }
  for _ = 1, 100 do session:connect(heap, HOST, closer:port()) end
  support.run()
  local count = 0
  for _ in pairs(cheaps) do count = count + 1 end
  lu.assertEquals(count, 100)
  lu.assertNil(getmetatable(heap))
  lu.assertEquals(heap, { tag = "shared", nested = {} })
  lu.assertNil(heap[0])
end

function cases.H3_no_user_key_breaks_the_library()
  local echo = support.peer "echo"
  local heap = { ID = 7, id = 8, send = 1, timeout = "x", shutdown = false, phase = {}, [1] = "one",
    __index = 5, __gc = 6 }
  local session, log
  session, log = support.record {
    on_success = function(cheap, _, _, _, _, id)
      lu.assertEquals({ cheap.ID, cheap.id, cheap.send, cheap.timeout, cheap[1] },
        { 7, 8, 1, "x", "one" })
      lu.assertEquals(tcpmulti.id(cheap), id)
      lu.assertTrue(tcpmulti.send(cheap, "sent"))
      lu.assertEquals(tcpmulti.phase(cheap), "open")
    end,
    on_input = function(cheap)
      lu.assertEquals(cheap.send, 1)
      tcpmulti.shutdown(cheap)
    end,
  }
  session:connect(heap, HOST, echo:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "input sent", "disconnected shutdown" })
end

function cases.H3_a_heap_with_an_own_slot_0_is_not_taken_for_an_id()
  local echo = support.peer "echo"
  local session, log = support.record {
    on_success = function(cheap, _, _, _, _, id)
      lu.assertEquals(cheap:id(), id)
      cheap:shutdown()
    end,
  }
  session:connect({ [0] = 12345 }, HOST, echo:port())
  support.run()
  lu.assertEquals(log[#log], "disconnected shutdown")
end

function cases.H4_assigning_the_parameter_changes_nothing()
  local echo = support.peer "echo"
  local first, cheaps = nil, {}
  local session = support.session {
    on_initialize = function(cheap)
      first = cheap
      cheap = {}
      lu.assertIsTable(cheap)
    end,
    on_success = function(cheap)
      cheaps[1] = cheap
      cheap:send "x"
    end,
    on_input = function(cheap)
      cheaps[2] = cheap
      cheap:shutdown()
    end,
    on_disconnected = function(cheap) cheaps[3] = cheap end,
  }
  session:connect(HOST, echo:port())
  support.run()
  lu.assertIs(cheaps[1], first)
  lu.assertIs(cheaps[2], first)
  lu.assertIs(cheaps[3], first)
end

function cases.H5_a_cheap_travels_through_yield()
  local silent = support.peer "count"
  local seen
  local session
  session = support.session {
    inline_states = {
      foo = function(s, number, cheap)
        seen = { s, number, cheap }
        cheap:shutdown()
      end,
    },
    on_success = function() session:yield("foo", 42, session.heap.cheap) end,
    on_initialize = function(cheap) cheap:session().heap.cheap = cheap end,
  }
  local cheap = session:connect(HOST, silent:port())
  support.run()
  lu.assertIs(seen[1], session)
  lu.assertEquals(seen[2], 42)
  lu.assertIs(seen[3], cheap)
end

function cases.H6_a_state_gets_what_was_given_and_nothing_else()
  local counts = {}
  local session = support.session {
    inline_states = {
      foo = function(...) counts[#counts + 1] = select("#", ...) end,
    },
  }
  session:yield "foo"
  session:yield("foo", nil)
  session:yield("foo", 1, nil, nil)
  session:call("foo", "x")
  support.run()
  lu.assertEquals(counts, { 2, 1, 2, 4 })
end

function cases.H7_a_heap_of_the_wrong_type_is_an_error_of_the_caller()
  local closer = support.peer "close"
  local session, log = support.record()
  for _, heap in ipairs { 42, true, print } do
    local ok, message = pcall(session.connect, session, heap, HOST, closer:port())
    lu.assertFalse(ok)
    lu.assertIsString(message)
    ok, message = pcall(session.connect, session,
      { remote_address = HOST, remote_port = closer:port(), heap = heap })
    lu.assertFalse(ok)
    lu.assertStrContains(message, "heap")
  end
  lu.assertEquals(log:list(), {})
  lu.assertEquals(session:count(), 0)
  session:connect(HOST, closer:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "error read EOF", "disconnected eof" })
end

function cases.H8_the_session_heap_is_one_per_session()
  local given = { mark = "a" }
  local a, b = support.session { heap = given }, support.session()
  lu.assertIs(a.heap, given)
  lu.assertIsTable(b.heap)
  b.heap.mark = "b"
  lu.assertEquals(a.heap.mark, "a")
  local closer = support.peer "close"
  local marks = {}
  local c = support.session {
    heap = { count = 0 },
    on_success = function(cheap)
      local heap = cheap:session().heap
      heap.count = heap.count + 1
      marks[#marks + 1] = heap.count
    end,
  }
  c:connect(HOST, closer:port())
  c:connect(HOST, closer:port())
  support.run()
  lu.assertEquals(marks, { 1, 2 })
end

function cases.H9_after_the_last_event_the_names_answer_and_actions_are_stale()
  local closer = support.peer "close"
  local session = support.session()
  local cheap, id = session:connect("127.0.0.1", closer:port())
  support.run()
  lu.assertEquals({ cheap:id(), cheap:addr(), cheap:port() }, { id, HOST, closer:port() })
  lu.assertEquals({ cheap:ID(), cheap:ADDR(), cheap:PORT() }, { id, HOST, closer:port() })
  local stale = { nil, "no such connection", "ESTALE" }
  lu.assertEquals({ cheap:send "x" }, stale)
  lu.assertEquals({ cheap:shutdown() }, stale)
  lu.assertEquals({ cheap:shutdown "output" }, stale)
  lu.assertEquals({ cheap:filter "stream" }, stale)
  lu.assertEquals({ cheap:input_filter "stream" }, stale)
  lu.assertEquals({ cheap:output_filter "stream" }, stale)
  lu.assertEquals({ cheap:timeout(1) }, stale)
  lu.assertEquals({ cheap:timeout() }, stale)
  lu.assertEquals({ cheap:deadline(1) }, stale)
  lu.assertEquals({ cheap:reset() }, stale)
  lu.assertEquals({ cheap:fail "no" }, stale)
  lu.assertEquals({ cheap:pause() }, stale)
  lu.assertEquals({ cheap:resume() }, stale)
  lu.assertEquals({ cheap:unread "x" }, stale)
  lu.assertEquals({ tcpmulti.send(id, "x") }, stale)
  lu.assertEquals({ tcpmulti.shutdown(id) }, stale)
  for _, getter in ipairs { "phase", "session", "cause", "pending", "queued", "peer", "sock" } do
    lu.assertEquals({ tcpmulti[getter](cheap) }, stale)
  end
end

function cases.H10_addr_is_what_connect_was_given_and_port_a_number()
  local closer = support.peer "close"
  local session = support.session()
  local cheap = session:connect("localhost", tostring(closer:port()))
  lu.assertEquals(cheap:addr(), "localhost")
  lu.assertEquals(cheap:port(), closer:port())
  support.run()
  lu.assertEquals(cheap:ADDR(), "localhost")
  lu.assertEquals(closer:report().accepted, 1)
end

function cases.H_peer_and_sock_tell_the_addresses()
  local silent = support.peer "count"
  local session = support.session {
    on_success = function(cheap, fd)
      lu.assertEquals({ cheap:peer() }, { HOST, silent:port() })
      lu.assertEquals({ cheap:sock() }, { peer.sockname(fd) })
      cheap:shutdown()
    end,
  }
  local cheap = session:connect(HOST, silent:port())
  lu.assertEquals({ cheap:peer() }, {})
  lu.assertEquals({ cheap:sock() }, {})
  support.run()
end

support.main(cases)
