/* SPDX-License-Identifier: MIT */
/*
 * A client as a user writes it, compiled against the installed header and library, as C and as C++:
 * one connection that sends a line and gets an answer. Arguments: address and port of a peer that
 * echoes lines. Prints what happened.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tcpmulti.h>
#include <uv.h>

static void take_success(void *heap, struct tcpm_session *session, struct tcpm_id id, int fd,
                         const char *addr, unsigned port)
{
    (void) heap;
    (void) fd;
    (void) addr;
    (void) port;
    if (tcpm_send(session, id, "hello", 5) < 0)
        exit(1);
}

static void take_input(void *heap, struct tcpm_session *session, struct tcpm_id id,
                       const void *record, size_t length)
{
    (void) heap;
    printf("input %.*s\n", (int) length, (const char *) record);
    tcpm_shutdown(session, id);
}

static void take_end(void *heap, struct tcpm_session *session, struct tcpm_id id,
                     enum tcpm_reason reason)
{
    (void) heap;
    (void) id;
    printf("disconnected %s\n", tcpm_reason_name(reason));
    tcpm_die(session);
}

static void take_stop(struct tcpm_session *session, void *user)
{
    (void) session;
    puts("stopped");
    tcpm_engine_close(*(struct tcpm_engine **) user, NULL, NULL);
}

int main(int argc, char **argv)
{
    struct tcpm_engine *engine = NULL;
    struct tcpm_session *session = NULL;
    struct tcpm_events events;
    struct tcpm_session_options options;
    struct tcpm_connect_options target;
    uv_loop_t loop;

    if (argc != 3)
        return 2;
    memset(&events, 0, sizeof(events));
    memset(&options, 0, sizeof(options));
    memset(&target, 0, sizeof(target));
    events.size = sizeof(events);
    events.success = take_success;
    events.input = take_input;
    events.disconnected = take_end;
    events.stopped = take_stop;
    options.size = sizeof(options);
    options.events = &events;
    options.user = &engine;
    target.size = sizeof(target);
    target.address = argv[1];
    target.port = strtol(argv[2], NULL, 10);
    if (uv_loop_init(&loop) != 0 || tcpm_engine_create(&loop, NULL, &engine) != 0 ||
        tcpm_session_create(engine, &options, &session) != 0 ||
        tcpm_connect(session, &target, NULL) != 0)
        return 1;
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop) == 0 ? 0 : 1;
}
