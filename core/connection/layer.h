/* SPDX-License-Identifier: MIT */
/*
 * The functions of this layer, by file. A connection that may have ended after a call is said so;
 * all others stay valid.
 */
#ifndef TCPM_CONNECTION_LAYER_H
#define TCPM_CONNECTION_LAYER_H

#include "connection/state.h"

static inline struct tcpm_engine *tcpm__engine_of(const struct tcpm__connection *connection)
{
    return connection->session->engine;
}

/* The connection that was marked as ready after this one, or NULL. */
static inline struct tcpm__connection *tcpm__next_ready(const struct tcpm_engine *engine,
                                                        const struct tcpm__connection *connection)
{
    uint32_t slot = connection->next_ready;

    return slot == 0 ? NULL : tcpm__pool_at(&engine->connections, slot);
}

static inline bool tcpm__has(const struct tcpm__connection *connection, uint32_t flag)
{
    return (connection->flags & flag) != 0;
}

/* The connection's own handlers, or those of its session. */
static inline const struct tcpm_events *tcpm__events_of(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__OWN_EVENTS) ? connection->address.target->events
                                                   : &connection->session->events;
}

/* ---- events.c: every call of a handler ---- */
void tcpm__handler_enter(struct tcpm_engine *engine);
/* Runs what the handler posted. */
void tcpm__handler_leave(struct tcpm_engine *engine);
/* options: of its connect. */
void tcpm__event_initialize(struct tcpm__connection *connection,
                            const struct tcpm_connect_options *options);
void tcpm__event_success(struct tcpm__connection *connection);
void tcpm__event_input(struct tcpm__connection *connection, const void *record, size_t length);
void tcpm__event_flushed(struct tcpm__connection *connection);
void tcpm__event_eof(struct tcpm__connection *connection);
void tcpm__event_cause(struct tcpm__connection *connection); /* failure, error or timeout */
void tcpm__event_disconnected(struct tcpm__connection *connection);

/* ---- ready.c: the turns of the loop ---- */
void tcpm__turn_init(struct tcpm_engine *engine);
void tcpm__turn_free(struct tcpm_engine *engine);
/* In a process that was forked the loop does nothing with the engine, but for closing it. */
bool tcpm__turn_rests(struct tcpm_engine *engine);
/* Does now, until no session is left, what the turns of the loop would do. */
void tcpm__turn_finish(struct tcpm_engine *engine);
void tcpm__ready(struct tcpm__connection *connection); /* the ready pass will look at it */
/* There is something new to wait for, or to do: from wherever, the loop hears of it before it
   sleeps. */
void tcpm__turn_wake(struct tcpm_engine *engine);
void tcpm__work_add(struct tcpm_engine *engine);
void tcpm__work_done(struct tcpm_engine *engine);
/* Between two I/O events: now and then deadlines get their turn. Any connection may be gone after
   it. */
void tcpm__turn_tick(struct tcpm_engine *engine);

/* ---- connection.c: life and phases ---- */
const struct tcpm__socket_events *tcpm__connection_socket_events(void);
/* quad: the address of the options, where it is one; else NULL. */
int tcpm__connection_create(struct tcpm_session *session,
                            const struct tcpm_connect_options *options, const struct in_addr *quad,
                            struct tcpm__connection **connection);
void tcpm__connection_set_phase(struct tcpm__connection *connection, enum tcpm_phase phase);
void tcpm__connection_cause(struct tcpm__connection *connection, enum tcpm_op op, int code,
                            const char *message);
void tcpm__connection_forget_cause(struct tcpm__connection *connection);
/* Decides how it ends; the last events follow in the ready pass. The first decision stands. */
void tcpm__connection_end(struct tcpm__connection *connection, enum tcpm_reason reason);
/* cause, then end by error, or before success by failure. */
void tcpm__connection_fail(struct tcpm__connection *connection, enum tcpm_op op, int code,
                           const char *message);
/* What the ready pass does with a connection; false: it has ended and is gone. */
bool tcpm__connection_step(struct tcpm__connection *connection);
void tcpm__connection_shutdown(struct tcpm__connection *connection, enum tcpm_reason reason);
/* As reset, with reason ERROR and the cause ECANCELED, which no event tells. Takes the place of
   another end as long as that is not being told. */
void tcpm__connection_abort(struct tcpm__connection *connection, const char *message);
void tcpm__connection_reset(struct tcpm__connection *connection, enum tcpm_reason reason);
const char *tcpm__connection_message(const struct tcpm__connection *connection);
/* The remote address as given: text, or the connection's own. */
const char *tcpm__connection_address(const struct tcpm__connection *connection,
                                     char text[TCPM__ADDRESS_TEXT]);
/* The one that it is connected to, or tries. */
void tcpm__connection_peer(const struct tcpm__connection *connection, union tcpm__address *peer);

/* ---- trace.c: only for an engine that has a trace ---- */
void tcpm__trace_phase(const struct tcpm__connection *connection, enum tcpm_phase phase);
void tcpm__trace_attempt(const struct tcpm__connection *connection,
                         const union tcpm__address *address, enum tcpm_op op, int code);

/* ---- admission.c: who may have a socket ---- */
void tcpm__admission_request(struct tcpm__connection *connection); /* starts it, or lets it wait */
/* There was no descriptor: it waits again. */
void tcpm__admission_retry(struct tcpm__connection *connection, uint64_t number);
void tcpm__admission_succeed(struct tcpm_engine *engine);        /* there was one, while probing */
void tcpm__admission_leave(struct tcpm__connection *connection); /* gives place or turn back */
void tcpm__admission_run(struct tcpm_engine *engine); /* starts those whose turn has come */
void tcpm__admission_announce_room(struct tcpm_engine *engine);
bool tcpm__admission_ask_room(struct tcpm_session *session); /* false: room will come */
void tcpm__admission_forget_room(struct tcpm_session *session);
/* The session's pace allows an attempt; NULL: the ceiling may be tried. */
void tcpm__admission_wake(struct tcpm_engine *engine, struct tcpm_session *session);

/* ---- attempt.c: from the address to success or failure ---- */
void tcpm__attempt_start(struct tcpm__connection *connection, uint64_t number);
void tcpm__attempt_connected(struct tcpm__connection *connection, int status);
struct tcpm__attempt *
tcpm__attempt_get(struct tcpm__connection *connection); /* or NULL: no memory */
void tcpm__attempt_free(struct tcpm__connection *connection);

/* ---- input.c: bytes received to records ---- */
void tcpm__input_received(struct tcpm__connection *connection, size_t length); /* by a read */
void tcpm__input_read(struct tcpm__connection *connection); /* what may be read now */
/* The same, also for one of the backlog. True: it may read no more in this round, and there is. */
bool tcpm__input_drain(struct tcpm__connection *connection);
void tcpm__input_step(struct tcpm__connection *connection);
/* The connection whose input is being delivered, or NULL; and its next record. */
static inline struct tcpm__connection *tcpm__input_of(const struct tcpm_engine *engine)
{
    return engine->chunk.connection;
}
bool tcpm__input_next(struct tcpm__connection *connection, const void **record, size_t *length);
/* The byte is dropped if it is the next one from the network. */
void tcpm__input_await(struct tcpm__connection *connection, unsigned char byte);
/* Accounts for a change of the bytes held for a connection; before: how many there were. */
void tcpm__input_account(struct tcpm__connection *connection, size_t before);
bool tcpm__input_fits(const struct tcpm_engine *engine, size_t length); /* into max_memory */
void tcpm__input_free(struct tcpm__connection *connection);

/* ---- input_calls.c: what the user asks of the input ---- */
void tcpm__input_pause(struct tcpm__connection *connection, bool pause);
void tcpm__input_refilter(struct tcpm__connection *connection);
void tcpm__input_take(struct tcpm__connection *connection, int64_t length); /* or TCPM_NONE */
int tcpm__input_unread(struct tcpm__connection *connection, const void *bytes, size_t length);
void tcpm__input_pending(struct tcpm__connection *connection, const char **bytes, size_t *length);
void tcpm__input_swallow(struct tcpm__connection *connection, unsigned char byte);

/* ---- backlog.c: who has more to read than one read takes ---- */
void tcpm__backlog_add(struct tcpm__connection *connection);
void tcpm__backlog_leave(struct tcpm__connection *connection);
void tcpm__backlog_run(struct tcpm_engine *engine);
static inline bool tcpm__backlog_has(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__IN_BACKLOG);
}

/* ---- output.c: records to bytes sent ---- */
int tcpm__output_send(struct tcpm__connection *connection, const struct tcpm_record *records,
                      size_t count);
void tcpm__output_flush(struct tcpm__connection *connection);
/* Flushes what the option cork holds back. Called before the loop polls. */
void tcpm__output_uncork(struct tcpm_engine *engine);
void tcpm__output_report(struct tcpm__connection *connection); /* flushed, if it is owed */
void tcpm__output_step(struct tcpm__connection *connection);   /* flushed, FIN, the end */
/* Nothing can be sent any more; what the peer sent before is still delivered. */
void tcpm__output_fail(struct tcpm__connection *connection, int code);
uint64_t tcpm__output_unsent(const struct tcpm__connection *connection); /* bytes taken, not sent */
void tcpm__output_free(struct tcpm__connection *connection);

/* ---- linger.c: what the peer has acknowledged ---- */
void tcpm__linger_step(struct tcpm__connection *connection); /* the end of a flush */
void tcpm__linger_send_fin(struct tcpm__connection *connection);
void tcpm__linger_writable(struct tcpm__connection *connection);
/* Asks the kernel. True: the peer has acknowledged more since the last look; while it flushes that
   restarts its timeout. */
bool tcpm__linger_look(struct tcpm__connection *connection);
/* At the last look, the peer's kernel had all that was sent. */
bool tcpm__linger_is_acknowledged(const struct tcpm__connection *connection);
/* After the peer's FIN no read tells of a reset any more. */
void tcpm__linger_check_error(struct tcpm__connection *connection);

/* ---- deadline.c: timeouts of connections ---- */
void tcpm__deadline_start(struct tcpm__connection *connection, uint32_t timeout_ms);
/* The same where the clock has just been read. */
void tcpm__deadline_start_now(struct tcpm__connection *connection, uint32_t timeout_ms);
void tcpm__deadline_begin(struct tcpm__connection *connection); /* of the attempt */
void tcpm__deadline_arm(struct tcpm__connection *connection);   /* after any change of its times */
void tcpm__deadline_set(struct tcpm__connection *connection, uint64_t ms); /* 0: none */
int64_t tcpm__deadline_left(const struct tcpm__connection *connection);    /* ms; 0: none */
void tcpm__deadline_look_at_upload(struct tcpm__connection *connection);
void tcpm__deadline_cancel(struct tcpm__connection *connection);
bool tcpm__deadline_expire(struct tcpm_engine *engine); /* true: it has ended a connection */

/* ---- tasks.c: posts, alarms, signals ---- */
void tcpm__posts_init(struct tcpm__posts *posts);
int tcpm__posts_add(struct tcpm_session *session, struct tcpm_task task);
void tcpm__posts_run(struct tcpm_engine *engine, struct tcpm__posts *posts);
int tcpm__alarm_add(struct tcpm_session *session, struct tcpm__connection *connection,
                    uint64_t due_ns, struct tcpm_task task, struct tcpm__alarm **alarm);
void tcpm__alarm_remove(struct tcpm__alarm *alarm);
void tcpm__alarm_expire(struct tcpm_engine *engine);
void tcpm__tasks_drop_connection(struct tcpm__connection *connection);
void tcpm__tasks_drop_session(struct tcpm_session *session);
int tcpm__signal_set(struct tcpm_session *session, int signum, struct tcpm_task task);

/* ---- session.c ---- */
int tcpm__session_create(struct tcpm_engine *engine, const struct tcpm_session_options *options,
                         struct tcpm_session **session);
/* The connection made after that one which has this id; 0 begins; NULL ends. */
struct tcpm__connection *tcpm__session_next(struct tcpm_session *session, uint64_t after);
void tcpm__session_die(struct tcpm_session *session, bool reset);
void tcpm__session_stop_dead(struct tcpm_engine *engine);

/* ---- engine.c ---- */
int tcpm__engine_create(struct uv_loop_s *loop, const struct tcpm_engine_options *options,
                        struct tcpm_engine **engine);
void tcpm__engine_close(struct tcpm_engine *engine);
/* In a process that was forked: gives up what belongs to the other one, untouched. */
void tcpm__engine_abandon(struct tcpm_engine *engine);
/* Once the last session has stopped. */
void tcpm__engine_close_now(struct tcpm_engine *engine);
void tcpm__engine_finish(struct tcpm_engine *engine);

#endif
