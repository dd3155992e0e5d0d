/* SPDX-License-Identifier: MIT */
/*
 * The window of names against simulated servers, in made-up time: how long so many names take, how
 * many packets are sent for them, and that none fails. Each bound is a little above what the window
 * reaches; the floor is what a client that knew the server's limit would need.
 */
#include "simulated_server.h"

#include "transport/name_window.h"

#define SERVER(...) (&(struct server){__VA_ARGS__})

/* Asks for names, at most so many at a time, until all are answered. Seconds that it took. */
static double run(struct simulation *sim, unsigned count, unsigned at_a_time)
{
    uint64_t began_ns = sim->now_ns;
    unsigned asked = 0;

    do
        while (asked < count && asked - sim->done / 2 < at_a_time)
            simulation_ask(sim, asked++, 1);
    while (sim->done < 2 * count && simulation_step(sim));
    assert_int_equal(sim->done, 2 * count);
    return (double) (sim->last_done_ns - began_ns) / 1e9;
}

static struct tcpm__names_counts counts_of(const struct simulation *sim)
{
    struct tcpm__names_counts counts;

    tcpm__names_stats(sim->names, &counts);
    return counts;
}

/* All succeed within these seconds, and with so many packets of a hundred needed. */
static void assert_run(const struct server *server, unsigned count, unsigned at_a_time,
                       double most_seconds, unsigned most_percent)
{
    struct simulation sim;

    simulation_open(&sim, server);
    double seconds = run(&sim, count, at_a_time);

    if (seconds > most_seconds || sim.sent * 100 > (uint64_t) 2 * count * most_percent)
        fail_msg("%.2f s, %lu packets", seconds, (unsigned long) sim.sent);
    assert_int_equal(sim.unsuccessful, 0);
    assert_int_equal(counts_of(&sim).waiting + counts_of(&sim).out, 0);
    simulation_close(&sim);
}

/* ---- servers without a limit ---- */

static void test_N37_500_names_of_1_s(void **state)
{
    (void) state;
    assert_run(SERVER(.answer_ns = S), 500, 500, 1.3, 100);
    assert_run(SERVER(.answer_ns = S, .service_ns = MS / 16), 500, 500, 1.3, 100);
    assert_run(SERVER(.answer_ns = S, .way_ns = 30 * MS), 500, 500, 1.3, 100);
    assert_run(SERVER(.answer_ns = S), 2000, 2000, 4.2, 100);
}

static void test_N39_20000_names_a_thousand_at_a_time(void **state)
{
    (void) state;
    /* The server needs 20 µs for each packet, 0.8 s for all; one of 60 µs needs 2.4 s. */
    assert_run(SERVER(.way_ns = MS / 20), 20000, 1000, 0.9, 100);
    assert_run(SERVER(.answer_ns = MS), 20000, 1000, 0.9, 100);
    assert_run(SERVER(.answer_ns = MS, .service_ns = MS * 3 / 50), 20000, 1000, 2.5, 100);
    assert_run(SERVER(.answer_ns = 20 * MS), 20000, 1000, 1, 100);
    assert_run(SERVER(.answer_ns = 100 * MS), 20000, 1000, 2.8, 100);
}

static void test_names_that_are_slower_than_those_before(void **state)
{
    (void) state;
    assert_run(SERVER(.answer_ns = 100 * MS, .cached = 200), 20000, 1000, 3.8, 100);
    assert_run(SERVER(.answer_ns = S, .cached = 200), 600, 600, 1.3, 100);
}

/* ---- servers that hold 150 questions, like dnsmasq ---- */

static void test_N38_what_is_too_much_is_refused(void **state)
{
    (void) state;
    /* Floors: 6.7 s, 0.53 s, 0.33 s. */
    assert_run(SERVER(.answer_ns = S, .limit = 150), 500, 500, 7.2, 110);
    assert_run(SERVER(.limit = 150, .answer_ns = 20 * MS), 2000, 2000, 0.9, 110);
    assert_run(SERVER(.limit = 150, .answer_ns = 50 * MS), 500, 500, 0.9, 110);
    assert_run(SERVER(.answer_ns = S, .limit = 150, .service_ns = MS * 3 / 50), 500, 500, 7.2, 115);
    assert_run(SERVER(.answer_ns = S, .limit = 150, .way_ns = 30 * MS), 500, 500, 7.6, 160);
    assert_run(SERVER(.answer_ns = S, .limit = 50), 500, 500, 21, 115);
}

static void test_N38_what_is_too_much_is_dropped(void **state)
{
    (void) state;
    /* The first sign of it comes after 2 s, the last one after 14 s. */
    assert_run(SERVER(.answer_ns = S, .limit = 150, .drops = true), 500, 500, 20, 320);
    assert_run(SERVER(.limit = 150, .drops = true, .answer_ns = 20 * MS), 2000, 2000, 7, 130);
}

static void test_N38_packets_are_lost_besides(void **state)
{
    (void) state;
    assert_run(SERVER(.answer_ns = S, .limit = 150, .lost_percent = 5), 500, 500, 12, 110);
    assert_run(SERVER(.answer_ns = MS, .lost_percent = 3), 20000, 1000, 7, 105);
}

/* ---- servers that answer nothing ---- */

static void test_N05_a_lone_refusal_is_one(void **state)
{
    struct simulation sim;

    (void) state;
    simulation_open(&sim, SERVER(.refuses_all = true));
    assert_true(run(&sim, 1, 1) < 0.001);
    assert_int_equal(sim.unsuccessful, 2);
    assert_int_equal(sim.sent, 2);
    simulation_close(&sim);
}

static void test_a_server_that_refuses_all(void **state)
{
    struct simulation sim;

    (void) state;
    simulation_open(&sim, SERVER(.refuses_all = true));
    assert_true(run(&sim, 5000, 1000) < 1);
    assert_int_equal(sim.unsuccessful, 10000);
    assert_true(sim.sent < 10000 + 2 * TCPM__WINDOW_BURST);
    assert_int_equal(counts_of(&sim).window, 8);
    simulation_close(&sim);
}

static void test_N07_a_silent_server_costs_14_s(void **state)
{
    (void) state;
    for (unsigned count = 1; count <= 500; count += 499) {
        struct simulation sim;

        simulation_open(&sim, SERVER(.dead_until_ns = 3600 * S));
        double seconds = run(&sim, count, count);

        assert_true(seconds >= 14 && seconds < 14.2);
        assert_int_equal(sim.unsuccessful, 2 * count);
        assert_int_equal(sim.sent, 6 * count);
        simulation_close(&sim);
    }
}

static void test_N12_one_silent_name_among_500(void **state)
{
    struct simulation sim;

    (void) state;
    simulation_open(&sim, SERVER(.answer_ns = 20 * MS, .mute = 77));
    assert_true(run(&sim, 500, 500) < 14.2);
    assert_int_equal(sim.unsuccessful, 1);
    assert_int_equal(sim.sent, 1002);
    assert_int_equal(counts_of(&sim).window, 512);
    simulation_close(&sim);
}

/* ---- recovery ---- */

static void test_a_network_that_comes_back(void **state)
{
    (void) state;
    assert_run(SERVER(.answer_ns = 20 * MS, .dead_until_ns = 5 * S), 500, 500, 6.3, 310);
    assert_run(SERVER(.answer_ns = 20 * MS, .dead_until_ns = 5 * S), 20000, 1000, 9, 110);
}

static void test_a_closed_window_opens_in_ten_windows_of_answers(void **state)
{
    struct simulation sim;

    (void) state;
    simulation_open(&sim, SERVER(.answer_ns = 20 * MS));
    tcpm__names_configure(sim.names, &(struct tcpm__names_config){.window = 8, .cache = 1});
    assert_int_equal(counts_of(&sim).window, 8);
    simulation_ask(&sim, 0, 3000);
    for (uint64_t until_ns = sim.now_ns + 12 * 20 * MS; sim.now_ns < until_ns;)
        assert_true(simulation_step(&sim));
    assert_true(counts_of(&sim).window >= 128);
    while (simulation_step(&sim))
        ;
    assert_int_equal(sim.done, 6000);
    assert_int_equal(sim.unsuccessful, 0);
    simulation_close(&sim);
}

static void test_the_window_is_what_was_configured(void **state)
{
    static const struct {
        unsigned window, concurrency, expected;
    } rows[] = {{0, 0, 512}, {0, 1024, 512}, {0, 100, 100},      {20, 0, 20},
                {1, 0, 8},   {0, 1, 8},      {5000, 2000, 2000}, {5000, 5000, 5000}};
    struct simulation sim;

    (void) state;
    simulation_open(&sim, SERVER(.answer_ns = S));
    for (size_t i = 0; i < COUNT(rows); i++) {
        tcpm__names_configure(sim.names,
                              &(struct tcpm__names_config){.window = rows[i].window,
                                                           .concurrency = rows[i].concurrency});
        assert_int_equal(counts_of(&sim).window, rows[i].expected);
        tcpm__names_configure(sim.names, &(struct tcpm__names_config){.cache = 1});
    }
    simulation_close(&sim);
}

/* ---- what always holds ---- */

enum { MOST_OUT = 4096, STEPS = 300000 };

static void test_size_and_bursts_keep_their_bounds(void **state)
{
    static struct tcpm__window_ticket tickets[MOST_OUT];
    struct randomness random = {.state = 0x9e3779b97f4a7c15u};
    struct tcpm__window window;
    uint64_t now_ns = S, begun = 0, ended = 0;
    unsigned out = 0;

    (void) state;
    tcpm__window_init(&window, 1024, 2048);
    for (int i = 0; i < STEPS; i++) {
        uint64_t due_ns = tcpm__window_due_ns(&window);

        assert_int_equal(tcpm__window_allows(&window, now_ns), due_ns <= now_ns);
        assert_true(out > 0 || due_ns <= now_ns);
        if (random_below(&random, 2) == 0 && due_ns <= now_ns) {
            tcpm__window_begin(&window, now_ns, &tickets[out++]);
            begun++;
        } else if (random_below(&random, 3) == 0 && out > 0) {
            unsigned index = (unsigned) random_below(&random, out);
            struct tcpm__window_ticket ticket = tickets[index];

            tickets[index] = tickets[--out];
            ended++;
            tcpm__window_end(&window, &ticket, (enum tcpm__window_end) random_below(&random, 5),
                             random_below(&random, 2) == 0, now_ns);
        } else {
            now_ns += random_below(&random, MS / 4);
        }
        assert_int_equal(window.out, out);
        assert_in_range(window.size, TCPM__WINDOW_LEAST, window.most);
        assert_true(begun <= ended + TCPM__WINDOW_BURST + (now_ns - S) / (MS / 8));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N37_500_names_of_1_s),
    cmocka_unit_test(test_N39_20000_names_a_thousand_at_a_time),
    cmocka_unit_test(test_names_that_are_slower_than_those_before),
    cmocka_unit_test(test_N38_what_is_too_much_is_refused),
    cmocka_unit_test(test_N38_what_is_too_much_is_dropped),
    cmocka_unit_test(test_N38_packets_are_lost_besides),
    cmocka_unit_test(test_N05_a_lone_refusal_is_one),
    cmocka_unit_test(test_a_server_that_refuses_all),
    cmocka_unit_test(test_N07_a_silent_server_costs_14_s),
    cmocka_unit_test(test_N12_one_silent_name_among_500),
    cmocka_unit_test(test_a_network_that_comes_back),
    cmocka_unit_test(test_a_closed_window_opens_in_ten_windows_of_answers),
    cmocka_unit_test(test_the_window_is_what_was_configured),
    cmocka_unit_test(test_size_and_bursts_keep_their_bounds),
};

RUN_TESTS(tests)
