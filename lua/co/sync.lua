-- SPDX-License-Identifier: MIT
-- Waits beside those for connections: for semaphores, queues, callbacks, signals, standard input.
-- Tasks that wait stand in lists, in order; a task that gives up is taken off.
local shared, _, co = ...
local inner = shared.co
local SESSION, OBJECT = inner.SESSION, inner.OBJECT
local format = string.format
local here, wait, make_ready, unlink = inner.here, inner.wait, inner.make_ready, inner.unlink
local pack, add_traceback = inner.pack, inner.add_traceback
local TIMEOUT, ENDED = inner.TIMEOUT, inner.ENDED
local LONG = 1e6 -- seconds

local function take_off(list, task)
  for i, entry in ipairs(list) do
    if entry == task or entry[1] == task then return table.remove(list, i) end
  end
end

local function check_most(most, name)
  if most == nil or type(most) == "number" and most >= 1 then return end
  error(format("%s: a number, 1 or more, expected, not %s", name, shared.describe(most)), 3)
end

-- ---- semaphores ----

local Semaphore = {}
Semaphore.__index = Semaphore

function co.semaphore(count, name)
  if type(count) ~= "number" or count < 0 or count % 1 ~= 0 then
    error("semaphore: how many at once? A whole number, 0 or more, expected, not "
      .. shared.describe(count), 2)
  end
  return setmetatable({ count = count, waiting = {}, name = name }, Semaphore)
end

function unlink.semaphore(task, semaphore) take_off(semaphore.waiting, task) end

function Semaphore:acquire(seconds)
  inner.check_seconds(seconds, "acquire", 2)
  local task = here "acquire"
  if self.count > 0 then
    self.count = self.count - 1
    return true
  end
  if seconds == 0 then return nil, "none is free", "ETIME" end
  if wait(task, "semaphore", self, seconds, self.waiting) == TIMEOUT then
    return nil, format("none was free for %g s", seconds), "ETIME"
  end
  return true
end

function Semaphore:release()
  shared.make_room()
  local task = table.remove(self.waiting, 1)
  if task then make_ready(task, true) else self.count = self.count + 1 end
end

local function after_with(semaphore, ok, ...)
  semaphore:release()
  if ok then return ... end
  error((...), 0)
end

function Semaphore:with(f, ...)
  inner.check_function(f, "with")
  here "with"
  self:acquire()
  return after_with(self, xpcall(f, add_traceback, ...))
end

-- ---- queues: values are at the indices from first to last ----

local Queue = {}
Queue.__index = Queue

function co.queue(most, name)
  check_most(most, "queue")
  return setmetatable({
    most = most or math.huge,
    first = 1,
    last = 0,
    closed = false,
    getters = {},
    putters = {}, -- { task, value }
    name = name,
  }, Queue)
end

unlink["queue:get"] = function(task, queue) take_off(queue.getters, task) end
unlink["queue:put"] = function(task, queue) take_off(queue.putters, task) end

function Queue:count() return self.last - self.first + 1 end

local function append(queue, value)
  queue[queue.last + 1] = value
  queue.last = queue.last + 1
end

local function wait_for_room(queue, value, seconds)
  local task = here "put"
  local woken = wait(task, "queue:put", queue, seconds, queue.putters, { task, value })
  if woken == TIMEOUT then return nil, format("full for %g s", seconds), "ETIME" end
  if woken == ENDED then return nil, "the queue is closed", "EPIPE" end
  return true
end

-- Also from a handler, where it never waits.
function Queue:put(value, seconds)
  if value == nil then error("put: nil cannot be put into a queue", 2) end
  inner.check_seconds(seconds, "put", 2)
  if self.closed then return nil, "the queue is closed", "EPIPE" end
  shared.make_room()
  local getter = table.remove(self.getters, 1)
  if getter then
    make_ready(getter, value)
    return true
  end
  if self:count() < self.most then
    append(self, value)
    return true
  end
  if not inner.current() or seconds == 0 then return nil, "the queue is full", "ETIME" end
  return wait_for_room(self, value, seconds)
end

local function take_first(queue)
  shared.make_room()
  local putter, value = queue.putters[1], queue[queue.first]
  if putter then
    append(queue, putter[2])
    table.remove(queue.putters, 1)
    make_ready(putter[1], true)
  end
  queue[queue.first] = nil
  queue.first = queue.first + 1
  return value
end

function Queue:get(seconds)
  inner.check_seconds(seconds, "get", 2)
  local task = here "get"
  if self.first <= self.last then return take_first(self) end
  if self.closed then return nil, "the queue is closed", "EOF" end
  if seconds == 0 then return nil, "the queue is empty", "ETIME" end
  local value = wait(task, "queue:get", self, seconds, self.getters)
  if value == TIMEOUT then return nil, format("nothing for %g s", seconds), "ETIME" end
  if value == ENDED then return nil, "the queue is closed", "EOF" end
  return value
end

-- Values that are in it can still be taken; who waits for more, or for room, is told.
function Queue:close()
  shared.make_room()
  local getters, putters = self.getters, self.putters
  self.closed, self.getters, self.putters = true, {}, {}
  for _, task in ipairs(getters) do make_ready(task, ENDED) end
  for _, entry in ipairs(putters) do make_ready(entry[1], ENDED) end
end

function Queue:values()
  return function()
    here "values"
    return (self:get())
  end
end

-- ---- callbacks ----

-- An operation: came (done was called), over (done was called, or is too late), values (what done
-- was given; false: there was no memory for them).
function unlink.callback(_, operation) operation.over = true end

-- The wait is over before done was called: the operation is stopped, by the task itself, so that
-- what stop raises is an error of the task.
local function give_up(operation, stop, seconds, ok, err)
  operation.over = true
  if type(stop) == "function" then stop() end
  if not ok then error(err, 0) end
  return nil, format("nothing for %g s", seconds), "ETIME"
end

-- begin(done) starts something that calls done(…) once, now or later. What begin returns, if it is
-- a function, is called when the wait is over before.
function co.await(begin, seconds)
  inner.check_function(begin, "await")
  inner.check_seconds(seconds, "await", 2)
  local task, operation = here "await", { came = false, over = false, values = false }
  local stop = begin(function(...)
    if operation.over then return false end
    shared.make_room()
    operation.came, operation.over = true, true
    if task[OBJECT] == operation then make_ready(task, true) end
    operation.values = pack(...)
    return true
  end)
  local ok, err = true, nil
  if not operation.over then ok, err = pcall(wait, task, "callback", operation, seconds) end
  if not operation.came then return give_up(operation, stop, seconds, ok, err) end
  if not operation.values then error("await: not enough memory", 2) end
  return unpack(operation.values, 1, operation.values.n)
end

-- ---- signals and standard input ----

local function wait_for_signal(task, name, seconds)
  local session = task[SESSION]
  return co.await(function(done)
    local function stop()
      session:sig(name, nil)
      inner.remove_timer(task)
    end
    session:sig(name, function(_, which)
      stop()
      done(which)
    end)
    return stop
  end, seconds)
end

-- A watch does not keep the loop going, but a task that waits for a signal does: by a timer, which
-- ends with the wait.
function co.signal(name, seconds)
  inner.check_seconds(seconds, "signal", 2)
  local task = here "signal"
  inner.raising(2, task[SESSION].sig, task[SESSION], name, nil)
  if seconds then return wait_for_signal(task, name, seconds) end
  local came
  repeat came = wait_for_signal(task, name, LONG) until came
  return came
end

-- One line at a time is asked for: behind it the input is held.
function co.lines(max_length)
  local session, lines, why = here "lines"[SESSION], co.queue(nil, "stdin"), nil
  local function on_line(_, line, message, errname)
    if line then
      session:stdin(false)
      return lines:put(line)
    end
    if message then why = inner.failure(message, errname) end
    lines:close()
  end
  co.try(inner.raising(2, session.stdin, session, on_line, max_length))
  return function()
    if lines:count() == 0 and not lines.closed then session:stdin(on_line, max_length) end
    local line = lines:get()
    if line == nil and why then error(why, 0) end
    return line
  end
end
