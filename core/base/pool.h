/* SPDX-License-Identifier: MIT */
/*
 * Items of one size that never move and that are named by ids which are never used again: an id is
 * generation * 2^21 + slot. They live in chunks; a slot whose 2^32 generations are spent is
 * retired.
 *
 * What always holds: tcpm__pool_find gives an item exactly for the ids that were taken and not yet
 * given back. Free slots are used again oldest first, so that generations are spent evenly; slots
 * start at 1.
 */
#ifndef TCPM_BASE_POOL_H
#define TCPM_BASE_POOL_H

#include "base/memory.h"

#include <stdint.h>

#define TCPM__POOL_SLOT_BITS  21
#define TCPM__POOL_CHUNK_BITS 8 /* of a slot: its place in a chunk */

struct tcpm__pool {
    const struct tcpm__memory *memory;
    size_t item_size; /* bytes; the first 8 of each item are the pool's: its id while it is taken */
    char **chunks;
    uint32_t chunk_count, chunk_capacity;
    uint32_t used_slots;            /* slots handed out at least once: 1 .. used_slots */
    uint32_t free_first, free_last; /* queue of free slots, 0: empty */
    uint32_t live;                  /* items taken */
};

void tcpm__pool_init(struct tcpm__pool *pool, const struct tcpm__memory *memory, size_t item_size);
void tcpm__pool_free(struct tcpm__pool *pool);

/* A zeroed item whose first 8 bytes hold its id; NULL: no memory, or 2^21 - 1 slots in use. */
void *tcpm__pool_take(struct tcpm__pool *pool);
void tcpm__pool_give(struct tcpm__pool *pool, void *item);

/* The live item in the lowest slot after the slot of this id; 0 begins; NULL ends. */
void *tcpm__pool_next(const struct tcpm__pool *pool, uint64_t id);

static inline uint64_t tcpm__pool_id(const void *item)
{
    return *(const uint64_t *) item;
}

static inline uint32_t tcpm__pool_slot(const void *item)
{
    return (uint32_t) (tcpm__pool_id(item) & ((1u << TCPM__POOL_SLOT_BITS) - 1));
}

/* The item of a slot that has been handed out at least once. */
static inline void *tcpm__pool_at(const struct tcpm__pool *pool, uint32_t slot)
{
    uint32_t place = slot - 1;

    return pool->chunks[place >> TCPM__POOL_CHUNK_BITS] +
           (place & ((1u << TCPM__POOL_CHUNK_BITS) - 1)) * pool->item_size;
}

/* The live item of this id, or NULL. Any number may be asked. */
static inline void *tcpm__pool_find(const struct tcpm__pool *pool, uint64_t id)
{
    uint32_t slot = tcpm__pool_slot(&id);

    if (slot == 0 || slot > pool->used_slots)
        return NULL;
    void *item = tcpm__pool_at(pool, slot);
    return tcpm__pool_id(item) == id ? item : NULL;
}

#endif
