/* SPDX-License-Identifier: MIT */
/*
 * A pool: items of one size that never move, found by ids that are never used twice. An id is
 * generation * 2^21 + slot. The slot says where the item lies; the generation counts how often the
 * slot was taken. Items lie in chunks; a slot whose 2^32 - 1 generations are used up is retired.
 *
 * What always holds: tcpm__pool_find gives an item exactly for the ids of items that were taken and
 * not yet given back. The slot that has been free for the longest time is taken first, so that
 * generations are used up evenly. Slots start at 1.
 */
#ifndef TCPM_BASE_POOL_H
#define TCPM_BASE_POOL_H

#include <stdint.h>

#include "base/assert.h"
#include "base/memory.h"

enum {
    TCPM__POOL_SLOT_BITS = 21, /* bits of an id that are the slot */
    TCPM__POOL_CHUNK_BITS = 8  /* bits of a slot that are the index in its chunk */
};

struct tcpm__pool {
    const struct tcpm__memory *memory;
    size_t item_size;               /* bytes of an item, the 8 of its id included */
    char **chunks;                  /* each has 256 items */
    uint32_t chunk_count;           /* chunks that exist */
    uint32_t chunk_capacity;        /* chunks that the array has room for */
    uint32_t used_slots;            /* slots that were taken at least once: 1 .. used_slots */
    uint32_t free_first, free_last; /* queue of free slots, linked by their items; 0: empty */
    uint32_t live;                  /* items that are taken */
};

/* item_size: bytes of an item, whose first 8 belong to the pool: the id while the item is taken. */
void tcpm__pool_init(struct tcpm__pool *pool, const struct tcpm__memory *memory, size_t item_size);
/* Frees all chunks, with the items that are still taken. */
void tcpm__pool_free(struct tcpm__pool *pool);

/* A zeroed item, but for its id in front; NULL: no memory, or 2^21 - 1 items are taken. */
void *tcpm__pool_take(struct tcpm__pool *pool);
/* Gives an item back: its id is stale from here on. */
void tcpm__pool_give(struct tcpm__pool *pool, void *item);

/* The taken item with the lowest slot above that of an id, which need not be taken. 0 gives the
   first item; NULL: there are no more. */
void *tcpm__pool_next(const struct tcpm__pool *pool, uint64_t id);

static inline uint64_t tcpm__pool_id(const void *item)
{
    return *(const uint64_t *) item;
}

static inline uint32_t tcpm__pool_slot(const void *item)
{
    return (uint32_t) (tcpm__pool_id(item) & ((1u << TCPM__POOL_SLOT_BITS) - 1));
}

/* The item of a slot that was taken at least once. */
static inline void *tcpm__pool_at(const struct tcpm__pool *pool, uint32_t slot)
{
    uint32_t index = slot - 1;

    TCPM__ASSERT(slot != 0 && slot <= pool->used_slots);
    return pool->chunks[index >> TCPM__POOL_CHUNK_BITS] +
           (index & ((1u << TCPM__POOL_CHUNK_BITS) - 1)) * pool->item_size;
}

/* The taken item of this id, or NULL. Any number may be given. */
static inline void *tcpm__pool_find(const struct tcpm__pool *pool, uint64_t id)
{
    uint32_t slot = tcpm__pool_slot(&id);

    if (slot == 0 || slot > pool->used_slots)
        return NULL;
    void *item = tcpm__pool_at(pool, slot);
    return tcpm__pool_id(item) == id ? item : NULL;
}

#endif
