-- SPDX-License-Identifier: MIT
-- The traps of tasks in lua/README.md, each with the line that falls into it and the line that does
-- not.

local co = require "tcpmulti.co"
local dialogue = require "behaviour.dialogue"
local lu = require "luaunit"
local support = require "behaviour.support"

local cases = support.cases "CoTraps"
local open, try = dialogue.open, co.try

function cases.W1_a_wait_inside_an_expression_reads_its_neighbours_first()
  dialogue.run(function()
    local sum, kept = 0, 0
    local function add_at_once(cheap) sum = sum + try(cheap:receive()) end
    local function wait_first(cheap)
      local got = try(cheap:receive())
      kept = kept + got
    end
    for _, add in ipairs { add_at_once, wait_first } do
      co.scope(function()
        for _ = 1, 3 do co.spawn(add, (open 'sleep 30; send "1\\n"; count')) end
      end)
    end
    lu.assertEquals({ sum, kept }, { 1, 3 })
  end)
end

function cases.W2_a_time_behind_expect_inside_try_goes_to_try()
  dialogue.run(function()
    local cheap = open 'send "220 one\\n220 two\\n"; freeze'
    lu.assertEquals({ try(cheap:expect { "^220 o" }, 0.05) }, { 1, 0.05 })
    lu.assertEquals({ try(cheap:expect({ "^220 t" }, 0.05)) }, { 1, "220 two" })
    dialogue.raises("(ETIME)", function() try(cheap:expect({ "^220" }, 0.05)) end)
    dialogue.raises("(ETIME)", function() try(cheap:expect { "^220", timeout = 0.05 }) end)
    cheap:reset()
    dialogue.raises("try: nil and a message expected, not nil and 5",
      function() try(cheap:expect { "^220" }, 5) end)
  end)
end

function cases.W3_send_of_gsub_sends_the_count_too()
  dialogue.run(function()
    local cheap, one = open "recv all"
    local text = "a-b-c"
    cheap:send(text:gsub("-", "+"))
    cheap:send((text:gsub("-", "+")))
    lu.assertEquals(cheap:close(), true)
    lu.assertEquals(support.ending(one, 1), "eof")
    lu.assertEquals(one:connection(1).content, "a+b+c\r\n2\r\na+b+c\r\n")
  end)
end

function cases.W4_a_time_of_the_wait_changes_nothing_one_of_the_connection_ends_it()
  dialogue.run({ input_timeout = 0.2 }, function()
    local cheap = open "freeze"
    local got, _, errname = cheap:receive(nil, 0.05)
    lu.assertEquals({ got, errname, cheap:phase() }, { nil, "ETIME", "open" })
    got, _, errname = cheap:receive(nil, 5)
    lu.assertEquals({ got, errname }, { nil, "ETIMEDOUT" })
    lu.assertEquals({ cheap:send "x" }, { nil, "no such connection", "ESTALE" })
  end)
end

function cases.W5_a_failure_that_is_ignored_is_none()
  dialogue.run(function()
    local function greet(cheap, check)
      check(cheap:expect { "^220", reject = "^[45]" })
      cheap:send "MAIL"
      return "went on"
    end
    local busy = 'send "421 busy\\n"; recv all'
    lu.assertEquals(greet(open(busy), function() end), "went on")
    local got, _, errname = co.protect(greet)(open(busy), try)
    lu.assertEquals({ got, errname }, { nil, "EREJECTED" })
  end)
end

function cases.W6_a_daemon_is_cancelled_when_its_scope_has_returned_a_child_is_waited_for()
  dialogue.run(function()
    local done = {}
    local function work(name)
      co.sleep(0.05)
      done[#done + 1] = name
    end
    co.scope(function() co.daemon(work, "daemon") end)
    co.scope(function() co.spawn(work, "child") end)
    lu.assertEquals(done, { "child" })
  end)
end

-- A filter in Lua whose records are lines with their numbers.
local function numbered()
  return {
    bytes = "", number = 0,
    clone = numbered,
    feed = function(self, bytes) self.bytes = self.bytes .. bytes end,
    get_one = function(self)
      local line, rest = self.bytes:match "^([^\n]*)\n(.*)$"
      if not line then return nil end
      self.bytes, self.number = rest, self.number + 1
      return self.number .. " " .. line
    end,
    put = function(_, record) return record end,
    pending = function(self) return self.bytes end,
  }
end

function cases.W7_a_filter_that_keeps_state_between_records_loses_it_to_another_one()
  dialogue.run({ filter = numbered() }, function()
    local cheap = open 'send "a\\nb\\n3:net,c\\nd\\n"; freeze'
    lu.assertEquals({ cheap:receive(), cheap:receive() }, { "1 a", "2 b" })
    lu.assertEquals(cheap:receive "netstring", "net")
    lu.assertEquals({ cheap:receive(), cheap:receive() }, { "1 c", "2 d" })
    cheap:reset()
  end)
end

support.main(cases)
