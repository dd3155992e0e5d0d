-- Filters written in Lua: an MQTT-like one, records of any type, what a filter may refuse or raise,
-- and calls of the library from inside of one. Built-in filters by hand, and stacks of both kinds.
local lu = require "luaunit"
local support = require "behaviour.support"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Filters"
local HOST = "127.0.0.1"

---------------------------------------------------------------- an MQTT-like filter

-- A byte of type, a varint of length, the body; records are tables.
local mqtt = {}
mqtt.__index = mqtt

function mqtt.new() return setmetatable({ buffer = "" }, mqtt) end
function mqtt.clone() return mqtt.new() end
function mqtt:feed(bytes) self.buffer = self.buffer .. bytes end
function mqtt:pending() return self.buffer end

function mqtt:get_one()
  local length, shift, at = 0, 1, 2
  repeat
    local byte = self.buffer:byte(at)
    if not byte then return nil end
    if at > 5 then return nil, "malformed remaining length" end
    length = length + byte % 128 * shift
    shift, at = shift * 128, at + 1
  until byte < 128
  if #self.buffer < at - 1 + length then return nil end
  local packet = { type = math.floor(self.buffer:byte(1) / 16),
    body = self.buffer:sub(at, at - 1 + length) }
  self.buffer = self.buffer:sub(at + length)
  return packet
end

function mqtt.put(_, packet)
  if packet.type > 15 then return nil, "no such packet type" end
  local length, bytes = #packet.body, { string.char(packet.type * 16) }
  repeat
    local byte = length % 128
    length = math.floor(length / 128)
    bytes[#bytes + 1] = string.char(length > 0 and byte + 128 or byte)
  until length == 0
  return table.concat(bytes) .. packet.body
end

function cases.X20_an_mqtt_like_filter_with_records_that_are_tables()
  local got = {}
  local session = support.session {
    filter = mqtt.new(),
    on_success = function(cheap)
      lu.assertTrue(cheap:send({ type = 1, body = "" }, { type = 3, body = ("x"):rep(300) }))
      lu.assertTrue(cheap:send { type = 14, body = "bye" })
    end,
    on_input = function(cheap, packet)
      got[#got + 1] = ("%d:%d"):format(packet.type, #packet.body)
      if packet.body == "bye" then cheap:shutdown() end
    end,
  }
  session:connect(HOST, support.peer("echo"):port())
  support.run()
  lu.assertEquals(got, { "1:0", "3:300", "14:3" })
end

function cases.X20_the_same_records_however_the_stream_is_cut()
  local filter = mqtt.new()
  local stream = ""
  for i = 1, 20 do stream = stream .. filter:put { type = i % 16, body = ("b"):rep(i * 17) } end
  local got, whole
  for _, step in ipairs { #stream, 1, 7, 100 } do
    got = {}
    local program = {}
    for at = 1, #stream, step do
      program[#program + 1] = "sendhex " .. stream:sub(at, at + step - 1):gsub(".", function(c)
        return ("%02x"):format(c:byte())
      end)
    end
    local session = support.session {
      filter = filter,
      on_input = function(_, packet) got[#got + 1] = packet.type .. ":" .. #packet.body end,
    }
    session:connect(HOST, support.peer(table.concat(program, "\n") .. "\nclose"):port())
    support.run()
    whole = whole or got
    lu.assertEquals(#got, 20)
    lu.assertEquals(got, whole)
  end
end

---------------------------------------------------------------- records of any value

-- Each byte is a record: the value of that name.
local values = { t = true, f = false, n = 42, s = "text", T = {}, F = print }
local function value_filter()
  local filter = { queue = "" }
  function filter.clone() return value_filter() end
  function filter:feed(bytes) self.queue = self.queue .. bytes end
  function filter:pending() return self.queue end
  function filter:get_one()
    local name = self.queue:sub(1, 1)
    if name == "" then return nil end
    self.queue = self.queue:sub(2)
    return values[name]
  end
  function filter.put(_, value)
    for name, known in pairs(values) do if known == value then return name end end
    return nil, "unknown value"
  end
  return filter
end

function cases.X20_a_record_is_any_value_but_nil()
  local got = {}
  local session = support.session {
    filter = value_filter(),
    on_success = function(cheap)
      lu.assertTrue(cheap:send(true, false, 42, "text", values.T, print))
      lu.assertErrorMsgContains("record 2 is nil", cheap.send, cheap, true, nil, true)
    end,
    on_input = function(cheap, value)
      got[#got + 1] = { value }
      if #got == 6 then cheap:shutdown() end
    end,
  }
  session:connect(HOST, support.peer("echo"):port())
  support.run()
  lu.assertEquals(#got, 6)
  lu.assertEquals({ got[1][1], got[2][1], got[3][1], got[4][1] }, { true, false, 42, "text" })
  lu.assertIs(got[5][1], values.T)
  lu.assertIs(got[6][1], print)
end

function cases.records_that_wait_while_paused_come_one_by_one()
  local got = {}
  local session = support.session {
    filter = value_filter(),
    on_input = function(cheap, value)
      got[#got + 1] = value
      cheap:pause()
      cheap:delay(function(_, c) c:resume() end, 0.001)
    end,
    on_error = function(_, op, _, text) got[#got + 1] = op .. " " .. text end,
  }
  session:connect(HOST, support.peer('send "nsns"; close'):port())
  support.run()
  lu.assertEquals(got, { 42, "text", 42, "text", "read EOF" })
end

---------------------------------------------------------------- refusals and raises

-- A stream filter whose methods can be replaced.
local function stream_filter(overrides)
  local filter = {}
  local function new()
    local one = { held = "" }
    function one.clone() return new() end
    function one:feed(bytes) self.held = self.held .. bytes end
    function one:get_one()
      if self.held == "" then return nil end
      local bytes = self.held
      self.held = ""
      return bytes
    end
    function one:pending() return self.held end
    function one.put(_, record) return record end
    for name, method in pairs(overrides) do one[name] = method end
    return one
  end
  for name, method in pairs(new()) do filter[name] = method end
  return filter
end

function cases.bad_input_ends_its_connection_alone_with_the_filters_message()
  local errors = {}
  local session, log = support.record {
    on_success = function(cheap)
      if cheap.bad then
        cheap:input_filter(stream_filter { get_one = function() return nil, "not my protocol" end })
      end
    end,
    on_error = function(cheap, op, number, text, _, name)
      if cheap.bad then errors[#errors + 1] = { op, number, text, name } end
    end,
  }
  session:connect({ bad = true }, HOST, support.peer('send "x"; count'):port())
  session:connect(HOST, support.peer('send "fine\\n"; close'):port())
  support.run()
  lu.assertEquals(errors[1][1], "filter")
  lu.assertEquals(errors[1][3], "not my protocol")
  lu.assertEquals(errors[1][4], "EFILTER")
  lu.assertEquals(errors[1][2], 20004)
  lu.assertEquals(log:count "disconnected error", 1)
  lu.assertEquals(log:count "input fine", 1)
end

function cases.a_put_that_refuses_fails_the_send_and_nothing_else()
  local result
  local session, log = support.record {
    filter = mqtt.new(),
    on_success = function(cheap)
      result = { cheap:send({ type = 1, body = "" }, { type = 99, body = "" }) }
      cheap:send { type = 2, body = "" }
    end,
    on_input = function(cheap) cheap:shutdown() end,
  }
  session:connect(HOST, support.peer("echo"):port())
  support.run()
  lu.assertEquals(result, { nil, "no such packet type", "EFILTER" })
  lu.assertEquals(log:count "input", 1)
  lu.assertEquals(log[#log], "disconnected shutdown")
end

for _, method in ipairs { "feed", "get_one", "put" } do
  local function raising()
    return stream_filter { [method] = function() error("raised in " .. method) end }
  end

  cases["X21_a_raise_in_" .. method .. "_is_told_to_on_exception_then_on_error"] = function()
    local seen = {}
    local session = support.session {
      filter = raising(),
      on_success = function(cheap)
        if method == "put" then
          local ok, message, errname = cheap:send "x"
          lu.assertEquals({ ok, errname }, { nil, "EFILTER" })
          lu.assertStrContains(message, "raised in put")
        end
      end,
      on_exception = function(_, message, cheap)
        lu.assertIsTable(cheap)
        lu.assertStrContains(message, "raised in " .. method)
        lu.assertStrContains(message, "stack traceback")
        seen[#seen + 1] = "exception"
      end,
      on_error = function(cheap, op, _, text, _, name)
        lu.assertStrContains(text, "raised in " .. method)
        lu.assertEquals((cheap:cause()), "filter")
        seen[#seen + 1] = ("error %s %s"):format(op, name)
      end,
      on_disconnected = function(_, _, reason) seen[#seen + 1] = reason end,
    }
    session:connect(HOST, support.peer('send "hello"; count'):port())
    support.run()
    lu.assertEquals(seen, { "exception", "error filter EFILTER", "error" })
  end

  cases["X21_a_raise_in_" .. method .. "_with_on_error_alone_is_no_fatal_error"] = function()
    local session, log = support.record {
      filter = raising(),
      on_success = function(cheap) cheap:send "x" end,
    }
    session:connect(HOST, support.peer('send "hello"; count'):port())
    support.run()
    lu.assertEquals(log:list(),
      { "initialize", "success", "error filter EFILTER", "disconnected error" })
  end

  cases["X21_a_raise_in_" .. method .. "_that_nobody_hears_of_is_fatal"] = function()
    local session = support.session {
      filter = raising(),
      on_success = function(cheap) cheap:send "x" end,
      on_input = function() end,
    }
    session:connect(HOST, support.peer('send "hello"; count'):port())
    local ok, message = pcall(support.run)
    lu.assertFalse(ok)
    lu.assertStrContains(message, "raised in " .. method)
  end
end

function cases.a_put_that_raises_before_success_is_a_failure_of_the_filter()
  local seen = {}
  local session = support.session {
    filter = stream_filter { put = function() error "no put" end },
    on_initialize = function(cheap) cheap:send "x" end,
    on_failure = function(_, op, _, _, _, name) seen[#seen + 1] = op .. " " .. name end,
    on_disconnected = function(_, _, reason) seen[#seen + 1] = reason end,
  }
  session:connect(HOST, support.peer("count"):port())
  support.run()
  lu.assertEquals(seen, { "filter EFILTER", "failure" })
end

function cases.the_library_is_busy_for_the_connection_of_a_running_filter()
  local results, other = {}, nil
  local current
  local filter = stream_filter {
    put = function(_, record)
      if record == "try" then
        results.send = { current:send "again" }
        results.shutdown = { current:shutdown() }
        results.filter = { current:filter "line" }
        results.pending = { current:pending() }
        results.die = { current:session():die() }
        results.reset = { tcpmulti.reset(current) }
        results.other = { other:send "from inside" }
      end
      return record
    end,
  }
  local sink = support.peer "recv all"
  local session, log = support.record {
    on_success = function(cheap)
      if cheap.filtered then
        current = cheap
        cheap:output_filter(filter)
        lu.assertTrue(cheap:send "try")
        other:shutdown()
        cheap:shutdown()
      end
    end,
  }
  other = support.session():connect(HOST, sink:port())
  session:connect({ filtered = true }, HOST, support.peer("count"):port())
  support.run()
  for name, result in pairs(results) do
    if name == "other" then
      lu.assertEquals(result, { true })
    else
      lu.assertEquals({ result[1], result[3] }, { nil, "EBUSY" }, name)
    end
  end
  lu.assertIsTable(results.die)
  lu.assertEquals(log[#log], "disconnected shutdown")
end

---------------------------------------------------------------- pending, unread, switching

function cases.pending_and_switching_ask_the_object()
  local seen = {}
  local session = support.session {
    filter = mqtt.new(),
    on_input = function(cheap, record)
      if type(record) == "table" then
        seen[#seen + 1] = record.body
        seen[#seen + 1] = cheap:pending()
        cheap:filter "line"
        seen[#seen + 1] = cheap:pending()
      else
        seen[#seen + 1] = record
      end
    end,
  }
  session:connect(HOST, support.peer('send "\\x10\\x02hi\\x20plain line\\r\\nrest"; close'):port())
  support.run()
  lu.assertEquals(seen, { "hi", " plain line\r\nrest", " plain line\r\nrest", " plain line" })
end

function cases.unread_puts_bytes_before_what_the_object_holds()
  local seen = {}
  local session = support.session {
    filter = mqtt.new(),
    on_input = function(cheap, packet)
      seen[#seen + 1] = packet.body
      if packet.body == "one" then cheap:unread "\16\3two" end
    end,
  }
  session:connect(HOST, support.peer('send "\\x10\\x03one\\x10\\x05three"; close'):port())
  support.run()
  lu.assertEquals(seen, { "one", "two", "three" })
end

function cases.a_record_held_at_eof_is_pending_in_error_and_disconnected()
  local seen = {}
  local session = support.session {
    filter = mqtt.new(),
    on_error = function(cheap) seen[1] = cheap:pending() end,
    on_disconnected = function(cheap) seen[2] = cheap:pending() end,
  }
  session:connect(HOST, support.peer('send "\\x10\\x05abc"; close'):port())
  support.run()
  -- without on_input the filter need not be asked; with or without, the bytes are there
  lu.assertEquals(seen, { "\16\5abc", "\16\5abc" })
end

function cases.a_clone_that_raises_leaves_the_connection_as_it_was()
  local seen
  local session = support.session {
    on_success = function(cheap)
      lu.assertErrorMsgContains("no clone today", cheap.filter, cheap,
        stream_filter { clone = function() error "no clone today" end })
      lu.assertErrorMsgContains("must return a table", cheap.filter, cheap,
        stream_filter { clone = function() return 5 end })
      cheap:send "still lines"
    end,
    on_input = function(cheap, record)
      seen = record
      cheap:shutdown()
    end,
  }
  session:connect(HOST, support.peer("echo"):port())
  support.run()
  lu.assertEquals(seen, "still lines")
end

function cases.clones_are_made_per_connection_of_an_unused_object()
  local clones = 0
  local template = stream_filter {}
  local clone = template.clone
  function template.clone(self)
    clones = clones + 1
    lu.assertIs(self, template)
    return clone(self)
  end
  local session = support.session {
    filter = template,
    on_success = function(cheap) cheap:filter(template) end,
  }
  for _ = 1, 3 do session:connect(HOST, support.peer("close"):port()) end
  support.run()
  lu.assertEquals(clones, 6)
  lu.assertEquals(template.held, "")
end

---------------------------------------------------------------- specifications

function cases.X14_what_is_no_filter_raises_by_name()
  local object = stream_filter {}
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
end

-- nil, message, errname of a filter in Lua; of the built-in ones below a stack too.
function cases.a_filter_may_name_its_error()
  local filters = tcpmulti.filters
  local function with(methods)
    local own = filters.line():clone()
    local object = { clone = function(self) return self end, feed = function() end,
      get_one = function() end, put = function(_, record) return own:put(record) end }
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
    { mqtt.new(), "\16\0\2\1ab" },
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
