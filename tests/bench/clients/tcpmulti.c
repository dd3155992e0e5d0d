/* SPDX-License-Identifier: MIT */
/*
 * Ours through the C API, as a user of the library would write it: default options, so the line
 * filter, and timeouts armed. timeouts=0 takes them away, bulk, upload and the blaster of the mixed
 * load take the stream filter; http takes lines and orders the body by its length. tls=FILE has all
 * of them speak TLS, and resume=1 resume sessions.
 */
#include "measure.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <tcpmulti.h>
#include <uv.h>

enum {
    ADDRESSES = 32,
    ALARM_MS = 10,
    HANDSHAKES = 512, /* under TLS: opened at a time, so that a slow machine keeps the timeout */
    RECORD_LENGTH = BENCH_LINE_LENGTH - 2 /* the filter adds CR LF */
};

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
    struct tcpm_filter *stream;
    struct mixed *mixed; /* NULL for other work */
    char *source;        /* upload: what is sent */
};

struct mixed {
    struct bench_latency latency[2]; /* without the blaster, and beside it */
    int beside;                      /* which of them */
    uint64_t *sent_ns;               /* by the number of the connection */
    uint64_t left, under_way;        /* lines to be sent; echoes to come */
    struct connection *blaster;
    struct tcpm_alarm alarm;
    uint64_t alarm_due_ns;
};

struct connection { /* the heap of a connection */
    struct client *client;
    struct tcpm_id id;
    uint32_t left;  /* messages still to come; upload: bytes still to be sent */
    size_t length;  /* of the body, as a header says */
    int is_in_body; /* the next record is the body */
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
        .server_name = client->job.tls ? BENCH_SERVER_NAME : NULL,
    };
    connection->left = (uint32_t) (client->job.operations / client->job.connections);
    check(tcpm_connect(client->session, &options, &connection->id), "tcpm_connect");
}

static void send_line(struct connection *connection)
{
    check(tcpm_send(connection->client->session, connection->id, bench_line(), RECORD_LENGTH),
          "tcpm_send");
}

/* ---- HTTP ---- */

static void send_request(struct connection *connection)
{
    check(tcpm_send(connection->client->session, connection->id, BENCH_REQUEST,
                    sizeof BENCH_REQUEST - 1),
          "tcpm_send");
}

static void on_body(struct connection *connection, const char *body, size_t length)
{
    struct client *client = connection->client;
    if (length != BENCH_LINE_LENGTH || memcmp(body, bench_line(), length) != 0)
        check(-1, "a body that differs");
    connection->is_in_body = 0;
    client->figures.operations++;
    client->figures.bytes += length;
    if (--connection->left > 0)
        send_request(connection);
    else
        check(tcpm_shutdown(client->session, connection->id), "tcpm_shutdown");
}

/* The empty line behind the headers orders the body. */
static void on_header(struct connection *connection, const char *line, size_t length)
{
    static const char name[] = "Content-Length:";
    struct client *client = connection->client;
    client->figures.bytes += length + 2;
    if (length == 0) {
        connection->is_in_body = 1;
        check(tcpm_take(client->session, connection->id, (int64_t) connection->length),
              "tcpm_take");
    } else if (length >= sizeof name && strncasecmp(line, name, sizeof name - 1) == 0) {
        connection->length = strtoul(line + sizeof name - 1, NULL, 10);
    }
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
    send_line(&client->connections[next]);
}

static void on_mixed_echo(struct connection *connection)
{
    struct client *client = connection->client;
    struct mixed *mixed = client->mixed;
    uint64_t sent_ns = mixed->sent_ns[connection - client->connections];
    bench_latency_add(&mixed->latency[mixed->beside], bench_now_ns() - sent_ns);
    send_next(client);
    if (--mixed->under_way == 0)
        uv_stop(&client->loop);
}

static void on_blast(struct connection *connection, size_t length)
{
    if (connection->client->figures.blast_bytes == 0)
        uv_stop(&connection->client->loop);
    connection->client->figures.blast_bytes += length;
}

/* An alarm every ALARM_MS tells how late deadlines are. */
static void set_alarm(struct client *client);

static void on_alarm(struct tcpm_session *session, void *user, void *argument)
{
    struct client *client = argument;
    double late_ms = (double) (bench_now_ns() - client->mixed->alarm_due_ns) / 1e6;
    (void) session, (void) user;
    if (late_ms > client->figures.late_ms)
        client->figures.late_ms = late_ms;
    set_alarm(client);
}

static void set_alarm(struct client *client)
{
    struct tcpm_task task = {.run = on_alarm, .argument = client};
    client->mixed->alarm_due_ns = bench_now_ns() + ALARM_MS * 1000000;
    check(tcpm_delay(client->session, (struct tcpm_id){0}, ALARM_MS, task, &client->mixed->alarm),
          "tcpm_delay");
}

/* ---- the upload ---- */

/* Sends the next batch: the one before is in the kernel. So no more than one is queued. */
static void on_flushed(void *heap, struct tcpm_session *session, struct tcpm_id id)
{
    struct connection *connection = heap;
    struct client *client = connection->client;
    size_t length = connection->left < BENCH_BATCH ? connection->left : BENCH_BATCH;
    if (length == 0)
        return;
    check(tcpm_send(session, id, client->source, length), "tcpm_send");
    client->figures.operations += length;
    connection->left -= (uint32_t) length;
    if (connection->left == 0)
        check(tcpm_shutdown_output(session, id), "tcpm_shutdown_output");
}

/* The server says how many bytes it got. */
static void on_receipt(struct client *client, const char *receipt, size_t length)
{
    char text[BENCH_RECEIPT_LENGTH + 1] = "";
    if (length != BENCH_RECEIPT_LENGTH)
        check(-1, "a receipt in pieces");
    memcpy(text, receipt, BENCH_RECEIPT_LENGTH);
    client->figures.bytes += strtoull(text, NULL, 10);
}

/* ---- events ---- */

static void on_success(void *heap, struct tcpm_session *session, struct tcpm_id id, int fd,
                       const char *addr, unsigned port)
{
    struct connection *connection = heap;
    struct client *client = connection->client;
    (void) session, (void) fd, (void) addr, (void) port;
    if (client->mixed && connection == client->mixed->blaster) {
        check(tcpm_send(client->session, id, "blast", 5), "tcpm_send");
        return;
    }
    client->open++;
    if (client->job.tls && client->started < client->job.connections)
        start_connection(client, &client->connections[client->started]);
    if (client->job.work == BENCH_HTTP)
        send_request(connection);
    else if (client->job.work == BENCH_STORM)
        send_line(connection);
    else if (client->job.work == BENCH_UPLOAD)
        on_flushed(heap, session, id);
    else if (client->open == client->job.connections &&
             (client->job.work == BENCH_PINGPONG || client->job.work == BENCH_IDLE ||
              client->job.work == BENCH_MIXED))
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
    if (client->job.work == BENCH_UPLOAD) {
        on_receipt(client, record, length);
        return;
    }
    if (client->job.work == BENCH_HTTP) {
        if (connection->is_in_body)
            on_body(connection, record, length);
        else
            on_header(connection, record, length);
        return;
    }
    if (client->mixed && connection == client->mixed->blaster) {
        on_blast(connection, length);
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
    if (client->mixed)
        on_mixed_echo(connection);
    else
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
    int is_ours = work == BENCH_STORM || work == BENCH_HTTP;
    return reason == (is_ours ? TCPM_REASON_SHUTDOWN : TCPM_REASON_EOF);
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

static const struct tcpm_events upload_events = {
    .size = sizeof upload_events,
    .success = on_success,
    .input = on_input,
    .flushed = on_flushed,
    .timeout = on_timeout,
    .disconnected = on_disconnected,
};

/* ---- the workloads ---- */

static void start_connections(struct client *client)
{
    unsigned all = client->job.connections;
    unsigned first = client->job.tls && all > HANDSHAKES ? HANDSHAKES : all;
    for (unsigned i = 0; i < all; i++)
        client->connections[i].client = client;
    for (unsigned i = 0; i < first; i++)
        start_connection(client, &client->connections[i]);
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

static void start_blaster(struct client *client)
{
    struct mixed *mixed = client->mixed;
    struct tcpm_connect_options options = {
        .size = sizeof options,
        .address = client->addresses[0],
        .port = client->job.port,
        .heap = mixed->blaster,
        .input_filter = client->stream,
        .output_filter = client->stream,
    };
    mixed->blaster->client = client;
    check(tcpm_connect(client->session, &options, NULL), "tcpm_connect");
}

/* Half of the lines without the blaster, half beside it. */
static void run_half(struct client *client, int beside)
{
    client->mixed->beside = beside;
    client->mixed->left = client->mixed->under_way = client->job.operations / 2;
    for (unsigned i = 0; i < client->job.window; i++)
        send_next(client);
    set_alarm(client); /* not before: what is sent here is sent outside of the loop */
    uv_run(&client->loop, UV_RUN_DEFAULT);
    check(tcpm_alarm_remove(client->session, client->mixed->alarm), "tcpm_alarm_remove");
}

static void run_mixed(struct client *client)
{
    client->mixed = calloc(1, sizeof *client->mixed);
    if (!client->mixed)
        bench_fail("calloc", 0);
    client->mixed->sent_ns = calloc(client->job.connections, sizeof *client->mixed->sent_ns);
    client->mixed->blaster = calloc(1, sizeof *client->mixed->blaster);
    if (!client->mixed->sent_ns || !client->mixed->blaster)
        bench_fail("calloc", 0);
    client->figures.latency = client->mixed->latency;
    start_connections(client);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    bench_begin(&client->figures);
    run_half(client, 0);
    start_blaster(client);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    run_half(client, 1);
    bench_end(&client->figures);
}

static void on_settled(struct tcpm_session *session, void *user, void *argument)
{
    (void) session, (void) user;
    uv_stop(argument);
}

/* Under TLS the server's session tickets come after the handshake. */
static void settle(struct client *client)
{
    struct tcpm_task task = {.run = on_settled, .argument = &client->loop};
    check(tcpm_delay(client->session, (struct tcpm_id){0}, BENCH_SETTLE_MS, task, NULL),
          "tcpm_delay");
    uv_run(&client->loop, UV_RUN_DEFAULT);
}

static uint64_t memory(const struct client *client)
{
    return client->job.tls ? bench_settled_memory() : bench_memory();
}

/* The heaps are calloc'ed and untouched until start_connections: they count as well. */
static void run_idle(struct client *client)
{
    uint64_t before = memory(client);
    start_connections(client);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    if (client->job.tls)
        settle(client);
    client->figures.memory_bytes = memory(client) - before;
    client->figures.operations = client->open;
}

static void count_resumed(struct client *client)
{
    struct tcpm_stats stats = {.size = sizeof stats};
    check(tcpm_stats_get(client->session, &stats), "tcpm_stats_get");
    client->figures.resumed = stats.resumed;
}

static void run_to_the_end(struct client *client)
{
    bench_begin(&client->figures);
    start_connections(client);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    bench_end(&client->figures);
    if (client->job.work == BENCH_BULK)
        client->figures.operations = client->figures.bytes;
    count_resumed(client);
}

/* ---- start and end ---- */

static struct tcpm_tls *create_tls(struct client *client)
{
    struct tcpm_tls_options options = {
        .size = sizeof options,
        .ca = client->job.tls,
        .no_resumption = !client->job.resume,
    };
    struct tcpm_tls *tls;
    check(tcpm_tls_create(client->engine, &options, &tls, NULL), "tcpm_tls_create");
    return tls;
}

static void prepare_upload(struct client *client, struct tcpm_session_options *options)
{
    client->source = bench_source();
    options->events = &upload_events;
    options->input_filter = options->output_filter = client->stream;
}

static void create_session(struct client *client)
{
    int64_t timeout_ms = client->job.timeouts ? 0 : TCPM_NONE;
    struct tcpm_session_options options = {
        .size = sizeof options,
        .events = &events,
        .connect_timeout_ms = timeout_ms,
        .input_timeout_ms = timeout_ms,
    };
    check(tcpm_filter_stream(&client->stream), "tcpm_filter_stream");
    if (client->job.work == BENCH_BULK)
        options.input_filter = options.output_filter = client->stream;
    if (client->job.work == BENCH_UPLOAD)
        prepare_upload(client, &options);
    if (client->job.work == BENCH_HTTP)
        options.output_filter = client->stream;
    check(tcpm_engine_create(&client->loop, NULL, &client->engine), "tcpm_engine_create");
    if (client->job.tls)
        options.tls = create_tls(client);
    check(tcpm_session_create(client->engine, &options, &client->session), "tcpm_session_create");
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
    else if (client->job.work == BENCH_MIXED)
        run_mixed(client);
    else
        run_to_the_end(client);
    return bench_report(&client->figures);
}
