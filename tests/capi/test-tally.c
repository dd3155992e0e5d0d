/* SPDX-License-Identifier: MIT */
/* tcpm_tally: how the connections of a session have ended, by kind, the largest count first. */
#include "host.h"

struct expected {
    enum tcpm_reason reason;
    enum tcpm_op op;
    int code;
    enum tcpm_timer timer;
    uint64_t count;
    const char *message;
};

static void assert_tally(struct tcpm_session *session, const struct expected *rows, size_t count)
{
    struct tcpm_tally_entry entry = {.size = sizeof entry};

    for (size_t i = 0; i < count; i++) {
        assert_int_equal(tcpm_tally(session, i, &entry), 1);
        assert_int_equal(entry.reason, rows[i].reason);
        assert_int_equal(entry.op, rows[i].op);
        assert_int_equal(entry.code, rows[i].code);
        assert_int_equal(entry.timer, rows[i].timer);
        assert_int_equal(entry.count, rows[i].count);
        assert_string_equal(entry.message, rows[i].message);
    }
    assert_int_equal(tcpm_tally(session, count, &entry), 0);
}

/* Each connection breaks off with a text of its own. */
static void end_it(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS && track->user != NULL)
        assert_int_equal(tcpm_fail(track->session, track->id, -EPROTO, track->user), 0);
    else if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void test_ends_of_a_kind_are_one_entry_whatever_their_texts(void **state)
{
    static const struct expected rows[] = {
        {TCPM_REASON_ERROR, TCPM_OP_FAIL, -EPROTO, 0, 3, "first"},
        {TCPM_REASON_FAILURE, TCPM_OP_CONNECT, -ECONNREFUSED, 0, 2, "Connection refused"},
        {TCPM_REASON_SHUTDOWN, 0, 0, 0, 1, ""},
    };
    static char *const texts[] = {"first", "second", "third", NULL};
    struct host *host = *state;
    struct track tracks[6] = {{.hook = NULL}};

    struct peer *peer = host_peer(host, "recv all", NULL);
    struct peer *none = host_peer(host, "", &(struct peer_options){.refuse = 1});
    struct tcpm_session *session = track_session(host, NULL);
    assert_tally(session, NULL, 0);
    for (size_t i = 0; i < COUNT(tracks); i++) {
        tracks[i] = (struct track){.hook = end_it, .user = i < 4 ? texts[i] : NULL};
        track_connect(&tracks[i], session, peer_port(i < 4 ? peer : none));
        host_run(host);
    }
    assert_tally(session, rows, COUNT(rows));
    host_close(host);
}

static void test_calls_that_cannot_be(void **state)
{
    struct host *host = *state;
    struct tcpm_tally_entry entry = {.size = sizeof entry};

    struct tcpm_session *session = track_session(host, NULL);
    assert_int_equal(tcpm_tally(NULL, 0, &entry), -EINVAL);
    assert_int_equal(tcpm_tally(session, 0, NULL), -EINVAL);
    assert_int_equal(tcpm_tally(session, SIZE_MAX, &entry), 0);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_ends_of_a_kind_are_one_entry_whatever_their_texts),
    HOST_TEST(test_calls_that_cannot_be),
};

RUN_TESTS(tests)
