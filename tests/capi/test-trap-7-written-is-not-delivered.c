/* SPDX-License-Identifier: MIT */
/*
 * Trap 7: "written" means in the kernel, not at the peer: a close with unread or arriving input
 * makes the kernel send RST, which destroys what was flushed. Here: a chatty peer, a slow reader
 * and a peer that half-closes all get every byte that shutdown promised them; and what cannot be
 * delivered ends in RST, so that nobody takes a cut stream for a whole one.
 */
#include "plain.h"

#include <sys/socket.h>

enum { LARGE = 1500000 };

static void send_large_and_shut(struct track *track, enum event event)
{
    static char large[LARGE];

    if (event != EVENT_SUCCESS)
        return;
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char) (i * 31 >> 7);
    assert_true(tcpm_send(track->session, track->id, large, sizeof large) >= 0);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static uint64_t checksum_of_large(void)
{
    uint64_t checksum = PEER_CHECKSUM;

    for (size_t i = 0; i < LARGE; i++) {
        char byte = (char) (i * 31 >> 7);
        checksum = peer_checksum(checksum, &byte, 1);
    }
    return checksum;
}

static void run_promise(const char *program, int rcvbuf)
{
    struct host host;
    struct track track = {.hook = send_large_and_shut};
    struct peer_connection seen;

    host_open(&host, NULL);
    struct peer *peer = peer_start(program, &(struct peer_options){.rcvbuf = rcvbuf});
    assert_non_null(peer);
    track_connect(&track, stream_session(&host, (struct tcpm_session_options){0}), peer_port(peer));
    host_run_until(&host, track_open, &track);
    peer_go(peer, "shut");
    host_run(&host);
    assert_log(&track, "initialize success disconnected(shutdown)");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    if (seen.received != LARGE || seen.checksum != checksum_of_large())
        fail_msg("\"%s\": %llu bytes, then %s", program, (unsigned long long) seen.received,
                 peer_end_name(seen.end));
    peer_stop(peer);
    host_close(&host);
}

static void test_a_slow_reader_gets_every_byte(void **state)
{
    (void) state;
    run_promise("wait shut; sleep 100; count", 4096);
}

static void test_a_chatty_peer_gets_every_byte(void **state)
{
    (void) state;
    run_promise("send \"hello\"; wait shut; sendn 20000 \"chatter\"; sleep 50; sendn 20000 "
                "\"chatter\"; count",
                4096);
    run_promise("loop 50; send \"more and more\"; recv 30000; end; count", 4096);
}

static void shut_amid_a_flood(struct track *track, enum event event)
{
    static const int size = 4 << 20;

    if (event == EVENT_SUCCESS)
        assert_int_equal(setsockopt(track->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
}

/* With more unread in the kernel than one turn may take: all of it is thrown away first. */
static void test_a_peer_that_floods_gets_every_byte(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = shut_amid_a_flood};
    struct peer_connection seen;

    struct peer *peer = host_peer(host, "wait go; sendn 1500000 \"f\"; mark flood; count", NULL);
    struct tcpm_session *session = stream_session(host, (struct tcpm_session_options){0});
    track_connect(&track, session, peer_port(peer));
    host_run_until(host, track_open, &track);
    peer_go(peer, "go");
    assert_int_equal(peer_wait_mark(peer, "flood", 1, 20), 0);
    assert_int_equal(tcpm_send(session, track.id, "the last word", 13), 0);
    assert_int_equal(tcpm_shutdown(session, track.id), 0);
    host_run(host);
    assert_log(&track, "initialize success disconnected(shutdown)");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_int_equal(seen.received, 13);
    assert_int_equal(seen.end, PEER_EOF);
    host_close(host);
}

static void test_a_peer_that_half_closes_gets_every_byte(void **state)
{
    (void) state;
    run_promise("shutwr; wait shut; sleep 50; count", 4096);
    run_promise("wait shut; send \"bye\"; shutwr; sleep 50; count", 4096);
}

/* ---- what cannot be delivered ---- */

static bool some_turns_have_passed(void *turns)
{
    return ++*(int *) turns > 4;
}

/* The kernel announces both at once, and a read tells the FIN only. */
static void test_a_fin_and_a_reset_together_end_a_flush(void **state)
{
    static const char much[20000];
    struct host *host = *state;
    struct track track = {.session = NULL};
    int turns = 0;

    struct peer *peer =
        peer_start("wait over; shutwr; rst", &(struct peer_options){.rcvbuf = 4096});
    struct tcpm_session *session = stream_session(host, (struct tcpm_session_options){0});
    track_connect(&track, session, peer_port(peer));
    host_run_until(host, track_open, &track);
    assert_int_equal(tcpm_send(session, track.id, much, sizeof much), 0);
    assert_int_equal(tcpm_shutdown(session, track.id), 0);
    host_run_until(host, some_turns_have_passed, &turns);
    peer_go(peer, "over");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    host_run(host);
    assert_log(&track, "initialize success error(write,ECONNRESET) disconnected(error)");
    peer_stop(peer);
    host_close(host);
}

static void run_cut(void (*hook)(struct track *track, enum event event), const char *log)
{
    struct host host;
    struct track track = {.hook = hook};
    struct peer_connection seen;

    host_open(&host, NULL);
    struct peer *peer = peer_start("wait over; count", &(struct peer_options){.rcvbuf = 4096});
    track_connect(&track,
                  stream_session(&host, (struct tcpm_session_options){.shutdown_timeout_ms = 80}),
                  peer_port(peer));
    host_run(&host);
    assert_log(&track, log);
    peer_go(peer, "over");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_int_equal(seen.end, PEER_RESET);
    assert_true(seen.received < 20000000);
    peer_stop(peer);
    host_close(&host);
}

static void send_too_much(struct track *track)
{
    char *large = calloc(1, 20000000);

    assert_non_null(large);
    assert_int_equal(tcpm_send(track->session, track->id, large, 20000000), 1);
    free(large);
}

static void check_lost(struct track *track, enum event event)
{
    struct tcpm_info info = {.size = sizeof info};

    if (event != EVENT_DISCONNECTED)
        return;
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    assert_true(info.queued > 0);
    assert_int_equal(info.queued + info.sent, 20000000);
}

static void shut_in_vain(struct track *track, enum event event)
{
    check_lost(track, event);
    if (event != EVENT_SUCCESS)
        return;
    send_too_much(track);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void reset_while_flushing(struct track *track, enum event event)
{
    check_lost(track, event);
    if (event != EVENT_SUCCESS)
        return;
    send_too_much(track);
    assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
    assert_int_equal(tcpm_reset(track->session, track->id), 0);
}

static void reset_after_our_fin(struct track *track, enum event event)
{
    check_lost(track, event);
    if (event != EVENT_SUCCESS)
        return;
    send_too_much(track);
    assert_int_equal(tcpm_shutdown_output(track->session, track->id), 0);
    assert_int_equal(tcpm_reset(track->session, track->id), 0);
}

static void let_it_time_out(struct track *track, enum event event)
{
    check_lost(track, event);
    if (event != EVENT_SUCCESS)
        return;
    send_too_much(track);
    assert_int_equal(tcpm_timeout(track->session, track->id, 50), 0);
}

/* BEHAVIOUR T20; FAULTS I10, I11. */
static void test_T20_a_cut_stream_ends_in_a_reset(void **state)
{
    (void) state;
    run_cut(shut_in_vain, "initialize success timeout(shutdown) disconnected(timeout)");
    run_cut(reset_while_flushing, "initialize success disconnected(shutdown)");
    run_cut(reset_after_our_fin, "initialize success disconnected(shutdown)");
    run_cut(let_it_time_out, "initialize success timeout(input) disconnected(timeout)");
}

/* FAULTS I11: also when the FIN has been sent already. */
static void test_I11_reset_after_fin(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};
    struct peer_connection seen;

    struct peer *peer = host_peer(host, "recvuntil \"x\"; mark got; wait over; count", NULL);
    track_connect(&track, stream_session(host, (struct tcpm_session_options){0}), peer_port(peer));
    host_run_until(host, track_open, &track);
    assert_int_equal(tcpm_send(track.session, track.id, "x", 1), 0);
    assert_int_equal(tcpm_shutdown_output(track.session, track.id), 0);
    while (peer_marks(peer, "got") == 0)
        uv_run(&host->loop, UV_RUN_NOWAIT);
    for (int turn = 0; turn < 5; turn++)
        uv_run(&host->loop, UV_RUN_NOWAIT); /* the FIN is out */
    assert_int_equal(tcpm_reset(track.session, track.id), 0);
    host_run(host);
    peer_go(peer, "over");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_log(&track, "initialize success disconnected(shutdown)");
    host_close(host);
}

/* ---- plain ---- */

static void on_shutdown(uv_shutdown_t *request, int status)
{
    *(int *) request->data = status == 0 ? 1 : status;
}

static bool is_set(void *argument)
{
    return *(int *) argument != 0;
}

/* As documentation suggests: write, shutdown, close when that has called back. The peer had said a
   word that nobody read, and reads slowly. */
static void test_plain_libuv_destroys_what_it_has_written(void **state)
{
    struct host host;
    struct plain *plain = calloc(1, sizeof *plain);
    char *large = calloc(1, LARGE);
    int done = 0;
    struct peer_connection seen;

    (void) state;
    assert_non_null(plain);
    assert_non_null(large);
    host_loop_open(&host);
    struct peer *peer = peer_start("wait said; send \"hello\"; mark said; wait shut; count",
                                   &(struct peer_options){.rcvbuf = 4096});
    plain_connect(plain, &host.loop, peer_port(peer));
    host_run_until(&host, plain_open, plain);
    uv_read_stop((uv_stream_t *) &plain->tcp);
    peer_go(peer, "said");
    assert_int_equal(peer_wait_mark(peer, "said", 1, 20), 0);
    uv_buf_t buf = uv_buf_init(large, LARGE);
    assert_int_equal(uv_write(&plain->write, (uv_stream_t *) &plain->tcp, &buf, 1, NULL), 0);
    plain->shutdown.data = &done;
    assert_int_equal(uv_shutdown(&plain->shutdown, (uv_stream_t *) &plain->tcp, on_shutdown), 0);
    if (plain_is_known()) /* no way to give up a shutdown that takes long */
        assert_int_equal(uv_tcp_close_reset(&plain->tcp, NULL), UV_EINVAL);
    host_run_until(&host, is_set, &done);
    assert_int_equal(done, 1); /* all is well, it says */
    plain_close(plain);
    host_run(&host);
    peer_go(peer, "shut");
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    if (plain_is_known()) {
        assert_int_equal(seen.end, PEER_RESET);
        assert_true(seen.received < LARGE);
    }
    peer_stop(peer);
    host_loop_close(&host);
    free(large);
    free(plain);
}

/* Whether input was drained is asked by the number of a turn, and such numbers may come again. */
static void test_however_many_turns_later_input_is_seen(void **state)
{
    enum { TURNS = 65535 };
    struct host *host = *state;
    struct track track = {.hook = NULL};
    struct peer_connection seen;

    struct peer *peer =
        peer_start("send \"early\\n\"; wait go; send \"late\\n\"; mark sent; count", NULL);
    track_connect(&track, track_session(host, NULL), peer_port(peer));
    while (track.count[EVENT_INPUT] == 0)
        uv_run(&host->loop, UV_RUN_NOWAIT);
    assert_int_equal(tcpm_send(track.session, track.id, "hello", 5), 0);
    for (int turn = 1; turn < TURNS; turn++)
        uv_run(&host->loop, UV_RUN_NOWAIT);
    peer_go(peer, "go");
    assert_int_equal(peer_wait_mark(peer, "sent", 1, 20), 0);
    wait_readable(track.fd, 5);
    assert_int_equal(tcpm_shutdown(track.session, track.id), 0);
    host_run(host);
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_string_equal(peer_end_name(seen.end), peer_end_name(PEER_EOF));
    assert_int_equal(seen.received, 7);
    peer_stop(peer);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_slow_reader_gets_every_byte),
    cmocka_unit_test(test_a_chatty_peer_gets_every_byte),
    HOST_TEST(test_a_peer_that_floods_gets_every_byte),
    cmocka_unit_test(test_a_peer_that_half_closes_gets_every_byte),
    HOST_TEST(test_a_fin_and_a_reset_together_end_a_flush),
    cmocka_unit_test(test_T20_a_cut_stream_ends_in_a_reset),
    HOST_TEST(test_I11_reset_after_fin),
    HOST_TEST(test_however_many_turns_later_input_is_seen),
    cmocka_unit_test(test_plain_libuv_destroys_what_it_has_written),
};

RUN_TESTS(tests)
