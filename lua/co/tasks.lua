-- SPDX-License-Identifier: MIT
-- Scopes and tasks: what belongs to them, how they begin and end. Their fields: waits.lua.
local shared, _, co = ...
local PRIVATE = shared.PRIVATE
local inner = shared.co
local format = string.format
local new_thread, resume_thread = coroutine.create, coroutine.resume
local running, yield = coroutine.running, coroutine.yield
local cancellation, is_cancellation = inner.cancellation, inner.is_cancellation
local join_errors = inner.join_errors
local pack, add_traceback = inner.pack, inner.add_traceback
local here, wait, make_ready, unlink = inner.here, inner.wait, inner.make_ready, inner.unlink
local cancel_scope, cancel_all, task_of = inner.cancel_scope, inner.cancel_all, inner.task_of
local find_broken, break_wait, set_broken = inner.find_broken, inner.break_wait, inner.set_broken
local set_timer, remove_timer = inner.set_timer, inner.remove_timer
local THREAD, SESSION, SCOPE = inner.THREAD, inner.SESSION, inner.SCOPE
local WAIT, OBJECT, CONNECTION = inner.WAIT, inner.OBJECT, inner.CONNECTION
local APART, DUE, RUNNING = inner.APART, inner.DUE, inner.RUNNING
local label, trace, current = inner.label, inner.trace, inner.current
local TIMEOUT, CANNOT_BREAK = inner.TIMEOUT, inner.CANNOT_BREAK

local GOODBYES_MOST = 16 -- waits of a task whose session has stopped
local IDLE_MOST = 256 -- coroutines kept to be used again

local NEXT, PREVIOUS = 8, 9 -- in the list of the session's live tasks: session[PRIVATE].tasks
local with_tasks = setmetatable({}, { __mode = "k" }) -- sessions that have had tasks
local PARENT_ENDED = cancellation "its parent has ended"
local PARENT_FAILED = cancellation "its parent has failed"
local Task = {}
Task.__index = Task

-- ---- what belongs to a scope ----

function inner.own(scope, cheap)
  if not scope[CONNECTION] then
    scope[CONNECTION] = cheap
    return
  end
  scope.connections = scope.connections or {}
  scope.connections[cheap] = true
end

function inner.disown(scope, cheap)
  if scope[CONNECTION] == cheap then
    scope[CONNECTION] = nil
  elseif scope.connections then
    scope.connections[cheap] = nil
  end
end

local function end_connections(scope, in_order)
  local first, others = scope[CONNECTION], scope.connections
  scope[CONNECTION], scope.connections = nil, nil
  if first then inner.end_connection(first, in_order) end
  for cheap in pairs(others or {}) do inner.end_connection(cheap, in_order) end
end

local function has_children(scope)
  return scope.children and next(scope.children) or scope.daemons and next(scope.daemons)
end

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

-- Leaves a scope, in the task's own coroutine. Gives whether it ended well, or the error. A scope
-- that cannot be left, for want of memory, would keep what belongs to it: that is fatal.
local function leave(task, scope, ok, err)
  if scope.error or has_children(scope) then
    ok, err = certain(pcall(outcome, task, scope, ok, err))
  end
  if scope ~= task then remove_timer(scope) end
  end_connections(scope, ok)
  task[SCOPE] = scope.outer
  set_broken(task, task[SCOPE] and find_broken(task))
  return ok, err
end

-- seconds: after which the scope is cancelled. shield: cancellations from outside wait.
local function enter(task, seconds, shield)
  local scope = { task = task, outer = task[SCOPE], shield = shield }
  if seconds then
    scope.over = cancellation("timed out", "ETIME")
    set_timer(scope, seconds)
  end
  task[SCOPE] = scope
  set_broken(task, find_broken(task))
  return scope
end
inner.enter = enter

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

-- ---- the life of a task ----

-- The live tasks of a session, as they are now.
local function list_tasks(session)
  local list, task = {}, session[PRIVATE].tasks
  while task do
    list[#list + 1] = task
    task = task[NEXT]
  end
  return list
end

local function find_task(thread)
  for session in pairs(with_tasks) do
    for _, task in ipairs(list_tasks(session)) do
      if task[THREAD] == thread then return task end
    end
  end
end

local function count_in(task, session)
  local private = session[PRIVATE]
  local first = private.tasks
  task[NEXT] = first
  if first then first[PREVIOUS] = task end
  private.tasks = task
  shared.hold_task(session)
end

local function count_out(task)
  local session, before, behind = task[SESSION], task[PREVIOUS], task[NEXT]
  if before then before[NEXT] = behind else session[PRIVATE].tasks = behind end
  if behind then behind[PREVIOUS] = before end
  shared.release_task(session)
end

local function tell_parent(task, parent, err)
  local set = parent.children
  if not (set and set[task]) then set = parent.daemons end
  set[task] = nil
  if err and parent.error then
    parent.error = join_errors(parent.error, err)
  elseif err then
    parent.error = err
    cancel_scope(parent, err)
  end
  local waiting = task_of(parent)
  if waiting[WAIT] == "children" and waiting[OBJECT] == parent and not has_children(parent) then
    make_ready(waiting, true)
  end
end

local function tell_joiners(task)
  local joiners = task.joiners
  task.joiners = nil
  for _, joiner in ipairs(joiners or {}) do -- the joiner may have been cancelled just now
    if joiner[WAIT] == "join" and joiner[OBJECT] == task then make_ready(joiner, true) end
  end
end

-- The task's function has returned or raised.
local function finish(task, ok, ...)
  if task[WAIT] then inner.leave_wait(task) end
  local cheap, parent = task[CONNECTION], task.parent
  local good, err = leave(task, task, ok, (...))
  local cancelled = not good and is_cancellation(err)
  remove_timer(task)
  task.over_as = good and "done" or cancelled and "cancelled" or "failed"
  if good then task.results = pack(...) else task.problem = err end
  task.parent, task[SCOPE] = nil, nil
  trace(task, task.over_as)
  local lost = not good and not cancelled and err or nil
  if parent then
    tell_parent(task, parent, lost)
  elseif lost and not task.joiners then
    shared.report_task(task[SESSION], tostring(lost), cheap)
  end
  tell_joiners(task)
  count_out(task)
end

local idle = {} -- coroutines to be used again

local body

-- A frame of its own, by a tail call, so that an idle coroutine keeps nothing of its last task.
local function wait_for_task() return body(yield()) end

-- Keeps what the task begins with on its own stack, until the task starts from the loop.
function body(task, f, ...)
  yield()
  finish(task, true, f(...))
  if #idle < IDLE_MOST then
    idle[#idle + 1] = task[THREAD]
    task[THREAD] = nil
    return wait_for_task()
  end
end

-- The task's coroutine has ended by an error; once the task is over, by one of the library's own.
function inner.failed(task, err)
  if task.over_as then error(err, 0) end
  err = inner.add_traceback_of(task[THREAD], err)
  if not has_children(task) then return finish(task, false, err) end
  task[THREAD] = new_thread(finish) -- the task has to wait for them
  inner.begin(task, task, false, err)
end

-- C calls this with the error that has ended a coroutine. One that comes before receive goes on, as
-- that of a hook, finds the task still waiting.
function shared.task_failed(thread, err)
  local task = shared[RUNNING]
  if not task or task[THREAD] ~= thread then task = find_task(thread) end
  if task[WAIT] then inner.leave_wait(task) end
  shared[RUNNING] = task
  inner.failed(task, err)
end

-- A parent that is cancelled already has only cancelled children.
local function join_parent(task, parent, kind)
  local err = parent.cancelled
  if err then
    task.cancelled = inner.reason_for_children(err)
    set_broken(task, task.cancelled)
  end
  task.parent = parent
  parent[kind] = parent[kind] or {}
  parent[kind][task] = true
end

-- Makes a task that starts from the loop. parent: a scope, or nil; kind: "children" or "daemons".
local function start(session, parent, kind, ...)
  shared.make_room()
  local thread = table.remove(idle) or new_thread(body)
  local none = false -- a table of constants would take more memory than its fields
  local wait_for_start = "start"
  local task = setmetatable({
    thread, session, none, wait_for_start, none, none, none, none, none, none, none, none,
  }, Task)
  local private = session[PRIVATE]
  task[SCOPE] = task
  local ok, err = resume_thread(thread, task, ...)
  if not ok then error(err, 0) end
  if private.trace then task.traced, task[APART] = true, true end
  private.tasks, with_tasks[session] = private.tasks or false, true -- there is room for it
  if parent then join_parent(task, parent, kind) end
  count_in(task, session)
  make_ready(task, false)
  return task
end
inner.start = start

function co.spawn(f, ...)
  inner.check_function(f, "spawn")
  local task = here "spawn"
  return start(task[SESSION], task[SCOPE], "children", f, ...)
end

function co.daemon(f, ...)
  inner.check_function(f, "daemon")
  local task = here "daemon"
  return start(task[SESSION], task[SCOPE], "daemons", f, ...)
end

function shared.session_methods.spawn(session, f, ...)
  shared.state_checks.session(session, "spawn")
  inner.check_function(f, "spawn")
  if shared.state(session) ~= "live" then return nil, "session is dying", "ESHUTDOWN" end
  return start(session, nil, nil, f, ...)
end

function shared.session_methods.tasks(session)
  shared.state_checks.session(session, "tasks")
  local list, at = list_tasks(session), 0
  return function()
    at = at + 1
    return list[at]
  end
end

-- ---- methods of tasks ----

function unlink.join(task, object)
  for i, joiner in ipairs(object.joiners or {}) do
    if joiner == task then return table.remove(object.joiners, i) end
  end
end

function Task:join(seconds)
  inner.check_seconds(seconds, "join", 2)
  local me = here "join"
  if self == me then error("join: a task cannot wait for itself", 2) end
  if not self.over_as then
    self.joiners = self.joiners or {}
    local got = wait(me, "join", self, seconds, self.joiners)
    if got == TIMEOUT then return nil, "it goes on", "ETIME" end
  end
  if self.over_as == "done" then return unpack(self.results, 1, self.results.n) end
  if type(self.problem) == "string" then error(self.problem, 0) end
  return co.failure(self.problem)
end

function Task:cancel(message)
  if message ~= nil and type(message) ~= "string" then
    error("cancel: a message expected, not " .. shared.describe(message), 2)
  end
  if self.over_as then return nil, "the task has ended", "ESRCH" end
  cancel_scope(self, cancellation(message or "by task:cancel"))
  return true
end

-- "running", "ready", "waiting" and for what, "done", "failed", "cancelled".
function Task:status()
  if self.over_as then return self.over_as end
  if self == current() then return "running" end
  if not self[WAIT] or self[WAIT] == "start" then return "ready" end
  return "waiting", self[WAIT]
end

function Task:traceback() return self[THREAD] and debug.traceback(self[THREAD]) or "" end

-- ---- the end of a session ----

local function cancel_tasks(session, message)
  for _, task in ipairs(list_tasks(session)) do
    if not task.parent then cancel_scope(task, cancellation(message)) end
  end
end

-- C calls this when a session that has tasks dies.
function shared.tasks_die(session) cancel_tasks(session, "session is dying") end

-- The task and what it waits for, if that cannot come any more.
local function describe_stuck(task)
  local kind = task[WAIT]
  if not kind or kind == "sleep" or CANNOT_BREAK[kind] or task[DUE] or task.cancelled then
    return nil
  end
  local name = type(task[OBJECT]) == "table" and rawget(task[OBJECT], "name")
  return format("%s waits for %s%s", label(task), task[WAIT],
    name and format(" '%s'", inner.show(name)) or "")
end

-- C calls this for each session when the loop has nothing more to do. Gives the message about tasks
-- that wait for what cannot come, which are cancelled; nil: there are none.
function shared.tasks_stuck(session)
  local stuck = {}
  for _, task in ipairs(list_tasks(session)) do stuck[#stuck + 1] = describe_stuck(task) end
  if #stuck == 0 then return nil end
  table.sort(stuck)
  cancel_tasks(session, "it waits for what cannot come")
  return "deadlock: " .. table.concat(stuck, ", ")
end

-- Breaks whatever the task waits for, in a shield too.
local function break_shields(task)
  local scope = task[SCOPE]
  while scope do
    scope.shield = nil
    scope = scope.outer
  end
  break_wait(task)
end

-- Nothing of the task keeps the loop going any more, nor finds its coroutine.
local function drop(task)
  if task[WAIT] then inner.leave_wait(task) end
  local scope = task[SCOPE]
  while scope do
    remove_timer(scope)
    scope = scope.outer
  end
  count_out(task)
end

-- C calls this when a session with tasks stops: they end before _stop runs. A task may wait again
-- while it ends, in a new shield; one that does so too often is dropped.
function shared.tasks_stop(session)
  cancel_tasks(session, "session is dying")
  for _ = 1, GOODBYES_MOST do
    for _, task in ipairs(list_tasks(session)) do break_shields(task) end
    while inner.has_ready() do shared.run_ready() end
    if not session[PRIVATE].tasks then return end
  end
  for _, task in ipairs(list_tasks(session)) do drop(task) end
end
