/* SPDX-License-Identifier: MIT */
/* Structs that begin with their size, read and filled across versions. */
#include "support.h"

#include "base/options.h"

#include <errno.h>

struct older {
    size_t size;
    int64_t first;
};

struct ours {
    size_t size;
    int64_t first, second;
};

struct newer {
    size_t size;
    int64_t first, second, third[3];
};

static void test_nothing_reads_as_zero(void **state)
{
    struct ours ours = {9, 9, 9};

    (void) state;
    assert_int_equal(tcpm__options_read(NULL, &ours, sizeof ours), 0);
    assert_int_equal(ours.size, 0);
    assert_int_equal(ours.first, 0);
    assert_int_equal(ours.second, 0);
}

static void test_an_older_struct_is_completed_with_zeros(void **state)
{
    struct older older = {sizeof older, 5};
    struct ours ours = {9, 9, 9};

    (void) state;
    assert_int_equal(tcpm__options_read(&older, &ours, sizeof ours), 0);
    assert_int_equal(ours.size, sizeof ours);
    assert_int_equal(ours.first, 5);
    assert_int_equal(ours.second, 0);
    older.size = sizeof(size_t);
    assert_int_equal(tcpm__options_read(&older, &ours, sizeof ours), 0);
    assert_int_equal(ours.first, 0);
}

static void test_a_newer_struct_is_taken_unless_it_says_what_we_do_not_know(void **state)
{
    struct newer newer = {sizeof newer, 1, 2, {0}};
    struct ours ours = {9, 9, 9};

    (void) state;
    assert_int_equal(tcpm__options_read(&newer, &ours, sizeof ours), 0);
    assert_int_equal(ours.first, 1);
    assert_int_equal(ours.second, 2);
    assert_int_equal(ours.size, sizeof ours);
    for (size_t at = sizeof ours; at < sizeof newer; at++) {
        struct ours untouched = {9, 9, 9};
        ((char *) &newer)[at] = 1;
        assert_int_equal(tcpm__options_read(&newer, &untouched, sizeof untouched), -E2BIG);
        assert_int_equal(untouched.first, 9);
        ((char *) &newer)[at] = 0;
    }
}

static void test_a_size_that_cannot_be_is_refused(void **state)
{
    static const size_t sizes[] = {0, 1, sizeof(size_t) - 1, 1 << 20, SIZE_MAX};

    (void) state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct ours given = {sizes[i], 1, 2}, ours = {9, 9, 9};
        assert_int_equal(tcpm__options_read(&given, &ours, sizeof ours), -EINVAL);
        assert_int_equal(tcpm__options_write(&ours, &given, sizeof ours), -EINVAL);
        assert_int_equal(ours.first, 9);
        assert_int_equal(given.first, 1);
    }
}

static void test_writing_fills_what_the_caller_has(void **state)
{
    const struct ours ours = {sizeof ours, 7, 8};
    struct {
        struct older given;
        int64_t behind;
    } old = {{sizeof(struct older), 0}, 55};
    struct newer newer = {sizeof newer, 0, 0, {1, 2, 3}};

    (void) state;
    assert_int_equal(tcpm__options_write(&ours, &old.given, sizeof ours), 0);
    assert_int_equal(old.given.size, sizeof old.given);
    assert_int_equal(old.given.first, 7);
    assert_int_equal(old.behind, 55);
    assert_int_equal(tcpm__options_write(&ours, &newer, sizeof ours), 0);
    assert_int_equal(newer.size, sizeof newer);
    assert_int_equal(newer.second, 8);
    for (size_t i = 0; i < COUNT(newer.third); i++)
        assert_int_equal(newer.third[i], 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_nothing_reads_as_zero),
    cmocka_unit_test(test_an_older_struct_is_completed_with_zeros),
    cmocka_unit_test(test_a_newer_struct_is_taken_unless_it_says_what_we_do_not_know),
    cmocka_unit_test(test_a_size_that_cannot_be_is_refused),
    cmocka_unit_test(test_writing_fills_what_the_caller_has),
};

RUN_TESTS(tests)
