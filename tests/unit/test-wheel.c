/* SPDX-License-Identifier: MIT */
/* The timing wheel against a plain array that is searched from end to end, in made-up time. */
#include "support.h"

#include "base/wheel.h"

enum { TIMERS = 150, OPERATIONS = 40000 };

struct model {
    struct tcpm__wheel wheel;
    struct tcpm__timer timers[TIMERS];
    bool armed[TIMERS];
    uint64_t due[TIMERS], order[TIMERS]; /* order: when armed */
    uint64_t now, count;
    struct randomness random;
};

/* A time near now, near a border between slots, far away, or past. */
static uint64_t pick_time(struct model *model)
{
    uint64_t bits = random_below(&model->random, 64);
    uint64_t delta = random_next(&model->random) >> (63 - bits);
    uint64_t border = UINT64_C(1) << (6 * random_below(&model->random, 8));

    switch (random_below(&model->random, 5)) {
    case 0:
        return model->now - (delta < model->now ? delta : model->now);
    case 1:
        return model->now / border * border + border * random_below(&model->random, 7) + delta % 3;
    case 2:
        return model->now + random_below(&model->random, 100);
    default:
        return UINT64_MAX - model->now < delta ? UINT64_MAX : model->now + delta;
    }
}

static void arm_one(struct model *model)
{
    size_t i = random_below(&model->random, TIMERS);
    uint64_t due = pick_time(model);

    tcpm__wheel_arm(&model->wheel, &model->timers[i], due);
    model->armed[i] = true;
    model->due[i] = due < model->now ? model->now : due;
    model->order[i] = model->count++;
}

static void cancel_one(struct model *model)
{
    size_t i = random_below(&model->random, TIMERS);

    tcpm__wheel_cancel(&model->wheel, &model->timers[i]);
    model->armed[i] = false;
}

/* The timer that comes next by the contract, or TIMERS. */
static size_t find_first(const struct model *model)
{
    size_t first = TIMERS;

    for (size_t i = 0; i < TIMERS; i++)
        if (model->armed[i] &&
            (first == TIMERS || model->due[i] < model->due[first] ||
             (model->due[i] == model->due[first] && model->order[i] < model->order[first])))
            first = i;
    return first;
}

static void check_next(const struct model *model)
{
    size_t first = find_first(model);
    uint64_t next = tcpm__wheel_next(&model->wheel);

    if (first == TIMERS)
        assert_true(next == UINT64_MAX);
    else
        assert_true(next <= model->due[first] && next >= model->now);
}

/* One call of expire; whether something came out. */
static bool expire_one(struct model *model, uint64_t now)
{
    size_t first = find_first(model);
    struct tcpm__timer *timer = tcpm__wheel_expire(&model->wheel, now);

    if (first == TIMERS || model->due[first] > now) {
        assert_null(timer);
        model->now = now;
        return false;
    }
    assert_ptr_equal(timer, &model->timers[first]);
    assert_false(tcpm__timer_armed(timer));
    model->armed[first] = false;
    model->now = model->due[first];
    return true;
}

static uint64_t pick_step(struct model *model)
{
    uint64_t step = random_next(&model->random) >> (63 - random_below(&model->random, 30));
    uint64_t next = tcpm__wheel_next(&model->wheel);

    if (random_below(&model->random, 3) == 0 && next != UINT64_MAX)
        return next;
    return UINT64_MAX - model->now < step ? UINT64_MAX : model->now + step;
}

static void run_model(uint64_t start, uint64_t seed)
{
    struct model *model = calloc(1, sizeof *model);

    assert_non_null(model);
    print_message("# from %#llx, seed %llu\n", (unsigned long long) start,
                  (unsigned long long) seed);
    model->random.state = seed;
    model->now = start;
    tcpm__wheel_init(&model->wheel, start);
    for (int i = 0; i < OPERATIONS; i++) {
        uint64_t choice = random_below(&model->random, 10);
        if (choice < 6)
            arm_one(model);
        else if (choice < 8)
            cancel_one(model);
        else
            for (uint64_t now = pick_step(model); expire_one(model, now);)
                if (random_below(&model->random, 3) == 0)
                    arm_one(model);
        check_next(model);
    }
    for (size_t i = 0; i < TIMERS; i++)
        assert_int_equal(model->armed[i], tcpm__timer_armed(&model->timers[i]));
    free(model);
}

static void test_does_what_a_sorted_list_does(void **state)
{
    static const uint64_t starts[] = {
        0, 1, 63, 64, 4095, (UINT64_C(1) << 32) - 5, UINT64_C(1) << 42, UINT64_MAX - 1000000};

    (void) state;
    for (size_t i = 0; i < COUNT(starts); i++)
        run_model(starts[i], 1000 + i);
}

static void test_timers_of_one_millisecond_keep_their_order(void **state)
{
    struct tcpm__wheel wheel;
    struct tcpm__timer timers[300] = {0};

    (void) state;
    tcpm__wheel_init(&wheel, 5);
    for (size_t i = 0; i < COUNT(timers); i++) {
        /* armed from ever nearer: into other levels, had each its own place */
        tcpm__wheel_arm(&wheel, &timers[i], 300000);
        assert_null(tcpm__wheel_expire(&wheel, 5 + i * 1000));
    }
    for (size_t i = 0; i < COUNT(timers); i++)
        assert_ptr_equal(tcpm__wheel_expire(&wheel, 300000), &timers[i]);
    assert_null(tcpm__wheel_expire(&wheel, 300000));
}

static void test_comes_out_at_its_time_and_not_before(void **state)
{
    (void) state;
    for (uint64_t start = 0; start < 200; start += 7) {
        for (uint64_t delta = 0; delta < 9000; delta += delta < 200 ? 1 : 61) {
            struct tcpm__wheel wheel;
            struct tcpm__timer timer = {.due_ms = 0};

            tcpm__wheel_init(&wheel, start);
            tcpm__wheel_arm(&wheel, &timer, start + delta);
            if (delta > 0)
                assert_null(tcpm__wheel_expire(&wheel, start + delta - 1));
            assert_ptr_equal(tcpm__wheel_expire(&wheel, start + delta), &timer);
        }
    }
}

static void test_a_time_that_has_passed_counts_as_now(void **state)
{
    struct tcpm__wheel wheel;
    struct tcpm__timer now = {.due_ms = 0}, past = {.due_ms = 0};

    (void) state;
    tcpm__wheel_init(&wheel, 0);
    assert_null(tcpm__wheel_expire(&wheel, 1000));
    tcpm__wheel_arm(&wheel, &now, 1000);
    tcpm__wheel_arm(&wheel, &past, 3);
    assert_int_equal(tcpm__wheel_next(&wheel), 1000);
    assert_ptr_equal(tcpm__wheel_expire(&wheel, 1000), &now);
    assert_ptr_equal(tcpm__wheel_expire(&wheel, 1000), &past);
}

static void test_between_two_expired_timers_others_may_go_and_come(void **state)
{
    struct tcpm__wheel wheel;
    struct tcpm__timer timers[4] = {0};

    (void) state;
    tcpm__wheel_init(&wheel, 0);
    for (size_t i = 0; i < 3; i++)
        tcpm__wheel_arm(&wheel, &timers[i], 100);
    assert_ptr_equal(tcpm__wheel_expire(&wheel, 500), &timers[0]);
    tcpm__wheel_cancel(&wheel, &timers[1]);
    tcpm__wheel_arm(&wheel, &timers[3], 20);
    tcpm__wheel_arm(&wheel, &timers[0], 400);
    assert_ptr_equal(tcpm__wheel_expire(&wheel, 500), &timers[2]);
    assert_ptr_equal(tcpm__wheel_expire(&wheel, 500), &timers[3]);
    assert_ptr_equal(tcpm__wheel_expire(&wheel, 500), &timers[0]);
    assert_null(tcpm__wheel_expire(&wheel, 500));
    assert_true(tcpm__wheel_next(&wheel) == UINT64_MAX);
}

static void test_cancelling_twice_or_unarmed_is_harmless(void **state)
{
    struct tcpm__wheel wheel;
    struct tcpm__timer timer = {.due_ms = 0};

    (void) state;
    tcpm__wheel_init(&wheel, 0);
    tcpm__wheel_cancel(&wheel, &timer);
    tcpm__wheel_arm(&wheel, &timer, 70);
    tcpm__wheel_cancel(&wheel, &timer);
    assert_false(tcpm__timer_armed(&timer));
    tcpm__wheel_cancel(&wheel, &timer);
    assert_true(tcpm__wheel_next(&wheel) == UINT64_MAX);
    assert_null(tcpm__wheel_expire(&wheel, 1000));
}

/* FAULTS T11: armed, moved, a third cancelled, the rest fired in order, in well under the time that
   anything worse than O(1) would take. */
static void test_a_million_timers(void **state)
{
    enum { MILLION = 1000000 };
    struct tcpm__wheel wheel;
    struct tcpm__timer *timers = calloc(MILLION, sizeof *timers);
    struct randomness random = {42};
    uint64_t last = 0, fired = 0;
    double started = cpu_seconds();

    (void) state;
    assert_non_null(timers);
    tcpm__wheel_init(&wheel, 0);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < MILLION; i++)
            tcpm__wheel_arm(&wheel, &timers[i], 1 + random_below(&random, 300000));
    for (size_t i = 0; i < MILLION; i += 3)
        tcpm__wheel_cancel(&wheel, &timers[i]);
    for (uint64_t now = 0; now <= 300000; now += 5) {
        for (struct tcpm__timer *timer; (timer = tcpm__wheel_expire(&wheel, now)) != NULL;) {
            assert_true(timer->due_ms >= last && timer->due_ms <= now);
            assert_true(timer->due_ms + 5 > now);
            last = timer->due_ms;
            fired++;
        }
    }
    assert_int_equal(fired, MILLION - (MILLION + 2) / 3);
    double seconds = cpu_seconds() - started;
    print_message("# a million timers: %.2f s\n", seconds);
    assert_true(seconds < 10);
    free(timers);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_does_what_a_sorted_list_does),
    cmocka_unit_test(test_timers_of_one_millisecond_keep_their_order),
    cmocka_unit_test(test_comes_out_at_its_time_and_not_before),
    cmocka_unit_test(test_a_time_that_has_passed_counts_as_now),
    cmocka_unit_test(test_between_two_expired_timers_others_may_go_and_come),
    cmocka_unit_test(test_cancelling_twice_or_unarmed_is_harmless),
    cmocka_unit_test(test_a_million_timers),
};

RUN_TESTS(tests)
