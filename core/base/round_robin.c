/* SPDX-License-Identifier: MIT */
/* See round_robin.h. Slices are in whole milliseconds, as those of very many items are 0. */
#include "base/round_robin.h"

enum {
    SLICE_MS = 4,           /* the longest slice of an item */
    CYCLE_MS = 500,         /* slices of all items together, if that makes them shorter */
    TURN_MOST_NS = 4000000, /* the longest time of a turn after its first serving */
};

static uint64_t ms_of(uint64_t ns)
{
    return ns / 1000000;
}

static void append(struct tcpm__round_robin *robin, uint32_t slot)
{
    tcpm__chain_append(robin->pool, &robin->chain,
                       tcpm__chain_link_at(robin->pool, slot, robin->offset), slot, robin->offset);
    robin->count++;
}

void tcpm__round_robin_init(struct tcpm__round_robin *robin, const struct tcpm__pool *pool,
                            size_t offset)
{
    *robin = (struct tcpm__round_robin){.pool = pool, .offset = offset};
}

void tcpm__round_robin_add(struct tcpm__round_robin *robin, uint32_t slot, uint64_t now_ns)
{
    TCPM__ASSERT((robin->count == 0) == (robin->chain.first == 0));
    if (robin->count == 0) {
        robin->ended_ns = now_ns;
        robin->slice_began_ms = ms_of(now_ns);
    }
    append(robin, slot);
}

void tcpm__round_robin_leave(struct tcpm__round_robin *robin, uint32_t slot, uint64_t now_ns)
{
    TCPM__ASSERT(robin->count > 0);
    if (slot == robin->chain.first)
        robin->slice_began_ms = ms_of(now_ns);
    tcpm__chain_remove(robin->pool, &robin->chain,
                       tcpm__chain_link_at(robin->pool, slot, robin->offset), robin->offset);
    robin->count--;
}

uint32_t tcpm__round_robin_next(const struct tcpm__round_robin *robin,
                                bool (*may_serve)(const void *item, const void *user),
                                const void *user)
{
    uint32_t first = robin->chain.first;

    if (first == 0 || may_serve(tcpm__pool_at(robin->pool, first), user))
        return first;
    uint32_t second = tcpm__chain_next_of(robin->pool, &robin->chain, first, robin->offset);
    return second != 0 && may_serve(tcpm__pool_at(robin->pool, second), user) ? second : 0;
}

uint64_t tcpm__round_robin_begin_turn(struct tcpm__round_robin *robin, uint64_t now_ns)
{
    TCPM__ASSERT(robin->count > 0 && now_ns >= robin->ended_ns);
    uint64_t passed_ns = now_ns - robin->ended_ns;

    robin->ended_ns = now_ns;
    return now_ns + (passed_ns > TURN_MOST_NS ? TURN_MOST_NS : passed_ns);
}

static bool slice_is_over(const struct tcpm__round_robin *robin, uint64_t now_ns)
{
    uint64_t share_ms = CYCLE_MS / robin->count;

    return ms_of(now_ns) - robin->slice_began_ms >= (share_ms < SLICE_MS ? share_ms : SLICE_MS);
}

bool tcpm__round_robin_note_served(struct tcpm__round_robin *robin, uint32_t slot, bool more,
                                   uint64_t now_ns, uint64_t until_ns)
{
    TCPM__ASSERT(now_ns >= robin->ended_ns);
    TCPM__ASSERT(slot == 0 || ms_of(now_ns) >= robin->slice_began_ms);
    robin->ended_ns = now_ns;
    if (slot != 0 && (!more || slot != robin->chain.first || slice_is_over(robin, now_ns))) {
        tcpm__round_robin_leave(robin, slot, now_ns);
        if (more)
            append(robin, slot);
    }
    return now_ns < until_ns;
}
