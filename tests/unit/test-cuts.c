/* SPDX-License-Identifier: MIT */
/*
 * The property that every built-in filter has: any stream of bytes, cut at random places or at
 * every place, gives the same records, the same error and the same rest as the stream in one piece.
 * And what put writes, get gives back.
 */
#include "decode.h"

struct specimen {
    const char *name;
    struct tcpm_filter *filter;
    const char *alphabet; /* bytes that mean something to it, chosen often */
    size_t alphabet_length;
    bool round_trip;      /* get undoes put */
    const char *unwanted; /* bytes that a record cannot have then */
};

enum { SPECIMENS = 80 };

static void add_specimen(struct specimen **next, const char *name, struct tcpm_filter *filter,
                         const char *alphabet, size_t alphabet_length, const char *unwanted)
{
    assert_non_null(filter);
    *(*next)++ = (struct specimen){.name = name,
                                   .filter = filter,
                                   .alphabet = alphabet,
                                   .alphabet_length = alphabet_length,
                                   .round_trip = unwanted != NULL,
                                   .unwanted = unwanted};
}

static void add_line(struct specimen **next, const char *name, struct tcpm_line_options options,
                     const char *unwanted)
{
    struct tcpm_filter *filter = NULL;

    options.size = sizeof options;
    assert_int_equal(tcpm_filter_line(&options, &filter), 0);
    add_specimen(next, name, filter, "\r\n\r\nab.", 7, unwanted);
}

static void add_lines(struct specimen **next)
{
    static const int64_t limits[] = {0, 5, 1, TCPM_NONE};

    for (size_t i = 0; i < COUNT(limits); i++) {
        int64_t max = limits[i];
        const char *free_of = max == 5 || max == 1 ? NULL : "\r\n";
        add_line(next, "line", (struct tcpm_line_options){.max_length = max}, free_of);
        add_line(next, "line lf",
                 (struct tcpm_line_options){.max_length = max, .ends = TCPM_ENDS_LF}, free_of);
        add_line(next, "line auto",
                 (struct tcpm_line_options){.max_length = max, .ends = TCPM_ENDS_AUTO}, free_of);
        add_line(next, "line crlf",
                 (struct tcpm_line_options){.max_length = max, .input_literal = "\r\n"}, free_of);
        add_line(next, "line of one byte",
                 (struct tcpm_line_options){
                     .max_length = max, .input_literal = ".", .output_literal = "."},
                 free_of == NULL ? NULL : ".");
        add_line(next, "line of many bytes",
                 (struct tcpm_line_options){.max_length = max,
                                            .input_literal = "\r\n.\r\n",
                                            .output_literal = "\r\n.\r\n"},
                 free_of == NULL ? NULL : "\r\n");
        add_line(next, "line of a long literal",
                 (struct tcpm_line_options){.max_length = max,
                                            .input_literal = "\r\nab\r\nab.",
                                            .output_literal = "\r\nab\r\nab."},
                 free_of == NULL ? NULL : "\r\n");
        add_line(next, "line that repeats itself",
                 (struct tcpm_line_options){
                     .max_length = max, .input_literal = "aab", .output_literal = "aab"},
                 free_of == NULL ? NULL : "ab");
    }
}

static void add_block(struct specimen **next, const char *name, struct tcpm_block_options options,
                      const char *unwanted)
{
    static const char alphabet[] = "\0\0\0\1\2\3\4\5\x80\xff";
    struct tcpm_filter *filter = NULL;
    bool digits = options.length != NULL && strcmp(options.length, "ascii0") == 0;

    options.size = sizeof options;
    assert_int_equal(tcpm_filter_block(&options, &filter), 0);
    if (digits)
        add_specimen(next, name, filter, "0\0001\0002\0\0003123", 10, unwanted);
    else
        add_specimen(next, name, filter, alphabet, sizeof alphabet - 1, unwanted);
}

static void add_blocks(struct specimen **next)
{
    static const char *const encodings[] = {"u8",    "u16be", "u16le", "u24be",  "u24le",
                                            "u32be", "u32le", "u64be", "ascii0", "varint"};

    for (size_t i = 0; i < COUNT(encodings); i++) {
        const char *length = encodings[i];
        add_block(next, length, (struct tcpm_block_options){.length = length}, "");
        add_block(next, length,
                  (struct tcpm_block_options){
                      .length = length, .max_length = 300, .adjust = -2 + (int64_t) i % 3},
                  NULL);
        add_block(next, length,
                  (struct tcpm_block_options){
                      .length = length, .header = 1, .offset = (int64_t) i, .adjust = -1},
                  NULL);
    }
    add_block(next, "block of 1", (struct tcpm_block_options){.block_size = 1}, NULL);
    add_block(next, "block of 7", (struct tcpm_block_options){.block_size = 7}, NULL);
}

static void add_values(struct specimen **next)
{
    static const struct tcpm_resp_options limits[] = {
        {.max_length = 0}, {.max_length = 9}, {.max_elements = 3}};
    static const char *const alphabets[] = {"*1\r\n$:0_#+", "\r\n\r\n%2$:|1"};

    for (size_t i = 0; i < COUNT(limits) * COUNT(alphabets); i++) {
        const char *alphabet = alphabets[i % COUNT(alphabets)];
        struct tcpm_resp_options options = limits[i / COUNT(alphabets)];
        struct tcpm_filter *filter = NULL;

        options.size = sizeof options;
        assert_int_equal(tcpm_filter_resp(&options, &filter), 0);
        add_specimen(next, "resp", filter, alphabet, strlen(alphabet), NULL);
    }
}

static int setup(void **state)
{
    struct specimen *specimens = calloc(SPECIMENS, sizeof *specimens), *next = specimens;
    struct tcpm_filter *filter = NULL;

    assert_non_null(specimens);
    add_lines(&next);
    add_blocks(&next);
    assert_int_equal(tcpm_filter_netstring(0, &filter), 0);
    add_specimen(&next, "netstring", filter, "0:,1:a,", 7, "");
    assert_int_equal(tcpm_filter_netstring(12, &filter), 0);
    add_specimen(&next, "short netstring", filter, "012:,", 5, NULL);
    add_values(&next);
    assert_true(next < specimens + SPECIMENS);
    *state = specimens;
    return 0;
}

static int teardown(void **state)
{
    for (struct specimen *one = *state; one->filter != NULL; one++)
        tcpm_filter_free(one->filter);
    free(*state);
    return 0;
}

static size_t make_stream(const struct specimen *one, struct randomness *random, char *stream,
                          size_t room)
{
    size_t length = random_below(random, room);
    uint64_t wild = random_below(random, 4); /* 0: only what means something */

    for (size_t i = 0; i < length; i++) {
        bool any = wild > 0 && random_below(random, 4 * wild) == 0;
        stream[i] = any ? (char) random_next(random)
                        : one->alphabet[random_below(random, one->alphabet_length)];
    }
    return length;
}

static void assert_same(const struct specimen *one, const struct decoded *a,
                        const struct decoded *b)
{
    bool same = a->count == b->count && a->length == b->length && a->error == b->error &&
                strcmp(a->message, b->message) == 0;

    for (size_t i = 0; same && i < a->count; i++)
        same = a->ends[i] == b->ends[i];
    if (same && a->length > 0)
        same = memcmp(a->bytes, b->bytes, a->length) == 0;
    /* after an error what is left depends on how much had come */
    if (same && a->error == 0)
        same = a->pending_length == b->pending_length &&
               memcmp(a->pending, b->pending, a->pending_length) == 0;
    if (!same)
        fail_msg("%s: %zu and %zu records, errors %d and %d (%s; %s), %zu and %zu bytes left",
                 one->name, a->count, b->count, a->error, b->error, a->message, b->message,
                 a->pending_length, b->pending_length);
}

static void compare(const struct specimen *one, const char *stream, size_t length,
                    const size_t *places, size_t count, const struct decoded *whole)
{
    struct decoded cut;

    decode(one->filter, stream, length, places, count, &cut);
    assert_same(one, whole, &cut);
    decoded_free(&cut);
}

static size_t pick_places(struct randomness *random, size_t length, size_t *places)
{
    size_t count = 0, step = 1 + random_below(random, 12);

    for (size_t at = random_below(random, step) + 1; at < length;
         at += 1 + random_below(random, step))
        places[count++] = at;
    return count;
}

static void test_cut_anywhere_is_as_uncut(void **state)
{
    enum { STREAMS = 150, ROOM = 80 };
    struct randomness random = {2024};
    char stream[ROOM];
    size_t places[ROOM], records = 0, errors = 0;

    for (const struct specimen *one = *state; one->filter != NULL; one++) {
        for (int i = 0; i < STREAMS; i++) {
            struct decoded whole;
            size_t length = make_stream(one, &random, stream, ROOM);
            decode(one->filter, stream, length, NULL, 0, &whole);
            records += whole.count;
            errors += whole.error != 0;
            for (size_t place = 1; place < length; place++)
                compare(one, stream, length, &place, 1, &whole);
            for (size_t at = 0; at < length; at++)
                places[at] = at + 1;
            compare(one, stream, length, places, length, &whole);
            for (int times = 0; times < 10; times++) {
                size_t count = pick_places(&random, length, places);
                compare(one, stream, length, places, count, &whole);
            }
            decoded_free(&whole);
        }
    }
    print_message("# %zu records, %zu errors\n", records, errors);
    assert_true(records > 10000 && errors > 1000);
}

/* Every stream of five bytes of what matters to the filter, cut at every set of places. */
static void test_all_short_streams_cut_in_all_ways(void **state)
{
    enum { LONGEST = 5 };

    for (const struct specimen *one = *state; one->filter != NULL; one++) {
        size_t letters = one->alphabet_length < 4 ? one->alphabet_length : 4, streams = 1;
        for (size_t i = 0; i < LONGEST; i++)
            streams *= letters;
        for (size_t number = 0; number < streams; number++) {
            char stream[LONGEST];
            struct decoded whole;
            for (size_t i = 0, rest = number; i < LONGEST; i++, rest /= letters)
                stream[i] = one->alphabet[one->alphabet_length - letters + rest % letters];
            decode(one->filter, stream, LONGEST, NULL, 0, &whole);
            for (unsigned set = 1; set < 1u << (LONGEST - 1); set++) {
                size_t places[LONGEST], count = 0;
                for (size_t at = 1; at < LONGEST; at++)
                    if (set >> (at - 1) & 1)
                        places[count++] = at;
                compare(one, stream, LONGEST, places, count, &whole);
            }
            decoded_free(&whole);
        }
    }
}

struct records {
    char bytes[4096];
    size_t ends[40];
    size_t count;
};

static void make_records(const struct specimen *one, struct randomness *random,
                         struct records *records)
{
    size_t length = 0;

    records->count = 1 + random_below(random, COUNT(records->ends));
    for (size_t i = 0; i < records->count; i++) {
        for (size_t rest = random_below(random, 100); rest > 0; rest--) {
            char byte = (char) random_next(random);
            if (byte == '\0' || strchr(one->unwanted, byte) == NULL)
                records->bytes[length++] = byte;
        }
        records->ends[i] = length;
    }
}

static void test_get_gives_back_what_put_wrote(void **state)
{
    enum { ROUNDS = 200 };
    struct randomness random = {77};
    struct records records;
    size_t places[8192];
    size_t trips = 0;

    for (const struct specimen *one = *state; one->filter != NULL; one++) {
        for (int round = 0; one->round_trip && round < ROUNDS; round++, trips++) {
            struct tcpm__instance *codec = NULL;
            struct tcpm_out out;
            struct decoded decoded;
            make_records(one, &random, &records);
            tcpm__out_init(&out, &tcpm__memory_default);
            assert_int_equal(tcpm__instance_open(one->filter, &codec), 0);
            for (size_t i = 0, from = 0; i < records.count; from = records.ends[i++])
                assert_int_equal(
                    tcpm__instance_put(codec, records.bytes + from, records.ends[i] - from, &out),
                    0);
            size_t count = pick_places(&random, out.length, places);
            decode(one->filter, out.bytes, out.length, places, count, &decoded);
            assert_int_equal(decoded.error, 0);
            assert_int_equal(decoded.pending_length, 0);
            assert_int_equal(decoded.count, records.count);
            assert_memory_equal(decoded.ends, records.ends, records.count * sizeof(size_t));
            assert_memory_equal(decoded.bytes, records.bytes, decoded.length);
            decoded_free(&decoded);
            tcpm__instance_drop(codec);
            tcpm__out_free(&out);
        }
    }
    assert_true(trips > 20 * ROUNDS);
}

/* A stream has no records of its own: what came comes out. */
static void test_stream_gives_every_byte_as_it_comes(void **state)
{
    struct tcpm_filter *filter = NULL;
    struct decoded decoded;
    static const size_t places[] = {1, 4};

    (void) state;
    assert_int_equal(tcpm_filter_stream(&filter), 0);
    decode(filter, "a\0bcdef", 7, places, 2, &decoded);
    assert_int_equal(decoded.count, 3);
    assert_int_equal(decoded.ends[0], 1);
    assert_int_equal(decoded.ends[1], 4);
    assert_memory_equal(decoded.bytes, "a\0bcdef", 7);
    assert_int_equal(decoded.pending_length, 0);
    decoded_free(&decoded);
    tcpm_filter_free(filter);
}

static void test_stream_gives_a_large_read_in_pieces(void **state)
{
    static const char bytes[100000];
    struct tcpm_filter *filter = NULL;
    struct decoded decoded;

    (void) state;
    assert_int_equal(tcpm_filter_stream(&filter), 0);
    decode(filter, bytes, sizeof bytes, NULL, 0, &decoded);
    assert_int_equal(decoded.count, 4);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(decoded.ends[i], 32768 * (i + 1));
    assert_int_equal(decoded.ends[3], sizeof bytes);
    decoded_free(&decoded);
    tcpm_filter_free(filter);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_cut_anywhere_is_as_uncut, setup, teardown),
    cmocka_unit_test_setup_teardown(test_all_short_streams_cut_in_all_ways, setup, teardown),
    cmocka_unit_test_setup_teardown(test_get_gives_back_what_put_wrote, setup, teardown),
    cmocka_unit_test(test_stream_gives_every_byte_as_it_comes),
    cmocka_unit_test(test_stream_gives_a_large_read_in_pieces),
};

RUN_TESTS(tests)
