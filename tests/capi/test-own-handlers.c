/* SPDX-License-Identifier: MIT */
/*
 * Handlers that tcpm_connect gets for one connection replace those of its session, event by event;
 * the other connections of the session keep the session's.
 */
#include "host.h"

static unsigned own_inputs, own_ends, own_flushed;

static void on_own_input(void *heap, struct tcpm_session *session, struct tcpm_id id,
                         const void *record, size_t length)
{
    own_inputs++;
    assert_int_equal(tcpm_send(session, id, "thanks", 6), 0);
    track_events()->input(heap, session, id, record, length);
}

static void on_own_flushed(void *heap, struct tcpm_session *session, struct tcpm_id id)
{
    own_flushed++;
    track_events()->flushed(heap, session, id);
    assert_int_equal(tcpm_shutdown(session, id), 0);
}

static void on_own_end(void *heap, struct tcpm_session *session, struct tcpm_id id,
                       enum tcpm_reason reason)
{
    own_ends++;
    track_events()->disconnected(heap, session, id, reason);
}

/* The table is changed after the call: the library has a copy. */
static void connect_with_own(struct track *track, struct tcpm_session *session, int port)
{
    struct tcpm_events own = {.size = sizeof own,
                              .input = on_own_input,
                              .flushed = on_own_flushed,
                              .disconnected = on_own_end};

    track_connect_with(track, session, (struct tcpm_connect_options){.port = port, .events = &own});
    own = (struct tcpm_events){.size = 0};
}

static void end_at_input(struct track *track, enum event event)
{
    if (event == EVENT_INPUT)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void test_they_replace_the_sessions_event_by_event(void **state)
{
    struct host *host = *state;
    struct track own = {.hook = NULL}, other = {.hook = end_at_input};
    struct tcpm_events quiet = *track_events();
    struct peer_connection seen;

    quiet.flushed = NULL;
    struct tcpm_session_options options = {.events = &quiet};
    struct peer *peer = host_peer(host, "send \"hello\\n\"; recv all", NULL);
    struct tcpm_session *session = track_session(host, &options);
    connect_with_own(&own, session, peer_port(peer));
    host_run(host);
    track_connect(&other, session, peer_port(peer));
    host_run(host);
    assert_log(&own, "initialize success input(hello) disconnected(shutdown)");
    assert_log(&other, "initialize success input(hello) disconnected(shutdown)");
    assert_int_equal(own_inputs, 1);
    assert_int_equal(own_flushed, 1);
    assert_int_equal(own_ends, 1);
    assert_int_equal(other.count[EVENT_FLUSHED], 0);
    assert_int_equal(peer_wait_ended(peer, 2, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_memory_equal(seen.content, "thanks\r\n", 8);
    host_close(host);
}

/* An address in its own words, and what the kernel connected to, are told as without handlers. */
static void check_addresses(struct track *track, enum event event)
{
    struct tcpm_info info = {.size = sizeof info};

    if (event != EVENT_SUCCESS)
        return;
    assert_string_equal(track->addr, "127.0.0.1");
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    assert_string_equal(info.address, "127.0.0.1");
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void test_a_dotted_quad_with_handlers_is_told_as_any_other(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = check_addresses};

    struct peer *peer = host_peer(host, "recv all", NULL);
    connect_with_own(&track, track_session(host, NULL), peer_port(peer));
    host_run(host);
    assert_log(&track, "initialize success disconnected(shutdown)");
    host_close(host);
}

static void on_room(struct tcpm_session *session, void *user)
{
    (void) session;
    (void) user;
}

static void test_tables_that_cannot_be_are_refused(void **state)
{
    const struct {
        struct tcpm_events events;
        int result;
    } rows[] = {
        {{.size = sizeof(struct tcpm_events), .room = on_room}, -EINVAL},
        {{.size = sizeof(struct tcpm_events), .stopped = on_room}, -EINVAL},
        {{.size = 1}, -EINVAL},
        {{.size = SIZE_MAX}, -EINVAL},
    };
    struct host *host = *state;

    struct tcpm_session *session = track_session(host, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct tcpm_connect_options options = {
            .size = sizeof options, .address = "127.0.0.1", .port = 1, .events = &rows[i].events};
        assert_int_equal(tcpm_connect(session, &options, NULL), rows[i].result);
    }
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_they_replace_the_sessions_event_by_event),
    HOST_TEST(test_a_dotted_quad_with_handlers_is_told_as_any_other),
    HOST_TEST(test_tables_that_cannot_be_are_refused),
};

RUN_TESTS(tests)
