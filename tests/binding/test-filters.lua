-- SPDX-License-Identifier: MIT
-- Filters written in Lua: an MQTT-like one, records of any type, what a filter may refuse or raise,
-- and calls of the library from inside of one.
local lu = require "luaunit"
local support = require "behaviour.support"
local own = require "binding.own_filters"
local tcpmulti = require "tcpmulti"

local cases = support.cases "Filters"
local HOST = "127.0.0.1"

---------------------------------------------------------------- an MQTT-like filter

function cases.X20_an_mqtt_like_filter_with_records_that_are_tables()
  local got = {}
  local session = support.session {
    filter = own.mqtt(),
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
  local filter = own.mqtt()
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

-- Bytes as records, one read after the other, with this behind each record.
local function counting_filter(behind, counts)
  local filter, held = {}, nil
  function filter.clone() return counting_filter(behind, counts) end
  function filter.feed(_, bytes) held = (held or "") .. bytes end
  function filter.get_one()
    counts.asked = counts.asked + 1
    local record = held
    held = nil
    if record then return record, behind end
  end
  return filter
end

function cases.X20_false_behind_a_record_says_that_none_follows_yet()
  for behind, expected in pairs { [false] = 1, [true] = 2, other = 2 } do
    local counts, got, first = { asked = 0 }, {}, nil
    local session = support.session {
      input_filter = counting_filter(behind, counts),
      on_input = function(cheap, bytes)
        got[#got + 1] = bytes
        if got[2] then return cheap:shutdown() end
        cheap:delay(function() first = counts.asked; cheap:send "go" end, 0)
      end,
    }
    session:connect(HOST, support.peer 'send "abc"; recv line; send "de"':port())
    support.run()
    lu.assertEquals(first, expected)
    lu.assertEquals(got, { "abc", "de" })
  end
end

---------------------------------------------------------------- refusals and raises

function cases.bad_input_ends_its_connection_alone_with_the_filters_message()
  local errors = {}
  local session, log = support.record {
    on_success = function(cheap)
      if cheap.bad then
        cheap:input_filter(own.stream { get_one = function() return nil, "not my protocol" end })
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
    filter = own.mqtt(),
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
    return own.stream { [method] = function() error("raised in " .. method) end }
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
    filter = own.stream { put = function() error "no put" end },
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
  local filter = own.stream {
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
    filter = own.mqtt(),
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
    filter = own.mqtt(),
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
    filter = own.mqtt(),
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
        own.stream { clone = function() error "no clone today" end })
      lu.assertErrorMsgContains("must return a table", cheap.filter, cheap,
        own.stream { clone = function() return 5 end })
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

-- A finalizer of the script runs where memory is asked for, in send too. Without the compiler: with
-- it, Debian 12's LuaJIT may loop for ever where a finalizer has loops of its own.
function cases.a_finalizer_may_change_the_filter_in_the_middle_of_a_send()
  local inside, within, sent = false, 0, 0
  local pause, multiplier = collectgarbage("setpause", 100), collectgarbage("setstepmul", 110)
  require("jit").off()
  require("jit").flush()
  support.finally(function()
    require("jit").on()
    collectgarbage("setpause", pause)
    collectgarbage("setstepmul", multiplier)
  end)
  local session = support.session {
    filter = own.stream {},
    on_success = function(cheap)
      local function finalize()
        if not inside then return end
        within = within + 1
        cheap:filter(within % 2 == 0 and own.stream {} or "stream")
      end
      for i = 1, 5000 do
        for _ = 1, 2 do getmetatable(newproxy(true)).__gc = finalize end
        inside = true
        if cheap:send("a", i, "b") then sent = sent + 1 end
        inside = false
      end
      cheap:reset()
    end,
  }
  session:connect(HOST, support.peer("count"):port())
  support.run()
  lu.assertEquals(sent, 5000)
  lu.assertTrue(within > 100)
end

function cases.clones_are_made_per_connection_of_an_unused_object()
  local clones = 0
  local template = own.stream {}
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

support.main(cases)
