/* SPDX-License-Identifier: MIT */
/* See scenarios.h. */
#include "scenarios.h"

#include "secured.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 6 << 20 };

static void connect_once(struct company *company)
{
    const struct tcpm_session_options options = {.input_timeout_ms = company->patience_ms};
    const struct tcpm_connect_options defaults = {0};
    struct party *party = company_party(company, &options);

    if (party != NULL)
        company_connect(party, &defaults);
}

/* Sends, or gives up. The echo of it is checked as if it came from the peer. */
static void send_some(struct subject *subject, size_t length)
{
    char *bytes = malloc(length);

    CHECK(bytes != NULL);
    memset(bytes, 'x', length);
    for (size_t i = 0; i < length && length < 100; i++)
        bytes[i] = wild_byte(subject->key, subject->accepted_length + i);
    if (subject_send(subject, bytes, length) < 0)
        subject_shutdown(subject);
    free(bytes);
}

static void echo_and_shut_down(struct company *company, struct subject *subject, enum event event)
{
    (void) company;
    if (event == EVENT_INITIALIZE)
        send_some(subject, 3);
    if (event == EVENT_SUCCESS)
        send_some(subject, 10);
    if (event == EVENT_INPUT)
        subject_shutdown(subject);
}

static void send_much_and_shut_down(struct company *company, struct subject *subject,
                                    enum event event)
{
    (void) company;
    if (event != EVENT_SUCCESS)
        return;
    send_some(subject, LARGE);
    send_some(subject, 1000);
    subject_shutdown(subject);
}

static void send_much(struct company *company, struct subject *subject, enum event event)
{
    (void) company;
    if (event == EVENT_SUCCESS)
        send_some(subject, LARGE);
}

static void connect_to_silence(struct company *company)
{
    const struct tcpm_session_options options = {.input_timeout_ms = 20};
    const struct tcpm_connect_options defaults = {0};
    struct party *party = company_party(company, &options);

    if (party != NULL)
        company_connect(party, &defaults);
}

static void connect_by_name(struct company *company)
{
    const struct tcpm_session_options options = {.input_timeout_ms = company->patience_ms};
    struct tcpm_connect_options by_name = {.address = "localhost"};
    struct party *party = company_party(company, &options);

    by_name.port = wild_port(company->wild);
    if (party == NULL)
        return;
    company_connect(party, &by_name);
    by_name.bind_address = "127.0.0.1";
    company_connect(party, &by_name);
}

static void shut_down_at_once(struct company *company, struct subject *subject, enum event event)
{
    (void) company;
    if (event == EVENT_SUCCESS)
        subject_shutdown(subject);
}

static void connect_five_in_turn(struct company *company)
{
    const struct tcpm_session_options options = {.max_connections = 2, .connect_rate = 1000};
    const struct tcpm_connect_options defaults = {.bind_address = "127.0.0.1"};
    struct party *party = company_party(company, &options);

    for (int i = 0; i < 5 && party != NULL; i++)
        company_connect(party, &defaults);
}

/* In each session one is open, and others wait at its address; in one of them not all may. */
static void connect_to_one_address(struct company *company)
{
    const struct tcpm_session_options options[] = {{.max_per_address = 1},
                                                   {.max_per_address = 1, .max_connections = 2}};
    struct tcpm_connect_options to = {.port = wild_port(company->wild)};

    for (int i = 0; i < 2; i++) {
        struct party *party = company_party(company, &options[i]);

        for (int j = 0; j < 4 && party != NULL; j++) {
            to.address = j == 2 ? "localhost" : "127.0.0.1";
            company_connect(party, &to);
        }
    }
}

static void set_alarms(struct subject *subject)
{
    struct company *company = subject->company;
    struct tcpm_session *session = subject->party->session;

    for (int i = 0; i < 3; i++) {
        const struct tcpm_id id = {i == 0 ? 0 : subject->id.n};
        if (tcpm_delay(session, id, i, company_errand(company), NULL) < 0)
            company_errand_refused(company);
        if (tcpm_post(session, company_errand(company)) < 0)
            company_errand_refused(company);
    }
    if (tcpm_sig(session, 40, company_errand(company)) < 0)
        company_errand_refused(company);
}

static void set_alarms_and_end(struct company *company, struct subject *subject, enum event event)
{
    const struct tcpm_session_options options = {0};

    if (event == EVENT_SUCCESS) {
        set_alarms(subject);
        subject_fail(subject, -EPROTO);
        company_party(company, &options);
    }
}

static void cut_and_put_back(struct company *company, struct subject *subject, enum event event)
{
    (void) company;
    if (event == EVENT_INITIALIZE && subject_filter(subject, CUT_LINE, true) < 0)
        subject_shutdown(subject);
    if (event != EVENT_INPUT)
        return;
    if (subject->inputs % 50 == 0)
        subject_unread(subject, 30);
    if (subject->inputs % 70 == 0)
        subject_filter(subject, subject->in == CUT_LINE ? CUT_BLOCK : CUT_LINE, true);
    if (subject->inputs % 40 == 0 && subject_pause(subject, true) == 0)
        subject_pause(subject, false);
    if (subject->inputs % 100 == 0)
        subject_send(subject, "so far", 6);
}

/* The last record puts bytes back, pauses, and takes another filter, which is asked again. */
static void finish_and_put_back(struct company *company, struct subject *subject, enum event event)
{
    (void) company;
    if (event == EVENT_INITIALIZE && subject_filter(subject, CUT_LAST, true) < 0)
        subject_shutdown(subject);
    if (event != EVENT_INPUT || subject->inputs > 1)
        return;
    subject_unread(subject, 30);
    subject_filter(subject, CUT_LAST, true);
    if (subject_pause(subject, true) == 0)
        subject_pause(subject, false);
}

static void shut_output_and_wait(struct company *company, struct subject *subject, enum event event)
{
    (void) company;
    if (event != EVENT_SUCCESS)
        return;
    send_some(subject, 3000);
    subject_shutdown_output(subject);
}

static void send_and_wait(struct company *company, struct subject *subject, enum event event)
{
    (void) company;
    if (event == EVENT_SUCCESS)
        send_some(subject, 3000);
}

static void connect_half_open(struct company *company)
{
    const struct tcpm_session_options options = {.input_timeout_ms = company->patience_ms};
    const struct tcpm_connect_options own = {.events = subject_own_events(), .half_open = 1};
    struct party *party = company_party(company, &options);

    if (party != NULL)
        company_connect(party, &own);
}

static void answer_after_eof(struct company *company, struct subject *subject, enum event event)
{
    (void) company;
    if (event != EVENT_EOF)
        return;
    send_some(subject, 2000);
    subject_shutdown(subject);
}

static void connect_corked(struct company *company)
{
    const struct tcpm_session_options options = {.input_timeout_ms = company->patience_ms,
                                                 .cork = 1};
    const struct tcpm_connect_options defaults = {0};
    struct party *party = company_party(company, &options);

    if (party != NULL)
        company_connect(party, &defaults);
}

static void send_pieces(struct company *company, struct subject *subject, enum event event)
{
    (void) company;
    if (event != EVENT_SUCCESS)
        return;
    for (int i = 0; i < 20; i++)
        send_some(subject, 300);
    subject_shutdown(subject);
}

static void take_beat_and_abort(struct company *company, struct subject *subject, enum event event)
{
    if (event == EVENT_SUCCESS) {
        company_beat(company, subject->party->session);
        subject_take(subject, 9000);
    }
    if (event == EVENT_INPUT && subject->inputs > 1)
        subject_abort(subject);
}

const struct scenario *scenarios(size_t *count)
{
    static const struct scenario all[] = {
        {"an echo", {WILD_ECHO, 0}, connect_once, echo_and_shut_down, TCPM_REASON_SHUTDOWN, false},
        {"a large send to a slow reader",
         {WILD_SLOW, 0},
         connect_once,
         send_much_and_shut_down,
         TCPM_REASON_SHUTDOWN,
         true},
        {"an end of input before the queue is empty",
         {WILD_SOURCE, 5000},
         connect_once,
         send_much,
         TCPM_REASON_EOF,
         true},
        {"names",
         {WILD_READER, 0},
         connect_by_name,
         shut_down_at_once,
         TCPM_REASON_SHUTDOWN,
         false},
        {"connects that wait",
         {WILD_READER, 0},
         connect_five_in_turn,
         shut_down_at_once,
         TCPM_REASON_SHUTDOWN,
         false},
        {"connects that wait at an address",
         {WILD_READER, 0},
         connect_to_one_address,
         shut_down_at_once,
         TCPM_REASON_SHUTDOWN,
         false},
        {"alarms and posts",
         {WILD_READER, 0},
         connect_once,
         set_alarms_and_end,
         TCPM_REASON_ERROR,
         false},
        {"records, and what is put back",
         {WILD_SOURCE, 30000},
         connect_once,
         cut_and_put_back,
         TCPM_REASON_EOF,
         false},
        {"a last record, and what is put back",
         {WILD_SOURCE, 30000},
         connect_once,
         finish_and_put_back,
         TCPM_REASON_EOF,
         false},
        {"half a close",
         {WILD_FIN_LATE, 20000},
         connect_once,
         shut_output_and_wait,
         TCPM_REASON_EOF,
         false},
        {"an answer after the end of input",
         {WILD_SOURCE, 3000},
         connect_half_open,
         answer_after_eof,
         TCPM_REASON_EOF,
         false},
        {"corked sends",
         {WILD_READER, 0},
         connect_corked,
         send_pieces,
         TCPM_REASON_SHUTDOWN,
         false},
        {"a beat, an order, and a handler that raises",
         {WILD_SOURCE, 30000},
         connect_once,
         take_beat_and_abort,
         TCPM_REASON_ERROR,
         false},
        {"silence",
         {WILD_READER, 0},
         connect_to_silence,
         send_and_wait,
         TCPM_REASON_TIMEOUT,
         false},
        {"a reset behind input",
         {WILD_RESET, 50000},
         connect_once,
         send_and_wait,
         TCPM_REASON_ERROR,
         false},
    };

    *count = sizeof all / sizeof *all;
    return all;
}

enum { BEFORE = 10 }; /* bytes in plain text each way */

static void connect_to_go_secure(struct company *company)
{
    const struct tcpm_session_options options = {.connect_timeout_ms = company->patience_ms,
                                                 .input_timeout_ms = company->patience_ms};
    const struct tcpm_connect_options defaults = {0};
    struct party *party = company_party(company, &options);

    for (int i = 0; i < 2 && party != NULL; i++)
        company_connect(party, &defaults);
}

static void begin_tls_and_shut_down(struct company *company, struct subject *subject,
                                    enum event event)
{
    (void) company;
    if (event == EVENT_SUCCESS)
        send_some(subject, BEFORE);
    if (event == EVENT_SECURE)
        send_some(subject, BEFORE);
    if (event != EVENT_INPUT)
        return;
    if (subject->delivered == BEFORE && !subject->secured && subject_starttls(subject) < 0)
        subject_shutdown(subject);
    if (subject->delivered == 2 * (uint64_t) BEFORE)
        subject_shutdown(subject);
}

static void begin_tls_and_give_up(struct company *company, struct subject *subject,
                                  enum event event)
{
    (void) company;
    if (event == EVENT_SUCCESS)
        send_some(subject, BEFORE);
    if (event == EVENT_INPUT && subject->delivered == BEFORE) {
        subject_starttls(subject);
        subject_shutdown(subject);
    }
}

static const struct scenario secured[] = {
    {"TLS: an echo", {WILD_ECHO, 0}, connect_once, echo_and_shut_down, TCPM_REASON_SHUTDOWN, false},
    {"TLS: a large send to a slow reader",
     {WILD_SLOW, 0},
     connect_once,
     send_much_and_shut_down,
     TCPM_REASON_SHUTDOWN,
     true},
    {"TLS: handshakes that wait",
     {WILD_READER, 0},
     connect_five_in_turn,
     shut_down_at_once,
     TCPM_REASON_SHUTDOWN,
     false},
    {"TLS: records, and what is put back",
     {WILD_SOURCE, 30000},
     connect_once,
     cut_and_put_back,
     TCPM_REASON_EOF,
     false},
    {"TLS: half a close",
     {WILD_FIN_LATE, 20000},
     connect_once,
     shut_output_and_wait,
     TCPM_REASON_EOF,
     false},
    {"TLS: an answer after the end of input",
     {WILD_SOURCE, 3000},
     connect_half_open,
     answer_after_eof,
     TCPM_REASON_EOF,
     false},
    {"TLS: a reset behind input",
     {WILD_RESET, 50000},
     connect_once,
     send_and_wait,
     TCPM_REASON_ERROR,
     false},
    {"TLS in the middle of a stream",
     {WILD_ECHO, 0},
     connect_to_go_secure,
     begin_tls_and_shut_down,
     TCPM_REASON_SHUTDOWN,
     false},
    {"TLS in the middle of a stream, given up",
     {WILD_ECHO, 0},
     connect_to_go_secure,
     begin_tls_and_give_up,
     TCPM_REASON_SHUTDOWN,
     false},
};

const struct scenario *secured_scenarios(size_t *count)
{
    *count = SECURED_CAN_BE ? sizeof secured / sizeof *secured : 0;
    return secured;
}

static struct wild_plan plan_of(uint32_t key, void *user)
{
    (void) key;
    return ((const struct scenario *) user)->plan;
}

void scenario_open(const struct scenario *scenario, struct company *company, bool undisturbed)
{
    company_open(company, 1, plan_of, (void *) (uintptr_t) scenario);
    company->act = scenario->act;
    company->may_lack_memory = !undisturbed;
    company->patience_ms = undisturbed ? 30000 : 300;
}

void scenario_open_secured(const struct scenario *scenario, struct company *company,
                           bool undisturbed)
{
    scenario_open(scenario, company, undisturbed);
    company_secure(company, scenario->start == connect_to_go_secure ? BEFORE : 0);
}

void scenario_run(const struct scenario *scenario, struct company *company, bool undisturbed)
{
    if (company->stage.engine != NULL)
        scenario->start(company);
    uv_run(&company->stage.loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < company->subject_count && undisturbed; i++)
        EXPECT(company->subjects[i]->reason == scenario->reason, "%s",
               tcpm_reason_name(company->subjects[i]->reason));
}
