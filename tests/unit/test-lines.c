/* SPDX-License-Identifier: MIT */
/* Lines about connections, and the names of flags in them. */
#include "support.h"

#include "connection/line.h"

static void assert_flags(uint32_t flags, const char *expected)
{
    struct tcpm__line line = {.length = 0};

    tcpm__dump_flags(&line, flags);
    assert_string_equal(tcpm__line_finish(&line), expected);
}

/* Each flag has a line here, so that a new one is given a name on purpose. */
static void test_every_flag_has_a_name(void **state)
{
    uint32_t all = 0;
    size_t names = 0;

    (void) state;
#define TAKE(name)                                          \
    {                                                       \
        char text[] = #name;                                \
        for (char *byte = text; *byte != '\0'; byte++)      \
            *byte |= *byte >= 'A' && *byte <= 'Z' ? 32 : 0; \
        assert_flags(TCPM__##name, text);                   \
        assert_int_equal(all &TCPM__##name, 0);             \
        all |= TCPM__##name;                                \
        names++;                                            \
    }
    TCPM__FLAGS(TAKE)
#undef TAKE
    assert_int_equal(names, TCPM__FLAG_COUNT);
}

static void test_flags_stand_in_order_with_commas(void **state)
{
    (void) state;
    assert_flags(0, "-");
    assert_flags(TCPM__PAUSED, "paused");
    assert_flags(TCPM__MORE | TCPM__PAUSED, "paused,more");
    assert_flags(TCPM__PLACED | TCPM__PAUSED | TCPM__HAD_SUCCESS, "paused,had_success,placed");
}

static void test_a_line_that_is_full_is_cut(void **state)
{
    struct tcpm__line line = {.length = 0};

    (void) state;
    for (int i = 0; i < 1000; i++)
        tcpm__line_add(&line, "%d,", i);
    assert_int_equal(strlen(tcpm__line_finish(&line)), sizeof line.text - 1);
    assert_int_equal(line.length, sizeof line.text - 1);
    assert_memory_equal(line.text, "0,1,2,3,", 8);
}

static void test_what_a_terminal_may_not_get_is_a_question_mark(void **state)
{
    struct tcpm__line line = {.length = 0};

    (void) state;
    tcpm__line_add(&line, "a\x1b[0m\t\n\x7f\xc3\xa9~ ");
    assert_string_equal(tcpm__line_finish(&line), "a?[0m?????~ ");
}

static void test_addresses_with_colons_get_brackets(void **state)
{
    struct tcpm__line line = {.length = 0};

    (void) state;
    tcpm__line_add_address(&line, "::1", 80);
    tcpm__line_add_address(&line, "[::2]", 443);
    tcpm__line_add_address(&line, "127.0.0.1", 1);
    assert_string_equal(line.text, "[::1]:80[::2]:443127.0.0.1:1");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_flag_has_a_name),
    cmocka_unit_test(test_flags_stand_in_order_with_commas),
    cmocka_unit_test(test_a_line_that_is_full_is_cut),
    cmocka_unit_test(test_what_a_terminal_may_not_get_is_a_question_mark),
    cmocka_unit_test(test_addresses_with_colons_get_brackets),
};

RUN_TESTS(tests)
