/* SPDX-License-Identifier: MIT */
/*
 * Filters inside: a specification (struct tcpm_filter), its running instances (struct tcpm__codec)
 * and the place where a put writes (struct tcpm_out). Pure: bytes in, records out and back; the
 * bytes that are not yet a record belong to the caller, who passes them again.
 */
#ifndef TCPM_FILTER_FILTER_H
#define TCPM_FILTER_FILTER_H

#include "base/memory.h"
#include "tcpmulti.h"

#include <stdalign.h>
#include <stdbool.h>

/* A filter that runs in one connection, for one direction or both. One whose kind keeps no state
   for a connection (stream, most of line, block, netstring) is the same object for all of them. */
struct tcpm__codec {
    struct tcpm_filter *filter; /* kept */
    uint32_t references;
    alignas(max_align_t) char self[];
};

/* Gives a codec with one reference. 0, -ENOMEM, or what the kind's clone returned. */
int tcpm__codec_open(struct tcpm_filter *filter, struct tcpm__codec **codec);
struct tcpm__codec *tcpm__codec_keep(struct tcpm__codec *codec);
void tcpm__codec_drop(struct tcpm__codec *codec); /* NULL is fine */

/* As get_one and put of struct tcpm_filter_kind; what a kind returns that it may not (a record
   outside of bytes and self, used > length) becomes TCPM_EFILTER. */
int tcpm__codec_get(struct tcpm__codec *codec, const char *bytes, size_t length,
                    struct tcpm_cut *cut);
int tcpm__codec_put(struct tcpm__codec *codec, const void *record, size_t length,
                    struct tcpm_out *out);

struct tcpm_filter *tcpm__filter_keep(struct tcpm_filter *filter);

/* As tcpm_filter_custom, for the kinds of this library. stateless: one instance serves all
   connections. */
int tcpm__filter_create(const struct tcpm_filter_kind *kind, const void *options, bool stateless,
                        struct tcpm_filter **filter);

/* A limit of an options struct: given, or usual where that is 0; TCPM_NONE is no limit. Negative:
   what cannot be. */
int64_t tcpm__filter_limit(int64_t given, int64_t usual);

/* What several puts wrote. It is reset before each use, its memory kept for the next one; one large
   piece that a filter passes on unchanged is not copied. */
struct tcpm_out {
    const struct tcpm__memory *memory;
    const char *bytes; /* what was written: block, or the caller's own memory */
    size_t length;
    char *block;
    size_t capacity;
    size_t limit; /* more than that is -ENOBUFS */
};

void tcpm__out_init(struct tcpm_out *out, const struct tcpm__memory *memory);
void tcpm__out_free(struct tcpm_out *out);
void tcpm__out_reset(struct tcpm_out *out, size_t limit);

/* Like tcpm_out_write, but the caller writes the bytes: length of them, more than 0, to *room. */
int tcpm__out_reserve(struct tcpm_out *out, size_t length, char **room);

/* Like tcpm_out_write, but bytes stay valid until the out is reset, so they need not be copied. */
int tcpm__out_borrow(struct tcpm_out *out, const void *bytes, size_t length);

/* Copies what is borrowed, so that it stays valid until the out is reset. */
int tcpm__out_own(struct tcpm_out *out);

#endif
