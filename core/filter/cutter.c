/* SPDX-License-Identifier: MIT */
/*
 * The rare steps of filter/cutter.h: a byte that belongs to the last record and comes later than
 * the record, an ordered record, another filter.
 *
 * What always holds: while a byte is awaited the filter is told -1, that the byte is still to come.
 * Bytes that were put in front of the stream (tcpm_unread) are never dropped for it: only bytes
 * from the source are shown to tcpm__cutter_swallow.
 */
#include "filter/cutter.h"

_Static_assert(sizeof(struct tcpm__cutter) == 8, "each connection has one");

void tcpm__cutter_settle(struct tcpm__cutter *cutter, bool dropped)
{
    cutter->swallowed = cutter->swallows > 0 ? -1 : dropped;
}

size_t tcpm__cutter_swallow(struct tcpm__cutter *cutter, const char *bytes, size_t length)
{
    size_t dropped = 0;

    if (cutter->swallows == 0 || length == 0)
        return 0;
    TCPM__ASSERT(cutter->swallowed == -1);
    for (; cutter->swallows > 0 && dropped < length; cutter->swallows--)
        dropped += (unsigned char) bytes[dropped] == cutter->swallow;
    tcpm__cutter_settle(cutter, dropped > 0);
    return dropped;
}

/* A byte that is awaited once more is dropped once more; another byte takes its place. */
void tcpm__cutter_await(struct tcpm__cutter *cutter, unsigned char byte)
{
    if (cutter->swallow != byte)
        cutter->swallows = 0;
    cutter->swallow = byte;
    if (cutter->swallows < UINT8_MAX)
        cutter->swallows++;
    cutter->swallowed = -1;
}

int tcpm__cutter_awaited(const struct tcpm__cutter *cutter)
{
    return cutter->swallows > 0 ? cutter->swallow : -1;
}

void tcpm__cutter_forget_awaited(struct tcpm__cutter *cutter)
{
    if (cutter->swallows == 0)
        return;
    cutter->swallows = 0;
    tcpm__cutter_settle(cutter, false);
}

void tcpm__cutter_refresh(struct tcpm__cutter *cutter)
{
    cutter->seen = false;
    if (!cutter->ordered)
        cutter->need = 0;
}

void tcpm__cutter_restart(struct tcpm__cutter *cutter)
{
    cutter->more = false;
    tcpm__cutter_settle(cutter, false);
    tcpm__cutter_refresh(cutter);
}

void tcpm__cutter_order(struct tcpm__cutter *cutter, int64_t length)
{
    TCPM__ASSERT(length <= UINT32_MAX);
    cutter->seen = false;
    cutter->ordered = length >= 0;
    cutter->need = cutter->ordered ? (uint32_t) length : 0;
}

/* A byte that is still awaited will not come. */
int tcpm__cutter_finish(struct tcpm__cutter *cutter, struct tcpm__instance *instance,
                        const char *bytes, size_t length, struct tcpm_cut *cut)
{
    TCPM__ASSERT(!cutter->ordered && cut->seen == 0);
    tcpm__cutter_forget_awaited(cutter);
    cut->swallowed = cutter->swallowed;
    cutter->swallowed = 0;
    cutter->taken = false;
    tcpm__cutter_refresh(cutter);
    int result = tcpm__instance_finish(instance, bytes, length, cut);

    cutter->more = result > 0 && cut->more != 0;
    return result;
}

void tcpm__cutter_take(struct tcpm__cutter *cutter, const char *bytes, struct tcpm_cut *cut)
{
    cut->record = bytes;
    cut->used = cut->length = cutter->need;
    cutter->need = 0;
    cutter->seen = cutter->ordered = false;
    cutter->taken = true;
}

/* Drops the byte that a record has named, if it follows. Where no byte follows yet, the cutter
   waits for the next one. */
void tcpm__cutter_look_ahead(struct tcpm__cutter *cutter, const char *next, size_t left,
                             struct tcpm_cut *cut)
{
    cutter->more = cut->more != 0;
    if (cut->swallow == 0) {
        if (cutter->swallowed > 0)
            cutter->swallowed = 0;
    } else if (left == 0) {
        tcpm__cutter_await(cutter, (unsigned char) cut->swallow);
    } else {
        bool dropped = (unsigned char) *next == cut->swallow;

        cut->used += dropped;
        tcpm__cutter_settle(cutter, dropped);
    }
}
