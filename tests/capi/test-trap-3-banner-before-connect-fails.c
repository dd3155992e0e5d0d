/* SPDX-License-Identifier: MIT */
/*
 * Trap 3: a peer that accepts, greets and resets before the loop looks makes the connect fail,
 * while its greeting waits in the socket. Here: success, the greeting, and then the error.
 */
#include "plain.h"

/* FAULTS C18, C19. */
static void run_early(const char *program, const char *log)
{
    struct host host;
    struct track track = {.hook = NULL};

    host_open(&host, NULL);
    struct peer *peer = peer_start(program, NULL);
    struct tcpm_session *session = track_session(&host, NULL);
    track_connect(&track, session, peer_port(peer));
    assert_int_equal(tcpm_send(session, track.id, "early", 5), 0);
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    host_run(&host);
    assert_log(&track, log);
    peer_stop(peer);
    host_close(&host);
}

static void test_C18_the_greeting_is_heard(void **state)
{
    (void) state;
    run_early("send \"421 too many\\r\\n\"; rst",
              "initialize success input(421 too many) error(read,ECONNRESET) disconnected(error)");
    run_early("send \"one\\ntwo\\nrest\"; rst",
              "initialize success input(one) input(two) error(read,ECONNRESET) "
              "disconnected(error)");
    run_early("send \"421 too many\\r\\n\"; shutwr; rst", /* the connect fails by EPIPE then */
              "initialize success input(421 too many) error(read,ECONNRESET) disconnected(error)");
}

static void test_C19_a_reset_without_a_word_is_never_an_end_of_file(void **state)
{
    (void) state;
    run_early("rst", "initialize failure(connect,ECONNRESET) disconnected(failure)");
}

/* With FIN instead of RST nothing is lost anywhere, and what was queued before is sent first. */
static void test_a_greeting_and_fin_before_the_loop_looks(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};

    struct peer *peer = host_peer(host, "send \"bye\\n\"; shutwr; recv all; close", NULL);
    struct tcpm_session *session = track_session(host, NULL);
    track_connect(&track, session, peer_port(peer));
    assert_int_equal(tcpm_send(session, track.id, "early", 5), 0);
    assert_int_equal(peer_wait_accepted(peer, 1, 20), 0);
    host_run(host);
    assert_log(&track, "initialize success input(bye) error(read,EOF) disconnected(eof)");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    struct peer_report report;
    peer_report(peer, &report);
    assert_int_equal(report.received, 7);
    host_close(host);
}

static void test_plain_libuv_fails_with_the_greeting_unread(void **state)
{
    struct host host;
    struct plain *plain = calloc(1, sizeof *plain);
    uv_os_fd_t fd = -1;
    char banner[40] = "";

    (void) state;
    assert_non_null(plain);
    host_loop_open(&host);
    struct peer *peer = peer_start("send \"421\\r\\n\"; rst", NULL);
    plain_connect(plain, &host.loop, peer_port(peer));
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    host_run(&host);
    if (plain_is_known()) {
        assert_string_equal(plain->log, "connect(ECONNRESET)");
        assert_int_equal(uv_fileno((uv_handle_t *) &plain->tcp, &fd), 0);
        assert_int_equal(read(fd, banner, sizeof banner), 5);
        assert_string_equal(banner, "421\r\n");
    }
    plain_close(plain);
    host_run(&host);
    peer_stop(peer);
    host_loop_close(&host);
    free(plain);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_C18_the_greeting_is_heard),
    cmocka_unit_test(test_C19_a_reset_without_a_word_is_never_an_end_of_file),
    HOST_TEST(test_a_greeting_and_fin_before_the_loop_looks),
    cmocka_unit_test(test_plain_libuv_fails_with_the_greeting_unread),
};

RUN_TESTS(tests)
