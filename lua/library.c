/* SPDX-License-Identifier: MIT */
/*
 * The standard library for the parts written in Lua: functions of their own, out of reach of the
 * script, whatever it has done to its globals, to the tables of the libraries or to the metatable
 * of strings, even before the module was opened.
 *
 * LuaJIT registers its libraries in the globals of the running thread and in two tables of the
 * registry, and string sets the metatable of strings. Here the libraries are opened in a thread
 * with globals of its own, and everything else is put back.
 */
#include "functions.h"

#include <luajit.h>
#include <lualib.h>

/* The functions next and pairs for the parts. LuaJIT compiles its own into loops which, in Debian
   12's version, now and then see a wrong key or value: an option that was not in the table, or
   none. */
static int next_key(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    if (lua_next(L, 1) != 0)
        return 2;
    lua_pushnil(L);
    return 1;
}

static int switch_compiler_off(lua_State *L)
{
    luaJIT_setmode(L, 1, LUAJIT_MODE_FUNC | LUAJIT_MODE_OFF);
    return 0;
}

/* The calling function is not compiled from now on. Around its calls of next_key, LuaJIT would make
   new machine code at nearly every call of create, which took many times as long as the work. A
   finaliser may not switch the compiler; then a later call does. */
static void interpret_caller(lua_State *L)
{
    lua_Debug caller;

    if (lua_getstack(L, 1, &caller) == 0)
        return;
    lua_pushcfunction(L, switch_compiler_off);
    lua_getinfo(L, "f", &caller);
    lua_pcall(L, 1, 0, 0);
    lua_settop(L, 1);
}

static int each_pair(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    interpret_caller(L);
    lua_pushcfunction(L, next_key);
    lua_insert(L, 1);
    lua_pushnil(L);
    return 3;
}

/* Runs in a thread with empty globals. Leaves a table with the functions that the parts use. */
static int open_libraries(lua_State *L)
{
    static const lua_CFunction libraries[] = {
        luaopen_base, luaopen_string, luaopen_table, luaopen_math, luaopen_debug,
    };
    static const char *const names[] = {
        "coroutine", "debug",    "error",    "getmetatable", "ipairs",       "math",
        "pcall",     "rawget",   "rawset",   "select",       "setmetatable", "string",
        "table",     "tonumber", "tostring", "type",         "unpack",       "xpcall",
    };

    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        lua_pushcfunction(L, libraries[i]);
        lua_call(L, 0, 0);
    }
    lua_getfield(L, LUA_REGISTRYINDEX, "_PRELOAD");
    lua_getfield(L, -1, "table.new"); /* LuaJIT's: adds itself to the table library */
    lua_call(L, 0, 0);
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

/* Sets registry[key] = value, both given by stack index. Needs no memory if the key exists. */
static void set_registry(lua_State *L, int key, int value)
{
    lua_pushvalue(L, key);
    lua_pushvalue(L, value);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

/* Pushes the key, and the registry's value for it. Gives the index of the key. */
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
