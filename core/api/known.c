/* SPDX-License-Identifier: MIT */
/*
 * The public functions that tell what is known of a connection, and which session, engine and loop
 * belong together. Only tcpm_heap_set changes something: the connection's heap.
 */
#include "api/check.h"

#include <errno.h>

/* ---- heap ---- */

int tcpm_heap_set(struct tcpm_session *session, struct tcpm_id id, void *heap)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_live(session, id, &connection);

    if (result == 0)
        connection->heap = heap;
    return result;
}

int tcpm_heap_get(struct tcpm_session *session, struct tcpm_id id, void **heap)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_known(session, id, &connection);

    if (result < 0)
        return result;
    if (heap == NULL)
        return -EINVAL;
    *heap = connection->heap;
    return 0;
}

/* ---- a connection ---- */

static void fill_info(const struct tcpm__connection *connection, struct tcpm_info *info)
{
    info->phase = tcpm__phase_shown(connection->phase);
    info->port = connection->port;
    info->address =
        tcpm__connection_address(connection, connection->session->engine->delivery.address_text);
    info->received = connection->received;
    info->sent = connection->sent;
    info->queued = tcpm__sending_unsent(connection);
    info->timeout_ms = connection->timeout_ms;
    info->deadline_ms = tcpm__timers_deadline_left(connection);
    info->timer = connection->timed_out;
    if (connection->code == 0)
        return;
    info->cause.op = connection->op;
    info->cause.code = connection->code;
    info->cause.message = tcpm__connection_message(connection);
}

int tcpm_info_get(struct tcpm_session *session, struct tcpm_id id, struct tcpm_info *info)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_known(session, id, &connection);

    if (result < 0)
        return result;
    if (info == NULL)
        return -EINVAL;

    struct tcpm_info known = {.cause = {.size = sizeof(struct tcpm_error)}};

    fill_info(connection, &known);
    return tcpm__options_write(&known, info, sizeof known);
}

static void fill_endpoints(const struct tcpm__connection *connection,
                           struct tcpm_endpoints *endpoints)
{
    union tcpm__address address = {.any = {.sa_family = AF_UNSPEC}};

    if (!tcpm__socket_is_open(&connection->socket) || !tcpm__has(connection, TCPM__HAD_SUCCESS))
        return;
    tcpm__connection_peer(connection, &address);
    tcpm__address_print(&address, endpoints->peer);
    endpoints->peer_port = tcpm__address_port(&address);
    if (tcpm__socket_get_local(&connection->socket, &address) < 0)
        return;
    tcpm__address_print(&address, endpoints->local);
    endpoints->local_port = tcpm__address_port(&address);
}

int tcpm_endpoints_get(struct tcpm_session *session, struct tcpm_id id,
                       struct tcpm_endpoints *endpoints)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_known(session, id, &connection);

    if (result < 0)
        return result;
    if (endpoints == NULL)
        return -EINVAL;

    struct tcpm_endpoints known = {.peer_port = 0};

    fill_endpoints(connection, &known);
    return tcpm__options_write(&known, endpoints, sizeof known);
}

/* ---- who belongs to whom ---- */

void *tcpm_session_user(struct tcpm_session *session)
{
    return session == NULL ? NULL : session->options.user;
}

struct tcpm_engine *tcpm_session_engine(struct tcpm_session *session)
{
    return session == NULL ? NULL : session->engine;
}

struct uv_loop_s *tcpm_engine_loop(struct tcpm_engine *engine)
{
    return engine == NULL ? NULL : engine->network.loop;
}
