/* SPDX-License-Identifier: MIT */
/* Queries that wait: for a place, or to be asked again. */
#include "names_bench.h"

static struct bench bench;

/* ---- backends that ask for both families ---- */

static void test_four_calls_are_out_and_the_others_wait(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g"};
    struct told told[7], again;

    (void) state;
    bench_open(&bench);
    for (int i = 0; i < 7; i++) {
        ask_of(&bench, &bench.system, &told[i], names[i], true, TCPM__ANY_FAMILY);
        assert_int_equal(tcpm__asker_has_begun(told[i].asker), i < 4);
    }
    ask_of(&bench, &bench.system, &again, "e", true, TCPM__ANY_FAMILY);
    assert_int_equal(bench.asked, 4);
    assert_int_equal(bench_counts(&bench).waiting, 3);
    tcpm__names_forget(bench.names, told[5].asker);
    assert_int_equal(bench_counts(&bench).waiting, 2);
    assert_int_equal(tcpm__names_due_ns(bench.names), UINT64_MAX);
    answer_bad(&bench, 2, -ETIMEDOUT);
    ASSERT_QUERY(&bench, 4, "e", TCPM__ANY_FAMILY);
    assert_int_equal(told[4].begun + again.begun, 2);
    assert_true(tcpm__asker_has_begun(told[4].asker));
    answer_good(&bench, 0, 2, 60);
    ASSERT_QUERY(&bench, 5, "g", TCPM__ANY_FAMILY);
    assert_int_equal(told[0].families, TCPM__ANY_FAMILY);
    assert_int_equal(told[0].begun, 0);
    assert_int_equal(told[6].begun, 1);
    bench_close(&bench);
}

static void test_a_call_that_cannot_be_begun_fails_alone(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    struct told told[6];

    (void) state;
    bench_open(&bench);
    for (int i = 0; i < 6; i++)
        ask_of(&bench, &bench.system, &told[i], names[i], true, TCPM__ANY_FAMILY);
    bench.refusal = -EAGAIN;
    answer_good(&bench, 0, 1, 60);
    assert_int_equal(told[4].codes[3], -EAGAIN);
    assert_int_equal(told[5].codes[3], -EAGAIN);
    assert_int_equal(told[4].begun, 0);
    assert_int_equal(ask_of(&bench, &bench.system, &told[4], "e", true, 3), -EAGAIN);
    bench.refusal = 0;
    assert_int_equal(ask_of(&bench, &bench.system, &told[4], "e", true, 3), 0);
    answer_good(&bench, 4, 1, 60);
    assert_int_equal(told[4].times, 1);
    bench_close(&bench);
}

/* ---- order ---- */

static struct told later;
static struct bench_backend *asked_later; /* by on_told_and_ask */

static void on_told_and_ask(void *owner, const struct tcpm__answer *answer)
{
    note_told(owner, answer);
    ask_of(&bench, asked_later, &later, "later", true, TCPM__INET);
}

/* The place that an answer makes free is for the query that waits, not for one that is asked for
   from inside of the answer. */
static void queries_begin_in_the_order_of_asking(struct bench_backend *backend, unsigned places)
{
    struct tcpm__answer known[2];
    struct told told[17] = {{.asker = NULL}};
    char name[2] = "b";

    bench_open(&bench);
    asked_later = backend;
    tcpm__names_configure(bench.names, &(struct tcpm__names_config){.window = 8, .cache = 100});
    tcpm__names_ask(bench.names,
                    &(struct tcpm__ask){.name = "a",
                                        .absolute = true,
                                        .families = TCPM__INET,
                                        .backend = &backend->backend,
                                        .done = on_told_and_ask,
                                        .owner = &told[0]},
                    bench.now_ns, known, &told[0].asker);
    for (unsigned i = 1; i < places; i++, name[0]++)
        ask_of(&bench, backend, &told[i], name, true, TCPM__INET);
    assert_int_equal(bench.asked, places);
    ask_of(&bench, backend, &told[places], "waiting", true, TCPM__INET);
    answer_good(&bench, 0, 1, 60);
    ASSERT_QUERY(&bench, places, "waiting", TCPM__INET);
    assert_int_equal(bench.asked, places + 1);
    answer_good(&bench, 1, 1, 60);
    ASSERT_QUERY(&bench, places + 1, "later", TCPM__INET);
    bench_close(&bench);
}

static void test_queries_begin_in_the_order_of_asking(void **state)
{
    (void) state;
    queries_begin_in_the_order_of_asking(&bench.system, 4);
    queries_begin_in_the_order_of_asking(&bench.ares, 16);
}

/* ---- queries that are asked again ---- */

enum { OTHERS = 40 /* that are out meanwhile */ };

static unsigned others_answered;

static void ask_others(void)
{
    static struct told told[OTHERS];

    others_answered = 0;
    for (unsigned i = 0; i < OTHERS; i++) {
        char name[16];

        snprintf(name, sizeof name, "other%u", i);
        ask(&bench, &told[i], name);
    }
}

/* The query of "a" ends with this code, as often as it is asked for. Another one ends meanwhile, as
   the window has no more places than are taken. Each time the query comes again a quarter of a
   second later than the last time. The number of tries. */
static unsigned count_tries(struct told *told, int code)
{
    unsigned tries = 1;

    assert_int_equal(ask(&bench, told, "a"), 0);
    for (;; tries++) {
        answer_bad(&bench, bench.asked - 1, code);
        if (told->times > 0)
            return tries;
        uint64_t due_ns = bench.now_ns + tries * 250 * MS;

        assert_int_equal(tcpm__names_due_ns(bench.names), UINT64_MAX);
        answer_good(&bench, others_answered++, 1, 60);
        assert_int_equal(tcpm__names_due_ns(bench.names), due_ns);
        assert_int_equal(bench_counts(&bench).waiting, 1);
        bench.now_ns = due_ns - 1;
        tcpm__names_tick(bench.names, bench.now_ns);
        assert_null(bench.queries[bench.asked - 1]);
        bench.now_ns = due_ns;
        tcpm__names_tick(bench.names, bench.now_ns);
        ASSERT_QUERY(&bench, bench.asked - 1, "a", TCPM__INET);
        check(&bench);
    }
}

static void test_what_is_refused_among_many_is_asked_again_5_times(void **state)
{
    struct told told;

    (void) state;
    bench_open(&bench);
    ask_others();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(count_tries(&told, TCPM_EREFUSED), 6);
        assert_int_equal(told.codes[TCPM__INET], TCPM_EREFUSED);
        assert_int_equal(ask(&bench, &told, "a"), 1); /* kept for 1 s */
        answer_good(&bench, others_answered++, 1, 60);
        bench.now_ns += S;
    }
    assert_int_equal(bench_counts(&bench).refused, 12);
    bench_close(&bench);
}

static void test_N05_what_is_refused_alone_is_not_asked_again(void **state)
{
    struct told told;

    (void) state;
    bench_open(&bench);
    assert_int_equal(count_tries(&told, TCPM_EREFUSED), 1);
    bench_close(&bench);
}

/* Without an answer of any server there is no reason to ask again, however many are silent. */
static void test_N07_what_is_silent_among_others_is_not_asked_again(void **state)
{
    struct told told;

    (void) state;
    bench_open(&bench);
    ask_others();
    assert_int_equal(count_tries(&told, -ETIMEDOUT), 1);
    for (unsigned i = 0; i < OTHERS; i++)
        answer_bad(&bench, i, -ETIMEDOUT);
    assert_int_equal(bench_counts(&bench).lost, OTHERS + 1);
    assert_int_equal(bench_counts(&bench).waiting, 0);
    bench_close(&bench);
}

static void test_what_nobody_wants_any_more_is_not_asked_again(void **state)
{
    struct told told;

    (void) state;
    for (int when = 0; when < 2; when++) {
        bench_open(&bench);
        ask_others();
        ask(&bench, &told, "a");
        if (when == 0)
            tcpm__names_forget(bench.names, told.asker);
        answer_bad(&bench, OTHERS, TCPM_EREFUSED);
        if (when == 1)
            tcpm__names_forget(bench.names, told.asker);
        assert_int_equal(bench_counts(&bench).waiting, 0);
        assert_int_equal(tcpm__names_due_ns(bench.names), UINT64_MAX);
        assert_int_equal(ask(&bench, &told, "a"), 0); /* nor is the refusal kept */
        bench_close(&bench);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_four_calls_are_out_and_the_others_wait),
    cmocka_unit_test(test_a_call_that_cannot_be_begun_fails_alone),
    cmocka_unit_test(test_queries_begin_in_the_order_of_asking),
    cmocka_unit_test(test_what_is_refused_among_many_is_asked_again_5_times),
    cmocka_unit_test(test_N05_what_is_refused_alone_is_not_asked_again),
    cmocka_unit_test(test_N07_what_is_silent_among_others_is_not_asked_again),
    cmocka_unit_test(test_what_nobody_wants_any_more_is_not_asked_again),
};

RUN_TESTS(tests)
