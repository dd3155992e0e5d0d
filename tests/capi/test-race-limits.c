/* SPDX-License-Identifier: MIT */
/*
 * Races and places: each socket of a race takes one, at most as many as there are, and a race
 * without a further place goes on in the one that it has (REACH N54).
 */
#include "racing.h"

#include <sys/socket.h>
#include <sys/syscall.h>

enum { NAMES = 10 };

static int out_of_descriptors; /* sockets that there are descriptors for; -1: enough */

/* In place of the C library's, for the library too. */
int socket(int domain, int type, int protocol)
{
    if (out_of_descriptors == 0 && (domain == AF_INET || domain == AF_INET6)) {
        errno = EMFILE;
        return -1;
    }
    out_of_descriptors -= out_of_descriptors > 0;
    return (int) syscall(SYS_socket, domain, type, protocol);
}

static int fill_descriptors(void **state)
{
    out_of_descriptors = -1;
    return host_setup(state);
}

static int last_peer_port; /* of the peer beside a crowd */

/* A silent address, and one that accepts, on one port. */
static void open_pair(struct host *host, struct crowd *silent, const char *program)
{
    last_peer_port = crowds_open(silent, "127.0.0.2");
    host_peer(host, program,
              &(struct peer_options){.address = "127.0.0.3", .port = last_peer_port});
}

struct scene {
    struct host host;
    struct crowd silent;
    struct track tracks[NAMES];
    unsigned most; /* places at once */
};

static bool all_have_ended(void *argument)
{
    struct scene *scene = argument;
    unsigned places = racing_places(&scene->host);

    scene->most = places > scene->most ? places : scene->most;
    for (size_t i = 0; i < NAMES; i++)
        if (!track_ended(&scene->tracks[i]))
            return false;
    return true;
}

/* Runs ten connects in an engine with so many places. Gives the milliseconds. */
static int run_names(struct scene *scene, int64_t places, int64_t timeout_ms)
{
    memset(scene, 0, sizeof *scene);
    host_open(&scene->host, &(struct tcpm_engine_options){
                                .size = sizeof(struct tcpm_engine_options),
                                .max_connections = places,
                            });
    open_pair(&scene->host, &scene->silent, "close");
    struct tcpm_session *session = racing_session(
        &scene->host, (struct tcpm_session_options){.connect_timeout_ms = timeout_ms});
    int64_t began = tcpm_now_ns();
    for (size_t i = 0; i < NAMES; i++)
        racing_connect(&scene->tracks[i], session, racing_new_name("127.0.0.2 127.0.0.3"),
                       last_peer_port);
    host_run_until(&scene->host, all_have_ended, scene);
    int ms = racing_ms_since(began);
    for (size_t i = 0; i < NAMES; i++)
        assert_log(&scene->tracks[i], "initialize success error(read,EOF) disconnected(eof)");
    assert_int_equal(racing_places(&scene->host), 0);
    crowd_close(&scene->silent);
    host_close(&scene->host);
    return ms;
}

/* REACH N54: each silent address has half of the 5 s, then it makes way. */
static void test_N54_where_there_is_no_place_a_share_of_the_time_counts(void **state)
{
    struct scene scene;

    (void) state;
    out_of_descriptors = -1;
    int ms = run_names(&scene, 10, 5000);
    assert_int_equal(scene.most, 10);
    assert_in_range(ms, 2500, 3500);
}

/* One place is free: one race after the other takes it, and none has to make way. */
static void test_one_further_place_serves_all_in_turn(void **state)
{
    struct scene scene;

    (void) state;
    out_of_descriptors = -1;
    int ms = run_names(&scene, 11, 20000);
    assert_int_equal(scene.most, 11);
    assert_true(ms < 4000);
}

/* max_connections of a session counts connections, not their sockets. */
static void test_the_limit_of_a_session_counts_connections(void **state)
{
    struct host *host = *state;
    struct crowd silent;
    struct track tracks[2] = {{.hook = NULL}};

    open_pair(host, &silent, "close");
    struct tcpm_session *session =
        racing_session(host, (struct tcpm_session_options){.max_connections = 1});
    for (size_t i = 0; i < COUNT(tracks); i++)
        racing_connect(&tracks[i], session, racing_new_name("127.0.0.2 127.0.0.3"), last_peer_port);
    racing_run_for(host, 100);
    assert_int_equal(racing_places(host), 1);
    int64_t began = tcpm_now_ns();
    host_run(host);
    assert_true(racing_ms_since(began) < 2000); /* one race after the other, 250 ms each */
    for (size_t i = 0; i < COUNT(tracks); i++)
        assert_log(&tracks[i], "initialize success error(read,EOF) disconnected(eof)");
    crowd_close(&silent);
    host_close(host);
}

/* A second socket goes before a connect that waits. */
static void test_a_race_goes_before_those_that_wait(void **state)
{
    struct host host;
    struct crowd silent;
    struct track first = {.hook = NULL}, holder = {.hook = NULL}, waiting = {.hook = NULL};

    (void) state;
    out_of_descriptors = -1;
    host_open(&host, &(struct tcpm_engine_options){.size = sizeof(struct tcpm_engine_options),
                                                   .max_connections = 2});
    open_pair(&host, &silent, "recv all");
    struct tcpm_session *session = racing_session(&host, (struct tcpm_session_options){0});
    racing_connect(&first, session, racing_new_name("127.0.0.2 127.0.0.3"), last_peer_port);
    track_connect_with(
        &holder, session,
        (struct tcpm_connect_options){.address = "127.0.0.3", .port = last_peer_port});
    track_connect_with(
        &waiting, session,
        (struct tcpm_connect_options){.address = "127.0.0.3", .port = last_peer_port});
    host_run_until(&host, track_open, &holder);
    racing_run_for(&host, 600);
    assert_log(&first, "initialize");
    assert_log(&waiting, "initialize");
    assert_int_equal(tcpm_shutdown(session, holder.id), 0); /* leaves one place for two */
    host_run_until(&host, track_open, &first);
    assert_string_equal(first.addr, "127.0.0.3");
    assert_log(&waiting, "initialize");
    host_run_until(&host, track_open, &waiting); /* in the place of the socket that has lost */
    assert_int_equal(racing_places(&host), 2);
    assert_int_equal(tcpm_die(session), 0);
    host_run(&host);
    crowd_close(&silent);
    host_close(&host);
}

/* No descriptor for a second socket: the race goes on in the first one, and the ceiling rises again
   by probes. */
static void test_without_a_descriptor_the_race_goes_on_with_one_socket(void **state)
{
    struct host *host = *state;
    struct crowd silent;
    struct track track = {.hook = NULL};

    open_pair(host, &silent, "close");
    struct tcpm_session *session = racing_session(host, (struct tcpm_session_options){0});
    racing_connect(&track, session, racing_new_name("127.0.0.2 127.0.0.3"), last_peer_port);
    racing_run_for(host, 100);
    out_of_descriptors = 0;
    racing_run_for(host, 400);
    assert_log(&track, "initialize");
    assert_int_equal(racing_places(host), 1);
    out_of_descriptors = -1;
    int64_t began = tcpm_now_ns();
    host_run(host);
    assert_true(racing_ms_since(began) < 1500);
    assert_log(&track, "initialize success error(read,EOF) disconnected(eof)");
    crowd_close(&silent);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N54_where_there_is_no_place_a_share_of_the_time_counts),
    cmocka_unit_test(test_one_further_place_serves_all_in_turn),
    cmocka_unit_test_setup_teardown(test_the_limit_of_a_session_counts_connections,
                                    fill_descriptors, host_teardown),
    cmocka_unit_test(test_a_race_goes_before_those_that_wait),
    cmocka_unit_test_setup_teardown(test_without_a_descriptor_the_race_goes_on_with_one_socket,
                                    fill_descriptors, host_teardown),
};

RUN_TESTS(tests)
