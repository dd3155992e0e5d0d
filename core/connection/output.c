/* SPDX-License-Identifier: MIT */
/*
 * Records become bytes, and the bytes go to the kernel: at once if nothing is queued, else in order
 * behind the queue, when the kernel has room again. What the peer acknowledges of it is followed by
 * linger.c.
 *
 * What always holds: bytes that send has taken are sent in order, or counted in the queue at the
 * end.
 */
#include "connection/layer.h"

#include <errno.h>
#include <netinet/tcp.h>

#define SEND_PER_ROUND 262144 /* bytes of one connection's queue */

/* ---- accounts ---- */

static void account_queued(struct tcpm__connection *connection, size_t before)
{
    struct tcpm_session *session = connection->session;
    uint64_t change = (uint64_t) tcpm__buffer_length(connection->queue) - before;

    session->queued += change; /* modulo 2^64: may well go down */
    session->engine->memory_used += change;
}

static void account_sent(struct tcpm__connection *connection, size_t length)
{
    connection->sent += length;
    connection->session->sent += length;
}

/* ---- to the kernel ---- */

/* The socket's error is used up by the failed send, so it must be kept; what the peer sent before
   is still to be read. EPIPE is the kernel's word for a reset that came after a FIN. */
void tcpm__output_fail(struct tcpm__connection *connection, int code)
{
    if (code == -EPIPE)
        code = -ECONNRESET;
    if (connection->code == TCPM_EOF)
        connection->code = 0; /* this ends it, not the peer's FIN that waits for the queue */
    tcpm__connection_cause(connection, TCPM_OP_WRITE, code, NULL);
    connection->flags |= TCPM__WRITE_FAILED;
    connection->left.lost = 0;
    tcpm__socket_read_on(&connection->socket);
    tcpm__ready(connection);
}

/* Nagle's algorithm holds back only what follows something that is not acknowledged: the first send
   of a connection needs no option, and many connections send no more than once. */
static void set_nodelay(struct tcpm__connection *connection)
{
    int on = 1;

    if (tcpm__has(connection, TCPM__NODELAY_SET) || !connection->session->nodelay)
        return;
    setsockopt(connection->socket.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->flags |= TCPM__NODELAY_SET;
}

/* Bytes that the kernel took; the connection may have failed. */
static size_t send_bytes(struct tcpm__connection *connection, const char *bytes, size_t length)
{
    ssize_t sent;

    if (connection->sent > 0)
        set_nodelay(connection);
    sent = tcpm__socket_send(&connection->socket, bytes, length);
    if (sent == 0) {
        sent = tcpm__socket_watch_output(&tcpm__engine_of(connection)->network, &connection->socket,
                                         connection->id);
    }
    if (sent < 0) {
        tcpm__output_fail(connection, (int) sent);
        return 0;
    }
    if ((size_t) sent < length)
        connection->flags |= TCPM__UPLOADING;
    account_sent(connection, (size_t) sent);
    return (size_t) sent;
}

static bool can_send(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__HAD_SUCCESS) &&
           !tcpm__has(connection, TCPM__WRITE_FAILED | TCPM__ENDING);
}

/* What has used up its round is marked as ready, and goes on in the next one. */
void tcpm__output_flush(struct tcpm__connection *connection)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    size_t before = tcpm__buffer_length(connection->queue), sent = 1, budget = SEND_PER_ROUND;

    if (before == 0 || !can_send(connection))
        return;
    if (tcpm__socket_is_spent(&tcpm__engine_of(connection)->network, &connection->socket)) {
        tcpm__ready(connection);
        return;
    }
    while (connection->queue != NULL && budget > 0 && sent > 0) {
        size_t length = tcpm__buffer_length(connection->queue);

        sent = send_bytes(connection, tcpm__buffer_bytes(connection->queue),
                          length < budget ? length : budget);
        tcpm__buffer_consume(memory, &connection->queue, sent);
        budget -= sent;
    }
    account_queued(connection, before);
    if (connection->phase == TCPM_PHASE_SHUTTING && budget < SEND_PER_ROUND)
        connection->stamp_ms = tcpm__engine_of(connection)->network.now_ms;
    if (budget == 0)
        tcpm__socket_spend(&connection->socket);
    tcpm__ready(connection);
}

/* Sends bytes that were corked since the ready pass: by handlers that ran in it or after it. */
void tcpm__output_uncork(struct tcpm_engine *engine)
{
    struct tcpm__connection *connection = engine->ready;

    for (; connection != NULL; connection = tcpm__next_ready(engine, connection))
        if (connection->session->cork && !connection->socket.blocked)
            tcpm__output_flush(connection);
}

/* ---- from the user ---- */

static int encode(struct tcpm__connection *connection, const struct tcpm_record *records,
                  size_t count, struct tcpm_out *out)
{
    int result = 0;

    for (size_t i = 0; i < count && result == 0; i++) {
        const void *bytes = records[i].length > 0 ? records[i].bytes : "";

        result = tcpm__codec_put(connection->out, bytes, records[i].length, out);
    }
    return result;
}

static size_t space_left(const struct tcpm__connection *connection)
{
    const struct tcpm_session *session = connection->session;
    uint64_t queued = tcpm__buffer_length(connection->queue);
    uint64_t own = session->max_queued > queued ? session->max_queued - queued : 0;
    uint64_t used = session->engine->memory_used, all = session->engine->max_memory;
    uint64_t shared = all > used ? all - used : 0;

    return (size_t) (own < shared ? own : shared);
}

/* A part is with the kernel, for the rest there is no memory: that ends it. */
static void lose_bytes(struct tcpm__connection *connection, size_t length, int code)
{
    tcpm__output_fail(connection, code);
    connection->left.lost = length > UINT32_MAX ? UINT32_MAX : (uint32_t) length;
}

/* Sends or queues what was encoded. */
static int take_bytes(struct tcpm__connection *connection, const char *bytes, size_t length)
{
    size_t before = tcpm__buffer_length(connection->queue), sent = 0;
    int result = 0;

    if (before == 0 && tcpm__has(connection, TCPM__UPLOADING))
        tcpm__deadline_look_at_upload(connection);
    if (before == 0 && can_send(connection) && !connection->session->cork)
        sent = send_bytes(connection, bytes, length);
    if (sent < length)
        result = tcpm__buffer_append(&tcpm__engine_of(connection)->memory, &connection->queue,
                                     bytes + sent, length - sent);
    account_queued(connection, before);
    if (result < 0 && sent == 0)
        return result;
    if (result < 0)
        lose_bytes(connection, length - sent, result);
    else if (connection->queue != NULL)
        tcpm__ready(connection); /* which finds out whether the kernel is full */
    return 0;
}

static int report_fullness(struct tcpm__connection *connection)
{
    const struct tcpm_session *session = connection->session;

    if (tcpm__events_of(connection)->flushed != NULL) {
        connection->flags |= TCPM__OWES_FLUSHED;
        tcpm__ready(connection);
    }
    if (tcpm__buffer_length(connection->queue) <= session->high_mark)
        return 0;
    connection->flags |= TCPM__WAS_FULL;
    return 1;
}

static int send_encoded(struct tcpm__connection *connection, const struct tcpm_record *records,
                        size_t count, struct tcpm_out *out)
{
    int result;

    tcpm__out_reset(out, space_left(connection));
    result = encode(connection, records, count, out);
    if (result < 0 || out->length == 0)
        return result;
    result = take_bytes(connection, out->bytes, out->length);
    return result < 0 ? result : report_fullness(connection);
}

/* A put of the user's may send on another connection: the engine's out is lent to one at a time. */
int tcpm__output_send(struct tcpm__connection *connection, const struct tcpm_record *records,
                      size_t count)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm_out own;
    int result;

    if (connection->phase == TCPM_PHASE_SHUTTING || tcpm__has(connection, TCPM__OUTPUT_SHUT))
        return -ESHUTDOWN;
    if (!engine->out_lent) {
        engine->out_lent = true;
        result = send_encoded(connection, records, count, &engine->out);
        engine->out_lent = false;
        return result;
    }
    tcpm__out_init(&own, &engine->memory);
    result = send_encoded(connection, records, count, &own);
    tcpm__out_free(&own);
    return result;
}

/* ---- in the ready pass ---- */

void tcpm__output_report(struct tcpm__connection *connection)
{
    uint32_t owed = TCPM__WAS_FULL;

    if (connection->queue == NULL)
        owed |= TCPM__OWES_FLUSHED;
    else if (tcpm__buffer_length(connection->queue) > connection->session->low_mark)
        return;
    if (!tcpm__has(connection, owed) || !can_send(connection))
        return;
    connection->flags &= ~owed;
    tcpm__event_flushed(connection);
}

void tcpm__output_step(struct tcpm__connection *connection)
{
    if (!connection->socket.blocked)
        tcpm__output_flush(connection);
    tcpm__output_report(connection);
    if (connection->queue != NULL || !can_send(connection))
        return;
    if (tcpm__has(connection, TCPM__OWES_FLUSHED))
        return; /* the handler has sent more: that is reported before the end */
    if (connection->phase == TCPM_PHASE_SHUTTING)
        tcpm__linger_step(connection);
    else if (tcpm__has(connection, TCPM__OUTPUT_SHUT))
        tcpm__linger_send_fin(connection);
}

uint64_t tcpm__output_unsent(const struct tcpm__connection *connection)
{
    uint64_t lost = tcpm__has(connection, TCPM__WRITE_FAILED) ? connection->left.lost : 0;

    return tcpm__buffer_length(connection->queue) + lost;
}

void tcpm__output_free(struct tcpm__connection *connection)
{
    size_t before = tcpm__buffer_length(connection->queue);

    tcpm__buffer_free(&tcpm__engine_of(connection)->memory, &connection->queue);
    account_queued(connection, before);
}
