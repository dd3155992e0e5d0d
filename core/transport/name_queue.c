/* SPDX-License-Identifier: MIT */
/* See name_queue.h. */
#include "transport/name_queue.h"

#include <errno.h>

#include "base/assert.h"
#include "tcpmulti.h"

#define DELAY_NS UINT64_C(250000000) /* times the number of tries */

enum { MOST_SILENT_TRIES = 2 /* a try without an answer takes all the time that a server has */ };

static bool is_call(const struct tcpm__entry *entry)
{
    return entry->backend->kind->both_families;
}

static struct tcpm__entry *first_of(const struct tcpm__list *list)
{
    return tcpm__list_empty(list) ? NULL : TCPM__CONTAINER(list->next, struct tcpm__entry, link);
}

void tcpm__name_queue_init(struct tcpm__name_queue *queue)
{
    *queue = (struct tcpm__name_queue){.count = 0};
    tcpm__list_init(&queue->waiting);
    tcpm__list_init(&queue->calls);
    for (int i = 0; i < TCPM__MOST_TRIES; i++)
        tcpm__list_init(&queue->delayed[i]);
}

/* ---- lists ---- */

static void append(struct tcpm__name_queue *queue, struct tcpm__list *list,
                   struct tcpm__entry *entry, enum tcpm__entry_state state)
{
    TCPM__ASSERT(entry->state == TCPM__ENTRY_NEW);
    tcpm__list_append(list, &entry->link);
    entry->state = (uint8_t) state;
    queue->count++;
}

void tcpm__name_queue_remove(struct tcpm__name_queue *queue, struct tcpm__entry *entry)
{
    TCPM__ASSERT(entry->state == TCPM__ENTRY_WAITING || entry->state == TCPM__ENTRY_DELAYED);
    tcpm__list_remove(&entry->link);
    entry->state = TCPM__ENTRY_NEW;
    queue->count--;
}

void tcpm__name_queue_delay(struct tcpm__name_queue *queue, struct tcpm__entry *entry,
                            uint64_t now_ns)
{
    TCPM__ASSERT(entry->tries < TCPM__MOST_TRIES);
    append(queue, &queue->delayed[entry->tries], entry, TCPM__ENTRY_DELAYED);
    entry->tries++;
    entry->time_ns = now_ns + entry->tries * DELAY_NS;
}

/* The entry whose delay is over first. */
static struct tcpm__entry *first_delayed(const struct tcpm__name_queue *queue)
{
    struct tcpm__entry *first = NULL;

    for (int i = 0; i < TCPM__MOST_TRIES; i++) {
        struct tcpm__entry *entry = first_of(&queue->delayed[i]);

        if (entry != NULL && (first == NULL || entry->time_ns < first->time_ns))
            first = entry;
    }
    return first;
}

/* ---- what may be asked ---- */

static bool has_place(const struct tcpm__name_queue *queue, const struct tcpm__entry *entry,
                      uint64_t now_ns)
{
    if (is_call(entry))
        return queue->calls_out < TCPM__MOST_CALLS && tcpm__list_empty(&queue->calls);
    return tcpm__list_empty(&queue->waiting) && tcpm__window_allows(&queue->window, now_ns);
}

static struct tcpm__entry *choose(const struct tcpm__name_queue *queue, uint64_t now_ns)
{
    if (queue->calls_out < TCPM__MOST_CALLS && !tcpm__list_empty(&queue->calls))
        return first_of(&queue->calls);
    if (!tcpm__window_allows(&queue->window, now_ns))
        return NULL;
    struct tcpm__entry *delayed = first_delayed(queue);

    if (delayed != NULL && now_ns >= delayed->time_ns)
        return delayed;
    return first_of(&queue->waiting);
}

struct tcpm__entry *tcpm__name_queue_next(struct tcpm__name_queue *queue, uint64_t now_ns)
{
    struct tcpm__entry *entry = choose(queue, now_ns);

    if (entry != NULL)
        tcpm__name_queue_remove(queue, entry);
    return entry;
}

uint64_t tcpm__name_queue_due_ns(const struct tcpm__name_queue *queue)
{
    uint64_t window_ns = tcpm__window_due_ns(&queue->window);

    if (queue->calls_out < TCPM__MOST_CALLS && !tcpm__list_empty(&queue->calls))
        return 0;
    if (queue->count == 0 || window_ns == UINT64_MAX || !tcpm__list_empty(&queue->waiting))
        return queue->count == 0 ? UINT64_MAX : window_ns;
    const struct tcpm__entry *delayed = first_delayed(queue);

    if (delayed == NULL)
        return UINT64_MAX;
    return delayed->time_ns > window_ns ? delayed->time_ns : window_ns;
}

/* ---- the way of a query ---- */

int tcpm__name_queue_begin(struct tcpm__name_queue *queue, struct tcpm__entry *entry,
                           uint64_t now_ns)
{
    TCPM__ASSERT(entry->state == TCPM__ENTRY_NEW);
    int result = entry->backend->kind->ask(entry->backend, &entry->query);

    if (result < 0)
        return result;
    queue->begun++;
    entry->state = TCPM__ENTRY_OUT;
    if (is_call(entry))
        queue->calls_out++;
    else
        tcpm__window_begin(&queue->window, now_ns, &entry->ticket);
    return 0;
}

int tcpm__name_queue_add(struct tcpm__name_queue *queue, struct tcpm__entry *entry, uint64_t now_ns)
{
    entry->tries = 0;
    if (has_place(queue, entry, now_ns))
        return tcpm__name_queue_begin(queue, entry, now_ns);
    append(queue, is_call(entry) ? &queue->calls : &queue->waiting, entry, TCPM__ENTRY_WAITING);
    return 0;
}

static enum tcpm__window_end end_of(const struct tcpm__result *result)
{
    if (result->code == TCPM_EREFUSED)
        return TCPM__WINDOW_REFUSED;
    if (result->code == -ETIMEDOUT)
        return TCPM__WINDOW_SILENT;
    if (result->code < 0 && !tcpm__name_is_verdict(result->code))
        return TCPM__WINDOW_FAILED;
    return result->lost ? TCPM__WINDOW_LATE : TCPM__WINDOW_ANSWERED;
}

static unsigned most_tries(enum tcpm__window_end end)
{
    return end == TCPM__WINDOW_SILENT ? MOST_SILENT_TRIES : TCPM__MOST_TRIES;
}

bool tcpm__name_queue_end(struct tcpm__name_queue *queue, struct tcpm__entry *entry,
                          const struct tcpm__result *result, uint64_t now_ns)
{
    enum tcpm__window_end end = end_of(result);

    TCPM__ASSERT(entry->state == TCPM__ENTRY_OUT);
    entry->state = TCPM__ENTRY_NEW;
    if (is_call(entry)) {
        queue->calls_out--;
        return false;
    }
    tcpm__window_end(&queue->window, &entry->ticket, end, queue->count > 0, now_ns);
    return entry->tries < most_tries(end) &&
           tcpm__window_was_too_large(&queue->window, &entry->ticket, end);
}
