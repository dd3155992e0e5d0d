/* SPDX-License-Identifier: MIT */
/*
 * The timing wheel of base/wheel.h. The engine has one, for every deadline of every connection and
 * every alarm, driven by one timer of the loop.
 *
 * The idea: a slot of level n is 64^n ms wide, and each level has the slots of four rounds: the 64
 * among which now is, and three times 64 behind them. A timer stands at the lowest level that
 * reaches its due time; so all timers of one millisecond stand in one slot, in the order in which
 * they were armed, and whatever stands at a level is due before all that stands higher. When now
 * comes within reach of the level below, a slot's timers spread over it.
 *
 * Why four rounds: a slot that many timers share costs time when it spreads, all at once. The slots
 * of 4,096 ms reach 13 minutes ahead at least, further than the default timeouts, so that of a
 * million deadlines only those of four seconds spread together.
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

/* The number of a time's slot among all that a level will ever have. */
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

/* Puts a timer that is in no slot, due now or later, where it belongs. */
static void place_timer(struct tcpm__wheel *wheel, struct tcpm__timer *timer)
{
    unsigned level = lowest_level_reaching(wheel, timer->due_ms);
    unsigned slot = slot_of(timer->due_ms, level) & (TCPM__WHEEL_SLOTS - 1);

    wheel->changed = true;
    tcpm__list_append(&wheel->slots[level][slot], &timer->link);
    wheel->filled[level][slot / 64] |= UINT64_C(1) << slot % 64;
}

/* Clears the bit of the slot whose list this is, if nothing is left in it. */
static void note_if_empty(struct tcpm__wheel *wheel, const struct tcpm__list *list)
{
    if (list->next != list)
        return;
    size_t place =
        (size_t) ((const char *) list - (const char *) wheel->slots) / sizeof(struct tcpm__list);
    size_t slot = place % TCPM__WHEEL_SLOTS;
    wheel->filled[place / TCPM__WHEEL_SLOTS][slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

/* A node that is alone with its slot has the slot on both sides. */
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

/* The first filled slot of a level, as slot_of counts; false: it has none. */
static bool first_filled(const struct tcpm__wheel *wheel, unsigned level, uint64_t *slot)
{
    uint64_t round = slot_of(wheel->now_ms, level) / 64;

    for (uint64_t last = round + TCPM__WHEEL_ROUNDS; round < last; round++) {
        uint64_t filled = wheel->filled[level][round % TCPM__WHEEL_ROUNDS];
        if (filled) {
            *slot = round * 64 + (uint64_t) __builtin_ctzll(filled);
            return true;
        }
    }
    return false;
}

struct step { /* what the wheel has to do next */
    uint64_t at_ms;
    uint64_t slot;
    unsigned level; /* 0: fire the slot's first timer; else spread the slot */
};

/* The earliest step; false: there is no timer. A slot spreads as soon as the level below reaches
   it. */
static bool find_step(const struct tcpm__wheel *wheel, struct step *step)
{
    bool found = false;

    for (unsigned level = 0; level < TCPM__WHEEL_LEVELS; level++) {
        uint64_t slot = 0;
        if (!first_filled(wheel, level, &slot))
            continue;
        uint64_t start = level == 0 ? slot : slot - (TCPM__WHEEL_ROUNDS - 1);
        uint64_t at_ms = start << (level * TCPM__WHEEL_BITS);
        if (!found || at_ms < step->at_ms)
            *step = (struct step){.at_ms = at_ms, .slot = slot, .level = level};
        found = true;
    }
    return found;
}

static void spread_slot(struct tcpm__wheel *wheel, unsigned level, uint64_t slot)
{
    unsigned place = slot & (TCPM__WHEEL_SLOTS - 1);
    struct tcpm__list timers;

    tcpm__list_take(&wheel->slots[level][place], &timers);
    wheel->filled[level][place / 64] &= ~(UINT64_C(1) << place % 64);
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
        wheel->now_ms = step.at_ms;
        if (step.level == 0) {
            struct tcpm__list *list = &wheel->slots[0][step.slot & (TCPM__WHEEL_SLOTS - 1)];
            struct tcpm__timer *timer = TCPM__CONTAINER(list->next, struct tcpm__timer, link);
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
