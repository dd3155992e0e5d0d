/* SPDX-License-Identifier: MIT */
/* The line filter: every way to end a line, row by row. */
#include "decode.h"

#include <errno.h>

/* "|" in a stream is where it is cut into two reads. */
struct row {
    const char *stream, *records, *pending;
    int error;
};

static struct tcpm_filter *make(struct tcpm_line_options options)
{
    struct tcpm_filter *filter = NULL;

    options.size = sizeof options;
    assert_int_equal(tcpm_filter_line(&options, &filter), 0);
    return filter;
}

static void check_row(struct tcpm_filter *filter, const struct row *row)
{
    char stream[256];
    size_t places[64], length = 0, count = 0;
    struct decoded decoded;

    for (const char *at = row->stream; *at != '\0'; at++)
        if (*at == '|')
            places[count++] = length;
        else
            stream[length++] = *at;
    decode(filter, stream, length, places, count, &decoded);
    assert_decoded(&decoded, row->records);
    assert_int_equal(decoded.error, row->error);
    if (row->pending != NULL) {
        assert_int_equal(decoded.pending_length, strlen(row->pending));
        assert_memory_equal(decoded.pending, row->pending, decoded.pending_length);
    }
    decoded_free(&decoded);
}

static void check_rows(struct tcpm_line_options options, const struct row *rows, size_t count)
{
    struct tcpm_filter *filter = make(options);

    for (size_t i = 0; i < count; i++)
        check_row(filter, &rows[i]);
    tcpm_filter_free(filter);
}

static void test_any_of_crlf_lf_and_cr(void **state)
{
    static const struct row rows[] = {
        {"", "", "", 0},
        {"a\nb\r\nc\rd", "a/b/c/", "d", 0},
        {"a\r|\nb\r\n", "a/b/", "", 0},              /* X3 */
        {"a\r|\nb\r\nc\n|d\r\n", "a/b/c/d/", "", 0}, /* X7 */
        {"a\r|b\n", "a/b/", "", 0},
        {"a\n\rb\n", "a//b/", "", 0}, /* LF CR is two line ends */
        {"a\r\r\n\n", "a///", "", 0},
        {"\r\n\r\n", "//", "", 0},
        {"\r|\r|\n|\n", "///", "", 0},
        {"abc", "", "abc", 0},
        {"ab|c\n", "abc/", "", 0},
        {"\x80\xff\n", "\x80\xff/", "", 0},
    };

    (void) state;
    check_rows((struct tcpm_line_options){.size = 0}, rows, COUNT(rows));
}

static void test_lf_with_one_cr_dropped(void **state)
{
    static const struct row rows[] = {
        {"a\nb\r\nc\rd\n", "a/b/c\rd/", "", 0},
        {"a\r|\nb", "a/", "b", 0},
        {"a\r\r\n", "a\r/", "", 0},
        {"\r\n\n", "//", "", 0},
        {"a\n\rb\n", "a/\rb/", "", 0},
        {"a\r", "", "a\r", 0},
    };

    (void) state;
    check_rows((struct tcpm_line_options){.ends = TCPM_ENDS_LF}, rows, COUNT(rows));
}

static void test_auto_keeps_what_the_first_line_end_was(void **state)
{
    static const struct row rows[] = {
        {"a\r|\nb\r\nc\n|d\r\n", "a/b/c\nd/", "", 0}, /* X7 */
        {"a\n|b\r\nc\n", "a/b\r/c/", "", 0},
        {"a\r|b\nc\r", "a/b\nc/", "", 0},
        {"a\n|\rb\nc\n\r", "a/b\nc/", "", 0}, /* as the Perl original */
        {"a\r\r\n", "a//", "\n", 0},
        {"a\n\n", "a//", "", 0},
        {"a\r", "a/", "", 0}, /* a peer that now waits for an answer sends no byte behind it */
        {"a\n", "a/", "", 0},
        {"\n|x|\n", "/x/", "", 0},
        {"a\r|\nb\r|\nc\r\n", "a/b/c/", "", 0},
        {"a\r|\n|\nb\n\r\n", "a/\nb\n/", "", 0},
        {"a\r|\r|\n\r", "a//\n/", "", 0},
        {"a\n|\r|b\n\r", "a/b/", "", 0},
        {"a\n|\n|b\r\n", "a//b\r/", "", 0},
        {"\r|\n|\r|\n", "//", "", 0},
    };

    (void) state;
    check_rows((struct tcpm_line_options){.ends = TCPM_ENDS_AUTO}, rows, COUNT(rows));
}

/* What lies in front of the byte that would settle it was put back by the handler. */
static void test_auto_waits_for_nothing_while_it_is_not_settled(void **state)
{
    struct tcpm_filter *filter = make((struct tcpm_line_options){.ends = TCPM_ENDS_AUTO});
    struct tcpm__instance *codec = NULL;
    struct tcpm_cut cut = {.seen = 0};
    static const struct {
        const char *bytes;
        int swallowed;
        size_t record, used;
        int swallow;
    } rows[] = {{"one\r", 0, 3, 4, '\n'},           {"two\r\nx", -1, 3, 5, 0},
                {"x\ry\r\n", -1, 1, 2, 0},          {"y\r", -1, 1, 2, '\n'},
                {"l\nm\r", -1, 3, 4, '\n'},         {"z\ry\r\n", 1, 3, 5, 0},
                {"once\nsettled\r\n", 0, 12, 14, 0}};

    (void) state;
    assert_int_equal(tcpm__instance_open(filter, &codec), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        cut = (struct tcpm_cut){.swallowed = rows[i].swallowed};
        assert_int_equal(tcpm__instance_get(codec, rows[i].bytes, strlen(rows[i].bytes), &cut), 1);
        assert_int_equal(cut.length, rows[i].record);
        assert_int_equal(cut.used, rows[i].used);
        assert_int_equal(cut.swallow, rows[i].swallow);
    }
    tcpm__instance_drop(codec);
    tcpm_filter_free(filter);
}

static void test_auto_is_found_anew_by_each_connection(void **state)
{
    struct tcpm_filter *filter = make((struct tcpm_line_options){.ends = TCPM_ENDS_AUTO});
    static const struct row rows[] = {
        {"a\rb\r|", "a/b/", "", 0}, {"a\nb\n", "a/b/", "", 0}, {"a\r\nb\n\r\n", "a/b\n/", "", 0}};

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check_row(filter, &rows[i]);
    tcpm_filter_free(filter);
}

static void test_exactly_a_literal(void **state)
{
    static const struct row bar[] = {{"a;b", "a/", "b", 0}, {";;", "//", "", 0}}; /* X4 */
    static const struct row dots[] = {
        {"a.|.|.b", "", "a...b", 0},
        {"a\r\n.|\r\nb\r\n.\r\n", "a/b/", "", 0},
        {"a\r\n\r\n.\r\n", "a\r\n/", "", 0},
        {"\r|\n|.|\r|\n", "/", "", 0},
    };
    static const struct row again[] = {
        {"aab", "/", "", 0}, {"aaab", "a/", "", 0}, {"aa|aab", "aa/", "", 0}};
    static const struct row crlf[] = {{"a\nb\rc\r|\n", "a\nb\rc/", "", 0}};

    (void) state;
    check_rows((struct tcpm_line_options){.input_literal = ";"}, bar, COUNT(bar));
    check_rows((struct tcpm_line_options){.input_literal = "\r\n.\r\n"}, dots, COUNT(dots));
    check_rows((struct tcpm_line_options){.input_literal = "aab"}, again, COUNT(again));
    check_rows((struct tcpm_line_options){.input_literal = "\r\n"}, crlf, COUNT(crlf));
}

static void test_a_literal_may_have_nul_bytes(void **state)
{
    struct tcpm_filter *filter = make((struct tcpm_line_options){.input_literal = "\0\1",
                                                                 .input_literal_length = 2,
                                                                 .output_literal = "\0",
                                                                 .output_literal_length = 1});
    struct decoded decoded;

    (void) state;
    decode(filter, "a\0b\0\1c", 6, NULL, 0, &decoded);
    assert_int_equal(decoded.count, 1);
    assert_int_equal(decoded.length, 3);
    assert_memory_equal(decoded.bytes, "a\0b", 3);
    decoded_free(&decoded);
    tcpm_filter_free(filter);
}

/* X8, X9: a record may have exactly max_length bytes, and one more is refused as soon as no
   continuation could make it right. */
static void test_max_length_holds_for_unfinished_records_too(void **state)
{
    enum { LONG = TCPM_ETOOLONG };
    static const struct row any[] = {
        {"abc\n", "abc/", "", 0},   {"abc|", "", "abc", 0},      {"abc|d", "", "abcd", LONG},
        {"abcd\n", "", NULL, LONG}, {"abc\r|\n", "abc/", "", 0}, {"x\nabcdefgh", "x/", NULL, LONG},
    };
    static const struct row lf[] = {
        {"abc\r\n", "abc/", "", 0},    {"abc\r|", "", "abc\r", 0},  {"abcd|", "", NULL, LONG},
        {"abc\r|x", "", NULL, LONG},   {"abc\r|\n", "abc/", "", 0}, {"abcd\n", "", NULL, LONG},
        {"abc\r\r\n", "", NULL, LONG},
    };
    static const struct row literal[] = {
        {"abc-+-", "abc/", "", 0},   {"abc-|+|-", "abc/", "", 0}, {"abcd", "", NULL, LONG},
        {"abc-|x", "", NULL, LONG},  {"abc-+|", "", "abc-+", 0},  {"abc-+|x", "", NULL, LONG},
        {"abcd-+-", "", NULL, LONG},
    };
    static const struct row at_first[] = {
        {"abc\n|x", "abc/", "x", 0}, {"abcd", "", NULL, LONG}, {"a\n|abcd", "a/", NULL, LONG}};

    (void) state;
    check_rows((struct tcpm_line_options){.max_length = 3}, any, COUNT(any));
    check_rows((struct tcpm_line_options){.max_length = 3, .ends = TCPM_ENDS_LF}, lf, COUNT(lf));
    check_rows((struct tcpm_line_options){.max_length = 3, .input_literal = "-+-"}, literal,
               COUNT(literal));
    check_rows((struct tcpm_line_options){.max_length = 3, .ends = TCPM_ENDS_AUTO}, at_first,
               COUNT(at_first));
}

static void test_the_default_limit_is_64_kib(void **state)
{
    static const struct {
        size_t length;
        int64_t max_length;
        int error;
    } rows[] = {{65536, 0, 0}, {65537, 0, TCPM_ETOOLONG}, {200000, TCPM_NONE, 0}};
    char *stream = malloc(200001);

    (void) state;
    assert_non_null(stream);
    memset(stream, 'x', 200001);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tcpm_filter *filter =
            make((struct tcpm_line_options){.max_length = rows[i].max_length});
        struct decoded decoded;
        stream[rows[i].length] = '\n';
        decode(filter, stream, rows[i].length + 1, NULL, 0, &decoded);
        stream[rows[i].length] = 'x';
        assert_int_equal(decoded.error, rows[i].error);
        assert_int_equal(decoded.count, rows[i].error == 0);
        if (rows[i].error != 0)
            assert_string_equal(decoded.message, "a line is longer than 65536 bytes");
        decoded_free(&decoded);
        tcpm_filter_free(filter);
    }
    free(stream);
}

static void check_put(struct tcpm_line_options options, const char *record, const char *expected)
{
    struct tcpm_filter *filter = make(options);
    struct tcpm__instance *codec = NULL;
    struct tcpm_out out;

    tcpm__out_init(&out, &tcpm__memory_default);
    assert_int_equal(tcpm__instance_open(filter, &codec), 0);
    assert_int_equal(tcpm__instance_put(codec, record, strlen(record), &out), 0);
    assert_int_equal(out.length, strlen(expected));
    assert_memory_equal(out.bytes, expected, out.length);
    tcpm__instance_drop(codec);
    tcpm__out_free(&out);
    tcpm_filter_free(filter);
}

static void test_put_appends_the_output_literal(void **state)
{
    (void) state;
    check_put((struct tcpm_line_options){.size = 0}, "x", "x\r\n"); /* X1 */
    check_put((struct tcpm_line_options){.size = 0}, "", "\r\n");
    check_put((struct tcpm_line_options){.size = 0}, "x\n", "x\n\r\n");
    check_put((struct tcpm_line_options){.ends = TCPM_ENDS_LF}, "x", "x\r\n");
    check_put((struct tcpm_line_options){.ends = TCPM_ENDS_AUTO}, "x", "x\r\n");
    check_put((struct tcpm_line_options){.input_literal = "|"}, "x", "x\r\n");
    check_put((struct tcpm_line_options){.input_literal = "|", .output_literal = ";;;"}, "x",
              "x;;;");
    check_put((struct tcpm_line_options){.ends = TCPM_ENDS_AUTO, .output_literal = "--"}, "x",
              "x--");
    check_put((struct tcpm_line_options){.output_literal = ""}, "x", "x");
}

static void test_what_cannot_be_is_refused(void **state)
{
    char *large = malloc(5001);
    struct tcpm_filter *filter = NULL;

    (void) state;
    assert_non_null(large);
    memset(large, 'x', 5000);
    large[5000] = '\0';
    const struct tcpm_line_options rows[] = {
        {.ends = 3},
        {.ends = -1},
        {.max_length = -2},
        {.max_length = INT64_MIN},
        {.input_literal = ""},
        {.input_literal = "x", .ends = TCPM_ENDS_LF},
        {.input_literal = "x", .ends = TCPM_ENDS_AUTO},
        {.input_literal = large},
        {.output_literal = large},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tcpm_line_options options = rows[i];
        options.size = sizeof options;
        assert_int_equal(tcpm_filter_line(&options, &filter), -EINVAL);
        assert_null(filter);
    }
    struct tcpm_line_options unsized = {.max_length = 5};
    assert_int_equal(tcpm_filter_line(&unsized, &filter), -EINVAL);
    assert_int_equal(tcpm_filter_line(NULL, NULL), -EINVAL);
    assert_int_equal(tcpm_filter_line(NULL, &filter), 0);
    tcpm_filter_free(filter);
    free(large);
}

static void test_literals_are_copied(void **state)
{
    char literal[] = ";";
    struct tcpm_filter *filter =
        make((struct tcpm_line_options){.input_literal = literal, .output_literal = literal});
    static const struct row row = {"a;b-", "a/", "b-", 0};

    (void) state;
    literal[0] = '-';
    check_row(filter, &row);
    tcpm_filter_free(filter);
}

/* A stream of one kind of line end, or of none, in one piece and byte by byte: were the other kind
   searched for to the end for each record, or the start again for each byte, it would take hours.
 */
static void test_the_time_is_linear_whatever_comes(void **state)
{
    enum { LENGTH = 1 << 20 };
    static const char *const patterns[] = {"\r", "\n",         "\r\n",       "\n\r",
                                           "x",  "xxxxxxxx\r", "\rxxxxxxx\n"};
    static const struct tcpm_line_options kinds[] = {
        {.ends = TCPM_ENDS_ANY},   {.ends = TCPM_ENDS_LF},   {.ends = TCPM_ENDS_AUTO},
        {.input_literal = "\r\n"}, {.input_literal = "xxy"}, {.input_literal = "xxxxxxxxxxxy"}};
    char *stream = malloc(LENGTH);
    double started = cpu_seconds();

    (void) state;
    assert_non_null(stream);
    for (size_t i = 0; i < COUNT(patterns) * COUNT(kinds) * 2; i++) {
        const char *pattern = patterns[i % COUNT(patterns)];
        struct tcpm_line_options options = kinds[i / 2 / COUNT(patterns)];
        bool in_one_piece = i / COUNT(patterns) % 2 == 0;
        options.max_length = TCPM_NONE;
        struct tcpm_filter *filter = make(options);
        struct tcpm__instance *codec = NULL;
        assert_int_equal(tcpm__instance_open(filter, &codec), 0);
        for (size_t at = 0; at < LENGTH; at++)
            stream[at] = pattern[at % strlen(pattern)];
        size_t begin = 0, seen = 0;
        for (size_t end = in_one_piece ? LENGTH : 1; begin < end; end += end < LENGTH) {
            struct tcpm_cut cut = {.seen = seen};
            int result = tcpm__instance_get(codec, stream + begin, end - begin, &cut);
            assert_true(result >= 0);
            begin += cut.used;
            seen = result == 0 ? end - begin : 0;
            if (result == 0 && end == LENGTH)
                break;
        }
        tcpm__instance_drop(codec);
        tcpm_filter_free(filter);
    }
    double seconds = cpu_seconds() - started;
    print_message("# %.2f s\n", seconds);
    assert_true(seconds < 15);
    free(stream);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_any_of_crlf_lf_and_cr),
    cmocka_unit_test(test_lf_with_one_cr_dropped),
    cmocka_unit_test(test_auto_keeps_what_the_first_line_end_was),
    cmocka_unit_test(test_auto_waits_for_nothing_while_it_is_not_settled),
    cmocka_unit_test(test_auto_is_found_anew_by_each_connection),
    cmocka_unit_test(test_exactly_a_literal),
    cmocka_unit_test(test_a_literal_may_have_nul_bytes),
    cmocka_unit_test(test_max_length_holds_for_unfinished_records_too),
    cmocka_unit_test(test_the_default_limit_is_64_kib),
    cmocka_unit_test(test_put_appends_the_output_literal),
    cmocka_unit_test(test_what_cannot_be_is_refused),
    cmocka_unit_test(test_literals_are_copied),
    cmocka_unit_test(test_the_time_is_linear_whatever_comes),
};

RUN_TESTS(tests)
