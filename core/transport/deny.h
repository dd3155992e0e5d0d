/* SPDX-License-Identifier: MIT */
/*
 * Addresses that no connection may go to: the option deny. Pure but for the names of network
 * interfaces.
 */
#ifndef TCPM_TRANSPORT_DENY_H
#define TCPM_TRANSPORT_DENY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"
#include "base/words.h"
#include "transport/address.h"

struct tcpm__deny;

/* Reads a list of prefixes, addresses and names of classes: private, loopback, linklocal,
   multicast, unspecified, reserved. Commas and blanks separate them; an empty list denies nothing.
   0, -ENOMEM, or -EINVAL: the word *bad is none of these. */
int tcpm__deny_parse(const struct tcpm__memory *memory, const char *text, struct tcpm__deny **ret,
                     struct tcpm__part *bad);

/* Whether the address is in the list, or an IPv4 address in the list is inside of this IPv6
   address. */
bool tcpm__deny_has(const struct tcpm__deny *deny, const union tcpm__address *address);

/* NULL is allowed. */
void tcpm__deny_free(const struct tcpm__memory *memory, struct tcpm__deny *deny);

#endif
