-- SPDX-License-Identifier: MIT
-- How a connection becomes a dialogue connection, and back: open, adopt, release; and TLS in the
-- middle of a dialogue.
local shared, _, co = ...
local inner = shared.co
local THREAD, SESSION, SCOPE = inner.THREAD, inner.SESSION, inner.SCOPE
local WAIT, OBJECT, CONNECTION = inner.WAIT, inner.OBJECT, inner.CONNECTION
local APART, RUNNING = inner.APART, inner.RUNNING
local raw, LINK = inner.raw, inner.LINK
local here, begin_wait, own, disown = inner.here, inner.begin_wait, inner.own, inner.disown
local link_of, check_free, answer_end = inner.link_of, inner.check_free, inner.answer_end
local use_filter, hold_unless_read = inner.use_filter, inner.hold_unless_read
local has_ended, unlink = inner.has_ended, inner.unlink
local READER, OWNER = inner.READER, inner.OWNER
local new_link, open_dialogue = inner.new_link, shared.open_dialogue
local yield = coroutine.yield
local CANCEL, TIMEOUT, ENDED = inner.CANCEL, inner.TIMEOUT, inner.ENDED

unlink.secure = unlink.receive

function unlink.open(_, cheap)
  cheap[LINK][READER] = nil
  shared.forget_reader(cheap)
  raw.reset(cheap)
end

-- ---- open ----

local function not_opened(ok, err, message, errname)
  if not ok then return inner.complain(err) end
  if message == nil then here "open" end -- raises why the task may not wait
  return nil, message, errname
end

-- The connection that was opened belongs to the scope. Where a second one cannot, for want of
-- memory, nil, message, errname.
local function own_opened(cheap, link, scope)
  if not scope[CONNECTION] then
    scope[CONNECTION] = cheap
  else
    local ok, err = pcall(own, scope, cheap)
    if not ok then
      unlink.open(nil, cheap)
      return nil, err, "ENOMEM"
    end
  end
  link[OWNER] = scope
  return true
end

-- The task waits, its wait has begun, for what C has opened or not: the results of pcall. This and
-- not_opened leave no frame below, so that the script's line is the one that has called.
local function await_success(task, link, ok, cheap, ...)
  if not ok or not cheap then return not_opened(ok, cheap, ...) end
  local fine, message, errname = own_opened(cheap, link, task[SCOPE])
  if not fine then return nil, message, errname end
  task[WAIT], task[OBJECT] = "open", cheap
  local got = yield()
  if got == cheap then
    if task[WAIT] then -- C has resumed the task
      link[READER], task[WAIT], task[OBJECT] = nil, false, false
      shared[RUNNING] = task
    end
    return cheap
  end
  if got == CANCEL then error(task.broken, 0) end
  return nil, link.message, link.errname
end

function co.open(...)
  local task = shared[RUNNING]
  if not task or task[APART] then task = here "open" end
  begin_wait(task, "open")
  local link = new_link(task)
  return await_success(task, link,
    pcall(open_dialogue, task[THREAD], task[SESSION], link, LINK, ...))
end

function shared.session_methods.open(session, ...)
  shared.state_checks.session(session, "open")
  local task = here "open"
  begin_wait(task, "open")
  local link = new_link(task)
  return await_success(task, link, pcall(open_dialogue, task[THREAD], session, link, LINK, ...))
end

-- ---- adopt and release ----

-- From here on events of the connection come to tasks, and it belongs to the scope. Where that
-- fails, or raises for want of memory, the connection is as it was.
local function try_to_link(cheap, link, scope)
  rawset(cheap, LINK, link)
  own(scope, cheap)
  return shared.set_dialogue(cheap, true)
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

local function take_over(cheap, scope)
  if not raw.session(cheap) then return nil, "no such connection", "ESTALE" end
  if raw.phase(cheap) == "shutting" then return nil, "shutting down", "ESHUTDOWN" end
  local link = new_link(nil)
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
  if has_ended(cheap, link) then return answer_end(link) end
  change_owner(cheap, link, task[SCOPE])
  return cheap
end

-- From now on its records go to the handlers of its session, which it belongs to.
function co.release(cheap)
  local link = link_of(cheap, "release")
  if has_ended(cheap, link) then return answer_end(link) end
  check_free(cheap, link, "release")
  if raw.phase(cheap) == "shutting" then return nil, "shutting down", "ESHUTDOWN" end
  local ok, message, errname = use_filter(cheap, link, nil)
  if not ok then return nil, message, errname end
  if link[OWNER] then disown(link[OWNER], cheap) end
  rawset(cheap, LINK, nil)
  shared.set_dialogue(cheap, false)
  return true
end

-- The handshake of TLS in the middle of a stream. What the peer sends meanwhile is TLS's, so the
-- input is not held back.
function co.starttls(cheap, spec, seconds)
  local link = link_of(cheap, "starttls")
  inner.check_seconds(seconds, "starttls", 2)
  local task = here "starttls"
  if has_ended(cheap, link) then return answer_end(link) end
  check_free(cheap, link, "starttls")
  local ok, message, errname = inner.raising(2, raw.starttls, cheap, spec)
  if not ok then return nil, message, errname end
  local got = inner.wait_as_reader(cheap, link, task, "secure", seconds)
  if got == ENDED then return answer_end(link) end
  if got == TIMEOUT then return nil, string.format("no TLS within %g s", seconds), "ETIME" end
  return true
end
