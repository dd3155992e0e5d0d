/* SPDX-License-Identifier: MIT */
/* What name servers can say, or fail to say, and what the backend of c-ares makes of it. */
#include "bed.h"

#include <ares.h>
#include <errno.h>

#include "tcpmulti.h"

enum {
    AT_ONCE_MS = BED_TIMEOUT_MS - 10, /* less than a question waits for its first answer */
    ALL_ROUNDS_MS = 7 * BED_TIMEOUT_MS,
    OTHERS = 500,
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- one server ---- */

/* A question for each family, and the same answer for both. */
struct row {
    const char *name;
    int code;
    size_t count; /* addresses */
};

static void check_row(struct bed *bed, const struct row *row, int family)
{
    struct asked asked;

    bed_look_up(bed, row->name, family, &asked);
    if (asked.code != row->code || asked.count != row->count || asked.lost)
        fail_msg("%s: %s, %zu addresses, %s", row->name, tcpm_error_name(asked.code), asked.count,
                 asked.lost ? "lost" : "not lost");
    assert_true(asked.took_ms < AT_ONCE_MS);
    for (size_t i = 0; i < asked.count; i++) {
        assert_int_equal(asked.addresses[i].any.sa_family, family);
        assert_int_equal(tcpm__address_port(&asked.addresses[i]), 0);
    }
}

static void check_rows(const struct row *rows, size_t count)
{
    struct bed bed;

    bed_open(&bed, 1, NULL);
    for (size_t i = 0; i < count; i++) {
        check_row(&bed, &rows[i], AF_INET);
        check_row(&bed, &rows[i], AF_INET6);
    }
    bed_close(&bed);
}

static void test_N03_N04_N05_N06_what_a_server_says(void **state)
{
    static const struct row rows[] = {
        {"a-1.aaaa-1.test", 0, 1},
        {"a-7.aaaa-7.test", 0, 7},
        {"nx.test", TCPM_ENOTFOUND, 0},
        {"nodata.test", -ENODATA, 0},
        {"servfail.test", TCPM_ESERVFAIL, 0},
        {"refused.test", TCPM_EREFUSED, 0},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

static void test_N08_N09_noise_before_the_answer_counts_for_nothing(void **state)
{
    static const struct row rows[] = {
        {"formerr.test", TCPM_EBADRESP, 0},
        {"notimp.test", TCPM_EBADRESP, 0},
        {"junk-50.a-2.aaaa-2.test", 0, 2},
        {"header-3.a-2.aaaa-2.test", 0, 2},
        {"empty-3.a-2.aaaa-2.test", 0, 2},
        {"badid-50.badname-50.badfrom-50.a-2.aaaa-2.test", 0, 2},
        {"twice.a-1.aaaa-1.test", 0, 1},
        {"a-2.aaaa-2.after-twice.test", 0, 2},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

static void test_N13_N14_N15_long_answers_and_aliases(void **state)
{
    static const struct row rows[] = {
        {"a-2000.aaaa-2000.test", 0, TCPM__MOST_ADDRESSES},
        {"a-64.aaaa-64.test", 0, 64},
        {"cname-8.a-1.aaaa-1.test", 0, 1},
        {"loop.a-1.aaaa-1.test", -ENODATA, 0},
        {"udp-truncate.a-3.aaaa-3.test", 0, 3},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

static void test_N14_N17_the_time_to_live_is_the_least_of_the_chain(void **state)
{
    static const struct {
        const char *name;
        uint32_t ttl_s;
    } rows[] = {
        {"a-3.ttl-60.test", 60},
        {"a-1.ttl-0.test", 0},
        {"cname-8.chainttl-7.a-1.ttl-60.test", 7},
        {"cname-8.chainttl-70.a-1.ttl-60.test", 60},
        {"a-1.ttl-2147483647.test", 2147483647},
        {"a-1.ttl-4294967295.test", ARES_VERSION >= 0x012200 ? 2147483647 : 0},
    };
    struct bed bed;
    struct asked asked;

    (void) state;
    bed_open(&bed, 1, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        bed_look_up(&bed, rows[i].name, AF_INET, &asked);
        assert_int_equal(asked.code, 0);
        assert_int_equal(asked.ttl_s, rows[i].ttl_s);
    }
    bed_close(&bed);
}

static void check_silence(const char *name, size_t questions)
{
    struct bed bed;
    struct asked asked;

    bed_open(&bed, 1, NULL);
    bed_look_up(&bed, name, AF_INET, &asked);
    assert_int_equal(asked.code, -ETIMEDOUT);
    assert_true(asked.lost);
    assert_in_range(asked.took_ms, ALL_ROUNDS_MS, ALL_ROUNDS_MS + 200);
    assert_int_equal(nameserver_count(bed.servers[0], name, 1), questions);
    bed_close(&bed);
}

static void test_N07_N10_silence_is_a_timeout_after_three_rounds(void **state)
{
    (void) state;
    check_silence("silent.test", BED_TRIES);
    check_silence("silent.badid-50.badname-50.badfrom-50.junk-50.test", BED_TRIES);
}

static void test_an_answer_counts_that_comes_in_a_later_round(void **state)
{
    struct bed bed;
    struct asked asked;

    (void) state;
    bed_open(&bed, 1, NULL);
    bed_look_up(&bed, "delay-150.a-1.test", AF_INET, &asked);
    assert_int_equal(asked.code, 0);
    assert_in_range(asked.took_ms, 149, 2 * BED_TIMEOUT_MS - 1);
    assert_true(asked.lost);
    bed_look_up(&bed, "first-silent.a-1.test", AF_INET, &asked);
    assert_int_equal(asked.code, 0);
    assert_in_range(asked.took_ms, BED_TIMEOUT_MS, 2 * BED_TIMEOUT_MS - 1);
    assert_true(asked.lost);
    bed_close(&bed);
}

static void test_nothing_is_told_inside_of_asking(void **state)
{
    static const char *const names[] = {"a..test", "x.onion"};
    static const int codes[] = {TCPM_EBADNAME, TCPM_ENOTFOUND};
    struct bed bed;
    struct asked asked;

    (void) state;
    bed_open(&bed, 1, NULL);
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(bed_ask(&bed, names[i], AF_INET, &asked), 0);
        assert_int_equal(tcpm__ares_due_ns(bed.ares), 0);
        bed_wait(&bed, &asked, 1);
        assert_int_equal(asked.code, codes[i]);
    }
    assert_int_equal(nameserver_count(bed.servers[0], NULL, 0), 0);
    bed_close(&bed);
}

/* ---- TCP ---- */

static void test_N11_a_truncated_answer_is_asked_for_by_tcp(void **state)
{
    struct bed bed;
    struct asked asked;
    struct nameserver_asked first, second;

    (void) state;
    bed_open(&bed, 1, NULL);
    bed_look_up(&bed, "udp-truncate.udp-a-1.tcp-a-2.test", AF_INET, &asked);
    assert_int_equal(asked.code, 0);
    assert_int_equal(asked.count, 2);
    assert_false(asked.lost);
    assert_true(nameserver_asked(bed.servers[0], 0, &first));
    assert_true(nameserver_asked(bed.servers[0], 1, &second));
    assert_false(first.tcp);
    assert_true(second.tcp);
    assert_int_equal(nameserver_count(bed.servers[0], NULL, 0), 2);
    bed_close(&bed);
}

/* The answers of others come while this question waits for its own by TCP, or has no TCP at all. */
static void check_others(const char *name, int no_tcp)
{
    static struct asked others[OTHERS];
    static char names[OTHERS][32];
    struct bed bed;
    struct asked asked;

    bed_open(&bed, 1, NULL);
    bed_stop(&bed, 0);
    bed_start(&bed, 0, no_tcp);
    bed_configure(&bed, 0, 1, 3 * BED_TIMEOUT_MS);
    for (unsigned i = 0; i < OTHERS; i++) {
        snprintf(names[i], sizeof names[i], "n%u.delay-100.a-1.test", i);
        assert_int_equal(bed_ask(&bed, names[i], AF_INET, &others[i]), 0);
        if (i == OTHERS / 2)
            assert_int_equal(bed_ask(&bed, name, AF_INET, &asked), 0);
    }
    bed_wait(&bed, others, OTHERS);
    for (unsigned i = 0; i < OTHERS; i++) {
        assert_int_equal(others[i].code, 0);
        assert_false(others[i].lost);
    }
    bed_wait(&bed, &asked, 1);
    assert_int_equal(asked.code, -ETIMEDOUT);
    assert_true(asked.lost);
    bed_close(&bed);
}

static void test_N12_a_question_without_tcp_fails_alone(void **state)
{
    (void) state;
    check_others("truncate.tcp-silent.test", 0);
    check_others("truncate.tcp-hangup.test", 0);
    check_others("truncate.test", 1);
}

/* ---- several servers ---- */

static void test_N22_the_second_server_is_asked(void **state)
{
    static const struct {
        const char *name;
        uint64_t from_ms, to_ms;
        bool lost;
    } rows[] = {
        {"s1-refused.s2-a-1.test", 0, AT_ONCE_MS, false},
        {"s1-servfail.s2-a-1.test", 0, AT_ONCE_MS, false},
        {"s1-notimp.s2-a-1.test", 0, AT_ONCE_MS, false},
        {"s1-silent.s2-a-1.test", BED_TIMEOUT_MS, BED_TIMEOUT_MS + AT_ONCE_MS, true},
    };
    struct asked asked;

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bed bed;

        bed_open(&bed, 2, NULL);
        bed_look_up(&bed, rows[i].name, AF_INET, &asked);
        assert_int_equal(asked.code, 0);
        assert_in_range(asked.took_ms, rows[i].from_ms, rows[i].to_ms);
        assert_int_equal(asked.lost, rows[i].lost);
        bed_close(&bed);
    }
}

static void test_N04_N05_of_several_noes_the_most_temporary_counts(void **state)
{
    static const struct {
        const char *name;
        int code;
    } rows[] = {
        {"s1-servfail.s2-refused.test", TCPM_ESERVFAIL},
        {"s1-refused.s2-servfail.test", TCPM_ESERVFAIL},
        {"s1-formerr.s2-refused.test", TCPM_EREFUSED},
        {"s1-nx.s2-a-1.test", TCPM_ENOTFOUND},
        {"s1-nodata.s2-a-1.test", -ENODATA},
        {"s1-servfail.s2-silent.test", -ETIMEDOUT},
    };
    struct bed bed;
    struct asked asked;

    (void) state;
    bed_open(&bed, 2, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        bed_look_up(&bed, rows[i].name, AF_INET, &asked);
        if (asked.code != rows[i].code)
            fail_msg("%s: %s", rows[i].name, tcpm_error_name(asked.code));
    }
    assert_int_equal(nameserver_count(bed.servers[0], "s1-servfail.s2-silent.test", 0), 1);
    assert_int_equal(nameserver_count(bed.servers[1], "s1-servfail.s2-silent.test", 0), BED_TRIES);
    bed_close(&bed);
}

static void test_a_server_that_is_silent_is_not_asked_first_again(void **state)
{
    struct bed bed;
    struct asked asked;

    (void) state;
    bed_open(&bed, 2, NULL);
    bed_look_up(&bed, "s1-silent.s2-a-1.test", AF_INET, &asked);
    bed_look_up(&bed, "a-1.next.test", AF_INET, &asked);
    assert_int_equal(asked.code, 0);
    assert_int_equal(nameserver_count(bed.servers[0], "a-1.next.test", 0), 0);
    assert_int_equal(nameserver_count(bed.servers[1], "a-1.next.test", 0), 1);
    bed_close(&bed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N03_N04_N05_N06_what_a_server_says),
    cmocka_unit_test(test_N08_N09_noise_before_the_answer_counts_for_nothing),
    cmocka_unit_test(test_N13_N14_N15_long_answers_and_aliases),
    cmocka_unit_test(test_N14_N17_the_time_to_live_is_the_least_of_the_chain),
    cmocka_unit_test(test_N07_N10_silence_is_a_timeout_after_three_rounds),
    cmocka_unit_test(test_an_answer_counts_that_comes_in_a_later_round),
    cmocka_unit_test(test_nothing_is_told_inside_of_asking),
    cmocka_unit_test(test_N11_a_truncated_answer_is_asked_for_by_tcp),
    cmocka_unit_test(test_N12_a_question_without_tcp_fails_alone),
    cmocka_unit_test(test_N22_the_second_server_is_asked),
    cmocka_unit_test(test_N04_N05_of_several_noes_the_most_temporary_counts),
    cmocka_unit_test(test_a_server_that_is_silent_is_not_asked_first_again),
};

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
