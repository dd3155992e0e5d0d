/* SPDX-License-Identifier: MIT */
/*
 * Options that say how a target is reached, in session, connect and engine: what cannot be is
 * -EINVAL before anything has changed; zero is the session's, "" takes the session's away. And the
 * times of a connection, step by step.
 */
#include "refused.h"

#include <sys/socket.h>

#define HOST_1      .address = "127.0.0.1", .port = 1
#define LONG_DEVICE "a-name-of-16-byt"

/* ---- what cannot be ---- */

static void test_session_options_that_cannot_be(void **state)
{
    const struct tcpm_session_options rows[] = {
        {.times = 2},
        {.times = -1},
        {.dns = -1},
        {.dns = 4},
        {.resolve = "localhost"},
        {.resolve = "a:1=b:1"},
        {.resolve = "a:1=127.0.0.1:1\nb:2"},
        {.resolve = "a:1=127.0.0.1:65536"},
        {.deny = "privat"},
        {.deny = "10.0.0.0/33"},
        {.deny = "10.0.0.1/8"},
        {.deny = "private, ::/129"},
        {.attempt_delay_ms = 9},
        {.attempt_delay_ms = -1},
        {.attempt_delay_ms = UINT32_MAX},
        {.resolution_delay_ms = 9},
        {.resolution_delay_ms = INT64_MIN},
        {.bind_address = ""},
        {.bind_address = "localhost"},
        {.bind_address = "127.0.0.1,nowhere"},
        {.bind_address = "127.0.0.0/7"},
        {.bind_address = "127.0.0.1:80"},
        {.bind_port = -1},
        {.bind_port = 65536},
        {.bind_device = LONG_DEVICE},
        {.bind_device = "a/b"},
        {.bind_device = "a b"},
    };
    struct host *host = *state;

    assert_no_session(host, rows, COUNT(rows), track_events());
    host_close(host);
}

static void test_connect_options_that_cannot_be(void **state)
{
    const struct tcpm_connect_options rows[] = {
        {HOST_1, .dns = -1},
        {HOST_1, .dns = 4},
        {HOST_1, .resolve = "a:1=b:1"},
        {HOST_1, .deny = "privat"},
        {HOST_1, .attempt_delay_ms = 9},
        {HOST_1, .resolution_delay_ms = -1},
        {HOST_1, .bind_address = "127.0.0.1 nowhere"},
        {HOST_1, .bind_device = LONG_DEVICE},
        {.address = "127.0.0.1", .port = 1, .server_name = ""},
        {.address = "127.0.0.1", .port = 1, .server_name = ".a.example"},
        {.address = "127.0.0.1", .port = 1, .server_name = "[::1]"},
        {.address = "127.0.0.1", .port = 1, .plain = 2},
        {.address = "127.0.0.1", .port = 1, .plain = -1},
        {.address = "127.0.0.1", .port = 1, .direct = 2},
        {.address = "127.0.0.1", .port = 1, .send_proxy = 3},
    };
    struct host *host = *state;

    assert_no_connection(track_session(host, NULL), rows, COUNT(rows), NULL);
    host_close(host);
}

static void test_options_of_look_ups_that_cannot_be(void **state)
{
    const struct tcpm_names_options rows[] = {
        {.servers = "localhost"},
        {.servers = ""},
        {.servers = "1.1.1.1, 2.2.2.2:0"},
        {.servers = "1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8 1.1.1.9"},
        {.timeout_ms = -1},
        {.timeout_ms = 60001},
        {.tries = -1},
        {.tries = 11},
        {.no_search = 2},
        {.ttl_s = -2},
        {.concurrency = -1},
        {.concurrency = 32769},
        {.cache = -1},
        {.cache = 16777217},
    };
    struct host *host = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tcpm_names_options options = rows[i];
        options.size = sizeof options;
        int result = tcpm_names_set(host->engine, &options);
        if (result != -EINVAL && !(result == -EOPNOTSUPP && options.servers != NULL))
            fail_msg("row %zu: %d", i, result);
    }
    assert_int_equal(tcpm_names_set(NULL, NULL), -EINVAL);
    host_close(host);
}

static void test_all_defaults_and_all_limits_may_be_set(void **state)
{
    const struct tcpm_names_options rows[] = {
        {.timeout_ms = 1, .tries = 1, .concurrency = 1, .ttl_s = TCPM_NONE, .cache = 1},
        {.timeout_ms = 60000,
         .tries = 10,
         .no_search = 1,
         .concurrency = 32768,
         .ttl_s = INT64_MAX,
         .cache = 16777216},
        {.size = 0},
    };
    struct host *host = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tcpm_names_options options = rows[i];
        options.size = sizeof options;
        assert_int_equal(tcpm_names_set(host->engine, &options), 0);
    }
    assert_int_equal(tcpm_names_set(host->engine, NULL), 0);
    host_close(host);
}

/* The backend may have been left out when the library was built. */
static void test_ares_is_there_or_not_supported(void **state)
{
    struct host *host = *state;
    struct tcpm_session *session = NULL;
    struct tcpm_session_options options = {
        .size = sizeof options, .events = track_events(), .dns = TCPM_DNS_ARES};
    int expected = tcpm_session_create(host->engine, &options, &session);
    struct tcpm_connect_options target = {.size = sizeof target, HOST_1, .dns = TCPM_DNS_ARES};

    assert_true(expected == 0 || expected == -EOPNOTSUPP);
    assert_int_equal(session == NULL, expected != 0);
    session = track_session(host, NULL);
    if (expected != 0)
        assert_int_equal(tcpm_connect(session, &target, NULL), expected);
    host_close(host);
}

/* ---- session and connect ---- */

struct meeting {
    struct tcpm_session_options session;
    struct tcpm_connect_options connect;
    const char *log; /* NULL: success */
    const char *local;
};

/* The target stays as it was given, whatever stands for it. */
static void check_meeting(struct track *track, enum event event)
{
    const struct meeting *meeting = track->user;
    struct tcpm_info info = {.size = sizeof info};

    if (event != EVENT_SUCCESS)
        return;
    if (meeting->local != NULL)
        assert_string_equal(track_endpoints(track).local, meeting->local);
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    assert_string_equal(info.address, meeting->connect.address);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void run_meeting(struct host *host, const struct meeting *meeting, int port)
{
    struct track track = {.hook = check_meeting, .user = (void *) (uintptr_t) meeting};
    struct tcpm_connect_options target = meeting->connect;

    target.port = port;
    track_connect_with(&track, track_session(host, &meeting->session), target);
    host_run(host);
    assert_log(&track,
               meeting->log != NULL ? meeting->log : "initialize success disconnected(shutdown)");
}

#define DENIED "initialize failure(resolve,EPOLICY) disconnected(failure)"

static void test_a_connect_takes_the_sessions_options_others_or_none(void **state)
{
    static const struct meeting rows[] = {
        {{.deny = "loopback"}, {.address = "127.0.0.1"}, DENIED, NULL},
        {{.deny = "loopback"}, {.address = "127.0.0.1", .deny = ""}, NULL, NULL},
        {{.deny = "loopback"}, {.address = "127.0.0.1", .deny = "10.0.0.0/8"}, NULL, NULL},
        {{.deny = "private"}, {.address = "127.0.0.1", .deny = "127.0.0.0/8"}, DENIED, NULL},
        {{.resolve = "x.test:*=127.0.0.1"}, {.address = "X.test"}, NULL, NULL},
        {{.resolve = "x.test:*=127.0.0.1", .deny = "loopback"},
         {.address = "x.test"},
         DENIED,
         NULL},
        {{.resolve = "x.test:*=10.0.0.1"},
         {.address = "x.test", .resolve = "x.test:*=127.0.0.1"},
         NULL,
         NULL},
        {{.bind_address = "127.0.0.7"}, {.address = "127.0.0.1"}, NULL, "127.0.0.7"},
        {{.bind_address = "127.0.0.7"},
         {.address = "127.0.0.1", .bind_address = "127.0.0.8"},
         NULL,
         "127.0.0.8"},
        {{.bind_address = "::1,127.0.0.9"}, {.address = "127.0.0.1"}, NULL, "127.0.0.9"},
        {{.bind_address = "127.0.5.4/30"},
         {.address = "127.0.0.1", .bind_address = "127.0.6.5/32"},
         NULL,
         "127.0.6.5"},
    };
    struct host *host = *state;

    struct peer *peer = host_peer(host, "recv all", NULL);
    for (size_t i = 0; i < COUNT(rows); i++)
        run_meeting(host, &rows[i], peer_port(peer));
    host_close(host);
}

/* What was denied is counted, a numeric target too. */
static void test_stats_count_what_was_denied(void **state)
{
    struct host *host = *state;
    const struct tcpm_session_options options = {.deny = "10.0.0.0/8 loopback"};
    struct tcpm_stats stats = {.size = sizeof stats};
    struct track tracks[3] = {{.hook = NULL}};

    struct tcpm_session *session = track_session(host, &options);
    for (size_t i = 0; i < COUNT(tracks); i++) {
        const struct tcpm_connect_options target = {.address = "10.1.2.3", .port = 9};
        track_connect_with(&tracks[i], session, target);
    }
    host_run_until(host, track_ended, &tracks[2]);
    assert_int_equal(tcpm_stats_get(session, &stats), 0);
    assert_int_equal(stats.denied, COUNT(tracks));
    for (size_t i = 0; i < COUNT(tracks); i++)
        assert_log(&tracks[i], DENIED);
    host_close(host);
}

/* ---- times ---- */

static struct tcpm_times times_of(const struct track *track)
{
    struct tcpm_times times = {.size = sizeof times};

    assert_int_equal(tcpm_times_get(track->session, track->id, &times), 0);
    return times;
}

static void check_open(const struct tcpm_times *times)
{
    assert_true(times->started_us > 0);
    assert_true(times->resolved_us >= times->started_us);
    assert_true(times->connected_us >= times->resolved_us);
    assert_int_equal(times->proxied_us, times->connected_us);
    assert_int_equal(times->secured_us, times->connected_us);
}

struct timed {
    struct peer *peer;
    uint64_t began_ns;
};

static void check_timed(struct track *track, enum event event)
{
    struct tcpm_times times = times_of(track);
    struct timed *timed = track->user;

    if (event == EVENT_INITIALIZE) {
        timed->began_ns = times.began_ns;
        assert_true(times.began_ns > 0 && times.began_ns <= (uint64_t) tcpm_now_ns());
        assert_int_equal(times.started_us + times.connected_us + times.first_us, 0);
    }
    assert_int_equal(times.began_ns, timed->began_ns);
    if (event != EVENT_INITIALIZE)
        check_open(&times);
    if (event == EVENT_SUCCESS)
        assert_int_equal(times.first_us + times.last_us, 0);
    if (event == EVENT_INPUT)
        peer_go(timed->peer, "on"); /* the first record is read: the second may be sent */
    if (event != EVENT_DISCONNECTED)
        return;
    assert_true(times.first_us >= times.secured_us);
    assert_true(times.last_us >= times.first_us + 20000); /* the peer's pause */
}

static void test_each_step_is_timed_in_order(void **state)
{
    const struct tcpm_session_options options = {.times = 1};
    struct host *host = *state;
    struct timed timed = {.began_ns = 0};
    struct track track = {.hook = check_timed, .user = &timed};

    timed.peer = host_peer(host, "send \"a\\n\"; wait on; sleep 30; send \"b\\n\"; close", NULL);
    track_connect(&track, track_session(host, &options), peer_port(timed.peer));
    host_run(host);
    assert_log(&track, "initialize success input(a) input(b) error(read,EOF) disconnected(eof)");
    host_close(host);
}

static void check_untimed(struct track *track, enum event event)
{
    struct tcpm_times times = times_of(track);

    (void) event;
    assert_int_equal(times.began_ns, 0);
    assert_int_equal(times.started_us + times.connected_us + times.last_us, 0);
}

static void test_without_the_option_there_are_no_times(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = check_untimed};

    track_run(host, &track, NULL, "send \"a\\n\"; close");
    assert_log(&track, "initialize success input(a) error(read,EOF) disconnected(eof)");
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_session_options_that_cannot_be),
    HOST_TEST(test_connect_options_that_cannot_be),
    HOST_TEST(test_options_of_look_ups_that_cannot_be),
    HOST_TEST(test_all_defaults_and_all_limits_may_be_set),
    HOST_TEST(test_ares_is_there_or_not_supported),
    HOST_TEST(test_a_connect_takes_the_sessions_options_others_or_none),
    HOST_TEST(test_stats_count_what_was_denied),
    HOST_TEST(test_each_step_is_timed_in_order),
    HOST_TEST(test_without_the_option_there_are_no_times),
};

RUN_TESTS(tests)
