/* SPDX-License-Identifier: MIT */
/* The table of /etc/hosts gives what a search through the text gives, and is fast. */
#include "support.h"

#include "transport/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <strings.h>

enum { MOST = 64 };

/* The addresses that a table has for a name, as text, each with a comma; "?": not known. */
static const char *find(const struct tcpm__hosts *hosts, const char *name, unsigned families)
{
    static char text[4096];
    union tcpm__address addresses[MOST];
    bool known;
    size_t count = tcpm__hosts_find(hosts, name, families, addresses, MOST, &known);

    snprintf(text, sizeof text, "%s", known ? "" : "?");
    for (size_t i = 0; i < count; i++) {
        char one[TCPM__ADDRESS_TEXT];

        tcpm__address_print(&addresses[i], one);
        assert_int_equal(tcpm__address_port(&addresses[i]), 0);
        strncat(text, one, sizeof text - strlen(text) - 1);
        strncat(text, ",", sizeof text - strlen(text) - 1);
    }
    return text;
}

static struct tcpm__hosts *parse(const char *text)
{
    struct tcpm__hosts *hosts;

    assert_int_equal(tcpm__hosts_parse(&tcpm__memory_default, text, strlen(text), &hosts), 0);
    return hosts;
}

/* N27: both families, aliases, upper case, comments. */
static void test_N27_as_listed(void **state)
{
    static const char text[] = "# 9.9.9.9 comment\n"
                               "127.0.0.1\tlocalhost loopback\n"
                               "::1 LocalHost ip6-localhost # 1.1.1.1 localhost\n"
                               "  10.0.0.1   Db.Example.COM db\r\n"
                               "10.0.0.2 db# 10.0.0.3 other\n"
                               "10.0.0.1 db\n"
                               "fe80::1%1 scoped\n"
                               "10.0.0.9\n"
                               "no address\n"
                               "10.0.0 short\n"
                               "[::2] brackets\n"
                               "10.0.0.256 large\n"
                               "0.0.0.0 dotted.\n"
                               "10.0.0.7 last";
    static const struct {
        const char *name;
        unsigned families;
        const char *expected;
    } rows[] = {
        {"localhost", TCPM__ANY_FAMILY, "127.0.0.1,::1,"},
        {"localhost", TCPM__INET, "127.0.0.1,"},
        {"LOCALHOST.", TCPM__INET6, "::1,"},
        {"loopback", TCPM__INET6, ""},
        {"ip6-localhost", TCPM__ANY_FAMILY, "::1,"},
        {"db.example.com", TCPM__ANY_FAMILY, "10.0.0.1,"},
        {"db", TCPM__ANY_FAMILY, "10.0.0.1,10.0.0.2,"},
        {"DB.", TCPM__INET, "10.0.0.1,10.0.0.2,"},
        {"scoped", TCPM__ANY_FAMILY, "fe80::1%1,"},
        {"dotted", TCPM__INET, "0.0.0.0,"},
        {"last", TCPM__INET, "10.0.0.7,"},
        {"comment", TCPM__ANY_FAMILY, "?"},
        {"other", TCPM__ANY_FAMILY, "?"},
        {"address", TCPM__ANY_FAMILY, "?"},
        {"short", TCPM__ANY_FAMILY, "?"},
        {"brackets", TCPM__ANY_FAMILY, "?"},
        {"large", TCPM__ANY_FAMILY, "?"},
        {"example.com", TCPM__ANY_FAMILY, "?"},
        {"10.0.0.9", TCPM__ANY_FAMILY, "?"},
        {"", TCPM__ANY_FAMILY, "?"},
        {".", TCPM__ANY_FAMILY, "?"},
    };

    (void) state;
    struct tcpm__hosts *hosts = parse(text);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *got = find(hosts, rows[i].name, rows[i].families);

        if (strcmp(got, rows[i].expected) != 0)
            fail_msg("%s: %s, not %s", rows[i].name, got, rows[i].expected);
    }
    tcpm__hosts_free(hosts);
}

static void test_texts_without_names(void **state)
{
    static const char *const texts[] = {"",          "\n",          "#",    "\n\n\n",
                                        "127.0.0.1", "127.0.0.1\n", "a b c"};

    (void) state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct tcpm__hosts *hosts = parse(texts[i]);

        assert_string_equal(find(hosts, "localhost", TCPM__ANY_FAMILY), "?");
        assert_string_equal(find(hosts, "b", TCPM__ANY_FAMILY), "?");
        tcpm__hosts_free(hosts);
    }
    tcpm__hosts_free(NULL);
}

static void test_at_most_as_many_as_there_is_room_for(void **state)
{
    union tcpm__address addresses[3];
    bool known;

    (void) state;
    struct tcpm__hosts *hosts = parse("1.0.0.1 a\n1.0.0.1 a\n1.0.0.2 a\n1.0.0.3 a\n1.0.0.4 a\n");
    assert_int_equal(tcpm__hosts_find(hosts, "a", TCPM__INET, addresses, 3, &known), 3);
    assert_true(known);
    assert_int_equal(ntohl(addresses[2].in.sin_addr.s_addr), 0x01000003);
    tcpm__hosts_free(hosts);
}

static void test_names_at_the_limit_of_their_length(void **state)
{
    char text[600], name[300];

    (void) state;
    for (size_t length = 250; length < 260; length++) {
        memset(name, 'n', length);
        name[length] = '\0';
        snprintf(text, sizeof text, "1.2.3.4 %s other", name);
        struct tcpm__hosts *hosts = parse(text);
        assert_string_equal(find(hosts, name, TCPM__INET), length < 256 ? "1.2.3.4," : "?");
        assert_string_equal(find(hosts, "other", TCPM__INET), "1.2.3.4,");
        tcpm__hosts_free(hosts);
    }
}

static void test_no_memory(void **state)
{
    struct scarce scarce;
    struct tcpm__hosts *hosts;

    (void) state;
    scarce_init(&scarce);
    scarce.left = 0;
    assert_int_equal(tcpm__hosts_parse(&scarce.memory, "1.2.3.4 a", 9, &hosts), -ENOMEM);
    assert_int_equal(tcpm__hosts_parse(&scarce.memory, "1.2.3.4 a", 9, &hosts), 0);
    assert_int_equal(scarce.blocks, 1);
    tcpm__hosts_free(hosts);
    assert_int_equal(scarce.blocks, 0);
}

/* ---- against a model ---- */

/* The lines whose names may be asked for, kept as they were written. */
struct model_line {
    char address[16];
    char names[4][8];
    unsigned count;
};

static const char *model_find(const struct model_line *lines, size_t count, const char *name)
{
    static char text[4096];
    bool known = false;

    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        for (unsigned k = 0; k < lines[i].count; k++) {
            char item[sizeof lines[i].address + 8];

            if (strcasecmp(lines[i].names[k], name) != 0)
                continue;
            known = true;
            snprintf(item, sizeof item, "%.15s,", lines[i].address);
            if (strstr(text, item) == NULL)
                strncat(text, item, sizeof text - strlen(text) - 1);
        }
    }
    return known ? text : "?";
}

static void random_name(struct randomness *random, char name[8])
{
    snprintf(name, 8, "%c%c%d", (int) ("aAbB"[random_below(random, 4)]),
             (int) ("xyXY"[random_below(random, 4)]), (int) random_below(random, 10));
}

/* Appends formatted text to one of so many bytes: the new number. */
__attribute__((format(printf, 3, 4))) static size_t append(char *text, size_t length,
                                                           const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    length += (size_t) vsnprintf(text + length, 32, format, arguments);
    va_end(arguments);
    return length;
}

static size_t write_line(struct randomness *random, struct model_line *line, char *text)
{
    static const char *const blanks[] = {" ", "\t", "   ", " \t "};

    snprintf(line->address, sizeof line->address, "10.0.%d.%d", (int) random_below(random, 2) + 100,
             (int) random_below(random, 10) + 100);
    size_t length = append(text, 0, "%s", line->address);
    line->count = (unsigned) random_below(random, COUNT(line->names) + 1);
    for (unsigned k = 0; k < line->count; k++) {
        random_name(random, line->names[k]);
        length = append(text, length, "%s%s", blanks[random_below(random, COUNT(blanks))],
                        line->names[k]);
    }
    return append(text, length, "%s", random_below(random, 3) == 0 ? " # ax1\n" : "\n");
}

static void test_random_texts_give_what_a_search_gives(void **state)
{
    enum { LINES = 60 };
    static struct model_line lines[LINES];
    static char text[LINES * 80];
    struct randomness random = {.state = 27};

    (void) state;
    for (int round = 0; round < 300; round++) {
        size_t length = 0, count = random_below(&random, LINES);
        char name[8];

        for (size_t i = 0; i < count; i++)
            length += write_line(&random, &lines[i], text + length);
        text[length] = '\0';
        struct tcpm__hosts *hosts = parse(text);
        for (int look = 0; look < 100; look++) {
            random_name(&random, name);
            assert_string_equal(find(hosts, name, TCPM__ANY_FAMILY),
                                model_find(lines, count, name));
        }
        tcpm__hosts_free(hosts);
    }
}

/* ---- speed ---- */

/* N27: 650 KB of text, and a look-up below 20 microseconds, whether the name is there or not. */
static void test_N27_650_kb(void **state)
{
    enum { SIZE = 650 * 1024, LINE = 64, ROUNDS = 20 };
    char *text = malloc(SIZE + LINE), name[48];
    size_t length = 0, lines = 0, found = 0;
    union tcpm__address address;
    bool known;

    (void) state;
    for (; length < SIZE; lines++)
        length += (size_t) snprintf(text + length, LINE, "10.%zu.%zu.%zu host-%zu.example h%zu\n",
                                    lines >> 16, lines >> 8 & 255, lines & 255, lines, lines);

    struct tcpm__hosts *hosts;
    double began = cpu_seconds();
    assert_int_equal(tcpm__hosts_parse(&tcpm__memory_default, text, length, &hosts), 0);
    double parsed = cpu_seconds();
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < 2 * lines; i += 3) {
            snprintf(name, sizeof name, "HOST-%zu.example.", i);
            found += tcpm__hosts_find(hosts, name, TCPM__ANY_FAMILY, &address, 1, &known);
        }
    }
    double each = (cpu_seconds() - parsed) / ((double) ROUNDS * (double) (2 * lines / 3)) * 1e6;
    print_message("# %zu lines: read in %.1f ms; %.3f us for each look-up\n", lines,
                  (parsed - began) * 1e3, each);
    assert_int_equal(found, ROUNDS * ((lines + 2) / 3));
    assert_true(each < 20);
    tcpm__hosts_free(hosts);
    free(text);
}

/* 50,000 lines with one name, which share a bucket and a chain: still a matter of milliseconds. */
static void test_many_lines_of_one_name(void **state)
{
    enum { LINES = 50000, LINE = 32 };
    char *text = malloc(LINES * LINE);
    size_t length = 0;
    union tcpm__address addresses[MOST];
    bool known;

    (void) state;
    for (int i = 0; i < LINES; i++)
        length += (size_t) snprintf(text + length, LINE, "10.1.%d.%d a\n", i >> 8, i & 255);

    struct tcpm__hosts *hosts;
    double began = cpu_seconds();
    assert_int_equal(tcpm__hosts_parse(&tcpm__memory_default, text, length, &hosts), 0);
    assert_int_equal(tcpm__hosts_find(hosts, "a", TCPM__INET6, addresses, MOST, &known), 0);
    assert_true(known);
    assert_int_equal(tcpm__hosts_find(hosts, "a", TCPM__INET, addresses, MOST, &known), MOST);
    assert_int_equal(ntohl(addresses[MOST - 1].in.sin_addr.s_addr), 0x0a010000 + MOST - 1);
    assert_true(cpu_seconds() - began < 1);
    tcpm__hosts_free(hosts);
    free(text);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N27_as_listed),
    cmocka_unit_test(test_texts_without_names),
    cmocka_unit_test(test_at_most_as_many_as_there_is_room_for),
    cmocka_unit_test(test_names_at_the_limit_of_their_length),
    cmocka_unit_test(test_no_memory),
    cmocka_unit_test(test_random_texts_give_what_a_search_gives),
    cmocka_unit_test(test_N27_650_kb),
    cmocka_unit_test(test_many_lines_of_one_name),
};

RUN_TESTS(tests)
