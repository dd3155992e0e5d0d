/* SPDX-License-Identifier: MIT */
/*
 * The engine's look-ups of names: its resolver, which is opened with the first name, and the alarm
 * that wakes the loop for it. Asked by resolve.c; woken by tasks.c and by events of the set.
 *
 * What always holds: between two calls the alarm is set for the time that the resolver is due.
 * Look-ups are no work: connections that wait for them keep the loop running, nothing else does.
 */
#include "connection/record.h"

#include <errno.h>

/* The resolver may have become due earlier or later. */
static void settle(struct tcpm_engine *engine)
{
    uint64_t due_ns = tcpm__resolver_due_ns(engine->lookups.resolver);
    struct tcpm__heap_item *timer = &engine->lookups.alarm.timer;

    if (due_ns == UINT64_MAX) {
        tcpm__heap_remove(&engine->tasks.alarms, timer);
    } else if (timer->index == 0 || timer->due_ns != due_ns) {
        tcpm__heap_set(&engine->tasks.alarms, timer, due_ns);
        tcpm__engine_wake(engine);
    }
}

int tcpm__lookup_open(struct tcpm_engine *engine, struct tcpm__resolver **ret)
{
    int result = 0;

    if (engine->lookups.resolver == NULL)
        result = tcpm__resolver_open(&engine->network, &engine->lookups.resolver);
    *ret = engine->lookups.resolver;
    return result;
}

int tcpm__lookup_ask(struct tcpm_engine *engine, const struct tcpm__resolver_ask *ask,
                     struct tcpm__answer known[2], struct tcpm__asker **ret, const char **why)
{
    struct tcpm__resolver *resolver;
    int result = tcpm__lookup_open(engine, &resolver);

    *ret = NULL;
    *why = NULL;
    if (result < 0)
        return result;
    result = tcpm__resolver_ask(resolver, ask, known, ret, why);
    settle(engine);
    return result;
}

void tcpm__lookup_forget(struct tcpm_engine *engine, struct tcpm__asker *asker)
{
    if (asker != NULL)
        tcpm__resolver_forget(engine->lookups.resolver, asker);
}

void tcpm__lookup_wake(struct tcpm_engine *engine)
{
    tcpm__resolver_tick(engine->lookups.resolver);
    settle(engine);
}

void tcpm__lookup_event(struct tcpm_engine *engine, uint64_t tag, uint32_t bits)
{
    if (engine->lookups.resolver == NULL)
        return; /* an event that was on its way when the resolver was closed */
    tcpm__resolver_event(engine->lookups.resolver, tag, bits);
    settle(engine);
}

void tcpm__lookup_close(struct tcpm_engine *engine)
{
    tcpm__heap_remove(&engine->tasks.alarms, &engine->lookups.alarm.timer);
    tcpm__resolver_close(engine->lookups.resolver);
    engine->lookups.resolver = NULL;
}
