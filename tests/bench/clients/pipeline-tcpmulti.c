/* SPDX-License-Identifier: MIT */
/* The pipeline comparison with tcpm_send in a loop, in a session with the option cork. */
#include "pipeline.h"

#include <string.h>
#include <uv.h>

#include "tcpmulti.h"

struct connection {
    struct pipeline *pipeline;
    int awaited;
};

static void send_pings(struct tcpm_session *session, struct tcpm_id id,
                       struct connection *connection)
{
    static const char ping[] = "*1\r\n$4\r\nPING";

    connection->awaited = PIPELINE_DEPTH;
    for (int i = 0; i < PIPELINE_DEPTH; i++)
        tcpm_send(session, id, ping, sizeof ping - 1);
}

static void on_success(void *heap, struct tcpm_session *session, struct tcpm_id id, int fd,
                       const char *addr, unsigned port)
{
    (void) fd;
    (void) addr;
    (void) port;
    send_pings(session, id, heap);
}

static void on_input(void *heap, struct tcpm_session *session, struct tcpm_id id,
                     const void *record, size_t length)
{
    struct connection *connection = heap;

    if (length != 5 || memcmp(record, "+PONG", 5) != 0)
        exit(1);
    connection->pipeline->answers++;
    if (--connection->awaited > 0)
        return;
    if (connection->pipeline->answers >= connection->pipeline->wanted)
        tcpm_shutdown(session, id);
    else
        send_pings(session, id, connection);
}

int main(int argc, char **argv)
{
    static struct connection connections[PIPELINE_CONNECTIONS];
    const struct tcpm_events events = {
        .size = sizeof events, .success = on_success, .input = on_input};
    const struct tcpm_session_options options = {
        .size = sizeof options, .events = &events, .cork = 1};
    struct pipeline pipeline = pipeline_begin(argc, argv);
    struct tcpm_engine *engine;
    struct tcpm_session *session;

    if (tcpm_engine_create(uv_default_loop(), NULL, &engine) < 0 ||
        tcpm_session_create(engine, &options, &session) < 0)
        return 1;
    for (int i = 0; i < PIPELINE_CONNECTIONS; i++) {
        const struct tcpm_connect_options target = {.size = sizeof target,
                                                    .address = "127.0.0.1",
                                                    .port = pipeline.port,
                                                    .heap = &connections[i]};
        connections[i].pipeline = &pipeline;
        if (tcpm_connect(session, &target, NULL) < 0)
            return 1;
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    return pipeline_end(&pipeline);
}
