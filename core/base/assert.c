/* SPDX-License-Identifier: MIT */
/*
 * The end of a process whose assertion is false. Only debug and sanitize builds have this file: it
 * is the one place in the library that prints and aborts.
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void tcpm__assert_fail(const char *condition, const char *file, int line, const char *function)
{
    fprintf(stderr, "%s:%d: %s: assertion failed: %s\n", file, line, function, condition);
    abort();
}
