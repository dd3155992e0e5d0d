/* SPDX-License-Identifier: MIT */
/*
 * The public functions on engines and sessions: options are completed and checked, then the layer
 * below does the work.
 */
#include "api/check.h"

#include <errno.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 30000,
    INPUT_TIMEOUT_MS = 300000,
    SHUTDOWN_TIMEOUT_MS = 30000,
    HIGH_MARK = 1048576,
    LOW_MARK = 65536,
    MAX_QUEUED = 67108864,
    MAX_RATE = 1000000000, /* connects per second */
    MAX_KEEPALIVE_S = 32767,
};

int64_t tcpm_now_ns(void)
{
    return (int64_t) tcpm__clock_ns();
}

/* ---- engine ---- */

/* Whether the value may be given as a limit: 0 is the default, TCPM_NONE is no limit. */
static bool is_limit(int64_t value)
{
    return value >= TCPM_NONE;
}

int tcpm_engine_create(struct uv_loop_s *loop, const struct tcpm_engine_options *options_or_null,
                       struct tcpm_engine **engine)
{
    struct tcpm_engine_options options;
    int result = tcpm__options_read(options_or_null, &options, sizeof options);

    if (result < 0)
        return result;
    if (loop == NULL || engine == NULL || !is_limit(options.max_connections) ||
        !is_limit(options.max_memory) || !is_limit(options.max_handshakes))
        return -EINVAL;
    return tcpm__engine_open(loop, &options, engine);
}

void tcpm_engine_close(struct tcpm_engine *engine, void (*closed_or_null)(void *user), void *user)
{
    if (engine == NULL || engine->end.closing)
        return;
    tcpm__engine_close(engine, closed_or_null, user);
}

int tcpm_engine_close_now(struct tcpm_engine *engine)
{
    if (engine == NULL)
        return -EINVAL;
    if (engine->delivery.handler_depth > 0 || engine->delivery.calling_back > 0 ||
        engine->turn.passing)
        return -EBUSY;
    tcpm__engine_close_now(engine);
    return 0;
}

/* ---- session ---- */

static int complete_times(struct tcpm_session_options *options)
{
    if (tcpm__check_complete_time(&options->connect_timeout_ms, CONNECT_TIMEOUT_MS) < 0 ||
        tcpm__check_complete_time(&options->input_timeout_ms, INPUT_TIMEOUT_MS) < 0 ||
        tcpm__check_complete_time(&options->shutdown_timeout_ms, SHUTDOWN_TIMEOUT_MS) < 0 ||
        tcpm__check_complete_time(&options->deadline_ms, 0) < 0)
        return -EINVAL;
    return 0;
}

static void complete_limit(int64_t *limit, int64_t default_limit)
{
    if (*limit == 0)
        *limit = default_limit;
    else if (*limit == TCPM_NONE)
        *limit = INT64_MAX;
}

static void complete_limits(struct tcpm_session_options *options)
{
    complete_limit(&options->max_connections, INT64_MAX);
    if (options->max_per_address == TCPM_NONE)
        options->max_per_address = 0;
    complete_limit(&options->high_mark, HIGH_MARK);
    complete_limit(&options->low_mark, LOW_MARK);
    complete_limit(&options->max_queued, MAX_QUEUED);
    if (options->low_mark > options->high_mark)
        options->low_mark = options->high_mark; /* flushed says that there is room again */
}

static bool is_switch(int64_t value)
{
    return value == 0 || value == 1;
}

static bool pace_fits(const struct tcpm_session_options *options)
{
    return is_limit(options->connect_rate) && options->connect_rate <= MAX_RATE &&
           (options->connect_interval_ns == TCPM_NONE ||
            tcpm__check_is_delay_ns(options->connect_interval_ns)) &&
           (options->connect_rate <= 0 || options->connect_interval_ns <= 0);
}

static bool limits_fit(const struct tcpm_session_options *options)
{
    return is_limit(options->max_connections) && is_limit(options->max_per_address) &&
           is_limit(options->high_mark) && is_limit(options->low_mark) &&
           is_limit(options->max_queued) && pace_fits(options) && options->keepalive_s >= 0 &&
           options->keepalive_s <= MAX_KEEPALIVE_S && is_switch(options->cork) &&
           is_switch(options->times) && options->half_open >= TCPM_NONE &&
           options->half_open <= 1 && tcpm__check_is_port(options->bind_port);
}

/* Checks and completes the options. They point to the handlers in events afterwards. */
static int complete_options(struct tcpm_session_options *options, struct tcpm_events *events)
{
    int result = tcpm__options_read(options->events, events, sizeof *events);

    if (result < 0)
        return result;
    if (options->domain != 0 && options->domain != 4 && options->domain != 6)
        return -EINVAL;
    if (complete_times(options) < 0 || !limits_fit(options))
        return -EINVAL;
    if (options->half_open == 1 && events->eof == NULL)
        return -EINVAL;
    complete_limits(options);
    options->events = events;
    return 0;
}

/* The way of a session, held for the caller; NULL: all defaults. */
static int make_way(const struct tcpm_engine *engine, const struct tcpm_session_options *options,
                    struct tcpm__way **ret)
{
    const struct tcpm__way_options given = TCPM__WAY_OPTIONS(options);
    static const struct tcpm__way_options none = {.dns = 0};

    *ret = NULL;
    if (memcmp(&given, &none, sizeof given) == 0)
        return 0;
    return tcpm__check_way(engine, NULL, &given, ret);
}

/* The way has its own copies: the session keeps no pointer to texts of the caller's. */
static void drop_texts(struct tcpm_session_options *options)
{
    options->resolve = options->deny = options->bind_address = options->bind_device = NULL;
    options->proxy = NULL;
    options->tls = NULL;
}

int tcpm_session_create(struct tcpm_engine *engine, const struct tcpm_session_options *options,
                        struct tcpm_session **session)
{
    struct tcpm_session_options known;
    struct tcpm_events events;
    struct tcpm__way *way;
    int result = tcpm__options_read(options, &known, sizeof known);

    if (result < 0)
        return result;
    if (engine == NULL || session == NULL || known.events == NULL)
        return -EINVAL;
    if (tcpm__network_is_forked(&engine->network))
        return -ECHILD;
    if (engine->end.closing)
        return -ESHUTDOWN;
    result = complete_options(&known, &events);
    if (result == 0)
        result = make_way(engine, &known, &way);
    if (result < 0)
        return result;
    drop_texts(&known);
    result = tcpm__session_create(engine, &known, way, session);
    tcpm__way_drop(way);
    return result;
}

int tcpm_events_set(struct tcpm_session *session, const struct tcpm_events *events)
{
    struct tcpm_events known;
    int result = tcpm__check_session(session);

    if (result < 0)
        return result;
    if (events == NULL)
        return -EINVAL;
    result = tcpm__options_read(events, &known, sizeof known);
    if (result < 0)
        return result;
    if (session->options.half_open == 1 && known.eof == NULL)
        return -EINVAL;
    session->events = known;
    return 0;
}

int tcpm_die(struct tcpm_session *session)
{
    int result = tcpm__check_session(session);

    if (result < 0)
        return result;
    tcpm__session_die(session, false);
    return 0;
}

struct tcpm_id tcpm_next(struct tcpm_session *session, struct tcpm_id after)
{
    const struct tcpm__connection *connection =
        session == NULL ? NULL : tcpm__session_next(session, after.n);

    return (struct tcpm_id){connection == NULL ? 0 : connection->id};
}

int tcpm_stats_get(struct tcpm_session *session, struct tcpm_stats *stats)
{
    if (session == NULL || stats == NULL)
        return -EINVAL;

    const struct tcpm_stats known = {
        .waiting = session->phases[TCPM__PHASE_WAITING],
        .connecting = session->phases[TCPM__PHASE_CONNECTING],
        .open = session->phases[TCPM__PHASE_OPEN],
        .shutting = session->phases[TCPM__PHASE_FLUSHING] + session->phases[TCPM__PHASE_ENDING],
        .received = session->received,
        .sent = session->sent,
        .queued = session->queued,
        .held = session->held,
        .denied = session->denied,
        .handshakes = session->tls.handshakes,
        .resumed = session->tls.resumed,
        .tls_failed = session->tls.failed,
        .truncated = session->tls.truncated,
        .injected = session->tls.injected,
    };

    return tcpm__options_write(&known, stats, sizeof known);
}

static const char *first_message(const struct tcpm__tally_entry *entry)
{
    if (entry->message != NULL)
        return entry->message;
    return entry->end.code != 0 ? tcpm_error_text(entry->end.code) : "";
}

int tcpm_tally(struct tcpm_session *session, size_t index, struct tcpm_tally_entry *entry)
{
    if (session == NULL || entry == NULL)
        return -EINVAL;

    const struct tcpm__tally_entry *found = tcpm__tally_get(&session->tally, index);

    if (found == NULL)
        return 0;

    const struct tcpm_tally_entry known = {
        .reason = found->end.reason,
        .op = found->end.op,
        .code = found->end.code,
        .timer = found->end.timer,
        .count = found->count,
        .message = first_message(found),
    };
    int result = tcpm__options_write(&known, entry, sizeof known);

    return result < 0 ? result : 1;
}

int tcpm_has_room(struct tcpm_session *session)
{
    int result = tcpm__check_session(session);

    if (result < 0)
        return result;
    return tcpm__places_ask_room(session) ? 1 : 0;
}
