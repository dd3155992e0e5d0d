/* SPDX-License-Identifier: MIT */
/*
 * The three records that everything in this layer works on: engine, session, connection.
 *
 * Events are delivered in two places. While the loop hands out I/O: success and input, straight
 * from the read. In the ready pass (ready.c), before and after the loop polls: everything else, for
 * the connections that were marked as ready. So no connection ends, and no socket is closed, in
 * the middle of somebody else's event, and no call of the user's runs a handler.
 */
#ifndef TCPM_CONNECTION_STATE_H
#define TCPM_CONNECTION_STATE_H

#include "base/buffer.h"
#include "base/chain.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/pace.h"
#include "base/pool.h"
#include "base/tally.h"
#include "base/wheel.h"
#include "filter/filter.h"
#include "tcpmulti.h"
#include "transport/address.h"
#include "transport/resolve.h"
#include "transport/socket.h"

/* Of one connection, before others get their turn: so many records, or what takes so long. */
#define TCPM__RECORDS_PER_TURN 8192
#define TCPM__RECORDS_MS       4
#define TCPM__RECORDS_PER_LOOK 256 /* at the clock */
#define TCPM__TICK_MS          2   /* of one dispatch, after which deadlines get their turn */

enum tcpm__flag {
    TCPM__READY = 1u << 0,        /* in the engine's list of ready connections */
    TCPM__PAUSED = 1u << 1,       /* the user wants no input */
    TCPM__MORE = 1u << 2,         /* records may be left in what has been received */
    TCPM__SEEN = 1u << 3,         /* the filter has seen all of input and found no record */
    TCPM__INPUT_END = 1u << 4,    /* that end is known: cause */
    TCPM__OWES_FLUSHED = 1u << 5, /* bytes were taken and not yet reported as flushed */
    TCPM__WAS_FULL = 1u << 6,     /* send said full: flushed is owed on falling to low_mark */
    TCPM__OUTPUT_SHUT = 1u << 7,  /* no send any more: FIN after the queue */
    TCPM__FIN_SENT = 1u << 8,
    TCPM__UPLOADING = 1u << 9,  /* bytes had to wait in the queue; not all is acknowledged since */
    TCPM__LINGERING = 1u << 10, /* flushed, FIN sent; not all is acknowledged, or input comes in */
    TCPM__WRITE_FAILED = 1u << 11, /* nothing can be sent any more */
    TCPM__ENDING = 1u << 12,       /* decided: only the last events are left */
    TCPM__RESET = 1u << 13,        /* close by RST */
    TCPM__GRACE = 1u << 14,        /* the deadline has passed once, with input waiting */
    TCPM__HAD_SUCCESS = 1u << 15,
    TCPM__HAS_MESSAGE = 1u << 16, /* the cause has a text of its own */
    TCPM__PLACED = 1u << 17,      /* counts among those that have a socket */
    TCPM__IN_SELF = 1u << 18,     /* the filter holds another record itself */
    TCPM__QUAD = 1u << 19,        /* its address was given as a dotted quad */
    TCPM__NODELAY_SET = 1u << 20, /* the socket has the option */
    TCPM__IN_BACKLOG = 1u << 21,
    TCPM__TAKING = 1u << 22,     /* the next record is need bytes, whatever the filter */
    TCPM__SWALLOWED = 1u << 23,  /* the byte to be dropped has come; the filter is to be told */
    TCPM__TELLING = 1u << 24,    /* the last events have begun: the reason stands */
    TCPM__UNTOLD = 1u << 25,     /* neither failure nor error tells the cause */
    TCPM__OWN_EVENTS = 1u << 26, /* the target has handlers of this connection alone */
    TCPM__HALF_OPEN = 1u << 27,  /* the peer's FIN ends the input only */
    TCPM__EOF_TOLD = 1u << 28,   /* and it has come: there is output only */
    TCPM__BEGUN = 1u << 29,  /* it has had a place: its deadline runs, also while it waits again */
    TCPM__QUEUED = 1u << 30, /* waits in its session; not yet in initialize */
};

/* What an attempt to connect needs, from tcpm_connect until success or failure. */
struct tcpm__attempt {
    struct tcpm__lookup *lookup;
    uint64_t number;          /* of the request, by which it waits again */
    union tcpm__address bind; /* AF_UNSPEC: none */
    uint16_t bind_port;       /* for any local address; 0: none */
    uint32_t next, count;     /* addresses to try */
    union tcpm__address addresses[];
};

struct tcpm__connection {
    uint64_t id; /* the pool's */
    struct tcpm_session *session;
    void *heap;
    struct tcpm__chain_link in_session;
    struct tcpm__chain_link in_queue; /* of its session while it waits; in the backlog while open */
    uint32_t next_ready;              /* a slot, like all links of connections; 0: the last */
    uint32_t alarms;                  /* slot of the first in the pool of alarms; 0: none */
    struct tcpm__timer timer; /* the earliest of its deadlines or before; due_ms: until the attempt
                                 has begun, the number of the request */
    uint64_t stamp_ms;    /* the timeout of this phase runs from here; paused: how long it ran */
    uint64_t deadline_ms; /* of the whole connection; 0: none; until begun: how long it will be */
    struct tcpm__codec *in, *out;
    struct tcpm__buffer *input; /* received, not yet a record */
    struct tcpm__buffer *queue; /* taken, not yet sent */
    union {
        struct tcpm__attempt *attempt; /* before success */
        char *message;                 /* with the flag: of the cause; else that of its code */
    } rare;
    uint64_t received, sent; /* bytes */
    union {
        struct in_addr quad;         /* with the flag QUAD: the address as given */
        struct tcpm__target *target; /* without it */
    } address;
    struct tcpm__socket socket; /* open while connecting, open or shutting */
    uint32_t flags;
    int32_t code;              /* of the cause; 0: none */
    uint32_t timeout_ms;       /* of this phase; 0: none */
    uint32_t input_timeout_ms; /* for later phases */
    uint32_t shutdown_timeout_ms;
    uint32_t need; /* at so many bytes the filter is asked again, or comes the ordered record */
    union {
        uint32_t acknowledged; /* bytes sent, modulo 2^32, at the last look at them */
        uint32_t lost;         /* write failed: bytes taken for which there was no memory */
    } left;
    uint16_t port;
    uint8_t phase;              /* enum tcpm_phase */
    uint8_t reason : 4, op : 4; /* enum tcpm_reason, tcpm_op of the cause */
    uint8_t timed_out : 4;      /* enum tcpm_timer */
    uint8_t linger_step : 4;    /* looks in a row that have found no progress */
    uint8_t swallow;            /* this byte is dropped if it comes next from the network, */
    uint8_t swallows;           /* so many times; mostly 0 */
};

_Static_assert(sizeof(struct tcpm__connection) <= 208, "a connection has outgrown its budget");

/* Of few connections: a remote address that is not a dotted quad, handlers of their own. */
struct tcpm__target {
    union tcpm__address peer;   /* the one in use; AF_UNSPEC: none yet */
    struct tcpm_events *events; /* with the flag OWN_EVENTS; else NULL */
    char text[];                /* the address as given */
};

struct tcpm__alarm {
    uint64_t id; /* the pool's */
    struct tcpm_session *session;
    struct tcpm__connection *connection; /* whose end drops it, or NULL */
    struct tcpm__chain_link of_connection;
    struct tcpm__list in_session;
    struct tcpm__heap_item timer;
    struct tcpm_task task; /* of a beat: what drops it, and its argument */
    void (*beat)(struct tcpm_session *session, void *user, void *argument, int64_t due_ns,
                 uint64_t ticks); /* NULL: it runs once */
    uint64_t period_ns;           /* of a beat */
};

struct tcpm__limits {
    uint64_t max_connections; /* UINT64_MAX: none */
    struct tcpm__pace pace;
};

struct tcpm_session {
    struct tcpm_engine *engine;
    struct tcpm__list in_engine;
    struct tcpm_events events;
    void *user;
    struct tcpm_filter *input_filter, *output_filter;
    struct tcpm__limits limits;
    struct tcpm__chain waiting;  /* its connects that wait, oldest first */
    uint32_t waits_again;        /* slot of the last that came back to them; 0: none there */
    struct tcpm__heap_item turn; /* set while its limits let the oldest of them start: its number */
    struct tcpm__list in_rooms, in_dead;
    struct tcpm__chain connections; /* oldest first */
    uint64_t walked_id;             /* what tcpm_next gave last */
    uint32_t walked_slot; /* of that connection; once it has ended, of the one before it; or 0 */
    struct tcpm__list alarms, posts;
    struct tcpm__alarm refill; /* when the pace allows the next attempt */
    struct tcpm__signal *signals;
    uint32_t connect_timeout_ms, input_timeout_ms, shutdown_timeout_ms;
    uint32_t deadline_ms;
    uint64_t high_mark, low_mark, max_queued;
    uint32_t keepalive_s;
    int family; /* AF_UNSPEC, AF_INET, AF_INET6 */
    bool nodelay;
    bool cork;      /* sends are queued until the ready pass */
    bool half_open; /* as in struct tcpm_session_options */
    bool dying, wants_room;
    uint64_t live, places; /* connections of all phases; those with a place */
    uint64_t phases[TCPM_PHASE_CLOSED + 1];
    uint64_t received, sent, queued, held; /* bytes, as in struct tcpm_stats */
    struct tcpm__tally tally;              /* of its connections' ends */
};

struct tcpm__post {
    struct tcpm__post *next;
    struct tcpm__list in_session;
    struct tcpm_session *session; /* NULL: it was dropped */
    struct tcpm_task task;
};

struct tcpm__posts {
    struct tcpm__post *first, **last;
};

struct tcpm_engine {
    struct tcpm__memory memory;
    struct tcpm__network network;
    struct tcpm__pool connections, alarm_pool;
    struct tcpm__heap alarms;     /* on the network's alarm */
    struct tcpm__wheel deadlines; /* on a uv_timer_t */
    uint64_t timer_ms;            /* when that timer goes off; UINT64_MAX: it rests */
    struct {
        uv_timer_t timer;
        uv_prepare_t prepare;
        uv_check_t check; /* referenced while there is work: it keeps uv_run running */
        uv_idle_t idle;   /* active while the next poll may not block */
    } handles;
    uint32_t open_handles;
    struct tcpm__connection *ready, *ready_last; /* of those that are marked; ready NULL: none */
    struct tcpm__connection *serving;            /* whose step the ready pass is in, or NULL */
    bool serve_again;                            /* it has been marked meanwhile */
    struct {
        struct tcpm__chain chain; /* connections that a read has left with more */
        uint32_t count;
        uint64_t slice_began_ms; /* of the first of them */
        uint64_t ended_ns;       /* when they were last served, or the first has come */
    } backlog;
    struct tcpm__posts posts, next_posts; /* for when the handler returns; for the next turn */
    uint64_t alarmed;                     /* the connection whose alarm is running, or 0 */
    uint32_t handler_depth;               /* handlers running now */
    uint32_t calling_back;                /* initialize and drop running now, inside of calls */
    bool running_posts;
    uint64_t ticked_ms;           /* when deadlines had their last turn */
    bool passing;                 /* in a pass, which will say how long the loop may sleep */
    uint64_t work;                /* connections, alarms, posts, rooms and stops to come */
    uint32_t corking;             /* sessions with the option cork */
    uint32_t rooms_wanted, dying; /* sessions that wait for room; that wait for their last event */
    struct tcpm__list sessions;
    struct tcpm__list dead; /* sessions that are dying and have no connection left */
    struct {
        struct tcpm__heap turns;  /* of sessions, that of the oldest connect first */
        struct tcpm__list rooms;  /* sessions that want room and would start a connect now */
        uint64_t requests;        /* numbers them */
        struct tcpm__alarm probe; /* when the ceiling is tried one higher */
        uint64_t short_ns;        /* when there was last no descriptor */
        bool probing;             /* no descriptor has been missed since the probe */
    } admission;
    uint64_t ceiling;                 /* descriptors that connections may have now */
    uint64_t max_connections;         /* the ceiling as configured */
    uint64_t places;                  /* connections that have one: from the attempt to the close */
    uint64_t max_memory, memory_used; /* bytes received or unsent */
    struct tcpm__chunk {
        struct tcpm__connection *connection; /* whose input is being delivered */
        const char *bytes;
        size_t length;
        uint32_t records;  /* delivered of it, */
        uint64_t began_ms; /* since then */
        bool exhausted;    /* there is no record in the rest */
    } chunk;
    char address_text[TCPM__ADDRESS_TEXT]; /* what tcpm_info_get lends */
    struct tcpm_out out;
    bool out_lent;
    void (*trace)(const char *line, void *user);
    void *trace_user;
    bool closing, abandoned;
    void (*closed)(void *user);
    void *closed_user;
};

#endif
