/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the C API share: a host with a loop and an engine, connections that write down
 * what happens to them, and the end of it all, at which nothing may be left. Tests see the public
 * header and the built shared library, nothing else of ours.
 */
#ifndef TESTS_CAPI_HOST_H
#define TESTS_CAPI_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>

#include <cmocka.h>
#include <uv.h>

#include "tcpmulti.h"

#include "peer.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define RUN_TESTS(tests)                                  \
    int main(void)                                        \
    {                                                     \
        cmocka_set_message_output(CM_OUTPUT_TAP);         \
        return cmocka_run_group_tests(tests, NULL, NULL); \
    }

/* Seconds after which a test that waits has failed, however slow the machine. */
#define HOST_PATIENCE 40

struct host {
    uv_loop_t loop;
    uv_timer_t watchdog;
    struct tcpm_engine *engine;
    int descriptors; /* before it began */
    int closed;      /* calls of closed */
};

/* Loop and engine; the options may be NULL. Descriptors are counted: peers start after it, and have
   stopped before host_close. */
void host_open(struct host *host, const struct tcpm_engine_options *options);
/* Closes the engine and the loop; fails if anything is left of them. */
void host_close(struct host *host);
/* The two halves of it: a loop without an engine. */
void host_loop_open(struct host *host);
void host_loop_close(struct host *host);
void host_engine_close(struct host *host);
/* Runs the loop until it has nothing left to do. */
void host_run(struct host *host);
/* Runs it until the condition holds. */
void host_run_until(struct host *host, bool (*holds)(void *argument), void *argument);
int host_descriptors(void); /* that this process has open */

/* ---- connections that write down what happens to them ---- */

enum event {
    EVENT_INITIALIZE = 1,
    EVENT_SUCCESS,
    EVENT_INPUT,
    EVENT_FLUSHED,
    EVENT_FAILURE,
    EVENT_ERROR,
    EVENT_TIMEOUT,
    EVENT_DISCONNECTED,
    EVENT_EOF
};

struct track {
    struct tcpm_session *session;
    struct tcpm_id id;
    /* Called in each event, after it has been written down. */
    void (*hook)(struct track *track, enum event event);
    void *user;
    /* "initialize success input(hello) error(read,EOF) disconnected(eof)"; flushed is only counted,
       long records stand as input[length]. */
    char log[4096];
    size_t log_length;
    unsigned count[EVENT_EOF + 1];
    enum event last;
    uint64_t received; /* bytes of records */
    uint64_t checksum;
    /* what the event at hand, or the last one of its kind, said */
    const char *record;
    size_t length;
    int fd;
    char addr[64];
    unsigned port;
    enum tcpm_op op;
    int code;
    char message[600];
    enum tcpm_timer timer;
    enum tcpm_reason reason;
};

/* For sessions whose heaps are tracks. Every event is checked against the grammar. */
const struct tcpm_events *track_events(void);
/* The same with the event eof. */
const struct tcpm_events *track_events_eof(void);
/* A session with these events; options may be NULL. */
struct tcpm_session *track_session(struct host *host, const struct tcpm_session_options *options);
/* Connects to a port on 127.0.0.1, or as options say; the track must be zeroed, with hook and user
   set. Fails if connect does. */
void track_connect(struct track *track, struct tcpm_session *session, int port);
void track_connect_with(struct track *track, struct tcpm_session *session,
                        struct tcpm_connect_options options);
/* Where an open connection goes, from where. */
struct tcpm_endpoints track_endpoints(const struct track *track);
#define assert_log(track, expected) assert_string_equal((track)->log, expected)

static inline bool track_ended(void *track)
{
    return ((struct track *) track)->count[EVENT_DISCONNECTED] > 0;
}

static inline bool track_open(void *track)
{
    return ((struct track *) track)->count[EVENT_SUCCESS] > 0;
}

/* Two peers with one program on one port, of 127.0.0.1 and of ::1. */
void peers_of_both_families(const char *program, struct peer **four, struct peer **six);

/* The stream filter; the caller frees it. */
struct tcpm_filter *stream_filter(void);
/* A track_session of streams, both ways. */
struct tcpm_session *stream_session(struct host *host, struct tcpm_session_options options);

#endif
