/* SPDX-License-Identifier: MIT */
/*
 * The only clock: nobody else in the library asks the system for the time. In line, as each event
 * of a socket reads the clock.
 */
#ifndef TCPM_TRANSPORT_CLOCK_H
#define TCPM_TRANSPORT_CLOCK_H

#include <stdint.h>
#include <time.h>

/* The time of CLOCK_MONOTONIC in nanoseconds. */
static inline uint64_t tcpm__clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

#endif
