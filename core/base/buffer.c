/* SPDX-License-Identifier: MIT */
/*
 * The byte queue of base/buffer.h. A connection has two: bytes that were received and are not yet a
 * record, and bytes that were taken for sending and are not yet in the kernel.
 *
 * What always holds: head + length <= capacity; a queue without bytes is NULL. n bytes are moved
 * only if at least n / 2 bytes were consumed or put in since the last move, or if they go to a
 * block of twice the size. So the cost for each byte does not depend on how full the queue is.
 */
#include "base/buffer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"

enum { SMALLEST = 64 }; /* bytes of the smallest block, struct tcpm__buffer included */

#define LARGEST (PTRDIFF_MAX - sizeof(struct tcpm__buffer))

static bool is_sound(const struct tcpm__buffer *buffer)
{
    return buffer == NULL || (buffer->length > 0 && buffer->head <= buffer->capacity &&
                              buffer->length <= buffer->capacity - buffer->head);
}

/* A new empty block with capacity for the larger number of bytes; NULL: no memory. */
static struct tcpm__buffer *make_block(const struct tcpm__memory *memory, size_t needed,
                                       size_t wanted)
{
    size_t size = sizeof(struct tcpm__buffer) + (wanted > needed ? wanted : needed);
    struct tcpm__buffer *block = NULL;

    if (size < SMALLEST)
        size = SMALLEST;
    block = tcpm__memory_resize(memory, NULL, size);
    if (block == NULL)
        return NULL;
    block->head = block->length = 0;
    block->capacity = size - sizeof *block;
    return block;
}

/* Replaces *buffer by the block. The bytes of *buffer, if any, begin at head in the block. */
static void move_into(const struct tcpm__memory *memory, struct tcpm__buffer **buffer,
                      struct tcpm__buffer *block, size_t head)
{
    struct tcpm__buffer *old = *buffer;

    TCPM__ASSERT(head <= block->capacity - tcpm__buffer_length(old));
    block->head = head;
    block->length = tcpm__buffer_length(old);
    memcpy(block->bytes + head, tcpm__buffer_bytes(old), block->length);
    tcpm__memory_free(memory, old);
    *buffer = block;
}

static size_t double_of(size_t size)
{
    return size < LARGEST / 2 ? 2 * size : LARGEST;
}

/* Makes room for so many bytes behind the last one. 0, or -ENOMEM. */
static int reserve_back(const struct tcpm__memory *memory, struct tcpm__buffer **buffer,
                        size_t length)
{
    struct tcpm__buffer *old = *buffer;
    size_t held = tcpm__buffer_length(old);

    if (length > LARGEST - held)
        return -ENOMEM;
    if (old != NULL && length <= old->capacity - old->head - held)
        return 0;
    if (old != NULL && length <= old->capacity - held && old->head >= held) {
        memmove(old->bytes, old->bytes + old->head, held);
        old->head = 0;
        return 0;
    }
    struct tcpm__buffer *block = make_block(memory, held + length, double_of(held));
    if (block == NULL)
        return -ENOMEM;
    move_into(memory, buffer, block, 0);
    return 0;
}

/* Makes room for so many bytes before the first one, and leaves half of the rest of the block in
   front, for further ones. 0, or -ENOMEM. */
static int reserve_front(const struct tcpm__memory *memory, struct tcpm__buffer **buffer,
                         size_t length)
{
    struct tcpm__buffer *old = *buffer;
    size_t held = tcpm__buffer_length(old);

    if (length > LARGEST - held)
        return -ENOMEM;
    if (old != NULL && length <= old->head)
        return 0;
    size_t total = held + length;
    if (old != NULL && total <= old->capacity / 2) {
        size_t head = (old->capacity - total) / 2 + length;

        memmove(old->bytes + head, old->bytes + old->head, held);
        old->head = head;
        return 0;
    }
    struct tcpm__buffer *block = make_block(memory, total, old == NULL ? total : double_of(total));
    if (block == NULL)
        return -ENOMEM;
    move_into(memory, buffer, block, (block->capacity - total) / 2 + length);
    return 0;
}

int tcpm__buffer_append(const struct tcpm__memory *memory, struct tcpm__buffer **buffer,
                        const void *bytes, size_t length)
{
    if (length == 0)
        return 0;
    TCPM__ASSERT(is_sound(*buffer));
    int result = reserve_back(memory, buffer, length);
    if (result < 0)
        return result;
    memcpy((*buffer)->bytes + (*buffer)->head + (*buffer)->length, bytes, length);
    (*buffer)->length += length;
    TCPM__ASSERT(is_sound(*buffer));
    return 0;
}

int tcpm__buffer_prepend(const struct tcpm__memory *memory, struct tcpm__buffer **buffer,
                         const void *bytes, size_t length)
{
    if (length == 0)
        return 0;
    TCPM__ASSERT(is_sound(*buffer));
    int result = reserve_front(memory, buffer, length);
    if (result < 0)
        return result;
    TCPM__ASSERT(length <= (*buffer)->head);
    (*buffer)->head -= length;
    (*buffer)->length += length;
    memcpy((*buffer)->bytes + (*buffer)->head, bytes, length);
    return 0;
}

void tcpm__buffer_consume(const struct tcpm__memory *memory, struct tcpm__buffer **buffer,
                          size_t length)
{
    struct tcpm__buffer *block = *buffer;

    if (block == NULL)
        return;
    TCPM__ASSERT(is_sound(block));
    if (length >= block->length) {
        tcpm__buffer_free(memory, buffer);
        return;
    }
    block->head += length;
    block->length -= length;
}

void tcpm__buffer_cut(const struct tcpm__memory *memory, struct tcpm__buffer **buffer,
                      size_t length)
{
    if (length == 0)
        tcpm__buffer_free(memory, buffer);
    else if (*buffer != NULL && length < (*buffer)->length)
        (*buffer)->length = length;
}
