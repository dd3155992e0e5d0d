/* SPDX-License-Identifier: MIT */
/* Names in made-up time: what is kept and for how long, who waits, which candidates are asked. */
#include "names_bench.h"

static struct bench bench;

/* ---- the cache: rows N16, N17, N18, N21 ---- */

/* Asks for a name, answers, and tells after how many seconds it is asked for again. */
static uint64_t seconds_kept(int code, uint32_t ttl_s)
{
    struct told told;

    assert_int_equal(ask(&bench, &told, "a"), 0);
    if (code == 0)
        answer_good(&bench, bench.asked - 1, 1, ttl_s);
    else
        answer_bad(&bench, bench.asked - 1, code);
    assert_int_equal(told.codes[1], code);
    uint64_t answered_ns = bench.now_ns;
    unsigned asked = bench.asked;

    while (ask(&bench, &told, "a") == 1 && bench.now_ns < answered_ns + 10000 * S) {
        assert_int_equal(told.codes[1], code);
        bench.now_ns += S - 1;
        assert_int_equal(ask(&bench, &told, "a"), 1);
        bench.now_ns++;
    }
    if (bench.asked > asked)
        answer_bad(&bench, asked, -ENOMEM);
    return (bench.now_ns - answered_ns) / S;
}

static void test_N16_a_ttl_of_0_is_for_those_who_wait(void **state)
{
    struct told told[3];

    (void) state;
    bench_open(&bench);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask(&bench, &told[i], "a"), 0);
    answer_good(&bench, 0, 1, 0);
    assert_int_equal(told[0].times + told[1].times, 2);
    assert_int_equal(ask(&bench, &told[2], "a"), 0);
    assert_int_equal(bench.asked, 2);
    answer_good(&bench, 1, 1, 0);
    assert_int_equal(told[2].counts[1], 1);
    assert_int_equal(bench_counts(&bench).kept, 0);
    bench_close(&bench);
}

static void test_N17_N18_how_long_an_answer_is_kept(void **state)
{
    static const struct {
        int code;
        uint32_t ttl_s, kept_s;
    } rows[] = {{0, 1, 1},
                {0, 60, 60},
                {0, 3600, 3600},
                {0, 3601, 3600},
                {0, INT32_MAX, 3600},
                {0, UINT32_MAX, 3600},
                {TCPM_ENOTFOUND, 0, 5},
                {-ENODATA, 0, 5},
                {-ETIMEDOUT, 0, 1},
                {TCPM_ESERVFAIL, 0, 1},
                {TCPM_EREFUSED, 0, 1},
                {TCPM_EBADRESP, 0, 1},
                {-ENOMEM, 0, 0},
                {-EMFILE, 0, 0},
                {-EADDRNOTAVAIL, 0, 0}};

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        bench_open(&bench);
        assert_int_equal(seconds_kept(rows[i].code, rows[i].ttl_s), rows[i].kept_s);
        bench_close(&bench);
    }
}

static void configure_ttl(int64_t ttl_s)
{
    tcpm__names_configure(bench.names, &(struct tcpm__names_config){.cache = 100, .ttl_s = ttl_s});
}

static void test_N21_a_ttl_of_the_users_own(void **state)
{
    static const struct {
        int64_t ttl_s;
        int code;
        uint32_t told_s, kept_s;
    } rows[] = {{5, 0, 0, 5},
                {5, 0, 60, 5},
                {7200, 0, 60, 7200},
                {5, TCPM_ENOTFOUND, 0, 5},
                {60, -ETIMEDOUT, 0, 1},
                {-1, 0, 60, 0},
                {-1, TCPM_ENOTFOUND, 0, 0},
                {-1, -ETIMEDOUT, 0, 0},
                {INT64_MAX, 0, 0, 10000},
                {INT64_MAX - 1, 0, 0, 10000},
                {INT64_MAX, -ENODATA, 0, 5}};

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        bench_open(&bench);
        configure_ttl(rows[i].ttl_s);
        assert_int_equal(seconds_kept(rows[i].code, rows[i].told_s), rows[i].kept_s);
        bench_close(&bench);
    }
}

static void test_what_is_kept_is_forgotten_with_its_ttl_and_on_demand(void **state)
{
    struct told told;

    (void) state;
    bench_open(&bench);
    configure_ttl(INT64_MAX);
    ask(&bench, &told, "a");
    answer_good(&bench, 0, 3, 60);
    configure_ttl(INT64_MAX);
    assert_int_equal(ask(&bench, &told, "a"), 1);
    configure_ttl(0);
    assert_int_equal(ask(&bench, &told, "a"), 0);
    answer_good(&bench, 1, 3, 60);
    assert_int_equal(ask(&bench, &told, "a"), 1);
    tcpm__names_clear(bench.names);
    assert_int_equal(bench_counts(&bench).kept, 0);
    assert_int_equal(ask(&bench, &told, "a"), 0);
    bench_close(&bench);
}

static void test_the_answer_wanted_least_lately_goes_first(void **state)
{
    struct told told;
    char name[2] = "a";

    (void) state;
    bench_open(&bench);
    tcpm__names_configure(bench.names, &(struct tcpm__names_config){.cache = 3});
    for (unsigned i = 0; i < 3; i++, name[0]++) {
        ask(&bench, &told, name);
        answer_good(&bench, i, i + 1, 60);
    }
    assert_int_equal(ask(&bench, &told, "a"), 1); /* now b is the oldest */
    ask(&bench, &told, "d");
    answer_good(&bench, 3, 1, 60);
    assert_int_equal(bench_counts(&bench).kept, 3);
    assert_int_equal(ask(&bench, &told, "a"), 1);
    assert_int_equal(ask(&bench, &told, "c"), 1);
    assert_int_equal(told.counts[1], 3);
    assert_int_equal(ask(&bench, &told, "d"), 1);
    assert_int_equal(ask(&bench, &told, "b"), 0);
    bench_close(&bench);
}

static void test_stale_answers_make_way_for_others(void **state)
{
    struct told told;
    char name[16];

    (void) state;
    bench_open(&bench);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "n%u", i);
        ask(&bench, &told, name);
        answer_good(&bench, i, 1 + i % 3, 1);
        bench.now_ns += S / 100;
        assert_true(bench_counts(&bench).kept <= 101);
    }
    uint64_t memory = bench_counts(&bench).memory;

    tcpm__names_clear(bench.names);
    assert_true(bench_counts(&bench).memory < memory - 100 * 100);
    bench_close(&bench);
}

static void test_N13_64_addresses_are_taken(void **state)
{
    struct told told;

    (void) state;
    bench_open(&bench);
    for (unsigned count = 63; count <= 66; count++) {
        unsigned taken = count < 64 ? count : 64;

        ask(&bench, &told, "a");
        answer_good(&bench, bench.asked - 1, count, 60);
        assert_int_equal(told.counts[1], taken);
        assert_int_equal(ask(&bench, &told, "a"), 1);
        assert_int_equal(told.counts[1], taken);
        assert_int_equal(ntohl(told.first.s_addr), INADDR_LOOPBACK);
        tcpm__names_clear(bench.names);
    }
    bench_close(&bench);
}

static void test_backends_and_families_have_answers_of_their_own(void **state)
{
    struct told told;

    (void) state;
    bench_open(&bench);
    ask(&bench, &told, "a");
    answer_good(&bench, 0, 1, 60);
    assert_int_equal(ask_of(&bench, &bench.system, &told, "a", true, TCPM__INET), 0);
    assert_int_equal(ask_of(&bench, &bench.system, &told, "a", true, TCPM__ANY_FAMILY), 0);
    assert_int_equal(ask_both(&bench, &told, "a"), 1);
    assert_int_equal(told.families, TCPM__INET);
    assert_int_equal(bench.asked, 4);
    ASSERT_QUERY(&bench, 2, "a", TCPM__ANY_FAMILY);
    ASSERT_QUERY(&bench, 3, "a", TCPM__INET6);
    bench_close(&bench);
}

/* ---- who waits ---- */

enum { MANY = 10000 };

static void many_ask_for_one_name(int code)
{
    static struct told told[MANY];

    bench_open(&bench);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(ask_both(&bench, &told[i], "a"), 0);
    assert_int_equal(bench.asked, 2);
    ASSERT_QUERY(&bench, 0, "a", TCPM__INET6);
    ASSERT_QUERY(&bench, 1, "a", TCPM__INET);
    for (unsigned i = 0; i < 2; i++)
        code == 0 ? answer_good(&bench, i, 2, 60) : answer_bad(&bench, i, code);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(told[i].times, 2);
        assert_int_equal(told[i].codes[TCPM__INET], code);
        assert_int_equal(told[i].codes[TCPM__INET6], code);
        assert_true(code < 0 || told[i].turns[TCPM__INET] == (unsigned) i);
    }
    assert_int_equal(bench_counts(&bench).queries, 2);
    assert_int_equal(bench_counts(&bench).misses, 2 * MANY);
    bench_close(&bench);
}

static void test_N19_ten_thousand_share_one_query_per_family(void **state)
{
    (void) state;
    many_ask_for_one_name(0);
}

static void test_N20_ten_thousand_share_one_failure(void **state)
{
    (void) state;
    many_ask_for_one_name(TCPM_ENOTFOUND);
    many_ask_for_one_name(-ETIMEDOUT);
}

static void test_N51_an_answer_tells_how_often_it_was_given(void **state)
{
    struct told told;

    (void) state;
    bench_open(&bench);
    ask(&bench, &told, "a");
    answer_good(&bench, 0, 4, 60);
    assert_int_equal(told.turns[1], 0);
    for (unsigned i = 1; i < 400; i++) {
        assert_int_equal(ask(&bench, &told, "a"), 1);
        assert_int_equal(told.turns[1], i);
    }
    assert_int_equal(bench_counts(&bench).hits, 399);
    assert_int_equal(bench_counts(&bench).queries, 1);
    for (unsigned i = 0; i < 3; i++) { /* the system's resolver has its own order */
        ask_of(&bench, &bench.system, &told, "a", true, TCPM__ANY_FAMILY);
        if (i == 0)
            answer_good(&bench, 1, 4, 60);
        assert_int_equal(told.turns[TCPM__ANY_FAMILY], 0);
    }
    bench_close(&bench);
}

static void test_each_family_is_told_when_it_is_known(void **state)
{
    struct told told;

    (void) state;
    bench_open(&bench);
    ask_both(&bench, &told, "a");
    answer_good(&bench, 1, 1, 60);
    assert_int_equal(told.families, TCPM__INET);
    assert_int_equal(tcpm__asker_awaited(told.asker), TCPM__INET6);
    answer_bad(&bench, 0, -ETIMEDOUT);
    assert_int_equal(told.families, TCPM__ANY_FAMILY);
    assert_int_equal(told.codes[TCPM__INET6], -ETIMEDOUT);
    bench_close(&bench);
}

static void test_N40_an_answer_that_nobody_waits_for_is_kept(void **state)
{
    struct told told, other;

    (void) state;
    bench_open(&bench);
    ask_both(&bench, &told, "a");
    tcpm__names_forget(bench.names, told.asker);
    check(&bench);
    answer_good(&bench, 0, 1, 60);
    assert_int_equal(ask_both(&bench, &other, "a"), 1);
    answer_good(&bench, 1, 1, 60);
    assert_int_equal(told.times, 0);
    assert_int_equal(other.times, 2);
    assert_int_equal(ask_both(&bench, &other, "a"), 2);
    assert_int_equal(bench.asked, 2);
    tcpm__names_forget(bench.names, NULL);
    bench_close(&bench);
}

/* ---- failures of our own ---- */

static void test_N55_what_cannot_be_begun_is_a_result_and_not_kept(void **state)
{
    struct told told;

    (void) state;
    bench_open(&bench);
    bench.refusal = -EMFILE;
    assert_int_equal(ask_both(&bench, &told, "a"), -EMFILE);
    bench.refusal = 0;
    assert_int_equal(ask_both(&bench, &told, "a"), 0);
    answer_bad(&bench, 0, -EMFILE);
    answer_good(&bench, 1, 1, 60);
    assert_int_equal(told.codes[TCPM__INET6], -EMFILE);
    bench.refusal = -EMFILE;
    assert_int_equal(ask_both(&bench, &told, "a"),
                     2); /* IPv4 is known: the other one fails alone */
    assert_int_equal(told.codes[TCPM__INET6], -EMFILE);
    assert_int_equal(told.codes[TCPM__INET], 0);
    assert_null(told.asker);
    bench_close(&bench);
}

/* Three names with their candidates, of which one is found in the second domain. */
static void look_up_without_memory(struct bench *any)
{
    static const struct tcpm__resolv_conf conf = {
        .domains = {"x", "y"}, .domain_count = 2, .ndots = 1};
    struct told told[3];
    int results[3];

    tcpm__names_set_search(any->names, &conf);
    results[0] = ask_of(any, &any->ares, &told[0], "a", false, TCPM__ANY_FAMILY);
    results[1] = ask_of(any, &any->ares, &told[1], "a.x", true, TCPM__INET);
    results[2] = ask_of(any, &any->system, &told[2], "a", true, TCPM__ANY_FAMILY);
    for (unsigned i = 0; i < any->asked; i++)
        if (strcmp(any->queries[i]->name, "a.x") == 0)
            answer_bad(any, i, TCPM_ENOTFOUND);
        else
            answer_good(any, i, 7, 60);
    static const unsigned families[] = {TCPM__ANY_FAMILY, TCPM__INET, TCPM__ANY_FAMILY};

    for (int i = 0; i < 3; i++) {
        assert_true(results[i] >= 0 || results[i] == -ENOMEM);
        assert_int_equal(told[i].families, results[i] < 0 ? 0 : families[i]);
        for (unsigned j = 1; j < 4; j++)
            assert_true(told[i].codes[j] == 0 || told[i].codes[j] == TCPM_ENOTFOUND ||
                        told[i].codes[j] == -ENOMEM);
    }
}

static void test_N63_each_allocation_may_fail(void **state)
{
    long calls = 1;

    (void) state;
    for (long left = 0; left < calls; left++)
        for (int for_good = 0; for_good < 2; for_good++) {
            bench_open(&bench);
            bench.scarce.calls = 0;
            bench.scarce.left = left;
            bench.scarce.for_good = for_good;
            look_up_without_memory(&bench);
            if (bench.scarce.calls > calls)
                calls = bench.scarce.calls;
            assert_int_equal(bench_counts(&bench).out, 0);
            bench.scarce.left = -1;
            bench_close(&bench);
        }
    assert_true(calls > 8);
    struct tcpm__names *names;

    scarce_init(&bench.scarce);
    bench.scarce.left = 0;
    assert_int_equal(tcpm__names_create(&bench.scarce.memory, &names), -ENOMEM);
}

static void test_whoever_waits_at_the_end_hears_nothing(void **state)
{
    struct told told[4];

    (void) state;
    bench_open(&bench);
    ask_both(&bench, &told[0], "a");
    ask(&bench, &told[1], "a");
    for (unsigned i = 2; i < 4; i++)
        ask_of(&bench, &bench.system, &told[i], "a", true, i);
    bench_close(&bench);
    for (int i = 0; i < 4; i++)
        assert_int_equal(told[i].times, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N16_a_ttl_of_0_is_for_those_who_wait),
    cmocka_unit_test(test_N17_N18_how_long_an_answer_is_kept),
    cmocka_unit_test(test_N21_a_ttl_of_the_users_own),
    cmocka_unit_test(test_what_is_kept_is_forgotten_with_its_ttl_and_on_demand),
    cmocka_unit_test(test_the_answer_wanted_least_lately_goes_first),
    cmocka_unit_test(test_stale_answers_make_way_for_others),
    cmocka_unit_test(test_N13_64_addresses_are_taken),
    cmocka_unit_test(test_backends_and_families_have_answers_of_their_own),
    cmocka_unit_test(test_N19_ten_thousand_share_one_query_per_family),
    cmocka_unit_test(test_N20_ten_thousand_share_one_failure),
    cmocka_unit_test(test_N51_an_answer_tells_how_often_it_was_given),
    cmocka_unit_test(test_each_family_is_told_when_it_is_known),
    cmocka_unit_test(test_N40_an_answer_that_nobody_waits_for_is_kept),
    cmocka_unit_test(test_N55_what_cannot_be_begun_is_a_result_and_not_kept),
    cmocka_unit_test(test_N63_each_allocation_may_fail),
    cmocka_unit_test(test_whoever_waits_at_the_end_hears_nothing),
};

RUN_TESTS(tests)
