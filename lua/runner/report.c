/* SPDX-License-Identifier: MIT */
/*
 * How errors reach a person: any Lua value becomes a message with a traceback, and each message is
 * made safe for a terminal, since it may quote bytes that came from the network. Every other file
 * of the runner may call this one.
 */
#include "runner.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "runtime.h"

/* Replaces the error value at index 1 by a string: the value's own text, or else its type. */
static void describe_error(struct lua_State *L)
{
    if (lua_isstring(L, 1)) {
        lua_tostring(L, 1);
        return;
    }
    if (luaL_getmetafield(L, 1, "__tostring")) {
        lua_pushvalue(L, 1);
        if (lua_pcall(L, 1, 1, 0) != 0 || !lua_isstring(L, -1))
            tcpm__lua_push_error_type(L);
    } else {
        tcpm__lua_push_error_type(L);
    }
    lua_replace(L, 1);
}

int tcpm__runner_report_traceback(struct lua_State *L)
{
    if (tcpm__lua_kept_traceback(L))
        return 1;
    describe_error(L);
    lua_settop(L, 1);
    /* The module's fatal errors bring the traceback of the handler that raised them. */
    if (strstr(lua_tostring(L, 1), "\nstack traceback:") != NULL)
        return 1;
    luaL_traceback(L, L, "", 1); /* "": luaL_traceback would cut a message at its first NUL byte */
    lua_concat(L, 2);
    return 1;
}

/* The length of the UTF-8 sequence that text begins with; a NUL byte ends text. 0: the first byte
   begins no sequence that a terminal may get. Control characters are none, neither those below
   U+0020 nor U+0080 to U+009F. */
static size_t printable_sequence(const char *text)
{
    const unsigned char *s = (const unsigned char *) text;

    if (s[0] < 0x80)
        return (s[0] >= 0x20 && s[0] != 0x7f) || s[0] == '\n' || s[0] == '\t';
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return s[0] == 0xc2 && s[1] < 0xa0 ? 0 : length;
}

void tcpm__runner_report_bytes(const char *text, size_t size)
{
    fputs(RUNNER_NAME ": ", stderr);
    for (const char *end = text + size; text < end;) {
        size_t length = printable_sequence(text);

        if (length > 0)
            fwrite(text, 1, length, stderr);
        else
            fprintf(stderr, "\\x%02x", (unsigned char) *text);
        text += length > 0 ? length : 1;
    }
    fputc('\n', stderr);
}

void tcpm__runner_report_text(const char *text)
{
    tcpm__runner_report_bytes(text, strlen(text));
}

void tcpm__runner_report_error(struct lua_State *L)
{
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);

    tcpm__runner_report_bytes(text, size);
}
