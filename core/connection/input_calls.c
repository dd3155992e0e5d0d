/* SPDX-License-Identifier: MIT */
/*
 * Calls of the user about a connection's input, inside or outside of a handler: pause and resume,
 * another filter, bytes put back in front, a record of so many bytes, a view of the bytes.
 *
 * What always holds: nothing is delivered by these functions. Records that a call has made possible
 * are found by the delivery that runs around the call (input.c), or by the ready pass.
 */
#include "connection/flow.h"

#include <errno.h>

void tcpm__input_pause(struct tcpm__connection *connection, bool pause)
{
    if (pause == tcpm__has(connection, TCPM__PAUSED))
        return;
    connection->flags ^= TCPM__PAUSED;
    uint64_t now = tcpm__network_read_clock(&tcpm__engine_of(connection)->network);
    if (connection->phase == TCPM__PHASE_OPEN && !tcpm__has(connection, TCPM__SECURING))
        connection->stamp_ms = now - connection->stamp_ms; /* clock to duration, or back */
    if (pause)
        return;
    connection->flags |= TCPM__MORE;
    tcpm__timers_arm(connection);
    tcpm__connection_mark_ready(connection);
}

/* Lets the ready pass look for records in connection->input again. An ordered record stays
   ordered. */
static void look_again(struct tcpm__connection *connection)
{
    tcpm__cutter_refresh(&connection->cutter);
    if (connection->phase != TCPM__PHASE_OPEN)
        return;
    connection->flags |= TCPM__MORE;
    tcpm__connection_mark_ready(connection);
}

void tcpm__input_refilter(struct tcpm__connection *connection)
{
    tcpm__cutter_restart(&connection->cutter);
    look_again(connection);
}

static void replace_instance(struct tcpm__instance **current, struct tcpm__instance *instance)
{
    if (instance == NULL)
        return;
    tcpm__instance_drop(*current);
    *current = instance;
}

int tcpm__input_change_filters(struct tcpm__connection *connection, struct tcpm_filter *input,
                               struct tcpm_filter *output)
{
    struct tcpm__instance *in = NULL, *out = NULL;
    int result = 0;

    if (input != NULL)
        result = tcpm__instance_open(input, &in);
    if (result == 0 && output != NULL && output == input)
        out = tcpm__instance_keep(in);
    else if (result == 0 && output != NULL)
        result = tcpm__instance_open(output, &out);
    if (result < 0) {
        tcpm__instance_drop(in);
        return result;
    }
    replace_instance(&connection->in, in);
    replace_instance(&connection->out, out);
    if (in == NULL)
        return 0;
    connection->flags &= ~(uint32_t) TCPM__LAST_ASKED; /* the filter before was asked */
    tcpm__input_refilter(connection);
    return 0;
}

/* During an event input of this connection, the delivery cuts the ordered record after the
   handler. */
void tcpm__input_take(struct tcpm__connection *connection, int64_t length)
{
    struct tcpm__chunk *chunk = tcpm__input_chunk(connection);

    tcpm__cutter_order(&connection->cutter, length);
    if (chunk != NULL)
        chunk->exhausted = false;
    else
        look_again(connection);
}

/* Gives the rest of the chunk back to connection->input, so that bytes can be put in front. */
static int give_chunk_back(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__chunk *chunk = tcpm__input_chunk(connection);

    if (chunk == NULL || chunk->length == 0)
        return 0;
    int result =
        tcpm__buffer_append(&engine->memory, &connection->input, chunk->bytes, chunk->length);
    if (result == 0)
        chunk->length = 0;
    return result;
}

/* Whether the bytes lie in the memory of connection->input. */
static bool lies_in_input(const struct tcpm__connection *connection, const void *bytes)
{
    const struct tcpm__buffer *input = connection->input;

    return input != NULL && (uintptr_t) bytes - (uintptr_t) input->bytes < input->capacity;
}

/* Puts bytes in front of connection->input. Bytes that lie in there (tcpm_pending() shows such) are
   copied first, as the call moves them. */
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
    if (tcpm__input_chunk(connection) == NULL)
        tcpm__input_account(connection, before);
    look_again(connection); /* even after a failure: the rest of the chunk may be in input now */
    return result;
}

void tcpm__input_pending(struct tcpm__connection *connection, const char **bytes, size_t *length)
{
    const struct tcpm__chunk *chunk = tcpm__input_chunk(connection);

    if (chunk != NULL && chunk->length > 0) {
        *bytes = chunk->bytes;
        *length = chunk->length;
    } else {
        *bytes = tcpm__buffer_bytes(connection->input);
        *length = tcpm__buffer_length(connection->input);
    }
}

/* Drops the byte at once if the bytes received begin with it. If no bytes are there, the byte is
   awaited from the network. */
void tcpm__input_swallow(struct tcpm__connection *connection, unsigned char byte)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__chunk *chunk = tcpm__input_chunk(connection);
    size_t before = tcpm__buffer_length(connection->input), length;
    const char *bytes;

    tcpm__input_pending(connection, &bytes, &length);
    if (length == 0) {
        tcpm__cutter_await(&connection->cutter, byte);
        return;
    }
    if ((unsigned char) *bytes != byte)
        return;
    tcpm__cutter_settle(&connection->cutter, true);
    if (chunk != NULL && bytes == chunk->bytes) {
        chunk->bytes++;
        chunk->length--;
        return;
    }
    tcpm__buffer_consume(&engine->memory, &connection->input, 1);
    if (chunk == NULL)
        tcpm__input_account(connection, before);
    look_again(connection);
}
