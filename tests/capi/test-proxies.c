/* SPDX-License-Identifier: MIT */
/*
 * The options proxy, direct and send_proxy as a C program sees them: which values are refused, that
 * texts are copied, and what a connection through a proxy tells (rows P20, P27 and P28).
 */
#include "host.h"

static const char program[] = "recv 4; send \"\\x05\\x02\"; recv 13; send \"\\x01\\x00\"; recv 18; "
                              "send \"\\x05\\x00\\x00\\x01\\x7f\\x00\\x00\\x01\\x00\\x50hello\\n\"";
static const char good[] = "initialize success input(hello) error(read,EOF) disconnected(eof)";

static const struct tcpm_events no_events = {.size = sizeof no_events};

static int create(struct host *host, struct tcpm_session_options options)
{
    struct tcpm_session *session;

    options.size = sizeof options;
    options.events = &no_events;
    int result = tcpm_session_create(host->engine, &options, &session);
    if (result == 0)
        assert_int_equal(tcpm_die(session), 0);
    return result;
}

static int connect_with(struct tcpm_session *session, struct tcpm_connect_options options)
{
    options.size = sizeof options;
    options.address = "target.test";
    options.port = 7;
    return tcpm_connect(session, &options, NULL);
}

static void test_P28_values_that_are_refused(void **state)
{
    struct host *host = *state;

    assert_int_equal(create(host, (struct tcpm_session_options){.proxy = ""}), 0);
    assert_int_equal(create(host, (struct tcpm_session_options){.send_proxy = TCPM_NONE}), 0);
    assert_int_equal(create(host, (struct tcpm_session_options){.send_proxy = 3}), -EINVAL);
    assert_int_equal(create(host, (struct tcpm_session_options){.send_proxy = -2}), -EINVAL);
    assert_int_equal(create(host, (struct tcpm_session_options){.proxy = "h:1"}), -EINVAL);
    assert_int_equal(create(host, (struct tcpm_session_options){.proxy = "socks4://h"}),
                     -EOPNOTSUPP);
    assert_int_equal(
        create(host, (struct tcpm_session_options){.proxy = "http://h", .deny = "private"}),
        -EINVAL);
    assert_int_equal(
        create(host, (struct tcpm_session_options){.proxy = "socks5://h", .deny = "private"}), 0);
    struct tcpm_session *session = track_session(host, NULL);
    assert_int_equal(
        connect_with(session, (struct tcpm_connect_options){.direct = 1, .proxy = "http://h"}),
        -EINVAL);
    assert_int_equal(connect_with(session, (struct tcpm_connect_options){.direct = 2}), -EINVAL);
    assert_int_equal(connect_with(session, (struct tcpm_connect_options){.proxy = "http://h",
                                                                         .deny = "private"}),
                     -EINVAL);
    host_close(host);
}

static void test_P28_a_check_says_which_hop_is_wrong(void **state)
{
    struct host *host = *state;
    char message[160];

    assert_int_equal(tcpm_proxy_check(host->engine, "http://h socks5://h", message, 160), 0);
    assert_string_equal(message, "");
    assert_int_equal(tcpm_proxy_check(host->engine, "socks5://h socks5h://h", message, 160), 1);
    assert_int_equal(tcpm_proxy_check(host->engine, "http://h https://u:hidden@h", message, 160),
                     -EOPNOTSUPP);
    assert_non_null(strstr(message, "hop 2: https://"));
    assert_null(strstr(message, "hidden"));
    assert_int_equal(tcpm_proxy_check(host->engine, "http://u:hidden@h:0", message, 6), -EINVAL);
    assert_string_equal(message, "hop 1");
    assert_int_equal(tcpm_proxy_check(host->engine, NULL, message, 160), -EINVAL);
    assert_int_equal(tcpm_proxy_check(NULL, "http://h", message, 160), -EINVAL);
    host_close(host);
}

/* Checks what is known of the connection, in each of its events. */
static void look(struct track *track, enum event event)
{
    struct tcpm_info info = {.size = sizeof info};

    (void) event;
    if (tcpm_info_get(track->session, track->id, &info) < 0)
        return;
    assert_string_equal(info.address, "target.test");
    assert_int_equal(info.port, 7);
    if (info.cause.message != NULL)
        assert_null(strstr(info.cause.message, "hidden"));
}

static void test_P20_P27_texts_are_copied_and_the_target_is_told(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = look}, refused = {.hook = look};
    struct peer *peer = host_peer(host, program, NULL);
    struct tcpm_session *session = track_session(host, NULL);
    char proxy[80];
    struct tcpm_connect_options target = {
        .size = sizeof target, .address = "target.test", .port = 7, .proxy = proxy};

    snprintf(proxy, sizeof proxy, "socks5h://user:hidden@127.0.0.1:%d", peer_port(peer));
    target.heap = &track;
    assert_int_equal(tcpm_connect(session, &target, NULL), 0);
    memset(proxy, 'x', sizeof proxy - 1);
    host_run_until(host, track_ended, &track);
    assert_log(&track, good);
    assert_string_equal(track.addr, "target.test");
    snprintf(proxy, sizeof proxy, "http://user:hidden@127.0.0.1:%d", peer_port(peer));
    target.heap = &refused;
    assert_int_equal(tcpm_connect(session, &target, NULL), 0);
    host_run(host);
    assert_log(&refused, "initialize failure(proxy,EPROXY) disconnected(failure)");
    host_close(host);
}

/* What a target says behind the reply of the proxy is held until the success: that too has to fit
   into max_memory. */
static void test_what_comes_behind_a_reply_must_fit_into_max_memory(void **state)
{
    static const char flood[] = "recvuntil \"\\r\\n\\r\\n\"; more \"HTTP/1.1 200 OK\\r\\n\\r\\n\"; "
                                "sendn 10000 \"x\"";
    static const struct {
        int64_t max_memory;
        enum tcpm_reason reason;
        int code;
    } cases[] = {{1000, TCPM_REASON_FAILURE, -ENOBUFS}, {20000, TCPM_REASON_EOF, TCPM_EOF}};

    (void) state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct tcpm_engine_options limits = {.size = sizeof limits,
                                             .max_memory = cases[i].max_memory};
        struct host host;
        struct track track = {.hook = NULL};
        char proxy[80];

        host_open(&host, &limits);
        struct peer *peer = host_peer(&host, flood, NULL);
        snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", peer_port(peer));
        struct tcpm_session *session =
            stream_session(&host, (struct tcpm_session_options){.proxy = proxy});
        track_connect(&track, session, 7);
        host_run_until(&host, track_ended, &track);
        assert_int_equal(track.reason, cases[i].reason);
        assert_int_equal(track.code, cases[i].code);
        assert_int_equal(track.received, cases[i].code == TCPM_EOF ? 10000 : 0);
        host_close(&host);
    }
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_P28_values_that_are_refused),
    HOST_TEST(test_P28_a_check_says_which_hop_is_wrong),
    HOST_TEST(test_P20_P27_texts_are_copied_and_the_target_is_told),
    cmocka_unit_test(test_what_comes_behind_a_reply_must_fit_into_max_memory),
};

RUN_TESTS(tests)
