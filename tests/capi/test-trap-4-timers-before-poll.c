/* SPDX-License-Identifier: MIT */
/*
 * Trap 4: libuv runs timers before it polls, and on a clock it read before the handlers ran: after
 * a stall, data that is already in the kernel loses against a timeout, and a timer set in a slow
 * handler fires early. Here: what has come counts, and no time is shorter than it was set.
 */
#include "plain.h"

enum { TIMEOUT_MS = 60, STALL_MS = 150 };

/* The host stalls for longer than the timeout, with the peer's bytes in the kernel. */
static void run_stall(const char *program, const char *log)
{
    struct host host;
    struct track track = {.hook = NULL};
    struct tcpm_session_options options = {.input_timeout_ms = TIMEOUT_MS};

    host_open(&host, NULL);
    struct peer *peer = peer_start(program, NULL);
    track_connect(&track, track_session(&host, &options), peer_port(peer));
    host_run_until(&host, track_open, &track);
    peer_go(peer, "go");
    wait_readable(track.fd, 2);
    stall_ms(STALL_MS);
    host_run(&host);
    assert_log(&track, log);
    peer_stop(peer);
    host_close(&host);
}

/* BEHAVIOUR T16; FAULTS T06, T07. */
static void test_T16_data_that_has_come_wins(void **state)
{
    (void) state;
    run_stall("wait go; send \"a\\n\"; freeze",
              "initialize success input(a) timeout(input) disconnected(timeout)");
    run_stall("wait go; send \"a\\n\"; close",
              "initialize success input(a) error(read,EOF) disconnected(eof)");
    run_stall("wait go; send \"a\\n\"; rst",
              "initialize success input(a) error(read,ECONNRESET) disconnected(error)");
    run_stall("wait go; close", "initialize success error(read,EOF) disconnected(eof)");
}

static void shut_at_success(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

/* The same for a connect: it stands in the kernel when its time is over. */
static void test_a_connection_that_stands_wins(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = shut_at_success};
    struct tcpm_session_options options = {.connect_timeout_ms = TIMEOUT_MS};

    struct peer *peer = host_peer(host, "recv all", NULL);
    track_connect(&track, track_session(host, &options), peer_port(peer));
    assert_int_equal(peer_wait_accepted(peer, 1, 20), 0);
    stall_ms(STALL_MS);
    host_run(host);
    assert_log(&track, "initialize success disconnected(shutdown)");
    host_close(host);
}

/* Without anything in the kernel the timeout comes, once, and not for want of patience. */
static void test_nothing_has_come_is_a_timeout(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};
    struct tcpm_session_options options = {.input_timeout_ms = TIMEOUT_MS};

    struct peer *peer = host_peer(host, "freeze", NULL);
    track_connect(&track, track_session(host, &options), peer_port(peer));
    host_run_until(host, track_open, &track);
    stall_ms(STALL_MS);
    host_run(host);
    assert_log(&track, "initialize success timeout(input) disconnected(timeout)");
    host_close(host);
}

struct slow {
    int64_t set_ns, fired_ns;
    int alarms;
};

static void note_alarm(struct tcpm_session *session, void *user, void *argument)
{
    struct slow *slow = argument;

    (void) session;
    (void) user;
    slow->alarms++;
    assert_true(tcpm_now_ns() - slow->set_ns >= INT64_C(80) * 1000000);
}

static void stall_then_set(struct track *track, enum event event)
{
    struct slow *slow = track->user;
    struct tcpm_task task = {.run = note_alarm, .argument = slow};

    if (event == EVENT_SUCCESS) {
        stall_ms(STALL_MS);
        slow->set_ns = tcpm_now_ns();
        assert_int_equal(tcpm_timeout(track->session, track->id, 100), 0);
        assert_int_equal(tcpm_delay(track->session, track->id, 80, task, NULL), 0);
    }
    if (event == EVENT_TIMEOUT)
        slow->fired_ns = tcpm_now_ns();
}

/* BEHAVIOUR T17; FAULTS T08: at least as long as it was set for, from when it was set. */
static void test_T17_a_time_set_in_a_slow_handler_is_not_shorter(void **state)
{
    struct host *host = *state;
    struct slow slow = {0};
    struct track track = {.hook = stall_then_set, .user = &slow};

    track_run(host, &track, NULL, "freeze");
    assert_log(&track, "initialize success timeout(input) disconnected(timeout)");
    assert_int_equal(slow.alarms, 1);
    assert_true(slow.fired_ns - slow.set_ns >= INT64_C(100) * 1000000);
    host_close(host);
}

struct race {
    struct plain plain;
    uv_timer_t timer;
    size_t length_at_timeout;
    int timeouts;
};

static void on_timeout(uv_timer_t *timer)
{
    struct race *race = timer->data;

    race->timeouts++;
    race->length_at_timeout = race->plain.length;
}

static void test_plain_libuv_times_out_before_it_looks(void **state)
{
    struct host host;
    struct race *race = calloc(1, sizeof *race);
    uv_os_fd_t fd = -1;

    (void) state;
    assert_non_null(race);
    host_loop_open(&host);
    struct peer *peer = peer_start("wait go; send \"data\"; freeze", NULL);
    plain_connect(&race->plain, &host.loop, peer_port(peer));
    host_run_until(&host, plain_open, &race->plain);
    assert_int_equal(uv_timer_init(&host.loop, &race->timer), 0);
    race->timer.data = race;
    assert_int_equal(uv_timer_start(&race->timer, on_timeout, TIMEOUT_MS, 0), 0);
    peer_go(peer, "go");
    assert_int_equal(uv_fileno((uv_handle_t *) &race->plain.tcp, &fd), 0);
    wait_readable(fd, 4);
    stall_ms(STALL_MS);
    while (race->timeouts == 0)
        uv_run(&host.loop, UV_RUN_ONCE);
    if (plain_is_known())
        assert_int_equal(race->length_at_timeout, 0); /* 4 bytes were in the kernel for 90 ms */
    uv_close((uv_handle_t *) &race->timer, NULL);
    plain_close(&race->plain);
    host_run(&host);
    peer_stop(peer);
    host_loop_close(&host);
    free(race);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_T16_data_that_has_come_wins),
    HOST_TEST(test_a_connection_that_stands_wins),
    HOST_TEST(test_nothing_has_come_is_a_timeout),
    HOST_TEST(test_T17_a_time_set_in_a_slow_handler_is_not_shorter),
    cmocka_unit_test(test_plain_libuv_times_out_before_it_looks),
};

RUN_TESTS(tests)
