/* SPDX-License-Identifier: MIT */
/* See pace.h. Each attempt moves the time of the next one by an interval, from when it was due. */
#include "base/pace.h"

/* After a rest so much comes at once; attempts that are slower come one at a time. */
#define BURST_NS 100000000
/* Late by so much, a loop that is busy or a timer that is coarse does not lower the rate. */
#define LATENESS_NS 20000000

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
    pace->next_ns -= pace->interval_ns;
}
