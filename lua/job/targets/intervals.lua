-- SPDX-License-Identifier: MIT
-- The addresses of one family that are wanted, as events: at the first address of an interval its
-- set of ports begins, behind the last one the set ends. Sorted by address, the events are swept
-- once: between two addresses with events, the union of the sets that have begun is asked for.
-- Excluded and private intervals have sets of their own.
local bit = require "bit"
local ffi = require "ffi"
local band, rshift = bit.band, bit.rshift

local addresses = require "tcpmulti.targets.addresses"
local rectangle = require "tcpmulti.targets.rectangle"
local vector = require "tcpmulti.targets.vector"

local WORD = 2 ^ 32
local ENDS = 2 ^ 31 -- is added to the set where it ends
local intervals = { EXCLUDED = 0, PRIVATE = ENDS - 1 }
local Intervals = {}
Intervals.__index = Intervals

local EXCLUDED, PRIVATE = intervals.EXCLUDED, intervals.PRIVATE

-- An event is a record of the words of its address and its set.
function intervals.new(family)
  return setmetatable({ family = family, stride = family.words + 1,
    events = vector.new "uint32_t" }, Intervals)
end

local function add_event(self, words, set)
  local events, at = self.events, self.events.count
  events:grow(self.stride)
  for i = 1, #words do events.data[at + i - 1] = words[i] end
  events.data[at + #words] = set
end

-- Adds the interval from first to last, lists of words.
function Intervals:add(first, last, set)
  local behind = addresses.after(last)
  add_event(self, first, set)
  -- Behind the last address of all there is none: the set never ends.
  if behind then add_event(self, behind, set + ENDS) end
end

-- Adds one address of IPv4 that is not the last one of all.
function Intervals:add_v4(address, set)
  local events, at = self.events, self.events.count
  events:grow(4)
  local data = events.data
  data[at], data[at + 1] = address, set
  data[at + 2], data[at + 3] = address + 1, set + ENDS
end

-- ---- sorting ----

-- Counts the bytes at a shift in a column of the records: of byte b in counts[b + 1]. Gives the
-- count of the first record's byte.
local function count_bytes(data, counts, length, stride, column, shift)
  ffi.fill(counts, ffi.sizeof(counts))
  for at = column, length - 1, stride do
    local digit = band(rshift(data[at], shift), 255)
    counts[digit + 1] = counts[digit + 1] + 1
  end
  return counts[band(rshift(data[column], shift), 255) + 1]
end

-- Moves the records to where these bytes are sorted; records with equal ones keep their order.
local function scatter(from, to, counts, length, stride, column, shift)
  for digit = 1, 255 do counts[digit] = counts[digit] + counts[digit - 1] end
  for at = 0, length - 1, stride do
    local digit = band(rshift(from[at + column], shift), 255)
    local place = counts[digit] * stride
    counts[digit] = counts[digit] + 1
    for i = 0, stride - 1 do to[place + i] = from[at + i] end
  end
end

-- A radix sort by address, then set. Bytes in which all records agree are only counted.
local function sort(self)
  local stride, length, data, other = self.stride, self.events.count, self.events.data, nil
  local counts = ffi.new "uint32_t[257]"
  for column = stride - 1, 0, -1 do
    for shift = 0, length > 0 and 24 or -1, 8 do
      local same = count_bytes(data, counts, length, stride, column, shift)
      if same * stride < length then
        other = other or ffi.new("uint32_t[?]", length)
        scatter(data, other, counts, length, stride, column, shift)
        data, other = other, data
      end
    end
  end
  return data, length
end

-- ---- the sweep ----

-- active: the sets that have begun and not ended, sorted; used: how many; counts: how often each of
-- them has begun; sum: of their ports, each as often.
local function new_state(sets, result)
  return { sets = sets, result = result, active = {}, used = 0, counts = {}, sum = 0, excluded = 0,
    private = 0 }
end

local function insert(state, set)
  local active, at = state.active, state.used + 1
  while at > 1 and active[at - 1] > set do
    active[at] = active[at - 1]
    at = at - 1
  end
  active[at], state.used, state.union = set, state.used + 1, nil
end

local function remove(state, set)
  local active, at = state.active, state.used
  while active[at] ~= set do at = at - 1 end
  for i = at, state.used do active[i] = active[i + 1] end
  state.used, state.union = state.used - 1, nil
end

local function apply(state, set, change)
  if set == EXCLUDED then
    state.excluded = state.excluded + change
  elseif set == PRIVATE then
    state.private = state.private + change
  else
    local before = state.counts[set] or 0
    state.counts[set] = before + change
    state.sum = state.sum + change * state.sets:size(set)
    if before == 0 then insert(state, set) end
    if before + change == 0 then remove(state, set) end
  end
end

-- Takes what is asked for of count addresses, from the address at an index on.
local function take(state, family, data, at, count)
  local result, last = state.result, state.last
  state.last = nil
  if state.used == 0 then return end
  local set = state.union or state.sets:union(state.active, state.used)
  local size = state.sets:size(set)
  state.union = set
  result.duplicates = result.duplicates + count * (state.sum - size)
  if state.excluded > 0 then
    result.excluded = result.excluded + count * size
    return
  end
  if state.private == 0 then result.public = result.public + count end
  local into = result.rectangles[size] or rectangle.new(family, size)
  result.rectangles[size], state.last = into, set
  if last == set then into:extend(count) else into:add(data, at, count, set) end
end

-- How many addresses there are from the one at an index up to the one at another, or, where that is
-- nil, to the last one of all. Exact below 2^53.
local function distance(data, from, to, words)
  local sum = 0
  for i = 0, words - 1 do
    sum = sum * WORD + ((to and data[to + i] or WORD - 1) - data[from + i])
  end
  return to and sum or sum + 1
end

local function is_same(data, a, b, words)
  for i = 0, words - 1 do
    if data[a + i] ~= data[b + i] then return false end
  end
  return true
end

-- The edges of what is covered, as a vector of words: where it begins, where it is over, and so on.
function Intervals:edges()
  local words, stride = self.family.words, self.stride
  local data, length = sort(self)
  local edges, depth, at = vector.new "uint32_t", 0, 0
  while at < length do
    local from, before = at, depth
    repeat
      depth = depth + (data[at + words] >= ENDS and -1 or 1)
      at = at + stride
    until at >= length or not is_same(data, at, from, words)
    if (before > 0) ~= (depth > 0) then
      for i = from, from + words - 1 do edges:push(data[i]) end
    end
  end
  return edges
end

-- Adds the intervals of others, whatever their sets, as excluded ones.
function Intervals:exclude(others)
  local stride, from = self.stride, others.events
  for at = 0, from.count - 1, stride do
    local is_end = from.data[at + stride - 1] >= ENDS
    for i = at, at + stride - 2 do self.events:push(from.data[i]) end
    self.events:push(is_end and EXCLUDED + ENDS or EXCLUDED)
  end
end

-- Adds rectangles and counts to result: { rectangles = by their number of ports, duplicates =,
-- excluded =, public = }. Touching intervals of one set become one.
function Intervals:sweep(sets, result)
  local family, words, stride = self.family, self.family.words, self.stride
  local data, length = sort(self)
  local state, at = new_state(sets, result), 0
  while at < length do
    local from = at
    repeat
      local set = data[at + words]
      if set >= ENDS then apply(state, set - ENDS, -1) else apply(state, set, 1) end
      at = at + stride
    until at >= length or not is_same(data, at, from, words)
    take(state, family, data, from, distance(data, from, at < length and at or nil, words))
  end
end

return intervals
