-- SPDX-License-Identifier: MIT
-- How a task opens a connection.

local co = require "tcpmulti.co"
local dialogue = require "behaviour.dialogue"
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "CoOpening"
local try, HOST = co.try, dialogue.HOST
local REFUSED = { nil, "connect: Connection refused", "ECONNREFUSED" }

function cases.Y1_open_gives_a_cheap_in_phase_open()
  local _, log = dialogue.run(function(session)
    local cheap, echo = dialogue.open "echo"
    lu.assertEquals(cheap:phase(), "open")
    lu.assertEquals({ cheap:peer() }, { HOST, echo:port() })
    lu.assertIs(cheap:session(), session)
    lu.assertEquals({ cheap:send "x" }, { true })
    lu.assertEquals({ cheap:receive() }, { "x" })
  end)
  lu.assertEquals(log:list(), { "initialize", "disconnected shutdown" })
end

function cases.Y1_the_session_may_be_named()
  dialogue.run(function(session)
    local other, echo = support.session { filter = "stream" }, support.peer "echo"
    local one = try(session:open(HOST, echo:port()))
    local two = try(other:open({ mine = 7 }, HOST, echo:port()))
    lu.assertIs(one:session(), session)
    lu.assertIs(two:session(), other)
    lu.assertEquals(two.mine, 7)
    two:send "ab"
    lu.assertEquals(two:receive(), "ab")
  end)
end

function cases.Y2_refused_is_nil_message_errname()
  local _, log = dialogue.run(function(session)
    local port = support.refused()
    lu.assertEquals({ co.open(HOST, port) }, REFUSED)
    lu.assertEquals({ session:open(HOST, port) }, REFUSED)
    lu.assertEquals({ session:count() }, { 0, 0 })
  end)
  lu.assertEquals(log:count "disconnected failure", 2)
end

function cases.Y2_try_makes_an_error_of_it_that_protect_gives_back()
  dialogue.run(function()
    local port = support.refused()
    local probe = co.protect(function() return try(co.open(HOST, port)) end)
    lu.assertEquals({ probe() }, REFUSED)
    local ok, err = pcall(function() try(co.open(HOST, port)) end)
    lu.assertFalse(ok)
    lu.assertStrMatches(tostring(err),
      ".*test%-co%-opening%.lua:%d+: connect: Connection refused %(ECONNREFUSED%)")
    lu.assertEquals({ co.failure(err) }, REFUSED)
  end)
end

function cases.Y3_the_connect_timeout_has_its_name()
  local port = support.blackhole()
  dialogue.run({ connect_timeout = 0.2 }, function()
    local began = tcpmulti.now()
    lu.assertEquals({ co.open(HOST, port) }, { nil, "connect timeout", "ETIMEDOUT" })
    support.at(tcpmulti.now() - began, 0.2)
  end)
end

function cases.Y4_the_table_form_has_a_heap_and_a_filter_of_its_own()
  dialogue.run(function(session)
    local echo = support.peer "echo"
    local heap = { mine = 7 }
    local cheap = try(co.open {
      remote_address = HOST, remote_port = echo:port(), filter = "stream", heap = heap,
    })
    lu.assertEquals(cheap.mine, 7)
    lu.assertNotIs(cheap, heap)
    cheap:send "a\r\nb"
    local got = ""
    while #got < 4 do got = got .. cheap:receive() end
    lu.assertEquals(got, "a\r\nb")
    lu.assertEquals({ session:count() }, { 1, 0 })
  end)
end

function cases.Y5_a_wrong_port_raises_at_the_callers_line()
  dialogue.run(function(session, log)
    local function wrong() co.open(HOST, 99999) end
    local function named() session:open(HOST, 99999) end
    for _, f in ipairs { wrong, named } do
      local message = dialogue.raises("99999", f)
      local line = debug.getinfo(f, "S").linedefined
      lu.assertStrContains(message, ("test-co-opening.lua:%d: "):format(line))
    end
    lu.assertEquals({ session:count() }, { 0, 0 })
    lu.assertEquals(log:list(), {})
  end)
end

function cases.Y6_twenty_opens_with_three_places()
  local echo, most, served = support.peer "echo", 0, 0
  dialogue.run({ max_connections = 3 }, function(session)
    local function probe()
      local cheap = try(co.open(HOST, echo:port()))
      most = math.max(most, (session:stats().open))
      cheap:send "a"
      lu.assertEquals(try(cheap:receive()), "a")
      served = served + 1
      return true
    end
    local list = {}
    for i = 1, 20 do list[i] = probe end
    try(co.all(list))
  end)
  lu.assertEquals(served, 20)
  lu.assertEquals(most, 3)
end

-- Each gives up an open that would wait for ever.
local ways = {
  cancelled = function(open)
    local task = co.spawn(open)
    co.sleep(0.02)
    lu.assertEquals({ task:status() }, { "waiting", "open" })
    task:cancel "enough"
    lu.assertEquals({ task:join() }, { nil, "enough", "ECANCELED" })
  end,
  over_its_deadline = function(open)
    lu.assertEquals({ co.deadline(0.03, open) }, { nil, "timed out", "ETIME" })
  end,
}

-- A port of the loopback whose datagrams nobody reads.
local function silent_name_server()
  local ffi = require "ffi"
  ffi.cdef [[
    int socket(int, int, int); int bind(int, const void *, unsigned);
    int getsockname(int, void *, unsigned *); int close(int);
  ]]
  local address, size = ffi.new("uint8_t[16]", 2, 0, 0, 0, 127, 0, 0, 1), ffi.new("unsigned[1]", 16)
  local fd = ffi.C.socket(2, 2, 0)
  assert(fd >= 0 and ffi.C.bind(fd, address, 16) == 0)
  assert(ffi.C.getsockname(fd, address, size) == 0)
  support.finally(function() ffi.C.close(fd) end)
  return ("127.0.0.1:%d"):format(address[2] * 256 + address[3])
end

for name, give_up in pairs(ways) do
  cases["Y7_an_attempt_that_is_" .. name .. "_is_gone"] = function()
    local port = support.blackhole()
    local _, log = dialogue.run(function(session)
      give_up(function() co.open(HOST, port) end)
      dialogue.wait_for(function() return session:count() == 0 end)
    end)
    lu.assertEquals(log:list(), { "initialize", "disconnected shutdown" })
  end
  cases["Y8_one_that_waits_for_a_place_and_is_" .. name .. "_is_gone"] = function()
    local silent = support.peer "count"
    dialogue.run({ max_connections = 1 }, function(session)
      local first = try(co.open(HOST, silent:port()))
      give_up(function() co.open(HOST, silent:port()) end)
      dialogue.wait_for(function() return session:count() == 1 end)
      lu.assertEquals({ session:count() }, { 1, 0 })
      lu.assertEquals({ first:close() }, { true })
      try(co.open(HOST, silent:port()))
    end)
    lu.assertTrue(silent:ended(2))
    lu.assertEquals(silent:report().accepted, 2)
  end
  cases["Y8_one_whose_name_is_looked_up_and_is_" .. name .. "_is_gone"] = function()
    tcpmulti.dns { servers = { silent_name_server() }, timeout = 5 }
    local _, log = dialogue.run(function(session)
      give_up(function() co.open("waits.test", 80) end)
      dialogue.wait_for(function() return session:count() == 0 end)
    end)
    lu.assertEquals(log:list(), { "initialize", "disconnected shutdown" })
  end
end

support.main(cases)
