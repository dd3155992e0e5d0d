/* SPDX-License-Identifier: MIT */
/*
 * A hash table of pairs, with linear probing. Asked before each connect from a source, as soon as
 * one pair was found full.
 *
 * What always holds: at least half of the places are empty, so every search ends. A pair whose time
 * is over keeps its place until the table is made anew, as searches have to go on behind it. Each
 * pair is in the table once.
 */
#include "transport/full_pairs.h"

#include "base/assert.h"
#include "transport/prefix.h"

enum {
    LEAST_CAPACITY = 16,
    MOST_CAPACITY = 8192 /* 320 KB; half of the places are used */
};

/* FNV-1a. */
static uint32_t hash_of(uint32_t source, const union tcpm__address *peer)
{
    size_t count;
    const unsigned char *bytes = tcpm__address_bytes(peer, &count);
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < count; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    hash = (hash ^ tcpm__address_port(peer)) * 16777619u;
    hash = (hash ^ source) * 16777619u;
    return hash ^ hash >> 16; /* the low bits, which are used, know of all of the source's */
}

static bool is_scope_equal(const union tcpm__address *a, const union tcpm__address *b)
{
    return a->any.sa_family != AF_INET6 || a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}

static bool is_pair(const struct tcpm__full_pair *pair, uint32_t source,
                    const union tcpm__address *peer)
{
    return pair->source == source && tcpm__address_equal(&pair->peer, peer) &&
           is_scope_equal(&pair->peer, peer);
}

/* The place of the pair, or the empty place at the end of the search for it. */
static struct tcpm__full_pair *find_place(const struct tcpm__full_pairs *full, uint32_t source,
                                          const union tcpm__address *peer)
{
    size_t mask = full->capacity - 1, at = hash_of(source, peer) & mask;

    while (full->pairs[at].until_ms != 0 && !is_pair(&full->pairs[at], source, peer))
        at = (at + 1) & mask;
    return &full->pairs[at];
}

static size_t count_valid(const struct tcpm__full_pairs *full, uint64_t now_ms)
{
    size_t count = 0;

    for (size_t at = 0; at < full->capacity; at++)
        count += full->pairs[at].until_ms > now_ms;
    return count;
}

static void put(struct tcpm__full_pairs *full, const struct tcpm__full_pair *pair)
{
    struct tcpm__full_pair *place = find_place(full, pair->source, &pair->peer);

    full->used += place->until_ms == 0;
    *place = *pair;
}

/* Makes the table anew, without the pairs whose time is over, and at least three quarters empty.
   False: there is no memory, or too many pairs count as full. */
static bool renew(struct tcpm__full_pairs *full, const struct tcpm__memory *memory, uint64_t now_ms)
{
    struct tcpm__full_pairs made = {.capacity = LEAST_CAPACITY};
    size_t valid = count_valid(full, now_ms);

    while (made.capacity < 4 * (valid + 1))
        made.capacity *= 2;
    if (made.capacity > MOST_CAPACITY)
        return false;
    made.pairs = tcpm__memory_zeroed(memory, made.capacity * sizeof made.pairs[0]);
    if (made.pairs == NULL)
        return false;
    for (size_t at = 0; at < full->capacity; at++)
        if (full->pairs[at].until_ms > now_ms)
            put(&made, &full->pairs[at]);
    tcpm__full_pairs_free(full, memory);
    *full = made;
    return true;
}

static bool has_place(const struct tcpm__full_pairs *full, uint32_t source,
                      const union tcpm__address *peer)
{
    return full->capacity > 0 && find_place(full, source, peer)->until_ms != 0;
}

void tcpm__full_pairs_note(struct tcpm__full_pairs *full, const struct tcpm__memory *memory,
                           uint32_t source, const union tcpm__address *peer, uint64_t now_ms)
{
    struct tcpm__full_pair pair = {*peer, source, now_ms + TCPM__FULL_FOR_MS};

    if (!has_place(full, source, peer) && 2 * (full->used + 1) > full->capacity &&
        !renew(full, memory, now_ms))
        return;
    put(full, &pair);
    TCPM__ASSERT(2 * full->used <= full->capacity);
}

bool tcpm__full_pairs_has(const struct tcpm__full_pairs *full, uint32_t source,
                          const union tcpm__address *peer, uint64_t now_ms)
{
    return full->capacity > 0 && find_place(full, source, peer)->until_ms > now_ms;
}

void tcpm__full_pairs_free(struct tcpm__full_pairs *full, const struct tcpm__memory *memory)
{
    tcpm__memory_free(memory, full->pairs);
    *full = (struct tcpm__full_pairs){.pairs = NULL};
}
