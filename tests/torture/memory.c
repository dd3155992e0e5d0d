/*
 * Out of memory, everywhere: each scenario is run again and again, and in each run another request
 * for memory fails, alone or with all that follow it. First the engine's own requests, then those
 * of libuv. Whatever happens, the checks of subject.h hold, and nothing is left.
 *
 * usage: memory [STRIDE]; every so manieth request fails, from the first on; 1: each of them
 */
#include "subject.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 6 << 20 };

struct scenario {
    const char *name;
    struct wild_plan plan; /* of the peer */
    void (*start)(struct company *company);
    void (*act)(struct company *company, struct subject *subject, enum event event);
    enum tcpm_reason reason; /* of all connections, when memory suffices */
};

/* ---- scenarios ---- */

static void connect_once(struct company *company)
{
    const struct tcpm_session_options options = {.input_timeout_ms = 3000};
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

static void connect_by_name(struct company *company)
{
    const struct tcpm_session_options options = {.input_timeout_ms = 3000};
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

static const struct scenario *scenarios(size_t *count)
{
    static const struct scenario all[] = {
        {"an echo", {WILD_ECHO, 0}, connect_once, echo_and_shut_down, TCPM_REASON_SHUTDOWN},
        {"a large send to a slow reader",
         {WILD_SLOW, 0},
         connect_once,
         send_much_and_shut_down,
         TCPM_REASON_SHUTDOWN},
        {"an end of input before the queue is empty",
         {WILD_SOURCE, 5000},
         connect_once,
         send_much,
         TCPM_REASON_EOF},
        {"names", {WILD_READER, 0}, connect_by_name, shut_down_at_once, TCPM_REASON_SHUTDOWN},
        {"connects that wait",
         {WILD_READER, 0},
         connect_five_in_turn,
         shut_down_at_once,
         TCPM_REASON_SHUTDOWN},
        {"alarms and posts", {WILD_READER, 0}, connect_once, set_alarms_and_end, TCPM_REASON_ERROR},
        {"records, and what is put back",
         {WILD_SOURCE, 30000},
         connect_once,
         cut_and_put_back,
         TCPM_REASON_EOF},
    };

    *count = sizeof all / sizeof *all;
    return all;
}

/* ---- libuv's memory ---- */

static struct memory *uv_memory(void)
{
    static struct memory memory;

    return &memory;
}

static bool uv_may_have(void)
{
    struct memory *memory = uv_memory();
    uint64_t number = ++memory->requests;

    if (memory->fail_at == 0 || number < memory->fail_at)
        return true;
    memory->failed++;
    return number > memory->fail_at && !memory->fail_on;
}

static void *uv_malloc(size_t size)
{
    return uv_may_have() ? malloc(size) : NULL;
}

static void *uv_realloc(void *block, size_t size)
{
    return uv_may_have() ? realloc(block, size) : NULL;
}

static void *uv_calloc(size_t count, size_t size)
{
    return uv_may_have() ? calloc(count, size) : NULL;
}

/* ---- runs ---- */

static struct wild_plan plan_of(uint32_t key, void *user)
{
    (void) key;
    return ((const struct scenario *) user)->plan;
}

/* Once; memory is the one that fails, the engine's if NULL. Gives the requests made of it. */
static uint64_t run_once(const struct scenario *scenario, struct memory *memory, uint64_t fail_at,
                         bool fail_on)
{
    struct company company;
    uint64_t requests;

    torture_note("%s: %srequest %llu fails%s", scenario->name, memory == NULL ? "" : "libuv's ",
                 (unsigned long long) fail_at, fail_on ? ", and all after it" : "");
    torture_watch(60);
    company_open(&company, 1, plan_of, (void *) (uintptr_t) scenario);
    company.may_lack_memory = fail_at != 0;
    company.act = scenario->act;
    if (memory == NULL)
        company.stage.memory = (struct memory){.fail_at = fail_at, .fail_on = fail_on};
    int result = company_open_engine(&company, NULL);
    if (memory != NULL)
        *memory = (struct memory){.fail_at = fail_at, .fail_on = fail_on};
    EXPECT(result == 0 || (result == -ENOMEM && fail_at != 0), "engine: %d", result);
    if (result == 0)
        scenario->start(&company);
    uv_run(&company.stage.loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < company.subject_count && fail_at == 0; i++)
        EXPECT(company.subjects[i]->reason == scenario->reason, "%s",
               tcpm_reason_name(company.subjects[i]->reason));
    requests = memory == NULL ? company.stage.memory.requests : memory->requests;
    if (memory != NULL)
        *memory = (struct memory){0};
    company_close(&company);
    return requests;
}

static void torture(const struct scenario *scenario, struct memory *memory, uint64_t stride)
{
    uint64_t requests = run_once(scenario, memory, 0, false), runs = 0;

    for (uint64_t at = 1; at <= requests; at += stride, runs++) {
        run_once(scenario, memory, at, false);
        run_once(scenario, memory, at, true);
    }
    torture_pass("%s: %llu requests%s, %llu failed, alone and with all that follow", scenario->name,
                 (unsigned long long) requests, memory == NULL ? "" : " of libuv",
                 (unsigned long long) runs);
}

int main(int argc, char **argv)
{
    uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    size_t count;
    const struct scenario *all = scenarios(&count);

    CHECK(stride > 0);
    CHECK(uv_replace_allocator(uv_malloc, uv_realloc, uv_calloc, free) == 0);
    torture_plan(2 * (int) count);
    for (size_t i = 0; i < count; i++)
        torture(&all[i], NULL, stride);
    for (size_t i = 0; i < count; i++)
        torture(&all[i], uv_memory(), stride);
    return 0;
}
