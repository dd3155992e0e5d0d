/* SPDX-License-Identifier: MIT */
/*
 * The table of transport/address_table.h: a hash table with a list for each bucket. The option
 * max_per_address counts sockets in it.
 *
 * What always holds: there are between 1 and 4 entries for each bucket, on average, but in a table
 * of the least size, and where there was no memory to make the table larger or smaller.
 */
#include "transport/address_table.h"

#include "base/hash.h"

enum { LEAST_BUCKETS = 8, MOST_PER_BUCKET = 4 };

/* An address without its port, in one form for both families. */
struct key {
    struct in6_addr address;
    uint32_t scope;
};

static struct key key_of(const union tcpm__address *address)
{
    struct key key = {.scope = 0};

    if (address->any.sa_family == AF_INET6) {
        key.address = address->in6.sin6_addr;
        if (IN6_IS_ADDR_LINKLOCAL(&key.address))
            key.scope = address->in6.sin6_scope_id;
        return key;
    }
    key.address.s6_addr[10] = key.address.s6_addr[11] = 0xff;
    memcpy(&key.address.s6_addr[12], &address->in.sin_addr, sizeof address->in.sin_addr);
    return key;
}

static bool has_key(const struct tcpm__address_entry *entry, const struct key *key)
{
    return entry->scope == key->scope &&
           memcmp(&entry->address, &key->address, sizeof key->address) == 0;
}

/* Where the list begins that an entry with this key is in. */
static struct tcpm__address_entry **bucket_of(const struct tcpm__address_table *table,
                                              const struct key *key)
{
    uint32_t hash = tcpm__hash_bytes(tcpm__hash_salt(table), key, sizeof *key);

    return &table->buckets[hash & (table->bucket_count - 1)];
}

static struct key key_in(const struct tcpm__address_entry *entry)
{
    return (struct key){.address = entry->address, .scope = entry->scope};
}

/* Puts the entry, which is in no list, into the table. */
static void put(const struct tcpm__address_table *table, struct tcpm__address_entry *entry)
{
    struct key key = key_in(entry);
    struct tcpm__address_entry **bucket = bucket_of(table, &key);

    entry->next = *bucket;
    *bucket = entry;
}

/* Gives the table so many buckets. False: there is no memory, and the table is as it was. */
static bool resize(struct tcpm__address_table *table, const struct tcpm__memory *memory,
                   uint32_t bucket_count)
{
    struct tcpm__address_entry **old = table->buckets;
    uint32_t old_count = table->bucket_count;
    struct tcpm__address_entry **buckets =
        tcpm__memory_zeroed(memory, bucket_count * sizeof *buckets);

    if (buckets == NULL)
        return false;
    table->buckets = buckets;
    table->bucket_count = bucket_count;
    for (uint32_t i = 0; i < old_count; i++)
        for (struct tcpm__address_entry *entry = old[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            put(table, entry);
        }
    tcpm__memory_free(memory, old);
    return true;
}

static struct tcpm__address_entry *find(const struct tcpm__address_table *table,
                                        const struct key *key)
{
    if (table->count == 0)
        return NULL;
    struct tcpm__address_entry *entry = *bucket_of(table, key);
    while (entry != NULL && !has_key(entry, key))
        entry = entry->next;
    return entry;
}

struct tcpm__address_entry *tcpm__address_table_find(const struct tcpm__address_table *table,
                                                     const union tcpm__address *address)
{
    struct key key = key_of(address);

    return find(table, &key);
}

static struct tcpm__address_entry *add(struct tcpm__address_table *table,
                                       const struct tcpm__memory *memory, const struct key *key)
{
    if (table->buckets == NULL && !resize(table, memory, LEAST_BUCKETS))
        return NULL;
    struct tcpm__address_entry *entry = tcpm__memory_zeroed(memory, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->address = key->address;
    entry->scope = key->scope;
    put(table, entry);
    if (++table->count > MOST_PER_BUCKET * table->bucket_count)
        resize(table, memory, 2 * table->bucket_count);
    return entry;
}

struct tcpm__address_entry *tcpm__address_table_get(struct tcpm__address_table *table,
                                                    const struct tcpm__memory *memory,
                                                    const union tcpm__address *address)
{
    struct key key = key_of(address);
    struct tcpm__address_entry *entry = find(table, &key);

    return entry != NULL ? entry : add(table, memory, &key);
}

bool tcpm__address_entry_is(const struct tcpm__address_entry *entry,
                            const union tcpm__address *address)
{
    struct key key = key_of(address);

    return has_key(entry, &key);
}

void tcpm__address_table_remove(struct tcpm__address_table *table,
                                const struct tcpm__memory *memory,
                                struct tcpm__address_entry *entry)
{
    struct key key = key_in(entry);
    struct tcpm__address_entry **link = bucket_of(table, &key);

    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    tcpm__memory_free(memory, entry);
    if (--table->count < table->bucket_count && table->bucket_count > LEAST_BUCKETS)
        resize(table, memory, table->bucket_count / 2);
}

void tcpm__address_table_free(struct tcpm__address_table *table, const struct tcpm__memory *memory)
{
    for (uint32_t i = 0; i < table->bucket_count; i++)
        while (table->buckets[i] != NULL) {
            struct tcpm__address_entry *entry = table->buckets[i];

            table->buckets[i] = entry->next;
            tcpm__memory_free(memory, entry);
        }
    tcpm__memory_free(memory, table->buckets);
    *table = (struct tcpm__address_table){.buckets = NULL};
}

struct tcpm__address_entry *tcpm__address_table_next(const struct tcpm__address_table *table,
                                                     const struct tcpm__address_entry *entry)
{
    uint32_t i = 0;

    if (entry != NULL) {
        struct key key = key_in(entry);

        if (entry->next != NULL)
            return entry->next;
        i = (uint32_t) (bucket_of(table, &key) - table->buckets) + 1;
    }
    while (i < table->bucket_count && table->buckets[i] == NULL)
        i++;
    return i < table->bucket_count ? table->buckets[i] : NULL;
}
