/* SPDX-License-Identifier: MIT */
/* The pace in made-up time: never too many, and in the long run exactly so many. */
#include "support.h"

#include "base/pace.h"

#define SECOND UINT64_C(1000000000)
#define START  (5 * SECOND) /* of a clock that has run for a while */

/* Makes so many attempts, each at once when it is allowed or late by up to late_ns; gives the time
   that they took. */
static uint64_t time_of(uint64_t interval_ns, unsigned attempts, uint64_t late_ns)
{
    struct randomness random = {7};
    struct tcpm__pace pace;
    uint64_t now = START;

    tcpm__pace_init(&pace, interval_ns, now);
    for (unsigned i = 0; i < attempts; i++) {
        if (pace.next_ns > now)
            now = pace.next_ns + (late_ns > 0 ? random_below(&random, late_ns) : 0);
        assert_true(tcpm__pace_allows(&pace, now));
        tcpm__pace_take(&pace, now);
    }
    return now - START;
}

static void test_rates_are_exact_also_when_each_attempt_is_late(void **state)
{
    static const uint64_t rates[] = {1, 3, 10, 11, 100, 1000, 100000};

    (void) state;
    for (size_t i = 0; i < COUNT(rates); i++) {
        uint64_t interval_ns = SECOND / rates[i];
        unsigned attempts = (unsigned) rates[i] * 20 + 1;
        uint64_t expected = interval_ns * (attempts - 1);
        assert_int_equal(time_of(interval_ns, attempts, 0), expected);
        assert_in_range(time_of(interval_ns, attempts, 5000000), expected, expected + 5000000);
    }
    assert_int_equal(time_of(10 * SECOND, 4, 0), 30 * SECOND); /* one in ten seconds */
}

/* So many attempts as are allowed at this moment. */
static unsigned take_all(struct tcpm__pace *pace, uint64_t now)
{
    unsigned taken = 0;

    for (; tcpm__pace_allows(pace, now); taken++)
        tcpm__pace_take(pace, now);
    return taken;
}

static void test_a_rest_saves_up_a_tenth_of_a_second(void **state)
{
    static const struct {
        uint64_t rate;
        unsigned at_once;
    } rows[] = {{1, 1}, {10, 1}, {20, 2}, {100, 10}, {1000, 100}};
    struct tcpm__pace pace;

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        tcpm__pace_init(&pace, SECOND / rows[i].rate, START);
        assert_int_equal(take_all(&pace, START), 1);
        assert_int_equal(take_all(&pace, START + 60 * SECOND), rows[i].at_once);
    }
}

static void test_what_is_given_back_may_be_taken_again(void **state)
{
    struct tcpm__pace pace;

    (void) state;
    tcpm__pace_init(&pace, 10 * SECOND, START);
    for (int i = 0; i < 5; i++) {
        assert_true(tcpm__pace_allows(&pace, START));
        tcpm__pace_take(&pace, START);
        assert_false(tcpm__pace_allows(&pace, START));
        tcpm__pace_give(&pace);
    }
    tcpm__pace_take(&pace, START);
    assert_false(tcpm__pace_allows(&pace, START + 10 * SECOND - 1));
    assert_true(tcpm__pace_allows(&pace, START + 10 * SECOND));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_rates_are_exact_also_when_each_attempt_is_late),
    cmocka_unit_test(test_a_rest_saves_up_a_tenth_of_a_second),
    cmocka_unit_test(test_what_is_given_back_may_be_taken_again),
};

RUN_TESTS(tests)
