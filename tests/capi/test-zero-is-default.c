/* SPDX-License-Identifier: MIT */
/*
 * The promise zero-is-default: zero in an options struct is the default that the header names, and
 * TCPM_NONE is no timeout, or no limit. And what cannot be is -EINVAL before anything has changed.
 */
#include "refused.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

struct expected_times {
    struct tcpm_session_options session;
    struct tcpm_connect_options connect;
    int64_t connect_ms, input_ms, shutdown_ms, deadline_ms;
};

static int64_t timeout_of(const struct track *track)
{
    struct tcpm_info info = {.size = sizeof info};

    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    return info.timeout_ms;
}

static void check_times(struct track *track, enum event event)
{
    const struct expected_times *expected = track->user;
    struct tcpm_info info = {.size = sizeof info};

    if (event == EVENT_INITIALIZE)
        assert_int_equal(timeout_of(track), expected->connect_ms);
    if (event != EVENT_SUCCESS)
        return;
    assert_int_equal(timeout_of(track), expected->input_ms);
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    if (expected->deadline_ms == 0)
        assert_int_equal(info.deadline_ms, 0);
    else
        assert_true(info.deadline_ms > 0 && info.deadline_ms <= expected->deadline_ms);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
    assert_int_equal(timeout_of(track), expected->shutdown_ms);
}

static void test_times(void **state)
{
    static const struct expected_times rows[] = {
        {{.size = 0}, {.size = 0}, 30000, 300000, 30000, 0},
        {{.connect_timeout_ms = 1000,
          .input_timeout_ms = 2000,
          .shutdown_timeout_ms = 3000,
          .deadline_ms = 4000},
         {.size = 0},
         1000,
         2000,
         3000,
         4000},
        {{.connect_timeout_ms = TCPM_NONE,
          .input_timeout_ms = TCPM_NONE,
          .shutdown_timeout_ms = TCPM_NONE,
          .deadline_ms = TCPM_NONE},
         {.size = 0},
         0,
         0,
         0,
         0},
        {{.connect_timeout_ms = 1000, .deadline_ms = 4000},
         {.connect_timeout_ms = 5000,
          .input_timeout_ms = 6000,
          .shutdown_timeout_ms = 7000,
          .deadline_ms = 8000},
         5000,
         6000,
         7000,
         8000},
        {{.connect_timeout_ms = 1000,
          .input_timeout_ms = 1000,
          .shutdown_timeout_ms = 1000,
          .deadline_ms = 4000},
         {.connect_timeout_ms = TCPM_NONE,
          .input_timeout_ms = TCPM_NONE,
          .shutdown_timeout_ms = TCPM_NONE,
          .deadline_ms = TCPM_NONE},
         0,
         0,
         0,
         0},
    };
    struct host *host = *state;

    struct peer *peer = host_peer(host, "recv all", NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct track track = {.hook = check_times, .user = (void *) (uintptr_t) &rows[i]};
        struct tcpm_connect_options target = rows[i].connect;
        target.port = peer_port(peer);
        track_connect_with(&track, track_session(host, &rows[i].session), target);
        host_run(host);
        assert_log(&track, "initialize success disconnected(shutdown)");
    }
    host_close(host);
}

/* Zero in a call that sets a time is none, the longest one is 2^32 - 2. */
static void set_times(struct track *track, enum event event)
{
    struct tcpm_info info = {.size = sizeof info};

    if (event != EVENT_SUCCESS)
        return;
    static const int64_t wrong[] = {-1, TCPM_NONE, INT64_MIN, UINT32_MAX, INT64_MAX};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_int_equal(tcpm_timeout(track->session, track->id, wrong[i]), -EINVAL);
        assert_int_equal(tcpm_deadline(track->session, track->id, wrong[i]), -EINVAL);
    }
    assert_int_equal(timeout_of(track), 300000);
    assert_int_equal(tcpm_timeout(track->session, track->id, UINT32_MAX - 1), 0);
    assert_int_equal(timeout_of(track), UINT32_MAX - 1);
    assert_int_equal(tcpm_timeout(track->session, track->id, 0), 0);
    assert_int_equal(timeout_of(track), 0);
    assert_int_equal(tcpm_deadline(track->session, track->id, 5000), 0);
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    assert_true(info.deadline_ms > 4000 && info.deadline_ms <= 5000);
    assert_int_equal(tcpm_deadline(track->session, track->id, 0), 0);
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    assert_int_equal(info.deadline_ms, 0);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void test_times_set_by_a_call(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = set_times};

    track_run(host, &track, NULL, "recv all");
    assert_log(&track, "initialize success disconnected(shutdown)");
    host_close(host);
}

/* The default filter is line, for both directions. */
static void say_hello(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_send(track->session, track->id, "hello", 5), 0);
}

static void test_the_default_filter_is_line(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = say_hello};

    struct peer *peer =
        host_peer(host, "expect \"hello\\r\\n\"; send \"a\\nb\\r\\nc\\r\"; close", NULL);
    track_connect(&track, track_session(host, NULL), peer_port(peer));
    host_run(host);
    assert_log(&track, "initialize success input(a) input(b) input(c) error(read,EOF) "
                       "disconnected(eof)");
    struct peer_report report;
    peer_report(peer, &report);
    assert_int_equal(report.failures, 0);
    host_close(host);
}

struct marks {
    int64_t full_above, refused_above;
};

/* One send of nothing but a length more than what the kernel takes shows the marks. */
static void probe_marks(struct track *track, enum event event)
{
    const struct marks *marks = track->user;
    char *large = NULL;
    uint64_t queued = 0;
    int result = 0;

    if (event != EVENT_SUCCESS)
        return;
    large = calloc(1, 1 << 20);
    assert_non_null(large);
    while (result == 0 || (result == 1 && queued <= (uint64_t) marks->refused_above)) {
        struct tcpm_info info = {.size = sizeof info};
        result = tcpm_send(track->session, track->id, large, 1 << 20);
        assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
        if (result == 0)
            assert_true(info.queued <= (uint64_t) marks->full_above);
        else if (result == 1)
            assert_true(info.queued > (uint64_t) marks->full_above);
        assert_true(info.queued <= (uint64_t) marks->refused_above);
        assert_true(result >= 0 || result == -ENOBUFS);
        assert_true(result != -ENOBUFS || queued + (1 << 20) > (uint64_t) marks->refused_above);
        if (result == -ENOBUFS)
            assert_int_equal(info.queued, queued); /* nothing was taken */
        queued = info.queued;
    }
    assert_int_equal(result, -ENOBUFS);
    free(large);
    assert_int_equal(tcpm_reset(track->session, track->id), 0);
}

static void test_marks_of_the_queue(void **state)
{
    static const struct {
        struct tcpm_session_options options;
        struct marks marks;
    } rows[] = {
        {{.size = 0}, {1 << 20, 64 << 20}},
        {{.high_mark = 5 << 20, .max_queued = 9 << 20}, {5 << 20, 9 << 20}},
    };
    struct host *host = *state;

    struct peer *peer = host_peer(host, "freeze", &(struct peer_options){.rcvbuf = 4096});
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tcpm_session_options options = rows[i].options;
        struct marks marks = rows[i].marks;
        struct track track = {.hook = probe_marks, .user = &marks};
        options.output_filter = stream_filter();
        track_connect(&track, track_session(host, &options), peer_port(peer));
        tcpm_filter_free(options.output_filter);
        host_run(host);
        assert_log(&track, "initialize success disconnected(shutdown)");
    }
    host_close(host);
}

struct sockopts {
    struct tcpm_session_options options;
    int nodelay, keepalive, idle_s;
};

static int option_of(int fd, int level, int name)
{
    int value = 0;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static void check_options(struct track *track, enum event event)
{
    const struct sockopts *expected = track->user;

    if (event != EVENT_SUCCESS)
        return;
    for (int sends = 0; sends < 2; sends++) /* nothing holds the first one back */
        assert_int_equal(tcpm_send(track->session, track->id, "x", 1), 0);
    assert_int_equal(option_of(track->fd, IPPROTO_TCP, TCP_NODELAY) != 0, expected->nodelay);
    assert_int_equal(option_of(track->fd, SOL_SOCKET, SO_KEEPALIVE) != 0, expected->keepalive);
    if (expected->keepalive != 0)
        assert_int_equal(option_of(track->fd, IPPROTO_TCP, TCP_KEEPIDLE), expected->idle_s);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void test_options_of_the_socket(void **state)
{
    static const struct sockopts rows[] = {
        {{.size = 0}, 1, 0, 0},
        {{.no_nodelay = 1}, 0, 0, 0},
        {{.keepalive_s = 77}, 1, 1, 77},
    };
    struct host *host = *state;

    struct peer *peer = host_peer(host, "recv all", NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct track track = {.hook = check_options, .user = (void *) (uintptr_t) &rows[i]};
        track_connect(&track, track_session(host, &rows[i].options), peer_port(peer));
        host_run(host);
        assert_log(&track, "initialize success disconnected(shutdown)");
    }
    host_close(host);
}

static void test_session_options_that_cannot_be(void **state)
{
    const struct tcpm_session_options rows[] = {
        {.events = NULL},
        {.events = track_events(), .connect_timeout_ms = -2},
        {.events = track_events(), .input_timeout_ms = INT64_MIN},
        {.events = track_events(), .shutdown_timeout_ms = UINT32_MAX},
        {.events = track_events(), .deadline_ms = INT64_MAX},
        {.events = track_events(), .domain = 5},
        {.events = track_events(), .domain = -1},
        {.events = track_events(), .max_connections = -2},
        {.events = track_events(), .max_per_address = -2},
        {.events = track_events(), .connect_rate = -2},
        {.events = track_events(), .high_mark = -2},
        {.events = track_events(), .low_mark = -7},
        {.events = track_events(), .max_queued = INT64_MIN},
        {.events = track_events(), .keepalive_s = -1},
        {.events = track_events(), .cork = 2},
        {.events = track_events(), .connect_interval_ns = -2},
        {.events = track_events(), .connect_interval_ns = INT64_MAX},
        {.events = track_events(), .connect_interval_ns = 1000, .connect_rate = 1},
    };
    struct host *host = *state;
    struct tcpm_session *session = NULL;
    struct tcpm_engine *engine = NULL;

    assert_no_session(host, rows, COUNT(rows), NULL);
    struct tcpm_session_options good = {.size = sizeof good, .events = track_events()};
    assert_int_equal(tcpm_session_create(NULL, &good, &session), -EINVAL);
    assert_int_equal(tcpm_session_create(host->engine, &good, NULL), -EINVAL);
    assert_int_equal(tcpm_session_create(host->engine, NULL, &session), -EINVAL);
    struct tcpm_engine_options engine_options = {.size = sizeof engine_options,
                                                 .max_connections = -2};
    assert_int_equal(tcpm_engine_create(&host->loop, &engine_options, &engine), -EINVAL);
    engine_options = (struct tcpm_engine_options){.size = sizeof engine_options, .max_memory = -5};
    assert_int_equal(tcpm_engine_create(&host->loop, &engine_options, &engine), -EINVAL);
    engine_options =
        (struct tcpm_engine_options){.size = sizeof engine_options, .max_handshakes = -2};
    assert_int_equal(tcpm_engine_create(&host->loop, &engine_options, &engine), -EINVAL);
    assert_int_equal(tcpm_engine_create(NULL, NULL, &engine), -EINVAL);
    assert_int_equal(tcpm_engine_create(&host->loop, NULL, NULL), -EINVAL);
    assert_null(engine);
    host_close(host);
}

static void ignore_stop(struct tcpm_session *session, void *user)
{
    (void) session;
    (void) user;
}

#define SOMEWHERE .address = "127.0.0.1", .port = 1

static void test_connect_options_that_cannot_be(void **state)
{
    static const struct tcpm_events stopped = {.size = sizeof stopped, .stopped = ignore_stop};
    static char long_address[255];
    const struct tcpm_connect_options rows[] = {
        {.address = NULL, .port = 1},
        {.address = "", .port = 1},
        {.address = long_address, .port = 1},
        {.address = "a b", .port = 1},
        {.address = "a\n", .port = 1},
        {.address = "127.0.0.1"},
        {.address = "127.0.0.1", .port = -1},
        {.address = "127.0.0.1", .port = 65536},
        {.address = "127.0.0.1", .service = ""},
        {.address = "127.0.0.1", .service = "no-such-service"},
        {.address = "127.0.0.1", .service = "80x"},
        {.address = "127.0.0.1", .service = "65536"},
        {SOMEWHERE, .bind_port = -1},
        {SOMEWHERE, .bind_port = 65536},
        {SOMEWHERE, .bind_address = "localhost"},
        {SOMEWHERE, .bind_address = ""},
        {SOMEWHERE, .bind_address = "127.1"},
        {SOMEWHERE, .bind_address = "127.0.0.1:80"},
        {SOMEWHERE, .connect_timeout_ms = -2},
        {SOMEWHERE, .deadline_ms = INT64_MAX},
        {SOMEWHERE, .half_open = 2},
        {SOMEWHERE, .half_open = -2},
        {SOMEWHERE, .events = &stopped},
    };
    struct host *host = *state;

    memset(long_address, 'a', sizeof long_address - 1);
    assert_no_connection(track_session(host, NULL), rows, COUNT(rows), NULL);
    host_close(host);
}

static void test_filter_options_that_cannot_be(void **state)
{
    static char long_literal[4098];
    const struct tcpm_line_options lines[] = {
        {.ends = -1},
        {.ends = 3},
        {.ends = TCPM_ENDS_LF, .input_literal = "|"},
        {.input_literal = ""},
        {.input_literal = long_literal},
        {.output_literal = long_literal},
        {.max_length = -2},
    };
    const struct tcpm_block_options blocks[] = {
        {.block_size = 0},
        {.block_size = -1},
        {.block_size = 4, .length = "u8"},
        {.block_size = 16777217},
        {.block_size = 4, .header = 1},
        {.block_size = 4, .adjust = 1},
        {.length = "u16"},
        {.length = ""},
        {.length = "u8", .offset = 1},
        {.length = "u8", .offset = -1, .header = 1},
        {.length = "u8", .offset = 65537, .header = 1},
        {.length = "u8", .header = 2},
        {.length = "u8", .adjust = INT64_C(1) << 31},
        {.length = "u8", .max_length = -2},
    };
    struct tcpm_filter *filter = NULL;

    (void) state;
    memset(long_literal, 'x', sizeof long_literal - 1);
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct tcpm_line_options options = lines[i];
        options.size = sizeof options;
        if (tcpm_filter_line(&options, &filter) != -EINVAL || filter != NULL)
            fail_msg("line, row %zu", i);
    }
    for (size_t i = 0; i < COUNT(blocks); i++) {
        struct tcpm_block_options options = blocks[i];
        options.size = sizeof options;
        if (tcpm_filter_block(&options, &filter) != -EINVAL || filter != NULL)
            fail_msg("block, row %zu", i);
    }
    assert_int_equal(tcpm_filter_netstring(-2, &filter), -EINVAL);
    struct tcpm_resp_options values = {.size = sizeof values, .max_length = -2};
    assert_int_equal(tcpm_filter_resp(&values, &filter), -EINVAL);
    values = (struct tcpm_resp_options){.size = sizeof values, .max_elements = -2};
    assert_int_equal(tcpm_filter_resp(&values, &filter), -EINVAL);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_times),
    HOST_TEST(test_times_set_by_a_call),
    HOST_TEST(test_the_default_filter_is_line),
    HOST_TEST(test_marks_of_the_queue),
    HOST_TEST(test_options_of_the_socket),
    HOST_TEST(test_session_options_that_cannot_be),
    HOST_TEST(test_connect_options_that_cannot_be),
    cmocka_unit_test(test_filter_options_that_cannot_be),
};

RUN_TESTS(tests)
