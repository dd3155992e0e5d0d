/* SPDX-License-Identifier: MIT */
/*
 * Functions of the module that concern no session and no connection.
 */
#include "functions.h"

#include <stdio.h>
#include <time.h>

/* tcpmulti.now() -> monotonic seconds */
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

/* tcpmulti.escape(bytes) -> text that is safe on a terminal and inside a JSON string */
static int module_escape(lua_State *L)
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

/* shared.warn(text): prints one line on standard error */
static int shared_warn(lua_State *L)
{
    fprintf(stderr, "tcpmulti: %s\n", luaL_checkstring(L, 1));
    return 0;
}

/* shared.time() -> seconds since the epoch, with their fraction */
static int shared_time(lua_State *L)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    lua_pushnumber(L, (lua_Number) now.tv_sec + (lua_Number) now.tv_nsec / 1e9);
    return 1;
}

const luaL_Reg tcpm__lua_module_functions[] = {
    {"now", module_now},
    {"escape", module_escape},
    {NULL, NULL},
};

const luaL_Reg tcpm__lua_module_shared[] = {
    {"escape", module_escape},
    {"warn", shared_warn},
    {"time", shared_time},
    {NULL, NULL},
};
