/* SPDX-License-Identifier: MIT */
/*
 * Answers of the module's functions where the world does something wrong: nil, message, errname.
 * Mistakes of the caller are raised instead, by misuse.c and arguments.c.
 */
#include "binding.h"

#include <errno.h>

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

int tcpm__lua_failure_closed(lua_State *L)
{
    return tcpm__lua_failure_text(L, -ESHUTDOWN, "the engine is closed");
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

int tcpm__lua_session_failure(lua_State *L, const struct tcpm__lua_session *session_or_null)
{
    bool dying =
        session_or_null != NULL && session_or_null->inner != NULL && !session_or_null->muted;

    return tcpm__lua_failure_text(L, -ESHUTDOWN,
                                  dying ? "session is dying" : "session has stopped");
}

int tcpm__lua_push_counts(lua_State *L, const struct tcpm__lua_count *counts, size_t count)
{
    lua_createtable(L, 0, (int) count);
    for (size_t i = 0; i < count; i++) {
        lua_pushnumber(L, (lua_Number) counts[i].value);
        lua_setfield(L, -2, counts[i].name);
    }
    return 1;
}

/* The peer's FIN is "EOF", unless a proxy has sent it; all other texts are the core's. */
const char *tcpm__lua_errstr(const struct tcpm_error *error)
{
    return error->code == TCPM_EOF && error->op != TCPM_OP_PROXY ? "EOF" : error->message;
}

/* 0 stands for the peer's FIN; all other numbers are positive. */
int tcpm__lua_errnum(int code)
{
    return code == TCPM_EOF ? 0 : -code;
}
