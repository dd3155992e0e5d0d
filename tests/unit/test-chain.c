/* SPDX-License-Identifier: MIT */
/* The chain of slots: whatever is appended and removed, it is what an array would be. */
#include "support.h"

#include "base/chain.h"

enum { ITEMS = 40 };

struct item {
    uint64_t id; /* the pool's */
    struct tcpm__chain_link link;
};

struct model {
    struct tcpm__pool pool;
    struct tcpm__chain chain;
    struct item *order[ITEMS];
    size_t count;
};

static struct item *next_of(const struct model *model, uint32_t slot)
{
    return slot == 0 ? NULL : tcpm__pool_at(&model->pool, slot);
}

static void assert_same_both_ways(const struct model *model)
{
    uint32_t slot = model->chain.first;

    for (size_t i = 0; i < model->count; i++) {
        assert_ptr_equal(next_of(model, slot), model->order[i]);
        slot = model->order[i]->link.next;
    }
    assert_int_equal(slot, 0);
    slot = model->chain.last;
    for (size_t i = model->count; i-- > 0;) {
        assert_ptr_equal(next_of(model, slot), model->order[i]);
        slot = model->order[i]->link.prev;
    }
    assert_int_equal(slot, 0);
}

static void append(struct model *model)
{
    struct item *item = tcpm__pool_take(&model->pool);

    assert_non_null(item);
    model->order[model->count++] = item;
    tcpm__chain_append(&model->pool, &model->chain, &item->link, tcpm__pool_slot(item),
                       offsetof(struct item, link));
}

static void insert_at(struct model *model, size_t place)
{
    struct item *item = tcpm__pool_take(&model->pool);
    uint32_t after = place == 0 ? 0 : tcpm__pool_slot(model->order[place - 1]);

    assert_non_null(item);
    memmove(&model->order[place + 1], &model->order[place],
            (model->count - place) * sizeof model->order[0]);
    model->order[place] = item;
    model->count++;
    tcpm__chain_insert(&model->pool, &model->chain, &item->link, tcpm__pool_slot(item), after,
                       offsetof(struct item, link));
}

static void remove_at(struct model *model, size_t place)
{
    struct item *item = model->order[place];

    tcpm__chain_remove(&model->pool, &model->chain, &item->link, offsetof(struct item, link));
    tcpm__pool_give(&model->pool, item);
    model->count--;
    memmove(&model->order[place], &model->order[place + 1],
            (model->count - place) * sizeof model->order[0]);
}

static void test_a_chain_does_what_an_array_does(void **state)
{
    struct randomness random = {1};
    struct model model = {.count = 0};

    (void) state;
    tcpm__pool_init(&model.pool, &tcpm__memory_default, sizeof(struct item));
    assert_same_both_ways(&model);
    for (int step = 0; step < 20000; step++) {
        if (model.count == ITEMS || (model.count > 0 && random_below(&random, 2) == 0))
            remove_at(&model, random_below(&random, model.count));
        else if (random_below(&random, 2) == 0)
            insert_at(&model, random_below(&random, model.count + 1));
        else
            append(&model);
        assert_same_both_ways(&model);
    }
    tcpm__pool_free(&model.pool);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_chain_does_what_an_array_does),
};

RUN_TESTS(tests)
