/* See subject.h. Here: what is asked of subjects, and what is checked when all is over. */
#include "subject.h"

#include "connection/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- calls ---- */

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
    if (result == 0 && subject->told)
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

int subject_pause(struct subject *subject, bool pause)
{
    int64_t before_ns = tcpm_now_ns();
    int result = pause ? tcpm_pause(subject->party->session, subject->id)
                       : tcpm_resume(subject->party->session, subject->id);

    CHECK_RESULT(subject, result, -ESHUTDOWN);
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

int party_die(struct party *party)
{
    int result;

    if (party->session == NULL)
        return -ESTALE;
    stop_subjects(party->company, party);
    result = tcpm_die(party->session);
    EXPECT(result == (party->dying || party->company->engine_closed ? -ESHUTDOWN : 0), "die: %d",
           result);
    party->dying = true;
    return result;
}

void company_close_engine(struct company *company)
{
    stop_subjects(company, NULL);
    for (unsigned i = 0; i < company->subject_count; i++)
        company->subjects[i]->was_reset |= !company->subjects[i]->ended;
    company->engine_closed = true;
    stage_close_engine(&company->stage);
}

/* ---- tasks ---- */

static void run_errand(struct tcpm_session *session, void *user, void *argument)
{
    struct errand *errand = argument;

    CHECK(session != NULL && user != NULL);
    EXPECT(errand->waits && !errand->over, "a task was run twice");
    EXPECT(!((struct party *) user)->dying, "a task of a dead session");
    errand->over = true;
    company_enter(errand->company, EVENT_TASK);
    company_leave(errand->company, NULL, EVENT_TASK);
}

static void drop_errand(void *argument)
{
    struct errand *errand = argument;

    EXPECT(errand->waits && !errand->over, "a task was dropped twice");
    errand->over = true;
}

struct tcpm_task company_errand(struct company *company)
{
    struct errand *errand;

    if (company->errand_count == ERRANDS)
        return (struct tcpm_task){0};
    errand = &company->errands[company->errand_count++];
    *errand = (struct errand){.company = company, .waits = true};
    return (struct tcpm_task){.run = run_errand, .drop = drop_errand, .argument = errand};
}

void company_errand_refused(struct company *company)
{
    struct errand *errand = &company->errands[company->errand_count - 1];

    EXPECT(!errand->over, "a task that was not taken was run or dropped");
    company->errand_count--;
}

/* ---- companies ---- */

void company_open(struct company *company, uint64_t seed,
                  struct wild_plan (*plan)(uint32_t key, void *user), void *user)
{
    const struct tcpm_block_options blocks = {.size = sizeof blocks, .block_size = 7};
    const struct tcpm_line_options lines = {.size = sizeof lines, .max_length = 2};

    memset(company, 0, sizeof *company);
    company->chance.state = seed;
    company->first_key = (127u << 24) + (1u << 16) + chance_below(&company->chance, 100) * 65536;
    CHECK(tcpm_filter_stream(&company->filters[CUT_STREAM]) == 0);
    CHECK(tcpm_filter_line(NULL, &company->filters[CUT_LINE]) == 0);
    CHECK(tcpm_filter_block(&blocks, &company->filters[CUT_BLOCK]) == 0);
    CHECK(tcpm_filter_line(&lines, &company->filters[CUT_SHORT]) == 0);
    stage_begin(&company->stage);
    company->wild = wild_start(seed, company->first_key, plan, user);
}

int company_open_engine(struct company *company, const struct tcpm_engine_options *options)
{
    return stage_open(&company->stage, options);
}

static int64_t time_of(int64_t option_ms, int64_t standard_ms)
{
    if (option_ms == TCPM_NONE)
        return 0;
    return option_ms == 0 ? standard_ms : option_ms;
}

struct party *company_party(struct company *company, const struct tcpm_session_options *options)
{
    struct tcpm_session_options all = *options;
    struct party *party = &company->parties[company->party_count];
    int result;

    CHECK(company->party_count < PARTIES);
    all.size = sizeof all;
    all.events = subject_events(all.half_open == 1 || chance_one_in(&company->chance, 2));
    all.user = party;
    all.input_filter = all.output_filter = company->filters[CUT_STREAM];
    *party = (struct party){.company = company,
                            .connect_timeout_ms = time_of(options->connect_timeout_ms, 30000),
                            .input_timeout_ms = time_of(options->input_timeout_ms, 300000),
                            .shutdown_timeout_ms = time_of(options->shutdown_timeout_ms, 30000),
                            .deadline_ms = time_of(options->deadline_ms, 0)};
    result = tcpm_session_create(company->stage.engine, &all, &party->session);
    EXPECT(result == 0 || (result == -ENOMEM && company->may_lack_memory), "create: %d", result);
    if (result < 0)
        return NULL;
    company->party_count++;
    return party;
}

static struct subject *make_subject(struct party *party)
{
    struct company *company = party->company;
    struct subject *subject = calloc(1, sizeof *subject);

    CHECK(subject != NULL && company->subject_count < SUBJECTS);
    subject->company = company;
    subject->party = party;
    company->subjects[company->subject_count++] = subject;
    return subject;
}

static void set_times(struct subject *subject, const struct tcpm_connect_options *options)
{
    const struct party *party = subject->party;

    subject->timeout_ms = time_of(options->connect_timeout_ms, party->connect_timeout_ms);
    subject->input_timeout_ms = time_of(options->input_timeout_ms, party->input_timeout_ms);
    subject->deadline_ms = time_of(options->deadline_ms, party->deadline_ms);
    subject->timeout_from_ns = subject->deadline_from_ns = tcpm_now_ns();
}

struct subject *company_connect(struct party *party, const struct tcpm_connect_options *options)
{
    struct tcpm_connect_options all = *options;
    struct company *company = party->company;
    struct subject *subject = make_subject(party);
    struct tcpm_id id = {0};
    char address[16];
    int result;

    if (all.address == NULL) {
        subject->key = company->first_key + company->subject_count;
        wild_address(subject->key, address);
        all.address = address;
        all.port = wild_port(company->wild);
    }
    set_times(subject, options);
    all.size = sizeof all;
    all.heap = subject;
    result = tcpm_connect(party->session, &all, &id);
    if (result < 0) {
        EXPECT(result == -ESHUTDOWN || (result == -ENOMEM && company->may_lack_memory),
               "connect: %s", tcpm_error_name(result));
        EXPECT(subject->last == EVENT_NONE, "an event of a connect that failed");
        subject->ended = true;
        return NULL;
    }
    EXPECT(subject->last == EVENT_INITIALIZE && id.n == subject->id.n, "initialize has not come");
    return subject;
}

/* ---- afterwards ---- */

static void check_peer(const struct subject *subject, const struct wild_link *link)
{
    EXPECT(link->length <= subject->accepted_length, "the peer has %zu bytes of %zu", link->length,
           subject->accepted_length);
    EXPECT(link->length == 0 || memcmp(link->received, subject->accepted, link->length) == 0,
           "the peer has other bytes");
    EXPECT(link->end != WILD_EOF || link->length == subject->accepted_length,
           "the peer takes %zu bytes for all of %zu (%s)", link->length, subject->accepted_length,
           tcpm_reason_name(subject->reason));
    if (subject_ended_well(subject) && link->reader)
        EXPECT(link->length == subject->accepted_length, "the peer has %zu bytes of %zu (%s)",
               link->length, subject->accepted_length, tcpm_reason_name(subject->reason));
    if (subject->reason == TCPM_REASON_EOF)
        EXPECT(link->finished, "EOF without FIN");
    if (subject->code == -ECONNRESET && !subject->company->may_lie)
        EXPECT(link->end == WILD_LEFT, "a reset that nobody sent");
}

static void check_afterwards(struct company *company, const struct subject *subject)
{
    const struct wild_link *link =
        subject->key == 0 ? NULL : wild_find(company->wild, subject->key);

    EXPECT(subject->ended, "disconnected has not come, after event %d", (int) subject->last);
    if (link != NULL && subject->last != EVENT_NONE)
        check_peer(subject, link);
}

static void check_stale(const struct company *company)
{
    for (unsigned i = 0; i < company->subject_count; i++) {
        const struct subject *subject = company->subjects[i];
        if (subject->ended && subject->party->session != NULL && subject->id.n != 0)
            CHECK(tcpm_reset(subject->party->session, subject->id) == -ESTALE);
    }
}

/* What the sessions count, once all their connections have ended. */
static void check_counts(const struct company *company)
{
    struct tcpm_stats stats = {.size = sizeof stats};

    for (unsigned i = 0; i < company->party_count; i++) {
        const struct party *party = &company->parties[i];
        if (party->session == NULL || tcpm_next(party->session, (struct tcpm_id){0}).n != 0)
            continue;
        CHECK(tcpm_stats_get(party->session, &stats) == 0);
        CHECK(stats.waiting == 0 && stats.connecting == 0 && stats.open == 0 &&
              stats.shutting == 0);
        EXPECT(stats.queued == 0 && stats.held == 0, "%llu queued, %llu held",
               (unsigned long long) stats.queued, (unsigned long long) stats.held);
    }
}

/* What the engine counts, once no connection is left. */
static void check_engine(const struct company *company)
{
    const struct tcpm_engine *engine = company->stage.engine;

    if (engine == NULL || engine->connections.live > 0)
        return;
    EXPECT(engine->places == 0, "%llu places", (unsigned long long) engine->places);
    EXPECT(engine->memory_used == 0, "%llu bytes held", (unsigned long long) engine->memory_used);
    CHECK(engine->ready == NULL && engine->handler_depth == 0 && !engine->running_posts);
    CHECK(engine->deadlines.filled[0] == 0 || tcpm__wheel_next(&engine->deadlines) == UINT64_MAX);
    if (engine->next_posts.first == NULL)
        EXPECT(engine->work == engine->alarm_pool.live + engine->rooms_wanted + engine->dying,
               "%llu pieces of work", (unsigned long long) engine->work);
}

void company_close(struct company *company)
{
    check_stale(company);
    check_counts(company);
    check_engine(company);
    company_close_engine(company);
    stage_finish(&company->stage);
    wild_join(company->wild);
    for (unsigned i = 0; i < company->party_count; i++)
        EXPECT(company->parties[i].session == NULL, "a session has not stopped");
    for (unsigned i = 0; i < company->errand_count; i++)
        EXPECT(company->errands[i].over, "a task was neither run nor dropped");
    for (unsigned i = 0; i < company->subject_count; i++) {
        check_afterwards(company, company->subjects[i]);
        free(company->subjects[i]->accepted);
        free(company->subjects[i]);
    }
    wild_free(company->wild);
    for (int i = 0; i < CUTS; i++)
        tcpm_filter_free(company->filters[i]);
    stage_close(&company->stage);
}
