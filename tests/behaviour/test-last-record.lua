-- SPDX-License-Identifier: MIT
-- The method finish of filters written in Lua, and of filters made of them: the last record, when
-- the peer has ended its output in order.

local lu = require "luaunit"
local tcpmulti = require "tcpmulti"
local support = require "behaviour.support"

local cases = support.cases "LastRecord"

-- Lines that end in LF; finish makes a record of what is left, or what the function on_finish says.
local Body = {}
Body.__index = Body

local function body(on_finish)
  return setmetatable({ buffer = "", on_finish = on_finish }, Body)
end

function Body:clone() return body(self.on_finish) end
function Body:feed(bytes) self.buffer = self.buffer .. bytes end
function Body:pending() return self.buffer end
function Body.put(_, record) return record .. "\n" end
function Body:get_one()
  local line, rest = self.buffer:match "^([^\n]*)\n(.*)$"
  if line then self.buffer = rest end
  return line
end
function Body:finish()
  if self.on_finish then return self:on_finish() end
  local rest = self.buffer
  self.buffer = ""
  if rest ~= "" then return rest end
end

local IN_ORDER = 'send "a\\nbody"; close'

-- The codes of the events, the records, and what is pending in the end.
local function meet(program, options)
  local pending
  options.on_disconnected = function(cheap) pending = cheap:pending() end
  local log = support.meet(program, options)
  return log, pending
end

function cases.C63_the_rest_comes_before_the_end_and_is_not_pending()
  local in_input
  local log, pending = meet(IN_ORDER, {
    filter = body(),
    on_input = function(cheap, record) if record == "body" then in_input = cheap:pending() end end,
  })
  lu.assertEquals(log:records(), { "a", "body" })
  lu.assertEquals(log[#log - 1], "error read EOF")
  lu.assertEquals(in_input, "")
  lu.assertEquals(pending, "")
end

function cases.C63_nil_leaves_the_rest_pending()
  local times = 0
  local log, pending = meet(IN_ORDER, {
    filter = body(function() times = times + 1 end),
  })
  lu.assertEquals(log:records(), { "a" })
  lu.assertEquals(pending, "body")
  lu.assertEquals(times, 1)
end

function cases.C63_a_message_is_an_error_of_the_filter()
  local text
  local log, pending = meet(IN_ORDER, {
    filter = body(function() return nil, "the body is cut", "ETOOLONG" end),
    on_error = function(_, _, _, message) text = message end,
  })
  lu.assertEquals(log[#log - 1], "error filter ETOOLONG")
  lu.assertEquals(text, "the body is cut")
  lu.assertEquals(pending, "body")
end

function cases.C63_a_raise_goes_to_on_exception()
  local text
  local log = meet(IN_ORDER, {
    filter = body(function() error "cannot finish" end),
    on_exception = function(_, message) text = message end,
  })
  lu.assertStrContains(text, "cannot finish")
  lu.assertEquals(log[#log - 1], "error filter EFILTER")
end

function cases.C63_any_value_may_be_the_last_record_and_more_may_follow()
  local left = { false, 12 }
  local filter = body(function() return left end)
  local get_one = Body.get_one
  filter.clone = function(self)
    local clone = body(self.on_finish)
    function clone.finish(one)
      one.over = true
      return left
    end
    function clone.get_one(one)
      if one.over then return table.remove(left, 1) end
      return get_one(one)
    end
    return clone
  end
  local records = {}
  meet('send "a\\n"; close', {
    filter = filter,
    on_input = function(_, record) records[#records + 1] = record end,
  })
  lu.assertEquals(#records, 4)
  lu.assertIs(records[2], left)
  lu.assertEquals({ records[3], records[4] }, { false, 12 })
end

function cases.C63_no_other_end_calls_it()
  local times = 0
  local function filter() return body(function() times = times + 1 end) end
  local ends = {
    { 'send "a\\nbody"; rst', {} },
    { 'send "a\\nbody"; recv all', { input_timeout = 0.05 } },
    { 'send "a\\nbody"; shutwr; recv all', { on_input = function(cheap) cheap:shutdown() end } },
    { 'send "a\\nbody"; shutwr; recv all', { on_input = function(cheap) cheap:reset() end } },
    { 'send "a\\nbody"; shutwr; recv all',
      { on_input = function(cheap) cheap:session():die() end } },
  }
  for _, one in ipairs(ends) do
    one[2].filter = filter()
    local _, pending = meet(one[1], one[2])
    lu.assertEquals(pending, "body")
  end
  lu.assertEquals(times, 0)
end

function cases.C63_calls_for_its_connection_are_busy()
  local cheap, answers = nil, {}
  meet(IN_ORDER, {
    on_initialize = function(one) cheap = one end,
    filter = body(function()
      answers[1] = select(3, cheap:send "x")
      answers[2] = select(3, cheap:unread "x")
      answers[3] = select(3, cheap:filter "line")
    end),
  })
  lu.assertEquals(answers, { "EBUSY", "EBUSY", "EBUSY" })
end

function cases.C63_record_and_end_wait_for_a_pause()
  local paused
  local log = meet(IN_ORDER, {
    filter = body(),
    on_input = function(cheap)
      cheap:pause()
      paused = true
      cheap:delay(function()
        paused = false
        cheap:resume()
      end, 0.02)
    end,
    on_error = function() lu.assertFalse(paused) end,
  })
  lu.assertEquals(log:records(), { "a", "body" })
  lu.assertEquals(log[#log - 1], "error read EOF")
end

function cases.C63_half_open_the_answer_goes_out_after_it()
  local peer = support.peer 'send "a\\nbody"; shutwr; expect "body\\n"; recv all; close'
  local session, log = support.record {
    filter = body(),
    half_open = true,
    on_input = function(cheap, record) if record == "body" then cheap:send(record) end end,
    on_eof = function(cheap) cheap:shutdown() end,
  }
  session:connect("127.0.0.1", peer:port())
  support.run()
  lu.assertEquals(log:records(), { "a", "body" })
  lu.assertEquals(log[#log], "disconnected eof")
  lu.assertEquals(peer:report().failure, "")
end

function cases.C63_an_order_comes_first()
  local log, pending = meet(IN_ORDER, {
    filter = body(),
    on_input = function(cheap, record) if record == "a" then cheap:take(9) end end,
  })
  lu.assertEquals(log:records(), { "a" })
  lu.assertEquals(pending, "body")
end

function cases.C63_what_the_last_record_puts_back_is_cut()
  local log, pending = meet(IN_ORDER, {
    filter = body(),
    on_input = function(cheap, record) if record == "body" then cheap:unread "x\ny" end end,
  })
  lu.assertEquals(log:records(), { "a", "body", "x" })
  lu.assertEquals(pending, "y")
end

function cases.C63_another_filter_is_asked_in_its_turn()
  local log, pending = meet(IN_ORDER, {
    filter = "line",
    on_input = function(cheap, record) if record == "a" then cheap:input_filter(body()) end end,
  })
  lu.assertEquals(log:records(), { "a", "body" })
  lu.assertEquals(pending, "")
  local first = body(function(self)
    local two = self.buffer:sub(1, 2)
    self.buffer = self.buffer:sub(3)
    return two
  end)
  log, pending = meet(IN_ORDER, {
    filter = first,
    on_input = function(cheap, record) if record == "bo" then cheap:filter(body()) end end,
  })
  lu.assertEquals(log:records(), { "a", "bo", "dy" })
  lu.assertEquals(pending, "")
end

-- ---- stacks ----

local function in_turn(_, record)
  return record
end

function cases.C63_a_stack_passes_the_end_on()
  local log, pending = meet(IN_ORDER, {
    filter = { "stack", body(), { "map", get = function(record) return record .. "1",
      record .. "2" end, put = in_turn } },
  })
  lu.assertEquals(log:records(), { "a1", "a2", "body1", "body2" })
  lu.assertEquals(pending, "")
end

-- Joins all records to one, at the end.
local Joined = {}
Joined.__index = Joined
function Joined.clone() return setmetatable({ list = {} }, Joined) end
function Joined:feed(record) self.list[#self.list + 1] = record end
function Joined.get_one() return nil end
function Joined.put(_, record) return record end
function Joined:finish() return #self.list > 0 and table.concat(self.list, "+") or nil end

function cases.C63_each_stage_is_told_once_those_below_have_given_all()
  for _, first in ipairs { body(), "line" } do
    local log, pending = meet('send "a\\nb\\nc\\nbody"; close', {
      filter = { "stack", first, Joined.clone(), { "map", get = string.upper } },
    })
    local ends = first == "line"
    lu.assertEquals(log:records(), { ends and "A+B+C" or "A+B+C+BODY" })
    lu.assertEquals(pending, ends and "body" or "")
  end
end

function cases.C63_a_stage_may_refuse_the_end()
  local log = meet(IN_ORDER, {
    filter = { "stack", "line", body(function() return nil, "too early" end) },
  })
  lu.assertEquals(log[#log - 1], "error filter EFILTER")
end

function cases.C63_a_stack_without_it_leaves_the_rest_pending()
  local log, pending = meet(IN_ORDER, { filter = { "stack", "line", { "grep", get = in_turn } } })
  lu.assertEquals(#log:records(), 0)
  lu.assertEquals(pending, "body")
end

function cases.C63_a_finish_that_is_no_function_is_refused()
  local filter = body()
  filter.finish = "soon"
  lu.assertErrorMsgContains("finish of the filter is no function, but 'soon'", tcpmulti.create,
    { filter = filter })
end

function cases.C63_a_clone_by_hand_has_it()
  local line = tcpmulti.filters.line():clone()
  line:feed "a\nrest"
  lu.assertEquals(line:get_one(), "a")
  lu.assertNil(line:finish())
  lu.assertEquals(line:pending(), "rest")
end

support.main(cases)
