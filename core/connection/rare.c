/* SPDX-License-Identifier: MIT */
/*
 * Properties that few connections have: the state of an attempt that needs more than a dotted quad,
 * the message of a cause, times, alarms, the claim on an address. They lie in one object, struct
 * tcpm__rare.
 *
 * What always holds: the object is made when it is first needed; most connections never have one.
 */
#include "connection/attempt.h"

struct tcpm__rare *tcpm__rare_get(struct tcpm__connection *connection)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;

    if (connection->rare == NULL)
        connection->rare = tcpm__memory_zeroed(memory, sizeof *connection->rare);
    return connection->rare;
}

struct tcpm__attempt *tcpm__attempt_get(struct tcpm__connection *connection)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;
    struct tcpm__rare *rare = tcpm__rare_get(connection);

    if (rare == NULL)
        return NULL;
    if (rare->attempt == NULL)
        rare->attempt = tcpm__memory_zeroed(memory, sizeof *rare->attempt);
    return rare->attempt;
}

static void free_attempt(struct tcpm__connection *connection)
{
    struct tcpm__attempt *attempt = connection->rare->attempt;

    if (attempt == NULL)
        return;
    TCPM__ASSERT(attempt->racers == NULL && attempt->claim == NULL);
    tcpm__lookup_forget(tcpm__engine_of(connection), attempt->asker);
    tcpm__passage_free(&tcpm__engine_of(connection)->memory, attempt->passage);
    tcpm__memory_free(&tcpm__engine_of(connection)->memory, attempt);
    connection->rare->attempt = NULL;
}

void tcpm__attempt_free(struct tcpm__connection *connection)
{
    const struct tcpm__rare *rare = connection->rare;

    free_attempt(connection);
    if (rare->message == NULL && rare->alarms == 0 && rare->times == NULL && rare->claim == NULL)
        tcpm__rare_free(connection);
}

void tcpm__rare_free(struct tcpm__connection *connection)
{
    const struct tcpm__memory *memory = &tcpm__engine_of(connection)->memory;

    TCPM__ASSERT(connection->rare->claim == NULL);
    free_attempt(connection);
    tcpm__memory_free(memory, connection->rare->message);
    tcpm__memory_free(memory, connection->rare->times);
    tcpm__memory_free(memory, connection->rare);
    connection->rare = NULL;
}
