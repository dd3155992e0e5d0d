/* SPDX-License-Identifier: MIT */
/*
 * Timeouts: never early, not much too late, restarted by what the header says and by nothing else.
 * Upper bounds are generous: the machine may be busy.
 */
#include "host.h"

struct watch {
    int64_t started_ns, ended_ns, last_input_ns;
};

static void note_times(struct track *track, enum event event)
{
    struct watch *watch = track->user;

    if (event == EVENT_INITIALIZE)
        watch->started_ns = tcpm_now_ns();
    if (event == EVENT_INPUT || event == EVENT_SUCCESS)
        watch->last_input_ns = tcpm_now_ns();
    if (event == EVENT_TIMEOUT)
        watch->ended_ns = tcpm_now_ns();
}

static int ms_between(int64_t from_ns, int64_t to_ns)
{
    return (int) ((to_ns - from_ns) / 1000000);
}

enum { LATE_MS = 1500 };

/* BEHAVIOUR T1, T2, T3, T5, E7. */
static void run_timeout(const char *program, struct peer_options peer_options,
                        struct tcpm_session_options options, const char *log, int from_last_ms,
                        int from_start_ms)
{
    struct host host;
    struct watch watch = {0};
    struct track track = {.hook = note_times, .user = &watch};

    host_open(&host, NULL);
    struct peer *peer = peer_start(program, &peer_options);
    assert_non_null(peer);
    track_connect(&track, track_session(&host, &options), peer_port(peer));
    host_run(&host);
    assert_non_null(strstr(track.log, log));
    if (from_last_ms > 0) {
        int taken = ms_between(watch.last_input_ns, watch.ended_ns);
        assert_true(taken >= from_last_ms - 1 && taken < from_last_ms + LATE_MS);
    }
    int taken = ms_between(watch.started_ns, watch.ended_ns);
    assert_true(taken >= from_start_ms && taken < from_start_ms + LATE_MS);
    peer_stop(peer);
    host_close(&host);
}

static void test_T1_silence_is_a_timeout_of_the_input(void **state)
{
    (void) state;
    run_timeout("freeze", (struct peer_options){.port = 0},
                (struct tcpm_session_options){.input_timeout_ms = 60},
                "success timeout(input) disconnected(timeout)", 60, 60);
}

static void test_E7_no_answer_is_a_timeout_of_the_connect(void **state)
{
    (void) state;
    run_timeout("", (struct peer_options){.blackhole = 1},
                (struct tcpm_session_options){.connect_timeout_ms = 60},
                "initialize timeout(connect) disconnected(timeout)", 0, 60);
}

static void test_T2_each_line_restarts_it(void **state)
{
    (void) state;
    run_timeout("loop 4; send \"line\\n\"; sleep 120; end; freeze",
                (struct peer_options){.port = 0},
                (struct tcpm_session_options){.input_timeout_ms = 500},
                "input(line) input(line) input(line) input(line) timeout(input)", 500, 480);
}

/* Single bytes of a line restart it too; there is no record to show for them. */
static void test_T3_each_byte_restarts_it(void **state)
{
    (void) state;
    run_timeout("loop 5; send \"x\"; sleep 120; end; freeze", (struct peer_options){.port = 0},
                (struct tcpm_session_options){.input_timeout_ms = 500},
                "success timeout(input) disconnected(timeout)", 0, 600);
}

/* FAULTS T12: a slow drip does not move the deadline. */
static void test_T12_no_input_moves_the_deadline(void **state)
{
    (void) state;
    run_timeout("loop 0; send \"x\\n\"; sleep 10; end", (struct peer_options){.port = 0},
                (struct tcpm_session_options){.input_timeout_ms = 1500, .deadline_ms = 300},
                "timeout(deadline) disconnected(timeout)", 0, 300);
}

/* The deadline runs from the start of the attempt, through the connect as well. */
static void test_the_deadline_includes_the_connect(void **state)
{
    (void) state;
    run_timeout("", (struct peer_options){.blackhole = 1},
                (struct tcpm_session_options){.deadline_ms = 60},
                "initialize timeout(deadline) disconnected(timeout)", 0, 60);
}

static void send_often(struct tcpm_session *session, void *user, void *argument)
{
    struct track *track = argument;
    struct tcpm_task task = {.run = send_often, .argument = track};

    (void) user;
    if (tcpm_send(session, track->id, "x", 1) >= 0)
        assert_int_equal(tcpm_delay(session, track->id, 10, task, NULL), 0);
}

static void start_sending(struct track *track, enum event event)
{
    note_times(track, event);
    if (event == EVENT_SUCCESS)
        send_often(track->session, NULL, track);
}

/* BEHAVIOUR T19: sending is no input. */
static void test_T19_sending_does_not_restart_it(void **state)
{
    struct host *host = *state;
    struct watch watch = {0};
    struct track track = {.hook = start_sending, .user = &watch};
    struct tcpm_session_options options = {.input_timeout_ms = 80};

    track_run(host, &track, &options, "discard");
    assert_log(&track, "initialize success timeout(input) disconnected(timeout)");
    assert_true(ms_between(watch.started_ns, watch.ended_ns) < 80 + LATE_MS);
    host_close(host);
}

static void upload_and_send_on(struct track *track, enum event event)
{
    static char much[16 << 20];
    struct watch *watch = track->user;
    struct tcpm_info info = {.size = sizeof info};

    note_times(track, event);
    if (event == EVENT_SUCCESS)
        assert_true(tcpm_send(track->session, track->id, much, sizeof much) >= 0);
    if (event != EVENT_FLUSHED || watch->last_input_ns == 0)
        return;
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    if (info.queued > 0)
        return;
    watch->started_ns = tcpm_now_ns();
    watch->last_input_ns = 0; /* once */
    send_often(track->session, NULL, track);
}

/* What the kernel takes at once is no part of the upload before it. */
static void test_T19_sending_does_not_make_an_upload_longer(void **state)
{
    struct host *host = *state;
    struct watch watch = {0};
    struct track track = {.hook = upload_and_send_on, .user = &watch};

    struct peer *peer = host_peer(host, "discard", NULL);
    track_connect(&track,
                  stream_session(host, (struct tcpm_session_options){.input_timeout_ms = 1000}),
                  peer_port(peer));
    host_run(host);
    assert_log(&track, "initialize success timeout(input) disconnected(timeout)");
    assert_in_range(ms_between(watch.started_ns, watch.ended_ns), 900, 1700);
    host_close(host);
}

static void upload_in_a_pause(struct track *track, enum event event)
{
    static char much[16 << 20];
    struct watch *watch = track->user;
    struct tcpm_info info = {.size = sizeof info};

    note_times(track, event);
    if (event == EVENT_SUCCESS) {
        assert_int_equal(tcpm_pause(track->session, track->id), 0);
        assert_true(tcpm_send(track->session, track->id, much, sizeof much) >= 0);
    }
    if (event != EVENT_FLUSHED)
        return;
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    if (info.queued > 0 || watch->last_input_ns == 0)
        return;
    watch->last_input_ns = 0;
    assert_int_equal(tcpm_send(track->session, track->id, "x", 1), 0);
    assert_int_equal(tcpm_resume(track->session, track->id), 0);
    watch->started_ns = tcpm_now_ns();
}

static void test_T19_an_upload_in_a_pause_takes_nothing_of_the_time(void **state)
{
    struct host *host = *state;
    struct watch watch = {0};
    struct track track = {.hook = upload_in_a_pause, .user = &watch};

    struct peer *peer = host_peer(host, "discard", NULL);
    track_connect(&track,
                  stream_session(host, (struct tcpm_session_options){.input_timeout_ms = 200}),
                  peer_port(peer));
    host_run(host);
    assert_log(&track, "initialize success timeout(input) disconnected(timeout)");
    assert_true(ms_between(watch.started_ns, watch.ended_ns) >= 150);
    host_close(host);
}

static void switch_off(struct track *track, enum event event)
{
    note_times(track, event);
    if (event == EVENT_INITIALIZE)
        assert_int_equal(tcpm_timeout(track->session, track->id, 0), 0);
    if (event == EVENT_INPUT)
        assert_int_equal(tcpm_timeout(track->session, track->id, 30), 0);
}

/* BEHAVIOUR T11: none for the connect, the session's for the input, and what a handler sets. */
static void test_T11_each_phase_has_its_own(void **state)
{
    struct host *host = *state;
    struct watch watch = {0};
    struct track track = {.hook = switch_off, .user = &watch};
    struct tcpm_session_options options = {.input_timeout_ms = 5000};

    track_run(host, &track, &options, "send \"x\\n\"; freeze");
    assert_log(&track, "initialize success input(x) timeout(input) disconnected(timeout)");
    assert_true(ms_between(watch.last_input_ns, watch.ended_ns) >= 29);
    assert_true(ms_between(watch.last_input_ns, watch.ended_ns) < 30 + LATE_MS);
    host_close(host);
}

static void send_and_shut(struct track *track, enum event event)
{
    char *large = NULL;

    if (event != EVENT_SUCCESS)
        return;
    large = calloc(1, 12000000);
    assert_non_null(large);
    assert_int_equal(tcpm_send(track->session, track->id, large, 12000000), 1);
    free(large);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

/* Rule 4: the timeout of a shutdown is the time without progress, not the whole of it. */
static void test_a_flush_that_makes_progress_goes_on(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = send_and_shut};
    struct tcpm_session_options options = {.shutdown_timeout_ms = 700};
    struct peer_report report;
    int64_t started = tcpm_now_ns();

    struct peer *peer = host_peer(host, "loop 12; recv 1000000; sleep 100; end; recv all", NULL);
    track_connect(&track, track_session(host, &options), peer_port(peer));
    host_run(host);
    assert_log(&track, "initialize success disconnected(shutdown)");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    peer_report(peer, &report);
    assert_int_equal(report.received, 12000002);
    assert_true(ms_between(started, tcpm_now_ns()) > 700);
    host_close(host);
}

/* BEHAVIOUR T21. */
static void test_T21_three_hundred_connects_into_the_dark(void **state)
{
    enum { MANY = 300 };
    struct host host;
    struct track *tracks = calloc(MANY, sizeof *tracks);
    struct tcpm_session_options options = {.connect_timeout_ms = 100};
    int64_t started = tcpm_now_ns();

    (void) state;
    assert_non_null(tracks);
    host_open(&host, NULL);
    struct peer *peer = peer_start("", &(struct peer_options){.blackhole = 1});
    struct tcpm_session *session = track_session(&host, &options);
    for (size_t i = 0; i < MANY; i++)
        track_connect(&tracks[i], session, peer_port(peer));
    host_run(&host);
    assert_true(ms_between(started, tcpm_now_ns()) < 100 + LATE_MS);
    for (size_t i = 0; i < MANY; i++)
        assert_log(&tracks[i], "initialize timeout(connect) disconnected(timeout)");
    peer_stop(peer);
    host_close(&host);
    free(tracks);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_T1_silence_is_a_timeout_of_the_input),
    cmocka_unit_test(test_E7_no_answer_is_a_timeout_of_the_connect),
    cmocka_unit_test(test_T2_each_line_restarts_it),
    cmocka_unit_test(test_T3_each_byte_restarts_it),
    cmocka_unit_test(test_T12_no_input_moves_the_deadline),
    cmocka_unit_test(test_the_deadline_includes_the_connect),
    HOST_TEST(test_T19_sending_does_not_restart_it),
    HOST_TEST(test_T19_sending_does_not_make_an_upload_longer),
    HOST_TEST(test_T19_an_upload_in_a_pause_takes_nothing_of_the_time),
    HOST_TEST(test_T11_each_phase_has_its_own),
    HOST_TEST(test_a_flush_that_makes_progress_goes_on),
    cmocka_unit_test(test_T21_three_hundred_connects_into_the_dark),
};

RUN_TESTS(tests)
