/* SPDX-License-Identifier: MIT */
/*
 * The public functions on TLS: specifications, its begin in the middle of a stream, and what is
 * known of a connection's. Arguments are checked here; the layers below do the work.
 */
#include "transport/tls.h"

#include <errno.h>

#include "api/check.h"

static int open_shared(struct tcpm_engine *engine)
{
    if (engine->handshakes.shared != NULL)
        return 0;
    return tcpm__tls_shared_open(&engine->memory, engine->handshakes.key_log, engine->trace.user,
                                 &engine->handshakes.shared);
}

int tcpm_tls_create(struct tcpm_engine *engine, const struct tcpm_tls_options *options_or_null,
                    struct tcpm_tls **tls, const char **message_or_null)
{
    const struct tcpm_tls_options none = {.size = sizeof none};
    struct tcpm_tls_options known;
    const char *ignored;
    const char **why = message_or_null != NULL ? message_or_null : &ignored;
    int result =
        tcpm__options_read(options_or_null != NULL ? options_or_null : &none, &known, sizeof known);

    *why = NULL;
    if (result < 0)
        return result;
    if (engine == NULL || tls == NULL)
        return -EINVAL;
    if (tcpm__network_is_forked(&engine->network))
        return -ECHILD;
    result = open_shared(engine);
    if (result == 0)
        result = tcpm__tls_spec_make(engine->handshakes.shared, &known, tls, why);
    if (result < 0 && *why == NULL)
        *why = tcpm_error_text(result);
    return result;
}

void tcpm_tls_free(struct tcpm_tls *tls)
{
    tcpm__tls_spec_drop(tls);
}

/* Why TLS cannot begin now; 0: it can. */
static int refuse_starttls(const struct tcpm__connection *connection)
{
    if (tcpm__has_any(connection, TCPM__LAYERED | TCPM__SECURING))
        return -EALREADY;
    if (!tcpm__has(connection, TCPM__HAD_SUCCESS))
        return -EINVAL;
    if (tcpm__is_shutting(connection) || !tcpm__sending_takes_records(connection) ||
        tcpm__has_any(connection, TCPM__EOF_TOLD | TCPM__INPUT_END))
        return -ESHUTDOWN;
    return 0;
}

int tcpm_starttls(struct tcpm_session *session, struct tcpm_id id, struct tcpm_tls *tls,
                  const char *server_name_or_null)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_unended(session, id, &connection);

    if (result < 0)
        return result;
    if (tls == NULL ||
        (server_name_or_null != NULL && !tcpm__check_is_server_name(server_name_or_null)))
        return -EINVAL;
    result = refuse_starttls(connection);
    return result < 0 ? result : tcpm__starttls_begin(connection, tls, server_name_or_null);
}

/* The connection's layer of TLS; NULL: it has none. */
static int find_layer(const struct tcpm_session *session, struct tcpm_id id,
                      struct tcpm__layer **ret)
{
    struct tcpm__connection *connection;
    int result = tcpm__check_known(session, id, &connection);

    if (result < 0)
        return result;
    *ret = tcpm__layer_of(connection);
    return tcpm__layer_is_tls(*ret) ? 0 : -ENOENT;
}

int tcpm_tls_get(struct tcpm_session *session, struct tcpm_id id, struct tcpm_tls_info *info)
{
    struct tcpm_tls_info known = {.size = sizeof known};
    struct tcpm__layer *layer;
    int result = find_layer(session, id, &layer);

    if (result < 0)
        return result;
    tcpm__tls_get(layer, &known);
    return tcpm__options_write(&known, info, sizeof known);
}

int tcpm_tls_certificate(struct tcpm_session *session, struct tcpm_id id, unsigned index,
                         struct tcpm_certificate *certificate)
{
    struct tcpm_certificate known = {.size = sizeof known};
    struct tcpm__layer *layer;
    int result = find_layer(session, id, &layer);

    if (result < 0)
        return result;
    result = tcpm__tls_get_certificate(layer, index, &session->engine->handshakes.strings, &known);
    if (result <= 0)
        return result;
    result = tcpm__options_write(&known, certificate, sizeof known);
    return result < 0 ? result : 1;
}
