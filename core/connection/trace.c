/* SPDX-License-Identifier: MIT */
/*
 * The trace of an engine: one printable line for each change of phase, and for each address that
 * could not be connected to. Called only for an engine that has a trace.
 */
#include "connection/line.h"

static void add_error(struct tcpm__line *line, enum tcpm_op op, int code, const char *message)
{
    tcpm__line_add(line, ": %s %s, %s", tcpm_op_name(op), tcpm_error_name(code), message);
}

static void tell(struct tcpm__line *line, const struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    engine->trace.tell(tcpm__line_finish(line), engine->trace.user);
}

static void add_end(struct tcpm__line *line, const struct tcpm__connection *connection)
{
    tcpm__line_add(line, ", %s", tcpm_reason_name(connection->reason));
    if (connection->reason == TCPM_REASON_TIMEOUT)
        tcpm__line_add(line, " (%s)", tcpm_timer_name(connection->timed_out));
    if (connection->code != 0)
        add_error(line, connection->op, connection->code, tcpm__connection_message(connection));
}

void tcpm__trace_phase(const struct tcpm__connection *connection, enum tcpm__phase phase)
{
    enum tcpm_phase from = tcpm__phase_shown(connection->phase), to = tcpm__phase_shown(phase);
    struct tcpm__line line = {.length = 0};

    if (from == to)
        return;
    tcpm__line_add_connection(&line, connection);
    tcpm__line_add(&line, " %s -> %s", tcpm_phase_name(from), tcpm_phase_name(to));
    if (phase >= TCPM__PHASE_ENDING)
        add_end(&line, connection);
    tell(&line, connection);
}

void tcpm__trace_attempt(const struct tcpm__connection *connection,
                         const union tcpm__address *address, enum tcpm_op op, int code)
{
    char text[TCPM__ADDRESS_TEXT];
    struct tcpm__line line = {.length = 0};

    tcpm__line_add_connection(&line, connection);
    tcpm__address_print(address, text);
    tcpm__line_add(&line, " attempt at ");
    tcpm__line_add_address(&line, text, connection->port);
    tcpm__line_add(&line, " failed");
    add_error(&line, op, code, tcpm_error_text(code));
    tell(&line, connection);
}
