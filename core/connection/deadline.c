/* SPDX-License-Identifier: MIT */
/*
 * Timeouts. Each connection has one timer in the wheel for the earliest of its times: the timeout
 * of its phase, its deadline, and the looks that a flush takes. It is lazy: input only moves a
 * stamp, and the timer, when it comes out of the wheel too early, goes back to where it belongs.
 *
 * What always holds: a timer in the wheel is never later than the earliest time; none of them is
 * reported while the kernel has news of the connection that we have not heard.
 */
#include "connection/layer.h"

#include <errno.h>

/* Between two looks at a flush, for each that has found no progress. */
static const uint16_t linger_ms[] = {1, 2, 4, 8, 16, 32, 50, 75, 110, 160, 240, 350, 500};

_Static_assert(sizeof(linger_ms) / sizeof(linger_ms[0]) <= 16, "linger_step has four bits");

static uint64_t now_of(const struct tcpm__connection *connection)
{
    return tcpm__engine_of(connection)->network.now_ms;
}

static bool timeout_stands_still(const struct tcpm__connection *connection)
{
    return connection->phase == TCPM_PHASE_OPEN && tcpm__has(connection, TCPM__PAUSED);
}

/* The timeout of an attempt begins with it; where it has to wait for another one, so does that. */
static bool timeout_rests(const struct tcpm__connection *connection)
{
    return connection->timeout_ms == 0 || connection->phase == TCPM_PHASE_WAITING ||
           timeout_stands_still(connection);
}

static uint64_t timeout_due(const struct tcpm__connection *connection)
{
    if (timeout_rests(connection))
        return UINT64_MAX;
    return tcpm__due_after(connection->stamp_ms, connection->timeout_ms);
}

static uint64_t deadline_due(const struct tcpm__connection *connection)
{
    return connection->deadline_ms == 0 ? UINT64_MAX : connection->deadline_ms;
}

static uint64_t next_look(const struct tcpm__connection *connection)
{
    if (!tcpm__has(connection, TCPM__LINGERING) || tcpm__linger_is_acknowledged(connection))
        return UINT64_MAX;
    return now_of(connection) + linger_ms[connection->linger_step];
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void tcpm__deadline_arm(struct tcpm__connection *connection)
{
    uint64_t due;

    if ((connection->flags & (TCPM__BEGUN | TCPM__ENDING)) != TCPM__BEGUN)
        return;
    due = earlier(timeout_due(connection), deadline_due(connection));
    due = earlier(due, next_look(connection));
    if (due == UINT64_MAX)
        return;
    if (tcpm__timer_armed(&connection->timer) && connection->timer.due_ms <= due)
        return;
    tcpm__wheel_arm(&tcpm__engine_of(connection)->deadlines, &connection->timer, due);
    tcpm__turn_wake(tcpm__engine_of(connection));
}

void tcpm__deadline_cancel(struct tcpm__connection *connection)
{
    tcpm__wheel_cancel(&tcpm__engine_of(connection)->deadlines, &connection->timer);
}

void tcpm__deadline_start_now(struct tcpm__connection *connection, uint32_t timeout_ms)
{
    connection->timeout_ms = timeout_ms;
    connection->stamp_ms = timeout_stands_still(connection) ? 0 : now_of(connection);
    tcpm__deadline_arm(connection);
}

void tcpm__deadline_start(struct tcpm__connection *connection, uint32_t timeout_ms)
{
    tcpm__network_now(&tcpm__engine_of(connection)->network);
    tcpm__deadline_start_now(connection, timeout_ms);
}

/* Until the attempt, deadline_ms is how long the connection may take. */
void tcpm__deadline_begin(struct tcpm__connection *connection)
{
    uint64_t now_ms = tcpm__network_now(&tcpm__engine_of(connection)->network);

    if (connection->deadline_ms != 0 && !tcpm__has(connection, TCPM__BEGUN))
        connection->deadline_ms = tcpm__due_after(now_ms, connection->deadline_ms);
    connection->flags |= TCPM__BEGUN;
    tcpm__deadline_start_now(connection, connection->timeout_ms);
}

void tcpm__deadline_set(struct tcpm__connection *connection, uint64_t ms)
{
    struct tcpm__network *network = &tcpm__engine_of(connection)->network;

    connection->flags &= ~(uint32_t) TCPM__GRACE;
    connection->deadline_ms = ms != 0 && tcpm__has(connection, TCPM__BEGUN)
                                  ? tcpm__due_after(tcpm__network_now(network), ms)
                                  : ms;
    tcpm__deadline_arm(connection);
}

int64_t tcpm__deadline_left(const struct tcpm__connection *connection)
{
    uint64_t least = tcpm__due_after(tcpm__engine_of(connection)->network.now_ms, 0);

    if (connection->deadline_ms == 0 || !tcpm__has(connection, TCPM__BEGUN))
        return (int64_t) connection->deadline_ms;
    return connection->deadline_ms > least ? (int64_t) (connection->deadline_ms - least) : 1;
}

static enum tcpm_timer timer_of_phase(enum tcpm_phase phase)
{
    if (phase == TCPM_PHASE_CONNECTING)
        return TCPM_TIMER_CONNECT;
    return phase == TCPM_PHASE_OPEN ? TCPM_TIMER_INPUT : TCPM_TIMER_SHUTDOWN;
}

static enum tcpm_op op_of_phase(enum tcpm_phase phase)
{
    if (phase <= TCPM_PHASE_CONNECTING)
        return TCPM_OP_CONNECT;
    return phase == TCPM_PHASE_OPEN ? TCPM_OP_READ : TCPM_OP_WRITE;
}

static void time_out(struct tcpm__connection *connection, enum tcpm_timer timer)
{
    connection->timed_out = timer & 15;
    tcpm__connection_forget_cause(connection);
    tcpm__connection_cause(connection, op_of_phase(connection->phase), -ETIMEDOUT, NULL);
    tcpm__connection_end(connection, TCPM_REASON_TIMEOUT);
}

/* Records or an end that the ready pass is about to deliver. */
static bool has_own_news(const struct tcpm__connection *connection)
{
    if (tcpm__has(connection, TCPM__EOF_TOLD))
        return connection->code != TCPM_EOF;
    return connection->phase == TCPM_PHASE_OPEN && !tcpm__has(connection, TCPM__PAUSED) &&
           (connection->socket.readable || tcpm__has(connection, TCPM__MORE | TCPM__INPUT_END));
}

/* After a stall, what the peer sent in time waits in the kernel: let the loop hand it out first. A
   deadline gives that once. */
static bool has_news(struct tcpm__connection *connection, bool deadline)
{
    if (!tcpm__socket_is_open(&connection->socket) || connection->phase == TCPM_PHASE_SHUTTING)
        return false;
    if (deadline && tcpm__has(connection, TCPM__GRACE))
        return false;
    if (!has_own_news(connection) &&
        !tcpm__socket_has_news(&connection->socket, tcpm__has(connection, TCPM__EOF_TOLD)))
        return false;
    if (deadline)
        connection->flags |= TCPM__GRACE;
    return true;
}

/* Output that the peer acknowledges restarts the timeout of the input: that of an upload, which is
   no silence, and all of a connection that has had its last input. */
static void count_progress(struct tcpm__connection *connection)
{
    uint64_t since_ms;

    if (connection->phase != TCPM_PHASE_OPEN || timeout_stands_still(connection) ||
        !tcpm__has(connection, TCPM__UPLOADING | TCPM__EOF_TOLD) || !tcpm__linger_look(connection))
        return;
    if (connection->queue == NULL && tcpm__linger_is_acknowledged(connection))
        connection->flags &= ~(uint32_t) TCPM__UPLOADING;
    since_ms = tcpm__socket_since_acknowledged(&connection->socket);
    if (now_of(connection) - since_ms > connection->stamp_ms)
        connection->stamp_ms = now_of(connection) - since_ms;
}

/* With a send that the kernel may take at once: whether the upload before it is over, so that this
   one does not count as a part of it. */
void tcpm__deadline_look_at_upload(struct tcpm__connection *connection)
{
    tcpm__network_now(&tcpm__engine_of(connection)->network);
    count_progress(connection);
}

/* When a flush has run out of time the kernel is asked again: after a stall it may have room. */
static bool flush_is_due(const struct tcpm__connection *connection)
{
    return connection->phase == TCPM_PHASE_SHUTTING &&
           timeout_due(connection) <= now_of(connection);
}

/* It may send on in the next round: it is our turn that it waits for, not the peer's. */
static bool waits_for_round(struct tcpm__connection *connection)
{
    return connection->phase == TCPM_PHASE_SHUTTING && connection->queue != NULL &&
           tcpm__socket_is_spent(&tcpm__engine_of(connection)->network, &connection->socket);
}

static void look_at_flush(struct tcpm__connection *connection)
{
    if (tcpm__has(connection, TCPM__LINGERING)) {
        if (connection->linger_step + 1u < sizeof(linger_ms) / sizeof(linger_ms[0]))
            connection->linger_step = (connection->linger_step + 1) & 15;
        tcpm__linger_look(connection);
        if (tcpm__linger_is_acknowledged(connection))
            tcpm__ready(connection); /* which closes it, unless there is input */
    } else if (flush_is_due(connection)) {
        tcpm__output_flush(connection);
    }
}

/* A flush ends well when the peer has all of it, even if that peer goes on sending. */
static void end_in_time(struct tcpm__connection *connection, bool deadline)
{
    if (!deadline && tcpm__has(connection, TCPM__LINGERING) &&
        tcpm__linger_is_acknowledged(connection))
        tcpm__connection_end(connection, connection->reason);
    else
        time_out(connection, deadline ? TCPM_TIMER_DEADLINE : timer_of_phase(connection->phase));
}

/* True: the connection has ended. */
static bool take_due(struct tcpm__connection *connection)
{
    uint64_t now = now_of(connection);
    bool deadline;

    look_at_flush(connection);
    if (tcpm__has(connection, TCPM__ENDING))
        return true;
    deadline = deadline_due(connection) <= now;
    if (!deadline && timeout_due(connection) <= now)
        count_progress(connection);
    if (!deadline && timeout_due(connection) > now) {
        tcpm__deadline_arm(connection);
        return false;
    }
    if (has_news(connection, deadline) || (!deadline && waits_for_round(connection))) {
        tcpm__wheel_arm(&tcpm__engine_of(connection)->deadlines, &connection->timer,
                        tcpm__due_after(now, 0));
        return false;
    }
    end_in_time(connection, deadline);
    return true;
}

bool tcpm__deadline_expire(struct tcpm_engine *engine)
{
    struct tcpm__timer *timer;
    bool ended = false;

    while ((timer = tcpm__wheel_expire(&engine->deadlines, engine->network.now_ms)) != NULL)
        ended |= take_due(TCPM__CONTAINER(timer, struct tcpm__connection, timer));
    return ended;
}
