/* SPDX-License-Identifier: MIT */
/*
 * The timing wheel alone: what arming and cancelling a timer cost with 10^3 to 10^6 of them armed,
 * and how late deadlines fire with a million armed. Run by tests/bench/run; prints a line of JSON.
 *
 *   bench-wheel COUNT          {"count":N,"arm_ns":X,"cancel_ns":X}: arming anew at another time a
 *                              timer picked at random among COUNT, and cancelling all of them
 *   bench-wheel late COUNT     {"count":N,"late_ms":X,"fired":N}
 *
 * Lateness is that of an engine which does nothing but fire: its clock is this thread's time on the
 * processor while timers are fired, and leaps to the next one when none is due, so that ten minutes
 * pass in seconds and other programs do not count. A
 * deadline that comes out is armed again, 1 ms to 300 s ahead, so that COUNT stay armed; what the
 * spreading of a big slot costs delays those behind it and shows.
 */
#include "base/wheel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AHEAD_MS = 300000, START_MS = 123456789, LATE_SPAN_MS = 600000, TOUCHES = 4000000 };

struct bench {
    struct tcpm__wheel wheel;
    struct tcpm__timer *timers;
    size_t count;
    uint64_t random;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

/* xorshift64: cheap beside what is measured, and the same in every run. */
static uint64_t next_random(struct bench *bench)
{
    bench->random ^= bench->random << 13;
    bench->random ^= bench->random >> 7;
    bench->random ^= bench->random << 17;
    return bench->random;
}

static void arm(struct bench *bench, struct tcpm__timer *timer, uint64_t now_ms)
{
    tcpm__wheel_arm(&bench->wheel, timer, now_ms + 1 + next_random(bench) % AHEAD_MS);
}

static void arm_all(struct bench *bench)
{
    for (size_t i = 0; i < bench->count; i++)
        arm(bench, &bench->timers[i], START_MS);
}

static void measure_cost(struct bench *bench)
{
    arm_all(bench);
    uint64_t began = now_ns();
    for (size_t i = 0; i < TOUCHES; i++)
        arm(bench, &bench->timers[next_random(bench) % bench->count], START_MS);
    double arm_ns = (double) (now_ns() - began) / (double) TOUCHES;

    uint64_t cancelling_ns = 0;
    size_t rounds = TOUCHES / bench->count;
    for (size_t round = 0; round < rounds; round++) {
        arm_all(bench);
        began = now_ns();
        for (size_t i = 0; i < bench->count; i++)
            tcpm__wheel_cancel(&bench->wheel, &bench->timers[i]);
        cancelling_ns += now_ns() - began;
    }
    printf("{\"count\":%zu,\"arm_ns\":%.2f,\"cancel_ns\":%.2f}\n", bench->count, arm_ns,
           (double) cancelling_ns / (double) (rounds * bench->count));
}

/* Fires all that is due at the clock, which goes on meanwhile; the value is the greatest lateness
   in ns. */
static uint64_t fire_due(struct bench *bench, uint64_t *clock_ns, uint64_t *fired)
{
    uint64_t latest_ns = 0, began = now_ns(), at_ns = *clock_ns;
    struct tcpm__timer *timer;
    while ((timer = tcpm__wheel_expire(&bench->wheel, *clock_ns / 1000000))) {
        *clock_ns = at_ns + (now_ns() - began);
        uint64_t late_ns = *clock_ns - timer->due_ms * 1000000;
        if (late_ns > latest_ns)
            latest_ns = late_ns;
        (*fired)++;
        arm(bench, timer, *clock_ns / 1000000);
    }
    *clock_ns = at_ns + (now_ns() - began);
    return latest_ns;
}

static void measure_lateness(struct bench *bench)
{
    uint64_t clock_ns = START_MS * UINT64_C(1000000), latest_ns = 0, fired = 0;
    uint64_t end_ns = clock_ns + LATE_SPAN_MS * UINT64_C(1000000);
    arm_all(bench);
    while (clock_ns < end_ns) {
        uint64_t next_ns = tcpm__wheel_next(&bench->wheel) * 1000000;
        if (next_ns > clock_ns)
            clock_ns = next_ns;
        uint64_t late_ns = fire_due(bench, &clock_ns, &fired);
        if (late_ns > latest_ns)
            latest_ns = late_ns;
    }
    printf("{\"count\":%zu,\"late_ms\":%.3f,\"fired\":%" PRIu64 "}\n", bench->count,
           (double) latest_ns / 1e6, fired);
}

int main(int argc, char **argv)
{
    struct bench *bench = calloc(1, sizeof *bench);
    int late = argc == 3 && strcmp(argv[1], "late") == 0;
    if (argc != 2 && !late) {
        fprintf(stderr, "usage: bench-wheel [late] COUNT\n");
        return 2;
    }
    if (!bench)
        return 1;
    bench->random = 88172645463325252;
    bench->count = strtoull(argv[argc - 1], NULL, 10);
    if (bench->count == 0 || bench->count > TOUCHES)
        return 2;
    bench->timers = calloc(bench->count, sizeof *bench->timers);
    if (!bench->timers)
        return 1;
    tcpm__wheel_init(&bench->wheel, START_MS);
    if (late)
        measure_lateness(bench);
    else
        measure_cost(bench);
    free(bench->timers);
    free(bench);
    return 0;
}
