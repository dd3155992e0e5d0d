/* SPDX-License-Identifier: MIT */
/*
 * When the steps of a connection were done, for sessions with the option times. Each file that does
 * a step notes it here.
 *
 * What always holds: a connection has the object exactly if it has the flag TIMED; each step that
 * has been done has a time of at least 1.
 */
#include "connection/attempt.h"

#include <errno.h>

int tcpm__times_make(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__rare *rare = tcpm__rare_get(connection);

    if (rare == NULL)
        return -ENOMEM;
    rare->times = tcpm__memory_zeroed(&engine->memory, sizeof *rare->times);
    if (rare->times == NULL)
        return -ENOMEM;
    rare->times->began_ns = tcpm__network_read_clock_ns(&engine->network);
    connection->flags |= TCPM__TIMED;
    return 0;
}

/* At least 1, and at most as much as there is room for. */
static uint32_t limit_us(uint64_t us)
{
    if (us > UINT32_MAX)
        return UINT32_MAX;
    return us == 0 ? 1 : (uint32_t) us;
}

/* Microseconds since the beginning. */
static uint32_t since_beginning(const struct tcpm__times *times, uint64_t now_ns)
{
    return limit_us((now_ns - times->began_ns) / 1000);
}

static uint32_t us_now(const struct tcpm__connection *connection)
{
    return since_beginning(connection->rare->times, tcpm__engine_of(connection)->network.now_ns);
}

void tcpm__times_set_first(struct tcpm__connection *connection, enum tcpm__milestone milestone)
{
    struct tcpm__times *times = connection->rare->times;

    if (times->us[milestone] == 0)
        times->us[milestone] = us_now(connection);
}

void tcpm__times_set_connected(struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = connection->rare->attempt;
    struct tcpm__times *times = connection->rare->times;

    if (attempt != NULL && attempt->count > 0) {
        uint32_t known_us = since_beginning(times, attempt->tries[attempt->index].known_ns);
        uint32_t started_us = times->us[TCPM__STARTED]; /* after a wait, rounded in another way */

        times->us[TCPM__RESOLVED] = known_us > started_us ? known_us : started_us;
    }
    times->us[TCPM__CONNECTED] = us_now(connection);
}

void tcpm__times_set_success(struct tcpm__connection *connection)
{
    struct tcpm__times *times = connection->rare->times;

    if (times->us[TCPM__PROXIED] == 0)
        times->us[TCPM__PROXIED] = times->us[TCPM__CONNECTED];
    times->us[TCPM__SECURED] =
        tcpm__has(connection, TCPM__LAYERED) ? us_now(connection) : times->us[TCPM__PROXIED];
}

void tcpm__times_set_input(struct tcpm__connection *connection)
{
    tcpm__times_set_first(connection, TCPM__FIRST_INPUT);
    connection->rare->times->us[TCPM__LAST_INPUT] = us_now(connection);
}

void tcpm__times_put_off(struct tcpm__connection *connection, uint64_t ns)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;
    struct tcpm__times *times = connection->rare->times;

    for (size_t step = 0; step < TCPM__MILESTONES; step++)
        if (times->us[step] != 0)
            times->us[step] = limit_us(times->us[step] + ns / 1000);
    for (size_t i = 0; i < attempt->count; i++)
        attempt->tries[i].known_ns += ns;
}

void tcpm__times_get(const struct tcpm__connection *connection, struct tcpm_times *ret)
{
    if (!tcpm__has(connection, TCPM__TIMED))
        return;

    const struct tcpm__times *times = connection->rare->times;

    ret->began_ns = times->began_ns;
    ret->started_us = times->us[TCPM__STARTED];
    ret->resolved_us = times->us[TCPM__RESOLVED];
    ret->connected_us = times->us[TCPM__CONNECTED];
    ret->proxied_us = times->us[TCPM__PROXIED];
    ret->secured_us = times->us[TCPM__SECURED];
    ret->first_us = times->us[TCPM__FIRST_INPUT];
    ret->last_us = times->us[TCPM__LAST_INPUT];
}
