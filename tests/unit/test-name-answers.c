/* SPDX-License-Identifier: MIT */
/* Names from inside of an answer: who is told may ask and forget. */
#include "names_bench.h"

static struct bench bench;

static struct told row[4];

/* The first one of all who wait forgets the others, asks for the same name, and forgets itself. */
static void on_told_first(void *owner, const struct tcpm__answer *answer)
{
    struct told *told = owner;

    note_told(told, answer);
    tcpm__names_forget(bench.names, row[1].asker);
    tcpm__names_forget(bench.names, row[2].asker);
    ask_both(&bench, &row[3], "a");
    tcpm__names_forget(bench.names, told->asker);
}

static void asks_and_forgets_while_told(uint32_t ttl_s)
{
    struct tcpm__answer known[2];
    struct tcpm__ask first = {.name = "a",
                              .absolute = true,
                              .families = TCPM__ANY_FAMILY,
                              .backend = &bench.ares.backend,
                              .done = on_told_first,
                              .owner = &row[0]};

    bench_open(&bench);
    memset(row, 0, sizeof row);
    assert_int_equal(tcpm__names_ask(bench.names, &first, bench.now_ns, known, &row[0].asker), 0);
    ask_both(&bench, &row[1], "a");
    ask(&bench, &row[2], "a");
    answer_good(&bench, 1, 5, ttl_s);
    assert_int_equal(row[0].times, 1);
    assert_int_equal(row[1].times + row[2].times, 0);
    assert_int_equal(row[3].times, ttl_s > 0);
    assert_int_equal(bench.asked, ttl_s > 0 ? 2 : 3);
    answer_good(&bench, 0, 1, ttl_s);
    if (ttl_s == 0)
        answer_good(&bench, 2, 1, 0);
    assert_int_equal(row[0].times, 1);
    assert_int_equal(row[3].families, TCPM__ANY_FAMILY);
    bench_close(&bench);
}

static void test_who_is_told_may_ask_and_forget(void **state)
{
    (void) state;
    asks_and_forgets_while_told(60);
    asks_and_forgets_while_told(0);
}

static void test_an_asker_may_be_forgotten_in_its_last_answer(void **state)
{
    struct tcpm__answer known[2];

    (void) state;
    bench_open(&bench);
    memset(row, 0, sizeof row);
    tcpm__names_ask(bench.names,
                    &(struct tcpm__ask){.name = "a",
                                        .absolute = true,
                                        .families = TCPM__INET,
                                        .backend = &bench.ares.backend,
                                        .done = on_told_first,
                                        .owner = &row[0]},
                    bench.now_ns, known, &row[0].asker);
    answer_bad(&bench, 0, TCPM_ESERVFAIL);
    assert_int_equal(row[0].times, 1);
    bench_close(&bench);
}

/* The first of two answers is also the last one for who forgets in it. */
static void on_told_and_forget(void *owner, const struct tcpm__answer *answer)
{
    struct told *told = owner;

    note_told(told, answer);
    tcpm__names_forget(bench.names, told->asker);
}

static void test_who_forgets_in_the_first_of_two_answers_hears_no_second(void **state)
{
    static const struct tcpm__resolv_conf conf = {
        .domains = {"x.test"}, .domain_count = 1, .ndots = 1};
    struct tcpm__answer known[2];
    struct told told = {.asker = NULL};

    (void) state;
    bench_open(&bench);
    tcpm__names_set_search(bench.names, &conf);
    tcpm__names_ask(bench.names,
                    &(struct tcpm__ask){.name = "db",
                                        .families = TCPM__ANY_FAMILY,
                                        .backend = &bench.ares.backend,
                                        .done = on_told_and_forget,
                                        .owner = &told},
                    bench.now_ns, known, &told.asker);
    answer_bad(&bench, 0, -ENODATA);
    assert_int_equal(told.times, 0);
    answer_good(&bench, 1, 1, 60);
    assert_int_equal(told.times, 1);
    assert_int_equal(told.counts[TCPM__INET], 1);
    bench_close(&bench);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_who_is_told_may_ask_and_forget),
    cmocka_unit_test(test_an_asker_may_be_forgotten_in_its_last_answer),
    cmocka_unit_test(test_who_forgets_in_the_first_of_two_answers_hears_no_second),
};

RUN_TESTS(tests)
