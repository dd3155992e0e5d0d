/* SPDX-License-Identifier: MIT */
/*
 * Times that have come: handles the connections whose timers come out of the wheel (timers.c).
 * Called by the engine's timer, and inside of a long dispatch.
 *
 * What always holds: no timeout is reported while the kernel has news of the connection (bytes, EOF
 * or an error) that we have not read.
 */
#include "connection/life.h"

#include <errno.h>

static enum tcpm_timer timer_of(const struct tcpm__connection *connection)
{
    if (connection->phase == TCPM__PHASE_CONNECTING)
        return TCPM_TIMER_CONNECT;
    if (tcpm__has(connection, TCPM__SECURING))
        return TCPM_TIMER_TLS;
    return connection->phase == TCPM__PHASE_OPEN ? TCPM_TIMER_INPUT : TCPM_TIMER_SHUTDOWN;
}

/* Whether nothing but the look-up is under way. */
static bool is_looked_up(const struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = tcpm__attempt_of(connection);

    return attempt != NULL && tcpm__attempt_awaits(attempt) && tcpm__racers_live(connection) == 0;
}

static enum tcpm_op op_of(const struct tcpm__connection *connection)
{
    if (tcpm__handshake_of(connection) != NULL || tcpm__has(connection, TCPM__SECURING))
        return TCPM_OP_TLS;
    if (connection->phase <= TCPM__PHASE_CONNECTING)
        return is_looked_up(connection) ? TCPM_OP_RESOLVE : TCPM_OP_CONNECT;
    return connection->phase == TCPM__PHASE_OPEN ? TCPM_OP_READ : TCPM_OP_WRITE;
}

/* Before a dialogue with a proxy has begun: a message only where proxies are between. */
static void set_cause(struct tcpm__connection *connection)
{
    char *why = tcpm__passage_explain(connection, -ETIMEDOUT, NULL);

    tcpm__connection_set_cause(connection, op_of(connection), -ETIMEDOUT, why);
    tcpm__memory_free(&tcpm__engine_of(connection)->memory, why);
}

static void time_out(struct tcpm__connection *connection, enum tcpm_timer timer)
{
    char why[TCPM__DIALOGUE_WHY];

    connection->timed_out = timer;
    tcpm__connection_forget_cause(connection);
    if (tcpm__proxies_explain(connection, -ETIMEDOUT, why))
        tcpm__connection_set_cause(connection, TCPM_OP_PROXY, -ETIMEDOUT, why);
    else
        set_cause(connection);
    tcpm__connection_end(connection, TCPM_REASON_TIMEOUT);
}

/* Whether the ready pass is about to deliver a record or an end. */
static bool has_own_news(const struct tcpm__connection *connection)
{
    const struct tcpm__handshake *handshake = tcpm__handshake_of(connection);

    if (handshake != NULL && handshake->state == TCPM__HANDSHAKE_READY)
        return true;
    if (tcpm__has(connection, TCPM__EOF_TOLD))
        return connection->code != TCPM_EOF;
    return connection->phase == TCPM__PHASE_OPEN &&
           !tcpm__has_any(connection, TCPM__PAUSED | TCPM__SECURING) &&
           (tcpm__socket_is_readable(&connection->socket) ||
            tcpm__has_any(connection, TCPM__MORE | TCPM__INPUT_END));
}

/* Whether the connection's own socket has something to tell. */
static bool has_socket_news(const struct tcpm__connection *connection)
{
    return tcpm__socket_is_open(&connection->socket) &&
           (has_own_news(connection) ||
            tcpm__socket_has_news(&connection->socket, tcpm__has(connection, TCPM__EOF_TOLD)));
}

/* Whether news of the peer is to be delivered before the time counts. After a stall of the process,
   bytes that came in time may still wait in the kernel. A deadline is put off in this way only
   once. */
static bool has_news(struct tcpm__connection *connection, bool deadline)
{
    if (connection->phase == TCPM__PHASE_FLUSHING)
        return false;
    if (deadline && tcpm__has(connection, TCPM__GRACE))
        return false;
    if (!has_socket_news(connection) && !tcpm__racers_have_news(connection))
        return false;
    if (deadline)
        connection->flags |= TCPM__GRACE;
    return true;
}

/* Whether a flush has run out of time. */
static bool flush_is_due(const struct tcpm__connection *connection)
{
    return connection->phase == TCPM__PHASE_FLUSHING &&
           tcpm__timers_timeout_due(connection) <= tcpm__now_of(connection);
}

/* Whether the flush waits for its next round, which is our doing, not the peer's. */
static bool waits_for_round(struct tcpm__connection *connection)
{
    return connection->phase == TCPM__PHASE_FLUSHING && connection->queue != NULL &&
           tcpm__socket_is_spent(&tcpm__engine_of(connection)->network, &connection->socket);
}

/* Asks the kernel once more before a flush may time out: after a stall of the process, all may be
   acknowledged, or the kernel may have room again. */
static void look_at_flush(struct tcpm__connection *connection)
{
    if (connection->sending == TCPM__SENDING_LINGERING) {
        tcpm__timers_delay_looks(connection);
        tcpm__linger_check_acknowledged(connection);
        if (tcpm__sending_is_acknowledged(connection))
            tcpm__connection_mark_ready(
                connection); /* the step ends the flush, unless input waits */
    } else if (flush_is_due(connection)) {
        tcpm__output_flush(connection);
    }
}

/* Ends the connection, as its time has come. That is a good end for a flush of which the peer has
   acknowledged everything, even if the peer goes on sending. */
static void end_in_time(struct tcpm__connection *connection, bool deadline)
{
    if (!deadline && connection->sending == TCPM__SENDING_LINGERING &&
        tcpm__sending_is_acknowledged(connection))
        tcpm__connection_end(connection, connection->reason);
    else
        time_out(connection, deadline ? TCPM_TIMER_DEADLINE : timer_of(connection));
}

/* Handles a timer that has come out of the wheel. True: the end of the connection is decided. */
static bool expire(struct tcpm__connection *connection)
{
    uint64_t now = tcpm__now_of(connection);

    look_at_flush(connection);
    if (tcpm__is_ending(connection))
        return true;
    bool deadline = tcpm__timers_deadline_due(connection) <= now;
    if (!deadline && tcpm__timers_timeout_due(connection) <= now)
        tcpm__linger_count_progress(connection);
    if (!deadline && tcpm__timers_timeout_due(connection) > now) {
        if (tcpm__timers_race_due(connection) <= now)
            tcpm__race_go_on_in_time(connection);
        tcpm__timers_arm(connection);
        return tcpm__is_ending(connection);
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
        ended |= expire(TCPM__CONTAINER(timer, struct tcpm__connection, timer));
    return ended;
}
