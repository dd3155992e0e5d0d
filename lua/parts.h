/* SPDX-License-Identifier: MIT */
/*
 * The parts of the module that are written in Lua, embedded by embed.py.
 */
#ifndef TCPM_LUA_PARTS_H
#define TCPM_LUA_PARTS_H

#include <stddef.h>

struct tcpm__lua_part {
    const char *name; /* as tracebacks show it; NULL ends the list */
    const char *source;
    size_t length;
};

extern const struct tcpm__lua_part tcpm__lua_parts[];

#endif
