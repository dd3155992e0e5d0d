/* SPDX-License-Identifier: MIT */
/*
 * The promise handlers-from-the-loop: no handler runs inside a call of the user's, but initialize
 * inside connect; and every function may be called from every handler. Each call of the table is
 * made from each event, outside of all, and in the wrong order; the grammar is checked throughout.
 */
#include "calls.h"

struct probe {
    const struct call *call;
    enum event when;
    int inside; /* calls of ours that have not returned */
    int made;
};

static void make_call(struct track *track, enum event event)
{
    struct probe *probe = track->user;

    assert_true(probe->inside == 0 || event == EVENT_INITIALIZE);
    if (event != probe->when)
        return;
    probe->inside++;
    probe->call->make(track->session, track->id);
    probe->call->make(track->session, track->id);
    probe->inside--;
    probe->made++;
}

static void run_probe(const struct call *call, enum event when, const char *program,
                      struct peer_options peer_options, struct tcpm_session_options options)
{
    struct host host;
    struct probe probe = {.call = call, .when = when};
    struct track track = {.hook = make_call, .user = &probe};

    host_open(&host, NULL);
    struct peer *peer = peer_start(program, &peer_options);
    assert_non_null(peer);
    options.deadline_ms = 120; /* what a call leaves paused or silent ends by it */
    struct tcpm_session *session = track_session(&host, &options);
    struct tcpm_connect_options target = {
        .size = sizeof target, .address = "127.0.0.1", .port = peer_port(peer), .heap = &track};
    probe.inside++;
    assert_int_equal(tcpm_connect(session, &target, NULL), 0);
    if (track.id.n != 0)
        tcpm_send(session, track.id, "hello", 5);
    probe.inside--;
    host_run(&host);
    if (probe.made == 0 || track.count[EVENT_DISCONNECTED] != 1)
        fail_msg("%s in event %d: made %d times, then \"%s\"", call->name, (int) when, probe.made,
                 track.log);
    peer_stop(peer);
    host_close(&host);
}

static void test_every_call_from_every_event_of_a_success(void **state)
{
    static const enum event events[] = {EVENT_INITIALIZE, EVENT_SUCCESS, EVENT_INPUT,
                                        EVENT_FLUSHED,    EVENT_ERROR,   EVENT_DISCONNECTED};

    (void) state;
    for (size_t i = 0; i < call_count; i++)
        for (size_t at = 0; at < COUNT(events); at++)
            run_probe(&calls[i], events[at], "recv line; send \"a\\nb\\nc\"; close",
                      (struct peer_options){.port = 0}, (struct tcpm_session_options){.size = 0});
}

static void test_every_call_from_failure_and_timeout(void **state)
{
    (void) state;
    for (size_t i = 0; i < call_count; i++) {
        run_probe(&calls[i], EVENT_FAILURE, "close", (struct peer_options){.refuse = 1},
                  (struct tcpm_session_options){.size = 0});
        run_probe(&calls[i], EVENT_TIMEOUT, "freeze", (struct peer_options){.port = 0},
                  (struct tcpm_session_options){.input_timeout_ms = 10});
    }
}

/* One connection of each phase; each call on each, outside of the loop. */
static void test_no_call_outside_of_the_loop_runs_a_handler(void **state)
{
    (void) state;
    for (size_t i = 0; i < call_count; i++) {
        struct host host;
        struct probe probe = {.call = &calls[i]};
        struct track tracks[4] = {{.hook = NULL}};
        struct tcpm_session_options options = {.max_connections = 3, .deadline_ms = 120};

        host_open(&host, NULL);
        struct peer *peer = peer_start("send \"x\\ny\\n\"; recv all", NULL);
        struct peer *silent = peer_start("", &(struct peer_options){.blackhole = 1});
        assert_non_null(silent);
        struct tcpm_session *session = track_session(&host, &options);
        for (size_t t = 0; t < COUNT(tracks); t++) {
            tracks[t].hook = make_call;
            tracks[t].user = &probe;
            track_connect(&tracks[t], session, peer_port(t == 1 ? silent : peer));
        }
        host_run_until(&host, track_open, &tracks[2]);
        probe.inside++;
        for (int pass = 0; pass < 2; pass++)
            for (size_t t = 0; t < COUNT(tracks); t++)
                calls[i].make(session, tracks[t].id);
        probe.inside--;
        host_run(&host);
        for (size_t t = 0; t < COUNT(tracks); t++)
            assert_int_equal(tracks[t].count[EVENT_DISCONNECTED], 1);
        peer_stop(silent);
        peer_stop(peer);
        host_close(&host);
    }
}

struct ending {
    enum event when;
    bool close_engine;
    int stopped, closed, made;
    struct host *host;
    struct track *tracks;
};

static void on_closed(void *user)
{
    ((struct ending *) user)->closed++;
}

static void end_all(struct track *track, enum event event)
{
    struct ending *ending = track->user;

    if (event != ending->when || ending->made++ > 0)
        return;
    if (ending->close_engine)
        tcpm_engine_close(ending->host->engine, on_closed, ending);
    else
        assert_int_equal(tcpm_die(track->session), 0);
    assert_int_equal(ending->closed, 0);
    struct tcpm_connect_options late = {.size = sizeof late, .address = "127.0.0.1", .port = 1};
    assert_int_equal(tcpm_connect(track->session, &late, NULL), -ESHUTDOWN);
}

static void on_stopped(struct tcpm_session *session, void *user)
{
    struct ending *ending = user;

    (void) session;
    assert_true(ending->made > 0);
    ending->stopped++;
}

/* die, and the engine's close, from every event, with three other connections in other phases. */
static void run_ending(enum event when, bool close_engine)
{
    struct host host;
    struct track tracks[4] = {{.hook = NULL}};
    struct ending ending = {
        .when = when, .close_engine = close_engine, .host = &host, .tracks = tracks};
    struct tcpm_events events = *track_events();
    struct tcpm_session_options options = {
        .events = &events, .user = &ending, .max_connections = 3, .input_timeout_ms = 50};

    events.stopped = on_stopped;
    if (when == EVENT_ERROR)
        options.input_timeout_ms = 0;
    host_open(&host, NULL);
    struct peer *peer =
        peer_start(when == EVENT_TIMEOUT ? "freeze" : "recv line; send \"a\\nb\\n\"; close", NULL);
    struct peer *silent = peer_start("", &(struct peer_options){.blackhole = 1});
    struct peer *refused = peer_start("", &(struct peer_options){.refuse = 1});
    struct tcpm_session *session = track_session(&host, &options);
    for (size_t t = 0; t < COUNT(tracks); t++) {
        tracks[t].hook = end_all;
        tracks[t].user = &ending;
    }
    if (when != EVENT_INITIALIZE)
        track_connect(&tracks[0], session, peer_port(silent));
    track_connect(&tracks[1], session, peer_port(when == EVENT_FAILURE ? refused : peer));
    if (when != EVENT_INITIALIZE) {
        tcpm_send(session, tracks[1].id, "hello", 5);
        track_connect(&tracks[2], session, peer_port(peer));
        track_connect(&tracks[3], session, peer_port(peer));
    }
    host_run(&host);
    assert_int_equal(ending.stopped, 1);
    assert_int_equal(ending.closed, close_engine);
    for (size_t t = 0; t < COUNT(tracks); t++)
        assert_int_equal(tracks[t].count[EVENT_DISCONNECTED], tracks[t].count[EVENT_INITIALIZE]);
    peer_stop(refused);
    peer_stop(silent);
    peer_stop(peer);
    if (close_engine)
        host_loop_close(&host);
    else
        host_close(&host);
}

static void test_die_and_close_from_every_event(void **state)
{
    (void) state;
    for (int event = EVENT_INITIALIZE; event <= EVENT_DISCONNECTED; event++) {
        run_ending((enum event) event, false);
        run_ending((enum event) event, true);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_call_from_every_event_of_a_success),
    cmocka_unit_test(test_every_call_from_failure_and_timeout),
    cmocka_unit_test(test_no_call_outside_of_the_loop_runs_a_handler),
    cmocka_unit_test(test_die_and_close_from_every_event),
};

RUN_TESTS(tests)
