/* SPDX-License-Identifier: MIT */
/*
 * The log of a scripted name server: a list that grows. Counting walks the whole list, which is
 * quick enough for the tens of thousands of questions of a test.
 */
#include "log.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool make_room(struct log *log)
{
    if (log->count < log->capacity)
        return true;
    size_t capacity = log->capacity == 0 ? 1024 : 2 * log->capacity;
    struct nameserver_asked *entries = realloc(log->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return false;
    log->entries = entries;
    log->capacity = capacity;
    return true;
}

void log_add(struct log *log, const struct nameserver_asked *asked)
{
    char *name = make_room(log) ? strdup(asked->name) : NULL;

    if (name == NULL)
        return;
    log->entries[log->count] = *asked;
    log->entries[log->count++].name = name;
}

size_t log_count(const struct log *log, const char *name, unsigned type)
{
    size_t count = 0;

    for (size_t i = 0; i < log->count; i++) {
        const struct nameserver_asked *entry = &log->entries[i];
        bool fits = type == 0 || entry->type == type;
        count += fits && (name == NULL || strcasecmp(entry->name, name) == 0);
    }
    return count;
}

void log_clear(struct log *log)
{
    for (size_t i = 0; i < log->count; i++)
        free((char *) log->entries[i].name);
    free(log->entries);
    *log = (struct log){.entries = NULL};
}
