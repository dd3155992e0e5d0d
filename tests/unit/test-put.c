/* SPDX-License-Identifier: MIT */
/* The place where put of a filter writes: bytes are collected, one piece that is borrowed is not
   copied, and there are limits of length and of memory. */
#include "support.h"

#include <errno.h>

#include "filter/filter.h"

static void test_out_collects_what_is_written(void **state)
{
    struct scarce scarce;
    struct tcpm_out out;
    char expected[5000];
    size_t length = 0;

    (void) state;
    scarce_init(&scarce);
    tcpm__out_init(&out, &scarce.memory);
    assert_int_equal(tcpm_out_write(&out, NULL, 0), 0);
    assert_int_equal(out.length, 0);
    for (size_t piece = 1; piece < 90; piece++) {
        char bytes[90];
        memset(bytes, (int) piece, piece);
        assert_int_equal(tcpm_out_write(&out, bytes, piece), 0);
        memcpy(expected + length, bytes, piece);
        length += piece;
        assert_int_equal(out.length, length);
        assert_memory_equal(out.bytes, expected, length);
    }
    long calls = scarce.calls;
    tcpm__out_reset(&out, SIZE_MAX);
    assert_int_equal(out.length, 0);
    assert_int_equal(tcpm_out_write(&out, expected, length), 0);
    assert_int_equal(scarce.calls, calls); /* its memory was kept */
    tcpm__out_free(&out);
    assert_int_equal(scarce.blocks, 0);
}

static void test_out_does_not_copy_one_borrowed_piece(void **state)
{
    struct scarce scarce;
    struct tcpm_out out;
    static const char large[] = "large", more[] = "more";

    (void) state;
    scarce_init(&scarce);
    tcpm__out_init(&out, &scarce.memory);
    assert_int_equal(tcpm__out_borrow(&out, NULL, 0), 0);
    assert_int_equal(tcpm__out_borrow(&out, large, 5), 0);
    assert_ptr_equal(out.bytes, large);
    assert_int_equal(scarce.calls, 0);
    assert_int_equal(tcpm_out_write(&out, more, 2), 0);
    assert_int_equal(tcpm__out_borrow(&out, more, 4), 0);
    assert_int_equal(out.length, 11);
    assert_memory_equal(out.bytes, "largemomore", 11);
    tcpm__out_reset(&out, SIZE_MAX);
    assert_int_equal(tcpm__out_borrow(&out, large, 5), 0);
    assert_ptr_equal(out.bytes, large);
    tcpm__out_free(&out);
    assert_int_equal(scarce.blocks, 0);
}

static void test_out_has_a_limit(void **state)
{
    struct tcpm_out out;

    (void) state;
    tcpm__out_init(&out, &tcpm__memory_default);
    tcpm__out_reset(&out, 10);
    assert_int_equal(tcpm_out_write(&out, "0123456", 7), 0);
    assert_int_equal(tcpm_out_write(&out, "0123", 4), -ENOBUFS);
    assert_int_equal(tcpm__out_borrow(&out, "0123", 4), -ENOBUFS);
    assert_int_equal(tcpm_out_write(&out, "x", SIZE_MAX), -ENOBUFS);
    assert_int_equal(out.length, 7);
    assert_int_equal(tcpm_out_write(&out, "789", 3), 0);
    assert_memory_equal(out.bytes, "0123456789", 10);
    tcpm__out_reset(&out, 3);
    assert_int_equal(tcpm__out_borrow(&out, "0123", 4), -ENOBUFS);
    assert_int_equal(out.length, 0);
    tcpm__out_reset(&out, SIZE_MAX);
    assert_int_equal(tcpm_out_write(&out, "x", 1), 0);
    assert_int_equal(tcpm_out_write(&out, "x", SIZE_MAX - 1), -ENOMEM);
    tcpm__out_free(&out);
}

static void test_out_without_memory_keeps_what_it_has(void **state)
{
    struct scarce scarce;
    struct tcpm_out out;
    char large[3000];

    (void) state;
    memset(large, 'x', sizeof large);
    scarce_init(&scarce);
    tcpm__out_init(&out, &scarce.memory);
    scarce.left = 0;
    assert_int_equal(tcpm_out_write(&out, "abc", 3), -ENOMEM);
    assert_int_equal(out.length, 0);
    assert_int_equal(tcpm_out_write(&out, "abc", 3), 0);
    scarce.left = 0;
    assert_int_equal(tcpm_out_write(&out, large, sizeof large), -ENOMEM);
    assert_int_equal(out.length, 3);
    assert_memory_equal(out.bytes, "abc", 3);
    tcpm__out_free(&out);
    assert_int_equal(scarce.blocks, 0);
}

static void test_out_gives_back_what_one_large_send_needed(void **state)
{
    struct scarce scarce;
    struct tcpm_out out;
    char *large = calloc(1, 1 << 20);

    (void) state;
    assert_non_null(large);
    scarce_init(&scarce);
    tcpm__out_init(&out, &scarce.memory);
    assert_int_equal(tcpm_out_write(&out, large, 1 << 20), 0);
    assert_int_equal(scarce.blocks, 1);
    tcpm__out_reset(&out, 5);
    assert_int_equal(scarce.blocks, 0);
    assert_int_equal(out.limit, 5);
    tcpm__out_free(&out);
    free(large);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_out_collects_what_is_written),
    cmocka_unit_test(test_out_does_not_copy_one_borrowed_piece),
    cmocka_unit_test(test_out_has_a_limit),
    cmocka_unit_test(test_out_without_memory_keeps_what_it_has),
    cmocka_unit_test(test_out_gives_back_what_one_large_send_needed),
};

RUN_TESTS(tests)
