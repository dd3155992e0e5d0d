/* SPDX-License-Identifier: MIT */
/* The form in which a name is looked up, and what is refused before anybody is asked. */
#include "support.h"

#include "tcpmulti.h"
#include "transport/host_name.h"

#include <errno.h>

#define TEN         "0123456789"
#define SIXTY       TEN TEN TEN TEN TEN TEN
#define LABEL_63    SIXTY "abc"
#define FOUR_LABELS LABEL_63 "." LABEL_63 "." LABEL_63 "." /* 192 bytes */

struct row {
    const char *text;
    const char *name; /* NULL: refused */
    int code;
    const char *why; /* a part of it */
};

static void check_row(const struct row *row, bool is_absolute)
{
    char name[TCPM__HOST_NAME_SIZE];
    const char *why = NULL;
    bool absolute = !is_absolute;
    int code = tcpm__host_name_make(row->text, name, &absolute, &why);

    if (code != row->code)
        fail_msg("%s: %d, not %d", row->text, code, row->code);
    if (code == 0) {
        assert_string_equal(name, row->name);
        assert_int_equal(absolute, is_absolute);
    } else if (strstr(why, row->why) == NULL) {
        fail_msg("%s: '%s' has no '%s'", row->text, why, row->why);
    }
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_row(&rows[i], false);
}

static void test_names_in_ascii(void **state)
{
    static const struct row rows[] = {
        {"example.com", "example.com", 0, NULL},
        {"EXAMPLE.Com", "example.com", 0, NULL},
        {"localhost", "localhost", 0, NULL},
        {"_dmarc.x", "_dmarc.x", 0, NULL},
        {"r3---sn-4g5e.example", "r3---sn-4g5e.example", 0, NULL},
        {"xn--bcher-kva", "xn--bcher-kva", 0, NULL},
        {"xn--.example", "xn--.example", 0, NULL},
        {"-", "-", 0, NULL},
        {"-a.b-", "-a.b-", 0, NULL},
        {"1.2.3.4.com", "1.2.3.4.com", 0, NULL},
        {"0x.example", "0x.example", 0, NULL},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

/* N32: a dot at the end makes a name absolute, and is no part of it. */
static void test_N32_a_dot_at_the_end(void **state)
{
    static const struct row rows[] = {
        {"db.", "db", 0, NULL},
        {"Example.COM.", "example.com", 0, NULL},
        {FOUR_LABELS SIXTY "a.", FOUR_LABELS SIXTY "a", 0, NULL},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check_row(&rows[i], true);
}

static void test_N33_lengths_and_bytes(void **state)
{
    static const struct row rows[] = {
        {FOUR_LABELS SIXTY "a", FOUR_LABELS SIXTY "a", 0, NULL}, /* 253 bytes */
        {FOUR_LABELS SIXTY "ab", NULL, TCPM_EBADNAME, "more than 253"},
        {FOUR_LABELS FOUR_LABELS, NULL, TCPM_EBADNAME, "more than 253"},
        {LABEL_63, LABEL_63, 0, NULL},
        {LABEL_63 "d", NULL, TCPM_EBADNAME, "more than 63"},
        {"a." LABEL_63 "d.b", NULL, TCPM_EBADNAME, "more than 63"},
        {"", NULL, TCPM_EBADNAME, "nothing"},
        {".", NULL, TCPM_EBADNAME, "nothing"},
        {"..", NULL, TCPM_EBADNAME, "nothing"},
        {".a", NULL, TCPM_EBADNAME, "nothing"},
        {"a..b", NULL, TCPM_EBADNAME, "nothing"},
        {"a..", NULL, TCPM_EBADNAME, "nothing"},
        {"a\\.b", NULL, TCPM_EBADNAME, "a character"},
        {"a@b", NULL, TCPM_EBADNAME, "a character"},
        {"a b", NULL, TCPM_EBADNAME, "a character"},
        {"a*b", NULL, TCPM_EBADNAME, "a character"},
        {"no-such-host->invalid", NULL, TCPM_EBADNAME, "a character"},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

static void test_N35_onion_is_not_asked(void **state)
{
    static const struct row rows[] = {
        {"x.onion", NULL, TCPM_ENOTFOUND, "Tor"},
        {"x.ONION.", NULL, TCPM_ENOTFOUND, "Tor"},
        {"a.b.onion", NULL, TCPM_ENOTFOUND, "Tor"},
        {"onion.example", "onion.example", 0, NULL},
        {"x-onion", "x-onion", 0, NULL},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

static void test_N36_numbers_are_not_guessed(void **state)
{
    static const struct row rows[] = {
        {"127.1", NULL, TCPM_ENOTFOUND, "four numbers"},
        {"127.0.0.1", NULL, TCPM_ENOTFOUND, "four numbers"},
        {"0x7f.1", NULL, TCPM_ENOTFOUND, "never ends in a number"},
        {"0X7F000001", NULL, TCPM_ENOTFOUND, "never ends in a number"},
        {"a.08", NULL, TCPM_ENOTFOUND, "never ends in a number"},
        {"1.2.3.04.", NULL, TCPM_ENOTFOUND, "a zero in front"},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

/* Truncated, overlong, beyond Unicode, surrogates, Latin-1. */
static void test_bytes_that_are_no_utf8(void **state)
{
    static const char *const texts[] = {
        "\xff.invalid", "\xef",         "\xef\xbc",         "1\xe3\x80",        "\xc0\xaf.a",
        "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x80\x80\x80", "b\xfc\x63her",
    };

    (void) state;
    for (size_t i = 0; i < COUNT(texts); i++)
        check_row(&(struct row){texts[i], NULL, -EINVAL, "no UTF-8"}, false);
}

#ifdef TCPM_HAVE_IDN2

/* N34: IDNA 2008 with the mapping of UTS 46, not transitional. */
static void test_N34_names_beyond_ascii(void **state)
{
    static const struct row rows[] = {
        {"bücher", "xn--bcher-kva", 0, NULL},
        {"BÜCHER", "xn--bcher-kva", 0, NULL},
        {"Bu\xcc\x88"
         "cher.Example",
         "xn--bcher-kva.example", 0, NULL},
        {"straße", "xn--strae-oqa", 0, NULL},
        {"_dmarc.r3---sn.bücher.de", "_dmarc.r3---sn.xn--bcher-kva.de", 0, NULL},
        {"ｅｘａｍｐｌｅ。ｃｏｍ", "example.com", 0, NULL},
        {"例え.テスト", "xn--r8jz45g.xn--zckzah", 0, NULL},
        {"☃", NULL, TCPM_EBADNAME, "IDNA 2008"},
        {"a.☃.b", NULL, TCPM_EBADNAME, "IDNA 2008"},
        {"bücher／x", NULL, TCPM_EBADNAME, "character"},
        {"a＠b", NULL, TCPM_EBADNAME, "character"},
        {"bü..de", NULL, TCPM_EBADNAME, "nothing"},
        {"。bü", NULL, TCPM_EBADNAME, "nothing"},
        {"ü.onion", NULL, TCPM_ENOTFOUND, "Tor"},
        {"x.ｏｎｉｏｎ", NULL, TCPM_ENOTFOUND, "Tor"},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
    check_row(&(struct row){"bücher。", "xn--bcher-kva", 0, NULL}, true);
}

static void test_N34_a_name_that_grows_too_long(void **state)
{
    enum { LETTERS = 60 };
    char text[2 * LETTERS + 1];

    (void) state;
    for (size_t i = 0; i < LETTERS; i++)
        memcpy(text + 2 * i, "ü", 3);
    check_row(&(struct row){text, NULL, TCPM_EBADNAME, "more than"}, false);
}

/* The ideographic full stops, and wide, mathematical and circled digits. */
static void test_N36_numbers_after_the_mapping(void **state)
{
    static const struct row rows[] = {
        {"127。1", NULL, TCPM_ENOTFOUND, "ASCII"},
        {"127.0｡0.1", NULL, TCPM_ENOTFOUND, "ASCII"},
        {"127．0．0．1", NULL, TCPM_ENOTFOUND, "ASCII"},
        {"１２７.１", NULL, TCPM_ENOTFOUND, "ASCII"},
        {"𝟏𝟐𝟕.𝟏", NULL, TCPM_ENOTFOUND, "ASCII"},
        {"a.①", NULL, TCPM_ENOTFOUND, "ASCII"},
        {"0ｘ7f.1", NULL, TCPM_ENOTFOUND, "ASCII"},
        {"bücher.1", NULL, TCPM_ENOTFOUND, "ASCII"},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

#else

static void test_N34_without_libidn2(void **state)
{
    static const struct row rows[] = {
        {"bücher", NULL, -EOPNOTSUPP, "libidn2"},
        {"127。1", NULL, -EOPNOTSUPP, "libidn2"},
        {"xn--bcher-kva", "xn--bcher-kva", 0, NULL},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

#endif

/* N28: which names mean this host; whether hosts has a line for them is not asked here. */
static void test_N28_localhost(void **state)
{
    (void) state;
    assert_true(tcpm__host_name_is_localhost("localhost"));
    assert_true(tcpm__host_name_is_localhost("a.localhost"));
    assert_true(tcpm__host_name_is_localhost("a.b.localhost"));
    assert_false(tcpm__host_name_is_localhost("alocalhost"));
    assert_false(tcpm__host_name_is_localhost("localhost.example"));
    assert_false(tcpm__host_name_is_localhost("local"));
    assert_false(tcpm__host_name_is_localhost(""));
}

/* A model of what holds for each name in ASCII that is not refused. */
static bool is_well_formed(const char *name)
{
    size_t label = 0, length = strlen(name);

    for (size_t i = 0; i <= length; i++) {
        if (name[i] != '.' && name[i] != '\0') {
            if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", name[i]) == NULL)
                return false;
            label++;
            continue;
        }
        if (label == 0 || label > 63)
            return false;
        label = 0;
    }
    return length <= 253;
}

/* Names put together at random of what decides: the outcome keeps its promises, and making the form
   again changes nothing. */
static void test_random_names_are_well_formed_or_refused(void **state)
{
    static const char *const pieces[] = {"a",      "Z",   "-",  "_",  ".",    "..",  "1",
                                         "0x",     "ü",   "。", "☃",  "\xff", "@",   "xn--",
                                         ".onion", "。1", "..", "９", "ß",    SIXTY, "localhost"};
    struct randomness random = {.state = 20};
    unsigned accepted = 0;

    (void) state;
    for (int round = 0; round < 100000; round++) {
        char text[512] = "", name[TCPM__HOST_NAME_SIZE], again[TCPM__HOST_NAME_SIZE];
        const char *why = NULL;
        bool absolute;

        for (uint64_t left = 1 + random_below(&random, 7); left > 0; left--)
            strncat(text, pieces[random_below(&random, COUNT(pieces))],
                    sizeof text - strlen(text) - 1);
        int code = tcpm__host_name_make(text, name, &absolute, &why);
        if (code < 0) {
            assert_non_null(why);
            continue;
        }
        accepted++;
        if (!is_well_formed(name))
            fail_msg("%s: %s", text, name);
        assert_int_equal(tcpm__host_name_make(name, again, &absolute, &why), 0);
        assert_string_equal(again, name);
        assert_false(absolute);
    }
    assert_true(accepted > 1000);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_names_in_ascii),
    cmocka_unit_test(test_N32_a_dot_at_the_end),
    cmocka_unit_test(test_N33_lengths_and_bytes),
    cmocka_unit_test(test_N35_onion_is_not_asked),
    cmocka_unit_test(test_N36_numbers_are_not_guessed),
    cmocka_unit_test(test_bytes_that_are_no_utf8),
#ifdef TCPM_HAVE_IDN2
    cmocka_unit_test(test_N34_names_beyond_ascii),
    cmocka_unit_test(test_N34_a_name_that_grows_too_long),
    cmocka_unit_test(test_N36_numbers_after_the_mapping),
#else
    cmocka_unit_test(test_N34_without_libidn2),
#endif
    cmocka_unit_test(test_N28_localhost),
    cmocka_unit_test(test_random_names_are_well_formed_or_refused),
};

RUN_TESTS(tests)
