/* SPDX-License-Identifier: MIT */
/*
 * A lane: one channel of c-ares to one name server, by UDP or by TCP, with its socket in the
 * network's set. A question asked in a lane is asked once. Its owner decides when to give up, whom
 * to ask next, and when the lane is worn out; c-ares makes and reads the messages, draws their ids
 * and compares the answers with the questions.
 *
 * What always holds: c-ares never gives a question up by itself, nor asks it again. The socket is
 * open only while questions are out. One look at the socket reads a bounded number of datagrams.
 * Nothing of c-ares is called from its callbacks.
 */
#ifndef TCPM_TRANSPORT_LANE_H
#define TCPM_TRANSPORT_LANE_H

#include <ares.h>

#include "base/list.h"
#include "transport/address.h"
#include "transport/network.h"

struct tcpm__lane {
    struct tcpm__list node; /* in a list of the owner's */
    struct tcpm__network *network;
    ares_channel channel;
    union tcpm__address server;
    uint64_t began_ns; /* when the lane was opened */
    uint64_t heard_ns; /* the owner's: when the last answer came; 0: none has come */
    uint32_t number;   /* stands in the tag of the socket */
    uint32_t asked;    /* questions so far */
    uint32_t out;      /* questions whose callback has not been called */
    uint32_t awaited;  /* the owner's: those of them whose answers still count */
    uint32_t unread;   /* questions since the last look for answers */
    unsigned reads;    /* reads left in this look */
    int fd;            /* the socket; -1: none is open */
    int trouble;       /* -errno of the last socket that could not be had; the owner clears it */
    bool dry;          /* the socket has no more, or an error */
    bool tcp;
};

/* The lane's number, which is a part of the tag that its socket has in the set. */
static inline uint32_t tcpm__lane_number_of(uint64_t tag)
{
    return (uint32_t) (tag >> 32) & 0x3fffffff;
}

/* number: at most 2^30 - 1. 0, -ENOMEM, or -EMFILE, -ENFILE: without a descriptor for its random
   numbers c-ares would draw ids that can be guessed. */
int tcpm__lane_open(struct tcpm__network *network, const union tcpm__address *server, bool tcp,
                    uint32_t number, struct tcpm__lane **ret);

/* Calls back all questions that are out, with ARES_EDESTRUCTION. Not from a callback. */
void tcpm__lane_close(struct tcpm__lane *lane);

/* Asks for the addresses of a name, which c-ares copies: family AF_INET or AF_INET6. done is called
   once, maybe inside this call, as may be others of this lane: of many questions in a row, some
   are followed by a look for answers, as the socket holds only a few hundred. */
void tcpm__lane_ask(struct tcpm__lane *lane, const char *name, int family, ares_callback done,
                    void *owner);

/* The set tells of a descriptor that is, or was, the lane's socket. */
void tcpm__lane_event(struct tcpm__lane *lane, uint64_t tag, uint32_t bits);

/* Closes the socket if no question is out. */
void tcpm__lane_rest(struct tcpm__lane *lane);

#endif
