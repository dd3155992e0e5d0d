/* SPDX-License-Identifier: MIT */
/*
 * The allocator of whoever names no other: the C library's, behind the one function that the engine
 * asks for memory. Filters use it too, because they are made before there is an engine.
 */
#include "base/memory.h"

#include <stdlib.h>

/* realloc(block, 0) may or may not free, depending on the library: here it always does. */
static void *reallocate_default(void *block, size_t size, void *user)
{
    (void) user;
    if (size != 0)
        return realloc(block, size);
    free(block);
    return NULL;
}

const struct tcpm__memory tcpm__memory_default = {reallocate_default, NULL};
