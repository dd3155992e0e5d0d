/* SPDX-License-Identifier: MIT */
/*
 * Trap 11: one socket may take 2 MiB in one turn of libuv, and one turn may dispatch thousands of
 * events before a timer runs. Here: 256 KiB, and deadlines and alarms are looked at in between.
 */
#include "plain.h"

#include <sys/socket.h>
#include <time.h>

enum { PER_TURN = 256 * 1024, KERNEL_BUFFER = 4 << 20, BLAST = 40 << 20 };

struct turns {
    uint64_t this_turn, most;
    uv_prepare_t prepare;
};

static void end_turn(uv_prepare_t *prepare)
{
    struct turns *turns = prepare->data;

    if (turns->this_turn > turns->most)
        turns->most = turns->this_turn;
    turns->this_turn = 0;
}

static void count_turns(struct turns *turns, uv_loop_t *loop)
{
    uv_prepare_init(loop, &turns->prepare);
    turns->prepare.data = turns;
    uv_prepare_start(&turns->prepare, end_turn);
    uv_unref((uv_handle_t *) &turns->prepare);
}

static void count_bytes(struct track *track, enum event event)
{
    struct turns *turns = track->user;

    if (event == EVENT_SUCCESS)
        enlarge_buffer(track->fd);
    if (event == EVENT_INPUT)
        turns->this_turn += track->length;
}

/* FAULTS F01. */
static void test_F01_one_connection_takes_at_most_256_kib_per_turn(void **state)
{
    struct host *host = *state;
    struct turns turns = {.most = 0};
    struct track track = {.hook = count_bytes, .user = &turns};

    struct peer *peer = host_peer(host, "wait go; blast 40m; close", NULL);
    track_connect(&track, stream_session(host, (struct tcpm_session_options){0}), peer_port(peer));
    host_run_until(host, track_open, &track);
    peer_go(peer, "go");
    wait_readable(track.fd, 2 * PER_TURN);
    count_turns(&turns, &host->loop);
    host_run(host);
    assert_int_equal(track.received, BLAST);
    assert_true(turns.most <= PER_TURN);
    assert_true(turns.most > PER_TURN / 2); /* and there was more to take */
    uv_close((uv_handle_t *) &turns.prepare, NULL);
    host_close(host);
}

struct firehose {
    uv_tcp_t tcp;
    uv_connect_t connect;
    struct turns turns;
    bool open, closed;
    char buffer[65536];
};

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct firehose *firehose = handle->data;

    (void) suggested;
    *buf = uv_buf_init(firehose->buffer, sizeof firehose->buffer);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct firehose *firehose = stream->data;

    (void) buf;
    if (nread > 0)
        firehose->turns.this_turn += (uint64_t) nread;
    else if (nread < 0) {
        uv_close((uv_handle_t *) stream, NULL);
        firehose->closed = true;
    }
}

static void on_connect(uv_connect_t *request, int status)
{
    struct firehose *firehose = request->handle->data;
    int size = KERNEL_BUFFER;

    assert_int_equal(status, 0);
    firehose->open = true;
    assert_int_equal(uv_recv_buffer_size((uv_handle_t *) &firehose->tcp, &size), 0);
}

static bool firehose_open(void *argument)
{
    return ((struct firehose *) argument)->open;
}

static bool firehose_closed(void *argument)
{
    return ((struct firehose *) argument)->closed;
}

static void test_plain_libuv_takes_what_it_can_get(void **state)
{
    struct host host;
    struct firehose *firehose = calloc(1, sizeof *firehose);
    struct sockaddr_in address;
    uv_os_fd_t fd = -1;

    (void) state;
    assert_non_null(firehose);
    host_loop_open(&host);
    struct peer *peer = peer_start("wait go; blast 40m; close", NULL);
    assert_int_equal(uv_ip4_addr("127.0.0.1", peer_port(peer), &address), 0);
    assert_int_equal(uv_tcp_init(&host.loop, &firehose->tcp), 0);
    firehose->tcp.data = firehose;
    assert_int_equal(uv_tcp_connect(&firehose->connect, &firehose->tcp,
                                    (struct sockaddr *) &address, on_connect),
                     0);
    host_run_until(&host, firehose_open, firehose);
    peer_go(peer, "go");
    assert_int_equal(uv_fileno((uv_handle_t *) &firehose->tcp, &fd), 0);
    wait_readable(fd, 2 * PER_TURN);
    assert_int_equal(uv_read_start((uv_stream_t *) &firehose->tcp, give_buffer, on_read), 0);
    count_turns(&firehose->turns, &host.loop);
    host_run_until(&host, firehose_closed, firehose);
    print_message("# plain libuv: %llu KiB in one turn\n",
                  (unsigned long long) firehose->turns.most / 1024);
    if (plain_is_known())
        assert_true(firehose->turns.most > PER_TURN);
    uv_close((uv_handle_t *) &firehose->turns.prepare, NULL);
    host_run(&host);
    peer_stop(peer);
    host_loop_close(&host);
    free(firehose);
}

/* ---- a long dispatch ---- */

enum { MANY = 900, SLOW_US = 300 };

struct crowd {
    struct track *tracks;
    size_t open, inputs, inputs_at_alarm, inputs_at_timeout;
};

static void spin_us(int64_t microseconds)
{
    int64_t end = tcpm_now_ns() + microseconds * 1000;

    while (tcpm_now_ns() < end)
        continue;
}

static void take_slowly(struct track *track, enum event event)
{
    struct crowd *crowd = track->user;

    crowd->open += event == EVENT_SUCCESS;
    if (event != EVENT_INPUT)
        return;
    spin_us(SLOW_US);
    crowd->inputs++;
    if (track->count[EVENT_INPUT] == 2)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void note_timeout(struct track *track, enum event event)
{
    struct crowd *crowd = track->user;

    if (event == EVENT_TIMEOUT)
        crowd->inputs_at_timeout = crowd->inputs;
}

static void note_alarm(struct tcpm_session *session, void *user, void *argument)
{
    struct crowd *crowd = argument;

    (void) session;
    (void) user;
    crowd->inputs_at_alarm = crowd->inputs;
}

static bool all_open(void *argument)
{
    return ((struct crowd *) argument)->open == MANY;
}

/* 900 connections with input at once, 0.3 ms each; an alarm and a timeout due after 20 ms. */
static void test_deadlines_are_looked_at_within_a_long_dispatch(void **state)
{
    struct host host;
    struct crowd crowd = {.tracks = calloc(MANY, sizeof *crowd.tracks)};
    struct track silent = {.hook = note_timeout, .user = &crowd};
    struct tcpm_task task = {.run = note_alarm, .argument = &crowd};

    (void) state;
    assert_non_null(crowd.tracks);
    host_open(&host, NULL);
    struct peer *peer = peer_start("wait go; send \"a\\nb\\n\"; mark sent; recv all", NULL);
    struct peer *mute = peer_start("freeze", NULL);
    struct tcpm_session *session = track_session(&host, NULL);
    track_connect(&silent, session, peer_port(mute));
    host_run_until(&host, track_open, &silent);
    for (size_t i = 0; i < MANY; i++) {
        crowd.tracks[i].hook = take_slowly;
        crowd.tracks[i].user = &crowd;
        track_connect(&crowd.tracks[i], session, peer_port(peer));
    }
    host_run_until(&host, all_open, &crowd);
    peer_go(peer, "go");
    assert_int_equal(peer_wait_mark(peer, "sent", MANY, 30), 0);
    assert_int_equal(tcpm_delay(session, (struct tcpm_id){0}, 20, task, NULL), 0);
    assert_int_equal(tcpm_timeout(session, silent.id, 20), 0);
    host_run(&host);
    print_message("# alarm after %zu, timeout after %zu of %d inputs\n", crowd.inputs_at_alarm,
                  crowd.inputs_at_timeout, 2 * MANY);
    assert_true(crowd.inputs_at_alarm > 0 && crowd.inputs_at_alarm < MANY);
    assert_true(crowd.inputs_at_timeout > 0 && crowd.inputs_at_timeout < MANY);
    assert_log(&silent, "initialize success timeout(input) disconnected(timeout)");
    peer_stop(mute);
    peer_stop(peer);
    host_close(&host);
    free(crowd.tracks);
}

/* What the busy connection has read makes the other send; its flushed ends the busy one. */
static void send_by_the_other(struct track *busy, enum event event)
{
    struct track *other = busy->user;

    if (event == EVENT_SUCCESS)
        enlarge_buffer(busy->fd);
    if (event == EVENT_INPUT && busy->received > PER_TURN / 2)
        assert_int_equal(tcpm_send(other->session, other->id, "now", 3), 0);
}

static void reset_the_busy_one(struct track *other, enum event event)
{
    const struct track *busy = other->user;

    if (event == EVENT_FLUSHED)
        assert_int_equal(tcpm_reset(busy->session, busy->id), 0);
}

/* The engine's check of itself, in builds that have it, looks at the end of this ready pass. */
static void test_who_waits_for_more_reads_may_be_ended_by_another(void **state)
{
    struct host *host = *state;
    struct track busy = {.hook = send_by_the_other}, other = {.hook = reset_the_busy_one};

    busy.user = &other, other.user = &busy;
    struct peer *peer = host_peer(host, "wait go; blast 40m; close", NULL);
    struct tcpm_session *session = stream_session(host, (struct tcpm_session_options){0});
    track_connect(&busy, session, peer_port(peer));
    track_connect(&other, session, peer_port(host_peer(host, "recv all", NULL)));
    host_run_until(host, track_open, &busy);
    host_run_until(host, track_open, &other);
    peer_go(peer, "go");
    wait_readable(busy.fd, 2 * PER_TURN);
    host_run_until(host, track_ended, &busy);
    assert_true(busy.received < BLAST && other.count[EVENT_FLUSHED] > 0);
    assert_int_equal(tcpm_die(session), 0);
    host_run(host);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_who_waits_for_more_reads_may_be_ended_by_another),
    HOST_TEST(test_F01_one_connection_takes_at_most_256_kib_per_turn),
    cmocka_unit_test(test_plain_libuv_takes_what_it_can_get),
    cmocka_unit_test(test_deadlines_are_looked_at_within_a_long_dispatch),
};

RUN_TESTS(tests)
