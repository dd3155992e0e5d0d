/* SPDX-License-Identifier: MIT */
/*
 * Memory that fails on the way through proxies (row P44): each request of the engine fails in turn,
 * alone or with all that follow it. The connection ends as it would have, or with ENOMEM; a
 * connection beside it notices nothing, and nothing is left.
 */
#include "host.h"

/* Counts requests, and refuses some of them. */
struct memory {
    size_t requests, refuse; /* refuse: number of the first one that is refused; 0: none */
    bool all;                /* all that follow are refused too */
};

static void *reallocate(void *block, size_t size, void *user)
{
    struct memory *memory = user;

    if (size == 0) {
        free(block);
        return NULL;
    }
    memory->requests++;
    if (memory->refuse != 0 &&
        (memory->requests == memory->refuse || (memory->all && memory->requests > memory->refuse)))
        return NULL;
    return realloc(block, size);
}

/* ---- what is tried ---- */

struct scenario {
    const char *program; /* of the peer, which is the nearest proxy */
    const char *scheme;  /* of the peer's URL, and what goes before its host; NULL: no proxy */
    const char *behind;  /* further URLs, behind the peer's port */
    const char *address; /* target; NULL: the peer */
    int64_t send_proxy;
};

#define GRANTED "\\x05\\x00\\x00\\x01\\x7f\\x00\\x00\\x01\\x00\\x50"

static const struct scenario scenarios[] = {
    {.program = "recv 3; send \"\\x05\\x00\"; recv 10; send \"" GRANTED "\"; recvuntil "
                "\"\\r\\n\\r\\n\"; send \"HTTP/1.1 200 OK\\r\\n\\r\\nhello\\n\"; discard",
     .scheme = "socks5://",
     .behind = " http://localhost:8",
     .address = "target.test"},
    {.program = "recv 4; send \"\\x05\\x02\"; recv 7; send \"\\x01\\x00\"; recv 10; send \"" GRANTED
                "hello\\n\"; discard",
     .scheme = "socks5://us:pw@",
     .behind = "",
     .address = "localhost",
     .send_proxy = 2},
    {.program = "recvuntil \"\\r\\n\"; send \"hello\\n\"; discard", .send_proxy = 1},
};

static void reset_at_input(struct track *track, enum event event)
{
    if (event == EVENT_INPUT)
        assert_int_equal(tcpm_reset(track->session, track->id), 0);
}

static void on_beside(struct track *track, enum event event)
{
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 2)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static bool has_heard(void *argument)
{
    return ((struct track *) argument)->count[EVENT_INPUT] > 0;
}

static void check_log(const struct track *track, const struct memory *memory, size_t number)
{
    static const char *const logs[] = {
        "initialize failure(resolve,ENOMEM) disconnected(failure)",
        "initialize failure(socket,ENOMEM) disconnected(failure)",
        "initialize failure(connect,ENOMEM) disconnected(failure)",
        "initialize failure(proxy,ENOMEM) disconnected(failure)",
        "initialize success error(read,ENOMEM) disconnected(error)",
    };

    if (strcmp(track->log, "initialize success input(hello) disconnected(shutdown)") == 0)
        return;
    for (size_t i = 0; i < COUNT(logs); i++)
        if (strcmp(track->log, logs[i]) == 0 && memory->refuse != 0)
            return;
    fail_msg("request %zu: %s", number, track->log);
}

/* ---- one run ---- */

/* Connects while the memory refuses; gives how many requests there were. */
static size_t pass(struct host *host, const struct scenario *scenario, struct memory *memory,
                   struct memory refusing)
{
    struct track track = {.hook = reset_at_input};
    struct tcpm_session *session = track_session(host, NULL);
    struct peer *peer = host_peer(host, scenario->program, NULL);
    char proxy[128] = "";
    struct tcpm_connect_options target = {.size = sizeof target,
                                          .address = "127.0.0.1",
                                          .port = peer_port(peer),
                                          .send_proxy = scenario->send_proxy,
                                          .heap = &track};

    if (scenario->scheme != NULL) {
        snprintf(proxy, sizeof proxy, "%s127.0.0.1:%d%s", scenario->scheme, peer_port(peer),
                 scenario->behind);
        target.proxy = proxy;
        target.address = scenario->address;
        target.port = 7;
    }
    *memory = refusing;
    int result = tcpm_connect(session, &target, NULL);
    if (result == 0)
        host_run_until(host, track_ended, &track);
    size_t requests = memory->requests;
    if (result == 0)
        check_log(&track, memory, refusing.refuse);
    else
        assert_int_equal(result, -ENOMEM);
    *memory = (struct memory){.refuse = 0};
    return requests;
}

/* Does so beside a connection that is open before, and is asked to speak after. */
static size_t run(const struct scenario *scenario, struct memory refusing)
{
    struct memory memory = {.refuse = 0};
    struct host host;
    struct track beside = {.hook = on_beside};
    struct tcpm_engine_options options = {
        .size = sizeof options, .reallocate = reallocate, .user = &memory};

    host_open(&host, &options);
    struct peer *peer = host_peer(&host, "echo", NULL);
    struct tcpm_session *session = track_session(&host, NULL);
    track_connect(&beside, session, peer_port(peer));
    assert_int_equal(tcpm_send(session, beside.id, "one", 3), 0);
    host_run_until(&host, has_heard, &beside);
    size_t requests = pass(&host, scenario, &memory, refusing);
    assert_int_equal(tcpm_send(session, beside.id, "two", 3), 0);
    host_run(&host);
    assert_log(&beside, "initialize success input(one) input(two) disconnected(shutdown)");
    host_close(&host);
    return requests;
}

static void test_P44_each_request_on_the_way_through_proxies(void **state)
{
    (void) state;
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        size_t requests = run(&scenarios[i], (struct memory){.refuse = 0});

        assert_true(requests > 0);
        for (size_t number = 1; number <= requests; number++)
            for (int all = 0; all <= 1; all++)
                run(&scenarios[i], (struct memory){.refuse = number, .all = all});
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_P44_each_request_on_the_way_through_proxies),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
