/* SPDX-License-Identifier: MIT */
/*
 * What the Lua modules of the tests have in common: types whose objects hold a pointer, which is
 * NULL once that has been freed to which it points.
 */
#ifndef TESTS_PEER_LUATYPE_H
#define TESTS_PEER_LUATYPE_H

#include <lauxlib.h>
#include <lua.h>

static inline void luatype_register(lua_State *L, const char *name, const luaL_Reg *methods)
{
    luaL_newmetatable(L, name);
    luaL_register(L, NULL, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

/* Pushes an object of a type, and gives the place of its pointer, which is NULL. */
static inline void **luatype_push(lua_State *L, const char *name)
{
    void **place = lua_newuserdata(L, sizeof(void *));

    *place = NULL;
    luaL_getmetatable(L, name);
    lua_setmetatable(L, -2);
    return place;
}

/* The pointer of the object that is argument 1. Raises the message if it is NULL. */
static inline void *luatype_check(lua_State *L, const char *name, const char *message)
{
    void **place = luaL_checkudata(L, 1, name);

    luaL_argcheck(L, *place != NULL, 1, message);
    return *place;
}

#endif
