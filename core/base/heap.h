/* SPDX-License-Identifier: MIT */
/*
 * Times in order, to the nanosecond: for the few timers (alarms, starts of attempts) that a
 * millisecond is too coarse for; the many deadlines are in the wheel. Setting, moving and removing
 * one of n items cost O(log n). Pure: time comes in as an argument.
 *
 * What always holds: an item comes out of tcpm__heap_expire once, at the first call with
 * now_ns >= due_ns, never before; items come out in the order of their due_ns, and those of the
 * same nanosecond in the order in which they were set.
 */
#ifndef TCPM_BASE_HEAP_H
#define TCPM_BASE_HEAP_H

#include <stdint.h>

#include "base/memory.h"

struct tcpm__heap_item {
    uint64_t due_ns;
    uint32_t index; /* index of the item's entry in the heap, from 1; 0: the item is not set */
};

struct tcpm__heap_entry {
    uint64_t due_ns; /* a copy of the item's */
    uint64_t order;  /* number of the setting: the earlier setting comes first at the same time */
    struct tcpm__heap_item *item;
};

struct tcpm__heap {
    const struct tcpm__memory *memory;
    /* Entry 1 is the earliest; entries 2 n and 2 n + 1 are not earlier than entry n. */
    struct tcpm__heap_entry *entries;
    uint32_t count;      /* items that are set */
    uint32_t members;    /* items that may be set: have joined and not left */
    uint32_t room;       /* items that entries has memory for, at least members */
    uint64_t last_order; /* number of settings so far */
    uint64_t next_ns;    /* the earliest time that is set; UINT64_MAX: none */
};

void tcpm__heap_init(struct tcpm__heap *heap, const struct tcpm__memory *memory);
void tcpm__heap_free(struct tcpm__heap *heap);

/* Makes room for one more item, so that setting an item never needs memory. 0, or -ENOMEM. */
int tcpm__heap_join(struct tcpm__heap *heap);
/* Gives the room of one item back. The item must not be set any more. */
void tcpm__heap_leave(struct tcpm__heap *heap);

/* Sets the time of an item, or moves the item to this time. A new item is zeroed. */
void tcpm__heap_set(struct tcpm__heap *heap, struct tcpm__heap_item *item, uint64_t due_ns);

/* Harmless for an item that is not set. */
void tcpm__heap_remove(struct tcpm__heap *heap, struct tcpm__heap_item *item);

/* Takes out one item that is due; NULL: none is left. Any item may be set and removed between two
   calls. */
struct tcpm__heap_item *tcpm__heap_expire(struct tcpm__heap *heap, uint64_t now_ns);

#endif
