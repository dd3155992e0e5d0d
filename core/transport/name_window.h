/* SPDX-License-Identifier: MIT */
/*
 * The window: how many queries may be out at once. It is as large as the name servers allow, which
 * nobody tells: some refuse what is too much (dnsmasq: with 150 out), some drop it. Pure: time
 * comes in as an argument.
 *
 * A refusal, unless there are few, makes the window as small as the number of queries that are
 * still out: the server has places for those. A lost try halves it, if more than an eighth of the
 * queries that ended meanwhile had lost one too. Answers open it while queries wait: a window of
 * them by one query first, by twice as many with each further window of answers that was clean. So
 * a limit that stands is tried once in a window of answers, and one that has gone is forgotten
 * after ten.
 *
 * Nor do queries come in bursts, which servers' sockets have no room for: beyond one for each that
 * has ended, there are 64 at once, and then one in 125 µs. While servers are silent for longer
 * than they usually take, there is one in 1 ms; while even the fastest answers take longer than
 * usual, so that queries queue up at the server, there is none. If nothing is heard for 50 ms more,
 * names are slow, and all is as in the beginning.
 *
 * What always holds: TCPM__WINDOW_LEAST <= size <= most; a window with nothing out is open. In any
 * time t, the queries that begin are at most those that end, and 64 + t / 125 µs.
 */
#ifndef TCPM_TRANSPORT_NAME_WINDOW_H
#define TCPM_TRANSPORT_NAME_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TCPM__WINDOW_LEAST = 16, /* queries: both families of eight names */
    TCPM__WINDOW_BURST = 64  /* queries that may begin at once */
};

struct tcpm__window {
    unsigned size;              /* queries that may be out */
    unsigned most;              /* the most that size may be */
    unsigned out;               /* queries that are out */
    unsigned step;              /* queries by which the next window of answers opens it */
    unsigned credit;            /* step, counted for each answer since the size has changed last */
    unsigned answered, refused; /* in this round, a window of answers; refusals: and half of the
                                   rounds' before */
    uint32_t ended;             /* queries that have ended, however */
    uint32_t lost;              /* ended queries that had lost a try */
    uint64_t cut_ns;            /* when the window was last made smaller for lost tries; 0: never */
    uint64_t heard_ns;          /* when a server has answered last; 0: never */
    uint64_t credit_ns;         /* earned by time and ends; a query that begins pays for it */
    uint64_t earned_ns;         /* when credit_ns was counted last */
    bool is_queueing;           /* queries queue up at the server */
    unsigned sampled;           /* answers whose time counts for fastest_ns */
    uint64_t fastest_ns;        /* the least time of these answers */
    uint64_t usual_ns;          /* the least time of an answer since measured_ns */
    uint64_t measured_ns;       /* see usual_ns; 0: there was no answer yet */
    uint64_t paused_ns; /* no query begins until then, so that usual_ns is measured without a
                             queue */
};

/* Facts about a query that are needed when it ends. */
struct tcpm__window_ticket {
    uint64_t begun_ns;
    uint32_t ended, lost; /* counts of the window when the query began */
};

/* The end of a query. */
enum tcpm__window_end {
    TCPM__WINDOW_ANSWERED,
    TCPM__WINDOW_REFUSED,
    TCPM__WINDOW_LATE,   /* answered in the end, but a try was lost */
    TCPM__WINDOW_SILENT, /* never answered */
    TCPM__WINDOW_FAILED  /* the query could not be sent: no server has heard of it */
};

void tcpm__window_init(struct tcpm__window *window, unsigned size, unsigned most);

/* Whether a query may begin: there is a place, and it makes no burst. */
bool tcpm__window_allows(const struct tcpm__window *window, uint64_t now_ns);

/* When the window allows a query, if none ends before; UINT64_MAX: not then. */
uint64_t tcpm__window_due_ns(const struct tcpm__window *window);

void tcpm__window_begin(struct tcpm__window *window, uint64_t now_ns,
                        struct tcpm__window_ticket *ret);

/* wanted: queries wait for a place. */
void tcpm__window_end(struct tcpm__window *window, const struct tcpm__window_ticket *ticket,
                      enum tcpm__window_end end, bool wanted, uint64_t now_ns);

/* Whether a query that has just ended so failed for the number of queries. */
bool tcpm__window_was_too_large(const struct tcpm__window *window,
                                const struct tcpm__window_ticket *ticket,
                                enum tcpm__window_end end);

#endif
