/* SPDX-License-Identifier: MIT */
/*
 * What the torture programs share: random numbers from a seed, a stage (loop and engine) whose
 * memory is counted and can run out, the assertion that nothing is left when a stage is closed, and
 * TAP. A failed check prints the seed and ends the program: what happens after a broken promise
 * proves nothing.
 */
#ifndef TESTS_TORTURE_COMMON_H
#define TESTS_TORTURE_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "tcpmulti.h"

/* ---- random numbers ---- */

struct chance {
    uint64_t state;
};

uint64_t chance_next(struct chance *chance);
/* Returns a number from 0 to bound - 1. */
unsigned chance_below(struct chance *chance, unsigned bound);
/* Returns true once in so many times, on average. */
bool chance_one_in(struct chance *chance, unsigned times);
/* Returns a size from 1 to the largest; small sizes come most often. */
size_t chance_size(struct chance *chance, size_t largest);

/* ---- checks ---- */

/* Says what the program is doing now. The text is printed when a check fails or time runs out. */
void torture_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void torture_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

#define CHECK(condition)                                        \
    do {                                                        \
        if (!(condition))                                       \
            torture_fail(__FILE__, __LINE__, "%s", #condition); \
    } while (0)
/* As CHECK, with a message in the manner of printf that says what was found instead. */
#define EXPECT(condition, ...)                             \
    do {                                                   \
        if (!(condition))                                  \
            torture_fail(__FILE__, __LINE__, __VA_ARGS__); \
    } while (0)

/* Starts the watchdog anew: unless torture_watch is called again within so many seconds, the
   program fails. */
void torture_watch(unsigned seconds);
void torture_plan(int tests);
void torture_pass(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Seconds since the program began. */
double torture_seconds(void);

/* ---- an engine on its loop ---- */

/* The allocator of a stage's engine. */
struct memory {
    long blocks;       /* allocated now */
    uint64_t requests; /* for memory so far; calls that free do not count */
    uint64_t fail_at;  /* number of the request that fails; 0: none */
    bool fail_on;      /* whether all requests after fail_at fail too */
    uint64_t failed;   /* requests that were made to fail */
};

struct stage {
    uv_loop_t loop;
    struct tcpm_engine *engine; /* NULL: not created, or closed */
    struct memory memory;
    int descriptors; /* open in this process when the stage began */
    bool closed;     /* the engine has said that it is closed */
};

/* Counts the open descriptors, before anything is created. */
void stage_begin(struct stage *stage);
/* Creates loop and engine. Returns 0, or the error of tcpm_engine_create; stage_close follows in
   any case. */
int stage_open(struct stage *stage, const struct tcpm_engine_options *options);
/* Closes the engine, unless it is closing already, and runs the loop to its end. */
void stage_finish(struct stage *stage);
/* Closes the loop, and checks that no handle, descriptor or block of memory is left. */
void stage_close(struct stage *stage);
/* Begins to close the engine: tcpm_engine_close with what the stage needs. */
void stage_close_engine(struct stage *stage);

#endif
