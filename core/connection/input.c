/* SPDX-License-Identifier: MIT */
/*
 * Bytes received become records here. While a connection's bytes are being cut they form the
 * engine's chunk: the read buffer itself, or what was left over from earlier reads. What is not
 * used goes back to the connection.
 *
 * What always holds: a record is delivered only in the phase open, to a connection that is not
 * paused, and the end of input (EOF or error) only when no record is left before it.
 */
#include "connection/layer.h"

#include <errno.h>
#include <stdio.h>

/* ---- accounts ---- */

void tcpm__input_account(struct tcpm__connection *connection, size_t before)
{
    struct tcpm_session *session = connection->session;
    uint64_t change = (uint64_t) tcpm__buffer_length(connection->input) - before;

    session->held += change; /* modulo 2^64: may well go down */
    session->engine->memory_used += change;
}

bool tcpm__input_fits(const struct tcpm_engine *engine, size_t length)
{
    return engine->memory_used + length <= engine->max_memory;
}

static void fail_for_memory(struct tcpm__connection *connection, size_t length)
{
    char text[128];

    snprintf(text, sizeof(text), "%zu bytes received and not yet a record, max_memory is %llu",
             tcpm__buffer_length(connection->input) + length,
             (unsigned long long) tcpm__engine_of(connection)->max_memory);
    tcpm__connection_fail(connection, TCPM_OP_READ, -ENOBUFS, text);
}

/* Appends to what is held; false: it could not, and the connection ends. After shutdown nothing
   needs it any more. */
static bool hold_bytes(struct tcpm__connection *connection, const char *bytes, size_t length)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    bool fits = tcpm__input_fits(engine, length);
    int result =
        fits ? tcpm__buffer_append(&engine->memory, &connection->input, bytes, length) : -ENOBUFS;

    if (result == 0 || connection->phase != TCPM_PHASE_OPEN)
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
    return connection->phase == TCPM_PHASE_OPEN &&
           !tcpm__has(connection, TCPM__PAUSED | TCPM__MORE | TCPM__ENDING);
}

/* Drops the byte that belongs to the record before, the LF of a CR LF cut in two, if it comes first
   from the network. What unread has put in front is never that byte. */
static size_t swallow_bytes(struct tcpm__connection *connection, const char *bytes, size_t length)
{
    size_t dropped = 0;

    for (; connection->swallows > 0 && dropped < length; connection->swallows--)
        dropped += (unsigned char) bytes[dropped] == connection->swallow;
    if (dropped > 0)
        connection->flags |= TCPM__SWALLOWED;
    return dropped;
}

void tcpm__input_await(struct tcpm__connection *connection, unsigned char byte)
{
    if (connection->swallow != byte)
        connection->swallows = 0;
    connection->swallow = byte;
    if (connection->swallows < UINT8_MAX)
        connection->swallows++;
}

/* After a record: the byte is to be dropped if it comes next. */
static void await_byte(struct tcpm__connection *connection, struct tcpm__chunk *chunk,
                       unsigned char byte)
{
    if (chunk->length == 0) {
        tcpm__input_await(connection, byte);
    } else if ((unsigned char) *chunk->bytes == byte) {
        connection->flags |= TCPM__SWALLOWED;
        chunk->bytes++;
        chunk->length--;
    }
}

static void bound_turn(struct tcpm__connection *connection, const struct tcpm__chunk *chunk)
{
    uint64_t now_ms = tcpm__network_now(&tcpm__engine_of(connection)->network);

    if (chunk->records >= TCPM__RECORDS_PER_TURN || now_ms - chunk->began_ms >= TCPM__RECORDS_MS)
        connection->flags |= TCPM__MORE;
}

static void count_record(struct tcpm__connection *connection, struct tcpm__chunk *chunk)
{
    chunk->exhausted = false;
    if (++chunk->records % TCPM__RECORDS_PER_LOOK == 0)
        bound_turn(connection, chunk);
}

/* The record that tcpm_take has ordered; the filter is not asked, and goes on behind it. */
static bool take_record(struct tcpm__connection *connection, struct tcpm__chunk *chunk,
                        struct tcpm_cut *cut)
{
    connection->flags &= ~(uint32_t) (TCPM__SEEN | TCPM__TAKING);
    cut->record = chunk->bytes;
    cut->length = connection->need;
    chunk->bytes += connection->need;
    chunk->length -= connection->need;
    connection->need = 0;
    count_record(connection, chunk);
    return true;
}

/* Cuts one record off the chunk; false: there is none. */
static bool cut_record(struct tcpm__connection *connection, struct tcpm__chunk *chunk,
                       struct tcpm_cut *cut)
{
    struct tcpm__codec *codec = connection->in;
    int result;

    chunk->exhausted = true;
    if (chunk->length < connection->need ||
        (chunk->length == 0 && !tcpm__has(connection, TCPM__IN_SELF | TCPM__TAKING))) {
        connection->flags &= ~(uint32_t) TCPM__SEEN; /* it is not asked about these bytes */
        return false;
    }
    if (tcpm__has(connection, TCPM__TAKING))
        return take_record(connection, chunk, cut);
    if (connection->swallows > 0)
        cut->swallowed = -1;
    else if (tcpm__has(connection, TCPM__SWALLOWED))
        cut->swallowed = 1;
    connection->need = 0;
    connection->flags &= ~(uint32_t) (TCPM__SEEN | TCPM__IN_SELF);
    result = tcpm__codec_get(codec, chunk->bytes, chunk->length, cut);
    if (result < 0) {
        tcpm__connection_fail(connection, TCPM_OP_FILTER, result, cut->message);
        return false;
    }
    chunk->bytes += cut->used;
    chunk->length -= cut->used;
    if (result == 0) {
        connection->flags |= TCPM__SEEN;
        connection->need = cut->need > UINT32_MAX ? UINT32_MAX : (uint32_t) cut->need;
        return false;
    }
    connection->flags &= ~(uint32_t) TCPM__SWALLOWED;
    if (cut->more)
        connection->flags |= TCPM__IN_SELF;
    if (cut->swallow != 0)
        await_byte(connection, chunk, (unsigned char) cut->swallow);
    count_record(connection, chunk);
    return true;
}

/* Leaves in the chunk what is not yet a record. A record may lie in its filter, which is kept while
   the handler may change the filter; once that has happened, nothing more is delivered here. */
static void deliver_chunk(struct tcpm__connection *connection, const char *bytes, size_t length,
                          size_t seen)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__chunk *chunk = &engine->chunk;
    struct tcpm_cut cut = {.seen = seen};

    *chunk = (struct tcpm__chunk){.connection = connection,
                                  .bytes = bytes,
                                  .length = length,
                                  .began_ms = engine->network.now_ms};
    struct tcpm__codec *codec = tcpm__codec_keep(connection->in);
    while (cut_record(connection, chunk, &cut)) {
        tcpm__event_input(connection, cut.record, cut.length);
        if (chunk->exhausted || !may_deliver(connection))
            break;
        cut = (struct tcpm_cut){.seen = 0};
    }
    tcpm__codec_drop(codec);
    if (!may_deliver(connection)) {
        connection->flags |= TCPM__MORE;
        if (!tcpm__has(connection, TCPM__PAUSED))
            tcpm__ready(connection);
    }
    chunk->connection = NULL;
}

/* Straight from the read buffer, where what was left over is put in front; should there be no
   memory to hold what is left now, that is not lost. */
static void deliver_read(struct tcpm__connection *connection, char *bytes, size_t length,
                         size_t seen)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    const struct tcpm__chunk *chunk = &engine->chunk;
    struct tcpm__buffer *held = connection->input;
    size_t before = tcpm__buffer_length(held), all = before + length;

    if (held != NULL) {
        connection->input = NULL;
        tcpm__input_account(connection, before);
        bytes -= before;
        memcpy(bytes, tcpm__buffer_bytes(held), before);
    }
    deliver_chunk(connection, bytes, all, seen);
    if (chunk->length > 0 && !hold_bytes(connection, chunk->bytes, chunk->length) &&
        chunk->length == all) {
        connection->input = held;
        held = NULL;
    }
    tcpm__buffer_free(&engine->memory, &held);
}

/* The held bytes are taken off the connection meanwhile, so that a handler may put bytes in front
   of them without moving the record that it is reading. */
static void deliver_held(struct tcpm__connection *connection, size_t seen)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__buffer *held = connection->input;
    struct tcpm__chunk *chunk = &engine->chunk;

    connection->input = NULL;
    deliver_chunk(connection, tcpm__buffer_bytes(held), tcpm__buffer_length(held), seen);
    if (held == NULL)
        return;
    tcpm__buffer_consume(&engine->memory, &held, tcpm__buffer_length(held) - chunk->length);
    if (held != NULL && connection->input == NULL)
        connection->input = held;
    else
        tcpm__buffer_free(&engine->memory, &held);
}

/* The next record for the handler that has one. What it has posted comes before that. The filter is
   still the one that deliver_chunk keeps: after a change nothing may be delivered. */
bool tcpm__input_next(struct tcpm__connection *connection, const void **record, size_t *length)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__chunk *chunk = &engine->chunk;
    struct tcpm_cut cut = {.seen = 0};

    if (chunk->exhausted || !may_deliver(connection) || engine->posts.first != NULL ||
        engine->running_posts || !cut_record(connection, chunk, &cut))
        return false;
    *record = cut.record;
    *length = cut.length;
    return true;
}

/* ---- from the socket ---- */

/* Whether what is left over is to be moved to the read: less than that, so that the cost of moving
   is that of reading, however the bytes of a long record come. */
static bool fits_in_front(size_t held, size_t length)
{
    return held <= length && held <= TCPM__READ_HEADROOM;
}

void tcpm__input_received(struct tcpm__connection *connection, size_t length)
{
    char *bytes = tcpm__engine_of(connection)->network.read_buffer;
    size_t before = tcpm__buffer_length(connection->input);
    size_t seen = tcpm__has(connection, TCPM__SEEN) ? before : 0;

    connection->received += length;
    connection->session->received += length;
    if (connection->phase != TCPM_PHASE_OPEN)
        return; /* after shutdown it is thrown away */
    if (!tcpm__has(connection, TCPM__PAUSED))
        connection->stamp_ms = tcpm__engine_of(connection)->network.now_ms;
    if (connection->swallows > 0) {
        size_t dropped = swallow_bytes(connection, bytes, length);

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
    tcpm__input_account(connection, before);
}

static void note_end(struct tcpm__connection *connection, int code)
{
    tcpm__connection_cause(connection, TCPM_OP_READ, code, NULL);
    connection->flags |= TCPM__INPUT_END;
    tcpm__ready(connection);
}

/* Records that are not delivered yet come before what the kernel has, and before the end. */
static bool is_held_up(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__ENDING) ||
           (connection->phase == TCPM_PHASE_OPEN &&
            tcpm__has(connection, TCPM__PAUSED | TCPM__MORE));
}

bool tcpm__input_drain(struct tcpm__connection *connection)
{
    struct tcpm__network *network = &tcpm__engine_of(connection)->network;

    while (connection->socket.readable && !is_held_up(connection) &&
           !tcpm__has(connection, TCPM__INPUT_END)) {
        ssize_t length = tcpm__socket_read(network, &connection->socket);

        if (length == -EBUSY)
            return true;
        if (length > 0)
            tcpm__input_received(connection, (size_t) length);
        else if (length != -EAGAIN)
            note_end(connection, length == 0 ? TCPM_EOF : (int) length);
    }
    return false;
}

/* What is thrown away needs no turn of its own. */
void tcpm__input_read(struct tcpm__connection *connection)
{
    if (tcpm__backlog_has(connection) || !tcpm__input_drain(connection))
        return;
    if (connection->phase == TCPM_PHASE_OPEN)
        tcpm__backlog_add(connection);
    else
        tcpm__ready(connection); /* it goes on in the next round */
}

/* ---- in the ready pass ---- */

/* The peer's FIN, where the connection goes on sending. A reset that came with it is not announced
   again. */
static void go_on_half_open(struct tcpm__connection *connection)
{
    tcpm__linger_check_error(connection);
    if (connection->code != TCPM_EOF)
        return; /* the next step ends it */
    connection->flags |= TCPM__EOF_TOLD;
    tcpm__deadline_start(connection, connection->timeout_ms);
    tcpm__event_eof(connection);
}

/* Everything before the end of input has been delivered. */
static void conclude(struct tcpm__connection *connection)
{
    bool eof = connection->code == TCPM_EOF;

    if (connection->phase == TCPM_PHASE_SHUTTING) {
        if (eof && (connection->reason == TCPM_REASON_EOF || tcpm__has(connection, TCPM__EOF_TOLD)))
            return; /* known; its queue is being flushed */
        if (eof) {
            connection->code = 0; /* the peer's FIN during our flush is no error */
        } else if (connection->code != 0) {
            tcpm__connection_end(connection, TCPM_REASON_ERROR);
        }
    } else if (!eof) {
        tcpm__connection_end(connection, TCPM_REASON_ERROR);
    } else if (!tcpm__has(connection, TCPM__HALF_OPEN) ||
               tcpm__has(connection, TCPM__OUTPUT_SHUT)) {
        tcpm__connection_shutdown(connection, TCPM_REASON_EOF);
    } else if (!tcpm__has(connection, TCPM__EOF_TOLD)) {
        go_on_half_open(connection);
    }
}

void tcpm__input_step(struct tcpm__connection *connection)
{
    size_t before = tcpm__buffer_length(connection->input);

    if (tcpm__has(connection, TCPM__MORE) && !tcpm__has(connection, TCPM__PAUSED)) {
        connection->flags &= ~(uint32_t) TCPM__MORE;
        if (may_deliver(connection)) {
            deliver_held(connection, 0);
            tcpm__input_account(connection, before);
        }
    }
    tcpm__input_read(connection);
    if (tcpm__has(connection, TCPM__WRITE_FAILED) && !connection->socket.readable)
        connection->flags |= TCPM__INPUT_END; /* all that came before the write error is read */
    if (tcpm__has(connection, TCPM__INPUT_END) && !is_held_up(connection))
        conclude(connection);
}

void tcpm__input_free(struct tcpm__connection *connection)
{
    size_t before = tcpm__buffer_length(connection->input);

    tcpm__buffer_free(&tcpm__engine_of(connection)->memory, &connection->input);
    tcpm__input_account(connection, before);
}
