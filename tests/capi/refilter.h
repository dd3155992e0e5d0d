/* SPDX-License-Identifier: MIT */
/*
 * For tests of what a handler asks of the input: other filters, bytes put back, and a run of one
 * connection against one peer.
 */
#ifndef TESTS_CAPI_REFILTER_H
#define TESTS_CAPI_REFILTER_H

#include "host.h"

static inline void assert_pending(struct track *track, const char *expected)
{
    const void *bytes = NULL;
    size_t length = 0;

    assert_int_equal(tcpm_pending(track->session, track->id, &bytes, &length), 0);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(bytes, expected, length);
}

static inline void set_input(struct track *track, struct tcpm_filter *filter)
{
    assert_int_equal(tcpm_filter_set(track->session, track->id, filter, NULL), 0);
    tcpm_filter_free(filter);
}

static inline void unread(struct track *track, const char *text)
{
    assert_int_equal(tcpm_unread(track->session, track->id, text, strlen(text)), 0);
}

static inline void take(struct track *track, int64_t n)
{
    assert_int_equal(tcpm_take(track->session, track->id, n), 0);
}

static inline struct tcpm_filter *block_of(int64_t size)
{
    struct tcpm_block_options options = {.size = sizeof options, .block_size = size};
    struct tcpm_filter *filter = NULL;

    assert_int_equal(tcpm_filter_block(&options, &filter), 0);
    return filter;
}

static inline struct tcpm_filter *netstrings(void)
{
    struct tcpm_filter *filter = NULL;

    assert_int_equal(tcpm_filter_netstring(0, &filter), 0);
    return filter;
}

static inline struct tcpm_filter *lines(int64_t ends)
{
    struct tcpm_line_options options = {.size = sizeof options, .ends = ends};
    struct tcpm_filter *filter = NULL;

    assert_int_equal(tcpm_filter_line(&options, &filter), 0);
    return filter;
}

/* A session of lines with these ends. */
static inline struct tcpm_session *line_session(struct host *host, int64_t ends)
{
    struct tcpm_session_options options = {.input_filter = lines(ends)};
    struct tcpm_session *session = track_session(host, &options);

    tcpm_filter_free(options.input_filter);
    return session;
}

/* Runs one connection against a peer with this program, until all is over. */
static inline void run(struct track *track, int64_t ends, const char *program)
{
    struct host host;

    host_open(&host, NULL);
    struct peer *peer = peer_start(program, NULL);
    track->user = peer;
    track_connect(track, line_session(&host, ends), peer_port(peer));
    host_run(&host);
    peer_stop(peer);
    host_close(&host);
}

/* The peer waits for that. */
static inline void go_at_first(struct track *track, enum event event)
{
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 1)
        peer_go(track->user, "on");
}

#endif
