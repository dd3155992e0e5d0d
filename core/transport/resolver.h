/* SPDX-License-Identifier: MIT */
/*
 * From names of hosts to addresses: what an engine sees of it. Behind this header lie the cache and
 * the window (names.h), the two ways to ask (ares.h and system.h), and the system's files
 * /etc/hosts and /etc/resolv.conf, which are looked at again at a look-up once a second.
 *
 * What always holds: done is called from the loop only, never inside a call of this header;
 * addresses of an answer are valid until the next call.
 */
#ifndef TCPM_TRANSPORT_RESOLVER_H
#define TCPM_TRANSPORT_RESOLVER_H

#include "tcpmulti.h"
#include "transport/names.h"
#include "transport/network.h"

/* Whether this library was built with c-ares. */
#ifdef TCPM_HAVE_CARES
enum { TCPM__HAS_ARES = 1 };
#else
enum { TCPM__HAS_ARES = 0 };
#endif

struct tcpm__resolver;

struct tcpm__resolver_ask {
    const char *text;  /* the name as given, no numeric address */
    unsigned families; /* set of TCPM__INET and TCPM__INET6 */
    int dns;           /* enum tcpm_dns: who is asked; 0: TCPM_DNS_AUTO */
    void (*done)(void *owner, const struct tcpm__answer *answer); /* as in struct tcpm__ask */
    void (*begun)(void *owner);                                   /* likewise; may be NULL */
    void *owner;
};

/* 0, or -ENOMEM. */
int tcpm__resolver_open(struct tcpm__network *network, struct tcpm__resolver **ret);
/* All askers hear nothing any more. Queries that run are given up. resolver: NULL is allowed. */
void tcpm__resolver_close(struct tcpm__resolver *resolver);
/* In a forked process: lets go of the sockets, which belong to the other process, untouched. */
void tcpm__resolver_abandon(struct tcpm__resolver *resolver);

/* Looks a name up. Gives the number of answers that are known now, in known; *ret: the asker that
   waits for the others; NULL: there are no others. Negative: the name cannot be looked up, *why is
   a static text or NULL. */
int tcpm__resolver_ask(struct tcpm__resolver *resolver, const struct tcpm__resolver_ask *ask,
                       struct tcpm__answer known[2], struct tcpm__asker **ret, const char **why);
/* From here on nothing is called for the asker. asker: NULL is allowed. */
void tcpm__resolver_forget(struct tcpm__resolver *resolver, struct tcpm__asker *asker);

/* An event of the set, with a tag that has bit 63. */
void tcpm__resolver_event(struct tcpm__resolver *resolver, uint64_t tag, uint32_t bits);
/* Clock at which tick has something to do, in ns; UINT64_MAX: never. */
uint64_t tcpm__resolver_due_ns(const struct tcpm__resolver *resolver);
void tcpm__resolver_tick(struct tcpm__resolver *resolver);

/* Options for later look-ups, their numbers in range. 0; -EINVAL: servers names none, or something
   else; and then nothing has changed. */
int tcpm__resolver_configure(struct tcpm__resolver *resolver,
                             const struct tcpm_names_options *options);
void tcpm__resolver_stats(const struct tcpm__resolver *resolver, struct tcpm_names_stats *ret);

/* For assertions (connection/validate.c). */
void tcpm__resolver_validate(const struct tcpm__resolver *resolver);

#endif
