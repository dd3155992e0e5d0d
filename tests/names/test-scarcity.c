/* SPDX-License-Identifier: MIT */
/*
 * Names where sockets are scarce: races within the engine's ceiling, and no descriptor for the
 * socket to the name server.
 */
#include "host.h"
#include "nameserver.h"
#include "scarcity.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* ---- the ceiling ---- */

enum { CEILING = 10, NAMES = 10 };

struct crowd {
    struct track tracks[NAMES];
    int port;
    int most; /* sockets at once */
};

static void reset_at_success(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_reset(track->session, track->id), 0);
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;

    return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

/* Whether it is a TCP socket, not of the peer: neither listening nor at the peer's port. */
static bool is_of_client(int fd, int port)
{
    struct sockaddr_storage local;
    socklen_t size = sizeof local;
    const struct sockaddr_in *four = (void *) &local;

    if (option_of(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP ||
        option_of(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0)
        return false;
    return getsockname(fd, (void *) &local, &size) == 0 && ntohs(four->sin_port) != port;
}

static bool is_over(void *argument)
{
    struct crowd *crowd = argument;
    int ended = 0, sockets = 0;

    for (int fd = 0; fd < 256; fd++)
        sockets += is_of_client(fd, crowd->port);
    crowd->most = sockets > crowd->most ? sockets : crowd->most;
    for (int i = 0; i < NAMES; i++)
        ended += track_ended(&crowd->tracks[i]);
    return ended == NAMES;
}

/* The first address of each name is silent, the second is good. With all places taken no race has a
   second one, so each gives its place to its next address when its share of the time is over. */
static void test_N54_a_ceiling_is_never_exceeded_and_all_succeed(void **state)
{
    struct host host;
    struct crowd crowd = {.most = 0};
    struct tcpm_engine_options options = {.size = sizeof options, .max_connections = CEILING};
    struct tcpm_session_options limits = {.connect_timeout_ms = 8000};

    (void) state;
    struct nameserver *server = nameserver_start(NULL);
    assert_non_null(server);
    host_open(&host, &options);
    struct peer *peer = host_peer(&host, "recv all", NULL);
    struct tcpm_session *session = track_session(&host, &limits);
    crowd.port = peer_port(peer);
    for (int i = 0; i < NAMES; i++) {
        char name[100];
        crowd.tracks[i].hook = reset_at_success;
        snprintf(name, sizeof name, "v6-20010db8000000000000000000000077.a-1.n%d.test", i);
        track_connect_with(
            &crowd.tracks[i], session,
            (struct tcpm_connect_options){.address = name, .port = (unsigned) crowd.port});
    }
    host_run_until(&host, is_over, &crowd);
    for (int i = 0; i < NAMES; i++)
        assert_log(&crowd.tracks[i], "initialize success disconnected(shutdown)");
    assert_in_range(crowd.most, 1, CEILING);
    host_close(&host);
    nameserver_stop(server);
}

/* ---- no descriptor for the name server's socket ---- */

static void connect_to_name(struct track *track, struct tcpm_session *session, const char *name,
                            int port)
{
    track_connect_with(track, session,
                       (struct tcpm_connect_options){.address = name, .port = (unsigned) port});
}

static void test_N55_without_a_descriptor_the_look_up_fails_if_none_is_ours(void **state)
{
    struct nameserver *server = nameserver_start(NULL);
    struct host host;
    struct track track = {.hook = NULL};

    (void) state;
    assert_non_null(server);
    host_open(&host, NULL);
    scarcity()->out = true;
    connect_to_name(&track, track_session(&host, NULL), "a-1.none.test", 9);
    host_run(&host);
    scarcity()->out = false;
    assert_log(&track, "initialize failure(resolve,EMFILE) disconnected(failure)");
    assert_int_equal(nameserver_count(server, NULL, 0), 0);
    host_close(&host);
    nameserver_stop(server);
}

static void test_N55_otherwise_it_waits_until_one_is_free(void **state)
{
    struct nameserver *server = nameserver_start(NULL);
    struct host host;
    struct track held = {.hook = NULL}, track = {.hook = reset_at_success};

    (void) state;
    assert_non_null(server);
    host_open(&host, NULL);
    struct peer *peer = host_peer(&host, "recv all", NULL);
    struct tcpm_session *session = track_session(&host, NULL);
    track_connect(&held, session, peer_port(peer));
    host_run_until(&host, track_open, &held);
    scarcity()->out = true;
    connect_to_name(&track, session, "a-1.waits.test", peer_port(peer));
    for (int turn = 0; turn < 20; turn++)
        uv_run(&host.loop, UV_RUN_NOWAIT);
    assert_log(&track, "initialize");
    scarcity()->out = false;
    assert_int_equal(tcpm_reset(session, held.id), 0);
    host_run(&host);
    assert_log(&track, "initialize success disconnected(shutdown)");
    host_close(&host);
    nameserver_stop(server);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N54_a_ceiling_is_never_exceeded_and_all_succeed),
    cmocka_unit_test(test_N55_without_a_descriptor_the_look_up_fails_if_none_is_ours),
    cmocka_unit_test(test_N55_otherwise_it_waits_until_one_is_free),
};

RUN_TESTS(tests)
