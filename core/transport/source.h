/* SPDX-License-Identifier: MIT */
/*
 * Local addresses that sockets are bound to: the option bind_address. One connection after the
 * other takes the address that is used least, so that the ports of all addresses are used, and not
 * one address more than others. Pure but for the names of network interfaces: time comes in as an
 * argument.
 */
#ifndef TCPM_TRANSPORT_SOURCE_H
#define TCPM_TRANSPORT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/words.h"
#include "transport/address.h"

/* Addresses, with a count of the sockets that use each of them. Counted itself: every holder keeps
   it, and drops it. */
struct tcpm__sources;

/* Reads a list of addresses and prefixes, separated by commas or blanks: at least one, and 65,536
   addresses at most, but for IPv6 prefixes with more. The network and the broadcast address of an
   IPv4 prefix are left out, and the lowest address of an IPv6 prefix (RFC 4291, section 2.6.1). 0,
   -ENOMEM, or -EINVAL: the word *bad is wrong, or one too many; an empty one: there is no word. The
   memory must stay until the last holder has dropped. */
int tcpm__sources_parse(const struct tcpm__memory *memory, const char *text,
                        struct tcpm__sources **ret, struct tcpm__part *bad);

struct tcpm__sources *tcpm__sources_keep(struct tcpm__sources *sources);
void tcpm__sources_drop(struct tcpm__sources *sources); /* NULL is allowed */

/* Whether there is an address of this family. */
bool tcpm__sources_have(const struct tcpm__sources *sources, int family);

/* Takes an address for a socket that is to connect to the peer; its port is 0. Of up to 256
   addresses the one that is used least, and among equals the next in turn; of more, the one used
   less of two that are drawn; of an IPv6 prefix with more than 65,536, any. *lease is what to give
   back when the socket is closed, 0: nothing. 0; -EAFNOSUPPORT: there is no address of the peer's
   family; -EADDRNOTAVAIL: not long ago none of them had a port left for this peer; -ENOMEM. */
int tcpm__sources_take(struct tcpm__sources *sources, const union tcpm__address *peer,
                       uint64_t now_ms, union tcpm__address *ret, uint32_t *lease);

/* Whether an address that was taken may be on no interface: one of an IPv6 prefix, for which the
   host may have nothing but a route. A socket gets it with the option IPV6_FREEBIND only. For IPv4
   a route is always enough. */
bool tcpm__sources_need_freebind(const struct tcpm__sources *sources,
                                 const union tcpm__address *address);

/* The socket is closed. */
void tcpm__sources_give(struct tcpm__sources *sources, uint32_t lease);

/* connect has said that this address has no port left for the peer: for a second the address is not
   taken for the peer again. The lease is still to be given back. */
void tcpm__sources_note_full(struct tcpm__sources *sources, uint32_t lease,
                             const union tcpm__address *peer, uint64_t now_ms);

/* Asserts that the counts of all addresses make up the number of leases, and gives that number. */
uint32_t tcpm__sources_validate(const struct tcpm__sources *sources);

#endif
