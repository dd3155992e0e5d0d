/* SPDX-License-Identifier: MIT */
/*
 * The lowest of the three levels of this layer (record < flow < life): functions that note in the
 * structs of shapes.h what has happened to a connection, and what has to be done. These functions
 * move no bytes, and destroy no connection.
 *
 * Events are delivered in two places. Success and input are delivered while the loop hands out I/O,
 * straight from the read. All other events are delivered in the ready pass (turn.c), before and
 * after the loop polls, for the connections that were marked as ready. So no connection is
 * destroyed, and no socket is closed, during an event of another connection; and a public function
 * that the user calls runs no handler.
 */
#ifndef TCPM_CONNECTION_RECORD_H
#define TCPM_CONNECTION_RECORD_H

#include <errno.h>

#include "connection/shapes.h"

/* Message of a connect whose socket got the target's port as its own. */
#define TCPM__TO_ITSELF "connection refused: the kernel had connected it to itself"

/* An id has so many bits. The bits of a tag above them number the racers. */
enum { TCPM__TAG_BITS = 53 };

static inline struct tcpm_engine *tcpm__engine_of(const struct tcpm__connection *connection)
{
    return connection->session->engine;
}

/* The connection that was marked as ready after this one, or NULL. */
static inline struct tcpm__connection *
tcpm__connection_next_ready(const struct tcpm_engine *engine,
                            const struct tcpm__connection *connection)
{
    uint32_t slot = connection->next_ready;

    return slot == 0 ? NULL : tcpm__pool_at(&engine->connections, slot);
}

static inline bool tcpm__has(const struct tcpm__connection *connection, uint32_t flag)
{
    return (connection->flags & flag) != 0;
}

static inline bool tcpm__has_any(const struct tcpm__connection *connection, uint32_t flags)
{
    return (connection->flags & flags) != 0;
}

/* The connection's own handlers, or those of its session. */
static inline const struct tcpm_events *tcpm__events_of(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__OWN_EVENTS) ? connection->address.target->events
                                                   : &connection->session->events;
}

/* The last reading of the clock, in ms. */
static inline uint64_t tcpm__now_of(const struct tcpm__connection *connection)
{
    return tcpm__engine_of(connection)->network.now_ms;
}

/* The state of the connection's attempt; NULL: there is none. */
static inline struct tcpm__attempt *tcpm__attempt_of(const struct tcpm__connection *connection)
{
    return connection->rare == NULL ? NULL : connection->rare->attempt;
}

/* The layer between the connection and its socket; NULL: there is none. */
static inline struct tcpm__layer *tcpm__layer_of(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__LAYERED) ? connection->address.target->layer : NULL;
}

/* The options for the connection's attempt and sockets; NULL: all defaults. */
static inline struct tcpm__way *tcpm__way_of(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__QUAD) ? NULL : connection->address.target->way;
}

/* Number of bytes of the wire that the kernel has taken. */
static inline uint64_t tcpm__sending_carried(const struct tcpm__connection *connection)
{
    const struct tcpm__layer *layer = tcpm__layer_of(connection);

    return layer != NULL ? layer->carried : connection->sent;
}

/* ---- mark.c: marks of work to be done ---- */
/* Marks the connection for a step in the ready pass. */
void tcpm__connection_mark_ready(struct tcpm__connection *connection);
/* Makes sure that the loop looks at what is new, an earlier time for example, before it sleeps. May
   be called at any time. */
void tcpm__engine_wake(struct tcpm_engine *engine);
/* Makes the next poll of the loop return at once. */
void tcpm__engine_stay_awake(struct tcpm_engine *engine);
/* Counts work (struct tcpm_engine, turn.work), for which the loop keeps running. */
void tcpm__work_add(struct tcpm_engine *engine);
void tcpm__work_done(struct tcpm_engine *engine);

/* ---- target.c: where a connection goes ---- */
/* Makes the object for the remote address, handlers, way and layer. 0, or -ENOMEM. */
int tcpm__target_make(struct tcpm__connection *connection,
                      const struct tcpm_connect_options *options, struct tcpm__way *way);
/* Keeps the remote address, the handlers and the way of a new connection. A dotted quad with
   nothing else, the common case, needs no object; except 0.0.0.0, whose peer the kernel chooses.
   quad: the address as a dotted quad; NULL: the address has another form. way: NULL is allowed. 0,
   or -ENOMEM. */
static inline int tcpm__target_keep(struct tcpm__connection *connection,
                                    const struct tcpm_connect_options *options,
                                    const struct in_addr *quad, struct tcpm__way *way)
{
    if (TCPM__LAYER_ALWAYS || options->events != NULL || options->server_name != NULL ||
        way != NULL || quad == NULL || quad->s_addr == INADDR_ANY)
        return tcpm__target_make(connection, options, way);
    connection->address.quad = *quad;
    connection->flags |= TCPM__QUAD;
    return 0;
}
/* Frees the object. The connection must not have the flag QUAD. */
void tcpm__target_free(struct tcpm__connection *connection);
/* Keeps the name that TLS is to verify; NULL: nothing changes. 0, or -ENOMEM. */
int tcpm__target_name_server(struct tcpm__connection *connection, const char *server_name);
/* Drops that name, once the layer has a copy of it. */
void tcpm__target_forget_server(struct tcpm__connection *connection);
/* Makes the object for a dotted quad, which has none. 0, or -ENOMEM. */
int tcpm__target_need(struct tcpm__connection *connection);
/* Bytes that the connection holds for TLS and proxies now: what TLS is reckoned to take, and what
   is kept of the wire beside queue and input. */
size_t tcpm__target_measure(const struct tcpm__connection *connection);
/* Accounts for those bytes, which may have become more or less. False: they have become more, and
   all that is held exceeds max_memory. The connection must not have the flag QUAD. */
bool tcpm__target_weigh(struct tcpm__connection *connection);
enum { TCPM__WEIGHT_TEXT = 96 };
/* Writes how many those bytes are, and what the limit is. */
void tcpm__target_explain_weight(const struct tcpm__connection *connection,
                                 char text[TCPM__WEIGHT_TEXT]);
/* Gives up TLS that has not begun yet, and what was to be sent through it. */
void tcpm__target_stay_plain(struct tcpm__connection *connection);
/* Whether the success follows the connect at once: nothing else is between. */
bool tcpm__target_is_direct(const struct tcpm__connection *connection);
/* The remote address as given. Written to text where the connection keeps no text of it. */
const char *tcpm__connection_address(const struct tcpm__connection *connection,
                                     char text[TCPM__ADDRESS_TEXT]);
/* The address that the connection is connected to, or tries. AF_UNSPEC: none yet. */
void tcpm__connection_peer(const struct tcpm__connection *connection, union tcpm__address *peer);

/* The families of addresses that the session's option domain allows. */
static inline unsigned tcpm__session_families(const struct tcpm_session *session)
{
    if (session->options.domain == 4)
        return TCPM__INET;
    return session->options.domain == 6 ? TCPM__INET6 : TCPM__ANY_FAMILY;
}

/* ---- rare.c: properties that few connections have ---- */
/* The connection's struct tcpm__rare, made if there is none; NULL: no memory. */
struct tcpm__rare *tcpm__rare_get(struct tcpm__connection *connection);
/* The connection's struct tcpm__attempt, made if there is none; NULL: no memory. */
struct tcpm__attempt *tcpm__attempt_get(struct tcpm__connection *connection);
/* Whether an answer of the attempt's look-up is still to come. */
static inline bool tcpm__attempt_awaits(const struct tcpm__attempt *attempt)
{
    return attempt->asker != NULL;
}
/* Frees the attempt, and the struct tcpm__rare if nothing else is in it. There must be one, without
   racers. */
void tcpm__attempt_free(struct tcpm__connection *connection);
/* Frees the struct tcpm__rare with attempt and message. There must be one, without alarms. */
void tcpm__rare_free(struct tcpm__connection *connection);

/* ---- cause.c: why a connection ends ---- */
/* The message that was given with the cause; NULL: none was. */
static inline const char *tcpm__connection_own_message(const struct tcpm__connection *connection)
{
    return connection->rare == NULL ? NULL : connection->rare->message;
}
/* The code that a failed system call stands for: the kernel says EPIPE, not ECONNRESET, for a reset
   that came after a FIN. */
static inline int tcpm__cause_code(int code)
{
    return code == -EPIPE ? -ECONNRESET : code;
}
/* Notes the cause of the end, unless one is known. message: copied; NULL: the text of code. */
void tcpm__connection_set_cause(struct tcpm__connection *connection, enum tcpm_op op, int code,
                                const char *message);
/* As tcpm__connection_set_cause, of a negative result of the stream. Where the layer has a reason
   for it, the layer has failed, not the socket: then the operation is the layer's. */
void tcpm__connection_set_stream_cause(struct tcpm__connection *connection, enum tcpm_op op,
                                       int code);
/* Drops a cause that is known but not yet reported, so that another one can take its place. */
void tcpm__connection_forget_cause(struct tcpm__connection *connection);
/* The message of the cause, or else the text of its code. Never NULL. */
const char *tcpm__connection_message(const struct tcpm__connection *connection);

/* ---- trace.c: only for an engine that has a trace ---- */
/* Tells that the connection goes over to another phase. Called before the change. */
void tcpm__trace_phase(const struct tcpm__connection *connection, enum tcpm__phase phase);
/* Tells that an attempt at one address has failed. */
void tcpm__trace_attempt(const struct tcpm__connection *connection,
                         const union tcpm__address *address, enum tcpm_op op, int code);

/* ---- state.c: the states of a connection ---- */
/* The only function that changes the phase; inline, as phases change often. */
static inline void tcpm__connection_set_phase(struct tcpm__connection *connection,
                                              enum tcpm__phase phase)
{
    struct tcpm_session *session = connection->session;

    if (session->engine->trace.tell != NULL)
        tcpm__trace_phase(connection, phase);
    session->phases[connection->phase]--;
    session->phases[phase]++;
    connection->phase = phase;
}
/* The only function that changes the state of the sending half. */
static inline void tcpm__connection_set_sending(struct tcpm__connection *connection,
                                                enum tcpm__sending sending)
{
    connection->sending = sending;
}
/* Whether the end is decided. The last events may still have to be delivered. */
static inline bool tcpm__is_ending(const struct tcpm__connection *connection)
{
    return connection->phase >= TCPM__PHASE_ENDING;
}
/* Whether the connection was shut down, or is further on its way to the end. */
static inline bool tcpm__is_shutting(const struct tcpm__connection *connection)
{
    return connection->phase >= TCPM__PHASE_FLUSHING;
}
/* The phase as tcpm_info_get() shows it. */
static inline enum tcpm_phase tcpm__phase_shown(enum tcpm__phase phase)
{
    static const enum tcpm_phase shown[] = {
        [TCPM__PHASE_WAITING] = TCPM_PHASE_WAITING,
        [TCPM__PHASE_CONNECTING] = TCPM_PHASE_CONNECTING,
        [TCPM__PHASE_OPEN] = TCPM_PHASE_OPEN,
        [TCPM__PHASE_FLUSHING] = TCPM_PHASE_SHUTTING,
        [TCPM__PHASE_ENDING] = TCPM_PHASE_SHUTTING,
        [TCPM__PHASE_CLOSED] = TCPM_PHASE_CLOSED,
    };

    return shown[phase];
}
/* Whether records of the user's are accepted, be it only to be lost. */
static inline bool tcpm__sending_takes_records(const struct tcpm__connection *connection)
{
    return connection->sending <= TCPM__SENDING_BROKEN;
}
/* Whether an error has made it impossible to send. */
static inline bool tcpm__sending_is_broken(const struct tcpm__connection *connection)
{
    return connection->sending == TCPM__SENDING_BROKEN ||
           connection->sending == TCPM__SENDING_BROKEN_SHUT;
}
/* Accepts no record any more: FIN follows the bytes of the queue. */
static inline void tcpm__sending_shut(struct tcpm__connection *connection)
{
    if (connection->sending == TCPM__SENDING_OPEN)
        tcpm__connection_set_sending(connection, TCPM__SENDING_SHUT);
    else if (connection->sending == TCPM__SENDING_BROKEN)
        tcpm__connection_set_sending(connection, TCPM__SENDING_BROKEN_SHUT);
}
/* Notes that nothing can be sent any more. */
void tcpm__sending_break(struct tcpm__connection *connection);
/* Breaks the sending, as a send or the socket has failed with this code. Bytes that the peer sent
   before the failure are still delivered. */
void tcpm__sending_fail(struct tcpm__connection *connection, int code);
/* Asks the socket for an error, and breaks the sending if there is one. Needed after the peer's
   FIN, when no read reports a reset any more. */
void tcpm__sending_check_error(struct tcpm__connection *connection);
/* Number of bytes accepted from the user that are not with the kernel. */
uint64_t tcpm__sending_unsent(const struct tcpm__connection *connection);
/* Whether at the last look the peer's kernel had all bytes that were sent. Compares modulo 2^32,
   which is more than the kernel holds for a socket, so the answer is exact right after a look. */
static inline bool tcpm__sending_is_acknowledged(const struct tcpm__connection *connection)
{
    return !tcpm__sending_is_broken(connection) &&
           connection->left.acknowledged == (uint32_t) tcpm__sending_carried(connection);
}

/* ---- timers.c: the times of a connection ---- */
/* Whether the timeout of the phase is stopped by a pause of the input. */
static inline bool tcpm__timeout_stands_still(const struct tcpm__connection *connection)
{
    return connection->phase == TCPM__PHASE_OPEN &&
           (connection->flags & (TCPM__PAUSED | TCPM__SECURING)) == TCPM__PAUSED;
}
/* Makes timeout_ms the timeout of the phase, and lets it run from now. 0: no timeout. */
void tcpm__timers_start_timeout(struct tcpm__connection *connection, uint32_t timeout_ms);
/* As tcpm__timers_start_timeout, where the clock has just been read. */
void tcpm__timers_start_timeout_now(struct tcpm__connection *connection, uint32_t timeout_ms);
/* Lets the timeout of the attempt run, and with the first attempt the deadline. */
void tcpm__timers_begin_attempt(struct tcpm__connection *connection);
/* Arms the timer anew if a time of the connection has become earlier. Called after any change. */
void tcpm__timers_arm(struct tcpm__connection *connection);
/* Sets the deadline to so many ms from now, or from the first attempt on. 0: no deadline. */
void tcpm__timers_set_deadline(struct tcpm__connection *connection, uint64_t ms);
/* Time left until the deadline, in ms, at least 1; 0: no deadline. */
int64_t tcpm__timers_deadline_left(const struct tcpm__connection *connection);
void tcpm__timers_cancel(struct tcpm__connection *connection);
/* Clock at which the timeout of the phase is due, in ms; UINT64_MAX: never. */
uint64_t tcpm__timers_timeout_due(const struct tcpm__connection *connection);
/* Clock at which the deadline is due, in ms; UINT64_MAX: never. */
uint64_t tcpm__timers_deadline_due(const struct tcpm__connection *connection);
/* Makes the pause before the next look at a flush longer. */
void tcpm__timers_delay_looks(struct tcpm__connection *connection);

/* Clock at which the race of the attempt goes on by itself, in ms; UINT64_MAX: never. */
static inline uint64_t tcpm__timers_race_due(const struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = tcpm__attempt_of(connection);

    if (connection->phase != TCPM__PHASE_CONNECTING || attempt == NULL || attempt->due_ms == 0)
        return UINT64_MAX;
    return attempt->due_ms;
}

/* ---- backlog.c: who has more to read than one read takes ---- */
void tcpm__backlog_add(struct tcpm__connection *connection);
void tcpm__backlog_leave(struct tcpm__connection *connection);
static inline bool tcpm__backlog_has(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__IN_BACKLOG);
}
/* The connection that is to read; NULL: none may in this round. */
struct tcpm__connection *tcpm__backlog_next(const struct tcpm_engine *engine);
/* Of a turn's reading: until when it may go on. */
uint64_t tcpm__backlog_begin(struct tcpm_engine *engine);
/* The connection has read; more: it has left something. False: the turn's time is over. */
bool tcpm__backlog_note_read(struct tcpm__connection *connection, bool more, uint64_t until_ns);

/* ---- handlers.c: calls of the user's functions, and posts ---- */
void tcpm__posts_init(struct tcpm__posts *posts);
/* Lets the task run after the current handler, or in the next turn. 0, or -ENOMEM. */
int tcpm__posts_add(struct tcpm_session *session, struct tcpm_task task);
/* Runs the posts that are in the list now. */
void tcpm__posts_run(struct tcpm_engine *engine, struct tcpm__posts *posts);
/* Drops all posts of the session. */
void tcpm__posts_drop(struct tcpm_session *session);
void tcpm__task_run(struct tcpm_session *session, const struct tcpm_task *task);
/* Calls the task's drop, if there is one. */
void tcpm__task_drop(struct tcpm_engine *engine, const struct tcpm_task *task);
/* Each call of a handler stands between tcpm__handler_enter and tcpm__handler_leave. */
static inline void tcpm__handler_enter(struct tcpm_engine *engine)
{
    engine->delivery.handler_depth++;
}
/* Runs the posts of the handler, if this was the outermost one. */
static inline void tcpm__handler_leave(struct tcpm_engine *engine)
{
    engine->delivery.handler_depth--;
    if (engine->tasks.posts.first != NULL && engine->delivery.handler_depth == 0)
        tcpm__posts_run(engine, &engine->tasks.posts);
}

/* ---- places.c: who may have a socket ---- */
/* Gives the connection a place. */
void tcpm__places_take(struct tcpm__connection *connection);
/* Gives the connection a place if nothing keeps the connect from starting now. False: something
   does, and the connect has to wait. */
bool tcpm__places_take_at_once(struct tcpm__connection *connection);
/* Puts the connection behind all others of its session that wait. */
void tcpm__places_wait(struct tcpm__connection *connection, uint64_t number);
/* Takes the oldest connect that may start now out of its queue; number: that of its request. NULL:
   no connect may start. */
struct tcpm__connection *tcpm__places_next(struct tcpm_engine *engine, uint64_t *number);
/* Takes the next session that is to be told of room off the list. NULL: no session is. */
struct tcpm_session *tcpm__places_next_room(struct tcpm_engine *engine);
/* Finds out whether the session may start a connect, and notes the answer. Called after any change
   of its queue, its wish for room, or its limits. */
void tcpm__places_settle(struct tcpm_session *session);
/* Puts a connection that got no descriptor back into the queue, by the number of its request. 0, or
   -ENOMEM. */
int tcpm__places_wait_again(struct tcpm__connection *connection, uint64_t number);
/* Notes that a descriptor was found while the engine probes for more. */
void tcpm__places_note_descriptor(struct tcpm_engine *engine);
/* Takes a place for a further socket of a connection that has one, in front of all connects that
   wait. False: there is none. */
bool tcpm__places_take_further(struct tcpm_engine *engine);
void tcpm__places_give_further(struct tcpm_engine *engine);
/* Notes that there is no descriptor for a further socket. */
void tcpm__places_note_lack(struct tcpm_engine *engine);
/* Notes that the connection's race goes on as soon as there is a further place; or that not. */
void tcpm__places_want_further(struct tcpm__connection *connection);
void tcpm__places_forget_further(struct tcpm__connection *connection);
/* Takes the oldest connection whose race wants a further place, as there is one. NULL: there is no
   place, or no such race. */
struct tcpm__connection *tcpm__places_next_race(struct tcpm_engine *engine);
/* Gives back the connection's place, or its rank in the queue. */
void tcpm__places_leave(struct tcpm__connection *connection);
/* True: a connect would start now. False: it would not, and the event room follows if the session
   handles it. */
bool tcpm__places_ask_room(struct tcpm_session *session);
/* Drops the session's wish to be told of room. */
void tcpm__places_forget_room(struct tcpm_session *session);
/* Called when an alarm of this file has gone off: the refill of the session, whose pace allows an
   attempt; or, with NULL, the engine's probe for descriptors. */
void tcpm__places_wake(struct tcpm_engine *engine, struct tcpm_session *session);

/* ---- lookup.c: names ---- */
/* The resolver of the engine, opened if there is none yet. 0, or -ENOMEM. */
int tcpm__lookup_open(struct tcpm_engine *engine, struct tcpm__resolver **ret);
/* As tcpm__resolver_ask. */
int tcpm__lookup_ask(struct tcpm_engine *engine, const struct tcpm__resolver_ask *ask,
                     struct tcpm__answer known[2], struct tcpm__asker **ret, const char **why);
/* asker: NULL is allowed. */
void tcpm__lookup_forget(struct tcpm_engine *engine, struct tcpm__asker *asker);
/* Called when the alarm of this file has gone off. */
void tcpm__lookup_wake(struct tcpm_engine *engine);
/* Called for an event of the set that is for no connection. */
void tcpm__lookup_event(struct tcpm_engine *engine, uint64_t tag, uint32_t bits);
/* Gives up all look-ups; every asker must be forgotten. */
void tcpm__lookup_close(struct tcpm_engine *engine);

/* ---- outcome.c: how a connection ends ---- */
/* Decides that the connection ends, for this reason; the last events follow in the ready pass. The
   first decision stands. */
void tcpm__connection_end(struct tcpm__connection *connection, enum tcpm_reason reason);
/* Notes the cause, and ends the connection by error; before success: by failure. */
void tcpm__connection_fail(struct tcpm__connection *connection, enum tcpm_op op, int code,
                           const char *message);
/* As tcpm__connection_fail. Where proxies are between, the message says whose host has failed. */
void tcpm__connection_fail_to_reach(struct tcpm__connection *connection, enum tcpm_op op, int code,
                                    const char *message);
/* As tcpm__connection_fail, and the peer gets RST. */
void tcpm__connection_fail_by_reset(struct tcpm__connection *connection, enum tcpm_op op, int code,
                                    const char *message);
/* Ends the connection once the queue is sent and acknowledged; before success: at once. */
void tcpm__connection_shutdown(struct tcpm__connection *connection, enum tcpm_reason reason);
/* Accepts no record any more: FIN follows the queue. Ends a connection whose input is over. */
void tcpm__connection_shutdown_output(struct tcpm__connection *connection);
/* Resets the connection with the reason ERROR and the cause ECANCELED, which no event tells.
   Replaces an end that was decided before, unless its events have begun. */
void tcpm__connection_abort(struct tcpm__connection *connection, const char *message);
/* Ends the connection, and the peer gets RST. */
void tcpm__connection_reset(struct tcpm__connection *connection, enum tcpm_reason reason);

/* ---- fork.c: an engine in a process that was forked ---- */
/* Gives up sockets and set, untouched: both belong to the other process. */
void tcpm__engine_abandon(struct tcpm_engine *engine);
/* Abandons the engine if this process is a fork. True: the caller has nothing to do, as the engine
   rests until it is closed. */
bool tcpm__engine_abandon_if_forked(struct tcpm_engine *engine);

#endif
