/* SPDX-License-Identifier: MIT */
/*
 * What the torture programs share: random numbers from a seed, memory that is counted and can run
 * out, the end of a run at which nothing may be left, and TAP. A check that fails prints the seed
 * and ends the program: what follows a broken promise proves nothing.
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
/* 0 to bound - 1. */
unsigned chance_below(struct chance *chance, unsigned bound);
/* True once in so many times. */
bool chance_one_in(struct chance *chance, unsigned times);
/* A size from 1 to the largest, small ones most often. */
size_t chance_size(struct chance *chance, size_t largest);

/* ---- checks ---- */

/* What the program is doing: printed when a check fails or time runs out. */
void torture_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void torture_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

#define CHECK(condition)                                        \
    do {                                                        \
        if (!(condition))                                       \
            torture_fail(__FILE__, __LINE__, "%s", #condition); \
    } while (0)
/* The same, with what there is instead. */
#define EXPECT(condition, ...)                             \
    do {                                                   \
        if (!(condition))                                  \
            torture_fail(__FILE__, __LINE__, __VA_ARGS__); \
    } while (0)

/* The program fails unless it is called again within so many seconds. */
void torture_watch(unsigned seconds);
void torture_plan(int tests);
void torture_pass(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Seconds since the program began. */
double torture_seconds(void);

/* ---- an engine on its loop ---- */

struct memory {
    long blocks;       /* allocated now */
    uint64_t requests; /* made in all, those that free not counted */
    uint64_t fail_at;  /* this request fails; 0: none */
    bool fail_on;      /* and all after it */
    uint64_t failed;
};

struct stage {
    uv_loop_t loop;
    struct tcpm_engine *engine; /* NULL: not made, or closed */
    struct memory memory;
    int descriptors; /* before */
    bool closed;
};

/* Counts what is there before anything is made. */
void stage_begin(struct stage *stage);
/* Loop and engine. 0, or what tcpm_engine_create returned; stage_close follows in any case. */
int stage_open(struct stage *stage, const struct tcpm_engine_options *options);
/* Closes the engine, unless that has been asked for, and runs the loop to its end. */
void stage_finish(struct stage *stage);
/* Closes the loop: nothing may be left of anything. */
void stage_close(struct stage *stage);
/* What tcpm_engine_close of a stage's engine needs. */
void stage_close_engine(struct stage *stage);

#endif
