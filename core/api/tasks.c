/* SPDX-License-Identifier: MIT */
/*
 * The public functions on tasks: posts, alarms and signals.
 */
#include "api/check.h"

#include <errno.h>

#define NS_PER_MS   1000000
#define MIN_BEAT_NS 100000

/* Whether room for later releases is empty: what is there now nobody would heed. */
static bool is_empty(void *const reserved[2])
{
    return reserved[0] == NULL && reserved[1] == NULL;
}

static int check_task(const struct tcpm_session *session, const struct tcpm_task *task)
{
    if (session == NULL || task->run == NULL)
        return -EINVAL;
    if (!is_empty(task->reserved))
        return -E2BIG;
    return tcpm__check_session(session);
}

int tcpm_post(struct tcpm_session *session, struct tcpm_task task)
{
    int result = check_task(session, &task);

    return result < 0 ? result : tcpm__posts_add(session, task);
}

/* Later than now, however little, so that an alarm that sets itself again waits for a turn. */
static uint64_t due_in(const struct tcpm_session *session, int64_t ns)
{
    return tcpm__network_now_ns(&session->engine->network) + (ns == 0 ? 1 : (uint64_t) ns);
}

static bool is_delay(int64_t ns)
{
    return ns >= 0 && ns <= TCPM__TIME_MAX_NS;
}

/* Milliseconds in nanoseconds; what is no delay stays none. */
static int64_t ns_of(int64_t ms)
{
    return tcpm__check_delay(ms) < 0 ? -1 : ms * NS_PER_MS;
}

int tcpm_delay_ns(struct tcpm_session *session, struct tcpm_id id, int64_t ns,
                  struct tcpm_task task, struct tcpm_alarm *ret)
{
    struct tcpm__connection *connection = NULL;
    struct tcpm__alarm *alarm;
    int result = check_task(session, &task);

    if (result == -EINVAL || result == -E2BIG)
        return result;
    if (!is_delay(ns))
        return -EINVAL;
    if (id.n != 0) {
        connection = tcpm__check_live(session, id);
        if (connection == NULL)
            return tcpm__check_missing(session);
        if (connection->phase == TCPM_PHASE_SHUTTING)
            return -ESHUTDOWN;
    }
    if (result < 0)
        return result;
    result = tcpm__alarm_add(session, connection, due_in(session, ns), task, &alarm);
    if (result == 0 && ret != NULL)
        ret->n = alarm->id;
    return result;
}

int tcpm_delay(struct tcpm_session *session, struct tcpm_id id, int64_t ms, struct tcpm_task task,
               struct tcpm_alarm *ret)
{
    return tcpm_delay_ns(session, id, ns_of(ms), task, ret);
}

int tcpm_every(struct tcpm_session *session, int64_t ns, struct tcpm_beat beat,
               struct tcpm_alarm *ret)
{
    const struct tcpm_task task = {.drop = beat.drop, .argument = beat.argument};
    struct tcpm__alarm *alarm;
    int result;

    if (session == NULL || beat.run == NULL || ns < MIN_BEAT_NS || !is_delay(ns))
        return -EINVAL;
    if (!is_empty(beat.reserved))
        return -E2BIG;
    result = tcpm__check_session(session);
    if (result < 0)
        return result;
    result = tcpm__alarm_add(session, NULL, due_in(session, ns), task, &alarm);
    if (result < 0)
        return result;
    alarm->beat = beat.run;
    alarm->period_ns = (uint64_t) ns;
    if (ret != NULL)
        ret->n = alarm->id;
    return 0;
}

struct tcpm_id tcpm_alarm_connection(struct tcpm_session *session)
{
    struct tcpm_id id = {session == NULL ? 0 : session->engine->alarmed};

    return tcpm__check_find(session, id) == NULL ? (struct tcpm_id){0} : id;
}

static struct tcpm__alarm *find_alarm(const struct tcpm_session *session, struct tcpm_alarm id)
{
    struct tcpm__alarm *alarm;

    if (session == NULL)
        return NULL;
    alarm = tcpm__pool_find(&session->engine->alarm_pool, id.n);
    return alarm != NULL && alarm->session == session && tcpm__check_session(session) != -ECHILD
               ? alarm
               : NULL;
}

int tcpm_delay_adjust_ns(struct tcpm_session *session, struct tcpm_alarm id, int64_t ns)
{
    struct tcpm__alarm *alarm = find_alarm(session, id);

    if (alarm == NULL)
        return tcpm__check_missing(session);
    if (!is_delay(ns) || alarm->beat != NULL)
        return -EINVAL;
    tcpm__heap_set(&session->engine->alarms, &alarm->timer, due_in(session, ns));
    tcpm__turn_wake(session->engine);
    return 0;
}

int tcpm_delay_adjust(struct tcpm_session *session, struct tcpm_alarm id, int64_t ms)
{
    return tcpm_delay_adjust_ns(session, id, ns_of(ms));
}

int tcpm_alarm_remove(struct tcpm_session *session, struct tcpm_alarm id)
{
    struct tcpm__alarm *alarm = find_alarm(session, id);

    if (alarm == NULL)
        return tcpm__check_missing(session);
    tcpm__alarm_remove(alarm);
    return 0;
}

int tcpm_sig(struct tcpm_session *session, int signum, struct tcpm_task task)
{
    int result;

    if (session == NULL || signum <= 0)
        return -EINVAL;
    if (!is_empty(task.reserved))
        return -E2BIG;
    result = tcpm__check_session(session);
    return result < 0 ? result : tcpm__signal_set(session, signum, task);
}
