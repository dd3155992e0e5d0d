/* SPDX-License-Identifier: MIT */
/* The id table: an id finds its item and, once given back, nothing ever again. */
#include "support.h"

#include "base/pool.h"

#define LAST_SLOT ((1u << TCPM__POOL_SLOT_BITS) - 1)

static uint32_t slot_of(uint64_t id)
{
    return (uint32_t) (id & LAST_SLOT);
}

static void test_ids_begin_with_generation_one_in_slot_one(void **state)
{
    struct tcpm__pool pool;

    (void) state;
    tcpm__pool_init(&pool, &tcpm__memory_default, 64);
    for (uint64_t slot = 1; slot <= 600; slot++) {
        void *item = tcpm__pool_take(&pool);
        assert_non_null(item);
        assert_int_equal(tcpm__pool_id(item), (UINT64_C(1) << TCPM__POOL_SLOT_BITS) + slot);
        assert_ptr_equal(tcpm__pool_find(&pool, tcpm__pool_id(item)), item);
    }
    assert_int_equal(pool.live, 600);
    tcpm__pool_free(&pool);
}

static void test_items_are_zeroed_aligned_and_never_move(void **state)
{
    struct tcpm__pool pool;
    char *items[1000];

    (void) state;
    tcpm__pool_init(&pool, &tcpm__memory_default, 192);
    for (size_t i = 0; i < COUNT(items); i++) {
        items[i] = tcpm__pool_take(&pool);
        assert_int_equal((uintptr_t) items[i] % 64, 0);
        for (size_t at = sizeof(uint64_t); at < 192; at++)
            assert_int_equal(items[i][at], 0);
        memset(items[i] + sizeof(uint64_t), 0xa5, 192 - sizeof(uint64_t));
    }
    for (size_t i = 0; i < COUNT(items); i++) {
        uint64_t id = tcpm__pool_id(items[i]);
        assert_ptr_equal(tcpm__pool_find(&pool, id), items[i]);
        tcpm__pool_give(&pool, items[i]);
    }
    char *again = tcpm__pool_take(&pool);
    assert_ptr_equal(again, items[0]);
    for (size_t at = sizeof(uint64_t); at < 192; at++)
        assert_int_equal(again[at], 0);
    tcpm__pool_free(&pool);
}

/* FAULTS H01, H03: every id that was ever given back stays unknown. */
static void test_stale_ids_find_nothing(void **state)
{
    enum { LIVE = 50, ROUNDS = 20000 };
    struct tcpm__pool pool;
    void *items[LIVE] = {NULL};
    uint64_t *stale = calloc(ROUNDS, sizeof *stale);
    struct randomness random = {7};

    (void) state;
    assert_non_null(stale);
    tcpm__pool_init(&pool, &tcpm__memory_default, 16);
    for (size_t i = 0; i < LIVE; i++)
        items[i] = tcpm__pool_take(&pool);
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t i = random_below(&random, LIVE);
        stale[round] = tcpm__pool_id(items[i]);
        tcpm__pool_give(&pool, items[i]);
        assert_null(tcpm__pool_find(&pool, stale[round]));
        items[i] = tcpm__pool_take(&pool);
        assert_non_null(items[i]);
        assert_ptr_equal(tcpm__pool_find(&pool, tcpm__pool_id(items[i])), items[i]);
    }
    for (size_t round = 0; round < ROUNDS; round++)
        assert_null(tcpm__pool_find(&pool, stale[round]));
    assert_int_equal(pool.live, LIVE);
    tcpm__pool_free(&pool);
    free(stale);
}

static void test_free_slots_are_used_again_oldest_first(void **state)
{
    struct tcpm__pool pool;
    void *items[10];

    (void) state;
    tcpm__pool_init(&pool, &tcpm__memory_default, 16);
    for (size_t i = 0; i < COUNT(items); i++)
        items[i] = tcpm__pool_take(&pool);
    static const size_t order[] = {4, 9, 0, 7};
    for (size_t i = 0; i < COUNT(order); i++)
        tcpm__pool_give(&pool, items[order[i]]);
    for (size_t i = 0; i < COUNT(order); i++)
        assert_ptr_equal(tcpm__pool_take(&pool), items[order[i]]);
    assert_int_equal(slot_of(tcpm__pool_id(tcpm__pool_take(&pool))), 11);
    tcpm__pool_free(&pool);
}

static void test_any_number_may_be_asked(void **state)
{
    struct tcpm__pool pool;
    struct randomness random = {3};

    (void) state;
    tcpm__pool_init(&pool, &tcpm__memory_default, 16);
    assert_null(tcpm__pool_find(&pool, 0));
    assert_null(tcpm__pool_next(&pool, 0));
    void *item = tcpm__pool_take(&pool);
    void *given = tcpm__pool_take(&pool);
    uint64_t id = tcpm__pool_id(item), gone = tcpm__pool_id(given);
    tcpm__pool_give(&pool, given);
    static const uint64_t odd[] = {0, 1, 2, LAST_SLOT, UINT64_MAX, UINT64_C(1) << 53, INT64_MAX};
    for (size_t i = 0; i < COUNT(odd); i++)
        assert_null(tcpm__pool_find(&pool, odd[i]));
    for (int i = 0; i < 100000; i++) {
        uint64_t any = random_next(&random);
        void *found = tcpm__pool_find(&pool, any >> (any & 63));
        assert_true(found == NULL || any >> (any & 63) == id);
        (void) tcpm__pool_next(&pool, any);
    }
    /* what a free item holds, and its neighbours, are no ids either */
    for (uint64_t generation = 0; generation < 5; generation++)
        for (uint64_t slot = 0; slot < 600; slot++)
            if ((generation << TCPM__POOL_SLOT_BITS | slot) != id)
                assert_null(tcpm__pool_find(&pool, generation << TCPM__POOL_SLOT_BITS | slot));
    assert_null(tcpm__pool_find(&pool, gone));
    tcpm__pool_free(&pool);
}

/* FAULTS H05. */
static void test_iterates_in_slot_order_while_items_go(void **state)
{
    struct tcpm__pool pool;
    void *items[700];
    size_t seen = 0;

    (void) state;
    tcpm__pool_init(&pool, &tcpm__memory_default, 16);
    for (size_t i = 0; i < COUNT(items); i++)
        items[i] = tcpm__pool_take(&pool);
    for (size_t i = 0; i < COUNT(items); i += 3)
        tcpm__pool_give(&pool, items[i]);
    uint64_t id = 0;
    uint32_t last = 0;
    for (void *item; (item = tcpm__pool_next(&pool, id)) != NULL; seen++) {
        id = tcpm__pool_id(item);
        assert_true(slot_of(id) > last);
        last = slot_of(id);
        assert_int_not_equal((last - 1) % 3, 0);
        tcpm__pool_give(&pool, item);
    }
    assert_int_equal(seen, COUNT(items) - (COUNT(items) + 2) / 3);
    assert_int_equal(pool.live, 0);
    tcpm__pool_free(&pool);
}

static void test_a_spent_slot_is_retired(void **state)
{
    struct tcpm__pool pool;

    (void) state;
    tcpm__pool_init(&pool, &tcpm__memory_default, 16);
    uint64_t *item = tcpm__pool_take(&pool);
    *item = (uint64_t) (UINT32_MAX - 1) << TCPM__POOL_SLOT_BITS | 1; /* all but spent */
    tcpm__pool_give(&pool, item);
    assert_ptr_equal(tcpm__pool_take(&pool), item);
    uint64_t last = tcpm__pool_id(item);
    assert_int_equal(last, (uint64_t) UINT32_MAX << TCPM__POOL_SLOT_BITS | 1);
    assert_true(last < UINT64_C(1) << 53);
    assert_ptr_equal(tcpm__pool_find(&pool, last), item);
    tcpm__pool_give(&pool, item);
    assert_null(tcpm__pool_find(&pool, last));
    for (int i = 0; i < 300; i++)
        assert_int_not_equal(slot_of(tcpm__pool_id(tcpm__pool_take(&pool))), 1);
    assert_null(tcpm__pool_find(&pool, last));
    assert_int_equal(slot_of(tcpm__pool_id(tcpm__pool_next(&pool, 0))), 2);
    tcpm__pool_free(&pool);
}

static void test_all_slots_can_be_live_and_no_more(void **state)
{
    struct tcpm__pool pool;

    (void) state;
    tcpm__pool_init(&pool, &tcpm__memory_default, 8);
    for (uint32_t slot = 1; slot <= LAST_SLOT; slot++) {
        void *item = tcpm__pool_take(&pool);
        if (item == NULL || slot_of(tcpm__pool_id(item)) != slot)
            fail_msg("slot %u", slot);
    }
    assert_null(tcpm__pool_take(&pool));
    assert_int_equal(pool.live, LAST_SLOT);
    uint64_t id = UINT64_C(1) << TCPM__POOL_SLOT_BITS | LAST_SLOT;
    void *item = tcpm__pool_find(&pool, id);
    assert_non_null(item);
    assert_null(tcpm__pool_next(&pool, id));
    tcpm__pool_give(&pool, item);
    assert_ptr_equal(tcpm__pool_take(&pool), item);
    assert_null(tcpm__pool_take(&pool));
    tcpm__pool_free(&pool);
}

static void test_out_of_memory_loses_nothing(void **state)
{
    (void) state;
    for (long left = 0; left < 12; left++) {
        struct scarce scarce;
        struct tcpm__pool pool;
        uint32_t taken = 0, refused = 0;

        scarce_init(&scarce);
        scarce.left = left;
        tcpm__pool_init(&pool, &scarce.memory, 16);
        while (taken < 256 * 20) {
            void *item = tcpm__pool_take(&pool);
            if (item == NULL)
                refused++;
            else
                assert_int_equal(slot_of(tcpm__pool_id(item)), ++taken);
        }
        assert_int_equal(refused, 1);
        assert_int_equal(pool.live, taken);
        tcpm__pool_free(&pool);
        assert_int_equal(scarce.blocks, 0);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_ids_begin_with_generation_one_in_slot_one),
    cmocka_unit_test(test_items_are_zeroed_aligned_and_never_move),
    cmocka_unit_test(test_stale_ids_find_nothing),
    cmocka_unit_test(test_free_slots_are_used_again_oldest_first),
    cmocka_unit_test(test_any_number_may_be_asked),
    cmocka_unit_test(test_iterates_in_slot_order_while_items_go),
    cmocka_unit_test(test_a_spent_slot_is_retired),
    cmocka_unit_test(test_all_slots_can_be_live_and_no_more),
    cmocka_unit_test(test_out_of_memory_loses_nothing),
};

RUN_TESTS(tests)
