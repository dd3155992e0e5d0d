/* SPDX-License-Identifier: MIT */
/*
 * The header of the PROXY protocol, versions 1 and 2, as haproxy's doc/proxy-protocol.txt has it:
 * tells a server who has connected, before anything else is sent. Pure.
 */
#ifndef TCPM_TRANSPORT_PROXY_HEADER_H
#define TCPM_TRANSPORT_PROXY_HEADER_H

#include <stddef.h>

#include "transport/address.h"

enum { TCPM__PROXY_HEADER_SIZE = 108 /* bytes that any header fits in */ };

/* Writes the header of version 1 or 2, for a connection from the source to the destination, and
   gives the number of its bytes. If one of them is NULL or of no family, or their families differ,
   the origin of the connection is unknown: UNKNOWN in version 1, LOCAL in version 2. */
size_t tcpm__proxy_header_write(int version, const union tcpm__address *source,
                                const union tcpm__address *destination,
                                char ret[TCPM__PROXY_HEADER_SIZE]);

#endif
