/* SPDX-License-Identifier: MIT */
/*
 * A binary heap of messages: the earliest lies at its top.
 */
#include "late.h"

#include <stdlib.h>
#include <string.h>

static bool make_room(struct late *late)
{
    if (late->count < late->capacity)
        return true;
    size_t capacity = late->capacity == 0 ? 256 : 2 * late->capacity;
    struct late_message **heap = realloc(late->heap, capacity * sizeof *heap);
    if (heap == NULL)
        return false;
    late->heap = heap;
    late->capacity = capacity;
    return true;
}

static bool is_before(const struct late *late, size_t one, size_t other)
{
    return late->heap[one]->due_ns < late->heap[other]->due_ns;
}

static void swap(struct late *late, size_t one, size_t other)
{
    struct late_message *message = late->heap[one];

    late->heap[one] = late->heap[other];
    late->heap[other] = message;
}

void late_add(struct late *late, uint64_t due_ns, const struct whither *whither,
              const unsigned char *bytes, size_t length)
{
    struct late_message *message = make_room(late) ? malloc(sizeof *message + length) : NULL;

    if (message == NULL)
        return;
    message->due_ns = due_ns;
    message->whither = *whither;
    message->length = length;
    memcpy(message->bytes, bytes, length);
    size_t at = late->count++;
    late->heap[at] = message;
    for (; at > 0 && is_before(late, at, (at - 1) / 2); at = (at - 1) / 2)
        swap(late, at, (at - 1) / 2);
}

uint64_t late_due_ns(const struct late *late)
{
    return late->count == 0 ? UINT64_MAX : late->heap[0]->due_ns;
}

/* The child that is due first; the place itself: none is due before it. */
static size_t earliest(const struct late *late, size_t at)
{
    size_t best = at;

    for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < late->count; child++)
        if (is_before(late, child, best))
            best = child;
    return best;
}

struct late_message *late_take(struct late *late)
{
    struct late_message *message = late->heap[0];
    size_t at = 0, child;

    late->heap[0] = late->heap[--late->count];
    while (late->count > 0 && (child = earliest(late, at)) != at) {
        swap(late, at, child);
        at = child;
    }
    return message;
}

void late_free(struct late *late)
{
    for (size_t i = 0; i < late->count; i++)
        free(late->heap[i]);
    free(late->heap);
    *late = (struct late){.heap = NULL};
}
