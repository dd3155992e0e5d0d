/* SPDX-License-Identifier: MIT */
/*
 * Trap 1: data and then RST is reported by libuv as a clean end of file, and part of the data can
 * be left in the kernel. Here: all bytes, and then the reset by its name.
 */
#include "plain.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Runs until open, sends a line, and waits without running the loop until the peer has reset. */
static void let_it_reset(struct peer *peer, int fd)
{
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    wait_readable(fd, 1 << 30);
}

static void run_ours(const char *program, const char *log, uint64_t received)
{
    struct host host;
    struct track track = {.hook = NULL};
    struct tcpm_session_options options = {.input_filter = stream_filter()};

    host_open(&host, NULL);
    struct peer *peer = peer_start(program, NULL);
    track_connect(&track, track_session(&host, &options), peer_port(peer));
    tcpm_filter_free(options.input_filter);
    host_run_until(&host, track_open, &track);
    assert_int_equal(tcpm_send(track.session, track.id, "go", 2), 0);
    let_it_reset(peer, track.fd);
    host_run(&host);
    assert_non_null(strstr(track.log, log));
    assert_int_equal(track.received, received);
    assert_string_equal(track.message, tcpm_error_text(-ECONNRESET));
    peer_stop(peer);
    host_close(&host);
}

/* FAULTS I01, I02, I03. */
static void test_I01_every_byte_then_econnreset(void **state)
{
    (void) state;
    run_ours("recv line; send \"data\"; rst",
             "input(data) error(read,ECONNRESET) disconnected(error)", 4);
    run_ours("recv line; sendn 100000 \"x\"; rst", "error(read,ECONNRESET) disconnected(error)",
             100000);
    run_ours("recv line; rst", "success error(read,ECONNRESET) disconnected(error)", 0);
}

static void test_plain_libuv_calls_it_a_clean_end(void **state)
{
    struct host host;
    struct plain *plain = calloc(1, sizeof *plain);
    uv_os_fd_t fd = -1;

    (void) state;
    assert_non_null(plain);
    host_loop_open(&host);
    struct peer *peer = peer_start("recv line; send \"data\"; rst", NULL);
    plain_connect(plain, &host.loop, peer_port(peer));
    host_run_until(&host, plain_open, plain);
    plain_write(plain, "go\n");
    assert_int_equal(uv_fileno((uv_handle_t *) &plain->tcp, &fd), 0);
    let_it_reset(peer, fd);
    host_run_until(&host, plain_closed, plain);
    if (plain_is_known())
        assert_string_equal(plain->log, "connect(0) write(0) read(4) read(EOF) closed");
    peer_stop(peer);
    host_loop_close(&host);
    free(plain);
}

#define OUT_OF_BAND "recv all; send \"ab\"; oob \"!\"; send \"cd-THE-REST\"; close"

/* Where the next read that begins at an urgent mark says EAGAIN. */
static int disturbed_fd = -1;

ssize_t recv(int fd, void *bytes, size_t length, int flags)
{
    int at_mark = 0;

    if (fd != disturbed_fd || ioctl(fd, SIOCATMARK, &at_mark) != 0 || !at_mark)
        return recvfrom(fd, bytes, length, flags, NULL, NULL);
    disturbed_fd = -1;
    errno = EAGAIN;
    return -1;
}

static void read_across_an_urgent_mark(bool disturbed)
{
    struct host host;
    struct track track = {.hook = NULL};
    struct tcpm_session_options options = {.input_filter = stream_filter()};

    host_open(&host, NULL);
    struct peer *peer = peer_start(OUT_OF_BAND, NULL);
    track_connect(&track, track_session(&host, &options), peer_port(peer));
    tcpm_filter_free(options.input_filter);
    host_run_until(&host, track_open, &track);
    assert_int_equal(tcpm_pause(track.session, track.id), 0); /* until all of it has come */
    assert_int_equal(tcpm_shutdown_output(track.session, track.id), 0);
    uv_run(&host.loop, UV_RUN_NOWAIT); /* our FIN */
    let_it_reset(peer, track.fd);
    if (disturbed)
        disturbed_fd = track.fd;
    assert_int_equal(tcpm_resume(track.session, track.id), 0);
    host_run(&host);
    assert_log(&track, "initialize success input(ab) input(cd-THE-REST) error(read,EOF) "
                       "disconnected(eof)");
    assert_int_equal(disturbed_fd, -1);
    peer_stop(peer);
    host_close(&host);
}

/* FAULTS I07: half closed by us; a read that stops at the urgent mark, with the FIN behind it. */
static void test_I07_what_stands_behind_an_urgent_mark_is_not_lost(void **state)
{
    (void) state;
    read_across_an_urgent_mark(false);
}

/* As the kernel does when a signal, or work of io_uring, is pending just then. */
static void test_a_read_at_an_urgent_mark_that_says_EAGAIN_is_repeated(void **state)
{
    (void) state;
    read_across_an_urgent_mark(true);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void) request;
    assert_int_equal(status, 0);
}

static void test_plain_libuv_leaves_it_in_the_kernel(void **state)
{
    struct host host;
    struct plain *plain = calloc(1, sizeof *plain);
    uv_os_fd_t fd = -1;

    (void) state;
    assert_non_null(plain);
    host_loop_open(&host);
    struct peer *peer = peer_start(OUT_OF_BAND, NULL);
    plain_connect(plain, &host.loop, peer_port(peer));
    host_run_until(&host, plain_open, plain);
    assert_int_equal(uv_fileno((uv_handle_t *) &plain->tcp, &fd), 0);
    plain_read(plain, false);
    uv_shutdown(&plain->shutdown, (uv_stream_t *) &plain->tcp, on_shutdown);
    uv_run(&host.loop, UV_RUN_NOWAIT);
    let_it_reset(peer, fd);
    plain_read(plain, true);
    host_run_until(&host, plain_closed, plain);
    if (plain_is_known())
        assert_string_equal(plain->log, "connect(0) read(2) read(EOF) closed");
    peer_stop(peer);
    host_loop_close(&host);
    free(plain);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_I01_every_byte_then_econnreset),
    cmocka_unit_test(test_plain_libuv_calls_it_a_clean_end),
    cmocka_unit_test(test_I07_what_stands_behind_an_urgent_mark_is_not_lost),
    cmocka_unit_test(test_a_read_at_an_urgent_mark_that_says_EAGAIN_is_repeated),
    cmocka_unit_test(test_plain_libuv_leaves_it_in_the_kernel),
};

RUN_TESTS(tests)
