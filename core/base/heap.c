/* SPDX-License-Identifier: MIT */
/*
 * The heap of base/heap.h: a binary heap in an array. Entries carry copies of their items' times,
 * so that comparing them does not touch the items. The engine has two heaps: alarms, and the turns
 * of sessions whose connects wait.
 *
 * What always holds: count <= members <= room; the index of an item that is set is that of its
 * entry.
 */
#include "base/heap.h"

#include <errno.h>
#include <stdbool.h>

#include "base/assert.h"

enum { FIRST_ROOM = 64 }; /* items */

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

    if (heap->members == heap->room) {
        size_t size = ((size_t) room + 1) * sizeof *heap->entries;
        struct tcpm__heap_entry *entries = tcpm__memory_resize(heap->memory, heap->entries, size);

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
    TCPM__ASSERT(heap->members > heap->count);
    heap->members--;
}

static bool is_before(const struct tcpm__heap_entry *a, const struct tcpm__heap_entry *b)
{
    return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->order < b->order);
}

static void put_at(struct tcpm__heap *heap, uint32_t index, struct tcpm__heap_entry entry)
{
    heap->entries[index] = entry;
    entry.item->index = index;
}

static bool is_at(const struct tcpm__heap *heap, const struct tcpm__heap_item *item, uint32_t index)
{
    return index <= heap->count && heap->entries[index].item == item;
}

/* The index for an entry at or above a free one. Later entries on the way up move down. */
static uint32_t rise(struct tcpm__heap *heap, uint32_t index, const struct tcpm__heap_entry *entry)
{
    while (index > 1 && is_before(entry, &heap->entries[index / 2])) {
        put_at(heap, index, heap->entries[index / 2]);
        index /= 2;
    }
    return index;
}

/* The index for an entry at or below a free one. Earlier entries on the way down move up. */
static uint32_t sink(struct tcpm__heap *heap, uint32_t index, const struct tcpm__heap_entry *entry)
{
    for (;;) {
        uint32_t child = 2 * index;

        if (child < heap->count && is_before(&heap->entries[child + 1], &heap->entries[child]))
            child++;
        if (child > heap->count || !is_before(&heap->entries[child], entry))
            return index;
        put_at(heap, index, heap->entries[child]);
        index = child;
    }
}

static void settle_entry(struct tcpm__heap *heap, uint32_t index, struct tcpm__heap_entry entry)
{
    put_at(heap, sink(heap, rise(heap, index, &entry), &entry), entry);
}

static void note_next(struct tcpm__heap *heap)
{
    heap->next_ns = heap->count == 0 ? UINT64_MAX : heap->entries[1].due_ns;
}

void tcpm__heap_set(struct tcpm__heap *heap, struct tcpm__heap_item *item, uint64_t due_ns)
{
    uint32_t index = item->index != 0 ? item->index : ++heap->count;

    TCPM__ASSERT(heap->count <= heap->members);
    TCPM__ASSERT(item->index == 0 || is_at(heap, item, index));
    item->due_ns = due_ns;
    settle_entry(heap, index, (struct tcpm__heap_entry){due_ns, ++heap->last_order, item});
    note_next(heap);
}

void tcpm__heap_remove(struct tcpm__heap *heap, struct tcpm__heap_item *item)
{
    uint32_t index = item->index;

    if (index == 0)
        return;
    TCPM__ASSERT(is_at(heap, item, index));
    item->index = 0;
    struct tcpm__heap_entry last = heap->entries[heap->count--];
    if (last.item != item)
        settle_entry(heap, index, last);
    note_next(heap);
}

struct tcpm__heap_item *tcpm__heap_expire(struct tcpm__heap *heap, uint64_t now_ns)
{
    if (heap->count == 0 || heap->next_ns > now_ns)
        return NULL;
    struct tcpm__heap_item *item = heap->entries[1].item;
    tcpm__heap_remove(heap, item);
    return item;
}
