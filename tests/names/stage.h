/* SPDX-License-Identifier: MIT */
/*
 * A getaddrinfo of the test's own in place of the C library's, for programs that the linker builds
 * with --wrap=getaddrinfo,--wrap=freeaddrinfo. The answer is what the name says:
 *
 *     hang-...  waits until the gate is open, and is then as any other name
 *     many      100 addresses, 10.0.0.1 and so on
 *     code N    the result N
 *     errno N   the result EAI_SYSTEM with this errno
 *     others    ::1 and 127.0.0.1, with a port that nobody has asked for
 */
#ifndef TESTS_NAMES_STAGE_H
#define TESTS_NAMES_STAGE_H

#include <pthread.h>
#include <stdbool.h>

struct stage {
    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t changed;
    bool is_open;         /* names that hang go on */
    int inside, most;     /* threads in getaddrinfo: now, and at once */
    int calls;            /* of getaddrinfo */
    bool signal_can_come; /* a thread was seen that does not block all signals */
};

extern struct stage stage;

/* The gate is closed and nothing has been counted. */
void stage_reset(void);

void stage_open_gate(bool is_open);

/* Waits until getaddrinfo was called so often, and so many of these calls have not returned. */
void stage_wait(int calls, int inside);

/* Threads that are in getaddrinfo now. */
int stage_inside(void);

#endif
