/* SPDX-License-Identifier: MIT */
/*
 * Questions about a connection's attempt: the times of its steps, all its figures at once, and the
 * addresses that were tried. A connection that has ended answers them by ESTALE.
 */
#include "functions.h"

#include <errno.h>

/* ---- times ---- */

enum { US_PER_S = 1000000 };

/* One after the other, each from the step before it. */
static void push_steps(lua_State *L, const struct tcpm_times *times)
{
    const uint32_t done[] = {
        0,
        times->started_us,
        times->resolved_us,
        times->connected_us,
        times->proxied_us,
        times->secured_us,
        times->first_us,
    };

    for (size_t step = 1; step < sizeof done / sizeof *done; step++)
        if (done[step] == 0)
            lua_pushnil(L);
        else
            lua_pushnumber(L, (lua_Number) (done[step] - done[step - 1]) / (lua_Number) US_PER_S);
}

/* The time of the latest thing that is known to have happened; 0: nothing has. */
static uint32_t latest_us(const struct tcpm_times *times)
{
    const uint32_t marks[] = {
        times->started_us, times->resolved_us, times->connected_us, times->proxied_us,
        times->secured_us, times->first_us,    times->last_us,
    };
    uint32_t latest = 0;

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (marks[i] > latest)
            latest = marks[i];
    return latest;
}

/* queue, resolve, connect, proxy, tls, first_byte, total */
static void push_times(lua_State *L, const struct tcpm_times *times)
{
    push_steps(L, times);
    if (latest_us(times) == 0)
        lua_pushnil(L);
    else
        lua_pushnumber(L, (lua_Number) latest_us(times) / (lua_Number) US_PER_S);
}

static int read_times(const struct tcpm__lua_slot *slot, struct tcpm_times *times)
{
    *times = (struct tcpm_times){.size = sizeof *times};
    return slot == NULL ? -ESTALE
                        : tcpm_times_get(slot->session->inner, tcpm__lua_slot_id(slot), times);
}

/* cheap:times() -> queue, resolve, connect, proxy, tls, first_byte, total; or nil */
static int cheap_times(lua_State *L)
{
    struct tcpm_times times;

    if (read_times(tcpm__lua_slot_to_read(L), &times) < 0)
        return tcpm__lua_stale(L);
    if (times.began_ns == 0) {
        lua_pushnil(L);
        return 1;
    }
    push_times(L, &times);
    return 7;
}

/* cheap:figures() -> received, sent, queue, resolve, connect, proxy, tls, first_byte, total, op,
   errnum, errstr, errname, timer */
static int cheap_figures(lua_State *L)
{
    const struct tcpm__lua_slot *slot = tcpm__lua_slot_to_read(L);
    struct tcpm_times times;

    if (read_times(slot, &times) < 0)
        return tcpm__lua_stale(L);
    struct tcpm_info info = {.size = sizeof info};
    tcpm_info_get(slot->session->inner, tcpm__lua_slot_id(slot), &info);
    lua_pushnumber(L, (lua_Number) info.received);
    lua_pushnumber(L, (lua_Number) info.sent);
    push_times(L, &times);
    return 9 + tcpm__lua_push_cause(L, &info);
}

/* ---- what was tried ---- */

static void push_tried(lua_State *L, const struct tcpm_tried *tried)
{
    lua_createtable(L, 0, 3);
    lua_pushstring(L, tried->address);
    lua_setfield(L, -2, "addr");
    lua_pushinteger(L, (lua_Integer) tried->port);
    lua_setfield(L, -2, "port");
    if (tried->code == 0)
        return;
    lua_pushstring(L, tcpm_error_name(tried->code));
    lua_setfield(L, -2, "errname");
}

/* cheap:tried() -> list of { addr, port, errname } */
static int cheap_tried(lua_State *L)
{
    const struct tcpm__lua_slot *slot = tcpm__lua_slot_to_read(L);
    struct tcpm_tried tried = {.size = sizeof tried};

    if (slot == NULL)
        return tcpm__lua_stale(L);
    struct tcpm_session *session = slot->session->inner;
    struct tcpm_id id = tcpm__lua_slot_id(slot);
    lua_newtable(L);
    for (unsigned index = 0; tcpm_tried_get(session, id, index, &tried) == 1; index++) {
        push_tried(L, &tried);
        lua_rawseti(L, -2, (int) index + 1);
    }
    return 1;
}

const luaL_Reg tcpm__lua_attempt_methods[] = {
    {"times", cheap_times},
    {"figures", cheap_figures},
    {"tried", cheap_tried},
    {NULL, NULL},
};
