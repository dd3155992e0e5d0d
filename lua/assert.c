/* SPDX-License-Identifier: MIT */
/*
 * The end of a process whose assertion is false: any file of the binding may come here, and release
 * builds never do.
 */
#include "assert.h"

#include <stdio.h>
#include <stdlib.h>

void tcpm__lua_assert_fail(const char *condition, const char *file, int line, const char *function)
{
    fprintf(stderr, "tcpmulti: %s:%d: %s: assertion failed: %s\n", file, line, function, condition);
    abort();
}
