/* SPDX-License-Identifier: MIT */
/*
 * The functions of the module that belong to no session and no connection.
 */
#include "binding.h"

#include <stdio.h>
#include <time.h>

/* Monotonic seconds. */
static int module_now(lua_State *L)
{
    tcpm__lua_check_dot(L);
    lua_pushnumber(L, (lua_Number) tcpm_now_ns() / 1e9);
    return 1;
}

void tcpm__lua_push_escaped(lua_State *L, const char *bytes, size_t length)
{
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char) bytes[i];
        if (byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\') {
            luaL_addchar(&buffer, (char) byte);
        } else {
            static const char digits[] = "0123456789ABCDEF";
            luaL_addstring(&buffer, "\\u00");
            luaL_addchar(&buffer, digits[byte >> 4]);
            luaL_addchar(&buffer, digits[byte & 15]);
        }
    }
    luaL_pushresult(&buffer);
}

/* Bytes as text that is safe on a terminal and inside a JSON string. */
int tcpm__lua_escape(lua_State *L)
{
    size_t length;
    tcpm__lua_check_dot(L);
    if (!lua_isstring(L, 1))
        return luaL_error(L, "tcpmulti.escape: a string expected, not %s",
                          tcpm__lua_describe(L, 1));
    const char *bytes = lua_tolstring(L, 1, &length);
    tcpm__lua_push_escaped(L, bytes, length);
    return 1;
}

/* core.warn(text): one line on standard error. */
int tcpm__lua_warn(lua_State *L)
{
    fprintf(stderr, "tcpmulti: %s\n", luaL_checkstring(L, 1));
    return 0;
}

/* core.time() -> seconds of the epoch, with their fraction. */
int tcpm__lua_time(lua_State *L)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    lua_pushnumber(L, (lua_Number) now.tv_sec + (lua_Number) now.tv_nsec / 1e9);
    return 1;
}

const luaL_Reg tcpm__lua_module_functions[] = {
    {"attach", tcpm__lua_module_attach},
    {"connect", tcpm__lua_connect_owner},
    {"run", tcpm__lua_module_run},
    {"stop", tcpm__lua_module_stop},
    {"now", module_now},
    {"escape", tcpm__lua_escape},
    {NULL, NULL},
};
