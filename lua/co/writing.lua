-- SPDX-License-Identifier: MIT
-- Waiting for room in the queue of a dialogue connection, and for its end: write and close.
local shared, _, co = ...
local inner = shared.co
local format = string.format
local here, begin_wait, suspend = inner.here, inner.begin_wait, inner.suspend
local TIMEOUT, ENDED = inner.TIMEOUT, inner.ENDED
local raw, LINK, WRITERS = inner.raw, inner.LINK, inner.WRITERS
local link_of, answer_end, has_ended = inner.link_of, inner.answer_end, inner.has_ended
local may_hold, hold_unless_read = inner.may_hold, inner.hold_unless_read
local unlink = inner.unlink
local let_input_go_on = shared.let_input_go_on

local YIELD_EVERY = 262144 -- bytes of write after which others get their turn
local methods = {}

function unlink.close(_, cheap) cheap[LINK].closer = nil end

function unlink.write(task, cheap)
  local link = cheap[LINK]
  for i, writer in ipairs(link[WRITERS]) do
    if writer == task then table.remove(link[WRITERS], i) break end
  end
  if not link[WRITERS][1] then
    link[WRITERS] = nil
    shared.set_writers(cheap, false)
  end
  hold_unless_read(cheap, link)
end

local function give_way(link, length)
  link.written = (link.written or 0) + length
  if link.written < YIELD_EVERY then return end
  link.written = 0
  co.sleep(0)
end

local function length_of(...)
  local length = 0
  for i = 1, select("#", ...) do
    local record = select(i, ...)
    length = length + (type(record) == "string" and #record or 64)
  end
  return length
end

-- send, and wait while the queue is full.
function methods.write(cheap, ...)
  local link = link_of(cheap, "write")
  local task = here "write"
  local ok, full, errname = inner.raising(2, raw.send, cheap, ...)
  if not ok and has_ended(cheap, link) and link.ended then return answer_end(link) end
  if not ok then return nil, full, errname end
  if not full then
    give_way(link, length_of(...))
    return true
  end
  begin_wait(task, "write")
  link[WRITERS] = link[WRITERS] or {}
  table.insert(link[WRITERS], task)
  shared.set_writers(cheap, true)
  if may_hold(link) then let_input_go_on(cheap) end
  if suspend(task, "write", cheap) == ENDED then return answer_end(link) end
  return true
end

-- Flushes, sends FIN and waits for the end: true, or nil and what went wrong.
function methods.close(cheap, seconds)
  local link = link_of(cheap, "close")
  inner.check_seconds(seconds, "close", 2)
  local task = here "close"
  if not has_ended(cheap, link) or not link.ended then
    if link.closer then error("close: it is being closed already", 2) end
    begin_wait(task, "close", seconds)
    raw.shutdown(cheap)
    shared.watch_end(cheap)
    link.closer = task
    if suspend(task, "close", cheap) == TIMEOUT then
      return nil, format("not closed within %g s", seconds), "ETIME"
    end
  end
  if link.clean then return true end
  return answer_end(link)
end

for name, method in pairs(methods) do
  shared.cheap_methods[name], co[name] = method, method
end
