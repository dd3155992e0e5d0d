/* SPDX-License-Identifier: MIT */
/*
 * Sessions: their defaults, and their end. A session that dies stays until its last connection has
 * had its last event; the ready pass then stops it.
 */
#include "connection/layer.h"

#include <errno.h>

static uint64_t limit_of(int64_t option, uint64_t standard)
{
    if (option == TCPM_NONE)
        return UINT64_MAX;
    return option == 0 ? standard : (uint64_t) option;
}

/* Between two attempts; 0: no limit. */
static uint64_t interval_of(const struct tcpm_session_options *options)
{
    if (options->connect_rate > 0)
        return 1000000000 / (uint64_t) options->connect_rate;
    return options->connect_interval_ns > 0 ? (uint64_t) options->connect_interval_ns : 0;
}

static void set_limits(struct tcpm_session *session, const struct tcpm_session_options *options)
{
    session->limits.max_connections = limit_of(options->max_connections, UINT64_MAX);
    tcpm__pace_init(&session->limits.pace, interval_of(options),
                    tcpm__network_now_ns(&session->engine->network));
    session->high_mark = limit_of(options->high_mark, 1048576);
    session->low_mark = limit_of(options->low_mark, 65536);
    if (session->low_mark > session->high_mark)
        session->low_mark = session->high_mark; /* flushed says that there is room again */
    session->max_queued = limit_of(options->max_queued, 67108864);
}

/* NULL for both directions is one line filter. */
static int keep_filters(struct tcpm_session *session, const struct tcpm_session_options *options)
{
    struct tcpm_filter *line = NULL;
    int result = 0;

    if (options->input_filter == NULL || options->output_filter == NULL)
        result = tcpm_filter_line(NULL, &line);
    if (result < 0)
        return result;
    session->input_filter =
        tcpm__filter_keep(options->input_filter != NULL ? options->input_filter : line);
    session->output_filter =
        tcpm__filter_keep(options->output_filter != NULL ? options->output_filter : line);
    tcpm_filter_free(line);
    return 0;
}

/* Of connects that wait, and of alarms. */
static int join_heaps(struct tcpm_engine *engine)
{
    int result = tcpm__heap_join(&engine->admission.turns);

    if (result < 0)
        return result;
    result = tcpm__heap_join(&engine->alarms);
    if (result < 0)
        tcpm__heap_leave(&engine->admission.turns);
    return result;
}

static void leave_heaps(struct tcpm_engine *engine)
{
    tcpm__heap_leave(&engine->alarms);
    tcpm__heap_leave(&engine->admission.turns);
}

int tcpm__session_create(struct tcpm_engine *engine, const struct tcpm_session_options *options,
                         struct tcpm_session **ret)
{
    struct tcpm_session *session = tcpm__memory_zeroed(&engine->memory, sizeof(*session));
    int result;

    if (session == NULL)
        return -ENOMEM;
    session->engine = engine;
    session->user = options->user;
    result = join_heaps(engine);
    if (result < 0)
        goto fail;
    result = keep_filters(session, options);
    if (result < 0)
        goto fail_heaps;
    set_limits(session, options);
    session->connect_timeout_ms = (uint32_t) options->connect_timeout_ms;
    session->input_timeout_ms = (uint32_t) options->input_timeout_ms;
    session->shutdown_timeout_ms = (uint32_t) options->shutdown_timeout_ms;
    session->deadline_ms = (uint32_t) options->deadline_ms;
    session->family = options->domain == 4 ? AF_INET : options->domain == 6 ? AF_INET6 : AF_UNSPEC;
    session->nodelay = options->no_nodelay == 0;
    session->keepalive_s = options->keepalive_s > 0 ? (uint32_t) options->keepalive_s : 0;
    session->cork = options->cork != 0;
    session->half_open = options->half_open == 1;
    engine->corking += session->cork;
    tcpm__list_init(&session->in_rooms);
    tcpm__list_init(&session->in_dead);
    tcpm__list_init(&session->alarms);
    tcpm__list_init(&session->posts);
    session->refill.session = session;
    tcpm__list_append(&engine->sessions, &session->in_engine);
    *ret = session;
    return 0;
fail_heaps:
    leave_heaps(engine);
fail:
    tcpm__memory_free(&engine->memory, session);
    return result;
}

/* ---- its connections ---- */

static struct tcpm__connection *connection_at(const struct tcpm_session *session, uint32_t slot)
{
    return slot == 0 ? NULL : tcpm__pool_at(&session->engine->connections, slot);
}

/* The slot behind which a walk goes on; 0: the walk begins. The place of a connection that has
   ended is known for the walk that asked last; any other walk begins again. */
static uint32_t place_of(const struct tcpm_session *session, uint64_t id)
{
    const struct tcpm__pool *pool = &session->engine->connections;
    const struct tcpm__connection *connection = tcpm__pool_find(pool, id);

    if (connection != NULL && connection->session == session)
        return tcpm__pool_slot(connection);
    return id == session->walked_id ? session->walked_slot : 0;
}

struct tcpm__connection *tcpm__session_next(struct tcpm_session *session, uint64_t after)
{
    uint32_t slot = after == 0 ? 0 : place_of(session, after);
    struct tcpm__connection *connection = connection_at(session, slot);

    do {
        connection = connection_at(session, connection == NULL ? session->connections.first
                                                               : connection->in_session.next);
    } while (connection != NULL && connection->phase == TCPM_PHASE_CLOSED);
    session->walked_id = connection == NULL ? 0 : connection->id;
    session->walked_slot = connection == NULL ? 0 : tcpm__pool_slot(connection);
    return connection;
}

/* ---- its end ---- */

static void end_connections(struct tcpm_session *session, bool reset)
{
    struct tcpm__connection *connection = connection_at(session, session->connections.first);

    for (; connection != NULL; connection = connection_at(session, connection->in_session.next)) {
        if (connection->phase == TCPM_PHASE_CLOSED)
            continue;
        if (reset)
            tcpm__connection_reset(connection, TCPM_REASON_DIE);
        else
            tcpm__connection_shutdown(connection, TCPM_REASON_DIE);
    }
}

void tcpm__session_die(struct tcpm_session *session, bool reset)
{
    struct tcpm_engine *engine = session->engine;

    if (!session->dying) {
        session->dying = true;
        engine->dying++;
        tcpm__work_add(engine);
        tcpm__tasks_drop_session(session);
        tcpm__admission_forget_room(session);
        tcpm__heap_remove(&engine->alarms, &session->refill.timer);
        if (session->live == 0)
            tcpm__list_append(&engine->dead, &session->in_dead);
    }
    end_connections(session, reset);
}

static void stop(struct tcpm_session *session)
{
    struct tcpm_engine *engine = session->engine;

    tcpm__list_remove(&session->in_engine);
    tcpm__list_remove(&session->in_dead);
    engine->dying--;
    engine->corking -= session->cork;
    if (session->events.stopped != NULL) {
        tcpm__handler_enter(engine);
        session->events.stopped(session, session->user);
        tcpm__handler_leave(engine);
    }
    tcpm__tasks_drop_session(session);
    leave_heaps(engine);
    tcpm_filter_free(session->input_filter);
    tcpm_filter_free(session->output_filter);
    tcpm__tally_free(&session->tally, &engine->memory);
    tcpm__memory_free(&engine->memory, session);
    tcpm__work_done(engine);
}

void tcpm__session_stop_dead(struct tcpm_engine *engine)
{
    struct tcpm__list dead;

    tcpm__list_take(&engine->dead, &dead);
    while (!tcpm__list_empty(&dead))
        stop(TCPM__CONTAINER(dead.next, struct tcpm_session, in_dead));
}
