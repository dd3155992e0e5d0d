/* SPDX-License-Identifier: MIT */
/*
 * What the clients of the benchmark of names share: the job on the command line. Figures, clock and
 * report are those of ../clients/measure.h.
 */
#ifndef BENCH_NAMES_JOB_H
#define BENCH_NAMES_JOB_H

#include "clients/measure.h"

enum { NAMES_TEXT = 32 /* bytes that any name fits in */ };

struct names_job {
    const char *work;  /* "numbers", "names" or "again"; only ours connects, others look up */
    unsigned port;     /* of the server, on 127.0.0.1 */
    unsigned count;    /* names, or connects, in all */
    unsigned window;   /* as many of them at a time */
    unsigned families; /* 4: addresses of IPv4 only. Default: both */
};

/* Reads "key=value" arguments: work, port, operations, window (or connections), families. Ends the
   program where they make no job. */
void names_job_read(int argc, char **argv, struct names_job *job);

/* Writes the name of a number. */
void names_print(unsigned number, char text[NAMES_TEXT]);

#endif
