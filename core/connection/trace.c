/* SPDX-License-Identifier: MIT */
/*
 * The trace of an engine: one printable line for each change of phase, and for each address that
 * could not be connected to. Called only where there is a trace.
 */
#include "connection/layer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* An address as given has at most 253 bytes, a message at most 512; what exceeds a line is cut. */
struct line {
    char text[1100];
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    size_t room = sizeof line->text - line->length;
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(line->text + line->length, room, format, arguments);
    va_end(arguments);
    if (length > 0)
        line->length += (size_t) length < room ? (size_t) length : room - 1;
}

static void add_address(struct line *line, const char *address, unsigned port)
{
    bool bare6 = strchr(address, ':') != NULL && address[0] != '[';

    add(line, bare6 ? "[%s]:%u" : "%s:%u", address, port);
}

static bool is_numeric(const struct tcpm__connection *connection)
{
    union tcpm__address address;
    const char *why;

    return tcpm__has(connection, TCPM__QUAD) ||
           tcpm__address_parse(connection->address.target->text, 0, &address, &why) == 1;
}

/* Its id, its target as given, and for a name the address in use. */
static void begin(struct line *line, const struct tcpm__connection *connection)
{
    char text[TCPM__ADDRESS_TEXT];
    union tcpm__address peer;

    add(line, "%llu ", (unsigned long long) connection->id);
    add_address(line, tcpm__connection_address(connection, text), connection->port);
    if (is_numeric(connection))
        return;
    tcpm__connection_peer(connection, &peer);
    tcpm__address_print(&peer, text);
    if (text[0] != '\0')
        add(line, " (%s)", text);
}

static void add_error(struct line *line, enum tcpm_op op, int code, const char *message)
{
    add(line, ": %s %s, %s", tcpm_op_name(op), tcpm_error_name(code), message);
}

/* Names may be UTF-8, which a terminal may take for control characters. */
static void tell(struct line *line, const struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    for (char *byte = line->text; *byte != '\0'; byte++)
        if (*byte < ' ' || *byte > '~')
            *byte = '?';
    engine->trace(line->text, engine->trace_user);
}

static void add_end(struct line *line, const struct tcpm__connection *connection)
{
    add(line, ", %s", tcpm_reason_name(connection->reason));
    if (connection->reason == TCPM_REASON_TIMEOUT)
        add(line, " (%s)", tcpm_timer_name(connection->timed_out));
    if (connection->code != 0)
        add_error(line, connection->op, connection->code, tcpm__connection_message(connection));
}

void tcpm__trace_phase(const struct tcpm__connection *connection, enum tcpm_phase phase)
{
    struct line line = {.length = 0};

    begin(&line, connection);
    add(&line, " %s -> %s", tcpm_phase_name(connection->phase), tcpm_phase_name(phase));
    if (tcpm__has(connection, TCPM__ENDING))
        add_end(&line, connection);
    tell(&line, connection);
}

void tcpm__trace_attempt(const struct tcpm__connection *connection,
                         const union tcpm__address *address, enum tcpm_op op, int code)
{
    char text[TCPM__ADDRESS_TEXT];
    struct line line = {.length = 0};

    begin(&line, connection);
    tcpm__address_print(address, text);
    add(&line, " attempt at ");
    add_address(&line, text, connection->port);
    add(&line, " failed");
    add_error(&line, op, code, tcpm_error_text(code));
    tell(&line, connection);
}
