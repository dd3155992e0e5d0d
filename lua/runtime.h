/* SPDX-License-Identifier: MIT */
/*
 * Functions of the module for the program tcpmulti-lua, which has opened it by luaopen_tcpmulti.
 * Not installed: hosts use tcpmulti_lua.h.
 */
#ifndef TCPM_LUA_RUNTIME_H
#define TCPM_LUA_RUNTIME_H

#include <stddef.h>

struct lua_State;
struct tcpm_engine_options;
struct uv_loop_s;

/* Opens descriptors 0 to 2 where they are closed. To be called before anything else is opened. */
void tcpm__lua_fill_descriptors(void);

/* As luaopen_tcpmulti, with these options for the engine. */
int tcpm__lua_open_own(struct lua_State *L, const struct tcpm_engine_options *options_or_null);

/* The loop that tcpmulti.run() runs; NULL before luaopen_tcpmulti and after tcpm_lua_close. */
struct uv_loop_s *tcpm__lua_loop(struct lua_State *L);

/* 1 if the script has called tcpmulti.run() or tcpmulti.stop(). */
int tcpm__lua_ran(struct lua_State *L);

/* A lua_CFunction that calls tcpmulti.run. */
int tcpm__lua_call_run(struct lua_State *L);

/* For message handlers. s:call and create pass on errors of a state; 1: the error value at index 1
   is such an error, and its message with its own traceback is pushed. */
int tcpm__lua_kept_traceback(struct lua_State *L);

/* Pushes the text for an error value at index 1 that says nothing of itself: its type. */
void tcpm__lua_push_error_type(struct lua_State *L);

/* For errors outside of our handlers (luv's callbacks): the loop stops, all sessions are killed,
   and run() raises the message. The first message counts. */
void tcpm__lua_fatal_outside(struct lua_State *L, const char *message, size_t length);

/* Lets every session die, as on the first SIGINT or SIGTERM. */
void tcpm__lua_die_all(struct lua_State *L);

/* Each session prints its tally on standard error: when it stops, or when the program ends. */
void tcpm__lua_print_tallies(struct lua_State *L);

/* Calls on_line for each line of the engine's state: see tcpm_engine_dump. */
void tcpm__lua_dump(struct lua_State *L, void (*on_line)(const char *line, void *user), void *user);

/* The number of sessions whose _stop has not yet run. */
int tcpm__lua_sessions(struct lua_State *L);

/* changed(signum, 1) is called after a session has begun to watch a signal, changed(signum, -1)
   before it ends. */
void tcpm__lua_set_watch_listener(struct lua_State *L, void (*changed)(int signum, int change));

#endif
