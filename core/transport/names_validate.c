/* SPDX-License-Identifier: MIT */
/*
 * Asserts that the parts of names agree: the table with the lists of its entries, the counts with
 * what they count, the askers with the entries that they wait for. For debug and sanitize builds
 * and tests; a walk takes the time of all entries.
 */
#include "transport/name_asks.h"

#include "base/assert.h"

/* Entries of one walk over the table. */
struct counts {
    size_t entries, kept, waiting, queries_out, calls_out;
    uint64_t bytes;
};

static void validate_waiter(const struct tcpm__entry *entry, const struct tcpm__list *link)
{
    const struct tcpm__part *part = TCPM__CONTAINER(link, const struct tcpm__part, link);
    const struct tcpm__asker *asker = part->asker;

    TCPM__ASSERT(link->next->prev == link);
    TCPM__ASSERT(part == &asker->parts[0] || part == &asker->parts[1]);
    TCPM__ASSERT(part->entry == entry && part->state == TCPM__PART_SEEKING);
    TCPM__ASSERT(part->families == entry->query.families && asker->backend == entry->backend);
    TCPM__ASSERT(asker->is_being_told || !asker->is_forgotten);
    TCPM__ASSERT(asker->has_begun ||
                 (entry->backend->kind->both_families && entry->state == TCPM__ENTRY_WAITING));
}

static void validate_waiters(const struct tcpm__entry *entry)
{
    for (const struct tcpm__list *link = entry->waiters.next; link != &entry->waiters;
         link = link->next)
        validate_waiter(entry, link);
}

static void validate_answer(const struct tcpm__entry *entry)
{
    TCPM__ASSERT(tcpm__list_empty(&entry->waiters));
    TCPM__ASSERT(entry->code <= 0 && (entry->code == 0) == (entry->count > 0));
    TCPM__ASSERT(entry->code == 0 || tcpm__name_is_verdict(entry->code));
    TCPM__ASSERT((entry->addresses == &entry->one) == (entry->count <= 1));
}

static void count_entry(const struct tcpm__entry *entry, struct counts *counts)
{
    bool is_call = entry->backend->kind->both_families;

    counts->entries++;
    counts->bytes += sizeof *entry + entry->length + 1u;
    if (entry->count > 1)
        counts->bytes += entry->count * sizeof entry->one;
    TCPM__ASSERT(entry->state != TCPM__ENTRY_NEW);
    switch (entry->state) {
    case TCPM__ENTRY_KEPT:
        validate_answer(entry);
        counts->kept++;
        break;
    case TCPM__ENTRY_OUT:
        counts->queries_out += !is_call;
        counts->calls_out += is_call;
        break;
    default:
        TCPM__ASSERT(!tcpm__list_empty(&entry->waiters));
        TCPM__ASSERT(entry->state == TCPM__ENTRY_WAITING || !is_call);
        counts->waiting++;
    }
}

static void validate_bucket(const struct tcpm__name_cache *cache, size_t index,
                            struct counts *counts)
{
    for (const struct tcpm__entry *entry = cache->buckets[index]; entry; entry = entry->next) {
        struct tcpm__name_key key = tcpm__name_cache_key(cache, entry->name, entry->backend);

        TCPM__ASSERT((entry->hash & (cache->bucket_count - 1)) == index);
        TCPM__ASSERT(entry->hash == key.hash && entry->length == key.length);
        TCPM__ASSERT(tcpm__name_cache_find(cache, &key, entry->query.families) == entry);
        validate_waiters(entry);
        count_entry(entry, counts);
    }
}

/* The number of entries in a list, all in this state, in the order of their times if that is
   asked for. */
static size_t validate_list(const struct tcpm__list *list, enum tcpm__entry_state state,
                            bool is_ordered)
{
    size_t count = 0;
    uint64_t last_ns = 0;

    for (const struct tcpm__list *link = list->next; link != list; link = link->next) {
        const struct tcpm__entry *entry = TCPM__CONTAINER(link, const struct tcpm__entry, link);

        TCPM__ASSERT(link->next->prev == link && entry->state == state);
        TCPM__ASSERT(!is_ordered || entry->time_ns >= last_ns);
        last_ns = entry->time_ns;
        count++;
    }
    return count;
}

static void validate_queue(const struct tcpm__name_queue *queue, const struct counts *counts)
{
    size_t count = validate_list(&queue->waiting, TCPM__ENTRY_WAITING, false) +
                   validate_list(&queue->calls, TCPM__ENTRY_WAITING, false);

    for (int i = 0; i < TCPM__MOST_TRIES; i++)
        count += validate_list(&queue->delayed[i], TCPM__ENTRY_DELAYED, true);
    TCPM__ASSERT(count == queue->count && count == counts->waiting);
    TCPM__ASSERT(counts->calls_out == queue->calls_out && queue->calls_out <= TCPM__MOST_CALLS);
    TCPM__ASSERT(counts->queries_out == queue->window.out);
    TCPM__ASSERT(queue->window.size >= TCPM__WINDOW_LEAST);
    TCPM__ASSERT(queue->window.size <= queue->window.most);
}

void tcpm__names_validate(const struct tcpm__names *names)
{
    const struct tcpm__name_cache *cache = &names->cache;
    struct counts counts = {.bytes = cache->bucket_count * sizeof *cache->buckets};

    for (size_t i = 0; i < cache->bucket_count; i++)
        validate_bucket(cache, i, &counts);
    TCPM__ASSERT(counts.entries == cache->count && counts.bytes == cache->bytes);
    TCPM__ASSERT(counts.kept == cache->kept_count && counts.kept <= cache->most);
    TCPM__ASSERT(validate_list(&cache->kept, TCPM__ENTRY_KEPT, false) == cache->kept_count);
    validate_queue(&names->queue, &counts);
}
