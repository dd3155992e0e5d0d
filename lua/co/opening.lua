-- SPDX-License-Identifier: MIT
-- How a connection becomes a dialogue connection, and back: open, adopt, release; and TLS in the
-- middle of a dialogue.
local shared, _, co = ...
local inner = shared.co
local SESSION, SCOPE = inner.SESSION, inner.SCOPE
local raw, LINK = inner.raw, inner.LINK
local here, wait, own, disown = inner.here, inner.wait, inner.own, inner.disown
local link_of, check_free, answer_end = inner.link_of, inner.check_free, inner.answer_end
local use_filter, hold_unless_read = inner.use_filter, inner.hold_unless_read
local unlink = inner.unlink
local READER, OWNER = inner.READER, inner.OWNER
local new_link = inner.new_link
local TIMEOUT, ENDED = inner.TIMEOUT, inner.ENDED

unlink.secure = unlink.receive

function unlink.open(_, cheap)
  cheap[LINK][READER] = nil
  raw.reset(cheap)
end

-- From here on events of the connection come to tasks, and it belongs to the scope. Where that
-- fails, or raises for want of memory, the connection is as it was.
local function try_to_link(cheap, link, scope)
  rawset(cheap, LINK, link)
  own(scope, cheap)
  return shared.set_dialogue(cheap, link)
end

local function after_link(cheap, link, scope, fine, ok, message, errname)
  if fine and ok then
    link[OWNER] = scope
    return true
  end
  if rawget(cheap, LINK) then rawset(cheap, LINK, nil) end
  disown(scope, cheap)
  if fine then return nil, message, errname end
  return nil, ok, "ENOMEM"
end

local function connect_link(cheap, link, scope)
  return after_link(cheap, link, scope, pcall(try_to_link, cheap, link, scope))
end

local function open(session, task, ...)
  local link = new_link(session)
  link[READER] = task
  local cheap, message, errname = inner.raising(3, shared.session_methods.connect, session, ...)
  if not cheap then return nil, message, errname end
  local ok
  ok, message, errname = connect_link(cheap, link, task[SCOPE])
  if not ok then
    raw.reset(cheap)
    return nil, message, errname
  end
  if wait(task, "open", cheap) == ENDED then return answer_end(link) end
  return cheap
end

function co.open(...)
  local task = here "open"
  local cheap, message, errname = open(task[SESSION], task, ...)
  if cheap then return cheap end
  return nil, message, errname
end

function shared.session_methods.open(session, ...)
  shared.state_checks.session(session, "open")
  local task = here "open"
  local cheap, message, errname = open(session, task, ...)
  if cheap then return cheap end
  return nil, message, errname
end

local function take_over(cheap, scope)
  local session = raw.session(cheap)
  if not session then return nil, "no such connection", "ESTALE" end
  if raw.phase(cheap) == "shutting" then return nil, "shutting down", "ESHUTDOWN" end
  local link = new_link(session)
  local ok, message, errname = connect_link(cheap, link, scope)
  if not ok then return nil, message, errname end
  hold_unless_read(cheap, link)
  return cheap
end

-- The connection belongs to this scope instead of the one before.
local function change_owner(cheap, link, scope)
  local before = link[OWNER]
  if before == scope then return end
  own(scope, cheap)
  if before then disown(before, cheap) end
  link[OWNER] = scope
end

-- From now on its records go to tasks; it belongs to the running task's scope.
function co.adopt(cheap)
  inner.id_of(cheap, "adopt", 2)
  local task = here "adopt"
  local link = rawget(cheap, LINK)
  if not link then return take_over(cheap, task[SCOPE]) end
  if link.over then return answer_end(link) end
  change_owner(cheap, link, task[SCOPE])
  return cheap
end

-- From now on its records go to the handlers of its session, which it belongs to.
function co.release(cheap)
  local link = link_of(cheap, "release")
  if link.over then return answer_end(link) end
  check_free(cheap, link, "release")
  if raw.phase(cheap) == "shutting" then return nil, "shutting down", "ESHUTDOWN" end
  local ok, message, errname = use_filter(cheap, link, nil)
  if not ok then return nil, message, errname end
  if link[OWNER] then disown(link[OWNER], cheap) end
  rawset(cheap, LINK, nil)
  shared.set_dialogue(cheap, nil)
  return true
end

-- The handshake of TLS in the middle of a stream. What the peer sends meanwhile is TLS's, so the
-- input is not held back.
function co.starttls(cheap, spec, seconds)
  local link = link_of(cheap, "starttls")
  inner.check_seconds(seconds, "starttls", 2)
  local task = here "starttls"
  if link.over then return answer_end(link) end
  check_free(cheap, link, "starttls")
  local ok, message, errname = inner.raising(2, raw.starttls, cheap, spec)
  if not ok then return nil, message, errname end
  local got = inner.wait_as_reader(cheap, link, task, "secure", seconds)
  if got == ENDED then return answer_end(link) end
  if got == TIMEOUT then return nil, string.format("no TLS within %g s", seconds), "ETIME" end
  return true
end
