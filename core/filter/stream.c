/* SPDX-License-Identifier: MIT */
/*
 * The stream filter: bytes as they come, in records of what a read brought, a large one in pieces.
 * A script gets each as a string: LuaJIT maps and unmaps large ones one by one. The connection
 * layer never has anything pending behind it.
 */
#include "filter/filter.h"

#include <errno.h>

enum { LONGEST = 32 * 1024 };

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
