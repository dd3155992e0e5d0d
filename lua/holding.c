/* SPDX-License-Identifier: MIT */
/*
 * Holding sessions: either the loop or the script keeps a session alive.
 *
 * The Lua values that a session owns, its handlers above all, are in a table of its own, the
 * private table, which only the session's object refers to. While a session has something to do
 * (connections, tasks, an alias, standard input, a pull function to ask), the session is held: its
 * cells, where events look, have a copy of what the private table has. A session with nothing to do
 * is idle: its cells are empty, and the runtime knows its private table by a weak table only. So
 * handlers that refer to their own session do not keep an idle session alive, and the collector
 * takes it when the script has let go of it.
 *
 * Nothing here allocates or raises: all work is on the keeper's stack, with values that exist
 * already.
 */
#include "binding.h"

enum { AT_CELLS = 1, AT_IDLE, AT_PRIVATE };

static lua_State *push_tables(const struct tcpm__lua_runtime *rt)
{
    lua_State *L = rt->keeper;

    TCPM__LUA_ASSERT(lua_gettop(L) == 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->cells_reference);
    lua_rawgeti(L, AT_CELLS, OWN_IDLE);
    return L;
}

void tcpm__lua_cells_clear(struct tcpm__lua_runtime *rt, int index)
{
    lua_State *L = push_tables(rt);

    for (int cell = 0; cell < CELL_COUNT; cell++) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, AT_CELLS, tcpm__lua_base_of(index) + cell);
    }
    lua_rawgeti(L, AT_IDLE, index);
    if (!lua_isnil(L, -1)) { /* a new entry could need memory */
        lua_pushboolean(L, 0);
        lua_rawseti(L, AT_IDLE, index);
    }
    lua_settop(L, 0);
}

/* Copies the session's private table into its cells. */
static void fill_cells(const struct tcpm__lua_session *session)
{
    lua_State *L = push_tables(session->runtime);

    lua_rawgeti(L, AT_IDLE, session->index);
    if (lua_istable(L, AT_PRIVATE)) {
        for (int cell = 0; cell < CELL_COUNT; cell++) {
            lua_rawgeti(L, AT_PRIVATE, tcpm__lua_private_index(cell));
            lua_rawseti(L, AT_CELLS, session->base + cell);
        }
        lua_pushboolean(L, 0);
        lua_rawseti(L, AT_IDLE, session->index);
    }
    lua_settop(L, 0);
}

/* Leaves the session to the script: only the pull function may have changed since fill_cells. */
static void empty_cells(const struct tcpm__lua_session *session)
{
    lua_State *L = push_tables(session->runtime);

    lua_rawgeti(L, AT_CELLS, session->base + CELL_PRIVATE);
    if (lua_istable(L, AT_PRIVATE)) {
        lua_rawgeti(L, AT_CELLS, session->base + CELL_PULL);
        lua_rawseti(L, AT_PRIVATE, tcpm__lua_private_index(CELL_PULL));
        for (int cell = 0; cell < CELL_COUNT; cell++) {
            lua_pushboolean(L, 0);
            lua_rawseti(L, AT_CELLS, session->base + cell);
        }
        lua_rawseti(L, AT_IDLE, session->index);
    }
    lua_settop(L, 0);
}

void tcpm__lua_session_hold(struct tcpm__lua_session *session)
{
    if (session->holds++ == 0 && session->runtime != NULL && !session->muted)
        fill_cells(session);
}

void tcpm__lua_session_release(struct tcpm__lua_session *session)
{
    TCPM__LUA_ASSERT(session->holds > 0);
    if (--session->holds == 0 && session->runtime != NULL && !session->muted)
        empty_cells(session);
}

void tcpm__lua_push_cell(lua_State *L, const struct tcpm__lua_session *session, int cell)
{
    if (session->holds > 0) {
        lua_rawgeti(L, lua_upvalueindex(UP_CELLS), session->base + cell);
        return;
    }
    lua_rawgeti(L, lua_upvalueindex(UP_CELLS), OWN_IDLE);
    lua_rawgeti(L, -1, session->index);
    lua_rawgeti(L, -1, tcpm__lua_private_index(cell));
    lua_replace(L, -3);
    lua_pop(L, 1);
}
