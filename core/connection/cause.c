/* SPDX-License-Identifier: MIT */
/*
 * The cause of a connection's end: operation, code and message. Set by every file that meets an
 * error.
 *
 * What always holds: the first cause stands, unless it is forgotten before it is reported. Where
 * there is no memory for a message, the text of the code stands for it.
 */
#include "connection/record.h"

#include "base/error.h"

static void keep_message(struct tcpm__connection *connection, const char *message)
{
    struct tcpm__rare *rare = tcpm__rare_get(connection);

    if (rare != NULL)
        rare->message = tcpm__error_line(&tcpm__engine_of(connection)->memory, message);
}

static void free_message(struct tcpm__connection *connection)
{
    struct tcpm__rare *rare = connection->rare;

    if (rare == NULL)
        return;
    tcpm__memory_free(&tcpm__engine_of(connection)->memory, rare->message);
    rare->message = NULL;
}

const char *tcpm__connection_message(const struct tcpm__connection *connection)
{
    const char *message = tcpm__connection_own_message(connection);

    return message != NULL ? message : tcpm_error_text(connection->code);
}

void tcpm__connection_set_cause(struct tcpm__connection *connection, enum tcpm_op op, int code,
                                const char *message)
{
    if (connection->code != 0)
        return; /* the first cause stands */
    connection->op = op;
    connection->code = code;
    if (message != NULL)
        keep_message(connection, message);
}

void tcpm__connection_set_stream_cause(struct tcpm__connection *connection, enum tcpm_op op,
                                       int code)
{
    const struct tcpm__layer *layer = tcpm__layer_of(connection);
    const char *reason = tcpm__stream_reason(layer);

    tcpm__connection_set_cause(connection, reason != NULL ? layer->kind->op : op,
                               tcpm__cause_code(code), reason);
}

/* A cause that is known may wait behind records or a pause, and another end come first. */
void tcpm__connection_forget_cause(struct tcpm__connection *connection)
{
    free_message(connection);
    connection->code = 0;
}
