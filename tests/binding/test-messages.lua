-- SPDX-License-Identifier: MIT
-- Mistakes of beginners, and what each of them is told: one line of a script, and words that the
-- error must contain. Its position is always that of the line, and it has one line of printable
-- ASCII. In the lines t is the module, s a session with the state report, c a connection of it.
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Messages"
local HOST = "127.0.0.1"

-- What the line raises, or nil, and what it returns.
local function try(line, session, cheap)
  local chunk = assert(loadstring(line, "=mistake"))
  setfenv(chunk, setmetatable({ t = tcpmulti, s = session, c = cheap, peer = HOST, port = 9 },
    { __index = _G }))
  return pcall(chunk)
end

local function check_message(line, message, words)
  lu.assertEquals(message:match "^mistake:1: ", "mistake:1: ", line .. " -> " .. message)
  lu.assertNil(message:find "[^ -~]", line .. " -> " .. tcpmulti.escape(message))
  for _, word in ipairs(words) do
    if not message:find(word, 1, true) then
      lu.fail(("%s\n  -> %s\n  has no %s"):format(line, message, word))
    end
  end
end

local function check_lines(rows)
  local session = support.session { inline_states = { report = function() end } }
  local cheap = session:connect(HOST, support.refused())
  for _, row in ipairs(rows) do
    local ok, message = try(row[1], session, cheap)
    if ok then lu.fail(row[1] .. "\n  -> no error") end
    check_message(row[1], tostring(message), { unpack(row, 2) })
  end
  lu.assertEquals(session:count(), 1)
  support.run()
end

function cases.options_of_other_libraries_name_ours()
  local rows = {}
  for given, ours in pairs {
    on_connect = "on_success", on_connected = "on_success", on_open = "on_success",
    onConnect = "on_success", OnConnected = "on_success", on_ready = "on_success",
    on_data = "on_input", on_read = "on_input", on_receive = "on_input", on_message = "on_input",
    onData = "on_input", on_line = "on_input", on_close = "on_disconnected",
    on_disconnect = "on_disconnected", on_end = "on_disconnected", on_drain = "on_flushed",
    on_write = "on_flushed", on_connect_error = "on_failure", on_fail = "on_failure",
    on_init = "on_initialize", on_idle = "on_timeout", read_timeout = "input_timeout",
    idle_timeout = "input_timeout", connect_timeout_ms = "connect_timeout', in seconds",
    timeout_ms = "timeout', in seconds", no_delay = "nodelay", keep_alive = "keepalive",
    concurrency = "max_connections", max_per_host = "max_per_address",
    rate_limit = "connect_rate", states = "inline_states", name = "alias", family = "domain",
    on_inptu = "on_input", on_Input = "on_input",
  } do
    rows[#rows + 1] = { ("t.create { %s = print }"):format(given), "'" .. given .. "'",
      ("did you mean '%s"):format(ours) }
  end
  for given, ours in pairs {
    host = "remote_address", hostname = "remote_address", ip = "remote_address",
    address = "remote_address", addr = "remote_address", port = "remote_port",
    Host = "remote_address", local_address = "bind_address", source_port = "bind_port",
    timeout = "connect_timeout", timeout_ms = "connect_timeout', in seconds", data = "heap",
    remote_adress = "remote_address",
  } do
    rows[#rows + 1] = { ("s:connect { %s = 1 }"):format(given), "'" .. given .. "'",
      ("did you mean '%s"):format(ours) }
  end
  for given, ours in pairs {
    max = "max_length", max_len = "max_length", separator = "literal", delimiter = "literal",
    eol = "literal",
  } do
    rows[#rows + 1] = { ("t.filters.line { %s = 5 }"):format(given), "'" .. given .. "'",
      ("did you mean '%s'"):format(ours) }
  end
  check_lines(rows)
end

function cases.an_option_of_another_call_says_where_it_belongs()
  check_lines {
    { "t.create { remote_address = peer }", "'remote_address' is an option of connect" },
    { "t.create { host = peer }", "'remote_address' is an option of connect" },
    { "t.create { port = 80 }", "'remote_port' is an option of connect" },
    { "t.create { trace = true }", "options = { trace = true }" },
    { "t.create { max_length = 5 }", "'max_length' is an option of the filter line" },
    { "s:connect { remote_address = peer, remote_port = 1, alias = 'x' }",
      "'alias' is an option of create" },
    { "s:connect { host = peer, port = port }", "'remote_address'", "'remote_port'" },
    { "t.create { filter = { 'stream', max_length = 5 } }", "stream: unknown option" },
  }
end

function cases.lists_instead_of_names_are_told()
  check_lines {
    { "t.create { print }", "options have names", "on_input = f" },
    { "t.create { inline_states = { function() end } }", "states have names" },
    { "t.create { inline_states = { 'report' } }", "states have names", "'report' has none" },
    { "t.create { options = { 'trace' } }", "options have names", "trace = true" },
    { "t.create { object_states = { x = { 'report' } } }", "must hold pairs" },
    { "s:connect { peer, port }", "options have names", "connect(a, p)" },
    { "t.filters.block { 4 }", "options have names", "block_size = 4" },
    { "t.create { filter = { 'line', { max_length = 5 } } }", "options of 'line' have names" },
    { "t.filters.block(4)", "{ block_size = 4 }", "not 4" },
    { "t.filters.stack('line')", "must be a table like", "not 'line'" },
    { "t.filters.line('\\n')", "must be a table like" },
  }
end

function cases.dots_and_colons_are_told_apart()
  local rows = {}
  for name, method in pairs(getmetatable(tcpmulti.create {}).__index) do
    if type(method) == "function" then
      rows[#rows + 1] = { ("s.%s('1.2.3.4', 80)"):format(name),
        name .. ": session expected (a dot instead of a colon?), not '1.2.3.4'" }
      rows[#rows + 1] = { ("s.%s({ x = 1 }, 80)"):format(name), "session expected" }
    end
  end
  for name in pairs(tcpmulti) do
    if type(tcpmulti[name]) == "function" then
      rows[#rows + 1] = { ("t:%s {}"):format(name),
        ("tcpmulti.%s: called with a colon"):format(name:lower()) }
    end
  end
  for name in pairs(tcpmulti.filters) do
    rows[#rows + 1] = { ("t.filters:%s {}"):format(name),
      ("tcpmulti.filters.%s: called with a colon"):format(name) }
  end
  check_lines(rows)
end

function cases.methods_of_cheaps_called_with_a_dot_say_so()
  local rows = {}
  local of_session = { create = 1, connect = 1, run = 1, stop = 1, now = 1, escape = 1, post = 1,
    call = 1, attach = 1, dump = 1, dns = 1, tls = 1, is_error = 1,
    child = 1 }
  for name in pairs(tcpmulti) do
    if type(tcpmulti[name]) == "function" and not of_session[name] then
      local takes_ids = name == "send" or name == "shutdown"
      local expected = takes_ids and "connection heap or id" or "connection heap"
      for _, value in ipairs { "'x'", "nil", "true", "print", takes_ids and "''" or "5" } do
        rows[#rows + 1] = { ("c.%s(%s)"):format(name, value),
          ("%s: %s expected (a dot instead of a colon?), not "):format(name:lower(), expected) }
        rows[#rows + 1] = { ("t.%s(%s, 'x', 1)"):format(name, value),
          ("%s: %s expected (a dot instead of a colon?), not "):format(name:lower(), expected) }
      end
      if not takes_ids then rows[#rows + 1] = { ("t.%s({}, 'x', 1)"):format(name), expected } end
    end
  end
  rows[#rows + 1] = { "t.reset(s)", "not a session" }
  rows[#rows + 1] = { "t.delay(5, 'report', 1)", "session:delay(...)" }
  rows[#rows + 1] = { "t.delay(s, 'report', 1)", "not a session" }
  rows[#rows + 1] = { "s:send('hello')", "connection heap or id expected" }
  rows[#rows + 1] = { "s:shutdown()", "connection heap or id expected" }
  rows[#rows + 1] = { "s:fetch('12')", "connection heap or id expected" }
  rows[#rows + 1] = { "s.delay(c, 'report', 1)", "not a connection heap" }
  check_lines(rows)
end

function cases.a_state_that_is_not_there_raises_with_the_nearest_name()
  local hint = "there is no state named 'raport' (did you mean 'report'?)"
  check_lines {
    { "s:delay('raport', 0.01)", "delay: " .. hint },
    { "s:delay('raport')", "delay: " .. hint },
    { "s:delay_set('raport', 0.01)", "delay_set: " .. hint },
    { "s:alarm_set('raport', os.time())", "alarm_set: " .. hint },
    { "s:yield('raport', 1)", "yield: " .. hint },
    { "s:call('raport', 1)", "call: " .. hint },
    { "s:every('raport', 1)", "every: " .. hint },
    { "t.call(s, 'raport')", "call: " .. hint },
    { "s:sig('USR1', 'raport')", "sig: " .. hint },
    { "s:stdin('raport')", "stdin: " .. hint },
    { "c:delay('raport', 1)", "delay: " .. hint },
    { "c:delay('raport')", "delay: " .. hint },
    { "t.delay(c, 'raport', 1)", "delay: " .. hint },
    { "s:yield('a\\nb\\0')", [[no state named 'a\u000Ab\u0000']] },
    { "s:yield('utterly_different')", "inline_states" },
    { "s:yield('')", "no state named ''" },
    { "s:yield(('x'):rep(1e6))", "no state named 'xxxx", "..." },
    { "s:delay(5, 'report')", "delay: the state must be a name or a function, not 5" },
    { "s:yield()", "must be a name or a function, not nil" },
  }
end

function cases.a_default_state_or_the_option_default_takes_any_name()
  local seen = {}
  local session = support.session {
    inline_states = { _default = function(_, state) seen[#seen + 1] = state end },
  }
  session:yield "one"
  session:delay("two", 0)
  session:delay_set("three", 0.001)
  lu.assertEquals({ session:delay "four" }, { nil, "no alarm of state 'four'", "ESRCH" })
  support.run()
  lu.assertEquals(#seen, 3)
  lu.assertEquals(support.session { options = { default = true } }:yield "warned", true)
  local dead = support.session()
  dead:die()
  support.run()
  lu.assertEquals({ dead:yield "gone" }, { nil, "session has stopped", "ESHUTDOWN" })
end

function cases.limits_are_named_with_their_value()
  check_lines {
    { "s:delay('report', 5000000000)", "at most 4294967 seconds (49 days)", "5000000000" },
    { "s:delay_set('report', 1e300)", "at most 4294967 seconds (49 days)" },
    { "c:delay('report', 1/0)", "at most 4294967 seconds (49 days)", "inf" },
    { "s:alarm_set('report', os.time() * 1000)", "seconds since 1970", "milliseconds?" },
    { "s:alarm_set('report', '5')", "seconds since 1970", "'5'" },
    { "c:timeout(5e9)", "timeout: ", "0 (none) to 4294967 (49 days)", "5000000000" },
    { "c:deadline(-1)", "deadline: ", "0 (none) to 4294967 (49 days)", "-1" },
    { "t.create { input_timeout = 5e9 }", "0 (none) to 4294967 (49 days)" },
    { "t.filters.line { literal = ('x'):rep(70000) }", "at most 4096 bytes", "70000" },
    { "t.filters.block { block_size = 2^40 }", "from 1 to 16777216" },
    { "t.filters.block { length = 'u8', header = true, offset = 1e6 }", "from 0 to 65536" },
    { "t.create { keepalive = 99999 }", "0 to 32767" },
    { "t.create { max_connections = 1e300 }", "from 1 to 9007199254740992" },
    { "s:connect(('a'):rep(300), 80)", "1 to 253 bytes", "300" },
  }
end

function cases.a_number_in_quotes_is_told()
  check_lines {
    { "t.create { connect_timeout = '30' }", "number of seconds", "'30'", "without quotes: 30" },
    { "t.create { max_connections = '5' }", "whole number", "without quotes: 5" },
    { "s:delay('report', '5')", "number of seconds", "'5'", "without quotes: 5" },
    { "s:delay('report', 'soon')", "number of seconds", "'soon'" },
    { "c:timeout('5')", "number of seconds", "'5'" },
    { "s:delay_adjust('1', '5')", "number of seconds", "'5'" },
    { "t.filters.block { block_size = '4' }", "whole number", "without quotes: 4" },
    { "t.create { on_input = 'report' }", "a function", "'report'" },
    { "t.create { inline_states = { report = 'report' } }", "'report' must be a function" },
    { "s:stdin('report', '100')", "whole number", "'100'" },
  }
end

function cases.arguments_of_connect_are_explained()
  check_lines {
    { "s:connect('127.0.0.1:80')", "port must be", "address and port are two arguments" },
    { "s:connect('example.com')", "port must be", "not nil" },
    { "s:connect(80, '127.0.0.1')", "address must be a string, not 80", "before the port" },
    { "s:connect()", "address must be a string, not nil" },
    { "s:connect(peer, '80\\n')", "not '80?'", "space or line end" },
    { "s:connect(peer, ' 80')", "not ' 80'", "space or line end" },
    { "s:connect(peer, 'htpp')", "a known service, not 'htpp'" },
    { "s:connect(peer, port, print)", "no callback", "tcpmulti.create" },
    { "s:connect(print, port)", "address must be a string, not a function", "no callback" },
    { "s:connect(peer, port, { x = 1 })", "a heap comes first" },
    { "s:connect(c, port)", "address must be a string, not 9" },
    { "s:connect('a b', 80)", "spaces", "'a b'" },
    { "s:connect('example.com\\n', 80)", "control characters", "'example.com?'" },
    { "s:connect { remote_address = peer }", "remote_port is missing" },
    { "s:connect { remote_port = port }", "remote_address is missing" },
    { "s:connect { remote_address = peer, remote_port = port, bind_port = 'x' }", "bind_port" },
    { "s:connect(peer, port, 'localhost')", "bind address must be a numeric address" },
    { "s:connect(peer, port, nil, 'x')", "bind port", "'x'" },
    { "t.connect { remote_address = peer, remote_port = port }", "no session is running" },
  }
end

-- These are no misuse: a list of targets may contain anything.
function cases.addresses_that_are_none_fail_and_say_why()
  local expected = {
    ["http://localhost/"] = "EINVAL a URL: give the name of the host alone",
    ["localhost/x"] = "EINVAL no name of a host",
    ["127.0.0.1:80"] = "EINVAL an address with a port: give the port by itself",
    ["localhost:80"] = "EINVAL an address with a port: give the port by itself",
    ["[::1]:80"] = "EINVAL an address with a port: give the port by itself",
    ["::1]"] = "EINVAL not an IPv6 address: one bracket alone",
    ["[::1"] = "EINVAL not an IPv6 address: one bracket alone",
    ["fe80::1%nosuch"] = "EINVAL an IPv6 address with a scope that is no network interface",
    ["127.0.0.300"] = "ENOTFOUND not an IPv4 address: one of its numbers is above 255",
    ["127.1"] = "ENOTFOUND not an IPv4 address, which has four numbers",
    ["1.2.3"] = "ENOTFOUND not an IPv4 address, which has four numbers",
    ["127。1"] = "ENOTFOUND not an IPv4 address: its dots and digits have to be those of ASCII",
    ["\255\254"] = "EINVAL no name of a host: no UTF-8",
  }
  local told, wanted = {}, 0
  local session = support.session {
    on_success = function(cheap) error("connected to " .. cheap:addr()) end,
    on_failure = function(cheap, op, _, text, _, errname)
      told[cheap:addr()] = errname .. " " .. text
      lu.assertEquals(op, "resolve")
    end,
  }
  for address in pairs(expected) do
    wanted = wanted + 1
    session:connect(address, 80)
  end
  support.run()
  for address, words in pairs(expected) do lu.assertStrContains(told[address], words) end
  lu.assertTrue(wanted > 10)
end

-- The name of the function is told, where the interpreter does not know it.
function cases.a_tail_call_and_a_protected_call_keep_the_name()
  local session = support.session()
  local cheap = session:connect(HOST, support.refused())
  local rows = {
    [function() return cheap.send "x" end] = "send: connection heap or id expected",
    [function() return cheap:timeout "x" end] = "timeout: a number of seconds",
    [function() return session.connect(HOST, 1) end] = "connect: session expected",
    [function() return tcpmulti:escape "x" end] = "tcpmulti.escape: called with a colon",
    [cheap.reset] = "reset: connection heap expected",
    [session.fetch] = "fetch: session expected",
  }
  for f, words in pairs(rows) do lu.assertErrorMsgContains(words, f) end
  support.run()
end

function cases.other_wrong_values_are_named()
  check_lines {
    { "t.create()", "a table of options expected, not nil" },
    { "t.create(print)", "a table of options expected, not a function" },
    { "t.create { alias = 5 }", "alias must be a string" },
    { "t.create { object_states = { {}, { 'a\\27' } } }", "no method 'a?' for event 'a?'" },
    { "t.create { filter = 5 }", "filter", "not 5" },
    { "t.create { filter = 'lines' }", "unknown filter 'lines' (did you mean 'line'?)" },
    { "t.create { filter = c }", "filter", "neither { name" },
    { "t.create { domain = 'ipv4' }", "'any' or 'inet' or 'inet6'", "'ipv4'" },
    { "s:sig('int', 'report')", "unknown signal 'int' (did you mean 'INT'?)" },
    { "s:sig('sigterm', 'report')", "(did you mean 'TERM'?)" },
    { "s:sig('KILL', 'report')", "no process can watch" },
    { "s:sig(2, 'report')", "a name like 'INT', not 2" },
    { "s:alias_set(5)", "alias_set: the alias must be a string" },
    { "c:send({})", "record 1 must be a string, not a table" },
    { "c:send('a', nil, 'b')", "record 2 must be a string, not nil" },
    { "c:send(c)", "record 1 must be a string, not a connection heap" },
    { "c:shutdown('both')", "nothing or \"output\" expected, not 'both'" },
    { "c:fail()", "fail: the message must be a string, not nil" },
    { "c:fail('bad', 'EPROTOO')", "unknown error name 'EPROTOO' (did you mean 'EPROTO'?)" },
    { "c:fail('bad', 'etimedout')", "(did you mean 'ETIMEDOUT'?)" },
    { "c:fail('bad', 'ETOLONG')", "(did you mean 'ETOOLONG'?)" },
    { "c:fail('bad', 71)", "fail: the error must be a name like 'EPROTO', not 71" },
    { "c:fail('bad', print)", "fail: the error must be a name like 'EPROTO', not a function" },
    { "s:connect(s)", "connect: a table of options expected, not a session" },
    { "s:connect(c)", "connect: a table of options expected, not a connection heap" },
    { "t.create(s)", "tcpmulti.create: a table of options expected, not a session" },
    { "t.run(5)", "tcpmulti.run: a table of options expected" },
    { "t.attach()", "tcpmulti.attach: luv expected", "not nil" },
    { "t.attach({}, 5)", "tcpmulti.attach: on_fatal must be a function, not 5" },
    { "c:unread(nil)", "unread: ", "must be a string, not nil" },
    { "c:filter(nil)", "filter: ", "not nil" },
    { "c:filter('lin')", "unknown filter 'lin' (did you mean 'line'?)" },
    { "t.escape(nil)", "tcpmulti.escape: a string expected, not nil" },
  }
end

function cases.handlers_and_options_set_after_create_raise()
  check_lines {
    { "s.on_input = print", "on_input", "tcpmulti.create { on_input = f }" },
    { "s.on_data = print", "on_data", "tcpmulti.create { on_input = f }" },
    { "s.InputEvent = print", "InputEvent", "tcpmulti.create { on_input = f }" },
    { "function s:on_disconnected() end", "tcpmulti.create { on_disconnected = f }" },
    { "s.max_connections = 5", "max_connections", "an option of tcpmulti.create" },
    { "s.inline_states = {}", "inline_states", "an option of tcpmulti.create" },
  }
end

function cases.fields_of_a_session_stay_the_scripts()
  local session = support.session()
  local names = { "fetch", "connect", "timeout", "filter", "deadline", "args", "options", "domain",
    "x", "tostring", "on_my_own", "heap", "alias" }
  for i, name in ipairs(names) do session[name] = i end
  for i, name in ipairs(names) do lu.assertEquals(session[name], i) end
  session.on_data = "no function, so not meant as a handler"
  lu.assertIsString(session.on_data)
  support.run()
end

function cases.tostring_tells_what_a_value_is()
  local seen = {}
  local session
  session = support.session {
    alias = "tell\ttale",
    on_success = function(cheap)
      seen.open = tostring(cheap)
      seen.one = tostring(session)
      cheap:shutdown()
    end,
    on_disconnected = function(cheap) seen.last = tostring(cheap) end,
  }
  local port = support.peer("count"):port()
  local cheap, id = session:connect(HOST, port)
  lu.assertEquals(tostring(cheap), ("tcpmulti connection %d to %s:%d (connecting)"):format(id, HOST,
    port))
  cheap.id, cheap.addr, cheap[1], cheap.tostring = 1, {}, 2, 3
  support.run()
  local target = ("tcpmulti connection %d to %s:%d "):format(id, HOST, port)
  lu.assertEquals(seen, { open = target .. "(open)", last = target .. "(closed)",
    one = [[tcpmulti session tell\u0009tale (live, 1 connection)]] })
  lu.assertEquals(tostring(cheap), target .. "(closed)")
  lu.assertStrMatches(tostring(session), ".*%(stopped, 0 connections%)")
  lu.assertStrMatches(tostring(tcpmulti.create {}), "tcpmulti session %d+ %(live, 0 connections%)")
  local strict = support.session { options = { assert = true } }:connect("fe80::1%nosuch", 9)
  lu.assertStrMatches(tostring(strict), "tcpmulti connection %d+ to %[fe80::1%%nosuch%]:9 .*")
  for name, filter in pairs {
    line = tcpmulti.filters.line(), stream = tcpmulti.filters.stream(),
    map = tcpmulti.filters.map(print), grep = tcpmulti.filters.grep(print),
    stack = tcpmulti.filters.stack { "line" },
    record_block = tcpmulti.filters.record_block(4),
    netstring = tcpmulti.filters.netstring(),
    block = tcpmulti.filters.block { length_codec = { print, print } },
  } do lu.assertEquals(tostring(filter), "tcpmulti filter " .. name) end
  support.run()
end

function cases.tostring_by_hand_never_raises()
  local values = { 5, "x", {}, { [0] = 5 }, { [0] = "x" }, print, io.stdout, true }
  local session = support.session()
  local cheap = session:connect(HOST, support.refused())
  local fields = setmetatable({}, getmetatable(cheap))
  for _, one in ipairs { session, cheap, tcpmulti.filters.line(), tcpmulti.filters.map(print) } do
    local f = getmetatable(one).__tostring
    lu.assertIsString(f())
    for _, value in ipairs(values) do lu.assertIsString(f(value)) end
    for _, value in ipairs { session, cheap, fields } do lu.assertIsString(f(value)) end
  end
  support.run()
end

support.main(cases)
