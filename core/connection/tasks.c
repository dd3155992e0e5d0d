/* SPDX-License-Identifier: MIT */
/*
 * Alarms and signals of sessions and connections.
 *
 * What always holds: the task of an alarm is run once or dropped once; a beat and the task of a
 * signal run any number of times, then are dropped once. Alarms of a connection are dropped before
 * its event disconnected.
 */
#include "connection/flow.h"

#include <errno.h>

/* ---- alarms ---- */

/* The link of an alarm in the list of its connection. The list is linked by slots of the pool, the
   newest alarm first. */
static struct tcpm__chain_link *link_at(const struct tcpm_engine *engine, uint32_t slot)
{
    return tcpm__chain_link_at(&engine->tasks.pool, slot,
                               offsetof(struct tcpm__alarm, of_connection));
}

static void join_connection(struct tcpm__alarm *alarm, struct tcpm__connection *connection)
{
    uint32_t slot = tcpm__pool_slot(alarm), next = connection->rare->alarms;

    alarm->connection = connection;
    alarm->of_connection.next = next;
    if (next != 0)
        link_at(alarm->session->engine, next)->prev = slot;
    connection->rare->alarms = slot;
}

static void leave_connection(struct tcpm__alarm *alarm)
{
    const struct tcpm_engine *engine = alarm->session->engine;
    struct tcpm__chain_link link = alarm->of_connection;

    if (alarm->connection == NULL)
        return;
    if (link.prev == 0)
        alarm->connection->rare->alarms = link.next;
    else
        link_at(engine, link.prev)->next = link.next;
    if (link.next != 0)
        link_at(engine, link.next)->prev = link.prev;
}

int tcpm__alarm_add(struct tcpm_session *session, struct tcpm__connection *connection,
                    uint64_t due_ns, struct tcpm_task task, struct tcpm__alarm **ret)
{
    struct tcpm_engine *engine = session->engine;
    bool has_rare = connection == NULL || tcpm__rare_get(connection) != NULL;
    int result = has_rare ? tcpm__heap_join(&engine->tasks.alarms) : -ENOMEM;
    struct tcpm__alarm *alarm = result < 0 ? NULL : tcpm__pool_take(&engine->tasks.pool);

    if (alarm == NULL) {
        if (result == 0)
            tcpm__heap_leave(&engine->tasks.alarms);
        return -ENOMEM;
    }
    alarm->session = session;
    alarm->task = task;
    tcpm__list_append(&session->alarms, &alarm->in_session);
    if (connection != NULL)
        join_connection(alarm, connection);
    tcpm__heap_set(&engine->tasks.alarms, &alarm->timer, due_ns);
    tcpm__work_add(engine);
    *ret = alarm;
    return 0;
}

void tcpm__alarm_repeat(struct tcpm__alarm *alarm, const struct tcpm_beat *beat, uint64_t period_ns)
{
    alarm->beat = beat->run;
    alarm->period_ns = period_ns;
}

void tcpm__alarm_adjust(struct tcpm__alarm *alarm, uint64_t due_ns)
{
    struct tcpm_engine *engine = alarm->session->engine;

    tcpm__heap_set(&engine->tasks.alarms, &alarm->timer, due_ns);
    tcpm__engine_wake(engine);
}

static void free_alarm(struct tcpm__alarm *alarm)
{
    struct tcpm_engine *engine = alarm->session->engine;

    leave_connection(alarm);
    tcpm__list_remove(&alarm->in_session);
    tcpm__heap_remove(&engine->tasks.alarms, &alarm->timer);
    tcpm__heap_leave(&engine->tasks.alarms);
    tcpm__pool_give(&engine->tasks.pool, alarm);
    tcpm__work_done(engine);
}

void tcpm__alarm_remove(struct tcpm__alarm *alarm)
{
    struct tcpm_engine *engine = alarm->session->engine;
    struct tcpm_task task = alarm->task;

    free_alarm(alarm);
    tcpm__task_drop(engine, &task);
}

static void run_once(struct tcpm__alarm *alarm)
{
    struct tcpm_session *session = alarm->session;
    struct tcpm_engine *engine = session->engine;
    struct tcpm_task task = alarm->task;

    engine->tasks.alarmed = alarm->connection == NULL ? 0 : alarm->connection->id;
    free_alarm(alarm);
    tcpm__handler_enter(engine);
    task.run(session, session->options.user, task.argument);
    engine->tasks.alarmed = 0;
    tcpm__handler_leave(engine);
}

/* Runs a beat. The alarm is set for the next time before the call, so that the beat may remove
   itself during the call. */
static void run_beat(struct tcpm__alarm *alarm, uint64_t now_ns)
{
    struct tcpm_session *session = alarm->session;
    uint64_t missed = (now_ns - alarm->timer.due_ns) / alarm->period_ns;
    uint64_t due_ns = alarm->timer.due_ns + missed * alarm->period_ns;

    tcpm__heap_set(&session->engine->tasks.alarms, &alarm->timer, due_ns + alarm->period_ns);
    tcpm__handler_enter(session->engine);
    alarm->beat(session, session->options.user, alarm->task.argument, (int64_t) due_ns, missed + 1);
    tcpm__handler_leave(session->engine);
}

static void run_alarm(struct tcpm_engine *engine, struct tcpm__alarm *alarm, uint64_t now_ns)
{
    if (alarm == &engine->lookups.alarm)
        tcpm__lookup_wake(engine);
    else if (alarm == &engine->handshakes.alarm)
        tcpm__handshakes_admit(engine);
    else if (alarm->session == NULL || alarm == &alarm->session->refill)
        tcpm__places_wake(engine, alarm->session);
    else if (alarm->beat != NULL)
        run_beat(alarm, now_ns);
    else
        run_once(alarm);
}

/* Runs the alarms that are due at the last reading of the clock. An alarm that a task sets for any
   later time runs in a later turn. */
void tcpm__alarm_expire(struct tcpm_engine *engine)
{
    uint64_t now_ns = engine->network.now_ns;
    struct tcpm__heap_item *item;

    while ((item = tcpm__heap_expire(&engine->tasks.alarms, now_ns)) != NULL)
        run_alarm(engine, TCPM__CONTAINER(item, struct tcpm__alarm, timer), now_ns);
}

void tcpm__tasks_drop_connection(struct tcpm__connection *connection)
{
    const struct tcpm__pool *pool = &tcpm__engine_of(connection)->tasks.pool;

    while (connection->rare != NULL && connection->rare->alarms != 0)
        tcpm__alarm_remove(tcpm__pool_at(pool, connection->rare->alarms));
}

/* ---- signals ---- */

struct tcpm__signal {
    uv_signal_t watcher;
    struct tcpm__network *network; /* counts the handle; outlives the session */
    struct tcpm__signal *next;     /* next signal of the session; NULL: the last */
    struct tcpm_session *session;  /* owner */
    struct tcpm_task task;         /* runs at each signal */
};

static void on_signal(uv_signal_t *watcher, int signum)
{
    struct tcpm__signal *signal = (struct tcpm__signal *) watcher;

    (void) signum;
    if (!tcpm__engine_abandon_if_forked(signal->session->engine))
        tcpm__task_run(signal->session, &signal->task);
}

static void on_signal_closed(uv_handle_t *handle)
{
    struct tcpm__signal *signal = (struct tcpm__signal *) handle;
    struct tcpm__network *network = signal->network;

    tcpm__memory_free(network->memory, signal);
    tcpm__network_release(network);
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
        on_signal_closed((uv_handle_t *) &signal->watcher); /* the host has closed the handle */
    else
        uv_close((uv_handle_t *) &signal->watcher, on_signal_closed);
    tcpm__task_drop(engine, &task);
}

static int watch_signal(struct tcpm_session *session, int signum, struct tcpm_task task)
{
    struct tcpm__network *network = &session->engine->network;
    struct tcpm__signal *signal = tcpm__memory_zeroed(network->memory, sizeof *signal);
    int result = signal == NULL ? -ENOMEM : uv_signal_init(network->loop, &signal->watcher);

    if (result < 0) {
        tcpm__memory_free(network->memory, signal);
        return result;
    }
    signal->watcher.data = NULL;
    signal->network = network;
    signal->session = session;
    signal->task = task;
    tcpm__network_hold(network);
    result = uv_signal_start(&signal->watcher, on_signal, signum);
    if (result < 0) {
        uv_close((uv_handle_t *) &signal->watcher, on_signal_closed);
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

    if (task.run == NULL) {
        if (*link != NULL)
            end_signal(link);
        return 0;
    }
    if (*link == NULL)
        return watch_signal(session, signum, task);
    struct tcpm_task old = (*link)->task;
    (*link)->task = task;
    tcpm__task_drop(session->engine, &old);
    return 0;
}

void tcpm__tasks_drop_session(struct tcpm_session *session)
{
    tcpm__posts_drop(session);
    while (!tcpm__list_empty(&session->alarms))
        tcpm__alarm_remove(TCPM__CONTAINER(session->alarms.next, struct tcpm__alarm, in_session));
    while (session->signals != NULL)
        end_signal(&session->signals);
}
