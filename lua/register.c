/* SPDX-License-Identifier: MIT */
/*
 * Entering a new connection into the tables of the binding: its slot, its cheap, and its extra if
 * it needs one. This happens inside tcpm_connect, in the event initialize, before any handler of
 * the connection runs. Also keeps the address of a connection that has ended.
 */
#include "life.h"

#include <string.h>

/* Pops the cheap and stores it. Allocates nothing if the table of cheaps has this index already. */
static void store_cheap(lua_State *L, struct tcpm_id id)
{
    lua_pushnumber(L, (lua_Number) id.n);
    lua_rawseti(L, -2, 0);
    lua_rawseti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT(id));
}

static bool needs_extra(const struct tcpm__lua_connecting *connecting)
{
    return connecting->input != NULL || connecting->output != NULL || connecting->handlers != 0;
}

/* Takes over what the call of connect has brought. */
static void fill_extra(struct tcpm__lua_extra *extra, const struct tcpm__lua_connecting *connecting,
                       struct tcpm_id id)
{
    extra->input = tcpm__lua_filter_keep(connecting->input);
    extra->output = tcpm__lua_filter_keep(connecting->output);
    tcpm__lua_filter_attach(extra->input, id.n);
    tcpm__lua_filter_attach(extra->output, id.n);
    extra->handlers = connecting->handlers;
}

/* NULL: no extra is needed. Raises if there is no memory. */
static struct tcpm__lua_extra *
make_extra(lua_State *L, const struct tcpm__lua_connecting *connecting, struct tcpm__lua_slot *slot)
{
    if (!needs_extra(connecting))
        return NULL;
    int anchor = 0;
    if (connecting->handlers != 0) {
        lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_NEW_HANDLERS);
        anchor = luaL_ref(L, lua_upvalueindex(UP_ANCHORS));
    }
    struct tcpm__lua_extra *extra = tcpm__lua_slot_extend(slot);
    if (extra == NULL) {
        if (anchor != 0)
            luaL_unref(L, lua_upvalueindex(UP_ANCHORS), anchor);
        luaL_error(L, "not enough memory");
    }
    extra->anchor = anchor;
    return extra;
}

/* A value left in a cell of the runtime would live for as long as the module. */
static void clear_cell(lua_State *L, enum tcpm__lua_own_cell cell)
{
    lua_pushboolean(L, 0);
    lua_rawseti(L, lua_upvalueindex(UP_CELLS), (int) cell);
}

/* All steps that may fail come first. */
void tcpm__lua_register(lua_State *L, struct tcpm__lua_session *session, struct tcpm_id id)
{
    struct tcpm__lua_runtime *rt = session->runtime;
    struct tcpm__lua_connecting *connecting = rt->connecting;
    uint32_t number = TCPM_ID_SLOT(id);
    struct tcpm__lua_slot *slot = tcpm__lua_slot_new(rt, number);

    if (slot == NULL)
        luaL_error(L, "not enough memory");
    while (rt->cheap_count < number) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, lua_upvalueindex(UP_CHEAPS), (int) rt->cheap_count + 1);
        rt->cheap_count++;
    }
    struct tcpm__lua_extra *extra = make_extra(L, connecting, slot);
    TCPM__LUA_ASSERT(slot->id == 0 && !connecting->registered);
    *slot = (struct tcpm__lua_slot){.id = id.n, .session = session, .extra = extra};
    if (extra != NULL)
        fill_extra(extra, connecting, id);
    session->own_handlers += connecting->handlers != 0;
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_NEW_CHEAP);
    store_cheap(L, id);
    clear_cell(L, OWN_NEW_CHEAP);
    clear_cell(L, OWN_NEW_HANDLERS);
    connecting->registered = true;
}

/* Runs in the stack frame of connect, whose upvalues are ours. */
bool tcpm__lua_register_plainly(struct tcpm__lua_session *session, struct tcpm_id id)
{
    struct tcpm__lua_runtime *rt = session->runtime;
    struct tcpm__lua_connecting *connecting = rt->connecting;
    uint32_t number = TCPM_ID_SLOT(id);

    if (number > rt->cheap_count || needs_extra(connecting))
        return false;
    struct tcpm__lua_slot *slot = tcpm__lua_slot_new(rt, number);
    if (slot == NULL)
        return false;
    TCPM__LUA_ASSERT(slot->id == 0 && slot->extra == NULL && !connecting->registered);
    *slot = (struct tcpm__lua_slot){.id = id.n, .session = session};
    lua_pushvalue(connecting->L, connecting->cheap);
    store_cheap(connecting->L, id);
    connecting->registered = true;
    return true;
}

/* Stores [cheap] = port, then address, in a weak table: for as long as the script keeps the cheap.
   */
void tcpm__lua_remember_address(lua_State *L, struct tcpm_id id, const char *address, unsigned port)
{
    char text[2 + 256];
    size_t length = strlen(address);

    if (length > sizeof text - 2)
        return;
    text[0] = (char) (port >> 8);
    text[1] = (char) (port & 0xff);
    memcpy(text + 2, address, length);
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_ENDED);
    lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT(id));
    lua_pushlstring(L, text, length + 2);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}
