/* SPDX-License-Identifier: MIT */
/*
 * Marks: which connections are ready for a step, whether the engine has work, whether the loop may
 * sleep. Called from everywhere; the turns of the loop (turn.c) act on the marks.
 *
 * What always holds: a connection is in the engine's ready list exactly while it has the flag
 * READY; the check handle keeps the loop running exactly while turn.work is not 0.
 */
#include "connection/record.h"

static void on_idle(uv_idle_t *idle)
{
    (void) idle;
}

void tcpm__engine_stay_awake(struct tcpm_engine *engine)
{
    uv_idle_start(&engine->handles.idle, on_idle);
}

void tcpm__engine_wake(struct tcpm_engine *engine)
{
    if (!engine->turn.passing && engine->delivery.handler_depth == 0)
        tcpm__engine_stay_awake(engine);
}

void tcpm__work_add(struct tcpm_engine *engine)
{
    if (engine->turn.work++ == 0)
        uv_ref((uv_handle_t *) &engine->handles.check);
    tcpm__engine_wake(engine);
}

void tcpm__work_done(struct tcpm_engine *engine)
{
    if (--engine->turn.work == 0)
        uv_unref((uv_handle_t *) &engine->handles.check);
}

static void append_ready(struct tcpm_engine *engine, struct tcpm__connection *connection)
{
    tcpm__engine_wake(engine);
    connection->flags |= TCPM__READY;
    connection->next_ready = 0;
    if (engine->turn.ready == NULL)
        engine->turn.ready = connection;
    else
        engine->turn.ready_last->next_ready = tcpm__pool_slot(connection);
    engine->turn.ready_last = connection;
}

void tcpm__connection_mark_ready(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    if (engine->turn.serving == connection)
        engine->turn.serve_again = true;
    else if (!tcpm__has(connection, TCPM__READY))
        append_ready(engine, connection);
}
