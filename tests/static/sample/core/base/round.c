/* SPDX-License-Identifier: MIT */
/*
 * A file in a circle, as a table of its mentions a function that calls this one back, through a
 * function of a header.
 */
#include "base/round.h"

#include "base/wrong.h"

static const struct round_table table = {.measure = tcpm__about};

int tcpm__round(int size)
{
    return size + WRONG_TWO_USERS;
}
