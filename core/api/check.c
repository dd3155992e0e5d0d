/* SPDX-License-Identifier: MIT */
/*
 * Checks that several public functions make. Nothing here changes anything.
 */
#include "api/check.h"

#include <errno.h>

struct tcpm__connection *tcpm__check_find(const struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm__connection *connection;

    if (session == NULL)
        return NULL;
    connection = tcpm__pool_find(&session->engine->connections, id.n);
    return connection != NULL && connection->session == session ? connection : NULL;
}

static bool is_forked(const struct tcpm_session *session)
{
    return tcpm__network_is_forked(&session->engine->network);
}

struct tcpm__connection *tcpm__check_live(const struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm__connection *connection = tcpm__check_find(session, id);

    if (connection == NULL || connection->phase == TCPM_PHASE_CLOSED || is_forked(session))
        return NULL;
    return connection;
}

int tcpm__check_missing(const struct tcpm_session *session)
{
    return session != NULL && is_forked(session) ? -ECHILD : -ESTALE;
}

int tcpm__check_session(const struct tcpm_session *session)
{
    if (session == NULL)
        return -EINVAL;
    if (is_forked(session))
        return -ECHILD;
    return session->dying ? -ESHUTDOWN : 0;
}
