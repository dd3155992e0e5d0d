/* SPDX-License-Identifier: MIT */
/*
 * The promise one-thread-per-loop: several loops in several threads, one engine each, with filters
 * of their own, share nothing and do not wait for each other. Nothing here may use cmocka inside a
 * thread: each writes down its first problem.
 */
#include "host.h"

#include <pthread.h>

enum { THREADS = 4, CONNECTIONS = 60, LINES = 50 };

struct worker {
    pthread_t thread;
    int port;
    uv_loop_t loop;
    struct tcpm_engine *engine;
    struct tcpm_session *session;
    struct client {
        struct worker *worker;
        int sent, received, ended;
    } clients[CONNECTIONS];
    int ended, stopped, closed;
    char problem[200];
};

static void complain(struct worker *worker, const char *what)
{
    if (worker->problem[0] == '\0')
        snprintf(worker->problem, sizeof worker->problem, "%s", what);
}

static struct client *check(void *heap)
{
    struct client *client = heap;

    if (!pthread_equal(pthread_self(), client->worker->thread))
        complain(client->worker, "a handler ran in another thread");
    return client;
}

static void send_line(struct client *client, struct tcpm_session *session, struct tcpm_id id)
{
    char line[40];
    int length = snprintf(line, sizeof line, "line %d of %p", client->sent++, (void *) client);

    if (tcpm_send(session, id, line, (size_t) length) < 0)
        complain(client->worker, "a send was refused");
}

static void on_success(void *heap, struct tcpm_session *session, struct tcpm_id id, int fd,
                       const char *addr, unsigned port)
{
    (void) fd;
    (void) addr;
    (void) port;
    send_line(check(heap), session, id);
}

static void on_input(void *heap, struct tcpm_session *session, struct tcpm_id id,
                     const void *record, size_t length)
{
    struct client *client = check(heap);
    char expected[40];
    int size =
        snprintf(expected, sizeof expected, "line %d of %p", client->received++, (void *) client);

    if (length != (size_t) size || memcmp(record, expected, length) != 0)
        complain(client->worker, "another line came than was sent");
    if (client->received < LINES)
        send_line(client, session, id);
    else if (tcpm_shutdown(session, id) < 0)
        complain(client->worker, "a shutdown was refused");
}

static void on_disconnected(void *heap, struct tcpm_session *session, struct tcpm_id id,
                            enum tcpm_reason reason)
{
    struct client *client = check(heap);

    (void) session;
    (void) id;
    client->ended++;
    client->worker->ended++;
    if (reason != TCPM_REASON_SHUTDOWN)
        complain(client->worker, tcpm_reason_name(reason));
}

static void on_stopped(struct tcpm_session *session, void *user)
{
    (void) session;
    ((struct worker *) user)->stopped++;
}

static void on_closed(void *user)
{
    ((struct worker *) user)->closed++;
}

static void connect_all(struct worker *worker)
{
    struct tcpm_connect_options target = {
        .size = sizeof target, .address = "127.0.0.1", .port = worker->port};

    for (int i = 0; i < CONNECTIONS; i++) {
        worker->clients[i].worker = worker;
        target.heap = &worker->clients[i];
        if (tcpm_connect(worker->session, &target, NULL) < 0)
            complain(worker, "a connect was refused");
    }
}

static void *work(void *argument)
{
    static const struct tcpm_events events = {.size = sizeof events,
                                              .success = on_success,
                                              .input = on_input,
                                              .disconnected = on_disconnected,
                                              .stopped = on_stopped};
    struct worker *worker = argument;
    struct tcpm_session_options options = {
        .size = sizeof options, .events = &events, .user = worker, .max_connections = 20};
    struct tcpm_filter *line = NULL;

    if (uv_loop_init(&worker->loop) < 0 ||
        tcpm_engine_create(&worker->loop, NULL, &worker->engine) < 0 ||
        tcpm_filter_line(NULL, &line) < 0) {
        complain(worker, "it did not start");
        return NULL;
    }
    options.input_filter = options.output_filter = line;
    if (tcpm_session_create(worker->engine, &options, &worker->session) < 0)
        complain(worker, "no session");
    tcpm_filter_free(line);
    connect_all(worker);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    tcpm_engine_close(worker->engine, on_closed, worker);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&worker->loop) != 0)
        complain(worker, "something is left of its loop");
    return NULL;
}

static void test_several_loops_in_several_threads(void **state)
{
    struct worker *workers = calloc(THREADS, sizeof *workers);
    struct peer *peer = peer_start("echo", NULL);

    (void) state;
    assert_non_null(workers);
    assert_non_null(peer);
    for (int i = 0; i < THREADS; i++) {
        workers[i].port = peer_port(peer);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < THREADS; i++) {
        assert_string_equal(workers[i].problem, "");
        assert_int_equal(workers[i].ended, CONNECTIONS);
        assert_int_equal(workers[i].stopped, 1);
        assert_int_equal(workers[i].closed, 1);
        for (int c = 0; c < CONNECTIONS; c++)
            assert_int_equal(workers[i].clients[c].received, LINES);
    }
    peer_stop(peer);
    free(workers);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_several_loops_in_several_threads),
};

RUN_TESTS(tests)
