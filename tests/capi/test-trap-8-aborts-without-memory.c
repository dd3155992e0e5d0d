/* SPDX-License-Identifier: MIT */
/*
 * Trap 8: libuv aborts the process when its table of watchers cannot grow. Here: the table has its
 * full size from the engine's creation on, and want of memory for it is an error of that creation.
 * libuv's allocator is replaced before anything else.
 */
#include "plain.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

/* libuv's own allocator: counted, and failing on demand; static because it has no argument. */
static bool out_of_memory;
static long uv_allocations;

static void *uv_malloc(size_t size)
{
    uv_allocations++;
    return out_of_memory ? NULL : malloc(size);
}

static void *uv_realloc(void *block, size_t size)
{
    uv_allocations++;
    return out_of_memory ? NULL : realloc(block, size);
}

static void *uv_calloc(size_t count, size_t size)
{
    uv_allocations++;
    return out_of_memory ? NULL : calloc(count, size);
}

enum { MANY = 1500 };

static void shut_after_echo(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_send(track->session, track->id, "hello", 5), 0);
    if (event == EVENT_INPUT)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

/* FAULTS M03: after the engine's creation libuv asks for nothing and gets nothing. */
static void test_M03_many_connections_while_libuv_gets_no_memory(void **state)
{
    struct host host;
    struct track *tracks = calloc(MANY, sizeof *tracks);

    (void) state;
    assert_non_null(tracks);
    host_open(&host, NULL);
    struct peer *peer = peer_start("recv line; send \"hi\\n\"; recv all", NULL);
    struct tcpm_session *session = track_session(&host, NULL);
    uv_run(&host.loop, UV_RUN_NOWAIT);
    long before = uv_allocations;
    out_of_memory = true;
    for (size_t i = 0; i < MANY; i++) {
        tracks[i].hook = shut_after_echo;
        track_connect(&tracks[i], session, peer_port(peer));
    }
    host_run(&host);
    out_of_memory = false;
    for (size_t i = 0; i < MANY; i++)
        assert_log(&tracks[i], "initialize success input(hi) disconnected(shutdown)");
    assert_int_equal(uv_allocations, before);
    peer_stop(peer);
    host_close(&host);
    free(tracks);
}

#ifndef __SANITIZE_ADDRESS__
static void create_without_memory(void *argument)
{
    struct rlimit limit;
    uv_loop_t loop;
    struct tcpm_engine *engine = NULL;

    (void) argument;
    assert_int_equal(uv_loop_init(&loop), 0);
    limit.rlim_cur = limit.rlim_max = 1 << 20; /* less than is in use: nothing more is had */
    if (setrlimit(RLIMIT_AS, &limit) < 0)
        _exit(77);
    int result = tcpm_engine_create(&loop, NULL, &engine);
    _exit(result == -ENOMEM && engine == NULL && uv_run(&loop, UV_RUN_DEFAULT) == 0 &&
                  uv_loop_close(&loop) == 0
              ? 0
              : 1);
}
#endif

static void test_no_memory_for_the_table_is_an_error_of_creation(void **state)
{
    (void) state;
#ifdef __SANITIZE_ADDRESS__
    print_message("# left out: the address sanitizer needs its address space\n");
#else
    assert_int_equal(in_child(create_without_memory, NULL), 0);
#endif
}

/* The table is made without taking a descriptor that the host has, in the highest place either. */
static void test_no_descriptor_of_the_hosts_is_touched(void **state)
{
    struct host host;
    struct rlimit limit;
    char byte = 0;
    int ends[2], high;

    (void) state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(pipe(ends), 0);
    high = dup2(ends[0], (int) limit.rlim_cur - 1);
    assert_true(high >= 0);
    host_open(&host, NULL);
    struct track track = {.hook = shut_after_echo};
    struct peer *peer = peer_start("echo", NULL);
    track_connect(&track, track_session(&host, NULL), peer_port(peer));
    host_run(&host);
    assert_log(&track, "initialize success input(hello) disconnected(shutdown)");
    peer_stop(peer);
    host_close(&host);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(read(high, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(high);
    close(ends[0]);
    close(ends[1]);
}

static void open_many_plainly(void *argument)
{
    struct host host;
    uv_tcp_t *handles = calloc(MANY, sizeof *handles);
    uv_connect_t *requests = calloc(MANY, sizeof *requests);
    struct sockaddr_in address;

    (void) argument;
    assert_non_null(handles);
    assert_non_null(requests);
    host_loop_open(&host);
    struct peer *peer = peer_start("recv all", &(struct peer_options){.no_accept = 1});
    assert_int_equal(uv_ip4_addr("127.0.0.1", peer_port(peer), &address), 0);
    out_of_memory = true;
    for (size_t i = 0; i < MANY; i++) {
        uv_tcp_init(&host.loop, &handles[i]);
        uv_tcp_connect(&requests[i], &handles[i], (struct sockaddr *) &address, NULL);
    }
}

static void test_plain_libuv_aborts(void **state)
{
    (void) state;
    if (plain_is_known())
        assert_int_equal(in_child(open_many_plainly, NULL), -SIGABRT);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_M03_many_connections_while_libuv_gets_no_memory),
    cmocka_unit_test(test_no_memory_for_the_table_is_an_error_of_creation),
    cmocka_unit_test(test_no_descriptor_of_the_hosts_is_touched),
    cmocka_unit_test(test_plain_libuv_aborts),
};

int main(void)
{
    if (uv_replace_allocator(uv_malloc, uv_realloc, uv_calloc, free) < 0)
        return 1;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
