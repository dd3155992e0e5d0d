-- SPDX-License-Identifier: MIT
-- What a script does to the input of a connection whose filter is written in Lua or made of others:
-- bytes put back, a record of so many bytes, another filter. What the old filter holds, and the LF
-- that its last line awaits, are the connection's; a function of a filter runs while the connection
-- is busy; what raises or is refused has changed nothing.
local lu = require "luaunit"
local support = require "behaviour.support"
local own = require "binding.own_filters"
local tcpmulti = require "tcpmulti"

local cases = support.cases "FilterInput"
local HOST = "127.0.0.1"

-- Runs a session with these options against a peer. The records, what is left at the end in front.
local function records_of(program, options)
  local peer = support.peer(program)
  local records, handler = {}, options.on_input
  options.on_input = function(cheap, record)
    records[#records + 1] = record
    if handler then handler(cheap, record, #records, peer) end
  end
  options.on_error = function(cheap) records.rest = cheap:pending() end
  local session = support.session(options)
  session:connect(HOST, peer:port())
  support.run()
  return records
end

---------------------------------------------------------------- the LF of a line cut in two

local cuts = {
  'send "HELLO\\r\\n4:ABC,"; close',
  'send "HELLO\\r"; wait on; send "\\n4:ABC,"; close',
  'send "HELLO\\r\\n"; wait on; send "4:ABC,"; close',
}

local stacks = {
  { "stack", "line" },
  { "stack", { "line", ends = "auto" }, { "map", get = function(r) return r end } },
  { "stack", { "stack", "line" }, { "grep", get = function() return true end } },
}

-- Peeks at the first line, puts it back, and goes on by what the way says.
local ways = {
  same = { function() end, { "HELLO", "HELLO", rest = "4:ABC," } },
  line = { function(cheap) cheap:input_filter "line" end, { "HELLO", "HELLO", rest = "4:ABC," } },
  block = { function(cheap) cheap:filter("block", { block_size = 7 }) end,
    { "HELLO", "HELLO\r\n", rest = "4:ABC," } },
  own = { function(cheap) cheap:filter(own.mqtt()) end,
    { "HELLO", rest = "HELLO\r\n4:ABC," } },
  stack = { function(cheap) cheap:filter { "stack", "line" } end,
    { "HELLO", "HELLO", rest = "4:ABC," } },
  take = { function(cheap) cheap:take(9) end, { "HELLO", "HELLO\r\n4:", rest = "ABC," } },
}

for name, way in pairs(ways) do
  cases["the_awaited_lf_is_not_that_of_unread_in_a_stack_then_" .. name] = function()
    for _, stack in ipairs(stacks) do
      for _, cut in ipairs(cuts) do
        lu.assertEquals(records_of(cut, {
          filter = stack,
          on_input = function(cheap, record, number, peer)
            if number > 1 then return end
            lu.assertTrue(cheap:unread(record .. "\r\n"))
            way[1](cheap)
            if cut:find "wait" then peer:go "on" end
          end,
        }), way[2])
      end
    end
  end
end

function cases.the_awaited_lf_of_a_stack_is_dropped_across_filters_and_does_not_count()
  for _, stack in ipairs(stacks) do
    for _, cut in ipairs(cuts) do
      for count, set in pairs {
        [4] = function(cheap) cheap:take(4) end,
        [2] = function(cheap) cheap:filter("block", { block_size = 2 }) end,
      } do
        local records = records_of(cut, {
          filter = stack,
          on_input = function(cheap, _, number, peer)
            if number > 1 then return end
            set(cheap)
            if cut:find "wait" then peer:go "on" end
          end,
        })
        lu.assertEquals(records[2], ("4:ABC,"):sub(1, count))
      end
    end
  end
end

-- In a stack too the first line end is settled by the byte behind it.
function cases.auto_in_a_stack_goes_on_as_it_began()
  lu.assertEquals(records_of('send "a\\r"; wait on; send "\\nb\\nc\\r\\nd\\r\\n"; close', {
    filter = { "stack", { "line", ends = "auto" } },
    on_input = function(cheap, record, number, peer)
      if number == 1 then
        cheap:unread "x\r\n"
        peer:go "on"
      elseif record == "b\nc" then
        cheap:unread "y\nz\r\n"
      end
    end,
  }), { "a", "x", "b\nc", "y\nz", "d", rest = "" })
end

-- The core swallows the byte meanwhile, and the filter learns what became of it.
function cases.auto_in_a_stack_learns_what_came_behind_a_take()
  for _, cut in ipairs { "\\r\"; wait on; send \"\\n", "\\r\\n\"; wait on; send \"" } do
    local program = 'send "a' .. cut .. '1234b\\nc\\r\\nd\\r\\n"; close'
    lu.assertEquals(records_of(program, {
      filter = { "stack", { "line", ends = "auto" }, { "map", get = function(r) return r end } },
      on_input = function(cheap, _, number, peer)
        if number == 1 then
          cheap:take(4)
          peer:go "on"
        end
      end,
    }), { "a", "1234", "b\nc", "d", rest = "" })
  end
end

---------------------------------------------------------------- take

local filters_of_lines = {
  line = "line",
  stack = { "stack", "line" },
  mapped = { "stack", "line", { "map", get = function(r) return r end } },
}

for name, filter in pairs(filters_of_lines) do
  cases["a_line_then_seven_bytes_then_lines_by_" .. name] = function()
    for _, program in ipairs {
      'send "a\\r\\n1\\n\\r\\n567b\\r\\n1234567c\\n"; close',
      'dribble "a\\r\\n1\\n\\r\\n567b\\r\\n1234567c\\n" 500; close',
    } do
      lu.assertEquals(records_of(program, {
        filter = filter,
        on_input = function(cheap, record)
          if record == "a" or record == "b" then lu.assertTrue(cheap:take(7)) end
        end,
      }), { "a", "1\n\r\n567", "b", "1234567", "c", rest = "" })
    end
  end
end

function cases.take_counts_what_a_filter_holds_and_leaves_the_filter_at_work()
  lu.assertEquals(records_of('send "\\x10\\x02hiabc\\x10\\x01x\\x10\\x05rest"; close', {
    filter = own.mqtt(),
    on_input = function(cheap, record)
      if type(record) == "table" and record.body == "hi" then
        cheap:take(9)
        cheap:take(false)
        cheap:take(3)
      end
    end,
  }), { { type = 1, body = "hi" }, "abc", { type = 1, body = "x" }, rest = "\16\5rest" })
  -- what a stack has made of its bytes already comes behind
  lu.assertEquals(records_of('send "a\\n123b\\n"; close', {
    filter = { "stack", "line", { "map", get = function(r) return r, r:upper() end } },
    on_input = function(cheap, record) if record == "a" then cheap:take(3) end end,
  }), { "a", "123", "A", "b", "B", rest = "" })
end

function cases.take_waits_for_resume_and_an_end_before_it_leaves_the_bytes()
  lu.assertEquals(records_of('send "a\\n12"; wait on; send "34b\\n567"; close', {
    on_input = function(cheap, record, _, peer)
      if record == "a" then
        cheap:take(4)
        cheap:pause()
        peer:go "on"
        cheap:delay(function(_, c) c:resume() end, 0.02)
      elseif record == "b" then
        cheap:take(4)
      end
    end,
  }), { "a", "1234", "b", rest = "567" })
  lu.assertEquals(records_of('wait on; send "line\\n"; close', {
    on_initialize = function(cheap) lu.assertTrue(cheap:take(0)) end,
    on_input = function(cheap, _, number, peer)
      if number == 1 then
        cheap:take(0)
        peer:go "on"
      end
    end,
  }), { "", "", "line", rest = "" })
end

function cases.take_refuses_what_cannot_be()
  local one, tried = nil, 0
  local session = support.session {
    on_success = function(cheap)
      one = cheap
      for _, bad in ipairs { -1, 0.5, 0 / 0, -1 / 0, true, {}, print } do
        lu.assertFalse(pcall(cheap.take, cheap, bad))
      end
      lu.assertErrorMsgContains("a whole number of bytes", cheap.take, cheap)
      lu.assertErrorMsgContains("or false expected, not 1.5", cheap.take, cheap, 1.5)
      lu.assertErrorMsgContains("connection heap expected", tcpmulti.take, {}, 1)
      lu.assertEquals({ cheap:take(2 ^ 30 + 1) },
        { nil, "a record of 1073741825 bytes, the limit is 1073741824", "ETOOLONG" })
      lu.assertEquals(select(3, cheap:take(1 / 0)), "ETOOLONG")
      lu.assertTrue(cheap:take(2 ^ 30))
      lu.assertTrue(tcpmulti.take(cheap, 3))
      tried = tried + 1
    end,
    on_input = function(cheap, record)
      lu.assertEquals(record, "123")
      cheap:shutdown()
      lu.assertEquals(select(3, cheap:take(1)), "ESHUTDOWN")
      tried = tried + 1
    end,
  }
  session:connect(HOST, support.peer('send "12345"; count'):port())
  support.run()
  lu.assertEquals(tried, 2)
  lu.assertEquals({ one:take(1) }, { nil, "no such connection", "ESTALE" })
end

---------------------------------------------------------------- a busy connection

-- Calls all that changes the connection, and session:die().
local function try_all(cheap)
  local answers = {}
  for _, call in ipairs {
    { "filter", "line" }, { "input_filter", "line" }, { "output_filter", "line" },
    { "unread", "x" }, { "take", 1 }, { "pending" }, { "send", "x" }, { "shutdown" }, { "reset" },
    { "pause" }, { "resume" }, { "fail", "no" }, { "timeout", 1 }, { "deadline", 1 },
  } do
    answers[call[1]] = select(3, cheap[call[1]](cheap, call[2]))
  end
  answers.die = select(3, cheap:session():die())
  return answers
end

local function assert_busy(answers)
  local count = 0
  for name, errname in pairs(answers) do
    lu.assertEquals(errname, "EBUSY", name)
    count = count + 1
  end
  lu.assertEquals(count, 15)
end

-- A method of a filter calls the library on its own connection while the script does one thing.
for _, method in ipairs { "pending", "clone", "feed", "get_one", "put" } do
  for name, action in pairs {
    pending = function(cheap) cheap:pending() end,
    unread = function(cheap) cheap:unread "more" end,
    take = function(cheap) cheap:take(2) end,
    filter = function(cheap, filter) cheap:filter(filter) end,
    input_filter = function(cheap) cheap:input_filter "stream" end,
    send = function(cheap) cheap:send "x" end,
  } do
    cases[("calls_from_%s_are_busy_in_%s"):format(method, name)] = function()
      local busy, current, calls, fed = false, nil, 0, false
      local filter = own.stream {}
      local function intrude(object)
        local plain, clone = object[method], object.clone
        object.clone = function(...) return intrude(clone(...)) end
        if method == "clone" then plain = object.clone end
        object[method] = function(...)
          if current and not busy then
            busy, calls = true, calls + 1
            assert_busy(try_all(current))
            collectgarbage()
            busy = false
          end
          return plain(...)
        end
        return object
      end
      local session = support.session {
        filter = intrude(own.stream {
          get_one = function() fed = true end, -- holds all
        }),
        on_success = function(cheap)
          local function act()
            if not fed then return cheap:delay(act, 0.001) end
            current = cheap
            action(cheap, intrude(filter))
            cheap:send "x"
            current = nil
            cheap:shutdown()
          end
          act()
        end,
      }
      session:connect(HOST, support.peer('send "held"; count'):port())
      support.run()
      local expected = method == "put" and name ~= "filter"
        or method == "pending" and name ~= "send"
        or method == "clone" and (name == "unread" or name == "take" or name == "filter")
      if expected then lu.assertTrue(calls > 0) end
    end
  end
end

---------------------------------------------------------------- raises and refusals

-- A filter that holds what it gets.
local function holder(overrides)
  overrides.get_one = function() return nil end
  return own.stream(overrides)
end

function cases.a_refused_unread_changes_nothing()
  local bars = { "line", literal = "|" }
  for _, filter in ipairs { holder {}, { "stack", holder {} }, { "stack", bars },
    { "block", length_codec = { tostring, function() end } } } do
    local seen = {}
    local session = support.session {
      filter = filter,
      on_success = function(cheap)
        cheap:delay(function()
          cheap:shutdown()
          for _, call in ipairs { "unread", "take", "filter" } do
            local argument = call == "take" and 1 or "line"
            seen[#seen + 1] = select(3, cheap[call](cheap, argument))
            seen[#seen + 1] = cheap:pending()
          end
        end, 0.02)
      end,
    }
    session:connect(HOST, support.peer('send "held"; count'):port())
    support.run()
    lu.assertEquals(seen, { "ESHUTDOWN", "held", "ESHUTDOWN", "held", "ESHUTDOWN", "held" })
  end
end

function cases.a_raise_in_pending_or_clone_changes_nothing()
  local seen, angry = {}, nil
  local function raise() if angry then error("angry at " .. angry, 0) end end
  local function make()
    local one = holder {}
    local pending = one.pending
    one.clone = function()
      if angry == "clone" then raise() end
      return make()
    end
    one.pending = function(self)
      if angry == "pending" then raise() end
      return pending(self)
    end
    return one
  end
  local session = support.session {
    filter = make(),
    on_success = function(cheap)
      cheap:delay(function()
        for _, method in ipairs { "pending", "clone" } do
          for _, call in ipairs { { "unread", "x" }, { "take", 3 },
            { "filter", method == "clone" and make() or "line" } } do
            angry = method
            local ok, message = pcall(cheap[call[1]], cheap, call[2])
            angry = nil
            seen[#seen + 1] = { ok, message, cheap:pending() }
          end
        end
        cheap:filter "line"
        seen[#seen + 1] = cheap:pending()
        cheap:shutdown()
      end, 0.02)
    end,
  }
  session:connect(HOST, support.peer('send "held"; count'):port())
  support.run()
  lu.assertEquals(#seen, 7)
  for i = 1, 6 do
    lu.assertEquals(seen[i], { false, "angry at " .. (i <= 3 and "pending" or "clone"), "held" })
  end
  lu.assertEquals(seen[7], "held")
end

-- The clone for the input has been made when the one for the output raises.
function cases.a_clone_that_raises_leaks_nothing()
  local clones = setmetatable({}, { __mode = "k" })
  local good = own.stream {}
  local clone = good.clone
  good.clone = function()
    local one = clone()
    clones[one] = true
    return one
  end
  local bad = own.stream { clone = function() error("no clone", 0) end }
  local session = support.session {}
  for _ = 1, 10 do
    lu.assertErrorMsgContains("no clone", session.connect, session,
      { remote_address = HOST, remote_port = 9, input_filter = good, output_filter = bad })
  end
  lu.assertErrorMsgContains("no clone", function()
    support.session { input_filter = good, output_filter = bad }:connect(HOST, 9)
  end)
  collectgarbage()
  collectgarbage()
  lu.assertNil((next(clones)))
  lu.assertEquals(session:count(), 0)
end

support.main(cases)
