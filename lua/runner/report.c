/*
 * How errors reach a person: any Lua value becomes a message with a traceback, and what is printed
 * is made safe for a terminal, since messages may quote bytes that came from the network.
 */
#include "runner.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

/* The error value as a string, in place: what it says of itself, or else what it is. */
static const char *describe_error(struct lua_State *L)
{
    if (!lua_isstring(L, 1)) {
        if (luaL_callmeta(L, 1, "__tostring") && lua_isstring(L, -1))
            lua_replace(L, 1);
        else {
            lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
            lua_replace(L, 1);
        }
    }
    lua_settop(L, 1);
    return lua_tostring(L, 1);
}

int tcpm__runner_traceback(struct lua_State *L)
{
    const char *message = describe_error(L);

    /* The module's fatal errors bring the traceback of the handler that raised them. */
    if (strstr(message, "\nstack traceback:") == NULL)
        luaL_traceback(L, L, message, 1);
    return 1;
}

/* Bytes of the UTF-8 sequence that text begins with, if it is one that a terminal may get: no
   control characters, neither below U+0020 nor U+0080 to U+009F. 0: it is not. */
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

void tcpm__runner_report(const char *text)
{
    size_t length;

    fputs(RUNNER_NAME ": ", stderr);
    for (; *text != '\0'; text += length) {
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
