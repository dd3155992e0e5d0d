/* SPDX-License-Identifier: MIT */
/* See name_cache.h. Entries of a bucket are a list; a table that cannot grow gets longer lists. */
#include "transport/name_cache.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "tcpmulti.h"
#include "transport/order.h"

#define NS_PER_S UINT64_C(1000000000)

enum {
    LEAST_BUCKETS = 64,
    MOST_TTL_S = 3600, /* addresses stay no longer, whatever was told */
    ABSENT_TTL_S = 5,  /* likewise, that there is no such name or no address */
    FAILURE_TTL_S = 1, /* likewise, that the name servers have failed */
    STALE_DROPPED = 2, /* stale answers that make way for each that is kept */
};

/* ---- the table ---- */

void tcpm__name_cache_init(struct tcpm__name_cache *cache, const struct tcpm__memory *memory)
{
    *cache = (struct tcpm__name_cache){.memory = memory};
    cache->salt = tcpm__hash_salt(cache);
    tcpm__list_init(&cache->kept);
}

struct tcpm__name_key tcpm__name_cache_key(const struct tcpm__name_cache *cache, const char *name,
                                           const struct tcpm__backend *backend)
{
    size_t length = strlen(name);

    TCPM__ASSERT(length > 0 && length <= UINT8_MAX);
    return (struct tcpm__name_key){
        .name = name,
        .backend = backend,
        .length = (uint8_t) length,
        .hash = tcpm__hash_bytes(cache->salt, name, length),
    };
}

static struct tcpm__entry **bucket_of(const struct tcpm__name_cache *cache, uint32_t hash)
{
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

static bool has_key(const struct tcpm__entry *entry, const struct tcpm__name_key *key,
                    unsigned families)
{
    return entry->hash == key->hash && entry->query.families == families &&
           entry->backend == key->backend && entry->length == key->length &&
           memcmp(entry->name, key->name, key->length) == 0;
}

struct tcpm__entry *tcpm__name_cache_find(const struct tcpm__name_cache *cache,
                                          const struct tcpm__name_key *key, unsigned families)
{
    if (cache->buckets == NULL)
        return NULL;
    struct tcpm__entry *entry = *bucket_of(cache, key->hash);

    while (entry != NULL && !has_key(entry, key, families))
        entry = entry->next;
    return entry;
}

static void link_entry(struct tcpm__name_cache *cache, struct tcpm__entry *entry)
{
    struct tcpm__entry **bucket = bucket_of(cache, entry->hash);

    entry->next = *bucket;
    *bucket = entry;
}

static void move_entries(struct tcpm__name_cache *cache, struct tcpm__entry **from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (struct tcpm__entry *entry = from[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            link_entry(cache, entry);
        }
}

/* Twice as many buckets, if there is memory. False: there are none at all. */
static bool grow(struct tcpm__name_cache *cache)
{
    struct tcpm__entry **old = cache->buckets;
    size_t old_count = cache->bucket_count, count = old_count == 0 ? LEAST_BUCKETS : old_count * 2;
    struct tcpm__entry **buckets = tcpm__memory_zeroed(cache->memory, count * sizeof *buckets);

    if (buckets == NULL)
        return old != NULL;
    cache->buckets = buckets;
    cache->bucket_count = count;
    cache->bytes += (count - old_count) * sizeof *buckets;
    move_entries(cache, old, old_count);
    tcpm__memory_free(cache->memory, old);
    return true;
}

static size_t size_of(const struct tcpm__entry *entry)
{
    return sizeof *entry + entry->length + 1u;
}

struct tcpm__entry *tcpm__name_cache_add(struct tcpm__name_cache *cache,
                                         const struct tcpm__name_key *key, unsigned families,
                                         struct tcpm__backend *backend)
{
    TCPM__ASSERT(tcpm__name_cache_find(cache, key, families) == NULL);
    if (cache->count >= cache->bucket_count && !grow(cache))
        return NULL;
    struct tcpm__entry *entry =
        tcpm__memory_zeroed(cache->memory, sizeof *entry + key->length + 1u);

    if (entry == NULL)
        return NULL;
    memcpy(entry->name, key->name, key->length);
    entry->length = key->length;
    entry->hash = key->hash;
    entry->backend = backend;
    entry->query = (struct tcpm__query){.name = entry->name, .families = families};
    tcpm__list_init(&entry->waiters);
    link_entry(cache, entry);
    cache->count++;
    cache->bytes += size_of(entry);
    return entry;
}

void tcpm__name_cache_remove(struct tcpm__name_cache *cache, struct tcpm__entry *entry)
{
    struct tcpm__entry **place = bucket_of(cache, entry->hash);

    TCPM__ASSERT(entry->state == TCPM__ENTRY_NEW && tcpm__list_empty(&entry->waiters));
    while (*place != entry)
        place = &(*place)->next;
    *place = entry->next;
    cache->count--;
    cache->bytes -= size_of(entry);
    tcpm__memory_free(cache->memory, entry);
}

/* ---- answers ---- */

static size_t block_of(const struct tcpm__entry *entry)
{
    return entry->addresses == &entry->one ? 0 : entry->count * sizeof entry->one;
}

void tcpm__name_cache_unkeep(struct tcpm__name_cache *cache, struct tcpm__entry *entry)
{
    TCPM__ASSERT(entry->state == TCPM__ENTRY_KEPT);
    tcpm__list_remove(&entry->link);
    cache->kept_count--;
    cache->bytes -= block_of(entry);
    if (block_of(entry) > 0)
        tcpm__memory_free(cache->memory, entry->addresses);
    entry->addresses = NULL;
    entry->count = 0;
    entry->state = TCPM__ENTRY_NEW;
}

static struct tcpm__entry *oldest(const struct tcpm__name_cache *cache)
{
    return TCPM__CONTAINER(cache->kept.next, struct tcpm__entry, link);
}

static void forget_oldest(struct tcpm__name_cache *cache)
{
    struct tcpm__entry *entry = oldest(cache);

    tcpm__name_cache_unkeep(cache, entry);
    tcpm__name_cache_remove(cache, entry);
}

void tcpm__name_cache_limit(struct tcpm__name_cache *cache, size_t most)
{
    cache->most = most;
    while (cache->kept_count > most)
        forget_oldest(cache);
}

void tcpm__name_cache_clear(struct tcpm__name_cache *cache)
{
    while (cache->kept_count > 0)
        forget_oldest(cache);
}

void tcpm__name_cache_touch(struct tcpm__name_cache *cache, struct tcpm__entry *entry)
{
    TCPM__ASSERT(entry->state == TCPM__ENTRY_KEPT);
    tcpm__list_remove(&entry->link);
    tcpm__list_append(&cache->kept, &entry->link);
}

/* Seconds for which a negative answer may be kept. */
static int64_t negative_ttl_of(int code)
{
    switch (code) {
    case TCPM_ENOTFOUND:
    case -ENODATA:
        return ABSENT_TTL_S;
    case TCPM_ESERVFAIL:
    case TCPM_EREFUSED:
    case TCPM_EBADRESP:
    case -ETIMEDOUT:
        return FAILURE_TTL_S;
    default:
        return 0;
    }
}

bool tcpm__name_is_verdict(int code)
{
    return negative_ttl_of(code) > 0;
}

/* Seconds for which a result may be kept; INT64_MAX: for ever. */
static int64_t ttl_of(const struct tcpm__name_cache *cache, const struct tcpm__result *result)
{
    if (cache->ttl_s < 0)
        return 0;
    if (result->code < 0)
        return negative_ttl_of(result->code);
    if (cache->ttl_s > 0)
        return cache->ttl_s;
    return result->ttl_s < MOST_TTL_S ? result->ttl_s : MOST_TTL_S;
}

static bool copy_addresses(struct tcpm__name_cache *cache, struct tcpm__entry *entry,
                           const struct tcpm__result *result)
{
    size_t count = result->count < TCPM__MOST_ADDRESSES ? result->count : TCPM__MOST_ADDRESSES;

    entry->addresses = &entry->one;
    if (count > 1)
        entry->addresses = tcpm__memory_resize(cache->memory, NULL, count * sizeof entry->one);
    if (entry->addresses == NULL)
        return false;
    if (count > 0)
        memcpy(entry->addresses, result->addresses, count * sizeof entry->one);
    entry->count = (uint8_t) count;
    cache->bytes += block_of(entry);
    return true;
}

/* An answer comes in: it takes the place of the oldest one, or of some that are stale. */
static void make_room(struct tcpm__name_cache *cache, uint64_t now_ns)
{
    for (int i = 0; i < STALE_DROPPED && cache->kept_count > 0; i++)
        if (!tcpm__entry_is_fresh(oldest(cache), now_ns))
            forget_oldest(cache);
    while (cache->kept_count >= cache->most)
        forget_oldest(cache);
}

bool tcpm__name_cache_keep(struct tcpm__name_cache *cache, struct tcpm__entry *entry,
                           const struct tcpm__result *result, uint64_t now_ns)
{
    int64_t ttl_s = ttl_of(cache, result);
    bool is_for_ever = ttl_s >= (int64_t) ((UINT64_MAX - now_ns) / NS_PER_S);

    TCPM__ASSERT(entry->state == TCPM__ENTRY_NEW);
    if (ttl_s == 0 || cache->most == 0 || !copy_addresses(cache, entry, result))
        return false;
    make_room(cache, now_ns);
    entry->code = result->code;
    entry->message = result->message;
    entry->time_ns = is_for_ever ? UINT64_MAX : now_ns + (uint64_t) ttl_s * NS_PER_S;
    entry->turn = 0;
    entry->state = TCPM__ENTRY_KEPT;
    tcpm__list_append(&cache->kept, &entry->link);
    cache->kept_count++;
    return true;
}

void tcpm__name_cache_free(struct tcpm__name_cache *cache)
{
    tcpm__name_cache_clear(cache);
    for (size_t i = 0; i < cache->bucket_count; i++)
        for (struct tcpm__entry *entry = cache->buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            tcpm__memory_free(cache->memory, entry);
        }
    tcpm__memory_free(cache->memory, cache->buckets);
}
