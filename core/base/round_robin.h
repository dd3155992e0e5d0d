/* SPDX-License-Identifier: MIT */
/*
 * Round robin: which item of a pool is served next, and for how long. Pure: time comes in as an
 * argument, and whether an item may be served is asked of the caller.
 *
 * The items are in a chain. The first item is served, serving after serving, until no work is left
 * for it, and goes out, or until its slice of time is over, and goes to the end. While the first
 * item may not be served, the second one is, once, and goes to the end. Servings come in turns of
 * limited time.
 *
 * What always holds: the first item aside, each item is served before any is served twice. Of n
 * items, the first goes to the end with the first of its servings that ends min(4 ms, 500 ms / n)
 * or more after the item has become the first. The servings of a turn, but for its first one, begin
 * less than min(4 ms, d) after the turn has begun, where d is the time since the last serving.
 */
#ifndef TCPM_BASE_ROUND_ROBIN_H
#define TCPM_BASE_ROUND_ROBIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/chain.h"

struct tcpm__round_robin {
    const struct tcpm__pool *pool; /* contains the items */
    size_t offset;                 /* bytes from the start of an item to its link */
    struct tcpm__chain chain;
    uint32_t count;          /* items in the chain */
    uint64_t slice_began_ms; /* when the first item became the first */
    uint64_t ended_ns;       /* end of the last serving; before any: when the chain was filled */
};

/* offset: of a struct tcpm__chain_link in an item. */
void tcpm__round_robin_init(struct tcpm__round_robin *robin, const struct tcpm__pool *pool,
                            size_t offset);

/* The item in this slot comes in, at the end. The time counts only for the first of all items. */
void tcpm__round_robin_add(struct tcpm__round_robin *robin, uint32_t slot, uint64_t now_ns);

/* The item in this slot goes out. When the first item does, the slice of the next one begins. */
void tcpm__round_robin_leave(struct tcpm__round_robin *robin, uint32_t slot, uint64_t now_ns);

/* The slot of the item to be served: the first or the second that may be served now. 0: neither. */
uint32_t tcpm__round_robin_next(const struct tcpm__round_robin *robin,
                                bool (*may_serve)(const void *item, const void *user),
                                const void *user);

/* A turn begins. Gives the time until which servings may begin after the turn's first one. */
uint64_t tcpm__round_robin_begin_turn(struct tcpm__round_robin *robin, uint64_t now_ns);

/* A serving has ended. slot: of its item; 0: the item has left meanwhile. more: some work is left;
   otherwise the item goes out. False: until_ns has come, and the turn is over. */
bool tcpm__round_robin_note_served(struct tcpm__round_robin *robin, uint32_t slot, bool more,
                                   uint64_t now_ns, uint64_t until_ns);

#endif
