/* SPDX-License-Identifier: MIT */
/*
 * Methods of cheaps about input and filters. A filter written in Lua keeps bytes itself: they count
 * as the connection's pending input, and go back to the core when something is to come before them.
 */
#include "functions.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

/* The result of calls that put bytes into the core, whose limit is not that of send. */
static int input_result(lua_State *L, int result)
{
    if (result != -ENOBUFS)
        return tcpm__lua_result(L, result);
    return tcpm__lua_failure_text(L, result, "all connections together hold as much as they may");
}

/* Bytes that a filter written in Lua keeps come before bytes that it has not been fed. */
static int cheap_pending(lua_State *L)
{
    int code;
    struct tcpm__lua_slot *slot = tcpm__lua_slot_to_change(L, &code);
    const void *bytes;
    size_t length;

    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    struct tcpm__lua_session *session = slot->session;
    struct tcpm_id id = tcpm__lua_slot_id(slot);
    lua_settop(L, 1);
    if (tcpm__lua_slot_has_lua_input(slot)) {
        tcpm__lua_filter_push_pending(L, id.n);
        if (tcpm__lua_slot_find(tcpm__lua_runtime(L), id.n) == NULL)
            return tcpm__lua_stale(L);
    } else {
        lua_pushliteral(L, "");
    }
    int result = tcpm_pending(session->inner, id, &bytes, &length);
    if (result < 0)
        return tcpm__lua_failure(L, result);
    lua_pushlstring(L, bytes, length);
    lua_concat(L, 2);
    return 1;
}

static int cheap_unread(lua_State *L)
{
    int code;

    tcpm__lua_check_string(L, "what is put back");
    size_t length;
    const char *bytes = lua_tolstring(L, 2, &length);
    struct tcpm__lua_slot *slot = tcpm__lua_slot_to_change(L, &code);
    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    struct tcpm_id id = tcpm__lua_slot_id(slot);
    lua_settop(L, 2);
    if (tcpm__lua_slot_has_lua_input(slot))
        return input_result(L, tcpm__lua_filter_unread(L, id.n, bytes, length));
    return input_result(L, tcpm_unread(slot->session->inner, id, bytes, length));
}

enum { TAKE_LIMIT = 1073741824 };

/* Reads a number of bytes, or false for TCPM_NONE. */
static lua_Number check_count(lua_State *L)
{
    bool undo = lua_isboolean(L, 2) && !lua_toboolean(L, 2);
    lua_Number count = undo ? TCPM_NONE : lua_tonumber(L, 2);

    if (undo || (lua_type(L, 2) == LUA_TNUMBER && count >= 0 && count == floor(count)))
        return count;
    tcpm__lua_check_cheap(L);
    return luaL_error(L, "%s: a whole number of bytes, 0 or more, or false expected, not %s",
                      tcpm__lua_running_name(L), tcpm__lua_describe(L, 2));
}

static int cheap_take(lua_State *L)
{
    int code, result = 0;
    lua_Number count = check_count(L);
    struct tcpm__lua_slot *slot = tcpm__lua_slot_to_change(L, &code);

    if (slot == NULL)
        return tcpm__lua_failure(L, code);
    if (count > (lua_Number) TAKE_LIMIT) {
        char text[80];

        snprintf(text, sizeof text, "a record of %.0f bytes, the limit is %d", count, TAKE_LIMIT);
        return tcpm__lua_failure_text(L, TCPM_ETOOLONG, text);
    }
    struct tcpm__lua_session *session = slot->session;
    struct tcpm_id id = tcpm__lua_slot_id(slot);
    lua_settop(L, 2);
    if (tcpm__lua_slot_has_lua_input(slot) && count != TCPM_NONE) {
        result = tcpm__lua_filter_unread(L, id.n, "", 0);
        if (result == 0 && tcpm__lua_slot_find(tcpm__lua_runtime(L), id.n) == NULL)
            result = -ESTALE;
    }
    if (result == 0)
        result = tcpm_take(session->inner, id, (int64_t) count);
    return input_result(L, result);
}

/* Replaces the spec at index 2, with options at 3, by the filter that they name. */
static void read_filter(lua_State *L, const char *direction)
{
    if (lua_gettop(L) == 2 && tcpm__lua_is_filter_at(L, 2))
        return; /* already checked, when it was made */
    tcpm__lua_check_cheap(L);
    lua_settop(L, 3);
    lua_rawgeti(L, lua_upvalueindex(UP_SHARED), PART_FILTER);
    lua_insert(L, 2);
    lua_pushstring(L, direction);
    lua_call(L, 3, 1);
}

/* Sets the filters in the core, which cuts its input once more, and in the binding. */
static int set_filters(struct tcpm__lua_slot *slot, int input, int output,
                       const struct tcpm__lua_filter_pair *filters)
{
    struct tcpm__lua_extra *extra = tcpm__lua_slot_extend(slot);

    if (extra == NULL)
        return -ENOMEM;
    int result = tcpm_filter_set(slot->session->inner, tcpm__lua_slot_id(slot), filters->input,
                                 filters->output);
    if (result < 0)
        return result;
    if (input != 0)
        tcpm__lua_filter_replace(&extra->input, filters->lua_input, slot->id);
    if (output != 0)
        tcpm__lua_filter_replace(&extra->output, filters->lua_output, slot->id);
    return 0;
}

/* Replaces filters; input and output are stack indices or 0. Bytes that an old filter written in
   Lua keeps go back to the core first, so that a refusal changes nothing. */
static int switch_filters(lua_State *L, int input, int output)
{
    int result;
    struct tcpm__lua_slot *slot = tcpm__lua_slot_to_change(L, &result);

    if (slot == NULL)
        return tcpm__lua_failure(L, result);
    struct tcpm_id id = tcpm__lua_slot_id(slot);
    bool old = input != 0 && tcpm__lua_slot_has_lua_input(slot);
    result = old ? tcpm__lua_filter_lend(L, id.n) : 0;
    size_t length = 0;
    const char *held = old && result == 0 ? lua_tolstring(L, -1, &length) : "";
    struct tcpm__lua_filter_pair filters = {0};
    if (result == 0)
        result = tcpm__lua_filter_pair_open(L, id.n, NULL, input, output, &filters);
    /* A filter's function may have done anything. */
    slot = tcpm__lua_slot_find(tcpm__lua_runtime(L), id.n);
    if (result == 0 && slot == NULL)
        result = -ESTALE;
    if (result == 0 && length > 0)
        result = tcpm_unread(slot->session->inner, id, held, length);
    bool moved = result == 0 && length > 0;
    if (result == 0)
        result = set_filters(slot, input, output, &filters);
    tcpm__lua_filter_pair_free(&filters);
    if (result < 0 && moved)
        tcpm__lua_filter_forget(L, id.n);
    return input_result(L, result);
}

/* Pushes the filter in use: the object that was given, or a built-in filter like the one given. */
static int push_used(lua_State *L, const struct tcpm__lua_slot *slot, bool input)
{
    const struct tcpm__lua_extra *extra = slot->extra;
    const struct tcpm__lua_filter *own =
        extra == NULL ? NULL : (input ? extra->input : extra->output);

    if (own == NULL)
        return tcpm__lua_filter_push_built_in(L, slot->session->inner, tcpm__lua_slot_id(slot),
                                              input);
    tcpm__lua_filter_push_value(L, own, VALUE_TEMPLATE);
    return 0;
}

/* Without an argument the methods below are getters. */
static int get_filters(lua_State *L, bool input, bool output)
{
    const struct tcpm__lua_slot *slot = tcpm__lua_slot_to_read(L);
    int result = slot == NULL ? -ESTALE : 0;

    if (result == 0 && input)
        result = push_used(L, slot, true);
    if (result == 0 && output)
        result = push_used(L, slot, false);
    return result < 0 ? tcpm__lua_failure(L, result) : input + output;
}

static int cheap_filter(lua_State *L)
{
    if (lua_gettop(L) == 1)
        return get_filters(L, true, true);
    read_filter(L, "both");
    return switch_filters(L, 2, 2);
}

static int cheap_input_filter(lua_State *L)
{
    if (lua_gettop(L) == 1)
        return get_filters(L, true, false);
    read_filter(L, "input");
    return switch_filters(L, 2, 0);
}

static int cheap_output_filter(lua_State *L)
{
    if (lua_gettop(L) == 1)
        return get_filters(L, false, true);
    read_filter(L, "output");
    return switch_filters(L, 0, 2);
}

const luaL_Reg tcpm__lua_input_methods[] = {
    {"pending", cheap_pending},
    {"unread", cheap_unread},
    {"take", cheap_take},
    {"filter", cheap_filter},
    {"input_filter", cheap_input_filter},
    {"output_filter", cheap_output_filter},
    {NULL, NULL},
};
