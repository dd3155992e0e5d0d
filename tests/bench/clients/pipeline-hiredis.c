/* SPDX-License-Identifier: MIT */
/* The pipeline comparison with hiredis, the client library of Redis, on libuv. */
#include "pipeline.h"

#include <signal.h>
#include <string.h>

#include <hiredis/async.h>
#include <hiredis/adapters/libuv.h>

struct connection {
    struct pipeline *pipeline;
    int awaited;
};

static void on_answer(redisAsyncContext *context, void *reply, void *user);

static void send_pings(redisAsyncContext *context, struct connection *connection)
{
    connection->awaited = PIPELINE_DEPTH;
    for (int i = 0; i < PIPELINE_DEPTH; i++)
        redisAsyncCommand(context, on_answer, connection, "PING");
}

static void on_answer(redisAsyncContext *context, void *reply, void *user)
{
    struct connection *connection = user;

    if (reply == NULL || strcmp(((redisReply *) reply)->str, "PONG") != 0)
        return;
    connection->pipeline->answers++;
    if (--connection->awaited > 0)
        return;
    if (connection->pipeline->answers >= connection->pipeline->wanted)
        redisAsyncDisconnect(context);
    else
        send_pings(context, connection);
}

int main(int argc, char **argv)
{
    static struct connection connections[PIPELINE_CONNECTIONS];
    struct pipeline pipeline = pipeline_begin(argc, argv);

    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < PIPELINE_CONNECTIONS; i++) {
        redisAsyncContext *context = redisAsyncConnect("127.0.0.1", pipeline.port);
        if (context == NULL || context->err != 0)
            return 1;
        redisLibuvAttach(context, uv_default_loop());
        connections[i].pipeline = &pipeline;
        send_pings(context, &connections[i]);
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    return pipeline_end(&pipeline);
}
