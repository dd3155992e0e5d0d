/* SPDX-License-Identifier: MIT */
/* Lines and words of a text: each in its order, none beyond the text's end. */
#include "support.h"

#include <limits.h>

#include "base/words.h"

static void assert_words(const char *text, size_t length, const char *expected)
{
    struct tcpm__part part = tcpm__part_of(text, length), line, word;
    char got[256] = "", copy[32];

    while (tcpm__words_next_line(&part, "#;", &line)) {
        while (tcpm__words_next(&line, &word)) {
            assert_true(tcpm__words_copy(word, copy, sizeof copy));
            assert_true(tcpm__words_equal(word, copy));
            strncat(got, copy, sizeof got - strlen(got) - 1);
            strncat(got, ",", sizeof got - strlen(got) - 1);
        }
        strncat(got, "|", sizeof got - strlen(got) - 1);
    }
    assert_string_equal(got, expected);
}

static void test_words_of_lines(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"", ""},
        {"\n", "|"},
        {"a", "a,|"},
        {"a\n", "a,|"},
        {" a\tbc \n\n d", "a,bc,||d,|"},
        {"a\r\nb\r\n", "a,|b,|"},
        {"a#b c\n", "a,|"},
        {"#;a\n;#b\nc;d#e", "||c,|"},
        {"a\v\f\x01z", "a,z,|"},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_words(rows[i].text, strlen(rows[i].text), rows[i].expected);
    assert_words("a\0b\nc", 5, "a,b,|c,|");
    assert_words("abc\ndef", 5, "abc,|d,|");
    assert_words(NULL, 0, "");
}

static void assert_items(const char *text, const char *expected)
{
    struct tcpm__part part = tcpm__part_of(text, strlen(text)), item;
    char got[64] = "";

    while (tcpm__words_next_item(&part, &item)) {
        size_t length = strlen(got);

        assert_true(tcpm__words_copy(item, got + length, sizeof got - length - 1));
        length = strlen(got);
        memcpy(got + length, "|", sizeof "|");
    }
    assert_string_equal(got, expected);
}

static void test_items_stand_between_commas_and_blanks(void **state)
{
    (void) state;
    assert_items("", "");
    assert_items(" ,\n\t, ", "");
    assert_items("a", "a|");
    assert_items("a,b c", "a|b|c|");
    assert_items(",a ,, bc\r\n,d.", "a|bc|d.|");
}

static void test_a_copy_fits_or_nothing_is_written(void **state)
{
    char copy[4] = "xyz";

    (void) state;
    assert_false(tcpm__words_copy(tcpm__part_of("abcd", 4), copy, sizeof copy));
    assert_string_equal(copy, "xyz");
    assert_true(tcpm__words_copy(tcpm__part_of("abcd", 3), copy, sizeof copy));
    assert_string_equal(copy, "abc");
    assert_false(tcpm__words_equal(tcpm__part_of("abcd", 3), "abcd"));
    assert_false(tcpm__words_equal(tcpm__part_of("abcd", 4), "abc"));
}

static void test_hexadecimal_digits(void **state)
{
    static const char digits[] = "0123456789abcdef", capitals[] = "0123456789ABCDEF";

    (void) state;
    for (int byte = CHAR_MIN; byte <= CHAR_MAX; byte++) {
        const char *small = byte == 0 ? NULL : strchr(digits, byte);
        const char *big = byte == 0 ? NULL : strchr(capitals, byte);
        long expected = small != NULL ? small - digits : big != NULL ? big - capitals : -1;

        assert_int_equal(tcpm__words_hex_digit((char) byte), expected);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_words_of_lines),
    cmocka_unit_test(test_items_stand_between_commas_and_blanks),
    cmocka_unit_test(test_a_copy_fits_or_nothing_is_written),
    cmocka_unit_test(test_hexadecimal_digits),
};

RUN_TESTS(tests)
