/* SPDX-License-Identifier: MIT */
/*
 * A connection's life: created by connect, phases changed by one function, ended by one other, and
 * its last events delivered at one place (finish). Whatever happens to a connection, wherever,
 * becomes a cause and a decision here; the ready pass does the rest.
 */
#include "connection/layer.h"

#include "base/error.h"

#include <errno.h>

/* ---- address ---- */

static int keep_events(struct tcpm__connection *connection, const struct tcpm_events *events)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    struct tcpm__target *target = connection->address.target;

    if (events == NULL)
        return 0;
    target->events = tcpm__memory_zeroed(memory, sizeof(*events));
    if (target->events == NULL)
        return -ENOMEM;
    *target->events = *events;
    connection->flags |= TCPM__OWN_EVENTS;
    return 0;
}

/* A dotted quad without handlers of its own, the common case, needs no target. 0.0.0.0 has a peer
   that the kernel chooses. */
static int keep_target(struct tcpm__connection *connection,
                       const struct tcpm_connect_options *options, const struct in_addr *quad)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    struct tcpm__target *target;
    size_t size;

    if (options->events == NULL && quad != NULL && quad->s_addr != INADDR_ANY) {
        connection->address.quad = *quad;
        connection->flags |= TCPM__QUAD;
        return 0;
    }
    size = strlen(options->address) + 1;
    target = tcpm__memory_zeroed(memory, sizeof(*target) + size);
    if (target == NULL)
        return -ENOMEM;
    memcpy(target->text, options->address, size);
    connection->address.target = target;
    return keep_events(connection, options->events);
}

static void free_target(struct tcpm__connection *connection)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;

    if (tcpm__has(connection, TCPM__QUAD))
        return;
    if (tcpm__has(connection, TCPM__OWN_EVENTS))
        tcpm__memory_free(memory, connection->address.target->events);
    tcpm__memory_free(memory, connection->address.target);
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

/* ---- phases ---- */

void tcpm__connection_set_phase(struct tcpm__connection *connection, enum tcpm_phase phase)
{
    struct tcpm_session *session = connection->session;

    if (session->engine->trace != NULL)
        tcpm__trace_phase(connection, phase);
    session->phases[connection->phase]--;
    session->phases[phase]++;
    connection->phase = (uint8_t) phase;
}

/* ---- creation ---- */

#define LINK offsetof(struct tcpm__connection, in_session)

static void join_session(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;

    session->live++;
    tcpm__chain_append(&session->engine->connections, &session->connections,
                       &connection->in_session, tcpm__pool_slot(connection), LINK);
}

/* A walk that stands at it stands at the one before it then. */
static void leave_session(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;

    tcpm__chain_remove(&session->engine->connections, &session->connections,
                       &connection->in_session, LINK);
    if (session->walked_slot == tcpm__pool_slot(connection))
        session->walked_slot = connection->in_session.prev;
    if (--session->live == 0 && session->dying)
        tcpm__list_append(&session->engine->dead, &session->in_dead);
}

static void destroy(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;
    struct tcpm_engine *engine = session->engine;

    tcpm__attempt_free(connection);
    if (connection->input != NULL)
        tcpm__input_free(connection);
    if (connection->queue != NULL)
        tcpm__output_free(connection);
    tcpm__codec_drop(connection->in);
    tcpm__codec_drop(connection->out);
    free_target(connection);
    tcpm__connection_forget_cause(connection);
    session->phases[connection->phase]--;
    leave_session(connection);
    tcpm__pool_give(&engine->connections, connection);
    tcpm__work_done(engine);
}

static int open_codecs(struct tcpm__connection *connection, struct tcpm_filter *input,
                       struct tcpm_filter *output)
{
    int result = tcpm__codec_open(input, &connection->in);

    if (result < 0)
        return result;
    if (input == output)
        connection->out = tcpm__codec_keep(connection->in);
    else
        result = tcpm__codec_open(output, &connection->out);
    return result;
}

/* What only the attempt needs, for the rare connection that is bound. */
static int keep_bind(struct tcpm__connection *connection,
                     const struct tcpm_connect_options *options)
{
    if (options->refused != NULL || (options->bind_address == NULL && options->bind_port == 0))
        return 0;
    struct tcpm__attempt *attempt = tcpm__attempt_get(connection);
    const char *why;

    if (attempt == NULL)
        return -ENOMEM;
    if (options->bind_address != NULL)
        tcpm__address_parse(options->bind_address, (unsigned) options->bind_port, &attempt->bind,
                            &why);
    else
        attempt->bind_port = (uint16_t) options->bind_port;
    return 0;
}

int tcpm__connection_create(struct tcpm_session *session,
                            const struct tcpm_connect_options *options, const struct in_addr *quad,
                            struct tcpm__connection **ret)
{
    struct tcpm_engine *engine = session->engine;
    struct tcpm__connection *connection = tcpm__pool_take(&engine->connections);
    int result;

    if (connection == NULL)
        return -ENOMEM;
    connection->session = session;
    connection->socket = TCPM__SOCKET_CLOSED;
    connection->heap = options->heap;
    connection->port = (uint16_t) options->port;
    connection->phase = TCPM_PHASE_WAITING;
    connection->timeout_ms = (uint32_t) options->connect_timeout_ms;
    connection->input_timeout_ms = (uint32_t) options->input_timeout_ms;
    connection->shutdown_timeout_ms = (uint32_t) options->shutdown_timeout_ms;
    connection->deadline_ms = (uint64_t) options->deadline_ms;
    if (options->half_open == 1)
        connection->flags |= TCPM__HALF_OPEN;
    session->phases[TCPM_PHASE_WAITING]++;
    join_session(connection);
    tcpm__work_add(engine);
    result = keep_target(connection, options, quad);
    if (result == 0)
        result = keep_bind(connection, options);
    if (result == 0)
        result = open_codecs(connection, options->input_filter, options->output_filter);
    if (result < 0) {
        destroy(connection);
        return result;
    }
    *ret = connection;
    return 0;
}

/* ---- ending ---- */

/* The message takes the place of the attempt. */
static void keep_message(struct tcpm__connection *connection, const char *message)
{
    tcpm__attempt_free(connection);
    connection->rare.message = tcpm__error_line(&tcpm__engine_of(connection)->memory, message);
    if (connection->rare.message != NULL)
        connection->flags |= TCPM__HAS_MESSAGE;
}

static void free_message(struct tcpm__connection *connection)
{
    if (!tcpm__has(connection, TCPM__HAS_MESSAGE))
        return;
    tcpm__memory_free(&tcpm__engine_of(connection)->memory, connection->rare.message);
    connection->rare.message = NULL;
    connection->flags &= ~(uint32_t) TCPM__HAS_MESSAGE;
}

const char *tcpm__connection_message(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__HAS_MESSAGE) ? connection->rare.message
                                                    : tcpm_error_text(connection->code);
}

void tcpm__connection_cause(struct tcpm__connection *connection, enum tcpm_op op, int code,
                            const char *message)
{
    if (connection->code != 0)
        return; /* the first one stands */
    connection->op = op & 15;
    connection->code = code;
    if (message != NULL)
        keep_message(connection, message);
}

/* What is known, but waits behind records or a pause, does not end the connection any more. */
void tcpm__connection_forget_cause(struct tcpm__connection *connection)
{
    free_message(connection);
    connection->code = 0;
}

void tcpm__connection_end(struct tcpm__connection *connection, enum tcpm_reason reason)
{
    if (tcpm__has(connection, TCPM__ENDING))
        return;
    if (connection->phase == TCPM_PHASE_WAITING)
        tcpm__admission_leave(connection);
    tcpm__deadline_cancel(connection);
    connection->flags |= TCPM__ENDING;
    connection->reason = reason & 15;
    if (connection->phase != TCPM_PHASE_SHUTTING)
        tcpm__connection_set_phase(connection, TCPM_PHASE_SHUTTING);
    tcpm__ready(connection);
}

void tcpm__connection_fail(struct tcpm__connection *connection, enum tcpm_op op, int code,
                           const char *message)
{
    if (tcpm__has(connection, TCPM__ENDING))
        return;
    tcpm__connection_forget_cause(connection);
    tcpm__connection_cause(connection, op, code, message);
    tcpm__connection_end(connection, tcpm__has(connection, TCPM__HAD_SUCCESS)
                                         ? TCPM_REASON_ERROR
                                         : TCPM_REASON_FAILURE);
}

void tcpm__connection_reset(struct tcpm__connection *connection, enum tcpm_reason reason)
{
    connection->flags |= TCPM__RESET;
    tcpm__connection_end(connection, reason);
}

void tcpm__connection_abort(struct tcpm__connection *connection, const char *message)
{
    tcpm__connection_reset(connection, TCPM_REASON_ERROR);
    if (tcpm__has(connection, TCPM__TELLING))
        return;
    tcpm__connection_forget_cause(connection);
    tcpm__connection_cause(connection, TCPM_OP_FAIL, -ECANCELED, message);
    connection->flags |= TCPM__UNTOLD;
    connection->timed_out = 0;
    connection->reason = TCPM_REASON_ERROR;
}

void tcpm__connection_shutdown(struct tcpm__connection *connection, enum tcpm_reason reason)
{
    if (connection->phase == TCPM_PHASE_SHUTTING)
        return;
    if (tcpm__has(connection, TCPM__EOF_TOLD) && reason == TCPM_REASON_SHUTDOWN)
        reason = TCPM_REASON_EOF;
    if (connection->phase != TCPM_PHASE_OPEN) {
        tcpm__connection_end(connection, reason);
        return;
    }
    tcpm__backlog_leave(connection);
    connection->flags |= TCPM__OUTPUT_SHUT;
    connection->reason = reason & 15;
    tcpm__connection_set_phase(connection, TCPM_PHASE_SHUTTING);
    tcpm__deadline_start(connection, connection->shutdown_timeout_ms);
    tcpm__ready(connection);
}

static void give_up_socket(struct tcpm__connection *connection)
{
    bool reset = tcpm__has(connection, TCPM__RESET) || tcpm__output_unsent(connection) > 0;

    tcpm__backlog_leave(connection);
    if (tcpm__socket_is_open(&connection->socket))
        tcpm__socket_close(&tcpm__engine_of(connection)->network, &connection->socket, reset);
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
                    tcpm__has(connection, TCPM__HAS_MESSAGE) ? connection->rare.message : NULL);
}

/* The only place that delivers the last events. The socket is closed before disconnected, so that a
   connect from there finds a free place. */
static void finish(struct tcpm__connection *connection)
{
    connection->flags |= TCPM__TELLING;
    tcpm__event_cause(connection);
    if (connection->alarms != 0)
        tcpm__tasks_drop_connection(connection);
    tcpm__connection_set_phase(connection, TCPM_PHASE_CLOSED);
    give_up_socket(connection);
    tcpm__admission_leave(connection);
    count_end(connection);
    tcpm__event_disconnected(connection);
    destroy(connection);
}

bool tcpm__connection_step(struct tcpm__connection *connection)
{
    if (!tcpm__has(connection, TCPM__ENDING))
        tcpm__output_report(connection);
    if (!tcpm__has(connection, TCPM__ENDING))
        tcpm__input_step(connection);
    if (!tcpm__has(connection, TCPM__ENDING))
        tcpm__output_step(connection);
    if (!tcpm__has(connection, TCPM__ENDING))
        return true;
    finish(connection);
    return false;
}

/* ---- what the socket tells ---- */

static struct tcpm__connection *owner_of(struct tcpm__socket *socket)
{
    return TCPM__CONTAINER(socket, struct tcpm__connection, socket);
}

static struct tcpm_engine *engine_with(struct tcpm__network *network)
{
    return TCPM__CONTAINER(network, struct tcpm_engine, network);
}

static struct tcpm__socket *find_socket(struct tcpm__network *network, uint64_t tag)
{
    struct tcpm__connection *connection = tcpm__pool_find(&engine_with(network)->connections, tag);

    return connection != NULL && tcpm__socket_is_open(&connection->socket) ? &connection->socket
                                                                           : NULL;
}

static void take_connected(struct tcpm__socket *socket, int status)
{
    struct tcpm__connection *connection = owner_of(socket);

    if (!tcpm__has(connection, TCPM__ENDING))
        tcpm__attempt_connected(connection, status);
}

/* Earlier sends, in success too, are reported as flushed before new input is read. After the end of
   the input only an error can come. */
static void take_readable(struct tcpm__socket *socket)
{
    struct tcpm__connection *connection = owner_of(socket);

    if (tcpm__has(connection, TCPM__INPUT_END))
        tcpm__linger_check_error(connection);
    else if (tcpm__has(connection, TCPM__OWES_FLUSHED))
        tcpm__ready(connection);
    else
        tcpm__input_read(connection);
}

static void take_writable(struct tcpm__socket *socket)
{
    struct tcpm__connection *connection = owner_of(socket);

    if (tcpm__has(connection, TCPM__LINGERING))
        tcpm__linger_writable(connection);
    else
        tcpm__output_flush(connection);
}

static void take_served(struct tcpm__network *network)
{
    tcpm__turn_tick(engine_with(network));
}

const struct tcpm__socket_events *tcpm__connection_socket_events(void)
{
    static const struct tcpm__socket_events events = {find_socket, take_connected, take_readable,
                                                      take_writable, take_served};

    return &events;
}
