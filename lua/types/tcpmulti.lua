-- SPDX-License-Identifier: MIT
---@meta tcpmulti
-- The reference of the Lua API, in LuaLS annotations; a test compares it with the exports of the
-- module. Times are seconds, fractions allowed; sizes are bytes.
--
-- Conventions. A call that fails at run time returns nil, message, errname. A call with wrong
-- arguments raises, at the caller's line, before anything has changed. No call raises because a
-- connection has ended: calls for such a connection return nil, "no such connection", "ESTALE".
--
-- The events of a connection come in this order, whatever happens:
--
--   initialize ( success ( input | flushed )* ( eof flushed* )? )?
--              ( failure | error | timeout )? disconnected
--
-- on_initialize runs inside connect. All other handlers are called by the loop, never inside a call
-- of the script.

---@alias tcpmulti.errname string The name of an errno ("ECONNREFUSED"), or a name of the library's own: "EOF", "ETOOLONG", "ENOTFOUND", "EFILTER", "ESERVFAIL", "EREFUSED", "EBADRESP", "EBADNAME", "EPOLICY", "ECERT", "ETLS", "ETRUNCATED", "EINJECTION", "EPROXY", "EPROXYAUTH".
---@alias tcpmulti.op "resolve"|"socket"|"bind"|"connect"|"read"|"write"|"filter"|"fail"|"tls"|"proxy" The operation that failed.
---@alias tcpmulti.phase "waiting"|"connecting"|"open"|"shutting"|"closed"
---@alias tcpmulti.timer "connect"|"input"|"shutdown"|"deadline"|"tls"
---@alias tcpmulti.reason "failure"|"error"|"eof"|"timeout"|"die"|"shutdown" Why the connection has ended.
---@alias tcpmulti.state string|fun(session: tcpmulti.Session, ...): ... The name of a state, or a function that is called as a state.
---@alias tcpmulti.filterspec string|table|tcpmulti.Filter A name; { name, option = … }; a filter made by tcpmulti.filters; or an object with the methods of tcpmulti.Filter.
---@alias tcpmulti.connection tcpmulti.Cheap|integer A cheap, or the id of a connection.

---@class tcpmulti
---@field version string Version of the library: "MAJOR.MINOR.PATCH".
local tcpmulti = {}

------------------------------------------------------------------ create

-- Options of tcpmulti.create. Most have a Perl spelling too (InputEvent, ConnectTimeout, …); giving
-- both is an error. An unknown key, a wrong type or an impossible time raises an error that names
-- it.
---@class tcpmulti.CreateOptions
---@field on_initialize? fun(cheap: tcpmulti.Cheap, addr: string, port: integer, bind_addr: string?, bind_port: integer?) Called inside connect, before connect returns.
---@field on_success? fun(cheap: tcpmulti.Cheap, fd: integer, addr: string, port: integer, old_id: integer, id: integer) The connection is open. fd: its socket, for getsockopt and setsockopt; never close it. addr: the peer's numeric address. Both ids are the same.
---@field on_input? fun(cheap: tcpmulti.Cheap, record: any, id: integer) The input filter has found a record: a string, or any value that a filter written in Lua makes.
---@field on_batch? fun(cheap: tcpmulti.Cheap, id: integer) All records that one read has brought have been given to on_input: what they ask for can be sent at once. Called too where on_input has ended the connection, but not behind an error in on_input.
---@field on_flushed? fun(cheap: tcpmulti.Cheap, id: integer) The kernel has taken everything that was sent; after "full", also called when the queue has shrunk to low_mark.
---@field on_failure? fun(cheap: tcpmulti.Cheap, op: tcpmulti.op, errnum: integer, errstr: string, id: integer, errname: tcpmulti.errname) The connection could not be established. errnum: an errno, or an error of the library (from 20001 on).
---@field on_error? fun(cheap: tcpmulti.Cheap, op: tcpmulti.op, errnum: integer, errstr: string, id: integer, errname: tcpmulti.errname) The open connection has failed. Without on_eof the end of the peer's output is reported here too: op "read", errnum 0, errname "EOF".
---@field on_timeout? fun(cheap: tcpmulti.Cheap, id: integer, timer: tcpmulti.timer) A time is over. The connection ends, whatever the handler does.
---@field on_disconnected? fun(cheap: tcpmulti.Cheap, id: integer, reason: tcpmulti.reason) The connection has ended: the last event, exactly once.
---@field on_secure? fun(cheap: tcpmulti.Cheap, id: integer) The handshake of cheap:starttls is over: from here on all goes through TLS.
---@field on_eof? fun(cheap: tcpmulti.Cheap, id: integer) The peer has ended its output; called instead of on_error with "EOF". disconnected("eof") follows; with half_open only when the script has shut the output too.
---@field on_exception? fun(session: tcpmulti.Session, message: string, cheap: tcpmulti.Cheap?) A handler, state, alarm or filter has raised an error; message has the traceback. The connection concerned (cheap) ends with reason "error"; an error in a state or alarm (cheap is nil) ends nothing. Without this handler, or when this handler raises, the error is fatal: all connections are reset without further events, and run raises the error.
---@field alias? string A name of the session, for post and call. A name that another session has is an error. Default: none.
---@field args? any[] Arguments of the state _start, behind the session. Default: none.
---@field heap? table Becomes session.heap. Default: a new table.
---@field connect_timeout? number Time from the start of the attempt to success, name resolution included. 0: no limit. Default: 30.
---@field input_timeout? number Time without a received byte. The progress of an upload restarts this time too; an upload lasts from the moment when bytes had to be queued until the peer has acknowledged all. 0: no limit. Default: 300.
---@field shutdown_timeout? number Time without progress while the connection sends the rest of its output. 0: no limit. Default: 30.
---@field deadline? number Time for the whole connection, from the start of its attempt. Default: no limit.
---@field timeout? number Deprecated. The value of connect_timeout where that option is absent.
---@field filter? tcpmulti.filterspec The filter of both directions. Default: "line".
---@field input_filter? tcpmulti.filterspec The filter of received bytes. Default: filter.
---@field output_filter? tcpmulti.filterspec The filter of sent records. Default: filter.
---@field domain? "inet"|"inet6"|"any" The kind of addresses to look up for a name. Default: "any".
---@field max_connections? integer Sockets that the session may have at once; further connects wait in order. Default: no limit.
---@field max_per_address? integer Sockets that the session may have at once to one address, whatever the port; names count by the addresses that they were looked up to. An address that has them all is passed over while the target has another one; else the connection goes back to the phase "waiting", its connect timeout stands still, and it holds up nobody. While as many as max_connections wait like that, no new connect starts. Nothing is counted behind a proxy. Default: no limit.
---@field connect_rate? number Attempts per second, fractions allowed: 0.1 is one attempt in ten seconds. Default: no limit.
---@field high_mark? integer Bytes queued by one connection above which send returns "full". Default: 1 MiB.
---@field low_mark? integer After "full", flushed comes when the queue has shrunk to this many bytes; at most high_mark. Default: 64 KiB.
---@field max_queued? integer Bytes that one connection may queue; send refuses more with ENOBUFS. Default: 64 MiB.
---@field cork? boolean Everything sent in one turn of the loop is queued and goes out together before the loop polls. Default: false, each send tries the kernel at once.
---@field nodelay? boolean Set TCP_NODELAY, with the second send, with TLS the first (nothing can hold back one before that). Default: true.
---@field keepalive? integer Seconds, 0 to 32767; 0: no probes. A peer that is gone is an error (ETIMEDOUT) after about twice this time, also while output waits for it; so is a peer that takes no output for that time. Default: no probes.
---@field times? boolean Measure the steps of each connection, for cheap:times(). Default: false, and no connection grows.
---@field dns? "auto"|"ares"|"system" Who looks up names: c-ares, or getaddrinfo, four names at a time. "ares" raises where the library was built without c-ares. Default: "auto", c-ares if it is there.
---@field resolve? table<string, string> Addresses in place of look-ups, { ["example.org:443"] = "127.0.0.1:8443" }. ["example.org:*"] stands for all ports of a host, ["*:443"] for a port of all hosts; the most exact key counts. Without a port in the value the port stays as it is. IPv6 addresses have brackets. Default: none.
---@field deny? string[] Addresses that no connection may go to: networks like "10.0.0.0/8", and the classes "private", "loopback", "linklocal", "multicast", "unspecified", "reserved". Each address of a target is checked after the look-up, numeric targets too. A denied address among others is left out; a target without any other fails with "resolve", EPOLICY. Default: none.
---@field attempt_delay? number Time from one address of a name to the next, without giving the first up; after a failure the next one begins at once. 0.01 or more. Default: 0.25.
---@field resolution_delay? number Time that IPv4 addresses wait for the look-up of IPv6 addresses. 0.01 or more. Default: 0.05.
---@field bind_address? string|string[] The local address of connections, or a list of addresses or ranges like "10.0.0.0/24": each socket takes the least used one; of more than 256, the less used of two drawn. Default: the kernel chooses.
---@field bind_port? integer The local port, 0..65535. Default: 0, the kernel chooses.
---@field bind_device? string The interface to use, like "eth0". Default: any.
---@field tls? boolean|tcpmulti.TlsOptions|tcpmulti.Tls Connections speak TLS: on_success comes after the handshake, and nothing is sent before. true: the defaults; a table: a specification made once, here. EOPNOTSUPP is raised where the library was built without OpenSSL. Default: plain text.
---@field proxy? string|string[]|false Proxies on the way, nearest first, 8 at most: "socks5://host:port", "socks5h://…" or "http://…" (CONNECT), with "user:password@" before the host; or "@FILE", whose first line is such a URL. socks5h and http get the target's name; for socks5 we look it up. EOPNOTSUPP is raised for other schemes. Default: none.
---@field send_proxy? 1|2|false The version of the PROXY protocol whose header tells the server our address; it goes before all else. Default: none.
---@field half_open? boolean The end of the peer's output ends our input only. on_eof must be given; after it the phase stays "open" and send goes on, calls that concern input return ESHUTDOWN, and input_timeout is the time in which the peer acknowledges no output. shutdown then ends the connection with reason "eof", die with "die", reset with "shutdown". Default: false.
---@field inline_states? table<string, fun(session: tcpmulti.Session, ...): ...> States by name, each called f(session, …). _start runs inside create, _stop as the last of all, _default(session, state, args) for a state that does not exist. connect, send, shutdown and die are built in; a state of such a name is ignored, with one warning. Default: none.
---@field object_states? any[] Pairs of an object and { "state", … } or { state = "method" }; a state is called object:method(session, …). Default: none.
---@field package_states? any[] Pairs of a table of functions and { "state", … } or { state = "function" }; a state is called table.function(session, …). Where a name is given twice, inline_states wins over object_states, and that over package_states. Default: none.
---@field options? { trace?: boolean, default?: boolean, assert?: boolean } trace: print each event and state on standard error. default: a state that does not exist is a warning instead of an error. assert: setting a field of a cheap that hides a method is an error. Default: all false.

-- Makes a session. The session lives until die, or until run ends for want of work; then _stop
-- runs, and calls for the session return nil, "session has stopped", "ESHUTDOWN". Out of memory:
-- nil, message, "ENOMEM".
---@param options tcpmulti.CreateOptions
---@return tcpmulti.Session? session, string? message, tcpmulti.errname? errname
function tcpmulti.create(options) end

------------------------------------------------------------------ sessions

---@class tcpmulti.Session
---@field [0] integer
---@field heap table A table for the script's own data, shared by all handlers of the session.
---@field alias string? The alias set last; for reading only.
local Session = {}

---@class tcpmulti.ConnectOptions
---@field remote_address string 1..253 bytes: an IPv4 address as dotted quad (other numeric forms, like 127.1, are ENOTFOUND), an IPv6 address (brackets and %scope allowed), or a name, resolved without blocking.
---@field remote_port integer|string 1..65535, or a string: decimal digits, or a service of /etc/services.
---@field bind_address? string|string[] This option and the following, to output_filter, are those of create, each in place of the session's: nothing is merged, and an empty table or text takes the session's away. Default: the session's.
---@field bind_port? integer
---@field bind_device? string
---@field dns? "auto"|"ares"|"system"
---@field resolve? table<string, string>
---@field deny? string[]
---@field attempt_delay? number
---@field resolution_delay? number
---@field tls? boolean|tcpmulti.TlsOptions|tcpmulti.Tls false: plain text, though the session speaks TLS.
---@field proxy? string|string[]|false false: no proxy, though the session has one.
---@field send_proxy? 1|2|false
---@field connect_timeout? number
---@field input_timeout? number
---@field shutdown_timeout? number
---@field deadline? number
---@field half_open? boolean
---@field filter? tcpmulti.filterspec
---@field input_filter? tcpmulti.filterspec
---@field output_filter? tcpmulti.filterspec
---@field heap? table Its fields are copied into the new cheap (a shallow copy). Default: none.
---@field on_initialize? function This handler and the following are for this connection alone; arguments as in create. Default: the session's.
---@field on_success? function
---@field on_input? function
---@field on_batch? function
---@field on_flushed? function
---@field on_failure? function
---@field on_error? function
---@field on_timeout? function
---@field on_disconnected? function
---@field on_eof? function
---@field on_secure? function

-- Opens a connection. on_initialize runs at once, also when the connection has to wait for a place.
-- connect itself returns only the errors ENOMEM and ESHUTDOWN, and raises for impossible arguments;
-- everything else that goes wrong is an event.
--
-- With a function (the pull form) connect returns true. The loop calls the function whenever a
-- place is free and no connect waits; the function returns the arguments of a connect. nil: there
-- are no more targets. false: there is no target now; the function is called again when a
-- connection of the session has ended, or after s:more(). A bad address or port is a connection
-- that fails: initialize with the values as given (port() is 0 for an impossible port), failure
-- "resolve" with EINVAL and a message that names the argument, disconnected. A value of a wrong
-- type raises. A session has one such function at a time. An error in the function ends it and is
-- an exception of the session.
---@param addr string
---@param port integer|string
---@param bind_addr? string
---@param bind_port? integer
---@return tcpmulti.Cheap? cheap, integer|string id_or_message, tcpmulti.errname? errname
---@overload fun(self: tcpmulti.Session, heap: table, addr: string, port: integer|string, bind_addr?: string, bind_port?: integer): tcpmulti.Cheap?, integer|string, tcpmulti.errname?
---@overload fun(self: tcpmulti.Session, options: tcpmulti.ConnectOptions): tcpmulti.Cheap?, integer|string, tcpmulti.errname?
---@overload fun(self: tcpmulti.Session, pull: fun(): ...): true?, string?, tcpmulti.errname?
function Session:connect(addr, port, bind_addr, bind_port) end

-- Lets the pull function be called again although it has returned false: there are targets again.
-- Without a pull function: nil, message, "ESRCH".
---@return true? ok, string? message, tcpmulti.errname? errname
function Session:more() end

-- Sends records through the connection's output filter: all of them, or none. Before success the
-- records are queued. Returns true; or true, "full" if more than high_mark bytes are queued now
-- (all records were taken; wait for flushed); or nil, message, errname if no record was taken:
-- ESTALE (also for another session's connection), ESHUTDOWN, ENOBUFS above max_queued, EFILTER,
-- EBUSY from inside the connection's own filter, EINVAL without any record.
---@param connection tcpmulti.connection
---@param ... any
---@return true? ok, string? full_or_message, tcpmulti.errname? errname
function Session:send(connection, ...) end

-- Ends a connection in order: input is delivered no more, the queue is sent, then FIN, then comes
-- disconnected. Before success the connection is cancelled. With "output" the queue and FIN are
-- sent while input goes on to its end.
---@param connection tcpmulti.connection
---@param way? "output"
---@return true? ok, string? message, tcpmulti.errname? errname
function Session:shutdown(connection, way) end

-- Ends the session: shuts down its open connections, cancels those that wait or connect, removes
-- its alarms and aliases. _stop runs when the last connection has ended. A second die returns
-- ESHUTDOWN.
---@return true? ok, string? message, tcpmulti.errname? errname
function Session:die() end

-- The cheap of a live connection of this session; nil: this session has no such connection.
---@param id tcpmulti.connection
---@return tcpmulti.Cheap?
function Session:fetch(id) end

-- Counts connections.
---@return integer live, integer waiting live: all of them. 0, 0 once the session has stopped.
function Session:count() end

-- Iterates over all live connections: for id, cheap in session:connections(). The body of the loop
-- may close connections.
---@return fun(session: tcpmulti.Session, id: integer): integer?, tcpmulti.Cheap? step, tcpmulti.Session session, integer first
function Session:connections() end

---@class tcpmulti.Stats
---@field waiting integer Connections that wait for a place now.
---@field connecting integer Connections that connect now.
---@field open integer Connections that are open now.
---@field shutting integer Connections that end now.
---@field received integer Bytes received in all.
---@field sent integer Bytes given to the kernel in all.
---@field queued integer Bytes that wait to be sent now.
---@field held integer Bytes received and not yet a record now.
---@field denied integer Addresses that the option deny has left out.
---@field handshakes integer Handshakes of TLS that were completed.
---@field resumed integer Those of them that have resumed a session.
---@field tls_failed integer Handshakes that have failed.
---@field truncated integer Ends without close_notify.
---@field injected integer Bytes in plain text where TLS was to begin.

-- Numbers about the connections of the session.
---@return tcpmulti.Stats? stats, string? message, tcpmulti.errname? errname
function Session:stats() end

---@class tcpmulti.Tally
---@field reason string "shutdown", "failure", "error", "eof", "timeout" or "die"
---@field op? string
---@field errname? string
---@field timer? string The time that was over: "connect", "input", "shutdown", "deadline" or "tls"
---@field count integer Connections that have ended so

-- How the connections of the session have ended, the most common way first. Two ends are counted
-- together if all words of the entry are equal; messages do not count. Works in _stop and after it.
---@return tcpmulti.Tally[]? list, string? message, string? errname
function Session:tally() end

-- Gives the session one more alias, and session.alias this value.
---@param name string
---@return true? ok, string? message, tcpmulti.errname? errname EEXIST: another session has this alias.
function Session:alias_set(name) end

-- Takes an alias from the session.
---@param name string
---@return true? ok, string? message, tcpmulti.errname? errname ESRCH: the session has no such alias.
function Session:alias_remove(name) end

-- All methods that take the name of a state raise if the session has no such state, with the
-- nearest name in the message, unless the session has a state _default or the option default.

-- Queues a state, to be run after the running handler and before the next record or event. A state
-- that is queued by a queued state runs in the next turn of the loop.
---@param state tcpmulti.state
---@param ... any
---@return true? ok, string? message, tcpmulti.errname? errname
function Session:yield(state, ...) end

-- Runs a state now and returns its results.
---@param state tcpmulti.state
---@param ... any
---@return any ...
function Session:call(state, ...) end

-- Sets the alarm of this name, replacing an earlier one: the state runs once, after this time. A
-- negative time is due at once. Without seconds the alarm is removed.
---@param state tcpmulti.state
---@param seconds? number
---@param ... any
---@return true? ok, string? message, tcpmulti.errname? errname ESRCH: there was none to remove.
function Session:delay(state, seconds, ...) end

-- Sets one more alarm: the state runs once, after this time.
---@param state tcpmulti.state
---@param seconds number
---@param ... any
---@return integer? alarm, string? message, tcpmulti.errname? errname
function Session:delay_set(state, seconds, ...) end

-- Sets one more alarm: the state runs once, at a time of the clock, in seconds since the epoch.
---@param state tcpmulti.state
---@param epoch number
---@param ... any
---@return integer? alarm, string? message, tcpmulti.errname? errname
function Session:alarm_set(state, epoch, ...) end

-- Runs a state again and again, at multiples of this time from now, without drift. The state gets
-- (session, due, ticks, …). due: when the beat was due, by tcpmulti.now(). ticks: the number of
-- beats that the call stands for; above 1 the earlier ones were missed, and due is that of the
-- last.
---@param state tcpmulti.state
---@param seconds number From 0.0001 s to 49 days.
---@param ... any
---@return integer? alarm, string? message, tcpmulti.errname? errname
function Session:every(state, seconds, ...) end

-- Moves an alarm.
---@param alarm integer
---@param seconds number Time from now.
---@return true? ok, string? message, tcpmulti.errname? errname ESRCH: the session has no such alarm. EINVAL: the alarm is a beat of every.
function Session:delay_adjust(alarm, seconds) end

-- Removes an alarm or a beat.
---@param alarm integer
---@return tcpmulti.state? state, number|string time_or_message The time of the clock at which the state would have run next.
---@return any ... The arguments of the state. Without such an alarm: "ESRCH".
function Session:alarm_remove(alarm) end

-- Removes all alarms and beats of the session.
---@return any[][] removed A list of { state, time, argument, … }, the earliest first.
function Session:alarm_remove_all() end

-- Runs a state, with the name of the signal, each time the signal comes. nil instead of a state
-- ends that. A watched signal does not keep run from returning.
---@param name string As "INT" or "SIGINT".
---@param state? tcpmulti.state
---@return true? ok, string? message, tcpmulti.errname? errname
function Session:sig(name, state) end

-- Runs a state with each line of standard input, without its LF or CR LF, one line per turn of the
-- loop. The last call gets nil at the end of the input, or nil, message, errname after an error or
-- a line longer than max_length (ETOOLONG). Nothing is read while a connect of the session waits.
-- false instead of a state pauses the reading, and run does not wait for it; nil ends the reading.
-- A state set afterwards, or in place of another, goes on with the next line: no line is lost.
-- EBUSY: another session reads standard input. ESRCH: nothing is being read. EOPNOTSUPP: in a host.
---@param state? tcpmulti.state|false
---@param max_length? integer Bytes of a line. Default: 64 KiB.
---@return true? ok, string? message, tcpmulti.errname? errname
function Session:stdin(state, max_length) end

------------------------------------------------------------------ connections

-- The heap of a connection: a plain table for the script's own fields, and the handle of the
-- connection. [0] holds the id. Methods live in the metatable; each is a function of the module as
-- well, for scripts that use the name of a method for a field: tcpmulti.send(cheap, …).
--
-- tostring(cheap) shows id, target and phase, also after the end.
--
-- In on_failure, on_error and on_timeout, after shutdown and in the phase "shutting", calls that
-- change the connection return nil, "shutting down", "ESHUTDOWN"; in on_disconnected and later nil,
-- message, "ESTALE".
---@class tcpmulti.Cheap
---@field [0] integer
---@field [any] any
local Cheap = {}

---@return integer id No other connection ever gets this id. Also after the end.
function Cheap:id() end

---@return string? addr, string? message, tcpmulti.errname? errname The target's address as given to connect; also after the end.
function Cheap:addr() end

---@return integer? port, string? message, tcpmulti.errname? errname The target's port; also after the end.
function Cheap:port() end

---@return integer id
function Cheap:ID() end

---@return string? addr, string? message, tcpmulti.errname? errname
function Cheap:ADDR() end

---@return integer? port, string? message, tcpmulti.errname? errname
function Cheap:PORT() end

---@return string? addr, integer|string port_or_message, tcpmulti.errname? errname The peer's numeric address and port; nil without a connected socket.
function Cheap:peer() end

---@return string? addr, integer|string port_or_message, tcpmulti.errname? errname The numeric address and port of our own end.
function Cheap:sock() end

---@return tcpmulti.Session? session, string? message, tcpmulti.errname? errname
function Cheap:session() end

---@return tcpmulti.phase? phase, string? message, tcpmulti.errname? errname
function Cheap:phase() end

---@return tcpmulti.op? op, integer|string errnum, string errstr, tcpmulti.errname errname, tcpmulti.timer? timer The first failure, error, end of the peer's output or timeout; nil: none yet. timer: the time that was over.
function Cheap:cause() end

---@return string? bytes, string? message, tcpmulti.errname? errname Bytes received and not yet a record.
function Cheap:pending() end

---@return integer? bytes, string? message, tcpmulti.errname? errname Bytes that send has taken and the kernel has not; in on_disconnected these are lost.
function Cheap:queued() end

---@return integer? bytes, string? message, tcpmulti.errname? errname Bytes received from the peer in all.
function Cheap:received() end

---@return integer? bytes, string? message, tcpmulti.errname? errname Bytes given to the kernel in all.
function Cheap:sent() end

-- The time that each step of the connection took, with the option times: queue (for a place, and at
-- an address with max_per_address sockets), resolve, connect, proxy, tls, first_byte (from the last
-- step to the first byte received), and total, from connect to the latest byte or step. nil stands
-- for a step that is not done; without the option there is only nil.
---@return number? queue, number|string|nil resolve_or_message, number|string|nil connect_or_errname, number? proxy, number? tls, number? first_byte, number? total
function Cheap:times() end

-- What received, sent, times and cause tell, by one call: for handlers that run very often.
---@return integer? received, integer|string sent_or_message, number|string|nil queue_or_errname, number? resolve, number? connect, number? proxy, number? tls, number? first_byte, number? total, tcpmulti.op? op, integer? errnum, string? errstr, tcpmulti.errname? errname, tcpmulti.timer? timer
function Cheap:figures() end

---@class tcpmulti.Tried
---@field addr string A numeric address.
---@field port integer
---@field errname? tcpmulti.errname Why this attempt failed; nil: it is under way.

-- The addresses that were tried, in order, for a name or from several local addresses. An empty
-- list after success.
---@return tcpmulti.Tried[]? list, string? message, tcpmulti.errname? errname
function Cheap:tried() end

-- Begins TLS in the middle of a stream. All that was sent goes first, in plain text; then comes the
-- handshake, within connect_timeout (on_timeout tells "tls"), then on_secure, then what was sent
-- meanwhile. No record is delivered between this call and on_secure. Bytes that have come in plain
-- text and are no record yet end the connection with op "tls", EINJECTION.
---@param specification? true|tcpmulti.TlsOptions|tcpmulti.Tls Default: the defaults.
---@return true? ok, string? message, tcpmulti.errname? errname EALREADY: TLS has begun. EINVAL: before on_success. ESHUTDOWN, ESTALE.
function Cheap:starttls(specification) end

---@class tcpmulti.Certificate
---@field subject string A distinguished name as by RFC 2253.
---@field issuer string
---@field serial string Hexadecimal.
---@field sans string "DNS:a.example, IP:192.0.2.1"; "": none.
---@field not_before integer Seconds since 1970.
---@field not_after integer
---@field sha256 string The fingerprint: 64 hexadecimal digits.
---@field key_type string "RSA", "EC", "ED25519".
---@field key_bits integer
---@field signature string Such as "ecdsa-with-SHA256".
---@field pem string

---@alias tcpmulti.problem "expired"|"not yet valid"|"host mismatch"|"self-signed"|"unknown authority"|"weak key"|"weak signature"|"bad purpose"|"revoked"|"fingerprint"|"other"

---@class tcpmulti.TlsInfo
---@field version string Such as "TLSv1.3".
---@field cipher string
---@field alpn? string The protocol that the server has chosen.
---@field server_name string The name that is verified.
---@field resumed boolean The handshake has resumed a session.
---@field verified boolean The certificate was verified, and is good.
---@field problem? tcpmulti.problem The gravest problem of the certificate.
---@field problems tcpmulti.problem[] All of them.
---@field chain tcpmulti.Certificate[] The server's certificate first.

-- The terms of TLS, from on_success and on_secure on; also in on_failure, with the certificate that
-- was refused. nil alone: the connection does not speak TLS.
---@return tcpmulti.TlsInfo? info, string? message, tcpmulti.errname? errname
function Cheap:tls() end

-- Replaces both filters. Bytes received and not yet a record go through the new input filter, after
-- the handler has returned; bytes already queued for sending stay as they are. Without an argument:
-- returns both filters in use, the input's first, as objects, which can be set again.
---@param filter tcpmulti.filterspec
---@param options? table Options of the filter that filter names.
---@return true? ok, string? message, tcpmulti.errname? errname
---@overload fun(self: tcpmulti.Cheap): tcpmulti.Filter?, tcpmulti.Filter|string?, tcpmulti.errname?
function Cheap:filter(filter, options) end

-- As filter, for the input filter only.
---@param filter tcpmulti.filterspec
---@param options? table
---@return true? ok, string? message, tcpmulti.errname? errname
---@overload fun(self: tcpmulti.Cheap): tcpmulti.Filter?, string?, tcpmulti.errname?
function Cheap:input_filter(filter, options) end

-- As filter, for the output filter only.
---@param filter tcpmulti.filterspec
---@param options? table
---@return true? ok, string? message, tcpmulti.errname? errname
---@overload fun(self: tcpmulti.Cheap): tcpmulti.Filter?, string?, tcpmulti.errname?
function Cheap:output_filter(filter, options) end

-- Puts bytes in front of the received bytes that are not yet a record. If the last line ended in a
-- CR whose LF has not come, that LF is still expected from the network, not from these bytes.
---@param bytes string
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:unread(bytes) end

-- Orders the next record to be exactly the next n bytes, 0 to 1 GiB, whatever the filter; behind
-- that record the filter goes on, or another one set meanwhile. Bytes put back by unread and bytes
-- that pending shows count; the LF that the last line still expects does not. A second call before
-- the record replaces the first; false withdraws the order. While paused the record waits for
-- resume. If the input ends before the record is complete, its bytes stay pending.
---@param n integer|false
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:take(n) end

-- Returns the timeout of the current phase as it was set, or sets it, to run from now. 0: no
-- timeout. Any received byte restarts the input timeout.
---@param seconds? number
---@return number|true|nil seconds_or_ok, string? message, tcpmulti.errname? errname
function Cheap:timeout(seconds) end

-- Returns the time left of the deadline, or sets the deadline, from now. 0: no deadline.
---@param seconds? number
---@return number|true|nil seconds_or_ok, string? message, tcpmulti.errname? errname
function Cheap:deadline(seconds) end

-- As Session:send, for this connection.
---@param ... any Records.
---@return true? ok, string? full_or_message, tcpmulti.errname? errname
function Cheap:send(...) end

-- As Session:shutdown, for this connection.
---@param way? "output"
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:shutdown(way) end

-- Ends the connection by RST and drops its queue, also while it shuts down. Reason "shutdown".
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:reset() end

-- Ends the connection because the peer broke the protocol: on_error with op "fail", before success
-- on_failure; then RST, and the queue is dropped. An unknown errname raises.
---@param message string
---@param errname? tcpmulti.errname Default: "EPROTO".
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:fail(message, errname) end

-- Holds back all further records, buffered ones included, and the end or error behind them. The
-- input timeout stands still meanwhile; the deadline runs.
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:pause() end

-- Lets records come again, from a later turn of the loop on.
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:resume() end

-- As Session:delay, for an alarm of this connection: the state gets (session, cheap, …), each
-- connection has alarms of its own by name, and an alarm ends with its connection.
---@param state tcpmulti.state
---@param seconds? number
---@param ... any
---@return true? ok, string? message, tcpmulti.errname? errname
function Cheap:delay(state, seconds, ...) end

------------------------------------------------------------------ functions

-- As Session:connect with options, in the session whose handler or state is running. Raises where
-- no session is running.
---@param options tcpmulti.ConnectOptions
---@return tcpmulti.Cheap? cheap, integer|string id_or_message, tcpmulti.errname? errname
function tcpmulti.connect(options) end

-- As Session:yield, for any session, by alias or object. ESRCH: there is no such session, or the
-- session has no such state.
---@param destination string|tcpmulti.Session
---@param state tcpmulti.state
---@param ... any
---@return true? ok, string? message, tcpmulti.errname? errname
function tcpmulti.post(destination, state, ...) end

-- As Session:call, for any session, by alias or object.
---@param destination string|tcpmulti.Session
---@param state tcpmulti.state
---@param ... any
---@return any ...
function tcpmulti.call(destination, state, ...) end

-- Moves the module to luv's loop, in a plain luajit with lua-luv or in Neovim: uv.run() or the
-- editor then runs the connections, and tcpmulti.run() raises. To be called once in a Lua state,
-- before the first session; raises if luv uses another copy of libuv. A fatal error ends all
-- sessions and is passed to on_fatal. luv.walk shows luv's own handles only. In the runner luv
-- shares the module's loop already, and attach changes nothing.
---@param luv table The result of require "luv", or vim.loop.
---@param on_fatal? fun(message: string) Default: prints the message on standard error.
---@return true? ok, string? message, string? errname
function tcpmulti.attach(luv, on_fatal) end

-- Runs the loop until nothing is left to do: no connection, alarm, queued state or standard input
-- of any session, no active luv handle; then all sessions end. Raises a fatal error. run may be
-- called again; not from inside a handler, not in a coroutine, and not in a host. seconds: after
-- this time every session dies in order, whatever luv's handles do, and run returns true, "time".
-- Default: no limit.
---@param options? { seconds?: number }
---@return true? ok, "time"? reason
function tcpmulti.run(options) end

-- Lets run return after the current turn of the loop. Nothing is closed; another run goes on.
function tcpmulti.stop() end

-- The time of a clock that only goes forward.
---@return number seconds
function tcpmulti.now() end

---@class tcpmulti.DnsOptions
---@field servers? string[] Name servers, 1 to 8: numeric addresses, with or without a port, like "192.0.2.1" and "[2001:db8::1]:5353". Default: those of /etc/resolv.conf, which is read again when it has changed.
---@field timeout? number Time for an answer to the first try; each further try has twice the time of the one before. At most 60. Default: 2.
---@field tries? integer 1 to 10. Default: 3.
---@field search? boolean Append the domains of resolv.conf, as resolv.conf(5) tells. Default: true.
---@field ttl? integer|"sticky" Seconds for which addresses are kept; 0: not at all, "sticky": for ever. Default: as the name server says, at most one hour.
---@field concurrency? integer Queries on their way at once, 1 to 32768; how many of them the name servers can take is found out. Default: 1024.
---@field cache? integer Names whose answers are kept, 1 to 16777216. Default: 65536.

---@class tcpmulti.DnsStats
---@field hits integer Look-ups that were answered by what was kept.
---@field misses integer Look-ups that were not.
---@field queries integer Queries made, one for each family of addresses; repeated ones too.
---@field waiting integer Queries that wait for their turn, or to be made again, now.
---@field window integer Queries that may be on their way at once, now.
---@field refused integer Queries that the name servers have refused.
---@field lost integer Queries that got no answer in time, or only after a second try.

-- A specification of TLS, made by tcpmulti.tls, for any number of sessions and connections.
---@class tcpmulti.Tls

---@class tcpmulti.TlsOptions
---@field server_name? string The name, or the address, that is sent to the server and verified. Default: the target.
---@field verify? boolean false: the connection stands whatever is wrong with the certificate; cheap:tls() tells it all the same. Default: true.
---@field ca? string Certificates of authorities: PEM text, or the name of a file. Default: those of the system.
---@field ca_path? string A folder of them, as made by openssl-rehash(1).
---@field cert? string The client's certificate with its chain: PEM text, or the name of a file.
---@field key? string The client's key: PEM text, or the name of a file.
---@field key_password? string The password of the key; "@FILE": the first line of a file.
---@field alpn? string|string[] Protocols to offer, the preferred first: { "h2", "http/1.1" }.
---@field min_version? "1.0"|"1.1"|"1.2"|"1.3" Default: "1.2".
---@field max_version? "1.0"|"1.1"|"1.2"|"1.3"
---@field ciphers? string Up to TLS 1.2, as for openssl-ciphers(1).
---@field ciphersuites? string Of TLS 1.3.
---@field fingerprint? string SHA-256 of the server's certificate, hexadecimal, colons allowed. It has to fit, also without verify.
---@field resumption? boolean false: each handshake is a full one. Default: true.
---@field allow_truncation? boolean true: a FIN without close_notify is an end like others. Default: false, an error (ETRUNCATED).
---@field legacy? boolean true: also servers without RFC 5746; with a min_version below "1.2" also algorithms that OpenSSL refuses. Default: false.
---@field sni? boolean false: the name is verified, but not sent. Default: true.

-- Makes a specification. Its files are read here, once. Raises if an option is wrong.
---@param options? tcpmulti.TlsOptions
---@return tcpmulti.Tls
function tcpmulti.tls(options) end

-- With options: sets how names are looked up from now on, for all sessions of the engine; an option
-- that is left out gets its default again. All options but ttl and cache concern c-ares only.
-- Without arguments: numbers about look-ups. ESHUTDOWN: the module is closed.
---@param options tcpmulti.DnsOptions
---@return true? ok, string? message, tcpmulti.errname? errname
---@overload fun(): tcpmulti.DnsStats?, string?, tcpmulti.errname?
function tcpmulti.dns(options) end

-- The state of the engine, for people who look for a mistake: a list of lines, the first about the
-- engine, the others about its connections, session by session, the oldest first. In a host the
-- list contains the host's own connections too. tcpmulti.h describes the form of the lines
-- (tcpm_engine_dump); the names of flags in them may change in later releases.
---@return string[]? lines, string? message, tcpmulti.errname? errname ESHUTDOWN: the module is closed.
function tcpmulti.dump() end

-- A program that runs beside the loop, which goes on while the program does. Its number is in [0].
---@class tcpmulti.Child
---@field pid integer
local Child = {}

-- Writes a line, and its end, to the standard input of the child.
---@param line string Without its end.
---@return true? ok, integer|string waiting_or_message, tcpmulti.errname? errname The bytes that wait for the child to read them. ESRCH: it has ended; EPIPE: its input has.
function Child:send(line) end

-- The bytes that wait for the child to read them.
---@return integer
function Child:queued() end

-- Ends the standard input of the child, after what was sent.
---@return true? ok, string? message, tcpmulti.errname? errname
function Child:finish() end

---@param signal? "HUP"|"INT"|"QUIT"|"KILL"|"USR1"|"USR2"|"TERM"|"CONT"|"STOP" Default: "TERM".
---@return true? ok, string? message, tcpmulti.errname? errname ESRCH: it has ended.
function Child:kill(signal) end

-- Reads no more from the child, until resume. Lines that have been read already still come.
---@return true? ok, string? message, tcpmulti.errname? errname
function Child:pause() end

---@return true? ok, string? message, tcpmulti.errname? errname
function Child:resume() end

-- The program and its arguments in a list, and these options.
---@class tcpmulti.ChildOptions
---@field [integer] string|number
---@field env? table<string, string|false> Changes to the environment; false: without this variable.
---@field on_line? fun(child: tcpmulti.Child, line: string) Each whole line of its standard output, without its end, at most 16 MiB long; a child with a longer one is killed. An error ends the loop, and run raises it; so in on_end.
---@field on_end? fun(child: tcpmulti.Child, status: integer, signal: integer, rest: string?) Once, after the last line. signal: that has ended it, or 0. rest: what came after the last whole line.

-- Starts a program, which is looked for in PATH. It shares our standard error; its standard input
-- ends when this process does. In a host and after attach: ENOTSUP.
---@param options tcpmulti.ChildOptions
---@return tcpmulti.Child? child, string? message, tcpmulti.errname? errname
function tcpmulti.child(options) end

-- The message of an error that a server has sent, as a record of the filter resp or inside of one;
-- nil for all other values.
---@param value any
---@return string? message
function tcpmulti.is_error(value) end

-- Makes bytes safe for a terminal and for the inside of a JSON string: printable ASCII stays, ", \
-- and all other bytes become \u00XX.
---@param bytes string
---@return string text
function tcpmulti.escape(bytes) end

-- The methods of cheaps, as functions of the module. send and shutdown take an id as well.

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

-- Without the option --peer of tcpmulti-lua, tcpmulti.peer is the cheap's method peer; with it,
-- tcpmulti.peer is a table about the practice peer that can still be called as that method.
---@class tcpmulti.Peer
---@field addr string "127.0.0.1".
---@field addrs string[] "127.0.0.1" to "127.0.0.32": for many connections, whose cost a single address would distort.
---@field port integer The port on all addresses.
---@field mode string The mode, as given to --peer.
---@overload fun(cheap: tcpmulti.Cheap): string?, integer|string, tcpmulti.errname?
tcpmulti.peer = Cheap.peer

tcpmulti.session = Cheap.session
tcpmulti.phase = Cheap.phase
tcpmulti.cause = Cheap.cause
tcpmulti.times = Cheap.times
tcpmulti.figures = Cheap.figures
tcpmulti.tried = Cheap.tried
tcpmulti.starttls = Cheap.starttls
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

-- The methods of a filter written in Lua: for input feed, get_one and clone, for output put and
-- clone. They run inside the call that needs them; meanwhile calls for the connection whose filter
-- is running return EBUSY. An error in a method ends the connection: on_error with op "filter". A
-- filter made by tcpmulti.filters has clone; its clones have all six methods, for use by hand.
---@class tcpmulti.Filter
local Filter = {}

-- Takes received bytes.
---@param bytes string
function Filter:feed(bytes) end

-- Returns the next record. Default: get_one is called again behind each record, until it returns
-- nil.
---@return any record, string|false|nil message, tcpmulti.errname? errname nil: no record yet. nil, message: the input is wrong; the connection ends with on_error, op "filter", errname "EFILTER" or the given one. A record, false: no further record is there before more bytes come.
function Filter:get_one() end

-- Makes bytes of a record.
---@param record any
---@return string? bytes, string? message, tcpmulti.errname? errname nil, message: the record is refused; send returns nil, message, and "EFILTER" or the given errname.
function Filter:put(record) end

-- Optional. Default: no bytes.
---@return string bytes The bytes that were fed and are not yet a record.
function Filter:pending() end

-- Optional. Called once, when the peer has ended its output in order (FIN, with TLS close_notify),
-- never after a reset, a timeout, a truncation or an end of ours. After a record get_one is asked
-- for further ones; then the end is told. pending no longer shows the bytes of the record.
---@return any record, string? message, tcpmulti.errname? errname nil: no record; the bytes stay pending. nil, message: as of get_one.
function Filter:finish() end

-- Makes the filter of a connection: unused, of the same kind.
---@return tcpmulti.Filter filter
function Filter:clone() end

---@class tcpmulti.Filters
tcpmulti.filters = {}

-- Bytes as they come, at most 32 KiB in a record. No options.
---@return tcpmulti.Filter
function tcpmulti.filters.stream() end

-- Lines, without their ends. ends: "any" (CR LF, LF or CR), "lf" (LF; one CR before it is dropped)
-- or "auto" (the first line end decides: the first line ends at a CR or LF; if the other of the two
-- is the next byte, both together end all lines, else that one alone). Default: "any". literal:
-- exactly these bytes end a line, in both directions; input_literal, output_literal: in one.
-- Default for output: CR LF. max_length: a longer line is ETOOLONG. Default: 64 KiB.
---@param options? { ends?: "any"|"lf"|"auto", literal?: string, input_literal?: string, output_literal?: string, max_length?: integer }
---@return tcpmulti.Filter
function tcpmulti.filters.line(options) end

-- Blocks, in one of three forms. block_size: blocks of that many bytes. length: a field of this
-- encoding in front of each block holds its length; offset: bytes before that field (above 0 needs
-- header; default: 0); adjust: added to the length (default: 0). length_codec, { encode, decode }:
-- encode(length) returns the bytes of a header; decode(bytes) returns the length and the bytes of
-- the header, not both 0, or nil if it needs more bytes, or nil, message. decode gets at most the
-- first 64 bytes of a record; after a nil up to twice as many, and again when more have come
-- (beyond 16 KiB when a 64th more has come), up to max_length. header = true: records contain the
-- header, and put passes them on as they are. Default: false. max_length: a longer block is
-- ETOOLONG. Default: 16 MiB.
---@param options { block_size?: integer, length?: "u8"|"u16be"|"u16le"|"u24be"|"u24le"|"u32be"|"u32le"|"u64be"|"ascii0"|"varint", length_codec?: function[], offset?: integer, adjust?: integer, header?: boolean, max_length?: integer }
---@return tcpmulti.Filter
function tcpmulti.filters.block(options) end

-- Netstrings, as 5:hello, (D. J. Bernstein). max_length: a longer one is ETOOLONG. Default: 16 MiB.
---@param options? { max_length?: integer }
---@return tcpmulti.Filter
function tcpmulti.filters.netstring(options) end

-- Values of RESP 2 and 3, the protocol of Redis. A record is a string, a number (a string where it
-- is an integer from 2^53 on or a big number), a boolean, false for null, a list (push = true if it
-- is a push), a table by key for a map, or an error, for which tcpmulti.is_error gives the message.
-- Out: a list of strings and numbers becomes a command, an array of bulk strings; a string goes as
-- it is. max_length: a longer value, with all that is in it, is ETOOLONG. Default: 16 MiB.
-- max_elements: values in all lists of a value; more are ETOOLONG. Default: 1,048,576.
---@param options? { max_length?: integer, max_elements?: integer }
---@return tcpmulti.Filter
function tcpmulti.filters.resp(options) end

-- Whole replies of SMTP, FTP and NNTP: a line that begins with three digits, or several lines of
-- which the first has a hyphen behind them and the last has the same digits without one. A record
-- is the reply without its last line end; its lines are joined by "\n". What begins otherwise is
-- EFILTER. Out: lines, which get CR LF. max_length: a longer reply, its line ends counted, is
-- ETOOLONG. Default: 64 KiB.
---@param options? { max_length?: integer }
---@return tcpmulti.Filter
function tcpmulti.filters.reply(options) end

-- Texts that end in a line with nothing but a dot (SMTP, POP3, NNTP). A record is the text without
-- that line; lines end in "\n", and a dot in front of a line that begins with one is taken away.
-- Out: a text, with any line ends; CR LF ends its lines, dots are put in front, and the line with
-- the dot follows. max_length: a longer text, as it was sent, is ETOOLONG. Default: 16 MiB.
---@param options? { max_length?: integer }
---@return tcpmulti.Filter
function tcpmulti.filters.dot(options) end

-- Replies of HTTP/1.1, for clients: { status, reason, version, headers (names in lower case), body,
-- trailers }. Out: requests, { method = "GET", path = "/", headers, body } or a string as it is;
-- Host is the script's to set. Use one filter for both directions: the methods that were sent tell
-- which replies have no body. stream: the reply without body, pieces of the body, "" for its end.
-- Default: false. max_length: bytes of a body, without stream; more are ETOOLONG. Default: 16 MiB.
-- max_head: bytes of a head, and of a trailer. Default: 64 KiB.
---@param options? { stream?: boolean, max_length?: integer, max_head?: integer }
---@return tcpmulti.Filter
function tcpmulti.filters.http(options) end

-- Replaces records: get(record), for input, and put(record), for output, return any number of
-- records; nil: none. code: both. A missing function leaves records as they are.
---@param get? fun(record: any): ...
---@param put? fun(record: any): ...
---@return tcpmulti.Filter
---@overload fun(options: { get?: function, put?: function, code?: function }): tcpmulti.Filter
function tcpmulti.filters.map(get, put) end

-- Keeps the records for which get(record), for input, or put(record), for output, returns true.
-- code: both. A missing function keeps all.
---@param get? fun(record: any): boolean?
---@param put? fun(record: any): boolean?
---@return tcpmulti.Filter
---@overload fun(options: { get?: function, put?: function, code?: function }): tcpmulti.Filter
function tcpmulti.filters.grep(get, put) end

-- Lists of block_size records; put takes a list of records. check_put: that list must have
-- block_size records. Default: false.
---@param block_size integer
---@param check_put? boolean
---@return tcpmulti.Filter
---@overload fun(options: { block_size: integer, check_put?: boolean }): tcpmulti.Filter
function tcpmulti.filters.record_block(block_size, check_put) end

-- Filters upon filters; the first is nearest to the connection. An empty list is stream. pending
-- shows the bytes of the first filter.
---@param filters tcpmulti.filterspec[]
---@return tcpmulti.Filter
function tcpmulti.filters.stack(filters) end

return tcpmulti
