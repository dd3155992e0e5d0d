/* SPDX-License-Identifier: MIT */
/*
 * The promise late-id-is-stale: an id is never used again in its engine, and once disconnected has
 * returned every call with it gives -ESTALE, for good.
 */
#include "calls.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* The calls that name a connection. */
static bool takes_id(const struct call *call)
{
    static const char *const others[] = {"post", "every",    "tally", "stats",
                                         "next", "has_room", "sig"};

    for (size_t i = 0; i < COUNT(others); i++)
        if (strcmp(call->name, others[i]) == 0)
            return false;
    return true;
}

static void assert_stale(struct tcpm_session *session, uint64_t n)
{
    for (size_t i = 0; i < call_count; i++)
        if (takes_id(&calls[i]) && calls[i].make(session, (struct tcpm_id){n}) != -ESTALE)
            fail_msg("%s knows %llu", calls[i].name, (unsigned long long) n);
}

/* FAULTS H01, H03: the same few slots, used again and again. */
static void test_over_thousands_of_connections_no_id_comes_back(void **state)
{
    enum { ROUNDS = 400, AT_ONCE = 10 };
    struct host host;
    struct track tracks[AT_ONCE];
    uint64_t *stale = calloc(ROUNDS * AT_ONCE, sizeof *stale);
    size_t count = 0;
    unsigned highest = 0;

    (void) state;
    host_open(&host, NULL);
    struct peer *refused = peer_start("", &(struct peer_options){.refuse = 1});
    struct tcpm_session *session = track_session(&host, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        memset(tracks, 0, sizeof tracks);
        for (size_t i = 0; i < AT_ONCE; i++) {
            track_connect(&tracks[i], session, peer_port(refused));
            stale[count++] = tracks[i].id.n;
            assert_true(tracks[i].id.n != 0 && tracks[i].id.n < UINT64_C(1) << 53);
            if (TCPM_ID_SLOT(tracks[i].id) > highest)
                highest = TCPM_ID_SLOT(tracks[i].id);
        }
        host_run(&host);
    }
    assert_true(highest <= AT_ONCE); /* slots stay dense, so ids were made of the same ones */
    for (size_t i = 0; i < count; i++) {
        struct tcpm_info info = {.size = sizeof info};
        assert_int_equal(tcpm_info_get(session, (struct tcpm_id){stale[i]}, &info), -ESTALE);
        for (size_t other = i + 1; other < count && other < i + 200; other++)
            assert_int_not_equal(stale[i], stale[other]);
    }
    assert_stale(session, stale[0]);
    assert_stale(session, stale[count - 1]);
    peer_stop(refused);
    host_close(&host);
    free(stale);
}

static void test_every_call_with_an_id_that_never_was(void **state)
{
    static const uint64_t wild[] = {0,
                                    1,
                                    2,
                                    0x1fffff,
                                    0x200000,
                                    0x3fffff,
                                    UINT32_MAX,
                                    UINT64_C(1) << 52,
                                    INT64_MAX,
                                    UINT64_MAX,
                                    UINT64_C(1) << 53};
    struct host *host = *state;
    struct track track = {.hook = NULL};

    struct peer *peer = host_peer(host, "recv all", NULL);
    struct tcpm_session *session = track_session(host, NULL);
    for (size_t i = 0; i < COUNT(wild); i++)
        if (wild[i] != 0) /* 0 names the session, for an alarm */
            assert_stale(session, wild[i]);
    assert_int_equal(tcpm_send(session, (struct tcpm_id){0}, "x", 1), -ESTALE);
    assert_int_equal(tcpm_shutdown(session, (struct tcpm_id){0}), -ESTALE);
    track_connect(&track, session, peer_port(peer));
    for (size_t i = 0; i < COUNT(wild); i++)
        if (wild[i] != 0 && wild[i] != track.id.n)
            assert_stale(session, wild[i]);
    assert_stale(session, track.id.n + (UINT64_C(1) << 21)); /* the next one of its slot */
    assert_int_equal(tcpm_shutdown(session, track.id), 0);
    host_run(host);
    assert_log(&track, "initialize disconnected(shutdown)");
    host_close(host);
}

/* BEHAVIOUR I6. */
static void test_an_id_of_another_session_is_stale(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};

    struct peer *peer = host_peer(host, "recv line; close", NULL);
    struct tcpm_session *one = track_session(host, NULL), *other = track_session(host, NULL);
    track_connect(&track, one, peer_port(peer));
    assert_stale(other, track.id.n);
    assert_int_equal(tcpm_next(other, (struct tcpm_id){0}).n, 0);
    assert_int_equal(tcpm_next(one, (struct tcpm_id){0}).n, track.id.n);
    host_run_until(host, track_open, &track);
    assert_stale(other, track.id.n);
    assert_int_equal(tcpm_send(one, track.id, "x", 1), 0);
    host_run(host);
    assert_log(&track, "initialize success error(read,EOF) disconnected(eof)");
    host_close(host);
}

static void note_argument(struct tcpm_session *session, void *user, void *argument)
{
    (void) session;
    (void) user;
    ++*(int *) argument;
}

/* Alarms have ids as well. */
static void test_an_alarm_that_has_gone_is_stale(void **state)
{
    struct host *host = *state;
    int ran = 0, dropped = 0;
    struct tcpm_task task = {.run = note_argument, .argument = &ran};
    struct tcpm_alarm alarm = {0}, second = {0}, none = {0};

    struct tcpm_session *session = track_session(host, NULL);
    struct tcpm_session *other = track_session(host, NULL);
    assert_int_equal(tcpm_delay(session, (struct tcpm_id){0}, 1, task, &alarm), 0);
    assert_int_equal(tcpm_alarm_remove(other, alarm), -ESTALE);
    assert_int_equal(tcpm_delay_adjust(other, alarm, 1), -ESTALE);
    host_run(host);
    assert_int_equal(ran, 1);
    assert_int_equal(tcpm_alarm_remove(session, alarm), -ESTALE);
    assert_int_equal(tcpm_delay_adjust(session, alarm, 5), -ESTALE);
    assert_int_equal(tcpm_alarm_remove(session, none), -ESTALE);
    assert_int_equal(tcpm_delay(session, (struct tcpm_id){0}, 1, task, &second), 0);
    assert_int_not_equal(alarm.n, second.n);
    assert_int_equal(tcpm_alarm_remove(session, alarm), -ESTALE);
    assert_int_equal(tcpm_alarm_remove(session, second), 0);
    assert_int_equal(tcpm_alarm_remove(session, second), -ESTALE);
    host_run(host);
    assert_int_equal(ran, 1);
    assert_int_equal(dropped, 0);
    host_close(host);
}

static void close_next(struct track *track, enum event event)
{
    if (event == EVENT_INITIALIZE)
        return;
    for (struct tcpm_id id = {0}; (id = tcpm_next(track->session, id)).n != 0;)
        (void) tcpm_reset(track->session, id);
}

/* FAULTS H05: iteration sees each live one once, oldest first, also while they end. */
static void test_iteration_while_connections_end(void **state)
{
    struct host *host = *state;
    struct track tracks[50] = {{.hook = NULL}};

    struct peer *peer = host_peer(host, "freeze", NULL);
    struct tcpm_session *session = track_session(host, NULL);
    for (size_t i = 0; i < COUNT(tracks); i++) {
        tracks[i].hook = close_next;
        track_connect(&tracks[i], session, peer_port(peer));
    }
    size_t seen = 0;
    uint32_t last = 0;
    for (struct tcpm_id id = {0}; (id = tcpm_next(session, id)).n != 0; seen++) {
        assert_true(TCPM_ID_SLOT(id) > last);
        last = TCPM_ID_SLOT(id);
        if (seen % 2 == 0)
            assert_int_equal(tcpm_shutdown(session, id), 0);
    }
    assert_int_equal(seen, COUNT(tracks));
    host_run(host);
    for (size_t i = 0; i < COUNT(tracks); i++)
        assert_int_equal(tracks[i].count[EVENT_DISCONNECTED], 1);
    host_close(host);
}

enum { WALKED = 40 };

struct walk {
    struct track tracks[WALKED];
    size_t next; /* that is to be seen */
    struct tcpm_id at;
    bool over;
};

static bool walk_is_over(void *walk)
{
    return ((struct walk *) walk)->over;
}

/* Of each four: the first two end when they have been seen, the third before that. */
static void on_step(struct tcpm_session *session, void *user, void *argument)
{
    struct walk *walk = argument;
    struct tcpm_task again = {.run = on_step, .argument = walk};

    (void) user;
    walk->at = tcpm_next(session, walk->at);
    walk->over = walk->at.n == 0;
    if (walk->over)
        return;
    assert_int_equal(walk->at.n, walk->tracks[walk->next].id.n);
    if (walk->next % 4 <= 1)
        assert_int_equal(tcpm_reset(session, walk->at), 0);
    if (walk->next % 4 == 1)
        assert_int_equal(tcpm_reset(session, walk->tracks[++walk->next].id), 0);
    walk->next++;
    assert_int_equal(tcpm_delay(session, (struct tcpm_id){0}, 1, again, NULL), 0);
}

/* FAULTS H05: the connection at which the walk stands has ended each time when it goes on. */
static void test_iteration_over_several_turns(void **state)
{
    struct host *host = *state;
    struct walk walk = {.next = 0};
    struct track others[WALKED] = {{.hook = NULL}};

    struct peer *peer = host_peer(host, "freeze", NULL);
    struct tcpm_session *session = track_session(host, NULL);
    struct tcpm_session *other = track_session(host, NULL);
    for (size_t i = 0; i < WALKED; i++) {
        track_connect(&walk.tracks[i], session, peer_port(peer));
        track_connect(&others[i], other, peer_port(peer));
    }
    on_step(session, NULL, &walk);
    host_run_until(host, walk_is_over, &walk);
    assert_int_equal(walk.next, WALKED);
    host_close(host);
}

/* A process that was forked holds our sockets too: what we have closed goes on there, and our epoll
   set still hears of it. */
static pid_t fork_holder(void)
{
    pid_t child = fork();

    if (child == 0)
        for (;;)
            pause();
    assert_true(child > 0);
    return child;
}

static void shut_after_input(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_send(track->session, track->id, "hello", 5), 0);
    if (event == EVENT_INPUT)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static void test_what_a_forked_process_holds_is_nobodys(void **state)
{
    enum { OTHERS = 20 };
    struct host *host = *state;
    struct track held = {.hook = NULL}, others[OTHERS] = {{.hook = NULL}};

    struct peer *talker = host_peer(host, "wait go; send \"late\\n\"; mark sent; recv all", NULL);
    struct peer *echo = host_peer(host, "echo", NULL);
    struct tcpm_session *session = track_session(host, NULL);
    track_connect(&held, session, peer_port(talker));
    host_run_until(host, track_open, &held);
    pid_t child = fork_holder();
    assert_int_equal(tcpm_reset(session, held.id), 0);
    host_run_until(host, track_ended, &held);
    peer_go(talker, "go");
    assert_int_equal(peer_wait_mark(talker, "sent", 1, 20), 0);
    for (size_t i = 0; i < OTHERS; i++) { /* the first has the slot of the one that is held */
        others[i].hook = shut_after_input;
        track_connect(&others[i], session, peer_port(echo));
    }
    host_run(host);
    assert_log(&held, "initialize success disconnected(shutdown)");
    for (size_t i = 0; i < OTHERS; i++)
        assert_log(&others[i], "initialize success input(hello) disconnected(shutdown)");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_over_thousands_of_connections_no_id_comes_back),
    HOST_TEST(test_every_call_with_an_id_that_never_was),
    HOST_TEST(test_an_id_of_another_session_is_stale),
    HOST_TEST(test_an_alarm_that_has_gone_is_stale),
    HOST_TEST(test_iteration_while_connections_end),
    HOST_TEST(test_iteration_over_several_turns),
    HOST_TEST(test_what_a_forked_process_holds_is_nobodys),
};

RUN_TESTS(tests)
