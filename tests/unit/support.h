/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the pure parts share: cmocka, random numbers that are the same in every run,
 * and an allocator that fails on demand. A test program lists its cases in a table and ends with
 * RUN_TESTS(table). The pure parts know no clock and no sockets, so time and input are made up.
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

/* A generator of random numbers, xorshift64*. The seed must not be 0. */
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

/* An allocator that counts its blocks. It fails after `left` more requests, once or for good; then
   tests assert that the part under test reports the failure and frees everything. */
struct scarce {
    struct tcpm__memory memory;
    long left;     /* requests that still succeed; negative: all do */
    bool for_good; /* whether all requests after the failed one fail too */
    long blocks;   /* allocated and not yet freed */
    long calls;    /* requests for memory so far */
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

/* Returns the CPU time of this process, in seconds. A busy machine hardly changes it. */
static inline double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

#endif
