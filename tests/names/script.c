/* SPDX-License-Identifier: MIT */
/*
 * Reads the labels of a name: script.h is the manual. A label loses its conditions one after the
 * other; if all of them hold, a table tells which field the rest sets.
 */
#include "script.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_LABEL = 64 };

/* ---- conditions ---- */

static bool asks_v4(const struct script_asked *asked)
{
    return asked->type == SCRIPT_A;
}

static bool asks_v6(const struct script_asked *asked)
{
    return asked->type == SCRIPT_AAAA;
}

static bool asks_by_udp(const struct script_asked *asked)
{
    return !asked->tcp;
}

static bool asks_by_tcp(const struct script_asked *asked)
{
    return asked->tcp;
}

static bool asks_first(const struct script_asked *asked)
{
    return asked->first;
}

static bool asks_later(const struct script_asked *asked)
{
    return !asked->first;
}

static const struct condition {
    const char *prefix;
    bool (*holds)(const struct script_asked *asked);
} conditions[] = {
    {"4-", asks_v4},       {"6-", asks_v6},        {"udp-", asks_by_udp},
    {"tcp-", asks_by_tcp}, {"first-", asks_first}, {"later-", asks_later},
};

/* The number of the server that the label is for; 0: it does not begin with one. */
static unsigned server_of(const char *label)
{
    bool has = label[0] == 's' && isdigit((unsigned char) label[1]) && label[2] == '-';

    return has ? (unsigned) (label[1] - '0') : 0;
}

/* The label behind its conditions; NULL: one of them does not hold. */
static const char *skip_conditions(const char *label, const struct script_asked *asked)
{
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        size_t length = strlen(conditions[i].prefix);
        if (strncmp(label, conditions[i].prefix, length) == 0)
            return conditions[i].holds(asked) ? skip_conditions(label + length, asked) : NULL;
    }
    unsigned server = server_of(label);
    if (server == 0)
        return label;
    return server == asked->server ? skip_conditions(label + 3, asked) : NULL;
}

/* ---- words ---- */

static const struct word {
    const char *text;
    size_t field;
    unsigned value; /* if the label has no number */
} words[] = {
    {"a", offsetof(struct script, a), 1},
    {"aaaa", offsetof(struct script, aaaa), 1},
    {"from", offsetof(struct script, from), 0},
    {"ttl", offsetof(struct script, ttl), 60},
    {"cname", offsetof(struct script, cname), 1},
    {"chainttl", offsetof(struct script, chainttl), 60},
    {"loop", offsetof(struct script, loop), 1},
    {"nodata", offsetof(struct script, nodata), 1},
    {"formerr", offsetof(struct script, rcode), 1},
    {"servfail", offsetof(struct script, rcode), 2},
    {"nx", offsetof(struct script, rcode), 3},
    {"notimp", offsetof(struct script, rcode), 4},
    {"refused", offsetof(struct script, rcode), 5},
    {"delay", offsetof(struct script, delay_ms), 100},
    {"jitter", offsetof(struct script, jitter_ms), 100},
    {"silent", offsetof(struct script, silent), 1},
    {"twice", offsetof(struct script, twice), 1},
    {"truncate", offsetof(struct script, truncate), 1},
    {"hangup", offsetof(struct script, hangup), 1},
    {"badid", offsetof(struct script, badid), 1},
    {"badname", offsetof(struct script, badname), 1},
    {"badfrom", offsetof(struct script, badfrom), 1},
    {"junk", offsetof(struct script, junk), 1},
    {"header", offsetof(struct script, header), 1},
    {"empty", offsetof(struct script, empty), 1},
};

/* Whether the label is the word, alone or with a number, which *value then is. */
static bool is_word(const char *label, const char *word, unsigned *value)
{
    size_t length = strlen(word);
    char *end;

    if (strncmp(label, word, length) != 0)
        return false;
    if (label[length] == '\0')
        return true;
    if (label[length] != '-' || !isdigit((unsigned char) label[length + 1]))
        return false;
    unsigned long number = strtoul(label + length + 1, &end, 10);
    *value = (unsigned) number;
    return *end == '\0';
}

static void set_word(struct script *script, const char *label)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        unsigned value = words[i].value;
        if (is_word(label, words[i].text, &value)) {
            memcpy((char *) script + words[i].field, &value, sizeof value);
            return;
        }
    }
}

/* ---- addresses that are written out ---- */

static bool read_v4(const char *text, unsigned char *ret)
{
    int end = 0;

    return sscanf(text, "%hhu-%hhu-%hhu-%hhu%n", &ret[0], &ret[1], &ret[2], &ret[3], &end) == 4 &&
           text[end] == '\0';
}

static bool read_v6(const char *text, unsigned char *ret)
{
    if (strlen(text) != 32)
        return false;
    for (size_t i = 0; i < 16; i++)
        if (sscanf(text + 2 * i, "%2hhx", &ret[i]) != 1)
            return false;
    return true;
}

/* Whether the label is an address; if so, the script has it. */
static bool add_address(struct script *script, const char *label)
{
    struct script_address address = {.type = SCRIPT_A};

    if (strncmp(label, "v6-", 3) == 0)
        address.type = SCRIPT_AAAA;
    else if (strncmp(label, "v4-", 3) != 0)
        return false;
    bool good = address.type == SCRIPT_A ? read_v4(label + 3, address.bytes)
                                         : read_v6(label + 3, address.bytes);
    if (good && script->address_count < SCRIPT_ADDRESSES)
        script->addresses[script->address_count++] = address;
    return good;
}

/* ---- names ---- */

/* Copies the next label in small letters and moves *name behind it. False: there is none. */
static bool next_label(const char **name, char ret[MOST_LABEL])
{
    size_t length = strcspn(*name, ".");

    if (**name == '\0')
        return false;
    for (size_t i = 0; i < length && i < MOST_LABEL - 1; i++)
        ret[i] = (char) tolower((unsigned char) (*name)[i]);
    ret[length < MOST_LABEL ? length : MOST_LABEL - 1] = '\0';
    *name += length + ((*name)[length] == '.');
    return true;
}

void script_read(const char *name, const struct script_asked *asked, struct script *ret)
{
    char label[MOST_LABEL];

    *ret = (struct script){.ttl = 60, .chainttl = (unsigned) -1};
    while (next_label(&name, label)) {
        const char *rest = skip_conditions(label, asked);
        if (rest != NULL && !add_address(ret, rest))
            set_word(ret, rest);
    }
    if (ret->chainttl == (unsigned) -1)
        ret->chainttl = ret->ttl;
}

bool script_counts(const char *name)
{
    return strcasestr(name, "first-") != NULL || strcasestr(name, "later-") != NULL;
}
