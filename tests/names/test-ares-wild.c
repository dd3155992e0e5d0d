/* SPDX-License-Identifier: MIT */
/*
 * Questions to servers that answer in any way and order, late, twice, wrongly or never, while
 * servers go and come and are configured anew: each question gets one answer, none after a close.
 * The labels of names are drawn at random. TCPM_SEED and TCPM_ROUNDS repeat a run.
 */
#include "bed.h"

#include <errno.h>

#include "tcpmulti.h"

enum {
    ROUNDS = 6,
    QUESTIONS = 200, /* of a round */
    MOST_LABELS = 4,
    MOST_NAME = 128,
};

/* xorshift64*; not 0 */
static uint64_t seed;

static unsigned draw(unsigned limit)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (unsigned) ((seed * UINT64_C(0x2545F4914F6CDD1D) >> 33) % limit);
}

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void make_name(unsigned number, char ret[MOST_NAME])
{
    static const char *const labels[] = {
        "a-1",        "a-1",       "a-30",        "aaaa-2",       "nx",       "nodata",
        "servfail",   "refused",   "formerr",     "silent",       "delay-20", "delay-150",
        "jitter-100", "twice",     "junk-5",      "empty-1",      "header-1", "badid-5",
        "truncate",   "tcp-nx",    "tcp-silent",  "udp-truncate", "hangup",   "first-silent",
        "s1-silent",  "s2-silent", "s1-refused",  "s2-servfail",  "loop",     "cname-3",
        "a-2000",     "aaaa-9",    "s2-delay-90", "later-nx",
    };
    int length = snprintf(ret, MOST_NAME, "t%u.", number);

    for (unsigned i = draw(MOST_LABELS); i < MOST_LABELS; i++)
        length += snprintf(ret + length, (size_t) (MOST_NAME - length), "%s.",
                           labels[draw(sizeof labels / sizeof *labels)]);
    snprintf(ret + length, (size_t) (MOST_NAME - length), "test");
}

static void check_answer(const struct asked *asked)
{
    static const int codes[] = {
        0, TCPM_ENOTFOUND, -ENODATA, TCPM_ESERVFAIL, TCPM_EREFUSED, TCPM_EBADRESP, -ETIMEDOUT};

    assert_int_equal(asked->over, 1);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (asked->code == codes[i])
            return;
    fail_msg("%s: %s", asked->query.name, tcpm_error_name(asked->code));
}

static void toggle_server(struct bed *bed)
{
    unsigned server = draw(BED_SERVERS);

    if (bed->servers[server] != NULL)
        bed_stop(bed, server);
    else
        bed_start(bed, server, draw(4) == 0);
}

static void do_something(struct bed *bed)
{
    unsigned from = draw(BED_SERVERS);

    switch (draw(40)) {
    case 0:
        toggle_server(bed);
        break;
    case 1:
        bed_configure(bed, from, 1 + draw(BED_SERVERS - from), 20 + draw(40));
        break;
    default:
        if (draw(2) == 0)
            bed_turn(bed);
    }
}

/* Waits for all questions, or closes among them. */
static void play(bool closes)
{
    static struct asked asked[QUESTIONS];
    static char names[QUESTIONS][MOST_NAME];
    struct bed bed;

    bed_open(&bed, BED_SERVERS, NULL);
    bed_configure(&bed, 0, BED_SERVERS, 30);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        make_name(i, names[i]);
        assert_int_equal(bed_ask(&bed, names[i], draw(2) ? AF_INET : AF_INET6, &asked[i]), 0);
        do_something(&bed);
    }
    if (!closes)
        bed_wait(&bed, asked, QUESTIONS);
    bed_close(&bed);
    for (unsigned i = 0; i < QUESTIONS; i++)
        if (!closes || asked[i].over > 0)
            check_answer(&asked[i]);
}

static void test_each_question_gets_one_answer(void **state)
{
    uint64_t rounds = number_of("TCPM_ROUNDS", ROUNDS);

    (void) state;
    seed = number_of("TCPM_SEED", tcpm__clock_ns() | 1);
    for (uint64_t i = 0; i < rounds; i++) {
        print_message("# round %u, TCPM_SEED=%llu\n", (unsigned) i, (unsigned long long) seed);
        play(i % 3 == 2);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_each_question_gets_one_answer),
};

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
