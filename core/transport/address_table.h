/* SPDX-License-Identifier: MIT */
/*
 * A table of addresses, without ports: how many sockets each has, and who waits for one. Pure. An
 * IPv4 address and its form for IPv6 are one address; the same link-local address on two links
 * is two.
 *
 * What always holds: no address is in the table twice. From 8 entries on, an entry takes at most 48
 * bytes, its share of the table among them. All operations take the same time, however many entries
 * there are.
 */
#ifndef TCPM_TRANSPORT_ADDRESS_TABLE_H
#define TCPM_TRANSPORT_ADDRESS_TABLE_H

#include "base/chain.h"
#include "base/memory.h"
#include "transport/address.h"

struct tcpm__address_entry {
    struct tcpm__address_entry *next; /* next entry of the same bucket; NULL: the last one */
    struct in6_addr address;          /* an IPv4 address in its form for IPv6 */
    uint32_t scope;                   /* link of a link-local address; 0: none */
    uint32_t sockets;                 /* the owner's count */
    struct tcpm__chain waiters;       /* the owner's chain */
};

_Static_assert(sizeof(struct tcpm__address_entry) <= 40, "an entry has outgrown its budget");

/* Zeroed: the table is empty. */
struct tcpm__address_table {
    struct tcpm__address_entry **buckets; /* NULL: there was never an entry */
    uint32_t bucket_count;                /* 0, or a power of two */
    uint32_t count;                       /* entries */
};

/* The entry of the address; NULL: there is none. */
struct tcpm__address_entry *tcpm__address_table_find(const struct tcpm__address_table *table,
                                                     const union tcpm__address *address);
/* The entry of the address, made if there is none; NULL: no memory. */
struct tcpm__address_entry *tcpm__address_table_get(struct tcpm__address_table *table,
                                                    const struct tcpm__memory *memory,
                                                    const union tcpm__address *address);
/* Whether the entry is that of the address. */
bool tcpm__address_entry_is(const struct tcpm__address_entry *entry,
                            const union tcpm__address *address);
/* Frees the entry. */
void tcpm__address_table_remove(struct tcpm__address_table *table,
                                const struct tcpm__memory *memory,
                                struct tcpm__address_entry *entry);
/* Frees the table with all entries. */
void tcpm__address_table_free(struct tcpm__address_table *table, const struct tcpm__memory *memory);

/* The entry behind this one, in no order; of NULL, the first. NULL: there are no more. */
struct tcpm__address_entry *tcpm__address_table_next(const struct tcpm__address_table *table,
                                                     const struct tcpm__address_entry *entry);

#endif
