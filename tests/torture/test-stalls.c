/* SPDX-License-Identifier: MIT */
/*
 * The loop was busy elsewhere, or slept: what came in time is no timeout, and what a host does from
 * its own callbacks counts from the moment when it does it.
 */
#include "host.h"

#include <sys/timerfd.h>
#include <time.h>

static void block(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

static bool has_input(void *argument)
{
    return ((struct track *) argument)->count[EVENT_INPUT] > 0;
}

/* ---- a pause ---- */

struct pause {
    struct track track;
    uv_poll_t poll;
    int64_t resumed_ns, timeout_ns;
};

static void pause_and_time(struct track *track, enum event event)
{
    struct pause *pause = track->user;

    if (event == EVENT_INPUT)
        assert_int_equal(tcpm_pause(track->session, track->id), 0);
    if (event == EVENT_TIMEOUT)
        pause->timeout_ns = tcpm_now_ns();
}

static void resume_from_poll(uv_poll_t *poll, int status, int events)
{
    struct pause *pause = poll->data;

    assert_int_equal(status, 0);
    assert_int_equal(events, UV_READABLE);
    pause->resumed_ns = tcpm_now_ns();
    assert_int_equal(tcpm_resume(pause->track.session, pause->track.id), 0);
    uv_close((uv_handle_t *) poll, NULL);
}

/* In the middle of the loop's I/O, where our clock was last read before it polled. */
static int resume_later(struct host *host, struct pause *pause)
{
    const struct itimerspec later = {.it_value = {.tv_nsec = 600 * 1000000}};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

    assert_int_equal(timerfd_settime(fd, 0, &later, NULL), 0);
    assert_int_equal(uv_poll_init(&host->loop, &pause->poll, fd), 0);
    pause->poll.data = pause;
    assert_int_equal(uv_poll_start(&pause->poll, UV_READABLE, resume_from_poll), 0);
    return fd;
}

static void a_pause_that_a_host_ends_does_not_count(void **state)
{
    struct host host;
    struct pause pause = {.track = {.hook = pause_and_time, .user = &pause}};
    const struct tcpm_session_options options = {.input_timeout_ms = 300};

    (void) state;
    host_open(&host, NULL);
    struct peer *peer = peer_start("send \"one\\n\"; freeze", NULL);
    assert_non_null(peer);
    track_connect(&pause.track, track_session(&host, &options), peer_port(peer));
    host_run_until(&host, has_input, &pause.track);
    int fd = resume_later(&host, &pause);
    host_run(&host);
    close(fd);
    assert_log(&pause.track, "initialize success input(one) timeout(input) disconnected(timeout)");
    assert_true(pause.timeout_ns - pause.resumed_ns > 200 * 1000000);
    peer_stop(peer);
    host_close(&host);
}

/* ---- records that were received in time ---- */

static void block_late(struct track *track, enum event event)
{
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 1000)
        block(1200);
}

static void records_left_are_delivered_before_the_timeout(void **state)
{
    struct host host;
    struct track track = {.hook = block_late};
    const struct tcpm_session_options options = {.input_timeout_ms = 600};

    (void) state;
    host_open(&host, NULL);
    struct peer *peer = peer_start("sendn 10000 \"\\n\"; freeze", NULL);
    assert_non_null(peer);
    track_connect(&track, track_session(&host, &options), peer_port(peer));
    host_run(&host);
    assert_int_equal(track.count[EVENT_INPUT], 10000);
    assert_int_equal(track.reason, TCPM_REASON_TIMEOUT);
    peer_stop(peer);
    host_close(&host);
}

/* ---- a flush ---- */

enum { LARGE = 8 << 20 };

static void send_and_shut_down(struct track *track, enum event event)
{
    char *bytes = event == EVENT_SUCCESS ? calloc(1, LARGE) : NULL;

    if (event != EVENT_SUCCESS)
        return;
    assert_int_equal(tcpm_send(track->session, track->id, bytes, LARGE), 1);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
    free(bytes);
}

/* While the loop stands still for longer than the timeout, the peer begins to read. */
static void stall(struct track *track, enum event event)
{
    if (event != EVENT_INPUT)
        return;
    peer_go(track->user, "read");
    block(1600);
    tcpm_reset(track->session, track->id);
}

static void run_both(struct host *host, struct tcpm_session *session, struct peer *reader)
{
    struct track flushing = {.hook = send_and_shut_down};
    struct track stalling = {.hook = stall, .user = reader};
    struct peer *speaker = peer_start("wait speak; send \"x\"; freeze", NULL);

    assert_non_null(speaker);
    track_connect(&flushing, session, peer_port(reader));
    track_connect(&stalling, session, peer_port(speaker));
    host_run_until(host, track_open, &flushing);
    peer_go(speaker, "speak");
    host_run(host);
    assert_log(&flushing, "initialize success disconnected(shutdown)");
    peer_stop(speaker);
}

static void a_flush_that_the_peer_goes_on_reading_is_not_cut(void **state)
{
    struct host host;
    struct tcpm_session_options options = {.shutdown_timeout_ms = 800};
    struct peer_report report;

    (void) state;
    host_open(&host, NULL);
    struct peer *reader = peer_start("wait read; discard", NULL);
    assert_non_null(reader);
    options.input_filter = options.output_filter = stream_filter();
    run_both(&host, track_session(&host, &options), reader);
    assert_int_equal(peer_wait_ended(reader, 1, HOST_PATIENCE), 0);
    peer_report(reader, &report);
    assert_int_equal(report.received, LARGE);
    peer_stop(reader);
    tcpm_filter_free(options.input_filter);
    host_close(&host);
}

/* ---- calls from a host's own prepare callback ---- */

struct prepared {
    struct tcpm_session *session;
    struct track track;
    uv_prepare_t prepare;
    int port, runs;
};

static void count_run(struct tcpm_session *session, void *user, void *argument)
{
    struct prepared *prepared = argument;

    (void) user;
    assert_ptr_equal(session, prepared->session);
    prepared->runs++;
}

static void drop_nothing(void *argument)
{
    (void) argument;
}

/* Called after the engine's own prepare callback: handles that start first are called last. */
static void act_before_the_poll(uv_prepare_t *prepare)
{
    struct prepared *prepared = prepare->data;
    const struct tcpm_task task = {.run = count_run, .drop = drop_nothing, .argument = prepared};

    uv_prepare_stop(prepare);
    assert_int_equal(tcpm_post(prepared->session, task), 0);
    assert_int_equal(tcpm_delay(prepared->session, (struct tcpm_id){0}, 1, task, NULL), 0);
    track_connect(&prepared->track, prepared->session, prepared->port);
}

static void what_a_host_does_right_before_the_poll_does_not_wait_for_another_event(void **state)
{
    struct host host;
    struct prepared prepared = {.runs = 0};
    const struct tcpm_session_options options = {.connect_timeout_ms = 50};

    (void) state;
    host_loop_open(&host);
    uv_prepare_init(&host.loop, &prepared.prepare);
    uv_prepare_start(&prepared.prepare, act_before_the_poll);
    prepared.prepare.data = &prepared;
    assert_int_equal(tcpm_engine_create(&host.loop, NULL, &host.engine), 0);
    struct peer *peer = peer_start("", &(struct peer_options){.blackhole = 1});
    assert_non_null(peer);
    prepared.port = peer_port(peer);
    prepared.session = track_session(&host, &options);
    host_run(&host);
    assert_int_equal(prepared.runs, 2);
    assert_log(&prepared.track, "initialize timeout(connect) disconnected(timeout)");
    uv_close((uv_handle_t *) &prepared.prepare, NULL);
    peer_stop(peer);
    host_close(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pause_that_a_host_ends_does_not_count),
        cmocka_unit_test(records_left_are_delivered_before_the_timeout),
        cmocka_unit_test(a_flush_that_the_peer_goes_on_reading_is_not_cut),
        cmocka_unit_test(what_a_host_does_right_before_the_poll_does_not_wait_for_another_event),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
