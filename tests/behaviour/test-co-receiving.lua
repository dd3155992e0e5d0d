-- SPDX-License-Identifier: MIT
-- What receive and records give: whole records in order, and how a connection ends behind them.

local co = require "tcpmulti.co"
local dialogue = require "behaviour.dialogue"
local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "CoReceiving"
local open, try, HOST = dialogue.open, co.try, dialogue.HOST
local MIB = 1048576
local RST_ERROR = "read: Connection reset by peer"

-- Each program of a peer that sends these bytes: in one piece, and byte by byte.
local function each_way(text)
  local quoted = text:gsub("%c", function(byte) return ("\\x%02X"):format(byte:byte()) end)
  return next, { at_once = ('send "%s"'):format(quoted),
    byte_by_byte = ('dribble "%s" 200'):format(quoted) }
end

---------------------------------------------------------------- records

function cases.Y9_records_come_in_order()
  dialogue.run(function()
    local cheap, one = open [[
      loop 100; send "a\nb\n"; end; wait more; loop 100; send "c\n"; send "d\n"; end; count
    ]]
    local got = {}
    for i = 1, 400 do
      if i == 150 then one:go "more" end
      if i % 40 == 0 then co.sleep(0.01) end
      got[i] = cheap:receive()
    end
    lu.assertEquals(table.concat(got), ("ab"):rep(100) .. ("cd"):rep(100))
    lu.assertEquals({ cheap:receive(nil, 0.01) },
      { nil, "nothing received for 0.01 s", "ETIME", "" })
  end)
end

function cases.Y9_none_is_lost_while_the_task_does_something_else()
  dialogue.run(function()
    local cheap, one = open 'send "one\\ntwo\\n"; wait go; send "three\\n"; mark sent; count'
    lu.assertEquals(cheap:receive(), "one")
    one:go "go"
    dialogue.wait_for(function() return one:marks "sent" == 1 end)
    co.sleep(0.1)
    lu.assertEquals(cheap:receive(), "two")
    co.sleep(0.1)
    lu.assertEquals(cheap:receive(), "three")
  end)
end

function cases.Y10_a_flood_that_nobody_receives_is_held_up()
  dialogue.run({ filter = "stream" }, function(session)
    local cheap, one = open("prng 7 16m; close")
    local before
    repeat
      before = one:connection(1) and one:connection(1).sent or 0
      co.sleep(0.1)
    until before > 0 and one:connection(1).sent == before
    support.within(session:stats().held, 0, 512 * 1024, "held bytes")
    lu.assertTrue(before < 16 * MIB)
    local bytes = try(cheap:receive { "all", max_length = 16 * MIB })
    lu.assertEquals(#bytes, 16 * MIB)
    lu.assertTrue(bytes == peer.prng(7, 16 * MIB))
  end, 30)
end

for name, program in each_way "hello 10\r\n0123456789abc\r\n5:abcde,\0\3xyztail\nend\r\n" do
  cases["Y11_bytes_lines_netstrings_and_blocks_mixed_" .. name] = function()
    dialogue.run(function()
      local cheap = open(program .. "; count")
      lu.assertEquals(cheap:receive(), "hello 10")
      lu.assertEquals(cheap:receive(10), "0123456789")
      lu.assertEquals(cheap:receive(), "abc")
      lu.assertEquals(cheap:receive "netstring", "abcde")
      lu.assertEquals(cheap:receive { "block", length = "u16be" }, "xyz")
      lu.assertEquals(cheap:receive(1), "t")
      lu.assertEquals(cheap:receive { "line", ends = "lf" }, "ail")
      lu.assertEquals(cheap:receive(2), "en")
      lu.assertEquals(cheap:receive(), "d")
    end)
  end
end

function cases.Y11_wrong_arguments_raise_at_the_callers_line()
  dialogue.run(function()
    local cheap = open 'send "ab\n"; count'
    local function line_of(f) return ("test-co-receiving.lua:%d: "):format(f) end
    for _, what in ipairs { -1, 1.5, 0 / 0, "nonsense", { "nonsense" }, true } do
      local function wrong() local record = cheap:receive(what) return record end
      local message = dialogue.raises("", wrong)
      lu.assertStrContains(message, line_of(debug.getinfo(wrong, "S").linedefined))
    end
    for _, seconds in ipairs { -1, "1", 0 / 0 } do
      local function wrong() local record = cheap:receive(nil, seconds) return record end
      local message = dialogue.raises("", wrong)
      lu.assertStrContains(message, line_of(debug.getinfo(wrong, "S").linedefined))
    end
    lu.assertEquals(cheap:receive(), "ab")
  end)
end

function cases.Y12_no_bytes_are_there_at_once()
  dialogue.run(function()
    local cheap = open "count"
    local began = tcpmulti.now()
    lu.assertEquals({ cheap:receive(0) }, { "" })
    lu.assertEquals({ cheap:receive(0, 5) }, { "" })
    support.within(tcpmulti.now() - began, 0, 0.5)
  end)
end

function cases.Y13_behind_a_one_shot_filter_the_own_one_is_back()
  dialogue.run(function()
    local cheap = open 'send "3:abc,line\\n2:de,1:f,rest\\n4:ghij,"; wait go; send "last\\n"; count'
    local netstring = tcpmulti.filters.netstring()
    lu.assertEquals(cheap:receive "netstring", "abc")
    lu.assertEquals(cheap:receive(), "line")
    lu.assertEquals(cheap:receive(netstring), "de")
    lu.assertEquals(cheap:receive { "netstring", max_length = 4 }, "f")
    lu.assertEquals(cheap:receive(), "rest")
    lu.assertEquals(cheap:receive(netstring), "ghij")
    lu.assertEquals({ cheap:receive("netstring", 0.01) },
      { nil, "nothing received for 0.01 s", "ETIME", "" })
    lu.assertEquals(tostring(cheap:filter()), "tcpmulti filter line")
    lu.assertEquals({ cheap:receive(nil, 0) }, { nil, "nothing received for 0 s", "ETIME", "" })
  end)
end

function cases.Y13_a_filter_written_in_lua_is_back_too()
  local bracket = tcpmulti.filters.map(function(line) return "<" .. line .. ">" end)
  local own = tcpmulti.filters.stack { tcpmulti.filters.line(), bracket }
  dialogue.run({ filter = own }, function()
    local cheap = open 'send "one\\ntwo\\n12345\\nthree\\n"; count'
    lu.assertEquals(cheap:receive(), "<one>")
    lu.assertEquals(cheap:receive "line", "two")
    lu.assertEquals(cheap:receive(4), "1234")
    lu.assertEquals(cheap:receive(), "<5>")
    lu.assertEquals(cheap:receive(), "<three>")
  end)
end

function cases.Y14_filter_in_a_task_sets_the_own_one()
  dialogue.run(function()
    local cheap = open 'send "one\\n3:two,xyz5:three,a\\nb\\n"; recv 4; close'
    lu.assertEquals(cheap:receive(), "one")
    lu.assertEquals({ cheap:filter "netstring" }, { true })
    lu.assertEquals(cheap:receive(), "two")
    lu.assertEquals(cheap:receive(3), "xyz")
    lu.assertEquals(cheap:receive(), "three")
    lu.assertEquals(cheap:receive "line", "a")
    lu.assertEquals({ cheap:input_filter "line" }, { true })
    lu.assertEquals(cheap:receive(), "b")
    cheap:send "x" -- still a netstring
    lu.assertEquals(select(3, cheap:receive()), "EOF")
  end)
end

function cases.Y14_filter_complains_at_the_scripts_line()
  dialogue.run(function(session)
    local cheap, echo = open "echo"
    local other = session:connect(HOST, echo:port())
    for _, one in ipairs { cheap, other } do
      local function wrong() local ok = one:filter "nonsense" return ok end
      lu.assertStrContains(dialogue.raises("nonsense", wrong),
        ("test-co-receiving.lua:%d: "):format(debug.getinfo(wrong, "S").linedefined))
    end
    other:reset()
  end)
end

---------------------------------------------------------------- all

for name, program in each_way "first\r\nlast\r\nrest" do
  cases["Y15_all_is_what_comes_up_to_the_end_" .. name] = function()
    dialogue.run(function()
      local cheap = open(program .. "; close")
      lu.assertEquals({ cheap:receive "all" }, { "first\r\nlast\r\nrest" })
      lu.assertEquals({ cheap:receive() }, { nil, "end of file", "EOF", "" })
      cheap = open(program .. "; close")
      lu.assertEquals(cheap:receive(), "first")
      lu.assertEquals({ cheap:receive { "all" } }, { "last\r\nrest" })
    end)
  end
end

function cases.Y15_all_of_a_connection_that_is_reset_is_shown_only()
  dialogue.run(function()
    local cheap = open 'send "ab\\n"; recv line; rst'
    cheap:send "go"
    lu.assertEquals({ cheap:receive "all" }, { nil, RST_ERROR, "ECONNRESET", "ab\n" })
  end)
end

function cases.Y15_all_within_a_time()
  dialogue.run(function()
    local cheap, one = open 'send "ab\\nc"; wait go; send "d\\n"; close'
    local got, _, errname, partial = cheap:receive("all", 0.1)
    lu.assertEquals({ got, errname, partial }, { nil, "ETIME", "ab\nc" })
    lu.assertEquals(cheap:receive(), "ab")
    one:go "go"
    lu.assertEquals(cheap:receive "all", "cd\n")
  end)
end

function cases.Y16_more_than_max_length_is_still_there()
  dialogue.run(function()
    local cheap = open "prng 3 200000; close"
    local bytes = peer.prng(3, 200000)
    local got, message, errname, partial = cheap:receive { "all", max_length = 50000 }
    lu.assertEquals({ got, message, errname }, { nil, "more than 50000 bytes", "ETOOLONG" })
    lu.assertTrue(#partial > 50000 and partial == bytes:sub(1, #partial))
    lu.assertTrue(cheap:receive(1000) == bytes:sub(1, 1000))
    lu.assertTrue(cheap:receive { "all", max_length = 199000 } == bytes:sub(1001))
  end)
end

---------------------------------------------------------------- ends

for name, program in each_way "first\r\nlast\r\nrest" do
  cases["Y17_the_end_of_file_comes_behind_the_lines_" .. name] = function()
    dialogue.run(function()
      local cheap = open(program .. "; close")
      local END = { nil, "end of file", "EOF", "rest" }
      lu.assertEquals({ cheap:receive() }, { "first" })
      co.sleep(0.02)
      lu.assertEquals({ cheap:receive() }, { "last" })
      lu.assertEquals({ cheap:receive() }, END)
      lu.assertEquals({ cheap:receive() }, END)
      lu.assertEquals({ cheap:receive(3) }, END)
      lu.assertEquals({ cheap:receive "netstring" }, END)
    end)
  end
end

local function receive_up_to_a_reset(program)
  dialogue.run(function()
    for _, late in ipairs { false, true } do
      local cheap, one = open("recv 4; " .. program .. "; mark sent; rst")
      local END = { nil, RST_ERROR, "ECONNRESET", "rest" }
      cheap:send "go"
      if late then
        dialogue.wait_for(function() return one:marks "sent" == 1 end)
        support.ending(one, 1)
        co.sleep(0.05)
      end
      lu.assertEquals({ cheap:receive() }, { "first" })
      lu.assertEquals({ cheap:receive() }, { "last" })
      lu.assertEquals({ cheap:receive() }, END)
      lu.assertEquals({ cheap:receive() }, END)
    end
  end)
end

function cases.Y18_a_reset_comes_behind_the_lines_and_is_no_end_of_file()
  receive_up_to_a_reset 'send "first\r\nlast\r\nrest"'
end

function cases.Y18_a_reset_comes_behind_lines_that_came_byte_by_byte()
  receive_up_to_a_reset 'dribble "first\r\nlast\r\nrest" 200'
end

---------------------------------------------------------------- times

function cases.Y19_the_waits_own_time_changes_nothing()
  dialogue.run(function()
    local cheap, one = open 'wait go; send "later\\n"; count'
    local began = tcpmulti.now()
    lu.assertEquals({ cheap:receive(nil, 0.1) }, { nil, "nothing received for 0.1 s", "ETIME", "" })
    support.at(tcpmulti.now() - began, 0.1)
    lu.assertEquals(cheap:phase(), "open")
    one:go "go"
    lu.assertEquals({ cheap:receive(nil, 5) }, { "later" })
  end)
end

function cases.Y20_half_a_line_is_shown_and_stays()
  dialogue.run(function()
    local cheap, one = open 'send "half a li"; wait go; send "ne\\n"; count'
    dialogue.wait_for(function() return select(4, cheap:receive(nil, 0.02)) == "half a li" end)
    lu.assertEquals(select(4, cheap:receive(nil, 0)), "half a li")
    one:go "go"
    lu.assertEquals(cheap:receive(), "half a line")
  end)
end

function cases.Y21_bytes_that_did_not_suffice_are_in_the_next()
  dialogue.run(function()
    local cheap, one = open 'send "abc"; wait go; send "de\\nfgh\\n"; count'
    dialogue.wait_for(function() return select(4, cheap:receive(5, 0.02)) == "abc" end)
    one:go "go"
    lu.assertEquals(cheap:receive(5), "abcde")
    lu.assertEquals({ cheap:receive(10, 0.02) },
      { nil, "nothing received for 0.02 s", "ETIME", "\nfgh\n" })
    lu.assertEquals(cheap:receive(), "")
    lu.assertEquals(cheap:receive(), "fgh")
  end)
end

function cases.Y21_bytes_that_were_not_received_are_no_record_of_another_filter()
  dialogue.run(function()
    local cheap, one = open 'send "abc"; wait go; send "de\\n3:fgh,"; count'
    dialogue.wait_for(function() return select(4, cheap:receive(8, 0.02)) == "abc" end)
    lu.assertEquals({ cheap:filter "line" }, { true })
    one:go "go"
    lu.assertEquals(cheap:receive(), "abcde")
    lu.assertEquals({ cheap:filter "netstring" }, { true })
    lu.assertEquals(cheap:receive(), "fgh")
  end)
end

function cases.Y22_the_input_timeout_ends_the_connection()
  dialogue.run({ input_timeout = 0.2 }, function()
    local cheap = open "count"
    local began = tcpmulti.now()
    lu.assertEquals({ cheap:receive() }, { nil, "input timeout", "ETIMEDOUT", "" })
    support.at(tcpmulti.now() - began, 0.2)
    co.sleep(0)
    lu.assertEquals(select(3, cheap:send "x"), "ESTALE")
    lu.assertEquals({ cheap:receive() }, { nil, "input timeout", "ETIMEDOUT", "" })
  end)
end

function cases.Y23_the_input_timeout_stands_still_while_nobody_receives()
  dialogue.run({ input_timeout = 0.5 }, function()
    local cheap = open "echo"
    co.sleep(1)
    cheap:send "x"
    lu.assertEquals(cheap:receive(), "x")
    co.sleep(0.7)
    lu.assertEquals(select(3, cheap:receive(nil, 0.1)), "ETIME")
    lu.assertEquals(select(3, cheap:receive(nil, 0.1)), "ETIME")
    lu.assertEquals(cheap:phase(), "open")
  end)
end

function cases.Y24_the_deadline_ends_it_whatever_comes()
  dialogue.run(function()
    local cheap, began = open 'loop 0; send "x\\n"; sleep 20; end', tcpmulti.now()
    cheap:deadline(0.2)
    local count = 0
    while true do
      local record, message, errname = cheap:receive()
      if not record then
        lu.assertEquals({ message, errname }, { "deadline", "ETIMEDOUT" })
        break
      end
      count = count + 1
    end
    support.at(tcpmulti.now() - began, 0.2)
    lu.assertTrue(count > 0)
  end)
end

---------------------------------------------------------------- errors of filters

function cases.Y25_a_line_too_long()
  dialogue.run({ filter = { "line", max_length = 1000 } }, function()
    local cheap = open 'send "one\\n"; sendn 5000 "x"; count'
    lu.assertEquals(cheap:receive(), "one")
    local record, _, errname = cheap:receive()
    lu.assertEquals({ record, errname }, { nil, "ETOOLONG" })
  end)
end

function cases.Y26_garbage_where_netstrings_are_expected()
  dialogue.run({ filter = "netstring" }, function()
    local cheap = open 'send "3:abc,garbage"; count'
    lu.assertEquals(cheap:receive(), "abc")
    local record, _, errname = cheap:receive()
    lu.assertEquals({ record, errname }, { nil, "EFILTER" })
  end)
end

function cases.Y26_a_filter_that_raises_is_told_to_on_exception()
  local told
  local raising = tcpmulti.filters.map(function(line)
    if line == "bad" then error "no such thing" end
    return line
  end)
  dialogue.run({
    filter = tcpmulti.filters.stack { tcpmulti.filters.line(), raising },
    on_exception = function(_, message) told = message end,
  }, function()
    local cheap = open 'send "good\\nbad\\n"; count'
    lu.assertEquals(cheap:receive(), "good")
    local record, _, errname = cheap:receive()
    lu.assertEquals({ record, errname }, { nil, "EFILTER" })
  end)
  lu.assertStrContains(told, "no such thing")
end

---------------------------------------------------------------- one reader

function cases.Y27_a_second_reader_raises_and_the_first_is_undisturbed()
  dialogue.run(function()
    local cheap, one = open 'wait go; send "x\\n"; count'
    local got
    local first = co.spawn(function() got = cheap:receive() end)
    first.name = "first"
    co.sleep(0)
    local function second() local record = cheap:receive() return record end
    lu.assertStrMatches(dialogue.raises("busy: task 'first' waits to receive", second),
      (".*test%%-co%%-receiving.lua:%d: receive: connection %%d+ is busy: .*"):format(
        debug.getinfo(second, "S").linedefined))
    dialogue.raises("busy: task 'first' waits to receive", cheap.expect, cheap, "x")
    dialogue.raises("busy: task 'first' waits to receive", cheap.receive, cheap, "all")
    one:go "go"
    first:join()
    lu.assertEquals(got, "x")
  end)
end

function cases.Y28_after_shutdown_there_is_nothing_more()
  dialogue.run(function()
    local cheap = open 'send "one\\ntwo\\n"; count'
    lu.assertEquals(cheap:receive(), "one")
    cheap:shutdown()
    lu.assertEquals({ cheap:receive() }, { nil, "it was shut down", "ESHUTDOWN", "two\n" })
  end)
end

function cases.Y28_neither_after_reset_and_die()
  local session = dialogue.run(function(session)
    local cheap = open "count"
    cheap:reset()
    lu.assertEquals({ cheap:receive() }, { nil, "it was shut down", "ESHUTDOWN", "" })
    local other = support.session {}
    cheap = try(other:open(HOST, support.peer("count"):port()))
    other:die()
    lu.assertEquals({ cheap:receive() }, { nil, "session is dying", "ESHUTDOWN", "" })
    lu.assertEquals({ other:open(HOST, 1) }, { nil, "session is dying", "ESHUTDOWN" })
    lu.assertEquals({ session:count() }, { 0, 0 })
  end)
  lu.assertEquals({ session:count() }, { 0, 0 })
end

---------------------------------------------------------------- records

function cases.Y29_records_end_at_the_end_of_file()
  dialogue.run(function()
    local cheap, got = open 'send "a\\nb\\n"; send "c\\n"; close', {}
    for line in cheap:records() do got[#got + 1] = line end
    lu.assertEquals(got, { "a", "b", "c" })
    cheap, got = open 'send "abcdef"; close', {}
    for piece in cheap:records(2) do got[#got + 1] = piece end
    lu.assertEquals(got, { "ab", "cd", "ef" })
  end)
end

function cases.Y30_another_end_is_raised_as_a_failure()
  dialogue.run(function()
    for ending, expected in pairs {
      ["recv line; rst"] = { nil, RST_ERROR, "ECONNRESET" },
      ["recv line; close"] = { nil, "end of file", "EOF" }, -- with a rest
    } do
      local cheap, got = open('send "a\\nb\\nrest"; ' .. ending), {}
      cheap:send "go"
      local ok, err = pcall(function()
        for line in cheap:records() do got[#got + 1] = line end
      end)
      lu.assertFalse(ok)
      lu.assertEquals(got, { "a", "b" })
      lu.assertEquals({ co.failure(err) }, expected)
      lu.assertEquals(err.partial, "rest")
    end
    local cheap = open "count"
    local all = co.protect(function()
      for _ in cheap:records(nil, 0.02) do lu.fail "a record" end
    end)
    lu.assertEquals(select(3, all()), "ETIME")
  end)
end

---------------------------------------------------------------- where a task can wait

function cases.Y31_a_wait_that_cannot_be_raises_and_changes_nothing()
  dialogue.run(function()
    local cheap = open 'send "one\\n"; count'
    local function receive() return (cheap:receive()) end
    dialogue.raises("only in the task's own coroutine", coroutine.wrap(receive))
    dialogue.raises("cannot wait inside a C function", string.gsub, "x", "x", receive)
    dialogue.raises("cannot wait inside a C function", table.sort, { 1, 2 }, receive)
    lu.assertEquals(cheap:phase(), "open")
    lu.assertEquals(receive(), "one")
  end)
end

function cases.Y31_outside_of_a_task_nothing_waits()
  dialogue.raises("sleep: only in a task; session:spawn(f) starts one", co.sleep, 0)
  dialogue.raises("open: only in a task", co.open, HOST, 80)
  local raised
  dialogue.run({
    on_initialize = function(cheap)
      raised = raised or dialogue.raises("sleep: ", co.sleep, 0)
      dialogue.raises("belongs to its handlers", function() cheap:receive() end)
    end,
  }, function() lu.assertEquals(open('send "x\\n"; count'):receive(), "x") end)
  lu.assertTrue(raised ~= nil)
end

function cases.Y31_pcall_iterators_and_metamethods_are_no_obstacle()
  dialogue.run(function()
    local cheap = open 'send "1\\n2\\n3\\n4\\n5\\n"; close'
    local through = setmetatable({}, {
      __index = function() return cheap:receive() end,
      __add = function(_, number) return cheap:receive() + number end,
      __call = function() return cheap:receive() end,
    })
    lu.assertEquals({ pcall(function() return through.key end) }, { true, "1" })
    lu.assertEquals(through + 10, 12)
    lu.assertEquals(through(), "3")
    local got = {}
    for line in function() return (cheap:receive()) end do got[#got + 1] = line end
    lu.assertEquals(got, { "4", "5" })
  end)
end

function cases.Y32_neither_in_a_filter_nor_in_a_state_that_is_called_nor_in_require()
  local cheap, in_filter
  local filter = tcpmulti.filters.map(function(line)
    in_filter = in_filter or { pcall(co.sleep, 0) }
    return line
  end)
  dialogue.run({
    filter = tcpmulti.filters.stack { tcpmulti.filters.line(), filter },
    inline_states = { wait = function() co.sleep(0) end },
  }, function(session)
    cheap = open 'send "one\\ntwo\\n"; count'
    package.preload.waits_while_it_loads = function() co.sleep(0) end
    dialogue.raises("sleep: ", require, "waits_while_it_loads")
    package.preload.waits_while_it_loads = nil
    dialogue.raises("sleep: ", session.call, session, "wait")
    lu.assertEquals(cheap:receive(), "one")
    lu.assertFalse(in_filter[1])
    lu.assertStrContains(in_filter[2], "sleep: ")
    lu.assertEquals(cheap:receive(), "two")
  end)
end

---------------------------------------------------------------- turns, ends that nobody looks at

function cases.Y33_records_that_are_there_cost_no_turn()
  dialogue.run(function()
    local cheap, one = open(('send "%s"; mark sent; count'):format(("x\\n"):rep(2000)))
    local turns = 0
    co.daemon(function()
      while true do
        co.sleep(0)
        turns = turns + 1
      end
    end)
    dialogue.wait_for(function() return one:marks "sent" == 1 end)
    lu.assertEquals(cheap:receive(), "x")
    turns = 0
    for _ = 1, 500 do lu.assertEquals(cheap:receive(), "x") end
    lu.assertEquals(turns, 0)
  end)
end

function cases.Y34_an_ended_connection_answers_a_thousand_times_then_raises()
  dialogue.run(function()
    local cheap, count = open 'send "x\\n"; close', 0
    lu.assertEquals(cheap:receive(), "x")
    dialogue.raises("has ended (end of file) and was used 1000 times", function()
      while true do
        local record, _, errname = cheap:receive()
        lu.assertEquals({ record, errname }, { nil, "EOF" })
        count = count + 1
      end
    end)
    lu.assertEquals(count, 1000)
  end)
end

function cases.Y35_pause_and_resume_by_hand_lose_nothing()
  dialogue.run(function()
    local cheap = open 'loop 300; send "a\\nb\\n"; end; dribble "c\\nd\\ne\\n" 500; close'
    local got, seed = {}, 4711
    local function random(most)
      seed = (seed * 1103515245 + 12345) % 2147483648
      return math.floor(seed / 65536) % most + 1
    end
    local fates = {
      function() cheap:pause() end,
      function() cheap:resume() end,
      function()
        cheap:pause()
        cheap:resume()
      end,
      function() co.sleep(random(2) == 1 and 0 or 0.001) end,
    }
    fates[#fates + 1] = function() -- a record that comes in no time counts too
      local record = cheap:receive(nil, 0)
      if record then got[#got + 1] = record end
    end
    local meddler = co.daemon(function()
      while true do
        fates[random(3)]()
        co.sleep(random(3) == 1 and 0.001 or 0)
      end
    end)
    while true do
      for _ = 1, random(3) do fates[random(#fates)]() end
      local record, _, errname = cheap:receive()
      if not record then
        lu.assertEquals(errname, "EOF")
        break
      end
      got[#got + 1] = record
    end
    meddler:cancel()
    lu.assertEquals(table.concat(got), ("ab"):rep(300) .. "cde")
  end, 30)
end

support.main(cases)
