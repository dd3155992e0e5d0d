/* SPDX-License-Identifier: MIT */
/*
 * Dialling: opens a socket to one address, binds it as the options say, and lets it connect. Called
 * by the race for each of its sockets.
 *
 * What always holds: where dialling fails, no socket and no lease is left. A plain connection,
 * which has no attempt, takes the short way: socket, connect, and the entry into the set.
 */
#include "connection/attempt.h"

#include <errno.h>
#include <sys/socket.h>

/* Sources from which one address is dialled in a row when the kernel has no port left. A connect
   without a port takes the kernel several milliseconds. */
enum { MOST_SOURCES = 4 };

static int open_socket(struct tcpm_engine *engine, struct tcpm__socket *ret, int family)
{
    int result = tcpm__socket_open(&engine->network, ret, family);

    if (result == 0 && engine->admission.probing)
        tcpm__places_note_descriptor(engine);
    return result;
}

int tcpm__dial_plain(struct tcpm__connection *connection, const union tcpm__address *address,
                     enum tcpm_op *op)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    int result = open_socket(engine, &connection->socket, address->any.sa_family);

    *op = TCPM_OP_SOCKET;
    if (result == 0) {
        *op = TCPM_OP_CONNECT;
        result =
            tcpm__socket_connect(&engine->network, &connection->socket, address, connection->id);
        if (result < 0)
            tcpm__socket_drop(&engine->network, &connection->socket);
    }
    if (result < 0 && engine->trace.tell != NULL)
        tcpm__trace_attempt(connection, address, *op, result);
    return result;
}

static int bind_device(const struct tcpm__connection *connection, const struct tcpm__dial *dial)
{
    const struct tcpm__way *way = tcpm__way_of(connection);

    return way == NULL || way->device[0] == '\0'
               ? 0
               : tcpm__socket_bind_device(dial->socket, way->device);
}

/* The local port that the options ask for; 0: none. */
static uint16_t local_port(const struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = tcpm__attempt_of(connection);

    return attempt == NULL ? 0 : attempt->bind_port;
}

/* Lets the socket have a source that may be on no interface. */
static void allow_source(const struct tcpm__connection *connection, const struct tcpm__dial *dial)
{
    const struct tcpm__way *way = tcpm__way_of(connection);

    if (way != NULL && way->sources != NULL &&
        tcpm__sources_need_freebind(way->sources, &dial->source))
        tcpm__socket_set_freebind(dial->socket);
}

/* Binds the socket to the source in dial and the port of the options, where there are some. */
static int bind_address(const struct tcpm__connection *connection, int family,
                        struct tcpm__dial *dial)
{
    union tcpm__address local = dial->source;
    uint16_t port = local_port(connection);

    if (port == 0 && local.any.sa_family == AF_UNSPEC)
        return 0;
    dial->op = TCPM_OP_BIND;
    local.any.sa_family = (sa_family_t) family; /* an address of zeroes is any address */
    tcpm__address_set_port(&local, port);
    allow_source(connection, dial);
    return tcpm__socket_bind(dial->socket, &local);
}

/* Dials from the source in dial. */
static int dial_once(const struct tcpm__connection *connection, const union tcpm__address *address,
                     struct tcpm__dial *dial)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    int result = open_socket(engine, dial->socket, address->any.sa_family);

    dial->op = TCPM_OP_SOCKET;
    if (result < 0)
        return result;
    result = bind_device(connection, dial);
    if (result == 0)
        result = bind_address(connection, address->any.sa_family, dial);
    if (result == 0) {
        dial->op = TCPM_OP_CONNECT;
        result = tcpm__socket_connect(&engine->network, dial->socket, address, dial->tag);
    }
    if (result < 0)
        tcpm__socket_drop(&engine->network, dial->socket);
    return result;
}

static int take_source(const struct tcpm__connection *connection,
                       const union tcpm__address *address, struct tcpm__dial *dial)
{
    int result = tcpm__sources_take(tcpm__way_of(connection)->sources, address,
                                    tcpm__now_of(connection), &dial->source, &dial->lease);

    dial->op = result == -EADDRNOTAVAIL ? TCPM_OP_CONNECT : TCPM_OP_BIND;
    return result;
}

/* Dials from one of several sources; from further ones while the kernel has no port left for the
   address. */
static int dial_from_sources(const struct tcpm__connection *connection,
                             const union tcpm__address *address, struct tcpm__dial *dial)
{
    const struct tcpm__way *way = tcpm__way_of(connection);

    for (int left = MOST_SOURCES;; left--) {
        int result = take_source(connection, address, dial);

        if (result < 0)
            return result;
        result = dial_once(connection, address, dial);
        if (result == 0)
            return 0;
        bool is_full = result == -EADDRNOTAVAIL && dial->op == TCPM_OP_CONNECT;
        if (is_full)
            tcpm__sources_note_full(way->sources, dial->lease, address, tcpm__now_of(connection));
        tcpm__way_return(way, &dial->lease);
        if (!is_full || left == 1)
            return result;
    }
}

int tcpm__dial(const struct tcpm__connection *connection, const union tcpm__address *address,
               struct tcpm__dial *dial)
{
    const struct tcpm__way *way = tcpm__way_of(connection);
    int result = way != NULL && way->sources != NULL ? dial_from_sources(connection, address, dial)
                                                     : dial_once(connection, address, dial);

    if (result < 0 && tcpm__engine_of(connection)->trace.tell != NULL)
        tcpm__trace_attempt(connection, address, dial->op, result);
    return result;
}
