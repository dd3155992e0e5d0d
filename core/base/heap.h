/* SPDX-License-Identifier: MIT */
/*
 * Times in order, to the nanosecond: for the few that a millisecond is too coarse for, where the
 * wheel has the many. Setting, moving and removing one of n cost O(log n). Pure: time comes in as
 * an argument.
 *
 * What always holds: an item comes out of tcpm__heap_expire once, at the first call with
 * now_ns >= due_ns, never before; items come out in the order of their due_ns, and those of the
 * same nanosecond in the order in which they were set.
 */
#ifndef TCPM_BASE_HEAP_H
#define TCPM_BASE_HEAP_H

#include "base/memory.h"

#include <stdint.h>

struct tcpm__heap_item {
    uint64_t due_ns;
    uint32_t place; /* in the heap, from 1; 0: not set */
};

struct tcpm__heap_entry {
    uint64_t due_ns, order;
    struct tcpm__heap_item *item;
};

struct tcpm__heap {
    const struct tcpm__memory *memory;
    /* [1] is the earliest; those of [2 n] and [2 n + 1] are not earlier than that of [n]. */
    struct tcpm__heap_entry *entries;
    uint32_t count;         /* items that are set */
    uint32_t members, room; /* items that may be set; places for them */
    uint64_t last_order;    /* counts settings */
    uint64_t next_ns;       /* the earliest; UINT64_MAX: none is set */
};

void tcpm__heap_init(struct tcpm__heap *heap, const struct tcpm__memory *memory);
void tcpm__heap_free(struct tcpm__heap *heap);

/* One item more, or less, that may be set, so that setting never needs memory. 0, or -ENOMEM. */
int tcpm__heap_join(struct tcpm__heap *heap);
void tcpm__heap_leave(struct tcpm__heap *heap);

/* Sets the time of an item, zeroed at first, or moves it. */
void tcpm__heap_set(struct tcpm__heap *heap, struct tcpm__heap_item *item, uint64_t due_ns);

/* Harmless for an item that is not set. */
void tcpm__heap_remove(struct tcpm__heap *heap, struct tcpm__heap_item *item);

/* Takes out one item that is due, or returns NULL when none is left. The caller may set and remove
   any item between two calls. */
struct tcpm__heap_item *tcpm__heap_expire(struct tcpm__heap *heap, uint64_t now_ns);

#endif
