/* SPDX-License-Identifier: MIT */
/*
 * Addresses that are used instead of look-ups: the option resolve. Pure but for the names of
 * network interfaces.
 */
#ifndef TCPM_TRANSPORT_OVERRIDES_H
#define TCPM_TRANSPORT_OVERRIDES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"
#include "base/words.h"
#include "transport/address.h"

struct tcpm__overrides;

/* Reads lines like "host:port=address:port". "host:*" stands for all ports of a host, "*:port" for
   one port of all hosts; without ":port" behind the address the port stays as it is. IPv6 addresses
   have brackets on both sides. Of two lines for the same, the last counts. 0, -ENOMEM, or -EINVAL:
   the line *bad is wrong. */
int tcpm__overrides_parse(const struct tcpm__memory *memory, const char *text,
                          struct tcpm__overrides **ret, struct tcpm__part *bad);

/* The address, with its port, for a host and port that a connect was given: that of the pair, else
   that of the host, else that of the port. Letter case and a dot at the end of the host do not
   count, and a name beyond ASCII is the same as its form in ASCII. False: there is none. */
bool tcpm__overrides_find(const struct tcpm__overrides *overrides, const char *host, unsigned port,
                          union tcpm__address *ret);

/* NULL is allowed. */
void tcpm__overrides_free(const struct tcpm__memory *memory, struct tcpm__overrides *overrides);

#endif
