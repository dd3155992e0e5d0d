/* SPDX-License-Identifier: MIT */
/*
 * The bytes that a filter written in Lua keeps, when the script changes the input of its
 * connection: puts bytes in front, orders a record by length, or takes another filter.
 *
 * Each step may run functions of the script, so the connection is looked up again after each one;
 * and all those functions run before anything is changed.
 */
#include "lua_filter.h"

#include <errno.h>

/* The connection's input filter, if written in Lua; else NULL. */
static struct tcpm__lua_filter *find_input(lua_State *L, uint64_t id)
{
    struct tcpm__lua_slot *slot = tcpm__lua_slot_find(tcpm__lua_runtime(L), id);

    return slot == NULL || slot->extra == NULL ? NULL : slot->extra->input;
}

/* Calls a method of the filter without arguments and leaves one result. False: nothing is pushed,
   because the filter has no such method or is gone. */
static bool call_method(lua_State *L, uint64_t id, const char *name)
{
    struct tcpm__lua_filter *filter = find_input(L, id);

    if (filter == NULL || !tcpm__lua_filter_push_method(L, filter, name))
        return false;
    tcpm__lua_filter_call(L, id, 1, 1);
    return true;
}

void tcpm__lua_filter_push_pending(lua_State *L, uint64_t id)
{
    if (call_method(L, id, "pending")) {
        if (lua_type(L, -1) == LUA_TSTRING)
            return;
        if (!lua_isnil(L, -1))
            luaL_error(L, "pending of a filter must return a string, not %s", luaL_typename(L, -1));
        lua_pop(L, 1);
    }
    lua_pushliteral(L, "");
}

/* Hands the LF that belongs to the object's last line over to the core, which drops it when it
   comes. This changes no data, so it is done first. */
static int hand_over_swallow(lua_State *L, uint64_t id)
{
    size_t length = 0;

    if (!call_method(L, id, "__swallow"))
        return 0;
    const char *byte = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : "";
    struct tcpm__lua_slot *slot = tcpm__lua_slot_find(tcpm__lua_runtime(L), id);
    struct tcpm__lua_filter *filter = find_input(L, id);
    int result = filter == NULL ? -ESTALE : 0;
    if (result == 0 && length == 1) {
        result = tcpm_swallow(slot->session->inner, (struct tcpm_id){id}, (unsigned char) *byte);
        tcpm__lua_filter_set_lent(filter);
    }
    lua_pop(L, 1);
    return result;
}

/* Pops bytes and puts them in front of the core's input. */
static int put_in_front(lua_State *L, uint64_t id)
{
    size_t length;
    const char *bytes = lua_tolstring(L, -1, &length);
    struct tcpm__lua_slot *slot = tcpm__lua_slot_find(tcpm__lua_runtime(L), id);
    int result = slot == NULL ? -ESTALE : 0;

    if (result == 0 && length > 0)
        result = tcpm_unread(slot->session->inner, (struct tcpm_id){id}, bytes, length);
    lua_pop(L, 1);
    return result;
}

/* Pushes the object that replaces this one so as to be without the bytes it keeps: a fresh clone,
   or nil where the object itself can forget its bytes (__release). */
static void push_successor(lua_State *L, uint64_t id)
{
    struct tcpm__lua_filter *filter = find_input(L, id);
    bool releases = filter != NULL && tcpm__lua_filter_push_method(L, filter, "__release");

    if (releases)
        lua_pop(L, 2);
    filter = find_input(L, id); /* looking up the method may have run code of the script */
    if (releases || filter == NULL) {
        lua_pushnil(L);
        return;
    }
    tcpm__lua_filter_push_value(L, filter, VALUE_TEMPLATE);
    tcpm__lua_filter_push_clone(L, id, lua_gettop(L));
    lua_remove(L, -2);
}

/* Pops what push_successor has pushed, and makes it the filter's object. */
static void succeed(lua_State *L, uint64_t id)
{
    struct tcpm__lua_filter *filter = find_input(L, id);

    if (filter == NULL)
        lua_pop(L, 1);
    else if (!lua_isnil(L, -1))
        tcpm__lua_filter_set_value(L, filter, VALUE_OBJECT);
    else
        lua_pop(L, 1 + call_method(L, id, "__release"));
}

int tcpm__lua_filter_unread(lua_State *L, uint64_t id, const char *bytes, size_t length)
{
    int result = hand_over_swallow(L, id);

    if (result < 0)
        return result;
    lua_pushlstring(L, bytes, length);
    tcpm__lua_filter_push_pending(L, id);
    bool holds = lua_objlen(L, -1) > 0;
    lua_concat(L, 2);
    if (!holds)
        return put_in_front(L, id);
    push_successor(L, id);
    lua_insert(L, -2);
    result = put_in_front(L, id);
    if (result == 0)
        succeed(L, id);
    else
        lua_pop(L, 1);
    return result;
}

int tcpm__lua_filter_lend(lua_State *L, uint64_t id)
{
    int result = hand_over_swallow(L, id);

    if (result == 0)
        tcpm__lua_filter_push_pending(L, id);
    return result;
}

void tcpm__lua_filter_forget(lua_State *L, uint64_t id)
{
    push_successor(L, id);
    succeed(L, id);
}
