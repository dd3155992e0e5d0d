/* SPDX-License-Identifier: MIT */
/*
 * The structs of this layer: engine, session and connection, with the objects that belong to them.
 * Times are readings of CLOCK_MONOTONIC, in the unit that the name of the field ends in. "Clock"
 * in a comment is such a reading; "see table" is the table of double meanings. Links between
 * connections are slots of the engine's pool.
 */
#ifndef TCPM_CONNECTION_SHAPES_H
#define TCPM_CONNECTION_SHAPES_H

#include "base/buffer.h"
#include "base/chain.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/pace.h"
#include "base/pool.h"
#include "base/round_robin.h"
#include "base/tally.h"
#include "base/wheel.h"
#include "connection/way.h"
#include "filter/cutter.h"
#include "filter/filter.h"
#include "tcpmulti.h"
#include "transport/address.h"
#include "transport/address_table.h"
#include "transport/dialogue.h"
#include "transport/resolver.h"
#include "transport/socket.h"
#include "transport/stream.h"

/* The flags of a connection. The dump (dump.c) shows them by these names, in lower case. */
#define TCPM__FLAGS(X)                                                                          \
    X(READY)        /* the connection is in the engine's list of ready connections */           \
    X(PAUSED)       /* the user has paused the input */                                         \
    X(MORE)         /* bytes received and kept may hold records that are not delivered */       \
    X(INPUT_END)    /* EOF or an error (see code) ends the input; reported after all records */ \
    X(OWES_FLUSHED) /* records were sent: event flushed is owed once the queue is empty */      \
    X(WAS_FULL)     /* send said full: event flushed is owed once the queue is at low_mark */   \
    X(UPLOADING)    /* the kernel has refused bytes; the peer has not acknowledged all since */ \
    X(RESET)        /* the socket will be closed by RST, not by FIN */                          \
    X(GRACE)        /* the deadline has come once while input waited; the next time counts */   \
    X(HAD_SUCCESS)  /* the connect has succeeded */                                             \
    X(PLACED)       /* the connection has a place: it may have a socket (places.c) */           \
    X(QUAD)         /* the remote address was given as a dotted quad */                         \
    X(NODELAY_SET)  /* the socket has the option TCP_NODELAY */                                 \
    X(IN_BACKLOG)   /* a read has left bytes in the socket: the connection is in the backlog */ \
    X(TELLING)      /* the last events are being delivered: reason and cause are final */       \
    X(UNTOLD)       /* no event tells the cause, neither failure nor error */                   \
    X(OWN_EVENTS)   /* the target has handlers for this connection alone */                     \
    X(HALF_OPEN)    /* option half_open: the peer's FIN ends only the input */                  \
    X(EOF_TOLD)     /* event eof was delivered: the input is over, the output goes on */        \
    X(BEGUN)        /* an attempt has begun: the deadline runs, even while waiting again */     \
    X(QUEUED)       /* the connection is in its session's queue of connects that wait */        \
    X(LAYERED)      /* a layer lies between the connection and its socket */                    \
    X(WANTS_PLACE)  /* the race has an address to try, and no place for a further socket */     \
    X(TIMED)        /* the times of the steps are kept (times.c) */                             \
    X(SECURING)     /* TLS begins in the middle of the stream (starttls.c) */                   \
    X(PASSING)      /* proxies are between, and the way to the target is not free yet */        \
    X(LAST_ASKED)   /* the input filter was asked for its last record (finish.c) */             \
    X(ADDRESS_FULL) /* waits at an address that has all sockets it may have (addresses.c) */
#define TCPM__FLAG_BIT(name)  TCPM__BIT_##name,
#define TCPM__FLAG_MASK(name) TCPM__##name = 1u << TCPM__BIT_##name,
enum { TCPM__FLAGS(TCPM__FLAG_BIT) TCPM__FLAG_COUNT };
enum tcpm__flag { TCPM__FLAGS(TCPM__FLAG_MASK) };
#undef TCPM__FLAG_BIT
#undef TCPM__FLAG_MASK
_Static_assert(TCPM__FLAG_COUNT <= 32, "the flags of a connection have 32 bits");

/* The phase of a connection (state.c). FLUSHING and ENDING are both shown as shutting. */
enum tcpm__phase {
    TCPM__PHASE_WAITING = 1, /* waits for a place, in a queue of the session, or at an address */
    TCPM__PHASE_CONNECTING,  /* a look-up runs, or the socket connects, or a layer shakes hands */
    TCPM__PHASE_OPEN,        /* records are received and sent */
    TCPM__PHASE_FLUSHING,    /* shut by the user or the peer's FIN; the queue is still sent */
    TCPM__PHASE_ENDING,      /* the end is decided: only the last events are left */
    TCPM__PHASE_CLOSED,      /* the socket is closed; the event disconnected is delivered */
};

/* How far the sending half of a connection is (state.c). */
enum tcpm__sending {
    TCPM__SENDING_OPEN,        /* records are taken and sent */
    TCPM__SENDING_BROKEN,      /* nothing can be sent any more; records are taken, and lost */
    TCPM__SENDING_BROKEN_SHUT, /* nothing can be sent, and no record is taken any more */
    TCPM__SENDING_SHUT,        /* no record is taken any more: FIN follows the queue */
    TCPM__SENDING_FINISHED,    /* FIN is sent */
    TCPM__SENDING_LINGERING,   /* FIN is sent; waits until the peer has acknowledged everything */
};

/* An address of an attempt, and what has become of it. */
struct tcpm__try {
    union tcpm__address address; /* remote address with its port */
    union tcpm__address source;  /* local address of the socket tried last; AF_UNSPEC: not chosen */
    uint64_t known_ns;           /* clock when the address became known */
    int32_t code;                /* error; 0: not tried yet, or under way */
    enum tcpm_op op : 8;         /* operation that failed, if code is not 0 */
    bool to_itself;              /* the kernel had connected the socket to itself */
};

/* A further socket of an attempt, beside the one in the connection (racers.c). */
struct tcpm__racer {
    struct tcpm__socket socket;        /* open, and connecting */
    struct tcpm__connection *owner;    /* connection that the winner will be moved into */
    struct tcpm__racer *next;          /* the racer that began before this one; NULL: none */
    struct tcpm__address_entry *claim; /* claim on the remote address; NULL: none is needed */
    uint64_t began_ms;                 /* clock when the socket began to connect */
    uint32_t lease;                    /* lease of the socket's local address; 0: none */
    uint16_t number;                   /* number in the tag of the socket; never 0 */
    uint16_t index;                    /* index of the address among the tries */
};

/* The passage through proxies, until the success of the connection (passage.c). Without proxies it
   is there for a PROXY header. */
struct tcpm__passage {
    struct tcpm__dialogue *dialogue; /* dialogue with the hop in hand; NULL: none is under way */
    struct tcpm__buffer *unsent;     /* bytes that the kernel has not taken; NULL: none */
    struct tcpm__buffer *early;      /* bytes from the target that came with a reply; or NULL */
    uint16_t port;                   /* port of what is looked up, or connected to */
    uint8_t count;                   /* number of hops */
    uint8_t hop;                     /* index of the hop in hand */
    uint8_t sought;                  /* index of the hop whose host is sought; count: the target */
    bool is_seeking;                 /* a look-up seeks what the hop is to connect to */
    bool has_header;                 /* the PROXY header is on its way */
    union tcpm__address found[];     /* addresses to connect to, by hop; AF_UNSPEC: a name */
};

/* The state of an attempt to connect, from tcpm_connect() until success or failure. */
struct tcpm__attempt {
    struct tcpm__asker *asker;         /* waits for answers of the look-up; NULL: none is to come */
    struct tcpm__racer *racers;        /* further sockets, the newest first; NULL: none */
    struct tcpm__passage *passage;     /* NULL: neither proxies nor a PROXY header are between */
    struct tcpm__address_entry *claim; /* claim for the socket that begins next; NULL: none */
    const char *message;               /* static text of resolve_code; NULL: that of the code */
    uint64_t number;                   /* number of the request; connects wait in this order */
    uint64_t due_ms;          /* clock when the race goes on by itself; 0: by events only */
    uint64_t began_ms;        /* clock when the connection's own socket began to connect */
    uint64_t newest_ms;       /* clock when the newest socket began to connect */
    uint64_t waits_ns;        /* clock when the wait at a full address began; 0: none has */
    int32_t resolve_code;     /* error of the look-up, of one family at least; 0: none */
    uint16_t bind_port;       /* local port to bind to; 0: the kernel chooses */
    uint16_t index;           /* index of the try of the connection's own socket */
    uint16_t last_number;     /* number of the tag that was given to a racer last */
    uint16_t next;            /* index of the try that begins next */
    uint16_t count;           /* number of tries */
    unsigned awaited;         /* families that are still to be answered */
    bool queued;              /* the look-up waits in a queue that takes none of our time */
    bool own_is_spent;        /* events of a socket that was given up may still come under the
                                    connection's own tag: further sockets are racers */
    struct tcpm__try tries[]; /* the addresses, in the order of trying */
};

/* Steps of a connection that are timed. A step that is not needed is done with the one before. */
enum tcpm__milestone {
    TCPM__STARTED,     /* the connection had a place, and its attempt began */
    TCPM__RESOLVED,    /* the address was known */
    TCPM__CONNECTED,   /* the socket was connected */
    TCPM__PROXIED,     /* dialogues with proxies were over */
    TCPM__SECURED,     /* the handshake of the layer was over */
    TCPM__FIRST_INPUT, /* the first input was read */
    TCPM__LAST_INPUT,  /* the latest input was read */
    TCPM__MILESTONES
};

/* When the steps of a connection were done (times.c). */
struct tcpm__times {
    uint64_t began_ns;             /* clock when the connection was made */
    uint32_t us[TCPM__MILESTONES]; /* microseconds since then; 0: not done */
};

/* The object for properties that few connections have (rare.c). */
struct tcpm__rare {
    struct tcpm__attempt *attempt;     /* NULL after success, and where an attempt needs no state */
    struct tcpm__address_entry *claim; /* claim of the connection's own socket; NULL: none */
    char *message;                     /* text of the cause; NULL: tcpm_error_text(code) is used */
    struct tcpm__times *times;         /* if TIMED: when the steps were done; else NULL */
    uint32_t alarms;                   /* slot of the newest alarm in the pool of alarms; 0: none */
};

/*
 * Some fields of a connection have two meanings, to keep the struct small. Which one holds when:
 *
 *     field        | when                         | meaning
 *     -------------|------------------------------|------------------------------------------------
 *     in_queue     | flag QUEUED                  | link among the waiting connects of its session,
 *                  |                              | or among the claimants
 *                  | flag IN_BACKLOG              | link in the backlog
 *                  | flag WANTS_PLACE             | link among the races that want a place
 *                  | flag ADDRESS_FULL            | link among those that wait at the address
 *     timer.due_ms | WAITING, flag BEGUN not set  | number of the request; the timer is not armed
 *                  | otherwise                    | when the timer comes out of the wheel
 *     stamp_ms     | OPEN and paused              | ms of the timeout that had run when paused
 *                  | otherwise                    | clock from which the timeout of the phase runs
 *     deadline_ms  | flag BEGUN not set           | ms that the connection may take; 0: no limit
 *                  | flag BEGUN                   | clock at which the deadline is due; 0: none
 *     address      | flag QUAD                    | quad: the address as given
 *                  | otherwise                    | target: text, peer in use, handlers of its own
 *     left         | sending is broken            | lost: bytes taken for which there was no memory
 *                  | otherwise                    | acknowledged: bytes sent, modulo 2^32, at the
 *                  |                              | last look at what the peer has acknowledged
 *     reason       | FLUSHING                     | the reason if the flush ends well
 *                  | ENDING, CLOSED               | the reason of the end
 */
struct tcpm__connection {
    uint64_t id;                        /* given by the engine's pool; public */
    struct tcpm_session *session;       /* owner; lives at least as long */
    void *heap;                         /* the user's pointer, passed to every handler */
    struct tcpm__chain_link in_session; /* link among all connections of the session */
    struct tcpm__chain_link in_queue;   /* link in a queue; see table */
    struct tcpm__timer timer;           /* fires at the earliest due time, or before it (lazy) */
    uint64_t stamp_ms;                  /* clock from which the phase's timeout runs; see table */
    uint64_t deadline_ms;               /* clock at which the deadline is due; see table */
    struct tcpm__instance *in;          /* instance of the input filter */
    struct tcpm__instance *out;         /* instance of the output filter; may be in itself */
    struct tcpm__buffer *input;         /* bytes received that are not yet a record; NULL: none */
    struct tcpm__buffer *queue;         /* bytes that the kernel has not taken yet; NULL: none */
    struct tcpm__rare *rare;            /* NULL: none of the properties in it */
    uint64_t received;                  /* bytes from the peer; with a layer: as decoded */
    uint64_t sent;                      /* bytes that the kernel took; with a layer: as given */
    union {
        struct in_addr quad;         /* if QUAD: the remote address */
        struct tcpm__target *target; /* otherwise: an object with the remote address */
    } address;
    struct tcpm__socket socket;   /* closed in WAITING, in CLOSED, and while a look-up runs */
    uint32_t flags;               /* set of enum tcpm__flag */
    uint32_t next_ready;          /* slot of the next ready connection; 0: this one is the last */
    int32_t code;                 /* error code of the cause; 0: no cause is known */
    uint32_t timeout_ms;          /* timeout of the current phase, in ms; 0: none */
    uint32_t input_timeout_ms;    /* timeout of the phase OPEN, in ms; 0: none */
    uint32_t shutdown_timeout_ms; /* timeout of the phase FLUSHING, in ms; 0: none */
    struct tcpm__cutter cutter;   /* cuts the bytes received into records */
    union {
        uint32_t acknowledged; /* bytes of the wire acknowledged at the last look, modulo 2^32 */
        uint32_t lost;         /* if broken: bytes taken for which there was no memory */
    } left;
    uint16_t port;                  /* remote port */
    enum tcpm__phase phase : 8;     /* changed by tcpm__connection_set_phase() only */
    uint8_t linger_step;            /* index of the pause before the next look at a flush */
    enum tcpm__sending sending : 4; /* changed by tcpm__connection_set_sending() only */
    enum tcpm_reason reason : 4;    /* reason of the end; 0: none is known; see table */
    enum tcpm_op op : 4;            /* operation of the cause, if code is not 0 */
    enum tcpm_timer timed_out : 4;  /* timer that ended the connection; 0: none did */
};

_Static_assert(sizeof(struct tcpm__connection) <= 208, "a connection has outgrown its budget");

/* How far a handshake of TLS is (handshakes.c). */
enum tcpm__handshake_state {
    TCPM__HANDSHAKE_WAITING,   /* waits for a place */
    TCPM__HANDSHAKE_READY,     /* has a place, and a step to do */
    TCPM__HANDSHAKE_SILENT,    /* has a place, and waits for the peer */
    TCPM__HANDSHAKE_OVERTAKEN, /* was silent for too long, and has given its place to another */
};

/* A handshake of TLS, from the connect, or from tcpm_starttls, until its end. */
struct tcpm__handshake {
    struct tcpm__connection *connection; /* owner */
    struct tcpm__list in_list;           /* node in the list of the state; OVERTAKEN: in none */
    enum tcpm__handshake_state state;
    uint64_t heard_ms; /* clock of the latest step: the peer was heard then, or it was the first */
};

/* The target of a connection that needs more than a dotted quad: another form of address, a layer,
   a way, handlers of its own. Few connections have one. */
struct tcpm__target {
    union tcpm__address peer;   /* address in use, or tried last; AF_UNSPEC: none yet */
    struct tcpm_events *events; /* if OWN_EVENTS: handlers of this connection; else NULL */
    struct tcpm__layer *layer;  /* if LAYERED: the layer over the socket; else NULL */
    struct tcpm__way *way;      /* options for attempts and sockets, held; NULL: all defaults */
    struct tcpm__handshake *handshake; /* NULL: no handshake is to be done or under way */
    struct tcpm_tls *tls;              /* if SECURING: what is to begin, held; else NULL */
    char *server_name;           /* name for the layer to come, owned; NULL: text is the name */
    size_t plain;                /* if SECURING: bytes of the queue that are sent before TLS */
    uint32_t lease;              /* lease of the socket's local address; 0: none */
    uint32_t connect_timeout_ms; /* timeout of an attempt, and of a handshake after that */
    size_t weight;               /* bytes for TLS and proxies, a part of the engine's bytes.held */
    char text[];                 /* the remote address as given */
};

/* A task that runs at a time, once or as a beat. The engine's own alarms (refill, probe) have no
   task, and lie outside of the pool. */
struct tcpm__alarm {
    uint64_t id;                           /* given by the pool of alarms; public */
    struct tcpm_session *session;          /* owner; NULL: the alarm is the engine's probe */
    struct tcpm__connection *connection;   /* connection whose end drops the alarm; or NULL */
    struct tcpm__chain_link of_connection; /* link among the alarms of the connection */
    struct tcpm__list in_session;          /* node among the alarms of the session */
    struct tcpm__heap_item timer;          /* due time, in ns; item of the heap of alarms */
    struct tcpm_task task;                 /* only drop and argument are used for a beat */
    void (*beat)(struct tcpm_session *session, void *user, void *argument, int64_t due_ns,
                 uint64_t ticks); /* function of a beat; NULL: the alarm runs task.run once */
    uint64_t period_ns;           /* period of a beat, in ns */
};

struct tcpm_session {
    struct tcpm_engine *engine;          /* owner */
    struct tcpm__list in_engine;         /* node among the sessions of the engine */
    struct tcpm_session_options options; /* all defaults are filled in */
    struct tcpm_events events;           /* handlers; options.events points here */
    struct tcpm__way *way;               /* options for attempts and sockets; NULL: all defaults */
    struct tcpm__way *last_way;          /* way of the last connect with options of its own, for
                                            the next one with the same; NULL: there was none */
    uint64_t denied;                     /* addresses that the option deny has left out */
    struct {                             /* counts as in struct tcpm_stats */
        uint64_t handshakes, resumed, failed, truncated, injected;
    } tls;
    struct tcpm__pace pace;     /* limits the rate of attempts */
    struct tcpm__chain waiting; /* connects that wait for a place, oldest first */
    uint32_t waits_again;       /* slot of the connect that was put back into waiting last; or 0 */
    struct tcpm__chain claimants; /* connects that wait for a place and have a claim on an address,
                                     in the order of their claims */
    struct tcpm__address_table addresses; /* addresses in use; empty without max_per_address */
    uint64_t at_addresses;                /* connects that wait at full addresses */
    uint64_t most_at_addresses;           /* while so many do so, no new connect starts */
    struct tcpm__heap_item turn;          /* set to the number of the next waiting connect while the
                                    session's own limits let that connect start */
    struct tcpm__list in_rooms;           /* node among the sessions that can be told of room */
    struct tcpm__list in_dead;            /* node among the dying sessions without connections */
    struct tcpm__chain connections;       /* all connections of the session, oldest first */
    uint64_t walked_id;                   /* id that tcpm_next() returned last; 0: none */
    uint32_t walked_slot;         /* slot of the connection walked_id, or once that has ended, of
                                       its predecessor; 0: none */
    struct tcpm__list alarms;     /* alarms that have neither run nor been dropped */
    struct tcpm__list posts;      /* posts that have neither run nor been dropped */
    struct tcpm__alarm refill;    /* goes off when the pace allows the next attempt */
    struct tcpm__signal *signals; /* signals that are watched; NULL: none */
    bool dying;                   /* the session is ending: connects and tasks are refused */
    bool wants_room;              /* the event room is owed */
    uint64_t live;                /* connections of all phases */
    uint64_t places;              /* connections that have a place */
    uint64_t phases[TCPM__PHASE_CLOSED + 1]; /* connections in each phase */
    uint64_t received, sent, queued, held;   /* bytes, as in struct tcpm_stats */
    struct tcpm__tally tally;                /* counts how connections have ended */
};

/* A task that runs soon, after what runs now. */
struct tcpm__post {
    struct tcpm__post *next;      /* the post to run after this one; NULL: none */
    struct tcpm__list in_session; /* node among the posts of the session */
    struct tcpm_session *session; /* owner; NULL: the task was dropped */
    struct tcpm_task task;
};

/* Posts, in the order in which they run. */
struct tcpm__posts {
    struct tcpm__post *first; /* NULL: there is no post */
    struct tcpm__post **last; /* pointer to set to the next post that is added */
};

/* Bytes of a connection that are being cut into records and delivered (input.c). */
struct tcpm__chunk {
    struct tcpm__connection *connection;
    const char *bytes; /* bytes that are not yet cut */
    size_t length;     /* number of bytes */
    uint32_t records;  /* records cut from the chunk so far */
    uint64_t began_ms; /* clock when the delivery began */
    bool exhausted;    /* the filter has found no further record in bytes */
};

struct tcpm_engine {
    struct tcpm__memory memory;    /* allocator of everything that belongs to the engine */
    struct tcpm__network network;  /* the set of sockets, the read buffer, the clock */
    struct tcpm__pool connections; /* connections of all sessions */
    struct tcpm__wheel deadlines; /* timers of connections; handles.timer wakes the loop for them */
    struct {
        uv_timer_t timer;     /* goes off when the wheel is to be looked at */
        uint64_t timer_ms;    /* clock at which timer goes off; UINT64_MAX: the timer rests */
        uv_prepare_t prepare; /* runs a ready pass before each poll */
        uv_check_t check;     /* runs a ready pass after each poll; referenced while there is
                                 work, so that uv_run() goes on */
        uv_idle_t idle;       /* active while the next poll may not block */
    } handles;
    struct {                                 /* the ready pass and its marks: mark.c, turn.c */
        struct tcpm__connection *ready;      /* first of the ready connections; NULL: none */
        struct tcpm__connection *ready_last; /* last of the ready connections, if there is one */
        struct tcpm__connection *serving;    /* connection whose step runs; NULL: none */
        bool serve_again;   /* the connection in serving was marked as ready during its step */
        bool passing;       /* a pass runs, at whose end the loop is told how long it may sleep */
        uint64_t ticked_ms; /* clock when deadlines were looked at last */
        uint64_t work;      /* number of connections, alarms, posts, rooms wanted and stops owed:
                               the loop keeps running unless 0 */
    } turn;
    struct tcpm__round_robin backlog;  /* backlog.c: connections that a read has left with more */
    struct {                           /* handlers.c, tasks.c */
        struct tcpm__pool pool;        /* the alarms that users have set */
        struct tcpm__heap alarms;      /* all alarms by time; the network's alarm wakes the loop */
        struct tcpm__posts posts;      /* posts that run when the current handler returns */
        struct tcpm__posts next_posts; /* posts that run in the next turn of the loop */
        uint64_t alarmed;              /* id of the connection whose alarm runs; 0: none */
        bool running_posts;            /* posts are being run */
    } tasks;
    struct { /* calls of the user's functions, and objects lent to one call at a time */
        uint32_t handler_depth;                /* number of handlers that run now */
        uint32_t calling_back;                 /* number of initialize and drop that run now */
        struct tcpm__chunk *chunk;             /* bytes that are being delivered; NULL: none */
        char address_text[TCPM__ADDRESS_TEXT]; /* text that tcpm_info_get() returns a pointer to */
        struct tcpm_out out;                   /* output of the filter in one call of send */
        bool out_lent;                         /* a call of send uses out */
    } delivery;
    struct {                    /* session.c */
        struct tcpm__list all;  /* sessions, oldest first */
        struct tcpm__list dead; /* sessions that die and have no connection left */
        uint32_t dying;         /* number of sessions that the event stopped is owed to */
        uint32_t corking;       /* number of sessions with the option cork */
    } sessions;
    struct {                      /* places.c */
        struct tcpm__heap turns;  /* sessions that may start a connect, oldest connect first */
        struct tcpm__list rooms;  /* sessions that want room and could start a connect now */
        uint32_t rooms_wanted;    /* number of sessions that want room */
        struct tcpm__chain races; /* connections whose races want a further place, oldest first */
        uint64_t requests;        /* number of the last request to connect */
        uint64_t places;          /* places taken: each for one socket, from attempt to close */
        uint64_t max_connections; /* most places, as configured */
        uint64_t ceiling;         /* most places now: lower where descriptors were missing */
        struct tcpm__alarm probe; /* goes off when the ceiling is raised by one to try */
        uint64_t short_ns;        /* clock when a descriptor was missing, or probed for, last */
        bool probing;             /* no descriptor was missing since the last probe */
    } admission;
    struct {                             /* lookup.c */
        struct tcpm__resolver *resolver; /* NULL: no name was looked up yet */
        struct tcpm__alarm alarm;        /* goes off when the resolver is due */
    } lookups;
    struct {                       /* handshakes.c */
        struct tcpm__list waiting; /* handshakes that want a place, in the order of their turn */
        struct tcpm__list ready;   /* handshakes that have a step to do, in the order of news */
        struct tcpm__list silent;  /* handshakes that wait for the peer, longest first */
        uint64_t places;           /* places taken: by those that are ready or silent */
        uint64_t max;              /* most places: option max_handshakes */
        struct tcpm__alarm alarm;  /* goes off when a place may be taken from a silent one */
        struct tcpm__tls_shared *shared; /* parts of all TLS of the engine; NULL: no TLS yet */
        void (*key_log)(const char *line, void *user); /* option key_log; NULL: nobody */
        char *strings; /* texts of the last certificate told; NULL: none */
    } handshakes;
    struct {
        uint64_t max;  /* limit for held: option max_memory */
        uint64_t held; /* bytes that connections hold: received, unsent, for TLS and proxies */
    } bytes;
    struct {
        void (*tell)(const char *line, void *user); /* takes a line of the trace; NULL: no trace */
        void *user;                                 /* argument of tell */
    } trace;
    struct {                        /* engine.c, fork.c */
        bool closing;               /* tcpm_engine_close() was called */
        bool abandoned;             /* the process is a fork: the kernel's objects are given up */
        void (*closed)(void *user); /* called when libuv has let go of the engine; or NULL */
        void *closed_user;          /* argument of closed */
    } end;
};

#endif
