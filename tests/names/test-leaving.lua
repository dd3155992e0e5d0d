-- SPDX-License-Identifier: MIT
-- Look-ups that hang hold up nobody: not connections to numbers, not the end of a run, not the end
-- of a program.
local lu = require "luaunit"
local support = require "names.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Leaving"
support.server()

-- A script of its own prints the time when it decides to leave; the time it is gone is that when
-- its output ends. Gives the seconds between, the least of a few attempts: this machine may be
-- busy.
local function time_to_leave(text)
  local least = math.huge
  for _ = 1, 5 do
    local output = support.script(text, { port = support.peer("close"):port() })
    local gone = tcpmulti.now()
    least = math.min(least, gone - assert(tonumber(output:match "([%d.]+)\n$"), output))
    if least < 0.2 then break end
  end
  return least
end

local HANG = [[
  local s = session { dns = dns, on_failure = function() end, connect_timeout = 60 }
  for i = 1, 500 do s:connect(("silent.hung%d.test"):format(i), 1) end
  local ender = tcpmulti.create {
    inline_states = {
      over = function()
        print(("%.6f"):format(tcpmulti.now()))
        io.stdout:flush()
        leave(s)
      end,
    },
  }
  ender:delay_set("over", 0.2)
  tcpmulti.run()
]]

local ways = {
  { "exit", "local function leave() os.exit(0) end " },
  { "stop", "local function leave() tcpmulti.stop() end " },
  { "die", "local function leave(s) s:die() end " },
}

for _, pair in ipairs(ways) do
  local way, leave = unpack(pair)
  cases["N41_leaving_by_" .. way .. "_with_500_hung_look_ups"] = function()
    local seconds = time_to_leave("local dns = 'auto'\n" .. leave .. HANG)
    support.within(seconds, 0, support.limit(0.2), "seconds")
  end

  cases["N65_leaving_by_" .. way .. "_with_500_look_ups_of_the_system"] = function()
    local seconds = time_to_leave("local dns = 'system'\n" .. leave .. HANG)
    support.within(seconds, 0, support.limit(0.2), "seconds")
  end
end

function cases.N65_at_most_four_threads_wait_and_numbers_go_on()
  local output = support.script([[
    local peer = require "peer"
    local function threads()
      local file = io.open "/proc/self/status"
      local count = file:read "*a":match "Threads:%s*(%d+)"
      file:close()
      return tonumber(count)
    end
    local before = threads()
    local hung = session { dns = "system", on_failure = function() end, connect_timeout = 0 }
    for i = 1, 100 do hung:connect(("silent.waits%d.test"):format(i), 1) end
    local good, worst = 0, 0
    local numbers = session {
      on_success = function(cheap)
        good, worst = good + 1, math.max(worst, tcpmulti.now() - cheap.began)
        cheap:reset()
      end,
    }
    local ender = tcpmulti.create {
      inline_states = {
        numbers = function()
          for i = 1, 100 do numbers:connect({ began = tcpmulti.now() }, "127.0.0.1", port) end
        end,
        over = function()
          local more = threads() - before
          print(good, more >= 1 and more <= 4 and "few threads" or more, worst < 0.5 or worst)
          tcpmulti.stop()
        end,
      },
    }
    ender:delay_set("numbers", 0.1)
    ender:delay_set("over", 0.7)
    tcpmulti.run()
  ]], { port = support.swarm("close", 1, 200):port() })
  lu.assertEquals(output, "100\tfew threads\ttrue\n")
end

support.main(cases)
