/* SPDX-License-Identifier: MIT */
/*
 * The public function that shows the state of an engine to people.
 */
#include "api/check.h"
#include "connection/line.h"

int tcpm_engine_dump(struct tcpm_engine *engine, void (*on_line)(const char *line, void *user),
                     void *user)
{
    if (engine == NULL || on_line == NULL)
        return -EINVAL;
    tcpm__dump_engine(engine, on_line, user);
    return 0;
}
