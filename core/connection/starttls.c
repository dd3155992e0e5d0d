/* SPDX-License-Identifier: MIT */
/*
 * TLS that begins in the middle of a stream (flag SECURING): the plain text that is queued goes
 * first, then the handshake takes its turn (reach.c), then the event secure comes, and what was
 * sent meanwhile. Called by tcpm_starttls and by the steps of the connection.
 *
 * What always holds: while SECURING no record is delivered, and bytes that the user sends wait
 * behind target->plain bytes of the queue. No byte that was received in plain text is ever read as
 * if it had come through TLS: a byte that no record has used when the handshake begins ends the
 * connection. The one exception belongs to the last record: the LF of a CR LF that came in two.
 */
#include "connection/flow.h"

#include <errno.h>

int tcpm__starttls_begin(struct tcpm__connection *connection, struct tcpm_tls *tls,
                         const char *server_name)
{
    int result = tcpm__target_need(connection);

    TCPM__ASSERT(!tcpm__has_any(connection, TCPM__SECURING | TCPM__LAYERED));
    if (result == 0)
        result = tcpm__target_name_server(connection, server_name);
    if (result < 0)
        return result;
    struct tcpm__target *target = connection->address.target;
    target->tls = tcpm__tls_spec_hold(tls);
    target->plain = tcpm__buffer_length(connection->queue);
    tcpm__backlog_leave(connection);
    connection->flags |= TCPM__SECURING;
    tcpm__timers_start_timeout(connection, target->connect_timeout_ms);
    tcpm__connection_mark_ready(connection);
    return 0;
}

static void refuse(struct tcpm__connection *connection, size_t length)
{
    connection->session->tls.injected += length;
    tcpm__connection_fail_by_reset(connection, TCPM_OP_TLS, TCPM_EINJECTION, NULL);
}

/* Reads once what has come in plain text. The connection may end by that. */
static void read_plain(struct tcpm__connection *connection)
{
    struct tcpm__network *network = &tcpm__engine_of(connection)->network;
    ssize_t length = tcpm__socket_read(network, &connection->socket, TCPM__READ_PER_ROUND);

    if (length == -EBUSY)
        tcpm__connection_mark_ready(connection); /* the next round reads on */
    if (length == -EAGAIN || length == -EBUSY)
        return;
    if (length <= 0) {
        tcpm__connection_fail(connection, TCPM_OP_TLS,
                              length == 0 ? TCPM_EOF : tcpm__cause_code((int) length), NULL);
        return;
    }
    size_t dropped =
        tcpm__cutter_swallow(&connection->cutter, network->read_buffer, (size_t) length);
    connection->received += dropped;
    connection->session->received += dropped;
    if ((size_t) length > dropped)
        refuse(connection, (size_t) length - dropped);
    else
        tcpm__connection_mark_ready(connection); /* the next step looks once more */
}

/* The event flushed for what has gone before TLS. */
static void tell_flushed(struct tcpm__connection *connection)
{
    uint32_t owed = TCPM__OWES_FLUSHED | TCPM__WAS_FULL;

    if (connection->queue != NULL || !tcpm__has_any(connection, owed))
        return;
    connection->flags &= ~owed;
    tcpm__event_flushed(connection);
}

/* A filter that may hold another record itself is asked for it. 1: it has one. 0: none. Negative:
   the filter's error, with a message in cut. */
static int ask_filter(struct tcpm__connection *connection, struct tcpm_cut *cut)
{
    struct tcpm__cutter *cutter = &connection->cutter;

    return !cutter->more || cutter->ordered ? 0
                                            : tcpm__cutter_next(cutter, connection->in, "", 0, cut);
}

/* Whether bytes or records of plain text are left, which ends the connection. */
static bool has_plain(struct tcpm__connection *connection)
{
    size_t held = tcpm__buffer_length(connection->input);
    struct tcpm_cut cut = {.seen = 0};
    int result = held > 0 ? 1 : ask_filter(connection, &cut);

    if (result > 0)
        refuse(connection, held);
    else if (result < 0)
        tcpm__connection_fail(connection, TCPM_OP_FILTER, result, cut.message);
    return result != 0;
}

void tcpm__starttls_step(struct tcpm__connection *connection)
{
    if (connection->address.target->plain > 0 || tcpm__handshake_of(connection) != NULL)
        return;
    if (tcpm__sending_is_broken(connection)) {
        tcpm__connection_end(connection, TCPM_REASON_ERROR);
        return;
    }
    tell_flushed(connection);
    if (tcpm__is_ending(connection) || !tcpm__has(connection, TCPM__SECURING))
        return; /* the handler has ended it */
    if (has_plain(connection) || tcpm__is_ending(connection))
        return;
    tcpm__socket_mark_readable(&connection->socket);
    read_plain(connection);
    if (!tcpm__is_ending(connection) && !tcpm__socket_is_readable(&connection->socket) &&
        tcpm__handshake_open(connection) < 0)
        tcpm__connection_fail(connection, TCPM_OP_TLS, -ENOMEM, NULL);
}

void tcpm__starttls_secured(struct tcpm__connection *connection)
{
    TCPM__ASSERT(tcpm__has(connection, TCPM__SECURING) && connection->address.target->plain == 0);
    connection->flags &= ~(uint32_t) TCPM__SECURING;
    tcpm__cutter_forget_awaited(&connection->cutter);
    tcpm__timers_start_timeout_now(connection, connection->input_timeout_ms);
    tcpm__event_secure(connection);
    tcpm__output_flush(connection);
    tcpm__connection_mark_ready(connection);
}
