/* SPDX-License-Identifier: MIT */
/*
 * The peer's end: the event eof, which takes the place of error(READ, TCPM_EOF), and half_open,
 * with which it ends the input only.
 */
#include "host.h"

static struct tcpm_info info_of(struct track *track)
{
    struct tcpm_info info = {.size = sizeof info};

    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    return info;
}

/* One connection, until it has ended; the peer is left to look at. */
static struct peer *run_one(struct host *host, struct track *track, const char *program,
                            struct tcpm_session_options options)
{
    host_open(host, NULL);
    struct peer *peer = peer_start(program, NULL);
    assert_non_null(peer);
    track_connect(track, track_session(host, &options), peer_port(peer));
    host_run(host);
    return peer;
}

static void expect_log(const char *program, struct tcpm_session_options options,
                       void (*hook)(struct track *track, enum event event), const char *log)
{
    struct host host;
    struct track track = {.hook = hook};

    peer_stop(run_one(&host, &track, program, options));
    assert_log(&track, log);
    host_close(&host);
}

static const struct tcpm_session_options *half_open(void)
{
    static struct tcpm_session_options options = {.half_open = 1};

    options.events = track_events_eof();
    return &options;
}

static void check_cause(struct track *track, enum event event)
{
    if (event != EVENT_EOF && event != EVENT_DISCONNECTED)
        return;
    struct tcpm_info info = info_of(track);
    assert_int_equal(info.cause.op, TCPM_OP_READ);
    assert_int_equal(info.cause.code, TCPM_EOF);
    assert_int_equal(info.timer, 0);
    if (event == EVENT_EOF)
        assert_int_equal(tcpm_send(track->session, track->id, "x", 1), -ESHUTDOWN);
}

static void test_E4_eof_takes_the_place_of_the_error(void **state)
{
    (void) state;
    expect_log("send \"a\\nb\"; close", (struct tcpm_session_options){.events = track_events_eof()},
               check_cause, "initialize success input(a) eof disconnected(eof)");
    expect_log("send \"a\\nb\"; close", (struct tcpm_session_options){0}, NULL,
               "initialize success input(a) error(read,EOF) disconnected(eof)");
    expect_log("send \"a\\n\"; rst", (struct tcpm_session_options){.events = track_events_eof()},
               NULL, "initialize success input(a) error(read,ECONNRESET) disconnected(error)");
}

static void answer_and_shut(struct track *track, enum event event)
{
    struct tcpm_filter *filter = NULL;

    if (event != EVENT_EOF)
        return;
    assert_int_equal(info_of(track).phase, TCPM_PHASE_OPEN);
    assert_int_equal(tcpm_pause(track->session, track->id), -ESHUTDOWN);
    assert_int_equal(tcpm_resume(track->session, track->id), -ESHUTDOWN);
    assert_int_equal(tcpm_unread(track->session, track->id, "x", 1), -ESHUTDOWN);
    assert_int_equal(tcpm_take(track->session, track->id, 1), -ESHUTDOWN);
    assert_int_equal(tcpm_filter_stream(&filter), 0);
    assert_int_equal(tcpm_filter_set(track->session, track->id, filter, NULL), -ESHUTDOWN);
    assert_int_equal(tcpm_filter_set(track->session, track->id, filter, filter), -ESHUTDOWN);
    assert_int_equal(tcpm_filter_set(track->session, track->id, NULL, filter), 0);
    tcpm_filter_free(filter);
    assert_int_equal(tcpm_timeout(track->session, track->id, 5000), 0);
    assert_int_equal(tcpm_deadline(track->session, track->id, 5000), 0);
    assert_int_equal(tcpm_send(track->session, track->id, "answer", 6), 0);
    assert_int_equal(tcpm_shutdown_output(track->session, track->id), 0);
    assert_int_equal(info_of(track).phase, TCPM_PHASE_SHUTTING);
    assert_int_equal(tcpm_shutdown_output(track->session, track->id), -ESHUTDOWN);
}

static void test_I08_output_goes_on_and_input_is_over(void **state)
{
    struct host host;
    struct track track = {.hook = answer_and_shut};
    struct peer_connection seen;

    (void) state;
    struct peer *peer = run_one(&host, &track, "send \"a\\nb\"; shutwr; count", *half_open());
    assert_log(&track, "initialize success input(a) eof disconnected(eof)");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_int_equal(seen.end, PEER_EOF);
    assert_int_equal(seen.received, 6);
    peer_stop(peer);
    host_close(&host);
}

static void shut_at_eof(struct track *track, enum event event)
{
    if (event == EVENT_EOF)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void die_at_eof(struct track *track, enum event event)
{
    if (event == EVENT_EOF)
        assert_int_equal(tcpm_die(track->session), 0);
}

static void reset_at_eof(struct track *track, enum event event)
{
    if (event == EVENT_EOF)
        assert_int_equal(tcpm_reset(track->session, track->id), 0);
}

static void fail_at_eof(struct track *track, enum event event)
{
    if (event == EVENT_EOF)
        assert_int_equal(tcpm_fail(track->session, track->id, -EPROTO, NULL), 0);
}

static void shut_output_at_success(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_shutdown_output(track->session, track->id), 0);
}

static void shut_after_output_was_shut(struct track *track, enum event event)
{
    shut_output_at_success(track, event);
    if (event == EVENT_EOF)
        assert_int_equal(tcpm_shutdown(track->session, track->id), -ESHUTDOWN);
}

static void test_each_way_to_end_it_has_its_reason(void **state)
{
    (void) state;
    expect_log("shutwr; count", *half_open(), shut_at_eof,
               "initialize success eof disconnected(eof)");
    expect_log("shutwr; count", *half_open(), die_at_eof,
               "initialize success eof disconnected(die)");
    expect_log("shutwr; count", *half_open(), reset_at_eof,
               "initialize success eof disconnected(shutdown)");
    expect_log("shutwr; count", *half_open(), fail_at_eof,
               "initialize success eof error(fail,EPROTO) disconnected(error)");
    expect_log("recv all; close", *half_open(), shut_after_output_was_shut,
               "initialize success eof disconnected(eof)");
}

static void check_timer(struct track *track, enum event event)
{
    if (event != EVENT_TIMEOUT && event != EVENT_DISCONNECTED)
        return;
    assert_int_equal(info_of(track).timer, track->timer);
    assert_int_equal(info_of(track).cause.code, -ETIMEDOUT);
}

static void test_its_timeouts_and_the_timer_that_ran_out(void **state)
{
    struct tcpm_session_options options = *half_open();

    (void) state;
    options.input_timeout_ms = 60;
    expect_log("shutwr; count", options, check_timer,
               "initialize success eof timeout(input) disconnected(timeout)");
    options.input_timeout_ms = TCPM_NONE;
    options.deadline_ms = 60;
    expect_log("shutwr; count", options, check_timer,
               "initialize success eof timeout(deadline) disconnected(timeout)");
}

/* The reset comes with the FIN, or after it while nothing is sent: no read tells of it any more. */
static void test_a_reset_after_the_fin_is_an_error(void **state)
{
    (void) state;
    expect_log("shutwr; sleep 50; rst", *half_open(), NULL,
               "initialize success eof error(write,ECONNRESET) disconnected(error)");
}

static void test_without_the_event_it_is_refused(void **state)
{
    struct host *host = *state;
    struct tcpm_session *session = NULL;
    struct tcpm_session_options options = {
        .size = sizeof options, .events = track_events(), .half_open = 1};
    struct tcpm_connect_options target = {
        .size = sizeof target, .address = "127.0.0.1", .port = 9, .half_open = 1};

    assert_int_equal(tcpm_session_create(host->engine, &options, &session), -EINVAL);
    options.half_open = 2;
    options.events = track_events_eof();
    assert_int_equal(tcpm_session_create(host->engine, &options, &session), -EINVAL);
    session = track_session(host, NULL);
    assert_int_equal(tcpm_connect(session, &target, NULL), -EINVAL);
    target.half_open = -2;
    assert_int_equal(tcpm_connect(session, &target, NULL), -EINVAL);
    host_close(host);
}

/* A connection may differ from its session, also by an event of its own. */
static void test_a_connection_may_differ(void **state)
{
    static const struct tcpm_events none = {.size = sizeof none};
    struct host *host = *state;
    struct track plain = {.hook = NULL}, half = {.hook = shut_at_eof};
    struct tcpm_session_options options = *half_open();

    struct peer *peer = host_peer(host, "shutwr; count", NULL);
    struct tcpm_session *session = track_session(host, &options);
    track_connect_with(
        &plain, session,
        (struct tcpm_connect_options){.port = peer_port(peer), .half_open = TCPM_NONE});
    options = (struct tcpm_session_options){.events = &none};
    track_connect_with(&half, track_session(host, &options),
                       (struct tcpm_connect_options){
                           .port = peer_port(peer), .half_open = 1, .events = track_events_eof()});
    host_run(host);
    assert_log(&plain, "initialize success eof disconnected(eof)");
    assert_log(&half, "initialize success eof disconnected(eof)");
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_E4_eof_takes_the_place_of_the_error),
    cmocka_unit_test(test_I08_output_goes_on_and_input_is_over),
    cmocka_unit_test(test_each_way_to_end_it_has_its_reason),
    cmocka_unit_test(test_its_timeouts_and_the_timer_that_ran_out),
    cmocka_unit_test(test_a_reset_after_the_fin_is_an_error),
    HOST_TEST(test_without_the_event_it_is_refused),
    HOST_TEST(test_a_connection_may_differ),
};

RUN_TESTS(tests)
