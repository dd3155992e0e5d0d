/* SPDX-License-Identifier: MIT */
/*
 * System calls that fail, everywhere: each scenario is run again and again, and in each run another
 * call fails, with another errno. Then all transfers are cut to pieces and interrupted, and every
 * scenario must come to its usual end, to the byte.
 *
 * usage: calls [LIMIT [tls]]; so many places of each call are tried, spread over all that there
 * are; tls: in the scenarios that speak TLS (REACH T65)
 */
#include "scenarios.h"

#include "shim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ERRORS = 3 };

struct failing {
    const char *name;
    int errors[ERRORS];
};

static const struct failing *failing(enum shim_call call)
{
    static const struct failing all[SHIM_CALLS] = {
        [SHIM_SOCKET] = {"socket", {EMFILE, ENOBUFS, EACCES}},
        [SHIM_CONNECT] = {"connect", {ENETUNREACH, EADDRNOTAVAIL, ECONNREFUSED}},
        [SHIM_BIND] = {"bind", {EADDRINUSE, EACCES, EADDRNOTAVAIL}},
        [SHIM_SEND] = {"send", {ECONNRESET, EPIPE, ENOBUFS}},
        [SHIM_RECEIVE] = {"recv", {ECONNRESET, ETIMEDOUT, ENOMEM}},
        [SHIM_DUPLICATE] = {"fcntl", {EMFILE, EINVAL, ENFILE}},
        [SHIM_SETSOCKOPT] = {"setsockopt", {ENOPROTOOPT, EINVAL, ENOMEM}},
        [SHIM_GETSOCKNAME] = {"getsockname", {EINVAL, ENOBUFS, ENOTCONN}},
        [SHIM_IOCTL] = {"ioctl", {EINVAL, ENOTTY, ENOMEM}},
        [SHIM_SHUTDOWN] = {"shutdown", {ENOTCONN, ENOBUFS, EINVAL}},
        [SHIM_POLL] = {"poll", {EINTR, ENOMEM, EINVAL}},
        [SHIM_REGISTER] = {"epoll_ctl", {ENOMEM, ENOSPC, EPERM}},
    };

    return &all[call];
}

/* Whether the scenarios are those of TLS. */
static bool *speak_tls(void)
{
    static bool tls;

    return &tls;
}

/* Gives what was called, and how often. */
static struct shim run_once(const struct scenario *scenario, const struct shim *plan)
{
    struct company company;
    bool undisturbed = plan->fail_at == 0;
    struct shim result;

    torture_watch(60);
    if (*speak_tls())
        scenario_open_secured(scenario, &company, undisturbed);
    else
        scenario_open(scenario, &company, undisturbed);
    company.may_lie = !undisturbed;
    *shim() = *plan;
    shim()->active = true;
    EXPECT(company_open_engine(&company, NULL) == 0 || !undisturbed, "no engine");
    scenario_run(scenario, &company, undisturbed);
    result = *shim();
    shim()->active = false;
    company_close(&company);
    return result;
}

/* The first ones, then larger and larger steps. */
static uint64_t next_place(uint64_t at, uint64_t limit)
{
    return at < limit / 2 ? at + 1 : at + 1 + at / 4;
}

static unsigned torture(const struct scenario *scenario, enum shim_call call, uint64_t limit)
{
    struct shim plan = {.call = call};
    uint64_t count = run_once(scenario, &plan).counts[call];
    unsigned runs = 0;

    for (plan.fail_at = 1; plan.fail_at <= count; plan.fail_at = next_place(plan.fail_at, limit))
        for (int i = 0; i <= ERRORS; i++, runs++) {
            plan.fail_on = i == ERRORS;
            plan.error = failing(call)->errors[i % ERRORS];
            torture_note("%s: %s number %llu fails with %s%s", scenario->name, failing(call)->name,
                         (unsigned long long) plan.fail_at, tcpm_error_name(-plan.error),
                         plan.fail_on ? ", and ever after" : "");
            run_once(scenario, &plan);
        }
    return runs;
}

static void torture_call(enum shim_call call, uint64_t limit)
{
    size_t count;
    const struct scenario *all = *speak_tls() ? secured_scenarios(&count) : scenarios(&count);
    unsigned runs = 0;

    for (size_t i = 0; i < count; i++) {
        torture_note("%s, undisturbed", all[i].name);
        runs += torture(&all[i], call, limit);
    }
    torture_pass("%s fails, %u times", failing(call)->name, runs);
}

static void cut_transfers(size_t cut, unsigned again_every, unsigned interrupt_every)
{
    const struct shim plan = {
        .cut = cut, .again_every = again_every, .interrupt_every = interrupt_every};
    size_t count;
    const struct scenario *all = *speak_tls() ? secured_scenarios(&count) : scenarios(&count);

    for (size_t i = 0; i < count; i++) {
        torture_note("%s: cut to %zu bytes, EAGAIN every %u, EINTR every %u", all[i].name, cut,
                     again_every, interrupt_every);
        if (cut >= 1000 || !all[i].large)
            run_once(&all[i], &plan);
    }
    torture_pass("cut to %zu bytes, EAGAIN every %u, EINTR every %u", cut, again_every,
                 interrupt_every);
}

static void connect_four(struct company *company)
{
    const struct tcpm_session_options options = {0};
    const struct tcpm_connect_options defaults = {0};
    struct party *party = company_party(company, &options);

    for (int i = 0; i < 4; i++)
        company_connect(party, &defaults);
}

static void shut_down_at_once(struct company *company, struct subject *subject, enum event event)
{
    (void) company;
    if (event == EVENT_SUCCESS)
        subject_shutdown(subject);
}

/* With others of ours open, a connect that gets no descriptor waits for one of theirs. */
static void lack_descriptors(void)
{
    const struct scenario scenario = {"four at once",    {WILD_READER, 0},     connect_four,
                                      shut_down_at_once, TCPM_REASON_SHUTDOWN, 0};
    struct shim plan = {.call = SHIM_SOCKET};

    for (plan.fail_at = 2; plan.fail_at <= 4; plan.fail_at++) {
        struct company company;

        plan.error = plan.fail_at % 2 == 0 ? EMFILE : ENFILE;
        torture_note("out of descriptors at number %d", (int) plan.fail_at);
        torture_watch(60);
        scenario_open(&scenario, &company, true);
        *shim() = plan;
        shim()->active = true;
        CHECK(company_open_engine(&company, NULL) == 0);
        scenario_run(&scenario, &company, true);
        CHECK(shim()->counts[SHIM_SOCKET] == company.subject_count + 1);
        shim()->active = false;
        company_close(&company);
    }
    torture_pass("a connect without a descriptor waits for one of ours");
}

int main(int argc, char **argv)
{
    uint64_t limit = argc > 1 ? strtoull(argv[1], NULL, 10) : 4;

    *speak_tls() = argc > 2;
    torture_plan(SHIM_CALLS + 6);
    lack_descriptors();
    cut_transfers(1, 0, 0);
    cut_transfers(1, 2, 3);
    cut_transfers(7, 0, 2);
    cut_transfers(1000, 3, 0);
    cut_transfers(100000, 2, 5);
    for (int call = 0; call < SHIM_CALLS; call++)
        torture_call((enum shim_call) call, limit);
    return 0;
}
