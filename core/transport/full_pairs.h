/* SPDX-License-Identifier: MIT */
/*
 * Pairs of a source and a peer between which no port is left: connect has said so not long ago. To
 * ask the kernel again is expensive, as it looks at all ports of its range (6 ms for 28,000). Pure:
 * time comes in as an argument.
 */
#ifndef TCPM_TRANSPORT_FULL_PAIRS_H
#define TCPM_TRANSPORT_FULL_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "transport/address.h"

enum { TCPM__FULL_FOR_MS = 1000 /* as long a pair counts as full */ };

struct tcpm__full_pair {
    union tcpm__address peer;
    uint32_t source;
    uint64_t until_ms; /* 0: the place is empty */
};

/* A set of pairs; zeroed: it is empty. */
struct tcpm__full_pairs {
    struct tcpm__full_pair *pairs; /* a hash table; NULL: no pair was ever noted */
    size_t capacity;               /* places of the table: 0, or a power of two */
    size_t used;                   /* places that are not empty */
};

/* From now on the pair counts as full, for a second. source is any number. Without memory, or with
   very many pairs already, the pair is not remembered. */
void tcpm__full_pairs_note(struct tcpm__full_pairs *full, const struct tcpm__memory *memory,
                           uint32_t source, const union tcpm__address *peer, uint64_t now_ms);

/* Whether the pair counts as full. */
bool tcpm__full_pairs_has(const struct tcpm__full_pairs *full, uint32_t source,
                          const union tcpm__address *peer, uint64_t now_ms);

void tcpm__full_pairs_free(struct tcpm__full_pairs *full, const struct tcpm__memory *memory);

#endif
