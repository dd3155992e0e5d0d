/* SPDX-License-Identifier: MIT */
/*
 * The set of sockets that an engine waits on, and one alarm: what the kernel offers for it, behind
 * ten functions. The sockets of connections are edge-triggered: an event is told once, when
 * something changes, and whoever takes the event has to remember what is left to do. Watched
 * descriptors, of name servers, are told again in each turn. A set is a descriptor that libuv can
 * poll.
 *
 * Behind the functions stand epoll and a timerfd of Linux: only this file and set.c know them.
 * kqueue fits as well: one kevent call adds a socket's EVFILT_READ and EVFILT_WRITE with EV_CLEAR,
 * the tag is udata, EV_EOF becomes END or FAILED, and the alarm is an EVFILT_TIMER of the same
 * kqueue. One socket may then come twice in one batch, which no user of the set forbids.
 */
#ifndef TCPM_TRANSPORT_SET_H
#define TCPM_TRANSPORT_SET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* Events that are taken at once. So few that the host's handles, and the closing of what has ended,
   have their turn while the kernel's part of these sockets is still in the processor's caches. */
enum { TCPM__SET_BATCH = 64 };

enum { TCPM__SET_ALARM = 0 /* the tag of the alarm, which no socket may have */ };

/* News of a socket, by the bits of the kernel, so that no event needs a translation. */
enum tcpm__set_bit {
    TCPM__SET_IN = EPOLLIN,      /* bytes have come */
    TCPM__SET_URGENT = EPOLLPRI, /* an urgent byte has come */
    TCPM__SET_OUT = EPOLLOUT, /* the kernel takes bytes again, or the attempt to connect is over */
    TCPM__SET_FAILED = EPOLLERR | EPOLLHUP, /* an error, or both directions are closed */
    TCPM__SET_END = EPOLLRDHUP,             /* the peer's FIN has come */
};

/* Events as the kernel writes them. */
struct tcpm__set_batch {
    struct epoll_event events[TCPM__SET_BATCH];
};

static inline uint64_t tcpm__set_tag(const struct tcpm__set_batch *batch, int index)
{
    return batch->events[index].data.u64;
}

/* A set of enum tcpm__set_bit. */
static inline uint32_t tcpm__set_bits(const struct tcpm__set_batch *batch, int index)
{
    return batch->events[index].events;
}

struct tcpm__set {
    int fd;       /* readable while events wait; -1: not open */
    int alarm_fd; /* a timer that is in the set */
};

#define TCPM__SET_CLOSED ((struct tcpm__set){.fd = -1, .alarm_fd = -1})

/* limit: the descriptors that this process may have. The set gets the highest that are free.
   0, or -errno. */
int tcpm__set_open(int limit, struct tcpm__set *ret);

/* Closes the descriptors. The sockets in the set stay as they are, and so does the set of another
   process that shares it since a fork. */
void tcpm__set_close(struct tcpm__set *set);

/* From here on each change of the socket is told, once, under this tag. 0, or -errno. */
int tcpm__set_add(const struct tcpm__set *set, int fd, uint64_t tag);

/* From here on changes are told under another tag; and what is there now is told again. 0, or
   -errno. */
int tcpm__set_retag(const struct tcpm__set *set, int fd, uint64_t tag);

/* From here on each batch tells, under this tag, whether the descriptor has bytes to read or room
   to write, for as long as it has: only what is asked for, and errors. Another call changes what
   is asked for. 0, or -errno. */
int tcpm__set_watch(const struct tcpm__set *set, int fd, uint64_t tag, bool reads, bool writes);

/* From here on changes are told under another tag; and what is there now is told again. 0, or
   -errno. */
int tcpm__set_retag(const struct tcpm__set *set, int fd, uint64_t tag);

/* Nothing more is told of the socket. Closing a socket removes it too, unless a forked process
   holds it open. */
void tcpm__set_remove(const struct tcpm__set *set, int fd);

/* Takes the events that wait, oldest first, without waiting itself: their number. */
int tcpm__set_take(const struct tcpm__set *set, struct tcpm__set_batch *ret);

/* At this time of CLOCK_MONOTONIC, or now if it has passed, an event with the tag TCPM__SET_ALARM
   comes, once. The alarm that was set before is forgotten. */
void tcpm__set_wake_at(const struct tcpm__set *set, uint64_t ns);

#endif
