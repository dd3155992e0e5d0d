/* SPDX-License-Identifier: MIT */
/*
 * Output: records become bytes, and the bytes go to the kernel. If the queue is empty they go at
 * once; otherwise behind the queue, when the kernel has room again. Called by tcpm_send(), by the
 * events of sockets and by the ready pass. Acknowledgements are the business of linger.c.
 *
 * What always holds: bytes accepted from the user are sent in order, or counted as unsent at the
 * end of the connection.
 */
#include "connection/flow.h"

#include <errno.h>

enum {
    SEND_PER_ROUND = 262144, /* most bytes that one connection's queue sends in a round */
    LEAST = 16384,           /* bytes that a layer gets at a time, however little memory is left */
};

/* ---- accounts ---- */

static void account_queued(struct tcpm__connection *connection, size_t before)
{
    struct tcpm_session *session = connection->session;
    uint64_t change = (uint64_t) tcpm__buffer_length(connection->queue) - before;

    session->queued += change; /* modulo 2^64, so a negative change works too */
    session->engine->bytes.held += change;
}

static void account_sent(struct tcpm__connection *connection, size_t length)
{
    connection->sent += length;
    connection->session->sent += length;
}

/* ---- to the kernel ---- */

/* Switches Nagle's algorithm off, before the second send of a connection. The algorithm holds bytes
   back only while earlier bytes are not acknowledged, so the first send needs no option, and many
   connections send only once. A layer has sent its handshake before. */
static void set_nodelay(struct tcpm__connection *connection)
{
    if (tcpm__has(connection, TCPM__NODELAY_SET) || connection->session->options.no_nodelay != 0)
        return;
    tcpm__socket_set_nodelay(&connection->socket);
    connection->flags |= TCPM__NODELAY_SET;
}

/* Bytes that may be held beside those that are, under max_memory. */
static uint64_t memory_left(const struct tcpm_engine *engine)
{
    return engine->bytes.max > engine->bytes.held ? engine->bytes.max - engine->bytes.held : 0;
}

/* Sends through the layer, which keeps the wire that the kernel does not take: it gets no more
   bytes than there is memory for, one record at least. reserve: bytes of the memory left that the
   caller needs. */
__attribute__((noinline)) static ssize_t send_by_layer(struct tcpm__connection *connection,
                                                       struct tcpm__layer *layer, const char *bytes,
                                                       size_t length, size_t reserve)
{
    uint64_t left = memory_left(tcpm__engine_of(connection));
    uint64_t most = left > reserve + LEAST ? left - reserve : LEAST;
    size_t unsent = tcpm__stream_unsent(layer);

    set_nodelay(connection);
    if (length > most)
        length = most > unsent ? (size_t) most : unsent;
    ssize_t sent = tcpm__stream_send(layer, &connection->socket, bytes, length);
    tcpm__target_weigh(connection);
    return sent;
}

/* Sends bytes, and gives the number of those that the kernel took; on an error the sending is
   broken then. Bytes that a layer has encoded and the kernel has not taken must be passed again:
   the next call begins with them. reserve: as of send_by_layer. */
static inline size_t send_bytes(struct tcpm__connection *connection, const char *bytes,
                                size_t length, size_t reserve)
{
    struct tcpm__layer *layer = tcpm__layer_of(connection);

    if (tcpm__sending_carried(connection) > 0)
        set_nodelay(connection);
    ssize_t sent = layer != NULL ? send_by_layer(connection, layer, bytes, length, reserve)
                                 : tcpm__socket_send(&connection->socket, bytes, length);
    if (sent < 0) {
        tcpm__sending_fail(connection, (int) sent);
        return 0;
    }
    if ((size_t) sent < length)
        connection->flags |= TCPM__UPLOADING;
    account_sent(connection, (size_t) sent);
    return (size_t) sent;
}

static bool can_send(const struct tcpm__connection *connection)
{
    return (connection->flags & (TCPM__HAD_SUCCESS | TCPM__SECURING)) == TCPM__HAD_SUCCESS &&
           !tcpm__sending_is_broken(connection) && !tcpm__is_ending(connection);
}

/* Sends bytes of the queue that go before TLS. Out of line, like flush_wire: few connections come
   here. */
__attribute__((noinline)) static void flush_plain(struct tcpm__connection *connection)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    struct tcpm__target *target = connection->address.target;
    size_t before = tcpm__buffer_length(connection->queue), sent = 1;

    while (target->plain > 0 && sent > 0 && !tcpm__sending_is_broken(connection)) {
        sent = send_bytes(connection, tcpm__buffer_bytes(connection->queue), target->plain, 0);
        tcpm__buffer_consume(memory, &connection->queue, sent);
        target->plain -= sent;
    }
    account_queued(connection, before);
    tcpm__connection_mark_ready(connection);
}

/* Sends bytes of the layer that wait for text, as there is no text. */
__attribute__((noinline)) static void flush_wire(struct tcpm__connection *connection)
{
    if (can_send(connection) && tcpm__stream_holds_wire(tcpm__layer_of(connection)))
        send_bytes(connection, "", 0, 0);
}

/* A connection that has used up its round is marked as ready, and sends on in the next round. Out
   of line, as mostly the queue is empty. */
__attribute__((noinline)) static void flush_queue(struct tcpm__connection *connection)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    size_t before = tcpm__buffer_length(connection->queue), sent = 1, budget = SEND_PER_ROUND;

    if (tcpm__has(connection, TCPM__SECURING) && connection->address.target->plain > 0)
        flush_plain(connection);
    if (!can_send(connection))
        return;
    if (tcpm__socket_is_spent(&tcpm__engine_of(connection)->network, &connection->socket)) {
        tcpm__connection_mark_ready(connection);
        return;
    }
    while (connection->queue != NULL && budget > 0 && sent > 0) {
        size_t length = tcpm__buffer_length(connection->queue);

        sent = send_bytes(connection, tcpm__buffer_bytes(connection->queue),
                          length < budget ? length : budget, 0);
        tcpm__buffer_consume(memory, &connection->queue, sent);
        budget -= sent;
    }
    account_queued(connection, before);
    if (connection->phase == TCPM__PHASE_FLUSHING && budget < SEND_PER_ROUND)
        connection->stamp_ms = tcpm__engine_of(connection)->network.now_ms;
    if (budget == 0)
        tcpm__socket_spend(&tcpm__engine_of(connection)->network, &connection->socket);
    tcpm__connection_mark_ready(connection);
}

void tcpm__output_flush(struct tcpm__connection *connection)
{
    if (connection->queue != NULL)
        flush_queue(connection);
    else if (tcpm__has(connection, TCPM__LAYERED))
        flush_wire(connection);
}

/* Sends bytes that were corked by handlers since the ready pass began. A connection with such bytes
   is marked as ready. */
void tcpm__output_uncork(struct tcpm_engine *engine)
{
    struct tcpm__connection *connection = engine->turn.ready;

    for (; connection != NULL; connection = tcpm__connection_next_ready(engine, connection))
        if (connection->session->options.cork && !tcpm__socket_is_blocked(&connection->socket))
            tcpm__output_flush(connection);
}

/* ---- from the user ---- */

static int encode(struct tcpm__connection *connection, const struct tcpm_record *records,
                  size_t count, struct tcpm_out *out)
{
    int result = 0;

    for (size_t i = 0; i < count && result == 0; i++) {
        const void *bytes = records[i].length > 0 ? records[i].bytes : "";

        result = tcpm__instance_put(connection->out, bytes, records[i].length, out);
    }
    return result;
}

/* Bytes that may be queued under max_queued and max_memory. */
static size_t space_left(const struct tcpm__connection *connection)
{
    const struct tcpm_session *session = connection->session;
    uint64_t queued = tcpm__buffer_length(connection->queue);
    uint64_t most = (uint64_t) session->options.max_queued;
    uint64_t own = most > queued ? most - queued : 0;
    uint64_t shared = memory_left(session->engine);

    return (size_t) (own < shared ? own : shared);
}

/* Breaks the sending: a part of the bytes is on its way, and for the rest there is no memory. */
static void lose_bytes(struct tcpm__connection *connection, size_t length, int code)
{
    tcpm__sending_fail(connection, code);
    connection->left.lost = length > UINT32_MAX ? UINT32_MAX : (uint32_t) length;
}

/* Sends or queues bytes that the filter has made. 0, or negative, and then nothing was taken. */
static int send_or_queue(struct tcpm__connection *connection, const char *bytes, size_t length)
{
    size_t before = tcpm__buffer_length(connection->queue), sent = 0;

    if (before == 0 && tcpm__has(connection, TCPM__UPLOADING))
        tcpm__linger_check_upload(connection);
    bool at_once = before == 0 && can_send(connection) && !connection->session->options.cork;
    if (at_once)
        sent = send_bytes(connection, bytes, length, length);
    if (sent == length)
        return 0; /* the queue is as empty as before */
    int result = tcpm__buffer_append(&tcpm__engine_of(connection)->memory, &connection->queue,
                                     bytes + sent, length - sent);
    account_queued(connection, before);
    if (result < 0 && sent == 0 &&
        !(at_once && tcpm__stream_unsent(tcpm__layer_of(connection)) > 0))
        return result; /* no part of the bytes is on its way */
    if (result < 0)
        lose_bytes(connection, length - sent, result);
    else
        tcpm__connection_mark_ready(connection); /* the step sends, or finds the socket blocked */
    return 0;
}

/* 1: the queue is above high_mark, and the user shall wait for the event flushed; else 0. */
static int report_fullness(struct tcpm__connection *connection)
{
    const struct tcpm_session *session = connection->session;

    if (tcpm__events_of(connection)->flushed != NULL) {
        connection->flags |= TCPM__OWES_FLUSHED;
        tcpm__connection_mark_ready(connection);
    }
    if (tcpm__buffer_length(connection->queue) <= (uint64_t) session->options.high_mark)
        return 0;
    connection->flags |= TCPM__WAS_FULL;
    return 1;
}

static int send_encoded(struct tcpm__connection *connection, const struct tcpm_record *records,
                        size_t count, struct tcpm_out *out)
{
    tcpm__out_reset(out, space_left(connection));
    int result = encode(connection, records, count, out);
    if (result < 0 || out->length == 0)
        return result;
    result = send_or_queue(connection, out->bytes, out->length);
    return result < 0 ? result : report_fullness(connection);
}

/* The engine's out is lent to one call at a time: a filter's function put may call send for another
   connection, which gets an out of its own. */
int tcpm__output_send(struct tcpm__connection *connection, const struct tcpm_record *records,
                      size_t count)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm_out own;
    int result;

    if (tcpm__is_shutting(connection) || !tcpm__sending_takes_records(connection))
        return -ESHUTDOWN;
    if (!engine->delivery.out_lent) {
        engine->delivery.out_lent = true;
        result = send_encoded(connection, records, count, &engine->delivery.out);
        engine->delivery.out_lent = false;
        return result;
    }
    tcpm__out_init(&own, &engine->memory);
    result = send_encoded(connection, records, count, &own);
    tcpm__out_free(&own);
    return result;
}

/* ---- in the ready pass ---- */

void tcpm__output_report_flushed(struct tcpm__connection *connection)
{
    uint32_t owed = TCPM__WAS_FULL;

    if (connection->queue == NULL)
        owed |= TCPM__OWES_FLUSHED;
    else if (tcpm__buffer_length(connection->queue) >
             (uint64_t) connection->session->options.low_mark)
        return;
    if (!tcpm__has_any(connection, owed) || !can_send(connection))
        return;
    connection->flags &= ~owed;
    tcpm__event_flushed(connection);
}

void tcpm__output_step(struct tcpm__connection *connection)
{
    if (!tcpm__socket_is_blocked(&connection->socket))
        tcpm__output_flush(connection);
    tcpm__output_report_flushed(connection);
    if (connection->queue != NULL || !can_send(connection))
        return;
    if (tcpm__has(connection, TCPM__OWES_FLUSHED))
        return; /* the handler has sent more, which is reported as flushed before the end */
    if (connection->phase == TCPM__PHASE_FLUSHING)
        tcpm__linger_step(connection);
    else if (connection->sending == TCPM__SENDING_SHUT)
        tcpm__linger_send_fin(connection);
}

void tcpm__output_free(struct tcpm__connection *connection)
{
    size_t before = tcpm__buffer_length(connection->queue);

    tcpm__buffer_free(&tcpm__engine_of(connection)->memory, &connection->queue);
    account_queued(connection, before);
}
