/* SPDX-License-Identifier: MIT */
/*
 * The lanes to all name servers: which of them takes the next question, and when a lane is
 * replaced. For each server there is one current lane by UDP, and one by TCP, made when they are
 * first needed.
 *
 * What always holds: a lane that is not current gets no more questions, and stays open while
 * somebody waits for an answer in it. No port is used for more than 4,096 questions, nor asked from
 * after 30 s, nor after it was silent as long as a question waits.
 */
#ifndef TCPM_TRANSPORT_LANES_H
#define TCPM_TRANSPORT_LANES_H

#include "transport/lane.h"
#include "transport/resolv_conf.h"

struct tcpm__lanes {
    struct tcpm__network *network;
    union tcpm__address servers[TCPM__MOST_SERVERS];
    unsigned count;  /* servers */
    unsigned first;  /* index of the server that a new query asks first */
    uint32_t number; /* number of the latest lane */
    struct tcpm__lane
        *current[TCPM__MOST_SERVERS][2]; /* for UDP, for TCP; NULL: none is needed yet */
    struct tcpm__list open;              /* all lanes */
};

void tcpm__lanes_init(struct tcpm__lanes *lanes, struct tcpm__network *network);

/* True: these are other servers than before; no lane is current any more. */
bool tcpm__lanes_set_servers(struct tcpm__lanes *lanes, const union tcpm__address *servers,
                             unsigned count);

/* Gives the lane for a new question: 0, or negative, as tcpm__lane_open. */
int tcpm__lanes_choose(struct tcpm__lanes *lanes, unsigned server, bool tcp,
                       struct tcpm__lane **ret);

/* A question that began at this time has waited in vain. If the lane has heard nothing since, the
   way to the server may be dead, which another port may mend: the lane is replaced, and the next
   server asked first from now on. */
void tcpm__lanes_note_silence(struct tcpm__lanes *lanes, const struct tcpm__lane *lane,
                              uint64_t since_ns);

/* Closes the lanes that are not needed any more, and the sockets of those that rest. Questions that
   nobody waits for are called back. */
void tcpm__lanes_sweep(struct tcpm__lanes *lanes);
void tcpm__lanes_close_all(struct tcpm__lanes *lanes);

/* The lane whose number stands in a tag, or NULL. */
struct tcpm__lane *tcpm__lanes_find(const struct tcpm__lanes *lanes, uint64_t tag);

#endif
