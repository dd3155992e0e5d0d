/* SPDX-License-Identifier: MIT */
/*
 * The cutter alone: when it asks the filter, what it tells it, which bytes it drops. Streams that
 * are cut at every place are compared with the plain model of decode.h; single rules are shown by a
 * filter that plays a script and writes down how it was asked.
 */
#include "decode.h"

#include "filter/cutter.h"

enum { MAX_STEPS = 8 };

/* What the scripted filter answers, and how it was asked. */
struct step {
    int result;
    size_t used, length, need;
    int swallow, more;
};

struct call {
    size_t length, seen;
    int swallowed;
};

struct script {
    const struct step *steps;
    struct call calls[MAX_STEPS];
    size_t count;
};

static int init_scripted(void *self, const void *options)
{
    memcpy(self, &options, sizeof options);
    return 0;
}

static int get_scripted(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    struct script *script = NULL;

    memcpy(&script, self, sizeof script);
    assert_true(script->count < MAX_STEPS);
    const struct step *step = &script->steps[script->count];
    script->calls[script->count++] = (struct call){length, cut->seen, cut->swallowed};
    cut->used = step->used;
    cut->record = bytes;
    cut->length = step->length;
    cut->need = step->need;
    cut->swallow = step->swallow;
    cut->more = step->more;
    return step->result;
}

static int put_nothing(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    (void) self;
    return tcpm_out_write(out, record, length);
}

static struct tcpm__instance *open_scripted(struct script *script)
{
    static const struct tcpm_filter_kind kind = {.size = sizeof kind,
                                                 .name = "scripted",
                                                 .self_size = sizeof(struct script *),
                                                 .init = init_scripted,
                                                 .get_one = get_scripted,
                                                 .put = put_nothing};
    struct tcpm_filter *filter = NULL;
    struct tcpm__instance *instance = NULL;

    assert_int_equal(tcpm_filter_custom(&kind, script, &filter), 0);
    assert_int_equal(tcpm__instance_open(filter, &instance), 0);
    tcpm_filter_free(filter);
    return instance;
}

static void assert_call(const struct script *script, size_t index, size_t length, int swallowed)
{
    assert_true(index < script->count);
    assert_int_equal(script->calls[index].length, length);
    assert_int_equal(script->calls[index].swallowed, swallowed);
}

/* One call that gives a result and uses so many bytes. */
static void assert_next(struct tcpm__cutter *cutter, struct tcpm__instance *instance,
                        const char *bytes, int result, size_t used)
{
    struct tcpm_cut cut = {.seen = 0};

    assert_int_equal(tcpm__cutter_next(cutter, instance, bytes, strlen(bytes), &cut), result);
    assert_int_equal(cut.used, used);
}

static void test_the_filter_is_asked_once_it_has_what_it_needs(void **state)
{
    static const struct step steps[] = {{.result = 0, .need = 4}, {.result = 1, .used = 4}};
    struct script script = {.steps = steps};
    struct tcpm__cutter cutter = {.need = 0};
    struct tcpm__instance *instance = open_scripted(&script);

    (void) state;
    assert_next(&cutter, instance, "", 0, 0);
    assert_int_equal(script.count, 0);
    assert_next(&cutter, instance, "a", 0, 0);
    assert_true(cutter.seen);
    assert_next(&cutter, instance, "abc", 0, 0);
    assert_int_equal(script.count, 1);
    assert_false(cutter.seen);
    assert_next(&cutter, instance, "abcd", 1, 4);
    assert_int_equal(script.count, 2);
    assert_int_equal(cutter.need, 0);
    tcpm__instance_drop(instance);
}

static void test_a_need_beyond_32_bits_is_cut_to_them(void **state)
{
    static const struct step steps[] = {{.result = 0, .need = SIZE_MAX}};
    struct script script = {.steps = steps};
    struct tcpm__cutter cutter = {.need = 0};
    struct tcpm__instance *instance = open_scripted(&script);

    (void) state;
    assert_next(&cutter, instance, "a", 0, 0);
    assert_int_equal(cutter.need, UINT32_MAX);
    tcpm__instance_drop(instance);
}

static void test_bytes_may_be_used_without_a_record(void **state)
{
    static const struct step steps[] = {{.result = 0, .used = 2, .need = 1}, {.result = 0}};
    struct script script = {.steps = steps};
    struct tcpm__cutter cutter = {.need = 0};
    struct tcpm__instance *instance = open_scripted(&script);

    (void) state;
    assert_next(&cutter, instance, "ab", 0, 2);
    assert_next(&cutter, instance, "", 0, 0);
    assert_int_equal(script.count, 1);
    tcpm__instance_drop(instance);
}

static void test_a_filter_that_holds_a_record_is_asked_without_bytes(void **state)
{
    static const struct step steps[] = {{.result = 1, .used = 1, .more = 1}, {.result = 1}};
    struct script script = {.steps = steps};
    struct tcpm__cutter cutter = {.need = 0};
    struct tcpm__instance *instance = open_scripted(&script);

    (void) state;
    assert_next(&cutter, instance, "a", 1, 1);
    assert_next(&cutter, instance, "", 1, 0);
    assert_next(&cutter, instance, "", 0, 0);
    assert_int_equal(script.count, 2);
    tcpm__instance_drop(instance);
}

static void test_a_named_byte_is_dropped_at_once_where_a_byte_is_there(void **state)
{
    static const struct step steps[] = {{.result = 1, .used = 1, .swallow = '\n'},
                                        {.result = 1, .used = 1, .swallow = '\n'},
                                        {.result = 1, .used = 1},
                                        {.result = 0}};
    struct script script = {.steps = steps};
    struct tcpm__cutter cutter = {.need = 0};
    struct tcpm__instance *instance = open_scripted(&script);

    (void) state;
    assert_next(&cutter, instance, "a\nbcd", 1, 2);
    assert_next(&cutter, instance, "bcd", 1, 1);
    assert_next(&cutter, instance, "cd", 1, 1);
    assert_next(&cutter, instance, "d", 0, 0);
    assert_call(&script, 1, 3, 1);
    assert_call(&script, 2, 2, 0);
    assert_call(&script, 3, 1, 0);
    tcpm__instance_drop(instance);
}

static void test_a_named_byte_that_comes_later_is_dropped_from_the_source(void **state)
{
    static const struct step steps[] = {{.result = 1, .used = 1, .swallow = '\n'},
                                        {.result = 0},
                                        {.result = 1, .used = 1},
                                        {.result = 0}};
    struct script script = {.steps = steps};
    struct tcpm__cutter cutter = {.need = 0};
    struct tcpm__instance *instance = open_scripted(&script);

    (void) state;
    assert_next(&cutter, instance, "a", 1, 1);
    assert_int_equal(tcpm__cutter_swallow(&cutter, "\n", 0), 0);
    /* bytes put in front: the byte is still to come from the source */
    assert_next(&cutter, instance, "\n", 0, 0);
    assert_call(&script, 1, 1, -1);
    assert_int_equal(tcpm__cutter_swallow(&cutter, "\n\n", 2), 1);
    assert_int_equal(tcpm__cutter_swallow(&cutter, "\n", 1), 0);
    assert_next(&cutter, instance, "\n\n", 1, 1);
    assert_call(&script, 2, 2, 1);
    assert_next(&cutter, instance, "\n", 0, 0);
    assert_call(&script, 3, 1, 0);
    tcpm__instance_drop(instance);
}

static void test_another_byte_than_the_named_one_ends_the_wait(void **state)
{
    static const struct step steps[] = {{.result = 1, .used = 1, .swallow = '\n'}, {.result = 0}};
    struct script script = {.steps = steps};
    struct tcpm__cutter cutter = {.need = 0};
    struct tcpm__instance *instance = open_scripted(&script);

    (void) state;
    assert_next(&cutter, instance, "a", 1, 1);
    assert_int_equal(tcpm__cutter_swallow(&cutter, "b\n", 2), 0);
    assert_next(&cutter, instance, "b\n", 0, 0);
    assert_call(&script, 1, 2, 0);
    assert_int_equal(tcpm__cutter_swallow(&cutter, "\n", 1), 0);
    tcpm__instance_drop(instance);
}

static void test_a_byte_awaited_twice_is_dropped_twice(void **state)
{
    struct tcpm__cutter cutter = {.need = 0};

    (void) state;
    tcpm__cutter_await(&cutter, '\r');
    tcpm__cutter_await(&cutter, '\n');
    tcpm__cutter_await(&cutter, '\n');
    assert_int_equal(tcpm__cutter_swallow(&cutter, "\n", 1), 1);
    assert_int_equal(tcpm__cutter_swallow(&cutter, "\n\n", 2), 1);
    for (int i = 0; i < 1000; i++)
        tcpm__cutter_await(&cutter, '\n');
    assert_int_equal(cutter.swallows, UINT8_MAX);
}

static void test_an_ordered_record_comes_first_whatever_the_filter(void **state)
{
    static const struct step steps[] = {{.result = 0, .need = 9}, {.result = 1, .used = 2}};
    struct script script = {.steps = steps};
    struct tcpm__cutter cutter = {.need = 0};
    struct tcpm__instance *instance = open_scripted(&script);

    (void) state;
    assert_next(&cutter, instance, "abc", 0, 0);
    tcpm__cutter_order(&cutter, 3);
    assert_next(&cutter, instance, "ab", 0, 0);
    tcpm__cutter_refresh(&cutter);
    tcpm__cutter_restart(&cutter); /* an order survives both */
    assert_next(&cutter, instance, "abcde", 1, 3);
    tcpm__cutter_order(&cutter, 0);
    assert_next(&cutter, instance, "", 1, 0);
    tcpm__cutter_order(&cutter, 7);
    tcpm__cutter_order(&cutter, -1);
    assert_next(&cutter, instance, "de", 1, 2);
    assert_int_equal(script.count, 2);
    tcpm__instance_drop(instance);
}

static void test_another_filter_starts_afresh(void **state)
{
    static const struct step steps[] = {{.result = 1, .used = 1, .more = 1, .swallow = '\n'},
                                        {.result = 0, .need = 5},
                                        {.result = 0}};
    struct script script = {.steps = steps};
    struct tcpm__cutter cutter = {.need = 0};
    struct tcpm__instance *instance = open_scripted(&script);

    (void) state;
    assert_next(&cutter, instance, "a\n", 1, 2);
    tcpm__cutter_restart(&cutter);
    assert_next(&cutter, instance, "", 0, 0);
    assert_int_equal(script.count, 1);
    assert_next(&cutter, instance, "b", 0, 0);
    assert_call(&script, 1, 1, 0);
    tcpm__cutter_restart(&cutter);
    assert_next(&cutter, instance, "b", 0, 0);
    assert_int_equal(script.count, 3);
    tcpm__instance_drop(instance);
}

static void test_an_error_of_the_filter_is_passed_on(void **state)
{
    static const struct step steps[] = {{.result = TCPM_EFILTER}};
    struct script script = {.steps = steps};
    struct tcpm__cutter cutter = {.need = 0};
    struct tcpm__instance *instance = open_scripted(&script);

    (void) state;
    assert_next(&cutter, instance, "a", TCPM_EFILTER, 0);
    tcpm__instance_drop(instance);
}

/* ---- every cut position ---- */

/* As a connection: what is left stays in front of what comes next. */
static void cut_stream(struct tcpm_filter *filter, const char *stream, size_t length,
                       const size_t places[2], struct decoded *decoded)
{
    struct tcpm__cutter cutter = {.need = 0};
    struct tcpm__instance *instance = NULL;
    size_t begin = 0, end = 0, seen = 0;
    char *held = malloc(length + 1);

    *decoded = (struct decoded){.error = 0};
    assert_non_null(held);
    assert_int_equal(tcpm__instance_open(filter, &instance), 0);
    for (size_t i = 0, from = 0; i < 3; i++) {
        size_t to = i < 2 ? places[i] : length;
        size_t dropped = tcpm__cutter_swallow(&cutter, stream + from, to - from);
        memcpy(held + end, stream + from + dropped, to - from - dropped);
        end += to - from - dropped;
        from = to;
        for (int result = 1; result == 1 && decoded->error == 0;) {
            struct tcpm_cut cut = {.seen = seen};
            result = tcpm__cutter_next(&cutter, instance, held + begin, end - begin, &cut);
            if (result == 1)
                add_record(decoded, &cut);
            if (result < 0)
                decoded->error = result;
            begin += result < 0 ? 0 : cut.used;
            seen = cutter.seen ? end - begin : 0;
        }
    }
    decoded->pending_length = end - begin;
    memmove(held, held + begin, end - begin);
    decoded->pending = held;
    tcpm__instance_drop(instance);
}

static void assert_same(const struct decoded *a, const struct decoded *b)
{
    assert_int_equal(a->error, b->error);
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->length, b->length);
    if (a->length > 0)
        assert_memory_equal(a->bytes, b->bytes, a->length);
    for (size_t i = 0; i < a->count; i++)
        assert_int_equal(a->ends[i], b->ends[i]);
    if (a->error != 0)
        return; /* the rest depends on how much had come */
    assert_int_equal(a->pending_length, b->pending_length);
    if (a->pending_length > 0)
        assert_memory_equal(a->pending, b->pending, a->pending_length);
}

static void assert_cut_anywhere(struct tcpm_filter *filter, const char *stream, size_t length)
{
    struct decoded model, decoded;

    decode(filter, stream, length, NULL, 0, &model);
    for (size_t first = 0; first <= length; first++) {
        for (size_t second = first; second <= length; second++) {
            cut_stream(filter, stream, length, (size_t[]){first, second}, &decoded);
            assert_same(&decoded, &model);
            decoded_free(&decoded);
        }
    }
    decoded_free(&model);
}

static void test_lines_cut_anywhere(void **state)
{
    static const char stream[] = "a\r\n\nbc\r\rd\n\r\n\r\r\n\n\nef\r\n.\r\nrest\r";
    static const int64_t ends[] = {TCPM_ENDS_ANY, TCPM_ENDS_LF, TCPM_ENDS_AUTO};
    static const int64_t limits[] = {0, 1, 2, 4};

    (void) state;
    for (size_t i = 0; i < COUNT(ends) * COUNT(limits); i++) {
        struct tcpm_filter *filter = NULL;
        struct tcpm_line_options options = {.size = sizeof options,
                                            .ends = ends[i % COUNT(ends)],
                                            .max_length = limits[i / COUNT(ends)]};
        assert_int_equal(tcpm_filter_line(&options, &filter), 0);
        /* from every place on, so that each line end is once the first one */
        for (size_t from = 0; from + 1 < sizeof stream; from++)
            assert_cut_anywhere(filter, stream + from, sizeof stream - 1 - from);
        tcpm_filter_free(filter);
    }
}

static void test_blocks_and_netstrings_cut_anywhere(void **state)
{
    static const char blocks[] = "\0\3abc\0\0\0\1x\0\5hel";
    static const char strings[] = "3:abc,0:,5:hello,2:x";
    struct tcpm_block_options options = {.size = sizeof options, .length = "u16be"};
    struct tcpm_filter *filter = NULL;

    (void) state;
    assert_int_equal(tcpm_filter_block(&options, &filter), 0);
    assert_cut_anywhere(filter, blocks, sizeof blocks - 1);
    tcpm_filter_free(filter);
    assert_int_equal(tcpm_filter_netstring(0, &filter), 0);
    assert_cut_anywhere(filter, strings, sizeof strings - 1);
    assert_cut_anywhere(filter, "3:abcd", 6);
    tcpm_filter_free(filter);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_the_filter_is_asked_once_it_has_what_it_needs),
    cmocka_unit_test(test_a_need_beyond_32_bits_is_cut_to_them),
    cmocka_unit_test(test_bytes_may_be_used_without_a_record),
    cmocka_unit_test(test_a_filter_that_holds_a_record_is_asked_without_bytes),
    cmocka_unit_test(test_a_named_byte_is_dropped_at_once_where_a_byte_is_there),
    cmocka_unit_test(test_a_named_byte_that_comes_later_is_dropped_from_the_source),
    cmocka_unit_test(test_another_byte_than_the_named_one_ends_the_wait),
    cmocka_unit_test(test_a_byte_awaited_twice_is_dropped_twice),
    cmocka_unit_test(test_an_ordered_record_comes_first_whatever_the_filter),
    cmocka_unit_test(test_another_filter_starts_afresh),
    cmocka_unit_test(test_an_error_of_the_filter_is_passed_on),
    cmocka_unit_test(test_lines_cut_anywhere),
    cmocka_unit_test(test_blocks_and_netstrings_cut_anywhere),
};

RUN_TESTS(tests)
