/* SPDX-License-Identifier: MIT */
/*
 * Corners that a reading of the core brought to light, one case each.
 */
#include "host.h"

#include <fcntl.h>
#include <sys/resource.h>

/* ---- memory that is counted, and that runs out ---- */

struct counted {
    long blocks;
    size_t refuse; /* requests of at least so many bytes fail; 0: none */
};

static void *count_reallocate(void *block, size_t size, void *user)
{
    struct counted *counted = user;

    if (counted->refuse != 0 && size >= counted->refuse)
        return NULL;
    if (block == NULL && size > 0)
        counted->blocks++;
    if (block != NULL && size == 0)
        counted->blocks--;
    if (size > 0)
        return realloc(block, size);
    free(block);
    return NULL;
}

static struct tcpm_engine_options counting(struct counted *counted)
{
    return (struct tcpm_engine_options){.size = sizeof(struct tcpm_engine_options),
                                        .reallocate = count_reallocate,
                                        .user = counted};
}

/* ---- the end of an engine ---- */

struct closing {
    struct host *host;
    struct tcpm_session *session;
    int runs, drops, closed;
};

static void must_not_run(struct tcpm_session *session, void *user, void *argument)
{
    (void) session;
    (void) user;
    ((struct closing *) argument)->runs++;
}

static void count_drop(void *argument)
{
    ((struct closing *) argument)->drops++;
}

static void count_closed(void *user)
{
    ((struct closing *) user)->closed++;
}

static void post_and_close(struct tcpm_session *session, void *user, void *argument)
{
    struct closing *closing = argument;

    (void) user;
    assert_int_equal(tcpm_post(session, (struct tcpm_task){.run = must_not_run,
                                                           .drop = count_drop,
                                                           .argument = argument}),
                     0);
    tcpm_engine_close(closing->host->engine, count_closed, closing);
}

static void post_at_the_end(struct track *track, enum event event)
{
    struct closing *closing = track->user;

    if (event == EVENT_DISCONNECTED)
        assert_int_equal(tcpm_post(closing->session, (struct tcpm_task){.run = post_and_close,
                                                                        .drop = count_drop,
                                                                        .argument = closing}),
                         0);
}

static void a_post_dropped_in_the_engines_last_turn_is_freed(void **state)
{
    struct counted counted = {0};
    struct tcpm_engine_options options = counting(&counted);
    struct host host;
    struct closing closing = {.host = &host};
    struct track track = {.hook = post_at_the_end, .user = &closing};

    (void) state;
    host_open(&host, &options);
    struct peer *peer = peer_start("close", NULL);
    assert_non_null(peer);
    closing.session = track_session(&host, NULL);
    track_connect(&track, closing.session, peer_port(peer));
    host_run(&host);
    assert_int_equal(closing.closed, 1);
    assert_int_equal(closing.runs, 0);
    assert_int_equal(closing.drops, 1);
    assert_int_equal(counted.blocks, 0);
    peer_stop(peer);
    host_loop_close(&host);
}

/* ---- descriptors ---- */

static void the_highest_descriptor_may_be_in_use(void **state)
{
    struct host host;
    struct rlimit limit;

    (void) state;
    host_loop_open(&host);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int highest = (int) (limit.rlim_cur < 1048576 ? limit.rlim_cur : 1048576) - 1;
    assert_int_equal(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, highest), highest);
    assert_int_equal(tcpm_engine_create(&host.loop, NULL, &host.engine), 0);
    /* libuv's table of watchers is as large as it will ever have to be */
    assert_true(host.loop.nwatchers >= (unsigned) highest - 1);
    close(highest);
    host_close(&host);
}

static void names_that_are_still_looked_up_do_not_hold_up_an_end(void **state)
{
    struct host host;
    struct track tracks[12] = {0};

    (void) state;
    host_open(&host, NULL);
    struct tcpm_session *session = track_session(&host, NULL);
    for (int i = 0; i < 12; i++)
        track_connect_with(&tracks[i], session,
                           (struct tcpm_connect_options){.address = "localhost", .port = 1});
    uv_run(&host.loop, UV_RUN_NOWAIT);
    host_close(&host);
    for (int i = 0; i < 12; i++)
        assert_int_equal(tracks[i].last, EVENT_DISCONNECTED);
}

static void note_addresses(struct track *track, enum event event)
{
    if (event != EVENT_SUCCESS)
        return;
    struct tcpm_endpoints endpoints = track_endpoints(track);
    assert_string_equal(endpoints.local, "::1");
    assert_string_equal(endpoints.peer, "::1");
    assert_true(endpoints.local_port > 0);
    assert_int_equal(endpoints.peer_port, track->port);
}

static void ipv6_in_brackets_or_not_and_bound(void **state)
{
    static const char *const forms[] = {"::1", "[::1]", "0:0:0:0:0:0:0:1", "[::1%lo]"};
    struct host host;
    struct track tracks[4] = {0};

    (void) state;
    host_open(&host, NULL);
    struct peer *peer = peer_start("close", &(struct peer_options){.address = "::1"});
    assert_non_null(peer);
    struct tcpm_session *session = track_session(&host, NULL);
    for (int i = 0; i < 4; i++) {
        tracks[i].hook = i < 3 ? note_addresses : NULL;
        track_connect_with(&tracks[i], session,
                           (struct tcpm_connect_options){.address = forms[i],
                                                         .port = peer_port(peer),
                                                         .bind_address = i < 3 ? "[::1]" : NULL});
    }
    host_run(&host);
    for (int i = 0; i < 4; i++)
        assert_log(&tracks[i], "initialize success error(read,EOF) disconnected(eof)");
    peer_stop(peer);
    host_close(&host);
}

/* ---- who may start ---- */

static void connects_that_wait_for_their_own_session_leave_room_to_others(void **state)
{
    struct host host;
    struct track tracks[3] = {0};
    const struct tcpm_session_options slow = {.max_connections = 1};

    (void) state;
    host_open(&host, NULL);
    struct peer *peer = peer_start("wait end; close", NULL);
    assert_non_null(peer);
    struct tcpm_session *one = track_session(&host, &slow), *other = track_session(&host, NULL);
    for (int i = 0; i < 3; i++)
        track_connect(&tracks[i], one, peer_port(peer));
    assert_int_equal(tcpm_has_room(one), 0);
    assert_int_equal(tcpm_has_room(other), 1);
    peer_go(peer, "end");
    host_run(&host);
    assert_int_equal(tcpm_has_room(one), 1);
    peer_stop(peer);
    host_close(&host);
}

/* ---- bytes ---- */

static void send_what_there_is_no_memory_for(struct track *track, enum event event)
{
    struct counted *counted = track->user;
    struct tcpm_info info = {.size = sizeof info};

    if (event == EVENT_SUCCESS) {
        enum { LARGE = 32 << 20 };
        char *bytes = calloc(1, LARGE);
        counted->refuse = 1 << 20;
        track->received = tcpm_send(track->session, track->id, bytes, LARGE) < 0 ? 0 : LARGE;
        free(bytes);
    }
    if (event == EVENT_DISCONNECTED) {
        assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
        assert_true(info.sent > 0);
        assert_int_equal(info.sent + info.queued, track->received);
        counted->refuse = 0;
    }
}

static void a_record_taken_in_part_is_sent_or_queued_or_reset(void **state)
{
    struct counted counted = {0};
    struct tcpm_engine_options options = counting(&counted);
    struct tcpm_session_options session = {0};
    struct host host;
    struct track track = {.hook = send_what_there_is_no_memory_for, .user = &counted};
    struct peer_connection seen;

    (void) state;
    host_open(&host, &options);
    struct peer *peer = peer_start("wait end; discard", NULL);
    assert_non_null(peer);
    session.input_filter = session.output_filter = stream_filter();
    track_connect(&track, track_session(&host, &session), peer_port(peer));
    host_run(&host);
    assert_log(&track, "initialize success error(write,ENOMEM) disconnected(error)");
    peer_go(peer, "end");
    assert_int_equal(peer_wait_ended(peer, 1, HOST_PATIENCE), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_int_equal(seen.end, PEER_RESET);
    peer_stop(peer);
    tcpm_filter_free(session.input_filter);
    host_close(&host);
    assert_int_equal(counted.blocks, 0);
}

static void unread_what_is_pending(struct track *track, enum event event)
{
    const void *pending = NULL;
    size_t length = 0;

    if (event != EVENT_INPUT || track->count[EVENT_INPUT] != 1)
        return;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(tcpm_pending(track->session, track->id, &pending, &length), 0);
        assert_int_equal(tcpm_unread(track->session, track->id, pending, length), 0);
    }
    assert_int_equal(tcpm_shutdown_output(track->session, track->id), 0);
}

static void pending_bytes_may_be_unread(void **state)
{
    struct host host;
    struct track track = {.hook = unread_what_is_pending};

    (void) state;
    host_open(&host, NULL);
    struct peer *peer = peer_start("send \"one\\ntwo\\n\"; recv all; close", NULL);
    assert_non_null(peer);
    track_connect(&track, track_session(&host, NULL), peer_port(peer));
    host_run(&host);
    assert_int_equal(track.count[EVENT_INPUT], 1 + (1 << 10));
    assert_int_equal(track.reason, TCPM_REASON_EOF);
    peer_stop(peer);
    host_close(&host);
}

static void unread_without_memory(struct track *track, enum event event)
{
    struct counted *counted = track->user;
    static const char many[1 << 16];

    if (event != EVENT_INPUT || track->count[EVENT_INPUT] != 1)
        return;
    counted->refuse = 1 << 12;
    assert_int_equal(tcpm_unread(track->session, track->id, many, sizeof many), -ENOMEM);
    counted->refuse = 0;
}

static void records_behind_an_unread_that_failed_are_delivered(void **state)
{
    struct counted counted = {0};
    struct tcpm_engine_options options = counting(&counted);
    struct host host;
    struct track track = {.hook = unread_without_memory, .user = &counted};

    (void) state;
    host_open(&host, &options);
    struct peer *peer = peer_start("send \"one\\ntwo\\nthree\\n\"; close", NULL);
    assert_non_null(peer);
    track_connect(&track, track_session(&host, NULL), peer_port(peer));
    host_run(&host);
    assert_log(&track, "initialize success input(one) input(two) input(three) error(read,EOF) "
                       "disconnected(eof)");
    peer_stop(peer);
    host_close(&host);
}

static void a_record_without_bytes_is_refused(void **state)
{
    struct host host;
    struct track track = {0};
    const struct tcpm_record records[] = {{"a", 1}, {NULL, 1}};

    (void) state;
    host_open(&host, NULL);
    struct tcpm_session *session = track_session(&host, NULL);
    track_connect(&track, session, 1);
    assert_int_equal(tcpm_send(session, track.id, NULL, 1), -EINVAL);
    assert_int_equal(tcpm_send_many(session, track.id, records, 2), -EINVAL);
    assert_int_equal(tcpm_send(session, track.id, NULL, 0), 0);
    host_close(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_post_dropped_in_the_engines_last_turn_is_freed),
        cmocka_unit_test(the_highest_descriptor_may_be_in_use),
        cmocka_unit_test(names_that_are_still_looked_up_do_not_hold_up_an_end),
        cmocka_unit_test(ipv6_in_brackets_or_not_and_bound),
        cmocka_unit_test(connects_that_wait_for_their_own_session_leave_room_to_others),
        cmocka_unit_test(a_record_taken_in_part_is_sent_or_queued_or_reset),
        cmocka_unit_test(pending_bytes_may_be_unread),
        cmocka_unit_test(records_behind_an_unread_that_failed_are_delivered),
        cmocka_unit_test(a_record_without_bytes_is_refused),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
