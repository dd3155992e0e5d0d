/* SPDX-License-Identifier: MIT */
/*
 * The standard library as the parts written in Lua see it: functions of their own, so that nothing
 * a script has done to its globals, to the tables of the libraries or to the metatable of strings
 * reaches them, also where it did that before the module was opened.
 *
 * LuaJIT registers its libraries in the globals of the running thread and in two tables of the
 * registry, and string sets the metatable of strings. Here they are opened in a thread with globals
 * of its own, and everything else is put back.
 */
#include "binding.h"

#include <lualib.h>

/* next and pairs of the parts. Those of LuaJIT are compiled into loops which, in Debian 12's
   LuaJIT, now and then see a wrong key or value: an option that was not in the table, or none. */
static int next_key(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    if (lua_next(L, 1) != 0)
        return 2;
    lua_pushnil(L);
    return 1;
}

static int each_pair(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_pushcfunction(L, next_key);
    lua_insert(L, 1);
    lua_pushnil(L);
    return 3;
}

/* In a thread with empty globals; leaves a table of what the parts use. */
static int open_libraries(lua_State *L)
{
    static const lua_CFunction libraries[] = {
        luaopen_base,
        luaopen_string,
        luaopen_table,
        luaopen_math,
    };
    static const char *const names[] = {
        "error",  "getmetatable", "ipairs",   "math",         "pcall",
        "rawget", "rawset",       "select",   "setmetatable", "string",
        "table",  "tonumber",     "tostring", "type",         "unpack",
    };
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        lua_pushcfunction(L, libraries[i]);
        lua_call(L, 0, 0);
    }
    lua_newtable(L);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_getfield(L, LUA_GLOBALSINDEX, names[i]);
        lua_setfield(L, -2, names[i]);
    }
    lua_pushcfunction(L, next_key);
    lua_setfield(L, -2, "next");
    lua_pushcfunction(L, each_pair);
    lua_setfield(L, -2, "pairs");
    return 1;
}

/* Sets registry[key] = value, both by their stack indices; where the key is there already, this
   needs no memory. */
static void set_registry(lua_State *L, int key, int value)
{
    lua_pushvalue(L, key);
    lua_pushvalue(L, value);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

/* Pushes the key and what the registry has there. */
static int push_registry(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_pushvalue(L, -1);
    lua_rawget(L, LUA_REGISTRYINDEX);
    return lua_gettop(L) - 1;
}

void tcpm__lua_push_library(lua_State *L)
{
    luaL_checkstack(L, LUA_MINSTACK, "for the standard library");
    int loaded = push_registry(L, "_LOADED");
    int preload = push_registry(L, "_PRELOAD");
    lua_pushliteral(L, "");
    int text = lua_gettop(L);
    if (!lua_getmetatable(L, text))
        lua_pushnil(L);
    lua_State *thread = lua_newthread(L);
    lua_newtable(thread);
    lua_replace(thread, LUA_GLOBALSINDEX);
    lua_newtable(L);
    lua_newtable(L);
    int fresh = lua_gettop(L);
    set_registry(L, loaded, fresh - 1);
    set_registry(L, preload, fresh);
    lua_pushcfunction(thread, open_libraries);
    int status = lua_pcall(thread, 0, 1, 0);
    set_registry(L, loaded, loaded + 1);
    set_registry(L, preload, preload + 1);
    lua_pushvalue(L, text + 1);
    lua_setmetatable(L, text);
    lua_xmove(thread, L, 1);
    if (status != 0)
        lua_error(L);
    lua_replace(L, loaded);
    lua_settop(L, loaded);
}
