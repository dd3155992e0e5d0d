-- SPDX-License-Identifier: MIT
-- BEHAVIOUR X26: all transitions between line, block and stream, as POE's own test 99_filterchange
-- does them: by handshake (each step waits for the echo) and streamed (everything is on its way
-- before the first switch). The peer echoes, so output and input filter of a step must agree.

local lu = require "luaunit"
local support = require "behaviour.support"

local cases = support.cases "FilterChanges"
local HOST = "127.0.0.1"

local filters = {
  line = { set = { "line" }, send = "a line", wire = "a line\r\n" },
  block = { set = { "block", { block_size = 6 } }, send = "blocks", wire = "blocks" },
  stream = { set = { "stream" }, send = "stream", wire = "stream" },
}

-- A walk that contains all nine pairs of neighbours.
local walk = {
  "line", "line", "block", "block", "stream", "stream", "line", "stream", "block", "line",
}

function cases.X26_the_walk_has_all_nine_transitions()
  local pairs_seen, count = {}, 0
  for i = 2, #walk do
    local pair = walk[i - 1] .. ">" .. walk[i]
    if not pairs_seen[pair] then
      pairs_seen[pair] = true
      count = count + 1
    end
  end
  lu.assertEquals(count, 9)
end

function cases.X26_by_handshake()
  local echo = support.peer "echo"
  local step, records = 1, {}
  local function go(cheap)
    local filter = filters[walk[step]]
    cheap:filter(unpack(filter.set))
    cheap:send(filter.send)
  end
  local session = support.session {
    on_success = go,
    on_input = function(cheap, record)
      records[#records + 1] = record
      step = step + 1
      if step > #walk then cheap:shutdown() else go(cheap) end
    end,
  }
  session:connect(HOST, echo:port())
  support.run()
  local expected = {}
  for i, name in ipairs(walk) do expected[i] = filters[name].send end
  lu.assertEquals(records, expected)
end

-- Everything is sent at once; the input filter is switched at each record. Where the next filter is
-- stream, the record it gives may hold more than its step: what belongs to later steps is put back.
function cases.X26_streamed()
  local echo = support.peer "echo"
  local records, step, partial = {}, 1, ""
  local session = support.session {
    on_success = function(cheap)
      for _, name in ipairs(walk) do
        cheap:output_filter(unpack(filters[name].set))
        cheap:send(filters[name].send)
      end
      cheap:input_filter(unpack(filters[walk[1]].set))
    end,
    on_input = function(cheap, record)
      local length = #filters[walk[step]].send
      if walk[step] == "stream" then
        partial = partial .. record
        if #partial < length then return end
        if #partial > length then cheap:unread(partial:sub(length + 1)) end
        record, partial = partial:sub(1, length), ""
      end
      records[#records + 1] = record
      step = step + 1
      if step > #walk then
        cheap:shutdown()
      else
        cheap:input_filter(unpack(filters[walk[step]].set))
      end
    end,
  }
  session:connect(HOST, echo:port())
  support.run()
  local expected, bytes = {}, 0
  for i, name in ipairs(walk) do
    expected[i] = filters[name].send
    bytes = bytes + #filters[name].wire
  end
  lu.assertEquals(records, expected)
  lu.assertEquals(echo:report().received, bytes)
end

-- The same from a peer that sends the bytes one by one, so that each cut is met.
for _, from in ipairs { "line", "block", "stream" } do
  for _, to in ipairs { "line", "block", "stream" } do
    cases[("X26_%s_to_%s_byte_by_byte"):format(from, to)] = function()
      local wire = (filters[from].wire .. filters[to].wire):gsub("\r\n", "\\r\\n")
      local one = support.peer(('dribble "%s" 500; close'):format(wire))
      local got, first = "", nil
      local session = support.session {
        filter = { filters[from].set[1], block_size = from == "block" and 6 or nil },
        on_input = function(cheap, record)
          if from == "stream" and not first then
            got = got .. record
            if #got < 6 then return end
            if #got > 6 then cheap:unread(got:sub(7)) end
            record, got = got:sub(1, 6), ""
          end
          if not first then
            first = record
            cheap:filter(unpack(filters[to].set))
          else
            got = got .. record
          end
        end,
      }
      session:connect(HOST, one:port())
      support.run()
      lu.assertEquals({ first, got }, { filters[from].send, filters[to].send })
    end
  end
end

-- ---- whatever a handler asks of its input, and however the stream is cut ----

local function pick(list) return list[math.random(#list)] end

local function bytes_of(alphabet, count)
  local bytes = {}
  for i = 1, count do bytes[i] = pick(alphabet) end
  return table.concat(bytes)
end

local lines_and_blocks = {
  "line", { "line", ends = "lf" }, { "line", ends = "auto" }, { "line", literal = "\r\n" },
  { "block", block_size = 2 }, { "stack", "line" }, { "stack", { "line", ends = "auto" } },
  { "stack", "line", { "map", get = function(r) return r end } },
  { "stack", { "block", block_size = 3 } },
}

-- What the handler does at its first records, in order.
local function make_plan()
  local plan = { filter = pick(lines_and_blocks) }
  for number = 1, 12 do
    plan[number] = {}
    for _ = 1, math.random(0, 2) do
      table.insert(plan[number], pick {
        { "unread", bytes_of({ "a", "b" }, math.random(5)) },
        { "take", math.random(0, 5) },
        { "pending" },
        { "input_filter", pick(lines_and_blocks) },
      })
    end
  end
  return plan
end

local function outcome(program, plan)
  local records = {}
  local session = support.session {
    filter = plan.filter,
    on_input = function(cheap, record)
      records[#records + 1] = record
      for _, call in ipairs(plan[#records] or {}) do cheap[call[1]](cheap, call[2]) end
    end,
    on_error = function(cheap) records.rest = cheap:pending() end,
  }
  session:connect(HOST, support.peer(program .. "; close"):port())
  support.run()
  return records
end

function cases.any_stream_cut_anywhere_whatever_the_handler_asks()
  local seed = os.time()
  math.randomseed(seed)
  for round = 1, 60 do
    local stream = bytes_of({ "\r", "\n", "\r", "\n", "a", "b" }, math.random(40))
    local plan = make_plan()
    local pieces = stream:gsub(".", function(byte)
      return ("sendhex %02x; sleep 1; "):format(byte:byte())
    end)
    local whole = "sendhex " .. stream:gsub(".", function(byte)
      return ("%02x"):format(byte:byte())
    end)
    lu.assertEquals(outcome(pieces:sub(1, -3), plan), outcome(whole, plan),
      ("seed %d, round %d"):format(seed, round))
  end
end

support.main(cases)
