/* SPDX-License-Identifier: MIT */
/*
 * The backend of names that asks name servers, through c-ares. Here it is decided which server is
 * asked next, by UDP or TCP, for how long an answer is waited for, and what the answers mean.
 *
 * A question goes to the servers in turn, in up to `tries` rounds; the time for an answer doubles
 * with each round, and a late answer counts as long as the question lives. A server that has failed
 * or refused is not asked again, the next one at once. What a round finds broken, a port without a
 * server for one, waits a moment for the next round.
 *
 * What always holds: each query that tcpm__backend_kind.ask has accepted gets one answer, never
 * inside that call, unless the backend is closed or abandoned first.
 */
#ifndef TCPM_TRANSPORT_ARES_H
#define TCPM_TRANSPORT_ARES_H

#include <errno.h>

#include "transport/names.h"
#include "transport/network.h"

struct tcpm__ares; /* begins with a struct tcpm__backend */

struct tcpm__ares_config {
    const union tcpm__address *servers; /* addresses and ports */
    unsigned count;                     /* at most TCPM__MOST_SERVERS */
    unsigned unusable;   /* servers that stand in resolv.conf and cannot be asked, for the text */
    unsigned timeout_ms; /* for an answer in the first round */
    unsigned tries;      /* rounds, 1 to 10 */
};

#ifdef TCPM_HAVE_CARES

/* 0, or -ENOMEM. */
int tcpm__ares_open(struct tcpm__network *network, struct tcpm__names *names,
                    const struct tcpm__ares_config *config, struct tcpm__ares **ret);

/* Forgets the queries that are out. NULL is allowed. */
void tcpm__ares_close(struct tcpm__ares *ares);

/* In a forked process: lets go of the sockets, which belong to the other process, and forgets the
   queries. What is asked afterwards gets -ESHUTDOWN. */
void tcpm__ares_abandon(struct tcpm__ares *ares);

/* For all further questions to servers. Answers of the servers so far still count. */
void tcpm__ares_configure(struct tcpm__ares *ares, const struct tcpm__ares_config *config);

/* An event of the set, with a tag of tcpm__tag_other whose bit 62 is not set. */
void tcpm__ares_event(struct tcpm__ares *ares, uint64_t tag, uint32_t bits);

/* When tcpm__ares_tick has something to do; UINT64_MAX: never. */
uint64_t tcpm__ares_due_ns(const struct tcpm__ares *ares);
/* Gives answers to names, and asks again. Calls what names_answered calls. */
void tcpm__ares_tick(struct tcpm__ares *ares, uint64_t now_ns);

/* Asserts that questions, lanes and times agree. Assertion builds. */
void tcpm__ares_validate(const struct tcpm__ares *ares);

#else

/* Built without c-ares, nothing can be opened, and there is nothing to call the others with. */
static inline int tcpm__ares_open(struct tcpm__network *network, struct tcpm__names *names,
                                  const struct tcpm__ares_config *config, struct tcpm__ares **ret)
{
    (void) network;
    (void) names;
    (void) config;
    (void) ret;
    return -EOPNOTSUPP;
}
static inline void tcpm__ares_close(struct tcpm__ares *ares)
{
    (void) ares;
}
static inline void tcpm__ares_abandon(struct tcpm__ares *ares)
{
    (void) ares;
}
static inline void tcpm__ares_configure(struct tcpm__ares *ares,
                                        const struct tcpm__ares_config *config)
{
    (void) ares;
    (void) config;
}
static inline void tcpm__ares_event(struct tcpm__ares *ares, uint64_t tag, uint32_t bits)
{
    (void) ares;
    (void) tag;
    (void) bits;
}
static inline uint64_t tcpm__ares_due_ns(const struct tcpm__ares *ares)
{
    (void) ares;
    return UINT64_MAX;
}
static inline void tcpm__ares_tick(struct tcpm__ares *ares, uint64_t now_ns)
{
    (void) ares;
    (void) now_ns;
}
static inline void tcpm__ares_validate(const struct tcpm__ares *ares)
{
    (void) ares;
}

#endif

#endif
