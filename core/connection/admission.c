/* SPDX-License-Identifier: MIT */
/*
 * Who may have a socket, and when. A connect that may not start waits in its session, and all
 * requests are numbered in the order in which they are made. The engine knows the sessions whose
 * own limits let their oldest connect start, by that connect's number: so the oldest connect of all
 * that may start is found at once, and a session at its limit holds up no other.
 *
 * What always holds: sockets stay under the ceiling; nobody overtakes an older connect that could
 * start; a session has its turn set exactly while a connect of it waits that its limits let start.
 */
#include "connection/layer.h"

#include <errno.h>

#define LINK offsetof(struct tcpm__connection, in_queue)

#define PROBE_NS 200000000 /* after running out of descriptors, and while that lasts */

/* ---- places ---- */

static bool engine_has_place(const struct tcpm_engine *engine)
{
    return engine->places < engine->ceiling;
}

static bool session_has_place(const struct tcpm_session *session)
{
    return session->places < session->limits.max_connections;
}

static bool pace_allows(const struct tcpm_session *session)
{
    const struct tcpm__pace *pace = &session->limits.pace;

    return pace->interval_ns == 0 ||
           tcpm__pace_allows(pace, tcpm__network_now_ns(&session->engine->network));
}

/* Whether a connect would start at once. */
static bool can_start(const struct tcpm_session *session)
{
    const struct tcpm_engine *engine = session->engine;

    return engine->admission.turns.count == 0 && session->waiting.first == 0 &&
           engine_has_place(engine) && session_has_place(session) && pace_allows(session);
}

/* ---- turns ---- */

static void set_alarm(struct tcpm_engine *engine, struct tcpm__alarm *alarm, uint64_t due_ns)
{
    if (alarm->timer.place != 0)
        return;
    tcpm__heap_set(&engine->alarms, &alarm->timer, due_ns);
    tcpm__turn_wake(engine);
}

/* Somebody waits for a place. Where there would be more, but for the descriptors that were missing,
   it is time for another try, or will be. */
static void await_probe(struct tcpm_engine *engine)
{
    if (engine->ceiling < engine->max_connections && !engine_has_place(engine))
        set_alarm(engine, &engine->admission.probe, engine->admission.short_ns + PROBE_NS);
}

static struct tcpm__connection *connection_at(const struct tcpm_engine *engine, uint32_t slot)
{
    return tcpm__pool_at(&engine->connections, slot);
}

/* By which a connect waits. */
static uint64_t number_of(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__BEGUN) ? connection->rare.attempt->number
                                              : connection->timer.due_ms;
}

static void set_turn(struct tcpm_session *session)
{
    struct tcpm_engine *engine = session->engine;
    uint64_t number = number_of(connection_at(engine, session->waiting.first));

    if (session->turn.place == 0 || session->turn.due_ns != number)
        tcpm__heap_set(&engine->admission.turns, &session->turn, number);
    await_probe(engine);
}

static void set_room(struct tcpm_session *session)
{
    struct tcpm_engine *engine = session->engine;

    if (tcpm__list_empty(&session->in_rooms))
        tcpm__list_append(&engine->admission.rooms, &session->in_rooms);
    await_probe(engine);
}

/* After any change of what the session waits for, or of what its limits allow. */
static void settle(struct tcpm_session *session)
{
    bool waits = session->waiting.first != 0 && !session->dying;
    bool may_start = (waits || session->wants_room) && session_has_place(session);

    if (may_start && !pace_allows(session)) {
        set_alarm(session->engine, &session->refill, session->limits.pace.next_ns);
        may_start = false;
    }
    if (waits && may_start)
        set_turn(session);
    else
        tcpm__heap_remove(&session->engine->admission.turns, &session->turn);
    if (!waits && may_start)
        set_room(session);
    else
        tcpm__list_remove(&session->in_rooms);
}

/* ---- the connects that wait ---- */

static void join_queue(struct tcpm__connection *connection, uint32_t after)
{
    struct tcpm_session *session = connection->session;

    connection->flags |= TCPM__QUEUED;
    tcpm__chain_insert(&session->engine->connections, &session->waiting, &connection->in_queue,
                       tcpm__pool_slot(connection), after, LINK);
}

static void leave_queue(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;

    connection->flags &= ~(uint32_t) TCPM__QUEUED;
    if (session->waits_again == tcpm__pool_slot(connection))
        session->waits_again = connection->in_queue.prev;
    tcpm__chain_remove(&session->engine->connections, &session->waiting, &connection->in_queue,
                       LINK);
}

/* The slot behind which a connect with this number belongs. Those that come back are older than
   those that have not yet started, and most come back in order, hence the search from the last. */
static uint32_t place_of(const struct tcpm_session *session, uint64_t number)
{
    const struct tcpm_engine *engine = session->engine;
    uint32_t slot = session->waits_again, next;

    while (slot != 0 && number_of(connection_at(engine, slot)) > number)
        slot = connection_at(engine, slot)->in_queue.prev;
    for (;;) {
        next = slot == 0 ? session->waiting.first : connection_at(engine, slot)->in_queue.next;
        if (next == 0 || number_of(connection_at(engine, next)) > number)
            return slot;
        slot = next;
    }
}

/* ---- starting ---- */

static void start(struct tcpm__connection *connection, uint64_t number)
{
    struct tcpm_session *session = connection->session;

    connection->flags |= TCPM__PLACED;
    session->places++;
    session->engine->places++;
    if (session->limits.pace.interval_ns != 0)
        tcpm__pace_take(&session->limits.pace, tcpm__network_now_ns(&session->engine->network));
    tcpm__attempt_start(connection, number);
}

static void give_place(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;

    connection->flags &= ~(uint32_t) TCPM__PLACED;
    session->places--;
    session->engine->places--;
    if (session->waiting.first != 0 || session->wants_room)
        settle(session);
}

void tcpm__admission_request(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;
    uint64_t number = ++session->engine->admission.requests;

    if (can_start(session)) {
        start(connection, number);
        return;
    }
    connection->timer.due_ms = number;
    join_queue(connection, session->waiting.last);
    settle(session);
}

static void start_oldest(struct tcpm_engine *engine)
{
    struct tcpm__heap_item *turn = tcpm__heap_expire(&engine->admission.turns, UINT64_MAX);
    struct tcpm_session *session = TCPM__CONTAINER(turn, struct tcpm_session, turn);
    struct tcpm__connection *connection = connection_at(engine, session->waiting.first);
    uint64_t number = number_of(connection);

    leave_queue(connection);
    start(connection, number);
    settle(session);
}

void tcpm__admission_run(struct tcpm_engine *engine)
{
    while (engine->admission.turns.count > 0 && engine_has_place(engine))
        start_oldest(engine);
}

void tcpm__admission_leave(struct tcpm__connection *connection)
{
    if (tcpm__has(connection, TCPM__PLACED)) {
        give_place(connection);
    } else if (tcpm__has(connection, TCPM__QUEUED)) {
        leave_queue(connection);
        settle(connection->session);
    }
}

/* ---- when there is no descriptor ---- */

/* Lets a connection wait where it would, had it never started. The attempt does not count. */
void tcpm__admission_retry(struct tcpm__connection *connection, uint64_t number)
{
    struct tcpm_session *session = connection->session;
    struct tcpm_engine *engine = session->engine;
    struct tcpm__attempt *attempt = tcpm__attempt_get(connection);

    if (attempt == NULL) {
        tcpm__connection_fail(connection, TCPM_OP_SOCKET, -ENOMEM, NULL);
        return;
    }
    attempt->number = number;
    tcpm__pace_give(&session->limits.pace);
    give_place(connection);
    engine->ceiling = engine->places;
    engine->admission.short_ns = engine->network.now_ns;
    engine->admission.probing = false;
    tcpm__connection_set_phase(connection, TCPM_PHASE_WAITING);
    tcpm__deadline_cancel(connection);
    tcpm__deadline_arm(connection);
    join_queue(connection, place_of(session, number));
    session->waits_again = tcpm__pool_slot(connection);
    settle(session);
    await_probe(engine);
}

/* One more than now, and two more with each descriptor that is found, until one is missing. */
static void raise_ceiling(struct tcpm_engine *engine, uint64_t by)
{
    uint64_t left = engine->max_connections - engine->ceiling;

    engine->ceiling += left < by ? left : by;
}

void tcpm__admission_succeed(struct tcpm_engine *engine)
{
    raise_ceiling(engine, 2);
}

static void probe(struct tcpm_engine *engine)
{
    if (engine->admission.turns.count == 0 && tcpm__list_empty(&engine->admission.rooms))
        return; /* nobody waits */
    engine->admission.probing = true;
    engine->admission.short_ns = engine->network.now_ns;
    if (!engine_has_place(engine))
        raise_ceiling(engine, 1);
    if (engine->ceiling < engine->max_connections)
        set_alarm(engine, &engine->admission.probe, engine->network.now_ns + PROBE_NS);
}

void tcpm__admission_wake(struct tcpm_engine *engine, struct tcpm_session *session)
{
    if (session != NULL)
        settle(session);
    else
        probe(engine);
}

/* ---- room ---- */

bool tcpm__admission_ask_room(struct tcpm_session *session)
{
    struct tcpm_engine *engine = session->engine;

    if (can_start(session))
        return true;
    if (!session->wants_room && session->events.room != NULL) {
        session->wants_room = true;
        engine->rooms_wanted++;
        tcpm__work_add(engine);
        settle(session);
    }
    return false;
}

void tcpm__admission_forget_room(struct tcpm_session *session)
{
    if (!session->wants_room)
        return;
    session->wants_room = false;
    session->engine->rooms_wanted--;
    tcpm__list_remove(&session->in_rooms);
    tcpm__work_done(session->engine);
}

/* A session that asks again, and is told to wait, is behind the others. */
void tcpm__admission_announce_room(struct tcpm_engine *engine)
{
    const struct tcpm__list *rooms = &engine->admission.rooms;

    while (!tcpm__list_empty(rooms) && engine->admission.turns.count == 0 &&
           engine_has_place(engine)) {
        struct tcpm_session *session = TCPM__CONTAINER(rooms->next, struct tcpm_session, in_rooms);

        tcpm__admission_forget_room(session);
        tcpm__handler_enter(engine);
        session->events.room(session, session->user);
        tcpm__handler_leave(engine);
    }
}
