/* SPDX-License-Identifier: MIT */
/*
 * The default allocator: the C library's, in the shape of the engine's option reallocate. Filters
 * always use it, because they are made before there is an engine.
 */
#include "base/memory.h"

#include <stdlib.h>

/* A size of 0 always frees: realloc(block, 0) does so in some C libraries only. */
static void *reallocate_default(void *block, size_t size, void *user)
{
    (void) user;
    if (size != 0)
        return realloc(block, size);
    free(block);
    return NULL;
}

const struct tcpm__memory tcpm__memory_default = {reallocate_default, NULL};
