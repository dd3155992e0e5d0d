/* SPDX-License-Identifier: MIT */
/*
 * Teardown in the middle of everything: connections in every phase, lookups, alarms, signals and
 * the host's own handles; after any number of turns and events, from outside and from a handler.
 */
#include "others.h"

#include <signal.h>

struct demolition {
    struct host host;
    struct others others;
    struct track tracks[60];
    struct peer *peers[5];
    struct tcpm_session *sessions[2];
    unsigned events_left; /* until the engine is closed, from inside a handler */
    int closed, drops;
};

static void on_closed(void *user)
{
    ((struct demolition *) user)->closed++;
}

static void count_down(struct track *track, enum event event)
{
    struct demolition *all = track->user;

    if (event == EVENT_SUCCESS)
        tcpm_send(track->session, track->id, "hello", 5);
    if (all->events_left > 0 && --all->events_left == 0) {
        tcpm_engine_close(all->host.engine, on_closed, all);
        assert_int_equal(all->closed, 0);
    }
}

static void run_nothing(struct tcpm_session *session, void *user, void *argument)
{
    (void) session;
    (void) user;
    (void) argument;
}

static void count_drop(void *argument)
{
    ((struct demolition *) argument)->drops++;
}

static void start_peers(struct demolition *all)
{
    static const char *const programs[] = {"echo", "blast 0", "freeze", "", ""};

    for (size_t i = 0; i < COUNT(programs); i++) {
        struct peer_options options = {.blackhole = i == 3, .refuse = i == 4};
        all->peers[i] = peer_start(programs[i], &options);
        assert_non_null(all->peers[i]);
    }
}

/* Connections in every phase, some of them waiting, one name being looked up, alarms, a signal. */
static void start_all(struct demolition *all)
{
    struct tcpm_session_options options = {.max_connections = 25};
    struct tcpm_filter *stream = stream_filter();
    struct tcpm_task task = {.run = run_nothing, .drop = count_drop, .argument = all};
    char *large = calloc(1, 3000000);

    assert_non_null(large);
    options.input_filter = options.output_filter = stream;
    for (size_t s = 0; s < 2; s++) {
        all->sessions[s] = track_session(&all->host, &options);
        assert_int_equal(tcpm_delay(all->sessions[s], (struct tcpm_id){0}, 1000000, task, NULL), 0);
        assert_int_equal(tcpm_sig(all->sessions[s], SIGUSR1, task), 0);
    }
    tcpm_filter_free(stream);
    for (size_t i = 0; i < COUNT(all->tracks); i++) {
        struct track *track = &all->tracks[i];
        track->hook = count_down;
        track->user = all;
        if (i == 7)
            track_connect_with(
                track, all->sessions[0],
                (struct tcpm_connect_options){.address = "no-such.invalid", .port = 1});
        else
            track_connect(track, all->sessions[i % 2], peer_port(all->peers[i % 5]));
        if (i % 5 == 2)
            assert_true(tcpm_send(track->session, track->id, large, 3000000) >= 0);
        if (i % 10 == 3)
            assert_int_equal(tcpm_delay(track->session, track->id, 1000000, task, NULL), 0);
    }
    free(large);
}

static void close_unless_closing(uv_handle_t *handle, void *argument)
{
    (void) argument;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* How the engine goes: by the loop, inside a call, or inside a call after its loop has ended. */
enum way { BY_THE_LOOP, NOW, AFTER_THE_LOOP };

static void go(struct demolition *all, enum way way)
{
    if (way == AFTER_THE_LOOP) {
        uv_walk(&all->host.loop, close_unless_closing, NULL);
        uv_run(&all->host.loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&all->host.loop), 0);
    }
    if (way == BY_THE_LOOP)
        tcpm_engine_close(all->host.engine, on_closed, all);
    else
        assert_int_equal(tcpm_engine_close_now(all->host.engine), 0);
}

/* Closed after so many events, from a handler; after so many turns, from outside, if 0. */
static void demolish(unsigned events, int turns, enum way way)
{
    struct demolition *all = calloc(1, sizeof *all);

    assert_non_null(all);
    host_open(&all->host, NULL);
    start_peers(all);
    others_start(&all->others, &all->host.loop);
    all->events_left = events;
    start_all(all);
    for (int turn = 0; turn < turns; turn++)
        uv_run(&all->host.loop, UV_RUN_NOWAIT);
    others_stop(&all->others);
    if (events == 0)
        go(all, way);
    if (way != AFTER_THE_LOOP)
        host_run(&all->host);
    assert_int_equal(all->closed, way == BY_THE_LOOP);
    for (size_t i = 0; i < COUNT(all->tracks); i++)
        assert_int_equal(all->tracks[i].count[EVENT_DISCONNECTED], 1);
    assert_int_equal(all->drops, 4 + (int) COUNT(all->tracks) / 10);
    for (size_t i = 0; i < COUNT(all->peers); i++)
        peer_stop(all->peers[i]);
    if (way == AFTER_THE_LOOP)
        assert_int_equal(host_descriptors(), all->host.descriptors);
    else
        host_loop_close(&all->host);
    free(all);
}

static void test_teardown_after_any_number_of_turns(void **state)
{
    (void) state;
    for (int turns = 0; turns < 12; turns++)
        demolish(0, turns, BY_THE_LOOP);
    demolish(0, 100, BY_THE_LOOP);
}

static void test_teardown_after_any_number_of_events(void **state)
{
    (void) state;
    for (unsigned events = 1; events < 200; events += 1 + events / 4)
        demolish(COUNT(((struct demolition *) 0)->tracks) + events, 0, BY_THE_LOOP);
}

static void die_in_turn(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_true(tcpm_send(track->session, track->id, "the last word", 13) >= 0);
}

struct graceful {
    int stopped;
};

static void on_stopped(struct tcpm_session *session, void *user)
{
    (void) session;
    ((struct graceful *) user)->stopped++;
}

static bool both_stopped(void *argument)
{
    return ((struct graceful *) argument)->stopped == 2;
}

/* The graceful way that the header names: die for each session, wait for stopped, close. */
static void test_a_graceful_end_delivers_what_was_sent(void **state)
{
    struct host *host = *state;
    struct track tracks[20] = {{.hook = NULL}};
    struct graceful graceful = {0};
    struct tcpm_events events = *track_events();
    struct tcpm_session_options options = {.events = &events, .user = &graceful};

    events.stopped = on_stopped;
    struct peer *peer = host_peer(host, "recv all", NULL);
    struct tcpm_session *sessions[2] = {track_session(host, &options),
                                        track_session(host, &options)};
    for (size_t i = 0; i < COUNT(tracks); i++) {
        tracks[i].hook = die_in_turn;
        track_connect(&tracks[i], sessions[i % 2], peer_port(peer));
    }
    for (size_t i = 0; i < COUNT(tracks); i++)
        host_run_until(host, track_open, &tracks[i]);
    assert_int_equal(tcpm_die(sessions[0]), 0);
    assert_int_equal(tcpm_die(sessions[0]), -ESHUTDOWN);
    assert_int_equal(tcpm_die(sessions[1]), 0);
    host_run_until(host, both_stopped, &graceful);
    assert_int_equal(peer_wait_ended(peer, COUNT(tracks), 20), 0);
    struct peer_report report;
    peer_report(peer, &report);
    assert_int_equal(report.received, 15 * COUNT(tracks));
    for (size_t i = 0; i < COUNT(tracks); i++)
        assert_log(&tracks[i], "initialize success disconnected(die)");
    host_close(host);
}

static void test_close_now_delivers_all_last_events_inside_the_call(void **state)
{
    (void) state;
    for (int turns = 0; turns < 12; turns++)
        demolish(0, turns, NOW);
}

static void test_close_now_after_a_loop_that_was_closed_with_all_its_handles(void **state)
{
    (void) state;
    for (int turns = 0; turns < 12; turns++)
        demolish(0, turns, AFTER_THE_LOOP);
}

static void close_now_in_a_handler(struct track *track, enum event event)
{
    assert_int_equal(tcpm_engine_close_now(track->user), -EBUSY);
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void test_close_now_is_refused_in_a_handler(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = close_now_in_a_handler};

    track.user = host->engine;
    track_run(host, &track, NULL, "recv all");
    assert_log(&track, "initialize success disconnected(shutdown)");
    assert_int_equal(tcpm_engine_close_now(NULL), -EINVAL);
    host_close(host);
}

static void close_now_in_a_drop(void *argument)
{
    struct host *host = argument;

    assert_int_equal(tcpm_engine_close_now(host->engine), -EBUSY);
}

static void run_not(struct tcpm_session *session, void *user, void *argument)
{
    (void) session;
    (void) user;
    (void) argument;
    fail();
}

/* Tasks are dropped inside of calls, which go on behind that. */
static void test_close_now_is_refused_while_a_task_is_dropped(void **state)
{
    struct host *host = *state;
    struct tcpm_task task = {.run = run_not, .drop = close_now_in_a_drop, .argument = host};
    struct tcpm_alarm alarm = {0};

    struct tcpm_session *session = track_session(host, NULL);
    assert_int_equal(tcpm_delay(session, (struct tcpm_id){0}, 1000, task, &alarm), 0);
    assert_int_equal(tcpm_alarm_remove(session, alarm), 0);
    assert_int_equal(tcpm_sig(session, SIGUSR2, task), 0);
    assert_int_equal(tcpm_sig(session, SIGUSR2, task), 0);
    assert_int_equal(tcpm_post(session, task), 0);
    assert_int_equal(tcpm_delay(session, (struct tcpm_id){0}, 1000, task, NULL), 0);
    assert_int_equal(tcpm_die(session), 0);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_teardown_after_any_number_of_turns),
    cmocka_unit_test(test_teardown_after_any_number_of_events),
    HOST_TEST(test_a_graceful_end_delivers_what_was_sent),
    cmocka_unit_test(test_close_now_delivers_all_last_events_inside_the_call),
    cmocka_unit_test(test_close_now_after_a_loop_that_was_closed_with_all_its_handles),
    HOST_TEST(test_close_now_is_refused_in_a_handler),
    HOST_TEST(test_close_now_is_refused_while_a_task_is_dropped),
};

RUN_TESTS(tests)
