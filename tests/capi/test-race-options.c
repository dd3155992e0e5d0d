/* SPDX-License-Identifier: MIT */
/*
 * Options of a connect that concern its addresses: which are denied, which local ones are used, and
 * what is told of them (REACH N07, N49, N58, N59, P34, P37).
 */
#include "racing.h"

static const char good[] = "initialize success error(read,EOF) disconnected(eof)";
static const char denied[] = "initialize failure(resolve,EPOLICY) disconnected(failure)";

static uint64_t denied_by(struct tcpm_session *session)
{
    struct tcpm_stats stats = {.size = sizeof stats};

    assert_int_equal(tcpm_stats_get(session, &stats), 0);
    return stats.denied;
}

/* REACH N59. */
static void test_N59_one_of_two_addresses_is_denied(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL}, alone = {.hook = NULL};

    struct peer *peer = host_peer(host, "close", &(struct peer_options){.address = "127.0.0.2"});
    struct tcpm_session *session =
        racing_session(host, (struct tcpm_session_options){.deny = "127.0.0.1, 127.0.0.3"});
    racing_connect(&track, session, racing_new_name("127.0.0.1 127.0.0.2"), peer_port(peer));
    racing_connect(&alone, session, racing_new_name("127.0.0.3 127.0.0.1"), peer_port(peer));
    host_run(host);
    assert_log(&track, good);
    assert_string_equal(track.addr, "127.0.0.2");
    assert_log(&alone, denied);
    assert_non_null(strstr(alone.message, "127.0.0.3"));
    assert_non_null(strstr(alone.message, "127.0.0.1"));
    assert_int_equal(denied_by(session), 3);
    host_close(host);
}

/* REACH N58. */
static void test_N58_each_look_up_is_checked(void **state)
{
    static const struct tcpm_names_options uncached = {.size = sizeof uncached, .ttl_s = TCPM_NONE};
    struct host *host = *state;
    struct track first = {.hook = NULL}, second = {.hook = NULL}, number = {.hook = NULL};

    struct peer *peer = host_peer(host, "close", &(struct peer_options){.address = "127.0.0.2"});
    assert_int_equal(tcpm_names_set(host->engine, &uncached), 0);
    struct tcpm_session *session =
        racing_session(host, (struct tcpm_session_options){.deny = "127.0.0.1"});
    racing_name("rebound.test", "127.0.0.2");
    racing_connect(&first, session, "rebound.test", peer_port(peer));
    host_run_until(host, track_ended, &first);
    assert_log(&first, good);
    racing_name("rebound.test", "127.0.0.1");
    racing_connect(&second, session, "rebound.test", peer_port(peer));
    racing_connect(&number, session, "127.0.0.1", peer_port(peer));
    host_run(host);
    assert_log(&second, denied);
    assert_log(&number, denied);
    host_close(host);
}

/* ---- what was tried ---- */

struct list {
    struct tcpm_tried tried[4];
    size_t count;
};

static void read_tried(struct track *track, enum event event)
{
    struct list *list = track->user;

    if (event != EVENT_FAILURE)
        return;
    for (; list->count < COUNT(list->tried); list->count++) {
        struct tcpm_tried *tried = &list->tried[list->count];

        tried->size = sizeof *tried;
        if (tcpm_tried_get(track->session, track->id, (unsigned) list->count, tried) != 1)
            return;
    }
}

/* REACH N49. */
static void test_N49_every_address_is_in_tried(void **state)
{
    struct host *host = *state;
    struct list list = {.count = 0};
    struct track track = {.hook = read_tried, .user = &list};

    struct peer *refused = host_peer(host, "", &(struct peer_options){.refuse = 1});
    racing_unroute("127.9.9.9", EHOSTUNREACH);
    racing_connect(&track, racing_session(host, (struct tcpm_session_options){.deny = "127.8.8.8"}),
                   racing_new_name("127.0.0.1 127.8.8.8 127.9.9.9"), peer_port(refused));
    host_run(host);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.tried[0].address, "127.8.8.8");
    assert_int_equal(list.tried[0].code, TCPM_EPOLICY);
    assert_string_equal(list.tried[1].address, "127.0.0.1");
    assert_int_equal(list.tried[1].code, -ECONNREFUSED);
    assert_int_equal(list.tried[1].port, peer_port(refused));
    assert_string_equal(list.tried[2].address, "127.9.9.9");
    assert_int_equal(list.tried[2].code, -EHOSTUNREACH);
    racing_unroute(NULL, 0);
    host_close(host);
}

static void read_op(struct track *track, enum event event)
{
    struct tcpm_info info = {.size = sizeof info};

    if (event != EVENT_TIMEOUT)
        return;
    assert_int_equal(tcpm_info_get(track->session, track->id, &info), 0);
    *(enum tcpm_op *) track->user = info.cause.op;
}

/* REACH N07. */
static void test_N07_a_timeout_in_the_look_up_says_so(void **state)
{
    struct host *host = *state;
    enum tcpm_op ops[2] = {0, 0};
    struct track slow = {.hook = read_op, .user = &ops[0]};
    struct track silent = {.hook = read_op, .user = &ops[1]};
    struct crowd crowd;

    int port = crowds_open(&crowd, "127.0.0.2");
    struct tcpm_session *session =
        racing_session(host, (struct tcpm_session_options){.connect_timeout_ms = 150});
    racing_connect(&silent, session, racing_new_name("127.0.0.2"), port);
    racing_run_for(host, 50);
    racing_delay(400);
    racing_connect(&slow, session, racing_new_name("127.0.0.2"), port);
    host_run(host);
    racing_delay(0);
    assert_log(&slow, "initialize timeout(connect) disconnected(timeout)");
    assert_log(&silent, "initialize timeout(connect) disconnected(timeout)");
    assert_int_equal(ops[0], TCPM_OP_RESOLVE);
    assert_int_equal(ops[1], TCPM_OP_CONNECT);
    crowd_close(&crowd);
    host_close(host);
}

/* ---- local addresses ---- */

enum { CONNECTS = 30 };

/* Keeps how often each of 127.0.1.1 to 127.0.1.3 is the local address. */
static void count_local(struct track *track, enum event event)
{
    unsigned *counts = track->user;

    if (event != EVENT_SUCCESS)
        return;
    char last = track_endpoints(track).local[strlen("127.0.1.")];
    assert_in_range(last, '1', '3');
    counts[last - '1']++;
}

/* REACH P34, with the list given to each connect anew. */
static void test_P34_connects_with_the_same_list_share_its_counts(void **state)
{
    struct host *host = *state;
    struct track tracks[CONNECTS];
    unsigned counts[3] = {0, 0, 0};
    char list[] = "127.0.1.1,127.0.1.2,127.0.1.3";

    struct peer *peer = host_peer(host, "recv all", NULL);
    struct tcpm_session *session = track_session(host, NULL);
    for (size_t i = 0; i < CONNECTS; i++) {
        tracks[i] = (struct track){.hook = count_local, .user = counts};
        track_connect_with(
            &tracks[i], session,
            (struct tcpm_connect_options){.port = peer_port(peer), .bind_address = list});
    }
    for (size_t i = 0; i < CONNECTS; i++)
        host_run_until(host, track_open, &tracks[i]);
    for (size_t i = 0; i < COUNT(counts); i++)
        assert_int_equal(counts[i], CONNECTS / 3);
    assert_int_equal(tcpm_die(session), 0);
    host_run(host);
    host_close(host);
}

/* REACH P37. */
static void test_P37_a_local_address_that_is_not_ours_is_named(void **state)
{
    struct host *host = *state;
    struct track track = {.hook = NULL};

    struct peer *peer = host_peer(host, "close", NULL);
    track_connect_with(
        &track, track_session(host, NULL),
        (struct tcpm_connect_options){.port = peer_port(peer), .bind_address = "192.0.2.77"});
    host_run(host);
    assert_log(&track, "initialize failure(bind,EADDRNOTAVAIL) disconnected(failure)");
    assert_non_null(strstr(track.message, "192.0.2.77"));
    host_close(host);
}

static const struct CMUnitTest tests[] = {
    HOST_TEST(test_N59_one_of_two_addresses_is_denied),
    HOST_TEST(test_N58_each_look_up_is_checked),
    HOST_TEST(test_N49_every_address_is_in_tried),
    HOST_TEST(test_N07_a_timeout_in_the_look_up_says_so),
    HOST_TEST(test_P34_connects_with_the_same_list_share_its_counts),
    HOST_TEST(test_P37_a_local_address_that_is_not_ours_is_named),
};

RUN_TESTS(tests)
