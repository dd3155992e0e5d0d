/* SPDX-License-Identifier: MIT */
/*
 * Questions to name servers: what is known of each, and what an answer, or none, does to it. Here
 * is only noted what is to be done; ares.c does it, when the question's time has come.
 *
 * What always holds: a question is in one of two lists: asked, with a time in due, or answered,
 * without tries. A try whose question is over has no question any more, and lives until c-ares
 * calls it back.
 */
#ifndef TCPM_TRANSPORT_QUESTION_H
#define TCPM_TRANSPORT_QUESTION_H

#include "base/heap.h"
#include "transport/ares.h"
#include "transport/lanes.h"
#include "transport/reply.h"

/* Causes for which the time of a question comes, and what happens then. */
enum tcpm__turn {
    TCPM__TURN_LATE,   /* no answer has come: the next server is asked */
    TCPM__TURN_NEXT,   /* the next server is asked, as the last one has refused or is broken */
    TCPM__TURN_BY_TCP, /* the same server is asked by TCP, as its answer was truncated */
};

struct tcpm__try;

struct tcpm__question {
    struct tcpm__list node;     /* in asked or answered */
    struct tcpm__heap_item due; /* set while in asked */
    struct tcpm__list tries;    /* tries whose answers still count */
    struct tcpm__try *last;     /* the latest try; NULL: how it has ended is known */
    struct tcpm__query *query;
    enum tcpm__turn turn;
    unsigned first;  /* index of the server that was asked first */
    unsigned passed; /* servers asked or passed over, in all rounds */
    uint8_t refused; /* bits of the servers that have said no */
    bool tcp;
    int no; /* the most temporary of the servers' noes; 0: there was none */
    union tcpm__address *addresses;
    struct tcpm__result result; /* while asked, message says why no answer comes; NULL: silence */
};

struct tcpm__try {
    struct tcpm__list node; /* in tries of the question */
    struct tcpm__ares *ares;
    struct tcpm__question *question; /* NULL: over */
    struct tcpm__lane *lane;
    uint64_t began_ns;
};

struct tcpm__ares {
    struct tcpm__backend backend;
    struct tcpm__network *network;
    struct tcpm__names *names;
    unsigned unusable, timeout_ms, tries; /* see struct tcpm__ares_config */
    struct tcpm__lanes lanes;
    struct tcpm__list asked, answered; /* questions */
    struct tcpm__heap due;             /* times of those in asked */
};

/* A question that is asked, without a time yet; NULL: no memory. */
struct tcpm__question *tcpm__question_make(struct tcpm__ares *ares, struct tcpm__query *query);
void tcpm__question_free(struct tcpm__ares *ares, struct tcpm__question *question);

static inline int tcpm__question_family(const struct tcpm__question *question)
{
    return question->query->families == TCPM__INET ? AF_INET : AF_INET6;
}

/* The round that the last try belongs to, from 0 on. */
static inline unsigned tcpm__question_round(const struct tcpm__ares *ares,
                                            const struct tcpm__question *question)
{
    return question->passed == 0 ? 0 : (question->passed - 1) / ares->lanes.count;
}

/* The next place in all rounds whose server has not said no; or the number of places. */
unsigned tcpm__question_next(const struct tcpm__ares *ares, const struct tcpm__question *question);

void tcpm__question_schedule(struct tcpm__ares *ares, struct tcpm__question *question,
                             enum tcpm__turn turn, uint64_t delay_ms);

/* message: static, or NULL for that of the code. */
void tcpm__question_finish(struct tcpm__ares *ares, struct tcpm__question *question, int code,
                           const char *message);

/* Whatever comes of this try, its question does not wait for it any more. */
void tcpm__try_leave(struct tcpm__try *try);

/* The try in this lane, which has left its question, has ended so. */
void tcpm__question_note(struct tcpm__ares *ares, struct tcpm__question *question,
                         const struct tcpm__lane *lane, const struct tcpm__reply *reply);

/* With other servers a question begins again at the first of them, when its last try is over. */
void tcpm__question_begin_again(struct tcpm__question *question);

#endif
