/* SPDX-License-Identifier: MIT */
/*
 * The turns of the loop. Before it polls (prepare) and after it has handed out its events (check)
 * the ready pass serves each marked connection once, lets waiting connects in, and stops sessions.
 * Deadlines and alarms are looked at when their time comes, and inside a long dispatch too.
 *
 * What always holds: the loop does not block while anything is marked ready or posted, nor beyond
 * the next deadline or alarm; and the check handle keeps it alive exactly while there is work. That
 * holds for uv_backend_timeout too, whoever has called us, and whenever: outside of the two passes,
 * which end by saying how long the loop may sleep, whatever is new lets it not sleep at all.
 */
#include "connection/layer.h"

static void take_idle(uv_idle_t *idle)
{
    (void) idle;
}

void tcpm__turn_wake(struct tcpm_engine *engine)
{
    if (!engine->passing && engine->handler_depth == 0)
        uv_idle_start(&engine->handles.idle, take_idle);
}

void tcpm__work_add(struct tcpm_engine *engine)
{
    if (engine->work++ == 0)
        uv_ref((uv_handle_t *) &engine->handles.check);
    tcpm__turn_wake(engine);
}

void tcpm__work_done(struct tcpm_engine *engine)
{
    if (--engine->work == 0)
        uv_unref((uv_handle_t *) &engine->handles.check);
}

static void append_ready(struct tcpm_engine *engine, struct tcpm__connection *connection)
{
    tcpm__turn_wake(engine);
    connection->flags |= TCPM__READY;
    connection->next_ready = 0;
    if (engine->ready == NULL)
        engine->ready = connection;
    else
        engine->ready_last->next_ready = tcpm__pool_slot(connection);
    engine->ready_last = connection;
}

void tcpm__ready(struct tcpm__connection *connection)
{
    struct tcpm_engine *engine = tcpm__engine_of(connection);

    if (engine->serving == connection)
        engine->serve_again = true;
    else if (!tcpm__has(connection, TCPM__READY))
        append_ready(engine, connection);
}

/* A step that ends the connection also ends the wish to be served again. */
static void serve(struct tcpm_engine *engine, struct tcpm__connection *connection)
{
    connection->flags &= ~(uint32_t) TCPM__READY;
    engine->serving = connection;
    engine->serve_again = false;
    if (tcpm__connection_step(connection) && engine->serve_again)
        append_ready(engine, connection);
    engine->serving = NULL;
}

/* Those that are marked now, each once; what they mark comes in the next pass. */
static void serve_ready(struct tcpm_engine *engine)
{
    struct tcpm__connection *connection = engine->ready;

    engine->ready = NULL;
    while (connection != NULL) {
        struct tcpm__connection *next = tcpm__next_ready(engine, connection);

        serve(engine, connection);
        connection = next;
    }
}

static void ready_pass(struct tcpm_engine *engine)
{
    serve_ready(engine);
    tcpm__admission_run(engine);
    tcpm__admission_announce_room(engine);
    tcpm__session_stop_dead(engine);
}

/* Connections that time out in the middle of a long dispatch get their last events there. */
void tcpm__turn_tick(struct tcpm_engine *engine)
{
    const struct tcpm__network *network = &engine->network;

    if (network->now_ns >= engine->alarms.next_ns)
        tcpm__alarm_expire(engine);
    if (network->now_ms - engine->ticked_ms < TCPM__TICK_MS)
        return;
    engine->ticked_ms = network->now_ms;
    if (tcpm__deadline_expire(engine))
        serve_ready(engine);
}

bool tcpm__turn_rests(struct tcpm_engine *engine)
{
    if (!tcpm__network_is_forked(&engine->network))
        return false;
    tcpm__engine_abandon(engine);
    if (engine->closing)
        return false;
    uv_timer_stop(&engine->handles.timer);
    uv_idle_stop(&engine->handles.idle);
    uv_unref((uv_handle_t *) &engine->handles.check);
    return true;
}

/* Since libuv 1.45 timers run after the last pass of a turn, hence the wake. */
static void take_timer(uv_timer_t *timer)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(timer, struct tcpm_engine, handles.timer);

    if (tcpm__turn_rests(engine))
        return;
    engine->timer_ms = UINT64_MAX;
    engine->deadlines.changed = true; /* it is to be set again, whatever is due */
    engine->ticked_ms = tcpm__network_now(&engine->network);
    tcpm__deadline_expire(engine);
    tcpm__turn_wake(engine);
}

/* Sets the timer for the next deadline. Not whenever one is armed, so that it costs nothing however
   often they change in a turn. */
static void set_timer(struct tcpm_engine *engine)
{
    uint64_t next, now;

    if (!engine->deadlines.changed)
        return;
    engine->deadlines.changed = false;
    next = tcpm__wheel_next(&engine->deadlines);
    if (next == engine->timer_ms)
        return;
    engine->timer_ms = next;
    if (next == UINT64_MAX) {
        uv_timer_stop(&engine->handles.timer);
        return;
    }
    uv_update_time(engine->network.loop);
    now = tcpm__network_now(&engine->network);
    uv_timer_start(&engine->handles.timer, take_timer, next > now ? next - now : 0, 0);
}

static bool has_more(const struct tcpm_engine *engine)
{
    return engine->ready != NULL || engine->next_posts.first != NULL || engine->backlog.count > 0 ||
           !tcpm__list_empty(&engine->dead) || engine->closing;
}

/* How long the next poll may take; an active idle handle makes it return at once. */
static void limit_poll(struct tcpm_engine *engine, bool at_once)
{
    if (at_once)
        uv_idle_start(&engine->handles.idle, take_idle);
    else
        uv_idle_stop(&engine->handles.idle);
    set_timer(engine);
    engine->passing = false;
}

static void take_prepare(uv_prepare_t *prepare)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(prepare, struct tcpm_engine, handles.prepare);

    if (tcpm__turn_rests(engine))
        return;
    engine->passing = true;
    tcpm__network_begin_turn(&engine->network);
    engine->ticked_ms = tcpm__network_now(&engine->network);
    tcpm__posts_run(engine, &engine->next_posts);
    ready_pass(engine);
    if (engine->backlog.count > 0)
        tcpm__backlog_run(engine);
    if (engine->corking > 0)
        tcpm__output_uncork(engine);
    tcpm__network_wake_at(&engine->network, engine->alarms.next_ns);
    limit_poll(engine, has_more(engine));
}

/* The alarm is set once in a turn, before the poll: where it would come too late there is no sleep
   before the next one. */
static void take_check(uv_check_t *check)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(check, struct tcpm_engine, handles.check);

    if (tcpm__turn_rests(engine))
        return;
    engine->passing = true;
    tcpm__network_now(&engine->network);
    ready_pass(engine);
    limit_poll(engine, has_more(engine) ||
                           tcpm__network_sleeps_beyond(&engine->network, engine->alarms.next_ns));
    if (engine->closing && tcpm__list_empty(&engine->sessions) && engine->next_posts.first == NULL)
        tcpm__engine_finish(engine); /* dropped posts are freed by the next turn */
}

/* Handles that take no part in deciding whether the loop has work; check does while there is some.
   Their data stays NULL: a binding that shares the loop, luv for one, takes what it finds there for
   its own. */
void tcpm__turn_init(struct tcpm_engine *engine)
{
    uv_loop_t *loop = engine->network.loop;

    engine->timer_ms = UINT64_MAX;
    uv_timer_init(loop, &engine->handles.timer);
    uv_prepare_init(loop, &engine->handles.prepare);
    uv_check_init(loop, &engine->handles.check);
    uv_idle_init(loop, &engine->handles.idle);
    engine->handles.timer.data = engine->handles.prepare.data = NULL;
    engine->handles.check.data = engine->handles.idle.data = NULL;
    uv_prepare_start(&engine->handles.prepare, take_prepare);
    uv_check_start(&engine->handles.check, take_check);
    uv_unref((uv_handle_t *) &engine->handles.timer);
    uv_unref((uv_handle_t *) &engine->handles.prepare);
    uv_unref((uv_handle_t *) &engine->handles.check);
    uv_unref((uv_handle_t *) &engine->handles.idle);
}

void tcpm__turn_finish(struct tcpm_engine *engine)
{
    while (!tcpm__list_empty(&engine->sessions) || engine->next_posts.first != NULL) {
        tcpm__posts_run(engine, &engine->next_posts);
        ready_pass(engine);
    }
}

static void forget_timer(uv_handle_t *timer)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(timer, struct tcpm_engine, handles.timer);

    tcpm__network_forget(&engine->network);
}

static void forget_prepare(uv_handle_t *prepare)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(prepare, struct tcpm_engine, handles.prepare);

    tcpm__network_forget(&engine->network);
}

static void forget_check(uv_handle_t *check)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(check, struct tcpm_engine, handles.check);

    tcpm__network_forget(&engine->network);
}

static void forget_idle(uv_handle_t *idle)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(idle, struct tcpm_engine, handles.idle);

    tcpm__network_forget(&engine->network);
}

void tcpm__turn_free(struct tcpm_engine *engine)
{
    struct tcpm__network *network = &engine->network;

    tcpm__network_close_handle(network, (uv_handle_t *) &engine->handles.timer, forget_timer);
    tcpm__network_close_handle(network, (uv_handle_t *) &engine->handles.prepare, forget_prepare);
    tcpm__network_close_handle(network, (uv_handle_t *) &engine->handles.check, forget_check);
    tcpm__network_close_handle(network, (uv_handle_t *) &engine->handles.idle, forget_idle);
}
