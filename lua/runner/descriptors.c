/* SPDX-License-Identifier: MIT */
/*
 * Descriptors and limits of the process, set by main.c before anything opens a file. Descriptors 0
 * to 2 are always open, so that no connection can become standard output by getting its number; the
 * process may open as many descriptors as the system allows.
 */
#include "runner.h"

#include <sys/resource.h>

#include "runtime.h"

static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void tcpm__runner_descriptors_prepare(void)
{
    tcpm__lua_fill_descriptors();
    raise_file_limit();
}
