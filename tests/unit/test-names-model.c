/* SPDX-License-Identifier: MIT */
/*
 * Names against a plain model: asks, answers in any order, forgetting, time, backends that refuse.
 * After each step every asker has been told what the model says, and nothing else. The names are so
 * few that the window never matters, and have no search list.
 */
#include "names_bench.h"

enum { NAMES = 5, ASKERS = 40, STEPS = 200000, KINDS = 5 /* of queries, see kinds */ };

/* What queries there may be of a name. */
static const struct {
    bool is_call;
    unsigned families;
} kinds[KINDS] = {{false, 1}, {false, 2}, {true, 1}, {true, 2}, {true, 3}};

enum state { NOTHING, WAITING, OUT, KEPT };

/* A query of the model. */
struct entry {
    enum state state;
    uint64_t order; /* of its waiting */
    uint64_t until_ns;
    int code;
    unsigned count, given;
};

/* An asker of the model. */
struct seeker {
    struct told told;
    bool is_used;
    struct entry *waits[4]; /* by families; NULL: no more */
    bool is_told[4];        /* by families: what it must have been told */
    int codes[4];
    unsigned counts[4];
};

static struct bench bench;
static struct entry entries[NAMES][KINDS];
static struct seeker seekers[ASKERS];
static struct randomness random_numbers;
static unsigned calls_out;
static uint64_t last_order;

static unsigned below(unsigned limit)
{
    return (unsigned) random_below(&random_numbers, limit);
}

/* ---- the model ---- */

static unsigned kind_of(bool is_call, unsigned families)
{
    return (is_call ? 2u : 0u) + families - 1;
}

static void expect(struct seeker *seeker, unsigned families, const struct entry *entry)
{
    seeker->is_told[families] = true;
    seeker->codes[families] = entry->code;
    seeker->counts[families] = entry->count;
}

static uint64_t kept_s(int code, uint32_t ttl_s)
{
    if (code == 0)
        return ttl_s < 3600 ? ttl_s : 3600;
    if (code == TCPM_ENOTFOUND || code == -ENODATA)
        return 5;
    return code == -EIO ? 0 : 1;
}

/* An entry has its answer: all who wait are told, and waiting calls begin or fail. */
static void settle(struct entry *entry, unsigned families, uint64_t ttl_ns)
{
    entry->given = 0;
    for (int i = 0; i < ASKERS; i++)
        if (seekers[i].is_used && seekers[i].waits[families] == entry) {
            seekers[i].waits[families] = NULL;
            expect(&seekers[i], families, entry);
            entry->given++;
        }
    entry->state = ttl_ns > 0 ? KEPT : NOTHING;
    entry->until_ns = bench.now_ns + ttl_ns;
}

static struct entry *first_call(unsigned *families)
{
    struct entry *first = NULL;

    for (int i = 0; i < NAMES; i++)
        for (unsigned kind = 2; kind < KINDS; kind++) {
            struct entry *entry = &entries[i][kind];

            if (entry->state != WAITING || (first != NULL && entry->order > first->order))
                continue;
            first = entry;
            *families = kinds[kind].families;
        }
    return first;
}

static void begin_calls(void)
{
    unsigned families = 0;

    for (struct entry *entry; calls_out < 4 && (entry = first_call(&families)) != NULL;) {
        if (bench.refusal < 0) {
            entry->code = bench.refusal;
            entry->count = 0;
            settle(entry, families, 0);
        } else {
            entry->state = OUT;
            calls_out++;
        }
    }
}

/* ---- the steps ---- */

/* What an ask for one query brings in the model: 1: an answer, 0: waiting; or a code. */
static int model_ask(struct seeker *seeker, struct entry *entry, bool is_call, unsigned families)
{
    if (entry->state == KEPT && bench.now_ns < entry->until_ns) {
        expect(seeker, families, entry);
        entry->given++;
        return 1;
    }
    if (entry->state == NOTHING || entry->state == KEPT) {
        entry->state = NOTHING;
        if (is_call && calls_out == 4) {
            entry->state = WAITING;
            entry->order = ++last_order;
        } else if (bench.refusal < 0) {
            return bench.refusal;
        } else {
            entry->state = OUT;
            calls_out += is_call;
        }
    }
    seeker->waits[families] = entry;
    return 0;
}

static void step_ask(struct seeker *seeker)
{
    unsigned name = below(NAMES), families = 1 + below(3);
    bool is_call = below(2) == 0;
    char text[2] = {(char) ('a' + name), '\0'};
    int failure = 0, known = 0;

    bench.refusal = below(8) == 0 ? -EIO : 0;
    *seeker = (struct seeker){.is_used = true};
    for (unsigned part = 2; part >= 1; part--) {
        unsigned wanted = is_call ? families : families & part;

        if (wanted == 0 || (is_call && part == 1))
            continue;
        int result = model_ask(seeker, &entries[name][kind_of(is_call, wanted)], is_call, wanted);

        known += result == 1;
        if (result < 0) {
            failure = result;
            expect(seeker, wanted, &(struct entry){.code = result});
        }
    }
    int result =
        ask_of(&bench, is_call ? &bench.system : &bench.ares, &seeker->told, text, true, families);
    bool has_good = seeker->counts[1] + seeker->counts[2] + seeker->counts[3] > 0;
    bool waits = seeker->waits[1] != NULL || seeker->waits[2] != NULL || seeker->waits[3] != NULL;

    if (failure < 0 && !has_good && !waits) {
        assert_int_equal(result, failure);
        seeker->is_used = false;
    } else {
        assert_int_equal(result, known + (failure < 0));
    }
    bench.refusal = 0;
}

static struct entry *entry_of(const struct tcpm__query *query, bool is_call)
{
    return &entries[query->name[0] - 'a'][kind_of(is_call, query->families)];
}

/* The order of answers is any. */
static void step_answer(void)
{
    static const int codes[] = {
        0, 0, 0, 0, TCPM_ENOTFOUND, -ENODATA, -ETIMEDOUT, TCPM_EREFUSED, TCPM_ESERVFAIL, -EIO};
    unsigned index = below(bench.asked);

    for (unsigned i = 0; i < bench.asked && bench.queries[index] == NULL; i++)
        index = (index + 1) % bench.asked;
    struct tcpm__query *query = bench.queries[index];

    if (query == NULL)
        return;
    bool is_call = bench.is_call[index];
    struct entry *entry = entry_of(query, is_call);
    uint32_t ttl_s = below(4);

    assert_int_equal(entry->state, OUT);
    entry->code = codes[below(COUNT(codes))];
    entry->count = entry->code == 0 ? 1 + below(70) : 0;
    unsigned taken = entry->count < 64 ? entry->count : 64, count = entry->count;

    entry->count = taken;
    calls_out -= is_call;
    settle(entry, query->families, kept_s(entry->code, ttl_s) * S);
    bench.refusal = below(8) == 0 ? -EIO : 0;
    begin_calls();
    if (entry->code == 0)
        answer_good(&bench, index, count, ttl_s);
    else
        answer_bad(&bench, index, entry->code);
    bench.refusal = 0;
}

static void step_forget(struct seeker *seeker)
{
    if (seeker->told.asker != NULL)
        tcpm__names_forget(bench.names, seeker->told.asker);
    seeker->is_used = false;
    for (unsigned families = 1; families < 4; families++) {
        struct entry *entry = seeker->waits[families];
        bool is_wanted = false;

        for (int i = 0; i < ASKERS; i++)
            is_wanted |= seekers[i].is_used && seekers[i].waits[families] == entry;
        if (entry != NULL && entry->state == WAITING && !is_wanted)
            entry->state = NOTHING;
    }
    check(&bench);
}

static void assert_told(struct seeker *seeker)
{
    unsigned times = 0;
    bool is_over = true;

    for (unsigned families = 1; families < 4; families++) {
        is_over &= seeker->waits[families] == NULL;
        if (!seeker->is_told[families])
            continue;
        times++;
        assert_int_equal(seeker->told.codes[families], seeker->codes[families]);
        assert_int_equal(seeker->told.counts[families], seeker->counts[families]);
    }
    assert_int_equal(seeker->told.times, times);
    if (is_over)
        seeker->is_used = false;
}

static void step(void)
{
    struct seeker *seeker = &seekers[below(ASKERS)];
    unsigned what = below(8);

    if (what < 3 && !seeker->is_used)
        step_ask(seeker);
    else if (what < 6 && bench.asked > 0)
        step_answer();
    else if (what == 6 && seeker->is_used)
        step_forget(seeker);
    else
        bench.now_ns += below(4) == 0 ? S : S / 3;
    for (int i = 0; i < ASKERS; i++)
        if (seekers[i].is_used)
            assert_told(&seekers[i]);
    bench_compact(&bench);
}

static void test_any_sequence_tells_what_the_model_tells(void **state)
{
    (void) state;
    bench_open(&bench);
    random_numbers.state = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < STEPS; i++)
        step();
    assert_true(bench_counts(&bench).hits > STEPS / 100);
    bench_close(&bench);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_any_sequence_tells_what_the_model_tells),
};

RUN_TESTS(tests)
