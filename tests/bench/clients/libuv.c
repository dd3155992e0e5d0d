/* SPDX-License-Identifier: MIT */
/*
 * Plain libuv in its natural style, as its guide and its own tests write clients: one uv_tcp_t and
 * one uv_timer_t per connection, uv_write with a request for each message, uv_timer_again for each
 * message, handles closed with uv_close. It does nothing clumsy: one read buffer serves all, and
 * lines are cut in place.
 */
#include "measure.h"
#include "stash.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { BUFFER_SIZE = 65536, CONNECT_TIMEOUT_MS = 30000, INPUT_TIMEOUT_MS = 300000 };

struct client {
    struct bench_job job;
    struct bench_figures figures;
    uint64_t last_line; /* its first bytes, see bench_check_line */
    uv_loop_t loop;
    uint64_t started; /* connections */
    unsigned open;    /* connections that have succeeded */
    struct connection **connections;
    struct mixed *mixed; /* NULL for other work */
    char buffer[BENCH_STASH_SIZE + BUFFER_SIZE];
};

struct mixed {
    struct bench_latency latency[2]; /* without the blaster, and beside it */
    int beside;                      /* which of them */
    uint64_t *sent_ns;               /* by the number of the connection */
    uint64_t left, under_way;        /* lines to be sent; echoes to come */
    struct connection *blaster;
};

struct connection {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_connect_t request;
    struct client *client;
    struct bench_stash stash;
    uint32_t left;   /* messages still to come */
    uint32_t number; /* mixed */
    int handles;     /* not yet closed */
};

static struct connection *start_connection(struct client *client);

/* ---- closing ---- */

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    if (--connection->handles > 0)
        return;
    free(connection->stash.bytes);
    free(connection);
}

static void end_connection(struct connection *connection)
{
    if (uv_is_closing((uv_handle_t *) &connection->tcp))
        return;
    uv_close((uv_handle_t *) &connection->tcp, on_closed);
    if (connection->client->job.timeouts)
        uv_close((uv_handle_t *) &connection->timer, on_closed);
}

static void break_connection(struct connection *connection)
{
    connection->client->figures.errors++;
    end_connection(connection);
    uv_stop(&connection->client->loop);
}

static void on_timeout(uv_timer_t *timer)
{
    break_connection(timer->data);
}

/* ---- sending ---- */

static void on_written(uv_write_t *request, int status)
{
    struct connection *connection = request->data;
    free(request);
    if (status < 0 && status != UV_ECANCELED)
        break_connection(connection);
}

static void send_bytes(struct connection *connection, const char *bytes, unsigned length)
{
    uv_write_t *request = malloc(sizeof *request);
    uv_buf_t line = uv_buf_init((char *) (uintptr_t) bytes, length);
    if (!request)
        bench_fail("malloc", 0);
    request->data = connection;
    int result = uv_write(request, (uv_stream_t *) &connection->tcp, &line, 1, on_written);
    if (result < 0)
        bench_fail(uv_strerror(result), 0);
}

static void send_line(struct connection *connection)
{
    send_bytes(connection, bench_line(), BENCH_LINE_LENGTH);
}

/* ---- the mixed load ---- */

/* The next connection in turn sends, until its half of the lines is sent. */
static void send_next(struct client *client)
{
    struct mixed *mixed = client->mixed;
    if (mixed->left == 0)
        return;
    uint64_t next = mixed->left-- % client->job.connections;
    mixed->sent_ns[next] = bench_now_ns();
    send_line(client->connections[next]);
}

static void take_mixed_echo(struct connection *connection)
{
    struct client *client = connection->client;
    struct mixed *mixed = client->mixed;
    uint64_t sent_ns = mixed->sent_ns[connection->number];
    bench_latency_add(&mixed->latency[mixed->beside], bench_now_ns() - sent_ns);
    send_next(client);
    if (--mixed->under_way == 0)
        uv_stop(&client->loop);
}

static void take_blast(struct client *client, size_t length)
{
    if (client->figures.blast_bytes == 0)
        uv_stop(&client->loop);
    client->figures.blast_bytes += length;
}

/* ---- receiving ---- */

static void take_line(struct connection *connection, const char *line, size_t length)
{
    struct client *client = connection->client;
    client->figures.operations++;
    if (client->job.work == BENCH_LINES) {
        client->figures.errors += bench_check_line(&client->last_line, line) < 0;
        return;
    }
    if (length != BENCH_LINE_LENGTH || memcmp(line, bench_line(), BENCH_LINE_LENGTH) != 0) {
        break_connection(connection);
    } else if (client->mixed) {
        take_mixed_echo(connection);
    } else if (client->job.work == BENCH_STORM) {
        end_connection(connection);
        if (client->started < client->job.operations)
            start_connection(client);
    } else if (--connection->left > 0) {
        send_line(connection);
    } else if (client->figures.operations ==
               client->job.operations / client->job.connections * client->job.connections) {
        uv_stop(&client->loop);
    }
}

static void cut_lines(struct connection *connection, const char *bytes, size_t length)
{
    while (length > 0 && !uv_is_closing((uv_handle_t *) &connection->tcp)) {
        const char *end = memchr(bytes, '\n', length);
        if (!end) {
            if (bench_stash_keep(&connection->stash, bytes, length))
                break_connection(connection);
            return;
        }
        size_t line_length = (size_t) (end + 1 - bytes);
        take_line(connection, bytes, line_length);
        bytes += line_length;
        length -= line_length;
    }
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct connection *connection = handle->data;
    (void) suggested;
    *buffer = uv_buf_init(connection->client->buffer + BENCH_STASH_SIZE, BUFFER_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    struct client *client = connection->client;
    size_t length = (size_t) n;
    if (n == UV_EOF && (client->job.work == BENCH_BULK || client->job.work == BENCH_LINES)) {
        end_connection(connection);
        return;
    }
    if (n < 0) {
        break_connection(connection);
        return;
    }
    if (client->mixed && connection == client->mixed->blaster) {
        take_blast(client, length);
        return;
    }
    client->figures.bytes += length;
    if (client->job.timeouts)
        uv_timer_again(&connection->timer);
    if (client->job.work == BENCH_BULK)
        return;
    char *bytes = bench_stash_put_in_front(&connection->stash, buffer->base, &length);
    cut_lines(connection, bytes, length);
}

/* ---- opening ---- */

static void on_connected(uv_connect_t *request, int status)
{
    struct connection *connection = request->data;
    struct client *client = connection->client;
    if (status == UV_ECANCELED)
        return;
    if (status < 0) {
        break_connection(connection);
        return;
    }
    if (client->job.timeouts)
        uv_timer_start(&connection->timer, on_timeout, INPUT_TIMEOUT_MS, INPUT_TIMEOUT_MS);
    uv_read_start((uv_stream_t *) &connection->tcp, on_allocate, on_read);
    client->open++;
    if (client->job.work == BENCH_STORM)
        send_line(connection);
    else if (client->mixed && connection == client->mixed->blaster)
        send_bytes(connection, "blast", 5);
    else if (client->open == client->job.connections &&
             (client->job.work == BENCH_PINGPONG || client->job.work == BENCH_IDLE ||
              client->job.work == BENCH_MIXED))
        uv_stop(&client->loop);
}

static struct connection *start_connection(struct client *client)
{
    struct sockaddr_in addr;
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        bench_fail("calloc", 0);
    if (client->connections && client->started < client->job.connections)
        client->connections[client->started] = connection;
    connection->number = (uint32_t) client->started;
    bench_address(&client->job, client->started++, &addr);
    connection->client = client;
    connection->left = (uint32_t) (client->job.operations / client->job.connections);
    connection->handles = client->job.timeouts ? 2 : 1;
    connection->tcp.data = connection->timer.data = connection->request.data = connection;
    uv_tcp_init(&client->loop, &connection->tcp);
    uv_tcp_nodelay(&connection->tcp, 1);
    if (client->job.timeouts) {
        uv_timer_init(&client->loop, &connection->timer);
        uv_timer_start(&connection->timer, on_timeout, CONNECT_TIMEOUT_MS, 0);
    }
    int result = uv_tcp_connect(&connection->request, &connection->tcp,
                                (const struct sockaddr *) &addr, on_connected);
    if (result < 0)
        bench_fail(uv_strerror(result), 0);
    return connection;
}

static void start_connections(struct client *client)
{
    for (unsigned i = 0; i < client->job.connections; i++)
        start_connection(client);
}

/* ---- the workloads ---- */

static void run_pingpong(struct client *client)
{
    client->connections = calloc(client->job.connections, sizeof *client->connections);
    if (!client->connections)
        bench_fail("calloc", 0);
    start_connections(client);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    if (client->figures.errors > 0)
        return;
    bench_begin(&client->figures);
    for (unsigned i = 0; i < client->job.connections; i++)
        send_line(client->connections[i]);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    bench_end(&client->figures);
}

/* Half of the lines without the blaster, half beside it. */
static void run_half(struct client *client, int beside)
{
    client->mixed->beside = beside;
    client->mixed->left = client->mixed->under_way = client->job.operations / 2;
    for (unsigned i = 0; i < client->job.window; i++)
        send_next(client);
    uv_run(&client->loop, UV_RUN_DEFAULT);
}

static void run_mixed(struct client *client)
{
    struct mixed *mixed = client->mixed = calloc(1, sizeof *mixed);
    client->connections = calloc(client->job.connections, sizeof *client->connections);
    if (mixed)
        mixed->sent_ns = calloc(client->job.connections, sizeof *mixed->sent_ns);
    if (!mixed || !mixed->sent_ns || !client->connections)
        bench_fail("calloc", 0);
    client->figures.latency = mixed->latency;
    client->figures.late_ms = -1;
    start_connections(client);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    bench_begin(&client->figures);
    run_half(client, 0);
    mixed->blaster = start_connection(client);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    run_half(client, 1);
    bench_end(&client->figures);
}

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

int main(int argc, char **argv)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client || uv_loop_init(&client->loop))
        bench_fail("start", 0);
    bench_job_read(argc, argv, &client->job);
    if (client->job.work == BENCH_PINGPONG)
        run_pingpong(client);
    else if (client->job.work == BENCH_IDLE)
        run_idle(client);
    else if (client->job.work == BENCH_MIXED)
        run_mixed(client);
    else
        run_to_the_end(client);
    return bench_report(&client->figures);
}
