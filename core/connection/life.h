/* SPDX-License-Identifier: MIT */
/*
 * The highest level of this layer: the lives of connections, sessions and the engine, and the turns
 * of the loop, which call everything else. Where a call may destroy its connection, its comment
 * says so.
 */
#ifndef TCPM_CONNECTION_LIFE_H
#define TCPM_CONNECTION_LIFE_H

#include "connection/flow.h"

/* ---- connection.c: the life of a connection ---- */
/* Creates a connection in the phase WAITING. quad: the address of the options as a dotted quad;
   NULL: the address has another form. way: kept; NULL: all defaults. 0, or negative. */
int tcpm__connection_create(struct tcpm_session *session,
                            const struct tcpm_connect_options *options, const struct in_addr *quad,
                            struct tcpm__way *way, struct tcpm__connection **ret);
/* Does everything that is to be done for a marked connection. False: it has ended, and is
   destroyed. */
bool tcpm__connection_step(struct tcpm__connection *connection);

/* ---- deadline.c: times that have come ---- */
/* Handles the timers of connections that are due. True: a connection's end was decided. */
bool tcpm__deadline_expire(struct tcpm_engine *engine);

/* ---- admission.c: starts the connects whose turn has come ---- */
/* Starts the connect of a new connection, or lets it wait. */
void tcpm__admission_request(struct tcpm__connection *connection);
/* Starts the waiting connects that may start now, oldest first. */
void tcpm__admission_run(struct tcpm_engine *engine);
/* Delivers the event room to the sessions that have asked for room, while there is room. */
void tcpm__admission_announce_room(struct tcpm_engine *engine);

/* ---- session.c ---- */
/* options: without defaults left open, but for the filters. Default of a filter: line. The session
   copies the options, and keeps the filters and the way. way: NULL: all defaults. */
int tcpm__session_create(struct tcpm_engine *engine, const struct tcpm_session_options *options,
                         struct tcpm__way *way, struct tcpm_session **ret);
/* The oldest connection that was made after the connection with this id; 0: the oldest of all.
   NULL: there is none. */
struct tcpm__connection *tcpm__session_next(struct tcpm_session *session, uint64_t after);
/* Ends all connections, and the session after them. reset: by RST, at once; else by shutdown. */
void tcpm__session_die(struct tcpm_session *session, bool reset);
/* Stops the dying sessions that have no connection left: delivers stopped, and frees them. */
void tcpm__session_reap(struct tcpm_engine *engine);

/* ---- engine.c ---- */
/* events: called for the events of sockets. 0, or negative. */
int tcpm__engine_create(struct uv_loop_s *loop, const struct tcpm_engine_options *options,
                        const struct tcpm__socket_events *events, struct tcpm_engine **ret);
/* Ends all sessions. closed: called when libuv has let go of the engine; may be NULL. */
void tcpm__engine_close(struct tcpm_engine *engine, void (*closed)(void *user), void *user);
/* Closes everything in the loop. Called once the last session has stopped. */
void tcpm__engine_finish(struct tcpm_engine *engine);

/* ---- validate.c: debug and sanitize builds only ---- */
/* Asserts what always holds at the end of a ready pass. */
#ifdef TCPM__ASSERTIONS
void tcpm__engine_validate(const struct tcpm_engine *engine);
#else
static inline void tcpm__engine_validate(const struct tcpm_engine *engine)
{
    (void) engine;
}
#endif

/* ---- turn.c: what the loop calls ---- */
/* Creates an engine, whose turns begin with the next turn of the loop. */
int tcpm__engine_open(struct uv_loop_s *loop, const struct tcpm_engine_options *options,
                      struct tcpm_engine **ret);
/* Does now what the turns of the loop would do until no session is left. */
void tcpm__engine_close_now(struct tcpm_engine *engine);

#endif
