/* SPDX-License-Identifier: MIT */
/*
 * The target of a connection: its remote address as given, the peer in use, its own handlers, its
 * layer, its way.
 *
 * What always holds: a dotted quad, the common case, lies in the connection itself (flag QUAD),
 * except 0.0.0.0 and where the connection has own handlers, a layer or a way. Every other
 * connection has a struct tcpm__target.
 */
#include "connection/attempt.h"

#include <errno.h>
#include <stdio.h>

#include "transport/tls.h"

static int keep_events(struct tcpm__connection *connection, const struct tcpm_events *events)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    struct tcpm__target *target = connection->address.target;

    if (events == NULL)
        return 0;
    target->events = tcpm__memory_zeroed(memory, sizeof *events);
    if (target->events == NULL)
        return -ENOMEM;
    *target->events = *events;
    connection->flags |= TCPM__OWN_EVENTS;
    return 0;
}

static int keep_layer(struct tcpm__connection *connection)
{
    struct tcpm__network *network = &tcpm__engine_of(connection)->network;
    struct tcpm__target *target = connection->address.target;
    int result = tcpm__layer_open(network, &target->layer);

    if (target->layer != NULL)
        connection->flags |= TCPM__LAYERED;
    return result;
}

int tcpm__target_make(struct tcpm__connection *connection,
                      const struct tcpm_connect_options *options, struct tcpm__way *way)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    size_t size = strlen(options->address) + 1;
    struct tcpm__target *target = tcpm__memory_zeroed(memory, sizeof *target + size);

    if (target == NULL)
        return -ENOMEM;
    memcpy(target->text, options->address, size);
    target->way = tcpm__way_keep(way);
    target->connect_timeout_ms = connection->timeout_ms;
    connection->address.target = target;
    int result = keep_events(connection, options->events);
    if (result == 0)
        result = tcpm__target_name_server(connection, options->server_name);
    return result < 0 ? result : keep_layer(connection);
}

int tcpm__target_need(struct tcpm__connection *connection)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    union tcpm__address peer;
    char text[TCPM__ADDRESS_TEXT];

    if (!tcpm__has(connection, TCPM__QUAD))
        return 0;
    tcpm__connection_address(connection, text);
    tcpm__connection_peer(connection, &peer);
    struct tcpm__target *target = tcpm__memory_zeroed(memory, sizeof *target + sizeof text);
    if (target == NULL)
        return -ENOMEM;
    memcpy(target->text, text, sizeof text);
    target->peer = peer;
    target->connect_timeout_ms = (uint32_t) connection->session->options.connect_timeout_ms;
    connection->address.target = target;
    connection->flags &= ~(uint32_t) TCPM__QUAD;
    return 0;
}

int tcpm__target_name_server(struct tcpm__connection *connection, const char *server_name)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    struct tcpm__target *target = connection->address.target;

    if (server_name == NULL)
        return 0;
    size_t size = strlen(server_name) + 1;
    char *copy = tcpm__memory_resize(memory, NULL, size);
    if (copy == NULL)
        return -ENOMEM;
    tcpm__target_forget_server(connection);
    target->server_name = memcpy(copy, server_name, size);
    return 0;
}

void tcpm__target_forget_server(struct tcpm__connection *connection)
{
    struct tcpm__target *target = connection->address.target;

    tcpm__memory_free(&tcpm__engine_of(connection)->memory, target->server_name);
    target->server_name = NULL;
}

/* The layer that a build for the tests gives to every connection counts only for what it keeps: the
   tests reckon with the bytes of a plain connection. */
size_t tcpm__target_measure(const struct tcpm__connection *connection)
{
    const struct tcpm__layer *layer = tcpm__layer_of(connection);
    size_t account = layer == NULL || TCPM__LAYER_ALWAYS ? 0 : tcpm__tls_account(layer);

    return account + tcpm__stream_kept(layer) + tcpm__passage_kept(connection);
}

bool tcpm__target_weigh(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__target *target = connection->address.target;
    size_t before = target->weight;

    target->weight = tcpm__target_measure(connection);
    engine->bytes.held += (uint64_t) target->weight - before; /* modulo 2^64 */
    return target->weight <= before || engine->bytes.held <= engine->bytes.max;
}

void tcpm__target_explain_weight(const struct tcpm__connection *connection,
                                 char text[TCPM__WEIGHT_TEXT])
{
    snprintf(text, TCPM__WEIGHT_TEXT, "%zu bytes for TLS and proxies, max_memory is %llu",
             connection->address.target->weight,
             (unsigned long long) tcpm__engine_of(connection)->bytes.max);
}

bool tcpm__target_is_direct(const struct tcpm__connection *connection)
{
    const struct tcpm__way *way = tcpm__way_of(connection);

    return !tcpm__has(connection, TCPM__LAYERED) &&
           (way == NULL || (way->tls == NULL && way->route == NULL && way->send_proxy == 0));
}

static void drop_tls(struct tcpm__connection *connection)
{
    struct tcpm__target *target = connection->address.target;

    tcpm__layer_free(tcpm__layer_of(connection));
    target->layer = NULL;
    connection->flags &= ~(uint32_t) (TCPM__SECURING | TCPM__LAYERED);
    tcpm__tls_spec_drop(target->tls);
    target->tls = NULL;
}

void tcpm__target_stay_plain(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;
    size_t before = tcpm__buffer_length(connection->queue);
    size_t dropped = before - connection->address.target->plain;

    TCPM__ASSERT(dropped <= before);
    tcpm__handshake_close(connection);
    drop_tls(connection);
    tcpm__target_weigh(connection);
    tcpm__buffer_cut(&session->engine->memory, &connection->queue, before - dropped);
    session->queued -= dropped;
    session->engine->bytes.held -= dropped;
}

void tcpm__target_free(struct tcpm__connection *connection)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    struct tcpm__target *target = connection->address.target;

    if (target == NULL)
        return; /* there was no memory for it */
    if (tcpm__has(connection, TCPM__OWN_EVENTS))
        tcpm__memory_free(memory, target->events);
    drop_tls(connection);
    tcpm__engine_of(connection)->bytes.held -= target->weight;
    tcpm__target_forget_server(connection);
    tcpm__way_return(target->way, &target->lease);
    tcpm__way_drop(target->way);
    tcpm__memory_free(memory, target);
}

const char *tcpm__connection_address(const struct tcpm__connection *connection,
                                     char text[TCPM__ADDRESS_TEXT])
{
    if (!tcpm__has(connection, TCPM__QUAD))
        return connection->address.target->text;
    tcpm__address_print_quad(connection->address.quad, text);
    return text;
}

void tcpm__connection_peer(const struct tcpm__connection *connection, union tcpm__address *peer)
{
    if (tcpm__has(connection, TCPM__QUAD))
        tcpm__address_make_quad(connection->address.quad, connection->port, peer);
    else
        *peer = connection->address.target->peer;
}
