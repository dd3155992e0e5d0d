/* SPDX-License-Identifier: MIT */
/*
 * What a scripted name server was asked. What always holds: an entry and its name stay until the
 * log is emptied. The owner locks.
 */
#ifndef NAMES_LOG_H
#define NAMES_LOG_H

#include "nameserver.h"

struct log {
    struct nameserver_asked *entries;
    size_t count, capacity;
};

/* Adds a question; the name is copied. Without memory it is not written down. */
void log_add(struct log *log, const struct nameserver_asked *asked);
size_t log_count(const struct log *log, const char *name, unsigned type);
void log_clear(struct log *log);

#endif
