/* SPDX-License-Identifier: MIT */
/* See calls.h. The results are those of the table "what works when". */
#include "calls.h"

#include <signal.h>

static void run_nothing(struct tcpm_session *session, void *user, void *argument)
{
    (void) session;
    (void) user;
    (void) argument;
}

static int call_send(struct tcpm_session *session, struct tcpm_id id)
{
    return tcpm_send(session, id, "x", 1);
}

static int call_send_many(struct tcpm_session *session, struct tcpm_id id)
{
    static const struct tcpm_record records[] = {{"y", 1}, {"z", 1}};

    return tcpm_send_many(session, id, records, COUNT(records));
}

static int call_fail(struct tcpm_session *session, struct tcpm_id id)
{
    return tcpm_fail(session, id, -EPROTO, "not what was agreed");
}

static int call_fail_as(struct tcpm_session *session, struct tcpm_id id)
{
    return tcpm_fail_as(session, id, TCPM_OP_READ, -EPROTO, NULL);
}

static int call_abort(struct tcpm_session *session, struct tcpm_id id)
{
    return tcpm_abort(session, id, "a handler raised");
}

static int call_timeout(struct tcpm_session *session, struct tcpm_id id)
{
    return tcpm_timeout(session, id, 60);
}

static int call_deadline(struct tcpm_session *session, struct tcpm_id id)
{
    return tcpm_deadline(session, id, 90);
}

static int call_filter_set(struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm_filter *filter = stream_filter();
    int result = tcpm_filter_set(session, id, filter, filter);

    tcpm_filter_free(filter);
    return result;
}

static int call_unread(struct tcpm_session *session, struct tcpm_id id)
{
    return tcpm_unread(session, id, "again\n", 6);
}

static int call_take(struct tcpm_session *session, struct tcpm_id id)
{
    return tcpm_take(session, id, 3);
}

static int call_swallow(struct tcpm_session *session, struct tcpm_id id)
{
    return tcpm_swallow(session, id, '\n');
}

static int call_pending(struct tcpm_session *session, struct tcpm_id id)
{
    const void *bytes = NULL;
    size_t length = 0;

    return tcpm_pending(session, id, &bytes, &length);
}

static int call_input_next(struct tcpm_session *session, struct tcpm_id id)
{
    const void *record = NULL;
    size_t length = 0;
    int result = tcpm_input_next(session, id, &record, &length);

    return result == 1 ? 0 : result;
}

static int call_info(struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm_info info = {.size = sizeof info};

    return tcpm_info_get(session, id, &info);
}

static int call_endpoints(struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm_endpoints endpoints = {.size = sizeof endpoints};

    return tcpm_endpoints_get(session, id, &endpoints);
}

static int call_times(struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm_times times = {.size = sizeof times};

    return tcpm_times_get(session, id, &times);
}

/* Whatever was tried, there is no such index. */
static int call_tried(struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm_tried tried = {.size = sizeof tried};

    return tcpm_tried_get(session, id, 1000, &tried);
}

static int call_heap_get(struct tcpm_session *session, struct tcpm_id id)
{
    void *heap = NULL;

    return tcpm_heap_get(session, id, &heap);
}

/* With the same heap again: the connection must not lose it. */
static int call_heap_set(struct tcpm_session *session, struct tcpm_id id)
{
    static char other;
    int result = tcpm_heap_set(session, (struct tcpm_id){id.n ^ UINT64_C(1) << 52}, &other);

    assert_int_equal(result, -ESTALE);
    return result;
}

static int call_delay(struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm_task task = {.run = run_nothing};
    struct tcpm_alarm alarm = {0};
    int result = tcpm_delay(session, id, 20, task, &alarm);

    if (result == 0) {
        assert_int_equal(tcpm_delay_adjust(session, alarm, 10), 0);
        assert_int_equal(tcpm_alarm_remove(session, alarm), 0);
    }
    return result;
}

static int call_delay_ns(struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm_alarm alarm = {0};
    int result = tcpm_delay_ns(session, id, 150000, (struct tcpm_task){.run = run_nothing}, &alarm);

    if (result == 0)
        assert_int_equal(tcpm_delay_adjust_ns(session, alarm, 100000), 0);
    return result;
}

static int call_post(struct tcpm_session *session, struct tcpm_id id)
{
    (void) id;
    return tcpm_post(session, (struct tcpm_task){.run = run_nothing});
}

static void beat_nothing(struct tcpm_session *session, void *user, void *argument, int64_t due_ns,
                         uint64_t ticks)
{
    (void) due_ns;
    (void) ticks;
    run_nothing(session, user, argument);
}

static int call_every(struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm_alarm alarm = {0};
    int result = tcpm_every(session, 200000, (struct tcpm_beat){.run = beat_nothing}, &alarm);

    (void) id;
    if (result == 0)
        assert_int_equal(tcpm_alarm_remove(session, alarm), 0);
    return result;
}

static int call_tally(struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm_tally_entry entry = {.size = sizeof entry};
    int result = tcpm_tally(session, 0, &entry);

    (void) id;
    return result == 1 ? 0 : result;
}

static int call_stats(struct tcpm_session *session, struct tcpm_id id)
{
    struct tcpm_stats stats = {.size = sizeof stats};

    (void) id;
    return tcpm_stats_get(session, &stats);
}

static int call_next(struct tcpm_session *session, struct tcpm_id id)
{
    for (struct tcpm_id at = {0}; (at = tcpm_next(session, at)).n != 0;)
        if (at.n == id.n)
            return 0;
    return 0;
}

static int call_room(struct tcpm_session *session, struct tcpm_id id)
{
    (void) id;
    return tcpm_has_room(session) < 0;
}

static int call_sig(struct tcpm_session *session, struct tcpm_id id)
{
    (void) id;
    int result = tcpm_sig(session, SIGUSR2, (struct tcpm_task){.run = run_nothing});
    return result < 0 ? result : tcpm_sig(session, SIGUSR2, (struct tcpm_task){.run = NULL});
}

#define STALE (-ESTALE)
#define SHUT  (-ESHUTDOWN)

const struct call calls[] = {
    /* name, call, waiting connecting open, after shutdown, in failure error timeout, in
       disconnected */
    {"send", call_send, 0, SHUT, SHUT, STALE},
    {"send_many", call_send_many, 0, SHUT, SHUT, STALE},
    {"timeout", call_timeout, 0, 0, SHUT, STALE},
    {"deadline", call_deadline, 0, 0, SHUT, STALE},
    {"filter_set", call_filter_set, 0, SHUT, SHUT, STALE},
    {"unread", call_unread, 0, SHUT, SHUT, STALE},
    {"take", call_take, 0, SHUT, SHUT, STALE},
    {"swallow", call_swallow, 0, SHUT, SHUT, STALE},
    {"pause", tcpm_pause, 0, SHUT, SHUT, STALE},
    {"resume", tcpm_resume, 0, SHUT, SHUT, STALE},
    {"delay", call_delay, 0, SHUT, SHUT, STALE},
    {"delay_ns", call_delay_ns, 0, SHUT, SHUT, STALE},
    {"pending", call_pending, 0, 0, 0, 0},
    {"input_next", call_input_next, 0, 0, 0, STALE},
    {"info", call_info, 0, 0, 0, 0},
    {"endpoints", call_endpoints, 0, 0, 0, 0},
    {"times", call_times, 0, 0, 0, 0},
    {"tried", call_tried, 0, 0, 0, 0},
    {"heap_get", call_heap_get, 0, 0, 0, 0},
    {"heap_set", call_heap_set, STALE, STALE, STALE, STALE},
    {"post", call_post, 0, 0, 0, 0},
    {"every", call_every, 0, 0, 0, 0},
    {"tally", call_tally, 0, 0, 0, 0},
    {"stats", call_stats, 0, 0, 0, 0},
    {"next", call_next, 0, 0, 0, 0},
    {"has_room", call_room, 0, 0, 0, 0},
    {"sig", call_sig, 0, 0, 0, 0},
    /* from here on they end it, or its output */
    {"shutdown_output", tcpm_shutdown_output, 0, SHUT, SHUT, STALE},
    {"shutdown", tcpm_shutdown, 0, SHUT, SHUT, STALE},
    {"fail", call_fail, 0, SHUT, SHUT, STALE},
    {"fail_as", call_fail_as, 0, SHUT, SHUT, STALE},
    {"reset", tcpm_reset, 0, 0, 0, STALE},
    {"abort", call_abort, 0, 0, 0, STALE},
};

const size_t call_count = COUNT(calls);
