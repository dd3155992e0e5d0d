/* SPDX-License-Identifier: MIT */
/*
 * The filter line: a record ends at a line end, which is not part of the record. There are four
 * ways to know a line end: any of CRLF, LF and CR; LF, of which one CR in front is dropped;
 * whatever the first line end turns out to be (AUTO); certain literal bytes.
 *
 * What always holds: each byte is looked at a bounded number of times, whatever the mix of line
 * ends is and however the bytes come in pieces (cut->seen says where the search goes on). A record
 * longer than max_length is refused as soon as that is certain, even before its end is there.
 */
#include "filter/filter.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>

#include "base/options.h"

enum {
    MAX_LENGTH = 64 * 1024,
    LITERAL_LIMIT = 4096, /* bytes of a literal: a longer one is a mistake of the caller */
    SHORT_LITERAL = 8     /* bytes of a literal that find_short is good for */
};

/* An instance. Only AUTO changes an instance: the first line end becomes the input literal, as soon
   as the byte behind that line end is known. */
struct line {
    bool is_half; /* AUTO: literals[0] has ended a line, and the next byte is not yet known */
    size_t max_length;
    size_t input_length;  /* bytes of the input literal; 0: there is none, or AUTO has none yet */
    size_t output_length; /* bytes of the output literal */
    size_t input_room;    /* bytes in front of the output literal */
    char too_long[64];    /* the message about a line that is too long */
    char literals[];      /* the input literal (AUTO: room for 2 bytes), then the output literal */
};

struct line_setup {
    struct tcpm_line_options options;
    size_t input_room, input_length, output_length;
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int deliver(struct tcpm_cut *cut, const char *bytes, size_t length, size_t used)
{
    cut->record = bytes;
    cut->length = length;
    cut->used = used;
    return 1;
}

static int refuse(const struct line *line, struct tcpm_cut *cut)
{
    cut->message = line->too_long;
    return TCPM_ETOOLONG;
}

/* 16 bytes that the compiler compares at once, by whatever instructions the processor has. */
typedef unsigned char vector __attribute__((vector_size(16)));

/* The index of the first byte of a vector that is not 0, given its two halves. */
static size_t first_set(const uint64_t halves[2])
{
    if (halves[0] != 0)
        return (size_t) __builtin_ctzll(le64toh(halves[0])) / 8;
    return 8 + (size_t) __builtin_ctzll(le64toh(halves[1])) / 8;
}

/* The index of the first CR or LF in bytes[from .. end), or end. Both are searched for at once:
   where only LFs occur, a memchr for CR would run to the end again for every record. */
static size_t find_any(const char *bytes, size_t from, size_t end)
{
    for (vector part; from + sizeof part <= end; from += sizeof part) {
        uint64_t halves[2];

        memcpy(&part, bytes + from, sizeof part);
        part = (vector) ((part == '\n') | (part == '\r'));
        memcpy(halves, &part, sizeof part);
        if ((halves[0] | halves[1]) != 0)
            return from + first_set(halves);
    }
    while (from < end && bytes[from] != '\n' && bytes[from] != '\r')
        from++;
    return from < end ? from : end;
}

/* A record whose CR is the last byte that has come is delivered at once. An LF that may follow
   belongs to the record: the cutter drops it. */
static int get_any(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    const struct line *line = self;
    size_t window = length > line->max_length ? line->max_length + 1 : length;
    size_t end = find_any(bytes, cut->seen, window);

    if (end == window)
        return end > line->max_length ? refuse(line, cut) : 0;
    if (bytes[end] == '\n')
        return deliver(cut, bytes, end, end + 1);
    if (end + 1 == length)
        cut->swallow = '\n';
    else if (bytes[end + 1] == '\n')
        return deliver(cut, bytes, end, end + 2);
    return deliver(cut, bytes, end, end + 1);
}

/* A line that has one byte more than max_length is not refused yet if that byte is a CR: its LF may
   come. */
static int get_lf(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    const struct line *line = self;
    size_t max = line->max_length;
    size_t window = length > max && length - max > 2 ? max + 2 : length;
    const char *lf = NULL;

    if (cut->seen < window)
        lf = memchr(bytes + cut->seen, '\n', window - cut->seen);
    size_t used = lf == NULL ? window : (size_t) (lf - bytes);
    size_t record = used > 0 && bytes[used - 1] == '\r' ? used - 1 : used;
    if (record > max || used > max + 1)
        return refuse(line, cut);
    return lf == NULL ? 0 : deliver(cut, bytes, record, used + 1);
}

/* Whether bytes that are longer than max_length, and have no literal in them, may still become a
   record: they end in the beginning of the literal, and the literal begins within max_length. */
static bool may_end_in(const char *bytes, size_t length, size_t max, const char *literal,
                       size_t literal_length)
{
    size_t start = length >= literal_length ? length - literal_length + 1 : 0;

    for (; start <= max; start++)
        if (memcmp(bytes + start, literal, length - start) == 0)
            return true;
    return false;
}

/* Searches for the last byte of the literal, and compares the rest at each place where that byte
   stands: good for short literals only. */
static const char *find_short(const char *literal, size_t size, const char *bytes, const char *end)
{
    size_t last = size - 1;

    if ((size_t) (end - bytes) < size)
        return NULL;
    for (const char *at = bytes + last; at < end; at++) {
        at = memchr(at, literal[last], (size_t) (end - at));
        if (at == NULL)
            return NULL;
        if (memcmp(at - last, literal, last) == 0)
            return at - last;
    }
    return NULL;
}

/* The first place of the input literal, or NULL. Long literals are searched for in strides: the
   memmem of a sanitizer looks at all bytes first, and must not do so with all bytes of a large read
   again for every record. */
static const char *find_literal(const struct line *line, const char *bytes, size_t from, size_t end)
{
    size_t size = line->input_length;

    if (size <= SHORT_LITERAL)
        return from < end ? find_short(line->literals, size, bytes + from, bytes + end) : NULL;
    while (from < end && end - from >= size) {
        size_t span = smaller(LITERAL_LIMIT + size, end - from);
        const char *found = memmem(bytes + from, span, line->literals, size);

        if (found != NULL)
            return found;
        from += span - size + 1;
    }
    return NULL;
}

static int get_literal(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    const struct line *line = self;
    size_t size = line->input_length, max = line->max_length;
    size_t window = length > max && length - max > size ? max + size : length;
    size_t from = cut->seen < size ? 0 : cut->seen - (size - 1);
    const char *found = find_literal(line, bytes, from, window);

    if (found != NULL)
        return deliver(cut, bytes, (size_t) (found - bytes), (size_t) (found - bytes) + size);
    if (length > max && !may_end_in(bytes, length, max, line->literals, size))
        return refuse(line, cut);
    return 0;
}

static char other_end(char end)
{
    return end == '\r' ? '\n' : '\r';
}

/* Decides what AUTO takes for a line end from now on: the byte that ended the first line, together
   with the other one of CR and LF if that came right behind. */
static void settle(struct line *line, bool came_with_other)
{
    line->literals[1] = other_end(line->literals[0]);
    line->input_length = came_with_other ? 2 : 1;
    line->is_half = false;
}

/* Cuts a line while AUTO has not decided. The first line ends at the first CR or LF; as long as the
   byte behind that is not known, further lines end at the same byte. A line is delivered at once,
   without that byte: a peer that waits for an answer sends nothing more. */
static int get_unsettled(struct line *line, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    size_t window = length > line->max_length ? line->max_length + 1 : length;
    const char *found = line->is_half && cut->seen < window
                            ? memchr(bytes + cut->seen, line->literals[0], window - cut->seen)
                            : NULL;
    size_t end = found != NULL   ? (size_t) (found - bytes)
                 : line->is_half ? window
                                 : find_any(bytes, cut->seen, window);

    if (end == window)
        return end > line->max_length ? refuse(line, cut) : 0;
    char other = other_end(bytes[end]);
    line->literals[0] = bytes[end];
    if (end + 1 == length) {
        cut->swallow = other;
        line->is_half = true;
        return deliver(cut, bytes, end, end + 1);
    }
    if (!line->is_half)
        settle(line, bytes[end + 1] == other);
    return deliver(cut, bytes, end, bytes[end + 1] == other ? end + 2 : end + 1);
}

static int get_auto(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    struct line *line = self;

    if (line->is_half && cut->swallowed >= 0)
        settle(line, cut->swallowed > 0);
    return line->input_length > 0 ? get_literal(line, bytes, length, cut)
                                  : get_unsettled(line, bytes, length, cut);
}

static int put_line(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    const struct line *line = self;
    char *room;
    int result = length > SIZE_MAX - line->output_length
                     ? -ENOMEM
                     : tcpm__out_reserve(out, length + line->output_length, &room);

    if (result < 0)
        return result;
    memcpy(room, record, length);
    memcpy(room + length, line->literals + line->input_room, line->output_length);
    return 0;
}

static int init_line(void *self, const void *options)
{
    const struct line_setup *setup = options;
    struct line *line = self;

    line->max_length = (size_t) setup->options.max_length;
    line->input_length = setup->input_length;
    line->output_length = setup->output_length;
    line->input_room = setup->input_room;
    if (setup->input_length > 0)
        memcpy(line->literals, setup->options.input_literal, setup->input_length);
    if (setup->output_length > 0)
        memcpy(line->literals + line->input_room, setup->options.output_literal,
               line->output_length);
    snprintf(line->too_long, sizeof line->too_long, "a line is longer than %zu bytes",
             line->max_length);
    return 0;
}

static size_t literal_length(const char *literal, size_t given)
{
    if (literal == NULL)
        return 0;
    return given > 0 ? given : strnlen(literal, LITERAL_LIMIT + 1);
}

/* Completes the setup by the defaults. False: a value is not allowed. */
static bool check_setup(struct line_setup *setup)
{
    struct tcpm_line_options *options = &setup->options;

    if (options->ends < TCPM_ENDS_ANY || options->ends > TCPM_ENDS_AUTO)
        return false;
    options->max_length = tcpm__filter_limit(options->max_length, MAX_LENGTH);
    setup->input_length = literal_length(options->input_literal, options->input_literal_length);
    if (options->input_literal != NULL &&
        (setup->input_length == 0 || options->ends != TCPM_ENDS_ANY))
        return false;
    setup->output_length = literal_length(options->output_literal, options->output_literal_length);
    if (options->output_literal == NULL) {
        options->output_literal = "\r\n";
        setup->output_length = 2;
    }
    setup->input_room = options->ends == TCPM_ENDS_AUTO ? 2 : setup->input_length;
    return options->max_length > 0 && setup->input_length <= LITERAL_LIMIT &&
           setup->output_length <= LITERAL_LIMIT;
}

/* Each way to know a line end is a kind of its own, so that no record has to ask for the way. */
static struct tcpm_filter_kind choose_kind(const struct line_setup *setup)
{
    struct tcpm_filter_kind kind = {.size = sizeof kind,
                                    .name = "line",
                                    .init = init_line,
                                    .get_one = get_any,
                                    .put = put_line};

    kind.self_size = sizeof(struct line) + setup->input_room + setup->output_length;
    if (setup->options.ends == TCPM_ENDS_LF)
        kind.get_one = get_lf;
    else if (setup->options.ends == TCPM_ENDS_AUTO)
        kind.get_one = get_auto;
    else if (setup->input_length > 0)
        kind.get_one = get_literal;
    return kind;
}

int tcpm_filter_line(const struct tcpm_line_options *options_or_null, struct tcpm_filter **filter)
{
    struct line_setup setup = {.options.size = 0};

    if (filter == NULL)
        return -EINVAL;
    int result = tcpm__options_read(options_or_null, &setup.options, sizeof setup.options);
    if (result < 0)
        return result;
    if (!check_setup(&setup))
        return -EINVAL;
    struct tcpm_filter_kind kind = choose_kind(&setup);
    return tcpm__filter_create(&kind, &setup, setup.options.ends != TCPM_ENDS_AUTO, filter);
}
