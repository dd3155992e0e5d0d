/* SPDX-License-Identifier: MIT */
/*
 * The engine: what the sessions of one loop share, from its creation to the moment when libuv has
 * let go of everything that was ours.
 */
#include "connection/layer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#define MAX_MEMORY (1024u * 1024u * 1024u)
#define RESERVE    64u /* descriptors left to the host, or half of all where that is less */

static uint64_t descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return 1048576;
    return limit.rlim_cur;
}

static uint64_t standard_connections(void)
{
    uint64_t limit = descriptor_limit();
    uint64_t reserve = limit / 2 < RESERVE ? limit / 2 : RESERVE;

    return limit - reserve > 0 ? limit - reserve : 1;
}

static void set_limits(struct tcpm_engine *engine, const struct tcpm_engine_options *options)
{
    engine->max_connections = options->max_connections == 0  ? standard_connections()
                              : options->max_connections < 0 ? UINT64_MAX
                                                             : (uint64_t) options->max_connections;
    engine->ceiling = engine->max_connections;
    engine->max_memory = options->max_memory == 0  ? MAX_MEMORY
                         : options->max_memory < 0 ? UINT64_MAX
                                                   : (uint64_t) options->max_memory;
}

static struct tcpm__memory memory_of(const struct tcpm_engine_options *options)
{
    if (options->reallocate == NULL)
        return tcpm__memory_default;
    return (struct tcpm__memory){options->reallocate, options->user};
}

static void init_parts(struct tcpm_engine *engine)
{
    tcpm__pool_init(&engine->connections, &engine->memory, sizeof(struct tcpm__connection));
    tcpm__pool_init(&engine->alarm_pool, &engine->memory, sizeof(struct tcpm__alarm));
    tcpm__wheel_init(&engine->deadlines, tcpm__clock_ns() / 1000000);
    tcpm__heap_init(&engine->alarms, &engine->memory);
    tcpm__list_init(&engine->sessions);
    tcpm__list_init(&engine->dead);
    tcpm__list_init(&engine->admission.rooms);
    tcpm__heap_init(&engine->admission.turns, &engine->memory);
    tcpm__posts_init(&engine->posts);
    tcpm__posts_init(&engine->next_posts);
    tcpm__out_init(&engine->out, &engine->memory);
}

static void free_parts(struct tcpm_engine *engine)
{
    tcpm__pool_free(&engine->connections);
    tcpm__pool_free(&engine->alarm_pool);
    tcpm__heap_free(&engine->alarms);
    tcpm__heap_free(&engine->admission.turns);
    tcpm__out_free(&engine->out);
}

int tcpm__engine_create(struct uv_loop_s *loop, const struct tcpm_engine_options *options,
                        struct tcpm_engine **ret)
{
    struct tcpm__memory memory = memory_of(options);
    struct tcpm_engine *engine = tcpm__memory_zeroed(&memory, sizeof(*engine));
    int result;

    if (engine == NULL)
        return -ENOMEM;
    engine->memory = memory;
    engine->trace = options->trace;
    engine->trace_user = options->user;
    set_limits(engine, options);
    init_parts(engine);
    result = tcpm__heap_join(&engine->alarms); /* the probe of admission */
    if (result == 0)
        result = tcpm__network_open(&engine->network, loop, &engine->memory,
                                    tcpm__connection_socket_events(), descriptor_limit());
    if (result < 0) {
        free_parts(engine);
        tcpm__memory_free(&memory, engine);
        return result;
    }
    tcpm__turn_init(engine);
    *ret = engine;
    return 0;
}

static void free_engine(struct tcpm__network *network)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(network, struct tcpm_engine, network);
    struct tcpm__memory memory = engine->memory;
    void (*closed)(void *user) = engine->closed;
    void *closed_user = engine->closed_user;

    free_parts(engine);
    tcpm__network_free(&engine->network);
    tcpm__memory_free(&memory, engine);
    if (closed != NULL)
        closed(closed_user);
}

void tcpm__engine_abandon(struct tcpm_engine *engine)
{
    struct tcpm__connection *connection = tcpm__pool_next(&engine->connections, 0);

    if (engine->abandoned)
        return;
    engine->abandoned = true;
    for (; connection != NULL; connection = tcpm__pool_next(&engine->connections, connection->id))
        if (tcpm__socket_is_open(&connection->socket))
            tcpm__socket_close(&engine->network, &connection->socket, false);
    tcpm__network_abandon(&engine->network);
}

/* Work is one more until here, so that the loop keeps running for the ready pass. */
void tcpm__engine_close(struct tcpm_engine *engine)
{
    struct tcpm__list *node = engine->sessions.next;

    if (tcpm__network_is_forked(&engine->network))
        tcpm__engine_abandon(engine);
    if (!engine->closing)
        tcpm__work_add(engine);
    engine->closing = true;
    uv_ref((uv_handle_t *) &engine->handles.check); /* where it rested there was work before */
    for (; node != &engine->sessions; node = node->next)
        tcpm__session_die(TCPM__CONTAINER(node, struct tcpm_session, in_engine), true);
}

/* The loop may be gone: nothing is asked of it from here on. */
void tcpm__engine_close_now(struct tcpm_engine *engine)
{
    engine->passing = true;
    tcpm__engine_close(engine);
    tcpm__turn_finish(engine);
    tcpm__engine_finish(engine);
}

/* Where somebody has closed all handles of the loop, nothing is left to wait for. */
void tcpm__engine_finish(struct tcpm_engine *engine)
{
    engine->network.emptied = free_engine;
    tcpm__network_close(&engine->network);
    tcpm__turn_free(engine);
    if (engine->network.handles == 0)
        free_engine(&engine->network);
}
