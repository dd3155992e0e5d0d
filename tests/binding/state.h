/* SPDX-License-Identifier: MIT */
/*
 * A Lua state with the module in a host: what the tests in C share.
 */
#ifndef STATE_H
#define STATE_H

#include "host.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "tcpmulti_lua.h"

/* What the host was told of fatal errors. */
struct heard {
    int calls;
    char traceback[4096];
};

void state_hear(const char *traceback, void *user);
lua_State *state_open(struct host *host, struct heard *heard);
void state_run(lua_State *L, const char *chunk);
void state_set_port(lua_State *L, const struct peer *peer);
/* The expression is true. */
void state_assert(lua_State *L, const char *expression);

#endif
