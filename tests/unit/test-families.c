/* SPDX-License-Identifier: MIT */
/* Which families of addresses a host has, by the list of its IPv6 addresses (REACH N47). */
#include "support.h"

#include <string.h>

#include "transport/families.h"

#define LOOPBACK "00000000000000000000000000000001 01 80 10 80       lo\n"
#define GLOBAL   "fd000000000000000000000000000002 04 40 00 82     eth0\n"
#define LINK     "fe8000000000000000fc00fffe000001 1a4 40 20 80     eth0\n"

struct row {
    const char *text;
    bool has_inet6;
    size_t used;
};

static void test_N47_an_address_beyond_loopback_counts(void **state)
{
    static const struct row rows[] = {
        {"", false, 0},
        {LOOPBACK, false, sizeof LOOPBACK - 1},
        {LOOPBACK LOOPBACK, false, 2 * sizeof LOOPBACK - 2},
        {GLOBAL LOOPBACK, true, sizeof GLOBAL - 1},
        {LOOPBACK LINK, true, sizeof LOOPBACK LINK - 1},
        {LOOPBACK "fd00", false, sizeof LOOPBACK - 1},
        {"junk\n\n   \n", false, 10},
        {"a b c 1\n", false, 8},
        {"no end of a line", false, 0},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t used = 99;

        if (tcpm__families_scan(rows[i].text, strlen(rows[i].text), &used) != rows[i].has_inet6 ||
            used != rows[i].used)
            fail_msg("row %zu: used %zu", i, used);
    }
}

/* Cut anywhere, nothing but whole lines is looked at, and nothing behind the end. */
static void test_N47_a_list_may_be_cut_anywhere(void **state)
{
    static const char text[] = LOOPBACK LINK;
    char copy[sizeof text];
    size_t used;

    (void) state;
    for (size_t length = 0; length < sizeof text; length++) {
        memset(copy, '\n', sizeof copy);
        memcpy(copy, text, length);
        bool found = tcpm__families_scan(copy, length, &used);
        assert_int_equal(found, length == sizeof text - 1);
        assert_true(used <= length && (used == 0 || copy[used - 1] == '\n'));
    }
}

static void test_N47_the_system_is_asked_once_in_a_second(void **state)
{
    struct tcpm__families families = {.read_ms = 0};

    (void) state;
    bool has_inet6 = tcpm__families_have_inet6(&families, 5000);
    assert_int_equal(families.read_ms, 5000);
    families.has_inet6 = !has_inet6;
    assert_int_equal(tcpm__families_have_inet6(&families, 5999), !has_inet6);
    assert_int_equal(tcpm__families_have_inet6(&families, 6000), has_inet6);
    assert_int_equal(families.read_ms, 6000);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N47_an_address_beyond_loopback_counts),
    cmocka_unit_test(test_N47_a_list_may_be_cut_anywhere),
    cmocka_unit_test(test_N47_the_system_is_asked_once_in_a_second),
};

RUN_TESTS(tests)
