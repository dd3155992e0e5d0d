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

struct slot *tcpm__lua_slot(struct runtime *rt, uint64_t id)
{
    uint32_t number = TCPM_ID_SLOT((struct tcpm_id){id});
    if (number >= rt->slot_count || id == 0 || rt->slots[number].id != id)
        return NULL;
    return &rt->slots[number];
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

/* Makes the slot usable, growing by half so that neither time nor memory is wasted. */
int tcpm__lua_slots_reserve(struct runtime *rt, uint32_t number)
{
    if (number < rt->slot_count)
        return 0;
    size_t count = (size_t) number + number / 2 + 16;
    struct slot *slots = realloc(rt->slots, count * sizeof *slots);
    if (slots == NULL)
        return -ENOMEM;
    memset(slots + rt->slot_count, 0, (count - rt->slot_count) * sizeof *slots);
    rt->slots = slots;
    rt->slot_count = (uint32_t) count;
    return 0;
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
    uint32_t number = TCPM_ID_SLOT((struct tcpm_id){slot->id});
    *slot = (struct slot){0};
    if (number <= rt->cheap_count)
        tcpm__lua_clear(rt, rt->cheaps_reference, (int) number);
    if (extra == NULL)
        return;
    tcpm__lua_filter_drop(extra->input);
    tcpm__lua_filter_drop(extra->output);
    tcpm__lua_message_free(extra->report);
    free(extra);
}
