/* SPDX-License-Identifier: MIT */
/*
 * Outcomes: decides how a connection ends. Whatever goes wrong, or is wished by the user, becomes a
 * cause (cause.c) and a decision. The ready pass then delivers the last events (connection.c).
 *
 * What always holds: the first decision stands, except that an abort replaces a decision whose
 * events have not begun.
 */
#include "connection/attempt.h"

#include <errno.h>

/* Takes a connection that waits out of its queue. */
static void leave_queue(struct tcpm__connection *connection)
{
    if (tcpm__has(connection, TCPM__ADDRESS_FULL))
        tcpm__addresses_leave(connection);
    else
        tcpm__places_leave(connection);
}

void tcpm__connection_end(struct tcpm__connection *connection, enum tcpm_reason reason)
{
    if (tcpm__is_ending(connection))
        return;
    if (connection->phase == TCPM__PHASE_WAITING)
        leave_queue(connection);
    tcpm__backlog_leave(connection);
    if (!tcpm__has(connection, TCPM__QUAD))
        tcpm__handshake_close(connection);
    tcpm__timers_cancel(connection);
    connection->reason = reason;
    tcpm__connection_set_phase(connection, TCPM__PHASE_ENDING);
    tcpm__connection_mark_ready(connection);
}

void tcpm__connection_fail(struct tcpm__connection *connection, enum tcpm_op op, int code,
                           const char *message)
{
    if (tcpm__is_ending(connection))
        return;
    tcpm__connection_forget_cause(connection);
    tcpm__connection_set_cause(connection, op, code, message);
    tcpm__connection_end(connection, tcpm__has(connection, TCPM__HAD_SUCCESS)
                                         ? TCPM_REASON_ERROR
                                         : TCPM_REASON_FAILURE);
}

void tcpm__connection_fail_to_reach(struct tcpm__connection *connection, enum tcpm_op op, int code,
                                    const char *message)
{
    char *text = tcpm__passage_explain(connection, code, message);

    tcpm__connection_fail(connection, op, code, text == NULL ? message : text);
    tcpm__memory_free(&tcpm__engine_of(connection)->memory, text);
}

void tcpm__connection_fail_by_reset(struct tcpm__connection *connection, enum tcpm_op op, int code,
                                    const char *message)
{
    connection->flags |= TCPM__RESET;
    tcpm__connection_fail(connection, op, code, message);
}

void tcpm__connection_reset(struct tcpm__connection *connection, enum tcpm_reason reason)
{
    connection->flags |= TCPM__RESET;
    tcpm__connection_end(connection, reason);
}

void tcpm__connection_abort(struct tcpm__connection *connection, const char *message)
{
    tcpm__connection_reset(connection, TCPM_REASON_ERROR);
    if (tcpm__has(connection, TCPM__TELLING))
        return;
    tcpm__connection_forget_cause(connection);
    tcpm__connection_set_cause(connection, TCPM_OP_FAIL, -ECANCELED, message);
    connection->flags |= TCPM__UNTOLD;
    connection->timed_out = 0;
    connection->reason = TCPM_REASON_ERROR;
}

void tcpm__connection_shutdown(struct tcpm__connection *connection, enum tcpm_reason reason)
{
    if (tcpm__is_shutting(connection))
        return;
    if (tcpm__has(connection, TCPM__EOF_TOLD) && reason == TCPM_REASON_SHUTDOWN)
        reason = TCPM_REASON_EOF;
    if (connection->phase != TCPM__PHASE_OPEN) {
        tcpm__connection_end(connection, reason);
        return;
    }
    tcpm__backlog_leave(connection);
    if (tcpm__has(connection, TCPM__SECURING))
        tcpm__target_stay_plain(connection);
    tcpm__sending_shut(connection);
    connection->reason = reason;
    tcpm__connection_set_phase(connection, TCPM__PHASE_FLUSHING);
    tcpm__timers_start_timeout(connection, connection->shutdown_timeout_ms);
    tcpm__connection_mark_ready(connection);
}

void tcpm__connection_shutdown_output(struct tcpm__connection *connection)
{
    if (tcpm__has(connection, TCPM__EOF_TOLD)) {
        tcpm__connection_shutdown(connection, TCPM_REASON_EOF);
        return;
    }
    tcpm__sending_shut(connection);
    tcpm__connection_mark_ready(connection);
}
