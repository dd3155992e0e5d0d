/* SPDX-License-Identifier: MIT */
/*
 * A filter used by hand, without a connection: for filters that are made of other filters, and for
 * trying one. Bytes are cut as those of a connection are: by the cutter.
 *
 * What always holds: the record that was given out last stays in input, as used bytes, until the
 * next call that may change input.
 */
#include "filter/cutter.h"

#include <errno.h>

#include "base/buffer.h"
#include "base/error.h"

struct tcpm_codec {
    struct tcpm__instance *instance;
    struct tcpm__buffer *input; /* bytes that were fed and are not yet consumed */
    struct tcpm_out out;        /* the bytes of the last put */
    size_t used;                /* bytes at the front of input that belong to the last record */
    size_t seen;                /* bytes of input that the filter has seen without a record */
    struct tcpm__cutter cutter;
    int code;      /* code of the last error of get_one; 0: none */
    char *message; /* message about that error; NULL: the text of its code */
};

int tcpm_codec_open(struct tcpm_filter *filter, struct tcpm_codec **codec)
{
    if (filter == NULL || codec == NULL)
        return -EINVAL;
    struct tcpm_codec *made = tcpm__memory_zeroed(&tcpm__memory_default, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    int result = tcpm__instance_open(filter, &made->instance);
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
    tcpm__instance_drop(codec->instance);
    tcpm__buffer_free(&tcpm__memory_default, &codec->input);
    tcpm__out_free(&codec->out);
    tcpm__memory_free(&tcpm__memory_default, codec->message);
    tcpm__memory_free(&tcpm__memory_default, codec);
}

/* Drops the last record from input: the caller does not read it any more. */
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
    struct tcpm__cutter before = codec->cutter;
    size_t drop = tcpm__cutter_swallow(&codec->cutter, bytes, length);
    int result = length == drop ? 0
                                : tcpm__buffer_append(&tcpm__memory_default, &codec->input,
                                                      (const char *) bytes + drop, length - drop);
    if (result < 0)
        codec->cutter = before;
    return result;
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
    struct tcpm_cut cut = {.seen = codec->seen};
    int result =
        tcpm__cutter_next(&codec->cutter, codec->instance, tcpm__buffer_bytes(codec->input),
                          tcpm__buffer_length(codec->input), &cut);
    if (result == 0) {
        if (codec->cutter.seen)
            codec->seen = tcpm__buffer_length(codec->input) - cut.used;
        codec->used = cut.used;
        consume(codec);
        return 0;
    }
    codec->seen = 0;
    if (result < 0)
        return refuse(codec, result, cut.message);
    codec->used = cut.used;
    *record = (struct tcpm_record){.bytes = cut.record, .length = cut.length};
    return 1;
}

int tcpm_codec_finish(struct tcpm_codec *codec, struct tcpm_record *record)
{
    if (codec == NULL || record == NULL)
        return -EINVAL;
    consume(codec);
    if (!codec->instance->finishes)
        return 0;
    struct tcpm_cut cut = {.seen = 0};
    int result =
        tcpm__cutter_finish(&codec->cutter, codec->instance, tcpm__buffer_bytes(codec->input),
                            tcpm__buffer_length(codec->input), &cut);
    codec->seen = 0;
    if (result < 0)
        return refuse(codec, result, cut.message);
    codec->used = cut.used;
    if (result == 0)
        consume(codec);
    else
        *record = (struct tcpm_record){.bytes = cut.record, .length = cut.length};
    return result;
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
    codec->used = codec->seen = 0;
    tcpm__cutter_refresh(&codec->cutter);
    return 0;
}

int tcpm_codec_swallow(struct tcpm_codec *codec)
{
    if (codec == NULL)
        return -EINVAL;
    if (codec->cutter.swallows == 0)
        return 0;
    codec->cutter.swallows = 0; /* swallowed stays -1 until the caller tells */
    return codec->cutter.swallow;
}

int tcpm_codec_swallowed(struct tcpm_codec *codec, int swallowed)
{
    if (codec == NULL || swallowed < 0 || swallowed > 1)
        return -EINVAL;
    tcpm__cutter_settle(&codec->cutter, swallowed > 0);
    return 0;
}

int tcpm_codec_put(struct tcpm_codec *codec, const void *record, size_t length,
                   struct tcpm_record *bytes)
{
    if (codec == NULL || (record == NULL && length > 0) || bytes == NULL)
        return -EINVAL;
    tcpm__out_reset(&codec->out, PTRDIFF_MAX);
    int result =
        tcpm__instance_put(codec->instance, length == 0 ? "" : record, length, &codec->out);
    if (result == 0)
        result = tcpm__out_own(&codec->out);
    if (result < 0)
        return result;
    *bytes = (struct tcpm_record){.bytes = codec->out.bytes, .length = codec->out.length};
    return 0;
}
