/* SPDX-License-Identifier: MIT */
/*
 * Proxies for the part proxies.lua: whether a list of URLs can be used; and the lines of files that
 * hold what nobody else should read.
 */
#include "functions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    MESSAGE_SIZE = 160, /* bytes that any message of tcpm_proxy_check fits in */
    LINE_SIZE = 4096    /* bytes of a line of a file */
};

/* shared.check_proxy(text) -> whether the last proxy looks targets up; or nil, message, errname */
static int shared_check_proxy(lua_State *L)
{
    const struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    char message[MESSAGE_SIZE];

    if (tcpm__lua_is_closed(rt))
        return tcpm__lua_failure_closed(L);
    int result = tcpm_proxy_check(rt->engine, luaL_checkstring(L, 1), message, sizeof message);
    if (result < 0)
        return tcpm__lua_failure_text(L, result,
                                      message[0] != '\0' ? message : tcpm_error_text(result));
    lua_pushboolean(L, result);
    return 1;
}

/* shared.first_line(path) -> the first line of a file; or nil, message */
static int shared_first_line(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    char line[LINE_SIZE];
    FILE *file = fopen(path, "re");
    bool has_line = file != NULL && fgets(line, sizeof line, file) != NULL;
    int error = file == NULL ? errno : 0;

    if (file != NULL)
        fclose(file);
    if (has_line) {
        lua_pushlstring(L, line, strcspn(line, "\r\n"));
        return 1;
    }
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, error != 0 ? strerror(error) : "there is no line in it");
    return 2;
}

const luaL_Reg tcpm__lua_proxies_shared[] = {
    {"check_proxy", shared_check_proxy},
    {"first_line", shared_first_line},
    {NULL, NULL},
};
