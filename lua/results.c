/* SPDX-License-Identifier: MIT */
/*
 * What calls of the module answer, and the numbers they take: the two halves of every C function
 * here. What the world does wrong is nil, message, errname; what the caller does wrong is raised.
 */
#include "binding.h"

#include <errno.h>
#include <math.h>

#define MAX_SECONDS 4294967.0 /* the core's 2^32 - 2 milliseconds */

int tcpm__lua_failure_text(lua_State *L, int code, const char *message)
{
    lua_pushnil(L);
    lua_pushstring(L, message);
    lua_pushstring(L, tcpm_error_name(code));
    return 3;
}

int tcpm__lua_failure(lua_State *L, int code)
{
    switch (code) {
    case -ESTALE:
        return tcpm__lua_failure_text(L, code, "no such connection");
    case -ESHUTDOWN:
        return tcpm__lua_failure_text(L, code, "shutting down");
    case -EBUSY:
        return tcpm__lua_failure_text(L, code, "called from a filter of this connection");
    case -ENOBUFS:
        return tcpm__lua_failure_text(L, code, "too much is queued already");
    default:
        return tcpm__lua_failure_text(L, code, tcpm_error_text(code));
    }
}

int tcpm__lua_stale(lua_State *L)
{
    return tcpm__lua_failure(L, -ESTALE);
}

int tcpm__lua_result(lua_State *L, int result)
{
    if (result < 0)
        return tcpm__lua_failure(L, result);
    lua_pushboolean(L, 1);
    return 1;
}

/* Seconds, an argument of a method of cheaps, to milliseconds. Rounds up, so that no time is ever
   shorter than asked for, but for what the multiplication itself adds: 1.1 s are 1100 ms. */
int64_t tcpm__lua_check_ms(lua_State *L, int argument)
{
    double seconds = lua_type(L, argument) == LUA_TNUMBER ? lua_tonumber(L, argument) : -1;
    if (!(seconds >= 0 && seconds <= MAX_SECONDS)) {
        tcpm__lua_check_cheap(L);
        luaL_error(L, "%s: a number of seconds from 0 (none) to %d (49 days) expected, not %s",
                   tcpm__lua_name(L), (int) MAX_SECONDS, tcpm__lua_describe(L, argument));
    }
    double ms = ceil(seconds * 1000 - 1e-6);
    return seconds > 0 && ms < 1 ? 1 : (int64_t) ms;
}

/* The errstr of events: the peer's FIN is "EOF", the rest is the core's text. */
const char *tcpm__lua_errstr(const struct tcpm_error *error)
{
    return error->code == TCPM_EOF ? "EOF" : error->message;
}

/* The errnum of events: 0 for the end of the file, else positive. */
int tcpm__lua_errnum(int code)
{
    return code == TCPM_EOF ? 0 : -code;
}
