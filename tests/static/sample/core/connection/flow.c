/* SPDX-License-Identifier: MIT */
/*
 * A file that includes the middle header and defines a function of the lowest.
 */
#include "connection/flow.h"

void tcpm__record(int size)
{
    (void) size;
}

void tcpm__flow(int size)
{
    (void) size;
}
