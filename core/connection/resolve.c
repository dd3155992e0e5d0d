/* SPDX-License-Identifier: MIT */
/*
 * From the name of a target to its addresses: asks the engine's resolver (lookup.c), and hands what
 * is answered to the race. Started by attempt.c; the answers come from the loop, one for each
 * family, or one for both.
 *
 * What always holds: an asker is kept exactly while answers are still to come. IPv6 addresses begin
 * the race at once; IPv4 addresses wait resolution_delay_ms for them (RFC 8305, section 3).
 */
#include "connection/flow.h"

#include <errno.h>

/* ---- errors ---- */

/* How much the errors of a look-up count, where each family has one: the more temporary error
   counts more. */
static int weight_of(int code)
{
    static const int codes[] = {TCPM_ENOTFOUND, -ENODATA, TCPM_EBADRESP, TCPM_EREFUSED,
                                TCPM_ESERVFAIL};
    int weight = 0, count = sizeof codes / sizeof codes[0];

    while (weight < count && codes[weight] != code)
        weight++;
    return weight;
}

/* Keeps the error of a look-up, unless another family has brought a more temporary one. */
static void keep_error(struct tcpm__connection *connection, int code, const char *message)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;

    if (attempt->resolve_code != 0 && weight_of(code) <= weight_of(attempt->resolve_code))
        return;
    attempt->message = message;
    attempt->resolve_code = code;
}

/* ---- answers ---- */

/* Takes one answer: its addresses wait to be tried, or its error is kept. */
static void take_answer(struct tcpm__connection *connection, const struct tcpm__answer *answer)
{
    if (answer->code < 0)
        keep_error(connection, answer->code, answer->message);
    else if (tcpm__tries_add(connection, answer->addresses, answer->count, answer->turn) < 0)
        keep_error(connection, -ENOMEM, NULL);
    connection->rare->attempt->awaited &= ~answer->families;
    if (connection->rare->attempt->awaited == 0)
        connection->rare->attempt->asker = NULL;
}

/* Whether nothing but the look-up's error is left of the attempt. */
static bool has_nothing(const struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = connection->rare->attempt;

    return attempt->next == attempt->count && !tcpm__attempt_awaits(attempt) &&
           tcpm__racers_live(connection) == 0;
}

/* Whether the race lets more addresses wait: sockets are under way, or IPv6 addresses may come. */
static bool may_wait(const struct tcpm__connection *connection)
{
    return tcpm__racers_live(connection) > 0 ||
           (connection->rare->attempt->awaited & TCPM__INET6) != 0;
}

static bool is_for_proxy(const struct tcpm__connection *connection)
{
    const struct tcpm__passage *passage = tcpm__passage_of(connection);

    return passage != NULL && passage->is_seeking;
}

/* Goes on once answers have come that a proxy is to be told: the step of the connection does. */
static void go_on_for_proxy(struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = connection->rare->attempt;

    if (tcpm__passage_has_found(connection))
        tcpm__connection_mark_ready(connection);
    else if (attempt->next == attempt->count && !tcpm__attempt_awaits(attempt))
        tcpm__race_go_on(connection); /* fails */
}

/* Goes on once answers have come. */
static void go_on(struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = connection->rare->attempt;
    bool nothing = has_nothing(connection);

    if (nothing && attempt->next == 0 &&
        tcpm__race_put_back(connection, attempt->resolve_code, attempt->number))
        return;
    if (is_for_proxy(connection)) {
        go_on_for_proxy(connection);
        return;
    }
    if (attempt->next == attempt->count && !nothing)
        return; /* more answers, or the sockets under way, decide */
    if (may_wait(connection))
        tcpm__race_go_on_later(connection);
    else if (connection->phase == TCPM__PHASE_CONNECTING || nothing)
        tcpm__race_go_on(connection);
}

static void on_answer(void *owner, const struct tcpm__answer *answer)
{
    struct tcpm__connection *connection = owner;

    tcpm__network_read_clock(&tcpm__engine_of(connection)->network);
    take_answer(connection, answer);
    if (!tcpm__is_ending(connection))
        go_on(connection);
}

/* The query has left a queue that does not count as time of the attempt. */
static void on_begun(void *owner)
{
    struct tcpm__connection *connection = owner;

    connection->rare->attempt->queued = false;
    if (connection->phase == TCPM__PHASE_CONNECTING)
        tcpm__timers_start_timeout(connection, connection->timeout_ms);
}

/* ---- asking ---- */

/* Keeps the asker, and takes the answers that are known. */
static void take_known(struct tcpm__connection *connection, struct tcpm__asker *asker,
                       const struct tcpm__answer *known, int count)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;

    attempt->asker = asker;
    attempt->awaited = asker == NULL ? 0 : tcpm__asker_awaited(asker);
    attempt->queued = asker != NULL && !tcpm__asker_has_begun(asker);
    for (int i = 0; i < count; i++)
        take_answer(connection, &known[i]);
    go_on(connection);
}

void tcpm__resolve_start(struct tcpm__connection *connection, const char *name)
{
    const struct tcpm__way *way = tcpm__way_of(connection);
    struct tcpm__attempt *attempt = connection->rare->attempt;
    const struct tcpm__resolver_ask ask = {
        .text = name,
        .families = is_for_proxy(connection) ? TCPM__ANY_FAMILY
                                             : tcpm__session_families(connection->session),
        .dns = way == NULL ? 0 : way->dns,
        .done = on_answer,
        .begun = on_begun,
        .owner = connection,
    };
    struct tcpm__answer known[2];
    struct tcpm__asker *asker;
    const char *why;

    attempt->next = attempt->count = 0;
    attempt->resolve_code = 0;
    int count = tcpm__lookup_ask(tcpm__engine_of(connection), &ask, known, &asker, &why);
    if (count >= 0)
        take_known(connection, asker, known, count);
    else if (!tcpm__race_put_back(connection, count, attempt->number))
        tcpm__connection_fail_to_reach(connection, TCPM_OP_RESOLVE, count, why);
}
