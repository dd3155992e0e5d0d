/* SPDX-License-Identifier: MIT */
/*
 * Two tables of the runtime that turn a number of the script's into an object that is alive:
 * connections by the slot of their id, sessions by their number. A script may have kept a number
 * for too long, or made one up: an entry counts only if it holds the same number. A connection's
 * entry lives from initialize until disconnected has returned.
 */
#include "binding.h"

#include <stdlib.h>
#include <string.h>

/* Every integer below 2^53 is exact as a Lua number; ids and session numbers stay below. */
#define EXACT 9007199254740992.0

/* ---- connections ---- */

struct tcpm__lua_slot *tcpm__lua_slot_at(lua_State *L, struct tcpm__lua_runtime *rt, int index)
{
    double number = 0;
    int type = lua_type(L, index);

    if (type == LUA_TTABLE) {
        lua_rawgeti(L, index, 0);
        if (lua_type(L, -1) == LUA_TNUMBER)
            number = lua_tonumber(L, -1);
        lua_pop(L, 1);
    } else if (type == LUA_TNUMBER) {
        number = lua_tonumber(L, index);
    }
    return tcpm__lua_slot_of(rt, number);
}

struct tcpm__lua_slot *tcpm__lua_slot_of(const struct tcpm__lua_runtime *rt, double number)
{
    if (!(number >= 1 && number < EXACT))
        return NULL;
    uint64_t id = (uint64_t) number;
    return (double) id == number ? tcpm__lua_slot_find(rt, id) : NULL;
}

static bool reserve_chunks(struct tcpm__lua_runtime *rt, uint32_t count)
{
    if (count <= rt->chunk_count)
        return true;
    count += count / 2;
    struct tcpm__lua_slot **chunks = realloc(rt->chunks, count * sizeof *chunks);
    if (chunks == NULL)
        return false;
    memset(chunks + rt->chunk_count, 0, (count - rt->chunk_count) * sizeof *chunks);
    rt->chunks = chunks;
    rt->chunk_count = count;
    return true;
}

struct tcpm__lua_slot *tcpm__lua_slot_new(struct tcpm__lua_runtime *rt, uint32_t number)
{
    uint32_t chunk = number / SLOTS_PER_CHUNK;

    if (!reserve_chunks(rt, chunk + 1))
        return NULL;
    if (rt->chunks[chunk] == NULL)
        rt->chunks[chunk] = calloc(SLOTS_PER_CHUNK, sizeof(struct tcpm__lua_slot));
    return rt->chunks[chunk] == NULL ? NULL : &rt->chunks[chunk][number % SLOTS_PER_CHUNK];
}

struct tcpm__lua_extra *tcpm__lua_slot_extend(struct tcpm__lua_slot *slot)
{
    if (slot->extra == NULL)
        slot->extra = calloc(1, sizeof *slot->extra);
    return slot->extra;
}

/* ---- sessions ---- */

struct tcpm__lua_session *tcpm__lua_session_find(const struct tcpm__lua_runtime *rt, double number)
{
    if (!(number <= -1 && number > -EXACT))
        return NULL;
    uint64_t whole = (uint64_t) -number;
    int index = (int) (whole % TCPM__LUA_SESSIONS);
    if (index >= rt->session_count || rt->sessions[index] == NULL)
        return NULL;
    struct tcpm__lua_session *session = rt->sessions[index];
    if (session->number != number || session->muted || session->inner == NULL)
        return NULL;
    return session;
}

bool tcpm__lua_sessions_grow(struct tcpm__lua_runtime *rt)
{
    int count = rt->session_count * 2 + 4;

    if (count > TCPM__LUA_SESSIONS)
        return false;
    struct tcpm__lua_session **sessions = realloc(rt->sessions, (size_t) count * sizeof *sessions);
    if (sessions == NULL)
        return false;
    rt->sessions = sessions;
    struct tcpm__lua_vacancy *vacancies =
        realloc(rt->vacancies, (size_t) count * sizeof *vacancies);
    if (vacancies == NULL)
        return false;
    rt->vacancies = vacancies;
    for (int i = count - 1; i > 0 && i >= rt->session_count; i--) {
        sessions[i] = NULL;
        vacancies[i] =
            (struct tcpm__lua_vacancy){.number = TCPM__LUA_SESSIONS - i, .next = rt->vacant};
        rt->vacant = i;
    }
    rt->session_count = count;
    return true;
}

void tcpm__lua_session_vacate(struct tcpm__lua_runtime *rt, int index)
{
    TCPM__LUA_ASSERT(rt->sessions[index] != NULL && rt->unstopped > 0);
    rt->sessions[index] = NULL;
    rt->vacancies[index].next = rt->vacant;
    rt->vacant = index;
    rt->unstopped--;
}
