/* SPDX-License-Identifier: MIT */
/*
 * The public functions on tasks: posts, alarms and signals.
 */
#include "api/check.h"

#include <errno.h>

enum { NS_PER_MS = 1000000, SHORTEST_BEAT_NS = 100000 };

/* Whether the members reserved for later releases are NULL: this release would ignore them. */
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

/* The time so many nanoseconds from now, but one at least, so that an alarm that sets itself again
   waits for the next turn of the loop. */
static uint64_t due_in(const struct tcpm_session *session, int64_t ns)
{
    return tcpm__network_read_clock_ns(&session->engine->network) + (ns == 0 ? 1 : (uint64_t) ns);
}

/* Milliseconds in nanoseconds. A time that may not be given becomes -1, which may not be given
   either. */
static int64_t ns_of(int64_t ms)
{
    return tcpm__check_is_delay(ms) ? ms * NS_PER_MS : -1;
}

int tcpm_delay_ns(struct tcpm_session *session, struct tcpm_id id_or_zero, int64_t ns,
                  struct tcpm_task task, struct tcpm_alarm *alarm_or_null)
{
    struct tcpm__connection *connection = NULL;
    int result = check_task(session, &task);

    if (result == -EINVAL || result == -E2BIG)
        return result;
    if (!tcpm__check_is_delay_ns(ns))
        return -EINVAL;
    if (id_or_zero.n != 0) {
        int found = tcpm__check_unended(session, id_or_zero, &connection);

        if (found < 0)
            return found;
    }
    if (result < 0)
        return result;

    struct tcpm__alarm *alarm;

    result = tcpm__alarm_add(session, connection, due_in(session, ns), task, &alarm);
    if (result == 0 && alarm_or_null != NULL)
        alarm_or_null->n = alarm->id;
    return result;
}

int tcpm_delay(struct tcpm_session *session, struct tcpm_id id_or_zero, int64_t ms,
               struct tcpm_task task, struct tcpm_alarm *alarm_or_null)
{
    return tcpm_delay_ns(session, id_or_zero, ns_of(ms), task, alarm_or_null);
}

int tcpm_every(struct tcpm_session *session, int64_t ns, struct tcpm_beat beat,
               struct tcpm_alarm *alarm_or_null)
{
    const struct tcpm_task task = {.drop = beat.drop, .argument = beat.argument};

    if (session == NULL || beat.run == NULL || ns < SHORTEST_BEAT_NS ||
        !tcpm__check_is_delay_ns(ns))
        return -EINVAL;
    if (!is_empty(beat.reserved))
        return -E2BIG;

    int result = tcpm__check_session(session);

    if (result < 0)
        return result;

    struct tcpm__alarm *alarm;

    result = tcpm__alarm_add(session, NULL, due_in(session, ns), task, &alarm);
    if (result < 0)
        return result;
    tcpm__alarm_repeat(alarm, &beat, (uint64_t) ns);
    if (alarm_or_null != NULL)
        alarm_or_null->n = alarm->id;
    return 0;
}

struct tcpm_id tcpm_alarm_connection(struct tcpm_session *session)
{
    struct tcpm_id id = {session == NULL ? 0 : session->engine->tasks.alarmed};
    struct tcpm__connection *connection;

    return tcpm__check_known(session, id, &connection) < 0 ? (struct tcpm_id){0} : id;
}

/* The alarm with this id in this session. 0, -ESTALE, or -ECHILD in a process that was forked. */
static int check_alarm(const struct tcpm_session *session, struct tcpm_alarm id,
                       struct tcpm__alarm **ret)
{
    if (session == NULL || tcpm__network_is_forked(&session->engine->network))
        return tcpm__check_missing(session);

    struct tcpm__alarm *alarm = tcpm__pool_find(&session->engine->tasks.pool, id.n);

    if (alarm == NULL || alarm->session != session)
        return -ESTALE;
    *ret = alarm;
    return 0;
}

int tcpm_delay_adjust_ns(struct tcpm_session *session, struct tcpm_alarm alarm, int64_t ns)
{
    struct tcpm__alarm *found = NULL;
    int result = check_alarm(session, alarm, &found);

    if (result < 0)
        return result;
    if (!tcpm__check_is_delay_ns(ns) || found->beat != NULL)
        return -EINVAL;
    tcpm__alarm_adjust(found, due_in(session, ns));
    return 0;
}

int tcpm_delay_adjust(struct tcpm_session *session, struct tcpm_alarm alarm, int64_t ms)
{
    return tcpm_delay_adjust_ns(session, alarm, ns_of(ms));
}

int tcpm_alarm_remove(struct tcpm_session *session, struct tcpm_alarm alarm)
{
    struct tcpm__alarm *found = NULL;
    int result = check_alarm(session, alarm, &found);

    if (result == 0)
        tcpm__alarm_remove(found);
    return result;
}

int tcpm_sig(struct tcpm_session *session, int signum, struct tcpm_task task)
{
    if (session == NULL || signum <= 0)
        return -EINVAL;
    if (!is_empty(task.reserved))
        return -E2BIG;

    int result = tcpm__check_session(session);

    return result < 0 ? result : tcpm__signal_set(session, signum, task);
}
