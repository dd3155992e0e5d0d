-- SPDX-License-Identifier: MIT
---@meta tcpmulti.co
-- The reference of the module tcpmulti.co, in LuaLS annotations; a test compares it with the
-- exports of the module. A dialogue is written from top to bottom, in a task; any number of tasks
-- run at once. Times are seconds, fractions allowed.
--
-- Conventions, beside those of tcpmulti.lua. "Waits" says that a call may suspend its task; no
-- other call ever does. Most waits take a time of their own as last argument: when it is over, the
-- wait gives nil, message, "ETIME", and nothing has changed. A wait raises outside of a task, in a
-- coroutine of the script's own, inside a C function (gsub, sort, a filter, session:call,
-- require), and when its task has been cancelled.

---@class tcpmulti.co
local co = {}

-- The error that co.try raises, or the waits of a cancelled task; see co.failure.
---@class tcpmulti.co.Failure
---@field message string
---@field errname tcpmulti.errname|string|nil
---@field partial? string What was received and was not yet a record.

---@alias tcpmulti.co.what nil|integer|"all"|{ [1]: "all", max_length: integer }|tcpmulti.filterspec nil: a record of the connection's own filter. A number: so many bytes; 0 is "" at once. "all": what comes up to the end, 16 MiB at most, or max_length bytes. Any filter: one record of that, then its own filter is back.
---@alias tcpmulti.co.pattern string|fun(record: any): ... A Lua pattern, or a function that gives values for a record that fits and nil for others.

------------------------------------------------------------------ sessions

---@class tcpmulti.Session
local Session = {}

-- A task of this session that has no parent. It starts from the loop, after the running handler or
-- task. nil, message, "ESHUTDOWN": the session is dying.
---@param f fun(...): ...
---@param ... any Arguments of f.
---@return tcpmulti.co.Task? task, string? message, string? errname
function Session:spawn(f, ...) end

-- Waits: as co.open, in this session.
---@param ... any The arguments of session:connect, in any of its three forms.
---@return tcpmulti.Cheap? cheap, string? message, string? errname
function Session:open(...) end

-- Iterates over the live tasks: for task in session:tasks() do.
---@return fun(): tcpmulti.co.Task?
function Session:tasks() end

-- Waits. Runs f as a task named "main", and the loop until there is nothing left to do. Its failure
-- or error goes to on_exception, or is raised here. nil, message, "ECANCELED": it was cancelled. In
-- a host it raises, since the host runs the loop.
---@param session tcpmulti.Session
---@param f fun(...): ...
---@param ... any Arguments of f.
---@return any ... Results of f, or nil, message, errname.
function co.run(session, f, ...) end

------------------------------------------------------------------ tasks and scopes

---@class tcpmulti.co.Task
---@field name? any Yours, for messages; co.each sets the target.
local Task = {}

-- Waits for the end of the task: what its function gave; a failure or cancellation as nil, message,
-- errname. Its error is raised.
---@param seconds? number
---@return any ...
function Task:join(seconds) end

-- From now on the waits of the task raise "cancelled: message", and those of its children. nil,
-- message, "ESRCH": it has ended.
---@param message? string
---@return true? ok, string? message, string? errname
function Task:cancel(message) end

---@return "running"|"ready"|"waiting"|"done"|"failed"|"cancelled" status, string? what It waits for this.
function Task:status() end

-- The place at which the task is.
---@return string
function Task:traceback() end

-- A child of the running scope, in its task's session: the scope is not left before it has ended.
---@param f fun(...): ...
---@param ... any
---@return tcpmulti.co.Task
function co.spawn(f, ...) end

-- A child that is cancelled when the function of its scope has returned, and not before.
---@param f fun(...): ...
---@param ... any
---@return tcpmulti.co.Task
function co.daemon(f, ...) end

-- A daemon that calls f at multiples of seconds from now, missed ones left out, until f gives
-- false.
---@param seconds number
---@param f fun(...): boolean?
---@param ... any
---@return tcpmulti.co.Task
function co.every(seconds, f, ...) end

-- Waits. Runs f in a scope of its own: what f began ends with it. Connections are shut down if f
-- has returned, reset if it has raised.
---@param f fun(...): ...
---@param ... any
---@return any ... Results of f.
function co.scope(f, ...) end

-- Waits. As scope, cancelled after so many seconds: nil, "timed out", "ETIME".
---@param seconds number
---@param f fun(...): ...
---@param ... any
---@return any ...
function co.deadline(seconds, f, ...) end

-- Waits. As scope; what cancels the task from outside waits until f has returned, at most so many
-- seconds. Also in a task that has been cancelled.
---@param seconds number
---@param f fun(...): ...
---@param ... any
---@return any ...
function co.shield(seconds, f, ...) end

---@return tcpmulti.co.Task? task The running one; nil: none runs.
function co.current() end

-- Waits. 0: one turn of the loop.
---@param seconds number
---@return true
function co.sleep(seconds) end

------------------------------------------------------------------ errors

-- Gives its arguments back; raises nil, message, errname as a failure, with the place of the call.
---@generic T
---@param value T?
---@param message? string
---@param errname? string
---@param ... any
---@return T value, any ...
function co.try(value, message, errname, ...) end

-- A function like f that gives failures as nil, message, errname, partial; errors and cancellations
-- go through.
---@param f fun(...): ...
---@return fun(...): ...
function co.protect(f) end

-- The message and the errname of a failure or cancellation that pcall has caught. Other errors give
-- nothing.
---@param err any
---@return nil, string? message, string? errname
function co.failure(err) end

------------------------------------------------------------------ connections

---@class tcpmulti.Cheap
local Cheap = {}

-- Waits for success. The connection belongs to the running scope. nil, "connect: Connection
-- refused", errname; nil, "connect timeout", "ETIMEDOUT".
---@param ... any The arguments of session:connect, in any of its three forms.
---@return tcpmulti.Cheap? cheap, string? message, string? errname
function co.open(...) end

-- Waits for one record; a wait that fails has taken nothing. partial: what is received and not yet
-- a record. nil, "end of file", "EOF" and nil, "read: Connection reset by peer", "ECONNRESET" come
-- after all records, again and again.
---@param what? tcpmulti.co.what
---@param seconds? number
---@return any? record, string? message, string? errname, string? partial
function Cheap:receive(what, seconds) end

-- Waits for a record that fits. A pattern gives its captures, or the record; a table gives the key
-- of the alternative first. Fields beside alternatives: reject, one or several patterns that end
-- the wait with "EREJECTED"; plain; timeout (seconds); max_length of what is skipped (64 KiB);
-- skipped, a table for skipped records. With the filter "stream" all that has come is one text,
-- and what is behind a match stays.
---@param what tcpmulti.co.pattern|table
---@param seconds? number
---@return any ... Key and captures, or nil, message, errname, partial.
function Cheap:expect(what, seconds) end

-- Waits in each step: for record in cheap:records() do. Ends at "EOF" with nothing left over; any
-- other end is raised as a failure.
---@param what? tcpmulti.co.what
---@param seconds? number
---@return fun(): any
function Cheap:records(what, seconds) end

-- Sends, and waits while the queue is full.
---@param ... any Records.
---@return true? ok, string? message, string? errname
function Cheap:write(...) end

-- Shuts down and waits for the end: true if all that was sent is acknowledged, else nil and the
-- cause. "ETIME": the closing goes on.
---@param seconds? number
---@return true? ok, string? message, string? errname
function Cheap:close(seconds) end

co.receive, co.expect, co.records = Cheap.receive, Cheap.expect, Cheap.records
co.write, co.close = Cheap.write, Cheap.close

-- From now on the records of the connection go to tasks, and it belongs to the running scope.
---@param cheap tcpmulti.Cheap
---@return tcpmulti.Cheap? cheap, string? message, string? errname
function co.adopt(cheap) end

-- From the next record on the handlers of its session take over, and it belongs to the session.
---@param cheap tcpmulti.Cheap
---@return true? ok, string? message, string? errname
function co.release(cheap) end

-- Waits for the handshake of TLS in the middle of a dialogue. "ETIME": the handshake goes on.
---@param cheap tcpmulti.Cheap
---@param spec? boolean|tcpmulti.TlsOptions|tcpmulti.Tls
---@param seconds? number
---@return true? ok, string? message, string? errname
function co.starttls(cheap, spec, seconds) end

------------------------------------------------------------------ many at once

-- Waits. Runs the functions of a table at once: their first results under the same keys, or the
-- first failure, and the others are cancelled.
---@param functions table<any, fun(): any>
---@param seconds? number
---@return table? results, string? message, string? errname
function co.all(functions, seconds) end

-- Waits: what the first gives that gives something; the others are cancelled. Nobody: the last
-- failure.
---@param functions table<any, fun(): any>
---@param seconds? number
---@return any ...
function co.any(functions, seconds) end

-- Waits. f(target) for each target, at most width at once, each in a scope of its own.
-- on_result(target, …) gets its results, or nil, message, errname. An error in f: with on_exception
-- that target alone has failed ("ESCRIPT"), without it all are cancelled and the error is raised.
---@param targets any[]|fun(): any A function's nil ends the list; it may wait.
---@param width integer
---@param f fun(target: any): ...
---@param on_result? fun(target: any, ...)
---@return integer succeeded, integer failed
function co.each(targets, width, f, on_result) end

---@class tcpmulti.co.RetryOptions
---@field min? number Seconds: the first pause is a random part of this. Default: 0.1.
---@field max? number Seconds: no pause is longer. Default: 30.
---@field attempts? integer Default: no limit.
---@field healthy? number An attempt that has lasted so many seconds begins at min again. Default: 10.
---@field on_retry? fun(pause: number, message: string, errname: string?, attempt: integer)

-- Waits. Calls f(attempt), each time in a scope of its own, until it does not fail.
---@param options tcpmulti.co.RetryOptions
---@param f fun(attempt: integer): ...
---@return any ... Results of f, or the last failure.
function co.retry(options, f) end

---@class tcpmulti.co.Semaphore
local Semaphore = {}

---@param count integer How many may have it at once.
---@param name? string For messages.
---@return tcpmulti.co.Semaphore
function co.semaphore(count, name) end

-- Waits until one is free.
---@param seconds? number
---@return true? ok, string? message, string? errname
function Semaphore:acquire(seconds) end

function Semaphore:release() end

-- Waits: acquires, calls f(…), and releases however f ends.
---@param f fun(...): ...
---@param ... any
---@return any ...
function Semaphore:with(f, ...) end

---@class tcpmulti.co.Queue
local Queue = {}

---@param most? integer How many values it holds. Default: no limit.
---@param name? string For messages.
---@return tcpmulti.co.Queue
function co.queue(most, name) end

-- Waits for room. "EPIPE": closed. From a handler it never waits: nil, message, "ETIME".
---@param value any Not nil.
---@param seconds? number
---@return true? ok, string? message, string? errname
function Queue:put(value, seconds) end

-- Waits for a value. "EOF": closed and empty.
---@param seconds? number
---@return any? value, string? message, string? errname
function Queue:get(seconds) end

function Queue:close() end

---@return integer
function Queue:count() end

-- for value in queue:values() do
---@return fun(): any
function Queue:values() end

-- Waits. begin(done) starts something that calls done(…) once, now or later: gives its arguments.
-- What begin returns, if it is a function, is called when the wait is over before.
---@param begin fun(done: fun(...): boolean): function?
---@param seconds? number
---@return any ...
function co.await(begin, seconds) end

-- Waits for a signal.
---@param name string As of session:sig.
---@param seconds? number
---@return string? name, string? message, string? errname
function co.signal(name, seconds) end

-- for line in co.lines() do: standard input, read when it is asked for. Waits in each step.
---@param max_length? integer
---@return fun(): string?
function co.lines(max_length) end

return co
