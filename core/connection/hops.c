/* SPDX-License-Identifier: MIT */
/*
 * Finds what each proxy of a route is told to connect to: the host of the next one, or the target.
 * That is done before the first connect, one after the other: numbers are read, names are looked up
 * for those hops that take numbers only, and other names are checked, so that a bad one is told
 * before anything is connected. Started by attempt.c; answers come by resolve.c.
 *
 * What always holds: the addresses that a look-up finds wait among the tries of the attempt, which
 * has no others until the nearest proxy itself is looked up.
 */
#include "connection/flow.h"

#include <errno.h>

#include "transport/host_name.h"

static bool is_last(const struct tcpm__passage *passage, unsigned hop)
{
    return hop + 1 == passage->count;
}

/* The host behind the hop, as it was given, and its port. */
static const char *host_behind(const struct tcpm__connection *connection, unsigned hop,
                               uint16_t *port)
{
    const struct tcpm__route *route = tcpm__passage_route(connection);

    if (is_last(tcpm__passage_of(connection), hop)) {
        *port = connection->port;
        return connection->address.target->text;
    }
    *port = (uint16_t) tcpm__route_hop(route, hop + 1)->port;
    return tcpm__route_hop(route, hop + 1)->host;
}

/* Writes the form of a name that a proxy gets. As tcpm__host_name_make. */
static int make_name(const char *text, char ret[TCPM__HOST_NAME_SIZE], const char **why)
{
    bool is_absolute;

    ret[0] = '\0';
    int result = tcpm__host_name_make(text, ret, &is_absolute, why);

    return result == TCPM_ENOTFOUND && tcpm__host_name_is_onion(ret) ? 0 : result;
}

/* Reads what is behind the hop in hand: 1: the address at ret; 0: a name; negative: neither, and
   *why is a static text. */
static int read_host(const struct tcpm__connection *connection, const char *text,
                     union tcpm__address *ret, const char **why)
{
    const struct tcpm__way *way = tcpm__way_of(connection);
    const struct tcpm__passage *passage = tcpm__passage_of(connection);

    if (tcpm__passage_is_at_target(passage) && way->overrides != NULL &&
        tcpm__overrides_find(way->overrides, text, connection->port, ret))
        return 1;
    return tcpm__address_parse(text, passage->port, ret, why);
}

/* Takes the best of the addresses that wait for the hop in hand. */
static void take_found(struct tcpm__connection *connection)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;
    struct tcpm__passage *passage = attempt->passage;
    size_t best = attempt->next;

    TCPM__ASSERT(passage->hop < passage->count && attempt->next < attempt->count);
    while (best < attempt->count && attempt->tries[best].address.any.sa_family != AF_INET)
        best++;
    if (best == attempt->count)
        best = attempt->next;
    passage->found[passage->hop++] = attempt->tries[best].address;
    passage->is_seeking = false;
    tcpm__lookup_forget(tcpm__engine_of(connection), attempt->asker);
    attempt->asker = NULL;
    attempt->awaited = 0;
    attempt->next = attempt->count = 0;
}

/* A number behind the hop in hand. True: it may be used. */
static bool find_number(struct tcpm__connection *connection, const union tcpm__address *address)
{
    connection->rare->attempt->next = connection->rare->attempt->count = 0;
    if (tcpm__tries_add(connection, address, 1, 0) < 0)
        tcpm__connection_fail(connection, TCPM_OP_RESOLVE, -ENOMEM, NULL);
    else if (tcpm__passage_has_found(connection))
        take_found(connection);
    else
        tcpm__race_go_on(connection); /* fails, as the address is denied */
    return !tcpm__is_ending(connection);
}

/* A name behind the hop in hand. True: the hop gets the name. */
static bool find_name(struct tcpm__connection *connection, const char *text)
{
    struct tcpm__passage *passage = tcpm__passage_of(connection);
    char name[TCPM__HOST_NAME_SIZE];
    const char *why = NULL;

    if (!tcpm__hop_takes_names(tcpm__route_hop(tcpm__passage_route(connection), passage->hop))) {
        passage->is_seeking = true;
        tcpm__resolve_start(connection, text);
        return false;
    }
    int result = make_name(text, name, &why);
    if (result < 0) {
        tcpm__connection_fail_to_reach(connection, TCPM_OP_RESOLVE, result, why);
        return false;
    }
    passage->found[passage->hop++].any.sa_family = AF_UNSPEC;
    return true;
}

/* Finds what the hop in hand connects to. */
static bool find_next(struct tcpm__connection *connection)
{
    struct tcpm__passage *passage = tcpm__passage_of(connection);
    union tcpm__address address;
    const char *why = NULL;
    uint16_t port;
    const char *text = host_behind(connection, passage->hop, &port);

    passage->port = port;
    passage->sought = (uint8_t) (passage->hop + 1);
    int form = read_host(connection, text, &address, &why);

    if (form == 1)
        return find_number(connection, &address);
    if (form == 0)
        return find_name(connection, text);
    tcpm__connection_fail_to_reach(connection, TCPM_OP_RESOLVE, form, why);
    return false;
}

static bool find_rest(struct tcpm__connection *connection)
{
    struct tcpm__passage *passage = tcpm__passage_of(connection);

    while (passage->hop < passage->count)
        if (!find_next(connection))
            return false;
    passage->hop = passage->sought = 0;
    passage->port = (uint16_t) tcpm__route_hop(tcpm__passage_route(connection), 0)->port;
    return true;
}

bool tcpm__hops_find(struct tcpm__connection *connection)
{
    struct tcpm__passage *passage = tcpm__passage_of(connection);

    passage->hop = 0;
    passage->is_seeking = false;
    return find_rest(connection);
}

bool tcpm__hops_go_on(struct tcpm__connection *connection)
{
    take_found(connection);
    return find_rest(connection);
}

void tcpm__hops_target(const struct tcpm__connection *connection, unsigned hop,
                       char name[TCPM__HOST_NAME_SIZE], struct tcpm__proxy_target *ret)
{
    const union tcpm__address *found = &tcpm__passage_of(connection)->found[hop];
    uint16_t port;
    const char *why, *text = host_behind(connection, hop, &port);

    TCPM__ASSERT(hop < tcpm__passage_of(connection)->count);
    *ret = (struct tcpm__proxy_target){.address = found, .port = port};
    if (found->any.sa_family != AF_UNSPEC) {
        ret->port = tcpm__address_port(found);
    } else if (make_name(text, name, &why) == 0) { /* find_name has tried it before */
        ret->name = name;
        ret->address = NULL;
    }
}
