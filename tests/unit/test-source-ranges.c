/* SPDX-License-Identifier: MIT */
/* Ranges of local addresses: which addresses they have, and how evenly those are used. */
#include "sources.h"

enum { MOST_LEASES = 4000 };

/* Takes each address of the list once, in the end, and prints the first and the last of them. */
static void check_extent(const char *list, uint32_t count, uint32_t first, uint32_t last)
{
    struct tcpm__sources *sources = parse(list);
    uint32_t leases[256], least = UINT32_MAX, greatest = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t taken =
            take(sources, strchr(list, ':') != NULL ? inet6_peer : inet_peer, &leases[i]);

        least = taken < least ? taken : least;
        greatest = taken > greatest ? taken : greatest;
    }
    if (least != first || greatest != last)
        fail_msg("%s: %x to %x", list, least, greatest);
    give_all(sources, leases, count);
}

static void test_P35_the_extent_of_a_range(void **state)
{
    (void) state;
    check_extent("127.0.1.0/24", 254, 0x7f000101, 0x7f0001fe);
    check_extent("127.0.1.4/30", 2, 0x7f000105, 0x7f000106);
    check_extent("127.0.1.4/31", 2, 0x7f000104, 0x7f000105);
    check_extent("127.0.1.4/32", 1, 0x7f000104, 0x7f000104);
    check_extent("127.0.1.4", 1, 0x7f000104, 0x7f000104);
    check_extent("255.255.255.252/30", 2, 0xfffffffd, 0xfffffffe);
    check_extent("2001:db8::/120", 255, 1, 255);
    check_extent("2001:db8::4/126", 3, 5, 7);
    check_extent("2001:db8::4/127", 2, 4, 5);
    check_extent("[2001:db8::4]", 1, 4, 4);
    check_extent("10.0.0.1 10.0.0.8/31,10.0.0.16/30", 5, 0x0a000001, 0x0a000012);
}

static void test_scopes_stay(void **state)
{
    struct tcpm__sources *sources = parse("fe80::1%1");
    union tcpm__address address;
    uint32_t lease;

    (void) state;
    assert_int_equal(take_at(sources, inet6_peer, NOW_MS, &address, &lease), 0);
    assert_address(&address, "fe80::1%1");
    tcpm__sources_give(sources, lease);
    tcpm__sources_drop(sources);
}

/* Two at random of 65,534; by the less used of two, three sockets on one address are a wonder. */
static void test_P35_a_large_range_is_spread(void **state)
{
    struct tcpm__sources *sources = parse("127.1.0.0/16");
    uint32_t leases[1000], most = 0;
    static unsigned uses[65536];

    (void) state;
    for (size_t i = 0; i < COUNT(leases); i++) {
        uint32_t taken = take(sources, inet_peer, &leases[i]);

        assert_int_equal(taken >> 16, 0x7f01);
        assert_in_range(taken & 0xffff, 1, 0xfffe);
        uses[taken & 0xffff]++;
        most = uses[taken & 0xffff] > most ? uses[taken & 0xffff] : most;
    }
    assert_in_range(most, 1, 3);
    give_all(sources, leases, COUNT(leases));
}

/* 4,000 sockets on 400 addresses: at random some would have 20; of two the less used, 13. */
static void test_P35_the_less_used_of_two_keeps_a_range_even(void **state)
{
    struct tcpm__sources *sources = parse("10.0.0.0/24,10.0.1.0/25,10.0.2.0/28,10.0.2.128/30");
    static uint32_t leases[MOST_LEASES];
    unsigned uses[1024] = {0};

    (void) state;
    for (size_t i = 0; i < MOST_LEASES; i++)
        uses[take(sources, inet_peer, &leases[i]) & 1023]++;
    for (size_t i = 0; i < COUNT(uses); i++)
        assert_in_range(uses[i], 0, 13);
    assert_int_equal(uses[0] + uses[255] + uses[256], 0);
    assert_in_range(uses[2 * 256 + 129], 7, 13);
    give_all(sources, leases, MOST_LEASES);
}

static void test_P35_an_inet6_network_is_drawn_from(void **state)
{
    struct tcpm__sources *sources = parse("2001:db8:1::/64,2001:db8:2::/65,2001:db8:3::7");
    unsigned networks[4] = {0}, high_bits = 0;

    (void) state;
    for (int i = 0; i < 3000; i++) {
        union tcpm__address address;
        uint32_t lease = 1;

        assert_int_equal(take_at(sources, inet6_peer, NOW_MS, &address, &lease), 0);
        assert_int_equal(lease, 0);
        const uint8_t *bytes = address.in6.sin6_addr.s6_addr;
        networks[bytes[5] & 3]++;
        assert_int_equal(bytes[6] | bytes[7], 0);
        if (bytes[5] == 2)
            assert_int_equal(bytes[8] & 0x80, 0);
        high_bits += bytes[5] == 1 && (bytes[8] & 0x80) != 0;
        tcpm__sources_give(sources, lease);
    }
    for (size_t i = 1; i <= 3; i++)
        assert_in_range(networks[i], 850, 1150);
    assert_in_range(high_bits, 400, 600);
    give_all(sources, NULL, 0);
}

static bool needs_freebind(const struct tcpm__sources *sources, const char *text)
{
    union tcpm__address address = address_of(text);

    return tcpm__sources_need_freebind(sources, &address);
}

/* Addresses of IPv6 prefixes need not be on an interface; single ones, and those of IPv4, must. */
static void test_P35_an_inet6_prefix_may_have_a_route_only(void **state)
{
    struct tcpm__sources *sources =
        parse("2001:db8:1::/64,2001:db8:2::80/121,2001:db8:3::/127,2001:db8:4::1,10.0.0.0/24");
    static const char *const in[] = {
        "2001:db8:1::",   "2001:db8:1::1",  "2001:db8:1:0:ffff:ffff:ffff:ffff",
        "2001:db8:2::81", "2001:db8:2::ff", "2001:db8:3::1"};
    static const char *const out[] = {"2001:db8:0:ffff:ffff:ffff:ffff:ffff",
                                      "2001:db8:1:1::",
                                      "2001:db8:2::7f",
                                      "2001:db8:2::100",
                                      "2001:db8:3::2",
                                      "2001:db8:4::1",
                                      "10.0.0.1"};

    (void) state;
    for (size_t i = 0; i < COUNT(in); i++)
        assert_true(needs_freebind(sources, in[i]));
    for (size_t i = 0; i < COUNT(out); i++)
        assert_false(needs_freebind(sources, out[i]));
    tcpm__sources_drop(sources);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_P35_the_extent_of_a_range),
    cmocka_unit_test(test_scopes_stay),
    cmocka_unit_test(test_P35_a_large_range_is_spread),
    cmocka_unit_test(test_P35_the_less_used_of_two_keeps_a_range_even),
    cmocka_unit_test(test_P35_an_inet6_network_is_drawn_from),
    cmocka_unit_test(test_P35_an_inet6_prefix_may_have_a_route_only),
};

RUN_TESTS(tests)
