/*
 * The public functions on tasks: posts, alarms and signals.
 */
#include "api/check.h"

#include <errno.h>

static int check_task(const struct tcpm_session *session, const struct tcpm_task *task)
{
    if (session == NULL || task->run == NULL)
        return -EINVAL;
    return session->dying ? -ESHUTDOWN : 0;
}

int tcpm_post(struct tcpm_session *session, struct tcpm_task task)
{
    int result = check_task(session, &task);

    return result < 0 ? result : tcpm__posts_add(session, task);
}

/* The clock's milliseconds are rounded down, hence the one more: never early. */
static uint64_t due_in(struct tcpm_session *session, int64_t ms)
{
    return tcpm__network_now(&session->engine->network) + (uint64_t) ms + 1;
}

int tcpm_delay(struct tcpm_session *session, struct tcpm_id id, int64_t ms, struct tcpm_task task,
               struct tcpm_alarm *ret)
{
    struct tcpm__connection *connection = NULL;
    struct tcpm__alarm *alarm;
    int result = check_task(session, &task);

    if (result == -EINVAL || tcpm__check_delay(ms) < 0)
        return -EINVAL;
    if (id.n != 0) {
        connection = tcpm__check_live(session, id);
        if (connection == NULL)
            return -ESTALE;
        if (connection->phase == TCPM_PHASE_SHUTTING)
            return -ESHUTDOWN;
    }
    if (result < 0)
        return result;
    result = tcpm__alarm_add(session, connection, due_in(session, ms), task, &alarm);
    if (result == 0 && ret != NULL)
        ret->n = alarm->id;
    return result;
}

static struct tcpm__alarm *find_alarm(const struct tcpm_session *session, struct tcpm_alarm id)
{
    struct tcpm__alarm *alarm;

    if (session == NULL)
        return NULL;
    alarm = tcpm__pool_find(&session->engine->alarm_pool, id.n);
    return alarm != NULL && alarm->session == session ? alarm : NULL;
}

int tcpm_delay_adjust(struct tcpm_session *session, struct tcpm_alarm id, int64_t ms)
{
    struct tcpm__alarm *alarm = find_alarm(session, id);

    if (alarm == NULL)
        return -ESTALE;
    if (tcpm__check_delay(ms) < 0)
        return -EINVAL;
    tcpm__wheel_arm(&session->engine->alarms, &alarm->timer, due_in(session, ms));
    tcpm__turn_wake(session->engine);
    return 0;
}

int tcpm_alarm_remove(struct tcpm_session *session, struct tcpm_alarm id)
{
    struct tcpm__alarm *alarm = find_alarm(session, id);

    if (alarm == NULL)
        return -ESTALE;
    tcpm__alarm_remove(alarm);
    return 0;
}

int tcpm_sig(struct tcpm_session *session, int signum, struct tcpm_task task)
{
    if (session == NULL || signum <= 0)
        return -EINVAL;
    if (session->dying)
        return -ESHUTDOWN;
    return tcpm__signal_set(session, signum, task);
}
