/* SPDX-License-Identifier: MIT */
/*
 * What a session costs that has nothing to do: nothing. Costs are processor time, the least of
 * several measurements, and compared with what the same costs where there is little else.
 */
#include "host.h"

#include <time.h>

enum { ROUNDS = 7 };

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

/* Of all rounds the least. */
static double least_cost(void (*measured)(void *argument), void *argument)
{
    double least = 1e9;

    for (int round = 0; round < ROUNDS; round++) {
        double began = cpu_seconds();
        measured(argument);
        double cost = cpu_seconds() - began;
        if (cost < least)
            least = cost;
    }
    return least;
}

/* ---- turns of the loop ---- */

enum { TURNS = 500 };

static void turn_often(void *host)
{
    for (int i = 0; i < TURNS; i++)
        uv_run(&((struct host *) host)->loop, UV_RUN_NOWAIT);
}

/* Microseconds. */
static double cost_of_turn(struct host *host)
{
    return least_cost(turn_often, host) / (double) TURNS * 1e6;
}

static void on_room(struct tcpm_session *session, void *user)
{
    (void) session;
    (void) user;
}

/* The last one has the only connection; the peer reads nothing. */
static struct tcpm_session *make_sessions(struct host *host, unsigned count)
{
    struct tcpm_events events = {.size = sizeof events, .room = on_room};
    struct tcpm_filter *stream = stream_filter();
    const struct tcpm_session_options options = {
        .events = &events, .input_filter = stream, .output_filter = stream};
    struct tcpm_session *session = NULL;

    for (unsigned i = 0; i < count; i++)
        session = track_session(host, &options);
    tcpm_filter_free(stream);
    return session;
}

struct costs {
    double idle, wanting, dying; /* of a turn */
};

static struct costs costs_with(unsigned sessions)
{
    struct host host;
    const struct tcpm_engine_options options = {.size = sizeof options, .max_connections = 1};
    struct costs costs;
    struct tcpm_id id;

    host_open(&host, &options);
    struct peer *peer = peer_start("freeze", NULL);
    struct tcpm_session *session = make_sessions(&host, sessions);
    struct tcpm_connect_options target = {
        .size = sizeof target, .address = "127.0.0.1", .port = peer_port(peer)};
    assert_int_equal(tcpm_connect(session, &target, &id), 0);
    for (int i = 0; i < 20; i++)
        uv_run(&host.loop, UV_RUN_NOWAIT);
    costs.idle = cost_of_turn(&host);
    assert_int_equal(tcpm_has_room(session), 0);
    costs.wanting = cost_of_turn(&host);
    size_t length = 32 << 20; /* more than the kernel takes: its flush is stuck */
    char *bytes = calloc(1, length);
    assert_true(tcpm_send(session, id, bytes, length) >= 0);
    free(bytes);
    assert_int_equal(tcpm_die(session), 0);
    turn_often(&host);
    costs.dying = cost_of_turn(&host);
    peer_stop(peer);
    host_close(&host);
    return costs;
}

static void test_a_turn_of_the_loop(void **state)
{
    enum { MANY = 100000 };
    struct costs few = costs_with(1), many = costs_with(MANY);

    (void) state;
    print_message("# a turn with 1 and with %d sessions: idle %.2f and %.2f us, one wants room "
                  "%.2f and %.2f, one is dying %.2f and %.2f\n",
                  MANY, few.idle, many.idle, few.wanting, many.wanting, few.dying, many.dying);
    assert_true(many.idle < few.idle + 2);
    assert_true(many.wanting < few.wanting + 2);
    assert_true(many.dying < few.dying + 2);
}

/* ---- connects, walks and ends among many that wait ---- */

struct crowd {
    struct host host;
    struct tcpm_session **sessions;
    unsigned count;
};

static void connect_in(struct tcpm_session *session, unsigned count)
{
    const struct tcpm_connect_options target = {
        .size = sizeof target, .address = "127.0.0.1", .port = 1};

    for (unsigned i = 0; i < count; i++)
        assert_int_equal(tcpm_connect(session, &target, NULL), 0);
}

/* So many sessions of an engine that is full. */
static void open_crowd(struct crowd *crowd, unsigned sessions)
{
    const struct tcpm_engine_options options = {.size = sizeof options, .max_connections = 1};
    struct tcpm_events events = {.size = sizeof events};
    const struct tcpm_session_options session_options = {.events = &events};

    host_open(&crowd->host, &options);
    crowd->count = sessions;
    crowd->sessions = calloc(sessions, sizeof *crowd->sessions);
    for (unsigned i = 0; i < sessions; i++)
        crowd->sessions[i] = track_session(&crowd->host, &session_options);
}

static void close_crowd(struct crowd *crowd)
{
    free(crowd->sessions);
    host_loop_close(&crowd->host);
}

static double cost_of_close(unsigned sessions, unsigned connects)
{
    struct crowd crowd;

    open_crowd(&crowd, sessions);
    for (unsigned i = 0; i < sessions; i++)
        connect_in(crowd.sessions[i], connects / sessions);
    double began = cpu_seconds();
    host_engine_close(&crowd.host);
    double cost = cpu_seconds() - began;
    close_crowd(&crowd);
    return cost * 1e3;
}

static void test_the_end_of_many_sessions_with_many_connects(void **state)
{
    enum { CONNECTS = 200000 };
    double one = 1e9, many = 1e9;

    (void) state;
    for (int round = 0; round < 3; round++) {
        double cost = cost_of_close(1, CONNECTS);
        one = cost < one ? cost : one;
        cost = cost_of_close(1000, CONNECTS);
        many = cost < many ? cost : many;
    }
    print_message("# %d connects end with the engine: of one session %.1f ms, of 1000 %.1f ms\n",
                  CONNECTS, one, many);
    assert_true(many < 2.5 * one);
}

static void run_nothing(struct tcpm_session *session, void *user, void *argument)
{
    (void) session;
    (void) user;
    (void) argument;
}

/* Microseconds for each session, which has posts that have not run. */
static double cost_of_posts(unsigned sessions)
{
    const struct tcpm_task task = {.run = run_nothing};
    struct crowd crowd;

    open_crowd(&crowd, sessions);
    for (unsigned i = 0; i < 2 * sessions; i++)
        assert_int_equal(tcpm_post(crowd.sessions[i % sessions], task), 0);
    double began = cpu_seconds();
    host_engine_close(&crowd.host);
    double cost = cpu_seconds() - began;
    close_crowd(&crowd);
    return cost / sessions * 1e6;
}

static void test_the_end_of_many_sessions_with_posts(void **state)
{
    double few = 1e9, many = 1e9;

    (void) state;
    for (int round = 0; round < 3; round++) {
        double cost = cost_of_posts(500);
        few = cost < few ? cost : few;
        cost = cost_of_posts(10000);
        many = cost < many ? cost : many;
    }
    print_message("# a session with posts ends with its engine: one of 500 %.2f us, of 10000 "
                  "%.2f us\n",
                  few, many);
    assert_true(many < 5 * few + 2);
}

/* How often each session connects once more, after the first one that fills its limit. */
static double cost_of_parking(unsigned sessions)
{
    struct crowd crowd;
    double cost;

    open_crowd(&crowd, sessions);
    for (unsigned i = 0; i < sessions; i++)
        connect_in(crowd.sessions[i], 1);
    cost = cpu_seconds();
    for (unsigned i = 0; i < sessions; i++)
        connect_in(crowd.sessions[i], 1);
    cost = (cpu_seconds() - cost) / sessions;
    host_engine_close(&crowd.host);
    close_crowd(&crowd);
    return cost * 1e6;
}

static void test_a_connect_where_thousands_wait(void **state)
{
    double few = 1e9, many = 1e9;

    (void) state;
    for (int round = 0; round < ROUNDS; round++) {
        double cost = cost_of_parking(100);
        few = cost < few ? cost : few;
        cost = cost_of_parking(10000);
        many = cost < many ? cost : many;
    }
    print_message("# a connect that waits beside 100 sessions: %.2f us, beside 10000: %.2f us\n",
                  few, many);
    assert_true(many < 4 * few);
}

static void walk_often(void *session)
{
    for (int i = 0; i < 1000; i++) {
        unsigned seen = 0;
        for (struct tcpm_id id = {0}; (id = tcpm_next(session, id)).n != 0;)
            seen++;
        assert_int_equal(seen, 10);
    }
}

/* Of the first of two sessions, whose connects stand between those of the other. */
static double cost_of_walk(unsigned others)
{
    struct crowd crowd;

    open_crowd(&crowd, 2);
    for (int i = 0; i < 10; i++) {
        connect_in(crowd.sessions[0], 1);
        connect_in(crowd.sessions[1], others / 10);
    }
    double cost = least_cost(walk_often, crowd.sessions[0]);
    host_engine_close(&crowd.host);
    close_crowd(&crowd);
    return cost * 1e3;
}

static void test_a_walk_over_ones_own(void **state)
{
    double alone = cost_of_walk(0), among = cost_of_walk(100000);

    (void) state;
    print_message("# a walk over 10 connections alone: %.2f us, among 100000 others: %.2f us\n",
                  alone, among);
    assert_true(among < 4 * alone);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_turn_of_the_loop),
    cmocka_unit_test(test_the_end_of_many_sessions_with_many_connects),
    cmocka_unit_test(test_the_end_of_many_sessions_with_posts),
    cmocka_unit_test(test_a_connect_where_thousands_wait),
    cmocka_unit_test(test_a_walk_over_ones_own),
};

RUN_TESTS(tests)
