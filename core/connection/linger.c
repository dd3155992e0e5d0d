/* SPDX-License-Identifier: MIT */
/*
 * Acknowledgements, and the end of a flush: when a socket may be closed. A look asks the kernel how
 * many bytes the peer has acknowledged. Called by the ready pass once the queue is empty, and by
 * deadline.c when a look is due.
 *
 * What always holds: a connection that ends well is closed only when the peer's kernel has
 * acknowledged all bytes and no input waits: a close with unread input makes the kernel send RST,
 * which destroys bytes that the peer has not read yet.
 */
#include "connection/flow.h"

/* Pauses between looks grow with each look that finds no progress (timers.c). After progress
   linger_step falls to this step, if it is higher. */
enum { SWIFT_STEP = 6 };

bool tcpm__linger_check_acknowledged(struct tcpm__connection *connection)
{
    uint32_t missing = (uint32_t) tcpm__socket_unacknowledged(&connection->socket);
    uint32_t acknowledged = (uint32_t) tcpm__sending_carried(connection) - missing;

    if (acknowledged == connection->left.acknowledged || tcpm__sending_is_broken(connection))
        return false;
    connection->left.acknowledged = acknowledged;
    if (connection->linger_step > SWIFT_STEP)
        connection->linger_step = SWIFT_STEP;
    if (connection->phase == TCPM__PHASE_FLUSHING)
        connection->stamp_ms = tcpm__engine_of(connection)->network.now_ms;
    return true;
}

/* Output that the peer acknowledges restarts the input timeout in two cases: during an upload, as
   the peer is not silent then, and after the peer's FIN, when no input can come. */
void tcpm__linger_count_progress(struct tcpm__connection *connection)
{
    if (connection->phase != TCPM__PHASE_OPEN || tcpm__timeout_stands_still(connection) ||
        !tcpm__has_any(connection, TCPM__UPLOADING | TCPM__EOF_TOLD) ||
        !tcpm__linger_check_acknowledged(connection))
        return;
    if (connection->queue == NULL && tcpm__sending_is_acknowledged(connection))
        connection->flags &= ~(uint32_t) TCPM__UPLOADING;
    uint64_t since_ms = tcpm__socket_since_acknowledged(&connection->socket);
    if (tcpm__now_of(connection) - since_ms > connection->stamp_ms)
        connection->stamp_ms = tcpm__now_of(connection) - since_ms;
}

/* Called before a send that the kernel may take at once: if all earlier bytes are acknowledged,
   this send does not belong to the upload before. */
void tcpm__linger_check_upload(struct tcpm__connection *connection)
{
    tcpm__network_read_clock(&tcpm__engine_of(connection)->network);
    tcpm__linger_count_progress(connection);
}

/* Sends the last bytes of the layer, and accounts for what is kept of them. As kind->finish. */
__attribute__((noinline)) static int finish_layer(struct tcpm__connection *connection,
                                                  struct tcpm__layer *layer)
{
    int result = tcpm__stream_finish(layer, &connection->socket);

    tcpm__target_weigh(connection);
    return result;
}

/* The last bytes of the layer come before FIN. While the socket takes no more of these bytes, FIN
   waits. */
void tcpm__linger_send_fin(struct tcpm__connection *connection)
{
    if (connection->sending != TCPM__SENDING_SHUT)
        return;
    TCPM__ASSERT(connection->queue == NULL);
    struct tcpm__layer *layer = tcpm__layer_of(connection);
    int result = layer != NULL ? finish_layer(connection, layer) : 1;
    if (result < 0)
        tcpm__sending_fail(connection, result);
    if (result <= 0)
        return;
    tcpm__connection_set_sending(connection, TCPM__SENDING_FINISHED);
    tcpm__socket_send_fin(&connection->socket);
}

/* Throws away input that has come after the shutdown. True: no input is left for now, and no EOF or
   error has come. A lingering connection always reads, as its last read may be long ago. */
static bool discard_input(struct tcpm__connection *connection)
{
    struct tcpm__socket *socket = &connection->socket;

    if (connection->sending != TCPM__SENDING_LINGERING &&
        tcpm__socket_is_drained(&tcpm__engine_of(connection)->network, socket))
        return true;
    tcpm__socket_mark_readable(socket);
    tcpm__input_read(connection);
    return !tcpm__socket_is_readable(socket) && !tcpm__has(connection, TCPM__INPUT_END);
}

/* The kernel announces a socket as writable also when the peer has acknowledged our FIN. That event
   saves the time until the next look. */
void tcpm__linger_writable(struct tcpm__connection *connection)
{
    tcpm__socket_await_writable(&connection->socket);
    if (tcpm__linger_check_acknowledged(connection))
        tcpm__connection_mark_ready(connection);
}

/* Sends FIN and begins to wait for acknowledgements. After the end of the input an error of the
   socket is announced only once, maybe earlier, so the socket is asked now. Acknowledgements are
   announced by the event writable, or else found by a look. */
static void begin_linger(struct tcpm__connection *connection)
{
    tcpm__linger_send_fin(connection);
    if (connection->sending != TCPM__SENDING_FINISHED)
        return;
    connection->linger_step = 0;
    tcpm__socket_await_writable(&connection->socket);
    tcpm__connection_set_sending(connection, TCPM__SENDING_LINGERING);
    if (tcpm__has(connection, TCPM__INPUT_END))
        tcpm__sending_check_error(connection);
    tcpm__timers_arm(connection);
}

/* Looks first, then reads: a peer's answer to our last bytes may arrive in one packet with their
   acknowledgement. */
void tcpm__linger_step(struct tcpm__connection *connection)
{
    bool lingers = connection->sending == TCPM__SENDING_LINGERING;
    bool input_over = tcpm__has(connection, TCPM__INPUT_END);

    if (!lingers && tcpm__sending_carried(connection) > 0)
        tcpm__linger_check_acknowledged(connection);
    if (tcpm__sending_is_acknowledged(connection)) {
        if (input_over || discard_input(connection)) {
            tcpm__connection_end(connection, connection->reason);
            return;
        }
        if (tcpm__has(connection, TCPM__INPUT_END))
            return; /* discard_input has met the end: the next step tells EOF from an error */
    }
    if (!lingers)
        begin_linger(connection);
    else if (input_over)
        tcpm__sending_check_error(connection); /* an error may have come with the end of input */
}
