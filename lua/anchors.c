/* SPDX-License-Identifier: MIT */
/*
 * The lowest file of the binding: the way from a lua_State to the runtime, links for objects that
 * may outlive the Lua state, and two changes of Lua tables that work where no upvalues are at hand.
 * None of these functions raises a Lua error; only tcpm__lua_link_new allocates.
 */
#include "binding.h"

#include <stdlib.h>

struct tcpm__lua_runtime *tcpm__lua_runtime_find(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, TCPM__LUA_RUNTIME);
    struct tcpm__lua_runtime *rt = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return rt;
}

/* ---- links ---- */

struct tcpm__lua_link *tcpm__lua_link_new(void)
{
    struct tcpm__lua_link *link = calloc(1, sizeof *link);

    if (link != NULL)
        link->references = 1;
    return link;
}

void tcpm__lua_link_set(struct tcpm__lua_runtime *rt, struct tcpm__lua_link *link)
{
    rt->link = link;
    link->runtime = rt;
}

struct tcpm__lua_link *tcpm__lua_link_keep(struct tcpm__lua_link *link)
{
    TCPM__LUA_ASSERT(link->references > 0);
    link->references++;
    return link;
}

void tcpm__lua_link_drop(struct tcpm__lua_link *link)
{
    TCPM__LUA_ASSERT(link == NULL || link->references > 0);
    if (link != NULL && --link->references == 0)
        free(link);
}

/* ---- tables, on the keeper's stack ---- */

void tcpm__lua_set_false(struct tcpm__lua_runtime *rt, int table_reference, int key)
{
    lua_State *L = rt->keeper;

    TCPM__LUA_ASSERT(lua_gettop(L) == 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, table_reference);
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, key);
    lua_pop(L, 1);
}

void tcpm__lua_anchor_drop(struct tcpm__lua_runtime *rt, int anchor)
{
    lua_State *L = rt->keeper;

    TCPM__LUA_ASSERT(lua_gettop(L) == 0 && anchor > 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->anchors_reference);
    luaL_unref(L, -1, anchor);
    lua_pop(L, 1);
}
