/* SPDX-License-Identifier: MIT */
/*
 * The attempt: from an address as given, over its look-up (resolve.c) and the race of its addresses
 * (race.c), to a connected socket or failure. Started by admission.c, continued by the events of
 * its sockets (turn.c); what follows the connect is in reach.c.
 *
 * What always holds: no event is delivered during tcpm_connect(). A result that the kernel knows at
 * once is delivered in the ready pass, or in a later turn of the loop.
 */
#include "connection/flow.h"

#include <errno.h>

/* ---- numbers ---- */

/* A number that has no options for its sockets, the common case. */
static inline int start_plain(struct tcpm__connection *connection,
                              const union tcpm__address *address, uint64_t number)
{
    enum tcpm_op op;
    int code = tcpm__dial_plain(connection, address, &op);

    if (code < 0 && !tcpm__race_put_back(connection, code, number))
        tcpm__connection_fail(connection, op, code, NULL);
    return code;
}

/* A race of one address. */
static void start_number(struct tcpm__connection *connection, const union tcpm__address *address)
{
    connection->rare->attempt->next = connection->rare->attempt->count = 0;
    if (tcpm__tries_add(connection, address, 1, 0) < 0)
        tcpm__connection_fail(connection, TCPM_OP_SOCKET, -ENOMEM, NULL);
    else
        tcpm__race_go_on(connection);
}

/* The form of what was given (1: an address), or -EAFNOSUPPORT: the session does not allow the
   family of the address. */
static int check_family(const struct tcpm__connection *connection, int form,
                        const union tcpm__address *address)
{
    unsigned families = tcpm__session_families(connection->session);

    return form != 1 || (families & tcpm__address_family_bit(address)) != 0 ? form : -EAFNOSUPPORT;
}

/* ---- proxies ---- */

/* Begins to connect to the nearest proxy. */
static void start_proxy(struct tcpm__connection *connection)
{
    const struct tcpm__hop *hop = tcpm__route_hop(tcpm__passage_route(connection), 0);
    union tcpm__address address;
    const char *why = NULL;
    int form = tcpm__address_parse(hop->host, hop->port, &address, &why);

    form = check_family(connection, form, &address);
    if (form < 0)
        tcpm__connection_fail_to_reach(connection, TCPM_OP_RESOLVE, form, why);
    else if (form == 1)
        start_number(connection, &address);
    else
        tcpm__resolve_start(connection, hop->host);
}

/* Finds what the proxies are to be told, then connects to the nearest one. */
static void start_route(struct tcpm__connection *connection, uint64_t number)
{
    struct tcpm__attempt *attempt = tcpm__attempt_get(connection);

    if (attempt == NULL || tcpm__passage_make(connection) < 0) {
        tcpm__connection_fail(connection, TCPM_OP_PROXY, -ENOMEM, NULL);
        return;
    }
    attempt->number = number;
    if (tcpm__hops_find(connection))
        start_proxy(connection);
}

void tcpm__attempt_go_on(struct tcpm__connection *connection)
{
    if (tcpm__passage_of(connection)->is_seeking && tcpm__passage_has_found(connection) &&
        tcpm__hops_go_on(connection))
        start_proxy(connection);
}

/* ---- from the start ---- */

/* Finds what the target is: 1: the address at ret; 0: a name; negative: neither, and *why is a
   static text. */
static int find_target(const struct tcpm__connection *connection, union tcpm__address *ret,
                       const char **why)
{
    const struct tcpm__way *way = tcpm__way_of(connection);

    if (tcpm__has(connection, TCPM__QUAD)) {
        tcpm__connection_peer(connection, ret);
        return 1;
    }
    const char *text = connection->address.target->text;
    if (way != NULL && way->overrides != NULL &&
        tcpm__overrides_find(way->overrides, text, connection->port, ret))
        return 1;
    return tcpm__address_parse(text, connection->port, ret, why);
}

static void start_target(struct tcpm__connection *connection, uint64_t number)
{
    union tcpm__address address;
    const char *why = NULL;
    int form = find_target(connection, &address, &why);

    form = check_family(connection, form, &address);
    if (form < 0) {
        tcpm__connection_fail(connection, TCPM_OP_RESOLVE, form, why);
        return;
    }
    if (form == 1 && tcpm__way_of(connection) == NULL && tcpm__attempt_of(connection) == NULL) {
        if (tcpm__times_are_kept(connection))
            tcpm__times_set_first(connection, TCPM__RESOLVED);
        int code = start_plain(connection, &address, number);
        if (code == 0 && !tcpm__has(connection, TCPM__QUAD))
            connection->address.target->peer = address;
        return;
    }
    struct tcpm__attempt *attempt = tcpm__attempt_get(connection);
    if (attempt == NULL) {
        tcpm__connection_fail(connection, TCPM_OP_RESOLVE, -ENOMEM, NULL);
        return;
    }
    attempt->number = number;
    if (form == 1)
        start_number(connection, &address);
    else
        tcpm__resolve_start(connection, connection->address.target->text);
}

/* Whether the attempt had begun before, and had to wait in the middle. */
static bool goes_on(const struct tcpm__attempt *attempt)
{
    return attempt != NULL && (attempt->next < attempt->count || tcpm__attempt_awaits(attempt));
}

/* Out of line, as few connections need more than start_plain. */
__attribute__((noinline)) static void start_any(struct tcpm__connection *connection,
                                                uint64_t number)
{
    if (!tcpm__addresses_resume(connection))
        tcpm__timers_begin_attempt(connection);
    if (tcpm__times_are_kept(connection))
        tcpm__times_set_first(connection, TCPM__STARTED);
    if (goes_on(tcpm__attempt_of(connection)))
        tcpm__race_go_on(connection);
    else if (tcpm__passage_route(connection) != NULL)
        start_route(connection, number);
    else
        start_target(connection, number);
}

/* Whether the target is a dotted quad, and the connection has nothing that concerns its attempt. */
static bool is_plain(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__QUAD) && connection->rare == NULL &&
           connection->session->options.domain == 0;
}

void tcpm__attempt_start(struct tcpm__connection *connection, uint64_t number)
{
    union tcpm__address address;

    tcpm__connection_set_phase(connection, TCPM__PHASE_CONNECTING);
    if (!is_plain(connection)) {
        start_any(connection, number);
        return;
    }
    tcpm__timers_begin_attempt(connection);
    tcpm__address_make_quad(connection->address.quad, connection->port, &address);
    start_plain(connection, &address, number);
}

/* ---- a socket is connected ---- */

/* Finds the peer that the kernel has chosen, where the target is 0.0.0.0 or ::. */
static void find_peer(struct tcpm__connection *connection)
{
    if (tcpm__has(connection, TCPM__QUAD))
        return;

    union tcpm__address *peer = &connection->address.target->peer;

    if (tcpm__address_is_any(peer))
        tcpm__socket_get_peer(&connection->socket, peer);
}

/* Whether our own port may be that of the target. */
static bool may_have_port(const struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = tcpm__attempt_of(connection);
    const struct tcpm__way *way = tcpm__way_of(connection);

    if (connection->rare == NULL && tcpm__has(connection, TCPM__QUAD)) /* the common case */
        return tcpm__socket_may_get_port(&tcpm__engine_of(connection)->network, connection->port);
    return (attempt != NULL && attempt->bind_port != 0) || (way != NULL && way->sources != NULL) ||
           tcpm__socket_may_get_port(&tcpm__engine_of(connection)->network,
                                     tcpm__passage_port(connection));
}

/* Whether the socket is connected to itself. Out of line, as its port rarely allows that. */
__attribute__((noinline)) static bool
is_connected_to_itself(const struct tcpm__connection *connection, struct tcpm__socket *socket)
{
    union tcpm__address peer;

    tcpm__race_peer(connection, socket, &peer);
    if (tcpm__address_is_any(&peer))
        tcpm__socket_get_peer(socket, &peer);
    return tcpm__socket_is_self_connected(socket, &peer);
}

static void set_keepalive(const struct tcpm__connection *connection)
{
    if (connection->session->options.keepalive_s != 0)
        tcpm__socket_set_keepalive(&connection->socket,
                                   (int) connection->session->options.keepalive_s);
}

/* Makes the socket the connection's own, and drops all others. Needed where the connection has a
   struct tcpm__rare. False: the attempt has failed. */
static bool win(struct tcpm__connection *connection, struct tcpm__socket *socket)
{
    int result = tcpm__race_win(connection, socket);

    if (result < 0)
        tcpm__connection_fail(connection, TCPM_OP_CONNECT, result, NULL);
    else if (tcpm__times_are_kept(connection))
        tcpm__times_set_connected(connection);
    return result == 0;
}

/* Accepts what the socket is connected to. False: the attempt has failed, or the socket is
   connected to itself and out of the race. */
static bool accept_socket(struct tcpm__connection *connection, struct tcpm__socket *socket)
{
    if (may_have_port(connection) && is_connected_to_itself(connection, socket)) {
        tcpm__race_lose(connection, socket, -ECONNREFUSED, true);
        return false;
    }
    if (connection->rare != NULL && !win(connection, socket))
        return false;
    find_peer(connection);
    set_keepalive(connection);
    return true;
}

/* When a peer accepts, sends a greeting and resets before we look, the kernel reports that connect
   has failed, though the greeting can be read. That is told as success, input, and then the error.
   Not with a layer: its handshake would have to come first. True: told so, or failed otherwise. */
static bool rescue_greeting(struct tcpm__connection *connection, struct tcpm__socket *socket,
                            int status)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    if (status != -ECONNRESET || !tcpm__target_is_direct(connection))
        return false;
    ssize_t length = tcpm__socket_read(&engine->network, socket, TCPM__READ_PER_ROUND);
    if (length <= 0)
        return false;
    if (!accept_socket(connection, socket))
        return true;
    tcpm__connection_set_cause(connection, TCPM_OP_READ, status, NULL);
    tcpm__sending_break(connection);
    tcpm__socket_expect_more(&connection->socket);
    tcpm__reach_succeed(connection);
    tcpm__input_cut_read(connection, engine->network.read_buffer, (size_t) length);
    tcpm__connection_mark_ready(connection);
    return true;
}

void tcpm__attempt_connected(struct tcpm__connection *connection, struct tcpm__socket *socket,
                             int status)
{
    status = tcpm__cause_code(status);
    if (status == 0) {
        if (accept_socket(connection, socket))
            tcpm__reach_begin(connection);
    } else if (!rescue_greeting(connection, socket, status)) {
        tcpm__race_lose(connection, socket, status, false);
    }
}
