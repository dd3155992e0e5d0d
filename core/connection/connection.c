/* SPDX-License-Identifier: MIT */
/*
 * The life of a connection: created by tcpm_connect(), served in steps by the ready pass, ended by
 * its last events.
 *
 * What always holds: the last events are delivered by one function, finish, in the ready pass, and
 * the connection is destroyed right after them.
 */
#include "connection/life.h"

#include <errno.h>

/* ---- creation ---- */

#define LINK offsetof(struct tcpm__connection, in_session)

static void join_session(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;

    session->live++;
    tcpm__chain_append(&session->engine->connections, &session->connections,
                       &connection->in_session, tcpm__pool_slot(connection), LINK);
}

/* Takes the connection off the session's list. A walk (tcpm__session_next) that has come to this
   connection goes on from its predecessor. */
static void leave_session(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;

    tcpm__chain_remove(&session->engine->connections, &session->connections,
                       &connection->in_session, LINK);
    if (session->walked_slot == tcpm__pool_slot(connection))
        session->walked_slot = connection->in_session.prev;
    if (--session->live == 0 && session->dying)
        tcpm__list_append(&session->engine->sessions.dead, &session->in_dead);
}

static void destroy(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;
    struct tcpm_engine *engine = session->engine;

    if (connection->input != NULL)
        tcpm__input_free(connection);
    if (connection->queue != NULL)
        tcpm__output_free(connection);
    tcpm__instance_drop(connection->in);
    tcpm__instance_drop(connection->out);
    if (!tcpm__has(connection, TCPM__QUAD))
        tcpm__target_free(connection);
    if (connection->rare != NULL)
        tcpm__rare_free(connection);
    session->phases[connection->phase]--;
    leave_session(connection);
    tcpm__pool_give(&engine->connections, connection);
    tcpm__work_done(engine);
}

static int open_instances(struct tcpm__connection *connection, struct tcpm_filter *input,
                          struct tcpm_filter *output)
{
    int result = tcpm__instance_open(input, &connection->in);

    if (result < 0)
        return result;
    if (input == output)
        connection->out = tcpm__instance_keep(connection->in);
    else
        result = tcpm__instance_open(output, &connection->out);
    return result;
}

/* Keeps the local port for the attempt. Few connections have one. */
static int keep_bind_port(struct tcpm__connection *connection, int64_t port)
{
    if (port == 0)
        return 0;
    struct tcpm__attempt *attempt = tcpm__attempt_get(connection);
    if (attempt == NULL)
        return -ENOMEM;
    attempt->bind_port = (uint16_t) port;
    return 0;
}

int tcpm__connection_create(struct tcpm_session *session,
                            const struct tcpm_connect_options *options, const struct in_addr *quad,
                            struct tcpm__way *way, struct tcpm__connection **ret)
{
    struct tcpm_engine *engine = session->engine;
    struct tcpm__connection *connection = tcpm__pool_take(&engine->connections);

    if (connection == NULL)
        return -ENOMEM;
    connection->session = session;
    connection->socket = TCPM__SOCKET_CLOSED;
    connection->heap = options->heap;
    connection->port = (uint16_t) options->port;
    connection->phase = TCPM__PHASE_WAITING;
    connection->timeout_ms = (uint32_t) options->connect_timeout_ms;
    connection->input_timeout_ms = (uint32_t) options->input_timeout_ms;
    connection->shutdown_timeout_ms = (uint32_t) options->shutdown_timeout_ms;
    connection->deadline_ms = (uint64_t) options->deadline_ms;
    if (options->half_open == 1)
        connection->flags |= TCPM__HALF_OPEN;
    session->phases[TCPM__PHASE_WAITING]++;
    join_session(connection);
    tcpm__work_add(engine);
    int result = tcpm__target_keep(connection, options, quad, way);
    if (result == 0 && session->options.times == 1)
        result = tcpm__times_make(connection);
    if (result == 0 && session->options.max_per_address != 0)
        result = tcpm__attempt_get(connection) == NULL ? -ENOMEM : 0;
    if (result == 0)
        result = keep_bind_port(connection, options->bind_port);
    if (result == 0)
        result = open_instances(connection, options->input_filter, options->output_filter);
    if (result < 0) {
        destroy(connection);
        return result;
    }
    *ret = connection;
    return 0;
}

/* ---- the end ---- */

/* Sends the last bytes of the layer. False: bytes are left unsent, so that the stream must not end
   by FIN: the peer would take it for complete. */
static bool end_stream(struct tcpm__connection *connection)
{
    struct tcpm__layer *layer = tcpm__layer_of(connection);

    if (tcpm__sending_unsent(connection) > 0)
        return false;
    return layer == NULL || !tcpm__has(connection, TCPM__HAD_SUCCESS) ||
           tcpm__has(connection, TCPM__SECURING) ||
           tcpm__stream_finish(layer, &connection->socket) > 0;
}

static void give_up_socket(struct tcpm__connection *connection)
{
    if (connection->rare != NULL) {
        tcpm__places_forget_further(connection);
        tcpm__racers_drop(connection);
    }
    if (!tcpm__socket_is_open(&connection->socket))
        return;
    bool reset = tcpm__has(connection, TCPM__RESET) || !end_stream(connection);
    tcpm__socket_close(&tcpm__engine_of(connection)->network, &connection->socket, reset);
}

/* Gives back whatever lets others start. */
static void leave_places(struct tcpm__connection *connection)
{
    if (connection->rare != NULL)
        tcpm__addresses_give_all(connection);
    tcpm__places_leave(connection);
}

static void count_end(const struct tcpm__connection *connection)
{
    struct tcpm__end end = {.reason = connection->reason,
                            .op = connection->code != 0 ? connection->op : 0,
                            .timer = connection->timed_out,
                            .code = connection->code};

    if (tcpm__tally_add_usual(&connection->session->tally, end))
        return;
    tcpm__tally_add(&connection->session->tally, &tcpm__engine_of(connection)->memory, end,
                    tcpm__connection_own_message(connection));
}

/* Delivers the last events and destroys the connection. The socket is closed before the event
   disconnected, so that a connect from its handler finds a free place. */
static void finish(struct tcpm__connection *connection)
{
    connection->flags |= TCPM__TELLING;
    tcpm__event_cause(connection);
    if (connection->rare != NULL)
        tcpm__tasks_drop_connection(connection);
    tcpm__connection_set_phase(connection, TCPM__PHASE_CLOSED);
    give_up_socket(connection);
    leave_places(connection);
    count_end(connection);
    tcpm__event_disconnected(connection);
    destroy(connection);
}

bool tcpm__connection_step(struct tcpm__connection *connection)
{
    if (connection->phase == TCPM__PHASE_CONNECTING) {
        if (tcpm__socket_is_readable(&connection->socket))
            tcpm__reach_go_on(connection);
        else if (tcpm__has(connection, TCPM__PASSING))
            tcpm__attempt_go_on(connection);
    }
    if (!tcpm__is_ending(connection))
        tcpm__output_report_flushed(connection);
    if (!tcpm__is_ending(connection))
        tcpm__input_step(connection);
    if (!tcpm__is_ending(connection))
        tcpm__output_step(connection);
    if (!tcpm__is_ending(connection) && tcpm__has(connection, TCPM__SECURING))
        tcpm__starttls_step(connection);
    if (!tcpm__is_ending(connection))
        return true;
    finish(connection);
    return false;
}
