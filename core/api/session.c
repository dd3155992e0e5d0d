/* SPDX-License-Identifier: MIT */
/*
 * The public functions on engines and sessions: options are completed and checked, then the layer
 * below does the work.
 */
#include "api/check.h"

#include <errno.h>

#define CONNECT_TIMEOUT_MS  30000
#define INPUT_TIMEOUT_MS    300000
#define SHUTDOWN_TIMEOUT_MS 30000

int64_t tcpm_now_ns(void)
{
    return (int64_t) tcpm__clock_ns();
}

/* ---- engine ---- */

/* A limit: 0 is the standard, TCPM_NONE is none. */
static bool is_limit(int64_t value)
{
    return value >= TCPM_NONE;
}

int tcpm_engine_create(struct uv_loop_s *loop, const struct tcpm_engine_options *given,
                       struct tcpm_engine **engine)
{
    struct tcpm_engine_options options;
    int result = tcpm__options_read(given, &options, sizeof(options));

    if (result < 0)
        return result;
    if (loop == NULL || engine == NULL || !is_limit(options.max_connections) ||
        !is_limit(options.max_memory))
        return -EINVAL;
    return tcpm__engine_create(loop, &options, engine);
}

void tcpm_engine_close(struct tcpm_engine *engine, void (*closed)(void *user), void *user)
{
    if (engine == NULL || engine->closing)
        return;
    engine->closed = closed;
    engine->closed_user = user;
    tcpm__engine_close(engine);
}

int tcpm_engine_close_now(struct tcpm_engine *engine)
{
    if (engine == NULL)
        return -EINVAL;
    if (engine->handler_depth > 0 || engine->calling_back > 0 || engine->passing)
        return -EBUSY;
    tcpm__engine_close_now(engine);
    return 0;
}

/* ---- session ---- */

static int check_times(struct tcpm_session_options *options)
{
    if (tcpm__check_time(&options->connect_timeout_ms, CONNECT_TIMEOUT_MS) < 0 ||
        tcpm__check_time(&options->input_timeout_ms, INPUT_TIMEOUT_MS) < 0 ||
        tcpm__check_time(&options->shutdown_timeout_ms, SHUTDOWN_TIMEOUT_MS) < 0 ||
        tcpm__check_time(&options->deadline_ms, 0) < 0)
        return -EINVAL;
    return 0;
}

static bool pace_fits(const struct tcpm_session_options *options)
{
    return is_limit(options->connect_rate) && options->connect_rate <= 1000000000 &&
           is_limit(options->connect_interval_ns) &&
           options->connect_interval_ns <= TCPM__TIME_MAX_NS &&
           (options->connect_rate <= 0 || options->connect_interval_ns <= 0);
}

static bool limits_fit(const struct tcpm_session_options *options)
{
    return is_limit(options->max_connections) && is_limit(options->high_mark) &&
           is_limit(options->low_mark) && is_limit(options->max_queued) && pace_fits(options) &&
           options->keepalive_s >= 0 && options->keepalive_s <= 32767 &&
           (options->cork == 0 || options->cork == 1) && options->half_open >= TCPM_NONE &&
           options->half_open <= 1;
}

int tcpm_session_create(struct tcpm_engine *engine, const struct tcpm_session_options *given,
                        struct tcpm_session **session)
{
    struct tcpm_session_options options;
    struct tcpm_events events;
    int result = tcpm__options_read(given, &options, sizeof(options));

    if (result < 0)
        return result;
    if (engine == NULL || session == NULL || options.events == NULL)
        return -EINVAL;
    if (tcpm__network_is_forked(&engine->network))
        return -ECHILD;
    if (engine->closing)
        return -ESHUTDOWN;
    result = tcpm__options_read(options.events, &events, sizeof(events));
    if (result < 0)
        return result;
    if (options.domain != 0 && options.domain != 4 && options.domain != 6)
        return -EINVAL;
    if (check_times(&options) < 0 || !limits_fit(&options))
        return -EINVAL;
    if (options.half_open == 1 && events.eof == NULL)
        return -EINVAL;
    result = tcpm__session_create(engine, &options, session);
    if (result == 0)
        (*session)->events = events;
    return result;
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
    struct tcpm_stats known;

    if (session == NULL || stats == NULL)
        return -EINVAL;
    known = (struct tcpm_stats){
        .waiting = session->phases[TCPM_PHASE_WAITING],
        .connecting = session->phases[TCPM_PHASE_CONNECTING],
        .open = session->phases[TCPM_PHASE_OPEN],
        .shutting = session->phases[TCPM_PHASE_SHUTTING],
        .received = session->received,
        .sent = session->sent,
        .queued = session->queued,
        .held = session->held,
    };
    return tcpm__options_write(&known, stats, sizeof(known));
}

static const char *first_message(const struct tcpm__tally_entry *entry)
{
    if (entry->message != NULL)
        return entry->message;
    return entry->end.code != 0 ? tcpm_error_text(entry->end.code) : "";
}

int tcpm_tally(struct tcpm_session *session, size_t index, struct tcpm_tally_entry *entry)
{
    const struct tcpm__tally_entry *found;
    struct tcpm_tally_entry known;
    int result;

    if (session == NULL || entry == NULL)
        return -EINVAL;
    found = tcpm__tally_get(&session->tally, index);
    if (found == NULL)
        return 0;
    known = (struct tcpm_tally_entry){
        .reason = found->end.reason,
        .op = found->end.op,
        .code = found->end.code,
        .timer = found->end.timer,
        .count = found->count,
        .message = first_message(found),
    };
    result = tcpm__options_write(&known, entry, sizeof(known));
    return result < 0 ? result : 1;
}

int tcpm_has_room(struct tcpm_session *session)
{
    int result = tcpm__check_session(session);

    if (result < 0)
        return result;
    return tcpm__admission_ask_room(session) ? 1 : 0;
}
