/* SPDX-License-Identifier: MIT */
/*
 * Lines of text about connections, for people; written by the trace (trace.c) and the dump
 * (dump.c).
 *
 * What always holds: a line needs no memory from the allocator, text that does not fit is cut, and
 * after tcpm__line_finish() the text is printable ASCII without an end-of-line.
 */
#include "connection/line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void tcpm__line_add(struct tcpm__line *line, const char *format, ...)
{
    size_t room = sizeof line->text - line->length;
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(line->text + line->length, room, format, arguments);
    va_end(arguments);
    if (length > 0)
        line->length += (size_t) length < room ? (size_t) length : room - 1;
}

void tcpm__line_add_address(struct tcpm__line *line, const char *address, unsigned port)
{
    bool bare6 = strchr(address, ':') != NULL && address[0] != '[';

    tcpm__line_add(line, bare6 ? "[%s]:%u" : "%s:%u", address, port);
}

static bool is_numeric(const struct tcpm__connection *connection)
{
    union tcpm__address address;
    const char *why;

    return tcpm__has(connection, TCPM__QUAD) ||
           tcpm__address_parse(connection->address.target->text, 0, &address, &why) == 1;
}

void tcpm__line_add_connection(struct tcpm__line *line, const struct tcpm__connection *connection)
{
    char text[TCPM__ADDRESS_TEXT];
    union tcpm__address peer;

    tcpm__line_add(line, "%llu ", (unsigned long long) connection->id);
    tcpm__line_add_address(line, tcpm__connection_address(connection, text), connection->port);
    if (is_numeric(connection))
        return;
    tcpm__connection_peer(connection, &peer);
    tcpm__address_print(&peer, text);
    if (text[0] != '\0')
        tcpm__line_add(line, " (%s)", text);
}

const char *tcpm__line_finish(struct tcpm__line *line)
{
    for (char *byte = line->text; *byte != '\0'; byte++)
        if (*byte < ' ' || *byte > '~')
            *byte = '?';
    return line->text;
}
