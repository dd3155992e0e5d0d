/*
 * A filter by hand: what a connection does with its bytes, without a connection. For filters that
 * are made of other filters, and for trying them. The rules are those of connection/input.c: bytes
 * that are not used are passed again, a byte that belongs to the record before is dropped.
 */
#include "filter/filter.h"

#include "base/buffer.h"

#include <errno.h>

struct tcpm_codec {
    struct tcpm__codec *codec;
    struct tcpm__buffer *input; /* fed, not yet a record */
    struct tcpm_out out;        /* of the last put */
    size_t used;                /* of input: the record that the caller still reads, and more */
    size_t seen, need;          /* as in struct tcpm_cut */
    int swallow;
    bool more;
};

int tcpm_codec_open(struct tcpm_filter *filter, struct tcpm_codec **codec)
{
    if (filter == NULL || codec == NULL)
        return -EINVAL;
    struct tcpm_codec *made = tcpm__memory_zeroed(&tcpm__memory_default, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    int result = tcpm__codec_open(filter, &made->codec);
    if (result < 0) {
        tcpm__memory_free(&tcpm__memory_default, made);
        return result;
    }
    tcpm__out_init(&made->out, &tcpm__memory_default);
    *codec = made;
    return 0;
}

void tcpm_codec_close(struct tcpm_codec *codec)
{
    if (codec == NULL)
        return;
    tcpm__codec_drop(codec->codec);
    tcpm__buffer_free(&tcpm__memory_default, &codec->input);
    tcpm__out_free(&codec->out);
    tcpm__memory_free(&tcpm__memory_default, codec);
}

/* The record that was given out before is no longer read. */
static void consume(struct tcpm_codec *codec)
{
    tcpm__buffer_consume(&tcpm__memory_default, &codec->input, codec->used);
    codec->used = 0;
}

int tcpm_codec_feed(struct tcpm_codec *codec, const void *bytes, size_t length)
{
    if (codec == NULL || (bytes == NULL && length > 0))
        return -EINVAL;
    consume(codec);
    if (length == 0)
        return 0;
    return tcpm__buffer_append(&tcpm__memory_default, &codec->input, bytes, length);
}

static void swallow_byte(struct tcpm_codec *codec)
{
    if (codec->swallow == 0 || codec->input == NULL)
        return;
    if ((unsigned char) *tcpm__buffer_bytes(codec->input) == codec->swallow)
        tcpm__buffer_consume(&tcpm__memory_default, &codec->input, 1);
    codec->swallow = 0;
}

int tcpm_codec_get_one(struct tcpm_codec *codec, struct tcpm_record *record)
{
    if (codec == NULL || record == NULL)
        return -EINVAL;
    consume(codec);
    swallow_byte(codec);
    size_t length = tcpm__buffer_length(codec->input);
    struct tcpm_cut cut = {.seen = codec->seen};
    if (length < codec->need || (length == 0 && !codec->more))
        return 0;
    codec->more = false;
    codec->need = codec->seen = 0;
    int result = tcpm__codec_get(codec->codec, tcpm__buffer_bytes(codec->input), length, &cut);
    if (result < 0)
        return result;
    codec->used = cut.used;
    if (result == 0) {
        codec->need = cut.need;
        consume(codec);
        codec->seen = tcpm__buffer_length(codec->input);
        return 0;
    }
    codec->more = cut.more != 0;
    codec->swallow = cut.swallow;
    *record = (struct tcpm_record){.bytes = cut.record, .length = cut.length};
    return 1;
}

int tcpm_codec_pending(struct tcpm_codec *codec, struct tcpm_record *bytes)
{
    if (codec == NULL || bytes == NULL)
        return -EINVAL;
    consume(codec);
    swallow_byte(codec);
    *bytes = (struct tcpm_record){
        .bytes = tcpm__buffer_bytes(codec->input),
        .length = tcpm__buffer_length(codec->input),
    };
    return 0;
}

int tcpm_codec_put(struct tcpm_codec *codec, const void *record, size_t length,
                   struct tcpm_record *bytes)
{
    if (codec == NULL || (record == NULL && length > 0) || bytes == NULL)
        return -EINVAL;
    tcpm__out_reset(&codec->out, PTRDIFF_MAX);
    int result = tcpm__codec_put(codec->codec, length == 0 ? "" : record, length, &codec->out);
    if (result < 0)
        return result;
    *bytes = (struct tcpm_record){.bytes = codec->out.bytes, .length = codec->out.length};
    return 0;
}
