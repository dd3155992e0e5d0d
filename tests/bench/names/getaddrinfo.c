/* SPDX-License-Identifier: MIT */
/*
 * libuv's uv_getaddrinfo, in as many threads as there are look-ups at a time. The name server comes
 * from /etc/resolv.conf, so this client has to run where that names ours.
 */
#include <netdb.h>
#include <stdlib.h>
#include <uv.h>

#include "names/job.h"

struct client {
    struct names_job job;
    struct bench_figures figures;
    uv_loop_t loop;
    unsigned started;
};

static void start_one(struct client *client, uv_getaddrinfo_t *request);

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct client *client = request->data;

    client->figures.operations++;
    client->figures.errors += status != 0;
    uv_freeaddrinfo(list);
    if (client->started < client->job.count)
        start_one(client, request);
}

static void start_one(struct client *client, uv_getaddrinfo_t *request)
{
    char text[NAMES_TEXT];
    const struct addrinfo hints = {.ai_family = client->job.families == 4 ? AF_INET : AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM};

    names_print(client->started++, text);
    request->data = client;
    if (uv_getaddrinfo(&client->loop, request, on_answer, text, NULL, &hints))
        bench_fail("uv_getaddrinfo", 0);
}

int main(int argc, char **argv)
{
    struct client client = {.started = 0};

    names_job_read(argc, argv, &client.job);
    uv_getaddrinfo_t *requests = calloc(client.job.window, sizeof *requests);
    if (!requests || uv_loop_init(&client.loop))
        bench_fail("start", 0);
    bench_begin(&client.figures);
    for (unsigned i = 0; i < client.job.window && i < client.job.count; i++)
        start_one(&client, &requests[i]);
    uv_run(&client.loop, UV_RUN_DEFAULT);
    bench_end(&client.figures);
    free(requests);
    uv_loop_close(&client.loop);
    return bench_report(&client.figures);
}
