-- SPDX-License-Identifier: MIT
-- tcpmulti.dump: the state of the engine, and of its connections, as a list of lines.
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Dump"

local ENGINE = "engine sessions %d+ waiting %d+ connecting %d+ open %d+ shutting %d+ "
  .. "places %d+ of %d+ memory %d+ of %d+ work %d+"
local CONNECTION = "%d+ [^ ]+:%d+ %a+:?%a* [%w_,]+ output [%a_]+ timeout %w+ deadline %w+ "
  .. "received %d+ sent %d+ queued %d+ held %d+"

function cases.the_first_line_is_the_engines_the_others_are_those_of_connections()
  local peer = support.peer "recv all"
  local session = support.session {}
  local first = session:connect("127.0.0.1", peer:port())
  local second = session:connect("127.0.0.1", peer:port())
  local lines = tcpmulti.dump()
  lu.assertEquals(#lines, 3)
  lu.assertStrMatches(lines[1], ENGINE)
  for i, cheap in ipairs { first, second } do
    lu.assertStrMatches(lines[i + 1], CONNECTION)
    lu.assertEquals(lines[i + 1]:match "^%d+", ("%.0f"):format(cheap:id()))
    cheap:shutdown()
  end
  support.run()
  lu.assertEquals(#tcpmulti.dump(), 1)
end

function cases.a_thousand_connections_have_a_thousand_lines()
  local session = support.session { max_connections = 1 }
  for _ = 1, 1000 do session:connect("127.0.0.1", 1) end
  local lines = tcpmulti.dump()
  lu.assertEquals(#lines, 1001)
  lu.assertStrContains(lines[1], " waiting 999 ")
  for i = 2, #lines do lu.assertStrMatches(lines[i], CONNECTION) end
  session:die()
  support.run()
end

function cases.a_handler_may_call_it()
  local phases = {}
  local function note(cheap)
    local id = ("%.0f "):format(cheap:id())
    for _, line in ipairs(tcpmulti.dump()) do
      if line:sub(1, #id) == id then phases[#phases + 1] = line:match "^%d+ [^ ]+ ([%a:]+)" end
    end
  end
  local session = support.session {
    on_initialize = note, on_disconnected = note,
    on_failure = note,
  }
  session:connect("127.0.0.1", 1)
  support.run()
  lu.assertEquals(phases, { "waiting", "shutting:ending", "closed" })
end

function cases.a_colon_is_a_mistake()
  lu.assertErrorMsgContains("called with a colon", tcpmulti.dump, tcpmulti)
end

support.main(cases)
