/* SPDX-License-Identifier: MIT */
/*
 * The attempt: from an address as given, over its lookup and one address after the other, to
 * success or failure. What the kernel reports at once still becomes an event of a later turn.
 */
#include "connection/layer.h"

#include <errno.h>
#include <sys/socket.h>

#define SELF_CONNECT "connection refused: the kernel had connected it to itself"

static struct tcpm__attempt *attempt_of(const struct tcpm__connection *connection)
{
    uint32_t other = TCPM__HAD_SUCCESS | TCPM__HAS_MESSAGE;

    return tcpm__has(connection, other) ? NULL : connection->rare.attempt;
}

struct tcpm__attempt *tcpm__attempt_get(struct tcpm__connection *connection)
{
    if (connection->rare.attempt == NULL)
        connection->rare.attempt =
            tcpm__memory_zeroed(&tcpm__engine_of(connection)->memory, sizeof(struct tcpm__attempt));
    return connection->rare.attempt;
}

void tcpm__attempt_free(struct tcpm__connection *connection)
{
    struct tcpm__attempt *attempt = attempt_of(connection);

    if (attempt == NULL)
        return;
    tcpm__lookup_cancel(attempt->lookup);
    tcpm__memory_free(&tcpm__engine_of(connection)->memory, attempt);
    connection->rare.attempt = NULL;
}

/* ---- one address ---- */

static bool is_bound(const struct tcpm__attempt *attempt)
{
    return attempt != NULL && (attempt->bind.any.sa_family != AF_UNSPEC || attempt->bind_port != 0);
}

/* The address to bind to for a remote address of this family; false: none. */
static bool bind_address(const struct tcpm__attempt *attempt, int family,
                         union tcpm__address *address)
{
    if (!is_bound(attempt))
        return false;
    *address = attempt->bind;
    if (address->any.sa_family == AF_UNSPEC) {
        address->any.sa_family = (sa_family_t) family; /* the zeros are any address */
        tcpm__address_set_port(address, attempt->bind_port);
    }
    return true;
}

static int bind_socket(struct tcpm__connection *connection, int family)
{
    union tcpm__address address;

    if (!bind_address(attempt_of(connection), family, &address))
        return 0;
    if (address.any.sa_family != family)
        return -EAFNOSUPPORT;
    return tcpm__socket_bind(&connection->socket, &address);
}

static void note_failure(const struct tcpm__connection *connection,
                         const union tcpm__address *address, enum tcpm_op op, int code)
{
    if (code < 0 && tcpm__engine_of(connection)->trace != NULL)
        tcpm__trace_attempt(connection, address, op, code);
}

static void drop_socket(struct tcpm__connection *connection)
{
    tcpm__socket_drop(&tcpm__engine_of(connection)->network, &connection->socket);
}

/* 0, or negative and then *op is what failed. */
static int try_address(struct tcpm__connection *connection, const union tcpm__address *address,
                       enum tcpm_op *op)
{
    int family = address->any.sa_family, result;

    *op = TCPM_OP_SOCKET;
    result = tcpm__socket_open(&tcpm__engine_of(connection)->network, &connection->socket, family);
    if (result < 0)
        return result;
    if (tcpm__engine_of(connection)->admission.probing)
        tcpm__admission_succeed(tcpm__engine_of(connection));
    *op = TCPM_OP_BIND;
    result = bind_socket(connection, family);
    if (result == 0) {
        *op = TCPM_OP_CONNECT;
        result = tcpm__socket_connect(&tcpm__engine_of(connection)->network, &connection->socket,
                                      address, connection->id);
    }
    if (result == 0 && !tcpm__has(connection, TCPM__QUAD))
        connection->address.target->peer = *address;
    if (result < 0)
        drop_socket(connection);
    note_failure(connection, address, *op, result);
    return result;
}

/* Out of descriptors: others of ours may give one back. */
static bool can_wait_again(const struct tcpm__connection *connection, int code)
{
    return (code == -EMFILE || code == -ENFILE) && tcpm__engine_of(connection)->network.sockets > 0;
}

/* ---- several addresses ---- */

/* Starts on the next address; when none is left, fails with what the last one gave. */
static void try_next(struct tcpm__connection *connection, enum tcpm_op op, int code)
{
    struct tcpm__attempt *attempt = attempt_of(connection);

    while (attempt != NULL && attempt->next < attempt->count) {
        code = try_address(connection, &attempt->addresses[attempt->next++], &op);
        if (code == 0)
            return;
        if (can_wait_again(connection, code)) {
            attempt->next--;
            tcpm__admission_retry(connection, attempt->number);
            return;
        }
    }
    tcpm__connection_fail(connection, op, code, NULL);
}

static int keep_addresses(struct tcpm__connection *connection, const union tcpm__address *addresses,
                          size_t count)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    struct tcpm__attempt *attempt = tcpm__memory_resize(
        memory, connection->rare.attempt, sizeof(*attempt) + count * sizeof(addresses[0]));

    if (attempt == NULL)
        return -ENOMEM;
    memcpy(attempt->addresses, addresses, count * sizeof(addresses[0]));
    attempt->count = (uint32_t) count;
    attempt->next = 0;
    connection->rare.attempt = attempt;
    return 0;
}

static void take_lookup(void *owner, int status, const union tcpm__address *addresses, size_t count)
{
    struct tcpm__connection *connection = owner;

    connection->rare.attempt->lookup = NULL;
    if (tcpm__has(connection, TCPM__ENDING))
        return;
    if (status == 0)
        status = keep_addresses(connection, addresses, count);
    if (can_wait_again(connection, status))
        tcpm__admission_retry(connection, connection->rare.attempt->number);
    else if (status < 0)
        tcpm__connection_fail(connection, TCPM_OP_RESOLVE, status, NULL);
    else
        try_next(connection, TCPM_OP_CONNECT, 0);
}

/* ---- from the start ---- */

static void start_lookup(struct tcpm__connection *connection, const char *name, uint64_t number)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__attempt *attempt = tcpm__attempt_get(connection);
    int result = -ENOMEM;

    if (attempt != NULL) {
        attempt->number = number;
        result = tcpm__lookup_start(&engine->network, name, connection->port,
                                    connection->session->family, take_lookup, connection,
                                    &attempt->lookup);
    }
    if (result < 0)
        tcpm__connection_fail(connection, TCPM_OP_RESOLVE, result,
                              result == -EINVAL ? "no name of a host: no UTF-8" : NULL);
}

static void start_numeric(struct tcpm__connection *connection, const union tcpm__address *address,
                          uint64_t number)
{
    int family = connection->session->family, code;
    enum tcpm_op op;

    if (family != AF_UNSPEC && family != address->any.sa_family) {
        tcpm__connection_fail(connection, TCPM_OP_RESOLVE, -EAFNOSUPPORT, NULL);
        return;
    }
    code = try_address(connection, address, &op);
    if (code < 0 && can_wait_again(connection, code))
        tcpm__admission_retry(connection, number);
    else if (code < 0)
        tcpm__connection_fail(connection, op, code, NULL);
}

void tcpm__attempt_start(struct tcpm__connection *connection, uint64_t number)
{
    const struct tcpm__attempt *attempt = attempt_of(connection);
    union tcpm__address address;
    const char *why = NULL;
    int form = 1;

    tcpm__connection_set_phase(connection, TCPM_PHASE_CONNECTING);
    tcpm__deadline_begin(connection);
    if (attempt != NULL && attempt->next < attempt->count) {
        try_next(connection, TCPM_OP_CONNECT, 0); /* it had to wait again among its addresses */
        return;
    }
    if (tcpm__has(connection, TCPM__QUAD))
        tcpm__connection_peer(connection, &address);
    else
        form =
            tcpm__address_parse(connection->address.target->text, connection->port, &address, &why);
    if (form == 1)
        start_numeric(connection, &address, number);
    else if (form == 0)
        start_lookup(connection, connection->address.target->text, number);
    else
        tcpm__connection_fail(connection, TCPM_OP_RESOLVE, form, why);
}

/* ---- success ---- */

/* Where the target is any address, the peer is the one that the kernel has chosen. */
static void find_peer(struct tcpm__connection *connection)
{
    union tcpm__address *peer;
    socklen_t size = sizeof(*peer);

    if (tcpm__has(connection, TCPM__QUAD))
        return;
    peer = &connection->address.target->peer;
    if (tcpm__address_is_any(peer))
        getpeername(connection->socket.fd, &peer->any, &size);
}

/* Only where our own port was asked for, or given by the kernel, it can be that of the target. */
static bool may_have_port(const struct tcpm__connection *connection)
{
    return is_bound(attempt_of(connection)) ||
           tcpm__network_may_give(&tcpm__engine_of(connection)->network, connection->port);
}

/* On loopback the kernel may choose our target as our own port, and connect us to ourselves. */
static bool connected_to_itself(const struct tcpm__connection *connection)
{
    union tcpm__address local = {.any = {.sa_family = AF_UNSPEC}}, peer;
    socklen_t size = sizeof(local);

    if (!may_have_port(connection) || getsockname(connection->socket.fd, &local.any, &size) < 0)
        return false;
    tcpm__connection_peer(connection, &peer);
    return tcpm__address_equal(&local, &peer);
}

static void set_keepalive(const struct tcpm__connection *connection)
{
    if (connection->session->keepalive_s != 0)
        tcpm__socket_keep_alive(&connection->socket, (int) connection->session->keepalive_s);
}

static void succeed(struct tcpm__connection *connection)
{
    find_peer(connection);
    if (connected_to_itself(connection)) {
        tcpm__connection_fail(connection, TCPM_OP_CONNECT, -ECONNREFUSED, SELF_CONNECT);
        return;
    }
    set_keepalive(connection);
    tcpm__attempt_free(connection);
    connection->flags |= TCPM__HAD_SUCCESS;
    tcpm__connection_set_phase(connection, TCPM_PHASE_OPEN);
    tcpm__deadline_start_now(connection, connection->input_timeout_ms);
    if (connection->input != NULL || tcpm__has(connection, TCPM__TAKING))
        tcpm__input_refilter(connection); /* unread or ordered before there was anything to read */
    tcpm__event_success(connection);
    tcpm__output_flush(connection);
    if (tcpm__has(connection, TCPM__OUTPUT_SHUT))
        tcpm__ready(connection);
}

/* A peer that accepts, greets and resets before our turn makes the connect fail, while its greeting
   waits in the socket: that is a success, its input, and then the error. */
static bool rescue_greeting(struct tcpm__connection *connection, int status)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    ssize_t length =
        status == -ECONNRESET ? tcpm__socket_read(&engine->network, &connection->socket) : 0;

    if (length <= 0)
        return false;
    tcpm__connection_cause(connection, TCPM_OP_READ, status, NULL);
    connection->flags |= TCPM__WRITE_FAILED;
    tcpm__socket_read_on(&connection->socket);
    succeed(connection);
    tcpm__input_received(connection, (size_t) length);
    tcpm__ready(connection);
    return true;
}

void tcpm__attempt_connected(struct tcpm__connection *connection, int status)
{
    union tcpm__address peer;

    if (status == -EPIPE) /* the kernel's word for a reset that came after a FIN */
        status = -ECONNRESET;
    if (status == 0) {
        succeed(connection);
    } else if (!rescue_greeting(connection, status)) {
        tcpm__connection_peer(connection, &peer);
        note_failure(connection, &peer, TCPM_OP_CONNECT, status);
        drop_socket(connection);
        try_next(connection, TCPM_OP_CONNECT, status);
    }
}
