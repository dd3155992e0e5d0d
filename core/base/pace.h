/* SPDX-License-Identifier: MIT */
/*
 * A pace: attempts at even intervals, to the nanosecond. Pure: time comes in as an argument.
 *
 * What always holds: from any moment on, n attempts take at least (n - 1) intervals less the slack;
 * and attempts that are made at once when they are allowed come exactly so often in the long run,
 * as long as each comes late by no more than the slack.
 */
#ifndef TCPM_BASE_PACE_H
#define TCPM_BASE_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct tcpm__pace {
    uint64_t interval_ns; /* 0: no limit */
    uint64_t slack_ns;    /* time lost that may be made up for */
    uint64_t next_ns;     /* the next attempt is allowed from here on */
};

void tcpm__pace_init(struct tcpm__pace *pace, uint64_t interval_ns, uint64_t now_ns);

static inline bool tcpm__pace_allows(const struct tcpm__pace *pace, uint64_t now_ns)
{
    return now_ns >= pace->next_ns;
}

/* An attempt is made. */
void tcpm__pace_take(struct tcpm__pace *pace, uint64_t now_ns);

/* The last attempt has not been one. */
void tcpm__pace_give(struct tcpm__pace *pace);

#endif
