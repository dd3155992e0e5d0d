/* SPDX-License-Identifier: MIT */
/*
 * Places: which connections may have a socket, and which connects wait. A place is the right to one
 * socket. A race takes further places, one for each socket after the first, before any connect that
 * waits. A connect that gets no place waits in the queue of its session; one that has waited for
 * its turn at an address (addresses.c), in a second queue, of claimants. Requests to connect are
 * numbered in the order in which they are made. The engine keeps a heap of the sessions whose own
 * limits let their next connect start, by the number of that connect. So the oldest connect that
 * may start is found at once, and a session at its limit holds up no other session.
 *
 * What always holds: there are at most as many places as the ceiling allows, but for those taken
 * before it fell; no connect overtakes an older one that could start; a session is in the heap (its
 * turn is set) exactly while it has a waiting connect that its own limits let start.
 */
#include "connection/attempt.h"

#include <errno.h>

#define LINK offsetof(struct tcpm__connection, in_queue)

/* Time between two probes for descriptors, after the process has run out of them. */
enum { PROBE_NS = 200000000 };

/* ---- places ---- */

static bool engine_has_place(const struct tcpm_engine *engine)
{
    return engine->admission.places < engine->admission.ceiling;
}

static bool session_has_place(const struct tcpm_session *session)
{
    return session->places < (uint64_t) session->options.max_connections;
}

/* Whether a connect without a claim may start: it may come to wait at a full address, and not too
   many do so. */
static bool session_takes_new(const struct tcpm_session *session)
{
    return session->at_addresses < session->most_at_addresses;
}

/* Reads the clock if the session has a pace. UINT64_MAX: no pace, and every attempt is allowed. */
static uint64_t read_pace_clock(struct tcpm_session *session)
{
    return session->pace.interval_ns == 0 ? UINT64_MAX
                                          : tcpm__network_read_clock_ns(&session->engine->network);
}

/* Whether a new connect of the session would start at once, if its pace allows. */
static bool has_free_place(const struct tcpm_session *session)
{
    const struct tcpm_engine *engine = session->engine;

    return engine->admission.turns.count == 0 && engine->admission.races.first == 0 &&
           session->waiting.first == 0 && engine_has_place(engine) && session_has_place(session) &&
           session_takes_new(session);
}

/* ---- turns ---- */

/* Sets an alarm of this file, unless it is set already. */
static void set_alarm(struct tcpm_engine *engine, struct tcpm__alarm *alarm, uint64_t due_ns)
{
    if (alarm->timer.index != 0)
        return;
    tcpm__heap_set(&engine->tasks.alarms, &alarm->timer, due_ns);
    tcpm__engine_wake(engine);
}

/* Sets the probe, as a connect or a session waits for a place. Only where descriptors were missing:
   otherwise no probe could help. */
static void await_probe(struct tcpm_engine *engine)
{
    if (engine->admission.ceiling < engine->admission.max_connections && !engine_has_place(engine))
        set_alarm(engine, &engine->admission.probe, engine->admission.short_ns + PROBE_NS);
}

static struct tcpm__connection *connection_at(const struct tcpm_engine *engine, uint32_t slot)
{
    return tcpm__pool_at(&engine->connections, slot);
}

/* The number of the request of a connect that waits. */
static uint64_t number_of(const struct tcpm__connection *connection)
{
    return tcpm__has(connection, TCPM__BEGUN) ? connection->rare->attempt->number
                                              : connection->timer.due_ms;
}

/* The slot of the connect that starts next, as far as that is not a matter of places: the older one
   of the first in both queues. 0: none may. */
static uint32_t next_slot(const struct tcpm_session *session)
{
    const struct tcpm_engine *engine = session->engine;
    uint32_t claimant = session->claimants.first;
    uint32_t other = session_takes_new(session) ? session->waiting.first : 0;

    if (claimant == 0 || other == 0)
        return claimant | other;
    return number_of(connection_at(engine, claimant)) < number_of(connection_at(engine, other))
               ? claimant
               : other;
}

/* Notes that the next waiting connect of the session may start. */
static void set_turn(struct tcpm_session *session)
{
    struct tcpm_engine *engine = session->engine;
    uint64_t number = number_of(connection_at(engine, next_slot(session)));

    if (session->turn.index == 0 || session->turn.due_ns != number)
        tcpm__heap_set(&engine->admission.turns, &session->turn, number);
    await_probe(engine);
}

/* Notes that the session may be told of room. */
static void set_room(struct tcpm_session *session)
{
    struct tcpm_engine *engine = session->engine;

    if (tcpm__list_empty(&session->in_rooms))
        tcpm__list_append(&engine->admission.rooms, &session->in_rooms);
    await_probe(engine);
}

/* Notes what the session may do now: start its next waiting connect, or else be told of room. */
void tcpm__places_settle(struct tcpm_session *session)
{
    bool waits = next_slot(session) != 0 && !session->dying;
    bool wants = waits || (session->wants_room && session_takes_new(session));
    bool may_start = wants && session_has_place(session);

    if (may_start && !tcpm__pace_allows(&session->pace, read_pace_clock(session))) {
        set_alarm(session->engine, &session->refill, session->pace.next_ns);
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

/* Puts the connection into its session's queue, behind the slot after; 0: to the front. */
static void join_queue(struct tcpm__connection *connection, uint32_t after)
{
    struct tcpm_session *session = connection->session;

    connection->flags |= TCPM__QUEUED;
    tcpm__chain_insert(&session->engine->connections, &session->waiting, &connection->in_queue,
                       tcpm__pool_slot(connection), after, LINK);
}

/* The queue of the session that a connect is in. */
static struct tcpm__chain *queue_of(const struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = tcpm__attempt_of(connection);

    return attempt != NULL && attempt->claim != NULL ? &connection->session->claimants
                                                     : &connection->session->waiting;
}

static void leave_queue(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;

    connection->flags &= ~(uint32_t) TCPM__QUEUED;
    if (session->waits_again == tcpm__pool_slot(connection))
        session->waits_again = connection->in_queue.prev;
    tcpm__chain_remove(&session->engine->connections, queue_of(connection), &connection->in_queue,
                       LINK);
}

/* The slot behind which a connect with this number belongs; 0: at the front. Connects that come
   back to the queue are older than those that have never started, and most come back in order. So
   the search begins at the connect that came back last. */
static uint32_t find_slot_before(const struct tcpm_session *session, uint64_t number)
{
    const struct tcpm_engine *engine = session->engine;
    uint32_t slot = session->waits_again;

    while (slot != 0 && number_of(connection_at(engine, slot)) > number)
        slot = connection_at(engine, slot)->in_queue.prev;
    for (;;) {
        uint32_t next =
            slot == 0 ? session->waiting.first : connection_at(engine, slot)->in_queue.next;

        if (next == 0 || number_of(connection_at(engine, next)) > number)
            return slot;
        slot = next;
    }
}

void tcpm__places_wait(struct tcpm__connection *connection, uint64_t number)
{
    struct tcpm_session *session = connection->session;

    connection->timer.due_ms = number;
    join_queue(connection, session->waiting.last);
    tcpm__places_settle(session);
}

struct tcpm__connection *tcpm__places_next(struct tcpm_engine *engine, uint64_t *number)
{
    if (engine->admission.turns.count == 0 || !engine_has_place(engine))
        return NULL;
    struct tcpm__heap_item *turn = tcpm__heap_expire(&engine->admission.turns, UINT64_MAX);
    struct tcpm_session *session = TCPM__CONTAINER(turn, struct tcpm_session, turn);
    struct tcpm__connection *connection = connection_at(engine, next_slot(session));
    *number = number_of(connection);
    leave_queue(connection);
    return connection;
}

/* ---- taking and giving ---- */

void tcpm__places_take(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;

    connection->flags |= TCPM__PLACED;
    session->places++;
    session->engine->admission.places++;
    if (session->pace.interval_ns != 0)
        tcpm__pace_take(&session->pace, tcpm__network_read_clock_ns(&session->engine->network));
}

bool tcpm__places_take_at_once(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;

    if (!has_free_place(session) || !tcpm__pace_allows(&session->pace, read_pace_clock(session)))
        return false;
    tcpm__places_take(connection);
    return true;
}

static void give_place(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;

    connection->flags &= ~(uint32_t) TCPM__PLACED;
    session->places--;
    session->engine->admission.places--;
    if (session->waiting.first != 0 || session->claimants.first != 0 || session->wants_room)
        tcpm__places_settle(session);
}

void tcpm__places_leave(struct tcpm__connection *connection)
{
    if (tcpm__has(connection, TCPM__PLACED)) {
        give_place(connection);
    } else if (tcpm__has(connection, TCPM__QUEUED)) {
        leave_queue(connection);
        tcpm__places_settle(connection->session);
    }
}

/* ---- further sockets ---- */

bool tcpm__places_take_further(struct tcpm_engine *engine)
{
    if (!engine_has_place(engine))
        return false;
    engine->admission.places++;
    await_probe(engine); /* for those that wait, if this was the last place */
    return true;
}

void tcpm__places_give_further(struct tcpm_engine *engine)
{
    engine->admission.places--;
}

/* ---- when there is no descriptor ---- */

/* Lets the ceiling fall to the places that are taken: there are no descriptors for more. */
static void lower_ceiling(struct tcpm_engine *engine)
{
    engine->admission.ceiling = engine->admission.places;
    engine->admission.short_ns = engine->network.now_ns;
    engine->admission.probing = false;
}

void tcpm__places_note_lack(struct tcpm_engine *engine)
{
    lower_ceiling(engine);
    await_probe(engine);
}

void tcpm__places_want_further(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    if (!tcpm__has(connection, TCPM__WANTS_PLACE))
        tcpm__chain_append(&engine->connections, &engine->admission.races, &connection->in_queue,
                           tcpm__pool_slot(connection), LINK);
    connection->flags |= TCPM__WANTS_PLACE;
    await_probe(engine);
}

void tcpm__places_forget_further(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    if (tcpm__has(connection, TCPM__WANTS_PLACE))
        tcpm__chain_remove(&engine->connections, &engine->admission.races, &connection->in_queue,
                           LINK);
    connection->flags &= ~(uint32_t) TCPM__WANTS_PLACE;
}

struct tcpm__connection *tcpm__places_next_race(struct tcpm_engine *engine)
{
    if (engine->admission.races.first == 0 || !engine_has_place(engine))
        return NULL;
    struct tcpm__connection *connection = connection_at(engine, engine->admission.races.first);
    tcpm__places_forget_further(connection);
    return connection;
}

void tcpm__places_step_back(struct tcpm__connection *connection)
{
    tcpm__pace_give(&connection->session->pace);
    tcpm__connection_set_phase(connection, TCPM__PHASE_WAITING);
    tcpm__timers_cancel(connection);
    tcpm__timers_arm(connection);
    give_place(connection);
}

void tcpm__places_return(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;

    connection->flags |= TCPM__QUEUED;
    tcpm__chain_append(&session->engine->connections, &session->claimants, &connection->in_queue,
                       tcpm__pool_slot(connection), LINK);
    tcpm__places_settle(session);
}

/* Lets a connection wait where it would be if the connect had never started. The ceiling falls to
   the places that are left. */
int tcpm__places_wait_again(struct tcpm__connection *connection, uint64_t number)
{
    struct tcpm_session *session = connection->session;
    struct tcpm_engine *engine = session->engine;
    struct tcpm__attempt *attempt = tcpm__attempt_get(connection);

    if (attempt == NULL)
        return -ENOMEM;
    attempt->number = number;
    tcpm__places_step_back(connection);
    lower_ceiling(engine);
    join_queue(connection, find_slot_before(session, number));
    session->waits_again = tcpm__pool_slot(connection);
    tcpm__places_settle(session);
    await_probe(engine);
    return 0;
}

/* Raises the ceiling, up to max_connections. A probe raises by one, each descriptor that is found
   then by two, until a descriptor is missing again. */
static void raise_ceiling(struct tcpm_engine *engine, uint64_t by)
{
    uint64_t left = engine->admission.max_connections - engine->admission.ceiling;

    engine->admission.ceiling += left < by ? left : by;
}

void tcpm__places_note_descriptor(struct tcpm_engine *engine)
{
    raise_ceiling(engine, 2);
}

static void probe(struct tcpm_engine *engine)
{
    if (engine->admission.turns.count == 0 && tcpm__list_empty(&engine->admission.rooms) &&
        engine->admission.races.first == 0)
        return; /* nothing waits for a descriptor */
    engine->admission.probing = true;
    engine->admission.short_ns = engine->network.now_ns;
    if (!engine_has_place(engine))
        raise_ceiling(engine, 1);
    if (engine->admission.ceiling < engine->admission.max_connections)
        set_alarm(engine, &engine->admission.probe, engine->network.now_ns + PROBE_NS);
}

void tcpm__places_wake(struct tcpm_engine *engine, struct tcpm_session *session)
{
    if (session != NULL)
        tcpm__places_settle(session);
    else
        probe(engine);
}

/* ---- room ---- */

bool tcpm__places_ask_room(struct tcpm_session *session)
{
    struct tcpm_engine *engine = session->engine;

    if (has_free_place(session) && tcpm__pace_allows(&session->pace, read_pace_clock(session)))
        return true;
    if (!session->wants_room && session->events.room != NULL) {
        session->wants_room = true;
        engine->admission.rooms_wanted++;
        tcpm__work_add(engine);
        tcpm__places_settle(session);
    }
    return false;
}

void tcpm__places_forget_room(struct tcpm_session *session)
{
    if (!session->wants_room)
        return;
    session->wants_room = false;
    session->engine->admission.rooms_wanted--;
    tcpm__list_remove(&session->in_rooms);
    tcpm__work_done(session->engine);
}

struct tcpm_session *tcpm__places_next_room(struct tcpm_engine *engine)
{
    const struct tcpm__list *rooms = &engine->admission.rooms;

    if (tcpm__list_empty(rooms) || engine->admission.turns.count > 0 || !engine_has_place(engine))
        return NULL;
    struct tcpm_session *session = TCPM__CONTAINER(rooms->next, struct tcpm_session, in_rooms);
    tcpm__places_forget_room(session);
    return session;
}
