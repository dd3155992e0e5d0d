/* SPDX-License-Identifier: MIT */
/* Specifications and instances, filters of a user's own, and all of them without memory. The
   program is linked with --wrap=realloc: the memory of filters is the C library's. */
#include "decode.h"

#include <errno.h>

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);

/* How many calls from now fails; static, because that is how a linker's wrapper is reached. */
static long calls_left = -1;

void *__wrap_realloc(void *block, size_t size)
{
    if (calls_left == 0)
        return NULL;
    calls_left -= calls_left > 0;
    return __real_realloc(block, size);
}

/* A filter of a user's own: records of as many bytes as the first says, each counted; what it
   shall do wrong stands in its options. */
enum fault {
    NONE,
    USED_TOO_MUCH,
    RECORD_OUTSIDE,
    RESULT_TWO,
    BAD_SWALLOW,
    NEED_TOO_LITTLE,
    OWN_RECORD
};

struct probe_options {
    enum fault fault;
    int init_result, clone_result;
    int *inits, *clones, *finis;
};

struct probe {
    struct probe_options options;
    size_t count;
    char scratch[32];
    max_align_t aligned;
};

static int init_probe(void *self, const void *options)
{
    struct probe *probe = self;

    for (size_t i = 0; i < sizeof *probe; i++)
        assert_int_equal(((const char *) self)[i], 0);
    probe->options = *(const struct probe_options *) options;
    (*probe->options.inits)++;
    return probe->options.init_result;
}

static int clone_probe(void *self, const void *specification)
{
    struct probe *probe = self;

    assert_int_equal((uintptr_t) self % _Alignof(max_align_t), 0);
    for (size_t i = 0; i < sizeof *probe; i++)
        assert_int_equal(((const char *) self)[i], 0);
    probe->options = ((const struct probe *) specification)->options;
    (*probe->options.clones)++;
    return probe->options.clone_result;
}

static void fini_probe(void *self)
{
    struct probe *probe = self;

    (*probe->options.finis)++;
}

static int get_probe(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    struct probe *probe = self;
    size_t size = (size_t) bytes[0];

    if (length < 1 + size) {
        cut->need = probe->options.fault == NEED_TOO_LITTLE ? 1 : 1 + size;
        return 0;
    }
    probe->count++;
    cut->used = probe->options.fault == USED_TOO_MUCH ? length + 1 : 1 + size;
    cut->record = bytes + (probe->options.fault == RECORD_OUTSIDE ? length : 1);
    cut->length = size;
    cut->swallow = probe->options.fault == BAD_SWALLOW ? 256 : 0;
    if (probe->options.fault == OWN_RECORD) {
        cut->length = (size_t) snprintf(probe->scratch, sizeof probe->scratch, "%zu", probe->count);
        cut->record = probe->scratch;
    }
    return probe->options.fault == RESULT_TWO ? 2 : 1;
}

static int put_probe(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    struct probe *probe = self;
    unsigned char size = (unsigned char) length;

    if (probe->options.fault == RESULT_TWO)
        return 2;
    if (length > 127)
        return -EMSGSIZE;
    int result = tcpm_out_write(out, &size, 1);
    return result < 0 ? result : tcpm_out_write(out, record, length);
}

static const struct tcpm_filter_kind probe_kind = {
    sizeof probe_kind, "probe",     sizeof(struct probe),
    init_probe,        clone_probe, fini_probe,
    get_probe,         put_probe,   NULL};

static void test_a_filter_of_a_users_own(void **state)
{
    int inits = 0, clones = 0, finis = 0;
    struct probe_options options = {.inits = &inits, .clones = &clones, .finis = &finis};
    struct tcpm_filter *filter = NULL;
    static const size_t places[] = {1, 3, 5};

    (void) state;
    assert_int_equal(tcpm_filter_custom(&probe_kind, &options, &filter), 0);
    for (int connection = 1; connection <= 3; connection++) {
        struct decoded decoded;
        decode(filter, "\3abc\1d\5rest", 11, places, 3, &decoded);
        assert_decoded(&decoded, "abc/d/");
        assert_int_equal(decoded.pending_length, 5);
        assert_int_equal(clones, connection);
        assert_int_equal(finis, connection);
        decoded_free(&decoded);
    }
    tcpm_filter_free(filter);
    assert_int_equal(inits, 1);
    assert_int_equal(finis, 4);
}

static void test_a_record_may_lie_in_the_filter_itself(void **state)
{
    int inits = 0, clones = 0, finis = 0;
    struct probe_options options = {OWN_RECORD, 0, 0, &inits, &clones, &finis};
    struct tcpm_filter *filter = NULL;
    struct decoded decoded;

    (void) state;
    assert_int_equal(tcpm_filter_custom(&probe_kind, &options, &filter), 0);
    decode(filter, "\1a\1b\1c", 6, NULL, 0, &decoded);
    assert_decoded(&decoded, "1/2/3/");
    decoded_free(&decoded);
    tcpm_filter_free(filter);
}

static void test_what_a_filter_may_not_return_is_an_error_of_the_filter(void **state)
{
    static const enum fault faults[] = {USED_TOO_MUCH, RECORD_OUTSIDE, RESULT_TWO, BAD_SWALLOW};
    int count = 0;

    (void) state;
    for (size_t i = 0; i < COUNT(faults); i++) {
        struct probe_options options = {faults[i], 0, 0, &count, &count, &count};
        struct tcpm_filter *filter = NULL;
        struct decoded decoded;
        assert_int_equal(tcpm_filter_custom(&probe_kind, &options, &filter), 0);
        decode(filter, "\3abc", 4, NULL, 0, &decoded);
        assert_int_equal(decoded.error, TCPM_EFILTER);
        assert_int_equal(decoded.count, 0);
        decoded_free(&decoded);
        if (faults[i] == RESULT_TWO) {
            struct tcpm__instance *codec = NULL;
            struct tcpm_out out;
            tcpm__out_init(&out, &tcpm__memory_default);
            assert_int_equal(tcpm__instance_open(filter, &codec), 0);
            assert_int_equal(tcpm__instance_put(codec, "x", 1, &out), TCPM_EFILTER);
            tcpm__instance_drop(codec);
            tcpm__out_free(&out);
        }
        tcpm_filter_free(filter);
    }
}

/* The faults that get_one shows only with bytes. */
static int finish_probe(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    return get_probe(self, bytes, length, cut);
}

static void test_C63_what_finish_may_not_return_is_an_error_of_the_filter(void **state)
{
    static const enum fault faults[] = {NONE, USED_TOO_MUCH, RECORD_OUTSIDE, RESULT_TWO};
    struct tcpm_filter_kind kind = probe_kind;
    int count = 0;

    (void) state;
    kind.finish = finish_probe;
    for (size_t i = 0; i < COUNT(faults); i++) {
        struct probe_options options = {faults[i], 0, 0, &count, &count, &count};
        struct tcpm_filter *filter = NULL;
        struct tcpm__instance *instance = NULL;
        struct tcpm_cut cut = {.seen = 0};
        assert_int_equal(tcpm_filter_custom(&kind, &options, &filter), 0);
        assert_int_equal(tcpm__instance_open(filter, &instance), 0);
        assert_true(instance->finishes);
        assert_int_equal(tcpm__instance_finish(instance, "\3abc", 4, &cut),
                         faults[i] == NONE ? 1 : TCPM_EFILTER);
        assert_true(faults[i] == NONE || cut.message != NULL);
        tcpm__instance_drop(instance);
        tcpm_filter_free(filter);
    }
}

static void test_a_need_that_is_there_already_is_no_stall(void **state)
{
    int count = 0;
    struct probe_options options = {NEED_TOO_LITTLE, 0, 0, &count, &count, &count};
    struct tcpm_filter *filter = NULL;
    struct tcpm__instance *codec = NULL;
    struct tcpm_cut cut = {.seen = 0};

    (void) state;
    assert_int_equal(tcpm_filter_custom(&probe_kind, &options, &filter), 0);
    assert_int_equal(tcpm__instance_open(filter, &codec), 0);
    assert_int_equal(tcpm__instance_get(codec, "\3a", 2, &cut), 0);
    assert_int_equal(cut.need, 0);
    tcpm__instance_drop(codec);
    tcpm_filter_free(filter);
}

static void test_incomplete_kinds_are_refused(void **state)
{
    struct tcpm_filter_kind kind = probe_kind;
    struct tcpm_filter *filter = NULL;

    (void) state;
    assert_int_equal(tcpm_filter_custom(NULL, NULL, &filter), -EINVAL);
    assert_int_equal(tcpm_filter_custom(&kind, NULL, NULL), -EINVAL);
    kind.size = 0;
    assert_int_equal(tcpm_filter_custom(&kind, NULL, &filter), -EINVAL);
    kind = probe_kind;
    kind.name = NULL;
    assert_int_equal(tcpm_filter_custom(&kind, NULL, &filter), -EINVAL);
    kind = probe_kind;
    kind.get_one = NULL;
    assert_int_equal(tcpm_filter_custom(&kind, NULL, &filter), -EINVAL);
    kind = probe_kind;
    kind.put = NULL;
    assert_int_equal(tcpm_filter_custom(&kind, NULL, &filter), -EINVAL);
    kind = probe_kind;
    kind.self_size = SIZE_MAX;
    assert_int_equal(tcpm_filter_custom(&kind, NULL, &filter), -EINVAL);
    kind = probe_kind;
    kind.clone = NULL; /* copied byte by byte, what fini releases would be released twice */
    assert_int_equal(tcpm_filter_custom(&kind, NULL, &filter), -EINVAL);
    assert_null(filter);
}

static void test_without_clone_the_bytes_are_copied(void **state)
{
    int inits = 0;
    struct probe_options options = {OWN_RECORD, 0, 0, &inits, NULL, NULL};
    struct tcpm_filter_kind kind = probe_kind;
    struct tcpm_filter *filter = NULL;

    (void) state;
    kind.clone = NULL;
    kind.fini = NULL;
    assert_int_equal(tcpm_filter_custom(&kind, &options, &filter), 0);
    for (int connection = 0; connection < 2; connection++) {
        struct decoded decoded;
        decode(filter, "\1a\1b", 4, NULL, 0, &decoded);
        assert_decoded(&decoded, "1/2/"); /* each counts for itself */
        decoded_free(&decoded);
    }
    tcpm_filter_free(filter);
    assert_int_equal(inits, 1);
}

static void test_what_init_and_clone_refuse_is_passed_on(void **state)
{
    int inits = 0, clones = 0, finis = 0;
    struct probe_options options = {NONE, -EPERM, 0, &inits, &clones, &finis};
    struct tcpm_filter *filter = NULL;
    struct tcpm__instance *codec = NULL;

    (void) state;
    assert_int_equal(tcpm_filter_custom(&probe_kind, &options, &filter), -EPERM);
    assert_null(filter);
    assert_int_equal(finis, 0);
    options.init_result = 0;
    options.clone_result = -ENOSPC;
    assert_int_equal(tcpm_filter_custom(&probe_kind, &options, &filter), 0);
    assert_int_equal(tcpm__instance_open(filter, &codec), -ENOSPC);
    assert_null(codec);
    tcpm_filter_free(filter);
    assert_int_equal(finis, 1);
}

static void test_an_instance_outlives_its_holders_specification(void **state)
{
    int inits = 0, clones = 0, finis = 0;
    struct probe_options options = {NONE, 0, 0, &inits, &clones, &finis};
    struct tcpm_filter *filter = NULL;
    struct tcpm__instance *codec = NULL;
    struct tcpm_cut cut = {.seen = 0};

    (void) state;
    assert_int_equal(tcpm_filter_custom(&probe_kind, &options, &filter), 0);
    assert_ptr_equal(tcpm__filter_keep(filter), filter);
    assert_int_equal(tcpm__instance_open(filter, &codec), 0);
    assert_ptr_equal(tcpm__instance_keep(codec), codec);
    tcpm_filter_free(filter);
    tcpm_filter_free(filter);
    assert_int_equal(finis, 0);
    assert_int_equal(tcpm__instance_get(codec, "\1a", 2, &cut), 1);
    tcpm__instance_drop(codec);
    assert_int_equal(finis, 0);
    assert_int_equal(tcpm__instance_get(codec, "\1a", 2, &cut), 1);
    tcpm__instance_drop(codec);
    assert_int_equal(finis, 2); /* the instance's, and the specification's */
    tcpm__instance_drop(NULL);
    tcpm_filter_free(NULL);
}

static struct tcpm_filter *make_builtin(size_t which)
{
    static const struct tcpm_line_options automatic = {sizeof automatic, .ends = TCPM_ENDS_AUTO};
    static const struct tcpm_block_options block = {sizeof block, .length = "u8"};
    struct tcpm_filter *filter = NULL;
    int result = which == 0   ? tcpm_filter_stream(&filter)
                 : which == 1 ? tcpm_filter_line(NULL, &filter)
                 : which == 2 ? tcpm_filter_block(&block, &filter)
                 : which == 3 ? tcpm_filter_netstring(0, &filter)
                              : tcpm_filter_line(&automatic, &filter);

    assert_int_equal(result, filter == NULL ? -ENOMEM : 0);
    return filter;
}

static void test_filters_without_state_are_one_instance_for_all(void **state)
{
    (void) state;
    for (size_t which = 0; which < 5; which++) {
        struct tcpm_filter *filter = make_builtin(which);
        struct tcpm__instance *one = NULL, *other = NULL;
        struct tcpm_cut cut = {.seen = 0};
        if (which < 4)
            calls_left = 0; /* opening one needs no memory */
        assert_int_equal(tcpm__instance_open(filter, &one), 0);
        assert_int_equal(tcpm__instance_open(filter, &other), 0);
        calls_left = -1;
        assert_int_equal(one == other, which < 4);
        tcpm_filter_free(filter);
        tcpm__instance_drop(one);
        assert_true(tcpm__instance_get(tcpm__instance_keep(other), "\1x", 2, &cut) <= 1);
        tcpm__instance_drop(other);
        tcpm__instance_drop(other);
    }
}

static void test_stream_passes_records_on_as_they_are(void **state)
{
    struct tcpm_filter *filter = make_builtin(0);
    struct tcpm__instance *codec = NULL;
    struct tcpm_out out;
    static const char record[] = "as it is";

    (void) state;
    tcpm__out_init(&out, &tcpm__memory_default);
    assert_int_equal(tcpm__instance_open(filter, &codec), 0);
    assert_int_equal(tcpm__instance_put(codec, record, 8, &out), 0);
    assert_ptr_equal(out.bytes, record);
    assert_int_equal(out.length, 8);
    tcpm__out_reset(&out, SIZE_MAX);
    assert_int_equal(tcpm__instance_put(codec, "", 0, &out), 0);
    assert_int_equal(out.length, 0);
    tcpm__out_free(&out);
    tcpm__instance_drop(codec);
    tcpm_filter_free(filter);
}

/* An instance by hand needs two pieces of memory, and more to keep what it is fed. */
static void test_out_of_memory_by_hand(void **state)
{
    struct tcpm_filter *filter = make_builtin(4);
    struct tcpm_codec *codec = NULL;

    (void) state;
    for (long calls = 0; calls < 2; calls++) {
        calls_left = calls;
        assert_int_equal(tcpm_codec_open(filter, &codec), -ENOMEM);
        assert_null(codec);
    }
    calls_left = 2;
    assert_int_equal(tcpm_codec_open(filter, &codec), 0);
    assert_int_equal(tcpm_codec_feed(codec, "line\r\n", 6), -ENOMEM);
    struct tcpm_record bytes = {NULL, 0};
    assert_int_equal(tcpm_codec_put(codec, "line", 4, &bytes), -ENOMEM);
    calls_left = -1;
    assert_int_equal(tcpm_codec_feed(codec, "line\r\n", 6), 0);
    assert_int_equal(tcpm_codec_get_one(codec, &bytes), 1);
    assert_int_equal(bytes.length, 4);
    tcpm_codec_close(codec);
    tcpm_filter_free(filter);
}

static void test_out_of_memory_is_enomem_everywhere(void **state)
{
    int count = 0;
    struct probe_options options = {NONE, 0, 0, &count, &count, &count};
    struct tcpm_filter *filter = NULL;
    struct tcpm__instance *codec = NULL;

    (void) state;
    for (size_t which = 0; which < 5; which++) {
        calls_left = 0;
        assert_null(make_builtin(which));
    }
    assert_int_equal(tcpm_filter_custom(&probe_kind, &options, &filter), -ENOMEM);
    calls_left = 1;
    assert_int_equal(tcpm_filter_custom(&probe_kind, &options, &filter), 0);
    assert_int_equal(tcpm__instance_open(filter, &codec), -ENOMEM);
    calls_left = -1;
    assert_int_equal(tcpm__instance_open(filter, &codec), 0);
    tcpm__instance_drop(codec);
    tcpm_filter_free(filter);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_filter_of_a_users_own),
    cmocka_unit_test(test_a_record_may_lie_in_the_filter_itself),
    cmocka_unit_test(test_what_a_filter_may_not_return_is_an_error_of_the_filter),
    cmocka_unit_test(test_C63_what_finish_may_not_return_is_an_error_of_the_filter),
    cmocka_unit_test(test_a_need_that_is_there_already_is_no_stall),
    cmocka_unit_test(test_incomplete_kinds_are_refused),
    cmocka_unit_test(test_without_clone_the_bytes_are_copied),
    cmocka_unit_test(test_what_init_and_clone_refuse_is_passed_on),
    cmocka_unit_test(test_an_instance_outlives_its_holders_specification),
    cmocka_unit_test(test_filters_without_state_are_one_instance_for_all),
    cmocka_unit_test(test_stream_passes_records_on_as_they_are),
    cmocka_unit_test(test_out_of_memory_by_hand),
    cmocka_unit_test(test_out_of_memory_is_enomem_everywhere),
};

RUN_TESTS(tests)
