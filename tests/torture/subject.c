/* SPDX-License-Identifier: MIT */
/* See subject.h. Here: what happens to a subject, and what is checked of it. */
#include "subject.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static struct tcpm_info info_of(const struct subject *subject)
{
    struct tcpm_info info = {.size = sizeof info};

    CHECK(tcpm_info_get(subject->party->session, subject->id, &info) == 0);
    return info;
}

static struct tcpm_endpoints endpoints_of(const struct subject *subject)
{
    struct tcpm_endpoints endpoints = {.size = sizeof endpoints};

    CHECK(tcpm_endpoints_get(subject->party->session, subject->id, &endpoints) == 0);
    return endpoints;
}

/* ---- what may come ---- */

static bool may_follow(const struct subject *subject, enum event event)
{
    bool going = subject->last != EVENT_NONE && subject->last <= EVENT_EOF &&
                 (!subject->eof_told || subject->goes_on);

    if (subject->aborted)
        return event == EVENT_DISCONNECTED && !subject->ended;
    switch (event) {
    case EVENT_INITIALIZE:
        return subject->last == EVENT_NONE;
    case EVENT_SUCCESS:
        return subject->last == EVENT_INITIALIZE;
    case EVENT_INPUT:
    case EVENT_EOF:
        return going && subject->success && !subject->eof_told;
    case EVENT_FLUSHED:
    case EVENT_ERROR:
        return going && subject->success;
    case EVENT_SECURE:
        return going && subject->securing && !subject->stopped;
    case EVENT_FAILURE:
        return going && !subject->success;
    case EVENT_TIMEOUT:
        return going;
    case EVENT_DISCONNECTED:
        return subject->last != EVENT_NONE && !subject->ended;
    default:
        return false;
    }
}

void company_enter(struct company *company, enum event event)
{
    EXPECT(company->depth == 0 || event == EVENT_INITIALIZE, "a handler inside a handler");
    company->depth++;
    company->events++;
}

void company_leave(struct company *company, struct subject *subject, enum event event)
{
    if (company->act != NULL)
        company->act(company, subject, event);
    company->depth--;
}

static struct subject *meet(void *heap, struct tcpm_session *session, struct tcpm_id id,
                            enum event event)
{
    struct subject *subject = heap;

    EXPECT(may_follow(subject, event), "event %d after %d", (int) event, (int) subject->last);
    EXPECT(subject->party->session == session, "another session");
    if (event == EVENT_INITIALIZE)
        subject->id = id;
    EXPECT(subject->id.n == id.n, "another id");
    subject->last = event;
    company_enter(subject->company, event);
    return subject;
}

/* ---- events ---- */

static void on_initialize(void *heap, struct tcpm_session *session, struct tcpm_id id,
                          const char *addr, unsigned port, const char *bind_addr,
                          unsigned bind_port)
{
    struct subject *subject = meet(heap, session, id, EVENT_INITIALIZE);

    (void) bind_addr;
    (void) bind_port;
    CHECK(addr != NULL && port > 0);
    company_leave(subject->company, subject, EVENT_INITIALIZE);
}

static void on_success(void *heap, struct tcpm_session *session, struct tcpm_id id, int fd,
                       const char *addr, unsigned port)
{
    struct subject *subject = meet(heap, session, id, EVENT_SUCCESS);
    struct tcpm_endpoints endpoints = endpoints_of(subject);
    const int bytes = 4096;

    if (subject->company->small_buffers)
        CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) == 0);
    if (subject->company->safety == SECURE) {
        struct tcpm_tls_info info = {.size = sizeof info};

        CHECK(tcpm_tls_get(session, id, &info) == 0 && info.verified);
    }
    CHECK(fd >= 0 && addr[0] != '\0' && port > 0);
    EXPECT(!subject->stopped, "success after our end");
    EXPECT(strcmp(endpoints.peer, addr) == 0 && endpoints.peer_port == port, "peer %s",
           endpoints.peer);
    subject->success = true;
    subject->timeout_ms = subject->input_timeout_ms; /* from now, or a little earlier */
    subject->paused_from_ns = tcpm_now_ns();
    subject->paused_ns = 0;
    company_leave(subject->company, subject, EVENT_SUCCESS);
}

static void on_secure(void *heap, struct tcpm_session *session, struct tcpm_id id)
{
    struct subject *subject = meet(heap, session, id, EVENT_SECURE);
    struct tcpm_tls_info info = {.size = sizeof info};

    CHECK(tcpm_tls_get(session, id, &info) == 0 && info.verified);
    subject->securing = false;
    subject->secured = true;
    subject->timeout_ms = subject->input_timeout_ms;
    company_leave(subject->company, subject, EVENT_SECURE);
}

static void check_bytes(const struct subject *subject, uint64_t offset, const char *bytes,
                        size_t length)
{
    if (subject->key == 0)
        return;
    for (size_t i = 0; i < length; i++)
        EXPECT(bytes[i] == wild_byte(subject->key, offset + i), "a wrong byte at %llu",
               (unsigned long long) (offset + i));
}

static void check_pending(const struct subject *subject)
{
    const void *bytes = NULL;
    size_t length = 0;
    struct tcpm_info info = info_of(subject);

    CHECK(tcpm_pending(subject->party->session, subject->id, &bytes, &length) == 0);
    check_bytes(subject, subject->delivered, bytes, length < 100 ? length : 100);
    EXPECT(subject->delivered + length <= info.received, "more than was received");
    if (!subject->stopped && info.phase == TCPM_PHASE_OPEN && subject->last == EVENT_INPUT)
        return; /* the read at hand may be counted in part */
    if (subject->ended && subject->reason == TCPM_REASON_EOF)
        EXPECT(subject->delivered + length == info.received, "%llu + %zu of %llu received",
               (unsigned long long) subject->delivered, length, (unsigned long long) info.received);
}

void subject_note_input(struct subject *subject, const void *record, size_t length)
{
    bool taken = subject->take != TCPM_NONE;

    EXPECT(!subject->stopped, "input after our end");
    EXPECT(!subject->paused, "input in a pause");
    EXPECT(!subject->securing, "input before secure");
    EXPECT(!taken || (int64_t) length == subject->take, "%zu bytes instead of %lld", length,
           (long long) subject->take);
    CHECK(info_of(subject).phase == TCPM_PHASE_OPEN);
    check_bytes(subject, subject->delivered, record, length);
    subject->delivered += length;
    if (!taken && (subject->in == CUT_LINE || subject->in == CUT_SHORT))
        check_bytes(subject, subject->delivered++, "\n", 1);
    subject->take = TCPM_NONE;
    subject->inputs++;
    check_pending(subject);
}

static void take_input(struct subject *subject, const void *record, size_t length)
{
    subject_note_input(subject, record, length);
    company_leave(subject->company, subject, EVENT_INPUT);
}

static void on_input(void *heap, struct tcpm_session *session, struct tcpm_id id,
                     const void *record, size_t length)
{
    struct subject *subject = meet(heap, session, id, EVENT_INPUT);

    EXPECT(!subject->own, "the handler of the session");
    take_input(subject, record, length);
}

static void on_own_input(void *heap, struct tcpm_session *session, struct tcpm_id id,
                         const void *record, size_t length)
{
    struct subject *subject = meet(heap, session, id, EVENT_INPUT);

    EXPECT(subject->own, "the handler of another connection");
    take_input(subject, record, length);
}

static void on_flushed(void *heap, struct tcpm_session *session, struct tcpm_id id)
{
    struct subject *subject = meet(heap, session, id, EVENT_FLUSHED);
    uint64_t queued = info_of(subject).queued;

    EXPECT(subject->owes_flushed || subject->was_full, "flushed for nothing");
    EXPECT(subject->was_full || queued == 0, "flushed, and %llu bytes are queued",
           (unsigned long long) queued);
    subject->was_full = false;
    if (queued == 0)
        subject->owes_flushed = false;
    company_leave(subject->company, subject, EVENT_FLUSHED);
}

/* Where the output is not shut, and we have asked for no end, it ends the input only. */
static void on_eof(void *heap, struct tcpm_session *session, struct tcpm_id id)
{
    struct subject *subject = meet(heap, session, id, EVENT_EOF);
    struct tcpm_info info = info_of(subject);

    EXPECT(subject->tells_eof, "eof, which nobody asked for");
    EXPECT(!subject->paused || info.phase == TCPM_PHASE_SHUTTING, "eof in a pause");
    CHECK(info.cause.code == TCPM_EOF && info.cause.op == TCPM_OP_READ);
    subject->eof_told = true;
    subject->goes_on = info.phase == TCPM_PHASE_OPEN;
    EXPECT(!subject->goes_on || (subject->half_open && !subject->half_shut && !subject->stopped),
           "it goes on after eof");
    EXPECT(subject->goes_on || !subject->half_open || subject->half_shut, "eof has ended it");
    company_leave(subject->company, subject, EVENT_EOF);
}

static void check_cause(struct subject *subject, const struct tcpm_error *error)
{
    struct tcpm_info info = info_of(subject);

    CHECK(error->code < 0 && error->message != NULL && error->message[0] != '\0');
    CHECK(info.cause.code == error->code && info.cause.op == error->op);
    CHECK(info.phase == TCPM_PHASE_SHUTTING);
    subject->code = error->code;
    EXPECT((error->code == TCPM_ETOOLONG) == (error->op == TCPM_OP_FILTER), "%s, %s",
           tcpm_op_name(error->op), tcpm_error_name(error->code));
    if (error->code == -ENOMEM || error->code == -ENOBUFS)
        EXPECT(subject->company->may_lack_memory, "out of memory");
}

static void on_failure(void *heap, struct tcpm_session *session, struct tcpm_id id,
                       const struct tcpm_error *error)
{
    struct subject *subject = meet(heap, session, id, EVENT_FAILURE);

    check_cause(subject, error);
    company_leave(subject->company, subject, EVENT_FAILURE);
}

static void on_error(void *heap, struct tcpm_session *session, struct tcpm_id id,
                     const struct tcpm_error *error)
{
    struct subject *subject = meet(heap, session, id, EVENT_ERROR);

    check_cause(subject, error);
    company_leave(subject->company, subject, EVENT_ERROR);
}

/* In milliseconds, the one that is lost by rounding included. */
static int64_t passed_since(int64_t from_ns)
{
    return (tcpm_now_ns() - from_ns) / 1000000 + 2;
}

static void check_timer(const struct subject *subject, enum tcpm_timer timer)
{
    int64_t passed = passed_since(subject->timeout_from_ns) - subject->paused_ns / 1000000 +
                     subject->resumes; /* a millisecond of rounding for each */

    if (timer == TCPM_TIMER_DEADLINE) {
        EXPECT(subject->deadline_ms != 0, "a deadline that nobody has set");
        EXPECT(passed_since(subject->deadline_from_ns) > subject->deadline_ms, "%lld of %lld ms",
               (long long) passed_since(subject->deadline_from_ns),
               (long long) subject->deadline_ms);
        return;
    }
    EXPECT((timer == TCPM_TIMER_CONNECT) == !subject->success, "%s", tcpm_timer_name(timer));
    EXPECT(timer != TCPM_TIMER_INPUT || !subject->paused, "the timeout of input in a pause");
    if (timer == TCPM_TIMER_SHUTDOWN && (!subject->stopped || subject->flushes_eof))
        return; /* since the peer's FIN, whenever that was */
    EXPECT(subject->timeout_ms != 0, "a timeout that nobody has set");
    EXPECT(passed > subject->timeout_ms, "%s: %lld of %lld ms", tcpm_timer_name(timer),
           (long long) passed, (long long) subject->timeout_ms);
}

static void on_timeout(void *heap, struct tcpm_session *session, struct tcpm_id id,
                       enum tcpm_timer timer)
{
    struct subject *subject = meet(heap, session, id, EVENT_TIMEOUT);

    check_timer(subject, timer);
    CHECK(info_of(subject).cause.code == -ETIMEDOUT);
    company_leave(subject->company, subject, EVENT_TIMEOUT);
}

/* ---- the end ---- */

static bool reason_fits(const struct subject *subject, enum event last)
{
    switch (subject->reason) {
    case TCPM_REASON_SHUTDOWN:
        return subject->stopped && last <= EVENT_EOF && (!subject->eof_told || subject->goes_on);
    case TCPM_REASON_DIE:
        return (subject->party->dying || subject->company->engine_closed) && last <= EVENT_EOF &&
               (!subject->eof_told || subject->goes_on);
    case TCPM_REASON_FAILURE:
        return last == EVENT_FAILURE;
    case TCPM_REASON_ERROR:
        return subject->aborted ||
               (last == EVENT_ERROR && (subject->code != TCPM_EOF || subject->securing));
    case TCPM_REASON_EOF:
        if (subject->tells_eof)
            return subject->eof_told && (last == EVENT_EOF || last == EVENT_FLUSHED);
        return last == EVENT_ERROR && subject->code == TCPM_EOF;
    case TCPM_REASON_TIMEOUT:
        return last == EVENT_TIMEOUT;
    default:
        return false;
    }
}

/* The peer has been promised everything. */
bool subject_ended_well(const struct subject *subject)
{
    return subject->success && !subject->was_reset &&
           (subject->reason == TCPM_REASON_EOF || subject->reason == TCPM_REASON_SHUTDOWN ||
            subject->reason == TCPM_REASON_DIE);
}

static void on_disconnected(void *heap, struct tcpm_session *session, struct tcpm_id id,
                            enum tcpm_reason reason)
{
    struct subject *subject = heap;
    enum event last = subject->last;
    struct tcpm_info info;

    meet(heap, session, id, EVENT_DISCONNECTED);
    info = info_of(subject);
    subject->ended = true;
    subject->party->ends++;
    subject->reason = reason;
    EXPECT((info.timer != 0) == (reason == TCPM_REASON_TIMEOUT), "%s: timer %d",
           tcpm_reason_name(reason), (int) info.timer);
    EXPECT(!subject->aborted || reason == TCPM_REASON_ERROR, "aborted: %s",
           tcpm_reason_name(reason));
    EXPECT(reason_fits(subject, last), "%s after event %d, code %d", tcpm_reason_name(reason),
           (int) last, subject->code);
    EXPECT(info.sent + info.queued == subject->accepted_length, "%llu sent, %llu queued of %zu",
           (unsigned long long) info.sent, (unsigned long long) info.queued,
           subject->accepted_length);
    CHECK(info.phase == TCPM_PHASE_CLOSED && endpoints_of(subject).peer[0] == '\0');
    if (subject_ended_well(subject)) {
        EXPECT(info.queued == 0, "%llu bytes are lost", (unsigned long long) info.queued);
        EXPECT(!subject->owes_flushed, "flushed has not come");
    }
    check_pending(subject);
    company_leave(subject->company, subject, EVENT_DISCONNECTED);
}

static void on_room(struct tcpm_session *session, void *user)
{
    struct party *party = user;

    CHECK(party->session == session && !party->dying);
    company_enter(party->company, EVENT_TASK);
    company_leave(party->company, NULL, EVENT_TASK);
}

/* Each end is counted once, the largest count first. */
static void check_tally(const struct party *party)
{
    struct tcpm_tally_entry entry = {.size = sizeof entry};
    uint64_t sum = 0, last = UINT64_MAX;
    size_t index = 0;

    for (; tcpm_tally(party->session, index, &entry) == 1; index++) {
        CHECK(entry.count > 0 && entry.count <= last && entry.message != NULL);
        EXPECT((entry.timer != 0) == (entry.reason == TCPM_REASON_TIMEOUT), "a tally: %s, timer %d",
               tcpm_reason_name(entry.reason), (int) entry.timer);
        last = entry.count;
        sum += entry.count;
    }
    EXPECT(sum == party->ends || (sum < party->ends && !party->company->counts_all),
           "%llu ends counted of %u", (unsigned long long) sum, party->ends);
}

static void on_stopped(struct tcpm_session *session, void *user)
{
    struct party *party = user;
    struct company *company = party->company;

    CHECK(party->session == session);
    EXPECT(party->dying || company->engine_closed, "stopped without a reason");
    for (unsigned i = 0; i < company->subject_count; i++)
        EXPECT(company->subjects[i]->party != party || company->subjects[i]->ended,
               "stopped before its last connection");
    check_tally(party);
    company_enter(company, EVENT_TASK);
    company_leave(company, NULL, EVENT_TASK);
    party->session = NULL;
}

const struct tcpm_events *subject_events(bool with_eof)
{
#define EVENTS                                                                                    \
    .size = sizeof(struct tcpm_events), .initialize = on_initialize, .success = on_success,       \
    .input = on_input, .flushed = on_flushed, .failure = on_failure, .error = on_error,           \
    .timeout = on_timeout, .secure = on_secure, .disconnected = on_disconnected, .room = on_room, \
    .stopped = on_stopped
    static const struct tcpm_events events[] = {{EVENTS}, {EVENTS, .eof = on_eof}};
#undef EVENTS

    return &events[with_eof];
}

/* All others are those of the session. */
const struct tcpm_events *subject_own_events(void)
{
    static const struct tcpm_events events = {
        .size = sizeof events,
        .input = on_own_input,
        .eof = on_eof,
    };

    return &events;
}
