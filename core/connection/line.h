/* SPDX-License-Identifier: MIT */
/*
 * Lines of text about connections, for people, and the functions that write them: beside the lowest
 * level of this layer (record.h), which they only read.
 */
#ifndef TCPM_CONNECTION_LINE_H
#define TCPM_CONNECTION_LINE_H

#include "connection/record.h"

/* ---- line.c: lines about connections, for people ---- */
/* A line of text. The longest address as given has 253 bytes; of a message, some 500 fit. */
struct tcpm__line {
    char text[1100]; /* ends with a zero byte once something was added */
    size_t length;   /* bytes of text before that zero byte */
};
/* Adds text to the line, as printf() would print it. Text that does not fit is cut. */
__attribute__((format(printf, 2, 3))) void tcpm__line_add(struct tcpm__line *line,
                                                          const char *format, ...);
/* Adds an address as ADDRESS:PORT, an IPv6 address in brackets. */
void tcpm__line_add_address(struct tcpm__line *line, const char *address, unsigned port);
/* Adds id and target of the connection, as given; for a name, the address in use too. */
void tcpm__line_add_connection(struct tcpm__line *line, const struct tcpm__connection *connection);
/* Finishes the line, and gives its text. Bytes that are not printable ASCII become "?": a name may
   be UTF-8, which a terminal may take for control characters. */
const char *tcpm__line_finish(struct tcpm__line *line);

/* ---- dump.c: the state of an engine, for people ---- */
/* Adds the names of the flags, in lower case, with commas between them; without flags: "-". */
void tcpm__dump_flags(struct tcpm__line *line, uint32_t flags);
/* Calls on_line for each line of the dump. line: valid during the call. */
void tcpm__dump_engine(const struct tcpm_engine *engine,
                       void (*on_line)(const char *line, void *user), void *user);

#endif
