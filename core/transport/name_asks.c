/* SPDX-License-Identifier: MIT */
/*
 * See name_asks.h. An ask that the cache can answer needs no memory: its asker lives on the stack
 * until a query has to be waited for.
 */
#include "transport/name_asks.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "tcpmulti.h"
#include "transport/order.h"

/* A candidate of the search list, and the entries of its queries. */
struct candidate {
    struct tcpm__name_key key;
    struct tcpm__entry *entries[2]; /* one for each part; NULL: there is none yet */
    char room[TCPM__HOST_NAME_SIZE];
};

/* ---- askers ---- */

/* A list node that is copied would be in no list: parts are linked once the asker has its place. */
static void init_asker(struct tcpm__asker *asker, const struct tcpm__names *names,
                       const struct tcpm__ask *ask)
{
    bool both = ask->backend->kind->both_families || ask->families != TCPM__ANY_FAMILY;

    *asker = (struct tcpm__asker){
        .part_count = both ? 1 : 2,
        .backend = ask->backend,
        .done = ask->done,
        .begun = ask->begun,
        .owner = ask->owner,
        .candidates = {.name = ask->name, .only_as_is = ask->absolute || !names->config.search},
    };
    asker->parts[0].asker = asker->parts[1].asker = asker;
    asker->parts[0].families = both ? ask->families : TCPM__INET6;
    asker->parts[1].families = both ? 0 : TCPM__INET;
}

static size_t size_of(const struct tcpm__asker *asker)
{
    return sizeof *asker + (asker->candidates.only_as_is ? 0 : strlen(asker->candidates.name) + 1);
}

/* Gives an asker on the stack a place in memory. NULL: there is none. */
static struct tcpm__asker *place_asker(struct tcpm__names *names, const struct tcpm__asker *draft)
{
    size_t size = size_of(draft);
    struct tcpm__asker *asker = tcpm__memory_resize(names->memory, NULL, size);

    if (asker == NULL)
        return NULL;
    *asker = *draft;
    asker->candidates.name = "";
    if (!draft->candidates.only_as_is)
        asker->candidates.name = memcpy(asker->name, draft->candidates.name, size - sizeof *asker);
    asker->parts[0].asker = asker->parts[1].asker = asker;
    names->asker_bytes += size;
    return asker;
}

/* A query that waits for nobody any more is not made. */
static void leave_entry(struct tcpm__names *names, struct tcpm__part *part)
{
    struct tcpm__entry *entry = part->entry;

    tcpm__list_remove(&part->link);
    part->entry = NULL;
    if (entry == NULL || entry->state == TCPM__ENTRY_OUT || !tcpm__list_empty(&entry->waiters))
        return;
    tcpm__name_queue_remove(&names->queue, entry);
    tcpm__name_cache_remove(&names->cache, entry);
}

static void free_asker(struct tcpm__names *names, struct tcpm__asker *asker)
{
    for (unsigned i = 0; i < asker->part_count; i++)
        leave_entry(names, &asker->parts[i]);
    names->asker_bytes -= size_of(asker);
    tcpm__memory_free(names->memory, asker);
}

static bool are_all(const struct tcpm__asker *asker, enum tcpm__part_state state)
{
    for (unsigned i = 0; i < asker->part_count; i++)
        if (asker->parts[i].state != state)
            return false;
    return true;
}

/* ---- answers ---- */

static bool is_absent(int code)
{
    return code == TCPM_ENOTFOUND || code == -ENODATA;
}

static bool is_last(const struct tcpm__names *names, const struct tcpm__asker *asker)
{
    struct tcpm__candidates candidates = asker->candidates;
    char room[TCPM__HOST_NAME_SIZE];

    return tcpm__name_search_next(&names->search, &candidates, room) == NULL;
}

/* The answer that a candidate is absent: the last one, or one that another part was told of. */
static struct tcpm__answer absence(const struct tcpm__asker *asker, const struct tcpm__part *part,
                                   int code)
{
    return (struct tcpm__answer){
        .families = part->families,
        .code = asker->had_no_data ? -ENODATA : code,
    };
}

/* The answer of a part is known. Writes what is to be told now, and gives the number of answers. */
static size_t note_answer(const struct tcpm__names *names, struct tcpm__part *part,
                          const struct tcpm__answer *answer, struct tcpm__answer *ret)
{
    struct tcpm__asker *asker = part->asker;
    size_t count = 0;

    part->code = answer->code;
    part->state = TCPM__PART_IDLE;
    if (is_absent(answer->code) && !asker->is_settled && !is_last(names, asker))
        return 0;
    asker->is_settled = true;
    part->state = TCPM__PART_TOLD;
    ret[count++] = is_absent(answer->code) ? absence(asker, part, answer->code) : *answer;
    for (unsigned i = 0; i < asker->part_count; i++) {
        struct tcpm__part *other = &asker->parts[i];

        if (other->state != TCPM__PART_IDLE || other->code == 0)
            continue;
        other->state = TCPM__PART_TOLD;
        ret[count++] = absence(asker, other, other->code);
    }
    return count;
}

/* Whether each asker gets the addresses in another order. A resolver that gives both families has
   put them in order itself. */
static bool rotates(const struct tcpm__entry *entry)
{
    return !entry->backend->kind->both_families;
}

static struct tcpm__answer answer_of(struct tcpm__names *names, struct tcpm__entry *entry)
{
    names->hits++;
    tcpm__name_cache_touch(&names->cache, entry);
    return (struct tcpm__answer){
        .families = entry->query.families,
        .code = entry->code,
        .message = entry->message,
        .addresses = entry->addresses,
        .count = entry->count,
        .turn = rotates(entry) ? entry->turn++ : 0,
    };
}

/* ---- candidates ---- */

/* Finds what is known of the next candidate. Whether the cache has the answers of all parts. */
static bool take_candidate(const struct tcpm__names *names, struct tcpm__asker *asker,
                           uint64_t now_ns, struct candidate *ret)
{
    const char *name = tcpm__name_search_next(&names->search, &asker->candidates, ret->room);
    bool is_known = true;

    TCPM__ASSERT(name != NULL);
    ret->key = tcpm__name_cache_key(&names->cache, name, asker->backend);
    for (unsigned i = 0; i < asker->part_count; i++) {
        struct tcpm__part *part = &asker->parts[i];
        struct tcpm__entry *entry = tcpm__name_cache_find(&names->cache, &ret->key, part->families);

        asker->had_no_data |= part->code == -ENODATA;
        part->code = 0;
        ret->entries[i] = entry;
        is_known &= entry != NULL && tcpm__entry_is_fresh(entry, now_ns);
    }
    return is_known;
}

/* Runs through candidates that the cache knows in full. The number of answers; 0: what is known of
   the next one is in *ret, and the rest has to be asked. */
static size_t find_known(struct tcpm__names *names, struct tcpm__asker *asker, uint64_t now_ns,
                         struct tcpm__answer *answers, struct candidate *ret)
{
    size_t count = 0;

    while (count == 0 && take_candidate(names, asker, now_ns, ret))
        for (unsigned i = 0; i < asker->part_count; i++) {
            struct tcpm__answer answer = answer_of(names, ret->entries[i]);

            count += note_answer(names, &asker->parts[i], &answer, &answers[count]);
        }
    return count;
}

/* Makes sure that a query is out or waits. *entry: NULL for a new one. 0, or a negative code: the
   entry is gone. */
static int seek(struct tcpm__names *names, const struct tcpm__part *part,
                const struct candidate *candidate, struct tcpm__entry **entry, uint64_t now_ns)
{
    if (*entry == NULL)
        *entry = tcpm__name_cache_add(&names->cache, &candidate->key, part->families,
                                      part->asker->backend);
    if (*entry == NULL)
        return -ENOMEM;
    if ((*entry)->state == TCPM__ENTRY_KEPT)
        tcpm__name_cache_unkeep(&names->cache, *entry);
    if ((*entry)->state != TCPM__ENTRY_NEW)
        return 0;
    int result = tcpm__name_queue_add(&names->queue, *entry, now_ns);

    if (result < 0)
        tcpm__name_cache_remove(&names->cache, *entry);
    return result;
}

/* A part waits for its query, or has its answer in *ret: true. */
static bool join(struct tcpm__names *names, struct tcpm__part *part, struct candidate *candidate,
                 struct tcpm__entry *entry, uint64_t now_ns, struct tcpm__answer *ret)
{
    if (entry != NULL && tcpm__entry_is_fresh(entry, now_ns)) {
        *ret = answer_of(names, entry);
        return true;
    }
    int result = seek(names, part, candidate, &entry, now_ns);

    if (result < 0) {
        *ret = (struct tcpm__answer){.families = part->families, .code = result};
        return true;
    }
    names->misses++;
    part->state = TCPM__PART_SEEKING;
    part->entry = entry;
    tcpm__list_append(&entry->waiters, &part->link);
    part->asker->has_begun |=
        !entry->backend->kind->both_families || entry->state == TCPM__ENTRY_OUT;
    return false;
}

/* Asks for a candidate what is not known of it. The number of answers. */
static size_t seek_candidate(struct tcpm__names *names, struct tcpm__asker *asker,
                             struct candidate *candidate, uint64_t now_ns, struct tcpm__answer *ret)
{
    size_t count = 0;

    for (unsigned i = 0; i < asker->part_count; i++) {
        struct tcpm__answer answer;

        if (join(names, &asker->parts[i], candidate, candidate->entries[i], now_ns, &answer))
            count += note_answer(names, &asker->parts[i], &answer, &ret[count]);
    }
    return count;
}

/* Asks for candidates until a part waits or has answers: their number. */
static size_t go_on(struct tcpm__names *names, struct tcpm__asker *asker, uint64_t now_ns,
                    struct tcpm__answer *ret)
{
    size_t count = 0;

    while (count == 0 && are_all(asker, TCPM__PART_IDLE)) {
        struct candidate candidate;

        take_candidate(names, asker, now_ns, &candidate);
        count = seek_candidate(names, asker, &candidate, now_ns, ret);
    }
    return count;
}

/* ---- asking ---- */

/* The first failure of our own among the answers, if none of them has addresses; else 0. */
static int own_failure(const struct tcpm__answer *answers, size_t count)
{
    int code = 0;

    for (size_t i = 0; i < count; i++) {
        if (answers[i].code == 0)
            return 0;
        if (code == 0 && !tcpm__name_is_verdict(answers[i].code))
            code = answers[i].code;
    }
    return code;
}

static int ask_further(struct tcpm__names *names, const struct tcpm__asker *draft,
                       struct candidate *candidate, uint64_t now_ns, struct tcpm__answer known[2],
                       struct tcpm__asker **ret)
{
    struct tcpm__asker *asker = place_asker(names, draft);

    if (asker == NULL)
        return -ENOMEM;
    size_t count = seek_candidate(names, asker, candidate, now_ns, known);

    if (count == 0)
        count = go_on(names, asker, now_ns, known);
    if (!are_all(asker, TCPM__PART_TOLD)) {
        *ret = asker;
        return (int) count;
    }
    int code = own_failure(known, count);

    free_asker(names, asker);
    return code < 0 ? code : (int) count;
}

int tcpm__names_ask(struct tcpm__names *names, const struct tcpm__ask *ask, uint64_t now_ns,
                    struct tcpm__answer known[2], struct tcpm__asker **ret)
{
    struct tcpm__asker draft;
    struct candidate candidate;

    TCPM__ASSERT((ask->families & ~(unsigned) TCPM__ANY_FAMILY) == 0 && ask->families != 0);
    init_asker(&draft, names, ask);
    *ret = NULL;
    size_t count = find_known(names, &draft, now_ns, known, &candidate);

    if (count > 0)
        return (int) count;
    return ask_further(names, &draft, &candidate, now_ns, known, ret);
}

bool tcpm__asker_has_begun(const struct tcpm__asker *asker)
{
    return asker->has_begun;
}

unsigned tcpm__asker_awaited(const struct tcpm__asker *asker)
{
    unsigned families = 0;

    for (unsigned i = 0; i < asker->part_count; i++)
        if (asker->parts[i].state != TCPM__PART_TOLD)
            families |= asker->parts[i].families;
    return families;
}

void tcpm__names_forget(struct tcpm__names *names, struct tcpm__asker *asker)
{
    if (asker == NULL)
        return;
    asker->is_forgotten = true;
    if (!asker->is_being_told)
        free_asker(names, asker);
}

/* ---- telling ---- */

static void tell(struct tcpm__names *names, struct tcpm__asker *asker,
                 const struct tcpm__answer answers[2], size_t count)
{
    union tcpm__address copy[TCPM__MOST_ADDRESSES];
    struct tcpm__answer second;

    if (count > 1) { /* the first done may end what the second points to */
        second = answers[1];
        if (second.count > 0) {
            memcpy(copy, second.addresses, second.count * sizeof *copy);
            second.addresses = copy;
        }
    }
    asker->is_being_told = true;
    asker->done(asker->owner, &answers[0]);
    if (count > 1 && !asker->is_forgotten)
        asker->done(asker->owner, &second);
    asker->is_being_told = false;
    if (asker->is_forgotten || are_all(asker, TCPM__PART_TOLD))
        free_asker(names, asker);
}

static void tell_part(struct tcpm__names *names, struct tcpm__part *part,
                      const struct tcpm__answer *answer, uint64_t now_ns)
{
    struct tcpm__asker *asker = part->asker;
    struct tcpm__answer answers[2];
    size_t count = note_answer(names, part, answer, answers);

    if (count == 0)
        count = go_on(names, asker, now_ns, answers);
    if (count > 0)
        tell(names, asker, answers, count);
}

/* Takes over all who wait for the entry, which may be freed then. Their number. */
static uint32_t take_waiters(struct tcpm__entry *entry, struct tcpm__list *ret)
{
    uint32_t count = 0;

    tcpm__list_take(&entry->waiters, ret);
    for (struct tcpm__list *link = ret->next; link != ret; link = link->next) {
        TCPM__CONTAINER(link, struct tcpm__part, link)->entry = NULL;
        count++;
    }
    return count;
}

void tcpm__names_finish(struct tcpm__names *names, struct tcpm__entry *entry,
                        const struct tcpm__result *result, uint64_t now_ns)
{
    struct tcpm__list waiters;
    struct tcpm__answer answer = {
        .families = entry->query.families,
        .code = result->code,
        .message = result->message,
        .addresses = result->addresses,
        .count = result->count < TCPM__MOST_ADDRESSES ? result->count : TCPM__MOST_ADDRESSES,
    };
    bool is_rotated = rotates(entry);
    uint32_t count = take_waiters(entry, &waiters);

    if (tcpm__name_cache_keep(&names->cache, entry, result, now_ns))
        entry->turn = count;
    else
        tcpm__name_cache_remove(&names->cache, entry);
    for (; !tcpm__list_empty(&waiters); answer.turn += is_rotated) {
        struct tcpm__part *part = tcpm__first_waiter(&waiters);

        tcpm__list_remove(&part->link);
        tell_part(names, part, &answer, now_ns);
    }
}

void tcpm__names_drop_waiters(struct tcpm__names *names, struct tcpm__entry *entry)
{
    while (!tcpm__list_empty(&entry->waiters)) {
        struct tcpm__asker *asker = tcpm__first_waiter(&entry->waiters)->asker;

        for (unsigned i = 0; i < asker->part_count; i++)
            tcpm__list_remove(&asker->parts[i].link);
        names->asker_bytes -= size_of(asker);
        tcpm__memory_free(names->memory, asker);
    }
}
