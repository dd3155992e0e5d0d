/* SPDX-License-Identifier: MIT */
/*
 * The public functions on connections: arguments are checked, the id is looked up, the phase
 * decides whether the call may do something, and the layer below does it.
 */
#include "api/check.h"

#include <errno.h>

enum { TAKE_LIMIT = 1 << 30 };

/* ---- connect ---- */

/* *quad is set if the address is one. */
static int check_address(struct tcpm_connect_options *options, struct in_addr *quad, bool *is_quad)
{
    union tcpm__address bind;
    const char *why;
    int port = (int) options->port;

    if (options->address == NULL)
        return -EINVAL;
    *is_quad = tcpm__address_parse_quad(options->address, quad);
    if (!*is_quad && !tcpm__address_acceptable(options->address))
        return -EINVAL;
    if (options->port == 0 && options->service != NULL) {
        port = tcpm__address_service(options->service);
        options->port = port;
    }
    if (options->port < 1 || options->port > 65535 || options->bind_port < 0 ||
        options->bind_port > 65535)
        return -EINVAL;
    if (options->bind_address != NULL &&
        tcpm__address_parse(options->bind_address, 0, &bind, &why) != 1)
        return -EINVAL;
    return 0;
}

/* A target that is not tried need not be one. */
static void clear_target(struct tcpm_connect_options *options)
{
    if (options->address == NULL)
        options->address = "";
    if (options->port < 0 || options->port > 65535)
        options->port = 0;
    if (options->bind_port < 0 || options->bind_port > 65535)
        options->bind_port = 0;
}

/* What the options leave open is the session's. A deadline that neither gives is none. */
static int inherit(const struct tcpm_session *session, struct tcpm_connect_options *options)
{
    if (tcpm__check_time(&options->connect_timeout_ms, session->connect_timeout_ms) < 0 ||
        tcpm__check_time(&options->input_timeout_ms, session->input_timeout_ms) < 0 ||
        tcpm__check_time(&options->shutdown_timeout_ms, session->shutdown_timeout_ms) < 0 ||
        tcpm__check_time(&options->deadline_ms, session->deadline_ms) < 0)
        return -EINVAL;
    if (options->half_open < TCPM_NONE || options->half_open > 1)
        return -EINVAL;
    if (options->half_open == 0)
        options->half_open = session->half_open;
    if (options->input_filter == NULL)
        options->input_filter = session->input_filter;
    if (options->output_filter == NULL)
        options->output_filter = session->output_filter;
    return 0;
}

/* The handlers of the session, but where the connection has one of its own. */
static int merge_events(const struct tcpm_session *session, const struct tcpm_events *given,
                        struct tcpm_events *ret)
{
    struct tcpm_events own;
    int result = tcpm__options_read(given, &own, sizeof(own));

    if (result < 0)
        return result;
    if (own.room != NULL || own.stopped != NULL)
        return -EINVAL;
    *ret = session->events;
#define OVERRIDE(event) ret->event = own.event != NULL ? own.event : ret->event
    OVERRIDE(initialize);
    OVERRIDE(success);
    OVERRIDE(input);
    OVERRIDE(flushed);
    OVERRIDE(failure);
    OVERRIDE(error);
    OVERRIDE(timeout);
    OVERRIDE(disconnected);
    OVERRIDE(eof);
#undef OVERRIDE
    return 0;
}

int tcpm_connect(struct tcpm_session *session, const struct tcpm_connect_options *given,
                 struct tcpm_id *id)
{
    struct tcpm_connect_options options;
    struct tcpm_events events;
    struct tcpm__connection *connection;
    struct in_addr quad;
    bool is_quad = false;
    int result = tcpm__options_read(given, &options, sizeof(options));

    if (result < 0)
        return result;
    if (options.refused != NULL)
        clear_target(&options);
    else
        result = check_address(&options, &quad, &is_quad);
    if (session == NULL || result < 0 || inherit(session, &options) < 0)
        return -EINVAL;
    if (options.events != NULL) {
        result = merge_events(session, options.events, &events);
        options.events = &events;
    }
    if (result < 0)
        return result;
    if (options.half_open == 1 &&
        (options.events != NULL ? &events : &session->events)->eof == NULL)
        return -EINVAL;
    result = tcpm__check_session(session);
    if (result < 0)
        return result;
    result = tcpm__connection_create(session, &options, is_quad ? &quad : NULL, &connection);
    if (result < 0)
        return result;
    if (id != NULL)
        id->n = connection->id;
    tcpm__event_initialize(connection, &options);
    if (options.refused != NULL)
        tcpm__connection_fail(connection, TCPM_OP_RESOLVE, -EINVAL, options.refused);
    if (!tcpm__has(connection, TCPM__ENDING))
        tcpm__admission_request(connection);
    return 0;
}

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
    struct tcpm__connection *connection = tcpm__check_live(session, id);

    if (connection == NULL)
        return tcpm__check_missing(session);
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

/* The connection, if it is one that the user has not ended yet; else *result is the reason. */
static struct tcpm__connection *find_unended(const struct tcpm_session *session, struct tcpm_id id,
                                             int *result)
{
    struct tcpm__connection *connection = tcpm__check_live(session, id);

    *result = connection == NULL ? tcpm__check_missing(session) : 0;
    if (connection == NULL || connection->phase != TCPM_PHASE_SHUTTING)
        return connection;
    *result = -ESHUTDOWN;
    return NULL;
}

int tcpm_shutdown(struct tcpm_session *session, struct tcpm_id id)
{
    int result;
    struct tcpm__connection *connection = find_unended(session, id, &result);

    if (connection != NULL)
        tcpm__connection_shutdown(connection, TCPM_REASON_SHUTDOWN);
    return result;
}

int tcpm_shutdown_output(struct tcpm_session *session, struct tcpm_id id)
{
    int result;
    struct tcpm__connection *connection = find_unended(session, id, &result);

    if (connection == NULL)
        return result;
    if (tcpm__has(connection, TCPM__OUTPUT_SHUT))
        return -ESHUTDOWN;
    if (tcpm__has(connection, TCPM__EOF_TOLD)) {
        tcpm__connection_shutdown(connection, TCPM_REASON_EOF);
        return 0;
    }
    connection->flags |= TCPM__OUTPUT_SHUT;
    tcpm__ready(connection);
    return 0;
}

int tcpm_reset(struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm__connection *connection = tcpm__check_live(session, id);

    if (connection == NULL)
        return tcpm__check_missing(session);
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
    int result;
    struct tcpm__connection *connection = find_unended(session, id, &result);

    if (connection == NULL)
        return result;
    if (code >= 0 || op < TCPM_OP_RESOLVE || op > TCPM_OP_FAIL)
        return -EINVAL;
    connection->flags |= TCPM__RESET;
    tcpm__connection_fail(connection, op, code, message);
    return 0;
}

int tcpm_abort(struct tcpm_session *session, struct tcpm_id id, const char *message)
{
    struct tcpm__connection *connection = tcpm__check_live(session, id);

    if (connection == NULL)
        return tcpm__check_missing(session);
    tcpm__connection_abort(connection, message);
    return 0;
}

/* ---- input ---- */

/* The same, but none that has had its last input. */
static struct tcpm__connection *find_receiving(const struct tcpm_session *session,
                                               struct tcpm_id id, int *result)
{
    struct tcpm__connection *connection = find_unended(session, id, result);

    if (connection == NULL || !tcpm__has(connection, TCPM__EOF_TOLD))
        return connection;
    *result = -ESHUTDOWN;
    return NULL;
}

static int pause_input(struct tcpm_session *session, struct tcpm_id id, bool pause)
{
    int result;
    struct tcpm__connection *connection = find_receiving(session, id, &result);

    if (connection != NULL)
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
    int result;
    struct tcpm__connection *connection = find_receiving(session, id, &result);

    if (connection == NULL)
        return result;
    if (bytes == NULL && length > 0)
        return -EINVAL;
    return tcpm__input_unread(connection, bytes, length);
}

int tcpm_take(struct tcpm_session *session, struct tcpm_id id, int64_t n)
{
    int result;
    struct tcpm__connection *connection = find_receiving(session, id, &result);

    if (connection == NULL)
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
    int result;
    struct tcpm__connection *connection = find_receiving(session, id, &result);

    if (connection == NULL)
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
        return tcpm__check_live(session, id) == NULL ? tcpm__check_missing(session) : 0;
    if (record == NULL || length == NULL)
        return -EINVAL;
    return tcpm__input_next(connection, record, length);
}

int tcpm_pending(struct tcpm_session *session, struct tcpm_id id, const void **bytes,
                 size_t *length)
{
    struct tcpm__connection *connection = tcpm__check_find(session, id);
    const char *found;

    if (connection == NULL)
        return -ESTALE;
    if (bytes == NULL || length == NULL)
        return -EINVAL;
    tcpm__input_pending(connection, &found, length);
    *bytes = found;
    return 0;
}

static void replace_codec(struct tcpm__codec **place, struct tcpm__codec *codec)
{
    if (codec == NULL)
        return;
    tcpm__codec_drop(*place);
    *place = codec;
}

int tcpm_filter_set(struct tcpm_session *session, struct tcpm_id id, struct tcpm_filter *input,
                    struct tcpm_filter *output)
{
    int result;
    struct tcpm__connection *connection =
        input != NULL ? find_receiving(session, id, &result) : find_unended(session, id, &result);
    struct tcpm__codec *in = NULL, *out = NULL;

    if (connection == NULL)
        return result;
    if (input != NULL)
        result = tcpm__codec_open(input, &in);
    if (result == 0 && output != NULL && output == input)
        out = tcpm__codec_keep(in);
    else if (result == 0 && output != NULL)
        result = tcpm__codec_open(output, &out);
    if (result < 0) {
        tcpm__codec_drop(in);
        return result;
    }
    replace_codec(&connection->in, in);
    replace_codec(&connection->out, out);
    if (in != NULL)
        tcpm__input_refilter(connection);
    return 0;
}

/* ---- times ---- */

/* The connection whose times may be changed: not one whose last events are decided. */
static struct tcpm__connection *find_timed(const struct tcpm_session *session, struct tcpm_id id,
                                           int64_t ms, int *result)
{
    struct tcpm__connection *connection = tcpm__check_live(session, id);

    if (connection == NULL)
        *result = tcpm__check_missing(session);
    else if (tcpm__has(connection, TCPM__ENDING))
        *result = -ESHUTDOWN;
    else
        *result = tcpm__check_delay(ms);
    return *result < 0 ? NULL : connection;
}

int tcpm_timeout(struct tcpm_session *session, struct tcpm_id id, int64_t ms)
{
    int result;
    struct tcpm__connection *connection = find_timed(session, id, ms, &result);

    if (connection != NULL)
        tcpm__deadline_start(connection, (uint32_t) ms);
    return result;
}

int tcpm_deadline(struct tcpm_session *session, struct tcpm_id id, int64_t ms)
{
    int result;
    struct tcpm__connection *connection = find_timed(session, id, ms, &result);

    if (connection != NULL)
        tcpm__deadline_set(connection, (uint64_t) ms);
    return result;
}
