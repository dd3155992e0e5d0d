/* SPDX-License-Identifier: MIT */
/*
 * Endless sequences of calls. Each round makes an engine, sessions and connections to a peer that
 * does what it likes, in a third of the rounds over TLS, and then calls everything there is to
 * call, in any order, from outside and from inside every handler, on connections in any state and
 * on some that are long gone.
 *
 * usage: operations [SECONDS [SEED [trace]]]; 0 seconds: one round
 */
#include "scarcity.h"
#include "secured.h"
#include "subject.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTED_LIMIT = 4 << 20 };

static struct subject *some_subject(struct company *company)
{
    if (company->subject_count == 0)
        return NULL;
    return company->subjects[chance_below(&company->chance, company->subject_count)];
}

/* One whose calls have a session to go to, and that has an id. */
static bool is_callable(const struct subject *subject)
{
    return subject != NULL && subject->party->session != NULL && subject->id.n != 0;
}

/* ---- making ---- */

static int64_t some_time(struct chance *chance, int64_t most)
{
    if (chance_one_in(chance, 4))
        return TCPM_NONE;
    return 1 + (int64_t) chance_below(chance, (unsigned) most);
}

static void make_party(struct company *company)
{
    struct chance *chance = &company->chance;
    struct tcpm_session_options options = {.deadline_ms = 1 + chance_below(chance, 80)};

    if (company->party_count == PARTIES || company->engine_closed)
        return;
    options.connect_timeout_ms = some_time(chance, 40);
    options.input_timeout_ms = some_time(chance, 40);
    options.shutdown_timeout_ms = some_time(chance, 40);
    options.max_connections = chance_one_in(chance, 3) ? 1 + chance_below(chance, 4) : 0;
    options.max_per_address = chance_one_in(chance, 3) ? 1 + chance_below(chance, 4) : 0;
    options.connect_rate = chance_one_in(chance, 3) ? 100 + chance_below(chance, 900) : 0;
    options.high_mark = chance_one_in(chance, 2) ? 1 + chance_below(chance, 100000) : 0;
    options.low_mark = chance_one_in(chance, 2) ? 1 + chance_below(chance, 10000) : 0;
    options.max_queued = chance_one_in(chance, 3) ? 1 + chance_below(chance, 300000) : 0;
    options.domain = chance_one_in(chance, 4) ? 4 : 0;
    options.cork = chance_one_in(chance, 3);
    if (options.connect_rate == 0 && chance_one_in(chance, 4))
        options.connect_interval_ns = 1 + chance_below(chance, 3000000);
    options.half_open = chance_one_in(chance, 3);
    company_party(company, &options);
}

static struct party *some_party(struct company *company)
{
    struct party *party = &company->parties[chance_below(&company->chance, PARTIES)];

    return party < company->parties + company->party_count && party->session != NULL ? party : NULL;
}

/* Mostly the wild peer; else a port nobody listens on, a name, IPv6, or what cannot be. */
static void make_subject_somewhere(struct company *company)
{
    static const char *const elsewhere[] = {"localhost", "::1", "127.0.0.1", "fe80::1%lo"};
    struct chance *chance = &company->chance;
    struct tcpm_connect_options options = {.port = 1};
    struct party *party = some_party(company);

    if (party == NULL || company->subject_count == SUBJECTS)
        return;
    if (chance_one_in(chance, 8))
        options.address = elsewhere[chance_below(chance, 4)];
    if (chance_one_in(chance, 3))
        options.bind_address = "127.9.8.7";
    if (chance_one_in(chance, 3))
        options.deadline_ms = 1 + chance_below(chance, 100);
    if (chance_one_in(chance, 3))
        options.input_timeout_ms = some_time(chance, 30);
    if (chance_one_in(chance, 4))
        options.events = subject_own_events();
    if ((options.events != NULL || party->tells_eof) && chance_one_in(chance, 3))
        options.half_open = chance_one_in(chance, 2) ? 1 : TCPM_NONE;
    if (chance_one_in(chance, 30))
        options.refused = "we do not like it";
    company_connect(party, &options);
}

/* ---- calls on a subject ---- */

static void send_something(struct subject *subject, size_t largest)
{
    struct chance *chance = &subject->company->chance;
    size_t length = chance_one_in(chance, 20) ? 0 : chance_size(chance, largest);
    char *bytes;

    if (subject->accepted_length + length > ACCEPTED_LIMIT)
        return;
    bytes = malloc(length + 1);
    CHECK(bytes != NULL);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char) ('A' + (i * 7 + length) % 26);
    subject_send(subject, bytes, length);
    free(bytes);
}

static void set_times(struct subject *subject)
{
    struct chance *chance = &subject->company->chance;

    if (chance_one_in(chance, 2))
        subject_timeout(subject, chance_below(chance, 50));
    else
        subject_deadline(subject, 1 + chance_below(chance, 50));
}

static void ask_for_facts(struct subject *subject)
{
    struct tcpm_session *session = subject->party->session;
    struct tcpm_info info = {.size = sizeof info};
    struct tcpm_stats stats = {.size = sizeof stats};
    struct tcpm_endpoints endpoints = {.size = sizeof endpoints};
    bool known = subject->last != EVENT_NONE && !subject->ended;
    void *heap = NULL;

    CHECK(tcpm_stats_get(session, &stats) == 0);
    if (!known)
        return;
    CHECK(tcpm_info_get(session, subject->id, &info) == 0);
    CHECK(tcpm_heap_set(session, subject->id, subject) == 0);
    CHECK(tcpm_heap_get(session, subject->id, &heap) == 0 && heap == subject);
    CHECK(tcpm_endpoints_get(session, subject->id, &endpoints) == 0);
    EXPECT((endpoints.peer[0] != '\0') == subject->success, "peer %s", endpoints.peer);
    EXPECT(info.sent + info.queued == subject->accepted_length, "%llu + %llu of %zu",
           (unsigned long long) info.sent, (unsigned long long) info.queued,
           subject->accepted_length);
    EXPECT(stats.queued >= info.queued || info.cause.code == -ENOMEM, "queued in all: less");
}

static void delay_for(struct subject *subject)
{
    struct company *company = subject->company;
    struct tcpm_task task = company_errand(company);
    struct tcpm_session *session = subject->party->session;
    struct tcpm_alarm alarm = {0};
    struct tcpm_id id = chance_one_in(&company->chance, 2) ? subject->id : (struct tcpm_id){0};

    if (task.run == NULL)
        return;
    if (tcpm_delay_ns(session, id, chance_below(&company->chance, 20000000), task, &alarm) < 0) {
        company_errand_refused(company);
        return;
    }
    if (chance_one_in(&company->chance, 4))
        CHECK(tcpm_delay_adjust(session, alarm, chance_below(&company->chance, 20)) == 0);
    if (chance_one_in(&company->chance, 4)) {
        CHECK(tcpm_alarm_remove(session, alarm) == 0);
        CHECK(tcpm_alarm_remove(session, alarm) == -ESTALE);
    }
}

static void post_for(struct subject *subject)
{
    struct tcpm_task task = company_errand(subject->company);

    if (task.run != NULL && tcpm_post(subject->party->session, task) < 0)
        company_errand_refused(subject->company);
}

static void watch_signal(struct subject *subject)
{
    struct company *company = subject->company;
    struct tcpm_task task = company_errand(company);

    if (task.run != NULL && tcpm_sig(subject->party->session, 40, task) < 0)
        company_errand_refused(company);
    else if (chance_one_in(&company->chance, 2))
        tcpm_sig(subject->party->session, 40, (struct tcpm_task){0});
}

static enum cut some_cut(struct chance *chance)
{
    return chance_one_in(chance, 10) ? CUT_SHORT : (enum cut) chance_below(chance, CUT_SHORT);
}

/* Rarely, so that most connections have a life before. */
static void end_somehow(struct subject *subject)
{
    struct chance *chance = &subject->company->chance;

    switch (chance_below(chance, 6)) {
    case 0:
        if (!subject->company->dropping)
            subject_abort(subject);
        break;
    case 1:
        subject_fail(subject, -EPROTO);
        break;
    case 2:
        subject_fail_as(subject, TCPM_OP_READ, -EPROTO);
        break;
    default:
        break;
    }
}

static void take_some(struct subject *subject)
{
    struct chance *chance = &subject->company->chance;

    if (chance_one_in(chance, 8))
        subject_take(subject, TCPM_NONE);
    else
        subject_take(subject, chance_below(chance, chance_one_in(chance, 8) ? 100000 : 50));
}

static void call_on(struct subject *subject)
{
    struct chance *chance = &subject->company->chance;

    switch (chance_below(chance, 44)) {
    case 0:
        subject_shutdown(subject);
        break;
    case 1:
        subject_shutdown_output(subject);
        break;
    case 2:
        if (chance_one_in(chance, 2))
            subject_reset(subject);
        break;
    case 3:
        end_somehow(subject);
        break;
    case 4:
    case 5:
        subject_pause(subject, true);
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        subject_pause(subject, false);
        break;
    case 10:
    case 11:
        set_times(subject);
        break;
    case 12:
    case 13:
    case 14:
        subject_filter(subject, some_cut(chance), chance_one_in(chance, 3));
        break;
    case 15:
    case 16:
        if (subject->key != 0)
            subject_unread(subject, chance_below(chance, 40));
        break;
    case 17:
    case 18:
        post_for(subject);
        break;
    case 19:
    case 20:
        delay_for(subject);
        break;
    case 21:
        watch_signal(subject);
        break;
    case 22:
    case 23:
    case 24:
        ask_for_facts(subject);
        break;
    case 25:
        send_something(subject, 2 << 20);
        break;
    case 26:
    case 27:
        take_some(subject);
        break;
    case 28:
        company_beat(subject->company, subject->party->session);
        break;
    case 29:
    case 30:
        subject_next(subject);
        break;
    default:
        send_something(subject, 30000);
        break;
    }
}

/* ---- one step of a round ---- */

static void walk_all(struct company *company)
{
    struct party *party = some_party(company);
    struct tcpm_id id = {0};
    unsigned count = 0;

    if (party == NULL)
        return;
    while ((id = tcpm_next(party->session, id)).n != 0)
        EXPECT(++count <= SUBJECTS, "tcpm_next goes round in circles");
    tcpm_has_room(party->session);
}

static void act_once(struct company *company)
{
    struct chance *chance = &company->chance;
    struct subject *subject = some_subject(company);
    struct party *party = some_party(company);

    switch (chance_below(chance, 50)) {
    case 0:
        make_party(company);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        make_subject_somewhere(company);
        break;
    case 5:
        walk_all(company);
        scarcity()->out = scarcity()->may_come && chance_one_in(chance, 4);
        break;
    case 6:
        if (party != NULL && chance_one_in(chance, 6))
            party_die(party);
        break;
    case 7:
        if (chance_one_in(chance, 60))
            company_close_engine(company);
        else if (chance_one_in(chance, 60))
            company_close_engine_now(company);
        break;
    case 8:
        if (is_callable(subject) && company->safety == SECURE)
            subject_starttls(subject); /* refused */
        break;
    default:
        if (is_callable(subject))
            call_on(subject);
        break;
    }
}

/* In handlers: mostly nothing, often on the connection at hand. */
static void act_inside(struct company *company, struct subject *subject, enum event event)
{
    struct chance *chance = &company->chance;

    if (event == EVENT_SUCCESS && chance_one_in(chance, 2))
        send_something(subject, 100000);
    while (chance_one_in(chance, 3))
        if (subject != NULL && is_callable(subject) && chance_one_in(chance, 2))
            call_on(subject);
        else
            act_once(company);
}

static bool anything_live(const struct company *company)
{
    for (unsigned i = 0; i < company->subject_count; i++)
        if (!company->subjects[i]->ended)
            return true;
    return false;
}

static void print_line(const char *line, void *user)
{
    (void) user;
    printf("# %s\n", line);
}

/* Steps from outside, with turns of the loop between them; then, mostly, to the natural end. */
static void run_round(uint64_t seed, bool trace, bool last)
{
    struct company company;
    struct tcpm_engine_options options = {.trace = trace ? print_line : NULL};

    company_open(&company, seed, NULL, NULL);
    if (SECURED_CAN_BE && chance_one_in(&company.chance, 3))
        company_secure(&company, 0);
    company.may_lack_memory = true; /* ENOBUFS: max_queued and max_memory */
    company.counts_all = true;
    company.small_buffers = chance_one_in(&company.chance, 2);
    if (company.small_buffers)
        wild_shrink(company.wild);
    if (chance_one_in(&company.chance, 3))
        options.max_connections = 1 + chance_below(&company.chance, 6);
    if (chance_one_in(&company.chance, 6))
        options.max_memory = 1 + chance_below(&company.chance, 400000);
    CHECK(company_open_engine(&company, &options) == 0);
    company.act = act_inside;
    scarcity()->may_come = true;
    if (last)
        company.stage.descriptors -= close(STDIN_FILENO) == 0; /* a socket may get number 0 */
    make_party(&company);
    for (unsigned steps = 20 + chance_below(&company.chance, 300); steps > 0; steps--) {
        act_once(&company);
        if (chance_one_in(&company.chance, 4))
            uv_run(&company.stage.loop, UV_RUN_NOWAIT);
        if (chance_one_in(&company.chance, 40) && anything_live(&company))
            uv_run(&company.stage.loop, UV_RUN_ONCE);
    }
    *scarcity() = (struct scarcity){.may_come = false}; /* what waits shall not wait for ever */
    if (!chance_one_in(&company.chance, 8))
        uv_run(&company.stage.loop, UV_RUN_DEFAULT);
    company_close(&company);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 8;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t) tcpm_now_ns();
    unsigned rounds = 0;

    torture_plan(1);
    printf("# seed %llu\n", (unsigned long long) seed);
    for (torture_seconds(); torture_seconds() < seconds || rounds == 0; rounds++) {
        torture_note("seed %llu", (unsigned long long) (seed + rounds));
        torture_watch(30);
        run_round(seed + rounds, argc > 3, false);
    }
    run_round(seed + rounds, argc > 3, true);
    torture_pass("%u rounds of calls in any order", rounds);
    return 0;
}
