/* SPDX-License-Identifier: MIT */
/* The search list: which candidates a short name has, and how far askers go through them. */
#include "names_bench.h"

#include "transport/name_search.h"

static struct bench bench;

static const struct tcpm__resolv_conf two = {
    .domains = {"x.test", "y.test"}, .domain_count = 2, .ndots = 2};

static void set_search(const struct tcpm__resolv_conf *conf)
{
    tcpm__names_set_search(bench.names, conf);
}

/* Both families of a name that is not absolute. */
static int search(struct told *told, const char *name)
{
    return ask_of(&bench, &bench.ares, told, name, false, TCPM__ANY_FAMILY);
}

static void answer_pair(unsigned first, int code)
{
    answer_bad(&bench, first, code);
    answer_bad(&bench, first + 1, code);
}

/* ---- the list ---- */

static void assert_candidates(const struct tcpm__resolv_conf *conf, const char *name,
                              bool only_as_is, const char *expected)
{
    struct tcpm__name_search list;
    struct tcpm__candidates candidates = {.name = name, .only_as_is = only_as_is};
    char room[TCPM__HOST_NAME_SIZE], all[1024] = "";

    tcpm__name_search_init(&list);
    tcpm__name_search_set(&list, conf);
    for (const char *next; (next = tcpm__name_search_next(&list, &candidates, room)) != NULL;)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s ", next);
    assert_string_equal(all, expected);
    assert_null(tcpm__name_search_next(&list, &candidates, room));
}

static void test_N29_N32_the_candidates_of_a_name(void **state)
{
    static const struct tcpm__resolv_conf none = {.ndots = 1},
                                          zero = {.domains = {"x"}, .domain_count = 1},
                                          empty = {.domains = {"", "x"}, .domain_count = 2};

    (void) state;
    assert_candidates(&two, "db", false, "db.x.test db.y.test db ");
    assert_candidates(&two, "a.db", false, "a.db.x.test a.db.y.test a.db ");
    assert_candidates(&two, "a.b.db", false, "a.b.db a.b.db.x.test a.b.db.y.test ");
    assert_candidates(&two, "db", true, "db ");
    assert_candidates(&none, "db", false, "db ");
    assert_candidates(&none, "a.db", false, "a.db ");
    assert_candidates(&zero, "db", false, "db db.x ");
    assert_candidates(&empty, "db", false, "db db.x ");
}

static void test_a_candidate_has_at_most_253_bytes(void **state)
{
    char name[256], expected[1024];

    (void) state;
    for (int length = 244; length <= 253; length++) {
        memset(name, 'a', sizeof name);
        name[length] = '\0';
        snprintf(expected, sizeof expected, length <= 246 ? "%s.x.test %s.y.test %s " : "%s ", name,
                 name, name);
        assert_candidates(&two, name, false, expected);
    }
}

/* ---- askers ---- */

static void test_N29_both_families_of_a_candidate_before_the_next(void **state)
{
    struct told told;

    (void) state;
    bench_open(&bench);
    set_search(&two);
    search(&told, "db");
    ASSERT_QUERY(&bench, 0, "db.x.test", TCPM__INET6);
    ASSERT_QUERY(&bench, 1, "db.x.test", TCPM__INET);
    answer_bad(&bench, 1, TCPM_ENOTFOUND);
    assert_int_equal(bench.asked, 2);
    answer_bad(&bench, 0, TCPM_ENOTFOUND);
    assert_int_equal(bench.asked, 4);
    ASSERT_QUERY(&bench, 2, "db.y.test", TCPM__INET6);
    ASSERT_QUERY(&bench, 3, "db.y.test", TCPM__INET);
    answer_pair(2, -ENODATA);
    ASSERT_QUERY(&bench, 4, "db", TCPM__INET6);
    ASSERT_QUERY(&bench, 5, "db", TCPM__INET);
    assert_int_equal(told.times, 0);
    answer_bad(&bench, 4, TCPM_ENOTFOUND);
    assert_int_equal(told.codes[TCPM__INET6], -ENODATA); /* db.y.test exists */
    answer_good(&bench, 5, 1, 60);
    assert_int_equal(told.codes[TCPM__INET], 0);
    bench_close(&bench);
}

static void test_N30_one_family_is_enough(void **state)
{
    struct told told;

    (void) state;
    for (unsigned first = 0; first < 2; first++) {
        bench_open(&bench);
        set_search(&two);
        search(&told, "db");
        if (first == 0)
            answer_bad(&bench, 0, -ENODATA); /* AAAA */
        answer_good(&bench, 1, 1, 60);
        assert_int_equal(told.times, first == 0 ? 2 : 1);
        if (first == 1)
            answer_bad(&bench, 0, -ENODATA);
        assert_int_equal(told.codes[TCPM__INET6], -ENODATA);
        assert_int_equal(told.counts[TCPM__INET], 1);
        assert_int_equal(bench.asked, 2);
        bench_close(&bench);
    }
}

static void test_N31_a_candidate_that_fails_may_exist(void **state)
{
    static const int codes[] = {-ETIMEDOUT, TCPM_ESERVFAIL, TCPM_EREFUSED, TCPM_EBADRESP, -ENOMEM};
    struct told told;

    (void) state;
    for (size_t i = 0; i < COUNT(codes); i++)
        for (unsigned order = 0; order < 2; order++) {
            bench_open(&bench);
            set_search(&two);
            search(&told, "db");
            answer_bad(&bench, order, codes[i]);
            answer_bad(&bench, 1 - order, TCPM_ENOTFOUND);
            assert_int_equal(told.families, TCPM__ANY_FAMILY);
            assert_int_equal(told.codes[order == 0 ? TCPM__INET6 : TCPM__INET], codes[i]);
            assert_int_equal(told.codes[order == 0 ? TCPM__INET : TCPM__INET6], TCPM_ENOTFOUND);
            assert_int_equal(bench.asked, 2);
            bench_close(&bench);
        }
}

static void test_what_no_candidate_has(void **state)
{
    struct told told;

    (void) state;
    for (unsigned has_data = 0; has_data < 2; has_data++) {
        bench_open(&bench);
        set_search(&two);
        search(&told, "db");
        for (unsigned i = 0; i < 3; i++)
            answer_pair(2 * i, i == 0 && has_data ? -ENODATA : TCPM_ENOTFOUND);
        assert_int_equal(told.times, 2);
        assert_int_equal(told.codes[TCPM__INET], has_data ? -ENODATA : TCPM_ENOTFOUND);
        assert_int_equal(told.codes[TCPM__INET6], has_data ? -ENODATA : TCPM_ENOTFOUND);
        /* All of it is known now. */
        assert_int_equal(search(&told, "db"), 2);
        assert_int_equal(told.codes[TCPM__INET], has_data ? -ENODATA : TCPM_ENOTFOUND);
        assert_int_equal(bench.asked, 6);
        bench_close(&bench);
    }
}

static void test_known_candidates_are_not_asked_again(void **state)
{
    struct told told, other;

    (void) state;
    bench_open(&bench);
    set_search(&two);
    ask_both(&bench, &told, "db.x.test");
    answer_pair(0, TCPM_ENOTFOUND);
    ask(&bench, &told, "db.y.test");
    answer_bad(&bench, 2, TCPM_ENOTFOUND);
    assert_int_equal(search(&told, "db"), 0);
    assert_int_equal(bench.asked, 4);
    ASSERT_QUERY(&bench, 3, "db.y.test", TCPM__INET6);
    assert_int_equal(search(&other, "db"), 0);
    assert_int_equal(bench.asked, 4);
    answer_good(&bench, 3, 1, 60);
    assert_int_equal(told.codes[TCPM__INET], TCPM_ENOTFOUND);
    assert_int_equal(told.codes[TCPM__INET6], 0);
    assert_int_equal(other.times, 2);
    bench_close(&bench);
}

static void test_a_call_goes_through_the_candidates_too(void **state)
{
    struct told told;

    (void) state;
    bench_open(&bench);
    set_search(&two);
    ask_of(&bench, &bench.system, &told, "db", false, TCPM__ANY_FAMILY);
    answer_bad(&bench, 0, TCPM_ENOTFOUND);
    ASSERT_QUERY(&bench, 1, "db.y.test", TCPM__ANY_FAMILY);
    answer_good(&bench, 1, 3, 60);
    assert_int_equal(told.counts[TCPM__ANY_FAMILY], 3);
    bench_close(&bench);
}

/* Once time counts for an asker, it counts, though the next candidate waits for a place again. */
static void test_a_call_has_begun_once(void **state)
{
    struct told others[8], told;
    char name[2] = "a";

    (void) state;
    bench_open(&bench);
    set_search(&two);
    for (int i = 0; i < 4; i++, name[0]++)
        ask_of(&bench, &bench.system, &others[i], name, true, TCPM__INET);
    ask_of(&bench, &bench.system, &told, "db", false, TCPM__INET);
    for (int i = 4; i < 8; i++, name[0]++)
        ask_of(&bench, &bench.system, &others[i], name, true, TCPM__INET);
    assert_false(tcpm__asker_has_begun(told.asker));
    for (unsigned i = 0; i < 4; i++)
        answer_good(&bench, i, 1, 60);
    assert_int_equal(told.begun, 1);
    ASSERT_QUERY(&bench, 4, "db.x.test", TCPM__INET);
    answer_bad(&bench, 4, TCPM_ENOTFOUND); /* its next candidate waits behind the last other */
    assert_int_equal(bench_counts(&bench).waiting, 1);
    assert_true(tcpm__asker_has_begun(told.asker));
    answer_good(&bench, 5, 1, 60);
    ASSERT_QUERY(&bench, 9, "db.y.test", TCPM__INET);
    assert_int_equal(told.begun, 1);
    bench_close(&bench);
}

static void test_without_search_a_name_is_asked_as_it_is(void **state)
{
    struct told told;

    (void) state;
    bench_open(&bench);
    set_search(&two);
    tcpm__names_configure(bench.names, &(struct tcpm__names_config){.cache = 10});
    search(&told, "db");
    ASSERT_QUERY(&bench, 0, "db", TCPM__INET6);
    answer_pair(0, TCPM_ENOTFOUND);
    assert_int_equal(told.times, 2);
    bench_close(&bench);
}

/* A list that is replaced meanwhile: who is on the way tries the new list's further domains, and
   the name as it is in any case. */
static void test_N23_the_list_is_replaced_on_the_way(void **state)
{
    static const struct tcpm__resolv_conf none = {.ndots = 1}, other = {.domains = {"a", "b"},
                                                                        .domain_count = 2,
                                                                        .ndots = 0};
    struct told told;

    (void) state;
    bench_open(&bench);
    set_search(&two);
    search(&told, "db");
    answer_bad(&bench, 0, TCPM_ENOTFOUND);
    set_search(&none);
    answer_bad(&bench, 1, TCPM_ENOTFOUND);
    ASSERT_QUERY(&bench, 2, "db", TCPM__INET6);
    set_search(&other);
    answer_pair(2, TCPM_ENOTFOUND);
    ASSERT_QUERY(&bench, 4, "db.b", TCPM__INET6);
    answer_bad(&bench, 4, TCPM_ENOTFOUND);
    assert_int_equal(told.times, 1);
    answer_bad(&bench, 5, TCPM_ENOTFOUND);
    assert_int_equal(told.times, 2);
    bench_close(&bench);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N29_N32_the_candidates_of_a_name),
    cmocka_unit_test(test_a_candidate_has_at_most_253_bytes),
    cmocka_unit_test(test_N29_both_families_of_a_candidate_before_the_next),
    cmocka_unit_test(test_N30_one_family_is_enough),
    cmocka_unit_test(test_N31_a_candidate_that_fails_may_exist),
    cmocka_unit_test(test_what_no_candidate_has),
    cmocka_unit_test(test_known_candidates_are_not_asked_again),
    cmocka_unit_test(test_a_call_goes_through_the_candidates_too),
    cmocka_unit_test(test_a_call_has_begun_once),
    cmocka_unit_test(test_without_search_a_name_is_asked_as_it_is),
    cmocka_unit_test(test_N23_the_list_is_replaced_on_the_way),
};

RUN_TESTS(tests)
