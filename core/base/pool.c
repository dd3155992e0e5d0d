/* SPDX-License-Identifier: MIT */
/*
 * The pool of base/pool.h. Connections and alarms are items of pools: whatever id a caller has
 * kept, a connection that is gone is not found.
 *
 * What always holds for the first word of an item. Taken: generation * 2^21 + its own slot, which
 * is its id. Free: generation * 2^21 + the next free slot, or + 0 if the slot is the last free one
 * or retired. No slot follows itself in the queue, so the word of a free item is never an id of its
 * slot: one comparison tells whether an id is that of a taken item.
 */
#include "base/pool.h"

#include <stdbool.h>

enum { CHUNK_ITEMS = 1 << TCPM__POOL_CHUNK_BITS, ALIGNMENT = 64 };

#define SLOT_MASK       ((UINT64_C(1) << TCPM__POOL_SLOT_BITS) - 1)
#define LAST_SLOT       ((uint32_t) SLOT_MASK)
#define LAST_GENERATION UINT32_MAX

static uint32_t slot_of(uint64_t word)
{
    return (uint32_t) (word & SLOT_MASK);
}

static uint64_t generation_of(uint64_t word)
{
    return word >> TCPM__POOL_SLOT_BITS;
}

static uint64_t make_word(uint64_t generation, uint32_t slot)
{
    return generation << TCPM__POOL_SLOT_BITS | slot;
}

void tcpm__pool_init(struct tcpm__pool *pool, const struct tcpm__memory *memory, size_t item_size)
{
    TCPM__ASSERT(item_size >= sizeof(uint64_t) && item_size % sizeof(uint64_t) == 0);
    *pool = (struct tcpm__pool){.memory = memory, .item_size = item_size};
}

/* A chunk, aligned to cache lines, or NULL. The address of its block, for freeing, lies in
   front. */
static char *make_chunk(const struct tcpm__pool *pool)
{
    size_t size = pool->item_size * CHUNK_ITEMS + ALIGNMENT + sizeof(char *);
    char *block = tcpm__memory_resize(pool->memory, NULL, size);

    if (block == NULL)
        return NULL;
    uintptr_t first = (uintptr_t) block + sizeof(char *);
    char *chunk = block + sizeof(char *) + (-first & (ALIGNMENT - 1));
    memcpy(chunk - sizeof block, &block, sizeof block);
    return chunk;
}

static void free_chunk(const struct tcpm__pool *pool, char *chunk)
{
    char *block = NULL;

    memcpy(&block, chunk - sizeof block, sizeof block);
    tcpm__memory_free(pool->memory, block);
}

void tcpm__pool_free(struct tcpm__pool *pool)
{
    for (uint32_t i = 0; i < pool->chunk_count; i++)
        free_chunk(pool, pool->chunks[i]);
    tcpm__memory_free(pool->memory, pool->chunks);
    tcpm__pool_init(pool, pool->memory, pool->item_size);
}

static bool grow_chunk_list(struct tcpm__pool *pool)
{
    uint32_t capacity = pool->chunk_capacity == 0 ? 8 : 2 * pool->chunk_capacity;
    char **chunks = tcpm__memory_resize(pool->memory, pool->chunks, capacity * sizeof *chunks);

    if (chunks == NULL)
        return false;
    pool->chunks = chunks;
    pool->chunk_capacity = capacity;
    return true;
}

/* The next slot that was never taken; 0: there is none left, or no memory. */
static uint32_t take_fresh_slot(struct tcpm__pool *pool)
{
    if (pool->used_slots == LAST_SLOT)
        return 0;
    if (pool->used_slots == pool->chunk_count * CHUNK_ITEMS) {
        if (pool->chunk_count == pool->chunk_capacity && !grow_chunk_list(pool))
            return 0;
        char *chunk = make_chunk(pool);
        if (chunk == NULL)
            return 0;
        pool->chunks[pool->chunk_count++] = chunk;
    }
    return ++pool->used_slots;
}

static uint32_t take_free_slot(struct tcpm__pool *pool)
{
    uint32_t slot = pool->free_first;

    pool->free_first = slot_of(tcpm__pool_id(tcpm__pool_at(pool, slot)));
    if (pool->free_first == 0)
        pool->free_last = 0;
    return slot;
}

void *tcpm__pool_take(struct tcpm__pool *pool)
{
    bool again = pool->free_first != 0;
    uint32_t slot = again ? take_free_slot(pool) : take_fresh_slot(pool);

    if (slot == 0)
        return NULL;
    uint64_t *item = tcpm__pool_at(pool, slot);
    TCPM__ASSERT(!again || slot_of(*item) != slot); /* the item was free */
    uint64_t generation = again ? generation_of(*item) + 1 : 1;
    memset(item, 0, pool->item_size);
    *item = make_word(generation, slot);
    pool->live++;
    return item;
}

void tcpm__pool_give(struct tcpm__pool *pool, void *item)
{
    uint64_t id = tcpm__pool_id(item);
    uint32_t slot = slot_of(id);
    uint64_t *word = item;

    TCPM__ASSERT(tcpm__pool_find(pool, id) == item && pool->live > 0);
    pool->live--;
    *word = make_word(generation_of(id), 0);
    if (generation_of(id) >= LAST_GENERATION)
        return;
    if (pool->free_last == 0)
        pool->free_first = slot;
    else
        *(uint64_t *) tcpm__pool_at(pool, pool->free_last) |= slot;
    pool->free_last = slot;
}

void *tcpm__pool_next(const struct tcpm__pool *pool, uint64_t id)
{
    for (uint32_t slot = slot_of(id) + 1; slot <= pool->used_slots; slot++) {
        uint64_t *item = tcpm__pool_at(pool, slot);

        if (slot_of(*item) == slot)
            return item;
    }
    return NULL;
}
