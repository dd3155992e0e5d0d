-- SPDX-License-Identifier: MIT
-- How a task sends: write, which waits while the queue is full, and close.

local co = require "tcpmulti.co"
local dialogue = require "behaviour.dialogue"
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "CoSending"
local open, try = dialogue.open, co.try
local MIB = 1048576

local function fill(cheap, bytes)
  while true do
    local ok, message, errname = cheap:write(("x"):rep(bytes))
    if not ok then return ok, message, errname end
  end
end

function cases.Y36_sixteen_mebibytes_to_a_slow_peer_all_arrive()
  local high, most = 65536, 0
  dialogue.run({ high_mark = high, low_mark = 8192, filter = "stream" }, function()
    local cheap, one = open("sleep 200; count", { rcvbuf = 65536 })
    local piece = ("z"):rep(65536)
    for _ = 1, 256 do
      lu.assertEquals({ cheap:write(piece) }, { true })
      most = math.max(most, cheap:queued())
    end
    lu.assertEquals({ cheap:close() }, { true })
    lu.assertEquals(support.ending(one, 1), "eof")
    lu.assertEquals(one:connection(1).received, 16 * MIB)
  end, 30)
  support.within(most, 1, high + 65536, "queued bytes")
end

-- Such a connection has events of its own from the start; those of the session change later.
function cases.Y36_a_connection_with_handlers_of_its_own_waits_for_room_too()
  dialogue.run({ high_mark = 65536, low_mark = 8192, filter = "stream" }, function()
    local one = support.peer("sleep 50; count", { rcvbuf = 65536 })
    local cheap = co.try(co.open {
      remote_address = dialogue.HOST,
      remote_port = one:port(),
      on_secure = function() end,
    })
    for _ = 1, 64 do lu.assertEquals({ cheap:write(("z"):rep(65536)) }, { true }) end
    lu.assertEquals({ cheap:close() }, { true })
    lu.assertEquals(support.ending(one, 1), "eof")
    lu.assertEquals(one:connection(1).received, 4 * MIB)
  end, 30)
end

function cases.Y37_a_peer_that_never_reads_under_a_deadline()
  dialogue.run({ high_mark = 65536, filter = "stream" }, function()
    local cheap, began = open("freeze", { rcvbuf = 4096 }), tcpmulti.now()
    lu.assertEquals({ co.deadline(0.2, fill, cheap, MIB) }, { nil, "timed out", "ETIME" })
    support.at(tcpmulti.now() - began, 0.2)
    lu.assertEquals(cheap:phase(), "open")
    cheap:reset()
  end)
end

function cases.Y38_two_tasks_write_and_each_call_is_whole()
  dialogue.run({ filter = "stream", high_mark = 20000, low_mark = 1000 }, function()
    local cheap, one = open("sleep 50; recv all", { rcvbuf = 4096, keep = 2 * MIB })
    local function writer(letter)
      return function()
        for _ = 1, 100 do try(cheap:write((letter):rep(5000), (letter):rep(3999), "\n")) end
        return true
      end
    end
    try(co.all { writer "a", writer "b" })
    lu.assertEquals({ cheap:close() }, { true })
    lu.assertEquals(support.ending(one, 1), "eof")
    local counts = { a = 0, b = 0 }
    for line in one:connection(1).content:gmatch "[^\n]+" do
      local letter = line:sub(1, 1)
      lu.assertTrue(line == letter:rep(8999))
      counts[letter] = counts[letter] + 1
    end
    lu.assertEquals(counts, { a = 100, b = 100 })
  end, 30)
end

function cases.Y39_the_connection_breaks_while_write_waits_and_a_task_reads()
  dialogue.run({ filter = "stream", high_mark = 20000 }, function()
    local cheap, one = open("wait go; rst", { rcvbuf = 4096 })
    local reader = co.spawn(function() return select(3, cheap:receive()) end)
    co.daemon(function()
      co.sleep(0.05)
      one:go "go"
    end)
    local ok, message, errname = fill(cheap, MIB)
    lu.assertNil(ok)
    lu.assertEquals(errname, "ECONNRESET")
    lu.assertStrContains(message, "Connection reset by peer")
    lu.assertEquals(reader:join(), "ECONNRESET")
    cheap = open("freeze", { rcvbuf = 4096 })
    co.daemon(function()
      co.sleep(0.05)
      cheap:fail "enough"
    end)
    lu.assertEquals({ fill(cheap, MIB) }, { nil, "fail: enough", "EPROTO" })
  end)
end

function cases.Y39_the_connection_breaks_while_write_waits_and_nobody_reads()
  dialogue.run({ filter = "stream", high_mark = 20000 }, function()
    local cheap, one = open('send "hello"; wait go; rst', { rcvbuf = 4096 })
    co.daemon(function()
      co.sleep(0.05)
      one:go "go"
    end)
    local ok, message, errname = fill(cheap, MIB)
    lu.assertNil(ok)
    lu.assertEquals(errname, "ECONNRESET")
    lu.assertStrContains(message, "Connection reset by peer")
  end)
end

function cases.Y39_what_comes_while_write_waits_is_there_to_be_received()
  dialogue.run({ filter = "line", high_mark = 20000, low_mark = 1000 }, function()
    local cheap = open('send "one\\ntwo\\n"; sleep 100; recv all', { rcvbuf = 4096 })
    lu.assertEquals({ cheap:write(("x"):rep(4 * MIB)) }, { true })
    lu.assertEquals({ cheap:receive(), cheap:receive() }, { "one", "two" })
    lu.assertEquals({ cheap:close() }, { true })
  end, 30)
end

function cases.Y39_write_after_shutdown_and_after_the_end()
  dialogue.run(function()
    local cheap = open "count"
    lu.assertEquals({ cheap:write "x" }, { true })
    cheap:shutdown()
    lu.assertEquals({ cheap:write "x" }, { nil, "shutting down", "ESHUTDOWN" })
    lu.assertEquals(select(3, cheap:receive()), "ESHUTDOWN")
    lu.assertEquals(select(3, cheap:write "x"), "ESHUTDOWN")
    local function wrong() local ok = open("count"):write(true) return ok end
    lu.assertStrContains(dialogue.raises("", wrong),
      ("test-co-sending.lua:%d: "):format(debug.getinfo(wrong, "S").linedefined))
  end)
end

function cases.Y40_a_tight_loop_of_writes_leaves_others_their_turn()
  dialogue.run({ filter = "stream" }, function()
    local cheap, turns = open "count", 0
    co.daemon(function()
      while true do
        co.sleep(0)
        turns = turns + 1
      end
    end)
    local piece = ("x"):rep(1024)
    for _ = 1, 4096 do try(cheap:write(piece)) end
    lu.assertTrue(turns >= 8, turns)
  end)
end

function cases.Y41_one_task_reads_while_another_writes()
  dialogue.run({ filter = "stream", high_mark = 65536 }, function()
    local cheap = open "echo"
    local sent, got = 0, 0
    local writer = co.spawn(function()
      for _ = 1, 200 do
        try(cheap:write(("w"):rep(10000)))
        sent = sent + 10000
      end
    end)
    while got < 2000000 do
      local piece = try(cheap:receive())
      got = got + #piece
    end
    writer:join()
    lu.assertEquals({ sent, got }, { 2000000, 2000000 })
  end)
end

function cases.Y42_close_is_true_when_all_was_sent()
  dialogue.run({ filter = "stream" }, function()
    local cheap, one = open "count"
    try(cheap:write(("q"):rep(3 * MIB)))
    lu.assertEquals({ cheap:close() }, { true })
    lu.assertEquals(select(3, cheap:send "x"), "ESTALE")
    lu.assertEquals({ cheap:close() }, { true })
    lu.assertEquals(support.ending(one, 1), "eof")
    lu.assertEquals(one:connection(1).received, 3 * MIB)
  end)
end

function cases.Y43_close_to_a_peer_that_never_reads()
  dialogue.run({ filter = "stream", shutdown_timeout = 0.2 }, function()
    local cheap = open("freeze", { rcvbuf = 4096 })
    cheap:send(("q"):rep(8 * MIB))
    lu.assertEquals({ cheap:close() }, { nil, "shutdown timeout", "ETIMEDOUT", "" })
    lu.assertEquals({ cheap:close() }, { nil, "shutdown timeout", "ETIMEDOUT", "" })
  end)
end

function cases.Y44_the_time_of_close_is_over_and_the_closing_goes_on()
  dialogue.run({ filter = "stream", shutdown_timeout = 0.3 }, function()
    local cheap = open("freeze", { rcvbuf = 4096 })
    cheap:send(("q"):rep(8 * MIB))
    lu.assertEquals({ cheap:close(0.05) }, { nil, "not closed within 0.05 s", "ETIME" })
    lu.assertEquals(cheap:phase(), "shutting")
    lu.assertEquals(select(3, cheap:close()), "ETIMEDOUT")
  end)
end

function cases.Y45_our_half_is_shut_and_the_rest_of_the_peer_comes()
  dialogue.run(function()
    local cheap, one = open 'recv all; send "a\\nb\\n"; close'
    cheap:send "12345"
    lu.assertEquals({ cheap:shutdown "output" }, { true })
    lu.assertEquals(cheap:receive(), "a")
    lu.assertEquals(cheap:receive(), "b")
    lu.assertEquals({ cheap:receive() }, { nil, "end of file", "EOF", "" })
    lu.assertEquals(one:connection(1).content, "12345\r\n")
  end)
end

support.main(cases)
