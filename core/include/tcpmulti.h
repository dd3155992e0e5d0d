/* SPDX-License-Identifier: MIT */
/*
 * libtcpmulti: very many outgoing TCP connections on a libuv loop of yours.
 *
 * How to use it: tcpm_engine_create for your loop; tcpm_session_create with a table of handlers;
 * tcpm_connect for each target; then run the loop. Handlers are called as things happen to the
 * connections. README.md has a complete program.
 *
 * What the library promises. The test of each promise is named after it.
 *
 * one-thread-per-loop     An engine and all that belongs to it are used by the thread that runs its
 *                         loop. A filter too belongs to one thread: make one for each loop.
 * one-process             An engine belongs to the process that made it. In the child of a fork
 *                         every call that would begin or change something returns -ECHILD, no
 *                         handler runs, and a loop that the child has taken over by uv_loop_fork
 *                         does nothing with the engine. The exception is tcpm_engine_close, which
 *                         ends the engine in the child and touches no connection of the parent.
 *                         Make another engine for the child.
 * handlers-from-the-loop  Handlers run from uv_run only, never inside a call of yours. There are
 *                         two exceptions: initialize runs inside tcpm_connect, and the last events
 *                         run inside tcpm_engine_close_now. Every function of this header may be
 *                         called from every handler.
 * one-last-event          The events of a connection come in this order:
 *                         initialize (success (input|flushed)* (eof flushed*)?)?
 *                         (failure|error|timeout)? disconnected. For each tcpm_connect that
 *                         returned 0, disconnected comes once, and last. After a negative result
 *                         of tcpm_connect no event comes.
 * late-id-is-stale        An id is never used again in its engine. Once the handler of disconnected
 *                         has returned, every call with that id returns -ESTALE, for ever.
 * copied-unless-borrowed  Arguments are copied before the call returns, unless the comment says
 *                         borrowed. Arguments of a handler are borrowed by the handler until it
 *                         returns.
 * zero-is-default         Zero in an options struct means the default. TCPM_NONE means no timeout,
 *                         or no limit.
 * memory-is-an-error      Out of memory is -ENOMEM, or an error event on the one connection that
 *                         needed the memory.
 * leaves-no-trace         Nothing prints, exits or aborts (in release builds: builds for debugging
 *                         abort on a mistake of the library's own). No signal disposition changes,
 *                         but by tcpm_sig. An idle engine does not keep uv_run from returning.
 *                         uv_loop_close returns 0 once the callback of tcpm_engine_close has run.
 *
 * Results are 0, or 1 where the comment says so, or negative: -errno or a code of TCPM_ERRORS.
 * -EINVAL answers arguments that a call cannot accept, before anything has changed: NULL for a
 * pointer whose name does not end in _or_null, a struct whose size cannot be one, a time out of
 * range, and others as each call says. Calls with an id return -ESTALE for the id of a connection
 * that is gone. Times are milliseconds, at most 2^32 - 2 (49 days), where the name has no other
 * unit; sizes are bytes; port numbers have the host's byte order.
 *
 * Structs that begin with size grow at their end only, so that programs and libraries of different
 * ages work together: set size to sizeof the struct, and the rest to zero. A struct that is shorter
 * than the library's is read as if completed with zeros. A longer one is accepted if the part that
 * the library does not know is all zero, else the call returns -E2BIG: no option is ever ignored.
 */
#ifndef TCPMULTI_H
#define TCPMULTI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TCPM_API __attribute__((visibility("default")))

/* No timeout, or no limit, where zero means the default. */
#define TCPM_NONE (-1)

struct uv_loop_s;    /* uv_loop_t */
struct tcpm_engine;  /* shared by the sessions of a loop: deadlines, ids, admission, limits */
struct tcpm_session; /* handlers, defaults, tasks, and the connections opened in it */
struct tcpm_filter;  /* how bytes become records; immutable; each connection gets an instance */
struct tcpm_tls;     /* how a connection speaks TLS: what it verifies and offers; immutable */
struct tcpm_out;     /* where a filter's put writes the bytes of a record */

/* The id of a connection. n is below 2^53, so that a double holds it; 0: no connection. */
struct tcpm_id {
    uint64_t n;
};
/* The id of an alarm. n is below 2^53; 0: no alarm. */
struct tcpm_alarm {
    uint64_t n;
};

/* The slot of an id: an id is generation * 2^21 + slot. A slot names one live connection at a time
   and is used again later. Slots start at 1 and stay dense, so they can index an array of yours. */
#define TCPM_ID_SLOT(id) ((uint32_t) ((id).n & 0x1fffff))

/* ---- errors ---- */

/* The errors that no errno names: X(name, code, text). */
#define TCPM_ERRORS(X)                                            \
    X(EOF, -20001, "end of file")                                 \
    X(ETOOLONG, -20002, "record too long")                        \
    X(ENOTFOUND, -20003, "no such name")                          \
    X(EFILTER, -20004, "input does not fit the filter")           \
    X(ESERVFAIL, -20005, "the name servers have failed")          \
    X(EREFUSED, -20006, "the name servers refuse to answer")      \
    X(EBADRESP, -20007, "a name server answers without sense")    \
    X(EBADNAME, -20008, "not a name that a host can have")        \
    X(EPOLICY, -20009, "all addresses are denied")                \
    X(ECERT, -20010, "the certificate is not accepted")           \
    X(ETLS, -20011, "TLS has failed")                             \
    X(ETRUNCATED, -20012, "cut off: the end came without notice") \
    X(EINJECTION, -20013, "plain text where TLS was to begin")    \
    X(EPROXY, -20014, "the proxy refuses")                        \
    X(EPROXYAUTH, -20015, "the proxy wants other credentials")    \
    X(EREJECTED, -20016, "not what was expected")
#define TCPM__ERROR(name, code, text) TCPM_##name = (code),
enum tcpm_error_code { TCPM_ERRORS(TCPM__ERROR) TCPM_ERROR_CODE_LAST = -20017 };
#undef TCPM__ERROR

/* The name of a negative code, such as "ECONNREFUSED" or "EOF" (in Lua: errname), and its text in
   English. "OK" and "no error" for 0; "EUNKNOWN" and "unknown error" for a code that is not known.
   Both are static, never NULL. */
TCPM_API const char *tcpm_error_name(int code);
TCPM_API const char *tcpm_error_text(int code);
/* The code of a name, negative; 0: the name is not known, or NULL. */
TCPM_API int tcpm_error_code(const char *name);

/* ---- version ---- */

/* The version of this header, for #if. Its only place: meson.build reads it from here. */
#define TCPM_VERSION_MAJOR 0
#define TCPM_VERSION_MINOR 1
#define TCPM_VERSION_PATCH 0
#define TCPM_VERSION_NUMBER \
    (TCPM_VERSION_MAJOR * 10000 + TCPM_VERSION_MINOR * 100 + TCPM_VERSION_PATCH)
/* The version of the library that runs: "MAJOR.MINOR.PATCH", static. */
TCPM_API const char *tcpm_version(void);

/* ---- words ---- */

/* Later releases append values to these enums: a switch needs a default branch. Zero is no value of
   any, and means none. */

/* The operation that failed. */
enum tcpm_op {
    TCPM_OP_RESOLVE = 1, /* from the address as given to numeric addresses */
    TCPM_OP_SOCKET,      /* making a socket */
    TCPM_OP_BIND,        /* binding it to bind_address and bind_port */
    TCPM_OP_CONNECT,
    TCPM_OP_READ,
    TCPM_OP_WRITE,
    TCPM_OP_FILTER, /* cutting what was received into records */
    TCPM_OP_FAIL,   /* you called tcpm_fail */
    TCPM_OP_TLS,    /* the handshake of TLS, or its records */
    TCPM_OP_PROXY   /* the dialogue with a proxy */
};
/* Where a connection is in its life. */
enum tcpm_phase {
    TCPM_PHASE_WAITING = 1, /* for a place: limits let no further socket be opened now */
    TCPM_PHASE_CONNECTING,
    TCPM_PHASE_OPEN,
    TCPM_PHASE_SHUTTING, /* the end is decided: output is flushed, then disconnected comes */
    TCPM_PHASE_CLOSED    /* disconnected is running */
};
/* The timer that ran out. */
enum tcpm_timer {
    TCPM_TIMER_CONNECT = 1,
    TCPM_TIMER_INPUT,
    TCPM_TIMER_SHUTDOWN,
    TCPM_TIMER_DEADLINE,
    TCPM_TIMER_TLS /* a handshake in the middle of a stream (tcpm_starttls) */
};
/* Why a connection has ended. */
enum tcpm_reason {
    TCPM_REASON_SHUTDOWN = 1, /* you ended it: tcpm_shutdown, tcpm_reset */
    TCPM_REASON_FAILURE,      /* the attempt to connect failed */
    TCPM_REASON_ERROR,        /* an error after success */
    TCPM_REASON_EOF,          /* the peer ended it */
    TCPM_REASON_TIMEOUT,
    TCPM_REASON_DIE /* you ended its session or engine: tcpm_die, tcpm_engine_close */
};
/* The way in which names are looked up. */
enum tcpm_dns {
    TCPM_DNS_AUTO = 1, /* c-ares if the library was built with it, else the system */
    TCPM_DNS_ARES,     /* c-ares: queries to name servers (tcpm_names_set), thousands at once */
    TCPM_DNS_SYSTEM    /* getaddrinfo(3) in threads of the library, four at once */
};
/* The words of these values, which are those of Lua: "connect", "open", "eof". Static; "unknown"
   for a value that is not known. */
TCPM_API const char *tcpm_op_name(enum tcpm_op op);
TCPM_API const char *tcpm_phase_name(enum tcpm_phase phase);
TCPM_API const char *tcpm_timer_name(enum tcpm_timer timer);
TCPM_API const char *tcpm_reason_name(enum tcpm_reason reason);

/* An error, as handlers and tcpm_info_get tell it. */
struct tcpm_error {
    size_t size;
    enum tcpm_op op;
    int code;            /* negative; TCPM_EOF: the peer's FIN */
    const char *message; /* one printable line */
};

/* ---- events ---- */

/* The handlers of a session, copied by tcpm_session_create. A handler that is NULL is not called.
   heap: as given to tcpm_connect or tcpm_heap_set. id: the connection. */
struct tcpm_events {
    size_t size;
    /* Inside tcpm_connect, with the target as it was given there; bind_addr may be NULL. */
    void (*initialize)(void *heap, struct tcpm_session *session, struct tcpm_id id,
                       const char *addr, unsigned port, const char *bind_addr, unsigned bind_port);
    /* The connection stands. fd: the socket, for getsockopt and setsockopt; never close it. addr:
       the peer's address, numeric. */
    void (*success)(void *heap, struct tcpm_session *session, struct tcpm_id id, int fd,
                    const char *addr, unsigned port);
    /* One record, as the input filter has cut it. */
    void (*input)(void *heap, struct tcpm_session *session, struct tcpm_id id, const void *record,
                  size_t length);
    /* The kernel has taken all that was sent; or, after tcpm_send has returned 1, unsent bytes have
       fallen to low_mark. */
    void (*flushed)(void *heap, struct tcpm_session *session, struct tcpm_id id);
    /* Before success: no connection could be made. */
    void (*failure)(void *heap, struct tcpm_session *session, struct tcpm_id id,
                    const struct tcpm_error *error);
    /* After success: the connection is broken, or the peer has ended it (READ, TCPM_EOF). */
    void (*error)(void *heap, struct tcpm_session *session, struct tcpm_id id,
                  const struct tcpm_error *error);
    void (*timeout)(void *heap, struct tcpm_session *session, struct tcpm_id id,
                    enum tcpm_timer timer);
    /* The last event of the connection: the place to release heap. */
    void (*disconnected)(void *heap, struct tcpm_session *session, struct tcpm_id id,
                         enum tcpm_reason reason);
    /* tcpm_has_room has returned 0, and now there is room. user: as given to
       tcpm_session_create. */
    void (*room)(struct tcpm_session *session, void *user);
    /* The last event of the session. Once this handler returns the session is gone. */
    void (*stopped)(struct tcpm_session *session, void *user);
    /* The peer's FIN (RFC 9293, 3.6): called instead of error(READ, TCPM_EOF), which stays the
       cause. disconnected follows with the reason EOF; with half_open not before the output is shut
       too. */
    void (*eof)(void *heap, struct tcpm_session *session, struct tcpm_id id);
    /* The handshake that tcpm_starttls has begun is over: from here on all goes through TLS. */
    void (*secure)(void *heap, struct tcpm_session *session, struct tcpm_id id);
};
/* The events of a connection, in the order of struct tcpm_events: X(NAME, name). For code that goes
   through all of them, such as a binding to another language. */
#define TCPM_EVENTS(X)            \
    X(INITIALIZE, initialize)     \
    X(SUCCESS, success)           \
    X(INPUT, input)               \
    X(FLUSHED, flushed)           \
    X(FAILURE, failure)           \
    X(ERROR, error)               \
    X(TIMEOUT, timeout)           \
    X(DISCONNECTED, disconnected) \
    X(EOF, eof)                   \
    X(SECURE, secure)

/* ---- engine ---- */

struct tcpm_engine_options {
    size_t size;
    /* Sockets that this engine may have open at once. Default: RLIMIT_NOFILE less 64, or half of it
       where that is more, at least 1. Several engines do not know of each other: divide the limit
       yourself. */
    int64_t max_connections;
    /* Bytes that all connections together may hold: received; unsent, those that TLS has encrypted
       and those for a proxy among them; and for TLS 40 KiB in a handshake, 24 KiB afterwards. What
       is beyond is refused: sends by -ENOBUFS; a connection that receives more ends by the error
       ENOBUFS, and handshakes and passages through proxies fail by it. What is queued already is
       sent all the same, by one record of TLS at a time, so that each connection may hold 16 KiB
       more. Default: 1 GiB. */
    int64_t max_memory;
    /* Allocates like realloc; size 0 frees. Default: the C library's allocator. */
    void *(*reallocate)(void *block, size_t size, void *user);
    /* Gets one printable line for each change of phase. Default: nobody does. */
    void (*trace)(const char *line, void *user);
    void *user; /* the argument of reallocate, trace and key_log; borrowed until the engine is
                   closed */
    /* Handshakes of TLS that may be begun at once, at 41 KB each; the others wait connected, in
       order. One whose peer was silent for a second does not count. Default: 512. */
    int64_t max_handshakes;
    /* Gets one line for each secret of TLS, in the format of SSLKEYLOGFILE (RFC 9850), by which
       others can read what was sent. Default: nobody does; the environment is not looked at. */
    void (*key_log)(const char *line, void *user);
};
/* Makes the engine of a loop, which is borrowed until the engine is closed. -EINVAL: a limit below
   TCPM_NONE. */
TCPM_API int tcpm_engine_create(struct uv_loop_s *loop,
                                const struct tcpm_engine_options *options_or_null,
                                struct tcpm_engine **engine);
/* Resets all connections (disconnected has the reason DIE), stops all sessions, and calls
   closed_or_null once from the loop; then the engine is gone. For a graceful end call tcpm_die for
   each session first, and wait for its event stopped. */
TCPM_API void tcpm_engine_close(struct tcpm_engine *engine, void (*closed_or_null)(void *user),
                                void *user);
/* As tcpm_engine_close, for a host whose loop may not run again, or that has closed all handles of
   its loop by uv_walk and run it until they were gone. The last events and stopped come inside this
   call; then the engine is gone. -EBUSY: in a handler, or while a task is dropped. */
TCPM_API int tcpm_engine_close_now(struct tcpm_engine *engine);
/* The loop that was given to tcpm_engine_create. */
TCPM_API struct uv_loop_s *tcpm_engine_loop(struct tcpm_engine *engine);
/* Shows the state of an engine to people who look for a mistake: calls on_line once for each line,
   which is printable ASCII without a line end, and borrowed until on_line returns. The first line
   is that of the engine; then each connection has a line, session by session, the oldest first:

       engine sessions 2 waiting 0 connecting 1 open 1 shutting 0 places 2 of 960 memory 10 of
       1073741824 work 2                                                        (on one line)
       2097153 127.0.0.1:80 open placed,more output open timeout 1200ms deadline none received 123
       sent 45 queued 0 held 10                                                 (on one line)

   places: connections that have or may have a socket, of as many as may have one now. memory: bytes
   as of max_memory. work: all that keeps uv_run running. The line of a connection begins with its
   id, its target as given and, if that is a name, the address in use in parentheses. Then come its
   phase ("shutting:flushing" while output is sent, "shutting:ending" before the last events), the
   library's own flags ("-": none) and the state of its output, whose names may change in later
   releases; the times left of the timeout that runs and of the deadline; and bytes as in struct
   tcpm_stats. Takes no memory, changes nothing, and works in a forked process too. on_line must not
   call the library. */
TCPM_API int tcpm_engine_dump(struct tcpm_engine *engine,
                              void (*on_line)(const char *line, void *user), void *user);
/* Nanoseconds of CLOCK_MONOTONIC (clock_gettime(2)). */
TCPM_API int64_t tcpm_now_ns(void);

/* ---- sessions ---- */

/* A function of yours that alarms and posts run once. */
struct tcpm_task {
    /* user: as given to tcpm_session_create. */
    void (*run)(struct tcpm_session *session, void *user, void *argument);
    void (*drop)(void *argument); /* called instead of run if run will never be; may be NULL */
    void *argument;               /* borrowed until run or drop is called */
    void *reserved[2];            /* for later releases; set them to NULL */
};
/* A function of yours that tcpm_every runs again and again. */
struct tcpm_beat {
    /* due_ns: the time at which the beat was due, on the clock of tcpm_now_ns. ticks: the number of
       beats that this call stands for; where it is more than 1, beats were missed, and due_ns is
       that of the last one. */
    void (*run)(struct tcpm_session *session, void *user, void *argument, int64_t due_ns,
                uint64_t ticks);
    void (*drop)(void *argument); /* called once run will not be called any more; may be NULL */
    void *argument;               /* borrowed until drop is called */
    void *reserved[2];            /* for later releases; set them to NULL */
};
struct tcpm_session_options {
    size_t size;
    const struct tcpm_events *events; /* required */
    void *user;                       /* the argument of room, stopped and tasks; borrowed until
                                         stopped has returned */
    /* The time for an attempt to connect, from its start, looking up the name included, but not the
       time for which a look-up waits for one of the four threads of TCPM_DNS_SYSTEM. Default:
       30,000. */
    int64_t connect_timeout_ms;
    /* The time in which nothing is received. Any received byte restarts it. So does the progress of
       an upload, which begins when the kernel does not take all of a send at once, and ends when
       the peer has acknowledged all; progress is looked at when the time is over. Default:
       300,000. */
    int64_t input_timeout_ms;
    /* The time in which the peer acknowledges nothing while output is flushed. Default: 30,000. */
    int64_t shutdown_timeout_ms;
    /* The time for the whole connection, from the start of its attempt. Default: no limit. */
    int64_t deadline_ms;
    /* How input is cut into records, and records are written. The session keeps the filters: you
       may free yours. The same filter twice is one instance for both directions. Default: the
       filter line with its defaults. */
    struct tcpm_filter *input_filter, *output_filter;
    /* 4: IPv4 only, 6: IPv6 only. Default: both. */
    int64_t domain;
    /* Sockets that this session may have open at once. Default: no limit but the engine's. */
    int64_t max_connections;
    /* Attempts to connect per second; for less than one see connect_interval_ns. Default: no
       limit. */
    int64_t connect_rate;
    /* Unsent bytes of one connection: above high_mark tcpm_send returns 1, and flushed comes when
       they have fallen to low_mark; a send beyond max_queued is refused with -ENOBUFS. Default: 1
       MiB, 64 KiB (at most high_mark), 64 MiB. */
    int64_t high_mark, low_mark, max_queued;
    /* 1: TCP_NODELAY is not set (tcp(7)). Default: it is set, with the second send, with TLS the
       first, because nothing holds back one before that. */
    int64_t no_nodelay;
    /* A peer that is gone is an error (ETIMEDOUT) after about twice so many seconds, also while
       output waits for it; so is a peer that takes no output for that time. Default: no such
       check. */
    int64_t keepalive_s;
    /* 1: sends of one turn of the loop are queued, and go out together before the loop polls for
       events. Default: each send tries the kernel at once. */
    int64_t cork;
    /* 1: the peer's FIN ends the input only. After the event eof, whose handler is then required,
       the phase stays open. Sending, output filters, alarms and times go on; calls that concern
       input return -ESHUTDOWN; the input timeout becomes the time in which the peer acknowledges no
       output. tcpm_shutdown and tcpm_shutdown_output end the connection with the reason EOF,
       tcpm_die with DIE, tcpm_reset with SHUTDOWN. Default: the FIN ends the connection once all
       output is acknowledged. */
    int64_t half_open;
    /* Nanoseconds from one attempt to the next, at most 49 days; attempts that come late catch up,
       by up to 20 ms. Not together with connect_rate. Default: no limit. */
    int64_t connect_interval_ns;
    /* 1: the steps of each connection are timed, for tcpm_times_get, in an object of its own.
       Default: they are not, and no connection grows. */
    int64_t times;
    int64_t dns; /* enum tcpm_dns. Default: TCPM_DNS_AUTO */
    /* Addresses that stand for targets, before any look-up: one "host:port=address:port" a line, as
       in "www.example:443=127.0.0.1:8443". "host:*" stands for all ports of a host, "*:port" for a
       port of all hosts; the most exact line counts, and of two alike the last one. Without ":port"
       behind the address the port stays as it is. IPv6 addresses have brackets on both sides.
       Default, and "": none. */
    const char *resolve;
    /* Addresses that no connection may go to, separated by commas or spaces: networks as in
       "10.0.0.0/8, 2001:db8::/32", and the classes private, loopback, linklocal, multicast,
       unspecified and reserved. Each address of a target is checked, after the look-up and after
       resolve; so is a numeric target, and an IPv4 address inside an IPv6 one. A denied address
       among others is left out; a target without any other fails with RESOLVE and TCPM_EPOLICY.
       Default, and "": none. */
    const char *deny;
    /* The addresses of a name are tried in turn, IPv6 first, and no attempt is given up for the
       next one. attempt_delay_ms: the time from one attempt to the next, which begins at once when
       one has failed (RFC 8305, 5). resolution_delay_ms: the time that IPv4 addresses wait for the
       look-up of IPv6 addresses (RFC 8305, 3). At least 10 each. Default: 250, 50. */
    int64_t attempt_delay_ms, resolution_delay_ms;
    /* Local addresses, numeric: one, several separated by commas, or a range like "10.1.0.0/24".
       Each socket takes the least used one; of more than 256, the less used of two drawn. A range
       has at most 65,536 addresses, but that an IPv6 one may be larger. Addresses of an IPv6 range
       need to be on no interface: a local route is enough, as for all of IPv4. Default: the kernel
       chooses. */
    const char *bind_address;
    int64_t bind_port; /* local port. Default: the kernel chooses it */
    /* The interface to use, such as "eth0", 1 to 15 bytes (SO_BINDTODEVICE of socket(7)). Default,
       and "": any. */
    const char *bind_device;
    /* Connections speak TLS: success comes after the handshake, and nothing is sent before. The
       session holds it: you may free yours. Default: plain text. */
    struct tcpm_tls *tls;
    /* Proxies on the way to each target, nearest first, separated by spaces, 8 at most:
       "socks5://host:port", "socks5h://..." or "http://..." (CONNECT), with "user:password@" before
       the host where the proxy wants them, percent-encoded. Ports default to 1080 and 3128. The
       proxy gets the target's name from socks5h and http; for socks5 we look it up, and an IPv4
       address is sent if there is one. resolve and deny count for the target, domain for the
       address of the nearest proxy only. success comes when the way to the target is free, with the
       target's address, or its name where only the proxy knows the address. A proxy that refuses
       is a failure with PROXY. -EINVAL: no such list; deny together with a last proxy that looks
       the target up. -EOPNOTSUPP: socks4, https and the like; tcpm_proxy_check says more. Default,
       and "": none. */
    const char *proxy;
    /* 1 or 2: the header of the PROXY protocol in that version, which tells the server our address
       and the target's, is sent behind the proxies and before TLS; with proxies it says that the
       origin is unknown. It goes in one segment with the first bytes, where those are sent until
       success has returned. Not a part of sent. Default, and TCPM_NONE: none. */
    int64_t send_proxy;
    /* Sockets that this session may have open at once to one address, whatever the port: the
       address that a name was looked up to; an IPv4 address and its form for IPv6 are one. An
       address that has them all is passed over while another one of the target may do; else the
       connection goes back to the phase waiting, without socket and place, and its connect timeout
       stands still. While as many as max_connections, of the session or the engine, wait like that,
       no new connect starts, and there is no room. Behind a proxy only the proxy knows whom it
       connects to: nothing is counted. Default: no limit. */
    int64_t max_per_address;
};
/* Makes a session, with no connection yet. -EINVAL: no events; a domain that is not 0, 4 or 6; a
   limit below TCPM_NONE; a connect_rate above 1,000,000,000, or together with a
   connect_interval_ns; a keepalive_s below 0 or above 32,767; a cork or times that is not 0 or 1; a
   half_open that is not 0, 1 or TCPM_NONE, or that is 1 without a handler of eof; a dns that is no
   enum tcpm_dns; a resolve, deny, bind_address or bind_device that cannot be read; a delay below
   10; a bind_port out of range. -EOPNOTSUPP: TCPM_DNS_ARES in a library built without c-ares. */
TCPM_API int tcpm_session_create(struct tcpm_engine *engine,
                                 const struct tcpm_session_options *options,
                                 struct tcpm_session **session);
/* Replaces the handlers of a session: those of live connections too, from their next event on, but
   for connections that were made with handlers of their own. -EINVAL: no events; no handler of eof,
   in a session with half_open. */
TCPM_API int tcpm_events_set(struct tcpm_session *session, const struct tcpm_events *events);
/* Ends a session: shuts down all its connections, drops its tasks and signals. The event stopped
   comes after the last disconnected, from the loop; then the pointer is no longer valid. From this
   call on, calls that would begin something in the session return -ESHUTDOWN: tcpm_connect,
   tcpm_has_room, tcpm_post, tcpm_delay, tcpm_every, tcpm_sig, tcpm_die; and so do those calls for
   its connections that return it after tcpm_shutdown. */
TCPM_API int tcpm_die(struct tcpm_session *session);
/* The user and the engine that were given to tcpm_session_create. */
TCPM_API void *tcpm_session_user(struct tcpm_session *session);
TCPM_API struct tcpm_engine *tcpm_session_engine(struct tcpm_session *session);
/* The live connection that was made next after this one: a walk over all of them, oldest first. {0}
   begins the walk, and ends it. Connections may be closed on the way. A walk may take several turns
   of the loop, and go on from a connection that has ended meanwhile; but if another walk over the
   session has been made since, it begins again from such a connection. O(1). */
TCPM_API struct tcpm_id tcpm_next(struct tcpm_session *session, struct tcpm_id after);
struct tcpm_stats {
    size_t size;
    uint64_t waiting, connecting, open, shutting; /* connections that are in this phase now */
    uint64_t received, sent;                      /* bytes since the session was made */
    uint64_t queued;                              /* bytes taken and not yet sent */
    uint64_t held;                                /* bytes received and not yet a record */
    uint64_t denied; /* addresses that the option deny has left out, since the session was made */
    /* Since the session was made: handshakes of TLS that were completed, those of them that have
       resumed a session, those that have failed; ends without close_notify; bytes in plain text
       where TLS was to begin. */
    uint64_t handshakes, resumed, tls_failed, truncated, injected;
};
/* Counts of a session. You set stats->size. */
TCPM_API int tcpm_stats_get(struct tcpm_session *session, struct tcpm_stats *stats);
/* One way in which connections of a session have ended: the same reason, operation, code and
   timer. */
struct tcpm_tally_entry {
    size_t size;
    enum tcpm_reason reason;
    enum tcpm_op op;       /* operation of the cause; 0: there was no cause */
    int code;              /* code of the cause; 0: there was no cause */
    enum tcpm_timer timer; /* timer that ran out; 0: none */
    uint64_t count;        /* connections that ended so */
    const char *message;   /* message of the first end, one line, or ""; borrowed until stopped */
};
/* The tally of a session: its entry of an index from 0, the largest count first. 1: *entry is
   filled in; you set its size. 0: there are no more. A connection is counted before its event
   disconnected. An end of a new kind for which there is no memory is not counted. */
TCPM_API int tcpm_tally(struct tcpm_session *session, size_t index, struct tcpm_tally_entry *entry);
/* 1: a tcpm_connect that follows now would start its attempt at once. 0: the connection would wait.
   After 0 the event room comes once, from the loop, when a place is free that the session's own
   limits let it take, and no connection of any session waits for that place. The awaited event
   keeps uv_run running. -ESHUTDOWN: the session is dying. */
TCPM_API int tcpm_has_room(struct tcpm_session *session);

/* ---- connections ---- */

struct tcpm_connect_options {
    size_t size;
    /* 1 to 253 bytes: an IPv4 dotted quad, IPv6 (RFC 4291, 2.2) with or without brackets and
       %scope, or a name. */
    const char *address;
    const char *service; /* a name of /etc/services or a decimal number, used when port is 0 */
    int64_t port;        /* 1 to 65,535 */
    /* The local address, or several, as in struct tcpm_session_options. Default: as in the
       session. */
    const char *bind_address;
    /* The local port. Default: as in the session. */
    int64_t bind_port;
    /* The first argument of this connection's handlers; borrowed until disconnected. After a
       negative result of tcpm_connect it is yours again. */
    void *heap;
    /* Times and filters as in struct tcpm_session_options. Default: those of the session. */
    int64_t connect_timeout_ms, input_timeout_ms, shutdown_timeout_ms, deadline_ms;
    struct tcpm_filter *input_filter, *output_filter;
    /* Handlers of this connection alone, copied. For a handler that is NULL the session's is
       called. room and stopped must be NULL. Default: all handlers are the session's. */
    const struct tcpm_events *events;
    /* The reason why this target is not to be tried: the connection gets initialize, and from the
       loop failure (RESOLVE, -EINVAL, this text as the message) and disconnected. So a bad line in
       a list of targets is an event like others. address may then be any text, or NULL; a port out
       of range counts as 0. Default: the target is tried. */
    const char *refused;
    /* 1: as half_open of the session's options; TCPM_NONE: not. Default: as in the session. */
    int64_t half_open;
    /* As the session's options of these names, each in place of the session's, with which nothing
       is merged; "" takes the session's away. Default: as in the session. */
    int64_t dns;
    const char *resolve, *deny;
    int64_t attempt_delay_ms, resolution_delay_ms;
    const char *bind_device;
    struct tcpm_tls *tls; /* held by the connection. Default: as in the session */
    /* The name that is sent to the server, and that its certificate has to have; numeric addresses
       too. Default: address. */
    const char *server_name;
    int64_t plain; /* 1: no TLS, whatever the session's is. Default: as in the session */
    /* As in struct tcpm_session_options, in place of the session's. Default: as in the session. */
    const char *proxy;
    int64_t direct; /* 1: no proxy, whatever the session's is; not together with proxy */
    int64_t send_proxy;
};
/* Makes a connection in the phase waiting or connecting. *id_or_null is set before initialize runs.
   -EINVAL: an address of another length, or with a control character or a space in it; a port or
   bind_port out of range; a service that is neither decimal nor in /etc/services; a bind_address
   that is not numeric; events with room or stopped; a server_name that no certificate can have; a
   plain or direct that is not 0 or 1; an option that the session's options would refuse.
   -EOPNOTSUPP: likewise. -ESHUTDOWN: the session is dying. Everything else is an event: a text that
   is no address (a URL, "127.1", "[::1]:80") is a failure with RESOLVE, whose message says what is
   wrong. */
TCPM_API int tcpm_connect(struct tcpm_session *session, const struct tcpm_connect_options *options,
                          struct tcpm_id *id_or_null);
/* Sends one record through the output filter. 0: taken. 1: taken, and more than high_mark is queued
   now. Negative: nothing was taken. Before success the bytes are queued, and sent first. Each call
   tries the kernel at once, which is one system call: for many small records use tcpm_send_many, or
   the session's option cork. */
TCPM_API int tcpm_send(struct tcpm_session *session, struct tcpm_id id, const void *record,
                       size_t length);
struct tcpm_record {
    const void *bytes;
    size_t length;
};
/* As tcpm_send, for several records: all of them are taken, or none. -EINVAL: a count of 0, or
   bytes NULL with a length. */
TCPM_API int tcpm_send_many(struct tcpm_session *session, struct tcpm_id id,
                            const struct tcpm_record *records, size_t count);

/* Ends a connection in order: no more input is delivered, the output is flushed, FIN is sent, and
   disconnected comes. Before success the attempt is cancelled. */
TCPM_API int tcpm_shutdown(struct tcpm_session *session, struct tcpm_id id);
/* Ends the output only: it is flushed, and FIN is sent. Input goes on to its end. */
TCPM_API int tcpm_shutdown_output(struct tcpm_session *session, struct tcpm_id id);
/* Ends a connection at once: unsent bytes are dropped, RST is sent (RFC 9293, 3.5.2), and
   disconnected comes with the reason SHUTDOWN. */
TCPM_API int tcpm_reset(struct tcpm_session *session, struct tcpm_id id);
/* Ends a connection by an error of yours: the event error (before success: failure) with the
   operation FAIL, then RST. code: negative. message: one printable line is made of it; NULL: the
   text of the code. */
TCPM_API int tcpm_fail(struct tcpm_session *session, struct tcpm_id id, int code,
                       const char *message);
/* For bindings to other languages. As tcpm_fail, with another operation than FAIL: for a filter
   that failed outside of its functions, say. */
TCPM_API int tcpm_fail_as(struct tcpm_session *session, struct tcpm_id id, enum tcpm_op op,
                          int code, const char *message);
/* For bindings to other languages, when a handler has raised an exception: RST, and disconnected
   with the reason ERROR, whatever else was to end the connection; failure and error are left out.
   Once failure, error or timeout has come, the reason that belongs to it stands. */
TCPM_API int tcpm_abort(struct tcpm_session *session, struct tcpm_id id, const char *message);

/* Holds back input from the next record on, that which is buffered and the peer's FIN too. The
   input timeout stands still meanwhile. */
TCPM_API int tcpm_pause(struct tcpm_session *session, struct tcpm_id id);
/* Lets input go on, in a later turn of the loop. */
TCPM_API int tcpm_resume(struct tcpm_session *session, struct tcpm_id id);

/* Sets the timeout of the present phase, from now on; 0: none. */
TCPM_API int tcpm_timeout(struct tcpm_session *session, struct tcpm_id id, int64_t ms);
/* Sets the deadline of the connection, from now on, which nothing that happens moves; 0: none. */
TCPM_API int tcpm_deadline(struct tcpm_session *session, struct tcpm_id id, int64_t ms);

/* Changes filters; NULL keeps the filter that is in use. Bytes that are received and not yet a
   record go through the new input filter, after the handler has returned. */
TCPM_API int tcpm_filter_set(struct tcpm_session *session, struct tcpm_id id,
                             struct tcpm_filter *input, struct tcpm_filter *output);
/* Gives the filters in use, to be set again later for example: each with a hold of yours, which
   tcpm_filter_free gives up. input and output may be NULL. 0, or -ESTALE. */
TCPM_API int tcpm_filter_get(struct tcpm_session *session, struct tcpm_id id,
                             struct tcpm_filter **input, struct tcpm_filter **output);
/* Gives names of kinds (tcpm_filter_kind.name), valid as long as the filters: of the filter that
   has cut the last record, "" where tcpm_take has ordered it, to be asked before the filter is
   changed; and of the output's filter. record and output may be NULL. 0, or -ESTALE. */
TCPM_API int tcpm_filter_names(struct tcpm_session *session, struct tcpm_id id, const char **record,
                               const char **output);
/* Puts bytes in front of those that are received and not yet a record. */
TCPM_API int tcpm_unread(struct tcpm_session *session, struct tcpm_id id, const void *bytes,
                         size_t length);
/* Orders a record: the next one is exactly the next n bytes, whatever the filter, which goes on
   behind them. n: 0 to 1 GiB, more is TCPM_ETOOLONG; TCPM_NONE takes the order back. Bytes that
   were put back by tcpm_unread count; the LF that belongs to the line before does not. The record
   comes as an event input, or by tcpm_input_next. Where the input ends before there are n bytes,
   they stay pending. A second order before the record comes replaces the first; another filter does
   not. May be called where tcpm_unread may. */
TCPM_API int tcpm_take(struct tcpm_session *session, struct tcpm_id id, int64_t n);
/* For a filter of yours that keeps bytes itself and is to be replaced: the byte, 1 to 255, belongs
   to its last record, and is dropped if it comes next from the network. */
TCPM_API int tcpm_swallow(struct tcpm_session *session, struct tcpm_id id, int byte);
/* Inside the event input of this connection: gets the next record, without an event of its own. 1:
   *record is borrowed until the handler returns, or until the next such call. 0: there is no record
   that may be delivered now, or no such event is running; *record is untouched, and records that
   are left come as events. For two purposes: to answer all that one read has brought by one
   tcpm_send_many, and to spare programs and bindings the cost of an event for each record. */
TCPM_API int tcpm_input_next(struct tcpm_session *session, struct tcpm_id id, const void **record,
                             size_t *length);
/* Gets the bytes that are received and not yet a record. *bytes is borrowed until the next call, or
   until the handler returns. */
TCPM_API int tcpm_pending(struct tcpm_session *session, struct tcpm_id id, const void **bytes,
                          size_t *length);

/* Changes the first argument of this connection's handlers. */
TCPM_API int tcpm_heap_set(struct tcpm_session *session, struct tcpm_id id, void *heap);
/* Gets it. Works in disconnected too. */
TCPM_API int tcpm_heap_get(struct tcpm_session *session, struct tcpm_id id, void **heap);
struct tcpm_info {
    size_t size;
    enum tcpm_phase phase;
    unsigned port;
    const char *address;     /* as given to tcpm_connect; borrowed until the next call */
    uint64_t received, sent; /* bytes */
    uint64_t queued;         /* bytes taken and not sent; in disconnected: lost */
    int64_t timeout_ms;      /* timeout of this phase, as set, not the time that is left; 0: none */
    int64_t deadline_ms;     /* time that is left until the deadline; 0: none */
    struct tcpm_error cause; /* first error of the connection; code 0: none */
    enum tcpm_timer timer;   /* timer that ran out; 0: none */
};
/* The state of a connection. You set info->size. */
TCPM_API int tcpm_info_get(struct tcpm_session *session, struct tcpm_id id, struct tcpm_info *info);
/* The two ends of an open connection. Before success, and at the end, texts are "" and ports 0. */
struct tcpm_endpoints {
    size_t size;
    unsigned peer_port, local_port;
    char peer[64], local[64]; /* numeric addresses */
};
/* Gets both ends of a connection, by a system call. You set endpoints->size. */
TCPM_API int tcpm_endpoints_get(struct tcpm_session *session, struct tcpm_id id,
                                struct tcpm_endpoints *endpoints);
/* When the steps of a connection were done, in microseconds after began_ns, at most 2^32 - 1. 0:
   not yet, or never. A step that was not needed has the time of the step before it. */
struct tcpm_times {
    size_t size;
    uint64_t began_ns;     /* tcpm_connect was called, on the clock of tcpm_now_ns */
    uint32_t started_us;   /* the attempt began: there was a place for the connection. Later, and so
                              are the steps that were done, by the time of a wait at an address that
                              had max_per_address sockets */
    uint32_t resolved_us;  /* the address that has connected was known */
    uint32_t connected_us; /* the socket was connected */
    uint32_t proxied_us;   /* the dialogues with proxies were over: for later releases */
    uint32_t secured_us;   /* TLS was there: for later releases */
    uint32_t first_us;     /* the read that brought the first byte */
    uint32_t last_us;      /* the read that brought the latest bytes */
};
/* Gets the times of a connection, as far as it has come. You set times->size. All are 0 without the
   session's option times. */
TCPM_API int tcpm_times_get(struct tcpm_session *session, struct tcpm_id id,
                            struct tcpm_times *times);
/* An address that was tried for a target that is a name or has several local addresses. */
struct tcpm_tried {
    size_t size;
    char address[64]; /* numeric */
    unsigned port;
    int code; /* why the attempt failed; 0: it is under way */
};
/* Gets what was tried of an index from 0, in the order of the attempts. 1: *tried is filled in; you
   set its size. 0: there are no more, as always after success. Works in failure, timeout and
   disconnected too, where an attempt that was cut short has the code 0. */
TCPM_API int tcpm_tried_get(struct tcpm_session *session, struct tcpm_id id, unsigned index,
                            struct tcpm_tried *tried);

/* ---- names ---- */

/* How the names of an engine are looked up, for all of its sessions. Whatever asks, /etc/hosts and
   localhost (RFC 6761, 6.3) are looked at first, and answers are kept. All members but ttl_s and
   cache concern c-ares alone: getaddrinfo has a configuration of its own. */
struct tcpm_names_options {
    size_t size;
    /* Name servers, at most 8, separated by commas or spaces: numeric addresses, with or without a
       port, which needs brackets in IPv6: "192.0.2.1, [2001:db8::1]:5353". Default: those of
       /etc/resolv.conf, which is read again when it has changed. */
    const char *servers;
    /* The time for an answer to the first try; each further try has twice the time of the one
       before. At most 60,000. Default: 2,000. */
    int64_t timeout_ms;
    int64_t tries; /* at most 10. Default: 3 */
    /* 1: no domain of resolv.conf (search, domain) is appended to names. Default: it is, as
       resolv.conf(5) tells. */
    int64_t no_search;
    /* Seconds for which an address is kept; TCPM_NONE: not at all, INT64_MAX: for ever. Default: as
       the name server says, at most one hour. */
    int64_t ttl_s;
    /* Queries that may be on their way at once, at most 32,768. As many are as the name servers can
       take, which is found out. Default: 1,024. */
    int64_t concurrency;
    int64_t cache; /* names whose answers are kept, at most 16,777,216. Default: 65,536 */
};
/* Sets how names are looked up from now on; look-ups that run go on as they are. NULL: as an engine
   does it from its start, all defaults. -EINVAL: servers that cannot be read; a number below 0
   (ttl_s: below TCPM_NONE) or too large; a no_search that is not 0 or 1. -ESHUTDOWN: the engine is
   closing. -EOPNOTSUPP: servers for a library that was built without c-ares. */
TCPM_API int tcpm_names_set(struct tcpm_engine *engine,
                            const struct tcpm_names_options *options_or_null);
/* Counts of the look-ups of an engine, since it was made. */
struct tcpm_names_stats {
    size_t size;
    uint64_t hits;    /* look-ups that were answered by what was kept */
    uint64_t misses;  /* look-ups that were not */
    uint64_t queries; /* queries made, one for each family of addresses; repeated ones too */
    uint64_t waiting; /* queries that wait for their turn, or to be made again, now */
    uint64_t window;  /* queries that may be on their way at once, now */
    uint64_t refused; /* queries that the name servers have refused */
    uint64_t lost;    /* queries that got no answer in time, or only after a second try */
};
/* Gets the counts. You set stats->size. All are 0 before the first look-up. */
TCPM_API int tcpm_names_stats_get(struct tcpm_engine *engine, struct tcpm_names_stats *stats);

/* ---- tasks ---- */

/* Runs a task soon, tasks in the order in which they were posted. A task that is posted in a
   handler runs after the handler has returned, before the next record or event. Posted elsewhere,
   or by such a task, it runs in the next turn of the loop. */
TCPM_API int tcpm_post(struct tcpm_session *session, struct tcpm_task task);
/* Sets an alarm: runs a task once, ms from now, never early. With the id of a connection the alarm
   belongs to it, and is dropped before its event disconnected; with {0} it belongs to the
   session. */
TCPM_API int tcpm_delay(struct tcpm_session *session, struct tcpm_id id_or_zero, int64_t ms,
                        struct tcpm_task task, struct tcpm_alarm *alarm_or_null);
/* Moves an alarm that has not run yet to ms from now. */
TCPM_API int tcpm_delay_adjust(struct tcpm_session *session, struct tcpm_alarm alarm, int64_t ms);
/* As tcpm_delay and tcpm_delay_adjust, in nanoseconds; at most 49 days too. */
TCPM_API int tcpm_delay_ns(struct tcpm_session *session, struct tcpm_id id_or_zero, int64_t ns,
                           struct tcpm_task task, struct tcpm_alarm *alarm_or_null);
TCPM_API int tcpm_delay_adjust_ns(struct tcpm_session *session, struct tcpm_alarm alarm,
                                  int64_t ns);
/* The connection whose alarm is running, in the task of that alarm; {0} everywhere else. */
TCPM_API struct tcpm_id tcpm_alarm_connection(struct tcpm_session *session);
/* Runs a beat again and again: ns nanoseconds from now, two times ns from now, and so on, without
   drift. ns: 100,000 (0.1 ms) to 49 days. tcpm_delay_adjust refuses such an alarm by -EINVAL. */
TCPM_API int tcpm_every(struct tcpm_session *session, int64_t ns, struct tcpm_beat beat,
                        struct tcpm_alarm *alarm_or_null);
/* Removes an alarm; its task is dropped. */
TCPM_API int tcpm_alarm_remove(struct tcpm_session *session, struct tcpm_alarm alarm);
/* Runs a task each time the signal comes (by uv_signal_t). A task whose run is NULL ends that. */
TCPM_API int tcpm_sig(struct tcpm_session *session, int signum, struct tcpm_task task);

/* ---- TLS ---- */

/* The problems that a server's certificate can have: X(NAME, word). The values are bits. */
#define TCPM_PROBLEMS(X)                      \
    X(EXPIRED, "expired")                     \
    X(NOT_YET_VALID, "not yet valid")         \
    X(HOST_MISMATCH, "host mismatch")         \
    X(SELF_SIGNED, "self-signed")             \
    X(UNKNOWN_AUTHORITY, "unknown authority") \
    X(WEAK_KEY, "weak key")                   \
    X(WEAK_SIGNATURE, "weak signature")       \
    X(BAD_PURPOSE, "bad purpose")             \
    X(REVOKED, "revoked")                     \
    X(FINGERPRINT, "fingerprint")             \
    X(OTHER, "other")
#define TCPM__PROBLEM_BIT(NAME, word) TCPM__PROBLEM_BIT_##NAME,
#define TCPM__PROBLEM(NAME, word)     TCPM_PROBLEM_##NAME = 1 << TCPM__PROBLEM_BIT_##NAME,
enum { TCPM_PROBLEMS(TCPM__PROBLEM_BIT) TCPM__PROBLEM_COUNT };
enum tcpm_problem { TCPM_PROBLEMS(TCPM__PROBLEM) TCPM__PROBLEM_LAST };
#undef TCPM__PROBLEM_BIT
#undef TCPM__PROBLEM

struct tcpm_tls_options {
    size_t size;
    /* 1: whatever is wrong with the certificate of the server, the connection stands; the problems
       are told all the same. Default: the certificate has to be good. */
    int64_t no_verify;
    /* Certificates of the authorities that are trusted: PEM text, or the name of a file; and a
       folder as made by openssl-rehash(1). Default: those of the system. */
    const char *ca, *ca_path;
    /* The certificate of the client with its chain, and its key: PEM text, or the name of a file;
       and the password of the key. Default: none. */
    const char *cert, *key, *key_password;
    /* Protocols offered by ALPN (RFC 7301), the preferred first, separated by commas. Default:
       none. */
    const char *alpn;
    /* Ciphers up to TLS 1.2, and of TLS 1.3, as for openssl-ciphers(1). Default: those of
       OpenSSL. */
    const char *ciphers, *ciphersuites;
    /* SHA-256 of the server's certificate in hexadecimal, colons allowed. It has to fit, also with
       no_verify. Default: any. */
    const char *fingerprint;
    int64_t min_version, max_version; /* 0x0301 (TLS 1.0) to 0x0304 (TLS 1.3). Default: TLS 1.2 and
                                         the highest that OpenSSL has */
    int64_t no_resumption;            /* 1: each handshake is a full one */
    int64_t allow_truncation;         /* 1: a FIN without close_notify is an end like any other */
    int64_t legacy; /* 1: also servers without RFC 5746; with a min_version below TLS 1.2 also
                       algorithms that OpenSSL refuses by its security level */
    int64_t no_sni; /* 1: the name of the server is not sent (RFC 6066, 3); it is verified all the
                       same */
};
/* The terms that a handshake has agreed on. The strings are static, or borrowed until the next call
   with this engine. */
struct tcpm_tls_info {
    size_t size;
    const char *version;     /* such as "TLSv1.3" */
    const char *cipher;      /* such as "TLS_AES_256_GCM_SHA384" */
    const char *alpn;        /* the protocol that the server has chosen; NULL: none */
    const char *server_name; /* the name that is verified */
    const char *problem;     /* the gravest problem, a word of TCPM_PROBLEMS; NULL: none */
    uint32_t problems;       /* set of enum tcpm_problem */
    int resumed;             /* 1: the handshake has resumed a session (RFC 8446, 2.2) */
    int verified;            /* 1: the certificate was verified, and is good */
    unsigned certificates;   /* in the chain, the server's own among them */
};
/* A certificate of the chain. The strings are borrowed until the next call with this engine. */
struct tcpm_certificate {
    size_t size;
    const char *subject, *issuer; /* distinguished names as by RFC 2253 */
    const char *serial;           /* hexadecimal */
    const char *sans;             /* "DNS:a.example, IP:192.0.2.1"; "": none */
    const char *sha256;           /* fingerprint: 64 hexadecimal digits */
    const char *key_type;         /* "RSA", "EC", "ED25519" */
    const char *signature;        /* such as "ecdsa-with-SHA256" */
    const char *pem;
    unsigned key_bits;
    int64_t not_before, not_after; /* seconds since 1970 (UTC) */
};

/* Makes a specification of TLS, for sessions and connections of this engine. Files are read here,
   once; another tcpm_tls_create reads them anew. Without ca and ca_path the certificates of the
   system are read, 20 to 40 ms once in an engine. options_or_null: NULL: all defaults. Negative:
   *message_or_null says which option is wrong, and why: one line, borrowed until the next call with
   this engine. -EOPNOTSUPP: the library was built without OpenSSL. */
TCPM_API int tcpm_tls_create(struct tcpm_engine *engine,
                             const struct tcpm_tls_options *options_or_null, struct tcpm_tls **tls,
                             const char **message_or_null);
/* Gives up your hold on a specification: sessions and connections keep those that they use. It may
   outlive its engine; where the engine has a reallocate, that is called here. NULL is allowed. */
TCPM_API void tcpm_tls_free(struct tcpm_tls *tls);
/* Begins TLS in the middle of a stream. All that was sent goes first, in plain text; then comes the
   handshake, in the time of connect_timeout (TCPM_TIMER_TLS); then the event secure, and what was
   sent meanwhile. No record is delivered from this call on until secure. Bytes that have come in
   plain text and are no record yet end the connection with TLS, TCPM_EINJECTION and a RST, but for
   the LF of a CR LF. server_name_or_null: as in struct tcpm_connect_options. -EALREADY: TLS has
   begun. -EINVAL: before success; no tls; a server_name that no certificate can have. -ESHUTDOWN:
   the connection was shut down, or the peer's end has come. */
TCPM_API int tcpm_starttls(struct tcpm_session *session, struct tcpm_id id, struct tcpm_tls *tls,
                           const char *server_name_or_null);
/* Tells what TLS has agreed on, from the events success and secure on, also in disconnected; and in
   failure, error and timeout as far as it is known. You set info->size. -ENOENT: the connection
   does not speak TLS. */
TCPM_API int tcpm_tls_get(struct tcpm_session *session, struct tcpm_id id,
                          struct tcpm_tls_info *info);
/* Tells a certificate of the chain: index 0 is the server's own. You set certificate->size. 1:
   *certificate is filled in. 0: there are no more. -ENOENT: the connection does not speak TLS. */
TCPM_API int tcpm_tls_certificate(struct tcpm_session *session, struct tcpm_id id, unsigned index,
                                  struct tcpm_certificate *certificate);

/* ---- proxies ---- */

/* Where a connection with the option proxy fails before a handshake of TLS begins, the message of
   the cause begins with whose failure that is: "hop 2, http proxy.test:3128: "; or, if a look-up
   has failed, "target host.test: ". */

/* Tells whether a text may be the option proxy. 0: it may. 1: it may, and the last proxy looks the
   target up, so the option deny cannot go with it. Negative: as from tcpm_connect, and message says
   which hop is wrong in which way, without anything of its user and password; of 160 bytes at
   most. */
TCPM_API int tcpm_proxy_check(struct tcpm_engine *engine, const char *proxy, char *message,
                              size_t size);

/* ---- filters, built in ---- */

/* The bytes that end a line of the input. ANY: CR LF, LF or CR. LF: LF, and one CR before it is
   dropped. AUTO: whatever the first line end turns out to be; a CR or LF ends the first line at
   once, and if the other of the two comes next, both together end all lines, else the first one
   alone. */
enum tcpm_ends { TCPM_ENDS_ANY, TCPM_ENDS_LF, TCPM_ENDS_AUTO };
struct tcpm_line_options {
    size_t size;
    /* The bytes that end a line. Default: for input as ends says, for output CR LF. */
    const char *input_literal, *output_literal;
    int64_t ends; /* enum tcpm_ends; only without an input_literal */
    /* Bytes of a line without its end; a longer one is an error (TCPM_ETOOLONG). Default: 64
       KiB. */
    int64_t max_length;
    /* Bytes of the literals. Default: up to their NUL. */
    size_t input_literal_length, output_literal_length;
};
/* Either block_size or length is given. As an example, the messages of PostgreSQL: .length =
   "u32be", .offset = 1, .adjust = -4, .header = 1. lua/README.md has more examples. */
struct tcpm_block_options {
    size_t size;
    int64_t block_size; /* bytes of every record */
    /* The encoding of a length field in front of each record: "u8", "u16be", "u16le", "u24be",
       "u24le", "u32be", "u32le", "u64be" (bits and byte order), "ascii0" (decimal digits and a
       NUL), "varint" (7 bits a byte, the lowest first, at most 9 bytes). */
    const char *length;
    int64_t offset; /* bytes before the length field; needs header */
    int64_t adjust; /* added to the length that the field gives */
    int64_t header; /* 1: records contain the header, and put writes them unchanged */
    /* Bytes of a record without its header; a longer one is an error (TCPM_ETOOLONG). Default: 16
       MiB. */
    int64_t max_length;
};
/* Values of RESP 2 and 3, the protocol of Redis. */
struct tcpm_resp_options {
    size_t size;
    /* Bytes of a value, with all that is in it; a longer one is an error (TCPM_ETOOLONG). Default:
       16 MiB. */
    int64_t max_length;
    /* Values in the lists, sets and maps of a value; more are an error (TCPM_ETOOLONG). Default:
       1,048,576. At most 2^30. */
    int64_t max_elements;
};
/* Makes a filter whose records are the bytes as they come, at most 32 KiB in a record. */
TCPM_API int tcpm_filter_stream(struct tcpm_filter **filter);
/* Makes a filter whose records are lines. -EINVAL: ends that are no enum tcpm_ends; an
   input_literal together with ends, or an empty one; a literal of more than 4,096 bytes; a negative
   max_length that is not TCPM_NONE. */
TCPM_API int tcpm_filter_line(const struct tcpm_line_options *options_or_null,
                              struct tcpm_filter **filter);
/* Makes a filter whose records have one size, or their length in front. -EINVAL: not exactly one of
   block_size and length; a block_size above max_length, or with offset, adjust or header; a length
   that is none of the encodings; an offset without header, below 0 or above 65,536; a header that
   is not 0 or 1; an adjust beyond 32 bits; a negative max_length that is not TCPM_NONE. */
TCPM_API int tcpm_filter_block(const struct tcpm_block_options *options,
                               struct tcpm_filter **filter);
/* Makes a filter whose records are netstrings (cr.yp.to/proto/netstrings.txt). max_length 0: 16
   MiB. */
TCPM_API int tcpm_filter_netstring(int64_t max_length, struct tcpm_filter **filter);
/* Makes a filter whose records are values of RESP 2 and 3: the bytes of a whole value, well-formed,
   with all values in it and the attribute before it; out go the bytes as they are. Lists may be 32
   deep. Strings and lists without a length ("$?") are refused, pushes inside of other values too.
   -EINVAL: a negative limit that is not TCPM_NONE. */
TCPM_API int tcpm_filter_resp(const struct tcpm_resp_options *options_or_null,
                              struct tcpm_filter **filter);
/* Gives the name of the filter's kind, valid as long as the filter. NULL: the empty string. */
TCPM_API const char *tcpm_filter_name(const struct tcpm_filter *filter);
/* Gives up your hold on a filter: sessions and connections keep the filters that they use. NULL is
   allowed. */
TCPM_API void tcpm_filter_free(struct tcpm_filter *filter);

/* ---- a filter of your own ---- */

/* Functions of a filter are pure: they see their bytes and their self, nothing else, and of this
   header they call tcpm_out_write only. */

/* One cut: what get_one is told besides the bytes, and what it answers besides its result. */
struct tcpm_cut {
    size_t size; /* bytes of this struct in the library that calls: it has no members behind them */
    /* In: so many bytes from the front were there already at the last call, which found no record.
       There is no need to look at them again. */
    size_t seen;
    /* In: what became of the byte that the record before has named in swallow. 1: it came and was
       dropped. 0: another byte came, or no byte was named. -1: it is still to come, and all bytes
       of this call were put in front of it by tcpm_unread. */
    int swallowed;
    /* The members from here on are set by get_one; they are zero before. */
    size_t used;        /* bytes taken from the front: 0 to length */
    const void *record; /* inside bytes or self; the library reads it before the next call */
    size_t length;      /* bytes of record */
    size_t need;        /* without a record: call again at so many bytes; 0: at one more */
    /* With a record: the byte that belongs to it and is dropped if it comes next, such as the LF of
       a CR LF that came in two pieces; 0: none. */
    int swallow;
    /* With a record, 1: self holds another one. Call again, also when no byte is left (length
       0). */
    int more;
    /* With a negative result: one printable line is made of it, copied; NULL: the text of the
       code. */
    const char *message;
};
/* A kind of filters: its functions, and what they keep. */
struct tcpm_filter_kind {
    size_t size;
    const char *name; /* required */
    size_t self_size; /* bytes of memory for each instance; zeroed, aligned for any type */
    /* Called once, by tcpm_filter_custom, to make the specification in self. 0, or negative:
       tcpm_filter_custom returns that. NULL: self stays zero. */
    int (*init)(void *self, const void *options);
    /* Called for each connection, to make an instance in self. 0, or negative: tcpm_connect,
       tcpm_filter_set and tcpm_codec_open return that. NULL: the bytes of the specification are
       copied; then fini must be NULL too. */
    int (*clone)(void *self, const void *specification);
    /* Called once for the specification and each instance, to release what they own. May be
       NULL. */
    void (*fini)(void *self);
    /* Cuts one record off the bytes. 1: there is one. 0: not yet. Negative: error(FILTER, that
       code) ends the connection. Bytes that are not used stay in the library, which shows them in
       tcpm_pending and gives them to the next filter: a filter has nothing to hand over.
       Required. */
    int (*get_one)(void *self, const char *bytes, size_t length, struct tcpm_cut *cut);
    /* Writes the bytes of one record by tcpm_out_write. 0, or negative: tcpm_send returns that.
       Required. */
    int (*put)(void *self, const void *record, size_t length, struct tcpm_out *out);
    /* Called once for an instance, when the peer has ended its output in order: by FIN, with TLS by
       close_notify (or FIN, where allow_truncation allows that). Never after a reset, an error, a
       timeout or an end of ours, so a record that only ends with the input is whole. Bytes are all
       those left, maybe none. 1: a last record, delivered before the end is told; with more set,
       get_one has further ones. 0: none; bytes that are not used stay pending. Negative: as of
       get_one. Of cut, seen is 0, need and swallow are not read. Not called while a record is
       ordered by tcpm_take. NULL: no record is made of the last bytes. */
    int (*finish)(void *self, const char *bytes, size_t length, struct tcpm_cut *cut);
};
/* Makes a filter of a kind of yours. The strings and functions of the kind are borrowed as long as
   the filter lives; options go to init. -EINVAL: a required member is missing, or fini without
   clone. */
TCPM_API int tcpm_filter_custom(const struct tcpm_filter_kind *kind_borrowed, const void *options,
                                struct tcpm_filter **filter);
/* In put: appends bytes to those of the record. -ENOMEM, -ENOBUFS (max_queued): put returns it. */
TCPM_API int tcpm_out_write(struct tcpm_out *out, const void *bytes, size_t length);

/* ---- a filter by hand, without a connection: to try one, and to make filters of others ---- */

/* An instance of a filter of its own, with the bytes that it was fed. Records and bytes that these
   functions give lie in memory of the codec, borrowed until the next call with it. */
struct tcpm_codec;
TCPM_API int tcpm_codec_open(struct tcpm_filter *filter, struct tcpm_codec **codec);
/* NULL is allowed. */
TCPM_API void tcpm_codec_close(struct tcpm_codec *codec);
/* Appends bytes to the input of the codec. */
TCPM_API int tcpm_codec_feed(struct tcpm_codec *codec, const void *bytes, size_t length);
/* Cuts one record off the input. 1: there is one. 0: not yet. Negative: the error of the filter. */
TCPM_API int tcpm_codec_get_one(struct tcpm_codec *codec, struct tcpm_record *record);
/* Tells the filter that its input has ended: 1, a last record; 0, none; negative, as of
   tcpm_codec_get_one. After a 1 ask tcpm_codec_get_one again, until it has none. */
TCPM_API int tcpm_codec_finish(struct tcpm_codec *codec, struct tcpm_record *record);
/* The message about the last negative result of tcpm_codec_get_one or tcpm_codec_finish: one line,
   never NULL. */
TCPM_API const char *tcpm_codec_message(const struct tcpm_codec *codec);
/* Gives the bytes that the filter writes for a record. */
TCPM_API int tcpm_codec_put(struct tcpm_codec *codec, const void *record, size_t length,
                            struct tcpm_record *bytes);
/* Gives the bytes that were fed and are not yet a record. */
TCPM_API int tcpm_codec_pending(struct tcpm_codec *codec, struct tcpm_record *bytes);
/* Drops the bytes that were fed and are not yet a record. */
TCPM_API int tcpm_codec_clear(struct tcpm_codec *codec);
/* Gives the byte that the last record has named in swallow, if it is still to come, else 0. From
   then on the caller has to drop the byte: see tcpm_swallow. */
TCPM_API int tcpm_codec_swallow(struct tcpm_codec *codec);
/* After tcpm_codec_swallow: tells the filter, for TCPM_ENDS_AUTO wants to know, what became of the
   byte. 1: it was dropped. 0: another byte came. */
TCPM_API int tcpm_codec_swallowed(struct tcpm_codec *codec, int swallowed);

#ifdef __cplusplus
}
#endif

#endif
