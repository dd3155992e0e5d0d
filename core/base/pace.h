/* SPDX-License-Identifier: MIT */
/*
 * A pace: attempts at even intervals, to the nanosecond. Pure: time comes in as an argument.
 *
 * What always holds: from any moment on, n attempts take at least (n - 1) * interval - slack. If
 * each attempt is made as soon as it is allowed, or late by no more than the slack, n attempts take
 * n * interval in the long run: no time is lost.
 */
#ifndef TCPM_BASE_PACE_H
#define TCPM_BASE_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct tcpm__pace {
    uint64_t interval_ns; /* from one attempt to the next; 0: no limit */
    uint64_t slack_ns;    /* lost time that may be made up for */
    uint64_t next_ns;     /* time from which on the next attempt is allowed */
};

void tcpm__pace_init(struct tcpm__pace *pace, uint64_t interval_ns, uint64_t now_ns);

static inline bool tcpm__pace_allows(const struct tcpm__pace *pace, uint64_t now_ns)
{
    return now_ns >= pace->next_ns;
}

/* Counts an attempt that is made now. */
void tcpm__pace_take(struct tcpm__pace *pace, uint64_t now_ns);

/* Takes the last attempt back: it was not made after all. */
void tcpm__pace_give(struct tcpm__pace *pace);

#endif
