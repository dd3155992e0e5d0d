/* SPDX-License-Identifier: MIT */
/* The table "what works when": each call in each situation of a connection, and its result. */
#include "calls.h"

static void check_all(struct track *track, int (*expected)(const struct call *call), size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int result = calls[i].make(track->session, track->id);
        if (result != expected(&calls[i]))
            fail_msg("%s after \"%s\": %d (%s)", calls[i].name, track->log, result,
                     tcpm_error_name(result));
    }
}

static int when_waiting(const struct call *call)
{
    return call->waiting;
}

static int when_shut(const struct call *call)
{
    return call->shut;
}

static int when_ending(const struct call *call)
{
    return call->ending;
}

static int when_disconnected(const struct call *call)
{
    return call->disconnected;
}

/* The calls that end a connection stand last in the table. */
static size_t count_harmless(void)
{
    size_t count = call_count;

    while (count > 0 && strcmp(calls[count - 1].name, "sig") != 0)
        count--;
    return count;
}

static void check_here(struct track *track, enum event event)
{
    switch (event) {
    case EVENT_INITIALIZE:
    case EVENT_SUCCESS:
    case EVENT_INPUT:
    case EVENT_FLUSHED:
        if (track->count[event] > 1)
            break; /* what the calls unread and send makes more of these */
        check_all(track, when_waiting, count_harmless());
        break;
    case EVENT_FAILURE:
    case EVENT_ERROR:
    case EVENT_TIMEOUT:
        check_all(track, when_ending, call_count);
        break;
    case EVENT_DISCONNECTED:
    default:
        check_all(track, when_disconnected, call_count);
        break;
    }
}

static void check_gone(struct track *track)
{
    for (size_t i = 0; i < call_count; i++) {
        bool of_session =
            strcmp(calls[i].name, "post") == 0 || strcmp(calls[i].name, "stats") == 0 ||
            strcmp(calls[i].name, "next") == 0 || strcmp(calls[i].name, "has_room") == 0 ||
            strcmp(calls[i].name, "every") == 0 || strcmp(calls[i].name, "tally") == 0 ||
            strcmp(calls[i].name, "sig") == 0;
        int result = calls[i].make(track->session, track->id);
        assert_int_equal(result, of_session ? 0 : -ESTALE);
    }
}

static void run_fate(const char *program, const struct tcpm_session_options *options,
                     struct peer_options peer_options, const char *expected)
{
    struct host host;
    struct track track = {.hook = check_here};

    host_open(&host, NULL);
    struct peer *peer = peer_start(program, &peer_options);
    assert_non_null(peer);
    track_connect(&track, track_session(&host, options), peer_port(peer));
    check_all(&track, when_waiting, count_harmless());
    host_run(&host);
    if (strstr(track.log, expected) == NULL)
        fail_msg("%s", track.log);
    check_gone(&track);
    peer_stop(peer);
    host_close(&host);
}

/* How exactly it ends depends on what the calls have sent to a peer that is gone. */
static void test_in_every_event_of_a_connection_that_succeeds(void **state)
{
    (void) state;
    run_fate("send \"a\\nb\\n\"; recv all; close", NULL, (struct peer_options){.port = 0},
             "disconnected(timeout)");
    run_fate("send \"a\\nb\\n\"; close", NULL, (struct peer_options){.port = 0}, " error(");
    run_fate("send \"a\\nb\\n\"; rst", NULL, (struct peer_options){.port = 0}, " error(");
    run_fate("send \"a\\nb\\n\"; freeze", NULL, (struct peer_options){.port = 0},
             "disconnected(timeout)");
}

static void test_in_every_event_of_a_connection_that_fails(void **state)
{
    (void) state;
    run_fate("close", NULL, (struct peer_options){.refuse = 1},
             "failure(connect,ECONNREFUSED) disconnected(failure)");
    run_fate("close", NULL, (struct peer_options){.blackhole = 1}, "initialize timeout(");
}

static void check_shut(struct track *track, enum event event)
{
    if (event != EVENT_SUCCESS)
        return;
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
    check_all(track, when_shut, count_harmless());
    assert_int_equal(tcpm_shutdown_output(track->session, track->id), -ESHUTDOWN);
    assert_int_equal(tcpm_shutdown(track->session, track->id), -ESHUTDOWN);
    assert_int_equal(tcpm_fail(track->session, track->id, -EPROTO, NULL), -ESHUTDOWN);
    assert_int_equal(tcpm_reset(track->session, track->id), 0);
    check_all(track, when_ending, call_count - 1); /* abort, the last, has a reason of its own */
}

static void test_after_shutdown(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = check_shut};

    track_run(host, &track, NULL, "echo");
    assert_log(&track, "initialize success disconnected(shutdown)");
    host_close(host);
}

static void shut_output(struct track *track, enum event event)
{
    if (event != EVENT_SUCCESS)
        return;
    assert_int_equal(tcpm_send(track->session, track->id, "q", 1), 0);
    assert_int_equal(tcpm_shutdown_output(track->session, track->id), 0);
    assert_int_equal(tcpm_send(track->session, track->id, "r", 1), -ESHUTDOWN);
    assert_int_equal(tcpm_shutdown_output(track->session, track->id), -ESHUTDOWN);
    assert_int_equal(tcpm_pause(track->session, track->id), 0);
    assert_int_equal(tcpm_resume(track->session, track->id), 0);
    assert_int_equal(tcpm_timeout(track->session, track->id, 20000), 0);
    struct tcpm_info info = {.size = sizeof info};
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    assert_int_equal(info.phase, TCPM_PHASE_OPEN);
}

/* The phase stays open; the peer answers after our FIN. */
static void test_after_shutdown_output(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = shut_output};

    track_run(host, &track, NULL, "recv all; send \"answer\\n\"; close");
    assert_log(&track, "initialize success input(answer) error(read,EOF) disconnected(eof)");
    host_close(host);
}

static void test_while_it_waits_for_a_place(void **state)
{
    struct host *host = *state;
    struct track first = {.hook = NULL}, second = {.hook = NULL};
    struct tcpm_session_options options = {.max_connections = 1};

    struct peer *peer = host_peer(host, "recv all; close", NULL);
    struct tcpm_session *session = track_session(host, &options);
    track_connect(&first, session, peer_port(peer));
    host_run_until(host, track_open, &first);
    track_connect(&second, session, peer_port(peer));
    struct tcpm_info info = {.size = sizeof info};
    assert_int_equal(tcpm_info_get(session, second.id, &info), 0);
    assert_int_equal(info.phase, TCPM_PHASE_WAITING);
    check_all(&second, when_waiting, count_harmless());
    assert_int_equal(tcpm_deadline(session, second.id, 0), 0);
    assert_int_equal(tcpm_shutdown(session, first.id), 0);
    host_run_until(host, track_open, &second);
    assert_int_equal(tcpm_shutdown(session, second.id), 0);
    host_run(host);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_in_every_event_of_a_connection_that_succeeds),
    cmocka_unit_test(test_in_every_event_of_a_connection_that_fails),
    HOST_TEST(test_after_shutdown),
    HOST_TEST(test_after_shutdown_output),
    HOST_TEST(test_while_it_waits_for_a_place),
};

RUN_TESTS(tests)
