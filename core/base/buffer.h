/* SPDX-License-Identifier: MIT */
/*
 * A queue of bytes in one contiguous block: append at the end, consume from the front, put back in
 * front. An empty queue is NULL and costs nothing; moving bytes costs O(1) per byte, amortised.
 */
#ifndef TCPM_BASE_BUFFER_H
#define TCPM_BASE_BUFFER_H

#include "base/memory.h"

struct tcpm__buffer {
    size_t head;     /* bytes[head] is the first one */
    size_t length;   /* bytes in the queue */
    size_t capacity; /* bytes allocated */
    char bytes[];
};

static inline const char *tcpm__buffer_bytes(const struct tcpm__buffer *buffer)
{
    return buffer == NULL ? "" : buffer->bytes + buffer->head;
}

static inline size_t tcpm__buffer_length(const struct tcpm__buffer *buffer)
{
    return buffer == NULL ? 0 : buffer->length;
}

/* 0 or -ENOMEM, and then nothing has changed. bytes may not lie in the buffer itself. */
int tcpm__buffer_append(const struct tcpm__memory *memory, struct tcpm__buffer **buffer,
                        const void *bytes, size_t length);
int tcpm__buffer_prepend(const struct tcpm__memory *memory, struct tcpm__buffer **buffer,
                         const void *bytes, size_t length);

/* Drops so many bytes, at most all, from the front; an empty buffer is freed and becomes NULL. */
void tcpm__buffer_consume(const struct tcpm__memory *memory, struct tcpm__buffer **buffer,
                          size_t length);

static inline void tcpm__buffer_free(const struct tcpm__memory *memory,
                                     struct tcpm__buffer **buffer)
{
    if (*buffer == NULL)
        return;
    tcpm__memory_free(memory, *buffer);
    *buffer = NULL;
}

#endif
