/* SPDX-License-Identifier: MIT */
/*
 * The public function that makes a connection: its options are checked and completed, by those of
 * the session where they are left open, and the layer below does the work.
 */
#include "api/check.h"

#include <errno.h>

/* A connect on its way: the options, completed, the address as a quad where it is one, and the
   handlers that differ from the session's. */
struct request {
    struct tcpm_connect_options options;
    struct tcpm_events events;
    struct in_addr quad;
    bool is_quad;
    int64_t bind_port; /* as given; that of the options may be the session's */
};

/* A port that is not given becomes the port of the service. 0, or -EINVAL. */
static int complete_port(struct tcpm_connect_options *options)
{
    if (options->port == 0 && options->service != NULL)
        options->port = tcpm__address_find_service(options->service);
    return options->port != 0 && tcpm__check_is_port(options->port) ? 0 : -EINVAL;
}

/* The target as a quad; NULL: it is none. */
static const struct in_addr *quad_of(const struct request *request)
{
    return request->is_quad ? &request->quad : NULL;
}

static int complete_target(struct request *request)
{
    struct tcpm_connect_options *options = &request->options;

    if (options->address == NULL)
        return -EINVAL;
    request->is_quad = tcpm__address_parse_quad(options->address, &request->quad);
    if (!request->is_quad && !tcpm__address_is_acceptable(options->address))
        return -EINVAL;
    if (options->server_name != NULL && !tcpm__check_is_server_name(options->server_name))
        return -EINVAL;
    return tcpm__check_is_port(options->bind_port) ? complete_port(options) : -EINVAL;
}

/* A connect that the caller has refused tries no target: whatever cannot be one is taken out. */
static void clear_target(struct tcpm_connect_options *options)
{
    if (options->address == NULL)
        options->address = "";
    if (!tcpm__check_is_port(options->port))
        options->port = 0;
    if (!tcpm__check_is_port(options->bind_port))
        options->bind_port = 0;
}

static int complete_times(const struct tcpm_session_options *standard,
                          struct tcpm_connect_options *options)
{
    if (tcpm__check_complete_time(&options->connect_timeout_ms, standard->connect_timeout_ms) < 0 ||
        tcpm__check_complete_time(&options->input_timeout_ms, standard->input_timeout_ms) < 0 ||
        tcpm__check_complete_time(&options->shutdown_timeout_ms, standard->shutdown_timeout_ms) <
            0 ||
        tcpm__check_complete_time(&options->deadline_ms, standard->deadline_ms) < 0)
        return -EINVAL;
    return 0;
}

/* Options that are left open take the value of the session. */
static int inherit_options(const struct tcpm_session *session, struct tcpm_connect_options *options)
{
    if (complete_times(&session->options, options) < 0)
        return -EINVAL;
    if (options->half_open < TCPM_NONE || options->half_open > 1)
        return -EINVAL;
    if (options->half_open == 0)
        options->half_open = session->options.half_open;
    if (options->input_filter == NULL)
        options->input_filter = session->options.input_filter;
    if (options->output_filter == NULL)
        options->output_filter = session->options.output_filter;
    if (options->bind_port == 0)
        options->bind_port = session->options.bind_port;
    return 0;
}

/* The handlers of the session, each replaced by the connection's own where it has one. */
static int merge_events(const struct tcpm_session *session, const struct tcpm_events *given,
                        struct tcpm_events *ret)
{
    struct tcpm_events own;
    int result = tcpm__options_read(given, &own, sizeof own);

    if (result < 0)
        return result;
    if (own.room != NULL || own.stopped != NULL)
        return -EINVAL;
    *ret = session->events;
#define OVERRIDE(NAME, event) \
    if (own.event != NULL)    \
        ret->event = own.event;
    TCPM_EVENTS(OVERRIDE)
#undef OVERRIDE
    return 0;
}

/* After this options.events points to the merged handlers, or is NULL: the session's are used. */
static int complete_events(const struct tcpm_session *session, struct request *request)
{
    struct tcpm_connect_options *options = &request->options;
    const struct tcpm_events *used = &session->events;

    if (options->events != NULL) {
        int result = merge_events(session, options->events, &request->events);

        if (result < 0)
            return result;
        used = options->events = &request->events;
    }
    return options->half_open == 1 && used->eof == NULL ? -EINVAL : 0;
}

static int complete_request(const struct tcpm_session *session,
                            const struct tcpm_connect_options *given, struct request *ret)
{
    int result = tcpm__options_read(given, &ret->options, sizeof ret->options);

    ret->is_quad = false;
    if (result < 0)
        return result;
    if (ret->options.refused != NULL)
        clear_target(&ret->options);
    else
        result = complete_target(ret);
    ret->bind_port = ret->options.bind_port;
    if (session == NULL || result < 0 || inherit_options(session, &ret->options) < 0)
        return -EINVAL;
    return complete_events(session, ret);
}

/* Whether the connect has options of its own that make a way. A refused one needs none. All are
   looked at in one go, as hardly any connect has one. */
static bool has_own_way(const struct tcpm_connect_options *options)
{
    int64_t numbers = options->dns | options->attempt_delay_ms | options->resolution_delay_ms |
                      options->plain | options->direct | options->send_proxy;
    uintptr_t texts = (uintptr_t) options->resolve | (uintptr_t) options->deny |
                      (uintptr_t) options->bind_address | (uintptr_t) options->bind_device |
                      (uintptr_t) options->tls | (uintptr_t) options->proxy;

    return (numbers != 0 || texts != 0) && options->refused == NULL;
}

/* The way of options that a connect has for itself. The session holds the way for the next connect,
   which mostly has the same options: both then share the counts of local addresses. */
static int find_way(struct tcpm_session *session, const struct tcpm__way_options *given,
                    struct tcpm__way **ret)
{
    if (!tcpm__way_is_made_of(session->last_way, given)) {
        struct tcpm__way *way;
        int result = tcpm__check_way(session->engine, session->way, given, &way);

        if (result < 0)
            return result;
        tcpm__way_drop(session->last_way);
        session->last_way = way;
    }
    *ret = session->last_way;
    return 0;
}

/* Makes a connection with a way of its own. Out of line, as hardly any connect comes here. */
__attribute__((noinline)) static int create_on_own_way(struct tcpm_session *session,
                                                       const struct request *request,
                                                       struct tcpm__connection **ret)
{
    const struct tcpm_connect_options *options = &request->options;
    struct tcpm__way_options given = TCPM__WAY_OPTIONS(options);
    struct tcpm__way *way;

    given.plain = options->plain;
    given.direct = options->direct;
    int result = find_way(session, &given, &way);

    return result < 0 ? result
                      : tcpm__connection_create(session, options, quad_of(request), way, ret);
}

static int create_connection(struct tcpm_session *session, const struct request *request,
                             struct tcpm__connection **ret)
{
    if (has_own_way(&request->options))
        return create_on_own_way(session, request, ret);
    return tcpm__connection_create(session, &request->options, quad_of(request), session->way, ret);
}

/* A connect that the caller has refused fails with the caller's text, and nothing is tried. */
static void begin_connection(struct tcpm__connection *connection,
                             const struct tcpm_connect_options *options)
{
    tcpm__event_initialize(connection, options);
    if (options->refused != NULL)
        tcpm__connection_fail(connection, TCPM_OP_RESOLVE, -EINVAL, options->refused);
    if (!tcpm__is_ending(connection))
        tcpm__admission_request(connection);
}

int tcpm_connect(struct tcpm_session *session, const struct tcpm_connect_options *options,
                 struct tcpm_id *id_or_null)
{
    struct request request;
    int result = complete_request(session, options, &request);

    if (result == 0)
        result = tcpm__check_session(session);
    if (result < 0)
        return result;

    struct tcpm__connection *connection;

    result = create_connection(session, &request, &connection);
    if (result < 0)
        return result;
    if (id_or_null != NULL)
        id_or_null->n = connection->id;
    request.options.bind_port = request.bind_port; /* initialize tells what was given */
    begin_connection(connection, &request.options);
    return 0;
}
