/*
 * Ours through the C API, as a user of the library would write it: default options, so the line
 * filter, and timeouts armed. timeouts=0 takes them away, bulk takes the stream filter.
 */
#include "measure.h"

#include <stdlib.h>
#include <string.h>
#include <tcpmulti.h>
#include <uv.h>

enum { ADDRESSES = 32, RECORD_LENGTH = BENCH_LINE_LENGTH - 2 /* the filter adds CR LF */ };

struct client {
    struct bench_job job;
    struct bench_figures figures;
    uint64_t last_line; /* its first bytes, see bench_check_line */
    uv_loop_t loop;
    struct tcpm_engine *engine;
    struct tcpm_session *session;
    uint64_t started; /* connections */
    unsigned open;    /* connections that have succeeded */
    char addresses[ADDRESSES][16];
    struct connection *connections;
};

struct connection { /* the heap of a connection */
    struct client *client;
    struct tcpm_id id;
    uint32_t left; /* messages still to come */
};

static void check(int result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "bench client: %s: %s\n", what, tcpm_error_text(result));
    exit(1);
}

static void start_connection(struct client *client, struct connection *connection)
{
    struct tcpm_connect_options options = {
        .size = sizeof options,
        .address = client->addresses[client->started++ % ADDRESSES],
        .port = client->job.port,
        .heap = connection,
    };
    connection->left = (uint32_t) (client->job.operations / client->job.connections);
    check(tcpm_connect(client->session, &options, &connection->id), "tcpm_connect");
}

static void send_line(struct connection *connection)
{
    check(tcpm_send(connection->client->session, connection->id, bench_line(), RECORD_LENGTH),
          "tcpm_send");
}

/* ---- events ---- */

static void on_success(void *heap, struct tcpm_session *session, struct tcpm_id id, int fd,
                       const char *addr, unsigned port)
{
    struct connection *connection = heap;
    struct client *client = connection->client;
    (void) session, (void) id, (void) fd, (void) addr, (void) port;
    client->open++;
    if (client->job.work == BENCH_STORM)
        send_line(connection);
    else if (client->open == client->job.connections &&
             (client->job.work == BENCH_PINGPONG || client->job.work == BENCH_IDLE))
        uv_stop(&client->loop);
}

static void on_echo(struct connection *connection)
{
    struct client *client = connection->client;
    if (client->job.work == BENCH_STORM)
        check(tcpm_shutdown(client->session, connection->id), "tcpm_shutdown");
    else if (--connection->left > 0)
        send_line(connection);
    else if (client->figures.operations ==
             client->job.operations / client->job.connections * client->job.connections)
        uv_stop(&client->loop);
}

static void on_input(void *heap, struct tcpm_session *session, struct tcpm_id id,
                     const void *record, size_t length)
{
    struct connection *connection = heap;
    struct client *client = connection->client;
    (void) session, (void) id;
    if (client->job.work == BENCH_BULK) {
        client->figures.bytes += length;
        return;
    }
    client->figures.operations++;
    client->figures.bytes += length + 2;
    if (client->job.work == BENCH_LINES) {
        check(bench_check_line(&client->last_line, record), "a line that comes twice");
        return;
    }
    if (length != RECORD_LENGTH || memcmp(record, bench_line(), length) != 0)
        check(-1, "an echo that differs");
    on_echo(connection);
}

static void on_timeout(void *heap, struct tcpm_session *session, struct tcpm_id id,
                       enum tcpm_timer timer)
{
    struct connection *connection = heap;
    (void) session, (void) id, (void) timer;
    connection->client->figures.errors++;
}

static int is_expected(enum bench_work work, enum tcpm_reason reason)
{
    return reason == (work == BENCH_STORM ? TCPM_REASON_SHUTDOWN : TCPM_REASON_EOF);
}

static void on_disconnected(void *heap, struct tcpm_session *session, struct tcpm_id id,
                            enum tcpm_reason reason)
{
    struct connection *connection = heap;
    struct client *client = connection->client;
    (void) session, (void) id;
    if (!is_expected(client->job.work, reason)) {
        client->figures.errors++;
        uv_stop(&client->loop);
    } else if (client->job.work == BENCH_STORM && client->started < client->job.operations) {
        start_connection(client, connection);
    }
}

static const struct tcpm_events events = {
    .size = sizeof events,
    .success = on_success,
    .input = on_input,
    .timeout = on_timeout,
    .disconnected = on_disconnected,
};

/* ---- the workloads ---- */

static void start_connections(struct client *client)
{
    for (unsigned i = 0; i < client->job.connections; i++) {
        client->connections[i].client = client;
        start_connection(client, &client->connections[i]);
    }
}

static void run_pingpong(struct client *client)
{
    start_connections(client);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    if (client->figures.errors > 0)
        return;
    bench_begin(&client->figures);
    for (unsigned i = 0; i < client->job.connections; i++)
        send_line(&client->connections[i]);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    bench_end(&client->figures);
}

/* The heaps are calloc'ed and untouched until start_connections: they count as well. */
static void run_idle(struct client *client)
{
    uint64_t before = bench_memory();
    start_connections(client);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    client->figures.memory_bytes = bench_memory() - before;
    client->figures.operations = client->open;
}

static void run_to_the_end(struct client *client)
{
    bench_begin(&client->figures);
    start_connections(client);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    bench_end(&client->figures);
    if (client->job.work == BENCH_BULK)
        client->figures.operations = client->figures.bytes;
}

/* ---- start and end ---- */

static void create_session(struct client *client)
{
    int64_t timeout_ms = client->job.timeouts ? 0 : TCPM_NONE;
    struct tcpm_session_options options = {
        .size = sizeof options,
        .events = &events,
        .connect_timeout_ms = timeout_ms,
        .input_timeout_ms = timeout_ms,
    };
    struct tcpm_filter *stream = NULL;
    check(tcpm_filter_stream(&stream), "tcpm_filter_stream");
    if (client->job.work == BENCH_BULK)
        options.input_filter = options.output_filter = stream;
    check(tcpm_engine_create(&client->loop, NULL, &client->engine), "tcpm_engine_create");
    check(tcpm_session_create(client->engine, &options, &client->session), "tcpm_session_create");
    tcpm_filter_free(stream);
}

int main(int argc, char **argv)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client || uv_loop_init(&client->loop))
        bench_fail("start", 0);
    bench_job_read(argc, argv, &client->job);
    for (unsigned i = 0; i < ADDRESSES; i++)
        snprintf(client->addresses[i], sizeof client->addresses[i], "127.0.0.%u", i + 1);
    client->connections = calloc(client->job.connections, sizeof *client->connections);
    if (!client->connections)
        bench_fail("calloc", 0);
    create_session(client);
    if (client->job.work == BENCH_PINGPONG)
        run_pingpong(client);
    else if (client->job.work == BENCH_IDLE)
        run_idle(client);
    else
        run_to_the_end(client);
    return bench_report(&client->figures);
}
