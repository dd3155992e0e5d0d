/* SPDX-License-Identifier: MIT */
/*
 * Telling luv's handles from ours on a loop that both share. luv is not linked; its handles are
 * recognised by the memory that they point to.
 */
#include "luv_handles.h"

#include <lauxlib.h>
#include <uv.h>

/* A handle of luv's points to a struct that begins with a reference to its userdata in the
   registry, and that userdata points back to the handle. True: so it is, and the userdata is
   pushed. */
static bool push_handle(lua_State *L, const uv_handle_t *handle)
{
    const int *reference = handle->data;

    if (reference == NULL || *reference <= 0)
        return false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, *reference);
    void *const *userdata = lua_touserdata(L, -1);
    if (lua_type(L, -1) == LUA_TUSERDATA && lua_objlen(L, -1) == sizeof *userdata &&
        *userdata == handle)
        return true;
    lua_pop(L, 1);
    return false;
}

bool tcpm__luv_owns(lua_State *L, const uv_handle_t *handle)
{
    bool owns = push_handle(L, handle);

    if (owns)
        lua_pop(L, 1);
    return owns;
}

static void on_counted(uv_handle_t *handle, void *argument)
{
    size_t *count = argument;

    (void) handle;
    ++*count;
}

static void on_listed(uv_handle_t *handle, void *argument)
{
    uv_handle_t ***next = argument;

    *(*next)++ = handle;
}

/* Lua comes after uv_walk, in which nothing may raise. */
void tcpm__luv_push_handles(lua_State *L, uv_loop_t *loop)
{
    size_t count = 0;

    uv_walk(loop, on_counted, &count);
    uv_handle_t **handles = lua_newuserdata(L, count * sizeof(uv_handle_t *) + 1), **end = handles;
    uv_walk(loop, on_listed, &end);
    lua_newtable(L);
    for (count = 0; handles < end; handles++)
        if (push_handle(L, *handles))
            lua_rawseti(L, -2, (int) ++count);
    lua_remove(L, -2);
}

/* luv.walk(f): calls f for each handle of luv's. The handles are listed first, because f may close
   and open some. */
static int walk_handles(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    tcpm__luv_push_handles(L, lua_touserdata(L, lua_upvalueindex(1)));
    for (int i = 1; i <= (int) lua_objlen(L, 2); i++) {
        lua_pushvalue(L, 1);
        lua_rawgeti(L, 2, i);
        lua_call(L, 1, 0);
    }
    return 0;
}

void tcpm__luv_set_walk(lua_State *L, uv_loop_t *loop)
{
    lua_pushlightuserdata(L, loop);
    lua_pushcclosure(L, walk_handles, 1);
    lua_setfield(L, -2, "walk");
}
