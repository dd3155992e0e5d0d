/* SPDX-License-Identifier: MIT */
/*
 * Code that breaks each rule of the dialect once, and beside it code that looks alike and is fine.
 */
#include "base/wrong.h"

#include "base/round.h"

#include <stddef.h>

#define LENGTH 64
#define LARGE  UINT64_C(1)
#define NAME   "sizeof(x)"

/* They are wrong. */
static void take_event(int event)
{
    int first = sizeof(event), second = sizeof event + sizeof(int);
    (void) first;
    (void) second;
}

/* The one that is wrong. */
static int late(int event)
{
    int value, early, inner;
    char text[LENGTH];

    if (event == WRONG_ONE_USER)
        return (int) sizeof(struct wrong) + WRONG_TESTED;
    value = event;
    if (value > 0)
        early = 1;
    else
        early = 2;
    for (int i = 0; i < early; i++) {
        inner = i;
        text[inner] = 0;
    }
    return text[0];
}

/* goes on from something. */
int tcpm__size(struct wrong *wrong, int n)
{
    uv_timer_start(wrong, late, 1, 0);
    uv_timer_start(wrong, take_event, 1, 0);
    uv_walk(wrong, late, NULL);
    return n;
}

/* This function is fine: "This" stands before a noun. */
static void fine(void)
{
    int result;

    if (later(&result) < 0)
        return;
    result = 1;
}
