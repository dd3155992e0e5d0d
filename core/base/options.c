/* SPDX-License-Identifier: MIT */
/*
 * Structs that begin with their size (base/options.h). By the size a program and a library of
 * different ages work together, and no option is ever ignored. Every public call that takes or
 * fills such a struct comes here first.
 */
#include "base/options.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/assert.h"

/* Bytes, far above any struct of the public header: a larger size comes from a struct that was not
   initialised, and reading so far may crash. */
enum { SIZE_LIMIT = 65536 };

static size_t size_of(const void *given)
{
    size_t size = 0;

    memcpy(&size, given, sizeof size);
    return size;
}

static bool is_possible(size_t size)
{
    return size >= sizeof size && size <= SIZE_LIMIT;
}

static bool is_zero(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

int tcpm__options_read(const void *given, void *ret, size_t known)
{
    TCPM__ASSERT(is_possible(known));
    if (given == NULL) {
        memset(ret, 0, known);
        return 0;
    }
    size_t size = size_of(given);
    if (!is_possible(size))
        return -EINVAL;
    if (size > known && !is_zero((const char *) given + known, size - known))
        return -E2BIG;
    if (size < known)
        memset((char *) ret + size, 0, known - size);
    memcpy(ret, given, size < known ? size : known);
    memcpy(ret, &known, sizeof known);
    return 0;
}

int tcpm__options_write(const void *from, void *given, size_t known)
{
    size_t size = size_of(given);
    size_t skip = sizeof size;

    TCPM__ASSERT(is_possible(known));
    if (!is_possible(size))
        return -EINVAL;
    size_t reach = size < known ? size : known;
    memcpy((char *) given + skip, (const char *) from + skip, reach - skip);
    memset((char *) given + reach, 0, size - reach);
    return 0;
}
