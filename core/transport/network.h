/*
 * What all sockets of an engine share: the loop, the read buffer, the clock, and the list of
 * handles that wait for a cheap moment to be closed.
 *
 * uv_close scans the whole batch of events while the loop dispatches one, so handles that are
 * closed in that phase are only put aside, and closed right after (…_close_waiting in socket.h).
 */
#ifndef TCPM_TRANSPORT_NETWORK_H
#define TCPM_TRANSPORT_NETWORK_H

#include "base/slab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* Bytes that one socket may take in a turn of the loop. One large read is cheaper than several. */
#define TCPM__READ_PER_TURN 262144

struct tcpm__socket;

/* What a socket tells its owner. Called from the loop only. */
struct tcpm__socket_events {
    /* The attempt has ended: 0, or negative. */
    void (*connected)(void *owner, int status);
    /* Bytes in the read buffer: valid until the call returns. */
    void (*received)(void *owner, const char *bytes, size_t length);
    /* Reading has ended: TCPM_EOF for the peer's FIN, or -errno; or 0: libuv has given up, but the
       kernel may hold more, to be read by tcpm__socket_read. */
    void (*ended)(void *owner, int code);
    /* More can be sent; comes again until the watch is given up. */
    void (*writable)(void *owner);
};

struct tcpm__network {
    uv_loop_t *loop;
    const struct tcpm__memory *memory;
    const struct tcpm__socket_events *events;
    struct tcpm__slabs requests;   /* uv_connect_t: a burst of attempts must leave no holes */
    char *read_buffer;             /* TCPM__READ_PER_TURN bytes, used by one read at a time */
    uint64_t now_ms;               /* the last reading of the clock */
    uint32_t spare_descriptors;    /* open now: duplicates, and sockets waiting to be closed */
    uint32_t handles;              /* handles and requests that libuv still knows */
    uint16_t turn;                 /* counts turns of the loop, to bound what one turn may take */
    bool dispatching;              /* the loop hands out I/O events */
    struct tcpm__socket *closing;  /* sockets to be closed after the dispatch */
    struct tcpm__watch *unwatched; /* watches likewise */
    void (*emptied)(struct tcpm__network *network); /* NULL, or called when handles is 0 */
};

/* 0 or -ENOMEM. */
int tcpm__network_init(struct tcpm__network *network, uv_loop_t *loop,
                       const struct tcpm__memory *memory, const struct tcpm__socket_events *events);
void tcpm__network_free(struct tcpm__network *network);

/* Lets libuv grow its table of watchers now, when running out of memory is still an error and no
   abort, so that descriptors below limit never make it grow later. 0, -ENOMEM, or -errno. */
int tcpm__network_presize(struct tcpm__network *network, uint64_t limit);

/* libuv has let go of a handle or request. The network may be gone after it. */
void tcpm__network_forget(struct tcpm__network *network);

/* Reads the clock: milliseconds of CLOCK_MONOTONIC. */
uint64_t tcpm__network_now(struct tcpm__network *network);

#endif
