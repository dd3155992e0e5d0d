-- SPDX-License-Identifier: MIT
-- Events of dialogue connections, which C (dialogue.c) brings here instead of to the session's
-- handlers.
local shared = ...
local inner = shared.co
local WAIT = inner.WAIT
local raw, LINK = inner.raw, inner.LINK
local READER, WRITERS, OWNER = inner.READER, inner.WRITERS, inner.OWNER
local make_ready, wake, disown = inner.make_ready, inner.wake, inner.disown
local hold_unless_read, set_apart, ENDED = inner.hold_unless_read, inner.set_apart, inner.ENDED

-- Gives the value to the reader, if that waits for such a thing. False: nobody has it.
local function give(cheap, link, kind, value)
  local task = link[READER]
  if not task or task[WAIT] ~= kind then return false end
  link[READER] = nil
  wake(task, value, raw.session(cheap))
  return true
end

-- Success that C cannot give straight to the task that has opened the connection.
function shared.dialogue_success(cheap)
  local link = cheap[LINK]
  give(cheap, link, "open", cheap)
  hold_unless_read(cheap, link)
end

function shared.dialogue_secure(cheap)
  local link = cheap[LINK]
  give(cheap, link, "secure", true)
  hold_unless_read(cheap, link)
end

-- A record that C cannot give straight to its reader.
function shared.dialogue_input(cheap, record)
  local link = cheap[LINK]
  if not give(cheap, link, "receive", record) then
    link.held = link.held or {}
    table.insert(link.held, record)
    set_apart(link)
  end
  hold_unless_read(cheap, link)
end

function shared.dialogue_flushed(cheap)
  local link = cheap[LINK]
  local list = link[WRITERS]
  link[WRITERS] = nil
  for _, task in ipairs(list or {}) do make_ready(task, true) end
  hold_unless_read(cheap, link)
end

local function tell_reader(link)
  if link[READER] then make_ready(link[READER], ENDED) end
  link[READER] = nil
end

-- The peer's FIN on a connection that is half open: only the input is over.
function shared.dialogue_eof(cheap)
  local link = cheap[LINK]
  link.over, link.message, link.errname = true, "end of file", "EOF"
  link.partial = raw.pending(cheap) or ""
  set_apart(link)
  tell_reader(link)
end

local TIMERS = {
  connect = "connect timeout",
  input = "input timeout",
  shutdown = "shutdown timeout",
  deadline = "deadline",
  tls = "TLS timeout",
}

local function note_end(cheap, link, reason)
  local op, _, message, errname, timer = raw.cause(cheap)
  local lost = raw.queued(cheap)
  if timer then
    message, errname = TIMERS[timer], "ETIMEDOUT"
  elseif errname == "EOF" then
    message, link.clean = "end of file", lost == 0
  elseif op then
    message = op .. ": " .. message
  elseif reason == "die" then
    message, errname = "session is dying", "ESHUTDOWN"
  else
    message, errname, link.clean = "it was shut down", "ESHUTDOWN", lost == 0
  end
  link.partial = link.partial or raw.pending(cheap) or ""
  link.over, link.ended, link.message, link.errname = true, true, message, errname
  set_apart(link)
end

-- Before on_disconnected: the tasks, which go on from the loop, come after it.
function shared.dialogue_end(cheap, reason)
  local link = cheap[LINK]
  note_end(cheap, link, reason)
  if link[OWNER] then disown(link[OWNER], cheap) end
  link[OWNER] = nil
  for _, task in ipairs(link[WRITERS] or {}) do make_ready(task, ENDED) end
  tell_reader(link)
  if link.closer then make_ready(link.closer, ENDED) end
  link.closer, link[WRITERS] = nil, nil
end
