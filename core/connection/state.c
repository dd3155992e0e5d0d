/* SPDX-License-Identifier: MIT */
/*
 * The states of a connection: its phase, and the state of its sending half. Each of the two is
 * changed by one setter, in record.h. The arrows below name the functions that call the setters.
 *
 *     tcpm__connection_create
 *         |
 *         v         tcpm__attempt_start                 succeed (attempt.c)
 *      WAITING -------------------------> CONNECTING -------------------------> OPEN
 *         |  ^                             |   |                                | |
 *         |  '-----------------------------'   |       tcpm__connection_shutdown| |
 *         |     tcpm__places_wait_again        |                                v |
 *         |     tcpm__addresses_wait           |                                  |
 *         |                                    |                         FLUSHING |
 *         |      tcpm__connection_end          |                                | |
 *         '------------------------------------+------------------------------> v v
 *                                                                             ENDING
 *                                                 finish (connection.c)         |
 *                    destroyed, after disconnected <--------- CLOSED <----------'
 *
 * What always holds in each phase. WAITING: there is no socket. Before the first attempt
 * timer.due_ms is the number of the request; afterwards (flag BEGUN) the timer runs for the
 * deadline. CONNECTING: a look-up runs, or the socket is open and connects, or racers are and do.
 * OPEN, FLUSHING: the socket is open and connected. FLUSHING: the sending half is shut, no record
 * is delivered any more, and reason is known. ENDING: no timer is armed; reason, code, op and
 * timed_out are known; the connection is marked as ready, or its step runs, and nothing but finish
 * is left to do. CLOSED: there is no socket and no place.
 *
 *            tcpm__sending_shut       tcpm__linger_send_fin      begin_linger (linger.c)
 *      OPEN --------------------> SHUT -----------------> FINISHED -----------> LINGERING
 *       | tcpm__sending_break      |                         |                      |
 *       v                          v  tcpm__sending_break    v                      v
 *     BROKEN ----------------> BROKEN_SHUT <----------------------------------------'
 *            tcpm__sending_shut
 *
 * What always holds in each state. OPEN, SHUT: the queue may hold bytes. FINISHED, LINGERING: the
 * queue is empty; left.acknowledged is valid. BROKEN, BROKEN_SHUT: left.lost is valid. LINGERING
 * begins only in the phase FLUSHING.
 */
#include "connection/record.h"

void tcpm__sending_break(struct tcpm__connection *connection)
{
    bool takes_records = tcpm__sending_takes_records(connection);

    tcpm__connection_set_sending(connection,
                                 takes_records ? TCPM__SENDING_BROKEN : TCPM__SENDING_BROKEN_SHUT);
    connection->left.lost = 0;
}

/* The failed call has taken the error off the socket, so the cause is noted now. Bytes that the
   peer sent before are still to be read. */
void tcpm__sending_fail(struct tcpm__connection *connection, int code)
{
    if (connection->code == TCPM_EOF)
        connection->code = 0; /* the error is the cause, not the peer's FIN before it */
    tcpm__connection_set_stream_cause(connection, TCPM_OP_WRITE, code);
    tcpm__sending_break(connection);
    tcpm__socket_expect_more(&connection->socket);
    tcpm__connection_mark_ready(connection);
}

void tcpm__sending_check_error(struct tcpm__connection *connection)
{
    int code = tcpm__socket_take_error(&connection->socket);

    if (code < 0 && !tcpm__sending_is_broken(connection))
        tcpm__sending_fail(connection, code);
}

uint64_t tcpm__sending_unsent(const struct tcpm__connection *connection)
{
    uint64_t lost = tcpm__sending_is_broken(connection) ? connection->left.lost : 0;

    return tcpm__buffer_length(connection->queue) + lost;
}
