/* SPDX-License-Identifier: MIT */
/*
 * The option max_per_address: how many sockets a session may have to one address at once, whatever
 * the port, and which connects wait for one. A claim is the right to one socket to an address. The
 * race (race.c) makes a claim before it begins a socket; the claim then belongs to the socket, and
 * is given back with it. A connect that finds no address with a claim to be had waits at the first
 * one of them, without a place. Through proxies all sockets go to the nearest proxy, and no claims
 * are made.
 *
 * What always holds: connects wait at an address only while all claims on it are taken. A claim
 * that is given back there goes to the connect that has waited longest, which then waits for a
 * place (places.c) with the claim in hand; so nobody overtakes it.
 */
#include "connection/attempt.h"

#define LINK offsetof(struct tcpm__connection, in_queue)

enum { NS_PER_MS = 1000000 };

static const struct tcpm__memory *memory_of(const struct tcpm_session *session)
{
    return &session->engine->memory;
}

/* ---- claims ---- */

/* As tcpm__addresses_claim_next, of one address. */
static int claim(struct tcpm__connection *connection, const union tcpm__address *address)
{
    struct tcpm_session *session = connection->session;
    struct tcpm__attempt *attempt = connection->rare->attempt;

    if (attempt->claim != NULL)
        return tcpm__address_entry_is(attempt->claim, address);
    struct tcpm__address_entry *entry =
        tcpm__address_table_get(&session->addresses, memory_of(session), address);
    if (entry == NULL)
        return -ENOMEM;
    if (entry->sockets >= session->options.max_per_address)
        return 0;
    entry->sockets++;
    attempt->claim = entry;
    return 1;
}

/* Makes the try of this index the next one; the others keep their order. */
static void bring_forward(struct tcpm__attempt *attempt, size_t index)
{
    struct tcpm__try try = attempt->tries[index];

    memmove(&attempt->tries[attempt->next + 1], &attempt->tries[attempt->next],
            (index - attempt->next) * sizeof try);
    attempt->tries[attempt->next] = try;
}

int tcpm__addresses_claim_next(struct tcpm__connection *connection)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;

    for (size_t i = attempt->next; i < attempt->count; i++) {
        int result = claim(connection, &attempt->tries[i].address);

        if (result == 0)
            continue;
        bring_forward(attempt, i);
        return result;
    }
    return 0;
}

/* Takes the connection out of those that wait at the address. */
static void leave_waiters(struct tcpm__connection *connection, struct tcpm__address_entry *entry)
{
    struct tcpm_session *session = connection->session;

    connection->flags &= ~(uint32_t) TCPM__ADDRESS_FULL;
    session->at_addresses--;
    tcpm__chain_remove(&session->engine->connections, &entry->waiters, &connection->in_queue, LINK);
}

/* Lets the connect that has waited longest have a claim on the address. */
static void pass_on(const struct tcpm_session *session, struct tcpm__address_entry *entry)
{
    struct tcpm__connection *connection =
        tcpm__pool_at(&session->engine->connections, entry->waiters.first);

    leave_waiters(connection, entry);
    connection->rare->attempt->claim = entry;
    tcpm__places_return(connection);
}

void tcpm__addresses_give(struct tcpm_session *session, struct tcpm__address_entry **claim)
{
    struct tcpm__address_entry *entry = *claim;

    if (entry == NULL)
        return;
    *claim = NULL;
    if (entry->waiters.first != 0)
        pass_on(session, entry);
    else if (--entry->sockets == 0)
        tcpm__address_table_remove(&session->addresses, memory_of(session), entry);
}

void tcpm__addresses_give_all(struct tcpm__connection *connection)
{
    struct tcpm__rare *rare = connection->rare;

    tcpm__addresses_give(connection->session, &rare->claim);
    if (rare->attempt != NULL)
        tcpm__addresses_give(connection->session, &rare->attempt->claim);
}

/* ---- waiting ---- */

/* The address that the connection waits at. */
static struct tcpm__address_entry *awaited(const struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = connection->rare->attempt;

    return tcpm__address_table_find(&connection->session->addresses,
                                    &attempt->tries[attempt->next].address);
}

void tcpm__addresses_wait(struct tcpm__connection *connection)
{
    struct tcpm_session *session = connection->session;
    struct tcpm__attempt *attempt = connection->rare->attempt;
    struct tcpm__address_entry *entry = awaited(connection);

    TCPM__ASSERT(entry != NULL && entry->sockets >= session->options.max_per_address);
    TCPM__ASSERT(attempt->claim == NULL && !tcpm__attempt_awaits(attempt));
    attempt->waits_ns = tcpm__network_read_clock_ns(&session->engine->network);
    if (!tcpm__has(connection, TCPM__QUAD))
        connection->address.target->peer = attempt->tries[attempt->next].address;
    connection->flags |= TCPM__ADDRESS_FULL;
    session->at_addresses++;
    tcpm__chain_append(&session->engine->connections, &entry->waiters, &connection->in_queue,
                       tcpm__pool_slot(connection), LINK);
    tcpm__places_step_back(connection);
}

void tcpm__addresses_leave(struct tcpm__connection *connection)
{
    leave_waiters(connection, awaited(connection));
    tcpm__places_settle(connection->session);
}

bool tcpm__addresses_resume(struct tcpm__connection *connection)
{
    struct tcpm__attempt *attempt = tcpm__attempt_of(connection);

    if (attempt == NULL || attempt->waits_ns == 0)
        return false;
    uint64_t now_ns = tcpm__network_read_clock_ns(&tcpm__engine_of(connection)->network);
    uint64_t waited_ns = now_ns - attempt->waits_ns;
    attempt->waits_ns = 0;
    tcpm__timers_put_off_timeout(connection, waited_ns / NS_PER_MS);
    if (tcpm__times_are_kept(connection))
        tcpm__times_put_off(connection, waited_ns);
    return true;
}
