/* SPDX-License-Identifier: MIT */
/*
 * The truth about endings. Peers end their connections in all ways there are: FIN, RST, RST behind
 * data, RST because of unread input, urgent data after half a close; clients read, write first,
 * pause or half-close, and their loop sometimes looks only when everything has happened. Each end
 * must be reported as what it was, and no byte before it may be missing.
 *
 * usage: endings [SECONDS [SEED]]
 */
#include "subject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* All that a peer sends before it resets fits into our kernel's buffer, so all of it must come. */
enum { BATCH = 60, MOST_BYTES = 50000 };

enum habit { READS, WRITES, WRITES_ALWAYS, HALF_CLOSES, PAUSES, HABITS };

static uint64_t mix(uint64_t seed, uint32_t key)
{
    struct chance chance = {seed + key};

    return chance_next(&chance);
}

/* What the peer of this address does. */
static struct wild_plan plan_of(uint32_t key, void *user)
{
    static const enum wild_manner manners[] = {WILD_SOURCE, WILD_RESET, WILD_UNREAD, WILD_URGENT,
                                               WILD_FIN_LATE};
    struct chance chance = {mix(*(const uint64_t *) user, key)};
    enum wild_manner manner = manners[chance_below(&chance, 5)];

    return (struct wild_plan){manner, chance_size(&chance, MOST_BYTES) - 1};
}

/* And what its client does; some peers wait for something. */
static enum habit habit_of(uint32_t key, uint64_t seed)
{
    switch (plan_of(key, &seed).manner) {
    case WILD_UNREAD:
        return mix(seed + 1, key) % 2 == 0 ? WRITES : WRITES_ALWAYS;
    case WILD_FIN_LATE:
        return HALF_CLOSES;
    default:
        return (enum habit)(mix(seed + 1, key) % HABITS);
    }
}

static void resume(struct tcpm_session *session, void *user, void *argument)
{
    struct subject *subject = argument;

    (void) session;
    (void) user;
    subject_pause(subject, false);
}

static void pause_for_a_moment(struct subject *subject)
{
    const struct tcpm_task task = {.run = resume, .argument = subject};

    if (subject_pause(subject, true) == 0)
        CHECK(tcpm_delay(subject->party->session, subject->id, 1, task, NULL) == 0);
}

static void act(struct company *company, struct subject *subject, enum event event)
{
    enum habit habit;

    if (event != EVENT_SUCCESS && event != EVENT_INPUT)
        return;
    habit = habit_of(subject->key, *(uint64_t *) company->user);
    if (habit == WRITES_ALWAYS || (habit == WRITES && event == EVENT_SUCCESS))
        subject_send(subject, "whatever", 8);
    if (habit == HALF_CLOSES && event == EVENT_SUCCESS)
        subject_shutdown_output(subject);
    if (habit == PAUSES)
        pause_for_a_moment(subject);
}

/* ---- what must have been reported ---- */

static bool is_reset(const struct subject *subject)
{
    return subject->code == -ECONNRESET || subject->code == -EPIPE;
}

static void check_end(const struct subject *subject, struct wild_plan plan)
{
    EXPECT(subject->delivered == plan.bytes, "manner %d: %llu bytes of %zu, then %s (%s)",
           (int) plan.manner, (unsigned long long) subject->delivered, plan.bytes,
           tcpm_reason_name(subject->reason), tcpm_error_name(subject->code));
    if (plan.manner != WILD_RESET && plan.manner != WILD_UNREAD)
        EXPECT(subject->reason == TCPM_REASON_EOF, "manner %d: %s (%s)", (int) plan.manner,
               tcpm_reason_name(subject->reason), tcpm_error_name(subject->code));
    else if (subject->reason == TCPM_REASON_FAILURE)
        EXPECT(subject->code == -ECONNRESET && plan.bytes == 0, "failure: %s",
               tcpm_error_name(subject->code));
    else
        EXPECT(subject->reason == TCPM_REASON_ERROR && is_reset(subject), "a reset: %s (%s)",
               tcpm_reason_name(subject->reason), tcpm_error_name(subject->code));
}

static void sleep_sometimes(struct chance *chance)
{
    struct timespec time = {0, (long) chance_below(chance, 3000) * 1000};

    if (chance_one_in(chance, 2))
        nanosleep(&time, NULL);
}

static void run_batch(uint64_t seed, unsigned reasons[TCPM_REASON_DIE + 1])
{
    const struct tcpm_session_options options = {.deadline_ms = 20000};
    const struct tcpm_connect_options defaults = {0};
    struct company company;

    company_open(&company, seed, plan_of, &seed);
    company.act = act;
    company.user = &seed;
    CHECK(company_open_engine(&company, NULL) == 0);
    struct party *party = company_party(&company, &options);
    for (int i = 0; i < BATCH; i++) {
        company_connect(party, &defaults);
        if (chance_one_in(&company.chance, 10))
            sleep_sometimes(&company.chance);
        if (chance_one_in(&company.chance, 10))
            uv_run(&company.stage.loop, UV_RUN_NOWAIT);
    }
    sleep_sometimes(&company.chance);
    uv_run(&company.stage.loop, UV_RUN_DEFAULT);
    for (int i = 0; i < BATCH; i++) {
        check_end(company.subjects[i], plan_of(company.subjects[i]->key, &seed));
        reasons[company.subjects[i]->reason]++;
    }
    company_close(&company);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 6;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t) tcpm_now_ns();
    unsigned batches = 0, reasons[TCPM_REASON_DIE + 1] = {0};

    torture_plan(1);
    printf("# seed %llu\n", (unsigned long long) seed);
    for (torture_seconds(); torture_seconds() < seconds || batches == 0; batches++) {
        torture_note("seed %llu", (unsigned long long) (seed + batches));
        torture_watch(60);
        run_batch(seed + batches, reasons);
    }
    CHECK(reasons[TCPM_REASON_EOF] > 0 && reasons[TCPM_REASON_ERROR] > 0);
    torture_pass("%u endings told: %u eof, %u error, %u failure", batches * BATCH,
                 reasons[TCPM_REASON_EOF], reasons[TCPM_REASON_ERROR],
                 reasons[TCPM_REASON_FAILURE]);
    return 0;
}
