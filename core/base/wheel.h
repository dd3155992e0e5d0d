/* SPDX-License-Identifier: MIT */
/*
 * A hierarchical timing wheel: arming, moving and cancelling a timer cost O(1), whatever their
 * number. Pure: time comes in as an argument, in milliseconds of any clock that never goes back.
 *
 * What always holds: a timer comes out of tcpm__wheel_expire once, at the first call with
 * now_ms >= due_ms, never before; timers come out in the order of their due_ms, and those of the
 * same millisecond in the order in which they were armed.
 */
#ifndef TCPM_BASE_WHEEL_H
#define TCPM_BASE_WHEEL_H

#include "base/list.h"

#include <stdint.h>

struct tcpm__timer {
    struct tcpm__list link; /* in a slot of the wheel; zeroed: not armed */
    uint64_t due_ms;
};

#define TCPM__WHEEL_BITS   6
#define TCPM__WHEEL_ROUNDS 4 /* of a level's digit have slots of their own */
#define TCPM__WHEEL_SLOTS  (TCPM__WHEEL_ROUNDS << TCPM__WHEEL_BITS)
#define TCPM__WHEEL_LEVELS 11 /* of 6 bits: all 64 of a time have a place */

struct tcpm__wheel {
    uint64_t now_ms; /* all slots before it are empty */
    bool changed;    /* what next says may be another time than when this was last cleared */
    /* A bit for each slot that is not empty, a word for each round. */
    uint64_t filled[TCPM__WHEEL_LEVELS][TCPM__WHEEL_ROUNDS];
    struct tcpm__list slots[TCPM__WHEEL_LEVELS][TCPM__WHEEL_SLOTS];
};

void tcpm__wheel_init(struct tcpm__wheel *wheel, uint64_t now_ms);

static inline bool tcpm__timer_armed(const struct tcpm__timer *timer)
{
    return timer->link.next != NULL;
}

/* Arms the timer, or moves it. A time that has passed counts as now: due at the next call of
   expire, after what was due before. */
void tcpm__wheel_arm(struct tcpm__wheel *wheel, struct tcpm__timer *timer, uint64_t due_ms);

/* Harmless for a timer that is not armed. */
void tcpm__wheel_cancel(struct tcpm__wheel *wheel, struct tcpm__timer *timer);

/* Takes out one timer that is due, or returns NULL when none is left. The caller may arm and cancel
   any timer between two calls; one armed meanwhile for a time that has passed comes out too. */
struct tcpm__timer *tcpm__wheel_expire(struct tcpm__wheel *wheel, uint64_t now_ms);

/* When to call expire next: never after the first due_ms, perhaps before it. UINT64_MAX: no timer.
 */
uint64_t tcpm__wheel_next(const struct tcpm__wheel *wheel);

#endif
