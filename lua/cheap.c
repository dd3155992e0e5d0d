/* SPDX-License-Identifier: MIT */
/*
 * What a connection's heap can do: the methods of cheaps, which are module functions as well. Each
 * turns its first argument into a live connection and calls one function of the core; what has
 * ended answers ESTALE. send and shutdown are in send.c, what is about filters in input.c.
 */
#include "lua_filter.h"
#include "protect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- its end ---- */

static int cheap_reset(lua_State *L)
{
    int code;
    struct slot *slot = tcpm__lua_change(L, &code);
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    return tcpm__lua_result(L, tcpm_reset(slot->session->core, tcpm__lua_id(slot)));
}

static int cheap_fail(lua_State *L)
{
    int code, error = -EPROTO;
    const char *message = tcpm__lua_check_string(L, "the message");
    if (!lua_isnoneornil(L, 3) &&
        (lua_type(L, 3) != LUA_TSTRING || (error = tcpm_error_code(lua_tostring(L, 3))) == 0))
        return tcpm__lua_unknown_error(L, 3);
    struct slot *slot = tcpm__lua_change(L, &code);
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    char *text = tcpm__lua_message_copy(message, lua_objlen(L, 2));
    code = tcpm_fail(slot->session->core, tcpm__lua_id(slot), error, text);
    tcpm__lua_message_free(text);
    return tcpm__lua_result(L, code);
}

/* ---- flow and times ---- */

static int cheap_pause(lua_State *L)
{
    int code;
    struct slot *slot = tcpm__lua_change(L, &code);
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    return tcpm__lua_result(L, tcpm_pause(slot->session->core, tcpm__lua_id(slot)));
}

static int cheap_resume(lua_State *L)
{
    int code;
    struct slot *slot = tcpm__lua_change(L, &code);
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    return tcpm__lua_result(L, tcpm_resume(slot->session->core, tcpm__lua_id(slot)));
}

/* -ESTALE: it has ended. */
static int read_info(const struct slot *slot, struct tcpm_info *info)
{
    memset(info, 0, sizeof *info);
    info->size = sizeof *info;
    return slot == NULL ? -ESTALE : tcpm_info_get(slot->session->core, tcpm__lua_id(slot), info);
}

static int cheap_timeout(lua_State *L)
{
    int code;
    struct tcpm_info info;
    if (lua_isnoneornil(L, 2)) {
        if (read_info(tcpm__lua_look(L), &info) < 0)
            return tcpm__lua_stale(L);
        lua_pushnumber(L, (lua_Number) info.timeout_ms / 1000);
        return 1;
    }
    int64_t ms = tcpm__lua_check_ms(L, 2);
    struct slot *slot = tcpm__lua_change(L, &code);
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    return tcpm__lua_result(L, tcpm_timeout(slot->session->core, tcpm__lua_id(slot), ms));
}

static int cheap_deadline(lua_State *L)
{
    int code;
    struct tcpm_info info;
    if (lua_isnoneornil(L, 2)) {
        if (read_info(tcpm__lua_look(L), &info) < 0)
            return tcpm__lua_stale(L);
        lua_pushnumber(L, (lua_Number) info.deadline_ms / 1000);
        return 1;
    }
    int64_t ms = tcpm__lua_check_ms(L, 2);
    struct slot *slot = tcpm__lua_change(L, &code);
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    return tcpm__lua_result(L, tcpm_deadline(slot->session->core, tcpm__lua_id(slot), ms));
}

/* ---- what is known of it ---- */

static int cheap_id(lua_State *L)
{
    tcpm__lua_check_cheap(L);
    lua_rawgeti(L, 1, 0);
    return 1;
}

/* Of a connection that has ended: what disconnected has left for its cheap, port then address. */
static const char *find_ended(lua_State *L, size_t *length)
{
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_ENDED);
    lua_pushvalue(L, 1);
    lua_rawget(L, -2);
    return lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, length) : NULL;
}

static unsigned ended_port(const char *ended)
{
    return (unsigned) (unsigned char) ended[0] << 8 | (unsigned char) ended[1];
}

static int cheap_addr(lua_State *L)
{
    struct tcpm_info info;
    if (read_info(tcpm__lua_look(L), &info) == 0) {
        lua_pushstring(L, info.address);
        return 1;
    }
    size_t length;
    const char *ended = find_ended(L, &length);
    if (ended == NULL)
        return tcpm__lua_stale(L);
    lua_pushlstring(L, ended + 2, length - 2);
    return 1;
}

static int cheap_port(lua_State *L)
{
    struct tcpm_info info;
    if (read_info(tcpm__lua_look(L), &info) == 0) {
        lua_pushinteger(L, (lua_Integer) info.port);
        return 1;
    }
    size_t length;
    const char *ended = find_ended(L, &length);
    if (ended == NULL)
        return tcpm__lua_stale(L);
    lua_pushinteger(L, (lua_Integer) ended_port(ended));
    return 1;
}

/* Pushes address:port, an IPv6 address in brackets. */
static void push_target(lua_State *L, const char *address, size_t length, unsigned port)
{
    bool brackets = address[0] != '[' && memchr(address, ':', length) != NULL &&
                    memchr(address, '/', length) == NULL; /* a URL fails, but has a name */
    tcpm__lua_push_escaped(L, address, length);
    lua_pushfstring(L, brackets ? "[%s]:%d" : "%s:%d", lua_tostring(L, -1), (int) port);
    lua_remove(L, -2);
}

/* Also of what has ended, and of what never was a connection: it never raises. */
int tcpm__lua_cheap_tostring(lua_State *L)
{
    struct tcpm_info info;
    lua_settop(L, 1);
    if (!tcpm__lua_is_cheap(L)) {
        lua_pushliteral(L, "tcpmulti connection (none)");
        return 1;
    }
    lua_rawgeti(L, 1, 0);
    char id[32];
    size_t length;
    snprintf(id, sizeof id, "%.0f", lua_tonumber(L, -1));
    if (read_info(tcpm__lua_slot_at(L, tcpm__lua_runtime(L), 1), &info) == 0) {
        push_target(L, info.address, strlen(info.address), info.port);
        lua_pushfstring(L, "tcpmulti connection %s to %s (%s)", id, lua_tostring(L, -1),
                        tcpm_phase_name(info.phase));
        return 1;
    }
    const char *ended = find_ended(L, &length);
    if (ended == NULL) {
        lua_pushfstring(L, "tcpmulti connection %s (closed)", id);
        return 1;
    }
    push_target(L, ended + 2, length - 2, ended_port(ended));
    lua_pushfstring(L, "tcpmulti connection %s to %s (closed)", id, lua_tostring(L, -1));
    return 1;
}

static int push_end_point(lua_State *L, const char *address, unsigned port)
{
    if (address[0] == '\0') {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, address);
    lua_pushinteger(L, (lua_Integer) port);
    return 2;
}

static int read_endpoints(const struct slot *slot, struct tcpm_endpoints *endpoints)
{
    endpoints->size = sizeof *endpoints;
    return slot == NULL ? -ESTALE
                        : tcpm_endpoints_get(slot->session->core, tcpm__lua_id(slot), endpoints);
}

static int cheap_peer(lua_State *L)
{
    struct tcpm_endpoints endpoints;
    if (read_endpoints(tcpm__lua_look(L), &endpoints) < 0)
        return tcpm__lua_stale(L);
    return push_end_point(L, endpoints.peer, endpoints.peer_port);
}

static int cheap_sock(lua_State *L)
{
    struct tcpm_endpoints endpoints;
    if (read_endpoints(tcpm__lua_look(L), &endpoints) < 0)
        return tcpm__lua_stale(L);
    return push_end_point(L, endpoints.local, endpoints.local_port);
}

static int cheap_session(lua_State *L)
{
    const struct slot *slot = tcpm__lua_look(L);
    if (slot == NULL)
        return tcpm__lua_stale(L);
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), slot->session->base + PLACE_OBJECT);
    return 1;
}

static int cheap_phase(lua_State *L)
{
    struct tcpm_info info;
    if (read_info(tcpm__lua_look(L), &info) < 0)
        return tcpm__lua_stale(L);
    lua_pushstring(L, tcpm_phase_name(info.phase));
    return 1;
}

static int cheap_queued(lua_State *L)
{
    struct tcpm_info info;
    if (read_info(tcpm__lua_look(L), &info) < 0)
        return tcpm__lua_stale(L);
    lua_pushnumber(L, (lua_Number) info.queued);
    return 1;
}

static int cheap_received(lua_State *L)
{
    struct tcpm_info info;
    if (read_info(tcpm__lua_look(L), &info) < 0)
        return tcpm__lua_stale(L);
    lua_pushnumber(L, (lua_Number) info.received);
    return 1;
}

static int cheap_sent(lua_State *L)
{
    struct tcpm_info info;
    if (read_info(tcpm__lua_look(L), &info) < 0)
        return tcpm__lua_stale(L);
    lua_pushnumber(L, (lua_Number) info.sent);
    return 1;
}

static int cheap_cause(lua_State *L)
{
    struct tcpm_info info;
    if (read_info(tcpm__lua_look(L), &info) < 0)
        return tcpm__lua_stale(L);
    if (info.cause.code == 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, tcpm_op_name(info.cause.op));
    lua_pushinteger(L, tcpm__lua_errnum(info.cause.code));
    lua_pushstring(L, tcpm__lua_errstr(&info.cause));
    lua_pushstring(L, tcpm_error_name(info.cause.code));
    if (info.timer == 0)
        return 4;
    lua_pushstring(L, tcpm_timer_name(info.timer));
    return 5;
}

const luaL_Reg tcpm__lua_cheap_functions[] = {
    {"id", cheap_id},
    {"addr", cheap_addr},
    {"port", cheap_port},
    {"peer", cheap_peer},
    {"sock", cheap_sock},
    {"session", cheap_session},
    {"phase", cheap_phase},
    {"cause", cheap_cause},
    {"pending", tcpm__lua_cheap_pending},
    {"queued", cheap_queued},
    {"received", cheap_received},
    {"sent", cheap_sent},
    {"filter", tcpm__lua_cheap_filter},
    {"input_filter", tcpm__lua_cheap_input_filter},
    {"output_filter", tcpm__lua_cheap_output_filter},
    {"unread", tcpm__lua_cheap_unread},
    {"take", tcpm__lua_cheap_take},
    {"timeout", cheap_timeout},
    {"deadline", cheap_deadline},
    {"send", tcpm__lua_cheap_send},
    {"shutdown", tcpm__lua_cheap_shutdown},
    {"reset", cheap_reset},
    {"fail", cheap_fail},
    {"pause", cheap_pause},
    {"resume", cheap_resume},
    {NULL, NULL},
};
