/* SPDX-License-Identifier: MIT */
/*
 * The system's resolver as a backend, with a getaddrinfo of the test's own (stage.h). The names
 * behind it are a list of answers here; the linker puts the functions whose names begin with
 * __wrap_ in place of others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

#include "stage.h"
#include "tcpmulti.h"
#include "transport/order.h"
#include "transport/system.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { MOST_ANSWERS = 16, PATIENCE_MS = 10000 };

/* ---- the C library's part ---- */

/* Threads that can still be made, and requests for memory that still succeed; negative: all. Only
   the thread of the test makes threads or asks for memory in this way. */
static int threads_left, blocks_left;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *argument), void *argument);
void *__real_realloc(void *block, size_t size);

static int reset(void **state)
{
    (void) state;
    stage_reset();
    threads_left = blocks_left = -1;
    return 0;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *argument), void *argument)
{
    return threads_left == 0 ? EAGAIN : __real_pthread_create(thread, attributes, run, argument);
}

void *__wrap_realloc(void *block, size_t size)
{
    if (blocks_left == 0)
        return NULL;
    blocks_left -= blocks_left > 0;
    return __real_realloc(block, size);
}

/* ---- names ---- */

struct given {
    const struct tcpm__query *query;
    int code;
    size_t count;
    union tcpm__address addresses[TCPM__MOST_ADDRESSES];
    uint32_t ttl_s;
};

static struct {
    struct given answers[MOST_ANSWERS];
    size_t count;
} given;

void __wrap_tcpm__names_answered(struct tcpm__names *names, struct tcpm__query *query,
                                 const struct tcpm__result *result, uint64_t now_ns)
{
    struct given *answer = &given.answers[given.count++];

    (void) names;
    assert_true(now_ns > 0);
    assert_false(result->lost);
    assert_true(given.count <= MOST_ANSWERS && result->count <= TCPM__MOST_ADDRESSES);
    *answer = (struct given){query, result->code, result->count, {{{0}}}, result->ttl_s};
    if (result->count > 0)
        memcpy(answer->addresses, result->addresses, result->count * sizeof result->addresses[0]);
}

/* ---- the network, without a turn of the loop ---- */

struct bench {
    uv_loop_t loop;
    struct tcpm__network network;
    struct tcpm__system *system;
};

/* No turn of the loop hands out events. */
static const struct tcpm__socket_events socket_events = {.find = NULL};

static void bench_open(struct bench *bench)
{
    given.count = 0;
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    assert_int_equal(tcpm__network_open(&bench->network, &bench->loop, &tcpm__memory_default,
                                        &socket_events, 256),
                     0);
    assert_int_equal(tcpm__system_open(&bench->network, NULL, &bench->system), 0);
    tcpm__system_validate(bench->system);
}

static void bench_close(struct bench *bench)
{
    tcpm__system_close(bench->system);
    tcpm__network_close(&bench->network);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    tcpm__network_free(&bench->network);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
}

static int ask(struct bench *bench, struct tcpm__query *query)
{
    struct tcpm__backend *backend = (struct tcpm__backend *) bench->system;

    return backend->kind->ask(backend, query);
}

/* Waits for events of the set, and lets the system take them, until there are so many answers. */
static void wait_for_answers(struct bench *bench, size_t count)
{
    struct tcpm__set_batch batch;
    struct pollfd set = {.fd = bench->network.set.fd, .events = POLLIN};

    while (given.count < count) {
        assert_int_equal(poll(&set, 1, PATIENCE_MS), 1);
        for (int i = tcpm__set_take(&bench->network.set, &batch); i > 0; i--) {
            assert_int_equal(tcpm__set_tag(&batch, i - 1), TCPM__SYSTEM_TAG);
            tcpm__system_event(bench->system);
        }
        tcpm__system_validate(bench->system);
    }
    assert_int_equal(given.count, count);
}

static struct given *answer_to(const struct tcpm__query *query)
{
    for (size_t i = 0; i < given.count; i++)
        if (given.answers[i].query == query)
            return &given.answers[i];
    fail_msg("%s has no answer", query->name);
    return NULL;
}

static void assert_addresses(const struct tcpm__query *query, const char *const *expected,
                             size_t count)
{
    const struct given *answer = answer_to(query);

    assert_int_equal(answer->code, 0);
    assert_int_equal(answer->ttl_s, 60);
    assert_int_equal(answer->count, count);
    for (size_t i = 0; i < count; i++) {
        char text[TCPM__ADDRESS_TEXT];

        tcpm__address_print(&answer->addresses[i], text);
        assert_string_equal(text, expected[i]);
        assert_int_equal(tcpm__address_port(&answer->addresses[i]), 0);
    }
}

/* ---- answers ---- */

static void test_addresses_of_the_families_asked_for(void **state)
{
    static const char *const both[] = {"::1", "127.0.0.1"};
    struct bench bench;
    struct tcpm__query queries[] = {
        {"good", TCPM__ANY_FAMILY}, {"good", TCPM__INET}, {"good", TCPM__INET6}};

    (void) state;
    bench_open(&bench);
    for (size_t i = 0; i < COUNT(queries); i++)
        assert_int_equal(ask(&bench, &queries[i]), 0);
    wait_for_answers(&bench, COUNT(queries));
    assert_addresses(&queries[0], both, 2);
    assert_addresses(&queries[1], both + 1, 1);
    assert_addresses(&queries[2], both, 1);
    bench_close(&bench);
}

/* The answer to one question, on a bench of its own. */
static const struct given *ask_alone(const char *name)
{
    struct bench bench;
    struct tcpm__query query = {name, TCPM__ANY_FAMILY};

    bench_open(&bench);
    assert_int_equal(ask(&bench, &query), 0);
    wait_for_answers(&bench, 1);
    bench_close(&bench);
    return &given.answers[0];
}

static void test_the_first_64_of_more(void **state)
{
    const struct given *answer = ask_alone("many");
    char text[TCPM__ADDRESS_TEXT];

    (void) state;
    assert_int_equal(answer->count, 64);
    tcpm__address_print(&answer->addresses[63], text);
    assert_string_equal(text, "10.0.0.64");
}

static void test_codes_of_getaddrinfo(void **state)
{
    static const struct {
        int code, errnum, expected;
    } rows[] = {
        {EAI_NONAME, 0, TCPM_ENOTFOUND},   {EAI_NODATA, 0, TCPM_ENOTFOUND},
        {EAI_FAIL, 0, TCPM_ENOTFOUND},     {EAI_SERVICE, 0, TCPM_ENOTFOUND},
        {EAI_AGAIN, 0, -EAGAIN},           {EAI_MEMORY, 0, -ENOMEM},
        {EAI_FAMILY, 0, -EAFNOSUPPORT},    {EAI_ADDRFAMILY, 0, -EAFNOSUPPORT},
        {EAI_SYSTEM, EIO, -EIO},           {EAI_SYSTEM, 0, TCPM_ENOTFOUND},
        {EAI_BADFLAGS, 0, TCPM_ENOTFOUND},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool is_errno = rows[i].code == EAI_SYSTEM;
        char name[32];

        snprintf(name, sizeof name, is_errno ? "errno %d" : "code %d",
                 is_errno ? rows[i].errnum : rows[i].code);
        assert_int_equal(ask_alone(name)->code, rows[i].expected);
    }
}

/* A resolver without a descriptor says that the name does not exist, which is not so. */
static void test_no_descriptors_are_left(void **state)
{
    struct bench bench;
    char name[32];
    struct tcpm__query query = {name, TCPM__ANY_FAMILY};
    struct rlimit before, none;

    (void) state;
    snprintf(name, sizeof name, "code %d", EAI_NONAME);
    bench_open(&bench);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){1, before.rlim_max}; /* what poll needs */
    assert_int_equal(ask(&bench, &query), 0);
    setrlimit(RLIMIT_NOFILE, &none);
    wait_for_answers(&bench, 1);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(given.answers[0].code, -EMFILE);
    bench_close(&bench);
}

static void test_signals_are_for_the_hosts_own_threads(void **state)
{
    struct bench bench;
    struct tcpm__query query = {"good", TCPM__ANY_FAMILY};
    sigset_t before, after;

    (void) state;
    bench_open(&bench);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(ask(&bench, &query), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < SIGRTMIN; number++)
        assert_int_equal(sigismember(&after, number), sigismember(&before, number));
    wait_for_answers(&bench, 1);
    assert_false(stage.signal_can_come);
    bench_close(&bench);
}

/* ---- look-ups that hang ---- */

/* N65: at most 4 threads wait. */
static void test_N65_at_most_four_threads(void **state)
{
    struct bench bench;
    struct tcpm__query queries[5] = {
        {"hang-1", 3}, {"hang-2", 3}, {"hang-3", 3}, {"hang-4", 3}, {"good", 3}};

    (void) state;
    bench_open(&bench);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(ask(&bench, &queries[i]), 0);
    stage_wait(4, 4);
    assert_int_equal(ask(&bench, &queries[4]), -EAGAIN);
    stage_open_gate(true);
    wait_for_answers(&bench, 4);
    assert_int_equal(ask(&bench, &queries[4]), 0);
    wait_for_answers(&bench, 5);
    assert_int_equal(stage.most, 4);
    bench_close(&bench);
}

/* N41, N65: the close does not wait, and what the threads bring later is dropped. */
static void test_N41_N65_a_close_waits_for_nobody(void **state)
{
    struct bench bench;
    struct tcpm__query queries[4] = {{"hang-1", 3}, {"hang-2", 3}, {"hang-3", 3}, {"good", 3}};

    (void) state;
    for (int round = 0; round < 3; round++) {
        stage_open_gate(false);
        bench_open(&bench);
        for (size_t i = 0; i < COUNT(queries); i++)
            assert_int_equal(ask(&bench, &queries[i]), 0);
        stage_wait(4 * round + 4, 3); /* the answer to the fourth may be in the mailbox already */
        bench_close(&bench);
        assert_int_equal(given.count, 0);
        stage_open_gate(true);
        stage_wait(4 * round + 4, 0);
    }
}

/* The number of a closed descriptor may be somebody else's by the time a thread has its answer. */
static void test_a_thread_touches_no_descriptor_of_others(void **state)
{
    struct bench bench;
    struct tcpm__query query = {"hang-1", 3};
    int pipes[16][2];
    char byte;

    (void) state;
    bench_open(&bench);
    assert_int_equal(ask(&bench, &query), 0);
    stage_wait(1, 1);
    bench_close(&bench);
    for (size_t i = 0; i < COUNT(pipes); i++)
        assert_int_equal(pipe2(pipes[i], O_CLOEXEC | O_NONBLOCK), 0);
    stage_open_gate(true);
    stage_wait(1, 0);
    usleep(20000);
    for (size_t i = 0; i < COUNT(pipes); i++) {
        assert_int_equal(read(pipes[i][0], &byte, 1), -1);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}

/* The child has none of the threads, and its end takes nothing from the parent. */
static void test_a_forked_process_lets_go(void **state)
{
    struct bench bench;
    struct tcpm__query queries[2] = {{"hang-1", 3}, {"good", 3}};
    int status;

    (void) state;
    bench_open(&bench);
    for (size_t i = 0; i < COUNT(queries); i++)
        assert_int_equal(ask(&bench, &queries[i]), 0);
    stage_wait(2, 1);

    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        tcpm__system_abandon(bench.system);
        tcpm__network_abandon(&bench.network);
        _exit(7);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    stage_open_gate(true);
    wait_for_answers(&bench, 2);
    assert_int_equal(answer_to(&queries[0])->code, 0);
    bench_close(&bench);
}

/* ---- what fails ---- */

static void test_N65_a_thread_that_cannot_be_made(void **state)
{
    struct bench bench;
    struct tcpm__query query = {"good", 3};

    (void) state;
    bench_open(&bench);
    threads_left = 0;
    for (int i = 0; i < 10; i++)
        assert_int_equal(ask(&bench, &query), -EAGAIN);
    tcpm__system_validate(bench.system);
    threads_left = -1;
    assert_int_equal(ask(&bench, &query), 0);
    wait_for_answers(&bench, 1);
    assert_int_equal(stage.calls, 1);
    bench_close(&bench);
}

/* N63: each request for memory fails in turn. */
static void test_N63_no_memory(void **state)
{
    struct bench bench;
    struct tcpm__query query = {"good", 3};
    struct tcpm__system *system;
    int result;

    (void) state;
    bench_open(&bench);
    for (int left = 0;; left++) {
        blocks_left = left;
        result = tcpm__system_open(&bench.network, NULL, &system);
        blocks_left = -1;
        if (result == 0)
            break;
        assert_int_equal(result, -ENOMEM);
        assert_true(left < 5);
    }
    tcpm__system_close(system);
    blocks_left = 0;
    result = ask(&bench, &query);
    blocks_left = -1;
    assert_int_equal(result, -ENOMEM);
    assert_int_equal(ask(&bench, &query), 0);
    wait_for_answers(&bench, 1);
    bench_close(&bench);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(test_addresses_of_the_families_asked_for, reset),
    cmocka_unit_test_setup(test_the_first_64_of_more, reset),
    cmocka_unit_test_setup(test_codes_of_getaddrinfo, reset),
    cmocka_unit_test_setup(test_no_descriptors_are_left, reset),
    cmocka_unit_test_setup(test_signals_are_for_the_hosts_own_threads, reset),
    cmocka_unit_test_setup(test_N65_at_most_four_threads, reset),
    cmocka_unit_test_setup(test_N41_N65_a_close_waits_for_nobody, reset),
    cmocka_unit_test_setup(test_a_thread_touches_no_descriptor_of_others, reset),
    cmocka_unit_test_setup(test_a_forked_process_lets_go, reset),
    cmocka_unit_test_setup(test_N65_a_thread_that_cannot_be_made, reset),
    cmocka_unit_test_setup(test_N63_no_memory, reset),
};

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
