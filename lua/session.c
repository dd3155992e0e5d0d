/* SPDX-License-Identifier: MIT */
/*
 * Sessions as Lua objects: a plain table with the session's number in [0], so that nothing a script
 * keeps can dangle; the number is never used again, and below 0, where no id of a connection is.
 * How one begins and ends is in lifetime.c.
 */
#include "lua_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The live session of a number; NULL: it has stopped, or never was. */
struct session *tcpm__lua_session_of(const struct runtime *rt, double number)
{
    if (!(number <= -1 && number > -9007199254740992.0))
        return NULL;
    uint64_t whole = (uint64_t) -number;
    int index = (int) (whole % TCPM__LUA_SESSIONS);
    if (index >= rt->session_count || rt->sessions[index] == NULL)
        return NULL;
    struct session *session = rt->sessions[index];
    if (session->number != number || session->muted || session->core == NULL)
        return NULL;
    return session;
}

struct session *tcpm__lua_session(lua_State *L, struct runtime *rt, int index)
{
    struct session *session = NULL;
    if (lua_istable(L, index)) {
        lua_rawgeti(L, index, 0);
        if (lua_type(L, -1) == LUA_TNUMBER)
            session = tcpm__lua_session_of(rt, lua_tonumber(L, -1));
        lua_pop(L, 1);
    }
    if (session == NULL && !tcpm__lua_has_metatable(L, index, OWN_SESSION_METATABLE))
        tcpm__lua_misuse(L, index, "session");
    return session;
}

int tcpm__lua_session_over(lua_State *L, const struct session *session_or_null)
{
    bool dying =
        session_or_null != NULL && session_or_null->core != NULL && !session_or_null->muted;
    return tcpm__lua_failure_text(L, -ESHUTDOWN,
                                  dying ? "session is dying" : "session has stopped");
}

/* ---- methods ---- */

static int session_die(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct session *session = tcpm__lua_session(L, rt, 1);
    if (session == NULL || session->dying)
        return tcpm__lua_session_over(L, session);
    for (const struct filter_call *call = rt->filtering; call != NULL; call = call->outer) {
        const struct slot *slot = tcpm__lua_slot(rt, call->id);
        if (slot != NULL && slot->session == session)
            return tcpm__lua_failure(L, -EBUSY);
    }
    struct entry entry = tcpm__lua_enter(rt, L);
    tcpm__lua_die(session);
    tcpm__lua_leave(rt, entry);
    return tcpm__lua_result(L, 0);
}

static int session_fetch(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct session *session = tcpm__lua_session(L, rt, 1);
    struct slot *slot = tcpm__lua_slot_at(L, rt, 2);
    if (slot == NULL)
        tcpm__lua_check_named(L, 2);
    if (slot == NULL || slot->session != session)
        lua_pushnil(L);
    else
        lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT((struct tcpm_id){slot->id}));
    return 1;
}

static int session_count(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    struct tcpm_stats stats = {.size = sizeof stats};
    if (session != NULL)
        tcpm_stats_get(session->core, &stats);
    uint64_t live = stats.waiting + stats.connecting + stats.open + stats.shutting;
    lua_pushnumber(L, (lua_Number) live);
    lua_pushnumber(L, (lua_Number) stats.waiting);
    return 2;
}

static int session_stats(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    struct tcpm_stats stats = {.size = sizeof stats};
    if (session == NULL)
        return tcpm__lua_session_over(L, NULL);
    tcpm_stats_get(session->core, &stats);
    const struct {
        const char *name;
        uint64_t value;
    } fields[] = {
        {"waiting", stats.waiting},   {"connecting", stats.connecting},
        {"open", stats.open},         {"shutting", stats.shutting},
        {"received", stats.received}, {"sent", stats.sent},
        {"queued", stats.queued},     {"held", stats.held},
    };
    lua_createtable(L, 0, sizeof fields / sizeof *fields);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        lua_pushnumber(L, (lua_Number) fields[i].value);
        lua_setfield(L, -2, fields[i].name);
    }
    return 1;
}

/* The step of for id, cheap in s:connections(). */
static int next_connection(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct session *session = tcpm__lua_session(L, rt, 1);
    struct tcpm_id id = {(uint64_t) lua_tonumber(L, 2)};
    while (session != NULL && (id = tcpm_next(session->core, id)).n != 0) {
        if (tcpm__lua_slot(rt, id.n) == NULL)
            continue;
        lua_pushnumber(L, (lua_Number) id.n);
        lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT(id));
        return 2;
    }
    lua_pushnil(L);
    return 1;
}

static int session_connections(lua_State *L)
{
    tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    for (int upvalue = 1; upvalue <= UP_COUNT; upvalue++)
        lua_pushvalue(L, lua_upvalueindex(upvalue));
    lua_pushcclosure(L, next_connection, UP_COUNT);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

/* core.state(session) -> "live", "dying" or "stopped". */
int tcpm__lua_state(lua_State *L)
{
    struct session *session = tcpm__lua_session(L, tcpm__lua_runtime(L), 1);
    lua_pushstring(L, session == NULL ? "stopped" : session->dying ? "dying" : "live");
    return 1;
}

/* Calls the function at index 2 with what follows, with session as the running one. */
static int call_as(lua_State *L, struct runtime *rt, struct session *session)
{
    struct session *outer = rt->owner;
    lua_pushboolean(L, 0);
    lua_rawseti(L, lua_upvalueindex(UP_PLACES), OWN_KEPT_TRACEBACK);
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_KEEP_TRACEBACK);
    lua_insert(L, 2);
    rt->owner = session;
    int status = lua_pcall(L, lua_gettop(L) - 3, LUA_MULTRET, 2);
    rt->owner = rt->engine == NULL ? NULL : outer; /* it may have been closed meanwhile */
    return status;
}

/* core.as(session, function, …) -> what the function returns. A raise passes through, with the
   traceback that it had: see protect.c. */
int tcpm__lua_as(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct session *session = tcpm__lua_session(L, rt, 1);
    if (session == NULL)
        return tcpm__lua_session_over(L, NULL);
    if (call_as(L, rt, session) != 0)
        return lua_error(L);
    return lua_gettop(L) - 2;
}

/* core.start(session, function, …): as that, for _start; a raise ends the session without
   events. */
int tcpm__lua_start(lua_State *L)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct session *session = tcpm__lua_session(L, rt, 1);
    if (call_as(L, rt, session) == 0)
        return 0;
    session = tcpm__lua_session(L, rt, 1);
    if (session != NULL)
        tcpm__lua_session_end(session);
    return lua_error(L);
}

const luaL_Reg tcpm__lua_session_functions[] = {
    {"connect", tcpm__lua_connect},
    {"send", tcpm__lua_session_send},
    {"shutdown", tcpm__lua_session_shutdown},
    {"die", session_die},
    {"fetch", session_fetch},
    {"count", session_count},
    {"stats", session_stats},
    {"connections", session_connections},
    {"more", tcpm__lua_more},
    {NULL, NULL},
};
