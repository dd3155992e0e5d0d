/* SPDX-License-Identifier: MIT */
/*
 * Filters: a specification (struct tcpm_filter), its running instances (struct tcpm__instance), and
 * the place where put writes (struct tcpm_out). Pure: bytes in, records out, and back. Bytes that
 * are not yet a record belong to the caller, who passes them again.
 */
#ifndef TCPM_FILTER_FILTER_H
#define TCPM_FILTER_FILTER_H

#include <stdalign.h>
#include <stdbool.h>

#include "base/memory.h"
#include "tcpmulti.h"

/* A filter that runs in one connection, for one direction or both. A filter that keeps no state for
   a connection (stream, most of line, block, netstring) has one instance for all connections. */
struct tcpm__instance {
    struct tcpm_filter *filter; /* the specification, with a reference */
    uint32_t references;
    bool finishes;                    /* the kind is told when the input has ended */
    alignas(max_align_t) char self[]; /* the memory of the kind */
};

/* Gives an instance, with a reference for the caller. 0, -ENOMEM, or an error of the kind's
   clone. */
int tcpm__instance_open(struct tcpm_filter *filter, struct tcpm__instance **ret);
/* Adds a reference, and gives the instance. */
struct tcpm__instance *tcpm__instance_keep(struct tcpm__instance *instance);
/* Gives a reference back. NULL is allowed. */
void tcpm__instance_drop(struct tcpm__instance *instance);

/* The name of the kind. */
const char *tcpm__instance_name(const struct tcpm__instance *instance);

/* Calls get_one, finish and put of the kind, as in struct tcpm_filter_kind. An answer that the kind
   may not give (a record outside of bytes and self, more used bytes than there are) becomes
   TCPM_EFILTER. finish: only of an instance that finishes. */
int tcpm__instance_get(struct tcpm__instance *instance, const char *bytes, size_t length,
                       struct tcpm_cut *cut);
int tcpm__instance_finish(struct tcpm__instance *instance, const char *bytes, size_t length,
                          struct tcpm_cut *cut);
int tcpm__instance_put(struct tcpm__instance *instance, const void *record, size_t length,
                       struct tcpm_out *out);

/* Adds a reference, and gives the filter. tcpm_filter_free gives the reference back. */
struct tcpm_filter *tcpm__filter_keep(struct tcpm_filter *filter);

/* As tcpm_filter_custom, for the kinds of this library, whose answers are not checked. stateless:
   one instance serves all connections. */
int tcpm__filter_create(const struct tcpm_filter_kind *kind, const void *options, bool stateless,
                        struct tcpm_filter **ret);

/* The limit that an option sets: the usual one for 0, the largest number for TCPM_NONE, else the
   given one, which may be negative: the caller refuses that. */
int64_t tcpm__filter_limit(int64_t given, int64_t usual);

/* The bytes that puts have written, one behind the other. An out is reset before each use; its
   memory is kept for the next use. A single piece that a filter passes on unchanged is borrowed,
   not copied. */
struct tcpm_out {
    const struct tcpm__memory *memory;
    const char *bytes; /* the bytes: in block, or borrowed from the caller of put */
    size_t length;     /* number of bytes */
    char *block;       /* memory of the out, or NULL */
    size_t capacity;   /* bytes that block has room for */
    size_t limit;      /* writing more bytes than this is -ENOBUFS */
};

void tcpm__out_init(struct tcpm_out *out, const struct tcpm__memory *memory);
void tcpm__out_free(struct tcpm_out *out);
/* Makes the out empty, and sets its limit. */
void tcpm__out_reset(struct tcpm_out *out, size_t limit);

/* As tcpm_out_write, but the caller writes the bytes itself, to *ret; there must be at least
   one. */
int tcpm__out_reserve(struct tcpm_out *out, size_t length, char **ret);

/* As tcpm_out_write, for bytes that stay valid until the out is reset: they need not be copied. */
int tcpm__out_borrow(struct tcpm_out *out, const void *bytes, size_t length);

/* Copies borrowed bytes into the out, so that their owner may change them. 0, or -ENOMEM. */
int tcpm__out_own(struct tcpm_out *out);

#endif
