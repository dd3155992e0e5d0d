/* SPDX-License-Identifier: MIT */
/*
 * A Lua state with the module, in a host (capi/host.h): what the tests of the binding in C share.
 * Most of such a test is Lua in C strings: state_run does something, state_assert looks at the
 * state that came of it. Every function fails the running test if a step goes wrong.
 */
#ifndef STATE_H
#define STATE_H

#include "host.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "tcpmulti_lua.h"

/* What state_hear was told: how often, and the last traceback. */
struct heard {
    int calls;
    char traceback[4096];
};

/* The function that hears fatal errors; user is a struct heard. */
void state_hear(const char *traceback, void *user);
/* A new Lua state in which the module is open on the engine of the host: require finds
   it. The caller closes the state (lua_close). */
lua_State *state_open(struct host *host, struct heard *heard);
/* Does the same, and starts a peer with this program (peer.h), whose port is the global "port". */
lua_State *state_open_with_peer(struct host *host, struct heard *heard, const char *program);
/* Sets the global "port" to the port of this peer. */
void state_set_port(lua_State *L, const struct peer *peer);
/* Runs a chunk. Fails with the message of an error that the chunk raises. */
void state_run(lua_State *L, const char *chunk);
/* Fails unless the Lua expression is true. */
void state_assert(lua_State *L, const char *expression);

#endif
