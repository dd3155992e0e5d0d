/* SPDX-License-Identifier: MIT */
/* The filter resp: which bytes are a value, cut at every place. */
#include "decode.h"

#include <errno.h>

#define DEPTH_31                                                                     \
    "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n" \
    "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n" \
    "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"

struct row {
    const char *stream, *records;
    int error;
};

static void check_rows(struct tcpm_resp_options options, const struct row *rows, size_t count)
{
    struct tcpm_filter *filter = NULL;

    options.size = sizeof options;
    assert_int_equal(tcpm_filter_resp(&options, &filter), 0);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(rows[i].stream);
        for (size_t place = 0; place <= length; place++) {
            struct decoded decoded;
            decode(filter, rows[i].stream, length, &place, 1, &decoded);
            assert_decoded(&decoded, rows[i].records);
            if (decoded.error != rows[i].error)
                fail_msg("row %zu: %d, %s", i, decoded.error, decoded.message);
            decoded_free(&decoded);
        }
    }
    tcpm_filter_free(filter);
}

static void test_C57_values_cut_at_every_place(void **state)
{
    static const struct row rows[] = {
        {"", "", 0},
        {"+OK\r\n+\r\n-ERR x\r\n", "+OK\r\n/+\r\n/-ERR x\r\n/", 0},
        {":1\r\n:-1\r\n:+007\r\n", ":1\r\n/:-1\r\n/:+007\r\n/", 0},
        {"$5\r\na\r\nbc\r\n$0\r\n\r\n$-1\r\n", "$5\r\na\r\nbc\r\n/$0\r\n\r\n/$-1\r\n/", 0},
        {"*0\r\n*-1\r\n*2\r\n:1\r\n$1\r\nx\r\n:2\r\n",
         "*0\r\n/*-1\r\n/*2\r\n:1\r\n$1\r\nx\r\n/:2\r\n/", 0},
        {"*2\r\n*1\r\n*0\r\n*2\r\n:1\r\n:2\r\n_\r\n", "*2\r\n*1\r\n*0\r\n*2\r\n:1\r\n:2\r\n/_\r\n/",
         0},
        {"#t\r\n#f\r\n,1\r\n,-1.5e-7\r\n,inf\r\n,-inf\r\n,nan\r\n",
         "#t\r\n/#f\r\n/,1\r\n/,-1.5e-7\r\n/,inf\r\n/,-inf\r\n/,nan\r\n/", 0},
        {"(12345678901234567890123\r\n!3\r\nERR\r\n=7\r\ntxt:abc\r\n",
         "(12345678901234567890123\r\n/!3\r\nERR\r\n/=7\r\ntxt:abc\r\n/", 0},
        {"%1\r\n+k\r\n~2\r\n:1\r\n:2\r\n%0\r\n>1\r\n+x\r\n",
         "%1\r\n+k\r\n~2\r\n:1\r\n:2\r\n/%0\r\n/>1\r\n+x\r\n/", 0},
        {"|1\r\n+a\r\n+b\r\n:1\r\n|0\r\n:2\r\n*1\r\n|1\r\n:0\r\n:0\r\n:3\r\n:4\r\n",
         "|1\r\n+a\r\n+b\r\n:1\r\n/|0\r\n:2\r\n/*1\r\n|1\r\n:0\r\n:0\r\n:3\r\n/:4\r\n/", 0},
        {":9223372036854775807\r\n:-9223372036854775808\r\n",
         ":9223372036854775807\r\n/:-9223372036854775808\r\n/", 0},
        {DEPTH_31 "*1\r\n:1\r\n", DEPTH_31 "*1\r\n:1\r\n/", 0},
        {"$5\r\nab", "", 0},
        {"*2\r\n:1\r\n", "", 0},
        {"+OK\r", "", 0},
    };

    (void) state;
    check_rows((struct tcpm_resp_options){.size = 0}, rows, COUNT(rows));
}

static void test_C57_what_is_no_value_is_refused(void **state)
{
    static const struct row rows[] = {
        {"?x\r\n", "", TCPM_EFILTER},
        {":1\r\nx", ":1\r\n/", TCPM_EFILTER},
        {"\r\n", "", TCPM_EFILTER},
        {"+a\n", "", TCPM_EFILTER},
        {"+a\rb", "", TCPM_EFILTER},
        {":\r\n", "", TCPM_EFILTER},
        {":-\r\n", "", TCPM_EFILTER},
        {":1.0\r\n", "", TCPM_EFILTER},
        {": 1\r\n", "", TCPM_EFILTER},
        {":9223372036854775808\r\n", "", TCPM_EFILTER},
        {":-9223372036854775809\r\n", "", TCPM_EFILTER},
        {"(\r\n", "", TCPM_EFILTER},
        {"(1a\r\n", "", TCPM_EFILTER},
        {"#\r\n", "", TCPM_EFILTER},
        {"#x\r\n", "", TCPM_EFILTER},
        {"#tt\r\n", "", TCPM_EFILTER},
        {"_x\r\n", "", TCPM_EFILTER},
        {",\r\n", "", TCPM_EFILTER},
        {",.5\r\n", "", TCPM_EFILTER},
        {",1.\r\n", "", TCPM_EFILTER},
        {",1e\r\n", "", TCPM_EFILTER},
        {",0x10\r\n", "", TCPM_EFILTER},
        {",infinity\r\n", "", TCPM_EFILTER},
        {"$-2\r\n", "", TCPM_EFILTER},
        {"$\r\n", "", TCPM_EFILTER},
        {"$05\r\n", "", TCPM_EFILTER},
        {"$+1\r\n", "", TCPM_EFILTER},
        {"$?\r\n", "", TCPM_EFILTER},
        {"$1\r\nab", "", TCPM_EFILTER},
        {"$1\r\na\rx", "", TCPM_EFILTER},
        {"!-1\r\n", "", TCPM_EFILTER},
        {"=3\r\nabc\r\n", "", TCPM_EFILTER},
        {"=5\r\ntxtab\r\n", "", TCPM_EFILTER},
        {"*-2\r\n", "", TCPM_EFILTER},
        {"~-1\r\n", "", TCPM_EFILTER},
        {"*?\r\n", "", TCPM_EFILTER},
        {"*1\r\n>1\r\n:1\r\n", "", TCPM_EFILTER},
        {"*2\r\n:1\r\n.\r\n", "", TCPM_EFILTER},
        {DEPTH_31 "*1\r\n*1\r\n", "", TCPM_ETOOLONG},
        {"$16777216\r\n", "", TCPM_ETOOLONG},
        {"$99999999999999999999999\r\n", "", TCPM_ETOOLONG},
        {"*1048577\r\n", "", TCPM_ETOOLONG},
        {"%524289\r\n", "", TCPM_ETOOLONG},
        {"*2\r\n*524288\r\n", "", 0},
        {"*99999999999999999999999\r\n", "", TCPM_ETOOLONG},
    };

    (void) state;
    check_rows((struct tcpm_resp_options){.size = 0}, rows, COUNT(rows));
}

static void test_C57_limits(void **state)
{
    static const struct row bytes[] = {
        {"+12345\r\n+12345\r\n", "+12345\r\n/+12345\r\n/", 0},
        {"+123456\r\n", "", TCPM_ETOOLONG},
        {"+1234567", "", TCPM_ETOOLONG},
        {"$2\r\nab\r\n", "$2\r\nab\r\n/", 0},
        {"$3\r\n", "", TCPM_ETOOLONG},
        {"*1\r\n:1\r\n", "*1\r\n:1\r\n/", 0},
        {"*2\r\n:1\r\n:", "", TCPM_ETOOLONG},
        {"*2\r\n:1\r\n?", "", TCPM_ETOOLONG},
    };
    static const struct row elements[] = {
        {"*3\r\n:1\r\n:2\r\n:3\r\n", "*3\r\n:1\r\n:2\r\n:3\r\n/", 0},
        {"*4\r\n", "", TCPM_ETOOLONG},
        {"%1\r\n:1\r\n*1\r\n:1\r\n", "%1\r\n:1\r\n*1\r\n:1\r\n/", 0},
        {"%2\r\n", "", TCPM_ETOOLONG},
        {"*2\r\n*1\r\n:1\r\n*1\r\n", "", TCPM_ETOOLONG},
    };

    (void) state;
    check_rows((struct tcpm_resp_options){.max_length = 8}, bytes, COUNT(bytes));
    check_rows((struct tcpm_resp_options){.max_elements = 3}, elements, COUNT(elements));
}

static void test_the_message_says_what_was_found(void **state)
{
    static const struct {
        const char *stream, *message;
    } said[] = {
        {"?", "byte 0x3f where RESP has the type of a value"},
        {"+a\n", "byte 0x0a where RESP has the CR before it"},
        {"+a\rb", "byte 0x62 where RESP has the LF behind a CR"},
        {"$1\r\nab", "byte 0x62 where RESP has the CR behind a string"},
        {"=4\r\ntxt.", "byte 0x2e where RESP has the colon of a format"},
        {":a\x01\r\n", "not RESP: :a?"},
        {"$16777216\r\n", "a value is longer than 16777216 bytes"},
        {"*1048577\r\n", "a value has more than 1048576 values in it"},
        {DEPTH_31 "*1\r\n*1\r\n", "lists in lists, more than 32 deep"},
    };
    struct tcpm_filter *filter = NULL;

    (void) state;
    assert_int_equal(tcpm_filter_resp(NULL, &filter), 0);
    for (size_t i = 0; i < COUNT(said); i++) {
        struct decoded decoded;
        decode(filter, said[i].stream, strlen(said[i].stream), NULL, 0, &decoded);
        assert_string_equal(decoded.message, said[i].message);
        decoded_free(&decoded);
    }
    tcpm_filter_free(filter);
}

/* A value of many elements, shown again with each byte: each look is as quick as the first. Without
   that the test would take minutes. */
static void test_C57_a_value_is_read_once(void **state)
{
    enum { COUNT_OF_VALUES = 200000, SIZE = 5 };
    static char stream[32 + COUNT_OF_VALUES * SIZE];
    struct tcpm_filter *filter = NULL;
    struct tcpm__instance *instance = NULL;
    size_t length = (size_t) snprintf(stream, sizeof stream, "*%d\r\n", COUNT_OF_VALUES), seen = 0;

    (void) state;
    for (int i = 0; i < COUNT_OF_VALUES; i++, length += SIZE)
        memcpy(stream + length, "$-1\r\n", SIZE);
    assert_int_equal(tcpm_filter_resp(NULL, &filter), 0);
    assert_int_equal(tcpm__instance_open(filter, &instance), 0);
    for (size_t have = 1; have <= length; have++) {
        struct tcpm_cut cut = {.seen = seen};
        assert_int_equal(tcpm__instance_get(instance, stream, have, &cut), have == length);
        seen = have;
        if (have == length)
            assert_int_equal(cut.used, length);
    }
    tcpm__instance_drop(instance);
    tcpm_filter_free(filter);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_C57_values_cut_at_every_place),
    cmocka_unit_test(test_C57_what_is_no_value_is_refused),
    cmocka_unit_test(test_C57_limits),
    cmocka_unit_test(test_the_message_says_what_was_found),
    cmocka_unit_test(test_C57_a_value_is_read_once),
};

RUN_TESTS(tests)
