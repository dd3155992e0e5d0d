/* SPDX-License-Identifier: MIT */
/*
 * One TCP socket: connect, read, send, close, and what its events have told. It is part of its
 * owner's record, and is open while it has a descriptor. It is registered once, for everything and
 * edge-triggered, under a tag by which the owner is found again.
 */
#ifndef TCPM_TRANSPORT_SOCKET_H
#define TCPM_TRANSPORT_SOCKET_H

#include "transport/network.h"

#include <netinet/in.h>
#include <sys/types.h>

union tcpm__address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct tcpm__socket {
    int fd;                      /* -1: not open */
    uint32_t read_in_round : 20; /* bytes */
    uint32_t spent : 1;          /* its owner has sent all that it may in one round */
    uint32_t connecting : 1;     /* the attempt has not ended */
    uint32_t readable : 1;       /* a read may find something: no event will tell again */
    uint32_t thorough : 1;       /* the end may stand behind what a short read brought */
    uint32_t blocked : 1;        /* writable will come: when the kernel takes more again */
    uint32_t input_only : 1;     /* no event would tell that the kernel takes more */
    uint32_t drained : 1;        /* the last read, in that turn, has left nothing; no send since */
    uint64_t turn; /* in which it last read, or sent all that it may; 0: never. A round is several
                      turns, so this tells also whether the bytes and spent are of this round */
};

#define TCPM__SOCKET_CLOSED ((struct tcpm__socket){.fd = -1})

static inline bool tcpm__socket_is_open(const struct tcpm__socket *socket)
{
    return socket->fd >= 0;
}

/* Results: 0 or -errno; what the kernel finds later comes through connected. */
int tcpm__socket_open(struct tcpm__network *network, struct tcpm__socket *socket, int family);
int tcpm__socket_bind(const struct tcpm__socket *socket, const union tcpm__address *address);
int tcpm__socket_connect(const struct tcpm__network *network, struct tcpm__socket *socket,
                         const union tcpm__address *address, uint64_t tag);

/* An event of the set: calls the socket's owner. */
void tcpm__socket_serve(const struct tcpm__network *network, struct tcpm__socket *socket,
                        uint32_t events);

/* It is the only one that is busy, and watched for input only, so that the set has an event of it
   only while there is something to read. Without effect while it is blocked. */
void tcpm__socket_be_lone(struct tcpm__network *network, struct tcpm__socket *socket, uint64_t tag);

/* After a send of 0 bytes: makes sure that writable comes. 0, or -errno. */
int tcpm__socket_watch_output(struct tcpm__network *network, struct tcpm__socket *socket,
                              uint64_t tag);

/* For a queue that is long: whether its owner has sent enough for this round, and that it has. */
bool tcpm__socket_is_spent(const struct tcpm__network *network, struct tcpm__socket *socket);
void tcpm__socket_spend(struct tcpm__socket *socket);

/* Bytes sent; 0: the kernel takes no more, writable will come; negative: -errno. */
ssize_t tcpm__socket_send(struct tcpm__socket *socket, const void *bytes, size_t length);

/* Whether it has not yet read enough in this round. */
bool tcpm__socket_may_read(const struct tcpm__network *network, struct tcpm__socket *socket);

/* One read into the network's read buffer: bytes read; 0: the peer's FIN; -EAGAIN; -EBUSY: it has
   read enough in this round; or -errno. */
ssize_t tcpm__socket_read(struct tcpm__network *network, struct tcpm__socket *socket);

/* Whether the last read, in this turn, has left nothing, and nothing was sent since. */
static inline bool tcpm__socket_is_drained(const struct tcpm__network *network,
                                           const struct tcpm__socket *socket)
{
    return !socket->readable && socket->drained && socket->turn == network->turn;
}

/* Reading shall go on to the true end, whatever the events have told. */
void tcpm__socket_read_on(struct tcpm__socket *socket);

/* A peer that is gone is an error (ETIMEDOUT) after about twice so many seconds: when nothing has
   come from it for that time, or when it has acknowledged nothing of what it was sent. */
void tcpm__socket_keep_alive(const struct tcpm__socket *socket, int seconds);

/* Whether the kernel has something for us that the loop has not handed out yet. With input_over the
   socket has had its last input: that can only be an error. */
bool tcpm__socket_has_news(const struct tcpm__socket *socket, bool input_over);

/* The error that the kernel has for it, which is told once; 0: none. */
int tcpm__socket_error(const struct tcpm__socket *socket);

/* Bytes sent that the peer's kernel has not acknowledged, a FIN of ours counts as one. */
int tcpm__socket_unacknowledged(const struct tcpm__socket *socket);

/* Milliseconds since the peer's kernel has last acknowledged something, or less: never more. */
uint64_t tcpm__socket_since_acknowledged(const struct tcpm__socket *socket);

void tcpm__socket_finish(const struct tcpm__socket *socket); /* sends FIN; reading goes on */

/* With reset the peer gets RST. */
void tcpm__socket_close(struct tcpm__network *network, struct tcpm__socket *socket, bool reset);

/* The same where the tag is still in use: nothing shall come under it for this socket. */
void tcpm__socket_drop(struct tcpm__network *network, struct tcpm__socket *socket);

#endif
