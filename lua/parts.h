/* SPDX-License-Identifier: MIT */
/*
 * Sources in Lua, embedded by embed.py: parts of the module, and modules of their own.
 */
#ifndef TCPM_LUA_PARTS_H
#define TCPM_LUA_PARTS_H

#include <stddef.h>

#include "tcpmulti.h"

struct lua_State;

struct tcpm__lua_source {
    const char *name; /* name in tracebacks; NULL ends the list */
    const char *source;
    size_t length;
};

extern const struct tcpm__lua_source tcpm__lua_sources[];
extern const struct tcpm__lua_source tcpm__lua_filter_sources[]; /* loaded when one is used */
extern const struct tcpm__lua_source tcpm__lua_co_sources[];     /* the module tcpmulti.co */

/* A module of its own, loaded when a script requires it. */
struct tcpm__lua_module {
    const char *name; /* for require; NULL ends the list */
    struct tcpm__lua_source source;
};

extern const struct tcpm__lua_module tcpm__lua_modules[];

/* modules.c: loads the module of this name, on a Lua state that may not have the module tcpmulti,
   and pushes it. Returns 1. */
int tcpm__lua_open_module(struct lua_State *L, const char *name);

#endif
