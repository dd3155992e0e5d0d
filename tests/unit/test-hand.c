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
    cmocka_unit_test(test_misuse),
};

RUN_TESTS(tests)
