/* SPDX-License-Identifier: MIT */
/*
 * The table of names: an entry for each query that waits, is out, or has an answer that is kept.
 * Pure: time comes in as an argument.
 *
 * What always holds: no two entries in the table have the same name, families and backend. At most
 * `most` answers are kept; the one that was wanted least lately goes first. An answer is fresh
 * before its time is over, never from then on.
 */
#ifndef TCPM_TRANSPORT_NAME_CACHE_H
#define TCPM_TRANSPORT_NAME_CACHE_H

#include "base/list.h"
#include "transport/name_window.h"
#include "transport/names.h"

/* Where an entry is, and which list its link is in. */
enum tcpm__entry_state {
    TCPM__ENTRY_NEW,     /* in no list, for the time of one call */
    TCPM__ENTRY_WAITING, /* for a place: a list of the queue */
    TCPM__ENTRY_DELAYED, /* waits to be asked again: a list of the queue */
    TCPM__ENTRY_OUT,     /* at the backend; in no list */
    TCPM__ENTRY_KEPT     /* answered: the list of the cache */
};

struct tcpm__entry {
    struct tcpm__query query;
    struct tcpm__entry *next; /* the next one in the bucket */
    struct tcpm__backend *backend;
    struct tcpm__list link;
    struct tcpm__list waiters;         /* struct tcpm__waiter */
    uint64_t time_ns;                  /* DELAYED: when it is due; KEPT: when it is stale */
    struct tcpm__window_ticket ticket; /* OUT only */
    const char *message;
    union tcpm__address *addresses; /* a block, or &one; KEPT only */
    union tcpm__address one;
    uint32_t hash;
    uint32_t turn; /* how often the answer was given */
    int code;
    uint8_t length; /* bytes of the name */
    uint8_t count;  /* number of addresses */
    uint8_t tries;  /* how often it was asked again */
    uint8_t state;  /* enum tcpm__entry_state */
    char name[];
};

/* The key that an entry is found by, but for the families. */
struct tcpm__name_key {
    const char *name;
    const struct tcpm__backend *backend;
    uint8_t length;
    uint32_t hash; /* hash of the name alone */
};

struct tcpm__name_cache {
    const struct tcpm__memory *memory;
    struct tcpm__entry **buckets; /* NULL: no entry was made yet */
    size_t bucket_count;          /* a power of two */
    size_t count;                 /* entries in the table */
    struct tcpm__list kept;       /* wanted least lately first */
    size_t kept_count;
    size_t most;    /* answers that may be kept */
    int64_t ttl_s;  /* see struct tcpm__names_config */
    uint64_t bytes; /* memory of all entries and the table */
    uint32_t salt;  /* makes hashes differ, so that nobody can choose names of one bucket */
};

void tcpm__name_cache_init(struct tcpm__name_cache *cache, const struct tcpm__memory *memory);
/* Frees all entries, in whatever state. */
void tcpm__name_cache_free(struct tcpm__name_cache *cache);

/* name: of 1 to 255 bytes, borrowed as long as the key is used. */
struct tcpm__name_key tcpm__name_cache_key(const struct tcpm__name_cache *cache, const char *name,
                                           const struct tcpm__backend *backend);
/* The entry, or NULL. */
struct tcpm__entry *tcpm__name_cache_find(const struct tcpm__name_cache *cache,
                                          const struct tcpm__name_key *key, unsigned families);
/* A new entry in the state NEW, or NULL for want of memory. There must be none with this key. */
struct tcpm__entry *tcpm__name_cache_add(struct tcpm__name_cache *cache,
                                         const struct tcpm__name_key *key, unsigned families,
                                         struct tcpm__backend *backend);

/* Whether a negative code is what name servers have made of the query, not a failure of our own. */
bool tcpm__name_is_verdict(int code);

static inline bool tcpm__entry_is_fresh(const struct tcpm__entry *entry, uint64_t now_ns)
{
    return entry->state == TCPM__ENTRY_KEPT && now_ns < entry->time_ns;
}

/* The answer is wanted now: it goes out after all others. */
void tcpm__name_cache_touch(struct tcpm__name_cache *cache, struct tcpm__entry *entry);

/* Keeps the answer, from NEW to KEPT, if it may be kept and there is memory. */
bool tcpm__name_cache_keep(struct tcpm__name_cache *cache, struct tcpm__entry *entry,
                           const struct tcpm__result *result, uint64_t now_ns);
/* Forgets the answer: from KEPT to NEW. */
void tcpm__name_cache_unkeep(struct tcpm__name_cache *cache, struct tcpm__entry *entry);
/* Forgets and frees all answers that are kept. */
void tcpm__name_cache_clear(struct tcpm__name_cache *cache);
/* Changes the most that is kept; what is too much goes. */
void tcpm__name_cache_limit(struct tcpm__name_cache *cache, size_t most);

/* Frees a NEW entry. */
void tcpm__name_cache_remove(struct tcpm__name_cache *cache, struct tcpm__entry *entry);

#endif
