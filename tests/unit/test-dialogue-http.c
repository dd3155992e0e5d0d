/* SPDX-License-Identifier: MIT */
/* Dialogues with HTTP proxies, by CONNECT. */
#include "scene.h"

static void test_P13_P14_P20_P22_connect_sends_the_name_or_the_address(void **state)
{
    static const struct scene scenes[] = {
        {.proxy = "http://h",
         .name = "a.test",
         .address = "10.0.0.1",
         .replies = {BYTES("HTTP/1.1 200 OK\r\n\r\n")},
         .sent = BYTES(REQUEST("a.test:8443")),
         .result = 1},
        {.proxy = "http://h",
         .address = "10.0.0.1",
         .replies = {BYTES("HTTP/1.0 200 Connection established\r\n\r\n")},
         .sent = BYTES(REQUEST("10.0.0.1:8443")),
         .result = 1},
        {.proxy = "http://h",
         .address = "2001:db8::1%1",
         .replies = {BYTES("HTTP/1.1 200\r\nA: b\r\nC: d\r\n\r\n")},
         .sent = BYTES(REQUEST("[2001:db8::1]:8443")),
         .result = 1},
        {.proxy = "http://h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 200 \nA: b\n\n")},
         .sent = BYTES(REQUEST("a.test:8443")),
         .result = 1},
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

/* Each length of the credentials has another end in base 64. */
static void test_P26_basic_authentication(void **state)
{
    static const struct scene scenes[] = {
        {.proxy = "http://Aladdin:open%20sesame@h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 200 OK\r\n\r\n")},
         .sent = BYTES(LOGIN_REQUEST("a.test:8443", "QWxhZGRpbjpvcGVuIHNlc2FtZQ==")),
         .result = 1},
        {.proxy = "http://u:p@h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 200 OK\r\n\r\n")},
         .sent = BYTES(LOGIN_REQUEST("a.test:8443", "dTpw")),
         .result = 1},
        {.proxy = "http://u:p%c3%bf@h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 200 OK\r\n\r\n")},
         .sent = BYTES(LOGIN_REQUEST("a.test:8443", "dTpww78=")),
         .result = 1},
        {.proxy = "http://u:::@h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 200 OK\r\n\r\n")},
         .sent = BYTES(LOGIN_REQUEST("a.test:8443", "dTo6Og==")),
         .result = 1},
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

static void test_P06_P07_refusals_of_HTTP(void **state)
{
    static const struct scene scenes[] = {
        REFUSED("http://u:q@h",
                "HTTP/1.1 407 Proxy Access Denied\r\nProxy-Authenticate: Basic\r\n\r\n",
                TCPM_EPROXYAUTH,
                "hop 1, http h:3128: reply 407 Proxy Access Denied: wrong user or password"),
        {.proxy = "http://h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.0 407 Proxy Authentication Required\r\n\r\n<html>")},
         .result = TCPM_EPROXYAUTH,
         .why =
             "hop 1, http h:3128: reply 407 Proxy Authentication Required: it wants a user and a "
             "password",
         .rest = "<html>"},
        REFUSED("http://u:q@h:80", "HTTP/1.0 401 Basic Access Denied\r\nServer: tinyproxy\r\n\r\n",
                TCPM_EPROXYAUTH,
                "hop 1, http h:80: reply 401 Basic Access Denied: wrong user or password"),
        {.proxy = "http://h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.0 500 Unable to connect\r\nServer: tinyproxy\r\n\r\n<html>")},
         .result = TCPM_EPROXY,
         .why = "hop 1, http h:3128: reply 500 Unable to connect",
         .rest = "<html>"},
        REFUSED("http://h", "HTTP/1.1 403\r\n\r\n", TCPM_EPROXY, "hop 1, http h:3128: reply 403"),
        REFUSED("http://h", "HTTP/1.1 302 F\303\274nd\0x\r\n\r\n", TCPM_EPROXY,
                "hop 1, http h:3128: reply 302 F??nd"),
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

/* A proxy that sends back what it was sent. */
static void test_P27_no_reason_has_credentials(void **state)
{
    static const struct scene scenes[] = {
        REFUSED("http://hunter:sesame@h", "HTTP/1.1 403 No hunter\r\n\r\n", TCPM_EPROXY,
                "hop 1, http h:3128: reply 403"),
        REFUSED("http://hunter:sesame@h", "HTTP/1.1 407 No sesame\r\n\r\n", TCPM_EPROXYAUTH,
                "hop 1, http h:3128: reply 407: wrong user or password"),
        REFUSED("http://hunter:sesame@h", "HTTP/1.1 407 Basic aHVudGVyOnNlc2FtZQ==\r\n\r\n",
                TCPM_EPROXYAUTH, "hop 1, http h:3128: reply 407: wrong user or password"),
        REFUSED("http://hunter:sesame@h",
                "HTTP/1.1 500 " SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN "sesame\r\n\r\n",
                TCPM_EPROXY, "hop 1, http h:3128: reply 500"),
        REFUSED("http://hunter:TP@h", "HTTP/2", TCPM_EPROXY,
                "hop 1, http h:3128: no reply of HTTP/1: \"\""),
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

static void test_P11_what_comes_behind_the_blank_line_is_the_target_s(void **state)
{
    static const struct scene scenes[] = {
        {.proxy = "http://h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 200 OK\r\nA: b\r\n\r\n220 hello\r\n")},
         .result = 1,
         .rest = "220 hello\r\n"},
        {.proxy = "http://h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 200 OK\r\n\r\n\r\n\r\n")},
         .result = 1,
         .rest = "\r\n\r\n"},
        {.proxy = "http://h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 200 OK\n\nHTTP/1.1 500 No\n\n")},
         .result = 1,
         .rest = "HTTP/1.1 500 No\n\n"},
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

static void test_P16_what_is_no_reply_of_HTTP_1(void **state)
{
    static const struct scene scenes[] = {
        REFUSED("http://h", "HTTP/1.1 2000", TCPM_EPROXY,
                "hop 1, http h:3128: no reply of HTTP/1: \"HTTP/1.1 2000\""),
        REFUSED("http://h", "HTTP/2", TCPM_EPROXY,
                "hop 1, http h:3128: no reply of HTTP/1: \"HTTP/2\""),
        REFUSED("http://h", "I", TCPM_EPROXY, "hop 1, http h:3128: no reply of HTTP/1: \"I\""),
        REFUSED("http://h", "\5", TCPM_EPROXY, "hop 1, http h:3128: no reply of HTTP/1: \"?\""),
        REFUSED("http://h", "\r\n", TCPM_EPROXY, "hop 1, http h:3128: no reply of HTTP/1: \"\""),
        REFUSED("http://h", "HTTP/1.1 20\r\n", TCPM_EPROXY,
                "hop 1, http h:3128: no reply of HTTP/1: \"HTTP/1.1 20\""),
        REFUSED("http://h", "HTTP/1.1 200\r\r\n", TCPM_EPROXY,
                "hop 1, http h:3128: no reply of HTTP/1: \"HTTP/1.1 200?\""),
        REFUSED("http://h", "HTTP/1.10", TCPM_EPROXY,
                "hop 1, http h:3128: no reply of HTTP/1: \"HTTP/1.10\""),
        REFUSED("http://h", "HTTP/1.1  ", TCPM_EPROXY,
                "hop 1, http h:3128: no reply of HTTP/1: \"HTTP/1.1  \""),
        REFUSED("http://h", "HTTP/1.1 099 x\r\n\r\n", TCPM_EPROXY,
                "hop 1, http h:3128: reply 99 x"),
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

/* In full: what follows is of no interest any more. */
static void test_P16_the_lines_of_the_row(void **state)
{
    static const char *const lines[] = {"HTTP/1.1 2000 OK\r\n\r\n", "HTTP/2 200\r\n\r\n",
                                        "ICY 200 OK\r\n\r\n"};

    (void) state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct scene scene = {"http://h", 0, "a.test", NULL, {{lines[i], strlen(lines[i])}},
                              BYTES(""),  0, NULL,     NULL};
        struct course course;

        play_once(&scene, WHOLE, WHOLE, &course);
        assert_int_equal(course.result, TCPM_EPROXY);
    }
}

/* A header of so many bytes in all, in one long line, many short ones, or several replies. */
static int try_header(const char *beginning, const char *filling, size_t length, size_t piece)
{
    static char header[20000];
    struct scene scene = {"http://h", 0, "a.test", NULL, {{header, length}},
                          BYTES(""),  1, NULL,     NULL};
    struct course course;
    size_t at = strlen(beginning);

    memcpy(header, beginning, at);
    for (size_t i = 0; at < length; i++)
        header[at++] = filling[i % strlen(filling)];
    memcpy(header + length - 4, "\r\n\r\n", 4);
    play_once(&scene, piece, WHOLE, &course);
    if (course.result < 0)
        assert_string_equal(course.why, "hop 1, http h:3128: no blank line within 16 KiB");
    return course.result;
}

static void test_P16_no_blank_line_in_16_KiB(void **state)
{
    static const char *const beginnings[] = {
        "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nA: ", "HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 x\r\n"};
    static const char *const fillings[] = {"x", "a: b\r\n", "\rx"};

    (void) state;
    for (size_t i = 0; i < COUNT(beginnings); i++) {
        for (size_t k = 0; k < COUNT(fillings); k++) {
            /* The status line has to be a status line. */
            const char *filling = i == 0 && k != 0 ? " y" : fillings[k];

            assert_int_equal(try_header(beginnings[i], filling, 16384, WHOLE), 1);
            assert_int_equal(try_header(beginnings[i], filling, 16384, 1), 1);
            assert_int_equal(try_header(beginnings[i], filling, 16385, WHOLE), TCPM_EPROXY);
            assert_int_equal(try_header(beginnings[i], filling, 16385, 1), TCPM_EPROXY);
            assert_int_equal(try_header(beginnings[i], filling, 19999, WHOLE), TCPM_EPROXY);
        }
    }
}

static void test_P17_the_tunnel_begins_at_the_blank_line(void **state)
{
    static const struct scene scenes[] = {
        {.proxy = "http://h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 204 No Content\r\n\r\nhello")},
         .result = 1,
         .rest = "hello"},
        {.proxy = "http://h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")},
         .result = 1,
         .rest = "hello"},
        {.proxy = "http://h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello")},
         .result = 1,
         .rest = "5\r\nhello"},
        {.proxy = "http://h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 299 x\r\n\r\n")},
         .result = 1},
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

static void test_P18_replies_of_1xx_are_skipped(void **state)
{
    static const struct scene scenes[] = {
        {.proxy = "http://h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n!")},
         .result = 1,
         .rest = "!"},
        {.proxy = "http://h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"),
                     BYTES("HTTP/1.1 100\n\n"), BYTES("HTTP/1.0 502 Bad Gateway\r\n\r\n")},
         .result = TCPM_EPROXY,
         .why = "hop 1, http h:3128: reply 502 Bad Gateway"},
        REFUSED("http://h", "HTTP/1.1 100 Continue\r\n\r\n\r\n", TCPM_EPROXY,
                "hop 1, http h:3128: no reply of HTTP/1: \"\""),
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_P13_P14_P20_P22_connect_sends_the_name_or_the_address),
    cmocka_unit_test(test_P26_basic_authentication),
    cmocka_unit_test(test_P06_P07_refusals_of_HTTP),
    cmocka_unit_test(test_P27_no_reason_has_credentials),
    cmocka_unit_test(test_P11_what_comes_behind_the_blank_line_is_the_target_s),
    cmocka_unit_test(test_P16_what_is_no_reply_of_HTTP_1),
    cmocka_unit_test(test_P16_the_lines_of_the_row),
    cmocka_unit_test(test_P16_no_blank_line_in_16_KiB),
    cmocka_unit_test(test_P17_the_tunnel_begins_at_the_blank_line),
    cmocka_unit_test(test_P18_replies_of_1xx_are_skipped),
};

RUN_TESTS(tests)
