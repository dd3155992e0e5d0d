/* SPDX-License-Identifier: MIT */
/*
 * The queue of handshakes: connections whose TLS handshake has a step to do, or waits for the peer.
 * One step takes the processor up to a millisecond, and memory from its first one on; so the steps
 * of a turn have a bounded time (reach.c), and only so many handshakes are begun at once, in the
 * order in which the connections were connected.
 *
 * What always holds: a handshake in READY or SILENT has a place, the others have none. A silent one
 * whose peer was not heard for a second gives its place to one that waits, and is in no list until
 * the peer is heard; then it waits in front of all others.
 */
#include "connection/attempt.h"

enum { PATIENCE_MS = 1000 }; /* time without news of the peer, after which others go first */

static struct tcpm__handshake *handshake_in(struct tcpm__list *node)
{
    return TCPM__CONTAINER(node, struct tcpm__handshake, in_list);
}

/* ---- states ---- */

static void enter(struct tcpm__handshake *handshake, struct tcpm__list *list,
                  enum tcpm__handshake_state state)
{
    handshake->state = state;
    tcpm__list_append(list, &handshake->in_list);
}

static bool has_place(const struct tcpm__handshake *handshake)
{
    return handshake->state == TCPM__HANDSHAKE_READY || handshake->state == TCPM__HANDSHAKE_SILENT;
}

static void leave(struct tcpm_engine *engine, struct tcpm__handshake *handshake)
{
    TCPM__ASSERT(!has_place(handshake) || engine->handshakes.places > 0);
    if (handshake->state != TCPM__HANDSHAKE_OVERTAKEN)
        tcpm__list_remove(&handshake->in_list);
    engine->handshakes.places -= has_place(handshake);
}

/* ---- places ---- */

/* The silent handshake whose peer was heard longest ago; NULL: none may be overtaken yet. */
static struct tcpm__handshake *find_patient(struct tcpm_engine *engine)
{
    struct tcpm__list *silent = &engine->handshakes.silent;

    if (tcpm__list_empty(silent))
        return NULL;
    struct tcpm__handshake *oldest = handshake_in(silent->next);
    return engine->network.now_ms - oldest->heard_ms >= PATIENCE_MS ? oldest : NULL;
}

static bool find_place(struct tcpm_engine *engine)
{
    if (engine->handshakes.places < engine->handshakes.max)
        return true;
    struct tcpm__handshake *patient = find_patient(engine);
    if (patient == NULL)
        return false;
    leave(engine, patient);
    patient->state = TCPM__HANDSHAKE_OVERTAKEN;
    return true;
}

/* Sets the alarm for the time at which a place may be taken from a silent handshake. */
static void settle(struct tcpm_engine *engine)
{
    struct tcpm__heap_item *timer = &engine->handshakes.alarm.timer;
    struct tcpm__list *silent = &engine->handshakes.silent;

    if (tcpm__list_empty(&engine->handshakes.waiting) || tcpm__list_empty(silent)) {
        tcpm__heap_remove(&engine->tasks.alarms, timer);
        return;
    }
    uint64_t due_ns = (handshake_in(silent->next)->heard_ms + PATIENCE_MS) * 1000000;
    if (timer->index != 0 && timer->due_ns == due_ns)
        return;
    tcpm__heap_set(&engine->tasks.alarms, timer, due_ns);
    tcpm__engine_wake(engine);
}

void tcpm__handshakes_admit(struct tcpm_engine *engine)
{
    struct tcpm__list *waiting = &engine->handshakes.waiting;

    while (!tcpm__list_empty(waiting) && find_place(engine)) {
        struct tcpm__handshake *first = handshake_in(waiting->next);

        tcpm__list_remove(&first->in_list);
        enter(first, &engine->handshakes.ready, TCPM__HANDSHAKE_READY);
        engine->handshakes.places++;
    }
    settle(engine);
}

/* ---- life ---- */

int tcpm__handshake_open(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__handshake *handshake = tcpm__memory_zeroed(&engine->memory, sizeof *handshake);

    TCPM__ASSERT(tcpm__handshake_of(connection) == NULL);
    if (handshake == NULL)
        return -ENOMEM;
    handshake->connection = connection;
    connection->address.target->handshake = handshake;
    enter(handshake, &engine->handshakes.waiting, TCPM__HANDSHAKE_WAITING);
    settle(engine);
    tcpm__engine_wake(engine);
    return 0;
}

void tcpm__handshake_close(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__handshake *handshake = tcpm__handshake_of(connection);

    if (handshake == NULL)
        return;
    leave(engine, handshake);
    tcpm__memory_free(&engine->memory, handshake);
    connection->address.target->handshake = NULL;
    if (!tcpm__list_empty(&engine->handshakes.waiting))
        tcpm__engine_wake(engine);
}

void tcpm__handshake_wake(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    struct tcpm__handshake *handshake = tcpm__handshake_of(connection);

    if (handshake->state == TCPM__HANDSHAKE_SILENT) {
        tcpm__list_remove(&handshake->in_list);
        enter(handshake, &engine->handshakes.ready, TCPM__HANDSHAKE_READY);
    } else if (handshake->state == TCPM__HANDSHAKE_OVERTAKEN) {
        handshake->state = TCPM__HANDSHAKE_WAITING;
        tcpm__list_append(engine->handshakes.waiting.next, &handshake->in_list); /* in front */
    }
    settle(engine);
    tcpm__engine_wake(engine);
}

struct tcpm__connection *tcpm__handshakes_next(struct tcpm_engine *engine)
{
    struct tcpm__list *ready = &engine->handshakes.ready;

    if (tcpm__list_empty(ready))
        return NULL;
    struct tcpm__handshake *handshake = handshake_in(ready->next);
    tcpm__list_remove(&handshake->in_list);
    handshake->heard_ms = engine->network.now_ms;
    enter(handshake, &engine->handshakes.silent, TCPM__HANDSHAKE_SILENT);
    return handshake->connection;
}
