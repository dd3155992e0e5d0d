/* SPDX-License-Identifier: MIT */
/*
 * The engine, which the sessions of one loop share: its creation, and its end, which is over when
 * libuv has let go of all handles and requests of the engine. Called by turn.c.
 */
#include "connection/life.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "transport/dispatch.h"

enum {
    MAX_MEMORY = 1024 * 1024 * 1024, /* default of max_memory, in bytes */
    MAX_HANDSHAKES = 512,            /* default of max_handshakes */
    RESERVE = 64,               /* descriptors left to the host, or half of all if that is less */
    MANY_DESCRIPTORS = 1048576, /* limit of descriptors to reckon with where the process has none */
};

static uint64_t descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return MANY_DESCRIPTORS;
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
    engine->admission.max_connections = options->max_connections == 0 ? standard_connections()
                                        : options->max_connections < 0
                                            ? UINT64_MAX
                                            : (uint64_t) options->max_connections;
    engine->admission.ceiling = engine->admission.max_connections;
    engine->handshakes.max = options->max_handshakes == 0  ? MAX_HANDSHAKES
                             : options->max_handshakes < 0 ? UINT64_MAX
                                                           : (uint64_t) options->max_handshakes;
    engine->bytes.max = options->max_memory == 0  ? MAX_MEMORY
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
    tcpm__round_robin_init(&engine->backlog, &engine->connections,
                           offsetof(struct tcpm__connection, in_queue));
    tcpm__pool_init(&engine->tasks.pool, &engine->memory, sizeof(struct tcpm__alarm));
    tcpm__wheel_init(&engine->deadlines, tcpm__clock_ns() / 1000000);
    tcpm__heap_init(&engine->tasks.alarms, &engine->memory);
    tcpm__list_init(&engine->sessions.all);
    tcpm__list_init(&engine->sessions.dead);
    tcpm__list_init(&engine->admission.rooms);
    tcpm__list_init(&engine->handshakes.waiting);
    tcpm__list_init(&engine->handshakes.ready);
    tcpm__list_init(&engine->handshakes.silent);
    tcpm__heap_init(&engine->admission.turns, &engine->memory);
    tcpm__posts_init(&engine->tasks.posts);
    tcpm__posts_init(&engine->tasks.next_posts);
    tcpm__out_init(&engine->delivery.out, &engine->memory);
}

static void free_parts(struct tcpm_engine *engine)
{
    tcpm__pool_free(&engine->connections);
    tcpm__pool_free(&engine->tasks.pool);
    tcpm__heap_free(&engine->tasks.alarms);
    tcpm__heap_free(&engine->admission.turns);
    tcpm__out_free(&engine->delivery.out);
    tcpm__memory_free(&engine->memory, engine->handshakes.strings);
    tcpm__tls_shared_close(engine->handshakes.shared);
}

/* Initialises the handles, unreferenced so that the loop does not run for them; check is referenced
   while there is work. data stays NULL: a binding that shares the loop, luv for one, would take a
   pointer in data for one of its own. */
static void init_handles(struct tcpm_engine *engine)
{
    uv_loop_t *loop = engine->network.loop;

    engine->handles.timer_ms = UINT64_MAX;
    uv_timer_init(loop, &engine->handles.timer);
    uv_prepare_init(loop, &engine->handles.prepare);
    uv_check_init(loop, &engine->handles.check);
    uv_idle_init(loop, &engine->handles.idle);
    engine->handles.timer.data = engine->handles.prepare.data = NULL;
    engine->handles.check.data = engine->handles.idle.data = NULL;
    uv_unref((uv_handle_t *) &engine->handles.timer);
    uv_unref((uv_handle_t *) &engine->handles.prepare);
    uv_unref((uv_handle_t *) &engine->handles.check);
    uv_unref((uv_handle_t *) &engine->handles.idle);
}

int tcpm__engine_create(struct uv_loop_s *loop, const struct tcpm_engine_options *options,
                        const struct tcpm__socket_events *events, struct tcpm_engine **ret)
{
    struct tcpm__memory memory = memory_of(options);
    struct tcpm_engine *engine = tcpm__memory_zeroed(&memory, sizeof *engine);

    if (engine == NULL)
        return -ENOMEM;
    engine->memory = memory;
    engine->trace.tell = options->trace;
    engine->trace.user = options->user;
    engine->handshakes.key_log = options->key_log;
    set_limits(engine, options);
    init_parts(engine);
    int result = tcpm__heap_join(&engine->tasks.alarms); /* room for the alarm admission.probe */
    if (result == 0)
        result = tcpm__heap_join(&engine->tasks.alarms); /* room for lookups.alarm */
    if (result == 0)
        result = tcpm__heap_join(&engine->tasks.alarms); /* room for handshakes.alarm */
    if (result == 0)
        result =
            tcpm__network_open(&engine->network, loop, &engine->memory, events, descriptor_limit());
    if (result < 0) {
        free_parts(engine);
        tcpm__memory_free(&memory, engine);
        return result;
    }
    init_handles(engine);
    tcpm__dispatch_start(&engine->network);
    *ret = engine;
    return 0;
}

/* ---- the end ---- */

/* The close counts as work, so that the loop keeps running for the ready pass. */
void tcpm__engine_close(struct tcpm_engine *engine, void (*closed)(void *user), void *user)
{
    struct tcpm__list *node = engine->sessions.all.next;

    engine->end.closed = closed;
    engine->end.closed_user = user;
    if (tcpm__network_is_forked(&engine->network))
        tcpm__engine_abandon(engine);
    if (!engine->end.closing)
        tcpm__work_add(engine);
    engine->end.closing = true;
    uv_ref((uv_handle_t *) &engine->handles.check); /* fork.c may have unreferenced check */
    for (; node != &engine->sessions.all; node = node->next)
        tcpm__session_die(TCPM__CONTAINER(node, struct tcpm_session, in_engine), true);
}

static void on_network_released(struct tcpm__network *network)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(network, struct tcpm_engine, network);
    struct tcpm__memory memory = engine->memory;
    void (*closed)(void *user) = engine->end.closed;
    void *closed_user = engine->end.closed_user;

    free_parts(engine);
    tcpm__network_free(&engine->network);
    tcpm__memory_free(&memory, engine);
    if (closed != NULL)
        closed(closed_user);
}

static void on_timer_closed(uv_handle_t *timer)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(timer, struct tcpm_engine, handles.timer);

    tcpm__network_release(&engine->network);
}

static void on_prepare_closed(uv_handle_t *prepare)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(prepare, struct tcpm_engine, handles.prepare);

    tcpm__network_release(&engine->network);
}

static void on_check_closed(uv_handle_t *check)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(check, struct tcpm_engine, handles.check);

    tcpm__network_release(&engine->network);
}

static void on_idle_closed(uv_handle_t *idle)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(idle, struct tcpm_engine, handles.idle);

    tcpm__network_release(&engine->network);
}

static void close_handles(struct tcpm_engine *engine)
{
    struct tcpm__network *network = &engine->network;

    tcpm__network_close_handle(network, (uv_handle_t *) &engine->handles.timer, on_timer_closed);
    tcpm__network_close_handle(network, (uv_handle_t *) &engine->handles.prepare,
                               on_prepare_closed);
    tcpm__network_close_handle(network, (uv_handle_t *) &engine->handles.check, on_check_closed);
    tcpm__network_close_handle(network, (uv_handle_t *) &engine->handles.idle, on_idle_closed);
}

/* If somebody has closed all handles of the loop already, on_network_released is called at once. */
void tcpm__engine_finish(struct tcpm_engine *engine)
{
    tcpm__lookup_close(engine);
    tcpm__network_close(&engine->network);
    close_handles(engine);
    tcpm__network_await_release(&engine->network, on_network_released);
}
