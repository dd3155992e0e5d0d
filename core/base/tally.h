/* SPDX-License-Identifier: MIT */
/*
 * A tally of ends: counts how many connections of a session ended in the same way. Two ends are the
 * same if reason, operation, code and timer are; their texts do not matter. Entries stay sorted:
 * the largest count first, and of equal counts the entry that reached the count first.
 */
#ifndef TCPM_BASE_TALLY_H
#define TCPM_BASE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"

/* Entries that need no memory of their own. Few sessions see more kinds of ends. */
enum { TCPM__TALLY_INLINE = 4 };

struct tcpm__end {
    uint8_t reason, op, timer; /* enum tcpm_reason, enum tcpm_op, enum tcpm_timer; 0: none */
    uint8_t unused;            /* 0, because ends are compared byte by byte */
    int32_t code;              /* negative; 0: none */
};

_Static_assert(sizeof(struct tcpm__end) == 8,
               "an end has no padding: ends are compared byte by byte");

struct tcpm__tally_entry {
    struct tcpm__end end;
    uint64_t count;
    char *message; /* the message of the first such end; NULL: the text of its code */
};

/* A zeroed tally is empty. */
struct tcpm__tally {
    struct tcpm__tally_entry own[TCPM__TALLY_INLINE]; /* the entries, while there are few */
    struct tcpm__tally_entry *more; /* all entries, once there are more; or NULL */
    uint32_t count;                 /* entries */
    uint32_t capacity;              /* entries that more has room for */
};

/* Counts one end. message may be NULL. An end that needs a new entry, for which there is no memory,
   is not counted. */
void tcpm__tally_add(struct tcpm__tally *tally, const struct tcpm__memory *memory,
                     struct tcpm__end end, const char *message);

/* Counts an end if it is that of the first entry, as most are. False: tcpm__tally_add has to do
   it. */
static inline bool tcpm__tally_add_usual(struct tcpm__tally *tally, struct tcpm__end end)
{
    struct tcpm__tally_entry *first = tally->more != NULL ? tally->more : tally->own;
    bool is_usual = tally->count > 0 && memcmp(&first->end, &end, sizeof end) == 0;

    first->count += is_usual;
    return is_usual;
}

/* The entry of an index from 0; NULL: there are no more. */
const struct tcpm__tally_entry *tcpm__tally_get(const struct tcpm__tally *tally, size_t index);

void tcpm__tally_free(struct tcpm__tally *tally, const struct tcpm__memory *memory);

#endif
