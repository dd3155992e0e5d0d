/* SPDX-License-Identifier: MIT */
/*
 * A hierarchical timing wheel: arming, moving and cancelling a timer cost O(1), however many timers
 * there are. Pure: time comes in as an argument, in milliseconds of any clock that never goes back.
 *
 * What always holds: a timer comes out of tcpm__wheel_expire once, at the first call with
 * now_ms >= due_ms, never before. Timers come out in the order of their due_ms, and timers of the
 * same millisecond in the order in which they were armed.
 */
#ifndef TCPM_BASE_WHEEL_H
#define TCPM_BASE_WHEEL_H

#include <stdint.h>

#include "base/list.h"

struct tcpm__timer {
    struct tcpm__list link; /* node in the list of a slot; zeroed: the timer is not armed */
    uint64_t due_ms;
};

enum {
    TCPM__WHEEL_BITS = 6,   /* a slot of the next level is 2^6 slots wide */
    TCPM__WHEEL_ROUNDS = 4, /* rounds of 2^6 slots in a level */
    TCPM__WHEEL_SLOTS = TCPM__WHEEL_ROUNDS << TCPM__WHEEL_BITS, /* slots of a level */
    TCPM__WHEEL_LEVELS = 11 /* 11 levels of 6 bits hold every 64-bit time */
};

struct tcpm__wheel {
    uint64_t now_ms; /* time of the wheel: all slots before this time are empty */
    bool changed;    /* tcpm__wheel_next may give another time than when its caller cleared this */
    /* One bit for each slot that is not empty, one word for each round. */
    uint64_t filled[TCPM__WHEEL_LEVELS][TCPM__WHEEL_ROUNDS];
    struct tcpm__list slots[TCPM__WHEEL_LEVELS][TCPM__WHEEL_SLOTS];
};

void tcpm__wheel_init(struct tcpm__wheel *wheel, uint64_t now_ms);

static inline bool tcpm__timer_armed(const struct tcpm__timer *timer)
{
    return timer->link.next != NULL;
}

/* Arms a timer, or moves it to another time. A time that has passed counts as now: the timer comes
   out at the next call of tcpm__wheel_expire, after timers that were due before. */
void tcpm__wheel_arm(struct tcpm__wheel *wheel, struct tcpm__timer *timer, uint64_t due_ms);

/* Harmless for a timer that is not armed. */
void tcpm__wheel_cancel(struct tcpm__wheel *wheel, struct tcpm__timer *timer);

/* Takes out one timer that is due; NULL: none is left. Any timer may be armed and cancelled between
   two calls; a timer that is armed there for a time that has passed comes out too. */
struct tcpm__timer *tcpm__wheel_expire(struct tcpm__wheel *wheel, uint64_t now_ms);

/* The time to call tcpm__wheel_expire next: never after the first due_ms, but perhaps before it.
   UINT64_MAX: no timer is armed. */
uint64_t tcpm__wheel_next(const struct tcpm__wheel *wheel);

#endif
