/* SPDX-License-Identifier: MIT */
/*
 * An intrusive doubly linked list of the items of a pool, by slot numbers: a link takes 8 bytes of
 * an item where pointers take 16. Slot 0 is none. Whether an item is in the list is for its owner
 * to know; a link of an item that is in no list means nothing.
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

/* offset: of the link in an item. */
static inline struct tcpm__chain_link *tcpm__chain_link_at(const struct tcpm__pool *pool,
                                                           uint32_t slot, size_t offset)
{
    return (struct tcpm__chain_link *) (void *) ((char *) tcpm__pool_at(pool, slot) + offset);
}

/* The item in the slot, whose link this is, comes behind the one in the slot after; 0: first. */
static inline void tcpm__chain_insert(const struct tcpm__pool *pool, struct tcpm__chain *chain,
                                      struct tcpm__chain_link *link, uint32_t slot, uint32_t after,
                                      size_t offset)
{
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
