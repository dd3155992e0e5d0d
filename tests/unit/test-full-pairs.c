/* SPDX-License-Identifier: MIT */
/* Pairs without a port left: remembered for a second of made-up time, and never more than fit. */
#include "addresses.h"

#include "transport/full_pairs.h"

enum { START_MS = 5000, FOR_MS = TCPM__FULL_FOR_MS };

static void test_P39_a_pair_is_full_for_a_second(void **state)
{
    struct tcpm__full_pairs full = {.pairs = NULL};
    union tcpm__address peer = address_with_port("10.0.0.1", 80);

    (void) state;
    assert_false(tcpm__full_pairs_has(&full, 1, &peer, START_MS));
    tcpm__full_pairs_note(&full, &tcpm__memory_default, 1, &peer, START_MS);
    assert_true(tcpm__full_pairs_has(&full, 1, &peer, START_MS));
    assert_true(tcpm__full_pairs_has(&full, 1, &peer, START_MS + FOR_MS - 1));
    assert_false(tcpm__full_pairs_has(&full, 1, &peer, START_MS + FOR_MS));
    tcpm__full_pairs_note(&full, &tcpm__memory_default, 1, &peer, START_MS + FOR_MS);
    assert_true(tcpm__full_pairs_has(&full, 1, &peer, START_MS + 2 * FOR_MS - 1));
    assert_false(tcpm__full_pairs_has(&full, 1, &peer, START_MS + 2 * FOR_MS));
    tcpm__full_pairs_free(&full, &tcpm__memory_default);
    assert_false(tcpm__full_pairs_has(&full, 1, &peer, START_MS));
}

static void test_P38_another_source_port_or_peer_is_another_pair(void **state)
{
    struct tcpm__full_pairs full = {.pairs = NULL};
    union tcpm__address noted[] = {address_with_port("10.0.0.1", 80),
                                   address_with_port("fe80::1%1", 80)};
    union tcpm__address others[] = {
        address_with_port("10.0.0.1", 81),       address_with_port("10.0.0.2", 80),
        address_with_port("fe80::1%1", 81),      address_with_port("fe80::1%2", 80),
        address_with_port("fe80::2%1", 80),      address_with_port("::ffff:10.0.0.1", 80),
        address_with_port("fe80::1:0:0:0%1", 80)};

    (void) state;
    for (size_t i = 0; i < COUNT(noted); i++) {
        tcpm__full_pairs_note(&full, &tcpm__memory_default, 7, &noted[i], START_MS);
        assert_true(tcpm__full_pairs_has(&full, 7, &noted[i], START_MS));
        assert_false(tcpm__full_pairs_has(&full, 8, &noted[i], START_MS));
    }
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(tcpm__full_pairs_has(&full, 7, &others[i], START_MS));
    tcpm__full_pairs_free(&full, &tcpm__memory_default);
}

/* More are forgotten, and what was remembered stays. */
static void test_the_table_is_bounded(void **state)
{
    struct tcpm__full_pairs full = {.pairs = NULL};
    union tcpm__address peer = address_with_port("10.0.0.1", 80);
    uint32_t remembered = 0;

    (void) state;
    for (uint32_t source = 0; source < 20000; source++) {
        tcpm__full_pairs_note(&full, &tcpm__memory_default, source, &peer, START_MS);
        if (tcpm__full_pairs_has(&full, source, &peer, START_MS))
            remembered++;
    }
    assert_in_range(remembered, 2048, 4096);
    assert_true(full.capacity <= 8192);
    for (uint32_t source = 0; source < remembered; source++)
        assert_true(tcpm__full_pairs_has(&full, source, &peer, START_MS));
    /* A second later there is room again. */
    tcpm__full_pairs_note(&full, &tcpm__memory_default, 20000, &peer, START_MS + FOR_MS);
    assert_true(tcpm__full_pairs_has(&full, 20000, &peer, START_MS + FOR_MS));
    assert_true(full.capacity <= 16);
    tcpm__full_pairs_free(&full, &tcpm__memory_default);
}

/* Without memory pairs are forgotten; nothing else happens. */
static void test_P44_without_memory(void **state)
{
    union tcpm__address peer = address_with_port("10.0.0.1", 80);
    long calls = 1;

    (void) state;
    for (long left = 0; left < calls; left++) {
        struct tcpm__full_pairs full = {.pairs = NULL};
        struct scarce scarce;
        uint32_t forgotten = 0;

        scarce_init(&scarce);
        scarce.left = left;
        for (uint32_t source = 0; source < 500; source++) {
            tcpm__full_pairs_note(&full, &scarce.memory, source, &peer, START_MS);
            forgotten += !tcpm__full_pairs_has(&full, source, &peer, START_MS);
        }
        assert_int_equal(forgotten, 1);
        calls = scarce.calls - 1; /* the failed one was repeated */
        tcpm__full_pairs_free(&full, &scarce.memory);
        assert_int_equal(scarce.blocks, 0);
    }
    assert_in_range(calls, 3, 20);
}

/* ---- against a model ---- */

enum { SOURCES = 40, PEERS = 5 };

static void test_random_pairs_are_full_as_in_a_model(void **state)
{
    struct tcpm__full_pairs full = {.pairs = NULL};
    struct randomness random = {1};
    uint64_t until_ms[SOURCES][PEERS] = {{0}}, now_ms = START_MS;
    union tcpm__address peers[PEERS];

    (void) state;
    for (unsigned i = 0; i < PEERS; i++)
        peers[i] = address_with_port("10.0.0.1", 80 + i);
    for (int step = 0; step < 20000; step++) {
        uint32_t source = (uint32_t) random_below(&random, SOURCES);
        size_t peer = random_below(&random, PEERS);

        now_ms += random_below(&random, 20);
        tcpm__full_pairs_note(&full, &tcpm__memory_default, source, &peers[peer], now_ms);
        until_ms[source][peer] = now_ms + FOR_MS;
        for (int i = 0; i < 20; i++) {
            source = (uint32_t) random_below(&random, SOURCES);
            peer = random_below(&random, PEERS);
            assert_int_equal(tcpm__full_pairs_has(&full, source, &peers[peer], now_ms),
                             until_ms[source][peer] > now_ms);
        }
    }
    tcpm__full_pairs_free(&full, &tcpm__memory_default);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_P39_a_pair_is_full_for_a_second),
    cmocka_unit_test(test_P38_another_source_port_or_peer_is_another_pair),
    cmocka_unit_test(test_the_table_is_bounded),
    cmocka_unit_test(test_P44_without_memory),
    cmocka_unit_test(test_random_pairs_are_full_as_in_a_model),
};

RUN_TESTS(tests)
