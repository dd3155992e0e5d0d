/* SPDX-License-Identifier: MIT */
/*
 * Entering a new connection into the tables of the binding: its slot, its cheap, and what few
 * connections have besides. That happens inside of tcpm_connect, in its event initialize, before
 * any handler of the connection runs. Also what stays of a connection that has ended.
 */
#include "lua_filter.h"

#include <string.h>

/* The cheap is the value on top of the stack, which is popped. Where the table of cheaps has a
   place for it nothing here allocates. */
static void enter_cheap(lua_State *L, struct tcpm_id id)
{
    lua_pushnumber(L, (lua_Number) id.n);
    lua_rawseti(L, -2, 0);
    lua_rawseti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT(id));
}

static bool needs_extra(const struct connecting *connecting)
{
    return connecting->input != NULL || connecting->output != NULL || connecting->handlers != 0;
}

/* Takes over what the connect has brought. */
static void fill_extra(struct extra *extra, const struct connecting *connecting, struct tcpm_id id)
{
    extra->input = tcpm__lua_filter_keep(connecting->input);
    extra->output = tcpm__lua_filter_keep(connecting->output);
    tcpm__lua_filter_attach(extra->input, id.n);
    tcpm__lua_filter_attach(extra->output, id.n);
    extra->handlers = connecting->handlers;
}

/* NULL where none is needed. Raises without memory. */
static struct extra *make_extra(lua_State *L, const struct connecting *connecting,
                                struct slot *slot)
{
    if (!needs_extra(connecting))
        return NULL;
    int anchor = 0;
    if (connecting->handlers != 0) {
        lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_NEW_HANDLERS);
        anchor = luaL_ref(L, lua_upvalueindex(UP_ANCHORS));
    }
    struct extra *extra = tcpm__lua_extra(slot);
    if (extra == NULL) {
        if (anchor != 0)
            luaL_unref(L, lua_upvalueindex(UP_ANCHORS), anchor);
        luaL_error(L, "not enough memory");
    }
    extra->anchor = anchor;
    return extra;
}

/* What is left in a place of the runtime's own would live for as long as the module. */
static void clear_place(lua_State *L, enum own_place place)
{
    lua_pushboolean(L, 0);
    lua_rawseti(L, lua_upvalueindex(UP_PLACES), (int) place);
}

/* Everything that may fail comes first. */
void tcpm__lua_register(lua_State *L, struct session *session, struct tcpm_id id)
{
    struct runtime *rt = session->runtime;
    struct connecting *connecting = rt->connecting;
    uint32_t number = TCPM_ID_SLOT(id);
    struct slot *slot = tcpm__lua_slot_new(rt, number);
    if (slot == NULL)
        luaL_error(L, "not enough memory");
    while (rt->cheap_count < number) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, lua_upvalueindex(UP_CHEAPS), (int) rt->cheap_count + 1);
        rt->cheap_count++;
    }
    struct extra *extra = make_extra(L, connecting, slot);
    *slot = (struct slot){.id = id.n, .session = session, .extra = extra};
    if (extra != NULL)
        fill_extra(extra, connecting, id);
    session->own_handlers += connecting->handlers != 0;
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_NEW_CHEAP);
    enter_cheap(L, id);
    clear_place(L, OWN_NEW_CHEAP);
    clear_place(L, OWN_NEW_HANDLERS);
    connecting->registered = true;
}

/* The frame is that of connect, whose upvalues are ours. */
bool tcpm__lua_register_plainly(struct session *session, struct tcpm_id id)
{
    struct runtime *rt = session->runtime;
    struct connecting *connecting = rt->connecting;
    uint32_t number = TCPM_ID_SLOT(id);
    if (number > rt->cheap_count || needs_extra(connecting))
        return false;
    struct slot *slot = tcpm__lua_slot_new(rt, number);
    if (slot == NULL)
        return false;
    *slot = (struct slot){.id = id.n, .session = session};
    lua_pushvalue(connecting->L, connecting->cheap);
    enter_cheap(connecting->L, id);
    connecting->registered = true;
    return true;
}

/* addr and port answer for as long as the script keeps the cheap: [cheap] = port, then address. */
void tcpm__lua_remember(lua_State *L, struct tcpm_id id, const char *address, unsigned port)
{
    char text[2 + 256];
    size_t length = strlen(address);
    if (length > sizeof text - 2)
        return;
    text[0] = (char) (port >> 8);
    text[1] = (char) (port & 0xff);
    memcpy(text + 2, address, length);
    lua_rawgeti(L, lua_upvalueindex(UP_PLACES), OWN_ENDED);
    lua_rawgeti(L, lua_upvalueindex(UP_CHEAPS), (int) TCPM_ID_SLOT(id));
    lua_pushlstring(L, text, length + 2);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}
