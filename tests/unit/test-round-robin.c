/* SPDX-License-Identifier: MIT */
/* Round robin in made-up time: who is served next, for how long, and how long a turn takes. */
#include "support.h"

#include "base/round_robin.h"
#ifdef TCPM__ASSERTIONS
#include "base/validate.h"
#endif

#define MS     UINT64_C(1000000)
#define START  (5000 * MS) /* of a clock that has run for a while */
#define OFFSET offsetof(struct item, link)

enum { MOST_ITEMS = 1000 };

struct item {
    uint64_t id;     /* the pool's */
    bool is_barred;  /* it may not be served now */
    unsigned served; /* how often */
    struct tcpm__chain_link link;
};

struct bench {
    struct tcpm__pool pool;
    struct tcpm__round_robin robin;
};

static void bench_open(struct bench *bench)
{
    tcpm__pool_init(&bench->pool, &tcpm__memory_default, sizeof(struct item));
    tcpm__round_robin_init(&bench->robin, &bench->pool, OFFSET);
}

static void bench_close(struct bench *bench)
{
    tcpm__pool_free(&bench->pool);
}

/* The slots are 1, 2, ... in the order of taking. */
static uint32_t take_item(struct bench *bench)
{
    struct item *item = tcpm__pool_take(&bench->pool);

    assert_non_null(item);
    return tcpm__pool_slot(item);
}

static void add_items(struct bench *bench, unsigned count, uint64_t now_ns)
{
    for (unsigned i = 0; i < count; i++)
        tcpm__round_robin_add(&bench->robin, take_item(bench), now_ns);
}

static struct item *item_at(const struct bench *bench, uint32_t slot)
{
    return tcpm__pool_at(&bench->pool, slot);
}

static bool on_may_serve(const void *item, const void *user)
{
    (void) user;
    return !((const struct item *) item)->is_barred;
}

static uint32_t next(const struct bench *bench)
{
    return tcpm__round_robin_next(&bench->robin, on_may_serve, NULL);
}

/* A serving that leaves work, in a turn that goes on. */
static void serve(struct bench *bench, uint32_t slot, uint64_t end_ns)
{
    assert_true(tcpm__round_robin_note_served(&bench->robin, slot, true, end_ns, UINT64_MAX));
}

/* order: the slots in the chain, and a 0 behind them. */
static void assert_order(const struct bench *bench, const uint32_t *order)
{
    uint32_t slot = bench->robin.chain.first, count = 0;

    for (; order[count] != 0; count++) {
        assert_int_equal(slot, order[count]);
        slot = item_at(bench, slot)->link.next;
    }
    assert_int_equal(slot, 0);
    assert_int_equal(bench->robin.count, count);
}

#define ASSERT_ORDER(bench, ...) assert_order(bench, (const uint32_t[]){__VA_ARGS__})

/* ---- order ---- */

static void test_those_behind_the_first_are_served_once_each(void **state)
{
    struct bench bench;

    (void) state;
    bench_open(&bench);
    add_items(&bench, 4, START);
    assert_int_equal(next(&bench), 1);
    serve(&bench, 1, START + 1);
    ASSERT_ORDER(&bench, 1, 2, 3, 4, 0);
    item_at(&bench, 1)->is_barred = true;
    for (uint32_t slot = 2; slot <= 4; slot++) {
        assert_int_equal(next(&bench), slot);
        serve(&bench, slot, START + slot);
        item_at(&bench, slot)->is_barred = true;
    }
    ASSERT_ORDER(&bench, 1, 2, 3, 4, 0);
    assert_int_equal(next(&bench), 0);
    bench_close(&bench);
}

static void test_the_first_comes_before_all_others_while_it_may_be_served(void **state)
{
    struct bench bench;

    (void) state;
    bench_open(&bench);
    assert_int_equal(next(&bench), 0);
    add_items(&bench, 1, START);
    item_at(&bench, 1)->is_barred = true;
    assert_int_equal(next(&bench), 0);
    add_items(&bench, 2, START);
    assert_int_equal(next(&bench), 2);
    serve(&bench, 2, START + 1);
    assert_int_equal(next(&bench), 3);
    item_at(&bench, 1)->is_barred = false;
    assert_int_equal(next(&bench), 1);
    bench_close(&bench);
}

static void test_who_has_nothing_left_is_out(void **state)
{
    struct bench bench;

    (void) state;
    bench_open(&bench);
    add_items(&bench, 3, START);
    assert_true(tcpm__round_robin_note_served(&bench.robin, 2, false, START + 1, UINT64_MAX));
    ASSERT_ORDER(&bench, 1, 3, 0);
    assert_true(tcpm__round_robin_note_served(&bench.robin, 1, false, START + 2, UINT64_MAX));
    assert_true(tcpm__round_robin_note_served(&bench.robin, 3, false, START + 3, UINT64_MAX));
    ASSERT_ORDER(&bench, 0);
    tcpm__round_robin_add(&bench.robin, 2, START + 4);
    assert_int_equal(next(&bench), 2);
    bench_close(&bench);
}

/* ---- slices ---- */

static void test_a_slice_is_4_ms_or_a_share_of_500(void **state)
{
    static const struct {
        unsigned count;
        uint64_t slice_ms;
    } rows[] = {{1, 4},   {2, 4},   {125, 4}, {126, 3}, {166, 3},
                {167, 2}, {250, 2}, {251, 1}, {500, 1}, {MOST_ITEMS, 0}};

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bench bench;
        uint64_t slice_ns = rows[i].slice_ms * MS;

        bench_open(&bench);
        add_items(&bench, rows[i].count, START);
        if (slice_ns > 0)
            serve(&bench, 1, START + slice_ns - 1);
        assert_int_equal(bench.robin.chain.first, 1);
        serve(&bench, 1, START + slice_ns);
        assert_int_equal(bench.robin.chain.last, 1);
        assert_int_equal(bench.robin.slice_began_ms, (START + slice_ns) / MS);
        bench_close(&bench);
    }
}

/* Ten turns a millisecond, one serving in each. */
static void test_a_cycle_takes_slices_of_equal_length(void **state)
{
    struct bench bench;

    (void) state;
    bench_open(&bench);
    add_items(&bench, 200, START);
    for (uint64_t now_ns = START; now_ns < START + 3 * 400 * MS;) {
        uint32_t slot = next(&bench);

        item_at(&bench, slot)->served++;
        now_ns += MS / 10;
        serve(&bench, slot, now_ns);
    }
    for (uint32_t slot = 1; slot <= 200; slot++)
        assert_int_equal(item_at(&bench, slot)->served, 60);
    bench_close(&bench);
}

static void test_the_slice_begins_anew_when_the_first_leaves(void **state)
{
    struct bench bench;

    (void) state;
    bench_open(&bench);
    add_items(&bench, 3, START);
    tcpm__round_robin_leave(&bench.robin, 1, START + 3 * MS);
    serve(&bench, 2, START + 7 * MS - 1);
    ASSERT_ORDER(&bench, 2, 3, 0);
    serve(&bench, 2, START + 7 * MS);
    ASSERT_ORDER(&bench, 3, 2, 0);
    tcpm__round_robin_leave(&bench.robin, 2, START + 10 * MS); /* not the first */
    serve(&bench, 3, START + 11 * MS);
    assert_int_equal(bench.robin.slice_began_ms, (START + 11 * MS) / MS);
    bench_close(&bench);
}

static void test_the_slice_begins_when_the_first_of_all_comes_in(void **state)
{
    struct bench bench;

    (void) state;
    bench_open(&bench);
    add_items(&bench, 1, START);
    add_items(&bench, 1, START + 3 * MS);
    serve(&bench, 1, START + 4 * MS);
    ASSERT_ORDER(&bench, 2, 1, 0);
    tcpm__round_robin_leave(&bench.robin, 2, START + 5 * MS);
    tcpm__round_robin_leave(&bench.robin, 1, START + 6 * MS);
    tcpm__round_robin_add(&bench.robin, 1, START + 60 * MS);
    tcpm__round_robin_add(&bench.robin, 2, START + 60 * MS);
    serve(&bench, 1, START + 64 * MS - 1);
    ASSERT_ORDER(&bench, 1, 2, 0);
    bench_close(&bench);
}

static void test_who_leaves_while_it_is_served_is_not_put_back(void **state)
{
    struct bench bench;

    (void) state;
    bench_open(&bench);
    add_items(&bench, 3, START);
    assert_int_equal(next(&bench), 1);
    tcpm__round_robin_leave(&bench.robin, 1, START + MS);
    serve(&bench, 0, START + 20 * MS);
    ASSERT_ORDER(&bench, 2, 3, 0);
    assert_int_equal(bench.robin.slice_began_ms, (START + MS) / MS);
    assert_int_equal(bench.robin.ended_ns, START + 20 * MS);
    tcpm__round_robin_leave(&bench.robin, 2, START + 21 * MS);
    tcpm__round_robin_leave(&bench.robin, 3, START + 21 * MS);
    serve(&bench, 0, START + 22 * MS);
    ASSERT_ORDER(&bench, 0);
    bench_close(&bench);
}

/* ---- turns ---- */

static void test_a_turn_has_as_much_time_as_the_rest_took(void **state)
{
    static const struct {
        uint64_t rest_ns, turn_ns;
    } rows[] = {{0, 0},
                {1, 1},
                {2 * MS, 2 * MS},
                {4 * MS, 4 * MS},
                {4 * MS + 1, 4 * MS},
                {3600000 * MS, 4 * MS}};

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bench bench;
        uint64_t began_ns = START + rows[i].rest_ns, until_ns = began_ns + rows[i].turn_ns;

        bench_open(&bench);
        add_items(&bench, 2, START);
        assert_int_equal(tcpm__round_robin_begin_turn(&bench.robin, began_ns), until_ns);
        if (rows[i].turn_ns > 0)
            assert_true(
                tcpm__round_robin_note_served(&bench.robin, 1, true, until_ns - 1, until_ns));
        assert_false(tcpm__round_robin_note_served(&bench.robin, 1, true, until_ns, until_ns));
        bench_close(&bench);
    }
}

static void test_the_rest_is_counted_from_the_last_serving(void **state)
{
    struct bench bench;

    (void) state;
    bench_open(&bench);
    add_items(&bench, 2, START);
    tcpm__round_robin_begin_turn(&bench.robin, START + 2 * MS);
    serve(&bench, 1, START + 10 * MS);
    assert_int_equal(tcpm__round_robin_begin_turn(&bench.robin, START + 11 * MS), START + 12 * MS);
    /* A turn in which nothing may be served counts as a serving. */
    assert_int_equal(tcpm__round_robin_begin_turn(&bench.robin, START + 14 * MS), START + 17 * MS);
    /* Whoever comes to others changes nothing. */
    add_items(&bench, 1, START + 15 * MS);
    assert_int_equal(tcpm__round_robin_begin_turn(&bench.robin, START + 15 * MS), START + 16 * MS);
    bench_close(&bench);
}

/* ---- against a model ---- */

enum { ITEMS = 6 };

/* The round robin as an array of slots, and its times. */
struct model {
    struct bench bench;
    struct randomness random;
    uint32_t order[ITEMS], count;
    uint64_t now_ns, slice_began_ms, ended_ns;
};

static uint32_t place_of(const struct model *model, uint32_t slot)
{
    uint32_t place = 0;

    while (place < model->count && model->order[place] != slot)
        place++;
    return place;
}

static void model_add(struct model *model, uint32_t slot)
{
    if (model->count == 0) {
        model->slice_began_ms = model->now_ns / MS;
        model->ended_ns = model->now_ns;
    }
    model->order[model->count++] = slot;
    tcpm__round_robin_add(&model->bench.robin, slot, model->now_ns);
}

static void model_take_out(struct model *model, uint32_t place)
{
    if (place == 0)
        model->slice_began_ms = model->now_ns / MS;
    model->count--;
    memmove(&model->order[place], &model->order[place + 1],
            (model->count - place) * sizeof model->order[0]);
}

static void model_leave(struct model *model, uint32_t slot)
{
    model_take_out(model, place_of(model, slot));
    tcpm__round_robin_leave(&model->bench.robin, slot, model->now_ns);
}

static uint32_t model_next(const struct model *model)
{
    for (uint32_t place = 0; place < 2 && place < model->count; place++)
        if (!item_at(&model->bench, model->order[place])->is_barred)
            return model->order[place];
    return 0;
}

static void model_note_served(struct model *model, uint32_t slot, bool more, uint64_t until_ns)
{
    uint32_t place = place_of(model, slot);
    bool is_in = place < model->count, is_over = model->now_ns / MS - model->slice_began_ms >= 4;

    model->ended_ns = model->now_ns;
    if (is_in && (!more || place > 0 || is_over)) {
        model_take_out(model, place);
        if (more)
            model->order[model->count++] = slot;
    }
    bool goes_on = tcpm__round_robin_note_served(&model->bench.robin, is_in ? slot : 0, more,
                                                 model->now_ns, until_ns);
    assert_int_equal(goes_on, model->now_ns < until_ns);
}

static void come_or_go(struct model *model)
{
    uint32_t slot = 1 + (uint32_t) random_below(&model->random, ITEMS);

    if (place_of(model, slot) == model->count)
        model_add(model, slot);
    else if (random_below(&model->random, 4) == 0)
        model_leave(model, slot);
}

static void assert_same(const struct model *model)
{
    const struct tcpm__round_robin *robin = &model->bench.robin;
    uint32_t order[ITEMS + 1] = {0};

    memcpy(order, model->order, model->count * sizeof order[0]);
    assert_order(&model->bench, order);
    assert_int_equal(robin->slice_began_ms, model->slice_began_ms);
    assert_int_equal(robin->ended_ns, model->ended_ns);
#ifdef TCPM__ASSERTIONS
    assert_int_equal(tcpm__chain_validate(&model->bench.pool, &robin->chain, OFFSET), model->count);
#endif
}

/* Any item comes or goes in the middle of the serving. */
static void serve_once(struct model *model, uint32_t slot, uint64_t until_ns)
{
    item_at(&model->bench, slot)->is_barred = true;
    model->now_ns += 1 + random_below(&model->random, MS);
    come_or_go(model);
    model_note_served(model, slot, random_below(&model->random, 8) != 0, until_ns);
    assert_same(model);
}

/* A turn in which each item may be served once at most. */
static void run_turn(struct model *model)
{
    uint64_t rest_ns = model->now_ns - model->ended_ns;
    uint64_t until_ns = tcpm__round_robin_begin_turn(&model->bench.robin, model->now_ns);

    assert_int_equal(until_ns, model->now_ns + (rest_ns < 4 * MS ? rest_ns : 4 * MS));
    model->ended_ns = model->now_ns;
    for (uint32_t slot = 1; slot <= ITEMS; slot++)
        item_at(&model->bench, slot)->is_barred = random_below(&model->random, 8) == 0;
    do {
        uint32_t slot = next(&model->bench);

        assert_int_equal(slot, model_next(model));
        if (slot == 0)
            return;
        serve_once(model, slot, until_ns);
    } while (model->now_ns < until_ns);
}

static void test_random_turns_are_those_of_an_array(void **state)
{
    struct model model = {.random = {1}, .now_ns = START};

    (void) state;
    bench_open(&model.bench);
    for (int i = 0; i < ITEMS; i++)
        take_item(&model.bench);
    for (int step = 0; step < 100000; step++) {
        model.now_ns += random_below(&model.random, 2 * MS);
        come_or_go(&model);
        assert_same(&model);
        if (model.count > 0)
            run_turn(&model);
    }
    bench_close(&model.bench);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_those_behind_the_first_are_served_once_each),
    cmocka_unit_test(test_the_first_comes_before_all_others_while_it_may_be_served),
    cmocka_unit_test(test_who_has_nothing_left_is_out),
    cmocka_unit_test(test_a_slice_is_4_ms_or_a_share_of_500),
    cmocka_unit_test(test_a_cycle_takes_slices_of_equal_length),
    cmocka_unit_test(test_the_slice_begins_anew_when_the_first_leaves),
    cmocka_unit_test(test_the_slice_begins_when_the_first_of_all_comes_in),
    cmocka_unit_test(test_who_leaves_while_it_is_served_is_not_put_back),
    cmocka_unit_test(test_a_turn_has_as_much_time_as_the_rest_took),
    cmocka_unit_test(test_the_rest_is_counted_from_the_last_serving),
    cmocka_unit_test(test_random_turns_are_those_of_an_array),
};

RUN_TESTS(tests)
