/* SPDX-License-Identifier: MIT */
/*
 * What bindings to other languages need: tcpm_abort, for a handler that raised, and tcpm_fail_as,
 * for a failure that has an operation of its own.
 */
#include "plain.h"

static int abort_it(const struct track *track)
{
    return tcpm_abort(track->session, track->id, "a handler raised");
}

/* The event in which the hook aborts, and what the hook does before. */
struct plan {
    enum event at;
    int (*before)(struct tcpm_session *session, struct tcpm_id id);
    int result;
};

static void abort_as_planned(struct track *track, enum event event)
{
    const struct plan *plan = track->user;

    if (event != plan->at)
        return;
    if (plan->before != NULL)
        assert_int_equal(plan->before(track->session, track->id), 0);
    assert_int_equal(abort_it(track), plan->result);
}

static void test_abort_takes_the_place_of_an_end_that_is_not_yet_told(void **state)
{
    const struct {
        struct plan plan;
        const char *program, *log;
    } rows[] = {
        {{EVENT_INITIALIZE, NULL, 0}, "recv all", "initialize disconnected(error)"},
        {{EVENT_INITIALIZE, tcpm_shutdown, 0}, "recv all", "initialize disconnected(error)"},
        {{EVENT_SUCCESS, NULL, 0}, "recv all", "initialize success disconnected(error)"},
        {{EVENT_SUCCESS, tcpm_shutdown, 0}, "recv all", "initialize success disconnected(error)"},
        {{EVENT_SUCCESS, tcpm_reset, 0}, "recv all", "initialize success disconnected(error)"},
        {{EVENT_INPUT, NULL, 0},
         "send \"a\\nb\\n\"; recv all",
         "initialize success input(a) disconnected(error)"},
        {{EVENT_ERROR, NULL, 0}, "close", "initialize success error(read,EOF) disconnected(eof)"},
        {{EVENT_DISCONNECTED, NULL, -ESTALE},
         "close",
         "initialize success error(read,EOF) disconnected(eof)"},
    };
    struct host *host = *state;

    struct tcpm_session *session = track_session(host, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct track track = {.hook = abort_as_planned, .user = (void *) (uintptr_t) &rows[i].plan};
        struct peer *peer = peer_start(rows[i].program, NULL);
        track_connect(&track, session, peer_port(peer));
        host_run(host);
        assert_log(&track, rows[i].log);
        peer_stop(peer);
    }
    host_close(host);
}

static void test_abort_cuts_a_flush_short(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};
    static char much[8 << 20];

    struct peer *peer = host_peer(host, "freeze", NULL);
    track_connect(&track, stream_session(host, (struct tcpm_session_options){0}), peer_port(peer));
    host_run_until(host, track_open, &track);
    assert_true(tcpm_send(track.session, track.id, much, sizeof much) >= 0);
    assert_int_equal(tcpm_shutdown(track.session, track.id), 0);
    assert_int_equal(abort_it(&track), 0);
    host_run(host);
    assert_log(&track, "initialize success disconnected(error)");
    host_close(host);
}

static void fail_as_a_filter(struct track *track, enum event event)
{
    struct tcpm_session *session = track->session;

    if (event != EVENT_SUCCESS)
        return;
    assert_int_equal(tcpm_fail_as(session, track->id, 0, -EPROTO, "none"), -EINVAL);
    assert_int_equal(tcpm_fail_as(session, track->id, 99, -EPROTO, "none"), -EINVAL);
    assert_int_equal(tcpm_fail_as(session, track->id, TCPM_OP_FILTER, 0, "none"), -EINVAL);
    assert_int_equal(
        tcpm_fail_as(session, track->id, TCPM_OP_FILTER, TCPM_EFILTER, "put has raised"), 0);
    assert_int_equal(tcpm_fail_as(session, track->id, TCPM_OP_FILTER, TCPM_EFILTER, NULL),
                     -ESHUTDOWN);
}

static void test_a_failure_has_the_operation_that_it_is_given(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = fail_as_a_filter};

    track_run(host, &track, NULL, "recv all");
    assert_log(&track, "initialize success error(filter,EFILTER) disconnected(error)");
    assert_string_equal(track.message, "put has raised");
    host_close(host);
}

static void abort_at_timer(uv_timer_t *timer)
{
    assert_int_equal(abort_it(timer->data), 0);
    uv_close((uv_handle_t *) timer, NULL);
}

/* The time has run out in the same turn; that timer is not the reason any more. */
static void test_abort_after_a_timeout_that_is_not_yet_told_names_no_timer(void **state)
{
    struct tcpm_tally_entry entry = {.size = sizeof entry};
    struct host *host = *state;
    struct track track = {.hook = NULL};
    uv_timer_t timer;

    struct peer *peer = host_peer(host, "freeze", NULL);
    track_connect(&track, track_session(host, NULL), peer_port(peer));
    host_run_until(host, track_open, &track);
    assert_int_equal(tcpm_timeout(track.session, track.id, 20), 0);
    uv_run(&host->loop, UV_RUN_NOWAIT);
    uv_timer_init(&host->loop, &timer);
    timer.data = &track;
    uv_timer_start(&timer, abort_at_timer, 40, 0);
    stall_ms(80);
    host_run(host);
    assert_log(&track, "initialize success disconnected(error)");
    assert_int_equal(tcpm_tally(track.session, 0, &entry), 1);
    assert_int_equal(entry.reason, TCPM_REASON_ERROR);
    assert_int_equal(entry.code, -ECANCELED);
    assert_int_equal(entry.timer, 0);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_abort_takes_the_place_of_an_end_that_is_not_yet_told),
    HOST_TEST(test_abort_cuts_a_flush_short),
    HOST_TEST(test_abort_after_a_timeout_that_is_not_yet_told_names_no_timer),
    HOST_TEST(test_a_failure_has_the_operation_that_it_is_given),
};

RUN_TESTS(tests)
