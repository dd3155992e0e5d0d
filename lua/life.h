/* SPDX-License-Identifier: MIT */
/*
 * Connections and sessions at work: how they are named, begin, are asked for, fail and end. Above
 * lua_filter.h, below functions.h.
 */
#ifndef TCPM_LUA_LIFE_H
#define TCPM_LUA_LIFE_H

#include "lua_filter.h"

/* ---- arguments.c: what is wrong is raised ---- */

/* Whether the value at index 1 is or was a cheap. */
bool tcpm__lua_is_cheap(lua_State *L);
void tcpm__lua_check_cheap(lua_State *L); /* raises if the value at index 1 never was a cheap */
/* Raises if the value at index is neither a number nor a table: it never named a connection. */
void tcpm__lua_check_named(lua_State *L, int index);
/* The live connection of the cheap at index 1, for functions that change nothing; NULL: ended. */
struct tcpm__lua_slot *tcpm__lua_slot_to_read(lua_State *L);
/* The live connection of the cheap at index 1, for functions that change it, which must not come
   from inside its own filter. NULL: ret_code says why (-ESTALE, -EBUSY). */
struct tcpm__lua_slot *tcpm__lua_slot_to_change(lua_State *L, int *ret_code);
/* As tcpm__lua_slot_to_change, for an id or a cheap at any index. */
struct tcpm__lua_slot *tcpm__lua_slot_to_change_at(lua_State *L, int index, int *ret_code);
/* The session at index; NULL: stopped. */
struct tcpm__lua_session *tcpm__lua_check_session(lua_State *L, struct tcpm__lua_runtime *rt,
                                                  int index);
/* The argument of a method of cheaps, at index 2, which must be bytes; what: its name. */
const char *tcpm__lua_check_string(lua_State *L, const char *what);
/* Seconds as an argument of a method of cheaps, in milliseconds. */
int64_t tcpm__lua_check_ms(lua_State *L, int argument);
/* Raises: at index is no name of an error. */
int tcpm__lua_unknown_error(lua_State *L, int index);

/* ---- register.c ---- */

/* Enters the connection that is being opened, whose cheap is in OWN_NEW_CHEAP. Without memory it
   raises, and nothing is entered. */
void tcpm__lua_register(lua_State *L, struct tcpm__lua_session *session, struct tcpm_id id);
/* The common case: no extra, and a slot that another connection had before. False: another case,
   and nothing is done. */
bool tcpm__lua_register_plainly(struct tcpm__lua_session *session, struct tcpm_id id);
/* Keeps the address and port of a connection that ends, for as long as its cheap is kept. */
void tcpm__lua_remember_address(lua_State *L, struct tcpm_id id, const char *address,
                                unsigned port);

/* ---- trace.c ---- */

struct tcpm__lua_label {
    char text[128];
};

/* The session in lines on standard error: its number, and its alias. */
struct tcpm__lua_label tcpm__lua_session_label(const struct tcpm__lua_session *session);
/* One line for the event of a cell; number: the reason, in disconnected. */
void tcpm__lua_trace_event(const struct tcpm__lua_session *session, struct tcpm_id id, int cell,
                           int number);

/* ---- watches.c ---- */

struct tcpm__lua_watch *tcpm__lua_watch_new(void); /* for free(); NULL: no memory */
/* Adds watch for a signal that the session has begun to watch; frees watch if the signal was
   watched before. */
void tcpm__lua_watch_add(struct tcpm__lua_session *session, struct tcpm__lua_watch *watch,
                         int signum);
void tcpm__lua_watch_remove(struct tcpm__lua_session *session, int signum);
void tcpm__lua_watches_free(struct tcpm__lua_session *session);

/* ---- standard_input.c ---- */

void tcpm__lua_stdin_end(struct tcpm__lua_session *session); /* the session reads no more */
void tcpm__lua_stdin_close(struct tcpm__lua_runtime *rt);    /* no session reads any more */

/* ---- ending.c ---- */

/* Frees what the binding has of a connection. */
void tcpm__lua_slot_free(struct tcpm__lua_runtime *rt, struct tcpm__lua_slot *slot);
void tcpm__lua_slots_free(struct tcpm__lua_runtime *rt); /* all slots, with the runtime */
/* The session takes nothing new; its connections are told, then _stop runs from the loop. */
void tcpm__lua_session_die(struct tcpm__lua_session *session);
/* The session's connections are reset, and none of its functions is called any more. */
void tcpm__lua_session_kill(struct tcpm__lua_session *session);
void tcpm__lua_sessions_kill(struct tcpm__lua_runtime *rt); /* kills every session */

/* ---- exception.c: each takes message over ---- */

/* A state of the session has raised, outside of any connection. */
void tcpm__lua_exception(struct tcpm__lua_session *session, char *message);
/* An error about a connection, which goes on; id 0: about none. */
void tcpm__lua_exception_about(struct tcpm__lua_session *session, uint64_t id, char *message);
/* The handler of a cell has raised. */
void tcpm__lua_exception_in(struct tcpm__lua_session *session, uint64_t id, int cell,
                            char *message);
/* on_initialize has raised: on_exception is told before the connection's next event. */
void tcpm__lua_exception_later(struct tcpm__lua_session *session, uint64_t id, char *message);
/* Tells on_exception of the report that the connection's extra has. */
void tcpm__lua_report_pending(struct tcpm__lua_session *session, struct tcpm__lua_slot *slot);
/* Kills all sessions; run raises message, or the host is told. */
void tcpm__lua_fatal(struct tcpm__lua_runtime *rt, char *message);
/* As tcpm__lua_fatal, if there is a message and Lua may still hear of the session; else frees the
   message, which may be NULL. */
void tcpm__lua_session_fatal(struct tcpm__lua_session *session, char *message);

/* ---- tally.c ---- */

void tcpm__lua_push_tally(lua_State *L, struct tcpm_session *inner);
void tcpm__lua_print_tally(const struct tcpm__lua_session *session, struct tcpm_session *inner);
/* Prints the tallies of sessions that have not stopped, where tallies are wanted. */
void tcpm__lua_print_tallies_left(struct tcpm__lua_runtime *rt);

/* ---- module.c ---- */

void tcpm__lua_push_escaped(lua_State *L, const char *bytes, size_t length);

/* ---- target.c ---- */

/* Where the target of a connect lies on the stack. */
struct tcpm__lua_target {
    int address;     /* index of the address, followed by port, bind_address and bind_port */
    bool by_options; /* given as options, so messages call the port remote_port */
};

/* Reads the target into options. NULL, or what is wrong with it, pushed; a wrong type raises. */
const char *tcpm__lua_target_read(lua_State *L, const struct tcpm__lua_target *target,
                                  struct tcpm_connect_options *options);
/* Says what tcpm_connect has refused although all types were right; pushes it. */
const char *tcpm__lua_target_explain(lua_State *L, const struct tcpm__lua_target *target,
                                     const struct tcpm_connect_options *options);

/* ---- connect.c ---- */

/* A running tcpm_connect: what register.c takes from the stack of connect. */
struct tcpm__lua_connecting {
    lua_State *L;
    int cheap;                               /* stack index */
    struct tcpm__lua_filter *input, *output; /* filters written in Lua, or NULL */
    uint32_t handlers;                       /* bit 1 << cell: a handler of this connection alone */
    int own;                                 /* stack index of those handlers' table; 0: none */
    bool registered;
    bool refused; /* no valid target: what the script gave is in OWN_GIVEN */
};

enum tcpm__lua_way {
    CONNECT_PLAINLY,
    CONNECT_PULLED, /* from a pull function: a bad target is a connection that fails */
    CONNECT_KEYED,  /* below the arguments lies a key for which the cheap gets room */
};

/* Connects as the arguments from index on say, in any form but the pull form. Pushes cheap, id, or
   nil, message, errname; gives the number of values. */
int tcpm__lua_connect_arguments(lua_State *L, struct tcpm__lua_session *session, int index,
                                enum tcpm__lua_way way);

/* ---- tls.c ---- */

/* The specification of TLS in the userdata at index; NULL: it is none. */
struct tcpm_tls *tcpm__lua_tls_at(lua_State *L, int index);
/* The name to verify that was given with it; NULL: none was. */
const char *tcpm__lua_tls_server_name(lua_State *L, int index);

/* ---- pull.c ---- */

/* s:connect(function), the function at index. */
int tcpm__lua_pull_start(lua_State *L, struct tcpm__lua_session *session, int index);
/* A connection has ended, or the script has more: asks a function again that waits. */
void tcpm__lua_pull_more(struct tcpm__lua_session *session);
void tcpm__lua_pull_room(struct tcpm__lua_session *session); /* the session has room again */

/* ---- stdin.c ---- */

void tcpm__lua_stdin_room(struct tcpm__lua_session *session); /* the session has room again */

/* ---- events.c ---- */

extern const struct tcpm_events tcpm__lua_events; /* all events of connections */

/* ---- lifetime.c ---- */

/* Sessions get their events anew, after rt->events has changed. */
void tcpm__lua_sessions_set_events(const struct tcpm__lua_runtime *rt);
/* A task waits for room in the queue of one of its connections: the event flushed is needed from
   now on, which each send makes dearer. */
void tcpm__lua_session_want_flushed(struct tcpm__lua_session *session);

/* ---- task_owner.c: each does nothing if the session has no tasks ---- */

void tcpm__lua_tasks_die(struct tcpm__lua_session *session); /* cancels them */
/* Ends them, before _stop. The message of an error, which is fatal, or NULL. */
char *tcpm__lua_tasks_stop(struct tcpm__lua_session *session);
/* The loop has nothing more to do: cancels tasks that wait for what cannot come any more. A message
   that names them, or NULL: there are none. */
char *tcpm__lua_tasks_stuck(struct tcpm__lua_session *session);

/* ---- home.c ---- */

/* The core session for wake-ups and timers of tasks. 0, or a negative errno. */
int tcpm__lua_home_open(struct tcpm__lua_runtime *rt);
void tcpm__lua_home_close(struct tcpm__lua_runtime *rt);

/* A timer of a task, which is set. */
struct tcpm__lua_timer {
    struct tcpm__lua_timer *next, **place; /* place: what points at the timer; NULL: in no list */
    struct tcpm_alarm alarm;
};

void tcpm__lua_timer_join(struct tcpm__lua_runtime *rt, struct tcpm__lua_timer *timer);
void tcpm__lua_timer_leave(struct tcpm__lua_timer *timer); /* does nothing in no list */
void tcpm__lua_timers_drop(struct tcpm__lua_runtime *rt);  /* removes all of them */

/* ---- resume.c ---- */

/* Around what may resume tasks: the task that runs, or false, is kept on the stack meanwhile. */
void tcpm__lua_push_running(lua_State *L);
void tcpm__lua_pop_running(lua_State *L);
/* Pops the result of the wait, with which the coroutine goes on. */
void tcpm__lua_resume(lua_State *L, lua_State *thread);
/* Whether the thread at index is the running one, and no C function keeps it from yielding. */
bool tcpm__lua_may_yield(lua_State *L, int index);

/* ---- dialogue.c ---- */

/* From now on sessions get their events by way of dialogue.c. */
void tcpm__lua_dialogues_open(struct tcpm__lua_runtime *rt);
/* Pauses the input of a dialogue connection, or lets it go on. */
void tcpm__lua_dialogue_hold(struct tcpm__lua_slot *slot);
void tcpm__lua_dialogue_go_on(struct tcpm__lua_slot *slot);

/* ---- child_process.c ---- */

/* No function of children is called any more; their input ends, their output is not read. */
void tcpm__lua_children_drop(struct tcpm__lua_runtime *rt);

/* ---- own_loop.c ---- */

/* 0, or a negative errno. options: of the engine; NULL: defaults. */
int tcpm__lua_loop_open(struct tcpm__lua_runtime *rt, const struct tcpm_engine_options *options);
/* Closes the module's own loop with the engine that is leaving, if that can be now. */
void tcpm__lua_loop_close(struct tcpm__lua_runtime *rt);

#endif
