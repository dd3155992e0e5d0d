/* SPDX-License-Identifier: MIT */
/*
 * A binary heap in an array, whose entries carry their times, so that ordering them reads nothing
 * else. See heap.h.
 */
#include "base/heap.h"

#include <errno.h>
#include <stdbool.h>

enum { FIRST_ROOM = 64 };

void tcpm__heap_init(struct tcpm__heap *heap, const struct tcpm__memory *memory)
{
    *heap = (struct tcpm__heap){.memory = memory, .next_ns = UINT64_MAX};
}

void tcpm__heap_free(struct tcpm__heap *heap)
{
    tcpm__memory_free(heap->memory, heap->entries);
}

int tcpm__heap_join(struct tcpm__heap *heap)
{
    uint32_t room = heap->room == 0 ? FIRST_ROOM : 2 * heap->room;
    struct tcpm__heap_entry *entries;

    if (heap->members == heap->room) {
        entries =
            tcpm__memory_resize(heap->memory, heap->entries, ((size_t) room + 1) * sizeof *entries);
        if (entries == NULL)
            return -ENOMEM;
        heap->entries = entries;
        heap->room = room;
    }
    heap->members++;
    return 0;
}

void tcpm__heap_leave(struct tcpm__heap *heap)
{
    heap->members--;
}

static bool is_before(const struct tcpm__heap_entry *a, const struct tcpm__heap_entry *b)
{
    return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->order < b->order);
}

static void put_at(struct tcpm__heap *heap, uint32_t place, struct tcpm__heap_entry entry)
{
    heap->entries[place] = entry;
    entry.item->place = place;
}

/* Finds the place of an entry, given a place that is free, among those above it. */
static uint32_t rise(struct tcpm__heap *heap, uint32_t place, const struct tcpm__heap_entry *entry)
{
    while (place > 1 && is_before(entry, &heap->entries[place / 2])) {
        put_at(heap, place, heap->entries[place / 2]);
        place /= 2;
    }
    return place;
}

/* The same among those below it. */
static uint32_t sink(struct tcpm__heap *heap, uint32_t place, const struct tcpm__heap_entry *entry)
{
    for (;;) {
        uint32_t child = 2 * place;

        if (child < heap->count && is_before(&heap->entries[child + 1], &heap->entries[child]))
            child++;
        if (child > heap->count || !is_before(&heap->entries[child], entry))
            return place;
        put_at(heap, place, heap->entries[child]);
        place = child;
    }
}

static void place_entry(struct tcpm__heap *heap, uint32_t place, struct tcpm__heap_entry entry)
{
    put_at(heap, sink(heap, rise(heap, place, &entry), &entry), entry);
}

static void note_next(struct tcpm__heap *heap)
{
    heap->next_ns = heap->count == 0 ? UINT64_MAX : heap->entries[1].due_ns;
}

void tcpm__heap_set(struct tcpm__heap *heap, struct tcpm__heap_item *item, uint64_t due_ns)
{
    uint32_t place = item->place != 0 ? item->place : ++heap->count;

    item->due_ns = due_ns;
    place_entry(heap, place, (struct tcpm__heap_entry){due_ns, ++heap->last_order, item});
    note_next(heap);
}

void tcpm__heap_remove(struct tcpm__heap *heap, struct tcpm__heap_item *item)
{
    uint32_t place = item->place;

    if (place == 0)
        return;
    item->place = 0;
    struct tcpm__heap_entry last = heap->entries[heap->count--];
    if (last.item != item)
        place_entry(heap, place, last);
    note_next(heap);
}

struct tcpm__heap_item *tcpm__heap_expire(struct tcpm__heap *heap, uint64_t now_ns)
{
    struct tcpm__heap_item *item;

    if (heap->count == 0 || heap->next_ns > now_ns)
        return NULL;
    item = heap->entries[1].item;
    tcpm__heap_remove(heap, item);
    return item;
}
