/* SPDX-License-Identifier: MIT */
/*
 * Ranges of addresses as text: a prefix such as 10.0.0.0/8, or one address. Pure but for the names
 * of network interfaces.
 */
#ifndef TCPM_TRANSPORT_PREFIX_H
#define TCPM_TRANSPORT_PREFIX_H

#include <stddef.h>

#include "base/words.h"
#include "transport/address.h"

/* All addresses whose first bits are those of one address. */
struct tcpm__prefix {
    union tcpm__address first; /* the lowest address; its port is 0 */
    unsigned bits;             /* 32 or 128: this address alone */
};

/* Reads an address in any numeric form, with or without "/bits". 0; -EINVAL: the word is none, or
   the address has bits beyond its prefix. */
int tcpm__prefix_parse(struct tcpm__part word, struct tcpm__prefix *ret);

/* The bytes of an address, in the order of the network, and their number: 4 or 16. */
const unsigned char *tcpm__address_bytes(const union tcpm__address *address, size_t *count);

#endif
