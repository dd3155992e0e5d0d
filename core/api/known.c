/* SPDX-License-Identifier: MIT */
/*
 * The public functions that tell what is known, and change nothing but a heap: of a connection, and
 * who belongs to whom.
 */
#include "api/check.h"

#include <errno.h>

/* ---- heap ---- */

int tcpm_heap_set(struct tcpm_session *session, struct tcpm_id id, void *heap)
{
    struct tcpm__connection *connection = tcpm__check_live(session, id);

    if (connection == NULL)
        return tcpm__check_missing(session);
    connection->heap = heap;
    return 0;
}

int tcpm_heap_get(struct tcpm_session *session, struct tcpm_id id, void **heap)
{
    const struct tcpm__connection *connection = tcpm__check_find(session, id);

    if (connection == NULL)
        return -ESTALE;
    if (heap == NULL)
        return -EINVAL;
    *heap = connection->heap;
    return 0;
}

/* ---- a connection ---- */

static void fill_info(const struct tcpm__connection *connection, struct tcpm_info *info)
{
    info->phase = connection->phase;
    info->port = connection->port;
    info->address = tcpm__connection_address(connection, connection->session->engine->address_text);
    info->received = connection->received;
    info->sent = connection->sent;
    info->queued = tcpm__output_unsent(connection);
    info->timeout_ms = connection->timeout_ms;
    info->deadline_ms = tcpm__deadline_left(connection);
    info->timer = connection->timed_out;
    if (connection->code == 0)
        return;
    info->cause.op = connection->op;
    info->cause.code = connection->code;
    info->cause.message = tcpm__connection_message(connection);
}

int tcpm_info_get(struct tcpm_session *session, struct tcpm_id id, struct tcpm_info *info)
{
    const struct tcpm__connection *connection = tcpm__check_find(session, id);
    struct tcpm_info known = {.cause = {.size = sizeof(struct tcpm_error)}};

    if (connection == NULL)
        return -ESTALE;
    if (info == NULL)
        return -EINVAL;
    fill_info(connection, &known);
    return tcpm__options_write(&known, info, sizeof(known));
}

static void fill_endpoints(const struct tcpm__connection *connection,
                           struct tcpm_endpoints *endpoints)
{
    union tcpm__address address = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t size = sizeof(address);

    if (!tcpm__socket_is_open(&connection->socket) || !tcpm__has(connection, TCPM__HAD_SUCCESS))
        return;
    tcpm__connection_peer(connection, &address);
    tcpm__address_print(&address, endpoints->peer);
    endpoints->peer_port = connection->port;
    if (getsockname(connection->socket.fd, &address.any, &size) < 0)
        return;
    tcpm__address_print(&address, endpoints->local);
    endpoints->local_port = tcpm__address_port(&address);
}

int tcpm_endpoints_get(struct tcpm_session *session, struct tcpm_id id,
                       struct tcpm_endpoints *endpoints)
{
    const struct tcpm__connection *connection = tcpm__check_find(session, id);
    struct tcpm_endpoints known = {.peer_port = 0};

    if (connection == NULL)
        return -ESTALE;
    if (endpoints == NULL)
        return -EINVAL;
    fill_endpoints(connection, &known);
    return tcpm__options_write(&known, endpoints, sizeof(known));
}

/* ---- who belongs to whom ---- */

void *tcpm_session_user(struct tcpm_session *session)
{
    return session == NULL ? NULL : session->user;
}

struct tcpm_engine *tcpm_session_engine(struct tcpm_session *session)
{
    return session == NULL ? NULL : session->engine;
}

struct uv_loop_s *tcpm_engine_loop(struct tcpm_engine *engine)
{
    return engine == NULL ? NULL : engine->network.loop;
}
