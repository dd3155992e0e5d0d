/* SPDX-License-Identifier: MIT */
/*
 * The walks of base/validate.h. A loop that could go round for ever in a broken structure asserts
 * on its way that it has found no more items than there can be.
 */
#include "base/validate.h"

/* ---- pool ---- */

static bool is_taken(const struct tcpm__pool *pool, uint32_t slot)
{
    return tcpm__pool_slot(tcpm__pool_at(pool, slot)) == slot;
}

static bool is_retired(const struct tcpm__pool *pool, uint32_t slot)
{
    return tcpm__pool_id(tcpm__pool_at(pool, slot)) >> TCPM__POOL_SLOT_BITS == UINT32_MAX;
}

static void validate_free_slots(const struct tcpm__pool *pool, uint32_t count)
{
    uint32_t found = 0, last = 0;

    for (uint32_t slot = pool->free_first; slot != 0;
         last = slot, slot = tcpm__pool_slot(tcpm__pool_at(pool, slot))) {
        TCPM__ASSERT(!is_taken(pool, slot) && found < count);
        found++;
    }
    TCPM__ASSERT(found == count && last == pool->free_last);
}

uint32_t tcpm__pool_validate(const struct tcpm__pool *pool)
{
    uint32_t taken = 0, retired = 0;

    for (uint32_t slot = 1; slot <= pool->used_slots; slot++) {
        if (is_taken(pool, slot))
            taken++;
        else
            retired += is_retired(pool, slot);
    }
    TCPM__ASSERT(taken == pool->live);
    validate_free_slots(pool, pool->used_slots - taken - retired);
    return taken;
}

/* ---- chain ---- */

uint32_t tcpm__chain_validate(const struct tcpm__pool *pool, const struct tcpm__chain *chain,
                              size_t offset)
{
    uint32_t found = 0, before = 0;

    for (uint32_t slot = chain->first; slot != 0; found++) {
        const struct tcpm__chain_link *link = tcpm__chain_link_at(pool, slot, offset);

        TCPM__ASSERT(found < pool->live && link->prev == before && is_taken(pool, slot));
        before = slot;
        slot = link->next;
    }
    TCPM__ASSERT(chain->last == before);
    return found;
}

/* ---- heap ---- */

uint32_t tcpm__heap_validate(const struct tcpm__heap *heap)
{
    TCPM__ASSERT(heap->count <= heap->members && heap->members <= heap->room);
    for (uint32_t index = 1; index <= heap->count; index++) {
        const struct tcpm__heap_entry *entry = &heap->entries[index];

        TCPM__ASSERT(entry->item->index == index && entry->item->due_ns == entry->due_ns);
        TCPM__ASSERT(index == 1 || heap->entries[index / 2].due_ns <= entry->due_ns);
    }
    TCPM__ASSERT(heap->next_ns == (heap->count == 0 ? UINT64_MAX : heap->entries[1].due_ns));
    return heap->count;
}

/* ---- wheel ---- */

static uint32_t validate_slot(const struct tcpm__wheel *wheel, unsigned level, unsigned slot)
{
    const struct tcpm__list *list = &wheel->slots[level][slot];
    uint32_t found = 0;

    for (const struct tcpm__list *node = list->next; node != list; node = node->next) {
        TCPM__ASSERT(node->next->prev == node);
        TCPM__ASSERT(TCPM__CONTAINER(node, struct tcpm__timer, link)->due_ms >= wheel->now_ms);
        found++;
    }
    TCPM__ASSERT((wheel->filled[level][slot / 64] >> slot % 64 & 1) == (found > 0));
    return found;
}

uint32_t tcpm__wheel_validate(const struct tcpm__wheel *wheel)
{
    uint32_t found = 0;

    for (unsigned level = 0; level < TCPM__WHEEL_LEVELS; level++)
        for (unsigned slot = 0; slot < TCPM__WHEEL_SLOTS; slot++)
            found += validate_slot(wheel, level, slot);
    return found;
}
