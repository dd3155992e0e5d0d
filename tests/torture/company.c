/* SPDX-License-Identifier: MIT */
/* See subject.h. Here: companies, their tasks, and what is checked when all is over. */
#include "subject.h"

#include "connection/shapes.h"
#include "secured.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* Calls may be made there too, where what we have asked for is not being done just then. */
static void drop_errand(void *argument)
{
    struct errand *errand = argument;
    struct company *company = errand->company;

    EXPECT(errand->waits && !errand->over, "a task was dropped twice");
    errand->over = true;
    if (company->dropping)
        return;
    company->dropping = true;
    company_close_engine_now(company); /* refused */
    if (company->act != NULL)
        company->act(company, NULL, EVENT_TASK);
    company->dropping = company->engine_closed;
}

/* In step with its period, as often as it says, never early. */
static void run_beat(struct tcpm_session *session, void *user, void *argument, int64_t due_ns,
                     uint64_t ticks)
{
    struct errand *errand = argument;
    int64_t passed_ns = due_ns - errand->due_ns;

    EXPECT(errand->waits && !errand->over, "a beat after its end");
    EXPECT(!((struct party *) user)->dying, "a beat of a dead session");
    EXPECT(ticks > 0 && due_ns <= tcpm_now_ns(), "a beat is early");
    if (errand->beats < 3)
        EXPECT(passed_ns == (int64_t) ticks * errand->period_ns, "%lld ns, %llu ticks of %lld",
               (long long) passed_ns, (unsigned long long) ticks, (long long) errand->period_ns);
    errand->due_ns = due_ns;
    if (--errand->beats == 0)
        CHECK(tcpm_alarm_remove(session, errand->alarm) == 0);
    company_enter(errand->company, EVENT_TASK);
    company_leave(errand->company, NULL, EVENT_TASK);
}

void company_beat(struct company *company, struct tcpm_session *session)
{
    struct tcpm_beat beat = {.run = run_beat, .drop = drop_errand};
    struct errand *errand;
    int result;

    if (company_errand(company).run == NULL)
        return;
    errand = &company->errands[company->errand_count - 1];
    errand->beats = 3;
    errand->period_ns = 100000 + (int64_t) chance_below(&company->chance, 8000000);
    beat.argument = errand;
    result = tcpm_every(session, errand->period_ns, beat, &errand->alarm);
    EXPECT(result == 0 || result == -ESHUTDOWN || company->may_lack_memory, "every: %d", result);
    if (result < 0)
        company_errand_refused(company);
    else
        CHECK(tcpm_delay_adjust(session, errand->alarm, 1) == -EINVAL);
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

static int get_none(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    (void) self;
    (void) bytes;
    cut->need = length + 1;
    return 0;
}

static int finish_all(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    (void) self;
    cut->record = bytes;
    cut->length = cut->used = length;
    return length > 0;
}

static int put_all(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    (void) self;
    return tcpm_out_write(out, record, length);
}

static const struct tcpm_filter_kind last_kind = {.size = sizeof last_kind,
                                                  .name = "last",
                                                  .get_one = get_none,
                                                  .put = put_all,
                                                  .finish = finish_all};

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
    CHECK(tcpm_filter_custom(&last_kind, NULL, &company->filters[CUT_LAST]) == 0);
    stage_begin(&company->stage);
    company->wild = wild_start(seed, company->first_key, plan, user);
}

int company_open_engine(struct company *company, const struct tcpm_engine_options *options)
{
    int result = stage_open(&company->stage, options);

    if (result == 0 && company->safety != PLAIN)
        result = secured_create(company->stage.engine, &company->tls);
    return result;
}

void company_secure(struct company *company, size_t plain)
{
    CHECK(SECURED_CAN_BE);
    company->safety = plain > 0 ? SECURE_LATER : SECURE;
    wild_secure(company->wild, plain);
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
    if (company->safety != PLAIN && company->tls == NULL)
        return NULL;
    if (company->safety == SECURE)
        all.tls = company->tls;
    all.size = sizeof all;
    all.events = subject_events(all.half_open == 1 || chance_one_in(&company->chance, 2));
    all.user = party;
    all.input_filter = all.output_filter = company->filters[CUT_STREAM];
    *party = (struct party){.company = company,
                            .tells_eof = all.events->eof != NULL,
                            .half_open = options->half_open == 1,
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
    subject->take = TCPM_NONE;
    subject->own = all.events != NULL;
    subject->tells_eof = subject->own || party->tells_eof;
    subject->half_open = all.half_open == 1 || (all.half_open == 0 && party->half_open);
    if (company->safety == SECURE)
        all.server_name = SECURED_NAME;
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

/* What the sessions have joined, they have a place in; so have the alarms of the engine itself, for
   descriptors, look-ups and handshakes. */
static void check_heaps(const struct tcpm_engine *engine)
{
    const struct tcpm__list *node = engine->sessions.all.next;
    uint32_t sessions = 0, corking = 0;

    for (; node != &engine->sessions.all; node = node->next, sessions++)
        corking += TCPM__CONTAINER(node, struct tcpm_session, in_engine)->options.cork == 1;
    EXPECT(engine->sessions.corking == corking, "%u cork", engine->sessions.corking);
    EXPECT(engine->admission.turns.members == sessions, "%u turns of %u sessions",
           engine->admission.turns.members, sessions);
    EXPECT(engine->tasks.alarms.members == sessions + engine->tasks.pool.live + 3, "%u members",
           engine->tasks.alarms.members);
    EXPECT(engine->tasks.alarms.count <= engine->tasks.alarms.members, "%u alarms",
           engine->tasks.alarms.count);
}

/* What the engine counts, once no connection is left. */
static void check_engine(const struct company *company)
{
    const struct tcpm_engine *engine = company->stage.engine;

    if (engine == NULL || engine->connections.live > 0)
        return;
    EXPECT(engine->admission.places == 0, "%llu places",
           (unsigned long long) engine->admission.places);
    EXPECT(engine->bytes.held == 0, "%llu bytes held", (unsigned long long) engine->bytes.held);
    CHECK(engine->turn.ready == NULL && engine->delivery.handler_depth == 0 &&
          !engine->tasks.running_posts);
    CHECK(engine->admission.turns.count == 0 && engine->delivery.calling_back == 0 &&
          !engine->delivery.out_lent);
    CHECK(engine->backlog.count == 0 && engine->backlog.chain.first == 0);
    check_heaps(engine);
    CHECK(engine->deadlines.filled[0] == 0 || tcpm__wheel_next(&engine->deadlines) == UINT64_MAX);
    if (engine->tasks.next_posts.first == NULL)
        EXPECT(engine->turn.work == engine->tasks.pool.live + engine->admission.rooms_wanted +
                                        engine->sessions.dying,
               "%llu pieces of work", (unsigned long long) engine->turn.work);
}

void company_close_and_ask(struct company *company, bool *whole, unsigned count)
{
    check_stale(company);
    check_counts(company);
    check_engine(company);
    if (chance_one_in(&company->chance, 4))
        company_close_engine_now(company);
    else
        company_close_engine(company);
    tcpm_tls_free(company->tls);
    stage_finish(&company->stage);
    wild_join(company->wild);
    for (unsigned i = 0; i < company->party_count; i++)
        EXPECT(company->parties[i].session == NULL, "a session has not stopped");
    for (unsigned i = 0; i < company->errand_count; i++)
        EXPECT(company->errands[i].over, "a task was neither run nor dropped");
    for (unsigned i = 0; i < count; i++) {
        const struct wild_link *link = wild_find(company->wild, company->subjects[i]->key);

        whole[i] = link != NULL && link->whole;
    }
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

void company_close(struct company *company)
{
    company_close_and_ask(company, NULL, 0);
}
