-- SPDX-License-Identifier: MIT
---@meta tcpmulti.limits
-- The reference of the module tcpmulti.limits: who may start, and when. The time comes in as an
-- argument, in seconds.

---@class tcpmulti.limits
local limits = {}

-- A token bucket: in any t seconds at most rate * t + burst tokens are taken.
---@param rate number Tokens a second; 0: no limit.
---@param burst? number Most tokens at once. Default: max(1, rate / 100).
---@param phase? number Tokens in the beginning. Default: 1.
---@return tcpmulti.limits.Bucket
function limits.bucket(rate, burst, phase) end

---@class tcpmulti.limits.Bucket
local Bucket = {}

-- Takes a token. False, seconds: there will be one after that time.
---@param now number
---@return boolean taken, number? seconds
function Bucket:take(now) end

-- Caps: so many at once for each key. Items for which there is no room can wait for their key.
---@param most integer 0: no limit.
---@return tcpmulti.limits.Caps
function limits.caps(most) end

---@class tcpmulti.limits.Caps
---@field waiting integer How many items wait, for all keys together.
local Caps = {}

-- Whether one more may enter for this key.
---@param key any
---@return boolean
function Caps:has_room(key) end

-- One more has entered. Raises if there is no room.
---@param key any
function Caps:enter(key) end

-- An item waits for room; those of one key in their order.
---@param key any
---@param item any
function Caps:wait(key, item) end

-- One has left. Takes the item that waits longest for this key out of its queue, if one waits; it
-- has not entered yet. Raises if none has entered.
---@param key any
---@return any item
function Caps:leave(key) end

-- A heap of what is due later.
---@return tcpmulti.limits.Heap
function limits.heap() end

---@class tcpmulti.limits.Heap
---@field count integer How many items there are.
local Heap = {}

---@param time number
---@param item any
function Heap:push(time, item) end

-- The earliest time and its item; nil: there is none.
---@return number? time, any item
function Heap:first() end

-- Takes the earliest item out; nil: there is none.
---@return any item
function Heap:pop() end

return limits
