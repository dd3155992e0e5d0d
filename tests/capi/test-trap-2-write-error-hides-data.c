/* SPDX-License-Identifier: MIT */
/*
 * Trap 2: a failed write uses up the socket's error and can hide what the peer said before it went
 * away. Here: what it said, then the first error.
 */
#include "plain.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

/* It says why and closes with our line unread, which makes the kernel send RST. */
#define BUSY "wait sent; send \"421 busy\\r\\n\"; close_unread"

/* FAULTS I05. */
static void test_I05_what_it_said_comes_before_the_error(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};

    struct peer *peer = host_peer(host, BUSY, NULL);
    track_connect(&track, track_session(host, NULL), peer_port(peer));
    host_run_until(host, track_open, &track);
    assert_int_equal(tcpm_send(track.session, track.id, "hello", 5), 0);
    peer_go(peer, "sent");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(tcpm_send(track.session, track.id, "more", 4), 0); /* meets the reset */
    assert_int_equal(tcpm_send(track.session, track.id, "and more", 8), 0);
    host_run(host);
    assert_log(&track, "initialize success input(421 busy) error(write,ECONNRESET) "
                       "disconnected(error)");
    host_close(host);
}

static void send_at_input(struct track *track, enum event event)
{
    if (event == EVENT_INPUT)
        assert_int_equal(tcpm_send(track->session, track->id, "too late", 8), 0);
}

/* Several records behind the failed write, one of them held half before it. */
static void test_every_record_before_the_end_comes(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = send_at_input};

    struct peer *peer =
        peer_start("wait sent; send \"one\\ntwo\\nthree\\npart\"; close_unread", NULL);
    track_connect(&track, track_session(host, NULL), peer_port(peer));
    host_run_until(host, track_open, &track);
    assert_int_equal(tcpm_send(track.session, track.id, "hello", 5), 0);
    peer_go(peer, "sent");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(tcpm_send(track.session, track.id, "more", 4), 0);
    host_run(host);
    assert_log(&track, "initialize success input(one) input(two) input(three) "
                       "error(write,ECONNRESET) disconnected(error)");
    peer_stop(peer);
    host_close(host);
}

static void take_much(struct track *track, enum event event)
{
    static const int size = 4 << 20;

    if (event == EVENT_SUCCESS)
        assert_int_equal(setsockopt(track->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
}

/* More than one turn may take: it is all read, over several turns, before the error is told. */
static void test_a_long_farewell_is_read_to_its_end(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = take_much};
    struct tcpm_session_options options = {.input_filter = stream_filter()};
    int farewell = 0;

    struct peer *peer = host_peer(host, "wait sent; sendn 1500000 \"y\"; close_unread", NULL);
    track_connect(&track, track_session(host, &options), peer_port(peer));
    tcpm_filter_free(options.input_filter);
    host_run_until(host, track_open, &track);
    assert_int_equal(tcpm_send(track.session, track.id, "hello", 5), 0);
    peer_go(peer, "sent");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(ioctl(track.fd, FIONREAD, &farewell), 0);
    assert_true(farewell > 300000);
    assert_int_equal(tcpm_send(track.session, track.id, "more", 4), 0);
    host_run(host);
    assert_int_equal(track.received, farewell);
    assert_non_null(strstr(track.log, " error(write,ECONNRESET) disconnected(error)"));
    host_close(host);
}

static void test_plain_libuv_forgets_the_reason(void **state)
{
    struct host host;
    struct plain *plain = calloc(1, sizeof *plain);

    (void) state;
    assert_non_null(plain);
    host_loop_open(&host);
    struct peer *peer = peer_start(BUSY, NULL);
    plain_connect(plain, &host.loop, peer_port(peer));
    host_run_until(&host, plain_open, plain);
    uv_buf_t hello = plain_buf("hello\r\n");
    assert_int_equal(uv_try_write((uv_stream_t *) &plain->tcp, &hello, 1), 7);
    peer_go(peer, "sent");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    plain_write(plain, "more\r\n");
    host_run_until(&host, plain_closed, plain);
    if (plain_is_known()) /* the write comes before what was there before it; the end looks clean */
        assert_string_equal(plain->log, "connect(0) write(ECONNRESET) read(10) read(EOF) closed");
    peer_stop(peer);
    host_loop_close(&host);
    free(plain);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_I05_what_it_said_comes_before_the_error),
    HOST_TEST(test_every_record_before_the_end_comes),
    HOST_TEST(test_a_long_farewell_is_read_to_its_end),
    cmocka_unit_test(test_plain_libuv_forgets_the_reason),
};

RUN_TESTS(tests)
