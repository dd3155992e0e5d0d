/* SPDX-License-Identifier: MIT */
/*
 * A doubly linked list of items of a pool. The links lie in the items and are slot numbers: 8 bytes
 * in each item, where pointers take 16. Slot 0 means none. The owner of an item has to know whether
 * the item is in the list: the links of an item in no list mean nothing.
 */
#ifndef TCPM_BASE_CHAIN_H
#define TCPM_BASE_CHAIN_H

#include "base/pool.h"

struct tcpm__chain {
    uint32_t first, last;
};

struct tcpm__chain_link {
    uint32_t next, prev;
};

/* The link in the item of a slot. offset: where the link lies in an item. */
static inline struct tcpm__chain_link *tcpm__chain_link_at(const struct tcpm__pool *pool,
                                                           uint32_t slot, size_t offset)
{
    return (struct tcpm__chain_link *) (void *) ((char *) tcpm__pool_at(pool, slot) + offset);
}

/* The slot that comes next after a slot; with 0, the first slot of the chain. */
static inline uint32_t tcpm__chain_next_of(const struct tcpm__pool *pool,
                                           const struct tcpm__chain *chain, uint32_t after,
                                           size_t offset)
{
    return after == 0 ? chain->first : tcpm__chain_link_at(pool, after, offset)->next;
}

/* Puts the item of slot, whose link is link, behind the item of the slot after; with 0 in front. */
static inline void tcpm__chain_insert(const struct tcpm__pool *pool, struct tcpm__chain *chain,
                                      struct tcpm__chain_link *link, uint32_t slot, uint32_t after,
                                      size_t offset)
{
    TCPM__ASSERT(link == tcpm__chain_link_at(pool, slot, offset) && slot != after);
    uint32_t *before = after == 0 ? &chain->first : &tcpm__chain_link_at(pool, after, offset)->next;

    *link = (struct tcpm__chain_link){.next = *before, .prev = after};
    *before = slot;
    if (link->next == 0)
        chain->last = slot;
    else
        tcpm__chain_link_at(pool, link->next, offset)->prev = slot;
}

static inline void tcpm__chain_append(const struct tcpm__pool *pool, struct tcpm__chain *chain,
                                      struct tcpm__chain_link *link, uint32_t slot, size_t offset)
{
    TCPM__ASSERT(link == tcpm__chain_link_at(pool, slot, offset) && slot != chain->last);
    TCPM__ASSERT((chain->first == 0) == (chain->last == 0));
    *link = (struct tcpm__chain_link){.next = 0, .prev = chain->last};
    if (chain->last == 0)
        chain->first = slot;
    else
        tcpm__chain_link_at(pool, chain->last, offset)->next = slot;
    chain->last = slot;
}

static inline void tcpm__chain_remove(const struct tcpm__pool *pool, struct tcpm__chain *chain,
                                      const struct tcpm__chain_link *link, size_t offset)
{
    TCPM__ASSERT(link == tcpm__chain_link_at(
                             pool, tcpm__chain_next_of(pool, chain, link->prev, offset), offset));
    if (link->prev == 0)
        chain->first = link->next;
    else
        tcpm__chain_link_at(pool, link->prev, offset)->next = link->next;
    if (link->next == 0)
        chain->last = link->prev;
    else
        tcpm__chain_link_at(pool, link->next, offset)->prev = link->prev;
}

#endif
