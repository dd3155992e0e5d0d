/* SPDX-License-Identifier: MIT */
/*
 * The door from names to addresses: the cache, the candidates of the search list, who waits for
 * which query, how many queries are out at once, and when a query is asked again. Pure: the time is
 * an argument, and queries go to a backend, which brings the answers later.
 *
 * What always holds: one query at most is out or waiting for a name, a set of families and a
 * backend, however many ask. Each asker that is not forgotten gets one answer for each family that
 * it has asked for, and both families from the same candidate of the search list. No answer is
 * given from inside tcpm__names_ask. No time is needed for what nobody has asked.
 */
#ifndef TCPM_TRANSPORT_NAMES_H
#define TCPM_TRANSPORT_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "transport/address.h"

struct tcpm__names;
struct tcpm__asker;
struct tcpm__resolv_conf;

/* ---- backends ---- */

struct tcpm__query {
    const char *name;  /* ASCII, lower case, absolute, no last dot */
    unsigned families; /* a set of TCPM__INET, TCPM__INET6; one of them, unless both_families */
};

/* The end of a query. The pointers are borrowed until tcpm__names_answered returns; the message is
   static. Codes, of which the first that fits is the right one:

   0                  at least one address
   TCPM_ENOTFOUND     there is no such name; kept for 5 s
   -ENODATA           the name exists, without an address of these families; kept for 5 s
   TCPM_EREFUSED      all servers have refused; asked again if the server may have had too many
   TCPM_ESERVFAIL, TCPM_EBADRESP
                      all servers have failed, or their answers make no sense; kept for 1 s
   -ETIMEDOUT         no server has answered; asked again if queries were lost for their number
   others, negative   the query could not be made here: -ENOMEM, -EMFILE, -EADDRNOTAVAIL. Never
                      kept */
struct tcpm__result {
    int code;
    const char *message; /* NULL: that of the code */
    uint32_t ttl_s;      /* the least of all records that lead to the addresses; code 0 only */
    bool lost;           /* a try got no answer, whatever became of the query in the end */
    const union tcpm__address *addresses; /* port 0 */
    size_t count;                         /* the first TCPM__MOST_ADDRESSES (order.h) are taken */
};

struct tcpm__backend;

struct tcpm__backend_kind {
    const char *name;
    /* One query is for all families of a name; at most 4 are out, the others wait in a queue, not
       for the window. */
    bool both_families;
    /* 0: tcpm__names_answered is called later, once, never from inside; the query stays where it is
       until then. Negative: nothing has begun, and the query may be gone. */
    int (*ask)(struct tcpm__backend *backend, struct tcpm__query *query);
};

/* The first member of each backend's own struct. */
struct tcpm__backend {
    const struct tcpm__backend_kind *kind;
};

/* ---- names ---- */

struct tcpm__names_config {
    unsigned window;      /* names that are asked for at once in the beginning. 0: 512 */
    unsigned concurrency; /* the most that the window may open to. 0: 1,024 */
    size_t cache;         /* answers that are kept; a family of a name has its own. 0: none */
    int64_t ttl_s;        /* how long addresses are kept. 0: as told, at most 3,600 s; -1: nothing
                             is kept, failures neither; INT64_MAX: for ever */
    bool search;          /* names that are not absolute go through the search list */
};

/* 0, or -ENOMEM. The configuration is {.cache = 65536, .search = true}; the search list empty. */
int tcpm__names_create(const struct tcpm__memory *memory, struct tcpm__names **ret);

/* Askers hear nothing. The backends are closed already, or never answer again. NULL is allowed. */
void tcpm__names_free(struct tcpm__names *names);

/* For later asks. What is kept is forgotten if ttl_s changes. */
void tcpm__names_configure(struct tcpm__names *names, const struct tcpm__names_config *config);

/* Copies domains and ndots. Asks under way go on in the new list. */
void tcpm__names_set_search(struct tcpm__names *names, const struct tcpm__resolv_conf *conf);

/* Forgets what is kept: answers of servers that are not asked any more. */
void tcpm__names_clear(struct tcpm__names *names);

/* ---- asking ---- */

/* For one family, or for all that were asked for, if the backend asks for both at once. Valid until
   the next call of names. */
struct tcpm__answer {
    unsigned families;
    int code;                             /* see struct tcpm__result; 0: at least one address */
    const char *message;                  /* static; NULL: that of the code */
    const union tcpm__address *addresses; /* port 0 */
    size_t count;                         /* at most TCPM__MOST_ADDRESSES */
    unsigned turn; /* how often these addresses were given before, for rotation; 0 where the
                      backend asks for both families */
};

struct tcpm__ask {
    const char *name;  /* from tcpm__host_name_make; copied */
    bool absolute;     /* no search list */
    unsigned families; /* not empty */
    struct tcpm__backend *backend;
    /* Called once for each further answer, from tcpm__names_answered or tcpm__names_tick. From it
       tcpm__names_ask and tcpm__names_forget may be called, no other function that changes names.
       The same holds for begun. */
    void (*done)(void *owner, const struct tcpm__answer *answer);
    /* The query has left the queue, see tcpm__asker_has_begun. May be NULL. */
    void (*begun)(void *owner);
    void *owner;
};

/* Gives the number of answers that are known now, in known[]. *ret: for further ones; NULL: none
   comes. The asker is gone when done has returned from the last one, or when it is forgotten.
   Negative: -ENOMEM, or the code of a backend that could begin nothing; no answer comes. */
int tcpm__names_ask(struct tcpm__names *names, const struct tcpm__ask *ask, uint64_t now_ns,
                    struct tcpm__answer known[2], struct tcpm__asker **ret);

/* Whether time counts for the asker: false while its query is in the queue of a backend that asks
   for both families at once. */
bool tcpm__asker_has_begun(const struct tcpm__asker *asker);

/* The families for which answers are still to come. */
unsigned tcpm__asker_awaited(const struct tcpm__asker *asker);

/* The asker hears nothing more. A query that is out goes on, and its answer is kept. NULL
   is allowed. */
void tcpm__names_forget(struct tcpm__names *names, struct tcpm__asker *asker);

/* ---- what comes from outside ---- */

/* For backends. Calls done of all who wait, or asks again later; then begins queries that have
   waited for a place. */
void tcpm__names_answered(struct tcpm__names *names, struct tcpm__query *query,
                          const struct tcpm__result *result, uint64_t now_ns);

/* When tcpm__names_tick has something to do; UINT64_MAX: never. */
uint64_t tcpm__names_due_ns(const struct tcpm__names *names);
void tcpm__names_tick(struct tcpm__names *names, uint64_t now_ns);

/* ---- what is told ---- */

struct tcpm__names_counts {
    uint64_t hits;    /* answers from the cache */
    uint64_t misses;  /* answers that had to be waited for */
    uint64_t queries; /* given to a backend, those asked again included */
    uint64_t refused; /* TCPM_EREFUSED by a backend */
    uint64_t lost;    /* results of which a try got no answer */
    uint64_t waiting; /* now: queries that wait for a place or to be asked again */
    uint64_t out;     /* now: queries that a backend has */
    uint64_t kept;    /* now: answers in the cache */
    uint64_t memory;  /* now: bytes of answers, queries and askers */
    unsigned window;  /* now: names that may be asked for at once */
};

void tcpm__names_stats(const struct tcpm__names *names, struct tcpm__names_counts *ret);

/* Asserts that lists, table and counts agree; takes the time of all entries. Assertion builds. */
void tcpm__names_validate(const struct tcpm__names *names);

#endif
