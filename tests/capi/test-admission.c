/* SPDX-License-Identifier: MIT */
/*
 * Who may have a socket: connects over a limit wait their turn in order, room is announced, a rate
 * is kept, and the file limit is never met.
 */
#include "host.h"

#include <sys/resource.h>

struct queue {
    struct track tracks[40];
    unsigned now, most;
    size_t order[40];
    size_t started;
};

/* Counts those that have a socket, and in which order they got it. */
static void count_open(struct track *track, enum event event)
{
    struct queue *queue = track->user;

    if (event == EVENT_SUCCESS) {
        queue->order[queue->started++] = (size_t) (track - queue->tracks);
        if (++queue->now > queue->most)
            queue->most = queue->now;
        assert_int_equal(tcpm_timeout(track->session, track->id, 5), 0);
    }
    if (event == EVENT_TIMEOUT)
        queue->now--;
}

static void run_queue(struct host *host, struct tcpm_session **sessions, size_t session_count,
                      struct queue *queue)
{
    struct peer *peer = peer_start("freeze", NULL);

    for (size_t i = 0; i < COUNT(queue->tracks); i++) {
        queue->tracks[i].hook = count_open;
        queue->tracks[i].user = queue;
        track_connect(&queue->tracks[i], sessions[i % session_count], peer_port(peer));
    }
    host_run(host);
    assert_int_equal(queue->started, COUNT(queue->tracks));
    for (size_t i = 0; i < COUNT(queue->tracks); i++)
        assert_log(&queue->tracks[i], "initialize success timeout(input) disconnected(timeout)");
    peer_stop(peer);
}

static void test_a_sessions_limit(void **state)
{
    struct host *host = *state;
    struct queue queue = {.now = 0};
    struct tcpm_session_options options = {.max_connections = 3};

    struct tcpm_session *session = track_session(host, &options);
    run_queue(host, &session, 1, &queue);
    assert_int_equal(queue.most, 3);
    host_close(host);
}

/* One FIFO over all sessions of the engine. */
static void test_an_engines_limit_in_order_over_sessions(void **state)
{
    struct host host;
    struct queue queue = {.now = 0};
    struct tcpm_engine_options options = {.size = sizeof options, .max_connections = 1};

    (void) state;
    host_open(&host, &options);
    struct tcpm_session *sessions[2] = {track_session(&host, NULL), track_session(&host, NULL)};
    run_queue(&host, sessions, 2, &queue);
    assert_int_equal(queue.most, 1);
    for (size_t i = 0; i < COUNT(queue.order); i++)
        assert_int_equal(queue.order[i], i);
    host_close(&host);
}

/* BEHAVIOUR R9: a limit of the process that leaves few descriptors. */
static void test_R9_the_file_limit_is_never_met(void **state)
{
    struct host host;
    struct queue queue = {.now = 0};
    struct rlimit old, low;

    (void) state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    host_loop_open(&host);
    struct peer *first = peer_start("freeze", NULL); /* its threads and files are there */
    low.rlim_cur = (rlim_t) host_descriptors() + 90;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(tcpm_engine_create(&host.loop, NULL, &host.engine), 0);
    struct tcpm_session *session = track_session(&host, NULL);
    run_queue(&host, &session, 1, &queue);
    assert_true(queue.most >= 5);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    peer_stop(first);
    host_close(&host);
}

/* A limit that falls while the engine lives: connects wait, none fails. */
static void test_a_limit_that_falls_meanwhile(void **state)
{
    struct host *host = *state;
    struct queue queue = {.now = 0};
    struct rlimit old, low;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    struct tcpm_session *session = track_session(host, NULL);
    struct peer *peer = host_peer(host, "freeze", NULL);
    low.rlim_cur = (rlim_t) host_descriptors() + 16; /* both ends are ours */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (size_t i = 0; i < COUNT(queue.tracks); i++) {
        queue.tracks[i].hook = count_open;
        queue.tracks[i].user = &queue;
        track_connect(&queue.tracks[i], session, peer_port(peer));
    }
    host_run(host);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    for (size_t i = 0; i < COUNT(queue.tracks); i++)
        assert_log(&queue.tracks[i], "initialize success timeout(input) disconnected(timeout)");
    host_close(host);
}

/* ---- room ---- */

struct source {
    struct track tracks[50];
    size_t next;
    unsigned rooms, most, now;
    int port;
};

static void count_now(struct track *track, enum event event)
{
    struct source *source = track->user;

    if (event == EVENT_INITIALIZE && ++source->now > source->most)
        source->most = source->now;
    if (event == EVENT_DISCONNECTED)
        source->now--;
}

static void fill_room(struct tcpm_session *session, struct source *source)
{
    while (source->next < COUNT(source->tracks) && tcpm_has_room(session) == 1) {
        struct track *track = &source->tracks[source->next++];
        track->hook = count_now;
        track->user = source;
        track_connect(track, session, source->port);
    }
}

static void on_room(struct tcpm_session *session, void *user)
{
    struct source *source = user;

    source->rooms++;
    assert_int_equal(tcpm_has_room(session), 1);
    fill_room(session, source);
}

/* A million targets need no million connections: one is made when there is a place for it. */
static void test_room_is_announced_when_a_place_is_free(void **state)
{
    struct host *host = *state;
    struct source source = {.next = 0};
    struct tcpm_events events = *track_events();
    struct tcpm_session_options options = {
        .events = &events, .user = &source, .max_connections = 4};

    events.room = on_room;
    struct peer *peer = host_peer(host, "close", NULL);
    source.port = peer_port(peer);
    struct tcpm_session *session = track_session(host, &options);
    fill_room(session, &source);
    assert_int_equal(source.next, 4);
    host_run(host); /* the wish for room is work: it keeps the loop running */
    assert_int_equal(source.next, COUNT(source.tracks));
    assert_int_equal(source.most, 4);
    assert_true(source.rooms > 0);
    for (size_t i = 0; i < COUNT(source.tracks); i++)
        assert_log(&source.tracks[i], "initialize success error(read,EOF) disconnected(eof)");
    assert_int_equal(tcpm_has_room(session), 1);
    assert_int_equal(tcpm_die(session), 0);
    assert_int_equal(tcpm_has_room(session), -ESHUTDOWN);
    assert_int_equal(tcpm_has_room(NULL), -EINVAL);
    host_run(host);
    host_close(host);
}

/* ---- rate ---- */

static void test_a_connect_rate_is_kept(void **state)
{
    struct host *host = *state;
    struct track tracks[15] = {{.hook = NULL}};
    struct tcpm_session_options options = {.connect_rate = 100};
    int64_t started = tcpm_now_ns();

    struct peer *peer = host_peer(host, "close", NULL);
    struct tcpm_session *session = track_session(host, &options);
    for (size_t i = 0; i < COUNT(tracks); i++)
        track_connect(&tracks[i], session, peer_port(peer));
    host_run(host);
    int64_t ms = (tcpm_now_ns() - started) / 1000000;
    print_message("# 15 attempts at 100 a second: %d ms\n", (int) ms);
    assert_true(ms >= 130); /* 14 pauses of 10 ms; a few ms may come early */
    for (size_t i = 0; i < COUNT(tracks); i++)
        assert_log(&tracks[i], "initialize success error(read,EOF) disconnected(eof)");
    host_close(host);
}

/* The connect timeout starts with the attempt, not while it waits. */
static void test_waiting_does_not_use_up_the_connect_timeout(void **state)
{
    struct host *host = *state;
    struct track first = {.hook = NULL}, second = {.hook = NULL};
    struct tcpm_session_options options = {
        .max_connections = 1, .connect_timeout_ms = 40, .deadline_ms = 120};

    struct peer *peer = host_peer(host, "freeze", NULL);
    struct tcpm_session *session = track_session(host, &options);
    track_connect(&first, session, peer_port(peer));
    track_connect(&second, session, peer_port(peer));
    host_run(host);
    assert_log(&first, "initialize success timeout(deadline) disconnected(timeout)");
    assert_log(&second, "initialize success timeout(deadline) disconnected(timeout)");
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_a_sessions_limit),
    cmocka_unit_test(test_an_engines_limit_in_order_over_sessions),
    cmocka_unit_test(test_R9_the_file_limit_is_never_met),
    HOST_TEST(test_a_limit_that_falls_meanwhile),
    HOST_TEST(test_room_is_announced_when_a_place_is_free),
    HOST_TEST(test_a_connect_rate_is_kept),
    HOST_TEST(test_waiting_does_not_use_up_the_connect_timeout),
};

RUN_TESTS(tests)
