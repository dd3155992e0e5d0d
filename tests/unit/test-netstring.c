/* SPDX-License-Identifier: MIT */
/* The netstring filter, in both directions. */
#include "decode.h"

#include <errno.h>

static const struct {
    const char *stream, *records;
    int error;
} rows[] = {
    {"", "", 0},
    {"5:hello,", "hello/", 0},
    {"0:,1:a,", "/a/", 0},
    {"12:hello, world,3:a:b,", "hello, world/a:b/", 0},
    {"5:hel", "", 0},
    {"5", "", 0},
    {"20:", "", 0},
    {"21:", "", TCPM_ETOOLONG},
    {"999999999999999999999999", "", TCPM_ETOOLONG},
    {"00:,", "", TCPM_EFILTER},
    {"05:hello,", "", TCPM_EFILTER},
    {":,", "", TCPM_EFILTER},
    {"-1:,", "", TCPM_EFILTER},
    {"x", "", TCPM_EFILTER},
    {"5x", "", TCPM_EFILTER},
    {"1:a,5:hellox", "a/", TCPM_EFILTER},
    {"1:a\n", "", TCPM_EFILTER},
};

static void test_every_form_cut_at_every_place(void **state)
{
    struct tcpm_filter *filter = NULL;

    (void) state;
    assert_int_equal(tcpm_filter_netstring(20, &filter), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t length = strlen(rows[i].stream);
        for (size_t place = 0; place <= length; place++) {
            struct decoded decoded;
            decode(filter, rows[i].stream, length, &place, 1, &decoded);
            assert_decoded(&decoded, rows[i].records);
            assert_int_equal(decoded.error, rows[i].error);
            decoded_free(&decoded);
        }
    }
    tcpm_filter_free(filter);
}

static void test_the_message_says_what_was_found(void **state)
{
    static const struct {
        const char *stream, *message;
    } said[] = {
        {"x", "byte 0x78 where a netstring has a digit"},
        {"1\xff", "byte 0xff where a netstring has a digit or a colon"},
        {"1:ab", "byte 0x62 where a netstring has its comma"},
        {"01", "byte 0x31 where a netstring has a colon, after the length 0"},
        {"300", "a netstring of length 30 or more, the limit is 20"},
    };
    struct tcpm_filter *filter = NULL;

    (void) state;
    assert_int_equal(tcpm_filter_netstring(20, &filter), 0);
    for (size_t i = 0; i < COUNT(said); i++) {
        struct decoded decoded;
        decode(filter, said[i].stream, strlen(said[i].stream), NULL, 0, &decoded);
        assert_string_equal(decoded.message, said[i].message);
        decoded_free(&decoded);
    }
    tcpm_filter_free(filter);
}

static void test_put_writes_length_colon_bytes_comma(void **state)
{
    struct tcpm_filter *filter = NULL;
    struct tcpm__instance *codec = NULL;
    struct tcpm_out out;

    (void) state;
    assert_int_equal(tcpm_filter_netstring(0, &filter), 0);
    assert_int_equal(tcpm__instance_open(filter, &codec), 0);
    tcpm__out_init(&out, &tcpm__memory_default);
    assert_int_equal(tcpm__instance_put(codec, "hello", 5, &out), 0);
    assert_int_equal(tcpm__instance_put(codec, "", 0, &out), 0);
    assert_int_equal(out.length, 11);
    assert_memory_equal(out.bytes, "5:hello,0:,", 11);
    tcpm__out_free(&out);
    tcpm__instance_drop(codec);
    tcpm_filter_free(filter);
}

static void test_limits(void **state)
{
    static const struct {
        int64_t limit;
        const char *stream;
        int error;
        size_t need;
    } limits[] = {{0, "16777216:", 0, 16777226},
                  {0, "16777217", TCPM_ETOOLONG, 0},
                  {TCPM_NONE, "99999999999999999:", 0, 100000000000000018},
                  {TCPM_NONE, "9999999999999999999", TCPM_ETOOLONG, 0},
                  {INT64_MAX, "9999999999999999999", TCPM_ETOOLONG, 0},
                  {1, "2", TCPM_ETOOLONG, 0}};
    struct tcpm_filter *filter = NULL;

    (void) state;
    for (size_t i = 0; i < COUNT(limits); i++) {
        struct tcpm__instance *codec = NULL;
        struct tcpm_cut cut = {.seen = 0};
        assert_int_equal(tcpm_filter_netstring(limits[i].limit, &filter), 0);
        assert_int_equal(tcpm__instance_open(filter, &codec), 0);
        int result = tcpm__instance_get(codec, limits[i].stream, strlen(limits[i].stream), &cut);
        assert_int_equal(result, limits[i].error);
        assert_int_equal(cut.need, limits[i].need);
        tcpm__instance_drop(codec);
        tcpm_filter_free(filter);
    }
    assert_int_equal(tcpm_filter_netstring(-2, &filter), -EINVAL);
    assert_int_equal(tcpm_filter_netstring(0, NULL), -EINVAL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_form_cut_at_every_place),
    cmocka_unit_test(test_the_message_says_what_was_found),
    cmocka_unit_test(test_put_writes_length_colon_bytes_comma),
    cmocka_unit_test(test_limits),
};

RUN_TESTS(tests)
