/* SPDX-License-Identifier: MIT */
/* Of dialogues with proxies, what all kinds share. */
#include "scene.h"

static void test_P21_names_that_are_none(void **state)
{
    static const char *const schemes[] = {"socks5h://h", "http://h"};
    static const char *const names[] = {"",    "a b", "a\r\nb", "a:80", "a/b",   "a?b",
                                        "a#b", "a@b", "[::1]",  "a\\b", "a\x7f", "b\303\274cher"};
    char name[300];
    struct tcpm__dialogue *dialogue;

    (void) state;
    for (size_t i = 0; i < COUNT(schemes); i++) {
        struct scene scene = {schemes[i], 0, name, "10.0.0.1", {BYTES("")},
                              BYTES(""),  0, NULL, NULL};

        for (size_t length = 250; length < sizeof name; length++) {
            memset(name, 'a', length);
            name[length] = '\0';
            int result = open_scene(&tcpm__memory_default, &scene, &dialogue);
            assert_int_equal(result, length <= 253 ? 0 : TCPM_EBADNAME);
            if (result == 0)
                tcpm__dialogue_close(dialogue);
        }
        for (size_t k = 0; k < COUNT(names); k++) {
            scene.name = names[k];
            assert_int_equal(open_scene(&tcpm__memory_default, &scene, &dialogue), TCPM_EBADNAME);
        }
    }
}

/* The name and the credentials may be as long as they can be, both at once. */
static void test_P21_the_longest_request(void **state)
{
    char proxy[600] = "http://", name[254];
    struct scene scene = {proxy,     0, name, NULL, {BYTES("HTTP/1.1 200 OK\r\n\r\n")},
                          BYTES(""), 1, NULL, NULL};
    struct course course;

    (void) state;
    memset(name, 'a', 253);
    name[253] = '\0';
    memset(proxy + 7, 'u', 255);
    proxy[262] = ':';
    memset(proxy + 263, 'p', 255);
    memcpy(proxy + 518, "@h", 3);
    play_once(&scene, WHOLE, WHOLE, &course);
    assert_int_equal(course.result, 1);
    assert_int_equal(course.length, 8 + 258 + 17 + 258 + 2 + 27 + 684 + 4);
    assert_memory_equal(course.sent + course.length - 4, "\r\n\r\n", 4);
}

static void test_P24_the_second_hop_is_named(void **state)
{
    static const char chain[] = "socks5h://a.test http://u:p@b.test:80 socks5://[::1]:9";
    static const struct scene scenes[] = {
        {.proxy = chain,
         .name = "b.test",
         .replies = {BYTES("\5\0"), BYTES("\5\4\0\1......")},
         .result = -EHOSTUNREACH,
         .why = "hop 1, socks5h a.test:1080: reply 4: host unreachable"},
        {.proxy = chain,
         .index = 1,
         .address = "2001:db8::1",
         .replies = {BYTES("HTTP/1.1 502 Bad Gateway\r\n\r\n")},
         .sent = BYTES(LOGIN_REQUEST("[2001:db8::1]:8443", "dTpw")),
         .result = TCPM_EPROXY,
         .why = "hop 2, http b.test:80: reply 502 Bad Gateway"},
        {.proxy = chain,
         .index = 2,
         .address = "10.0.0.1",
         .replies = {BYTES("\5\0"), BYTES("\5\1\0\1......")},
         .result = TCPM_EPROXY,
         .why = "hop 3, socks5 [::1]:9: reply 1: general failure"},
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

static void check_explained(const struct scene *scene, size_t most, int code, const char *expected)
{
    struct tcpm__dialogue *dialogue = NULL;
    struct course course;
    char why[TCPM__DIALOGUE_WHY];

    assert_int_equal(open_scene(&tcpm__memory_default, scene, &dialogue), 0);
    play(dialogue, scene, WHOLE, most, &course);
    tcpm__dialogue_explain(dialogue, code, why);
    assert_string_equal(why, expected);
    tcpm__dialogue_close(dialogue);
}

/* What is told of a dialogue that is cut off, at each of its steps. */
static void test_P14_where_it_was_cut(void **state)
{
    static const struct scene socks5 = {"http://b socks5h://me:secret@h",
                                        1,
                                        "a.test",
                                        NULL,
                                        {BYTES("\5\2"), BYTES("\1\0"), BYTES(GRANTED)},
                                        BYTES(""),
                                        1,
                                        NULL,
                                        NULL};
    static const struct scene http = {"http://me:secret@h",
                                      0,
                                      "a.test",
                                      NULL,
                                      {BYTES("HTTP/1.1 200 OK\r\n\r\n")},
                                      BYTES(""),
                                      1,
                                      NULL,
                                      NULL};
    char expected[TCPM__DIALOGUE_WHY];

    (void) state;
    snprintf(expected, sizeof expected, "hop 2, socks5h h:1080: %s, before its reply to %s",
             tcpm_error_text(TCPM_EOF), "the greeting");
    check_explained(&socks5, 1, TCPM_EOF, expected);
    snprintf(expected, sizeof expected, "hop 2, socks5h h:1080: %s, before its reply to %s",
             tcpm_error_text(-ECONNRESET), "user and password");
    check_explained(&socks5, 2, -ECONNRESET, expected);
    snprintf(expected, sizeof expected, "hop 2, socks5h h:1080: %s, before its reply to %s",
             tcpm_error_text(-ETIMEDOUT), "the request");
    check_explained(&socks5, 13, -ETIMEDOUT, expected);
    snprintf(expected, sizeof expected, "hop 1, http h:3128: %s, before its reply to %s",
             tcpm_error_text(TCPM_EOF), "CONNECT");
    check_explained(&http, 18, TCPM_EOF, expected);
}

/* The longest reason of all: a long host, and a long phrase. */
static void test_a_long_reason_is_whole(void **state)
{
    char proxy[300] = "http://", reply[120] = "HTTP/1.1 407 ";
    struct scene scene = {proxy, 0, "a.test", NULL, {{reply, 0}}, BYTES(""), 1, NULL, NULL};
    struct course course;

    (void) state;
    for (int i = 0; i < 126; i++)
        memcpy(proxy + strlen(proxy), "a.", 3);
    memcpy(proxy + strlen(proxy), "a:65535", 8);
    memset(reply + strlen(reply), 'x', 81);
    memcpy(reply + 94, "\n\n", 3);
    scene.replies[0].length = 96;
    play_once(&scene, WHOLE, WHOLE, &course);
    assert_int_equal(course.result, TCPM_EPROXYAUTH);
    assert_non_null(strstr(course.why, ".a:65535: reply 407 xxx"));
    assert_non_null(strstr(course.why, "x: it wants a user and a password"));
}

static void test_P44_without_memory(void **state)
{
    static const struct scene scenes[] = {
        {.proxy = "socks5h://u:p@h",
         .name = "a.test",
         .replies = {BYTES("\5\2"), BYTES("\1\0"), BYTES(GRANTED)},
         .result = 1},
        {.proxy = "http://u:p@h",
         .name = "a.test",
         .replies = {BYTES("HTTP/1.1 200 OK\r\n\r\n")},
         .result = 1},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(scenes); i++) {
        long failed = 0;

        for (int result = -ENOMEM; result != 0; failed++) {
            struct tcpm__dialogue *dialogue = NULL;
            struct scarce scarce;
            struct course course;

            scarce_init(&scarce);
            scarce.left = failed;
            result = open_scene(&scarce.memory, &scenes[i], &dialogue);
            assert_true(result == 0 || result == -ENOMEM);
            if (result == 0) {
                play(dialogue, &scenes[i], WHOLE, WHOLE, &course);
                assert_int_equal(course.result, 1);
            }
            tcpm__dialogue_close(dialogue);
            assert_int_equal(scarce.blocks, 0);
        }
        assert_in_range(failed, 3, 10);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_P21_names_that_are_none),
    cmocka_unit_test(test_P21_the_longest_request),
    cmocka_unit_test(test_P24_the_second_hop_is_named),
    cmocka_unit_test(test_P14_where_it_was_cut),
    cmocka_unit_test(test_a_long_reason_is_whole),
    cmocka_unit_test(test_P44_without_memory),
};

RUN_TESTS(tests)
