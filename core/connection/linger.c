/* SPDX-License-Identifier: MIT */
/*
 * What the peer has acknowledged, and the end of a flush: when a socket may be closed. Called by
 * the ready pass once the queue is empty, and by the deadlines when it is time to look.
 *
 * What always holds: a connection that ends well is closed when the peer's kernel has acknowledged
 * all that was sent, and when no input waits: a close with unread input makes the kernel send RST,
 * which destroys what was flushed.
 */
#include "connection/layer.h"

/* Looks in a row that find nothing new come less and less often; after progress, as often as at
   this step at most. */
#define SWIFT_STEP 6

/* Modulo 2^32, which is more than the kernel holds for any socket: right after a look. */
bool tcpm__linger_is_acknowledged(const struct tcpm__connection *connection)
{
    return !tcpm__has(connection, TCPM__WRITE_FAILED) &&
           connection->left.acknowledged == (uint32_t) connection->sent;
}

bool tcpm__linger_look(struct tcpm__connection *connection)
{
    uint32_t missing = (uint32_t) tcpm__socket_unacknowledged(&connection->socket);
    uint32_t acknowledged = (uint32_t) connection->sent - missing;

    if (acknowledged == connection->left.acknowledged || tcpm__has(connection, TCPM__WRITE_FAILED))
        return false;
    connection->left.acknowledged = acknowledged;
    if (connection->linger_step > SWIFT_STEP)
        connection->linger_step = SWIFT_STEP;
    if (connection->phase == TCPM_PHASE_SHUTTING)
        connection->stamp_ms = tcpm__engine_of(connection)->network.now_ms;
    return true;
}

void tcpm__linger_check_error(struct tcpm__connection *connection)
{
    int code = tcpm__socket_error(&connection->socket);

    if (code < 0 && !tcpm__has(connection, TCPM__WRITE_FAILED))
        tcpm__output_fail(connection, code);
}

void tcpm__linger_send_fin(struct tcpm__connection *connection)
{
    if (tcpm__has(connection, TCPM__FIN_SENT))
        return;
    connection->flags |= TCPM__FIN_SENT;
    tcpm__socket_finish(&connection->socket);
}

/* Throws away what has come in. True: nothing is left for now, and the end is not among it. A look
   may be long after the last read. */
static bool discard_input(struct tcpm__connection *connection)
{
    struct tcpm__socket *socket = &connection->socket;

    if (!tcpm__has(connection, TCPM__LINGERING) &&
        tcpm__socket_is_drained(&tcpm__engine_of(connection)->network, socket))
        return true;
    socket->readable = true;
    tcpm__input_read(connection);
    return !socket->readable && !tcpm__has(connection, TCPM__INPUT_END);
}

/* The kernel announces a socket as writable too when the peer has acknowledged our FIN: that saves
   the time until the next look. */
void tcpm__linger_writable(struct tcpm__connection *connection)
{
    connection->socket.blocked = true;
    if (tcpm__linger_look(connection))
        tcpm__ready(connection);
}

/* An error of a socket that has had its last input is announced only once, maybe before this. Where
   writable is not announced the next look finds out. */
static void begin_linger(struct tcpm__connection *connection)
{
    struct tcpm__network *network = &tcpm__engine_of(connection)->network;

    connection->flags |= TCPM__LINGERING;
    connection->linger_step = 0;
    connection->socket.blocked = true;
    tcpm__linger_send_fin(connection);
    tcpm__socket_watch_output(network, &connection->socket, connection->id);
    if (tcpm__has(connection, TCPM__INPUT_END))
        tcpm__linger_check_error(connection);
    tcpm__deadline_arm(connection);
}

/* The answer to what was sent may come with its acknowledgement: the read is after the look. */
void tcpm__linger_step(struct tcpm__connection *connection)
{
    bool lingers = tcpm__has(connection, TCPM__LINGERING);
    bool input_over = tcpm__has(connection, TCPM__INPUT_END);

    if (!lingers && connection->sent > 0)
        tcpm__linger_look(connection);
    if (tcpm__linger_is_acknowledged(connection)) {
        if (input_over || discard_input(connection)) {
            tcpm__connection_end(connection, connection->reason);
            return;
        }
        if (tcpm__has(connection, TCPM__INPUT_END))
            return; /* just found: the next step knows whether it is an error */
    }
    if (!lingers)
        begin_linger(connection);
    else if (input_over)
        tcpm__linger_check_error(connection); /* it may have come together with that end */
}
