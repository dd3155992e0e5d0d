/* SPDX-License-Identifier: MIT */
/*
 * Names: any sequence of asks, answers, forgetting, time and configuration, also from inside of an
 * answer. Each asker is told of each family once at most, never after it was forgotten; and when
 * all queries have been answered, nobody waits any more.
 */
#include "fuzz.h"

#include <errno.h>

#include "tcpmulti.h"
#include "transport/names.h"
#include "transport/order.h"
#include "transport/resolv_conf.h"

enum { ASKERS = 24, MOST_QUERIES = 64, MOST_DEPTH = 3 };

#define MS UINT64_C(1000000)

struct stage;

struct fuzz_asker {
    struct stage *stage;
    struct tcpm__asker *asker; /* NULL: told of all, forgotten, or not used */
    unsigned asked, told;      /* families */
};

struct fuzz_backend {
    struct tcpm__backend backend;
    struct stage *stage;
};

struct stage {
    struct tcpm__names *names;
    struct fuzz_input input;
    uint64_t now_ns;
    struct fuzz_backend backends[2];
    struct fuzz_asker askers[ASKERS];
    struct tcpm__query *queries[MOST_QUERIES]; /* that are out */
    size_t out;
    int refusal;
    unsigned depth; /* of asks from inside of answers */
};

static const char *const names_asked[] = {"a", "b", "a.x", "b.x", "c.d.e", "long-name.example.org"};

/* ---- the backend ---- */

static int on_ask(struct tcpm__backend *backend, struct tcpm__query *query)
{
    struct stage *stage = ((struct fuzz_backend *) backend)->stage;

    if (stage->out == MOST_QUERIES)
        return -EMFILE;
    if (stage->refusal < 0)
        return stage->refusal;
    FUZZ_CHECK(query->families >= 1 && query->families <= TCPM__ANY_FAMILY);
    FUZZ_CHECK(backend->kind->both_families || query->families != TCPM__ANY_FAMILY);
    stage->queries[stage->out++] = query;
    return 0;
}

static const struct tcpm__backend_kind kinds[2] = {
    {.name = "single", .ask = on_ask},
    {.name = "both", .both_families = true, .ask = on_ask},
};

/* ---- askers ---- */

static void note(struct fuzz_asker *asker, const struct tcpm__answer *answer)
{
    FUZZ_CHECK(answer->families != 0 && (answer->families & ~asker->asked) == 0);
    FUZZ_CHECK((answer->families & asker->told) == 0);
    FUZZ_CHECK(answer->code <= 0 && (answer->code == 0) == (answer->count > 0));
    FUZZ_CHECK(answer->count <= TCPM__MOST_ADDRESSES);
    for (size_t i = 0; i < answer->count; i++)
        FUZZ_CHECK(answer->addresses[i].any.sa_family == AF_INET);
    asker->told |= answer->families;
    if (asker->told == asker->asked)
        asker->asker = NULL;
}

static void ask_or_forget(struct stage *stage);

static void on_done(void *owner, const struct tcpm__answer *answer)
{
    struct fuzz_asker *asker = owner;
    struct stage *stage = asker->stage;

    FUZZ_CHECK(asker->asker != NULL);
    note(asker, answer);
    if (stage->depth < MOST_DEPTH && fuzz_byte(&stage->input) % 4 == 1) {
        stage->depth++;
        ask_or_forget(stage);
        stage->depth--;
    }
}

static void on_begun(void *owner)
{
    struct fuzz_asker *asker = owner;

    FUZZ_CHECK(asker->asker != NULL && tcpm__asker_has_begun(asker->asker));
}

static void ask(struct stage *stage, struct fuzz_asker *asker)
{
    struct tcpm__answer known[2];
    unsigned choice = fuzz_byte(&stage->input);
    struct tcpm__ask ask = {
        .name = names_asked[fuzz_byte(&stage->input) % 6],
        .absolute = choice & 1,
        .families = 1 + (choice >> 1) % 3,
        .backend = &stage->backends[choice >> 6 & 1].backend,
        .done = on_done,
        .begun = choice & 128 ? on_begun : NULL,
        .owner = asker,
    };

    *asker = (struct fuzz_asker){.stage = stage, .asked = ask.families};
    int count = tcpm__names_ask(stage->names, &ask, stage->now_ns, known, &asker->asker);
    struct tcpm__asker *made = asker->asker;

    FUZZ_CHECK(count >= 0 || (made == NULL && (count == -ENOMEM || count == -EMFILE)));
    for (int i = 0; i < count; i++)
        note(asker, &known[i]);
    FUZZ_CHECK(count < 0 || (made == NULL) == (asker->told == asker->asked));
}

static void ask_or_forget(struct stage *stage)
{
    struct fuzz_asker *asker = &stage->askers[fuzz_byte(&stage->input) % ASKERS];

    if (asker->asker == NULL) {
        ask(stage, asker);
        return;
    }
    struct tcpm__asker *made = asker->asker;

    asker->asker = NULL;
    tcpm__names_forget(stage->names, made);
}

/* ---- what comes from outside ---- */

static void answer(struct stage *stage, unsigned choice, size_t index)
{
    static const int codes[] = {0,
                                0,
                                0,
                                TCPM_ENOTFOUND,
                                -ENODATA,
                                TCPM_EREFUSED,
                                -ETIMEDOUT,
                                TCPM_ESERVFAIL,
                                TCPM_EBADRESP,
                                -ENOMEM};
    union tcpm__address list[70];
    struct tcpm__query *query = stage->queries[index];
    struct tcpm__result result = {
        .code = codes[choice % 10], .ttl_s = choice / 40, .lost = choice % 40 < 10};

    memset(list, 0, sizeof list);
    if (result.code == 0) {
        result.addresses = list;
        result.count = choice % 40 == 0 ? 70 : 1 + choice % 4;
        for (size_t i = 0; i < result.count; i++)
            list[i].any.sa_family = AF_INET;
    }
    stage->queries[index] = stage->queries[--stage->out];
    tcpm__names_answered(stage->names, query, &result, stage->now_ns);
}

static void configure(struct stage *stage, unsigned choice)
{
    static const int64_t ttls[] = {0, -1, 1, INT64_MAX};
    static const struct tcpm__resolv_conf confs[] = {
        {.ndots = 1},
        {.domains = {"x"}, .domain_count = 1, .ndots = 1},
        {.domains = {"y", "x"}, .domain_count = 2, .ndots = 2},
    };

    tcpm__names_configure(stage->names, &(struct tcpm__names_config){
                                            .window = choice % 3 * 9,
                                            .concurrency = choice % 5 * 9,
                                            .cache = choice % 7,
                                            .ttl_s = ttls[choice % 4],
                                            .search = choice & 128,
                                        });
    tcpm__names_set_search(stage->names, &confs[choice / 4 % 3]);
}

static void step(struct stage *stage, unsigned what)
{
    switch (what % 8) {
    case 0:
        stage->now_ns += MS << fuzz_byte(&stage->input) % 14;
        tcpm__names_tick(stage->names, stage->now_ns);
        break;
    case 1:
    case 2:
        if (stage->out > 0)
            answer(stage, what / 8 + (fuzz_byte(&stage->input) & ~31u),
                   fuzz_byte(&stage->input) % stage->out);
        break;
    case 3:
        configure(stage, fuzz_byte(&stage->input));
        break;
    case 4:
        stage->refusal = what & 16 ? -EMFILE : 0;
        if (what & 32)
            tcpm__names_clear(stage->names);
        break;
    default:
        ask_or_forget(stage);
    }
#ifdef TCPM__ASSERTIONS
    tcpm__names_validate(stage->names);
#endif
}

/* Answers all queries, those that begin meanwhile too. */
static void settle(struct stage *stage)
{
    for (int i = 0; i < 10000; i++) {
        uint64_t due_ns = tcpm__names_due_ns(stage->names);

        if (stage->out > 0) {
            answer(stage, 5, 0);
        } else if (due_ns != UINT64_MAX) {
            stage->now_ns = due_ns > stage->now_ns ? due_ns : stage->now_ns;
            tcpm__names_tick(stage->names, stage->now_ns);
        } else {
            break;
        }
    }
    for (int i = 0; i < ASKERS; i++)
        FUZZ_CHECK(stage->askers[i].asker == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stage stage = {.input = {data, size}, .now_ns = 1000 * MS};
    struct tcpm__names_counts counts;

    for (int i = 0; i < 2; i++)
        stage.backends[i] = (struct fuzz_backend){{&kinds[i]}, &stage};
    FUZZ_CHECK(tcpm__names_create(&tcpm__memory_default, &stage.names) == 0);
    while (stage.input.left > 0)
        step(&stage, fuzz_byte(&stage.input));
    stage.refusal = 0;
    if (size % 2 == 0)
        settle(&stage);
    tcpm__names_stats(stage.names, &counts);
    FUZZ_CHECK(counts.out == stage.out && (size % 2 != 0 || counts.waiting == 0));
    tcpm__names_free(stage.names);
    return 0;
}
