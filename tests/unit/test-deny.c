/* SPDX-License-Identifier: MIT */
/*
 * The option deny: what each class has at its edges, in every form of an address, and what is said
 * of a list that cannot be read.
 */
#include "addresses.h"
#include "text_option.h"

#include "transport/deny.h"

TEXT_OPTION_FUNCTIONS(deny, try_list, parse, drop)

static void check(const struct tcpm__deny *deny, const char *address, bool is_denied)
{
    union tcpm__address parsed = address_of(address);

    if (tcpm__deny_has(deny, &parsed) != is_denied)
        fail_msg("%s is %sdenied", address, is_denied ? "not " : "");
}

/* The first and the last address of a range, and the neighbours outside of it; "": the range ends
   there. */
struct edge {
    const char *class, *before, *first, *last, *behind;
};

static const struct edge inet_edges[] = {
    {"private", "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
    {"private", "172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
    {"private", "192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
    {"private", "100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
    {"loopback", "126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"},
    {"linklocal", "169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
    {"multicast", "223.255.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0"},
    {"unspecified", "", "0.0.0.0", "0.0.0.0", "0.0.0.1"},
    {"reserved", "", "0.0.0.0", "0.255.255.255", "1.0.0.0"},
    {"reserved", "191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
    {"reserved", "192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"},
    {"reserved", "192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"},
    {"reserved", "198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
    {"reserved", "198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"},
    {"reserved", "203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"},
    {"reserved", "239.255.255.255", "240.0.0.0", "255.255.255.255", ""},
    {"10.1.2.0/23", "10.1.1.255", "10.1.2.0", "10.1.3.255", "10.1.4.0"},
    {"1.2.3.4", "1.2.3.3", "1.2.3.4", "1.2.3.4", "1.2.3.5"},
    {"1.2.3.4/31", "1.2.3.3", "1.2.3.4", "1.2.3.5", "1.2.3.6"},
    {"::ffff:10.1.0.0/112", "10.0.255.255", "10.1.0.0", "10.1.255.255", "10.2.0.0"},
    {"::ffff:0.0.0.0/96", "", "0.0.0.0", "255.255.255.255", ""},
};

static const struct edge inet6_edges[] = {
    {"private", "fbff:ffff::", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::"},
    {"private", "febf:ffff::", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ff00::"},
    {"private", "64:ff9b:0:ffff::", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
     "64:ff9b:2::"},
    {"loopback", "::", "::1", "::1", "::2"},
    {"linklocal", "fe7f:ffff::", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fec0::"},
    {"multicast", "feff:ffff::", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
    {"unspecified", "", "::", "::", "::1"},
    {"reserved", "ff:ffff::", "100::", "100::ffff:ffff:ffff:ffff", "100:0:0:1::"},
    {"reserved", "2000:ffff::", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"},
    {"reserved", "2001:db7:ffff::", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
     "2001:db9::"},
    {"reserved", "3ffe:ffff::", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"},
    {"reserved", "5eff:ffff::", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "5f01::"},
    {"2001:db8::/33", "2001:db7:ffff::", "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff",
     "2001:db8:8000::"},
    {"[2001:db8::5]", "2001:db8::4", "2001:db8::5", "2001:db8::5", "2001:db8::6"},
    {"fe80::1%1", "fe80::", "fe80::1", "fe80::1%2", "fe80::2"},
    {"2002:a00::/24", "2002:9ff:ffff::", "2002:a00::", "2002:aff:ffff:ffff:ffff:ffff:ffff:ffff",
     "2002:b00::"},
};

/* "": there is no such address. */
static void check_edge(const struct tcpm__deny *deny, const struct edge *edge,
                       void (*check_form)(const struct tcpm__deny *, const char *, bool))
{
    if (edge->before[0] != '\0')
        check_form(deny, edge->before, false);
    check_form(deny, edge->first, true);
    check_form(deny, edge->last, true);
    if (edge->behind[0] != '\0')
        check_form(deny, edge->behind, false);
}

static void check_edges(const struct edge *edges, size_t count,
                        void (*check_form)(const struct tcpm__deny *, const char *, bool))
{
    for (size_t i = 0; i < count; i++) {
        struct tcpm__deny *deny = parse(edges[i].class);

        check_edge(deny, &edges[i], check_form);
        drop(deny);
    }
}

static void test_N57_each_class_has_its_ranges(void **state)
{
    (void) state;
    check_edges(inet_edges, COUNT(inet_edges), check);
    check_edges(inet6_edges, COUNT(inet6_edges), check);
}

/* ---- IPv4 in IPv6 ---- */

static void check_behind(const struct tcpm__deny *deny, const char *prefix, const char *quad,
                         bool is_denied)
{
    char text[TCPM__ADDRESS_TEXT];

    snprintf(text, sizeof text, "%s%s", prefix, quad);
    check(deny, text, is_denied);
}

static void check_mapped(const struct tcpm__deny *deny, const char *quad, bool is_denied)
{
    check_behind(deny, "::ffff:", quad, is_denied);
}

static void check_translated(const struct tcpm__deny *deny, const char *quad, bool is_denied)
{
    check_behind(deny, "::ffff:0:", quad, is_denied);
}

static void check_nat64(const struct tcpm__deny *deny, const char *quad, bool is_denied)
{
    check_behind(deny, "64:ff9b::", quad, is_denied);
}

/* The host behind the 6to4 router is in a network of its own, whose last bits may be any. */
static void check_6to4(const struct tcpm__deny *deny, const char *quad, bool is_denied)
{
    static const char *const behind[] = {"::", "::1", ":1:2:3:4:5", ":ffff:ffff:ffff:ffff:ffff"};
    union tcpm__address address = address_of(quad);
    unsigned char bytes[4];

    memcpy(bytes, &address.in.sin_addr, sizeof bytes);
    for (size_t i = 0; i < COUNT(behind); i++) {
        char text[TCPM__ADDRESS_TEXT];

        snprintf(text, sizeof text, "2002:%02x%02x:%02x%02x%s", bytes[0], bytes[1], bytes[2],
                 bytes[3], behind[i]);
        check(deny, text, is_denied);
    }
}

static void test_N57_an_IPv4_address_is_denied_in_every_form(void **state)
{
    (void) state;
    check_edges(inet_edges, COUNT(inet_edges), check_mapped);
    check_edges(inet_edges, COUNT(inet_edges), check_translated);
    check_edges(inet_edges, COUNT(inet_edges), check_nat64);
    check_edges(inet_edges, COUNT(inet_edges), check_6to4);
}

/* Another prefix by a single bit is no form of an IPv4 address. */
static void test_N57_what_only_looks_like_a_form(void **state)
{
    struct tcpm__deny *deny = parse("0.0.0.0/1 128.0.0.0/1");

    (void) state;
    check(deny, "::fffe:1.2.3.4", false);
    check(deny, "::1:ffff:1.2.3.4", false);
    check(deny, "8000::ffff:1.2.3.4", false);
    check(deny, "::ffff:1:1.2.3.4", false);
    check(deny, "64:ff9a::1.2.3.4", false);
    check(deny, "64:ff9b::1:1.2.3.4", false);
    check(deny, "2003:102:304::", false);
    check(deny, "::1.2.3.4", false);
    drop(deny);
}

/* ---- lists ---- */

static void test_N59_one_of_two_is_denied(void **state)
{
    struct tcpm__deny *deny = parse("private,loopback 8.8.8.8");

    (void) state;
    check(deny, "10.0.0.1", true);
    check(deny, "127.0.0.1", true);
    check(deny, "::1", true);
    check(deny, "8.8.8.8", true);
    check(deny, "8.8.4.4", false);
    check(deny, "2001:4860:4860::8888", false);
    drop(deny);
}

static void test_an_empty_list_denies_nothing(void **state)
{
    static const char *const lists[] = {"", " ", ",", " ,\t\n, "};

    (void) state;
    for (size_t i = 0; i < COUNT(lists); i++) {
        struct tcpm__deny *deny = parse(lists[i]);

        check(deny, "10.0.0.1", false);
        check(deny, "::1", false);
        drop(deny);
    }
    drop(NULL);
}

/* A prefix of all addresses is one of its own family. */
static void test_families_are_apart(void **state)
{
    struct tcpm__deny *six = parse("::/0"), *four = parse("0.0.0.0/0");

    (void) state;
    check(six, "1.2.3.4", false);
    check(six, "::", true);
    check(six, "ffff::", true);
    check(six, "::ffff:1.2.3.4", true);
    check(four, "1.2.3.4", true);
    check(four, "255.255.255.255", true);
    check(four, "::", false);
    check(four, "::ffff:1.2.3.4", true);
    drop(six);
    drop(four);
}

static void test_what_is_no_range(void **state)
{
    static const char *const words[] = {
        "privat",      "PRIVATE",       "private6",     "10.0.0.0/33",  "10.0.0.0/",
        "10.0.0.0/-1", "10.0.0.0/+8",   "10.0.0.0/08",  "10.0.0.0/8x",  "10.0.0.0/8/8",
        "10.0.0.1/8",  "10/8",          "10.0.0/8",     "/8",           "localhost",
        "::/129",      "::1/127",       "::1%nosuch",   "::/0x10",      "1.2.3.4-1.2.3.9",
        "[::1",        "10.0.0.0/9999", "10.0.0.0/256", "127.0.0.1:80", "2001:db8::/4294967296",
    };

    (void) state;
    for (size_t i = 0; i < COUNT(words); i++)
        assert_refused(try_list, "private, ", words[i], ",loopback");
}

static void test_P44_without_memory(void **state)
{
    (void) state;
    assert_fails_without_memory(try_list, "private 10.0.0.0/8");
}

/* ---- against a model ---- */

enum { PREFIXES = 12 };

/* Prefixes of one byte and more in a small part of the addresses, so that many overlap. */
struct model {
    uint32_t first[PREFIXES];
    unsigned bits[PREFIXES];
};

static bool model_has(const struct model *model, uint32_t address)
{
    for (int i = 0; i < PREFIXES; i++)
        if ((uint64_t) (address ^ model->first[i]) >> (32 - model->bits[i]) == 0)
            return true;
    return false;
}

static union tcpm__address quad_of(uint32_t number)
{
    union tcpm__address address = address_of("0.0.0.0");

    address.in.sin_addr.s_addr = htonl(number);
    return address;
}

static void make_model(struct randomness *random, struct model *ret, char *text, size_t size)
{
    for (int i = 0; i < PREFIXES; i++) {
        char printed[TCPM__ADDRESS_TEXT];
        size_t length = strlen(text);

        ret->bits[i] = 24 + (unsigned) random_below(random, 9);
        ret->first[i] = (10u << 24 | (uint32_t) random_below(random, 1024)) &
                        (uint32_t) (UINT64_C(0xffffffff) << (32 - ret->bits[i]));
        tcpm__address_print_quad(quad_of(ret->first[i]).in.sin_addr, printed);
        snprintf(text + length, size - length, "%s/%u ", printed, ret->bits[i]);
    }
}

static void test_random_lists_deny_what_a_model_does(void **state)
{
    struct randomness random = {1};

    (void) state;
    for (int round = 0; round < 500; round++) {
        char text[PREFIXES * 24] = "";
        struct model model;

        make_model(&random, &model, text, sizeof text);
        struct tcpm__deny *deny = parse(text);
        for (uint32_t number = (10u << 24) - 2; number < (10u << 24) + 1026; number++) {
            union tcpm__address address = quad_of(number);

            if (tcpm__deny_has(deny, &address) != model_has(&model, number))
                fail_msg("%s: %u", text, number);
        }
        drop(deny);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N57_each_class_has_its_ranges),
    cmocka_unit_test(test_N57_an_IPv4_address_is_denied_in_every_form),
    cmocka_unit_test(test_N57_what_only_looks_like_a_form),
    cmocka_unit_test(test_N59_one_of_two_is_denied),
    cmocka_unit_test(test_an_empty_list_denies_nothing),
    cmocka_unit_test(test_families_are_apart),
    cmocka_unit_test(test_what_is_no_range),
    cmocka_unit_test(test_P44_without_memory),
    cmocka_unit_test(test_random_lists_deny_what_a_model_does),
};

RUN_TESTS(tests)
