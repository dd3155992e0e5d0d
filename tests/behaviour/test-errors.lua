-- SPDX-License-Identifier: MIT
-- BEHAVIOUR R1-R14: what can be wrong with names, addresses, ports, descriptors and handlers.

local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Errors"
local HOST = "127.0.0.1"

-- The name server is a luv socket in the child's own network namespace; it answers "no such name"
-- after half a second.
function cases.R1_an_unknown_name_fails_while_others_go_on()
  local output, status = support.child(support.namespace(true), [[
    local tcpmulti, peer, uv = require "tcpmulti", require "peer", require "luv"
    local server = uv.new_udp()
    assert(server:bind("127.0.0.1", 53))
    local timers = {}
    server:recv_start(function(_, query, from)
      if not query then return end
      local timer = uv.new_timer()
      timers[timer] = true
      timer:start(500, 0, function()
        timer:close()
        timers[timer] = nil
        local answer = query:sub(1, 2) .. "\129\131" .. query:sub(5, 6) ..
          "\0\0\0\0\0\0" .. query:sub(13)
        if not server:is_closing() then server:send(answer, from.ip, from.port) end
      end)
    end)
    local ticker = peer.start 'loop 0; send "tick\\r\\n"; sleep 50; end'
    local ticks = 0
    local s
    s = tcpmulti.create {
      on_input = function(cheap) ticks = ticks + 1 end,
      on_success = function() s:connect("no-such-name.test", 80) end,
      on_failure = function(_, op, errnum, text, _, errname)
        print(op, errname, errnum > 20000, #text > 0, ticks >= 4 and "ticked" or ticks)
        for timer in pairs(timers) do timer:stop() timer:close() end
        server:close()
        s:die()
      end,
      on_disconnected = function(cheap, _, reason) print(cheap:addr(), reason) end,
    }
    s:connect("127.0.0.1", ticker:port())
    tcpmulti.run()
    ticker:stop()
  ]])
  lu.skipIf(output:find "unshare failed", "no network namespaces here")
  lu.assertEquals(output, "resolve\tENOTFOUND\ttrue\ttrue\tticked\n" ..
    "no-such-name.test\tfailure\n127.0.0.1\tdie\n")
  lu.assertEquals(status, 0)
end

-- Each of these raises in the caller, and nothing has been made.
local function assert_refused(session, text, ...)
  local ok, message = pcall(session.connect, session, ...)
  lu.assertFalse(ok)
  lu.assertStrContains(message:lower(), text)
end

function cases.R2_connect_without_an_address_or_with_a_bad_port_raises()
  local session, log = support.record()
  assert_refused(session, "addr")
  assert_refused(session, "addr", nil, 80)
  assert_refused(session, "addr", "", 80)
  assert_refused(session, "addr", ("a"):rep(254), 80)
  assert_refused(session, "addr", "a\0b", 80)
  assert_refused(session, "addr", "a b", 80)
  assert_refused(session, "addr", "a\r\nb", 80)
  for _, port in ipairs { 70000, 65536, -1, 1.5, 0 / 0, 1 / 0, "x", "80x", "", "70000", true,
    {} } do
    assert_refused(session, "port", HOST, port)
  end
  assert_refused(session, "port", HOST)
  assert_refused(session, "port", HOST, nil)
  assert_refused(session, "bind", HOST, 80, HOST, 70000)
  assert_refused(session, "bind", HOST, 80, HOST, -1)
  assert_refused(session, "bind", HOST, 80, HOST, "x")
  lu.assertEquals(log:list(), {})
  lu.assertEquals(session:count(), 0)
end

function cases.R2_service_names_and_decimal_strings_are_ports()
  local session = support.session()
  lu.assertEquals(session:connect(HOST, "http"):port(), 80)
  lu.assertEquals(session:connect(HOST, "443"):port(), 443)
  for _, cheap in session:connections() do cheap:shutdown() end
  support.run()
end

function cases.R3_connect_without_remote_address_raises_and_opens_nothing()
  support.run()
  local session, log = support.record()
  local before = peer.descriptors()
  assert_refused(session, "remote_address", { remote_port = 80 })
  assert_refused(session, "remote_address", { RemotePort = 80 })
  assert_refused(session, "remote_port", { remote_address = HOST })
  assert_refused(session, "remote_adress", { remote_adress = HOST, remote_port = 80 })
  assert_refused(session, "timeout",
    { remote_address = HOST, remote_port = 80, connect_timeout = -1 })
  lu.assertEquals(peer.descriptors(), before)
  lu.assertEquals(log:list(), {})
end

function cases.R4_port_0_is_refused_by_name()
  local session = support.session()
  assert_refused(session, "port", HOST, 0)
  assert_refused(session, "port", HOST, "0")
  assert_refused(session, "port", { remote_address = HOST, remote_port = 0 })
end

function cases.R5_an_ipv6_server()
  local ok, six = pcall(peer.start, 'send "six\\r\\n"; close', { address = "::1" })
  lu.skipIf(not ok, "no IPv6 here")
  support.finally(function() six:stop() end)
  for _, address in ipairs { "::1", "[::1]" } do
    local session, log = support.record {
      on_success = function(_, _, addr, port)
        lu.assertEquals({ addr, port }, { "::1", six:port() })
      end,
    }
    session:connect(address, six:port())
    support.run()
    lu.assertEquals(log:records(), { "six" })
  end
end

function cases.R5_the_domain_narrows()
  local closer = support.peer "close"
  local session, log = support.record { domain = "inet6" }
  session:connect(HOST, closer:port())
  support.run()
  lu.assertEquals(log:count "failure", 1)
  lu.assertEquals(closer:report().accepted, 0)
  session, log = support.record { domain = "inet" }
  session:connect(HOST, closer:port())
  support.run()
  lu.assertEquals(log:count "success", 1)
end

function cases.R6_localhost()
  local closer = support.peer "close"
  local session, log = support.record {
    on_success = function(_, _, addr) lu.assertEquals(addr, HOST) end,
  }
  session:connect("localhost", closer:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "error read EOF", "disconnected eof" })
end

function cases.R7_the_bind_address_shows_in_getsockname()
  local closer = support.peer "close"
  local seen
  local session = support.session {
    on_success = function(cheap, fd) seen = { (peer.sockname(fd)), (cheap:sock()) } end,
  }
  session:connect(HOST, closer:port(), "127.0.0.5")
  support.run()
  lu.assertEquals(seen, { "127.0.0.5", "127.0.0.5" })
end

function cases.R8_one_bind_port_serves_one_connection_to_a_peer()
  local echo = support.peer "echo"
  local port = support.free_port()
  local session, log
  session, log = support.record {
    on_success = function(cheap, fd)
      lu.assertEquals(select(2, peer.sockname(fd)), port)
      if not cheap:session().heap.second then
        local _, id = session:connect(HOST, echo:port(), HOST, port)
        session.heap.second = id
      end
    end,
    on_failure = function(_, _, errnum, _, _, errname)
      lu.assertTrue(errnum == 98 or errnum == 99)
      lu.assertTrue(errname == "EADDRINUSE" or errname == "EADDRNOTAVAIL")
      session:send(session.heap.first, "still here")
    end,
    on_input = function(cheap) cheap:shutdown() end,
  }
  local _, first = session:connect(HOST, echo:port(), HOST, port)
  session.heap.first = first
  support.run()
  lu.assertEquals(log.of[first].codes, "ISnD")
  lu.assertEquals(log.of[session.heap.second].codes, "IFD")
end

function cases.R9_connects_over_the_descriptor_limit_wait_their_turn()
  local echo = support.swarm "echo"
  local output, status = support.child("ulimit -n 100;", [[
    local tcpmulti = require "tcpmulti"
    local now, most, done, failed = 0, 0, 0, 0
    local s = tcpmulti.create {
      on_success = function(cheap)
        now = now + 1
        if now > most then most = now end
        cheap:delay("speak", 0.05)
      end,
      inline_states = { speak = function(_, cheap) cheap:send "hi" end },
      on_input = function(cheap) cheap:shutdown() end,
      on_failure = function() failed = failed + 1 end,
      on_disconnected = function(_, _, reason)
        now = now - 1
        if reason == "shutdown" then done = done + 1 end
      end,
    }
    for _ = 1, 80 do s:connect("127.0.0.1", tonumber(arg[1])) end
    print(select(2, s:count()) > 0 and "some wait" or "none waits")
    tcpmulti.run()
    print(done, failed, most <= 50 and most >= 30 and "bounded" or most)
  ]], echo:port())
  lu.assertEquals(output, "some wait\n80\t0\tbounded\n")
  lu.assertEquals(status, 0)
end

function cases.R9_without_any_descriptor_and_none_of_ours_open_it_is_a_failure()
  local echo = support.swarm "echo"
  local output, status = support.child("ulimit -n 64;", [[
    local tcpmulti = require "tcpmulti"
    local port = tonumber(arg[1])
    local files = {}
    local s
    s = tcpmulti.create {
      on_success = function(cheap) print "success" cheap:shutdown() end,
      on_failure = function(_, op, errnum, _, _, errname) print(op, errnum, errname) end,
      on_disconnected = function(_, _, reason)
        print(reason)
        if #files > 0 then
          for _, file in ipairs(files) do file:close() end
          files = {}
          s:connect("127.0.0.1", port)
        end
      end,
      inline_states = {
        fill = function()
          while true do
            local file = io.open "/dev/null"
            if not file then break end
            files[#files + 1] = file
          end
          s:connect("127.0.0.1", port)
        end,
      },
    }
    s:yield "fill"
    tcpmulti.run()
  ]], echo:port())
  lu.assertEquals(output, "socket\t24\tEMFILE\nfailure\nsuccess\nshutdown\n")
  lu.assertEquals(status, 0)
end

local function raiser(options)
  local one = support.peer 'send "boom\\r\\n"; count'
  local two = support.peer 'send "fine\\r\\n"; wait go; send "more\\r\\n"; close'
  options.on_input = function(_, record)
    if record == "boom" then
      error "the line is named"
    end
  end
  local session, log = support.record(options)
  local _, bad = session:connect(HOST, one:port())
  local _, good = session:connect(HOST, two:port())
  return session, log, bad, good, one, two
end

function cases.R10_a_raise_is_isolated_by_on_exception()
  local seen
  local go
  local session, log, bad, good, one, two = raiser {
    on_exception = function(...)
      seen = { n = select("#", ...), ... }
      go()
    end,
  }
  go = function() two:go "go" end
  support.run()
  lu.assertEquals(seen.n, 3)
  lu.assertIs(seen[1], session)
  lu.assertStrContains(seen[2], "errors.lua")
  lu.assertStrContains(seen[2], "the line is named")
  lu.assertStrContains(seen[2], "traceback")
  lu.assertEquals(tcpmulti.id(seen[3]), bad)
  lu.assertEquals(log.of[bad].codes, "ISnD")
  lu.assertEquals(log.of[bad][4], "disconnected error")
  lu.assertEquals(log.of[good].codes, "ISnnED")
  lu.assertEquals(support.ending(one, 1), "reset")
end

function cases.R10_a_raise_without_on_exception_ends_everything()
  local _, log, _, _, one, two = raiser {}
  support.when(function() return log:count "input fine" == 1 end, function() end)
  local ok, message = pcall(support.run)
  lu.assertFalse(ok)
  lu.assertStrContains(message, "errors.lua")
  lu.assertStrContains(message, "the line is named")
  lu.assertStrContains(message, "traceback")
  lu.assertEquals(log:count "disconnected", 0)
  lu.assertEquals(support.ending(one, 1), "reset")
  two:go "go"
  support.ending(two, 1)
  local session, again = support.record()
  session:connect(HOST, support.peer("close"):port())
  support.run()
  lu.assertEquals(again[#again], "disconnected eof")
end

function cases.R11_an_unknown_key_of_create_is_named()
  for key, hint in pairs { SuccesEvent = "success", on_inputs = "on_input",
    conect_timeout = "connect_timeout" } do
    local ok, message = pcall(tcpmulti.create, { [key] = print })
    lu.assertFalse(ok)
    lu.assertStrContains(message, key)
    lu.assertStrContains(message:lower(), hint)
  end
end

function cases.R12_a_handler_that_is_no_function_is_refused_at_create()
  for _, value in ipairs { 5, "name", {}, true } do
    local ok, message = pcall(tcpmulti.create, { on_input = value })
    lu.assertFalse(ok)
    lu.assertStrContains(message, "on_input")
  end
  local ok, message = pcall(tcpmulti.create, { inline_states = { go = 5 } })
  lu.assertFalse(ok)
  lu.assertStrContains(message, "go")
end

function cases.R13_connect_outside_of_a_session_raises()
  local ok, message = pcall(tcpmulti.connect, { remote_address = HOST, remote_port = 80 })
  lu.assertFalse(ok)
  lu.assertStrContains(message, "session")
  support.within(support.run(), 0, 0.5, "run")
end

function cases.R14_a_connection_to_itself_is_refused()
  local port = support.free_port()
  local text
  local session, log = support.record {
    on_failure = function(_, _, _, message) text = message end,
  }
  session:connect(HOST, port, HOST, port)
  support.run()
  lu.assertEquals(log:list(),
    { "initialize", "failure connect ECONNREFUSED", "disconnected failure" })
  lu.assertStrContains(text, "itself")
end

support.main(cases)
