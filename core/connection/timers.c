/* SPDX-License-Identifier: MIT */
/*
 * The times of a connection: the timeout of its phase, its deadline, the next step of its race
 * (race.c), and the next look at a flush (linger.c). One timer in the wheel serves all four. The
 * timer is lazy: input only moves stamp_ms, and a timer that fires too early is armed again
 * (deadline.c).
 *
 * What always holds: the timer in the wheel is never later than the earliest of the four times.
 */
#include "connection/attempt.h"

/* Pauses between two looks at a flush, in ms, by linger_step: longer after each look that finds no
   progress. */
static const uint16_t linger_ms[] = {1, 2, 4, 8, 16, 32, 50, 75, 110, 160, 240, 350, 500};

/* Whether the look-up waits for others, which takes none of the attempt's time. */
static bool is_queued(const struct tcpm__connection *connection)
{
    return connection->phase == TCPM__PHASE_CONNECTING && connection->rare != NULL &&
           connection->rare->attempt != NULL && connection->rare->attempt->queued;
}

/* Whether no timeout runs. A connection that waits, or waits again, has none: the timeout of an
   attempt begins with the attempt. */
static bool timeout_rests(const struct tcpm__connection *connection)
{
    return connection->timeout_ms == 0 || connection->phase == TCPM__PHASE_WAITING ||
           tcpm__timeout_stands_still(connection) || is_queued(connection);
}

uint64_t tcpm__timers_timeout_due(const struct tcpm__connection *connection)
{
    if (timeout_rests(connection))
        return UINT64_MAX;
    return tcpm__due_after(connection->stamp_ms, connection->timeout_ms);
}

uint64_t tcpm__timers_deadline_due(const struct tcpm__connection *connection)
{
    return connection->deadline_ms == 0 ? UINT64_MAX : connection->deadline_ms;
}

/* Clock of the next look at a flush, in ms; UINT64_MAX: none is needed. A look is no promise to the
   user, so it may come early by a fraction of a ms, unlike a timeout (tcpm__due_after). */
static uint64_t next_look(const struct tcpm__connection *connection)
{
    if (connection->sending != TCPM__SENDING_LINGERING || tcpm__sending_is_acknowledged(connection))
        return UINT64_MAX;
    return tcpm__now_of(connection) + linger_ms[connection->linger_step];
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void tcpm__timers_arm(struct tcpm__connection *connection)
{
    if (!tcpm__has(connection, TCPM__BEGUN) || tcpm__is_ending(connection))
        return;
    uint64_t due =
        earlier(tcpm__timers_timeout_due(connection), tcpm__timers_deadline_due(connection));
    due =
        earlier(due, connection->phase == TCPM__PHASE_CONNECTING ? tcpm__timers_race_due(connection)
                                                                 : next_look(connection));
    if (due == UINT64_MAX)
        return;
    if (tcpm__timer_armed(&connection->timer) && connection->timer.due_ms <= due)
        return;
    tcpm__wheel_arm(&tcpm__engine_of(connection)->deadlines, &connection->timer, due);
    tcpm__engine_wake(tcpm__engine_of(connection));
}

void tcpm__timers_cancel(struct tcpm__connection *connection)
{
    tcpm__wheel_cancel(&tcpm__engine_of(connection)->deadlines, &connection->timer);
}

void tcpm__timers_start_timeout_now(struct tcpm__connection *connection, uint32_t timeout_ms)
{
    connection->timeout_ms = timeout_ms;
    connection->stamp_ms = tcpm__timeout_stands_still(connection) ? 0 : tcpm__now_of(connection);
    tcpm__timers_arm(connection);
}

void tcpm__timers_start_timeout(struct tcpm__connection *connection, uint32_t timeout_ms)
{
    tcpm__network_read_clock(&tcpm__engine_of(connection)->network);
    tcpm__timers_start_timeout_now(connection, timeout_ms);
}

/* The first attempt turns deadline_ms from a duration into a time of the clock. */
void tcpm__timers_begin_attempt(struct tcpm__connection *connection)
{
    uint64_t now_ms = tcpm__network_read_clock(&tcpm__engine_of(connection)->network);

    if (connection->deadline_ms != 0 && !tcpm__has(connection, TCPM__BEGUN))
        connection->deadline_ms = tcpm__due_after(now_ms, connection->deadline_ms);
    connection->flags |= TCPM__BEGUN;
    tcpm__timers_start_timeout_now(connection, connection->timeout_ms);
}

/* A timeout that was set meanwhile runs from now. */
void tcpm__timers_put_off_timeout(struct tcpm__connection *connection, uint64_t ms)
{
    uint64_t now_ms = tcpm__now_of(connection);

    connection->stamp_ms += ms;
    if (connection->stamp_ms > now_ms)
        connection->stamp_ms = now_ms;
    tcpm__timers_arm(connection);
}

void tcpm__timers_set_deadline(struct tcpm__connection *connection, uint64_t ms)
{
    struct tcpm__network *network = &tcpm__engine_of(connection)->network;

    connection->flags &= ~(uint32_t) TCPM__GRACE;
    connection->deadline_ms = ms != 0 && tcpm__has(connection, TCPM__BEGUN)
                                  ? tcpm__due_after(tcpm__network_read_clock(network), ms)
                                  : ms;
    tcpm__timers_arm(connection);
}

int64_t tcpm__timers_deadline_left(const struct tcpm__connection *connection)
{
    uint64_t least = tcpm__due_after(tcpm__engine_of(connection)->network.now_ms, 0);

    if (connection->deadline_ms == 0 || !tcpm__has(connection, TCPM__BEGUN))
        return (int64_t) connection->deadline_ms;
    return connection->deadline_ms > least ? (int64_t) (connection->deadline_ms - least) : 1;
}

/* Called at each look, before it: progress that the look finds makes the pause shorter again. */
void tcpm__timers_delay_looks(struct tcpm__connection *connection)
{
    if (connection->linger_step + 1u < sizeof linger_ms / sizeof linger_ms[0])
        connection->linger_step++;
}
