/* SPDX-License-Identifier: MIT */
/*
 * tcpm_take: the next record is so many bytes, whatever the filter, which goes on behind them.
 */
#include "refilter.h"

static void assert_record_of(const struct track *track, const char *expected)
{
    const char *record = NULL, *output = NULL;

    assert_int_equal(tcpm_filter_names(track->session, track->id, &record, &output), 0);
    assert_string_equal(record, expected);
    assert_string_equal(output, "line");
}

static void take_seven(struct track *track, enum event event)
{
    if (event == EVENT_INPUT)
        assert_record_of(track, track->length == 7 ? "" : "line");
    if (event == EVENT_INPUT && track->length == 5) {
        take(track, 7);
        assert_int_equal(track->count[EVENT_INPUT] % 2, 1); /* not inside the call */
    }
}

static void test_a_line_and_then_seven_bytes_and_lines_again(void **state)
{
    struct track track = {.hook = take_seven}, slow = {.hook = take_seven};

    (void) state;
    run(&track, TCPM_ENDS_ANY, "send \"GET a\\r\\n1\\n\\r\\n5\\n7GET b\\r\\n1234567end\"; close");
    assert_log(&track, "initialize success input(GET a) input(1\n\r\n5\n7) input(GET b) "
                       "input(1234567) error(read,EOF) disconnected(eof)");
    run(&slow, TCPM_ENDS_ANY, "dribble \"GET a\\r\\n1234567GET b\\r\\n1\\n34567x\\n\" 500; close");
    assert_log(&slow, "initialize success input(GET a) input(1234567) input(GET b) input(1\n34567) "
                      "input(x) error(read,EOF) disconnected(eof)");
}

static void take_behind_cr(struct track *track, enum event event)
{
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 1)
        take(track, 3);
    go_at_first(track, event);
}

static void test_the_awaited_lf_does_not_count(void **state)
{
    static const int64_t ends[] = {TCPM_ENDS_ANY, TCPM_ENDS_AUTO};

    (void) state;
    for (size_t i = 0; i < COUNT(ends); i++) {
        struct track track = {.hook = take_behind_cr};

        run(&track, ends[i], "send \"a\\r\"; wait on; send \"\\n\\n23b\\r\\n\"; close");
        assert_log(&track, "initialize success input(a) input(\n23) input(b) error(read,EOF) "
                           "disconnected(eof)");
    }
}

static void take_changing_minds(struct track *track, enum event event)
{
    if (event == EVENT_INITIALIZE) {
        unread(track, "front");
        take(track, 9);
        take(track, 6); /* the second one replaces the first */
    }
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 1) {
        take(track, 2);
        set_input(track, block_of(3)); /* another filter keeps it */
        unread(track, "XYZ");          /* which counts */
    }
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 2) {
        take(track, 5);
        take(track, TCPM_NONE);
    }
    if (event == EVENT_ERROR)
        assert_pending(track, "6");
}

static void test_take_is_replaced_kept_counted_and_undone(void **state)
{
    struct track track = {.hook = take_changing_minds};

    (void) state;
    run(&track, TCPM_ENDS_ANY, "send \"0123456\"; close");
    assert_log(&track, "initialize success input(front0) input(XY) input(Z12) input(345) "
                       "error(read,EOF) disconnected(eof)");
}

static void take_nothing(struct track *track, enum event event)
{
    if (event == EVENT_INITIALIZE || (event == EVENT_INPUT && track->count[EVENT_INPUT] < 3)) {
        take(track, 0);
        if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 2)
            peer_go(track->user, "on");
    }
}

/* It needs no byte to come. */
static void test_take_of_nothing_is_an_empty_record(void **state)
{
    struct track track = {.hook = take_nothing};

    (void) state;
    run(&track, TCPM_ENDS_ANY, "wait on; send \"line\\n\"; close");
    assert_log(&track, "initialize success input() input() input() input(line) error(read,EOF) "
                       "disconnected(eof)");
}

static void resume_later(struct tcpm_session *session, void *user, void *argument)
{
    struct track *track = argument;

    (void) user;
    assert_int_equal(track->count[EVENT_INPUT], 1);
    assert_int_equal(tcpm_resume(session, track->id), 0);
}

static void take_paused(struct track *track, enum event event)
{
    struct tcpm_task task = {.run = resume_later, .argument = track};

    if (event != EVENT_INPUT || track->count[EVENT_INPUT] != 1)
        return;
    assert_int_equal(tcpm_pause(track->session, track->id), 0);
    take(track, 4);
    assert_int_equal(tcpm_delay(track->session, track->id, 20, task, NULL), 0);
}

static void take_beyond_the_end(struct track *track, enum event event)
{
    if (event == EVENT_INPUT)
        take(track, 7);
    if (event == EVENT_ERROR || event == EVENT_DISCONNECTED)
        assert_pending(track, "12\n456");
}

static void test_take_waits_for_resume_and_an_end_before_it_leaves_the_bytes(void **state)
{
    struct track paused = {.hook = take_paused}, ended = {.hook = take_beyond_the_end};

    (void) state;
    run(&paused, TCPM_ENDS_ANY, "send \"a\\n1234b\\n\"; close");
    assert_log(&paused, "initialize success input(a) input(1234) input(b) error(read,EOF) "
                        "disconnected(eof)");
    run(&ended, TCPM_ENDS_ANY, "send \"GET a\\n12\\n456\"; close");
    assert_log(&ended, "initialize success input(GET a) error(read,EOF) disconnected(eof)");
}

static void take_wrongly(struct track *track, enum event event)
{
    struct tcpm_id none = {0};

    if (event == EVENT_SUCCESS) {
        take(track, (int64_t) 1 << 30);
        assert_int_equal(tcpm_take(track->session, track->id, ((int64_t) 1 << 30) + 1),
                         TCPM_ETOOLONG);
        assert_int_equal(tcpm_take(track->session, track->id, INT64_MAX), TCPM_ETOOLONG);
        assert_int_equal(tcpm_take(track->session, track->id, -2), -EINVAL);
        assert_int_equal(tcpm_take(track->session, none, 1), -ESTALE);
        assert_int_equal(tcpm_swallow(track->session, track->id, 0), -EINVAL);
        assert_int_equal(tcpm_swallow(track->session, track->id, 256), -EINVAL);
        assert_int_equal(tcpm_swallow(track->session, none, 1), -ESTALE);
        take(track, 2);
        assert_int_equal(tcpm_swallow(track->session, track->id, 'x'), 0);
    }
    if (event == EVENT_INPUT) {
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
        assert_int_equal(tcpm_take(track->session, track->id, 1), -ESHUTDOWN);
        assert_int_equal(tcpm_swallow(track->session, track->id, 1), -ESHUTDOWN);
    }
}

static void test_take_says_what_it_cannot_do(void **state)
{
    struct track track = {.hook = take_wrongly};

    (void) state;
    run(&track, TCPM_ENDS_ANY, "send \"x12345\"; recv all");
    assert_log(&track, "initialize success input(12) disconnected(shutdown)");
}

static void take_by_next(struct track *track, enum event event)
{
    const void *record = NULL;
    size_t length = 0;

    if (event == EVENT_ERROR)
        assert_pending(track, "st");
    if (event != EVENT_INPUT || track->count[EVENT_INPUT] != 1)
        return;
    take(track, 3);
    assert_int_equal(tcpm_input_next(track->session, track->id, &record, &length), 1);
    assert_int_equal(length, 3);
    assert_memory_equal(record, "1\n3", 3);
    assert_int_equal(tcpm_input_next(track->session, track->id, &record, &length), 1);
    assert_memory_equal(record, "b", 1);
    assert_int_equal(tcpm_input_next(track->session, track->id, &record, &length), 0);
    take(track, 2);
    assert_int_equal(tcpm_input_next(track->session, track->id, &record, &length), 1);
    assert_memory_equal(record, "re", 2);
    assert_int_equal(tcpm_input_next(track->session, track->id, &record, &length), 0);
    take(track, 0); /* asked for once the rest was exhausted: comes as an event */
}

static void test_input_next_gives_what_was_ordered(void **state)
{
    struct track track = {.hook = take_by_next};

    (void) state;
    run(&track, TCPM_ENDS_ANY, "send \"a\\n1\\n3b\\nrest\"; close");
    assert_log(&track, "initialize success input(a) input() error(read,EOF) disconnected(eof)");
}

static void take_much(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        take(track, 3000000);
}

/* Its way through the buffers costs no more than reading, and the limits hold. */
static void test_a_large_order_comes_whole_or_meets_max_memory(void **state)
{
    const struct tcpm_engine_options limits = {.size = sizeof limits, .max_memory = 100000};
    struct track whole = {.hook = take_much}, refused = {.hook = take_much};
    struct host host;

    (void) state;
    run(&whole, TCPM_ENDS_ANY, "sendn 3000000 \"x\"; send \"\\nline\\n\"; close");
    assert_log(&whole, "initialize success input[3000000] input() input(line) error(read,EOF) "
                       "disconnected(eof)");
    host_open(&host, &limits);
    struct peer *peer = peer_start("send \"x\"; wait go; sendn 3000000 \"x\"; freeze", NULL);
    track_connect(&refused, track_session(&host, NULL), peer_port(peer));
    track_run_until_received(&host, &refused, 1); /* a layer's greeting is over */
    peer_go(peer, "go");
    host_run(&host);
    assert_log(&refused, "initialize success error(read,ENOBUFS) disconnected(error)");
    assert_non_null(strstr(refused.message, " bytes received and not yet a record, max_memory is "
                                            "100000"));
    peer_stop(peer);
    host_close(&host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_line_and_then_seven_bytes_and_lines_again),
    cmocka_unit_test(test_the_awaited_lf_does_not_count),
    cmocka_unit_test(test_take_is_replaced_kept_counted_and_undone),
    cmocka_unit_test(test_take_of_nothing_is_an_empty_record),
    cmocka_unit_test(test_take_waits_for_resume_and_an_end_before_it_leaves_the_bytes),
    cmocka_unit_test(test_take_says_what_it_cannot_do),
    cmocka_unit_test(test_input_next_gives_what_was_ordered),
    cmocka_unit_test(test_a_large_order_comes_whole_or_meets_max_memory),
};

RUN_TESTS(tests)
