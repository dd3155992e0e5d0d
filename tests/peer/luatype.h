/* SPDX-License-Identifier: MIT */
/*
 * What the Lua modules of the tests have in common: types whose objects hold a pointer, which is
 * NULL once that has been freed to which it points; fields of tables, read and written.
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

/* ---- fields of the table at an index ---- */

/* NULL: there is none. The text stays in the table, the table on the stack, while it is used. */
static inline const char *luatype_text(lua_State *L, int table, const char *name, size_t *ret_size)
{
    lua_getfield(L, table, name);
    const char *text = lua_tolstring(L, -1, ret_size);
    lua_pop(L, 1);
    return text;
}

/* A number, or true as 1. Default: 0. */
static inline lua_Number luatype_number(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    lua_Number number = lua_isboolean(L, -1) ? lua_toboolean(L, -1) : lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number;
}

/* The place of a word in the list. Default: the first one. */
static inline int luatype_word(lua_State *L, int table, const char *name, const char *const *words)
{
    lua_getfield(L, table, name);
    int word = luaL_checkoption(L, -1, words[0], words);
    lua_pop(L, 1);
    return word;
}

/* Sets a field of the table on top of the stack. */
static inline void luatype_set_number(lua_State *L, const char *name, lua_Number number)
{
    lua_pushnumber(L, number);
    lua_setfield(L, -2, name);
}

#endif
