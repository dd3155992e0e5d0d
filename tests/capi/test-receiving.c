/* SPDX-License-Identifier: MIT */
/*
 * What comes in: records whole and in order, also when the handler pauses, changes the filter, or
 * puts bytes back; what is not yet a record stays readable to the end.
 */
#include "refilter.h"

/* ---- pause ---- */

static void resume_later(struct tcpm_session *session, void *user, void *argument)
{
    struct track *track = argument;

    (void) user;
    if (track->count[EVENT_DISCONNECTED] == 0)
        assert_int_equal(tcpm_resume(session, track->id), 0);
}

static void pause_each(struct track *track, enum event event)
{
    struct tcpm_task task = {.run = resume_later, .argument = track};

    if (event != EVENT_INPUT && event != EVENT_INITIALIZE)
        return;
    assert_int_equal(tcpm_pause(track->session, track->id), 0);
    assert_int_equal(tcpm_pause(track->session, track->id), 0);
    assert_int_equal(tcpm_delay(track->session, track->id, 15, task, NULL), 0);
}

/* From initialize on, one record per pause, the EOF behind the last; FAULTS I27. */
static void test_pause_holds_the_next_record_and_the_end(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = pause_each};
    int64_t started = tcpm_now_ns();

    track_run(host, &track, NULL, "send \"1\\n2\\n3\\nrest\"; close");
    assert_log(&track, "initialize success input(1) input(2) input(3) error(read,EOF) "
                       "disconnected(eof)");
    assert_true(tcpm_now_ns() - started >= INT64_C(60) * 1000000);
    host_close(host);
}

static void pause_and_resume(struct track *track, enum event event)
{
    if (event != EVENT_INPUT)
        return;
    assert_int_equal(tcpm_pause(track->session, track->id), 0);
    assert_int_equal(tcpm_resume(track->session, track->id), 0);
}

/* Cheap enough for a pair per record. */
static void test_a_pause_and_resume_for_each_of_many_records(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = pause_and_resume};

    track_run(host, &track, NULL, "loop 2500; send \"x\\n\"; end; close");
    assert_int_equal(track.count[EVENT_INPUT], 2500);
    assert_int_equal(track.reason, TCPM_REASON_EOF);
    host_close(host);
}

static void pause_for_good(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_pause(track->session, track->id), 0);
}

/* The input timeout stands still, the deadline runs, and memory stays flat. */
static void test_while_paused_only_the_deadline_runs(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = pause_for_good};
    struct tcpm_session_options options = {.input_timeout_ms = 20, .deadline_ms = 150};
    struct tcpm_stats stats = {.size = sizeof stats};

    struct peer *peer = host_peer(host, "blast 0", NULL);
    struct tcpm_session *session = track_session(host, &options);
    track_connect(&track, session, peer_port(peer));
    while (track.count[EVENT_TIMEOUT] == 0) {
        uv_run(&host->loop, UV_RUN_ONCE);
        assert_int_equal(tcpm_stats_get(session, &stats), 0);
        assert_true(stats.held <= 512 * 1024);
    }
    host_run(host);
    assert_log(&track, "initialize success timeout(deadline) disconnected(timeout)");
    host_close(host);
}

/* ---- filters ---- */

static void switch_filters(struct track *track, enum event event)
{
    if (event != EVENT_INPUT)
        return;
    if (track->count[EVENT_INPUT] == 1) {
        assert_pending(track, "ABCD1234WXYZ5678rest");
        set_input(track, block_of(4));
        assert_int_equal(track->count[EVENT_INPUT], 1); /* not inside the call */
    }
    if (track->count[EVENT_INPUT] == 4)
        set_input(track, block_of(2));
    if (track->count[EVENT_INPUT] == 5)
        set_input(track, stream_filter());
}

/* BEHAVIOUR X10, X11. */
static void test_X11_line_block_stream_inside_one_read(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = switch_filters};

    track_run(host, &track, NULL, "send \"GO\\r\\nABCD1234WXYZ5678rest\"; close");
    assert_log(&track, "initialize success input(GO) input(ABCD) input(1234) input(WXYZ) input(56) "
                       "input(78rest) error(read,EOF) disconnected(eof)");
    host_close(host);
}

static void switch_after_cr(struct track *track, enum event event)
{
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 1) {
        set_input(track, stream_filter());
        peer_go(track->user, "cr");
    }
}

/* The LF of a CR LF cut in two is dropped by the connection, also across a change of filter. */
static void test_the_lf_of_a_cut_crlf_is_dropped_across_filters(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = switch_after_cr};

    struct peer *peer = host_peer(host, "send \"line\\r\"; wait cr; send \"\\n\\nX\"; close", NULL);
    track.user = peer;
    track_connect(&track, track_session(host, NULL), peer_port(peer));
    host_run(host);
    assert_log(&track, "initialize success input(line) input(\nX) error(read,EOF) "
                       "disconnected(eof)");
    host_close(host);
}

static void put_back(struct track *track, enum event event)
{
    if (event == EVENT_INITIALIZE)
        assert_int_equal(tcpm_unread(track->session, track->id, "zero\n", 5), 0);
    if (event != EVENT_INPUT || track->count[EVENT_INPUT] != 2)
        return;
    assert_int_equal(tcpm_unread(track->session, track->id, "two\n", 4), 0);
    assert_int_equal(tcpm_unread(track->session, track->id, "one\n", 4), 0);
    assert_int_equal(tcpm_unread(track->session, track->id, NULL, 3), -EINVAL);
    assert_int_equal(tcpm_unread(track->session, track->id, NULL, 0), 0);
    assert_pending(track, "one\ntwo\nb\nrest");
}

static void check_rest(struct track *track, enum event event)
{
    put_back(track, event);
    if (event == EVENT_ERROR || event == EVENT_DISCONNECTED)
        assert_pending(track, "rest"); /* BEHAVIOUR X24 */
}

static void test_unread_puts_bytes_in_front(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = check_rest};

    track_run(host, &track, NULL, "send \"a\\nb\\nrest\"; close");
    assert_log(&track, "initialize success input(zero) input(a) input(one) input(two) input(b) "
                       "error(read,EOF) disconnected(eof)");
    host_close(host);
}

/* ---- what a filter does not like ---- */

/* BEHAVIOUR X8, X9, X17: that connection alone. */
static void test_a_filters_error_ends_that_connection_alone(void **state)
{
    struct host *host = *state;
    struct track wordy = {.hook = NULL}, fine = {.hook = NULL};
    struct tcpm_line_options three = {.size = sizeof three, .max_length = 3};
    struct tcpm_session_options options = {.size = 0};

    struct peer *long_line = host_peer(host, "send \"abc\\nabcd\"; recv all", NULL);
    struct peer *short_lines =
        host_peer(host, "send \"abc\\n\"; wait go; send \"def\\n\"; close", NULL);
    assert_int_equal(tcpm_filter_line(&three, &options.input_filter), 0);
    struct tcpm_session *session = track_session(host, &options);
    tcpm_filter_free(options.input_filter);
    track_connect(&fine, session, peer_port(short_lines));
    track_connect(&wordy, session, peer_port(long_line));
    host_run_until(host, track_ended, &wordy);
    assert_log(&wordy, "initialize success input(abc) error(filter,ETOOLONG) disconnected(error)");
    assert_string_equal(wordy.message, "a line is longer than 3 bytes");
    peer_go(short_lines, "go");
    host_run(host);
    assert_log(&fine, "initialize success input(abc) input(def) error(read,EOF) "
                      "disconnected(eof)");
    host_close(host);
}

static void shut_at_second(struct track *track, enum event event)
{
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 2)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

/* BEHAVIOUR E8: five lines in one read, shutdown in the second. */
static void test_E8_no_input_after_shutdown(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = shut_at_second};

    track_run(host, &track, NULL, "send \"1\\n2\\n3\\n4\\n5\\n\"; recv all");
    assert_log(&track, "initialize success input(1) input(2) disconnected(shutdown)");
    host_close(host);
}

/* ---- what a filter has seen, and what memory allows ---- */

/* Lines, but it wants to be asked from 100 bytes on only. */
static int get_late(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    const char *end =
        length > cut->seen ? memchr(bytes + cut->seen, '\n', length - cut->seen) : NULL;

    (void) self;
    if (end == NULL) {
        cut->need = length < 100 ? 100 : 0;
        return 0;
    }
    cut->record = bytes;
    cut->length = (size_t) (end - bytes);
    cut->used = cut->length + 1;
    return 1;
}

static int put_nothing(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    (void) self;
    return tcpm_out_write(out, record, length);
}

/* The end comes in a read that the filter has not been asked about. */
static void test_what_a_filter_has_not_seen_is_not_seen(void **state)
{
    static const struct tcpm_filter_kind kind = {
        .size = sizeof kind, .name = "late", .get_one = get_late, .put = put_nothing};
    struct host *host = *state;
    struct track track = {.hook = NULL};
    struct tcpm_session_options options = {.size = 0};

    assert_int_equal(tcpm_filter_custom(&kind, NULL, &options.input_filter), 0);
    struct peer *peer = host_peer(host,
                                  "send \"0123456789\"; wait second; send \"01234567890123\\n\"; "
                                  "wait third; sendn 100 \"x\"; close",
                                  NULL);
    track_connect(&track, track_session(host, &options), peer_port(peer));
    tcpm_filter_free(options.input_filter);
    track_run_until_received(host, &track, 10);
    peer_go(peer, "second");
    track_run_until_received(host, &track, 25);
    peer_go(peer, "third");
    host_run(host);
    assert_log(&track, "initialize success input(012345678901234567890123) error(read,EOF) "
                       "disconnected(eof)");
    host_close(host);
}

static void look_at_pending(struct track *track, enum event event)
{
    const void *bytes = NULL;
    size_t length = 0;

    if (event != EVENT_ERROR)
        return;
    assert_int_equal(tcpm_pending(track->session, track->id, &bytes, &length), 0);
    assert_true(length >= 30000);
}

/* More than max_memory: what was held until then stays readable. */
static void test_what_is_held_outlives_want_of_memory(void **state)
{
    const struct tcpm_engine_options limits = {.size = sizeof limits, .max_memory = 100000};
    const struct tcpm_line_options lines = {.size = sizeof lines, .max_length = 1 << 20};
    struct host host;
    struct track track = {.hook = look_at_pending};
    struct tcpm_session_options options = {.size = 0};

    (void) state;
    assert_int_equal(tcpm_filter_line(&lines, &options.input_filter), 0);
    host_open(&host, &limits);
    struct peer *peer = peer_start("sendn 30000 \"x\"; wait go; sendn 200000 \"x\"; freeze", NULL);
    track_connect(&track, track_session(&host, &options), peer_port(peer));
    tcpm_filter_free(options.input_filter);
    track_run_until_received(&host, &track, 30000);
    peer_go(peer, "go");
    host_run(&host);
    assert_log(&track, "initialize success error(read,ENOBUFS) disconnected(error)");
    peer_stop(peer);
    host_close(&host);
}

/* BEHAVIOUR X19: all byte values, 5 MB. */
static void test_X19_five_megabytes_by_stream(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};
    struct tcpm_session_options options = {.input_filter = stream_filter()};
    uint64_t seed = 4711, checksum = PEER_CHECKSUM;
    char *bytes = malloc(5000000);

    assert_non_null(bytes);
    peer_prng(&seed, bytes, 5000000);
    checksum = peer_checksum(checksum, bytes, 5000000);
    free(bytes);
    struct peer *peer = host_peer(host, "prng 4711 5000000; close", NULL);
    struct tcpm_session *session = track_session(host, &options);
    tcpm_filter_free(options.input_filter);
    track_connect(&track, session, peer_port(peer));
    host_run(host);
    assert_int_equal(track.received, 5000000);
    assert_true(track.checksum == checksum);
    struct tcpm_stats stats = {.size = sizeof stats};
    assert_int_equal(tcpm_stats_get(session, &stats), 0);
    assert_int_equal(stats.received, 5000000);
    assert_int_equal(stats.held, 0);
    host_close(host);
}

/* FAULTS I19: one byte at a time. */
static void test_I19_lines_that_come_byte_by_byte(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};

    track_run(host, &track, NULL, "loop 100; dribble \"abc\\r\\nd\\re\\n\" 20; end; close");
    assert_int_equal(track.count[EVENT_INPUT], 300);
    assert_int_equal(track.received, 500);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_pause_holds_the_next_record_and_the_end),
    HOST_TEST(test_a_pause_and_resume_for_each_of_many_records),
    HOST_TEST(test_while_paused_only_the_deadline_runs),
    HOST_TEST(test_X11_line_block_stream_inside_one_read),
    HOST_TEST(test_the_lf_of_a_cut_crlf_is_dropped_across_filters),
    HOST_TEST(test_unread_puts_bytes_in_front),
    HOST_TEST(test_a_filters_error_ends_that_connection_alone),
    HOST_TEST(test_E8_no_input_after_shutdown),
    HOST_TEST(test_what_a_filter_has_not_seen_is_not_seen),
    cmocka_unit_test(test_what_is_held_outlives_want_of_memory),
    HOST_TEST(test_X19_five_megabytes_by_stream),
    HOST_TEST(test_I19_lines_that_come_byte_by_byte),
};

RUN_TESTS(tests)
