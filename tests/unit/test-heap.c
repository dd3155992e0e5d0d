/* SPDX-License-Identifier: MIT */
/* The heap of alarms against a plain array that is searched from end to end, in made-up time. */
#include "support.h"

#include "base/heap.h"

enum { ITEMS = 200, OPERATIONS = 60000 };

struct model {
    struct scarce scarce;
    struct tcpm__heap heap;
    struct tcpm__heap_item items[ITEMS];
    bool set[ITEMS];
    uint64_t order[ITEMS]; /* when set */
    uint64_t now, count;
    struct randomness random;
};

/* The item that comes next by the contract, or ITEMS. */
static size_t find_first(const struct model *model)
{
    size_t first = ITEMS;

    for (size_t i = 0; i < ITEMS; i++)
        if (model->set[i] &&
            (first == ITEMS || model->items[i].due_ns < model->items[first].due_ns ||
             (model->items[i].due_ns == model->items[first].due_ns &&
              model->order[i] < model->order[first])))
            first = i;
    return first;
}

static void check_next(const struct model *model)
{
    size_t first = find_first(model);

    assert_true(model->heap.next_ns == (first == ITEMS ? UINT64_MAX : model->items[first].due_ns));
}

static void set_one(struct model *model)
{
    size_t i = random_below(&model->random, ITEMS);

    tcpm__heap_set(&model->heap, &model->items[i],
                   model->now + random_below(&model->random, 2 * ITEMS));
    model->set[i] = true;
    model->order[i] = model->count++;
}

static void remove_one(struct model *model)
{
    size_t i = random_below(&model->random, ITEMS);

    tcpm__heap_remove(&model->heap, &model->items[i]);
    model->set[i] = false;
}

static void expire_one(struct model *model)
{
    size_t first = find_first(model);
    struct tcpm__heap_item *item = tcpm__heap_expire(&model->heap, model->now);

    if (first == ITEMS || model->items[first].due_ns > model->now) {
        assert_null(item);
        model->now += random_below(&model->random, ITEMS);
        return;
    }
    assert_ptr_equal(item, &model->items[first]);
    assert_int_equal(item->index, 0);
    model->set[first] = false;
}

static void open_model(struct model *model, uint64_t seed)
{
    *model = (struct model){.random.state = seed};
    scarce_init(&model->scarce);
    tcpm__heap_init(&model->heap, &model->scarce.memory);
    for (size_t i = 0; i < ITEMS; i++)
        assert_int_equal(tcpm__heap_join(&model->heap), 0);
}

static void test_it_does_what_a_sorted_list_does(void **state)
{
    struct model *model = malloc(sizeof *model);

    (void) state;
    assert_non_null(model);
    open_model(model, 20240607);
    for (int i = 0; i < OPERATIONS; i++) {
        uint64_t choice = random_below(&model->random, 10);
        if (choice < 4)
            set_one(model);
        else if (choice < 6)
            remove_one(model);
        else
            expire_one(model);
        check_next(model);
    }
    tcpm__heap_free(&model->heap);
    assert_int_equal(model->scarce.blocks, 0);
    free(model);
}

/* Only joining asks for memory, and what it cannot have changes nothing. */
static void test_only_joining_needs_memory(void **state)
{
    struct model *model = malloc(sizeof *model);

    (void) state;
    assert_non_null(model);
    open_model(model, 7);
    model->scarce.left = 0;
    model->scarce.for_good = true;
    while (model->heap.members < model->heap.room)
        assert_int_equal(tcpm__heap_join(&model->heap), 0);
    assert_int_equal(tcpm__heap_join(&model->heap), -12);
    for (size_t i = 0; i < ITEMS; i++)
        set_one(model);
    check_next(model);
    tcpm__heap_leave(&model->heap);
    assert_int_equal(tcpm__heap_join(&model->heap), 0);
    tcpm__heap_free(&model->heap);
    free(model);
}

/* Ten times as many, and each costs little more: a search would cost ten times as much. */
static double cost_of(uint32_t count)
{
    struct tcpm__heap heap;
    struct tcpm__heap_item *items = calloc(count, sizeof *items);
    struct randomness random = {.state = 99};
    double began, taken;

    assert_non_null(items);
    tcpm__heap_init(&heap, &tcpm__memory_default);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(tcpm__heap_join(&heap), 0);
    began = cpu_seconds();
    for (uint32_t i = 0; i < count; i++)
        tcpm__heap_set(&heap, &items[i], random_next(&random) >> 20);
    for (uint32_t i = 0; i < count / 2; i++)
        tcpm__heap_remove(&heap, &items[i]);
    while (tcpm__heap_expire(&heap, UINT64_MAX) != NULL)
        continue;
    taken = (cpu_seconds() - began) / count;
    tcpm__heap_free(&heap);
    free(items);
    return taken;
}

static void test_many_cost_little_more_than_few(void **state)
{
    double few = cost_of(20000), many = cost_of(200000);

    (void) state;
    print_message("# %.0f ns each of 20,000, %.0f ns of 200,000\n", few * 1e9, many * 1e9);
    assert_true(many < 6 * few);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_it_does_what_a_sorted_list_does),
    cmocka_unit_test(test_only_joining_needs_memory),
    cmocka_unit_test(test_many_cost_little_more_than_few),
};

RUN_TESTS(tests)
