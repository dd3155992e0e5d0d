/* SPDX-License-Identifier: MIT */
/*
 * Two engines in two threads look up names at the same time, by c-ares and by the system. They
 * share nothing; in a build with the thread sanitizer (meson.build makes one of this very test)
 * that is proven for each access.
 */
#include "host.h"
#include "nameserver.h"

#include <pthread.h>

enum { THREADS = 2, NAMES = 100 };

#ifdef __SANITIZE_THREAD__
/* libuv and the C library's getaddrinfo close descriptors where the sanitizer does not see it. Such
   a number, used again by whatever makes a socket, is no race. The function is the sanitizer's own
   in place of the C library's. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:interceptor_socket$\n";
}
#endif

struct worker {
    pthread_t thread;
    int number, port;
    unsigned succeeded, failed, ended;
    struct tcpm_events events;
};

static void on_success(void *heap, struct tcpm_session *session, struct tcpm_id id, int fd,
                       const char *address, unsigned port)
{
    struct worker *worker = heap;

    (void) fd;
    (void) address;
    (void) port;
    worker->succeeded++;
    (void) tcpm_reset(session, id);
}

static void on_failure(void *heap, struct tcpm_session *session, struct tcpm_id id,
                       const struct tcpm_error *error)
{
    (void) session;
    (void) id;
    ((struct worker *) heap)->failed += error->code == TCPM_ENOTFOUND;
}

static void on_disconnected(void *heap, struct tcpm_session *session, struct tcpm_id id,
                            enum tcpm_reason reason)
{
    (void) session;
    (void) id;
    (void) reason;
    ((struct worker *) heap)->ended++;
}

static struct tcpm_session *open_session(struct worker *worker, struct tcpm_engine *engine,
                                         int64_t dns)
{
    struct tcpm_session *session = NULL;
    struct tcpm_session_options options = {
        .size = sizeof options, .events = &worker->events, .dns = dns};

    worker->events = (struct tcpm_events){.size = sizeof worker->events,
                                          .success = on_success,
                                          .failure = on_failure,
                                          .disconnected = on_disconnected};
    return tcpm_session_create(engine, &options, &session) == 0 ? session : NULL;
}

/* Every tenth name does not exist. */
static void connect_all(struct worker *worker, struct tcpm_session *session, const char *kind)
{
    for (int i = 0; i < NAMES; i++) {
        char name[100];
        struct tcpm_connect_options target = {.size = sizeof target,
                                              .address = name,
                                              .port = (unsigned) worker->port,
                                              .heap = worker};
        snprintf(name, sizeof name, "%s.jitter-50.t%d.%s%d.test", i % 10 == 0 ? "nx" : "a-1",
                 worker->number, kind, i);
        (void) tcpm_connect(session, &target, NULL);
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct tcpm_engine *engine = NULL;
    uv_loop_t loop;

    if (uv_loop_init(&loop) != 0 || tcpm_engine_create(&loop, NULL, &engine) != 0)
        return NULL;
    connect_all(worker, open_session(worker, engine, TCPM_DNS_AUTO), "auto");
    connect_all(worker, open_session(worker, engine, TCPM_DNS_SYSTEM), "system");
    uv_run(&loop, UV_RUN_DEFAULT);
    tcpm_engine_close(engine, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    (void) uv_loop_close(&loop);
    return NULL;
}

static void test_N66_two_engines_in_two_threads(void **state)
{
    struct worker workers[THREADS] = {{.number = 0}};
    struct nameserver *server = nameserver_start(NULL);
    struct peer *peer = peer_start("recv all", NULL);

    (void) state;
    assert_non_null(server);
    assert_non_null(peer);
    for (int i = 0; i < THREADS; i++) {
        workers[i].number = i;
        workers[i].port = peer_port(peer);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].succeeded, 2 * (NAMES - NAMES / 10));
        assert_int_equal(workers[i].failed, 2 * NAMES / 10);
        assert_int_equal(workers[i].ended, 2 * NAMES);
    }
    peer_stop(peer);
    nameserver_stop(server);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_N66_two_engines_in_two_threads),
};

RUN_TESTS(tests)
