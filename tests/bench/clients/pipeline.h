/* SPDX-License-Identifier: MIT */
/*
 * What the two clients of the pipeline comparison share: each of so many connections sends 16 PINGs
 * to a Redis server by as many calls, waits for the 16 answers, and begins again.
 *
 * usage: PROGRAM PORT ANSWERS     prints the nanoseconds of CPU time for each answer
 */
#ifndef BENCH_PIPELINE_H
#define BENCH_PIPELINE_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PIPELINE_CONNECTIONS = 1000, PIPELINE_DEPTH = 16 };

struct pipeline {
    int port;
    long wanted, answers; /* by all connections */
};

static inline struct pipeline pipeline_begin(int argc, char **argv)
{
    if (argc != 3)
        exit(2);
    return (struct pipeline){.port = (int) strtol(argv[1], NULL, 10),
                             .wanted = strtol(argv[2], NULL, 10)};
}

static inline int pipeline_end(const struct pipeline *pipeline)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    printf("%.1f\n", ((double) used.tv_sec * 1e9 + (double) used.tv_nsec) /
                         (double) (pipeline->answers > 0 ? pipeline->answers : 1));
    return pipeline->answers >= pipeline->wanted ? 0 : 1;
}

#endif
