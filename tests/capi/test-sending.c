/* SPDX-License-Identifier: MIT */
/*
 * What send takes is sent, in order, once: before success and after, one record or many, whether
 * the kernel has room or not; and flushed tells when it is gone.
 */
#include "host.h"

static void send_more(struct track *track, enum event event)
{
    if (event == EVENT_INITIALIZE) {
        assert_int_equal(tcpm_send(track->session, track->id, "in initialize", 13), 0);
        assert_int_equal(tcpm_send(track->session, track->id, "", 0), 0);
    }
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_send(track->session, track->id, "in success", 10), 0);
    if (event == EVENT_FLUSHED && track->count[EVENT_FLUSHED] == 1) {
        assert_int_equal(tcpm_send(track->session, track->id, "in flushed", 10), 0);
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
    }
}

/* BEHAVIOUR S4. */
static void test_S4_sends_before_success_come_first_and_in_order(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = send_more};
    struct peer_connection seen;
    static const char expected[] =
        "in initialize\r\n\r\nwhile connecting\r\nin success\r\nin flushed\r\n";

    struct peer *peer = host_peer(host, "recv all; close", NULL);
    struct tcpm_session *session = track_session(host, NULL);
    track_connect(&track, session, peer_port(peer));
    assert_int_equal(tcpm_send(session, track.id, "while connecting", 16), 0);
    host_run(host);
    assert_log(&track, "initialize success disconnected(shutdown)");
    assert_int_equal(track.count[EVENT_FLUSHED], 2);
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_int_equal(seen.content_length, sizeof expected - 1);
    assert_memory_equal(seen.content, expected, sizeof expected - 1);
    assert_int_equal(seen.end, PEER_EOF);
    host_close(host);
}

static void check_lost(struct track *track, enum event event)
{
    struct tcpm_info info = {.size = sizeof info};

    if (event != EVENT_DISCONNECTED)
        return;
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    assert_int_equal(info.queued, 7);
    assert_int_equal(info.sent, 0);
    assert_int_equal(info.phase, TCPM_PHASE_CLOSED);
}

static void test_what_was_queued_for_a_failure_is_counted(void **state)
{
    struct host *host = *state;
    struct track refused = {.hook = check_lost}, cancelled = {.hook = check_lost};

    struct peer *none = host_peer(host, "", &(struct peer_options){.refuse = 1});
    struct tcpm_session *session = track_session(host, NULL);
    track_connect(&refused, session, peer_port(none));
    assert_int_equal(tcpm_send(session, refused.id, "hello", 5), 0);
    track_connect(&cancelled, session, peer_port(none));
    assert_int_equal(tcpm_send(session, cancelled.id, "hello", 5), 0);
    assert_int_equal(tcpm_shutdown(session, cancelled.id), 0);
    host_run(host);
    assert_log(&refused, "initialize failure(connect,ECONNREFUSED) disconnected(failure)");
    assert_log(&cancelled, "initialize disconnected(shutdown)");
    assert_int_equal(refused.count[EVENT_FLUSHED], 0);
    host_close(host);
}

static int put_if_small(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    (void) self;
    return length > 5 ? -EDOM : tcpm_out_write(out, record, length);
}

static int get_all(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    (void) self;
    cut->record = bytes;
    cut->length = cut->used = length;
    return 1;
}

/* Several records, all or none; what a filter refuses is the result. */
static void test_many_records_are_all_or_none(void **state)
{
    static const struct tcpm_filter_kind kind = {
        .size = sizeof kind, .name = "small", .get_one = get_all, .put = put_if_small};
    static const struct tcpm_record good[] = {{"a", 1}, {"", 0}, {"bcd", 3}, {NULL, 0}};
    static const struct tcpm_record bad[] = {{"x", 1}, {"too long", 8}, {"y", 1}};
    struct host *host = *state;
    struct track track = {.hook = NULL};
    struct tcpm_session_options options = {.max_queued = 10};
    struct peer_connection seen;

    struct peer *peer = host_peer(host, "recv all; close", NULL);
    assert_int_equal(tcpm_filter_custom(&kind, NULL, &options.output_filter), 0);
    struct tcpm_session *session = track_session(host, &options);
    tcpm_filter_free(options.output_filter);
    track_connect(&track, session, peer_port(peer));
    assert_int_equal(tcpm_send_many(session, track.id, good, COUNT(good)), 0);
    assert_int_equal(tcpm_send_many(session, track.id, bad, COUNT(bad)), -EDOM);
    assert_int_equal(tcpm_send_many(session, track.id, good, 0), -EINVAL);
    assert_int_equal(tcpm_send_many(session, track.id, NULL, 2), -EINVAL);
    assert_int_equal(tcpm_send(session, track.id, NULL, 3), -EINVAL);
    assert_int_equal(tcpm_send(session, track.id, "12345", 5), 0);
    assert_int_equal(tcpm_send_many(session, track.id, good, COUNT(good)), -ENOBUFS);
    assert_int_equal(tcpm_send(session, track.id, "6", 1), 0);
    assert_int_equal(tcpm_send(session, track.id, "7", 1), -ENOBUFS);
    host_run_until(host, track_open, &track);
    assert_int_equal(tcpm_shutdown(session, track.id), 0);
    host_run(host);
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_int_equal(seen.content_length, 10);
    assert_memory_equal(seen.content, "abcd123456", 10);
    host_close(host);
}

struct marks {
    struct peer *peer;
    uint64_t sent_in_full;
    unsigned full, flushed_low, flushed_empty;
};

static void fill_up(struct track *track)
{
    struct marks *marks = track->user;
    char piece[100000];
    int result = 0;

    memset(piece, 'p', sizeof piece);
    while (result == 0) {
        result = tcpm_send(track->session, track->id, piece, sizeof piece);
        assert_true(result >= 0);
        marks->sent_in_full += sizeof piece;
    }
    marks->full++;
}

static void watch_marks(struct track *track, enum event event)
{
    struct marks *marks = track->user;
    struct tcpm_info info = {.size = sizeof info};

    if (event == EVENT_SUCCESS) {
        fill_up(track);
        peer_go(marks->peer, "full");
    }
    if (event != EVENT_FLUSHED)
        return;
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    assert_true(info.queued <= 200000); /* low_mark, or all */
    if (info.queued > 0)
        marks->flushed_low++;
    else
        marks->flushed_empty++;
    if (marks->full < 4)
        fill_up(track);
    else if (info.queued == 0)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

/* BEHAVIOUR S14: "full", and one flushed on falling to low_mark. */
static void test_S14_full_and_flushed_on_falling_to_the_low_mark(void **state)
{
    struct host *host = *state;
    struct marks marks = {.peer = NULL};
    struct track track = {.hook = watch_marks, .user = &marks};
    struct tcpm_session_options options = {.high_mark = 2000000, .low_mark = 200000};
    struct peer_report report;

    struct peer *peer = host_peer(host, "wait full; count", NULL);
    marks.peer = peer;
    track_connect(&track, stream_session(host, options), peer_port(peer));
    host_run(host);
    assert_log(&track, "initialize success disconnected(shutdown)");
    assert_int_equal(marks.full, 4);
    /* one for each time that it was full, and one when all was gone, which may be the same */
    assert_true(marks.flushed_low + marks.flushed_empty >= 4);
    assert_true(marks.flushed_low + marks.flushed_empty <= 5);
    assert_true(marks.flushed_empty >= 1);
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    peer_report(peer, &report);
    assert_int_equal(report.received, marks.sent_in_full);
    host_close(host);
}

static void count_to_twenty_thousand(struct track *track, enum event event)
{
    if (event != EVENT_SUCCESS)
        return;
    for (int i = 0; i < 20000; i++) {
        char line[16];
        int length = snprintf(line, sizeof line, "%d", i);
        assert_true(tcpm_send(track->session, track->id, line, (size_t) length) >= 0);
    }
}

static void check_order(struct track *track, enum event event)
{
    char expected[16];

    count_to_twenty_thousand(track, event);
    if (event != EVENT_INPUT)
        return;
    int length = snprintf(expected, sizeof expected, "%u", track->count[EVENT_INPUT] - 1);
    assert_int_equal(track->length, length);
    assert_memory_equal(track->record, expected, (size_t) length);
    if (track->count[EVENT_INPUT] == 20000)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

/* BEHAVIOUR S15, X3, E19: one flushed for all of it. */
static void test_S15_twenty_thousand_lines_in_one_handler(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = check_order};

    track_run(host, &track, NULL, "echo");
    assert_int_equal(track.count[EVENT_INPUT], 20000);
    assert_int_equal(track.count[EVENT_FLUSHED], 1);
    assert_int_equal(track.reason, TCPM_REASON_SHUTDOWN);
    host_close(host);
}

static void say_then_shut_output(struct track *track, enum event event)
{
    if (event == EVENT_INITIALIZE) {
        assert_int_equal(tcpm_send(track->session, track->id, "all I have to say", 17), 0);
        assert_int_equal(tcpm_shutdown_output(track->session, track->id), 0);
        assert_int_equal(tcpm_send(track->session, track->id, "more", 4), -ESHUTDOWN);
    }
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 3)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

/* Before success: what was queued and then FIN are sent after success. A plain one may follow. */
static void test_shutdown_of_the_output_before_success(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = say_then_shut_output};
    struct peer_report report;

    struct peer *peer = host_peer(host, "recv all; send \"1\\n2\\n3\\n4\\n\"; recv all", NULL);
    track_connect(&track, track_session(host, NULL), peer_port(peer));
    host_run(host);
    assert_log(&track, "initialize success input(1) input(2) input(3) disconnected(shutdown)");
    peer_report(peer, &report);
    assert_int_equal(report.received, 19);
    host_close(host);
}

static void greet_back(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_send(track->session, track->id, "hello", 5), 0);
    if (event != EVENT_INPUT)
        return;
    assert_int_equal(track->count[EVENT_FLUSHED], 1);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

/* Success and the greeting are one event of the kernel's; what success sent was sent before. */
static void test_what_success_sent_is_flushed_before_the_greeting(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = greet_back};

    struct peer *peer = host_peer(host, "send \"welcome\\n\"; mark greeted; recv all", NULL);
    track_connect(&track, track_session(host, NULL), peer_port(peer));
    assert_int_equal(peer_wait_mark(peer, "greeted", 1, 20), 0);
    host_run(host);
    assert_log(&track, "initialize success input(welcome) disconnected(shutdown)");
    host_close(host);
}

static void reply_to_eof(struct track *track, enum event event)
{
    if (event == EVENT_INPUT)
        assert_int_equal(tcpm_send(track->session, track->id, "the reply", 9), 0);
    if (event == EVENT_FLUSHED)
        assert_int_equal(track->count[EVENT_ERROR], 0);
}

/* BEHAVIOUR S13: a reply sent in input arrives though the FIN came in the same read. */
static void test_S13_a_reply_to_a_peer_that_has_half_closed(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = reply_to_eof};
    struct peer_connection seen;

    struct peer *peer = host_peer(host, "more \"request\\n\"; shutwr; recv all; close", NULL);
    track_connect(&track, track_session(host, NULL), peer_port(peer));
    host_run(host);
    assert_log(&track, "initialize success input(request) error(read,EOF) disconnected(eof)");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_memory_equal(seen.content, "the reply\r\n", 11);
    host_close(host);
}

static void send_much_after_eof(struct track *track, enum event event)
{
    struct tcpm_info info = {.size = sizeof info};
    char *large = NULL;

    if (event == EVENT_INPUT) {
        large = calloc(1, 9000000);
        assert_non_null(large);
        assert_int_equal(tcpm_send(track->session, track->id, large, 9000000), 1);
        free(large);
    }
    if (event != EVENT_ERROR)
        return;
    assert_int_equal(track->count[EVENT_FLUSHED], 1);
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    assert_int_equal(info.queued, 0);
}

/* Rule 6: EOF while output is queued: flushed, then the EOF. With this low_mark the queue is not
   seen between that and empty, so flushed comes once. */
static void test_eof_waits_for_the_queue(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = send_much_after_eof};
    struct peer_report report;

    struct peer *peer = host_peer(host, "send \"x\"; shutwr; sleep 30; count", NULL);
    track_connect(&track, stream_session(host, (struct tcpm_session_options){.low_mark = 1}),
                  peer_port(peer));
    host_run(host);
    assert_log(&track, "initialize success input(x) error(read,EOF) disconnected(eof)");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    peer_report(peer, &report);
    assert_int_equal(report.received, 9000000);
    host_close(host);
}

static bool is_shutting(void *argument)
{
    const struct track *track = argument;
    struct tcpm_info info = {.size = sizeof info};

    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    return info.phase == TCPM_PHASE_SHUTTING;
}

/* A write error while the EOF waits takes its place. */
static void test_a_write_error_takes_the_place_of_the_eof(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};
    char *large = calloc(1, 9000000);

    assert_non_null(large);
    struct peer *peer = host_peer(host, "send \"x\"; shutwr; wait go; rst", NULL);
    track_connect(&track, stream_session(host, (struct tcpm_session_options){.size = 0}),
                  peer_port(peer));
    assert_int_equal(tcpm_send(track.session, track.id, large, 9000000), 1);
    free(large);
    host_run_until(host, is_shutting, &track);
    for (int turn = 0; turn < 3; turn++)
        uv_run(&host->loop, UV_RUN_NOWAIT);
    assert_log(&track, "initialize success input(x)"); /* the EOF is not reported yet */
    assert_true(is_shutting(&track));
    peer_go(peer, "go");
    host_run(host);
    assert_int_equal(track.count[EVENT_ERROR], 1);
    if (track.code != -ECONNRESET && track.code != -EPIPE)
        fail_msg("%s", track.log);
    assert_int_equal(track.reason, TCPM_REASON_ERROR);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_S4_sends_before_success_come_first_and_in_order),
    HOST_TEST(test_what_was_queued_for_a_failure_is_counted),
    HOST_TEST(test_many_records_are_all_or_none),
    HOST_TEST(test_S14_full_and_flushed_on_falling_to_the_low_mark),
    HOST_TEST(test_S15_twenty_thousand_lines_in_one_handler),
    HOST_TEST(test_shutdown_of_the_output_before_success),
    HOST_TEST(test_what_success_sent_is_flushed_before_the_greeting),
    HOST_TEST(test_S13_a_reply_to_a_peer_that_has_half_closed),
    HOST_TEST(test_eof_waits_for_the_queue),
    HOST_TEST(test_a_write_error_takes_the_place_of_the_eof),
};

RUN_TESTS(tests)
