/* SPDX-License-Identifier: MIT */
/*
 * Addresses that a list of prefixes stands for, each with a number, without a list of them all.
 * Pure.
 */
#ifndef TCPM_TRANSPORT_BLOCKS_H
#define TCPM_TRANSPORT_BLOCKS_H

#include "transport/prefix.h"

/* The addresses of a prefix that a socket may be bound to. */
struct tcpm__block {
    union tcpm__address first;
    uint32_t count;     /* 0: a wide block, whose addresses have no numbers and are drawn */
    uint32_t before;    /* addresses of the blocks before this one */
    unsigned host_bits; /* bits in which the addresses of the prefix differ; 0: it has one */
};

/* Blocks of one family. */
struct tcpm__blocks {
    struct tcpm__block *list; /* the caller's; as long as it needs to be */
    uint32_t length;          /* blocks in the list */
    uint32_t count;           /* addresses that have numbers: 0 to count - 1 */
    bool is_wide;             /* one of the blocks is */
};

/* Makes the block of a prefix, without the network and the broadcast address of an IPv4 prefix, and
   without the lowest address of an IPv6 prefix (RFC 4291, section 2.6.1: of all routers). 0;
   -EINVAL: an IPv4 prefix of fewer than 16 bits. An IPv6 prefix of fewer than 112 becomes a wide
   block. */
int tcpm__block_make(const struct tcpm__prefix *prefix, struct tcpm__block *ret);

/* Puts a block behind the others, where the list has room. */
void tcpm__blocks_add(struct tcpm__blocks *blocks, const struct tcpm__block *block);

/* The address with a number. */
void tcpm__blocks_find(const struct tcpm__blocks *blocks, uint32_t number,
                       union tcpm__address *ret);

/* Whether one of the prefixes with several addresses has this one. */
bool tcpm__blocks_have_prefix_of(const struct tcpm__blocks *blocks,
                                 const union tcpm__address *address);

/* Any address: all blocks are drawn equally often, and the addresses of a block. */
void tcpm__blocks_draw(const struct tcpm__blocks *blocks, uint64_t *random,
                       union tcpm__address *ret);

/* A random number below the limit. *random is the state, which may have any value. */
uint32_t tcpm__random_below(uint64_t *random, uint32_t limit);

#endif
