-- SPDX-License-Identifier: MIT
-- BEHAVIOUR X1-X19: what the built-in filters cut and send, and switching between them.

local lu = require "luaunit"
local peer = require "peer"
local support = require "behaviour.support"

local cases = support.cases "Filters"
local HOST = "127.0.0.1"

-- Connects a session with these options to a peer, ends after so many records, gives the log.
local function records_of(program, options, count)
  local one = support.peer(program)
  local given = {}
  for key, value in pairs(options) do given[key] = value end
  local handler = given.on_input
  local log, session
  given.on_input = function(cheap, record, id)
    if handler then handler(cheap, record, id) end
    if count and #log.inputs >= count then cheap:shutdown() end
  end
  session, log = support.record(given)
  session:connect(HOST, one:port())
  support.run(30)
  log:check_grammar()
  return log, one
end

function cases.X1_lines_go_out_with_cr_lf()
  local sink = support.peer "recv all"
  local session = support.session {
    on_success = function(cheap)
      lu.assertTrue(cheap:send "x")
      lu.assertTrue(cheap:send "")
      lu.assertTrue(cheap:session():send(cheap:id(), "a", "b", "c"))
      cheap:shutdown()
    end,
  }
  session:connect(HOST, sink:port())
  support.run()
  lu.assertEquals(support.ending(sink, 1), "eof")
  lu.assertEquals(sink:connection(1).content, "x\r\n\r\na\r\nb\r\nc\r\n")
end

function cases.X2_lf_cr_lf_and_cr_all_end_a_line()
  local log = records_of('send "a\\nb\\r\\nc\\rd\\n\\re\\n"; count', {}, 6)
  lu.assertEquals(log:records(), { "a", "b", "c", "d", "", "e" })
end

function cases.X3_a_split_cr_lf_makes_no_phantom_line()
  local split = support.peer 'send "a\\r"; wait first; send "\\nb\\r\\n"; count'
  local session, log = support.record {
    on_input = function(cheap, record)
      if record == "a" then split:go "first" else cheap:shutdown() end
    end,
  }
  session:connect(HOST, split:port())
  support.run()
  lu.assertEquals(log:records(), { "a", "b" })
end

function cases.X3_the_lf_of_a_split_cr_lf_is_dropped_across_a_change_of_filter()
  local split = support.peer 'send "a\\r"; wait first; send "\\nbcd"; count'
  local session, log = support.record {
    on_input = function(cheap, record)
      if record == "a" then
        cheap:filter("block", { block_size = 3 })
        split:go "first"
      else
        cheap:shutdown()
      end
    end,
  }
  session:connect(HOST, split:port())
  support.run()
  lu.assertEquals(log:records(), { "a", "bcd" })
end

function cases.X3_twenty_thousand_echoed_lines_are_as_many_records()
  local echo = support.peer "echo"
  local received, wrong = 0, 0
  local session = support.session {
    on_success = function(cheap)
      for i = 1, 20000 do cheap:send("line " .. i) end
    end,
    on_input = function(cheap, record)
      received = received + 1
      if record ~= "line " .. received then wrong = wrong + 1 end
      if received == 20000 then
        cheap:delay("done", 0.2)
      end
    end,
    inline_states = { done = function(_, cheap) cheap:shutdown() end },
  }
  session:connect(HOST, echo:port())
  support.run(30)
  lu.assertEquals({ received, wrong }, { 20000, 0 })
end

function cases.X4_a_literal_ends_lines()
  local log = records_of('send "a|b|c\\r\\n|d"; close', { filter = { "line", Literal = "|" } })
  lu.assertEquals(log:records(), { "a", "b", "c\r\n" })
end

function cases.X4_a_literal_of_several_bytes_may_be_split()
  local log = records_of('dribble "one<>two<<>three<>" 1000; close',
    { filter = { "line", literal = "<>" } })
  lu.assertEquals(log:records(), { "one", "two<", "three" })
end

function cases.X5_a_filter_object_keeps_its_options_in_each_connection()
  local filters = require "tcpmulti".filters
  local one = support.peer 'send "abcdef"; close'
  local session, log = support.record { filter = filters.block { block_size = 3 } }
  session:connect(HOST, one:port())
  session:connect(HOST, one:port())
  support.run()
  table.sort(log.inputs)
  lu.assertEquals(log:records(), { "abc", "abc", "def", "def" })
end

function cases.X6_different_literals_in_and_out()
  local echo = support.peer "echo"
  local session, log
  session, log = support.record {
    filter = { "line", InputLiteral = "|", OutputLiteral = ";" },
    on_success = function(cheap) cheap:send("a|b", "c|d|") end,
    on_input = function(cheap) if #log.inputs == 2 then cheap:shutdown() end end,
  }
  session:connect(HOST, echo:port())
  support.run()
  lu.assertEquals(log:records(), { "a", "b;c" })
end

function cases.X6_different_filters_in_and_out()
  local echo = support.peer "echo"
  local session, log
  session, log = support.record {
    input_filter = { "line", literal = "|" },
    output_filter = { "line", literal = ";" },
    on_success = function(cheap) cheap:send("a|b", "c|d|") end,
    on_input = function(cheap) if #log.inputs == 2 then cheap:shutdown() end end,
  }
  session:connect(HOST, echo:port())
  support.run()
  lu.assertEquals(log:records(), { "a", "b;c" })
end

-- X7: four pieces, each sent when the one before has arrived.
local function in_pieces(options, expected)
  local pieces = support.peer(
    'send "a\\r"; wait one; send "\\nb\\r\\nc\\n"; wait two; send "d\\r\\n"; close')
  local session, log = support.record(options)
  session:connect(HOST, pieces:port())
  support.when(function() return session:stats().received == 2 end, function() pieces:go "one" end)
  support.when(function() return session:stats().received == 8 end, function() pieces:go "two" end)
  support.run()
  lu.assertEquals(log:records(), expected)
end

function cases.X7_the_default_line_in_pieces()
  in_pieces({}, { "a", "b", "c", "d" })
end

function cases.X7_ends_auto_keeps_to_the_first_line_end()
  in_pieces({ filter = { "line", ends = "auto" } }, { "a", "b", "c\nd" })
end

function cases.X7_ends_lf_drops_one_cr()
  in_pieces({ filter = { "line", ends = "lf" } }, { "a", "b", "c", "d" })
  local log = records_of('send "a\\rb\\r\\r\\n\\n"; close', { filter = { "line", ends = "lf" } })
  lu.assertEquals(log:records(), { "a\rb\r", "" })
end

function cases.X8_max_length_ends_only_its_own_connection()
  local long = support.peer 'send "line1\\r\\n"; count'
  local short = support.peer 'send "abc\\r\\n"; wait go; send "def\\r\\n"; close'
  local session, log
  session, log = support.record {
    filter = { "line", max_length = 3 },
    on_disconnected = function(_, _, reason) if reason == "error" then short:go "go" end end,
  }
  local _, bad = session:connect(HOST, long:port())
  local _, good = session:connect(HOST, short:port())
  support.run()
  lu.assertEquals(log.of[bad].codes, "ISED")
  lu.assertEquals(log.of[bad][3], "error filter ETOOLONG")
  lu.assertEquals(log.of[bad][4], "disconnected error")
  lu.assertEquals(log.of[good].codes, "ISnnED")
  lu.assertEquals(log.of[good][5], "error read EOF")
  lu.assertEquals(support.ending(long, 1), "eof")
end

function cases.X9_max_length_holds_for_unfinished_lines()
  local log = support.meet('send "12345678"; count',
    { filter = { "line", MaxLength = 3 }, input_timeout = 5 })
  lu.assertEquals(log:list(),
    { "initialize", "success", "error filter ETOOLONG", "disconnected error" })
  support.within(log:time "error", 0, 2, "error")
end

function cases.X10_a_switch_from_line_to_block_in_a_burst()
  local log = records_of('send "GO\\r\\nABCD1234WXYZ56"; wait never', {
    on_input = function(cheap, record)
      if record == "GO" then cheap:input_filter("block", { BlockSize = 4 }) end
      if record == "WXYZ" then lu.assertEquals(cheap:pending(), "56") end
    end,
  }, 4)
  lu.assertEquals(log:records(), { "GO", "ABCD", "1234", "WXYZ" })
end

function cases.X10_blocks_go_on_over_the_next_segment()
  local burst = support.peer 'send "GO\\r\\nABCD1234WXYZ56"; wait more; send "78rest"; close'
  local session, log = support.record {
    on_input = function(cheap, record)
      if record == "GO" then cheap:input_filter("block", { block_size = 4 }) end
      if record == "WXYZ" then burst:go "more" end
    end,
  }
  session:connect(HOST, burst:port())
  support.run()
  lu.assertEquals(log:records(), { "GO", "ABCD", "1234", "WXYZ", "5678", "rest" })
end

function cases.X11_line_block_and_stream_in_one_chunk()
  local burst = support.peer 'send "GO\\r\\nABCD1234WXYZ56"; wait more; send "78rest"; close'
  local session, log = support.record {
    on_input = function(cheap, record)
      if record == "GO" then cheap:filter("block", { block_size = 4 }) end
      if record == "WXYZ" then cheap:filter "stream" end
      if record == "56" then burst:go "more" end
    end,
  }
  session:connect(HOST, burst:port())
  support.run()
  lu.assertEquals(log:records(), { "GO", "ABCD", "1234", "WXYZ", "56", "78rest" })
end

function cases.X12_a_filter_set_in_initialize_is_used()
  local log = records_of('send "abcdef"; close', {
    on_initialize = function(cheap) cheap:input_filter("block", { block_size = 2 }) end,
  })
  lu.assertEquals(log:records(), { "ab", "cd", "ef" })
  local sink = support.peer "recv all"
  local session = support.session {
    on_initialize = function(cheap)
      cheap:output_filter("line", { literal = "!" })
      cheap:send "early"
    end,
    on_success = function(cheap) cheap:shutdown() end,
  }
  session:connect(HOST, sink:port())
  support.run()
  lu.assertEquals(support.ending(sink, 1), "eof")
  lu.assertEquals(sink:connection(1).content, "early!")
end

function cases.X13_a_filter_object_is_accepted_by_filter()
  local filters = require "tcpmulti".filters
  local object = filters.line { literal = "|" }
  local log = records_of('send "a|b|"; close', {
    on_initialize = function(cheap) cheap:filter(object) end,
  })
  lu.assertEquals(log:records(), { "a", "b" })
  log = records_of('send "c|d|"; close', {
    on_success = function(cheap) cheap:input_filter(object) end,
  })
  lu.assertEquals(log:records(), { "c", "d" })
end

function cases.X14_an_unknown_filter_raises_where_it_is_named()
  local echo = support.peer "echo"
  local session, log = support.record {
    on_success = function(cheap)
      for _, bad in ipairs { "lime", { "block" }, { "line", litteral = "|" }, 5, {},
        { "block", block_size = 0 }, { "block", length = "u12" }, { "line", max_length = -1 } } do
        lu.assertFalse(pcall(cheap.filter, cheap, bad))
        lu.assertFalse(pcall(cheap.input_filter, cheap, bad))
        lu.assertFalse(pcall(cheap.output_filter, cheap, bad))
      end
      cheap:send "intact"
    end,
    on_input = function(cheap) cheap:shutdown() end,
  }
  session:connect(HOST, echo:port())
  support.run()
  lu.assertEquals(log:list(), { "initialize", "success", "input intact", "disconnected shutdown" })
  local ok, message = pcall(support.session, { filter = "lime" })
  lu.assertFalse(ok)
  lu.assertStrContains(message, "lime")
  ok, message = pcall(session.connect, support.session(),
    { remote_address = HOST, remote_port = 9, filter = "lime" })
  lu.assertFalse(ok)
  lu.assertStrContains(message, "lime")
end

function cases.X15_a_new_output_filter_leaves_queued_bytes_alone()
  local sink = support.peer("wait go; recv all", { rcvbuf = 4096, keep = 16 * 1048576 })
  local session = support.session {
    on_initialize = function(cheap) cheap:send "before success" end,
    on_success = function(cheap)
      cheap:send(("x"):rep(9 * 1048576))
      cheap:output_filter("line", { literal = "|" })
      cheap:send "with a bar"
      sink:go "go"
      cheap:shutdown()
    end,
  }
  session:connect(HOST, sink:port())
  support.run(20)
  lu.assertEquals(support.ending(sink, 1), "eof")
  local content = sink:connection(1).content
  lu.assertEquals(content:sub(1, 16), "before success\r\n")
  lu.assertEquals(content:sub(-14), "x\r\nwith a bar|")
  lu.assertEquals(#content, 16 + 9 * 1048576 + 2 + 11)
end

function cases.X16_a_length_codec_with_a_split_header_and_an_empty_block()
  local function encode(length)
    return string.char(math.floor(length / 2 ^ 24) % 256, math.floor(length / 2 ^ 16) % 256,
      math.floor(length / 256) % 256, length % 256)
  end
  local function decode(bytes)
    if #bytes < 4 then return nil end
    local a, b, c, d = bytes:byte(1, 4)
    return ((a * 256 + b) * 256 + c) * 256 + d, 4
  end
  for _, filter in ipairs { { "block", LengthCodec = { encode, decode } },
    { "block", length = "u32be" } } do
    local split = support.peer(
      'sendhex 0000; wait half; sendhex 0003 616263 00000000; wait empty; recv 9; mark got; close')
    local session, log
    session, log = support.record {
      filter = filter,
      on_input = function(cheap)
        if #log.inputs == 2 then
          cheap:send("", "x")
          split:go "empty"
        end
      end,
    }
    session:connect(HOST, split:port())
    support.when(function() return session:stats().received == 2 end,
      function() split:go "half" end)
    support.run()
    lu.assertEquals(log:records(), { "abc", "" })
    lu.assertEquals(split:connection(1).content, "\0\0\0\0\0\0\0\1x")
  end
end

function cases.X17_an_impossible_length_is_an_error_and_no_stall()
  local log = support.meet('send "12x3456789"; count',
    { filter = { "block", length = "ascii0" }, input_timeout = 5 })
  lu.assertEquals(log:list(),
    { "initialize", "success", "error filter EFILTER", "disconnected error" })
  support.within(log:time "error", 0, 2, "error")
end

function cases.X17_an_announced_length_over_the_limit_is_an_error_at_once()
  local log = support.meet('sendhex ffffffff; count',
    { filter = { "block", length = "u32be" }, input_timeout = 5 })
  lu.assertEquals(log:list(),
    { "initialize", "success", "error filter ETOOLONG", "disconnected error" })
end

function cases.X18_a_switch_after_a_block_prefix_gives_prefix_and_data_on()
  local prefix = support.peer 'sendhex 0005 6162; wait switched; sendhex 6364; close'
  local session, log = support.record { filter = { "block", length = "u16be" } }
  local cheap = session:connect(HOST, prefix:port())
  support.when(function() return session:stats().received == 4 end, function()
    lu.assertEquals(cheap:pending(), "\0\5ab")
    cheap:filter "stream"
    prefix:go "switched"
  end)
  support.run()
  lu.assertEquals(table.concat(log:records()), "\0\5abcd")
end

function cases.X19_five_megabytes_of_every_byte_come_back_equal()
  local echo = support.peer "echo"
  local parts = {}
  for i = 0, 255 do parts[#parts + 1] = string.char(i) end
  local bytes = table.concat(parts) .. peer.prng(19, 5 * 1048576 - 256)
  local got, length = {}, 0
  local session = support.session {
    filter = "stream",
    on_success = function(cheap) cheap:send(bytes) end,
    on_input = function(cheap, piece)
      got[#got + 1] = piece
      length = length + #piece
      if length == #bytes then cheap:shutdown() end
    end,
  }
  session:connect(HOST, echo:port())
  support.run(30)
  lu.assertEquals(peer.checksum(table.concat(got)), peer.checksum(bytes))
  lu.assertEquals(echo:connection(1).checksum, peer.checksum(bytes))
end

function cases.X19_a_nul_inside_a_line_is_kept()
  local log = records_of('send "a\\0b\\r\\n\\0\\r\\n"; close', {})
  lu.assertEquals(log:records(), { "a\0b", "\0" })
end

support.main(cases)
