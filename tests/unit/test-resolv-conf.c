/* SPDX-License-Identifier: MIT */
/* What is read from the text of resolv.conf, and from lists of servers. */
#include "support.h"

#include "transport/resolv_conf.h"

#include <errno.h>

/* Servers, a bar, domains, a bar, ndots, and how many servers are unusable, if any. */
static const char *print(const struct tcpm__resolv_conf *conf)
{
    static char text[8192];
    size_t length = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < conf->server_count; i++) {
        char one[TCPM__ADDRESS_TEXT];

        tcpm__address_print(&conf->servers[i], one);
        length += (size_t) snprintf(text + length, sizeof text - length, "%s#%u ", one,
                                    tcpm__address_port(&conf->servers[i]));
    }
    length += (size_t) snprintf(text + length, sizeof text - length, "|");
    for (unsigned i = 0; i < conf->domain_count; i++)
        length += (size_t) snprintf(text + length, sizeof text - length, " %s", conf->domains[i]);
    length += (size_t) snprintf(text + length, sizeof text - length, "| %u", conf->ndots);
    if (conf->unusable > 0)
        snprintf(text + length, sizeof text - length, " unusable %u", conf->unusable);
    return text;
}

struct row {
    const char *text, *expected;
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tcpm__resolv_conf conf;

        tcpm__resolv_conf_parse(rows[i].text, strlen(rows[i].text), &conf);
        if (strcmp(print(&conf), rows[i].expected) != 0)
            fail_msg("%s: %s, not %s", rows[i].text, print(&conf), rows[i].expected);
    }
}

/* N23: the servers of the text, by which those that were asked before are replaced. */
static void test_N23_servers(void **state)
{
    static const struct row rows[] = {
        {"nameserver 10.0.0.1\n", "10.0.0.1#53 || 1"},
        {"nameserver 10.0.0.1\nnameserver\t::1\nnameserver 10.0.0.1",
         "10.0.0.1#53 ::1#53 10.0.0.1#53 || 1"},
        {"nameserver 10.0.0.1 10.0.0.2\n", "10.0.0.1#53 || 1"},
        {"nameserver 10.0.0.1\r\n", "10.0.0.1#53 || 1"},
        {"nameserver 10.0.0.1# comment\n;nameserver 10.0.0.2\n#nameserver 10.0.0.3",
         "10.0.0.1#53 || 1"},
        {"nameserver [10.0.0.1]:5353\nnameserver [::1]:54\nnameserver [::1]\nnameserver 10.0.0.2:1",
         "10.0.0.1#5353 ::1#54 ::1#53 10.0.0.2#1 || 1"},
        {"nameserver a.example\nnameserver 10.0.0\nnameserver\nnameserver 10.0.0.9\n",
         "10.0.0.9#53 || 1"},
        {" nameserver 10.0.0.1\nnameservers 10.0.0.2\nNameserver 10.0.0.3\nnameserver10.0.0.4\n",
         "127.0.0.1#53 || 1"},
        {"nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\nnameserver 1.0.0.4\n"
         "nameserver 1.0.0.5\nnameserver 1.0.0.6\nnameserver 1.0.0.7\nnameserver 1.0.0.8\n"
         "nameserver 1.0.0.9\n",
         "1.0.0.1#53 1.0.0.2#53 1.0.0.3#53 1.0.0.4#53 1.0.0.5#53 1.0.0.6#53 1.0.0.7#53 "
         "1.0.0.8#53 || 1"},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

/* N26: a link-local server cannot be asked, and 127.0.0.1 is not asked in its place. Whether the
   interface is there does not matter. */
static void test_N26_link_local_servers(void **state)
{
    static const struct row rows[] = {
        {"nameserver fe80::1%lo\n", "|| 1 unusable 1"},
        {"nameserver fe80::1%nosuch0\nnameserver fe80::2%1\n", "|| 1 unusable 2"},
        {"nameserver fe80::1\n", "|| 1 unusable 1"},
        {"nameserver fe80::1%lo\nnameserver 10.0.0.1\n", "10.0.0.1#53 || 1 unusable 1"},
        {"nameserver 10.0.0.1%lo\n", "127.0.0.1#53 || 1"},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

static void test_domains_and_ndots(void **state)
{
    static const struct row rows[] = {
        {"search a.example b.example\n", "127.0.0.1#53 | a.example b.example| 1"},
        {"search a\nsearch b c\n", "127.0.0.1#53 | b c| 1"},
        {"search a b\ndomain c\n", "127.0.0.1#53 | c| 1"},
        {"domain c d\nsearch a b\n", "127.0.0.1#53 | a b| 1"},
        {"search a\nsearch\n", "127.0.0.1#53 || 1"},
        {"search a\ndomain\n", "127.0.0.1#53 | a| 1"},
        {"search .\n", "127.0.0.1#53 || 1"},
        {"search Corp.Example. . b@d c..d 127.1 e\n", "127.0.0.1#53 | corp.example e| 1"},
        {"search 1a 2a 3a 4a 5a 6a 7a 8a 9a 10a 11a 12a 13a 14a 15a 16a 17a\n",
         "127.0.0.1#53 | 1a 2a 3a 4a 5a 6a 7a 8a 9a 10a 11a 12a 13a 14a 15a 16a| 1"},
        {"options ndots:0\n", "127.0.0.1#53 || 0"},
        {"options timeout:1 ndots:2 rotate\n", "127.0.0.1#53 || 2"},
        {"options ndots:5\noptions attempts:3\n", "127.0.0.1#53 || 5"},
        {"options ndots:15\n", "127.0.0.1#53 || 15"},
        {"options ndots:16\n", "127.0.0.1#53 || 15"},
        {"options ndots:99999999999999999999\n", "127.0.0.1#53 || 15"},
        {"options ndots:3\noptions ndots:\noptions ndots:-1\noptions ndots:2x\n",
         "127.0.0.1#53 || 3"},
        {"ndots:4\n", "127.0.0.1#53 || 1"},
    };

    (void) state;
    check_rows(rows, COUNT(rows));
}

/* N25: texts that name no server, as those of no file and of 1 MB that is none. */
static void test_N25_texts_that_name_no_server(void **state)
{
    enum { LENGTH = 1024 * 1024 };
    static const struct row rows[] = {
        {"", "127.0.0.1#53 || 1"},
        {"\n\n", "127.0.0.1#53 || 1"},
        {"# nameserver 10.0.0.1", "127.0.0.1#53 || 1"},
        {"nameserver", "127.0.0.1#53 || 1"},
    };
    struct tcpm__resolv_conf conf;
    struct randomness random = {.state = 25};
    char *text = malloc(LENGTH);

    (void) state;
    check_rows(rows, COUNT(rows));
    tcpm__resolv_conf_parse(NULL, 0, &conf);
    assert_string_equal(print(&conf), "127.0.0.1#53 || 1");
    for (const char *fill = "x \n#\xff"; *fill != '\0'; fill++) {
        memset(text, *fill, LENGTH);
        tcpm__resolv_conf_parse(text, LENGTH, &conf);
        assert_string_equal(print(&conf), "127.0.0.1#53 || 1");
    }
    for (size_t i = 0; i < LENGTH; i++)
        text[i] = (char) random_next(&random);
    tcpm__resolv_conf_parse(text, LENGTH, &conf);
    assert_string_equal(print(&conf), "127.0.0.1#53 || 1");
    free(text);
}

static void test_a_text_may_end_anywhere(void **state)
{
    static const char text[] = "nameserver [::1]:53\nsearch a.example\noptions ndots:12\n";

    (void) state;
    for (size_t length = 0; length < sizeof text; length++) {
        struct tcpm__resolv_conf conf;
        char *copy = malloc(length + 1); /* so that a sanitizer sees a read behind the end */

        memcpy(copy + 1, text, length);
        tcpm__resolv_conf_parse(copy + 1, length, &conf);
        assert_true(conf.server_count == 1);
        free(copy);
    }
}

static void test_lists_of_servers(void **state)
{
    static const struct row rows[] = {
        {"1.2.3.4:53, [::1]:5353", "1.2.3.4#53 ::1#5353 | keep| 7"},
        {"1.2.3.4", "1.2.3.4#53 | keep| 7"},
        {"::1", "::1#53 | keep| 7"},
        {"  [::1]  ,,10.0.0.1:65535, ", "::1#53 10.0.0.1#65535 | keep| 7"},
        {"[10.0.0.1]:1", "10.0.0.1#1 | keep| 7"},
    };
    static const char *const wrong[] = {
        "",
        " , ",
        "a",
        "1.2.3",
        "1.2.3.4:",
        "1.2.3.4:0",
        "1.2.3.4:65536",
        "1.2.3.4:5x",
        "1.2.3.4:-1",
        "[::1",
        "::1]",
        "[::1]5",
        "[::1]:",
        "[a]:53",
        "1.2.3.4; 1.2.3.5",
        "1.2.3.4, x",
        "fe80::1%lo",
        "fe80::1",
        "[fe80::1%lo]:53",
        "1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1",
    };

    (void) state;
    struct tcpm__resolv_conf before = {.ndots = 7, .domain_count = 1, .domains = {"keep"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tcpm__resolv_conf conf = before;

        conf.unusable = 1;
        assert_int_equal(tcpm__resolv_conf_parse_servers(rows[i].text, &conf), 0);
        assert_string_equal(print(&conf), rows[i].expected);
    }
    before.unusable = 1;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct tcpm__resolv_conf conf = before;

        if (tcpm__resolv_conf_parse_servers(wrong[i], &conf) != -EINVAL)
            fail_msg("%s is taken", wrong[i]);
        assert_memory_equal(&conf, &before, sizeof conf);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N23_servers),
    cmocka_unit_test(test_N26_link_local_servers),
    cmocka_unit_test(test_domains_and_ndots),
    cmocka_unit_test(test_N25_texts_that_name_no_server),
    cmocka_unit_test(test_a_text_may_end_anywhere),
    cmocka_unit_test(test_lists_of_servers),
};

RUN_TESTS(tests)
