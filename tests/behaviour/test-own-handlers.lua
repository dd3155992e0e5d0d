-- SPDX-License-Identifier: MIT
-- connect{ on_… = … }: handlers of one connection alone, in place of those of its session.

local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "OwnHandlers"
local HOST = "127.0.0.1"

-- A list of words, and a function that makes handlers which append to it.
local function journal()
  local list = {}
  return list, function(word, f)
    return function(...)
      list[#list + 1] = word
      if f then return f(...) end
    end
  end
end

local function stop(cheap) cheap:shutdown() end

function cases.each_one_replaces_the_sessions_and_the_others_stay()
  local greeter = support.peer 'send "hello\\r\\n"; recv all'
  local list, note = journal()
  local session = tcpmulti.create {
    on_initialize = note "initialize",
    on_success = note "success",
    on_input = note("input", stop),
    on_disconnected = note "disconnected",
  }
  session:connect { remote_address = HOST, remote_port = greeter:port(),
    on_success = note "own success", on_disconnected = note "own disconnected" }
  tcpmulti.run()
  lu.assertEquals(list, { "initialize", "own success", "input", "own disconnected" })
end

function cases.other_connections_of_the_session_do_not_notice()
  local greeter = support.peer 'send "hello\\r\\n"; recv all'
  local list, note = journal()
  local session = support.session { on_input = note("input", stop) }
  session:connect { remote_address = HOST, remote_port = greeter:port(),
    on_input = note("own", function(cheap)
      cheap:shutdown()
      session:connect(HOST, greeter:port())
    end) }
  support.run()
  lu.assertEquals(list, { "own", "input" })
end

function cases.events_that_the_session_has_no_handler_for_are_delivered()
  local talker = support.peer 'send "one\\r\\ntwo\\r\\n"; recvuntil "bye"; close'
  local frozen = support.peer "freeze"
  local none = support.peer("", { refuse = 1 })
  local list, note = journal()
  local session = support.session {}
  local function connect(port, options)
    options.remote_address, options.remote_port = HOST, port
    session:connect(options)
    support.run()
  end
  connect(talker:port(), {
    on_initialize = note "initialize",
    on_success = note "success",
    on_input = note("input", function(cheap, line) if line == "two" then cheap:send "bye" end end),
    on_flushed = note "flushed",
    on_eof = note "eof",
    on_disconnected = note "disconnected",
  })
  lu.assertEquals(list, { "initialize", "success", "input", "input", "flushed", "eof",
    "disconnected" })
  session = support.session {}
  connect(talker:port(), { on_input = function(cheap) cheap:send "bye" end,
    on_error = note "error" })
  session = support.session {}
  connect(none:port(), { on_failure = note "failure" })
  session = support.session {}
  connect(frozen:port(), { input_timeout = 0.05, on_timeout = note "timeout" })
  lu.assertEquals({ list[8], list[9], list[10] }, { "error", "failure", "timeout" })
end

function cases.half_open_takes_the_on_eof_of_the_connection()
  local half = support.peer 'send "x\\r\\n"; shutwr; recv all'
  local list, note = journal()
  local session = support.session {}
  lu.assertErrorMsgContains("half_open needs on_eof", function()
    session:connect { remote_address = HOST, remote_port = half:port(), half_open = true }
  end)
  session:connect { remote_address = HOST, remote_port = half:port(), half_open = true,
    on_eof = note("eof", function(cheap)
      lu.assertTrue(cheap:send "answer")
      cheap:shutdown()
    end),
    on_disconnected = function(_, _, reason) list[#list + 1] = reason end }
  support.run()
  lu.assertEquals(list, { "eof", "eof" })
  lu.assertEquals(support.ending(half, 1), "eof")
  lu.assertEquals(half:connection(1).content, "answer\r\n")
end

function cases.a_raise_is_an_exception_of_the_session()
  local sink = support.peer "recv all"
  local messages, reasons = {}, {}
  local session = support.session {
    on_exception = function(_, message, cheap)
      messages[#messages + 1] = message:match "boom %w+"
      lu.assertEquals(cheap:phase() ~= nil, true)
    end,
    on_disconnected = function(_, _, reason) reasons[#reasons + 1] = reason end,
  }
  for _, name in ipairs { "on_initialize", "on_success" } do
    session:connect { remote_address = HOST, remote_port = sink:port(),
      [name] = function() error("boom " .. name:sub(4)) end }
    support.run()
    session = support.session {
      on_exception = function(_, message) messages[#messages + 1] = message:match "boom %w+" end,
      on_disconnected = function(_, _, reason) reasons[#reasons + 1] = reason end,
    }
  end
  lu.assertEquals(messages, { "boom initialize", "boom success" })
  lu.assertEquals(reasons, { "error", "error" })
end

function cases.many_records_in_one_read_all_go_to_it()
  local talker = support.peer 'loop 1000; send "line\\r\\n"; end; recv all'
  local own, others = 0, 0
  local session = support.session { on_input = function() others = others + 1 end }
  session:connect { remote_address = HOST, remote_port = talker:port(),
    on_input = function(cheap)
      own = own + 1
      if own == 1000 then cheap:shutdown() end
    end }
  support.run()
  lu.assertEquals({ own, others }, { 1000, 0 })
end

function cases.the_pull_form_takes_them_too()
  local greeter = support.peer 'send "hello\\r\\n"; recv all'
  local seen = {}
  local session = support.session {}
  local n = 0
  session:connect(function()
    n = n + 1
    if n > 3 then return nil end
    local number = n
    return { remote_address = HOST, remote_port = greeter:port(),
      on_input = function(cheap)
        seen[#seen + 1] = number
        cheap:shutdown()
      end }
  end)
  support.run()
  table.sort(seen)
  lu.assertEquals(seen, { 1, 2, 3 })
end

function cases.nothing_keeps_them_when_the_connection_has_ended()
  local sink = support.peer "close"
  local weak = setmetatable({}, { __mode = "k" })
  local session = support.session { alias = "stays" }
  for _ = 1, 50 do
    local handler = function() end
    handler = function(...) return ..., handler end -- a closure of its own
    weak[handler] = true
    session:connect { remote_address = HOST, remote_port = sink:port(), on_success = handler }
  end
  support.run()
  collectgarbage()
  collectgarbage()
  lu.assertNil(next(weak))
end

function cases.what_cannot_be_is_refused()
  local session = support.session {}
  local function refused(options, text)
    options.remote_address, options.remote_port = HOST, 1
    lu.assertErrorMsgContains(text, function() session:connect(options) end)
  end
  refused({ on_input = 5 }, "on_input")
  refused({ on_exception = function() end }, "on_exception")
  refused({ on_inptu = function() end }, "on_input")
end

support.main(cases)
