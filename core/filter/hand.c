/* SPDX-License-Identifier: MIT */
/*
 * A filter by hand: what a connection does with its bytes, without a connection. For filters that
 * are made of other filters, and for trying them. The rules are those of connection/input.c: bytes
 * that are not used are passed again, a byte that belongs to the record before is dropped.
 */
#include "filter/filter.h"

#include "base/buffer.h"
#include "base/error.h"

#include <errno.h>

struct tcpm_codec {
    struct tcpm__codec *codec;
    struct tcpm__buffer *input; /* fed, not yet a record */
    struct tcpm_out out;        /* of the last put */
    size_t used;                /* of input: the record that the caller still reads, and more */
    size_t seen, need;          /* as in struct tcpm_cut */
    int swallow;                /* the byte to be dropped if it comes next; 0: none */
    int swallowed;              /* as in struct tcpm_cut; -1: the caller drops it */
    bool more;
    int code;      /* of the last error of get_one; 0: none */
    char *message; /* about it; NULL: the text of its code */
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
    tcpm__memory_free(&tcpm__memory_default, codec->message);
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
    size_t drop = codec->swallow != 0 && *(const unsigned char *) bytes == codec->swallow;
    int result = length == drop ? 0
                                : tcpm__buffer_append(&tcpm__memory_default, &codec->input,
                                                      (const char *) bytes + drop, length - drop);
    if (result == 0 && codec->swallow != 0) {
        codec->swallowed = drop > 0;
        codec->swallow = 0;
    }
    return result;
}

/* Bytes that the filter has left behind the record resolve it at once. */
static void await_byte(struct tcpm_codec *codec, int byte)
{
    const char *next = tcpm__buffer_bytes(codec->input) + codec->used;

    if (byte != 0 || codec->swallowed > 0)
        codec->swallowed = 0;
    if (byte == 0)
        return;
    if (tcpm__buffer_length(codec->input) == codec->used) {
        codec->swallow = byte;
    } else if ((unsigned char) *next == byte) {
        codec->swallowed = 1;
        codec->used++;
    }
}

static int refuse(struct tcpm_codec *codec, int code, const char *message)
{
    tcpm__memory_free(&tcpm__memory_default, codec->message);
    codec->message = tcpm__error_line(&tcpm__memory_default, message);
    codec->code = code;
    return code;
}

int tcpm_codec_get_one(struct tcpm_codec *codec, struct tcpm_record *record)
{
    if (codec == NULL || record == NULL)
        return -EINVAL;
    consume(codec);
    size_t length = tcpm__buffer_length(codec->input);
    struct tcpm_cut cut = {.seen = codec->seen, .swallowed = codec->swallowed};
    if (length < codec->need || (length == 0 && !codec->more))
        return 0;
    codec->more = false;
    codec->need = codec->seen = 0;
    int result = tcpm__codec_get(codec->codec, tcpm__buffer_bytes(codec->input), length, &cut);
    if (result < 0)
        return refuse(codec, result, cut.message);
    codec->used = cut.used;
    if (result == 0) {
        codec->need = cut.need;
        consume(codec);
        codec->seen = tcpm__buffer_length(codec->input);
        return 0;
    }
    codec->more = cut.more != 0;
    await_byte(codec, cut.swallow);
    *record = (struct tcpm_record){.bytes = cut.record, .length = cut.length};
    return 1;
}

const char *tcpm_codec_message(const struct tcpm_codec *codec)
{
    if (codec == NULL)
        return "";
    return codec->message != NULL ? codec->message : tcpm_error_text(codec->code);
}

int tcpm_codec_pending(struct tcpm_codec *codec, struct tcpm_record *bytes)
{
    if (codec == NULL || bytes == NULL)
        return -EINVAL;
    consume(codec);
    *bytes = (struct tcpm_record){
        .bytes = tcpm__buffer_bytes(codec->input),
        .length = tcpm__buffer_length(codec->input),
    };
    return 0;
}

int tcpm_codec_clear(struct tcpm_codec *codec)
{
    if (codec == NULL)
        return -EINVAL;
    tcpm__buffer_free(&tcpm__memory_default, &codec->input);
    codec->used = codec->need = codec->seen = 0;
    return 0;
}

int tcpm_codec_swallow(struct tcpm_codec *codec)
{
    if (codec == NULL)
        return -EINVAL;
    int byte = codec->swallow;
    if (byte != 0)
        codec->swallowed = -1;
    codec->swallow = 0;
    return byte;
}

int tcpm_codec_swallowed(struct tcpm_codec *codec, int swallowed)
{
    if (codec == NULL || swallowed < 0 || swallowed > 1)
        return -EINVAL;
    codec->swallowed = swallowed;
    return 0;
}

int tcpm_codec_put(struct tcpm_codec *codec, const void *record, size_t length,
                   struct tcpm_record *bytes)
{
    if (codec == NULL || (record == NULL && length > 0) || bytes == NULL)
        return -EINVAL;
    tcpm__out_reset(&codec->out, PTRDIFF_MAX);
    int result = tcpm__codec_put(codec->codec, length == 0 ? "" : record, length, &codec->out);
    if (result == 0)
        result = tcpm__out_own(&codec->out);
    if (result < 0)
        return result;
    *bytes = (struct tcpm_record){.bytes = codec->out.bytes, .length = codec->out.length};
    return 0;
}
