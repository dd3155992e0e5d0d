/* SPDX-License-Identifier: MIT */
/*
 * Methods of cheaps that are about the input and the filters of a connection. A filter written in
 * Lua keeps bytes itself: what it holds counts as the connection's, and goes back to the core where
 * something is to come before it.
 */
#include "lua_filter.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

static bool has_lua_input(const struct slot *slot)
{
    return slot->extra != NULL && slot->extra->input != NULL;
}

/* Of what puts bytes into the core: the limit is not that of send. */
static int input_result(lua_State *L, int result)
{
    if (result != -ENOBUFS)
        return tcpm__lua_result(L, result);
    return tcpm__lua_failure_text(L, result, "all connections together hold as much as they may");
}

/* What a filter written in Lua still holds comes before what it has not been fed. */
int tcpm__lua_cheap_pending(lua_State *L)
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

int tcpm__lua_cheap_unread(lua_State *L)
{
    int code;
    tcpm__lua_check_string(L, "what is put back");
    size_t length;
    const char *bytes = lua_tolstring(L, 2, &length);
    struct slot *slot = tcpm__lua_change(L, &code);
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    struct tcpm_id id = tcpm__lua_id(slot);
    lua_settop(L, 2);
    if (has_lua_input(slot))
        return input_result(L, tcpm__lua_filter_unread(L, id.n, bytes, length));
    return input_result(L, tcpm_unread(slot->session->core, id, bytes, length));
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

int tcpm__lua_cheap_take(lua_State *L)
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
    return input_result(L, result);
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
    return input_result(L, result);
}

int tcpm__lua_cheap_filter(lua_State *L)
{
    read_filter(L, "both");
    return switch_filters(L, 2, 2);
}

int tcpm__lua_cheap_input_filter(lua_State *L)
{
    read_filter(L, "input");
    return switch_filters(L, 2, 0);
}

int tcpm__lua_cheap_output_filter(lua_State *L)
{
    read_filter(L, "output");
    return switch_filters(L, 0, 2);
}
