/* SPDX-License-Identifier: MIT */
/*
 * A connection that is the only busy one for long is asked for its input without asking the kernel
 * who has some. Everything else that can happen to it must still be heard, also from the others.
 */
#include "plain.h"

#define PING  "loop 40; send \"x\\n\"; recv 3; end; "
#define PINGS 40

enum { MUCH = 16 << 20 }; /* more than both kernels hold */

static void answer(struct track *track, enum event event)
{
    if (event == EVENT_INPUT && *track->record == 'x')
        assert_true(tcpm_send(track->session, track->id, "y", 1) >= 0);
}

/* Until the peer has had its answers; then the program goes on. */
static struct peer *begin_alone(struct host *host, struct track *track, const char *program,
                                const struct tcpm_session_options *options)
{
    char text[200];
    struct peer *peer;

    snprintf(text, sizeof text, "%s%s", PING, program);
    if (track->hook == NULL)
        track->hook = answer;
    host_open(host, NULL);
    peer = peer_start(text, NULL);
    track_connect(track, track_session(host, options), peer_port(peer));
    return peer;
}

static void end_alone(struct host *host, struct peer *peer)
{
    peer_stop(peer);
    host_close(host);
}

static void assert_pinged(const struct track *track, const char *end)
{
    assert_int_equal(track->count[EVENT_SUCCESS], 1);
    assert_int_equal(track->count[EVENT_INPUT], PINGS);
    assert_non_null(strstr(track->log, end));
}

static void test_its_end_is_heard(void **state)
{
    static const struct {
        const char *program, *end;
    } ends[] = {
        {"close", "error(read,EOF) disconnected(eof)"},
        {"rst", "error(read,ECONNRESET) disconnected(error)"},
        {"freeze", "timeout(input) disconnected(timeout)"},
        {"oob \"!\"; sleep 20; close", "error(read,EOF) disconnected(eof)"},
    };
    static const struct tcpm_session_options options = {.input_timeout_ms = 300};

    (void) state;
    for (size_t i = 0; i < COUNT(ends); i++) {
        struct host host;
        struct track track = {0};
        struct peer *peer = begin_alone(&host, &track, ends[i].program, &options);

        host_run(&host);
        assert_pinged(&track, ends[i].end);
        end_alone(&host, peer);
    }
}

static void answer_with_much(struct track *track, enum event event)
{
    static char bytes[MUCH];

    answer(track, event);
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == PINGS) {
        assert_true(tcpm_send(track->session, track->id, bytes, sizeof bytes) >= 0);
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
    }
}

/* It is watched for input only, until the kernel takes no more of its output. */
static void test_what_the_kernel_does_not_take_at_once_is_sent(void **state)
{
    struct host host;
    struct track track = {.hook = answer_with_much};
    static const struct tcpm_session_options options = {.max_queued = 2 * MUCH};
    struct peer *peer = begin_alone(&host, &track, "sleep 300; count", &options);
    struct peer_report report;

    (void) state;
    host_run(&host);
    assert_pinged(&track, "disconnected(shutdown)");
    assert_int_equal(peer_wait_ended(peer, 1, 30), 0);
    peer_report(peer, &report);
    assert_int_equal(report.received, PINGS * 3 + MUCH + 2);
    end_alone(&host, peer);
}

/* Blocked when it becomes the only one: it hears that the kernel has room again. */
static void test_one_that_is_blocked_hears_of_room(void **state)
{
    struct host host;
    struct track track = {.hook = answer_with_much};
    static const struct tcpm_session_options options = {.max_queued = 2 * MUCH};

    (void) state;
    host_open(&host, NULL);
    struct peer *peer =
        peer_start("loop 40; send \"x\\n\"; sleep 1; end; loop 60; send \"z\\n\"; sleep 5; end; "
                   "count",
                   NULL);
    track_connect(&track, track_session(&host, &options), peer_port(peer));
    host_run(&host);
    assert_int_equal(track.reason, TCPM_REASON_SHUTDOWN);
    end_alone(&host, peer);
}

static bool is_alone(void *track)
{
    return ((struct track *) track)->count[EVENT_INPUT] == PINGS;
}

static void test_others_are_heard(void **state)
{
    struct host host;
    struct track track = {0}, others[3] = {0};
    struct peer *peer =
        begin_alone(&host, &track, "wait go; loop 40; send \"z\\n\"; end; close", NULL);
    struct peer *late = peer_start("send \"late\\n\"; close", NULL);

    (void) state;
    host_run_until(&host, is_alone, &track);
    for (size_t i = 0; i < COUNT(others); i++) {
        track_connect(&others[i], track.session, peer_port(late));
        host_run_until(&host, track_ended, &others[i]);
        assert_log(&others[i], "initialize success input(late) error(read,EOF) disconnected(eof)");
    }
    peer_go(peer, "go");
    host_run(&host);
    assert_int_equal(track.count[EVENT_INPUT], 2 * PINGS);
    assert_int_equal(track.reason, TCPM_REASON_EOF);
    peer_stop(late);
    end_alone(&host, peer);
}

/* ---- one that always has something to read ---- */

struct pair {
    struct track busy, late;
    int late_port;
};

static void connect_late(struct track *track, enum event event)
{
    struct pair *pair = track->user;

    if (event != EVENT_INPUT)
        return;
    stall_ms(5);
    if (track->count[EVENT_INPUT] == PINGS)
        track_connect(&pair->late, track->session, pair->late_port);
    if (track_ended(&pair->late) || track->count[EVENT_INPUT] == 4 * PINGS)
        assert_int_equal(tcpm_die(track->session), 0);
}

/* A slow handler, and a peer that sends a byte in every turn of the loop. */
static void test_others_are_heard_while_it_reads_in_every_turn(void **state)
{
    struct host host;
    struct pair pair = {.busy = {.hook = connect_late, .user = &pair}};

    (void) state;
    host_open(&host, NULL);
    struct peer *peer = peer_start("loop 0; dribble \"xxxxxxxxxxxxxxxx\" 100; end", NULL);
    struct peer *late = peer_start("send \"late\"; close", NULL);
    pair.late_port = peer_port(late);
    track_connect(&pair.busy, stream_session(&host, (struct tcpm_session_options){0}),
                  peer_port(peer));
    host_run(&host);
    assert_log(&pair.late, "initialize success input(late) error(read,EOF) disconnected(eof)");
    assert_true(pair.busy.count[EVENT_INPUT] < 2 * PINGS);
    peer_stop(late);
    end_alone(&host, peer);
}

static void pause_alone(struct track *track, enum event event)
{
    answer(track, event);
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == PINGS)
        assert_int_equal(tcpm_pause(track->session, track->id), 0);
}

/* What waits behind a pause does not keep the loop busy. */
static void test_paused_it_costs_nothing(void **state)
{
    struct host host;
    struct track track = {.hook = pause_alone};
    static const struct tcpm_session_options options = {.deadline_ms = 500};
    struct peer *peer = begin_alone(&host, &track, "send \"z\\n\"; freeze", &options);
    uv_rusage_t before, after;

    (void) state;
    host_run_until(&host, is_alone, &track);
    assert_int_equal(uv_getrusage(&before), 0);
    host_run(&host);
    assert_int_equal(uv_getrusage(&after), 0);
    assert_pinged(&track, "timeout(deadline) disconnected(timeout)");
    assert_true((after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000 +
                    (after.ru_utime.tv_usec - before.ru_utime.tv_usec) / 1000 <
                150);
    end_alone(&host, peer);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_its_end_is_heard),
    cmocka_unit_test(test_what_the_kernel_does_not_take_at_once_is_sent),
    cmocka_unit_test(test_one_that_is_blocked_hears_of_room),
    cmocka_unit_test(test_others_are_heard),
    cmocka_unit_test(test_others_are_heard_while_it_reads_in_every_turn),
    cmocka_unit_test(test_paused_it_costs_nothing),
};

RUN_TESTS(tests)
