/* SPDX-License-Identifier: MIT */
/*
 * Ours at names: connects to as many numbers, different names, or again and again one name, and
 * resets each connection once it stands. What names cost is the difference to numbers.
 */
#include <stdlib.h>
#include <tcpmulti.h>
#include <uv.h>

#include "names/job.h"

enum { ADDRESSES = 32 };

struct client {
    struct names_job job;
    struct bench_figures figures;
    struct tcpm_session *session;
    unsigned started; /* connects so far, the first of which tell the number */
    unsigned left;    /* connections that have not ended yet */
};

static void check(int result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "bench client: %s: %s\n", what, tcpm_error_text(result));
    exit(1);
}

static void print_target(const struct client *client, unsigned number, char text[NAMES_TEXT])
{
    if (strcmp(client->job.work, "numbers") == 0)
        snprintf(text, NAMES_TEXT, "127.0.0.%u", 1 + number % ADDRESSES);
    else
        names_print(strcmp(client->job.work, "again") == 0 ? 0 : number, text);
}

static void start_one(struct client *client)
{
    char text[NAMES_TEXT];
    const struct tcpm_connect_options target = {
        .size = sizeof target, .address = text, .port = client->job.port, .heap = client};

    print_target(client, client->started++, text);
    check(tcpm_connect(client->session, &target, NULL), "tcpm_connect");
}

static void on_success(void *heap, struct tcpm_session *session, struct tcpm_id id, int fd,
                       const char *addr, unsigned port)
{
    struct client *client = heap;
    (void) fd, (void) addr, (void) port;
    client->figures.operations++;
    check(tcpm_reset(session, id), "tcpm_reset");
}

static void on_disconnected(void *heap, struct tcpm_session *session, struct tcpm_id id,
                            enum tcpm_reason reason)
{
    struct client *client = heap;
    (void) session, (void) id;
    if (reason != TCPM_REASON_SHUTDOWN)
        client->figures.errors++;
    client->left--;
    if (client->started < client->job.count)
        start_one(client);
}

/* Runs so many connects to their end. */
static void run_all(struct client *client, uv_loop_t *loop, unsigned count)
{
    client->started = 0;
    client->left = count;
    client->figures.operations = client->figures.errors = 0;
    for (unsigned i = 0; i < count && i < client->job.window; i++)
        start_one(client);
    uv_run(loop, UV_RUN_DEFAULT);
    if (client->left > 0)
        bench_fail("connections are left", 0);
}

static void open_session(struct client *client, struct tcpm_engine *engine)
{
    char servers[NAMES_TEXT];
    const struct tcpm_names_options names = {.size = sizeof names, .servers = servers};
    const struct tcpm_events events = {
        .size = sizeof events, .success = on_success, .disconnected = on_disconnected};
    const struct tcpm_session_options options = {
        .size = sizeof options,
        .events = &events,
        .domain = client->job.families,
    };

    snprintf(servers, sizeof servers, "127.0.0.1:%u", client->job.port);
    check(tcpm_names_set(engine, &names), "tcpm_names_set");
    check(tcpm_session_create(engine, &options, &client->session), "tcpm_session_create");
}

int main(int argc, char **argv)
{
    struct client client = {.left = 0};
    struct tcpm_engine *engine;
    uv_loop_t loop;

    names_job_read(argc, argv, &client.job);
    if (uv_loop_init(&loop))
        bench_fail("uv_loop_init", 0);
    check(tcpm_engine_create(&loop, NULL, &engine), "tcpm_engine_create");
    open_session(&client, engine);
    unsigned count = client.job.count;
    client.job.count = 1;
    run_all(&client, &loop, 1); /* the engine, and the name that is asked again, are warm */
    client.job.count = count;
    bench_begin(&client.figures);
    run_all(&client, &loop, count);
    bench_end(&client.figures);
    return bench_report(&client.figures);
}
