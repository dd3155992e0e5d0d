/* SPDX-License-Identifier: MIT */
/*
 * Methods of cheaps, which are module functions as well. Each turns its first argument into a live
 * connection and calls one function of the core; a connection that has ended answers ESTALE. send
 * and shutdown are in send.c, methods about input and filters in input.c.
 */
#include "functions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- the two shapes of most methods ---- */

/* Reads what the core tells of a connection. -ESTALE: the connection has ended. */
static int read_info(const struct tcpm__lua_slot *slot, struct tcpm_info *info)
{
    *info = (struct tcpm_info){.size = sizeof *info};
    return slot == NULL ? -ESTALE
                        : tcpm_info_get(slot->session->inner, tcpm__lua_slot_id(slot), info);
}

/* A question: push pushes the answer, and gives the number of values. */
static int answer(lua_State *L, int (*push)(lua_State *L, const struct tcpm_info *info))
{
    struct tcpm_info info;

    return read_info(tcpm__lua_slot_to_read(L), &info) < 0 ? tcpm__lua_stale(L) : push(L, &info);
}

/* A method that changes a connection, without arguments. Pushes true, or nil, message, errname. */
static int change(lua_State *L, int (*call)(struct tcpm_session *session, struct tcpm_id id))
{
    int result;
    struct tcpm__lua_slot *slot = tcpm__lua_slot_to_change(L, &result);

    if (slot != NULL)
        result = call(slot->session->inner, tcpm__lua_slot_id(slot));
    return tcpm__lua_result(L, result);
}

/* A change of a time: seconds are at index 2. */
static int change_time(lua_State *L,
                       int (*call)(struct tcpm_session *session, struct tcpm_id id, int64_t ms))
{
    int64_t ms = tcpm__lua_check_ms(L, 2);
    int result;
    struct tcpm__lua_slot *slot = tcpm__lua_slot_to_change(L, &result);

    if (slot != NULL)
        result = call(slot->session->inner, tcpm__lua_slot_id(slot), ms);
    return tcpm__lua_result(L, result);
}

static int push_number(lua_State *L, double number)
{
    lua_pushnumber(L, number);
    return 1;
}

/* ---- changes ---- */

static int cheap_reset(lua_State *L)
{
    return change(L, tcpm_reset);
}

static int cheap_pause(lua_State *L)
{
    return change(L, tcpm_pause);
}

static int cheap_resume(lua_State *L)
{
    return change(L, tcpm_resume);
}

static int cheap_fail(lua_State *L)
{
    int code, error = -EPROTO;
    const char *message = tcpm__lua_check_string(L, "the message");

    if (!lua_isnoneornil(L, 3) &&
        (lua_type(L, 3) != LUA_TSTRING || (error = tcpm_error_code(lua_tostring(L, 3))) == 0))
        return tcpm__lua_unknown_error(L, 3);
    struct tcpm__lua_slot *slot = tcpm__lua_slot_to_change(L, &code);
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    char *text = tcpm__lua_message_copy(message, lua_objlen(L, 2));
    code = tcpm_fail(slot->session->inner, tcpm__lua_slot_id(slot), error, text);
    tcpm__lua_message_free(text);
    return tcpm__lua_result(L, code);
}

/* ---- times ---- */

static int push_timeout(lua_State *L, const struct tcpm_info *info)
{
    return push_number(L, (double) info->timeout_ms / 1000);
}

static int cheap_timeout(lua_State *L)
{
    return lua_isnoneornil(L, 2) ? answer(L, push_timeout) : change_time(L, tcpm_timeout);
}

static int push_deadline(lua_State *L, const struct tcpm_info *info)
{
    return push_number(L, (double) info->deadline_ms / 1000);
}

static int cheap_deadline(lua_State *L)
{
    return lua_isnoneornil(L, 2) ? answer(L, push_deadline) : change_time(L, tcpm_deadline);
}

/* ---- numbers and states ---- */

static int push_phase(lua_State *L, const struct tcpm_info *info)
{
    lua_pushstring(L, tcpm_phase_name(info->phase));
    return 1;
}

static int cheap_phase(lua_State *L)
{
    return answer(L, push_phase);
}

static int push_queued(lua_State *L, const struct tcpm_info *info)
{
    return push_number(L, (double) info->queued);
}

static int cheap_queued(lua_State *L)
{
    return answer(L, push_queued);
}

static int push_received(lua_State *L, const struct tcpm_info *info)
{
    return push_number(L, (double) info->received);
}

static int cheap_received(lua_State *L)
{
    return answer(L, push_received);
}

static int push_sent(lua_State *L, const struct tcpm_info *info)
{
    return push_number(L, (double) info->sent);
}

static int cheap_sent(lua_State *L)
{
    return answer(L, push_sent);
}

int tcpm__lua_push_cause(lua_State *L, const struct tcpm_info *info)
{
    if (info->cause.code == 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, tcpm_op_name(info->cause.op));
    lua_pushinteger(L, tcpm__lua_errnum(info->cause.code));
    lua_pushstring(L, tcpm__lua_errstr(&info->cause));
    lua_pushstring(L, tcpm_error_name(info->cause.code));
    if (info->timer == 0)
        return 4;
    lua_pushstring(L, tcpm_timer_name(info->timer));
    return 5;
}

static int cheap_cause(lua_State *L)
{
    return answer(L, tcpm__lua_push_cause);
}

/* ---- names and addresses ---- */

static int cheap_id(lua_State *L)
{
    tcpm__lua_check_cheap(L);
    lua_rawgeti(L, 1, 0);
    return 1;
}

/* The address of a connection that has ended, as register.c has kept it: port, then address. NULL:
   nothing is kept. */
static const char *find_ended(lua_State *L, size_t *length)
{
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_ENDED);
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

    if (read_info(tcpm__lua_slot_to_read(L), &info) == 0) {
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

    if (read_info(tcpm__lua_slot_to_read(L), &info) == 0) {
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

/* Pushes address:port, with an IPv6 address in brackets. */
static void push_target(lua_State *L, const char *address, size_t length, unsigned port)
{
    bool brackets = address[0] != '[' && memchr(address, ':', length) != NULL &&
                    /* A URL is shown as given. */
                    memchr(address, '/', length) == NULL;

    tcpm__lua_push_escaped(L, address, length);
    lua_pushfstring(L, brackets ? "[%s]:%d" : "%s:%d", lua_tostring(L, -1), (int) port);
    lua_remove(L, -2);
}

/* Never raises, whatever the value: live or ended connection, or neither. */
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

static int read_endpoints(const struct tcpm__lua_slot *slot, struct tcpm_endpoints *endpoints)
{
    endpoints->size = sizeof *endpoints;
    return slot == NULL
               ? -ESTALE
               : tcpm_endpoints_get(slot->session->inner, tcpm__lua_slot_id(slot), endpoints);
}

static int cheap_peer(lua_State *L)
{
    struct tcpm_endpoints endpoints;

    if (read_endpoints(tcpm__lua_slot_to_read(L), &endpoints) < 0)
        return tcpm__lua_stale(L);
    return push_end_point(L, endpoints.peer, endpoints.peer_port);
}

static int cheap_sock(lua_State *L)
{
    struct tcpm_endpoints endpoints;

    if (read_endpoints(tcpm__lua_slot_to_read(L), &endpoints) < 0)
        return tcpm__lua_stale(L);
    return push_end_point(L, endpoints.local, endpoints.local_port);
}

static int cheap_session(lua_State *L)
{
    const struct tcpm__lua_slot *slot = tcpm__lua_slot_to_read(L);

    if (slot == NULL)
        return tcpm__lua_stale(L);
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), slot->session->base + CELL_OBJECT);
    return 1;
}

const luaL_Reg tcpm__lua_cheap_methods[] = {
    {"id", cheap_id},
    {"addr", cheap_addr},
    {"port", cheap_port},
    {"peer", cheap_peer},
    {"sock", cheap_sock},
    {"session", cheap_session},
    {"phase", cheap_phase},
    {"cause", cheap_cause},
    {"queued", cheap_queued},
    {"received", cheap_received},
    {"sent", cheap_sent},
    {"timeout", cheap_timeout},
    {"deadline", cheap_deadline},
    {"reset", cheap_reset},
    {"fail", cheap_fail},
    {"pause", cheap_pause},
    {"resume", cheap_resume},
    {NULL, NULL},
};

const luaL_Reg tcpm__lua_cheap_shared[] = {
    {"cheap_tostring", tcpm__lua_cheap_tostring},
    {NULL, NULL},
};
