/* SPDX-License-Identifier: MIT */
/* The byte queue against a plain array. */
#include "support.h"

#include "base/buffer.h"

#include <errno.h>

enum { ROOM = 1 << 16 };

/* The same queue, stupidly. */
struct model {
    char bytes[ROOM];
    size_t length;
};

static void fill(struct randomness *random, char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char) random_next(random);
}

static void check_same(const struct tcpm__buffer *buffer, const struct model *model)
{
    assert_int_equal(tcpm__buffer_length(buffer), model->length);
    assert_memory_equal(tcpm__buffer_bytes(buffer), model->bytes, model->length);
    if (model->length == 0)
        assert_null(buffer);
    else
        assert_true(buffer->head + buffer->length <= buffer->capacity);
}

static void step(struct randomness *random, const struct tcpm__memory *memory,
                 struct tcpm__buffer **buffer, struct model *model)
{
    char bytes[600];
    size_t length = random_below(random, random_below(random, 5) == 0 ? sizeof bytes : 20);
    size_t choice = random_below(random, 5);

    fill(random, bytes, length);
    if (choice < 2 && model->length + length <= ROOM) {
        if (tcpm__buffer_append(memory, buffer, bytes, length) == 0) {
            memcpy(model->bytes + model->length, bytes, length);
            model->length += length;
        }
    } else if (choice == 2 && model->length + length <= ROOM) {
        if (tcpm__buffer_prepend(memory, buffer, bytes, length) == 0) {
            memmove(model->bytes + length, model->bytes, model->length);
            memcpy(model->bytes, bytes, length);
            model->length += length;
        }
    } else {
        if (random_below(random, 50) == 0)
            length = model->length;
        tcpm__buffer_consume(memory, buffer, length);
        length = length < model->length ? length : model->length;
        memmove(model->bytes, model->bytes + length, model->length - length);
        model->length -= length;
    }
}

static void test_does_what_an_array_does(void **state)
{
    struct model *model = calloc(1, sizeof *model);
    struct tcpm__buffer *buffer = NULL;
    struct randomness random = {11};
    struct scarce scarce;

    (void) state;
    assert_non_null(model);
    scarce_init(&scarce);
    for (int i = 0; i < 60000; i++) {
        step(&random, &scarce.memory, &buffer, model);
        check_same(buffer, model);
    }
    tcpm__buffer_free(&scarce.memory, &buffer);
    assert_null(buffer);
    tcpm__buffer_free(&scarce.memory, &buffer);
    assert_int_equal(scarce.blocks, 0);
    free(model);
}

static void test_out_of_memory_changes_nothing(void **state)
{
    struct model *model = calloc(1, sizeof *model);
    struct tcpm__buffer *buffer = NULL;
    struct randomness random = {12};
    struct scarce scarce;

    (void) state;
    assert_non_null(model);
    scarce_init(&scarce);
    for (int i = 0; i < 20000; i++) {
        scarce.left = (long) random_below(&random, 2) - 1; /* every other allocation fails */
        step(&random, &scarce.memory, &buffer, model);
        check_same(buffer, model);
    }
    scarce.left = 0;
    scarce.for_good = true;
    char *large = calloc(1, ROOM);
    assert_non_null(large);
    assert_int_equal(tcpm__buffer_append(&scarce.memory, &buffer, large, ROOM), -ENOMEM);
    assert_int_equal(tcpm__buffer_prepend(&scarce.memory, &buffer, large, ROOM), -ENOMEM);
    check_same(buffer, model);
    tcpm__buffer_free(&scarce.memory, &buffer);
    assert_int_equal(scarce.blocks, 0);
    free(large);
    free(model);
}

static void test_a_size_that_overflows_is_out_of_memory(void **state)
{
    struct tcpm__buffer *buffer = NULL;
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 8, SIZE_MAX / 2, PTRDIFF_MAX};

    (void) state;
    for (int held = 0; held < 2; held++) {
        for (size_t i = 0; i < COUNT(sizes); i++) {
            /* it fails before a byte is read */
            int result = tcpm__buffer_append(&tcpm__memory_default, &buffer, "x", sizes[i]);
            assert_int_equal(result, -ENOMEM);
            result = tcpm__buffer_prepend(&tcpm__memory_default, &buffer, "x", sizes[i]);
            assert_int_equal(result, -ENOMEM);
        }
        assert_int_equal(tcpm__buffer_length(buffer), held);
        assert_int_equal(tcpm__buffer_append(&tcpm__memory_default, &buffer, "x", 1), 0);
    }
    tcpm__buffer_free(&tcpm__memory_default, &buffer);
}

static void test_empty_pieces_cost_nothing(void **state)
{
    struct tcpm__buffer *buffer = NULL;
    struct scarce scarce;

    (void) state;
    scarce_init(&scarce);
    assert_int_equal(tcpm__buffer_append(&scarce.memory, &buffer, NULL, 0), 0);
    assert_int_equal(tcpm__buffer_prepend(&scarce.memory, &buffer, NULL, 0), 0);
    tcpm__buffer_consume(&scarce.memory, &buffer, 5);
    assert_null(buffer);
    assert_int_equal(scarce.calls, 0);
    assert_string_equal(tcpm__buffer_bytes(buffer), "");
}

/* One byte in, one byte out, at either end of 8 MiB: were the 8 MiB moved each time, or every
   hundredth time, this would take minutes. */
static void test_the_cost_does_not_depend_on_what_is_held(void **state)
{
    enum { HELD = 8 << 20, TURNS = 1000000 };
    struct tcpm__buffer *buffer = NULL;
    char *bytes = calloc(1, HELD);
    struct scarce scarce;
    double started = cpu_seconds();

    (void) state;
    assert_non_null(bytes);
    scarce_init(&scarce);
    assert_int_equal(tcpm__buffer_append(&scarce.memory, &buffer, bytes, HELD), 0);
    for (int i = 0; i < TURNS; i++) {
        assert_int_equal(tcpm__buffer_append(&scarce.memory, &buffer, "x", 1), 0);
        tcpm__buffer_consume(&scarce.memory, &buffer, 1);
    }
    for (int i = 0; i < TURNS; i++) {
        assert_int_equal(tcpm__buffer_prepend(&scarce.memory, &buffer, "y", 1), 0);
        assert_int_equal(tcpm__buffer_append(&scarce.memory, &buffer, "x", 1), 0);
        tcpm__buffer_consume(&scarce.memory, &buffer, 2);
    }
    for (int i = 0; i < TURNS; i++)
        assert_int_equal(tcpm__buffer_prepend(&scarce.memory, &buffer, "y", 1), 0);
    assert_int_equal(tcpm__buffer_length(buffer), HELD + TURNS);
    assert_true(scarce.calls < 20);
    assert_true(buffer->capacity < 6 * (size_t) HELD);
    assert_true(cpu_seconds() - started < 10);
    tcpm__buffer_free(&scarce.memory, &buffer);
    free(bytes);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_does_what_an_array_does),
    cmocka_unit_test(test_out_of_memory_changes_nothing),
    cmocka_unit_test(test_a_size_that_overflows_is_out_of_memory),
    cmocka_unit_test(test_empty_pieces_cost_nothing),
    cmocka_unit_test(test_the_cost_does_not_depend_on_what_is_held),
};

RUN_TESTS(tests)
