/* SPDX-License-Identifier: MIT */
/*
 * Every call of a handler goes through here, so that what it posts runs right after it, and so that
 * the rest of this layer may rely on being called from no handler but by the public functions.
 */
#include "connection/layer.h"

static struct tcpm_id id_of(const struct tcpm__connection *connection)
{
    return (struct tcpm_id){connection->id};
}

void tcpm__handler_enter(struct tcpm_engine *engine)
{
    engine->handler_depth++;
}

void tcpm__handler_leave(struct tcpm_engine *engine)
{
    engine->handler_depth--;
    if (engine->posts.first != NULL && engine->handler_depth == 0)
        tcpm__posts_run(engine, &engine->posts);
}

/* Calls a handler of the connection, if there is one. */
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

/* The only handler that runs inside a call of the user's: what it posts waits for the handler
   around that call, or for the loop. */
void tcpm__event_initialize(struct tcpm__connection *connection,
                            const struct tcpm_connect_options *options)
{
    const struct tcpm_events *events = tcpm__events_of(connection);

    if (events->initialize == NULL)
        return;
    tcpm__engine_of(connection)->calling_back++;
    events->initialize(connection->heap, connection->session, id_of(connection), options->address,
                       connection->port, options->bind_address, (unsigned) options->bind_port);
    tcpm__engine_of(connection)->calling_back--;
}

void tcpm__event_success(struct tcpm__connection *connection)
{
    char text[TCPM__ADDRESS_TEXT];

    if (tcpm__events_of(connection)->success == NULL)
        return;
    if (tcpm__has(connection, TCPM__QUAD))
        tcpm__address_print_quad(connection->address.quad, text);
    else
        tcpm__address_print(&connection->address.target->peer, text);
    DELIVER(connection, success, connection->socket.fd, text, connection->port);
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
