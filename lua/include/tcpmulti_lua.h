/* SPDX-License-Identifier: MIT */
/*
 * tcpmulti for Lua states: the module that require "tcpmulti" loads, and the way for a C program
 * with a loop of its own to open the module on its state.
 *
 * The state is LuaJIT's. The module and everything made with it belong to the thread that runs the
 * loop. Handlers run on the main state, or in a host on the state that was given to tcpm_lua_open:
 * that one must outlive the module, and needs a few free stack slots while the loop runs.
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
    /* A fatal script error: a handler has raised and no on_exception took it. All sessions of this
       Lua state have just been ended, without further events. traceback is borrowed until it
       returns. From it you may do anything but run the loop: you may close the module, and the Lua
       state too unless your loop is run from inside a function of that state. May be NULL. */
    void (*exception)(const char *traceback, void *user);
    void *user;
};

/* The module function for require in a plain luajit, with an engine and loop of its own, which
   tcpmulti.run() runs. Raises Lua errors. */
TCPM_API int luaopen_tcpmulti(struct lua_State *L);

/* For hosts: makes the module, sets package.loaded.tcpmulti and pushes it; to be called once in a
   Lua state, whose standard libraries must be open (else -EINVAL). The engine is borrowed until
   tcpm_lua_close or lua_close; its loop is yours to run, so tcpmulti.run() raises. 0, -EINVAL,
   -EBUSY (the state has the module already), -ESHUTDOWN (the engine is closing), -E2BIG or -ENOMEM;
   only after 0 is something pushed.

   At the end close Lua first (tcpm_lua_close or lua_close), the engine second. In the other order
   tcpmulti.create and all that Lua still holds answers ESHUTDOWN or ESTALE.

   How long a handler may run is not limited. A host that needs a limit switches the JIT compiler
   off, whose code calls no hooks (jit.off() in Lua, or luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE |
   LUAJIT_MODE_OFF)), and sets lua_sethook(L, hook, LUA_MASKCOUNT, 100000), where hook raises by
   luaL_error once the time is over. To the handler that is an error like others. */
TCPM_API int tcpm_lua_open(struct lua_State *L, struct tcpm_engine *engine,
                           const struct tcpm_lua_options *options_or_null);

/* Ends all Lua sessions without events; lua_close does it too. What Lua code still holds answers
   ESHUTDOWN and ESTALE. In a host the last of it goes in the next turns of its loop, so close the
   engine, or run the loop, after this and before the engine's memory goes. It may be called from
   any handler, which may raise after that; where the module has a loop of its own, that loop goes
   when run has returned, or with the Lua state. Twice is fine. */
TCPM_API void tcpm_lua_close(struct lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
