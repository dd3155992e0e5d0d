/* SPDX-License-Identifier: MIT */
/*
 * The cutter: turns a stream of bytes into records, by one instance of a filter. It knows when the
 * filter is to be asked, and what became of the byte that belongs to the record before (the LF of a
 * CR LF that came in two pieces). The bytes stay with the caller, who shows them again as long as
 * they are not used: a connection does so (connection/input.c), and a codec (hand.c). Pure.
 *
 * What always holds: the filter is not asked before there are as many bytes as it needs; nor
 * without bytes, unless it holds a record itself. An ordered record comes first, whatever the
 * filter.
 */
#ifndef TCPM_FILTER_CUTTER_H
#define TCPM_FILTER_CUTTER_H

#include "base/assert.h"
#include "filter/filter.h"

/* Zeroed: a new stream. Small, because each connection has one. */
struct tcpm__cutter {
    uint32_t need;    /* bytes that must be there before the next record, or before the filter looks
                         again; 0: any */
    uint8_t swallow;  /* the awaited byte: dropped if it comes next from the source */
    uint8_t swallows; /* times that it is awaited; mostly 0 */
    int8_t swallowed; /* as in struct tcpm_cut: what the filter is told next */
    bool seen : 1;    /* the filter has seen all bytes that are left, and found no record in them */
    bool more : 1;    /* the filter holds another record in its own memory */
    bool ordered : 1; /* the next record is need bytes long, whatever the filter */
    bool taken : 1;   /* the last record was an ordered one */
};

/* The source has brought bytes: how many of them, from the front, are to be dropped. */
size_t tcpm__cutter_swallow(struct tcpm__cutter *cutter, const char *bytes, size_t length);

/* The byte is to be dropped if it comes next from the source. */
void tcpm__cutter_await(struct tcpm__cutter *cutter, unsigned char byte);

/* The awaited byte; -1: none is awaited. */
int tcpm__cutter_awaited(const struct tcpm__cutter *cutter);

/* The source brings no awaited byte any more. */
void tcpm__cutter_forget_awaited(struct tcpm__cutter *cutter);

/* An awaited byte has been found among bytes that are there, and dropped; or it will not come. The
   filter is told so, unless the source may still bring one. */
void tcpm__cutter_settle(struct tcpm__cutter *cutter, bool dropped);

/* The bytes left are no longer those that the filter has seen, so the filter is asked again. */
void tcpm__cutter_refresh(struct tcpm__cutter *cutter);

/* Another filter goes on with the bytes that are left. */
void tcpm__cutter_restart(struct tcpm__cutter *cutter);

/* The next record is exactly so many bytes. A negative length takes the order back. */
void tcpm__cutter_order(struct tcpm__cutter *cutter, int64_t length);

/* The source has ended in order: the filter, which must be one that finishes, makes a last record
   of the bytes that are left. Otherwise as tcpm__cutter_next. No record may be ordered. */
int tcpm__cutter_finish(struct tcpm__cutter *cutter, struct tcpm__instance *instance,
                        const char *bytes, size_t length, struct tcpm_cut *cut);

/* The two rare steps of tcpm__cutter_next: the ordered record; and what a record of the filter's
   says about the next one, left being the number of bytes behind that record. */
void tcpm__cutter_take(struct tcpm__cutter *cutter, const char *bytes, struct tcpm_cut *cut);
void tcpm__cutter_look_ahead(struct tcpm__cutter *cutter, const char *next, size_t left,
                             struct tcpm_cut *cut);

/* Cuts one record off the front of the bytes; cut is zero but for seen. 1: cut has the record. 0:
   there is none yet. Negative: the filter's error, and cut may have its message. Unless the result
   is negative the caller drops cut->used bytes, also where there is no record. Inline, because
   every record of every connection passes here. */
static inline int tcpm__cutter_next(struct tcpm__cutter *cutter, struct tcpm__instance *instance,
                                    const char *bytes, size_t length, struct tcpm_cut *cut)
{
    if (length < cutter->need || (length == 0 && !cutter->more && !cutter->ordered)) {
        cutter->seen = false; /* the filter does not see these bytes */
        return 0;
    }
    if (cutter->ordered) {
        tcpm__cutter_take(cutter, bytes, cut);
        return 1;
    }
    cut->swallowed = cutter->swallowed;
    cutter->need = 0;
    cutter->seen = cutter->more = cutter->taken = false;
    int result = tcpm__instance_get(instance, bytes, length, cut);
    TCPM__ASSERT(result < 0 || (result <= 1 && cut->used <= length));
    if (result == 0) {
        cutter->seen = true;
        cutter->need = cut->need > UINT32_MAX ? UINT32_MAX : (uint32_t) cut->need;
    } else if (result > 0 && (cut->swallow | cut->more | cutter->swallowed) != 0) {
        tcpm__cutter_look_ahead(cutter, bytes + cut->used, length - cut->used, cut);
    }
    return result;
}

#endif
