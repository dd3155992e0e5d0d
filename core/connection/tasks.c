/* SPDX-License-Identifier: MIT */
/*
 * Tasks of the user: posts run in order, alarms at their time, signals each time. Each task is run
 * once or dropped once; those of a connection are dropped before its last event.
 */
#include "connection/layer.h"

#include <errno.h>

/* ---- posts ---- */

void tcpm__posts_init(struct tcpm__posts *posts)
{
    posts->first = NULL;
    posts->last = &posts->first;
}

/* What a handler posts runs when it has returned; what a post or anything else posts runs in the
   next turn. */
int tcpm__posts_add(struct tcpm_session *session, struct tcpm_task task)
{
    struct tcpm_engine *engine = session->engine;
    bool soon = engine->handler_depth > 0 && !engine->running_posts;
    struct tcpm__posts *posts = soon ? &engine->posts : &engine->next_posts;
    struct tcpm__post *post = tcpm__memory_resize(&engine->memory, NULL, sizeof(*post));

    if (post == NULL)
        return -ENOMEM;
    *post = (struct tcpm__post){.session = session, .task = task};
    tcpm__list_append(&session->posts, &post->in_session);
    *posts->last = post;
    posts->last = &post->next;
    tcpm__work_add(engine);
    return 0;
}

static void drop_task(struct tcpm_engine *engine, const struct tcpm_task *task)
{
    if (task->drop == NULL)
        return;
    engine->calling_back++;
    task->drop(task->argument);
    engine->calling_back--;
}

static void run_task(struct tcpm_session *session, const struct tcpm_task *task)
{
    tcpm__handler_enter(session->engine);
    task->run(session, session->user, task->argument);
    tcpm__handler_leave(session->engine);
}

/* Runs those that are there now. A session that dies meanwhile drops its own: they stay in the
   list, without a session. */
void tcpm__posts_run(struct tcpm_engine *engine, struct tcpm__posts *posts)
{
    struct tcpm__post *end = NULL;

    if (posts->first == NULL || engine->running_posts)
        return;
    engine->running_posts = true;
    end = TCPM__CONTAINER(posts->last, struct tcpm__post, next);
    for (bool last = false; !last;) {
        struct tcpm__post *post = posts->first;

        last = post == end;
        posts->first = post->next;
        if (posts->first == NULL)
            posts->last = &posts->first;
        if (post->session != NULL) {
            tcpm__list_remove(&post->in_session);
            run_task(post->session, &post->task);
        }
        tcpm__memory_free(&engine->memory, post);
        tcpm__work_done(engine);
    }
    engine->running_posts = false;
}

static void drop_posts(struct tcpm_session *session)
{
    while (!tcpm__list_empty(&session->posts)) {
        struct tcpm__post *post =
            TCPM__CONTAINER(session->posts.next, struct tcpm__post, in_session);

        tcpm__list_remove(&post->in_session);
        post->session = NULL;
        drop_task(session->engine, &post->task);
    }
}

/* ---- alarms ---- */

/* Its alarms are linked by slots, the newest first. */
static struct tcpm__chain_link *link_at(const struct tcpm_engine *engine, uint32_t slot)
{
    return tcpm__chain_link_at(&engine->alarm_pool, slot,
                               offsetof(struct tcpm__alarm, of_connection));
}

static void join_connection(struct tcpm__alarm *alarm, struct tcpm__connection *connection)
{
    uint32_t slot = tcpm__pool_slot(alarm), next = connection->alarms;

    alarm->connection = connection;
    alarm->of_connection.next = next;
    if (next != 0)
        link_at(alarm->session->engine, next)->prev = slot;
    connection->alarms = slot;
}

static void leave_connection(struct tcpm__alarm *alarm)
{
    const struct tcpm_engine *engine = alarm->session->engine;
    struct tcpm__chain_link link = alarm->of_connection;

    if (alarm->connection == NULL)
        return;
    if (link.prev == 0)
        alarm->connection->alarms = link.next;
    else
        link_at(engine, link.prev)->next = link.next;
    if (link.next != 0)
        link_at(engine, link.next)->prev = link.prev;
}

int tcpm__alarm_add(struct tcpm_session *session, struct tcpm__connection *connection,
                    uint64_t due_ns, struct tcpm_task task, struct tcpm__alarm **ret)
{
    struct tcpm_engine *engine = session->engine;
    int result = tcpm__heap_join(&engine->alarms);
    struct tcpm__alarm *alarm = result < 0 ? NULL : tcpm__pool_take(&engine->alarm_pool);

    if (alarm == NULL) {
        if (result == 0)
            tcpm__heap_leave(&engine->alarms);
        return -ENOMEM;
    }
    alarm->session = session;
    alarm->task = task;
    tcpm__list_append(&session->alarms, &alarm->in_session);
    if (connection != NULL)
        join_connection(alarm, connection);
    tcpm__heap_set(&engine->alarms, &alarm->timer, due_ns);
    tcpm__work_add(engine);
    *ret = alarm;
    return 0;
}

static void free_alarm(struct tcpm__alarm *alarm)
{
    struct tcpm_engine *engine = alarm->session->engine;

    leave_connection(alarm);
    tcpm__list_remove(&alarm->in_session);
    tcpm__heap_remove(&engine->alarms, &alarm->timer);
    tcpm__heap_leave(&engine->alarms);
    tcpm__pool_give(&engine->alarm_pool, alarm);
    tcpm__work_done(engine);
}

void tcpm__alarm_remove(struct tcpm__alarm *alarm)
{
    struct tcpm_engine *engine = alarm->session->engine;
    struct tcpm_task task = alarm->task;

    free_alarm(alarm);
    drop_task(engine, &task);
}

static void run_once(struct tcpm__alarm *alarm)
{
    struct tcpm_session *session = alarm->session;
    struct tcpm_engine *engine = session->engine;
    struct tcpm_task task = alarm->task;

    engine->alarmed = alarm->connection == NULL ? 0 : alarm->connection->id;
    free_alarm(alarm);
    tcpm__handler_enter(engine);
    task.run(session, session->user, task.argument);
    engine->alarmed = 0;
    tcpm__handler_leave(engine);
}

/* Set again first, so that the beat may remove itself. */
static void run_beat(struct tcpm__alarm *alarm, uint64_t now_ns)
{
    struct tcpm_session *session = alarm->session;
    uint64_t missed = (now_ns - alarm->timer.due_ns) / alarm->period_ns;
    uint64_t due_ns = alarm->timer.due_ns + missed * alarm->period_ns;

    tcpm__heap_set(&session->engine->alarms, &alarm->timer, due_ns + alarm->period_ns);
    tcpm__handler_enter(session->engine);
    alarm->beat(session, session->user, alarm->task.argument, (int64_t) due_ns, missed + 1);
    tcpm__handler_leave(session->engine);
}

static void run_alarm(struct tcpm_engine *engine, struct tcpm__alarm *alarm, uint64_t now_ns)
{
    if (alarm->session == NULL || alarm == &alarm->session->refill)
        tcpm__admission_wake(engine, alarm->session);
    else if (alarm->beat != NULL)
        run_beat(alarm, now_ns);
    else
        run_once(alarm);
}

/* Runs the alarms that are due now. An alarm that its own task sets again, for a time that is later
   however little, comes in a later turn. */
void tcpm__alarm_expire(struct tcpm_engine *engine)
{
    uint64_t now_ns = engine->network.now_ns;
    struct tcpm__heap_item *item;

    while ((item = tcpm__heap_expire(&engine->alarms, now_ns)) != NULL)
        run_alarm(engine, TCPM__CONTAINER(item, struct tcpm__alarm, timer), now_ns);
}

void tcpm__tasks_drop_connection(struct tcpm__connection *connection)
{
    const struct tcpm__pool *pool = &tcpm__engine_of(connection)->alarm_pool;

    while (connection->alarms != 0)
        tcpm__alarm_remove(tcpm__pool_at(pool, connection->alarms));
}

/* ---- signals ---- */

struct tcpm__signal {
    uv_signal_t watcher;
    struct tcpm__network *network; /* outlives the session */
    struct tcpm__signal *next;
    struct tcpm_session *session;
    struct tcpm_task task;
};

static void take_signal(uv_signal_t *watcher, int signum)
{
    struct tcpm__signal *signal = (struct tcpm__signal *) watcher;

    (void) signum;
    if (!tcpm__turn_rests(signal->session->engine))
        run_task(signal->session, &signal->task);
}

static void free_signal(uv_handle_t *handle)
{
    struct tcpm__signal *signal = (struct tcpm__signal *) handle;
    struct tcpm__network *network = signal->network;

    tcpm__memory_free(network->memory, signal);
    tcpm__network_forget(network);
}

static struct tcpm__signal **find_signal(struct tcpm_session *session, int signum)
{
    struct tcpm__signal **link = &session->signals;

    while (*link != NULL && (*link)->watcher.signum != signum)
        link = &(*link)->next;
    return link;
}

static void end_signal(struct tcpm__signal **link)
{
    struct tcpm__signal *signal = *link;
    struct tcpm_engine *engine = signal->session->engine;
    struct tcpm_task task = signal->task;

    *link = signal->next;
    if (uv_is_closing((uv_handle_t *) &signal->watcher))
        free_signal((uv_handle_t *) &signal->watcher); /* by who has closed the loop */
    else
        uv_close((uv_handle_t *) &signal->watcher, free_signal);
    drop_task(engine, &task);
}

static int watch_signal(struct tcpm_session *session, int signum, struct tcpm_task task)
{
    struct tcpm__network *network = &session->engine->network;
    struct tcpm__signal *signal = tcpm__memory_zeroed(network->memory, sizeof(*signal));
    int result = signal == NULL ? -ENOMEM : uv_signal_init(network->loop, &signal->watcher);

    if (result < 0) {
        tcpm__memory_free(network->memory, signal);
        return result;
    }
    signal->watcher.data = NULL;
    signal->network = network;
    signal->session = session;
    signal->task = task;
    network->handles++;
    result = uv_signal_start(&signal->watcher, take_signal, signum);
    if (result < 0) {
        uv_close((uv_handle_t *) &signal->watcher, free_signal);
        return result;
    }
    uv_unref((uv_handle_t *) &signal->watcher);
    signal->next = session->signals;
    session->signals = signal;
    return 0;
}

int tcpm__signal_set(struct tcpm_session *session, int signum, struct tcpm_task task)
{
    struct tcpm__signal **link = find_signal(session, signum);
    struct tcpm_task old;

    if (task.run == NULL) {
        if (*link != NULL)
            end_signal(link);
        return 0;
    }
    if (*link == NULL)
        return watch_signal(session, signum, task);
    old = (*link)->task;
    (*link)->task = task;
    drop_task(session->engine, &old);
    return 0;
}

void tcpm__tasks_drop_session(struct tcpm_session *session)
{
    drop_posts(session);
    while (!tcpm__list_empty(&session->alarms))
        tcpm__alarm_remove(TCPM__CONTAINER(session->alarms.next, struct tcpm__alarm, in_session));
    while (session->signals != NULL)
        end_signal(&session->signals);
}
