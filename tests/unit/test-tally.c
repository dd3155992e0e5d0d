/* SPDX-License-Identifier: MIT */
/* The tally of ends against a plain table of counts. */
#include "support.h"

#include "base/tally.h"

enum { KINDS = 50, ENDS = 5000 };

static struct tcpm__end end_of_kind(size_t kind)
{
    return (struct tcpm__end){.reason = (uint8_t) (kind % 5 + 1),
                              .op = (uint8_t) (kind % 3),
                              .timer = (uint8_t) (kind % 2),
                              .code = -(int32_t) (kind / 5)};
}

/* Sorted, each kind once, and every end counted. */
static void check(const struct tcpm__tally *tally, const uint64_t counts[KINDS])
{
    const struct tcpm__tally_entry *entry;
    uint64_t before = UINT64_MAX, sum = 0, all = 0;
    size_t index = 0;

    for (; (entry = tcpm__tally_get(tally, index)) != NULL; index++) {
        assert_true(entry->count <= before);
        before = entry->count;
        sum += entry->count;
        size_t kind = strtoul(entry->message, NULL, 10);
        assert_true(kind < KINDS);
        assert_int_equal(entry->count, counts[kind]);
        struct tcpm__end end = end_of_kind(kind);
        assert_int_equal(entry->end.reason, end.reason);
        assert_int_equal(entry->end.op, end.op);
        assert_int_equal(entry->end.timer, end.timer);
        assert_int_equal(entry->end.code, end.code);
    }
    for (size_t i = 0; i < KINDS; i++)
        all += counts[i];
    assert_int_equal(sum, all);
}

static void test_each_kind_of_end_has_one_entry_the_largest_first(void **state)
{
    struct randomness random = {.state = 7};
    struct tcpm__tally tally = {.count = 0};
    uint64_t counts[KINDS] = {0};
    char message[8];

    (void) state;
    for (size_t i = 0; i < ENDS; i++) {
        size_t kind = random_below(&random, random_below(&random, KINDS) + 1);
        counts[kind]++;
        snprintf(message, sizeof message, "%zu", kind);
        tcpm__tally_add(&tally, &tcpm__memory_default, end_of_kind(kind), message);
        if (i % 97 == 0)
            check(&tally, counts);
    }
    check(&tally, counts);
    tcpm__tally_free(&tally, &tcpm__memory_default);
    assert_null(tcpm__tally_get(&tally, 0));
}

static void test_the_first_message_stays(void **state)
{
    struct tcpm__tally tally = {.count = 0};

    (void) state;
    tcpm__tally_add(&tally, &tcpm__memory_default, end_of_kind(1), "first\n");
    tcpm__tally_add(&tally, &tcpm__memory_default, end_of_kind(1), "second");
    tcpm__tally_add(&tally, &tcpm__memory_default, end_of_kind(2), NULL);
    assert_string_equal(tcpm__tally_get(&tally, 0)->message, "first?");
    assert_null(tcpm__tally_get(&tally, 1)->message);
    tcpm__tally_free(&tally, &tcpm__memory_default);
}

static void *refuse(void *block, size_t size, void *user)
{
    (void) user;
    if (size == 0)
        free(block);
    return NULL;
}

static void test_without_memory_the_entries_that_are_there_go_on(void **state)
{
    const struct tcpm__memory none = {refuse, NULL};
    struct tcpm__tally tally = {.count = 0};

    (void) state;
    for (size_t round = 0; round < 3; round++)
        for (size_t kind = 0; kind < KINDS; kind++)
            tcpm__tally_add(&tally, &none, end_of_kind(kind), "text");
    for (size_t i = 0; i < TCPM__TALLY_INLINE; i++) {
        assert_int_equal(tcpm__tally_get(&tally, i)->count, 3);
        assert_null(tcpm__tally_get(&tally, i)->message);
    }
    assert_null(tcpm__tally_get(&tally, TCPM__TALLY_INLINE));
    tcpm__tally_free(&tally, &none);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_each_kind_of_end_has_one_entry_the_largest_first),
    cmocka_unit_test(test_the_first_message_stays),
    cmocka_unit_test(test_without_memory_the_entries_that_are_there_go_on),
};

RUN_TESTS(tests)
