-- SPDX-License-Identifier: MIT
-- cheap:expect: what it takes, what it skips, and what it says when that does not come.

local co = require "tcpmulti.co"
local dialogue = require "behaviour.dialogue"
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "CoExpect"
local open, try = dialogue.open, co.try
local SMTP = 'send "220-mail\\r\\n220 ready\\r\\n"; count'
local STREAM = { filter = "stream" }

function cases.Y46_what_does_not_match_is_skipped()
  dialogue.run(function()
    local cheap, skipped = open 'send "a\\nb\\n220 ready\\nc\\n"; count', { "first" }
    lu.assertEquals({ cheap:expect { "^220 ", skipped = skipped } }, { 1, "220 ready" })
    lu.assertEquals(skipped, { "first", "a", "b" })
    lu.assertEquals(cheap:receive(), "c")
  end)
end

function cases.Y47_captures_are_those_of_string_match()
  dialogue.run(function()
    local cheap = open 'send "220-mail\\n220 ready\\nplain\\n1+1=2\\n"; count'
    lu.assertEquals({ cheap:expect "^(%d+) (.*)$" }, { "220", "ready" })
    lu.assertEquals({ cheap:expect "plain" }, { "plain" })
    lu.assertEquals({ cheap:expect { "1+1", plain = true } }, { 1, "1+1=2" })
  end)
end

function cases.Y48_a_table_gives_the_key_first()
  dialogue.run(function()
    local cheap = open 'send "+OK\\n-ERR what\\nboth\\nsame\\n"; count'
    local answers = { ok = "^%+OK", err = "^%-ERR (.*)" }
    lu.assertEquals({ cheap:expect(answers) }, { "ok", "+OK" })
    lu.assertEquals({ cheap:expect(answers) }, { "err", "what" })
    lu.assertEquals({ cheap:expect { "x", "bo(.)h" } }, { 2, "t" })
    lu.assertEquals({ cheap:expect { named = "same", "same" } }, { 1, "same" })
  end)
end

function cases.Y49_reject_fails_at_once()
  dialogue.run(function()
    local cheap = open 'send "hello\\n421 busy\\n220 ok\\n500 a\\n421-and 220\\n"; count'
    lu.assertEquals({ cheap:expect { "^220 ", reject = "^[45]" } },
      { nil, "rejected: 421 busy", "EREJECTED", "421 busy" })
    lu.assertEquals({ cheap:expect { "^220 ", reject = "^[45]" } }, { 1, "220 ok" })
    lu.assertEquals({ cheap:expect { "^220 ", reject = { "^4", "^500" } } },
      { nil, "rejected: 500 a", "EREJECTED", "500 a" })
    lu.assertEquals({ cheap:expect { "220", reject = "^4" } }, { 1, "421-and 220" })
  end)
end

function cases.Y50_its_time_is_over()
  dialogue.run(function()
    local cheap, began = open(SMTP), tcpmulti.now()
    local value, message, errname = cheap:expect({ "^250 " }, 0.1)
    lu.assertEquals({ value, errname }, { nil, "ETIME" })
    lu.assertStrContains(message, 'expected "^250 ", got 220 ready')
    support.at(tcpmulti.now() - began, 0.1)
    value, message, errname = cheap:expect { a = "^250 ", b = function() end, timeout = 0.05 }
    lu.assertEquals({ value, errname }, { nil, "ETIME" })
    lu.assertStrContains(message, 'expected "^250 " or a function')
    lu.assertEquals(cheap:phase(), "open")
  end)
end

function cases.Y51_the_end_of_file_while_it_waits()
  dialogue.run(function()
    local cheap = open 'send "first\\nrest"; close'
    local value, message, errname, partial = cheap:expect "never"
    lu.assertEquals({ value, errname, partial }, { nil, "EOF", "rest" })
    lu.assertEquals(message, 'end of file; expected "never", got first')
  end)
end

local LOGIN = {
  at_once = [[
    send "Debian\r\nhost login: "; recv line; send "Password: "; recv line;
    send "\r\nWelcome\r\n$ "; recv line; send "ran ls\r\n$ "; recv line; send "bye\r\n"; close
  ]],
  in_bytes = [[
    dribble "Debian\r\nhost login: " 200; recv line; dribble "Password: " 200; recv line;
    dribble "\r\nWelcome\r\n$ " 200; recv line; dribble "ran ls\r\n$ " 200; recv line;
    dribble "bye\r\n" 200; close
  ]],
}
for name, program in pairs(LOGIN) do
  cases["Y52_prompts_without_line_ends_on_a_stream_" .. name] = function()
    dialogue.run(STREAM, function()
      local cheap = open(program)
      lu.assertEquals(try(cheap:expect "login: $"), "login: ")
      cheap:send "root\n"
      try(cheap:expect "Password: ")
      cheap:send "secret\n"
      lu.assertEquals({ cheap:expect { prompt = "%$ $", reject = "incorrect" } },
        { "prompt", "$ " })
      cheap:send "ls\n"
      lu.assertEquals({ cheap:expect "ran (%w+)\r\n%$ " }, { "ls" })
      cheap:send "exit\n"
      lu.assertEquals(cheap:receive "all", "bye\r\n")
    end)
  end
end

function cases.Y52_what_is_behind_a_match_stays_and_without_one_all()
  dialogue.run(STREAM, function()
    local cheap = open 'send "one two three"; count'
    lu.assertEquals(cheap:expect "t%a+ ", "two ")
    local value, _, errname, partial = cheap:expect("four", 0.05)
    lu.assertEquals({ value, errname, partial }, { nil, "ETIME", "three" })
    lu.assertEquals(cheap:receive(2), "th")
    lu.assertEquals(cheap:receive(), "ree")
  end)
end

function cases.Y53_on_a_stream_the_earlier_match_decides()
  dialogue.run(STREAM, function()
    local cheap = open 'send "Login incorrect\\r\\n$ and more"; count'
    local value, message, errname, text = cheap:expect { "%$ ", reject = "incorrect" }
    lu.assertEquals({ value, errname }, { nil, "EREJECTED" })
    lu.assertStrContains(message, "rejected: Login incorrect")
    lu.assertStrContains(text, "Login incorrect")
    lu.assertEquals({ cheap:expect { "%$ ", reject = "more" } }, { 1, "$ " })
    lu.assertEquals({ cheap:expect { "more", "and" } }, { 2, "and" })
    lu.assertEquals(cheap:receive(), " more")
  end)
end

function cases.Y54_no_match_within_max_length()
  dialogue.run(STREAM, function()
    local cheap = open 'blast 0'
    lu.assertEquals(select(3, cheap:expect { "%z", max_length = 20000 }), "ETOOLONG")
    lu.assertEquals(#cheap:receive(10000), 10000) -- nothing is taken
    lu.assertEquals(select(3, cheap:expect "%z"), "ETOOLONG")
    cheap:reset()
  end)
  dialogue.run(function()
    local cheap = open 'loop 50; send "0123456789\\n"; end; send "end\\n"; count'
    lu.assertEquals(select(3, cheap:expect { "end", max_length = 95 }), "ETOOLONG")
    lu.assertEquals({ cheap:expect { "end", max_length = 400 } }, { 1, "end" })
  end)
end

function cases.Y55_functions_for_records_that_are_no_strings()
  local numbers = tcpmulti.filters.map(function(line) return { number = tonumber(line) } end)
  dialogue.run({ filter = tcpmulti.filters.stack { tcpmulti.filters.line(), numbers } }, function()
    local cheap = open 'send "1\\n20\\n300\\n4\\n5\\n"; count'
    local function at_least(least)
      return function(record)
        if record.number >= least then return record.number, "found" end
      end
    end
    lu.assertEquals({ cheap:expect(at_least(15)) }, { 20, "found" })
    lu.assertEquals({ cheap:expect { small = at_least(5), big = at_least(200) } },
      { "big", 300, "found" })
    local record
    local value, _, errname, refused = cheap:expect { at_least(9), reject = at_least(4) }
    lu.assertEquals({ value, errname, refused.number }, { nil, "EREJECTED", 4 })
    dialogue.raises("records are no strings", function() record = cheap:expect "5" end)
    lu.assertNil(record)
  end)
end

function cases.Y55_what_can_never_match_raises_at_the_callers_line()
  dialogue.run(function()
    local cheap = open(SMTP)
    for _, what in ipairs { 5, {}, { true }, { reject = "x" }, { "x", reject = 7 },
      { "x", timeout = -1 } } do
      local function wrong() local value = cheap:expect(what) return value end
      lu.assertStrContains(dialogue.raises("expect", wrong),
        ("test-co-expect.lua:%d: "):format(debug.getinfo(wrong, "S").linedefined))
    end
    lu.assertEquals(cheap:receive(), "220-mail")
  end)
end

function cases.Y56_an_empty_reject_refuses_anything_else()
  dialogue.run(function()
    local cheap = open(SMTP)
    lu.assertEquals({ cheap:expect { "^220 ", reject = "" } },
      { nil, "rejected: 220-mail", "EREJECTED", "220-mail" })
    lu.assertEquals({ cheap:expect { "^220 ", reject = "" } }, { 1, "220 ready" })
  end)
end

support.main(cases)
