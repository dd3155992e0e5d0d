/* SPDX-License-Identifier: MIT */
/*
 * Open connections that a read has left with more. base/round_robin.h says who is next, and for how
 * long. Each turn of the loop, before it polls, has for them as much time as all the rest of it
 * took, up to 4 ms, and one read at least.
 *
 * The first connection goes on, by one read in a turn, until nothing is left or its slice is over:
 * a socket that is only read in passing stays full, and then it is in the time of our reads that
 * the kernel sends what the peer has waiting; one that is emptied lets the peer do that.
 *
 * What always holds: a connection is in the round robin exactly while it has the flag IN_BACKLOG.
 */
#include "connection/record.h"

void tcpm__backlog_add(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    if (engine->backlog.count == 0)
        tcpm__network_read_clock_ns(&engine->network);
    connection->flags |= TCPM__IN_BACKLOG;
    tcpm__round_robin_add(&engine->backlog, tcpm__pool_slot(connection), engine->network.now_ns);
    tcpm__engine_wake(engine);
}

void tcpm__backlog_leave(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    if (!tcpm__backlog_has(connection))
        return;
    connection->flags &= ~(uint32_t) TCPM__IN_BACKLOG;
    tcpm__round_robin_leave(&engine->backlog, tcpm__pool_slot(connection), engine->network.now_ns);
}

static bool on_may_read(const void *item, const void *network)
{
    const struct tcpm__connection *connection = item;

    return tcpm__socket_may_read(network, &connection->socket);
}

struct tcpm__connection *tcpm__backlog_next(const struct tcpm_engine *engine)
{
    uint32_t slot = tcpm__round_robin_next(&engine->backlog, on_may_read, &engine->network);

    return slot == 0 ? NULL : tcpm__pool_at(&engine->connections, slot);
}

uint64_t tcpm__backlog_begin(struct tcpm_engine *engine)
{
    return tcpm__round_robin_begin_turn(&engine->backlog,
                                        tcpm__network_read_clock_ns(&engine->network));
}

/* When nothing is left, something may have waited for that. A handler in the read may have ended
   the connection, and taken it out. */
bool tcpm__backlog_note_read(struct tcpm__connection *connection, bool more, uint64_t until_ns)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);
    uint64_t now_ns = tcpm__network_read_clock_ns(&engine->network);
    uint32_t slot = tcpm__backlog_has(connection) ? tcpm__pool_slot(connection) : 0;

    if (slot != 0 && !more) {
        connection->flags &= ~(uint32_t) TCPM__IN_BACKLOG;
        tcpm__connection_mark_ready(connection);
    }
    return tcpm__round_robin_note_served(&engine->backlog, slot, more, now_ns, until_ns);
}
