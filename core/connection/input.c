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

/* ---- accounts ---- */

static void account_held(struct tcpm__connection *connection, size_t before)
{
    struct tcpm_session *session = connection->session;
    uint64_t change = (uint64_t) tcpm__buffer_length(connection->input) - before;

    session->held += change; /* modulo 2^64: may well go down */
    session->engine->memory_used += change;
}

static bool memory_allows(const struct tcpm_engine *engine, size_t length)
{
    return engine->memory_used + length <= engine->max_memory;
}

/* Appends to what is held; false: it could not, and the connection ends. After shutdown nothing
   needs it any more. */
static bool hold_bytes(struct tcpm__connection *connection, const char *bytes, size_t length)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    int result = memory_allows(engine, length)
                     ? tcpm__buffer_append(&engine->memory, &connection->input, bytes, length)
                     : -ENOBUFS;

    if (result < 0 && connection->phase == TCPM_PHASE_OPEN)
        tcpm__connection_fail(connection, TCPM_OP_READ, result, NULL);
    return result == 0;
}

/* ---- cutting ---- */

static bool may_deliver(const struct tcpm__connection *connection)
{
    return connection->phase == TCPM_PHASE_OPEN &&
           !tcpm__has(connection, TCPM__PAUSED | TCPM__MORE | TCPM__ENDING);
}

/* The byte that belongs to the record before: the LF of a CR LF cut in two. */
static void swallow_byte(struct tcpm__connection *connection, struct tcpm__chunk *chunk)
{
    if (connection->swallow == 0 || chunk->length == 0)
        return;
    if ((unsigned char) *chunk->bytes == connection->swallow) {
        chunk->bytes++;
        chunk->length--;
    }
    connection->swallow = 0;
}

static void bound_turn(struct tcpm__connection *connection, const struct tcpm__chunk *chunk)
{
    uint64_t now_ms = tcpm__network_now(&tcpm__engine_of(connection)->network);

    if (chunk->records >= TCPM__RECORDS_PER_TURN || now_ms - chunk->began_ms >= TCPM__RECORDS_MS)
        connection->flags |= TCPM__MORE;
}

/* Cuts one record off the chunk; false: there is none. */
static bool cut_record(struct tcpm__connection *connection, struct tcpm__chunk *chunk,
                       struct tcpm_cut *cut)
{
    struct tcpm__codec *codec = connection->in;
    int result;

    chunk->exhausted = true;
    swallow_byte(connection, chunk);
    if (chunk->length < connection->need ||
        (chunk->length == 0 && !tcpm__has(connection, TCPM__IN_SELF))) {
        connection->flags &= ~(uint32_t) TCPM__SEEN; /* it is not asked about these bytes */
        return false;
    }
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
    if (cut->more)
        connection->flags |= TCPM__IN_SELF;
    connection->swallow = (uint8_t) cut->swallow;
    chunk->exhausted = false;
    if (++chunk->records % TCPM__RECORDS_PER_LOOK == 0)
        bound_turn(connection, chunk);
    return true;
}

/* Leaves in the chunk what is not yet a record. A record may lie in its filter, which is kept while
   the handler may change the filter. */
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
    while (cut_record(connection, chunk, &cut)) {
        struct tcpm__codec *codec = tcpm__codec_keep(connection->in);

        tcpm__event_input(connection, cut.record, cut.length);
        tcpm__codec_drop(codec);
        if (chunk->exhausted || !may_deliver(connection))
            break;
        cut = (struct tcpm_cut){.seen = 0};
    }
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

    connection->input = NULL;
    account_held(connection, before);
    bytes -= before;
    memcpy(bytes, tcpm__buffer_bytes(held), before);
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
    if (may_deliver(connection) && fits_in_front(before, length)) {
        deliver_read(connection, bytes, length, seen);
        before = 0;
    } else if (hold_bytes(connection, bytes, length) && may_deliver(connection)) {
        deliver_held(connection, seen);
    }
    account_held(connection, before);
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

/* Everything before the end of input has been delivered. */
static void conclude(struct tcpm__connection *connection)
{
    bool eof = connection->code == TCPM_EOF;

    if (connection->phase == TCPM_PHASE_SHUTTING) {
        if (eof && connection->reason == TCPM_REASON_EOF)
            return; /* known; its queue is being flushed */
        if (eof) {
            connection->code = 0; /* the peer's FIN during our flush is no error */
        } else if (connection->code != 0) {
            tcpm__connection_end(connection, TCPM_REASON_ERROR);
        }
    } else if (!eof) {
        tcpm__connection_end(connection, TCPM_REASON_ERROR);
    } else {
        tcpm__connection_shutdown(connection, TCPM_REASON_EOF);
    }
}

void tcpm__input_step(struct tcpm__connection *connection)
{
    size_t before = tcpm__buffer_length(connection->input);

    if (tcpm__has(connection, TCPM__MORE) && !tcpm__has(connection, TCPM__PAUSED)) {
        connection->flags &= ~(uint32_t) TCPM__MORE;
        if (may_deliver(connection)) {
            deliver_held(connection, 0);
            account_held(connection, before);
        }
    }
    tcpm__input_read(connection);
    if (tcpm__has(connection, TCPM__WRITE_FAILED) && !connection->socket.readable)
        connection->flags |= TCPM__INPUT_END; /* all that came before the write error is read */
    if (tcpm__has(connection, TCPM__INPUT_END) && !is_held_up(connection))
        conclude(connection);
}

/* ---- what the user asks for ---- */

void tcpm__input_pause(struct tcpm__connection *connection, bool pause)
{
    uint64_t now;

    if (pause == tcpm__has(connection, TCPM__PAUSED))
        return;
    connection->flags ^= TCPM__PAUSED;
    now = tcpm__network_now(&tcpm__engine_of(connection)->network);
    if (connection->phase == TCPM_PHASE_OPEN)
        connection->stamp_ms = now - connection->stamp_ms; /* the time that has run, and back */
    if (pause)
        return;
    connection->flags |= TCPM__MORE;
    tcpm__deadline_arm(connection);
    tcpm__ready(connection);
}

void tcpm__input_refilter(struct tcpm__connection *connection)
{
    connection->need = 0;
    connection->flags &= ~(uint32_t) (TCPM__SEEN | TCPM__IN_SELF);
    if (connection->phase != TCPM_PHASE_OPEN)
        return;
    connection->flags |= TCPM__MORE;
    tcpm__ready(connection);
}

/* What the chunk still has goes back to the connection, so that other bytes can come before it. */
static int give_chunk_back(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__chunk *chunk = &engine->chunk;
    int result;

    if (chunk->connection != connection || chunk->length == 0)
        return 0;
    result = tcpm__buffer_append(&engine->memory, &connection->input, chunk->bytes, chunk->length);
    if (result == 0)
        chunk->length = 0;
    return result;
}

static bool lies_in_input(const struct tcpm__connection *connection, const void *bytes)
{
    const struct tcpm__buffer *input = connection->input;

    return input != NULL && (uintptr_t) bytes - (uintptr_t) input->bytes < input->capacity;
}

/* Bytes that pending has shown are copied before they move. */
static int prepend_bytes(struct tcpm__connection *connection, const void *bytes, size_t length)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    struct tcpm__buffer *copy = NULL;
    int result = 0;

    if (lies_in_input(connection, bytes)) {
        result = tcpm__buffer_append(memory, &copy, bytes, length);
        bytes = tcpm__buffer_bytes(copy);
    }
    if (result == 0)
        result = tcpm__buffer_prepend(memory, &connection->input, bytes, length);
    tcpm__buffer_free(memory, &copy);
    return result;
}

int tcpm__input_unread(struct tcpm__connection *connection, const void *bytes, size_t length)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    size_t before = tcpm__buffer_length(connection->input);
    uint32_t in_self = connection->flags & TCPM__IN_SELF; /* the filter stays the same */
    int result = memory_allows(engine, length) ? give_chunk_back(connection) : -ENOBUFS;

    if (result == 0)
        result = prepend_bytes(connection, bytes, length);
    if (engine->chunk.connection != connection)
        account_held(connection, before);
    tcpm__input_refilter(connection); /* also without success: the chunk may have moved */
    connection->flags |= in_self;
    return result;
}

void tcpm__input_pending(struct tcpm__connection *connection, const char **bytes, size_t *length)
{
    const struct tcpm__chunk *chunk = &tcpm__engine_of(connection)->chunk;

    if (chunk->connection == connection && chunk->length > 0) {
        *bytes = chunk->bytes;
        *length = chunk->length;
    } else {
        *bytes = tcpm__buffer_bytes(connection->input);
        *length = tcpm__buffer_length(connection->input);
    }
}

void tcpm__input_free(struct tcpm__connection *connection)
{
    size_t before = tcpm__buffer_length(connection->input);

    tcpm__buffer_free(&tcpm__engine_of(connection)->memory, &connection->input);
    account_held(connection, before);
}
