-- SPDX-License-Identifier: MIT
---@meta tcpmulti
-- The reference of the Lua API, in LuaLS annotations; a test compares it with what the module
-- exports. Times are seconds, fractions allowed; sizes are bytes.
--
-- Conventions. What the world does wrong is a result: nil, message, errname. What the caller does
-- wrong is raised, at the caller's line, before anything has changed. Nothing raises because a
-- connection has ended: its calls answer nil, "no such connection", "ESTALE".
--
-- The events of a connection, in this order, whatever happens:
--
--   initialize ( success ( input | flushed )* ( eof flushed* )? )?
--              ( failure | error | timeout )? disconnected
--
-- initialize runs inside connect. All other handlers start from the loop, never inside a call.

---@alias tcpmulti.errname string The name of an errno ("ECONNREFUSED"), or "EOF", "ETOOLONG", "ENOTFOUND", "EFILTER".
---@alias tcpmulti.op "resolve"|"socket"|"bind"|"connect"|"read"|"write"|"filter"|"fail" What failed.
---@alias tcpmulti.phase "waiting"|"connecting"|"open"|"shutting"|"closed"
---@alias tcpmulti.timer "connect"|"input"|"shutdown"|"deadline"
---@alias tcpmulti.reason "failure"|"error"|"eof"|"timeout"|"die"|"shutdown" What really ended the connection.
---@alias tcpmulti.state string|fun(session: tcpmulti.Session, ...): ... The name of a state, or a function that is called like one.
---@alias tcpmulti.filterspec string|table|tcpmulti.Filter A name, { name, option = … }, what tcpmulti.filters gives, or an object with the methods of tcpmulti.Filter.
---@alias tcpmulti.connection tcpmulti.Cheap|integer A cheap, or the id of a connection.

---@class tcpmulti
---@field version string Of the library.
local tcpmulti = {}

------------------------------------------------------------------ create

-- Every option but states and args has a Perl spelling too (InputEvent, ConnectTimeout, …); both at
-- once are an error. An unknown key, a wrong type and a time that is none are errors that name it.
---@class tcpmulti.CreateOptions
---@field on_initialize? fun(cheap: tcpmulti.Cheap, addr: string, port: integer, bind_addr: string?, bind_port: integer?) Inside connect, before it returns.
---@field on_success? fun(cheap: tcpmulti.Cheap, fd: integer, addr: string, port: integer, old_id: integer, id: integer) It is open. fd: for getsockopt and setsockopt, never to be closed. addr: the peer's numeric address. Both ids are the same.
---@field on_input? fun(cheap: tcpmulti.Cheap, record: any, id: integer) A record of the input filter: a string, or what a filter in Lua has made.
---@field on_flushed? fun(cheap: tcpmulti.Cheap, id: integer) All that was sent is in the kernel; after "full", also when only low_mark is left.
---@field on_failure? fun(cheap: tcpmulti.Cheap, op: tcpmulti.op, errnum: integer, errstr: string, id: integer, errname: tcpmulti.errname) Before success. errnum: the errno; from 20001 on the library's.
---@field on_error? fun(cheap: tcpmulti.Cheap, op: tcpmulti.op, errnum: integer, errstr: string, id: integer, errname: tcpmulti.errname) After success. The peer's end is "read", 0, "EOF", unless the session has on_eof.
---@field on_timeout? fun(cheap: tcpmulti.Cheap, id: integer, timer: tcpmulti.timer) The connection ends, whatever the handler does.
---@field on_disconnected? fun(cheap: tcpmulti.Cheap, id: integer, reason: tcpmulti.reason) The last event, exactly once.
---@field on_eof? fun(cheap: tcpmulti.Cheap, id: integer) The peer's end, instead of on_error with "EOF"; disconnected("eof") follows, with half_open once the output is shut too.
---@field on_exception? fun(session: tcpmulti.Session, message: string, cheap: tcpmulti.Cheap?) A handler, state, alarm or filter has raised; message has the traceback. The connection concerned ends with reason "error"; an error in a state or alarm (cheap is nil) ends nothing. Without it, or when it raises, the error is fatal: all connections are reset without further events, and run raises it.
---@field alias? string A name for post and call. A taken one is an error.
---@field args? any[] What _start gets behind the session. Default: nothing.
---@field heap? table session.heap. Default: a new table.
---@field connect_timeout? number From the start of the attempt, name resolution included. Default 30; 0: none.
---@field input_timeout? number Without a byte received. The progress of an upload restarts it too: from the moment when bytes had to be queued until the peer has acknowledged all. Default 300; 0: none.
---@field shutdown_timeout? number Without progress while flushing. Default 30; 0: none.
---@field deadline? number For the whole connection, from the start of its attempt. Default: none.
---@field timeout? number Deprecated: the default of connect_timeout.
---@field filter? tcpmulti.filterspec For both directions. Default "line".
---@field input_filter? tcpmulti.filterspec For one direction, instead of filter.
---@field output_filter? tcpmulti.filterspec For the other.
---@field domain? "inet"|"inet6"|"any" Which addresses a name may have. Default "any".
---@field max_connections? integer Sockets of this session at once; further connects wait in order. Default: none.
---@field connect_rate? number Attempts per second, fractions too: 0.1 is one in ten seconds. Default: none.
---@field high_mark? integer More than so much queued by one connection is "full". Default 1 MiB.
---@field low_mark? integer After "full", flushed comes at so much, at most high_mark. Default 64 KiB.
---@field max_queued? integer More is refused with ENOBUFS. Default 64 MiB.
---@field cork? boolean What is sent in one turn of the loop is queued and goes out together before the loop polls. Default: each send tries the kernel at once.
---@field nodelay? boolean TCP_NODELAY, set with the second send (nothing holds back the first). Default true.
---@field keepalive? integer A peer that is gone is an error (ETIMEDOUT) after about twice so many seconds, also while output waits for it; so is a peer that takes no output for that time. Default: none.
---@field half_open? boolean The peer's end is that of the input only: after on_eof, which must be given, the phase stays "open" and send goes on; what concerns input answers ESHUTDOWN, and input_timeout is the time in which the peer acknowledges no output. shutdown ends it with reason "eof", die with "die", reset with "shutdown". Default false.
---@field inline_states? table<string, fun(session: tcpmulti.Session, ...): ...> Called f(session, …). _start runs inside create, _stop as the last thing, _default(session, state, args) for states that are not there. connect, send, shutdown and die are built in; others of these names are ignored, with one warning.
---@field object_states? any[] Pairs of an object and { "event", … } or { event = "method" }: called object:method(session, …).
---@field package_states? any[] The same with a table of functions: called table.method(session, …). Where a name is given twice, inline states win over objects, these over packages.
---@field options? { trace?: boolean, default?: boolean, assert?: boolean } trace: each dispatch on standard error. default: a state that is not there is a warning instead of an error. assert: a field of a cheap that hides a method is an error.

-- Makes a session. It lives until die, or until run ends for want of work; then _stop runs, and its
-- calls answer nil, "session has stopped", "ESHUTDOWN". nil, message, "ENOMEM" without memory.
---@param options tcpmulti.CreateOptions
---@return tcpmulti.Session? session, string? message, tcpmulti.errname? errname
function tcpmulti.create(options) end

------------------------------------------------------------------ sessions

---@class tcpmulti.Session
---@field [0] integer
---@field heap table The session's own; shared by all its handlers.
---@field alias string? Its name: the one set last.
local Session = {}

---@class tcpmulti.ConnectOptions
---@field remote_address string 1..253 bytes: an IPv4 address as dotted quad (other numeric forms, like 127.1, are ENOTFOUND), an IPv6 address (brackets and %scope allowed), or a name, resolved without blocking.
---@field remote_port integer|string 1..65535, or a string: decimal digits or a service of /etc/services.
---@field bind_address? string A numeric address of this machine. Default: any.
---@field bind_port? integer 0..65535. Default 0: any.
---@field connect_timeout? number This and the following: default the session's.
---@field input_timeout? number
---@field shutdown_timeout? number
---@field deadline? number
---@field half_open? boolean
---@field filter? tcpmulti.filterspec
---@field input_filter? tcpmulti.filterspec
---@field output_filter? tcpmulti.filterspec
---@field heap? table Copied (shallow) into the new cheap.
---@field on_initialize? function This and the following: handlers of this connection alone, with the arguments of those of create. Default: the session's.
---@field on_success? function
---@field on_input? function
---@field on_flushed? function
---@field on_failure? function
---@field on_error? function
---@field on_timeout? function
---@field on_disconnected? function
---@field on_eof? function

-- Opens a connection. initialize runs at once, also when the connection has to wait for a place;
-- all else that goes wrong in the world is an event. ENOMEM and ESHUTDOWN are results; arguments
-- that cannot be are raised.
--
-- With a function: the pull form. It is called from the loop whenever a place is free and nothing
-- waits, and returns what connect takes; nil ends it; false is "nothing now": it is asked again
-- when a connection of the session has ended or after s:more(). What connect would refuse, a bad
-- address or port, is a connection that fails: initialize with the values as given (port() is 0
-- for a port that is none), failure "resolve" with EINVAL and what is wrong with which argument,
-- disconnected. Values of a wrong type raise. One function per session at a time. A raise ends it
-- and is an exception of the session. Returns true.
---@param addr string
---@param port integer|string
---@param bind_addr? string
---@param bind_port? integer
---@return tcpmulti.Cheap? cheap, integer|string id_or_message, tcpmulti.errname? errname
---@overload fun(self: tcpmulti.Session, heap: table, addr: string, port: integer|string, bind_addr?: string, bind_port?: integer): tcpmulti.Cheap?, integer|string, tcpmulti.errname?
---@overload fun(self: tcpmulti.Session, options: tcpmulti.ConnectOptions): tcpmulti.Cheap?, integer|string, tcpmulti.errname?
---@overload fun(self: tcpmulti.Session, pull: fun(): ...): true?, string?, tcpmulti.errname?
function Session:connect(addr, port, bind_addr, bind_port) end

-- The pull function has targets again: it is asked, although its last answer was false. nil,
-- message, "ESRCH" without a pull function.
---@return true? ok, string? message, tcpmulti.errname? errname
function Session:more() end

-- Sends records through the connection's output filter: all or none. true; true, "full" when more
-- than high_mark is queued (all was taken: wait for flushed); nil, message, errname when nothing
-- was taken: ESTALE (also for another session's connection), ESHUTDOWN, ENOBUFS above max_queued,
-- EFILTER, EBUSY from inside the connection's own filter, EINVAL for nothing to send. Before
-- success: queued, and sent first.
---@param connection tcpmulti.connection
---@param ... any
---@return true? ok, string? full_or_message, tcpmulti.errname? errname
function Session:send(connection, ...) end

-- Ends a connection in order: no more input, what is queued is sent, FIN, disconnected. Before
-- success it is cancelled. With "output": what is queued and FIN, while input goes on to its end.
---@param connection tcpmulti.connection
---@param way? "output"
---@return true? ok, string? message, tcpmulti.errname? errname
function Session:shutdown(connection, way) end

-- Shuts down all connections, cancels those that wait or connect, removes alarms and aliases; _stop
-- runs when the last has ended. A second one is ESHUTDOWN.
---@return true? ok, string? message, tcpmulti.errname? errname
function Session:die() end

-- The live cheap of an id of this session, or nil.
---@param id tcpmulti.connection
---@return tcpmulti.Cheap?
function Session:fetch(id) end

---@return integer live, integer waiting Connections; 0, 0 once the session has stopped.
function Session:count() end

-- All live connections; they may be closed meanwhile.
---@return fun(session: tcpmulti.Session, id: integer): integer?, tcpmulti.Cheap? step, tcpmulti.Session session, integer first
function Session:connections() end

---@class tcpmulti.Stats
---@field waiting integer Connections now, as the next three.
---@field connecting integer
---@field open integer
---@field shutting integer
---@field received integer Bytes in all.
---@field sent integer Bytes in all.
---@field queued integer Bytes unsent now.
---@field held integer Bytes received and not yet records now.

---@return tcpmulti.Stats? stats, string? message, tcpmulti.errname? errname
function Session:stats() end

---@class tcpmulti.Tally
---@field reason string "shutdown", "failure", "error", "eof", "timeout" or "die"
---@field op? string
---@field errname? string
---@field timer? string the one that ran out
---@field count integer connections

-- How the connections of the session have ended, the most common way first. Ends are told apart by
-- the words of an entry, never by their messages. Answers in _stop and afterwards too.
---@return tcpmulti.Tally[]? list, string? message, string? errname
function Session:tally() end

---@param name string
---@return true? ok, string? message, tcpmulti.errname? errname EEXIST: another session has it.
function Session:alias_set(name) end

---@param name string
---@return true? ok, string? message, tcpmulti.errname? errname ESRCH: it is not this session's.
function Session:alias_remove(name) end

-- Wherever a state is named: a name that the session has no state for raises, with the nearest one,
-- unless the session has a state _default or options.default.

-- Queues a state: it runs after the running handler, before the next record or event; what such a
-- state queues runs in the next turn of the loop.
---@param state tcpmulti.state
---@param ... any
---@return true? ok, string? message, tcpmulti.errname? errname
function Session:yield(state, ...) end

-- Runs a state now and gives its results.
---@param state tcpmulti.state
---@param ... any
---@return any ...
function Session:call(state, ...) end

-- Sets the one alarm of this name, replacing an earlier one; without seconds removes it. Past times
-- are due at once.
---@param state tcpmulti.state
---@param seconds? number
---@param ... any
---@return true? ok, string? message, tcpmulti.errname? errname ESRCH: there was none to remove.
function Session:delay(state, seconds, ...) end

-- Sets one more alarm.
---@param state tcpmulti.state
---@param seconds number
---@param ... any
---@return integer? alarm, string? message, tcpmulti.errname? errname
function Session:delay_set(state, seconds, ...) end

-- The same, at a time of the clock: seconds since the epoch.
---@param state tcpmulti.state
---@param epoch number
---@param ... any
---@return integer? alarm, string? message, tcpmulti.errname? errname
function Session:alarm_set(state, epoch, ...) end

-- Beats at multiples of so many seconds from now, without drift. The state gets (session, due,
-- ticks, …): due, by tcpmulti.now(), is when the beat was to come; ticks says how many beats the
-- call stands for, 1 or more: where some were missed, due is the last one's.
---@param state tcpmulti.state
---@param seconds number 0.0001 to 49 days.
---@param ... any
---@return integer? alarm, string? message, tcpmulti.errname? errname
function Session:every(state, seconds, ...) end

---@param alarm integer
---@param seconds number From now.
---@return true? ok, string? message, tcpmulti.errname? errname ESRCH: no such alarm of this session; EINVAL: it is a beat.
function Session:delay_adjust(alarm, seconds) end

---@param alarm integer
---@return tcpmulti.state? state, number|string time_or_message The clock's time at which it was due, or the beat would have come.
---@return any ... Its arguments, or "ESRCH".
function Session:alarm_remove(alarm) end

---@return any[][] removed A list of { state, time, argument, … }.
function Session:alarm_remove_all() end

-- Runs a state with the signal's name each time it comes; nil instead of a state ends that. Watched
-- signals do not keep run from returning.
---@param name string "INT", or "SIGINT".
---@param state? tcpmulti.state
---@return true? ok, string? message, tcpmulti.errname? errname
function Session:sig(name, state) end

-- Runs a state with each line of standard input, without its LF or CR LF, one per turn of the loop;
-- with nil at the end, and nil, message, errname after an error or a line longer than max_length
-- (ETOOLONG), which end it too. Not read while a connect of the session waits. false instead of a
-- state holds it, which is no work that run waits for; nil ends it. A state set then, or instead of
-- another, goes on where it stopped: no line is lost. EBUSY: another session reads it; ESRCH: there
-- is nothing to hold; EOPNOTSUPP: in a host.
---@param state? tcpmulti.state|false
---@param max_length? integer Default 64 KiB.
---@return true? ok, string? message, tcpmulti.errname? errname
function Session:stdin(state, max_length) end

------------------------------------------------------------------ connections

-- The heap of a connection: a plain table for the script's own fields, and the right to use the
-- connection. [0] holds the id. Methods live in the metatable; each is a function of the module as
-- well, so that a field of the same name hides nothing: tcpmulti.send(cheap, …).
--
-- tostring(cheap) gives its id, target and phase, also after the end.
--
-- In on_failure, on_error and on_timeout, after shutdown and in the phase "shutting", calls that
-- change it answer nil, "shutting down", "ESHUTDOWN"; in on_disconnected and later ESTALE.
---@class tcpmulti.Cheap
---@field [0] integer
---@field [any] any
local Cheap = {}

---@return integer id The same for the whole connection, never used again.
function Cheap:id() end

---@return string? addr, string? message, tcpmulti.errname? errname As given to connect; also after the end.
function Cheap:addr() end

---@return integer? port, string? message, tcpmulti.errname? errname Also after the end.
function Cheap:port() end

---@return integer id
function Cheap:ID() end

---@return string? addr, string? message, tcpmulti.errname? errname
function Cheap:ADDR() end

---@return integer? port, string? message, tcpmulti.errname? errname
function Cheap:PORT() end

---@return string? addr, integer|string port_or_message, tcpmulti.errname? errname The peer's numeric address; nil while there is none.
function Cheap:peer() end

---@return string? addr, integer|string port_or_message, tcpmulti.errname? errname Our own end.
function Cheap:sock() end

---@return tcpmulti.Session? session, string? message, tcpmulti.errname? errname
function Cheap:session() end

---@return tcpmulti.phase? phase, string? message, tcpmulti.errname? errname
function Cheap:phase() end

---@return tcpmulti.op? op, integer|string errnum, string errstr, tcpmulti.errname errname, tcpmulti.timer? timer The first failure, error, end of the peer or timeout; nil while there is none. timer: the one that ran out.
function Cheap:cause() end

---@return string? bytes, string? message, tcpmulti.errname? errname What is received and not yet a record.
function Cheap:pending() end

---@return integer? bytes, string? message, tcpmulti.errname? errname Taken by send and not in the kernel; in on_disconnected: lost.
function Cheap:queued() end

---@return integer? bytes, string? message, tcpmulti.errname? errname From the peer, in all.
function Cheap:received() end

---@return integer? bytes, string? message, tcpmulti.errname? errname Given to the kernel, in all.
function Cheap:sent() end

-- Replaces both filters. What is received and not yet a record goes through the new one, after the
-- handler has returned; what is queued for sending stays as it is.
---@param filter tcpmulti.filterspec
---@param options? table With the name of a filter.
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:filter(filter, options) end

---@param filter tcpmulti.filterspec
---@param options? table
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:input_filter(filter, options) end

---@param filter tcpmulti.filterspec
---@param options? table
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:output_filter(filter, options) end

-- Puts bytes in front of what is not yet a record. The LF that a line before awaits stays that of
-- the network.
---@param bytes string
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:unread(bytes) end

-- The next record is exactly the next n bytes, 0 to 1 GiB, whatever the filter; then the filter
-- goes on, also another one set meanwhile. Bytes put back and what pending shows count, the LF that
-- a line before awaits does not. A second call before the record replaces the first; false: not,
-- after all. The record waits for resume; what is there when the input ends before stays pending.
---@param n integer|false
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:take(n) end

-- Without an argument: the timeout of the current phase as set; 0: none. With one: sets it, from
-- now; 0: none. Any byte received restarts the input timeout.
---@param seconds? number
---@return number|true|nil seconds_or_ok, string? message, tcpmulti.errname? errname
function Cheap:timeout(seconds) end

-- Without an argument: what is left of the deadline; 0: none. With one: sets it, from now.
---@param seconds? number
---@return number|true|nil seconds_or_ok, string? message, tcpmulti.errname? errname
function Cheap:deadline(seconds) end

---@param ... any Records; see Session:send.
---@return true? ok, string? full_or_message, tcpmulti.errname? errname
function Cheap:send(...) end

---@param way? "output"
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:shutdown(way) end

-- Ends it by RST: what is queued is dropped, a flush cut short. Reason "shutdown".
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:reset() end

-- Says that the peer broke the protocol: error("fail", …), before success failure("fail", …); what
-- is queued is dropped, RST. An unknown errname raises.
---@param message string
---@param errname? tcpmulti.errname Default "EPROTO".
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:fail(message, errname) end

-- Holds the next record, buffered ones included, and the end or error behind them. The input
-- timeout stands still, the deadline runs.
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:pause() end

-- Goes on in a later turn of the loop.
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:resume() end

-- As Session:delay, but the name is the connection's own, the state gets (session, cheap, …), and
-- the alarm ends with the connection.
---@param state tcpmulti.state
---@param seconds? number
---@param ... any
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:delay(state, seconds, ...) end

------------------------------------------------------------------ functions

-- As Session:connect with options, in the session whose handler or state is running; elsewhere an
-- error.
---@param options tcpmulti.ConnectOptions
---@return tcpmulti.Cheap? cheap, integer|string id_or_message, tcpmulti.errname? errname
function tcpmulti.connect(options) end

-- Session:yield for any session, by alias or object. ESRCH: no such session, no such state in it.
---@param destination string|tcpmulti.Session
---@param state tcpmulti.state
---@param ... any
---@return true? ok, string? message, tcpmulti.errname? errname
function tcpmulti.post(destination, state, ...) end

-- Session:call for any session, by alias or object.
---@param destination string|tcpmulti.Session
---@param state tcpmulti.state
---@param ... any
---@return any ...
function tcpmulti.call(destination, state, ...) end

-- Connections live on luv's loop from here on, in a plain luajit with lua-luv or in Neovim:
-- uv.run() or the editor runs them, and tcpmulti.run() raises. Once in a Lua state and before its
-- first session; raises where luv uses another copy of libuv. A fatal error ends the sessions and
-- is told to on_fatal. Default: standard error. luv.walk sees luv's handles alone. In the runner
-- luv's loop is ours already: nothing changes.
---@param luv table what require "luv" gives, or vim.loop
---@param on_fatal? fun(message: string)
---@return true? ok, string? message, string? errname
function tcpmulti.attach(luv, on_fatal) end

-- Runs the loop until nothing is left to do: no connection, alarm, queued state or standard input
-- of any session, no active luv handle; then all sessions end. Raises what was fatal. May be called
-- again; not from inside a handler, not in a coroutine, and not in a host. With seconds: then every
-- session dies in order, whatever luv's handles do, and run gives true, "time".
---@param options? { seconds?: number }
---@return true? ok, "time"? reason
function tcpmulti.run(options) end

-- Ends run after the current turn of the loop. Nothing is closed; run again goes on.
function tcpmulti.stop() end

---@return number seconds Of a clock that only goes forward.
function tcpmulti.now() end

-- Printable ASCII as it is; ", \ and all other bytes as \u00XX: safe on a terminal and inside a
-- JSON string.
---@param bytes string
---@return string text
function tcpmulti.escape(bytes) end

-- The methods of connections as functions. send and shutdown take an id as well.

---@param connection tcpmulti.connection
---@param ... any
---@return true? ok, string? full_or_message, tcpmulti.errname? errname
function tcpmulti.send(connection, ...) end

---@param connection tcpmulti.connection
---@param way? "output"
---@return true? ok, string? message, tcpmulti.errname? errname
function tcpmulti.shutdown(connection, way) end

tcpmulti.id = Cheap.id
tcpmulti.addr = Cheap.addr
tcpmulti.port = Cheap.port
tcpmulti.ID = Cheap.ID
tcpmulti.ADDR = Cheap.ADDR
tcpmulti.PORT = Cheap.PORT
tcpmulti.sock = Cheap.sock

-- Under tcpmulti-lua --peer this is the practice peer as well: a table that can be called.
---@class tcpmulti.Peer
---@field addr string 127.0.0.1.
---@field addrs string[] 127.0.0.1 to 127.0.0.32: one alone distorts what many connections cost.
---@field port integer
---@field mode string As given to --peer.
---@overload fun(cheap: tcpmulti.Cheap): string?, integer|string, tcpmulti.errname?
tcpmulti.peer = Cheap.peer

tcpmulti.session = Cheap.session
tcpmulti.phase = Cheap.phase
tcpmulti.cause = Cheap.cause
tcpmulti.pending = Cheap.pending
tcpmulti.queued = Cheap.queued
tcpmulti.received = Cheap.received
tcpmulti.sent = Cheap.sent
tcpmulti.filter = Cheap.filter
tcpmulti.input_filter = Cheap.input_filter
tcpmulti.output_filter = Cheap.output_filter
tcpmulti.unread = Cheap.unread
tcpmulti.take = Cheap.take
tcpmulti.timeout = Cheap.timeout
tcpmulti.deadline = Cheap.deadline
tcpmulti.reset = Cheap.reset
tcpmulti.fail = Cheap.fail
tcpmulti.pause = Cheap.pause
tcpmulti.resume = Cheap.resume
tcpmulti.delay = Cheap.delay

------------------------------------------------------------------ filters

-- What a filter in Lua has: for input feed, get_one and clone, for output put and clone. Its
-- functions run inside the call that needs them; the library answers EBUSY for the connection whose
-- filter is running. A raise ends the connection: error("filter", …). What tcpmulti.filters gives
-- has clone, and its clones have all five, for use by hand.
---@class tcpmulti.Filter
local Filter = {}

---@param bytes string What was received.
function Filter:feed(bytes) end

---@return any record, string? message, tcpmulti.errname? errname nil: none yet. nil, message: what came cannot be; the connection ends with error("filter", 20004, message), or with errname's number.
function Filter:get_one() end

---@param record any
---@return string? bytes, string? message, tcpmulti.errname? errname nil, message: send answers nil, message, "EFILTER" or errname.
function Filter:put(record) end

---@return string bytes What is fed and not yet a record. Optional; without it nothing is.
function Filter:pending() end

---@return tcpmulti.Filter filter An unused one of the same kind: for each connection.
function Filter:clone() end

---@class tcpmulti.Filters
tcpmulti.filters = {}

-- Bytes as they come, at most 32 KiB in a record. No options.
---@return tcpmulti.Filter
function tcpmulti.filters.stream() end

-- Lines. ends: "any" (CR LF, LF or CR; the default), "lf" (LF, one CR before it dropped), "auto"
-- (what the first line end turns out to be: that line comes at its CR or LF; if the other of the
-- two is the next byte, it belongs to the line end, and both together end all lines). literal:
-- exactly these bytes, for both directions; input_literal, output_literal where they differ. Output
-- ends in CR LF unless a literal says otherwise. max_length: default 64 KiB; a longer line is
-- ETOOLONG.
---@param options? { ends?: "any"|"lf"|"auto", literal?: string, input_literal?: string, output_literal?: string, max_length?: integer }
---@return tcpmulti.Filter
function tcpmulti.filters.line(options) end

-- Blocks of block_size bytes; or with a length in front: length, the encoding of that field, offset
-- bytes before it (default 0; more needs header), adjust added to it (default 0); or length_codec
-- { encode, decode }: encode(length) gives the header's bytes, decode(bytes) gives length, bytes of
-- the header, not both 0; nil: more is needed; or nil, message. decode gets the first 64 bytes of a
-- record, or what is there; after a nil what is there up to twice as many, and again when more has
-- come (beyond 16 KiB when a 64th more has), up to max_length. header = true: records contain the
-- header, and put passes them through. max_length: default 16 MiB; an announced longer one is
-- ETOOLONG.
---@param options { block_size?: integer, length?: "u8"|"u16be"|"u16le"|"u24be"|"u24le"|"u32be"|"u32le"|"u64be"|"ascii0"|"varint", length_codec?: function[], offset?: integer, adjust?: integer, header?: boolean, max_length?: integer }
---@return tcpmulti.Filter
function tcpmulti.filters.block(options) end

-- 5:hello, and so on. max_length: default 16 MiB.
---@param options? { max_length?: integer }
---@return tcpmulti.Filter
function tcpmulti.filters.netstring(options) end

-- Replaces records: get(record) and put(record) give any number of them; nil is none.
---@param get? fun(record: any): ...
---@param put? fun(record: any): ...
---@return tcpmulti.Filter
---@overload fun(options: { get?: function, put?: function, code?: function }): tcpmulti.Filter
function tcpmulti.filters.map(get, put) end

-- Keeps the records for which get or put say so.
---@param get? fun(record: any): boolean?
---@param put? fun(record: any): boolean?
---@return tcpmulti.Filter
---@overload fun(options: { get?: function, put?: function, code?: function }): tcpmulti.Filter
function tcpmulti.filters.grep(get, put) end

-- Lists of block_size records; put takes a list. check_put: it must be as long.
---@param block_size integer
---@param check_put? boolean
---@return tcpmulti.Filter
---@overload fun(options: { block_size: integer, check_put?: boolean }): tcpmulti.Filter
function tcpmulti.filters.record_block(block_size, check_put) end

-- Filters on filters; the first is nearest to the connection. None: stream. pending is the first
-- one's.
---@param filters tcpmulti.filterspec[]
---@return tcpmulti.Filter
function tcpmulti.filters.stack(filters) end

return tcpmulti
