/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the C API share. A host is a loop with an engine and the peers of a test;
 * closing it asserts that no handle and no descriptor is left. A track is the heap of a connection
 * (the pointer that each event gets): it writes down each event, and asserts that the event may
 * come. Tests see the public header and the built shared library, nothing else of ours.
 *
 *     struct track track = {.hook = NULL};
 *     track_run(host, &track, NULL, "send \"hello\\n\"; close");
 *     assert_log(&track, "initialize success input(hello) error(read,EOF) disconnected(eof)");
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

/* Names of cases that do not run, separated by commas: see tests/README.md, the test layer. */
#ifndef LEFT_OUT
#define LEFT_OUT ""
#endif

#define RUN_TESTS(tests)                                      \
    int main(void)                                            \
    {                                                         \
        return host_run_tests(tests, COUNT(tests), LEFT_OUT); \
    }

int host_run_tests(const struct CMUnitTest *tests, size_t count, const char *left_out);

/* Seconds after which a test that waits has failed, however slow the machine. */
#define HOST_PATIENCE 40

/* The most peers that a host stops by itself. */
enum { HOST_PEERS = 8 };

struct host {
    uv_loop_t loop;
    uv_timer_t watchdog;
    struct tcpm_engine *engine;
    struct peer *peers[HOST_PEERS]; /* those of host_peer */
    int peer_count;
    int descriptors; /* open in this process before the loop was created */
    int closed;      /* how often the engine has called the function given to tcpm_engine_close */
};

/* A test to whose host *state points. The host is open when the test begins; the test ends with
   host_close, while the tracks on its stack still exist: connections that are left are told of
   their end then. Tests that need options, or several hosts, call host_open themselves. */
#define HOST_TEST(test) cmocka_unit_test_setup_teardown(test, host_setup, host_teardown)
int host_setup(void **state);
int host_teardown(void **state);

/* Creates loop and engine; the options may be NULL. Counts the descriptors that are open now: peers
   are started after host_open, and those of peer_start are stopped before host_close. */
void host_open(struct host *host, const struct tcpm_engine_options *options);
/* Stops the peers, closes engine and loop, and fails if a handle or a descriptor is left. */
void host_close(struct host *host);
/* Halves of host_open and host_close, for tests that create or close the engine themselves. */
void host_loop_open(struct host *host);
void host_loop_close(struct host *host);
void host_engine_close(struct host *host);
/* Starts a peer (peer.h) that host_close stops. */
struct peer *host_peer(struct host *host, const char *program, const struct peer_options *options);
/* Runs the loop until it has nothing left to do. Fails after HOST_PATIENCE seconds. */
void host_run(struct host *host);
/* Runs the loop until the condition holds. Fails if that never comes. */
void host_run_until(struct host *host, bool (*holds)(void *argument), void *argument);
/* How many descriptors this process has open. */
int host_descriptors(void);

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
    /* Set by the event initialize. */
    struct tcpm_session *session;
    struct tcpm_id id;
    /* Set by the test. The hook, if there is one, is called in each event, after the event has been
       written down. */
    void (*hook)(struct track *track, enum event event);
    void *user;
    /* All events so far, as in "initialize success input(hello) disconnected(shutdown)". The event
       flushed is only counted; a long record is written as input[length]. */
    char log[4096];
    size_t log_length;
    unsigned count[EVENT_EOF + 1]; /* events so far, by kind */
    enum event last;
    uint64_t received; /* bytes of all records */
    uint64_t checksum; /* of all records (peer_checksum) */
    /* Arguments of the current event, or of the latest event that had such an argument. The record
       is valid only in its own event. */
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

/* Handlers for sessions whose connections have tracks as heaps, without and with eof. */
const struct tcpm_events *track_events(void);
const struct tcpm_events *track_events_eof(void);
/* Creates a session with the options, which may be NULL. Default of options->events:
   track_events. */
struct tcpm_session *track_session(struct host *host, const struct tcpm_session_options *options);
/* Connects to a port on 127.0.0.1, or as the options say. Before the call, the track must be zero
   but for hook and user. */
void track_connect(struct track *track, struct tcpm_session *session, int port);
void track_connect_with(struct track *track, struct tcpm_session *session,
                        struct tcpm_connect_options options);
/* Runs one connection of a track_session with these options, which may be NULL, against a peer with
   this program (peer.h), until all is over. */
void track_run(struct host *host, struct track *track, const struct tcpm_session_options *options,
               const char *program);
/* Runs the loop until the connection, which stays open, has received so many bytes. */
void track_run_until_received(struct host *host, struct track *track, uint64_t received);
/* Returns both addresses of an open connection. */
struct tcpm_endpoints track_endpoints(const struct track *track);
/* Asserts that exactly these events have come. */
#define assert_log(track, expected) assert_string_equal((track)->log, expected)

/* Conditions for host_run_until. */
static inline bool track_ended(void *track)
{
    return ((struct track *) track)->count[EVENT_DISCONNECTED] > 0;
}

static inline bool track_open(void *track)
{
    return ((struct track *) track)->count[EVENT_SUCCESS] > 0;
}

/* Starts two peers with the same program on the same port, one on 127.0.0.1, one on ::1. The caller
   stops both. */
void peers_of_both_families(const char *program, struct peer **four, struct peer **six);

/* Returns a stream filter. The caller frees the filter. */
struct tcpm_filter *stream_filter(void);
/* Creates a track_session in which input and output are streams. */
struct tcpm_session *stream_session(struct host *host, struct tcpm_session_options options);

#endif
