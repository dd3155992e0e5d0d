/* SPDX-License-Identifier: MIT */
/*
 * Functions of a filter written in Lua that run inside calls of the script, and which filters run.
 * While one runs, its connection is busy.
 */
#include "lua_filter.h"

bool tcpm__lua_filter_busy(const struct tcpm__lua_runtime *rt, uint64_t id)
{
    for (const struct tcpm__lua_filter_call *call = rt->filtering; call != NULL; call = call->outer)
        if (call->id == id)
            return true;
    return false;
}

int tcpm__lua_filter_try(lua_State *L, uint64_t id, int arguments, int results)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm__lua_filter_call call = {.outer = rt->filtering, .id = id};

    rt->filtering = &call;
    int status = lua_pcall(L, arguments, results, 0);
    TCPM__LUA_ASSERT(rt->filtering == &call);
    rt->filtering = call.outer;
    return status;
}

/* Passes on what the function raises. */
void tcpm__lua_filter_call(lua_State *L, uint64_t id, int arguments, int results)
{
    if (tcpm__lua_filter_try(L, id, arguments, results) != 0)
        lua_error(L);
}

void tcpm__lua_filter_push_clone(lua_State *L, uint64_t id, int index)
{
    lua_getfield(L, index, "clone");
    lua_pushvalue(L, index);
    tcpm__lua_filter_call(L, id, 1, 1);
    if (!lua_istable(L, -1))
        luaL_error(L, "clone of a filter must return a table, not %s", luaL_typename(L, -1));
}
