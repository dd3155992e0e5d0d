/* SPDX-License-Identifier: MIT */
/*
 * The text of /etc/hosts as a table of names, so that a look-up takes as long for 30,000 lines as
 * for one. Pure but for the names of network interfaces in scopes.
 *
 * A line is an address and its names; a line that begins with anything else is skipped, and so is a
 * name that is too long to be looked up.
 */
#ifndef TCPM_TRANSPORT_HOSTS_H
#define TCPM_TRANSPORT_HOSTS_H

#include "base/memory.h"
#include "transport/address.h"

/* Immutable, and independent of the text. */
struct tcpm__hosts;

/* memory: stays valid. 0 or -ENOMEM. */
int tcpm__hosts_parse(const struct tcpm__memory *memory, const char *text, size_t length,
                      struct tcpm__hosts **ret);
/* hosts: NULL is allowed. */
void tcpm__hosts_free(struct tcpm__hosts *hosts);

/* The addresses of a name, each once, in the order of the lines: their number, at most `most`. The
   ports are 0. name: in any case, with or without a dot at its end. families: a set of TCPM__INET
   and TCPM__INET6. *known: the table has the name, though maybe in another family. */
size_t tcpm__hosts_find(const struct tcpm__hosts *hosts, const char *name, unsigned families,
                        union tcpm__address *ret, size_t most, bool *known);

#endif
