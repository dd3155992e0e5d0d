-- SPDX-License-Identifier: MIT
-- FAULTS T07 and S12: a process that was stopped for longer than its timeouts, and finds when it
-- goes on that data, connects and ends have been waiting: nothing of it is a timeout. And FAULTS
-- I34: a peer that was stopped.

local lu = require "luaunit"
local support = require "behaviour.support"

local cases = support.cases "Stalls"

-- stall(seconds): the child stops itself, here and now; a shell beside it lets it go on.
local PRELUDE = [[
  local tcpmulti = require "tcpmulti"
  local port = tonumber(arg[1])
  local stat = assert(io.open "/proc/self/stat")
  local pid = stat:read "*n"
  stat:close()
  local function stall(seconds)
    os.execute(("(sleep %g; kill -CONT %d) >/dev/null 2>&1 & kill -STOP %d"):format(
      seconds, pid, pid))
  end
]]

function cases.T07_data_that_came_while_we_were_stopped_beats_the_timeout()
  local one = support.peer 'send "before\\r\\n"; sleep 500; send "meanwhile\\r\\n"; count'
  local output, status = support.child("", PRELUDE .. [[
    local s
    s = tcpmulti.create {
      input_timeout = 0.6,
      on_input = function(cheap, record)
        print(record)
        if record == "before" then s:delay("stop", 0.1) else cheap:shutdown() end
      end,
      inline_states = { stop = function() stall(1) end },
      on_timeout = function(_, _, timer) print("timeout", timer) end,
      on_disconnected = function(_, _, reason) print(reason) end,
    }
    s:connect("127.0.0.1", port)
    tcpmulti.run()
  ]], one:port())
  lu.assertEquals(output, "before\nmeanwhile\nshutdown\n")
  lu.assertEquals(status, 0)
end

function cases.T07_a_thousand_connections_lose_nothing_and_time_out_nowhere()
  local swarm = support.swarm("echo", 8)
  local output, status = support.child("", PRELUDE .. [[
    local open, received, timeouts, ended = 0, 0, 0, 0
    local s
    s = tcpmulti.create {
      input_timeout = 0.8,
      on_success = function()
        open = open + 1
        if open == 1000 then s:yield "speak" end
      end,
      inline_states = {
        speak = function()
          for _, cheap in s:connections() do cheap:send "ping" end
          stall(1.5)
        end,
      },
      on_input = function(cheap)
        received = received + 1
        cheap:shutdown()
      end,
      on_timeout = function() timeouts = timeouts + 1 end,
      on_disconnected = function(_, _, reason)
        if reason == "shutdown" then ended = ended + 1 end
      end,
    }
    for i = 1, 1000 do s:connect("127.0.0." .. i % 8 + 1, port) end
    tcpmulti.run()
    print(open, received, timeouts, ended)
  ]], swarm:port())
  lu.assertEquals(output, "1000\t1000\t0\t1000\n")
  lu.assertEquals(status, 0)
end

function cases.I34_a_peer_that_goes_on_before_the_timeout_is_not_timed_out()
  local one = support.peer 'send "before\\r\\n"; sleep 500; send "after\\r\\n"; close'
  local session, log = support.record { input_timeout = 1 }
  session:connect("127.0.0.1", one:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "input before", "input after",
    "error read EOF", "disconnected eof" })
end

support.main(cases)
