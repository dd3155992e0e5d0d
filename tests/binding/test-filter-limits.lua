-- SPDX-License-Identifier: MIT
-- What filters do about lengths: what length_codec is given and may answer; what is too long says
-- so; and nothing costs more than its bytes, however they come.
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "FilterLimits"
local HOST = "127.0.0.1"

-- What decode is given of the bytes that are there: few, so that each is looked at a few times.
function cases.a_length_codec_sees_64_bytes_then_twice_as_many()
  local sizes
  local function filter(length, max_length)
    sizes = {}
    return tcpmulti.filters.block({ max_length = max_length, length_codec = { tostring,
      function(bytes)
        sizes[#sizes + 1] = #bytes
        if #bytes >= length then return 0, length end
      end } }):clone()
  end
  local one = filter(1000)
  one:feed(("x"):rep(3000))
  lu.assertEquals(one:get_one(), "")
  lu.assertEquals(sizes, { 64, 128, 256, 512, 1024 })
  lu.assertEquals(one:pending(), ("x"):rep(2000))
  one = filter(1000)
  for _, size in ipairs { 10, 60, 5, 625, 299 } do
    one:feed(("x"):rep(size))
    lu.assertIsNil((one:get_one()))
  end
  lu.assertEquals(sizes, { 10, 64, 70, 75, 150, 300, 600, 700, 999 })
  one:feed "x"
  lu.assertEquals(one:get_one(), "")
  lu.assertEquals(sizes[#sizes], 1000)
  one = filter(5000, 100) -- no length within max_length
  one:feed(("x"):rep(1000))
  lu.assertEquals({ one:get_one() }, { nil, "no length in the first 100 bytes", "ETOOLONG" })
  lu.assertEquals(sizes, { 64, 100 })
  one = filter(4, 1) -- a header may be longer than the records
  one:feed "12345678"
  lu.assertEquals({ one:get_one(), one:get_one() }, { "", "" })
end

function cases.a_length_codecs_impossible_lengths_end_the_connection()
  local rows = { { 0, 0 }, { -1, 1 }, { 1, -1 }, { 1.5, 1 }, { 1, 0.5 }, { 0 / 0, 1 }, { 1, 0 / 0 },
    { 1, 1 / 0 }, { "4", 1 }, { 4, "1" }, { 4 }, { false, 1 }, { {}, 1 }, { 1, 1e9 } }
  for number, row in ipairs(rows) do
    local session, log = support.record {
      input_timeout = 5,
      filter = { "block", length_codec = { tostring, function() return row[1], row[2] end } },
    }
    session:connect(HOST, support.peer('send "abcdef"; count'):port())
    support.run()
    lu.assertEquals(log:list(),
      { "initialize", "success", "error filter EFILTER", "disconnected error" }, "row " .. number)
  end
  for _, length in ipairs { 1 / 0, 2 ^ 60, 16777217 } do
    local filter = { "block", length_codec = { tostring, function() return length, 1 end } }
    local session, log = support.record { filter = filter, input_timeout = 5 }
    session:connect(HOST, support.peer('send "abcdef"; count'):port())
    support.run()
    lu.assertEquals(log[3], "error filter ETOOLONG")
  end
end

-- Seconds of this process's own time that f takes.
local function cost(f)
  local started = os.clock()
  f()
  return os.clock() - started
end

-- Twice as much may cost twice as much: four times is allowed, for a machine with other work.
local function assert_linear(what, work, size)
  work(size)
  local once, twice = 1 / 0, 1 / 0
  for _ = 1, 3 do
    once = math.min(once, cost(function() work(size) end))
    twice = math.min(twice, cost(function() work(4 * size) end))
  end
  lu.assertIsTrue(twice < 16 * once + 0.05,
    ("%s: %.3f s, and four times as much %.3f s"):format(what, once, twice))
end

function cases.long_and_many_records_cost_what_their_bytes_cost()
  local filters = tcpmulti.filters
  local decimal = {
    function(length) return length .. ":" end,
    function(bytes)
      local digits = bytes:match "^(%d+):"
      if digits then return tonumber(digits), #digits + 1 end
    end,
  }
  local codec = filters.block { length_codec = decimal }
  assert_linear("a long record, byte by byte", function(size)
    local one, bytes = codec:clone(), size .. ":" .. ("x"):rep(size)
    for i = 1, #bytes do
      one:feed(bytes:sub(i, i))
      local record = one:get_one()
      lu.assertIsTrue((record ~= nil) == (i == #bytes))
    end
  end, 50000)
  assert_linear("many records at once", function(size)
    local one, count = codec:clone(), 0
    one:feed(("3:abc0:"):rep(size))
    while one:get_one() do count = count + 1 end
    lu.assertEquals(count, 2 * size)
  end, 20000)
  assert_linear("a length that never comes, byte by byte", function(size)
    local one = filters.block({ length_codec = { tostring, function() end } }):clone()
    for _ = 1, size do
      one:feed "x"
      lu.assertIsNil((one:get_one()))
    end
  end, 40000)
  assert_linear("what a stack puts", function(size)
    local records = {}
    for i = 1, size do records[i] = "r" end
    local same = filters.map(tostring, tostring)
    local one = filters.stack({ "line", same, filters.record_block(2) }):clone()
    one:put(records)
  end, 30000)
  assert_linear("what a stack gets", function(size)
    local one = filters.stack({ "line", filters.grep(function(r) return r ~= "" end),
      filters.map(function(r) return r, r end), filters.record_block(4) }):clone()
    one:feed(("\nab\n"):rep(size))
    while one:get_one() do end
    one:feed(("x"):rep(100))
    for _ = 1, size do
      one:feed "\n"
      one:get_one()
    end
  end, 20000)
end

function cases.what_is_too_long_says_how_long_and_the_limit()
  local filters = tcpmulti.filters
  local codec = { tostring, function() return 101, 1 end }
  local rows = {
    { { "line", max_length = 5 }, "123456789", "a line is longer than 5 bytes" },
    { { "netstring", max_length = 10 }, "11:",
      "a netstring of length 11 or more, the limit is 10" },
    { { "block", length = "u8", max_length = 9 }, "\12", "a length of 12, the limit is 9" },
    { { "block", length = "ascii0", max_length = 50 }, "6000",
      "a length of at least 60, the limit is 50" },
    { { "block", length_codec = codec, max_length = 100 }, "x",
      "a length of 101, the limit is 100" },
  }
  for _, row in ipairs(rows) do
    for _, spec in ipairs { row[1], { "stack", row[1] } } do
      local texts = {}
      local session = support.session {
        filter = spec,
        on_error = function(_, _, number, text) texts[#texts + 1] = { number, text } end,
      }
      local hex = row[2]:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
      session:connect(HOST, support.peer("sendhex " .. hex .. "; count"):port())
      support.run()
      lu.assertEquals(texts, { { 20002, row[3] } })
    end
  end
  lu.assertEquals({ filters.stack({ { "line", max_length = 3 } }):clone():get_one() }, {})
end

function cases.what_is_too_long_to_be_sent_says_how_long_and_the_limit()
  local seen = {}
  local session = support.session {
    filter = "stream", max_queued = 1048576,
    on_success = function(cheap)
      local piece = ("x"):rep(65536)
      while cheap:queued() <= 1048576 - 65536 do lu.assertTrue(cheap:send(piece)) end
      local queued = cheap:queued()
      for i, records in ipairs { { piece }, { piece, piece } } do
        local ok, message, errname = cheap:send(unpack(records))
        seen[i] = { ok, errname }
        lu.assertEquals(message, ("%d bytes to send, %d are queued, max_queued is 1048576"):format(
          i * 65536, queued))
      end
      cheap:filter("block", { length = "u8" })
      seen[3] = { cheap:send(("x"):rep(300)) }
      seen[4] = { cheap:send("x", ("x"):rep(300)) }
      cheap:reset()
    end,
  }
  session:connect(HOST, support.peer("freeze", { rcvbuf = 4096 }):port())
  support.run()
  lu.assertEquals(seen, { { nil, "ENOBUFS" }, { nil, "ENOBUFS" },
    { nil, "a record of 300 bytes: more than the filter's length field can say", "EMSGSIZE" },
    { nil, "records of 301 bytes: more than the filter's length field can say", "EMSGSIZE" } })
end

-- Records that end inside of small pieces, of which many come.
function cases.a_length_codec_joins_no_piece_that_is_gone()
  local function decode(bytes) return tonumber(bytes:sub(1, 1)), 1 end
  local one = tcpmulti.filters.block({ length_codec = { tostring, decode } }):clone()
  local stream, got = ("4abcd0"):rep(4000), 0
  for at = 1, #stream, 5 do
    one:feed(stream:sub(at, at + 4))
    for record in function() return one:get_one() end do got = got + #record + 1 end
  end
  lu.assertEquals(got, #stream)
end

support.main(cases)
