/* SPDX-License-Identifier: MIT */
/*
 * The connections of this Lua state, by the slot of their id: what turns an id or a cheap of the
 * script into a session of the core. An entry lives from initialize until disconnected has
 * returned; an id that is not in its slot is no connection, whatever a script has kept or forged.
 */
#include "lua_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ID 9007199254740992.0 /* 2^53 */

struct slot *tcpm__lua_slot(const struct runtime *rt, uint64_t id)
{
    uint32_t number = TCPM_ID_SLOT((struct tcpm_id){id});
    uint32_t chunk = number / SLOTS_PER_CHUNK;
    if (chunk >= rt->chunk_count || rt->chunks[chunk] == NULL || id == 0)
        return NULL;
    struct slot *slot = &rt->chunks[chunk][number % SLOTS_PER_CHUNK];
    return slot->id == id ? slot : NULL;
}

struct slot *tcpm__lua_slot_at(lua_State *L, struct runtime *rt, int index)
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
    if (!(number >= 1 && number < MAX_ID))
        return NULL;
    uint64_t id = (uint64_t) number;
    return (double) id == number ? tcpm__lua_slot(rt, id) : NULL;
}

bool tcpm__lua_is_cheap(lua_State *L)
{
    double number = 0;
    if (lua_istable(L, 1)) {
        lua_rawgeti(L, 1, 0);
        if (lua_type(L, -1) == LUA_TNUMBER)
            number = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    return number > 0; /* a session has a number too, below 0 */
}

void tcpm__lua_check_cheap(lua_State *L)
{
    if (!tcpm__lua_is_cheap(L))
        tcpm__lua_misuse(L, 1, "connection heap");
}

struct slot *tcpm__lua_look(lua_State *L)
{
    tcpm__lua_check_cheap(L);
    return tcpm__lua_slot_at(L, tcpm__lua_runtime(L), 1);
}

struct slot *tcpm__lua_usable(lua_State *L, int index, int *code)
{
    struct runtime *rt = tcpm__lua_runtime(L);
    struct slot *slot = tcpm__lua_slot_at(L, rt, index);
    if (slot == NULL) {
        tcpm__lua_check_named(L, index);
        *code = -ESTALE;
    } else if (rt->filtering != NULL && tcpm__lua_filter_busy(rt, slot->id)) {
        *code = -EBUSY;
        slot = NULL;
    }
    return slot;
}

struct slot *tcpm__lua_change(lua_State *L, int *code)
{
    tcpm__lua_check_cheap(L);
    return tcpm__lua_usable(L, 1, code);
}

static bool reserve_chunks(struct runtime *rt, uint32_t count)
{
    if (count <= rt->chunk_count)
        return true;
    count += count / 2;
    struct slot **chunks = realloc(rt->chunks, count * sizeof *chunks);
    if (chunks == NULL)
        return false;
    memset(chunks + rt->chunk_count, 0, (count - rt->chunk_count) * sizeof *chunks);
    rt->chunks = chunks;
    rt->chunk_count = count;
    return true;
}

struct slot *tcpm__lua_slot_new(struct runtime *rt, uint32_t number)
{
    uint32_t chunk = number / SLOTS_PER_CHUNK;
    if (!reserve_chunks(rt, chunk + 1))
        return NULL;
    if (rt->chunks[chunk] == NULL)
        rt->chunks[chunk] = calloc(SLOTS_PER_CHUNK, sizeof(struct slot));
    return rt->chunks[chunk] == NULL ? NULL : &rt->chunks[chunk][number % SLOTS_PER_CHUNK];
}

static void free_chunk(struct runtime *rt, struct slot *chunk)
{
    for (int i = 0; chunk != NULL && i < SLOTS_PER_CHUNK; i++)
        if (chunk[i].id != 0)
            tcpm__lua_slot_free(rt, &chunk[i]);
    free(chunk);
}

void tcpm__lua_slots_free(struct runtime *rt)
{
    for (uint32_t chunk = 0; chunk < rt->chunk_count; chunk++)
        free_chunk(rt, rt->chunks[chunk]);
    free(rt->chunks);
    rt->chunks = NULL;
    rt->chunk_count = 0;
}

struct extra *tcpm__lua_extra(struct slot *slot)
{
    if (slot->extra == NULL)
        slot->extra = calloc(1, sizeof *slot->extra);
    return slot->extra;
}

void tcpm__lua_slot_free(struct runtime *rt, struct slot *slot)
{
    struct extra *extra = slot->extra;
    struct session *session = slot->session;
    uint32_t number = TCPM_ID_SLOT((struct tcpm_id){slot->id});
    *slot = (struct slot){0};
    if (number <= rt->cheap_count)
        tcpm__lua_clear(rt, rt->cheaps_reference, (int) number);
    if (extra != NULL && extra->handlers != 0) {
        session->own_handlers--;
        tcpm__lua_unref(rt, extra->anchor);
    }
    tcpm__lua_release(session);
    if (extra == NULL)
        return;
    tcpm__lua_filter_drop(extra->input);
    tcpm__lua_filter_drop(extra->output);
    tcpm__lua_message_free(extra->report);
    free(extra);
}
