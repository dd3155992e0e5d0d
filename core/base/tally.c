/* SPDX-License-Identifier: MIT */
/*
 * The tally of base/tally.h. Sessions see few kinds of ends, and many ends of each kind. The
 * entries are searched from the largest count on, so that a common kind is found at the first
 * comparison.
 */
#include "base/tally.h"

#include "base/assert.h"
#include "base/error.h"

static struct tcpm__tally_entry *entries_of(struct tcpm__tally *tally)
{
    return tally->more != NULL ? tally->more : tally->own;
}

static bool is_same(const struct tcpm__end *a, const struct tcpm__end *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* Makes room for one more entry; false: no memory. */
static bool reserve(struct tcpm__tally *tally, const struct tcpm__memory *memory)
{
    uint32_t capacity = tally->more != NULL ? tally->capacity : TCPM__TALLY_INLINE;

    TCPM__ASSERT(tally->count <= capacity);
    if (tally->count < capacity)
        return true;
    struct tcpm__tally_entry *more =
        tcpm__memory_resize(memory, tally->more, 2 * capacity * sizeof *more);
    if (more == NULL)
        return false;
    if (tally->more == NULL)
        memcpy(more, tally->own, sizeof tally->own);
    tally->more = more;
    tally->capacity = 2 * capacity;
    return true;
}

/* Moves an entry, whose count has grown, in front of those with smaller counts. */
static void sort_up(struct tcpm__tally_entry *entries, uint32_t index)
{
    struct tcpm__tally_entry entry = entries[index];

    for (; index > 0 && entries[index - 1].count < entry.count; index--)
        entries[index] = entries[index - 1];
    entries[index] = entry;
    TCPM__ASSERT(index == 0 || entries[index - 1].count >= entry.count);
}

void tcpm__tally_add(struct tcpm__tally *tally, const struct tcpm__memory *memory,
                     struct tcpm__end end, const char *message)
{
    struct tcpm__tally_entry *entries = entries_of(tally);

    for (uint32_t i = 0; i < tally->count; i++) {
        if (is_same(&entries[i].end, &end)) {
            entries[i].count++;
            sort_up(entries, i);
            return;
        }
    }
    if (!reserve(tally, memory))
        return;
    entries_of(tally)[tally->count++] = (struct tcpm__tally_entry){
        .end = end, .count = 1, .message = tcpm__error_line(memory, message)};
}

const struct tcpm__tally_entry *tcpm__tally_get(const struct tcpm__tally *tally, size_t index)
{
    if (index >= tally->count)
        return NULL;
    return tally->more != NULL ? &tally->more[index] : &tally->own[index];
}

void tcpm__tally_free(struct tcpm__tally *tally, const struct tcpm__memory *memory)
{
    for (uint32_t i = 0; i < tally->count; i++)
        tcpm__memory_free(memory, entries_of(tally)[i].message);
    tcpm__memory_free(memory, tally->more);
    *tally = (struct tcpm__tally){.count = 0};
}
