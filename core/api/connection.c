/* SPDX-License-Identifier: MIT */
/*
 * The public functions on connections that exist: the id is looked up, the phase decides whether
 * the call may do something, the arguments are checked, and the layer below does the work.
 */
#include "api/check.h"

#include <errno.h>

enum { TAKE_LIMIT = 1 << 30 };

/* ---- send ---- */

static bool records_fit(const struct tcpm_record *records, size_t count)
{
    for (size_t i = 0; records != NULL && i < count; i++)
        if (records[i].bytes == NULL && records[i].length > 0)
            return false;
    return records != NULL && count > 0;
}

int tcpm_send_many(struct tcpm_session *session, struct tcpm_id id,
                   const struct tcpm_record *records, size_t count)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_live(session, id, &connection);

    if (result < 0)
        return result;
    if (!records_fit(records, count))
        return -EINVAL;
    return tcpm__output_send(connection, records, count);
}

int tcpm_send(struct tcpm_session *session, struct tcpm_id id, const void *record, size_t length)
{
    const struct tcpm_record one = {record, length};

    return tcpm_send_many(session, id, &one, 1);
}

/* ---- ends ---- */

int tcpm_shutdown(struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_unended(session, id, &connection);

    if (result == 0)
        tcpm__connection_shutdown(connection, TCPM_REASON_SHUTDOWN);
    return result;
}

int tcpm_shutdown_output(struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_unended(session, id, &connection);

    if (result < 0)
        return result;
    if (!tcpm__sending_takes_records(connection))
        return -ESHUTDOWN;
    tcpm__connection_shutdown_output(connection);
    return 0;
}

int tcpm_reset(struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_live(session, id, &connection);

    if (result < 0)
        return result;
    tcpm__connection_reset(connection, TCPM_REASON_SHUTDOWN);
    return 0;
}

int tcpm_fail(struct tcpm_session *session, struct tcpm_id id, int code, const char *message)
{
    return tcpm_fail_as(session, id, TCPM_OP_FAIL, code, message);
}

int tcpm_fail_as(struct tcpm_session *session, struct tcpm_id id, enum tcpm_op op, int code,
                 const char *message)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_unended(session, id, &connection);

    if (result < 0)
        return result;
    if (code >= 0 || op < TCPM_OP_RESOLVE || op > TCPM_OP_PROXY)
        return -EINVAL;
    tcpm__connection_fail_by_reset(connection, op, code, message);
    return 0;
}

int tcpm_abort(struct tcpm_session *session, struct tcpm_id id, const char *message)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_live(session, id, &connection);

    if (result < 0)
        return result;
    tcpm__connection_abort(connection, message);
    return 0;
}

/* ---- input ---- */

static int pause_input(struct tcpm_session *session, struct tcpm_id id, bool pause)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_receiving(session, id, &connection);

    if (result == 0)
        tcpm__input_pause(connection, pause);
    return result;
}

int tcpm_pause(struct tcpm_session *session, struct tcpm_id id)
{
    return pause_input(session, id, true);
}

int tcpm_resume(struct tcpm_session *session, struct tcpm_id id)
{
    return pause_input(session, id, false);
}

int tcpm_unread(struct tcpm_session *session, struct tcpm_id id, const void *bytes, size_t length)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_receiving(session, id, &connection);

    if (result < 0)
        return result;
    if (bytes == NULL && length > 0)
        return -EINVAL;
    return tcpm__input_unread(connection, bytes, length);
}

int tcpm_take(struct tcpm_session *session, struct tcpm_id id, int64_t n)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_receiving(session, id, &connection);

    if (result < 0)
        return result;
    if (n < 0 && n != TCPM_NONE)
        return -EINVAL;
    if (n > TAKE_LIMIT)
        return TCPM_ETOOLONG;
    tcpm__input_take(connection, n);
    return 0;
}

int tcpm_swallow(struct tcpm_session *session, struct tcpm_id id, int byte)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_receiving(session, id, &connection);

    if (result < 0)
        return result;
    if (byte < 1 || byte > UINT8_MAX)
        return -EINVAL;
    tcpm__input_swallow(connection, (unsigned char) byte);
    return 0;
}

int tcpm_input_next(struct tcpm_session *session, struct tcpm_id id, const void **record,
                    size_t *length)
{
    struct tcpm__connection *connection = session == NULL ? NULL : tcpm__input_of(session->engine);

    if (connection == NULL || connection->id != id.n || connection->session != session)
        return tcpm__check_live(session, id, &connection);
    if (record == NULL || length == NULL)
        return -EINVAL;
    return tcpm__input_next(connection, record, length);
}

int tcpm_pending(struct tcpm_session *session, struct tcpm_id id, const void **bytes,
                 size_t *length)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_known(session, id, &connection);

    if (result < 0)
        return result;
    if (bytes == NULL || length == NULL)
        return -EINVAL;

    const char *found;

    tcpm__input_pending(connection, &found, length);
    *bytes = found;
    return 0;
}

int tcpm_filter_get(struct tcpm_session *session, struct tcpm_id id, struct tcpm_filter **input,
                    struct tcpm_filter **output)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_known(session, id, &connection);

    if (result < 0)
        return result;
    if (input != NULL)
        *input = tcpm__filter_keep(connection->in->filter);
    if (output != NULL)
        *output = tcpm__filter_keep(connection->out->filter);
    return 0;
}

int tcpm_filter_names(struct tcpm_session *session, struct tcpm_id id, const char **record,
                      const char **output)
{
    struct tcpm__connection *connection = session == NULL ? NULL : tcpm__input_of(session->engine);

    if (connection == NULL || connection->id != id.n || connection->session != session) {
        int result = tcpm__check_known(session, id, &connection);

        if (result < 0)
            return result;
    }
    if (record != NULL)
        *record = connection->cutter.taken ? "" : tcpm__instance_name(connection->in);
    if (output != NULL)
        *output = tcpm__instance_name(connection->out);
    return 0;
}

int tcpm_filter_set(struct tcpm_session *session, struct tcpm_id id, struct tcpm_filter *input,
                    struct tcpm_filter *output)
{
    struct tcpm__connection *connection;
    int result = input != NULL ? tcpm__check_receiving(session, id, &connection)
                               : tcpm__check_unended(session, id, &connection);

    return result < 0 ? result : tcpm__input_change_filters(connection, input, output);
}

/* ---- times ---- */

/* The connection, if its times may be changed: its last events are not decided. */
static int check_timed(const struct tcpm_session *session, struct tcpm_id id, int64_t ms,
                       struct tcpm__connection **ret)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_live(session, id, &connection);

    if (result < 0)
        return result;
    if (tcpm__is_ending(connection))
        return -ESHUTDOWN;
    if (!tcpm__check_is_delay(ms))
        return -EINVAL;
    *ret = connection;
    return 0;
}

int tcpm_timeout(struct tcpm_session *session, struct tcpm_id id, int64_t ms)
{
    struct tcpm__connection *connection = NULL;
    int result = check_timed(session, id, ms, &connection);

    if (result == 0)
        tcpm__timers_start_timeout(connection, (uint32_t) ms);
    return result;
}

int tcpm_deadline(struct tcpm_session *session, struct tcpm_id id, int64_t ms)
{
    struct tcpm__connection *connection = NULL;
    int result = check_timed(session, id, ms, &connection);

    if (result == 0)
        tcpm__timers_set_deadline(connection, (uint64_t) ms);
    return result;
}
