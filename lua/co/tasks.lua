-- SPDX-License-Identifier: MIT
-- Tasks: how they begin and end, and what a session does with them. Their fields: waits.lua.
local shared, _, co = ...
local PRIVATE = shared.PRIVATE
local inner = shared.co
local format = string.format
local new_thread, resume_thread = coroutine.create, coroutine.resume
local yield = coroutine.yield
local cancellation, is_cancellation = inner.cancellation, inner.is_cancellation
local join_errors, pack = inner.join_errors, inner.pack
local has_children, leave = inner.has_children, inner.leave
local here, wait, make_ready, unlink = inner.here, inner.wait, inner.make_ready, inner.unlink
local cancel_scope, task_of, remove_timer = inner.cancel_scope, inner.task_of, inner.remove_timer
local break_wait, set_broken = inner.break_wait, inner.set_broken
local THREAD, SESSION, SCOPE = inner.THREAD, inner.SESSION, inner.SCOPE
local WAIT, OBJECT, CONNECTION = inner.WAIT, inner.OBJECT, inner.CONNECTION
local APART, DUE, RUNNING = inner.APART, inner.DUE, inner.RUNNING
local CHANGED, OUTER = inner.CHANGED, inner.OUTER
local OVER, OUTCOME, over_as = inner.OVER, inner.OUTCOME, inner.over_as
local label, trace, current = inner.label, inner.trace, inner.current
local TIMEOUT, CANNOT_BREAK = inner.TIMEOUT, inner.CANNOT_BREAK

local GOODBYES_MOST = 16 -- waits of a task whose session has stopped
local IDLE_MOST = 256 -- coroutines kept to be used again

local PARENT = 14 -- a scope, or false
local NEXT, PREVIOUS = 10, 11 -- in the list of the session's live tasks: session[PRIVATE].tasks
local with_tasks = setmetatable({}, { __mode = "k" }) -- sessions that have had tasks
local Task = {}
Task.__index = Task

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
    parent[CHANGED], parent.error = true, err
    cancel_scope(parent, err)
  end
  local waiting = task_of(parent)
  if waiting[WAIT] == "children" and waiting[OBJECT] == parent and not has_children(parent) then
    make_ready(waiting, true)
  end
end

local function tell_joiners(task)
  local joiners = task.joiners
  if not joiners then return end
  task.joiners = nil
  for _, joiner in ipairs(joiners) do -- the joiner may have been cancelled just now
    if joiner[WAIT] == "join" and joiner[OBJECT] == task then make_ready(joiner, true) end
  end
end

local NOTHING = pack()

-- The task's function has returned or raised.
local function finish(task, ok, ...)
  if task[WAIT] then inner.leave_wait(task) end
  local cheap, parent = task[CONNECTION], task[PARENT]
  local good, err = leave(task, task, ok, (...))
  local cancelled = not good and is_cancellation(err)
  if good then err = select("#", ...) > 0 and pack(...) or NOTHING end
  remove_timer(task)
  task[OVER], task[OUTCOME] = good and "done" or cancelled and "cancelled" or "failed", err
  task[PARENT], task[SCOPE] = false, false
  trace(task, task[OVER])
  local lost = not good and not cancelled and err or nil
  if parent then
    tell_parent(task, parent, lost)
  elseif lost and not task.joiners then
    shared.report_task(task[SESSION], tostring(lost), cheap)
  end
  tell_joiners(task)
  count_out(task)
end

local idle, idle_count = {}, 0 -- coroutines to be used again

local body

-- A frame of its own, by a tail call, so that an idle coroutine keeps nothing of its last task.
local function wait_for_task() return body(yield()) end

-- Keeps what the task begins with on its own stack, until the task starts from the loop.
function body(task, f, ...)
  yield()
  finish(task, true, f(...))
  if idle_count < IDLE_MOST then
    idle[idle_count + 1] = task[THREAD]
    idle_count, task[THREAD] = idle_count + 1, false
    return wait_for_task()
  end
end

local function get_thread()
  if idle_count == 0 then return new_thread(body) end
  local thread = idle[idle_count]
  idle[idle_count] = false -- the place is kept
  idle_count = idle_count - 1
  return thread
end

-- The task's coroutine has ended by an error; once the task is over, by one of the library's own.
function inner.failed(task, err)
  if over_as(task) then error(err, 0) end
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
    task[CHANGED], task.cancelled = true, inner.reason_for_children(err)
    set_broken(task, task.cancelled)
  end
  task[PARENT] = parent
  parent[CHANGED], parent[kind] = true, parent[kind] or {}
  parent[kind][task] = true
end

-- Makes a task that starts from the loop. parent: a scope, or nil; kind: "children" or "daemons".
local function start(session, parent, kind, ...)
  shared.make_room()
  local thread = get_thread()
  local none = false -- a table of constants would take more memory than its fields
  local wait_for_start = "start"
  local task = setmetatable({
    [0] = none, none, none, none, thread, session, none, wait_for_start, none, none, none, none,
    none, none, none,
  }, Task)
  local private = session[PRIVATE]
  task[SCOPE] = task
  local ok, err = resume_thread(thread, task, ...)
  if not ok then error(err, 0) end
  if private.trace then task.traced, task[APART] = true, true end
  if private.tasks == nil then
    with_tasks[session] = true
    private.tasks = false -- there is room for it
  end
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
  if not over_as(self) then
    self.joiners = self.joiners or {}
    local got = wait(me, "join", self, seconds, self.joiners)
    if got == TIMEOUT then return nil, "it goes on", "ETIME" end
  end
  local outcome = self[OUTCOME]
  if self[OVER] == "done" then return unpack(outcome, 1, outcome.n) end
  if type(outcome) == "string" then error(outcome, 0) end
  return co.failure(outcome)
end

function Task:cancel(message)
  if message ~= nil and type(message) ~= "string" then
    error("cancel: a message expected, not " .. shared.describe(message), 2)
  end
  if over_as(self) then return nil, "the task has ended", "ESRCH" end
  cancel_scope(self, cancellation(message or "by task:cancel"))
  return true
end

-- "running", "ready", "waiting" and for what, "done", "failed", "cancelled".
function Task:status()
  if over_as(self) then return self[OVER] end
  if self == current() then return "running" end
  if not self[WAIT] or self[WAIT] == "start" then return "ready" end
  return "waiting", self[WAIT]
end

function Task:traceback() return self[THREAD] and debug.traceback(self[THREAD]) or "" end

-- ---- the end of a session ----

local function cancel_tasks(session, message)
  for _, task in ipairs(list_tasks(session)) do
    if not task[PARENT] then cancel_scope(task, cancellation(message)) end
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
    scope = scope[OUTER]
  end
  break_wait(task)
end

-- Nothing of the task keeps the loop going any more, nor finds its coroutine.
local function drop(task)
  if task[WAIT] then inner.leave_wait(task) end
  local scope = task[SCOPE]
  while scope do
    remove_timer(scope)
    scope = scope[OUTER]
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
