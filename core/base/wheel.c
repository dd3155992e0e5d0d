/* SPDX-License-Identifier: MIT */
/*
 * The timing wheel of base/wheel.h. The engine has one, for every deadline of every connection and
 * every alarm, driven by one timer of the loop.
 *
 * The idea: a slot of level n is 64^n ms wide. Each level has the slots of four rounds: the round
 * of 64 slots that contains the present time, and the three rounds behind. A timer stands at the
 * lowest level that reaches its due time. So all timers of one millisecond stand in one slot, in
 * the order in which they were armed, and timers of a level are due before all timers of higher
 * levels. When the level below comes to reach the time of a slot, the timers of that slot spread
 * over the level below.
 *
 * Why four rounds: spreading a slot that many timers share takes time, all at once. The slots that
 * are 4,096 ms wide reach at least 13 minutes ahead, further than the default timeouts: of a
 * million deadlines only those of the same four seconds spread together.
 */
#include "base/wheel.h"

#include <stdbool.h>
#include <string.h>

_Static_assert(TCPM__WHEEL_BITS *TCPM__WHEEL_LEVELS >= 64, "every time has a place");
_Static_assert(TCPM__WHEEL_BITS == 6, "a round's bits fill a uint64_t");
_Static_assert((TCPM__WHEEL_ROUNDS & (TCPM__WHEEL_ROUNDS - 1)) == 0, "rounds come again by a mask");

void tcpm__wheel_init(struct tcpm__wheel *wheel, uint64_t now_ms)
{
    wheel->now_ms = now_ms;
    memset(wheel->filled, 0, sizeof wheel->filled);
    for (unsigned level = 0; level < TCPM__WHEEL_LEVELS; level++)
        for (unsigned slot = 0; slot < TCPM__WHEEL_SLOTS; slot++)
            tcpm__list_init(&wheel->slots[level][slot]);
}

/* The number of the slot of a time, if the slots of a level are counted from time 0 on. */
static uint64_t slot_of(uint64_t time_ms, unsigned level)
{
    return time_ms >> (level * TCPM__WHEEL_BITS);
}

static unsigned lowest_level_reaching(const struct tcpm__wheel *wheel, uint64_t due_ms)
{
    unsigned level = 0;

    while (level < TCPM__WHEEL_LEVELS - 1 &&
           slot_of(due_ms, level + 1) - slot_of(wheel->now_ms, level + 1) >= TCPM__WHEEL_ROUNDS)
        level++;
    return level;
}

/* Puts a timer that is in no slot into its slot. The timer is due now or later. */
static void place_timer(struct tcpm__wheel *wheel, struct tcpm__timer *timer)
{
    unsigned level = lowest_level_reaching(wheel, timer->due_ms);
    unsigned slot = slot_of(timer->due_ms, level) & (TCPM__WHEEL_SLOTS - 1);

    TCPM__ASSERT(timer->due_ms >= wheel->now_ms);
    wheel->changed = true;
    tcpm__list_append(&wheel->slots[level][slot], &timer->link);
    wheel->filled[level][slot / 64] |= UINT64_C(1) << slot % 64;
}

/* Clears the bit of a slot, given the list of its timers, if the list is empty. */
static void note_if_empty(struct tcpm__wheel *wheel, const struct tcpm__list *list)
{
    if (list->next != list)
        return;
    size_t index =
        (size_t) ((const char *) list - (const char *) wheel->slots) / sizeof(struct tcpm__list);
    size_t slot = index % TCPM__WHEEL_SLOTS;
    wheel->filled[index / TCPM__WHEEL_SLOTS][slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

/* Takes a timer out of its slot. If the timer was alone there, its neighbour is the slot's list. */
static void take_out(struct tcpm__wheel *wheel, struct tcpm__timer *timer)
{
    struct tcpm__list *before = timer->link.prev;

    wheel->changed = true;
    tcpm__list_remove(&timer->link);
    note_if_empty(wheel, before);
    timer->link = (struct tcpm__list){NULL, NULL};
}

void tcpm__wheel_arm(struct tcpm__wheel *wheel, struct tcpm__timer *timer, uint64_t due_ms)
{
    if (tcpm__timer_armed(timer))
        take_out(wheel, timer);
    timer->due_ms = due_ms < wheel->now_ms ? wheel->now_ms : due_ms;
    place_timer(wheel, timer);
}

void tcpm__wheel_cancel(struct tcpm__wheel *wheel, struct tcpm__timer *timer)
{
    if (tcpm__timer_armed(timer))
        take_out(wheel, timer);
}

/* Gives the first slot of a level that has timers, as slot_of counts. False: no slot has. */
static bool first_filled(const struct tcpm__wheel *wheel, unsigned level, uint64_t *ret)
{
    uint64_t round = slot_of(wheel->now_ms, level) / 64;

    for (uint64_t last = round + TCPM__WHEEL_ROUNDS; round < last; round++) {
        uint64_t filled = wheel->filled[level][round % TCPM__WHEEL_ROUNDS];

        if (filled) {
            *ret = round * 64 + (uint64_t) __builtin_ctzll(filled);
            return true;
        }
    }
    return false;
}

/* The next thing that the wheel has to do: take out the first timer of a slot (level 0), or spread
   a slot (other levels). */
struct step {
    uint64_t at_ms;
    uint64_t slot; /* as slot_of counts */
    unsigned level;
};

/* Gives the earliest step. False: no timer is armed. A slot spreads as soon as the level below
   reaches its time. */
static bool find_step(const struct tcpm__wheel *wheel, struct step *ret)
{
    bool found = false;

    for (unsigned level = 0; level < TCPM__WHEEL_LEVELS; level++) {
        uint64_t slot = 0;

        if (!first_filled(wheel, level, &slot))
            continue;
        uint64_t start = level == 0 ? slot : slot - (TCPM__WHEEL_ROUNDS - 1);
        uint64_t at_ms = start << (level * TCPM__WHEEL_BITS);
        if (!found || at_ms < ret->at_ms)
            *ret = (struct step){.at_ms = at_ms, .slot = slot, .level = level};
        found = true;
    }
    return found;
}

static void spread_slot(struct tcpm__wheel *wheel, unsigned level, uint64_t slot)
{
    unsigned index = slot & (TCPM__WHEEL_SLOTS - 1);
    struct tcpm__list timers;

    tcpm__list_take(&wheel->slots[level][index], &timers);
    wheel->filled[level][index / 64] &= ~(UINT64_C(1) << index % 64);
    for (struct tcpm__list *node = timers.next, *next = NULL; node != &timers; node = next) {
        next = node->next;
        __builtin_prefetch(next->next);
        place_timer(wheel, TCPM__CONTAINER(node, struct tcpm__timer, link));
    }
}

struct tcpm__timer *tcpm__wheel_expire(struct tcpm__wheel *wheel, uint64_t now_ms)
{
    struct step step = {0};

    while (find_step(wheel, &step) && step.at_ms <= now_ms) {
        TCPM__ASSERT(step.at_ms >= wheel->now_ms);
        wheel->now_ms = step.at_ms;
        if (step.level == 0) {
            struct tcpm__list *list = &wheel->slots[0][step.slot & (TCPM__WHEEL_SLOTS - 1)];
            struct tcpm__timer *timer = TCPM__CONTAINER(list->next, struct tcpm__timer, link);

            TCPM__ASSERT(timer->due_ms == step.at_ms);
            take_out(wheel, timer);
            return timer;
        }
        spread_slot(wheel, step.level, step.slot);
    }
    if (now_ms > wheel->now_ms)
        wheel->now_ms = now_ms;
    return NULL;
}

uint64_t tcpm__wheel_next(const struct tcpm__wheel *wheel)
{
    struct step step = {0};

    return find_step(wheel, &step) ? step.at_ms : UINT64_MAX;
}
