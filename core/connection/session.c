/* SPDX-License-Identifier: MIT */
/*
 * Sessions: their creation, walks over their connections, and their end.
 *
 * What always holds: a session that dies stays until its last connection has had its last event;
 * then the ready pass delivers stopped, and frees the session.
 */
#include "connection/life.h"

#include <errno.h>

enum { NS_PER_S = 1000000000 };

/* Time between two attempts, in ns; 0: no limit. */
static uint64_t interval_of(const struct tcpm_session_options *options)
{
    if (options->connect_rate > 0)
        return NS_PER_S / (uint64_t) options->connect_rate;
    return options->connect_interval_ns > 0 ? (uint64_t) options->connect_interval_ns : 0;
}

/* Keeps the filters of the options. Default: a filter line, one for both directions. */
static int keep_filters(struct tcpm_session_options *options)
{
    struct tcpm_filter *line = NULL;
    int result = 0;

    if (options->input_filter == NULL || options->output_filter == NULL)
        result = tcpm_filter_line(NULL, &line);
    if (result < 0)
        return result;
    options->input_filter =
        tcpm__filter_keep(options->input_filter != NULL ? options->input_filter : line);
    options->output_filter =
        tcpm__filter_keep(options->output_filter != NULL ? options->output_filter : line);
    tcpm_filter_free(line);
    return 0;
}

/* Makes room in two heaps: for the session's turn among turns, for its refill among alarms. */
static int join_heaps(struct tcpm_engine *engine)
{
    int result = tcpm__heap_join(&engine->admission.turns);

    if (result < 0)
        return result;
    result = tcpm__heap_join(&engine->tasks.alarms);
    if (result < 0)
        tcpm__heap_leave(&engine->admission.turns);
    return result;
}

static void leave_heaps(struct tcpm_engine *engine)
{
    tcpm__heap_leave(&engine->tasks.alarms);
    tcpm__heap_leave(&engine->admission.turns);
}

/* New connects start while fewer wait at full addresses than may have places. */
static uint64_t most_at_addresses(const struct tcpm_engine *engine,
                                  const struct tcpm_session_options *options)
{
    uint64_t most = (uint64_t) options->max_connections;

    return most < engine->admission.max_connections ? most : engine->admission.max_connections;
}

int tcpm__session_create(struct tcpm_engine *engine, const struct tcpm_session_options *options,
                         struct tcpm__way *way, struct tcpm_session **ret)
{
    struct tcpm_session *session = tcpm__memory_zeroed(&engine->memory, sizeof *session);

    if (session == NULL)
        return -ENOMEM;
    session->engine = engine;
    session->options = *options;
    session->events = *options->events;
    session->options.events = &session->events;
    int result = join_heaps(engine);
    if (result < 0)
        goto fail;
    result = keep_filters(&session->options);
    if (result < 0)
        goto fail_heaps;
    tcpm__pace_init(&session->pace, interval_of(options),
                    tcpm__network_read_clock_ns(&engine->network));
    engine->sessions.corking += session->options.cork == 1;
    tcpm__list_init(&session->in_rooms);
    tcpm__list_init(&session->in_dead);
    tcpm__list_init(&session->alarms);
    tcpm__list_init(&session->posts);
    session->refill.session = session;
    session->most_at_addresses = most_at_addresses(engine, options);
    session->way = tcpm__way_keep(way);
    tcpm__list_append(&engine->sessions.all, &session->in_engine);
    *ret = session;
    return 0;
fail_heaps:
    leave_heaps(engine);
fail:
    tcpm__memory_free(&engine->memory, session);
    return result;
}

/* ---- the connections of a session ---- */

static struct tcpm__connection *connection_at(const struct tcpm_session *session, uint32_t slot)
{
    return slot == 0 ? NULL : tcpm__pool_at(&session->engine->connections, slot);
}

/* The slot behind which a walk goes on from this id; 0: the walk begins. If the connection of the
   id has ended, only the walk that asked last goes on; any other walk begins again. */
static uint32_t slot_behind(const struct tcpm_session *session, uint64_t id)
{
    const struct tcpm__pool *pool = &session->engine->connections;
    const struct tcpm__connection *connection = tcpm__pool_find(pool, id);

    if (connection != NULL && connection->session == session)
        return tcpm__pool_slot(connection);
    return id == session->walked_id ? session->walked_slot : 0;
}

struct tcpm__connection *tcpm__session_next(struct tcpm_session *session, uint64_t after)
{
    uint32_t slot = after == 0 ? 0 : slot_behind(session, after);
    struct tcpm__connection *connection = connection_at(session, slot);

    do {
        connection = connection_at(session, connection == NULL ? session->connections.first
                                                               : connection->in_session.next);
    } while (connection != NULL && connection->phase == TCPM__PHASE_CLOSED);
    session->walked_id = connection == NULL ? 0 : connection->id;
    session->walked_slot = connection == NULL ? 0 : tcpm__pool_slot(connection);
    return connection;
}

/* ---- the end of a session ---- */

static void end_connections(struct tcpm_session *session, bool reset)
{
    struct tcpm__connection *connection = connection_at(session, session->connections.first);

    for (; connection != NULL; connection = connection_at(session, connection->in_session.next)) {
        if (connection->phase == TCPM__PHASE_CLOSED)
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
        engine->sessions.dying++;
        tcpm__work_add(engine);
        tcpm__tasks_drop_session(session);
        tcpm__places_forget_room(session);
        tcpm__heap_remove(&engine->tasks.alarms, &session->refill.timer);
        if (session->live == 0)
            tcpm__list_append(&engine->sessions.dead, &session->in_dead);
    }
    end_connections(session, reset);
}

static void stop(struct tcpm_session *session)
{
    struct tcpm_engine *engine = session->engine;

    tcpm__list_remove(&session->in_engine);
    tcpm__list_remove(&session->in_dead);
    engine->sessions.dying--;
    engine->sessions.corking -= session->options.cork == 1;
    if (session->events.stopped != NULL) {
        tcpm__handler_enter(engine);
        session->events.stopped(session, session->options.user);
        tcpm__handler_leave(engine);
    }
    tcpm__tasks_drop_session(session);
    leave_heaps(engine);
    tcpm_filter_free(session->options.input_filter);
    tcpm_filter_free(session->options.output_filter);
    TCPM__ASSERT(session->addresses.count == 0);
    tcpm__address_table_free(&session->addresses, &engine->memory);
    tcpm__tally_free(&session->tally, &engine->memory);
    tcpm__way_drop(session->last_way);
    tcpm__way_drop(session->way);
    tcpm__memory_free(&engine->memory, session);
    tcpm__work_done(engine);
}

void tcpm__session_reap(struct tcpm_engine *engine)
{
    struct tcpm__list dead;

    tcpm__list_take(&engine->sessions.dead, &dead);
    while (!tcpm__list_empty(&dead))
        stop(TCPM__CONTAINER(dead.next, struct tcpm_session, in_dead));
}
