/* SPDX-License-Identifier: MIT */
/*
 * The families of addresses that this host has. A host without an IPv6 address of its own, but that
 * of loopback, reaches no IPv6 address of another host, so nobody has to be asked for one.
 */
#ifndef TCPM_TRANSPORT_FAMILIES_H
#define TCPM_TRANSPORT_FAMILIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tcpm__families {
    bool has_inet6;
    uint64_t read_ms; /* when the system was asked last; 0: never */
};

/* Whether the host has an IPv6 address beyond loopback. True where the system does not tell. */
bool tcpm__families_have_inet6(struct tcpm__families *families, uint64_t now_ms);

/* Whether the beginning of a text in the form of /proc/net/if_inet6 has such an address. *used: the
   bytes up to the end of its last whole line, all of them looked at. */
bool tcpm__families_scan(const char *text, size_t length, size_t *used);

#endif
