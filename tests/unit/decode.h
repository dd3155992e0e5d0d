/* SPDX-License-Identifier: MIT */
/*
 * Feeds a filter as a connection does: bytes come in pieces, what is no record yet is kept and
 * shown again, need is waited for, and a byte that belongs to the record before is swallowed. The
 * result is what the handlers would have seen.
 */
#ifndef TESTS_UNIT_DECODE_H
#define TESTS_UNIT_DECODE_H

#include "support.h"

#include "filter/filter.h"

struct decoded {
    char *bytes; /* of all records, one after the other */
    size_t length, count;
    size_t *ends; /* where in bytes each record ends */
    int error;    /* 0: none */
    char message[128];
    char *pending;
    size_t pending_length;
};

struct feed {
    struct tcpm__instance *instance;
    char *held; /* everything so far */
    size_t begin, end;
    size_t seen, need;
    int swallow, swallowed;
};

static inline void add_record(struct decoded *decoded, const struct tcpm_cut *cut)
{
    decoded->bytes = realloc(decoded->bytes, decoded->length + cut->length + 1);
    decoded->ends = realloc(decoded->ends, (decoded->count + 1) * sizeof *decoded->ends);
    assert_non_null(decoded->bytes);
    assert_non_null(decoded->ends);
    if (cut->length > 0)
        memcpy(decoded->bytes + decoded->length, cut->record, cut->length);
    decoded->length += cut->length;
    decoded->ends[decoded->count++] = decoded->length;
}

static inline void skip_swallowed(struct feed *feed)
{
    if (feed->swallow == 0 || feed->begin == feed->end)
        return;
    feed->swallowed = feed->held[feed->begin] == (char) feed->swallow;
    feed->begin += (size_t) feed->swallowed;
    feed->swallow = 0;
}

/* One call of get_one; whether there may be another record. */
static inline bool cut_one(struct feed *feed, struct decoded *decoded)
{
    size_t length = feed->end - feed->begin;
    struct tcpm_cut cut = {.seen = feed->seen, .swallowed = feed->swallowed};

    if (length == 0 || length < feed->need)
        return false;
    /* a copy of its own, so that a byte read too far is found */
    char *bytes = malloc(length);
    assert_non_null(bytes);
    memcpy(bytes, feed->held + feed->begin, length);
    int result = tcpm__instance_get(feed->instance, bytes, length, &cut);
    if (result == 1)
        add_record(decoded, &cut);
    if (result < 0) {
        decoded->error = result;
        assert_non_null(cut.message);
        snprintf(decoded->message, sizeof decoded->message, "%s", cut.message);
        for (const char *at = cut.message; *at != '\0'; at++)
            assert_true(*at >= 0x20 && *at < 0x7f);
    }
    free(bytes);
    if (result < 0)
        return false;
    feed->begin += cut.used;
    feed->need = result == 0 ? cut.need : 0;
    feed->seen = result == 0 ? length - cut.used : 0;
    feed->swallowed = 0;
    if (result == 1)
        feed->swallow = cut.swallow;
    skip_swallowed(feed);
    return result == 1;
}

static inline void feed_piece(struct feed *feed, struct decoded *decoded, const char *piece,
                              size_t length)
{
    memcpy(feed->held + feed->end, piece, length);
    feed->end += length;
    skip_swallowed(feed);
    while (decoded->error == 0 && cut_one(feed, decoded))
        continue;
}

/* Cuts the stream before each of the places, in rising order. */
static inline void decode(struct tcpm_filter *filter, const char *stream, size_t length,
                          const size_t *places, size_t place_count, struct decoded *decoded)
{
    struct feed feed = {.held = malloc(length + 1)};
    size_t from = 0;

    *decoded = (struct decoded){.error = 0};
    assert_non_null(feed.held);
    assert_int_equal(tcpm__instance_open(filter, &feed.instance), 0);
    for (size_t i = 0; i <= place_count && decoded->error == 0; i++) {
        size_t to = i == place_count ? length : places[i];
        if (to > from)
            feed_piece(&feed, decoded, stream + from, to - from);
        from = to > from ? to : from;
    }
    decoded->pending_length = feed.end - feed.begin;
    memmove(feed.held, feed.held + feed.begin, decoded->pending_length);
    decoded->pending = feed.held;
    tcpm__instance_drop(feed.instance);
}

static inline void decoded_free(struct decoded *decoded)
{
    free(decoded->bytes);
    free(decoded->ends);
    free(decoded->pending);
}

/* A table's way to write records: each followed by "/". */
static inline void assert_decoded(const struct decoded *decoded, const char *records)
{
    char text[512];
    size_t length = 0, begin = 0;

    for (size_t i = 0; i < decoded->count; begin = decoded->ends[i++]) {
        size_t size = decoded->ends[i] - begin;
        assert_true(length + size + 2 < sizeof text);
        if (size > 0)
            memcpy(text + length, decoded->bytes + begin, size);
        length += size;
        text[length++] = '/';
    }
    text[length] = '\0';
    assert_string_equal(text, records);
}

#endif
