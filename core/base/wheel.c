/*
 * The timing wheel of base/wheel.h. The engine has one, for every deadline of every connection and
 * every alarm, driven by one timer of the loop.
 *
 * The idea: write the time as digits of 6 bits. A timer stands at the level of the highest digit in
 * which its due time differs from now, in the slot of that digit. So all timers of one millisecond
 * stand in one slot, in the order in which they were armed; whatever stands at a level is due
 * before all that stands higher; and when now reaches the beginning of a slot of a higher level,
 * its timers spread over the levels below. Slots of the past are empty, so the lowest bit of the
 * lowest level with a bit is the next thing to do.
 */
#include "base/wheel.h"

#include <stdbool.h>
#include <string.h>

_Static_assert(TCPM__WHEEL_BITS *TCPM__WHEEL_LEVELS >= 64, "every time has a place");
_Static_assert(TCPM__WHEEL_SLOTS == 64, "a level's bits fill a uint64_t");

void tcpm__wheel_init(struct tcpm__wheel *wheel, uint64_t now_ms)
{
    wheel->now_ms = now_ms;
    memset(wheel->filled, 0, sizeof wheel->filled);
    for (unsigned level = 0; level < TCPM__WHEEL_LEVELS; level++)
        for (unsigned slot = 0; slot < TCPM__WHEEL_SLOTS; slot++)
            tcpm__list_init(&wheel->slots[level][slot]);
}

/* Puts a timer that is in no slot, due now or later, where it belongs. */
static void place_timer(struct tcpm__wheel *wheel, struct tcpm__timer *timer)
{
    uint64_t differs = timer->due_ms ^ wheel->now_ms;
    unsigned level = (63 - (unsigned) __builtin_clzll(differs | 1)) / TCPM__WHEEL_BITS;
    unsigned slot = (timer->due_ms >> (level * TCPM__WHEEL_BITS)) & (TCPM__WHEEL_SLOTS - 1);

    tcpm__list_append(&wheel->slots[level][slot], &timer->link);
    wheel->filled[level] |= UINT64_C(1) << slot;
}

/* Clears the bit of the slot whose list this is, if nothing is left in it. */
static void note_if_empty(struct tcpm__wheel *wheel, const struct tcpm__list *list)
{
    if (list->next != list)
        return;
    size_t place =
        (size_t) ((const char *) list - (const char *) wheel->slots) / sizeof(struct tcpm__list);
    wheel->filled[place / TCPM__WHEEL_SLOTS] &= ~(UINT64_C(1) << place % TCPM__WHEEL_SLOTS);
}

/* A node that is alone with its slot has the slot on both sides. */
static void take_out(struct tcpm__wheel *wheel, struct tcpm__timer *timer)
{
    struct tcpm__list *before = timer->link.prev;

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

/* The lowest level that holds a timer, or TCPM__WHEEL_LEVELS. */
static unsigned lowest_level(const struct tcpm__wheel *wheel)
{
    unsigned level = 0;

    while (level < TCPM__WHEEL_LEVELS && wheel->filled[level] == 0)
        level++;
    return level;
}

/* When the first filled slot of a level begins: now's digits above the level, then the slot's. */
static uint64_t first_start(const struct tcpm__wheel *wheel, unsigned level)
{
    unsigned shift = level * TCPM__WHEEL_BITS;
    uint64_t slot = (uint64_t) __builtin_ctzll(wheel->filled[level]);
    uint64_t above = wheel->now_ms >> shift & ~(uint64_t) (TCPM__WHEEL_SLOTS - 1);

    return (above | slot) << shift;
}

/* now has reached the first filled slot of this level: its timers go to the levels below. */
static void spread_first(struct tcpm__wheel *wheel, unsigned level)
{
    unsigned slot = (unsigned) __builtin_ctzll(wheel->filled[level]);
    struct tcpm__list timers;

    tcpm__list_take(&wheel->slots[level][slot], &timers);
    wheel->filled[level] &= ~(UINT64_C(1) << slot);
    for (struct tcpm__list *node = timers.next, *next = NULL; node != &timers; node = next) {
        next = node->next;
        __builtin_prefetch(next->next);
        place_timer(wheel, TCPM__CONTAINER(node, struct tcpm__timer, link));
    }
}

struct tcpm__timer *tcpm__wheel_expire(struct tcpm__wheel *wheel, uint64_t now_ms)
{
    for (;;) {
        unsigned level = lowest_level(wheel);
        uint64_t start = level == TCPM__WHEEL_LEVELS ? UINT64_MAX : first_start(wheel, level);

        if (level == TCPM__WHEEL_LEVELS || start > now_ms) {
            if (now_ms > wheel->now_ms)
                wheel->now_ms = now_ms;
            return NULL;
        }
        wheel->now_ms = start;
        if (level == 0)
            break;
        spread_first(wheel, level);
    }
    struct tcpm__list *list = &wheel->slots[0][wheel->now_ms & (TCPM__WHEEL_SLOTS - 1)];
    struct tcpm__timer *timer = TCPM__CONTAINER(list->next, struct tcpm__timer, link);
    take_out(wheel, timer);
    return timer;
}

uint64_t tcpm__wheel_next(const struct tcpm__wheel *wheel)
{
    unsigned level = lowest_level(wheel);

    return level == TCPM__WHEEL_LEVELS ? UINT64_MAX : first_start(wheel, level);
}
