/* SPDX-License-Identifier: MIT */
/*
 * One TCP socket: connect, read, send, close, and what its events have told. A socket is part of
 * its owner's record, and is open while it has a descriptor. The socket enters the set once, for
 * all events, under a tag by which the owner is found again. Only socket.c touches the fields.
 */
#ifndef TCPM_TRANSPORT_SOCKET_H
#define TCPM_TRANSPORT_SOCKET_H

#include <sys/types.h>

#include "transport/address.h"
#include "transport/network.h"

enum { TCPM__ROUND_BITS = 20 /* width of a count of bytes read in one round */ };

struct tcpm__socket {
    int fd;                                    /* -1: not open */
    uint32_t read_in_round : TCPM__ROUND_BITS; /* bytes read in the round that turn is of */
    uint32_t spent : 1;      /* in the round that turn is of, all has been sent that one allows */
    uint32_t connecting : 1; /* the attempt is not over */
    uint32_t readable : 1;   /* bytes or the end may be waiting; no event will tell again */
    uint32_t end_announced : 1; /* the end, an error or an urgent byte: even after a short read
                                   more may be waiting */
    uint32_t blocked : 1;       /* an event will tell when the kernel takes more */
    uint32_t drained : 1;       /* the last read of this turn emptied the socket, and nothing was
                                   sent since */
    uint32_t racing : 1;        /* one of several sockets of an owner, who keeps one of them */
    uint64_t turn; /* number of the turn in which the socket last read, or was spent; 0: never */
};

#define TCPM__SOCKET_CLOSED ((struct tcpm__socket){.fd = -1})

static inline bool tcpm__socket_is_open(const struct tcpm__socket *socket)
{
    return socket->fd >= 0;
}

/* The descriptor, for a host that wants to set options. */
static inline int tcpm__socket_descriptor(const struct tcpm__socket *socket)
{
    return socket->fd;
}

/* ---- connecting: 0 or -errno ---- */

int tcpm__socket_open(struct tcpm__network *network, struct tcpm__socket *ret, int family);
int tcpm__socket_bind(const struct tcpm__socket *socket, const union tcpm__address *address);
/* The end of the attempt is told by the event connected. */
int tcpm__socket_connect(const struct tcpm__network *network, struct tcpm__socket *socket,
                         const union tcpm__address *address, uint64_t tag);

/* Lets the socket have an IPv6 address that is on no interface. Where the kernel cannot, the bind
   that follows tells. */
void tcpm__socket_set_freebind(const struct tcpm__socket *socket);

/* Binds the socket to a network interface. -ENODEV: there is none of this name. */
int tcpm__socket_bind_device(const struct tcpm__socket *socket, const char *name);

/* Marks a socket whose owner lets several connect. Of such a socket nothing but the end of its
   attempt is told. */
static inline void tcpm__socket_set_racing(struct tcpm__socket *socket)
{
    socket->racing = true;
}
static inline bool tcpm__socket_is_racing(const struct tcpm__socket *socket)
{
    return socket->racing;
}
/* Ends the race for the socket that the owner keeps: from here on its events come under this tag,
   and those that have come are told again. 0 or -errno. */
int tcpm__socket_retag(const struct tcpm__network *network, struct tcpm__socket *socket,
                       uint64_t tag);

/* The addresses of a connected socket: 0 or -errno. */
int tcpm__socket_get_local(const struct tcpm__socket *socket, union tcpm__address *ret);
int tcpm__socket_get_peer(const struct tcpm__socket *socket, union tcpm__address *ret);

/* Whether the kernel may have given a socket this port by itself. */
static inline bool tcpm__socket_may_get_port(struct tcpm__network *network, unsigned port)
{
    return tcpm__ports_may_give(&network->ports, port, network->now_ms);
}

/* Whether the socket is connected to itself: on loopback the kernel may choose the target's port as
   our own. Asks the kernel, so to be asked only where our port may be that of the target: the
   socket is bound, or the kernel may have given it that port. */
bool tcpm__socket_is_self_connected(const struct tcpm__socket *socket,
                                    const union tcpm__address *peer);

/* ---- events ---- */

/* Notes an event of the set, bits of enum tcpm__set_bit, and calls the socket's owner. */
void tcpm__socket_serve(const struct tcpm__network *network, struct tcpm__socket *socket,
                        uint32_t bits);

/* Whether bytes or the end may be waiting that the set will not tell again. */
static inline bool tcpm__socket_is_readable(const struct tcpm__socket *socket)
{
    return socket->readable;
}

/* Lets the next read try, whatever the events have told. */
static inline void tcpm__socket_mark_readable(struct tcpm__socket *socket)
{
    socket->readable = true;
}

/* The end or an error has come: reads go on until that end, whatever the events have told. */
static inline void tcpm__socket_expect_more(struct tcpm__socket *socket)
{
    socket->readable = true;
    socket->end_announced = true;
}

/* Whether the kernel took less than the last send offered. The event writable will come. */
static inline bool tcpm__socket_is_blocked(const struct tcpm__socket *socket)
{
    return socket->blocked;
}

/* Asks for the event writable. The kernel announces it too when the peer acknowledges our FIN. */
static inline void tcpm__socket_await_writable(struct tcpm__socket *socket)
{
    socket->blocked = true;
}

/* Whether the kernel has news for us that the loop has not handed out yet. input_is_over: the
   socket has had its last input, so the news can only be an error. */
bool tcpm__socket_has_news(const struct tcpm__socket *socket, bool input_is_over);

/* The error that the kernel has for the socket, or 0. An error is told once: this call takes it. */
int tcpm__socket_take_error(const struct tcpm__socket *socket);

/* ---- reading ---- */

/* Whether the socket may read on in this round: one round has a limit of bytes. */
bool tcpm__socket_may_read(const struct tcpm__network *network, const struct tcpm__socket *socket);

/* Lets the socket read no more in this round: what it has read took long. */
void tcpm__socket_end_round(const struct tcpm__network *network, struct tcpm__socket *socket);

/* One read into the network's read buffer, of at most so many bytes. Gives the bytes read; 0: the
   peer's FIN; -EAGAIN; -EBUSY: all that one round allows has been read; or -errno. */
ssize_t tcpm__socket_read(struct tcpm__network *network, struct tcpm__socket *socket, size_t most);

/* Whether the last read, in this turn, left nothing, and nothing was sent since. */
static inline bool tcpm__socket_is_drained(const struct tcpm__network *network,
                                           const struct tcpm__socket *socket)
{
    return !socket->readable && socket->drained && socket->turn == network->turn;
}

/* ---- sending ---- */

/* Bytes sent; 0: the kernel takes no more, writable will come; negative: -errno. */
ssize_t tcpm__socket_send(struct tcpm__socket *socket, const void *bytes, size_t length);

/* As tcpm__socket_send, but the bytes wait for those of the next send, to go with them in one
   segment. tcpm__socket_push lets them go alone; the kernel itself waits for 200 ms. */
ssize_t tcpm__socket_send_more(struct tcpm__socket *socket, const void *bytes, size_t length);
void tcpm__socket_push(const struct tcpm__socket *socket);

/* For owners with a long queue: whether the socket has been spent in this round, that is, has sent
   all that its owner allows in one round. */
bool tcpm__socket_is_spent(const struct tcpm__network *network, const struct tcpm__socket *socket);
void tcpm__socket_spend(const struct tcpm__network *network, struct tcpm__socket *socket);

/* Sends a FIN; reading goes on. */
void tcpm__socket_send_fin(const struct tcpm__socket *socket);

/* Bytes sent that the peer's kernel has not acknowledged. A FIN of ours counts as one. */
int tcpm__socket_unacknowledged(const struct tcpm__socket *socket);

/* Milliseconds since the peer's kernel last acknowledged something, or less: never more. */
uint64_t tcpm__socket_since_acknowledged(const struct tcpm__socket *socket);

/* ---- options ---- */

/* Switches Nagle's algorithm off: small sends do not wait for acknowledgements. */
void tcpm__socket_set_nodelay(const struct tcpm__socket *socket);

/* A peer that is gone becomes an error (ETIMEDOUT) after about twice so many seconds: when nothing
   has come from the peer for that time, or when it has acknowledged nothing of what was sent. */
void tcpm__socket_set_keepalive(const struct tcpm__socket *socket, int seconds);

/* ---- closing ---- */

/* reset: the peer gets RST instead of FIN. */
void tcpm__socket_close(struct tcpm__network *network, struct tcpm__socket *socket, bool reset);

/* Closes a socket whose tag stays in use: no event of this socket may come under that tag. */
void tcpm__socket_drop(struct tcpm__network *network, struct tcpm__socket *socket);

#endif
