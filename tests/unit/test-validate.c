/* SPDX-License-Identifier: MIT */
/*
 * The walks that assert whole structures: they count what is there, and each way to break a
 * structure ends the process. Builds with assertions only.
 */
#include "support.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/validate.h"

enum { ITEMS = 6 };

struct item {
    uint64_t id; /* the pool's */
    struct tcpm__chain_link link;
    struct tcpm__heap_item in_heap;
    struct tcpm__timer timer;
};

/* One structure of each kind: items 1 to 4 are taken and in all of them, 5 and 6 are free again. */
struct parts {
    struct tcpm__pool pool;
    struct tcpm__chain chain;
    struct tcpm__heap heap;
    struct tcpm__wheel wheel;
    struct item *items[ITEMS];
};

static void fill(struct parts *parts)
{
    *parts = (struct parts){.chain = {0, 0}};
    tcpm__pool_init(&parts->pool, &tcpm__memory_default, sizeof(struct item));
    tcpm__heap_init(&parts->heap, &tcpm__memory_default);
    tcpm__wheel_init(&parts->wheel, 1000);
    for (int i = 0; i < ITEMS; i++)
        parts->items[i] = tcpm__pool_take(&parts->pool);
    for (int i = 4; i < ITEMS; i++)
        tcpm__pool_give(&parts->pool, parts->items[i]);
    for (int i = 0; i < 4; i++) {
        struct item *item = parts->items[i];

        tcpm__chain_append(&parts->pool, &parts->chain, &item->link, tcpm__pool_slot(item),
                           offsetof(struct item, link));
        assert_int_equal(tcpm__heap_join(&parts->heap), 0);
        tcpm__heap_set(&parts->heap, &item->in_heap, (uint64_t) (400 - i));
        tcpm__wheel_arm(&parts->wheel, &item->timer, 1000 + (uint64_t) i * 300);
    }
}

static void empty(struct parts *parts)
{
    tcpm__pool_free(&parts->pool);
    tcpm__heap_free(&parts->heap);
}

static void walk(const struct parts *parts)
{
    tcpm__pool_validate(&parts->pool);
    tcpm__chain_validate(&parts->pool, &parts->chain, offsetof(struct item, link));
    tcpm__heap_validate(&parts->heap);
    tcpm__wheel_validate(&parts->wheel);
}

static void assert_counts(const struct parts *parts)
{
    assert_int_equal(tcpm__pool_validate(&parts->pool), 4);
    assert_int_equal(tcpm__chain_validate(&parts->pool, &parts->chain, offsetof(struct item, link)),
                     4);
    assert_int_equal(tcpm__heap_validate(&parts->heap), 4);
    assert_int_equal(tcpm__wheel_validate(&parts->wheel), 4);
}

static void test_sound_structures_are_counted(void **state)
{
    struct parts parts;

    (void) state;
    fill(&parts);
    assert_counts(&parts);
    empty(&parts);
}

/* ---- structures that are broken ---- */

static void free_slot_follows_itself(struct parts *parts)
{
    *(uint64_t *) parts->items[4] |= 5;
}

static void free_slots_are_a_ring(struct parts *parts)
{
    *(uint64_t *) parts->items[5] |= 5;
}

static void free_slot_is_lost(struct parts *parts)
{
    parts->pool.free_first = 6;
}

static void taken_items_are_miscounted(struct parts *parts)
{
    parts->pool.live++;
}

static void chain_ends_early(struct parts *parts)
{
    parts->items[2]->link.next = 0;
}

static void chain_leads_back_wrongly(struct parts *parts)
{
    parts->items[2]->link.prev = 1;
}

static void chain_holds_what_was_given_back(struct parts *parts)
{
    tcpm__pool_give(&parts->pool, parts->items[1]);
}

static void heap_hides_an_earlier_time(struct parts *parts)
{
    parts->heap.entries[4].due_ns = parts->heap.entries[4].item->due_ns = 1;
}

static void heap_tells_another_time(struct parts *parts)
{
    parts->heap.next_ns++;
}

static void heap_item_stands_elsewhere(struct parts *parts)
{
    parts->items[0]->in_heap.index = 1;
}

static void wheel_takes_a_full_slot_for_empty(struct parts *parts)
{
    memset(parts->wheel.filled, 0, sizeof parts->wheel.filled);
}

static void wheel_has_passed_a_timer(struct parts *parts)
{
    parts->items[3]->timer.due_ms = 999;
}

/* Whether the walks end a child in which the structures were broken. */
static bool is_found(void (*break_parts)(struct parts *parts))
{
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        struct parts parts;

        signal(SIGABRT, SIG_DFL); /* cmocka has a handler of its own */
        (void) !freopen("/dev/null", "w", stderr);
        fill(&parts);
        break_parts(&parts);
        walk(&parts);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_each_broken_structure_ends_the_process(void **state)
{
    static void (*const breaks[])(struct parts *) = {
        free_slot_follows_itself,
        free_slots_are_a_ring,
        free_slot_is_lost,
        taken_items_are_miscounted,
        chain_ends_early,
        chain_leads_back_wrongly,
        chain_holds_what_was_given_back,
        heap_hides_an_earlier_time,
        heap_tells_another_time,
        heap_item_stands_elsewhere,
        wheel_takes_a_full_slot_for_empty,
        wheel_has_passed_a_timer,
    };

    (void) state;
    for (size_t i = 0; i < COUNT(breaks); i++)
        assert_true(is_found(breaks[i]));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_sound_structures_are_counted),
    cmocka_unit_test(test_each_broken_structure_ends_the_process),
};

RUN_TESTS(tests)
