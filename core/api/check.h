/* SPDX-License-Identifier: MIT */
/*
 * Checks that several public functions make: of times that a caller gives, and on the way from an
 * id to its connection. Nothing here changes an engine, a session or a connection.
 */
#ifndef TCPM_API_CHECK_H
#define TCPM_API_CHECK_H

#include <errno.h>

#include "base/options.h"
#include "connection/life.h"
#include "connection/way.h"

/* Whether a time may be given to a call: 0 or more, and at most 2^32 - 2 milliseconds, which with
   one more still fit into 32 bits. */
static inline bool tcpm__check_is_delay(int64_t ms)
{
    return ms >= 0 && ms < UINT32_MAX;
}

static inline bool tcpm__check_is_delay_ns(int64_t ns)
{
    return ns >= 0 && ns <= (UINT32_MAX - 1) * INT64_C(1000000);
}

/* Replaces a time as given in options by the milliseconds that the layer below takes, where 0 is
   none. Given 0: the default, which needs no check. Given TCPM_NONE: none. 0, or -EINVAL. */
static inline int tcpm__check_complete_time(int64_t *ms, int64_t default_ms)
{
    if (*ms == 0)
        *ms = default_ms;
    else if (*ms == TCPM_NONE)
        *ms = 0;
    else
        return tcpm__check_is_delay(*ms) ? 0 : -EINVAL;
    return 0;
}

/* Whether a port may be given where 0 is none. */
static inline bool tcpm__check_is_port(int64_t port)
{
    return port >= 0 && port <= UINT16_MAX;
}

/* Whether a certificate can have this name: a host, or an address. */
bool tcpm__check_is_server_name(const char *text);

/* The members that make a way, of the options of a session or of a connect. */
#define TCPM__WAY_OPTIONS(options)                             \
    ((struct tcpm__way_options){                               \
        .dns = (options)->dns,                                 \
        .resolve = (options)->resolve,                         \
        .deny = (options)->deny,                               \
        .attempt_delay_ms = (options)->attempt_delay_ms,       \
        .resolution_delay_ms = (options)->resolution_delay_ms, \
        .bind_address = (options)->bind_address,               \
        .bind_device = (options)->bind_device,                 \
        .tls = (options)->tls,                                 \
        .proxy = (options)->proxy,                             \
        .send_proxy = (options)->send_proxy,                   \
    })

/* Makes the way that options of a session or a connect describe, held for the caller. base: the way
   that counts for what they leave open; NULL: all defaults. 0, -EINVAL, -EOPNOTSUPP or -ENOMEM. */
int tcpm__check_way(const struct tcpm_engine *engine, struct tcpm__way *base,
                    const struct tcpm__way_options *options, struct tcpm__way **ret);

/* Whether something may begin in this session: 0, -EINVAL (NULL), -ECHILD, or -ESHUTDOWN. */
static inline int tcpm__check_session(const struct tcpm_session *session)
{
    if (session == NULL)
        return -EINVAL;
    if (tcpm__network_is_forked(&session->engine->network))
        return -ECHILD;
    return session->dying ? -ESHUTDOWN : 0;
}

/* The error for an id that names nothing: -ESTALE, or -ECHILD in a process that was forked. */
static inline int tcpm__check_missing(const struct tcpm_session *session)
{
    bool is_forked = session != NULL && tcpm__network_is_forked(&session->engine->network);

    return is_forked ? -ECHILD : -ESTALE;
}

/* The connection with this id in this session. Each function takes fewer connections than the one
   before it. 0, or the error of the call.

   known: -ESTALE when there is none. Its event disconnected may be running, and the process may be
   a forked one.
   live: -ESTALE also once disconnected has begun; -ECHILD in a forked process.
   unended: -ESHUTDOWN when its end is decided, or has begun with a shutdown.
   receiving: -ESHUTDOWN also when its last input has been delivered.

   In line where each send passes. */
static inline int tcpm__check_known(const struct tcpm_session *session, struct tcpm_id id,
                                    struct tcpm__connection **ret)
{
    if (session == NULL)
        return -ESTALE;

    struct tcpm__connection *connection = tcpm__pool_find(&session->engine->connections, id.n);

    if (connection == NULL || connection->session != session)
        return -ESTALE;
    *ret = connection;
    return 0;
}
static inline int tcpm__check_live(const struct tcpm_session *session, struct tcpm_id id,
                                   struct tcpm__connection **ret)
{
    struct tcpm__connection *connection = NULL;
    int result = tcpm__check_known(session, id, &connection);

    if (result < 0 || connection->phase == TCPM__PHASE_CLOSED ||
        tcpm__network_is_forked(&session->engine->network))
        return tcpm__check_missing(session);
    *ret = connection;
    return 0;
}
int tcpm__check_unended(const struct tcpm_session *session, struct tcpm_id id,
                        struct tcpm__connection **ret);
int tcpm__check_receiving(const struct tcpm_session *session, struct tcpm_id id,
                          struct tcpm__connection **ret);

#endif
