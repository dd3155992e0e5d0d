/* SPDX-License-Identifier: MIT */
/*
 * See hosts.h. The table is one block: buckets, entries, addresses, names. An entry is a name with
 * the address of its line; the entries of a bucket form a chain in the order of the text.
 *
 * What always holds: no array is longer than its count of the text says, which is made first and
 * counts every word as a name. The number of buckets is a power of two and not below that of the
 * entries.
 */
#include "transport/hosts.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/words.h"
#include "transport/host_name.h"

struct host_entry {
    uint32_t next;    /* number of the next entry in this bucket, from 1 on; 0: none */
    uint32_t name;    /* where the name begins among the names */
    uint32_t address; /* index of the line's address */
};

struct tcpm__hosts {
    const struct tcpm__memory *memory;
    union tcpm__address *addresses;
    struct host_entry *entries;
    uint32_t *buckets; /* number of the first entry, from 1 on; 0: none */
    char *names;       /* each with its NUL */
    uint32_t bucket_mask;
    uint32_t address_count, entry_count, names_length;
};

/* How much a text may hold. */
struct host_counts {
    size_t lines, words, bytes;
};

/* ---- keys ---- */

/* Writes the name as it stands in the table: small letters, no dot at its end. False: no name, or
   one that is too long. */
static bool make_key(const char *name, size_t length, char ret[TCPM__HOST_NAME_SIZE])
{
    if (length > 0 && name[length - 1] == '.')
        length--;
    if (length == 0 || length >= TCPM__HOST_NAME_SIZE)
        return false;
    for (size_t i = 0; i < length; i++)
        ret[i] = (char) (name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    ret[length] = '\0';
    return true;
}

/* FNV-1a. Nobody but who writes the file decides which names are in a bucket. */
static uint32_t hash(const char *key)
{
    uint32_t value = 2166136261;

    for (; *key != '\0'; key++)
        value = (value ^ (unsigned char) *key) * 16777619;
    return value;
}

/* ---- making the table ---- */

static bool next_line(struct tcpm__part *text, struct tcpm__part *ret)
{
    return tcpm__words_next_line(text, "#", ret);
}

static struct host_counts count_text(struct tcpm__part text)
{
    struct host_counts counts = {.bytes = (size_t) (text.end - text.at)};
    struct tcpm__part line, word;

    while (next_line(&text, &line)) {
        counts.lines++;
        while (tcpm__words_next(&line, &word))
            counts.words++;
    }
    counts.bytes += counts.words; /* a NUL for each */
    return counts;
}

static size_t bucket_count(size_t entries)
{
    size_t count = 1;

    while (count < entries)
        count *= 2;
    return count;
}

/* A table without entries, with room for so much. NULL: no memory. */
static struct tcpm__hosts *make_table(const struct tcpm__memory *memory,
                                      const struct host_counts *counts)
{
    size_t buckets = bucket_count(counts->words);
    struct tcpm__hosts *hosts =
        tcpm__memory_zeroed(memory, sizeof *hosts + counts->lines * sizeof *hosts->addresses +
                                        counts->words * sizeof *hosts->entries +
                                        buckets * sizeof *hosts->buckets + counts->bytes);

    if (hosts == NULL)
        return NULL;
    hosts->memory = memory;
    hosts->addresses = (union tcpm__address *) (hosts + 1);
    hosts->entries = (struct host_entry *) (hosts->addresses + counts->lines);
    hosts->buckets = (uint32_t *) (hosts->entries + counts->words);
    hosts->names = (char *) (hosts->buckets + buckets);
    hosts->bucket_mask = (uint32_t) (buckets - 1);
    return hosts;
}

/* Takes the address on top of a line. False: there is none. */
static bool take_address(struct tcpm__part *line, union tcpm__address *ret)
{
    struct tcpm__part word;
    char text[TCPM__ADDRESS_TEXT];
    const char *why;

    return tcpm__words_next(line, &word) && *word.at != '[' &&
           tcpm__words_copy(word, text, sizeof text) &&
           tcpm__address_parse(text, 0, ret, &why) == 1;
}

static void add_name(struct tcpm__hosts *hosts, struct tcpm__part word)
{
    char key[TCPM__HOST_NAME_SIZE];

    if (!make_key(word.at, (size_t) (word.end - word.at), key))
        return;

    size_t size = strlen(key) + 1;

    memcpy(hosts->names + hosts->names_length, key, size);
    hosts->entries[hosts->entry_count++] = (struct host_entry){
        .name = hosts->names_length,
        .address = hosts->address_count - 1,
    };
    hosts->names_length += (uint32_t) size;
}

static void add_lines(struct tcpm__hosts *hosts, struct tcpm__part text)
{
    struct tcpm__part line, word;

    while (next_line(&text, &line)) {
        if (!take_address(&line, &hosts->addresses[hosts->address_count]))
            continue;
        hosts->address_count++;
        while (tcpm__words_next(&line, &word))
            add_name(hosts, word);
    }
}

static uint32_t *find_bucket(const struct tcpm__hosts *hosts, const char *key)
{
    return &hosts->buckets[hash(key) & hosts->bucket_mask];
}

/* Puts the entries into their buckets: the last one first, as each goes in front of its bucket. */
static void fill_buckets(struct tcpm__hosts *hosts)
{
    for (uint32_t number = hosts->entry_count; number > 0; number--) {
        struct host_entry *entry = &hosts->entries[number - 1];
        uint32_t *bucket = find_bucket(hosts, hosts->names + entry->name);

        entry->next = *bucket;
        *bucket = number;
    }
}

int tcpm__hosts_parse(const struct tcpm__memory *memory, const char *text, size_t length,
                      struct tcpm__hosts **ret)
{
    struct tcpm__part part = tcpm__part_of(text, length);
    struct host_counts counts = count_text(part);

    /* Indices have 32 bits, and so may sizes of blocks. */
    if (counts.bytes > UINT32_MAX / 64)
        return -ENOMEM;

    struct tcpm__hosts *hosts = make_table(memory, &counts);

    if (hosts == NULL)
        return -ENOMEM;
    add_lines(hosts, part);
    TCPM__ASSERT(hosts->address_count <= counts.lines && hosts->entry_count <= counts.words);
    TCPM__ASSERT(hosts->names_length <= counts.bytes);
    fill_buckets(hosts);
    *ret = hosts;
    return 0;
}

void tcpm__hosts_free(struct tcpm__hosts *hosts)
{
    if (hosts != NULL)
        tcpm__memory_free(hosts->memory, hosts);
}

/* ---- looking up ---- */

static bool is_among(const union tcpm__address *address, const union tcpm__address *list,
                     size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tcpm__address_equal(address, &list[i]))
            return true;
    return false;
}

size_t tcpm__hosts_find(const struct tcpm__hosts *hosts, const char *name, unsigned families,
                        union tcpm__address *ret, size_t most, bool *known)
{
    char key[TCPM__HOST_NAME_SIZE];
    size_t count = 0;

    *known = false;
    if (!make_key(name, strlen(name), key))
        return 0;
    for (uint32_t number = *find_bucket(hosts, key); number != 0 && count < most;) {
        const struct host_entry *entry = &hosts->entries[number - 1];
        const union tcpm__address *address = &hosts->addresses[entry->address];

        number = entry->next;
        if (strcmp(hosts->names + entry->name, key) != 0)
            continue;
        *known = true;
        if ((tcpm__address_family_bit(address) & families) != 0 && !is_among(address, ret, count))
            ret[count++] = *address;
    }
    return count;
}
