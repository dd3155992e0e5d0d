/* SPDX-License-Identifier: MIT */
/* Filters by hand: without a connection, by the public functions alone. */
#include "support.h"

#include "tcpmulti.h"

#include <errno.h>

static struct tcpm_codec *open_line(void)
{
    struct tcpm_filter *filter = NULL;
    struct tcpm_codec *codec = NULL;

    assert_int_equal(tcpm_filter_line(NULL, &filter), 0);
    assert_int_equal(tcpm_codec_open(filter, &codec), 0);
    tcpm_filter_free(filter); /* the codec keeps it */
    return codec;
}

static void feed(struct tcpm_codec *codec, const char *text)
{
    assert_int_equal(tcpm_codec_feed(codec, text, strlen(text)), 0);
}

static void assert_record(struct tcpm_codec *codec, const char *text)
{
    struct tcpm_record record = {0};

    assert_int_equal(tcpm_codec_get_one(codec, &record), 1);
    assert_int_equal(record.length, strlen(text));
    assert_memory_equal(record.bytes, text, record.length);
}

static void assert_pending(struct tcpm_codec *codec, const char *text)
{
    struct tcpm_record bytes = {0};

    assert_int_equal(tcpm_codec_pending(codec, &bytes), 0);
    assert_int_equal(bytes.length, strlen(text));
    assert_memory_equal(bytes.bytes, text, bytes.length);
}

static void test_records_come_out_of_what_is_fed(void **state)
{
    struct tcpm_codec *codec = open_line();
    struct tcpm_record record;

    (void) state;
    assert_int_equal(tcpm_codec_get_one(codec, &record), 0);
    feed(codec, "one\r\ntwo\nthr");
    assert_record(codec, "one");
    assert_record(codec, "two");
    assert_int_equal(tcpm_codec_get_one(codec, &record), 0);
    assert_pending(codec, "thr");
    feed(codec, "");
    feed(codec, "ee\n");
    assert_record(codec, "three");
    assert_pending(codec, "");
    tcpm_codec_close(codec);
}

static void test_a_line_end_cut_in_two_is_one(void **state)
{
    struct tcpm_codec *codec = open_line();
    struct tcpm_record record;

    (void) state;
    feed(codec, "a\r");
    assert_record(codec, "a");
    feed(codec, "\nb\r\n");
    assert_record(codec, "b");
    feed(codec, "c\r");
    assert_record(codec, "c");
    feed(codec, "\n");
    assert_pending(codec, "");
    assert_int_equal(tcpm_codec_get_one(codec, &record), 0);
    tcpm_codec_close(codec);
}

static void test_put_and_errors(void **state)
{
    struct tcpm_filter *filter = NULL;
    struct tcpm_codec *codec = NULL;
    struct tcpm_record bytes = {0};

    (void) state;
    assert_int_equal(tcpm_filter_netstring(10, &filter), 0);
    assert_int_equal(tcpm_codec_open(filter, &codec), 0);
    tcpm_filter_free(filter);
    assert_int_equal(tcpm_codec_put(codec, "hello", 5, &bytes), 0);
    assert_int_equal(bytes.length, 8);
    assert_memory_equal(bytes.bytes, "5:hello,", 8);
    assert_int_equal(tcpm_codec_put(codec, NULL, 0, &bytes), 0);
    assert_int_equal(bytes.length, 3);
    feed(codec, "11:");
    assert_int_equal(tcpm_codec_get_one(codec, &bytes), TCPM_ETOOLONG);
    tcpm_codec_close(codec);
}

static struct tcpm_codec *open_filter(struct tcpm_filter *filter)
{
    struct tcpm_codec *codec = NULL;

    assert_int_equal(tcpm_codec_open(filter, &codec), 0);
    tcpm_filter_free(filter);
    return codec;
}

/* Of the filters that pass records on unchanged too: the caller's record may be gone by then. */
static void test_what_put_lends_is_the_codecs_own(void **state)
{
    const struct tcpm_block_options blocks = {.size = sizeof blocks, .block_size = 6};
    struct tcpm_filter *stream = NULL, *block = NULL;
    struct tcpm_record lent[2];
    char record[] = "record";

    (void) state;
    assert_int_equal(tcpm_filter_stream(&stream), 0);
    assert_int_equal(tcpm_filter_block(&blocks, &block), 0);
    struct tcpm_codec *codecs[] = {open_filter(stream), open_filter(block)};
    for (size_t i = 0; i < COUNT(codecs); i++) {
        assert_int_equal(tcpm_codec_put(codecs[i], "before", 6, &lent[i]), 0);
        assert_int_equal(tcpm_codec_put(codecs[i], record, 6, &lent[i]), 0);
        assert_int_equal(lent[i].length, 6);
    }
    memset(record, '#', 6);
    for (size_t i = 0; i < COUNT(codecs); i++) {
        assert_memory_equal(lent[i].bytes, "record", 6);
        assert_int_equal(tcpm_codec_put(codecs[i], "", 0, &lent[i]), 0);
        assert_int_equal(lent[i].length, 0);
        tcpm_codec_close(codecs[i]);
    }
}

/* For a caller who gives the bytes to somebody else: a connection, another filter. */
static void test_what_is_held_can_be_moved_elsewhere(void **state)
{
    struct tcpm_codec *codec = open_line();
    struct tcpm_record record;

    (void) state;
    assert_int_equal(tcpm_codec_swallow(codec), 0);
    feed(codec, "a\r");
    assert_record(codec, "a");
    assert_int_equal(tcpm_codec_swallow(codec), '\n');
    assert_int_equal(tcpm_codec_swallow(codec), 0); /* it is the caller's now */
    feed(codec, "\nrest");
    assert_record(codec, "");
    assert_pending(codec, "rest");
    assert_int_equal(tcpm_codec_clear(codec), 0);
    assert_pending(codec, "");
    assert_int_equal(tcpm_codec_get_one(codec, &record), 0);
    feed(codec, "b\n");
    assert_record(codec, "b");
    assert_int_equal(tcpm_codec_swallowed(codec, 2), -EINVAL);
    assert_int_equal(tcpm_codec_swallowed(NULL, 1), -EINVAL);
    assert_int_equal(tcpm_codec_clear(NULL), -EINVAL);
    assert_int_equal(tcpm_codec_swallow(NULL), -EINVAL);
    tcpm_codec_close(codec);
}

/* The one filter that is to know: its first line end is one byte or two. */
static void test_auto_is_told_what_became_of_the_byte(void **state)
{
    static const char *const lines[] = {"b", "b\nc"};

    (void) state;
    for (int came = 0; came <= 1; came++) {
        const struct tcpm_line_options options = {.size = sizeof options, .ends = TCPM_ENDS_AUTO};
        struct tcpm_filter *filter = NULL;

        assert_int_equal(tcpm_filter_line(&options, &filter), 0);
        struct tcpm_codec *codec = open_filter(filter);
        feed(codec, "a\n");
        assert_record(codec, "a");
        assert_int_equal(tcpm_codec_swallow(codec), '\r');
        assert_int_equal(tcpm_codec_swallowed(codec, came), 0);
        feed(codec, "b\nc\n\r");
        assert_record(codec, lines[came]);
        tcpm_codec_close(codec);
    }
}

static void test_what_is_too_long_says_how_long(void **state)
{
    struct tcpm_filter *filter = NULL;
    struct tcpm_record record;

    (void) state;
    assert_int_equal(tcpm_filter_netstring(10, &filter), 0);
    struct tcpm_codec *codec = open_filter(filter), *other = open_line();
    assert_string_equal(tcpm_codec_message(codec), "no error");
    assert_string_equal(tcpm_codec_message(NULL), "");
    feed(codec, "11:");
    assert_int_equal(tcpm_codec_get_one(codec, &record), TCPM_ETOOLONG);
    assert_string_equal(tcpm_codec_message(codec),
                        "a netstring of length 11 or more, the limit is 10");
    tcpm_codec_close(codec);
    tcpm_codec_close(other);
}

/* Holds two records for each byte: it is asked until it has no more, although all is used. */
static int twice(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    char *held = self;

    if (length > 0) {
        held[0] = bytes[0];
        cut->used = 1;
        cut->more = 1;
    } else if (held[0] == '\0') {
        return 0;
    }
    held[1] = held[0];
    if (length == 0)
        held[0] = '\0';
    cut->record = held + 1;
    cut->length = 1;
    return 1;
}

static int put_nothing(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    (void) self;
    (void) record;
    (void) length;
    (void) out;
    return -EPERM;
}

static void test_records_that_the_filter_holds_itself(void **state)
{
    const struct tcpm_filter_kind kind = {
        .size = sizeof kind,
        .name = "twice",
        .self_size = 2,
        .get_one = twice,
        .put = put_nothing,
    };
    struct tcpm_filter *filter = NULL;
    struct tcpm_codec *codec = NULL;
    struct tcpm_record record;

    (void) state;
    assert_int_equal(tcpm_filter_custom(&kind, NULL, &filter), 0);
    assert_int_equal(tcpm_codec_open(filter, &codec), 0);
    feed(codec, "x");
    assert_record(codec, "x");
    assert_record(codec, "x");
    assert_int_equal(tcpm_codec_get_one(codec, &record), 0);
    assert_int_equal(tcpm_codec_put(codec, "x", 1, &record), -EPERM);
    tcpm_codec_close(codec);
    tcpm_filter_free(filter);
}

/* Records of three bytes; at the end what is left, and what became of the awaited byte. */
static int get_three(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    (void) self;
    if (length < 3)
        return 0;
    cut->record = bytes;
    cut->length = cut->used = 3;
    cut->swallow = '.';
    return 1;
}

static int finish_three(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    assert_int_equal(cut->seen, 0);
    if (length == 2) {
        cut->message = "two are left";
        return TCPM_EFILTER;
    }
    cut->used = length;
    if (length == 1 && bytes[0] == '-')
        return 0;
    cut->length = (size_t) snprintf(self, 16, "%d:%.*s", cut->swallowed, (int) length, bytes);
    cut->record = self;
    return 1;
}

static struct tcpm_codec *open_three(void)
{
    const struct tcpm_filter_kind kind = {
        .size = sizeof kind,
        .name = "three",
        .self_size = 16,
        .get_one = get_three,
        .put = put_nothing,
        .finish = finish_three,
    };
    struct tcpm_filter *filter = NULL;
    struct tcpm_codec *codec = NULL;

    assert_int_equal(tcpm_filter_custom(&kind, NULL, &filter), 0);
    assert_int_equal(tcpm_codec_open(filter, &codec), 0);
    tcpm_filter_free(filter);
    return codec;
}

/* Feeds the bytes, takes all records of three, and asks for the last one. */
static int finish(struct tcpm_codec *codec, const char *bytes, struct tcpm_record *ret)
{
    feed(codec, bytes);
    while (tcpm_codec_get_one(codec, ret) == 1)
        ;
    return tcpm_codec_finish(codec, ret);
}

static void test_C63_the_last_record_by_hand(void **state)
{
    static const char *const rows[][2] = {
        {"", "0:"}, {"abc", "0:"}, {"abc.", "1:"}, {"abcd", "0:d"}, {"abc.d", "1:d"}};
    struct tcpm_record record;
    struct tcpm_codec *codec;

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        codec = open_three();
        assert_int_equal(finish(codec, rows[i][0], &record), 1);
        assert_int_equal(record.length, strlen(rows[i][1]));
        assert_memory_equal(record.bytes, rows[i][1], record.length);
        assert_int_equal(tcpm_codec_get_one(codec, &record), 0);
        assert_int_equal(tcpm_codec_pending(codec, &record), 0);
        assert_int_equal(record.length, 0);
        tcpm_codec_close(codec);
    }
    codec = open_three();
    assert_int_equal(finish(codec, "-", &record), 0);
    assert_int_equal(tcpm_codec_pending(codec, &record), 0);
    assert_int_equal(record.length, 0); /* used without a record */
    assert_int_equal(finish(codec, "ab", &record), TCPM_EFILTER);
    assert_string_equal(tcpm_codec_message(codec), "two are left");
    assert_int_equal(tcpm_codec_finish(codec, NULL), -EINVAL);
    assert_int_equal(tcpm_codec_finish(NULL, &record), -EINVAL);
    tcpm_codec_close(codec);
}

static void test_C63_a_filter_without_finish_makes_no_last_record(void **state)
{
    struct tcpm_filter *filter = NULL;
    struct tcpm_codec *codec = NULL;
    struct tcpm_record record;

    (void) state;
    assert_int_equal(tcpm_filter_line(NULL, &filter), 0);
    assert_int_equal(tcpm_codec_open(filter, &codec), 0);
    assert_int_equal(finish(codec, "rest", &record), 0);
    assert_int_equal(tcpm_codec_pending(codec, &record), 0);
    assert_int_equal(record.length, 4);
    tcpm_codec_close(codec);
    tcpm_filter_free(filter);
}

static void test_misuse(void **state)
{
    struct tcpm_codec *codec = NULL;
    struct tcpm_record record;

    (void) state;
    assert_int_equal(tcpm_codec_open(NULL, &codec), -EINVAL);
    assert_int_equal(tcpm_codec_feed(NULL, "", 0), -EINVAL);
    assert_int_equal(tcpm_codec_get_one(NULL, &record), -EINVAL);
    assert_int_equal(tcpm_codec_pending(NULL, &record), -EINVAL);
    assert_int_equal(tcpm_codec_put(NULL, "", 0, &record), -EINVAL);
    tcpm_codec_close(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_records_come_out_of_what_is_fed),
    cmocka_unit_test(test_a_line_end_cut_in_two_is_one),
    cmocka_unit_test(test_put_and_errors),
    cmocka_unit_test(test_records_that_the_filter_holds_itself),
    cmocka_unit_test(test_C63_the_last_record_by_hand),
    cmocka_unit_test(test_C63_a_filter_without_finish_makes_no_last_record),
    cmocka_unit_test(test_misuse),
    cmocka_unit_test(test_what_put_lends_is_the_codecs_own),
    cmocka_unit_test(test_what_is_held_can_be_moved_elsewhere),
    cmocka_unit_test(test_auto_is_told_what_became_of_the_byte),
    cmocka_unit_test(test_what_is_too_long_says_how_long),
};

RUN_TESTS(tests)
