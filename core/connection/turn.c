/* SPDX-License-Identifier: MIT */
/*
 * The callbacks of the loop: the turns of the loop, and the events of sockets. Before the loop
 * polls (prepare) and after it has handed out its events (check), the ready pass serves each marked
 * connection once, starts waiting connects, and stops sessions. Deadlines and alarms are looked at
 * when their time comes, also inside of a long dispatch.
 *
 * What always holds: the loop does not sleep while a connection is marked as ready or a post waits,
 * nor beyond the next deadline or alarm. This is true for uv_backend_timeout() at any moment: each
 * pass ends by setting how long the loop may sleep, and anything new outside of a pass forbids the
 * loop to sleep at all (mark.c).
 */
#include "connection/life.h"

enum { TICK_MS = 2 }; /* time between two looks at deadlines in a long dispatch, in ms */

/* ---- the ready pass ---- */

/* Runs the step of a connection. Marks made during the step count only if the connection lives. */
static void serve(struct tcpm_engine *engine, struct tcpm__connection *connection)
{
    connection->flags &= ~(uint32_t) TCPM__READY;
    engine->turn.serving = connection;
    engine->turn.serve_again = false;
    bool lives = tcpm__connection_step(connection);
    engine->turn.serving = NULL;
    if (lives && engine->turn.serve_again)
        tcpm__connection_mark_ready(connection);
}

/* Serves the connections that are marked at the call, each once. Marks made meanwhile are for the
   next pass. */
static void serve_ready(struct tcpm_engine *engine)
{
    struct tcpm__connection *connection = engine->turn.ready;

    engine->turn.ready = NULL;
    while (connection != NULL) {
        struct tcpm__connection *next = tcpm__connection_next_ready(engine, connection);

        serve(engine, connection);
        connection = next;
    }
}

static void ready_pass(struct tcpm_engine *engine)
{
    serve_ready(engine);
    tcpm__admission_run(engine);
    tcpm__admission_announce_room(engine);
    tcpm__session_reap(engine);
    tcpm__engine_validate(engine);
}

static bool alarm_is_due(const struct tcpm_engine *engine)
{
    return engine->network.now_ns >= engine->tasks.alarms.next_ns;
}

static bool deadlines_have_turn(const struct tcpm_engine *engine)
{
    return engine->network.now_ms - engine->turn.ticked_ms >= TICK_MS;
}

/* Connections that time out in the middle of a long dispatch get their last events there. Out of
   line, as it has work to do after few events. */
__attribute__((noinline)) static void tick(struct tcpm_engine *engine)
{
    if (alarm_is_due(engine))
        tcpm__alarm_expire(engine);
    if (!deadlines_have_turn(engine))
        return;
    engine->turn.ticked_ms = engine->network.now_ms;
    if (tcpm__deadline_expire(engine))
        serve_ready(engine);
}

/* Reads for the connections of the backlog, until the time for it in this turn is over. */
static void serve_backlog(struct tcpm_engine *engine)
{
    struct tcpm__connection *connection = tcpm__backlog_next(engine);
    uint64_t until_ns = tcpm__backlog_begin(engine);

    while (connection != NULL) {
        bool more = tcpm__input_read_round(connection);

        if (!tcpm__backlog_note_read(connection, more, until_ns))
            return;
        connection = tcpm__backlog_next(engine);
    }
}

/* ---- the loop's calls ---- */

/* Handles deadlines. Since libuv 1.45 timers run after the last pass of a turn, so the loop is
   woken for another pass. */
static void on_timer(uv_timer_t *timer)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(timer, struct tcpm_engine, handles.timer);

    if (tcpm__engine_abandon_if_forked(engine))
        return;
    engine->handles.timer_ms = UINT64_MAX;
    engine->deadlines.changed = true; /* the timer has to be set again in any case */
    engine->turn.ticked_ms = tcpm__network_read_clock(&engine->network);
    tcpm__deadline_expire(engine);
    tcpm__engine_wake(engine);
}

/* Sets the timer for the next deadline. Called once in a pass, so that a change of a deadline costs
   nothing by itself. */
static void set_timer(struct tcpm_engine *engine)
{
    if (!engine->deadlines.changed)
        return;
    engine->deadlines.changed = false;
    uint64_t next = tcpm__wheel_next(&engine->deadlines);
    if (next == engine->handles.timer_ms)
        return;
    engine->handles.timer_ms = next;
    if (next == UINT64_MAX) {
        uv_timer_stop(&engine->handles.timer);
        return;
    }
    uv_update_time(engine->network.loop);
    uint64_t now = tcpm__network_read_clock(&engine->network);
    uv_timer_start(&engine->handles.timer, on_timer, next > now ? next - now : 0, 0);
}

static bool has_more(const struct tcpm_engine *engine)
{
    return engine->turn.ready != NULL || engine->tasks.next_posts.first != NULL ||
           engine->backlog.count > 0 || !tcpm__list_empty(&engine->sessions.dead) ||
           tcpm__handshakes_have_work(engine) || engine->end.closing;
}

/* Decides whether the next poll may block (an active idle handle forbids it), and until when.
   Called before each poll, and after it for hosts that poll uv_backend_fd() themselves. */
static void limit_poll(struct tcpm_engine *engine, bool at_once)
{
    if (at_once)
        tcpm__engine_stay_awake(engine);
    else
        uv_idle_stop(&engine->handles.idle);
    set_timer(engine);
    engine->turn.passing = false;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(prepare, struct tcpm_engine, handles.prepare);

    if (tcpm__engine_abandon_if_forked(engine))
        return;
    engine->turn.passing = true;
    tcpm__network_begin_turn(&engine->network);
    engine->turn.ticked_ms = tcpm__network_read_clock(&engine->network);
    tcpm__posts_run(engine, &engine->tasks.next_posts);
    ready_pass(engine);
    if (engine->backlog.count > 0)
        serve_backlog(engine);
    if (tcpm__handshakes_have_work(engine))
        tcpm__reach_serve(engine);
    if (engine->sessions.corking > 0)
        tcpm__output_uncork(engine);
    tcpm__network_wake_at(&engine->network, engine->tasks.alarms.next_ns);
    limit_poll(engine, has_more(engine));
}

/* The network's alarm is set once in a turn, before the poll. If the alarm that is set would come
   too late for an alarm of the user's, the loop does not sleep before the next turn sets it. */
static void on_check(uv_check_t *check)
{
    struct tcpm_engine *engine = TCPM__CONTAINER(check, struct tcpm_engine, handles.check);

    if (tcpm__engine_abandon_if_forked(engine))
        return;
    engine->turn.passing = true;
    tcpm__network_read_clock(&engine->network);
    ready_pass(engine);
    limit_poll(engine, has_more(engine) || tcpm__network_sleeps_beyond(
                                               &engine->network, engine->tasks.alarms.next_ns));
    if (engine->end.closing && tcpm__list_empty(&engine->sessions.all) &&
        engine->tasks.next_posts.first == NULL)
        tcpm__engine_finish(engine); /* not while the next turn has posts to free */
}

/* ---- events of sockets ---- */

static struct tcpm__connection *owner_of(struct tcpm__socket *socket)
{
    return TCPM__CONTAINER(socket, struct tcpm__connection, socket);
}

static struct tcpm_engine *engine_with(struct tcpm__network *network)
{
    return TCPM__CONTAINER(network, struct tcpm_engine, network);
}

static struct tcpm__socket *on_find(struct tcpm__network *network, uint64_t tag)
{
    const struct tcpm_engine *engine = engine_with(network);
    struct tcpm__connection *connection = tcpm__pool_find(&engine->connections, tag);

    if (connection == NULL)
        return tag >> TCPM__TAG_BITS == 0 ? NULL : tcpm__racers_find(engine, tag);
    return tcpm__socket_is_open(&connection->socket) ? &connection->socket : NULL;
}

static void on_connected(struct tcpm__socket *socket, int status)
{
    struct tcpm__connection *connection = owner_of(socket);

    if (!tcpm__is_ending(connection))
        tcpm__attempt_connected(connection, socket, status);
}

static void on_raced(struct tcpm__socket *socket, int status)
{
    struct tcpm__connection *connection = tcpm__racer_with(socket)->owner;

    if (!tcpm__is_ending(connection))
        tcpm__attempt_connected(connection, socket, status);
}

/* The event flushed for earlier sends comes before new input is read, so the connection is only
   marked. After the end of the input, readable can only mean an error. Out of line, as few events
   come here. */
__attribute__((noinline)) static void read_in_order(struct tcpm__connection *connection)
{
    if (connection->phase == TCPM__PHASE_CONNECTING && !tcpm__reach_go_on(connection))
        return;
    if (tcpm__has(connection, TCPM__SECURING))
        tcpm__reach_go_on(connection);
    else if (tcpm__has(connection, TCPM__INPUT_END))
        tcpm__sending_check_error(connection);
    else if (tcpm__has(connection, TCPM__OWES_FLUSHED))
        tcpm__connection_mark_ready(connection);
    else
        tcpm__input_read(connection);
}

static void on_readable(struct tcpm__socket *socket)
{
    struct tcpm__connection *connection = owner_of(socket);

    if (connection->phase == TCPM__PHASE_CONNECTING ||
        tcpm__has_any(connection, TCPM__INPUT_END | TCPM__OWES_FLUSHED | TCPM__SECURING))
        read_in_order(connection);
    else
        tcpm__input_read(connection);
}

static void on_writable(struct tcpm__socket *socket)
{
    struct tcpm__connection *connection = owner_of(socket);

    if (connection->phase == TCPM__PHASE_CONNECTING || tcpm__handshake_of(connection) != NULL)
        tcpm__reach_go_on(connection);
    else if (connection->sending == TCPM__SENDING_LINGERING)
        tcpm__linger_writable(connection);
    else if (connection->queue != NULL)
        tcpm__output_flush(connection);
    else
        tcpm__connection_mark_ready(connection); /* the last bytes of a layer */
}

static void on_served(struct tcpm__network *network)
{
    struct tcpm_engine *engine = engine_with(network);

    if (alarm_is_due(engine) || deadlines_have_turn(engine))
        tick(engine);
}

static void on_other(struct tcpm__network *network, uint64_t tag, uint32_t bits)
{
    tcpm__lookup_event(engine_with(network), tag, bits);
}

/* ---- opening and closing ---- */

int tcpm__engine_open(struct uv_loop_s *loop, const struct tcpm_engine_options *options,
                      struct tcpm_engine **ret)
{
    static const struct tcpm__socket_events events = {
        .find = on_find,
        .connected = on_connected,
        .raced = on_raced,
        .readable = on_readable,
        .writable = on_writable,
        .served = on_served,
        .other = on_other,
    };
    int result = tcpm__engine_create(loop, options, &events, ret);

    if (result < 0)
        return result;
    uv_prepare_start(&(*ret)->handles.prepare, on_prepare);
    uv_check_start(&(*ret)->handles.check, on_check);
    return 0;
}

static void finish_turns(struct tcpm_engine *engine)
{
    while (!tcpm__list_empty(&engine->sessions.all) || engine->tasks.next_posts.first != NULL) {
        tcpm__posts_run(engine, &engine->tasks.next_posts);
        ready_pass(engine);
    }
}

/* The loop may be gone. While passing is set, the engine does not try to wake the loop. */
void tcpm__engine_close_now(struct tcpm_engine *engine)
{
    engine->turn.passing = true;
    tcpm__engine_close(engine, engine->end.closed, engine->end.closed_user);
    finish_turns(engine);
    tcpm__engine_finish(engine);
}
