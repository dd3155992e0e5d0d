/*
 * The slabs behind short-lived blocks: every block is a block of its own, and what is empty goes
 * back to the allocator.
 */
#include "base/slab.h"

#include "support.h"

enum { SIZE = 96, MANY = 20000 };

static void blocks_do_not_overlap_and_empty_slabs_go_back(void **state)
{
    struct scarce scarce;
    struct tcpm__slabs slabs;
    static unsigned char *blocks[MANY];

    (void) state;
    scarce_init(&scarce);
    tcpm__slabs_init(&slabs, &scarce.memory, SIZE);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MANY; i++) {
            blocks[i] = tcpm__slab_take(&slabs);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t) blocks[i] % _Alignof(max_align_t), 0);
            memset(blocks[i], (int) (i % 251), SIZE);
        }
        assert_true(scarce.blocks < MANY / 1000);
        for (size_t i = 0; i < MANY; i++)
            for (size_t j = 0; j < SIZE; j++)
                assert_int_equal(blocks[i][j], i % 251);
        for (size_t i = 0; i < MANY; i++)
            tcpm__slab_give(&slabs, blocks[(i * 7919) % MANY]);
        assert_int_equal(scarce.blocks, 1); /* the spare one */
    }
    tcpm__slabs_free(&slabs);
    assert_int_equal(scarce.blocks, 0);
}

static void a_block_given_back_is_used_again_first(void **state)
{
    struct scarce scarce;
    struct tcpm__slabs slabs;
    void *first, *second;

    (void) state;
    scarce_init(&scarce);
    tcpm__slabs_init(&slabs, &scarce.memory, SIZE);
    first = tcpm__slab_take(&slabs);
    second = tcpm__slab_take(&slabs);
    tcpm__slab_give(&slabs, first);
    assert_ptr_equal(tcpm__slab_take(&slabs), first);
    tcpm__slab_give(&slabs, first);
    tcpm__slab_give(&slabs, second);
    tcpm__slabs_free(&slabs);
    assert_int_equal(scarce.blocks, 0);
}

static void without_memory_there_is_no_block(void **state)
{
    struct scarce scarce;
    struct tcpm__slabs slabs;

    (void) state;
    scarce_init(&scarce);
    tcpm__slabs_init(&slabs, &scarce.memory, SIZE);
    scarce.left = 0;
    assert_null(tcpm__slab_take(&slabs));
    tcpm__slab_give(&slabs, tcpm__slab_take(&slabs));
    tcpm__slabs_free(&slabs);
    assert_int_equal(scarce.blocks, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(blocks_do_not_overlap_and_empty_slabs_go_back),
    cmocka_unit_test(a_block_given_back_is_used_again_first),
    cmocka_unit_test(without_memory_there_is_no_block),
};

RUN_TESTS(tests)
