/* SPDX-License-Identifier: MIT */
/*
 * The queries that are out or wait for that. Those of backends that ask for one family wait for the
 * window (name_window.h), and come again after a while if the window was too large for them; those
 * of backends that ask for both wait for one of four places. Pure: time comes in as an argument.
 *
 * What always holds: an entry in the state WAITING or DELAYED is in one list of the queue, an entry
 * that is OUT has a place. The next query is the oldest one whose delay is over, then the oldest
 * one that was not asked yet.
 */
#ifndef TCPM_TRANSPORT_NAME_QUEUE_H
#define TCPM_TRANSPORT_NAME_QUEUE_H

#include "transport/name_cache.h"

enum {
    TCPM__MOST_TRIES = 5, /* times that a query is asked again */
    TCPM__MOST_CALLS = 4  /* queries for both families that are out at once */
};

struct tcpm__name_queue {
    struct tcpm__window window;
    struct tcpm__list waiting; /* for the window */
    struct tcpm__list delayed
        [TCPM__MOST_TRIES];  /* one list for each number of tries: all are in the order of time */
    struct tcpm__list calls; /* for one of the four places */
    unsigned calls_out;
    size_t count;   /* entries in the lists */
    uint64_t begun; /* queries that backends have taken so far */
};

void tcpm__name_queue_init(struct tcpm__name_queue *queue);

/* Asks the backend now, or lets the NEW entry wait. 0; or the code of the backend: the entry is NEW
   still. */
int tcpm__name_queue_add(struct tcpm__name_queue *queue, struct tcpm__entry *entry,
                         uint64_t now_ns);

/* The next entry that may be asked for now, taken out of its list: NEW. NULL: there is none. */
struct tcpm__entry *tcpm__name_queue_next(struct tcpm__name_queue *queue, uint64_t now_ns);

/* Asks the backend for a NEW entry. 0, or the code of the backend: the entry is NEW still. */
int tcpm__name_queue_begin(struct tcpm__name_queue *queue, struct tcpm__entry *entry,
                           uint64_t now_ns);

/* A query that was out has ended: NEW. Whether it failed for the number of queries, and may be
   asked again. */
bool tcpm__name_queue_end(struct tcpm__name_queue *queue, struct tcpm__entry *entry,
                          const struct tcpm__result *result, uint64_t now_ns);

/* Lets a NEW entry wait for a while, and then be asked again. */
void tcpm__name_queue_delay(struct tcpm__name_queue *queue, struct tcpm__entry *entry,
                            uint64_t now_ns);

/* Takes an entry that waits out of its list: NEW. */
void tcpm__name_queue_remove(struct tcpm__name_queue *queue, struct tcpm__entry *entry);

/* When tcpm__name_queue_next has one, if nothing ends before; UINT64_MAX: never. */
uint64_t tcpm__name_queue_due_ns(const struct tcpm__name_queue *queue);

#endif
