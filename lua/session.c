/* SPDX-License-Identifier: MIT */
/*
 * Sessions as Lua objects. The object is a plain table with the session's number in [0], so nothing
 * that a script keeps can dangle. Numbers are below 0, where no connection has its id, and are
 * never used again. Creation is in lifetime.c.
 */
#include "functions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- methods ---- */

static int session_connect(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    if (session == NULL || session->dying)
        return tcpm__lua_session_failure(L, session);
    if (lua_isfunction(L, 2) && lua_gettop(L) == 2)
        return tcpm__lua_pull_start(L, session, 2);
    return tcpm__lua_connect_arguments(L, session, 2, CONNECT_PLAINLY);
}

static int session_die(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, rt, 1);

    if (session == NULL || session->dying)
        return tcpm__lua_session_failure(L, session);
    for (const struct tcpm__lua_filter_call *call = rt->filtering; call != NULL;
         call = call->outer) {
        const struct tcpm__lua_slot *slot = tcpm__lua_slot_find(rt, call->id);

        if (slot != NULL && slot->session == session)
            return tcpm__lua_failure(L, -EBUSY);
    }
    struct tcpm__lua_saved entry = tcpm__lua_enter(rt, L);
    tcpm__lua_session_die(session);
    tcpm__lua_leave(rt, entry);
    return tcpm__lua_result(L, 0);
}

static int session_fetch(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, rt, 1);
    struct tcpm__lua_slot *slot = tcpm__lua_slot_at(L, rt, 2);

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
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);
    struct tcpm_stats stats = {.size = sizeof stats};

    if (session != NULL)
        tcpm_stats_get(session->inner, &stats);
    uint64_t live = stats.waiting + stats.connecting + stats.open + stats.shutting;
    lua_pushnumber(L, (lua_Number) live);
    lua_pushnumber(L, (lua_Number) stats.waiting);
    return 2;
}

static int session_stats(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);
    struct tcpm_stats stats = {.size = sizeof stats};

    if (session == NULL)
        return tcpm__lua_session_failure(L, NULL);
    tcpm_stats_get(session->inner, &stats);
    const struct tcpm__lua_count counts[] = {
        {"waiting", stats.waiting},     {"connecting", stats.connecting},
        {"open", stats.open},           {"shutting", stats.shutting},
        {"received", stats.received},   {"sent", stats.sent},
        {"queued", stats.queued},       {"held", stats.held},
        {"denied", stats.denied},       {"handshakes", stats.handshakes},
        {"resumed", stats.resumed},     {"tls_failed", stats.tls_failed},
        {"truncated", stats.truncated}, {"injected", stats.injected},
    };
    return tcpm__lua_push_counts(L, counts, sizeof counts / sizeof *counts);
}

/* One step of: for id, cheap in s:connections() */
static int next_connection(lua_State *L)
{
    struct tcpm__lua_runtime *rt = tcpm__lua_runtime(L);
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, rt, 1);
    struct tcpm_id id = {(uint64_t) lua_tonumber(L, 2)};

    while (session != NULL && (id = tcpm_next(session->inner, id)).n != 0) {
        if (tcpm__lua_slot_find(rt, id.n) == NULL)
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
    tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);
    for (int upvalue = 1; upvalue <= UP_COUNT; upvalue++)
        lua_pushvalue(L, lua_upvalueindex(upvalue));
    lua_pushcclosure(L, next_connection, UP_COUNT);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

/* s:more() -> true, or nil, message, errname */
static int session_more(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    if (session == NULL || session->dying)
        return tcpm__lua_session_failure(L, session);
    if (session->pull == PULL_NONE)
        return tcpm__lua_failure_text(L, -ESRCH, "the session has no pull function");
    tcpm__lua_pull_more(session);
    return tcpm__lua_result(L, 0);
}

const luaL_Reg tcpm__lua_session_methods[] = {
    {"connect", session_connect}, {"die", session_die},
    {"fetch", session_fetch},     {"count", session_count},
    {"stats", session_stats},     {"connections", session_connections},
    {"more", session_more},       {NULL, NULL},
};

/* ---- for the parts written in Lua ---- */

/* shared.state(session) -> "live", "dying" or "stopped" */
static int shared_state(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    lua_pushstring(L, session == NULL ? "stopped" : session->dying ? "dying" : "live");
    return 1;
}

/* shared.hold(session), shared.release(session): for each name of a session */
static int shared_hold(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    if (session != NULL)
        tcpm__lua_session_hold(session);
    return 0;
}

static int shared_release(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    if (session != NULL)
        tcpm__lua_session_release(session);
    return 0;
}

/* shared.call_it(session, alias or nil): sets the printable alias for lines on standard error.
   Without memory those lines have the number only. */
static int shared_call_it(lua_State *L)
{
    struct tcpm__lua_session *session = tcpm__lua_check_session(L, tcpm__lua_runtime(L), 1);

    if (session == NULL)
        return 0;
    free(session->alias);
    session->alias = lua_isstring(L, 2) ? strdup(lua_tostring(L, 2)) : NULL;
    return 0;
}

const luaL_Reg tcpm__lua_session_shared[] = {
    {"state", shared_state},
    {"call_it", shared_call_it},
    {"hold", shared_hold},
    {"release", shared_release},
    {NULL, NULL},
};
