/* SPDX-License-Identifier: MIT */
/*
 * Functions of the binding that Lua calls, for open.c, which registers them. Each list stands
 * beside the code of its functions and names no function of another file.
 */
#ifndef TCPM_LUA_FUNCTIONS_H
#define TCPM_LUA_FUNCTIONS_H

#include "life.h"

/* Methods of cheaps, which are module functions as well. */
extern const luaL_Reg tcpm__lua_attempt_methods[];
extern const luaL_Reg tcpm__lua_cheap_methods[];
extern const luaL_Reg tcpm__lua_input_methods[];
extern const luaL_Reg tcpm__lua_send_methods[];
extern const luaL_Reg tcpm__lua_tls_methods[];

/* Methods of sessions. */
extern const luaL_Reg tcpm__lua_session_methods[];
extern const luaL_Reg tcpm__lua_send_session_methods[];

/* Functions of the module only. */
extern const luaL_Reg tcpm__lua_attach_functions[];
extern const luaL_Reg tcpm__lua_connect_functions[];
extern const luaL_Reg tcpm__lua_dump_functions[];
extern const luaL_Reg tcpm__lua_module_functions[];
extern const luaL_Reg tcpm__lua_resp_functions[];
extern const luaL_Reg tcpm__lua_run_functions[];

/* Methods and metamethods of built-in filters, and of their clones. */
extern const luaL_Reg tcpm__lua_filter_methods[];
extern const luaL_Reg tcpm__lua_codec_methods[];

/* Functions of the table shared, for the parts written in Lua. */
extern const luaL_Reg tcpm__lua_cheap_shared[];
extern const luaL_Reg tcpm__lua_child_shared[];
extern const luaL_Reg tcpm__lua_co_shared[];
extern const luaL_Reg tcpm__lua_dialogue_shared[];
extern const luaL_Reg tcpm__lua_filter_shared[];
extern const luaL_Reg tcpm__lua_lifetime_shared[];
extern const luaL_Reg tcpm__lua_misuse_shared[];
extern const luaL_Reg tcpm__lua_module_shared[];
extern const luaL_Reg tcpm__lua_names_shared[];
extern const luaL_Reg tcpm__lua_proxies_shared[];
extern const luaL_Reg tcpm__lua_resume_shared[];
extern const luaL_Reg tcpm__lua_run_shared[];
extern const luaL_Reg tcpm__lua_session_shared[];
extern const luaL_Reg tcpm__lua_spelling_shared[];
extern const luaL_Reg tcpm__lua_stdin_shared[];
extern const luaL_Reg tcpm__lua_tally_shared[];
extern const luaL_Reg tcpm__lua_task_owner_shared[];
extern const luaL_Reg tcpm__lua_task_shared[];
extern const luaL_Reg tcpm__lua_tls_shared[];
extern const luaL_Reg tcpm__lua_traceback_shared[];

/* Functions that open.c puts into cells and metatables. */
int tcpm__lua_cheap_tostring(lua_State *L);
int tcpm__lua_codec_clone(lua_State *L);         /* filter:clone(), of filters and of clones */
int tcpm__lua_session_finalize(lua_State *L);    /* __gc: a session is out of reach */
int tcpm__lua_runtime_collect(lua_State *L);     /* __gc of the runtime */
int tcpm__lua_resp_error_tostring(lua_State *L); /* __tostring of a server's error */
int tcpm__lua_tls_collect(lua_State *L);         /* __gc of a specification of TLS */
int tcpm__lua_store_alarm(lua_State *L);         /* OWN_STORE_ALARM */
int tcpm__lua_traceback(lua_State *L);           /* OWN_TRACEBACK */
int tcpm__lua_keep_traceback(lua_State *L);      /* OWN_KEEP_TRACEBACK */
int tcpm__lua_trampoline(lua_State *L);          /* OWN_TRAMPOLINE */

/* cheap.c: pushes op, errnum, errstr, errname and perhaps timer, or nil. Gives their number. */
int tcpm__lua_push_cause(lua_State *L, const struct tcpm_info *info);

/* library.c: pushes the globals of the parts written in Lua. */
void tcpm__lua_push_library(lua_State *L);

/* modules.c: enters the modules that are written in Lua into package.preload. library: the stack
   index of what tcpm__lua_push_library has pushed. */
void tcpm__lua_offer_modules(lua_State *L, int library);

/* open.c: builds everything but the engine. The stack must be empty; the module is left on it. */
struct tcpm__lua_runtime *tcpm__lua_open_tables(lua_State *L);

#endif
