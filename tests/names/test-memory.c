/* SPDX-License-Identifier: MIT */
/*
 * Memory that fails during a look-up: each request of the engine, and each of c-ares, fails in
 * turn, alone. The connection ends as it would have, or with ENOMEM; a connection beside it notices
 * nothing, and nothing is left.
 */
#include "host.h"
#include "nameserver.h"

#include <dlfcn.h>

/* Counts requests, and refuses one of them. */
struct memory {
    size_t requests, refuse; /* refuse: 0: none */
};

static bool may_have(struct memory *memory)
{
    return ++memory->requests != memory->refuse;
}

static void *reallocate(void *block, size_t size, void *user)
{
    if (size == 0) {
        free(block);
        return NULL;
    }
    return may_have(user) ? realloc(block, size) : NULL;
}

/* ---- the memory of c-ares, which is one for the process ---- */

static struct memory *ares_memory(void)
{
    static struct memory memory;

    return &memory;
}

static void *ares_malloc(size_t size)
{
    return may_have(ares_memory()) ? malloc(size) : NULL;
}

static void *ares_realloc(void *block, size_t size)
{
    return may_have(ares_memory()) ? realloc(block, size) : NULL;
}

typedef int ares_init(int flags, void *(*) (size_t), void (*)(void *), void *(*) (void *, size_t));

/* The function of c-ares; NULL: the library was built without it. */
static void *find_ares_init(void)
{
    return dlsym(RTLD_DEFAULT, "ares_library_init_mem");
}

/* Makes the memory of c-ares ours. */
static bool take_over_ares(void)
{
    enum { ARES_LIB_INIT_ALL = 1 };
    void *symbol = find_ares_init();
    ares_init *init;

    memcpy(&init, &symbol, sizeof init);
    return init(ARES_LIB_INIT_ALL, ares_malloc, free, ares_realloc) == 0;
}

/* ---- one run ---- */

#define LOOPBACK "00000000000000000000000000000001"

static void on_beside(struct track *track, enum event event)
{
    if (event == EVENT_INPUT && track->count[EVENT_INPUT] == 2)
        assert_int_equal(tcpm_shutdown(track->session, track->id), 0);
}

static bool has_heard(void *argument)
{
    return ((struct track *) argument)->count[EVENT_INPUT] > 0;
}

static void reset_at_success(struct track *track, enum event event)
{
    if (event == EVENT_SUCCESS)
        assert_int_equal(tcpm_reset(track->session, track->id), 0);
}

static void check_log(const struct track *track, size_t number)
{
    static const char *const logs[] = {
        "initialize success disconnected(shutdown)",
        "initialize failure(resolve,ENOMEM) disconnected(failure)",
        "initialize failure(connect,ENOMEM) disconnected(failure)",
        "initialize failure(socket,ENOMEM) disconnected(failure)",
    };

    for (size_t i = 0; i < COUNT(logs); i++)
        if (strcmp(track->log, logs[i]) == 0)
            return;
    fail_msg("request %zu: %s", number, track->log);
}

/* Connects to a name while the memory refuses the request of this number; gives how many requests
   there were. */
static size_t look_up(struct host *host, struct tcpm_session *session, int port,
                      struct memory *memory, size_t refuse)
{
    struct track track = {.hook = reset_at_success};
    struct tcpm_connect_options target = {.size = sizeof target,
                                          .address = "a-2.v6-" LOOPBACK ".test",
                                          .port = (unsigned) port,
                                          .heap = &track};

    *memory = (struct memory){.refuse = refuse};
    int result = tcpm_connect(session, &target, NULL);
    if (result == 0)
        host_run_until(host, track_ended, &track);
    size_t requests = memory->requests;
    *memory = (struct memory){.refuse = 0};
    if (result == 0)
        check_log(&track, refuse);
    else
        assert_int_equal(result, -ENOMEM);
    return requests;
}

/* Does so beside a connection that is open before, and is asked to speak after. memory: NULL: the
   engine's. */
static size_t run(struct memory *memory, size_t refuse)
{
    struct memory engines = {.refuse = 0};
    struct host host;
    struct track beside = {.hook = on_beside};
    struct tcpm_engine_options options = {
        .size = sizeof options, .reallocate = reallocate, .user = &engines};

    host_open(&host, &options);
    struct peer *peer = host_peer(&host, "echo", &(struct peer_options){.address = "::"});
    struct tcpm_session *session = track_session(&host, NULL);
    track_connect(&beside, session, peer_port(peer));
    assert_int_equal(tcpm_send(session, beside.id, "one", 3), 0);
    host_run_until(&host, has_heard, &beside);
    size_t requests =
        look_up(&host, session, peer_port(peer), memory == NULL ? &engines : memory, refuse);
    assert_int_equal(tcpm_send(session, beside.id, "two", 3), 0);
    host_run(&host);
    assert_log(&beside, "initialize success input(one) input(two) disconnected(shutdown)");
    host_close(&host);
    return requests;
}

static void refuse_each(struct memory *memory)
{
    size_t requests = run(memory, 0);

    assert_true(requests > 0);
    for (size_t number = 1; number <= requests; number++)
        run(memory, number);
}

static void test_N63_each_request_of_the_engine(void **state)
{
    struct nameserver *server = nameserver_start(NULL);

    (void) state;
    assert_non_null(server);
    refuse_each(NULL);
    nameserver_stop(server);
}

static void test_N63_each_request_of_c_ares(void **state)
{
    struct nameserver *server = nameserver_start(NULL);

    (void) state;
    assert_non_null(server);
    assert_true(take_over_ares());
    refuse_each(ares_memory());
    nameserver_stop(server);
}

static const struct CMUnitTest of_the_engine[] = {
    cmocka_unit_test(test_N63_each_request_of_the_engine),
};
static const struct CMUnitTest of_c_ares[] = {
    cmocka_unit_test(test_N63_each_request_of_the_engine),
    cmocka_unit_test(test_N63_each_request_of_c_ares),
};

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return find_ares_init() == NULL ? cmocka_run_group_tests(of_the_engine, NULL, NULL)
                                    : cmocka_run_group_tests(of_c_ares, NULL, NULL);
}
