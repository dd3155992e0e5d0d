/* SPDX-License-Identifier: MIT */
/*
 * A queue of bytes in one contiguous block: bytes are appended at the end, consumed from the front,
 * and may be put back in front. An empty queue is NULL and costs nothing. Moving bytes costs O(1)
 * for each byte, amortised.
 */
#ifndef TCPM_BASE_BUFFER_H
#define TCPM_BASE_BUFFER_H

#include "base/memory.h"

struct tcpm__buffer {
    size_t head;     /* bytes[head] is the first byte of the queue */
    size_t length;   /* number of bytes in the queue */
    size_t capacity; /* number of bytes that bytes[] has room for */
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

/* Puts bytes behind the last one, or before the first one. The bytes must not lie in the buffer
   itself. 0, or -ENOMEM: nothing has changed. */
int tcpm__buffer_append(const struct tcpm__memory *memory, struct tcpm__buffer **buffer,
                        const void *bytes, size_t length);
int tcpm__buffer_prepend(const struct tcpm__memory *memory, struct tcpm__buffer **buffer,
                         const void *bytes, size_t length);

/* Drops so many bytes from the front; more than there are means all. An empty buffer is freed, and
   *buffer becomes NULL. */
void tcpm__buffer_consume(const struct tcpm__memory *memory, struct tcpm__buffer **buffer,
                          size_t length);

/* Drops all bytes behind the first so many. An empty buffer is freed, and *buffer becomes NULL. */
void tcpm__buffer_cut(const struct tcpm__memory *memory, struct tcpm__buffer **buffer,
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
