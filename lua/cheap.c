/*
 * What a connection's heap can do: the methods of cheaps, which are module functions as well. Each
 * turns its first argument into a live connection and calls one function of the core; what has
 * ended answers ESTALE. send and shutdown, which sessions have too, are in send.c.
 */
#include "lua_filter.h"

#include <errno.h>
#include <math.h>
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

/* The argument of a method, which must be bytes. */
static const char *check_string(lua_State *L, const char *what)
{
    if (lua_isstring(L, 2))
        return lua_tostring(L, 2);
    tcpm__lua_check_cheap(L);
    luaL_error(L, "%s: %s must be a string, not %s", tcpm__lua_name(L), what,
               tcpm__lua_describe(L, 2));
    return NULL;
}

static int cheap_fail(lua_State *L)
{
    int code, error = -EPROTO;
    const char *message = check_string(L, "the message");
    if (!lua_isnoneornil(L, 3) &&
        (lua_type(L, 3) != LUA_TSTRING || (error = tcpm_error_code(lua_tostring(L, 3))) == 0))
        return tcpm__lua_unknown_error(L, 3);
    struct slot *slot = tcpm__lua_change(L, &code);
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    return tcpm__lua_result(L, tcpm_fail(slot->session->core, tcpm__lua_id(slot), error, message));
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

/* ---- filters ---- */

static bool has_lua_input(const struct slot *slot)
{
    return slot->extra != NULL && slot->extra->input != NULL;
}

/* What a filter written in Lua still holds comes before what it has not been fed. */
static int cheap_pending(lua_State *L)
{
    int code;
    struct slot *slot = tcpm__lua_change(L, &code);
    const void *bytes;
    size_t length;
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    struct session *session = slot->session;
    struct tcpm_id id = tcpm__lua_id(slot);
    lua_settop(L, 1);
    if (has_lua_input(slot)) {
        tcpm__lua_filter_push_pending(L, id.n);
        if (tcpm__lua_slot(tcpm__lua_runtime(L), id.n) == NULL)
            return tcpm__lua_stale(L);
    } else {
        lua_pushliteral(L, "");
    }
    int result = tcpm_pending(session->core, id, &bytes, &length);
    if (result < 0)
        return tcpm__lua_failure(L, result);
    lua_pushlstring(L, bytes, length);
    lua_concat(L, 2);
    return 1;
}

static int cheap_unread(lua_State *L)
{
    int code;
    check_string(L, "what is put back");
    size_t length;
    const char *bytes = lua_tolstring(L, 2, &length);
    struct slot *slot = tcpm__lua_change(L, &code);
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    struct tcpm_id id = tcpm__lua_id(slot);
    lua_settop(L, 2);
    if (has_lua_input(slot))
        return tcpm__lua_result(L, tcpm__lua_filter_unread(L, id.n, bytes, length));
    return tcpm__lua_result(L, tcpm_unread(slot->session->core, id, bytes, length));
}

#define TAKE_LIMIT 1073741824.0

/* A number of bytes, or false: TCPM_NONE. */
static lua_Number check_count(lua_State *L)
{
    bool undo = lua_isboolean(L, 2) && !lua_toboolean(L, 2);
    lua_Number count = undo ? TCPM_NONE : lua_tonumber(L, 2);
    if (undo || (lua_type(L, 2) == LUA_TNUMBER && count >= 0 && count == floor(count)))
        return count;
    tcpm__lua_check_cheap(L);
    return luaL_error(L, "%s: a whole number of bytes, 0 or more, or false expected, not %s",
                      tcpm__lua_name(L), tcpm__lua_describe(L, 2));
}

static int cheap_take(lua_State *L)
{
    int code, result = 0;
    lua_Number count = check_count(L);
    struct slot *slot = tcpm__lua_change(L, &code);
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    if (count > TAKE_LIMIT) {
        char text[80];
        snprintf(text, sizeof text, "a record of %.0f bytes, the limit is %.0f", count, TAKE_LIMIT);
        return tcpm__lua_failure_text(L, TCPM_ETOOLONG, text);
    }
    struct session *session = slot->session;
    struct tcpm_id id = tcpm__lua_id(slot);
    lua_settop(L, 2);
    if (has_lua_input(slot) && count != TCPM_NONE) {
        result = tcpm__lua_filter_unread(L, id.n, "", 0);
        if (result == 0 && tcpm__lua_slot(tcpm__lua_runtime(L), id.n) == NULL)
            result = -ESTALE;
    }
    if (result == 0)
        result = tcpm_take(session->core, id, (int64_t) count);
    return tcpm__lua_result(L, result);
}

/* Puts at index 2 the filter that a call names: a spec there, options at 3. */
static void read_filter(lua_State *L, const char *direction)
{
    if (lua_gettop(L) == 2 && tcpm__lua_is_filter_at(L, 2))
        return; /* checked when it was made */
    tcpm__lua_check_cheap(L);
    lua_settop(L, 3);
    lua_rawgeti(L, lua_upvalueindex(UP_CORE), PART_FILTER);
    lua_insert(L, 2);
    lua_pushstring(L, direction);
    lua_call(L, 3, 1);
}

/* Of the core, which then goes through what it has once more, and here. */
static int set_filters(struct slot *slot, int input, int output, const struct filter_pair *filters)
{
    struct extra *extra = tcpm__lua_extra(slot);
    if (extra == NULL)
        return -ENOMEM;
    int result =
        tcpm_filter_set(slot->session->core, tcpm__lua_id(slot), filters->input, filters->output);
    if (result < 0)
        return result;
    if (input != 0)
        tcpm__lua_filter_replace(&extra->input, filters->lua_input, slot->id);
    if (output != 0)
        tcpm__lua_filter_replace(&extra->output, filters->lua_output, slot->id);
    return 0;
}

/* Replaces filters; input and output are stack indices or 0. What an old one written in Lua holds
   goes back to the core before, so that a refusal there changes nothing. */
static int switch_filters(lua_State *L, int input, int output)
{
    int result;
    struct slot *slot = tcpm__lua_change(L, &result);
    if (slot == NULL)
        return tcpm__lua_failure(L, result);
    struct tcpm_id id = tcpm__lua_id(slot);
    bool old = input != 0 && has_lua_input(slot);
    result = old ? tcpm__lua_filter_lend(L, id.n) : 0;
    size_t length = 0;
    const char *held = old && result == 0 ? lua_tolstring(L, -1, &length) : "";
    struct filter_pair filters = {0};
    if (result == 0)
        result = tcpm__lua_filter_pair(L, id.n, NULL, input, output, &filters);
    slot = tcpm__lua_slot(tcpm__lua_runtime(L), id.n); /* a filter may have done anything */
    if (result == 0 && slot == NULL)
        result = -ESTALE;
    if (result == 0 && length > 0)
        result = tcpm_unread(slot->session->core, id, held, length);
    bool moved = result == 0 && length > 0;
    if (result == 0)
        result = set_filters(slot, input, output, &filters);
    tcpm__lua_filter_pair_free(&filters);
    if (result < 0 && moved)
        tcpm__lua_filter_forget(L, id.n);
    return tcpm__lua_result(L, result);
}

static int cheap_filter(lua_State *L)
{
    read_filter(L, "both");
    return switch_filters(L, 2, 2);
}

static int cheap_input_filter(lua_State *L)
{
    read_filter(L, "input");
    return switch_filters(L, 2, 0);
}

static int cheap_output_filter(lua_State *L)
{
    read_filter(L, "output");
    return switch_filters(L, 0, 2);
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
    {"pending", cheap_pending},
    {"queued", cheap_queued},
    {"received", cheap_received},
    {"sent", cheap_sent},
    {"filter", cheap_filter},
    {"input_filter", cheap_input_filter},
    {"output_filter", cheap_output_filter},
    {"unread", cheap_unread},
    {"take", cheap_take},
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
