/* SPDX-License-Identifier: MIT */
/*
 * A tally of ends: how many connections of a session ended in the same way. Ends are the same by
 * reason, operation, code and timer, never by their texts. The entries stay sorted, the largest
 * count first; those of equal counts in the order in which they reached it.
 */
#ifndef TCPM_BASE_TALLY_H
#define TCPM_BASE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"

/* Enough for nearly all sessions; further entries are allocated. */
enum { TCPM__TALLY_INLINE = 4 };

struct tcpm__end {
    uint8_t reason, op, timer; /* enum tcpm_reason, tcpm_op, tcpm_timer; 0: none */
    uint8_t unused;            /* 0: ends are compared as a whole */
    int32_t code;              /* negative; 0: none */
};

_Static_assert(sizeof(struct tcpm__end) == 8, "ends are compared as a whole");

struct tcpm__tally_entry {
    struct tcpm__end end;
    uint64_t count;
    char *message; /* of the first such end; NULL: the text of its code */
};

/* Zeroed is empty. */
struct tcpm__tally {
    struct tcpm__tally_entry own[TCPM__TALLY_INLINE], *more; /* more: all of them, once allocated */
    uint32_t count, capacity;                                /* capacity: of more */
};

/* Counts one end. Without memory for a new entry the end is not counted. */
void tcpm__tally_add(struct tcpm__tally *tally, const struct tcpm__memory *memory,
                     struct tcpm__end end, const char *message_or_null);

/* Counts one end if that is of the largest entry, as most are; false: it is left to tally_add. */
static inline bool tcpm__tally_add_usual(struct tcpm__tally *tally, struct tcpm__end end)
{
    struct tcpm__tally_entry *first = tally->more != NULL ? tally->more : tally->own;
    bool is_usual = tally->count > 0 && memcmp(&first->end, &end, sizeof end) == 0;

    first->count += is_usual;
    return is_usual;
}

/* The entry of an index from 0, or NULL: there are no more. */
const struct tcpm__tally_entry *tcpm__tally_get(const struct tcpm__tally *tally, size_t index);

void tcpm__tally_free(struct tcpm__tally *tally, const struct tcpm__memory *memory);

#endif
