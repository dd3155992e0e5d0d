/* SPDX-License-Identifier: MIT */
/*
 * Addresses: numbers, names, scopes and families; a lookup blocks nobody and can be cancelled; what
 * cannot be found is a failure with its own name.
 */
#include "host.h"

static void shut_at_success(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

struct row {
    const char *address, *peer, *log;
    int64_t domain;
};

/* BEHAVIOUR R5, R6, F27, H10. */
static void test_R5_R6_forms_of_an_address(void **state)
{
    static const char *const good = "initialize success disconnected(shutdown)";
    static const char *const unfit =
        "initialize failure(resolve,EAFNOSUPPORT) disconnected(failure)";
    static const struct row rows[] = {
        {"127.0.0.1", "127.0.0.1", good, 0},
        {"127.0.0.1", "127.0.0.1", good, 4},
        {"::1", "::1", good, 0},
        {"::1", "::1", good, 6},
        {"[::1]", "::1", good, 0},
        {"0:0:0:0:0:0:0:1", "::1", good, 0},
        {"localhost", NULL, good, 0},
        {"localhost", "127.0.0.1", good, 4},
        {"127.0.0.1", NULL, unfit, 6},
        {"::1", NULL, unfit, 4},
    };
    struct host *host = *state;

    struct peer *four, *six;
    peers_of_both_families("recv all", &four, &six);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tcpm_session_options options = {.domain = rows[i].domain};
        struct track track = {.hook = shut_at_success};
        struct tcpm_connect_options target = {.address = rows[i].address, .port = peer_port(four)};
        track_connect_with(&track, track_session(host, &options), target);
        assert_string_equal(track.addr, rows[i].address); /* in initialize: as given */
        host_run(host);
        if (strcmp(track.log, rows[i].log) != 0)
            fail_msg("%s, domain %d: %s", rows[i].address, (int) rows[i].domain, track.log);
        if (rows[i].peer != NULL)
            assert_string_equal(track.addr, rows[i].peer); /* in success: numeric */
    }
    peer_stop(six);
    peer_stop(four);
    host_close(host);
}

/* Neither a name nor an address of any kind: an unknown scope, bytes that are not UTF-8. */
static bool is_no_text(const char *address)
{
    return strchr(address, ':') != NULL || address[0] == '\xff';
}

/* FAULTS C16, C17: what looks like a number and is none is not guessed. */
static void test_C16_what_cannot_be_resolved_fails(void **state)
{
    static const char *const addresses[] = {"no-such-host->invalid", "fe80::1%nosuch",
                                            "256.1.1.1.x",           "-",
                                            "xn--\xc3\xa9.invalid",  "\xff.invalid"};
    struct host *host = *state;

    struct tcpm_session *session = track_session(host, NULL);
    for (size_t i = 0; i < COUNT(addresses); i++) {
        struct track track = {.hook = NULL};
        track_connect_with(&track, session,
                           (struct tcpm_connect_options){.address = addresses[i], .port = 1});
        host_run(host);
        assert_int_equal(track.count[EVENT_FAILURE], 1);
        if (track.op != TCPM_OP_RESOLVE || (track.code == -EINVAL) != is_no_text(addresses[i]))
            fail_msg("%s: %s", addresses[i], track.log);
    }
    host_close(host);
}

/* An ideographic one, which IDNA reads as a dot. */
#define FULL_STOP "\xe3\x80\x82"

static void test_C17_odd_numbers_are_not_guessed(void **state)
{
    static const char *const addresses[] = {"0x7f.1",
                                            "017700000001",
                                            "127.1",
                                            "1",
                                            "1.2.3",
                                            "[127.0.0.1]",
                                            "[::1",
                                            "::1]",
                                            "[::1]:80",
                                            ":::",
                                            "127.0.0.1.",
                                            "127" FULL_STOP "1",
                                            "127.0" FULL_STOP "0.1"};
    struct host *host = *state;

    struct peer *peer = host_peer(host, "recv all", NULL);
    struct tcpm_session *session = track_session(host, NULL);
    for (size_t i = 0; i < COUNT(addresses); i++) {
        struct track track = {.hook = NULL};
        struct tcpm_connect_options options = {.size = sizeof options,
                                               .address = addresses[i],
                                               .port = peer_port(peer),
                                               .heap = &track};
        int result = tcpm_connect(session, &options, NULL);
        assert_true(result == 0 || result == -EINVAL);
        host_run(host);
        if (track.count[EVENT_SUCCESS] > 0)
            fail_msg("%s connects", addresses[i]);
        assert_int_equal(track.count[EVENT_FAILURE], result == 0);
    }
    host_close(host);
}

static void cancel(struct tcpm_session *session, void *user, void *argument)
{
    (void) user;
    assert_int_equal(tcpm_shutdown(session, *(struct tcpm_id *) argument), 0);
}

/* FAULTS D06: ended while its lookup runs, the event comes now and not when the lookup is over. */
static void test_D06_a_lookup_can_be_cancelled(void **state)
{
    enum { LOOKUPS = 12 };
    struct host *host = *state;
    struct track tracks[LOOKUPS] = {{.hook = NULL}};

    struct tcpm_session *session = track_session(host, NULL);
    for (size_t i = 0; i < LOOKUPS; i++) {
        track_connect_with(&tracks[i], session,
                           (struct tcpm_connect_options){.address = "slow.invalid", .port = 1});
        if (i % 2 == 0)
            assert_int_equal(tcpm_shutdown(session, tracks[i].id), 0);
        else
            assert_int_equal(
                tcpm_post(session, (struct tcpm_task){.run = cancel, .argument = &tracks[i].id}),
                0);
    }
    for (int turn = 0; turn < 3; turn++)
        uv_run(&host->loop, UV_RUN_NOWAIT);
    for (size_t i = 0; i < LOOKUPS; i++)
        assert_log(&tracks[i], "initialize disconnected(shutdown)");
    host_run(host);
    host_close(host);
}

static void talk(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS || (event == EVENT_INPUT && track->count[EVENT_INPUT] < 50))
        assert_int_equal(tcpm_send(track->session, track->id, "hello", 5), 0);
    else if (event == EVENT_INPUT)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

/* BEHAVIOUR R1: another connection's events keep flowing. */
static void test_R1_a_bad_name_delays_nobody(void **state)
{
    struct host *host = *state;
    struct track lost = {.hook = NULL}, busy = {.hook = talk};

    struct peer *peer = host_peer(host, "echo", NULL);
    struct tcpm_session *session = track_session(host, NULL);
    track_connect_with(
        &lost, session,
        (struct tcpm_connect_options){.address = "no-such-host->invalid", .port = 1});
    track_connect(&busy, session, peer_port(peer));
    host_run(host);
    assert_int_equal(busy.count[EVENT_INPUT], 50);
    assert_int_equal(lost.op, TCPM_OP_RESOLVE);
    assert_int_equal(lost.count[EVENT_FAILURE], 1);
    host_close(host);
}

/* Services by name and number; BEHAVIOUR R7. */
static void test_services_and_binds(void **state)
{
    char decimal[8];
    struct host *host = *state;
    struct track by_number = {.hook = NULL}, by_name = {.hook = NULL}, bound = {.hook = NULL};
    struct tcpm_endpoints endpoints;

    struct peer *peer = host_peer(host, "recv all", NULL);
    struct tcpm_session *session = track_session(host, NULL);
    snprintf(decimal, sizeof decimal, "%d", peer_port(peer));
    track_connect_with(&by_number, session, (struct tcpm_connect_options){.service = decimal});
    track_connect_with(&by_name, session, (struct tcpm_connect_options){.service = "http"});
    assert_int_equal(by_name.port, 80);
    track_connect_with(
        &bound, session,
        (struct tcpm_connect_options){.port = peer_port(peer), .bind_address = "127.0.0.5"});
    assert_string_equal(track_endpoints(&bound).peer, "");
    host_run_until(host, track_open, &by_number);
    host_run_until(host, track_open, &bound);
    endpoints = track_endpoints(&bound);
    assert_string_equal(endpoints.local, "127.0.0.5");
    assert_string_equal(endpoints.peer, "127.0.0.1");
    assert_int_equal(endpoints.peer_port, peer_port(peer));
    assert_int_equal(peer_wait_accepted(peer, 2, 20), 0);
    struct peer_connection seen;
    for (size_t i = 0; i < 2; i++)
        if (peer_connection(peer, i, &seen) == 0 && seen.port == endpoints.local_port)
            endpoints.local_port = 0;
    assert_int_equal(endpoints.local_port, 0); /* one of the peer's two clients */
    assert_int_equal(tcpm_die(session), 0);
    host_run(host);
    host_close(host);
}

/* A port that was free a moment ago; somebody else may take it before we do. */
static int free_port(const char *address)
{
    struct peer_options options = {.address = address, .refuse = 1};
    struct peer *holder = peer_start("", &options);
    int port = peer_port(holder);

    peer_stop(holder);
    return port;
}

static bool is_decided(void *argument)
{
    return track_open(argument) || track_ended(argument);
}

/* A port of our own, at any local address, in both families. */
static void test_a_bind_to_a_port_alone(void **state)
{
    static char *const addresses[] = {"127.0.0.1", "::1"};
    struct host *host = *state;

    struct tcpm_session *session = track_session(host, NULL);
    for (size_t i = 0; i < COUNT(addresses); i++) {
        struct track track;
        int port = 0, attempts = 0;
        struct peer *peer = peer_start("recv all", &(struct peer_options){.address = addresses[i]});
        do {
            port = free_port(addresses[i]);
            track = (struct track){.hook = NULL};
            track_connect_with(&track, session,
                               (struct tcpm_connect_options){.address = addresses[i],
                                                             .port = peer_port(peer),
                                                             .bind_port = port});
            host_run_until(host, is_decided, &track);
        } while (!track_open(&track) && track.code == -EADDRINUSE && ++attempts < 50);
        assert_log(&track, "initialize success");
        assert_string_equal(track_endpoints(&track).local, addresses[i]);
        assert_int_equal(track_endpoints(&track).local_port, port);
        assert_int_equal(tcpm_shutdown(session, track.id), 0);
        host_run(host);
        peer_stop(peer);
    }
    host_close(host);
}

static void read_info(struct track *track, enum event event)
{
    struct tcpm_info *info = track->user;

    if (event != EVENT_FAILURE)
        return;
    info->size = sizeof *info;
    assert_int_equal(tcpm_info_get(track->session, track->id, info), 0);
    assert_string_equal(info->cause.message, "line 5: no such thing");
    assert_string_equal(info->address, "no\taddress");
}

static void keep_line(const char *line, void *user)
{
    for (const char *byte = line; *byte != '\0'; byte++)
        assert_in_range((unsigned char) *byte, ' ', '~');
    ++*(int *) user;
}

/* Among others of a session that may have one socket: it waits for no place. */
static void test_a_refused_target_is_a_connection_that_fails(void **state)
{
    struct host host;
    struct track tracks[3] = {{.hook = NULL}}, refused;
    struct tcpm_info info;
    int lines = 0;

    (void) state;
    host_open(&host, &(struct tcpm_engine_options){
                         .size = sizeof(struct tcpm_engine_options),
                         .trace = keep_line,
                         .user = &lines,
                     });
    struct peer *peer = peer_start("close", NULL);
    struct tcpm_session_options options = {.max_connections = 1};
    struct tcpm_session *session = track_session(&host, &options);
    for (int i = 0; i < 3; i++) {
        track_connect(&tracks[i], session, peer_port(peer));
        refused = (struct track){.hook = read_info, .user = &info};
        track_connect_with(&refused, session,
                           (struct tcpm_connect_options){.address = "no\taddress",
                                                         .port = i == 0 ? 80 : 65535 + i,
                                                         .bind_address = "nor this",
                                                         .bind_port = -1,
                                                         .refused = "line 5: no such thing"});
        host_run_until(&host, track_ended, &refused);
        assert_log(&refused, "initialize failure(resolve,EINVAL) disconnected(failure)");
        assert_int_equal(info.port, i == 0 ? 80 : 0);
    }
    host_run(&host);
    for (int i = 0; i < 3; i++)
        assert_log(&tracks[i], "initialize success error(read,EOF) disconnected(eof)");
    assert_true(lines > 0);
    peer_stop(peer);
    host_close(&host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_refused_target_is_a_connection_that_fails),
    HOST_TEST(test_a_bind_to_a_port_alone),
    HOST_TEST(test_R5_R6_forms_of_an_address),
    HOST_TEST(test_C16_what_cannot_be_resolved_fails),
    HOST_TEST(test_C17_odd_numbers_are_not_guessed),
    HOST_TEST(test_D06_a_lookup_can_be_cancelled),
    HOST_TEST(test_R1_a_bad_name_delays_nobody),
    HOST_TEST(test_services_and_binds),
};

RUN_TESTS(tests)
