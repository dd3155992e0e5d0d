/* SPDX-License-Identifier: MIT */
/* Which texts are numeric addresses, which may be names, and what is said of the others. */
#include "support.h"

#include "tcpmulti.h"
#include "transport/address.h"

#include <errno.h>

struct row {
    const char *text;
    int form;        /* of tcpm__address_parse */
    const char *why; /* a part of it */
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        union tcpm__address address;
        const char *why = NULL;
        int form = tcpm__address_parse(rows[i].text, 80, &address, &why);

        if (form != rows[i].form)
            fail_msg("%s: %d, not %d", rows[i].text, form, rows[i].form);
        if (form < 0 && strstr(why, rows[i].why) == NULL)
            fail_msg("%s: '%s' has no '%s'", rows[i].text, why, rows[i].why);
    }
}

static void test_numeric_addresses_and_names(void **state)
{
    static const struct row rows[] = {
        {"127.0.0.1", 1, NULL},       {"0.0.0.0", 1, NULL},
        {"255.255.255.255", 1, NULL}, {"::1", 1, NULL},
        {"[::1]", 1, NULL},           {"::", 1, NULL},
        {"::ffff:1.2.3.4", 1, NULL},  {"fe80::1%lo", 1, NULL},
        {"[fe80::1%1]", 1, NULL},     {"localhost", 0, NULL},
        {"example.com", 0, NULL},     {"example.com.", 0, NULL},
        {"1.2.3.4.com", 0, NULL},     {"3com", 0, NULL},
        {"a.3com", 0, NULL},          {"x-1", 0, NULL},
        {"1password.com", 0, NULL},   {"_srv._tcp.a", 0, NULL},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

static void test_what_resolvers_would_guess_at(void **state)
{
    static const struct row rows[] = {
        {"127.1", TCPM_ENOTFOUND, "four numbers"},
        {"1.2.3", TCPM_ENOTFOUND, "four numbers"},
        {"1.2.3.4.5", TCPM_ENOTFOUND, "four numbers"},
        {"1", TCPM_ENOTFOUND, "four numbers"},
        {"2130706433", TCPM_ENOTFOUND, "four numbers"},
        {"017700000001", TCPM_ENOTFOUND, "four numbers"},
        {"127.0.0.300", TCPM_ENOTFOUND, "above 255"},
        {"999.1.1.1", TCPM_ENOTFOUND, "above 255"},
        {"1.2.3.99999999999999999999", TCPM_ENOTFOUND, "above 255"},
        {"127.0.0.01", TCPM_ENOTFOUND, "zero in front"},
        {"010.0.0.1", TCPM_ENOTFOUND, "zero in front"},
        {"127.0.0.1.", TCPM_ENOTFOUND, "not an IPv4 address"},
        {"127.1.", TCPM_ENOTFOUND, "four numbers"},
        {"0x7f.1", TCPM_ENOTFOUND, "never ends in a number"},
        {"0x7f000001", TCPM_ENOTFOUND, "never ends in a number"},
        {"host.0x10", TCPM_ENOTFOUND, "never ends in a number"},
        {"example.1", TCPM_ENOTFOUND, "never ends in a number"},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

/* The ideographic full stops, and wide digits and letters: IDNA makes ASCII of them. */
static void test_numbers_in_other_characters_than_ascii(void **state)
{
    static const struct row rows[] = {
        {"bücher.de", 0, NULL},
        {"a。de", 0, NULL},
#ifdef TCPM_HAVE_IDN2
        {"127。1", TCPM_ENOTFOUND, "ASCII"},
        {"127．0｡0.1", TCPM_ENOTFOUND, "ASCII"},
        {"１.２.3.4", TCPM_ENOTFOUND, "ASCII"},
        {"0ｘ7f.1", TCPM_ENOTFOUND, "ASCII"},
        {"127.1。", TCPM_ENOTFOUND, "not an IPv4"},
        {"a.１", TCPM_ENOTFOUND, "ASCII"},
#else
        {"127。1", 0, NULL}, /* the look-up refuses all that is beyond ASCII */
#endif
        {"\xef", 0, NULL},
        {"\xef\xbc", 0, NULL},
        {"1\xef\xbd", 0, NULL},
        {"1\xe3\x80", 0, NULL},
        {"1\xef\xbc", 0, NULL},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

static void test_more_than_an_address(void **state)
{
    static const struct row rows[] = {
        {"http://localhost/", -EINVAL, "a URL"},
        {"redis://127.0.0.1:6379", -EINVAL, "a URL"},
        {"tcp://[::1]:80", -EINVAL, "a URL"},
        {"localhost/index.html", -EINVAL, "no name of a host"},
        {"user@localhost", TCPM_EBADNAME, "no name of a host"},
        {"//localhost", -EINVAL, "no name of a host"},
        {"127.0.0.1:80", -EINVAL, "with a port"},
        {"localhost:http", -EINVAL, "with a port"},
        {":80", -EINVAL, "with a port"},
        {"[::1]:80", -EINVAL, "with a port"},
        {"[1.2.3.4]:80", -EINVAL, "with a port"},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

static void test_wrong_ipv6_addresses(void **state)
{
    static const struct row rows[] = {
        {"::1]", -EINVAL, "one bracket"},        {"[::1", -EINVAL, "one bracket"},
        {"[", -EINVAL, "one bracket"},           {"[127.0.0.1]", -EINVAL, "in brackets"},
        {"[localhost]", -EINVAL, "in brackets"}, {":::", -EINVAL, "not an IPv6"},
        {"1:2:3", -EINVAL, "not an IPv6"},       {"[::g]", -EINVAL, "not an IPv6"},
        {"[::1]x", -EINVAL, "not an IPv6"},      {"fe80::1%nosuch", -EINVAL, "scope"},
        {"fe80::1%", -EINVAL, "scope"},          {"[fe80::1%99999999999]", -EINVAL, "scope"},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

/* None longer than 253 bytes gets here; cut anywhere, all texts are read to their end only. */
static void test_long_texts(void **state)
{
    char text[254];

    (void) state;
    for (size_t length = 1; length < sizeof text; length++) {
        union tcpm__address address;
        const char *why;

        for (const char *fill = "1.:[]%/\xef\xbd\xe3"; *fill != '\0'; fill++) {
            memset(text, *fill, length);
            text[length] = '\0';
            assert_true(tcpm__address_parse(text, 80, &address, &why) <= 1);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_numeric_addresses_and_names),
    cmocka_unit_test(test_what_resolvers_would_guess_at),
    cmocka_unit_test(test_numbers_in_other_characters_than_ascii),
    cmocka_unit_test(test_more_than_an_address),
    cmocka_unit_test(test_wrong_ipv6_addresses),
    cmocka_unit_test(test_long_texts),
};

RUN_TESTS(tests)
