/* SPDX-License-Identifier: MIT */
/*
 * Validation of the claims on addresses (addresses.c): asserts that sockets, claims, waiting
 * connects and the table of addresses agree. Called by validate.c.
 */
#include "connection/attempt.h"

#include "base/validate.h"

uint64_t tcpm__addresses_validate_claims(const struct tcpm__connection *connection)
{
    const struct tcpm__attempt *attempt = tcpm__attempt_of(connection);
    const struct tcpm__address_entry *own =
        connection->rare == NULL ? NULL : connection->rare->claim;
    const struct tcpm__racer *racer = attempt == NULL ? NULL : attempt->racers;
    bool needs_claims = tcpm__addresses_need_claims(connection);
    bool has_claim = attempt != NULL && attempt->claim != NULL;
    uint64_t claims = (uint64_t) (own != NULL) + has_claim;

    TCPM__ASSERT((own != NULL) == (needs_claims && tcpm__socket_is_open(&connection->socket)));
    TCPM__ASSERT(!has_claim || tcpm__has(connection, TCPM__QUEUED) || tcpm__is_ending(connection));
    for (; racer != NULL; racer = racer->next) {
        TCPM__ASSERT((racer->claim != NULL) == needs_claims);
        claims += needs_claims;
    }
    return claims;
}

void tcpm__addresses_validate(const struct tcpm_session *session, uint64_t claims, uint64_t waiting)
{
    const struct tcpm__address_entry *entry = NULL;
    uint64_t entries = 0, sockets = 0, waiters = 0;

    while ((entry = tcpm__address_table_next(&session->addresses, entry)) != NULL) {
        TCPM__ASSERT(entry->sockets > 0 && entry->sockets <= session->options.max_per_address);
        TCPM__ASSERT(entry->waiters.first == 0 ||
                     entry->sockets == session->options.max_per_address);
        entries++;
        sockets += entry->sockets;
        waiters += tcpm__chain_validate(&session->engine->connections, &entry->waiters,
                                        offsetof(struct tcpm__connection, in_queue));
    }
    TCPM__ASSERT(entries == session->addresses.count && sockets == claims);
    TCPM__ASSERT(waiters == waiting && waiters == session->at_addresses);
    TCPM__ASSERT(waiters < 2 * session->most_at_addresses); /* some were under way already */
}
