/* SPDX-License-Identifier: MIT */
/* Dialogues with proxies of SOCKS 5. */
#include "scene.h"

static void test_P20_P22_socks5_sends_the_address(void **state)
{
    static const struct scene scenes[] = {
        {.proxy = "socks5://h",
         .name = "a.test",
         .address = "10.0.0.1",
         .replies = {BYTES("\5\0"), BYTES(GRANTED)},
         .sent = BYTES(GREETING BY_QUAD),
         .result = 1},
        {.proxy = "socks5://h",
         .address = "10.0.0.1",
         .replies = {BYTES("\5\0"), BYTES(GRANTED)},
         .sent = BYTES(GREETING BY_QUAD),
         .result = 1},
        {.proxy = "socks5://h",
         .name = "a.test",
         .address = "2001:db8::1",
         .replies = {BYTES("\5\0"), BYTES(GRANTED)},
         .sent = BYTES(GREETING BY_INET6),
         .result = 1},
        {.proxy = "socks5h://h",
         .address = "2001:db8::1%1",
         .replies = {BYTES("\5\0"), BYTES(GRANTED)},
         .sent = BYTES(GREETING BY_INET6),
         .result = 1},
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

static void test_P13_P14_P20_socks5h_sends_the_name(void **state)
{
    static const struct scene scenes[] = {
        {.proxy = "socks5h://h",
         .name = "a.test",
         .address = "10.0.0.1",
         .replies = {BYTES("\5\0"), BYTES(GRANTED)},
         .sent = BYTES(GREETING BY_NAME),
         .result = 1},
        {.proxy = "socks5h://me:secret@h",
         .name = "a.test",
         .replies = {BYTES("\5\2"), BYTES("\1\0"), BYTES(GRANTED)},
         .sent = BYTES(LOGIN_GREETING LOGIN BY_NAME),
         .result = 1},
        {.proxy = "socks5h://me:secret@h",
         .name = "a.test",
         .replies = {BYTES("\5\0"), BYTES(GRANTED)},
         .sent = BYTES(LOGIN_GREETING BY_NAME),
         .result = 1},
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

static void test_P06_P27_wrong_user_or_password(void **state)
{
    static const struct scene scenes[] = {
        {.proxy = "socks5h://me:secret@h",
         .name = "a.test",
         .replies = {BYTES("\5\2"), BYTES("\1\2")},
         .sent = BYTES(LOGIN_GREETING LOGIN),
         .result = TCPM_EPROXYAUTH,
         .why = "hop 1, socks5h h:1080: status 2: wrong user or password"},
        {.proxy = "socks5h://me:secret@h",
         .name = "a.test",
         .replies = {BYTES("\5\2"), BYTES("\1\377")},
         .sent = BYTES(LOGIN_GREETING LOGIN),
         .result = TCPM_EPROXYAUTH,
         .why = "hop 1, socks5h h:1080: status 255: wrong user or password"},
        {.proxy = "socks5h://me:secret@h",
         .name = "a.test",
         .replies = {BYTES("\5\377")},
         .sent = BYTES(LOGIN_GREETING),
         .result = TCPM_EPROXYAUTH,
         .why = "hop 1, socks5h h:1080: method 255: it takes no user and password"},
        {.proxy = "socks5h://h",
         .name = "a.test",
         .replies = {BYTES("\5\377")},
         .sent = BYTES(GREETING),
         .result = TCPM_EPROXYAUTH,
         .why = "hop 1, socks5h h:1080: method 255: it wants a user and a password"},
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

static void test_P07_P08_each_reply_has_its_meaning(void **state)
{
    static const struct {
        unsigned char reply;
        int result;
        const char *text;
    } meanings[] = {
        {1, TCPM_EPROXY, "reply 1: general failure"},
        {2, TCPM_EPROXY, "reply 2: not allowed by its rules"},
        {3, -ENETUNREACH, "reply 3: network unreachable"},
        {4, -EHOSTUNREACH, "reply 4: host unreachable"},
        {5, -ECONNREFUSED, "reply 5: connection refused"},
        {6, -ETIMEDOUT, "reply 6: time to live expired"},
        {7, TCPM_EPROXY, "reply 7: command not supported"},
        {8, -EAFNOSUPPORT, "reply 8: kind of address not supported"},
        {9, TCPM_EPROXY, "reply 9: has no meaning"},
        {255, TCPM_EPROXY, "reply 255: has no meaning"},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(meanings); i++) {
        char reply[] = GRANTED, why[100];
        struct scene scene = {"socks5://[::1]:9",
                              0,
                              NULL,
                              "10.0.0.1",
                              {BYTES("\5\0"), {reply, sizeof reply - 1}},
                              BYTES(GREETING BY_QUAD),
                              meanings[i].result,
                              why,
                              NULL};

        reply[1] = (char) meanings[i].reply;
        snprintf(why, sizeof why, "hop 1, socks5 [::1]:9: %s", meanings[i].text);
        check(&scene);
    }
}

/* Lengths come from the reply: nothing of the reply is left to the target, and no byte more. */
static void test_P09_a_reply_is_read_to_its_end(void **state)
{
    static const struct scene scenes[] = {
        {.proxy = "socks5://h",
         .address = "10.0.0.1",
         .replies = {BYTES("\5\0"), BYTES("\5\0\0\4" SIXTEEN "\1\2")},
         .sent = BYTES(GREETING BY_QUAD),
         .result = 1},
        {.proxy = "socks5://h",
         .address = "2001:db8::1",
         .replies = {BYTES("\5\0"), BYTES("\5\0\0\3\0\1\2hi")},
         .sent = BYTES(GREETING BY_INET6),
         .result = 1,
         .rest = "hi"},
        {.proxy = "socks5h://h",
         .name = "a.test",
         .replies = {BYTES("\5\0"), BYTES("\5\0\0\3\3abc\1\2\5\7")},
         .sent = BYTES(GREETING BY_NAME),
         .result = 1,
         .rest = "\5\7"},
        {.proxy = "socks5h://h",
         .name = "a.test",
         .replies = {BYTES("\5\0"),
                     BYTES("\5\0\0\3\377" SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN
                               SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN
                           "fifteen bytes..\1\2!")},
         .sent = BYTES(GREETING BY_NAME),
         .result = 1,
         .rest = "!"},
        {.proxy = "socks5h://h",
         .name = "a.test",
         .replies = {BYTES("\5\0"), BYTES("\5\4\0\3\5danted\0")},
         .result = -EHOSTUNREACH,
         .why = "hop 1, socks5h h:1080: reply 4: host unreachable"},
        {.proxy = "socks5h://h",
         .name = "a.test",
         .replies = {BYTES("\5\0"), BYTES("\5\5\0\4" SIXTEEN "\0\0")},
         .result = -ECONNREFUSED,
         .why = "hop 1, socks5h h:1080: reply 5: connection refused"},
        {.proxy = "socks5h://h",
         .name = "a.test",
         .replies = {BYTES("\5\0"), BYTES("\5\1\0\3\0\0\0")},
         .result = TCPM_EPROXY,
         .why = "hop 1, socks5h h:1080: reply 1: general failure"},
        {.proxy = "socks5h://h",
         .name = "a.test",
         .replies = {BYTES("\5\0"), BYTES("\5\5\0\0")},
         .result = -ECONNREFUSED,
         .why = "hop 1, socks5h h:1080: reply 5: connection refused"},
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

static void test_P10_what_comes_behind_the_reply_is_the_target_s(void **state)
{
    static const struct scene scenes[] = {
        {.proxy = "socks5://h",
         .address = "10.0.0.1",
         .replies = {BYTES("\5\0"), BYTES(GRANTED "220 hello\r\n")},
         .sent = BYTES(GREETING BY_QUAD),
         .result = 1,
         .rest = "220 hello\r\n"},
        {.proxy = "socks5h://me:secret@h",
         .name = "a.test",
         .replies = {BYTES("\5\2"), BYTES("\1\0"), BYTES(GRANTED "\5\5\5")},
         .sent = BYTES(LOGIN_GREETING LOGIN BY_NAME),
         .result = 1,
         .rest = "\5\5\5"},
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

static void test_P19_what_is_no_SOCKS_5(void **state)
{
    static const struct scene scenes[] = {
        {.proxy = "socks5://h",
         .address = "10.0.0.1",
         .replies = {BYTES("\4")},
         .sent = BYTES(GREETING),
         .result = TCPM_EPROXY,
         .why = "hop 1, socks5 h:1080: version 4: should be 5"},
        {.proxy = "socks5://h",
         .address = "10.0.0.1",
         .replies = {BYTES("H")},
         .sent = BYTES(GREETING),
         .result = TCPM_EPROXY,
         .why = "hop 1, socks5 h:1080: version 72: should be 5"},
        {.proxy = "socks5://h",
         .address = "10.0.0.1",
         .replies = {BYTES("\5\1")},
         .sent = BYTES(GREETING),
         .result = TCPM_EPROXY,
         .why = "hop 1, socks5 h:1080: method 1: was not offered"},
        {.proxy = "socks5://h",
         .address = "10.0.0.1",
         .replies = {BYTES("\5\2")},
         .sent = BYTES(GREETING),
         .result = TCPM_EPROXY,
         .why = "hop 1, socks5 h:1080: method 2: was not offered"},
        {.proxy = "socks5://u:p@h",
         .address = "10.0.0.1",
         .replies = {BYTES("\5\2"), BYTES("\2")},
         .sent = BYTES(LOGIN_GREETING "\1\1u\1p"),
         .result = TCPM_EPROXY,
         .why = "hop 1, socks5 h:1080: version 2: should be 1"},
        {.proxy = "socks5://u:p@h",
         .address = "10.0.0.1",
         .replies = {BYTES("\5\2"), BYTES("\1\0"), BYTES("\1")},
         .result = TCPM_EPROXY,
         .why = "hop 1, socks5 h:1080: version 1: should be 5"},
        {.proxy = "socks5://h",
         .address = "10.0.0.1",
         .replies = {BYTES("\5\0"), BYTES("\4")},
         .result = TCPM_EPROXY,
         .why = "hop 1, socks5 h:1080: version 4: should be 5"},
        {.proxy = "socks5://h",
         .address = "10.0.0.1",
         .replies = {BYTES("\5\0"), BYTES("\5\0\0\2")},
         .result = TCPM_EPROXY,
         .why = "hop 1, socks5 h:1080: kind of address 2: has no meaning"},
    };

    (void) state;
    check_all(scenes, COUNT(scenes));
}

/* A proxy that replies before it was asked; one byte at a time nobody can tell. */
static void test_P19_no_reply_comes_before_its_step(void **state)
{
    static const struct scene scene = {"socks5://h",
                                       0,
                                       NULL,
                                       "10.0.0.1",
                                       {BYTES("\5\0" GRANTED)},
                                       BYTES(GREETING),
                                       TCPM_EPROXY,
                                       "hop 1, socks5 h:1080: step 1: more bytes than its reply",
                                       NULL};
    struct course course;

    (void) state;
    play_once(&scene, WHOLE, WHOLE, &course);
    check_course(&scene, &course);
    play_once(&scene, 1, WHOLE, &course);
    assert_int_equal(course.result, 1);
}

static void test_P26_255_bytes_of_user_and_password_are_sent(void **state)
{
    static char proxy[600], sent[600];
    struct scene scene = {
        proxy,     0, "a.test", NULL, {BYTES("\5\2"), BYTES("\1\0"), BYTES(GRANTED)},
        {sent, 0}, 1, NULL,     NULL};
    char *at = sent;

    (void) state;
    memcpy(proxy, "socks5h://", 10);
    memset(proxy + 10, 'u', 255);
    proxy[265] = ':';
    memset(proxy + 266, 'p', 255);
    memcpy(proxy + 521, "@h", 2);
    memcpy(at, LOGIN_GREETING "\1\377", 6);
    memset(at + 6, 'u', 255);
    at[261] = '\377';
    memset(at + 262, 'p', 255);
    memcpy(at + 517, BY_NAME, sizeof BY_NAME - 1);
    scene.sent.length = 517 + sizeof BY_NAME - 1;
    check(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_P20_P22_socks5_sends_the_address),
    cmocka_unit_test(test_P13_P14_P20_socks5h_sends_the_name),
    cmocka_unit_test(test_P06_P27_wrong_user_or_password),
    cmocka_unit_test(test_P07_P08_each_reply_has_its_meaning),
    cmocka_unit_test(test_P09_a_reply_is_read_to_its_end),
    cmocka_unit_test(test_P10_what_comes_behind_the_reply_is_the_target_s),
    cmocka_unit_test(test_P19_what_is_no_SOCKS_5),
    cmocka_unit_test(test_P19_no_reply_comes_before_its_step),
    cmocka_unit_test(test_P26_255_bytes_of_user_and_password_are_sent),
};

RUN_TESTS(tests)
