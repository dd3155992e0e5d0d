/* SPDX-License-Identifier: MIT */
/*
 * libtcpmulti: very many outgoing TCP connections on a libuv loop of yours.
 *
 * Promises; the test of each is named after it.
 *
 * one-thread-per-loop     An engine and all that belongs to it are used by the thread that runs its
 *                         loop. A filter too belongs to one thread: make one for each loop.
 * one-process             An engine belongs to the process that made it. In the child of a fork all
 *                         that would begin or change something answers -ECHILD, no handler runs,
 *                         and a loop that uv_loop_fork has made the child's does nothing with the
 *                         engine; but for tcpm_engine_close, which ends it there and touches no
 *                         connection of the parent. Make another engine for the child. (Names that
 *                         were being looked up keep the child's loop waiting: libuv's part.)
 * handlers-from-the-loop  Handlers run from uv_run only, never inside a call of yours. The two
 *                         exceptions: initialize, inside tcpm_connect, and the last events, inside
 *                         tcpm_engine_close_now. Every function here may be called from every
 *                         handler.
 * one-last-event          initialize (success (input|flushed)* (eof flushed*)?)?
 *                         (failure|error|timeout)? disconnected: for each tcpm_connect that
 *                         returned 0, disconnected comes once, and last. After a negative result:
 *                         nothing.
 * late-id-is-stale        An id is never used again in its engine. Once disconnected has returned:
 *                         -ESTALE, always.
 * copied-unless-borrowed  What you pass is copied before the call returns, unless it says borrowed.
 *                         What a handler gets is borrowed until it returns.
 * zero-is-default         Zero in an options struct is the default; TCPM_NONE is no timeout, or no
 *                         limit.
 * memory-is-an-error      Out of memory is -ENOMEM, or an error event on the one connection that
 *                         needed it.
 * leaves-no-trace         Nothing prints, exits or aborts; no signal disposition changes (but by
 *                         tcpm_sig); an idle engine does not keep uv_run from returning;
 *                         uv_loop_close is 0 after tcpm_engine_close's closed.
 *
 * Results are 0 (or 1 where it says so), or negative: -errno or a TCPM_ERRORS code. What a call
 * cannot accept is -EINVAL, before anything has changed: NULL for a pointer that is not called
 * ..._or_null, a struct whose size is none, a time out of range, and what each call says. Times are
 * milliseconds, at most 2^32 - 2 (49 days); sizes are bytes; numbers have the host's byte order.
 *
 * Structs that begin with size grow at their end only: set size to sizeof, the rest to zero.
 * Shorter than the library's: read as if completed with zeros. Longer: accepted if the unknown part
 * is all zero, else -E2BIG, so no option is ever ignored.
 */
#ifndef TCPMULTI_H
#define TCPMULTI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TCPM_API __attribute__((visibility("default")))

#define TCPM_NONE (-1)

struct uv_loop_s;    /* uv_loop_t */
struct tcpm_engine;  /* what the sessions of one loop share: deadlines, ids, admission, limits */
struct tcpm_session; /* handlers, defaults, tasks, and the connections opened in it */
struct tcpm_filter;  /* a specification, immutable; each connection gets an instance of its own */
struct tcpm_out;     /* where a filter's put writes */

/* A connection; 0 is none; below 2^53. */
struct tcpm_id {
    uint64_t n;
};
struct tcpm_alarm {
    uint64_t n;
};

/* Ids are generation * 2^21 + slot. A slot names one live connection at a time and is used again
   later; slots start at 1 and stay dense, so they can index an array of yours. */
#define TCPM_ID_SLOT(id) ((uint32_t) ((id).n & 0x1fffff))

/* ---- errors ---- */
#define TCPM_ERRORS(X)                     \
    X(EOF, -20001, "end of file")          \
    X(ETOOLONG, -20002, "record too long") \
    X(ENOTFOUND, -20003, "no such name")   \
    X(EFILTER, -20004, "input does not fit the filter")
#define TCPM__ERROR(name, code, text) TCPM_##name = (code),
enum tcpm_error_code { TCPM_ERRORS(TCPM__ERROR) TCPM_ERROR_CODE_LAST = -20005 };
#undef TCPM__ERROR

/* "ECONNREFUSED", "EOF": the errname of Lua. Both static, never NULL. */
TCPM_API const char *tcpm_error_name(int code);
TCPM_API const char *tcpm_error_text(int code);
/* The code of such a name; 0: not known. */
TCPM_API int tcpm_error_code(const char *name);

/* Of this header; for #if. That of the library is tcpm_version(), "MAJOR.MINOR.PATCH". */
#define TCPM_VERSION_MAJOR 0
#define TCPM_VERSION_MINOR 1
#define TCPM_VERSION_PATCH 0
#define TCPM_VERSION_NUMBER \
    (TCPM_VERSION_MAJOR * 10000 + TCPM_VERSION_MINOR * 100 + TCPM_VERSION_PATCH)
TCPM_API const char *tcpm_version(void);

/* New values are appended in later releases: have a default branch. The names are the words of
   Lua; static, "unknown" for what is not known. */
enum tcpm_op {
    TCPM_OP_RESOLVE = 1,
    TCPM_OP_SOCKET,
    TCPM_OP_BIND,
    TCPM_OP_CONNECT,
    TCPM_OP_READ,
    TCPM_OP_WRITE,
    TCPM_OP_FILTER,
    TCPM_OP_FAIL
};
enum tcpm_phase {
    TCPM_PHASE_WAITING = 1,
    TCPM_PHASE_CONNECTING,
    TCPM_PHASE_OPEN,
    TCPM_PHASE_SHUTTING,
    TCPM_PHASE_CLOSED
};
enum tcpm_timer {
    TCPM_TIMER_CONNECT = 1,
    TCPM_TIMER_INPUT,
    TCPM_TIMER_SHUTDOWN,
    TCPM_TIMER_DEADLINE
};
enum tcpm_reason {
    TCPM_REASON_SHUTDOWN = 1,
    TCPM_REASON_FAILURE,
    TCPM_REASON_ERROR,
    TCPM_REASON_EOF,
    TCPM_REASON_TIMEOUT,
    TCPM_REASON_DIE
};
TCPM_API const char *tcpm_op_name(enum tcpm_op op);
TCPM_API const char *tcpm_phase_name(enum tcpm_phase phase);
TCPM_API const char *tcpm_timer_name(enum tcpm_timer timer);
TCPM_API const char *tcpm_reason_name(enum tcpm_reason reason);

struct tcpm_error {
    size_t size;
    enum tcpm_op op;
    int code;            /* negative; TCPM_EOF for the peer's FIN */
    const char *message; /* one printable line */
};

/* ---- events ---- */

/* One table per session, copied by tcpm_session_create; what is NULL is not called. */
#define TCPM_ON void *heap, struct tcpm_session *session, struct tcpm_id id
struct tcpm_events {
    size_t size;
    void (*initialize)(TCPM_ON, const char *addr, unsigned port, const char *bind_addr,
                       unsigned bind_port);
    /* fd: for getsockopt and setsockopt; never close it. addr: the peer's, numeric. */
    void (*success)(TCPM_ON, int fd, const char *addr, unsigned port);
    void (*input)(TCPM_ON, const void *record, size_t length);
    void (*flushed)(TCPM_ON);
    void (*failure)(TCPM_ON, const struct tcpm_error *error); /* before success */
    void (*error)(TCPM_ON, const struct tcpm_error *error);   /* after success */
    void (*timeout)(TCPM_ON, enum tcpm_timer timer);
    void (*disconnected)(TCPM_ON, enum tcpm_reason reason);    /* the place to release heap */
    void (*room)(struct tcpm_session *session, void *user);    /* see tcpm_has_room */
    void (*stopped)(struct tcpm_session *session, void *user); /* the session's last */
    /* The peer's FIN: called instead of error(READ, TCPM_EOF), which stays the cause. disconnected
       follows with the reason EOF, with half_open once the output is shut too. */
    void (*eof)(TCPM_ON);
};

/* ---- engine ---- */
struct tcpm_engine_options {
    size_t size;
    /* Sockets of this engine; the default is RLIMIT_NOFILE less min(64, half of it), at least 1.
       Divide it yourself between several engines. */
    int64_t max_connections;
    /* Bytes received or unsent that all connections together may hold; 1 GiB. */
    int64_t max_memory;
    /* Like realloc; size 0 frees. The C library's. */
    void *(*reallocate)(void *block, size_t size, void *user);
    /* One printable line for each change of phase; none. */
    void (*trace)(const char *line, void *user);
    void *user; /* for these two; borrowed until closed */
};
/* -EINVAL: a limit below TCPM_NONE. */
TCPM_API int tcpm_engine_create(struct uv_loop_s *loop,
                                const struct tcpm_engine_options *options_or_null,
                                struct tcpm_engine **engine);
/* Resets what is open (disconnected: DIE), stops all sessions, calls closed_or_null once from the
   loop; then the engine is gone. For a graceful end call tcpm_die for each session first and wait
   for stopped. */
TCPM_API void tcpm_engine_close(struct tcpm_engine *engine, void (*closed_or_null)(void *user),
                                void *user);
/* As tcpm_engine_close, for a host whose loop may not run again, or that has closed all handles of
   its loop by uv_walk and run it until they were gone: the last events and stopped come inside this
   call, and then the engine is gone. In a handler, or while a task is dropped: -EBUSY. */
TCPM_API int tcpm_engine_close_now(struct tcpm_engine *engine);
/* What was given to tcpm_engine_create. */
TCPM_API struct uv_loop_s *tcpm_engine_loop(struct tcpm_engine *engine);
TCPM_API int64_t tcpm_now_ns(void); /* CLOCK_MONOTONIC */

/* ---- sessions ---- */
struct tcpm_task { /* what alarms and posts run, once */
    void (*run)(struct tcpm_session *session, void *user, void *argument);
    void (*drop)(void *argument); /* instead of run, when it will never run; may be NULL */
    void *argument;               /* borrowed until one of the two */
    void *reserved[2];            /* NULL: room for later */
};
struct tcpm_beat { /* what tcpm_every runs, again and again */
    /* due_ns: when, on the clock of tcpm_now_ns. ticks: the beats that this call stands for; where
       it is more than 1 the others were missed, and due_ns is the last one's. */
    void (*run)(struct tcpm_session *session, void *user, void *argument, int64_t due_ns,
                uint64_t ticks);
    void (*drop)(void *argument); /* when it will not run any more; may be NULL */
    void *argument;               /* borrowed until then */
    void *reserved[2];            /* NULL: room for later */
};
struct tcpm_session_options {
    size_t size;
    const struct tcpm_events *events;
    void *user;                 /* borrowed until stopped */
    int64_t connect_timeout_ms; /* 30,000; from the start of the attempt, names included */
    /* 300,000; any received byte restarts it. So does the progress of an upload, which begins when
       the kernel does not take all of a send at once, and ends when the peer has acknowledged all:
       that is looked at when the time is over. */
    int64_t input_timeout_ms;
    int64_t shutdown_timeout_ms; /* 30,000; without progress */
    int64_t deadline_ms;         /* none; of the whole connection, from its attempt on */
    /* line; kept, you may free yours. The same one twice is one instance for both directions. */
    struct tcpm_filter *input_filter, *output_filter;
    int64_t domain;          /* 0: any, 4 or 6 */
    int64_t max_connections; /* sockets of this session at once; none */
    int64_t connect_rate;    /* attempts a second; none. For less than one: connect_interval_ns */
    /* Unsent bytes of a connection: 1 MiB, 64 KiB (at most high_mark), 64 MiB. */
    int64_t high_mark, low_mark, max_queued;
    int64_t no_nodelay; /* 0: TCP_NODELAY, set with the second send; nothing holds back the first */
    /* A peer that is gone is an error (ETIMEDOUT) after about twice so many seconds, also while
       output waits for it; so is a peer that takes no output for that time. Default: none. */
    int64_t keepalive_s;
    /* 1: what is sent in one turn of the loop is queued, and goes out together before the loop
       polls for events. Default: each send tries the kernel at once. */
    int64_t cork;
    /* 1: the peer's FIN ends the input only. After eof, which must be given, the phase stays open:
       send, output filters, alarms and times go on, what concerns input gives -ESHUTDOWN, and the
       input timeout is the time in which the peer acknowledges no output. tcpm_shutdown and
       tcpm_shutdown_output end it with the reason EOF, tcpm_die with DIE, tcpm_reset with SHUTDOWN.
       Default: the FIN ends the connection once all output is acknowledged. */
    int64_t half_open;
    /* From one attempt to the next, at most 49 days; what is made later than that catches up, by up
       to 20 ms. Instead of connect_rate: both are -EINVAL. Default: none. */
    int64_t connect_interval_ns;
};
/* -EINVAL: no events; a domain that is not 0, 4 or 6; a limit below TCPM_NONE; a connect_rate above
   1,000,000,000 or beside a connect_interval_ns; keepalive_s below 0 or above 32,767; cork that is
   not 0 or 1; half_open that is not 0, 1 or TCPM_NONE, or 1 without eof. */
TCPM_API int tcpm_session_create(struct tcpm_engine *engine,
                                 const struct tcpm_session_options *options,
                                 struct tcpm_session **session);
/* Shuts down all connections, drops tasks and signals; stopped comes after the last, from the loop;
   then the pointer is gone. From here on -ESHUTDOWN is the answer of what would begin something in
   the session: tcpm_connect, tcpm_has_room, tcpm_post, tcpm_delay, tcpm_every, tcpm_sig, tcpm_die;
   and of what tcpm_shutdown makes answer so, for its connections. */
TCPM_API int tcpm_die(struct tcpm_session *session);
/* What was given to tcpm_session_create; the engine that was. */
TCPM_API void *tcpm_session_user(struct tcpm_session *session);
TCPM_API struct tcpm_engine *tcpm_session_engine(struct tcpm_session *session);
/* The live connections, oldest first; {0} begins and ends. Close as you go. A walk may take several
   turns of the loop, and go on from a connection that has ended meanwhile; but if somebody else has
   walked over the session since, it begins again then. O(1). */
TCPM_API struct tcpm_id tcpm_next(struct tcpm_session *session, struct tcpm_id after);
struct tcpm_stats {
    size_t size;
    uint64_t waiting, connecting, open, shutting; /* connections now */
    uint64_t received, sent;                      /* bytes in all */
    uint64_t queued, held; /* bytes now: unsent; received and not yet a record */
};
/* You set stats->size. */
TCPM_API int tcpm_stats_get(struct tcpm_session *session, struct tcpm_stats *stats);
/* How connections of a session have ended, counted by reason, operation, code and timer. */
struct tcpm_tally_entry {
    size_t size;
    enum tcpm_reason reason;
    enum tcpm_op op;       /* of the cause; 0: there was none */
    int code;              /* of the cause; 0: there was none */
    enum tcpm_timer timer; /* the one that ran out; 0: none */
    uint64_t count;        /* connections */
    const char *message;   /* of the first such end, one line, or ""; borrowed until stopped */
};
/* The entry of an index from 0, the largest count first. 1: *entry is filled in, you set its size.
   0: there are no more. A connection is counted before its disconnected. Without memory for a new
   kind of end that end is not counted. */
TCPM_API int tcpm_tally(struct tcpm_session *session, size_t index, struct tcpm_tally_entry *entry);
/* 1: a connect that follows at once would start at once. 0: it would wait; then the event room
   comes once, from the loop, when a place is free that the session's own limits let it take, and no
   connect of any session waits for it. Until then that event is work: it keeps uv_run running.
   -ESHUTDOWN: the session is dying. */
TCPM_API int tcpm_has_room(struct tcpm_session *session);

/* ---- connections ---- */
struct tcpm_connect_options {
    size_t size;
    /* 1..253 bytes: an IPv4 dotted quad, IPv6 with or without brackets and %scope, or a name. */
    const char *address;
    const char *service; /* name or decimal, used when port is 0 */
    int64_t port;        /* 1..65535 */
    const char *bind_address;
    int64_t bind_port; /* 0: any */
    void *heap;        /* borrowed until disconnected; after a negative result it is yours again */
    /* The session's. */
    int64_t connect_timeout_ms, input_timeout_ms, shutdown_timeout_ms, deadline_ms;
    struct tcpm_filter *input_filter, *output_filter;
    /* Handlers of this connection alone, copied; what is NULL in it is the session's handler. room
       and stopped must be NULL. Default: all are the session's. */
    const struct tcpm_events *events;
    /* Why this target is not to be tried: the connection gets initialize, and from the loop failure
       with RESOLVE, -EINVAL and this text as its message, and disconnected; so a bad line in a list
       of targets is an event like others. address is then any text, or NULL for none; a port that
       is none counts as 0. Default: the target is tried. */
    const char *refused;
    int64_t half_open; /* 1, or TCPM_NONE for 0. Default: as in the session */
};
/* -EINVAL: an address of another length, or with a control character or a space in it; a port or
   bind_port out of range; a service that is neither decimal nor in /etc/services; a bind_address
   that is not numeric; events with room or stopped; half_open as above. -ESHUTDOWN: the session is
   dying. Everything else is an event: an address that is none (a URL, "127.1", "[::1]:80") is
   failure with RESOLVE, and its message says what is wrong. */
TCPM_API int tcpm_connect(struct tcpm_session *session, const struct tcpm_connect_options *options,
                          struct tcpm_id *id_or_null);
/* One record. 0: taken. 1: taken, and more than high_mark is queued now. Negative: nothing was
   taken. Also before success: queued, and sent first. Each call tries the kernel at once, which is
   one system call: for many small records use tcpm_send_many, or the session's option cork. */
TCPM_API int tcpm_send(struct tcpm_session *session, struct tcpm_id id, const void *record,
                       size_t length);
struct tcpm_record {
    const void *bytes;
    size_t length;
};
/* Several records, all or none. -EINVAL: count 0, or bytes NULL with a length. */
TCPM_API int tcpm_send_many(struct tcpm_session *session, struct tcpm_id id,
                            const struct tcpm_record *records, size_t count);

/* No more input; flush, FIN, disconnected. Before success: cancels. */
TCPM_API int tcpm_shutdown(struct tcpm_session *session, struct tcpm_id id);
/* Flush, FIN; input goes on to its end. */
TCPM_API int tcpm_shutdown_output(struct tcpm_session *session, struct tcpm_id id);
/* RST, queue dropped, disconnected: SHUTDOWN. */
TCPM_API int tcpm_reset(struct tcpm_session *session, struct tcpm_id id);
/* error (before success: failure) with op FAIL, then RST. code: negative; message: one line is made
   of it, NULL: the code's. */
TCPM_API int tcpm_fail(struct tcpm_session *session, struct tcpm_id id, int code,
                       const char *message);
/* The two that follow are for bindings to other languages. tcpm_fail_as: as tcpm_fail, with another
   operation than FAIL: for a filter that failed outside of its functions, say. tcpm_abort: for a
   handler that raised. RST and disconnected with reason ERROR, whatever was to end the connection;
   failure and error are left out. From failure, error or timeout on their reason stands. */
TCPM_API int tcpm_fail_as(struct tcpm_session *session, struct tcpm_id id, enum tcpm_op op,
                          int code, const char *message);
TCPM_API int tcpm_abort(struct tcpm_session *session, struct tcpm_id id, const char *message);

/* From the next record on, buffered ones and EOF too. The input timeout stands still meanwhile. */
TCPM_API int tcpm_pause(struct tcpm_session *session, struct tcpm_id id);
/* Goes on in a later turn. */
TCPM_API int tcpm_resume(struct tcpm_session *session, struct tcpm_id id);

/* The timeout of this phase, from now; 0: none. */
TCPM_API int tcpm_timeout(struct tcpm_session *session, struct tcpm_id id, int64_t ms);
/* From now; no input moves it; 0: none. */
TCPM_API int tcpm_deadline(struct tcpm_session *session, struct tcpm_id id, int64_t ms);

/* NULL keeps the one in use. What is received and not yet a record goes through the new one, after
   the handler has returned. */
TCPM_API int tcpm_filter_set(struct tcpm_session *session, struct tcpm_id id,
                             struct tcpm_filter *input, struct tcpm_filter *output);
/* Puts bytes in front of those. */
TCPM_API int tcpm_unread(struct tcpm_session *session, struct tcpm_id id, const void *bytes,
                         size_t length);
/* The next record is exactly the next n bytes, whatever the filter, which goes on behind them; 0 to
   1 GiB, more is TCPM_ETOOLONG; TCPM_NONE: not, after all. Legal where tcpm_unread is. Bytes that
   were put back count, the LF that belongs to a line before does not. The record comes as an event
   input, or by tcpm_input_next; what is there when the input ends before stays pending. A second
   order before the record replaces the first; another filter does not. */
TCPM_API int tcpm_take(struct tcpm_session *session, struct tcpm_id id, int64_t n);
/* For a filter of yours that keeps bytes itself and is to be replaced: the byte, 1..255, belongs to
   its last record and is dropped if it comes next from the network. */
TCPM_API int tcpm_swallow(struct tcpm_session *session, struct tcpm_id id, int byte);
/* From the event input of this connection: the next record, without an event of its own. 1: *record
   is borrowed like that of the event, or until the next call. 0: none that may be delivered now, or
   not such an event: *record is untouched, and what is left comes as events. For two purposes: to
   answer all that one read has brought by one tcpm_send_many, and to spare programs, and bindings
   to other languages, the cost of an event for each record. */
TCPM_API int tcpm_input_next(struct tcpm_session *session, struct tcpm_id id, const void **record,
                             size_t *length);
/* What is received and not yet a record. *bytes is borrowed until the next call, or until the
   handler returns. */
TCPM_API int tcpm_pending(struct tcpm_session *session, struct tcpm_id id, const void **bytes,
                          size_t *length);

TCPM_API int tcpm_heap_set(struct tcpm_session *session, struct tcpm_id id, void *heap);
/* Also in disconnected. */
TCPM_API int tcpm_heap_get(struct tcpm_session *session, struct tcpm_id id, void **heap);
struct tcpm_info {
    size_t size;
    enum tcpm_phase phase;
    unsigned port;
    const char *address;             /* as given to tcpm_connect; borrowed until the next call */
    uint64_t received, sent, queued; /* queued: taken, not sent; in disconnected: lost */
    int64_t timeout_ms;              /* of this phase, as set, not what is left; 0: none */
    int64_t deadline_ms;             /* what is left of it; 0: none */
    struct tcpm_error cause;         /* the first one; code 0: none */
    enum tcpm_timer timer;           /* the one that ran out; 0: none */
};
/* You set info->size. */
TCPM_API int tcpm_info_get(struct tcpm_session *session, struct tcpm_id id, struct tcpm_info *info);
struct tcpm_endpoints { /* of an open connection; before success and at the end "" and 0 */
    size_t size;
    unsigned peer_port, local_port;
    char peer[64], local[64]; /* numeric */
};
/* Costs a system call. You set endpoints->size. */
TCPM_API int tcpm_endpoints_get(struct tcpm_session *session, struct tcpm_id id,
                                struct tcpm_endpoints *endpoints);

/* ---- tasks ---- */

/* Posted in a handler: runs after it has returned, before the next record or event, in order.
   Posted elsewhere, or by such a task: runs in the next turn of the loop. */
TCPM_API int tcpm_post(struct tcpm_session *session, struct tcpm_task task);
/* After ms from now, once, never early. With an id the alarm is the connection's: dropped before
   its disconnected. */
TCPM_API int tcpm_delay(struct tcpm_session *session, struct tcpm_id id_or_zero, int64_t ms,
                        struct tcpm_task task, struct tcpm_alarm *alarm_or_null);
TCPM_API int tcpm_delay_adjust(struct tcpm_session *session, struct tcpm_alarm alarm, int64_t ms);
/* The same in nanoseconds, at most as long. */
TCPM_API int tcpm_delay_ns(struct tcpm_session *session, struct tcpm_id id_or_zero, int64_t ns,
                           struct tcpm_task task, struct tcpm_alarm *alarm_or_null);
TCPM_API int tcpm_delay_adjust_ns(struct tcpm_session *session, struct tcpm_alarm alarm,
                                  int64_t ns);
/* In the task of a connection's alarm: that connection. Everywhere else: {0}. */
TCPM_API struct tcpm_id tcpm_alarm_connection(struct tcpm_session *session);
/* At ns from now, 2 ns, and so on, without drift: 100,000 (0.1 ms) to 49 days. To tcpm_delay_adjust
   such an alarm is -EINVAL. */
TCPM_API int tcpm_every(struct tcpm_session *session, int64_t ns, struct tcpm_beat beat,
                        struct tcpm_alarm *alarm_or_null);
/* Its task is dropped. */
TCPM_API int tcpm_alarm_remove(struct tcpm_session *session, struct tcpm_alarm alarm);
/* Runs each time the signal comes; a task with run NULL ends that. */
TCPM_API int tcpm_sig(struct tcpm_session *session, int signum, struct tcpm_task task);

/* ---- filters, built in ---- */

/* What ends a line. ANY: CR LF, LF or CR. LF: one CR before it is dropped. AUTO: what the first one
   turns out to be: a CR or LF ends the first line at once, and if the other of the two comes next,
   both together end all lines, else that one alone. */
enum tcpm_ends { TCPM_ENDS_ANY, TCPM_ENDS_LF, TCPM_ENDS_AUTO };
struct tcpm_line_options {
    size_t size;
    const char *input_literal, *output_literal; /* by ends; CRLF */
    int64_t ends;
    int64_t max_length;                                 /* 64 KiB */
    size_t input_literal_length, output_literal_length; /* 0: they end at their NUL */
};
/* PostgreSQL: .length = "u32be", .offset = 1, .adjust = -4, .header = 1. README has more. */
struct tcpm_block_options {
    size_t size;
    int64_t block_size; /* or: */
    /* "u8", "u16be", "u16le", "u24be", "u24le", "u32be", "u32le", "u64be", "ascii0", "varint". */
    const char *length;
    int64_t offset;     /* bytes before the length field; needs header */
    int64_t adjust;     /* added to the length that the field gives */
    int64_t header;     /* 1: records contain the header, and put passes them through */
    int64_t max_length; /* of a record without its header; 16 MiB */
};
/* Bytes as they come, at most 32 KiB in a record. */
TCPM_API int tcpm_filter_stream(struct tcpm_filter **filter);
/* -EINVAL: ends that are none; an input_literal besides ends, or an empty one; a literal of more
   than 4,096 bytes; a negative max_length that is not TCPM_NONE. */
TCPM_API int tcpm_filter_line(const struct tcpm_line_options *options_or_null,
                              struct tcpm_filter **filter);
/* -EINVAL: not exactly one of block_size and length; a block_size above max_length, or with offset,
   adjust or header; a length that is none of these; an offset without header, below 0 or above
   65,536; a header that is not 0 or 1; an adjust beyond 32 bits; max_length as above. */
TCPM_API int tcpm_filter_block(const struct tcpm_block_options *options,
                               struct tcpm_filter **filter);
/* max_length 0: 16 MiB. */
TCPM_API int tcpm_filter_netstring(int64_t max_length, struct tcpm_filter **filter);
/* NULL is fine; sessions and connections keep theirs. */
TCPM_API void tcpm_filter_free(struct tcpm_filter *filter);

/* ---- a filter of your own ---- */

/* Pure: its bytes, its self, nothing else. It may call nothing here but tcpm_out_write. */
struct tcpm_cut {
    size_t size; /* of this struct in the library that calls: members behind it are not there */
    /* In. So many of the bytes were there already at the last call, which found no record: no need
       to look at them again. */
    size_t seen;
    /* In. The byte that the record before has named in swallow: 1, it came and was dropped; 0, some
       other came, or none was named; -1, it is still to come, and all bytes here were put in front
       of it (tcpm_unread). */
    int swallowed;
    /* Out, all zero at first. */
    size_t used;        /* taken from the front: 0 to length */
    const void *record; /* inside bytes or self; read before the next call */
    size_t length;      /* of record */
    size_t need;        /* without a record: ask again at so many bytes; 0: with the next one */
    /* With a record. The byte that belongs to it and is dropped if it comes next: the LF of a CR LF
       cut in two. */
    int swallow;
    /* With a record: self holds another one, ask again, also when no byte is left (length 0). */
    int more;
    /* With a negative result: one line is made of it, copied; NULL: the text of the code. */
    const char *message;
};
struct tcpm_filter_kind {
    size_t size;
    const char *name;
    size_t self_size; /* zeroed memory for each instance, aligned for any type */
    /* The specification, once; negative: tcpm_filter_custom fails with it. */
    int (*init)(void *self, const void *options);
    /* For each connection; NULL: bytes are copied, and then there is no fini. */
    int (*clone)(void *self, const void *specification);
    void (*fini)(void *self);
    /* 1: a record. 0: none yet. Negative: error(FILTER, that code) ends the connection. What is not
       used stays in the library: it is what pending shows and what the next filter gets, so there
       is nothing to hand over. */
    int (*get_one)(void *self, const char *bytes, size_t length, struct tcpm_cut *cut);
    /* 0, or negative: send fails with it. */
    int (*put)(void *self, const void *record, size_t length, struct tcpm_out *out);
};
TCPM_API int tcpm_filter_custom(const struct tcpm_filter_kind *kind_borrowed, const void *options,
                                struct tcpm_filter **filter);
TCPM_API int tcpm_out_write(struct tcpm_out *out, const void *bytes, size_t length);

/* ---- a filter by hand, without a connection: to try one, and to make filters of others ---- */

struct tcpm_codec; /* an instance with the bytes that it was fed; belongs to nobody else */
TCPM_API int tcpm_codec_open(struct tcpm_filter *filter, struct tcpm_codec **codec);
TCPM_API void tcpm_codec_close(struct tcpm_codec *codec); /* NULL is fine */
TCPM_API int tcpm_codec_feed(struct tcpm_codec *codec, const void *bytes, size_t length);
/* 1: a record. 0: none yet. Negative: the filter's. What these four give is the codec's own memory,
   borrowed until the next call with this codec. */
TCPM_API int tcpm_codec_get_one(struct tcpm_codec *codec, struct tcpm_record *record);
/* What was wrong, where tcpm_codec_get_one has been negative: one line; never NULL. */
TCPM_API const char *tcpm_codec_message(const struct tcpm_codec *codec);
TCPM_API int tcpm_codec_put(struct tcpm_codec *codec, const void *record, size_t length,
                            struct tcpm_record *bytes);
/* What was fed and is not yet a record. */
TCPM_API int tcpm_codec_pending(struct tcpm_codec *codec, struct tcpm_record *bytes);
/* Forgets that. */
TCPM_API int tcpm_codec_clear(struct tcpm_codec *codec);
/* The byte that the last record has named in swallow, if it is still to come, else 0. It is then
   the caller's to drop: see tcpm_swallow. */
TCPM_API int tcpm_codec_swallow(struct tcpm_codec *codec);
/* Tells a filter that is to know (TCPM_ENDS_AUTO) what became of it: 1, it was dropped; 0, some
   other byte came. */
TCPM_API int tcpm_codec_swallowed(struct tcpm_codec *codec, int swallowed);

#ifdef __cplusplus
}
#endif

#endif
