/* SPDX-License-Identifier: MIT */
/*
 * Trap 6: uv_write raises SIGPIPE, hangs the loop when memory fails with more than four buffers,
 * and flushes about ten queued writes in a turn. Here: no signal, no request, one queue. What may
 * end the process runs in a child; libuv's allocator is replaced before anything else.
 */
#include "plain.h"

#include <signal.h>

/* libuv's own allocator, to fail on demand; static because it has no argument of ours. */
static bool out_of_memory;

static void *uv_malloc(size_t size)
{
    return out_of_memory ? NULL : malloc(size);
}

static void *uv_realloc(void *block, size_t size)
{
    return out_of_memory ? NULL : realloc(block, size);
}

static void *uv_calloc(size_t count, size_t size)
{
    return out_of_memory ? NULL : calloc(count, size);
}

/* ---- SIGPIPE ---- */

static void send_into_the_reset(void *argument)
{
    struct host host;
    struct track track = {.hook = NULL};

    (void) argument;
    signal(SIGPIPE, SIG_DFL);
    host_open(&host, NULL);
    struct peer *peer = peer_start("rst", NULL);
    track_connect(&track, track_session(&host, NULL), peer_port(peer));
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(tcpm_send(track.session, track.id, "x", 1), 0);
    host_run(&host);
    assert_true(track_ended(&track));
    track = (struct track){.hook = NULL};
    struct peer *slow = peer_start("recv line; rst", NULL);
    track_connect(&track, track_session(&host, NULL), peer_port(slow));
    host_run_until(&host, track_open, &track);
    assert_int_equal(tcpm_send(track.session, track.id, "x", 1), 0);
    assert_int_equal(peer_wait_ended(slow, 1, 20), 0);
    for (int i = 0; i < 10; i++)
        tcpm_send(track.session, track.id, "x", 1);
    host_run(&host);
    assert_log(&track, "initialize success error(write,ECONNRESET) disconnected(error)");
    peer_stop(slow);
    peer_stop(peer);
    host_close(&host);
}

static void write_into_the_reset(void *argument)
{
    struct host host;
    struct plain *plain = calloc(1, sizeof *plain);
    uv_buf_t byte = plain_buf("x\n");

    (void) argument;
    assert_non_null(plain);
    signal(SIGPIPE, SIG_DFL);
    host_loop_open(&host);
    struct peer *peer = peer_start("recv line; rst", NULL);
    plain_connect(plain, &host.loop, peer_port(peer));
    host_run_until(&host, plain_open, plain);
    assert_int_equal(uv_try_write((uv_stream_t *) &plain->tcp, &byte, 1), 2);
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    for (int i = 0; i < 3; i++)
        uv_try_write((uv_stream_t *) &plain->tcp, &byte, 1);
}

static void test_a_send_to_a_reset_peer_raises_no_signal(void **state)
{
    (void) state;
    assert_int_equal(in_child(send_into_the_reset, NULL), 0);
}

static void test_plain_libuv_raises_sigpipe(void **state)
{
    (void) state;
    if (plain_is_known())
        assert_int_equal(in_child(write_into_the_reset, NULL), -SIGPIPE);
}

/* ---- how many turns ---- */

enum { RECORDS = 2000 };

static void count_turn(uv_prepare_t *prepare)
{
    ++*(int *) prepare->data;
}

static bool has_flushed(void *argument)
{
    return ((struct track *) argument)->count[EVENT_FLUSHED] > 0;
}

/* FAULTS I15: queued before success, sent in a few turns. */
static void test_I15_thousands_of_small_records_take_a_few_turns(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};
    uv_prepare_t prepare;
    int turns = 0;

    struct peer *peer = host_peer(host, "recv all; close", NULL);
    track_connect(&track, track_session(host, NULL), peer_port(peer));
    for (int i = 0; i < RECORDS; i++)
        assert_int_equal(tcpm_send(track.session, track.id, "a small record", 14), 0);
    host_run_until(host, track_open, &track);
    uv_prepare_init(&host->loop, &prepare);
    prepare.data = &turns;
    uv_prepare_start(&prepare, count_turn);
    host_run_until(host, has_flushed, &track);
    print_message("# flushed after %d more turns\n", turns);
    assert_true(turns <= 5);
    assert_int_equal(track.count[EVENT_FLUSHED], 1);
    uv_close((uv_handle_t *) &prepare, NULL);
    assert_int_equal(tcpm_shutdown(track.session, track.id), 0);
    host_run(host);
    assert_int_equal(peer_wait_ended(peer, 1, 20), 0);
    struct peer_report report;
    peer_report(peer, &report);
    assert_int_equal(report.received, RECORDS * 16);
    host_close(host);
}

static void count_write(uv_write_t *request, int status)
{
    assert_int_equal(status, 0);
    ++*(int *) request->data;
}

static bool all_written(void *argument)
{
    return *(int *) argument == RECORDS;
}

static void test_plain_libuv_takes_a_turn_for_ten(void **state)
{
    struct host host;
    struct plain *plain = calloc(1, sizeof *plain);
    uv_write_t *writes = calloc(RECORDS, sizeof *writes);
    uv_buf_t record = plain_buf("a small record\r\n");
    uv_prepare_t prepare;
    int turns = 0, written = 0;

    (void) state;
    assert_non_null(plain);
    assert_non_null(writes);
    host_loop_open(&host);
    struct peer *peer = peer_start("recv all; close", NULL);
    plain_connect(plain, &host.loop, peer_port(peer));
    for (int i = 0; i < RECORDS; i++) {
        writes[i].data = &written;
        assert_int_equal(uv_write(&writes[i], (uv_stream_t *) &plain->tcp, &record, 1, count_write),
                         0);
    }
    uv_prepare_init(&host.loop, &prepare);
    prepare.data = &turns;
    uv_prepare_start(&prepare, count_turn);
    host_run_until(&host, all_written, &written);
    print_message("# plain libuv: %d turns\n", turns);
    if (plain_is_known())
        assert_true(turns >= RECORDS / 40);
    uv_close((uv_handle_t *) &prepare, NULL);
    plain_close(plain);
    host_run(&host);
    peer_stop(peer);
    host_loop_close(&host);
    free(writes);
    free(plain);
}

/* ---- memory ---- */

static void *no_memory(void *block, size_t size, void *user)
{
    if (size == 0) {
        free(block);
        return NULL;
    }
    return *(bool *) user ? NULL : realloc(block, size);
}

/* Many records, no memory to queue them: nothing was taken, and nothing hangs. */
static void test_many_records_without_memory_are_refused_as_one(void **state)
{
    struct host host;
    bool none = false;
    struct tcpm_engine_options engine = {
        .size = sizeof engine, .reallocate = no_memory, .user = &none};
    struct track track = {.hook = NULL};
    struct tcpm_record records[20];

    (void) state;
    host_open(&host, &engine);
    struct peer *silent = peer_start("", &(struct peer_options){.blackhole = 1});
    track_connect(&track, track_session(&host, NULL), peer_port(silent));
    for (size_t i = 0; i < COUNT(records); i++)
        records[i] = (struct tcpm_record){"record", 6};
    none = out_of_memory = true;
    assert_int_equal(tcpm_send_many(track.session, track.id, records, COUNT(records)), -ENOMEM);
    none = out_of_memory = false;
    struct tcpm_info info = {.size = sizeof info};
    assert_int_equal(tcpm_info_get(track.session, track.id, &info), 0);
    assert_int_equal(info.queued, 0);
    assert_int_equal(tcpm_send_many(track.session, track.id, records, COUNT(records)), 0);
    assert_int_equal(tcpm_shutdown(track.session, track.id), 0);
    host_run(&host);
    peer_stop(silent);
    host_close(&host);
}

static void write_without_memory(void *argument)
{
    struct host host;
    struct plain *plain = calloc(1, sizeof *plain);
    uv_buf_t bufs[6];

    (void) argument;
    assert_non_null(plain);
    host_loop_open(&host);
    struct peer *peer = peer_start("recv all", NULL);
    plain_connect(plain, &host.loop, peer_port(peer));
    host_run_until(&host, plain_open, plain);
    for (size_t i = 0; i < COUNT(bufs); i++)
        bufs[i] = plain_buf("x");
    out_of_memory = true;
    int result = uv_write(&plain->write, (uv_stream_t *) &plain->tcp, bufs, COUNT(bufs), NULL);
    out_of_memory = false;
    assert_int_equal(result, UV_ENOMEM);
    plain_close(plain);
    for (int turn = 0; turn < 100; turn++)
        uv_run(&host.loop, UV_RUN_NOWAIT);
    _exit(uv_loop_alive(&host.loop) ? 42 : 0);
}

static void test_plain_libuv_waits_for_ever_for_a_write_it_refused(void **state)
{
    (void) state;
    if (plain_is_known())
        assert_int_equal(in_child(write_without_memory, NULL), 42);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_send_to_a_reset_peer_raises_no_signal),
    cmocka_unit_test(test_plain_libuv_raises_sigpipe),
    HOST_TEST(test_I15_thousands_of_small_records_take_a_few_turns),
    cmocka_unit_test(test_plain_libuv_takes_a_turn_for_ten),
    cmocka_unit_test(test_many_records_without_memory_are_refused_as_one),
    cmocka_unit_test(test_plain_libuv_waits_for_ever_for_a_write_it_refused),
};

int main(void)
{
    if (uv_replace_allocator(uv_malloc, uv_realloc, uv_calloc, free) < 0)
        return 1;
    return host_run_tests(tests, COUNT(tests), LEFT_OUT);
}
