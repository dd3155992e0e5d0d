/* SPDX-License-Identifier: MIT */
/*
 * Handshakes that are cut at each of their bytes, by FIN, by RST, and by silence (REACH T32, T33,
 * T75): of TLS 1.2 and 1.3, at the beginning of a connection and in the middle of its stream. A
 * handshake that lacks a byte never succeeds; it ends in the way in which it was cut, by one event.
 *
 * usage: tls-cuts [STRIDE]; every so manieth byte
 */
#include "secured.h"
#include "subject.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 50, PLAIN_BYTES = 10, SILENCE_MS = 150, PATIENCE_MS = 20000 };

struct severing {
    enum wild_manner manner;
    bool is_1_2, is_later;
    size_t first, stride; /* bytes of the first connection of a batch; and the step to the next */
    uint32_t key;         /* before that of the first connection */
};

static size_t bytes_of(const struct severing *cut, uint32_t key)
{
    return cut->first + (key - cut->key - 1) * cut->stride;
}

static struct wild_plan plan_of(uint32_t key, void *user)
{
    const struct severing *cut = user;

    return (struct wild_plan){cut->manner, 2 * bytes_of(cut, key) + cut->is_1_2};
}

static void go_secure(struct company *company, struct subject *subject, enum event event)
{
    char bytes[PLAIN_BYTES];

    if (company->safety != SECURE_LATER || subject == NULL)
        return;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = wild_byte(subject->key, i);
    if (event == EVENT_SUCCESS)
        CHECK(subject_send(subject, bytes, sizeof bytes) >= 0);
    if (event == EVENT_INPUT && subject->delivered == sizeof bytes)
        CHECK(subject_starttls(subject) == 0);
}

/* True: the client had the whole handshake. */
static bool check(const struct severing *cut, const struct subject *subject, bool whole)
{
    bool stood = cut->is_later ? subject->secured : subject->success;
    enum tcpm_reason fallen = cut->is_later ? TCPM_REASON_ERROR : TCPM_REASON_FAILURE;
    int code = cut->manner == WILD_CUT_FIN ? TCPM_EOF : -ECONNRESET;

    EXPECT(!stood || whole, "%zu bytes are a handshake", bytes_of(cut, subject->key));
    if (cut->manner == WILD_CUT_FIN)
        EXPECT(stood || !whole, "%zu bytes are none", bytes_of(cut, subject->key));
    if (stood)
        return true;
    if (cut->manner == WILD_CUT_SILENCE)
        fallen = TCPM_REASON_TIMEOUT;
    EXPECT(subject->reason == fallen, "%s after %zu bytes", tcpm_reason_name(subject->reason),
           bytes_of(cut, subject->key));
    if (cut->manner != WILD_CUT_SILENCE)
        EXPECT(subject->code == code, "%s after %zu bytes", tcpm_error_name(subject->code),
               bytes_of(cut, subject->key));
    return whole;
}

/* Gives how many of a batch had the whole handshake. */
static unsigned run_batch(struct severing *cut)
{
    int64_t patience_ms = cut->manner == WILD_CUT_SILENCE ? SILENCE_MS : PATIENCE_MS;
    const struct tcpm_session_options options = {.connect_timeout_ms = patience_ms,
                                                 .input_timeout_ms = patience_ms};
    const struct tcpm_connect_options defaults = {0};
    struct company company;
    unsigned whole = 0;
    bool had[BATCH];

    company_open(&company, 1, plan_of, cut);
    cut->key = company.first_key;
    company_secure(&company, cut->is_later ? PLAIN_BYTES : 0);
    company.act = go_secure;
    CHECK(company_open_engine(&company, NULL) == 0);
    struct party *party = company_party(&company, &options);
    for (int i = 0; i < BATCH; i++)
        company_connect(party, &defaults);
    uv_run(&company.stage.loop, UV_RUN_DEFAULT);
    struct subject ended[BATCH];
    for (int i = 0; i < BATCH; i++)
        ended[i] = *company.subjects[i];
    company_close_and_ask(&company, had, BATCH);
    for (int i = 0; i < BATCH; i++)
        whole += check(cut, &ended[i], had[i]);
    return whole;
}

static void run_cuts(enum wild_manner manner, bool is_1_2, bool is_later, size_t stride)
{
    static const char *const ways[] = {"FIN", "RST", "silence"};
    struct severing cut = {
        .manner = manner, .is_1_2 = is_1_2, .is_later = is_later, .stride = stride};
    const char *way = ways[manner - WILD_CUT_FIN];
    unsigned whole = 0, short_ones = 0;

    do {
        torture_note("%s, TLS 1.%d, from byte %zu on", way, is_1_2 ? 2 : 3, cut.first);
        torture_watch(60);
        whole = run_batch(&cut);
        short_ones += BATCH - whole;
        cut.first += BATCH * stride;
    } while (whole < BATCH);
    CHECK(short_ones * stride > 500);
    torture_pass("TLS 1.%d%s: %u handshakes are cut by %s", is_1_2 ? 2 : 3,
                 is_later ? " in the middle of a stream" : "", short_ones, way);
}

#ifdef __SANITIZE_ADDRESS__
enum { STRIDE = 5 }; /* all takes longer */
#else
enum { STRIDE = 1 };
#endif

int main(int argc, char **argv)
{
    size_t stride = argc > 1 ? strtoul(argv[1], NULL, 10) : STRIDE;

    CHECK(stride > 0);
    torture_plan(SECURED_CAN_BE ? 12 : 1);
    if (!SECURED_CAN_BE)
        torture_pass("no connection begins TLS in this build");
    for (int i = 0; i < 12 * SECURED_CAN_BE; i++)
        run_cuts((enum wild_manner)(WILD_CUT_FIN + i / 4), i % 2 == 1, i / 2 % 2 == 1, stride);
    return 0;
}
