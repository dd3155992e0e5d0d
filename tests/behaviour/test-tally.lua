-- SPDX-License-Identifier: MIT
-- s:tally(): how the connections of a session have ended, told apart by reason, op, errname, timer.

local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Tally"
local HOST = "127.0.0.1"

function cases.ends_of_a_kind_are_counted_together_whatever_their_messages()
  local sink = support.peer "recv all"
  local closer = support.peer "close"
  local frozen = support.peer "freeze"
  local failures = 0
  local session = support.session {
    on_success = function(cheap)
      if cheap.leaves then cheap:shutdown() end
      if cheap.breaks then
        failures = failures + 1
        cheap:fail("reply " .. failures)
      end
    end,
    on_error = function() end,
  }
  for _ = 1, 3 do session:connect({ breaks = true }, HOST, sink:port()) end
  for _ = 1, 2 do session:connect(HOST, closer:port()) end
  session:connect({ leaves = true }, HOST, sink:port())
  session:connect { remote_address = HOST, remote_port = frozen:port(), input_timeout = 0.1 }
  lu.assertEquals(session:tally(), {})
  support.run()
  local tally = session:tally()
  lu.assertEquals(tally[1], { reason = "error", op = "fail", errname = "EPROTO", count = 3 })
  lu.assertEquals(tally[2], { reason = "eof", op = "read", errname = "EOF", count = 2 })
  local rest = { [tally[3].reason] = tally[3], [tally[4].reason] = tally[4] }
  lu.assertEquals(rest.shutdown, { reason = "shutdown", count = 1 })
  lu.assertEquals(rest.timeout.timer, "input")
  lu.assertEquals(rest.timeout.count, 1)
  lu.assertEquals(#tally, 4)
end

function cases.it_answers_in_stop_and_afterwards()
  local in_stop
  local session = tcpmulti.create {
    inline_states = { _stop = function(session) in_stop = session:tally() end },
  }
  local none = support.peer("", { refuse = 1 })
  session:connect(HOST, none:port())
  tcpmulti.run()
  local expected = { { reason = "failure", op = "connect", errname = "ECONNREFUSED", count = 1 } }
  lu.assertEquals(in_stop, expected)
  lu.assertEquals(session:tally(), expected)
end

-- What handlers are told of an end is what is counted, also where the script itself broke it.
function cases.an_exception_is_an_error_in_the_tally_as_in_disconnected()
  local sink = support.peer "recv all"
  local reasons = {}
  local session = support.session {
    on_initialize = function(cheap)
      if cheap.at == "initialize" then error "in initialize" end
    end,
    on_success = function(cheap)
      cheap:send "hello"
      if cheap.at == "success" then error "in success" end
      if cheap.at == "flushed" then cheap:shutdown() end
    end,
    on_flushed = function(cheap) if cheap.at == "flushed" then error "in flushed" end end,
    on_disconnected = function(_, _, reason) reasons[reason] = (reasons[reason] or 0) + 1 end,
    on_exception = function() end,
  }
  for _, at in ipairs { "initialize", "success", "flushed" } do
    session:connect({ at = at }, HOST, sink:port())
  end
  support.run()
  lu.assertEquals(reasons, { error = 3 })
  lu.assertEquals(session:tally(),
    { { reason = "error", op = "fail", errname = "ECANCELED", count = 3 } })
end

function cases.a_put_that_raises_is_a_failure_of_the_filter()
  local sink = support.peer "recv all"
  local filter = { feed = function() end, get_one = function() end,
    put = function() error "no" end, pending = function() return "" end }
  filter.clone = function() return filter end
  local session = support.session {
    output_filter = filter,
    on_success = function(cheap) cheap:send "x" end,
    on_error = function(cheap) lu.assertEquals(cheap:cause(), "filter") end,
  }
  session:connect(HOST, sink:port())
  support.run()
  lu.assertEquals(session:tally(),
    { { reason = "error", op = "filter", errname = "EFILTER", count = 1 } })
end

support.main(cases)
