/* SPDX-License-Identifier: MIT */
/* See subject.h. Here: what is asked of subjects, and what may be answered. */
#include "subject.h"

#include "secured.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool fits(const struct subject *subject, int result, int shutting)
{
    if (subject->ended || subject->party->session == NULL)
        return result == -ESTALE;
    if (result == -ENOMEM || result == -ENOBUFS)
        return subject->company->may_lack_memory;
    return result >= 0 || result == shutting;
}

#define CHECK_RESULT(subject, result, shutting)                                 \
    EXPECT(fits(subject, result, shutting), "%s: %s, after event %d", __func__, \
           (result) < 0 ? tcpm_error_name(result) : "taken", (int) (subject)->last)

static void note_accepted(struct subject *subject, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    if (subject->accepted_length + length > subject->accepted_capacity) {
        subject->accepted_capacity = 2 * (subject->accepted_length + length);
        subject->accepted = realloc(subject->accepted, subject->accepted_capacity);
        CHECK(subject->accepted != NULL);
    }
    memcpy(subject->accepted + subject->accepted_length, bytes, length);
    subject->accepted_length += length;
}

/* As one record, or as two. */
static int send_records(struct subject *subject, const char *bytes, size_t length, size_t first)
{
    const struct tcpm_record records[] = {{bytes, first}, {bytes + first, length - first}};

    if (first == length)
        return tcpm_send(subject->party->session, subject->id, bytes, length);
    return tcpm_send_many(subject->party->session, subject->id, records, 2);
}

int subject_send(struct subject *subject, const void *bytes, size_t length)
{
    struct chance *chance = &subject->company->chance;
    size_t first = chance_one_in(chance, 4) ? chance_below(chance, (unsigned) length + 1) : length;
    int result = send_records(subject, bytes, length, first);

    CHECK_RESULT(subject, result, -ESHUTDOWN);
    if (result < 0)
        return result;
    EXPECT(!subject->stopped && !subject->half_shut, "taken after our end");
    note_accepted(subject, bytes, first);
    note_accepted(subject, "\r\n", subject->lines_out ? 2 : 0);
    note_accepted(subject, (const char *) bytes + first, length - first);
    note_accepted(subject, "\r\n", subject->lines_out && first < length ? 2 : 0);
    if (length > 0 || subject->lines_out)
        subject->owes_flushed = true;
    if (result == 1)
        subject->was_full = true;
    return result;
}

/* From then on another timeout runs. All clocks of the checks are read on the safe side: before the
   call that starts something, after the one that stops it. */
static void note_stop(struct subject *subject, int64_t from_ns)
{
    if (subject->stopped || subject->ended)
        return;
    subject->stopped = true;
    subject->timeout_ms = subject->party->shutdown_timeout_ms;
    subject->timeout_from_ns = from_ns;
    subject->paused_ns = 0;
}

int subject_shutdown(struct subject *subject)
{
    int64_t from_ns = tcpm_now_ns();
    int result = tcpm_shutdown(subject->party->session, subject->id);

    CHECK_RESULT(subject, result, -ESHUTDOWN);
    if (result == 0)
        note_stop(subject, from_ns);
    return result;
}

int subject_shutdown_output(struct subject *subject)
{
    int64_t from_ns = tcpm_now_ns();
    int result = tcpm_shutdown_output(subject->party->session, subject->id);

    CHECK_RESULT(subject, result, -ESHUTDOWN);
    subject->half_shut |= result == 0;
    if (result == 0 && subject->goes_on)
        note_stop(subject, from_ns); /* there was nothing but output */
    return result;
}

int subject_reset(struct subject *subject)
{
    int result = tcpm_reset(subject->party->session, subject->id);

    CHECK_RESULT(subject, result, 0);
    subject->stopped |= result == 0; /* perhaps its end had begun: no other timeout runs */
    subject->was_reset |= result == 0;
    return result;
}

int subject_fail(struct subject *subject, int code)
{
    int64_t from_ns = tcpm_now_ns();
    int result = tcpm_fail(subject->party->session, subject->id, code, "as we like");

    CHECK_RESULT(subject, result, -ESHUTDOWN);
    if (result == 0)
        note_stop(subject, from_ns);
    return result;
}

int subject_fail_as(struct subject *subject, enum tcpm_op op, int code)
{
    int64_t from_ns = tcpm_now_ns();
    int result = tcpm_fail_as(subject->party->session, subject->id, op, code, NULL);

    CHECK_RESULT(subject, result, -ESHUTDOWN);
    if (result == 0)
        note_stop(subject, from_ns);
    return result;
}

/* From the last events on what they tell stands. */
int subject_abort(struct subject *subject)
{
    bool told = subject->last >= EVENT_FAILURE || (subject->eof_told && !subject->goes_on);
    int result = tcpm_abort(subject->party->session, subject->id, "a handler raised");

    CHECK_RESULT(subject, result, 0);
    if (result < 0)
        return result;
    subject->stopped = subject->was_reset = true;
    subject->aborted |= !told;
    return result;
}

/* What concerns its input is refused from eof on. */
static void check_refused(const struct subject *subject, int result)
{
    EXPECT(result < 0 || !subject->eof_told, "a call on input that is over");
}

int subject_take(struct subject *subject, int64_t n)
{
    int result = tcpm_take(subject->party->session, subject->id, n);

    CHECK_RESULT(subject, result, -ESHUTDOWN);
    check_refused(subject, result);
    if (result == 0)
        subject->take = n;
    return result;
}

int subject_next(struct subject *subject)
{
    const void *record = NULL;
    size_t length = 0;
    int result = tcpm_input_next(subject->party->session, subject->id, &record, &length);

    CHECK_RESULT(subject, result, 0);
    if (result == 1) {
        EXPECT(subject->last == EVENT_INPUT, "a record outside of input");
        subject_note_input(subject, record, length);
    }
    return result;
}

int subject_pause(struct subject *subject, bool pause)
{
    int64_t before_ns = tcpm_now_ns();
    int result = pause ? tcpm_pause(subject->party->session, subject->id)
                       : tcpm_resume(subject->party->session, subject->id);

    CHECK_RESULT(subject, result, -ESHUTDOWN);
    check_refused(subject, result);
    if (result < 0 || subject->paused == pause)
        return result;
    subject->paused = pause;
    if (pause)
        subject->paused_from_ns = tcpm_now_ns();
    else if (++subject->resumes > 0 && before_ns > subject->paused_from_ns)
        subject->paused_ns += before_ns - subject->paused_from_ns;
    return result;
}

int subject_timeout(struct subject *subject, int64_t ms)
{
    int64_t before_ns = tcpm_now_ns();
    int result = tcpm_timeout(subject->party->session, subject->id, ms);

    CHECK_RESULT(subject, result, -ESHUTDOWN);
    if (result < 0)
        return result;
    subject->timeout_ms = ms;
    subject->timeout_from_ns = before_ns;
    subject->paused_from_ns = tcpm_now_ns();
    subject->paused_ns = 0;
    return result;
}

int subject_deadline(struct subject *subject, int64_t ms)
{
    int64_t before_ns = tcpm_now_ns();
    int result = tcpm_deadline(subject->party->session, subject->id, ms);

    CHECK_RESULT(subject, result, -ESHUTDOWN);
    if (result < 0)
        return result;
    subject->deadline_ms = ms;
    subject->deadline_from_ns = before_ns;
    return result;
}

int subject_filter(struct subject *subject, enum cut in, bool lines_out)
{
    struct tcpm_filter *const *filters = subject->company->filters;
    int result = tcpm_filter_set(subject->party->session, subject->id, filters[in],
                                 filters[lines_out ? CUT_LINE : CUT_STREAM]);

    CHECK_RESULT(subject, result, -ESHUTDOWN);
    if (result < 0)
        return result;
    subject->in = in;
    subject->lines_out = lines_out;
    return result;
}

int subject_unread(struct subject *subject, size_t length)
{
    char bytes[256];
    int result;

    if (length > subject->delivered)
        length = (size_t) subject->delivered;
    if (length > sizeof bytes)
        length = sizeof bytes;
    for (size_t i = 0; i < length; i++)
        bytes[i] = wild_byte(subject->key, subject->delivered - length + i);
    result = tcpm_unread(subject->party->session, subject->id, bytes, length);
    CHECK_RESULT(subject, result, -ESHUTDOWN);
    check_refused(subject, result);
    if (result == 0)
        subject->delivered -= length;
    return result;
}

/* One whose end is decided, or that flushes after the end of its input, goes on as it was. */
static bool flushes(const struct subject *subject)
{
    struct tcpm_info info = {.size = sizeof info};

    if (subject->ended || subject->last == EVENT_NONE || subject->party->session == NULL)
        return false;
    CHECK(tcpm_info_get(subject->party->session, subject->id, &info) == 0);
    return info.phase == TCPM_PHASE_SHUTTING;
}

static void stop_subjects(struct company *company, const struct party *party)
{
    for (unsigned i = 0; i < company->subject_count; i++) {
        struct subject *subject = company->subjects[i];

        if (party != NULL && subject->party != party)
            continue;
        if (!subject->stopped && flushes(subject))
            subject->stopped = subject->flushes_eof = true;
        else
            note_stop(subject, tcpm_now_ns());
    }
}

int subject_starttls(struct subject *subject)
{
    struct company *company = subject->company;
    int64_t from_ns = tcpm_now_ns();
    int result = tcpm_starttls(subject->party->session, subject->id, company->tls, SECURED_NAME);

    if ((company->safety == SECURE && result == -EALREADY) ||
        (!subject->success && result == -EINVAL))
        return result;
    CHECK_RESULT(subject, result, -ESHUTDOWN);
    EXPECT(result < 0 || company->safety == SECURE_LATER, "TLS begins once more");
    if (result < 0)
        return result;
    subject->securing = true;
    subject->timeout_ms = subject->party->connect_timeout_ms;
    subject->timeout_from_ns = from_ns;
    return result;
}

int party_die(struct party *party)
{
    int expected = party->dying || party->company->engine_closed ? -ESHUTDOWN : 0, result;
    bool dropping = party->company->dropping;

    if (party->session == NULL)
        return -ESTALE;
    stop_subjects(party->company, party);
    party->dying = party->company->dropping = true;
    result = tcpm_die(party->session);
    EXPECT(result == expected, "die: %d", result);
    party->company->dropping = dropping;
    return result;
}

static void note_engine_closed(struct company *company)
{
    stop_subjects(company, NULL);
    for (unsigned i = 0; i < company->subject_count; i++)
        company->subjects[i]->was_reset |= !company->subjects[i]->ended;
    company->engine_closed = company->dropping = true;
}

void company_close_engine(struct company *company)
{
    note_engine_closed(company);
    stage_close_engine(&company->stage);
}

void company_close_engine_now(struct company *company)
{
    struct tcpm_engine *engine = company->stage.engine;

    if (engine == NULL)
        return;
    if (company->depth > 0 || company->dropping) {
        CHECK(tcpm_engine_close_now(engine) == -EBUSY);
        return;
    }
    note_engine_closed(company);
    company->stage.engine = NULL;
    CHECK(tcpm_engine_close_now(engine) == 0);
    for (unsigned i = 0; i < company->party_count; i++)
        EXPECT(company->parties[i].session == NULL, "a session has outlived its engine");
}
