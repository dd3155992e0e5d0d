/* SPDX-License-Identifier: MIT */
/* The filters line, block, netstring and resp, and one that makes a last record: a stream that is
   cut anywhere gives the records, the error and the rest that it gives in one piece. The first byte
   chooses the filter, the second one how long the pieces are; the rest is the stream. */
#include "fuzz.h"

#include "tcpmulti.h"

/* What came out, as far as it has to agree. */
struct transcript {
    uint64_t hash; /* of all records and their lengths, and of the rest */
    size_t count;
    int error;
};

static int make_line(unsigned which, struct tcpm_filter **ret)
{
    static const struct tcpm_line_options options[] = {
        {.size = sizeof options[0]},
        {.size = sizeof options[0], .ends = TCPM_ENDS_LF},
        {.size = sizeof options[0], .ends = TCPM_ENDS_AUTO},
        {.size = sizeof options[0], .ends = TCPM_ENDS_AUTO, .max_length = 5},
        {.size = sizeof options[0], .input_literal = "\r\n.\r\n", .max_length = 9},
        {.size = sizeof options[0], .input_literal = "|"},
    };

    return tcpm_filter_line(&options[which % (sizeof options / sizeof options[0])], ret);
}

static int make_block(unsigned which, struct tcpm_filter **ret)
{
    static const char *const lengths[] = {"u8",    "u16be", "u16le",  "u24be",  "u24le",
                                          "u32be", "u32le", "ascii0", "varint", "u64be"};
    struct tcpm_block_options options = {.size = sizeof options, .max_length = 4096};

    if (which % 12 == 0)
        options.block_size = 3;
    else
        options.length = lengths[which % 10];
    if (which % 12 == 11) {
        options.offset = 1;
        options.adjust = -4;
        options.header = 1;
    }
    return tcpm_filter_block(&options, ret);
}

static int make_resp(unsigned which, struct tcpm_filter **ret)
{
    static const struct tcpm_resp_options options[] = {
        {.size = sizeof options[0]},
        {.size = sizeof options[0], .max_length = 40},
        {.size = sizeof options[0], .max_elements = 5},
    };

    return tcpm_filter_resp(&options[which % (sizeof options / sizeof options[0])], ret);
}

/* Two bytes are a record; at the end what is left is one, or refused, or stays. */
static int get_two(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    (void) self;
    if (length < 2)
        return 0;
    cut->record = bytes;
    cut->length = cut->used = 2;
    cut->swallow = '\n';
    return 1;
}

static int finish_two(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    (void) self;
    FUZZ_CHECK(length < 2 && cut->swallowed >= 0);
    if (length == 0)
        return 0;
    cut->record = bytes;
    cut->length = cut->used = length;
    return bytes[0] == '!' ? TCPM_EFILTER : bytes[0] != '?';
}

static int put_two(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    (void) self;
    return tcpm_out_write(out, record, length);
}

static int make_two(struct tcpm_filter **ret)
{
    static const struct tcpm_filter_kind kind = {.size = sizeof kind,
                                                 .name = "two",
                                                 .get_one = get_two,
                                                 .put = put_two,
                                                 .finish = finish_two};

    return tcpm_filter_custom(&kind, NULL, ret);
}

/* The upper values of the byte are those of resp and of two, so that the inputs found before stay
   what they are. */
static struct tcpm_filter *make_filter(unsigned which)
{
    struct tcpm_filter *filter = NULL;
    int result = which >= 240     ? make_resp(which, &filter)
                 : which == 239   ? make_two(&filter)
                 : which % 3 == 0 ? make_line(which / 3, &filter)
                 : which % 3 == 1 ? make_block(which / 3, &filter)
                                  : tcpm_filter_netstring(which % 2 == 0 ? 100 : 0, &filter);

    FUZZ_CHECK(result == 0);
    return filter;
}

static void note(struct transcript *transcript, const struct tcpm_record *record)
{
    const unsigned char *bytes = (const unsigned char *) record->bytes;

    transcript->hash = (transcript->hash ^ record->length) * UINT64_C(1099511628211);
    for (size_t i = 0; i < record->length; i++)
        transcript->hash = (transcript->hash ^ bytes[i]) * UINT64_C(1099511628211);
}

static void take_records(struct tcpm_codec *codec, struct transcript *ret)
{
    struct tcpm_record record;
    int result;

    while ((result = tcpm_codec_get_one(codec, &record)) == 1) {
        note(ret, &record);
        ret->count++;
    }
    ret->error = result;
    if (result < 0)
        FUZZ_CHECK(tcpm_codec_message(codec)[0] != '\0');
}

static void take_last(struct tcpm_codec *codec, struct transcript *ret)
{
    struct tcpm_record record;
    int result = tcpm_codec_finish(codec, &record);

    ret->error = result < 0 ? result : 0;
    if (result != 1)
        return;
    note(ret, &record);
    ret->count++;
}

static struct transcript cut(struct tcpm_filter *filter, const uint8_t *stream, size_t length,
                             size_t piece)
{
    struct transcript transcript = {.hash = 14695981039346656037u};
    struct tcpm_codec *codec;
    struct tcpm_record rest;

    FUZZ_CHECK(tcpm_codec_open(filter, &codec) == 0);
    for (size_t at = 0; at < length && transcript.error == 0;) {
        size_t size = length - at < piece ? length - at : piece;

        FUZZ_CHECK(tcpm_codec_feed(codec, stream + at, size) == 0);
        take_records(codec, &transcript);
        at += size;
    }
    if (transcript.error == 0)
        take_last(codec, &transcript);
    if (transcript.error == 0) {
        FUZZ_CHECK(tcpm_codec_pending(codec, &rest) == 0);
        note(&transcript, &rest);
    }
    tcpm_codec_close(codec);
    return transcript;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    unsigned which = fuzz_byte(&input), piece = 1 + fuzz_byte(&input) % 9;
    struct tcpm_filter *filter = make_filter(which);
    struct transcript whole = cut(filter, input.at, input.left, input.left + 1);
    struct transcript pieces = cut(filter, input.at, input.left, piece);

    FUZZ_CHECK(whole.count == pieces.count && whole.error == pieces.error);
    FUZZ_CHECK(whole.hash == pieces.hash);
    tcpm_filter_free(filter);
    return 0;
}
