/* SPDX-License-Identifier: MIT */
/*
 * How errors reach a person: any Lua value becomes a message with a traceback, and what is printed
 * is made safe for a terminal, since messages may quote bytes that came from the network.
 */
#include "runner.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "runtime.h"

/* Replaces the error value by a string: what it says of itself, or else what it is. */
static void describe_error(struct lua_State *L)
{
    if (lua_isstring(L, 1)) {
        lua_tostring(L, 1);
        return;
    }
    if (luaL_getmetafield(L, 1, "__tostring")) {
        lua_pushvalue(L, 1);
        if (lua_pcall(L, 1, 1, 0) != 0 || !lua_isstring(L, -1))
            lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    } else {
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    }
    lua_replace(L, 1);
}

int tcpm__runner_traceback(struct lua_State *L)
{
    if (tcpm__lua_kept_traceback(L))
        return 1;
    describe_error(L);
    lua_settop(L, 1);
    /* The module's fatal errors bring the traceback of the handler that raised them. */
    if (strstr(lua_tostring(L, 1), "\nstack traceback:") != NULL)
        return 1;
    luaL_traceback(L, L, "", 1); /* a message may hold NUL bytes, which it would end at */
    lua_concat(L, 2);
    return 1;
}

/* Bytes of the UTF-8 sequence that text, which a NUL byte ends, begins with, if it is one that a
   terminal may get: no control characters, neither below U+0020 nor U+0080 to U+009F. 0: it is
   not. */
static size_t printable_sequence(const char *text)
{
    const unsigned char *s = (const unsigned char *) text;
    size_t length;

    if (s[0] < 0x80)
        return (s[0] >= 0x20 && s[0] != 0x7f) || s[0] == '\n' || s[0] == '\t';
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return s[0] == 0xc2 && s[1] < 0xa0 ? 0 : length;
}

void tcpm__runner_report_bytes(const char *text, size_t size)
{
    const char *end = text + size;
    size_t length;

    fputs(RUNNER_NAME ": ", stderr);
    for (; text < end; text += length) {
        length = printable_sequence(text);
        if (length > 0)
            fwrite(text, 1, length, stderr);
        else {
            fprintf(stderr, "\\x%02x", (unsigned char) *text);
            length = 1;
        }
    }
    fputc('\n', stderr);
}

void tcpm__runner_report(const char *text)
{
    tcpm__runner_report_bytes(text, strlen(text));
}

void tcpm__runner_report_error(struct lua_State *L)
{
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);

    tcpm__runner_report_bytes(text, size);
}
