/*
 * A tally of ends: how many connections of a session ended in the same way. Ends are the same by
 * reason, operation, code and timer, never by their texts. The entries stay sorted, the largest
 * count first; those of equal counts in the order of their first end.
 */
#ifndef TCPM_BASE_TALLY_H
#define TCPM_BASE_TALLY_H

#include <stdint.h>

#include "base/memory.h"

/* Enough for nearly all sessions; further entries are allocated. */
enum { TCPM__TALLY_INLINE = 4 };

struct tcpm__end {
    uint8_t reason, op, timer; /* enum tcpm_reason, tcpm_op, tcpm_timer; 0: none */
    int32_t code;              /* negative; 0: none */
};

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

/* The entry of an index from 0, or NULL: there are no more. */
const struct tcpm__tally_entry *tcpm__tally_get(const struct tcpm__tally *tally, size_t index);

void tcpm__tally_free(struct tcpm__tally *tally, const struct tcpm__memory *memory);

#endif
