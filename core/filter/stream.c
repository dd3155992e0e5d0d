/* SPDX-License-Identifier: MIT */
/*
 * The filter stream: a record is whatever one read has brought; more than 32 KiB come as several
 * records, because a script gets each record as a string, and LuaJIT maps and unmaps memory for
 * each large string. With this filter no byte is ever left over that is not yet a record.
 */
#include "filter/filter.h"

#include <errno.h>

enum { LONGEST = 32 * 1024 }; /* bytes of a record */

static int get_stream(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    (void) self;
    cut->used = cut->length = length < LONGEST ? length : LONGEST;
    cut->record = bytes;
    return length > 0;
}

static int put_stream(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    (void) self;
    return tcpm__out_borrow(out, record, length);
}

int tcpm_filter_stream(struct tcpm_filter **filter)
{
    static const struct tcpm_filter_kind kind = {
        .size = sizeof kind, .name = "stream", .get_one = get_stream, .put = put_stream};

    return filter == NULL ? -EINVAL : tcpm__filter_create(&kind, NULL, true, filter);
}
