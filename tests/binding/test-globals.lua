-- SPDX-License-Identifier: MIT
-- Nothing that a script defines or changes in its globals, in the tables of the standard libraries
-- or in the metatable of strings reaches the module; and what a session's table holds is the
-- script's to overwrite.
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Globals"
local HOST = "127.0.0.1"

-- What exercise uses, as the script's own private copies.
local pcall, assert, tostring, select = pcall, assert, tostring, select
local G, find, error, put, get = _G, string.find, error, rawset, rawget
local create, run, filters = tcpmulti.create, tcpmulti.run, tcpmulti.filters

local function refused(pattern, ...)
  local ok, message = pcall(...)
  assert(not ok and find(message, pattern), message)
end

local function refused_options()
  refused("did you mean 'on_input'", create, { on_inptu = function() end })
  refused("must be", create, { connect_timeout = "soon" })
  refused("'inet'", create, { domain = "x" })
  refused("low_mark", create, { low_mark = 5, high_mark = 4 })
  refused("same option", create, { filter = "line", Filter = "line" })
  refused("inline_states", create, { inline_states = { x = 5 } })
  refused("object_states", create, { object_states = { 5 } })
  refused("package_states", create, { package_states = { {}, { "x" } } })
  refused("unknown filter", create, { filter = "lien" })
  refused("max_length", filters.line, { max_length = 0.5 })
  refused("options of", create, { filter = { "line", "x" } })
  refused("get_one", create, { filter = { 5 } })
end

local function use_filters()
  local stack = filters.stack { "line", { "map", get = function(r) return r, r end,
    put = function(r) return r end }, { "grep", get = function() return true end },
    { "record_block", block_size = 2 } }
  local one = stack:clone()
  one:feed "ab\r\n"
  local list = one:get_one()
  assert(list[1] == "ab" and list[2] == "ab" and one:pending() == "")
  assert(one:put(list) == "ab\r\nab\r\n")
  assert(select(2, one:put "x"))
  local block = filters.block { length_codec = { function() return "1" end,
    function(bytes) return bytes ~= "" and 1 or nil, 1 end } }:clone()
  block:feed "1xy"
  assert(block:get_one() == "x" and block:pending() == "y" and block:put "z" == "1z")
  assert(not block:put {})
end

local function use_states(session, note)
  session:yield("noted", 1, 2)
  session:yield(note, 3)
  session:call("noted", 1)
  assert(not session:alias_remove "other")
  assert(session:alias_set "another" and tcpmulti.post("another", "noted"))
  assert(session:alias_remove "another")
  assert(find(tostring(session), "live"))
  session:delay("noted", 0.001, 1)
  session:delay("noted")
  local alarm = session:delay_set("noted", 0.001, 1, 2)
  session:alarm_set("noted", 0)
  session:delay_adjust(alarm, 0.002)
  session:alarm_remove(alarm)
  session:alarm_remove_all()
  session:sig("SIGUSR1", "noted")
  session:sig "USR1"
  refused("unknown signal", session.sig, session, "NOTHING", "noted")
  refused("must be a number of seconds", session.delay, session, "noted", "soon")
  assert(not tcpmulti.post("nobody", "noted"))
end

-- Everything that the parts written in Lua do, once.
local function exercise(port)
  refused_options()
  use_filters()
  local notes, lines, stopped = 0, 0, false
  local function note() notes = notes + 1 end
  local object = { method = function() note() end }
  local session = create {
    inline_states = { noted = note, _stop = function() stopped = true end },
    object_states = { object, { "method" } },
    package_states = { object, { other = "method" } },
    filter = { "stack", "line", { "map", get = function(r) return r end } },
    options = { assert = true },
    on_success = function(cheap)
      cheap:delay("noted", 0.001, 1)
      cheap:send "hello"
      cheap:filter("line", { ends = "lf" })
      refused("hides a method", function() cheap.send = 1 end)
    end,
    on_input = function(cheap)
      lines = lines + 1
      cheap:delay(function() cheap:shutdown() end, 0.005)
    end,
  }
  assert(session:connect { remote_address = HOST, remote_port = port, heap = { 1, 2 } })
  refused("remote_port", session.connect, session, { remote_address = HOST })
  session:yield "method"
  session:yield "other"
  use_states(session, note)
  run()
  assert(lines == 1 and stopped and notes >= 6)
  assert(find(tostring(session), "stopped"))
end

local function with_global(name, value, port)
  local saved = get(G, name)
  put(G, name, value)
  local ok, message = pcall(exercise, port)
  put(G, name, saved)
  if not ok then error(name .. ": " .. message, 0) end
end

function cases.globals_of_the_script_do_not_reach_the_module()
  local port = support.peer("echo"):port()
  local names = {}
  for name in pairs(G) do names[#names + 1] = name end
  for _, name in ipairs(names) do
    with_global(name, "mine", port)
    with_global(name, nil, port)
  end
end

function cases.functions_of_the_libraries_may_be_replaced()
  local port = support.peer("echo"):port()
  for _, library in ipairs { string, table, math, coroutine, debug } do
    local saved = {}
    for name, value in pairs(library) do saved[name] = value end
    for name in pairs(saved) do library[name] = "mine" end
    local ok, message = pcall(exercise, port)
    for name, value in pairs(saved) do library[name] = value end
    lu.assertTrue(ok, message)
  end
end

function cases.strings_may_have_another_metatable()
  local port = support.peer("echo"):port()
  local saved = debug.getmetatable ""
  for _, metatable in ipairs { { __index = function() error "a string was indexed" end }, false } do
    debug.setmetatable("", metatable or nil)
    local ok, message = pcall(exercise, port)
    debug.setmetatable("", saved)
    lu.assertTrue(ok, message)
  end
end

function cases.globals_may_be_strict()
  local port = support.peer("echo"):port()
  local saved = getmetatable(G)
  local function refuse(_, name) error("undeclared " .. tostring(name), 2) end
  setmetatable(G, { __index = refuse, __newindex = refuse })
  local ok, message = pcall(exercise, port)
  setmetatable(G, saved)
  lu.assertTrue(ok, message)
end

function cases.methods_that_a_script_replaces_are_its_own_affair()
  local port = support.peer("echo"):port()
  local session = tcpmulti.create {}
  local methods = getmetatable(session).__index
  local cheap = session:connect(HOST, port)
  local cheap_methods = getmetatable(cheap).__index
  cheap:reset()
  session:die()
  support.run()
  local saved = { fetch = methods.fetch, session = cheap_methods.session }
  methods.fetch, cheap_methods.session = "mine", "mine"
  local ok, message = pcall(exercise, port)
  methods.fetch, cheap_methods.session = saved.fetch, saved.session
  lu.assertTrue(ok, message)
end

function cases.fields_of_a_session_are_the_scripts()
  local port, seen = support.peer("echo"):port(), {}
  local session = tcpmulti.create {
    alias = "fields",
    on_success = function(cheap) cheap:delay("noted", 0.001) end,
    inline_states = { noted = function(s, cheap)
      seen[#seen + 1] = rawget(s, "fetch")
      cheap:shutdown()
    end },
  }
  for _, name in ipairs { "fetch", "alias", "heap", "connect", "send", "die", "yield", "number",
    "states", "alarms", "count", "delay" } do
    session[name] = {}
  end
  local methods = getmetatable(session).__index
  lu.assertStrContains(tostring(session), "fields")
  lu.assertErrorMsgContains("there is no state named 'nothing'", tcpmulti.call, "fields", "nothing")
  methods.connect(session, HOST, port)
  support.run()
  lu.assertEquals(#seen, 1)
end

function cases.the_number_of_a_session_is_never_that_of_a_connection()
  local port = support.peer("echo"):port()
  local sessions, seen = {}, {}
  local owner = support.session {
    on_success = function(cheap)
      for i = 1, 40 do
        local session = sessions[i]
        lu.assertEquals({ tcpmulti.send(session, "x") }, { nil, "no such connection", "ESTALE" })
        lu.assertEquals({ tcpmulti.shutdown(session) }, { nil, "no such connection", "ESTALE" })
        lu.assertErrorMsgContains("connection heap expected", tcpmulti.id, session)
        lu.assertErrorMsgContains("connection heap expected", tcpmulti.reset, session)
        lu.assertNil(session:fetch(session))
        lu.assertNil(session:fetch(session[0]))
        lu.assertNotEquals(session[0], cheap[0])
        lu.assertErrorMsgContains("session expected", session.die, cheap)
        lu.assertErrorMsgContains("session expected", session.count, { [0] = cheap[0] })
      end
      seen[#seen + 1] = cheap:phase()
      cheap:shutdown()
    end,
  }
  -- generations of one place, as those of a connection's slot
  for i = 1, 40 do
    sessions[i] = tcpmulti.create {}
    if i % 2 == 0 then sessions[i]:die() end
  end
  owner:connect(HOST, port)
  owner:connect(HOST, port)
  support.run()
  lu.assertEquals(seen, { "open", "open" })
end

support.main(cases)
