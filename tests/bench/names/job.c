/* SPDX-License-Identifier: MIT */
/* The job of a client of the benchmark of names. */
#include "names/job.h"

#include <stdlib.h>

void names_job_read(int argc, char **argv, struct names_job *job)
{
    unsigned ignored;
    const struct bench_argument known[] = {
        {"work", .text = &job->work},
        {"port", .number = &job->port},
        {"operations", .number = &job->count},
        {"window", .number = &job->window},
        {"connections", .number = &job->window},
        {"families", .number = &job->families},
        {"timeouts", .number = &ignored}, /* the same for all */
    };

    *job = (struct names_job){.work = "names", .window = 1};
    bench_arguments_read(argc, argv, known, sizeof known / sizeof known[0]);
    if (!job->port || !job->count || !job->window) {
        fprintf(stderr,
                "usage: %s [work=numbers|names|again] port=N operations=N [window=N] "
                "[families=4]\n",
                argv[0]);
        exit(2);
    }
}

void names_print(unsigned number, char text[NAMES_TEXT])
{
    snprintf(text, NAMES_TEXT, "n%u.bench.test", number);
}
