/* SPDX-License-Identifier: MIT */
/*
 * See names.h. The cache, the queue with its window and the search list are parts of their own;
 * name_asks.c knows the askers. Here is what happens to all of it: configuration, answers, time.
 */
#include "transport/name_asks.h"

#include <errno.h>

#include "base/assert.h"
#include "tcpmulti.h"

enum {
    FAMILIES = 2,       /* queries of one name */
    WINDOW = 512,       /* names */
    CONCURRENCY = 1024, /* names */
    CACHE = 65536,      /* answers */
    MOST_NAMES = 1 << 20,
};

/* ---- configuration ---- */

static unsigned queries_of(unsigned names, unsigned fallback)
{
    unsigned count = names == 0 ? fallback : names;
    unsigned queries = (count < MOST_NAMES ? count : MOST_NAMES) * FAMILIES;

    return queries > TCPM__WINDOW_LEAST ? queries : TCPM__WINDOW_LEAST;
}

static void configure_window(struct tcpm__window *window, const struct tcpm__names_config *old,
                             const struct tcpm__names_config *config)
{
    window->most = queries_of(config->concurrency, CONCURRENCY);
    if (config->window != old->window || config->concurrency > old->concurrency)
        window->size = queries_of(config->window, WINDOW);
    if (window->size > window->most)
        window->size = window->most;
}

int tcpm__names_create(const struct tcpm__memory *memory, struct tcpm__names **ret)
{
    struct tcpm__names *names = tcpm__memory_zeroed(memory, sizeof *names);

    if (names == NULL)
        return -ENOMEM;
    names->memory = memory;
    names->config = (struct tcpm__names_config){.cache = CACHE, .search = true};
    tcpm__name_cache_init(&names->cache, memory);
    tcpm__name_cache_limit(&names->cache, CACHE);
    tcpm__name_queue_init(&names->queue);
    tcpm__window_init(&names->queue.window, queries_of(0, WINDOW), queries_of(0, CONCURRENCY));
    tcpm__name_search_init(&names->search);
    *ret = names;
    return 0;
}

void tcpm__names_configure(struct tcpm__names *names, const struct tcpm__names_config *config)
{
    if (config->ttl_s != names->config.ttl_s)
        tcpm__name_cache_clear(&names->cache);
    configure_window(&names->queue.window, &names->config, config);
    names->cache.ttl_s = config->ttl_s;
    tcpm__name_cache_limit(&names->cache, config->cache);
    names->config = *config;
}

void tcpm__names_set_search(struct tcpm__names *names, const struct tcpm__resolv_conf *conf)
{
    tcpm__name_search_set(&names->search, conf);
}

void tcpm__names_clear(struct tcpm__names *names)
{
    tcpm__name_cache_clear(&names->cache);
}

void tcpm__names_free(struct tcpm__names *names)
{
    if (names == NULL)
        return;
    for (size_t i = 0; i < names->cache.bucket_count; i++)
        for (struct tcpm__entry *entry = names->cache.buckets[i]; entry; entry = entry->next)
            tcpm__names_drop_waiters(names, entry);
    tcpm__name_cache_free(&names->cache);
    tcpm__memory_free(names->memory, names);
}

/* ---- answers and time ---- */

/* Calls begun of all who wait for an entry that has left the queue. */
static void tell_begun(struct tcpm__entry *entry)
{
    struct tcpm__list waiters;

    tcpm__list_take(&entry->waiters, &waiters);
    while (!tcpm__list_empty(&waiters)) {
        struct tcpm__asker *asker = tcpm__first_waiter(&waiters)->asker;
        bool had_begun = asker->has_begun;
        struct tcpm__list *link = waiters.next;

        tcpm__list_remove(link);
        tcpm__list_append(&entry->waiters, link);
        asker->has_begun = true;
        if (!had_begun && asker->begun != NULL)
            asker->begun(asker->owner);
    }
}

/* Begins queries that have waited, but none that an asker adds now. */
static void begin_waiting(struct tcpm__names *names, uint64_t now_ns)
{
    for (size_t left = names->queue.count; left > 0; left--) {
        struct tcpm__entry *entry = tcpm__name_queue_next(&names->queue, now_ns);

        if (entry == NULL)
            return;
        int code = tcpm__name_queue_begin(&names->queue, entry, now_ns);

        if (code < 0)
            tcpm__names_finish(names, entry, &(struct tcpm__result){.code = code}, now_ns);
        else
            tell_begun(entry);
    }
}

static void take_result(struct tcpm__names *names, struct tcpm__entry *entry,
                        const struct tcpm__result *result, uint64_t now_ns)
{
    bool is_to_come_again = tcpm__name_queue_end(&names->queue, entry, result, now_ns);

    if (!is_to_come_again)
        tcpm__names_finish(names, entry, result, now_ns);
    else if (tcpm__list_empty(&entry->waiters))
        tcpm__name_cache_remove(&names->cache, entry);
    else
        tcpm__name_queue_delay(&names->queue, entry, now_ns);
}

void tcpm__names_answered(struct tcpm__names *names, struct tcpm__query *query,
                          const struct tcpm__result *result, uint64_t now_ns)
{
    TCPM__ASSERT(result->code <= 0 && (result->code < 0) == (result->count == 0));
    names->refused += result->code == TCPM_EREFUSED;
    names->lost += result->lost;
    take_result(names, TCPM__CONTAINER(query, struct tcpm__entry, query), result, now_ns);
    begin_waiting(names, now_ns);
}

uint64_t tcpm__names_due_ns(const struct tcpm__names *names)
{
    return tcpm__name_queue_due_ns(&names->queue);
}

void tcpm__names_tick(struct tcpm__names *names, uint64_t now_ns)
{
    begin_waiting(names, now_ns);
}

/* ---- what is told ---- */

void tcpm__names_stats(const struct tcpm__names *names, struct tcpm__names_counts *ret)
{
    const struct tcpm__name_queue *queue = &names->queue;

    *ret = (struct tcpm__names_counts){
        .hits = names->hits,
        .misses = names->misses,
        .queries = queue->begun,
        .refused = names->refused,
        .lost = names->lost,
        .waiting = queue->count,
        .out = queue->window.out + queue->calls_out,
        .kept = names->cache.kept_count,
        .memory = sizeof *names + names->cache.bytes + names->asker_bytes,
        .window = queue->window.size / FAMILIES,
    };
}
