-- SPDX-License-Identifier: MIT
-- What create and connect accept, and what they say to what they do not: the message names the
-- option, the value and what was expected, and the position is that of the script's own line.
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Create"
local HOST = "127.0.0.1"

-- The error that f raises; its position must be in this file.
local function raised(f, ...)
  local ok, message = pcall(f, ...)
  lu.assertFalse(ok)
  lu.assertIsString(message)
  return message
end

local function assert_raises(texts, f, ...)
  local message = raised(f, ...)
  for _, text in ipairs(type(texts) == "table" and texts or { texts }) do
    lu.assertStrContains(message, text)
  end
end

function cases.F29_every_option_checks_its_value()
  local bad = {
    { "on_input", 5, "a function" },
    { "SuccessEvent", "name", "a function" },
    { "on_exception", {}, "a function" },
    { "alias", "", "a string that is not empty" },
    { "alias", 7, "a string" },
    { "args", "x", "a table" },
    { "heap", 1, "a table" },
    { "connect_timeout", -1, "a number of seconds" },
    { "InputTimeout", 0 / 0, "a number of seconds" },
    { "shutdown_timeout", 1 / 0, "a number of seconds" },
    { "deadline", "5", "a number of seconds" },
    { "timeout", true, "a number of seconds" },
    { "domain", "inet4", "'any' or 'inet' or 'inet6'" },
    { "max_connections", 0, "a whole number, 1 or more" },
    { "max_per_address", 0, "a whole number, 1 or more" },
    { "max_per_address", "4", "a whole number" },
    { "connect_rate", "5", "a number from" },
    { "connect_rate", -0.5, "a number from" },
    { "connect_rate", 0 / 0, "a number from" },
    { "connect_rate", 1 / 0, "a number from" },
    { "high_mark", -5, "a whole number" },
    { "low_mark", {}, "a whole number" },
    { "max_queued", 1.5, "a whole number" },
    { "nodelay", 1, "true or false" },
    { "keepalive", true, "a whole number" },
    { "inline_states", print, "a table" },
    { "object_states", 1, "a table" },
    { "package_states", "x", "a table" },
    { "options", true, "a table" },
  }
  for _, row in ipairs(bad) do
    assert_raises({ "tcpmulti.create", row[1], row[3] }, tcpmulti.create, { [row[1]] = row[2] })
  end
end

function cases.F29_an_unknown_option_is_named_with_the_nearest_one()
  local hints = {
    on_sucess = "on_success", InputTimout = "InputTimeout", inline_state = "inline_states",
    max_connection = "max_connections", fliter = "filter",
  }
  for wrong, right in pairs(hints) do
    assert_raises({ wrong, ("did you mean '%s'"):format(right) }, tcpmulti.create, { [wrong] = 1 })
  end
  local message = raised(tcpmulti.create, { utterly_different = 1 })
  lu.assertStrContains(message, "utterly_different")
  lu.assertNotStrContains(message, "did you mean")
  assert_raises("unknown option 1", tcpmulti.create, { print })
  assert_raises("unknown option 'trce'", tcpmulti.create, { options = { trce = true } })
  assert_raises({ "trace", "true or false" }, tcpmulti.create, { options = { trace = 1 } })
  assert_raises("a table of options", tcpmulti.create)
  assert_raises("a table of options", tcpmulti.create, "x")
end

function cases.numbers_out_of_range_raise_and_name_the_option()
  assert_raises({ "keepalive", "0 to 32767", "40000" }, tcpmulti.create, { keepalive = 40000 })
  assert_raises({ "connect_rate", "1000000000", "not 0" }, tcpmulti.create, { connect_rate = 0 })
  assert_raises({ "low_mark", "at most high_mark", "not 11" }, tcpmulti.create,
    { high_mark = 10, low_mark = 11 })
end

function cases.fields_of_a_session_are_the_scripts()
  local session = support.session { inline_states = { mark = function(s) s.ran = true end } }
  session[1] = "first"
  session:yield "mark"
  support.run()
  lu.assertEquals({ session[1], session.ran }, { "first", true })
end

function cases.both_spellings_of_one_option_are_an_error()
  assert_raises({ "on_input", "InputEvent", "same option" }, tcpmulti.create,
    { on_input = print, InputEvent = print })
  assert_raises({ "Filter", "filter", "same option" }, tcpmulti.create,
    { Filter = "line", filter = "line" })
  assert_raises({ "block_size", "BlockSize", "same option" }, tcpmulti.filters.block,
    { block_size = 4, BlockSize = 4 })
end

function cases.errors_are_reported_at_the_line_of_the_caller()
  local here = "test%-create%.lua:%d+: "
  local session = support.session()
  local calls = {
    function() tcpmulti.create { on_imput = print } end,
    function() session:connect(HOST, 0) end,
    function() session:connect { remote_address = HOST } end,
    function() session:yield(5) end,
    function() session:delay("x", "soon") end,
    function() session:sig("NOSUCH", "x") end,
    function() tcpmulti.filters.line { literl = "x" } end,
    function() tcpmulti.post("x") end,
    function() tcpmulti.id {} end,
    function() session.yield({}, "x") end,
  }
  for i, call in ipairs(calls) do
    local message = raised(call)
    lu.assertTrue(message:find(here) ~= nil, i .. ": " .. message)
  end
end

function cases.every_perl_spelling_is_the_same_option()
  local port = support.peer("echo"):port()
  local seen = {}
  local function note(name) return function() seen[#seen + 1] = name end end
  local session
  session = tcpmulti.create {
    Initialize = note "initialize",
    SuccessEvent = function(cheap)
      seen[#seen + 1] = "success"
      cheap:send "hello"
    end,
    InputEvent = function(cheap)
      seen[#seen + 1] = "input"
      lu.assertEquals({ cheap:ID(), cheap:ADDR(), cheap:PORT() }, { cheap:id(), HOST, port })
      lu.assertEquals(tcpmulti.ID(cheap), cheap:id())
      cheap:shutdown()
    end,
    FlushedEvent = note "flushed",
    FailureEvent = note "failure",
    ErrorEvent = note "error",
    TimeoutEvent = note "timeout",
    Disconnected = note "disconnected",
    HandlerError = note "exception",
    Alias = "perl",
    Heap = { shared = true },
    Domain = "inet",
    Timeout = 9,
    ConnectTimeout = 10,
    InputTimeout = 20,
    ShutdownTimeout = 30,
    Deadline = 40,
    Filter = "POE::Filter::Line",
    MaxConnections = 10,
    ConnectRate = 1000,
    HighMark = 1000,
    LowMark = 10,
    MaxQueued = 2000,
    NoDelay = false,
    KeepAlive = 60,
  }
  lu.assertEquals(session.alias, "perl")
  lu.assertTrue(session.heap.shared)
  session:connect {
    RemoteAddress = HOST, RemotePort = port, BindAddress = HOST, BindPort = 0, ConnectTimeout = 5,
    InputTimeout = 6, ShutdownTimeout = 7, Deadline = 8, Heap = { tag = 1 },
    InputFilter = { "line", MaxLength = 100 }, OutputFilter = { "line", OutputLiteral = "\n" },
  }
  support.run()
  lu.assertEquals(table.concat(seen, " "), "initialize success flushed input disconnected")
end

function cases.timeout_is_the_fallback_of_connect_timeout()
  local timeouts = {}
  for _, options in ipairs {
    { timeout = 7 }, { timeout = 7, connect_timeout = 3 }, { connect_timeout = 0 }, {},
  } do
    options.on_initialize = function(cheap)
      timeouts[#timeouts + 1] = cheap:timeout()
      cheap:shutdown()
    end
    support.session(options):connect(HOST, 1)
  end
  support.run()
  lu.assertEquals(timeouts, { 7, 3, 0, 30 })
end

function cases.C14_bad_ports_raise_and_name_the_argument()
  local session = support.session()
  for _, port in ipairs { -1, 0, 65536, 1.5, 0 / 0, 1 / 0, 1e300, "80x", "", "70000", "0", "http\0",
    "no-such-service", ("x"):rep(100), true, {}, print } do
    assert_raises("port", session.connect, session, HOST, port)
    assert_raises("port", session.connect, session, { remote_address = HOST, remote_port = port })
  end
  assert_raises({ "port", "nil" }, session.connect, session, HOST)
  assert_raises("remote_port is missing", session.connect, session, { remote_address = HOST })
  for _, port in ipairs { -1, 65536, 0.5, "x", {}, true } do
    assert_raises("bind port", session.connect, session, HOST, 80, nil, port)
    assert_raises("bind_port", session.connect, session,
      { remote_address = HOST, remote_port = 80, bind_port = port })
  end
  assert_raises({ "port", "no-such-service" }, session.connect, session, HOST, "no-such-service")
  assert_raises({ "remote_port", "no-such-service" }, session.connect, session,
    { remote_address = HOST, remote_port = "no-such-service" })
  assert_raises({ "port", "true" }, session.connect, session, HOST, true)
  lu.assertEquals(session:count(), 0)
end

function cases.C15_bad_addresses_raise_and_name_the_argument()
  local session = support.session()
  for _, address in ipairs { "", ("a"):rep(254), ("a"):rep(65536), "a\0b", "a\r\nb", "a b", "a\127",
    5, true, {} } do
    assert_raises("address", session.connect, session, address, 80)
    assert_raises("bind address", session.connect, session, HOST, 80, address)
  end
  assert_raises({ "address", "nil" }, session.connect, session)
  assert_raises({ "address", "spaces", "'a?b c'" }, session.connect, session, "a\nb c", 80)
  assert_raises({ "bind_address", "'localhost'" }, session.connect, session,
    { remote_address = HOST, remote_port = 80, bind_address = "localhost" })
  assert_raises({ "http", "bind address", "'localhost'" }, session.connect, session, HOST, "http",
    "localhost")
  assert_raises("remote_address is missing", session.connect, session, { remote_port = 80 })
  assert_raises({ "remote_adress", "remote_address" }, session.connect, session,
    { remote_adress = HOST, remote_port = 80 })
  assert_raises("heap", session.connect, session,
    { remote_address = HOST, remote_port = 80, heap = 5 })
  lu.assertEquals(session:count(), 0)
end

function cases.a_port_may_be_a_string_of_digits_or_a_service()
  local ports = {}
  local session = support.session {
    on_initialize = function(cheap, _, port)
      ports[#ports + 1] = port
      lu.assertEquals(cheap:port(), port)
      cheap:shutdown()
    end,
  }
  for _, port in ipairs { 80, "80", "http", "0080" } do session:connect(HOST, port) end
  support.run()
  lu.assertEquals(ports, { 80, 80, 80, 80 })
end

function cases.states_are_checked_at_create()
  local object = { known = function() end }
  local bad = {
    { { inline_states = { x = 5 } }, "'x' must be a function" },
    { { inline_states = { print } }, "inline_states" },
    { { object_states = { object } }, "pairs" },
    { { object_states = { object, { "missing" } } }, "no method 'missing'" },
    { { object_states = { object, "known" } }, "a table of events" },
    { { object_states = { 5, { "known" } } }, "an object" },
    { { package_states = { object, { event = "missing" } } }, "no method 'missing'" },
    { { package_states = { object, { event = 5 } } }, "strings" },
  }
  for _, row in ipairs(bad) do assert_raises(row[2], tcpmulti.create, row[1]) end
end

function cases.a_start_that_raises_ends_its_session()
  local kept
  assert_raises({ "test-create.lua", "not today" }, tcpmulti.create, {
    alias = "starter",
    inline_states = {
      _start = function(session)
        kept = session
        session:connect(HOST, 1)
        session:yield "never"
        error "not today"
      end,
      never = function() error "the session is gone" end,
    },
    on_disconnected = function() error "no events" end,
  })
  support.run()
  lu.assertEquals({ kept:connect(HOST, 1) }, { nil, "session has stopped", "ESHUTDOWN" })
  lu.assertEquals(support.session { alias = "starter" }.alias, "starter")
end

function cases.a_taken_alias_is_an_error_and_a_dead_ones_is_free()
  local one = support.session { alias = "taken" }
  assert_raises({ "alias", "'taken'" }, tcpmulti.create, { alias = "taken" })
  one:die()
  lu.assertEquals(support.session { alias = "taken" }.alias, "taken")
end

function cases.options_assert_refuses_fields_that_hide_methods()
  local port = support.peer("discard"):port()
  local messages = {}
  local session = support.session {
    options = { assert = true },
    on_initialize = function(cheap)
      cheap.fine = 1
      messages[1] = raised(function() cheap.send = 1 end)
      messages[2] = raised(function() cheap.ID = 1 end)
      cheap:shutdown()
    end,
  }
  session:connect(HOST, port)
  lu.assertStrContains(messages[1], "'send' hides a method")
  lu.assertStrContains(messages[2], "'ID' hides a method")
  assert_raises({ "'timeout'", "hides a method" }, session.connect, session, { timeout = 5 }, HOST,
    port)
  lu.assertEquals(session:count(), 1)
  support.run()
end

function cases.nothing_global_is_created()
  local names = {}
  for name in pairs(_G) do names[#names + 1] = tostring(name) end
  for _, name in ipairs(names) do
    lu.assertFalse(name:lower():find "tcpm" ~= nil, name)
  end
  lu.assertIsNil(rawget(_G, "tcpmulti"))
end

-- What is compiled reads what is interpreted: LuaJIT's own pairs does not, now and then.
function cases.specifications_are_read_right_however_often()
  local function same(record) return record end
  local specs = { { "stack", "line", { "map", get = same } }, "line", { "line", ends = "auto" },
    { "stack", { "block", block_size = 3 } }, { "stack", { "line", ends = "auto" } },
    { "block", block_size = 2 } }
  for i = 1, 100000 do
    tcpmulti.create { filter = specs[math.random(#specs)], input_timeout = 10, on_input = same }
    if i % 100 == 0 then support.run() end
  end
end

support.main(cases)
