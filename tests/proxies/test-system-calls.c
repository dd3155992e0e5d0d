/* SPDX-License-Identifier: MIT */
/*
 * System calls on the way through proxies: each takes or gives a byte at a time, tells EAGAIN or
 * EINTR now and then, or fails once with an errno. The dialogues go on, or the connection has one
 * last event; nothing is left.
 */
#include "../torture/shim.h"
#include "host.h"

enum { LOG_SIZE = sizeof(((struct track *) 0)->log) };

#define GRANTED "\\x05\\x00\\x00\\x01\\x7f\\x00\\x00\\x01\\x00\\x50"

/* Two hops in one peer, then the target, which wants a PROXY header before it speaks. */
static const char program[] = "recv 4; send \"\\x05\\x02\"; recv 7; send \"\\x01\\x00\"; "
                              "recv 10; send \"" GRANTED "\"; recvuntil \"\\r\\n\\r\\n\"; "
                              "send \"HTTP/1.1 200 OK\\r\\n\\r\\n\"; "
                              "expect \"PROXY UNKNOWN\\r\\n\"; send \"hello\\n\"; discard";
static const char good[] = "initialize success input(hello) disconnected(shutdown)";

static void reset_at_input(struct track *track, enum event event)
{
    if (event == EVENT_INPUT)
        assert_int_equal(tcpm_reset(track->session, track->id), 0);
}

/* Connects while the shim follows this plan. Gives what the log says in ret, and how often each
   call was made in counts. */
static void pass(struct shim plan, char ret[static LOG_SIZE], uint64_t counts[SHIM_CALLS])
{
    struct host host;
    struct track track = {.hook = reset_at_input};
    char proxy[128];

    host_open(&host, NULL);
    struct tcpm_session *session = track_session(&host, NULL);
    struct peer *peer = host_peer(&host, program, NULL);
    struct tcpm_connect_options target = {.size = sizeof target,
                                          .address = "target.test",
                                          .port = 7,
                                          .proxy = proxy,
                                          .send_proxy = 1,
                                          .connect_timeout_ms = 5000,
                                          .heap = &track};

    snprintf(proxy, sizeof proxy, "socks5://us:pw@127.0.0.1:%d http://127.0.0.1:8",
             peer_port(peer));
    plan.active = true;
    *shim() = plan;
    assert_int_equal(tcpm_connect(session, &target, NULL), 0);
    host_run_until(&host, track_ended, &track);
    shim()->active = false;
    memcpy(counts, shim()->counts, sizeof shim()->counts);
    memcpy(ret, track.log, sizeof track.log);
    host_close(&host);
}

static void test_P13_a_byte_at_a_time(void **state)
{
    static const struct shim plans[] = {
        {.cut = 1},
        {.cut = 1, .again_every = 2},
        {.cut = 1, .again_every = 3, .interrupt_every = 2},
        {.cut = 7, .again_every = 2},
    };
    uint64_t counts[SHIM_CALLS];
    char log[LOG_SIZE];

    (void) state;
    for (size_t i = 0; i < COUNT(plans); i++) {
        pass(plans[i], log, counts);
        assert_string_equal(log, good);
    }
}

/* Whether a log is what a call that has failed may lead to. */
static bool is_orderly(const char *log)
{
    return strcmp(log, good) == 0 ||
           (strncmp(log, "initialize failure(", 19) == 0 &&
            strstr(log, ") disconnected(failure)") != NULL) ||
           (strncmp(log, "initialize success ", 19) == 0 &&
            strstr(log, ") disconnected(error)") != NULL);
}

static void test_P14_each_call_fails_once(void **state)
{
    static const int errors[SHIM_CALLS] = {
        [SHIM_SOCKET] = EACCES,      [SHIM_CONNECT] = ECONNREFUSED, [SHIM_SEND] = EPIPE,
        [SHIM_RECEIVE] = ECONNRESET, [SHIM_SETSOCKOPT] = EINVAL,    [SHIM_GETSOCKNAME] = ENOBUFS,
        [SHIM_REGISTER] = ENOSPC,
    };
    uint64_t counts[SHIM_CALLS], ignored[SHIM_CALLS];
    char log[LOG_SIZE];

    (void) state;
    pass((struct shim){.cut = 3}, log, counts);
    for (int call = 0; call < SHIM_CALLS; call++)
        for (uint64_t at = 1; errors[call] != 0 && at <= counts[call]; at++) {
            pass(
                (struct shim){
                    .cut = 3, .call = (enum shim_call) call, .fail_at = at, .error = errors[call]},
                log, ignored);
            if (!is_orderly(log))
                fail_msg("call %d, number %d: %s", call, (int) at, log);
        }
}

/* A send that fails in the middle of a dialogue is the failure of that dialogue. */
static void test_P14_a_send_that_fails_is_told_by_its_hop(void **state)
{
    uint64_t counts[SHIM_CALLS];
    char log[LOG_SIZE];

    (void) state;
    pass((struct shim){.call = SHIM_SEND, .fail_at = 1, .error = EPIPE}, log, counts);
    assert_string_equal(log, "initialize failure(proxy,ECONNRESET) disconnected(failure)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_P13_a_byte_at_a_time),
        cmocka_unit_test(test_P14_each_call_fails_once),
        cmocka_unit_test(test_P14_a_send_that_fails_is_told_by_its_hop),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
