/* SPDX-License-Identifier: MIT */
/* The block filter: fixed sizes, and every encoding of a length in both directions. */
#include "decode.h"

#include <errno.h>

static struct tcpm_filter *make(struct tcpm_block_options options)
{
    struct tcpm_filter *filter = NULL;

    options.size = sizeof options;
    assert_int_equal(tcpm_filter_block(&options, &filter), 0);
    return filter;
}

struct row {
    struct tcpm_block_options options;
    const char *stream;
    size_t length;
    const char *records;
    int error;
};

#define STREAM(bytes) bytes, sizeof(bytes) - 1

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tcpm_filter *filter = make(rows[i].options);
        /* in one piece, and cut at every place at once */
        size_t places[64];
        for (size_t at = 0; at < rows[i].length; at++)
            places[at] = at + 1;
        for (int pass = 0; pass < 2; pass++) {
            struct decoded decoded;
            size_t cuts = pass == 0 ? 0 : rows[i].length;
            decode(filter, rows[i].stream, rows[i].length, places, cuts, &decoded);
            assert_decoded(&decoded, rows[i].records);
            assert_int_equal(decoded.error, rows[i].error);
            decoded_free(&decoded);
        }
        tcpm_filter_free(filter);
    }
}

static void test_blocks_of_a_fixed_size(void **state)
{
    static const struct row rows[] = {
        {{.block_size = 4}, STREAM("ABCD1234WXYZrest."), "ABCD/1234/WXYZ/rest/", 0},
        {{.block_size = 1}, STREAM("abc"), "a/b/c/", 0},
        {{.block_size = 8}, STREAM("abc"), "", 0},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

static void test_every_encoding_of_a_length(void **state)
{
    static const struct row rows[] = {
        {{.length = "u8"}, STREAM("\3abc\0\1d"), "abc//d/", 0},
        {{.length = "u16be"}, STREAM("\0\3abc\0\0\0\1d"), "abc//d/", 0},
        {{.length = "u16le"}, STREAM("\3\0abc\0\0\1\0d"), "abc//d/", 0},
        {{.length = "u24be"}, STREAM("\0\0\3abc\0\0\0\0\0\1d"), "abc//d/", 0},
        {{.length = "u24le"}, STREAM("\3\0\0abc\0\0\0\1\0\0d"), "abc//d/", 0},
        {{.length = "u32be"}, STREAM("\0\0\0\3abc\0\0\0\0\0\0\0\1d"), "abc//d/", 0}, /* X16 */
        {{.length = "u32le"}, STREAM("\3\0\0\0abc\0\0\0\0\1\0\0\0d"), "abc//d/", 0},
        {{.length = "u64be"}, STREAM("\0\0\0\0\0\0\0\3abc\0\0\0\0\0\0\0\0"), "abc//", 0},
        {{.length = "ascii0"}, STREAM("3\0abc0\0001\0d"), "abc//d/", 0},
        {{.length = "ascii0"}, STREAM("003\0abc"), "abc/", 0},
        {{.length = "varint"}, STREAM("\3abc\0\1d"), "abc//d/", 0},
        {{.length = "varint"}, STREAM("\x83\0abc\x81\x80\0d"), "abc/d/", 0},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

static void test_offset_adjust_and_header(void **state)
{
    static const struct row rows[] = {
        {{.length = "u8", .adjust = -1}, STREAM("\4abc\1"), "abc//", 0},
        {{.length = "u8", .adjust = 2}, STREAM("\1abc\0xy"), "abc/xy/", 0},
        {{.length = "u8", .header = 1}, STREAM("\3abc\1d"), "\3abc/\1d/", 0},
        {{.length = "u8", .header = 1, .offset = 2}, STREAM("hh\3abchh\1d"), "hh\3abc/hh\1d/", 0},
        {{.length = "u16be", .header = 1, .offset = 1, .adjust = -3}, STREAM("h\0\6abc"), "h", 0},
        {{.length = "varint", .header = 1, .offset = 1}, STREAM("0\2ab"), "0\2ab/", 0},
        {{.length = "ascii0", .header = 1, .offset = 2, .adjust = 1}, STREAM("hh1"), "", 0},
    };

    (void) state;
    check_rows(rows, 4);
    check_rows(rows + 5, 2);
    /* with a NUL in the record, which a table of strings cannot show */
    struct tcpm_filter *filter = make(rows[4].options);
    struct decoded decoded;
    decode(filter, rows[4].stream, rows[4].length, NULL, 0, &decoded);
    assert_int_equal(decoded.count, 1);
    assert_int_equal(decoded.length, 6);
    assert_memory_equal(decoded.bytes, rows[4].stream, 6);
    decoded_free(&decoded);
    tcpm_filter_free(filter);
}

static void test_a_length_that_cannot_be_is_an_error_at_once(void **state)
{
    enum { LONG = TCPM_ETOOLONG, BAD = TCPM_EFILTER };
    static const struct row rows[] = {
        {{.length = "ascii0"}, STREAM("12x"), "", BAD}, /* X17 */
        {{.length = "ascii0"}, STREAM("x"), "", BAD},
        {{.length = "ascii0"}, STREAM("\0"), "", BAD},
        {{.length = "ascii0"}, STREAM("-1\0"), "", BAD},
        {{.length = "ascii0"}, STREAM(" 1\0"), "", BAD},
        {{.length = "ascii0"}, STREAM("99999999"), "", LONG},
        {{.length = "ascii0"}, STREAM("000000000000000000000"), "", BAD},
        {{.length = "ascii0", .max_length = TCPM_NONE}, STREAM("99999999999999999999"), "", LONG},
        {{.length = "ascii0", .max_length = TCPM_NONE}, STREAM("18446744073709551616"), "", BAD},
        {{.length = "u8", .adjust = -2}, STREAM("\1"), "", BAD},
        {{.length = "u8", .adjust = -2}, STREAM("\2\3a\1"), "/a/", BAD},
        {{.length = "u8", .max_length = 3}, STREAM("\3abc\4"), "abc/", LONG},
        {{.length = "u8", .max_length = 3, .adjust = 2}, STREAM("\1abc\2"), "abc/", LONG},
        {{.length = "u8", .max_length = 1, .adjust = 2}, STREAM("\0"), "", LONG},
        {{.length = "u32be"}, STREAM("\xff\xff\xff\xff"), "", LONG},
        {{.length = "u32le"}, STREAM("\0\0\0\x80"), "", LONG},
        {{.length = "u64be"}, STREAM("\x80\0\0\0\0\0\0\0"), "", LONG},
        {{.length = "u64be", .max_length = TCPM_NONE},
         STREAM("\xff\xff\xff\xff\xff\xff\xff\xff"),
         "",
         LONG},
        {{.length = "u64be", .max_length = TCPM_NONE, .adjust = INT32_MAX},
         STREAM("\x40\0\0\0\0\0\0\0"),
         "",
         LONG},
        {{.length = "varint"}, STREAM("\xff\xff\xff\xff"), "", LONG},
        {{.length = "varint"}, STREAM("\x80\x80\x80\x80\x80\x80\x80\x80\x80"), "", BAD},
        {{.length = "varint", .max_length = TCPM_NONE},
         STREAM("\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
         "",
         BAD},
        {{.length = "varint", .max_length = TCPM_NONE},
         STREAM("\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
         "",
         LONG},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

/* FAULTS I25: the largest length that is allowed is waited for, and nothing overflows on the way.
 */
static void test_an_allowed_length_is_waited_for_with_the_right_need(void **state)
{
    static const struct {
        struct tcpm_block_options options;
        const char *stream;
        size_t length, need;
    } rows[] = {
        {{.block_size = 100}, STREAM("abc"), 100},
        {{.length = "u16be"}, STREAM("\1"), 2},
        {{.length = "u16be"}, STREAM("\1\0abc"), 258},
        {{.length = "u32be"}, STREAM("\1\0\0\0"), 16777220},
        {{.length = "u32be", .offset = 4, .header = 1}, STREAM("abcd"), 5},
        {{.length = "u32be", .offset = 4, .header = 1}, STREAM("abcd\0"), 8},
        {{.length = "varint"}, STREAM("\x80"), 0},
        {{.length = "varint"}, STREAM("\x80\1"), 130},
        {{.length = "u64be", .max_length = TCPM_NONE},
         STREAM("\x3f\xff\xff\xff\xff\xff\xff\xff"),
         0x3fffffffffffffff + 8},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tcpm_filter *filter = make(rows[i].options);
        struct tcpm__instance *codec = NULL;
        struct tcpm_cut cut = {.seen = 0};
        assert_int_equal(tcpm__instance_open(filter, &codec), 0);
        assert_int_equal(tcpm__instance_get(codec, rows[i].stream, rows[i].length, &cut), 0);
        assert_int_equal(cut.need, rows[i].need);
        assert_int_equal(cut.used, 0);
        tcpm__instance_drop(codec);
        tcpm_filter_free(filter);
    }
}

static void check_put(struct tcpm_block_options options, const char *record, size_t length,
                      const char *expected, size_t expected_length, int result)
{
    struct tcpm_filter *filter = make(options);
    struct tcpm__instance *codec = NULL;
    struct tcpm_out out;

    tcpm__out_init(&out, &tcpm__memory_default);
    assert_int_equal(tcpm__instance_open(filter, &codec), 0);
    assert_int_equal(tcpm__instance_put(codec, record, length, &out), result);
    if (result == 0) {
        assert_int_equal(out.length, expected_length);
        assert_memory_equal(out.bytes, expected, expected_length);
    }
    tcpm__instance_drop(codec);
    tcpm__out_free(&out);
    tcpm_filter_free(filter);
}

static void test_put_writes_the_length(void **state)
{
    static const struct {
        struct tcpm_block_options options;
        const char *expected;
        size_t length;
    } rows[] = {
        {{.length = "u8"}, STREAM("\3abc")},
        {{.length = "u16be"}, STREAM("\0\3abc")},
        {{.length = "u16le"}, STREAM("\3\0abc")},
        {{.length = "u24be"}, STREAM("\0\0\3abc")},
        {{.length = "u24le"}, STREAM("\3\0\0abc")},
        {{.length = "u32be"}, STREAM("\0\0\0\3abc")},
        {{.length = "u32le"}, STREAM("\3\0\0\0abc")},
        {{.length = "u64be"}, STREAM("\0\0\0\0\0\0\0\3abc")},
        {{.length = "ascii0"}, STREAM("3\0abc")},
        {{.length = "varint"}, STREAM("\3abc")},
        {{.length = "u8", .adjust = -4}, STREAM("\7abc")},
        {{.length = "u8", .adjust = 3}, STREAM("\0abc")},
        {{.length = "u8", .header = 1}, STREAM("abc")},
        {{.block_size = 7}, STREAM("abc")},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check_put(rows[i].options, "abc", 3, rows[i].expected, rows[i].length, 0);
    check_put((struct tcpm_block_options){.length = "u32be"}, "", 0, STREAM("\0\0\0\0"), 0);
    /* a varint of two bytes: 127 is the last of one, and adjust makes it 300 */
    check_put((struct tcpm_block_options){.length = "varint", .adjust = -297}, "abc", 3,
              STREAM("\xac\2abc"), 0);
    check_put((struct tcpm_block_options){.length = "varint", .adjust = -124}, "abc", 3,
              STREAM("\x7f"
                     "abc"),
              0);
}

static void test_put_refuses_what_does_not_fit_the_field(void **state)
{
    static const struct {
        const char *encoding;
        size_t most;
    } rows[] = {
        {"u8", 255}, {"u16be", 65535}, {"u16le", 65535}, {"u24be", 16777215}, {"u24le", 16777215}};
    char *record = calloc(1, 16777216 + 10);

    (void) state;
    assert_non_null(record);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tcpm_block_options options = {.length = rows[i].encoding};
        struct tcpm_filter *filter = make(options);
        struct tcpm__instance *codec = NULL;
        struct tcpm_out out;
        tcpm__out_init(&out, &tcpm__memory_default);
        assert_int_equal(tcpm__instance_open(filter, &codec), 0);
        assert_int_equal(tcpm__instance_put(codec, record, rows[i].most, &out), 0);
        size_t field = out.length - rows[i].most;
        for (size_t at = 0; at < field; at++)
            assert_int_equal((unsigned char) out.bytes[at], 0xff);
        tcpm__out_reset(&out, SIZE_MAX);
        assert_int_equal(tcpm__instance_put(codec, record, rows[i].most + 1, &out), -EMSGSIZE);
        assert_int_equal(out.length, 0);
        tcpm__instance_drop(codec);
        tcpm__out_free(&out);
        tcpm_filter_free(filter);
    }
    free(record);
    /* a record shorter than what adjust adds has no length */
    check_put((struct tcpm_block_options){.length = "u8", .adjust = 4}, "abc", 3, NULL, 0,
              -EMSGSIZE);
    check_put((struct tcpm_block_options){.length = "u8", .adjust = -254}, "abc", 3, NULL, 0,
              -EMSGSIZE);
}

static void test_what_cannot_be_is_refused(void **state)
{
    static const struct tcpm_block_options rows[] = {
        {.block_size = 0},
        {.block_size = -1},
        {.block_size = 5, .length = "u8"},
        {.block_size = 5, .header = 1},
        {.block_size = 5, .offset = 1},
        {.block_size = 5, .adjust = 1},
        {.block_size = 5, .max_length = 4},
        {.block_size = 16777217},
        {.length = "u9"},
        {.length = ""},
        {.length = "U8"},
        {.length = "u8", .offset = 1},
        {.length = "u8", .offset = -1, .header = 1},
        {.length = "u8", .offset = 65537, .header = 1},
        {.length = "u8", .header = 2},
        {.length = "u8", .header = -1},
        {.length = "u8", .max_length = -2},
        {.length = "u8", .adjust = INT64_C(1) << 31},
        {.length = "u8", .adjust = INT64_MIN},
    };
    struct tcpm_filter *filter = NULL;

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tcpm_block_options options = rows[i];
        options.size = sizeof options;
        assert_int_equal(tcpm_filter_block(&options, &filter), -EINVAL);
        assert_null(filter);
    }
    assert_int_equal(tcpm_filter_block(NULL, &filter), -EINVAL);
    assert_int_equal(tcpm_filter_block(&rows[0], &filter), -EINVAL);
    assert_int_equal(tcpm_filter_block(&rows[0], NULL), -EINVAL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_blocks_of_a_fixed_size),
    cmocka_unit_test(test_every_encoding_of_a_length),
    cmocka_unit_test(test_offset_adjust_and_header),
    cmocka_unit_test(test_a_length_that_cannot_be_is_an_error_at_once),
    cmocka_unit_test(test_an_allowed_length_is_waited_for_with_the_right_need),
    cmocka_unit_test(test_put_writes_the_length),
    cmocka_unit_test(test_put_refuses_what_does_not_fit_the_field),
    cmocka_unit_test(test_what_cannot_be_is_refused),
};

RUN_TESTS(tests)
