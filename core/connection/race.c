/* SPDX-License-Identifier: MIT */
/*
 * The race of a connection's addresses (RFC 8305, section 5): one socket after the other begins to
 * connect, none is given up for the next one, and the first that is connected wins. A new socket
 * begins attempt_delay_ms after the one before, or at once when one has failed. attempt.c starts
 * the race and tells it of sockets that fail; deadline.c tells it that its time has come.
 *
 * What always holds: the first socket lies in the connection, further ones are racers, and take
 * places in front of all connects that wait. Where there is no place, the race goes on in those
 * that it has: a socket whose share of the time is over makes way for the next address. No other
 * socket is given up.
 */
#include "connection/flow.h"

#include <errno.h>

enum {
    LEAST_SHARE_MS = 2000,    /* time that an address gets in any case */
    LONGEST_WAIT_MS = 120000, /* time in which the kernel itself gives up, where no timer runs */
    TEXT_SIZE = 4096,         /* bytes of a failure's text */
};

/* ---- one socket ---- */

/* Keeps what belongs to the socket that lies in the connection. */
static void note_own(struct tcpm__connection *connection, const union tcpm__address *address,
                     uint32_t lease)
{
    if (tcpm__has(connection, TCPM__QUAD))
        return;
    connection->address.target->peer = *address;
    connection->address.target->lease = lease;
}

static void drop_own(struct tcpm__connection *connection)
{
    tcpm__socket_drop(&tcpm__engine_of(connection)->network, &connection->socket);
    if (connection->rare != NULL)
        tcpm__addresses_give(connection->session, &connection->rare->claim);
    if (!tcpm__has(connection, TCPM__QUAD))
        tcpm__way_return(tcpm__way_of(connection), &connection->address.target->lease);
}

static void drop_racer(struct tcpm__racer *racer)
{
    tcpm__socket_drop(&tcpm__engine_of(racer->owner)->network, &racer->socket);
    tcpm__racers_remove(racer);
}

/* Drops a socket of the attempt, with its place if other sockets need none less. */
static void drop_socket(struct tcpm__connection *connection, struct tcpm__socket *socket)
{
    if (tcpm__racers_live(connection) > 1)
        tcpm__places_give_further(tcpm__engine_of(connection));
    if (tcpm__socket_is_racing(socket))
        drop_racer(tcpm__racer_with(socket));
    else
        drop_own(connection);
}

/* The claim for the socket that has begun, which keeps it from here on. */
static struct tcpm__address_entry *take_claim(struct tcpm__connection *connection)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;
    struct tcpm__address_entry *claim = attempt->claim;

    attempt->claim = NULL;
    return claim;
}

static int dial_own(struct tcpm__connection *connection, struct tcpm__try *try,
                    struct tcpm__dial *dial)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;

    attempt->index = (uint16_t) (try - attempt->tries);
    attempt->began_ms = tcpm__now_of(connection);
    dial->socket = &connection->socket;
    dial->tag = connection->id;
    int code = tcpm__dial(connection, &try->address, dial);
    if (code == 0) {
        note_own(connection, &try->address, dial->lease);
        connection->rare->claim = take_claim(connection);
    }
    return code;
}

static int dial_racer(struct tcpm__connection *connection, struct tcpm__try *try,
                      struct tcpm__dial *dial)
{
    struct tcpm__racer *racer = tcpm__racers_add(connection);

    dial->op = TCPM_OP_SOCKET;
    if (racer == NULL)
        return -ENOMEM;
    racer->index = (uint16_t) (try - connection->rare->attempt->tries);
    racer->began_ms = tcpm__now_of(connection);
    dial->socket = &racer->socket;
    dial->tag = tcpm__racer_tag(racer);
    int code = tcpm__dial(connection, &try->address, dial);
    racer->lease = dial->lease;
    if (code < 0) {
        tcpm__racers_remove(racer);
        return code;
    }
    tcpm__socket_set_racing(&racer->socket);
    racer->claim = take_claim(connection);
    return 0;
}

/* Begins to connect to the next address. 0, or negative. */
static int start_try(struct tcpm__connection *connection)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;
    struct tcpm__try *try = &attempt->tries[attempt->next++];
    struct tcpm__dial dial = {.socket = NULL};
    bool needs_racer = tcpm__socket_is_open(&connection->socket) || attempt->own_is_spent;
    int code = needs_racer ? dial_racer(connection, try, &dial) : dial_own(connection, try, &dial);

    try->source = dial.source;
    try->code = code;
    try->op = dial.op;
    if (code == 0)
        attempt->newest_ms = tcpm__now_of(connection);
    else
        tcpm__addresses_give(connection->session, &attempt->claim);
    return code;
}

/* ---- the next address ---- */

/* The result of the wish to start one more socket. */
enum step {
    STARTED,   /* a socket has begun to connect */
    FAILED,    /* the address has failed at once */
    NO_PLACE,  /* there is no place for a further socket */
    ALL_FULL,  /* the session has as many sockets to each address that is left as it may have */
    NONE_LEFT, /* no address that is known is left */
    PUT_BACK,  /* there is no descriptor, so the connection waits for a place again */
};

/* Whether an error is a lack of descriptors. */
static bool is_lack(int code)
{
    return code == -EMFILE || code == -ENFILE;
}

bool tcpm__race_put_back(struct tcpm__connection *connection, int code, uint64_t number)
{
    /* A connection of ours may give a descriptor back by ending. */
    if (!is_lack(code) || !tcpm__network_has_sockets(&tcpm__engine_of(connection)->network))
        return false;
    tcpm__places_forget_further(connection);
    if (tcpm__places_wait_again(connection, number) < 0)
        tcpm__connection_fail(connection, TCPM_OP_SOCKET, -ENOMEM, NULL);
    return true;
}

/* Makes the newest try one that has not begun. */
static void take_back(struct tcpm__attempt *attempt)
{
    attempt->tries[--attempt->next].code = 0;
}

/* Starts the next address as the only one, in the connection's own place. */
static enum step start_alone(struct tcpm__connection *connection)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;
    int code = start_try(connection);

    if (code == 0)
        return STARTED;
    if (!tcpm__race_put_back(connection, code, attempt->number))
        return FAILED;
    take_back(attempt);
    return PUT_BACK;
}

/* Starts the next address beside others, in a further place. */
static enum step start_beside(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    if (!tcpm__places_take_further(engine)) {
        tcpm__addresses_give(connection->session, &connection->rare->attempt->claim);
        return NO_PLACE;
    }
    int code = start_try(connection);
    if (code == 0)
        return STARTED;
    tcpm__places_give_further(engine);
    if (!is_lack(code))
        return FAILED;
    take_back(connection->rare->attempt);
    tcpm__places_note_lack(engine);
    return NO_PLACE;
}

/* Claims the next address that is not full. STARTED: done, or no claim is needed. */
static enum step claim_next(struct tcpm__connection *connection)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;
    int result =
        tcpm__addresses_need_claims(connection) ? tcpm__addresses_claim_next(connection) : 1;

    if (result >= 0)
        return result > 0 ? STARTED : ALL_FULL;
    attempt->tries[attempt->next].code = result;
    attempt->tries[attempt->next++].op = TCPM_OP_SOCKET;
    return FAILED;
}

/* Starts address after address, until one of them does not fail at once. */
static enum step start_next(struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = connection->rare->attempt;
    enum step step = FAILED;

    while (step == FAILED) {
        if (attempt->next == attempt->count)
            return NONE_LEFT;
        step = claim_next(connection);
        if (step == STARTED)
            step = tcpm__racers_live(connection) > 0 ? start_beside(connection)
                                                     : start_alone(connection);
    }
    return step;
}

/* ---- the course of the race ---- */

/* Fails by the most telling error of all addresses, or by that of the look-up. */
static void fail(struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = connection->rare->attempt;
    const struct tcpm__try *verdict = tcpm__tries_verdict(attempt);
    char text[TEXT_SIZE];

    if (verdict == NULL) {
        tcpm__connection_fail_to_reach(connection, TCPM_OP_RESOLVE, attempt->resolve_code,
                                       attempt->message);
        return;
    }
    tcpm__tries_explain(connection, text, sizeof text);
    tcpm__connection_fail_to_reach(connection, verdict->op, verdict->code, text);
}

/* Lets the race go on by itself so many milliseconds after a time of the clock. */
static void go_on_after(struct tcpm__connection *connection, uint64_t from_ms, uint32_t ms)
{
    connection->rare->attempt->due_ms = tcpm__due_after(from_ms, ms);
    tcpm__timers_arm(connection);
}

/* Decides when the race goes on, or that it is lost. */
static void conclude(struct tcpm__connection *connection, enum step step)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;

    attempt->due_ms = 0;
    if (step == PUT_BACK)
        return;
    if (step == NO_PLACE)
        tcpm__places_want_further(connection);
    else
        tcpm__places_forget_further(connection);
    if (step == ALL_FULL && tcpm__racers_live(connection) == 0 && !tcpm__attempt_awaits(attempt))
        tcpm__addresses_wait(connection);
    else if (attempt->next < attempt->count)
        go_on_after(connection, tcpm__now_of(connection),
                    tcpm__way_attempt_delay(tcpm__way_of(connection)));
    else if (tcpm__racers_live(connection) == 0 && !tcpm__attempt_awaits(attempt))
        fail(connection);
}

void tcpm__race_go_on(struct tcpm__connection *connection)
{
    conclude(connection, start_next(connection));
}

void tcpm__race_go_on_later(struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = connection->rare->attempt;
    const struct tcpm__way *way = tcpm__way_of(connection);

    if (attempt->due_ms != 0)
        return;
    if (tcpm__racers_live(connection) > 0)
        go_on_after(connection, attempt->newest_ms, tcpm__way_attempt_delay(way));
    else
        go_on_after(connection, tcpm__now_of(connection), tcpm__way_resolution_delay(way));
}

/* ---- a socket makes way ---- */

/* The oldest racer; NULL: there is none. */
static struct tcpm__racer *oldest_racer(const struct tcpm__connection *connection)
{
    struct tcpm__racer *racer = connection->rare->attempt->racers;

    while (racer != NULL && racer->next != NULL)
        racer = racer->next;
    return racer;
}

/* Clock at which the share of a socket is over that began at this time: the time left, divided by
   the addresses that are left. */
static uint64_t share_end(const struct tcpm__connection *connection, uint64_t began_ms)
{
    const struct tcpm__attempt *attempt = connection->rare->attempt;
    uint64_t timeout = tcpm__timers_timeout_due(connection);
    uint64_t deadline = tcpm__timers_deadline_due(connection);
    uint64_t end = timeout < deadline ? timeout : deadline;
    uint64_t left = end == UINT64_MAX ? LONGEST_WAIT_MS : end > began_ms ? end - began_ms : 0;
    uint64_t share = left / (attempt->count - attempt->next + 1u);

    return began_ms + (share < LEAST_SHARE_MS ? LEAST_SHARE_MS : share);
}

/* Drops the oldest socket if its share is over. */
static bool give_up_oldest(struct tcpm__connection *connection)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;
    struct tcpm__racer *racer = oldest_racer(connection);
    bool is_own = tcpm__socket_is_open(&connection->socket) &&
                  (racer == NULL || attempt->began_ms <= racer->began_ms);
    uint64_t began_ms = is_own ? attempt->began_ms : racer->began_ms;

    if (share_end(connection, began_ms) > tcpm__now_of(connection))
        return false;
    struct tcpm__try *try = &attempt->tries[is_own ? attempt->index : racer->index];
    try->code = -ETIMEDOUT;
    try->op = TCPM_OP_CONNECT;
    attempt->own_is_spent |= is_own;
    drop_socket(connection, is_own ? &connection->socket : &racer->socket);
    return true;
}

void tcpm__race_go_on_in_time(struct tcpm__connection *connection)
{
    enum step step = start_next(connection);

    if (step == NO_PLACE && give_up_oldest(connection))
        step = start_next(connection);
    conclude(connection, step);
}

/* ---- results ---- */

void tcpm__race_peer(const struct tcpm__connection *connection, struct tcpm__socket *socket,
                     union tcpm__address *ret)
{
    if (tcpm__socket_is_racing(socket))
        *ret = connection->rare->attempt->tries[tcpm__racer_with(socket)->index].address;
    else
        tcpm__connection_peer(connection, ret);
}

/* Moves the winner into the connection. */
static void move_winner(struct tcpm__connection *connection, struct tcpm__racer *racer)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;

    if (tcpm__socket_is_open(&connection->socket))
        drop_socket(connection, &connection->socket);
    attempt->index = racer->index;
    connection->socket = racer->socket;
    note_own(connection, &attempt->tries[racer->index].address, racer->lease);
    connection->rare->claim = racer->claim;
    racer->lease = 0; /* lease and claim go with the socket */
    racer->claim = NULL;
    tcpm__racers_remove(racer);
}

/* Sees to it that no further socket begins: what is still unanswered or untried does not count. */
static void end_race(struct tcpm__connection *connection)
{
    struct tcpm__attempt *attempt = tcpm__attempt_of(connection);

    tcpm__places_forget_further(connection);
    if (attempt == NULL)
        return;
    tcpm__lookup_forget(tcpm__engine_of(connection), attempt->asker);
    attempt->asker = NULL;
    attempt->awaited = 0;
    attempt->count = attempt->next;
    attempt->due_ms = 0;
}

int tcpm__race_win(struct tcpm__connection *connection, struct tcpm__socket *socket)
{
    bool is_racer = tcpm__socket_is_racing(socket);

    end_race(connection);
    if (is_racer)
        move_winner(connection, tcpm__racer_with(socket));
    tcpm__racers_drop(connection);
    return is_racer ? tcpm__socket_retag(&tcpm__engine_of(connection)->network, &connection->socket,
                                         connection->id)
                    : 0;
}

/* The try of a socket; NULL: the attempt needs no list of addresses. */
static struct tcpm__try *try_of(const struct tcpm__connection *connection,
                                struct tcpm__socket *socket)
{
    struct tcpm__attempt *attempt = tcpm__attempt_of(connection);

    if (attempt == NULL || attempt->count == 0)
        return NULL;
    return &attempt->tries[tcpm__socket_is_racing(socket) ? tcpm__racer_with(socket)->index
                                                          : attempt->index];
}

void tcpm__race_lose(struct tcpm__connection *connection, struct tcpm__socket *socket, int code,
                     bool to_itself)
{
    struct tcpm__try *try = try_of(connection, socket);
    union tcpm__address peer;

    if (tcpm__engine_of(connection)->trace.tell != NULL) {
        tcpm__race_peer(connection, socket, &peer);
        tcpm__trace_attempt(connection, &peer, TCPM_OP_CONNECT, code);
    }
    drop_socket(connection, socket);
    if (try == NULL) {
        tcpm__connection_fail(connection, TCPM_OP_CONNECT, code,
                              to_itself ? TCPM__TO_ITSELF : NULL);
        return;
    }
    try->code = code;
    try->op = TCPM_OP_CONNECT;
    try->to_itself = to_itself;
    tcpm__race_go_on(connection);
}
