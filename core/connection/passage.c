/* SPDX-License-Identifier: MIT */
/*
 * The passage of an attempt through proxies: the object that hops.c and proxies.c share, and what
 * the race of the addresses has to know of it.
 *
 * What always holds: a connection has the flag PASSING from the beginning of its passage until the
 * way to the target is free. The object is there until success, with the bytes in it that the
 * target has sent meanwhile.
 */
#include "connection/attempt.h"

#include <errno.h>
#include <stdio.h>

int tcpm__passage_make(struct tcpm__connection *connection)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    struct tcpm__attempt *attempt = connection->rare->attempt;
    const struct tcpm__route *route = tcpm__passage_route(connection);
    size_t count = route == NULL ? 0 : tcpm__route_count(route);

    if (attempt->passage != NULL)
        return 0;
    attempt->passage = tcpm__memory_zeroed(memory, sizeof *attempt->passage +
                                                       count * sizeof attempt->passage->found[0]);
    if (attempt->passage == NULL)
        return -ENOMEM;
    attempt->passage->count = (uint8_t) count;
    connection->flags |= TCPM__PASSING;
    return 0;
}

/* An IPv4 address is what every proxy can connect to; so IPv6 ones wait for the other answer. */
bool tcpm__passage_has_found(const struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = connection->rare->attempt;

    for (size_t i = attempt->next; i < attempt->count; i++)
        if (attempt->tries[i].address.any.sa_family == AF_INET)
            return true;
    return attempt->next < attempt->count && !tcpm__attempt_awaits(attempt);
}

unsigned tcpm__passage_port(const struct tcpm__connection *connection)
{
    const struct tcpm__passage *passage = tcpm__passage_of(connection);

    return passage == NULL || passage->count == 0 ? connection->port : passage->port;
}

bool tcpm__passage_may_deny(const struct tcpm__connection *connection)
{
    const struct tcpm__passage *passage = tcpm__passage_of(connection);

    return passage == NULL || tcpm__passage_is_at_target(passage);
}

/* Writes whose host is sought, as "hop 2, http proxy.test:3128" or "target host.test". */
static void print_sought(const struct tcpm__connection *connection, char ret[TCPM__ROUTE_HOP_TEXT])
{
    const struct tcpm__passage *passage = tcpm__passage_of(connection);

    if (tcpm__passage_is_at_target(passage))
        snprintf(ret, TCPM__ROUTE_HOP_TEXT, "target %s", connection->address.target->text);
    else
        tcpm__route_print_hop(tcpm__passage_route(connection), passage->sought, ret);
}

char *tcpm__passage_explain(const struct tcpm__connection *connection, int code,
                            const char *message)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    const struct tcpm__passage *passage = tcpm__passage_of(connection);
    const char *what = message == NULL ? tcpm_error_text(code) : message;
    char sought[TCPM__ROUTE_HOP_TEXT];

    if (passage == NULL || passage->count == 0)
        return NULL;
    print_sought(connection, sought);
    size_t size = strlen(sought) + strlen(": ") + strlen(what) + 1;
    char *text = tcpm__memory_resize(memory, NULL, size);
    if (text != NULL)
        snprintf(text, size, "%s: %s", sought, what);
    return text;
}

size_t tcpm__passage_kept(const struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = tcpm__attempt_of(connection);

    if (attempt == NULL || attempt->passage == NULL)
        return 0;
    return tcpm__buffer_length(attempt->passage->unsent) +
           tcpm__buffer_length(attempt->passage->early);
}

void tcpm__passage_free(const struct tcpm__memory *memory, struct tcpm__passage *passage)
{
    if (passage == NULL)
        return;
    tcpm__dialogue_close(passage->dialogue);
    tcpm__buffer_free(memory, &passage->unsent);
    tcpm__buffer_free(memory, &passage->early);
    tcpm__memory_free(memory, passage);
}
