/* SPDX-License-Identifier: MIT */
/*
 * The one way to get memory: the engine's option reallocate. Sizes are bytes, more than 0. A result
 * of NULL means out of memory; the old block is then untouched.
 */
#ifndef TCPM_BASE_MEMORY_H
#define TCPM_BASE_MEMORY_H

#include <stddef.h>
#include <string.h>

struct tcpm__memory {
    void *(*reallocate)(void *block, size_t size, void *user); /* like realloc; size 0 frees */
    void *user;
};

/* The C library's allocator. */
extern const struct tcpm__memory tcpm__memory_default;

/* A new block, where block is NULL; else the block with a new size, perhaps at another address. */
static inline void *tcpm__memory_resize(const struct tcpm__memory *memory, void *block, size_t size)
{
    return memory->reallocate(block, size, memory->user);
}

/* A new block of zeros. */
static inline void *tcpm__memory_zeroed(const struct tcpm__memory *memory, size_t size)
{
    void *block = memory->reallocate(NULL, size, memory->user);

    if (block != NULL)
        memset(block, 0, size);
    return block;
}

/* NULL is allowed. */
static inline void tcpm__memory_free(const struct tcpm__memory *memory, void *block)
{
    if (block != NULL)
        memory->reallocate(block, 0, memory->user);
}

#endif
