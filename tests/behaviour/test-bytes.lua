-- SPDX-License-Identifier: MIT
-- Every byte is accounted for (FAULTS V01, I02, I19-I22, I30): what a graceful end promised arrives
-- whole, what a hard end cut is a prefix, and floods of any shape neither stall nor grow memory.

local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"

local cases = support.cases "Bytes"
local HOST = "127.0.0.1"
local MIB = 1048576

-- Numbers that look random and are the same in every run.
local function generator(seed)
  return function(n)
    seed = (seed * 16807) % 2147483647
    return seed % n + 1
  end
end

function cases.V01_a_graceful_end_delivers_all_and_a_hard_one_a_prefix()
  local random = generator(11)
  local sink = support.peer("recv all", { keep = 300000, rcvbuf = 16384 })
  local ends = { "shutdown", "shutdown", "die", "reset", "fail", "output" }
  local by_port, ended = {}, 0
  local session, dying
  local function send_piece(cheap)
    local from = cheap.sent + 1
    local to = math.min(#cheap.bytes, cheap.sent + random(40000))
    if from <= to then
      lu.assertTrue(cheap:send(cheap.bytes:sub(from, to)))
      cheap.sent = to
    end
    return to == #cheap.bytes
  end
  local function finish(cheap)
    if cheap.over then return end
    cheap.over = true
    if cheap.how == "die" then
      cheap.how = "shutdown" -- the last of them lets the whole session die
      dying.left = dying.left - 1
      if dying.left == 0 then dying.session:die() end
    elseif cheap.how == "output" then
      cheap:shutdown "output"
    elseif cheap.how == "fail" then
      cheap:fail "enough"
    else
      cheap[cheap.how](cheap)
    end
  end
  local options = {
    filter = "stream", flushed = true,
    on_success = function(cheap)
      local _, port = cheap:sock()
      by_port[port] = cheap
      for _ = 1, random(4) do send_piece(cheap) end
    end,
    on_flushed = function(cheap)
      if cheap:phase() ~= "open" or cheap.over then return end
      if (cheap.how == "reset" or cheap.how == "fail") and cheap.sent > #cheap.bytes / 2 then
        return finish(cheap)
      end
      if send_piece(cheap) then finish(cheap) end
    end,
    on_disconnected = function() ended = ended + 1 end,
  }
  local function connect(to, how)
    local bytes = peer.prng(random(1000000), random(200000))
    to:connect({ bytes = bytes, sent = 0, how = how }, HOST, sink:port())
  end
  local log, dying_log
  session, log = support.record(options)
  dying = { left = 0 }
  dying.session, dying_log = support.record(options)
  for i = 1, 120 do
    local how = ends[i % #ends + 1]
    if how == "die" then dying.left = dying.left + 1 end
    connect(how == "die" and dying.session or session, how)
  end
  support.run(30)
  log:check_grammar()
  dying_log:check_grammar()
  lu.assertEquals(ended, 120)
  lu.assertTrue(sink:ended(120))
  local whole, cut = 0, 0
  for i = 1, 120 do
    local seen = sink:connection(i)
    local cheap = by_port[seen.port]
    if cheap.how == "reset" or cheap.how == "fail" then
      cut = cut + 1
      lu.assertEquals(seen.stop, "reset")
      lu.assertTrue(seen.content == cheap.bytes:sub(1, #seen.content), "no prefix")
    else
      whole = whole + 1
      lu.assertEquals(seen.stop, "eof")
      lu.assertTrue(seen.content == cheap.bytes, "not all of it")
    end
  end
  lu.assertEquals({ whole, cut }, { 80, 40 })
end

function cases.V01_echoed_streams_come_back_equal()
  local random = generator(12)
  local echo = support.swarm("echo", 8)
  local equal, ended = 0, 0
  local session = support.session {
    filter = "stream",
    on_success = function(cheap)
      local at = 1
      while at <= #cheap.bytes do
        local to = at + random(9000)
        cheap:send(cheap.bytes:sub(at, to))
        at = to + 1
      end
    end,
    on_input = function(cheap, bytes)
      cheap.parts[#cheap.parts + 1] = bytes
      cheap.got = cheap.got + #bytes
      if cheap.got == #cheap.bytes then
        if table.concat(cheap.parts) == cheap.bytes then equal = equal + 1 end
        cheap:shutdown()
      end
    end,
    on_disconnected = function() ended = ended + 1 end,
  }
  for i = 1, 200 do
    local heap = { bytes = peer.prng(i, random(100000)), got = 0, parts = {} }
    session:connect(heap, "127.0.0." .. i % 8 + 1, echo:port())
  end
  support.run(30)
  lu.assertEquals({ equal, ended }, { 200, 200 })
end

function cases.I19_five_hundred_dribbled_lines_are_as_many_records()
  local log = support.meet('loop 500; dribble "ab\\r\\n" 0; end; close',
    { short = true }, { seconds = 20 })
  lu.assertEquals(#log.inputs, 500)
  for _, record in ipairs(log.inputs) do lu.assertEquals(record, "ab") end
  lu.assertEquals(log[#log], "disconnected eof")
end

function cases.I21_a_line_without_an_end_is_an_error_and_no_growth()
  local flood = support.peer 'sendn 64m "x"; close'
  local most = 0
  local session, log
  session, log = support.record {
    on_error = function() most = session:stats().held end,
  }
  session:connect(HOST, flood:port())
  support.run(20)
  lu.assertEquals(log:list(),
    { "initialize", "success", "error filter ETOOLONG", "disconnected error" })
  support.within(most, 0, 4 * 65536, "bytes held")
end

-- A state that yields itself runs once a turn: so many turns did the records take.
function cases.I22_a_megabyte_of_line_ends_is_a_million_records_in_many_turns()
  local ends = support.peer 'sendn 1m "\\n"; close'
  local records, longest, turns = 0, 0, 0
  local session
  session = support.session {
    on_input = function(_, record)
      records = records + 1
      longest = math.max(longest, #record)
      if records == 1 then session:yield "turn" end
    end,
    inline_states = {
      turn = function(s)
        turns = turns + 1
        if records < MIB then s:yield "turn" end
      end,
    },
  }
  session:connect(HOST, ends:port())
  support.run(30)
  lu.assertEquals({ records, longest }, { MIB, 0 })
  support.within(turns, 50, MIB, "turns")
end

function cases.I30_a_peer_that_blasts_and_does_not_read_stops_nothing()
  local deaf = support.peer("blast 8m; wait heard; count", { rcvbuf = 4096 })
  local received = 0
  local session, log = support.record {
    filter = "stream", short = true,
    on_success = function(cheap) cheap:send(("x"):rep(16 * MIB)) end,
    on_input = function(cheap, bytes)
      received = received + #bytes
      if received == 8 * MIB then
        lu.assertTrue(cheap:queued() > 0)
        deaf:go "heard"
        cheap:shutdown()
      end
    end,
  }
  session:connect(HOST, deaf:port())
  support.run(30)
  lu.assertEquals(received, 8 * MIB)
  lu.assertEquals(log[#log], "disconnected shutdown")
  lu.assertEquals(support.ending(deaf, 1), "eof")
  lu.assertEquals(deaf:report().received, 16 * MIB)
end

support.main(cases)
