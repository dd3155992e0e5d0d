/* SPDX-License-Identifier: MIT */
/*
 * Input: bytes received become records. Called by the events of sockets, the backlog and the ready
 * pass. Bytes that are being cut are a chunk, which the engine points to: the read buffer itself,
 * or the leftover of earlier reads (connection->input). Bytes that are not used go back to the
 * connection.
 *
 * What always holds: records are delivered only in the phase OPEN, and not while the connection is
 * paused. The end of the input, EOF or an error, is reported only after all records before it.
 */
#include "connection/flow.h"

#include <errno.h>
#include <stdio.h>

enum {
    RECORDS_PER_TURN = 8192, /* most records of one connection before others get their turn */
    RECORDS_MS = 4,          /* most time, in ms, for records of one connection */
    RECORDS_PER_LOOK = 256,  /* records between two readings of the clock */
};

/* ---- accounts ---- */

void tcpm__input_account(struct tcpm__connection *connection, size_t before)
{
    struct tcpm_session *session = connection->session;
    uint64_t change = (uint64_t) tcpm__buffer_length(connection->input) - before;

    session->held += change; /* modulo 2^64, so a negative change works too */
    session->engine->bytes.held += change;
}

bool tcpm__input_fits(const struct tcpm_engine *engine, size_t length)
{
    return engine->bytes.held + length <= engine->bytes.max;
}

static void fail_for_memory(struct tcpm__connection *connection, size_t length)
{
    char text[128];

    snprintf(text, sizeof text, "%zu bytes received and not yet a record, max_memory is %llu",
             tcpm__buffer_length(connection->input) + length,
             (unsigned long long) tcpm__engine_of(connection)->bytes.max);
    tcpm__connection_fail(connection, TCPM_OP_READ, -ENOBUFS, text);
}

/* Appends to connection->input. False: that failed, and a connection that is still open has failed
   by it; after a shutdown nobody needs the bytes. */
static bool hold_bytes(struct tcpm__connection *connection, const char *bytes, size_t length)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    bool fits = tcpm__input_fits(engine, length);
    int result =
        fits ? tcpm__buffer_append(&engine->memory, &connection->input, bytes, length) : -ENOBUFS;

    if (result == 0 || connection->phase != TCPM__PHASE_OPEN)
        return result == 0;
    if (fits)
        tcpm__connection_fail(connection, TCPM_OP_READ, result, NULL);
    else
        fail_for_memory(connection, length);
    return false;
}

/* ---- cutting ---- */

static bool may_deliver(const struct tcpm__connection *connection)
{
    return connection->phase == TCPM__PHASE_OPEN &&
           !tcpm__has_any(connection, TCPM__PAUSED | TCPM__MORE | TCPM__SECURING);
}

static void bound_turn(struct tcpm__connection *connection, const struct tcpm__chunk *chunk)
{
    uint64_t now_ms = tcpm__network_read_clock(&tcpm__engine_of(connection)->network);

    if (chunk->records >= RECORDS_PER_TURN || now_ms - chunk->began_ms >= RECORDS_MS)
        connection->flags |= TCPM__MORE;
}

static void count_record(struct tcpm__connection *connection, struct tcpm__chunk *chunk)
{
    chunk->exhausted = false;
    if (++chunk->records % RECORDS_PER_LOOK == 0)
        bound_turn(connection, chunk);
}

/* Cuts one record off the chunk. False: the chunk has no whole record, or the filter has failed. */
static bool cut_record(struct tcpm__connection *connection, struct tcpm__chunk *chunk,
                       struct tcpm_cut *cut)
{
    int result =
        tcpm__cutter_next(&connection->cutter, connection->in, chunk->bytes, chunk->length, cut);

    chunk->exhausted = true;
    if (result < 0) {
        tcpm__connection_fail(connection, TCPM_OP_FILTER, result, cut->message);
        return false;
    }
    chunk->bytes += cut->used;
    chunk->length -= cut->used;
    if (result == 0)
        return false;
    count_record(connection, chunk);
    return true;
}

static struct tcpm__chunk chunk_of(struct tcpm__connection *connection, const char *bytes,
                                   size_t length)
{
    return (struct tcpm__chunk){.connection = connection,
                                .bytes = bytes,
                                .length = length,
                                .began_ms = tcpm__now_of(connection)};
}

/* Delivers the records of the chunk, and leaves in it the bytes that are not yet a record. A record
   may lie in memory of the filter's instance, so the instance is kept during the handler, which may
   change the filter. After such a change nothing more is delivered here. */
static void deliver_chunk(struct tcpm__connection *connection, struct tcpm__chunk *chunk,
                          size_t seen)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm_cut cut = {.seen = seen};

    engine->delivery.chunk = chunk;
    struct tcpm__instance *instance = tcpm__instance_keep(connection->in);
    while (cut_record(connection, chunk, &cut)) {
        tcpm__event_input(connection, cut.record, cut.length);
        if (chunk->exhausted || !may_deliver(connection))
            break;
        cut = (struct tcpm_cut){.seen = 0};
    }
    tcpm__instance_drop(instance);
    if (!may_deliver(connection)) {
        connection->flags |= TCPM__MORE;
        if (!tcpm__has(connection, TCPM__PAUSED))
            tcpm__connection_mark_ready(connection);
    }
    engine->delivery.chunk = NULL;
}

/* Delivers from the read buffer, with the leftover of earlier reads copied in front. If nothing was
   consumed and the rest cannot be stored, the old leftover is kept. */
static inline void deliver_read(struct tcpm__connection *connection, char *bytes, size_t length,
                                size_t seen)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__buffer *held = connection->input;
    size_t before = tcpm__buffer_length(held), all = before + length;

    if (held != NULL) {
        connection->input = NULL;
        tcpm__input_account(connection, before);
        bytes -= before;
        memcpy(bytes, tcpm__buffer_bytes(held), before);
    }
    struct tcpm__chunk chunk = chunk_of(connection, bytes, all);
    deliver_chunk(connection, &chunk, seen);
    if (chunk.length > 0 && !hold_bytes(connection, chunk.bytes, chunk.length) &&
        chunk.length == all) {
        connection->input = held;
        held = NULL;
    }
    tcpm__buffer_free(&engine->memory, &held);
}

/* Delivers from connection->input. The buffer is taken off the connection meanwhile, so that a
   handler can put bytes in front without moving the record that the handler is reading. */
static void deliver_held(struct tcpm__connection *connection, size_t seen)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__buffer *held = connection->input;
    struct tcpm__chunk chunk =
        chunk_of(connection, tcpm__buffer_bytes(held), tcpm__buffer_length(held));

    connection->input = NULL;
    deliver_chunk(connection, &chunk, seen);
    if (held == NULL)
        return;
    tcpm__buffer_consume(&engine->memory, &held, tcpm__buffer_length(held) - chunk.length);
    if (held != NULL && connection->input == NULL)
        connection->input = held;
    else
        tcpm__buffer_free(&engine->memory, &held);
}

/* Cuts the next record while the handler of the record before still runs. Posts of the handler come
   before another record. The filter is the one that deliver_chunk keeps: after a change of filters
   may_deliver is false. */
bool tcpm__input_next(struct tcpm__connection *connection, const void **record, size_t *length)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__chunk *chunk = engine->delivery.chunk;
    struct tcpm_cut cut = {.seen = 0};

    if (chunk->exhausted || !may_deliver(connection) || engine->tasks.posts.first != NULL ||
        engine->tasks.running_posts || !cut_record(connection, chunk, &cut))
        return false;
    *record = cut.record;
    *length = cut.length;
    return true;
}

/* ---- from the socket ---- */

/* Whether to copy the leftover in front of the bytes read. Only a leftover that is not longer than
   the read is copied, so that copying never costs more than reading, even where a long record comes
   in many small reads. */
static bool fits_in_front(size_t held, size_t length)
{
    return held <= length && held <= TCPM__READ_HEADROOM;
}

/* The peer is not silent: restarts the timeout, unless a pause has stopped it. */
static inline void note_progress(struct tcpm__connection *connection)
{
    if (!tcpm__has(connection, TCPM__PAUSED))
        connection->stamp_ms = tcpm__now_of(connection);
}

/* After a shutdown. Plain text is counted; what a layer would have to decode is none. */
__attribute__((noinline)) static void throw_away(struct tcpm__connection *connection, size_t length)
{
    if (tcpm__layer_of(connection) != NULL)
        return;
    connection->received += length;
    connection->session->received += length;
}

static inline void cut_read(struct tcpm__connection *connection, char *bytes, size_t length)
{
    if (connection->phase != TCPM__PHASE_OPEN) {
        throw_away(connection, length);
        return;
    }
    connection->received += length;
    connection->session->received += length;
    if (tcpm__times_are_kept(connection))
        tcpm__times_set_input(connection);

    size_t before = tcpm__buffer_length(connection->input);
    size_t seen = connection->cutter.seen ? before : 0;

    note_progress(connection);
    if (connection->cutter.swallows > 0) {
        size_t dropped = tcpm__cutter_swallow(&connection->cutter, bytes, length);

        bytes += dropped;
        length -= dropped;
        if (length == 0)
            return;
    }
    if (may_deliver(connection) && fits_in_front(before, length)) {
        deliver_read(connection, bytes, length, seen);
        before = 0;
    } else if (hold_bytes(connection, bytes, length) && may_deliver(connection)) {
        deliver_held(connection, seen);
    }
    if (before > 0 || connection->input != NULL)
        tcpm__input_account(connection, before);
}

void tcpm__input_cut_read(struct tcpm__connection *connection, char *bytes, size_t length)
{
    cut_read(connection, bytes, length);
}

/* Out of line, as it happens once. */
__attribute__((noinline)) static void note_end(struct tcpm__connection *connection, int code)
{
    tcpm__connection_set_stream_cause(connection, TCPM_OP_READ, code);
    connection->session->tls.truncated += code == TCPM_ETRUNCATED;
    connection->flags |= TCPM__INPUT_END;
    tcpm__connection_mark_ready(connection);
}

/* Whether records that are not delivered yet hold up reading, and the end of the input. */
static bool is_held_up(const struct tcpm__connection *connection)
{
    return tcpm__is_ending(connection) ||
           (connection->phase == TCPM__PHASE_OPEN &&
            tcpm__has_any(connection, TCPM__PAUSED | TCPM__MORE | TCPM__SECURING));
}

/* Reads once through the layer. What TLS keeps, above all its answers that a peer does not read,
   may become too much: that ends the input, behind the text that was read. */
__attribute__((noinline)) static ssize_t read_layer(struct tcpm__connection *connection,
                                                    struct tcpm__layer *layer, char **ret)
{
    ssize_t length = layer->kind->read(layer, &connection->socket, ret);
    char text[TCPM__WEIGHT_TEXT];

    if (tcpm__target_weigh(connection))
        return length;
    tcpm__target_explain_weight(connection, text);
    tcpm__connection_set_cause(connection, TCPM_OP_READ, -ENOBUFS, text);
    connection->flags |= TCPM__INPUT_END;
    tcpm__connection_mark_ready(connection);
    return length;
}

/* Reads once, through the layer if there is one. After a shutdown the bytes are thrown away, so no
   layer has to decode them. */
static ssize_t read_stream(struct tcpm__connection *connection, char **ret)
{
    struct tcpm__network *network = &tcpm__engine_of(connection)->network;
    struct tcpm__layer *layer = tcpm__layer_of(connection);

    if (layer != NULL && connection->phase == TCPM__PHASE_OPEN)
        return read_layer(connection, layer, ret);
    return tcpm__stream_read(NULL, network, &connection->socket, ret);
}

bool tcpm__input_read_round(struct tcpm__connection *connection)
{
    while (tcpm__socket_is_readable(&connection->socket) && !is_held_up(connection) &&
           !tcpm__has(connection, TCPM__INPUT_END)) {
        char *bytes;
        ssize_t length = read_stream(connection, &bytes);

        if (length > 0)
            cut_read(connection, bytes, (size_t) length);
        else if (length == -EBUSY)
            return true;
        else if (length == -EINPROGRESS)
            note_progress(connection); /* bytes that the layer could not decode yet */
        else if (length != -EAGAIN)
            note_end(connection, length == 0 ? TCPM_EOF : (int) length);
    }
    return false;
}

/* Bytes to be thrown away need no place in the backlog: the connection is marked instead. */
void tcpm__input_read(struct tcpm__connection *connection)
{
    if (!tcpm__socket_is_readable(&connection->socket) || tcpm__backlog_has(connection) ||
        !tcpm__input_read_round(connection))
        return;
    if (connection->phase == TCPM__PHASE_OPEN)
        tcpm__backlog_add(connection);
    else
        tcpm__connection_mark_ready(connection); /* the step reads on in the next round */
}

/* ---- in the ready pass ---- */

/* Reports the peer's FIN, where the option half_open lets the connection go on sending. A reset
   that came together with the FIN is not announced again, so the socket is asked for an error
   first. */
static void go_on_half_open(struct tcpm__connection *connection)
{
    tcpm__sending_check_error(connection);
    if (connection->code != TCPM_EOF)
        return; /* an error: the next step ends the connection */
    connection->flags |= TCPM__EOF_TOLD;
    tcpm__timers_start_timeout(connection, connection->timeout_ms);
    tcpm__event_eof(connection);
}

/* Reports the end of the input: all records before it have been delivered. */
static void conclude(struct tcpm__connection *connection)
{
    bool eof = connection->code == TCPM_EOF;

    if (connection->phase == TCPM__PHASE_FLUSHING) {
        if (eof && (connection->reason == TCPM_REASON_EOF || tcpm__has(connection, TCPM__EOF_TOLD)))
            return; /* the FIN has been dealt with; the queue is being flushed */
        if (eof) {
            connection->code = 0; /* the peer's FIN during our flush is no error */
        } else if (connection->code != 0) {
            tcpm__connection_end(connection, TCPM_REASON_ERROR);
        }
    } else if (!eof) {
        tcpm__connection_end(connection, TCPM_REASON_ERROR);
    } else if (!tcpm__has(connection, TCPM__HALF_OPEN) ||
               !tcpm__sending_takes_records(connection)) {
        tcpm__connection_shutdown(connection, TCPM_REASON_EOF);
    } else if (!tcpm__has(connection, TCPM__EOF_TOLD)) {
        go_on_half_open(connection);
    }
}

/* Delivers the last record, if there is one: then the end waits. */
static bool deliver_last(struct tcpm__connection *connection)
{
    size_t before = tcpm__buffer_length(connection->input);
    bool found = tcpm__input_finish(connection);

    tcpm__input_account(connection, before);
    return found;
}

void tcpm__input_step(struct tcpm__connection *connection)
{
    size_t before = tcpm__buffer_length(connection->input);

    if (tcpm__has(connection, TCPM__MORE) &&
        !tcpm__has_any(connection, TCPM__PAUSED | TCPM__SECURING)) {
        connection->flags &= ~(uint32_t) TCPM__MORE;
        if (may_deliver(connection)) {
            deliver_held(connection, 0);
            tcpm__input_account(connection, before);
        }
    }
    if (connection->phase == TCPM__PHASE_CONNECTING)
        return;
    tcpm__input_read(connection);
    if (tcpm__sending_is_broken(connection) && !tcpm__socket_is_readable(&connection->socket))
        connection->flags |= TCPM__INPUT_END; /* all bytes before the write error are read */
    if (tcpm__has(connection, TCPM__INPUT_END) && !is_held_up(connection) &&
        !deliver_last(connection))
        conclude(connection);
}

void tcpm__input_free(struct tcpm__connection *connection)
{
    size_t before = tcpm__buffer_length(connection->input);

    tcpm__buffer_free(&tcpm__engine_of(connection)->memory, &connection->input);
    tcpm__input_account(connection, before);
}
