/* SPDX-License-Identifier: MIT */
/*
 * The pace of base/pace.h. Each attempt moves the time of the next one on by an interval, counted
 * from the time when the attempt was allowed, not from when it was made: so lateness does not add
 * up. Sessions count their attempts to connect here.
 */
#include "base/pace.h"

#include "base/assert.h"

enum {
    BURST_NS = 100000000,  /* after a rest, the attempts of so much time may be made at once */
    LATENESS_NS = 20000000 /* a busy loop or a coarse timer that is late by this loses no attempt */
};

void tcpm__pace_init(struct tcpm__pace *pace, uint64_t interval_ns, uint64_t now_ns)
{
    uint64_t burst_ns = interval_ns < BURST_NS ? BURST_NS - interval_ns : 0;

    *pace = (struct tcpm__pace){
        .interval_ns = interval_ns,
        .slack_ns = burst_ns > LATENESS_NS ? burst_ns : LATENESS_NS,
        .next_ns = now_ns,
    };
}

void tcpm__pace_take(struct tcpm__pace *pace, uint64_t now_ns)
{
    uint64_t earliest_ns = now_ns > pace->slack_ns ? now_ns - pace->slack_ns : 0;

    if (pace->next_ns < earliest_ns)
        pace->next_ns = earliest_ns;
    pace->next_ns += pace->interval_ns;
}

void tcpm__pace_give(struct tcpm__pace *pace)
{
    TCPM__ASSERT(pace->next_ns >= pace->interval_ns);
    pace->next_ns -= pace->interval_ns;
}
