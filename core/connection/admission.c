/* SPDX-License-Identifier: MIT */
/*
 * Admission: starts connects, at once or when their turn has come (places.c), lets races go on that
 * have waited for a place, and tells sessions that have asked for room. Called by tcpm_connect()
 * and by the ready pass.
 *
 * What always holds: a connect is started here and nowhere else, with a place taken before.
 */
#include "connection/life.h"

void tcpm__admission_request(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;
    uint64_t number = ++session->engine->admission.requests;

    if (tcpm__places_take_at_once(connection))
        tcpm__attempt_start(connection, number);
    else
        tcpm__places_wait(connection, number);
}

void tcpm__admission_run(struct tcpm_engine *engine)
{
    struct tcpm__connection *connection;
    uint64_t number;

    while ((connection = tcpm__places_next_race(engine)) != NULL)
        if (!tcpm__is_ending(connection))
            tcpm__race_go_on(connection);
    while ((connection = tcpm__places_next(engine, &number)) != NULL) {
        struct tcpm_session *session = connection->session;

        tcpm__places_take(connection);
        tcpm__attempt_start(connection, number);
        tcpm__places_settle(session);
    }
}

/* A session that asks for room again during its event goes to the end of the list, so each session
   is told in its turn. */
void tcpm__admission_announce_room(struct tcpm_engine *engine)
{
    struct tcpm_session *session;

    while ((session = tcpm__places_next_room(engine)) != NULL) {
        tcpm__handler_enter(engine);
        session->events.room(session, session->options.user);
        tcpm__handler_leave(engine);
    }
}
