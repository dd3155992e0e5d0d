/* SPDX-License-Identifier: MIT */
/*
 * What the user asks of a connection's input, in a handler or outside of one: pause and resume,
 * another filter, bytes put back in front, a record of so many bytes, and what is there.
 *
 * What always holds: nothing is delivered in here. What a call has made possible is found by the
 * delivery that it was made in (input.c), or by the ready pass.
 */
#include "connection/layer.h"

#include <errno.h>

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

/* The ready pass goes through what has been received once more; an ordered record stays ordered. */
static void look_again(struct tcpm__connection *connection)
{
    if (!tcpm__has(connection, TCPM__TAKING))
        connection->need = 0;
    connection->flags &= ~(uint32_t) TCPM__SEEN;
    if (connection->phase != TCPM_PHASE_OPEN)
        return;
    connection->flags |= TCPM__MORE;
    tcpm__ready(connection);
}

void tcpm__input_refilter(struct tcpm__connection *connection)
{
    connection->flags &= ~(uint32_t) (TCPM__IN_SELF | TCPM__SWALLOWED);
    look_again(connection);
}

/* In an event input of this connection the delivery goes on with it, behind the handler. */
void tcpm__input_take(struct tcpm__connection *connection, int64_t length)
{
    struct tcpm__chunk *chunk = &tcpm__engine_of(connection)->chunk;

    connection->flags &= ~(uint32_t) (TCPM__SEEN | TCPM__TAKING);
    connection->need = 0;
    if (length != TCPM_NONE) {
        connection->flags |= TCPM__TAKING;
        connection->need = (uint32_t) length;
    }
    if (chunk->connection == connection)
        chunk->exhausted = false;
    else
        look_again(connection);
}

/* Gives the rest of the chunk back to the connection, so that other bytes can come before it. */
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
    int result = tcpm__input_fits(engine, length) ? give_chunk_back(connection) : -ENOBUFS;

    if (result == 0)
        result = prepend_bytes(connection, bytes, length);
    if (engine->chunk.connection != connection)
        tcpm__input_account(connection, before);
    look_again(connection); /* also without success: the chunk may have moved */
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

/* Bytes that the filter has not been fed yet come next; without any, the network does. */
void tcpm__input_swallow(struct tcpm__connection *connection, unsigned char byte)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__chunk *chunk = &engine->chunk;
    size_t before = tcpm__buffer_length(connection->input), length;
    const char *bytes;

    tcpm__input_pending(connection, &bytes, &length);
    if (length == 0) {
        tcpm__input_await(connection, byte);
        return;
    }
    if ((unsigned char) *bytes != byte)
        return;
    connection->flags |= TCPM__SWALLOWED;
    if (bytes == chunk->bytes) {
        chunk->bytes++;
        chunk->length--;
        return;
    }
    tcpm__buffer_consume(&engine->memory, &connection->input, 1);
    if (chunk->connection != connection)
        tcpm__input_account(connection, before);
    look_again(connection);
}
