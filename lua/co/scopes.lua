-- SPDX-License-Identifier: MIT
-- Scopes: what belongs to them, how they are entered and left. Their fields: waits.lua.
local shared, _, co = ...
local inner = shared.co
local running, yield = coroutine.running, coroutine.yield
local cancellation, is_cancellation = inner.cancellation, inner.is_cancellation
local join_errors, add_traceback = inner.join_errors, inner.add_traceback
local here, wait, current = inner.here, inner.wait, inner.current
local cancel_all, find_broken, set_broken = inner.cancel_all, inner.find_broken, inner.set_broken
local set_timer, remove_timer = inner.set_timer, inner.remove_timer
local THREAD, SCOPE, CONNECTION = inner.THREAD, inner.SCOPE, inner.CONNECTION
local CHANGED, OUTER = inner.CHANGED, inner.OUTER

local PARENT_ENDED = cancellation "its parent has ended"
local PARENT_FAILED = cancellation "its parent has failed"

-- ---- what belongs to a scope ----

function inner.own(scope, cheap)
  if not scope[CONNECTION] then
    scope[CONNECTION] = cheap
    return
  end
  scope[CHANGED], scope.connections = true, scope.connections or {}
  scope.connections[cheap] = true
end

function inner.disown(scope, cheap)
  if scope[CONNECTION] == cheap then
    scope[CONNECTION] = false
  elseif scope.connections then
    scope.connections[cheap] = nil
  end
end

local function end_connections(scope, in_order)
  local first, others = scope[CONNECTION], scope.connections
  scope[CONNECTION], scope.connections = false, nil
  if first then inner.end_connection(first, in_order) end
  for cheap in pairs(others or {}) do inner.end_connection(cheap, in_order) end
end

local function has_children(scope)
  return scope.children and next(scope.children) or scope.daemons and next(scope.daemons)
end
inner.has_children = has_children

-- Waits until the children have ended; nothing interrupts that, a cancellation goes on to them.
local function end_children(task, scope, ok)
  cancel_all(scope.daemons, PARENT_ENDED)
  if not ok then cancel_all(scope.children, PARENT_FAILED) end
  while has_children(scope) do wait(task, "children", scope) end
end
inner.end_children = end_children

-- Errors of the scope's children, and the one that its function has raised, if that is another.
-- before: whether a child was first.
local function add_own_error(scope, err, before)
  if is_cancellation(err) or err == scope.cancelled then return scope.error end
  if before then return join_errors(scope.error, err) end
  return join_errors(err, scope.error)
end

-- Whether a scope ends well whose function has returned or raised err, or the error. Waits for the
-- children.
local function outcome(task, scope, ok, err)
  local before = scope.error ~= nil
  if has_children(scope) then
    end_children(task, scope, ok)
    local broken = find_broken(task) -- while it waited
    if ok and broken then ok, err = false, broken end
  end
  if not scope.error then return ok, err end
  return false, ok and scope.error or add_own_error(scope, err, before)
end

local function certain(fine, ...)
  if fine then return ... end
  shared.fatal(tostring((...)))
  return yield() -- for ever: a fatal error drops all tasks
end

local function leave_changed(task, scope, ok, err)
  if scope.error or has_children(scope) then
    ok, err = certain(pcall(outcome, task, scope, ok, err))
  end
  if scope ~= task then remove_timer(scope) end
  end_connections(scope, ok)
  task[SCOPE] = scope[OUTER]
  set_broken(task, task[SCOPE] and find_broken(task) or nil)
  return ok, err
end

-- Leaves a scope, in the task's own coroutine. Gives whether it ended well, or the error. A scope
-- that cannot be left, for want of memory, would keep what belongs to it: that is fatal.
local function leave(task, scope, ok, err)
  if scope[CHANGED] then return leave_changed(task, scope, ok, err) end
  local cheap = scope[CONNECTION]
  if cheap then
    scope[CONNECTION] = false
    inner.end_connection(cheap, ok)
  end
  task[SCOPE] = scope[OUTER]
  return ok, err
end
inner.leave = leave

local function new_scope(task)
  local none = false
  return { [0] = none, none, none, task[SCOPE], task }
end

-- seconds: after which the scope is cancelled. shield: cancellations from outside wait.
local function enter(task, seconds, shield)
  local scope = new_scope(task)
  if seconds then
    scope[CHANGED], scope.shield = true, shield
    scope.over = cancellation("timed out", "ETIME")
    set_timer(scope, seconds)
  end
  task[SCOPE] = scope
  if shield then set_broken(task, find_broken(task)) end
  return scope
end
inner.enter = enter

-- Enters a scope that the task has left, in the same place; if something is left in it, or it is
-- nil, a new one.
function inner.enter_again(task, scope)
  if not scope or scope[CHANGED] then return enter(task) end
  task[SCOPE] = scope
  return scope
end

local function after_scope(task, scope, ok, ...)
  local good, err = leave(task, scope, ok, (...))
  if good then return ... end
  if err == scope.over then return nil, err.message, err.errname end
  error(err, 0)
end
inner.after_scope = after_scope

function co.scope(f, ...)
  inner.check_function(f, "scope")
  local task = here "scope"
  local scope = enter(task)
  return after_scope(task, scope, xpcall(f, add_traceback, ...))
end

local function check_time(seconds, name)
  if seconds == nil then
    error(name .. ": a number of seconds and a function expected, not nil", 3)
  end
  inner.check_seconds(seconds, name, 3)
end

function co.deadline(seconds, f, ...)
  check_time(seconds, "deadline")
  inner.check_function(f, "deadline")
  local task = here "deadline"
  local scope = enter(task, seconds)
  return after_scope(task, scope, xpcall(f, add_traceback, ...))
end

-- Also in a task that has been cancelled: for a goodbye that has to wait.
function co.shield(seconds, f, ...)
  check_time(seconds, "shield")
  inner.check_function(f, "shield")
  local task = current()
  if not task or running() ~= task[THREAD] then error("shield" .. inner.OUTSIDE, 2) end
  local scope = enter(task, seconds, true)
  return after_scope(task, scope, xpcall(f, add_traceback, ...))
end
