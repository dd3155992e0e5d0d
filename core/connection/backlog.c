/* SPDX-License-Identifier: MIT */
/*
 * Open connections that a read has left with more. Each turn of the loop, before it polls, has for
 * them as much time as all the rest of it took, up to 4 ms, and one read at least.
 *
 * Each is served before any is served twice. To be served is to go on, by one read in a turn, until
 * nothing is left or a slice of time is over: a socket that is only read in passing stays full, and
 * then it is in the time of our reads that the kernel sends what the peer has waiting; one that is
 * emptied lets the peer do that. Time that is left when the first has read in its turn is for
 * those behind it, one read each.
 */
#include "connection/layer.h"

#define SLICE_MS     4       /* of the first, or */
#define CYCLE_MS     500     /* of all together, if that leaves less; then at least one read each */
#define MOST_TURN_NS 4000000 /* of a turn, for all that are behind the first */

#define LINK offsetof(struct tcpm__connection, in_queue)

static struct tcpm__connection *connection_at(const struct tcpm_engine *engine, uint32_t slot)
{
    return slot == 0 ? NULL : tcpm__pool_at(&engine->connections, slot);
}

static struct tcpm__connection *first_of(const struct tcpm_engine *engine)
{
    return connection_at(engine, engine->backlog.chain.first);
}

void tcpm__backlog_add(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    if (engine->backlog.count++ == 0) {
        engine->backlog.ended_ns = tcpm__network_now_ns(&engine->network);
        engine->backlog.slice_began_ms = engine->network.now_ms;
    }
    connection->flags |= TCPM__IN_BACKLOG;
    tcpm__chain_append(&engine->connections, &engine->backlog.chain, &connection->in_queue,
                       tcpm__pool_slot(connection), LINK);
    tcpm__turn_wake(engine);
}

void tcpm__backlog_leave(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    if (!tcpm__backlog_has(connection))
        return;
    if (connection == first_of(engine))
        engine->backlog.slice_began_ms = engine->network.now_ms;
    connection->flags &= ~(uint32_t) TCPM__IN_BACKLOG;
    tcpm__chain_remove(&engine->connections, &engine->backlog.chain, &connection->in_queue, LINK);
    engine->backlog.count--;
}

static bool may_read(const struct tcpm_engine *engine, struct tcpm__connection *connection)
{
    return connection != NULL && tcpm__socket_may_read(&engine->network, &connection->socket);
}

/* The first, or once that has read in this round the second: what has read goes to the end. */
static struct tcpm__connection *next_to_read(const struct tcpm_engine *engine)
{
    struct tcpm__connection *first = first_of(engine), *second;

    if (first == NULL || may_read(engine, first))
        return first;
    second = connection_at(engine, first->in_queue.next);
    return may_read(engine, second) ? second : NULL;
}

static bool slice_is_over(const struct tcpm_engine *engine)
{
    uint64_t share_ms = CYCLE_MS / engine->backlog.count;

    return engine->network.now_ms - engine->backlog.slice_began_ms >=
           (share_ms < SLICE_MS ? share_ms : SLICE_MS);
}

/* When nothing is left, something may have waited for that. */
static void read_on(struct tcpm_engine *engine, struct tcpm__connection *connection)
{
    bool more = tcpm__input_drain(connection);

    engine->backlog.ended_ns = tcpm__network_now_ns(&engine->network);
    if (!tcpm__backlog_has(connection))
        return;
    if (!more) {
        tcpm__backlog_leave(connection);
        tcpm__ready(connection);
    } else if (connection != first_of(engine) || slice_is_over(engine)) {
        tcpm__backlog_leave(connection);
        tcpm__backlog_add(connection);
    }
}

void tcpm__backlog_run(struct tcpm_engine *engine)
{
    struct tcpm__connection *connection = next_to_read(engine);
    uint64_t began_ns = tcpm__network_now_ns(&engine->network);
    uint64_t share_ns = began_ns - engine->backlog.ended_ns;

    if (share_ns > MOST_TURN_NS)
        share_ns = MOST_TURN_NS;
    engine->backlog.ended_ns = began_ns;
    while (connection != NULL) {
        read_on(engine, connection);
        if (engine->backlog.ended_ns - began_ns >= share_ns)
            return;
        connection = next_to_read(engine);
    }
}
