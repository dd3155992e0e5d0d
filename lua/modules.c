/* SPDX-License-Identifier: MIT */
/*
 * Modules of their own that are written in Lua, like tcpmulti.targets: package.preload has a loader
 * for each, and each is loaded when it is required for the first time. A module knows neither
 * engine nor loop; its chunk gets its name and returns the module, like that of a file. Its globals
 * are those of the parts, and require.
 */
#include "functions.h"

#include <string.h>

#include "json.h"
#include "parts.h"

/* The loader of the module with the index in upvalue 1. Upvalue 2 is the library. */
static int load_module(lua_State *L)
{
    const struct tcpm__lua_module *module =
        &tcpm__lua_modules[lua_tointeger(L, lua_upvalueindex(1))];

    luaL_checkstack(L, LUA_MINSTACK, module->name);
    if (luaL_loadbuffer(L, module->source.source, module->source.length, module->source.name) != 0)
        return lua_error(L);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_getfield(L, LUA_GLOBALSINDEX, "require");
    lua_setfield(L, -2, "require");
    lua_setfenv(L, -2);
    lua_pushstring(L, module->name);
    lua_call(L, 1, 1);
    return 1;
}

/* Modules in C, which modules in Lua require. */
static const luaL_Reg modules_in_c[] = {
    {"tcpmulti.json.writers", tcpm__json_open_writers},
    {"tcpmulti.results.line", tcpm__json_open_line},
    {NULL, NULL},
};

void tcpm__lua_offer_modules(lua_State *L, int library)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "_PRELOAD");
    for (int i = 0; lua_istable(L, -1) && tcpm__lua_modules[i].name != NULL; i++) {
        lua_pushinteger(L, i);
        lua_pushvalue(L, library);
        lua_pushcclosure(L, load_module, 2);
        lua_setfield(L, -2, tcpm__lua_modules[i].name);
    }
    for (int i = 0; lua_istable(L, -1) && modules_in_c[i].name != NULL; i++) {
        lua_pushcfunction(L, modules_in_c[i].func);
        lua_setfield(L, -2, modules_in_c[i].name);
    }
    lua_pop(L, 1);
}

int tcpm__lua_open_module(lua_State *L, const char *name)
{
    tcpm__lua_push_library(L);
    tcpm__lua_offer_modules(L, lua_gettop(L));
    lua_getfield(L, LUA_REGISTRYINDEX, "_PRELOAD");
    lua_getfield(L, -1, name);
    lua_call(L, 0, 1);
    return 1;
}
