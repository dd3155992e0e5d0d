/* SPDX-License-Identifier: MIT */
/*
 * What the runner tcpmulti-lua may ask of the module it has opened by luaopen_tcpmulti. Not
 * installed: hosts use tcpmulti_lua.h.
 */
#ifndef TCPM_LUA_RUNTIME_H
#define TCPM_LUA_RUNTIME_H

#include <stddef.h>

struct lua_State;
struct uv_loop_s;

/* Opens descriptors 0 to 2 where they are closed; before anything else is opened. */
void tcpm__lua_fill_descriptors(void);

/* The loop that tcpmulti.run() runs; NULL before luaopen_tcpmulti and after tcpm_lua_close. */
struct uv_loop_s *tcpm__lua_loop(struct lua_State *L);

/* 1 if the script has called tcpmulti.run() or tcpmulti.stop(). */
int tcpm__lua_ran(struct lua_State *L);

/* The function behind tcpmulti.run, to be called by lua_call or lua_pcall. */
int tcpm__lua_run(struct lua_State *L);

/* For message handlers: s:call and create raise again what a state has raised. 1: the error value
   at index 1 is such a one, and its message with the traceback that it had is on top of the
   stack. */
int tcpm__lua_kept_traceback(struct lua_State *L);

/* The fatal path for errors outside of our handlers (luv's callbacks): the loop stops, all sessions
   are reset without events, and run() raises the message. The first message counts. */
void tcpm__lua_fatal(struct lua_State *L, const char *message, size_t length);

/* tcpmulti's die for every session, as on the first SIGINT or SIGTERM. */
void tcpm__lua_die_all(struct lua_State *L);

/* Each session tells its tally on standard error: when it stops, or when the program ends. */
void tcpm__lua_print_tallies(struct lua_State *L);

/* Sessions whose _stop has not yet run. */
int tcpm__lua_sessions(struct lua_State *L);

/* changed(signum, 1) is called after a session has begun to watch a signal, changed(signum, -1)
   before it ceases to. */
void tcpm__lua_on_watch(struct lua_State *L, void (*changed)(int signum, int change));

#endif
