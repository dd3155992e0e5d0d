/* SPDX-License-Identifier: MIT */
/*
 * The part that all sockets of an engine share: the set they are in, the read buffer, the clock,
 * the count of turns, and the alarm, a timer that is on time to the microsecond and wakes also a
 * host that only polls the loop's descriptor.
 *
 * libuv polls the set as one descriptor, and each turn of the loop takes a bounded number of events
 * from the set. So a socket costs one system call of the set in its life where libuv's own handles
 * cost three, no handle, and no scan of libuv's batch when it is closed.
 */
#ifndef TCPM_TRANSPORT_NETWORK_H
#define TCPM_TRANSPORT_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/memory.h"
#include "transport/clock.h"
#include "transport/ports.h"
#include "transport/set.h"

enum {
    /* Bytes that one socket may read in one round, and at most in one turn of the loop. One large
       read is cheaper than several. */
    TCPM__READ_PER_ROUND = 262144,
    /* Bytes in front of the read buffer, for the leftover of earlier reads. */
    TCPM__READ_HEADROOM = 65536,
    /* Bytes of the wire that a layer reads and decodes at a time. */
    TCPM__WIRE_SLICE = 262144,
    /* Bytes of text that one slice completes at most, with a record of 32 KiB that began before. */
    TCPM__PLAIN_SIZE = TCPM__WIRE_SLICE + 32768,
    /* Bytes of the wire that a layer encodes at a time, at most. */
    TCPM__WIRE_SIZE = 278528,
};

struct tcpm__socket;
struct tcpm__network;

/* Events of the loop, for the owners of sockets. */
struct tcpm__socket_events {
    /* The socket with this tag, or NULL when its owner is gone: where a forked process holds a
       socket too, the set may tell of that socket after its close. */
    struct tcpm__socket *(*find)(struct tcpm__network *network, uint64_t tag);
    /* The attempt to connect is over. status: 0 or negative. */
    void (*connected)(struct tcpm__socket *socket, int status);
    /* The attempt of a racing socket is over; its owner may move the socket. What else the set says
       of it is told again, under another tag, where it is kept. */
    void (*raced)(struct tcpm__socket *socket, int status);
    /* tcpm__socket_read may find bytes, the end, or an error. */
    void (*readable)(struct tcpm__socket *socket);
    /* The kernel may take more bytes. */
    void (*writable)(struct tcpm__socket *socket);
    /* Called after the events of each socket, and for the alarm. It may close any socket. */
    void (*served)(struct tcpm__network *network);
    /* A descriptor under a tag of tcpm__tag_other has news, bits of enum tcpm__set_bit. The
       descriptor may be closed already. NULL: there are no such descriptors. */
    void (*other)(struct tcpm__network *network, uint64_t tag, uint32_t bits);
};

/* Tags of descriptors that are no connection's. No id of a connection is that large. */
static inline uint64_t tcpm__tag_other(uint64_t number)
{
    return number | UINT64_C(1) << 63;
}

static inline bool tcpm__tag_is_other(uint64_t tag)
{
    return tag >> 63 != 0;
}

struct tcpm__network {
    uv_loop_t *loop;
    const struct tcpm__memory *memory;
    const struct tcpm__socket_events *events;
    const volatile char *home; /* not 0 in the process that opened the network, 0 in its forks */
    uv_poll_t poll;            /* polls the set; does not keep the loop running */
    struct tcpm__set set;
    uint64_t alarm_ns;  /* time the alarm is set for; UINT64_MAX: the alarm rests */
    char *read_buffer;  /* READ_PER_ROUND bytes behind the headroom, for one read at a time */
    char *plain_buffer; /* decoded text of a layer, behind a headroom; NULL: no layer yet */
    char *wire_buffer;  /* 272 KiB for encoded text, on its way to the kernel; NULL: no layer yet */
    uint64_t now_ms;    /* last reading of the clock, CLOCK_MONOTONIC */
    uint64_t now_ns;    /* the same reading to the nanosecond */
    uint32_t held;      /* handles and requests that libuv has not let go of yet */
    uint32_t sockets;   /* open sockets */
    uint64_t turn;      /* number of this turn of the loop, from 1 on */
    uint64_t round;    /* first turn of this round; a round serves each socket once that is ready */
    uint32_t in_round; /* events taken in this round */
    bool crowded;      /* the set has more events than this turn has taken */
    struct tcpm__ports ports;
    void (*on_released)(struct tcpm__network *network); /* called when held becomes 0; or NULL */
};

/* limit: descriptors that this process may have. libuv grows its table of watchers for all of them
   now, when running out of memory is still an error and no abort. 0, -ENOMEM or -errno, and then
   nothing of the network is left. The poll is started by tcpm__dispatch_start. */
int tcpm__network_open(struct tcpm__network *network, uv_loop_t *loop,
                       const struct tcpm__memory *memory, const struct tcpm__socket_events *events,
                       uint64_t limit);

/* Closes the set and the poll; all sockets must be closed before. The memory stays until
   tcpm__network_free, as libuv still holds the poll. */
void tcpm__network_close(struct tcpm__network *network);
void tcpm__network_free(struct tcpm__network *network);

/* Whether this process got the network by a fork. The kernel's part belongs to the other process
   then: an event that one of both takes from the set, or a change that one makes, is lost to the
   other. */
static inline bool tcpm__network_is_forked(const struct tcpm__network *network)
{
    return *network->home == 0;
}

/* Makes the buffers of layers unless they are there. 0 or -ENOMEM. */
int tcpm__network_make_layer_buffers(struct tcpm__network *network);

/* In a forked process: lets go of the set without changing it. */
void tcpm__network_abandon(struct tcpm__network *network);

/* ---- handles ---- */

/* Counts a handle that is being closed, or a request: libuv holds memory of ours until
   tcpm__network_release. */
static inline void tcpm__network_hold(struct tcpm__network *network)
{
    network->held++;
}

/* libuv has let go of a handle or request. The network may be gone afterwards. */
void tcpm__network_release(struct tcpm__network *network);

/* Calls on_released once libuv holds nothing any more, maybe at once. */
void tcpm__network_await_release(struct tcpm__network *network,
                                 void (*on_released)(struct tcpm__network *network));

/* Closes a handle of the engine, unless somebody has closed all handles of the loop. on_closed must
   call tcpm__network_release. */
void tcpm__network_close_handle(struct tcpm__network *network, uv_handle_t *handle,
                                void (*on_closed)(uv_handle_t *handle));

static inline bool tcpm__network_has_sockets(const struct tcpm__network *network)
{
    return network->sockets > 0;
}

/* ---- time ---- */

/* Reads the clock into now_ms and now_ns. Gives now_ns. */
static inline uint64_t tcpm__network_read_clock_ns(struct tcpm__network *network)
{
    network->now_ns = tcpm__clock_ns();
    network->now_ms = network->now_ns / 1000000;
    return network->now_ns;
}

/* Reads the clock into now_ms and now_ns. Gives now_ms. */
static inline uint64_t tcpm__network_read_clock(struct tcpm__network *network)
{
    tcpm__network_read_clock_ns(network);
    return network->now_ms;
}

/* The first reading of the clock at which so many milliseconds have certainly passed since now. The
   clock is rounded down, hence one more: never early. */
static inline uint64_t tcpm__due_after(uint64_t now_ms, uint64_t ms)
{
    return now_ms + ms + 1;
}

/* Whether the loop may sleep longer than until this time. UINT64_MAX: never, as there is no such
   time. */
static inline bool tcpm__network_sleeps_beyond(const struct tcpm__network *network, uint64_t ns)
{
    return ns < network->alarm_ns;
}

/* Makes the loop wake at this time at the latest. Costs a system call only where the loop would
   sleep longer. */
void tcpm__network_wake_at(struct tcpm__network *network, uint64_t ns);

/* Counts a turn of the loop, and maybe a round. Called before each poll of the loop. */
void tcpm__network_begin_turn(struct tcpm__network *network);

#endif
