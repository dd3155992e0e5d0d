/* SPDX-License-Identifier: MIT */
/*
 * A handler of input may take further records in the same event (tcpm_input_next): all that are
 * there, and none that may not come yet.
 */
#include "refilter.h"

static int next_record(struct track *track, char *text, size_t size)
{
    const void *record = NULL;
    size_t length = 0;
    int result = tcpm_input_next(track->session, track->id, &record, &length);

    if (result == 1)
        assert_true(snprintf(text, size, "%.*s", (int) length, (const char *) record) > 0);
    else
        assert_null(record);
    return result;
}

static void take_all(struct track *track, enum event event)
{
    char text[16];

    if (event != EVENT_INPUT) {
        assert_true(next_record(track, text, sizeof text) <= 0);
        return;
    }
    assert_int_equal(tcpm_input_next(track->session, track->id, NULL, NULL), -EINVAL);
    for (int i = 2; i <= 4; i++) {
        assert_int_equal(next_record(track, text, sizeof text), 1);
        assert_int_equal(text[0], '0' + i);
    }
    assert_int_equal(next_record(track, text, sizeof text), 0);
    assert_int_equal(next_record(track, text, sizeof text), 0);
    assert_pending(track, "rest");
}

static void test_a_handler_takes_all_that_is_there(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = take_all};

    track_run(host, &track, NULL, "send \"1\\n2\\n3\\n4\\nrest\"; close");
    assert_log(&track, "initialize success input(1) error(read,EOF) disconnected(eof)");
    host_close(host);
}

struct posted {
    struct track *track;
    bool ran;
};

/* It runs between two records, and gets none. */
static void take_none(struct tcpm_session *session, void *user, void *argument)
{
    struct posted *posted = argument;
    char text[16];

    (void) session;
    (void) user;
    assert_int_equal(next_record(posted->track, text, sizeof text), 0);
    posted->ran = true;
}

/* What was posted comes before the next record, and nothing comes past a pause, another filter or a
   shutdown. */
static void take_under_conditions(struct track *track, enum event event)
{
    static struct posted posted;
    struct tcpm_task task = {.run = take_none, .argument = &posted};
    char text[16];

    if (event != EVENT_INPUT)
        return;
    switch (track->count[EVENT_INPUT]) {
    case 1:
        posted = (struct posted){.track = track};
        assert_int_equal(tcpm_post(track->session, task), 0);
        break;
    case 2:
        assert_true(posted.ran);
        assert_int_equal(tcpm_pause(track->session, track->id), 0);
        assert_int_equal(tcpm_resume(track->session, track->id), 0);
        break;
    case 3: {
        struct tcpm_filter *filter = stream_filter();
        assert_int_equal(tcpm_filter_set(track->session, track->id, filter, NULL), 0);
        tcpm_filter_free(filter);
        break;
    }
    default:
        assert_int_equal(tcpm_unread(track->session, track->id, "more", 4), 0);
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
    }
    assert_int_equal(next_record(track, text, sizeof text), 0);
}

static void test_a_handler_takes_no_more_than_may_come(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = take_under_conditions};

    track_run(host, &track, NULL, "send \"1\\n2\\n3\\n4\\n5\"; recv all");
    assert_log(&track, "initialize success input(1) input(2) input(3) input(4\n5) "
                       "disconnected(shutdown)");
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_a_handler_takes_all_that_is_there),
    HOST_TEST(test_a_handler_takes_no_more_than_may_come),
};

RUN_TESTS(tests)
