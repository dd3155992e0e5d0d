-- SPDX-License-Identifier: MIT
-- Filters by name and by hand: what a specification must be, built-in filters on bytes from
-- anywhere, and filters made of functions and of other filters.
local lu = require "luaunit"
local support = require "behaviour.support"
local own = require "binding.own_filters"
local tcpmulti = require "tcpmulti"

local cases = support.cases "FilterKinds"
local HOST = "127.0.0.1"

---------------------------------------------------------------- specifications

function cases.X14_what_is_no_filter_raises_by_name()
  local object = own.stream {}
  object.put = nil
  local rows = {
    { { "lines" }, "unknown filter 'lines' (did you mean 'line'?)" },
    { { "block" }, "give one of block_size, length and length_codec" },
    { { "block", { block_size = 0 } }, "block_size must be a whole number" },
    { { "block", { block_size = 4, length = "u8" } }, "give one of" },
    { { "block", { length = "u7" } }, "length must be 'ascii0' or" },
    { { "block", { length = "u8", offset = 2 } }, "offset needs header = true" },
    { { "block", { block_size = 4, header = true } }, "block_size is all" },
    { { "block", { length_codec = { print } } }, "encode and decode" },
    { { "line", { literal = "" } }, "literal must be a string that is not empty" },
    { { "line", { literal = "|", input_literal = "x" } }, "literal is for both directions" },
    { { "line", { ends = "cr" } }, "ends must be 'any' or 'auto' or 'lf'" },
    { { "line", { ends = "lf", literal = "|" } }, "exclude each other" },
    { { "line", { max_lenght = 5 } }, "did you mean 'max_length'" },
    { { "line", 5 }, "the options of line must be a table" },
    { { "stream", { max_length = 5 } }, "unknown option 'max_length'" },
    { { { "line", 5 } }, "options of 'line' have names" },
    { { {} }, "neither { name" },
    { { 5 }, "a filter expected" },
    { { print }, "a filter expected" },
    { { object }, "no method 'put'" },
    { { "map" }, "get or put is missing" },
    { { "map", { get = 5 } }, "get must be a function" },
    { { "grep", { code = print, get = print } }, "code is for both directions" },
    { { "record_block" }, "block_size is missing" },
    { { { "stack", "line", "nothing" } }, "unknown filter 'nothing'" },
    { { { "stack", nil, "line" } }, "filter 1 of 2 is nil (a misspelt name?)" },
    { { { "stack", "line", nil, nil, "line" } }, "filter 2 of 4 is nil" },
    { { "stack", { filters = { "line", [3] = "line" } } }, "filter 2 of 3 is nil" },
    { { "stack", { filters = { "line", line = "line" } } }, "a list of filters has no key 'line'" },
    { { { "stack", "line", [0] = "line" } }, "a list of filters has no key -1" },
  }
  local tried = 0
  local session, log = support.record {
    on_success = function(cheap)
      for _, row in ipairs(rows) do
        lu.assertErrorMsgContains(row[2], cheap.filter, cheap, row[1][1], row[1][2])
        tried = tried + 1
      end
      cheap:input_filter(object)
      cheap:filter "line"
      cheap:send "alive"
    end,
    on_input = function(cheap) cheap:shutdown() end,
  }
  session:connect(HOST, support.peer("echo"):port())
  support.run()
  lu.assertEquals(tried, #rows)
  lu.assertEquals(log[#log - 1], "input alive")
  lu.assertErrorMsgContains("filter: unknown filter", tcpmulti.create, { filter = "nothing" })
  lu.assertErrorMsgContains("input_filter", tcpmulti.create, { input_filter = 7 })
  session = support.session()
  lu.assertErrorMsgContains("unknown filter", session.connect, session,
    { remote_address = HOST, remote_port = 1, filter = "nothing" })
end

-- All records of a filter by hand, fed in pieces.
local function decode(filter, stream, step)
  local one, records = filter:clone(), {}
  for at = 1, #stream, step or #stream do
    one:feed(stream:sub(at, at + (step or #stream) - 1))
    while true do
      local record, message = one:get_one()
      if record == nil then
        if message then records[#records + 1] = "error: " .. message end
        break
      end
      records[#records + 1] = record
    end
  end
  return records, one
end

function cases.built_in_filters_work_by_hand()
  local filters = tcpmulti.filters
  lu.assertEquals(decode(filters.line(), "a\r\nb\nc", 1), { "a", "b" })
  local records, one = decode(filters.netstring(), "5:hello,3:a")
  lu.assertEquals({ records, one:pending() }, { { "hello" }, "3:a" })
  lu.assertEquals(one:put "abc", "3:abc,")
  lu.assertEquals(decode(filters.block { length = "u16be" }, "\0\3abc\0\0\0\1x", 2),
    { "abc", "", "x" })
  lu.assertEquals(decode(filters.netstring(), "x"), { "error: input does not fit the filter" })
  lu.assertEquals({ one:put {} }, { nil, "a string expected, not a table" })
  lu.assertErrorMsgContains("filter expected", one.feed, {}, "x")
  lu.assertEquals(one:clone():pending(), "")
end

function cases.X16_a_length_codec_reads_and_writes_headers()
  local codec = {
    function(length) return ("%04x"):format(length) end,
    function(bytes)
      if #bytes < 4 then return nil end
      local length = tonumber(bytes:sub(1, 4), 16)
      if not length then return nil, "no hexadecimal length" end
      return length, 4
    end,
  }
  local filter = tcpmulti.filters.block { length_codec = codec, max_length = 100 }
  lu.assertEquals(filter:clone():put "hello", "0005hello")
  for step = 1, 9 do
    lu.assertEquals(decode(filter, "0005hello00000001x00", step), { "hello", "", "x" })
  end
  lu.assertEquals(decode(filter, "wxyz"), { "error: no hexadecimal length" })
  lu.assertEquals(decode(filter, "0065"), { "error: a length of 101, the limit is 100" })
  local with_header = tcpmulti.filters.block { length_codec = codec, header = true }
  lu.assertEquals(decode(with_header, "0002hi0001x"), { "0002hi", "0001x" })
  lu.assertEquals(with_header:clone():put "0002hi", "0002hi")
  local _, one = decode(filter, "0005hel")
  lu.assertEquals(one:pending(), "0005hel")
  local mad = tcpmulti.filters.block { length_codec = { codec[1], function() return -1, 0 end } }
  lu.assertEquals(decode(mad, "x"), { "error: decode gave an impossible length" })
end

function cases.X22_map_and_grep()
  local filters = tcpmulti.filters
  local double = filters.map(function(r) if r ~= "skip" then return r, r:upper() end end,
    function(r) return "<" .. r .. ">" end)
  local one = double:clone()
  for _, record in ipairs { "a", "skip", "b" } do one:feed(record) end
  local got = {}
  for record in function() return one:get_one() end do got[#got + 1] = record end
  lu.assertEquals(got, { "a", "A", "b", "B" })
  lu.assertEquals(one:put "x", "<x>")
  local odd = filters.grep { get = function(r) return #r % 2 == 1 end }
  one = odd:clone()
  for _, record in ipairs { "a", "bb", "ccc" } do one:feed(record) end
  lu.assertEquals({ one:get_one(), one:get_one(), (one:get_one()) }, { "a", "ccc" })
  lu.assertEquals(one:put "anything", "anything")
  lu.assertEquals(filters.grep(nil, function() return false end):clone():put "x", "")
end

function cases.X23_stacks_of_both_kinds_put_and_get()
  local filters = tcpmulti.filters
  local spec = { "stack", { "line", ends = "lf" },
    { "grep", get = function(r) return r ~= "" end },
    { "map", get = string.upper, put = string.lower },
    { "record_block", block_size = 2 } }
  local got = {}
  local session = support.session {
    filter = spec,
    on_success = function(cheap)
      lu.assertTrue(cheap:send({ "ONE", "TWO" }))
      lu.assertEquals({ cheap:send "no list" },
        { nil, "a list of records expected, not a string", "EFILTER" })
      lu.assertTrue(cheap:send({ "THREE" }, { "FOUR" }))
    end,
    on_input = function(cheap, list)
      got[#got + 1] = table.concat(list, "+")
      if #got == 2 then cheap:shutdown() end
    end,
  }
  session:connect(HOST, support.peer("echo"):port())
  support.run()
  lu.assertEquals(got, { "ONE+TWO", "THREE+FOUR" })
  lu.assertEquals(decode(filters.stack {}, "anything"), { "anything" })
  lu.assertEquals(decode(filters.stack { "line", filters.map(string.upper) }, "a\nb\n", 1),
    { "A", "B" })
  lu.assertErrorMsgContains("did you mean", filters.stack, { "lin" })
  lu.assertErrorMsgContains("filter 1 of 2 is nil", filters.stack, { nil, "line" })
end

-- More than fit on a stack of Lua's.
function cases.stacks_and_record_blocks_put_any_number_of_records()
  local filters, records, count = tcpmulti.filters, {}, 100000
  for i = 1, count do records[i] = "r" .. i end
  local text = table.concat(records, "\n") .. "\n"
  local lines = { "line", literal = "\n" }
  local lower = { "map", put = string.lower }
  local one = filters.stack({ lines, lower, filters.record_block(7) }):clone()
  lu.assertEquals(#one:put(records), #text)
  lu.assertIsTrue(one:put(records) == text)
  lu.assertIsTrue(filters.record_block(7):clone():put(records) == table.concat(records))
  local whole = filters.stack({ lines, filters.record_block(count) }):clone()
  whole:feed(text)
  local list = whole:get_one()
  lu.assertEquals({ #list, list[1], list[count] }, { count, "r1", "r" .. count })
  local many = filters.stack({ lines, filters.map(nil, function(r) return unpack(r, 1, 5000) end) })
  lu.assertEquals(#many:clone():put(records), #table.concat(records, "\n", 1, 5000) + 1)
  lu.assertEquals({ one:put { "a", nil, "c" } }, { nil, "record 2 of 3 is nil" })
  lu.assertEquals({ filters.record_block(2):clone():put { nil, "c" } },
    { nil, "record 1 of 2 is nil" })
end

-- What a finalizer does is for the collector; a script gets hold of it all the same.
function cases.finalizers_called_by_hand_with_anything_do_no_harm()
  local filter = tcpmulti.filters.line { max_length = 5 }
  local one = filter:clone()
  one:feed "a\nb"
  for _, object in ipairs { filter, one } do
    local collect = getmetatable(object).__gc
    for _, other in ipairs { 5, "x", {}, print, io.stdout, newproxy(true), newproxy(),
      coroutine.create(print) } do
      collect(other)
    end
    collect()
    collect(nil)
    collect(object == one and filter or one)
  end
  lu.assertEquals(one:get_one(), "a")
  one:__gc()
  one:__gc()
  lu.assertErrorMsgContains("filter expected", one.pending, one)
  lu.assertErrorMsgContains("filter expected", one.clone, one)
  filter:__gc()
  filter:__gc()
  lu.assertErrorMsgContains("filter expected", filter.clone, filter)
  lu.assertErrorMsgContains("a filter expected", tcpmulti.create, { filter = filter })
end

-- Whatever was given, by the session, the connect or a switch, can be set again.
function cases.the_filters_in_use_can_be_read()
  local object, peer = own.stream {}, support.peer 'send "5:hello,ab\n"; recv all'
  local records, ended = {}, nil
  local session = support.session {
    filter = "netstring",
    output_filter = object,
    on_success = function(cheap)
      local input, output = cheap:filter()
      lu.assertEquals(tostring(input), "tcpmulti filter netstring")
      lu.assertIs(output, object)
      lu.assertIs(cheap:output_filter(), object)
      cheap:filter "line"
      lu.assertEquals(tostring(cheap:output_filter()), "tcpmulti filter line")
      cheap:input_filter(object)
      lu.assertIs(cheap:input_filter(), object)
      cheap:input_filter(input)
      lu.assertEquals(tostring(cheap:input_filter()), "tcpmulti filter netstring")
      collectgarbage()
    end,
    on_input = function(cheap, record)
      records[#records + 1] = record
      if record == "hello" then cheap:filter "line" else cheap:shutdown() end
    end,
    on_disconnected = function(cheap)
      lu.assertEquals(tostring(cheap:input_filter()), "tcpmulti filter line")
      ended = cheap
    end,
  }
  session:connect(HOST, peer:port())
  support.run()
  lu.assertEquals(records, { "hello", "ab" })
  lu.assertEquals(select(3, ended:filter()), "ESTALE")
end

-- nil, message, errname of a filter in Lua; of the built-in ones below a stack too.
function cases.a_filter_may_name_its_error()
  local filters = tcpmulti.filters
  local function with(methods)
    local line = filters.line():clone()
    local object = { clone = function(self) return self end, feed = function() end,
      get_one = function() end, put = function(_, record) return line:put(record) end }
    for name, method in pairs(methods) do object[name] = method end
    return object
  end
  local encode_nothing = { function() end, function() return 0, 1 end }
  local rows = {
    { filters.stack { filters.line { max_length = 3 } }, "filter ETOOLONG" },
    { filters.block { length_codec = { tostring, function() return 99, 1 end }, max_length = 9 },
      "filter ETOOLONG" },
    { with { get_one = function() return nil, "bad", "EPROTO" end }, "filter EPROTO" },
    { with { get_one = function() return nil, "bad" end }, "filter EFILTER" },
    { with { get_one = function() return nil, "bad", "ENOSUCH" end }, "filter EFILTER" },
    { with { put = function() return nil, "bad", "EPERM" end }, "send EPERM" },
    { with { put = function() end }, "send EFILTER" },
    { filters.block { length_codec = encode_nothing }, "send EFILTER" },
  }
  for number, row in ipairs(rows) do
    local seen
    local session = support.session {
      filter = row[1],
      on_success = function(cheap)
        local ok, _, errname = cheap:send "long enough"
        if not ok then
          seen = "send " .. errname
          cheap:shutdown()
        end
      end,
      on_error = function(_, op, _, _, _, errname) seen = op .. " " .. errname end,
    }
    session:connect(HOST, support.peer("echo"):port())
    support.run()
    lu.assertEquals(seen, row[2], "row " .. number)
  end
end

function cases.record_block_checks_its_lists()
  local one = tcpmulti.filters.record_block(2, true):clone()
  lu.assertEquals({ one:put { "a" } }, { nil, "a list of 2 records expected, not of 1" })
  lu.assertEquals(one:put { "a", "b" }, "ab")
  lu.assertEquals({ one:put { "a", {} } }, { nil, "record 2 is a table, not a string" })
  one:feed "a"
  lu.assertIsNil((one:get_one()))
  lu.assertEquals(one:pending(), "a")
  one:feed "b"
  lu.assertEquals(one:get_one(), { "a", "b" })
end

-- Any stream, cut anywhere, gives the same records as uncut.
function cases.any_stream_cut_anywhere_gives_the_same_records()
  local filters, seed = tcpmulti.filters, os.time()
  math.randomseed(seed)
  local hex = {
    function(length) return ("%02x"):format(length) end,
    function(bytes)
      if #bytes < 2 then return nil end
      local length = tonumber(bytes:sub(1, 2), 16)
      if not length then return nil, "no length" end
      return length, 2
    end,
  }
  local rows = {
    { filters.line(), "ab\r\n" },
    { filters.line { ends = "auto" }, "ab\r\n" },
    { filters.netstring(), "1:a,2b" },
    { filters.block { length = "varint" }, "\0\1\2\128x" },
    { filters.block { length_codec = hex, max_length = 30 }, "0012af" },
    { own.mqtt(), "\16\0\2\1ab" },
    { filters.stack { "line", filters.grep(function(r) return r ~= "" end),
      filters.map(function(r) return r, r:upper() end), filters.record_block(3) }, "ab\r\n" },
  }
  local function flat(records)
    local list = {}
    for i, record in ipairs(records) do
      if type(record) == "table" then
        list[i] = record.body and record.type .. record.body or table.concat(record, "+")
      else
        list[i] = record
      end
      if list[i]:sub(1, 6) == "error:" then break end
    end
    return list
  end
  for number, row in ipairs(rows) do
    for _ = 1, 100 do
      local bytes = {}
      for i = 1, math.random(60) do
        local at = math.random(#row[2])
        bytes[i] = row[2]:sub(at, at)
      end
      local stream = table.concat(bytes)
      local whole = flat(decode(row[1], stream))
      lu.assertEquals(flat(decode(row[1], stream, 1)), whole,
        ("row %d, seed %d, %q"):format(number, seed, stream))
      lu.assertEquals(flat(decode(row[1], stream, math.random(#stream))), whole,
        ("row %d, seed %d, %q"):format(number, seed, stream))
    end
  end
end

support.main(cases)
