/* SPDX-License-Identifier: MIT */
/*
 * What the tests of names share: a backend that only notes its queries, so that the test answers
 * them when it likes, and askers that count what they are told.
 */
#ifndef TESTS_UNIT_NAMES_BENCH_H
#define TESTS_UNIT_NAMES_BENCH_H

#include "support.h"

#include <arpa/inet.h>
#include <errno.h>

#include "tcpmulti.h"
#include "transport/names.h"
#include "transport/resolv_conf.h"

#define MS    UINT64_C(1000000)
#define S     UINT64_C(1000000000)
#define START (5000 * S) /* of a clock that has run for a while */

enum { MOST_QUERIES = 20000, CHECKED_ALWAYS = 100000 /* bytes of names */ };

struct bench_backend {
    struct tcpm__backend backend;
    struct bench *bench;
};

struct bench {
    struct scarce scarce;
    struct tcpm__names *names;
    uint64_t now_ns;
    struct bench_backend ares, system;
    struct tcpm__query *queries[MOST_QUERIES]; /* that were asked, in order. NULL: answered */
    bool is_call[MOST_QUERIES];                /* for all families at once, by the system */
    unsigned asked;
    unsigned unchecked; /* steps that were not validated, at most */
    int refusal;        /* what the backends say to each ask. 0: they take it */
};

/* One asker, and what it was told. */
struct told {
    struct tcpm__asker *asker;
    unsigned families; /* told so far */
    unsigned times, begun;
    int codes[4]; /* by families */
    unsigned counts[4], turns[4];
    struct in_addr first; /* of an IPv4 answer */
};

static inline int on_bench_ask(struct tcpm__backend *backend, struct tcpm__query *query)
{
    struct bench *bench = ((struct bench_backend *) backend)->bench;

    if (bench->refusal != 0)
        return bench->refusal;
    assert_true(bench->asked < MOST_QUERIES);
    bench->is_call[bench->asked] = backend->kind->both_families;
    bench->queries[bench->asked++] = query;
    return 0;
}

static const struct tcpm__backend_kind bench_ares = {.name = "ares", .ask = on_bench_ask};
static const struct tcpm__backend_kind bench_system = {
    .name = "system",
    .both_families = true,
    .ask = on_bench_ask,
};

/* Validates after each step, but only now and then while very many wait. */
static inline void check(struct bench *bench)
{
#ifdef TCPM__ASSERTIONS
    struct tcpm__names_counts counts;

    tcpm__names_stats(bench->names, &counts);
    if (counts.memory < CHECKED_ALWAYS || ++bench->unchecked % 256 == 0)
        tcpm__names_validate(bench->names);
#else
    (void) bench;
#endif
}

static inline void bench_open(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    scarce_init(&bench->scarce);
    bench->now_ns = START;
    bench->ares = (struct bench_backend){{&bench_ares}, bench};
    bench->system = (struct bench_backend){{&bench_system}, bench};
    assert_int_equal(tcpm__names_create(&bench->scarce.memory, &bench->names), 0);
}

static inline void bench_close(struct bench *bench)
{
    check(bench);
    tcpm__names_free(bench->names);
    assert_int_equal(bench->scarce.blocks, 0);
}

static inline struct tcpm__names_counts bench_counts(const struct bench *bench)
{
    struct tcpm__names_counts counts;

    tcpm__names_stats(bench->names, &counts);
    return counts;
}

/* ---- asking ---- */

static inline void note_told(struct told *told, const struct tcpm__answer *answer)
{
    unsigned families = answer->families;

    assert_true(families >= 1 && families <= 3);
    assert_int_equal(told->families & families, 0);
    assert_int_equal(answer->code == 0, answer->count > 0);
    told->families |= families;
    told->times++;
    told->codes[families] = answer->code;
    told->counts[families] = (unsigned) answer->count;
    told->turns[families] = answer->turn;
    for (size_t i = 0; i < answer->count; i++)
        assert_int_equal(tcpm__address_port(&answer->addresses[i]), 0);
    if (answer->code == 0 && answer->addresses[0].any.sa_family == AF_INET)
        told->first = answer->addresses[0].in.sin_addr;
}

static inline void on_told(void *owner, const struct tcpm__answer *answer)
{
    note_told(owner, answer);
}

static inline void on_begun(void *owner)
{
    ((struct told *) owner)->begun++;
}

/* The result of the ask: how many answers are known, which are noted, or a code. */
static inline int ask_of(struct bench *bench, struct bench_backend *backend, struct told *told,
                         const char *name, bool absolute, unsigned families)
{
    struct tcpm__answer known[2];
    struct tcpm__ask ask = {.name = name,
                            .absolute = absolute,
                            .families = families,
                            .backend = &backend->backend,
                            .done = on_told,
                            .begun = on_begun,
                            .owner = told};

    *told = (struct told){.asker = NULL};
    int result = tcpm__names_ask(bench->names, &ask, bench->now_ns, known, &told->asker);

    for (int i = 0; i < result; i++)
        note_told(told, &known[i]);
    if (result < 0)
        assert_null(told->asker);
    if (told->asker != NULL)
        assert_int_equal(tcpm__asker_awaited(told->asker), families & ~told->families);
    check(bench);
    return result;
}

/* An absolute name in IPv4. */
static inline int ask(struct bench *bench, struct told *told, const char *name)
{
    return ask_of(bench, &bench->ares, told, name, true, TCPM__INET);
}

static inline int ask_both(struct bench *bench, struct told *told, const char *name)
{
    return ask_of(bench, &bench->ares, told, name, true, TCPM__ANY_FAMILY);
}

/* ---- answering ---- */

static inline void answer_query(struct bench *bench, unsigned index,
                                const struct tcpm__result *result)
{
    struct tcpm__query *query = bench->queries[index];

    assert_non_null(query);
    bench->queries[index] = NULL;
    tcpm__names_answered(bench->names, query, result, bench->now_ns);
    check(bench);
}

/* Forgets what was answered. */
static inline void bench_compact(struct bench *bench)
{
    unsigned count = 0;

    for (unsigned i = 0; i < bench->asked; i++)
        if (bench->queries[i] != NULL) {
            bench->is_call[count] = bench->is_call[i];
            bench->queries[count++] = bench->queries[i];
        }
    bench->asked = count;
}

/* Answers a query with so many addresses: 127.0.0.1, 127.0.0.2, ... or [::1], [::2], ... */
static inline void answer_good(struct bench *bench, unsigned index, unsigned count, uint32_t ttl_s)
{
    union tcpm__address list[100];
    bool is_ipv6 = bench->queries[index]->families == TCPM__INET6;

    memset(list, 0, sizeof list);
    for (unsigned i = 0; i < count; i++) {
        list[i].any.sa_family = is_ipv6 ? AF_INET6 : AF_INET;
        if (is_ipv6)
            list[i].in6.sin6_addr.s6_addr[15] = (uint8_t) (i + 1);
        else
            list[i].in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + i);
    }
    answer_query(bench, index,
                 &(struct tcpm__result){.ttl_s = ttl_s, .addresses = list, .count = count});
    memset(list, 0xff, sizeof list);
}

static inline void answer_bad(struct bench *bench, unsigned index, int code)
{
    answer_query(bench, index, &(struct tcpm__result){.code = code, .lost = code == -ETIMEDOUT});
}

#define ASSERT_QUERY(bench, index, text, family)                     \
    do {                                                             \
        assert_true((index) < (bench)->asked);                       \
        assert_string_equal((bench)->queries[index]->name, text);    \
        assert_int_equal((bench)->queries[index]->families, family); \
    } while (0)

#endif
