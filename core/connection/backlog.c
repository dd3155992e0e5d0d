/*
 * Connections that a read has left with more. They are served before the loop polls, in the order
 * in which they came, by one read at a time.
 *
 * The first goes on, by one read in a turn of the loop, until nothing is left or its slice of time
 * is over. Were all of them read in turn, their sockets would stay full, and what the peers have
 * waiting would be sent by the kernel in the time of our reads; a socket that is emptied lets its
 * peer do that. Where a round takes several turns, because more sockets have events than one turn
 * takes, each has one read in it instead.
 */
#include "connection/layer.h"

#define SLICE_MS      4   /* of the first, or */
#define CYCLE_MS      500 /* of all together, if that leaves less */
#define READS_IN_TURN 4   /* of different ones, where a round takes several turns */

static struct tcpm__connection *first_of(const struct tcpm_engine *engine)
{
    if (tcpm__list_empty(&engine->backlog))
        return NULL;
    return TCPM__CONTAINER(engine->backlog.next, struct tcpm__connection, in_backlog);
}

static void begin_slice(struct tcpm_engine *engine)
{
    engine->slice_began_ms = engine->network.now_ms;
}

static bool slice_is_over(const struct tcpm_engine *engine)
{
    uint64_t share_ms = CYCLE_MS / engine->backlog_count;

    return engine->network.now_ms - engine->slice_began_ms >=
           (share_ms < SLICE_MS ? share_ms : SLICE_MS);
}

void tcpm__backlog_add(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    if (engine->backlog_count++ == 0)
        begin_slice(engine);
    tcpm__list_append(&engine->backlog, &connection->in_backlog);
    tcpm__turn_wake(engine);
}

void tcpm__backlog_leave(struct tcpm__connection *connection)
{
    if (!tcpm__backlog_has(connection))
        return;
    tcpm__list_remove(&connection->in_backlog);
    tcpm__engine_of(connection)->backlog_count--;
}

/* The next slice is that of the one that is first now. */
static void pass_on(struct tcpm_engine *engine, struct tcpm__connection *connection)
{
    tcpm__list_remove(&connection->in_backlog);
    tcpm__list_append(&engine->backlog, &connection->in_backlog);
    begin_slice(engine);
}

static bool may_read(const struct tcpm_engine *engine, struct tcpm__connection *connection)
{
    return tcpm__socket_may_read(&engine->network, &connection->socket);
}

/* The first that may read in this round. Those that have read in it are the last, but perhaps for
   one that was going on when it began. */
static struct tcpm__connection *next_to_read(struct tcpm_engine *engine)
{
    struct tcpm__connection *connection = first_of(engine);

    if (connection != NULL && !may_read(engine, connection)) {
        pass_on(engine, connection);
        connection = first_of(engine);
    }
    return connection != NULL && may_read(engine, connection) ? connection : NULL;
}

/* Once nothing is left, something may have waited for that. */
static void read_on(struct tcpm_engine *engine, struct tcpm__connection *connection)
{
    tcpm__backlog_leave(connection);
    tcpm__input_read(connection);
    tcpm__network_now(&engine->network); /* handlers may have taken long */
    if (!tcpm__backlog_has(connection)) {
        tcpm__ready(connection);
        begin_slice(engine);
        return;
    }
    tcpm__list_remove(&connection->in_backlog);
    tcpm__list_append(engine->backlog.next, &connection->in_backlog); /* in front of all */
    if (tcpm__network_is_in_round(&engine->network) || slice_is_over(engine))
        pass_on(engine, connection);
}

void tcpm__backlog_run(struct tcpm_engine *engine)
{
    unsigned reads = tcpm__network_is_in_round(&engine->network) ? READS_IN_TURN : 1;

    while (reads-- > 0) {
        struct tcpm__connection *connection = next_to_read(engine);

        if (connection == NULL)
            return;
        read_on(engine, connection);
    }
}
