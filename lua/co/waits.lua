-- SPDX-License-Identifier: MIT
-- Waits of tasks: suspending, waking, times, cancelling.
--
-- A task is a coroutine that runs from the loop only, waits, and owns what was begun in it. A scope
-- is a part of a task, from a call to its return; what was begun in it ends with it. The task
-- itself is its outermost scope. Both are tables with these fields, absent until they are needed:
--   [CHANGED]                 true: one of the fields with names below is or was there
--   [CONNECTION], connections   connections that belong to it: the first, and a set of further ones
--   [TIMER]                   number of its timer: in a task, that of its wait
--   [OUTER]                   the scope around it; false in a task
--   children, daemons         sets of tasks begun in it
--   cancelled                 the error by which it was cancelled
--   error                     the first error of a child
-- A scope that is no task also has [TASK], and over (the error of its own deadline) and shield. A
-- task has [THREAD] (its coroutine), [SESSION], [SCOPE] (the innermost one), broken (what its waits
-- raise), traced (true: its steps are printed), [APART] (true: it is broken or traced), and while
-- it waits: [WAIT] (for what kind of thing), [OBJECT] (for which one), [DUE] (until when),
-- [TIMER_DUE] (when its timer goes off); while it is ready: [OBJECT] (what its wait gets), [READY]
-- (the next ready one). Once it is over: [OVER] ("done", "failed" or "cancelled"), [OUTCOME] (its
-- results, or its error). What every task has is at indices, which take a third of the memory that
-- names take. All of these are false, not nil, until they are needed: the metatable is looked at
-- where nil is, and to set an index that is nil may need memory.
--
-- What always holds: a task that waits stands in exactly one place, from which unlink[its WAIT]
-- takes it; a task that is ready stands in the list of ready ones, once, and nowhere else. So that
-- this holds without memory too, the functions of these parts take the memory that they need before
-- they change anything, that of the stack too (make_room), and making a task ready takes none. Else
-- an error is fatal: errors that go from the parts to the loop, and those of leaving a scope
-- (certain).
--
-- shared[RUNNING] is the task that runs, or false. C (dialogue.c) gives a record straight to the
-- coroutine that waits for it, which then enters its task there; C puts back what was there before.
local shared, tcpmulti, co = ...
local inner = shared.co
local PRIVATE = shared.PRIVATE
local format = string.format
local now, nanoseconds = tcpmulti.now, shared.check.nanoseconds
local resume_thread = coroutine.resume
local run_as = shared.run_as
local running, yield = coroutine.running, coroutine.yield
local may_yield, await_time = shared.may_yield, shared.await_time
local cancellation, is_cancellation = inner.cancellation, inner.is_cancellation

local CANCEL, TIMEOUT, ENDED = {}, {}, {} -- values for a wait that was not fulfilled
inner.CANCEL, inner.TIMEOUT, inner.ENDED = CANCEL, TIMEOUT, ENDED
local RUNNING = 0
inner.RUNNING = RUNNING
local CHANGED, CONNECTION, TIMER, OUTER, TASK = 0, 1, 2, 3, 4 -- C (task.c) writes TIMER, too
local THREAD, SESSION, SCOPE, WAIT, OBJECT, APART = 4, 5, 6, 7, 8, 9 -- 10, 11, 14: tasks.lua
local DUE, TIMER_DUE = 12, 13
local READY = DUE -- the same index: a task that is ready does not wait
local OVER, OUTCOME = TIMER_DUE, OBJECT -- a task that is over has no timer and does not wait
inner.OVER, inner.OUTCOME = OVER, OUTCOME
inner.CHANGED, inner.CONNECTION, inner.OUTER, inner.TIMER = CHANGED, CONNECTION, OUTER, TIMER
inner.THREAD, inner.SESSION, inner.SCOPE = THREAD, SESSION, SCOPE
inner.WAIT, inner.OBJECT, inner.APART, inner.DUE = WAIT, OBJECT, APART, DUE
local EARLY = 0.0005 -- seconds; a timer that is earlier than this before a wait's end ends it

local unlink = {} -- kind of wait -> function(task, object) that takes the task off
inner.unlink = unlink

shared[RUNNING] = false

-- "done", "failed", "cancelled"; nil: it goes on, or it is a scope.
local function over_as(task)
  local over = task[OVER]
  return type(over) == "string" and over or nil
end
inner.over_as = over_as

function co.current() return shared[RUNNING] or nil end
inner.current = co.current

local function label(task)
  return task.name ~= nil and format("task '%s'", inner.show(task.name)) or "a task"
end
inner.label = label

local function trace(task, what)
  if not task[APART] or not task.traced then return end
  shared.warn(format("%s: %s %s", shared.session_label(task[SESSION][PRIVATE]), label(task), what))
end

inner.trace = trace

-- ---- running ----

local function after_resume(task, outer, ok, err)
  if not ok then inner.failed(task, err) end
  shared[RUNNING] = outer
end

-- value: the result of its wait.
local function resume(task, value)
  local outer = shared[RUNNING]
  shared[RUNNING] = task
  after_resume(task, outer, resume_thread(task[THREAD], value))
end

-- Runs a new coroutine of the task.
function inner.begin(task, ...)
  local outer = shared[RUNNING]
  shared[RUNNING] = task
  after_resume(task, outer, resume_thread(task[THREAD], ...))
end

-- Resumes from the loop, with the task's session as the running one; not if that has stopped.
local function resume_in(task, value)
  if run_as(task[SESSION]) then resume(task, value) end
end

local function end_of_wait(task) task[WAIT], task[OBJECT], task[DUE] = false, false, false end
inner.end_of_wait = end_of_wait

-- Resumes at once, from an event of the task's wait. owner: the session whose event it is.
function inner.wake(task, value, owner)
  end_of_wait(task)
  if task[SESSION] == owner then resume(task, value) else resume_in(task, value) end
end

local first_ready, last_ready -- a list, linked by READY

-- Lets a task go on from the loop: after the running handler or task. Never raises: where the loop
-- cannot be told, for want of memory, that is fatal, and tasks are dropped.
local function make_ready(task, value)
  if not shared.wake_tasks() then return end
  if task[WAIT] ~= "start" then end_of_wait(task) end
  task[OBJECT] = value
  if last_ready then last_ready[READY] = task else first_ready = task end
  last_ready = task
end
inner.make_ready = make_ready

local function run_one(task, value)
  if task[WAIT] ~= "start" then return resume_in(task, value) end
  task[WAIT] = false
  trace(task, "starts")
  resume_in(task)
end

function inner.has_ready() return first_ready ~= nil end

-- C calls this when there are ready tasks. What these make ready runs in the next turn.
function shared.run_ready()
  local task = first_ready
  first_ready, last_ready = nil, nil
  while task do
    local value, following = task[OBJECT], task[READY]
    task[OBJECT], task[READY] = false, false
    run_one(task, value)
    task = following
  end
end

-- ---- timers ----

local cancel_scope

-- The task waits no more, without what it waited for. Also where the wait has not come about, for
-- want of memory.
local function leave_wait(task)
  local take_off = unlink[task[WAIT]]
  if take_off then take_off(task, task[OBJECT]) end
  end_of_wait(task)
end
inner.leave_wait = leave_wait

local function set_timer(object, seconds)
  object[TIMER] = object[TIMER] or false -- there is room for the number
  object[TIMER] = shared.set_timer(object, nanoseconds(seconds)) or false
end

local function remove_timer(object)
  if not object[TIMER] then return end
  shared.remove_timer(object[TIMER])
  object[TIMER] = false
end
inner.set_timer, inner.remove_timer = set_timer, remove_timer

-- C calls this when the timer of a task or a scope goes off. That of a task is moved only when a
-- wait ends earlier than it goes off, so it may find that nothing is due yet.
function shared.task_timer(object)
  object[TIMER] = false
  if object[OUTER] then return cancel_scope(object, object.over) end
  if not object[DUE] or not object[WAIT] then return end
  local left = object[DUE] - now()
  if left <= EARLY then
    leave_wait(object)
    return resume_in(object, TIMEOUT)
  end
  set_timer(object, left)
  object[TIMER_DUE] = object[DUE]
end

-- The running wait of the task ends after so many seconds.
local function arm(task, seconds)
  local due = now() + seconds
  if not task[TIMER] or task[TIMER_DUE] > due then
    remove_timer(task)
    set_timer(task, seconds)
    task[TIMER_DUE] = due
  end
  task[DUE] = due
end
inner.arm = arm

-- ---- waiting ----

-- The end of messages about calls that are only for tasks.
inner.OUTSIDE = ": only in a task; session:spawn(f) starts one, and so does co.run(session, f)"

-- The running task, if it may wait here; raises at the line that has called the caller.
local function here(name)
  local task = shared[RUNNING]
  if not task then error(name .. inner.OUTSIDE, 3) end
  if not may_yield(task[THREAD]) then
    error(running() ~= task[THREAD] and name .. ": only in the task's own coroutine"
      or name .. ": cannot wait inside a C function or a filter", 3)
  end
  if task[APART] and task.broken then error(task.broken, 0) end
  return task
end
inner.here = here

-- Begins a wait of the running task, before anything else is changed. A timer that an earlier wait
-- has left would keep the loop going.
local function begin_wait(task, kind, seconds)
  if task[WAIT] then leave_wait(task) end
  if task[APART] then trace(task, "waits for " .. kind) end
  if seconds then return arm(task, seconds) end
  remove_timer(task)
  task[DUE] = false
end
inner.begin_wait = begin_wait

-- The running task, whose wait has begun, waits for the object. Gives what it was made ready with.
local function suspend(task, kind, object)
  task[WAIT], task[OBJECT] = kind, object
  local value = yield()
  if value == CANCEL then error(task.broken, 0) end
  return value
end
inner.suspend = suspend

-- Both. list: where the task stands while it waits, or nil; entry: what stands there, if that is
-- not the task itself.
local function wait(task, kind, object, seconds, list, entry)
  begin_wait(task, kind, seconds)
  if list then list[#list + 1] = entry or task end
  return suspend(task, kind, object)
end
inner.wait = wait

unlink.sleep = remove_timer

local function sleep_carefully(seconds)
  local task = here "sleep"
  if seconds == nil then error("sleep: a number of seconds expected, not nil", 2) end
  inner.check_seconds(seconds, "sleep", 2)
  if seconds > 0 then
    wait(task, "sleep", nil, seconds)
    return true
  end
  make_ready(task, true)
  if yield() == CANCEL then error(task.broken, 0) end
  return true
end

-- The common case, in which C resumes the task when the time is over.
function co.sleep(seconds)
  local task = shared[RUNNING]
  local ns = type(seconds) == "number" and seconds > 0 and nanoseconds(seconds)
  if not ns or not task or task[APART] or task[TIMER] then return sleep_carefully(seconds) end
  task[WAIT] = "sleep"
  local got = await_time(task, ns, task[THREAD])
  if got and task[WAIT] then
    shared[RUNNING] = task
    task[WAIT], task[TIMER] = false, false
    return true
  end
  if got == CANCEL then error(task.broken, 0) end
  task[WAIT] = false
  return sleep_carefully(seconds)
end

-- ---- cancelling ----

local function task_of(scope) return scope[OUTER] and scope[TASK] or scope end

-- The error that breaks the task's waits: that of the outermost cancelled scope, of those that no
-- shield keeps off.
local function find_broken(task)
  local found
  local scope = task[SCOPE]
  while scope do
    found = scope.cancelled or found
    if scope.shield then return found end
    scope = scope[OUTER]
  end
  return found
end
inner.find_broken = find_broken

-- From now on the task's waits raise err; nil: they do not.
local function set_broken(task, err)
  if err ~= task.broken then task.broken = err end
  task[APART] = (err ~= nil or task.traced) and true or false
end
inner.set_broken = set_broken

local function cancel_all(set, err)
  for child in pairs(set or {}) do cancel_scope(child, err) end
end

inner.cancel_all, inner.task_of = cancel_all, task_of

-- The innermost scope of those that end with this one: they lie in it, with no shield between.
local function innermost_within(task, scope)
  local found, each = task[SCOPE], task[SCOPE]
  while each ~= scope do
    if each.shield then found = each[OUTER] end
    each = each[OUTER]
  end
  return found
end

local CANNOT_BREAK = { children = true, start = true }
inner.CANNOT_BREAK = CANNOT_BREAK

-- The task's wait ends if a cancelled scope says so.
local function break_wait(task)
  set_broken(task, find_broken(task))
  local kind = task[WAIT]
  if not task.broken or not kind or CANNOT_BREAK[kind] or task == shared[RUNNING] then return end
  leave_wait(task)
  make_ready(task, CANCEL)
end
inner.break_wait = break_wait

local ANOTHER = cancellation "another task has failed"

-- The error that children raise when their scope has been cancelled by err.
local function reason_for_children(err) return is_cancellation(err) and err or ANOTHER end
inner.reason_for_children = reason_for_children

-- Cancels a scope: its task's waits raise err, its children are cancelled too. Daemons are
-- cancelled when the scope is left. The scope is marked behind its children: if there was no memory
-- for some of these, it can be cancelled again.
function cancel_scope(scope, err)
  if scope.cancelled or over_as(scope) then return end
  local task = task_of(scope)
  local each = innermost_within(task, scope)
  cancel_all(each.children, reason_for_children(err))
  while each ~= scope do
    each = each[OUTER]
    cancel_all(each.children, reason_for_children(err))
  end
  shared.make_room()
  task.broken = task.broken or false -- there is room for the error
  scope[CHANGED], scope.cancelled = true, err
  break_wait(task)
end
inner.cancel_scope = cancel_scope
