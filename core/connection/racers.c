/* SPDX-License-Identifier: MIT */
/*
 * Racers: the sockets of an attempt beside the one that lies in the connection. Their tags are the
 * connection's id with a number in the bits above, so that one look-up of the id finds them all.
 *
 * What always holds: a racer is connecting. A connection with racers has an attempt, and a place
 * for each of its open sockets: its own place for the first of them, further ones (places.c) for
 * the others.
 */
#include "connection/attempt.h"

#include "base/list.h"

enum { MOST_NUMBERS = (1 << (63 - TCPM__TAG_BITS)) - 1 };

static struct tcpm__racer *racers_of(const struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = tcpm__attempt_of(connection);

    return attempt == NULL ? NULL : attempt->racers;
}

size_t tcpm__racers_live(const struct tcpm__connection *connection)
{
    size_t live = tcpm__socket_is_open(&connection->socket);

    for (const struct tcpm__racer *racer = racers_of(connection); racer; racer = racer->next)
        live++;
    return live;
}

struct tcpm__racer *tcpm__racers_add(struct tcpm__connection *connection)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;
    struct tcpm__racer *racer =
        tcpm__memory_zeroed(&tcpm__engine_of(connection)->memory, sizeof *racer);

    if (racer == NULL)
        return NULL;
    attempt->last_number = (uint16_t) (attempt->last_number % MOST_NUMBERS + 1);
    racer->owner = connection;
    racer->number = attempt->last_number;
    racer->socket = TCPM__SOCKET_CLOSED;
    racer->next = attempt->racers;
    attempt->racers = racer;
    return racer;
}

void tcpm__racers_remove(struct tcpm__racer *racer)
{
    struct tcpm__connection *connection = racer->owner;
    struct tcpm__racer **link = &connection->rare->attempt->racers;

    while (*link != racer)
        link = &(*link)->next;
    *link = racer->next;
    tcpm__way_return(tcpm__way_of(connection), &racer->lease);
    tcpm__addresses_give(connection->session, &racer->claim);
    tcpm__memory_free(&tcpm__engine_of(connection)->memory, racer);
}

struct tcpm__socket *tcpm__racers_find(const struct tcpm_engine *engine, uint64_t tag)
{
    uint64_t number = tag >> TCPM__TAG_BITS, id = tag - (number << TCPM__TAG_BITS);
    struct tcpm__connection *connection = tcpm__pool_find(&engine->connections, id);

    if (connection == NULL || tcpm__is_ending(connection))
        return NULL;
    for (struct tcpm__racer *racer = racers_of(connection); racer; racer = racer->next)
        if (racer->number == number)
            return &racer->socket;
    return NULL;
}

struct tcpm__racer *tcpm__racer_with(struct tcpm__socket *socket)
{
    return TCPM__CONTAINER(socket, struct tcpm__racer, socket);
}

bool tcpm__racers_have_news(const struct tcpm__connection *connection)
{
    for (const struct tcpm__racer *racer = racers_of(connection); racer; racer = racer->next)
        if (tcpm__socket_has_news(&racer->socket, false))
            return true;
    return false;
}

/* Gives back the further places of all sockets but one. */
static void leave_places(struct tcpm__connection *connection)
{
    for (size_t live = tcpm__racers_live(connection); live > 1; live--)
        tcpm__places_give_further(tcpm__engine_of(connection));
}

void tcpm__racers_drop(struct tcpm__connection *connection)
{
    struct tcpm__racer *racer;

    leave_places(connection);
    while ((racer = racers_of(connection)) != NULL) {
        tcpm__socket_drop(&tcpm__engine_of(connection)->network, &racer->socket);
        tcpm__racers_remove(racer);
    }
}

/* The set is that of another process too, so no socket is taken out of it. */
void tcpm__racers_abandon(struct tcpm__connection *connection)
{
    struct tcpm__racer *racer;

    leave_places(connection);
    while ((racer = racers_of(connection)) != NULL) {
        tcpm__socket_close(&tcpm__engine_of(connection)->network, &racer->socket, false);
        tcpm__racers_remove(racer);
    }
}
