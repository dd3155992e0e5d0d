/* SPDX-License-Identifier: MIT */
/* The option bind_address: which address a socket gets, in made-up time. */
#include "sources.h"

#include <errno.h>

/* ---- reading ---- */

static void test_what_is_no_list(void **state)
{
    static const struct {
        const char *text, *bad;
    } rows[] = {
        {"", ""},
        {" , ", ""},
        {"localhost", "localhost"},
        {"127.0.0.1,127.1", "127.1"},
        {"127.0.0.1 127.0.0.1:80 ::1", "127.0.0.1:80"},
        {"127.0.0.5/24", "127.0.0.5/24"},
        {"127.0.0.0/33", "127.0.0.0/33"},
        {"10.0.0.0/15", "10.0.0.0/15"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"127.0.0.1-127.0.0.9", "127.0.0.1-127.0.0.9"},
        {"10.0.0.0/16,10.1.0.0/30,10.2.0.1", "10.2.0.1"},
        {"2001:db8::/112,2001:db8::1:0/127", "2001:db8::1:0/127"},
        {"fe80::1%nosuch", "fe80::1%nosuch"},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tcpm__sources *sources;
        struct tcpm__part bad;
        struct scarce scarce;

        scarce_init(&scarce);
        assert_int_equal(tcpm__sources_parse(&scarce.memory, rows[i].text, &sources, &bad),
                         -EINVAL);
        assert_true(tcpm__words_equal(bad, rows[i].bad));
        assert_int_equal(scarce.blocks, 0);
    }
}

static void test_P36_each_peer_gets_its_family(void **state)
{
    struct tcpm__sources *both = parse("10.0.0.1,2001:db8::5"), *four = parse("10.0.0.1"),
                         *six = parse("2001:db8::/64");
    union tcpm__address address;
    uint32_t lease;

    (void) state;
    assert_true(tcpm__sources_have(both, AF_INET) && tcpm__sources_have(both, AF_INET6));
    assert_true(tcpm__sources_have(four, AF_INET) && !tcpm__sources_have(four, AF_INET6));
    assert_true(!tcpm__sources_have(six, AF_INET) && tcpm__sources_have(six, AF_INET6));
    assert_int_equal(take_at(both, inet_peer, NOW_MS, &address, &lease), 0);
    assert_address(&address, "10.0.0.1");
    assert_int_equal(take_at(both, inet6_peer, NOW_MS, &address, &lease), 0);
    assert_address(&address, "2001:db8::5");
    assert_int_equal(take_at(four, inet6_peer, NOW_MS, &address, &lease), -EAFNOSUPPORT);
    assert_int_equal(take_at(six, inet_peer, NOW_MS, &address, &lease), -EAFNOSUPPORT);
    tcpm__sources_drop(both);
    tcpm__sources_drop(four);
    tcpm__sources_drop(six);
}

/* ---- which one ---- */

static void test_P34_three_addresses_share_300_sockets(void **state)
{
    struct tcpm__sources *sources = parse("10.0.0.1,10.0.0.2,10.0.0.3");
    uint32_t leases[300], taken[300], uses[4] = {0};

    (void) state;
    for (size_t i = 0; i < COUNT(leases); i++) {
        taken[i] = take(sources, inet_peer, &leases[i]) & 3;
        uses[taken[i]]++;
    }
    for (size_t i = 1; i <= 3; i++)
        assert_int_equal(uses[i], 100);
    assert_int_equal(tcpm__sources_validate(sources), 300);
    for (size_t i = 0; i < COUNT(leases); i += 7) { /* whichever is freed comes next */
        tcpm__sources_give(sources, leases[i]);
        assert_int_equal(take(sources, inet_peer, &leases[i]) & 3, taken[i]);
    }
    give_all(sources, leases, COUNT(leases));
}

/* One socket after the other, none at the same time: the ports of all addresses are used. */
static void test_P34_addresses_that_are_all_free_take_turns(void **state)
{
    struct tcpm__sources *sources = parse("10.0.0.1,10.0.0.2,10.0.0.3");
    uint32_t lease, last = take(sources, inet_peer, &lease) & 3;

    (void) state;
    tcpm__sources_give(sources, lease);
    for (int i = 0; i < 30; i++) {
        uint32_t taken = take(sources, inet_peer, &lease) & 3;

        assert_int_equal(taken, last % 3 + 1);
        tcpm__sources_give(sources, lease);
        last = taken;
    }
    give_all(sources, NULL, 0);
}

/* ---- no port left ---- */

static void test_P38_a_full_address_is_left_out_for_its_peer(void **state)
{
    struct tcpm__sources *sources = parse("10.0.0.1,10.0.0.2");
    union tcpm__address address;
    uint32_t leases[12], full = take(sources, inet_peer, &leases[0]) & 3;

    (void) state;
    note_full(sources, leases[0], inet_peer, NOW_MS);
    for (size_t i = 1; i < 10; i++)
        assert_int_equal(take(sources, inet_peer, &leases[i]) & 3, 3 - full);
    for (size_t i = 10; i < 12; i++) /* another peer knows nothing of it */
        assert_int_equal(take(sources, "198.51.100.2", &leases[i]) & 3, full);
    note_full(sources, leases[1], inet_peer, NOW_MS + 500);
    uint32_t lease = 0;
    assert_int_equal(take_at(sources, inet_peer, NOW_MS + 999, &address, &lease), -EADDRNOTAVAIL);
    assert_int_equal(take_at(sources, inet_peer, NOW_MS + 1000, &address, &lease), 0);
    assert_int_equal(ntohl(address.in.sin_addr.s_addr) & 3, full);
    tcpm__sources_give(sources, lease);
    give_all(sources, leases, COUNT(leases));
}

static void test_P39_a_single_address_is_remembered_too(void **state)
{
    struct tcpm__sources *sources = parse("10.0.0.1");
    union tcpm__address address;
    uint32_t lease;
    unsigned asked = 0;

    (void) state;
    for (uint64_t now_ms = NOW_MS; now_ms < NOW_MS + 10000; now_ms++) {
        int result = take_at(sources, inet_peer, now_ms, &address, &lease);

        assert_true(result == 0 || result == -EADDRNOTAVAIL);
        if (result < 0)
            continue;
        asked++;
        note_full(sources, lease, inet_peer, now_ms);
        tcpm__sources_give(sources, lease);
    }
    assert_int_equal(asked, 10);
    give_all(sources, NULL, 0);
}

/* Of a range of which two are drawn, too, each address that is not full is found. */
static void test_P38_a_large_range_is_used_up(void **state)
{
    struct tcpm__sources *sources = parse("10.0.0.0/23");
    union tcpm__address address;
    uint32_t lease;

    (void) state;
    for (int i = 0; i < 510; i++) {
        assert_int_equal(take_at(sources, inet_peer, NOW_MS, &address, &lease), 0);
        note_full(sources, lease, inet_peer, NOW_MS);
        tcpm__sources_give(sources, lease);
    }
    assert_int_equal(take_at(sources, inet_peer, NOW_MS, &address, &lease), -EADDRNOTAVAIL);
    assert_int_equal(take_at(sources, "198.51.100.2", NOW_MS, &address, &lease), 0);
    tcpm__sources_give(sources, lease);
    give_all(sources, NULL, 0);
}

static void test_a_wide_range_is_never_full(void **state)
{
    struct tcpm__sources *sources = parse("2001:db8::/64");
    union tcpm__address address;
    uint32_t lease;

    (void) state;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(take_at(sources, inet6_peer, NOW_MS, &address, &lease), 0);
        note_full(sources, lease, inet6_peer, NOW_MS);
        tcpm__sources_give(sources, lease);
    }
    give_all(sources, NULL, 0);
}

/* ---- holders, memory ---- */

static void test_the_last_holder_frees(void **state)
{
    struct tcpm__sources *sources;
    struct tcpm__part bad;
    struct scarce scarce;

    (void) state;
    scarce_init(&scarce);
    assert_int_equal(tcpm__sources_parse(&scarce.memory, "10.0.0.1,10.0.0.2", &sources, &bad), 0);
    assert_ptr_equal(tcpm__sources_keep(sources), sources);
    tcpm__sources_drop(sources);
    assert_int_equal(scarce.blocks, 1);
    tcpm__sources_drop(sources);
    assert_int_equal(scarce.blocks, 0);
    tcpm__sources_drop(NULL);
}

/* Reads a list, takes, notes and gives. 0 or -ENOMEM. */
static int use_all(const struct tcpm__memory *memory)
{
    union tcpm__address address;
    struct tcpm__sources *sources;
    uint32_t leases[3] = {0};
    struct tcpm__part bad;
    size_t count = 0;
    int result = tcpm__sources_parse(memory, "10.0.0.0/25", &sources, &bad);

    if (result < 0)
        return result;
    while (count < COUNT(leases) && result == 0) {
        result = take_at(sources, inet_peer, NOW_MS, &address, &leases[count]);
        assert_int_equal(leases[count] != 0, result == 0);
        if (result < 0)
            break;
        note_full(sources, leases[count], inet_peer, NOW_MS);
        count++;
    }
    give_all(sources, leases, count);
    return result;
}

static void test_P44_without_memory(void **state)
{
    long calls = 1, refused = 0;

    (void) state;
    for (long left = 0; left < calls; left++) {
        struct scarce scarce;

        scarce_init(&scarce);
        scarce.left = left;
        int result = use_all(&scarce.memory);
        assert_true(result == 0 || result == -ENOMEM);
        refused += result == -ENOMEM;
        assert_int_equal(scarce.blocks, 0);
        scarce_init(&scarce);
        assert_int_equal(use_all(&scarce.memory), 0);
        calls = scarce.calls;
    }
    assert_in_range(refused, 3, 10); /* only a full pair may be forgotten without a word */
}

/* ---- against a model ---- */

enum { ADDRESSES = 5 };

/* Sockets of up to five addresses come and go: each new one is on an address with the fewest. */
static void test_random_sockets_are_where_a_model_allows(void **state)
{
    struct tcpm__sources *sources = parse("10.0.0.1,10.0.0.2/31,10.0.0.4,10.0.0.5,2001:db8::1");
    struct randomness random = {1};
    uint32_t uses[ADDRESSES + 1] = {0}, leases[200], taken[200];
    size_t count = 0;

    (void) state;
    for (int step = 0; step < 100000; step++) {
        uint32_t least = UINT32_MAX;

        for (size_t i = 1; i <= ADDRESSES; i++)
            least = uses[i] < least ? uses[i] : least;
        if (count < COUNT(leases) && random_below(&random, 100) < 52) {
            taken[count] = take(sources, inet_peer, &leases[count]) & 7;
            assert_int_equal(uses[taken[count]], least);
            uses[taken[count++]]++;
        } else if (count > 0) {
            size_t ended = random_below(&random, count);

            tcpm__sources_give(sources, leases[ended]);
            uses[taken[ended]]--;
            count--;
            leases[ended] = leases[count];
            taken[ended] = taken[count];
        }
        assert_int_equal(tcpm__sources_validate(sources), count);
    }
    give_all(sources, leases, count);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_what_is_no_list),
    cmocka_unit_test(test_P36_each_peer_gets_its_family),
    cmocka_unit_test(test_P34_three_addresses_share_300_sockets),
    cmocka_unit_test(test_P34_addresses_that_are_all_free_take_turns),
    cmocka_unit_test(test_P38_a_full_address_is_left_out_for_its_peer),
    cmocka_unit_test(test_P39_a_single_address_is_remembered_too),
    cmocka_unit_test(test_P38_a_large_range_is_used_up),
    cmocka_unit_test(test_a_wide_range_is_never_full),
    cmocka_unit_test(test_the_last_holder_frees),
    cmocka_unit_test(test_P44_without_memory),
    cmocka_unit_test(test_random_sockets_are_where_a_model_allows),
};

RUN_TESTS(tests)
