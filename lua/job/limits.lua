-- SPDX-License-Identifier: MIT
-- Limits on starting: a token bucket, caps by key with a queue for each key that is full, and
-- a heap of what is due later. The time comes in as an argument, in seconds.
local floor, max, min = math.floor, math.max, math.min

local limits = {}

-- ---- a token bucket ----

local Bucket = {}
Bucket.__index = Bucket

local ROUNDING = 1e-9 -- a part of a token; whoever waits as long as told finds one

local function check_amount(value, what, least)
  if type(value) ~= "number" or not (value >= least and value < math.huge) then
    error(string.format("limits.bucket: %s must be a number from %d on", what, least), 3)
  end
end

-- In any t seconds at most rate * t + burst tokens are taken.
function limits.bucket(rate, burst, phase)
  check_amount(rate, "rate", 0)
  burst, phase = burst or max(1, rate / 100), phase or 1
  check_amount(burst, "burst", 1)
  check_amount(phase, "phase", 0)
  return setmetatable({ rate = rate, burst = burst, tokens = phase }, Bucket)
end

function Bucket:take(now)
  if self.rate == 0 then return true end
  local passed = max(0, now - (self.at or now))
  self.tokens = min(self.burst, self.tokens + passed * self.rate)
  self.at = max(now, self.at or now)
  if self.tokens < 1 - ROUNDING then return false, (1 - self.tokens) / self.rate end
  self.tokens = self.tokens - 1
  return true
end

-- ---- caps by key ----

local Caps = {}
Caps.__index = Caps

-- most: at once for one key; 0: no limit.
function limits.caps(most)
  if type(most) ~= "number" or most < 0 or most % 1 ~= 0 then
    error("limits.caps: a whole number expected", 2)
  end
  return setmetatable({ most = most, active = {}, queues = {}, waiting = 0 }, Caps)
end

function Caps:has_room(key) return self.most == 0 or (self.active[key] or 0) < self.most end

function Caps:enter(key)
  if self.most == 0 then return end
  if not self:has_room(key) then error("limits: there is no room for this key", 2) end
  self.active[key] = (self.active[key] or 0) + 1
end

function Caps:wait(key, item)
  local queue = self.queues[key]
  if not queue then
    queue = { first = 1, last = 0 }
    self.queues[key] = queue
  end
  queue.last = queue.last + 1
  queue[queue.last] = item
  self.waiting = self.waiting + 1
end

local function take_first(self, key, queue)
  local item = queue[queue.first]
  queue[queue.first] = nil
  queue.first = queue.first + 1
  if queue.first > queue.last then self.queues[key] = nil end
  self.waiting = self.waiting - 1
  return item
end

-- The item that waits longest leaves the queue, and asks again whether there is room.
function Caps:leave(key)
  if self.most == 0 then return nil end
  local count = self.active[key]
  if not count then error("limits: nothing has entered for this key", 2) end
  self.active[key] = count > 1 and count - 1 or nil
  local queue = self.queues[key]
  return queue and take_first(self, key, queue)
end

-- ---- what is due later ----

local Heap = {}
Heap.__index = Heap

-- A binary heap in two arrays: the times and the items.
function limits.heap() return setmetatable({ count = 0, times = {}, items = {} }, Heap) end

function Heap:push(time, item)
  local times, items, at = self.times, self.items, self.count + 1
  self.count = at
  while at > 1 do
    local parent = floor(at / 2)
    if times[parent] <= time then break end
    times[at], items[at] = times[parent], items[parent]
    at = parent
  end
  times[at], items[at] = time, item
end

-- The earliest time, and its item; nil: the heap is empty.
function Heap:first() return self.times[1], self.items[1] end

-- Moves up what is due before the last entry, from the top on. Gives the place that is left for it.
local function make_room(times, items, count, time)
  local at = 1
  while at * 2 <= count do
    local child = at * 2
    if child < count and times[child + 1] < times[child] then child = child + 1 end
    if time <= times[child] then break end
    times[at], items[at] = times[child], items[child]
    at = child
  end
  return at
end

-- Takes the earliest item out of the heap.
function Heap:pop()
  local times, items, count = self.times, self.items, self.count
  if count == 0 then return nil end
  local item, last_time, last_item = items[1], times[count], items[count]
  times[count], items[count] = nil, nil
  self.count = count - 1
  if count > 1 then
    local at = make_room(times, items, count - 1, last_time)
    times[at], items[at] = last_time, last_item
  end
  return item
end

return limits
