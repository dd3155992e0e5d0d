/* SPDX-License-Identifier: MIT */
/* The option proxy: which hops a text means, and what is said of a text that means none. */
#include "support.h"

#include <errno.h>

#include "transport/route.h"

static struct tcpm__route *parse(const char *text)
{
    struct tcpm__route *route = NULL;
    char why[TCPM__ROUTE_WHY];

    if (tcpm__route_parse(&tcpm__memory_default, text, &route, why) != 0)
        fail_msg("%s: %s", text, why);
    return route;
}

static void assert_text(const char *text, const char *expected)
{
    if (text == NULL || expected == NULL)
        assert_ptr_equal(text, expected);
    else
        assert_string_equal(text, expected);
}

/* A URL, and the hop that it means. */
struct meaning {
    const char *url;
    struct tcpm__hop hop;
};

static void check(const struct tcpm__hop *hop, const struct tcpm__hop *expected)
{
    assert_int_equal(hop->scheme, expected->scheme);
    assert_int_equal(hop->port, expected->port);
    assert_text(hop->host, expected->host);
    assert_text(hop->user, expected->user);
    assert_text(hop->password, expected->password);
}

static void check_all(const struct meaning *meanings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tcpm__route *route = parse(meanings[i].url);

        assert_int_equal(tcpm__route_count(route), 1);
        check(tcpm__route_hop(route, 0), &meanings[i].hop);
        tcpm__route_drop(route);
    }
}

static void test_schemes_ports_and_hosts(void **state)
{
    static const struct meaning meanings[] = {
        {"socks5://10.0.0.1", {TCPM__SCHEME_SOCKS5, 1080, "10.0.0.1", NULL, NULL}},
        {"socks5h://proxy.test", {TCPM__SCHEME_SOCKS5H, 1080, "proxy.test", NULL, NULL}},
        {"http://proxy.test.", {TCPM__SCHEME_HTTP, 3128, "proxy.test.", NULL, NULL}},
        {"SOCKS5H://Proxy.test:1", {TCPM__SCHEME_SOCKS5H, 1, "Proxy.test", NULL, NULL}},
        {"Http://a:65535", {TCPM__SCHEME_HTTP, 65535, "a", NULL, NULL}},
        {"http://a:00080", {TCPM__SCHEME_HTTP, 80, "a", NULL, NULL}},
        {"socks5://[::1]", {TCPM__SCHEME_SOCKS5, 1080, "::1", NULL, NULL}},
        {"http://[2001:db8::1]:81", {TCPM__SCHEME_HTTP, 81, "2001:db8::1", NULL, NULL}},
        {"http://[fe80::1%1]:81", {TCPM__SCHEME_HTTP, 81, "fe80::1%1", NULL, NULL}},
        {"http://localhost", {TCPM__SCHEME_HTTP, 3128, "localhost", NULL, NULL}},
    };

    (void) state;
    check_all(meanings, COUNT(meanings));
}

static void test_P26_users_and_passwords_are_decoded(void **state)
{
    static const struct meaning meanings[] = {
        {"http://u%40:p%3a%25@h", {TCPM__SCHEME_HTTP, 3128, "h", "u@", "p:%"}},
        {"socks5://u%3A:p@h:1", {TCPM__SCHEME_SOCKS5, 1, "h", "u:", "p"}},
        {"socks5://u:p:q@h:1", {TCPM__SCHEME_SOCKS5, 1, "h", "u", "p:q"}},
        {"socks5://u:p@q@h:1", {TCPM__SCHEME_SOCKS5, 1, "h", "u", "p@q"}},
        {"socks5://u:%2f%3F%23%20@[::1]:1", {TCPM__SCHEME_SOCKS5, 1, "::1", "u", "/?# "}},
        {"socks5h://%c3%bc:\xc3\xbc+@h",
         {TCPM__SCHEME_SOCKS5H, 1080, "h", "\xc3\xbc", "\xc3\xbc+"}},
        {"http://[::1]:x@h", {TCPM__SCHEME_HTTP, 3128, "h", "[", ":1]:x"}},
    };

    (void) state;
    check_all(meanings, COUNT(meanings));
}

/* Reads a URL whose user and password have so many bytes. */
static int try_lengths(const char *scheme, size_t user, size_t password, char why[TCPM__ROUTE_WHY])
{
    struct tcpm__route *route = NULL;
    char text[1200];
    int length = snprintf(text, sizeof text, "%s://", scheme);
    size_t at = (size_t) length;

    memset(text + at, 'u', user);
    text[at + user] = ':';
    memset(text + at + user + 1, 'p', password);
    snprintf(text + at + user + 1 + password, 10, "@h:1");
    int result = tcpm__route_parse(&tcpm__memory_default, text, &route, why);
    if (result == 0) {
        assert_int_equal(strlen(tcpm__route_hop(route, 0)->user), user);
        assert_int_equal(strlen(tcpm__route_hop(route, 0)->password), password);
    }
    tcpm__route_drop(route);
    return result;
}

static void test_P26_1_to_255_bytes(void **state)
{
    static const char *const schemes[] = {"socks5", "socks5h", "http"};
    char why[TCPM__ROUTE_WHY];

    (void) state;
    for (size_t i = 0; i < COUNT(schemes); i++) {
        assert_int_equal(try_lengths(schemes[i], 1, 1, why), 0);
        assert_int_equal(try_lengths(schemes[i], 255, 255, why), 0);
        assert_int_equal(try_lengths(schemes[i], 0, 1, why), -EINVAL);
        assert_string_equal(why, "hop 1: its user is empty");
        assert_int_equal(try_lengths(schemes[i], 1, 0, why), -EINVAL);
        assert_string_equal(why, "hop 1: its password is empty");
        assert_int_equal(try_lengths(schemes[i], 256, 1, why), -EINVAL);
        assert_string_equal(why, "hop 1: its user has more than 255 bytes");
        assert_int_equal(try_lengths(schemes[i], 1, 256, why), -EINVAL);
        assert_string_equal(why, "hop 1: its password has more than 255 bytes");
    }
}

/* Bytes are counted as they are sent. */
static void test_P26_255_encoded_bytes(void **state)
{
    char text[3 * 256 + 30] = "http://";

    (void) state;
    for (int i = 0; i < 255; i++)
        memcpy(text + strlen(text), "%41", 4);
    memcpy(text + strlen(text), ":p@h", 5);
    struct tcpm__route *route = parse(text);
    assert_int_equal(strlen(tcpm__route_hop(route, 0)->user), 255);
    assert_int_equal(tcpm__route_hop(route, 0)->user[254], 'A');
    tcpm__route_drop(route);
}

static void test_a_chain_is_in_order(void **state)
{
    static const struct tcpm__hop expected[] = {
        {TCPM__SCHEME_SOCKS5H, 1080, "a", "u", "p"},
        {TCPM__SCHEME_HTTP, 3128, "b", NULL, NULL},
        {TCPM__SCHEME_SOCKS5, 9, "::1", NULL, NULL},
    };
    struct tcpm__route *route = parse("  socks5h://u:p@a   http://b socks5://[::1]:9 ");

    (void) state;
    assert_int_equal(tcpm__route_count(route), COUNT(expected));
    for (unsigned i = 0; i < COUNT(expected); i++)
        check(tcpm__route_hop(route, i), &expected[i]);
    assert_true(tcpm__hop_takes_names(tcpm__route_hop(route, 0)));
    assert_true(tcpm__hop_takes_names(tcpm__route_hop(route, 1)));
    assert_false(tcpm__hop_takes_names(tcpm__route_hop(route, 2)));
    tcpm__route_drop(route);
}

static void test_P27_a_printed_hop_has_no_credentials(void **state)
{
    struct tcpm__route *route = parse("socks5h://me:secret@a http://me:secret@[::1]:9");
    char text[TCPM__ROUTE_HOP_TEXT];

    (void) state;
    tcpm__route_print_hop(route, 0, text);
    assert_string_equal(text, "hop 1, socks5h a:1080");
    tcpm__route_print_hop(route, 1, text);
    assert_string_equal(text, "hop 2, http [::1]:9");
    tcpm__route_drop(route);
}

/* A text, what comes of it, and what has to be in the reason. */
struct refusal {
    const char *text;
    int result;
    const char *why;
};

static void check_refused(const char *text, int expected, const char *expected_why)
{
    struct tcpm__route *route;
    struct scarce scarce;
    char why[TCPM__ROUTE_WHY];

    scarce_init(&scarce);
    int result = tcpm__route_parse(&scarce.memory, text, &route, why);
    if (result != expected || strcmp(why, expected_why) != 0)
        fail_msg("'%s': %d, '%s', not %d, '%s'", text, result, why, expected, expected_why);
    assert_int_equal(scarce.blocks, 0);
}

static void check_all_refused(const struct refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_refused(refusals[i].text, refusals[i].result, refusals[i].why);
}

#define NO_SCHEME "hop 1: no scheme: write socks5://, socks5h:// or http:// before the host"
#define UNKNOWN   "hop 1: an unknown scheme: write socks5://, socks5h:// or http://"
#define NO_PORT   "hop 1: its port is no number from 1 to 65535"
#define NO_PATH   "hop 1: a path, a query or a fragment behind the host and port"

static void test_P28_schemes_that_are_none(void **state)
{
    static const struct refusal refusals[] = {
        {"socks4://h", -EOPNOTSUPP, "hop 1: socks4:// is not supported: only SOCKS 5 and HTTP are"},
        {"SOCKS4A://u:p@h:1", -EOPNOTSUPP,
         "hop 1: socks4a:// is not supported: only SOCKS 5 and HTTP are"},
        {"http://h https://h:1", -EOPNOTSUPP,
         "hop 2: https:// is not supported: TLS to the proxy itself"},
        {"socks://h", -EINVAL, UNKNOWN},
        {"socks55://h", -EINVAL, UNKNOWN},
        {"socks5h5://h", -EINVAL, UNKNOWN},
        {"ftp://h", -EINVAL, UNKNOWN},
        {"secret:u://h", -EINVAL, NO_SCHEME},
        {"://h", -EINVAL, UNKNOWN},
        {"h", -EINVAL, NO_SCHEME},
        {"h:1080", -EINVAL, NO_SCHEME},
        {"u:p@h:1080", -EINVAL, NO_SCHEME},
        {"//h:1080", -EINVAL, NO_SCHEME},
        {"http:h", -EINVAL, NO_SCHEME},
        {"http:/h", -EINVAL, NO_SCHEME},
        {"http:", -EINVAL, NO_SCHEME},
        {"http:/", -EINVAL, NO_SCHEME},
    };

    (void) state;
    check_all_refused(refusals, COUNT(refusals));
}

static void test_P28_no_host(void **state)
{
    static const struct refusal refusals[] = {
        {"", -EINVAL, "hop 1: no URL of a proxy"},
        {"   ", -EINVAL, "hop 1: no URL of a proxy"},
        {"http://", -EINVAL, "hop 1: no host"},
        {"http://:80", -EINVAL, "hop 1: no host"},
        {"http://u:p@", -EINVAL, "hop 1: no host"},
        {"http://u:p@:80", -EINVAL, "hop 1: no host"},
        {"http:///path", -EINVAL, "hop 1: no host"},
        {"http://h http://?", -EINVAL, "hop 2: no host"},
    };

    (void) state;
    check_all_refused(refusals, COUNT(refusals));
}

static void test_P28_hosts_that_are_none(void **state)
{
    static const struct refusal refusals[] = {
        {"http://a..b", -EINVAL,
         "hop 1: no name of a host: nothing between two dots, or before the first"},
        {"http://a_%41b", -EINVAL, "hop 1: no name of a host: a character that no such name has"},
        {"http://a]b", -EINVAL, "hop 1: no name of a host: a character that no such name has"},
        {"http://127.1:80", -EINVAL, "hop 1: not an IPv4 address, which has four numbers"},
        {"http://[::1", -EINVAL, "hop 1: a bracket that is not closed"},
        {"http://[::1]80", -EINVAL, "hop 1: no port, but something else behind the bracket"},
        {"http://[]", -EINVAL, "hop 1: not an IPv6 address: only those stand in brackets"},
        {"http://[10.0.0.1]", -EINVAL, "hop 1: not an IPv6 address: only those stand in brackets"},
        {"http://[a.test]:1", -EINVAL, "hop 1: not an IPv6 address: only those stand in brackets"},
        {"http://fe80::1", -EINVAL, "hop 1: two colons: an IPv6 address needs brackets"},
        {"http://fe80::1:80", -EINVAL, "hop 1: two colons: an IPv6 address needs brackets"},
        {"http://h:80:81", -EINVAL, "hop 1: two colons: an IPv6 address needs brackets"},
    };

    (void) state;
    check_all_refused(refusals, COUNT(refusals));
}

static void test_P28_ports_and_paths(void **state)
{
    static const struct refusal refusals[] = {
        {"http://h:", -EINVAL, NO_PORT},           {"http://h:0", -EINVAL, NO_PORT},
        {"http://h:65536", -EINVAL, NO_PORT},      {"http://h:000080", -EINVAL, NO_PORT},
        {"http://h:4294967376", -EINVAL, NO_PORT}, {"http://h:80x", -EINVAL, NO_PORT},
        {"http://h:x8", -EINVAL, NO_PORT},         {"http://h:+80", -EINVAL, NO_PORT},
        {"http://h:-1", -EINVAL, NO_PORT},         {"http://h:http", -EINVAL, NO_PORT},
        {"http://[::1]:", -EINVAL, NO_PORT},       {"http://h/", -EINVAL, NO_PATH},
        {"http://h:80/", -EINVAL, NO_PATH},        {"socks5://h:80/path", -EINVAL, NO_PATH},
        {"http://h?a", -EINVAL, NO_PATH},          {"http://[::1]:80#a", -EINVAL, NO_PATH},
        {"http://u:p@h:80/a@b", -EINVAL, NO_PATH},
    };

    (void) state;
    check_all_refused(refusals, COUNT(refusals));
}

static void test_P26_P28_credentials_that_are_none(void **state)
{
    static const struct refusal refusals[] = {
        {"http://u%3aw:p@h", -EINVAL, "hop 1: its user has a colon, which HTTP does not allow"},
        {"socks5://u@h", -EINVAL, "hop 1: a user without a password"},
        {"socks5://@h", -EINVAL, "hop 1: a user without a password"},
        {"socks5://:@h", -EINVAL, "hop 1: its user is empty"},
        {"socks5://u%0a:p@h", -EINVAL, "hop 1: its user has a control character"},
        {"socks5://u%00:p@h", -EINVAL, "hop 1: its user has a control character"},
        {"http://u:p%7f@h", -EINVAL, "hop 1: its password has a control character"},
        {"http://u:p\x01@h", -EINVAL, "hop 1: a control character"},
        {"http://h\t", -EINVAL, "hop 1: a control character"},
        {"http://h http://g\r\n", -EINVAL, "hop 2: a control character"},
        {"http://h\x7f", -EINVAL, "hop 1: a control character"},
        {"http://u%:p@h", -EINVAL,
         "hop 1: its user has a '%' that no two hexadecimal digits follow"},
        {"http://u:%4@h", -EINVAL,
         "hop 1: its password has a '%' that no two hexadecimal digits follow"},
        {"http://u:%g4@h", -EINVAL,
         "hop 1: its password has a '%' that no two hexadecimal digits follow"},
        {"http://u:%4g@h", -EINVAL,
         "hop 1: its password has a '%' that no two hexadecimal digits follow"},
    };

    (void) state;
    check_all_refused(refusals, COUNT(refusals));
}

static void test_P28_hops_and_hosts_have_limits(void **state)
{
    char text[400] = "http://";

    (void) state;
    memset(text + 7, 'a', 300);
    check_refused(text, -EINVAL, "hop 1: its host has more than 253 bytes");
    text[7 + 254] = '\0';
    check_refused(text, -EINVAL, "hop 1: no name of a host: more than 253 bytes");
    text[0] = '\0';
    for (int i = 0; i < 8; i++)
        memcpy(text + strlen(text), "http://h ", 10);
    struct tcpm__route *route = parse(text);
    assert_int_equal(tcpm__route_count(route), 8);
    tcpm__route_drop(route);
    memcpy(text + strlen(text), "http://h", 9);
    check_refused(text, -EINVAL, "hop 9: there may be 8 hops at most");
}

/* Each cut of a list is read or refused, and never told with a part of its credentials. */
static void test_P27_no_reason_has_credentials(void **state)
{
    static const char text[] = "socks5://hunter:sesame@h:1 http://hunter:ses%40me@[::1]:80";

    (void) state;
    for (size_t from = 0; from < sizeof text; from++) {
        for (size_t length = 0; from + length < sizeof text; length++) {
            struct tcpm__route *route = NULL;
            char part[sizeof text] = "", why[TCPM__ROUTE_WHY];

            memcpy(part, text + from, length);
            tcpm__route_parse(&tcpm__memory_default, part, &route, why);
            assert_null(strstr(why, "unte"));
            assert_null(strstr(why, "sesa"));
            assert_null(strstr(why, "ses%"));
            tcpm__route_drop(route);
        }
    }
}

static void test_the_last_holder_frees(void **state)
{
    struct tcpm__route *route = NULL;
    struct scarce scarce;
    char why[TCPM__ROUTE_WHY];

    (void) state;
    scarce_init(&scarce);
    assert_int_equal(tcpm__route_parse(&scarce.memory, "http://h", &route, why), 0);
    assert_ptr_equal(tcpm__route_hold(route), route);
    tcpm__route_drop(route);
    assert_int_equal(scarce.blocks, 1);
    assert_string_equal(tcpm__route_hop(route, 0)->host, "h");
    tcpm__route_drop(route);
    assert_int_equal(scarce.blocks, 0);
    tcpm__route_drop(NULL);
}

static void test_P44_without_memory(void **state)
{
    struct tcpm__route *route;
    struct scarce scarce;
    char why[TCPM__ROUTE_WHY];
    long failed = 0;

    (void) state;
    for (int result = -ENOMEM; result != 0; failed++) {
        scarce_init(&scarce);
        scarce.left = failed;
        route = NULL;
        result = tcpm__route_parse(&scarce.memory, "socks5://u:p@h http://h", &route, why);
        assert_true(result == 0 || result == -ENOMEM);
        assert_string_equal(why, "");
        tcpm__route_drop(route);
        assert_int_equal(scarce.blocks, 0);
    }
    assert_in_range(failed, 2, 10);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_schemes_ports_and_hosts),
    cmocka_unit_test(test_P26_users_and_passwords_are_decoded),
    cmocka_unit_test(test_P26_1_to_255_bytes),
    cmocka_unit_test(test_P26_255_encoded_bytes),
    cmocka_unit_test(test_a_chain_is_in_order),
    cmocka_unit_test(test_P27_a_printed_hop_has_no_credentials),
    cmocka_unit_test(test_P28_schemes_that_are_none),
    cmocka_unit_test(test_P28_no_host),
    cmocka_unit_test(test_P28_hosts_that_are_none),
    cmocka_unit_test(test_P28_ports_and_paths),
    cmocka_unit_test(test_P26_P28_credentials_that_are_none),
    cmocka_unit_test(test_P28_hops_and_hosts_have_limits),
    cmocka_unit_test(test_P27_no_reason_has_credentials),
    cmocka_unit_test(test_the_last_holder_frees),
    cmocka_unit_test(test_P44_without_memory),
};

RUN_TESTS(tests)
