/* SPDX-License-Identifier: MIT */
/*
 * Validation: asserts, at the end of a ready pass, that the whole engine is consistent. Counters
 * agree with the things they count, flags with the lists, and each connection with its state
 * (state.c). Runs in debug and sanitize builds only, where every test so tests this too.
 *
 * What always holds: validation changes nothing. A large engine is walked only in some of the
 * passes, so that each pass pays for WALKED connections and sessions on average.
 */
#include "connection/life.h"

#include "base/validate.h"
#include "transport/tls.h"

enum { WALKED = 64 };

/* Counts of one walk over all sessions and their connections. */
struct counts {
    uint64_t live, places, further, races, sockets, bytes;
    uint64_t ready, backlog, timers;
    uint64_t sessions, dying, corking, rooms;
    uint64_t handshakes[TCPM__HANDSHAKE_OVERTAKEN + 1]; /* in each state */
};

/* ---- a connection ---- */

static bool is_open(const struct tcpm__connection *connection)
{
    return tcpm__socket_is_open(&connection->socket);
}

static void validate_phase(const struct tcpm__connection *connection)
{
    switch (connection->phase) {
    case TCPM__PHASE_WAITING:
        TCPM__ASSERT(tcpm__has(connection, TCPM__QUEUED) !=
                     tcpm__has(connection, TCPM__ADDRESS_FULL));
        TCPM__ASSERT(tcpm__racers_live(connection) == 0);
        break;
    case TCPM__PHASE_CONNECTING:
        TCPM__ASSERT(tcpm__racers_live(connection) > 0 ||
                     tcpm__attempt_awaits(connection->rare->attempt) ||
                     connection->rare->attempt->due_ms != 0 || tcpm__has(connection, TCPM__READY));
        break;
    case TCPM__PHASE_OPEN:
    case TCPM__PHASE_FLUSHING:
        TCPM__ASSERT(is_open(connection) && tcpm__has(connection, TCPM__HAD_SUCCESS));
        break;
    case TCPM__PHASE_ENDING:
        TCPM__ASSERT(tcpm__has(connection, TCPM__READY) && connection->reason != 0);
        break;
    case TCPM__PHASE_CLOSED:
    default:
        TCPM__ASSERT(connection->phase < TCPM__PHASE_CLOSED); /* CLOSED is over in the pass */
    }
}

/* Racers are connecting, and can be told apart. */
static void validate_racers(const struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = tcpm__attempt_of(connection);
    const struct tcpm__racer *racer = attempt == NULL ? NULL : attempt->racers;

    TCPM__ASSERT((racer == NULL && !tcpm__has(connection, TCPM__WANTS_PLACE)) ||
                 connection->phase == TCPM__PHASE_CONNECTING || tcpm__is_ending(connection));
    for (; racer != NULL; racer = racer->next) {
        TCPM__ASSERT(tcpm__socket_is_open(&racer->socket) && racer->owner == connection);
        TCPM__ASSERT(tcpm__socket_is_racing(&racer->socket));
        TCPM__ASSERT(racer->number > 0 && racer->index < attempt->next);
        for (const struct tcpm__racer *other = racer->next; other != NULL; other = other->next)
            TCPM__ASSERT(other->number != racer->number && other->index != racer->index);
    }
}

/* The tries that have begun come first; none of the others has a result. */
static void validate_tries(const struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = tcpm__attempt_of(connection);

    if (attempt == NULL)
        return;
    TCPM__ASSERT(attempt->next <= attempt->count);
    for (size_t i = attempt->next; i < attempt->count; i++)
        TCPM__ASSERT(attempt->tries[i].code == 0);
}

/* A passage is left when the way to the target is free, and is gone with success. While a look-up
   seeks what a hop is told, no socket is open; then dialogues wait for events. */
static void validate_passage(const struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = tcpm__attempt_of(connection);
    const struct tcpm__passage *passage = attempt == NULL ? NULL : attempt->passage;

    if (tcpm__has(connection, TCPM__PASSING))
        TCPM__ASSERT(passage != NULL);
    if (passage == NULL)
        return;
    TCPM__ASSERT(passage->hop <= passage->count);
    TCPM__ASSERT(!passage->is_seeking || !is_open(connection) || tcpm__is_ending(connection));
    TCPM__ASSERT(passage->dialogue == NULL || tcpm__has(connection, TCPM__PASSING));
    TCPM__ASSERT(passage->unsent == NULL || tcpm__socket_is_blocked(&connection->socket) ||
                 tcpm__is_ending(connection));
}

static void validate_sending(const struct tcpm__connection *connection)
{
    enum tcpm__sending sending = connection->sending;
    bool finished = sending == TCPM__SENDING_FINISHED || sending == TCPM__SENDING_LINGERING;

    TCPM__ASSERT(!finished || connection->queue == NULL);
    TCPM__ASSERT(sending != TCPM__SENDING_LINGERING || connection->phase == TCPM__PHASE_FLUSHING ||
                 tcpm__is_ending(connection));
    TCPM__ASSERT(connection->phase != TCPM__PHASE_FLUSHING ||
                 !tcpm__sending_takes_records(connection));
}

/* Bytes of the wire that the kernel has not taken: an event, a step, or the next step of a
   handshake whose turn is to come goes on with them. */
static void validate_wire(const struct tcpm__connection *connection)
{
    const struct tcpm__layer *layer = tcpm__layer_of(connection);

    if (layer == NULL || layer->wire == NULL || tcpm__sending_is_broken(connection))
        return;
    const struct tcpm__handshake *handshake = tcpm__handshake_of(connection);
    bool has_turn = handshake != NULL && handshake->state != TCPM__HANDSHAKE_SILENT;

    TCPM__ASSERT(tcpm__socket_is_blocked(&connection->socket) ||
                 tcpm__has(connection, TCPM__READY) || has_turn);
    TCPM__ASSERT(connection->sending == TCPM__SENDING_OPEN ||
                 connection->sending == TCPM__SENDING_SHUT);
}

/* The timer in the wheel may be early, never late, and never missing. A time that has come, and is
   put off because the peer has sent something, is due in the next millisecond. */
static void validate_timer(const struct tcpm__connection *connection)
{
    bool armed = tcpm__timer_armed(&connection->timer);
    uint64_t timeout = tcpm__timers_timeout_due(connection);
    uint64_t deadline = tcpm__timers_deadline_due(connection);
    uint64_t race = tcpm__timers_race_due(connection);
    uint64_t due = timeout < deadline ? timeout : deadline;
    uint64_t soon = tcpm__due_after(tcpm__now_of(connection), 0);

    due = race < due ? race : due;
    if (tcpm__is_ending(connection) || !tcpm__has(connection, TCPM__BEGUN))
        TCPM__ASSERT(!armed);
    else if (due != UINT64_MAX)
        TCPM__ASSERT(armed && connection->timer.due_ms <= (due < soon ? soon : due));
}

static void validate_cause(const struct tcpm__connection *connection)
{
    const struct tcpm__rare *rare = connection->rare;

    TCPM__ASSERT(rare == NULL || rare->message == NULL || connection->code != 0);
    TCPM__ASSERT(rare == NULL || rare->attempt == NULL ||
                 !tcpm__has(connection, TCPM__HAD_SUCCESS));
    TCPM__ASSERT(!tcpm__has(connection, TCPM__EOF_TOLD) || tcpm__has(connection, TCPM__HALF_OPEN));
    TCPM__ASSERT(!tcpm__has(connection, TCPM__LAST_ASKED) ||
                 tcpm__has(connection, TCPM__INPUT_END));
    TCPM__ASSERT(!tcpm__has(connection, TCPM__UNTOLD) || tcpm__is_ending(connection));
    TCPM__ASSERT(!tcpm__has(connection, TCPM__QUAD) || !tcpm__has(connection, TCPM__OWN_EVENTS));
}

static void validate_alarms(const struct tcpm_engine *engine,
                            const struct tcpm__connection *connection)
{
    uint64_t found = 0;
    uint32_t slot = connection->rare == NULL ? 0 : connection->rare->alarms;

    for (; slot != 0; found++) {
        const struct tcpm__alarm *alarm = tcpm__pool_at(&engine->tasks.pool, slot);

        TCPM__ASSERT(alarm->connection == connection && found < engine->tasks.pool.live);
        slot = alarm->of_connection.next;
    }
}

/* Places that a race has taken beside that of its connection. */
static uint64_t further_places(const struct tcpm__connection *connection)
{
    size_t live = tcpm__racers_live(connection);

    return live > 1 ? live - 1 : 0;
}

/* A handshake is of a connected socket that has had no success yet, or of a connection that is
   SECURING. */
static void validate_tls(const struct tcpm__connection *connection, struct counts *counts)
{
    const struct tcpm__handshake *handshake = tcpm__handshake_of(connection);
    bool is_securing = tcpm__has(connection, TCPM__SECURING);

    if (tcpm__layer_is_tls(tcpm__layer_of(connection)))
        tcpm__tls_validate(tcpm__layer_of(connection));
    TCPM__ASSERT(!is_securing ||
                 (connection->address.target->tls != NULL &&
                  connection->address.target->plain <= tcpm__buffer_length(connection->queue)));
    if (handshake != NULL) {
        TCPM__ASSERT(handshake->connection == connection && is_open(connection));
        TCPM__ASSERT(connection->phase ==
                     (is_securing ? TCPM__PHASE_OPEN : TCPM__PHASE_CONNECTING));
        counts->handshakes[handshake->state]++;
    }
}

/* Gives the bytes that are accounted for TLS and proxies, which are those that are there. */
static size_t validate_weight(const struct tcpm__connection *connection)
{
    if (tcpm__has(connection, TCPM__QUAD))
        return 0;
    TCPM__ASSERT(connection->address.target->weight == tcpm__target_measure(connection));
    return connection->address.target->weight;
}

static void validate_connection(const struct tcpm_session *session,
                                const struct tcpm__connection *connection, struct counts *counts)
{
    TCPM__ASSERT(connection->session == session);
    TCPM__ASSERT(connection->in != NULL && connection->out != NULL);
    TCPM__ASSERT(!is_open(connection) || tcpm__has(connection, TCPM__PLACED));
    TCPM__ASSERT(!tcpm__backlog_has(connection) || connection->phase == TCPM__PHASE_OPEN);
    TCPM__ASSERT(tcpm__has(connection, TCPM__LAYERED) == (tcpm__layer_of(connection) != NULL));
    TCPM__ASSERT(!tcpm__socket_is_racing(&connection->socket));
    validate_phase(connection);
    validate_racers(connection);
    validate_tries(connection);
    validate_passage(connection);
    validate_sending(connection);
    validate_wire(connection);
    validate_timer(connection);
    validate_cause(connection);
    validate_alarms(session->engine, connection);
    validate_tls(connection, counts);
    counts->bytes += validate_weight(connection);
    counts->sockets += tcpm__racers_live(connection);
    counts->further += further_places(connection);
    counts->races += tcpm__has(connection, TCPM__WANTS_PLACE);
    counts->ready += tcpm__has(connection, TCPM__READY);
    counts->backlog += tcpm__backlog_has(connection);
    counts->timers += tcpm__timer_armed(&connection->timer);
}

/* ---- a session ---- */

/* Counts over the connections of one session, to compare with its counters. */
struct account {
    uint64_t live, places, queued, held, waiting, at_addresses, claims;
    uint64_t phases[TCPM__PHASE_CLOSED + 1];
};

static void add_connection(struct account *account, const struct tcpm__connection *connection)
{
    account->live++;
    account->phases[connection->phase]++;
    account->places += tcpm__has(connection, TCPM__PLACED);
    account->waiting += tcpm__has(connection, TCPM__QUEUED);
    account->at_addresses += tcpm__has(connection, TCPM__ADDRESS_FULL);
    account->claims += tcpm__addresses_validate_claims(connection);
    account->queued += tcpm__buffer_length(connection->queue);
    account->held += tcpm__buffer_length(connection->input);
}

static void validate_account(const struct tcpm_session *session, const struct account *account)
{
    const struct tcpm__pool *pool = &session->engine->connections;
    const size_t link = offsetof(struct tcpm__connection, in_queue);

    TCPM__ASSERT(account->live == session->live && account->places == session->places);
    TCPM__ASSERT(account->queued == session->queued && account->held == session->held);
    for (int phase = 0; phase <= TCPM__PHASE_CLOSED; phase++)
        TCPM__ASSERT(account->phases[phase] == session->phases[phase]);
    TCPM__ASSERT(account->waiting == tcpm__chain_validate(pool, &session->waiting, link) +
                                         tcpm__chain_validate(pool, &session->claimants, link));
    tcpm__addresses_validate(session, account->claims, account->at_addresses);
}

/* Checks turn, room and death of a session, as far as these do not depend on the clock. */
static void validate_turn(const struct tcpm_session *session)
{
    bool has_place = session->places < (uint64_t) session->options.max_connections;
    bool waits = session->waiting.first != 0 || session->claimants.first != 0;

    TCPM__ASSERT(session->turn.index == 0 || (waits && !session->dying && has_place));
    TCPM__ASSERT(tcpm__list_empty(&session->in_rooms) || session->wants_room);
    TCPM__ASSERT(tcpm__list_empty(&session->in_dead) || (session->dying && session->live == 0));
}

static void validate_session(const struct tcpm_session *session, struct counts *counts)
{
    const struct tcpm__pool *pool = &session->engine->connections;
    struct account account = {.live = 0};
    uint32_t slot = session->connections.first;

    TCPM__ASSERT(session->live ==
                 tcpm__chain_validate(pool, &session->connections,
                                      offsetof(struct tcpm__connection, in_session)));
    while (slot != 0) {
        const struct tcpm__connection *connection = tcpm__pool_at(pool, slot);

        validate_connection(session, connection, counts);
        add_connection(&account, connection);
        slot = connection->in_session.next;
    }
    validate_account(session, &account);
    validate_turn(session);
    counts->live += account.live;
    counts->places += account.places;
    counts->bytes += account.queued + account.held;
    counts->sessions++;
    counts->dying += session->dying;
    counts->corking += session->options.cork == 1;
    counts->rooms += session->wants_room;
}

/* ---- the engine ---- */

static uint64_t count_ready(const struct tcpm_engine *engine)
{
    const struct tcpm__connection *connection = engine->turn.ready;
    uint64_t found = 0;

    for (; connection != NULL; found++) {
        TCPM__ASSERT(tcpm__has(connection, TCPM__READY) && found < engine->connections.live);
        TCPM__ASSERT(connection->next_ready != 0 || connection == engine->turn.ready_last);
        connection = tcpm__connection_next_ready(engine, connection);
    }
    return found;
}

static uint64_t count_posts(const struct tcpm__posts *posts)
{
    uint64_t found = 0;

    for (const struct tcpm__post *post = posts->first; post != NULL; post = post->next)
        found++;
    return found;
}

static void validate_work(const struct tcpm_engine *engine)
{
    uint64_t posts = count_posts(&engine->tasks.posts) + count_posts(&engine->tasks.next_posts);

    TCPM__ASSERT(engine->turn.work ==
                 (uint64_t) engine->connections.live + engine->tasks.pool.live + posts +
                     engine->admission.rooms_wanted + engine->sessions.dying + engine->end.closing);
}

/* Checks that no handler, delivery or step is under way. */
static void validate_rest(const struct tcpm_engine *engine)
{
    TCPM__ASSERT(engine->delivery.chunk == NULL && !engine->delivery.out_lent);
    TCPM__ASSERT(engine->delivery.handler_depth == 0 && engine->delivery.calling_back == 0);
    TCPM__ASSERT(engine->turn.serving == NULL && !engine->tasks.running_posts);
    TCPM__ASSERT(engine->tasks.alarmed == 0);
}

static void validate_counts(const struct tcpm_engine *engine, const struct counts *counts)
{
    TCPM__ASSERT(counts->live == engine->connections.live);
    TCPM__ASSERT(counts->places + counts->further == engine->admission.places);
    TCPM__ASSERT(counts->sockets == engine->network.sockets);
    TCPM__ASSERT(counts->bytes == engine->bytes.held);
    TCPM__ASSERT(counts->ready == count_ready(engine));
    TCPM__ASSERT(counts->backlog == engine->backlog.count);
    TCPM__ASSERT(counts->dying == engine->sessions.dying);
    TCPM__ASSERT(counts->corking == engine->sessions.corking);
    TCPM__ASSERT(counts->rooms == engine->admission.rooms_wanted);
    TCPM__ASSERT(engine->admission.turns.members == counts->sessions);
    TCPM__ASSERT(engine->tasks.alarms.members ==
                 counts->sessions + engine->tasks.pool.live + 3); /* probe, look-ups, handshakes */
}

static uint64_t count_nodes(const struct tcpm__list *list)
{
    uint64_t count = 0;

    for (const struct tcpm__list *node = list->next; node != list; node = node->next)
        count++;
    return count;
}

static void validate_handshakes(const struct tcpm_engine *engine, const struct counts *counts)
{
    const uint64_t *found = counts->handshakes;

    TCPM__ASSERT(count_nodes(&engine->handshakes.waiting) == found[TCPM__HANDSHAKE_WAITING]);
    TCPM__ASSERT(count_nodes(&engine->handshakes.ready) == found[TCPM__HANDSHAKE_READY]);
    TCPM__ASSERT(count_nodes(&engine->handshakes.silent) == found[TCPM__HANDSHAKE_SILENT]);
    TCPM__ASSERT(engine->handshakes.places ==
                 found[TCPM__HANDSHAKE_READY] + found[TCPM__HANDSHAKE_SILENT]);
    TCPM__ASSERT(engine->handshakes.places <= engine->handshakes.max);
    TCPM__ASSERT(found[TCPM__HANDSHAKE_WAITING] == 0 || tcpm__handshakes_have_work(engine) ||
                 engine->handshakes.alarm.timer.index != 0);
}

static void validate_parts(const struct tcpm_engine *engine, const struct counts *counts)
{
    TCPM__ASSERT(tcpm__pool_validate(&engine->connections) == counts->live);
    tcpm__pool_validate(&engine->tasks.pool);
    tcpm__heap_validate(&engine->admission.turns);
    tcpm__heap_validate(&engine->tasks.alarms);
    if (engine->lookups.resolver != NULL)
        tcpm__resolver_validate(engine->lookups.resolver);
    if (engine->handshakes.shared != NULL)
        tcpm__tls_shared_validate(engine->handshakes.shared);
    TCPM__ASSERT(tcpm__wheel_validate(&engine->deadlines) == counts->timers);
    TCPM__ASSERT(tcpm__chain_validate(&engine->connections, &engine->backlog.chain,
                                      offsetof(struct tcpm__connection, in_queue)) ==
                 engine->backlog.count);
    TCPM__ASSERT(tcpm__chain_validate(&engine->connections, &engine->admission.races,
                                      offsetof(struct tcpm__connection, in_queue)) ==
                 counts->races);
}

/* Number of items that a walk meets. Each session is a member of the heap of turns. */
static uint64_t count_items(const struct tcpm_engine *engine)
{
    return (uint64_t) engine->connections.used_slots + engine->tasks.pool.used_slots +
           engine->admission.turns.members;
}

static bool is_due(const struct tcpm_engine *engine)
{
    return engine->network.turn % (1 + count_items(engine) / WALKED) == 0;
}

void tcpm__engine_validate(const struct tcpm_engine *engine)
{
    const struct tcpm__list *node = engine->sessions.all.next;
    struct counts counts = {.live = 0};

    validate_rest(engine);
    if (!is_due(engine))
        return;
    for (; node != &engine->sessions.all; node = node->next)
        validate_session(TCPM__CONTAINER(node, struct tcpm_session, in_engine), &counts);
    validate_counts(engine, &counts);
    validate_handshakes(engine, &counts);
    validate_work(engine);
    validate_parts(engine, &counts);
}
