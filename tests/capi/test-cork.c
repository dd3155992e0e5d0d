/* SPDX-License-Identifier: MIT */
/*
 * The option cork: what is sent in one turn of the loop goes out together, in order, before the
 * loop polls; corked bytes are queued bytes. The system calls are counted by a send of this
 * program's own, which the library calls instead of the C library's.
 */
#include "host.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

enum { RECORDS = 100, TURNS = 8, MANY = 200000, RECORD_SIZE = 20 };

/* The descriptor whose sends are counted; those of the peer's threads have others. */
static int counted_fd = -1;
static unsigned sends;

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    struct iovec part = {(void *) (uintptr_t) bytes, length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (fd == counted_fd)
        sends++;
    return sendmsg(fd, &message, flags);
}

/* Records of four digits; numbers go on from call to call. */
static void send_numbers(struct track *track, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        char text[8];

        snprintf(text, sizeof text, "%04u", i % 10000);
        assert_int_equal(tcpm_send(track->session, track->id, text, 4), 0);
    }
}

static void assert_numbers(struct peer *peer, unsigned count, enum peer_end end)
{
    struct peer_connection seen;

    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_int_equal(seen.end, end);
    assert_int_equal(seen.content_length, 4 * count);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(strtoul((char[]){seen.content[4 * i], seen.content[4 * i + 1],
                                          seen.content[4 * i + 2], seen.content[4 * i + 3], 0},
                                 NULL, 10),
                         i);
}

static uint64_t queued_of(const struct track *track)
{
    struct tcpm_info info = {.size = sizeof info};

    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    return info.queued;
}

/* One connection of a corked session, to a peer that reads all, until it has ended. */
static void run_corked(struct track *track, struct tcpm_session_options options,
                       void (*check)(struct peer *peer))
{
    struct host host;

    host_open(&host, NULL);
    counted_fd = -1;
    sends = 0;
    options.cork = 1;
    struct peer *peer = peer_start("recv all", &(struct peer_options){.keep = 8 << 20});
    track_connect(track, stream_session(&host, options), peer_port(peer));
    host_run(&host);
    check(peer);
    peer_stop(peer);
    host_close(&host);
}

/* ---- one call a turn ---- */

static void send_in_turns(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS) {
        counted_fd = track->fd;
        sends = 0;
        send_numbers(track, 0, RECORDS);
        assert_int_equal(queued_of(track), 4 * RECORDS);
        assert_int_equal(sends, 0);
    } else if (event == EVENT_FLUSHED && track->count[EVENT_FLUSHED] < TURNS) {
        assert_int_equal(queued_of(track), 0);
        send_numbers(track, RECORDS * track->count[EVENT_FLUSHED], RECORDS);
    } else if (event == EVENT_FLUSHED) {
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
    }
}

static void check_the_turns(struct peer *peer)
{
    assert_int_equal(sends, TURNS);
    assert_numbers(peer, TURNS * RECORDS, PEER_EOF);
}

static void test_what_one_turn_sends_is_one_system_call(void **state)
{
    struct track track = {.hook = send_in_turns};

    (void) state;
    run_corked(&track, (struct tcpm_session_options){0}, check_the_turns);
    assert_log(&track, "initialize success disconnected(shutdown)");
    assert_int_equal(track.count[EVENT_FLUSHED], TURNS);
}

/* ---- before the loop polls ---- */

/* Runs last of all prepare callbacks, for it is started before the engine is created. */
static void on_prepare(uv_prepare_t *prepare)
{
    const struct track *track = prepare->data;

    if (track->count[EVENT_SUCCESS] > 0 && track->count[EVENT_DISCONNECTED] == 0)
        assert_int_equal(queued_of(track), 0);
}

static void test_nothing_is_held_back_when_the_loop_polls(void **state)
{
    struct host host;
    uv_prepare_t prepare;
    struct track track = {.hook = send_in_turns};
    const struct tcpm_session_options options = {.cork = 1};

    (void) state;
    host_loop_open(&host);
    uv_prepare_init(&host.loop, &prepare);
    prepare.data = &track;
    uv_prepare_start(&prepare, on_prepare);
    assert_int_equal(tcpm_engine_create(&host.loop, NULL, &host.engine), 0);
    struct peer *peer = peer_start("recv all", NULL);
    track_connect(&track, stream_session(&host, options), peer_port(peer));
    host_run_until(&host, track_ended, &track);
    assert_int_equal(track.count[EVENT_FLUSHED], TURNS);
    uv_close((uv_handle_t *) &prepare, NULL);
    host_run(&host);
    peer_stop(peer);
    host_close(&host);
}

/* ---- corked bytes are queued bytes ---- */

static void send_and_end(struct track *track, enum event event)
{
    if (event != EVENT_SUCCESS)
        return;
    counted_fd = track->fd;
    send_numbers(track, 0, RECORDS);
    assert_int_equal(
        ((int (*)(struct tcpm_session *, struct tcpm_id)) track->user)(track->session, track->id),
        0);
}

static void check_all_arrived(struct peer *peer)
{
    assert_int_equal(sends, 1);
    assert_numbers(peer, RECORDS, PEER_EOF);
}

static void check_none_arrived(struct peer *peer)
{
    assert_int_equal(sends, 0);
    assert_numbers(peer, 0, PEER_RESET);
}

static int die(struct tcpm_session *session, struct tcpm_id id)
{
    (void) id;
    return tcpm_die(session);
}

static int fail_by_hand(struct tcpm_session *session, struct tcpm_id id)
{
    return tcpm_fail(session, id, -EPROTO, NULL);
}

static void test_shutdown_and_die_send_what_is_corked_reset_and_fail_drop_it(void **state)
{
    struct {
        int (*end)(struct tcpm_session *session, struct tcpm_id id);
        void (*check)(struct peer *peer);
        enum tcpm_reason reason;
    } rows[] = {
        {tcpm_shutdown, check_all_arrived, TCPM_REASON_SHUTDOWN},
        {die, check_all_arrived, TCPM_REASON_DIE},
        {tcpm_reset, check_none_arrived, TCPM_REASON_SHUTDOWN},
        {fail_by_hand, check_none_arrived, TCPM_REASON_ERROR},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct track track = {.hook = send_and_end, .user = (void *) (uintptr_t) rows[i].end};

        run_corked(&track, (struct tcpm_session_options){0}, rows[i].check);
        assert_int_equal(track.reason, rows[i].reason);
    }
}

static void send_beyond_the_marks(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS) {
        assert_int_equal(tcpm_send(track->session, track->id, "0000", 4), 0);
        assert_int_equal(tcpm_send(track->session, track->id, "0001", 4), 1);
        assert_int_equal(tcpm_send(track->session, track->id, "0002", 4), -ENOBUFS);
    } else if (event == EVENT_FLUSHED) {
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
    }
}

static void check_two_arrived(struct peer *peer)
{
    assert_numbers(peer, 2, PEER_EOF);
}

static void test_marks_count_what_is_corked(void **state)
{
    struct track track = {.hook = send_beyond_the_marks};

    (void) state;
    run_corked(&track,
               (struct tcpm_session_options){.high_mark = 4, .low_mark = 4, .max_queued = 8},
               check_two_arrived);
    assert_int_equal(track.count[EVENT_FLUSHED], 1);
}

/* ---- many small ones ---- */

static double cpu_ns;

static double cpu_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double) now.tv_sec * 1e9 + (double) now.tv_nsec;
}

static void send_many(struct track *track, enum event event)
{
    static const char record[RECORD_SIZE] = "0123456789012345678";

    if (event == EVENT_FLUSHED && queued_of(track) == 0)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
    if (event != EVENT_SUCCESS)
        return;
    counted_fd = track->fd;
    double began = cpu_now_ns();
    for (int i = 0; i < MANY; i++)
        assert_true(tcpm_send(track->session, track->id, record, RECORD_SIZE) >= 0);
    cpu_ns = cpu_now_ns() - began;
}

static void check_many(struct peer *peer)
{
    struct peer_connection seen;

    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    assert_int_equal(peer_connection(peer, 0, &seen), 0);
    assert_int_equal(seen.received, (uint64_t) MANY * RECORD_SIZE);
    /* At most 256 KiB go in one round, and the kernel may take them in parts. */
    assert_in_range(sends, 1, 4 * MANY * RECORD_SIZE / 262144);
}

/* The promise is 600 ns for each; the rest is for sanitizers and busy machines. */
static void test_200000_sends_of_20_bytes_in_one_handler(void **state)
{
    struct track track = {.hook = send_many};

    (void) state;
    run_corked(&track, (struct tcpm_session_options){0}, check_many);
    print_message("# %.0f ns for each of %d sends, %u system calls\n", cpu_ns / (double) MANY, MANY,
                  sends);
    assert_true(cpu_ns < 4 * 600 * MANY);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_what_one_turn_sends_is_one_system_call),
    cmocka_unit_test(test_nothing_is_held_back_when_the_loop_polls),
    cmocka_unit_test(test_shutdown_and_die_send_what_is_corked_reset_and_fail_drop_it),
    cmocka_unit_test(test_marks_count_what_is_corked),
    cmocka_unit_test(test_200000_sends_of_20_bytes_in_one_handler),
};

RUN_TESTS(tests)
