/* SPDX-License-Identifier: MIT */
/* The option resolve: which line is meant for a host and a port, and what no line may be. */
#include "addresses.h"
#include "text_option.h"

#include "transport/host_name.h"
#include "transport/overrides.h"

TEXT_OPTION_FUNCTIONS(overrides, try_lines, parse, drop)

/* expected: "address port", or "" for none. */
static void check(const struct tcpm__overrides *overrides, const char *host, unsigned port,
                  const char *expected)
{
    char text[TCPM__ADDRESS_TEXT + 8] = "";
    union tcpm__address address;

    if (tcpm__overrides_find(overrides, host, port, &address)) {
        tcpm__address_print(&address, text);
        snprintf(text + strlen(text), 8, " %u", tcpm__address_port(&address));
    }
    if (strcmp(text, expected) != 0)
        fail_msg("%s, %u: '%s', not '%s'", host, port, text, expected);
}

/* What is found for a host and a port. */
struct answer {
    const char *host;
    unsigned port;
    const char *expected;
};

static void check_all(const char *text, const struct answer *answers, size_t count)
{
    struct tcpm__overrides *overrides = parse(text);

    for (size_t i = 0; i < count; i++)
        check(overrides, answers[i].host, answers[i].port, answers[i].expected);
    drop(overrides);
}

static void test_N56_the_pair_comes_before_the_host_and_that_before_the_port(void **state)
{
    static const struct answer answers[] = {
        {"a.test", 80, "10.0.0.1 1001"},
        {"a.test", 81, "10.0.0.2 1002"},
        {"b.test", 80, "10.0.0.3 1003"},
        {"b.test", 443, "2001:db8::1 1004"},
        {"b.test", 81, ""},
        {"c.test", 80, "10.0.0.3 1003"},
        {"c.test", 443, ""},
        {"*", 443, ""},
    };

    (void) state;
    check_all("*:80=10.0.0.3:1003\n"
              "a.test:*=10.0.0.2:1002\n"
              "a.test:80=10.0.0.1:1001\n"
              "b.test:443=[2001:db8::1]:1004\n",
              answers, COUNT(answers));
}

static void test_N56_the_port_stays_where_none_is_given(void **state)
{
    static const struct answer answers[] = {
        {"a.test", 443, "10.0.0.1 443"},
        {"a.test", 1, "10.0.0.1 1"},
        {"b.test", 80, "::1 80"},
    };

    (void) state;
    check_all("a.test:*=10.0.0.1\nb.test:80=[::1]", answers, COUNT(answers));
}

static void test_N56_case_and_the_last_dot_do_not_count(void **state)
{
    static const struct answer answers[] = {
        {"a.test", 80, "10.0.0.1 80"},
        {"a.TEST.", 80, "10.0.0.1 80"},
        {"B.test.", 80, "10.0.0.2 80"},
        {"b.test..", 80, ""},
        {"b.tes", 80, ""},
        {"b.testx", 80, ""},
        {".b.test", 80, ""},
    };

    (void) state;
    check_all("A.Test.:80=10.0.0.1\nb.test:80=10.0.0.2\n", answers, COUNT(answers));
}

/* A name is found in the form in which it is looked up, in a library with libidn2. */
static void test_N56_names_beyond_ASCII(void **state)
{
    struct tcpm__overrides *overrides = parse("b\xc3\xbc"
                                              "cher.test:80=10.0.0.1\n"
                                              "xn--strae-oqa.test:80=10.0.0.2\n");
    char name[TCPM__HOST_NAME_SIZE];
    const char *why;
    bool absolute;

    (void) state;
    check(overrides,
          "b\xc3\xbc"
          "cher.test.",
          80, "10.0.0.1 80");
    if (tcpm__host_name_make("b\xc3\xbc"
                             "cher.test",
                             name, &absolute, &why) == 0) {
        check(overrides,
              "B\xc3\x9c"
              "CHER.test",
              80, "10.0.0.1 80");
        check(overrides, "xn--bcher-kva.test", 80, "10.0.0.1 80");
        check(overrides,
              "stra\xc3\x9f"
              "e.test",
              80, "10.0.0.2 80");
    }
    check(overrides, "\xe2\x98\x83", 80, "");
    check(overrides, "\xff", 80, "");
    drop(overrides);
}

/* Keys beyond ASCII may be longer than the lines that they are made from. */
static void test_many_names_beyond_ASCII_have_room(void **state)
{
    struct tcpm__overrides *overrides;
    char text[100 * 40] = "";

    (void) state;
    for (int i = 0; i < 100; i++)
        snprintf(text + strlen(text), 40, "\xc3\xbc.\xc3\xbc%d:1=1.1.1.1:%d\n", i, i + 1);
    overrides = parse(text);
    for (int i = 0; i < 100; i++) {
        char name[40], expected[40];

        snprintf(name, sizeof name, "\xc3\xbc.\xc3\xbc%d", i);
        snprintf(expected, sizeof expected, "1.1.1.1 %d", i + 1);
        check(overrides, name, 1, expected);
    }
    drop(overrides);
}

static void test_numeric_hosts(void **state)
{
    static const struct answer answers[] = {
        {"1.2.3.4", 80, "10.0.0.1 80"},
        {"2001:db8::1", 80, "10.0.0.2 80"},
        {"[2001:db8::0.0.0.1]", 80, "10.0.0.2 80"},
        {"2001:db8::2", 80, ""},
        {"fe80::1%1", 80, "10.0.0.3 80"},
        {"fe80::1%2", 80, ""},
        {"fe80::1", 80, ""},
        {"127.1", 80, ""},
        {"", 80, ""},
    };

    (void) state;
    check_all("1.2.3.4:80=10.0.0.1\n"
              "[2001:DB8:0::1]:80=10.0.0.2\n"
              "[fe80::1%1]:*=10.0.0.3\n",
              answers, COUNT(answers));
}

static void test_the_last_line_counts(void **state)
{
    struct tcpm__overrides *overrides = parse("a:80=10.0.0.1\nA:80=10.0.0.2:81\na.:80=10.0.0.3\n");

    (void) state;
    check(overrides, "a", 80, "10.0.0.3 80");
    drop(overrides);
}

static void test_blanks_and_empty_lines(void **state)
{
    struct tcpm__overrides *overrides = parse("\n \t a:80=10.0.0.1 \r\n\n\r\n  b:80=10.0.0.2\t");
    struct tcpm__overrides *none = parse(" \n\t\r\n");

    (void) state;
    check(overrides, "a", 80, "10.0.0.1 80");
    check(overrides, "b", 80, "10.0.0.2 80");
    check(none, "a", 80, "");
    drop(overrides);
    drop(none);
    drop(NULL);
}

static void test_long_names(void **state)
{
    char name[255], line[300];

    (void) state;
    for (size_t length = 250; length < sizeof name; length++) {
        struct tcpm__overrides *overrides;
        struct tcpm__part bad;

        memset(name, 'a', length);
        name[length] = '\0';
        snprintf(line, sizeof line, "%s:80=10.0.0.1", name);
        int result = tcpm__overrides_parse(&tcpm__memory_default, line, &overrides, &bad);
        assert_int_equal(result, length <= 253 ? 0 : -EINVAL);
        if (result < 0)
            continue;
        check(overrides, name, 80, "10.0.0.1 80");
        drop(overrides);
    }
}

static void test_what_is_no_line(void **state)
{
    static const char *const lines[] = {
        "a",
        "=",
        "a=10.0.0.1",
        "a:=10.0.0.1",
        "a:80",
        "a:80=",
        "a:80=b.test",
        "a:80=b.test:80",
        "a:80=10.0.0.1:",
        "a:80=10.0.0.1:0",
        "a:80=10.0.0.1:*",
        "a:80=10.0.0.1:65536",
        "a:80=10.0.0.1:80x",
        "a:80=10.0.0.1=10.0.0.2",
        "a:80=::1",
        "a:80=::1:80",
        "a:80=[::1",
        "a:80=[::1]80",
        "a:80=[10.0.0.1]",
        "a:80=127.1",
        "a:0=10.0.0.1",
        "a:65536=10.0.0.1",
        "a:4294967376=10.0.0.1",
        "a:-1=10.0.0.1",
        "a:+80=10.0.0.1",
        "a:http=10.0.0.1",
        "a:80:81=10.0.0.1",
        ":80=10.0.0.1",
        "*:*=10.0.0.1",
        "::1:80=10.0.0.1",
        "[::1:80=10.0.0.1",
        "[::1]=10.0.0.1",
        "[a]:80=10.0.0.1",
        "a b:80=10.0.0.1",
        "a:80 =10.0.0.1",
        "127.1:80=10.0.0.1",
        "http://a:80=10.0.0.1",
    };

    (void) state;
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_refused(try_lines, "b:80=10.0.0.1\n ", lines[i], " \nc:80=10.0.0.1\n");
}

static void test_P44_without_memory(void **state)
{
    (void) state;
    assert_fails_without_memory(try_lines, "a:80=10.0.0.1\nb:*=10.0.0.2");
}

/* ---- against a model ---- */

enum { HOSTS = 20, PORTS = 6, LINES = 60 };

/* The number of the line that counts for each pair; 0: there is none. Host 0 stands for any host,
   port 0 for any port. */
struct model {
    unsigned line[HOSTS][PORTS];
};

static unsigned model_find(const struct model *model, unsigned host, unsigned port)
{
    if (model->line[host][port] != 0)
        return model->line[host][port];
    return model->line[host][0] != 0 ? model->line[host][0] : model->line[0][port];
}

static void print_line(char *text, size_t size, unsigned host, unsigned port, unsigned number)
{
    char host_text[16] = "*", port_text[16] = "*";

    if (host > 0)
        snprintf(host_text, sizeof host_text, "h%u.test", host);
    if (port > 0)
        snprintf(port_text, sizeof port_text, "%u", port);
    snprintf(text, size, "%s:%s=10.0.0.1:%u\n", host_text, port_text, number);
}

static void make_model(struct randomness *random, struct model *ret, char *text, size_t size)
{
    unsigned lines = (unsigned) random_below(random, LINES);

    memset(ret, 0, sizeof *ret);
    text[0] = '\0';
    for (unsigned number = 1; number <= lines; number++) {
        unsigned host = (unsigned) random_below(random, HOSTS);
        unsigned port = (unsigned) random_below(random, PORTS);
        size_t length = strlen(text);

        if (host == 0 && port == 0)
            continue;
        ret->line[host][port] = number;
        print_line(text + length, size - length, host, port, number);
    }
}

static void test_random_lines_are_found_as_by_a_model(void **state)
{
    struct randomness random = {1};
    static char text[LINES * 48];

    (void) state;
    for (int round = 0; round < 2000; round++) {
        struct model model;

        make_model(&random, &model, text, sizeof text);
        struct tcpm__overrides *overrides = parse(text);
        for (unsigned host = 1; host < HOSTS; host++) {
            for (unsigned port = 1; port < PORTS; port++) {
                char name[16], expected[32] = "";
                unsigned line = model_find(&model, host, port);

                snprintf(name, sizeof name, "h%u.test", host);
                if (line > 0)
                    snprintf(expected, sizeof expected, "10.0.0.1 %u", line);
                check(overrides, name, port, expected);
            }
        }
        drop(overrides);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N56_the_pair_comes_before_the_host_and_that_before_the_port),
    cmocka_unit_test(test_N56_the_port_stays_where_none_is_given),
    cmocka_unit_test(test_N56_case_and_the_last_dot_do_not_count),
    cmocka_unit_test(test_N56_names_beyond_ASCII),
    cmocka_unit_test(test_many_names_beyond_ASCII_have_room),
    cmocka_unit_test(test_numeric_hosts),
    cmocka_unit_test(test_the_last_line_counts),
    cmocka_unit_test(test_blanks_and_empty_lines),
    cmocka_unit_test(test_long_names),
    cmocka_unit_test(test_what_is_no_line),
    cmocka_unit_test(test_P44_without_memory),
    cmocka_unit_test(test_random_lines_are_found_as_by_a_model),
};

RUN_TESTS(tests)
