/* SPDX-License-Identifier: MIT */
/*
 * The beginning of a line whose end has not come, for the clients that cut lines themselves (floor,
 * libuv). A client's read buffer has BENCH_STASH_SIZE bytes of room in front: the stash is put
 * there before the lines are cut, so that a line always lies in one piece. Inline, because the
 * floor pays for nothing it can avoid.
 */
#ifndef BENCH_STASH_H
#define BENCH_STASH_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BENCH_STASH_SIZE = 128 /* the longest line that may come in pieces */ };

struct bench_stash {
    char *bytes; /* allocated when first needed */
    uint8_t length;
};

/* Empties the stash in front of `bytes`; the value is where the bytes begin now. */
static inline char *bench_stash_put_in_front(struct bench_stash *stash, char *bytes, size_t *length)
{
    if (stash->length == 0)
        return bytes;
    bytes -= stash->length;
    *length += stash->length;
    memcpy(bytes, stash->bytes, stash->length);
    stash->length = 0;
    return bytes;
}

/* 0, or -1: too long, or no memory. */
static inline int bench_stash_keep(struct bench_stash *stash, const char *bytes, size_t length)
{
    if (length > BENCH_STASH_SIZE)
        return -1;
    if (!stash->bytes && !(stash->bytes = malloc(BENCH_STASH_SIZE)))
        return -1;
    memcpy(stash->bytes, bytes, length);
    stash->length = (uint8_t) length;
    return 0;
}

#endif
