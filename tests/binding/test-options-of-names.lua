-- SPDX-License-Identifier: MIT
-- Options about names, races and local addresses: what a wrong one is told, with the word that is
-- wrong, and what a right one does. No case here asks a name server.
local ffi = require "ffi"
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

ffi.cdef [[
  struct tcpmulti_mallinfo {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
  };
  struct tcpmulti_mallinfo mallinfo2(void);
]]

local cases = support.cases "OptionsOfNames"
local HOST = "127.0.0.1"

local function assert_raises(texts, f, value)
  local ok, message = pcall(function() f(value) end)
  lu.assertFalse(ok)
  lu.assertStrContains(message, "test-options-of-names.lua:")
  for _, text in ipairs(texts) do lu.assertStrContains(message, text) end
end

-- ---- what cannot be ----

local BOTH = { -- of create and connect
  { "dns", "c-ares", "'ares' or 'auto' or 'system', not 'c-ares'" },
  { "dns", true, "'ares' or 'auto' or 'system', not true" },
  { "resolve", "a:1=b:1", "a table like", "not 'a:1=b:1'" },
  { "resolve", { ["a:1"] = "b:1" }, "a table like", "not 'a:1' = 'b:1'" },
  { "resolve", { a = "127.0.0.1:1" }, "not 'a' = '127.0.0.1:1'" },
  { "resolve", { ["a:0"] = HOST }, "not 'a:0' = '127.0.0.1'" },
  { "resolve", { ["a:1"] = "127.0.0.1:65536" }, "not 'a:1' = '127.0.0.1:65536'" },
  { "resolve", { ["::1:80"] = HOST }, "not '::1:80'" },
  { "resolve", { ["*:*"] = HOST }, "not '*:*'" },
  { "resolve", { [5] = HOST }, "not 5 = '127.0.0.1'" },
  { "deny", "private", "a list of networks like '10.0.0.0/8'", "not 'private'" },
  { "deny", { "privat" }, "not 'privat' (did you mean 'private'?)" },
  { "deny", { "10.0.0.0/33" }, "not '10.0.0.0/33'" },
  { "deny", { "10.0.0.1/8" }, "not '10.0.0.1/8'" },
  { "deny", { "2001:db8::1/32" }, "not '2001:db8::1/32'" },
  { "deny", { "loopback", 7 }, "not 7" },
  { "deny", { private = true }, "not a table with names" },
  { "attempt_delay", 0.009, "a number of seconds, 0.01 or more, not 0.009" },
  { "attempt_delay", "1", "not '1' (a string; without quotes: 1)" },
  { "resolution_delay", 0, "a number of seconds, 0.01 or more, not 0" },
  { "resolution_delay", 0 / 0, "a number of seconds" },
  { "bind_device", ("x"):rep(16), "the name of an interface" },
  { "bind_device", "a b", "the name of an interface", "not 'a b'" },
  { "bind_address", {}, "not an empty list" },
  { "bind_address", { "somewhere" }, "a range like '10.0.0.0/24', not 'somewhere'" },
  { "bind_address", { HOST, 5 }, "not 5" },
  { "bind_address", 5, "a numeric address, a list of them", "not 5" },
}

local CREATE = {
  { "times", 1, "true or false" },
  { "bind_address", "somewhere", "not 'somewhere'" },
  { "bind_address", "", "a numeric address" },
  { "bind_address", "127.0.0.1, nowhere", "not 'nowhere'" },
  { "bind_address", "127.0.0.1/8", "not '127.0.0.1/8'" },
  { "bind_port", 65536, "a whole number from 0 to 65535" },
  { "bind_port", "80", "(a string; without quotes: 80)" },
}

function cases.every_option_of_create_checks_its_value()
  for _, rows in ipairs { BOTH, CREATE } do
    for _, row in ipairs(rows) do
      assert_raises({ "tcpmulti.create: " .. row[1], unpack(row, 3) }, tcpmulti.create,
        { [row[1]] = row[2] })
    end
  end
end

function cases.every_option_of_connect_checks_its_value()
  local session = support.session()
  for _, row in ipairs(BOTH) do
    local function connect()
      session:connect { remote_address = HOST, remote_port = 9, [row[1]] = row[2] }
    end
    assert_raises({ "connect: " .. row[1], unpack(row, 3) }, connect)
  end
  assert_raises({ "connect: unknown option 'times'", "an option of create" }, function()
    session:connect { remote_address = HOST, remote_port = 9, times = true }
  end)
  lu.assertEquals(session:count(), 0)
end

function cases.words_of_other_libraries_name_our_options()
  for word, ours in pairs {
    hosts = "resolve", denylist = "deny", blocklist = "deny", resolver = "dns",
    happy_eyeballs_delay = "attempt_delay", interface = "bind_device", timings = "times",
    local_address = "bind_address",
  } do
    assert_raises({ word, ("did you mean '%s'?"):format(ours) }, tcpmulti.create, { [word] = 1 })
  end
  assert_raises({ "'servers' is an option of tcpmulti.dns" }, tcpmulti.create, { servers = {} })
end

function cases.every_option_of_dns_checks_its_value()
  for _, row in ipairs {
    { "servers", {}, "1 to 8 name servers, not a list of 0" },
    { "servers", { "localhost" }, "a list of numeric addresses", "not 'localhost'" },
    { "servers", { "1.1.1.1:0" }, "not '1.1.1.1:0'" },
    { "servers", { "::1:53" , "::1]" }, "not '::1]'" },
    { "timeout", 0, "above 0, at most 60" },
    { "timeout", 61, "at most 60" },
    { "tries", 11, "a whole number from 1 to 10" },
    { "search", 1, "true or false" },
    { "ttl", "for ever", "or 'sticky', not 'for ever'" },
    { "ttl", -1, "a whole number of seconds" },
    { "ttl", 0.5, "a whole number of seconds" },
    { "concurrency", 0, "a whole number from 1 to 32768" },
    { "cache", 0, "a whole number from 1 to 16777216" },
    { "nameservers", {}, "unknown option" },
    { 1, "1.1.1.1", "options have names, like servers = { '192.0.2.1' }" },
  } do
    assert_raises({ "tcpmulti.dns: ", unpack(row, 3) }, tcpmulti.dns, { [row[1]] = row[2] })
  end
  assert_raises({ "tcpmulti.dns: a table of options expected, not '1.1.1.1'" }, tcpmulti.dns,
    "1.1.1.1")
end

-- ---- what does something ----

function cases.dns_takes_its_options_and_tells_its_counts()
  support.finally(function() tcpmulti.dns {} end)
  lu.assertTrue(tcpmulti.dns { timeout = 0.5, tries = 10, search = false, ttl = "sticky" })
  lu.assertTrue(tcpmulti.dns { ttl = 0, concurrency = 32768, cache = 1 })
  lu.assertTrue(tcpmulti.dns {})
  local counts, names = tcpmulti.dns(), {}
  for name, count in pairs(counts) do
    names[#names + 1] = name
    lu.assertTrue(count >= 0 and count == math.floor(count), name)
  end
  table.sort(names)
  lu.assertEquals(table.concat(names, " "), "hits lost misses queries refused waiting window")
end

-- One connection of a session with these options to a peer that says hello; connect gives options
-- of the connection, above all its remote_address. Gives the log.
local function meet(create, connect, port)
  local session, log = support.record(create)
  connect.remote_port = port or support.peer 'send "hello\\n"; close':port()
  session:connect(connect)
  support.run()
  return log
end

local function with(t, fields)
  for name, value in pairs(fields) do t[name] = value end
  return t
end

function cases.resolve_stands_for_a_host_a_port_or_both()
  local port = support.peer 'send "hello\\n"; close':port()
  local exact = HOST .. ":" .. port
  for _, row in ipairs {
    { { ["name.test:" .. port] = HOST }, "name.test" },
    { { ["name.test:*"] = HOST }, "NAME.test." },
    { { ["*:" .. port] = HOST }, "another.test" },
    { { ["name.test:" .. port] = HOST, ["name.test:*"] = "10.0.0.1" }, "name.test" },
    { { ["name.test:" .. port] = exact, ["*:" .. port] = "10.0.0.1" }, "name.test" },
    { { ["[2001:db8::1]:" .. port] = HOST }, "2001:db8::1" },
    { { ["10.0.0.1:" .. port] = exact }, "10.0.0.1" },
  } do
    local log = meet({ resolve = row[1] }, { remote_address = row[2] }, port)
    lu.assertEquals(log[3], "input hello", row[2] .. ": " .. table.concat(log, ", "))
    log = meet({}, { remote_address = row[2], resolve = row[1] }, port)
    lu.assertEquals(log[3], "input hello", row[2] .. ": " .. table.concat(log, ", "))
  end
end

function cases.deny_refuses_and_is_counted_a_connect_may_take_it_away()
  local log = meet({ deny = { "private", "127.0.0.0/8" } }, { remote_address = HOST })
  lu.assertEquals(log[2], "failure resolve EPOLICY")
  log = meet({ deny = { "loopback" } }, { remote_address = HOST, deny = {} })
  lu.assertEquals(log[3], "input hello")
  local denied
  local session = support.session { deny = { "loopback" },
    on_disconnected = function(cheap) denied = cheap:session():stats().denied end }
  session:connect(HOST, 9)
  support.run()
  lu.assertEquals(denied, 1)
end

function cases.local_addresses_as_text_list_and_range_taken_in_turn()
  local port = support.peer("recv all"):port()
  for _, given in ipairs { "127.0.9.1,127.0.9.2", { "127.0.9.1", "127.0.9.2" }, "127.0.9.0/30",
    "127.0.9.1, 127.0.9.2" } do
    local used, count = {}, 0
    local session = support.session { on_success = function(cheap)
      local address = cheap:sock()
      used[address] = (used[address] or 0) + 1
      count = count + 1
      if count == 4 then for _, each in cheap:session():connections() do each:shutdown() end end
    end }
    for i = 1, 4 do
      session:connect(with({ remote_address = HOST, remote_port = port, bind_address = given },
        i == 1 and { bind_device = "lo" } or {}))
    end
    support.run()
    lu.assertEquals(count, 4)
    for address, times in pairs(used) do
      lu.assertTrue(address:find "^127%.0%.9%.[12]$" ~= nil, address)
      lu.assertTrue(times >= 1)
    end
  end
end

function cases.a_sessions_list_is_used_evenly()
  local port = support.peer("recv all"):port()
  local used, count = {}, 0
  local session = support.session { bind_address = { "127.0.9.1", "127.0.9.2", "127.0.9.3" },
    on_success = function(cheap)
      local address = cheap:sock()
      used[address] = (used[address] or 0) + 1
      count = count + 1
      if count == 30 then for _, each in cheap:session():connections() do each:shutdown() end end
    end }
  for _ = 1, 30 do session:connect(HOST, port) end
  support.run()
  lu.assertEquals(used, { ["127.0.9.1"] = 10, ["127.0.9.2"] = 10, ["127.0.9.3"] = 10 })
end

function cases.times_are_seven_numbers_or_nil_where_a_step_is_not_done()
  local early, late, plain
  meet({
    times = true,
    on_success = function(cheap) early = { n = select("#", cheap:times()), cheap:times() } end,
    on_disconnected = function(cheap) late = { cheap:times() } end,
  }, { remote_address = HOST })
  meet({
    on_success = function(cheap) plain = { n = select("#", cheap:times()), cheap:times() } end,
  }, { remote_address = HOST })
  lu.assertEquals({ plain.n, plain[1] }, { 1, nil })
  lu.assertEquals(early.n, 7)
  lu.assertNil(early[6])
  local steps = 0
  for i = 1, 6 do
    lu.assertTrue(late[i] >= 0, i)
    steps = steps + late[i]
  end
  lu.assertEquals({ late[4], late[5] }, { 0, 0 })
  lu.assertTrue(late[7] >= steps - 1e-9 and late[7] < 10, late[7])
end

function cases.J40_a_connection_that_has_ended_has_no_times()
  local kept
  meet({ times = true, on_success = function(cheap) kept = cheap end }, { remote_address = HOST })
  lu.assertEquals({ kept:times() }, { nil, "no such connection", "ESTALE" })
  lu.assertEquals({ kept:figures() }, { nil, "no such connection", "ESTALE" })
end

-- What figures tells, and what it should, both as lists with nil.
local function figures_at_the_end(times, begin)
  local got, expected
  meet({
    times = times,
    on_success = begin,
    on_disconnected = function(cheap)
      local list = { cheap:received(), cheap:sent() }
      for i = 1, 7 do list[2 + i] = (select(i, cheap:times())) end
      for i = 1, 5 do list[9 + i] = (select(i, cheap:cause())) end
      got, expected = { cheap:figures() }, list
    end,
  }, { remote_address = HOST })
  return got, expected
end

function cases.figures_are_those_of_four_calls()
  for _, times in ipairs { true, false } do
    local good, expected = figures_at_the_end(times, function(cheap) cheap:shutdown() end)
    lu.assertEquals(good, expected)
    lu.assertEquals({ good[9] ~= nil, good[10] }, { times, nil })
    local bad
    bad, expected = figures_at_the_end(times, function(cheap) cheap:fail("no", "EBADMSG") end)
    lu.assertEquals(bad, expected)
    lu.assertEquals({ bad[10], bad[12], bad[13] }, { "fail", "no", "EBADMSG" })
  end
end

-- Bytes that malloc has given to the main thread.
local function bytes_in_use() return tonumber(ffi.C.mallinfo2().uordblks) end

-- Bytes of an open connection of a session with these options.
local function size_of_connection(swarm, options)
  local session, count, before = support.session(options), 400, nil
  for i = 1, 2 * count do -- the first half brings tables to their size
    if i == count + 1 then
      support.run()
      before = bytes_in_use()
    end
    session:connect("127.0.0." .. i % 32 + 1, swarm:port())
  end
  support.run()
  local bytes = (bytes_in_use() - before) / count
  session:die()
  support.run()
  return bytes
end

function cases.J40_without_times_a_connection_needs_no_byte_for_them()
  lu.skipIf(support.sanitized(), "the memory of the sanitizer is not counted")
  local function size(times)
    local swarm, opened = support.swarm("discard", 32), 0
    return size_of_connection(swarm, { times = times, on_success = function()
      opened = opened + 1
      if opened % 400 == 0 then tcpmulti.stop() end
    end })
  end
  size(nil)
  local plain, off, on = size(nil), size(false), size(true)
  lu.assertAlmostEquals(plain, off, 4)
  lu.assertTrue(on - plain >= 56 and on - plain <= 96, on - plain)
end

function cases.tried_lists_what_failed_and_nothing_after_success()
  local port, tried, after_success = support.refused(), nil, nil
  local log = meet({
    resolve = { ["name.test:*"] = HOST },
    on_failure = function(cheap) tried = cheap:tried() end,
  }, { remote_address = "name.test" }, port)
  lu.assertEquals(log[2], "failure connect ECONNREFUSED")
  lu.assertEquals(tried, { { addr = HOST, port = port, errname = "ECONNREFUSED" } })
  meet({
    resolve = { ["name.test:*"] = HOST },
    on_success = function(cheap) after_success = cheap:tried() end,
  }, { remote_address = "name.test" })
  lu.assertEquals(after_success, {})
end

function cases.ares_is_there_or_raises_eopnotsupp()
  local ok, result = pcall(tcpmulti.create, { dns = "ares" })
  if not ok then
    lu.assertStrContains(result, "tcpmulti.create: dns: the library was built without c-ares")
    lu.assertStrContains(result, "(EOPNOTSUPP)")
    local session = support.session()
    assert_raises({ "connect: dns: the library was built without c-ares" }, function()
      session:connect { remote_address = HOST, remote_port = 9, dns = "ares" }
    end)
    return
  end
  result:die()
  lu.assertTrue(tcpmulti.create { dns = "system" }:die())
  lu.assertTrue(tcpmulti.create { dns = "auto" }:die())
end

support.main(cases)
