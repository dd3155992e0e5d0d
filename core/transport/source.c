/* SPDX-License-Identifier: MIT */
/*
 * A pool of local addresses for each family. An address is known by its number in its pool; the
 * lease of an address is 1 plus that number, and in the pool of IPv6 plus the size of the other
 * pool. Counts lie in pages, which are made when one of their addresses is first taken. Called for
 * each socket, by dial.c.
 *
 * What always holds: the counts of all addresses make up the number of leases. An address that is
 * the only one of its family is not counted, nor is any of a family with a wide block.
 */
#include "transport/source.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "transport/blocks.h"
#include "transport/full_pairs.h"

enum {
    MOST_COUNTED = 65536,
    COUNTED_BITS = 16,   /* host bits of a prefix with so many addresses */
    MOST_COMPARED = 256, /* addresses of a pool whose counts are all looked at */
    PAGE_COUNTS = 64,
};

/* The addresses of a family. */
struct pool {
    struct tcpm__blocks blocks;
    uint32_t begin; /* addresses of the other pool that are numbered before those of this one */
    uint32_t next;  /* where the search for the least used begins, if there is such an address */
};

struct tcpm__sources {
    const struct tcpm__memory *memory;
    uint32_t references;
    uint32_t leased;              /* sum of all counts */
    uint64_t random;              /* state of the generator */
    uint32_t **pages;             /* counts, by the number of the address; NULL: all are 0 */
    struct tcpm__full_pairs full; /* sources by their leases */
    struct pool inet, inet6;
    struct tcpm__block blocks[]; /* blocks of both pools */
};

/* A search for an address of a pool. */
struct search {
    const struct tcpm__sources *sources;
    const struct pool *pool;
    const union tcpm__address *peer;
    uint64_t now_ms;
};

/* ---- counts ---- */

static struct pool *pool_of(struct tcpm__sources *sources, int family)
{
    return family == AF_INET6 ? &sources->inet6 : &sources->inet;
}

static bool is_counted(const struct pool *pool)
{
    return pool->blocks.count > 1 && !pool->blocks.is_wide;
}

/* The pool of a lease that is not 0. */
static const struct pool *pool_of_lease(const struct tcpm__sources *sources, uint32_t lease)
{
    TCPM__ASSERT(lease <= sources->inet.blocks.count + sources->inet6.blocks.count);
    return lease > sources->inet6.begin ? &sources->inet6 : &sources->inet;
}

/* How many sockets use the address of this lease. */
static uint32_t uses_of(const struct tcpm__sources *sources, uint32_t lease)
{
    const uint32_t *page = sources->pages == NULL ? NULL : sources->pages[lease / PAGE_COUNTS];

    return page == NULL ? 0 : page[lease % PAGE_COUNTS];
}

static size_t count_pages(const struct tcpm__sources *sources)
{
    return (sources->inet.blocks.count + sources->inet6.blocks.count) / PAGE_COUNTS + 1;
}

static int make_page(struct tcpm__sources *sources, uint32_t lease)
{
    if (sources->pages == NULL)
        sources->pages =
            tcpm__memory_zeroed(sources->memory, count_pages(sources) * sizeof sources->pages[0]);
    if (sources->pages == NULL)
        return -ENOMEM;

    uint32_t **page = &sources->pages[lease / PAGE_COUNTS];

    if (*page == NULL)
        *page = tcpm__memory_zeroed(sources->memory, PAGE_COUNTS * sizeof **page);
    return *page == NULL ? -ENOMEM : 0;
}

static int count_use(struct tcpm__sources *sources, uint32_t lease)
{
    if (make_page(sources, lease) < 0)
        return -ENOMEM;
    sources->pages[lease / PAGE_COUNTS][lease % PAGE_COUNTS]++;
    sources->leased++;
    return 0;
}

uint32_t tcpm__sources_validate(const struct tcpm__sources *sources)
{
    uint32_t sum = 0, last = sources->inet.blocks.count + sources->inet6.blocks.count;

    for (uint32_t lease = 1; lease <= last; lease++)
        sum += uses_of(sources, lease);
    TCPM__ASSERT(sum == sources->leased);
    TCPM__ASSERT(sources->references > 0 && sources->inet6.begin == sources->inet.blocks.count);
    return sum;
}

/* ---- taking ---- */

static uint32_t lease_of(const struct search *search, uint32_t number)
{
    return search->pool->begin + number + 1;
}

static bool is_full(const struct search *search, uint32_t number)
{
    return tcpm__full_pairs_has(&search->sources->full, lease_of(search, number), search->peer,
                                search->now_ms);
}

static uint32_t uses(const struct search *search, uint32_t number)
{
    return uses_of(search->sources, lease_of(search, number));
}

/* Finds the address with the least sockets among those that are not full, and among equals the
   first from the pool's next one on. False: all are full. */
static bool find_least_used(const struct search *search, uint32_t *ret)
{
    const struct pool *pool = search->pool;
    uint32_t least = UINT32_MAX, number = pool->next;

    for (uint32_t i = 0; i < pool->blocks.count; i++, number++) {
        if (number == pool->blocks.count)
            number = 0;
        if (uses(search, number) < least && !is_full(search, number)) {
            least = uses(search, number);
            *ret = number;
        }
    }
    return least < UINT32_MAX;
}

/* Finds the first address that is not full, from this one on. The addresses that are remembered as
   full are few, so that a large pool is never walked to its end. */
static bool find_not_full(const struct search *search, uint32_t number, uint32_t *ret)
{
    uint32_t count = search->pool->blocks.count;

    for (uint32_t i = 0; i < count; i++, number = number + 1 < count ? number + 1 : 0) {
        if (is_full(search, number))
            continue;
        *ret = number;
        return true;
    }
    return false;
}

/* Of two addresses that are not full, the one with fewer sockets. */
static bool find_less_used(const struct search *search, uint32_t one, uint32_t other, uint32_t *ret)
{
    if (!find_not_full(search, one, &one) || !find_not_full(search, other, &other))
        return false;
    *ret = uses(search, other) < uses(search, one) ? other : one;
    return true;
}

/* Finds a number of the pool. False: all addresses are full. */
static bool find_number(struct tcpm__sources *sources, struct pool *pool,
                        const union tcpm__address *peer, uint64_t now_ms, uint32_t *ret)
{
    struct search search = {sources, pool, peer, now_ms};
    uint32_t one = tcpm__random_below(&sources->random, pool->blocks.count),
             other = tcpm__random_below(&sources->random, pool->blocks.count);

    if (pool->blocks.count > MOST_COMPARED)
        return find_less_used(&search, one, other, ret);
    if (pool->next >= pool->blocks.count)
        pool->next = one;
    if (!find_least_used(&search, ret))
        return false;
    pool->next = *ret + 1 < pool->blocks.count ? *ret + 1 : 0;
    return true;
}

int tcpm__sources_take(struct tcpm__sources *sources, const union tcpm__address *peer,
                       uint64_t now_ms, union tcpm__address *ret, uint32_t *lease)
{
    struct pool *pool = pool_of(sources, peer->any.sa_family);
    uint32_t number;

    if (pool->blocks.length == 0)
        return -EAFNOSUPPORT;
    sources->random += now_ms;
    if (pool->blocks.is_wide) {
        tcpm__blocks_draw(&pool->blocks, &sources->random, ret);
        *lease = 0;
        return 0;
    }
    if (!find_number(sources, pool, peer, now_ms, &number))
        return -EADDRNOTAVAIL;
    if (is_counted(pool) && count_use(sources, pool->begin + number + 1) < 0)
        return -ENOMEM;
    tcpm__blocks_find(&pool->blocks, number, ret);
    *lease = pool->begin + number + 1;
    return 0;
}

void tcpm__sources_give(struct tcpm__sources *sources, uint32_t lease)
{
    if (lease == 0 || !is_counted(pool_of_lease(sources, lease)))
        return;
    TCPM__ASSERT(uses_of(sources, lease) > 0);
    sources->pages[lease / PAGE_COUNTS][lease % PAGE_COUNTS]--;
    sources->leased--;
}

void tcpm__sources_note_full(struct tcpm__sources *sources, uint32_t lease,
                             const union tcpm__address *peer, uint64_t now_ms)
{
    if (lease != 0)
        tcpm__full_pairs_note(&sources->full, sources->memory, lease, peer, now_ms);
}

bool tcpm__sources_have(const struct tcpm__sources *sources, int family)
{
    return (family == AF_INET6 ? &sources->inet6 : &sources->inet)->blocks.length > 0;
}

bool tcpm__sources_need_freebind(const struct tcpm__sources *sources,
                                 const union tcpm__address *address)
{
    return address->any.sa_family == AF_INET6 &&
           tcpm__blocks_have_prefix_of(&sources->inet6.blocks, address);
}

/* ---- reading ---- */

static int read_block(struct tcpm__part word, struct tcpm__block *ret)
{
    struct tcpm__prefix prefix;

    return tcpm__prefix_parse(word, &prefix) < 0 ? -EINVAL : tcpm__block_make(&prefix, ret);
}

/* Counts the blocks of both families. -EINVAL: *bad is no block, or one too many, or the list is
   empty. */
static int count_blocks(struct tcpm__part list, uint32_t *inet, uint32_t *inet6,
                        struct tcpm__part *bad)
{
    struct tcpm__block block;
    uint32_t total = 0;

    *inet = *inet6 = 0;
    while (tcpm__words_next_item(&list, bad)) {
        if (read_block(*bad, &block) < 0)
            return -EINVAL;
        total += block.count;
        if (total > MOST_COUNTED)
            return -EINVAL;
        if (block.first.any.sa_family == AF_INET6)
            ++*inet6;
        else
            ++*inet;
    }
    return *inet + *inet6 > 0 ? 0 : -EINVAL;
}

static struct tcpm__sources *make_sources(const struct tcpm__memory *memory, uint32_t inet,
                                          uint32_t inet6)
{
    size_t blocks = (size_t) inet + inet6;
    struct tcpm__sources *made =
        tcpm__memory_zeroed(memory, sizeof *made + blocks * sizeof made->blocks[0]);

    if (made == NULL)
        return NULL;
    made->memory = memory;
    made->references = 1;
    made->random = (uintptr_t) made;
    made->inet = (struct pool){.blocks = {.list = made->blocks}, .next = UINT32_MAX};
    made->inet6 = (struct pool){.blocks = {.list = made->blocks + inet}, .next = UINT32_MAX};
    return made;
}

int tcpm__sources_parse(const struct tcpm__memory *memory, const char *text,
                        struct tcpm__sources **ret, struct tcpm__part *bad)
{
    struct tcpm__part list = tcpm__part_of(text, strlen(text)), word;
    struct tcpm__block block;
    uint32_t inet, inet6;

    if (count_blocks(list, &inet, &inet6, bad) < 0)
        return -EINVAL;

    struct tcpm__sources *made = make_sources(memory, inet, inet6);

    if (made == NULL)
        return -ENOMEM;
    while (tcpm__words_next_item(&list, &word) && read_block(word, &block) == 0)
        tcpm__blocks_add(&pool_of(made, block.first.any.sa_family)->blocks, &block);
    made->inet6.begin = made->inet.blocks.count;
    TCPM__ASSERT(made->inet.blocks.length == inet && made->inet6.blocks.length == inet6);
    *ret = made;
    return 0;
}

struct tcpm__sources *tcpm__sources_keep(struct tcpm__sources *sources)
{
    TCPM__ASSERT(sources->references > 0);
    sources->references++;
    return sources;
}

static void free_sources(struct tcpm__sources *sources)
{
    TCPM__ASSERT(tcpm__sources_validate(sources) == 0);
    for (size_t page = 0; sources->pages != NULL && page < count_pages(sources); page++)
        tcpm__memory_free(sources->memory, sources->pages[page]);
    tcpm__memory_free(sources->memory, sources->pages);
    tcpm__full_pairs_free(&sources->full, sources->memory);
    tcpm__memory_free(sources->memory, sources);
}

void tcpm__sources_drop(struct tcpm__sources *sources)
{
    if (sources == NULL)
        return;
    TCPM__ASSERT(sources->references > 0);
    if (sources->references == 1)
        free_sources(sources);
    else
        sources->references--;
}
