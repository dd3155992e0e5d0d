/* SPDX-License-Identifier: MIT */
/*
 * Askers of names, and how far each has come: its candidate of the search list, the queries that it
 * waits for, the answers that it has had.
 *
 * What always holds: all parts of an asker are at the same candidate. That a name is absent is told
 * only if another part has found the candidate or failed with it, or if it is the last one. An
 * asker is told of each part once.
 */
#ifndef TCPM_TRANSPORT_NAME_ASKS_H
#define TCPM_TRANSPORT_NAME_ASKS_H

#include "transport/name_queue.h"
#include "transport/name_search.h"

struct tcpm__names {
    const struct tcpm__memory *memory;
    struct tcpm__names_config config;
    struct tcpm__name_cache cache;
    struct tcpm__name_queue queue;
    struct tcpm__name_search search;
    uint64_t hits, misses, refused, lost; /* see struct tcpm__names_counts */
    uint64_t asker_bytes;
};

enum tcpm__part_state {
    TCPM__PART_IDLE,    /* the next candidate is to be asked for: nothing was, or it is absent */
    TCPM__PART_SEEKING, /* waits for the answer of a query */
    TCPM__PART_TOLD     /* the asker knows the answer */
};

/* One query of an asker: for one family, or for all that it asks for, with a backend for both. */
struct tcpm__part {
    struct tcpm__list link;    /* in the waiters of the entry; SEEKING only */
    struct tcpm__entry *entry; /* NULL: not SEEKING, or the answer is just being told */
    struct tcpm__asker *asker;
    unsigned families;
    enum tcpm__part_state state;
    int code; /* IDLE: of the answer that was not told; 0: nothing was asked */
};

struct tcpm__asker {
    struct tcpm__part parts[2];
    unsigned part_count;
    struct tcpm__backend *backend;
    void (*done)(void *owner, const struct tcpm__answer *answer);
    void (*begun)(void *owner);
    void *owner;
    struct tcpm__candidates candidates;
    bool is_settled;    /* a part was told of the candidate: there is no further one */
    bool had_no_data;   /* a candidate before exists, but has no address */
    bool has_begun;     /* see tcpm__asker_has_begun */
    bool is_being_told; /* in its done: a forgotten asker is freed afterwards */
    bool is_forgotten;
    char name[]; /* the name that candidates are made of; empty for an absolute one */
};

/* The list must not be empty. */
static inline struct tcpm__part *tcpm__first_waiter(const struct tcpm__list *waiters)
{
    return TCPM__CONTAINER(waiters->next, struct tcpm__part, link);
}

/* The query of a NEW entry has ended: keeps the answer or frees the entry, and tells all who
   wait. */
void tcpm__names_finish(struct tcpm__names *names, struct tcpm__entry *entry,
                        const struct tcpm__result *result, uint64_t now_ns);

/* Frees all askers that wait for an entry. */
void tcpm__names_drop_waiters(struct tcpm__names *names, struct tcpm__entry *entry);

#endif
