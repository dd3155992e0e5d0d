/* SPDX-License-Identifier: MIT */
/*
 * The process has no descriptor left, and then some again. What had to wait starts within a second;
 * it keeps its place among those that wait, and its deadline.
 */
#include "host.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { OPEN = 3, WAITING = 12 };

static int out_of_descriptors; /* the errno, or 0 */

/* In place of the C library's, for the library too. */
int socket(int domain, int type, int protocol)
{
    if (out_of_descriptors == 0)
        return (int) syscall(SYS_socket, domain, type, protocol);
    errno = out_of_descriptors;
    return -1;
}

struct scene {
    struct host host;
    struct peer *peer;
    struct tcpm_session *session;
    struct track open[OPEN], waiting[WAITING];
    uint64_t starts[4 * WAITING]; /* ids, in order */
    size_t start_count;
};

static void on_trace(const char *line, void *user)
{
    struct scene *scene = user;

    if (strstr(line, "waiting -> connecting") != NULL && scene->start_count < COUNT(scene->starts))
        scene->starts[scene->start_count++] = strtoull(line, NULL, 10);
}

/* Connections are open, and no descriptor is left. */
static void open_scene(struct scene *scene, struct tcpm_session_options options, unsigned open)
{
    struct tcpm_engine_options engine = {
        .size = sizeof engine, .max_connections = 1000, .trace = on_trace, .user = scene};

    memset(scene, 0, sizeof *scene);
    host_open(&scene->host, &engine);
    scene->peer = peer_start("freeze", NULL);
    scene->session = track_session(&scene->host, &options);
    for (unsigned i = 0; i < open; i++) {
        track_connect(&scene->open[i], scene->session, peer_port(scene->peer));
        host_run_until(&scene->host, track_open, &scene->open[i]);
    }
    out_of_descriptors = EMFILE;
    scene->start_count = 0;
}

static void close_scene(struct scene *scene)
{
    out_of_descriptors = 0;
    peer_stop(scene->peer);
    host_close(&scene->host);
}

static void run_for(struct scene *scene, int ms)
{
    int64_t end = tcpm_now_ns() + ms * INT64_C(1000000);

    while (tcpm_now_ns() < end) {
        uv_run(&scene->host.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

static bool all_open(void *argument)
{
    const struct scene *scene = argument;

    for (size_t i = 0; i < WAITING; i++)
        if (scene->waiting[i].count[EVENT_SUCCESS] == 0)
            return false;
    return true;
}

static void connect_waiting(struct scene *scene, const char *address)
{
    for (size_t i = 0; i < WAITING; i++)
        track_connect_with(
            &scene->waiting[i], scene->session,
            (struct tcpm_connect_options){.address = address, .port = peer_port(scene->peer)});
}

static void check_recovery(const char *address, int error)
{
    static struct scene scene;

    open_scene(&scene, (struct tcpm_session_options){.domain = 4}, OPEN);
    out_of_descriptors = error;
    connect_waiting(&scene, address);
    run_for(&scene, 700); /* tried again meanwhile, and again */
    for (size_t i = 0; i < WAITING; i++)
        assert_log(&scene.waiting[i], "initialize");
    assert_true(scene.start_count >= 3);
    scene.start_count = 0;
    out_of_descriptors = 0;
    int64_t began = tcpm_now_ns();
    host_run_until(&scene.host, all_open, &scene);
    int64_t ms = (tcpm_now_ns() - began) / 1000000;
    print_message("# %s: %d connects start after %d ms\n", address, WAITING, (int) ms);
    assert_true(ms < 1000);
    close_scene(&scene);
}

static void test_within_a_second_what_waits_starts(void **state)
{
    (void) state;
    check_recovery("127.0.0.1", EMFILE);
    check_recovery("127.0.0.1", ENFILE);
    check_recovery("localhost", EMFILE);
}

/* Really none is left, for nobody: the resolver cannot even read its files. */
static void test_a_name_is_looked_up_again(void **state)
{
    static struct scene scene;
    struct rlimit before, low;
    int taken[300], count = 0;

    (void) state;
    open_scene(&scene, (struct tcpm_session_options){.domain = 4}, OPEN);
    out_of_descriptors = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = COUNT(taken);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (count < (int) COUNT(taken) && (taken[count] = dup(STDOUT_FILENO)) >= 0)
        count++;
    connect_waiting(&scene, "localhost");
    run_for(&scene, 500);
    while (count > 0)
        close(taken[--count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (size_t i = 0; i < WAITING; i++)
        assert_log(&scene.waiting[i], "initialize");
    host_run_until(&scene.host, all_open, &scene);
    close_scene(&scene);
}

/* The first in the queue is tried again and again; the others wait behind it, in order. */
static void test_a_connect_that_is_tried_again_keeps_its_place(void **state)
{
    static struct scene scene;

    (void) state;
    open_scene(&scene, (struct tcpm_session_options){0}, OPEN);
    struct tcpm_session *other = track_session(&scene.host, NULL);
    for (size_t i = 0; i < WAITING; i++)
        track_connect(&scene.waiting[i], i % 3 == 1 ? other : scene.session, peer_port(scene.peer));
    run_for(&scene, 500);
    for (size_t i = 0; i < scene.start_count; i++)
        assert_int_equal(scene.starts[i], scene.waiting[0].id.n);
    scene.start_count = 0;
    out_of_descriptors = 0;
    host_run_until(&scene.host, all_open, &scene);
    assert_int_equal(scene.start_count, WAITING);
    for (size_t i = 0; i < WAITING; i++)
        assert_int_equal(scene.starts[i], scene.waiting[i].id.n);
    close_scene(&scene);
}

/* And a slow rate does not hold it up: an attempt without a socket is none. */
static void test_it_does_not_use_up_the_rate(void **state)
{
    static struct scene scene;

    (void) state;
    open_scene(&scene, (struct tcpm_session_options){0}, OPEN);
    struct tcpm_session *slow =
        track_session(&scene.host, &(struct tcpm_session_options){.connect_interval_ns =
                                                                      20 * INT64_C(1000000000)});
    track_connect(&scene.waiting[0], slow, peer_port(scene.peer));
    run_for(&scene, 300);
    out_of_descriptors = 0;
    int64_t began = tcpm_now_ns();
    host_run_until(&scene.host, track_open, &scene.waiting[0]);
    assert_true(tcpm_now_ns() - began < INT64_C(1000000000));
    close_scene(&scene);
}

/* The deadline began with the first attempt; the timeout of an attempt begins with each. */
static void test_its_deadline_runs_on(void **state)
{
    static struct scene scene;
    struct tcpm_connect_options options = {.connect_timeout_ms = 50, .deadline_ms = 450};
    struct tcpm_info info = {.size = sizeof info};

    (void) state;
    open_scene(&scene, (struct tcpm_session_options){0}, OPEN);
    options.port = peer_port(scene.peer);
    int64_t began = tcpm_now_ns();
    track_connect_with(&scene.waiting[0], scene.session, options);
    run_for(&scene, 100);
    assert_int_equal(tcpm_info_get(scene.session, scene.waiting[0].id, &info), 0);
    assert_int_equal(info.phase, TCPM_PHASE_WAITING);
    assert_in_range(info.deadline_ms, 1, 400);
    host_run_until(&scene.host, track_ended, &scene.waiting[0]);
    int64_t ms = (tcpm_now_ns() - began) / 1000000;
    assert_in_range(ms, 450, 650);
    assert_log(&scene.waiting[0], "initialize timeout(deadline) disconnected(timeout)");
    close_scene(&scene);
}

/* Nobody of ours can give a descriptor back, so there is nothing to wait for. */
static void test_with_none_open_it_is_a_failure(void **state)
{
    static struct scene scene;

    (void) state;
    open_scene(&scene, (struct tcpm_session_options){0}, 0);
    for (size_t i = 0; i < 2; i++)
        track_connect(&scene.waiting[i], scene.session, peer_port(scene.peer));
    for (size_t i = 0; i < 2; i++) {
        host_run_until(&scene.host, track_ended, &scene.waiting[i]);
        assert_log(&scene.waiting[i], "initialize failure(socket,EMFILE) disconnected(failure)");
    }
    close_scene(&scene);
}

static void on_room(struct tcpm_session *session, void *user)
{
    (void) session;
    ++*(int *) user;
}

static bool has_come(void *rooms)
{
    return *(int *) rooms > 0;
}

/* Who has no connect that waits, but wants room, waits too. */
static void test_room_comes_back_too(void **state)
{
    static struct scene scene;
    struct tcpm_events events = *track_events();
    int rooms = 0;

    (void) state;
    events.room = on_room;
    open_scene(&scene, (struct tcpm_session_options){.events = &events, .user = &rooms}, OPEN);
    track_connect(&scene.waiting[0], scene.session, peer_port(scene.peer));
    run_for(&scene, 20);
    assert_int_equal(tcpm_has_room(scene.session), 0);
    assert_int_equal(tcpm_shutdown(scene.session, scene.waiting[0].id), 0);
    out_of_descriptors = 0;
    host_run_until(&scene.host, has_come, &rooms);
    assert_int_equal(tcpm_has_room(scene.session), 1);
    close_scene(&scene);
}

static void keep_left(struct track *track, enum event event)
{
    struct tcpm_info info = {.size = sizeof info};

    if (event != EVENT_DISCONNECTED)
        return;
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    *(int64_t *) track->user = info.deadline_ms;
}

/* It has not begun: all of it is left. */
static void test_the_deadline_of_a_connect_that_never_started(void **state)
{
    struct host host;
    int64_t left = 0;
    struct track first = {.hook = NULL}, second = {.hook = keep_left, .user = &left};
    const struct tcpm_engine_options options = {.size = sizeof options, .max_connections = 1};

    (void) state;
    host_open(&host, &options);
    struct peer *peer = peer_start("freeze", NULL);
    struct tcpm_session *session = track_session(&host, NULL);
    track_connect(&first, session, peer_port(peer));
    track_connect_with(&second, session,
                       (struct tcpm_connect_options){.port = peer_port(peer), .deadline_ms = 5000});
    host_run_until(&host, track_open, &first);
    assert_int_equal(tcpm_shutdown(session, second.id), 0);
    host_run_until(&host, track_ended, &second);
    assert_int_equal(left, 5000);
    peer_stop(peer);
    host_close(&host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_within_a_second_what_waits_starts),
    cmocka_unit_test(test_a_name_is_looked_up_again),
    cmocka_unit_test(test_a_connect_that_is_tried_again_keeps_its_place),
    cmocka_unit_test(test_it_does_not_use_up_the_rate),
    cmocka_unit_test(test_its_deadline_runs_on),
    cmocka_unit_test(test_with_none_open_it_is_a_failure),
    cmocka_unit_test(test_room_comes_back_too),
    cmocka_unit_test(test_the_deadline_of_a_connect_that_never_started),
};

RUN_TESTS(tests)
