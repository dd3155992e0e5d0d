/* SPDX-License-Identifier: MIT */
/*
 * Events of connections: every call of a handler that belongs to a connection.
 *
 * What always holds: each call counts in engine->delivery. While a handler runs, other functions of
 * this layer are called only through the public functions.
 */
#include "connection/flow.h"

static struct tcpm_id id_of(const struct tcpm__connection *connection)
{
    return (struct tcpm_id){connection->id};
}

/* Calls the handler of an event, if the connection has one. */
#define DELIVER(connection, event, ...)                                                 \
    do {                                                                                \
        const struct tcpm_events *events_ = tcpm__events_of(connection);                \
        struct tcpm_session *session_ = (connection)->session;                          \
        if (events_->event == NULL)                                                     \
            break;                                                                      \
        tcpm__handler_enter(session_->engine);                                          \
        events_->event((connection)->heap, session_, id_of(connection), ##__VA_ARGS__); \
        tcpm__handler_leave(session_->engine);                                          \
    } while (0)

/* The only handler that runs inside a public function that the user has called. Its posts run after
   the handler around that call, or in the next turn of the loop. */
void tcpm__event_initialize(struct tcpm__connection *connection,
                            const struct tcpm_connect_options *options)
{
    const struct tcpm_events *events = tcpm__events_of(connection);

    if (events->initialize == NULL)
        return;
    tcpm__engine_of(connection)->delivery.calling_back++;
    events->initialize(connection->heap, connection->session, id_of(connection), options->address,
                       connection->port, options->bind_address, (unsigned) options->bind_port);
    tcpm__engine_of(connection)->delivery.calling_back--;
}

/* The numeric address of the target; or its name, where only a proxy knows the address. */
static const char *reached_text(const struct tcpm__connection *connection,
                                const struct tcpm__passage *passage, char text[TCPM__ADDRESS_TEXT])
{
    const union tcpm__address *address = &connection->address.target->peer;

    if (passage != NULL && passage->count > 0)
        address = &passage->found[passage->count - 1];
    if (address->any.sa_family == AF_UNSPEC)
        return connection->address.target->text;
    tcpm__address_print(address, text);
    return text;
}

void tcpm__event_success(struct tcpm__connection *connection, const struct tcpm__passage *passage)
{
    char text[TCPM__ADDRESS_TEXT];
    const char *reached = text;

    if (tcpm__events_of(connection)->success == NULL)
        return;
    if (tcpm__has(connection, TCPM__QUAD))
        tcpm__address_print_quad(connection->address.quad, text);
    else
        reached = reached_text(connection, passage, text);
    DELIVER(connection, success, tcpm__socket_descriptor(&connection->socket), reached,
            connection->port);
}

void tcpm__event_input(struct tcpm__connection *connection, const void *record, size_t length)
{
    DELIVER(connection, input, record, length);
}

void tcpm__event_flushed(struct tcpm__connection *connection)
{
    DELIVER(connection, flushed);
}

static struct tcpm_error error_of(const struct tcpm__connection *connection)
{
    return (struct tcpm_error){
        .size = sizeof(struct tcpm_error),
        .op = connection->op,
        .code = connection->code,
        .message = tcpm__connection_message(connection),
    };
}

void tcpm__event_eof(struct tcpm__connection *connection)
{
    DELIVER(connection, eof);
}

void tcpm__event_secure(struct tcpm__connection *connection)
{
    DELIVER(connection, secure);
}

static bool tells_eof(const struct tcpm__connection *connection)
{
    return connection->reason == TCPM_REASON_EOF && tcpm__events_of(connection)->eof != NULL;
}

void tcpm__event_cause(struct tcpm__connection *connection)
{
    struct tcpm_error error;

    if (tcpm__has(connection, TCPM__UNTOLD))
        return;
    if (tells_eof(connection)) {
        if (!tcpm__has(connection, TCPM__EOF_TOLD))
            tcpm__event_eof(connection);
    } else if (connection->reason == TCPM_REASON_TIMEOUT) {
        DELIVER(connection, timeout, connection->timed_out);
    } else if (connection->reason == TCPM_REASON_FAILURE) {
        error = error_of(connection);
        DELIVER(connection, failure, &error);
    } else if (connection->reason == TCPM_REASON_ERROR || connection->reason == TCPM_REASON_EOF) {
        error = error_of(connection);
        DELIVER(connection, error, &error);
    }
}

void tcpm__event_disconnected(struct tcpm__connection *connection)
{
    DELIVER(connection, disconnected, connection->reason);
}
