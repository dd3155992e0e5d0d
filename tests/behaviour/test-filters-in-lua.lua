-- SPDX-License-Identifier: MIT
-- BEHAVIOUR X20-X25: filters written in Lua, the combinators, errors in filters, and what is left
-- at the end.

local lu = require "luaunit"
local support = require "behaviour.support"

local cases = support.cases "FiltersInLua"
local HOST = "127.0.0.1"

-- Records that end in a byte; in feed, get_one, put and pending as a user would write it.
local Ended = {}
Ended.__index = Ended

local function ended(byte)
  return setmetatable({ byte = byte, buffer = "" }, Ended)
end

function Ended:clone() return ended(self.byte) end
function Ended:feed(bytes) self.buffer = self.buffer .. bytes end
function Ended:pending() return self.buffer end
function Ended:put(record) return record .. self.byte end
function Ended:get_one()
  local at = self.buffer:find(self.byte, 1, true)
  if not at then return nil end
  local record = self.buffer:sub(1, at - 1)
  self.buffer = self.buffer:sub(at + 1)
  return record
end

function cases.X20_a_filter_written_in_lua_cuts_and_sends()
  local echo = support.peer "echo"
  local session, log
  session, log = support.record {
    filter = ended "%",
    on_success = function(cheap) cheap:send("one", "two", "", "three") end,
    on_input = function(cheap) if #log.inputs == 4 then cheap:shutdown() end end,
  }
  session:connect(HOST, echo:port())
  support.run()
  lu.assertEquals(log:records(), { "one", "two", "", "three" })
  lu.assertEquals(echo:report().received, #"one%two%%three%")
end

function cases.X20_switching_to_and_from_a_filter_in_lua_keeps_all_bytes()
  local log = support.meet('send "a%b%LINE\\r\\nc%rest"; close', {
    filter = ended "%",
    on_input = function(cheap, record)
      if record == "b" then cheap:input_filter "line" end
      if record == "LINE" then cheap:input_filter(ended "%") end
      if record == "c" then
        lu.assertEquals(cheap:pending(), "rest")
        cheap:input_filter "stream"
      end
    end,
  })
  lu.assertEquals(log:records(), { "a", "b", "LINE", "c", "rest" })
end

function cases.X20_records_may_be_any_value_but_nil()
  local numbers = {
    buffer = "",
    clone = function(self) return setmetatable({ buffer = "" }, { __index = self }) end,
    feed = function(self, bytes) self.buffer = self.buffer .. bytes end,
    pending = function(self) return self.buffer end,
    put = function(_, record) return ("%s "):format(tostring(record.value)) end,
    get_one = function(self)
      local word, rest = self.buffer:match "^(%S+) (.*)$"
      if not word then return nil end
      self.buffer = rest
      if word == "false" then return false end
      return tonumber(word) or { value = word }
    end,
  }
  local echo = support.peer "echo"
  local records = {}
  local session = support.session {
    filter = numbers,
    on_success = function(cheap)
      cheap:send({ value = 12 }, { value = false }, { value = "word" })
    end,
    on_input = function(cheap, record)
      records[#records + 1] = record
      if #records == 3 then cheap:shutdown() end
    end,
  }
  session:connect(HOST, echo:port())
  support.run()
  lu.assertEquals(records, { 12, false, { value = "word" } })
end

-- A line filter that raises, or complains, at a certain record.
local function treacherous(how)
  local filter = ended "\n"
  filter.clone = function() return treacherous(how) end
  filter.get_one = function(self)
    local record = Ended.get_one(self)
    if record == "bad" then
      if how == "raise" then error "cannot stand it" end
      return nil, "bad record"
    end
    return record
  end
  return filter
end

local function two_connections(options)
  local bad = support.peer 'send "good\\nbad\\nnever\\n"; count'
  local good = support.peer 'send "one\\n"; wait go; send "two\\n"; close'
  local disconnected = options.on_disconnected
  options.on_disconnected = function(cheap, id, reason)
    if reason == "error" then good:go "go" end
    if disconnected then disconnected(cheap, id, reason) end
  end
  local session, log = support.record(options)
  local _, bad_id = session:connect(HOST, bad:port())
  local _, good_id = session:connect(HOST, good:port())
  support.run()
  lu.assertEquals(log.of[good_id].codes, "ISnnED")
  lu.assertEquals(log.of[good_id][5], "error read EOF")
  lu.assertEquals(log.of[bad_id].codes, "ISnED")
  lu.assertEquals(log.of[bad_id][4], "error filter EFILTER")
  lu.assertEquals(log.of[bad_id][5], "disconnected error")
end

function cases.X21_a_complaint_of_a_filter_ends_its_connection_only()
  local message
  two_connections {
    filter = treacherous "complain",
    on_error = function(_, op, _, text) if op == "filter" then message = text end end,
  }
  lu.assertStrContains(message, "bad record")
end

function cases.X21_a_raise_in_a_filter_is_an_error_event()
  local message
  two_connections {
    filter = treacherous "raise",
    on_error = function(_, op, _, text) if op == "filter" then message = text end end,
  }
  lu.assertStrContains(message, "cannot stand it")
end

function cases.X21_a_raise_in_a_filter_goes_to_on_exception_first()
  local order = {}
  two_connections {
    filter = treacherous "raise",
    on_exception = function(_, message, cheap)
      lu.assertStrContains(message, "cannot stand it")
      lu.assertStrContains(message, "filters-in-lua.lua")
      lu.assertIsTable(cheap)
      order[#order + 1] = "exception"
    end,
    on_error = function(_, op) if op == "filter" then order[#order + 1] = "error" end end,
  }
  lu.assertEquals(order, { "exception", "error" })
end

function cases.X21_a_raise_with_nobody_to_hear_it_is_fatal()
  local bad = support.peer 'send "good\\nbad\\n"; count'
  local session = support.session { filter = treacherous "raise" }
  session:connect(HOST, bad:port())
  local ok, message = pcall(support.run)
  lu.assertFalse(ok)
  lu.assertStrContains(message, "cannot stand it")
  lu.assertEquals(support.ending(bad, 1), "reset")
end

function cases.X21_a_raise_in_put_ends_the_connection()
  local filter = ended "\n"
  filter.put = function() error "no way out" end
  filter.clone = function() return filter end
  local answer
  local log, silent = support.meet("count", {
    filter = filter,
    on_success = function(cheap) answer = { cheap:send "x" } end,
  })
  lu.assertNil(answer[1])
  lu.assertIsString(answer[2])
  lu.assertEquals(log:list(),
    { "initialize", "success", "error filter EFILTER", "disconnected error" })
  lu.assertEquals(silent:report().received, 0)
end

function cases.X22_map_that_gives_nil_skips_one_record_and_no_more()
  local lines = support.peer 'send "1\\r\\n2\\r\\n3\\r\\n"; wait got; close'
  local session, log
  session, log = support.record {
    filter = { "stack", "line", { "map", get = function(record)
      if record == "1" then return nil end
      return record .. "!"
    end } },
    on_input = function() if #log.inputs == 2 then lines:go "got" end end,
  }
  session:connect(HOST, lines:port())
  support.run()
  lu.assertEquals(log:records(), { "2!", "3!" })
end

function cases.X23_a_stack_of_line_grep_and_map()
  local echo = support.peer "echo"
  local session, log
  session, log = support.record {
    filter = { "stack", "line",
      { "grep", get = function(record) return record ~= "drop" end,
        put = function() return true end },
      { "map", get = function(record) return record:upper() end,
        put = function(record) return record:lower() end } },
    on_success = function(cheap) cheap:send("One", "DROP", "Two") end,
    on_input = function(cheap) if #log.inputs == 2 then cheap:shutdown() end end,
  }
  session:connect(HOST, echo:port())
  support.run()
  lu.assertEquals(log:records(), { "ONE", "TWO" })
  lu.assertEquals(echo:report().received, #"one\r\ndrop\r\ntwo\r\n")
end

function cases.X23_an_empty_stack_is_stream()
  local log = support.meet('send "as\\r\\nis"; close', { filter = { "stack" } })
  lu.assertEquals(table.concat(log:records()), "as\r\nis")
end

function cases.X23_a_stack_switched_away_keeps_what_it_had_not_used()
  local log = support.meet('send "a\\r\\nswitch\\r\\nb\\r\\nc"; close', {
    filter = { "stack", "line", { "map", get = function(record) return record end } },
    on_input = function(cheap, record)
      if record == "switch" then cheap:input_filter "stream" end
    end,
  })
  lu.assertEquals(log.inputs[1], "a")
  lu.assertEquals(log.inputs[2], "switch")
  lu.assertEquals(table.concat(log.inputs, "", 3), "b\r\nc")
end

function cases.X23_record_block_groups_records()
  local one = support.peer 'send "1\\r\\n2\\r\\n3\\r\\n4\\r\\n5\\r\\n"; close'
  local groups = {}
  local session = support.session {
    filter = { "stack", "line", { "record_block", block_size = 2 } },
    on_input = function(_, group) groups[#groups + 1] = group end,
  }
  session:connect(HOST, one:port())
  support.run()
  lu.assertEquals(groups, { { "1", "2" }, { "3", "4" } })
end

function cases.X24_an_unfinished_record_is_pending_at_the_end()
  local partial = support.peer 'more "hello\\r\\n"; send "bye-partial"; close'
  local seen = {}
  local session = support.session {
    on_error = function(cheap) seen[1] = cheap:pending() end,
    on_disconnected = function(cheap) seen[2] = cheap:pending() end,
  }
  session:connect(HOST, partial:port())
  support.run()
  lu.assertEquals(seen, { "bye-partial", "bye-partial" })
end

function cases.X24_and_so_it_is_for_a_filter_in_lua_and_after_a_reset()
  local partial = support.peer 'send "one%two"; rst'
  local seen = {}
  local session = support.session {
    filter = ended "%",
    on_error = function(cheap, _, _, _, _, errname)
      seen[1] = cheap:pending()
      seen[3] = errname
    end,
    on_disconnected = function(cheap) seen[2] = cheap:pending() end,
  }
  session:connect(HOST, partial:port())
  support.run()
  lu.assertEquals(seen, { "two", "two", "ECONNRESET" })
end

-- X25: two connections get their pieces in turns; a shared buffer would mix them.
local function no_shared_buffer(filter)
  local one = support.peer 'send "1a"; mark half; wait go; send "1b%"; close'
  local two = support.peer 'send "2a"; mark half; wait go; send "2b%"; close'
  local session, log = support.record { filter = filter }
  session:connect(HOST, one:port())
  session:connect(HOST, two:port())
  support.when(function() return session:stats().received == 4 end, function()
    one:go "go"
    two:go "go"
  end)
  support.run()
  table.sort(log.inputs)
  lu.assertEquals(log:records(), { "1a1b", "2a2b" })
end

function cases.X25_connections_share_no_buffer_of_a_built_in_filter()
  no_shared_buffer { "line", literal = "%" }
end

function cases.X25_connections_share_no_buffer_of_a_filter_in_lua()
  no_shared_buffer(ended "%")
end

function cases.X25_connections_share_no_buffer_of_a_stack()
  no_shared_buffer {
    "stack", { "line", literal = "%" }, { "grep", get = function() return true end },
  }
end

support.main(cases)
