/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the pure parts share: cmocka, a random sequence that is the same in every run,
 * and memory that runs out when it is told to. A test program lists its cases and ends with
 * RUN_TESTS.
 */
#ifndef TESTS_UNIT_SUPPORT_H
#define TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/memory.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define RUN_TESTS(tests)                                  \
    int main(void)                                        \
    {                                                     \
        cmocka_set_message_output(CM_OUTPUT_TAP);         \
        return cmocka_run_group_tests(tests, NULL, NULL); \
    }

/* xorshift64*: never seeded with 0. */
struct randomness {
    uint64_t state;
};

static inline uint64_t random_next(struct randomness *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * UINT64_C(0x2545F4914F6CDD1D);
}

static inline uint64_t random_below(struct randomness *random, uint64_t limit)
{
    return (random_next(random) >> 16) % limit;
}

/* An allocator that counts its blocks, and that fails: after so many successes, once or for good.
 */
struct scarce {
    struct tcpm__memory memory;
    long left; /* successes to come; negative: no end */
    bool for_good;
    long blocks; /* not freed */
    long calls;  /* that asked for memory */
};

static inline void *scarce_reallocate(void *block, size_t size, void *user)
{
    struct scarce *scarce = user;

    if (size == 0) {
        scarce->blocks -= block != NULL;
        free(block);
        return NULL;
    }
    scarce->calls++;
    if (scarce->left == 0) {
        scarce->left = scarce->for_good ? 0 : -1;
        return NULL;
    }
    scarce->left -= scarce->left > 0;
    void *made = realloc(block, size);
    assert_non_null(made);
    scarce->blocks += block == NULL;
    return made;
}

static inline void scarce_init(struct scarce *scarce)
{
    *scarce = (struct scarce){.memory = {scarce_reallocate, scarce}, .left = -1};
}

/* Seconds of this process's own time: what a busy machine does not change. */
static inline double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

#endif
