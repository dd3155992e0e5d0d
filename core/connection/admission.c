/*
 * Who may have a socket, and when. A connect that finds no place waits: in the engine's queue,
 * oldest first, and when its turn comes but its own session is at a limit, in the session's.
 *
 * What always holds: sockets stay under the ceiling; nobody overtakes an older connect that could
 * start; a session at its limit holds up no other.
 */
#include "connection/layer.h"

#include <errno.h>

/* ---- places ---- */

static bool engine_has_place(const struct tcpm_engine *engine)
{
    return engine->places < engine->ceiling;
}

/* The token bucket holds a tenth of a second, so that attempts come evenly. */
static void refill_tokens(struct tcpm__limits *limits, uint64_t now_ms)
{
    double size = limits->rate < 10 ? 1.0 : (double) limits->rate / 10;

    limits->tokens += (double) (now_ms - limits->refilled_ms) * (double) limits->rate / 1000;
    if (limits->tokens > size)
        limits->tokens = size;
    limits->refilled_ms = now_ms;
}

/* The alarm has no task: it lets waiting connects in when it goes off. */
static void await_refill(struct tcpm_session *session)
{
    double missing = 1.0 - session->limits.tokens;
    uint64_t wait_ms = (uint64_t) (missing * 1000 / (double) session->limits.rate) + 1;

    if (session->refill.timer.place != 0)
        return;
    session->refill.session = session;
    tcpm__heap_set(&session->engine->alarms, &session->refill.timer,
                   (session->engine->network.now_ms + wait_ms) * 1000000);
    tcpm__turn_wake(session->engine);
}

static bool session_has_place(struct tcpm_session *session)
{
    struct tcpm__limits *limits = &session->limits;

    if (session->places >= limits->max_connections)
        return false;
    if (limits->rate == 0)
        return true;
    refill_tokens(limits, session->engine->network.now_ms);
    if (limits->tokens >= 1)
        return true;
    await_refill(session);
    return false;
}

static void take_place(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;

    connection->flags |= TCPM__PLACED;
    session->places++;
    session->engine->places++;
    if (session->limits.rate != 0)
        session->limits.tokens -= 1;
}

/* After running out of descriptors the ceiling comes up again with each one that is given back. */
static void give_place(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    connection->flags &= ~(uint32_t) TCPM__PLACED;
    connection->session->places--;
    engine->places--;
    if (engine->ceiling < engine->max_connections)
        engine->ceiling++;
}

/* ---- queues: a connection that waits is linked by its timer's link ---- */

static struct tcpm__connection *first_of(const struct tcpm__list *queue)
{
    return TCPM__CONTAINER(queue->next, struct tcpm__connection, timer.link);
}

static void leave_queue(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;

    tcpm__list_remove(&connection->timer.link);
    connection->timer.link = (struct tcpm__list){NULL, NULL};
    if (tcpm__list_empty(&session->parked))
        tcpm__list_remove(&session->in_parking);
}

static void park(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;

    leave_queue(connection);
    tcpm__list_append(&session->parked, &connection->timer.link);
    if (tcpm__list_empty(&session->in_parking))
        tcpm__list_append(&session->engine->parking, &session->in_parking);
}

static void start(struct tcpm__connection *connection)
{
    take_place(connection);
    tcpm__attempt_start(connection);
}

static bool somebody_waits(const struct tcpm_engine *engine)
{
    return !tcpm__list_empty(&engine->waiting) || !tcpm__list_empty(&engine->parking);
}

void tcpm__admission_request(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;
    struct tcpm_engine *engine = session->engine;

    if (!somebody_waits(engine) && engine_has_place(engine) && session_has_place(session)) {
        start(connection);
        return;
    }
    tcpm__list_append(&engine->waiting, &connection->timer.link);
    if (engine_has_place(engine))
        tcpm__admission_run(engine);
}

void tcpm__admission_retry(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    tcpm__deadline_cancel(connection);
    connection->deadline_ms = (uint64_t) tcpm__deadline_left(connection); /* it goes on then */
    give_place(connection);
    engine->ceiling = engine->places;
    tcpm__connection_set_phase(connection, TCPM_PHASE_WAITING);
    tcpm__list_append(engine->waiting.next, &connection->timer.link); /* in front of all others */
}

void tcpm__admission_leave(struct tcpm__connection *connection)
{
    if (tcpm__has(connection, TCPM__PLACED))
        give_place(connection);
    else if (connection->phase == TCPM_PHASE_WAITING)
        leave_queue(connection);
}

static void run_parked(struct tcpm_engine *engine)
{
    struct tcpm__list *node = engine->parking.next, *next;

    for (; node != &engine->parking && engine_has_place(engine); node = next) {
        struct tcpm_session *session = TCPM__CONTAINER(node, struct tcpm_session, in_parking);

        next = node->next;
        while (!tcpm__list_empty(&session->parked) && engine_has_place(engine) &&
               session_has_place(session)) {
            struct tcpm__connection *connection = first_of(&session->parked);

            leave_queue(connection);
            start(connection);
        }
    }
}

static void run_waiting(struct tcpm_engine *engine)
{
    while (!tcpm__list_empty(&engine->waiting) && engine_has_place(engine)) {
        struct tcpm__connection *connection = first_of(&engine->waiting);

        if (session_has_place(connection->session)) {
            leave_queue(connection);
            start(connection);
        } else {
            park(connection);
        }
    }
}

void tcpm__admission_run(struct tcpm_engine *engine)
{
    if (!somebody_waits(engine))
        return;
    run_parked(engine);
    run_waiting(engine);
}

/* ---- room ---- */

/* Connects of other sessions that wait for their own limits are not in the way. */
bool tcpm__admission_has_room(struct tcpm_session *session)
{
    struct tcpm_engine *engine = session->engine;

    return !session->dying && tcpm__list_empty(&engine->waiting) &&
           tcpm__list_empty(&session->parked) && engine_has_place(engine) &&
           session_has_place(session);
}

bool tcpm__admission_ask_room(struct tcpm_session *session)
{
    struct tcpm_engine *engine = session->engine;

    if (tcpm__admission_has_room(session))
        return true;
    if (!session->wants_room && !session->dying && session->events.room != NULL) {
        session->wants_room = true;
        engine->rooms_wanted++;
        tcpm__work_add(engine);
    }
    return false;
}

void tcpm__admission_forget_room(struct tcpm_session *session)
{
    if (!session->wants_room)
        return;
    session->wants_room = false;
    session->engine->rooms_wanted--;
    tcpm__work_done(session->engine);
}

void tcpm__admission_announce_room(struct tcpm_engine *engine)
{
    struct tcpm__list *node = engine->sessions.next;

    for (; node != &engine->sessions && engine->rooms_wanted > 0; node = node->next) {
        struct tcpm_session *session = TCPM__CONTAINER(node, struct tcpm_session, in_engine);

        if (!session->wants_room || !tcpm__admission_has_room(session))
            continue;
        tcpm__admission_forget_room(session);
        tcpm__handler_enter(engine);
        session->events.room(session, session->user);
        tcpm__handler_leave(engine);
    }
}
