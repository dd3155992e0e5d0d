/* SPDX-License-Identifier: MIT */
/*
 * The last record: where the input has ended in order, a filter may make a record of the bytes that
 * are left (finish in struct tcpm_filter_kind). Called by the input (input.c), before the end is
 * told.
 *
 * What always holds: an instance is asked once, and only after all its records are delivered. The
 * record is delivered as others are, so its handler may pause, put bytes back or change the filter;
 * the end waits for what follows from that. Another filter is asked in its turn.
 */
#include "connection/flow.h"

/* Cuts the last record off the chunk. False: there is none, or the filter has failed. */
static bool cut_last(struct tcpm__connection *connection, struct tcpm__chunk *chunk,
                     struct tcpm_cut *cut)
{
    int result =
        tcpm__cutter_finish(&connection->cutter, connection->in, chunk->bytes, chunk->length, cut);

    if (result < 0) {
        tcpm__connection_fail(connection, TCPM_OP_FILTER, result, cut->message);
        return false;
    }
    chunk->bytes += cut->used;
    chunk->length -= cut->used;
    return result > 0;
}

/* Delivers the last record. The record may lie in memory of the instance, which the handler may
   replace. */
static bool deliver(struct tcpm__connection *connection, struct tcpm__chunk *chunk)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__instance *instance = tcpm__instance_keep(connection->in);
    struct tcpm_cut cut = {.seen = 0};

    engine->delivery.chunk = chunk;
    bool found = cut_last(connection, chunk, &cut);
    if (found)
        tcpm__event_input(connection, cut.record, cut.length);
    engine->delivery.chunk = NULL;
    tcpm__instance_drop(instance);
    return found;
}

/* Whether the filter is to be asked. After an order for so many bytes no other record may come. */
static bool may_finish(const struct tcpm__connection *connection)
{
    return connection->phase == TCPM__PHASE_OPEN && connection->code == TCPM_EOF &&
           connection->in->finishes && !connection->cutter.ordered &&
           !tcpm__has_any(connection, TCPM__LAST_ASKED | TCPM__EOF_TOLD);
}

/* The bytes are taken off the connection meanwhile, as in deliver_held() of input.c. The caller
   accounts for them. */
bool tcpm__input_finish(struct tcpm__connection *connection)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    struct tcpm__buffer *held = connection->input;

    if (!may_finish(connection))
        return false;
    struct tcpm__chunk chunk = {.connection = connection,
                                .bytes = tcpm__buffer_bytes(held),
                                .length = tcpm__buffer_length(held),
                                .exhausted = true};
    connection->flags |= TCPM__LAST_ASKED;
    connection->input = NULL;
    bool found = deliver(connection, &chunk);
    tcpm__buffer_consume(memory, &held, tcpm__buffer_length(held) - chunk.length);
    if (held != NULL && connection->input == NULL)
        connection->input = held;
    else
        tcpm__buffer_free(memory, &held);
    if (!found)
        return false;
    if (connection->cutter.more || !chunk.exhausted)
        connection->flags |= TCPM__MORE;
    tcpm__connection_mark_ready(connection);
    return true;
}
