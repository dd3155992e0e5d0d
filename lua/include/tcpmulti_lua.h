/* SPDX-License-Identifier: MIT */
/*
 * tcpmulti for Lua states: the module that require "tcpmulti" loads, and the way for a C program
 * with a loop of its own to open the module on its Lua state.
 *
 * The Lua state is LuaJIT's. The module and everything made with it belong to the thread that runs
 * the loop. Handlers run on the main state, or in a host on the state that was given to
 * tcpm_lua_open: that state must outlive the module, and needs a few free stack slots while the
 * loop runs.
 */
#ifndef TCPMULTI_LUA_H
#define TCPMULTI_LUA_H

#include "tcpmulti.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lua_State;

struct tcpm_lua_options {
    size_t size;
    /* Called for a fatal script error: a handler has raised, and no on_exception took the error.
       All sessions of this Lua state have just been ended, without further events. traceback is
       borrowed until the function returns. The function may do anything but run the loop: it may
       close the module, and the Lua state too unless your loop is run from inside a function of
       that state. Default: NULL, nobody is told. */
    void (*exception)(const char *traceback, void *user);
    void *user;
};

/* The module function for require in a plain luajit. The module gets an engine and a loop of its
   own, which tcpmulti.run() runs. Raises Lua errors. */
TCPM_API int luaopen_tcpmulti(struct lua_State *L);

/* For hosts: makes the module, sets package.loaded.tcpmulti and pushes the module. To be called
   once for a Lua state, whose standard libraries must be open. Borrows the engine until
   tcpm_lua_close or lua_close; the engine's loop is yours to run, so tcpmulti.run() raises. Returns
   0, or pushes nothing and returns -EINVAL (an argument is NULL, or the standard libraries are not
   open), -EBUSY (the Lua state has the module already), -ESHUTDOWN (the engine is closing), -E2BIG
   (the options ask for something unknown) or -ENOMEM.

   At the end close Lua first (tcpm_lua_close or lua_close), the engine second. In the other order
   tcpmulti.create and all objects that Lua still holds answer ESHUTDOWN or ESTALE.

   The running time of a handler is not limited. A host that needs a limit switches off the JIT
   compiler, whose code calls no hooks (jit.off() in Lua, or luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE
   | LUAJIT_MODE_OFF)), and sets lua_sethook(L, hook, LUA_MASKCOUNT, 100000), where hook raises by
   luaL_error once the time is over. The handler sees an error like others. */
TCPM_API int tcpm_lua_open(struct lua_State *L, struct tcpm_engine *engine,
                           const struct tcpm_lua_options *options_or_null);

/* Ends all Lua sessions without events; lua_close does it too. Objects that Lua code still holds
   answer ESHUTDOWN and ESTALE. In a host the last memory is freed in the next turns of the loop, so
   after this call close the engine, or run the loop, before the engine's memory goes. May be called
   from any handler, and the handler may raise after that. A module with a loop of its own closes
   that loop when run has returned, or with the Lua state. A second call does nothing. */
TCPM_API void tcpm_lua_close(struct lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
