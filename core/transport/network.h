/* SPDX-License-Identifier: MIT */
/*
 * What all sockets of an engine share: the epoll set that they are in, the read buffer, the clock,
 * and the timer that wakes the loop for alarms: a descriptor in the set, so that it is on time to
 * the microsecond, and wakes a host that only polls the loop's descriptor.
 *
 * libuv polls the set as one descriptor, and each turn of the loop takes a bounded number of
 * events from it. So a socket costs one epoll_ctl in its life where libuv's own handles cost three,
 * no handle, and no scan of libuv's batch when it is closed.
 */
#ifndef TCPM_TRANSPORT_NETWORK_H
#define TCPM_TRANSPORT_NETWORK_H

#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* Bytes that one socket may take before others have their turn, and in a turn of the loop. One
   large read is cheaper than several. */
#define TCPM__READ_PER_ROUND 262144

/* Bytes in front of the read buffer, for what was left over of the read before. */
#define TCPM__READ_HEADROOM 65536

#define TCPM__PORTS_MS 20 /* in which the range of ports is taken for unchanged */

struct tcpm__socket;
struct tcpm__network;

/* What the loop tells the owners of sockets. */
struct tcpm__socket_events {
    /* The socket with this tag; NULL: its owner is gone. The set may outlive a socket, where a
       process that was forked holds it too. */
    struct tcpm__socket *(*find)(struct tcpm__network *network, uint64_t tag);
    /* The attempt has ended: 0, or negative. */
    void (*connected)(struct tcpm__socket *socket, int status);
    /* There is something to read, by tcpm__socket_read: bytes, the end, or an error. */
    void (*readable)(struct tcpm__socket *socket);
    /* The kernel may take more. */
    void (*writable)(struct tcpm__socket *socket);
    /* After each socket, and when the alarm has gone off: others may want a turn. Any socket may be
       gone after it. */
    void (*served)(struct tcpm__network *network);
};

struct tcpm__network {
    uv_loop_t *loop;
    const struct tcpm__memory *memory;
    const volatile char *home; /* not 0 in the process that has opened it, 0 in what that forks */
    const struct tcpm__socket_events *events;
    uv_poll_t poll;    /* on the set; it does not keep the loop running */
    int epoll_fd;      /* the set */
    int alarm_fd;      /* a timer in the set */
    uint64_t alarm_ns; /* what it is set for; UINT64_MAX: it rests */
    char *read_buffer; /* READ_PER_ROUND bytes behind the headroom, for one read at a time */
    uint64_t now_ms;   /* the last reading of the clock, */
    uint64_t now_ns;   /* and the same to the nanosecond */
    uint32_t handles;  /* handles and requests that libuv still knows and that are about to end */
    uint32_t sockets;  /* open now */
    uint32_t events_in_round;
    uint64_t last_tag;    /* whose the last event was, if it came alone; or 0, which is nobody's */
    uint32_t last_events; /* of it, in a row */
    struct tcpm__socket *lone; /* the only one that is busy, watched for input; or NULL */
    uint32_t reads;            /* that have brought something, modulo 2^32 */
    uint64_t asked_ms;         /* when the set was last asked */
    bool crowded;              /* the set has more events than this turn has taken */
    uint64_t turn;             /* of the loop, from 1 on */
    uint64_t round; /* the turn with which it began; in each, all that are ready are served once */
    /* The ports that the kernel gives to sockets by itself, and when they were looked up; 0: never.
     */
    uint16_t first_port, last_port;
    uint64_t ports_ms;
    void (*emptied)(struct tcpm__network *network); /* NULL, or called when handles is 0 */
};

/* limit: descriptors that this process may have. libuv grows its table of watchers for all of them
   now, when running out of memory is still an error and no abort. 0, -ENOMEM, or -errno, and then
   nothing is left of it. */
int tcpm__network_open(struct tcpm__network *network, uv_loop_t *loop,
                       const struct tcpm__memory *memory, const struct tcpm__socket_events *events,
                       uint64_t limit);

/* Whether this process has it from a fork. The kernel's part is the other process's then: what one
   of them takes from the set, or changes in it, the other one misses. */
static inline bool tcpm__network_is_forked(const struct tcpm__network *network)
{
    return *network->home == 0;
}

/* In such a process: lets go of the set without changing it. */
void tcpm__network_abandon(struct tcpm__network *network);

/* Before each poll of the loop. */
void tcpm__network_begin_turn(struct tcpm__network *network);

/* Closes a handle of the engine's, unless somebody has closed all handles of the loop. closed must
   call tcpm__network_forget. */
void tcpm__network_close_handle(struct tcpm__network *network, uv_handle_t *handle,
                                void (*closed)(uv_handle_t *handle));

/* All sockets are closed. The rest is freed once libuv has let go of it, see emptied. */
void tcpm__network_close(struct tcpm__network *network);
void tcpm__network_free(struct tcpm__network *network);

/* Whether the kernel may give this port to a socket by itself, by a new look at its range. */
bool tcpm__network_may_give_now(struct tcpm__network *network, unsigned port);

/* Whether the kernel may have given this port. Looked up again only for a port outside of what was
   found, and not for each of many. */
static inline bool tcpm__network_may_give(struct tcpm__network *network, unsigned port)
{
    bool inside = port >= network->first_port && port <= network->last_port;

    if (inside || network->now_ms - network->ports_ms < TCPM__PORTS_MS)
        return inside;
    return tcpm__network_may_give_now(network, port);
}

/* libuv has let go of a handle or request. The network may be gone after it. */
void tcpm__network_forget(struct tcpm__network *network);

/* Reads the clock, CLOCK_MONOTONIC: nanoseconds; into the network: milliseconds, or nanoseconds. */
uint64_t tcpm__clock_ns(void);
uint64_t tcpm__network_now(struct tcpm__network *network);
uint64_t tcpm__network_now_ns(struct tcpm__network *network);

/* The first millisecond in which so many have certainly passed, from now. The clock's are rounded
   down, hence one more: never early. */
static inline uint64_t tcpm__due_after(uint64_t now_ms, uint64_t ms)
{
    return now_ms + ms + 1;
}

/* Whether the loop would sleep beyond this time; UINT64_MAX is never. */
static inline bool tcpm__network_sleeps_beyond(const struct tcpm__network *network, uint64_t ns)
{
    return ns < network->alarm_ns;
}

/* Makes the loop wake at this time at the latest. A system call only where it would not. */
void tcpm__network_wake_at(struct tcpm__network *network, uint64_t ns);

#endif
