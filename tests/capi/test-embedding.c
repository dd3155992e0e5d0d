/* SPDX-License-Identifier: MIT */
/*
 * Embedding: two sessions on a host's own loop, beside the host's own handles, which go on as if
 * nothing else were there; several engines on one loop; descriptors that no child gets.
 */
#include "others.h"
#include "plain.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

static void talk(struct track *track, enum event event)
{
    int *wanted = track->user;

    if (event == EVENT_SUCCESS ||
        (event == EVENT_INPUT && track->count[EVENT_INPUT] < (unsigned) *wanted))
        assert_true(tcpm_send(track->session, track->id, "hello", 5) >= 0);
    else if (event == EVENT_INPUT)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

struct pair {
    struct track tracks[2][30];
};

static bool all_ended(void *argument)
{
    struct pair *pair = argument;

    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < COUNT(pair->tracks[s]); i++)
            if (pair->tracks[s][i].count[EVENT_DISCONNECTED] == 0)
                return false;
    return true;
}

/* N1: each session sees its own; the host's handles go on meanwhile. */
static void test_two_sessions_beside_the_hosts_own_handles(void **state)
{
    struct host host;
    struct others *others = calloc(1, sizeof *others);
    struct pair *pair = calloc(1, sizeof *pair);
    int wanted = 40;

    (void) state;
    assert_non_null(others);
    assert_non_null(pair);
    host_open(&host, NULL);
    struct peer *peer = peer_start("echo", NULL);
    others_start(others, &host.loop);
    struct tcpm_session *sessions[2] = {track_session(&host, NULL), track_session(&host, NULL)};
    for (size_t i = 0; i < COUNT(pair->tracks[0]); i++)
        for (size_t s = 0; s < 2; s++) {
            pair->tracks[s][i].hook = talk;
            pair->tracks[s][i].user = &wanted;
            track_connect(&pair->tracks[s][i], sessions[s], peer_port(peer));
        }
    host_run_until(&host, all_ended, pair);
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < COUNT(pair->tracks[s]); i++) {
            assert_int_equal(pair->tracks[s][i].count[EVENT_INPUT], wanted);
            assert_int_equal(pair->tracks[s][i].reason, TCPM_REASON_SHUTDOWN);
        }
    host_run_until(&host, others_went_on, others);
    others_stop(others);
    host_run(&host);
    peer_stop(peer);
    host_close(&host);
    free(pair);
    free(others);
}

static void count_second(void *user)
{
    ++*(int *) user;
}

struct relay {
    struct track *other;
    int carried;
};

/* What one engine's connection hears, the other's says, and the other way round. */
static void carry_over(struct track *track, enum event event)
{
    struct relay *relay = track->user;

    if (event == EVENT_INPUT && relay->carried++ < 100)
        assert_int_equal(tcpm_send(relay->other->session, relay->other->id, "carried", 7), 0);
    else if (event == EVENT_INPUT)
        assert_int_equal(tcpm_shutdown(relay->other->session, relay->other->id), 0);
    if (event == EVENT_DISCONNECTED && relay->other->count[EVENT_DISCONNECTED] == 0)
        assert_int_equal(tcpm_reset(relay->other->session, relay->other->id), 0);
}

static void test_two_engines_on_one_loop_use_each_other(void **state)
{
    struct host host, second;
    struct track one, other;
    struct relay to_other = {.other = &other}, to_one = {.other = &one};

    (void) state;
    one = (struct track){.hook = carry_over, .user = &to_other};
    other = (struct track){.hook = carry_over, .user = &to_one};
    host_open(&host, NULL);
    memset(&second, 0, sizeof second);
    assert_int_equal(tcpm_engine_create(&host.loop, NULL, &second.engine), 0);
    struct peer *peer = peer_start("echo", NULL);
    track_connect(&one, track_session(&host, NULL), peer_port(peer));
    track_connect(&other, track_session(&second, NULL), peer_port(peer));
    assert_int_equal(one.id.n, other.id.n); /* ids are an engine's own */
    assert_int_equal(tcpm_send(one.session, one.id, "first", 5), 0);
    host_run(&host);
    assert_int_equal(to_other.carried + to_one.carried, 201);
    assert_int_equal(one.count[EVENT_DISCONNECTED] + other.count[EVENT_DISCONNECTED], 2);
    int closed = 0;
    tcpm_engine_close(second.engine, count_second, &closed);
    peer_stop(peer);
    host_close(&host);
    assert_int_equal(closed, 1);
}

/* FAULTS S10: a child of the host's gets none of our descriptors. */
static void test_S10_every_descriptor_closes_on_exec(void **state)
{
    struct host *host = *state;
    struct track tracks[5] = {{.hook = NULL}};
    char *large = calloc(1, 9000000);

    assert_non_null(large);
    struct peer *peer = host_peer(host, "freeze", NULL);
    struct tcpm_session *session = track_session(host, NULL);
    for (size_t i = 0; i < COUNT(tracks); i++) {
        track_connect(&tracks[i], session, peer_port(peer));
        assert_int_equal(tcpm_send(session, tracks[i].id, large, 9000000), 1);
        host_run_until(host, track_open, &tracks[i]); /* and a watch for each */
    }
    free(large);
    int checked = 0;
    for (int fd = 3; fd < 1000; fd++) {
        int flags = fcntl(fd, F_GETFD);
        struct stat about;
        if (flags < 0 || fstat(fd, &about) < 0 || !S_ISSOCK(about.st_mode))
            continue;
        checked++;
        assert_true((flags & FD_CLOEXEC) != 0);
    }
    assert_true(checked >= 10); /* each connection, and its duplicate */
    assert_int_equal(tcpm_die(session), 0);
    for (size_t i = 0; i < COUNT(tracks); i++)
        assert_int_equal(tcpm_reset(session, tracks[i].id), 0);
    host_run(host);
    host_close(host);
}

/* FAULTS S09: in a process without standard streams ours get their numbers; libuv alone would never
   close those, and asserts. */
static void live_without_streams(void *argument)
{
    struct host host;
    struct track tracks[4] = {{.hook = NULL}};

    host_open(&host, NULL);
    struct peer *peer = peer_start("close", NULL);
    for (int fd = 0; fd <= 2; fd++)
        close(fd);
    struct tcpm_session *session = track_session(&host, NULL);
    for (size_t i = 0; i < COUNT(tracks); i++)
        track_connect(&tracks[i], session, peer_port(peer));
    uv_run(&host.loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < COUNT(tracks); i++)
        if (strcmp(tracks[i].log, "initialize success error(read,EOF) disconnected(eof)") != 0)
            _exit(1);
    for (int fd = 0; fd <= 2; fd++) /* the peer's own are closed with it */
        *(int *) argument += fcntl(fd, F_GETFD) >= 0;
    peer_stop(peer);
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            _exit(2);
    _exit(0);
}

static void test_S09_a_process_without_standard_streams(void **state)
{
    int left = 0;

    (void) state;
    assert_int_equal(in_child(live_without_streams, &left), 0);
}

struct phoenix {
    struct host *host;
    struct tcpm_session *next;
    int stopped;
    struct track track;
    int port;
};

/* From stopped everything may be called, but for the session that stops. */
static void rise_again(struct tcpm_session *session, void *user)
{
    struct phoenix *phoenix = user;
    struct tcpm_session_options options = {.events = track_events()};
    struct tcpm_connect_options late = {.size = sizeof late, .address = "127.0.0.1", .port = 1};

    phoenix->stopped++;
    assert_int_equal(tcpm_connect(session, &late, NULL), -ESHUTDOWN);
    assert_int_equal(tcpm_die(session), -ESHUTDOWN);
    assert_int_equal(tcpm_next(session, (struct tcpm_id){0}).n, 0);
    phoenix->next = track_session(phoenix->host, &options);
    track_connect(&phoenix->track, phoenix->next, phoenix->port);
}

static void test_a_session_may_be_made_in_stopped(void **state)
{
    struct host *host = *state;
    struct phoenix phoenix = {.host = host};
    struct tcpm_events events = *track_events();
    struct tcpm_session_options options = {.events = &events, .user = &phoenix};

    events.stopped = rise_again;
    struct peer *peer = host_peer(host, "close", NULL);
    phoenix.port = peer_port(peer);
    assert_int_equal(tcpm_die(track_session(host, &options)), 0);
    memset(&events, 0xee, sizeof events); /* copied when the session was created */
    host_run(host);
    assert_int_equal(phoenix.stopped, 1);
    assert_log(&phoenix.track, "initialize success error(read,EOF) disconnected(eof)");
    host_close(host);
}

/* ---- a host that polls the loop's descriptor itself ---- */

static void pause_for_a_turn(struct tcpm_session *session, void *user, void *argument)
{
    struct track *track = argument;

    (void) user;
    if (!track_ended(track))
        assert_int_equal(tcpm_resume(session, track->id), 0);
}

struct later {
    struct track track;
    int port;
};

static void take_in_pieces(struct track *track, enum event event)
{
    struct tcpm_task task = {.run = pause_for_a_turn, .argument = track};
    struct later *later = track->user;

    if (event == EVENT_DISCONNECTED)
        track_connect(&later->track, track->session, later->port);
    if (event != EVENT_INPUT || track->count[EVENT_INPUT] % 20 != 0)
        return;
    assert_int_equal(tcpm_pause(track->session, track->id), 0);
    assert_int_equal(tcpm_delay(track->session, track->id, 2, task, NULL), 0);
}

static void drive_by_descriptor(struct host *host, int seconds)
{
    struct pollfd pollfd = {.fd = uv_backend_fd(&host->loop), .events = POLLIN};
    int64_t end_ns = tcpm_now_ns() + (int64_t) seconds * 1000000000;

    while (uv_run(&host->loop, UV_RUN_NOWAIT) != 0 && tcpm_now_ns() < end_ns)
        poll(&pollfd, 1, uv_backend_timeout(&host->loop));
    assert_true(tcpm_now_ns() < end_ns);
}

static void test_a_host_may_poll_the_loops_descriptor(void **state)
{
    struct host *host = *state;
    int wanted = 200;
    struct track talking = {.hook = talk, .user = &wanted}, taking = {.hook = take_in_pieces};
    struct later later = {.port = 0};
    struct track silent = {.hook = NULL};
    const struct tcpm_session_options options = {.connect_timeout_ms = 300,
                                                 .input_timeout_ms = 100};

    struct peer *hole = host_peer(host, "", &(struct peer_options){.blackhole = 1});
    struct peer *echo = host_peer(host, "echo", NULL);
    struct peer *source = host_peer(host, "blast 4m; shutwr; discard", NULL);
    struct peer *mute = host_peer(host, "freeze", NULL);
    struct tcpm_session *session = stream_session(host, options);
    later.port = peer_port(hole);
    taking.user = &later;
    track_connect(&talking, session, peer_port(echo));
    track_connect(&taking, session, peer_port(source));
    track_connect(&silent, session, peer_port(mute));
    drive_by_descriptor(host, 10);
    assert_int_equal(talking.reason, TCPM_REASON_SHUTDOWN);
    assert_int_equal(taking.reason, TCPM_REASON_EOF);
    assert_int_equal(taking.received, 4 << 20);
    assert_log(&silent, "initialize success timeout(input) disconnected(timeout)");
    assert_log(&later.track, "initialize timeout(connect) disconnected(timeout)");
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_a_host_may_poll_the_loops_descriptor),
    cmocka_unit_test(test_two_sessions_beside_the_hosts_own_handles),
    cmocka_unit_test(test_two_engines_on_one_loop_use_each_other),
    HOST_TEST(test_S10_every_descriptor_closes_on_exec),
    cmocka_unit_test(test_S09_a_process_without_standard_streams),
    HOST_TEST(test_a_session_may_be_made_in_stopped),
};

RUN_TESTS(tests)
